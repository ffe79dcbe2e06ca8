//! Our marks on claims and volumes. Clusters have objects with them, so these
//! formats must not change.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::workload::{
    MIGRATION_MARK,
    raw::{annotation, name, policy, uid},
};

/// On a volume that `orphans` has set to Retain: the policy that it had.
pub const KEPT_POLICY: &str = "kubectl-stateful.dev/kept-policy";
/// Changed on a claim only to make the binder look at it, which otherwise
/// happens every 15 seconds.
pub const TOUCHED: &str = "kubectl-stateful.dev/touched";
/// The finalizer of a claim that must not be deleted while its volume gets back a
/// policy under which it would be deleted too.
pub const HOLD: &str = "kubectl-stateful.dev/policy-returns";
/// The finalizer of a claim that we delete and whose volume is to stay: until the
/// volume was looked at once more, after the deletion. Whoever has given the
/// volume another policy before that is noticed in time.
pub const KEEPS: &str = "kubectl-stateful.dev/volume-stays";
/// On a volume: the uid of its claim, which was deleted while it was held. The
/// policy is not restored for that claim.
pub const CLAIM_DELETED: &str = "kubectl-stateful.dev/claim-deleted";
/// Kubernetes' own, on a volume that the binder has bound by itself. When it
/// unbinds such a volume, it clears the claimRef, and any claim can bind it.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// One particular object, not another one with the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub name: String,
    pub uid: String,
}

impl Held {
    pub fn of(object: &Value) -> Held {
        Held { name: name(object).to_owned(), uid: uid(object).to_owned() }
    }
}

/// The note on a volume, under [`MIGRATION_MARK`], while it is handed over:
/// enough to go back by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// The id of the operation.
    pub op: String,
    pub namespace: String,
    /// The ConfigMap of a migration. A scaling makes none, and names the set so.
    pub journal: String,
    pub policy: String,
    pub old: Held,
    /// The new claim's name.
    pub new: String,
}

impl Tag {
    /// The tag of a volume; `None` also where it cannot be read.
    pub fn of(volume: &Value) -> Option<Tag> {
        Tag::read(annotation(volume, MIGRATION_MARK)?)
    }

    /// The tag, as it is written.
    pub fn read(text: &str) -> Option<Tag> {
        serde_json::from_str(text).ok()
    }

    /// The set whose claims a scaling sets aside. Only a migration has a journal.
    pub fn scaled_set(&self) -> Option<&str> {
        is_of_scaling(&self.op).then(|| self.set())
    }

    /// The set that the volume is handed over for.
    pub fn set(&self) -> &str {
        self.journal.strip_prefix(BOOK).unwrap_or(&self.journal)
    }
}

/// What the id of an operation of `scale --fresh` begins with.
pub const SCALING: &str = "scale-";

/// Whether this is the operation of a scaling, and not of a migration.
pub fn is_of_scaling(op: &str) -> bool {
    op.starts_with(SCALING)
}

/// What stands between the name of a claim and the time at which a scaling has set
/// it aside.
pub const ASIDE: &str = "-aside-";

/// Whether a ConfigMap of the namespace is the journal of the migration `op`, with
/// this tag on a volume. One whose mark somebody has removed still has its name; the
/// next migration to the same set has a journal of that name, and another mark.
pub fn is_journal_of(config_map: &Value, op: &str, tag: Option<&Tag>) -> bool {
    annotation(config_map, MIGRATION_MARK)
        .map_or_else(|| tag.is_some_and(|tag| tag.journal == name(config_map)), |mark| mark == op)
}

const BOOK: &str = "kubectl-stateful-migrate-";

/// The name of the ConfigMap that is the journal of a migration to a set.
pub fn book_name(set: &str) -> String {
    format!("{BOOK}{set}")
}

/// The policy that a volume had before it was protected, and how that is noted on
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    policy: String,
    note: Note,
    /// Whether the volume had the annotation [`BOUND_BY_CONTROLLER`].
    bound_by_controller: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Note {
    Tag(Tag),
    /// The policy alone.
    Kept,
}

impl Original {
    /// For a volume that is handed over from one claim to another.
    pub fn tagged(tag: Tag, bound_by_controller: bool) -> Original {
        Original { policy: tag.policy.clone(), note: Note::Tag(tag), bound_by_controller }
    }

    /// For a volume whose claim is deleted, and which may get another one later:
    /// its current policy.
    pub fn now(volume: &Value) -> Original {
        let policy = Some(policy(volume)).filter(|policy| !policy.is_empty()).unwrap_or("Retain");
        Original { policy: policy.to_owned(), note: Note::Kept, bound_by_controller: false }
    }

    /// The policy noted on such a volume.
    pub fn kept_on(volume: &Value) -> Option<Original> {
        let policy = annotation(volume, KEPT_POLICY)?.to_owned();
        Some(Original { policy, note: Note::Kept, bound_by_controller: false })
    }

    pub fn policy(&self) -> &str {
        &self.policy
    }

    pub fn is_bound_by_controller(&self) -> bool {
        self.bound_by_controller
    }

    /// The annotation that holds the note.
    pub(super) fn key(&self) -> &'static str {
        match self.note {
            Note::Tag(_) => MIGRATION_MARK,
            Note::Kept => KEPT_POLICY,
        }
    }

    /// The value of the annotation.
    pub(super) fn value(&self) -> String {
        match &self.note {
            // Serializing what can be deserialized cannot fail.
            Note::Tag(tag) => serde_json::to_string(tag).unwrap_or_default(),
            Note::Kept => self.policy.clone(),
        }
    }
}
