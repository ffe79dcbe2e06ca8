//! What others do to a migration that has arrived: it is seen, each command that
//! is printed leads out, and nothing ends in a circle.

use super::{
    super::support::{Answer, Fault, follow, hint_of},
    *,
};

impl Place {
    fn status(&self) -> Value {
        document(&self.on("status", "--exit-code -o json").output())
    }

    #[track_caller]
    fn delete(&self, version: &str, resource: &str, name: &str) {
        let path = self.namespace.path(version, resource, name);
        self.namespace.cluster().api().delete(&path);
        wait_for(SOON, "it to be gone", || {
            self.namespace.cluster().api().get(&path).is_none().then_some(())
        });
    }

    /// The Deployment runs on its disk, under a claim of the old name.
    #[track_caller]
    fn is_back(&self) {
        wait_for(SOON, "the Deployment to run", || runs(&self.namespace).then_some(()));
        let now = self.picture();
        for (old, new) in self.story.claims {
            self.disk_of(&now, old);
            assert!(!now.has("persistentvolumeclaims", new), "{new}");
        }
        assert_eq!(now.marked(), Vec::<String>::new());
        assert!(!now.has("statefulsets", self.story.set));
    }
}

/// It was 11, and from then on 11, 4 and 7 for ever.
#[test]
fn a_tidy_person_takes_no_way_back() {
    let mut place = Place::make(Story { name: "tidy", ..STATIC });
    for what in [
        &["deployments"][..],
        &["persistentvolumeclaims"],
        &["deployments", "persistentvolumeclaims"],
    ] {
        place.moves();
        for resource in what {
            match *resource {
                "deployments" => place.delete("apps/v1", "deployments", "mysql"),
                _ => place.delete("v1", "persistentvolumeclaims", "mysql-pv-claim"),
            }
        }
        let status = place.status();
        assert_eq!((&status["stage"], &status["exitCode"]), (&json!("arrived"), &json!(0)));
        assert!(status["wayBack"].is_string(), "{status:#}");
        // A run and a resume have nothing to do, and say so.
        place.on("resume", "").output().expect(0);
        let back = place.on("rollback", "").output().expect(0);
        assert!(back.stdout.contains("rolled back: the Deployment is back"), "{back}");
        // Who made it again is told from the object.
        let by_us = "deploy   mysql: someone deleted it, and the rollback made it again; 1 of 1";
        assert_eq!(back.stdout.contains(by_us), what.contains(&"deployments"), "{back}");
        place.is_back();
        place.vigil.check(&place.namespace);
        place.watch_anew();
    }
}

#[test]
fn a_rollback_looks_before_it_begins() {
    let place = Place::make(Story { name: "looks", ..STATIC });
    place.moves();
    place.delete("v1", "persistentvolumeclaims", "mysql-pv-claim");
    create(&place.namespace, &claim("mysql-pv-claim", "standard", "ReadWriteOnce"));
    wait_for(SOON, "the other claim to be bound", || are_bound(&place.namespace).then_some(()));
    let before = place.picture();
    let output = place.on("rollback", "-o json").output().expect(4);
    assert_eq!(error_ids(&output), ["MIGRATE-NO-WAY-BACK"], "{output}");
    assert_eq!(document(&output)["stage"], "arrived");
    assert_eq!(before.differences(&place.picture()), Vec::<String>::new());
    let status = place.status();
    assert_eq!((&status["wayBack"], &status["exitCode"]), (&Value::Null, &json!(3)));
    follow(&place.namespace, &hint_of(&status, "MIGRATE-NO-WAY-BACK"));
    place.on("rollback", "").output().expect(0);
    place.is_back();
}

/// The Deployment runs on the claim that is in the way, which would not go.
#[test]
fn a_claim_in_the_way_that_is_in_use_makes_way() {
    let place = Place::make(Story { name: "used", ..STATIC });
    place.moves();
    let proxy = place.namespace.cluster().proxy();
    let no = Answer::status(403, "Forbidden", "statefulsets.apps \"mysql\" is forbidden");
    proxy.when(|seen| seen.changes() && seen.path.contains("/statefulsets/"), Fault::Answer(no));
    let through = place.namespace.kubeconfig_through(&proxy);
    let begun = place.on("rollback", "").kubeconfig(through).output().expect(1);
    assert!(begun.stderr.contains("it stands: rolling back to the Deployment"), "{begun}");
    place.delete("v1", "persistentvolumeclaims", "mysql-pv-claim");
    create(&place.namespace, &claim("mysql-pv-claim", "standard", "ReadWriteOnce"));
    place.edit_deployment(&json!({"spec": {"replicas": 1}}));
    wait_for(SOON, "it to run on the other claim", || runs(&place.namespace).then_some(()));
    let output = place.on("resume", "-o json").output().expect(11);
    let line = hint_of(&document(&output), "MIGRATE-NO-WAY-BACK");
    assert!(line.starts_with("kubectl scale deployment/mysql --replicas=0"), "{line}");
    // The claim is still going when the next verb comes.
    follow(&place.namespace, &line.replace("kubectl delete ", "kubectl delete --wait=false "));
    place.on("resume", "").output().expect(0);
    place.is_back();
}

