//! New volumes and how the data comes into them: copied by Jobs, cloned, or
//! made from snapshots. Pure.
//!
//! The old claims never change hands: they are read, and stay what they were.
//! What was filled says of which state of the Deployments; when one of them
//! ran again since, it is filled anew.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    back::gone_or,
    journal::{ANNOTATION, Copying, Disk, FILLED, Journal, Mode, Order},
    object::{items, name, text},
    plan::{Act, Memory, Move, Terms, conflict, halt, make, taken, up, wait_for_pods},
    rules,
    world::{
        World, annotation, generation, is_finished, is_leaving, is_ours, phase, replicas, uid,
    },
};
use crate::{
    output::{
        Exit,
        text::{list, one_line},
    },
    workload::{ContainerState, Finding, Pod, Trouble, bytes, snapshot_state},
};

/// What a Job runs.
const SCRIPT: &str = include_str!("copy.sh");
/// A failed Job's own words, so many of the last.
const LAST_LINES: usize = 6;
/// What rsync needs to give files their owners, modes and capabilities.
const CAPABILITIES: [&str; 6] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"];

/// A copy goes over the files twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// While the application serves, so that the other has little to do.
    First,
    /// When it has stopped; this one compares, too.
    Last,
}

impl Pass {
    pub const ALL: [Pass; 2] = [Pass::First, Pass::Last];

    pub fn word(self) -> &'static str {
        match self {
            Pass::First => "first",
            Pass::Last => "last",
        }
    }
}

/// The next move to a set with volumes of its own.
pub(super) fn next(
    world: &World,
    journal: &Journal,
    terms: Terms,
    memory: &Memory,
    now: Timestamp,
) -> Move {
    let gone = |disk: &&Disk| world.held_claim(&disk.old).is_none_or(is_leaving);
    if let Some(disk) = journal.disks.iter().find(gone) {
        let message = format!("claim {} is gone, or is going", disk.old.name);
        let on = format!("persistentvolumeclaim/{}", disk.old.name);
        return conflict(rules::CHANGED.found(on, message));
    }
    if world.own_set(journal).is_some_and(|set| replicas(set) > 0) {
        // What the set would make itself is empty.
        let lost = |disk: &&Disk| {
            world.new_claim(disk).is_none_or(|claim| !is_ours(claim, journal) || is_leaving(claim))
        };
        return match journal.disks.iter().find(lost) {
            Some(disk) => {
                let message = format!("claim {} is not the one that was filled", disk.new);
                let on = format!("persistentvolumeclaim/{}", disk.new);
                conflict(rules::CHANGED.found(on, message))
            }
            None => up(world, journal, terms, memory, now),
        };
    }
    let first = || {
        let runs = journal.order == Order::SwapFirst && is_running(world, journal);
        runs.then(|| copied(world, journal, memory, Pass::First)).flatten()
    };
    let stopped_first = || (journal.order == Order::StopFirst).then(|| stop(world, journal));
    let next = match journal.mode {
        Mode::Copy => stopped_first()
            .flatten()
            .or_else(|| make(world, journal))
            .or_else(first)
            .or_else(|| stop(world, journal))
            .or_else(|| copied(world, journal, memory, Pass::Last))
            .or_else(|| without_jobs(world, journal)),
        _ => stop(world, journal)
            .or_else(|| outdated(world, journal))
            .or_else(|| snapshots(world, journal))
            .or_else(|| make(world, journal)),
    };
    next.or_else(|| bound(world, journal)).unwrap_or_else(|| up(world, journal, terms, memory, now))
}

/// The state of the Deployments: it is another one when somebody starts one of
/// them, even if it is stopped again.
pub fn state(world: &World, journal: &Journal) -> String {
    let of_each = journal.deployments.iter().map(|member| {
        let found = world.deployment(&member.name, &member.uid);
        format!("{}@{}", member.name, found.map_or(0, generation))
    });
    of_each.collect::<Vec<_>>().join(",")
}

fn is_running(world: &World, journal: &Journal) -> bool {
    journal.deployments.iter().any(|member| {
        world.deployment(&member.name, &member.uid).is_some_and(|found| replicas(found) > 0)
    })
}

