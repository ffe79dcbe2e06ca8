//! Exit codes: one table for every command, part of the public contract.
//!
//! Scripts branch on these numbers, so a code never changes its meaning.
//! `docs/exit-codes.md` and the table in `--help` are generated from here.

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

    /// The word that `result` carries in JSON.
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

    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "what was asked for holds now, also when it held before",
            Exit::Error => "API, network, permission or bug; running it again is safe",
            Exit::Usage => "the words are off: unknown flag, bad value, missing argument",
            Exit::Found => "a command that was asked to judge found something",
            Exit::Refused => "a guard said no; nothing was changed",
            Exit::Failed => {
                "a gate, hook or check failed after changes began; stopped at a safe point that is printed"
            }
            Exit::Timeout => "the deadline passed; stopped at a safe point, can be continued",
            Exit::Conflict => "somebody else changed it, or another run holds the lock",
            Exit::Incomplete => {
                "not everything could be read (permissions, absent API); what is printed is a lower bound"
            }
            Exit::Waiting => "paused for a person: promotion, approval, leader ahead, finalize",
            Exit::Reverted => "it failed and was taken back, and that was verified",
            Exit::Manual => "only a person can go on; data is kept, the objects are named",
            Exit::Interrupted => {
                "SIGINT: the state is consistent, the command that continues is printed"
            }
            Exit::Terminated => "SIGTERM: the same as 130",
        }
    }

    /// What a script does with it.
    pub fn advice(self) -> &'static str {
        match self {
            Exit::Done => "go on",
            Exit::Error => "retry, then alert",
            Exit::Usage => "fix the call",
            Exit::Found => "look",
            Exit::Refused => "read `reasons[]`, override one by one with `--allow ID`",
            Exit::Failed => "abort, roll back or fix",
            Exit::Timeout | Exit::Interrupted | Exit::Terminated => "continue",
            Exit::Conflict => "look, plan again",
            Exit::Incomplete => "grant or accept",
            Exit::Waiting => "approve",
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
