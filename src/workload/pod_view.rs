//! An ordinal with its pod, as the documents of every command show it. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::{Pod, Slot, Survey};

/// An ordinal, and what its pod says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PodView {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub ordinal: u32,
    pub uid: Option<String>,
    /// The revision that it runs, or would be created from where that is known.
    pub revision: Option<String>,
    pub state: String,
    pub ready: bool,
    pub available: bool,
    pub restarts: u32,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
}

impl PodView {
    pub fn of(survey: &Survey, slot: &Slot) -> PodView {
        let (set, pod) = (survey.set, slot.pod);
        let absent = if survey.pods_known { "Missing" } else { "Unknown" };
        PodView {
            kind: "Pod",
            namespace: set.namespace.clone(),
            name: slot.name.clone(),
            ordinal: slot.ordinal,
            // A manifest has none.
            uid: pod.map(|pod| pod.uid.clone()).filter(|uid| !uid.is_empty()),
            revision: pod.and_then(Pod::revision).map(str::to_owned),
            state: pod.map_or_else(|| absent.to_owned(), Pod::state),
            ready: pod.is_some_and(Pod::is_ready),
            available: slot.is_available(set, survey.now),
            restarts: pod.map_or(0, Pod::restarts),
            created: pod.and_then(|pod| pod.created),
        }
    }

    /// Whether another pod has the name by now.
    pub fn is_another_than(&self, before: &PodView) -> bool {
        self.uid.is_some() && before.uid != self.uid
    }
}
