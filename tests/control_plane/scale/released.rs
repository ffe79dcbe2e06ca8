//! A claim that goes while its volume stays, and the other way round: what is said of
//! the volume, and the line that brings it back, run as it stands.

use super::{
    super::support::{self, document},
    kept::{delete_with, follow, volume},
    *,
};

/// The findings of this rule.
fn told<'a>(document: &'a Value, id: &str) -> Vec<&'a Value> {
    let reasons = document["reasons"].as_array().expect("reasons");
    reasons.iter().filter(|one| one["id"] == id).collect()
}

fn claims_are_gone(namespace: &Namespace, names: &[&str]) {
    wait_for(SOON, "the claims to be gone", || {
        let now = Picture::of(namespace);
        (!names.iter().any(|name| now.claims.contains_key(*name))).then_some(())
    });
}

fn keeps_volumes(set: &mut Value) {
    claims(set, "standard-retain");
}

/// The set deletes the claims, and the volumes stay: each is named, with the line that
/// gives it to its ordinal; `undo` is all of them. Scaling up without that is refused.
#[test]
fn a_claim_that_goes_has_a_way_back_to_its_volume() {
    let namespace = made("scale-comes-back", 3, |set| {
        keeps_volumes(set);
        deletes(set);
    });
    let before = Picture::of(&namespace);
    let end = document(&ends(&namespace, "--replicas 1 -o json", 0));
    let went = told(&end, "SCALE-CLAIM-GOES");
    assert_eq!(went.len(), 2, "{end:#}");
    for (finding, ordinal) in went.iter().zip([2, 1]) {
        let disk = &before.claims[&format!("www-web-{ordinal}")].1;
        let line = finding["hint"].as_str().expect("a line");
        let wanted =
            format!("kubectl stateful orphans adopt pv/{disk} --to web/{ordinal} --template www");
        assert!(line.starts_with(&wanted), "{line}");
    }
    let undo = end["undo"].as_str().expect("a line").to_owned();
    claims_are_gone(&namespace, &["www-web-1", "www-web-2"]);
    let refused = ends(&namespace, "--replicas 3 -o json", 4);
    assert_eq!(reason_ids(&refused), ["SCALE-STARTS-EMPTY", "SCALE-STARTS-EMPTY"], "{refused}");
    assert_eq!(Picture::of(&namespace).replicas, 1);
    ends(&namespace, "--replicas 3 --fresh --dry-run", 0);
    ends(&namespace, "--replicas 3 --allow SCALE-STARTS-EMPTY --dry-run", 0);
    follow(&namespace, &undo);
    let now = Picture::of(&namespace);
    assert_eq!(now.replicas, 3);
    for name in ["www-web-1", "www-web-2"] {
        assert_eq!(now.claims[name].1, before.claims[name].1, "{name}");
    }
}

/// Somebody makes the set delete its claims while the pod is leaving.
#[test]
fn a_claim_that_goes_against_the_plan_has_a_way_back_too() {
    let namespace = made("scale-comes-back-too", 3, keeps_volumes);
    let before = Picture::of(&namespace);
    let hold = |by: Value| {
        let path = namespace.path("v1", "pods", "web-2");
        namespace.cluster().api().patch(&path, &json!({"metadata": {"finalizers": by}}));
    };
    hold(json!(["stateful.test/hold"]));
    let running = scale(&namespace, "--replicas 2 -o json").start();
    running.wait_for_stderr("the wait for it", |said| said.contains("web-2 to be gone"));
    delete_with(&namespace, "Delete");
    wait_for(SOON, "the pod to own its claim", || {
        let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-2")?;
        claim["metadata"]["ownerReferences"].is_array().then_some(())
    });
    hold(Value::Null);
    let output = running.finish().expect(7);
    assert_eq!(reason_ids(&output), ["SCALE-NOT-KEPT"], "{output}");
    let end = document(&output);
    let line = told(&end, "SCALE-NOT-KEPT")[0]["hint"].as_str().expect("a line");
    assert!(line.contains("orphans adopt pv/"), "{line}");
    // As it stands, and whether the claim is gone by then or not.
    follow(&namespace, end["undo"].as_str().expect("a line"));
    let now = Picture::of(&namespace);
    assert_eq!(now.replicas, 3);
    assert_eq!(now.claims["www-web-2"].1, before.claims["www-web-2"].1);
}

