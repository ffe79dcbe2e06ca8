//! `migrate`: from a Deployment and its claims to a StatefulSet.
//!
//! How a live application moves:
//!
//! 1. [`plan`] reads what is around the Deployment and says what would happen,
//!    with the pure [`convert`] that manifests go through too.
//! 2. `run` records the original state in a [`journal`], whose creation is the
//!    lock.
//! 3. [`forward::next`] decides the next act from the objects as they are. The
//!    volumes get the policy `Retain`, the new claims and a set without pods are
//!    created, and each volume is handed over to its new claim in one write, all
//!    while the old pod keeps serving. Then the Deployment stops and the set
//!    starts.
//! 4. Until `finalize` all of it can be undone: [`rollback`] goes back from any
//!    point, and makes from the journal what someone has deleted. [`finalize`]
//!    deletes what a rollback would need.
//!
//! [`standing`] judges where a migration is, from the objects alone, and asks the
//! verbs themselves which of them would go on.
//!
//! Every act is one write, with the state that it was decided on as its
//! precondition ([`writes`]), and after each act everything is read again. So
//! when a run is killed, at any point, the next one can continue.
//!
//! In the modes that give the set its own volumes, the old ones are only read:
//! [`fill`] has the moves for those.
//!
//! [`preview`] has the writes that a verb would send from here on, for its dry run;
//! what controllers would do in between is in [`settled`]. [`direction`] has the next
//! move of whatever direction the migration goes in.
//!
//! How a volume goes from one claim to another is in [`crate::handover`].
//!
//! A write that came after somebody else had ended the migration is taken back by
//! [`late`]; what is left without a journal is judged by [`remains`].
//!
//! [`recover`] is for sets that were moved by hand and run on an empty volume.
//!
//! `files` splits manifests into documents, and `comments` keeps the comments in
//! them. `run/` carries the verbs out.

mod again;
pub mod args;
mod comments;
pub mod convert;
mod copy_job;
pub mod direction;
mod disturbed;
pub mod fates;
pub mod files;
pub mod fill;
pub mod finalize;
pub mod forward;
pub mod journal;
mod late;
pub mod makers;
pub mod offline;
pub mod plan;
pub mod preview;
pub mod read;
pub mod recover;
pub mod remains;
pub mod report;
pub mod rollback;
pub mod rules;
pub mod run;
pub mod settled;
pub mod standing;
mod verify;
pub mod volumes;
mod wording;
pub mod world;
pub mod writes;
