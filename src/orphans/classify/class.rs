//! What kind of orphan a claim is that nothing uses: by the set that it is of, if it is of
//! one. Pure.

use super::{Candidate, Judge, owners::Ownership, volume_of};
use crate::{
    orphans::{
        model::{Claim, Kind, Set},
        row::{Class, Confidence, Row},
    },
    output::text::{age, list},
};

impl<'a> Judge<'a> {
    /// A claim of exactly one set, outside of its range.
    pub(super) fn of_set(&self, claim: &'a Claim, candidate: Candidate<'a>, ordinal: u32) -> Row {
        let Candidate { set, template } = candidate;
        let name = &set.name;
        let range = range(set);
        let (class, why) = if ordinal < set.start {
            let why = format!("{name} starts at ordinal {} (spec.ordinals.start)", set.start);
            (Class::OrdinalBelowStart, why)
        } else if set.replicas == 0 {
            (Class::Parked, format!("{name} is at 0 replicas"))
        } else if let Some(scaler) = self.scaler_for(set, ordinal) {
            (Class::Elastic, format!("{range}; {scaler}"))
        } else {
            let missing = self.facts.missing_of(&Kind::SCALERS);
            if missing.is_empty() {
                (Class::OrdinalBeyond, range)
            } else {
                let names: Vec<String> =
                    missing.iter().map(|kind| kind.resource().name()).collect();
                let why = format!(
                    "{range}, and {} could not be read: an autoscaler may bring the ordinal back",
                    list(&names)
                );
                (Class::Unknown, why)
            }
        };
        let mut row = self.with_phase(claim, class, why);
        row.set = Some(name.to_string());
        row.candidates = vec![name.to_string()];
        row.template = Some(template.to_string());
        row.ordinal = Some(ordinal);
        row.readopted_at = set.replicas_for(ordinal);
        let how = if let Some(replicas) = row.readopted_at {
            format!("scaling {name} to {replicas} or more mounts it again")
        } else {
            format!("setting spec.ordinals.start of {name} to {ordinal} or less mounts it again")
        };
        row.readopted_by = Some(self.with_age(how, &row));
        if let Some(owner) = &set.operator {
            let who = format!("{} {}", owner.kind, owner.name);
            row.evidence.push(format!("{who} owns {name}, and decides how many replicas it has"));
            row.confidence = Confidence::Low;
        }
        if matches!(self.ownership(claim), Ownership::Set(_)) {
            row.evidence.push(format!("it is deleted when {name} is deleted (whenDeleted=Delete)"));
        }
        row
    }

    /// The phases Lost and Pending take the place of an orphan's class.
    pub(super) fn with_phase(&self, claim: &'a Claim, class: Class, why: String) -> Row {
        let state = match &*claim.phase {
            "Lost" => Some((Class::Lost, format!("its volume {} is gone", volume_of(claim)))),
            "Pending" => Some((
                Class::PendingNeverBound,
                "it never had a volume, so there is no data".to_owned(),
            )),
            _ => None,
        };
        match state {
            Some((state, first)) if class.is_orphan() => {
                let mut row = self.base(claim, state, first);
                row.evidence.insert(1, why);
                row
            }
            Some((_, also)) => {
                let mut row = self.base(claim, class, why);
                row.evidence.push(also);
                row
            }
            None => self.base(claim, class, why),
        }
    }

    pub(super) fn of_several(&self, claim: &'a Claim, candidates: &[(Candidate<'a>, u32)]) -> Row {
        let each: Vec<String> = candidates
            .iter()
            .map(|(Candidate { set, template }, ordinal)| {
                let has = if set.has(*ordinal) { "in" } else { "not in" };
                format!(
                    "template {template} of {} ({}; {ordinal} is {has} its range)",
                    set.name,
                    range(set)
                )
            })
            .collect();
        let why = format!("it matches {}", each.join(" and "));
        let mut row = self.base(claim, Class::Conflict, why);
        row.candidates = candidates.iter().map(|(one, _)| one.set.name.to_string()).collect();
        row.ordinal = candidates.first().map(|(_, ordinal)| *ordinal);
        row.readopted_by =
            Some("each of these sets mounts it when it is scaled that far".to_owned());
        row
    }

    pub(super) fn of_no_set(&self, claim: &'a Claim) -> Row {
        if let Some(row) = self.renamed(claim) {
            return row;
        }
        if let Some(row) = self.set_gone(claim) {
            return row;
        }
        let why = "no pod uses it, and no template of a workload names it".to_owned();
        let mut row = self.with_phase(claim, Class::Unreferenced, why);
        row.confidence = row.confidence.min(Confidence::Medium);
        self.note_unread_kinds(&mut row);
        row
    }

    /// What may still name a claim that nothing names, as far as can be read.
    pub(super) fn note_unread_kinds(&self, row: &mut Row) {
        if !self.facts.foreign.is_empty() {
            row.confidence = Confidence::Low;
            let groups = list(&self.facts.foreign);
            row.evidence.push(format!("objects of {groups} may name claims, and are not read"));
        }
        if !self.facts.custom.is_empty() {
            let groups = list(&self.facts.custom);
            row.evidence.push(format!("objects of {groups} are not read: one may name it"));
        }
    }

    pub(super) fn with_age(&self, how: String, row: &Row) -> String {
        match row.idle_for(self.now) {
            Some(idle) => format!("{how}, with data last used {} ago", age(idle)),
            None => how,
        }
    }
}

/// `web has ordinals 0 to 2`.
fn range(set: &Set) -> String {
    match set.replicas {
        0 => format!("{} is at 0 replicas", set.name),
        1 => format!("{} has ordinal {}", set.name, set.start),
        _ => format!("{} has ordinals {} to {}", set.name, set.start, set.end().saturating_sub(1)),
    }
}
