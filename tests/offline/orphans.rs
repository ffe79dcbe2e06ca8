//! `orphans` from files: every class and every finding, every way to end, and
//! what is decided before something is deleted or adopted.

use std::{collections::BTreeSet, sync::Arc};

use kubectl_stateful::{
    handover::{CLAIM_DELETED, HOLD, KEPT_POLICY},
    manifests::Bundle,
    orphans::{
        adopt,
        classify::judge,
        delete, model,
        row::{Class, Confidence, Row},
        rules,
    },
    workload::SnapshotClass,
};
use serde_json::{Value, json};

use super::cli::run;

fn now() -> jiff::Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "7",
            "creationTimestamp": "2025-01-01T00:00:00Z", "labels": {"app": "web"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "volumeName": format!("pv-{name}"),
            "storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}},
    })
}

/// The volume of a claim.
fn volume(claim: &str, phase: &str, policy: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("pv-{claim}"), "uid": format!("uid-pv-{claim}"), "resourceVersion": "8"},
        "spec": {
            "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "fast",
            "persistentVolumeReclaimPolicy": policy,
            "claimRef": {"namespace": "shop", "name": claim, "uid": format!("uid-{claim}")},
        },
        "status": {"phase": phase},
    })
}

fn set(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": []}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        },
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    object.pointer_mut(parent).expect("a parent")[key] = value;
    object
}

fn template(kind: &str, claim: &str) -> Value {
    let api = if kind.ends_with("Job") { "batch/v1" } else { "apps/v1" };
    let pod = json!({"spec": {"volumes": [
        {"name": "v", "persistentVolumeClaim": {"claimName": claim}},
    ]}});
    let spec = match kind {
        "CronJob" => json!({"suspend": true, "jobTemplate": {"spec": {"template": pod}}}),
        _ => json!({"replicas": 0, "template": pod}),
    };
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": "w", "namespace": "shop"}, "spec": spec})
}

fn pod(name: &str, phase: &str, claim: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")},
        "spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]},
        "status": {"phase": phase},
    })
}

fn facts(objects: &[Value]) -> model::Facts {
    let mut bundle = Bundle::default();
    for object in objects {
        bundle.add(object.clone()).expect("an object");
    }
    kubectl_stateful::orphans::offline::facts(&bundle, Some("shop"), true).expect("objects")
}

fn rows(objects: &[Value]) -> Vec<Row> {
    judge(&facts(objects), now()).rows
}

/// The one row of these objects.
#[track_caller]
fn row(objects: &[Value]) -> Row {
    let mut rows = rows(objects);
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows.remove(0)
}

fn hpa(target: &str, most: u32) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": "shop"},
        "spec": {"maxReplicas": most, "scaleTargetRef": {"kind": "StatefulSet", "name": target}},
    })
}

fn attached(volume: &str) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": "a"},
        "spec": {"source": {"persistentVolumeName": volume}, "nodeName": "node-a"},
    })
}

