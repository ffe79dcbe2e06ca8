//! Killed, cut and refused at every request: the same command again, and the
//! same end.

use std::fmt;

use super::{
    super::support::{FaultProxy, Mishap, Point, sweep_requests},
    *,
};

/// How many points of each sweep are tried, unless all are asked for.
const SAMPLE: usize = 8;

/// A command that takes a set at rest to another state of rest.
struct Story {
    name: &'static str,
    prepare: fn(&Namespace),
    words: &'static str,
    is_done: fn(&Namespace, &Picture),
}

const STORIES: [Story; 4] = [
    Story {
        name: "down",
        prepare: |namespace| make(namespace, 4, |_| {}),
        words: "--replicas 2 --after true",
        is_done: |namespace, before| Picture::of(namespace).is_down_to(2, before),
    },
    Story {
        name: "retain",
        prepare: |namespace| {
            make(namespace, 3, |set| {
                parallel(set);
                deletes(set);
            });
        },
        words: "--replicas 1 --retain",
        is_done: |namespace, before| Picture::of(namespace).is_down_to(1, before),
    },
    Story {
        name: "broken",
        prepare: |namespace| {
            make(namespace, 4, |_| {});
            break_pod(namespace, "web-1");
            break_pod(namespace, "web-3");
        },
        words: "--replicas 1 --allow SCALE-TWO-BROKEN",
        is_done: |namespace, before| Picture::of(namespace).is_down_to(1, before),
    },
    Story {
        name: "fresh",
        prepare: |namespace| {
            make(namespace, 3, |_| {});
            ends(namespace, "--replicas 2", 0);
        },
        words: "--replicas 3 --fresh",
        is_done: |namespace, before| {
            let now = Picture::of(namespace);
            assert_eq!((now.replicas, now.annotated), (3, false));
            assert_eq!(now.pod_names(), ["web-0", "web-1", "web-2"]);
            let (_, disk, _) = &before.claims["www-web-2"];
            assert_ne!(now.claims["www-web-2"].1, *disk, "it is a new one");
            data::is_aside(namespace, &now, disk);
        },
    },
];

impl Story {
    fn run(&self, namespace: &Namespace, proxy: &FaultProxy) -> Run {
        scale(namespace, self.words).kubeconfig(namespace.kubeconfig_through(proxy))
    }

    fn begin(&self, hint: &str) -> (Namespace<'static>, Picture) {
        let namespace = TestCluster::for_sweeps().namespace(&format!("{hint}-{}", self.name));
        (self.prepare)(&namespace);
        let before = Picture::of(&namespace);
        (namespace, before)
    }

    /// How many requests it takes when nothing goes wrong.
    fn requests(&self) -> usize {
        let (namespace, before) = self.begin("clean");
        let proxy = namespace.cluster().proxy();
        self.run(&namespace, &proxy).output().expect(0);
        (self.is_done)(&namespace, &before);
        proxy.requests().len()
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn try_point(point: &Point<'_, Story, ()>) {
    let story = point.story;
    let (namespace, before) = story.begin("point");
    let (proxy, victim) = point.proxy(namespace.cluster());
    let output = story.run(&namespace, &proxy).victim(&victim).output();
    if !point.survived(&output, &proxy) {
        // Killed at its very end, it has left nothing to be done.
        let now = Picture::of(&namespace);
        let over = now.replicas != before.replicas && !now.annotated;
        let words =
            if over { story.words.split(" --").next().expect("words") } else { story.words };
        scale(&namespace, words).output().expect(0);
    }
    // Pods and claims come and go in their own time.
    wait_for(SOON, "the pods that are wanted", || {
        let now = Picture::of(&namespace);
        (now.pods.len() as u64 == now.replicas).then_some(())
    });
    (story.is_done)(&namespace, &before);
}

/// Tries every mishap at every request of every story.
fn sweep(name: &str, mishaps: &[Mishap]) {
    let undisturbed = |story: &Story| ((), story.requests());
    sweep_requests(name, &STORIES, mishaps, SAMPLE, undisturbed, try_point);
}

#[test]
fn killed_at_any_request_the_same_command_goes_on() {
    sweep("scale killed", &Mishap::KILLED);
}

#[test]
fn when_any_answer_is_lost_the_end_is_the_same() {
    sweep("scale dropped", &Mishap::DROPPED);
}

#[test]
fn when_any_answer_is_an_error_the_end_is_the_same() {
    sweep("scale errors", &Mishap::ERRORS);
}
