//! "Kept" is held to the disk itself, with a provisioner that really deletes:
//! what others do before, in the middle and in the end. And the way out of each
//! half-done thing is the line that is printed, run as it stands.

use std::fmt;

use hyper::{Method, StatusCode};

use super::{
    super::support::{self, Disk, Fault, FaultProxy, Gate, Meddled, Meddling, sweep},
    *,
};

/// How many points of the sweep are tried, unless all are asked for.
const SAMPLE: usize = 12;

fn claim(namespace: &Namespace, name: &str) -> Option<Value> {
    namespace.get("v1", "persistentvolumeclaims", name)
}

pub fn volume(namespace: &Namespace, name: &str) -> Option<Value> {
    namespace.cluster().api().get(&format!("/api/v1/persistentvolumes/{name}"))
}

fn document(output: &Output) -> Value {
    support::document(output)
}

/// Someone deletes the claim of a pod that runs: only the pod keeps it.
pub(super) fn delete_claim(namespace: &Namespace, name: &str) {
    namespace.kubectl(["delete", "pvc", name, "--wait=false"]).output().expect(0);
    assert!(
        claim(namespace, name).expect("its pod keeps it")["metadata"]["deletionTimestamp"]
            .is_string()
    );
}

pub fn delete_with(namespace: &Namespace, when_scaled: &str) {
    let policy = json!({"whenScaled": when_scaled, "whenDeleted": "Retain"});
    edit(namespace, &json!({"spec": {"persistentVolumeClaimRetentionPolicy": policy}}));
}

/// Runs a line as it stands, each of its commands agreed to.
#[track_caller]
pub fn follow(namespace: &Namespace, line: &str) {
    let agree = |one: &str| {
        let asks = one.starts_with("kubectl stateful") && !one.contains(" --yes");
        format!("{one}{}", if asks { " --yes" } else { "" })
    };
    let agreed: Vec<String> = line.split(" && ").map(agree).collect();
    support::follow(namespace, &agreed.join(" && "));
}

/// No flag of ours keeps a claim that is being deleted: it is refused with the
/// line that keeps the volume, and that line does.
#[test]
fn a_claim_that_is_being_deleted_is_not_called_kept() {
    let namespace = made("scale-terminating", 3, |_| {});
    let before = Picture::of(&namespace);
    let disk = before.claims["www-web-2"].1.clone();
    delete_claim(&namespace, "www-web-2");
    for words in ["--replicas 2 -o json", "--replicas 2 --retain -o json"] {
        let refused = ends(&namespace, words, 4);
        assert_eq!(reason_ids(&refused), ["SCALE-DESTROYS-DATA"], "{refused}");
        assert!(refused.stdout.contains("is being deleted already"), "{refused}");
    }
    let refused = ends(&namespace, "--replicas 2 -o json", 4);
    let hint = document(&refused)["reasons"][0]["hint"].as_str().expect("a hint").to_owned();
    support::follow(&namespace, &hint);
    let output = ends(&namespace, "--replicas 2 -o json", 0);
    assert_eq!(document(&output)["items"][0]["claims"][0]["fate"], "claim-goes", "{output}");
    wait_for(SOON, "the claim to be gone", || {
        claim(&namespace, "www-web-2").is_none().then_some(())
    });
    let kept = volume(&namespace, &disk).expect("the volume is kept");
    assert_eq!(kept["spec"]["persistentVolumeReclaimPolicy"], "Retain");
}

