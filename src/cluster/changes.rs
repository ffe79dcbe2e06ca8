//! Reports that something changed, but not what.
//!
//! Watches only wake the caller, who then lists again. So every answer is a
//! consistent read of one moment, and a lost event does no harm.

use std::{sync::Arc, time::Duration};

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use tokio::{sync::Notify, task::JoinSet, time};

use super::{
    Cluster, Listing, WatchEvent,
    read::{Lists, Reading, Scope},
    retry_watch::RetryWatcher,
};

/// A set that keeps changing is read at least this often.
const MAX_SETTLE: Duration = Duration::from_millis(500);

/// Watches of lists. Dropping this ends them.
#[derive(Debug)]
pub struct Changes {
    woken: Arc<Notify>,
    watches: JoinSet<()>,
}

/// The fields of a warning that show which object it is about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Warning {
    involved_object: Involved,
}

#[derive(Deserialize)]
struct Involved {
    #[serde(default)]
    name: String,
}

impl Changes {
    /// Watches the set, its pods and the warnings about them, from the versions
    /// of `reading`; with [`Scope::Status`] also the claims of the namespace.
    pub fn of_set(cluster: &Cluster, reading: &Reading, scope: Scope) -> Changes {
        let (set, versions) = (&reading.facts.set, &reading.versions);
        let Lists { sets, pods, claims, events, .. } = Lists::of(set);
        let mut lists = vec![(sets, versions.set.clone()), (pods, versions.pods.clone())];
        // A set without claim templates has no claims to watch.
        if scope == Scope::Status && !set.claim_templates.is_empty() {
            lists.push((claims, versions.claims.clone()));
        }
        let mut changes = Changes::of_lists(cluster, lists);
        if reading.facts.events.is_some() {
            // The names of its pods and claims contain the name of the set.
            let name = set.name.clone();
            let is_its = move |warning: &Warning| warning.involved_object.name.contains(&name);
            changes.watch(cluster, events, versions.events.clone(), is_its);
        }
        changes
    }

    /// Watches lists, each from its own resource version.
    pub fn of_lists(
        cluster: &Cluster,
        lists: impl IntoIterator<Item = (Listing, String)>,
    ) -> Changes {
        let mut changes = Changes { woken: Arc::new(Notify::new()), watches: JoinSet::new() };
        for (listing, version) in lists {
            changes.watch(cluster, listing, version, |_: &IgnoredAny| true);
        }
        changes
    }

    /// Changes that a test triggers itself.
    #[cfg(test)]
    pub fn by_hand(woken: &Arc<Notify>) -> Changes {
        Changes { woken: Arc::clone(woken), watches: JoinSet::new() }
    }

    fn watch<T: DeserializeOwned + 'static>(
        &mut self,
        cluster: &Cluster,
        listing: Listing,
        version: String,
        matters: impl Fn(&T) -> bool + Send + 'static,
    ) {
        let watcher = RetryWatcher::new(cluster.clone(), listing, version);
        self.watches.spawn(wake(watcher, matters, Arc::clone(&self.woken)));
    }

    /// Waits for the next change, or returns at once if there was one since the
    /// last call.
    pub async fn next(&mut self) {
        self.woken.notified().await;
    }

    /// Waits until nothing has changed for `quiet`, so that a burst causes one
    /// read.
    pub async fn settle(&mut self, quiet: Duration) {
        let calm = async { while time::timeout(quiet, self.woken.notified()).await.is_ok() {} };
        // A set that keeps changing is read anyway.
        let _ = time::timeout(MAX_SETTLE, calm).await;
    }
}

/// Notifies of each change that matters, and also when the watch breaks: the
/// next read then reports what is wrong with the server.
pub async fn wake<T: DeserializeOwned>(
    mut watcher: RetryWatcher<T>,
    matters: impl Fn(&T) -> bool,
    woken: Arc<Notify>,
) {
    use WatchEvent::{Added, Bookmark, Deleted, Modified};
    loop {
        let wakes = match watcher.next().await {
            Ok(Added(object) | Modified(object) | Deleted(object)) => matters(&object),
            Ok(Bookmark(_)) => false,
            Err(_) => true,
        };
        if wakes {
            woken.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::timeout;

    use super::{
        super::{
            fake_server::{FakeServer, Reply},
            read::{self, Scope},
            tests::{args, connect},
        },
        *,
    };

    const SOON: Duration = Duration::from_secs(5);

    /// Watches the set `web`, which does not change. One warning arrives, about
    /// the object with this name.
    async fn warned_of(name: &'static str) -> (FakeServer, Changes) {
        let server = FakeServer::http(move |request, _| {
            let path = request.path.as_str();
            let warning = json!({
                "metadata": {"name": "w", "resourceVersion": "11"},
                "involvedObject": {"name": name, "uid": "u"},
            });
            match path.split('?').next().unwrap_or_default() {
                "/apis" => Reply::json(r#"{"groups":[]}"#),
                "/apis/apps/v1/namespaces/default/statefulsets/web" => {
                    let metadata = json!({
                        "name": "web", "namespace": "default", "uid": "u", "resourceVersion": "10",
                    });
                    let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": {}});
                    Reply::json(&json!({"metadata": metadata, "spec": spec}).to_string())
                }
                "/api/v1/namespaces/default/events" if path.contains("watch=true") => {
                    let line = json!({"type": "ADDED", "object": warning}).to_string() + "\n";
                    Reply::pieces(&[line.as_str()]).open()
                }
                _ if path.contains("watch=true") => Reply::silence(),
                _ => Reply::json(r#"{"metadata":{"resourceVersion":"10"},"items":[]}"#),
            }
        })
        .await;
        let cluster = connect(&server, args());
        let reading = read::facts(&cluster, "web", Scope::Rollout).await.expect("facts");
        let changes = Changes::of_set(&cluster, &reading, Scope::Rollout);
        (server, changes)
    }

    #[tokio::test]
    async fn a_warning_about_what_is_the_sets_wakes() {
        for name in ["web", "web-0", "www-web-0"] {
            let (_server, mut changes) = warned_of(name).await;
            timeout(SOON, changes.next()).await.unwrap_or_else(|_| panic!("{name} wakes"));
        }
        let (_server, mut changes) = warned_of("db-0").await;
        assert!(timeout(Duration::from_millis(300), changes.next()).await.is_err());
    }
}
