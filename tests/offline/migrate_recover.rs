//! An old volume back under a set: the plan, and each move in its order.

use jiff::Timestamp;
use kubectl_stateful::{
    cluster::objects::PodObject,
    handover::KEEPS,
    migrate::{
        forward::{Act, Memory, Move},
        journal::{ANNOTATION, Journal},
        recover::{self, Before, Request},
        rules,
        world::World,
        writes,
    },
    output::Exit,
    workload::{Allowed, Finding, Severity, refuses},
};
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

fn set(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "shop", "uid": "set-1", "generation": 3},
        "spec": {
            "replicas": replicas, "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        },
    })
}

fn volume(name: &str, phase: &str, policy: &str, claim: &Value) -> Value {
    json!({
        "metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": "7"},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "storageClassName": "manual", "persistentVolumeReclaimPolicy": policy,
            "claimRef": claim,
        },
        "status": {"phase": phase},
    })
}

fn claim(uid: &str, volume: &str, phase: &str) -> Value {
    json!({
        "metadata": {
            "name": "data-db-0", "namespace": "shop", "uid": uid, "resourceVersion": "9",
            "labels": {"app": "db"},
        },
        "spec": {"volumeName": volume}, "status": {"phase": phase},
    })
}

fn reference(uid: &str) -> Value {
    json!({"namespace": "shop", "name": "data-db-0", "uid": uid})
}

fn before() -> Before {
    let mut before = Before { set: set(1), ..Before::default() };
    before.claims.insert("data-db-0".to_owned(), claim("blank-claim", "blank", "Bound"));
    let volumes = [
        volume("blank", "Bound", "Delete", &reference("blank-claim")),
        volume("old", "Released", "Retain", &reference("long-gone")),
    ];
    for pv in volumes {
        before.volumes.insert(pv["metadata"]["name"].as_str().expect("a name").to_owned(), pv);
    }
    before.pods.insert("shop".to_owned(), Some(Vec::new()));
    before.attachments = Some([].into());
    before.all_volumes = Some(Vec::new());
    before
}

fn request() -> Request {
    Request { volumes: vec![(None, "old".to_owned())], ..Request::default() }
}

fn planned(before: &Before) -> (Journal, Vec<&'static str>) {
    let (journal, findings) =
        recover::plan(before, &request(), "op-1", now()).expect("a plan can be made");
    (journal, findings.iter().map(|finding| finding.id).collect())
}

#[test]
fn the_blank_volume_is_kept_and_that_is_said() {
    let (journal, ids) = planned(&before());
    assert_eq!(ids, ["MIGRATE-BLANK-IS-KEPT"]);
    let disk = &journal.disks[0];
    assert_eq!(disk.blank.as_ref().map(|blank| blank.pv.name.as_str()), Some("blank"));
    assert_eq!(disk.claim["spec"]["volumeName"], "old");
    assert_eq!(disk.claim["metadata"]["labels"], json!({"app": "db"}));
}

#[test]
fn what_would_lose_data_is_refused() {
    let mut deletes = before();
    deletes.set["spec"]["persistentVolumeClaimRetentionPolicy"] = json!({"whenScaled": "Delete"});
    let mut bound = before();
    bound.volumes.insert("old".to_owned(), volume("old", "Bound", "Retain", &reference("else")));
    let mut leaving = before();
    leaving.volumes.get_mut("old").expect("a volume")["metadata"]["deletionTimestamp"] =
        json!("2026-01-01T00:00:00Z");
    let mut tagged = before();
    tagged.volumes.get_mut("blank").expect("a volume")["metadata"]["annotations"] =
        json!({ANNOTATION: "{}"});
    for (before, id) in [
        (deletes, "MIGRATE-CLAIMS-GO"),
        (bound, "MIGRATE-VOLUME-UNFIT"),
        (leaving, "MIGRATE-VOLUME-UNFIT"),
        (tagged, "MIGRATE-UNDER-WAY"),
    ] {
        let (_, findings) = recover::plan(&before, &request(), "op-1", now()).expect("a plan");
        assert!(refuses(&findings), "{id}");
        assert!(findings.iter().any(|finding| finding.id == id), "{id}: {findings:?}");
    }
    let named = |template: Option<&str>, volume: &str| {
        let volume = (template.map(str::to_owned), volume.to_owned());
        Request { volumes: vec![volume], ..Request::default() }
    };
    let unknown = named(None, "nowhere");
    let error = recover::plan(&before(), &unknown, "op-1", now()).expect_err("no such volume");
    assert!(error.to_string().contains("persistentvolumes \"nowhere\" not found"), "{error}");
    let other = named(Some("logs"), "old");
    let error = recover::plan(&before(), &other, "op-1", now()).expect_err("no such template");
    assert_eq!(error.exit, Exit::Usage);
}

