//! What is said to somebody who lacks a right: what it is, and no line that the same
//! lack refuses.

use std::path::PathBuf;

use super::{super::support::document, *};

/// Who may look at everything that a scaling looks at, and has these rules besides.
fn user(namespace: &Namespace, name: &str, more: &[Value]) -> PathBuf {
    let read = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]});
    let mut rules = vec![
        read("", &["pods", "persistentvolumeclaims", "events"]),
        read("apps", &["statefulsets", "controllerrevisions"]),
        read("autoscaling", &["horizontalpodautoscalers"]),
        read("policy", &["poddisruptionbudgets"]),
    ];
    rules.extend_from_slice(more);
    let everywhere =
        json!([read("", &["persistentvolumes"]), read("storage.k8s.io", &["volumeattachments"])]);
    namespace.user(name, &json!(rules), &everywhere)
}

fn allow(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

fn patches() -> Value {
    allow("apps", "statefulsets", &["patch"])
}

/// The lines of ours that stand in an output.
fn our_lines(output: &Output) -> Vec<String> {
    let all = output.stdout.lines().chain(output.stderr.lines());
    all.filter(|line| line.contains("kubectl stateful")).map(str::to_owned).collect()
}

/// Each is refused for something else as well, whose hint is a line that the same lack
/// of rights refuses.
#[test]
fn a_line_that_the_lack_of_a_right_refuses_is_not_printed() {
    let namespace = made("scale-no-line", 3, deletes);
    let viewer = user(&namespace, "viewer", &[]);
    for format in ["table", "json"] {
        let words = format!("--replicas 2 -o {format}");
        let output = scale(&namespace, &words).kubeconfig(&viewer).output().expect(4);
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("SCALE-NO-RIGHTS") && said.contains("SCALE-DESTROYS-DATA"), "{said}");
        assert_eq!(our_lines(&output), Vec::<String>::new(), "{output}");
        let line = format!("kubectl auth can-i patch statefulsets.apps -n {}", namespace.name());
        assert!(said.contains(&line), "{said}");
        let whom = "ask whoever may give you that right";
        assert!(said.contains(whom), "{said}");
    }
    // Who may patch the set gets the line.
    let scaler = user(&namespace, "scaler", &[patches()]);
    let output = scale(&namespace, "--replicas 2").kubeconfig(&scaler).output().expect(4);
    assert_eq!(our_lines(&output).len(), 1, "{output}");
}

/// The line with `--fresh` changes claims and volumes, the one that keeps a volume
/// changes that: they are for who may do that.
#[test]
fn a_line_that_needs_more_rights_is_for_who_has_them() {
    let namespace = made("scale-no-fresh-line", 3, |_| {});
    ends(&namespace, "--replicas 2", 0);
    let scaler = user(&namespace, "scaler", &[patches()]);
    let output = scale(&namespace, "--replicas 3 -o json").kubeconfig(&scaler).output().expect(4);
    assert_eq!(reason_ids(&output), ["SCALE-READOPTS-DATA"], "{output}");
    let reason = document(&output)["reasons"][0].clone();
    let hint = reason["hint"].as_str().expect("a hint");
    assert!(!hint.contains("--fresh"), "{hint}");
    for right in ["create persistentvolumeclaims", "patch persistentvolumes"] {
        assert!(hint.contains(right), "{hint}");
    }

    ends(&namespace, "--replicas 3 --allow SCALE-READOPTS-DATA", 0);
    kept::delete_claim(&namespace, "www-web-2");
    let output = scale(&namespace, "--replicas 2 -o json").kubeconfig(&scaler).output().expect(4);
    assert_eq!(reason_ids(&output), ["SCALE-DESTROYS-DATA"], "{output}");
    let reason = document(&output)["reasons"][0].clone();
    let hint = reason["hint"].as_str().expect("a hint");
    assert!(hint.contains("kubectl auth can-i patch persistentvolumes"), "{hint}");
}

/// A command in a pod begins with a GET, and newer servers want the right to create
/// beside it; a request through the server needs the verb of its method.
#[test]
fn hooks_need_the_rights_that_they_use() {
    let namespace = made("scale-hook-rights", 2, |_| {});
    let version = namespace.cluster().api().get("/version").expect("a version");
    let minor: u32 = version["minor"].as_str().expect("a number").parse().expect("a number");
    let exec = ["--before-exec", "true"];
    let both = minor >= 35;
    for (number, (verbs, hook, lacks)) in [
        (&["create"][..], exec, Some("get pods/exec")),
        (&["get"], exec, both.then_some("create pods/exec")),
        (&["get", "create"], exec, None),
        (&["create"], ["--before-http", "GET:80/x"], Some("get pods/proxy")),
        (&["get"], ["--before-http", "GET:80/x"], None),
        (&["get"], ["--before-http", "80/x"], Some("create pods/proxy")),
        (&["create"], ["--before-http", "PUT:80/x"], Some("update pods/proxy")),
        (&["delete"], ["--before-http", "DELETE:80/x"], None),
    ]
    .into_iter()
    .enumerate()
    {
        let sub = if hook == exec { "pods/exec" } else { "pods/proxy" };
        let name = format!("hooked-{number}");
        let who = user(&namespace, &name, &[patches(), allow("", sub, verbs)]);
        let words = "--replicas 1 --dry-run -o json";
        let run = scale(&namespace, words).args(hook).kubeconfig(&who);
        let output = run.output().expect(if lacks.is_some() { 4 } else { 0 });
        if let Some(lacks) = lacks {
            assert_eq!(reason_ids(&output), ["SCALE-NO-RIGHTS"], "{output}");
            assert!(output.stdout.contains(&format!("you may not {lacks}")), "{output}");
        }
    }
}
