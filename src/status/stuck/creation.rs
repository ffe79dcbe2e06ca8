//! Pods and claims that the API server refuses to create.

use crate::{
    output::text::{age, one_line},
    workload::{Event, Finding, Rule, Severity, Survey},
};

pub(super) const RULES: &[&Rule] = &[&QUOTA, &REFUSED];

const QUOTA: Rule = Rule {
    id: "STATUS-QUOTA",
    severity: Severity::Error,
    means: "A ResourceQuota of the namespace leaves no room for the next pod or claim.",
    evidence: "An ordinal has no pod, and the newest FailedCreate event about this set (by uid) \
               names that pod or its claim and says `exceeded quota`.",
    remedy: "Raise the quota or free what fills it. The controller tries again by itself, at \
             growing intervals.",
};

const REFUSED: Rule = Rule {
    id: "STATUS-REFUSED",
    severity: Severity::Error,
    means: "The API server refuses to create the next pod or claim: an admission webhook, a policy \
            such as PodSecurity, or the object is invalid.",
    evidence: "An ordinal has no pod, and the newest FailedCreate event about this set (by uid) \
               names that pod or its claim; the message is the server's.",
    remedy: "Correct the template, or the policy that refuses it. The controller tries again by \
             itself, at growing intervals.",
};

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    if !survey.pods_known {
        return;
    }
    let missing = survey.slots.iter().filter(|slot| slot.pod.is_none());
    for slot in missing {
        let claims = slot.claims.iter().filter(|claim| claim.claim.is_none());
        let wanted: Vec<&str> =
            std::iter::once(slot.name.as_str()).chain(claims.map(|c| c.name.as_str())).collect();
        if let Some(event) = refusal(survey, &wanted) {
            found.push(describe(survey, &slot.name, event));
            // The controller stops at the first that fails.
            return;
        }
    }
}

fn refusal<'a>(survey: &'a Survey, wanted: &[&str]) -> Option<&'a Event> {
    survey
        .facts
        .events
        .iter()
        .flatten()
        .filter(|event| event.object_uid == survey.set.uid && event.reason == "FailedCreate")
        .filter(|event| wanted.iter().any(|name| mentions(&event.message, name)))
        .max_by_key(|event| event.last)
}

/// Whether a message names this object and not one that begins like it.
fn mentions(message: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    message.match_indices(name).any(|(start, _)| {
        let before = message[..start].chars().next_back();
        let after = message[start + name.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

fn describe(survey: &Survey, pod: &str, event: &Event) -> Finding {
    let message = one_line(&event.message);
    // "create Pod web-2 in StatefulSet web failed error: pods …": the cause
    // follows the controller's own words.
    let cause = message.split_once("failed error: ").map_or(message.as_str(), |(_, cause)| cause);
    let tries = event.last.map_or_else(String::new, |last| {
        let ago = age(survey.now.duration_since(last));
        format!(" ({} tries, the last {ago} ago)", event.count)
    });
    let set = survey.set;
    if cause.contains("exceeded quota") {
        QUOTA
            .found(set.reference(), format!("{pod} cannot be created: {cause}{tries}"))
            .hint(format!("kubectl describe resourcequota {}", survey.at()))
    } else {
        REFUSED
            .found(set.reference(), format!("{pod} cannot be created: {cause}{tries}"))
            .hint(format!("kubectl describe sts {} {}", set.name, survey.at()))
    }
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_name_is_not_found_inside_a_longer_one() {
        assert!(mentions("create Pod web-1 in StatefulSet web failed", "web-1"));
        assert!(mentions("pods \"web-1\" is forbidden", "web-1"));
        assert!(!mentions("create Pod web-10 in StatefulSet web failed", "web-1"));
        assert!(!mentions("create Claim www-web-1 for Pod", "web-1"));
    }
}
