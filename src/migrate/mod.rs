//! `migrate`: from a Deployment and its claims to a StatefulSet.
//!
//! `convert` is pure: raw objects in, raw objects and findings out, so that
//! fields which this program has never heard of survive. `files` takes
//! manifests apart into documents and puts them together again; what is not
//! converted passes as the text that it was. `run` leads from one to the other.

pub mod args;
pub mod convert;
pub mod files;
pub mod report;
pub mod rules;
pub mod run;
