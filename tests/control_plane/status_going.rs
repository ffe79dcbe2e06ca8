//! Sets that are going, alone or with their namespace.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{self, Namespace, TestCluster, document, wait_for};

const SOON: Duration = Duration::from_secs(100);

/// A set that somebody holds, so that it is there for as long as the test looks.
fn held(hint: &str) -> Namespace<'static> {
    let namespace = TestCluster::shared().namespace(hint);
    namespace.apply(&support::web(2, |set| {
        set["metadata"]["finalizers"] = json!(["example.com/hold"]);
    }));
    namespace.wait_until_ready("web");
    namespace
}

fn let_go(namespace: &Namespace) {
    let path = namespace.path("apps/v1", "statefulsets", "web");
    namespace.cluster().api().patch(&path, &json!({"metadata": {"finalizers": null}}));
}

/// Waits until the set is being deleted.
fn until_deleted(namespace: &Namespace) {
    wait_for(SOON, "the set to be deleted", || {
        let set = namespace.get("apps/v1", "statefulsets", "web")?;
        set["metadata"]["deletionTimestamp"].is_string().then_some(())
    });
}

fn first(findings: &Value) -> &str {
    findings[0]["id"].as_str().unwrap_or_default()
}

#[test]
fn a_namespace_that_is_going_is_said_first() {
    let namespace = held("going");
    let path = format!("/api/v1/namespaces/{}", namespace.name());
    namespace.cluster().api().delete(&path);
    until_deleted(&namespace);
    let tree = document(&namespace.stateful(["status", "web", "-o", "json"]).output());
    assert_eq!(first(&tree["reasons"]), "STATUS-NAMESPACE-DELETING", "{tree:#}");
    let list = document(&namespace.stateful(["status", "-o", "json"]).output());
    assert_eq!(first(&list["items"][0]["findings"]), "STATUS-NAMESPACE-DELETING", "{list:#}");
    let hint = support::hint_of(&tree, "STATUS-NAMESPACE-DELETING");
    support::follow(&namespace, &hint);
    let wait = ["status", "web", "--wait-for", "ready", "--timeout", "90s"];
    let output = namespace.stateful(wait).deadline(SOON).output().expect(7);
    assert!(output.stderr.contains("web never becomes ready: namespace "), "{output}");
    let_go(&namespace);
}

/// Whoever waits is told at once, and also where it begins in the middle of the wait.
#[test]
fn a_wait_for_a_set_that_is_being_deleted_ends() {
    let namespace = held("deleted");
    let wait = |names: &[&str]| {
        let words = [&["status"], names, &["--wait-for", "updated", "--timeout", "90s"]].concat();
        namespace.stateful(words).deadline(SOON)
    };
    // Of no revision that the controller knows, so that it is waited for.
    let path = namespace.path("apps/v1", "statefulsets", "web");
    let broken = json!({"spec": {"template": {"metadata": {"annotations": {
        "stateful.test/never-ready": "true",
    }}}}});
    namespace.cluster().api().patch(&path, &broken);
    let waiting = wait(&["web"]).start();
    waiting.wait_for_stderr("the wait", |said| said.contains("waiting for "));
    namespace.kubectl(["delete", "sts", "web", "--wait=false"]).output().success();
    until_deleted(&namespace);
    let output = waiting.finish().expect(7);
    assert!(output.stderr.contains("web never becomes updated: web was deleted"), "{output}");
    let output = wait(&["web"]).arg("-o=json").output().expect(7);
    assert_eq!(document(&output)["result"], "conflict", "{output}");
    // Also of several, where it is one of those that were named.
    namespace.apply(&support::web(1, |set| {
        set["metadata"]["name"] = json!("other");
        let labels = json!({"app": "other"});
        set["spec"]["selector"]["matchLabels"] = labels.clone();
        set["spec"]["template"]["metadata"]["labels"] = labels;
    }));
    let output = wait(&["web", "other"]).output().expect(7);
    assert!(output.stderr.contains("/web never becomes updated"), "{output}");
    let_go(&namespace);
    // What nobody named is not waited for once it is gone.
    wait(&[]).output().expect(0);
}
