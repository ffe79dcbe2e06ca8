//! Tier 1, black box: files in, words out.

mod offline {
    mod build;
    mod findings;
    mod scenarios;
}
