//! The passes of copy Jobs: which is made next, how far one is, and why it failed.

use serde_json::Value;

use crate::{
    migrate::{
        fates::is_filled,
        forward::{Act, Memory, Move, delete_or_wait, name_taken, wait_for_pods},
        journal::{CopyPass, Disk, FILLED, Journal},
        rules,
        world::{World, is_copier, is_ours, state},
    },
    output::text::one_line,
    workload::{
        ContainerState, Pod, Trouble,
        raw::{annotation, is_leaving, items, name, text},
    },
};

/// How many lines of the output of a failed Job are shown.
const LAST_LINES: usize = 6;

/// Runs one pass for all disks.
pub(super) fn copy_all(
    world: &World,
    journal: &Journal,
    memory: &Memory,
    pass: CopyPass,
) -> Option<Move> {
    let state = state(world, journal);
    let mut wait = None;
    for (index, disk) in journal.disks.iter().enumerate() {
        let done = match pass {
            CopyPass::First => disk.is_for_one_pod(),
            CopyPass::Last => is_filled(world, journal, disk),
        };
        if done {
            continue;
        }
        let called = journal.job_name(index, pass);
        let Some(job) = world.jobs.get(&called) else {
            return Some(Move::Act(Act::CreateJob(index, pass)));
        };
        if !is_ours(job, journal) {
            return Some(name_taken("Job", job, false));
        }
        if is_leaving(job) {
            wait.get_or_insert(Move::Wait { what: format!("Job {called} to be gone") });
            continue;
        }
        if pass == CopyPass::Last && annotation(job, FILLED) != Some(state.as_str()) {
            return Some(Move::Act(Act::DeleteJob(index, pass)));
        }
        match progress(world, journal, disk, job, pass) {
            Progress::Done if pass == CopyPass::First => {}
            Progress::Done => return Some(Move::Act(Act::MarkFilled(index))),
            Progress::Going(next) => {
                wait.get_or_insert(next);
            }
            // The Job of an earlier run: try it again.
            Progress::Failed(_) if !memory.jobs.contains(&called) => {
                return Some(Move::Act(Act::DeleteJob(index, pass)));
            }
            Progress::Failed(why) => {
                let message = format!("copying {} to {}: {why}", disk.old.name, disk.new);
                let finding = rules::COPY_FAILED.found(format!("job/{called}"), message);
                return Some(Move::stop(finding));
            }
        }
    }
    wait
}

enum Progress {
    Done,
    Going(Move),
    Failed(String),
}

/// How far a Job is.
fn progress(
    world: &World,
    journal: &Journal,
    disk: &Disk,
    job: &Value,
    pass: CopyPass,
) -> Progress {
    let holds = |kind: &str| {
        items(job, "/status/conditions").find(|condition| {
            text(condition, "/type") == Some(kind) && text(condition, "/status") == Some("True")
        })
    };
    if holds("Complete").is_some() {
        return Progress::Done;
    }
    let pod = pod_of(world, journal, name(job));
    if let Some(failed) = holds("Failed") {
        let own = pod.and_then(last_output);
        let of_job = text(failed, "/message").unwrap_or("it failed").to_owned();
        return Progress::Failed(own.unwrap_or(of_job));
    }
    let wait = |what: String| Progress::Going(Move::Wait { what });
    let Some(pod) = pod else { return wait(format!("Job {} to create its pod", name(job))) };
    match pod.trouble() {
        Some(Trouble::ImagePull { image, message, .. }) => {
            Progress::Failed(format!("cannot pull {image}: {}", one_line(&message)))
        }
        Some(Trouble::ContainerConfig { reason, message, .. }) => {
            Progress::Failed(format!("{reason}: {}", one_line(&message)))
        }
        Some(Trouble::Unschedulable { message }) => {
            wait(format!("pod {} to be scheduled: {}", pod.name, one_line(&message)))
        }
        _ if pod.phase == "Running" => {
            let (old, new) = (&disk.old.name, &disk.new);
            let what = format!("claim {old} to be copied to {new}, {} pass", pass.name());
            Progress::Going(Move::Watch { what, pod: pod.name.clone() })
        }
        _ => wait(format!("pod {} to run", pod.name)),
    }
}

fn pod_of<'a>(world: &'a World, journal: &Journal, job: &str) -> Option<&'a Pod> {
    let of_job = |pod: &&Pod| {
        let keys = ["batch.kubernetes.io/job-name", "job-name"];
        keys.iter().any(|key| pod.labels.get(*key).is_some_and(|label| label == job))
    };
    world.pods.iter().filter(|pod| is_copier(pod, journal)).find(of_job)
}

/// Why the container ended, with the end of its output.
fn last_output(pod: &Pod) -> Option<String> {
    pod.containers.iter().find_map(|container| {
        let ContainerState::Ended(ended) = &container.state else { return None };
        let output = ended.message.as_deref().unwrap_or_default();
        let lines: Vec<&str> =
            output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("; ");
        let why = ended.reason.as_deref().unwrap_or("Error");
        let code = ended.exit_code;
        Some(if last.is_empty() {
            format!("it ended with {code} ({why})")
        } else {
            format!("it ended with {code}: {}", one_line(&last))
        })
    })
}

/// Deletes our Jobs, and waits for their pods: they use disks that are needed.
pub(in crate::migrate) fn without_jobs(world: &World, journal: &Journal) -> Option<Move> {
    for pass in CopyPass::ALL {
        for index in 0..journal.disks.len() {
            let called = journal.job_name(index, pass);
            let job = world.jobs.get(&called).filter(|job| is_ours(job, journal));
            if let Some(job) = job {
                let what = format!("Job {called}");
                return Some(delete_or_wait(Act::DeleteJob(index, pass), is_leaving(job), &what));
            }
        }
    }
    wait_for_pods(world.pods.iter().filter(|pod| is_copier(pod, journal)))
}
