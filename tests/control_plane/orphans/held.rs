//! A claim that is deleted is held until its volume was looked at once more: what
//! that is for, and what becomes of the hold when a run does not get there.

use super::{super::support::Disk, *};

const KEEPS: &str = "kubectl-stateful.dev/volume-stays";

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn orphans(namespace: &Namespace, text: &str) -> Output {
    namespace.stateful(["orphans"]).args(words(text)).output()
}

fn set_policy(namespace: &Namespace, disk: &Disk, to: &str) {
    let path = format!("/api/v1/persistentvolumes/{}", disk.volume);
    let patch = json!({"spec": {"persistentVolumeReclaimPolicy": to}});
    namespace.cluster().api().patch(&path, &patch);
}

fn is_held(namespace: &Namespace) -> bool {
    let claim = namespace.get("v1", "persistentvolumeclaims", "data-web-1");
    claim.is_some_and(|claim| claim["metadata"]["finalizers"].to_string().contains(KEEPS))
}

/// `orphans delete data-web-1`, stopped before the first request for which
/// `stops` holds.
fn deletes_until(
    namespace: &Namespace,
    more: &str,
    stops: impl FnMut(&super::super::support::Seen) -> bool + Send + 'static,
) -> Held {
    let (proxy, gate) = (namespace.cluster().proxy(), Gate::closed());
    proxy.once(stops, Fault::Hold(gate.clone()));
    let through = namespace.kubeconfig_through(&proxy);
    let text = format!("orphans delete data-web-1 --yes{more}");
    let running = namespace.stateful(words(&text)).kubeconfig(through).start();
    gate.wait_until_reached(SOON);
    Held { running, gate, _proxy: proxy }
}

/// Somebody sets the policy back to Delete while the deletion is under way: the
/// claim waits, the volume is set to Retain again, and is kept.
#[test]
fn a_policy_that_is_set_back_during_the_deletion_destroys_nothing() {
    let namespace = TestCluster::shared().namespace("orphans-policy-back");
    scaled(&namespace, "web", 2, 1);
    let disk = Disk::of_claim(&namespace, "data-web-1");
    let held = deletes_until(&namespace, " -o json", |seen| seen.method == http::Method::DELETE);
    set_policy(&namespace, &disk, "Delete");
    held.gate.release();
    let output = held.running.finish().expect(0);
    let item = document(&output)["items"][0].clone();
    assert_eq!((&item["result"], &item["data"]), (&json!("deleted"), &json!("kept")), "{output}");
    disk.settles(&namespace);
    assert!(disk.is_whole(), "{output}");
    assert_eq!(rest(&namespace, "data-web-1", &disk.volume)["policy"], "Retain");
    super::truth::paste(&namespace, &format!("{} --yes", item["undo"].as_str().expect("a line")))
        .expect(0);
    assert_eq!(bound(&namespace, "data-web-1"), disk.volume);
}

/// Once the claim is gone somebody destroys the volume: that is said, and nothing
/// is offered that would bring it back.
#[test]
fn a_disk_that_is_gone_is_called_destroyed() {
    for what in ["deleted", "policy"] {
        let namespace = TestCluster::shared().namespace(&format!("orphans-destroyed-{what}"));
        scaled(&namespace, "web", 2, 1);
        let disk = Disk::of_claim(&namespace, "data-web-1");
        // Right before the last look at the volume it is asked whether the set wants
        // the ordinal.
        let held = deletes_until(&namespace, "", |seen| seen.path.ends_with("statefulsets/web"));
        wait_for(SOON, "the claim to be gone", || {
            namespace.get("v1", "persistentvolumeclaims", "data-web-1").is_none().then_some(())
        });
        if what == "policy" {
            set_policy(&namespace, &disk, "Delete");
        } else {
            namespace.kubectl(["delete", "pv", &disk.volume]).output().expect(0);
            wait_for(SOON, "it to be gone", || disk.volume(&namespace).is_none().then_some(()));
        }
        held.gate.release();
        let output = held.running.finish().expect(7);
        assert!(output.stdout.contains("DESTROYED"), "{output}");
        assert!(!output.stdout.contains("undo"), "nothing undoes that: {output}");
        assert!(!output.stdout.contains("see volume"), "it does not exist: {output}");
        disk.settles(&namespace);
        assert_eq!(disk.is_whole(), what == "deleted", "{output}");
    }
}

