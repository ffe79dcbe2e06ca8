//! Tier 1, black box: files in, words out.

#![allow(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

mod offline {
    mod build;
    mod canary;
    mod canary_model;
    mod canary_rules;
    mod cli;
    mod convert;
    mod dns;
    mod findings;
    mod migrate;
    mod migrate_model;
    mod migrate_recover;
    mod migrate_rules;
    mod orphans;
    mod orphans_oracle;
    mod properties;
    mod scale;
    mod scenarios;
    mod server;
    mod words;
}
