//! Sets of every shape, and the other ways to begin and to hold.

use super::*;

/// Changes the update strategy as a whole.
fn strategy(strategy: Value) -> impl FnOnce(&mut Value) {
    move |set| set["spec"]["updateStrategy"] = strategy
}

/// Start, one more, all, and once more from the beginning and back; at no
/// moment more than the asked ordinals run the new version.
#[track_caller]
fn goes_both_ways(namespace: &Namespace, words: &str) {
    let before = Picture::of(namespace);
    let pods: Vec<&str> = before.pods.keys().map(String::as_str).collect();
    ends(namespace, &format!("{START} {words}"), 0);
    let started = Picture::of(namespace);
    started.keeps(&before, &pods[..pods.len() - 1]);
    assert_eq!(started.image(pods[pods.len() - 1]), Some("nginx:1.22"));
    ends(namespace, "promote web", 0);
    let promoted = Picture::of(namespace);
    promoted.keeps(&before, &pods[..pods.len() - 2]);
    ends(namespace, "promote web --full", 0);
    let through = Picture::of(namespace);
    for pod in &pods {
        assert_eq!(through.image(pod), Some("nginx:1.22"), "{pod}");
    }
    assert_eq!(through.strategy(), before.strategy());
    assert_eq!(through.annotation(), None);

    let settled = Picture::of(namespace);
    ends(namespace, &format!("start web --image nginx=nginx:1.23 --count 2 {words}"), 0);
    ends(namespace, "abort web", 0);
    let back = Picture::of(namespace);
    back.keeps(&settled, &pods[..pods.len() - 2]);
    for pod in &pods {
        assert_eq!(back.hash(pod), Some(settled.update()), "{pod}");
    }
    assert_eq!(back.update(), settled.update());
    assert_eq!(back.strategy(), before.strategy());
    assert_eq!(back.annotation(), None);
}

#[test]
fn ordinals_may_begin_anywhere() {
    let namespace = made("canary-ordinals", 3, |set| set["spec"]["ordinals"] = json!({"start": 5}));
    let before = Picture::of(&namespace);
    assert!(before.uid("web-5").is_some() && before.uid("web-7").is_some());
    goes_both_ways(&namespace, "");
    // Named by ordinal, counted by index.
    ends(&namespace, "start web --image nginx=nginx:1.24 --to-ordinal 6", 0);
    let started = Picture::of(&namespace);
    assert_eq!((started.partition(), started.image("web-6")), (Some(1), Some("nginx:1.24")));
    assert_ne!(started.image("web-5"), Some("nginx:1.24"));
    let output = ends(&namespace, "promote web --to-ordinal 2", 2);
    assert!(output.stderr.contains("they go from 5 to 7"), "{output}");
    ends(&namespace, "abort web", 0);
}

#[test]
fn a_strategy_without_a_partition_has_none_afterwards() {
    let namespace = made("canary-nil", 3, strategy(json!({"type": "RollingUpdate"})));
    assert_eq!(Picture::of(&namespace).strategy(), &json!({"type": "RollingUpdate"}));
    goes_both_ways(&namespace, "");
}

#[test]
fn under_on_delete_the_pods_are_deleted_one_by_one() {
    let namespace = made("canary-ondelete", 3, strategy(json!({"type": "OnDelete"})));
    goes_both_ways(&namespace, "");
}

/// A pod that somebody deletes moves unasked: it is judged before another one
/// goes, and all readings say so.
#[test]
fn under_on_delete_a_pod_that_moved_unasked_is_judged_first() {
    let namespace = made("canary-drift", 3, strategy(json!({"type": "OnDelete"})));
    ends(&namespace, START, 0);
    let started = Picture::of(&namespace);
    ends(&namespace, "status web --wait-for paused --timeout 30s", 0);
    namespace.cluster().api().delete(&namespace.path("v1", "pods", "web-0"));
    let drifted = until(&namespace, "another web-0", |picture| {
        picture.hash("web-0") == Some(picture.update()) && is_ready(&picture.pods["web-0"])
    });
    let shown = ends(&namespace, "status web", 0);
    assert!(shown.stdout.contains("2 of 3 moved, judging"), "{shown}");
    ends(&namespace, "status web --wait-for paused --timeout 1s", 6);
    ends(&namespace, "status web --exit-code", 9);
    ends(&namespace, "promote web", 0);
    Picture::of(&namespace).keeps(&drifted, &["web-0", "web-1", "web-2"]);
    let shown = ends(&namespace, "status web", 0);
    assert!(shown.stdout.contains("2 of 3 moved, paused"), "{shown}");
    ends(&namespace, "status web --wait-for paused --timeout 30s", 0);
    ends(&namespace, "promote web", 0);
    let through = Picture::of(&namespace);
    assert_ne!(through.uid("web-1"), started.uid("web-1"));
    through.keeps(&drifted, &["web-0", "web-2"]);
    assert_eq!(through.annotation(), None);
}

