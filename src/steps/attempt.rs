//! What asking somebody once has given: a pod, a hook, a server.

use serde::Serialize;

use crate::output::text::{clip, one_line};

/// As much of an output as a line of a report shows.
const SHOWN: usize = 160;

/// How a gate or a hook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Fail,
    /// It was asked and there was no answer to judge by.
    Inconclusive,
    /// It was not asked often enough yet.
    Pending,
}

/// What one attempt gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub verdict: Verdict,
    /// What was seen, in one line.
    pub said: String,
}

impl Attempt {
    pub fn pass(said: impl Into<String>) -> Attempt {
        Attempt { verdict: Verdict::Pass, said: said.into() }
    }

    pub fn fail(said: impl Into<String>) -> Attempt {
        Attempt { verdict: Verdict::Fail, said: said.into() }
    }

    pub fn inconclusive(said: impl Into<String>) -> Attempt {
        Attempt { verdict: Verdict::Inconclusive, said: said.into() }
    }
}

/// `what: LAST LINE`, where there is an output.
pub fn with_output(what: String, output: &str) -> String {
    match output.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!("{what}: {}", shown(line)),
        None => what,
    }
}

/// What somebody said, in a line of a report.
pub fn shown(text: &str) -> String {
    clip(&one_line(text), SHOWN).into_owned()
}
