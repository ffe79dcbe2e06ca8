//! Parts of Kubernetes that go away for a while, at every state of a move, and
//! a node that is gone.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{
    super::support::{Fault, Gate},
    faults::Verb,
    *,
};

/// How many points are tried, unless all are asked for.
const SAMPLE: usize = 3;
const PARTS: [&str; 2] = ["kube-apiserver", "kube-controller-manager"];

/// A control plane whose parts come and go, for one at a time.
fn alone() -> (&'static TestCluster, MutexGuard<'static, ()>) {
    static CLUSTER: OnceLock<TestCluster> = OnceLock::new();
    static ALONE: Mutex<()> = Mutex::new(());
    // Whoever failed has left a namespace of its own, and no part stopped for long.
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    (CLUSTER.get_or_init(TestCluster::fresh), guard)
}

/// A part that is restarted while a write waits, which is then sent.
struct Point {
    verb: Verb,
    write: usize,
    part: &'static str,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point { verb, write, part } = self;
        write!(f, "{part} restarted before write {write} of {verb:?}")
    }
}

impl Point {
    fn try_it(&self) {
        let Point { verb, write, part } = *self;
        let (cluster, _guard) = alone();
        let mut place = verb.prepare_on(cluster, STATIC);
        let proxy = cluster.proxy();
        let gate = Gate::closed();
        let mut writes = 0;
        let held = gate.clone();
        proxy.on(move |seen| {
            writes += usize::from(seen.changes());
            (seen.changes() && writes == write).then(|| Fault::Hold(held.clone()))
        });
        let running = verb.through(&place, &proxy).start();
        // A run that has to wait less sends fewer heartbeats, and has fewer writes
        // than the one that was counted.
        let is_held = wait_for(SOON, "the write or the end", || {
            let is_held = gate.is_reached();
            (is_held || running.has_ended()).then_some(is_held)
        });
        if is_held {
            cluster.restart(part);
            // The server has forgotten what was before.
            place.watch_anew();
            gate.release();
        }
        let output = running.finish();
        if output.code() != Some(0) {
            // It was away for longer than a run waits.
            assert!(is_held, "{output}");
            assert_eq!(output.code(), Some(1), "{output}\n{}", proxy.log());
            let begun = place.has_journal();
            let again = if begun { place.on("resume", "--takeover") } else { verb.command(&place) };
            again.output().expect(0);
        }
        match verb {
            Verb::Run => {
                place.is_moved();
                place.on("rollback", "").output().expect(0);
                place.is_home();
            }
            Verb::Rollback => place.is_home(),
            Verb::Finalize => place.is_finished(),
        }
    }
}

#[test]
fn a_restart_of_any_part_before_any_write_changes_no_end() {
    let (mut points, mut counts) = (Vec::new(), Vec::new());
    for verb in [Verb::Run, Verb::Rollback, Verb::Finalize] {
        let (_, requests) = verb.requests(STATIC);
        let writes = requests.iter().filter(|seen| seen.changes()).count();
        counts.push(format!("{verb:?} {writes}"));
        for write in 1..=writes {
            points.extend(PARTS.map(|part| Point { verb, write, part }));
        }
    }
    let of = format!("writes: {}", counts.join(", "));
    support::sweep_concurrently(1, "migrate restarted", &of, points, SAMPLE, Point::try_it);
}

/// The node of the disk goes while nothing serves: whichever way it is to go on,
/// it is said that no node takes the pod, and once the node is back it goes.
#[test]
fn the_node_of_the_disk_goes_away_and_comes_back() {
    let (cluster, _guard) = alone();
    let place = Place::make_on(cluster, WAIT);
    let proxy = cluster.proxy();
    let gate = Gate::closed();
    let held = gate.clone();
    proxy.once(
        |seen| seen.changes() && seen.path.contains("/statefulsets/mysql"),
        Fault::Hold(held),
    );
    let run = place.run("--timeout 40s -o json");
    let running = run.kubeconfig(place.namespace.kubeconfig_through(&proxy)).start();
    gate.wait_until_reached(SOON);
    let volumes = place.picture();
    let (_, volume) = volumes.all("persistentvolumes").next().expect("the volume");
    let terms = "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0";
    let node = volume.pointer(terms).and_then(Value::as_str).expect("a disk of one node");
    let path = format!("/api/v1/nodes/{node}");
    let mut object = cluster.api().get(&path).expect("the node");
    cluster.stop(node);
    cluster.api().delete(&path);
    gate.release();
    let output = running.finish().expect(6);
    assert_eq!(reason_ids(&output), ["MIGRATE-DEADLINE"], "{output}");
    assert!(output.stdout.contains("for mysql-0 to be scheduled: 0/1 nodes"), "{output}");
    assert!(output.stdout.contains("node affinity"), "{output}");
    // The way back ends there, too, and everything but the pod is as it was.
    let back = place.on("rollback", "--timeout 40s -o json").output().expect(6);
    assert!(back.stdout.contains("everything else is back"), "{back}");

    object["metadata"] = json!({"name": node, "labels": object["metadata"]["labels"]});
    cluster.api().create("/api/v1/nodes", &object);
    cluster.start_part(node);
    place.is_home();
    place.moves();
    place.on("finalize", "").output().expect(0);
    place.is_finished();
}
