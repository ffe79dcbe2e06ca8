//! Killed at every request of every verb, cut and refused at every one that is
//! another: whoever comes next goes on, or back, and it ends as if nothing had
//! been.

use std::fmt;

use super::{
    super::support::{FaultProxy, Mishap, Seen},
    *,
};

/// How many points of each sweep are tried, unless all are asked for.
const SAMPLE: usize = 8;

const STORIES: [Story; 3] = [STATIC, PAIR, WAIT];

/// What is disturbed.
#[derive(Clone, Copy, Debug)]
pub enum Verb {
    Run,
    Rollback,
    Finalize,
}

const VERBS: [Verb; 3] = [Verb::Run, Verb::Rollback, Verb::Finalize];

impl Verb {
    fn prepare(self, story: Story) -> Place {
        self.prepare_on(TestCluster::for_sweeps(), story)
    }

    /// Everything up to it.
    pub fn prepare_on(self, cluster: &'static TestCluster, story: Story) -> Place {
        let place = Place::make_on(cluster, story);
        if !matches!(self, Verb::Run) {
            place.run("").output().expect(0);
        }
        place
    }

    pub fn command(self, place: &Place) -> Run {
        match self {
            Verb::Run => place.run(""),
            Verb::Rollback => place.on("rollback", ""),
            Verb::Finalize => place.on("finalize", ""),
        }
    }

    pub fn through(self, place: &Place, proxy: &FaultProxy) -> Run {
        self.command(place).kubeconfig(place.namespace.kubeconfig_through(proxy))
    }

    /// What it asks for when nothing happens.
    pub fn requests(self, story: Story) -> (Place, Vec<Seen>) {
        let place = self.prepare(story);
        let proxy = place.namespace.cluster().proxy();
        self.through(&place, &proxy).output().expect(0);
        let requests = proxy.requests();
        (place, requests)
    }
}

/// Where it happens.
#[derive(Clone, Debug, PartialEq)]
enum Spot {
    /// At this request, from 1.
    Request(usize),
    /// At this one of those that change something, from 1.
    Write(usize),
    /// At the first that reads this; how it is read again is always the same.
    Read(String),
}

impl Spot {
    /// Every request.
    fn all(_: &Place, requests: &[Seen]) -> Vec<Spot> {
        (1..=requests.len()).map(Spot::Request).collect()
    }

    /// Every write, and everything that is read, once.
    fn telling(place: &Place, requests: &[Seen]) -> Vec<Spot> {
        let writes = requests.iter().filter(|seen| seen.changes()).count();
        let mut spots: Vec<Spot> = (1..=writes).map(Spot::Write).collect();
        for seen in requests.iter().filter(|seen| !seen.changes()) {
            let spot = Spot::Read(what(place, seen));
            if !spots.contains(&spot) {
                spots.push(spot);
            }
        }
        spots
    }

    /// Tells when it is there; but once.
    fn sentinel(&self, place: &Place) -> impl FnMut(&Seen) -> bool + use<> {
        let (spot, namespace) = (self.clone(), place.namespace.name().to_owned());
        let (mut writes, mut over) = (0, false);
        move |seen| {
            writes += usize::from(seen.changes());
            let here = !over
                && match &spot {
                    Spot::Request(number) => seen.number == *number,
                    Spot::Write(number) => seen.changes() && writes == *number,
                    Spot::Read(what) => !seen.changes() && *what == what_of(&namespace, seen),
                };
            over |= here;
            here
        }
    }
}

fn what(place: &Place, seen: &Seen) -> String {
    what_of(place.namespace.name(), seen)
}

/// What a request asks about, without the names that are new in each namespace.
fn what_of(namespace: &str, seen: &Seen) -> String {
    let path = seen.path.split("&resourceVersion=").next().unwrap_or_default();
    let path = path.replace(namespace, "NAMESPACE");
    let parts = path.split('/').map(|part| if part.starts_with("pvc-") { "pvc" } else { part });
    format!("{} {}", seen.method, parts.collect::<Vec<_>>().join("/"))
}