#[test]
fn every_class_has_a_case() {
    let in_phase = |phase: &str| with(claim("x"), "/status/phase", json!(phase));
    let owned = |kind: &str, api: &str, uid: &str| {
        let owner = json!([{"kind": kind, "apiVersion": api, "name": "o", "uid": uid}]);
        with(claim("x"), "/metadata/ownerReferences", owner)
    };
    let below = with(set("web", 2), "/spec/ordinals", json!({"start": 3}));
    let deleted = with(claim("x"), "/metadata/deletionTimestamp", json!("2025-12-01T00:00:00Z"));
    let two = [
        set("b-c", 1),
        with(set("c", 1), "/spec/volumeClaimTemplates/0/metadata/name", json!("a-b")),
    ];
    let two_of_a = with(two[0].clone(), "/spec/volumeClaimTemplates/0/metadata/name", json!("a"));
    let renamed = with(set("web", 3), "/spec/volumeClaimTemplates/0/metadata/name", json!("www"));
    let cases: Vec<(Class, Vec<Value>)> = vec![
        (Class::OrdinalBeyond, vec![set("web", 3), claim("data-web-3")]),
        (Class::OrdinalBelowStart, vec![below, claim("data-web-2")]),
        (Class::SetGone, vec![claim("data-web-0")]),
        (Class::TemplateRenamed, vec![renamed, claim("data-web-0")]),
        (Class::OwnerGone, vec![owned("Pod", "v1", "nobody")]),
        (Class::Unreferenced, vec![claim("x")]),
        (Class::Lost, vec![in_phase("Lost")]),
        (Class::PendingNeverBound, vec![in_phase("Pending")]),
        (Class::TerminatingInUse, vec![deleted.clone(), pod("p", "Running", "x")]),
        (Class::TerminatingStuck, vec![deleted]),
        (Class::PvReleased, vec![volume("gone", "Released", "Retain")]),
        (Class::PvFailed, vec![volume("gone", "Failed", "Delete")]),
        (Class::PvInUse, vec![volume("gone", "Released", "Retain"), attached("pv-gone")]),
        (Class::Parked, vec![set("web", 0), claim("data-web-7")]),
        (Class::Elastic, vec![set("web", 3), hpa("web", 5), claim("data-web-4")]),
        (Class::Managed, vec![owned("Cluster", "postgresql.cnpg.io/v1", "c-1")]),
        (Class::Conflict, vec![two_of_a, two[1].clone(), claim("a-b-c-0")]),
    ];
    let mut seen = BTreeSet::from([Class::Unknown.name()]);
    for (class, objects) in cases {
        let row = row(&objects);
        assert_eq!(row.class, class, "{row:#?}");
        assert_eq!(row.orphan, class.is_orphan());
        assert!(!row.evidence.is_empty());
        assert!(rules::all().contains(&rules::of(class)));
        seen.insert(class.name());
    }
    let mut blind = facts(&[claim("x"), set("web", 3)]);
    blind.note_missing(model::Kind::CronJob, "no right".to_owned());
    assert_eq!(judge(&blind, now()).rows[0].class, Class::Unknown);
    assert_eq!(seen.len(), 18);
}

#[test]
fn a_claim_that_anything_names_is_in_use() {
    for kind in ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "CronJob"] {
        assert_eq!(rows(&[claim("x"), template(kind, "x")]), [], "{kind}");
        // A longer name that begins alike is another claim.
        assert_eq!(row(&[claim("x-foo"), template(kind, "x")]).name, "x-foo");
        assert_eq!(row(&[claim("x"), template(kind, "x-foo")]).name, "x");
    }
    for phase in ["Pending", "Running", "Unknown", ""] {
        assert_eq!(rows(&[claim("x"), pod("p", phase, "x")]), [], "{phase}");
    }
    for phase in ["Succeeded", "Failed"] {
        let row = row(&[claim("x"), pod("p", phase, "x")]);
        assert_eq!(row.class, Class::Unreferenced);
        assert!(row.evidence.iter().any(|why| why.contains("pod p, which has finished")));
    }
    // A generic ephemeral volume: POD-VOLUME.
    let ephemeral = json!([{"name": "tmp", "ephemeral": {}}]);
    let ephemeral = with(pod("p", "Running", "other"), "/spec/volumes", ephemeral);
    assert_eq!(rows(&[claim("p-tmp"), ephemeral]), []);
}

#[test]
fn only_what_a_controller_would_write_is_an_ordinal() {
    for name in ["data-web-03", "data-web--3", "data-web-3a", "data-web-", "data-web-99999999999"] {
        let row = row(&[set("web", 2), claim(name)]);
        assert_ne!(row.class, Class::OrdinalBeyond, "{name}");
        assert_eq!(row.readopted_at, None, "{name}");
    }
    // Of a set whose name begins alike.
    let row = row(&[set("web", 2), claim("data-web-x-3")]);
    assert_ne!(row.class, Class::OrdinalBeyond);
}