/// A volume that somebody has deleted stays as long as its claim does: that is what is
/// said, in the plan, and in the end where it happens in the middle.
#[test]
fn a_volume_that_is_being_deleted_is_not_called_kept() {
    let namespace = made("scale-volume-leaves", 3, |_| {});
    let before = Picture::of(&namespace);
    let delete = |claim: &str| {
        let disk = &before.claims[claim].1;
        namespace.kubectl(["delete", "pv", disk, "--wait=false"]).output().expect(0);
        let found = volume(&namespace, disk).expect("its claim keeps it");
        assert!(found["metadata"]["deletionTimestamp"].is_string(), "{found:#}");
    };
    delete("www-web-2");
    let ready = namespace.directory().join("ready");
    let wait = format!("echo gone; {}", until_there(&ready));
    let last = format!("test $STATEFUL_ORDINAL != 1 || {{ {wait}; }}");
    let running = scale(&namespace, "--replicas 1 -o json").args(["--after", &last]).start();
    running.wait_for_stderr("the hook", |said| said.contains("after web-1: gone"));
    delete("www-web-1");
    std::fs::write(&ready, "").expect("a file");
    let output = running.finish().expect(0);
    let end = document(&output);
    let fates: Vec<&Value> = end["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["claims"][0]["fate"])
        .collect();
    assert_eq!(fates, ["until-claim-goes", "until-claim-goes"], "{end:#}");
    assert_eq!(told(&end, "SCALE-VOLUME-LEAVING").len(), 2, "{end:#}");
    assert!(output.stderr.contains("SCALE-VOLUME-LEAVING"), "in the plan as well: {output}");
}

/// Stopped because a claim has changed: the next line is one that works, or there is
/// none, and the finding says what to do first.
#[test]
fn after_a_change_only_lines_that_work_are_printed() {
    let namespace = made("scale-changed-next", 3, |_| {});
    let ready = namespace.directory().join("ready");
    let wait = until_there(&ready);
    let running = scale(&namespace, "--replicas 1 --retain -o json")
        .args(["--after", &format!("echo gone; {wait}")])
        .start();
    running.wait_for_stderr("the first hook", |said| said.contains("after web-2: gone"));
    namespace.kubectl(["delete", "pvc", "www-web-1", "--wait=false"]).output().expect(0);
    std::fs::write(&ready, "").expect("a file");
    let output = running.finish().expect(7);
    assert_eq!(reason_ids(&output), ["SCALE-DATA-CHANGED"], "{output}");
    let end = document(&output);
    assert_eq!(end["next"], Value::Null, "it would be refused: {end:#}");
    let hint = told(&end, "SCALE-DATA-CHANGED")[0]["hint"].as_str().expect("a line");
    support::follow(&namespace, hint);
    ends(&namespace, "--replicas 1 --retain", 0);
    assert_eq!(Picture::of(&namespace).replicas, 1);
}

/// An earlier `--fresh` has given the data to a claim of another name, and the claim of
/// the new disk is gone: the ordinal does not start empty, and the line gives it the data.
#[test]
fn data_that_was_set_aside_long_ago_is_asked_about() {
    let namespace = made("scale-aside-before", 3, |_| {});
    let disk = Picture::of(&namespace).claims["www-web-2"].1.clone();
    ends(&namespace, "--replicas 2", 0);
    ends(&namespace, "--replicas 3 --fresh", 0);
    ends(&namespace, "--replicas 2", 0);
    namespace.kubectl(["delete", "pvc", "www-web-2"]).output().expect(0);
    let refused = ends(&namespace, "--replicas 3 -o json", 4);
    assert_eq!(reason_ids(&refused), ["SCALE-STARTS-EMPTY"], "{refused}");
    let end = document(&refused);
    follow(&namespace, told(&end, "SCALE-STARTS-EMPTY")[0]["hint"].as_str().expect("a line"));
    assert_eq!(Picture::of(&namespace).claims["www-web-2"].1, disk);
}

/// A volume that somebody has made Available again, for the claim of this name: the new
/// claim would get it, and no flag calls that a new disk.
#[test]
fn a_volume_that_is_reserved_is_no_new_disk() {
    let namespace = made("scale-reserved", 3, keeps_volumes);
    let disk = Picture::of(&namespace).claims["www-web-2"].1.clone();
    ends(&namespace, "--replicas 2", 0);
    namespace.kubectl(["delete", "pvc", "www-web-2"]).output().expect(0);
    let free = json!({"spec": {"claimRef": {"uid": null, "resourceVersion": null}}});
    namespace.cluster().api().patch(&format!("/api/v1/persistentvolumes/{disk}"), &free);
    wait_for(SOON, "the volume to be Available", || {
        (volume(&namespace, &disk)?["status"]["phase"] == "Available").then_some(())
    });
    for flags in ["", " --fresh"] {
        let refused = ends(&namespace, &format!("--replicas 3 -o json{flags}"), 4);
        assert_eq!(reason_ids(&refused), ["SCALE-READOPTS-DATA"], "{flags}: {refused}");
        let end = document(&refused);
        follow(&namespace, told(&end, "SCALE-READOPTS-DATA")[0]["hint"].as_str().expect("a line"));
    }
    ends(&namespace, "--replicas 3 --allow SCALE-READOPTS-DATA", 0);
    assert_eq!(Picture::of(&namespace).claims["www-web-2"].1, disk, "as was said");
}

/// A finished pod keeps its claim from being deleted, so that setting it aside would
/// wait without end.
#[test]
fn a_claim_that_a_finished_pod_keeps_is_not_set_aside() {
    let namespace = made("scale-finished", 3, |_| {});
    ends(&namespace, "--replicas 2", 0);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "backup"},
        "spec": {
            "containers": [{"name": "backup", "image": "backup:1"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "www-web-2"}}],
        },
    });
    let api = namespace.cluster().api();
    api.create(&namespace.path("v1", "pods", ""), &pod);
    namespace.wait("pod/backup", "condition=Ready");
    let status = format!("{}/status", namespace.path("v1", "pods", "backup"));
    api.patch(&status, &json!({"status": {"phase": "Succeeded"}}));
    let before = Picture::of(&namespace);
    let refused = ends(&namespace, "--replicas 3 --fresh -o json", 4);
    assert_eq!(reason_ids(&refused), ["SCALE-NOT-ASIDE"], "{refused}");
    let end = document(&refused);
    let message = told(&end, "SCALE-NOT-ASIDE")[0]["message"].as_str().expect("a message");
    assert!(message.contains("backup (finished, and to be deleted first)"), "{message}");
    assert_eq!(Picture::of(&namespace), before);
    namespace.delete_pod("backup");
    ends(&namespace, "--replicas 3 --fresh", 0);
}