/// The Deployments without pods, and nobody else on the claims.
fn stop(world: &World, journal: &Journal) -> Option<Move> {
    if let Some(next) = halt(world, journal) {
        return Some(next);
    }
    let claims: Vec<&str> = journal
        .disks
        .iter()
        .map(|disk| disk.old.name.as_str())
        .chain(journal.kept.iter().map(String::as_str))
        .collect();
    let others = || world.users(&claims, None).filter(|pod| !is_copier(pod, journal));
    let last = |index: usize| world.jobs.get(&job_name(journal, index, Pass::Last));
    let jobs = (0..journal.disks.len()).filter_map(|index| Some((index, last(index)?)));
    if let Some(wait) = wait_for_pods(others()) {
        // What is being copied is not the last state any more.
        let mut ours = jobs.filter(|(_, job)| is_ours(job, journal) && !is_leaving(job));
        let away = ours.next().map(|(index, _)| Move::Act(Act::DeleteJob(index, Pass::Last)));
        return Some(away.unwrap_or(wait));
    }
    // Once it copies, a disk is attached because of us.
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

/// Whether the new claim has all data of the Deployments as they are.
pub fn is_filled(world: &World, journal: &Journal, disk: &Disk) -> bool {
    let state = state(world, journal);
    world.new_claim(disk).is_some_and(|claim| annotation(claim, FILLED) == Some(state.as_str()))
}

/// A pod that copies for this migration.
pub fn is_copier(pod: &Pod, journal: &Journal) -> bool {
    pod.labels.get(ANNOTATION).is_some_and(|op| *op == journal.op)
}

/// At most 63 characters, as the name of a set has at most 52.
pub fn job_name(journal: &Journal, index: usize, pass: Pass) -> String {
    let number = match pass {
        Pass::First => 1,
        Pass::Last => 2,
    };
    format!("{}-copy{number}-{index}", journal.set_name())
}

/// The pass of all disks.
fn copied(world: &World, journal: &Journal, memory: &Memory, pass: Pass) -> Option<Move> {
    let state = state(world, journal);
    let mut wait = None;
    for (index, disk) in journal.disks.iter().enumerate() {
        let done = match pass {
            Pass::First => disk.is_for_one_pod(),
            Pass::Last => is_filled(world, journal, disk),
        };
        if done {
            continue;
        }
        let called = job_name(journal, index, pass);
        let Some(job) = world.jobs.get(&called) else {
            return Some(Move::Act(Act::MakeJob(index, pass)));
        };
        if !is_ours(job, journal) {
            return Some(taken("Job", &called));
        }
        if is_leaving(job) {
            wait.get_or_insert(Move::Wait { what: format!("Job {called} to be gone") });
            continue;
        }
        if pass == Pass::Last && annotation(job, FILLED) != Some(state.as_str()) {
            return Some(Move::Act(Act::DeleteJob(index, pass)));
        }
        match progress(world, journal, disk, job, pass) {
            Progress::Done if pass == Pass::First => {}
            Progress::Done => return Some(Move::Act(Act::Mark(index))),
            Progress::Going(next) => {
                wait.get_or_insert(next);
            }
            // An earlier run's: this one tries again.
            Progress::Failed(_) if !memory.jobs.contains(&called) => {
                return Some(Move::Act(Act::DeleteJob(index, pass)));
            }
            Progress::Failed(why) => {
                let message = format!("{} to {}: {why}", disk.old.name, disk.new);
                let finding = rules::COPY_FAILED.found(format!("job/{called}"), message);
                return Some(Move::Stop { exit: Exit::Failed, finding });
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

/// How far a Job is, by what its conditions say.
fn progress(world: &World, journal: &Journal, disk: &Disk, job: &Value, pass: Pass) -> Progress {
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
        let own = pod.and_then(last_words);
        let of_job = text(failed, "/message").unwrap_or("it failed").to_owned();
        return Progress::Failed(own.unwrap_or(of_job));
    }
    let wait = |what: String| Progress::Going(Move::Wait { what });
    let Some(pod) = pod else { return wait(format!("Job {} to make its pod", name(job))) };
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
            let what = format!("claim {old} to be copied to {new}, {} pass", pass.word());
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

/// What the container said last.
fn last_words(pod: &Pod) -> Option<String> {
    pod.containers.iter().find_map(|container| {
        let ContainerState::Ended(ended) = &container.state else { return None };
        let said = ended.message.as_deref().unwrap_or_default();
        let lines: Vec<&str> =
            said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
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

/// Our Jobs and their pods gone: they have the disks that others need.
pub(super) fn without_jobs(world: &World, journal: &Journal) -> Option<Move> {
    for pass in Pass::ALL {
        for index in 0..journal.disks.len() {
            let called = job_name(journal, index, pass);
            let job = world.jobs.get(&called).filter(|job| is_ours(job, journal));
            if let Some(job) = job {
                let what = format!("Job {called}");
                return Some(gone_or(Act::DeleteJob(index, pass), is_leaving(job), &what));
            }
        }
    }
    wait_for_pods(world.pods.iter().filter(|pod| is_copier(pod, journal)))
}

/// What was made of a state that is not the last any more goes.
fn outdated(world: &World, journal: &Journal) -> Option<Move> {
    let state = state(world, journal);
    let old =
        |object: &Value| is_ours(object, journal) && annotation(object, FILLED) != Some(&state);
    for (index, disk) in journal.disks.iter().enumerate() {
        if let Some(claim) = world.new_claim(disk).filter(|claim| old(claim)) {
            let what = format!("claim {}", disk.new);
            return Some(gone_or(Act::DeleteNewClaim(index), is_leaving(claim), &what));
        }
        if let Some(snapshot) = snapshot(world, disk).filter(|snapshot| old(snapshot)) {
            let what = format!("snapshot {}", name(snapshot));
            return Some(gone_or(Act::DeleteSnapshot(index), is_leaving(snapshot), &what));
        }
    }
    None
}

/// The snapshot of a disk's old claim, whoever made it.
pub fn snapshot<'a>(world: &'a World, disk: &Disk) -> Option<&'a Value> {
    world.snapshots.get(name(disk.snapshot.as_ref()?))
}

/// Snapshots that can be used, of all claims that have none made from them.
fn snapshots(world: &World, journal: &Journal) -> Option<Move> {
    for (index, disk) in journal.disks.iter().enumerate() {
        let Some(wanted) = &disk.snapshot else { continue };
        if world.new_claim(disk).is_some() {
            continue;
        }
        let called = name(wanted);
        let Some(found) = snapshot(world, disk) else {
            return Some(Move::Act(Act::MakeSnapshot(index)));
        };
        if !is_ours(found, journal) || is_leaving(found) {
            return Some(taken("VolumeSnapshot", called));
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

/// Our snapshots gone.
pub(super) fn without_snapshots(world: &World, journal: &Journal) -> Option<Move> {
    journal.disks.iter().enumerate().find_map(|(index, disk)| {
        let found = snapshot(world, disk).filter(|found| is_ours(found, journal))?;
        let what = format!("snapshot {}", name(found));
        Some(gone_or(Act::DeleteSnapshot(index), is_leaving(found), &what))
    })
}

/// The new claims with their volumes, and these free.
fn bound(world: &World, journal: &Journal) -> Option<Move> {
    for disk in journal.disks.iter().filter(|disk| !disk.waits_for_pod) {
        let claim = world.new_claim(disk)?;
        if phase(claim) != "Bound" {
            return Some(Move::Wait { what: format!("claim {} to be bound", disk.new) });
        }
    }
    let claims = journal.disks.iter().filter_map(|disk| world.new_claim(disk));
    detached(world, claims.filter_map(|claim| text(claim, "/spec/volumeName")))
}

/// The new claim as it is created: what is known only now is added.
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

/// The Job that copies a disk.
pub fn job(journal: &Journal, world: &World, index: usize, pass: Pass) -> Option<Value> {
    let disk = journal.disk(index)?;
    let Copying { image, requests } = journal.copying.as_ref()?;
    let mut container = json!({
        "name": "copy", "image": image,
        "command": ["sh", "-c", SCRIPT, "copy", pass.word()],
        "volumeMounts": [
            { "name": "old", "mountPath": "/old", "readOnly": true },
            { "name": "new", "mountPath": "/new" },
        ],
        "securityContext": {
            "runAsUser": 0, "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"], "add": CAPABILITIES },
        },
        // What it said last is in its status, and needs no right to read logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if !requests.is_empty() {
        container["resources"] = json!({ "requests": requests });
    }
    let mut spec = inherited(journal);
    spec.extend(members(json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 5,
        "containers": [container],
        "volumes": [
            { "name": "old", "persistentVolumeClaim": { "claimName": disk.old.name, "readOnly": true } },
            { "name": "new", "persistentVolumeClaim": { "claimName": disk.new } },
        ],
    })));
    let mut spec = Value::Object(spec);
    if let Some(node) = node_of(world, journal, disk).filter(|_| pass == Pass::First) {
        pin(&mut spec, node);
    }
    let mut annotations = json!({ ANNOTATION: journal.op });
    if pass == Pass::Last {
        annotations[FILLED] = json!(state(world, journal));
    }
    // A proxy beside it would never let it end.
    let labels = json!({ ANNOTATION: journal.op, "sidecar.istio.io/inject": "false" });
    Some(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": job_name(journal, index, pass), "namespace": journal.namespace,
            "labels": { ANNOTATION: journal.op }, "annotations": annotations,
        },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {
                    "labels": labels, "annotations": { "linkerd.io/inject": "disabled" },
                },
                "spec": spec,
            },
        },
    }))
}

/// The pod of a Job, so that the server can be asked about it beforehand.
pub fn pod_to_try(journal: &Journal, job: &Value) -> Value {
    let template = job.pointer("/spec/template").cloned().unwrap_or_default();
    let mut pod = json!({ "apiVersion": "v1", "kind": "Pod" });
    pod["metadata"] = template.get("metadata").cloned().unwrap_or_default();
    pod["metadata"]["name"] = json!(name(job));
    pod["metadata"]["namespace"] = json!(journal.namespace);
    pod["spec"] = template.get("spec").cloned().unwrap_or_default();
    pod
}

/// Where the application may run, and with which secrets images are pulled.
fn inherited(journal: &Journal) -> Map<String, Value> {
    let mut spec = Map::new();
    let Some(member) = journal.deployments.first() else { return spec };
    let own = |field: &str| member.object.pointer(&format!("/spec/template/spec/{field}")).cloned();
    for field in ["nodeSelector", "tolerations", "imagePullSecrets"] {
        if let Some(value) = own(field) {
            spec.insert(field.to_owned(), value);
        }
    }
    if let Some(affinity) = own("affinity/nodeAffinity") {
        spec.insert("affinity".to_owned(), json!({ "nodeAffinity": affinity }));
    }
    if let Some(labels) = own("securityContext/seLinuxOptions") {
        spec.insert("securityContext".to_owned(), json!({ "seLinuxOptions": labels }));
    }
    spec
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The node whose pod has the disk, where only one node can have it.
fn node_of<'a>(world: &'a World, journal: &Journal, disk: &Disk) -> Option<&'a str> {
    if disk.is_shared() {
        return None;
    }
    let mut pods = world.pods.iter().filter(|pod| {
        pod.claims.contains(&disk.old.name) && !is_copier(pod, journal) && !is_finished(pod)
    });
    pods.find_map(|pod| pod.node.as_deref())
}

