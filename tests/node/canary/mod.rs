//! `canary` with containers that really start, crash and answer: nginx goes to
//! another version and back, and is asked over HTTP which one it is.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Namespace, Output, Run, TestCluster, claims, container, ids, status_document, wait_for, web,
};

mod databases;
mod gates;

const SOON: Duration = Duration::from_secs(120);
const ANNOTATION: &str = "kubectl-stateful.dev/canary";

/// A set on the real node, and what is asked of it before and after.
pub struct Set {
    pub namespace: Namespace<'static>,
    pub name: &'static str,
    replicas: usize,
}

impl Set {
    /// Applies `manifests`, which have the set `name`, and waits for it.
    pub fn new(hint: &str, manifests: &str, name: &'static str, replicas: usize) -> Set {
        let namespace = TestCluster::shared_node().namespace(hint);
        namespace.apply(manifests);
        let run = namespace.stateful(["status", name, "--wait-for", "updated", "--timeout=180s"]);
        run.deadline(Duration::from_secs(200)).output().expect(0);
        Set { namespace, name, replicas }
    }

    /// Three nginx:1.21 with volumes, and with a readiness probe.
    pub fn probed(hint: &str) -> Set {
        Set::new(hint, &web(3, probed), "web", 3)
    }

    /// `canary VERB NAME --yes …`
    pub fn canary(&self, verb: &str, more: &[&str]) -> Run {
        let run = self.namespace.stateful(["canary", verb, self.name, "--yes"]).args(more);
        run.deadline(SOON)
    }

    /// The same with `-o json`: ends with `code` and says this.
    #[track_caller]
    pub fn says(&self, verb: &str, more: &[&str], code: i32) -> Value {
        let output = self.canary(verb, more).args(["-o", "json"]).output().expect(code);
        parsed(&output)
    }

    fn pod(&self, ordinal: usize) -> Value {
        let name = format!("{}-{ordinal}", self.name);
        self.namespace.get("v1", "pods", &name).unwrap_or_else(|| panic!("{name} is there"))
    }

    pub fn object(&self) -> Value {
        self.namespace.get("apps/v1", "statefulsets", self.name).expect("the set")
    }

    /// The uids of its pods, by ordinal.
    pub fn uids(&self) -> Vec<String> {
        let uid = |ordinal| self.pod(ordinal)["metadata"]["uid"].as_str().map(str::to_owned);
        (0..self.replicas).map(|ordinal| uid(ordinal).expect("a uid")).collect()
    }

    /// The revisions of its pods, by ordinal.
    pub fn revisions(&self) -> Vec<String> {
        let of = |ordinal| {
            let pod = self.pod(ordinal);
            let label = &pod["metadata"]["labels"]["controller-revision-hash"];
            label.as_str().expect("a label").to_owned()
        };
        (0..self.replicas).map(of).collect()
    }

    /// Waits until the pods answer over HTTP that they are these versions.
    #[track_caller]
    pub fn serves(&self, versions: [&str; 3]) {
        for (ordinal, wanted) in versions.iter().enumerate() {
            let pod = format!("{}-{ordinal}:80", self.name);
            let path = self.namespace.path("v1", "pods", &format!("{pod}/proxy/"));
            let path = format!("{path}/");
            let mut tag = None;
            wait_for(Duration::from_secs(15), &format!("{pod} to be {wanted}"), || {
                tag = self.namespace.cluster().api().header(&path, "x-nginx-tag");
                tag.is_some().then_some(())
            });
            assert_eq!(tag.as_deref(), Some(*wanted), "{pod}");
        }
    }

    /// The uids of its claims: a pod that comes back keeps its data.
    fn claims(&self) -> Vec<String> {
        let uid = |ordinal| {
            let name = format!("www-{}-{ordinal}", self.name);
            let claim = self.namespace.get("v1", "persistentvolumeclaims", &name);
            claim.expect("a claim")["metadata"]["uid"].to_string()
        };
        (0..self.replicas).map(uid).collect()
    }

    pub fn revision_count(&self) -> usize {
        let path = self.namespace.path("apps/v1", "controllerrevisions", "");
        let list = self.namespace.cluster().api().get(&path).expect("a list");
        list["items"].as_array().expect("items").len()
    }

    /// Nobody has written to it and no pod was replaced since `before`.
    #[track_caller]
    pub fn is_still(&self, before: &Value, uids: &[String]) {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        assert_eq!(version(&self.object()), version(before));
        assert_eq!(self.uids(), uids);
    }

