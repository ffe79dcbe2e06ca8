//! What the API server refuses to create, and a namespace in which it creates nothing.

use crate::{
    output::text::{age, one_line},
    workload::{Event, Slot, Survey},
};

/// Why the controller cannot create the pod of an ordinal.
pub struct Refusal<'a> {
    /// The server's words.
    pub cause: String,
    event: &'a Event,
}

/// Why this ordinal has no pod: the newest refusal of the server that names the pod
/// or a claim of it that is not there.
pub fn refused<'a>(survey: &Survey<'a>, slot: &Slot) -> Option<Refusal<'a>> {
    if !survey.pods_known || slot.pod.is_some() {
        return None;
    }
    let claims = slot.claims.iter().filter(|claim| claim.claim.is_none());
    let wanted: Vec<&str> =
        std::iter::once(slot.name.as_str()).chain(claims.map(|c| c.name.as_str())).collect();
    let facts = survey.facts;
    let event = facts
        .events
        .iter()
        .flatten()
        .filter(|event| event.object_uid == survey.set.uid && event.reason == "FailedCreate")
        .filter(|event| wanted.iter().any(|name| mentions(&event.message, name)))
        .max_by_key(|event| event.last)?;
    let message = one_line(&event.message);
    // "create Pod web-2 in StatefulSet web failed error: pods …": the cause
    // comes after the controller's own text.
    let cause = message.split_once("failed error: ").map_or(message.as_str(), |(_, cause)| cause);
    Some(Refusal { cause: cause.to_owned(), event })
}

impl Refusal<'_> {
    pub fn is_of_quota(&self) -> bool {
        self.cause.contains("exceeded quota")
    }

    /// Whether the server has said so since this moment. Events have whole seconds.
    pub fn is_since(&self, moment: jiff::Timestamp) -> bool {
        self.event.last.is_none_or(|last| last.as_second() >= moment.as_second())
    }

    /// The refusal in one sentence about the pod.
    pub fn sentence(&self, pod: &str, survey: &Survey) -> String {
        let tries = self.event.last.map_or_else(String::new, |last| {
            let ago = age(survey.now.duration_since(last));
            format!(" ({} tries, the last {ago} ago)", self.event.count)
        });
        format!("{pod} cannot be created: {}{tries}", self.cause)
    }

    /// The command that shows more of it.
    pub fn hint(&self, survey: &Survey) -> String {
        if self.is_of_quota() {
            format!("kubectl describe resourcequota {}", survey.at())
        } else {
            format!("kubectl describe sts {} {}", survey.set.name, survey.at())
        }
    }
}

/// Whether a message names this object, not one whose name contains its name.
fn mentions(message: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    message.match_indices(name).any(|(start, _)| {
        let before = message[..start].chars().next_back();
        let after = message[start + name.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

/// That the namespace goes with all that is in it, and the command that shows it.
pub fn namespace_deleting(survey: &Survey) -> Option<(String, String)> {
    let namespace = &survey.set.namespace;
    let lasts = age(survey.now.duration_since(survey.facts.namespace_deleting?));
    let message = format!(
        "namespace {namespace} was deleted {lasts} ago: everything in it goes, and no pod will come \
         any more"
    );
    Some((message, format!("kubectl get namespace {namespace} -o yaml{}", survey.cluster_wide())))
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
