//! `migrate` of real databases: what was acknowledged is there afterwards, on
//! the same volume, and nothing of the migration is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{FaultProxy, Namespace, Run, TestCluster, wait_for, wait_or_explain};

mod copy;
mod killed;
mod recover;
mod trouble;
mod volumes;

pub const SOON: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(240);
/// For objects that go after their owners.
const HOME: Duration = Duration::from_secs(30);

/// Kinds of which nothing may be left over, or lost.
const KINDS: [(&str, &str); 7] = [
    ("apps/v1", "deployments"),
    ("apps/v1", "statefulsets"),
    ("apps/v1", "replicasets"),
    ("apps/v1", "controllerrevisions"),
    ("v1", "services"),
    ("v1", "persistentvolumeclaims"),
    ("v1", "configmaps"),
];
/// Kinds that come and go, and bear no mark of ours either.
const FLEETING: [(&str, &str); 2] = [("v1", "pods"), ("discovery.k8s.io/v1", "endpointslices")];

pub fn application(name: &str) -> String {
    let path = format!("{}/tests/apps/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).expect("a manifest of tests/apps")
}

/// Past the capture: figures belong into every log.
pub fn note(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr");
}

/// A Deployment that is to be moved, in a namespace of its own.
pub struct App<'a> {
    pub namespace: Namespace<'a>,
    /// Everything as it was before.
    pub home: Picture,
}

impl<'a> App<'a> {
    /// Applies what `manifests` makes of a word that nobody else has, and waits
    /// for its Deployments.
    pub fn new(
        cluster: &'a TestCluster,
        hint: &str,
        manifests: impl FnOnce(&str) -> String,
    ) -> App<'a> {
        let namespace = cluster.namespace(hint);
        namespace.apply(&manifests(namespace.name()));
        rolled_out(&namespace);
        let home = Picture::of(&namespace);
        App { namespace, home }
    }

    /// `migrate …`, for programs.
    pub fn migrate(&self, words: &str) -> Run {
        let run = self.namespace.stateful(["migrate"]).args(words.split_whitespace());
        run.args(["-o", "json"]).deadline(LONG)
    }

    /// The same through a proxy.
    pub fn migrate_through(&self, proxy: &FaultProxy, words: &str) -> Run {
        self.migrate(words).kubeconfig(self.namespace.kubeconfig_through(proxy))
    }

    /// Ends with `code` and says this.
    #[track_caller]
    pub fn says(&self, words: &str, code: i32) -> Value {
        let output = self.migrate(words).output().expect(code);
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"))
    }

    /// Waits until all is as it was before, volumes and Deployment included.
    #[track_caller]
    pub fn is_home(&self) {
        let differences = || self.home.differences(&Picture::of(&self.namespace));
        let told = || format!("it to be as it was:\n{}", differences().join("\n"));
        // Owners go before what they own.
        wait_or_explain(HOME, told, || differences().is_empty().then_some(()));
        assert_eq!(marks(&self.namespace), [""; 0]);
        rolled_out(&self.namespace);
    }

    /// Waits until only the set is there, on these claims and the volumes that
    /// were there before, and nothing of ours. `made` are Services besides.
    #[track_caller]
    pub fn is_moved(&self, set: &str, claims: &[&str], made: &[&str]) {
        let of = |kind: &str| Picture::of(&self.namespace).names(kind);
        for gone in ["deployments", "replicasets"] {
            wait_for(SOON, &format!("{gone} to be gone"), || of(gone).is_empty().then_some(()));
        }
        let now = Picture::of(&self.namespace);
        assert_eq!(now.names("statefulsets"), [set]);
        assert_eq!(now.names("persistentvolumeclaims"), claims);
        assert_eq!(now.names("configmaps"), self.home.names("configmaps"));
        let mut services = self.home.names("services");
        services.extend(made.iter().map(|name| (*name).to_owned()));
        services.sort();
        assert_eq!(now.names("services"), services);
        assert_eq!(marks(&self.namespace), [""; 0]);
        for kind in ["statefulsets", "persistentvolumeclaims", "services"] {
            for name in now.names(kind) {
                let object = &now.0[&(kind, name.clone())];
                assert!(object["ownerReferences"].is_null(), "{kind} {name}: {object:#}");
            }
        }
        let volumes = self.home.names("persistentvolumes");
        assert_eq!(now.names("persistentvolumes"), volumes);
        let mut holders = Vec::new();
        for name in volumes {
            let key = ("persistentvolumes", name);
            let (mut was, mut is) = (self.home.0[&key].clone(), now.0[&key].clone());
            let holder = is["spec"]["claimRef"].take();
            was["spec"]["claimRef"].take();
            assert_eq!(was, is, "the volume, but for its claim");
            let claim = holder["name"].as_str().expect("a claim").to_owned();
            let found = &now.0[&("persistentvolumeclaims", claim.clone())];
            assert_eq!(found["uid"], holder["uid"], "{holder}");
            assert_eq!(found["spec"]["volumeName"], json!(key.1));
            holders.push(claim);
        }
        holders.sort();
        assert_eq!(holders, claims);
    }
}

