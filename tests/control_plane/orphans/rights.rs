//! What `orphans delete` and `adopt` do for somebody who may not take every step:
//! they refuse before the first write. And what is said of a run that stops half-way
//! for another reason.

use super::{super::support::Seen, *};

const READS: [(&str, &str); 11] = [
    ("", "pods"),
    ("", "persistentvolumeclaims"),
    ("", "replicationcontrollers"),
    ("", "podtemplates"),
    ("apps", "statefulsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
    ("autoscaling", "horizontalpodautoscalers"),
];

/// A user who may read everything, and has these verbs on claims and on volumes.
fn user(
    namespace: &Namespace,
    name: &str,
    of_claims: &[&str],
    of_volumes: &[&str],
) -> std::path::PathBuf {
    let allow = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let read = |(group, resource): &(&str, &str)| allow(group, resource, &["get", "list"]);
    let mut rules: Vec<Value> = READS.iter().map(read).collect();
    rules.push(allow("", "persistentvolumeclaims", of_claims));
    let everywhere = [
        allow("", "persistentvolumes", &["get", "list"]),
        allow("", "persistentvolumes", of_volumes),
        allow("storage.k8s.io", "volumeattachments", &["list"]),
    ];
    namespace.user(name, &json!(rules), &json!(everywhere))
}

/// One right of those that are needed is missing: nothing is written, in the dry
/// run as well, and what is missing is named.
#[test]
fn without_a_right_nothing_is_begun() {
    let namespace = TestCluster::shared().namespace("orphans-no-rights");
    scaled(&namespace, "web", 2, 1);
    let name = bound(&namespace, "data-web-1");
    let before = volume(&namespace, &name).expect("a volume");
    let delete = ["orphans", "delete", "data-web-1"];
    let adopt = ["orphans", "adopt", "pvc/data-web-1", "--to", "web/4"];
    let of_delete = [
        (&["delete"][..], &["patch"][..], "patch persistentvolumeclaims"),
        (&["patch"], &["patch"], "delete persistentvolumeclaims"),
        (&["patch", "delete"], &["list"], "patch persistentvolumes"),
    ];
    let of_adopt = [
        (&["patch", "delete"][..], &["patch"][..], "create persistentvolumeclaims"),
        (&["create", "delete"], &["patch"], "patch persistentvolumeclaims"),
        (&["create", "patch", "delete"], &["list"], "patch persistentvolumes"),
    ];
    let cases = of_delete.iter().map(|case| (&delete[..], case));
    let cases = cases.chain(of_adopt.iter().map(|case| (&adopt[..], case)));
    for (number, (words, (of_claims, of_volumes, missing))) in cases.enumerate() {
        let who = user(&namespace, &format!("lacks-{number}"), of_claims, of_volumes);
        for how in ["--dry-run", "--dry-run=server", "--yes"] {
            let run = namespace.stateful(words).arg(how).kubeconfig(&who);
            let output = run.output().expect(4);
            let named = format!("you may not {missing}");
            assert!(output.stderr.contains("ORPHANS-NO-RIGHTS"), "{output}");
            assert!(output.stderr.contains(&named), "{output}");
        }
        let now = volume(&namespace, &name).expect("a volume");
        assert_eq!(now["spec"], before["spec"], "{missing}");
    }
    // With all of them, and no more, it is done.
    let who = user(&namespace, "may", &["patch", "delete"], &["patch"]);
    namespace.stateful(delete).arg("--yes").kubeconfig(&who).output().expect(0);
    let who = user(&namespace, "may-adopt", &["patch", "create"], &["patch"]);
    let back = format!("pv/{name}");
    let words = ["orphans", "adopt", &back, "--to", "web/1", "--yes"];
    namespace.stateful(words).kubeconfig(&who).output().expect(0);
}

/// The server refuses a write in the middle: that the volume is under Retain now is
/// said.
#[test]
fn a_run_that_stops_half_way_says_what_it_leaves() {
    let namespace = TestCluster::shared().namespace("orphans-half-way");
    scaled(&namespace, "web", 2, 1);
    let name = bound(&namespace, "data-web-1");
    let proxy = namespace.cluster().proxy();
    let refused = Answer::status(403, "Forbidden", "a webhook says no");
    let holds = |seen: &Seen| {
        seen.method == http::Method::PATCH && seen.path.contains("persistentvolumeclaims")
    };
    proxy.when(holds, Fault::Answer(refused));
    let through = namespace.kubeconfig_through(&proxy);
    let words = ["orphans", "delete", "data-web-1", "--yes"];
    let output = namespace.stateful(words).kubeconfig(through).output().expect(1);
    let left = format!("volume {name} is left under the policy Retain (it was Delete before)");
    assert!(output.stderr.contains(&left), "{output}");
    namespace.stateful(words).output().expect(0);
}

/// What may read only what the role `view` allows cannot tell, and says what it lacks.
#[test]
fn without_pod_templates_nothing_is_deleted() {
    let namespace = TestCluster::shared().namespace("orphans-no-templates");
    scaled(&namespace, "web", 2, 1);
    make(
        &namespace,
        &json!({
            "apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t"},
            "template": {
                "metadata": {"labels": {"app": "t"}},
                "spec": {
                    "containers": [{"name": "main", "image": "main:1"}],
                    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data-web-1"}}],
                },
            },
        }),
    );
    let proxy = namespace.cluster().proxy();
    let refused = Answer::status(403, "Forbidden", "podtemplates is forbidden");
    proxy.when(|seen| seen.path.contains("/podtemplates"), Fault::Answer(refused));
    let through = namespace.kubeconfig_through(&proxy);
    let run = |words: &[&str]| namespace.stateful(words).kubeconfig(&through).output();
    let found = run(&["orphans"]).expect(8);
    let words: Vec<&str> = found.stdout.split_whitespace().collect();
    let why = "podtemplates could not be read: something there may use it";
    assert!(words.join(" ").contains(why), "{found}");
    assert!(!found.stdout.contains("orphans delete"), "{found}");
    for how in ["--dry-run", "--yes"] {
        let output = run(&["orphans", "delete", "data-web-1", how]).expect(4);
        assert!(output.stderr.contains("podtemplates could not be read"), "{output}");
    }
    bound(&namespace, "data-web-1");
}

