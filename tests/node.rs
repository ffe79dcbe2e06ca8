//! Tier 3: the binary against a real node that runs real applications.
//!
//! `tests/run` builds the cluster program and the images and runs this; see tests/support.

#![allow(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod support;

#[path = "node/apps.rs"]
mod apps;
#[path = "node/canary.rs"]
mod canary;
#[path = "node/canary_databases.rs"]
mod canary_databases;
#[path = "node/canary_gates.rs"]
mod canary_gates;
#[path = "node/dns.rs"]
mod dns;
#[path = "node/exec.rs"]
mod exec;
#[path = "node/migrate.rs"]
mod migrate;
#[path = "node/migrate_copy.rs"]
mod migrate_copy;
#[path = "node/migrate_killed.rs"]
mod migrate_killed;
#[path = "node/migrate_recover.rs"]
mod migrate_recover;
#[path = "node/migrate_trouble.rs"]
mod migrate_trouble;
#[path = "node/migrate_volumes.rs"]
mod migrate_volumes;
#[path = "node/reach.rs"]
mod reach;
#[path = "node/readme.rs"]
mod readme;
#[path = "node/scale.rs"]
mod scale;
#[path = "node/stuck.rs"]
mod stuck;
