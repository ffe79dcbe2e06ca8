//! One pod: what its status, its events and its claims say against it.

use jiff::{SignedDuration, Timestamp};

use crate::{
    output::text::{age, clip, list, one_line},
    workload::{ContainerState, ContainerStatus, Ended, Event, Pod, Survey, Trouble},
};

/// What is wrong with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The pod's own status gives the reason.
    Trouble(Trouble),
    /// The scheduler last saw its claims unbound, and they are bound.
    SchedulerBehind,
    /// A volume cannot be attached or mounted; the message is the event's.
    /// `holder` is what has it on another node, where that is why.
    Mount { message: String, holder: Option<String> },
    /// The kubelet keeps killing a container that would run.
    Killed { container: String, restarts: u32, by: Killer, message: String },
    /// An init container has not ended, or a sidecar has not started, for long.
    /// `step` is `Init:0/1`.
    Init { container: String, sidecar: bool, step: String, since: Timestamp, probe: Option<String> },
    /// It runs and is not Ready. `containers` are not, because of their probe if
    /// they are `probed`; where there are none, a readiness gate has not passed.
    NotReady {
        since: Timestamp,
        containers: Vec<String>,
        probed: bool,
        probe: Option<String>,
        /// What is to be said of each gate that has not passed.
        gates: Vec<String>,
    },
}

/// Why the kubelet kills a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killer {
    /// Its liveness or startup probe fails.
    Probe,
    /// Its postStart hook fails.
    PostStart,
}

/// In the scheduler's message about a pod whose claims are to be bound before it.
pub const UNBOUND_CLAIMS: &str = "unbound immediate PersistentVolumeClaims";

/// A pod is unschedulable for a moment whenever its claim is made with it: the
/// binder and the scheduler take turns.
const SCHEDULING_PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// Longer than a start-up that is merely slow to be reported.
const READY_PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// Longer than most init containers take. One that restores a backup takes more,
/// and then it is good to know.
const INIT_PATIENCE: SignedDuration = SignedDuration::from_mins(2);

/// How much older than the end of a container the event may be that says why it
/// was killed: a grace period lies between.
const KILLED_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// How many restarts are more than an accident, and how recent the last one is.
const MANY_RESTARTS: u32 = 2;
const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// What is wrong with this pod, which is not terminating.
pub fn problem(survey: &Survey, pod: &Pod) -> Option<Problem> {
    match pod.trouble() {
        Some(trouble) if is_being_scheduled(survey, pod, &trouble) => None,
        Some(trouble) if is_scheduler_behind(survey, pod, &trouble) => {
            Some(Problem::SchedulerBehind)
        }
        Some(trouble) => Some(killed(survey, pod, &trouble).unwrap_or(Problem::Trouble(trouble))),
        None => init(survey, pod).or_else(|| not_ready(survey, pod)),
    }
}

/// The same without what time alone may resolve: slowness, and a scheduler that
/// looks again by itself.
pub fn broken(survey: &Survey, pod: &Pod) -> Option<Problem> {
    problem(survey, pod).filter(|problem| {
        matches!(problem, Problem::Trouble(_) | Problem::Mount { .. } | Problem::Killed { .. })
    })
}

/// Why this pod is not Ready, as far as anything says so.
pub fn unready(survey: &Survey, pod: &Pod) -> Option<Problem> {
    let is_behind = || {
        let trouble = pod.trouble()?;
        is_scheduler_behind(survey, pod, &trouble).then_some(Problem::SchedulerBehind)
    };
    broken(survey, pod)
        .or_else(is_behind)
        .or_else(|| init(survey, pod))
        .or_else(|| not_ready(survey, pod))
}

/// Whether a pod is unschedulable for no longer than scheduling may take.
pub fn is_being_scheduled(survey: &Survey, pod: &Pod, trouble: &Trouble) -> bool {
    let since = pod.condition("PodScheduled").and_then(|condition| condition.since);
    matches!(trouble, Trouble::Unschedulable { .. })
        && since
            .or(pod.created)
            .is_some_and(|since| survey.now.duration_since(since) < SCHEDULING_PATIENCE)
}

