//! How old the reading may be that a write is decided on.
//!
//! Kubernetes has no transaction over the journal, which is the lock, and the object
//! that is written. So a write is only sent while the look at the lock is recent: a
//! run that was stopped in between looks again first.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// So old a reading may be.
const FRESH: Duration = Duration::from_secs(2);
/// And so old where the server takes long to answer: less than others wait for a
/// heartbeat before they take over.
const OLDEST: Duration = Duration::from_secs(10);
/// So many readings in a row may be too old.
const MAX_STALE: u32 = 8;

/// The time of the last reading, and how old it may be.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    read_at: (Instant, Timestamp),
    allowed: Duration,
    stale: u32,
}

/// Whether to write on what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    Fresh,
    /// Read and decide again.
    Stale,
    /// Reading takes longer than any reading may be old.
    Hopeless,
}

impl Freshness {
    pub fn new() -> Freshness {
        let read_at = (Instant::now(), Timestamp::now());
        Freshness { read_at, allowed: FRESH, stale: 0 }
    }

    /// To be called before a reading is asked for: its answer is from then on.
    pub fn reads(&mut self) {
        self.read_at = (Instant::now(), Timestamp::now());
    }

    /// How old the reading is. The one clock stands while the machine sleeps, and
    /// somebody may set the other: the longer time counts.
    fn age(&self) -> Duration {
        let (monotonic, wall) = self.read_at;
        let by_wall = Duration::try_from(Timestamp::now().duration_since(wall)).unwrap_or_default();
        monotonic.elapsed().max(by_wall)
    }

    /// To be asked before each write.
    pub fn judge(&mut self) -> Judged {
        self.judge_age(self.age())
    }

    fn judge_age(&mut self, age: Duration) -> Judged {
        if age <= self.allowed {
            (self.allowed, self.stale) = (FRESH, 0);
            return Judged::Fresh;
        }
        self.stale += 1;
        // Where the server itself is slow, no reading would ever be fresh.
        self.allowed = (self.allowed * 2).min(OLDEST);
        if self.stale > MAX_STALE { Judged::Hopeless } else { Judged::Stale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_long_ago_is_read_again() {
        let mut fresh = Freshness::new();
        assert_eq!(fresh.judge_age(Duration::from_secs(1)), Judged::Fresh);
        assert_eq!(fresh.judge_age(Duration::from_secs(3)), Judged::Stale);
        // The server is slow: the same time is enough now, once.
        assert_eq!(fresh.judge_age(Duration::from_secs(3)), Judged::Fresh);
        assert_eq!(fresh.judge_age(Duration::from_secs(3)), Judged::Stale);
        // Never so old that somebody else could have waited for a heartbeat.
        for _ in 1..MAX_STALE {
            assert_eq!(fresh.judge_age(Duration::from_secs(11)), Judged::Stale);
        }
        assert_eq!(fresh.judge_age(Duration::from_secs(11)), Judged::Hopeless);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_fresh() {
        let mut fresh = Freshness::new();
        fresh.read_at.1 = Timestamp::MAX;
        assert!(fresh.age() < Duration::from_secs(60));
        fresh.read_at.1 = Timestamp::UNIX_EPOCH;
        assert_eq!(fresh.judge(), Judged::Stale);
    }
}
