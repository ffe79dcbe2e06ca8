//! Rights that are missing before the first write, or are lost in the middle; and
//! what is left when a record was lost.

use std::path::Path;

use super::*;

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
