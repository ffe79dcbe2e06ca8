//! What `orphans` says of clusters that somebody has meddled with: each case
//! was once said wrongly. A dump, as a user would have it, and the whole
//! program.

use kubectl_stateful::{
    handover::Held,
    orphans::delete::{Data, found_of},
};
use serde_json::{Value, json};

use super::{cli::run, words};

const LONG_AGO: &str = "2025-01-01T00:00:00Z";

fn meta(name: &str) -> Value {
    json!({
        "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
        "creationTimestamp": LONG_AGO, "labels": {"app": "web"},
    })
}

fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta(name),
        "spec": {
            "accessModes": ["ReadWriteOnce"], "volumeName": format!("pv-{name}"),
            "storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}},
    })
}

fn volume(claim: &str, phase: &str, policy: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": format!("pv-{claim}"), "uid": format!("uid-pv-{claim}"),
            "creationTimestamp": LONG_AGO,
        },
        "spec": {
            "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast", "persistentVolumeReclaimPolicy": policy,
            "claimRef": {"namespace": "shop", "name": claim, "uid": format!("uid-{claim}")},
            "csi": {"driver": "disks.example.com", "volumeHandle": format!("disk-{claim}")},
        },
        "status": {"phase": phase},
    })
}

fn set(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta(name),
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": []}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        },
    })
}

fn pod(name: &str, phase: &str, claim: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": meta(name),
        "spec": {
            "nodeName": "a", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
        },
        "status": {"phase": phase},
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    object.pointer_mut(parent).expect("a parent")[key] = value;
    object
}

fn deleted(object: Value) -> Value {
    let object = with(object, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    with(object, "/metadata/finalizers", json!(["kubernetes.io/pvc-protection"]))
}

fn hpa(kind: &str, target: &str, most: u32) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta("h"),
        "spec": {"maxReplicas": most, "scaleTargetRef": {"kind": kind, "name": target}},
    })
}

fn operated(set: Value) -> Value {
    let owner = json!([{
        "apiVersion": "db.example.com/v1", "kind": "Database", "name": "shop-db", "uid": "d-1",
        "controller": true,
    }]);
    with(set, "/metadata/ownerReferences", owner)
}

fn text(objects: &[Value], words: &[&str]) -> (String, String, Option<i32>) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let all: Vec<&str> =
        ["orphans", "-f", "-", "-n", "shop"].iter().chain(words).copied().collect();
    run(&all, &list)
}

fn report(objects: &[Value]) -> Value {
    let (stdout, stderr, _) = text(objects, &["--complete", "-o", "json"]);
    serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"))
}

/// Class and whether it is an orphan, by name, and everything that is said.
fn said(objects: &[Value], name: &str) -> (String, bool, String) {
    let report = report(objects);
    let items = report["items"].as_array().expect("items");
    let row = items.iter().find(|item| item["name"] == name);
    let row = row.unwrap_or_else(|| panic!("no row of {name}: {report:#}"));
    let class = row["class"].as_str().expect("a class").to_owned();
    (class, row["orphan"] == true, format!("{row}{}", report["reasons"]))
}

fn hints(report: &Value) -> Vec<String> {
    let reasons = report["reasons"].as_array().expect("reasons");
    let hints = reasons.iter().filter_map(|one| one["hint"].as_str());
    hints.map(str::to_owned).inspect(|hint| words::read_if_ours(hint)).collect()
}

