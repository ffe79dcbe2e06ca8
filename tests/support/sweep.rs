//! Trying something at very many points: at all of them, or at a sample that
//! can be drawn again.

use std::{
    fmt,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// So many points are under way at a time.
const SIDE_BY_SIDE: usize = 8;
/// All points of every sweep.
const FULL: &str = "KUBECTL_STATEFUL_TEST_FULL";
/// So many points of each sweep.
const POINTS: &str = "KUBECTL_STATEFUL_TEST_POINTS";
/// The sample of an earlier sweep.
const SEED: &str = "KUBECTL_STATEFUL_TEST_SEED";

/// Tries as many of the points as it is asked for: `sample`, unless the
/// environment says otherwise. `of` is what else belongs into the log.
#[track_caller]
pub fn sweep<P: fmt::Display + Sync>(
    name: &str,
    of: &str,
    points: Vec<P>,
    sample: usize,
    try_it: impl Fn(&P) + Sync,
) {
    sweep_abreast(SIDE_BY_SIDE, name, of, points, sample, try_it);
}

/// The same with so many points at a time.
#[track_caller]
pub fn sweep_abreast<P: fmt::Display + Sync>(
    abreast: usize,
    name: &str,
    of: &str,
    mut points: Vec<P>,
    sample: usize,
    try_it: impl Fn(&P) + Sync,
) {
    let began = Instant::now();
    let (all, seed) = (points.len(), number(SEED).unwrap_or_else(now));
    if std::env::var_os(FULL).is_none() {
        shuffle(&mut points, seed);
        points.truncate(number(POINTS).map_or(sample, place));
    }
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..abreast.min(points.len()) {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = catch_unwind(AssertUnwindSafe(|| try_it(point))) {
                        let said = why.downcast_ref::<String>().map(String::as_str);
                        let said = said.or_else(|| why.downcast_ref::<&str>().copied());
                        let failure = format!("{point}: {}", said.unwrap_or("?"));
                        failures.lock().expect("nobody panics here").push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody panics here");
    // Past the capture: how much was tried belongs into every log.
    let _ = writeln!(
        std::io::stderr(),
        "sweep {name}: {} of {all} points tried, {} failed, in {:.0?}; {of}; {SEED}={seed}",
        points.len(),
        failures.len(),
        began.elapsed(),
    );
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n\n"));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Another sample each time, unless one is named to see a failure again.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("smaller than a length")
}

/// Fisher and Yates, with the random numbers of splitmix64.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for last in (1..items.len()).rev() {
        items.swap(last, place(random() % (last as u64 + 1)));
    }
}