/// What may not be read afterwards is not called kept.
#[test]
fn a_volume_that_cannot_be_read_is_not_called_kept() {
    let namespace = TestCluster::shared().namespace("orphans-unread-after");
    scaled(&namespace, "web", 2, 1);
    let disk = Disk::of_claim(&namespace, "data-web-1");
    let proxy = namespace.cluster().proxy();
    let (mut is_deleted, of_volume) = (false, format!("/persistentvolumes/{}", disk.volume));
    let mut is_let_go = false;
    proxy.on(move |seen| {
        is_deleted |= seen.method == http::Method::DELETE;
        is_let_go |= is_deleted && seen.method == http::Method::PATCH;
        let is_it = is_let_go && seen.path.contains(&of_volume);
        is_it.then(|| Fault::Answer(Answer::status(403, "Forbidden", "no right to get it")))
    });
    let through = namespace.kubeconfig_through(&proxy);
    let run = namespace.stateful(words("orphans delete data-web-1 --yes")).kubeconfig(through);
    let output = run.output().expect(8);
    assert!(output.stdout.contains("could not be read"), "{output}");
    assert!(output.stderr.contains("ORPHANS-NOT-READ"), "{output}");
    assert!(!output.stdout.contains("undo"), "{output}");
}

/// Interrupted between the hold and the deletion, it lets go.
#[test]
fn an_interrupted_run_lets_go_of_the_claim() {
    let namespace = TestCluster::shared().namespace("orphans-let-go");
    scaled(&namespace, "web", 2, 1);
    let disk = Disk::of_claim(&namespace, "data-web-1");
    // The look between them.
    let is_look = |held: &mut bool, seen: &super::super::support::Seen| {
        let was_held = *held;
        *held |= seen.method == http::Method::PATCH && seen.path.contains("persistentvolumeclaims");
        was_held && seen.method == http::Method::GET && seen.path.ends_with("data-web-1")
    };
    let mut patched = false;
    let held = deletes_until(&namespace, "", move |seen| is_look(&mut patched, seen));
    assert!(is_held(&namespace));
    held.running.signal("INT");
    let output = held.running.finish().expect(130);
    assert!(!is_held(&namespace), "{output}");
    assert!(output.stdout.contains("left"), "{output}");

    // In use since: refused, and let go.
    let mut patched = false;
    let held = deletes_until(&namespace, "", move |seen| is_look(&mut patched, seen));
    scale(&namespace, "web", &json!({"replicas": 2}));
    pods_are(&namespace, "web", &[0, 1]);
    held.gate.release();
    let output = held.running.finish().expect(7);
    assert!(!is_held(&namespace), "{output}");
    assert!(disk.is_whole());
    scale(&namespace, "web", &json!({"replicas": 1}));
    pods_are(&namespace, "web", &[0]);

    // Killed: the report says so, with a line that lets go; and the same command
    // goes on.
    for again in [false, true] {
        let mut patched = false;
        let held = deletes_until(&namespace, "", move |seen| is_look(&mut patched, seen));
        held.running.signal("KILL");
        assert_eq!(held.running.finish().signal(), Some(9));
        assert!(is_held(&namespace));
        if again {
            orphans(&namespace, "delete data-web-1 --yes").expect(0);
            disk.settles(&namespace);
            assert!(disk.is_whole());
            continue;
        }
        let report = support::document(&namespace.stateful(["orphans", "-o", "json"]).output());
        let reasons = report["reasons"].as_array().expect("reasons");
        let left = reasons.iter().find(|one| one["id"] == "ORPHANS-LEFT-HELD");
        let line = left.expect("it is told")["hint"].as_str().expect("a line").to_owned();
        support::follow(&namespace, &line);
        assert!(!is_held(&namespace), "{line}");
        orphans(&namespace, "adopt pvc/data-web-1 --to web/1 --yes").expect(0);
        assert_eq!(rest(&namespace, "data-web-1", &disk.volume)["policy"], "Delete");
    }
}