/// What is said of putting `old` back, after this has happened.
fn said(request: &Request, change: impl FnOnce(&mut Before)) -> Vec<Finding> {
    let mut before = before();
    change(&mut before);
    recover::plan(&before, request, "op-1", now()).expect("a plan").1
}

/// Sets a value in the volume with the data.
fn old(pointer: &'static str, value: Value) -> impl Fn(&mut Before) {
    move |before| {
        let volume = before.volumes.get_mut("old").expect("a volume");
        *volume = super::build::with(volume.clone(), pointer, value.clone());
    }
}

fn template(spec: Value) -> impl Fn(&mut Before) {
    move |before| {
        before.set["spec"]["volumeClaimTemplates"] =
            json!([{"metadata": {"name": "data"}, "spec": spec}]);
    }
}

/// A pod that mounts this claim.
fn mounts(before: &mut Before, namespace: &str, name: &str, claim: &str, owner: &str) {
    let pod = json!({
        "metadata": {
            "name": name, "namespace": namespace, "uid": name,
            "creationTimestamp": "2025-06-01T00:00:00Z",
            "ownerReferences": [{"kind": "Any", "name": "any", "uid": owner, "controller": true}],
        },
        "spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]},
        "status": {"phase": "Running"},
    });
    let pod: PodObject = serde_json::from_value(pod).expect("a pod");
    let pods = before.pods.entry(namespace.to_owned()).or_default();
    pods.get_or_insert_default().push(pod.into());
}

/// The volume, and another one in this phase that may be the same disk.
fn twins(before: &mut Before, phase: &str, handle: &str) {
    let csi = |handle: &str| json!({"driver": "csi.example.com", "volumeHandle": handle});
    old("/spec/csi", csi("handle-1"))(before);
    let theirs = json!({"namespace": "theirs", "name": "app", "uid": "u"});
    let mut other = volume("again", phase, "Delete", &theirs);
    other["spec"]["csi"] = csi(handle);
    let itself = before.volumes["old"].clone();
    before.all_volumes = Some(vec![itself, other]);
}

/// It is no reason to stop if nobody uses the other one, and none if it is another
/// disk.
#[test]
fn a_volume_that_is_the_same_disk_is_named() {
    let of = |phase: &str, handle: &str| -> Vec<Finding> {
        let found = said(&request(), |before| twins(before, phase, handle));
        found.into_iter().filter(|one| one.id == "MIGRATE-SAME-DISK").collect()
    };
    let released = of("Released", "handle-1");
    assert_eq!(released.len(), 1, "{released:?}");
    assert_eq!(released[0].severity, Severity::Warning);
    let message = &released[0].message;
    assert!(
        message.contains("again, which is Released, of claim theirs/app: its policy is Delete")
    );
    assert_eq!(of("Bound", "handle-2"), Vec::new());
    let bound = of("Bound", "handle-1");
    assert_eq!(bound[0].severity, Severity::Error);
    let message = &bound[0].message;
    assert!(message.contains("is the same disk as volume again, which claim theirs/app uses"));
    let allow = Allowed::of([&rules::SAME_DISK]);
    let allowed =
        said(&Request { allow, ..request() }, |before| twins(before, "Bound", "handle-1"));
    assert!(!refuses(&allowed), "{allowed:?}");
    // Whether there is another one is not known then.
    let unread = said(&request(), |before| {
        twins(before, "Bound", "handle-1");
        before.all_volumes = None;
    });
    let said = unread.iter().find(|one| one.severity == Severity::Error).expect("it");
    assert_eq!(said.id, "MIGRATE-UNREAD");
    assert!(said.message.starts_with("persistentvolumes could not be listed"), "{said:?}");
}

