//! kubectl-stateful as a library: `main.rs` only calls [`program::main`].
//!
//! A command runs in one direction: parse arguments, read facts, plan (pure),
//! show and ask, run, report. See docs/architecture.md.

pub mod canary;
pub mod cli;
pub mod cluster;
pub mod completion;
pub mod diagnosis;
pub mod dns;
#[cfg(test)]
mod docs;
pub mod dump;
pub mod explain;
pub mod flags;
pub mod handover;
pub mod manifests;
pub mod migrate;
pub mod orphans;
pub mod output;
pub mod program;
pub mod scale;
pub mod status;
pub mod steps;
pub mod version;
pub mod workload;