#[test]
fn a_claim_that_is_being_deleted_is_no_orphan_while_a_pod_uses_it() {
    let objects = |policy: &str| {
        [
            set("web", 1),
            deleted(claim("data-web-0")),
            pod("web-0", "Running", "data-web-0"),
            volume("data-web-0", "Bound", policy),
            claim("data-web-1"),
            volume("data-web-1", "Bound", "Delete"),
            pod("other", "Running", "data-web-1"),
        ]
    };
    let (class, orphan, all) = said(&objects("Delete"), "data-web-0");
    assert_eq!((class.as_str(), orphan), ("terminating-in-use", false));
    assert!(all.contains("pod web-0 uses it") && all.contains("destroyed"), "{all}");
    let found = report(&objects("Delete"));
    assert_eq!(found["totals"]["read"]["used"], 2, "both are in use: {found:#}");
    assert!(
        hints(&found).iter().any(|hint| hint.contains("orphans delete pvc/data-web-0")),
        "{found:#}"
    );
    let (_, _, all) = said(&objects("Retain"), "data-web-0");
    assert!(!all.contains("destroyed"), "{all}");
    assert_eq!(text(&objects("Delete"), &["--complete", "--fail-on", "any"]).2, Some(0));
    // Whether a pod uses it is not known without the pods.
    let blind = [set("web", 1), deleted(claim("data-web-0"))];
    let (stdout, _, _) = text(&blind, &["-o", "json"]);
    let blind: Value = serde_json::from_str(&stdout).expect("a report");
    assert_eq!(blind["items"][0]["class"], "unknown", "{blind:#}");
}

/// Its claim was deleted and the finalizers stripped, as advice for stuck claims
/// goes; the pod writes on.
#[test]
fn a_volume_that_a_running_pod_writes_to_is_no_orphan() {
    let released = volume("data-web-0", "Released", "Retain");
    let (class, orphan, all) = said(
        &[set("web", 1), released.clone(), pod("web-0", "Running", "data-web-0")],
        "pv-data-web-0",
    );
    assert_eq!((class.as_str(), orphan), ("pv-in-use", false));
    assert!(all.contains("pod web-0"), "{all}");
    // The pod that runs is younger than the claim that was made again: it has
    // the new volume.
    let young =
        |object: Value| with(object, "/metadata/creationTimestamp", json!("2026-02-01T00:00:00Z"));
    let again = with(claim("data-web-0"), "/metadata/uid", json!("another"));
    let again = with(young(again), "/spec/volumeName", json!("pv-new"));
    let pod_of = |pod: Value| [set("web", 1), released.clone(), again.clone(), pod];
    let running = pod("web-0", "Running", "data-web-0");
    assert_eq!(said(&pod_of(young(running.clone())), "pv-data-web-0").0, "pv-released");
    assert_eq!(said(&pod_of(running), "pv-data-web-0").0, "pv-in-use");
    // One that has no node yet, or has finished, writes nothing.
    let waiting = with(pod("web-0", "Pending", "data-web-0"), "/spec/nodeName", json!(""));
    for pod in [waiting, pod("web-0", "Succeeded", "data-web-0")] {
        assert_eq!(said(&[set("web", 1), released.clone(), pod], "pv-data-web-0").0, "pv-released");
    }
    let attached = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": "a"},
        "spec": {"source": {"persistentVolumeName": "pv-data-web-0"}, "nodeName": "node-a"},
    });
    let (class, orphan, all) = said(&[set("web", 1), released.clone(), attached], "pv-data-web-0");
    assert_eq!((class.as_str(), orphan), ("pv-in-use", false), "{all}");
    // Neither may be left unread in silence.
    let (stdout, _, code) =
        text(&[set("web", 1), released, pod("p", "Running", "x")], &["-o", "json"]);
    let blind: Value = serde_json::from_str(&stdout).expect("a report");
    assert_eq!(code, Some(8));
    assert_eq!(blind["items"][0]["class"], "unknown", "{blind:#}");
    assert!(blind["incomplete"].to_string().contains("volumeattachments"), "{blind:#}");
}