#[test]
fn parallel_sets_still_move_one_ordinal_at_a_time() {
    let parallel = |set: &mut Value| set["spec"]["podManagementPolicy"] = json!("Parallel");
    let namespace = made("canary-parallel", 4, parallel);
    goes_both_ways(&namespace, "");
}

#[test]
fn an_ordinal_counts_once_it_is_available() {
    let namespace = made("canary-minready", 2, |set| set["spec"]["minReadySeconds"] = json!(3));
    // Ready is not yet available.
    let output = ends(&namespace, START, 4);
    assert!(output.stderr.contains("CANARY-UNHEALTHY"), "{output}");
    wait_for(SOON, "the pods to be available", || {
        let set = namespace.get("apps/v1", "statefulsets", "web")?;
        (set["status"]["availableReplicas"] == 2).then_some(())
    });
    let output = ends(&namespace, START, 0);
    // The time of a condition is in whole seconds.
    assert!(output.took >= Duration::from_secs(2), "{output}");
    assert!(output.stderr.contains("web-1 to be Ready for 3s"), "{output}");
    ends(&namespace, "promote web --full", 0);
}

#[test]
fn a_leftover_partition_is_refused_and_comes_back_when_it_is_allowed() {
    for (replicas, leftover) in [(3, 7), (3, 3), (3, 1)] {
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": leftover}});
        let namespace = made("canary-leftover", replicas, strategy(rolling));
        let before = Picture::of(&namespace);
        let output = ends(&namespace, &format!("{START} -o json"), 4);
        assert_eq!(reason_ids(&output)[0], "CANARY-LEFTOVER-PARTITION");
        assert_eq!(Picture::of(&namespace).generation(), before.generation());
        ends(&namespace, &format!("{START} --allow CANARY-LEFTOVER-PARTITION"), 0);
        let started = Picture::of(&namespace);
        started.keeps(&before, &["web-0", "web-1"]);
        assert_eq!((started.partition(), started.image("web-2")), (Some(2), Some("nginx:1.22")));
        if leftover == 7 {
            ends(&namespace, "abort web", 0);
            Picture::of(&namespace).is_back_on(&before);
            ends(&namespace, &format!("{START} --allow CANARY-LEFTOVER-PARTITION"), 0);
        }
        ends(&namespace, "promote web --full", 0);
        Picture::of(&namespace).is_through(&before);
    }
}

#[test]
fn every_flag_for_how_far_to_go_works() {
    let namespace = made("canary-reach", 4, |_| {});
    let before = Picture::of(&namespace);
    let output = ends(&namespace, &format!("{START} --count 9"), 2);
    assert!(output.stderr.contains("web has 4 replicas: --count 9 is too many"), "{output}");
    assert_eq!(Picture::of(&namespace).generation(), before.generation());
    for (reach, rests_at) in [
        ("--count 1", 3),
        ("--percent 30", 2),
        ("--percent 25", 3),
        ("--to-ordinal 1", 1),
        ("--count 4", 0),
    ] {
        ends(&namespace, &format!("{START} {reach}"), 0);
        let started = Picture::of(&namespace);
        if rests_at == 0 {
            // All of them: that is the whole way, and the canary is over.
            started.is_through(&before);
            continue;
        }
        assert_eq!(started.partition(), Some(rests_at), "{reach}");
        for (index, pod) in ["web-0", "web-1", "web-2", "web-3"].into_iter().enumerate() {
            let moved = index as u64 >= rests_at;
            assert_eq!(started.image(pod) == Some("nginx:1.22"), moved, "{reach}: {pod}");
        }
        ends(&namespace, "abort web", 0);
        Picture::of(&namespace).is_back_on(&before);
    }
}

