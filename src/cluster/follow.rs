//! A watch that is opened again whenever it ends.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tokio::time;

use super::{Cluster, Failure, Watch, WatchEvent};

/// After a watch that ended at once, and between tries to open one.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Where watching is not allowed, this often is looked instead.
pub(super) const WITHOUT_WATCH: Duration = Duration::from_secs(5);

/// The changes to a list, from a resource version on and without an end.
pub(super) struct Follow<T> {
    cluster: Cluster,
    /// Of the list, with its selectors.
    path: String,
    /// What was told last; empty means from whatever is there then.
    mark: String,
    open: Option<Open<T>>,
    /// Before the next watch is opened.
    pause: Option<Duration>,
}

struct Open<T> {
    watch: Watch<T>,
    since: Instant,
    told: bool,
}

/// Why there is no change to tell; the next watch may do better.
pub(super) enum Break {
    /// The watch broke.
    Broken(Failure),
    /// It could not be opened.
    NotOpened(Failure),
}

impl<T: DeserializeOwned> Follow<T> {
    pub fn new(cluster: Cluster, path: String, mark: String) -> Follow<T> {
        Follow { cluster, path, mark, open: None, pause: None }
    }

    /// The resource version that was told last.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Goes on from another resource version, with another watch.
    pub fn go_on_from(&mut self, mark: String) {
        self.mark = mark;
        self.open = None;
    }

    /// The next change. After a break the next call opens another watch; after
    /// [`Failure::Gone`] the place is lost, and it begins with what is there.
    pub async fn next(&mut self) -> Result<WatchEvent<T>, Break> {
        loop {
            let open = match &mut self.open {
                Some(open) => open,
                none => {
                    if let Some(pause) = self.pause.take() {
                        time::sleep(pause).await;
                    }
                    let joint = if self.path.contains('?') { '&' } else { '?' };
                    let path = format!(
                        "{}{joint}watch=true&allowWatchBookmarks=true&resourceVersion={}",
                        self.path, self.mark
                    );
                    match self.cluster.watch(&path).await {
                        Ok(watch) => {
                            none.insert(Open { watch, since: Instant::now(), told: false })
                        }
                        Err(failure) => {
                            let forbidden = matches!(failure, Failure::Forbidden(_));
                            self.pause = Some(if forbidden { WITHOUT_WATCH } else { PAUSE });
                            return Err(Break::NotOpened(self.placed(failure)));
                        }
                    }
                }
            };
            match open.watch.next().await {
                Some(Ok(event)) => {
                    if let Some(version) = open.watch.version() {
                        version.clone_into(&mut self.mark);
                    }
                    open.told = true;
                    return Ok(event);
                }
                ended => {
                    // Servers end watches now and then; one that ends them at
                    // once, or a proxy before it, must not be asked without
                    // pause.
                    let at_once = !open.told && open.since.elapsed() < PAUSE;
                    self.pause = at_once.then_some(PAUSE);
                    self.open = None;
                    if let Some(Err(failure)) = ended {
                        return Err(Break::Broken(self.placed(failure)));
                    }
                }
            }
        }
    }

    fn placed(&mut self, failure: Failure) -> Failure {
        if matches!(failure, Failure::Gone(_)) {
            self.mark.clear();
        }
        failure
    }
}
