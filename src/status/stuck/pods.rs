//! What is wrong with single pods.

use jiff::SignedDuration;

use crate::{
    diagnosis::{self, Killer, Problem},
    output::text::{age, list, one_line},
    workload::{Finding, Pod, Rule, Survey, Trouble, rule},
};

pub(super) const RULES: &[&Rule] = &[
    &IMAGE_PULL,
    &CRASH_LOOP,
    &PROBE_KILLS,
    &POST_START,
    &RESTARTS,
    &CONTAINER_CONFIG,
    &UNSCHEDULABLE,
    &SCHEDULER_BEHIND,
    &SCHEDULING_GATED,
    &MOUNT,
    &MULTI_ATTACH,
    &INIT,
    &NOT_READY,
    &NODE_LOST,
    &TERMINATING,
];

rule!(
    IMAGE_PULL,
    "STATUS-IMAGE-PULL",
    Error,
    "A container's image cannot be pulled, so the pod never starts.",
    "The container waits with the reason ErrImagePull, ImagePullBackOff, InvalidImageName or a \
     related one; the message is the registry's or the container runtime's.",
    "Correct the image name or tag, the registry's credentials (imagePullSecrets), or the network \
     path to the registry. After a template change under OrderedReady the broken pod must be \
     deleted too: see STATUS-REVERT-TRAP."
);

rule!(
    CRASH_LOOP,
    "STATUS-CRASH-LOOP",
    Error,
    "A container keeps exiting.",
    "The container waits with the reason CrashLoopBackOff, or has exited with a code other than 0 \
     after a restart. Exit code and reason are those of its last run.",
    "Read the log of the last run (kubectl logs --previous). OOMKilled means that the memory \
     limit was hit; 137 without it is usually a liveness probe that failed; 139 is a crash of the \
     program itself."
);

rule!(
    PROBE_KILLS,
    "STATUS-PROBE-KILLS",
    Error,
    "The kubelet keeps killing a container whose liveness or startup probe fails. The exit code \
     is that of a program that was asked to stop, often 0, and its log may show nothing wrong.",
    "The container waits with the reason CrashLoopBackOff, and an Unhealthy event about this pod \
     (by uid) and container names the liveness or startup probe, not long before its last end.",
    "Run the probe's command or request by hand in the pod. A program that needs longer to start \
     needs a startup probe, or a higher failureThreshold."
);

rule!(
    POST_START,
    "STATUS-POST-START-HOOK",
    Error,
    "The postStart hook of a container fails, and the kubelet kills the container for it, each \
     time.",
    "The container waits with the reason CrashLoopBackOff, and a FailedPostStartHook event about \
     this pod (by uid) and container says how the hook ended.",
    "Run the hook's command by hand in the container. It starts together with the program, which \
     may not be listening yet."
);

rule!(
    RESTARTS,
    "STATUS-RESTARTS",
    Warning,
    "A container keeps ending, and runs at the moment. One that runs for some ten minutes before \
     each end never waits in CrashLoopBackOff, and its pod is Ready most of the time.",
    "The container runs, has been restarted twice or more, and its last run ended within the last \
     hour. A probe or hook is named if an event about this pod (by uid) and container names it.",
    "Read the log of the last run. A liveness probe that fails now and then kills a program that is \
     only busy: give it a longer timeout, or a higher failureThreshold."
);

rule!(
    CONTAINER_CONFIG,
    "STATUS-CONTAINER-CONFIG",
    Error,
    "The kubelet cannot create a container as the template specifies it.",
    "The container waits with the reason CreateContainerConfigError, CreateContainerError, \
     RunContainerError or a related one, or its last run ended with the reason StartError; the \
     message names the missing Secret, ConfigMap, key, mount or command.",
    "Create what is missing or correct the template. The kubelet tries again by itself."
);

rule!(
    UNSCHEDULABLE,
    "STATUS-UNSCHEDULABLE",
    Error,
    "The scheduler finds no node for the pod.",
    "The pod's condition PodScheduled has been False with reason Unschedulable for ten seconds or \
     more; the message is the scheduler's count of nodes and reasons.",
    "Free or add capacity, or correct nodeSelector, affinity, tolerations or requests. A volume \
     that exists on one node or in one zone only ties its ordinal to it."
);

