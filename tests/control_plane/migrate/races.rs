//! Two at once, and others who get in between: one wins, nobody overwrites
//! anybody, and it can be gone on with.

use http::Method;

use super::{
    super::support::{Fault, FaultProxy, Gate, Running, Seen},
    *,
};

/// So often two begin at the same time, unless everything is asked for.
const RACES: usize = 3;
const ALL_RACES: usize = 50;

/// Whether a request asks for a change that is meant.
fn is_real(seen: &Seen, method: &Method, part: &str) -> bool {
    seen.method == method && seen.path.contains(part) && !seen.path.contains("dryRun")
}

/// A run that waits before one of its requests.
struct Held {
    running: Running,
    gate: Gate,
    proxy: FaultProxy,
}

impl Held {
    #[track_caller]
    fn before(place: &Place, run: Run, method: Method, part: &'static str) -> Held {
        Held::at(1, place, run, method, part)
    }

    /// At so many of such requests, from 1.
    #[track_caller]
    fn at(number: usize, place: &Place, run: Run, method: Method, part: &'static str) -> Held {
        let proxy = place.namespace.cluster().proxy();
        let gate = Gate::closed();
        let (held, mut count) = (gate.clone(), 0);
        proxy.on(move |seen| {
            let is_one = is_real(seen, &method, part);
            count += usize::from(is_one);
            (is_one && count == number).then(|| Fault::Hold(held.clone()))
        });
        let running = run.kubeconfig(place.namespace.kubeconfig_through(&proxy)).start();
        gate.wait_until_reached(SOON);
        Held { running, gate, proxy }
    }

    #[track_caller]
    fn goes_on(self, code: i32) -> Output {
        self.gate.release();
        let output = self.running.finish();
        assert_eq!(output.code(), Some(code), "{output}\n{}", self.proxy.log());
        output
    }
}

/// One gets the lock; the other says who has it, and has written nothing.
#[test]
fn of_two_that_begin_at_once_one_wins() {
    let full = std::env::var_os("KUBECTL_STATEFUL_TEST_FULL").is_some();
    let mut place = Place::make(Story { name: "race", ..STATIC });
    for round in 0..if full { ALL_RACES } else { RACES } {
        let both = [(); 2].map(|()| {
            let proxy = place.namespace.cluster().proxy();
            let gate = Gate::closed();
            // Both look, and find that nobody has begun.
            proxy.once(|seen| seen.path.contains("/configmaps?"), Fault::Hold(gate.clone()));
            let run = place.run("-o json");
            let file = format!("racer-{}.json", proxy.server().rsplit(':').next().unwrap_or(""));
            let kubeconfig = support::Kubeconfig::new(&proxy.server())
                .namespace(place.namespace.name())
                .write(place.namespace.directory(), &file);
            let running = run.kubeconfig(kubeconfig).start();
            gate.wait_until_reached(SOON);
            Held { running, gate, proxy }
        });
        for held in &both {
            held.gate.release();
        }
        let ends = both.map(|held| (held.running.finish(), held.proxy));
        let mut codes = ends.each_ref().map(|(output, _)| output.code());
        codes.sort_unstable();
        let said = ends.each_ref().map(|(output, proxy)| format!("{output}\n{}", proxy.log()));
        assert_eq!(codes, [Some(0), Some(7)], "round {round}\n{}", said.join("\n"));
        let (loser, proxy) = ends.iter().find(|(output, _)| output.code() == Some(7)).expect("one");
        let (winner, _) = ends.iter().find(|(output, _)| output.code() == Some(0)).expect("one");
        assert_eq!(reason_ids(loser), ["MIGRATE-LOCKED"], "{loser}");
        assert!(loser.stderr.contains("lock of the migration to mysql"), "{loser}");
        assert_eq!(document(winner)["stage"], "arrived");
        let wrote = proxy.count(|seen| {
            seen.writes()
                && !seen.path.contains("dryRun")
                && !seen.path.contains("selfsubjectaccessreviews")
                && seen.status.is_some_and(|status| status < 300)
        });
        assert_eq!(wrote, 0, "{loser}\n{}", proxy.log());
        place.is_moved();
        place.on("rollback", "").output().expect(0);
        place.is_home();
        place.watch_anew();
    }
}