#[test]
fn what_the_server_says_about_use_counts() {
    let condition = |status: &str| {
        let unused = json!([{"type": "Unused", "status": status, "lastTransitionTime": "2025-11-21T00:00:00Z"}]);
        with(claim("data-web-3"), "/status/conditions", unused)
    };
    let idle = row(&[set("web", 3), condition("True")]);
    assert_eq!(idle.idle_source, "condition Unused");
    assert_eq!(
        idle.readopted_by.as_deref(),
        Some("scaling web to 4 or more mounts it again, with data last used 41d ago")
    );
    let busy = row(&[set("web", 3), condition("False")]);
    assert_eq!((busy.confidence, busy.idle_since), (Confidence::Low, None));
    let silent = row(&[set("web", 3), claim("data-web-3")]);
    assert_eq!((silent.idle_source, silent.idle_since), ("unknown", None));
}

#[test]
fn a_volume_says_what_became_of_its_claim() {
    let released = volume("data-web-1", "Released", "Retain");
    let gone = row(std::slice::from_ref(&released));
    assert!(gone.evidence[0].ends_with("shop/data-web-1, which is gone"), "{gone:?}");
    let again = with(claim("data-web-1"), "/metadata/uid", json!("another"));
    let again = with(again, "/spec/volumeName", json!("pv-new"));
    let again = rows(&[released.clone(), again, set("web", 3)]);
    assert!(again[0].evidence[0].contains("a new claim with that name has volume pv-new"));
    assert_eq!((again[0].set.as_deref(), again[0].ordinal), (Some("web"), Some(1)));
    // Another namespace's is not this one's business.
    let elsewhere = with(released, "/spec/claimRef/namespace", json!("bank"));
    assert_eq!(rows(&[elsewhere]), []);
    // Its provisioner is at it.
    let deleting = with(
        volume("y", "Released", "Delete"),
        "/status/lastPhaseTransitionTime",
        json!("2025-12-31T23:59:50Z"),
    );
    assert_eq!(rows(&[deleting]), []);
}

/// Words after `orphans`, with these objects as a dump.
fn orphans(objects: &[Value], words: &[&str]) -> (String, String, Option<i32>) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let all: Vec<&str> = ["orphans", "-f", "-"].iter().chain(words).copied().collect();
    run(&all, &list)
}

#[test]
fn every_way_to_end() {
    let objects = [set("web", 3), claim("data-web-3"), volume("data-web-3", "Bound", "Delete")];
    let code = |words: &[&str]| orphans(&objects, words).2;
    assert_eq!(code(&["--complete"]), Some(0));
    // A dump without pods says nothing about pods.
    assert_eq!(code(&[]), Some(8));
    assert_eq!(code(&["--complete", "--fail-on", "any"]), Some(3));
    assert_eq!(code(&["--complete", "--fail-on", "ordinal-beyond,lost"]), Some(3));
    assert_eq!(code(&["--complete", "--fail-on", "lost"]), Some(0));
    assert_eq!(code(&["--fail-on", "unknown"]), Some(3));
    assert_eq!(code(&["--complete", "--class", "lost", "--fail-on", "any"]), Some(0));
    assert_eq!(code(&["--complete", "--older-than", "30d", "--fail-on", "any"]), Some(3));
    assert_eq!(code(&["--complete", "--older-than", "9000d", "--fail-on", "any"]), Some(0));
    assert_eq!(code(&["--complete", "-l", "app=web", "--fail-on", "any"]), Some(3));
    assert_eq!(code(&["--complete", "-l", "app!=web", "--fail-on", "any"]), Some(0));
    assert_eq!(code(&["--complete", "web", "--fail-on", "any"]), Some(3));
    assert_eq!(code(&["--complete", "nobody"]), Some(1));
    for wrong in
        ["--fail-on=no", "--class=no", "--older-than=x", "--price=x", "-l=a b", "--sort-by=x"]
    {
        assert_eq!(code(&["--complete", wrong]), Some(2), "{wrong}");
    }
}

