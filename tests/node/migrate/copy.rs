//! `migrate --mode copy`: rows and files in volumes of the set's own, and the
//! old ones as they were.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use super::{CLAIM, Shop, Stock, note};
use crate::support::{Namespace, Output, TestCluster, wait_for};

pub const SOON: Duration = Duration::from_secs(240);
const IMAGE: [&str; 4] = ["--mode", "copy", "--copy-image", "registry.test/rsync:1"];

/// A Deployment over a claim that is provisioned.
pub fn deployment(name: &str, replicas: u32, container: &Value, claim: &Value) -> String {
    let labels = json!({ "app": name });
    let items = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "PersistentVolumeClaim",
          "metadata": { "name": format!("{name}-claim") }, "spec": claim },
        { "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
          "spec": {
            "replicas": replicas, "strategy": { "type": "Recreate" },
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "terminationGracePeriodSeconds": 5,
                    "containers": [container],
                    "volumes": [{
                        "name": "data",
                        "persistentVolumeClaim": { "claimName": format!("{name}-claim") },
                    }],
                },
            },
        } },
    ] });
    items.to_string()
}

pub fn claim(class: &str, mode: &str) -> Value {
    json!({
        "storageClassName": class, "accessModes": [mode],
        "resources": { "requests": { "storage": "1Gi" } },
    })
}

/// A container that keeps what it is given.
fn keeper() -> Value {
    json!({
        "name": "main", "image": "registry.test/tools:1", "command": ["sleep", "infinity"],
        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
    })
}

pub fn mysql() -> Value {
    json!({
        "name": "mysql", "image": "mysql:5.6",
        "env": [{ "name": "MYSQL_ROOT_PASSWORD", "value": "password" }],
        "readinessProbe": {
            "exec": { "command": ["mysql", "-uroot", "-ppassword", "-e", "SELECT 1"] },
            "periodSeconds": 1, "timeoutSeconds": 5,
        },
        "resources": { "requests": { "cpu": "50m", "memory": "128Mi" } },
        "volumeMounts": [{ "name": "data", "mountPath": "/var/lib/mysql" }],
    })
}

#[track_caller]
pub fn begin(namespace: &Namespace, name: &str, manifests: &str) {
    namespace.apply(manifests);
    let words = ["rollout", "status", &format!("deploy/{name}"), "--timeout=200s"];
    namespace.kubectl(words).deadline(SOON).output().expect(0);
}

#[track_caller]
pub fn migrate(namespace: &Namespace, words: &[&str], code: i32) -> Output {
    let all = [&["migrate"], words].concat();
    namespace.stateful(all).deadline(SOON).output().expect(code)
}

/// Without the breaks that the width of the screen makes.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
pub fn inside(namespace: &Namespace, target: &str, script: &str) -> String {
    let words = ["exec", target, "--", "sh", "-c", script];
    namespace.kubectl(words).output().success()
}

pub fn volume_of(namespace: &Namespace, claim: &str) -> Value {
    let claim = namespace.get("v1", "persistentvolumeclaims", claim).expect("the claim");
    let name = claim["spec"]["volumeName"].as_str().expect("it is bound");
    namespace.cluster().api().get(&format!("/api/v1/persistentvolumes/{name}")).expect("its volume")
}

/// What must not be left: Jobs, their pods, and marks on anything.
#[track_caller]
fn nothing_is_left(namespace: &Namespace) {
    let kinds = "jobs,configmaps,statefulsets,services,persistentvolumeclaims";
    let all = namespace.kubectl(["get", kinds, "-o", "json"]).output().success();
    assert!(!all.contains("kubectl-stateful.dev"), "{all}");
    wait_for(SOON, "no pod of a Job", || {
        let pods = namespace.kubectl(["get", "pods", "-o", "name"]).output().success();
        (!pods.contains("copy")).then_some(())
    });
}

pub const SUM: &str = "mysql -uroot -ppassword -NB -e 'CHECKSUM TABLE shop.orders; SELECT COUNT(*) FROM \
                   shop.orders'";