/// In the middle somebody applies the old manifest, deletes a claim, or strips
/// and replaces one: the next ordinal is not touched.
#[test]
fn what_others_do_in_the_middle_stops_the_next_step() {
    type Meddle = fn(&Namespace);
    let meddling: [(&str, Meddle); 3] = [
        ("applied", |namespace| delete_with(namespace, "Delete")),
        ("deleted", |namespace| delete_claim(namespace, "www-web-1")),
        ("replaced", |namespace| {
            let path = namespace.path("v1", "persistentvolumeclaims", "www-web-1");
            delete_claim(namespace, "www-web-1");
            let strip = json!({"metadata": {"finalizers": null}});
            namespace.cluster().api().patch(&path, &strip);
        }),
    ];
    for (what, meddle) in meddling {
        let namespace = made(&format!("scale-middle-{what}"), 3, |_| {});
        let before = Picture::of(&namespace);
        let ready = namespace.directory().join("ready");
        let wait = until_there(&ready);
        let running = scale(&namespace, "--replicas 1 --retain -o json")
            .args(["--after", &format!("echo gone; {wait}")])
            .start();
        running.wait_for_stderr("the first hook", |said| said.contains("after web-2: gone"));
        meddle(&namespace);
        std::fs::write(&ready, "").expect("a file");
        let output = running.finish().expect(7);
        assert_eq!(reason_ids(&output), ["SCALE-DATA-CHANGED"], "{what}: {output}");
        let said = document(&output)["reasons"][0]["message"].to_string();
        // Replaced: the new claim has another disk.
        assert!(what == "replaced" || said.contains("would be: DESTROYED"), "{what}: {said}");
        let now = Picture::of(&namespace);
        assert_eq!((now.replicas, now.pods.len()), (2, 2), "{what}");
        assert_eq!(now.claims["www-web-2"].0, before.claims["www-web-2"].0, "{what}");
        assert_eq!(document(&output)["items"][0]["claims"][0]["fate"], "kept", "{what}");
        if what == "applied" {
            // The same command goes on: it writes Retain again.
            let next = document(&output)["next"].as_str().expect("a line").to_owned();
            follow(&namespace, &next);
            Picture::of(&namespace).is_down_to(1, &before);
        }
    }
}

/// Between the last look and the end somebody deletes the claim: the end is told
/// as it is, and is no success.
#[test]
fn a_claim_that_goes_with_its_pod_is_told_in_the_end() {
    let namespace = made("scale-not-kept", 2, |_| {});
    let before = Picture::of(&namespace);
    // Its pod takes its time.
    let hold = |by: Value| {
        let path = namespace.path("v1", "pods", "web-1");
        namespace.cluster().api().patch(&path, &json!({"metadata": {"finalizers": by}}));
    };
    hold(json!(["stateful.test/hold"]));
    let running = scale(&namespace, "--replicas 1 --retain -o json").start();
    running.wait_for_stderr("the wait for it", |said| said.contains("web-1 to be gone"));
    delete_claim(&namespace, "www-web-1");
    hold(Value::Null);
    let output = running.finish().expect(7);
    assert_eq!(reason_ids(&output), ["SCALE-NOT-KEPT"], "{output}");
    let end = document(&output);
    assert_eq!(end["items"][0]["claims"][0]["fate"], "destroyed", "{end:#}");
    assert_eq!(end["undo"], Value::Null, "nothing brings it back: {end:#}");
    let disk = &before.claims["www-web-1"].1;
    wait_for(SOON, "the disk to be gone", || volume(&namespace, disk).is_none().then_some(()));
}

/// Two would write to one disk: that is said in the plan, and whoever says yes to
/// the old data has not said yes to that.
#[test]
fn a_claim_that_another_pod_uses_is_not_mounted_or_set_aside() {
    let namespace = made("scale-in-use", 3, |_| {});
    ends(&namespace, "--replicas 2", 0);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"},
        "spec": {
            "containers": [{"name": "reader", "image": "reader:1"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "www-web-2"}}],
        },
    });
    namespace.cluster().api().create(&namespace.path("v1", "pods", ""), &pod);
    let before = Picture::of(&namespace);
    for (words, id) in [
        ("--replicas 3 --allow SCALE-READOPTS-DATA", "SCALE-CLAIM-IN-USE"),
        ("--replicas 3 --fresh", "SCALE-NOT-ASIDE"),
        ("--replicas 3 --fresh --dry-run", "SCALE-NOT-ASIDE"),
    ] {
        let refused = ends(&namespace, &format!("{words} -o json"), 4);
        assert_eq!(reason_ids(&refused)[0], id, "{words}: {refused}");
        assert_eq!(Picture::of(&namespace), before, "{words}");
    }
    namespace.delete_pod("reader");
    ends(&namespace, "--replicas 3 --allow SCALE-READOPTS-DATA", 0);
}