#[test]
fn documents_keep_to_their_schema() {
    let objects = [
        set("web", 3),
        claim("data-web-3"),
        volume("data-web-3", "Bound", "Delete"),
        volume("data-old-0", "Released", "Retain"),
        claim("x"),
    ];
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/orphans-v1.json");
    let schema = std::fs::read_to_string(path).expect("a schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for words in [&["--complete", "-o", "json", "--price", "fast=0.5"][..], &["-o", "json"]] {
        let (stdout, stderr, _) = orphans(&objects, words);
        let document: Value =
            serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, [] as [&str; 0]);
    }
    let (stdout, _, _) = orphans(&objects, &["--complete", "-o", "json", "--price", "fast=0.5"]);
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(document["totals"]["orphans"]["count"], 3);
    assert_eq!(document["totals"]["orphans"]["cost"], 3.0);
    let ids: Vec<&str> = document["reasons"]
        .as_array()
        .expect("reasons")
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    assert!(ids.contains(&"ORPHANS-READOPTED"), "{ids:?}");
    let (stdout, _, _) = orphans(&objects, &["--complete", "-o", "name"]);
    assert_eq!(
        stdout,
        "persistentvolume/pv-data-old-0\nshop/persistentvolumeclaim/data-web-3\n\
         shop/persistentvolumeclaim/x\n"
    );
    let (_, _, code) = orphans(&objects, &["--complete", "--older-than", "1d", "-o", "json"]);
    assert_eq!(code, Some(0));
}

#[test]
fn the_table_is_what_a_person_reads() {
    let objects = [
        set("web", 3),
        claim("data-web-3"),
        volume("data-web-3", "Bound", "Delete"),
        with(claim("data-web-10"), "/spec/storageClassName", json!("slow")),
        volume("data-old-0", "Released", "Retain"),
        set("night", 0),
        claim("data-night-0"),
        pod("web-0", "Running", "data-web-0"),
        claim("data-web-0"),
    ];
    let (stdout, _, _) = orphans(&objects, &["--complete", "-n", "shop", "--price", "fast=0.1"]);
    // Ages are of today.
    let text: Vec<String> = stdout
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split("   ").collect();
            match cells.as_slice() {
                [rest @ .., last]
                    if rest.len() > 3 && !line.contains("AGE") && last.ends_with('d') =>
                {
                    rest.join("   ") + "   AGE"
                }
                _ => line.to_owned(),
            }
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"));
    for line in stdout.lines().filter(|line| !line.contains('→')) {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

fn keep() -> delete::DeleteOptions {
    delete::DeleteOptions { keep_volume: true, snapshot: None, min_idle: None }
}

fn target(name: &str) -> delete::Target {
    delete::Target {
        is_volume: false,
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
        uid: Some(format!("uid-{name}")),
    }
}

fn world(objects: &[Value], name: &str) -> delete::World {
    let named = |kind: &str, name: &str| {
        objects.iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name).cloned()
    };
    delete::World {
        claim: named("PersistentVolumeClaim", name),
        volume: named("PersistentVolume", &format!("pv-{name}")),
        snapshot: named("VolumeSnapshot", &format!("{name}-uid-{}", &name[..4])),
        facts: Arc::new(facts(
            &objects
                .iter()
                .filter(|one| one["kind"] != "VolumeSnapshot")
                .cloned()
                .collect::<Vec<_>>(),
        )),
    }
}

fn names(steps: &[delete::Step]) -> Vec<&'static str> {
    steps
        .iter()
        .map(|step| match step {
            delete::Step::Snapshot(_) => "snapshot",
            delete::Step::AwaitSnapshot { .. } => "await snapshot",
            delete::Step::Protect(_) => "protect",
            delete::Step::Hold(_) => "hold",
            delete::Step::Delete(_) => "delete",
            delete::Step::RemoveHold(_) => "remove hold",
            delete::Step::AwaitDeletion(_) => "await deletion",
        })
        .collect()
}

