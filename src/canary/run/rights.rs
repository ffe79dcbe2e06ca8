//! The rights that a canary needs later. Whether they are there is asked before
//! the first write: without them a gate never answers, or an abort stops
//! half-way.

use crate::{
    canary::{
        abort::AbortMove,
        gates::{Gates, leader::LeaderRule, values::At},
        guards, rules,
    },
    cluster::{Cluster, Resource, rights::Right},
    output::Error,
    steps::rights::{self, Needed},
    workload::{Facts, Finding, Severity, StatefulSet, Strategy},
};

/// What the user may not do, a finding each. `tried`: whether the server has tried a
/// patch of the set, which answers for that right.
///
/// # Errors
/// When the server does not answer.
pub async fn missing(
    cluster: &Cluster,
    facts: &Facts,
    gates: &Gates,
    tried: bool,
) -> Result<Vec<Finding>, Error> {
    let mut needed = needed(facts, gates);
    if !tried {
        needed.insert(0, patch_the_set(&facts.set));
    }
    rights::missing(cluster, needed, &rules::NO_RIGHTS, &facts.set.reference()).await
}

/// What the user may not do of an abort, whose first move is this one.
///
/// # Errors
/// When the server does not answer.
pub async fn missing_to_go_back(
    cluster: &Cluster,
    facts: &Facts,
    first: &AbortMove,
) -> Result<Vec<Finding>, Error> {
    let on = facts.set.reference();
    let ask = async |needed| rights::missing(cluster, vec![needed], &rules::NO_RIGHTS, &on).await;
    let mut found = ask(patch_the_set(&facts.set)).await?;
    // Most aborts delete no pod, and this one may be urgent.
    let deletes = !facts.set.takes_partition() || matches!(first, AbortMove::Replace { .. });
    let severity = if deletes { Severity::Error } else { Severity::Warning };
    found.extend(ask(delete_pods(&facts.set)).await?.into_iter().map(|one| match one.severity {
        Severity::Error => one.at(severity),
        _ => one,
    }));
    Ok(found)
}

fn patch_the_set(set: &StatefulSet) -> Needed {
    Needed {
        right: Right { verb: "patch", resource: Resource::STATEFUL_SET, subresource: "" },
        namespace: set.namespace.clone(),
        what_for: "for every step, and to go back",
    }
}

fn delete_pods(set: &StatefulSet) -> Needed {
    Needed {
        right: Right { verb: "delete", resource: Resource::POD, subresource: "" },
        namespace: set.namespace.clone(),
        what_for: match set.strategy {
            Strategy::OnDelete => "to replace pods under OnDelete",
            _ => "by abort, if a new pod never becomes Ready (kubernetes #67250)",
        },
    }
}

fn needed(facts: &Facts, gates: &Gates) -> Vec<Needed> {
    let set = &facts.set;
    let here = |verb, subresource, what_for| Needed {
        right: Right { verb, resource: Resource::POD, subresource },
        namespace: set.namespace.clone(),
        what_for,
    };
    let mut all = vec![delete_pods(set)];
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
