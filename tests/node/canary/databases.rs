//! `canary` of databases that hold rows: they are there afterwards, and who
//! wrote went on writing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Set, stopped, verdict};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(120);
/// Quick, and forgiving: a member that has just started needs a moment.
const GATE: [&str; 4] = ["--gate-tries", "2/40", "--gate-interval", "500ms"];

fn application(name: &str) -> String {
    let path = format!("{}/tests/apps/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).expect("a manifest of tests/apps")
}

/// What a command in a pod prints, if it succeeds.
fn try_in_pod(set: &Set, pod: &str, command: &[&str]) -> Option<String> {
    let run = set.namespace.kubectl(["exec", pod, "--"]).args(command).output();
    (run.code() == Some(0)).then_some(run.stdout)
}

#[track_caller]
fn in_pod(set: &Set, pod: &str, command: &[&str]) -> String {
    set.namespace.kubectl(["exec", pod, "--"]).args(command).output().success()
}

const MEMBERS: [&str; 3] = ["mysql-0", "mysql-1", "mysql-2"];

/// Writes one row after the other, each once, to the member that it knows as
/// the primary, and looks for another one when a write fails.
const WRITER: &str = r#"
app() {
    timeout 10 mysql -h "$1.mysql" -u app -papppassword --connect-timeout=5 -NB -e "$2" 2>&1
}
leader=mysql-2 n=0
until [ -e /tmp/stop ]; do
    n=$((n + 1))
    if said=$(app $leader "INSERT INTO shop.orders (n) VALUES ($n)"); then
        echo "wrote $n $leader"
    else
        echo "failed $n $leader" $said
        for member in mysql-0 mysql-1 mysql-2; do
            if [ "$(app $member 'SELECT @@read_only')" = 0 ]; then leader=$member; fi
        done
    fi
    sleep 0.1
done
"#;

/// What the writer has to tell.
struct Diary {
    /// The rows that were acknowledged, and by whom.
    wrote: BTreeMap<u32, String>,
    failed: Vec<String>,
}

impl Diary {
    fn of(log: &str) -> Diary {
        let mut diary = Diary { wrote: BTreeMap::new(), failed: Vec::new() };
        for line in log.lines() {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["wrote", row, leader] => {
                    diary.wrote.insert(row.parse().expect("a number"), (*leader).to_owned());
                }
                _ => diary.failed.push(line.to_owned()),
            }
        }
        diary
    }

    /// The members that took writes, in the order in which they began to.
    fn leaders(&self) -> Vec<&str> {
        let mut leaders: Vec<&str> = self.wrote.values().map(String::as_str).collect();
        leaders.dedup();
        leaders
    }
}

fn diary(set: &Set) -> Diary {
    Diary::of(&set.namespace.kubectl(["logs", "writer"]).output().success())
}

fn leads(set: &Set) -> Vec<&'static str> {
    let leads = |member: &&&str| try_in_pod(set, member, &["/scripts/leads"]).is_some();
    MEMBERS.iter().filter(leads).copied().collect()
}

/// A primary at the highest ordinal, which would be the first to go: it hands
/// over before it does, and no acknowledged write is lost.
#[test]
fn a_primary_hands_over_while_writes_go_on() {
    let set = Set::new("canary-primary", &application("mysql-switchover"), "mysql", 3);
    assert_eq!(leads(&set), ["mysql-2"]);
    let table = "CREATE DATABASE shop; \
                 CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, n INT)";
    in_pod(&set, "mysql-2", &["/scripts/sql", "-e", table]);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "writer"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                        "name": "writer", "image": "mysql:8.0", "command": ["bash", "-c", WRITER],
                        // Without a share of its own it starves beside databases that have one.
                        "resources": {"requests": {"cpu": "100m"}},
                    },
            ],
        },
    });
    set.namespace.apply(&pod.to_string());
    set.namespace.wait("pod/writer", "condition=Ready");
    // Slow as the machine may be, the writer finds each of them.
    let written_to = |leaders: &[&str]| {
        let rows = diary(&set).wrote.len();
        wait_for(SOON, &format!("rows written to {leaders:?}"), || {
            let diary = diary(&set);
            (diary.leaders() == leaders && diary.wrote.len() > rows).then_some(())
        });
    };
    wait_for(SOON, "the first rows", || (diary(&set).wrote.len() > 5).then_some(()));
    let (stable, uids) = (set.revisions().remove(0), set.uids());
    let untouched = set.object();

    // Without a word on how to hand over, nothing is written.
    let leader = ["--restart", "--leader-exec", "/scripts/leads"];
    let ahead = set.says("start", &leader, 9);
    let said = stopped(&ahead, "CANARY-LEADER-AHEAD", "pod/mysql-2");
    assert!(said.contains("mysql-2 is next, and leads"), "{said}");
    set.is_still(&untouched, &uids);

    // To a member that there is not: the primary stays what it is.
    let nowhere = [&leader[..], &["--switchover-exec", "/scripts/switchover mysql-9"]].concat();
    let failed = set.says("start", &nowhere, 4);
    stopped(&failed, "CANARY-HOOK-FAILED", "pod/mysql-2");
    assert_eq!(leads(&set), ["mysql-2"]);
    set.is_still(&untouched, &uids);

    written_to(&["mysql-2"]);
    let before = diary(&set);
    let gates = |more: &[&'static str]| {
        let mut words = more.to_vec();
        words.extend(["--leader-exec", "/scripts/leads", "--gate-exec", "/scripts/in-sync"]);
        words.extend(["--switchover-exec", "/scripts/switchover \"$STATEFUL_CANDIDATE\""]);
        words.extend(GATE);
        words
    };
    let begun = set.says("start", &gates(&["--restart"]), 0);
    assert_eq!(verdict(&begun, 2, "switchover"), "pass");
    assert_eq!(verdict(&begun, 2, "exec: /scripts/in-sync"), "pass");
    assert_eq!(leads(&set), ["mysql-0"], "the one that moves last");
    assert_eq!(set.uids()[..2], uids[..2]);
    written_to(&["mysql-2", "mysql-0"]);
    set.says("promote", &gates(&["--full"]), 0);
    assert_eq!(leads(&set), ["mysql-2"], "one that had moved already");
    written_to(&["mysql-2", "mysql-0", "mysql-2"]);
    in_pod(&set, "writer", &["touch", "/tmp/stop"]);
    set.namespace.wait("pod/writer", "jsonpath={.status.phase}=Succeeded");

    let target = set.revisions().remove(0);
    assert_ne!(target, stable);
    set.rests_on(&target);
    let diary = diary(&set);
    let failed = diary.failed.len() - before.failed.len();
    let wrote = diary.wrote.len() - before.wrote.len();
    let summary = format!("roll of a primary: {failed} of {} writes failed\n", failed + wrote);
    std::io::stderr().write_all(summary.as_bytes()).expect("stderr");
    assert!(failed < 50, "{:#?}", diary.failed);
    for member in MEMBERS {
        wait_for(SOON, &format!("{member} to have caught up"), || {
            try_in_pod(&set, member, &["/scripts/in-sync"])
        });
        let rows = in_pod(&set, member, &["/scripts/sql", "-e", "SELECT n FROM shop.orders"]);
        let rows: Vec<u32> = rows.lines().map(|row| row.parse().expect("a number")).collect();
        let distinct: BTreeSet<u32> = rows.iter().copied().collect();
        assert_eq!(distinct.len(), rows.len(), "{member} has a row twice");
        let lost: Vec<&u32> = diary.wrote.keys().filter(|row| !distinct.contains(row)).collect();
        assert!(lost.is_empty(), "{member} lacks {lost:?}\n{:#?}", diary.failed);
    }
}

