//! Rights that are missing before the first write, or are lost in the middle; and
//! what is left when a record was lost.

use std::path::Path;

use super::{
    super::support::{Answer, Fault, Seen, claims},
    *,
};

/// The rights that a canary of a set without claims needs, but for some verbs on sets
/// and pods.
fn user(
    namespace: &Namespace,
    name: &str,
    on_sets: &[&str],
    on_pods: &[&str],
) -> std::path::PathBuf {
    let looks = ["get", "list", "watch"];
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| {
        let verbs: Vec<&&str> = looks.iter().chain(verbs).collect();
        json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
    };
    let rules = json!([
        rule("apps", &["statefulsets"], on_sets),
        rule("apps", &["controllerrevisions"], &[]),
        rule("", &["pods"], on_pods),
        rule("", &["events"], &[]),
        rule("policy", &["poddisruptionbudgets"], &[]),
        rule("autoscaling", &["horizontalpodautoscalers"], &[]),
    ]);
    namespace.user(name, &rules, &json!([]))
}

fn by(kubeconfig: &Path, namespace: &Namespace, words: &str, code: i32) -> Output {
    let run = canary(namespace, &format!("{words} -o json")).kubeconfig(kubeconfig);
    run.stdin(broken_by("image-pull")).output().expect(code)
}

/// Asked before the first write; whoever goes on all the same is told where it stands
/// when the server refuses, and how it goes on.
#[test]
fn a_failed_canary_without_rights_to_abort_says_where_it_stands() {
    let namespace = made("canary-no-delete", 3, |_| {});
    let before = Picture::of(&namespace);
    let half = user(&namespace, "half", &["patch"], &[]);
    let start = "start web --patch-file - --on-failure abort";
    let output = by(&half, &namespace, start, 4);
    assert_eq!(error_ids(&output), ["CANARY-NO-RIGHTS"], "{output}");
    assert!(output.stdout.contains("you may not delete pods"), "{output}");
    assert_eq!(Picture::of(&namespace).generation(), before.generation());

    let output = by(&half, &namespace, &format!("{start} --allow CANARY-NO-RIGHTS"), 1);
    assert_eq!(error_ids(&output), ["CANARY-POD-BROKEN", "CANARY-NO-RIGHTS"], "{output}");
    let document = document(&output);
    assert_eq!(document["stage"], "aborting", "{output}");
    let hint = support::hint_of(&document, "CANARY-NO-RIGHTS");
    assert!(hint.starts_with("kubectl stateful canary abort web"), "{hint}");
    assert!(output.stdout.contains("cannot delete resource"), "{output}");
    // Whoever may, goes on with that line.
    support::follow(&namespace, &hint);
    Picture::of(&namespace).is_back_on(&before);
}

#[test]
fn without_the_right_to_change_the_set_nothing_is_begun() {
    let namespace = made("canary-no-patch", 3, |_| {});
    ends(&namespace, START, 0);
    let started = Picture::of(&namespace);
    let viewer = user(&namespace, "viewer", &[], &["delete"]);
    for words in ["promote web --full --on-failure abort", "abort web"] {
        let output = by(&viewer, &namespace, words, 4);
        assert_eq!(error_ids(&output), ["CANARY-NO-RIGHTS"], "{output}");
        assert!(output.stdout.contains("you may not patch statefulsets.apps"), "{output}");
    }
    assert_eq!(Picture::of(&namespace).generation(), started.generation());
    // An abort that is not sure to delete a pod is not kept from going back.
    let half = user(&namespace, "half", &["patch"], &[]);
    let output = by(&half, &namespace, "abort web", 0);
    assert!(output.stderr.contains("CANARY-NO-RIGHTS you may not delete pods"), "{output}");
}

/// The partition of the canary before is all that is found when its record is lost.
#[test]
fn a_partition_of_a_lost_record_is_told_at_the_end() {
    let namespace = made("canary-lost-record", 3, |_| {});
    ends(&namespace, START, 0);
    edit(&namespace, &json!({"metadata": {"annotations": {ANNOTATION: null}}}));
    ends(&namespace, "start web --adopt", 0);
    let output = ends(&namespace, "promote web --full -o json", 0);
    assert_eq!(reason_ids(&output), ["CANARY-PARTITION-STAYS"], "{output}");
    let through = Picture::of(&namespace);
    assert_eq!((through.partition(), through.annotation()), (Some(2), None));
    let hint = support::hint_of(&document(&output), "CANARY-PARTITION-STAYS");
    support::follow(&namespace, &hint);
    assert_eq!(Picture::of(&namespace).partition(), Some(0));
}