    /// Nothing of a canary is left, and all pods run `revision`.
    #[track_caller]
    pub fn rests_on(&self, revision: &str) {
        let set = self.object();
        assert_eq!(set["metadata"]["annotations"][ANNOTATION], Value::Null, "{set:#}");
        assert_eq!(set["spec"]["updateStrategy"]["rollingUpdate"]["partition"], 0, "{set:#}");
        assert_eq!(set["status"]["updateRevision"], revision, "{set:#}");
        assert_eq!(self.revisions(), vec![revision; self.replicas]);
        let status = status_document(&self.namespace, self.name);
        assert_eq!(ids(&status), [""; 0], "{status:#}");
    }

    /// A file of the test.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.namespace.directory().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// The flags for a new template: nginx:1.22 with the container changed.
    fn patch(&self, change: impl FnOnce(&mut Value)) -> [String; 2] {
        let mut container = json!({"name": "nginx", "image": "nginx:1.22"});
        change(&mut container);
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        self.patch_file(&patch)
    }

    fn patch_file(&self, patch: &Value) -> [String; 2] {
        let file = self.file("patch.json", &patch.to_string());
        ["--patch-file".to_owned(), file.to_string_lossy().into_owned()]
    }
}

pub fn parsed(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"))
}

fn probed(set: &mut Value) {
    claims(set, "standard");
    container(set)["readinessProbe"] =
        json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1, "timeoutSeconds": 5});
}

/// The first reason: which rule, about what, in which words.
#[track_caller]
pub fn stopped<'a>(document: &'a Value, id: &str, object: &str) -> &'a str {
    let reason = &document["reasons"][0];
    assert_eq!((&reason["id"], &reason["object"]), (&json!(id), &json!(object)), "{document:#}");
    reason["message"].as_str().expect("a message")
}

/// The verdict of a gate whose name begins so, at an ordinal.
#[track_caller]
pub fn verdict(document: &Value, ordinal: u64, gate: &str) -> String {
    let items = document["items"].as_array().expect("items");
    let item = items.iter().find(|item| item["ordinal"] == ordinal).expect("the ordinal");
    let gates = item["gates"].as_array().expect("gates");
    let named = |view: &&Value| view["gate"].as_str().is_some_and(|name| name.starts_with(gate));
    let view = gates.iter().find(named).unwrap_or_else(|| panic!("no gate {gate}: {item:#}"));
    view["verdict"].as_str().expect("a verdict").to_owned()
}

fn words(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

/// The three nginx of the examples: one ordinal, then two, and back from each;
/// then all.
#[test]
fn the_example_web_goes_forward_and_back() {
    let manifest = format!("{}/tests/apps/seeds/web.yaml", env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(manifest).expect("the example");
    let set = Set::new("canary-web", &manifest, "web", 3);
    let stable = set.revisions().remove(0);
    let claims = set.claims();
    set.serves(["1.21", "1.21", "1.21"]);
    let image = ["--image", "nginx=nginx:1.22", "--bake", "1s"];
    let uids = set.uids();

    // One of three, and back.
    let begun = set.says("start", &image, 0);
    assert_eq!((&begun["stage"], &begun["partition"]), (&json!("paused"), &json!(2)), "{begun:#}");
    set.serves(["1.21", "1.21", "1.22"]);
    let moved = set.uids();
    assert_eq!(moved[..2], uids[..2]);
    assert_ne!(moved[2], uids[2]);
    set.says("abort", &[], 0);
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[..2], uids[..2]);
    set.rests_on(&stable);

    // Two of three, and back.
    set.says("start", &image, 0);
    let paused = set.says("promote", &["--bake", "1s"], 0);
    assert_eq!((&paused["stage"], &paused["partition"]), (&json!("paused"), &json!(1)));
    set.serves(["1.21", "1.22", "1.22"]);
    assert_eq!(set.uids()[0], uids[0]);
    set.says("abort", &[], 0);
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[0], uids[0]);
    set.rests_on(&stable);

    // All of them, through kubectl, for people.
    let kubectl = |words: &[&str]| {
        let run = set.namespace.plugin(["canary"]).args(words).args(["--yes", "--bake=1s"]);
        run.deadline(SOON).output().success()
    };
    let shown = kubectl(&["start", "web", "--image", "nginx=nginx:1.22"]);
    assert!(shown.contains("canary, 1 of 3 moved, paused"), "{shown}");
    assert_eq!(set.uids()[..1], uids[..1]);
    let shown = kubectl(&["promote", "web", "--full"]);
    assert!(shown.contains("no canary") && shown.contains("stable   nginx:1.22"), "{shown}");
    set.serves(["1.22", "1.22", "1.22"]);
    let target = set.revisions().remove(0);
    assert_ne!(target, stable);
    set.rests_on(&target);
    assert_eq!(set.claims(), claims);
    assert_eq!(set.revision_count(), 2, "there is the old one and the new one and no third");
}

