//! Each of these was once said or done wrongly: data that was said to be kept
//! and went, and answers to questions that nobody could have meant.

use super::{
    super::support::{Disk, reason_ids},
    *,
};

fn orphans(namespace: &Namespace, words: &str) -> Output {
    let words: Vec<&str> = words.split(' ').collect();
    namespace.stateful(["orphans"]).args(words).output()
}

/// Runs a line that was printed, as a shell does.
pub fn paste(namespace: &Namespace, line: &str) -> Output {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["kubectl", "stateful", rest @ ..] => namespace.cluster().stateful(rest).output(),
        ["kubectl", rest @ ..] => namespace.cluster().kubectl(rest).output(),
        _ => panic!("{line:?} is not a line to paste"),
    }
}

fn hint(output: &Output) -> String {
    let line = output.stderr.lines().find_map(|line| line.strip_prefix("hint: "));
    line.unwrap_or_else(|| panic!("no hint: {output}")).to_owned()
}

fn reason(document: &Value, id: &str) -> Value {
    let reasons = document["reasons"].as_array().expect("reasons");
    let found = reasons.iter().find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}: {document:#}")).clone()
}

/// A pod of nobody's that uses a claim and runs.
pub fn user_of(namespace: &Namespace, name: &str, claim: &str) {
    make(
        namespace,
        &json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "main", "image": "main:1"}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
            },
        }),
    );
    wait_for(SOON, "the pod to run", || {
        (namespace.get("v1", "pods", name)?["status"]["phase"] == "Running").then_some(())
    });
}

/// Deleted while a pod uses it: no orphan, and its data can be kept, and given
/// back, by the lines that are printed.
#[test]
fn a_claim_that_somebody_deleted_is_rescued() {
    let namespace = TestCluster::shared().namespace("orphans-rescue");
    scaled(&namespace, "db", 2, 1);
    let disk = Disk::of_claim(&namespace, "data-db-1");
    user_of(&namespace, "reader", "data-db-1");
    namespace.kubectl(["delete", "pvc", "data-db-1", "--wait=false"]).output().expect(0);
    let found = report(&namespace);
    assert_eq!(classes(&found)["data-db-1"], "terminating-in-use");
    assert_eq!(found["totals"]["read"]["used"], 2, "{found:#}");
    namespace.stateful(["orphans", "--fail-on", "any"]).output().expect(0);
    let line =
        reason(&found, "ORPHANS-TERMINATING-IN-USE")["hint"].as_str().expect("a line").to_owned();
    paste(&namespace, &format!("{line} --yes --timeout 1s")).expect(6);
    assert_eq!(rest(&namespace, "data-db-1", &disk.volume)["policy"], "Retain");
    // While the pod runs, it is waited for; the policy does not return.
    let words = ["orphans", "adopt", "pvc/data-db-1", "--to", "db/1", "--yes"];
    let running = namespace.stateful(words).start();
    running.wait_for_stderr("the wait", |said| said.contains("claim data-db-1 to be gone"));
    namespace.kubectl(["delete", "pod", "reader", "--wait=false"]).output().expect(0);
    running.finish().expect(0);
    assert_eq!(
        rest(&namespace, "data-db-1", &disk.volume),
        json!({"claim": disk.volume, "phase": "Bound", "policy": "Delete", "kept": null})
    );
    assert!(disk.is_whole());
    // In the range of its set, the set would be faster than we are.
    scale(&namespace, "db", &json!({"replicas": 2}));
    pods_are(&namespace, "db", &[0, 1]);
    namespace.kubectl(["delete", "pvc", "data-db-1", "--wait=false"]).output().expect(0);
    let refused = orphans(&namespace, "adopt pvc/data-db-1 --to db/1 --yes").expect(4);
    assert!(refused.stderr.contains("db wants ordinal 1"), "{refused}");
    paste(&namespace, &format!("{} --yes --timeout 1s", hint(&refused))).expect(6);
    let refused = orphans(&namespace, "adopt pvc/data-db-1 --to db/1 --yes").expect(4);
    assert!(hint(&refused).starts_with("kubectl stateful scale sts/db --replicas 1"), "{refused}");
    scale(&namespace, "db", &json!({"replicas": 1}));
    pods_are(&namespace, "db", &[0]);
    disk.settles(&namespace);
    assert!(disk.is_whole());
    orphans(&namespace, &format!("adopt pv/{} --to db/1 --yes", disk.volume)).expect(0);
}

