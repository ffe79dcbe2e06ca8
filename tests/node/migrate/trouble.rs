//! A migration of a real MySQL that meets trouble: a check that says no,
//! Ctrl-C, and parts of Kubernetes that go away for a while.

use serde_json::{Value, json};

use super::{CLAIM, SOON, Shop, Stock};
use crate::support::{Fault, Gate, TestCluster, document, ids, wait_for};

/// It stops where it is, and goes on when the check agrees; or goes back by
/// itself, and the Deployment serves.
#[test]
fn a_check_in_the_new_pod_decides() {
    let shop = Shop::new("move-verify", Stock::ByHand("Delete"));
    let app = &shop.app;
    let run = |check: &str, more: &[&str], code: i32| {
        let run = app.migrate("run deploy/mysql --yes").args(["--verify-exec", check]).args(more);
        document(&run.output().expect(code))
    };
    let reverted = run("echo not mine >&2; exit 3", &["--auto-rollback"], 10);
    assert_eq!(ids(&reverted), ["MIGRATE-VERIFY-FAILED"], "{reverted:#}");
    assert_eq!(reverted["stage"], "rolled-back");
    app.is_home();
    shop.takes_writes();
    shop.has_every_row();

    let failed = run("echo not mine >&2; exit 3", &[], 5);
    assert_eq!(ids(&failed), ["MIGRATE-VERIFY-FAILED"], "{failed:#}");
    assert_eq!(failed["reasons"][0]["message"], "mysql-0: the command ended with 3: not mine");
    assert!(failed["arrived"].is_null(), "{failed:#}");
    // The set serves meanwhile, and nothing is final.
    shop.takes_writes();
    app.says("finalize sts/mysql --yes", 4);
    let count =
        "test \"$(mysql -u root -ppassword -NBe 'SELECT count(*) > 3 FROM shop.orders')\" = 1";
    // However long it takes, whoever runs it is alive: nobody else takes over.
    let slow = format!("sleep 30; {count}");
    let running = app.migrate("run deploy/mysql --yes").args(["--verify-exec", &slow]).start();
    running.wait_for_stderr("the check", |said| said.contains("running in mysql-0: sleep 30"));
    let other = app.migrate("resume sts/mysql --yes").output().expect(7);
    let other = serde_json::from_str::<Value>(&other.stdout).expect("a document");
    assert_eq!(ids(&other), ["MIGRATE-LOCKED"], "{other:#}");
    let moved = running.finish().expect(0);
    let moved = serde_json::from_str::<Value>(&moved.stdout).expect("a document");
    assert_eq!(moved["stage"], "arrived", "{moved:#}");
    app.says("finalize sts/mysql --yes", 0);
    app.is_moved("mysql", &[CLAIM], &[]);
    shop.takes_writes();
    shop.has_every_row();
}

/// Nobody has to wait for a lock that was let go of.
#[test]
fn after_ctrl_c_in_the_middle_it_goes_on() {
    let shop = Shop::new("move-signal", Stock::ByHand("Delete"));
    let app = &shop.app;
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let running = app.migrate("run deploy/mysql --yes").start();
        running.wait_for_stderr("the stop", |said| said.contains(" to be gone"));
        running.signal(signal);
        let output = running.finish().expect(code);
        let said: Value = serde_json::from_str(&output.stdout).expect("a document");
        assert_eq!(said["result"], "interrupted", "{output}");
        assert!(said["holder"].is_null(), "{output}");
        let next = said["next"].as_str().expect("what to type");
        assert!(next.starts_with("kubectl stateful migrate resume sts/mysql"), "{output}");
        let resumed = app.migrate("resume sts/mysql --yes").output().expect(0);
        assert!(!resumed.stderr.contains("still holds"), "{resumed}");
        shop.takes_writes();
        shop.has_every_row();
        let running = app.migrate("rollback sts/mysql --yes").start();
        running.wait_for_stderr("the stop", |said| said.contains("mysql-0 to be gone"));
        running.signal(signal);
        running.finish().expect(code);
        app.says("resume sts/mysql --yes", 0);
        app.is_home();
    }
    shop.takes_writes();
    shop.has_every_row();
}