/// Killed while it adds an ordinal, typed again it waits for it; and the line
/// that takes it back does, typed twice or not.
#[test]
fn an_interrupted_scale_up_goes_on_or_back() {
    for back in [false, true] {
        let namespace = made("scale-up-again", 1, |_| {});
        let before = Picture::of(&namespace);
        let running =
            scale(&namespace, "--by 2 -o json").args(["--after", "echo here; sleep 60"]).start();
        running.wait_for_stderr("the first hook", |said| said.contains("after web-1: here"));
        running.signal("INT");
        let stopped = document(&running.finish().expect(130));
        break_pod(&namespace, "web-1");
        assert_eq!(Picture::of(&namespace).replicas, 2);
        let (next, undo) = (stopped["next"].as_str(), stopped["undo"].as_str());
        let (next, undo) = (next.expect("a line"), undo.expect("a line"));
        assert!(next.contains("--replicas 3") && !next.contains("--by"), "{next}");
        assert!(undo.contains("--abort"), "{undo}");
        if back {
            follow(&namespace, undo);
            let now = Picture::of(&namespace);
            assert_eq!((now.replicas, &now.pods, now.annotated), (1, &before.pods, false));
            let again = ends(&namespace, "--abort", 0);
            assert!(again.stdout.contains("1 replica already"), "{again}");
            continue;
        }
        let running = scale(&namespace, "--replicas 3 -o json --timeout 2s").output();
        assert_ne!(running.code(), Some(4), "it waits, and does not refuse: {running}");
        let heal = json!({"metadata": {"annotations": {"stateful.test/crash-loop": null}}});
        namespace.cluster().api().patch(&namespace.path("v1", "pods", "web-1"), &heal);
        namespace.kubectl(["delete", "pod", "web-1", "--wait=false"]).output().expect(0);
        ends(&namespace, "--replicas 3", 0);
        assert_eq!(Picture::of(&namespace).pods.len(), 3);
    }
}

/// A command that has done its work changes nothing when it is typed again, and
/// what is left of one that was killed is in its plan, and in its hash.
#[test]
fn a_finished_command_typed_again_is_done() {
    let namespace = made("scale-again", 3, |_| {});
    ends(&namespace, "--replicas 2 --retain", 0);
    for words in ["--replicas 2 --retain", "--replicas 2 --fresh"] {
        let output = ends(&namespace, words, 0);
        assert!(output.stdout.contains("2 replicas already"), "{output}");
    }
    let same = scale(&namespace, "--replicas 2").args(["--before-exec", "drain"]);
    same.output().expect(0);

    let after = ["--after", "echo here; sleep 60"];
    let running = scale(&namespace, "--replicas 1").args(after).start();
    running.wait_for_stderr("the hook", |said| said.contains("after web-1: here"));
    running.signal("KILL");
    running.finish();
    let plan = scale(&namespace, "--replicas 1 --dry-run").args(["--after", "true"]);
    let plan = plan.output().expect(0);
    assert!(plan.stdout.contains("to finish: the hooks and checks after web-1"), "{plan}");
    assert!(!plan.stdout.contains("nothing to do"), "{plan}");
    let hash = |words: &str, hooks: &[&str]| {
        let run = scale(&namespace, &format!("{words} --dry-run -o json")).args(hooks);
        document(&run.output().expect(0))["hash"].as_str().expect("a hash").to_owned()
    };
    ends(&namespace, "--replicas 1", 0);
    let base = hash("--replicas 0", &[]);
    for hooks in [
        ["--before", "true"],
        ["--before-exec", "true"],
        ["--check", "true"],
        ["--settle", "1s"],
        ["--timeout", "1s"],
        ["--hook-timeout", "1s"],
    ] {
        assert_ne!(hash("--replicas 0", &hooks), base, "{hooks:?}");
    }
}

