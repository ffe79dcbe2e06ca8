//! Every finding of a canary, with the text of its page in docs/findings.md:
//! guards before the first write, conflicts, failures, and notes.

mod guards;
mod running;

pub use self::{guards::*, running::*};
use crate::workload::Rule;

/// Every rule of `canary`, in the order of their pages.
pub fn all() -> Vec<&'static Rule> {
    [GUARDS, CONFLICTS, FAILURES, NOTES].concat()
}

/// Guards that `--allow ID` overrides: a person may know better.
pub const ALLOWABLE: &[&Rule] = &[
    &OWNER,
    &HPA,
    &KEDA,
    &GITOPS,
    &UNHEALTHY,
    &SINGLE_REPLICA,
    &LEFTOVER_PARTITION,
    &PROMOTION_BUG,
    &NO_WAY_BACK,
    &UNREAD,
    &NO_HEADROOM,
    &NO_RIGHTS,
    &OVERWRITES,
];

/// Guards of the beginning: whoever goes on is not asked for them again.
pub const OF_THE_START: &[&Rule] =
    &[&SINGLE_REPLICA, &LEFTOVER_PARTITION, &NO_WAY_BACK, &PROMOTION_BUG];

const GUARDS: &[&Rule] = &[
    &OWNER,
    &HPA,
    &KEDA,
    &VPA,
    &GITOPS,
    &HELM,
    &UNHEALTHY,
    &NO_REPLICAS,
    &SINGLE_REPLICA,
    &LEFTOVER_PARTITION,
    &ROLLOUT_IN_PROGRESS,
    &UNDONE,
    &IN_PROGRESS,
    &ABORT_IN_PROGRESS,
    &NONE,
    &NO_CHANGE,
    &FORBIDDEN_FIELD,
    &REJECTED,
    &UNKNOWN_STRATEGY,
    &NO_STABLE_REVISION,
    &NO_WAY_BACK,
    &NAMESPACE_DELETING,
    &BEING_DELETED,
    &RECORD_UNUSABLE,
    &CAN_GO_ON,
    &CLAIM_LEAVING,
    &UNREAD,
    &BLIND,
    &NO_RIGHTS,
    &GATE_UNUSABLE,
    &GATE_PORT,
    &PROMOTION_BUG,
    &MAX_UNAVAILABLE,
    &NO_READINESS_PROBE,
    &ON_DELETE_DRIFT,
    &NOTHING_TRAPPED,
    &OVERWRITES,
];

const CONFLICTS: &[&Rule] = &[
    &TEMPLATE_CHANGED,
    &PARTITION_CHANGED,
    &REPLICAS_CHANGED,
    &ORDINALS_CHANGED,
    &STRATEGY_CHANGED,
    &ESCAPED,
    &REPLACED,
    &TAKEN_OVER,
];

const FAILURES: &[&Rule] = &[
    &POD_BROKEN,
    &POD_REFUSED,
    &NOT_STEADY,
    &CHECK_FAILED,
    &CHECK_INCONCLUSIVE,
    &HOOK_FAILED,
    &DEADLINE,
    &NO_HEADROOM,
    &LEADER_AHEAD,
    &STABLE_POD_BLOCKS,
    &THIRD_REVISION,
];

const NOTES: &[&Rule] =
    &[&GATES_DIFFER, &NOT_KEPT, &MANIFEST_PARTITION, &PARTITION_STAYS, &COMES_BACK];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_say_the_command() {
        let mut ids: Vec<&str> = all().iter().map(|rule| rule.id).collect();
        assert!(ids.iter().all(|id| id.starts_with("CANARY-")), "{ids:?}");
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
