//! Other objects that refer to the Deployment or its claims.

use serde_json::Value;

use super::{Class, Converter, Outcome, Produced, Retarget};
use crate::{
    migrate::rules,
    workload::{
        Finding, contains_all,
        raw::{is_deployment, items, join, kind, kind_and_name, labels, name, text, walk},
    },
};

/// Kinds that controllers create from other objects, and would create again.
const MADE_BY_CONTROLLERS: [&str; 8] = [
    "Pod",
    "ReplicaSet",
    "ControllerRevision",
    "Event",
    "Endpoints",
    "EndpointSlice",
    "VolumeAttachment",
    "Lease",
];

/// Kinds that select pods by labels.
const SELECTING: [&str; 4] = ["Service", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor"];

/// A Deployment that a set replaces.
struct ReplacedDeployment {
    place: Option<String>,
    deployment: String,
    set: String,
    /// Whether the set replaces several: then their autoscalers cannot all be
    /// pointed at it.
    folded: bool,
}

impl Converter<'_> {
    pub(super) fn find_references(&mut self, groups: &[Vec<usize>]) {
        let gone: Vec<ReplacedDeployment> = groups
            .iter()
            .flat_map(|group| {
                let set = self.options.name.clone();
                let set = set.unwrap_or_else(|| name(&self.objects[group[0]]).to_owned());
                group.iter().map(move |&index| (index, set.clone(), group.len() > 1))
            })
            .map(|(index, set, folded)| ReplacedDeployment {
                place: self.namespace_of(&self.objects[index]).map(str::to_owned),
                deployment: name(&self.objects[index]).to_owned(),
                set,
                folded,
            })
            .collect();
        for (index, object) in self.objects.iter().enumerate() {
            if MADE_BY_CONTROLLERS.contains(&kind(object)) {
                continue;
            }
            let converted = matches!(self.outcomes[index], Outcome::Replaced(_));
            let here: Vec<&ReplacedDeployment> = gone
                .iter()
                .filter(|gone| gone.place.as_deref() == self.namespace_of(object))
                .collect();
            let mut found = Vec::new();
            if let Some((retarget, pointer)) = scaler(object) {
                let met = here.iter().find(|gone| targets(object, pointer, &gone.deployment));
                if let Some(gone) = met {
                    let asked = self.options.retarget.contains(&retarget) && !gone.folded;
                    if asked {
                        let body = retargeted(object, pointer, &gone.set);
                        let (class, source) = (Class::Retargeted, Some(index));
                        self.outcomes[index] =
                            Outcome::Replaced(vec![Produced { class, source, body }]);
                    }
                    found.push(scaler_finding(object, gone, asked, retarget));
                }
            } else {
                found.extend(here.iter().flat_map(|gone| deployment_references(object, gone)));
                if !converted {
                    found.extend(self.claim_references(object));
                }
            }
            if !converted {
                found.extend(self.lost_selectors(object));
            }
            self.findings.extend(found);
        }
    }

    /// Where an object names a claim that gets a new name.
    fn claim_references(&self, object: &Value) -> Vec<Finding> {
        let mut found = Vec::new();
        // The claimRef of a volume belongs to the server.
        if kind(object) == "PersistentVolume" {
            return found;
        }
        let here =
            self.renamed.iter().filter(|(place, ..)| place.as_deref() == self.namespace_of(object));
        for (_, old, new) in here {
            walk(object, "", &mut |path, value| {
                let Some(fields) = value.as_object() else { return };
                let by_kind = text(value, "/kind") == Some("PersistentVolumeClaim")
                    && text(value, "/name") == Some(old);
                let by_key = fields.iter().find(|(key, value)| {
                    let key = key.to_ascii_lowercase();
                    let of_claim = key.contains("pvc") || key.contains("claim");
                    of_claim && value.as_str() == Some(old)
                });
                let at = match by_key {
                    Some((key, _)) => join(path, key),
                    None if by_kind => path.to_owned(),
                    None => return,
                };
                let message = format!(
                    "{} names claim {old} in {at}; its name will be {new}",
                    kind_and_name(object)
                );
                found.push(rules::REFERENCE.found(kind_and_name(object), message));
            });
        }
        found
    }

    /// Selectors that match the old pods and not the new ones.
    fn lost_selectors(&self, object: &Value) -> Vec<Finding> {
        if !SELECTING.contains(&kind(object)) {
            return Vec::new();
        }
        let pointer = match kind(object) {
            "Service" => "/spec/selector",
            "NetworkPolicy" => "/spec/podSelector/matchLabels",
            _ => "/spec/selector/matchLabels",
        };
        let selector = labels(object, pointer);
        let on = kind_and_name(object);
        if selector.contains_key("pod-template-hash") {
            let message =
                format!("{on} selects by pod-template-hash, which pods of a set do not have");
            return vec![rules::SERVICE_LOST.found(on, message)];
        }
        let finds = |body: &Value| {
            self.namespace_of(body) == self.namespace_of(object)
                && contains_all(&labels(body, "/spec/template/metadata/labels"), &selector)
        };
        let gone = |index: usize| matches!(self.outcomes[index], Outcome::Replaced(_));
        let before = self
            .objects
            .iter()
            .enumerate()
            .find(|(index, body)| is_deployment(body) && gone(*index) && finds(body));
        let after = self.outcomes.iter().any(|outcome| match outcome {
            Outcome::Replaced(made) => {
                made.iter().any(|made| kind(&made.body) == "StatefulSet" && finds(&made.body))
            }
            Outcome::Kept => false,
        });
        match before {
            Some((_, deployment)) if !selector.is_empty() && !after => {
                let words: Vec<String> =
                    selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let message = format!(
                    "{on} selects {}, which matches the pods of {} and none of the set",
                    words.join(","),
                    kind_and_name(deployment)
                );
                vec![rules::SERVICE_LOST.found(on, message)]
            }
            _ => Vec::new(),
        }
    }
}

