//! Protocol Buffers from an API server.
//!
//! Any built-in object can be had in this form, and it costs the server and us
//! about a third of what JSON does. Nothing is generated: a message is its
//! fields by number, and only the numbers that are used are named.

pub mod list;
pub mod wire;

#[cfg(test)]
mod tests;

use self::wire::{Fields, Malformed};
use super::error::{Cause, Details, Status};

/// What is asked for, and what else is taken.
pub const ACCEPT: &str = "application/vnd.kubernetes.protobuf, application/json";
/// How an answer says that it is in this form.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// A `Status`, if that is what these bytes are: a server answers errors in the
/// form that was asked for.
pub fn status(bytes: &[u8]) -> Option<Status> {
    let envelope = bytes.strip_prefix(list::MAGIC)?;
    read_status(envelope).ok().flatten()
}

fn read_status(envelope: &[u8]) -> Result<Option<Status>, Malformed> {
    let (mut kind, mut raw) = ("", None);
    for field in Fields(envelope) {
        match field? {
            (1, of) => {
                for field in of.fields()? {
                    if let (2, name) = field? {
                        kind = name.text()?;
                    }
                }
            }
            (2, value) => raw = Some(value.fields()?),
            _ => {}
        }
    }
    let Some(fields) = raw.filter(|_| kind == "Status") else { return Ok(None) };
    let mut status = Status::default();
    for field in fields {
        match field? {
            (3, value) => value.text()?.clone_into(&mut status.message),
            (4, value) => value.text()?.clone_into(&mut status.reason),
            (5, value) => status.details = Some(details(value.fields()?)?),
            (6, value) => status.code = u16::try_from(value.number()?).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(Some(status))
}

fn details(fields: Fields<'_>) -> Result<Details, Malformed> {
    let mut details = Details::default();
    for field in fields {
        match field? {
            (1, value) => value.text()?.clone_into(&mut details.name),
            (2, value) => value.text()?.clone_into(&mut details.group),
            (3, value) => value.text()?.clone_into(&mut details.kind),
            (4, value) => {
                let mut cause = Cause::default();
                for field in value.fields()? {
                    match field? {
                        (1, value) => value.text()?.clone_into(&mut cause.reason),
                        (2, value) => value.text()?.clone_into(&mut cause.message),
                        (3, value) => value.text()?.clone_into(&mut cause.field),
                        _ => {}
                    }
                }
                details.causes.push(cause);
            }
            (5, value) => details.retry_after_seconds = value.number()?,
            _ => {}
        }
    }
    Ok(details)
}
