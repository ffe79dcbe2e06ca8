//! A patch of the pod template, merged by us as a real API server merges it.

use http::{Method, StatusCode};
use kubectl_stateful::canary::{change, diff};
use serde_json::{Value, json};

use super::support::TestCluster;

/// A set with something in every list that is merged by a key.
fn rich_set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "rich"},
        "spec": {
            "replicas": 0, "serviceName": "rich", "selector": {"matchLabels": {"app": "rich"}},
            "template": {
                "metadata": {
                    "labels": {"app": "rich", "tier": "db"}, "annotations": {"a/b": "c"},
                    "finalizers": ["example.com/one", "example.com/two"],
                },
                "spec": {
                    "initContainers": [{"name": "init", "image": "busybox:1", "command": ["true"]}],
                    "containers": [
                        {
                            "name": "main", "image": "main:1", "args": ["--a", "--b"],
                            "env": [
                                {"name": "A", "value": "1"},
                                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                                {"name": "Z", "value": "$(A)"},
                            ],
                            "envFrom": [{"configMapRef": {"name": "one"}}],
                            "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 443, "name": "tls"}],
                            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
                            "volumeMounts": [
                                {"name": "conf", "mountPath": "/conf"},
                                {"name": "tmp", "mountPath": "/tmp", "subPath": "x"},
                            ],
                            "securityContext": {"runAsUser": 1, "capabilities": {"add": ["CHOWN"]}},
                            "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 3},
                        },
                        {"name": "side", "image": "side:1"},
                        {"name": "third", "image": "third:1"},
                    ],
                    "volumes": [
                        {"name": "conf", "configMap": {"name": "conf"}},
                        {"name": "tmp", "emptyDir": {}},
                    ],
                    "imagePullSecrets": [{"name": "pull"}],
                    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
                    "tolerations": [{"key": "a", "operator": "Exists"}],
                    "nodeSelector": {"disk": "ssd", "zone": "a"},
                    "topologySpreadConstraints": [{
                        "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {"app": "rich"}},
                    }],
                    "dnsConfig": {"nameservers": ["10.0.0.2"], "options": [{"name": "ndots", "value": "2"}]},
                    "securityContext": {"fsGroup": 7, "runAsUser": 8},
                },
            },
        },
    })
}

/// A patch of the container `main`.
fn main(fields: &Value) -> Value {
    let mut container = json!({"name": "main"});
    for (field, value) in fields.as_object().expect("fields") {
        container[field] = value.clone();
    }
    json!({"spec": {"containers": [container]}})
}

/// Patches of a template that merge lists.
fn patches_of_lists() -> Vec<(&'static str, Value)> {
    vec![
        ("nothing", json!({})),
        ("an image", main(&json!({"image": "main:2"}))),
        (
            "containers in another order, and one more",
            json!({"spec": {"containers": [
                {"name": "third", "image": "third:2"}, {"name": "new", "image": "new:1"}, {"name": "main"},
            ]}}),
        ),
        (
            "containers in an order that is said",
            json!({"spec": {
                "$setElementOrder/containers": [{"name": "side"}, {"name": "new"}, {"name": "main"}],
                "containers": [{"name": "new", "image": "new:1"}],
            }}),
        ),
        (
            "a container less",
            json!({"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}),
        ),
        (
            "other containers",
            json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "only", "image": "only:1"}]}}),
        ),
        (
            "variables",
            main(&json!({"env": [
                {"name": "A", "$patch": "delete"}, {"name": "NODE", "value": "n", "valueFrom": null},
                {"name": "NEW", "value": "2"},
            ]})),
        ),
        ("a source that replaces all", main(&json!({"envFrom": [{"secretRef": {"name": "two"}}]}))),
        (
            "ports",
            main(&json!({"ports": [
                {"containerPort": 443, "name": "https"}, {"containerPort": 8080},
                {"containerPort": 80, "$patch": "delete"},
            ]})),
        ),
        (
            "mounts by their path",
            main(
                &json!({"volumeMounts": [{"name": "tmp", "mountPath": "/tmp", "subPath": null}, {"name": "conf", "mountPath": "/etc/x"}]}),
            ),
        ),
        (
            "resources",
            main(
                &json!({"resources": {"limits": {"cpu": null, "memory": "2Gi"}, "requests": {"cpu": "1000m"}}}),
            ),
        ),
    ]
}

