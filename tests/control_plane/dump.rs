//! `dump`: what is judged of it is what is judged of the cluster, and no value of a
//! variable is in it.

use serde_json::{Value, json};

use super::support::{self, Namespace, TestCluster};

fn web(name: &str, replicas: u32) -> String {
    support::web(replicas, |set| {
        support::claims(set, "standard");
        set["metadata"]["name"] = json!(name);
        if name != "web" {
            for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
                set.pointer_mut(labels).expect("labels")["app"] = json!(name);
            }
        }
        let password = json!([{"name": "PASSWORD", "value": "hunter2"}]);
        set["spec"]["template"]["spec"]["containers"][0]["env"] = password;
    })
}

/// What a command says, without ages and what is only said of files.
fn said(output: &str) -> Vec<String> {
    let is_age =
        |word: &&str| word.ends_with(['s', 'm']) && word.starts_with(|c: char| c.is_ascii_digit());
    let lines = output.lines().filter(|line| !line.is_empty() && !line.starts_with("as of "));
    let words = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().filter(|word| !is_age(word)).collect();
        words.join(" ")
    };
    lines.map(words).collect()
}

fn is_judged_the_same(namespace: &Namespace, dump: &str, words: &str) {
    let live = namespace.stateful(words.split(' ')).output().success();
    let words: Vec<&str> = words.split(' ').chain(["-f", "-"]).collect();
    let offline = namespace.stateful(&words).stdin(dump.to_owned()).output().success();
    assert_eq!(said(&live), said(&offline), "{words:?}\n{live}\n{offline}");
}

#[test]
fn what_is_judged_of_a_dump_is_what_is_judged_of_the_cluster() {
    let namespace = TestCluster::shared().namespace("dumped");
    namespace.apply(&web("web", 3));
    namespace.apply(&web("other", 1));
    namespace.wait_until_ready("web");
    namespace.wait_until_ready("other");
    let start = "canary start web --image nginx:1.22 --bake 0 --yes";
    namespace.stateful(start.split(' ')).output().success();

    let of_set = namespace.stateful(["dump", "web"]).output().success();
    assert!(!of_set.contains("hunter2"), "{of_set}");
    assert!(!of_set.contains("other-0") && of_set.contains("www-web-2"), "{of_set}");
    let as_json = namespace.stateful(["dump", "sts/web", "-o", "json"]).output().success();
    for dump in [&of_set, &as_json] {
        for words in ["status web", "canary status web", "canary history web"] {
            is_judged_the_same(&namespace, dump, words);
        }
        // The servers, of which this cluster has none, are of another namespace.
        let explain = ["dns", "explain", "web", "-o", "json"];
        let reasons = |output: &str| {
            let document: Value = serde_json::from_str(output).expect("a document");
            let ids = support::ids(&document).into_iter().filter(|id| *id != "DNS-NO-SERVERS");
            ids.map(str::to_owned).collect::<Vec<_>>()
        };
        let live = reasons(&namespace.stateful(explain).output().success());
        let files = namespace.stateful(explain).args(["-f", "-"]).stdin(dump.clone());
        assert_eq!(reasons(&files.output().success()), live);
        assert_eq!(live, ["DNS-PORT-UNNAMED"]);
    }

    // Of a kind that has no objects it is known that there are none.
    namespace.kubectl(["scale", "sts/other", "--replicas", "0"]).output().success();
    namespace.wait("pod/other-0", "delete");
    let whole = namespace.stateful(["dump"]).output().success();
    assert!(!whole.contains("hunter2"), "{whole}");
    for words in ["orphans", "status", "status other"] {
        is_judged_the_same(&namespace, &whole, words);
    }
}

#[test]
fn what_may_not_be_read_is_told_and_missing() {
    let namespace = TestCluster::shared().namespace("dump-rights");
    namespace.apply(&web("web", 1));
    namespace.wait_until_ready("web");
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]);
    let viewer = namespace.user("viewer", &rules, &json!([]));
    let output = namespace.stateful(["dump"]).kubeconfig(&viewer).output().expect(8);
    assert!(output.stderr.contains("persistentvolumeclaims could not be read"), "{output}");
    let status = ["status", "web", "-f", "-", "-o", "json"];
    let judged = namespace.stateful(status).stdin(output.stdout).output().expect(8);
    let document: Value = serde_json::from_str(&judged.stdout).expect("a document");
    let unread = document["incomplete"].as_array().into_iter().flatten();
    let unread: Vec<&str> = unread.filter_map(|one| one["resource"].as_str()).collect();
    assert!(unread.contains(&"persistentvolumeclaims"), "{unread:?}");
    assert!(!unread.contains(&"pods"), "{unread:?}");
}

#[test]
fn a_set_that_does_not_exist_is_not_found() {
    let namespace = TestCluster::shared().namespace("dump-missing");
    let output = namespace.stateful(["dump", "nobody"]).output().expect(1);
    assert!(output.stderr.contains("statefulsets.apps \"nobody\" not found"), "{output}");
    assert_eq!(output.stdout, "");
    let cluster = namespace.cluster();
    let output = cluster.stateful(["dump", "-n", "no-such-namespace"]).output().expect(1);
    assert!(output.stderr.contains("namespaces \"no-such-namespace\" not found"), "{output}");
    assert_eq!(output.stdout, "");
}

/// A set that may not be read is not said to be missing.
#[test]
fn sets_that_may_not_be_listed_are_not_missing() {
    let namespace = TestCluster::shared().namespace("dump-blind");
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]);
    let viewer = namespace.user("blind", &rules, &json!([]));
    let output = namespace.stateful(["dump", "web"]).kubeconfig(&viewer).output().expect(8);
    assert!(output.stderr.contains("the StatefulSets could not be read"), "{output}");
    assert!(!output.stderr.contains("not found"), "{output}");
}