/// The kind of an autoscaler, and the pointer to its target.
fn scaler(object: &Value) -> Option<(Retarget, &'static str)> {
    let api = text(object, "/apiVersion").unwrap_or_default();
    match (kind(object), api.split('/').next().unwrap_or_default()) {
        ("HorizontalPodAutoscaler", "autoscaling") => Some((Retarget::Hpa, "/spec/scaleTargetRef")),
        ("VerticalPodAutoscaler", "autoscaling.k8s.io") => Some((Retarget::Vpa, "/spec/targetRef")),
        ("ScaledObject", "keda.sh") => Some((Retarget::Keda, "/spec/scaleTargetRef")),
        _ => None,
    }
}

/// Whether an autoscaler names the Deployment. KEDA scales a Deployment if no kind
/// is given.
fn targets(object: &Value, pointer: &str, deployment: &str) -> bool {
    let Some(target) = object.pointer(pointer) else { return false };
    text(target, "/name") == Some(deployment)
        && matches!(text(target, "/kind"), Some("Deployment") | None)
}

fn retargeted(object: &Value, pointer: &str, set: &str) -> Value {
    let mut body = object.clone();
    if let Some(target) = body.pointer_mut(pointer).and_then(Value::as_object_mut) {
        target.insert("apiVersion".to_owned(), "apps/v1".into());
        target.insert("kind".to_owned(), "StatefulSet".into());
        target.insert("name".to_owned(), set.into());
    }
    body
}

fn scaler_finding(
    object: &Value,
    gone: &ReplacedDeployment,
    asked: bool,
    retarget: Retarget,
) -> Finding {
    let on = kind_and_name(object);
    if asked {
        let message = format!("{on} scales StatefulSet/{} now", gone.set);
        return rules::RETARGETED.found(on, message);
    }
    let flag = match retarget {
        Retarget::Hpa => "hpa",
        Retarget::Vpa => "vpa",
        Retarget::Keda => "keda",
    };
    let message = format!("{on} scales Deployment/{}, which will be gone", gone.deployment);
    let finding = rules::AUTOSCALER.found(on, message);
    if gone.folded {
        finding.hint("create one for the set, and delete those of the Deployments")
    } else {
        finding.hint(format!("--retarget {flag} points it at StatefulSet/{}", gone.set))
    }
}

/// Where an object names the Deployment: by kind and name, or in a command.
fn deployment_references(object: &Value, gone: &ReplacedDeployment) -> Vec<Finding> {
    let on = kind_and_name(object);
    let mut places: Vec<String> = Vec::new();
    walk(object, "", &mut |path, value| {
        let by_kind = !path.is_empty()
            && text(value, "/kind") == Some("Deployment")
            && text(value, "/name") == Some(&gone.deployment);
        let in_text = value.as_str().is_some_and(|text| mentions(text, &gone.deployment));
        let annotation = path.starts_with("metadata.annotations[kubectl.kubernetes.io/");
        if (by_kind || in_text) && !annotation && !path.starts_with("status") {
            places.push(path.to_owned());
        }
    });
    // A Role that names the Deployment grants no rights on the set.
    if matches!(kind(object), "Role" | "ClusterRole") {
        for rule in items(object, "/rules") {
            let lists =
                |key: &str, word: &str| items(rule, key).any(|value| value.as_str() == Some(word));
            if lists("/resources", "deployments") && lists("/resourceNames", &gone.deployment) {
                places.push("rules[].resourceNames".to_owned());
            }
        }
    }
    places
        .into_iter()
        .map(|path| {
            let message = format!("{on} mentions Deployment {} in {path}", gone.deployment);
            rules::REFERENCE
                .found(on.clone(), message)
                .hint(format!("change it to StatefulSet {}", gone.set))
        })
        .collect()
}

/// Whether a text has `deploy/web` in one of its spellings, as a whole word, or a
/// metric of Deployments together with the name.
fn mentions(text: &str, deployment: &str) -> bool {
    let spelled =
        ["deploy/", "deployment/", "deployments/", "deployment.apps/", "deployments.apps/"];
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let command = spelled.iter().any(|kind| {
        text.match_indices(&format!("{kind}{deployment}")).any(|(at, found)| {
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            !before.is_some_and(inside) && !after.is_some_and(inside)
        })
    });
    command || (text.contains("kube_deployment_") && text.contains(deployment))
}
