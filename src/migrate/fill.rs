//! The moves that fill new volumes: by copy Jobs, as clones, or from snapshots.
//! Pure.
//!
//! The old claims keep their volumes and are only read. What was filled records
//! the state of the Deployments at that time. If one of them has run since, it is
//! filled again.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    fates::is_filled,
    forward::{
        Act, Checks, Memory, Move, create_missing, delete_or_wait, name_taken, start_set,
        stop_deployments, wait_for_pods,
    },
    journal::{CopyPass, Disk, FILLED, Journal, Mode, Order},
    rules,
    world::{World, is_copier, is_ours, state},
};
use crate::{
    output::text::one_line,
    workload::{
        ContainerState, Pod, Trouble, bytes,
        raw::{annotation, is_leaving, items, name, phase, replicas, text},
        snapshot_state,
    },
};

/// How many lines of the output of a failed Job are shown.
const LAST_LINES: usize = 6;

/// The next move to a set with its own volumes.
pub(super) fn next(
    world: &World,
    journal: &Journal,
    checks: Checks,
    memory: &Memory,
    now: Timestamp,
) -> Move {
    if world.own_set(journal).is_some_and(|set| replicas(set) > 0) {
        // A claim that the set created itself has an empty volume.
        let lost = |disk: &&Disk| {
            world.new_claim(disk).is_none_or(|claim| !is_ours(claim, journal) || is_leaving(claim))
        };
        return match journal.disks.iter().find(lost) {
            Some(disk) => {
                let message = format!("claim {} is not the one that was filled", disk.new);
                let on = format!("persistentvolumeclaim/{}", disk.new);
                Move::stop(rules::CHANGED.found(on, message))
            }
            None => start_set(world, journal, checks, memory, now),
        };
    }
    let gone = |disk: &&Disk| world.old_claim(disk).is_none_or(is_leaving);
    if let Some(disk) = journal.disks.iter().find(gone) {
        let message = format!("claim {} is gone or being deleted", disk.old.name);
        let on = format!("persistentvolumeclaim/{}", disk.old.name);
        return Move::stop(rules::CHANGED.found(on, message));
    }
    let first = || {
        let runs = journal.order == Order::SwapFirst && is_running(world, journal);
        runs.then(|| copy_all(world, journal, memory, CopyPass::First)).flatten()
    };
    let stopped_first = || (journal.order == Order::StopFirst).then(|| stop(world, journal));
    let next = match journal.mode {
        Mode::Copy => stopped_first()
            .flatten()
            .or_else(|| create_missing(world, journal))
            .or_else(first)
            .or_else(|| stop(world, journal))
            .or_else(|| copy_all(world, journal, memory, CopyPass::Last))
            .or_else(|| without_jobs(world, journal)),
        _ => stop(world, journal)
            .or_else(|| outdated(world, journal))
            .or_else(|| snapshots(world, journal))
            .or_else(|| create_missing(world, journal)),
    };
    next.or_else(|| wait_for_new_volumes(world, journal))
        .unwrap_or_else(|| start_set(world, journal, checks, memory, now))
}

fn is_running(world: &World, journal: &Journal) -> bool {
    journal
        .deployments
        .iter()
        .any(|member| world.deployment(member).is_some_and(|found| replicas(found) > 0))
}