/// Patches of a template with mappings and lists that are not merged, and with
/// directives.
fn patches_of_mappings() -> Vec<(&'static str, Value)> {
    vec![
        (
            "a volume of another kind",
            json!({"spec": {"volumes": [{"name": "conf", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]}}),
        ),
        (
            "what is not merged",
            json!({"spec": {
                "tolerations": [{"key": "b", "operator": "Exists"}],
                "dnsConfig": {"nameservers": ["10.0.0.3"], "options": null},
                "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["b"]}, {"ip": "10.0.0.2", "hostnames": ["c"]}],
            }}),
        ),
        (
            "mappings replaced and emptied",
            json!({"spec": {
                "nodeSelector": {"$patch": "replace", "disk": "hdd"},
                "securityContext": {"$patch": "delete"},
                "affinity": {"$patch": "delete"},
                "topologySpreadConstraints": [{"topologyKey": "zone", "$patch": "delete"}],
            }}),
        ),
        (
            "constraints by their key",
            json!({"spec": {"topologySpreadConstraints": [
                {"topologyKey": "host", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"},
                {"topologyKey": "zone", "maxSkew": 3},
            ]}}),
        ),
        (
            "metadata",
            json!({"metadata": {
                "annotations": {"a/b": null, "d": "e"}, "labels": {"tier": "cache"},
                "$deleteFromPrimitiveList/finalizers": ["example.com/one"],
            }}),
        ),
        (
            "more finalizers",
            json!({"metadata": {"finalizers": ["example.com/three", "example.com/two"]}}),
        ),
        (
            "probes and init containers",
            json!({"spec": {
                "initContainers": [{"name": "init", "command": ["false"], "env": [{"name": "A", "value": "1"}]}],
                "containers": [{"name": "main", "readinessProbe": {"exec": null, "tcpSocket": {"port": 80}}}],
                "imagePullSecrets": [{"name": "more"}],
            }}),
        ),
        (
            "a whole template",
            json!({"$patch": "replace", "metadata": {"labels": {"app": "rich"}}, "spec": {"containers": [{"name": "a", "image": "b:1"}]}}),
        ),
    ]
}

#[test]
fn a_template_is_merged_as_the_server_merges_it() {
    let namespace = TestCluster::shared().namespace("change");
    let sets = format!("/apis/apps/v1/namespaces/{}/statefulsets", namespace.name());
    let api = namespace.cluster().api();
    let set = api.create(&sets, &rich_set());
    let template = &set["spec"]["template"];
    let path = format!("{sets}/rich?dryRun=All");
    for (what, changed) in patches_of_lists().into_iter().chain(patches_of_mappings()) {
        let patch = json!({"spec": {"template": changed}});
        let strategic = "application/strategic-merge-patch+json";
        let (status, by_server) = api.request(Method::PATCH, &path, Some(&patch), strategic);
        assert_eq!(status, StatusCode::OK, "{what}: {by_server}");
        let ours = change::apply(template, patch.as_object().expect("a mapping"));
        // Sent as a whole object, it gets the same defaults as the server's own.
        let mut whole = set.clone();
        whole["spec"]["template"] = ours.clone();
        // The controller writes the status meanwhile.
        whole["metadata"]["resourceVersion"] = Value::Null;
        let (status, stored) = api.request(Method::PUT, &path, Some(&whole), "application/json");
        assert_eq!(status, StatusCode::OK, "{what}: {stored}");
        let (expected, stored) = (&by_server["spec"]["template"], &stored["spec"]["template"]);
        assert_eq!(stored, expected, "{what}");
        assert_eq!(diff::fingerprint(stored), diff::fingerprint(expected), "{what}");
        // Only what the server fills in may differ from what it answers.
        let left = diff::differences(&ours, expected);
        assert!(
            left.iter().all(|found| found.before.is_none() || what == "resources"),
            "{what}: {left:?}"
        );
        let changes_something = !diff::differences(template, expected).is_empty();
        assert_eq!(changes_something, what != "nothing", "{what}");
    }
}

#[test]
fn what_the_server_cannot_merge_changes_nothing() {
    let namespace = TestCluster::shared().namespace("change");
    let sets = format!("/apis/apps/v1/namespaces/{}/statefulsets", namespace.name());
    let api = namespace.cluster().api();
    let set = api.create(&sets, &rich_set());
    let template = &set["spec"]["template"];
    for changed in [
        json!({"spec": {"containers": [{"image": "nameless:1"}]}}),
        json!({"spec": {"containers": [{"name": "main", "$patch": "merge"}]}}),
        json!({"spec": {"securityContext": {"$patch": "merge"}}}),
        json!({"spec": {"volumes": [{"name": "tmp", "$retainKeys": ["name"], "emptyDir": {}}]}}),
        json!({"spec": {
            "$setElementOrder/containers": [{"name": "main"}, {"name": "side"}],
            "containers": [{"name": "side"}, {"name": "main"}],
        }}),
    ] {
        let patch = json!({"spec": {"template": changed}});
        let (status, answer) = api.request(
            Method::PATCH,
            &format!("{sets}/rich?dryRun=All"),
            Some(&patch),
            "application/strategic-merge-patch+json",
        );
        assert!(!status.is_success(), "{patch}: {answer}");
        assert_eq!(&change::apply(template, patch.as_object().expect("a mapping")), template);
    }
}