/// Flags, the field of the pod that they change, and what it then holds.
type Change = (&'static str, &'static str, fn(&Value) -> bool);

#[test]
fn every_change_of_the_template_can_be_tried() {
    let namespace = made("canary-change", 2, |_| {});
    let patch = json!({
        "metadata": {"name": "web", "namespace": namespace.name()},
        "spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}},
    });
    let restarted = "/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    let cases: [Change; 4] = [
        ("--env A=1", "/spec/containers/0/env/0/value", |value| value == "1"),
        (
            "--set-resources requests.cpu=10m",
            "/spec/containers/0/resources/requests/cpu",
            |value| value == "10m",
        ),
        ("--patch-file -", "/spec/terminationGracePeriodSeconds", |value| value == 7),
        ("--restart", restarted, Value::is_string),
    ];
    for (flags, path, holds) in cases {
        let before = Picture::of(&namespace);
        let run = canary(&namespace, &format!("start web {flags}"));
        run.stdin(patch.to_string()).output().expect(0);
        let started = Picture::of(&namespace);
        assert_ne!(started.uid("web-1"), before.uid("web-1"), "{flags}");
        started.keeps(&before, &["web-0"]);
        let found = |picture: &Picture| picture.pods["web-1"].pointer(path).is_some_and(holds);
        assert!(!found(&before) && found(&started), "{flags}");
        ends(&namespace, "abort web", 0);
        Picture::of(&namespace).is_back_on(&before);
    }
}

/// A restart names the time: typed again it is the same one.
#[test]
fn a_restart_that_is_typed_again_is_the_same_restart() {
    let namespace = made("canary-restart", 3, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, "start web --restart", 0);
    let started = Picture::of(&namespace);
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    a_second_after(started.set.pointer(restarted).and_then(Value::as_str).expect("a time"));
    ends(&namespace, "start web --restart", 0);
    let again = Picture::of(&namespace);
    again.keeps(&started, &["web-0", "web-1", "web-2"]);
    assert_eq!(again.generation(), started.generation());
    ends(&namespace, "start web --restart --count 2", 0);
    let more = Picture::of(&namespace);
    more.keeps(&started, &["web-0", "web-2"]);
    assert_eq!(more.revisions.len(), 2);
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);
}

#[test]
fn what_somebody_applies_is_staged_and_then_adopted() {
    let namespace = TestCluster::shared().namespace("canary-stage");
    let manifest = |image: &str| set(3, |set| container(set)["image"] = json!(image)).to_string();
    namespace.apply(&manifest("nginx:1.21"));
    namespace.wait_until_ready("web");
    let before = Picture::of(&namespace);
    ends(&namespace, "stage web", 0);
    ends(&namespace, "stage web", 0);
    let staged = Picture::of(&namespace);
    assert_eq!(staged.partition(), Some(32767));
    let output = ends(&namespace, "promote web -o json", 4);
    assert_eq!(reason_ids(&output), ["CANARY-NONE"]);
    let output = ends(&namespace, "start web --adopt -o json", 4);
    assert_eq!(reason_ids(&output), ["CANARY-NO-CHANGE"], "nobody has applied anything");

    namespace.apply(&manifest("nginx:1.22"));
    let applied = until(&namespace, "the controller to see it", |picture| {
        picture.update() != before.update()
    });
    applied.keeps(&before, &["web-0", "web-1", "web-2"]);
    ends(&namespace, "start web --adopt", 0);
    let started = Picture::of(&namespace);
    started.keeps(&before, &["web-0", "web-1"]);
    assert_eq!((started.partition(), started.image("web-2")), (Some(2), Some("nginx:1.22")));
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);

    // Staged, applied, and thought better of: what was applied is gone.
    let before = Picture::of(&namespace);
    ends(&namespace, "stage web", 0);
    namespace.apply(&manifest("nginx:1.23"));
    let output = ends(&namespace, "abort web -o json", 0);
    assert_eq!(reason_ids(&output), ["CANARY-COMES-BACK"], "kubectl apply would bring it again");
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &["web-0", "web-1", "web-2"]);
}

