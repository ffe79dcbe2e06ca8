//! Why a set is stuck: the rules.
//!
//! Each file looks at one part of the set. A rule concludes only from what
//! was read, says the evidence, and names the next step; nothing here writes.

mod creation;
mod pods;
mod rollout;
mod service;
mod storage;
mod template;

use crate::workload::{Finding, Rule, Survey};

/// What is plainly wrong with one pod, by the same rules as everywhere.
pub use pods::{MOUNT_ID, broken as broken_pod, unready as unready_pod};

/// Every rule of `status`, in the order of their pages.
pub fn rules() -> Vec<&'static Rule> {
    [pods::RULES, rollout::RULES, creation::RULES, storage::RULES, service::RULES, template::RULES]
        .concat()
}

/// What is found, in the order in which a person would mend it: the pod that
/// is broken before the rollout that waits for it.
pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let mut found = Vec::new();
    rollout::revert_trap(survey, &mut found);
    pods::check(survey, &mut found);
    creation::check(survey, &mut found);
    storage::check(survey, &mut found);
    rollout::check(survey, &mut found);
    service::check(survey, &mut found);
    template::check(survey, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_say_the_command() {
        let mut ids: Vec<&str> = rules().iter().map(|rule| rule.id).collect();
        assert!(ids.iter().all(|id| id.starts_with("STATUS-")), "{ids:?}");
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
