//! Why a set is stuck: the rules.
//!
//! Each file covers one part of the set. A rule concludes only from what was
//! read, shows the evidence, and names the next step. Nothing here writes.

mod claims;
mod creation;
mod pods;
mod rollout;
mod service;
mod storage;
mod template;

use crate::workload::{Finding, Rule, Severity, Survey};

/// Every rule of `status`, in the order of their sections.
pub fn rules() -> Vec<&'static Rule> {
    [
        pods::RULES,
        rollout::RULES,
        creation::RULES,
        storage::RULES,
        claims::RULES,
        service::RULES,
        template::RULES,
    ]
    .concat()
}

/// Those of what is going, with all that belongs to it.
pub(super) const OF_THE_END: [&Rule; 2] = [&creation::NAMESPACE_DELETING, &creation::SET_DELETING];

/// The findings, in the order in which to fix them: the broken pod before the
/// rollout that waits for it.
pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let mut found = Vec::from_iter(creation::namespace_deleting(survey));
    found.extend(creation::deleting(survey));
    rollout::revert_trap(survey, &mut found);
    let (mut of_pods, mut of_claims) = (Vec::new(), Vec::new());
    pods::check(survey, &mut of_pods);
    storage::check(survey, &mut of_claims);
    // A pod that only waits for its claims comes after what is wrong with them.
    let explained = of_claims.iter().any(|one| one.severity == Severity::Error);
    let (of_claimless, of_pods): (Vec<_>, Vec<_>) =
        of_pods.into_iter().partition(|one| explained && pods::waits_for_claims(one));
    found.extend(of_pods);
    creation::check(survey, &mut found);
    found.extend(of_claims);
    found.extend(of_claimless);
    claims::check(survey, &mut found);
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