/// The same on the way up: the old disk comes back, or is set aside, and goes as soon as
/// its claim does.
#[test]
fn a_volume_that_is_being_deleted_is_told_on_the_way_up_too() {
    for (hint, flags) in [
        ("scale-volume-leaves-up", "--allow SCALE-READOPTS-DATA"),
        ("scale-volume-leaves-aside", "--fresh"),
    ] {
        let namespace = made(hint, 3, |_| {});
        let disk = Picture::of(&namespace).claims["www-web-2"].1.clone();
        ends(&namespace, "--replicas 2", 0);
        let ready = namespace.directory().join("ready");
        let wait = format!("echo here; {}", until_there(&ready));
        let words = format!("--replicas 3 {flags} -o json");
        let running = scale(&namespace, &words).args(["--after", &wait]).start();
        running.wait_for_stderr("the hook", |said| said.contains("after web-2: here"));
        namespace.kubectl(["delete", "pv", &disk, "--wait=false"]).output().expect(0);
        std::fs::write(&ready, "").expect("a file");
        let output = running.finish().expect(0);
        let end = document(&output);
        let found = told(&end, "SCALE-VOLUME-LEAVING");
        assert_eq!(found.len(), 1, "{end:#}");
        assert!(found[0]["message"].as_str().is_some_and(|said| said.contains(&disk)), "{end:#}");
    }
    // Known before: the plan says so.
    let namespace = made("scale-volume-left-up", 3, |_| {});
    let disk = Picture::of(&namespace).claims["www-web-2"].1.clone();
    ends(&namespace, "--replicas 2", 0);
    namespace.kubectl(["delete", "pv", &disk, "--wait=false"]).output().expect(0);
    for flags in ["--allow SCALE-READOPTS-DATA", "--fresh"] {
        let words = format!("--replicas 3 --dry-run -o json {flags}");
        let plan = document(&ends(&namespace, &words, 0));
        assert_eq!(told(&plan, "SCALE-VOLUME-LEAVING").len(), 1, "{plan:#}");
    }
}
