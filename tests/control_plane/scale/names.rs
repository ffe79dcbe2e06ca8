//! Pods of somebody else with the names of ordinals: the controller can never make its
//! own then, and no event says so.

use super::{
    super::support::{self, Fault, Gate, document},
    *,
};

/// A pod of this name that the set's selector does not match.
fn foreign(namespace: &Namespace, name: &str, owners: &Value) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"made": "by-hand"}, "ownerReferences": owners},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "main:1"}],
        },
    });
    namespace.cluster().api().create(&namespace.path("v1", "pods", ""), &pod);
    namespace.wait(&format!("pod/{name}"), "condition=Ready");
}

/// The message and the line to type of the one finding.
#[track_caller]
fn told(output: &Output) -> (String, String) {
    told_as(output, "SCALE-NAME-TAKEN")
}

#[track_caller]
fn told_as(output: &Output, id: &str) -> (String, String) {
    assert_eq!(reason_ids(output), [id], "{output}");
    let reason = document(output)["reasons"][0].clone();
    let word = |key: &str| reason[key].as_str().expect("a text").to_owned();
    (word("message"), word("hint"))
}

/// Of nobody, and of something else: refused before the first write, with whose it is.
#[test]
fn a_name_that_is_taken_is_no_place_for_an_ordinal() {
    let namespace = made("scale-name-taken", 2, |_| {});
    let maker = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "maker"}});
    let maker = namespace.cluster().api().create(&namespace.path("v1", "configmaps", ""), &maker);
    let owner = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "maker", "controller": true,
        "uid": maker["metadata"]["uid"],
    }]);
    for (owners, whose) in
        [(json!([]), "belongs to nothing"), (owner, "belongs to ConfigMap/maker")]
    {
        foreign(&namespace, "web-3", &owners);
        let before = Picture::of(&namespace);
        for words in [
            "--replicas 4 --timeout 5s",
            "--replicas 4 --timeout 5s --fresh",
            "--replicas 4 --dry-run",
            "--replicas 4 --dry-run=server",
        ] {
            let refused = ends(&namespace, &format!("{words} -o json"), 4);
            let (message, hint) = told(&refused);
            assert!(message.contains("web-3") && message.contains(whose), "{message}");
            support::follow(&namespace, &hint);
        }
        assert_eq!(Picture::of(&namespace), before);
        // The ordinals below it are not in its way.
        ends(&namespace, "--replicas 3 --dry-run", 0);
        namespace.delete_pod("web-3");
    }
    ends(&namespace, "--replicas 4", 0);
    assert_eq!(Picture::of(&namespace).pods.len(), 4);
}

/// A set without claims has nothing else to be looked at before a step.
#[test]
fn a_name_that_is_taken_in_the_middle_stops_the_next_step() {
    for (hint, with_claims) in [("scale-taken-middle", true), ("scale-taken-bare", false)] {
        let namespace = TestCluster::shared().namespace(hint);
        let bare = web_set(1, |_| {});
        namespace.create_set(&if with_claims { set(1, |_| {}) } else { bare });
        let ready = namespace.directory().join("ready");
        let wait = format!("echo here; {}", until_there(&ready));
        let running = scale(&namespace, "--replicas 3 --timeout 20s -o json")
            .args(["--after", &wait])
            .start();
        running.wait_for_stderr("the first hook", |said| said.contains("after web-1: here"));
        foreign(&namespace, "web-2", &json!([]));
        std::fs::write(&ready, "").expect("a file");
        let output = running.finish().expect(7);
        let (message, hint) = told(&output);
        assert!(message.contains("web-2 cannot be created"), "{message}");
        support::follow(&namespace, &hint);
        let end = document(&output);
        assert_eq!((&end["replicas"], &end["next"]), (&json!(2), &Value::Null), "{end:#}");
        namespace.delete_pod("web-2");
        ends(&namespace, "--replicas 3", 0);
    }
}

/// Between our last look and the controller somebody takes the name: it is not waited
/// for until the deadline.
#[test]
fn a_name_that_is_taken_after_the_last_look_is_told() {
    let namespace = made("scale-taken-late", 2, |_| {});
    let (proxy, gate) = (namespace.cluster().proxy(), Gate::closed());
    let mut writes = 0;
    let steps = move |seen: &support::Seen| {
        let is_ours = seen.changes() && seen.path.contains("/statefulsets/web");
        writes += usize::from(is_ours);
        is_ours && writes == 2
    };
    proxy.once(steps, Fault::Hold(gate.clone()));
    let through = namespace.kubeconfig_through(&proxy);
    let running =
        scale(&namespace, "--replicas 3 --timeout 60s -o json").kubeconfig(through).start();
    gate.wait_until_reached(SOON);
    foreign(&namespace, "web-2", &json!([]));
    gate.release();
    let output = running.finish().expect(7);
    let (message, hint) = told(&output);
    assert!(message.contains("web-2 cannot be created"), "{message}");
    support::follow(&namespace, &hint);
    // The same command would wait for the same name.
    assert_eq!(document(&output)["next"], Value::Null, "{output}");
    assert_eq!(reason_ids(&ends(&namespace, "--replicas 3 -o json", 4))[0], "SCALE-NAME-TAKEN");
    namespace.delete_pod("web-2");
    ends(&namespace, "--replicas 3", 0);
    assert_eq!(Picture::of(&namespace).pods.len(), 3);
}

/// The usual way to look into a pod at leisure: its label is changed, and the set lets go
/// of it. It runs on, with its disk, when its ordinal is said to have left.
#[test]
fn a_pod_that_was_taken_from_the_set_is_not_gone() {
    let namespace = made("scale-quarantine", 3, |_| {});
    let before = Picture::of(&namespace);
    let ready = namespace.directory().join("ready");
    let wait = format!("echo here; {}", until_there(&ready));
    let after = namespace.directory().join("after");
    let told_after = format!("touch {}", after.display());
    let running = scale(&namespace, "--replicas 1 -o json")
        .args(["--before", &wait, "--after", &told_after])
        .start();
    running.wait_for_stderr("the first hook", |said| said.contains("before web-2: here"));
    let label = ["label", "pod", "web-2", "app=quarantine", "--overwrite"];
    namespace.kubectl(label).output().expect(0);
    wait_for(SOON, "the set to let go of it", || {
        let pod = namespace.get("v1", "pods", "web-2")?;
        pod["metadata"]["ownerReferences"].is_null().then_some(())
    });
    std::fs::write(&ready, "").expect("a file");
    let output = running.finish().expect(7);
    let (message, hint) = told_as(&output, "SCALE-POD-STAYS");
    assert!(message.contains("web-2") && message.contains("www-web-2"), "{message}");
    support::follow(&namespace, &hint);
    assert!(!after.exists(), "it is not gone");
    let end = document(&output);
    assert_eq!((&end["replicas"], &end["next"]), (&json!(2), &Value::Null), "{end:#}");
    let refused = ends(&namespace, "--replicas 1 -o json", 4);
    told_as(&refused, "SCALE-POD-STAYS");
    namespace.delete_pod("web-2");
    ends(&namespace, "--replicas 1", 0);
    Picture::of(&namespace).is_down_to(1, &before);
}
