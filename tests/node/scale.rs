//! `scale` of real members: each leaves its cluster before its pod goes, its
//! disk stays, and it comes back on it.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::json;

use super::{
    canary::Set,
    migrate::application,
    support::{Run, TestCluster, claims, document, ids, wait_for, web},
};

const SOON: Duration = Duration::from_secs(180);

fn scale(set: &Set, words: &[&str]) -> Run {
    let run = set.namespace.stateful(["scale", set.name]).args(words);
    run.args(["--yes", "-o", "json"]).deadline(SOON)
}

#[track_caller]
fn in_pod(set: &Set, pod: &str, command: &[&str]) -> String {
    set.namespace.kubectl(["exec", pod, "--"]).args(command).output().success()
}

/// The claim of an ordinal, and the directory that its volume is.
#[track_caller]
fn disk(set: &Set, claim: &str) -> (String, PathBuf) {
    let claim = set.namespace.get("v1", "persistentvolumeclaims", claim).expect("the claim");
    let name = claim["spec"]["volumeName"].as_str().expect("it is bound");
    let path = format!("/api/v1/persistentvolumes/{name}");
    let volume = set.namespace.cluster().api().get(&path).expect("its volume");
    let path = volume["spec"]["hostPath"]["path"].as_str().expect("of the provisioner");
    (claim["metadata"]["uid"].as_str().expect("a uid").to_owned(), PathBuf::from(path))
}

fn deletes(set: &Set, when_scaled: &str) {
    let policy = json!({"whenScaled": when_scaled, "whenDeleted": "Retain"});
    let path = set.namespace.path("apps/v1", "statefulsets", set.name);
    let patch = json!({"spec": {"persistentVolumeClaimRetentionPolicy": policy}});
    set.namespace.cluster().api().patch(&path, &patch);
}

/// The primary is the one that is to leave: it hands over, its disk is kept
/// although the set deletes disks, and it comes back with its rows and the
/// rows that were written meanwhile. Without us the disk would be gone.
#[test]
fn a_primary_hands_over_and_leaves_its_disk() {
    let set = Set::new("scale-mysql", &application("mysql-switchover"), "mysql", 3);
    let sql =
        |member: &str, statement: &str| in_pod(&set, member, &["/scripts/sql", "-e", statement]);
    sql("mysql-2", "CREATE DATABASE shop; CREATE TABLE shop.orders (n INT PRIMARY KEY)");
    sql("mysql-2", "INSERT INTO shop.orders VALUES (17)");
    in_pod(&set, "mysql-2", &["touch", "/var/lib/mysql/was-here"]);
    let claim = "data-mysql-2";
    let (uid, directory) = disk(&set, claim);
    let is_there =
        || directory.join("mysql").join("was-here").exists() || directory.join("was-here").exists();
    assert!(is_there(), "{}", directory.display());
    deletes(&set, "Delete");

    let refused = scale(&set, &["--replicas", "2"]).output().expect(4);
    assert_eq!(ids(&document(&refused)), ["SCALE-DESTROYS-DATA"]);

    // A drain that does not work stops it with the set whole.
    let nowhere = ["--replicas", "2", "--retain", "--before-exec", "/scripts/switchover mysql-9"];
    let stopped = scale(&set, &nowhere).output().expect(5);
    assert_eq!(ids(&document(&stopped)), ["SCALE-HOOK-FAILED"]);
    sql("mysql-2", "INSERT INTO shop.orders VALUES (18)");

    let drain = "if /scripts/leads; then /scripts/switchover mysql-0; fi; echo $STATEFUL_PVCS";
    let words = ["--replicas", "2", "--retain", "--before-exec", drain, "--check"];
    let check = "test \"$STATEFUL_POD\" = mysql-2";
    let output = scale(&set, &[&words[..], &[check]].concat()).output().expect(0);
    assert_eq!(document(&output)["items"][0]["claims"][0]["fate"], "kept");
    in_pod(&set, "mysql-0", &["/scripts/leads"]);
    sql("mysql-0", "INSERT INTO shop.orders VALUES (19)");
    assert_eq!(disk(&set, claim).0, uid);
    assert!(is_there());

    let back = ["--replicas", "3"];
    let refused = scale(&set, &back).output().expect(4);
    assert_eq!(ids(&document(&refused)), ["SCALE-READOPTS-DATA"]);
    let allow = ["--allow", "SCALE-READOPTS-DATA"];
    scale(&set, &[&back[..], &allow].concat()).output().expect(0);
    wait_for(SOON, "mysql-2 to have caught up", || {
        let rows = set.namespace.kubectl(["exec", "mysql-2", "--", "/scripts/sql", "-e"]);
        let rows = rows.args(["SELECT n FROM shop.orders ORDER BY n"]).output();
        (rows.stdout == "17\n18\n19\n").then_some(())
    });
    in_pod(&set, "mysql-2", &["test", "-e", "/var/lib/mysql/was-here"]);

    // The control: what the refusal was about.
    deletes(&set, "Delete");
    let by_hand = ["scale", "sts/mysql", "--replicas=2"];
    set.namespace.kubectl(by_hand).output().expect(0);
    wait_for(SOON, "the disk to be gone", || (!directory.exists()).then_some(()));
}

