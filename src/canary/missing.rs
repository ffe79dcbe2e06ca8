//! An ordinal whose pod the API server refuses to create: by a quota, a limit or an
//! admission. The controller tries again and again, and no pod shows it. Pure.

use jiff::{SignedDuration, Timestamp};

use super::rules;
use crate::{
    diagnosis::{self, Refusal},
    workload::{Finding, Slot, rollout::State},
};

/// How long the server may refuse a pod before that counts as a failure. The quota of
/// the pod that has gone is given back a moment later, and webhooks restart.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// Since when the server has refused a pod, as one run has seen it.
pub type Refused = Option<(String, Timestamp)>;

/// The lowest ordinal whose pod is refused, since the canary began: the controller
/// stops there. An event from before is about a pod that was made since.
fn refused<'a, 'b>(state: &'b State<'a>) -> Option<(u32, &'b Slot<'a>, Refusal<'a>)> {
    state.indexes().find_map(|(index, slot)| {
        let refusal = diagnosis::refused(&state.survey, slot)?;
        refusal.is_since(state.record.started).then_some((index, slot, refusal))
    })
}

/// What a run remembers of it at its next look.
pub fn observe(before: Refused, state: &State) -> Refused {
    let (_, slot, _) = refused(state)?;
    let known = before.filter(|(name, _)| *name == slot.name);
    Some(known.unwrap_or_else(|| (slot.name.clone(), state.survey.now)))
}

/// The finding, for whoever looks.
pub fn finding(state: &State) -> Option<Finding> {
    let (_, slot, refusal) = refused(state)?;
    let message = refusal.sentence(&slot.name, &state.survey);
    let on = format!("pod/{}", slot.name);
    Some(rules::POD_REFUSED.found(on, message).hint(refusal.hint(&state.survey)))
}

/// The same, once a run has seen for so long that the new pod of an ordinal is
/// refused. One of the old revision is waited for, as for any that is not available.
pub fn lasting(state: &State, since: &Refused) -> Option<Finding> {
    let (index, ..) = refused(state)?;
    let (_, since) = since.as_ref()?;
    let lasts = state.survey.now.duration_since(*since) >= PATIENCE;
    finding(state).filter(|_| lasts && state.record.has_released(index))
}

/// `; ` and why the pod of this name does not come.
pub fn because(state: &State, waited_for: &str) -> String {
    match refused(state) {
        Some((_, slot, refusal)) if slot.name == waited_for => format!("; {}", refusal.cause),
        Some((_, slot, refusal)) => {
            format!("; {} cannot be created: {}", slot.name, refusal.cause)
        }
        None => String::new(),
    }
}
