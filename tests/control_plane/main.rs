//! Tier 2: the binary against a real control plane, with simulated nodes.
//!
//! `tests/run` builds the cluster program and runs this; see tests/support.

#![allow(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod canary;
mod change;
mod convert;
mod dns;
mod dump;
mod errors;
mod kubeconfig;
mod migrate;
mod mirror;
mod orphans;
mod pages;
mod proxy;
mod scale;
mod status;
mod status_claims;
mod status_going;
mod status_list;
mod unread;
mod unserved;
mod watch;
mod write;

#[path = "../support/mod.rs"]
mod support;
