//! The nginx set of the examples, with whatever a test changes in it.

use serde_json::{Value, json};

/// A Service and a set of nginx pods that end at once when they are told to.
pub fn web(replicas: u32, change: impl FnOnce(&mut Value)) -> String {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "nginx"},
        "spec": {"clusterIP": "None", "selector": {"app": "nginx"}, "ports": [{"port": 80}]},
    });
    let set = web_set(replicas, change);
    json!({"apiVersion": "v1", "kind": "List", "items": [service, set]}).to_string()
}

/// The set without its Service.
pub fn web_set(replicas: u32, change: impl FnOnce(&mut Value)) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "serviceName": "nginx",
            "selector": {"matchLabels": {"app": "nginx"}},
            "template": {
                "metadata": {"labels": {"app": "nginx"}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "nginx", "image": "nginx:1.21"}],
                },
            },
        },
    });
    change(&mut set);
    set
}

/// Its only container.
pub fn container(set: &mut Value) -> &mut Value {
    &mut set["spec"]["template"]["spec"]["containers"][0]
}

/// Gives it a claim `www` of a class, mounted at /data.
pub fn claims(set: &mut Value, class: &str) {
    set["spec"]["volumeClaimTemplates"] = json!([{
        "metadata": {"name": "www"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }]);
    container(set)["volumeMounts"] = json!([{"name": "www", "mountPath": "/data"}]);
}
