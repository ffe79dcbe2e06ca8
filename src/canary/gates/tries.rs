//! Counts attempts at a gate: k of n must pass, at an interval. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::spec::TryRule;
use crate::steps::attempt::{Attempt, Verdict};

/// The attempts at one gate in one pod.
#[derive(Clone, Debug)]
pub struct Tries {
    rule: TryRule,
    passed: u32,
    failed: u32,
    last: Option<(Timestamp, Attempt)>,
}

impl Tries {
    pub fn new(rule: TryRule) -> Tries {
        Tries { rule, passed: 0, failed: 0, last: None }
    }

    /// How long to wait until the next attempt; `None` when there is none.
    pub fn due(&self, now: Timestamp) -> Option<Duration> {
        if matches!(self.verdict(), Verdict::Pass | Verdict::Fail) {
            return None;
        }
        let Some((last, _)) = &self.last else {
            return Some(Duration::ZERO);
        };
        let interval = self.rule.interval.0;
        // A clock that was set back must not lengthen the wait.
        let since = Duration::try_from(now.duration_since(*last)).unwrap_or(Duration::ZERO);
        Some(interval.saturating_sub(since))
    }

    /// Counts an attempt that ended at `now`, unless there is a verdict already.
    pub fn record(&mut self, now: Timestamp, attempt: Attempt) {
        if matches!(self.verdict(), Verdict::Pass | Verdict::Fail) {
            return;
        }
        match attempt.verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail => self.failed += 1,
            // Not counted: it is made again.
            Verdict::Inconclusive | Verdict::Pending => {}
        }
        self.last = Some((now, attempt));
    }

    /// Fails as soon as too few attempts are left to pass.
    pub fn verdict(&self) -> Verdict {
        let TryRule { passes, of, .. } = self.rule;
        if self.passed >= passes {
            Verdict::Pass
        } else if self.failed > of.saturating_sub(passes) {
            Verdict::Fail
        } else {
            match &self.last {
                Some((_, last)) if last.verdict == Verdict::Inconclusive => Verdict::Inconclusive,
                _ => Verdict::Pending,
            }
        }
    }

    /// The count, and the detail of the last attempt.
    pub fn detail(&self) -> String {
        let Tries { passed, failed, rule: TryRule { passes, of, .. }, last } = self;
        let mut text = match self.verdict() {
            Verdict::Fail => format!("{failed} of {of} failed"),
            _ => format!("{passed} of {passes} passed"),
        };
        if let Some((_, attempt)) = last
            && !attempt.detail.is_empty()
        {
            text.push_str(": ");
            text.push_str(&attempt.detail);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::canary::gates::values::Span;

    fn rule(passes: u32, of: u32) -> TryRule {
        TryRule { passes, of, interval: Span(Duration::from_secs(5)), ..TryRule::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn two_reads_are_apart() {
        let mut tries = Tries::new(rule(2, 3));
        assert_eq!(tries.due(at(0)), Some(Duration::ZERO));
        tries.record(at(0), Attempt::pass("ok"));
        assert_eq!(
            (tries.verdict(), tries.detail().as_str()),
            (Verdict::Pending, "1 of 2 passed: ok")
        );
        assert_eq!(tries.due(at(2)), Some(Duration::from_secs(3)));
        assert_eq!(tries.due(at(9)), Some(Duration::ZERO));
        assert_eq!(tries.due(at(-9)), Some(Duration::from_secs(5)));
        tries.record(at(9), Attempt::inconclusive("no answer"));
        assert_eq!(tries.verdict(), Verdict::Inconclusive);
        assert_eq!(tries.due(at(9)), Some(Duration::from_secs(5)));
        tries.record(at(14), Attempt::pass(""));
        assert_eq!((tries.verdict(), tries.detail().as_str()), (Verdict::Pass, "2 of 2 passed"));
        assert_eq!(tries.due(at(99)), None);
    }

    #[test]
    fn it_fails_as_soon_as_it_cannot_pass_any_more() {
        let mut tries = Tries::new(rule(2, 3));
        tries.record(at(0), Attempt::fail("exit 1"));
        assert_eq!(tries.verdict(), Verdict::Pending);
        tries.record(at(5), Attempt::fail("exit 2"));
        assert_eq!(
            (tries.verdict(), tries.detail().as_str()),
            (Verdict::Fail, "2 of 3 failed: exit 2")
        );
        tries.record(at(10), Attempt::pass("late"));
        assert_eq!(
            (tries.verdict(), tries.detail().as_str()),
            (Verdict::Fail, "2 of 3 failed: exit 2")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_verdict_is_that_of_the_attempts_that_count(
            of in 1_u32..6,
            short in 0_u32..6,
            attempts in proptest::collection::vec(0_u8..3, 0..20),
        ) {
            let passes = of.saturating_sub(short).max(1);
            let mut tries = Tries::new(rule(passes, of));
            let (mut passed, mut failed) = (0, 0);
            let mut decided = None;
            for (second, kind) in attempts.iter().enumerate() {
                let attempt = match kind {
                    0 => Attempt::pass(""),
                    1 => Attempt::fail(""),
                    _ => Attempt::inconclusive(""),
                };
                tries.record(at(second.try_into().unwrap()), attempt);
                if decided.is_none() {
                    passed += u32::from(*kind == 0);
                    failed += u32::from(*kind == 1);
                    if passed == passes {
                        decided = Some(Verdict::Pass);
                    } else if of - failed < passes {
                        decided = Some(Verdict::Fail);
                    }
                }
                let undecided = if *kind == 2 { Verdict::Inconclusive } else { Verdict::Pending };
                prop_assert_eq!(tries.verdict(), decided.unwrap_or(undecided));
                prop_assert_eq!(tries.due(at(100)).is_none(), decided.is_some());
            }
            // n attempts that count always decide.
            prop_assert!(passed + failed <= of);
            prop_assert!(decided.is_some() || passed + failed < of);
        }

        #[test]
        fn no_attempt_comes_before_its_time(last in 0_i64..100, now in 0_i64..200) {
            let mut tries = Tries::new(rule(2, 3));
            tries.record(at(last), Attempt::pass(""));
            let due = tries.due(at(now)).unwrap();
            prop_assert!(due <= Duration::from_secs(5));
            prop_assert_eq!(due.is_zero(), now - last >= 5);
        }
    }
}