#[test]
fn a_rollout_of_kubectl_is_adopted_where_it_stands() {
    let namespace = made("canary-adopt", 4, |set| set["spec"]["minReadySeconds"] = json!(2));
    wait_for(SOON, "the pods to be available", || {
        let set = namespace.get("apps/v1", "statefulsets", "web")?;
        (set["status"]["availableReplicas"] == 4).then_some(())
    });
    let before = Picture::of(&namespace);
    namespace.kubectl(["set", "image", "sts/web", "nginx=nginx:1.22"]).output().success();
    let rolling = until(&namespace, "the first pod", |p| p.image("web-3") == Some("nginx:1.22"));
    assert_eq!(rolling.image("web-1"), Some("nginx:1.21"));
    let output = ends(&namespace, &format!("{START} -o json"), 4);
    assert!(reason_ids(&output).contains(&"CANARY-ROLLOUT-IN-PROGRESS".to_owned()), "{output}");
    let output = ends(&namespace, "promote web -o json", 4);
    assert_eq!(reason_ids(&output), ["CANARY-NONE"]);

    let output = ends(&namespace, "start web --adopt", 0);
    let adopted = Picture::of(&namespace);
    let partition = adopted.partition().expect("held");
    assert!(partition > 0, "it is held in the middle\n{output}");
    adopted.keeps(&before, &["web-0"]);
    assert_eq!(adopted.annotation().expect("a record")["stable"], json!(before.update()));
    ends(&namespace, "abort web", 0);
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &["web-0"]);
}

#[test]
fn a_rollout_of_kubectl_is_held_and_goes_on() {
    let namespace = made("canary-hold", 4, |set| set["spec"]["minReadySeconds"] = json!(2));
    let before = Picture::of(&namespace);
    ends(&namespace, "pause web", 0);
    assert_eq!(Picture::of(&namespace).annotation(), None, "nothing moves: nothing to hold");
    namespace.kubectl(["set", "image", "sts/web", "nginx=nginx:1.22"]).output().success();
    until(&namespace, "the first pod", |p| p.image("web-3") == Some("nginx:1.22"));
    ends(&namespace, "pause web", 0);
    let held = Picture::of(&namespace);
    let partition = held.partition().expect("held");
    assert!((2..=3).contains(&partition), "{partition}");
    ends(&namespace, "promote web", 0);
    let judged = Picture::of(&namespace);
    assert_eq!(judged.partition(), Some(partition), "the one in hand comes first");
    judged.keeps(&before, &["web-0", "web-1"]);
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);
}

#[test]
fn a_pause_stops_the_promote_that_runs_elsewhere() {
    let namespace = made("canary-pause", 3, |_| {});
    let before = Picture::of(&namespace);
    let running = canary(&namespace, &format!("{START} --count 3 --bake 60s -o json")).start();
    running.wait_for_stderr("the bake", |said| said.contains("web-2 to stay Ready"));
    ends(&namespace, "pause web", 0);
    let output = running.finish().expect(7);
    assert_eq!(reason_ids(&output), ["CANARY-TAKEN-OVER"]);
    assert!(output.stdout.contains("has paused this canary"), "{output}");
    let next = document(&output)["next"][0]["command"].to_string();
    assert!(next.contains("canary promote web --count 3 --bake 60s"), "{output}");
    let paused = Picture::of(&namespace);
    assert_eq!(paused.partition(), Some(2));
    paused.keeps(&before, &["web-0", "web-1"]);
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);
}

#[test]
fn pause_between_stops_after_each_ordinal() {
    let namespace = made("canary-between", 3, |_| {});
    let before = Picture::of(&namespace);
    let output = ends(&namespace, &format!("{START} --count 3 --pause-between -o json"), 9);
    assert_eq!(document(&output)["result"], "waiting");
    assert_eq!(Picture::of(&namespace).partition(), Some(2));
    ends(&namespace, "promote web --full --pause-between", 9);
    assert_eq!(Picture::of(&namespace).partition(), Some(1));
    ends(&namespace, "promote web --full --pause-between", 0);
    Picture::of(&namespace).is_through(&before);
}

