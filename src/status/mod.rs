//! `status STS`: the set as a tree, and why it is stuck.
//!
//! The way through it: `args` → `cluster::read` (or `cluster::offline`) →
//! [`plan::judge`], which is pure → `report`. `run` repeats that while
//! `--watch` or `--wait-for` ask for it, each time that a watch says that
//! something changed.
//!
//! `plan` builds the [`plan::Picture`]: ordinals, their pods, claims and
//! volumes, under the revision that they run. `stuck` holds the rules that
//! explain why nothing moves, a file for each part of the set, and every rule
//! carries the text of its page in docs/findings.md.

pub mod args;
pub mod plan;
pub mod report;
pub mod run;
pub mod stuck;