/// The image that no registry has, at the first ordinal.
#[test]
fn an_image_that_cannot_be_pulled_stops_at_the_first() {
    let set = Set::probed("canary-image");
    let (stable, uids) = (set.revisions().remove(0), set.uids());
    let failed = set.says("start", &["--image", "nginx=nginx:1.99"], 5);
    let said = stopped(&failed, "CANARY-POD-BROKEN", "pod/web-2");
    assert!(said.contains("web-2 cannot pull nginx:1.99 (container nginx): not found"), "{said}");
    assert_eq!(verdict(&failed, 2, "health"), "fail");
    assert_eq!(set.uids()[..2], uids[..2]);
    // A promote does not go round it.
    let again = set.says("promote", &["--full"], 5);
    stopped(&again, "CANARY-POD-BROKEN", "pod/web-2");
    set.says("abort", &[], 0);
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[..2], uids[..2]);
    set.rests_on(&stable);
}

/// A version that does not start at one ordinal: those above have it, those
/// below are not touched, and there is a way back.
#[track_caller]
fn broken_at(ordinal: usize) {
    let set = Set::probed(&format!("canary-broken-{ordinal}"));
    let (stable, uids, claims) = (set.revisions().remove(0), set.uids(), set.claims());
    let script = format!(
        "case $HOSTNAME in *-{ordinal}) echo not here; exit 1;; esac; exec nginx -g 'daemon off;'"
    );
    let patch = set.patch(|container| container["command"] = json!(["sh", "-c", script]));
    let mut start = words(&patch);
    start.extend(["--count", "3"]);
    let failed = set.says("start", &start, 5);
    let said = stopped(&failed, "CANARY-POD-BROKEN", &format!("pod/web-{ordinal}"));
    assert!(said.contains("keeps exiting with code 1"), "{said}");
    assert_eq!((&failed["stage"], &failed["partition"]), (&json!("judging"), &json!(ordinal)));
    let after = set.uids();
    for other in 0..3 {
        assert_eq!(after[other] == uids[other], other < ordinal, "web-{other}");
    }
    // Who is not broken serves what it should.
    let version = |other: usize| if other < ordinal { "1.21" } else { "1.22" };
    for other in (0..3).filter(|other| *other != ordinal) {
        let path = set.namespace.path("v1", "pods", &format!("web-{other}:80/proxy"));
        let tag = set.namespace.cluster().api().header(&(path + "/"), "x-nginx-tag");
        assert_eq!(tag.as_deref(), Some(version(other)), "web-{other}");
    }
    set.says("abort", &[], 0);
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[..ordinal], uids[..ordinal]);
    set.rests_on(&stable);
    assert_eq!(set.claims(), claims);
}

#[test]
fn a_version_that_breaks_at_the_first_ordinal() {
    broken_at(2);
}

#[test]
fn a_version_that_breaks_at_the_second_ordinal() {
    broken_at(1);
}

#[test]
fn a_version_that_breaks_at_the_last_ordinal() {
    broken_at(0);
}

/// Not Ready for a moment: that speaks against the pod that is being judged. One
/// that has passed is waited for, because members of a quorum feel it when
/// another one goes.
#[test]
fn a_pod_that_is_unready_for_a_moment() {
    let sick = |set: &mut Value| {
        probed(set);
        container(set)["readinessProbe"] = json!({
            "exec": {"command": ["test", "!", "-e", "/tmp/sick"]},
            "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 1,
        });
    };
    let set = Set::new("canary-unready", &web(3, sick), "web", 3);
    let flap = |pod: &str| {
        let shell = |script| {
            let exec = ["exec", pod, "--", "sh", "-c", script];
            set.namespace.kubectl(exec).output().success();
        };
        shell("touch /tmp/sick");
        set.namespace.wait(&format!("pod/{pod}"), "condition=Ready=false");
        shell("rm /tmp/sick");
    };
    set.says("start", &["--image", "nginx=nginx:1.22"], 0);
    let promote = |pod: &str| {
        let running = set.canary("promote", &["--bake", "20s", "-o", "json"]).start();
        let baking = format!("{pod} to stay Ready");
        running.wait_for_stderr(&baking, |said| said.contains(&baking));
        running
    };
    let running = promote("web-1");
    flap("web-2");
    let paused = parsed(&running.finish().expect(0));
    assert_eq!(paused["partition"], 1, "{paused:#}");

    let running = promote("web-0");
    flap("web-0");
    let failed = parsed(&running.finish().expect(5));
    let said = stopped(&failed, "CANARY-NOT-STEADY", "pod/web-0");
    assert!(said.contains("was Ready and then was not"), "{said}");
}

