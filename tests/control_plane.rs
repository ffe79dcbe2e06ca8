//! Tier 2: the binary against a real control plane, with simulated nodes.
//!
//! `tests/run` builds the cluster program and runs this; see tests/support.

#![allow(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod support;

#[path = "control_plane/canary.rs"]
mod canary;
#[path = "control_plane/change.rs"]
mod change;
#[path = "control_plane/convert.rs"]
mod convert;
#[path = "control_plane/dns.rs"]
mod dns;
#[path = "control_plane/errors.rs"]
mod errors;
#[path = "control_plane/kubeconfig.rs"]
mod kubeconfig;
#[path = "control_plane/migrate/mod.rs"]
mod migrate;
#[path = "control_plane/migrate_modes.rs"]
mod migrate_modes;
#[path = "control_plane/mirror.rs"]
mod mirror;
#[path = "control_plane/orphans.rs"]
mod orphans;
#[path = "control_plane/proxy.rs"]
mod proxy;
#[path = "control_plane/scale.rs"]
mod scale;
#[path = "control_plane/status.rs"]
mod status;
#[path = "control_plane/unserved.rs"]
mod unserved;
#[path = "control_plane/write.rs"]
mod write;