/// As long as its pod runs, the claim is there.
#[test]
fn a_claim_that_is_being_deleted_is_made_again() {
    let mut place = Place::make(Story { name: "terminating", ..WAIT });
    place.moves();
    let path = place.namespace.path("v1", "persistentvolumeclaims", "data-mysql-0");
    place.namespace.cluster().api().delete(&path);
    let text = place.on("status", "").output().success();
    assert!(text.contains("moved, but a claim of the set is being deleted"), "{text}");
    let output = place.on("finalize", "-o json").output().expect(4);
    follow(&place.namespace, &hint_of(&document(&output), "MIGRATE-NOT-ARRIVED"));
    place.is_moved();
    place.watch_anew();
    place.on("finalize", "").output().expect(0);
    place.is_finished();
}

/// It was 5 for ever: the journal had the uid of the first set.
#[test]
fn a_set_that_was_deleted_is_made_again_and_finalized() {
    let place = Place::make(Story { name: "again", ..STATIC });
    place.moves();
    place.delete("apps/v1", "statefulsets", "mysql");
    let status = place.status();
    assert_eq!((&status["stage"], &status["exitCode"]), (&json!("degraded"), &json!(3)));
    assert_eq!(status["set"]["presence"], "gone");
    let next = status["next"].as_str().expect("a command");
    assert!(next.contains("migrate resume"), "{next}");
    place.on("finalize", "").output().expect(4);
    follow(&place.namespace, next);
    place.is_moved();
    place.on("finalize", "").output().expect(0);
    place.is_finished();
}

/// `--cascade=orphan`: finalize was 4 and rollback 6, in a circle.
#[test]
fn a_pod_without_its_set_is_named() {
    let place = Place::make(Story { name: "orphan", ..STATIC });
    place.moves();
    let words = ["delete", "sts/mysql", "--cascade=orphan"];
    place.namespace.kubectl(words).output().expect(0);
    wait_for(SOON, "the pod to be nobody's", || {
        let pod = place.namespace.get("v1", "pods", "mysql-0")?;
        pod["metadata"]["ownerReferences"].is_null().then_some(())
    });
    let output = place.on("rollback", "-o json").output().expect(4);
    let document = document(&output);
    follow(&place.namespace, &hint_of(&document, "MIGRATE-NO-WAY-BACK"));
    place.on("rollback", "").output().expect(0);
    place.is_back();
}

/// It was 0, and the claims, the volumes and the data of ordinals 1 and 2 were gone.
#[test]
fn a_rollback_keeps_the_disks_that_a_set_was_scaled_up_to() {
    let place = Place::make(Story { name: "grown", ..WAIT });
    place.moves();
    let patch = r#"{"spec":{"replicas":3,"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete","whenDeleted":"Retain"}}}"#;
    place.namespace.kubectl(["patch", "sts/mysql", "-p", patch]).output().expect(0);
    let claims = ["data-mysql-1", "data-mysql-2"];
    wait_for(SOON, "three pods to run", || {
        let set = place.namespace.get("apps/v1", "statefulsets", "mysql")?;
        (set["status"]["readyReplicas"] == 3).then_some(())
    });
    let before = place.picture();
    let output = place.on("rollback", "-o json").output().expect(4);
    assert_eq!(error_ids(&output), ["MIGRATE-CLAIMS-GO"], "{output}");
    assert!(output.stdout.contains("data-mysql-1 and data-mysql-2"), "{output}");
    assert_eq!(before.differences(&place.picture()), Vec::<String>::new());
    let status = place.status();
    assert_eq!((&status["wayBack"], &status["exitCode"]), (&Value::Null, &json!(3)));
    follow(&place.namespace, &hint_of(&status, "MIGRATE-CLAIMS-GO"));
    place.on("rollback", "").output().expect(0);
    place.is_back();
    let now = place.picture();
    for claim in claims {
        assert!(now.has("persistentvolumeclaims", claim), "{claim}");
        let claim = place.namespace.get("v1", "persistentvolumeclaims", claim).expect("it");
        assert_eq!(claim["status"]["phase"], "Bound", "{claim:#}");
    }
}

#[test]
fn a_set_on_a_blank_disk_is_seen_and_put_back() {
    let mut place = Place::make(Story { name: "blank", ..WAIT });
    place.moves();
    let api = place.namespace.cluster().api();
    api.delete(&place.namespace.path("v1", "persistentvolumeclaims", "data-mysql-0"));
    let leaving = place.status();
    assert_eq!(leaving["items"][0]["newPhase"], "Terminating", "{leaving:#}");
    assert_eq!((&leaving["next"], &leaving["exitCode"]), (&Value::Null, &json!(3)));
    place.on("finalize", "").output().expect(4);
    api.delete(&place.namespace.path("v1", "pods", "mysql-0"));
    wait_for(SOON, "the set to come up on a blank disk", || {
        let claim = place.namespace.get("v1", "persistentvolumeclaims", "data-mysql-0")?;
        let fresh = claim["metadata"]["deletionTimestamp"].is_null();
        (fresh && claim["status"]["phase"] == "Bound").then_some(())
    });
    let status = place.status();
    assert_eq!(status["stage"], "degraded", "{status:#}");
    assert!(status["items"][0]["newDisk"].is_string(), "{status:#}");
    follow(&place.namespace, &hint_of(&status, "MIGRATE-OTHER-DISK"));
    place.is_moved();
    place.watch_anew();
    place.on("finalize", "").output().expect(0);
    place.is_finished();
}

