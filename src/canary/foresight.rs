//! What can be known of the gates before anything is written: a container or a
//! port that is not there, a budget that has no room, a right that is missing.
//! Pure.

use serde_json::Value;

use super::{
    gates::{
        Gates,
        checks::HttpGate,
        leader::LeaderRule,
        values::{On, Port},
    },
    plan::{self, State},
    record::Phase,
    rules,
};
use crate::{
    steps::{attempt::shown, pod_command::Command},
    workload::{Budget, Finding, PodTemplate, Severity, Survey},
};

/// The gates that cannot be asked, or may find nobody, in pods of the new template
/// `after` or, where all pods are asked, of the stable one.
pub fn gates(survey: &Survey, gates: &Gates, stable: &Value, after: &Value) -> Vec<Finding> {
    let set = survey.set;
    let unusable = |message: String, hint: String| {
        rules::GATE_UNUSABLE.found(set.reference(), message).hint(hint)
    };
    let mut found: Vec<Finding> = Vec::new();
    for (gate, container, everywhere) in in_containers(gates) {
        let asked = [("new", after), ("stable", stable)];
        let asked = if everywhere { &asked[..] } else { &asked[..1] };
        let missing = asked.iter().find(|(_, raw)| !containers(raw).contains(&container));
        if let Some((which, raw)) = missing {
            let known = containers(raw);
            let message = format!(
                "{gate} runs in the container {container}, and the {which} template has {}",
                known.join(", ")
            );
            let those = known.iter().map(|name| format!("--container {name}"));
            let those: Vec<String> = those.collect();
            found.push(unusable(message, format!("name one that it has: {}", those.join(" or "))));
        }
    }
    let [new, old] =
        [after, stable].map(|raw| PodTemplate { raw: raw.clone(), ..PodTemplate::default() });
    for HttpGate { port, path, on, .. } in &gates.http {
        let everywhere = *on == On::All;
        match port {
            Port::Name(name) if new.port(name).is_none() => {
                let message =
                    format!("--gate-http {name}{path}: the new template has no port {name}");
                found.push(unusable(message, other_ports(after, path)));
            }
            Port::Name(name) if everywhere && old.port(name).is_none() => {
                let message = format!(
                    "--gate-http {name}{path} asks all pods, and the stable template has no port \
                     {name}"
                );
                let one = "ask the new pod alone, with --gate-on canary; or";
                found.push(unusable(message, format!("{one} {}", other_ports(stable, path))));
            }
            Port::Number(number) if !declares(after, number.get()) => {
                let message = format!(
                    "--gate-http {number}{path}: no container of the new template declares port \
                     {number}"
                );
                found.push(rules::GATE_PORT.found(set.reference(), message));
            }
            Port::Name(_) | Port::Number(_) => {}
        }
    }
    found
}

/// The commands with a container of their own: the flag, the container, and
/// whether pods of the stable template are asked, too.
fn in_containers(gates: &Gates) -> Vec<(String, &str, bool)> {
    let said = |flag: &str, command: &Command| format!("{flag} {}", shown(&command.to_string()));
    let exec = gates.exec.iter().map(|gate| {
        (said("--gate-exec", &gate.command), gate.container.as_deref(), gate.on == On::All)
    });
    let leader = match &gates.leader {
        Some(LeaderRule::Exec(command)) => Some(("--leader-exec", command)),
        Some(LeaderRule::Label { .. }) | None => None,
    };
    let switchover = gates.switchover.as_ref().map(|command| ("--switchover-exec", command));
    let others = leader
        .into_iter()
        .chain(switchover)
        .map(|(flag, command)| (said(flag, &command.exec), command.container.as_deref(), true));
    let all = exec.chain(others);
    all.filter_map(|(gate, container, everywhere)| Some((gate, container?, everywhere))).collect()
}

/// The containers that run as long as the pod does.
fn containers(template: &Value) -> Vec<&str> {
    let of = |field: &str| template["spec"][field].as_array().into_iter().flatten();
    let sidecars = of("initContainers").filter(|container| container["restartPolicy"] == "Always");
    of("containers").chain(sidecars).filter_map(|container| container["name"].as_str()).collect()
}

/// What to ask instead of a port that is not there.
fn other_ports(template: &Value, path: &str) -> String {
    let named: Vec<String> = ports(template)
        .filter_map(|port| port["name"].as_str())
        .map(|name| format!("--gate-http {name}{path}"))
        .collect();
    if named.is_empty() {
        return format!("name the port by its number, such as --gate-http 8080{path}");
    }
    format!("name one that it has: {}", named.join(" or "))
}

fn declares(template: &Value, port: u16) -> bool {
    ports(template).any(|declared| declared["containerPort"] == port)
}

fn ports(template: &Value) -> impl Iterator<Item = &Value> {
    let of = |field: &str| template["spec"][field].as_array().into_iter().flatten();
    let containers = of("containers").chain(of("initContainers"));
    containers.filter_map(|container| container["ports"].as_array()).flatten()
}

/// The PodDisruptionBudget that has no room for the pod at `index`, which moves
/// first. One that can never have room refuses the start; another one is waited
/// for.
pub fn budget(survey: &Survey, index: u32, gates: &Gates) -> Option<Finding> {
    let slot = survey.slots.get(usize::try_from(index).ok()?)?;
    let pod = slot.pod.filter(|pod| pod.is_ready())?;
    let budgets = survey.facts.budgets.iter().flatten().filter(|_| gates.budgets);
    let mut exhausted: Vec<&Budget> = budgets
        .filter(|budget| {
            budget.covers(&pod.labels) && budget.observed && budget.disruptions_allowed < 1
        })
        .collect();
    exhausted.sort_by_key(|budget| !never_allows(budget));
    let budget = exhausted.first()?;
    let object = format!("poddisruptionbudget.policy/{}", budget.name);
    let counts = format!(
        "{} of {} healthy, {} needed",
        budget.current_healthy, budget.expected_pods, budget.desired_healthy
    );
    if never_allows(budget) {
        let message = format!(
            "PodDisruptionBudget {} never allows {} to go ({counts})",
            budget.name, pod.name
        );
        return Some(rules::NO_HEADROOM.found(object, message));
    }
    let message = format!(
        "PodDisruptionBudget {} does not allow {} to go now ({counts}): the canary waits for it",
        budget.name, pod.name
    );
    Some(rules::NO_HEADROOM.found(object, message).at(Severity::Warning))
}

/// A PodDisruptionBudget that never has room for the next pod, which came or was
/// changed after the canary began: a promote would wait for it in vain.
/// `goal`: the lowest index that is to move.
pub fn blocking_budget(state: &State, gates: &Gates, goal: u32) -> Option<Finding> {
    let rolls = state.record.phase == Phase::Rolling;
    let index = plan::next_to_go(state).filter(|index| rolls && *index >= goal)?;
    budget(&state.survey, index, gates).filter(|found| found.severity == Severity::Error)
}

/// Whether all of the pods must be healthy, always.
fn never_allows(budget: &Budget) -> bool {
    budget.desired_healthy >= budget.expected_pods
}
