//! What is wrong with single pods.

use jiff::SignedDuration;

use crate::{
    output::text::{age, list, one_line},
    workload::{ContainerState, Ended, Event, Finding, Pod, Rule, Severity, Survey, Trouble},
};

pub(super) const RULES: &[&Rule] = &[
    &IMAGE_PULL,
    &CRASH_LOOP,
    &CONTAINER_CONFIG,
    &UNSCHEDULABLE,
    &SCHEDULER_BEHIND,
    &SCHEDULING_GATED,
    &MOUNT,
    &NOT_READY,
    &NODE_LOST,
    &TERMINATING,
];

const IMAGE_PULL: Rule = Rule {
    id: "STATUS-IMAGE-PULL",
    severity: Severity::Error,
    means: "A container's image cannot be pulled, so the pod never starts.",
    evidence: "The container waits with ErrImagePull, ImagePullBackOff, InvalidImageName or a \
               related reason; the message is the registry's or the container runtime's.",
    remedy: "Correct the image name or tag, the registry's credentials (imagePullSecrets), or the \
             network path to the registry. After a template change under OrderedReady the broken \
             pod must be deleted too: see STATUS-REVERT-TRAP.",
};

const CRASH_LOOP: Rule = Rule {
    id: "STATUS-CRASH-LOOP",
    severity: Severity::Error,
    means: "A container starts and ends again and again.",
    evidence: "The container waits with CrashLoopBackOff, or has ended with a code other than 0 \
               after a restart. Exit code and reason are those of its last run.",
    remedy: "Read the log of the last run (kubectl logs --previous). OOMKilled means that the \
             memory limit was hit; 137 without it usually a liveness probe that failed; 139 a \
             crash of the program itself.",
};

const CONTAINER_CONFIG: Rule = Rule {
    id: "STATUS-CONTAINER-CONFIG",
    severity: Severity::Error,
    means: "The kubelet cannot create a container as the template asks for it.",
    evidence: "The container waits with CreateContainerConfigError, CreateContainerError or \
               RunContainerError; the message names the missing Secret, ConfigMap, key or mount.",
    remedy: "Create what is missing or correct the template. The kubelet tries again by itself.",
};

const UNSCHEDULABLE: Rule = Rule {
    id: "STATUS-UNSCHEDULABLE",
    severity: Severity::Error,
    means: "No node can take the pod.",
    evidence: "The pod's condition PodScheduled has been False with reason Unschedulable for ten \
               seconds or more; the message is the scheduler's count of nodes and reasons.",
    remedy: "Free or add capacity, or correct nodeSelector, affinity, tolerations or requests. A \
             volume that lives on one node or zone pins its ordinal there.",
};

const SCHEDULER_BEHIND: Rule = Rule {
    id: "STATUS-SCHEDULER-BEHIND",
    severity: Severity::Error,
    means: "The scheduler has last seen the pod's claims unbound, and they are bound: it was woken \
            before its own picture of them was new, and leaves the pod alone for up to five minutes.",
    evidence: "The message of the condition PodScheduled speaks of unbound immediate \
               PersistentVolumeClaims, it has stood for ten seconds or more, and every claim that \
               the pod names is Bound.",
    remedy: "Wait (kube-scheduler looks at such pods again after five minutes by itself), or \
             delete the pod: it has never run, and its successor is looked at at once.",
};

const SCHEDULING_GATED: Rule = Rule {
    id: "STATUS-SCHEDULING-GATED",
    severity: Severity::Error,
    means: "The pod waits for somebody to remove its scheduling gates.",
    evidence: "The pod's condition PodScheduled is False with reason SchedulingGated.",
    remedy: "Find out which controller sets spec.schedulingGates (a quota or queueing system such \
             as Kueue) and why it has not admitted the pod.",
};

const MOUNT: Rule = Rule {
    id: "STATUS-MOUNT",
    severity: Severity::Error,
    means: "The pod is on its node, but a volume cannot be attached or mounted there.",
    evidence: "The newest warning about this very pod (by uid) is FailedMount or \
               FailedAttachVolume, and its containers have not started.",
    remedy: "A volume still attached to another node is released when the pod there is gone, or \
             some six minutes after the node is. A missing Secret or ConfigMap must be made.",
};