/// A line that its reader may not use is not printed: what is missing is said instead.
#[test]
fn no_line_is_printed_that_would_be_refused() {
    let namespace = TestCluster::shared().namespace("orphans-no-line");
    scaled(&namespace, "web", 3, 1);
    let free = bound(&namespace, "data-web-1");
    bound(&namespace, "data-web-2");
    namespace.stateful(["orphans", "delete", "data-web-1", "--yes"]).output().expect(0);
    let cases = [
        (&["patch", "delete", "create"][..], &["list"][..], "patch persistentvolumes"),
        (&["patch", "create"], &["patch"], "delete persistentvolumeclaims"),
        (&["patch", "delete"], &["patch"], "create persistentvolumeclaims"),
    ];
    for (number, (of_claims, of_volumes, missing)) in cases.iter().enumerate() {
        let who = user(&namespace, &format!("reads-{number}"), of_claims, of_volumes);
        let run = namespace.stateful(["orphans", "-o", "json"]).kubeconfig(&who);
        let found = document(&run.output().expect(0));
        let reasons = found["reasons"].as_array().expect("reasons");
        let named = format!("you may not {missing}");
        let mut withheld = 0;
        for (id, verb) in [("ORPHANS-ORDINAL-BEYOND", "delete"), ("ORPHANS-PV-RELEASED", "adopt")] {
            let reason = reasons.iter().find(|one| one["id"] == id).expect("a finding");
            let says = reason["message"].as_str().expect("a message").contains(&named);
            withheld += usize::from(says);
            assert_eq!(reason["hint"].is_string(), !says, "{verb}: {reason:#}");
        }
        assert!(withheld > 0, "{missing}: {found:#}");
    }
    // With all of them the lines are there.
    let who = user(&namespace, "may-all", &["patch", "delete", "create"], &["patch"]);
    let found = namespace.stateful(["orphans"]).kubeconfig(&who).output().expect(0);
    assert!(found.stdout.contains("orphans delete pvc/data-web-2"), "{found}");
    assert!(found.stdout.contains(&format!("orphans adopt pv/{free}")), "{found}");
}

/// Who may not read volumes is not told to keep one with a command that has to.
#[test]
fn without_volumes_no_line_keeps_one() {
    let namespace = TestCluster::shared().namespace("orphans-no-volumes");
    scaled(&namespace, "web", 2, 1);
    truth::user_of(&namespace, "reader", "data-web-1");
    namespace.kubectl(["delete", "pvc", "data-web-1", "--wait=false"]).output().expect(0);
    let allow = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let read = |(group, resource): &(&str, &str)| allow(group, resource, &["get", "list"]);
    let mut rules: Vec<Value> = READS.iter().map(read).collect();
    rules.push(allow("", "persistentvolumeclaims", &["patch", "delete"]));
    let who = namespace.user("no-volumes", &json!(rules), &json!([]));
    let found = namespace.stateful(["orphans"]).kubeconfig(&who).output().expect(8);
    assert!(!found.stdout.contains("kubectl stateful orphans delete"), "{found}");
    let words: Vec<&str> = found.stdout.split_whitespace().collect();
    assert!(
        words.join(" ").contains("get persistentvolumes, which orphans delete needs"),
        "{found}"
    );
}