fn rolled_out(namespace: &Namespace) {
    for deployment in list(namespace, "apps/v1", "deployments") {
        let name = deployment["metadata"]["name"].as_str().expect("a name");
        let run = namespace.kubectl(["rollout", "status", "deployment", name, "--timeout=180s"]);
        run.deadline(LONG).output().expect(0);
    }
}

/// What of the objects of a namespace, and of its volumes, no migration may
/// change for good.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture(BTreeMap<(&'static str, String), Value>);

impl Picture {
    pub fn of(namespace: &Namespace) -> Picture {
        let mut all = BTreeMap::new();
        for (version, kind) in KINDS {
            for object in list(namespace, version, kind) {
                let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
                all.insert((kind, name), lasting(&object));
            }
        }
        for volume in volumes(namespace) {
            let name = volume["metadata"]["name"].as_str().expect("a name").to_owned();
            let mut kept = lasting(&volume);
            kept["spec"]["claimRef"]
                .as_object_mut()
                .expect("it has a claim")
                .shift_remove("resourceVersion");
            kept["phase"] = volume["status"]["phase"].clone();
            all.insert(("persistentvolumes", name), kept);
        }
        Picture(all)
    }

    /// The names of a kind, sorted.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let of_kind = self.0.keys().filter(|(one, _)| *one == kind);
        of_kind.map(|(_, name)| name.clone()).collect()
    }

    pub fn differences(&self, now: &Picture) -> Vec<String> {
        let keys: BTreeSet<_> = self.0.keys().chain(now.0.keys()).collect();
        let differs = keys.into_iter().filter(|key| self.0.get(key) != now.0.get(key));
        differs
            .map(|key| format!("{key:?}: {:?}\nbut it is {:?}", self.0.get(key), now.0.get(key)))
            .collect()
    }
}

fn list(namespace: &Namespace, version: &str, kind: &str) -> Vec<Value> {
    let path = namespace.path(version, kind, "");
    let list = namespace.cluster().api().get(&path).expect("a list");
    list["items"].as_array().expect("items").clone()
}

/// The volumes that belong to claims of the namespace.
pub fn volumes(namespace: &Namespace) -> Vec<Value> {
    let list = namespace.cluster().api().get("/api/v1/persistentvolumes").expect("a list");
    let all = list["items"].as_array().expect("items").iter();
    all.filter(|volume| volume["spec"]["claimRef"]["namespace"] == namespace.name())
        .cloned()
        .collect()
}

/// What somebody has asked for, and whose it is.
fn lasting(object: &Value) -> Value {
    let mut kept = json!({ "spec": object["spec"], "data": object["data"] });
    for key in ["uid", "labels", "annotations", "finalizers", "ownerReferences"] {
        kept[key] = object["metadata"][key].clone();
    }
    kept
}

/// Every object that speaks of this program.
pub fn marks(namespace: &Namespace) -> Vec<String> {
    let kinds = KINDS.iter().chain(&FLEETING);
    let objects = kinds.flat_map(|(version, kind)| list(namespace, version, kind));
    let marked = objects.chain(volumes(namespace)).filter_map(|mut object| {
        // Who wrote which field stays on record.
        object["metadata"]["managedFields"].take();
        object.to_string().contains("kubectl-stateful.dev/").then(|| object["metadata"].to_string())
    });
    marked.collect()
}