/// The report names what was set aside, and its `undo` brings the old data back
/// under its old name.
#[test]
fn the_undo_of_fresh_disks_brings_the_old_ones_back() {
    let namespace = made("scale-fresh-undo", 3, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, "--replicas 2", 0);
    let output = ends(&namespace, "--replicas 3 --fresh -o json", 0);
    let end = document(&output);
    assert_eq!(end["aside"][0]["was"], "www-web-2", "{end:#}");
    assert_eq!(end["aside"][0]["volume"], before.claims["www-web-2"].1, "{end:#}");
    let now = Picture::of(&namespace);
    let blank = now.claims["www-web-2"].1.clone();
    assert_ne!(blank, before.claims["www-web-2"].1);
    follow(&namespace, end["undo"].as_str().expect("a line"));
    let now = Picture::of(&namespace);
    assert_eq!(now.replicas, 2);
    assert_eq!(now.claims["www-web-2"].1, before.claims["www-web-2"].1);
    assert!(volume(&namespace, &blank).is_some(), "the disk in between is kept");
    ends(&namespace, "--replicas 3 --allow SCALE-READOPTS-DATA", 0);
}

/// With several claims the undo says which one each disk is for.
#[test]
fn the_undo_of_fresh_disks_names_the_claim_templates() {
    let namespace = made("scale-fresh-two", 2, |set| {
        let mut log = set["spec"]["volumeClaimTemplates"][0].clone();
        log["metadata"]["name"] = json!("log");
        set["spec"]["volumeClaimTemplates"].as_array_mut().expect("templates").push(log);
    });
    let before = Picture::of(&namespace);
    ends(&namespace, "--replicas 1", 0);
    let output = ends(&namespace, "--replicas 2 --fresh -o json", 0);
    follow(&namespace, document(&output)["undo"].as_str().expect("a line"));
    let now = Picture::of(&namespace);
    for claim in ["www-web-1", "log-web-1"] {
        assert_eq!(now.claims[claim].1, before.claims[claim].1, "{claim}");
    }
}

/// What was set aside is deleted before the end, and its disk with it: that is no
/// success, and nothing is offered that would bring it back.
#[test]
fn a_claim_that_was_set_aside_and_is_gone_is_told() {
    let namespace = made("scale-aside-gone", 3, |_| {});
    let disk = Disk::of_claim(&namespace, "www-web-2");
    ends(&namespace, "--replicas 2", 0);
    let ready = namespace.directory().join("ready");
    let wait = format!("echo here; {}", until_there(&ready));
    let running = scale(&namespace, "--replicas 3 --fresh").args(["--after", &wait]).start();
    running.wait_for_stderr("the hook", |said| said.contains("after web-2: here"));
    let now = Picture::of(&namespace);
    let aside = now.claims.keys().find(|name| name.contains("-aside-")).expect("a claim aside");
    namespace.kubectl(["delete", "pvc", aside]).output().expect(0);
    wait_for(SOON, "the disk to be gone", || (!disk.is_whole()).then_some(()));
    std::fs::write(&ready, "").expect("a file");
    let output = running.finish().expect(7);
    assert!(output.stdout.contains("scaled 2 → 3, data NOT KEPT"), "{output}");
    assert!(output.stdout.contains("is DESTROYED"), "{output}");
    assert!(!output.stdout.contains("undo"), "nothing brings it back: {output}");
}

