//! Shared by the tests of the binary: a real cluster to run against, processes
//! with a clean environment, waiting for conditions, and a proxy that makes a
//! chosen request fail.
//!
//! Start at [`TestCluster`]. The interface is synchronous: a test is a list of
//! commands and of what must hold after each.

// Each tier is a binary of its own and uses only a part of this.
#![allow(dead_code, unused_imports)]

mod api;
mod cluster;
mod connect_proxy;
mod csi;
mod custom;
mod disk;
mod document;
mod kubeconfig;
mod mishap;
mod nginx;
mod pasted;
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
pub use disk::{Disk, Meddled, Meddling};
pub use document::{document, error_ids, reason_ids};
pub use kubeconfig::Kubeconfig;
pub use mishap::Mishap;
pub use nginx::{claims, container, web, web_set};
pub use process::{Output, Run, Running, Victim, stateful};
pub use proxy::{Answer, Fault, FaultProxy, Gate, Seen};
pub use status::{follow, hint_of, ids, status_document, until_found};
pub use sweep::{Point, sweep, sweep_concurrently, sweep_requests};
pub use wait::{wait_for, wait_or_explain};
