//! A group of kinds that the server has in another version than the one we read:
//! what is there is not known, and every command says so.

use serde_json::Value;

use super::support::{self, CustomKind, Namespace, SCALED_OBJECT, TestCluster};

const NEWER: CustomKind<'_> = CustomKind { version: "v2", ..SCALED_OBJECT };
/// A Deployment with a claim, as `migrate` moves it.
pub const DEPLOYMENT: &str = r#"{
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
    "spec": {
        "selector": {"matchLabels": {"app": "app"}}, "strategy": {"type": "Recreate"},
        "template": {
            "metadata": {"labels": {"app": "app"}},
            "spec": {
                "containers": [{
                    "name": "main", "image": "app:1",
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}]
                }],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
            }
        }
    }
}"#;

pub const CLAIM: &str = r#"{
    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
    "spec": {
        "storageClassName": "standard", "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}
    }
}"#;

/// What a command says in JSON.
#[track_caller]
fn says(namespace: &Namespace, words: &str, code: i32) -> Value {
    let run = namespace.stateful(words.split(' ')).args(["-o", "json"]);
    let output = run.output().expect(code);
    serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}\n{output}"))
}

#[test]
fn a_kind_that_is_only_served_in_another_version_is_reported_as_unread() {
    let cluster = TestCluster::fresh();
    let namespace = cluster.namespace("unserved");
    NEWER.define(&cluster);
    namespace.apply(&support::web(2, |set| support::claims(set, "standard")));
    namespace.apply(DEPLOYMENT);
    namespace.apply(CLAIM);
    namespace.wait_until_ready("web");
    namespace.wait("deployment/app", "condition=Available");

    for (words, code) in [("status web", 8), ("orphans", 8)] {
        let document = says(&namespace, words, code);
        let unread = &document["incomplete"][0];
        assert_eq!(unread["resource"], "scaledobjects.keda.sh", "{words}: {document}");
        let why = unread["why"].as_str().expect("a reason");
        assert!(why.contains("/apis/keda.sh/v1alpha1/"), "{words}: {why}");
        assert!(why.ends_with("returned 404)"), "{words}: {why}");
    }
    for (words, id) in [
        ("canary start web --image nginx:1.22 --dry-run", "CANARY-UNREAD"),
        ("scale web --replicas 1 --dry-run", "SCALE-UNREAD"),
        ("migrate run deploy/app --dry-run", "MIGRATE-UNREAD"),
    ] {
        let document = says(&namespace, words, 4);
        assert_eq!(support::ids(&document), [id], "{document}");
        let told = document["reasons"][0]["message"].as_str().expect("a message");
        assert!(told.contains("/apis/keda.sh/v1alpha1/"), "{words}: {told}");
        namespace.stateful(words.split(' ')).args(["--allow", id]).output().expect(0);
    }
}
