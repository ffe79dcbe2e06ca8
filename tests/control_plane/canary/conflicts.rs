//! Somebody else has a hand in it: in the middle of a run, and between two.

use std::thread;

use super::{
    super::support::{Fault, Gate, Seen},
    *,
};

/// What somebody else does, and what it is called.
pub(super) type Meddling = (&'static str, fn(&Namespace));

pub(super) const MEDDLING: [Meddling; 6] = [
    ("CANARY-TEMPLATE-CHANGED", |namespace| edit_image(namespace, "nginx:1.30")),
    ("CANARY-PARTITION-CHANGED", |namespace| edit(namespace, &partition(3))),
    ("CANARY-REPLICAS-CHANGED", |namespace| edit(namespace, &json!({"spec": {"replicas": 4}}))),
    ("CANARY-STRATEGY-CHANGED", |namespace| {
        let strategy = json!({"type": "OnDelete", "rollingUpdate": null});
        edit(namespace, &json!({"spec": {"updateStrategy": strategy}}));
    }),
    ("CANARY-TAKEN-OVER", |namespace| {
        edit(namespace, &json!({"metadata": {"annotations": {ANNOTATION: null}}}));
    }),
    ("CANARY-SET-REPLACED", |namespace| {
        namespace.kubectl(["delete", "sts", "web"]).deadline(SOON).output().success();
        make(namespace, 3, |_| {});
    }),
];

fn patches(seen: &Seen) -> bool {
    seen.method == Method::PATCH && seen.path.contains("/statefulsets/web")
}

/// Before a step is written, and while an ordinal is watched.
#[test]
fn a_change_by_others_during_a_run_stops_it() {
    thread::scope(|scope| {
        for (id, meddle) in MEDDLING {
            for baking in [false, true] {
                scope.spawn(move || stops_in_the_middle(id, meddle, baking));
            }
        }
    });
}

fn stops_in_the_middle(id: &str, meddle: fn(&Namespace), baking: bool) {
    let namespace = made("canary-meddle", 3, |_| {});
    ends(&namespace, START, 0);
    let started = Picture::of(&namespace);
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    let words =
        if baking { "promote web --full --bake 60s -o json" } else { "promote web --full -o json" };
    if !baking {
        proxy.when(patches, Fault::Hold(gate.clone()));
    }
    let run = canary(&namespace, words).kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    if baking {
        run.wait_for_stderr("the bake", |said| said.contains("web-1 to stay Ready"));
    } else {
        gate.wait_until_reached(SOON);
    }
    let written = || proxy.count(|seen| seen.writes() && seen.status == Some(200));
    let writes = written();
    meddle(&namespace);
    gate.release();
    let output = run.finish().expect(7);
    assert_eq!(reason_ids(&output), [id], "{output}");
    // The line that goes on is for the same goal, behind the same gates.
    let next = document(&output)["next"][0]["command"].clone();
    let bake = if baking { "--bake 60s" } else { "--bake 0" };
    if let Some(line) = next.as_str().filter(|line| line.contains("--adopt")) {
        assert!(line.contains("--percent 100") && line.contains(bake), "{line}");
        // Of a canary that somebody has ended there is no judgement with a line.
        let hint = document(&output)["reasons"][0]["hint"].clone();
        assert_eq!(hint.as_str() == Some(line), id != "CANARY-TAKEN-OVER", "{output}");
    }
    assert_eq!(written(), writes, "{id}: nothing is written after that\n{}", proxy.log());
    if id != "CANARY-SET-REPLACED" {
        let after = Picture::of(&namespace);
        after.keeps(&started, &["web-0"]);
    }
}

#[test]
fn a_change_by_others_between_runs_is_found_and_abort_goes_back() {
    thread::scope(|scope| {
        // Without the annotation, or with another set, there is no canary.
        for (id, meddle) in &MEDDLING[..4] {
            scope.spawn(move || {
                let namespace = made("canary-between-runs", 3, |_| {});
                let before = Picture::of(&namespace);
                ends(&namespace, START, 0);
                meddle(&namespace);
                let meddled = Picture::of(&namespace);
                for words in ["promote web --full -o json", "promote web --count 3 -o json"] {
                    let output = ends(&namespace, words, 7);
                    assert_eq!(reason_ids(&output), [*id], "{output}");
                }
                assert_eq!(Picture::of(&namespace).generation(), meddled.generation());
                let mut words = "abort web --timeout 30s".to_owned();
                if *id == "CANARY-TEMPLATE-CHANGED" {
                    // Somebody else's change is not lost in silence.
                    let output = ends(&namespace, &format!("{words} -o json"), 4);
                    assert_eq!(reason_ids(&output), ["CANARY-OVERWRITES"], "{output}");
                    assert!(output.stdout.contains("nginx:1.22 → nginx:1.30"), "{output}");
                    ends(&namespace, &format!("{words} --dry-run=client"), 4);
                    assert_eq!(Picture::of(&namespace).generation(), meddled.generation());
                    words += " --allow CANARY-OVERWRITES";
                }
                let output = ends(&namespace, &words, 0);
                let says = output.stderr.contains("lost     the template");
                assert_eq!(says, *id == "CANARY-TEMPLATE-CHANGED", "{output}");
                let back = Picture::of(&namespace);
                assert_eq!(back.update(), before.update(), "{id}\n{output}");
                assert_eq!(back.annotation(), None);
                for pod in before.pods.keys() {
                    assert_eq!(back.hash(pod), Some(before.update()), "{id}: {pod}\n{output}");
                }
                back.keeps(&before, &["web-0", "web-1"]);
            });
        }
    });
}

/// What was changed becomes the canary when somebody says so.
#[test]
fn what_was_changed_can_be_adopted() {
    for (meddle, replicas) in [(MEDDLING[0].1, 3), (MEDDLING[1].1, 3), (MEDDLING[2].1, 4)] {
        let namespace = made("canary-readopt", 3, |_| {});
        let before = Picture::of(&namespace);
        ends(&namespace, START, 0);
        meddle(&namespace);
        until(&namespace, "the change to arrive", |picture| {
            picture.set["status"]["observedGeneration"] == *picture.generation()
                && picture.pods.len() == replicas
                && picture.hash("web-2") == Some(picture.update())
                && picture.pods.values().all(is_ready)
        });
        ends(&namespace, "start web --adopt", 0);
        ends(&namespace, "promote web --full", 0);
        let through = Picture::of(&namespace);
        assert_eq!(through.pods.len(), replicas);
        through.is_through(&before);
    }
}

/// The partition counts from `ordinals.start`: whoever moves that has changed which
/// pods it holds, and no pod has slipped past it.
#[test]
fn another_first_ordinal_is_named_as_such() {
    let id = "CANARY-ORDINALS-CHANGED";
    for adopts in [true, false] {
        let namespace = made("canary-first-ordinal", 3, |_| {});
        let before = Picture::of(&namespace);
        ends(&namespace, START, 0);
        edit(&namespace, &json!({"spec": {"ordinals": {"start": 1}}}));
        until(&namespace, "the ordinals to move", |picture| {
            let names: Vec<&str> = picture.pods.keys().map(String::as_str).collect();
            names == ["web-1", "web-2", "web-3"] && picture.pods.values().all(is_ready)
        });
        namespace.wait_until_ready("web");
        let meddled = Picture::of(&namespace);
        let status = ends(&namespace, "status web --exit-code -o json", 3);
        assert_eq!(reason_ids(&status), [id], "{status}");
        let said = document(&status)["reasons"][0]["message"].to_string();
        assert!(said.contains("spec.ordinals.start from 0 to 1"), "{status}");
        assert!(said.contains("web-1 to web-2"), "{status}");
        let output = ends(&namespace, "promote web -o json", 7);
        assert_eq!(reason_ids(&output), [id], "{output}");
        assert_eq!(Picture::of(&namespace).generation(), meddled.generation());
        let lines = document(&status)["next"].clone();
        let line = |at: usize| lines[at]["command"].as_str().expect("a line").to_owned();
        if adopts {
            support::follow(&namespace, &line(0).replace("--adopt", "--adopt --bake 0"));
            ends(&namespace, "promote web --full", 0);
            let through = Picture::of(&namespace);
            for pod in ["web-1", "web-2", "web-3"] {
                assert_eq!(through.image(pod), Some("nginx:1.22"), "{pod}");
            }
        } else {
            support::follow(&namespace, &line(1));
            let back = Picture::of(&namespace);
            assert_eq!(back.update(), before.update());
            for pod in ["web-1", "web-2", "web-3"] {
                assert_eq!(back.hash(pod), Some(before.update()), "{pod}");
            }
        }
        assert_eq!(Picture::of(&namespace).annotation(), None);
    }
}

#[test]
fn a_set_that_was_made_again_has_no_canary() {
    let namespace = made("canary-again", 3, |_| {});
    ends(&namespace, START, 0);
    let text = Picture::of(&namespace).set["metadata"]["annotations"][ANNOTATION].clone();
    (MEDDLING[5].1)(&namespace);
    ends(&namespace, "promote web --full", 0);
    ends(&namespace, "abort web", 0);
    // Whoever keeps manifests may have kept the annotation with them.
    edit(&namespace, &json!({"metadata": {"annotations": {ANNOTATION: text}}}));
    let copied = Picture::of(&namespace);
    for words in [START, "promote web", "abort web", "pause web", "stage web"] {
        let output = ends(&namespace, &format!("{words} -o json"), 4);
        assert_eq!(reason_ids(&output), ["CANARY-RECORD-UNUSABLE"], "{output}");
    }
    assert_eq!(Picture::of(&namespace).generation(), copied.generation());
}

#[test]
fn a_stable_pod_that_is_deleted_comes_back_as_it_was() {
    let namespace = made("canary-stable-pod", 4, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    proxy.once(patches, Fault::HoldAnswer(gate.clone()));
    let run = canary(&namespace, "promote web --count 2");
    let run = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    // The step to web-2 is written; while it moves, web-0 is lost.
    gate.wait_until_reached(SOON);
    namespace.cluster().api().delete(&namespace.path("v1", "pods", "web-0"));
    gate.release();
    run.finish().expect(0);
    let promoted = Picture::of(&namespace);
    assert_ne!(promoted.uid("web-0"), before.uid("web-0"));
    assert_eq!(promoted.hash("web-0"), Some(before.update()), "it came back on the old revision");
    promoted.keeps(&before, &["web-1"]);
    assert_eq!(promoted.partition(), Some(2));
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);
}

#[test]
fn two_promotes_at_once_move_nothing_twice() {
    let namespace = made("canary-two", 5, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    // A watch misses no change, however slow the machine is.
    let path = "jsonpath={.spec.updateStrategy.rollingUpdate.partition}{\"\\n\"}";
    let watching = ["get", "sts", "web", "--watch", "-o", path];
    let watching = namespace.kubectl(watching).deadline(SOON).start();
    watching.wait_for_stdout("the first partition", |seen| seen.contains("4\n"));
    let promoting: Vec<_> =
        (0..2).map(|_| canary(&namespace, "promote web --full -o json").start()).collect();
    let outputs: Vec<Output> = promoting.into_iter().map(support::Running::finish).collect();
    for output in &outputs {
        assert!(matches!(output.code(), Some(0 | 7)), "{output}");
        if output.code() == Some(7) {
            assert_eq!(reason_ids(output), ["CANARY-TAKEN-OVER"], "{output}");
        }
    }
    assert!(outputs.iter().any(|output| output.code() == Some(0)), "one of them goes through");
    let through = Picture::of(&namespace);
    through.is_through(&before);
    assert_eq!(through.revisions.len(), 2);
    let seen = watching.wait_for_stdout("the last partition", |seen| seen.contains("0\n"));
    watching.signal("TERM");
    watching.finish();
    let mut partitions: Vec<u64> =
        seen.lines().map(|line| line.parse().expect("a partition")).collect();
    partitions.dedup();
    assert_eq!(partitions, [4, 3, 2, 1, 0]);
}

/// Whose template is overwritten is said, and nothing is overwritten that came
/// after somebody has agreed, or after an abort has put the stable one back.
#[test]
fn an_abort_overwrites_no_template_in_silence() {
    let namespace = made("canary-overwrites", 3, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    // Who changed it is told from managedFields, whose times are in whole seconds.
    a_second_after(&managed_last(&Picture::of(&namespace)));
    namespace.kubectl(["set", "image", "sts/web", "nginx=nginx:1.30"]).output().success();
    namespace.wait_until_observed("web");
    let output = ends(&namespace, "abort web", 4);
    assert!(output.stderr.contains("kubectl-set (at 20"), "{output}");
    let shown = document(&ends(&namespace, "status web -o json", 0));
    assert_eq!(shown["foreignTemplate"]["manager"], "kubectl-set", "{shown}");
    let back = shown["next"][1]["command"].as_str().expect("a line").to_owned();
    assert!(back.contains("abort web --allow CANARY-OVERWRITES"), "{back}");

    // After that was shown and agreed to, there is another one.
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    proxy.once(patches, Fault::Hold(gate.clone()));
    let run = canary(&namespace, "abort web --allow CANARY-OVERWRITES -o json");
    let run = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    gate.wait_until_reached(SOON);
    edit_image(&namespace, "nginx:1.31");
    gate.release();
    let output = run.finish().expect(7);
    assert_eq!(reason_ids(&output), ["CANARY-TEMPLATE-CHANGED"], "{output}");
    let set = Picture::of(&namespace).set;
    let image = &set["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "nginx:1.31", "it is still there");

    // And one after the stable one was put back.
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    proxy.once(patches, Fault::HoldAnswer(gate.clone()));
    let run = canary(&namespace, "abort web --allow CANARY-OVERWRITES -o json");
    let run = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    gate.wait_until_reached(SOON);
    edit_image(&namespace, "nginx:1.32");
    gate.release();
    let output = run.finish().expect(7);
    assert_eq!(reason_ids(&output), ["CANARY-TEMPLATE-CHANGED"], "{output}");
    let shown = ends(&namespace, "status web", 0);
    assert!(shown.stdout.contains("aborting, and the template was changed"), "{shown}");
    let again = ends(&namespace, "abort web -o json", 4);
    assert_eq!(reason_ids(&again), ["CANARY-OVERWRITES"], "{again}");
    ends(&namespace, "abort web --allow CANARY-OVERWRITES", 0);
    Picture::of(&namespace).is_back_on(&before);
}

/// What was allowed at the start is in the lines that go on.
#[test]
fn what_was_allowed_is_passed_on() {
    let namespace = made("canary-allowed", 3, |_| {});
    let hpa = ["autoscale", "sts", "web", "--min=3", "--max=3"];
    namespace.kubectl(hpa).output().success();
    let output = ends(&namespace, &format!("{START} --allow CANARY-HPA -o json"), 0);
    let next = |output: &Output| {
        document(output)["next"][0]["command"].as_str().expect("a line").to_owned()
    };
    assert!(next(&output).contains("promote web --bake 0 --allow CANARY-HPA"), "{output}");
    let status = ends(&namespace, "status web -o json", 0);
    assert!(next(&status).contains("promote web --allow CANARY-HPA"), "{status}");
    assert!(error_ids(&status).is_empty(), "{status}");
    ends(&namespace, "promote web", 4);
    support::follow(&namespace, &next(&output));
    assert_eq!(Picture::of(&namespace).partition(), Some(1));
}

/// When the fields of the set were written last.
fn managed_last(picture: &Picture) -> String {
    let managers = picture.set["metadata"]["managedFields"].as_array().expect("managers").iter();
    let times = managers.filter_map(|manager| manager["time"].as_str());
    times.max().expect("a time").to_owned()
}