/// Through the scheduler: a claim that waits for a pod waits for its word.
fn pin(spec: &mut Value, node: &str) {
    let here = json!({ "key": "metadata.name", "operator": "In", "values": [node] });
    let path = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let terms =
        spec.pointer_mut(&format!("{path}/nodeSelectorTerms")).and_then(Value::as_array_mut);
    if let Some(terms) = terms.filter(|terms| !terms.is_empty()) {
        for term in terms {
            match term.get_mut("matchFields").and_then(Value::as_array_mut) {
                Some(fields) => fields.push(here.clone()),
                None => term["matchFields"] = json!([here.clone()]),
            }
        }
        return;
    }
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({ "nodeSelectorTerms": [{ "matchFields": [here] }] });
}

/// The old claims, once nothing of the migration is left but them.
pub fn kept(journal: &Journal) -> Vec<Finding> {
    let mut said = BTreeSet::new();
    let first = journal.disks.iter().filter(|disk| said.insert(disk.old.name.as_str()));
    let kept = first.map(|disk| {
        let (claim, pv) = (&disk.old.name, &disk.pv.name);
        let fate = match disk.policy.as_str() {
            "Delete" => {
                format!("deleting the claim destroys {pv} and its data: its policy is Delete")
            }
            policy => {
                format!("deleting the claim leaves {pv} with its data: its policy is {policy}")
            }
        };
        let message =
            format!("claim {claim} has the data as they were when they were taken over; {fate}");
        rules::OLD_KEPT
            .found(format!("persistentvolumeclaim/{claim}"), message)
            .hint(format!("kubectl delete pvc/{claim} -n {}", journal.namespace))
    });
    kept.collect()
}

