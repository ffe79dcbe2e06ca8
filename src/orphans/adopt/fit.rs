//! Whether a volume is fit for an ordinal, and what is worth knowing of it. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::{Adoption, World};
use crate::{
    handover::Tag,
    orphans::{
        classify::judge_volume,
        model::{Facts, Kind},
        row::Row,
        rules,
    },
    output::text::{list, one_line},
    workload::{
        Finding, bytes,
        raw::{phase, text},
    },
};

/// Whether nothing writes to a volume that no claim has, and no other volume is
/// the same disk.
pub(super) fn check_free(
    adoption: &Adoption,
    world: &World,
    now: Timestamp,
) -> Result<(), Box<Finding>> {
    let name = &adoption.volume;
    if world.facts.missing.contains(&Kind::Volume) {
        let message = "persistentvolumes could not be listed: another may be the same disk";
        return Err(Box::new(rules::UNFIT.found(adoption.on_volume(), message)));
    }
    let Some(row) = judge_volume(&world.facts, name, now) else { return Ok(()) };
    if !row.orphan {
        let why = row.evidence.join("; ");
        let message = format!("{name} is {}: {why}", row.class.name());
        return Err(Box::new(rules::UNFIT.found(adoption.on_volume(), message)));
    }
    check_unshared(adoption, &row)
}

pub(super) fn check_unshared(adoption: &Adoption, row: &Row) -> Result<(), Box<Finding>> {
    if row.shares_disk_with.is_empty() {
        return Ok(());
    }
    let message =
        format!("volume {} is the same disk as {}", adoption.volume, list(&row.shares_disk_with));
    Err(Box::new(rules::SHARED_DISK.found(adoption.on_volume(), message)))
}

/// A pod mounts a file system or gets a device; the volume is one of the two.
pub(super) fn check_mode(
    adoption: &Adoption,
    volume: &Value,
    set: &Value,
) -> Result<(), Box<Finding>> {
    let mode = |of: &Value, pointer: &str| text(of, pointer).unwrap_or("Filesystem").to_owned();
    let has = mode(volume, "/spec/volumeMode");
    let wants =
        adoption.template_in(set).map_or_else(|| has.clone(), |one| mode(one, "/spec/volumeMode"));
    if has == wants {
        return Ok(());
    }
    let message = format!(
        "volume {} has volumeMode {has}, and template {} of {} wants {wants}",
        adoption.volume, adoption.template, adoption.set
    );
    Err(Box::new(rules::UNFIT.found(adoption.on_volume(), message)))
}

/// What is worth knowing before the ordinal gets the volume.
pub fn notes(adoption: &Adoption, world: &World) -> Vec<Finding> {
    let Adoption { set, ordinal, volume: name, .. } = adoption;
    let mut found = Vec::new();
    let Some(volume) = &world.volume else { return found };
    let has = text(volume, "/spec/capacity/storage");
    let wants = adoption
        .template_in(&world.set)
        .and_then(|one| text(one, "/spec/resources/requests/storage"));
    if let (Some(has), Some(wants)) = (has, wants)
        && bytes(has).zip(bytes(wants)).is_some_and(|(has, wants)| has < wants)
    {
        let message = format!("volume {name} has {has}, and {set} asks for {wants}");
        found.push(rules::SMALLER.found(adoption.on_volume(), message));
    }
    let start = world.set.pointer("/spec/ordinals/start").and_then(Value::as_u64);
    if let Some(start) = start.filter(|start| u64::from(*ordinal) < *start) {
        let message =
            format!("{set} starts at ordinal {start}: nothing mounts {}", adoption.claim());
        found.push(rules::BELOW_START.found(format!("statefulset.apps/{set}"), message));
    }
    if phase(volume) == "Failed" {
        let why = text(volume, "/status/message").map(|why| format!(": {}", one_line(why)));
        let message = format!(
            "volume {name} is Failed: it was to be deleted or scrubbed{}",
            why.unwrap_or_default()
        );
        found.push(rules::WAS_FAILED.found(adoption.on_volume(), message));
    }
    found
}

/// What is using the volume, and the line that goes on with it.
pub(super) fn handed_over(adoption: &Adoption, volume: &Value, facts: &Facts) -> Finding {
    let (name, flags) = (&adoption.volume, &facts.flags);
    let found = |message: String| rules::UNFIT.found(adoption.on_volume(), message);
    match Tag::of(volume) {
        Some(tag) if tag.scaled_set().is_some() => {
            let set = tag.set();
            let Tag { namespace, old, new, .. } = &tag;
            let message = format!(
                "volume {name} belongs to a scaling of {set}, which sets claim {} aside as {new}",
                old.name
            );
            found(message)
                .hint(format!("kubectl stateful scale {set} --abort -n {namespace}{flags}"))
        }
        Some(tag) => {
            let Tag { op, namespace, new, .. } = &tag;
            let message = format!(
                "volume {name} belongs to migration {op} (claim {new} in namespace {namespace})"
            );
            let set = tag.set();
            found(message)
                .hint(format!("kubectl stateful migrate status sts/{set} -n {namespace}{flags}"))
        }
        None => found(format!("volume {name} has a mark of this program that cannot be read")),
    }
}
