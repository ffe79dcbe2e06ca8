//! The result of one attempt at a gate or a hook.

use serde::Serialize;

use crate::output::text::{clip, one_line};

/// How many characters of an output a report shows.
const MAX_SHOWN: usize = 160;

/// The state of a gate or a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Fail,
    /// It ran, and the result says neither yes nor no.
    Inconclusive,
    /// It has not run often enough yet.
    Pending,
}

/// The result of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub verdict: Verdict,
    /// What was seen, in one line.
    pub detail: String,
}

impl Attempt {
    pub fn pass(detail: impl Into<String>) -> Attempt {
        Attempt { verdict: Verdict::Pass, detail: detail.into() }
    }

    pub fn fail(detail: impl Into<String>) -> Attempt {
        Attempt { verdict: Verdict::Fail, detail: detail.into() }
    }

    pub fn inconclusive(detail: impl Into<String>) -> Attempt {
        Attempt { verdict: Verdict::Inconclusive, detail: detail.into() }
    }
}

/// `what: LAST LINE OF THE OUTPUT`, or `what` where there is none.
pub fn with_output(what: String, output: &str) -> String {
    match output.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!("{what}: {}", shown(line)),
        None => what,
    }
}

/// An output as one short line of a report.
pub fn shown(text: &str) -> String {
    clip(&one_line(text), MAX_SHOWN).into_owned()
}
