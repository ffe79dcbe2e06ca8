//! What speaks against it, what is broken, and who else is at it.

use std::sync::Barrier;

use super::*;

/// Refused for exactly these reasons, and nothing was changed.
#[track_caller]
fn refused(namespace: &Namespace, words: &str, wanted: &[&str]) -> Output {
    let before = Picture::of(namespace);
    let output = ends(namespace, &format!("{words} -o json"), 4);
    assert_eq!(reason_ids(&output), wanted, "{output}");
    assert_eq!(Picture::of(namespace), before);
    output
}

#[test]
fn a_member_that_stays_must_be_well() {
    let namespace = made("scale-unwell", 3, |_| {});
    break_pod(&namespace, "web-0");
    refused(&namespace, "--replicas 2", &["SCALE-MEMBER-UNHEALTHY"]);
    // The controller would not do it, whoever allows it.
    refused(&namespace, "--replicas 2 --allow SCALE-MEMBER-UNHEALTHY", &["SCALE-MEMBER-UNHEALTHY"]);
    namespace.kubectl(["scale", "sts/web", "--replicas=2"]).output().expect(0);
    namespace.wait_until_observed("web");
    assert_eq!(Picture::of(&namespace).pods.len(), 3, "the controller waits for web-0");
}

#[test]
fn an_unhealthy_member_of_a_parallel_set_can_be_allowed() {
    let namespace = made("scale-unwell-parallel", 3, parallel);
    let before = Picture::of(&namespace);
    break_pod(&namespace, "web-0");
    refused(&namespace, "--replicas 1", &["SCALE-MEMBER-UNHEALTHY"]);
    ends(&namespace, "--replicas 1 --allow SCALE-MEMBER-UNHEALTHY", 0);
    Picture::of(&namespace).is_down_to(1, &before);
}

/// One by one the controller would wait for it; in one step it goes in its
/// turn, and those above it still go one by one.
#[test]
fn a_broken_ordinal_in_the_middle_is_passed() {
    let namespace = made("scale-passes", 5, |_| {});
    let before = Picture::of(&namespace);
    break_pod(&namespace, "web-2");
    // The control: one less, and it hangs.
    namespace.kubectl(["scale", "sts/web", "--replicas=4"]).output().expect(0);
    namespace.wait_until_observed("web");
    assert_eq!(Picture::of(&namespace).pods.len(), 5, "the controller waits for web-2");
    namespace.kubectl(["scale", "sts/web", "--replicas=5"]).output().expect(0);

    let chronicle = Chronicle::begin(&namespace);
    let output = ends(&namespace, "--replicas 1", 0);
    assert!(output.stderr.contains("SCALE-PASSES-BROKEN"), "{output}");
    let told = chronicle.told(&namespace);
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "replicas 5",
            "replicas 2",
            "gone web-4",
            "gone web-3",
            "gone web-2",
            "replicas 1",
            "gone web-1"
        ]
    );
    Picture::of(&namespace).is_down_to(1, &before);
}

/// Two of them the controller never takes away.
#[test]
fn two_broken_ordinals_are_deleted_when_that_is_allowed() {
    let namespace = made("scale-two-broken", 5, |_| {});
    let before = Picture::of(&namespace);
    break_pod(&namespace, "web-2");
    break_pod(&namespace, "web-4");
    refused(&namespace, "--replicas 1", &["SCALE-TWO-BROKEN"]);
    // The control.
    namespace.kubectl(["scale", "sts/web", "--replicas=1"]).output().expect(0);
    namespace.wait_until_observed("web");
    assert_eq!(Picture::of(&namespace).pods.len(), 5, "the controller waits at web-4");
    namespace.kubectl(["scale", "sts/web", "--replicas=5"]).output().expect(0);

    let output = ends(&namespace, "--replicas 1 --allow SCALE-TWO-BROKEN", 0);
    assert!(output.stderr.contains("pod/web-4 deleted"), "{output}");
    Picture::of(&namespace).is_down_to(1, &before);
}