#[test]
fn a_volume_of_somebody_else_or_of_another_shape_is_said_and_refused() {
    type Change = Box<dyn Fn(&mut Before)>;
    let foreign = |namespace: &str, name: &str, uid: &str| {
        old("/spec/claimRef", json!({"namespace": namespace, "name": name, "uid": uid}))
    };
    let cases: Vec<(&str, &str, Change)> = vec![
        (
            "MIGRATE-VOLUME-FOREIGN",
            "belongs to claim data-db-0 of namespace other",
            Box::new(move |before| {
                foreign("other", "data-db-0", "x")(before);
                before.pods.insert("other".to_owned(), Some(Vec::new()));
            }),
        ),
        (
            "MIGRATE-VOLUME-FOREIGN",
            "is reserved for claim theirs, which has not taken it yet",
            Box::new(foreign("shop", "theirs", "")),
        ),
        (
            "MIGRATE-VOLUME-FOREIGN",
            "belongs to claim data-db-1, which is the claim of ordinal 1",
            Box::new(foreign("shop", "data-db-1", "x")),
        ),
        (
            "MIGRATE-VOLUME-FOREIGN",
            "belonged to claim app, which exists again, with volume other",
            Box::new(move |before| {
                foreign("shop", "app", "x")(before);
                before.claims.insert("app".to_owned(), claim("new", "other", "Bound"));
            }),
        ),
        (
            "MIGRATE-VOLUME-DOUBTFUL",
            "has 1Gi, and template data asks for 20Gi",
            Box::new(template(json!({"resources": {"requests": {"storage": "20Gi"}}}))),
        ),
        (
            "MIGRATE-VOLUME-DOUBTFUL",
            "has access mode ReadWriteOnce, and template data asks for ReadWriteMany",
            Box::new(template(json!({"accessModes": ["ReadWriteMany"]}))),
        ),
        (
            "MIGRATE-VOLUME-DOUBTFUL",
            "is Failed; part of its data may be gone: no plugin",
            Box::new(old("/status", json!({"phase": "Failed", "message": "no plugin"}))),
        ),
        (
            "MIGRATE-VOLUME-UNFIT",
            "has volumeMode Block, and template data asks for Filesystem",
            Box::new(old("/spec/volumeMode", json!("Block"))),
        ),
        (
            "MIGRATE-VOLUME-IN-USE",
            "pod writer runs and mounts claim gone, whose volume old was",
            Box::new(move |before| {
                foreign("shop", "gone", "x")(before);
                mounts(before, "shop", "writer", "gone", "rs-1");
            }),
        ),
        (
            "MIGRATE-VOLUME-IN-USE",
            "is attached to node-3",
            Box::new(|before| {
                before.attachments = Some([("old".to_owned(), "node-3".to_owned())].into());
            }),
        ),
        (
            "MIGRATE-UNREAD",
            "pods in namespace shop could not be read",
            Box::new(|before| drop(before.pods.insert("shop".to_owned(), None))),
        ),
        (
            "MIGRATE-UNREAD",
            "volumeattachments could not be read",
            Box::new(|before| before.attachments = None),
        ),
    ];
    for (id, message, change) in cases {
        let found = said(&request(), &change);
        let wrong: Vec<&Finding> =
            found.iter().filter(|one| one.severity == Severity::Error).collect();
        assert_eq!(wrong.len(), 1, "{message}: {wrong:?}");
        assert_eq!(wrong[0].id, id, "{message}");
        assert!(wrong[0].message.contains(message), "{message}: {wrong:?}");
        let rule = rules::BY_RECOVERY.iter().find(|rule| rule.id == id);
        let allow = Allowed::of(rule.copied());
        let allowed = said(&Request { allow, ..request() }, &change);
        assert_eq!(refuses(&allowed), rule.is_none(), "{message}: {allowed:?}");
    }
}

