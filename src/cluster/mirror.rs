//! The facts about one set, kept current.
//!
//! Whoever moves a set pod by pod must act at once and ask little, so that
//! here the watches themselves are read and not only what they wake for. What
//! was told late is not believed over what is known: see [`Place`].

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
    Cluster, Failure, WatchEvent,
    follow::{Break, Follow, PAUSE, WITHOUT_WATCH},
    objects::{BudgetObject, EventObject, List, PodObject, SetObject},
    read::{Paths, Reading},
};
use crate::{
    output::{Error, Terminal},
    workload::{Budget, Event, Facts, Pod, Read, StatefulSet},
};

/// Several watches break together: the same words are not said again before.
const SAME_WORDS: Duration = Duration::from_secs(5);

/// What is known about a set, and the watches that tell what becomes of it.
/// They end when this is dropped.
#[derive(Debug)]
pub struct Mirror {
    facts: Facts,
    set_is_gone: bool,
    set_place: Place,
    pods_place: Place,
    cluster: Cluster,
    news: UnboundedReceiver<News>,
    said: Option<(String, Instant)>,
    _watches: JoinSet<()>,
}

impl Mirror {
    /// Follows the set, its pods, the namespace's warnings and its budgets
    /// from where `reading` ended. What could not be read is not followed, and
    /// everything else stays as it was read.
    pub fn follow(cluster: &Cluster, reading: Reading) -> Mirror {
        let Reading { facts, marks } = reading;
        let paths = Paths::of(&facts.set);
        let (tell, news) = unbounded_channel();
        let mut watches = JoinSet::new();
        let watcher = |path, mark: &String| Watcher {
            cluster: cluster.clone(),
            path,
            mark: mark.clone(),
            tell: tell.clone(),
        };
        watches.spawn(watcher(paths.sets, &marks.set).run::<SetObject, _>(News::Sets));
        if facts.pods.is_some() {
            watches.spawn(watcher(paths.pods, &marks.pods).run::<PodObject, _>(News::Pods));
        }
        if facts.events.is_some() {
            watches.spawn(watcher(paths.events, &marks.events).run::<EventObject, _>(News::Events));
        }
        if facts.budgets.is_some() {
            let watcher = watcher(paths.budgets, &marks.budgets);
            watches.spawn(watcher.run::<BudgetObject, _>(News::Budgets));
        }
        Mirror {
            facts,
            set_is_gone: false,
            set_place: Place(marks.set),
            pods_place: Place(marks.pods),
            cluster: cluster.clone(),
            news,
            said: None,
            _watches: watches,
        }
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether the set was deleted and not made again; the facts then show it
    /// as it was last.
    pub fn set_is_gone(&self) -> bool {
        self.set_is_gone
    }

    /// Waits until something changed, and takes in whatever has come by then.
    /// Nothing is lost when this is cancelled, as in `select!`.
    pub async fn changed(&mut self) {
        loop {
            let Some(news) = self.news.recv().await else { return pending().await };
            let mut changed = self.hear(news);
            while let Ok(news) = self.news.try_recv() {
                changed |= self.hear(news);
            }
            if changed {
                return;
            }
        }
    }

    /// Takes in the set as a write of ours was answered with: the watch tells
    /// of it later, and until then of what was before.
    pub fn wrote(&mut self, set: StatefulSet) {
        let version = set.resource_version.clone();
        self.hear_of_set(Heard { version, what: What::Is(set) });
    }

    /// Reads the set and its pods anew, after a conflict or a write whose
    /// answer was lost.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn refresh(&mut self) -> Result<(), Failure> {
        let paths = Paths::of(&self.facts.set);
        let pods = async {
            match self.facts.pods {
                Some(_) => all::<PodObject, _>(&self.cluster, &paths.pods).await.map(Some),
                None => Ok(None),
            }
        };
        let sets = all::<SetObject, _>(&self.cluster, &paths.sets);
        let (sets, pods) = tokio::join!(sets, pods);
        self.hear_of_set(sets?);
        if let Some(pods) = pods? {
            self.hear_of_pods(pods);
        }
        Ok(())
    }