#[test]
fn autoscalers_budgets_and_managers_are_respected() {
    let namespace = made("scale-others", 3, |_| {});
    let api = namespace.cluster().api();
    let target = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"});
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5},
    });
    let path = |name: &str| namespace.path("autoscaling/v2", "horizontalpodautoscalers", name);
    api.create(&path(""), &hpa);
    refused(&namespace, "--replicas 2", &["SCALE-HPA"]);
    api.delete(&path("web"));
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "nginx"}}},
    });
    let path = |name: &str| namespace.path("policy/v1", "poddisruptionbudgets", name);
    api.create(&path(""), &budget);
    wait_for(SOON, "the budget to be counted", || {
        let budget = namespace.get("policy/v1", "poddisruptionbudgets", "web")?;
        (budget["status"]["expectedPods"] == 3).then_some(())
    });
    refused(&namespace, "--replicas 2", &["SCALE-NO-HEADROOM"]);
    api.patch(&path("web"), &json!({"spec": {"minAvailable": 2}}));
    wait_for(SOON, "the budget to have room", || {
        let budget = namespace.get("policy/v1", "poddisruptionbudgets", "web")?;
        (budget["status"]["disruptionsAllowed"] == 1).then_some(())
    });
    let shown = ends(&namespace, "--replicas 2 --dry-run", 0);
    assert!(shown.stdout.contains("SCALE-BUDGET-TOO-TIGHT"), "{shown}");
    assert!(shown.stdout.contains("SCALE-QUORUM"), "{shown}");
    for (patch, id) in [
        (json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}), "SCALE-GITOPS"),
        (json!({"labels": {"kubectl-stateful.dev/migration": "1"}}), "SCALE-MIGRATION"),
        (json!({"annotations": {"kubectl-stateful.dev/canary": "{}"}}), "SCALE-CANARY"),
        (json!({"annotations": {ANNOTATION: "{}"}}), "SCALE-RECORD-UNUSABLE"),
    ] {
        edit(&namespace, &json!({"metadata": patch}));
        // Behind these marks is nothing to look at, which is what the hints do.
        let before = Picture::of(&namespace);
        let output = scale(&namespace, "--replicas 2 -o json").unheld().output().expect(4);
        assert_eq!(reason_ids(&output), [id], "{output}");
        assert_eq!(Picture::of(&namespace), before);
        let off: serde_json::Map<String, Value> = patch
            .as_object()
            .expect("an object")
            .iter()
            .map(|(kind, words)| {
                let keys = words.as_object().expect("words").keys();
                (kind.clone(), keys.map(|key| (key.clone(), Value::Null)).collect())
            })
            .collect();
        edit(&namespace, &json!({"metadata": off}));
    }
    edit(&namespace, &json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}}));
    refused(&namespace, "--replicas 2", &["SCALE-ROLLOUT-IN-PROGRESS"]);
    ends(&namespace, "--replicas 2 --allow scale-rollout-in-progress", 0);
}

/// KEDA reads its objects and writes an autoscaler; both decide.
#[test]
fn a_custom_autoscaler_is_respected_too() {
    // The kind is one of the whole cluster.
    let cluster = TestCluster::fresh();
    let namespace = cluster.namespace("scale-keda");
    make(&namespace, 3, |_| {});
    SCALED_OBJECT.define(namespace.cluster());
    let target = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"});
    let object = SCALED_OBJECT.object("web", &json!({"scaleTargetRef": target}));
    let path = namespace.path("keda.sh/v1alpha1", SCALED_OBJECT.plural, "");
    namespace.cluster().api().create(&path, &object);
    let before = Picture::of(&namespace);
    refused(&namespace, "--replicas 2", &["SCALE-KEDA"]);
    ends(&namespace, "--replicas 2 --allow SCALE-KEDA", 0);
    Picture::of(&namespace).is_down_to(2, &before);
}

/// An autoscaler, a person, a repository: whoever it is, it is no success.
#[test]
fn somebody_else_changes_the_replicas_meanwhile() {
    let namespace = made("scale-pulls-back", 4, |_| {});
    let undone = namespace.directory().join("undone");
    let undo = format!("echo $STATEFUL_POD > {}", undone.display());
    let running = scale(&namespace, "--replicas 1 -o json")
        .args(["--before", "test $STATEFUL_ORDINAL = 3 || { echo begun; sleep 60; }"])
        .args(["--on-abort", &undo])
        .start();
    running.wait_for_stderr("the second hook", |said| said.contains("before web-2: begun"));
    namespace.kubectl(["scale", "sts/web", "--replicas=4"]).output().expect(0);
    let output = running.finish().expect(7);
    assert_eq!(reason_ids(&output), ["SCALE-REPLICAS-CHANGED"]);
    assert!(
        output.stdout.contains("changed the replicas to 4; this scaling had set them to 3"),
        "{output}"
    );
    assert_eq!(std::fs::read_to_string(&undone).expect("it ran"), "web-2\n");
    let before = Picture::of(&namespace);
    assert_eq!(before.replicas, 4);
    // That scaling is over, and nothing of it is in the way of another one.
    ends(&namespace, "--replicas 3", 0);
    Picture::of(&namespace).is_down_to(3, &before);
}