/// Inserts one row after the other, each once, and says what was acknowledged
/// and when.
const WRITER: &str = r#"
n=0
until [ -e /tmp/stop ]; do
    n=$((n + 1))
    if timeout 3 mysql -h mysql -u root -ppassword --connect-timeout=1 \
        -e "INSERT INTO shop.orders (n) VALUES ($n)" 2>/tmp/said; then
        echo "wrote $n $EPOCHREALTIME"
    else
        echo "failed $n" $(tail -n 1 /tmp/said)
    fi
    sleep 0.2
done
"#;

/// What the writer has to tell: rows, and when they were acknowledged.
pub struct Diary(BTreeMap<u64, f64>);

impl Diary {
    fn of(log: &str) -> Diary {
        let wrote = log.lines().filter_map(|line| {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["wrote", row, time] => Some((row.parse().ok()?, time.parse().ok()?)),
                _ => None,
            }
        });
        Diary(wrote.collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The longest time between one row and the next, in seconds, after the
    /// first `skip` rows.
    pub fn longest_gap(&self, skip: usize) -> f64 {
        let times: Vec<f64> = self.0.values().skip(skip.saturating_sub(1)).copied().collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
    }
}

/// What the seeds' MySQL keeps its rows on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stock {
    /// A volume made by hand, of this policy.
    ByHand(&'static str),
    /// One that was provisioned where its first pod came to be.
    Waited,
    /// Rows on one claim, and a log of what was asked on another.
    WithLog,
}

impl Stock {
    /// The seeds' manifests, under names that no other test has.
    fn manifests(self, unique: &str) -> String {
        let seed = application("mysql-deployment");
        let documents: Vec<&str> = seed.split("---\n").collect();
        let provisioned = |class: &str| {
            let class = format!("storageClassName: {class}");
            documents[1..].join("---\n").replace("storageClassName: manual", &class)
        };
        match self {
            Stock::ByHand(policy) => {
                let policy = format!("  persistentVolumeReclaimPolicy: {policy}\n  hostPath:");
                seed.replace("mysql-pv-volume", &format!("mysql-pv-{unique}"))
                    .replace("storageClassName: manual", &format!("storageClassName: {unique}"))
                    .replace("path: /mnt/data", &format!("path: /mnt/{unique}"))
                    .replace("  hostPath:", &policy)
            }
            Stock::Waited => provisioned("standard-wait"),
            Stock::WithLog => {
                let claim = documents[1].replace("mysql-pv-claim", "mysql-log");
                let claim = claim.replace("storageClassName: manual", "storageClassName: standard");
                format!("{claim}---\n{}", provisioned("standard-retain"))
                    .replace("      containers:\n", LOG_OWNER)
                    .replace("        image: mysql:5.6\n        env", LOG_ARGS)
                    .replace("        volumeMounts:\n        - name: mysql", LOG_MOUNT)
                    .replace("      volumes:\n", LOG_VOLUME)
            }
        }
    }

    /// The claims that the set has it on, sorted.
    pub fn claims(self) -> &'static [&'static str] {
        match self {
            Stock::ByHand(_) | Stock::Waited => &[CLAIM],
            Stock::WithLog => &["logs-mysql-0", CLAIM],
        }
    }
}

const LOG_OWNER: &str = "      initContainers:
      - name: owner
        image: mysql:5.6
        command: [chmod, '777', /var/log/mysql]
        volumeMounts:
        - {name: logs, mountPath: /var/log/mysql}
      containers:
";
const LOG_ARGS: &str = "        image: mysql:5.6
        args: [--general-log=1, --general-log-file=/var/log/mysql/general.log]
        env";
const LOG_MOUNT: &str = "        volumeMounts:
        - {name: logs, mountPath: /var/log/mysql}
        - name: mysql";
const LOG_VOLUME: &str = "      volumes:
      - name: logs
        persistentVolumeClaim:
          claimName: mysql-log
";

/// The seeds' MySQL, with somebody who writes to it all the time.
pub struct Shop<'a> {
    pub app: App<'a>,
    pub stock: Stock,
}

