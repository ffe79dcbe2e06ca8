//! What the user may not do of what the lines to paste do: a line that would be
//! refused is not printed, and what is missing is said instead. Pure.

use crate::{
    cluster::{Resource, rights::Right},
    orphans::row::{Class, Row},
    output::text::list,
};

/// What `orphans delete` does to keep the volume of a claim that somebody has deleted.
pub const KEEP: [Right; 2] = [right("patch", Resource::VOLUME), right("get", Resource::VOLUME)];
/// What it does to delete a claim, and keep its volume. The first is not needed for a
/// volume under Retain, and only the last one without a volume.
pub const DELETE: [Right; 4] =
    [KEEP[0], KEEP[1], right("patch", Resource::CLAIM), right("delete", Resource::CLAIM)];
/// What `orphans adopt` does.
pub const ADOPT: [Right; 4] =
    [KEEP[0], KEEP[1], right("create", Resource::CLAIM), right("patch", Resource::CLAIM)];
/// All of them, each once.
pub const ALL: [Right; 5] = [KEEP[0], KEEP[1], DELETE[2], DELETE[3], ADOPT[2]];

const fn right(verb: &'static str, resource: Resource) -> Right {
    Right { verb, resource, subresource: "" }
}

/// The rights that are missing, as the server names them: `patch persistentvolumes`.
#[derive(Clone, Debug, Default)]
pub struct Lacking(pub Vec<String>);

impl Lacking {
    /// Whether a line about such a row may be printed, so that the rights have to be
    /// asked for.
    pub fn matters(row: &Row) -> bool {
        row.orphan || row.class == Class::TerminatingInUse
    }

    /// Why the command that needs these rights is not for this user.
    pub fn of(&self, command: &str, needed: &[Right]) -> Option<String> {
        let names = needed.iter().map(|right| format!("{} {}", right.verb, right.resource.name()));
        let missing: Vec<String> = names.filter(|name| self.0.contains(name)).collect();
        let what = list(&missing);
        (!missing.is_empty()).then(|| format!("you may not {what}, which {command} needs"))
    }
}
