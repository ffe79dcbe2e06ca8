//! The findings of the report: one for each class, and for each set that would
//! mount old claims. Each line to paste is whole, and names only what the report
//! is sure of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{
    View,
    lacking::{ADOPT, DELETE, KEEP, Lacking},
    short, size,
};
use crate::{
    cluster::rights::Right,
    handover::{HOLD, KEEPS},
    orphans::{
        model::{Claim, Facts, Text},
        row::{Class, Confidence, Row},
        rules,
    },
    output::text::{age, count, list},
    workload::{Finding, Severity},
};

impl View {
    /// Adds a finding for each class, and for each set that would mount old
    /// claims when scaled up. Of the classes that `fails` names it is an error.
    /// `lacking` are the rights that the lines to paste need, and that are missing.
    pub fn add_findings(
        &mut self,
        by_age: usize,
        fails: impl Fn(Class) -> bool,
        lacking: &Lacking,
    ) {
        let mut by_class: BTreeMap<Class, Vec<&Row>> = BTreeMap::new();
        let mut by_set: BTreeMap<(&str, &str), Vec<(&Row, u32)>> = BTreeMap::new();
        for row in &self.items {
            by_class.entry(row.class).or_default().push(row);
            // A parked set is meant to mount its claims again, and a claim without
            // a volume has no old data.
            let has_data = !matches!(row.phase.as_str(), "Pending" | "Lost");
            if let (Some(namespace), Some(set), Some(at)) =
                (&row.namespace, &row.set, row.readopted_at)
                && row.class != Class::Parked
                && has_data
            {
                by_set.entry((namespace, set)).or_default().push((row, at));
            }
        }
        let mut findings = Vec::new();
        for (class, rows) in &by_class {
            let rule = rules::of(*class);
            let severity = if fails(*class) { Severity::Error } else { rule.severity };
            let mut finding =
                rule.found(rows[0].reference(), class_message(*class, rows)).at(severity);
            match self.hint(*class, rows, lacking) {
                Ok(hint) => finding.hint = hint,
                Err(why) => finding.message = format!("{}; {why}", finding.message),
            }
            findings.push(finding);
        }
        findings.extend(by_set.iter().map(|((_, set), rows)| self.readopted(set, rows)));
        if by_age > 0 {
            let message = format!(
                "for {by_age} of them the idle time is not known: --older-than used the age"
            );
            findings.push(rules::BY_AGE.found(String::new(), message));
        }
        self.findings.append(&mut findings);
    }

    fn readopted(&self, set: &str, rows: &[(&Row, u32)]) -> Finding {
        let mut each: Vec<&(&Row, u32)> = rows.iter().collect();
        each.sort_by_key(|(_, at)| *at);
        let each = each.iter().map(|(row, at)| format!("{} (at {})", row.name, replicas(*at)));
        let each: Vec<String> = each.collect();
        let idle = rows.iter().filter_map(|(row, _)| row.idle_since).min();
        let data = match idle {
            Some(since) => {
                format!("data last used {} ago", age(self.time.duration_since(since)))
            }
            None => "data of unknown age".to_owned(),
        };
        let message = format!("scaling {set} up mounts {} again, with {data}", list(&each));
        rules::READOPTED.found(format!("statefulset/{set}"), message)
    }

    /// The next command for the rows of a class, where there is one that runs as it
    /// stands.
    ///
    /// # Errors
    /// Which right is missing for that.
    fn hint(
        &self,
        class: Class,
        rows: &[&Row],
        lacking: &Lacking,
    ) -> Result<Option<String>, String> {
        let allowed = |line: Option<String>, command, needed: &[Right]| match line
            .as_ref()
            .and_then(|_| lacking.of(command, needed))
        {
            Some(why) => Err(why),
            None => Ok(line),
        };
        let at_risk =
            |row: &Row| row.volume.is_some() && row.reclaim_policy.as_deref() != Some("Retain");
        match class {
            Class::PvReleased | Class::PvFailed => {
                let first = rows.first().and_then(|row| self.adopt(row));
                allowed(first, "orphans adopt", &ADOPT)
            }
            // Before the claim is gone, its volume can still be told to stay.
            Class::TerminatingInUse | Class::TerminatingStuck => {
                let rows = rows.iter().copied().filter(|row| !row.is_volume() && at_risk(row));
                allowed(self.delete(rows), "orphans delete", &KEEP)
            }
            Class::Managed | Class::Unknown => Ok(rows.iter().find_map(|row| row.goes_on.clone())),
            Class::OwnerGone => Ok(None),
            _ if class.is_orphan() => {
                let sure = || rows.iter().copied().filter(|row| row.confidence == Confidence::High);
                let needed = if sure().any(at_risk) {
                    &DELETE[..]
                } else if sure().any(|row| row.volume.is_some()) {
                    &DELETE[1..]
                } else {
                    &DELETE[3..]
                };
                let line = allowed(self.delete(sure()), "orphans delete", needed)?;
                Ok(line.or_else(|| self.describe(rows)))
            }
            _ => Ok(None),
        }
    }

    /// `kubectl stateful orphans delete` with all of these, in whichever namespace
    /// they are.
    fn delete<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> Option<String> {
        let rows: Vec<&Row> = rows.collect();
        let namespaces: BTreeSet<&str> =
            rows.iter().filter_map(|row| row.namespace.as_deref()).collect();
        let several = namespaces.len() > 1;
        let name = |row: &&Row| match &row.namespace {
            Some(namespace) if several => format!("{namespace}/{}", short(row)),
            _ => short(row),
        };
        let names: Vec<String> = rows.iter().map(name).collect();
        let (names, first) = (names.join(" "), namespaces.first()?);
        Some(format!("kubectl stateful orphans delete {names} -n {first}{}", self.flags))
    }

