//! A set as a person would write it: without what the server fills in by itself,
//! and with its fields in the usual order. Pure.
//!
//! Only values that are the API's own defaults are left out, so that the server
//! makes the same object of the rest.

use serde_json::{Map, Value, json};

use crate::workload::raw::CONTAINERS;

/// The set without defaults.
pub fn without_defaults(set: &Value) -> Value {
    let mut set = set.clone();
    drop_fields(&mut set, "/spec", &[("revisionHistoryLimit", json!(10))]);
    drop_fields(&mut set, "/spec/template/metadata", &[("creationTimestamp", Value::Null)]);
    each(&mut set, "/spec/volumeClaimTemplates", |template| {
        drop_fields(template, "/metadata", &[("creationTimestamp", Value::Null)]);
        drop_fields(template, "/spec", &[("volumeMode", json!("Filesystem"))]);
        let status = template["status"].clone();
        drop_fields(template, "", &[("status", status)]);
    });
    if let Some(spec) = set.pointer_mut("/spec/template/spec") {
        pod(spec);
    }
    set
}

/// The object with its fields in the order in which they are usually written.
pub fn in_order(object: Value) -> Value {
    let Value::Object(mut fields) = object else { return object };
    let mut ordered = Map::new();
    for key in ["apiVersion", "kind", "metadata", "spec"] {
        ordered.extend(fields.shift_remove_entry(key));
    }
    ordered.extend(fields);
    if let Some(Value::Object(metadata)) = ordered.get_mut("metadata") {
        let mut rest = std::mem::take(metadata);
        for key in ["name", "namespace", "labels", "annotations"] {
            metadata.extend(rest.shift_remove_entry(key));
        }
        metadata.extend(rest);
    }
    Value::Object(ordered)
}