/// The kubelet comes back while the volume is the set's already and the old pod
/// still runs, the API server while nothing serves.
#[test]
fn kubelet_and_api_server_are_restarted_in_the_middle() {
    let cluster = TestCluster::fresh_node();
    let shop = Shop::on(&cluster, "move-restart", Stock::ByHand("Delete"));
    let app = &shop.app;
    let proxy = cluster.proxy();
    let (stop, start) = (Gate::closed(), Gate::closed());
    let scales = |kind: &'static str| {
        move |seen: &crate::support::Seen| {
            seen.writes() && seen.path.contains(&format!("/{kind}/mysql"))
        }
    };
    proxy.once(scales("deployments"), Fault::Hold(stop.clone()));
    proxy.once(scales("statefulsets"), Fault::Hold(start.clone()));
    let running = app.migrate_through(&proxy, "run deploy/mysql --yes").start();
    stop.wait_until_reached(SOON);
    cluster.restart("kubelet");
    // The volume is no claim of its pod's any more; that serves all the same.
    shop.takes_writes();
    stop.release();
    start.wait_until_reached(SOON);
    cluster.restart("kube-apiserver");
    start.release();
    let output = running.finish();
    if output.code() != Some(0) {
        // The server was away for longer than a run waits.
        assert_eq!(output.code(), Some(1), "{output}");
        app.says("resume sts/mysql --yes --takeover", 0);
    }
    shop.takes_writes();
    shop.has_every_row();

    // The binder is away: the swap is there, and goes on when it is back.
    app.says("rollback sts/mysql --yes", 0);
    app.is_home();
    cluster.stop("kube-controller-manager");
    let running = app.migrate("run deploy/mysql --yes").start();
    running.wait_for_stderr("the binder", |said| said.contains("to be bound to"));
    shop.takes_writes();
    cluster.start_part("kube-controller-manager");
    running.finish().expect(0);
    shop.takes_writes();
    shop.has_every_row();
    app.says("finalize sts/mysql --yes", 0);
    app.is_moved("mysql", &[CLAIM], &[]);
}

/// Somebody scales the Deployment up while the set is to start: nothing starts
/// on the disk twice, and whoever looks is told.
#[test]
fn somebody_scales_the_deployment_up_in_the_middle() {
    let shop = Shop::new("move-rescaled", Stock::ByHand("Delete"));
    let app = &shop.app;
    let proxy = app.namespace.cluster().proxy();
    let start = Gate::closed();
    proxy.once(
        |seen| seen.writes() && seen.path.contains("/statefulsets/mysql"),
        Fault::Hold(start.clone()),
    );
    let running = app.migrate_through(&proxy, "run deploy/mysql --yes").start();
    start.wait_until_reached(SOON);
    let path = app.namespace.path("apps/v1", "deployments", "mysql");
    app.namespace.cluster().api().patch(&path, &json!({"spec": {"replicas": 1}}));
    wait_for(SOON, "its pod", || {
        let pods = app.namespace.kubectl(["get", "pods", "-o", "name"]).output().success();
        (pods.lines().count() == 2).then_some(())
    });
    start.release();
    let output = running.finish().expect(7);
    let said: Value = serde_json::from_str(&output.stdout).expect("a document");
    assert_eq!(ids(&said), ["MIGRATE-CHANGED"], "{output}");
    // Its pod cannot have the disk: the claim is Lost.
    let pods = app.namespace.kubectl(["get", "pods", "-l", "app=mysql", "-o", "json"]).output();
    let pods: Value = serde_json::from_str(&pods.success()).expect("a list");
    let running = pods["items"].as_array().expect("items").iter();
    let phases: Vec<&Value> = running.map(|pod| &pod["status"]["phase"]).collect();
    assert!(phases.iter().filter(|phase| **phase == "Running").count() <= 1, "{phases:?}");
    app.says("rollback sts/mysql --yes", 0);
    app.is_home();
    shop.takes_writes();
    shop.has_every_row();
}
