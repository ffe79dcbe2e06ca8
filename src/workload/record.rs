//! Records: the annotation on a set that keeps the state of an operation between
//! runs.

use serde::{Deserialize, de::DeserializeOwned};

use super::{Finding, Rule, StatefulSet, Survey};

/// Why a record cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Not our JSON.
    Unreadable(String),
    /// From a newer version of this program, which can go on from it.
    Newer { format: u64, newest: u8 },
    /// Written for another set with the same name.
    OfAnotherSet,
}

/// The fields that every record has.
#[derive(Deserialize)]
struct Head {
    format: u64,
    /// The uid of the set: an annotation that was copied to a new set with the
    /// same name does not count.
    set: String,
}

/// The record in an annotation of a set, if there is one. `newest` is the newest
/// format that this program reads.
///
/// # Errors
/// When there is a record that cannot be used.
pub fn record_of<T: DeserializeOwned>(
    set: &StatefulSet,
    annotation: &str,
    newest: u8,
) -> Result<Option<T>, Unusable> {
    let Some(text) = set.annotations.get(annotation) else { return Ok(None) };
    let unreadable = |error: serde_json::Error| Unusable::Unreadable(error.to_string());
    let head: Head = serde_json::from_str(text).map_err(unreadable)?;
    if head.format > u64::from(newest) {
        return Err(Unusable::Newer { format: head.format, newest });
    }
    let record = serde_json::from_str(text).map_err(unreadable)?;
    // A manifest has no uid.
    if set.is_live() && head.set != set.uid {
        return Err(Unusable::OfAnotherSet);
    }
    Ok(Some(record))
}

impl Unusable {
    /// The finding for this problem. `of` is what writes such records: `a canary`.
    /// `drop` is the command that drops one from which nothing can go on; a record
    /// of a newer version may be the way back of somebody else.
    pub fn found(&self, rule: &Rule, survey: &Survey, of: &str, drop: String) -> Finding {
        let message = match self {
            Unusable::Newer { format, newest } => {
                let message = format!(
                    "the annotation of {of} has format {format}, and this version of \
                     kubectl-stateful reads formats up to {newest}: a newer version wrote it"
                );
                let hint = "upgrade kubectl-stateful and run the command again";
                return rule.found(survey.set.reference(), message).hint(hint);
            }
            Unusable::Unreadable(why) => format!("the annotation of {of} cannot be read: {why}"),
            Unusable::OfAnotherSet => {
                format!("the annotation of {of} belongs to a deleted set of the same name")
            }
        };
        rule.found(survey.set.reference(), message).hint(drop)
    }
}

/// The command that removes an annotation from the set.
pub fn remove_annotation(survey: &Survey, annotation: &str) -> String {
    format!("kubectl annotate sts {} {annotation}- {}", survey.set.name, survey.at())
}