/// Whichever verb takes the step, and wherever the ordinals begin.
#[test]
fn a_hook_knows_the_partition_that_its_step_sets() {
    let namespace = made("canary-hook", 3, |set| set["spec"]["ordinals"] = json!({"start": 5}));
    let seen = namespace.directory().join("steps");
    let hook = format!(
        "echo $STATEFUL_STEP $STATEFUL_POD $STATEFUL_PARTITION to ${{STATEFUL_TARGET:-none}} >> {}",
        seen.display()
    );
    for words in [START, "promote web"] {
        let hooks = ["--before", &hook, "--after", &hook];
        canary(&namespace, words).args(hooks).output().expect(0);
    }
    let moved = Picture::of(&namespace);
    assert_eq!(moved.partition(), Some(1));
    let (text, target) = (std::fs::read_to_string(&seen).expect("hooks ran"), moved.update());
    let wanted = [
        // Before the first write there is nothing to go to.
        "before web-7 2 to none".to_owned(),
        format!("after web-7 2 to {target}"),
        format!("before web-6 1 to {target}"),
        format!("after web-6 1 to {target}"),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), wanted);
}

/// Gives the label of the leader to this pod alone.
#[track_caller]
fn leads(namespace: &Namespace, pod: &str) {
    namespace.kubectl(["label", "pods", "--all", "role-"]).output().success();
    namespace.kubectl(["label", "pod", pod, "role=primary"]).output().success();
}

#[test]
fn the_leader_by_its_label_is_waited_for() {
    let namespace = made("canary-leader", 3, |_| {});
    let before = Picture::of(&namespace);
    let by = "--leader-label role=primary";
    leads(&namespace, "web-0");
    ends(&namespace, &format!("{START} {by}"), 0);
    // The others go; in front of the leader it stops, and stops again.
    for _ in 0..2 {
        let output = ends(&namespace, &format!("promote web --full {by} -o json"), 9);
        assert_eq!(document(&output)["result"], "waiting");
        assert_eq!(reason_ids(&output), ["CANARY-LEADER-AHEAD"], "{output}");
        let waits = Picture::of(&namespace);
        assert_eq!((waits.partition(), waits.image("web-1")), (Some(1), Some("nginx:1.22")));
        waits.keeps(&before, &["web-0"]);
    }
    leads(&namespace, "web-2");
    let moved = Picture::of(&namespace);
    ends(&namespace, &format!("promote web --full {by}"), 0);
    let through = Picture::of(&namespace);
    through.is_through(&before);
    through.keeps(&moved, &["web-1", "web-2"]);
}

#[test]
fn the_leader_can_move_last_and_must_be_exactly_one_pod() {
    let namespace = made("canary-leader-last", 3, |_| {});
    let before = Picture::of(&namespace);
    let by = "--leader-label role=primary --on-leader last";
    // Nobody leads, or two do: that is no answer.
    let output = ends(&namespace, &format!("{START} {by} --deadline 2s -o json"), 6);
    assert!(output.stderr.contains("no pod leads"), "{output}");
    namespace.kubectl(["label", "pods", "--all", "role=primary"]).output().success();
    let output = ends(&namespace, &format!("{START} {by} --deadline 2s -o json"), 6);
    assert!(output.stderr.contains("web-0, web-1, web-2 all lead"), "{output}");
    assert_eq!(Picture::of(&namespace).generation(), before.generation());

    leads(&namespace, "web-1");
    let output = ends(&namespace, &format!("{START} {by} --count 3 -o json"), 9);
    assert_eq!(reason_ids(&output), ["CANARY-LEADER-AHEAD"], "{output}");
    let waits = Picture::of(&namespace);
    assert_eq!(waits.partition(), Some(2), "it leads, and is not the last one");
    waits.keeps(&before, &["web-0", "web-1"]);
    leads(&namespace, "web-0");
    ends(&namespace, &format!("promote web --full {by}"), 0);
    Picture::of(&namespace).is_through(&before);
}
