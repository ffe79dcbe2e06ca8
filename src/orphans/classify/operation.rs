//! Which operation of this program a claim or volume belongs to, by its mark, and
//! the line that goes on with it.

use serde_json::Value;

use super::Judge;
use crate::{
    handover::{ASIDE, Tag, is_of_scaling},
    orphans::{
        model::{Set, Text},
        row::Class,
    },
};

/// What a mark says.
pub(super) struct Operation {
    /// Managed; or unknown, where nothing tells any more what the mark is for.
    pub class: Class,
    pub why: String,
    /// The line that goes on with it.
    pub line: Option<String>,
}

impl Judge<'_> {
    /// `mark` is the note on a volume, or the operation on a claim, whose `volume`
    /// has the note; `(namespace, name)` is the claim.
    pub(super) fn operation(
        &self,
        mark: &str,
        volume: Option<&Text>,
        (namespace, claim): (&str, &str),
    ) -> Operation {
        let of_volume = || self.volumes.get(&**volume?)?.mark.as_deref().and_then(Tag::read);
        let tag = Tag::read(mark).or_else(of_volume);
        let flags = &self.facts.flags;
        let op = tag.as_ref().map_or(mark, |tag| tag.op.as_str());
        if !is_of_scaling(op) {
            let at = tag.as_ref().map_or(namespace, |tag| tag.namespace.as_str());
            let status = |set: &str| format!("kubectl stateful migrate status{set} -n {at}{flags}");
            return match &tag {
                Some(Tag { journal, .. }) if self.facts.abandoned.contains(op) => Operation {
                    class: Class::Unknown,
                    why: format!(
                        "it has the mark of migration {op} of kubectl stateful, whose journal \
                         (ConfigMap {journal} in {at}) is gone: no migration goes on with it"
                    ),
                    line: Some(status("")),
                },
                tag => {
                    let set = tag.as_ref().map(|tag| format!(" sts/{}", tag.set()));
                    Operation {
                        class: Class::Managed,
                        why: format!("it belongs to migration {op} of kubectl stateful"),
                        line: Some(status(&set.unwrap_or_default())),
                    }
                }
            };
        }
        // Without its note, the name of the claim tells the set.
        let named = || self.candidates(namespace, claim.split(ASIDE).next()?).pop();
        let set = match &tag {
            Some(tag) => tag.set().to_owned(),
            None => named().map(|(one, _)| one.set.name.to_string()).unwrap_or_default(),
        };
        let why = match &tag {
            Some(Tag { old, new, .. }) => format!(
                "it belongs to a scaling of {set}, which sets claim {} aside as {new}",
                old.name
            ),
            None => format!("it belongs to a scaling of {set}, which sets its claim aside"),
        };
        let here = self.sets.get(namespace).into_iter().flatten();
        let found = here.copied().find(|one| *one.name == *set);
        let line = found.map(|found| {
            let to = goal(found);
            format!("kubectl stateful scale {set} {to} -n {namespace}{flags}")
        });
        Operation { class: Class::Managed, why, line }
    }
}

/// The goal with which the scaling goes on. Where somebody else has scaled since, it
/// is over, and what it has begun with disks is finished all the same.
fn goal(set: &Set) -> String {
    let note: Value =
        set.scaling.as_deref().and_then(|note| serde_json::from_str(note).ok()).unwrap_or_default();
    let is_under_way = note["set"] == *set.uid && note["at"] == set.replicas;
    match note["to"].as_u64().filter(|_| is_under_way) {
        Some(to) if to > u64::from(set.replicas) => format!("--replicas {to} --fresh"),
        Some(to) => format!("--replicas {to}"),
        None => format!("--replicas {}", set.replicas),
    }
}