const NOT_READY: Rule = Rule {
    id: "STATUS-NOT-READY",
    severity: Severity::Error,
    means: "The pod runs and is not Ready, and nothing else explains it: its readiness or startup \
            probe does not pass.",
    evidence: "The pod's condition Ready has been False for more than 30 seconds while all its \
               containers run. The message of the probe is that of the newest Unhealthy event \
               about this very pod, where events could be read.",
    remedy: "Run the probe's command or request by hand in the pod and look at the log.",
};

const NODE_LOST: Rule = Rule {
    id: "STATUS-NODE-LOST",
    severity: Severity::Error,
    means: "The pod is being deleted, its node does not answer, and so nobody can say that it has \
            stopped. A StatefulSet never runs two pods of one ordinal, so no replacement is made.",
    evidence: "The pod's deletion deadline has passed, and its node is not Ready or no longer \
               exists.",
    remedy: "Bring the node back. Only if its machine is certainly switched off: delete the Node \
             object, or taint it node.kubernetes.io/out-of-service=nodeshutdown:NoExecute, and the \
             pod and its volume are released. Never delete the pod by force: if it still runs, two \
             writers share one identity and perhaps one disk.",
};

const TERMINATING: Rule = Rule {
    id: "STATUS-TERMINATING",
    severity: Severity::Error,
    means: "The pod should be gone by now and is not.",
    evidence: "The pod's deletion deadline has passed by more than 30 seconds. Finalizers, where it \
               has any, are named; the state of its node could not explain it.",
    remedy: "With finalizers: find the controller that should remove them. Without: the kubelet is \
             still stopping containers or unmounting volumes; look at its events.",
};

/// A pod is unschedulable for a moment whenever its claim is made with it: the
/// binder and the scheduler take turns.
const SCHEDULING_PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// Longer than a start-up or a shutdown that is merely slow to be reported.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    let mut troubles: Vec<(&Pod, Trouble)> = Vec::new();
    let leaving = survey.leaving.iter().filter_map(|slot| slot.pod);
    for pod in survey.pods().map(|(_, pod)| pod).chain(leaving) {
        if pod.is_terminating() {
            found.extend(overstays(survey, pod));
        } else if let Some(trouble) = pod.trouble() {
            if is_passing(survey, pod, &trouble) {
                continue;
            }
            match scheduler_behind(survey, pod, &trouble) {
                Some(finding) => found.push(finding),
                None => troubles.push((pod, trouble)),
            }
        } else {
            found.extend(not_ready(survey, pod));
        }
    }
    found.extend(group(survey, troubles));
}

/// Id of the finding that a volume cannot be mounted; it may pass.
pub const MOUNT_ID: &str = MOUNT.id;

/// What is plainly wrong with this pod; slowness alone is not.
pub fn broken(survey: &Survey, pod: &Pod) -> Option<Finding> {
    match pod.trouble() {
        Some(trouble) if is_passing(survey, pod, &trouble) => None,
        Some(trouble) if scheduler_behind(survey, pod, &trouble).is_some() => None,
        Some(trouble) => {
            let entry = (pod, trouble);
            Some(describe(survey, &entry, std::slice::from_ref(&entry)))
        }
        None => not_ready(survey, pod).filter(|finding| finding.id == MOUNT_ID),
    }
}

/// Why this pod is not Ready, as far as anything says so.
pub fn unready(survey: &Survey, pod: &Pod) -> Option<Finding> {
    let behind = || scheduler_behind(survey, pod, &pod.trouble()?);
    broken(survey, pod).or_else(behind).or_else(|| not_ready(survey, pod))
}

/// Trouble that is too young to be any.
pub(super) fn is_passing(survey: &Survey, pod: &Pod, trouble: &Trouble) -> bool {
    let since = pod.condition("PodScheduled").and_then(|condition| condition.since);
    matches!(trouble, Trouble::Unschedulable { .. })
        && since
            .or(pod.created)
            .is_some_and(|since| survey.now.duration_since(since) < SCHEDULING_PATIENCE)
}

