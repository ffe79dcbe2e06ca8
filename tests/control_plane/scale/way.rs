//! Down and up, as asked.

use super::*;

/// One at a time: the next number is written when the pod of the last one is
/// gone; also where the controller would take all at once.
fn one_by_one(hint: &str, change: fn(&mut Value)) {
    let namespace = made(hint, 5, change);
    let before = Picture::of(&namespace);
    let chronicle = Chronicle::begin(&namespace);
    let output = ends(&namespace, "--replicas 1 -o json", 0);
    let told = chronicle.told(&namespace);
    assert_eq!(
        told,
        [
            "replicas 5",
            "replicas 4",
            "gone web-4",
            "replicas 3",
            "gone web-3",
            "replicas 2",
            "gone web-2",
            "replicas 1",
            "gone web-1",
        ]
    );
    Picture::of(&namespace).is_down_to(1, &before);
    let document: Value = serde_json::from_str(&output.stdout).expect("a document");
    let kept = |item: &Value| item["claims"][0]["fate"] == "kept";
    assert!(document["items"].as_array().expect("items").iter().all(kept), "{document:#}");
    let undo = document["undo"].as_str().expect("a line");
    assert!(undo.starts_with("kubectl stateful scale web --replicas 5 --allow"), "{undo}");
    // The printed line brings them back, on their disks.
    let words = undo.trim_start_matches("kubectl stateful scale web ");
    ends(&namespace, words.split(" -n ").next().expect("words"), 0);
    let now = Picture::of(&namespace);
    assert_eq!(now.claims, before.claims);
    assert_eq!(now.pod_names(), before.pod_names());
    assert!(!now.annotated);
}

#[test]
fn ordered_ordinals_leave_one_by_one_and_come_back() {
    one_by_one("scale-ordered", |_| {});
}

#[test]
fn parallel_ordinals_leave_one_by_one_and_come_back() {
    one_by_one("scale-parallel", parallel);
}

/// What the test of Parallel stands against: kubectl has them go together.
#[test]
fn without_us_parallel_ordinals_go_at_once() {
    let namespace = made("scale-control", 5, parallel);
    let chronicle = Chronicle::begin(&namespace);
    namespace.kubectl(["scale", "sts/web", "--replicas=1"]).output().expect(0);
    wait_for(SOON, "the pods to be gone", || {
        (Picture::of(&namespace).pods.len() == 1).then_some(())
    });
    let told = chronicle.told(&namespace);
    for between in 2..5 {
        assert!(!told.contains(&format!("replicas {between}")), "{told:?}");
    }
    assert_eq!(told.iter().filter(|said| said.starts_with("gone")).count(), 4, "{told:?}");
}

#[test]
fn up_one_by_one() {
    let namespace = made("scale-up", 1, parallel);
    let chronicle = Chronicle::begin(&namespace);
    ends(&namespace, "--by 2", 0);
    let told = chronicle.told(&namespace);
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(told, ["replicas 1", "replicas 2", "made web-1", "replicas 3", "made web-2"]);
    assert!(!Picture::of(&namespace).annotated);
}

#[test]
fn ordinals_that_begin_at_five() {
    let namespace = made("scale-start", 3, |set| set["spec"]["ordinals"] = json!({"start": 5}));
    let before = Picture::of(&namespace);
    let output = ends(&namespace, "--by -2", 0);
    let now = Picture::of(&namespace);
    now.is_down_to(1, &before);
    assert_eq!(now.pod_names(), ["web-5"]);
    assert!(output.stdout.contains("www-web-7") && output.stdout.contains("www-web-6"), "{output}");
    assert!(!output.stdout.contains("www-web-5 "), "{output}");
}

#[test]
fn nothing_to_do_writes_nothing() {
    let namespace = made("scale-same", 2, |_| {});
    let version = || {
        let set = namespace.get("apps/v1", "statefulsets", "web").expect("the set");
        set["metadata"]["resourceVersion"].clone()
    };
    let before = version();
    let output = ends(&namespace, "--replicas 2", 0);
    assert!(output.stdout.contains("2 replicas already"), "{output}");
    ends(&namespace, "--replicas 0 --dry-run", 0);
    ends(&namespace, "--replicas 0 --dry-run=server -o json", 0);
    assert_eq!(version(), before);
    for (words, code) in [
        ("--replicas 2 --by 1", 2),
        ("--by -3", 2),
        ("--replicas 3 --retain", 2),
        ("--replicas 1 --fresh", 2),
        ("--replicas 1 --on-abort true", 2),
        ("--replicas 1 --allow SCALE-CANARY", 2),
    ] {
        ends(&namespace, words, code);
    }
    let plan = ends(&namespace, "--replicas 1 --dry-run -o json", 0);
    let plan: Value = serde_json::from_str(&plan.stdout).expect("a document");
    let hash = plan["hash"].as_str().expect("a hash");
    let line = plan["next"].as_str().expect("a line");
    assert!(line.ends_with(hash), "{plan:#}");
    ends(&namespace, "--replicas 1 --confirm-plan 00000000", 7);
    assert_eq!(version(), before);
    support::follow(&namespace, line);
    assert_ne!(version(), before);
}