/// A signal during a write: the run releases the lock, and `resume` need not wait
/// for a heartbeat.
#[test]
fn after_a_signal_the_lock_is_free() {
    let mut place = Place::make(Story { name: "signal", ..STATIC });
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let held = Held::before(&place, place.run("-o json"), Method::PATCH, "/deployments/");
        held.running.signal(signal);
        let interrupted = held.goes_on(code);
        let state = document(&interrupted);
        assert_eq!(state["result"], "interrupted", "{interrupted}");
        assert!(state["holder"].is_null(), "{interrupted}");
        assert!(interrupted.stderr.contains("interrupted; the state is as shown"), "{interrupted}");
        let resumed = place.on("resume", "").output().expect(0);
        assert!(!resumed.stderr.contains("still holds"), "{resumed}");
        assert!(resumed.stdout.contains("\ndown "), "the objects say how long: {resumed}");
        place.is_moved();
        let back = place.on("rollback", "").output().expect(0);
        assert!(back.stdout.contains("until the Deployment was available"), "{back}");
        place.is_home();
        place.watch_anew();
    }
}

/// A signal while the lock is being taken: the write may have happened, and is
/// taken back.
#[test]
fn a_lock_that_was_not_used_is_given_back() {
    let place = Place::make(Story { name: "unused", ..STATIC });
    place.moves();
    let held = Held::before(&place, place.on("rollback", ""), Method::PATCH, "/configmaps/");
    held.running.signal("INT");
    let interrupted = held.goes_on(130);
    assert!(interrupted.stderr.contains("interrupted; nothing was changed"), "{interrupted}");
    let status = document(&place.on("status", "-o json").output().expect(0));
    assert_eq!((&status["stage"], &status["holder"]), (&json!("arrived"), &Value::Null));
    let back = place.on("rollback", "").output().expect(0);
    assert!(!back.stderr.contains("still holds"), "{back}");
    place.is_home();
}

/// A signal while the journal is being created: it is deleted again, and nobody has
/// to wait for a heartbeat.
#[test]
fn a_journal_that_was_not_used_is_deleted() {
    let place = Place::make(Story { name: "opened", ..STATIC });
    let held = Held::before(&place, place.run(""), Method::POST, "/configmaps");
    held.running.signal("INT");
    let interrupted = held.goes_on(130);
    let said = "interrupted; the journal was deleted again, and nothing else was changed";
    assert!(interrupted.stderr.contains(said), "{interrupted}");
    assert!(!place.has_journal(), "{interrupted}");
    place.is_home();
    let moved = place.run("").output().expect(0);
    assert!(!moved.stderr.contains("still holds"), "{moved}");
    place.is_moved();
}

/// What `run` was asked for besides the move is done by whoever goes on.
#[test]
fn a_run_that_is_continued_still_rolls_back_and_finalizes_by_itself() {
    let mut place = Place::make(Story { name: "wishes", ..STATIC });
    let held = Held::before(&place, place.run("--auto-rollback"), Method::PATCH, "/deployments/");
    held.running.signal("INT");
    held.goes_on(130);
    // Somebody's pod has the name that the set needs: it cannot start.
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mysql-0"},
        "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    });
    create(&place.namespace, &pod);
    let back = place.on("resume", "--timeout 5s -o json").output().expect(10);
    assert_eq!(reason_ids(&back), ["MIGRATE-DEADLINE"], "{back}");
    assert_eq!(document(&back)["stage"], "rolled-back");
    place.namespace.cluster().api().delete(&place.namespace.path("v1", "pods", "mysql-0"));
    place.is_home();
    place.watch_anew();

    let held = Held::before(
        &place,
        place.run("--finalize auto --soak 1s"),
        Method::PATCH,
        "/statefulsets/",
    );
    held.running.signal("INT");
    held.goes_on(130);
    let finished = place.on("resume", "-o json").output().expect(0);
    assert_eq!(document(&finished)["stage"], "finished", "{finished}");
    place.is_finished();
}

