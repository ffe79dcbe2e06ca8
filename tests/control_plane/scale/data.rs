//! What becomes of disks.

use super::{
    super::support::{SNAPSHOT_CLASS, csi, report_snapshot, snapshot_of, snapshots},
    *,
};

fn volume(namespace: &Namespace, picture: &Picture, claim: &str) -> Option<Value> {
    let path = format!("/api/v1/persistentvolumes/{}", picture.claims[claim].1);
    namespace.cluster().api().get(&path)
}

/// Without us the disk is gone; we refuse, and with --retain it stays.
#[test]
fn a_set_that_deletes_claims_is_told_to_keep_them() {
    let control = made("scale-control-data", 2, deletes);
    let was = Picture::of(&control);
    control.kubectl(["scale", "sts/web", "--replicas=1"]).output().expect(0);
    wait_for(SOON, "the claim and its volume to be gone", || {
        let gone = !Picture::of(&control).claims.contains_key("www-web-1");
        (gone && volume(&control, &was, "www-web-1").is_none()).then_some(())
    });

    let namespace = made("scale-retain", 3, deletes);
    let before = Picture::of(&namespace);
    let refused = ends(&namespace, "--replicas 1 -o json", 4);
    assert_eq!(reason_ids(&refused), ["SCALE-DESTROYS-DATA", "SCALE-DESTROYS-DATA"]);
    assert!(refused.stdout.contains("stateful.test/directory"), "by whom: {refused}");
    assert_eq!(Picture::of(&namespace), before);
    let refused = ends(&namespace, "--replicas 1 --snapshot any -o json", 4);
    assert!(reason_ids(&refused).contains(&"SCALE-SNAPSHOT-NEEDS-CLAIM".to_owned()), "{refused}");

    ends(&namespace, "--replicas 1 --retain", 0);
    let now = Picture::of(&namespace);
    now.is_down_to(1, &before);
    assert_eq!(now.when_scaled, "Retain");
    // Neither later.
    namespace.wait_until_observed("web");
    let later = Picture::of(&namespace);
    later.is_down_to(1, &before);
    let nobody_owns = |picture: &Picture| {
        for claim in ["www-web-1", "www-web-2"] {
            assert!(picture.claims[claim].2.is_null(), "{claim} has an owner");
            let disk = volume(&namespace, picture, claim).expect("the volume");
            assert_eq!(disk["status"]["phase"], "Bound");
        }
    };
    nobody_owns(&later);
    // Back to Delete: what is out of the range already is left alone.
    edit(
        &namespace,
        &json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}}),
    );
    namespace.wait_until_observed("web");
    let later = Picture::of(&namespace);
    later.is_down_to(1, &before);
    nobody_owns(&later);
}

#[test]
fn data_that_is_not_wanted_goes_when_that_is_said() {
    let namespace = made("scale-destroys", 2, deletes);
    let was = Picture::of(&namespace);
    let output = ends(&namespace, "--replicas 1 --allow SCALE-DESTROYS-DATA", 0);
    assert!(output.stdout.contains("DESTROYED"), "{output}");
    assert!(!output.stdout.contains("undo"), "nothing undoes that: {output}");
    wait_for(SOON, "claim and volume to be gone", || {
        let gone = !Picture::of(&namespace).claims.contains_key("www-web-1");
        (gone && volume(&namespace, &was, "www-web-1").is_none()).then_some(())
    });
}

#[test]
fn a_volume_that_is_retained_loses_its_claim_only() {
    let namespace = made("scale-claim-goes", 2, |set| {
        claims(set, "standard-retain");
        deletes(set);
    });
    let was = Picture::of(&namespace);
    let output = ends(&namespace, "--replicas 1", 0);
    assert!(output.stderr.contains("SCALE-CLAIM-GOES"), "{output}");
    wait_for(SOON, "the volume to be Released", || {
        let disk = volume(&namespace, &was, "www-web-1").expect("the volume");
        (disk["status"]["phase"] == "Released").then_some(())
    });
}

/// The claim of a generic ephemeral volume is its pod's: it is no orphan, the plan
/// shows it, and it goes with the pod.
#[test]
fn the_claim_of_an_ephemeral_volume_goes_with_its_pod() {
    let namespace = made("scale-ephemeral", 2, |set| {
        let spec = json!({
            "accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
            "resources": {"requests": {"storage": "1Gi"}},
        });
        let ephemeral = json!({"volumeClaimTemplate": {"spec": spec}});
        set["spec"]["template"]["spec"]["volumes"] =
            json!([{"name": "scratch", "ephemeral": ephemeral}]);
    });
    let claim = "web-1-scratch";
    let exists = || namespace.get("v1", "persistentvolumeclaims", claim).is_some();
    assert!(exists(), "Kubernetes makes it");
    let report = support::document(&namespace.stateful(["orphans", "-o", "json"]).output());
    let items = report["items"].as_array().expect("items");
    assert!(!items.iter().any(|item| item["name"] == claim), "{report:#}");
    let refused = namespace.stateful(["orphans", "delete", claim, "--yes"]).output().expect(4);
    assert!(refused.stderr.contains("pod web-1 uses"), "{refused}");
    let plan = support::document(&ends(&namespace, "--replicas 1 --dry-run -o json", 0));
    let disks = plan["items"][0]["claims"].as_array().expect("claims");
    let shown = disks.iter().find(|disk| disk["claim"] == claim);
    assert_eq!(shown.map(|disk| disk["fate"].clone()), Some(json!("ephemeral")), "{plan:#}");
    ends(&namespace, "--replicas 1", 0);
    wait_for(SOON, "the claim to be gone", || (!exists()).then_some(()));
}

