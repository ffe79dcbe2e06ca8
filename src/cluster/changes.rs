//! Tells that something about a set changed, without saying what.
//!
//! Watches wake, lists are the truth: whoever is woken reads again, so that
//! every picture is of one moment and a lost event costs nothing.

use std::{sync::Arc, time::Duration};

use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::{sync::Notify, task::JoinSet, time};

use super::{
    Cluster, WatchEvent,
    follow::Follow,
    read::{Paths, Reading},
};

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
        let (set, marks) = (&reading.facts.set, &reading.marks);
        let Paths { sets, pods, claims, .. } = Paths::of(set);
        let mut watched = vec![(sets, &marks.set), (pods, &marks.pods)];
        // A set that keeps no claims has none to watch.
        if !set.claim_templates.is_empty() {
            watched.push((claims, &marks.claims));
        }
        let woken = Arc::new(Notify::new());
        let mut watches = JoinSet::new();
        for (path, mark) in watched {
            let follow = Follow::new(cluster.clone(), path, mark.clone());
            watches.spawn(wake(follow, |_: &IgnoredAny| true, Arc::clone(&woken)));
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

/// Wakes at each change that matters, and also when the watch breaks: the next
/// read then says what is wrong with the server.
pub(super) async fn wake<T: DeserializeOwned>(
    mut follow: Follow<T>,
    matters: impl Fn(&T) -> bool,
    woken: Arc<Notify>,
) {
    use WatchEvent::{Added, Bookmark, Deleted, Modified};
    loop {
        let wakes = match follow.next().await {
            Ok(Added(object) | Modified(object) | Deleted(object)) => matters(&object),
            Ok(Bookmark(_)) => false,
            Err(_) => true,
        };
        if wakes {
            woken.notify_one();
        }
    }
}