/// Wherever it is, the old run stops, and the new one gets there.
#[test]
fn a_live_run_can_be_taken_over() {
    let points = [
        (Method::PATCH, "/persistentvolumes/"),
        (Method::POST, "/persistentvolumeclaims"),
        (Method::POST, "/statefulsets"),
        (Method::PATCH, "/deployments/"),
        (Method::PATCH, "/statefulsets/"),
    ];
    let mut place = Place::make(Story { name: "takeover", ..STATIC });
    for (method, part) in points {
        let old = Held::before(&place, place.run("-o json"), method, part);
        // Without a word it is left alone for as long as it lives.
        place.on("resume", "--takeover").output().expect(0);
        place.is_moved();
        let stopped = old.goes_on(7);
        assert_eq!(reason_ids(&stopped), ["MIGRATE-TAKEN-OVER"], "{part}\n{stopped}");
        place.is_moved();
        place.on("rollback", "").output().expect(0);
        place.is_home();
        place.watch_anew();
    }
}

#[test]
fn a_live_run_is_left_alone() {
    let place = Place::make(Story { name: "alive", ..STATIC });
    // A pod that does not go, so that the run waits and says that it lives.
    let pods = place.namespace.path("v1", "pods", "");
    let list = place.namespace.cluster().api().get(&pods).expect("pods");
    let pod = list["items"][0]["metadata"]["name"].as_str().expect("a pod").to_owned();
    let stuck =
        |on: Value| json!({"metadata": {"annotations": {"stateful.test/stuck-terminating": on}}});
    place.edit("v1", "pods", &pod, &stuck(json!("true")));
    let running = place.run("").start();
    running.wait_for_stderr("the wait", |said| said.contains("to be gone"));
    for verb in ["resume", "rollback"] {
        let output = place.on(verb, "-o json").output().expect(7);
        assert_eq!(reason_ids(&output), ["MIGRATE-LOCKED"], "{output}");
    }
    place.run("").output().expect(7);
    place.edit("v1", "pods", &pod, &stuck(Value::Null));
    running.finish().expect(0);
    place.is_moved();
    place.on("finalize", "").output().expect(0);
    place.is_finished();
}

/// The pod cannot start, because the volume is the set's; but it is there.
#[test]
fn whoever_scales_the_deployment_up_is_noticed() {
    let mut place = Place::make(Story { name: "scaled", ..STATIC });
    for (method, part) in
        [(Method::PATCH, "/statefulsets/"), (Method::PATCH, "/persistentvolumes/")]
    {
        let held = Held::before(&place, place.run("-o json"), method, part);
        place.edit_deployment(&json!({"spec": {"replicas": 2}}));
        let output = held.goes_on(7);
        assert_eq!(reason_ids(&output), ["MIGRATE-CHANGED"], "{output}");
        let hint = support::hint_of(&document(&output), "MIGRATE-CHANGED");
        place.on("resume", "").output().expect(7);
        support::follow(&place.namespace, &hint);
        place.on("resume", "").output().expect(0);
        place.is_moved();
        place.on("rollback", "").output().expect(0);
        place.is_home();
        place.watch_anew();
    }
}

/// Between the look at the claim and the write to its volume nobody could tell
/// us; so the claim is held, and the volume kept before it goes.
#[test]
fn whoever_deletes_a_claim_as_the_policy_returns_loses_no_volume() {
    for (verb, claim, number) in [("finalize", "data-mysql-0", 1), ("rollback", "mysql-data", 2)] {
        let place = Place::make(Story { name: "deleted", ..WAIT });
        place.moves();
        let run = place.on(verb, "-o json");
        let held = Held::at(number, &place, run, Method::PATCH, "/persistentvolumes/");
        let (api, namespace) = (place.namespace.cluster().api(), &place.namespace);
        let volume = namespace.get("v1", "persistentvolumeclaims", claim).expect("it");
        let volume = volume["spec"]["volumeName"].as_str().expect("its volume").to_owned();
        let volume = || api.get(&format!("/api/v1/persistentvolumes/{volume}"));
        api.delete(&namespace.path("v1", "persistentvolumeclaims", claim));
        // Kubernetes itself keeps a claim that a pod has in use.
        for (plural, name) in [("deployments", "mysql"), ("statefulsets", "mysql")] {
            let path = namespace.path("apps/v1", plural, name);
            if api.get(&path).is_some() {
                api.patch(&path, &json!({"spec": {"replicas": 0}}));
            }
        }
        wait_for(SOON, "the pods to be gone", || {
            let pods = namespace.get("v1", "pods", "")?;
            pods["items"].as_array()?.is_empty().then_some(())
        });
        let policy = |volume: Value| volume["spec"]["persistentVolumeReclaimPolicy"].clone();
        assert_eq!(volume().map(policy), Some(json!("Retain")), "{verb}");

        // The claim goes, is made again for the same volume, and the verb goes on.
        let output = held.goes_on(0);
        let kept = volume().unwrap_or_else(|| panic!("{verb}: the volume is gone\n{output}"));
        assert_eq!(policy(kept.clone()), "Delete", "{verb}");
        let found = namespace.get("v1", "persistentvolumeclaims", claim).expect("the claim");
        assert_eq!(found["spec"]["volumeName"], kept["metadata"]["name"], "{output}");
        assert_eq!(kept["spec"]["claimRef"]["uid"], found["metadata"]["uid"], "{output}");
        assert_eq!(place.picture().marked(), Vec::<String>::new());
        if verb == "rollback" {
            wait_for(SOON, "the Deployment to run", || runs(namespace).then_some(()));
        }
    }
}

