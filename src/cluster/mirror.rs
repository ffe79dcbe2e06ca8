//! The facts about one set, kept up to date by watches.
//!
//! A rollout has to react fast with few requests, so the events of the watches
//! are applied directly instead of listing again. Events that arrive late do
//! not overwrite newer state: see [`Cursor`].

use std::{
    cmp::Ordering,
    future::pending,
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time,
};

use super::{
    Cluster, Failure, Listing, WatchEvent,
    objects::{BudgetObject, EventObject, List, PodObject, RevisionObject, SetObject},
    read::{Lists, Reading},
    retry_watch::{POLL_INTERVAL, REOPEN_DELAY, RetryWatcher, WatchError},
};
use crate::{
    output::{Error, Terminal},
    workload::{Budget, Event, Facts, Pod, Read, StatefulSet},
};

/// Several watches fail together: the same message is not repeated before this.
const REPEAT_INTERVAL: Duration = Duration::from_secs(5);

/// The current facts about a set, and the watches that update them. Dropping
/// this ends the watches.
#[derive(Debug)]
pub struct Mirror {
    facts: Facts,
    set_is_gone: bool,
    set_cursor: Cursor,
    pods_cursor: Cursor,
    cluster: Cluster,
    updates: UnboundedReceiver<Update>,
    said: Option<(String, Instant)>,
    /// The answer of the server where a list that was read at first may not be read
    /// any more. Nothing is to be decided on it then.
    lost_right: Option<Failure>,
    _watches: JoinSet<()>,
}

impl Mirror {
    /// Watches the set, its pods, and the warnings and budgets of the namespace,
    /// from the versions of `reading`. Lists that could not be read are not
    /// watched; all other facts stay as they were read.
    pub fn follow(cluster: &Cluster, reading: Reading) -> Mirror {
        let Reading { facts, versions } = reading;
        let lists = Lists::of(&facts.set);
        let (sender, updates) = unbounded_channel();
        let mut watches = JoinSet::new();
        let watcher = |listing, version: &String| Watcher {
            cluster: cluster.clone(),
            listing,
            version: version.clone(),
            sender: sender.clone(),
            is_vital: true,
        };
        watches.spawn(watcher(lists.sets, &versions.set).run::<SetObject, _>(Update::Sets));
        if facts.pods.is_some() {
            watches.spawn(watcher(lists.pods, &versions.pods).run::<PodObject, _>(Update::Pods));
        }
        if facts.events.is_some() {
            let watcher = Watcher { is_vital: false, ..watcher(lists.events, &versions.events) };
            watches.spawn(watcher.run::<EventObject, _>(Update::Events));
        }
        if facts.budgets.is_some() {
            let watcher = watcher(lists.budgets, &versions.budgets);
            watches.spawn(watcher.run::<BudgetObject, _>(Update::Budgets));
        }
        Mirror {
            facts,
            set_is_gone: false,
            set_cursor: Cursor(versions.set),
            pods_cursor: Cursor(versions.pods),
            cluster: cluster.clone(),
            updates,
            said: None,
            lost_right: None,
            _watches: watches,
        }
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether the set was deleted and not created again; the facts then show
    /// its last state.
    pub fn set_is_gone(&self) -> bool {
        self.set_is_gone
    }

    /// That the set, its pods or the budgets may not be read any more, in the server's
    /// words. Without events less is known, and nothing wrong.
    pub fn lost_right(&self) -> Option<&Failure> {
        self.lost_right.as_ref()
    }

    /// Waits for a change and applies all updates that have arrived. Safe to
    /// cancel, as in `select!`.
    pub async fn changed(&mut self) {
        loop {
            let Some(update) = self.updates.recv().await else { return pending().await };
            let mut changed = self.apply(update);
            while let Ok(update) = self.updates.try_recv() {
                changed |= self.apply(update);
            }
            if changed {
                return;
            }
        }
    }

    /// Applies the answer to a write of ours. The watch reports it only later,
    /// and may still report older states until then.
    pub fn wrote(&mut self, set: StatefulSet) {
        let version = set.resource_version.clone();
        self.apply_set(Versioned { version, delta: Delta::Upserted(set) });
    }

    /// Reads the set and its pods again, after a conflict or a write whose
    /// answer was lost.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn refresh(&mut self) -> Result<(), Failure> {
        let lists = Lists::of(&self.facts.set);
        let pods = async {
            match self.facts.pods {
                Some(_) => read_list::<PodObject, _>(&self.cluster, &lists.pods).await.map(Some),
                None => Ok(None),
            }
        };
        let sets = read_list::<SetObject, _>(&self.cluster, &lists.sets);
        let (sets, pods) = tokio::join!(sets, pods);
        self.apply_set(sets?);
        if let Some(pods) = pods? {
            self.apply_pods(pods);
        }
        Ok(())
    }