#[test]
fn two_volumes_on_one_disk_are_told() {
    let twin = |source: Value| {
        let one = volume("data-web-0", "Bound", "Delete");
        let other = volume("old", "Released", "Delete");
        [one, other].map(|mut pv| {
            let spec = pv["spec"].as_object_mut().expect("a spec");
            spec.remove("csi");
            spec.extend(source.as_object().expect("a source").clone());
            pv
        })
    };
    for source in [
        json!({"csi": {"driver": "d", "volumeHandle": "h"}}),
        json!({"hostPath": {"path": "/data"}}),
        json!({"local": {"path": "/data"}}),
        json!({"nfs": {"server": "s", "path": "/x"}}),
        json!({"iscsi": {"targetPortal": "p", "iqn": "i", "lun": 0}}),
        json!({"awsElasticBlockStore": {"volumeID": "v"}}),
    ] {
        let [bound, released] = twin(source.clone());
        let objects = [
            set("web", 1),
            claim("data-web-0"),
            pod("web-0", "Running", "data-web-0"),
            bound.clone(),
            released,
        ];
        let (class, orphan, all) = said(&objects, "pv-old");
        assert_eq!((class.as_str(), orphan), ("pv-in-use", false), "{source}");
        assert!(all.contains("pv-data-web-0"), "{all}");
        // Of a claim too.
        let orphan = [
            set("web", 1),
            claim("data-web-3"),
            with(bound, "/spec/claimRef/name", json!("data-web-0")),
            with(volume("data-web-3", "Bound", "Delete"), "/spec", {
                let mut spec = twin(source.clone())[0]["spec"].clone();
                spec["claimRef"]["name"] = json!("data-web-3");
                spec["claimRef"]["uid"] = json!("uid-data-web-3");
                spec
            }),
        ];
        let (_, _, all) = said(&orphan, "data-web-3");
        assert!(all.contains("pv-data-web-0") && all.contains("\"confidence\":\"low\""), "{all}");
    }
    // Another path is another disk.
    let [one, other] = twin(json!({"nfs": {"server": "s", "path": "/x"}}));
    let other = with(other, "/spec/nfs/path", json!("/y"));
    assert_eq!(said(&[one, other], "pv-old").0, "pv-released");
}

#[test]
fn a_volume_that_was_deleted_does_not_stay() {
    let gone =
        with(volume("x", "Released", "Retain"), "/metadata/deletionTimestamp", json!(LONG_AGO));
    let gone = with(gone, "/metadata/finalizers", json!(["example.com/hold"]));
    let (class, _, all) = said(&[gone], "pv-x");
    assert_eq!(class, "terminating-stuck");
    assert!(!all.contains("it stays") && all.contains("example.com/hold"), "{all}");
    let bound = with(
        volume("data-web-3", "Bound", "Delete"),
        "/metadata/deletionTimestamp",
        json!(LONG_AGO),
    );
    let (_, _, all) = said(&[set("web", 1), claim("data-web-3"), bound], "data-web-3");
    assert!(all.contains("its volume pv-data-web-3 is being deleted"), "{all}");
}

#[test]
fn an_operator_is_named_and_its_autoscaler_counts() {
    let beyond = [operated(set("web", 1)), claim("data-web-3")];
    let (class, _, all) = said(&beyond, "data-web-3");
    assert_eq!(class, "ordinal-beyond");
    assert!(
        all.contains("Database shop-db owns web") && all.contains("\"confidence\":\"low\""),
        "{all}"
    );
    assert_eq!(
        hints(&report(&beyond)).iter().filter(|hint| hint.contains("orphans delete")).count(),
        0
    );
    let scaled = [operated(set("web", 1)), claim("data-web-3"), hpa("Database", "shop-db", 2)];
    let (class, orphan, all) = said(&scaled, "data-web-3");
    assert_eq!((class.as_str(), orphan), ("elastic", false));
    assert!(all.contains("Database shop-db"), "{all}");
}

