//! The findings of `orphans`, each with the text of its page in
//! docs/findings.md.

mod classes;
mod deletion;
mod report;

pub use classes::*;
pub use deletion::*;
pub use report::*;

use super::row::Class;
use crate::workload::Rule;

/// Every rule, in the order of their pages.
pub fn all() -> Vec<&'static Rule> {
    CLASSES.iter().chain(REPORT).chain(REFUSALS).copied().collect()
}

/// The rule of a class.
pub fn of(class: Class) -> &'static Rule {
    match class {
        Class::OrdinalBeyond => &ORDINAL_BEYOND,
        Class::OrdinalBelowStart => &ORDINAL_BELOW_START,
        Class::SetGone => &SET_GONE,
        Class::TemplateRenamed => &TEMPLATE_RENAMED,
        Class::OwnerGone => &OWNER_GONE,
        Class::Unreferenced => &UNREFERENCED,
        Class::Lost => &LOST,
        Class::PendingNeverBound => &PENDING_NEVER_BOUND,
        Class::TerminatingStuck => &TERMINATING_STUCK,
        Class::TerminatingInUse => &TERMINATING_IN_USE,
        Class::PvReleased => &PV_RELEASED,
        Class::PvFailed => &PV_FAILED,
        Class::PvInUse => &PV_IN_USE,
        Class::Parked => &PARKED,
        Class::Elastic => &ELASTIC,
        Class::Managed => &MANAGED,
        Class::Conflict => &CONFLICT,
        Class::Unknown => &UNKNOWN,
    }
}

const CLASSES: &[&Rule] = &[
    &ORDINAL_BEYOND,
    &ORDINAL_BELOW_START,
    &SET_GONE,
    &TEMPLATE_RENAMED,
    &OWNER_GONE,
    &UNREFERENCED,
    &LOST,
    &PENDING_NEVER_BOUND,
    &TERMINATING_STUCK,
    &TERMINATING_IN_USE,
    &PV_RELEASED,
    &PV_FAILED,
    &PV_IN_USE,
    &PARKED,
    &ELASTIC,
    &MANAGED,
    &CONFLICT,
    &UNKNOWN,
];

const REPORT: &[&Rule] = &[&READOPTED, &BY_AGE, &NO_SUCH_CLASS, &LEFT_HELD];

const REFUSALS: &[&Rule] = &[
    &IN_USE,
    &NO_ORPHAN,
    &CHANGED,
    &NOT_READ,
    &NOT_IDLE,
    &VOLUME_STAYS,
    &POLICY_UNKNOWN,
    &VOLUME_GOES,
    &SHARED_DISK,
    &HELD,
    &DATA_GOES,
    &SKIPPED,
    &MADE_AGAIN,
    &NO_SNAPSHOTS,
    &UNFIT,
    &TAKEN,
    &SMALLER,
    &BELOW_START,
    &WAS_FAILED,
    &NO_RIGHTS,
    &LEFT_RETAINED,
    &NOT_YET,
];
