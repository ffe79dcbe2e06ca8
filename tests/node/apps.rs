//! The applications of tests/apps run on the real node, and `status` shows
//! each of them.

use std::time::Duration;

use serde_json::Value;

use super::support::{Namespace, TestCluster, ids, status_document, wait_for};

const SOON: Duration = Duration::from_secs(240);

fn apply(namespace: &Namespace, name: &str) {
    let manifest = format!("{}/tests/apps/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    namespace.kubectl(["apply", "-f", &manifest]).output().success();
}

/// Applies an application and waits until `status` calls its set ready.
#[track_caller]
fn becomes_ready(name: &str, set: &str) {
    let namespace = TestCluster::shared_node().namespace(&name.replace('/', "-"));
    apply(&namespace, name);
    let run = namespace.stateful(["status", set, "--wait-for", "updated", "--timeout", "220s"]);
    let output = run.deadline(SOON).output().expect(0);
    assert!(output.stdout.contains(&format!("{}/{set}  Ready  ", namespace.name())), "{output}");
}

#[test]
fn our_nginx() {
    becomes_ready("nginx", "web");
}

#[test]
fn our_mysql() {
    becomes_ready("mysql", "mysql");
}

#[test]
fn our_mysql_with_replicas() {
    becomes_ready("mysql-replicas", "mysql");
}

#[test]
fn our_postgres() {
    becomes_ready("postgres", "postgres");
}

#[test]
fn our_zookeeper() {
    becomes_ready("zookeeper", "zookeeper");
}

#[test]
fn the_example_postgres() {
    becomes_ready("seeds/postgres", "postgres");
}

#[test]
fn the_example_zookeeper() {
    becomes_ready("seeds/zookeeper", "zookeeper");
}

#[test]
fn the_example_html_set_on_volumes_made_by_hand() {
    becomes_ready("seeds/html", "html-stateful-set");
}

/// The three replicas of the nginx example, through the real kubectl.
#[test]
fn the_example_web() {
    let namespace = TestCluster::shared_node().namespace("seeds-web");
    apply(&namespace, "seeds/web");
    namespace.wait_until_ready("web");
    let shown = namespace.plugin(["status", "web"]).output().success();
    for words in ["Ready  3 of 3 ready", "Service nginx (headless)", "stable   nginx:1.21"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    for ordinal in 0..3 {
        let row = shown.lines().find(|line| line.contains(&format!("web-{ordinal} ")));
        let row = row.unwrap_or_else(|| panic!("no row for {ordinal}\n{shown}"));
        let claim = format!("www-web-{ordinal}");
        for word in ["Ready", "node-a", &claim, "1Gi", "standard", "Delete"] {
            assert!(row.contains(word), "{word} is not in {row:?}");
        }
    }
}

/// The examples that never become Ready, as they are found: `status` says why.
#[test]
fn the_example_mysql_sets_show_their_probe() {
    for name in ["seeds/mysql", "seeds/mysql-replicas"] {
        let namespace = TestCluster::shared_node().namespace(&name.replace('/', "-"));
        apply(&namespace, name);
        wait_for(SOON, "the probe to be found guilty", || {
            let found = status_document(&namespace, "mysql");
            let guilty = |reason: &Value| {
                reason["id"] == "STATUS-PROBE-NO-SHELL" && reason["severity"] == "error"
            };
            let proven = found["reasons"].as_array()?.iter().any(guilty);
            (proven && ids(&found).contains(&"STATUS-NOT-READY")).then_some(())
        });
    }
}