/// Whether the scheduler's objection to a pod no longer holds. Seen under load
/// with Kubernetes 1.34: the event of the bound claim arrived before the
/// scheduler's cache of claims was updated.
fn is_scheduler_behind(survey: &Survey, pod: &Pod, trouble: &Trouble) -> bool {
    let Trouble::Unschedulable { message } = trouble else { return false };
    if !message.contains(UNBOUND_CLAIMS) || pod.claims.is_empty() {
        return false;
    }
    let Some(claims) = &survey.facts.claims else { return false };
    let is_bound =
        |name: &String| claims.iter().any(|claim| claim.name == *name && claim.phase == "Bound");
    pod.claims.iter().all(is_bound)
}

/// Longer than a shutdown that is only reported late.
const GONE_PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// That a pod should be gone by now, and what holds it.
pub fn overdue(survey: &Survey, pod: &Pod) -> Option<String> {
    let late = survey.now.duration_since(pod.gone_by?);
    if late < GONE_PATIENCE {
        return None;
    }
    let held = if pod.finalizers.is_empty() {
        "the kubelet has not confirmed that it has stopped".to_owned()
    } else {
        format!("held by finalizers {}", pod.finalizers.join(", "))
    };
    Some(format!("{} should have been gone {} ago: {held}", pod.name, age(late)))
}

/// Whether a container that keeps ending is killed by the kubelet. Its exit code
/// says nothing then, and its log may be empty: the events say it.
fn killed(survey: &Survey, pod: &Pod, trouble: &Trouble) -> Option<Problem> {
    let Trouble::CrashLoop { container, restarts, last, .. } = trouble else { return None };
    let (by, message) = killer(survey, pod, container, last.as_ref())?;
    Some(Problem::Killed { container: container.clone(), restarts: *restarts, by, message })
}

/// Why the kubelet killed a container that has ended, as its events say it.
fn killer(
    survey: &Survey,
    pod: &Pod,
    container: &str,
    last: Option<&Ended>,
) -> Option<(Killer, String)> {
    let ended = last.and_then(|end| end.at);
    let is_recent = |event: &Event| match (event.last, ended) {
        (Some(said), Some(ended)) => said + KILLED_WITHIN >= ended,
        _ => true,
    };
    let kills = |event: &Event| {
        let probe = ["Liveness probe", "Startup probe"];
        match event.reason.as_str() {
            "FailedPostStartHook" => Some(Killer::PostStart),
            "Unhealthy" if probe.iter().any(|probe| event.message.starts_with(probe)) => {
                Some(Killer::Probe)
            }
            _ => None,
        }
    };
    let events = survey.facts.events.iter().flatten();
    let about = events
        .filter(|event| event.object_uid == pod.uid)
        .filter(|event| event.container.as_deref().is_none_or(|named| named == container))
        .filter(|event| is_recent(event));
    let (event, by) = about
        .filter_map(|event| Some((event, kills(event)?)))
        .max_by_key(|(event, _)| event.last)?;
    Some((by, one_line(&event.message)))
}

fn is_often_restarted(container: &ContainerStatus) -> bool {
    container.restarts >= MANY_RESTARTS
}

/// Whether [`restarting`] may have something to say about a pod, now or later.
pub fn has_restarted_often(pod: &Pod) -> bool {
    pod.containers.iter().any(is_often_restarted)
}

/// That a container of a pod which is well by now has kept ending, in one sentence:
/// one that runs for ten minutes before each end is never in CrashLoopBackOff.
pub fn restarting<'a>(survey: &Survey, pod: &'a Pod) -> Option<String> {
    let runs = |container: &&ContainerStatus| {
        (!container.is_init() || container.is_sidecar())
            && matches!(container.state, ContainerState::Running)
    };
    let recent = |container: &'a ContainerStatus| {
        let end = container.last_end.as_ref()?;
        let since = survey.now.duration_since(end.at?);
        (since <= LATELY).then_some((container, end, since))
    };
    let containers =
        pod.containers.iter().filter(runs).filter(|container| is_often_restarted(container));
    let (container, end, since) =
        containers.filter_map(recent).max_by_key(|(container, ..)| container.restarts)?;
    let reason = end.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let why = match killer(survey, pod, &container.name, Some(end)) {
        Some((Killer::Probe, message)) => {
            format!(": the kubelet killed it because its probe failed: {message}")
        }
        Some((Killer::PostStart, message)) => {
            format!(": the kubelet killed it because its postStart hook failed: {message}")
        }
        None => String::new(),
    };
    Some(format!(
        "{} runs, but its container {} has been restarted {} times; its last run ended {} ago with \
         code {}{reason}{why}",
        pod.name,
        container.name,
        container.restarts,
        age(since),
        end.exit_code
    ))
}

