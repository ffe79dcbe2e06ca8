//! The one place where a test waits.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long until a condition is looked at again. Most are a GET, and several
/// tests that wait keep the API server from what they wait for: what takes
/// longer is looked at less often.
fn pause(waited: Duration) -> Duration {
    (waited / 10).clamp(Duration::from_millis(10), Duration::from_millis(80))
}

/// Waits until `probe` returns something.
///
/// # Panics
/// When `deadline` has passed, naming what was waited for.
#[track_caller]
pub fn wait_for<T>(deadline: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> T {
    wait_and_tell(deadline, || what.to_owned(), probe)
}

/// The same, where what there is to tell is known only when it was in vain.
///
/// # Panics
/// As `wait_for`.
#[track_caller]
pub fn wait_and_tell<T>(
    deadline: Duration,
    what: impl FnOnce() -> String,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        let waited = start.elapsed();
        assert!(waited < deadline, "waited {deadline:?} in vain for {}", what());
        thread::sleep(pause(waited));
    }
}
