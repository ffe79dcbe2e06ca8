//! A template that somebody else has set during a canary: whose it is, and what
//! it changes. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    diff::{self, Difference, fingerprint},
    lines,
    record::Phase,
    rules,
};
use crate::{
    output::text::{count, one_line},
    workload::{Facts, Finding, rollout::State},
};

/// A template that is neither the canary's nor the stable one.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ForeignTemplate {
    /// The revision that the controller has made of it.
    pub revision: Option<String>,
    /// The field manager that set it; `null` where managedFields do not say.
    pub manager: Option<String>,
    /// When that was.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub time: Option<Timestamp>,
    /// How it differs from the template that the canary had set, or from the
    /// stable one where the canary had set none.
    pub changes: Vec<Difference>,
    #[serde(skip)]
    pub fingerprint: String,
}

/// How many changes a sentence names.
const MAX_NAMED: usize = 2;

impl ForeignTemplate {
    /// The one on the set, if somebody else has set it since the last step of the
    /// canary. A set that is staged waits for one.
    pub fn of(state: &State) -> Option<ForeignTemplate> {
        let (set, record, facts) = (state.survey.set, state.record, state.survey.facts);
        let template = &set.template.raw;
        let now = fingerprint(template);
        let stable = facts.revision(&record.stable).map(|stable| &stable.template);
        let is_stable = stable.is_some_and(|stable| diff::differences(stable, template).is_empty());
        let is_ours = match record.phase {
            Phase::Staged | Phase::Rolling => now == record.template,
            // The template of the canary is what was taken back.
            Phase::Aborting => stable.is_none(),
        };
        if is_stable || is_ours {
            return None;
        }
        let before = match record.phase {
            // Without its revision nobody knows what was the canary's own change.
            Phase::Rolling => of_fingerprint(facts, &record.template),
            Phase::Staged | Phase::Aborting => stable,
        };
        let (manager, time) = set.template_setter().unzip();
        let is_seen = set.is_observed();
        Some(ForeignTemplate {
            revision: set.status.update_revision.clone().filter(|_| is_seen),
            manager: manager.map(str::to_owned),
            time,
            changes: before.map_or_else(Vec::new, |before| diff::differences(before, template)),
            fingerprint: now,
        })
    }

    /// `field manager kubectl-set (at 2026-01-01T12:00:00Z)`.
    pub fn who(&self) -> String {
        match (&self.manager, self.time) {
            (Some(manager), Some(time)) => {
                format!("field manager {} (at {time:.0})", one_line(manager))
            }
            _ => "somebody else".to_owned(),
        }
    }

    /// `spec.containers[nginx].image nginx:1.22 → nginx:1.30`, for people.
    pub fn what(&self) -> String {
        let value =
            |value: &Option<String>| value.as_deref().map_or_else(|| "<none>".to_owned(), one_line);
        let named = self.changes.iter().take(MAX_NAMED).map(|change| {
            let Difference { path, before, after } = change;
            format!("{} {} → {}", one_line(path), value(before), value(after))
        });
        let mut named: Vec<String> = named.collect();
        let more = self.changes.len().saturating_sub(MAX_NAMED);
        if more > 0 {
            named.push(count(more, "more change"));
        }
        if named.is_empty() { "what it changes is not known".to_owned() } else { named.join(", ") }
    }

    /// Why an abort refuses to put the stable template in its place.
    pub fn overwritten(&self, state: &State) -> Finding {
        let set = state.survey.set;
        let message = format!(
            "the abort would overwrite a template that is not the canary's: {} has set it since; {}",
            self.who(),
            self.what()
        );
        rules::OVERWRITES.found(set.reference(), message).hint(lines::abort(state))
    }

    /// What stops a canary, or shows that an abort is not alone.
    pub fn changed(&self, state: &State) -> Finding {
        let set = state.survey.set;
        let since = match state.record.phase {
            Phase::Staged | Phase::Rolling => "after the canary began",
            Phase::Aborting => "after it was put back",
        };
        let message = format!("{} changed the pod template {since}: {}", self.who(), self.what());
        rules::TEMPLATE_CHANGED.found(set.reference(), message).hint(lines::abort(state))
    }
}

fn of_fingerprint<'a>(facts: &'a Facts, wanted: &str) -> Option<&'a serde_json::Value> {
    let all = facts.revisions.iter().flatten().map(|revision| &revision.template);
    all.into_iter().find(|template| fingerprint(template) == wanted)
}
