//! Guesses: nothing points back from a claim to a set that is gone, or to a
//! template that was renamed. Only names and labels tell.

use super::{Judge, contains, split, suffixes};
use crate::{
    orphans::{
        model::{Claim, Set},
        row::{Class, Confidence, Row},
    },
    output::text::list,
};

impl<'a> Judge<'a> {
    /// A claim of a set that exists, by a template that it does not have. This is
    /// a guess by name, and made only where the labels are those of the set.
    pub(super) fn renamed(&self, claim: &'a Claim) -> Option<Row> {
        let (head, ordinal) = split(&claim.name)?;
        let mut fits: Vec<(&Set, &str)> = self
            .sets
            .get(&*claim.namespace)?
            .iter()
            .filter(|set| !set.labels.is_empty() && contains(&claim.labels, &set.labels))
            .filter_map(|set| {
                let template = head.strip_suffix(&*set.name)?.strip_suffix('-')?;
                (!template.is_empty()).then_some((*set, template))
            })
            .collect();
        fits.sort_by_key(|(set, _)| set.name.len());
        let sure = fits.len() == 1;
        let (set, template) = fits.pop()?;
        let known: Vec<&str> = set.templates.iter().map(|name| &**name).collect();
        let has = if known.is_empty() {
            "no volumeClaimTemplates".to_owned()
        } else {
            format!("volumeClaimTemplates {}, not {template}", list(&known))
        };
        let why = format!("{} has {has}; the claim has the labels of its selector", set.name);
        let mut row = self.with_phase(claim, Class::TemplateRenamed, why);
        let by_name = if sure { Confidence::Medium } else { Confidence::Low };
        row.confidence = row.confidence.min(by_name);
        row.set = sure.then(|| set.name.to_string());
        row.candidates = vec![set.name.to_string()];
        row.candidates.extend(fits.iter().map(|(set, _)| set.name.to_string()));
        row.template = sure.then(|| template.to_owned());
        row.ordinal = Some(ordinal);
        row.readopted_by =
            Some(format!("a volumeClaimTemplate {template} of {} mounts it again", set.name));
        Some(row)
    }

    /// Named like a claim of a set that does not exist. Nothing points back to a
    /// deleted set, so this is a guess: by the name, by the labels that the
    /// controller copies, and by siblings with the same labels.
    pub(super) fn set_gone(&self, claim: &'a Claim) -> Option<Row> {
        let (head, ordinal) = split(&claim.name)?;
        if !head.trim_matches('-').contains('-') || claim.labels.is_empty() {
            return None;
        }
        let family = self.families.get(&(&*claim.namespace, head, &*claim.labels))?;
        // Something other than a StatefulSet creates numbered claims.
        if family.in_use {
            return None;
        }
        let siblings = family.members.len().saturating_sub(1);
        let why = format!("no StatefulSet here has claims named {head}-ORDINAL");
        let mut row = self.with_phase(claim, Class::SetGone, why);
        let by_name = if siblings == 0 { Confidence::Low } else { Confidence::Medium };
        row.confidence = row.confidence.min(by_name);
        if siblings > 0 {
            let others = family.members.iter().copied().filter(|name| *name != &*claim.name);
            let first: Vec<&str> = others.take(2).collect();
            let more = match siblings - first.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = first.join(", ");
            let have = if siblings == 1 { "has" } else { "have" };
            row.evidence.push(format!("{first}{more} {have} the same labels"));
        }
        self.note_unread_kinds(&mut row);
        row.ordinal = Some(ordinal);
        row.candidates = suffixes(head);
        let how = format!(
            "a StatefulSet with claims named {head}-ORDINAL mounts it again at ordinal {ordinal}"
        );
        row.readopted_by = Some(self.with_age(how, &row));
        Some(row)
    }
}