#[test]
fn a_pod_template_names_claims_and_a_custom_resource_may() {
    let template = json!({
        "apiVersion": "v1", "kind": "PodTemplate", "metadata": meta("t"),
        "template": {"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}]}},
    });
    let found = report(&[claim("x"), template]);
    assert_eq!(found["items"], json!([]), "{found:#}");
    assert_eq!(found["totals"]["read"]["referenced"], 1);
    // A kind that nobody here knows names it: it is in no line to paste.
    let custom = json!({
        "apiVersion": "backups.example.com/v1", "kind": "Backup", "metadata": meta("b"),
        "spec": {"claim": "x"},
    });
    let found = report(&[claim("x"), custom]);
    assert!(found["items"][0].to_string().contains("backups.example.com"), "{found:#}");
    assert!(!hints(&found).iter().any(|hint| hint.contains("orphans delete")), "{found:#}");
}

/// Every claim that is offered is in the line, whole, with its namespace.
#[test]
fn a_line_to_paste_names_all_of_them() {
    let mut objects = vec![set("web", 1)];
    objects.extend((1..=12).map(|ordinal| claim(&format!("data-web-{ordinal}"))));
    let hint = hints(&report(&objects))
        .into_iter()
        .find(|hint| hint.contains("orphans delete"))
        .expect("a line");
    for ordinal in 1..=12 {
        assert!(format!("{hint} ").contains(&format!("pvc/data-web-{ordinal} ")), "{hint}");
    }
    let elsewhere: Vec<Value> =
        objects.iter().map(|one| with(one.clone(), "/metadata/namespace", json!("bank"))).collect();
    let both = [objects, elsewhere].concat();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": both});
    let (stdout, _, _) =
        run(&["orphans", "-f", "-", "-A", "--complete", "-o", "json"], &list.to_string());
    let found: Value = serde_json::from_str(&stdout).expect("a report");
    let hint =
        hints(&found).into_iter().find(|hint| hint.contains("orphans delete")).expect("a line");
    assert!(
        hint.contains("bank/pvc/data-web-12") && hint.contains("shop/pvc/data-web-1 "),
        "{hint}"
    );
    let (stdout, _, _) =
        run(&["orphans", "-f", "-", "-A", "--complete", "-o", "name"], &list.to_string());
    assert!(stdout.contains("shop/persistentvolumeclaim/data-web-1\n"), "{stdout}");
}

#[test]
fn what_a_scale_up_mounts_again_is_counted_right() {
    let pending = with(claim("data-web-2"), "/status/phase", json!("Pending"));
    let lost = with(claim("data-web-4"), "/status/phase", json!("Lost"));
    let objects = [set("web", 1), claim("data-web-1"), pending, claim("data-web-3"), lost];
    let found = report(&objects);
    let reasons = found["reasons"].as_array().expect("reasons");
    let readopted = reasons.iter().find(|one| one["id"] == "ORPHANS-READOPTED").expect("it");
    let message = readopted["message"].as_str().expect("words");
    assert!(message.contains("data-web-1 (at 2 replicas)"), "{message}");
    assert!(message.contains("data-web-3 (at 4 replicas)"), "{message}");
    assert!(!message.contains("data-web-2") && !message.contains("data-web-4"), "{message}");
}

#[test]
fn a_disk_is_counted_once() {
    // A claim that still has its volume, which could not be reclaimed.
    let objects = [set("web", 1), claim("data-web-3"), volume("data-web-3", "Failed", "Delete")];
    let found = report(&objects);
    assert_eq!(found["totals"]["orphans"]["bytes"], 2_u64 << 30, "{found:#}");
}

/// Nobody asked, or nothing was read: that is no "none".
#[test]
fn nothing_is_said_of_what_was_not_read() {
    let (stdout, _, code) = text(&[set("web", 1)], &[]);
    assert_eq!(code, Some(8));
    assert!(!stdout.contains("No orphans"), "{stdout}");
    assert!(
        stdout.contains("cannot tell") && stdout.contains("persistentvolumeclaims"),
        "{stdout}"
    );
    // A namespace that nothing in the input is in.
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [set("web", 1), claim("x")]})
        .to_string();
    let (_, stderr, code) = run(&["orphans", "-f", "-", "-n", "typo", "--complete"], &list);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("typo") && stderr.contains("shop"), "{stderr}");
    // In every format.
    let (stdout, stderr, code) = text(&[set("web", 1)], &["-o", "name"]);
    assert_eq!((stdout.as_str(), code), ("", Some(8)));
    assert!(stderr.contains("persistentvolumeclaims"), "{stderr}");
    // Volumes are only missed where there are any.
    let pending = with(claim("x"), "/spec/volumeName", json!(""));
    let kinds = [
        "Pod",
        "Deployment",
        "ReplicaSet",
        "ReplicationController",
        "DaemonSet",
        "Job",
        "CronJob",
        "HorizontalPodAutoscaler",
        "PodTemplate",
    ];
    let all: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            let version = match *kind {
                "Pod" | "ReplicationController" | "PodTemplate" => "v1",
                "Job" | "CronJob" => "batch/v1",
                "HorizontalPodAutoscaler" => "autoscaling/v2",
                _ => "apps/v1",
            };
            json!({"apiVersion": version, "kind": kind, "metadata": meta("o"), "spec": {"maxReplicas": 1}})
        })
        .chain([set("web", 1), pending])
        .collect();
    let (stdout, _, code) = text(&all, &[]);
    assert_eq!(code, Some(0), "{stdout}");
}

