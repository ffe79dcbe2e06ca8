//! A run that is stopped for a while, and goes on when another one has rolled back: it
//! writes nothing on what it read before, takes back what was under way, and what a
//! kill leaves at that moment is shown, with a line that clears it.

use std::time::{Duration, Instant};

use http::Method;

use super::{
    super::support::{Fault, FaultProxy, Gate, Running, Seen, follow},
    *,
};

/// So many of the writes are tried, unless all are asked for.
const SAMPLE: usize = 4;

/// A run that is held at its request number `number` of those for which `is_one` is
/// true.
struct Held {
    running: Running,
    gate: Gate,
    proxy: FaultProxy,
}

impl Held {
    #[track_caller]
    fn at(
        place: &Place,
        number: usize,
        fault: fn(Gate) -> Fault,
        is_one: impl Fn(&Seen) -> bool + Send + 'static,
    ) -> Held {
        let proxy = place.namespace.cluster().proxy();
        let gate = Gate::closed();
        let (held, mut count) = (gate.clone(), 0);
        proxy.on(move |seen| {
            let is_one = is_one(seen);
            count += usize::from(is_one);
            (is_one && count == number).then(|| fault(held.clone()))
        });
        let run = place.run("-o json").kubeconfig(place.namespace.kubeconfig_through(&proxy));
        let running = run.start();
        gate.wait_until_reached(SOON);
        Held { running, gate, proxy }
    }
}

/// Whether a request writes to an object of the migration other than its journal.
fn is_act(seen: &Seen) -> bool {
    seen.changes() && !seen.path.contains("/configmaps")
}

/// The writes of a run, in order.
fn acts(story: Story) -> Vec<Seen> {
    let place = Place::make(Story { name: "late-count", ..story });
    let proxy = place.namespace.cluster().proxy();
    let run = place.run("").kubeconfig(place.namespace.kubeconfig_through(&proxy));
    run.output().expect(0);
    proxy.requests().into_iter().filter(is_act).collect()
}

/// Some of so many, the first and the last among them; with FULL all.
fn sample(count: usize) -> Vec<usize> {
    if std::env::var_os("KUBECTL_STATEFUL_TEST_FULL").is_some() {
        return (1..=count).collect();
    }
    let step = count.div_ceil(SAMPLE).max(1);
    (1..=count).step_by(step).chain([count]).collect()
}

const HELD: Story = Story {
    manifests: |namespace| {
        let mut all = by_hand(namespace, "Delete");
        all.retain(|object| object["kind"] != "Service");
        all.push(way::autoscaler());
        all
    },
    words: "deploy/mysql --retarget hpa",
    ..STATIC
};

/// The other one deletes the journal; then the write goes through, whose preconditions
/// may still hold. It was left: a volume at Retain, a claim that no other run can use,
/// a Deployment at 0.
#[test]
fn a_write_that_comes_after_a_rollback_is_taken_back() {
    let acts = acts(HELD);
    let mut place = Place::make(Story { name: "late", ..HELD });
    for number in sample(acts.len()) {
        let held = Held::at(&place, number, Fault::Hold, is_act);
        let what = format!("write {number}: {}", acts[number - 1]);
        place.on("rollback", "--takeover").output().expect(0);
        assert!(!place.has_journal(), "{what}");
        held.gate.release();
        let output = held.running.finish();
        assert_eq!(output.code(), Some(7), "{what}\n{output}\n{}", held.proxy.log());
        assert_eq!(reason_ids(&output), ["MIGRATE-TAKEN-OVER"], "{what}\n{output}");
        let late = held.proxy.requests().into_iter().filter(is_act).nth(number - 1);
        let came = late.expect("it").status.is_some_and(|status| status < 300);
        let told = output.stdout.contains("came too late");
        assert!(told || !came, "{what}\n{output}\n{}", held.proxy.log());
        place.is_home();
        assert_eq!(place.ends("status --exit-code", 0).stdout, "no migration is under way\n");
        place.watch_anew();
    }
}

