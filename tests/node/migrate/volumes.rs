//! `migrate` over volumes that a provisioner makes and really deletes, over
//! two claims, and of several Deployments into one set.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

use super::{App, application, volumes};
use crate::support::{TestCluster, wait_for};

const SOON: Duration = Duration::from_secs(60);

/// The directory that a volume is.
fn directory(volume: &Value) -> PathBuf {
    let path = volume["spec"]["hostPath"]["path"].as_str().expect("a volume of the provisioner");
    PathBuf::from(path)
}

fn in_pod(app: &App, pod: &str, command: &[&str]) -> String {
    app.namespace.kubectl(["exec", pod, "--"]).args(command).output().success()
}

fn psql(app: &App, pod: &str, statement: &str) -> String {
    in_pod(app, pod, &["psql", "-U", "postgres", "-Atc", statement])
}

/// There, back, there for good; the directory goes only when the set's own
/// claim does.
fn postgres_moves(class: &str) {
    let app = App::new(TestCluster::shared_node(), "move-postgres", |_| {
        let class = format!("storageClassName: {class}");
        application("postgres-deployment").replace("storageClassName: standard", &class)
    });
    psql(&app, "deployment/postgres", "CREATE TABLE orders (n INT PRIMARY KEY)");
    let fill = "INSERT INTO orders SELECT generate_series(1, 1000)";
    psql(&app, "deployment/postgres", fill);
    let volume = volumes(&app.namespace).remove(0);
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    let data = directory(&volume);
    let holds_data = || data.join("pgdata/PG_VERSION").exists();
    assert!(holds_data(), "{}", data.display());

    app.says("run deploy/postgres --yes", 0);
    assert_eq!(psql(&app, "postgres-0", "SELECT sum(n) FROM orders"), "500500\n");
    psql(&app, "postgres-0", "INSERT INTO orders VALUES (2000)");
    app.says("rollback sts/postgres --yes", 0);
    app.is_home();
    let sum = "SELECT count(*), sum(n) FROM orders";
    assert_eq!(psql(&app, "deployment/postgres", sum), "1001|502500\n");

    app.says("run deploy/postgres --yes", 0);
    let moved = "persistentvolumeclaims/data-postgres-0";
    app.says("finalize sts/postgres --yes", 0);
    app.is_moved("postgres", &["data-postgres-0"], &["postgres-headless"]);
    assert!(holds_data(), "{}", data.display());
    assert_eq!(psql(&app, "postgres-0", sum), "1001|502500\n");
    // A pod that is made anew finds them too.
    app.namespace.kubectl(["delete", "pod", "postgres-0", "--wait=true"]).output().success();
    app.namespace.wait_until_ready("postgres");
    assert_eq!(psql(&app, "postgres-0", sum), "1001|502500\n");

    // The policy is in force again: that was no idle fear.
    app.namespace.kubectl(["delete", "statefulset/postgres", moved]).output().success();
    wait_for(SOON, "the directory to be gone", || (!data.exists()).then_some(()));
}

#[test]
fn postgres_moves_on_a_volume_that_its_class_deletes() {
    postgres_moves("standard");
}

#[test]
fn postgres_moves_on_a_volume_that_waited_for_its_pod() {
    postgres_moves("standard-wait");
}

/// MariaDB as a Deployment over the claim `NAME-data`.
fn database(name: &str) -> (Value, Value) {
    let labels = json!({"app": name});
    let container = json!({
        "name": "mysql", "image": "mysql:8.0",
        "env": [{"name": "MYSQL_ROOT_PASSWORD", "value": "password"}],
        "readinessProbe": {
            "exec": {"command": ["mysql", "-ppassword", "-e", "SELECT 1"]},
            "periodSeconds": 1, "timeoutSeconds": 5,
        },
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/mysql"}],
    });
    let claim = format!("{name}-data");
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 1, "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
                },
            },
        },
    });
    (deployment, of_class(&claim, "standard"))
}

