//! The moves, case by case, and what is said of old claims.

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
    let app = json!({ "metadata": { "generation": generation }, "spec": { "replicas": replicas } });
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
    job["status"]["conditions"] = json!([{ "type": condition, "status": "True", "message": "no" }]);
    world.jobs.insert(journal.job_name(0, pass), job);
}

fn go(world: &World, journal: &Journal, memory: &Memory) -> Move {
    crate::migrate::forward::next(world, journal, Checks::default(), memory, Timestamp::UNIX_EPOCH)
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
