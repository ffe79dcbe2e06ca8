//! A row: what is left of a set once it is judged. Pure.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    status::plan::{Goal, Health, Picture},
    workload::{Finding, Severity},
};

/// One set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    /// The state of the set.
    pub class: Health,
    pub uid: Option<String>,
    pub replicas: u32,
    /// Null when the pods could not be read; so are the next two.
    pub ready: Option<u32>,
    pub available: Option<u32>,
    /// Pods that run the update revision.
    pub updated: Option<u32>,
    pub current_revision: Option<String>,
    pub update_revision: Option<String>,
    pub images: Vec<String>,
    pub strategy: String,
    /// `null` where the strategy has none.
    pub partition: Option<u32>,
    /// The ordinals that the partition keeps on the stable revision, while the
    /// set has another one.
    pub held: u32,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// Whether it is what `--wait-for` waits for.
    #[serde(skip)]
    pub goals: [bool; 2],
    /// Why it never will be.
    #[serde(skip)]
    pub goes: Option<String>,
}

impl Row {
    pub fn of(picture: Picture) -> Row {
        let goals = [picture.meets(Goal::Ready), picture.meets(Goal::Updated)];
        let goes = picture.goes().map(str::to_owned);
        let Picture { health, set, findings, revisions, .. } = picture;
        let moves = set.current_revision != set.update_revision;
        let partition = set.partition.unwrap_or(0).min(set.replicas);
        let wanted = set.update_revision.as_deref().unwrap_or("<unknown>");
        let images = revisions.into_iter().find(|revision| revision.name == wanted);
        let images = images.map(|revision| revision.images);
        Row {
            kind: "StatefulSet",
            namespace: set.namespace,
            name: set.name,
            class: health,
            uid: set.uid,
            replicas: set.replicas,
            ready: set.ready,
            available: set.available,
            updated: set.updated,
            current_revision: set.current_revision,
            update_revision: set.update_revision,
            images: images.unwrap_or_default(),
            strategy: set.strategy,
            partition: set.partition,
            held: if moves { partition } else { 0 },
            created: set.created,
            findings,
            goals,
            goes,
        }
    }

    /// The finding to look at first.
    pub fn worst(&self) -> Option<&Finding> {
        self.findings.first()
    }

    pub fn is_stuck(&self) -> bool {
        self.worst().is_some_and(|worst| worst.severity == Severity::Error)
    }

    pub fn meets(&self, goal: Goal) -> bool {
        let [ready, updated] = self.goals;
        match goal {
            Goal::Ready => ready,
            Goal::Updated => updated,
        }
    }

    /// `shop/web`.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// How much trouble it is in: less is worse.
    fn trouble(&self) -> u8 {
        let warned = self.worst().is_some_and(|worst| worst.severity == Severity::Warning);
        match self.class {
            Health::Stuck => 0,
            Health::Unknown => 1,
            Health::Progressing => 2,
            Health::Ready | Health::Parked if warned => 3,
            Health::Ready => 4,
            Health::Parked => 5,
        }
    }
}

/// The order of the rows: the worst first, then by name.
pub fn sort(rows: &mut [Row]) {
    rows.sort_by(|one, other| {
        let key = |row: &Row| row.trouble();
        key(one)
            .cmp(&key(other))
            .then_with(|| one.namespace.cmp(&other.namespace))
            .then_with(|| one.name.cmp(&other.name))
    });
}
