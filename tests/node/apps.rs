//! The applications of tests/apps, running for real.

use std::{fs, path::Path, time::Duration};

use crate::support::{Namespace, TestCluster, wait_for};

fn install(namespace: &Namespace, app: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(app);
    let manifests =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    namespace.apply(&manifests);
}

#[test]
fn kubectl_shows_the_status_of_three_real_replicas() {
    let namespace = TestCluster::shared_node().namespace("web");
    install(&namespace, "nginx.yaml");
    namespace.wait_until_ready("web");
    let shown = namespace.plugin(["status", "web"]).output().success();
    assert!(shown.contains("3 of 3 ready"), "{shown}");
    for ordinal in 0..3 {
        assert!(shown.contains(&format!("www-web-{ordinal}")), "{shown}");
    }
    assert!(!shown.contains("STATUS-"), "nothing is wrong with it\n{shown}");
}

#[test]
fn the_databases_become_ready() {
    for (app, set) in [("mysql.yaml", "mysql"), ("postgres.yaml", "postgres")] {
        let namespace = TestCluster::shared_node().namespace(set);
        install(&namespace, app);
        namespace.wait_until_ready(set);
        let shown = namespace.stateful(["status", set]).output().success();
        assert!(shown.contains("1 of 1 ready"), "{shown}");
    }
}

#[test]
fn a_probe_without_a_shell_is_named_as_the_reason() {
    let namespace = TestCluster::shared_node().namespace("probe");
    install(&namespace, "mysql-probe-bug.yaml");
    wait_for(Duration::from_secs(120), "the finding", || {
        let shown = namespace.stateful(["status", "mysql"]).output().stdout;
        shown.contains("STATUS-PROBE-NO-SHELL").then_some(())
    });
    let pod = namespace.get("v1", "pods", "mysql-0").expect("the pod is there");
    assert_eq!(pod["status"]["containerStatuses"][0]["ready"], false, "the finding is true");
}
