//! The domain, without kube.

mod finding;

pub use finding::{Finding, Rule, Severity};
