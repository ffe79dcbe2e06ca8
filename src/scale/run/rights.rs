//! The rights that a scaling needs later. Whether they are there is asked before the
//! first write, and those to set claims aside before their volumes are read: without
//! them a run would stop half-way.

use crate::{
    cluster::{Cluster, Resource, rights::Right},
    output::Error,
    scale::{args::ScaleArgs, rules},
    steps::rights::{self, Needed},
    workload::{Finding, Severity, StatefulSet},
};

/// What the user may not do of that which the flags ask for, a finding each.
///
/// # Errors
/// When the server does not answer.
pub async fn missing(
    cluster: &Cluster,
    set: &StatefulSet,
    args: &ScaleArgs,
) -> Result<Vec<Finding>, Error> {
    let here = |verb, resource, subresource, what_for| Needed {
        right: Right { verb, resource, subresource },
        namespace: set.namespace.clone(),
        what_for,
    };
    let mut all = vec![here("patch", Resource::STATEFUL_SET, "", "to change the replicas")];
    if args.hooks.before_exec.is_some() {
        all.push(here("create", Resource::POD, "exec", "for --before-exec"));
    }
    if args.hooks.before_http.is_some() {
        all.push(here("create", Resource::POD, "proxy", "for --before-http"));
    }
    if args.snapshot.is_some() {
        for verb in ["create", "get"] {
            all.push(here(verb, Resource::SNAPSHOT, "", "for --snapshot"));
        }
    }
    rights::missing(cluster, all, &rules::NO_RIGHTS, &set.reference()).await
}

/// The same of what it takes to set claims aside, or to finish that.
///
/// # Errors
/// When the server does not answer.
pub async fn missing_to_set_aside(
    cluster: &Cluster,
    set: &StatefulSet,
) -> Result<Vec<Finding>, Error> {
    let claims = ["get", "create", "patch", "delete"].map(|verb| (verb, Resource::CLAIM));
    let volumes = ["get", "patch"].map(|verb| (verb, Resource::VOLUME));
    let needed = claims.into_iter().chain(volumes).map(|(verb, resource)| Needed {
        right: Right { verb, resource, subresource: "" },
        namespace: set.namespace.clone(),
        what_for: "to set claims aside",
    });
    rights::missing(cluster, needed.collect(), &rules::NO_RIGHTS, &set.reference()).await
}

/// Where a claim is mounted again, a volume that is still attached elsewhere stops the
/// run. Who may not see that is told.
///
/// # Errors
/// When the server does not answer.
pub async fn unseen_attachments(
    cluster: &Cluster,
    set: &StatefulSet,
) -> Result<Vec<Finding>, Error> {
    let needed = Needed {
        right: Right { verb: "list", resource: Resource::ATTACHMENT, subresource: "" },
        namespace: set.namespace.clone(),
        what_for: "to see whether a volume that is mounted again is still attached to another node",
    };
    let found = rights::missing(cluster, vec![needed], &rules::UNREAD, &set.reference()).await?;
    Ok(found.into_iter().map(|finding| finding.at(Severity::Warning)).collect())
}