    /// Reads the revisions again, which are not watched: the one of the canary is
    /// made after its first write.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn refresh_revisions(&mut self) -> Result<(), Failure> {
        if self.facts.revisions.is_none() {
            return Ok(());
        }
        let listing = Lists::of(&self.facts.set).revisions;
        let list: List<RevisionObject> = self.cluster.get(&listing.path()).await?;
        let uid = &self.facts.set.uid;
        let all = list.items.unwrap_or_default().into_iter();
        let own = all.filter(|revision| revision.belongs_to(uid));
        self.facts.revisions = Some(own.map(Into::into).collect());
        Ok(())
    }

    /// Applies an update; returns whether anything changed.
    fn apply(&mut self, update: Update) -> bool {
        match update {
            Update::Sets(versioned) => self.apply_set(versioned),
            Update::Pods(versioned) => self.apply_pods(versioned),
            Update::Events(versioned) => {
                versioned.delta.apply(&mut self.facts.events, |event: &Event| &event.name);
                true
            }
            Update::Budgets(versioned) => {
                versioned.delta.apply(&mut self.facts.budgets, |budget: &Budget| &budget.name);
                true
            }
            Update::Problem(words) => {
                self.say(words);
                false
            }
            Update::Forbidden(failure) => {
                self.lost_right = Some(failure);
                true
            }
        }
    }

    fn apply_set(&mut self, Versioned { version, delta }: Versioned<StatefulSet>) -> bool {
        if !self.set_cursor.advance(&version) {
            return false;
        }
        let present = match delta {
            Delta::Upserted(set) => Some(set),
            Delta::Deleted(_) => None,
            Delta::Replaced(sets) => sets.into_iter().find(|set| set.name == self.facts.set.name),
        };
        self.set_is_gone = present.is_none();
        if let Some(set) = present {
            self.facts.set = set;
        }
        true
    }

    fn apply_pods(&mut self, Versioned { version, delta }: Versioned<Pod>) -> bool {
        let is_new = self.pods_cursor.advance(&version);
        if is_new {
            delta.apply(&mut self.facts.pods, |pod: &Pod| &pod.name);
        }
        is_new
    }

    fn say(&mut self, words: String) {
        let again = self
            .said
            .as_ref()
            .is_some_and(|(said, when)| *said == words && when.elapsed() < REPEAT_INTERVAL);
        if !again {
            self.terminal().say(&words);
            self.said = Some((words, Instant::now()));
        }
    }

    fn terminal(&self) -> Terminal {
        self.cluster.terminal
    }
}

/// The newest resource version of a list that was applied. Watches, reads and
/// answers to our writes can arrive out of order.
#[derive(Debug)]
struct Cursor(String);

impl Cursor {
    /// Advances to `version`; returns false if that is not newer.
    fn advance(&mut self, version: &str) -> bool {
        let passed = compare(version, &self.0).is_some_and(Ordering::is_le);
        if !passed {
            version.clone_into(&mut self.0);
        }
        !passed
    }
}

/// Compares two resource versions of one kind of object; `None` if they are not
/// decimal numbers. KEP-5504 guarantees that those of Kubernetes are, at any
/// length.
fn compare(one: &str, other: &str) -> Option<Ordering> {
    let number = |version: &str| {
        !version.is_empty()
            && !version.starts_with('0')
            && version.bytes().all(|byte| byte.is_ascii_digit())
    };
    (number(one) && number(other)).then(|| one.len().cmp(&other.len()).then_with(|| one.cmp(other)))
}