    /// Where nothing but names and labels tell: who made it, and who uses it.
    fn describe(&self, rows: &[&Row]) -> Option<String> {
        let first = rows.first()?;
        let namespace = first.namespace.as_ref()?;
        let here = rows.iter().filter(|row| row.namespace.as_ref() == Some(namespace));
        let names: Vec<&str> = here.map(|row| row.name.as_str()).collect();
        Some(format!("kubectl describe pvc {} -n {namespace}{}", names.join(" "), self.flags))
    }

    /// The line that gives a volume back to the ordinal that it was of.
    fn adopt(&self, row: &Row) -> Option<String> {
        let (set, template, ordinal) =
            (row.set.as_ref()?, row.template.as_ref()?, row.ordinal.filter(|_| row.is_free)?);
        let namespace = row.namespace.as_ref()?;
        Some(format!(
            "kubectl stateful orphans adopt pv/{} --to {set}/{ordinal} --template {template} \
             -n {namespace}{}",
            row.name, self.flags
        ))
    }
}

/// The claims that this program still holds, in use or not, with the line that lets
/// go of the first. One that is handed over belongs to an operation that goes on.
pub fn left_held(facts: &Facts) -> Option<Finding> {
    let is_held = |claim: &&Claim| {
        let ours = |one: &Text| **one == *KEEPS || **one == *HOLD;
        claim.deleting.is_none() && claim.mark.is_none() && claim.finalizers.iter().any(ours)
    };
    let held: Vec<&Claim> = facts.claims.iter().filter(is_held).collect();
    let first = held.first()?;
    let name = |claim: &&Claim| match &facts.namespace {
        Some(_) => claim.name.to_string(),
        None => format!("{}/{}", claim.namespace, claim.name),
    };
    let names: Vec<String> = held.iter().map(name).collect();
    let message = format!(
        "{} ({}): an orphans delete or adopt that was interrupted, or is under way, holds {}",
        count(held.len(), "claim"),
        list(&names),
        if held.len() == 1 { "it" } else { "them" }
    );
    let finalizers = first.finalizers.iter().map(|one| &**one);
    let line = line_to_let_go(&first.namespace, &first.name, finalizers, &facts.flags);
    let on = format!("persistentvolumeclaim/{}", first.name);
    Some(rules::LEFT_HELD.found(on, message).hint(line))
}

/// The line that takes our finalizers off a claim.
pub fn line_to_let_go<'a>(
    namespace: &str,
    name: &str,
    finalizers: impl Iterator<Item = &'a str>,
    flags: &str,
) -> String {
    let rest: Vec<&str> = finalizers.filter(|one| ![KEEPS, HOLD].contains(one)).collect();
    let patch = json!({ "metadata": { "finalizers": rest } });
    format!("kubectl patch pvc {name} -n {namespace}{flags} --type=merge -p '{patch}'")
}

pub(super) fn replicas(number: u32) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "replica")
}

fn class_message(class: Class, rows: &[&Row]) -> String {
    let everywhere: BTreeSet<Option<&str>> =
        rows.iter().map(|row| row.namespace.as_deref()).collect();
    let name = |row: &&Row| match &row.namespace {
        Some(namespace) if everywhere.len() > 1 => format!("{namespace}/{}", row.name),
        _ => row.name.clone(),
    };
    let names: Vec<String> = rows.iter().map(name).collect();
    let sum = rows.iter().filter_map(|row| row.bytes).fold(0, u64::saturating_add);
    let (volumes, claims) =
        (rows.iter().any(|row| row.is_volume()), rows.iter().any(|row| !row.is_volume()));
    let noun = match (volumes, claims) {
        (true, true) => "object",
        (true, false) => "volume",
        _ => "claim",
    };
    let first = rows[0].evidence.first();
    let because = if rows.len() == 1 {
        rows[0].evidence.join("; ")
    } else if let (Class::Unknown, Some(why)) = (class, first)
        && rows.iter().all(|row| row.evidence.first() == Some(why))
    {
        // It names the list that could not be read.
        why.clone()
    } else {
        match class {
            Class::OrdinalBeyond => "ordinals beyond the range of their set",
            Class::OrdinalBelowStart => "ordinals below the start of their set",
            Class::SetGone => "named like claims of sets that do not exist",
            Class::TemplateRenamed => "named like claims of templates that their sets do not have",
            Class::OwnerGone => "their owners are gone",
            Class::Unreferenced => "no pod uses them and no template names them",
            Class::Lost => "their volumes are gone",
            Class::PendingNeverBound => "they never had a volume",
            Class::TerminatingStuck => "they were deleted, and finalizers hold them",
            Class::TerminatingInUse => {
                "they were deleted, and pods still use them: when these end, the policies of \
                 their volumes decide"
            }
            Class::PvReleased => "their claims are gone",
            Class::PvFailed => "they could not be reclaimed",
            Class::PvInUse => "their claims are gone, and something may still write to them",
            Class::Parked => "their sets are at 0 replicas",
            Class::Elastic => "autoscalers may bring them back",
            Class::Managed => "something else manages them",
            Class::Conflict => "they belong to several sets at once",
            Class::Unknown => "not everything that decides could be read",
        }
        .to_owned()
    };
    format!("{} ({}): {}: {because}", count(rows.len(), noun), size(sum), list(&names))
}
