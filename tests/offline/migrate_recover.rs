//! An old volume back under a set: the plan, and each move in its order.

use jiff::Timestamp;
use kubectl_stateful::{
    migrate::{
        begin,
        journal::{ANNOTATION, Journal},
        plan::{Act, Memory, Move},
        recover::{self, Before, Wish},
        world::World,
        writes,
    },
    output::Exit,
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
    before
}

fn wish() -> Wish {
    Wish { volumes: vec![(None, "old".to_owned())], ordinal: 0 }
}

fn planned(before: &Before) -> (Journal, Vec<&'static str>) {
    let (journal, findings) =
        recover::plan(before, &wish(), "op-1", now()).expect("a plan can be made");
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
        let (_, findings) = recover::plan(&before, &wish(), "op-1", now()).expect("a plan");
        assert!(begin::refuses(&findings), "{id}");
        assert!(findings.iter().any(|finding| finding.id == id), "{id}: {findings:?}");
    }
    let unknown = Wish { volumes: vec![(None, "nowhere".to_owned())], ordinal: 0 };
    let error = recover::plan(&before(), &unknown, "op-1", now()).expect_err("no such volume");
    assert!(error.to_string().contains("persistentvolumes \"nowhere\" not found"), "{error}");
    let other = Wish { volumes: vec![(Some("logs".to_owned()), "old".to_owned())], ordinal: 0 };
    let error = recover::plan(&before(), &other, "op-1", now()).expect_err("no such template");
    assert_eq!(error.exit, Exit::Usage);
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
    world.set = Some(set(0));
    assert_eq!(next(&world, &[]), Move::Act(Act::Reserve(0)));
    let reserve = writes::of(Act::Reserve(0), &journal, &world).expect("a write");
    let line = format!("{reserve:?}");
    assert!(line.contains("data-db-0") && !line.contains("long-gone"), "{line}");
    world.volumes.get_mut("old").expect("a volume")["spec"]["claimRef"] =
        json!({"namespace": "shop", "name": "data-db-0"});
    assert_eq!(next(&world, &[]), Move::Act(Act::DeleteOldClaim(0)));

    // Somebody takes the protection of the blank one away: it comes back first.
    let mut careless = world.clone();
    careless.volumes.get_mut("blank").expect("a volume")["spec"]["persistentVolumeReclaimPolicy"] =
        json!("Delete");
    assert_eq!(next(&careless, &[]), Move::Act(Act::ProtectBlank(0)));

    world.claims.clear();
    assert_eq!(next(&world, &[]), Move::Act(Act::MakeClaim(0)));
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
fn somebody_elses_change_ends_it() {
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