#[test]
fn the_volume_is_told_to_stay_before_its_claim_goes() {
    let name = "data-web-3";
    let objects = |policy: &str| [set("web", 3), claim(name), volume(name, "Bound", policy)];
    let plan = |objects: &[Value], options: &delete::DeleteOptions| {
        delete::plan(&target(name), &world(objects, name), options, now())
            .map(|steps| names(&steps))
    };
    assert_eq!(
        plan(&objects("Delete"), &keep()),
        Ok(vec!["protect", "hold", "delete", "await deletion"])
    );
    assert_eq!(plan(&objects("Retain"), &keep()), Ok(vec!["hold", "delete", "await deletion"]));
    let lose = delete::DeleteOptions { keep_volume: false, ..keep() };
    assert_eq!(plan(&objects("Delete"), &lose), Ok(vec!["delete"]));
    // Gone is done, and on its way is waited for, its volume kept.
    assert_eq!(plan(&[set("web", 3)], &keep()), Ok(vec![]));
    let [web, leaving, pv] = objects("Delete");
    let leaving = with(leaving, "/metadata/deletionTimestamp", json!("2025-12-31T23:59:59Z"));
    assert_eq!(plan(&[web, leaving, pv], &keep()), Ok(vec!["protect", "await deletion"]));
    let snapshot = delete::DeleteOptions { snapshot: Some(("csi".to_owned(), None)), ..keep() };
    let all = ["snapshot", "await snapshot", "protect", "hold", "delete", "await deletion"];
    assert_eq!(plan(&objects("Delete"), &snapshot), Ok(all.to_vec()));
    let taken = |status: Value| {
        let taken = json!({
            "kind": "VolumeSnapshot", "metadata": {"name": "data-web-3-uid-data"},
            "spec": {"source": {"persistentVolumeClaimName": name}}, "status": status,
        });
        [&objects("Delete")[..], &[taken]].concat()
    };
    // What failed may come right: the controller tries again.
    let failing = taken(json!({"error": {"message": "no\nroom"}}));
    assert_eq!(plan(&failing, &snapshot), Ok(all[1..].to_vec()));
    let steps = delete::plan(&target(name), &world(&failing, name), &snapshot, now());
    let error = Some("no room".to_owned());
    let wait = delete::Step::AwaitSnapshot { name: "data-web-3-uid-data".to_owned(), error };
    assert_eq!(steps.expect("steps")[0], wait);
    assert_eq!(plan(&taken(json!({"readyToUse": true})), &snapshot), Ok(all[2..].to_vec()));
}