/// What the scheduler has against a pod, where it is no longer so. Seen under
/// load with Kubernetes 1.34: the event of the bound claim had come before the
/// scheduler's cache of claims was new.
fn scheduler_behind(survey: &Survey, pod: &Pod, trouble: &Trouble) -> Option<Finding> {
    let Trouble::Unschedulable { message } = trouble else { return None };
    if !message.contains("unbound immediate PersistentVolumeClaims") || pod.claims.is_empty() {
        return None;
    }
    let claims = survey.facts.claims.as_ref()?;
    let is_bound =
        |name: &String| claims.iter().any(|claim| claim.name == *name && claim.phase == "Bound");
    if !pod.claims.iter().all(is_bound) {
        return None;
    }
    let (name, at) = (&pod.name, survey.at());
    let what = format!(
        "{name} is not scheduled because of claims that were not bound, and they are: the scheduler \
         looks at it again within five minutes"
    );
    Some(
        SCHEDULER_BEHIND
            .found(format!("pod/{name}"), what)
            .hint(format!("kubectl delete pod {name} {at}")),
    )
}

/// Pods with the same trouble make one finding: two hundred pods that cannot
/// pull one image are one problem.
fn group(survey: &Survey, troubles: Vec<(&Pod, Trouble)>) -> Vec<Finding> {
    let mut groups: Vec<Vec<(&Pod, Trouble)>> = Vec::new();
    for entry in troubles {
        let same = |group: &&mut Vec<(&Pod, Trouble)>| {
            group.first().is_some_and(|(_, trouble)| key(trouble) == key(&entry.1))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(entry),
            None => groups.push(vec![entry]),
        }
    }
    groups.iter().filter_map(|group| Some(describe(survey, group.first()?, group))).collect()
}

fn key(trouble: &Trouble) -> String {
    match trouble {
        Trouble::ImagePull { container, image, .. } => format!("pull {container} {image}"),
        Trouble::CrashLoop { container, last, .. } => {
            format!("crash {container} {:?}", last.as_ref().map(|end| (end.exit_code, &end.reason)))
        }
        Trouble::ContainerConfig { container, reason, message } => {
            format!("config {container} {reason} {message}")
        }
        Trouble::Unschedulable { message } => format!("unschedulable {message}"),
        Trouble::SchedulingGated { message } => format!("gated {message}"),
    }
}

fn describe(
    survey: &Survey,
    (pod, trouble): &(&Pod, Trouble),
    members: &[(&Pod, Trouble)],
) -> Finding {
    let names: Vec<&str> = members.iter().map(|(pod, _)| pod.name.as_str()).collect();
    let who = list(&names);
    let object = format!("pod/{}", pod.name);
    let (name, at) = (&pod.name, survey.at());
    match trouble {
        Trouble::ImagePull { container, image, message } => {
            let why = pull_failure(message);
            IMAGE_PULL
                .found(object, format!("{who} cannot pull {image} (container {container}): {why}"))
                .hint(format!("kubectl describe pod {name} {at}"))
        }
        Trouble::CrashLoop { container, init, restarts, last } => {
            let kind = if *init { "init container" } else { "container" };
            let ended = last.as_ref().map_or_else(String::new, |end| ended(end, survey));
            CRASH_LOOP
                .found(
                    object,
                    format!(
                        "{kind} {container} of {who} keeps ending{ended}; {restarts} restarts so far"
                    ),
                )
                .hint(format!("kubectl logs {name} -c {container} --previous {at}"))
        }
        Trouble::ContainerConfig { container, reason, message } => CONTAINER_CONFIG
            .found(
                object,
                format!(
                    "container {container} of {who} cannot be created: {reason}: {}",
                    one_line(message)
                ),
            )
            .hint(format!("kubectl describe pod {name} {at}")),
        Trouble::Unschedulable { message } => UNSCHEDULABLE
            .found(object, format!("no node takes {who}: {}", one_line(message)))
            .hint(format!("kubectl describe pod {name} {at}")),
        Trouble::SchedulingGated { message } => SCHEDULING_GATED
            .found(object, format!("{who} waits behind scheduling gates: {}", one_line(message)))
            .hint(format!("kubectl get pod {name} {at} -o jsonpath='{{.spec.schedulingGates}}'")),
    }
}

/// The innermost cause of the runtime's nested message: what follows the last
/// colon that a blank follows.
fn pull_failure(message: &str) -> String {
    let message = one_line(message);
    let cause = message.rsplit(": ").next().unwrap_or_default();
    if cause.is_empty() { "no reason given".to_owned() } else { cause.to_owned() }
}

