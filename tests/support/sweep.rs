//! Sweeps: one scenario at very many points, either at all of them or at a
//! random sample that can be drawn again.

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

use super::{FaultProxy, Mishap, Output, TestCluster, Victim};

/// How many points are tried at a time.
const CONCURRENT: usize = 8;
/// When set, every sweep tries all of its points.
const FULL: &str = "KUBECTL_STATEFUL_TEST_FULL";
/// How many points each sweep tries, instead of its own number.
const POINTS: &str = "KUBECTL_STATEFUL_TEST_POINTS";
/// The seed of an earlier sweep, to draw the same sample.
const SEED: &str = "KUBECTL_STATEFUL_TEST_SEED";

/// A request of a story at which something goes wrong.
pub struct Point<'a, S, E> {
    pub story: &'a S,
    /// What the story leaves behind when nothing goes wrong.
    pub end: &'a E,
    request: usize,
    mishap: Mishap,
}

impl<S, E> Point<'_, S, E> {
    /// A proxy that makes the request go wrong, and the process to kill.
    pub fn proxy(&self, cluster: &TestCluster) -> (FaultProxy, Victim) {
        let (proxy, request) = (cluster.proxy(), self.request);
        let victim = self.mishap.inject(&proxy, move |seen| seen.number == request);
        (proxy, victim)
    }

    /// Whether the run succeeded in spite of it.
    ///
    /// # Panics
    /// When it ended as no run may end that meets this.
    #[track_caller]
    pub fn survived(&self, output: &Output, proxy: &FaultProxy) -> bool {
        let survived = output.code() == Some(0);
        assert!(survived || self.mishap.may_end(output), "{output}\n{}", proxy.log());
        survived
    }
}

impl<S: fmt::Display, E> fmt::Display for Point<'_, S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, request {}, {:?}", self.story, self.request, self.mishap)
    }
}

/// Tries every mishap at every request of every story. `undisturbed` runs a
/// story without any, and returns what it leaves behind and how many requests
/// it takes.
#[track_caller]
pub fn sweep_requests<S: fmt::Display + Sync, E: Sync>(
    name: &str,
    stories: &[S],
    mishaps: &[Mishap],
    sample: usize,
    undisturbed: impl Fn(&S) -> (E, usize),
    try_it: impl Fn(&Point<'_, S, E>) + Sync,
) {
    let ends: Vec<(E, usize)> = stories.iter().map(undisturbed).collect();
    let (mut points, mut counts) = (Vec::new(), Vec::new());
    for (story, (end, requests)) in stories.iter().zip(&ends) {
        counts.push(format!("{story} {requests}"));
        for request in 1..=*requests {
            points.extend(mishaps.iter().map(|&mishap| Point { story, end, request, mishap }));
        }
    }
    let details = format!("requests: {}", counts.join(", "));
    sweep(name, &details, points, sample, try_it);
}

/// Tries `sample` of the points, unless the environment asks for another
/// number. `details` go into the log.
#[track_caller]
pub fn sweep<P: fmt::Display + Sync>(
    name: &str,
    details: &str,
    points: Vec<P>,
    sample: usize,
    try_it: impl Fn(&P) + Sync,
) {
    sweep_concurrently(CONCURRENT, name, details, points, sample, try_it);
}

/// The same with `limit` points at a time.
#[track_caller]
pub fn sweep_concurrently<P: fmt::Display + Sync>(
    limit: usize,
    name: &str,
    details: &str,
    mut points: Vec<P>,
    sample: usize,
    try_it: impl Fn(&P) + Sync,
) {
    let began = Instant::now();
    let (all, seed) = (points.len(), number(SEED).unwrap_or_else(new_seed));
    if std::env::var_os(FULL).is_none() {
        shuffle(&mut points, seed);
        points.truncate(number(POINTS).map_or(sample, index));
    }
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..limit.min(points.len()) {
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
    // Written past libtest's capture: every log says how much was tried.
    let _ = writeln!(
        std::io::stderr(),
        "sweep {name}: {} of {all} points tried, {} failed, in {:.0?}; {details}; {SEED}={seed}",
        points.len(),
        failures.len(),
        began.elapsed(),
    );
    // tests/run reads the seed from here.
    let how_many = format!("{} failed, {SEED}={seed}", failures.len());
    assert!(failures.is_empty(), "{how_many}:\n{}", failures.join("\n\n"));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Each sweep draws another sample, unless the environment names a seed.
fn new_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a usize")
}

/// A Fisher-Yates shuffle with splitmix64 as the generator.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for last in (1..items.len()).rev() {
        items.swap(last, index(random() % (last as u64 + 1)));
    }
}
