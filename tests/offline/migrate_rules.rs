//! Every rule of a live move that can be shown without a cluster, in a case of
//! its own; what a plan of the seeds looks like; and what a plan's hash stands
//! for.

use std::{collections::BTreeSet, fs, path::Path};

use kubectl_stateful::{
    manifests::Text,
    migrate::{
        convert::Options,
        fates,
        files::Manifests,
        finalize,
        forward::{self, Checks, Memory, Move},
        journal::{ANNOTATION, Intent, Journal, Mode, Order, StoredJournal},
        offline,
        plan::{self, Plan, Request, Surroundings},
        recover, rollback, rules,
        world::World,
    },
    output::Exit,
    workload::{Finding, Severity, Unread, refuses},
};
use serde_json::{Value, json};

use super::{
    build::now,
    cli::run,
    migrate::{arrived, planned, standing_is_true},
    model::{CLAIM, Class, DEPLOYMENT, Model, POD, SET, Shape, VOLUME},
};

/// The rules whose case is with those that run a cluster, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("MIGRATE-NO-RIGHTS", "the server is asked for them"),
    ("MIGRATE-SERVER-REFUSES", "the answer of a server to a dry run"),
    ("MIGRATE-NOT-TRIED", "the answer of a server to a dry run"),
    ("MIGRATE-LOCKED", "told between two looks at the lock"),
    ("MIGRATE-TAKEN-OVER", "told between two looks at the lock"),
    ("MIGRATE-VERIFY-FAILED", "a command has to be run in a pod"),
    ("MIGRATE-DEADLINE", "told by whoever waits"),
    ("MIGRATE-SOAKING", "told by the clock of whoever finalizes"),
    ("MIGRATE-ADMIN-STEP", "told by whoever may not write"),
    ("MIGRATE-COPY-FAILED", "a Job has to have run"),
    ("MIGRATE-ROLLBACK-LOSES", "a volume has to have been filled: see fill.rs"),
];

pub fn one() -> Shape {
    Shape {
        disks: 1,
        members: 1,
        replicas: 1,
        policy: "Delete",
        class: Class::Immediate,
        bound_by_controller: true,
        keeps: false,
        keeps_last: false,
        order: Order::SwapFirst,
        service: true,
    }
}

fn there(change: impl FnOnce(&mut Model)) -> Surroundings {
    let mut model = Model::new(&one());
    change(&mut model);
    offline::surroundings(&model.bundle(), &["db".to_owned()], None, true).expect("objects")
}

fn request() -> Request {
    let options = Options { deployments: vec!["db".to_owned()], ..Options::default() };
    Request { options, ..Request::default() }
}

fn plan_of(there: &Surroundings) -> Plan {
    plan::plan(there, &request(), "op", now()).expect("a plan")
}

/// What is said of a plan, after this has happened.
fn guarded(change: impl FnOnce(&mut Model)) -> Vec<Finding> {
    plan_of(&there(change)).findings
}

fn set(kind: &'static str, name: &'static str, pointer: &str, value: Value) -> impl Fn(&mut Model) {
    let pointer = pointer.to_owned();
    move |model| {
        model.change(kind, name, |object| {
            *object = super::build::with(object.clone(), &pointer, value.clone());
        });
    }
}

/// What is said of a plan with volumes of its own, after this has happened.
fn filled(mode: Mode, change: impl FnOnce(&mut Model)) -> Vec<Finding> {
    let request = Request { mode, ..request() };
    let mut there = there(change);
    there.storage.classes = Some(Vec::new());
    plan::plan(&there, &request, "op", now()).expect("a plan").findings
}

/// What is said of a move with this check.
fn verified(command: &str) -> Vec<Finding> {
    let mut request = request();
    request.wishes.verify = Some(command.to_owned());
    let found = plan::plan(&there(|_| ()), &request, "op", now()).expect("a plan").findings;
    assert!(found.iter().all(|finding| !finding.message.contains("secret")), "{found:?}");
    found
}

