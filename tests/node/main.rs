//! Tier 3: the binary against a real node that runs real applications.
//!
//! `tests/run` builds the cluster program and the images and runs this; see tests/support.

#![allow(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod apps;
mod canary;
mod causes;
mod dns;
mod exec;
mod migrate;
mod reach;
mod readme;
mod scale;
mod stuck;

#[path = "../support/mod.rs"]
mod support;
