//! Somebody else has a hand in it: in the middle of a run, and between two.

use std::thread;

use super::{
    super::support::{Fault, Gate, Seen},
    *,
};

/// What somebody else does, and what it is called.
type Meddling = (&'static str, fn(&Namespace));

const MEDDLING: [Meddling; 6] = [
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
fn in_the_middle_of_a_run_it_stops_it() {
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
    assert_eq!(reasons(&output), [id], "{output}");
    assert_eq!(written(), writes, "{id}: nothing is written after that\n{}", proxy.log());
    if id != "CANARY-SET-REPLACED" {
        let after = Picture::of(&namespace);
        after.keeps(&started, &["web-0"]);
    }
}

#[test]
fn between_two_runs_it_is_found_and_abort_goes_back() {
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
                    assert_eq!(reasons(&output), [*id], "{output}");
                }
                assert_eq!(Picture::of(&namespace).generation(), meddled.generation());
                let output = ends(&namespace, "abort web --timeout 30s", 0);
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
        assert_eq!(reasons(&output), ["CANARY-RECORD-UNUSABLE"], "{output}");
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

/// Every partition that the set ever had, in order.
fn partitions(namespace: &Namespace, stop: &std::sync::atomic::AtomicBool) -> Vec<u64> {
    let mut seen: Vec<u64> = Vec::new();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let partition = Picture::of(namespace).partition();
        seen.extend(partition.filter(|partition| seen.last() != Some(partition)));
    }
    seen
}

#[test]
fn two_promotes_at_once_move_nothing_twice() {
    let namespace = made("canary-two", 5, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (outputs, partitions) = thread::scope(|scope| {
        let watching = scope.spawn(|| partitions(&namespace, &stop));
        let promoting: Vec<_> =
            (0..2).map(|_| canary(&namespace, "promote web --full -o json").start()).collect();
        let outputs: Vec<Output> = promoting.into_iter().map(support::Running::finish).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (outputs, watching.join().expect("a watcher"))
    });
    for output in &outputs {
        assert!(matches!(output.code(), Some(0 | 7)), "{output}");
        if output.code() == Some(7) {
            assert_eq!(reasons(output), ["CANARY-TAKEN-OVER"], "{output}");
        }
    }
    assert!(outputs.iter().any(|output| output.code() == Some(0)), "one of them goes through");
    let through = Picture::of(&namespace);
    through.is_through(&before);
    assert_eq!(through.revisions.len(), 2);
    assert!(partitions.windows(2).all(|pair| pair[1] + 1 == pair[0]), "{partitions:?}");
}
