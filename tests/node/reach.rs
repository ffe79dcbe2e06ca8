//! Pods and services of a real node, through the API server.

use std::{path::PathBuf, time::Duration};

use kubectl_stateful::{
    cluster::{Answer, Cluster, ConnectionArgs, ExecOutcome, Failure, PrometheusAt},
    output::Terminal,
};
use serde_json::json;

use crate::support::{Namespace, TestCluster, web};

const LONG: Duration = Duration::from_secs(60);

fn with<T>(namespace: &Namespace, kubeconfig: PathBuf, story: impl AsyncFnOnce(Cluster) -> T) -> T {
    let connection = ConnectionArgs {
        kubeconfig: Some(kubeconfig),
        namespace: Some(namespace.name().to_owned()),
        ..ConnectionArgs::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        story(Cluster::connect(&connection, Terminal::silent()).await.expect("a cluster")).await
    })
}

fn namespace(hint: &str) -> Namespace<'static> {
    let namespace = TestCluster::shared_node().namespace(hint);
    // Running is not yet listening.
    let probe = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1});
    namespace.apply(&web(1, |set| {
        set["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe;
    }));
    namespace.wait_until_ready("web");
    namespace
}

#[test]
fn a_pod_answers_for_itself() {
    let namespace = namespace("pod-get");
    let admin = namespace.cluster().kubeconfig().to_owned();
    // A pod that no node takes has no address.
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nowhere"},
        "spec": {
            "nodeSelector": {"no": "node"}, "containers": [{"name": "a", "image": "nginx:1.21"}],
        },
    });
    namespace.apply(&pod.to_string());
    with(&namespace, admin, async |cluster| {
        let get = async |pod, port, path| cluster.pod_get(pod, port, false, path, LONG).await;
        let missing = get("web-0", "80", "/not/there?x=1").await.expect("an answer");
        let Answer::Status { code: 404, body } = &missing else { panic!("{missing:?}") };
        assert!(body.contains("nginx"), "the page is nginx's: {body}");
        let requests = cluster.requests();
        let closed = get("web-0", "81", "/").await.expect("an answer");
        let Answer::Unreachable { why } = &closed else { panic!("{closed:?}") };
        assert!(why.contains("connection refused"), "{why}");
        assert_eq!(cluster.requests(), requests + 1, "it is asked once");
        let unplaced = get("nowhere", "80", "/").await.expect("an answer");
        assert!(matches!(unplaced, Answer::Unreachable { .. }), "{unplaced:?}");
        let plain = cluster.pod_get("web-0", "80", true, "/", LONG).await.expect("an answer");
        assert!(matches!(plain, Answer::Unreachable { .. }), "no TLS there: {plain:?}");
        let absent = get("web-7", "80", "/").await.expect_err("there is no such pod");
        assert!(matches!(absent, Failure::NotFound(_)), "{absent:?}");
    });
    let pods = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]);
    let user = namespace.user("reader", &pods, &json!([]));
    with(&namespace, user, async |cluster| {
        let refused = cluster.pod_get("web-0", "80", false, "/", LONG).await;
        let refused = refused.expect_err("there is no right");
        assert!(matches!(refused, Failure::Forbidden(_)), "{refused:?}");
        assert!(refused.to_string().contains("pods/proxy"), "{refused}");
    });
}

/// nginx plays Prometheus: it serves a file where that has its queries.
#[test]
fn a_service_of_the_cluster_is_queried() {
    let namespace = namespace("prometheus");
    let admin = namespace.cluster().kubeconfig().to_owned();
    with(&namespace, admin, async |cluster| {
        let at = |name: &str, port: &str| PrometheusAt::Service {
            namespace: namespace.name().to_owned(),
            name: name.to_owned(),
            port: port.to_owned(),
            https: false,
        };
        let query = async |at| cluster.prometheus(&at, "up == 1", LONG).await;
        let said = |failure: kubectl_stateful::cluster::PrometheusFailure| failure.to_string();
        let empty = said(query(at("nginx", "80")).await.expect_err("nothing is served yet"));
        assert!(empty.starts_with("Prometheus answered 404"), "{empty}");
        let answer = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"0.5"]}}"#;
        let script = format!(
            "root=$(nginx -T 2>/dev/null | sed -n 's/^ *root  *\\(.*\\);/\\1/p' | head -n 1)\n\
             mkdir -p $root/api/v1 && echo '{answer}' > $root/api/v1/query && chmod -R a+rX $root"
        );
        let command = ["sh".to_owned(), "-c".to_owned(), script];
        let written = cluster.exec("web-0", None, &command, LONG).await.expect("it runs");
        assert!(matches!(written, ExecOutcome::Ended { code: 0, .. }), "{written:?}");
        let samples = query(at("nginx", "80")).await.expect("a sample");
        assert_eq!(samples.iter().map(|sample| sample.value).collect::<Vec<_>>(), [0.5]);
        let wrong = said(query(at("nginx", "81")).await.expect_err("there is no such port"));
        assert!(wrong.contains("port"), "{wrong}");
        let absent = said(query(at("other", "80")).await.expect_err("there is no such service"));
        assert!(absent.contains("\"other\" not found"), "{absent}");
    });
}