/// An init container that runs on, or a sidecar that does not start.
fn init(survey: &Survey, pod: &Pod) -> Option<Problem> {
    let step = pod.init_step()?;
    let container = step.container;
    let ContainerState::Running = container.state else { return None };
    let since = container.running_since.or_else(|| pod.unready_since())?;
    let patience = if container.is_sidecar() { READY_PATIENCE } else { INIT_PATIENCE };
    if survey.now.duration_since(since) < patience {
        return None;
    }
    let probe = survey.facts.newest_event(&pod.uid, &["Unhealthy"]);
    Some(Problem::Init {
        container: container.name.clone(),
        sidecar: container.is_sidecar(),
        step: step.label(),
        since,
        probe: probe.filter(|_| container.is_sidecar()).map(|event| one_line(&event.message)),
    })
}

/// What has the volume that a pod is waiting for on another node; `None` if the
/// event is about something else.
fn holder(survey: &Survey, event: &Event) -> Option<String> {
    if !event.message.contains("Multi-Attach error") {
        return None;
    }
    let volume = event.message.split('"').nth(1).unwrap_or_default();
    let all = survey.facts.attachments.iter().flatten();
    let mut nodes = all.filter(|attachment| attachment.volume == volume).map(|attachment| {
        let since = attachment.since.map_or_else(String::new, |since| {
            format!(" (for {})", age(survey.now.duration_since(since)))
        });
        format!("{}{since}", attachment.node)
    });
    let on = nodes.next().map_or_else(
        || "another node".to_owned(),
        |node| nodes.fold(format!("node {node}"), |all, node| format!("{all} and {node}")),
    );
    // "Volume is already used by pod(s) db-1, db-2"
    let pods = event.message.split_once("used by pod(s) ").map(|(_, pods)| one_line(pods));
    let by = pods.map_or_else(String::new, |pods| format!(", where {pods} uses it"));
    Some(format!("volume {volume} is still attached to {on}{by}"))
}

fn not_ready(survey: &Survey, pod: &Pod) -> Option<Problem> {
    if pod.is_ready() || pod.phase == "Succeeded" || pod.phase == "Failed" {
        return None;
    }
    let since = pod.unready_since()?;
    let event = |reasons: &[&str]| survey.facts.newest_event(&pod.uid, reasons);
    let started = pod.containers.iter().any(|c| !c.is_init() && c.ready)
        || pod.containers.iter().any(|c| matches!(c.state, ContainerState::Running));
    if !started && let Some(event) = event(&["FailedMount", "FailedAttachVolume"]) {
        let message = one_line(&event.message);
        return Some(Problem::Mount { message, holder: holder(survey, event) });
    }
    if survey.now.duration_since(since) < READY_PATIENCE || pod.phase != "Running" {
        return None;
    }
    let counts = |container: &&ContainerStatus| !container.is_init() || container.is_sidecar();
    let unready: Vec<&ContainerStatus> =
        pod.containers.iter().filter(counts).filter(|container| !container.ready).collect();
    let probe = event(&["Unhealthy"]).map(|event| one_line(&event.message));
    let mut templates = survey.set.template.containers.iter().filter(|container| container.probed);
    let probed = templates.any(|one| unready.iter().any(|container| container.name == one.name));
    let name = |container: &ContainerStatus| {
        let of_sidecar = if container.is_sidecar() { " (a sidecar)" } else { "" };
        format!("{}{of_sidecar}", container.name)
    };
    Some(Problem::NotReady {
        since,
        containers: unready.into_iter().map(name).collect(),
        probed: probed || probe.is_some(),
        probe,
        gates: pod.readiness_gates.iter().filter_map(|gate| unmet(pod, gate)).collect(),
    })
}

/// What keeps a readiness gate from passing, if it has not.
fn unmet(pod: &Pod, gate: &str) -> Option<String> {
    match pod.condition(gate) {
        Some(condition) if condition.holds => None,
        Some(condition) => {
            let words = [&condition.reason, &condition.message];
            let words: Vec<String> =
                words.into_iter().flatten().map(|word| one_line(word)).collect();
            let why =
                if words.is_empty() { String::new() } else { format!(": {}", words.join(": ")) };
            Some(format!("{gate} is not True{why}"))
        }
        None => Some(format!("nobody has set the condition {gate}")),
    }
}

