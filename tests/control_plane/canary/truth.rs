//! What `canary` says is looked at: what was undone, which pod was judged, what
//! others have changed, and what can be waited for.

use std::thread;

use super::{super::support::follow, conflicts::MEDDLING, *};

/// The hint of the finding with this id.
#[track_caller]
fn hint(output: &Output, id: &str) -> String {
    support::hint_of(&document(output), id)
}

#[track_caller]
fn undo(namespace: &Namespace) {
    namespace.kubectl(["rollout", "undo", "sts/web"]).output().success();
    namespace.wait_until_observed("web");
}

#[track_caller]
fn set_env(namespace: &Namespace, variable: &str) {
    namespace.kubectl(["set", "env", "sts/web", variable]).output().success();
    namespace.wait_until_observed("web");
}

/// All pods are on this revision, and ready.
#[track_caller]
fn until_all_on(namespace: &Namespace, revision: &str) {
    until(namespace, "all pods to be on one revision", |picture| {
        picture.pods.len() == 3
            && picture.pods.values().all(is_ready)
            && picture.pods.keys().all(|pod| picture.hash(pod) == Some(revision))
    });
}

/// Held at 2, changed, held at 3, undone: web-2 runs what was undone, and that
/// is neither new nor where an abort should go.
#[test]
fn a_change_that_was_undone_is_no_canary() {
    let namespace = made("canary-undone", 3, |_| {});
    let before = Picture::of(&namespace);
    edit(&namespace, &partition(2));
    set_env(&namespace, "BAD=1");
    let bad = until(&namespace, "web-2 to move", |picture| {
        picture.update() != before.update()
            && picture.hash("web-2") == Some(picture.update())
            && is_ready(&picture.pods["web-2"])
    });
    edit(&namespace, &partition(3));
    undo(&namespace);
    let undone = until(&namespace, "the controller", |p| p.update() == before.update());
    assert_eq!(undone.hash("web-2"), Some(bad.update()));

    let shown = document(&ends(&namespace, "status web -o json", 0));
    assert_eq!((&shown["stable"], &shown["target"]), (&json!(before.update()), &Value::Null));
    let history = document(&ends(&namespace, "history web -o json", 0));
    let class = |revision: &str| {
        let items = history["items"].as_array().expect("items").iter();
        items.clone().find(|item| item["name"] == revision).expect("a revision")["class"].clone()
    };
    assert_eq!((class(before.update()), class(bad.update())), (json!("stable"), json!("undone")));

    let plan = ends(&namespace, "plan web --adopt --exit-code -o json", 4);
    assert_eq!(error_ids(&plan), ["CANARY-UNDONE"], "{plan}");
    for words in ["start web --adopt", "promote web", "pause web"] {
        let output = ends(&namespace, &format!("{words} -o json"), 4);
        assert_eq!(reason_ids(&output), ["CANARY-UNDONE"], "{output}");
    }
    ends(&namespace, "abort web", 0);
    assert_eq!(Picture::of(&namespace).generation(), undone.generation());
    follow(&namespace, &hint(&plan, "CANARY-UNDONE"));
    until_all_on(&namespace, before.update());
    Picture::of(&namespace).keeps(&before, &["web-0", "web-1"]);
}

#[test]
fn under_on_delete_what_was_undone_is_no_canary() {
    let namespace = made("canary-undone-ondelete", 3, |set| {
        set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    });
    let before = Picture::of(&namespace);
    set_env(&namespace, "BAD=1");
    namespace.cluster().api().delete(&namespace.path("v1", "pods", "web-2"));
    until(&namespace, "web-2 to move", |picture| {
        picture.hash("web-2").is_some_and(|hash| hash != before.update())
            && is_ready(&picture.pods["web-2"])
    });
    undo(&namespace);
    until(&namespace, "the controller", |p| p.update() == before.update());
    let output = ends(&namespace, "start web --adopt -o json", 4);
    assert_eq!(reason_ids(&output), ["CANARY-UNDONE"], "{output}");
    follow(&namespace, &hint(&output, "CANARY-UNDONE"));
    until_all_on(&namespace, before.update());
}

