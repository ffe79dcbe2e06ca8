//! A pod that the API server refuses to create: nothing of the pod itself says why,
//! so the cause is named by whoever waits for it.

use super::*;

/// No more pods than this in the namespace. Those that are there stay.
#[track_caller]
fn quota(namespace: &Namespace, pods: u32) {
    let pods = pods.to_string();
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"pods": pods}},
    });
    namespace.apply(&quota.to_string());
    wait_for(SOON, "the quota to be counted", || {
        let quota = namespace.get("v1", "resourcequotas", "few")?;
        (quota["status"]["hard"]["pods"] == pods.as_str()).then_some(())
    });
}

const REFUSED: &str = "CANARY-POD-REFUSED";

/// In each picture, while it waits and at its end; and both ways on are there.
#[test]
fn a_pod_that_a_quota_refuses_is_named() {
    let namespace = made("canary-quota", 3, |_| {});
    let before = Picture::of(&namespace);
    quota(&namespace, 2);
    let running = canary(&namespace, &format!("{START} -o json")).start();
    running.wait_for_stderr("the cause", |said| {
        said.lines()
            .any(|line| line.contains("waiting for web-2") && line.contains("exceeded quota: few"))
    });
    let shown = ends(&namespace, "status web --exit-code -o json", 3);
    assert_eq!(error_ids(&shown), [REFUSED], "{shown}");
    let hint = support::hint_of(&document(&shown), REFUSED);
    assert_eq!(hint, format!("kubectl describe resourcequota -n {}", namespace.name()));
    ends(&namespace, "status web --exit-code", 3);
    // It does not run into the deadline.
    let output = running.finish().expect(5);
    assert_eq!(error_ids(&output), [REFUSED], "{output}");
    assert!(output.stdout.contains("exceeded quota: few"), "{output}");
    let refused = Picture::of(&namespace);
    refused.keeps(&before, &["web-0", "web-1"]);
    assert_eq!(refused.partition(), Some(2));
    // A deadline that is shorter ends with the cause, too.
    let output = ends(&namespace, "promote web --deadline 2s -o json", 6);
    assert_eq!(error_ids(&output), ["CANARY-DEADLINE", REFUSED], "{output}");
    assert!(document(&output)["reasons"][0]["message"].to_string().contains("exceeded quota"));
    // The way back waits for the same.
    let output = ends(&namespace, "abort web --timeout 2s -o json", 6);
    assert_eq!(error_ids(&output), ["CANARY-DEADLINE", REFUSED], "{output}");
    assert!(document(&output)["reasons"][0]["message"].to_string().contains("exceeded quota"));
    let shown = ends(&namespace, "status web", 0);
    assert!(shown.stdout.contains("waiting  for web-2 to be recreated; "), "{shown}");
    quota(&namespace, 9);
    ends(&namespace, "abort web", 0);
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    assert!(!ends(&namespace, "status web", 0).stdout.contains(REFUSED));
}

/// What the new template asks for is refused, and the old one is not.
#[test]
fn a_new_version_that_is_refused_is_taken_back() {
    let namespace = made("canary-limits", 3, |set| {
        let few = json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "20m"}});
        container(set)["resources"] = few;
    });
    let before = Picture::of(&namespace);
    let limits = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "50m"}}]},
    });
    namespace.apply(&limits.to_string());
    let words = "start web --set-resources limits.cpu=2 --on-failure abort -o json";
    let output = ends(&namespace, words, 10);
    assert_eq!(error_ids(&output), [REFUSED], "{output}");
    assert!(output.stdout.contains("maximum cpu usage per Container is 50m"), "{output}");
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &["web-0", "web-1"]);
}
