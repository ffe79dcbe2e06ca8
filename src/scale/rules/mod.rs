//! The findings of `scale`, each with the text of its page in docs/findings.md.

mod guards;
mod running;

pub use self::{guards::*, running::*};
use crate::workload::Rule;

/// Every rule of `scale`, in the order of their pages.
pub fn all() -> Vec<&'static Rule> {
    [GUARDS, CONFLICTS, FAILURES, NOTES].concat()
}

/// Guards that `--allow ID` overrides: a person may know better.
pub const ALLOWABLE: &[&Rule] = &[
    &DESTROYS_DATA,
    &READOPTS_DATA,
    &STARTS_EMPTY,
    &CLAIM_IN_USE,
    &MEMBER_UNHEALTHY,
    &TWO_BROKEN,
    &ROLLOUT,
    &OWNER,
    &HPA,
    &KEDA,
    &GITOPS,
    &NO_HEADROOM,
    &UNREAD,
];

const GUARDS: &[&Rule] = &[
    &DESTROYS_DATA,
    &READOPTS_DATA,
    &STARTS_EMPTY,
    &NAME_TAKEN,
    &CLAIM_IN_USE,
    &CLAIM_LEAVING,
    &MEMBER_UNHEALTHY,
    &TWO_BROKEN,
    &ROLLOUT,
    &CANARY,
    &MIGRATION,
    &OTHER_GOAL,
    &OWNER,
    &HPA,
    &KEDA,
    &GITOPS,
    &NO_HEADROOM,
    &NO_SNAPSHOTS,
    &SNAPSHOT_NEEDS_CLAIM,
    &NOT_ASIDE,
    &BEING_DELETED,
    &HOOK_UNUSABLE,
    &RECORD_UNUSABLE,
    &UNREAD,
    &BLIND,
    &NO_RIGHTS,
];

const CONFLICTS: &[&Rule] =
    &[&REPLICAS_CHANGED, &REPLACED, &TAKEN_OVER, &DATA_CHANGED, &NOT_KEPT, &POD_STAYS];

const FAILURES: &[&Rule] =
    &[&HOOK_FAILED, &CHECK_FAILED, &SNAPSHOT_FAILED, &DOES_NOT_COME_UP, &NOT_RETAINED, &DEADLINE];

const NOTES: &[&Rule] = &[
    &CLAIM_GOES,
    &FREE_VOLUME,
    &OLD_VOLUME,
    &STILL_ASIDE,
    &VOLUME_LEAVING,
    &SNAPSHOT_DELETES,
    &PASSES_BROKEN,
    &QUORUM,
    &BUDGET_LATER,
    &HELM,
    &TO_ZERO,
];