/// The trap of kubernetes #67250: what cannot be pulled is never put back.
#[test]
fn in_the_trap_what_was_undone_is_no_canary() {
    let namespace = made("canary-undone-trap", 3, |_| {});
    let before = Picture::of(&namespace);
    let annotations = json!({"stateful.test/image-pull": "true"});
    edit(&namespace, &json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}));
    until(&namespace, "web-2 to be broken", |picture| {
        picture.hash("web-2").is_some_and(|hash| hash != before.update())
            && !is_ready(&picture.pods["web-2"])
    });
    undo(&namespace);
    until(&namespace, "the controller", |p| p.update() == before.update());
    let output = wait_for(SOON, "the pod to be broken for all to see", || {
        let output = canary(&namespace, "start web --adopt -o json").output();
        let said = output.stdout.contains("canary unstick");
        said.then_some(output)
    });
    assert_eq!(reason_ids(&output.clone().expect(4)), ["CANARY-UNDONE"], "{output}");
    follow(&namespace, &hint(&output, "CANARY-UNDONE"));
    until_all_on(&namespace, before.update());
}

fn gate(shown: &Value, pod: &str) -> String {
    let items = shown["items"].as_array().expect("items").iter();
    let item = items.clone().find(|item| item["name"] == pod).expect("the pod");
    let gates = item["gates"].as_array().expect("gates").iter();
    let judged = gates.clone().find(|gate| gate["gate"] == "judged");
    judged.map_or_else(String::new, |gate| gate["verdict"].as_str().unwrap_or("").to_owned())
}

/// A judgement is about one pod, by its uid and its restarts.
#[test]
fn a_pod_that_nobody_judged_has_not_passed() {
    let namespace = made("canary-judged", 3, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    let shown = || document(&canary(&namespace, "status web -o json").output().expect(0));
    assert_eq!((gate(&shown(), "web-2").as_str(), &shown()["stage"]), ("pass", &json!("paused")));

    // Deleted, and made again from the same revision.
    let judged = Picture::of(&namespace);
    namespace.cluster().api().delete(&namespace.path("v1", "pods", "web-2"));
    until(&namespace, "another web-2", |picture| {
        let another = picture.uid("web-2").is_some_and(|uid| Some(uid) != judged.uid("web-2"));
        another && is_ready(&picture.pods["web-2"])
    });
    assert_eq!(
        (gate(&shown(), "web-2").as_str(), &shown()["stage"]),
        ("pending", &json!("judging"))
    );
    ends(&namespace, "status web --wait-for paused --timeout 1s", 6);
    // The next promote is about that pod, and about no other.
    ends(&namespace, "promote web", 0);
    let promoted = Picture::of(&namespace);
    assert_eq!(promoted.partition(), Some(2));
    promoted.keeps(&before, &["web-0", "web-1"]);
    assert_eq!(gate(&shown(), "web-2"), "pass");

    // Restarted, and well again: judged again before another one goes.
    let restarted = json!([{
        "op": "replace", "path": "/status/containerStatuses/0/restartCount", "value": 2,
    }]);
    let path = format!("{}/status", namespace.path("v1", "pods", "web-2"));
    let json_patch = "application/json-patch+json";
    let api = namespace.cluster().api();
    let (status, body) = api.request(Method::PATCH, &path, Some(&restarted), json_patch);
    assert!(status.is_success(), "{status} {body}");
    assert_eq!(gate(&shown(), "web-2"), "pending");
    let running = canary(&namespace, "promote web --full --bake 60s").start();
    running.wait_for_stderr("the bake", |said| said.contains("web-2 to stay Ready for 60s"));
    Picture::of(&namespace).keeps(&before, &["web-0", "web-1"]);
    running.signal("INT");
    running.finish().expect(130);
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);
}

/// A pod that runs for a second is Ready for a second.
#[test]
fn by_default_a_pod_is_watched_for_a_while() {
    let namespace = made("canary-bake", 2, |_| {});
    let unprobed = made("canary-bake-unprobed", 2, |set| {
        container(set)["readinessProbe"] = Value::Null;
    });
    for (namespace, words) in [
        (&namespace, "web-1 to stay Ready for 10s without a restart"),
        (&unprobed, "web-1 to stay Ready for 30s without a restart"),
    ] {
        let start = ["canary"].into_iter().chain(START.split_whitespace()).chain(["--yes"]);
        let running = namespace.stateful(start).deadline(SOON).start();
        running.wait_for_stderr("the bake", |said| said.contains(words));
        running.signal("INT");
        running.finish().expect(130);
    }
}