/// `kubectl apply` of the old manifest after a copy: two databases.
#[test]
fn a_deployment_that_is_started_beside_the_set_is_shouted_about() {
    let place = Place::make(Story {
        name: "both",
        manifests: |_| with_class("standard"),
        words: "deploy/mysql --mode copy --copy-image rsync:1",
        ..WAIT
    });
    place.run("").output().expect(0);
    place.edit_deployment(&json!({"spec": {"replicas": 1}}));
    wait_for(SOON, "the old application to run", || runs(&place.namespace).then_some(()));
    let status = place.status();
    assert_eq!(status["exitCode"], 3, "{status:#}");
    assert_eq!(status["next"], Value::Null, "{status:#}");
    let said = status["reasons"].as_array().expect("reasons");
    let both = said.iter().find(|one| one["id"] == "MIGRATE-BOTH-RUN").expect("it");
    assert_eq!(both["severity"], "error", "{both:#}");
    assert!(both["message"].as_str().expect("it").contains("Service mysql"), "{both:#}");
    for words in ["-o json", "--dry-run -o json"] {
        let output = place.on("finalize", words).output().expect(7);
        assert_eq!(reason_ids(&output)[0], "MIGRATE-CHANGED", "{output}");
    }
    follow(&place.namespace, &hint_of(&status, "MIGRATE-BOTH-RUN"));
    wait_for(SOON, "one to be left", || (place.status()["exitCode"] == 0).then_some(()));
    // What the way back costs is said without a prompt, too, and at the end.
    let back = place.on("rollback", "").output().expect(0);
    assert!(back.stderr.contains("MIGRATE-ROLLBACK-LOSES"), "{back}");
    assert!(back.stdout.contains("MIGRATE-ROLLBACK-LOSES"), "{back}");
}

/// Where the set uses the claims of the Deployment, the danger is another one.
#[test]
fn a_deployment_that_writes_to_the_claims_of_the_set_is_said_to() {
    let place = Place::make(Story {
        name: "both-keep",
        words: "deploy/mysql --mode keep",
        claims: &[],
        ..STATIC
    });
    place.run("").output().expect(0);
    place.edit_deployment(&json!({"spec": {"replicas": 1}}));
    wait_for(SOON, "the old application to run", || runs(&place.namespace).then_some(()));
    let status = place.status();
    let said = status["reasons"].as_array().expect("reasons");
    let both = said.iter().find(|one| one["id"] == "MIGRATE-BOTH-RUN").expect("it");
    let message = both["message"].as_str().expect("it");
    assert!(message.starts_with("1 pod of Deployment mysql runs beside"), "{message}");
    assert!(message.ends_with("both write to the same claims"), "{message}");
}

/// It is not the one that was moved: finalize leaves it, and names it at the end.
#[test]
fn a_deployment_that_stands_beside_the_set_is_named_at_the_end() {
    let place = Place::make(Story { name: "beside", ..STATIC });
    place.moves();
    place.delete("apps/v1", "deployments", "mysql");
    create(&place.namespace, &claim("other", "standard", "ReadWriteOnce"));
    create(&place.namespace, &deployment("mysql", 0, &[("data", "other")]));
    let output = place.on("finalize", "-o json").output().expect(0);
    let document = document(&output);
    let said = document["reasons"].as_array().expect("reasons");
    let left = said.iter().find(|one| one["id"] == "MIGRATE-LEFT-OVER").expect("it");
    assert_eq!(left["object"], "deployment/mysql", "{output}");
    let message = left["message"].as_str().expect("it");
    assert!(message.contains("mounts other claims than the one that was moved"), "{message}");
    follow(&place.namespace, &hint_of(&document, "MIGRATE-LEFT-OVER"));
    assert!(place.picture().has("deployments", "mysql"), "it is somebody else's");
}

#[test]
fn what_a_scaled_up_set_leaves_is_named() {
    let place = Place::make(Story { name: "left", ..WAIT });
    place.moves();
    place.edit("apps/v1", "statefulsets", "mysql", &json!({"spec": {"replicas": 2}}));
    wait_for(SOON, "the second member", || {
        let set = place.namespace.get("apps/v1", "statefulsets", "mysql")?;
        (set["status"]["readyReplicas"] == 2).then_some(())
    });
    let back = place.on("rollback", "-o json").output().expect(0);
    assert_eq!(reason_ids(&back), ["MIGRATE-LEFT-OVER"], "{back}");
    assert!(back.stdout.contains("data-mysql-1"), "{back}");
}
