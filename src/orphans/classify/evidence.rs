//! What speaks for and against a claim being an orphan, whatever its class. Pure.

use super::Judge;
use crate::orphans::{
    model::{Claim, Kind, Text},
    row::{Class, Confidence, Row},
};

impl<'a> Judge<'a> {
    /// A row with what speaks for and against it, whatever its class.
    pub(super) fn base(&self, claim: &'a Claim, class: Class, why: String) -> Row {
        let volume = claim.volume.as_ref().and_then(|name| self.volumes.get(&**name).copied());
        let node = self.node_of(claim.volume.as_ref());
        let mut row = Row::of_claim(claim, volume, node, class, why);
        if claim.unused.is_some_and(|unused| !unused.holds) {
            let why = "the server reports that a pod uses it (condition Unused)";
            row.evidence.push(why.to_owned());
            row.confidence = Confidence::Low;
        }
        if let Some(node) = &row.node {
            row.evidence.push(format!("its volume is attached to {node}"));
            row.confidence = Confidence::Low;
        }
        if claim.volume.is_some() {
            for kind in self.facts.missing_of(&[Kind::Volume, Kind::Attachment]) {
                let unknown = match kind {
                    Kind::Volume => "the policy of its volume is not known",
                    _ => "its volume may be attached to a node",
                };
                let kind = kind.resource().name();
                row.evidence.push(format!("{kind} could not be read: {unknown}"));
                row.confidence = row.confidence.min(Confidence::Medium);
            }
        }
        if let Some(pod) = self.finished.get(&(&*claim.namespace, &*claim.name)) {
            let pod = &pod.name;
            row.evidence.push(format!("the last to name it was pod {pod}, which has finished"));
        }
        if let Some(owner) = &claim.kept_by {
            row.evidence.push(format!("{owner} created it, and may create it again"));
        }
        if let (Some(name), None) = (&claim.volume, volume)
            && !self.facts.missing.contains(&Kind::Volume)
            && &*claim.phase != "Lost"
        {
            row.evidence.push(format!("its volume {name} was not found"));
        }
        if let Some(volume) = volume {
            if volume.deleting.is_some() {
                let name = &volume.name;
                row.evidence
                    .push(format!("its volume {name} is being deleted: it goes with the claim"));
                row.confidence = Confidence::Low;
            }
            self.note_twins(volume, &mut row);
        }
        row
    }

    pub(super) fn node_of(&self, volume: Option<&Text>) -> Option<String> {
        self.facts.attachments.get(volume?).map(ToString::to_string)
    }
}