    /// Whether that changed anything.
    fn hear(&mut self, news: News) -> bool {
        match news {
            News::Sets(heard) => self.hear_of_set(heard),
            News::Pods(heard) => self.hear_of_pods(heard),
            News::Events(heard) => {
                heard.what.apply(&mut self.facts.events, |event: &Event| &event.name);
                true
            }
            News::Budgets(heard) => {
                heard.what.apply(&mut self.facts.budgets, |budget: &Budget| &budget.name);
                true
            }
            News::Trouble(words) => {
                self.say(words);
                false
            }
        }
    }

    fn hear_of_set(&mut self, Heard { version, what }: Heard<StatefulSet>) -> bool {
        if !self.set_place.reach(&version) {
            return false;
        }
        let present = match what {
            What::Is(set) => Some(set),
            What::IsGone(_) => None,
            What::All(sets) => sets.into_iter().find(|set| set.name == self.facts.set.name),
        };
        self.set_is_gone = present.is_none();
        if let Some(set) = present {
            self.facts.set = set;
        }
        true
    }

    fn hear_of_pods(&mut self, Heard { version, what }: Heard<Pod>) -> bool {
        let news = self.pods_place.reach(&version);
        if news {
            what.apply(&mut self.facts.pods, |pod: &Pod| &pod.name);
        }
        news
    }

    fn say(&mut self, words: String) {
        let again = self
            .said
            .as_ref()
            .is_some_and(|(said, when)| *said == words && when.elapsed() < SAME_WORDS);
        if !again {
            self.terminal().say(&words);
            self.said = Some((words, Instant::now()));
        }
    }

    fn terminal(&self) -> Terminal {
        self.cluster.terminal
    }
}

/// How far a list is known. It is told by watches, by reads in between and by
/// the answers to our own writes; whichever comes late tells of the past.
#[derive(Debug)]
struct Place(String);

impl Place {
    /// Moves on to `version`; says no when that was already passed.
    fn reach(&mut self, version: &str) -> bool {
        let passed = compare(version, &self.0).is_some_and(Ordering::is_le);
        if !passed {
            version.clone_into(&mut self.0);
        }
        !passed
    }
}

/// Which of two resource versions of one kind of object is the later one;
/// `None` for versions that are no decimal numbers. Kubernetes promises since
/// KEP-5504 that its own are, of any length.
fn compare(one: &str, other: &str) -> Option<Ordering> {
    let number = |version: &str| {
        !version.is_empty()
            && !version.starts_with('0')
            && version.bytes().all(|byte| byte.is_ascii_digit())
    };
    (number(one) && number(other)).then(|| one.len().cmp(&other.len()).then_with(|| one.cmp(other)))
}

/// What a watch told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are a few of them, for a moment")]
enum News {
    Sets(Heard<StatefulSet>),
    Pods(Heard<Pod>),
    Events(Heard<Event>),
    Budgets(Heard<Budget>),
    /// A try that failed, to be said.
    Trouble(String),
}

#[derive(Debug)]
struct Heard<T> {
    version: String,
    what: What<T>,
}

#[derive(Debug)]
enum What<T> {
    Is(T),
    IsGone(T),
    /// The whole list.
    All(Vec<T>),
}

impl<T> What<T> {
    fn apply(self, known: &mut Read<T>, name: fn(&T) -> &String) {
        let known = known.get_or_insert_default();
        match self {
            What::Is(object) => match known.iter_mut().find(|old| name(old) == name(&object)) {
                Some(old) => *old = object,
                None => known.push(object),
            },
            What::IsGone(object) => known.retain(|old| name(old) != name(&object)),
            What::All(objects) => *known = objects,
        }
    }
}

/// One list and the watch that goes on from it.
struct Watcher {
    cluster: Cluster,
    path: String,
    mark: String,
    tell: UnboundedSender<News>,
}