fn of_class(claim: &str, class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

fn sql(app: &App, pod: &str, statement: &str) -> String {
    in_pod(app, pod, &["mysql", "-ppassword", "-NBe", statement])
}

/// Data on one claim and the log on another, of another class.
#[test]
fn two_claims_move_together() {
    let app = App::new(TestCluster::shared_node(), "move-two", |_| {
        let (mut deployment, data) = database("db");
        let pod = &mut deployment["spec"]["template"]["spec"];
        let logs = json!({"name": "logs", "mountPath": "/var/log/mysql"});
        pod["initContainers"] = json!([{
            "name": "owner", "image": "mysql:8.0", "command": ["chmod", "777", "/var/log/mysql"],
            "volumeMounts": [logs],
        }]);
        let container = &mut pod["containers"][0];
        let log = "--general-log-file=/var/log/mysql/general.log";
        container["args"] = json!(["--general-log=1", log]);
        container["volumeMounts"].as_array_mut().expect("mounts").push(logs);
        let claim = json!({"name": "logs", "persistentVolumeClaim": {"claimName": "db-logs"}});
        pod["volumes"].as_array_mut().expect("volumes").push(claim);
        let items = [deployment, data, of_class("db-logs", "standard-retain")];
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    });
    let table = "CREATE DATABASE shop; CREATE TABLE shop.orders (n INT PRIMARY KEY)";
    sql(&app, "deployment/db", table);
    sql(&app, "deployment/db", "INSERT INTO shop.orders VALUES (17)");
    let holds = |pod: &str, rows: &str| {
        assert_eq!(sql(&app, pod, "SELECT n FROM shop.orders ORDER BY n"), rows);
        let log = in_pod(&app, pod, &["cat", "/var/log/mysql/general.log"]);
        for row in rows.lines() {
            assert!(log.contains(&format!("INSERT INTO shop.orders VALUES ({row})")), "{log}");
        }
    };
    let claims = ["data-db-0", "logs-db-0"];
    app.says("run deploy/db --yes", 0);
    holds("db-0", "17\n");
    sql(&app, "db-0", "INSERT INTO shop.orders VALUES (18)");
    app.says("rollback deploy/db --yes", 0);
    app.is_home();
    holds("deployment/db", "17\n18\n");
    app.says("run deploy/db --yes", 0);
    app.says("finalize sts/db --yes", 0);
    app.is_moved("db", &claims, &["db-headless"]);
    holds("db-0", "17\n18\n");
    let policies = volumes(&app.namespace).into_iter().map(|volume| {
        let claim = volume["spec"]["claimRef"]["name"].as_str().expect("a claim").to_owned();
        (claim, volume["spec"]["persistentVolumeReclaimPolicy"].clone())
    });
    let mut policies: Vec<_> = policies.collect();
    policies.sort_by(|a, b| a.0.cmp(&b.0));
    let wanted = [("data-db-0", "Delete"), ("logs-db-0", "Retain")];
    assert_eq!(policies, wanted.map(|(claim, policy)| (claim.to_owned(), json!(policy))));
}

/// Each ordinal gets what its Deployment had.
#[test]
fn three_deployments_become_one_set() {
    let names = ["db-a", "db-b", "db-c"];
    let app = App::new(TestCluster::shared_node(), "move-three", |_| {
        let items: Vec<Value> =
            names.iter().map(|name| database(name)).flat_map(<[Value; 2]>::from).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    });
    for name in names {
        let pod = format!("deployment/{name}");
        let table = "CREATE DATABASE shop; CREATE TABLE shop.orders (n VARCHAR(9) PRIMARY KEY)";
        sql(&app, &pod, table);
        sql(&app, &pod, &format!("INSERT INTO shop.orders VALUES ('{name}')"));
    }
    let rows = |pods: [&str; 3], of: &dyn Fn(&str) -> String| {
        for (pod, name) in pods.iter().zip(names) {
            assert_eq!(sql(&app, pod, "SELECT n FROM shop.orders ORDER BY n"), of(name), "{pod}");
        }
    };
    let ordinals = ["db-0", "db-1", "db-2"];
    app.says("run --from db-a,db-b,db-c --name db --yes", 0);
    rows(ordinals, &|name| format!("{name}\n"));
    for pod in ordinals {
        sql(&app, pod, &format!("INSERT INTO shop.orders VALUES ('{pod}')"));
    }
    app.says("rollback sts/db --yes", 0);
    app.is_home();
    let both = |name: &str| {
        let ordinal = names.iter().position(|one| *one == name).expect("one of them");
        format!("db-{ordinal}\n{name}\n")
    };
    rows(["deployment/db-a", "deployment/db-b", "deployment/db-c"], &both);
    app.says("run --from db-a,db-b,db-c --name db --yes", 0);
    rows(ordinals, &both);
    app.says("finalize sts/db --yes", 0);
    let claims = ["data-db-0", "data-db-1", "data-db-2"];
    app.is_moved("db", &claims, &["db-headless"]);
    rows(ordinals, &both);
}