/// An update from a watch.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few exist at a time")]
enum Update {
    Sets(Versioned<StatefulSet>),
    Pods(Versioned<Pod>),
    Events(Versioned<Event>),
    Budgets(Versioned<Budget>),
    /// A failed attempt, to be reported.
    Problem(String),
    /// What was read at first may not be read any more.
    Forbidden(Failure),
}

#[derive(Debug)]
struct Versioned<T> {
    version: String,
    delta: Delta<T>,
}

#[derive(Debug)]
enum Delta<T> {
    Upserted(T),
    Deleted(T),
    /// The complete list.
    Replaced(Vec<T>),
}

impl<T> Delta<T> {
    fn apply(self, known: &mut Read<T>, name: fn(&T) -> &String) {
        let known = known.get_or_insert_default();
        match self {
            Delta::Upserted(object) => {
                match known.iter_mut().find(|old| name(old) == name(&object)) {
                    Some(old) => *old = object,
                    None => known.push(object),
                }
            }
            Delta::Deleted(object) => known.retain(|old| name(old) != name(&object)),
            Delta::Replaced(objects) => *known = objects,
        }
    }
}

/// A list and the watch that continues from it.
struct Watcher {
    cluster: Cluster,
    listing: Listing,
    version: String,
    sender: UnboundedSender<Update>,
    /// Whether anything is decided on it.
    is_vital: bool,
}

impl Watcher {
    async fn run<W, T>(self, update: fn(Versioned<T>) -> Update)
    where
        W: DeserializeOwned + Into<T>,
    {
        let Watcher { cluster, listing, version, sender, is_vital } = self;
        // Sending fails only when the mirror was dropped, which also ends this task.
        let send = |update| drop(sender.send(update));
        let mut lost = version.is_empty();
        let mut watch = RetryWatcher::<W>::new(cluster.clone(), listing.clone(), version);
        let mut forbidden = false;
        loop {
            if lost {
                match read_list::<W, T>(&cluster, &listing).await {
                    Ok(versioned) => {
                        lost = false;
                        watch.resume_from(versioned.version.clone());
                        send(update(versioned));
                    }
                    Err(failure) => {
                        if is_vital && matches!(failure, Failure::Forbidden(_)) {
                            send(Update::Forbidden(failure.clone()));
                        }
                        send(problem(failure, REOPEN_DELAY));
                        time::sleep(REOPEN_DELAY).await;
                        continue;
                    }
                }
            }
            let delta = match watch.next().await {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    Delta::Upserted(object.into())
                }
                Ok(WatchEvent::Deleted(object)) => Delta::Deleted(object.into()),
                Ok(WatchEvent::Bookmark(_)) => continue,
                Err(WatchError::Broken(failure)) => {
                    // An event that cannot be decoded may be any change.
                    lost = matches!(failure, Failure::Gone(_) | Failure::Unreadable { .. });
                    continue;
                }
                Err(WatchError::NotOpened(Failure::Gone(_))) => {
                    lost = true;
                    continue;
                }
                Err(WatchError::NotOpened(failure @ Failure::Forbidden(_))) => {
                    // Without permission to watch, list instead; report it
                    // only once.
                    lost = true;
                    if !std::mem::replace(&mut forbidden, true) {
                        send(problem(failure, POLL_INTERVAL));
                    }
                    continue;
                }
                Err(WatchError::NotOpened(failure)) => {
                    send(problem(failure, REOPEN_DELAY));
                    continue;
                }
            };
            send(update(Versioned { version: watch.version().to_owned(), delta }));
        }
    }
}

fn problem(failure: Failure, pause: Duration) -> Update {
    let error = Error::from(failure);
    Update::Problem(format!("{}; retrying in {} s", error.headline(), pause.as_secs()))
}