/// Stops the Deployments, and waits until nothing else uses the claims.
fn stop(world: &World, journal: &Journal) -> Option<Move> {
    if let Some(next) = stop_deployments(world, journal) {
        return Some(next);
    }
    let claims: Vec<&str> = journal
        .disks
        .iter()
        .map(|disk| disk.old.name.as_str())
        .chain(journal.kept.iter().map(String::as_str))
        .collect();
    let others = || world.users(&claims, None).filter(|pod| !is_copier(pod, journal));
    let last = |index: usize| world.jobs.get(&journal.job_name(index, CopyPass::Last));
    let jobs = (0..journal.disks.len()).filter_map(|index| Some((index, last(index)?)));
    if let Some(wait) = wait_for_pods(others()) {
        // The data may have changed: a copy under way is out of date.
        let mut ours = jobs.filter(|(_, job)| is_ours(job, journal) && !is_leaving(job));
        let away = ours.next().map(|(index, _)| Move::Act(Act::DeleteJob(index, CopyPass::Last)));
        return Some(away.unwrap_or(wait));
    }
    // A disk that is being copied is attached because of us.
    let old = journal.disks.iter().map(|disk| disk.pv.name.as_str());
    let works =
        jobs.count() > 0 || journal.disks.iter().any(|disk| is_filled(world, journal, disk));
    if works { None } else { detached(world, old) }
}

fn detached<'a>(world: &World, volumes: impl Iterator<Item = &'a str>) -> Option<Move> {
    let mut volumes = volumes;
    volumes.find_map(|volume| {
        let node = world.attachments.as_ref()?.get(volume)?;
        Some(Move::Wait { what: format!("volume {volume} to be detached from {node}") })
    })
}

/// Runs one pass for all disks.
fn copy_all(world: &World, journal: &Journal, memory: &Memory, pass: CopyPass) -> Option<Move> {
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
pub(super) fn without_jobs(world: &World, journal: &Journal) -> Option<Move> {
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

/// Deletes what was made of an earlier state of the Deployments.
fn outdated(world: &World, journal: &Journal) -> Option<Move> {
    let state = state(world, journal);
    let old =
        |object: &Value| is_ours(object, journal) && annotation(object, FILLED) != Some(&state);
    for (index, disk) in journal.disks.iter().enumerate() {
        if let Some(claim) = world.new_claim(disk).filter(|claim| old(claim)) {
            let what = format!("claim {}", disk.new);
            return Some(delete_or_wait(Act::DeleteNewClaim(index), is_leaving(claim), &what));
        }
        if let Some(snapshot) = snapshot(world, disk).filter(|snapshot| old(snapshot)) {
            let what = format!("snapshot {}", name(snapshot));
            return Some(delete_or_wait(Act::DeleteSnapshot(index), is_leaving(snapshot), &what));
        }
    }
    None
}

/// The snapshot of a disk's old claim, whoever made it.
pub fn snapshot<'a>(world: &'a World, disk: &Disk) -> Option<&'a Value> {
    world.snapshots.get(name(disk.snapshot.as_ref()?))
}

/// Takes the snapshots that are still needed, and waits until they are ready.
fn snapshots(world: &World, journal: &Journal) -> Option<Move> {
    for (index, disk) in journal.disks.iter().enumerate() {
        let Some(wanted) = &disk.snapshot else { continue };
        if world.new_claim(disk).is_some() {
            continue;
        }
        let called = name(wanted);
        let Some(found) = snapshot(world, disk) else {
            return Some(Move::Act(Act::CreateSnapshot(index)));
        };
        if !is_ours(found, journal) || is_leaving(found) {
            return Some(name_taken("VolumeSnapshot", found, is_ours(found, journal)));
        }
        let why = match snapshot_state(found) {
            Ok(true) => continue,
            Ok(false) => String::new(),
            Err(why) => format!(": {}", one_line(why)),
        };
        return Some(Move::Wait { what: format!("snapshot {called} to be ready to use{why}") });
    }
    None
}

/// Deletes our snapshots.
pub(super) fn without_snapshots(world: &World, journal: &Journal) -> Option<Move> {
    journal.disks.iter().enumerate().find_map(|(index, disk)| {
        let found = snapshot(world, disk).filter(|found| is_ours(found, journal))?;
        let what = format!("snapshot {}", name(found));
        Some(delete_or_wait(Act::DeleteSnapshot(index), is_leaving(found), &what))
    })
}