/// Each kind that is not in the input, in turn: nothing is as sure as with it, and
/// nothing stands in a line to paste.
#[test]
fn no_kind_can_be_taken_away_unnoticed() {
    let kinds = [
        ("v1", "PersistentVolume"),
        ("v1", "Pod"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "ReplicationController"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
        ("v1", "PodTemplate"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("storage.k8s.io/v1", "VolumeAttachment"),
    ];
    let whole = |without: &str| -> (String, String, Vec<String>) {
        let others = kinds.iter().filter(|(_, kind)| *kind != without);
        let mut objects: Vec<Value> = others
            .filter(|(_, kind)| !["PersistentVolume", "StatefulSet"].contains(kind))
            .map(|(version, kind)| {
                json!({"apiVersion": version, "kind": kind, "metadata": meta("o"), "spec": {"maxReplicas": 1}})
            })
            .collect();
        objects.push(claim("data-web-1"));
        if without != "StatefulSet" {
            objects.push(set("web", 1));
        }
        if without != "PersistentVolume" {
            objects.push(volume("data-web-1", "Bound", "Delete"));
            objects.push(volume("gone", "Released", "Retain"));
        }
        let (stdout, stderr, _) = text(&objects, &["-o", "json"]);
        let found: Value =
            serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
        let row = found["items"]
            .as_array()
            .and_then(|items| items.iter().find(|item| item["name"] == "data-web-1"))
            .unwrap_or_else(|| panic!("no row without {without}: {found:#}"));
        let word = |key: &str| row[key].as_str().expect("a word").to_owned();
        (word("class"), word("confidence"), hints(&found))
    };
    let (class, confidence, lines) = whole("");
    assert_eq!((class.as_str(), confidence.as_str()), ("ordinal-beyond", "high"));
    let deletes = |lines: &[String]| lines.iter().any(|line| line.contains("orphans delete"));
    assert!(deletes(&lines), "{lines:?}");
    for (_, kind) in kinds {
        let (class, confidence, lines) = whole(kind);
        let is_less = class == "unknown" || confidence != "high";
        assert!(is_less, "without {kind}: {class}, {confidence}");
        assert!(!deletes(&lines), "without {kind}: {lines:?}");
    }
}

#[test]
fn one_sibling_has_and_several_have() {
    let gone = |count: u32| -> Vec<Value> {
        (0..count).map(|ordinal| claim(&format!("www-gone-{ordinal}"))).collect()
    };
    let (class, _, all) = said(&gone(2), "www-gone-0");
    assert_eq!(class, "set-gone");
    assert!(all.contains("www-gone-1 has the same labels"), "{all}");
    let (_, _, all) = said(&gone(3), "www-gone-0");
    assert!(all.contains("www-gone-1, www-gone-2 have the same labels"), "{all}");
}

/// A filter that leaves nothing is no answer to whether there are orphans.
#[test]
fn a_filter_is_named_where_it_leaves_nothing() {
    let objects = [set("web", 1), claim("data-web-1"), claim("data-web-2")];
    let said = |words: &[&str]| text(&objects, &[&["--complete"], words].concat()).0;
    let cases: [(&[&str], &str); 3] = [
        (&["--class", "lost,parked"], "--class lost,parked"),
        (&["--older-than", "9999d"], "--older-than"),
        (&["-l", "nope=1"], "-l nope=1"),
    ];
    for (words, named) in cases {
        let stdout = said(words);
        assert!(stdout.contains("none of 2 orphans in shop matches"), "{stdout}");
        assert!(stdout.contains(named), "{stdout}");
        assert!(!stdout.contains("No orphans"), "{stdout}");
    }
    let all = said(&["--class", "ordinal-beyond"]);
    assert!(all.contains("2 of 2 orphans, "), "{all}");
    assert!(all.contains("match --class ordinal-beyond"), "{all}");
    // The sum is wrapped as everything else is.
    let long = "ordinal-beyond,ordinal-below-start,set-gone,template-renamed,owner-gone,lost";
    let stdout = said(&["--class", long, "--older-than", "9999d", "-l", "app=a-long-name"]);
    assert!(stdout.lines().all(|line| line.chars().count() <= 100), "{stdout}");
    // Of one ordinal, and what could not be read.
    let stdout = said(&["-o", "wide"]);
    assert!(stdout.contains("2 replicas") && !stdout.contains("1 replicas"), "{stdout}");
    let (stdout, _, code) = text(&[set("web", 1), claim("data-web-0")], &["web"]);
    assert_eq!(code, Some(8), "{stdout}");
    assert!(stdout.contains("No orphans of web in shop, as far as could be read"), "{stdout}");
}

#[test]
fn a_price_of_no_class_is_told() {
    let objects = [set("web", 1), claim("data-web-3"), volume("data-web-3", "Bound", "Delete")];
    let (stdout, _, _) = text(&objects, &["--complete", "--price", "fats=0.1", "-o", "json"]);
    assert!(stdout.contains("fats"), "{stdout}");
    let (stdout, _, _) = text(&objects, &["--complete", "--price", "fast=0.1", "-o", "json"]);
    assert!(!stdout.contains("ORPHANS-NO-SUCH-CLASS"), "{stdout}");
}

#[test]
fn the_table_keeps_to_its_columns() {
    let long = "data-elasticsearch-master-production-";
    let objects = [
        claim(&format!("{long}1")),
        volume(&format!("{long}1"), "Bound", "Delete"),
        with(
            volume("x", "Released", "Retain"),
            "/metadata/name",
            json!("pvc-3f9a1c0b-2f63-4c7c-9d4f-8b1f6f6d0a01"),
        ),
    ];
    let (stdout, _, _) = text(&objects, &["--complete"]);
    for line in stdout.lines().filter(|line| !line.contains('→')) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(stdout.contains(&format!("pvc/{long}1 ")), "a name is never cut: {stdout}");
}

/// While a deletion was under way somebody gave the volume to another claim: it
/// stays, whatever its policy is by now.
#[test]
fn a_volume_that_was_adopted_meanwhile_is_not_called_destroyed() {
    let volume = |policy: &str, holder: &str| {
        json!({
            "metadata": {"name": "pv-1", "uid": "pv-uid"},
            "spec": {"persistentVolumeReclaimPolicy": policy, "claimRef": {"uid": holder}},
        })
    };
    let held = Held { name: "pv-1".to_owned(), uid: "pv-uid".to_owned() };
    for (policy, holder, wanted) in [
        ("Delete", "another", Data::Kept),
        ("Delete", "old", Data::Doomed),
        ("Delete", "", Data::Doomed),
        ("Retain", "old", Data::Kept),
    ] {
        let found = volume(policy, holder);
        let data = found_of(&held, Some("old"), Some(&found), true);
        assert_eq!(data, wanted, "{policy} {holder}");
    }
    let mut leaving = volume("Delete", "another");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(found_of(&held, Some("old"), Some(&leaving), true), Data::Doomed);
}