/// Three ZooKeepers, judged with their own tools.
#[test]
fn an_ensemble_of_zookeepers() {
    let set = Set::new("canary-zookeeper", &application("zookeeper"), "zookeeper", 3);
    let stable = set.revisions().remove(0);
    let client = |pod: &str, words: &[&str]| {
        let mut command = vec!["/opt/zookeeper/bin/zkCli.sh"];
        command.extend(words);
        in_pod(&set, pod, &command)
    };
    client("zookeeper-0", &["create", "/order", "seventeen"]);
    let quorum = "echo srvr | ncat 127.0.0.1 2181 | grep -E 'Mode: (leader|follower)'";
    let mut gates = vec!["--gate-exec", "/opt/zookeeper/bin/zkOK.sh", "--gate-exec", quorum];
    gates.extend(["--gate-on", "all"]);
    gates.extend(GATE);
    let with = |more: &[&'static str]| [more, &gates].concat();
    let begun = set.says("start", &with(&["--env", "CANARY=1"]), 0);
    assert_eq!(verdict(&begun, 2, "exec: /opt/zookeeper/bin/zkOK.sh"), "pass");
    assert_eq!(verdict(&begun, 2, "exec: echo srvr"), "pass");
    set.says("promote", &with(&["--full"]), 0);
    let target = set.revisions().remove(0);
    assert_ne!(target, stable);
    set.rests_on(&target);
    let read = client("zookeeper-2", &["get", "/order"]);
    assert!(read.contains("seventeen"), "{read}");
}

/// One PostgreSQL: allowed explicitly, forward, and back from a broken one.
#[test]
fn a_single_postgres() {
    let set = Set::new("canary-postgres", &application("postgres"), "postgres", 1);
    let stable = set.revisions().remove(0);
    let sql = |statement: &str| {
        in_pod(&set, "postgres-0", &["psql", "-U", "postgres", "-Atc", statement])
    };
    sql("CREATE TABLE orders (n INT PRIMARY KEY)");
    sql("INSERT INTO orders SELECT generate_series(1, 1000)");
    let count = "test \"$(psql -U postgres -Atc 'SELECT count(*) FROM orders')\" = 1000";
    let mut gates = vec!["--gate-exec", "pg_isready -U postgres", "--gate-exec", count];
    gates.extend(GATE);
    let with = |more: &[&'static str]| [more, &gates].concat();

    let image = ["--image", "postgres:15"];
    let refused = set.canary("start", &image).output().expect(4);
    assert!(refused.stderr.contains("CANARY-SINGLE-REPLICA"), "{refused}");
    let allowed = ["--allow", "CANARY-SINGLE-REPLICA"];
    set.says("start", &with(&[&image[..], &allowed].concat()), 0);
    assert_eq!(sql("SELECT count(*) FROM orders"), "1000\n");
    let newer = set.revisions().remove(0);
    assert_ne!(newer, stable);
    set.rests_on(&newer);

    // A version that cannot read the data is taken back.
    let broken = ["--env", "PGDATA=/proc/none", "--on-failure", "abort"];
    let reverted: Value = set.says("start", &with(&[&broken[..], &allowed].concat()), 10);
    stopped(&reverted, "CANARY-POD-BROKEN", "pod/postgres-0");
    assert_eq!(sql("SELECT sum(n) FROM orders"), "500500\n");
    set.rests_on(&newer);
}
