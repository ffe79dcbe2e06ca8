//! Whether the rights are there that a run needs later: asked before its first
//! write, for without them it would stop half-way.

use futures_util::future::try_join_all;

use crate::{
    cluster::{
        Cluster, Failure,
        rights::{Right, missing_rights_in},
    },
    output::Error,
    workload::{Finding, Rule, Severity},
};

/// A right, the namespace in which it is needed, and what for.
#[derive(Clone, Debug)]
pub struct Needed {
    pub right: Right,
    pub namespace: String,
    pub what_for: &'static str,
}

/// What the user may not do, a finding each. A server that does not let the user
/// ask is no reason to stop, and that is said.
///
/// # Errors
/// When the server does not answer.
pub async fn missing(
    cluster: &Cluster,
    needed: Vec<Needed>,
    rule: &'static Rule,
    on: &str,
) -> Result<Vec<Finding>, Error> {
    let asks = needed.into_iter().map(|needed| ask(cluster, needed, rule, on));
    Ok(try_join_all(asks).await?.into_iter().flatten().collect())
}

async fn ask(
    cluster: &Cluster,
    needed: Needed,
    rule: &'static Rule,
    on: &str,
) -> Result<Option<Finding>, Error> {
    let Needed { right, namespace, what_for } = needed;
    let Right { verb, resource, subresource } = right;
    let place = if resource.namespaced { format!(" in {namespace}") } else { String::new() };
    match missing_rights_in(cluster, &namespace, &[right]).await {
        Err(Failure::Forbidden(_) | Failure::NoSuchApi(_)) => {
            let slash = if subresource.is_empty() { "" } else { "/" };
            let message = format!(
                "whether you may {verb} {}{slash}{subresource}{place} could not be asked; it is \
                 needed {what_for}",
                resource.name()
            );
            Ok(Some(rule.found(on, message).at(Severity::Warning)))
        }
        missing => Ok(missing?.first().map(|name| {
            let message = format!("you may not {name}{place}, which is needed {what_for}");
            rule.found(on, message)
        })),
    }
}
