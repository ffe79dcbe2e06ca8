//! What is known about a set stays true on a real API server, whatever
//! becomes of the watches.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use http::Method;
use kubectl_stateful::{
    cluster::{
        Cluster, ConnectionArgs,
        mirror::Mirror,
        read::{self, Scope},
    },
    output::Terminal,
    workload::{Facts, Pod},
};
use serde_json::json;

use crate::support::{Answer, Fault, Namespace, TestCluster, web};

const SOON: Duration = Duration::from_secs(60);

/// Follows the set `web` while `story` goes on, with the means to wait.
fn follow(
    namespace: &Namespace,
    kubeconfig: PathBuf,
    story: impl AsyncFnOnce(&mut Mirror, &Cluster),
) {
    let connection = ConnectionArgs {
        kubeconfig: Some(kubeconfig),
        namespace: Some(namespace.name().to_owned()),
        ..ConnectionArgs::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let cluster = Cluster::connect(&connection, Terminal::silent()).await.expect("a cluster");
        let reading = read::facts(&cluster, "web", Scope::Rollout).await.expect("the facts");
        let mut mirror = Mirror::follow(&cluster, reading);
        story(&mut mirror, &cluster).await;
    });
}

/// Waits for the mirror to show something.
async fn until(mirror: &mut Mirror, what: &str, holds: impl Fn(&Mirror) -> bool) {
    let start = Instant::now();
    while !holds(mirror) {
        let left = SOON.saturating_sub(start.elapsed());
        let changed = tokio::time::timeout(left, mirror.changed()).await;
        assert!(changed.is_ok(), "waited in vain for {what}: {:?}", mirror.facts().pods);
    }
}

fn pod<'a>(facts: &'a Facts, name: &str) -> Option<&'a Pod> {
    facts.pods.iter().flatten().find(|pod| pod.name == name)
}

fn uid(mirror: &Mirror, name: &str) -> Option<String> {
    pod(mirror.facts(), name).map(|pod| pod.uid.clone())
}

/// A request that does not hold up the watches.
async fn aside(namespace: &Namespace<'_>, method: Method, path: String, body: serde_json::Value) {
    let api = namespace.cluster().api().clone();
    let content = "application/merge-patch+json";
    let asked = tokio::task::spawn_blocking(move || {
        let body = (!body.is_null()).then_some(&body);
        api.request(method, &path, body, content)
    });
    let (status, answer) = asked.await.expect("a request");
    assert!(status.is_success(), "{status} {answer}");
}

/// Deletes web-1, and waits until its successor is ready.
async fn replace(namespace: &Namespace<'_>, mirror: &mut Mirror) {
    let old = uid(mirror, "web-1");
    let path = namespace.path("v1", "pods", "web-1");
    aside(namespace, Method::DELETE, path, serde_json::Value::Null).await;
    until(mirror, "the successor of web-1", |mirror| {
        let successor = pod(mirror.facts(), "web-1");
        successor.is_some_and(|pod| Some(&pod.uid) != old.as_ref() && pod.is_ready())
    })
    .await;
}

fn namespace(hint: &str) -> Namespace<'static> {
    let namespace = TestCluster::shared().namespace(hint);
    namespace.apply(&web(2, |_| {}));
    namespace.wait_until_ready("web");
    namespace
}

#[test]
fn a_mirror_follows_every_change_of_the_set() {
    let namespace = namespace("mirror");
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "nginx"}}},
    });
    namespace.apply(&budget.to_string());
    let kubeconfig = namespace.cluster().kubeconfig().to_owned();
    follow(&namespace, kubeconfig, async |mirror, cluster| {
        let version = mirror.facts().server_version.clone().expect("a version");
        assert!(version.starts_with("v1."), "{version}");
        assert!(mirror.facts().unread.is_empty(), "{:?}", mirror.facts().unread);
        let read = cluster.requests();
        until(mirror, "the budget", |mirror| {
            let budget = mirror.facts().budgets.iter().flatten().next();
            budget.is_some_and(|budget| budget.observed && budget.disruptions_allowed == 1)
        })
        .await;
        replace(&namespace, mirror).await;

        let path = namespace.path("apps/v1", "statefulsets", "web");
        let strategy = json!({"rollingUpdate": {"partition": 2}});
        aside(
            &namespace,
            Method::PATCH,
            path.clone(),
            json!({"spec": {"updateStrategy": strategy}}),
        )
        .await;
        until(mirror, "the partition", |mirror| mirror.facts().set.partition() == 2).await;
        until(mirror, "the controller", |mirror| mirror.facts().set.is_observed()).await;
        assert!(cluster.requests() <= read + 4, "four watches and nothing else");
        mirror.refresh().await.expect("both lists");
        assert!(cluster.requests() <= read + 6);

        let first = mirror.facts().set.uid.clone();
        aside(&namespace, Method::DELETE, path, serde_json::Value::Null).await;
        until(mirror, "the set to be gone", Mirror::set_is_gone).await;
        until(mirror, "the pods to be gone", |mirror| {
            mirror.facts().pods.as_ref().is_some_and(Vec::is_empty)
        })
        .await;
        // Nothing is lost while nobody looks.
        namespace.apply(&web(2, |_| {}));
        until(mirror, "the namesake", |mirror| mirror.facts().set.uid != first).await;
        assert!(!mirror.set_is_gone());
        until(mirror, "its pods", |mirror| pod(mirror.facts(), "web-1").is_some_and(Pod::is_ready))
            .await;
    });
}

/// Every watch breaks after each event that it tells.
#[test]
fn cut_watches_lose_nothing() {
    let namespace = namespace("mirror-cut");
    let proxy = namespace.cluster().proxy();
    proxy.when(|request| request.watch, Fault::CutWatchAfter(1));
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    follow(&namespace, kubeconfig, async |mirror, _| {
        for _ in 0..2 {
            replace(&namespace, mirror).await;
        }
    });
    let lists = proxy.count(|seen| !seen.watch && seen.path.contains("/pods?"));
    assert_eq!(lists, 1, "a cut watch needs no list:\n{}", proxy.log());
    assert!(proxy.count(|seen| seen.watch && seen.path.contains("/pods?")) > 4, "{}", proxy.log());
}

/// The server no longer knows the version from which a watch is to go on.
#[test]
fn a_version_that_is_too_old_is_read_anew() {
    let namespace = namespace("mirror-old");
    let proxy = namespace.cluster().proxy();
    let pods = |seen: &crate::support::Seen| seen.watch && seen.path.contains("/pods?");
    proxy.once(pods, Fault::Answer(Answer::status(410, "Expired", "too old resource version")));
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    follow(&namespace, kubeconfig, async |mirror, _| replace(&namespace, mirror).await);
    let lists = proxy.count(|seen| !seen.watch && seen.path.contains("/pods?"));
    assert_eq!(lists, 2, "{}", proxy.log());
}
