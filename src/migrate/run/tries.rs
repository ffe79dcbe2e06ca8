//! Writes that the server tries in a dry run: quotas, webhooks and unknown fields refuse
//! there, and not half way.

use crate::{
    cluster::{Cluster, Failure, Resource, Write},
    migrate::rules,
    output::Error,
    workload::Finding,
};

/// Has the server try each of these writes; what speaks against them.
pub async fn try_all(
    cluster: &Cluster,
    writes: impl Iterator<Item = Write>,
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for write in writes {
        match cluster.try_write(&write).await {
            Ok(_) => {}
            // A user who may create Jobs need not have the right to create pods.
            Err(failure) if write.object().resource == Resource::POD && has_no_right(&failure) => {}
            Err(failure) => findings.push(refusal(&write, failure)?),
        }
    }
    Ok(findings)
}

/// What it means that the server did not take a write in a dry run.
///
/// # Errors
/// When that says nothing about the write.
pub fn refusal(write: &Write, failure: Failure) -> Result<Finding, Error> {
    if failure.is_transient() {
        return Err(failure.into());
    }
    let rule = if rejects_dry_runs(&failure) { &rules::NOT_TRIED } else { &rules::SERVER_REFUSES };
    let message = Error::from(failure).headline().to_owned();
    Ok(rule.found(write.object().to_string(), message))
}

/// Whether the API server says that a right is missing. When an admission plugin
/// forbids something, such as a privileged pod or one above a quota, its message
/// is a different one.
fn has_no_right(failure: &Failure) -> bool {
    let Failure::Forbidden(rejection) = failure else { return false };
    rejection.status.message.contains("cannot create resource")
}

/// Whether the API server says that a webhook has side effects.
fn rejects_dry_runs(failure: &Failure) -> bool {
    let Failure::Server(rejection) = failure else { return false };
    rejection.status.code == 400 && rejection.status.message.contains("does not support dry run")
}
