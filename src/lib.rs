//! kubectl-stateful, as a library: `main.rs` only calls [`cli::main`].
//!
//! A request travels one way: arguments, `cluster::read`, a pure plan, show
//! and ask, run, report. docs/architecture.md says more.

pub mod canary;
pub mod cli;
pub mod cluster;
pub mod completion;
pub mod dns;
#[cfg(test)]
mod docs;
pub mod migrate;
pub mod orphans;
pub mod output;
pub mod scale;
pub mod status;
pub mod steps;
pub mod version;
pub mod workload;