rule!(
    SCHEDULER_BEHIND,
    "STATUS-SCHEDULER-BEHIND",
    Error,
    "The scheduler rejected the pod because its claims were not bound, and they are bound now. It \
     looked before its own cache was up to date, and may not look at the pod again for up to five \
     minutes.",
    "The message of the condition PodScheduled is about unbound immediate PersistentVolumeClaims, \
     the condition is at least ten seconds old, and every claim that the pod names is Bound.",
    "Wait (kube-scheduler looks at such pods again after five minutes), or delete the pod: it has \
     never run, and the scheduler looks at its replacement at once."
);

rule!(
    SCHEDULING_GATED,
    "STATUS-SCHEDULING-GATED",
    Error,
    "The pod has scheduling gates that have not been removed.",
    "The pod's condition PodScheduled is False with reason SchedulingGated.",
    "Find out which controller sets spec.schedulingGates (a quota or queueing system such as \
     Kueue) and why it has not admitted the pod."
);

rule!(
    MOUNT,
    "STATUS-MOUNT",
    Error,
    "The pod is on its node, but a volume cannot be attached or mounted there.",
    "There is a FailedMount or FailedAttachVolume event about this pod (by uid), and its \
     containers have not started.",
    "A volume that is still attached to another node is released when the pod there is gone, or \
     about six minutes after the node is. A missing Secret or ConfigMap must be created."
);

rule!(
    MULTI_ATTACH,
    "STATUS-MULTI-ATTACH",
    Error,
    "The pod's volume can be attached to one node at a time, and it is still attached to another \
     one.",
    "The newest FailedAttachVolume event about this pod (by uid) is a Multi-Attach error. The node \
     and since when are those of the VolumeAttachments, and the pods are those of the event.",
    "If a pod still uses the volume there, it must end first. If its node is lost, the volume is \
     released some six minutes after that pod is gone; at once if the node is certainly switched \
     off and has the taint node.kubernetes.io/out-of-service. Never delete the VolumeAttachment of \
     a node that may still write."
);

rule!(
    INIT,
    "STATUS-INIT",
    Error,
    "The pod waits for an init container that does not end, or for a sidecar (an init container \
     that is restarted always) that does not start. Its other containers have not begun.",
    "The pod's phase is Pending, and the first init container that is not done has been running \
     for two minutes, or the sidecar for 30 seconds without its startup probe having passed. A \
     probe's message is that of the newest Unhealthy event about this pod (by uid).",
    "Look at the init container's log: it usually waits for a name or a server. One that restores \
     a backup may simply need that long."
);

rule!(
    NOT_READY,
    "STATUS-NOT-READY",
    Error,
    "The pod runs but is not Ready, and no other finding explains it: a readiness or startup \
     probe or a readiness gate does not pass.",
    "The pod's phase is Running, and it has not been Ready for more than 30 seconds. The probe's \
     message is that of the newest Unhealthy event about this pod (by uid), if events could be \
     read.",
    "Run the probe's command or request by hand in the pod, and look at the log."
);

rule!(
    NODE_LOST,
    "STATUS-NODE-LOST",
    Error,
    "The pod is being deleted and its node does not answer, so it is not known whether the pod \
     has stopped. A StatefulSet never runs two pods of one ordinal, so there is no replacement \
     yet.",
    "The pod's deletion deadline has passed, and its node is not Ready or no longer exists.",
    "Bring the node back. If its machine is certainly switched off, and only then, delete the \
     Node object, or taint it node.kubernetes.io/out-of-service=nodeshutdown:NoExecute; the pod \
     and its volume are then released. Never force the deletion of the pod: if it still runs, two \
     writers share one identity and perhaps one disk."
);

rule!(
    TERMINATING,
    "STATUS-TERMINATING",
    Error,
    "The pod is being deleted, should be gone by now, and still exists.",
    "The pod's deletion deadline passed more than 30 seconds ago. Its finalizers are named, if it \
     has any; the state of its node does not explain it.",
    "With finalizers: find the controller that should remove them. Without: the kubelet is still \
     stopping containers or unmounting volumes; look at the pod's events."
);

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    let mut problems: Vec<(&Pod, Problem)> = Vec::new();
    let leaving = survey.leaving.iter().filter_map(|slot| slot.pod);
    for pod in survey.pods().map(|(_, pod)| pod).chain(leaving) {
        if pod.is_terminating() {
            found.extend(overstays(survey, pod));
            continue;
        }
        match diagnosis::problem(survey, pod) {
            Some(problem @ (Problem::Trouble(_) | Problem::Killed { .. })) => {
                problems.push((pod, problem));
            }
            Some(problem) => found.push(finding(survey, pod, &problem, &pod.name)),
            None => found.extend(restarts(survey, pod)),
        }
    }
    found.extend(group(survey, problems));
}

