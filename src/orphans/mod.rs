//! `orphans`: claims and volumes that nothing uses any more, and why we
//! believe it.
//!
//! The order of work: `args`; `read` (or `offline`), which reads a fixed number
//! of lists into [`model::Facts`]; [`classify::judge`], which is pure and gives a
//! [`row::Row`] for each claim and volume that is not plainly in use; `select`
//! and `totals`; `report`.
//!
//! Two rules come before all others. No conclusion is drawn from what was not
//! read: without the list of pods every claim is `unknown`, and the answer is
//! incomplete. And names are composed, never parsed: a claim belongs to a set if
//! template, set and ordinal give its name, because `a-b-c-0` can be the claim
//! of two sets.
//!
//! `delete` and `adopt` write. Each write is decided on what was read right
//! before, by the same classification, and carries uid and resourceVersion.
//! `delete.rs` and `adopt.rs` decide the steps and are pure; `run` carries them
//! out. How far a run came is read from the objects, so the same command
//! continues a run that was killed.

pub mod adopt;
pub mod args;
pub mod classify;
pub mod delete;
pub mod guards;
pub mod model;
pub mod offline;
pub mod read;
pub mod report;
pub mod row;
pub mod rules;
pub mod run;
pub mod select;
pub mod totals;
