//! Claims, volumes, and which volume is attached where.

use super::fields::{Parts, meta, storage, time};
use crate::{
    cluster::protobuf::wire::{Fields, Malformed, Value},
    handover::disk,
    orphans::model::{Claim, ClaimRef, Text, Uid, Unused, Volume},
    workload::pool::Pool,
};

pub(super) fn claim(parts: &Parts<'_>, pool: &mut Pool) -> Result<Claim, Malformed> {
    let meta = meta(parts.meta, true, pool)?;
    let mut claim = Claim {
        namespace: pool.text(meta.namespace),
        name: meta.name.into(),
        uid: meta.uid.into(),
        created: meta.created,
        deleting: meta.deleting,
        labels: pool.labels(meta.labels),
        owners: meta.owners.into(),
        finalizers: pool.list(meta.finalizers),
        kept_by: meta.marks.kept_by().map(|who| pool.text(&who)),
        mark: meta.marks.mark.map(|mark| pool.text(mark)),
        ..Claim::default()
    };
    let mut modes = Vec::new();
    for field in Fields(parts.spec) {
        match field? {
            (1, value) => modes.push(pool.text(value.text()?)),
            (2, value) => {
                for field in value.fields()? {
                    if let (2, value) = field?
                        && let Some(size) = storage(value, pool)?
                    {
                        claim.request = Some(size);
                    }
                }
            }
            (3, value) => {
                let name = value.text()?;
                claim.volume = (!name.is_empty()).then(|| name.into());
            }
            (5, value) => claim.class = Some(pool.text(value.text()?)),
            _ => {}
        }
    }
    claim.access_modes = pool.list(modes);
    if let Some(class) = meta.marks.class {
        claim.class = Some(pool.text(class));
    }
    claim.class = claim.class.filter(|class| !class.is_empty());
    for field in Fields(parts.status) {
        match field? {
            (1, value) => claim.phase = pool.text(value.text()?),
            (3, value) => {
                if let Some(size) = storage(value, pool)? {
                    claim.capacity = Some(size);
                }
            }
            (4, value) => claim.unused = condition(value)?.or(claim.unused),
            _ => {}
        }
    }
    Ok(claim)
}

/// The condition `Unused`, if it is that one.
fn condition(value: Value<'_>) -> Result<Option<Unused>, Malformed> {
    let (mut kind, mut status, mut since) = ("", "", None);
    for field in value.fields()? {
        match field? {
            (1, value) => kind = value.text()?,
            (2, value) => status = value.text()?,
            (4, value) => since = time(value)?,
            _ => {}
        }
    }
    Ok(Unused::of(kind, status, since))
}

pub(super) fn volume(parts: &Parts<'_>, pool: &mut Pool) -> Result<Volume, Malformed> {
    let meta = meta(parts.meta, true, pool)?;
    let mut volume = Volume {
        name: meta.name.into(),
        uid: meta.uid.into(),
        created: meta.created,
        deleting: meta.deleting,
        labels: pool.labels(meta.labels),
        finalizers: pool.list(meta.finalizers),
        mark: meta.marks.mark.map(|mark| pool.text(mark)),
        policy: pool.text("Retain"),
        ..Volume::default()
    };
    let (mut modes, mut source, mut affinity) = (Vec::new(), [].as_slice(), [].as_slice());
    for field in Fields(parts.spec) {
        match field? {
            (2, value) => source = value.bytes()?,
            (9, value) => affinity = value.bytes()?,
            (1, value) => {
                if let Some(size) = storage(value, pool)? {
                    volume.capacity = Some(size);
                }
            }
            (3, value) => modes.push(pool.text(value.text()?)),
            (4, value) => {
                let mut held = ClaimRef::default();
                for field in value.fields()? {
                    match field? {
                        (2, value) => held.namespace = pool.text(value.text()?),
                        (3, value) => held.name = value.text()?.into(),
                        (4, value) => held.uid = value.text()?.into(),
                        _ => {}
                    }
                }
                volume.claim = Some(held);
            }
            (5, value) => {
                if let Some(policy) = pool.some(value.text()?) {
                    volume.policy = policy;
                }
            }
            (6, value) => volume.class = pool.some(value.text()?),
            _ => {}
        }
    }
    volume.access_modes = pool.list(modes);
    volume.disk = disk::of_wire(source, affinity)?.as_deref().map(Uid::of);
    for field in Fields(parts.status) {
        match field? {
            (1, value) => volume.phase = pool.text(value.text()?),
            (4, value) => volume.phase_since = time(value)?,
            _ => {}
        }
    }
    Ok(volume)
}

pub(super) fn attachment(
    parts: &Parts<'_>,
    pool: &mut Pool,
) -> Result<Option<(Text, Text)>, Malformed> {
    let (mut volume, mut node) = (None, "");
    for field in Fields(parts.spec) {
        match field? {
            (2, value) => {
                for field in value.fields()? {
                    if let (1, value) = field? {
                        volume = Some(value.text()?);
                    }
                }
            }
            (3, value) => node = value.text()?,
            _ => {}
        }
    }
    Ok(volume.map(|volume| (volume.into(), pool.text(node))))
}
