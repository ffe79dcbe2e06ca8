//! Exit codes: one table for all commands, part of the public contract.
//!
//! Scripts depend on these numbers, so the meaning of a code never changes.
//! docs/exit-codes.md and the table in `--help` are generated from here.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    Done,
    Error,
    Usage,
    Found,
    Refused,
    Failed,
    Timeout,
    Conflict,
    Incomplete,
    Waiting,
    Reverted,
    Manual,
    Interrupted,
    Terminated,
}

impl Exit {
    pub const ALL: [Exit; 14] = [
        Exit::Done,
        Exit::Error,
        Exit::Usage,
        Exit::Found,
        Exit::Refused,
        Exit::Failed,
        Exit::Timeout,
        Exit::Conflict,
        Exit::Incomplete,
        Exit::Waiting,
        Exit::Reverted,
        Exit::Manual,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// The process exit status.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Usage => 2,
            Exit::Found => 3,
            Exit::Refused => 4,
            Exit::Failed => 5,
            Exit::Timeout => 6,
            Exit::Conflict => 7,
            Exit::Incomplete => 8,
            Exit::Waiting => 9,
            Exit::Reverted => 10,
            Exit::Manual => 11,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }

    /// The value of `result` in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Error => "error",
            Exit::Usage => "usage",
            Exit::Found => "found",
            Exit::Refused => "refused",
            Exit::Failed => "failed",
            Exit::Timeout => "timeout",
            Exit::Conflict => "conflict",
            Exit::Incomplete => "incomplete",
            Exit::Waiting => "waiting",
            Exit::Reverted => "reverted",
            Exit::Manual => "manual",
            Exit::Interrupted | Exit::Terminated => "interrupted",
        }
    }

    /// The meaning, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "what was asked for is done, or was already so",
            Exit::Error => "API, network or permission error, or a bug; it is safe to run it again",
            Exit::Usage => "the command line is wrong: unknown flag, bad value, missing argument",
            Exit::Found => "found something, where the command was asked to judge",
            Exit::Refused => "a guard refused; nothing was changed",
            Exit::Failed => {
                "a gate, hook or check failed after the first change; stopped at a safe point, which is printed"
            }
            Exit::Timeout => "the deadline passed; stopped at a safe point, and can be continued",
            Exit::Conflict => "something else changed the object, or another run has the lock",
            Exit::Incomplete => {
                "not everything could be read (no permission, or the API is missing); the answer is a lower bound"
            }
            Exit::Waiting => "a person has to decide: promotion, approval, leader ahead, finalize",
            Exit::Reverted => "it failed and was rolled back, and the result was verified",
            Exit::Manual => "only a person can go on; data is kept, and the objects are named",
            Exit::Interrupted => {
                "SIGINT; the state is consistent, and the command that continues is printed"
            }
            Exit::Terminated => "SIGTERM; otherwise the same as 130",
        }
    }

    /// What a script should do.
    pub fn advice(self) -> &'static str {
        match self {
            Exit::Done => "go on",
            Exit::Error => "retry, then alert",
            Exit::Usage => "fix the command line",
            Exit::Found => "read the findings",
            Exit::Refused => "read `reasons[]`; override one by one with `--allow ID`",
            Exit::Failed => "fix it and continue, or abort or roll back",
            Exit::Timeout | Exit::Interrupted | Exit::Terminated => {
                "run the printed command to continue"
            }
            Exit::Conflict => "see what changed, then plan again",
            Exit::Incomplete => "grant the permission, or accept the gap",
            Exit::Waiting => "decide, then continue",
            Exit::Reverted => "open a ticket",
            Exit::Manual => "page a person",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Exit;

    #[test]
    fn codes_are_distinct_and_in_the_documented_order() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 130, 143]);
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
    }
}
