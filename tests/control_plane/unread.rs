//! What may not be read is never taken for what is not there: every command says
//! so, whichever of its requests is refused, and never that all is well.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    support::{self, Answer, Fault, Namespace, Output, Seen, TestCluster},
    unserved::{CLAIM, DEPLOYMENT},
};

/// Every command that judges something, and has something to judge here.
const COMMANDS: &[&str] = &[
    "status web",
    "canary plan web --image nginx:1.22",
    "canary start web --image nginx:1.22 --dry-run",
    "canary status web",
    "canary history web",
    "scale web --replicas 1 --dry-run",
    "scale web --replicas 3 --dry-run --allow SCALE-READOPTS-DATA",
    "orphans",
    "orphans delete www-web-2 --dry-run",
    "orphans adopt pvc/www-web-2 --to web/5 --dry-run",
    "dns web",
    "dns explain web",
    "migrate plan deploy/app",
    "migrate run deploy/app --dry-run",
    "dump",
];

/// Whether it is about objects that the answer depends on. Discovery is open to
/// everybody; where the servers of the cluster's names are is looked up in several
/// places that most people may not read; and nodes matter only for volumes that
/// are bound to some, as none is here.
fn is_asked(seen: &Seen) -> bool {
    let path = path(seen);
    let looked_up =
        ["/namespaces/kube-system/", "/namespaces/openshift-dns/", "/default/", "/v1/nodes"];
    if looked_up.iter().any(|place| path.contains(place)) {
        return false;
    }
    path.contains("/namespaces/") || path.matches('/').count() >= 3 && !path.ends_with("/v1")
}

fn run(namespace: &Namespace, kubeconfig: &std::path::Path, words: &str) -> Output {
    let words = words.split(' ').chain(["-o", "json"]);
    namespace.stateful(words).kubeconfig(kubeconfig).output()
}

#[test]
fn whichever_request_is_refused_the_answer_says_so() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("unread");
    namespace.apply(&support::web(3, |set| support::claims(set, "standard")));
    namespace.apply(DEPLOYMENT);
    namespace.apply(CLAIM);
    namespace.wait_until_ready("web");
    namespace.wait("deployment/app", "condition=Available");
    namespace.kubectl(["scale", "sts/web", "--replicas", "2"]).output().success();
    namespace.wait("pod/web-2", "delete");

    let mut silent = Vec::new();
    for words in COMMANDS {
        let proxy = cluster.proxy();
        let whole = run(&namespace, &namespace.kubeconfig_through(&proxy), words);
        let asked = proxy.requests();
        let paths: BTreeSet<String> =
            asked.iter().filter(|seen| is_asked(seen)).map(path).collect();
        assert!(!paths.is_empty(), "{whole}\n{}", proxy.log());
        for refused in paths {
            let proxy = cluster.proxy();
            let (this, why) = (refused.clone(), format!("{refused} is forbidden to nobody"));
            let answer = Answer::status(403, "Forbidden", &why);
            proxy.when(move |seen| path(seen) == this, Fault::Answer(answer));
            let output = run(&namespace, &namespace.kubeconfig_through(&proxy), words);
            if !is_said(&output) {
                silent.push(format!("without {refused}\n{output}"));
            }
        }
    }
    assert!(silent.is_empty(), "{}\n{} say nothing of it", silent.join("\n\n"), silent.len());
}

/// A path without its query.
fn path(seen: &Seen) -> String {
    seen.path.split('?').next().unwrap_or_default().to_owned()
}

/// Whether an answer names what could not be read, or is an error that does.
fn is_said(output: &Output) -> bool {
    let document: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let unread = document["incomplete"].as_array().is_some_and(|unread| !unread.is_empty());
    let ids = document["reasons"].as_array().into_iter().flatten();
    let mut ids = ids.filter_map(|reason| reason["id"].as_str());
    let names_it = ids.any(|id| id.ends_with("-UNREAD") || id.ends_with("-NO-RIGHTS"));
    match output.code() {
        Some(1) => output.stderr.contains("forbidden"),
        _ => unread || names_it || output.stderr.contains("could not be"),
    }
}