/// Keeps what it kept last month, and says what it destroys.
#[test]
fn the_monthly_recipe_destroys_nothing_by_the_way() {
    let namespace = TestCluster::shared().namespace("orphans-monthly");
    scaled(&namespace, "web", 4, 1);
    let disks: Vec<Disk> =
        (1..4).map(|ordinal| Disk::of_claim(&namespace, &format!("data-web-{ordinal}"))).collect();
    let done = document(&orphans(&namespace, "delete data-web-3 --yes -o json").expect(0));
    assert_eq!(done["items"][0]["data"], "kept");
    wait_for(SOON, "a released volume", || {
        (classes(&report(&namespace)).get(&disks[2].volume)? == "pv-released").then_some(())
    });
    let report = namespace.stateful(["orphans", "-o", "json"]).output().expect(0).stdout;
    let from = |words: &str| {
        let words = words.split(' ');
        let run = namespace.stateful(["orphans", "delete", "--from", "-"]).args(words);
        run.stdin(report.clone()).output()
    };
    let dry = from("--keep-pv=false --dry-run -o json").expect(0);
    assert_eq!(
        reason_ids(&dry),
        ["ORPHANS-SKIPPED", "ORPHANS-DATA-GOES", "ORPHANS-DATA-GOES"],
        "{dry}"
    );
    let dry = from("--keep-pv=false --dry-run").expect(0);
    assert!(dry.stdout.contains("DESTROYED"), "{dry}");
    // Another namespace's is not deleted here.
    let elsewhere =
        namespace.cluster().stateful(["orphans", "delete", "--from", "-", "-n", "default"]);
    let skipped = elsewhere.args(["--yes"]).stdin(report.clone()).output().expect(0);
    assert!(skipped.stderr.contains("ORPHANS-SKIPPED"), "{skipped}");
    let kept = from("--yes").expect(0);
    assert!(kept.stdout.contains(&format!("volume {} kept", disks[0].volume)), "{kept}");
    assert!(kept.stderr.contains("ORPHANS-SKIPPED"), "{kept}");
    // Each write is reported once.
    assert_eq!(
        kept.stderr.matches("persistentvolumeclaim/data-web-1 deleted").count(),
        1,
        "{kept}"
    );
    for disk in &disks {
        disk.settles(&namespace);
        assert!(disk.is_whole(), "{kept}");
    }
    // Back by the line that is printed, and then with its data.
    let undo = kept.stdout.lines().find_map(|line| line.strip_prefix("undo  ")).expect("a line");
    paste(&namespace, &format!("{undo} --yes")).expect(0);
    let gone = orphans(&namespace, "delete data-web-1 --keep-pv=false --yes").expect(0);
    assert!(gone.stdout.contains("DESTROYED"), "{gone}");
    assert!(gone.stderr.contains("ORPHANS-DATA-GOES"), "{gone}");
    wait_for(SOON, "the data to be gone", || (!disks[0].is_whole()).then_some(()));
}

/// The usual advice for a claim that does not go: its pod writes on.
#[test]
fn a_volume_that_is_written_to_is_given_to_nobody() {
    let namespace = TestCluster::shared().namespace("orphans-written");
    make(
        &namespace,
        &with(
            set("db", "data", 1),
            "/spec/volumeClaimTemplates/0/spec/storageClassName",
            json!("standard-retain"),
        ),
    );
    pods_are(&namespace, "db", &[0]);
    let disk = Disk::of_claim(&namespace, "data-db-0");
    namespace.kubectl(["delete", "pvc", "data-db-0", "--wait=false"]).output().expect(0);
    let strip = r#"{"metadata":{"finalizers":null}}"#;
    namespace.kubectl(["patch", "pvc", "data-db-0", "-p", strip]).output().expect(0);
    let found = wait_for(SOON, "the volume to be released", || {
        let found = report(&namespace);
        classes(&found).contains_key(&disk.volume).then_some(found)
    });
    assert_eq!(classes(&found)[&disk.volume], "pv-in-use", "{found:#}");
    make(&namespace, &set("other", "data", 0));
    let refused =
        orphans(&namespace, &format!("adopt {} --to other/0 --yes", disk.volume)).expect(4);
    assert!(refused.stderr.contains("pod db-0 runs"), "{refused}");
    let words = format!("delete pv/{} --keep-pv=false --yes", disk.volume);
    orphans(&namespace, &words).expect(4);
    assert_eq!(rest(&namespace, "data-db-0", &disk.volume)["phase"], "Released");
}