#[test]
fn whatever_is_not_an_orphan_is_refused() {
    let refuses = |objects: &[Value], name: &str, options: &delete::DeleteOptions| {
        let outcome = delete::plan(&target(name), &world(objects, name), options, now());
        outcome.expect_err("a refusal").id
    };
    let (name, pv) = ("data-web-3", volume("data-web-3", "Bound", "Delete"));
    let of = |more: Vec<Value>| [vec![set("web", 3), claim(name), pv.clone()], more].concat();
    let keep = keep();
    assert_eq!(refuses(&of(vec![pod("p", "Pending", name)]), name, &keep), rules::IN_USE.id);
    assert_eq!(refuses(&of(vec![template("CronJob", name)]), name, &keep), rules::IN_USE.id);
    assert_eq!(refuses(&of(vec![hpa("web", 9)]), name, &keep), rules::NO_ORPHAN.id);
    assert_eq!(refuses(&[set("web", 4), claim(name), pv.clone()], name, &keep), rules::IN_USE.id);
    assert_eq!(
        refuses(&[set("web", 0), claim(name), pv.clone()], name, &keep),
        rules::NO_ORPHAN.id
    );
    // Whose policy is not known, and whose volume is another's.
    assert_eq!(refuses(&[set("web", 3), claim(name)], name, &keep), rules::POLICY_UNKNOWN.id);
    let strange = with(pv.clone(), "/spec/claimRef/uid", json!("another"));
    assert_eq!(
        refuses(&[set("web", 3), claim(name), strange], name, &keep),
        rules::POLICY_UNKNOWN.id
    );
    let busy = json!([{"type": "Unused", "status": "False"}]);
    let busy = with(claim(name), "/status/conditions", busy);
    assert_eq!(refuses(&[set("web", 3), busy, pv.clone()], name, &keep), rules::IN_USE.id);
    assert_eq!(refuses(&of(vec![attached("pv-data-web-3")]), name, &keep), rules::IN_USE.id);
    let patient = delete::DeleteOptions {
        min_idle: Some(jiff::SignedDuration::from_hours(1)),
        ..keep.clone()
    };
    assert_eq!(refuses(&of(vec![]), name, &patient), rules::NOT_IDLE.id);
    let anew = with(claim(name), "/metadata/uid", json!("another"));
    assert_eq!(refuses(&[set("web", 3), anew, pv.clone()], name, &keep), rules::CHANGED.id);
    let mut blind = world(&of(vec![]), name);
    Arc::make_mut(&mut blind.facts).note_missing(model::Kind::Pod, "no right".to_owned());
    let refused = delete::plan(&target(name), &blind, &keep, now()).expect_err("a refusal");
    assert_eq!(refused.id, rules::NO_ORPHAN.id);
    let class = SnapshotClass {
        name: "csi".to_owned(),
        driver: "csi.example.com".to_owned(),
        deletes: false,
        is_default: false,
    };
    let snapshot =
        delete::DeleteOptions { snapshot: Some(("csi".to_owned(), Some(class))), ..keep.clone() };
    assert_eq!(refuses(&of(vec![]), name, &snapshot), rules::NO_SNAPSHOTS.id);
    let released = delete::World {
        volume: Some(volume("old", "Released", "Retain")),
        facts: Arc::new(facts(&[volume("old", "Released", "Retain")])),
        ..delete::World::default()
    };
    let volume_target =
        delete::Target { is_volume: true, namespace: None, name: "pv-old".to_owned(), uid: None };
    let refused = delete::plan(&volume_target, &released, &keep, now()).expect_err("a refusal");
    assert_eq!(refused.id, rules::VOLUME_STAYS.id);
    let lose = delete::DeleteOptions { keep_volume: false, ..keep };
    assert_eq!(
        delete::plan(&volume_target, &released, &lose, now()).map(|steps| names(&steps)),
        Ok(vec!["delete"])
    );
}

fn adoption(objects: &[Value], pv: Value) -> (adopt::Adoption, adopt::World) {
    let name = pv["metadata"]["name"].as_str().expect("a name").to_owned();
    let named = |name: &Value| {
        objects
            .iter()
            .find(|one| one["kind"] == "PersistentVolumeClaim" && one["metadata"]["name"] == *name)
            .cloned()
    };
    let adoption = adopt::Adoption {
        namespace: "shop".to_owned(),
        volume: name,
        set: "web".to_owned(),
        ordinal: 1,
        template: "data".to_owned(),
        claim_uid: None,
    };
    let all = [objects, std::slice::from_ref(&pv)].concat();
    let world = adopt::World {
        set: set("web", 3),
        holder: named(&pv["spec"]["claimRef"]["name"]),
        claim: named(&json!("data-web-1")),
        facts: Arc::new(facts(&all)),
        volume: Some(pv),
    };
    (adoption, world)
}