impl Problem {
    /// The problem in one sentence about `who`, one pod or several.
    pub fn sentence(&self, who: &str, now: Timestamp) -> String {
        match self {
            Problem::Trouble(trouble) => trouble_sentence(trouble, who, now),
            Problem::SchedulerBehind => format!(
                "{who} is not scheduled because its claims were not bound, but they are bound now: \
                 the scheduler looks at it again within five minutes"
            ),
            Problem::Mount { holder: Some(holder), .. } => format!("{who} waits: {holder}"),
            Problem::Mount { message, .. } => format!("{who} waits for a volume: {message}"),
            Problem::Killed { container, restarts, by, message } => {
                let why = match by {
                    Killer::Probe => "the kubelet keeps killing it because its probe fails",
                    Killer::PostStart => {
                        "the kubelet keeps killing it because its postStart hook fails"
                    }
                };
                format!(
                    "container {container} of {who}: {why}: {message}; {restarts} restarts so far"
                )
            }
            Problem::Init { container, sidecar, step, since, probe } => {
                let lasts = age(now.duration_since(*since));
                let what = if *sidecar {
                    format!("sidecar {container} has not started for {lasts}")
                } else {
                    format!("init container {container} has been running for {lasts}")
                };
                let probe = probe.as_ref().map_or_else(String::new, |probe| format!(": {probe}"));
                format!("{who} is at {step}: {what}{probe}")
            }
            Problem::NotReady { since, containers, probed, probe, gates } => {
                let which = match containers.as_slice() {
                    [] if gates.is_empty() => {
                        "its containers are ready, and the kubelet has not said so of the pod"
                            .to_owned()
                    }
                    [] => format!("a readiness gate has not passed: {}", gates.join("; ")),
                    names if *probed => {
                        format!("container {} does not pass its probe", list(names))
                    }
                    names => format!("container {} is not ready", list(names)),
                };
                // Of a gate, no probe says anything.
                let probe = probe.as_ref().filter(|_| !containers.is_empty());
                let probe = probe.map_or_else(String::new, |probe| format!(": {probe}"));
                let lasts = age(now.duration_since(*since));
                format!("{who} has not been Ready for {lasts}: {which}{probe}")
            }
        }
    }
}

fn trouble_sentence(trouble: &Trouble, who: &str, now: Timestamp) -> String {
    match trouble {
        Trouble::ImagePull { container, image, message } => {
            let why = pull_failure(message);
            format!("{who} cannot pull {image} (container {container}): {why}")
        }
        Trouble::CrashLoop { container, init, restarts, last } => {
            let kind = if *init { "init container" } else { "container" };
            let ended = last.as_ref().map_or_else(String::new, |end| ended(end, now));
            format!("{kind} {container} of {who} keeps exiting{ended}; {restarts} restarts so far")
        }
        Trouble::ContainerConfig { container, reason, message } => format!(
            "container {container} of {who} cannot be created: {reason}: {}",
            one_line(message)
        ),
        Trouble::Unschedulable { message } => format!("no node fits {who}: {}", one_line(message)),
        Trouble::SchedulingGated { message } => {
            format!("{who} waits for its scheduling gates to be removed: {}", one_line(message))
        }
    }
}

/// The innermost cause in the runtime's nested message: what follows the last
/// colon and space.
fn pull_failure(message: &str) -> String {
    let message = one_line(message);
    let cause = message.rsplit(": ").next().unwrap_or_default();
    if cause.is_empty() { "no reason given".to_owned() } else { cause.to_owned() }
}

fn ended(end: &Ended, now: Timestamp) -> String {
    let reason = end.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let ago =
        end.at.map_or_else(String::new, |at| format!(", last {} ago", age(now.duration_since(at))));
    // Most programs leave none; it is the first line that says what happened.
    let said = end.message.as_deref().and_then(|text| text.lines().find(|line| !line.is_empty()));
    let said =
        said.map_or_else(String::new, |line| format!(", saying {:?}", clip(&one_line(line), 120)));
    format!(" with code {}{reason}{ago}{said}", end.exit_code)
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
