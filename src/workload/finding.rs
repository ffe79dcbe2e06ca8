//! Findings: what is wrong or worth knowing, under an id that never changes.
//!
//! A [`Rule`] is the kind, written once, and is where the pages of
//! `docs/findings.md` come from. A [`Finding`] is one case of it in a cluster,
//! with the evidence in its message.

use serde::Serialize;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing moves until this is mended, or a guard refuses because of it.
    Error,
    /// It works today and will surprise somebody.
    Warning,
    /// Worth knowing; normal.
    Note,
}

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable: scripts match on it, `--allow` names it.
    pub id: &'static str,
    pub severity: Severity,
    /// What it means.
    pub means: &'static str,
    /// From which fields it is concluded.
    pub evidence: &'static str,
    /// What a person does about it.
    pub remedy: &'static str,
}

/// One case of a [`Rule`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// Stable id of the rule, such as `STATUS-IMAGE-PULL`.
    pub id: &'static str,
    pub severity: Severity,
    /// One sentence with the evidence in it.
    pub message: String,
    /// `kind/name` of the object that shows it.
    pub object: String,
    /// The next command, or the next thing to do.
    pub hint: Option<String>,
}

impl Rule {
    /// A case of this rule on `object` (`pod/web-2`).
    pub fn found(&self, object: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            id: self.id,
            severity: self.severity,
            message: message.into(),
            object: object.into(),
            hint: None,
        }
    }
}

impl Finding {
    /// Adds what to type or do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Finding {
        self.hint = Some(hint.into());
        self
    }

    /// The same case, weighed differently: a failing pull that blocks nothing
    /// is still worth a warning.
    #[must_use]
    pub fn at(mut self, severity: Severity) -> Finding {
        self.severity = severity;
        self
    }
}