/// Killed in the middle of setting a claim aside; then somebody scales, or makes
/// the set again, or deletes the claim that was made: the volume has the way out.
#[test]
fn what_a_killed_fresh_has_begun_can_always_be_finished() {
    type Meddle = fn(&Namespace);
    let meddling: [(&str, Meddle, &str); 3] = [
        ("nothing", |_| {}, "--replicas 3 --fresh"),
        (
            "scaled",
            |namespace| {
                namespace.kubectl(["scale", "sts/web", "--replicas=1"]).output().expect(0);
                namespace.wait_until_observed("web");
            },
            "--replicas 1",
        ),
        (
            "deleted",
            |namespace| {
                let now = Picture::of(namespace);
                let aside = now.claims.keys().find(|name| name.contains("-aside-"));
                let aside = aside.expect("a claim aside").clone();
                namespace.kubectl(["delete", "pvc", &aside]).output().expect(0);
            },
            "--replicas 3 --fresh",
        ),
    ];
    for (what, meddle, words) in meddling {
        let namespace = made(&format!("scale-killed-fresh-{what}"), 3, |_| {});
        let disk = Picture::of(&namespace).claims["www-web-2"].1.clone();
        ends(&namespace, "--replicas 2", 0);
        let path = namespace.path("v1", "persistentvolumeclaims", "www-web-2");
        let held = |by: Value| {
            namespace.cluster().api().patch(&path, &json!({"metadata": {"finalizers": by}}));
        };
        held(json!(["stateful.test/hold"]));
        let running = scale(&namespace, "--replicas 3 --fresh").start();
        running.wait_for_stderr("the wait for it", |said| said.contains("www-web-2 to be gone"));
        running.signal("KILL");
        running.finish();
        held(Value::Null);
        meddle(&namespace);
        if what == "nothing" {
            // Whose it is, and the line that goes on, is told by the report too.
            let report = namespace.stateful(["orphans", "-o", "json"]).output();
            let report = document(&report);
            let reasons = report["reasons"].as_array().expect("reasons");
            let managed = reasons.iter().find(|one| one["id"] == "ORPHANS-MANAGED");
            let managed = managed.unwrap_or_else(|| panic!("it is not told: {report:#}"));
            let message = managed["message"].as_str().expect("a message");
            assert!(message.contains("it belongs to a scaling of web"), "{message}");
            let line = managed["hint"].as_str().expect("a line");
            assert!(line.contains("scale web --replicas 3 --fresh"), "{line}");
            let recover = ["migrate", "recover", "web", "--ordinal", "2", "--dry-run"];
            let pv = format!("www={disk}");
            let refused = namespace.stateful(recover).args(["--pv", &pv]).output();
            assert!(refused.stderr.contains("of a scaling of web"), "{refused}");
            follow(&namespace, line);
            data::is_aside(&namespace, &Picture::of(&namespace), &disk);
            continue;
        }
        let plan = ends(&namespace, &format!("{words} --dry-run"), 0);
        assert!(plan.stdout.contains("is set aside as claim www-web-2-aside-"), "{what}: {plan}");
        ends(&namespace, words, 0);
        data::is_aside(&namespace, &Picture::of(&namespace), &disk);
        let again = ends(&namespace, &format!("{words} --dry-run"), 0);
        assert!(!again.stdout.contains("to finish"), "{what}: {again}");
    }
}

/// A set of two whose second ordinal leaves.
#[derive(Clone, Copy, Debug)]
struct Shape {
    when_scaled: &'static str,
    class: &'static str,
    retain: bool,
    /// Whether the claim has another finalizer as well.
    held: bool,
}

impl Shape {
    fn prepare(self, namespace: &Namespace) -> Disk {
        make(namespace, 2, |set| {
            claims(set, self.class);
            set["spec"]["persistentVolumeClaimRetentionPolicy"] =
                json!({"whenScaled": self.when_scaled, "whenDeleted": "Retain"});
        });
        let disk = Disk::of_claim(namespace, "www-web-1");
        if self.held {
            let path = namespace.path("v1", "persistentvolumeclaims", "www-web-1");
            let finalizers = json!(["kubernetes.io/pvc-protection", "stateful.test/hold"]);
            let patch = json!({"metadata": {"finalizers": finalizers}});
            namespace.cluster().api().patch(&path, &patch);
        }
        disk
    }

    fn run(self, namespace: &Namespace, proxy: &FaultProxy) -> Run {
        let words = "--replicas 1 -o json --timeout 20s";
        let run = scale(namespace, words).kubeconfig(namespace.kubeconfig_through(proxy));
        if self.retain { run.arg("--retain") } else { run }
    }

    /// The number of the request that looks at the claims in the end.
    fn last_look(self) -> usize {
        let namespace = TestCluster::for_sweeps().namespace("kept");
        let disk = self.prepare(&namespace);
        let proxy = namespace.cluster().proxy();
        let output = self.run(&namespace, &proxy).output().expect(0);
        holds(&namespace, &disk, &output);
        let requests = proxy.requests();
        let last = requests.iter().rposition(|seen| seen.writes() && seen.path.contains("/web"));
        let after = &requests[last.expect("a write")..];
        let look = after.iter().find(|seen| seen.path.contains("persistentvolumeclaims"));
        look.expect("a look").number
    }
}

struct Moment {
    shape: Shape,
    request: usize,
    meddling: Meddling,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, request {}, {:?}", self.shape, self.request, self.meddling)
    }
}