/// An ensemble that the controller would shrink all at once.
#[test]
fn an_ensemble_loses_one_member_and_gets_it_back() {
    let set = Set::new("scale-zookeeper", &application("zookeeper"), "zookeeper", 3);
    let client = |pod: &str, words: &[&str]| {
        let command = [&["/opt/zookeeper/bin/zkCli.sh"], words].concat();
        in_pod(&set, pod, &command)
    };
    client("zookeeper-2", &["create", "/order", "seventeen"]);
    let mode = "echo srvr | ncat 127.0.0.1 2181 | grep '^Mode: '";
    let ours = "test $STATEFUL_ORDINAL = 2 && ";
    // Where the leader has left, the others elect one first.
    let serves = format!(
        "until kubectl --kubeconfig {} -n $STATEFUL_NAMESPACE exec zookeeper-0 -- sh -c \"{mode}\"; do sleep 1; done",
        set.namespace.cluster().kubeconfig().display()
    );
    let kubectl = set.namespace.cluster().kubectl_path().display().to_string();
    let serves = serves.replacen("kubectl", &kubectl, 1);
    let words = ["--by", "-1", "--before-exec", &format!("{ours}{mode}"), "--check", &serves];
    let output = scale(&set, &words).output().expect(0);
    assert!(output.stderr.contains("Mode: "), "{output}");
    client("zookeeper-0", &["set", "/order", "eighteen"]);
    let (_, directory) = disk(&set, "zookeeper-vol-zookeeper-2");
    let files = fs::read_dir(&directory).expect("the disk").count();
    assert!(files > 0, "{}", directory.display());
    let back = ["--by", "1", "--allow", "SCALE-READOPTS-DATA"];
    scale(&set, &back).output().expect(0);
    let read = client("zookeeper-2", &["get", "/order"]);
    assert!(read.contains("eighteen"), "{read}");
}

/// The pod is asked over HTTP; what it says decides.
#[test]
fn an_endpoint_is_asked_before_its_pod_goes() {
    let namespace = TestCluster::shared_node().namespace("scale-http");
    let manifests = web(2, |set| {
        claims(set, "standard");
        let nginx = &mut set["spec"]["template"]["spec"]["containers"][0];
        nginx["ports"] = json!([{"name": "http", "containerPort": 80}]);
        nginx["readinessProbe"] = json!({"tcpSocket": {"port": 80}, "periodSeconds": 1});
    });
    namespace.apply(&manifests);
    namespace.wait_until_ready("web");
    let scale = |request: &str| {
        let words = ["scale", "web", "--replicas", "1", "--yes", "--before-http", request];
        namespace.stateful(words).args(["-o", "json"]).deadline(SOON).output()
    };
    let refused = scale("POST:http/no/such/page").expect(5);
    assert!(
        document(&refused)["reasons"][0]["message"].to_string().contains("HTTP 40"),
        "{refused}"
    );
    let unknown = scale("POST:drain/").expect(4);
    let said = document(&unknown)["reasons"][0]["message"].to_string();
    assert!(said.contains("the template has no port drain"), "{unknown}");
    assert!(namespace.get("v1", "pods", "web-1").is_some());
    let done = scale("GET:http/").expect(0);
    assert!(done.stderr.contains("before-http web-1: GET:http/"), "{done}");
    assert!(namespace.get("v1", "pods", "web-1").is_none());
}