/// The set would run what nobody wants any more.
#[test]
fn whoever_edits_the_template_is_noticed() {
    let place = Place::make(Story { name: "edited", ..STATIC });
    let run = place.run("-o json");
    let held = Held::before(&place, run, Method::POST, "/persistentvolumeclaims");
    let annotations = json!({"rolled": "once"});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    place.edit_deployment(&patch);
    let output = held.goes_on(7);
    assert_eq!(reason_ids(&output), ["MIGRATE-CHANGED"], "{output}");
    place.on("rollback", "").output().expect(0);
    // What was edited stays so; everything else is as it was.
    wait_for(SOON, "the Deployment to run", || runs(&place.namespace).then_some(()));
    let now = place.picture();
    assert_eq!(now.marked(), Vec::<String>::new());
    let template = &now.get("deployments", "mysql")["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"], annotations);
    for kind in ["persistentvolumes", "persistentvolumeclaims", "services"] {
        assert!(now.all(kind).eq(place.before.all(kind)), "{kind}");
    }
    place.vigil.check(&place.namespace);
}

/// A name that is needed is taken between plan and deed.
#[test]
fn whoever_takes_a_name_keeps_it() {
    let mut place = Place::make(Story { name: "taken", ..STATIC });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "mysql"},
        "spec": {
            "replicas": 0, "serviceName": "mysql", "selector": {"matchLabels": {"app": "other"}},
            "template": {
                "metadata": {"labels": {"app": "other"}},
                "spec": {"containers": [{"name": "other", "image": "busybox"}]},
            },
        },
    });
    let foreign = [
        (set, "statefulsets"),
        (claim("data-mysql-0", "standard-wait", "ReadWriteOnce"), "persistentvolumeclaims"),
    ];
    for (object, plural) in foreign {
        let held = Held::before(&place, place.run("-o json"), Method::POST, "/configmaps");
        let made = create(&place.namespace, &object);
        let output = held.goes_on(7);
        assert_eq!(reason_ids(&output), ["MIGRATE-TAKEN"], "{output}");
        let name = made["metadata"]["name"].as_str().expect("a name");
        let now = place.picture();
        assert_eq!(now.get(plural, name)["metadata"]["uid"], made["metadata"]["uid"]);
        assert_eq!(now.get(plural, name)["spec"], made["spec"]);
        assert!(runs_still(&place), "nothing was stopped");
        place.on("resume", "").output().expect(7);

        let path = now_path(&place, plural, name);
        place.namespace.cluster().api().delete(&path);
        wait_for(SOON, "it to be gone", || {
            place.namespace.cluster().api().get(&path).is_none().then_some(())
        });
        place.on("resume", "").output().expect(0);
        place.is_moved();
        place.on("rollback", "").output().expect(0);
        place.is_home();
        place.watch_anew();
    }
}

fn now_path(place: &Place, plural: &str, name: &str) -> String {
    let (_, version, plural) = KINDS.iter().find(|kind| kind.2 == plural).expect("a kind");
    place.namespace.path(version, plural, name)
}

fn runs_still(place: &Place) -> bool {
    let deployment = place.namespace.get("apps/v1", "deployments", "mysql").expect("it is there");
    deployment["status"]["availableReplicas"] == 1
}

