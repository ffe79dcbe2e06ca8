//! Ordinals that do not become well, and the way out.

use std::thread;

use super::*;

/// A new version whose pods fail from the beginning.
#[track_caller]
fn start_broken(namespace: &Namespace, knob: &str, flags: &str, code: i32) -> Output {
    let words = format!("start web --patch-file - -o json {flags}");
    canary(namespace, &words).stdin(broken_by(knob)).output().expect(code)
}

#[test]
fn a_version_that_never_works_moves_one_ordinal_and_no_more() {
    let cases = [
        ("image-pull", "--count 3", 5, "CANARY-POD-BROKEN"),
        ("crash-loop", "--count 3", 5, "CANARY-POD-BROKEN"),
        ("never-ready", "--count 3 --deadline 2s", 6, "CANARY-DEADLINE"),
    ];
    thread::scope(|scope| {
        for (knob, flags, code, id) in cases {
            for policy in ["OrderedReady", "Parallel"] {
                scope.spawn(move || {
                    let namespace = made("canary-broken", 3, |set| {
                        set["spec"]["podManagementPolicy"] = json!(policy);
                    });
                    let before = Picture::of(&namespace);
                    let output = start_broken(&namespace, knob, flags, code);
                    assert_eq!(reason_ids(&output), [id], "{output}");
                    let broken = Picture::of(&namespace);
                    broken.keeps(&before, &["web-0", "web-1"]);
                    assert_eq!(broken.partition(), Some(2));
                    // Asked again it says the same, and moves nothing.
                    let again = "promote web --full -o json --deadline 2s";
                    let output = ends(&namespace, again, code);
                    assert_eq!(reason_ids(&output), [id], "{output}");
                    let output = start_broken(&namespace, knob, flags, code);
                    assert_eq!(reason_ids(&output), [id], "{output}");
                    Picture::of(&namespace).keeps(&broken, &["web-0", "web-1", "web-2"]);
                    let shown =
                        ends(&namespace, "status web --exit-code", if code == 5 { 3 } else { 9 });
                    assert!(shown.stdout.contains("canary abort web"), "{shown}");

                    ends(&namespace, "abort web --unstick-after 2s", 0);
                    let back = Picture::of(&namespace);
                    back.is_back_on(&before);
                    back.keeps(&before, &["web-0", "web-1"]);
                    assert_eq!(back.revisions.len(), 2);
                });
            }
        }
    });
}

#[test]
fn a_failed_canary_is_aborted_when_that_was_asked_for() {
    let namespace = made("canary-onfailure", 3, |_| {});
    let before = Picture::of(&namespace);
    let output = start_broken(&namespace, "image-pull", "--on-failure abort", 10);
    assert_eq!(document(&output)["result"], "reverted");
    assert!(reason_ids(&output).contains(&"CANARY-POD-BROKEN".to_owned()), "{output}");
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &["web-0", "web-1"]);
}

/// At every ordinal: those above keep the new version, those below are left alone.
#[test]
fn whichever_ordinal_breaks_those_below_are_left_alone() {
    thread::scope(|scope| {
        for index in 0..3_u32 {
            for (knob, id) in
                [("image-pull", "CANARY-POD-BROKEN"), ("never-ready", "CANARY-NOT-STEADY")]
            {
                scope.spawn(move || breaks_at(index, knob, id));
            }
        }
    });
}

fn breaks_at(index: u32, knob: &str, id: &str) {
    let namespace = made("canary-breaks", 3, |_| {});
    let before = Picture::of(&namespace);
    let pod = format!("web-{index}");
    let words = if index == 2 {
        format!("{START} --count 3 --bake 60s -o json")
    } else {
        ends(&namespace, &format!("{START} --to-ordinal {}", index + 1), 0);
        "promote web --full --bake 60s -o json".to_owned()
    };
    let running = canary(&namespace, &words).start();
    running.wait_for_stderr("the bake", |said| said.contains(&format!("{pod} to stay Ready")));
    turn(&namespace, &pod, knob, true);
    let output = running.finish().expect(5);
    assert_eq!(reason_ids(&output)[0], id, "{output}");
    let broken = Picture::of(&namespace);
    let below: Vec<String> = (0..index).map(|below| format!("web-{below}")).collect();
    let below: Vec<&str> = below.iter().map(String::as_str).collect();
    broken.keeps(&before, &below);
    assert_eq!(broken.partition(), Some(index.into()));
    for above in index..3 {
        let above = format!("web-{above}");
        assert_eq!(broken.hash(&above), Some(broken.update()), "{above}");
    }
    ends(&namespace, "abort web --unstick-after 2s", 0);
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &below);
    assert_eq!(back.revisions.len(), 2);
}