/// What names the claim and does not use the volume, or is stopped anyway.
#[test]
fn a_pod_that_does_not_write_to_the_volume_is_no_reason() {
    let fine = |change: &dyn Fn(&mut Before)| {
        let found = said(&request(), change);
        assert!(!refuses(&found), "{found:?}");
    };
    // A claim that was made again, and a pod on it.
    fine(&|before| {
        mounts(before, "shop", "db-0", "data-db-0", "set-1");
        before.claims.get_mut("data-db-0").expect("it")["metadata"]["creationTimestamp"] =
            json!("2025-05-01T00:00:00Z");
    });
    // The set's own pod, whose claim was taken from under it.
    fine(&|before| {
        before.claims.clear();
        mounts(before, "shop", "db-0", "data-db-0", "set-1");
        before.attachments = Some([("old".to_owned(), "node-3".to_owned())].into());
    });
    // On a disk of a node nothing is attached.
    fine(&|before| {
        old("/spec/hostPath", json!({"path": "/data"}))(before);
        before.attachments = None;
    });
}

#[test]
fn an_ordinal_that_the_set_has_not_is_said() {
    let beyond = Request { ordinal: 3, ..request() };
    let found = said(&beyond, |_| ());
    let ids: Vec<&str> = found.iter().map(|one| one.id).collect();
    // The data would be that of another member, as well.
    assert_eq!(ids, ["MIGRATE-VOLUME-FOREIGN", "MIGRATE-NO-SUCH-ORDINAL"]);
    let hint = found[1].hint.as_deref().expect("a hint");
    assert_eq!(hint, "kubectl stateful scale db --replicas 4 -n shop");
    super::words::read_if_ours(hint);
    let (journal, _) = recover::plan(&before(), &beyond, "op-1", now()).expect("a plan");
    let mut world = world(&before(), 1);
    assert!(!recover::has_pod(&world, &journal));
    world.set = Some(set(4));
    assert!(recover::has_pod(&world, &journal));
}

#[test]
fn what_is_put_back_already_is_done() {
    let mut before = before();
    let (journal, _) = planned(&before);
    assert!(!recover::is_done(&before, &journal));
    before.claims.insert("data-db-0".to_owned(), claim("new", "old", "Bound"));
    before.volumes.insert("old".to_owned(), volume("old", "Bound", "Delete", &reference("new")));
    assert!(recover::is_done(&before, &journal));
    old("/metadata/annotations", json!({ANNOTATION: "{}"}))(&mut before);
    assert!(!recover::is_done(&before, &journal), "a recovery has it in hand");
}

#[test]
fn the_candidates_begin_with_the_likeliest() {
    let mut before = before();
    before.volumes.clear();
    let mut add = |name: &str, phase: &str, reference: Value, since: &str| {
        let mut pv = volume(name, phase, "Retain", &reference);
        pv["status"]["lastPhaseTransitionTime"] = json!(since);
        before.volumes.insert(name.to_owned(), pv);
    };
    let of =
        |namespace: &str, name: &str| json!({"namespace": namespace, "name": name, "uid": "x"});
    add("bound", "Bound", of("shop", "data-db-0"), "2026-01-09T00:00:00Z");
    add("far", "Released", of("other", "data-db-0"), "2026-01-09T00:00:00Z");
    add("free", "Available", Value::Null, "2026-01-09T00:00:00Z");
    add("early", "Released", of("shop", "mysql"), "2026-01-01T00:00:00Z");
    add("late", "Failed", of("shop", "mysql"), "2026-01-02T00:00:00Z");
    add("own", "Released", of("shop", "data-db-0"), "2025-01-01T00:00:00Z");
    let found = recover::candidates(&before, &["data-db-0".to_owned()]);
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["own", "late", "early", "far", "free"]);
    assert!(found[0].of_this_ordinal && !found[1].of_this_ordinal);
    assert_eq!(found[3].last_claim.as_deref(), Some("other/data-db-0"));
}

