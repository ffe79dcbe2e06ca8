//! Tier 1, black box: files in, words out.

#![allow(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod allow;
mod build;
mod canary;
mod canary_hints;
mod canary_lines;
mod canary_model;
mod canary_rules;
mod canary_truth;
mod canary_words;
mod causes;
mod cli;
mod convert;
mod dns;
mod findings;
mod handover;
mod house;
mod lines;
mod migrate;
mod migrate_recover;
mod migrate_remains;
mod migrate_rules;
mod migrate_standing;
mod model;
mod orphans;
mod orphans_oracle;
mod orphans_truth;
mod properties;
mod scale;
mod scale_kept;
mod scale_rules;
mod scenarios;
mod server;
mod status_list;
mod words;