/// What is said of putting a volume back under a set on a blank one.
fn recovered(ordinal: u32) -> Vec<Finding> {
    let mut model = arrived(&one());
    let policy = json!({"whenScaled": "Delete"});
    set(SET, "db", "/spec/persistentVolumeClaimRetentionPolicy", policy)(&mut model);
    let mut old = model.get(VOLUME, "pv-db-0").expect("a volume").clone();
    old["metadata"]["name"] = json!("pv-old");
    old["metadata"]["annotations"] = json!({});
    old["status"]["phase"] = json!("Released");
    let by_name = |kind| {
        let all = model.all(kind).cloned();
        all.map(|one| (one["metadata"]["name"].as_str().expect("a name").to_owned(), one))
    };
    let mut before = recover::Before {
        set: model.get(SET, "db").expect("the set").clone(),
        claims: by_name(CLAIM).collect(),
        volumes: by_name(VOLUME).collect(),
        ..recover::Before::default()
    };
    // The same disk under another name.
    let csi = json!({"driver": "csi.example.com", "volumeHandle": "handle-1"});
    old["spec"]["csi"] = csi.clone();
    let mut twin = model.get(VOLUME, "pv-db-0").expect("a volume").clone();
    twin["metadata"]["name"] = json!("pv-again");
    twin["spec"]["csi"] = csi;
    before.all_volumes = Some(vec![twin]);
    before.volumes.insert("pv-old".to_owned(), old);
    before.pods.insert("default".to_owned(), Some(Vec::new()));
    before.attachments = Some([("pv-old".to_owned(), "node".to_owned())].into());
    let volumes = vec![(None, "pv-old".to_owned())];
    let request = recover::Request { volumes, ordinal, ..recover::Request::default() };
    before.volumes.get_mut("pv-old").expect("it")["status"]["phase"] = json!("Failed");
    recover::plan(&before, &request, "op", now()).expect("a plan").1
}

/// What stands in the way of a move, and how it ends for that.
fn stop(next: Move) -> (Exit, Vec<Finding>) {
    match next {
        Move::Stop { exit, finding } => (exit, vec![finding]),
        other => panic!("{other:?}"),
    }
}

fn look(model: &Model) -> (World, Journal) {
    let journal = StoredJournal::read(model.all("ConfigMap").next().expect("a journal"))
        .expect("ours")
        .journal;
    (offline::world(&model.bundle(), &journal).expect("objects").0, journal)
}

fn forward(model: &Model) -> Move {
    let (world, journal) = look(model);
    forward::next(&world, &journal, Checks::default(), &Memory::default(), now())
}

fn begun(change: impl FnOnce(&mut Model)) -> Model {
    let mut model = planned(&one());
    change(&mut model);
    model
}

fn moved(change: impl FnOnce(&mut Model)) -> Model {
    let mut model = arrived(&one());
    change(&mut model);
    model
}

pub fn crashes(pod: &mut Value) {
    pod["status"] = json!({
        "phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "db", "ready": false, "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        }],
    });
}

struct Case {
    id: &'static str,
    found: Vec<Finding>,
}

