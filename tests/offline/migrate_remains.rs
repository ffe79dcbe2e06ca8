//! What is left of a migration without a journal: whose it is, and what clears it.

use kubectl_stateful::{
    cluster::Resource,
    migrate::remains::{Found, Next, Remains, Way, remains},
};
use serde_json::{Value, json};

const MARK: &str = "kubectl-stateful.dev/migration";

fn claim(name: &str, uid: &str, phase: &str, marked: bool) -> Value {
    let annotations = if marked { json!({MARK: "op1"}) } else { json!({}) };
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "resourceVersion": "1",
            "annotations": annotations,
        },
        "spec": {"volumeName": "pv"}, "status": {"phase": phase},
    })
}

/// Protected for a migration from claim `old` to `data-db-0`, and held for this uid.
fn volume(holder: &str) -> Value {
    let tag = json!({
        "op": "op1", "namespace": "shop", "journal": "kubectl-stateful-migrate-db",
        "policy": "Delete", "old": {"name": "old", "uid": "u-old"}, "new": "data-db-0",
    });
    json!({
        "metadata": {
            "name": "pv", "uid": "u-pv", "resourceVersion": "1",
            "annotations": {MARK: tag.to_string()},
        },
        "spec": {
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"uid": holder, "namespace": "shop"},
        },
        "status": {"phase": "Bound"},
    })
}

fn set(replicas: u32) -> Value {
    json!({
        "metadata": {
            "name": "db", "namespace": "shop", "uid": "u-set", "resourceVersion": "1",
            "generation": 1, "labels": {MARK: "op1"},
        },
        "spec": {"replicas": replicas}, "status": {"replicas": replicas},
    })
}

fn journal(name: &str, op: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "annotations": {MARK: op}}})
}

fn found(objects: &[(Resource, Value)], claims: &[Value]) -> Found {
    Found { objects: objects.to_vec(), claims: claims.to_vec(), journals: Vec::new() }
}

pub fn claim_without_a_journal() -> Found {
    found(&[], &[claim("data-db-0", "u-new", "Pending", true)])
}

#[track_caller]
fn only(found: &Found) -> Remains {
    let all = remains(found);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().expect("one")
}

fn lines(one: &Remains) -> Vec<String> {
    one.remnants().into_iter().map(|one| one.line).collect()
}

#[test]
fn what_has_its_journal_is_not_left() {
    let mut found = claim_without_a_journal();
    found.objects.push((Resource::VOLUME, volume("u-old")));
    found.claims.push(claim("old", "u-old", "Bound", false));
    found.journals = vec![journal("kubectl-stateful-migrate-db", "op1")];
    assert!(remains(&found).is_empty());
    // The journal of the next migration to the same set is another one.
    found.journals = vec![journal("kubectl-stateful-migrate-db", "op2")];
    assert_eq!(remains(&found).len(), 1);
    // A scaling has none.
    let mut scaling = claim_without_a_journal();
    scaling.claims[0]["metadata"]["annotations"][MARK] = json!("scale-1");
    assert!(remains(&scaling).is_empty());
}

/// A volume under its old claim gets its policy back only while the claim is held.
#[test]
fn a_protected_volume_goes_back_as_in_every_handover() {
    let mut old = claim("old", "u-old", "Bound", false);
    let one = only(&found(&[(Resource::VOLUME, volume("u-old"))], std::slice::from_ref(&old)));
    assert_eq!(one.way, Way::Back);
    assert_eq!(lines(&one), ["kubectl stateful migrate rollback sts/db -n shop"]);
    let Next::Write(hold) = one.next() else { panic!("{:?}", one.next()) };
    old = hold.applied_to(Some(&old)).expect("it");
    assert_eq!(old["metadata"]["finalizers"], json!(["kubectl-stateful.dev/policy-returns"]));

    let volume = volume("u-old");
    let one = only(&found(&[(Resource::VOLUME, volume.clone())], std::slice::from_ref(&old)));
    let Next::Write(release) = one.next() else { panic!("{:?}", one.next()) };
    let released = release.applied_to(Some(&volume)).expect("it");
    assert_eq!(released["spec"]["persistentVolumeReclaimPolicy"], "Delete");

    // Killed here, the claim has the mark, and is let go.
    let one = only(&found(&[(Resource::VOLUME, released)], std::slice::from_ref(&old)));
    let Next::Write(clean) = one.next() else { panic!("{:?}", one.next()) };
    let clean = clean.applied_to(Some(&old)).expect("it");
    assert_eq!(clean["metadata"]["finalizers"], json!([]));
    assert!(remains(&found(&[], &[clean])).is_empty());
}