/// Takes the finalizer of the test off a claim. The server may take its own off at
/// the same moment: the list is written only as it was read, and read again where
/// it has changed.
fn let_go(namespace: &Namespace, path: &str) -> Option<()> {
    let api = namespace.cluster().api();
    let Some(found) = api.get(path) else { return Some(()) };
    let finalizers = found["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let rest: Vec<_> =
        finalizers.iter().filter(|one| !one.to_string().contains("stateful.test")).collect();
    if rest.len() == finalizers.len() {
        return Some(());
    }
    let version = &found["metadata"]["resourceVersion"];
    let patch = json!({"metadata": {"finalizers": rest, "resourceVersion": version}});
    let (status, answer) =
        api.request(Method::PATCH, path, Some(&patch), "application/merge-patch+json");
    let again = [StatusCode::CONFLICT, StatusCode::NOT_FOUND].contains(&status);
    assert!(status.is_success() || again, "PATCH {path}: {status} {answer}");
    status.is_success().then_some(())
}

/// The world comes to rest; then what was said of the disk must still be so.
#[track_caller]
fn holds(namespace: &Namespace, disk: &Disk, output: &Output) {
    let end: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    if end["replicas"] != 1 {
        return;
    }
    let said = end["items"][0]["claims"][0].clone();
    let path = namespace.path("v1", "persistentvolumeclaims", "www-web-1");
    wait_for(SOON, "the claim to be let go", || let_go(namespace, &path));
    wait_for(SOON, "the pod to be gone", || {
        namespace.get("v1", "pods", "web-1").is_none().then_some(())
    });
    namespace.wait_until_observed("web");
    // What its pod owns, the garbage collector deletes.
    wait_for(SOON, "the claim to have no owner, or to be gone", || {
        let owners = claim(namespace, "www-web-1")
            .map(|claim| claim["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len));
        (owners.unwrap_or_default() == 0).then_some(())
    });
    disk.settles(namespace);
    let there = claim(namespace, "www-web-1");
    let same = there.is_some_and(|claim| {
        claim["metadata"]["uid"] == said["uid"] && claim["metadata"]["deletionTimestamp"].is_null()
    });
    match said["fate"].as_str() {
        Some("kept") => {
            assert!(same, "the claim was said to be kept: {output}");
            assert!(disk.is_whole(), "the disk was said to be kept: {output}");
        }
        Some("claim-goes") => assert!(disk.is_whole(), "the disk was said to be kept: {output}"),
        Some("destroyed" | "volume-goes" | "unknown") => {
            assert_ne!(output.code(), Some(0), "{output}");
        }
        _ => {}
    }
}

fn try_moment(moment: &Moment) {
    let Moment { shape, request, meddling } = moment;
    let namespace = TestCluster::for_sweeps().namespace("kept");
    let disk = shape.prepare(&namespace);
    let (proxy, gate) = (namespace.cluster().proxy(), Gate::closed());
    proxy.at(*request, Fault::Hold(gate.clone()));
    let running = shape.run(&namespace, &proxy).start();
    gate.wait_until_reached(SOON);
    meddling.to(&Meddled {
        namespace: &namespace,
        set: "web",
        claim: "www-web-1",
        pod: "web-1",
        disk: &disk,
    });
    gate.release();
    let output = running.finish();
    holds(&namespace, &disk, &output);
}

/// Over every mix of policies and finalizers, with somebody else at every
/// request up to the last look.
#[test]
fn what_is_said_to_be_kept_is_kept() {
    let meddling = || Meddling::OF_CLAIMS.into_iter().chain([Meddling::WhenScaledDelete]);
    let mut points = Vec::new();
    for (when_scaled, class, retain) in [
        ("Retain", "standard", false),
        ("Retain", "standard-retain", false),
        ("Delete", "standard-retain", false),
        ("Delete", "standard", true),
    ] {
        let shape = |held: bool| Shape { when_scaled, class, retain, held };
        for request in 1..=shape(false).last_look() {
            for meddling in meddling() {
                for held in [false, true] {
                    points.push(Moment { shape: shape(held), request, meddling });
                }
            }
        }
    }
    sweep("scale kept", "whatever others do", points, SAMPLE, try_moment);
}
