//! A watch that reopens whenever it ends.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tokio::time;

use super::{Cluster, Failure, Listing, Watch, WatchEvent};

/// The delay after a watch that ended at once, and between attempts to open one.
pub(super) const REOPEN_DELAY: Duration = Duration::from_secs(1);
/// How often to list instead when watching is forbidden.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The changes to a list from a resource version on; never ends.
pub struct RetryWatcher<T> {
    cluster: Cluster,
    listing: Listing,
    /// The last version seen; empty means from the current state.
    version: String,
    open: Option<Open<T>>,
    /// How long to wait before the next watch.
    pause: Option<Duration>,
}

struct Open<T> {
    watch: Watch<T>,
    since: Instant,
    had_events: bool,
}

/// Why there is no event; the next watch may succeed.
pub enum WatchError {
    /// The watch broke.
    Broken(Failure),
    /// It could not be opened.
    NotOpened(Failure),
}

impl<T: DeserializeOwned> RetryWatcher<T> {
    pub fn new(cluster: Cluster, listing: Listing, version: String) -> RetryWatcher<T> {
        RetryWatcher { cluster, listing, version, open: None, pause: None }
    }

    /// The last resource version seen.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Continues from another resource version, with a new watch.
    pub fn resume_from(&mut self, version: String) {
        self.version = version;
        self.open = None;
    }

    /// The next event. After an error the next call opens a new watch; after
    /// [`Failure::Gone`] it starts from the current state.
    pub async fn next(&mut self) -> Result<WatchEvent<T>, WatchError> {
        loop {
            let open = match &mut self.open {
                Some(open) => open,
                none => {
                    if let Some(pause) = self.pause.take() {
                        time::sleep(pause).await;
                    }
                    match self.cluster.watch(&self.listing, &self.version).await {
                        Ok(watch) => {
                            none.insert(Open { watch, since: Instant::now(), had_events: false })
                        }
                        Err(failure) => {
                            let forbidden = matches!(failure, Failure::Forbidden(_));
                            self.pause = Some(if forbidden { POLL_INTERVAL } else { REOPEN_DELAY });
                            return Err(WatchError::NotOpened(self.noting_gone(failure)));
                        }
                    }
                }
            };
            match open.watch.next().await {
                Some(Ok(event)) => {
                    if let Some(version) = open.watch.version() {
                        version.clone_into(&mut self.version);
                    }
                    open.had_events = true;
                    return Ok(event);
                }
                ended => {
                    // Servers end watches now and then. A server or a proxy
                    // that ends them at once must not be called in a tight
                    // loop.
                    let at_once = !open.had_events && open.since.elapsed() < REOPEN_DELAY;
                    self.pause = at_once.then_some(REOPEN_DELAY);
                    self.open = None;
                    if let Some(Err(failure)) = ended {
                        return Err(WatchError::Broken(self.noting_gone(failure)));
                    }
                }
            }
        }
    }

    fn noting_gone(&mut self, failure: Failure) -> Failure {
        if matches!(failure, Failure::Gone(_)) {
            self.version.clear();
        }
        failure
    }
}