fn ended(end: &Ended, survey: &Survey) -> String {
    let reason = end.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let ago = end.at.map_or_else(String::new, |at| {
        format!(", last {} ago", age(survey.now.duration_since(at)))
    });
    format!(" with code {}{reason}{ago}", end.exit_code)
}

fn not_ready(survey: &Survey, pod: &Pod) -> Option<Finding> {
    if pod.is_ready() || pod.phase == "Succeeded" || pod.phase == "Failed" {
        return None;
    }
    let since = pod.unready_since()?;
    let lasts = survey.now.duration_since(since);
    let object = format!("pod/{}", pod.name);
    let event = |reasons: &[&str]| survey.facts.newest_event(&pod.uid, reasons);
    let started = pod.containers.iter().any(|c| !c.init && c.ready)
        || pod.containers.iter().any(|c| matches!(c.state, ContainerState::Running));
    if !started && let Some(mount) = event(&["FailedMount", "FailedAttachVolume"]) {
        return Some(
            MOUNT
                .found(object, format!("{} waits for a volume: {}", pod.name, said(mount)))
                .hint(format!("kubectl describe pod {} {}", pod.name, survey.at())),
        );
    }
    if lasts < PATIENCE || pod.phase != "Running" {
        return None;
    }
    let probe =
        event(&["Unhealthy"]).map_or_else(String::new, |event| format!(": {}", said(event)));
    let unready: Vec<&str> = pod
        .containers
        .iter()
        .filter(|container| !container.init && !container.ready)
        .map(|container| container.name.as_str())
        .collect();
    let which = match unready.as_slice() {
        [] => "a readiness gate has not passed".to_owned(),
        names => format!("container {} does not pass its probe", list(names)),
    };
    Some(
        NOT_READY
            .found(
                object,
                format!("{} has not been Ready for {}: {which}{probe}", pod.name, age(lasts)),
            )
            .hint(format!("kubectl describe pod {} {}", pod.name, survey.at())),
    )
}

fn said(event: &Event) -> String {
    one_line(&event.message)
}

fn overstays(survey: &Survey, pod: &Pod) -> Option<Finding> {
    let late = survey.now.duration_since(pod.gone_by?);
    let object = format!("pod/{}", pod.name);
    let name = &pod.name;
    if late > SignedDuration::ZERO
        && let Some(node_name) = &pod.node
        && let Some(node) = survey.facts.nodes.iter().flatten().find(|node| node.name == *node_name)
        && node.ready != Some(true)
    {
        let state = match (node.ready, &node.message, node.since) {
            (None, ..) => "no longer exists".to_owned(),
            (_, message, since) => {
                let since = since.map_or_else(String::new, |since| {
                    format!(" for {}", age(survey.now.duration_since(since)))
                });
                let message =
                    message.as_deref().map_or_else(String::new, |m| format!(" ({})", one_line(m)));
                format!("has not been Ready{since}{message}")
            }
        };
        return Some(
            NODE_LOST
                .found(
                    object,
                    format!(
                        "{name} should have been gone {} ago, but its node {node_name} {state}, so \
                         nobody knows whether it still runs",
                        age(late)
                    ),
                )
                .hint(format!("kubectl describe node {node_name}{}", survey.cluster_wide())),
        );
    }
    if late < PATIENCE {
        return None;
    }
    let held = if pod.finalizers.is_empty() {
        "the kubelet has not confirmed that it stopped".to_owned()
    } else {
        format!("held by finalizers {}", pod.finalizers.join(", "))
    };
    Some(
        TERMINATING
            .found(object, format!("{name} should have been gone {} ago: {held}", age(late)))
            .hint(format!("kubectl describe pod {name} {}", survey.at())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_cause_of_a_failed_pull_is_said() {
        let message = "Back-off pulling image \"nginx:9\": ErrImagePull: rpc error: code = NotFound \
                       desc = failed to resolve reference \"docker.io/library/nginx:9\": \
                       docker.io/library/nginx:9: not found";
        assert_eq!(pull_failure(message), "not found");
        assert_eq!(pull_failure(""), "no reason given");
    }
}