fn pod(spec: &mut Value) {
    // The old name of serviceAccountName.
    let account = spec["serviceAccountName"].clone();
    drop_fields(
        spec,
        "",
        &[
            ("serviceAccount", account),
            ("restartPolicy", json!("Always")),
            ("dnsPolicy", json!("ClusterFirst")),
            ("schedulerName", json!("default-scheduler")),
            ("securityContext", json!({})),
            ("terminationGracePeriodSeconds", json!(30)),
            ("enableServiceLinks", json!(true)),
        ],
    );
    for kind in CONTAINERS {
        each(spec, &format!("/{kind}"), container);
    }
    each(spec, "/volumes", |volume| {
        for source in ["configMap", "secret", "downwardAPI", "projected"] {
            let path = format!("/{source}");
            drop_fields(volume, &path, &[("defaultMode", json!(420))]);
        }
        drop_fields(volume, "/hostPath", &[("type", json!(""))]);
        for list in ["/downwardAPI/items", "/projected/sources"] {
            each(volume, list, |source| {
                drop_fields(source, "/fieldRef", &[("apiVersion", json!("v1"))]);
                let hour = ("expirationSeconds", json!(3600));
                drop_fields(source, "/serviceAccountToken", &[hour]);
                each(source, "/downwardAPI/items", |item| {
                    drop_fields(item, "/fieldRef", &[("apiVersion", json!("v1"))]);
                });
            });
        }
    });
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let pulls = if is_latest(image) { "Always" } else { "IfNotPresent" };
    drop_fields(
        container,
        "",
        &[
            ("imagePullPolicy", json!(pulls)),
            ("terminationMessagePath", json!("/dev/termination-log")),
            ("terminationMessagePolicy", json!("File")),
            ("resources", json!({})),
        ],
    );
    each(container, "/ports", |port| drop_fields(port, "", &[("protocol", json!("TCP"))]));
    each(container, "/env", |variable| {
        drop_fields(variable, "/valueFrom/fieldRef", &[("apiVersion", json!("v1"))]);
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let path = format!("/{probe}");
        drop_fields(
            container,
            &path,
            &[
                ("timeoutSeconds", json!(1)),
                ("periodSeconds", json!(10)),
                ("successThreshold", json!(1)),
                ("failureThreshold", json!(3)),
            ],
        );
        drop_fields(container, &format!("{path}/httpGet"), &[("scheme", json!("HTTP"))]);
        drop_fields(container, &format!("{path}/grpc"), &[("service", json!(""))]);
    }
    for hook in ["postStart", "preStop"] {
        let path = format!("/lifecycle/{hook}/httpGet");
        drop_fields(container, &path, &[("scheme", json!("HTTP"))]);
    }
}

/// Whether the server pulls the image at every start.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// Removes the fields of the object at `pointer` that have these values.
fn drop_fields(object: &mut Value, pointer: &str, defaults: &[(&str, Value)]) {
    let Some(Value::Object(fields)) = object.pointer_mut(pointer) else { return };
    for (key, default) in defaults {
        if fields.get(*key) == Some(default) {
            fields.shift_remove(*key);
        }
    }
}

fn each(object: &mut Value, pointer: &str, change: impl Fn(&mut Value)) {
    let items = object.pointer_mut(pointer).and_then(Value::as_array_mut);
    items.into_iter().flatten().for_each(change);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_fills_in_is_left_out_and_nothing_else() {
        let set = json!({
            "spec": {
                "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
                "template": {
                    "metadata": {"creationTimestamp": null, "labels": {"app": "db"}},
                    "spec": {
                        "restartPolicy": "Always", "dnsPolicy": "ClusterFirst",
                        "schedulerName": "mine", "securityContext": {},
                        "serviceAccount": "db", "serviceAccountName": "db",
                        "terminationGracePeriodSeconds": 60,
                        "containers": [
                            {
                                "name": "db", "image": "mysql:5.6", "imagePullPolicy": "IfNotPresent",
                                "resources": {}, "terminationMessagePath": "/dev/termination-log",
                                "terminationMessagePolicy": "File",
                                "ports": [{"containerPort": 3306, "protocol": "TCP"}],
                                "readinessProbe": {
                                    "httpGet": {"path": "/", "port": 1, "scheme": "HTTP"},
                                    "periodSeconds": 5, "timeoutSeconds": 1,
                                },
                            },
                            {"name": "sidecar", "image": "here:5000/x", "imagePullPolicy": "Always"},
                            {"name": "own", "image": "x:1", "imagePullPolicy": "Always"},
                        ],
                        "volumes": [{"name": "c", "configMap": {"name": "c", "defaultMode": 420}}],
                    },
                },
                "volumeClaimTemplates": [
                    {"metadata": {"name": "d"}, "spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending"}},
                ],
            },
        });
        let wanted = json!({
            "spec": {
                "podManagementPolicy": "OrderedReady",
                "template": {
                    "metadata": {"labels": {"app": "db"}},
                    "spec": {
                        "schedulerName": "mine", "serviceAccountName": "db",
                        "terminationGracePeriodSeconds": 60,
                        "containers": [
                            {
                                "name": "db", "image": "mysql:5.6",
                                "ports": [{"containerPort": 3306}],
                                "readinessProbe": {
                                    "httpGet": {"path": "/", "port": 1}, "periodSeconds": 5,
                                },
                            },
                            {"name": "sidecar", "image": "here:5000/x"},
                            {"name": "own", "image": "x:1", "imagePullPolicy": "Always"},
                        ],
                        "volumes": [{"name": "c", "configMap": {"name": "c"}}],
                    },
                },
                "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {}}],
            },
        });
        assert_eq!(without_defaults(&set), wanted);
    }

    #[test]
    fn the_usual_fields_stand_first() {
        let object = json!({
            "spec": {}, "data": 1, "metadata": {"uid": 1, "annotations": {}, "name": "x"},
            "kind": "A", "apiVersion": "v1",
        });
        let text = in_order(object).to_string();
        let wanted = r#"{"apiVersion":"v1","kind":"A","metadata":{"name":"x","annotations":{},"uid":1},"spec":{},"data":1}"#;
        assert_eq!(text, wanted);
    }
}