/// Imported again by hand: two volumes, one disk.
#[test]
fn two_volumes_of_one_disk_are_not_destroyed() {
    let namespace = TestCluster::shared().namespace("orphans-twins");
    scaled(&namespace, "db", 2, 1);
    let disk = Disk::of_claim(&namespace, "data-db-1");
    let volume = disk.volume(&namespace).expect("it");
    let twin = format!("twin-{}", namespace.name());
    let object = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": twin},
        "spec": {
            "capacity": volume["spec"]["capacity"], "accessModes": volume["spec"]["accessModes"],
            "hostPath": volume["spec"]["hostPath"], "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "none",
        },
    });
    let api = namespace.cluster().api();
    api.create("/api/v1/persistentvolumes", &object);
    let refused = orphans(&namespace, "delete data-db-1 --keep-pv=false --yes").expect(4);
    assert!(refused.stderr.contains("ORPHANS-SHARED-DISK"), "{refused}");
    let refused = orphans(&namespace, "adopt pvc/data-db-1 --to db/2 --yes").expect(4);
    assert!(refused.stderr.contains(&twin), "{refused}");
    orphans(&namespace, "delete data-db-1 --yes").expect(0);
    disk.settles(&namespace);
    assert!(disk.is_whole());
    api.delete(&format!("/api/v1/persistentvolumes/{twin}"));
}

#[test]
fn a_volume_that_is_being_deleted_is_not_called_kept() {
    let namespace = TestCluster::shared().namespace("orphans-pv-goes");
    scaled(&namespace, "db", 2, 1);
    let pv = bound(&namespace, "data-db-1");
    namespace.kubectl(["delete", "pv", &pv, "--wait=false"]).output().expect(0);
    let refused = orphans(&namespace, "delete data-db-1 --yes").expect(4);
    assert!(refused.stderr.contains("ORPHANS-VOLUME-GOES"), "{refused}");
    bound(&namespace, "data-db-1");
}

