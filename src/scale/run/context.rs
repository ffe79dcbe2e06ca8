//! What a scaling works with: the live set, the options, the preview.

use std::time::Instant;

use jiff::Timestamp;

use crate::{
    cluster::Cluster,
    output::{Error, Look},
    scale::{
        args::ScaleArgs,
        fresh::{self, Names},
        plan::Terms,
        preview::{Ordinal, Preview},
        record::Record,
        report::{self, View},
    },
    steps::{self, LiveSet},
    workload::{Facts, StatefulSet, Survey},
};

pub struct RunContext<'a> {
    pub cluster: &'a Cluster,
    pub args: &'a ScaleArgs,
    pub terms: Terms,
    pub preview: Preview,
    /// The name under which this run writes.
    pub run: String,
    pub live: LiveSet,
    pub began: Timestamp,
    /// `spec.ordinals.start`, from which the plan has counted.
    pub start: u32,
    /// The replicas that the report offers to go back to; `None` where data is
    /// lost.
    pub undo_to: Option<u32>,
    /// The claims with which an earlier run has begun, and that are finished
    /// first.
    pub begun: Vec<Names>,
    /// The claims that earlier runs of the scaling have set aside.
    pub set_aside: Vec<Names>,
    /// The record that this run has written first.
    pub record: Option<Record>,
    /// Since when a claim has waited for the controller to release it.
    pub unreleased: Option<Instant>,
}

impl RunContext<'_> {
    pub fn facts(&self) -> &Facts {
        self.live.facts()
    }

    pub fn set(&self) -> &StatefulSet {
        self.live.set()
    }

    /// The ordinals between two numbers of replicas.
    pub fn items_between(&self, one: u32, other: u32) -> Vec<Ordinal> {
        let start = self.start;
        let (low, high) = (one.min(other), one.max(other));
        let between = start.saturating_add(low)..start.saturating_add(high);
        let items = self.preview.items.iter();
        items.filter(|item| between.contains(&item.ordinal)).cloned().collect()
    }

    /// A pod of the set by its name, and its uid.
    pub fn known_as(&self, name: &str) -> Option<(String, String)> {
        let mut pods = self.facts().pods.iter().flatten();
        let pod = pods.find(|pod| pod.name == name && self.set().owns(pod))?;
        Some((pod.name.clone(), pod.uid.clone()))
    }

    /// The claims that this scaling sets aside, those of earlier runs included.
    pub fn aside_names(&self) -> Vec<Names> {
        let mut all = self.begun.clone();
        let mut own = self.set_aside.clone();
        if let Some(record) = self.record.as_ref().filter(|_| self.terms.fresh) {
            let (low, high) = (record.from.min(record.to), record.from.max(record.to));
            let start = self.set().start;
            let ordinals = (low..high).map(|index| start.saturating_add(index));
            own.extend(ordinals.flat_map(|ordinal| fresh::names(self.set(), record, ordinal)));
        }
        for names in own {
            if !all.iter().any(|one| one.aside == names.aside) {
                all.push(names);
            }
        }
        all
    }

    /// Whether the set is there, with no scaling on it.
    pub fn is_over(&self, uid: &str) -> bool {
        !self.live.is_replaced(uid) && matches!(Record::of(self.set()), Ok(None))
    }

    /// Reports what is waited for: in the live view, or as a line when it
    /// changes.
    ///
    /// # Errors
    /// When it cannot be drawn or written.
    pub fn report_wait(&mut self, what: &str, until: Option<Timestamp>) -> Result<(), Error> {
        if !self.live.draws() {
            return self.live.report_wait(what, until);
        }
        let now = Timestamp::now();
        let view = View::new(self.facts(), self.preview.clone(), String::new(), now);
        let look = Look::of(self.live.sender.progress.terminal, now);
        let survey = Survey::new(self.facts(), now);
        let text = report::live(&view, &survey, &steps::wait_text(what, until), look);
        self.live.draw(&text)
    }
}
