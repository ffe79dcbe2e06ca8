//! Findings: what is wrong or worth knowing, with an id that never changes.
//!
//! A [`Rule`] is a kind of finding, and the source of its section in
//! docs/findings.md. A [`Finding`] is one case in a cluster, with the evidence
//! in its message.

use serde::Serialize;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing moves until this is fixed, or a guard refuses because of it.
    Error,
    /// It works today and will surprise someone.
    Warning,
    /// Worth knowing, and normal.
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
    /// The fields from which it is concluded.
    pub evidence: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Declares a [`Rule`]: name, id, severity, meaning, evidence, remedy.
macro_rules! rule {
    (
        $visibility:vis $name:ident, $id:literal, $severity:ident,
        $means:literal, $evidence:literal, $remedy:literal $(,)?
    ) => {
        $visibility const $name: $crate::workload::Rule = $crate::workload::Rule {
            id: $id,
            severity: $crate::workload::Severity::$severity,
            means: $means,
            evidence: $evidence,
            remedy: $remedy,
        };
    };
}
pub(crate) use rule;

/// One case of a [`Rule`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// The stable id of the rule, such as `STATUS-IMAGE-PULL`.
    pub id: &'static str,
    pub severity: Severity,
    /// One sentence that includes the evidence.
    pub message: String,
    /// `kind/name` of the object.
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
    /// Adds what to run or do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Finding {
        self.hint = Some(hint.into());
        self
    }

    /// Changes the severity: a failing pull that blocks nothing is still worth a
    /// warning.
    #[must_use]
    pub fn at(mut self, severity: Severity) -> Finding {
        self.severity = severity;
        self
    }
}

/// Whether any finding refuses the command.
pub fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// The guards that the user overrides with `--allow`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<&'static Rule>);

impl Allowed {
    pub fn of(guards: impl IntoIterator<Item = &'static Rule>) -> Allowed {
        Allowed(guards.into_iter().collect())
    }

    pub fn contains(&self, guard: &Rule) -> bool {
        self.0.iter().any(|rule| rule.id == guard.id)
    }

    /// Removes a guard that cannot be overridden in this case.
    #[must_use]
    pub fn without(mut self, guard: &Rule) -> Allowed {
        self.0.retain(|rule| rule.id != guard.id);
        self
    }

    /// Turns errors of allowed guards into warnings.
    pub fn weigh(&self, findings: &mut [Finding]) {
        for finding in findings.iter_mut().filter(|finding| finding.severity == Severity::Error) {
            if self.0.iter().any(|rule| rule.id == finding.id) {
                finding.severity = Severity::Warning;
            }
        }
    }
}