impl Watcher {
    async fn run<W, T>(self, news: fn(Heard<T>) -> News)
    where
        W: DeserializeOwned + Into<T>,
    {
        let Watcher { cluster, path, mark, tell } = self;
        // Nobody listens any more: the mirror is gone, and this with it.
        let tell = |news| drop(tell.send(news));
        let mut lost = mark.is_empty();
        let mut follow = Follow::<W>::new(cluster.clone(), path.clone(), mark);
        let mut forbidden = false;
        loop {
            if lost {
                match all::<W, T>(&cluster, &path).await {
                    Ok(heard) => {
                        lost = false;
                        follow.go_on_from(heard.version.clone());
                        tell(news(heard));
                    }
                    Err(failure) => {
                        tell(trouble(failure, PAUSE));
                        time::sleep(PAUSE).await;
                        continue;
                    }
                }
            }
            let what = match follow.next().await {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    What::Is(object.into())
                }
                Ok(WatchEvent::Deleted(object)) => What::IsGone(object.into()),
                Ok(WatchEvent::Bookmark(_)) => continue,
                Err(Break::Broken(failure)) => {
                    // What was not understood may have been any change.
                    lost = matches!(failure, Failure::Gone(_) | Failure::Unreadable { .. });
                    continue;
                }
                Err(Break::NotOpened(Failure::Gone(_))) => {
                    lost = true;
                    continue;
                }
                Err(Break::NotOpened(failure @ Failure::Forbidden(_))) => {
                    // Without watching, reading is what is left; saying so
                    // once is enough.
                    lost = true;
                    if !std::mem::replace(&mut forbidden, true) {
                        tell(trouble(failure, WITHOUT_WATCH));
                    }
                    continue;
                }
                Err(Break::NotOpened(failure)) => {
                    tell(trouble(failure, PAUSE));
                    continue;
                }
            };
            tell(news(Heard { version: follow.mark().to_owned(), what }));
        }
    }
}

fn trouble(failure: Failure, pause: Duration) -> News {
    let error = Error::from(failure);
    News::Trouble(format!("{}; asking again in {} s", error.headline(), pause.as_secs()))
}

/// The list as it is now.
async fn all<W, T>(cluster: &Cluster, path: &str) -> Result<Heard<T>, Failure>
where
    W: DeserializeOwned + Into<T>,
{
    let list: List<W> = cluster.get(path).await?;
    let objects = list.items.unwrap_or_default().into_iter().map(Into::into).collect();
    Ok(Heard { version: list.metadata.resource_version, what: What::All(objects) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::{
            fake_server::{FakeServer, Received, Reply},
            read::{self, Scope},
            tests::{args, plain},
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
        FakeServer::plain(move |request, _| {
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
        let cluster = plain(server, args());
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
            mirror.hear(News::Sets(Heard { version, what: What::Is(set) }))
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
        let hear = |mirror: &mut Mirror, version: &str, what| {
            mirror.hear(News::Sets(Heard { version: version.to_owned(), what }))
        };
        assert!(hear(&mut mirror, "11", What::IsGone(set(10, "u"))));
        assert!(mirror.set_is_gone());
        assert_eq!(mirror.facts().set.uid, "u");
        assert!(hear(&mut mirror, "12", What::Is(set(12, "other"))));
        assert!(!mirror.set_is_gone());
        assert_eq!(mirror.facts().set.uid, "other");
        assert!(!hear(&mut mirror, "11", What::IsGone(set(10, "u"))), "late");
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
        assert!(begun.elapsed() < PAUSE, "a watch that told something is opened again at once");
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
            let cluster = plain(&server, args());
            let mut reading = read::facts(&cluster, "web", Scope::Rollout).await.unwrap();
            reading.marks.pods = "10".to_owned();
            reading.facts.pods = Some(Vec::new());
            let mut mirror = Mirror::follow(&cluster, reading);
            let expected = pairs(&[("web-2", "Running")]);
            until(&mut mirror, "the pod", |mirror| pods(mirror) == expected).await;
        }
    }

    #[tokio::test]
    async fn who_may_not_watch_reads() {
        let server = server(quiet, |request| {
            if is_watch(request) {
                return Reply::status(403, &no(403).to_string());
            }
            list(10, &[pod(9, "web-0", "Pending")])
        })
        .await;
        let cluster = plain(&server, args());
        let mut reading = read::facts(&cluster, "web", Scope::Rollout).await.unwrap();
        reading.marks.pods = "5".to_owned();
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
        let late = Heard { version: "20".to_owned(), what: What::Is(Pod::from(late)) };
        assert!(!mirror.hear(News::Pods(late)));
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