/// With another first ordinal, others leave than the plan said: their disks were not
/// judged.
#[test]
fn ordinals_that_are_counted_from_elsewhere_stop_it() {
    let namespace = made("scale-start-moves", 4, parallel);
    let ready = namespace.directory().join("ready");
    let wait = format!("echo here; {}", until_there(&ready));
    let running = scale(&namespace, "--replicas 1 -o json").args(["--after", &wait]).start();
    running.wait_for_stderr("the first hook", |said| said.contains("after web-3: here"));
    edit(&namespace, &json!({"spec": {"ordinals": {"start": 2}}}));
    namespace.wait_until_observed("web");
    std::fs::write(&ready, "").expect("a file");
    let output = running.finish().expect(7);
    assert_eq!(reason_ids(&output), ["SCALE-REPLICAS-CHANGED"], "{output}");
    assert!(output.stdout.contains("spec.ordinals.start from 0 to 2"), "{output}");
    assert_eq!(Picture::of(&namespace).replicas, 3);
}

#[test]
fn a_set_that_is_made_again_is_another_one() {
    let namespace = made("scale-replaced", 2, |_| {});
    let running = scale(&namespace, "--replicas 1 -o json")
        .args(["--before", "echo begun; sleep 60"])
        .start();
    running.wait_for_stderr("the hook", |said| said.contains("begun"));
    let path = namespace.path("apps/v1", "statefulsets", "web");
    namespace.cluster().api().delete(&path);
    let output = running.finish().expect(7);
    assert_eq!(reason_ids(&output), ["SCALE-REPLACED"]);
    // Nobody is told to go on with a set that is gone.
    let document: Value = serde_json::from_str(&output.stdout).expect("a document");
    assert!(document["next"].is_null() && document["undo"].is_null(), "{output}");
}

#[test]
fn an_ordinal_that_does_not_come_up_stops_it() {
    let namespace = made("scale-broken-up", 1, |set| {
        set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    });
    let annotations = json!({"stateful.test/image-pull": "true"});
    edit(&namespace, &json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}));
    let words = "--replicas 3 -o json --allow SCALE-ROLLOUT-IN-PROGRESS";
    let output = ends(&namespace, words, 5);
    assert_eq!(reason_ids(&output), ["SCALE-DOES-NOT-COME-UP"]);
    assert_eq!(Picture::of(&namespace).replicas, 2);
}

/// Of two that want different things exactly one goes on, and the set is where
/// that one says.
#[test]
fn of_two_concurrent_runs_one_wins() {
    let races = if std::env::var_os("KUBECTL_STATEFUL_TEST_FULL").is_some() { 50 } else { 6 };
    let mut won = [0, 0];
    for _ in 0..races {
        let namespace = made("scale-race", 4, parallel);
        let before = Picture::of(&namespace);
        let start = Barrier::new(2);
        let codes = std::thread::scope(|scope| {
            let run = |words: &'static str| {
                let (namespace, start) = (&namespace, &start);
                scope.spawn(move || {
                    let run = scale(namespace, words);
                    start.wait();
                    run.output()
                })
            };
            [run("--replicas 3"), run("--replicas 1")].map(|run| run.join().expect("an end"))
        });
        let place = codes.iter().position(|output| output.code() == Some(0));
        let place = place.unwrap_or_else(|| panic!("nobody won\n{}\n{}", codes[0], codes[1]));
        won[place] += 1;
        let other = &codes[1 - place];
        // The other found it begun, or over: then it may have had its turn after.
        let turns = other.code() == Some(0);
        assert!(turns || matches!(other.code(), Some(4 | 7)), "{other}");
        let now = Picture::of(&namespace);
        let wanted = if turns { now.pods.len() } else { [3, 1][place] };
        assert_eq!(now.pods.len(), wanted, "{}\n{}", codes[0], codes[1]);
        now.is_down_to(wanted, &before);
    }
    std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("{races} races of two scalings: {won:?}\n").as_bytes(),
    )
    .expect("stderr");
}

