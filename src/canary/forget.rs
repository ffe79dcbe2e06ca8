//! Which record may be dropped, and what is lost with it. Pure.
//!
//! A record that some verb can go on from is not dropped: with it the way back
//! is lost.

use serde_json::Value;

use super::{
    diff, guards,
    record::{ANNOTATION, Phase, Record},
    rules,
};
use crate::{
    diagnosis,
    output::text::{list, one_line},
    steps::attempt::shown,
    workload::{Finding, Strategy, Survey, Unusable},
};

/// A record from which no verb can go on.
#[derive(Debug, PartialEq, Eq)]
pub struct Dead {
    /// Why no verb can.
    pub why: String,
    /// What nobody knows any more once it is dropped.
    pub lost: Vec<String>,
    /// What stays as it is, although the canary has changed it.
    pub stays: Vec<String>,
}

/// The record of this set, where it may be dropped; none where there is none.
///
/// # Errors
/// The findings that say how to go on instead, or what could not be read.
pub fn dead(survey: &Survey) -> Result<Option<Dead>, Vec<Finding>> {
    let set = survey.set;
    let why = match Record::of(set) {
        Ok(None) => return Ok(None),
        Err(newer @ Unusable::Newer { .. }) => return Err(vec![guards::unusable(survey, &newer)]),
        Err(Unusable::OfAnotherSet) => {
            "it belongs to a set of the same name that was deleted since".to_owned()
        }
        Err(Unusable::Unreadable(why)) => format!("it cannot be read: {why}"),
        Ok(Some(record)) => {
            if !guards::readable(survey) {
                return Err(guards::for_abort(survey, &record));
            }
            match at_its_end(survey, &record) {
                Some(why) => why,
                None => return Err(vec![goes_on(survey, &record)]),
            }
        }
    };
    Ok(Some(Dead { why, lost: lost(survey), stays: stays(survey) }))
}

/// Why no verb goes on from a record that can be read.
fn at_its_end(survey: &Survey, record: &Record) -> Option<String> {
    let set = survey.set;
    let Some(stable) = survey.facts.revision(&record.stable) else {
        // There may still be a way forward, but that needs no record.
        return Some(format!(
            "the revision {} that it goes back to does not exist any more",
            record.stable
        ));
    };
    let is_back = diff::differences(&stable.template, &set.template.raw).is_empty();
    let update = set.status.update_revision.as_deref();
    let is_third = record.phase == Phase::Aborting
        && is_back
        && set.is_observed()
        && update != Some(record.stable.as_str());
    is_third.then(|| {
        format!(
            "the template of {} is back, and the server has made {} of it: no abort can end",
            record.stable,
            update.unwrap_or("<none>")
        )
    })
}

fn goes_on(survey: &Survey, record: &Record) -> Finding {
    let (set, at) = (survey.set, survey.at());
    let (verb, phase) = match record.phase {
        Phase::Staged => ("abort", "is staged"),
        Phase::Rolling => ("status", "has a canary under way"),
        Phase::Aborting => ("abort", "is going back"),
    };
    let message = format!(
        "{} {phase}, and can go on: without the record nobody would know that {} is the revision \
         to go back to",
        set.name, record.stable
    );
    rules::CAN_GO_ON
        .found(set.reference(), message)
        .hint(format!("kubectl stateful canary {verb} {} {at}", set.name))
}

/// Read field by field, because the whole may be unreadable.
fn lost(survey: &Survey) -> Vec<String> {
    let Some(text) = survey.set.annotations.get(ANNOTATION) else { return Vec::new() };
    let Ok(Value::Object(record)) = serde_json::from_str(text) else {
        return vec![format!("the text of the annotation: {}", shown(text))];
    };
    let mut lost = Vec::new();
    if let Some(stable) = record.get("stable").and_then(Value::as_str) {
        let ran = format!("the pods ran {} before the canary", one_line(stable));
        let is_gone = survey.facts.lacks(stable);
        lost.push(if is_gone { format!("that {ran}") } else { format!("the way back: {ran}") });
    }
    match record.get("was") {
        Some(Value::Number(was)) => lost.push(format!("the partition from before: {was}")),
        Some(Value::Null) if record.get("onDelete") != Some(&Value::Bool(true)) => {
            lost.push("that rollingUpdate was null before".to_owned());
        }
        _ => {}
    }
    if record.contains_key("passed") || record.contains_key("judged") {
        lost.push("which pods have passed their gates".to_owned());
    }
    lost
}

fn stays(survey: &Survey) -> Vec<String> {
    let set = survey.set;
    let mut stays = Vec::new();
    if let Strategy::RollingUpdate { partition: Some(partition @ 1..) } = set.strategy {
        let held = survey.indexes().filter(|(index, _)| *index < partition);
        let held: Vec<&str> = held.map(|(_, slot)| slot.name.as_str()).collect();
        let whom = if held.is_empty() { "no pod".to_owned() } else { list(&held) };
        stays.push(match diagnosis::not_kept(survey, partition) {
            Some(not_kept) => format!("partition {partition}, but {not_kept}"),
            None => format!("partition {partition}, which holds {whom} back"),
        });
    }
    let update = set.status.update_revision.as_deref();
    let behind = survey.pods().filter(|(_, pod)| pod.revision() != update);
    let behind: Vec<&str> = behind.map(|(slot, _)| slot.name.as_str()).collect();
    if !behind.is_empty() {
        stays.push(format!("{}, not of the present template", list(&behind)));
    }
    stays
}