/// Hooks know the ordinal; one that fails stops before it goes, and what was
/// done for it is taken back. The same command goes on.
#[test]
fn hooks_around_each_ordinal() {
    let namespace = made("scale-hooks", 4, |_| {});
    let before = Picture::of(&namespace);
    let said = namespace.directory().join("said");
    let log = |what: &str| {
        let note = "$STATEFUL_STEP $STATEFUL_POD $STATEFUL_ORDINAL $STATEFUL_FROM $STATEFUL_TO \
                    $STATEFUL_PVCS";
        format!("echo {note} >> {}; {what}", said.display())
    };
    let hooked = |before: &str| {
        scale(&namespace, "--by -2 -o json")
            .args(["--before", &log(before), "--after", &log("true"), "--check", &log("true")])
            .args(["--on-abort", &log("true")])
    };
    let lines = || {
        let text = std::fs::read_to_string(&said).unwrap_or_default();
        std::fs::remove_file(&said).expect("it was written");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let stopped = hooked("test $STATEFUL_ORDINAL != 2").output().expect(5);
    assert_eq!(reason_ids(&stopped), ["SCALE-HOOK-FAILED"]);
    let tail = |step: &str, ordinal: u32, from: u32| {
        format!("{step} web-{ordinal} {ordinal} {from} 2 www-web-{ordinal}")
    };
    let first = [("before", 3), ("after", 3), ("check", 3), ("before", 2), ("on-abort", 2)];
    assert_eq!(lines(), first.map(|(step, ordinal)| tail(step, ordinal, 4)));
    let now = Picture::of(&namespace);
    assert_eq!(now.replicas, 3);
    assert!(now.annotated);
    // `--by` counts from where it began.
    hooked("true").output().expect(0);
    // That the last step was concluded is written down with the next one.
    let rest = [("after", 3), ("check", 3), ("before", 2), ("after", 2), ("check", 2)];
    assert_eq!(lines(), rest.map(|(step, ordinal)| tail(step, ordinal, 4)));
    Picture::of(&namespace).is_down_to(2, &before);
}

#[test]
fn a_check_that_says_no_stops_before_the_next_ordinal() {
    let namespace = made("scale-check", 3, |_| {});
    let stopped = scale(&namespace, "--replicas 1 -o json").args(["--check", "exit 3"]);
    let stopped = stopped.output().expect(5);
    assert_eq!(reason_ids(&stopped), ["SCALE-CHECK-FAILED"]);
    let now = Picture::of(&namespace);
    assert_eq!((now.replicas, now.pods.len()), (2, 2));
    // It is asked again, for nobody has said yes.
    scale(&namespace, "--replicas 1").args(["--check", "exit 3"]).output().expect(5);
    assert_eq!(Picture::of(&namespace).replicas, 2);
    ends(&namespace, "--replicas 1", 0);
}

#[test]
fn ctrl_c_leaves_the_set_at_rest_and_undoes_the_drain() {
    let namespace = made("scale-signal", 3, |_| {});
    let before = Picture::of(&namespace);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let undone = namespace.directory().join(format!("undone-{signal}"));
        let undo = format!("echo $STATEFUL_POD > {}", undone.display());
        let running = scale(&namespace, "--replicas 1")
            .args(["--on-abort", &undo, "--before", "echo begun; sleep 60"])
            .start();
        running.wait_for_stderr("the hook", |said| said.contains("before web-2: begun"));
        running.signal(signal);
        let output = running.finish().expect(code);
        assert_eq!(std::fs::read_to_string(&undone).expect("it ran"), "web-2\n");
        assert!(
            output.stdout.contains("next     kubectl stateful scale web --replicas 1"),
            "{output}"
        );
        let now = Picture::of(&namespace);
        assert_eq!((now.replicas, &now.pods), (3, &before.pods));
    }
    ends(&namespace, "--replicas 1", 0);
    Picture::of(&namespace).is_down_to(1, &before);
}

/// What one run began and another ended is undone as a whole.
#[test]
fn the_undo_line_after_a_resumed_run_goes_back_to_the_start() {
    let namespace = made("scale-undo", 4, |_| {});
    let running =
        scale(&namespace, "--replicas 1").args(["--after", "echo gone; sleep 60"]).start();
    running.wait_for_stderr("the first hook", |said| said.contains("after web-3: gone"));
    running.signal("INT");
    running.finish().expect(130);
    let output = ends(&namespace, "--replicas 1 -o json", 0);
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let undo = document["undo"].as_str().expect("a line");
    assert!(undo.starts_with("kubectl stateful scale web --replicas 4 --allow"), "{output}");
}

#[test]
fn how_many_requests_a_scaling_takes() {
    let mut counts = Vec::new();
    for others in [0, 40] {
        let namespace = made("scale-count", 5, |_| {});
        for number in 0..others {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("other-{number}"), "labels": {"app": "other"}},
                "spec": {"containers": [{"name": "other", "image": "other:1"}]},
            });
            namespace.cluster().api().create(&namespace.path("v1", "pods", ""), &pod);
        }
        let proxy = namespace.cluster().proxy();
        let run = scale(&namespace, "--replicas 1");
        run.kubeconfig(namespace.kubeconfig_through(&proxy)).output().expect(0);
        let asked = proxy.count(|seen| !seen.watch);
        let watches = proxy.count(|seen| seen.watch);
        let said = format!(
            "scale 5 to 1 among {others} other pods: {asked} requests, {watches} watches\n"
        );
        std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).expect("stderr");
        // Eighteen; for each of four ordinals its claim and its volume before it leaves,
        // and whether its pod is gone; all of them in the end; and thirteen for the
        // report of orphans.
        assert!(asked <= 48, "{asked}\n{}", proxy.log());
        counts.push(asked);
    }
    assert_eq!(counts[0], counts[1], "they do not grow with what is not asked about");
}