/// The same command again takes over from one that is gone, and from one that
/// is not: that one says so.
#[test]
fn a_second_run_of_the_same_takes_over() {
    let namespace = made("scale-takes-over", 3, |_| {});
    let before = Picture::of(&namespace);
    let first = scale(&namespace, "--replicas 1 -o json")
        .args(["--before", "echo begun; sleep 60"])
        .start();
    first.wait_for_stderr("the hook", |said| said.contains("begun"));
    let other = ends(&namespace, "--replicas 2 -o json", 4);
    assert_eq!(reason_ids(&other), ["SCALE-OTHER-GOAL"]);
    ends(&namespace, "--replicas 1", 0);
    let output = first.finish().expect(7);
    assert_eq!(reason_ids(&output), ["SCALE-TAKEN-OVER"]);
    Picture::of(&namespace).is_down_to(1, &before);
}

#[test]
fn missing_rights_are_reported_before_the_first_write() {
    let namespace = made("scale-rights", 2, |_| {});
    let before = Picture::of(&namespace);
    let read = |resources: &[&str], groups: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": ["get", "list", "watch"]});
    let all = json!([
        read(&["pods", "persistentvolumeclaims", "events"], &[""]),
        read(&["statefulsets", "controllerrevisions"], &["apps"]),
        read(&["horizontalpodautoscalers"], &["autoscaling"]),
        read(&["poddisruptionbudgets"], &["policy"]),
    ]);
    let reader = namespace.user("reader", &all, &json!([read(&["persistentvolumes"], &[""])]));
    let output = scale(&namespace, "--replicas 1 -o json").kubeconfig(reader).output().expect(4);
    assert_eq!(reason_ids(&output), ["SCALE-NO-RIGHTS"]);
    // Whoever may scale may not always run something in a pod.
    let patch = json!({"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["patch"]});
    let with_patch = all.as_array().expect("rules").iter().cloned().chain([patch]);
    let with_patch = json!(with_patch.collect::<Vec<_>>());
    let scaler =
        namespace.user("scaler", &with_patch, &json!([read(&["persistentvolumes"], &[""])]));
    let run = scale(&namespace, "--replicas 1 -o json").args(["--before-exec", "drain"]);
    let output = run.kubeconfig(scaler).output().expect(4);
    assert_eq!(reason_ids(&output), ["SCALE-NO-RIGHTS"]);
    assert!(output.stdout.contains("exec"), "{output}");
    let patch =
        json!({"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "patch"]});
    let blind = json!([patch, read(&["statefulsets"], &["apps"])]);
    let blind = namespace.user("blind", &blind, &json!([]));
    let output = scale(&namespace, "--replicas 1 -o json").kubeconfig(blind).output().expect(4);
    let found = reason_ids(&output);
    assert!(found.contains(&"SCALE-BLIND".to_owned()), "{output}");
    assert_eq!(Picture::of(&namespace), before);
}

/// Setting a claim aside changes its volume: who may not do that is told before
/// anything is written, and not by the server in the middle.
#[test]
fn setting_aside_needs_rights_on_volumes() {
    let namespace = made("scale-fresh-rights", 2, |_| {});
    ends(&namespace, "--replicas 1", 0);
    let before = Picture::of(&namespace);
    let rule = |groups: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [groups], "resources": resources, "verbs": verbs});
    let reads = ["get", "list", "watch"];
    let rules = json!([
        rule("", &["pods", "persistentvolumeclaims", "events"], &reads),
        rule("", &["persistentvolumeclaims"], &["create", "patch", "delete"]),
        rule("apps", &["statefulsets", "controllerrevisions"], &reads),
        rule("apps", &["statefulsets"], &["patch"]),
        rule("autoscaling", &["horizontalpodautoscalers"], &reads),
        rule("policy", &["poddisruptionbudgets"], &reads),
    ]);
    let user = namespace.user("no-volumes", &rules, &json!([]));
    for how in ["--dry-run", "--yes"] {
        let words = format!("--replicas 2 --fresh -o json {how}");
        let output = scale(&namespace, &words).kubeconfig(&user).output().expect(4);
        assert_eq!(reason_ids(&output), ["SCALE-NO-RIGHTS", "SCALE-NO-RIGHTS"], "{output}");
        for verb in ["get", "patch"] {
            let named = format!("you may not {verb} persistentvolumes");
            assert!(output.stdout.contains(&named), "{output}");
        }
    }
    assert_eq!(Picture::of(&namespace), before);
}