/// What was read before the other one came is not written on.
#[test]
fn a_run_that_was_stopped_looks_again_before_it_writes() {
    let place = Place::make(Story { name: "stopped", ..STATIC });
    let journal = "/configmaps/kubectl-stateful-migrate-mysql";
    let reads = move |seen: &Seen| seen.method == Method::GET && seen.path.contains(journal);
    for number in sample(4) {
        let held = Held::at(&place, number, Fault::HoldAnswer, reads);
        let since = Instant::now();
        held.running.signal("STOP");
        place.on("rollback", "--takeover").output().expect(0);
        place.is_home();
        wait_for(SOON, "the reading to be old", || {
            (since.elapsed() > Duration::from_secs(3)).then_some(())
        });
        let before = held.proxy.count(|seen| is_act(seen));
        held.gate.release();
        held.running.signal("CONT");
        let output = held.running.finish();
        assert_eq!(output.code(), Some(7), "read {number}\n{output}\n{}", held.proxy.log());
        assert_eq!(reason_ids(&output), ["MIGRATE-TAKEN-OVER"], "{output}");
        assert_eq!(held.proxy.count(|seen| is_act(seen)), before, "{}", held.proxy.log());
        place.is_home();
    }
}

/// Killed with its last write under way, after the other one has rolled back: nobody
/// is there to take it back. It was 4, 11, 4 and 4 for ever, and status said none.
#[test]
fn what_a_kill_leaves_without_a_journal_is_shown_and_cleared() {
    let points = ["/persistentvolumes/", "/persistentvolumeclaims", "/services", "/statefulsets"];
    let mut place = Place::make(Story { name: "left-late", ..HELD });
    for part in points {
        let is_one = move |seen: &Seen| is_act(seen) && seen.path.contains(part);
        let held = Held::at(&place, 1, Fault::Hold, is_one);
        held.running.signal("STOP");
        place.on("rollback", "--takeover").output().expect(0);
        place.is_home();
        held.gate.release();
        let answered = wait_for(SOON, "the write to be made", || {
            held.proxy.requests().into_iter().find(|seen| is_one(seen))?.status
        });
        assert!(answered < 300, "{part}: {answered}");
        // Dropped, it is killed.
        drop(held);

        let list = place.migrate("status --exit-code -o json").output().expect(3);
        let document = document(&list);
        let items = document["items"].as_array().expect("items");
        assert_eq!(items.len(), 1, "{part}\n{list}");
        assert_eq!(reason_ids(&list), ["MIGRATE-REMAINS"], "{part}\n{list}");
        let line = items[0]["command"].as_str().expect("a line").to_owned();
        assert!(place.ends("status", 0).stdout.contains(&line), "{part}: {line}");
        let plan = place.run("-o json").output();
        if plan.code() == Some(4) {
            assert!(plan.stdout.contains(&line.replace('"', "\\\"")), "{part}\n{plan}");
        } else {
            // A Service that selects the pods is used by the next one as it is.
            assert!(part == "/services" && plan.code() == Some(0), "{part}\n{plan}");
            place.on("rollback", "").output().expect(0);
        }
        follow(&place.namespace, &line);
        place.is_home();
        assert_eq!(place.ends("status --exit-code", 0).stdout, "no migration is under way\n");
        place.watch_anew();
    }
}

/// Somebody deletes the journal of a migration that has arrived: the set keeps what it
/// has, and the policy comes back.
#[test]
fn a_set_whose_journal_was_deleted_is_finalized_from_the_marks() {
    let place = Place::make(Story { name: "unjournaled", ..HELD });
    place.moves();
    let path = place.namespace.path("v1", "configmaps", "kubectl-stateful-migrate-mysql");
    place.namespace.cluster().api().delete(&path);
    for (verb, code) in [("resume", 4), ("rollback", 4)] {
        let output = place.on(verb, "-o json").output().expect(code);
        assert!(error_ids(&output).iter().all(|id| id == "MIGRATE-REMAINS"), "{output}");
    }
    let list = place.on("status", "--exit-code -o json").output().expect(3);
    let lines = document(&list)["items"].clone();
    let lines: Vec<String> = lines
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["command"].as_str().expect("a line").to_owned())
        .collect();
    let finalize =
        format!("kubectl stateful migrate finalize sts/mysql -n {}", place.namespace.name());
    assert!(lines.contains(&finalize), "{list}");
    follow(&place.namespace, &finalize);
    let now = place.picture();
    let marked = now.marked();
    let old: Vec<&String> = marked.iter().filter(|one| !one.ends_with("/mysql-pv-claim")).collect();
    assert_eq!(old, Vec::<&String>::new());
    let disk = place.disk_of(&now, "data-mysql-0");
    assert_eq!(disk["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    let set = place.namespace.get("apps/v1", "statefulsets", "mysql").expect("the set");
    assert_eq!(set["status"]["readyReplicas"], 1);
    assert_eq!(place.ends("status --exit-code", 0).stdout, "no migration is under way\n");
}