/// What the way back costs.
pub fn loses(journal: &Journal) -> Option<String> {
    let claims: Vec<&str> = journal.disks.iter().map(|disk| disk.new.as_str()).collect();
    journal.fills().then(|| format!("what the set has written goes with {}", list(&claims)))
}

/// Whether the set's claim has its volume, as `finalize` wants it.
pub fn is_there(world: &World, disk: &Disk) -> bool {
    world.new_claim(disk).is_some_and(|claim| {
        phase(claim) == "Bound" && !is_leaving(claim) && uid(claim) != disk.old.uid
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::journal::{Held, Member};

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
        journal.deployments.push(Member {
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

    fn add_job(world: &mut World, journal: &Journal, pass: Pass, condition: &str) {
        let mut job = job(journal, world, 0, pass).expect("a job");
        job["status"]["conditions"] =
            json!([{ "type": condition, "status": "True", "message": "no" }]);
        world.jobs.insert(job_name(journal, 0, pass), job);
    }

    fn go(world: &World, journal: &Journal, memory: &Memory) -> Move {
        super::super::plan::next(world, journal, Terms::default(), memory, Timestamp::UNIX_EPOCH)
    }

    fn forward(world: &World, journal: &Journal) -> Move {
        go(world, journal, &Memory::default())
    }

    #[test]
    fn the_first_pass_is_made_while_it_serves_and_where_it_can_be() {
        let shared = journal(&["ReadWriteOnce"]);
        let serves = world(&shared, 1, 1);
        assert_eq!(forward(&serves, &shared), Move::Act(Act::MakeJob(0, Pass::First)));
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
        add_job(&mut now, &journal, Pass::First, "Complete");
        assert_eq!(forward(&now, &journal), Move::Act(Act::StopDeployment(0)));
        let stopped =
            object("app", json!({ "metadata": { "generation": 2 }, "spec": { "replicas": 0 } }));
        now.deployments.insert("app".to_owned(), stopped);
        assert_eq!(forward(&now, &journal), Move::Act(Act::MakeJob(0, Pass::Last)));
        add_job(&mut now, &journal, Pass::Last, "Complete");
        assert_eq!(forward(&now, &journal), Move::Act(Act::Mark(0)));
        let claim = now.claims.get_mut("data-db-0").expect("it");
        claim["metadata"]["annotations"][FILLED] = json!("app@2");
        assert_eq!(forward(&now, &journal), Move::Act(Act::DeleteJob(0, Pass::First)));
        now.jobs.clear();
        assert_eq!(forward(&now, &journal), Move::Act(Act::StartSet));
        // It ran again since: neither the mark nor the Job holds.
        let again =
            object("app", json!({ "metadata": { "generation": 4 }, "spec": { "replicas": 0 } }));
        add_job(&mut now, &journal, Pass::Last, "Complete");
        now.deployments.insert("app".to_owned(), again);
        assert_eq!(forward(&now, &journal), Move::Act(Act::DeleteJob(0, Pass::Last)));
        now.jobs.clear();
        assert_eq!(forward(&now, &journal), Move::Act(Act::MakeJob(0, Pass::Last)));
    }

    #[test]
    fn a_failed_job_is_made_anew_once() {
        let journal = journal(&["ReadWriteOnce"]);
        let mut now = world(&journal, 0, 2);
        add_job(&mut now, &journal, Pass::Last, "Failed");
        assert_eq!(forward(&now, &journal), Move::Act(Act::DeleteJob(0, Pass::Last)));
        let memory = Memory { jobs: vec!["db-copy2-0".to_owned()], ..Memory::default() };
        let Move::Stop { exit, finding } = go(&now, &journal, &memory) else { panic!("it stops") };
        assert_eq!((exit, finding.id), (Exit::Failed, "MIGRATE-COPY-FAILED"));
        assert_eq!(finding.message, "old to data-db-0: no");
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
        let job = job(&journal, &World::default(), 0, Pass::Last).expect("a job");
        let volumes = &job["spec"]["template"]["spec"]["volumes"];
        assert_eq!(volumes[0]["persistentVolumeClaim"]["readOnly"], true);
        assert_eq!(job["spec"]["backoffLimit"], 0);
    }

    #[test]
    fn what_is_kept_says_what_deleting_it_destroys() {
        let mut journal = journal(&["ReadWriteMany"]);
        journal.disks.push(journal.disks[0].clone());
        let kept = kept(&journal);
        assert_eq!(kept.len(), 1, "one claim, copied twice");
        assert!(kept[0].message.contains("destroys pv and its data"), "{kept:?}");
        assert_eq!(kept[0].hint.as_deref(), Some("kubectl delete pvc/old -n shop"));
    }
}
