//! The lines that take a canary further, or back, each with the `--allow` without
//! which it would be refused, and with no other one. Pure.

use super::{
    foreign::ForeignTemplate,
    record::{Phase, Record},
    rules,
};
use crate::workload::{
    Rule, Survey,
    rollout::{State, stable_of},
};

/// One more ordinal.
pub fn promote(survey: &Survey, record: &Record) -> String {
    let asked = |rule: &&Rule| !rules::OF_THE_START.contains(rule);
    line(survey, "promote", "", &allowances(record, asked))
}

/// What somebody else has applied or changed becomes the canary.
pub fn adopt(survey: &Survey, record: Option<&Record>) -> String {
    // Whoever adopts is not asked about a partition, and about the way back where it is
    // gone.
    let once = [rules::LEFTOVER_PARTITION.id, rules::NO_WAY_BACK.id];
    let asked = |rule: &&Rule| !once.contains(&rule.id);
    let mut allowed = record.map_or_else(String::new, |record| allowances(record, asked));
    let stable = record.map_or_else(|| stable_of(survey), |record| Some(record.stable.as_str()));
    if stable.is_some_and(|stable| survey.facts.lacks(stable)) {
        allowed += &allow(&rules::NO_WAY_BACK);
    }
    line(survey, "start", " --adopt", &allowed)
}

/// Back to the stable revision, whatever is overwritten by it.
pub fn abort(state: &State) -> String {
    let record = state.record;
    let mut allowed = String::new();
    // Whoever has staged the set has asked for another template.
    if record.phase != Phase::Staged && ForeignTemplate::of(state).is_some() {
        allowed += &allow(&rules::OVERWRITES);
    }
    if record.on_delete {
        allowed += &allowances(record, |rule| rule.id == rules::NO_RIGHTS.id);
    }
    line(&state.survey, "abort", "", &allowed)
}

/// Deletes the broken pod that the controller waits for.
pub fn unstick(survey: &Survey) -> String {
    line(survey, "unstick", "", "")
}

/// Drops a record from which nothing goes on.
pub fn forget(survey: &Survey) -> String {
    line(survey, "forget", "", "")
}

fn line(survey: &Survey, verb: &str, flags: &str, allowed: &str) -> String {
    let (name, at) = (&survey.set.name, survey.at());
    format!("kubectl stateful canary {verb} {name}{flags}{allowed} {at}")
}

/// The guards that were overridden before, those of them that are asked again. The
/// record is an annotation, so what it names counts only where it is a guard.
fn allowances(record: &Record, asked: impl Fn(&&Rule) -> bool) -> String {
    let known = rules::ALLOWABLE.iter().copied().filter(|rule| rule.id != rules::OVERWRITES.id);
    let given = known.filter(asked).filter(|rule| record.allowed.iter().any(|id| id == rule.id));
    given.map(allow).collect()
}

fn allow(rule: &Rule) -> String {
    format!(" --allow {}", rule.id)
}
