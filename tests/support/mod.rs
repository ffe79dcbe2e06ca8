//! What the tests of the binary have in common: a real cluster to run against,
//! processes in a sealed environment, waiting for conditions, and a proxy that
//! makes things go wrong at a chosen moment.
//!
//! Start at [`TestCluster`]. Everything is synchronous on the outside: a test
//! is a list of commands and what must hold after each.

// Each tier has a binary of its own and uses its own part of this.
#![allow(dead_code, unused_imports)]

mod api;
mod cluster;
mod connect_proxy;
mod csi;
mod custom;
mod kubeconfig;
mod mishap;
mod nginx;
mod process;
mod proxy;
mod runtime;
mod status;
mod sweep;
mod wait;

pub use api::{Api, Upstream};
pub use cluster::{Namespace, TestCluster, decode_base64};
pub use connect_proxy::ConnectProxy;
pub use csi::{SNAPSHOT_CLASS, csi, csi_volume, report_snapshot, snapshot_of, snapshots};
pub use custom::{CustomKind, SCALED_OBJECT, VERTICAL};
pub use kubeconfig::Kubeconfig;
pub use mishap::Mishap;
pub use nginx::{claims, container, web};
pub use process::{Output, Run, Running, Victim, stateful};
pub use proxy::{Answer, Fault, FaultProxy, Gate, Seen};
pub use status::{document, follow, hint_of, ids, until_found};
pub use sweep::{sweep, sweep_abreast};
pub use wait::{wait_and_tell, wait_for};