/// The rights of somebody, from now on. The server's authorizer sees that a moment
/// later.
#[track_caller]
fn leave(namespace: &Namespace, name: &str, rules: &Value, lost: &Value) {
    let user = format!("{name}-{}", namespace.name());
    let api = namespace.cluster().api();
    let role = namespace.path("rbac.authorization.k8s.io/v1", "roles", &user);
    api.patch(&role, &json!({ "rules": rules }));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": lost},
    });
    wait_for(SOON, "the right to be gone", || {
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        (api.create(path, &review)["status"]["allowed"] == false).then_some(())
    });
}

/// What the next write would need is lost: that is what is said, and what has passed
/// by then is kept.
#[test]
fn a_right_that_is_lost_in_the_middle_is_named() {
    let namespace = made("canary-right-lost", 3, |set| claims(set, "standard"));
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let looks = ["get", "list", "watch"];
    let without = json!([
        rule("apps", &["statefulsets"], &["get", "list", "watch", "patch"]),
        rule("apps", &["controllerrevisions"], &looks),
        rule("", &["pods"], &["get", "list", "watch", "delete"]),
        rule("", &["events"], &looks),
        rule("policy", &["poddisruptionbudgets"], &looks),
        rule("autoscaling", &["horizontalpodautoscalers"], &looks),
    ]);
    let mut all = without.clone();
    all.as_array_mut().expect("rules").push(rule("", &["persistentvolumeclaims"], &looks));
    let somebody = namespace.user("somebody", &all, &json!([]));
    ends(&namespace, START, 0);
    let words = "promote web --full --bake 10s -o json";
    let run = canary(&namespace, words).kubeconfig(&somebody).start();
    run.wait_for_stderr("the bake", |said| said.contains("web-1 to stay Ready"));
    let lost = json!({
        "namespace": namespace.name(), "resource": "persistentvolumeclaims", "verb": "list",
    });
    leave(&namespace, "somebody", &without, &lost);
    let output = run.finish().expect(1);
    assert_eq!(error_ids(&output)[0], "CANARY-NO-RIGHTS", "{output}");
    let said = document(&output)["reasons"][0]["message"].to_string();
    assert!(said.contains("persistentvolumeclaims"), "{output}");
    let hint = support::hint_of(&document(&output), "CANARY-NO-RIGHTS");
    assert!(hint.starts_with("kubectl stateful canary promote web --full"), "{hint}");
    let stopped = Picture::of(&namespace);
    assert_eq!(stopped.partition(), Some(1));
    let passed = stopped.annotation().expect("a record")["passed"].clone();
    assert_eq!(passed.as_array().map(Vec::len), Some(2), "web-1 has passed: {passed}");
}

/// Of what nobody may look at any more nothing is decided, and nobody waits for it.
#[test]
fn a_run_that_may_not_look_any_more_stops() {
    let namespace = made("canary-blinded", 3, |_| {});
    ends(&namespace, START, 0);
    let started = Picture::of(&namespace);
    // The first read of each is part of what a run begins with.
    for (what, begins) in [("/pods?", 1), ("/statefulsets?", 0), ("/poddisruptionbudgets", 1)] {
        let proxy = namespace.cluster().proxy();
        let mut reads = 0;
        let again = move |seen: &Seen| {
            let asks = seen.method == Method::GET && seen.path.contains(what);
            reads += usize::from(asks);
            asks && reads > begins
        };
        let message = "it is forbidden: User \"somebody\" cannot list it";
        proxy.when(again, Fault::Answer(Answer::status(403, "Forbidden", message)));
        let run = canary(&namespace, "promote web --bake 30s --deadline 60s -o json");
        let run = run.kubeconfig(namespace.kubeconfig_through(&proxy));
        let output = run.output().expect(1);
        assert_eq!(error_ids(&output)[0], "CANARY-NO-RIGHTS", "{what}\n{output}");
        assert!(output.stdout.contains("cannot list it"), "{output}");
        let hint = support::hint_of(&document(&output), "CANARY-NO-RIGHTS");
        assert!(hint.starts_with("kubectl stateful canary promote web"), "{hint}");
        Picture::of(&namespace).keeps(&started, &["web-0"]);
    }
}
