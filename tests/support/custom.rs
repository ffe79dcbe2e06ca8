//! Kinds that are no part of Kubernetes, as far as objects go: the API server
//! keeps them, and nothing acts on them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{TestCluster, wait_for};

const SOON: Duration = Duration::from_secs(120);

/// A kind with any fields.
pub struct CustomKind<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub plural: &'a str,
    pub is_namespaced: bool,
    pub has_status: bool,
}

impl CustomKind<'_> {
    /// Makes it known to the server, and waits until objects of it are served.
    pub fn define(&self, cluster: &TestCluster) {
        let CustomKind { group, version, kind, plural, .. } = self;
        let name = format!("{plural}.{group}");
        let subresources = if self.has_status { json!({"status": {}}) } else { json!({}) };
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {
                "name": name,
                // Of a group that is Kubernetes' own the server asks who said yes.
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
        apply_together(cluster, &definition);
        // Its storage is made at the first request, which is told to come again.
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

/// Applies what several tests on one cluster may need, and apply at the same
/// time: whoever comes second is told that it exists already.
pub fn apply_together(cluster: &TestCluster, object: &Value) {
    wait_for(SOON, "an object that others make, too", || {
        let run = cluster.kubectl(["apply", "-f", "-"]).stdin(object.to_string());
        (run.output().code() == Some(0)).then_some(())
    });
}

/// Autoscalers that people have beside the one of Kubernetes.
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
