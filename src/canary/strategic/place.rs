//! Which lists of a pod template are merged, and by which key.

/// The place of a mapping in a pod template, which decides how its lists are
/// merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Template,
    Metadata,
    Spec,
    Container,
    Volume,
    Ephemeral,
    ClaimTemplate,
    /// No list in here or below is merged.
    Elsewhere,
}

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Element by element; those with the same value in this field are the
    /// same element.
    By(&'static str, Place),
    /// As a set of scalars.
    Scalars,
    /// Not at all: the new list replaces the old one.
    Whole,
}

impl Place {
    /// The place of the mapping under `field`.
    pub fn mapping(self, field: &str) -> Place {
        match (self, field) {
            (Place::Template | Place::ClaimTemplate, "metadata") => Place::Metadata,
            (Place::Template, "spec") => Place::Spec,
            (Place::Volume, "ephemeral") => Place::Ephemeral,
            (Place::Ephemeral, "volumeClaimTemplate") => Place::ClaimTemplate,
            _ => Place::Elsewhere,
        }
    }

    /// How a list under `field` is merged.
    pub fn list(self, field: &str) -> Merge {
        match (self, field) {
            (Place::Metadata, "finalizers") => Merge::Scalars,
            (Place::Metadata, "ownerReferences") => Merge::By("uid", Place::Elsewhere),
            (Place::Spec, "containers" | "initContainers" | "ephemeralContainers") => {
                Merge::By("name", Place::Container)
            }
            (Place::Spec, "volumes") => Merge::By("name", Place::Volume),
            (Place::Spec, "imagePullSecrets" | "schedulingGates" | "resourceClaims")
            | (Place::Container, "env") => Merge::By("name", Place::Elsewhere),
            (Place::Spec, "hostAliases") => Merge::By("ip", Place::Elsewhere),
            (Place::Spec, "topologySpreadConstraints") => {
                Merge::By("topologyKey", Place::Elsewhere)
            }
            (Place::Container, "ports") => Merge::By("containerPort", Place::Elsewhere),
            (Place::Container, "volumeMounts") => Merge::By("mountPath", Place::Elsewhere),
            (Place::Container, "volumeDevices") => Merge::By("devicePath", Place::Elsewhere),
            _ => Merge::Whole,
        }
    }
}
