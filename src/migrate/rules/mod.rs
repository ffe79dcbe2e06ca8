//! What `migrate` may find, each with the text of its page in
//! docs/findings.md.

mod convert;
mod moving;

pub use self::{convert::*, moving::*};
use crate::workload::Rule;

macro_rules! rule {
    ($name:ident, $id:literal, $severity:ident, $means:literal, $evidence:literal, $remedy:literal) => {
        pub const $name: Rule = Rule {
            id: $id,
            severity: Severity::$severity,
            means: $means,
            evidence: $evidence,
            remedy: $remedy,
        };
    };
}
use rule;

/// Every rule of `migrate`, in the order of their pages.
pub fn all() -> Vec<&'static Rule> {
    [convert::REFUSALS, moving::GUARDS, convert::WARNINGS, convert::NOTES, moving::STOPS].concat()
}

/// Refusals that `--allow ID` overrides when an application is moved.
pub fn allowable() -> Vec<&'static Rule> {
    [BY_CONVERSION, BY_MOVE].concat()
}