#[test]
fn what_holds_no_data_is_deleted_and_nothing_else() {
    let empty = only(&found(
        &[(Resource::STATEFUL_SET, set(0))],
        &[claim("data-db-0", "u-new", "Pending", true)],
    ));
    assert_eq!(empty.way, Way::Back);
    for line in lines(&empty) {
        assert_eq!(line, "kubectl stateful migrate rollback sts/db -n shop");
    }
    let Next::Write(first) = empty.next() else { panic!("{:?}", empty.next()) };
    assert!(first.is_deletion());
    // Nothing tells the name of the set.
    let lone = only(&claim_without_a_journal());
    assert_eq!(lines(&lone), ["kubectl delete pvc/data-db-0 -n shop"]);
    // A copy has data.
    let copy = only(&found(&[], &[claim("data-db-0", "u-new", "Bound", true)]));
    assert_eq!(copy.next(), Next::Done);
    assert_eq!(lines(&copy), ["kubectl delete pvc/data-db-0 -n shop"]);
}

#[test]
fn a_set_that_has_the_volumes_keeps_them() {
    let claims = [claim("data-db-0", "u-new", "Bound", true)];
    let objects = [(Resource::VOLUME, volume("u-new")), (Resource::STATEFUL_SET, set(1))];
    let one = only(&found(&objects, &claims));
    assert_eq!(one.way, Way::On);
    let finalize = "kubectl stateful migrate finalize sts/db -n shop";
    assert!(lines(&one).iter().any(|line| line == finalize), "{:?}", lines(&one));
    let mut now = found(&objects, &claims);
    // To its end, nothing is deleted.
    while let Some(Next::Write(write)) = remains(&now).first().map(Remains::next) {
        assert!(!write.is_deletion(), "{write:?}");
        let name = write.object().name.clone();
        let all = now.objects.iter_mut().map(|(_, one)| one).chain(&mut now.claims);
        let target = all.into_iter().find(|one| one["metadata"]["name"] == name.as_str());
        let target = target.expect("the object");
        *target = write.applied_to(Some(target)).expect("it stays");
    }
    assert!(remains(&now).is_empty(), "{now:#?}");
    assert_eq!(now.objects[0].1["spec"]["persistentVolumeReclaimPolicy"], "Delete");
}

/// Where nobody can tell, no verb touches anything, and every line is for a person.
#[test]
fn what_cannot_be_judged_is_left() {
    let released = only(&found(&[(Resource::VOLUME, volume("u-gone"))], &[]));
    assert_eq!(released.next(), Next::Done);
    assert_eq!(lines(&released), [format!("kubectl annotate persistentvolume/pv {MARK}-")]);

    let mut second = volume("u-old");
    second["metadata"]["name"] = json!("pv-2");
    let mixed = only(&found(
        &[(Resource::VOLUME, volume("u-new")), (Resource::VOLUME, second)],
        &[claim("data-db-0", "u-new", "Bound", true), claim("old", "u-old", "Bound", false)],
    ));
    assert_eq!((mixed.way, mixed.next()), (Way::Open, Next::Done));
    assert!(lines(&mixed).iter().all(|line| !line.contains("stateful migrate")));
}