impl<'a> Shop<'a> {
    pub fn new(hint: &str, stock: Stock) -> Shop<'static> {
        Shop::on(TestCluster::shared_node(), hint, stock)
    }

    pub fn on(cluster: &'a TestCluster, hint: &str, stock: Stock) -> Shop<'a> {
        let app = App::new(cluster, hint, |unique| stock.manifests(unique));
        let sql = "CREATE DATABASE shop; \
                   CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, n INT)";
        let words = ["exec", "deployment/mysql", "--", "mysql", "-ppassword", "-e", sql];
        app.namespace.kubectl(words).output().expect(0);
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "writer"},
            "spec": {
                "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "writer", "image": "mysql:5.6", "command": ["bash", "-c", WRITER],
                        // Without a share of its own it starves beside databases that have one.
                        "resources": {"requests": {"cpu": "100m"}},
                    },
                ],
            },
        });
        app.namespace.apply(&pod.to_string());
        app.namespace.wait("pod/writer", "condition=Ready");
        let shop = Shop { app, stock };
        shop.takes_writes();
        shop
    }

    pub fn diary(&self) -> Diary {
        // A kubelet that has just been started knows of no pods yet.
        let log = wait_for(SOON, "the writer's log", || {
            let output = self.app.namespace.kubectl(["logs", "writer"]).output();
            (output.code() == Some(0)).then_some(output.stdout)
        });
        Diary::of(&log)
    }

    /// Waits until rows are written that were not there before.
    #[track_caller]
    pub fn takes_writes(&self) {
        let before = self.diary().len();
        let told = || format!("new rows after {before}:\n{}", self.scene());
        wait_or_explain(SOON, told, || (self.diary().len() > before + 2).then_some(()));
    }

    /// What there is to see where the writer gets nowhere.
    fn scene(&self) -> String {
        let seen = |words: &[&str]| {
            let output = self.app.namespace.kubectl(words).output();
            format!("$ kubectl {}\n{}{}", words.join(" "), output.stdout, output.stderr)
        };
        [
            seen(&["get", "pods,endpointslices,pvc", "-o", "wide"]),
            seen(&["logs", "writer", "--tail=4"]),
            seen(&["logs", "-l", "app=mysql", "--tail=25", "--prefix"]),
            seen(&["exec", "writer", "--", "getent", "hosts", "mysql"]),
            seen(&["get", "events", "--sort-by=.lastTimestamp"]),
        ]
        .join("\n")
    }

    /// Every acknowledged row is there, once; how many.
    #[track_caller]
    pub fn has_every_row(&self) -> usize {
        let diary = self.diary();
        let mut select = vec!["exec", "writer", "--", "mysql", "-h", "mysql", "-ppassword"];
        select.extend(["--connect-timeout=2", "-NBe", "SELECT n FROM shop.orders"]);
        let rows = wait_for(SOON, "an answer of the database", || {
            let output = self.app.namespace.kubectl(&select).output();
            (output.code() == Some(0)).then_some(output.stdout)
        });
        let rows: Vec<u64> = rows.lines().map(|row| row.parse().expect("a number")).collect();
        let distinct: BTreeSet<u64> = rows.iter().copied().collect();
        assert_eq!(distinct.len(), rows.len(), "a row is there twice");
        let lost: Vec<&u64> = diary.0.keys().filter(|row| !distinct.contains(row)).collect();
        assert!(lost.is_empty(), "{} of {} rows are lost: {lost:?}", lost.len(), diary.len());
        if self.stock == Stock::WithLog {
            let read = ["exec", "svc/mysql", "--", "cat", "/var/log/mysql/general.log"];
            let log = self.app.namespace.kubectl(read).output().success();
            let missing = diary.0.keys().find(|row| !log.contains(&format!("VALUES ({row})")));
            assert!(missing.is_none(), "row {missing:?} is not in the log");
        }
        diary.len()
    }
}

pub const CLAIM: &str = "mysql-persistent-storage-mysql-0";