/// The set deletes the claims of ordinals that leave, and the garbage collector comes
/// later: until it has, the claim is not taken for one that the ordinal has.
#[test]
fn a_claim_that_goes_with_its_pod_is_waited_for() {
    let owner =
        |uid: &str| json!([{"apiVersion": "v1", "kind": "Pod", "name": "web-1", "uid": uid}]);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "uid-pod"},
        "spec": {"nodeName": "a"}, "status": {"phase": "Running"},
    });
    let steps = |owners: Value, replicas: u32| {
        let owned = with(claim("data-web-1"), "/metadata/ownerReferences", owners);
        let (mut adoption, mut world) =
            adoption(&[owned, pod.clone()], volume("data-web-1", "Bound", "Retain"));
        world.set = set("web", replicas);
        adoption.remember(&world);
        let steps = adopt::plan(&adoption, &world, now()).expect("steps");
        steps.iter().map(|step| step.action().line()).collect::<Vec<_>>()
    };
    let gone = steps(owner("uid-gone"), 1);
    assert_eq!(gone.first().map(String::as_str), Some("wait for claim data-web-1 to be gone"));
    assert!(gone.iter().any(|line| line.contains("data-web-1 created")), "{gone:?}");
    // It runs, or it is of an ordinal that the set wants: the ordinal has the volume.
    assert_eq!(steps(owner("uid-pod"), 1), Vec::<String>::new());
    assert_eq!(steps(owner("uid-gone"), 2), Vec::<String>::new());
}

fn held(name: &str) -> Value {
    with(claim(name), "/metadata/finalizers", json!(["kubernetes.io/pvc-protection", HOLD]))
}

fn deleted(object: Value) -> Value {
    with(object, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"))
}

/// A claim that was deleted while it is held: its volume is written first, so
/// that no release that was decided on before can still go through.
#[test]
fn a_held_claim_goes_when_its_volume_is_withheld_from_it() {
    let keep = delete::DeleteOptions { keep_volume: true, snapshot: None, min_idle: None };
    let next = |pv: Option<Value>, options: &delete::DeleteOptions| {
        let target = delete::Target {
            is_volume: false,
            namespace: Some("shop".to_owned()),
            name: "data-web-1".to_owned(),
            uid: None,
        };
        let world = delete::World {
            claim: Some(deleted(held("data-web-1"))),
            volume: pv,
            ..delete::World::default()
        };
        let steps = delete::plan(&target, &world, options, now()).expect("steps");
        format!("{:?}", steps[0])
    };
    let at_risk = volume("data-web-1", "Bound", "Delete");
    let write = next(Some(at_risk.clone()), &keep);
    for part in ["policy Delete -> Retain", CLAIM_DELETED, KEPT_POLICY] {
        assert!(write.contains(&part.replace('/', "~1")) || write.contains(part), "{write}");
    }
    let retained = with(at_risk.clone(), "/spec/persistentVolumeReclaimPolicy", json!("Retain"));
    let noted = with(retained, "/metadata/annotations", json!({KEPT_POLICY: "Delete"}));
    let write = next(Some(noted.clone()), &keep);
    assert!(write.contains("policy stays Retain") && !write.contains("kept-policy"), "{write}");
    let annotations = json!({KEPT_POLICY: "Delete", CLAIM_DELETED: "uid-data-web-1"});
    let withheld = with(noted, "/metadata/annotations", annotations);
    let write = next(Some(withheld), &keep);
    assert!(write.contains("RemoveHold") && write.contains("finalizers"), "{write}");
    // Of a volume that may not be read nothing is known; and where the data is
    // to go, it goes.
    let write = next(None, &keep);
    assert!(write.contains("AwaitDeletion") && write.contains(HOLD), "{write}");
    let lose = delete::DeleteOptions { keep_volume: false, ..keep };
    let write = next(Some(at_risk), &lose);
    assert!(write.contains("RemoveHold") && write.contains("finalizers"), "{write}");
}

fn adopt_names(steps: &[adopt::Step]) -> Vec<&'static str> {
    steps
        .iter()
        .map(|step| match step {
            adopt::Step::Protect(_) => "protect",
            adopt::Step::DeleteHolder(_) => "delete",
            adopt::Step::Reserve(_) => "reserve",
            adopt::Step::CreateClaim(_) => "create",
            adopt::Step::Hold(_) => "hold",
            adopt::Step::RestorePolicy(_) => "restore policy",
            adopt::Step::RemoveHold(_) => "remove hold",
            adopt::Step::Await(_) => "await",
        })
        .collect()
}

