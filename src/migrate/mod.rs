//! `migrate`: from a Deployment and its claims to a StatefulSet.
//!
//! How a live application moves:
//!
//! 1. `plan` reads what is around the Deployment and says what would become of
//!    it ([`begin`], with the pure [`convert`] that manifests go through too).
//! 2. `run` writes down in a [`journal`] what everything was like; its creation
//!    is the lock.
//! 3. [`plan::next`] names the next act from the objects as they are. Volumes
//!    are told to stay (`Retain`), the new claims and a set without pods are
//!    made, and each volume goes over to its new claim in one write, all while
//!    the old pod still serves. Then the Deployment stops and the set starts.
//! 4. Until `finalize` everything can be taken back: `rollback` ([`back`]) goes
//!    the same way home from wherever it stands. [`finish`] takes away what was
//!    kept for that.
//!
//! Every act is one write with what it was decided on as its precondition
//! ([`writes`]), and after each the world is read again. So a run that is
//! killed anywhere is gone on with by the next.
//!
//! In the modes that give the set volumes of its own the old ones are only read:
//! [`fill`] names what comes in between.
//!
//! [`recover`] is for sets that were moved by hand and run on a blank disk.
//!
//! `files` takes manifests apart into documents, `comments` follow what they
//! speak of; `run/` carries things out.

pub mod args;
pub mod back;
pub mod begin;
mod comments;
pub mod convert;
pub mod files;
pub mod fill;
pub mod finish;
pub mod journal;
pub mod object;
pub mod plan;
pub mod recover;
pub mod report;
pub mod rules;
pub mod run;
pub mod volumes;
pub mod world;
pub mod writes;