fn guards() -> Vec<Case> {
    let case = |id, found| Case { id, found };
    let resizing = json!([{"type": "Resizing", "status": "True"}]);
    let checks = json!([{"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["far"]},
    ]}]);
    let stranger = json!({
        "metadata": {"name": "backup"},
        "spec": {"containers": [], "volumes": [
            {"name": "v", "persistentVolumeClaim": {"claimName": "v0-of-db"}},
        ]},
        "status": {"phase": "Running"},
    });
    let node = json!({
        "metadata": {"name": "near", "labels": {"kubernetes.io/hostname": "near"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    let mut unfit =
        there(set(VOLUME, "pv-db-0", "/spec/nodeAffinity/required/nodeSelectorTerms", checks));
    unfit.nodes.push(node);
    let mut unread = there(|_| ());
    let why = "Forbidden".to_owned();
    unread.unread.push(Unread { resource: "pods".to_owned(), why });
    let mut manifests = there(|_| ());
    for object in &mut manifests.objects {
        object["metadata"].as_object_mut().expect("metadata").shift_remove("uid");
    }
    vec![
        case(
            "MIGRATE-VOLUME-UNFIT",
            guarded(set(VOLUME, "pv-db-0", "/status/phase", json!("Released"))),
        ),
        case(
            "MIGRATE-PVC-IN-USE",
            guarded(|model| {
                model.create(POD, stranger);
            }),
        ),
        case(
            "MIGRATE-PVC-RESIZING",
            guarded(set(CLAIM, "v0-of-db", "/status/conditions", resizing)),
        ),
        case(
            "MIGRATE-UNHEALTHY",
            guarded(set(DEPLOYMENT, "db", "/status/availableReplicas", json!(0))),
        ),
        case("MIGRATE-NODE-UNFIT", plan_of(&unfit).findings),
        case("MIGRATE-UNREAD", plan_of(&unread).findings),
        case(
            "MIGRATE-UNDER-WAY",
            guarded(set(VOLUME, "pv-db-0", "/metadata/annotations", json!({ANNOTATION: "{}"}))),
        ),
        case(
            "MIGRATE-NODE-LOCAL-DISK",
            guarded(set(VOLUME, "pv-db-0", "/spec/hostPath", json!({"path": "/data"}))),
        ),
        case("MIGRATE-NOT-LIVE", plan_of(&manifests).findings),
        case("MIGRATE-CLASS-UNKNOWN", filled(Mode::Copy, |_| ())),
        case(
            "MIGRATE-NO-COPY",
            filled(Mode::Copy, set(CLAIM, "v0-of-db", "/spec/volumeMode", json!("Block"))),
        ),
        case("MIGRATE-NO-CLONE", filled(Mode::Clone, |_| ())),
        case("MIGRATE-NO-SNAPSHOT", filled(Mode::Snapshot, |_| ())),
        case("MIGRATE-CLAIMS-GO", recovered(4)),
        case("MIGRATE-BLANK-IS-KEPT", recovered(0)),
        case("MIGRATE-VOLUME-FOREIGN", recovered(4)),
        case("MIGRATE-VOLUME-DOUBTFUL", recovered(0)),
        case("MIGRATE-VOLUME-IN-USE", recovered(0)),
        case("MIGRATE-SAME-DISK", recovered(0)),
        case("MIGRATE-VERIFY-KEPT", verified("mysqladmin ping")),
        case("MIGRATE-VERIFY-SECRET", verified("mysqladmin ping -psecret")),
        case("MIGRATE-NO-SUCH-ORDINAL", recovered(4)),
        case(
            "MIGRATE-MADE-AGAIN",
            guarded(set(
                DEPLOYMENT,
                "db",
                "/metadata/annotations",
                json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
            )),
        ),
    ]
}

fn stops() -> Vec<Case> {
    let case = |id, exit, (is, found): (Exit, Vec<Finding>)| {
        assert_eq!(is, exit, "{id}");
        Case { id, found }
    };
    let scaled = begun(|model| {
        model.change(DEPLOYMENT, "db", |object| object["spec"]["replicas"] = json!(2));
    });
    let taken = begun(|model| {
        model.create(SET, json!({"metadata": {"name": "db"}, "spec": {"replicas": 0}}));
    });
    let broken = moved(|model| model.change(POD, "db-0", crashes));
    let gone = moved(|model| {
        model.delete(CLAIM, "v0-of-db");
        model.protect();
        model.somebody_makes_claim("v0-of-db");
    });
    let (back_world, journal) = look(&gone);
    let unready = moved(|model| model.change(POD, "db-0", crashes));
    let (finish_world, finish_journal) = look(&unready);
    let next = finalize::next(&finish_world, &finish_journal, &Memory::default(), now());
    let mut all = vec![
        case("MIGRATE-CHANGED", Exit::Conflict, stop(forward(&scaled))),
        case("MIGRATE-POD-BROKEN", Exit::Failed, stop(forward(&broken))),
        case(
            "MIGRATE-NO-WAY-BACK",
            Exit::Manual,
            stop(rollback::next(&back_world, &journal, &Memory::default())),
        ),
        case("MIGRATE-NOT-ARRIVED", Exit::Failed, stop(next)),
        Case { id: "MIGRATE-OLD-KEPT", found: old_claims_kept() },
        Case { id: "MIGRATE-BOTH-RUN", found: both_run() },
        Case {
            id: "MIGRATE-OTHER-DISK",
            found: said_of(|model| {
                model.delete(CLAIM, "v0-db-0");
                model.delete(POD, "db-0");
            }),
        },
        Case {
            id: "MIGRATE-VOLUME-GOES",
            found: said_of(|model| {
                model.somebody_sets_policy(0, "Delete");
                model.delete(CLAIM, "v0-db-0");
                model.endangered = true;
            }),
        },
        Case { id: "MIGRATE-LEFT-OVER", found: left_over(&journal) },
        Case { id: "MIGRATE-JOURNAL-UNUSABLE", found: unusable() },
        Case { id: "MIGRATE-REMAINS", found: remains() },
    ];
    // Before that stands what comes before the set.
    let mut model = taken;
    loop {
        match forward(&model) {
            Move::Stop { exit, finding } => {
                all.push(case("MIGRATE-TAKEN", Exit::Conflict, (exit, vec![finding])));
                return all;
            }
            Move::Act(act) => {
                let (world, journal) = look(&model);
                let writes = kubectl_stateful::migrate::writes::of(act, &journal, &world, now());
                for write in writes.expect("something to write") {
                    model.write(&write);
                }
                model.settle();
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What is said of a moved set after this has happened.
fn said_of(change: impl FnOnce(&mut Model)) -> Vec<Finding> {
    let mut model = arrived(&one());
    model.disturb(change);
    model.settle();
    standing_is_true(&model, &one()).expect("a journal").findings
}

/// The same, when the pods of a Deployment that was applied again run.
fn both_run() -> Vec<Finding> {
    let mut model = arrived(&one());
    model.disturb(|model| model.somebody_applies_deployment(&one(), "db"));
    model.settle();
    let own = |name: &String| name.starts_with("db-1-");
    let pod = model.names(POD).into_iter().find(own).expect("its pod");
    model.change(POD, &pod, |pod| pod["status"]["phase"] = json!("Running"));
    standing_is_true(&model, &one()).expect("a journal").findings
}

fn old_claims_kept() -> Vec<Finding> {
    let (world, journal) = look(&arrived(&one()));
    fates::old_claims_kept(&world, &journal)
}

fn left_over(journal: &Journal) -> Vec<Finding> {
    let claim = json!({"metadata": {"name": "v0-db-1"}, "spec": {"volumeName": "pvc-1"}});
    rollback::left_over(&World::default(), journal, Some(&[claim]))
}

fn remains() -> Vec<Finding> {
    use kubectl_stateful::migrate::remains::{Remains, remains};
    let remains = remains(&super::migrate_remains::claim_without_a_journal());
    remains.iter().flat_map(Remains::remnants).map(|one| one.finding("")).collect()
}

/// `migrate status` of a journal that is none.
fn unusable() -> Vec<Finding> {
    let stored = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "kubectl-stateful-migrate-db",
            "labels": {"kubectl-stateful.dev/journal": "migrate"},
        },
        "data": {"journal": "{}", "intent": "forward"},
    });
    let words = ["migrate", "status", "sts/db", "-f", "-", "-o", "json"];
    let (stdout, stderr, code) = run(&words, &stored.to_string());
    assert_eq!(code, Some(i32::from(Exit::Manual.code())), "{stderr}");
    assert!(stdout.contains(rules::JOURNAL_UNUSABLE.id), "{stdout}");
    vec![rules::JOURNAL_UNUSABLE.found("", "")]
}

/// After a server was away, every pod is not Ready for a moment.
#[test]
fn finalize_waits_for_a_pod_that_nothing_is_wrong_with() {
    let unready = moved(|model| {
        model.change(POD, "db-0", |pod| {
            pod["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        });
    });
    let (world, journal) = look(&unready);
    let next = finalize::next(&world, &journal, &Memory::default(), now());
    assert_eq!(next, Move::Wait { what: "db-0 to be Ready".to_owned() });
    // Before it has begun, it does not begin.
    let against = finalize::not_ready(&world, &journal, now()).expect("a finding");
    assert_eq!(against.message, "0 of 1 pods are Ready");
}

#[test]
fn every_rule_of_a_move_has_a_case_or_a_reason() {
    let mut shown = BTreeSet::new();
    for Case { id, found } in guards().into_iter().chain(stops()) {
        let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
        assert!(ids.contains(&id), "{id}: {found:?}");
        assert!(shown.insert(id), "{id} twice");
    }
    for (id, why) in ELSEWHERE {
        assert!(shown.insert(id), "{id} has a case here, too");
        assert!(!why.is_empty());
    }
    let all: BTreeSet<&str> =
        rules::GUARDS.iter().chain(rules::STOPS).map(|rule| rule.id).collect();
    assert_eq!(shown, all);
}

#[test]
fn nothing_speaks_against_a_healthy_deployment() {
    let found = guarded(|_| ());
    let against = found.iter().filter(|finding| finding.severity != Severity::Note);
    assert_eq!(against.count(), 0, "{found:?}");
}

#[test]
fn a_dump_without_pods_proves_nothing_about_them() {
    let mut there = there(|_| ());
    assert_eq!(there.unread, Vec::new());
    let without = |kind: &str| {
        let model = Model::new(&one());
        let mut bundle = kubectl_stateful::manifests::Bundle::default();
        for kind in [DEPLOYMENT, "ReplicaSet", CLAIM, VOLUME, POD].iter().filter(|k| **k != kind) {
            model.all(kind).for_each(|object| bundle.add(object.clone()).expect("an object"));
        }
        offline::surroundings(&bundle, &["db".to_owned()], None, true).expect("objects").unread
    };
    for (kind, resource) in
        [(POD, "pods"), ("ReplicaSet", "replicasets.apps"), (VOLUME, "persistentvolumes")]
    {
        let unread = without(kind);
        let resources: Vec<&str> = unread.iter().map(|one| one.resource.as_str()).collect();
        assert_eq!(resources, [resource]);
        there.unread = unread;
        assert!(refuses(&plan_of(&there).findings), "{kind}");
    }
}

// ------------------------------------------------------------- the journal

#[test]
fn a_journal_is_read_as_it_was_written() {
    let mut journal = plan_of(&there(|_| ())).journal;
    journal.service = Some(json!({"kind": "Service"}));
    let stored =
        StoredJournal::read(&journal.config_map("me", Intent::Forward, now())).expect("a journal");
    assert_eq!(stored.journal, journal);
    assert_eq!(stored.holder.as_deref(), Some("me"));
    assert_eq!(stored.arrived, None);
}

#[test]
fn a_journal_of_a_newer_format_is_not_used() {
    let mut stored = plan_of(&there(|_| ())).journal.config_map("me", Intent::Forward, now());
    let text = stored["data"]["journal"].as_str().expect("text").to_owned();
    let mut facts: Value = serde_json::from_str(&text).expect("JSON");
    let format = facts["format"].as_u64().expect("a number");
    facts["format"] = json!(format + 1);
    stored["data"]["journal"] = json!(facts.to_string());
    let why = StoredJournal::read(&stored).expect_err("it is newer");
    assert!(why.0.contains("newer"), "{}", why.0);
}

// ---------------------------------------------------------------- the hash

fn hash(there: &Surroundings) -> String {
    plan_of(there).journal.plan
}

#[test]
fn what_does_not_matter_does_not_change_the_hash() {
    let plain = there(|_| ());
    let mut other = plain.clone();
    other.objects.reverse();
    other.pods.reverse();
    other.nodes.reverse();
    for object in other.objects.iter_mut().chain(other.volumes.values_mut()) {
        object["metadata"]["resourceVersion"] = json!("999999");
        object["metadata"]["managedFields"] = json!([{"manager": "x"}]);
        object["status"]["conditions"] = json!([{"type": "Other", "status": "True"}]);
    }
    assert_eq!(hash(&plain), hash(&other));
    let again =
        plan::plan(&plain, &request(), "another", now() + jiff::SignedDuration::from_secs(9));
    assert_eq!(again.expect("a plan").journal.plan, hash(&plain));
}

/// Several findings and several autoscalers stand in an order of their own.
#[test]
fn the_order_of_lists_does_not_change_the_hash() {
    let scaler = |name: &str| {
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "namespace": "default", "uid": name},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "db"}},
        })
    };
    let mut request = request();
    request.options.retarget = vec![kubectl_stateful::migrate::convert::Retarget::Hpa];
    let hash = |there: &Surroundings| {
        plan::plan(there, &request, "op", now()).expect("a plan").journal.plan
    };
    let mut plain = there(|_| ());
    plain.objects.extend([scaler("one"), scaler("two")]);
    let mut other = plain.clone();
    other.objects.reverse();
    assert_eq!(hash(&plain), hash(&other));
}

#[test]
fn what_matters_changes_the_hash() {
    let plain = hash(&there(|_| ()));
    let template = "/spec/template/spec/containers/0/image";
    let others = [
        hash(&there(set(DEPLOYMENT, "db", "/metadata/uid", json!("another")))),
        hash(&there(set(VOLUME, "pv-db-0", "/metadata/uid", json!("another")))),
        hash(&there(set(
            VOLUME,
            "pv-db-0",
            "/spec/persistentVolumeReclaimPolicy",
            json!("Retain"),
        ))),
        hash(&there(set(DEPLOYMENT, "db", template, json!("db:2")))),
        hash(&there(set(CLAIM, "v0-of-db", "/metadata/uid", json!("another")))),
    ];
    let all: BTreeSet<&String> = others.iter().chain([&plain]).collect();
    assert_eq!(all.len(), others.len() + 1, "{others:?}");
}

// -------------------------------------------------------------- from files

fn seed(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/seeds");
    fs::read_to_string(folder.join(format!("{name}.yaml"))).expect("a seed")
}

/// Three of the seed's ZooKeepers, each on a claim of its own.
fn three() -> String {
    let one = |letter: &str| {
        let text = seed("zookeeper-deployment");
        let text = text.split("---\napiVersion: v1\nkind: Service").next().expect("it").to_owned();
        text.replace("zookeeper-vol", &format!("vol-{letter}"))
            .replace("\n  name: zookeeper\n", &format!("\n  name: zookeeper-{letter}\n"))
            .replace("app: zookeeper\n", &format!("app: zookeeper-{letter}\n"))
    };
    ["a", "b", "c"].map(one).join("\n---\n")
}

/// What `kubectl get -o json` shows of manifests that run.
fn dump(manifests: &str) -> String {
    let text = Text { name: "seed".to_owned(), path: None, text: manifests.to_owned() };
    let mut objects = Manifests::from_texts(vec![text]).expect("manifests").objects;
    objects.retain(|object| object["kind"] != "PersistentVolume");
    let mut more = Vec::new();
    for (place, object) in objects.iter_mut().enumerate() {
        object["metadata"]["namespace"] = json!("default");
        object["metadata"]["uid"] = json!(format!("uid-{place}"));
        object["metadata"]["resourceVersion"] = json!(place.to_string());
        let name = object["metadata"]["name"].clone();
        match object["kind"].as_str() {
            Some("Deployment") => {
                let replicas = object["spec"].get("replicas").cloned().unwrap_or(json!(1));
                object["spec"]["replicas"] = replicas.clone();
                object["metadata"]["generation"] = json!(1);
                object["status"] = json!({
                    "observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas,
                    "availableReplicas": replicas,
                });
                let owner = json!([{"kind": "Deployment", "uid": format!("uid-{place}")}]);
                more.push(json!({
                    "apiVersion": "apps/v1", "kind": "ReplicaSet",
                    "metadata": {
                        "name": name, "namespace": "default", "uid": format!("rs-{place}"),
                        "ownerReferences": owner,
                    },
                }));
                more.push(json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {
                        "name": name, "namespace": "default", "uid": format!("pod-{place}"),
                        "ownerReferences": [{
                            "kind": "ReplicaSet", "name": "rs", "uid": format!("rs-{place}"),
                            "controller": true,
                        }],
                    },
                    "spec": object["spec"]["template"]["spec"], "status": {"phase": "Running"},
                }));
            }
            Some("PersistentVolumeClaim") => {
                let volume = format!("pv-{}", name.as_str().expect("a name"));
                object["spec"]["volumeName"] = json!(volume);
                object["spec"]["volumeMode"] = json!("Filesystem");
                let capacity =
                    json!({"storage": object["spec"]["resources"]["requests"]["storage"]});
                object["status"] = json!({"phase": "Bound", "capacity": capacity});
                more.push(json!({
                    "apiVersion": "v1", "kind": "PersistentVolume",
                    "metadata": {"name": volume, "uid": format!("pv-{place}")},
                    "spec": {
                        "capacity": capacity, "accessModes": object["spec"]["accessModes"],
                        "storageClassName": object["spec"]["storageClassName"],
                        "persistentVolumeReclaimPolicy": "Delete",
                        "claimRef": {
                            "namespace": "default", "name": name, "uid": format!("uid-{place}"),
                        },
                    },
                    "status": {"phase": "Bound"},
                }));
            }
            _ => {}
        }
    }
    // A server has this in every namespace, and it is nobody's.
    objects.extend(more);
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

fn seen(words: &[&str], stdin: &str) -> String {
    let (stdout, stderr, code) = run(&[&["migrate"], words, &["-f", "-"]].concat(), stdin);
    let code = code.map_or("signal".to_owned(), |code| code.to_string());
    format!("{stdout}=== stderr ===\n{stderr}[exit {code}]\n")
}

const SEEDS: [(&str, &[&str]); 4] = [
    ("mysql-deployment", &["plan", "deploy/mysql"]),
    ("zookeeper-deployment", &["plan", "zookeeper", "--claim", "zookeeper-data=zookeeper-vol"]),
    ("nginx-deployment", &["plan", "nginx-deployment"]),
    ("three", &["plan", "--from", "zookeeper-a,zookeeper-b,zookeeper-c", "--name", "zookeeper"]),
];

#[test]
fn plans_of_the_seeds_look_like_their_snapshots() {
    for (name, words) in SEEDS {
        let manifests = if name == "three" { three() } else { seed(name) };
        insta::assert_snapshot!(format!("plan-{name}"), seen(words, &dump(&manifests)));
        insta::assert_snapshot!(format!("plan-{name}-manifests"), seen(words, &manifests));
    }
}

#[test]
fn a_plan_from_files_ends_as_it_is_documented() {
    let (manifests, dump) = (seed("mysql-deployment"), dump(&seed("mysql-deployment")));
    let code = |words: &[&str], stdin: &str| {
        let words = [&["migrate", "plan", "deploy/mysql", "-f", "-"], words].concat();
        run(&words, stdin).2.expect("a code")
    };
    assert_eq!(code(&[], &dump), 0);
    assert_eq!(code(&["--exit-code"], &dump), 3);
    assert_eq!(code(&[], &manifests), 8);
    assert_eq!(code(&["-n", "shop"], &dump), 2);
    let unhealthy = dump.replace("\"availableReplicas\":1", "\"availableReplicas\":0");
    assert_eq!(code(&["--exit-code"], &unhealthy), 4);
    assert_eq!(code(&["--exit-code", "--allow", "MIGRATE-UNHEALTHY"], &unhealthy), 3);
    let (stdout, ..) = run(&["migrate", "plan", "mysql", "-o", "json", "-f", "-"], &manifests);
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(document["result"], "incomplete");
    assert_eq!(document["incomplete"].as_array().map(Vec::len), Some(2), "{document}");
    assert_eq!(document["command"], Value::Null);
}

/// A dump of a migration is a status of it, and no second plan.
#[test]
fn a_dump_of_a_migration_says_where_it_stands() {
    let list = |model: &Model| {
        let items: Vec<&Value> = [DEPLOYMENT, SET, CLAIM, VOLUME, POD, "ConfigMap", "ReplicaSet"]
            .into_iter()
            .flat_map(|kind| model.all(kind))
            .collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    };
    let status = |words: &[&str], stdin: &str| {
        let words = [&["migrate", "status", "-f", "-", "-o", "json"], words].concat();
        let (stdout, stderr, code) = run(&words, stdin);
        let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
        (document, code.expect("a code"))
    };
    let arrived = list(&arrived(&one()));
    for words in [&["sts/db"], &["db"], &["deploy/db"]] {
        let (document, code) = status(words, &arrived);
        assert_eq!((document["stage"].as_str(), code), (Some("arrived"), 0), "{document}");
        assert_eq!(document["items"][0]["oldPhase"], "Lost");
        assert_eq!(document["items"][0]["heldBy"], "v0-db-0");
    }
    let (document, _) = status(&[], &arrived);
    assert_eq!(document["items"][0]["name"], "db");
    let (document, code) = status(&["sts/db"], &list(&planned(&one())));
    assert_eq!((document["stage"].as_str(), code), (Some("begun"), 0));
    // What is not in the dump is not gone.
    let mut short = planned(&one());
    for name in short.names(VOLUME) {
        short.delete(VOLUME, &name);
    }
    let (document, code) = status(&["sts/db"], &list(&short));
    assert_eq!((document["reasons"][0]["id"].as_str(), code), (Some("MIGRATE-UNREAD"), 8));
    let (_, stderr, code) = run(&["migrate", "status", "other", "-f", "-"], &arrived);
    assert_eq!(code, Some(4), "{stderr}");
    let words = ["migrate", "plan", "db", "--exit-code", "-o", "json", "-f", "-"];
    let (stdout, stderr, code) = run(&words, &list(&planned(&one())));
    assert!(stdout.contains(rules::UNDER_WAY.id), "{stdout}{stderr}");
    assert_eq!(code, Some(4));
}