/// The line to type named ordinal 0 for a volume of ordinal 1.
#[test]
fn the_ordinal_of_a_volume_is_the_one_that_its_last_claim_names() {
    let mut before = before();
    before.volumes.clear();
    for (name, namespace, last) in [
        ("pv-1", "shop", "logs-db-1"),
        ("pv-2", "shop", "data-db-01"),
        ("pv-3", "shop", "data-other-1"),
        ("pv-4", "other", "data-db-1"),
    ] {
        let last = json!({"namespace": namespace, "name": last, "uid": "uid-gone"});
        let volume = json!({
            "metadata": {"name": name}, "spec": {"claimRef": last}, "status": {"phase": "Released"},
        });
        before.volumes.insert(name.to_owned(), volume);
    }
    let mut found = recover::candidates(&before, &[]);
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let places = found.iter().map(|one| recover::place_of(one, &["data", "logs"], "db"));
    assert_eq!(places.collect::<Vec<_>>(), [Some((1, 1)), None, None, None]);
}

/// The world of a set whose pod is gone already.
fn world(before: &Before, replicas: u32) -> World {
    World {
        set: Some(set(replicas)),
        claims: before.claims.clone(),
        volumes: before.volumes.clone(),
        attachments: Some([].into()),
        ..World::default()
    }
}

fn protected(pv: &mut Value, journal: &Journal) {
    let tag = serde_json::to_string(&journal.tag(&journal.disks[0])).expect("JSON");
    pv["spec"]["persistentVolumeReclaimPolicy"] = json!("Retain");
    pv["metadata"]["annotations"] = json!({ANNOTATION: tag});
}