/// A journal that is deleted and still held by somebody's finalizer is as good as
/// gone: nothing more is written to it.
#[test]
fn a_journal_that_is_being_deleted_is_not_written_to() {
    let place = Place::make(Story { name: "leaving", ..STATIC });
    let held = Held::before(&place, place.run("-o json"), Method::POST, "/statefulsets");
    let path = place.namespace.path("v1", "configmaps", "kubectl-stateful-migrate-mysql");
    let api = place.namespace.cluster().api();
    api.patch(&path, &json!({"metadata": {"finalizers": ["example.com/keep"]}}));
    api.delete(&path);
    let to_journal =
        |seen: &&Seen| seen.method == Method::PATCH && seen.path.contains("/configmaps/");
    let Held { running, gate, proxy } = held;
    let before = proxy.count(to_journal);
    gate.release();
    let output = running.finish().expect(7);
    assert_eq!(reason_ids(&output), ["MIGRATE-TAKEN-OVER"], "{output}");
    assert!(output.stdout.contains("the journal is being deleted"), "{output}");
    assert_eq!(proxy.count(to_journal), before, "{output}\n{}", proxy.log());
    for verb in ["resume", "rollback"] {
        let proxy = place.namespace.cluster().proxy();
        let run = place.on(verb, "-o json");
        let run = run.kubeconfig(place.namespace.kubeconfig_through(&proxy));
        let output = run.arg("--takeover").output().expect(11);
        assert_eq!(reason_ids(&output), ["MIGRATE-JOURNAL-UNUSABLE"], "{output}");
        assert_eq!(proxy.count(to_journal), 0, "{output}\n{}", proxy.log());
    }
    api.patch(&path, &json!({"metadata": {"finalizers": null}}));
}

/// When it has deleted its journal, a run is done with it.
#[test]
fn a_journal_that_was_deleted_at_the_end_is_left_alone() {
    let place = Place::make(Story { name: "closed", ..STATIC });
    for verb in ["rollback", "finalize"] {
        place.moves();
        let proxy = place.namespace.cluster().proxy();
        let run = place.on(verb, "");
        run.kubeconfig(place.namespace.kubeconfig_through(&proxy)).output().expect(0);
        let all = proxy.requests();
        let journal = |seen: &&Seen| seen.path.contains("/configmaps/");
        let mut writes = all.iter().filter(journal).filter(|seen| seen.changes());
        let last = writes.next_back().expect("a write");
        assert_eq!(last.method, Method::DELETE, "{}", proxy.log());
    }
}

/// Nobody knows then what was before, except the volume.
#[test]
fn without_its_journal_a_run_stops_where_it_is() {
    let place = Place::make(Story { name: "journal", ..STATIC });
    let held = Held::before(&place, place.run("-o json"), Method::POST, "/statefulsets");
    let journal = place.namespace.path("v1", "configmaps", "kubectl-stateful-migrate-mysql");
    place.namespace.cluster().api().delete(&journal);
    let output = held.goes_on(7);
    assert_eq!(reason_ids(&output), ["MIGRATE-TAKEN-OVER"], "{output}");
    let stage = document(&output)["stage"].clone();
    assert!(stage != "rolled-back" && stage != "finished", "it is neither: {stage}");
    assert!(runs_still(&place), "the application was not stopped");
    place.vigil.check(&place.namespace);
    let now = place.picture();
    let (_, disk) = now.all("persistentvolumes").next().expect("the volume");
    let tag = disk["metadata"]["annotations"]["kubectl-stateful.dev/migration"].as_str();
    assert!(tag.is_some_and(|tag| tag.contains("\"policy\":\"Delete\"")), "{disk:#}");
    assert_eq!(disk["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    for verb in ["resume", "finalize"] {
        let output = place.on(verb, "-o json").output().expect(4);
        assert!(error_ids(&output).iter().all(|id| id == "MIGRATE-REMAINS"), "{output}");
    }
    assert!(place.ends("status", 0).stdout.contains("without a journal"));
    let output = place.run("-o json").output().expect(4);
    assert!(reason_ids(&output).iter().any(|id| id == "MIGRATE-UNDER-WAY"), "{output}");
    place.on("rollback", "").output().expect(0);
    place.is_home();
}
