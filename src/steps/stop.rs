//! Why a run stopped early.
//!
//! A failure, a signal and something in the way all end a run from deep inside
//! it. One error type for the three lets `?` carry each of them up to the
//! function of the verb, which reports how far it came ([`End::of`]).

use crate::{
    cluster::Failure,
    output::{Error, Exit},
    workload::Finding,
};

/// What ended a run before it was done.
#[derive(Debug)]
pub enum Stop {
    /// An error that no report can follow.
    Failed(Error),
    /// Ctrl-C, or the request to terminate; the exit code says which.
    Interrupted(Exit),
    /// A gate, a deadline, a conflict: the report shows the findings.
    Blocked(End),
}

impl Stop {
    /// Stops for one finding.
    pub fn with(exit: Exit, finding: Finding) -> Stop {
        Stop::Blocked(End::with(exit, finding))
    }

    /// The same, with one more thing to know.
    #[must_use]
    pub fn and(self, finding: Finding) -> Stop {
        match self {
            Stop::Failed(error) => {
                let error = error.caused_by(&finding.message);
                Stop::Failed(match finding.hint {
                    Some(hint) if error.advice().is_none() => error.hint(hint),
                    _ => error,
                })
            }
            Stop::Interrupted(exit) => Stop::with(exit, finding),
            Stop::Blocked(mut end) => {
                end.findings.push(finding);
                Stop::Blocked(end)
            }
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure.into())
    }
}

impl From<End> for Stop {
    fn from(end: End) -> Stop {
        Stop::Blocked(end)
    }
}

/// How a run ended, apart from errors.
#[derive(Debug)]
pub struct End {
    pub exit: Exit,
    pub findings: Vec<Finding>,
}

impl End {
    pub fn done() -> End {
        End { exit: Exit::Done, findings: Vec::new() }
    }

    pub fn with(exit: Exit, finding: Finding) -> End {
        End { exit, findings: vec![finding] }
    }

    /// Ended by Ctrl-C, or by the request to terminate.
    pub fn interrupted(exit: Exit) -> End {
        End { exit, findings: Vec::new() }
    }

    /// What to report of a run: what stopped it is part of the report, unless
    /// it failed.
    ///
    /// # Errors
    /// The error of [`Stop::Failed`].
    pub fn of(outcome: Result<End, Stop>) -> Result<End, Error> {
        match outcome {
            Ok(end) | Err(Stop::Blocked(end)) => Ok(end),
            Err(Stop::Interrupted(exit)) => Ok(End::interrupted(exit)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    pub fn is_interrupted(&self) -> bool {
        matches!(self.exit, Exit::Interrupted | Exit::Terminated)
    }
}
