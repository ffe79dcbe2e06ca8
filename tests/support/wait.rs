//! Waiting for a condition. Tests wait nowhere else.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long until a condition is checked again. Most conditions are a GET, and
/// several waiting tests would slow down the very API server they wait for: the
/// longer a wait, the less often it is checked.
fn pause(waited: Duration) -> Duration {
    (waited / 10).clamp(Duration::from_millis(10), Duration::from_millis(80))
}

/// Waits until `probe` returns something.
///
/// # Panics
/// When `deadline` has passed, naming what was waited for.
#[track_caller]
pub fn wait_for<T>(deadline: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> T {
    wait_or_explain(deadline, || what.to_owned(), probe)
}

/// The same, with a message that is made only when the wait has failed.
///
/// # Panics
/// As `wait_for`.
#[track_caller]
pub fn wait_or_explain<T>(
    deadline: Duration,
    explain: impl FnOnce() -> String,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        let waited = start.elapsed();
        assert!(waited < deadline, "waited {deadline:?} in vain for {}", explain());
        thread::sleep(pause(waited));
    }
}
