//! Tells that something about a set changed, without saying what.
//!
//! Watches wake, lists are the truth: whoever is woken reads again, so that
//! every picture is of one moment and a lost event costs nothing.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{sync::Notify, task::JoinSet, time};

use super::{
    Cluster, Failure, WatchEvent,
    read::{Reading, encode},
};

/// After a watch that broke, and between tries to open one.
const PAUSE: Duration = Duration::from_secs(1);
/// Where watching is not allowed, the set is looked at this often.
const WITHOUT_WATCH: Duration = Duration::from_secs(5);
/// However restless the set, it is read at least this often.
const MOST_SETTLING: Duration = Duration::from_millis(500);

/// The watches of one set; they end when this is dropped.
#[derive(Debug)]
pub struct Changes {
    woken: Arc<Notify>,
    _watches: JoinSet<()>,
}

impl Changes {
    /// Watches the set, its pods and the claims of its namespace, from where
    /// `reading` ended.
    pub fn of_set(cluster: &Cluster, reading: &Reading) -> Changes {
        let set = &reading.facts.set;
        let namespace = encode(&set.namespace);
        let field = encode(&format!("metadata.name={}", set.name));
        let labels = encode(&set.selector.query());
        let paths = [
            (
                format!("/apis/apps/v1/namespaces/{namespace}/statefulsets?fieldSelector={field}"),
                &reading.marks.set,
            ),
            (
                format!("/api/v1/namespaces/{namespace}/pods?labelSelector={labels}"),
                &reading.marks.pods,
            ),
            (
                format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims?labelSelector="),
                &reading.marks.claims,
            ),
        ];
        let woken = Arc::new(Notify::new());
        let mut watches = JoinSet::new();
        // The claims are last: a set that keeps none has none to watch.
        let watched = if set.claim_templates.is_empty() { 2 } else { 3 };
        for (path, mark) in paths.into_iter().take(watched) {
            watches.spawn(follow(cluster.clone(), path, mark.clone(), Arc::clone(&woken)));
        }
        Changes { woken, _watches: watches }
    }

    /// Waits for the next change; one that came since the last call counts.
    pub async fn next(&mut self) {
        self.woken.notified().await;
    }

    /// Waits until nothing has changed for `quiet`, so that a burst is read
    /// once.
    pub async fn settle(&mut self, quiet: Duration) {
        let calm = async { while time::timeout(quiet, self.woken.notified()).await.is_ok() {} };
        // A set that never calms down is read all the same.
        let _ = time::timeout(MOST_SETTLING, calm).await;
    }
}

/// What a watch must know of an object to go on after it.
#[derive(Deserialize)]
struct Seen {
    metadata: SeenMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenMeta {
    resource_version: String,
}

/// One watch, opened again whenever it ends. It wakes also when it breaks: the
/// next read then says what is wrong with the server.
async fn follow(cluster: Cluster, path: String, mut mark: String, woken: Arc<Notify>) {
    loop {
        let query = format!("{path}&watch=true&allowWatchBookmarks=true&resourceVersion={mark}");
        let mut watch = match cluster.watch::<Seen>(&query).await {
            Ok(watch) => watch,
            Err(failure) => {
                mark = restart_from(&failure, mark);
                woken.notify_one();
                let forbidden = matches!(failure, Failure::Forbidden(_));
                time::sleep(if forbidden { WITHOUT_WATCH } else { PAUSE }).await;
                continue;
            }
        };
        let mut told = false;
        while let Some(event) = watch.next().await {
            match event {
                Ok(WatchEvent::Bookmark(version)) => mark = version,
                Ok(
                    WatchEvent::Added(seen)
                    | WatchEvent::Modified(seen)
                    | WatchEvent::Deleted(seen),
                ) => {
                    mark = seen.metadata.resource_version;
                    woken.notify_one();
                }
                Err(failure) => {
                    mark = restart_from(&failure, mark);
                    woken.notify_one();
                    told = false;
                    break;
                }
            }
            told = true;
        }
        // Servers end watches now and then; one that ends them at once, or a
        // proxy before it, must not be asked without pause.
        if !told {
            time::sleep(PAUSE).await;
        }
    }
}

/// A version that is too old is dropped: the watch then begins with what is
/// there, and being woken for that is harmless.
fn restart_from(failure: &Failure, mark: String) -> String {
    if matches!(failure, Failure::Gone(_)) { String::new() } else { mark }
}
