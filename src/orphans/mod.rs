//! `orphans`: claims and volumes that nothing uses any more, and why we
//! believe it.
//!
//! The way through it: `args` → `cluster::disks` (or `cluster::offline`), which
//! reads a fixed number of lists into [`model::Facts`] → [`classify::judge`],
//! which is pure and gives a row for each claim and volume that is not plainly
//! in use → `select`, `totals` → `report`.
//!
//! Two rules stand above all others. From what was not read nothing is
//! concluded: without the list of pods no claim is unused, its row says
//! `unknown` and the answer is incomplete. And names are made, never taken
//! apart: a claim belongs to a set when template, set and ordinal give its
//! name, because `a-b-c-0` can be the claim of two sets.
//!
//! `delete` and `adopt` change something. Each of their writes is decided on
//! what was read right before, by the same classification, and carries uid and
//! resourceVersion; `delete.rs` and `adopt.rs` decide what is next, purely, and
//! `run` carries it out. Where they stand is read from the objects, so that a
//! run that is killed is gone on with by the same command.

pub mod adopt;
pub mod args;
pub mod classify;
pub mod delete;
pub mod model;
pub mod report;
pub mod rules;
pub mod run;
pub mod select;
pub mod totals;
