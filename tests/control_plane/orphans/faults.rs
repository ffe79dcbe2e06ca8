//! Killed, cut and refused at every request: the same command again, and the
//! same end.

use std::fmt;

use super::{
    super::support::{FaultProxy, Mishap, Point, Victim, sweep_requests},
    *,
};

/// How many points of each sweep are tried, unless all are asked for.
const SAMPLE: usize = 10;

/// A command that takes a claim and its volume to another state of rest.
struct Story {
    name: &'static str,
    prepare: fn(&Namespace) -> String,
    /// `PV` is replaced by the name of the volume.
    command: &'static str,
    claim: &'static str,
}

const STORIES: [Story; 2] = [
    Story {
        name: "delete",
        prepare: |namespace| {
            scaled(namespace, "web", 2, 1);
            bound(namespace, "data-web-1")
        },
        command: "orphans delete data-web-1 --yes",
        claim: "data-web-1",
    },
    Story {
        name: "adopt",
        prepare: |namespace| {
            scaled(namespace, "web", 2, 1);
            let pv = bound(namespace, "data-web-1");
            namespace.kubectl(["delete", "sts", "web", "--cascade=foreground"]).output().expect(0);
            make(namespace, &set("web", "www", 0));
            pv
        },
        command: "orphans adopt PV --to web/1 --yes",
        claim: "www-web-1",
    },
];

impl Story {
    fn run(&self, namespace: &Namespace, proxy: &FaultProxy, pv: &str, victim: &Victim) -> Output {
        let command = self.command.replace("PV", pv);
        let words: Vec<&str> = command.split(' ').collect();
        namespace
            .stateful(words)
            .kubeconfig(namespace.kubeconfig_through(proxy))
            .victim(victim)
            .output()
    }

    fn end(&self, namespace: &Namespace, pv: &str) -> Value {
        let end = rest(namespace, self.claim, pv);
        let claim = if end["claim"] == pv { json!("PV") } else { end["claim"].clone() };
        with(end, "/claim", claim)
    }

    /// How it ends when nothing goes wrong, and after how many requests.
    fn undisturbed(&self) -> (Value, usize) {
        let namespace = TestCluster::for_sweeps().namespace(&format!("clean-{}", self.name));
        let pv = (self.prepare)(&namespace);
        let proxy = namespace.cluster().proxy();
        self.run(&namespace, &proxy, &pv, &Victim::default()).expect(0);
        let released = || {
            Some(self.end(&namespace, &pv))
                .filter(|end| end["claim"] == "PV" || end["phase"] == "Released")
        };
        let end = wait_for(SOON, "the end", released);
        (end, proxy.requests().len())
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
    let pv = (story.prepare)(&namespace);
    let (proxy, victim) = point.proxy(namespace.cluster());
    let first = story.run(&namespace, &proxy, &pv, &victim);
    // Wherever it was: the data is there.
    assert!(volume(&namespace, &pv).is_some(), "{first}\n{}", proxy.log());
    let mut last = first.clone();
    if !point.survived(&first, &proxy) {
        let clean = namespace.cluster().proxy();
        last = story.run(&namespace, &clean, &pv, &Victim::default()).expect(0);
    }
    wait_for(SOON, &format!("{wanted}\n{first}\n{last}\n{}", proxy.log()), || {
        (story.end(&namespace, &pv) == **wanted).then_some(())
    });
}

/// Tries every mishap at every request of every story.
fn sweep(name: &str, mishaps: &[Mishap]) {
    sweep_requests(name, &STORIES, mishaps, SAMPLE, Story::undisturbed, try_point);
}

#[test]
fn killed_at_any_request_the_same_command_ends_the_same() {
    sweep("orphans killed", &Mishap::KILLED);
}

#[test]
fn when_any_answer_is_lost_the_end_is_the_same() {
    sweep("orphans dropped", &Mishap::DROPPED);
}

#[test]
fn when_any_answer_is_an_error_the_end_is_the_same() {
    sweep("orphans errors", &Mishap::ERRORS);
}
