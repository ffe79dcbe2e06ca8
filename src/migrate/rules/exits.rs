//! How a verb ends that stops for a finding. What stops, what refuses and the
//! pages of docs/findings.md all ask here, so that they agree.

use super::moving::{
    ADMIN_STEP, CHANGED, CLAIMS_GO, COPY_FAILED, DEADLINE, JOURNAL_UNUSABLE, LOCKED, NO_RIGHTS,
    NO_WAY_BACK, NOT_ARRIVED, OTHER_DISK, POD_BROKEN, REMAINS, SOAKING, TAKEN, TAKEN_OVER,
    UNDER_WAY, VERIFY_FAILED,
};
use crate::{
    output::Exit,
    workload::{Finding, Rule},
};

/// The end before the first write, and the end after it.
struct Ends {
    rule: &'static Rule,
    refused: Exit,
    stopped: Exit,
}

const fn always(rule: &'static Rule, exit: Exit) -> Ends {
    Ends { rule, refused: exit, stopped: exit }
}

const fn refused_or(rule: &'static Rule, stopped: Exit) -> Ends {
    Ends { rule, refused: Exit::Refused, stopped }
}

/// Whatever is not in here only refuses.
const ENDS: [Ends; 18] = [
    always(&LOCKED, Exit::Conflict),
    always(&JOURNAL_UNUSABLE, Exit::Manual),
    always(&CHANGED, Exit::Conflict),
    always(&TAKEN, Exit::Conflict),
    always(&COPY_FAILED, Exit::Failed),
    always(&POD_BROKEN, Exit::Failed),
    always(&VERIFY_FAILED, Exit::Failed),
    always(&DEADLINE, Exit::Timeout),
    always(&TAKEN_OVER, Exit::Conflict),
    always(&SOAKING, Exit::Waiting),
    always(&ADMIN_STEP, Exit::Waiting),
    refused_or(&NOT_ARRIVED, Exit::Failed),
    refused_or(&OTHER_DISK, Exit::Failed),
    refused_or(&NO_WAY_BACK, Exit::Manual),
    refused_or(&NO_RIGHTS, Exit::Manual),
    refused_or(&CLAIMS_GO, Exit::Conflict),
    refused_or(&REMAINS, Exit::Manual),
    // As a guard of a plan it refuses; to a run, another one has the lock.
    refused_or(&UNDER_WAY, Exit::Conflict),
];

fn ends(id: &str) -> Option<&'static Ends> {
    ENDS.iter().find(|ends| ends.rule.id == id)
}

/// The exit code of a verb that this keeps from its first write.
pub fn refused_for(finding: &Finding) -> Exit {
    ends(finding.id).map_or(Exit::Refused, |ends| ends.refused)
}

/// The exit code of a verb that this stops on its way.
pub fn stopped_for(finding: &Finding) -> Exit {
    ends(finding.id).map_or(Exit::Failed, |ends| ends.stopped)
}

/// The exit codes in words, for the page of a rule; `None` if nothing stops for it.
pub fn exit_codes(rule: &Rule) -> Option<String> {
    let Ends { refused, stopped, .. } = ends(rule.id)?;
    Some(if rule.id == UNDER_WAY.id {
        format!(
            "{} as a guard of a plan, {} where a run or a recovery finds another one under way.",
            refused.code(),
            stopped.code()
        )
    } else if refused == stopped {
        format!("{}.", stopped.code())
    } else {
        format!("{} before the first write, {} after it.", refused.code(), stopped.code())
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            STOPS,
            moving::{BOTH_RUN, LEFT_OVER, OLD_KEPT, ROLLBACK_LOSES, VOLUME_GOES},
        },
        exit_codes,
    };

    /// The rest is said, and nothing stops for it.
    #[test]
    fn whatever_stops_a_verb_has_its_exit_codes() {
        let said = [&OLD_KEPT, &BOTH_RUN, &VOLUME_GOES, &ROLLBACK_LOSES, &LEFT_OVER];
        for rule in STOPS {
            assert_eq!(exit_codes(rule).is_none(), said.contains(rule), "{}", rule.id);
        }
    }
}
