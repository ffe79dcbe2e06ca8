//! The rights that a canary needs later. Whether they are there is asked before
//! the first write: without them a gate never answers, or an abort stops
//! half-way.

use crate::{
    canary::{
        gates::{Gates, spec::LeaderRule, values::At},
        guards, rules,
    },
    cluster::{Cluster, Resource, rights::Right},
    output::Error,
    steps::rights::{self, Needed},
    workload::{Facts, Finding, Strategy},
};

/// What the user may not do, a finding each.
///
/// # Errors
/// When the server does not answer.
pub async fn missing(
    cluster: &Cluster,
    facts: &Facts,
    gates: &Gates,
) -> Result<Vec<Finding>, Error> {
    let needed = needed(facts, gates);
    rights::missing(cluster, needed, &rules::NO_RIGHTS, &facts.set.reference()).await
}

fn needed(facts: &Facts, gates: &Gates) -> Vec<Needed> {
    let set = &facts.set;
    let here = |verb, subresource, what_for| Needed {
        right: Right { verb, resource: Resource::POD, subresource },
        namespace: set.namespace.clone(),
        what_for,
    };
    let mut all = vec![here(
        "delete",
        "",
        match set.strategy {
            Strategy::OnDelete => "to replace pods under OnDelete",
            _ => "by abort, if a new pod never becomes Ready (kubernetes #67250)",
        },
    )];
    let leader = matches!(gates.leader, Some(LeaderRule::Exec(_))) || gates.switchover.is_some();
    if leader || !gates.exec.is_empty() {
        // A command runs over a WebSocket, which begins with a GET. Kubernetes 1.35
        // and newer want the right to create beside it.
        let what_for = "to run the commands of the gates";
        all.push(here("get", "exec", what_for));
        let version = facts.server_version.as_deref().and_then(guards::numbers);
        if version.is_some_and(|(major, minor, _)| (major, minor) >= (1, 35)) {
            all.push(here("create", "exec", what_for));
        }
    }
    if !gates.http.is_empty() {
        all.push(here("get", "proxy", "by --gate-http"));
    }
    all.extend(gates.prometheus.iter().filter_map(|gate| match &gate.at {
        At::Service { namespace, .. } => Some(Needed {
            right: Right { verb: "get", resource: Resource::SERVICE, subresource: "proxy" },
            namespace: namespace.clone(),
            what_for: "by --gate-prom",
        }),
        At::Url(_) => None,
    }));
    all
}