/// What `promote` would stop for is what `status` shows, and what it tells
/// people to type works.
#[test]
fn status_shows_what_promote_would_refuse() {
    thread::scope(|scope| {
        for (id, meddle) in &MEDDLING[..4] {
            scope.spawn(move || {
                let namespace = made("canary-shown", 3, |_| {});
                ends(&namespace, START, 0);
                meddle(&namespace);
                namespace.wait_until_observed("web");
                namespace.wait_until_ready("web");
                let output = ends(&namespace, "status web -o json", 0);
                let shown = document(&output);
                assert_eq!(reason_ids(&output), [*id], "{output}");
                assert_eq!(shown["stage"], "changed", "{output}");
                ends(&namespace, "status web --exit-code", 3);
                ends(&namespace, "status web --wait-for paused --timeout 30s", 7);
                ends(&namespace, "status web --wait-for complete --timeout 30s", 7);
                for words in ["promote web -o json", "promote web --dry-run=server -o json"] {
                    let refused = ends(&namespace, words, 7);
                    assert_eq!(reason_ids(&refused), [*id], "{refused}");
                    let next = document(&refused)["next"].to_string().replace(" --bake 0", "");
                    assert_eq!(next, shown["next"].to_string());
                }
                let next = shown["next"][0]["command"].as_str().expect("a line");
                assert!(!next.contains("canary promote"), "{output}");
                follow(&namespace, &next.replace("--adopt", "--adopt --bake 0"));
                let after = ends(&namespace, "status web -o json", 0);
                assert_eq!(reason_ids(&after), Vec::<String>::new(), "{id}: {after}");
            });
        }
    });
}

#[test]
fn an_autoscaler_that_came_later_is_shown_and_refused() {
    let namespace = made("canary-later", 3, |_| {});
    ends(&namespace, START, 0);
    let hpa = ["autoscale", "sts", "web", "--min=3", "--max=3"];
    namespace.kubectl(hpa).output().success();
    let output = ends(&namespace, "status web -o json", 0);
    assert_eq!(reason_ids(&output), ["CANARY-HPA"], "{output}");
    assert!(!document(&output)["next"].to_string().contains("promote"), "{output}");
    ends(&namespace, "status web --exit-code", 3);
    let output = ends(&namespace, "promote web -o json", 4);
    assert_eq!(reason_ids(&output), ["CANARY-HPA"], "{output}");
    ends(&namespace, "promote web --allow CANARY-HPA", 0);
    ends(&namespace, "abort web", 0);
}

/// A rollout that goes on behind a canary: nothing is "paused".
#[test]
fn a_partition_that_was_taken_away_is_seen() {
    let namespace = made("canary-rolled", 3, |_| {});
    ends(&namespace, START, 0);
    edit(&namespace, &partition(0));
    until(&namespace, "all to move", |picture| {
        picture.pods.len() == 3
            && picture.pods.keys().all(|pod| picture.hash(pod) == Some(picture.update()))
            && picture.pods.values().all(is_ready)
    });
    let output = ends(&namespace, "status web", 0);
    assert!(output.stdout.contains("3 of 3 moved, changed by somebody else"), "{output}");
    ends(&namespace, "start web --adopt --bake 0", 0);

    ends(&namespace, "stage web", 0);
    let staged = ends(&namespace, "status web", 0);
    assert!(staged.stdout.contains("staged: new templates are held back"), "{staged}");
    assert!(!staged.stdout.contains("--adopt"), "nothing is there to adopt\n{staged}");
    edit_image(&namespace, "nginx:1.30");
    namespace.wait_until_observed("web");
    let waits = ends(&namespace, "status web", 0);
    assert!(waits.stdout.contains("staged: a new template waits"), "{waits}");
    assert!(waits.stdout.contains("--adopt"), "{waits}");
    edit(&namespace, &partition(0));
    let rolls = ends(&namespace, "status web", 0);
    assert!(!rolls.stdout.contains("held back"), "{rolls}");
    assert!(rolls.stdout.contains("CANARY-PARTITION-CHANGED"), "{rolls}");
    // The tree and the row of `status` are not silent about it, nor is promote.
    for words in [&["status", "web"][..], &["status"]] {
        let output = namespace.stateful(words).output();
        assert!(output.stdout.contains("STATUS-CANARY-CHANGED"), "{output}");
    }
    let output = ends(&namespace, "promote web -o json", 7);
    assert_eq!(reason_ids(&output), ["CANARY-PARTITION-CHANGED"], "{output}");
    // Held again, what was applied still waits.
    namespace.wait_until_ready("web");
    ends(&namespace, "stage web", 0);
    let waits = ends(&namespace, "status web", 0);
    assert!(waits.stdout.contains("staged: a new template waits"), "{waits}");
}