/// An ordinal that moved earlier and was good breaks while another one moves.
#[test]
fn an_earlier_ordinal_that_breaks_stops_it_too() {
    let namespace = made("canary-earlier", 3, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    turn(&namespace, "web-2", "crash-loop", true);
    until(&namespace, "web-2 to fail", |picture| !is_ready(&picture.pods["web-2"]));
    let broken = Picture::of(&namespace);
    let output = ends(&namespace, "promote web -o json", 5);
    assert_eq!(reason_ids(&output), ["CANARY-POD-BROKEN"]);
    Picture::of(&namespace).keeps(&broken, &["web-0", "web-1", "web-2"]);
    // Mended, it goes on.
    turn(&namespace, "web-2", "crash-loop", false);
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);
}

#[test]
fn a_broken_stable_pod_is_left_to_a_person() {
    let namespace = made("canary-manual", 3, |_| {});
    let before = Picture::of(&namespace);
    // Long enough that web-0 does not count as new when it fails.
    start_broken(&namespace, "never-ready", "--deadline 5s", 6);
    turn(&namespace, "web-0", "never-ready", true);
    until(&namespace, "web-0 to fail", |picture| !is_ready(&picture.pods["web-0"]));
    let output = ends(&namespace, "abort web --unstick-after 2s -o json", 11);
    assert_eq!(reason_ids(&output), ["CANARY-STABLE-POD-BLOCKS"], "{output}");
    let held = Picture::of(&namespace);
    held.keeps(&before, &["web-0", "web-1"]);
    assert_eq!(held.set["spec"]["template"], before.set["spec"]["template"], "that much is done");
    turn(&namespace, "web-0", "never-ready", false);
    ends(&namespace, "abort web --unstick-after 2s", 0);
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &["web-0", "web-1"]);
}

/// Made with kubectl alone: applied, taken back, and stuck (kubernetes #67250).
#[test]
fn unstick_frees_a_set_that_waits_for_a_reverted_pod() {
    let namespace = made("canary-unstick", 3, |_| {});
    ends(&namespace, "unstick web", 0);
    let before = Picture::of(&namespace);
    let annotations = |value: Value| {
        let patch = json!({"stateful.test/never-ready": value});
        json!({"spec": {"template": {"metadata": {"annotations": patch}}}})
    };
    edit(&namespace, &annotations(json!("true")));
    until(&namespace, "the broken pod", |picture| {
        picture.uid("web-2").is_some()
            && picture.uid("web-2") != before.uid("web-2")
            && !is_ready(&picture.pods["web-2"])
    });
    // It runs what the template names: deleting it would change nothing.
    let output = ends(&namespace, "unstick web --unstick-after 0s -o json", 4);
    assert_eq!(reason_ids(&output), ["CANARY-NOTHING-TRAPPED"]);
    edit(&namespace, &annotations(Value::Null));
    until(&namespace, "the controller", |p| p.update() == before.update());
    let trapped = Picture::of(&namespace);
    let output = ends(&namespace, "unstick web --unstick-after 10m -o json", 4);
    assert_eq!(reason_ids(&output), ["CANARY-NOTHING-TRAPPED"], "it may yet become Ready");
    Picture::of(&namespace).keeps(&trapped, &["web-0", "web-1", "web-2"]);
    wait_for(SOON, "the patience to run out", || {
        let output = canary(&namespace, "unstick web --unstick-after 2s --dry-run=client").output();
        (output.code() == Some(0)).then_some(())
    });
    let output = ends(&namespace, "unstick web --unstick-after 2s", 0);
    assert!(
        output.stderr.contains("web-2 is the lowest ordinal of web that is not available"),
        "{output}"
    );
    let freed = Picture::of(&namespace);
    freed.keeps(&before, &["web-0", "web-1"]);
    assert_eq!(freed.hash("web-2"), Some(before.update()));
    assert_ne!(freed.uid("web-2"), trapped.uid("web-2"));
}