/// The list as it is now.
async fn read_list<W, T>(cluster: &Cluster, listing: &Listing) -> Result<Versioned<T>, Failure>
where
    W: DeserializeOwned + Into<T>,
{
    let list: List<W> = cluster.get(&listing.path()).await?;
    let objects = list.items.unwrap_or_default().into_iter().map(Into::into).collect();
    Ok(Versioned { version: list.metadata.resource_version, delta: Delta::Replaced(objects) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::{
            fake_server::{FakeServer, Received, Reply},
            read::{self, Scope},
            tests::{args, connect},
        },
        *,
    };

    const SOON: Duration = Duration::from_secs(5);

    fn set(version: u32, uid: &str, partition: u32) -> Value {
        json!({
            "metadata": {
                "name": "web", "namespace": "default", "uid": uid,
                "resourceVersion": version.to_string(),
            },
            "spec": {
                "selector": {"matchLabels": {"app": "web"}}, "template": {},
                "updateStrategy": {"rollingUpdate": {"partition": partition}},
            },
        })
    }

    fn pod(version: u32, name: &str, phase: &str) -> Value {
        let metadata = json!({"name": name, "resourceVersion": version.to_string()});
        json!({"metadata": metadata, "status": {"phase": phase}})
    }

    fn list(version: u32, items: &[Value]) -> Reply {
        let metadata = json!({"resourceVersion": version.to_string()});
        Reply::json(&json!({"metadata": metadata, "items": items}).to_string())
    }

    /// What a watch tells; it stays open.
    fn watch(events: &[(&str, Value)]) -> Reply {
        let line = |(kind, object): &(&str, Value)| {
            json!({"type": kind, "object": object}).to_string() + "\n"
        };
        let lines: Vec<String> = events.iter().map(line).collect();
        Reply::pieces(&lines.iter().map(String::as_str).collect::<Vec<_>>()).open()
    }

    fn no(code: u16) -> Value {
        json!({"kind": "Status", "code": code, "message": "no"})
    }

    fn is_watch(request: &Received) -> bool {
        request.path.contains("watch=true")
    }

    fn since(request: &Received) -> u32 {
        let version = request.path.rsplit_once("resourceVersion=").map(|(_, version)| version);
        version.and_then(|version| version.parse().ok()).unwrap_or(0)
    }

    /// A server with the set `web` at version 10; `pods` answers what is asked
    /// about pods, and `sets` what is asked about sets in the plural.
    async fn server(
        sets: impl Fn(&Received) -> Reply + Send + Sync + 'static,
        pods: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> FakeServer {
        FakeServer::http(move |request, _| {
            match request.path.split('?').next().unwrap_or_default() {
                "/apis" => Reply::json(r#"{"groups":[]}"#),
                "/version" => Reply::json(r#"{"gitVersion":"v1.34.4"}"#),
                "/apis/apps/v1/namespaces/default/statefulsets/web" => {
                    Reply::json(&set(10, "u", 3).to_string())
                }
                "/apis/apps/v1/namespaces/default/statefulsets" => sets(request),
                "/api/v1/namespaces/default/pods" => pods(request),
                _ if is_watch(request) => Reply::silence(),
                _ => list(10, &[]),
            }
        })
        .await
    }

    fn quiet(request: &Received) -> Reply {
        if is_watch(request) { Reply::silence() } else { list(10, &[]) }
    }

    async fn mirror(server: &FakeServer) -> Mirror {
        let cluster = connect(server, args());
        let reading = read::facts(&cluster, "web", Scope::Rollout).await.unwrap();
        Mirror::follow(&cluster, reading)
    }

    async fn until(mirror: &mut Mirror, what: &str, holds: impl Fn(&Mirror) -> bool) {
        let waiting = async {
            while !holds(mirror) {
                mirror.changed().await;
            }
        };
        assert!(time::timeout(SOON, waiting).await.is_ok(), "waited in vain for {what}");
    }

    fn pods(mirror: &Mirror) -> Vec<(String, String)> {
        let pods = mirror.facts().pods.iter().flatten();
        pods.map(|pod| (pod.name.clone(), pod.phase.clone())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|&(name, phase)| (name.to_owned(), phase.to_owned())).collect()
    }

    #[test]
    fn versions_compare_as_numbers_of_any_length() {
        let cases = [
            ("9", "10", Some(Ordering::Less)),
            ("10", "10", Some(Ordering::Equal)),
            ("340282366920938463463374607431768211457", "9", Some(Ordering::Greater)),
            ("", "10", None),
            ("0", "10", None),
            ("010", "9", None),
            ("a1", "9", None),
            ("-1", "9", None),
        ];
        for (one, other, order) in cases {
            assert_eq!(compare(one, other), order, "{one} {other}");
            assert_eq!(compare(other, one), order.map(Ordering::reverse), "{other} {one}");
        }
    }

    #[tokio::test]
    async fn changes_are_taken_in_and_told_once() {
        let server = server(quiet, |request| {
            if !is_watch(request) {
                return list(10, &[pod(9, "web-0", "Pending"), pod(9, "web-1", "Running")]);
            }
            watch(&[
                ("MODIFIED", pod(11, "web-0", "Running")),
                ("ADDED", pod(12, "web-2", "Pending")),
                ("BOOKMARK", json!({"metadata": {"resourceVersion": "13"}})),
                ("DELETED", pod(14, "web-1", "Running")),
            ])
        })
        .await;
        let mut mirror = mirror(&server).await;
        let expected = pairs(&[("web-0", "Running"), ("web-2", "Pending")]);
        until(&mut mirror, "the pods", |mirror| pods(mirror) == expected).await;
        let more = time::timeout(Duration::from_millis(50), mirror.changed()).await;
        assert!(more.is_err(), "nothing else has changed");
        assert_eq!(mirror.cluster.requests(), 7 + 4, "a reading, and a watch for each list");
    }

    #[tokio::test]
    async fn what_we_wrote_is_not_taken_back() {
        let server = server(quiet, quiet).await;
        let mut mirror = mirror(&server).await;
        let object = |version, uid, partition| read::set_of(set(version, uid, partition)).unwrap();
        let partition = |mirror: &Mirror| mirror.facts().set.partition();
        let watched = |mirror: &mut Mirror, set: StatefulSet| {
            let version = set.resource_version.clone();
            mirror.apply(Update::Sets(Versioned { version, delta: Delta::Upserted(set) }))
        };
        mirror.wrote(object(20, "u", 2));
        assert_eq!(partition(&mirror), 2);
        assert!(!watched(&mut mirror, object(15, "u", 3)), "that was before");
        assert!(!watched(&mut mirror, object(20, "u", 2)), "that is known");
        assert_eq!(partition(&mirror), 2);
        assert!(watched(&mut mirror, object(100, "u", 1)), "that is news");
        mirror.wrote(object(90, "u", 2));
        assert_eq!(partition(&mirror), 1, "somebody wrote after us");

        let foreign = StatefulSet { resource_version: "x".to_owned(), ..object(1, "u", 0) };
        assert!(watched(&mut mirror, foreign), "not comparable: the later told is believed");
        assert_eq!(partition(&mirror), 0);
    }

    #[tokio::test]
    async fn a_namesake_shows_by_its_uid() {
        let server = server(quiet, quiet).await;
        let mut mirror = mirror(&server).await;
        let set = |version, uid| read::set_of(set(version, uid, 3)).unwrap();
        let apply = |mirror: &mut Mirror, version: &str, delta| {
            mirror.apply(Update::Sets(Versioned { version: version.to_owned(), delta }))
        };
        assert!(apply(&mut mirror, "11", Delta::Deleted(set(10, "u"))));
        assert!(mirror.set_is_gone());
        assert_eq!(mirror.facts().set.uid, "u");
        assert!(apply(&mut mirror, "12", Delta::Upserted(set(12, "other"))));
        assert!(!mirror.set_is_gone());
        assert_eq!(mirror.facts().set.uid, "other");
        assert!(!apply(&mut mirror, "11", Delta::Deleted(set(10, "u"))), "late");
        assert!(!mirror.set_is_gone());
    }

    #[tokio::test]
    async fn a_broken_watch_goes_on_where_it_was() {
        let server = server(quiet, |request| match (is_watch(request), since(request)) {
            (false, _) => list(10, &[pod(9, "web-0", "Pending")]),
            (true, 10) => {
                let event = json!({"type": "MODIFIED", "object": pod(11, "web-0", "Running")});
                Reply::pieces(&[&format!("{event}\n"), "{\"type\":"]).broken()
            }
            (true, 11) => watch(&[("ADDED", pod(12, "web-1", "Pending"))]),
            _ => Reply::status(500, ""),
        })
        .await;
        let mut mirror = mirror(&server).await;
        let begun = Instant::now();
        let expected = pairs(&[("web-0", "Running"), ("web-1", "Pending")]);
        until(&mut mirror, "both pods", |mirror| pods(mirror) == expected).await;
        assert!(
            begun.elapsed() < REOPEN_DELAY,
            "a watch that told something is opened again at once"
        );
    }

    #[tokio::test]
    async fn a_lost_place_is_found_by_reading_again() {
        for said_at_once in [true, false] {
            let server = server(quiet, move |request| match (is_watch(request), since(request)) {
                (true, 10) if said_at_once => Reply::status(410, &no(410).to_string()),
                (true, 10) => watch(&[("ERROR", no(410))]),
                (true, 30) => watch(&[("MODIFIED", pod(31, "web-2", "Running"))]),
                (true, _) => Reply::status(500, ""),
                (false, _) => list(30, &[pod(25, "web-2", "Pending")]),
            })
            .await;
            let cluster = connect(&server, args());
            let mut reading = read::facts(&cluster, "web", Scope::Rollout).await.unwrap();
            reading.versions.pods = "10".to_owned();
            reading.facts.pods = Some(Vec::new());
            let mut mirror = Mirror::follow(&cluster, reading);
            let expected = pairs(&[("web-2", "Running")]);
            until(&mut mirror, "the pod", |mirror| pods(mirror) == expected).await;
        }
    }

    #[tokio::test]
    async fn without_permission_to_watch_it_lists() {
        let server = server(quiet, |request| {
            if is_watch(request) {
                return Reply::status(403, &no(403).to_string());
            }
            list(10, &[pod(9, "web-0", "Pending")])
        })
        .await;
        let cluster = connect(&server, args());
        let mut reading = read::facts(&cluster, "web", Scope::Rollout).await.unwrap();
        reading.versions.pods = "5".to_owned();
        reading.facts.pods = Some(Vec::new());
        let mut mirror = Mirror::follow(&cluster, reading);
        let expected = pairs(&[("web-0", "Pending")]);
        until(&mut mirror, "the pod", |mirror| pods(mirror) == expected).await;
    }

    #[tokio::test]
    async fn a_refresh_asks_twice_and_the_watch_does_not_take_it_back() {
        let lists = |request: &Received| match is_watch(request) {
            true => Reply::silence(),
            false if request.path.contains("statefulsets") => list(40, &[set(38, "u", 1)]),
            false => list(41, &[pod(39, "web-0", "Running")]),
        };
        let server = server(lists, lists).await;
        let mut mirror = mirror(&server).await;
        let asked = || server.received().iter().filter(|request| !is_watch(request)).count();
        let before = asked();
        mirror.refresh().await.unwrap();
        assert_eq!(asked(), before + 2);
        assert_eq!(mirror.facts().set.partition(), 1);
        let late = serde_json::from_value::<PodObject>(pod(20, "web-0", "Pending")).unwrap();
        let late = Versioned { version: "20".to_owned(), delta: Delta::Upserted(Pod::from(late)) };
        assert!(!mirror.apply(Update::Pods(late)));
        assert_eq!(pods(&mirror), pairs(&[("web-0", "Running")]));
    }

    #[tokio::test]
    async fn nothing_is_followed_that_could_not_be_read() {
        let server = server(quiet, |_| Reply::status(403, &no(403).to_string())).await;
        let mut mirror = mirror(&server).await;
        let nothing = time::timeout(Duration::from_millis(100), mirror.changed()).await;
        assert!(nothing.is_err());
        mirror.refresh().await.unwrap();
        assert!(mirror.facts().pods.is_none());
        let asked = server.received();
        let watched = asked.iter().filter(|request| is_watch(request)).count();
        assert_eq!(watched, 3, "set, events, budgets");
        let pods = asked.iter().filter(|request| request.path.contains("/pods?")).count();
        assert_eq!(pods, 1, "the reading");
    }
}
