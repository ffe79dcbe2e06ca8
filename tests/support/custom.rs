//! Custom resources. The API server stores their objects, and no controller
//! acts on them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{TestCluster, wait_for};

const SOON: Duration = Duration::from_secs(120);

/// A kind whose objects may have any fields.
pub struct CustomKind<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub plural: &'a str,
    pub is_namespaced: bool,
    pub has_status: bool,
}

impl CustomKind<'_> {
    /// Creates its definition, and waits until the server serves it.
    pub fn define(&self, cluster: &TestCluster) {
        let CustomKind { group, version, kind, plural, .. } = self;
        let name = format!("{plural}.{group}");
        let subresources = if self.has_status { json!({"status": {}}) } else { json!({}) };
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {
                "name": name,
                // The server demands this for groups that belong to Kubernetes.
                "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
            },
            "spec": {
                "group": group, "scope": if self.is_namespaced { "Namespaced" } else { "Cluster" },
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
                "versions": [{
                    "name": version, "served": true, "storage": true,
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    }},
                }],
            },
        });
        apply_shared(cluster, &definition);
        // The first request creates its storage, and is asked to try again.
        wait_for(SOON, &format!("{name} to be served"), || {
            let words = ["get", &name, "--all-namespaces"];
            (cluster.kubectl(words).output().code() == Some(0)).then_some(())
        });
    }

    /// An object of it.
    pub fn object(&self, name: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": format!("{}/{}", self.group, self.version), "kind": self.kind,
            "metadata": {"name": name}, "spec": spec,
        })
    }
}

/// Applies an object that several tests may apply at the same time. The second
/// of them gets AlreadyExists and tries again.
pub fn apply_shared(cluster: &TestCluster, object: &Value) {
    wait_for(SOON, "an object that other tests apply, too", || {
        let run = cluster.kubectl(["apply", "-f", "-"]).stdin(object.to_string());
        (run.output().code() == Some(0)).then_some(())
    });
}

/// Autoscalers that are not part of Kubernetes.
pub const SCALED_OBJECT: CustomKind<'_> = CustomKind {
    group: "keda.sh",
    version: "v1alpha1",
    kind: "ScaledObject",
    plural: "scaledobjects",
    is_namespaced: true,
    has_status: false,
};
pub const VERTICAL: CustomKind<'_> = CustomKind {
    group: "autoscaling.k8s.io",
    version: "v1",
    kind: "VerticalPodAutoscaler",
    plural: "verticalpodautoscalers",
    is_namespaced: true,
    has_status: false,
};
