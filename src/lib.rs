//! kubectl-stateful, as a library: `main.rs` only calls [`cli::main`].

pub mod cluster;
pub mod output;
pub mod status;
pub mod workload;
