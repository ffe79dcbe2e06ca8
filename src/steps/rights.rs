//! Whether the rights are there that a run needs later: asked before its first
//! write, for without them it would stop half-way.

use futures_util::future::try_join_all;
use http::Method;

use crate::{
    cluster::{
        Cluster, Failure, Resource,
        rights::{Right, missing_rights_in},
    },
    output::Error,
    workload::{Finding, Rule, Severity, version_numbers},
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

/// Whom to ask for a right, and the line that shows whether it is there.
pub fn ask_for(cluster: &Cluster, namespace: &str, right: Right) -> String {
    let line = right.can_i(namespace, &cluster.flags());
    format!("ask whoever may give you that right, and see whether it is there: {line}")
}

/// What it takes to run a command in a pod. It runs over a WebSocket, which begins with a
/// GET; Kubernetes 1.35 and newer want the right to create beside it.
pub fn to_exec(
    server_version: Option<&str>,
    namespace: &str,
    what_for: &'static str,
) -> Vec<Needed> {
    let version = server_version.and_then(version_numbers);
    let creates = version.is_some_and(|(major, minor, _)| (major, minor) >= (1, 35));
    let verbs = ["get"].into_iter().chain(creates.then_some("create"));
    let needed = verbs.map(|verb| Needed {
        right: Right { verb, resource: Resource::POD, subresource: "exec" },
        namespace: namespace.to_owned(),
        what_for,
    });
    needed.collect()
}

/// What it takes to send a request with this method to a pod, through the API server.
pub fn to_ask_pod(method: &Method, namespace: &str, what_for: &'static str) -> Needed {
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    };
    Needed {
        right: Right { verb, resource: Resource::POD, subresource: "proxy" },
        namespace: namespace.to_owned(),
        what_for,
    }
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
            rule.found(on, message).hint(ask_for(cluster, &namespace, right))
        })),
    }
}