/// Waits until the new claims are bound and their volumes detached.
fn wait_for_new_volumes(world: &World, journal: &Journal) -> Option<Move> {
    for disk in journal.disks.iter().filter(|disk| !disk.waits_for_pod) {
        let claim = world.new_claim(disk)?;
        if phase(claim) != "Bound" {
            return Some(Move::Wait { what: format!("claim {} to be bound", disk.new) });
        }
    }
    let claims = journal.disks.iter().filter_map(|disk| world.new_claim(disk));
    detached(world, claims.filter_map(|claim| text(claim, "/spec/volumeName")))
}

/// The new claim as it is created, with what was not known in the plan.
pub fn claim(journal: &Journal, world: &World, disk: &Disk) -> Value {
    let mut claim = disk.claim.clone();
    if matches!(journal.mode, Mode::Clone | Mode::Snapshot) {
        claim["metadata"]["annotations"][FILLED] = json!(state(world, journal));
    }
    let needs = snapshot(world, disk).and_then(|found| text(found, "/status/restoreSize"));
    let wants = text(&claim, "/spec/resources/requests/storage");
    if let (Some(needs), Some(wants)) = (needs, wants)
        && bytes(needs).zip(bytes(wants)).is_some_and(|(needs, wants)| needs > wants)
    {
        claim["spec"]["resources"]["requests"]["storage"] = json!(needs);
    }
    claim
}

