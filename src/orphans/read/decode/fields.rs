//! The fields that objects of every kind have, and values that several kinds have.

use jiff::Timestamp;

use crate::{
    cluster::protobuf::wire::{Fields, Malformed, Value},
    orphans::{
        model::{Labels, Owner, Text},
        read::item::Marks,
    },
    workload::pool::Pool,
};

/// The fields that every object has.
#[derive(Default)]
pub struct Parts<'a> {
    pub meta: &'a [u8],
    pub spec: &'a [u8],
    pub status: &'a [u8],
}

#[derive(Default)]
pub struct Meta<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub uid: &'a str,
    pub created: Option<Timestamp>,
    pub deleting: Option<Timestamp>,
    pub labels: Labels,
    pub owners: Vec<Owner>,
    /// The owner that controls it.
    pub controller: Option<Owner>,
    pub finalizers: Vec<Text>,
    pub marks: Marks<'a>,
}

/// The metadata; `whole` with labels, owners and finalizers.
pub fn meta<'a>(bytes: &'a [u8], whole: bool, pool: &mut Pool) -> Result<Meta<'a>, Malformed> {
    let mut meta = Meta::default();
    for field in Fields(bytes) {
        match field? {
            (1, value) => meta.name = value.text()?,
            (3, value) => meta.namespace = value.text()?,
            (5, value) => meta.uid = value.text()?,
            (8, value) => meta.created = time(value)?,
            (9, value) => meta.deleting = time(value)?,
            (11, value) if whole => {
                let (key, value) = pair(value)?;
                let value = value.map_or(Ok(""), Value::text)?;
                meta.marks.label(key, value);
                meta.labels.insert(pool.text(key), pool.text(value));
            }
            (12, value) if whole => {
                let (key, value) = pair(value)?;
                meta.marks.annotation(key, value.map_or(Ok(""), Value::text)?);
            }
            (13, value) if whole => {
                let (owner, controls) = owner(value, pool)?;
                if controls {
                    meta.controller = Some(owner.clone());
                }
                meta.owners.push(owner);
            }
            (14, value) if whole => meta.finalizers.push(pool.text(value.text()?)),
            _ => {}
        }
    }
    Ok(meta)
}

/// An entry of a map.
pub fn pair(value: Value<'_>) -> Result<(&str, Option<Value<'_>>), Malformed> {
    let (mut key, mut held) = ("", None);
    for field in value.fields()? {
        match field? {
            (1, value) => key = value.text()?,
            (2, value) => held = Some(value),
            _ => {}
        }
    }
    Ok((key, held))
}

/// A time; the zero value means that it is absent.
pub fn time(value: Value<'_>) -> Result<Option<Timestamp>, Malformed> {
    let mut seconds = 0;
    for field in value.fields()? {
        if let (1, value) = field? {
            seconds = value.signed()?;
        }
    }
    Ok(Timestamp::from_second(seconds).ok().filter(|_| seconds != 0))
}

/// An owner, and whether it controls the object.
fn owner(value: Value<'_>, pool: &mut Pool) -> Result<(Owner, bool), Malformed> {
    let (mut owner, mut controls) = (Owner::default(), false);
    for field in value.fields()? {
        match field? {
            (1, value) => owner.kind = pool.text(value.text()?),
            (3, value) => owner.name = pool.text(value.text()?),
            (4, value) => owner.uid = pool.text(value.text()?),
            (5, value) => owner.api_version = pool.text(value.text()?),
            (6, value) => controls = value.number()? != 0,
            _ => {}
        }
    }
    Ok((owner, controls))
}

/// The value of an entry `storage` in a map of quantities.
pub fn storage(value: Value<'_>, pool: &mut Pool) -> Result<Option<Text>, Malformed> {
    let (key, quantity) = pair(value)?;
    let Some(quantity) = quantity.filter(|_| key == "storage") else { return Ok(None) };
    for field in quantity.fields()? {
        if let (1, value) = field? {
            return Ok(pool.some(value.text()?));
        }
    }
    Ok(None)
}
