//! Killed, cut and refused at every request: the same command again, and the
//! same end.

use std::{fmt, io::Write, time::Instant};

use super::{
    super::support::{Fault, FaultProxy, Gate, Mishap, Point, Seen, sweep_requests},
    *,
};

/// A lost pod is back within this time.
const A_MOMENT: Duration = Duration::from_secs(10);
/// How many points of each sweep are tried, unless all are asked for.
const SAMPLE: usize = 10;

/// A command that takes a set at rest to another state of rest.
struct Story {
    name: &'static str,
    prepare: fn(&Namespace),
    command: &'static str,
}

const STORIES: [Story; 3] = [
    Story {
        name: "start",
        prepare: |namespace| make(namespace, 3, |_| {}),
        command: "start web --image nginx=nginx:1.22 --count 2",
    },
    Story {
        name: "promote",
        prepare: |namespace| {
            make(namespace, 3, |_| {});
            ends(namespace, START, 0);
        },
        command: "promote web --full",
    },
    Story {
        name: "abort",
        prepare: |namespace| {
            make(namespace, 3, |_| {});
            let broken = "start web --patch-file -";
            canary(namespace, broken).stdin(broken_by("image-pull")).output().expect(5);
        },
        command: "abort web",
    },
];

impl Story {
    fn run(&self, namespace: &Namespace, proxy: &FaultProxy) -> Run {
        canary(namespace, self.command).kubeconfig(namespace.kubeconfig_through(proxy))
    }

    /// How it ends when nothing goes wrong, and after how many requests.
    fn undisturbed(&self) -> (Value, usize) {
        let namespace = TestCluster::for_sweeps().namespace(&format!("clean-{}", self.name));
        (self.prepare)(&namespace);
        let proxy = namespace.cluster().proxy();
        self.run(&namespace, &proxy).output().expect(0);
        (Picture::of(&namespace).end(), proxy.requests().len())
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn try_point(point: &Point<'_, Story, Value>) {
    let Point { story, end: wanted, .. } = point;
    let namespace = TestCluster::for_sweeps().namespace(&format!("point-{}", story.name));
    (story.prepare)(&namespace);
    let (proxy, victim) = point.proxy(namespace.cluster());
    let output = story.run(&namespace, &proxy).victim(&victim).output();
    let mut last = output.clone();
    if !point.survived(&output, &proxy) {
        last = canary(&namespace, story.command).output().expect(0);
    }
    let mut end = Value::Null;
    let begun = Instant::now();
    // A fake node that is busy deletes by name, and may hit a pod's successor.
    // The controller then makes it again, of the same revision.
    while end != **wanted && begun.elapsed() < A_MOMENT {
        end = Picture::of(&namespace).end();
    }
    assert!(
        end == **wanted,
        "{output}\n{}\n{last}\nwanted {wanted:#}\nbut it is {end:#}",
        proxy.log()
    );
}

/// Tries every mishap at every request of every story.
fn sweep(name: &str, mishaps: &[Mishap]) {
    sweep_requests(name, &STORIES, mishaps, SAMPLE, Story::undisturbed, try_point);
}

#[test]
fn killed_at_any_request_the_same_command_goes_on() {
    sweep("killed", &Mishap::KILLED);
}

#[test]
fn when_any_answer_is_lost_the_end_is_the_same() {
    sweep("dropped", &Mishap::DROPPED);
}

#[test]
fn when_any_answer_is_an_error_the_end_is_the_same() {
    sweep("errors", &Mishap::ERRORS);
}

/// Watches that break off all the time slow it down, and no more.
#[test]
fn watches_that_are_cut_again_and_again_change_nothing() {
    for story in STORIES {
        let (wanted, _) = story.undisturbed();
        for events in [0, 1] {
            let namespace = TestCluster::for_sweeps().namespace(&format!("cut-{}", story.name));
            (story.prepare)(&namespace);
            let proxy = namespace.cluster().proxy();
            // Not at once again and again: a server that tells nothing is another story.
            let mut turn = 0;
            proxy.on(move |seen| {
                turn += usize::from(seen.watch);
                let cut = seen.watch && (events > 0 || turn % 2 == 0);
                cut.then_some(Fault::CutWatchAfter(events))
            });
            story.run(&namespace, &proxy).output().expect(0);
            assert_eq!(Picture::of(&namespace).end(), wanted, "{}\n{}", story.name, proxy.log());
        }
    }
}

#[test]
fn ctrl_c_leaves_the_set_at_rest() {
    let namespace = made("canary-signal", 3, |_| {});
    let before = Picture::of(&namespace);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let words = format!("{START} --count 2 --bake 90s");
        let running = canary(&namespace, &words).start();
        running.wait_for_stderr("the bake", |said| said.contains("web-2 to stay Ready for 90s"));
        running.signal(signal);
        let output = running.finish().expect(code);
        let hint = output.stderr.lines().find(|line| line.starts_with("hint: to continue: "));
        let hint = hint.unwrap_or_default();
        assert!(hint.contains(" kubectl stateful canary start web "), "{output}");
        assert!(hint.contains(" --image nginx=nginx:1.22 --count 2 --bake 90s"), "{output}");
        let rests = Picture::of(&namespace);
        rests.keeps(&before, &["web-0", "web-1"]);
        assert_eq!(rests.partition(), Some(2));
        assert_eq!(rests.hash("web-2"), Some(rests.update()));
    }
    let running = canary(&namespace, "promote web --full --bake 5s").start();
    running.wait_for_stderr("the next ordinal", |said| said.contains("web-1 to stay Ready"));
    running.signal("INT");
    running.finish().expect(130);
    assert_eq!(Picture::of(&namespace).partition(), Some(1));
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);
}

