//! A partition that is set while no rollout is under way.

use crate::{output::text::list, workload::Survey};

/// What the next change of the template will reach with the partition of now.
pub fn next_change_reaches(survey: &Survey) -> String {
    let set = survey.set;
    let released = survey.slots.iter().filter(|slot| set.released().contains(&slot.ordinal));
    let released: Vec<&str> = released.map(|slot| slot.name.as_str()).collect();
    let reach = match released.as_slice() {
        [] => "no pod at all".to_owned(),
        names => format!("only {}", list(names)),
    };
    format!("the next template change will reach {reach}")
}