/// Which way it goes on.
#[derive(Clone, Copy, Debug)]
enum Then {
    Resume,
    Rollback,
}

/// A request of a verb at which something happens.
#[derive(Clone)]
struct Point {
    story: Story,
    verb: Verb,
    spot: Spot,
    mishap: Mishap,
    then: Then,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point { story, verb, spot, mishap, then } = self;
        write!(f, "{}, {spot:?} of {verb:?}, {mishap:?}, then {then:?}", story.name)
    }
}

impl Point {
    fn try_it(&self) {
        let Point { story, verb, mishap, then, .. } = *self;
        let place = verb.prepare(story);
        let proxy = place.namespace.cluster().proxy();
        let victim = mishap.inject(&proxy, self.spot.sentinel(&place));
        let output = verb.through(&place, &proxy).victim(&victim).output();
        // Before anything was written a no of the server is a refusal.
        let refused = matches!(mishap, Mishap::Conflict) && output.code() == Some(4);
        let is_fair = output.code() == Some(0) || refused || mishap.may_end(&output);
        assert!(is_fair, "{output}\n{}", proxy.log());
        let goes_on = match then {
            Then::Rollback => place.on("rollback", "--takeover"),
            Then::Resume => place.on("resume", "--takeover"),
        };
        if !place.has_journal() {
            // It had not begun, or was over; for the way back that is no matter.
            let is_back = matches!(then, Then::Rollback);
            goes_on.output().expect(if is_back { 0 } else { 4 });
            match verb {
                Verb::Finalize => place.is_finished(),
                Verb::Run | Verb::Rollback => place.is_home(),
            }
            return;
        }
        goes_on.output().expect(0);
        match (verb, then) {
            (_, Then::Rollback) => place.is_home(),
            (Verb::Rollback, Then::Resume) => {
                // Killed before it had said so, it had not turned round.
                if place.has_journal() {
                    place.is_moved();
                    verb.command(&place).output().expect(0);
                }
                place.is_home();
            }
            (Verb::Run | Verb::Finalize, Then::Resume) => {
                if place.has_journal() {
                    place.is_moved();
                    Verb::Finalize.command(&place).output().expect(0);
                }
                place.is_finished();
            }
        }
    }
}

/// Tries every mishap at these spots of every verb of every story.
fn sweep(name: &str, mishaps: &[Mishap], spots: fn(&Place, &[Seen]) -> Vec<Spot>) {
    let (mut points, mut counts) = (Vec::new(), Vec::new());
    for story in STORIES {
        for verb in VERBS {
            let (place, requests) = verb.requests(story);
            let writes = requests.iter().filter(|seen| seen.changes()).count();
            counts.push(format!("{} {verb:?} {} ({writes} write)", story.name, requests.len()));
            let ways: &[Then] = match verb {
                // There is no way back from it.
                Verb::Finalize => &[Then::Resume],
                Verb::Run | Verb::Rollback => &[Then::Resume, Then::Rollback],
            };
            for spot in spots(&place, &requests) {
                for &mishap in mishaps {
                    let point = |&then| Point { story, verb, spot: spot.clone(), mishap, then };
                    points.extend(ways.iter().map(point));
                }
            }
        }
    }
    let of = format!("requests: {}", counts.join(", "));
    support::sweep(name, &of, points, SAMPLE, Point::try_it);
}

#[test]
fn killed_at_any_request_the_next_goes_on_or_back() {
    sweep("migrate killed", &[Mishap::KilledAfter], Spot::all);
}

#[test]
fn when_any_answer_is_lost_it_goes_on_or_back() {
    sweep("migrate dropped", &Mishap::DROPPED, Spot::telling);
}

#[test]
fn when_any_answer_is_an_error_it_goes_on_or_back() {
    sweep("migrate errors", &Mishap::ERRORS, Spot::telling);
}