/// Old disks come back only when that is said, and can be set aside.
#[test]
fn claims_from_before_are_asked_about() {
    let namespace = made("scale-readopt", 3, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, "--replicas 1", 0);
    let refused = ends(&namespace, "--replicas 3 -o json", 4);
    assert_eq!(reason_ids(&refused), ["SCALE-READOPTS-DATA", "SCALE-READOPTS-DATA"]);
    assert_eq!(Picture::of(&namespace).replicas, 1);
    ends(&namespace, "--replicas 2 --allow SCALE-READOPTS-DATA", 0);
    assert_eq!(Picture::of(&namespace).claims, before.claims);

    ends(&namespace, "--replicas 3 --fresh", 0);
    let now = Picture::of(&namespace);
    assert_eq!(now.claims["www-web-1"], before.claims["www-web-1"], "it was in use");
    let (uid, disk, _) = &now.claims["www-web-2"];
    let (old_uid, old_disk, _) = &before.claims["www-web-2"];
    assert!(uid != old_uid && disk != old_disk);
    is_aside(&namespace, &now, old_disk);
    assert!(!now.annotated);
}

/// Killed while the claim that it deleted is still on its way out: that is no
/// reason to refuse the same command.
#[test]
fn a_claim_that_is_being_set_aside_is_waited_for() {
    let namespace = made("scale-fresh-held", 3, |_| {});
    ends(&namespace, "--replicas 2", 0);
    let before = Picture::of(&namespace);
    let path = namespace.path("v1", "persistentvolumeclaims", "www-web-2");
    let held = |by: Value| {
        namespace.cluster().api().patch(&path, &json!({"metadata": {"finalizers": by}}));
    };
    held(json!(["stateful.test/hold"]));
    let leaves = || {
        let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-2")?;
        claim["metadata"]["deletionTimestamp"].is_string().then_some(())
    };
    let running = scale(&namespace, "--replicas 3 --fresh").start();
    wait_for(SOON, "the claim to be deleted", leaves);
    running.signal("KILL");
    assert_eq!(running.finish().signal(), Some(9));
    assert_eq!(leaves(), Some(()));
    let running = scale(&namespace, "--replicas 3 --fresh").start();
    running.wait_for_stderr("the wait for it", |said| said.contains("www-web-2 to be gone"));
    held(Value::Null);
    running.finish().expect(0);
    let (_, disk, _) = &before.claims["www-web-2"];
    is_aside(&namespace, &Picture::of(&namespace), disk);
}

/// The volume is bound to a claim of another name, under its old policy, and
/// nothing tells that it was ever otherwise.
#[track_caller]
pub fn is_aside(namespace: &Namespace, now: &Picture, disk: &str) {
    let aside = now.claims.iter().find(|(name, _)| name.starts_with("www-web-2-aside-"));
    let (name, (uid, volume, _)) = aside.expect("a claim aside");
    assert_eq!(volume, disk);
    let path = format!("/api/v1/persistentvolumes/{disk}");
    let volume = namespace.cluster().api().get(&path).expect("the old volume");
    assert_eq!(volume["spec"]["claimRef"]["uid"], *uid);
    assert_eq!(volume["status"]["phase"], "Bound");
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    let claim = namespace.get("v1", "persistentvolumeclaims", name).expect("the claim");
    let ours = |object: &Value| {
        let annotations = object["metadata"]["annotations"].to_string();
        assert!(!annotations.contains("kubectl-stateful.dev"), "{annotations}");
    };
    ours(&volume);
    ours(&claim);
    assert_eq!(claim["metadata"]["labels"]["app"], "nginx");
}

#[test]
fn snapshots_need_their_api() {
    let namespace = made("scale-snapshot", 2, |_| {});
    let refused = ends(&namespace, "--replicas 1 --snapshot nightly -o json", 4);
    assert_eq!(reason_ids(&refused), ["SCALE-NO-SNAPSHOTS"]);
    assert_eq!(Picture::of(&namespace).replicas, 2);
}

/// One for each claim, once its pod is gone; the next ordinal waits for it.
#[test]
fn a_snapshot_of_each_claim_is_waited_for() {
    let namespace = TestCluster::shared().namespace("scale-snapshots");
    let class = csi(&namespace, &["www-web-0", "www-web-1", "www-web-2"]);
    make(&namespace, 3, |set| claims(set, &class));
    let before = Picture::of(&namespace);
    snapshots(&namespace);
    let refused = ends(&namespace, "--replicas 1 --snapshot others -o json", 4);
    assert!(refused.stdout.contains("there is no VolumeSnapshotClass others"), "{refused}");
    let running = scale(&namespace, "--replicas 1 --snapshot snapshots").start();
    for (ordinal, replicas) in [(2, 2), (1, 1)] {
        let snapshot = snapshot_of(&namespace, &format!("www-web-{ordinal}"));
        let now = Picture::of(&namespace);
        assert!(!now.pods.contains_key(&format!("web-{ordinal}")), "the pod was gone first");
        assert_eq!(snapshot["spec"]["volumeSnapshotClassName"], SNAPSHOT_CLASS);
        let waits = format!("of www-web-{ordinal} to be ready to use");
        running.wait_for_stderr("the wait for it", |said| said.contains(&waits));
        assert_eq!(Picture::of(&namespace).replicas, replicas, "it waits");
        report_snapshot(&namespace, &snapshot, &json!({"readyToUse": true}));
    }
    let output = running.finish().expect(0);
    assert!(output.stderr.contains("SCALE-SNAPSHOT-DELETES"), "{output}");
    Picture::of(&namespace).is_down_to(1, &before);
}