/// Without a readiness probe a container is Ready for as long as it runs. It is
/// watched for a while by default, and as long as one says.
#[test]
fn a_crash_loop_that_is_ready_for_a_moment() {
    let set = Set::new("canary-flicker", &web(3, |set| claims(set, "standard")), "web", 3);
    let (stable, uids) = (set.revisions().remove(0), set.uids());
    let patch = set.patch(|container| {
        container["command"] = json!(["sh", "-c", "sleep 3; exit 3"]);
    });
    let failed = set.says("start", &words(&patch), 5);
    let said = stopped(&failed, "CANARY-NOT-STEADY", "pod/web-2");
    assert!(said.contains("web-2 on the new revision"), "{said}");
    assert_eq!(set.uids()[..2], uids[..2]);
    set.says("abort", &[], 0);
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[..2], uids[..2]);
    set.rests_on(&stable);

    let mut start = words(&patch);
    start.extend(["--bake", "10s", "--on-failure", "abort"]);
    let reverted = set.says("start", &start, 10);
    stopped(&reverted, "CANARY-NOT-STEADY", "pod/web-2");
    assert_eq!(reverted["result"], "reverted", "{reverted:#}");
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[..2], uids[..2]);
    set.rests_on(&stable);
    assert_eq!(set.revision_count(), 2);
}

/// A member that comes back takes the time that it takes: only a pod that
/// nobody wants is given up.
#[test]
fn a_slow_start_on_the_way_back_is_waited_for() {
    let slow = |set: &mut Value| {
        probed(set);
        container(set)["readinessProbe"]["initialDelaySeconds"] = json!(6);
        set["spec"]["podManagementPolicy"] = json!("Parallel");
    };
    let set = Set::new("canary-slow", &web(2, slow), "web", 2);
    let stable = set.revisions().remove(0);
    let failed = set.says("start", &["--image", "nginx=nginx:1.99"], 5);
    stopped(&failed, "CANARY-POD-BROKEN", "pod/web-1");
    set.says("abort", &["--unstick-after", "1s"], 0);
    set.rests_on(&stable);
}

/// Starts what never becomes Ready at web-2, and goes back.
#[track_caller]
fn never_ready(
    set: &Set,
    patch: &[String],
    flags: &[&str],
    (code, id, object): (i32, &str, &str),
) -> String {
    let (stable, uids) = (set.revisions().remove(0), set.uids());
    let mut start = words(patch);
    start.extend(flags);
    let failed = set.says("start", &start, code);
    let said = stopped(&failed, id, object).to_owned();
    assert_eq!(set.uids()[..2], uids[..2]);
    set.says("abort", &["--unstick-after", "10s"], 0);
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[..2], uids[..2]);
    set.rests_on(&stable);
    said
}

#[test]
fn a_request_that_no_node_can_meet() {
    let set = Set::probed("canary-big");
    let patch = ["--set-resources".to_owned(), "requests.cpu=100000".to_owned()];
    // It counts after ten seconds, and no event may come by then.
    let begun = Instant::now();
    let said = never_ready(&set, &patch, &[], (5, "CANARY-POD-BROKEN", "pod/web-2"));
    assert!(begun.elapsed() < Duration::from_secs(80), "{:?}", begun.elapsed());
    assert!(said.contains("no node fits web-2") && said.contains("Insufficient cpu"), "{said}");
}

/// The kubelet tries again and again in both cases, but only a mount may yet
/// succeed by itself: that is given two minutes, or here until the deadline.
#[test]
fn a_secret_and_a_volume_that_are_missing() {
    let set = Set::probed("canary-missing");
    let patch = set.patch(|container| {
        container["env"] = json!([{
            "name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}},
        }]);
    });
    let said = never_ready(&set, &patch, &[], (5, "CANARY-POD-BROKEN", "pod/web-2"));
    assert!(said.contains("CreateContainerConfigError: secret \"db\" not found"), "{said}");

    let patch = set.patch_file(&json!({"spec": {"template": {"spec": {
        "volumes": [{"name": "conf", "configMap": {"name": "absent"}}],
        "containers": [{
            "name": "nginx", "volumeMounts": [{"name": "conf", "mountPath": "/conf"}],
        }],
    }}}}));
    let expected = (6, "CANARY-DEADLINE", "statefulset.apps/web");
    let said = never_ready(&set, &patch, &["--deadline", "8s"], expected);
    assert!(said.starts_with("waited 8s for web-2 to be Ready"), "{said}");
    assert!(said.contains("web-2 waits for a volume"), "{said}");
    assert!(said.contains("configmap \"absent\" not found"), "{said}");
}