#[test]
fn a_volume_comes_back_step_by_step() {
    let plan = |objects: &[Value], pv: Value| {
        let (adoption, world) = adoption(objects, pv);
        adopt::plan(&adoption, &world, now()).map(|steps| adopt_names(&steps)).map_err(|no| no.id)
    };
    let released = volume("data-web-1", "Released", "Retain");
    assert_eq!(plan(&[], released.clone()), Ok(vec!["reserve", "create", "await"]));
    let at_risk = volume("data-web-1", "Released", "Delete");
    assert_eq!(plan(&[], at_risk), Ok(vec!["protect", "reserve", "create", "await", "await"]));
    let reserved = with(
        released.clone(),
        "/spec/claimRef",
        json!({"namespace": "shop", "name": "data-web-1"}),
    );
    assert_eq!(plan(&[], reserved.clone()), Ok(vec!["create", "await"]));
    // The claim is made, not bound yet; then bound, with a policy to return.
    let made = with(claim("data-web-1"), "/status/phase", json!("Pending"));
    assert_eq!(plan(std::slice::from_ref(&made), reserved), Ok(vec!["await"]));
    let kept = with(
        volume("data-web-1", "Bound", "Retain"),
        "/metadata/annotations",
        json!({KEPT_POLICY: "Delete"}),
    );
    let (free, held) = (claim("data-web-1"), held("data-web-1"));
    assert_eq!(plan(std::slice::from_ref(&free), kept.clone()), Ok(vec!["hold", "await"]));
    assert_eq!(plan(std::slice::from_ref(&held), kept.clone()), Ok(vec!["restore policy"]));
    let back = volume("data-web-1", "Bound", "Delete");
    assert_eq!(plan(std::slice::from_ref(&held), back.clone()), Ok(vec!["remove hold"]));
    assert_eq!(plan(std::slice::from_ref(&free), back.clone()), Ok(vec![]));
    assert_eq!(
        plan(std::slice::from_ref(&free), volume("data-web-1", "Bound", "Retain")),
        Ok(vec![])
    );
    // Somebody deletes the claim: nothing returns to it.
    for pv in [kept.clone(), back.clone()] {
        assert_eq!(plan(&[deleted(free.clone())], pv.clone()), Err(rules::UNFIT.id));
        assert_eq!(plan(&[deleted(held.clone())], pv), Ok(vec!["remove hold", "await"]));
    }
    // From an orphan of another name.
    let old = volume("data-old-1", "Bound", "Delete");
    assert_eq!(
        plan(&[claim("data-old-1")], old.clone()),
        Ok(vec!["protect", "hold", "delete", "await", "reserve", "create", "await", "await"])
    );
    // Not from one that is in use, not over another claim, not from elsewhere.
    assert_eq!(
        plan(&[claim("data-old-1"), pod("p", "Running", "data-old-1")], old),
        Err(rules::UNFIT.id)
    );
    assert_eq!(
        plan(&[claim("data-web-1")], volume("data-old-1", "Released", "Retain")),
        Err(rules::TAKEN.id)
    );
    let elsewhere = with(released.clone(), "/spec/claimRef/namespace", json!("bank"));
    assert_eq!(plan(&[], elsewhere), Err(rules::UNFIT.id));
    let leaving =
        with(released.clone(), "/metadata/deletionTimestamp", json!("2025-12-31T00:00:00Z"));
    assert_eq!(plan(&[], leaving), Err(rules::UNFIT.id));
    let moved =
        with(released, "/metadata/annotations", json!({"kubectl-stateful.dev/migration": "{}"}));
    assert_eq!(plan(&[], moved), Err(rules::UNFIT.id));
}