/// A budget for all of the pods, of which so many must stay.
#[track_caller]
fn budget(namespace: &Namespace, least: u32) {
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "nginx"}}},
    });
    namespace.apply(&budget.to_string());
}

#[track_caller]
fn until_allowed(namespace: &Namespace, allowed: u32) {
    wait_for(SOON, "the budget to be counted", || {
        let budget = namespace.get("policy/v1", "poddisruptionbudgets", "web")?;
        let status = &budget["status"];
        (status["disruptionsAllowed"] == allowed
            && status["observedGeneration"] == budget["metadata"]["generation"])
            .then_some(())
    });
}

#[test]
fn a_budget_without_room_is_waited_for_and_can_be_left_out() {
    let namespace = made("canary-budget", 4, |_| {});
    let before = Picture::of(&namespace);
    budget(&namespace, 4);
    until_allowed(&namespace, 0);
    // One that needs all of its pods never has room: nobody waits for that.
    let never = |words: &str| {
        let asked = Picture::of(&namespace);
        let output = ends(&namespace, &format!("{words} --deadline 2s -o json"), 4);
        assert_eq!(error_ids(&output), ["CANARY-NO-HEADROOM"], "{output}");
        let after = Picture::of(&namespace);
        assert_eq!(after.generation(), asked.generation(), "nothing was told to move");
    };
    never(START);

    // There is room, and then there is none.
    budget(&namespace, 3);
    until_allowed(&namespace, 1);
    ends(&namespace, START, 0);
    budget(&namespace, 4);
    until_allowed(&namespace, 0);
    never("promote web");
    ends(&namespace, "promote web --no-budgets", 0);
    assert_eq!(Picture::of(&namespace).partition(), Some(2));

    // One that loses its room during a run is waited for.
    budget(&namespace, 3);
    until_allowed(&namespace, 1);
    let waiting = canary(&namespace, "promote web --full --bake 10s").start();
    waiting.wait_for_stderr("the bake", |said| said.contains("web-1 to stay Ready"));
    budget(&namespace, 4);
    until_allowed(&namespace, 0);
    waiting.wait_for_stderr("the wait for the budget", |said| {
        said.contains("PodDisruptionBudget web to allow web-0 to go")
    });
    Picture::of(&namespace).keeps(&before, &["web-0"]);
    budget(&namespace, 3);
    waiting.finish().expect(0);
    Picture::of(&namespace).is_through(&before);
}

#[test]
fn a_budget_without_room_is_overridden_by_its_own_id() {
    let namespace = made("canary-no-room", 3, |_| {});
    let before = Picture::of(&namespace);
    budget(&namespace, 3);
    until_allowed(&namespace, 0);
    let refused = |words: &str| {
        for other in ["", "--allow CANARY-SINGLE-REPLICA"] {
            let asked = Picture::of(&namespace);
            let output = ends(&namespace, &format!("{words} {other} --deadline 2s -o json"), 4);
            assert_eq!(error_ids(&output), ["CANARY-NO-HEADROOM"], "{output}");
            assert_eq!(Picture::of(&namespace).generation(), asked.generation(), "{words}");
        }
    };
    let allowed = "--allow CANARY-NO-HEADROOM --deadline 60s";
    refused(START);
    ends(&namespace, &format!("{START} {allowed}"), 0);
    let started = Picture::of(&namespace);
    started.keeps(&before, &["web-0", "web-1"]);
    assert_eq!((started.partition(), started.image("web-2")), (Some(2), Some("nginx:1.22")));
    until_allowed(&namespace, 0);
    refused("promote web --full");
    ends(&namespace, &format!("promote web --full {allowed}"), 0);
    Picture::of(&namespace).is_through(&before);
}