/// The last picture shows the last write, also when nobody was told how it went.
#[test]
fn ctrl_c_during_a_write_shows_what_it_did() {
    let namespace = made("canary-signal-write", 2, |_| {});
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    let write = |seen: &Seen| seen.method == Method::PATCH && !seen.path.contains("dryRun");
    proxy.once(write, Fault::HoldAnswer(gate.clone()));
    let run = canary(&namespace, &format!("{START} -o json"));
    let running = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    gate.wait_until_reached(SOON);
    running.signal("INT");
    let output = running.finish().expect(130);
    gate.release();
    assert!(output.stderr.contains("the last write got no answer: it may have happened"));
    let document = document(&output);
    assert_eq!((&document["stage"], &document["partition"]), (&json!("judging"), &json!(1)));
}

/// What is shown at the end is read then, and not what the watches last told.
#[test]
fn the_last_picture_is_read_again() {
    let namespace = made("canary-last-picture", 3, |_| {});
    ends(&namespace, START, 0);
    let started = Picture::of(&namespace);
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    proxy.when(|seen: &Seen| seen.watch && seen.path.ends_with("/pods"), Fault::Hold(gate.clone()));
    let run = canary(&namespace, "promote web --bake 60s -o json");
    let running = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    let moved = until(&namespace, "web-1 to move", |picture| {
        picture.hash("web-1") == Some(started.update()) && is_ready(&picture.pods["web-1"])
    });
    running.signal("INT");
    let output = running.finish().expect(130);
    gate.release();
    let shown = document(&output);
    let pod = &shown["items"][1];
    assert_eq!((&pod["name"], &pod["class"]), (&json!("web-1"), &json!("canary")), "{output}");
    assert_eq!(pod["uid"].as_str(), moved.uid("web-1"), "{output}");
    assert!(output.stderr.contains("no further pod will move"), "{output}");
}

/// Whatever else there is in the namespace, and however long an ordinal takes.
#[test]
fn an_ordinal_costs_few_requests() {
    let mut counts = Vec::new();
    for others in [0, 40] {
        let namespace = made("canary-count", 5, |_| {});
        let api = namespace.cluster().api();
        for number in 0..others {
            let path = namespace.path("v1", "configmaps", "");
            let metadata = json!({"name": format!("other-{number}")});
            api.create(
                &path,
                &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}),
            );
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("other-{number}"), "labels": {"app": "other"}},
                "spec": {"containers": [{"name": "other", "image": "other:1"}]},
            });
            api.create(&namespace.path("v1", "pods", ""), &pod);
        }
        let proxy = namespace.cluster().proxy();
        canary(&namespace, START)
            .kubeconfig(namespace.kubeconfig_through(&proxy))
            .output()
            .expect(0);
        // The server has tried the patch: whether it is allowed need not be asked.
        let reviews = proxy.count(|seen| seen.path.ends_with("selfsubjectaccessreviews"));
        assert_eq!(reviews, 1, "{}", proxy.log());
        let proxy = namespace.cluster().proxy();
        let run = canary(&namespace, "promote web --full");
        run.kubeconfig(namespace.kubeconfig_through(&proxy)).output().expect(0);
        let asked = proxy.count(|seen| !seen.watch);
        let watches = proxy.count(|seen| seen.watch);
        let _ = writeln!(
            std::io::stderr(),
            "promote --full of 4 ordinals among {others} other pods: {asked} requests and {watches} watches"
        );
        assert!(asked <= 4 * 6, "{asked}\n{}", proxy.log());
        assert!(watches <= 8, "{watches}\n{}", proxy.log());
        counts.push(asked);
    }
    assert_eq!(counts[0], counts[1], "they do not grow with what is not asked about");
}