/// Rows written before and between the two passes are in the new volume, of
/// another class and size; the old one is as it was, and finalize leaves it.
#[test]
fn a_database_gets_a_volume_of_another_class() {
    let namespace = TestCluster::shared_node().namespace("migrate-copy");
    begin(
        &namespace,
        "mysql",
        &deployment("mysql", 1, &mysql(), &claim("standard", "ReadWriteOnce")),
    );
    let fill = "mysql -uroot -ppassword -e \"CREATE DATABASE shop; CREATE TABLE shop.orders (id INT \
                AUTO_INCREMENT PRIMARY KEY, n VARCHAR(64)); INSERT INTO shop.orders (n) SELECT \
                UUID() FROM information_schema.columns\"";
    inside(&namespace, "deploy/mysql", fill);
    let rows = inside(&namespace, "deploy/mysql", SUM);
    let old = volume_of(&namespace, "mysql-claim");

    let target = ["--storage-class", "standard-retain", "--size", "data=2Gi"];
    let words = [&["plan", "deploy/mysql", "-o", "json"], &IMAGE[..], &target].concat();
    let plan = migrate(&namespace, &words, 0).stdout;
    let plan: Value = serde_json::from_str(&plan).expect("a document");
    assert_eq!(plan["mode"], "copy", "{plan}");
    let disk = &plan["items"][0];
    assert_eq!(disk["storageClass"], "standard", "{plan}");
    assert_eq!(disk["newStorageClass"], "standard-retain", "{plan}");
    assert_eq!(disk["newSize"], "2Gi", "{plan}");

    let words = [&["run", "deploy/mysql", "--yes"], &IMAGE[..], &target].concat();
    let run = migrate(&namespace, &words, 0);
    for line in ["mysql-copy1-0 created", "deployment.apps/mysql patched", "mysql-copy2-0 created"]
    {
        assert!(run.stderr.contains(line), "{line}: {run}");
    }
    assert_eq!(inside(&namespace, "mysql-0", SUM), rows);
    let new = volume_of(&namespace, "data-mysql-0");
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(new["spec"]["storageClassName"], "standard-retain");
    assert_eq!(new["spec"]["capacity"]["storage"], "2Gi");
    let set = namespace.get("apps/v1", "statefulsets", "mysql").expect("the set");
    let template = &set["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(template["storageClassName"], "standard-retain", "{template}");
    assert_eq!(template["resources"]["requests"]["storage"], "2Gi", "{template}");

    // There and back: what was written meanwhile is on the volume that goes.
    migrate(&namespace, &["rollback", "sts/mysql", "--yes"], 0);
    assert_eq!(inside(&namespace, "deploy/mysql", SUM), rows);
    assert!(namespace.get("v1", "persistentvolumeclaims", "data-mysql-0").is_none());
    nothing_is_left(&namespace);

    migrate(&namespace, &words, 0);
    let end = migrate(&namespace, &["finalize", "sts/mysql", "--yes"], 0);
    assert!(end.stdout.contains("MIGRATE-OLD-KEPT"), "{end}");
    assert!(end.stdout.contains("kubectl delete pvc/mysql-claim"), "{end}");
    assert!(flat(&end.stdout).contains("its policy is Delete"), "{end}");
    assert_eq!(inside(&namespace, "mysql-0", SUM), rows);
    assert!(namespace.get("apps/v1", "deployments", "mysql").is_none());
    let kept = volume_of(&namespace, "mysql-claim");
    assert_eq!(kept["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(kept["spec"], old["spec"], "the old volume was only read");
    nothing_is_left(&namespace);
    let volume = new["metadata"]["name"].as_str().expect("a name");
    namespace.kubectl(["delete", "sts,pvc", "--all"]).deadline(SOON).output().expect(0);
    namespace.cluster().api().delete(&format!("/api/v1/persistentvolumes/{volume}"));
}

/// The first pass reads what is being written, and may find it in any state;
/// the last one reads what there was when nobody wrote any more.
#[test]
fn rows_that_are_written_during_a_copy_are_in_it() {
    let shop = Shop::new("migrate-copy-writes", Stock::Waited);
    let app = &shop.app;
    let old = volume_of(&app.namespace, "mysql-pv-claim");
    app.says(&format!("run deploy/mysql --yes {}", IMAGE.join(" ")), 0);
    shop.takes_writes();
    shop.has_every_row();
    let new = volume_of(&app.namespace, CLAIM);
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    app.says("finalize sts/mysql --yes", 0);
    shop.takes_writes();
    let rows = shop.has_every_row();
    note(&format!("copy of MySQL: {rows} rows, all there"));
    nothing_is_left(&app.namespace);
}

/// One claim that three pods share becomes three: hard links, owners, modes,
/// holes and links as they were, also where the storage waits for a pod.
#[test]
fn a_shared_claim_becomes_one_for_each_pod() {
    let namespace = TestCluster::shared_node().namespace("migrate-fan");
    let manifests = deployment("files", 3, &keeper(), &claim("standard", "ReadWriteMany"));
    begin(&namespace, "files", &manifests);
    let fill = "cd /data && mkdir -p a/b lost+found && echo one >a/b/one && ln a/b/one two && ln -s \
                a/b/one three && truncate -s 8M holes && head -c 3000000 /dev/urandom >noise && \
                chown 1234:4321 noise && chmod 4711 noise && touch lost+found/x 'with space'";
    inside(&namespace, "deploy/files", fill);
    let tell = "cd /data && find . -path ./lost+found -prune -o ! -name . -printf \
                '%p %y %m %U %G %n %s %l %T@\\n' | sort && md5sum noise && du -s holes";
    let told = inside(&namespace, "deploy/files", tell);
    let words = ["run", "deploy/files", "--yes", "--storage-class", "standard-wait"];
    let run = migrate(&namespace, &[&words, &IMAGE[..]].concat(), 0);
    assert!(run.stderr.contains("files-copy2-2 created"), "{run}");
    for pod in ["files-0", "files-1", "files-2"] {
        assert_eq!(inside(&namespace, pod, tell), told, "{pod}");
        inside(&namespace, pod, "[ ! -e /data/lost+found/x ]");
    }
    migrate(&namespace, &["finalize", "sts/files", "--yes"], 0);
    assert_eq!(volume_of(&namespace, "files-claim")["status"]["phase"], "Bound");
    nothing_is_left(&namespace);
}

/// A Job that cannot run or does not get through stops the move; resume makes
/// it anew, and rollback brings everything back.
#[test]
fn a_copy_that_fails_is_taken_back() {
    let namespace = TestCluster::shared_node().namespace("migrate-copy-fails");
    begin(&namespace, "app", &deployment("app", 1, &keeper(), &claim("standard", "ReadWriteOnce")));
    inside(&namespace, "deploy/app", "echo kept >/data/file");
    let uid = volume_of(&namespace, "app-claim")["metadata"]["uid"].clone();
    let pods =
        || namespace.kubectl(["get", "pods", "-o", "name", "-l", "app=app"]).output().success();
    let pod = pods();

    // The first pass fails while the Deployment serves, and goes on serving.
    let words =
        ["run", "deploy/app", "--yes", "--mode", "copy", "--copy-image", "registry.test/no:1"];
    let failed = migrate(&namespace, &words, 5);
    assert!(failed.stdout.contains("MIGRATE-COPY-FAILED"), "{failed}");
    assert!(failed.stdout.contains("cannot pull registry.test/no:1"), "{failed}");
    let again = migrate(&namespace, &["resume", "sts/app", "--yes"], 5);
    assert!(again.stderr.contains("app-copy1-0 deleted"), "{again}");
    assert!(again.stderr.contains("app-copy1-0 created"), "{again}");
    assert_eq!(pods(), pod, "the Deployment served the whole time");
    migrate(&namespace, &["rollback", "sts/app", "--yes"], 0);
    assert_eq!(pods(), pod);
    nothing_is_left(&namespace);

    // The last one fails with the Deployment stopped: an image without rsync.
    let words = ["run", "deploy/app", "--yes", "--stop-first", "--mode", "copy"];
    let image = ["--copy-image", "registry.test/tools:1"];
    let failed = migrate(&namespace, &[&words[..], &image].concat(), 5);
    assert!(failed.stdout.contains("MIGRATE-COPY-FAILED"), "{failed}");
    let joined = failed.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(joined.contains("rsync: not found"), "the last lines of its log: {failed}");
    assert_eq!(pods(), "");
    migrate(&namespace, &["rollback", "sts/app", "--yes"], 0);
    assert_eq!(inside(&namespace, "deploy/app", "cat /data/file"), "kept\n");
    assert_eq!(volume_of(&namespace, "app-claim")["metadata"]["uid"], uid);
    nothing_is_left(&namespace);

    // By itself.
    let words = [&words[..], &image, &["--auto-rollback"]].concat();
    migrate(&namespace, &words, 10);
    assert_eq!(inside(&namespace, "deploy/app", "cat /data/file"), "kept\n");
    nothing_is_left(&namespace);
}

/// The script says that two trees differ where size and time are the same, and
/// mends it.
#[test]
fn files_that_differ_only_in_content_are_copied_too() {
    let path = format!("{}/src/migrate/copy.sh", env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(path).expect("the script");
    let namespace = TestCluster::shared_node().namespace("migrate-script");
    let prepare = "mkdir /old /new && echo right >/old/file && echo wrong >/new/file && echo more \
                   >/new/gone && touch -d 2020-01-01 /old/file /new/file";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "script" },
        "spec": { "restartPolicy": "Never", "containers": [{
            "name": "copy", "image": "registry.test/rsync:1",
            "command": ["sh", "-c", format!("{prepare}\n(\n{script}\n)\ncat /new/file; ls /new"),
                "copy", "last"],
        }] },
    });
    namespace.apply(&pod.to_string());
    namespace.wait("pod/script", "jsonpath={.status.phase}=Succeeded");
    let said = namespace.kubectl(["logs", "script"]).output().success();
    assert!(said.contains("copying by checksum"), "{said}");
    assert!(said.ends_with("right\nfile\n"), "{said}");
}
