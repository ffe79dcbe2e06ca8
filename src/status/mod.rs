//! `status STS`: the set as a tree, and why it is stuck. Without a name, or with
//! several: a row for each set, see [`list`].
//!
//! The flow is `args` → `cluster::read` (or `manifests`) → [`plan::judge`],
//! which is pure → `report`. With `--watch` or `--wait-for`, `run` repeats it
//! whenever a watch reports a change.
//!
//! `plan` builds the [`plan::Picture`]: ordinals with their pods, claims and
//! volumes, grouped by revision. `stuck` holds the rules that explain why
//! nothing moves, with a file for each part of the set. Each rule carries the
//! text of its section in docs/findings.md.

pub mod args;
pub mod list;
pub mod plan;
pub mod report;
pub mod run;
pub mod stuck;