/// The snapshot as it is created.
pub fn snapshot_to_make(journal: &Journal, world: &World, disk: &Disk) -> Option<Value> {
    let mut snapshot = disk.snapshot.clone()?;
    snapshot["metadata"]["annotations"][FILLED] = json!(state(world, journal));
    Some(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::{
        copy_job::{inherited, job, pin},
        fates::{old_claims_kept, rollback_loses},
        journal::{ANNOTATION, Copying, Held, SourceDeployment},
    };
    use crate::output::Exit;

    fn held(name: &str) -> Held {
        Held { name: name.to_owned(), uid: format!("{name}-uid") }
    }

    fn object(name: &str, more: Value) -> Value {
        let mut object = more;
        object["metadata"]["name"] = json!(name);
        object["metadata"]["uid"] = json!(format!("{name}-uid"));
        object
    }

    fn journal(modes: &[&str]) -> Journal {
        let set = json!({ "metadata": { "name": "db" }, "spec": { "serviceName": "db" } });
        let mut journal =
            Journal::begin("op".to_owned(), "shop".to_owned(), set, Timestamp::UNIX_EPOCH);
        journal.mode = Mode::Copy;
        journal.replicas = 1;
        journal.copying = Some(Copying { image: "rsync:1".to_owned(), requests: [].into() });
        journal.deployments.push(SourceDeployment {
            name: "app".to_owned(),
            uid: "app-uid".to_owned(),
            generation: 1,
            replicas: 1,
            object: json!({ "spec": { "template": { "spec": {
                "tolerations": [{ "operator": "Exists" }],
                "affinity": { "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                        { "matchExpressions": [{ "key": "disk", "operator": "Exists" }] },
                    ] },
                } },
            } } } }),
            makers: Vec::new(),
        });
        journal.disks.push(Disk {
            volume: "data".to_owned(),
            template: "data".to_owned(),
            old: held("old"),
            new: "data-db-0".to_owned(),
            claim: json!({ "metadata": { "name": "data-db-0" } }),
            pv: held("pv"),
            policy: "Delete".to_owned(),
            bound_by_controller: false,
            object: json!({ "spec": { "accessModes": modes } }),
            waits_for_pod: false,
            snapshot: None,
            blank: None,
        });
        journal
    }

    /// Everything is made, and the Deployment serves.
    fn world(journal: &Journal, replicas: u32, generation: i64) -> World {
        let ours = json!({ "metadata": { "annotations": { ANNOTATION: journal.op } } });
        let mut world = World { attachments: Some([].into()), ..World::default() };
        let app =
            json!({ "metadata": { "generation": generation }, "spec": { "replicas": replicas } });
        world.deployments.insert("app".to_owned(), object("app", app));
        let mut set = ours.clone();
        set["spec"]["replicas"] = json!(0);
        world.set = Some(object("db", set));
        let bound = |volume: &str, of: &Value| {
            let mut claim = of.clone();
            claim["spec"]["volumeName"] = json!(volume);
            claim["status"]["phase"] = json!("Bound");
            claim
        };
        world.claims.insert("old".to_owned(), object("old", bound("pv", &json!({}))));
        world.claims.insert("data-db-0".to_owned(), object("data-db-0", bound("new", &ours)));
        let pv = json!({ "spec": { "claimRef": { "uid": "old-uid" } } });
        world.volumes.insert("pv".to_owned(), object("pv", pv));
        world
    }

    fn add_job(world: &mut World, journal: &Journal, pass: CopyPass, condition: &str) {
        let mut job = job(journal, world, 0, pass).expect("a job");
        job["status"]["conditions"] =
            json!([{ "type": condition, "status": "True", "message": "no" }]);
        world.jobs.insert(journal.job_name(0, pass), job);
    }

    fn go(world: &World, journal: &Journal, memory: &Memory) -> Move {
        super::super::forward::next(
            world,
            journal,
            Checks::default(),
            memory,
            Timestamp::UNIX_EPOCH,
        )
    }

    fn forward(world: &World, journal: &Journal) -> Move {
        go(world, journal, &Memory::default())
    }

    #[test]
    fn the_first_pass_is_made_while_it_serves_and_where_it_can_be() {
        let shared = journal(&["ReadWriteOnce"]);
        let serves = world(&shared, 1, 1);
        assert_eq!(forward(&serves, &shared), Move::Act(Act::CreateJob(0, CopyPass::First)));
        let alone = journal(&["ReadWriteOncePod"]);
        assert_eq!(forward(&world(&alone, 1, 1), &alone), Move::Act(Act::StopDeployment(0)));
        let mut late = shared;
        late.order = Order::StopFirst;
        assert_eq!(forward(&world(&late, 1, 1), &late), Move::Act(Act::StopDeployment(0)));
    }

    #[test]
    fn it_stops_when_the_first_pass_is_done_and_starts_when_the_last_is() {
        let journal = journal(&["ReadWriteOnce"]);
        let mut now = world(&journal, 1, 1);
        add_job(&mut now, &journal, CopyPass::First, "Complete");
        assert_eq!(forward(&now, &journal), Move::Act(Act::StopDeployment(0)));
        let stopped =
            object("app", json!({ "metadata": { "generation": 2 }, "spec": { "replicas": 0 } }));
        now.deployments.insert("app".to_owned(), stopped);
        assert_eq!(forward(&now, &journal), Move::Act(Act::CreateJob(0, CopyPass::Last)));
        add_job(&mut now, &journal, CopyPass::Last, "Complete");
        assert_eq!(forward(&now, &journal), Move::Act(Act::MarkFilled(0)));
        let claim = now.claims.get_mut("data-db-0").expect("it");
        claim["metadata"]["annotations"][FILLED] = json!("app@2");
        assert_eq!(forward(&now, &journal), Move::Act(Act::DeleteJob(0, CopyPass::First)));
        now.jobs.clear();
        assert_eq!(forward(&now, &journal), Move::Act(Act::StartSet));
        // It ran again since: neither the mark nor the Job holds.
        let again =
            object("app", json!({ "metadata": { "generation": 4 }, "spec": { "replicas": 0 } }));
        add_job(&mut now, &journal, CopyPass::Last, "Complete");
        now.deployments.insert("app".to_owned(), again);
        assert_eq!(forward(&now, &journal), Move::Act(Act::DeleteJob(0, CopyPass::Last)));
        now.jobs.clear();
        assert_eq!(forward(&now, &journal), Move::Act(Act::CreateJob(0, CopyPass::Last)));
    }

    #[test]
    fn a_failed_job_is_made_anew_once() {
        let journal = journal(&["ReadWriteOnce"]);
        let mut now = world(&journal, 0, 2);
        add_job(&mut now, &journal, CopyPass::Last, "Failed");
        assert_eq!(forward(&now, &journal), Move::Act(Act::DeleteJob(0, CopyPass::Last)));
        let memory = Memory { jobs: vec!["db-copy2-0".to_owned()], ..Memory::default() };
        let Move::Stop { exit, finding } = go(&now, &journal, &memory) else { panic!("it stops") };
        assert_eq!((exit, finding.id), (Exit::Failed, "MIGRATE-COPY-FAILED"));
        assert_eq!(finding.message, "copying old to data-db-0: no");
    }

    #[test]
    fn a_job_goes_where_the_pod_is_and_the_application_may_be() {
        let journal = journal(&["ReadWriteOnce"]);
        let mut spec = Value::Object(inherited(&journal));
        pin(&mut spec, "node-1");
        let path = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
        let term = spec.pointer(&format!("{path}/nodeSelectorTerms/0")).expect("a term");
        assert_eq!(term["matchExpressions"][0]["key"], "disk");
        assert_eq!(term["matchFields"][0]["values"], json!(["node-1"]));
        assert_eq!(spec["tolerations"][0]["operator"], "Exists");
        let mut free = json!({});
        pin(&mut free, "node-1");
        assert!(free.pointer(&format!("{path}/nodeSelectorTerms/0/matchFields")).is_some());
        let job = job(&journal, &World::default(), 0, CopyPass::Last).expect("a job");
        let volumes = &job["spec"]["template"]["spec"]["volumes"];
        assert_eq!(volumes[0]["persistentVolumeClaim"]["readOnly"], true);
        assert_eq!(job["spec"]["backoffLimit"], 0);
    }

    #[test]
    fn what_is_kept_says_what_deleting_it_destroys_now() {
        let mut journal = journal(&["ReadWriteMany"]);
        journal.disks.push(journal.disks[0].clone());
        let mut world = world(&journal, 0, 2);
        let set_policy = |world: &mut World, policy: &str| {
            let pv = world.volumes.get_mut("pv").expect("it");
            pv["spec"]["persistentVolumeReclaimPolicy"] = json!(policy);
        };
        set_policy(&mut world, "Delete");
        let kept = old_claims_kept(&world, &journal);
        assert_eq!(kept.len(), 1, "one claim, copied twice");
        assert!(kept[0].message.contains("destroys pv and its data"), "{kept:?}");
        assert_eq!(kept[0].hint.as_deref(), Some("kubectl delete pvc/old -n shop"));
        // The journal has Delete; somebody has changed it since.
        set_policy(&mut world, "Retain");
        let kept = old_claims_kept(&world, &journal);
        assert!(kept[0].message.contains("leaves pv with its data"), "{kept:?}");
        world.claims.remove("old");
        assert_eq!(old_claims_kept(&world, &journal), Vec::new(), "nothing was kept");
    }

    #[test]
    fn a_rollback_says_what_it_deletes_by_the_policy_of_the_volume() {
        let journal = journal(&["ReadWriteOnce"]);
        let mut world = world(&journal, 0, 2);
        assert_eq!(rollback_loses(&world, &journal), None, "the set has not run");
        world.set.as_mut().expect("the set")["spec"]["replicas"] = json!(1);
        let said = |world: &World| rollback_loses(world, &journal).expect("a finding").message;
        assert!(said(&world).contains("could not be looked at"), "{}", said(&world));
        for (policy, wanted) in [("Delete", "and with it new"), ("Retain", "leaves new with its")] {
            let pv = json!({ "spec": { "persistentVolumeReclaimPolicy": policy } });
            world.volumes.insert("new".to_owned(), object("new", pv));
            assert!(said(&world).contains(wanted), "{}", said(&world));
        }
    }
}