/// There and to the end, while rows are written.
fn moves_for_good(policy: &'static str) {
    let shop = Shop::new("move-mysql", Stock::ByHand(policy));
    let app = &shop.app;
    let before = shop.diary().len();
    let moved = app.says("run deploy/mysql --yes", 0);
    assert_eq!(moved["stage"], "arrived", "{moved:#}");
    assert_eq!(moved["items"][0]["policyNow"], "Retain");
    assert_eq!(moved["items"][0]["oldPhase"], "Lost");
    shop.takes_writes();
    shop.has_every_row();
    let gap = shop.diary().longest_gap(before);
    let told = moved["downtimeMs"].as_f64().expect("a downtime") / 1000.0;
    note(&format!(
        "move of MySQL, {policy}: {gap:.2} s without a row, {told:.2} s down as the tool says"
    ));
    // The writer has to find the new pod; other tests may have the machine.
    assert!(gap < 30.0, "{gap}");
    let uid = |app: &App| {
        let set = app.namespace.get("apps/v1", "statefulsets", "mysql").expect("the set");
        set["metadata"]["uid"].clone()
    };
    let set = uid(app);
    let pod = app.namespace.get("v1", "pods", "mysql-0").expect("its pod");

    let finished = app.says("finalize sts/mysql --yes", 0);
    assert_eq!(finished["stage"], "finished", "{finished:#}");
    assert_eq!(uid(app), set);
    app.is_moved("mysql", &[CLAIM], &[]);
    let still = app.namespace.get("v1", "pods", "mysql-0").expect("its pod");
    assert_eq!(pod["metadata"]["uid"], still["metadata"]["uid"], "it ran all the time");
    let volume = &volumes(&app.namespace)[0];
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], policy);
    shop.takes_writes();
    let rows = shop.has_every_row();
    note(&format!("move of MySQL, {policy}: {rows} rows, all there"));
    app.says("status sts/mysql", 4);
}

#[test]
fn mysql_moves_on_a_volume_that_would_be_deleted() {
    moves_for_good("Delete");
}

#[test]
fn mysql_moves_on_a_volume_that_is_kept() {
    moves_for_good("Retain");
}

/// Back from where everything has arrived, and the same way again.
#[test]
fn mysql_moves_back_and_forth() {
    let shop = Shop::new("move-back", Stock::ByHand("Delete"));
    let app = &shop.app;
    for _ in 0..2 {
        app.says("run deploy/mysql --yes", 0);
        shop.takes_writes();
        shop.has_every_row();
        let back = app.says("rollback sts/mysql --yes", 0);
        assert_eq!(back["stage"], "rolled-back", "{back:#}");
        app.is_home();
        shop.takes_writes();
        shop.has_every_row();
    }
    app.says("run deploy/mysql --yes --stop-first --finalize auto", 0);
    app.is_moved("mysql", &[CLAIM], &[]);
    shop.takes_writes();
    shop.has_every_row();
}

/// The seeds' ZooKeeper: the claim gets the name that the set is known by, and
/// the Service is the one that is there.
#[test]
fn zookeeper_moves_behind_the_service_that_it_has() {
    let cluster = TestCluster::shared_node();
    let manifests = |_: &str| application("zookeeper-deployment");
    let app = App::new(cluster, "move-zookeeper", manifests);
    // It takes connections before it serves, and has no readiness probe.
    let client = |of: &str, words: &str| {
        wait_for(SOON, &format!("an answer to {words}"), || {
            let run = app.namespace.kubectl(["exec", of, "--", "/opt/zookeeper/bin/zkCli.sh"]);
            let output = run.args(words.split(' ')).deadline(SOON).output();
            // The answer to an earlier try was lost, and not the write.
            let is_done = output.code() == Some(0) || output.stderr.contains("already exists");
            is_done.then_some(output.stdout)
        })
    };
    client("deployment/zookeeper", "create /order seventeen");
    let run = "run deploy/zookeeper --yes --claim zookeeper-data=zookeeper-vol \
               --service zookeeper-server";
    let moved = app.says(run, 0);
    assert_eq!(moved["items"][0]["newClaim"], "zookeeper-vol-zookeeper-0");
    let read = client("zookeeper-0", "get /order");
    assert!(read.contains("seventeen"), "{read}");
    client("zookeeper-0", "create /later eighteen");

    app.says("rollback sts/zookeeper --yes", 0);
    app.is_home();
    let read = client("deployment/zookeeper", "get /later");
    assert!(read.contains("eighteen"), "{read}");

    app.says(run, 0);
    app.says("finalize sts/zookeeper --yes", 0);
    app.is_moved("zookeeper", &["zookeeper-vol-zookeeper-0"], &[]);
    let set = app.namespace.get("apps/v1", "statefulsets", "zookeeper").expect("the set");
    assert_eq!(set["spec"]["serviceName"], "zookeeper-server");
    for (path, value) in [("/order", "seventeen"), ("/later", "eighteen")] {
        let read = client("zookeeper-0", &format!("get {path}"));
        assert!(read.contains(value), "{read}");
    }
}