#[test]
fn a_name_that_nothing_has_is_told() {
    let namespace = TestCluster::shared().namespace("orphans-names");
    scaled(&namespace, "web", 3, 1);
    let missing = orphans(&namespace, "delete nosuch data-web-2 --yes").expect(1);
    assert!(missing.stderr.contains(r#"persistentvolumeclaims "nosuch" not found"#), "{missing}");
    paste(&namespace, &hint(&missing)).expect(0);
    bound(&namespace, "data-web-2");
    let elsewhere = namespace.cluster().stateful(["orphans", "delete", "data-web-2", "--yes"]);
    elsewhere.args(["-n", "default"]).output().expect(1);
    orphans(&namespace, "delete pv/nobody --yes --keep-pv=false").expect(1);
    for wrong in ["delete data-* --yes", "delete pvc --yes"] {
        orphans(&namespace, wrong).expect(2);
    }
    orphans(&namespace, "delete nosuch pvc/data-web-2 --dry-run --ignore-not-found").expect(0);
    orphans(&namespace, "delete pvc data-web-2 --dry-run").expect(0);
    // A namespace that is not there has no orphans, and that is no answer.
    for words in ["orphans", "orphans delete --class ordinal-beyond --dry-run"] {
        let words = words.split(' ').chain(["-n", "no-such-namespace"]);
        let missing = namespace.cluster().stateful(words).output().expect(1);
        assert!(missing.stderr.contains("no-such-namespace"), "{missing}");
    }
    let names = |words: &str| orphans(&namespace, words).expect(0).stdout;
    let both = "persistentvolumeclaim/data-web-1\npersistentvolumeclaim/data-web-2\n";
    assert_eq!(names("delete --class ordinal-beyond --dry-run -o name"), both);
    assert_eq!(names("delete -l app=web --dry-run -o name"), both);
    let none = orphans(&namespace, "delete -l app=other --dry-run").expect(0);
    assert!(none.stdout.contains("no orphaned claim"), "{none}");
    // Across namespaces a name has its own, and can be given back.
    let all = namespace.cluster().stateful(["orphans", "-A", "-o", "name"]).output();
    let line = all.stdout.lines().find(|line| line.starts_with(namespace.name())).expect("a line");
    let words = ["orphans", "delete", line, "--dry-run", "-n", "default"];
    namespace.cluster().stateful(words).output().expect(0);
}

#[test]
fn without_any_right_nothing_is_said() {
    let namespace = TestCluster::shared().namespace("orphans-blind");
    scaled(&namespace, "web", 2, 1);
    let nobody = namespace.user("nobody", &json!([]), &json!([]));
    for format in ["table", "name", "json"] {
        let run = namespace.stateful(["orphans", "-o", format]).kubeconfig(&nobody);
        let output = run.output().expect(8);
        assert!(!output.stdout.contains("No orphans"), "{output}");
        if format == "table" {
            assert!(output.stdout.contains("cannot tell"), "{output}");
        }
    }
    let words = ["orphans", "delete", "--class", "ordinal-beyond", "--yes"];
    let output = namespace.stateful(words).kubeconfig(&nobody).output().expect(8);
    assert!(output.stdout.contains("cannot tell"), "{output}");
}

#[test]
fn a_finished_pod_is_named_and_not_waited_for() {
    let namespace = TestCluster::shared().namespace("orphans-finished");
    scaled(&namespace, "web", 2, 1);
    user_of(&namespace, "backup", "data-web-1");
    let status = json!({"status": {"phase": "Succeeded"}});
    namespace.cluster().api().patch(&namespace.path("v1", "pods", "backup/status"), &status);
    let refused = orphans(&namespace, "delete data-web-1 --yes").expect(4);
    assert!(refused.stderr.contains("pod backup has finished"), "{refused}");
    paste(&namespace, &hint(&refused)).expect(0);
    orphans(&namespace, "delete data-web-1 --yes").expect(0);
}

#[test]
fn an_adoption_says_what_is_not_as_it_should_be() {
    let namespace = TestCluster::shared().namespace("orphans-fit");
    // A disk of 1Gi, and a set that asks for 5, from ordinal 2 on.
    scaled(&namespace, "old", 2, 2);
    let disk = Disk::of_claim(&namespace, "data-old-1");
    namespace.kubectl(["delete", "sts", "old", "--cascade=foreground"]).output().expect(0);
    let large = with(
        set("new", "data", 0),
        "/spec/volumeClaimTemplates/0/spec/resources/requests/storage",
        json!("5Gi"),
    );
    make(&namespace, &with(large, "/spec/ordinals", json!({"start": 2})));
    let dry =
        orphans(&namespace, "adopt pvc/data-old-1 --to new/1 --dry-run=server -o json").expect(0);
    assert_eq!(reason_ids(&dry), ["ORPHANS-SMALLER", "ORPHANS-BELOW-START"], "{dry}");
    let block = with(
        set("block", "data", 0),
        "/spec/volumeClaimTemplates/0/spec/volumeMode",
        json!("Block"),
    );
    make(&namespace, &block);
    let refused = orphans(&namespace, "adopt pvc/data-old-1 --to block/0 --yes").expect(4);
    assert!(refused.stderr.contains("volumeMode"), "{refused}");
    // One that could not be reclaimed comes back, with a word.
    orphans(&namespace, "delete data-old-1 --yes").expect(0);
    disk.settles(&namespace);
    let status = format!("/api/v1/persistentvolumes/{}/status", disk.volume);
    let failed = json!({"status": {"phase": "Failed", "message": "the array is busy"}});
    namespace.cluster().api().patch(&status, &failed);
    let words = format!("adopt pv/{} --to new/2 --yes -o json", disk.volume);
    let done = orphans(&namespace, &words).expect(0);
    assert_eq!(reason_ids(&done), ["ORPHANS-SMALLER", "ORPHANS-WAS-FAILED"], "{done}");
    assert_eq!(bound(&namespace, "data-new-2"), disk.volume);
    assert!(disk.is_whole());
}

/// Scaled up between the last look and the deletion, with a pod that gets no
/// node: nothing keeps the claim, and the member comes up on an empty disk.
#[test]
fn a_member_on_an_empty_disk_is_told() {
    let namespace = TestCluster::shared().namespace("orphans-made-again");
    scaled(&namespace, "web", 2, 1);
    let disk = Disk::of_claim(&namespace, "data-web-1");
    let template = json!({"template": {"spec": {"nodeSelector": {"no": "node"}}}});
    scale(
        &namespace,
        "web",
        &with(template, "/updateStrategy", json!({"type": "OnDelete", "rollingUpdate": null})),
    );
    let (proxy, gate) = (namespace.cluster().proxy(), Gate::closed());
    proxy.once(|seen| seen.method == http::Method::DELETE, Fault::Hold(gate.clone()));
    let through = namespace.kubeconfig_through(&proxy);
    let words = ["orphans", "delete", "data-web-1", "--yes", "-o", "json"];
    let running = namespace.stateful(words).kubeconfig(through).start();
    gate.wait_until_reached(SOON);
    scale(&namespace, "web", &json!({"replicas": 2}));
    wait_for(SOON, "a pod that waits", || namespace.get("v1", "pods", "web-1"));
    gate.release();
    let output = running.finish().expect(7);
    let document = document(&output);
    let finding = reason(&document, "ORPHANS-MADE-AGAIN");
    assert_eq!(document["items"][0]["data"], "kept");
    let line = finding["hint"].as_str().expect("a line");
    assert!(line.starts_with("kubectl stateful migrate recover sts/web --ordinal 1"), "{line}");
    disk.settles(&namespace);
    assert!(disk.is_whole());
}

/// Typed again, the line that gives the volume back is still there, and works.
#[test]
fn a_deletion_that_is_typed_again_still_has_its_way_back() {
    let namespace = TestCluster::shared().namespace("orphans-again");
    scaled(&namespace, "web", 2, 1);
    let disk = bound(&namespace, "data-web-1");
    let words = ["orphans", "delete", "data-web-1", "--yes", "-o", "json"];
    let first = document(&namespace.stateful(words).output().expect(0));
    let again = document(&namespace.stateful(words).output().expect(0));
    assert_eq!(again["items"][0]["result"], "gone", "{again:#}");
    let undo = again["items"][0]["undo"].as_str().unwrap_or_else(|| panic!("none: {again:#}"));
    assert_eq!(first["items"][0]["undo"], undo);
    support::follow(&namespace, &format!("{undo} --yes"));
    assert_eq!(bound(&namespace, "data-web-1"), disk);
    // It has the volume again: nothing is said of giving it back.
    let volume_is_held = namespace.stateful(["orphans", "-o", "json"]).output().expect(0);
    assert!(!volume_is_held.stdout.contains("pv-released"), "{volume_is_held}");
}

/// A mark of a migration whose journal is gone is called that, and is no orphan; with
/// its journal it is the migration's.
#[test]
fn a_mark_without_its_journal_is_told() {
    let namespace = TestCluster::shared().namespace("orphans-no-journal");
    scaled(&namespace, "web", 2, 1);
    let disk = bound(&namespace, "data-web-1");
    let at = namespace.name().to_owned();
    let op = format!("op-{at}");
    let api = namespace.cluster().api();
    let claim = namespace.get("v1", "persistentvolumeclaims", "data-web-1").expect("a claim");
    let note = json!({
        "op": op, "namespace": at, "journal": "kubectl-stateful-migrate-web", "policy": "Delete",
        "old": {"name": "data-web-1", "uid": claim["metadata"]["uid"]}, "new": "data-web-1",
    });
    let mark = "kubectl-stateful.dev/migration";
    let annotate = |text: String| json!({"metadata": {"annotations": {mark: text}}});
    api.patch(&format!("/api/v1/persistentvolumes/{disk}"), &annotate(note.to_string()));
    let path = namespace.path("v1", "persistentvolumeclaims", "data-web-1");
    api.patch(&path, &annotate(op.clone()));
    let row = |found: &Value| {
        let rows = found["items"].as_array().expect("rows");
        rows.iter().find(|row| row["name"] == "data-web-1").expect("its row").clone()
    };
    let found = row(&report(&namespace));
    assert_eq!(
        (&found["class"], &found["orphan"]),
        (&json!("unknown"), &json!(false)),
        "{found:#}"
    );
    let why = found["evidence"][0].as_str().expect("evidence");
    assert!(why.contains(&op) && why.contains("kubectl-stateful-migrate-web"), "{why}");
    assert!(why.contains("is gone"), "{why}");
    let output = namespace.stateful(["orphans", "delete", "data-web-1", "--yes"]).output();
    output.expect(4);
    let journal = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "kubectl-stateful-migrate-web", "annotations": {mark: op}},
    });
    api.create(&namespace.path("v1", "configmaps", ""), &journal);
    // Behind this journal is nothing to look at, which is what the hint does.
    let found = namespace.stateful(["orphans", "-o", "json"]).unheld().output().expect(0);
    let found = row(&document(&found));
    assert_eq!(found["class"], "managed", "{found:#}");
    // Nothing of this is left for others, who share the volumes.
    api.patch(
        &format!("/api/v1/persistentvolumes/{disk}"),
        &json!({"metadata": {"annotations": {mark: null}}}),
    );
}
