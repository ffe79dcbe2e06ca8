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

use super::plan::Survey;
use crate::workload::{Finding, Rule};

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

/// `web-2`, `web-1 and web-2`, `web-1, web-2 and 7 more`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_a_person_would() {
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b"]), "a and b");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(list(&["a", "b", "c", "d"]), "a, b and 2 more");
    }

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
