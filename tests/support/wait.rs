//! The one place where a test waits.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How often a condition is looked at. Conditions are cheap: a GET over an open
/// connection, or a look into memory.
const INTERVAL: Duration = Duration::from_millis(20);

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
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain for {}", what());
        thread::sleep(INTERVAL);
    }
}