#[test]
fn a_wait_ends_when_its_goal_cannot_come() {
    let namespace = made("canary-wait", 3, |_| {});
    for goal in ["paused", "complete"] {
        let words = format!("status web --wait-for {goal} --timeout 30s -o json");
        let output = ends(&namespace, &words, 4);
        assert_eq!(reason_ids(&output), ["CANARY-NONE"], "{output}");
    }
    ends(&namespace, START, 0);
    let complete = canary(&namespace, "status web --wait-for complete --timeout 90s").start();
    complete.wait_for_stderr("the wait", |said| said.contains("waiting for"));
    ends(&namespace, "abort web", 0);
    let output = complete.finish().expect(10);
    assert!(output.stderr.contains("the canary was aborted"), "{output}");
    let apps = json!({
        "apiGroups": ["apps"], "resources": ["statefulsets", "controllerrevisions"],
        "verbs": ["get", "list", "watch"],
    });
    let blind = namespace.user("blind", &json!([apps]), &json!([]));
    ends(&namespace, START, 0);
    for goal in ["paused", "complete"] {
        let words = format!("status web --wait-for {goal} --timeout 30s");
        let output = canary(&namespace, &words).kubeconfig(&blind).output().expect(8);
        assert!(output.stdout.contains("moved unknown") || !output.stdout.contains("0 of 3"));
        assert!(!output.stdout.contains("Missing"), "{output}");
    }
}

/// The gates of the start are those that count, whatever a run in between had.
#[test]
fn gates_are_compared_with_those_of_the_start() {
    let namespace = made("canary-gates-differ", 4, |_| {});
    let same = "--bake 1s --deadline 5m";
    let output = ends(&namespace, &format!("{START} {same} -o json"), 0);
    let next = document(&output)["next"][0]["command"].as_str().expect("a line").to_owned();
    assert!(next.contains("canary promote web --bake 1s --deadline 5m"), "{next}");
    let differs = |words: &str| {
        let output = ends(&namespace, words, 0);
        output.stderr.contains("CANARY-GATES-DIFFER")
    };
    assert!(!differs(&format!("promote web {same}")));
    assert!(differs("promote web --bake 1s --deadline 6m"));
    assert!(!differs(&format!("promote web {same}")), "they are those of the start again");
}

/// What runs an earlier change has not moved to this one.
#[test]
fn a_pod_of_an_earlier_canary_moves_once_more() {
    let namespace = made("canary-moves", 3, |_| {});
    ends(&namespace, START, 0);
    edit_image(&namespace, "nginx:1.30");
    // For a moment there is no web-2.
    wait_for(SOON, "web-2 to have left the stable revision", || {
        let output = ends(&namespace, "status web", 0);
        output.stdout.contains("1 of 3 moved").then_some(())
    });
    edit(&namespace, &partition(3));
    namespace.wait_until_observed("web");
    let picture = Picture::of(&namespace);
    if picture.image("web-2") == Some("nginx:1.22") {
        let plan = document(&ends(&namespace, "plan web --adopt -o json", 0));
        assert_eq!(plan["items"][0]["class"], "moves", "{plan:#}");
    }
    ends(&namespace, "abort web --allow CANARY-OVERWRITES", 0);
}