/// Whether a finding says no more of a pod than that its claims are not bound.
pub(super) fn waits_for_claims(finding: &Finding) -> bool {
    finding.id == UNSCHEDULABLE.id && finding.message.contains(diagnosis::UNBOUND_CLAIMS)
}

/// A pod against which only its history speaks.
fn restarts(survey: &Survey, pod: &Pod) -> Option<Finding> {
    let said = diagnosis::restarting(survey, pod)?;
    let hint = format!("kubectl describe pod {} {}", pod.name, survey.at());
    Some(RESTARTS.found(format!("pod/{}", pod.name), said).hint(hint))
}

/// Pods with the same trouble make one finding: two hundred pods that cannot
/// pull one image are one problem.
fn group(survey: &Survey, problems: Vec<(&Pod, Problem)>) -> Vec<Finding> {
    let mut groups: Vec<Vec<(&Pod, Problem)>> = Vec::new();
    for entry in problems {
        let same = |group: &&mut Vec<(&Pod, Problem)>| {
            group.first().is_some_and(|(_, problem)| key(problem) == key(&entry.1))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(entry),
            None => groups.push(vec![entry]),
        }
    }
    let findings = groups.iter().filter_map(|group| {
        let (pod, problem) = group.first()?;
        let names: Vec<&str> = group.iter().map(|(pod, _)| pod.name.as_str()).collect();
        Some(finding(survey, pod, problem, &list(&names)))
    });
    findings.collect()
}

/// What makes two problems the same one.
fn key(problem: &Problem) -> Option<String> {
    let trouble = match problem {
        Problem::Trouble(trouble) => trouble,
        Problem::Killed { container, by, .. } => return Some(format!("killed {container} {by:?}")),
        _ => return None,
    };
    Some(match trouble {
        Trouble::ImagePull { container, image, .. } => format!("pull {container} {image}"),
        Trouble::CrashLoop { container, last, .. } => {
            format!("crash {container} {:?}", last.as_ref().map(|end| (end.exit_code, &end.reason)))
        }
        Trouble::ContainerConfig { container, reason, message } => {
            format!("config {container} {reason} {message}")
        }
        Trouble::Unschedulable { message } => format!("unschedulable {message}"),
        Trouble::SchedulingGated { message } => format!("gated {message}"),
    })
}

/// The finding about `who`; `pod` is the first of them.
fn finding(survey: &Survey, pod: &Pod, problem: &Problem, who: &str) -> Finding {
    let (name, at) = (&pod.name, survey.at());
    let describe = format!("kubectl describe pod {name} {at}");
    let (rule, hint) = match problem {
        Problem::Trouble(Trouble::ImagePull { .. }) => (&IMAGE_PULL, describe),
        Problem::Trouble(Trouble::CrashLoop { container, .. }) => {
            (&CRASH_LOOP, format!("kubectl logs {name} -c {container} --previous {at}"))
        }
        Problem::Trouble(Trouble::ContainerConfig { .. }) => (&CONTAINER_CONFIG, describe),
        Problem::Trouble(Trouble::Unschedulable { .. }) => (&UNSCHEDULABLE, describe),
        Problem::Trouble(Trouble::SchedulingGated { .. }) => (
            &SCHEDULING_GATED,
            format!("kubectl get pod {name} {at} -o jsonpath='{{.spec.schedulingGates}}'"),
        ),
        Problem::SchedulerBehind => (&SCHEDULER_BEHIND, format!("kubectl delete pod {name} {at}")),
        Problem::Mount { holder: Some(_), .. } => {
            (&MULTI_ATTACH, format!("kubectl get volumeattachments{}", survey.cluster_wide()))
        }
        Problem::Mount { holder: None, .. } => (&MOUNT, describe),
        Problem::Killed { by: Killer::Probe, .. } => (&PROBE_KILLS, describe),
        Problem::Killed { by: Killer::PostStart, .. } => (&POST_START, describe),
        Problem::Init { container, .. } => {
            (&INIT, format!("kubectl logs {name} -c {container} {at}"))
        }
        Problem::NotReady { .. } => (&NOT_READY, describe),
    };
    rule.found(format!("pod/{name}"), problem.sentence(who, survey.now)).hint(hint)
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
                         it is not known whether it still runs",
                        age(late)
                    ),
                )
                .hint(format!("kubectl describe node {node_name}{}", survey.cluster_wide())),
        );
    }
    let message = diagnosis::overdue(survey, pod)?;
    let hint = format!("kubectl describe pod {name} {}", survey.at());
    Some(TERMINATING.found(object, message).hint(hint))
}