#[test]
fn no_claim_goes_before_both_volumes_stay_and_the_old_one_is_reserved() {
    let before = before();
    let (journal, _) = planned(&before);
    let mut world = world(&before, 1);
    let next = |world: &World, touched: &[usize]| {
        let memory = Memory { touched: touched.to_vec(), ..Memory::default() };
        recover::next(world, &journal, &memory, now())
    };
    assert_eq!(next(&world, &[]), Move::Act(Act::ProtectBlank(0)));
    protected(world.volumes.get_mut("blank").expect("a volume"), &journal);
    assert_eq!(next(&world, &[]), Move::Act(Act::Protect(0)));
    protected(world.volumes.get_mut("old").expect("a volume"), &journal);
    assert_eq!(next(&world, &[]), Move::Act(Act::StopSet));
    // Somebody makes the set delete its claims: they go as long as a pod is to stop.
    for (replicas, has_pod) in [(1, false), (0, true), (0, false)] {
        let mut careless = world.clone();
        let mut set = set(replicas);
        set["spec"]["persistentVolumeClaimRetentionPolicy"] = json!({"whenScaled": "Delete"});
        careless.set = Some(set);
        if has_pod {
            let mut near = Before::default();
            mounts(&mut near, "shop", "db-0", "data-db-0", "set-1");
            careless.pods = near.pods.into_values().flatten().flatten().collect();
        }
        if replicas == 0 && !has_pod {
            assert_eq!(next(&careless, &[]), Move::Act(Act::Reserve(0)));
            continue;
        }
        let Move::Stop { exit, finding } = next(&careless, &[]) else { panic!("it goes on") };
        assert_eq!((exit, finding.id), (Exit::Conflict, "MIGRATE-CLAIMS-GO"));
        assert!(finding.hint.is_some_and(|hint| hint.starts_with("kubectl patch statefulset/db")));
    }
    world.set = Some(set(0));
    assert_eq!(next(&world, &[]), Move::Act(Act::Reserve(0)));
    let reserve = writes::of(Act::Reserve(0), &journal, &world, now()).expect("a write");
    let line = format!("{reserve:?}");
    assert!(line.contains("data-db-0") && !line.contains("long-gone"), "{line}");
    world.volumes.get_mut("old").expect("a volume")["spec"]["claimRef"] =
        json!({"namespace": "shop", "name": "data-db-0"});
    // Held first: whoever gives the blank one its policy back meanwhile is noticed.
    assert_eq!(next(&world, &[]), Move::Act(Act::HoldToGo(0)));
    let mut held = world.clone();
    let blank = held.claims.get_mut("data-db-0").expect("a claim");
    blank["metadata"]["finalizers"] = json!([KEEPS]);
    assert_eq!(next(&held, &[]), Move::Act(Act::DeleteOldClaim(0)));
    let blank = held.claims.get_mut("data-db-0").expect("a claim");
    blank["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(next(&held, &[]), Move::Act(Act::CleanOldClaim(0)));
    let policy = "persistentVolumeReclaimPolicy";
    held.volumes.get_mut("blank").expect("a volume")["spec"][policy] = json!("Delete");
    assert_eq!(next(&held, &[]), Move::Act(Act::WithholdBlank(0)));

    // Somebody takes the protection of the blank one away: it comes back first.
    let mut careless = world.clone();
    careless.volumes.get_mut("blank").expect("a volume")["spec"]["persistentVolumeReclaimPolicy"] =
        json!("Delete");
    assert_eq!(next(&careless, &[]), Move::Act(Act::ProtectBlank(0)));

    world.claims.clear();
    assert_eq!(next(&world, &[]), Move::Act(Act::CreateClaim(0)));
    let mut stranger = world.clone();
    stranger.claims.insert("data-db-0".to_owned(), claim("stranger", "", "Pending"));
    assert!(matches!(next(&stranger, &[]), Move::Stop { exit: Exit::Conflict, .. }));

    let mut new = claim("new-claim", "old", "Pending");
    new["metadata"]["annotations"] = json!({ANNOTATION: journal.op});
    world.claims.insert("data-db-0".to_owned(), new);
    assert_eq!(next(&world, &[]), Move::Act(Act::Touch(0)));
    assert!(matches!(next(&world, &[0]), Move::Wait { .. }));
    world.claims.get_mut("data-db-0").expect("a claim")["status"]["phase"] = json!("Bound");
    let old = world.volumes.get_mut("old").expect("a volume");
    old["spec"]["claimRef"] = reference("new-claim");
    old["status"]["phase"] = json!("Bound");
    assert_eq!(next(&world, &[0]), Move::Act(Act::StartSet));
}

#[test]
fn a_change_by_others_stops_it() {
    let before = before();
    let (journal, _) = planned(&before);
    let stops = |world: &World| {
        let next = recover::next(world, &journal, &Memory::default(), now());
        matches!(next, Move::Stop { exit: Exit::Conflict, .. })
    };
    let mut scaled = world(&before, 5);
    assert!(stops(&scaled), "another number of replicas");
    scaled.set = None;
    assert!(stops(&scaled), "no set");
    let mut bound = world(&before, 1);
    bound.volumes.insert("old".to_owned(), volume("old", "Bound", "Retain", &reference("else")));
    assert!(!stops(&world(&before, 1)));
    let elsewhere = json!({"namespace": "other", "name": "theirs", "uid": "else"});
    bound.volumes.insert("old".to_owned(), volume("old", "Bound", "Retain", &elsewhere));
    assert!(stops(&bound), "bound to somebody else");
}
