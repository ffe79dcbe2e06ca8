//! A real Kubernetes for one test binary, and its namespaces.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Api, FaultProxy, Kubeconfig, Output, Run, Upstream, stateful, wait_for};

/// The directory of the program that runs clusters, as `tests/cluster/prepare` prints it.
const BINARIES: &str = "KUBECTL_STATEFUL_TEST_CLUSTER_BIN";
/// The images for the node tier, as `tests/apps/prepare` prints it.
const IMAGES: &str = "KUBECTL_STATEFUL_TEST_IMAGES";

/// A cluster starts within seconds; a busy machine takes longer.
const START: Duration = Duration::from_secs(180);
const STOP: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    ControlPlane,
    Node,
}

/// What the cluster program prints when the cluster is ready.
#[derive(Deserialize)]
struct Ready {
    kubeconfig: PathBuf,
    server: String,
    kubectl: PathBuf,
}

/// A running Kubernetes. It ends when this goes out of scope or the process
/// exits: the program that runs it watches the other end of a pipe.
pub struct TestCluster {
    program: PathBuf,
    process: Mutex<Child>,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    server: String,
    token: String,
    authority: Vec<u8>,
    api: Api,
    /// Last, so that the directory is removed after the cluster has ended.
    directory: TempDir,
}

impl TestCluster {
    /// The control plane with simulated nodes that the tests of this binary share.
    ///
    /// Tests run on it at the same time, each in a namespace of its own, and with
    /// unique names for objects that have no namespace.
    pub fn shared() -> &'static TestCluster {
        static SHARED: OnceLock<Result<TestCluster, String>> = OnceLock::new();
        started_once(&SHARED, Tier::ControlPlane)
    }

    /// Another control plane, for tests that create and delete hundreds of pods
    /// and keep the controllers busy.
    pub fn for_sweeps() -> &'static TestCluster {
        static SHARED: OnceLock<Result<TestCluster, String>> = OnceLock::new();
        started_once(&SHARED, Tier::ControlPlane)
    }

    /// The real node that the tests of this binary share.
    pub fn shared_node() -> &'static TestCluster {
        static SHARED: OnceLock<Result<TestCluster, String>> = OnceLock::new();
        started_once(&SHARED, Tier::Node)
    }

    /// A separate control plane, for a test that stops parts of it.
    pub fn fresh() -> TestCluster {
        TestCluster::start(Tier::ControlPlane).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A separate real node, for a test that breaks it.
    pub fn fresh_node() -> TestCluster {
        TestCluster::start(Tier::Node).unwrap_or_else(|error| panic!("{error}"))
    }

    fn start(tier: Tier) -> Result<TestCluster, String> {
        let program = binaries()?.join("cluster");
        let directory = TempDir::with_prefix("stateful-").map_err(|error| error.to_string())?;
        let log = directory.path().join("up.log");
        let mut command = Command::new(&program);
        command.arg("up").arg("--dir").arg(directory.path()).arg("--tier");
        match tier {
            Tier::ControlPlane => command.arg("control-plane"),
            Tier::Node => command.arg("node").arg("--images").arg(needed(IMAGES)?),
        };
        let log_file = File::create(&log).map_err(|error| error.to_string())?;
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;

        let stdout = process.stdout.take().expect("a piped stdout");
        let ready = read_ready(stdout).map_err(|error| {
            // When its stdin closes, it stops what it has started.
            drop(process.stdin.take());
            let _ = process.wait();
            let said = fs::read_to_string(&log).unwrap_or_default();
            format!("the {tier:?} cluster did not start: {error}\n{said}")
        })?;
        let token = fs::read_to_string(directory.path().join("admin.token"))
            .map_err(|error| format!("admin.token: {error}"))?
            .trim()
            .to_owned();
        let authority = fs::read(directory.path().join("pki/ca.crt"))
            .map_err(|error| format!("pki/ca.crt: {error}"))?;
        let upstream = Upstream::new(&ready.server, &authority, &token);
        Ok(TestCluster {
            program,
            process: Mutex::new(process),
            kubectl: ready.kubectl,
            kubeconfig: ready.kubeconfig,
            server: ready.server,
            token,
            authority,
            api: Api::new(upstream),
            directory,
        })
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The URL of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The administrator's bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The PEM certificates that the API server's certificate is signed with.
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// The same as a kubeconfig's `certificate-authority-data` has it.
    pub fn authority_data(&self) -> String {
        BASE64_STANDARD.encode(&self.authority)
    }

    /// The real kubectl.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// The API, as the administrator.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The real kubectl, as the administrator.
    pub fn kubectl<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        Run::new(&self.kubectl).home(self.home()).kubeconfig(&self.kubeconfig).args(args)
    }

    /// Our binary, run directly, as the administrator.
    pub fn stateful<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        stateful(args).home(self.home()).kubeconfig(&self.kubeconfig).shell(self.with_plugin())
    }

    /// Our binary as users run it: `kubectl stateful …`, through the real kubectl.
    pub fn plugin<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        self.with_plugin().arg("stateful").args(args).shell(self.with_plugin())
    }

    /// The real kubectl, which finds our binary.
    fn with_plugin(&self) -> Run {
        let binary = Path::new(env!("CARGO_BIN_EXE_kubectl-stateful"));
        let directory = binary.parent().expect("the binary is in a directory");
        self.kubectl(Vec::<&str>::new()).search(directory)
    }

    /// A proxy in front of this cluster. Its clients act as the administrator.
    pub fn proxy(&self) -> FaultProxy {
        FaultProxy::start(Upstream::new(&self.server, &self.authority, &self.token))
    }

    /// A proxy whose clients act as themselves. It has the API server's own
    /// certificate, so that clients send it their tokens.
    pub fn transparent_proxy(&self) -> FaultProxy {
        let upstream = Upstream::new(&self.server, &self.authority, &self.token);
        let pem = |name: &str| {
            let path = self.directory.path().join("pki").join(name);
            fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        FaultProxy::start_tls(
            upstream.without_token(),
            &pem("apiserver.crt"),
            &pem("apiserver.key"),
        )
    }

    /// A new namespace, whose name begins with `hint`.
    pub fn namespace(&self, hint: &str) -> Namespace<'_> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // With the process id, several test binaries can use one cluster.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{hint}-{}-{number}", process::id());
        self.api.create(
            "/api/v1/namespaces",
            &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
        );
        let directory = TempDir::with_prefix("stateful-").expect("a directory for the test");
        let namespace = Namespace { cluster: self, name, directory };
        namespace.wait_for_default_service_account();
        namespace
    }

    /// Stops a part of the control plane, such as `kube-apiserver`.
    pub fn stop(&self, part: &str) {
        self.control("stop", part);
    }

    /// Starts a part that was stopped or killed.
    pub fn start_part(&self, part: &str) {
        self.control("start", part);
    }

    /// Stops a part and starts it again.
    pub fn restart(&self, part: &str) {
        self.control("restart", part);
    }

    /// Kills a part without a warning.
    pub fn kill(&self, part: &str) {
        self.control("kill", part);
    }

    fn control(&self, action: &str, part: &str) {
        let directory = self.directory.path().as_os_str();
        Run::new(&self.program)
            .args(["ctl", "--dir"])
            .arg(directory)
            .args([action, part])
            .output()
            .success();
    }

    /// kubectl caches what it knows of the API here. That must not outlive the cluster.
    fn home(&self) -> PathBuf {
        let home = self.directory.path().join("home");
        fs::create_dir_all(&home).expect("a home directory");
        home
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        let process = self.process.get_mut().expect("nobody panics while holding the cluster");
        drop(process.stdin.take());
        let exited = || process.try_wait().expect("a child can be waited for");
        wait_for(STOP, "the cluster to be taken down", exited);
    }
}

fn started_once(
    shared: &'static OnceLock<Result<TestCluster, String>>,
    tier: Tier,
) -> &'static TestCluster {
    // A failure is kept too: later tests fail at once, with the same message.
    match shared.get_or_init(|| TestCluster::start(tier)) {
        Ok(cluster) => cluster,
        Err(error) => panic!("{error}"),
    }
}

fn binaries() -> Result<PathBuf, String> {
    needed(BINARIES)
}

fn needed(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| {
        format!("{variable} is not set: this test needs a Kubernetes, run it with tests/run")
    })
}

/// Reads the one line of JSON, on a thread so that the wait can time out.
fn read_ready(stdout: impl std::io::Read + Send + 'static) -> Result<Ready, String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // After the deadline nobody receives it.
        let _ = sender.send(read.map(|_| line));
    });
    let line = receiver
        .recv_timeout(START)
        .map_err(|_| format!("nothing was ready after {START:?}"))?
        .map_err(|error| error.to_string())?;
    serde_json::from_str(&line).map_err(|error| format!("it printed {line:?}: {error}"))
}

/// The bytes behind a `…-data` field of a kubeconfig.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text.trim()).ok()
}

/// A namespace of one test. It is deleted, without waiting, when this goes out of scope.
pub struct Namespace<'a> {
    cluster: &'a TestCluster,
    name: String,
    directory: TempDir,
}

impl Namespace<'_> {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn cluster(&self) -> &TestCluster {
        self.cluster
    }

    /// A directory for files of the test.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The real kubectl, in this namespace.
    pub fn kubectl<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        self.cluster.kubectl(["--namespace", &self.name]).args(args)
    }

    /// Our binary, run directly, in this namespace.
    pub fn stateful<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        self.cluster.stateful(args).args(["--namespace", &self.name])
    }

    /// `kubectl stateful …`, in this namespace.
    pub fn plugin<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        self.cluster.plugin(args).args(["--namespace", &self.name])
    }

    /// Applies manifests.
    #[track_caller]
    pub fn apply(&self, manifests: &str) -> Output {
        self.kubectl(["apply", "-f", "-"]).stdin(manifests).output().expect(0)
    }

    /// The path of an object in this namespace: `("apps/v1", "statefulsets", "web")`.
    pub fn path(&self, version: &str, resource: &str, name: &str) -> String {
        let root = if version.contains('/') { "apis" } else { "api" };
        let path = format!("/{root}/{version}/namespaces/{}/{resource}/{name}", self.name);
        path.trim_end_matches('/').to_owned()
    }

    /// An object in this namespace, if it exists.
    #[track_caller]
    pub fn get(&self, version: &str, resource: &str, name: &str) -> Option<Value> {
        self.cluster.api.get(&self.path(version, resource, name))
    }

    /// Waits until a condition holds: `wait("pod/web-0", "condition=Ready")`.
    #[track_caller]
    pub fn wait(&self, object: &str, condition: &str) {
        let condition = format!("--for={condition}");
        self.kubectl(["wait", object, &condition, "--timeout=120s"])
            .deadline(Duration::from_secs(130))
            .output()
            .expect(0);
    }

    /// Creates a StatefulSet and waits until all its pods are ready.
    #[track_caller]
    pub fn create_set(&self, set: &Value) {
        self.cluster.api.create(&self.path("apps/v1", "statefulsets", ""), set);
        self.wait_until_ready(set["metadata"]["name"].as_str().expect("a name"));
    }

    /// Deletes a pod and waits until it is gone. Where its controller makes another of that
    /// name at once, kubectl may wait for that one.
    #[track_caller]
    pub fn delete_pod(&self, name: &str) {
        let uid = || self.get("v1", "pods", name).map(|pod| pod["metadata"]["uid"].clone());
        let before = uid();
        self.kubectl(["delete", "pod", name, "--now", "--wait=false"]).output().success();
        wait_for(Duration::from_secs(60), "the pod to be gone", || (uid() != before).then_some(()));
    }

    /// Waits until the StatefulSet has observed its spec and all its pods are ready.
    #[track_caller]
    pub fn wait_until_ready(&self, set: &str) {
        let what = format!("statefulset {set} to be ready");
        wait_for(Duration::from_secs(120), &what, || {
            let object = self.get("apps/v1", "statefulsets", set)?;
            let (generation, status) = (&object["metadata"]["generation"], &object["status"]);
            (status["observedGeneration"] == *generation
                && status["readyReplicas"] == object["spec"]["replicas"])
                .then_some(())
        });
    }

    /// Waits until the controller has observed the StatefulSet's current spec.
    #[track_caller]
    pub fn wait_until_observed(&self, set: &str) {
        wait_for(Duration::from_secs(120), &format!("{set} to be observed"), || {
            let object = self.get("apps/v1", "statefulsets", set)?;
            let generation = &object["metadata"]["generation"];
            (object["status"]["observedGeneration"] == *generation).then_some(())
        });
    }

    /// A kubeconfig for the administrator, in this namespace, through `proxy`.
    pub fn kubeconfig_through(&self, proxy: &FaultProxy) -> PathBuf {
        Kubeconfig::new(&proxy.server())
            .user("token", self.cluster.token())
            .namespace(&self.name)
            .write(self.directory.path(), "through-proxy.json")
    }

    /// A kubeconfig for a user who has these rights and no others: `rules` are
    /// `PolicyRule`s for this namespace, `cluster_rules` for the whole cluster.
    pub fn user(&self, name: &str, rules: &Value, cluster_rules: &Value) -> PathBuf {
        let user = format!("{name}-{}", self.name);
        let kubeconfig = self.directory.path().join(format!("{name}.kubeconfig"));
        Run::new(&self.cluster.program)
            .args(["user", "--dir"])
            .arg(self.cluster.directory.path())
            .args(["--name", &user, "--group", "kubectl-stateful-tests", "--out"])
            .arg(&kubeconfig)
            .output()
            .success();
        self.grant(&user, "Role", rules);
        self.grant(&user, "ClusterRole", cluster_rules);
        kubeconfig
    }

    fn grant(&self, user: &str, kind: &str, rules: &Value) {
        let api = &self.cluster.api;
        let base = "/apis/rbac.authorization.k8s.io/v1";
        let (scope, plural) = match kind {
            "Role" => (format!("{base}/namespaces/{}", self.name), "role"),
            _ => (base.to_owned(), "clusterrole"),
        };
        let version = "rbac.authorization.k8s.io/v1";
        let metadata = json!({ "name": user });
        api.create(
            &format!("{scope}/{plural}s"),
            &json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "rules": rules }),
        );
        let group = "rbac.authorization.k8s.io";
        api.create(
            &format!("{scope}/{plural}bindings"),
            &json!({
                "apiVersion": version, "kind": format!("{kind}Binding"), "metadata": metadata,
                "roleRef": { "apiGroup": group, "kind": kind, "name": user },
                "subjects": [{ "apiGroup": group, "kind": "User", "name": user }],
            }),
        );
        for rule in rules.as_array().into_iter().flatten() {
            self.wait_until_granted(user, rule);
        }
    }

    /// The server's authorizer sees a new role a moment after it was created.
    fn wait_until_granted(&self, user: &str, rule: &Value) {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "resourceAttributes": {
                    "namespace": self.name,
                    "group": rule["apiGroups"][0],
                    "resource": rule["resources"][0],
                    "verb": rule["verbs"][0],
                    "name": rule["resourceNames"][0],
                },
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let what = format!("{user} to be granted {rule}");
        wait_for(Duration::from_secs(10), &what, || {
            let answer = self.cluster.api.create(path, &review);
            (answer["status"]["allowed"] == true).then_some(())
        });
    }

    fn wait_for_default_service_account(&self) {
        // Until it exists, pods are refused. A controller manager that was just restarted
        // takes its time.
        wait_for(Duration::from_secs(120), "the default service account", || {
            self.get("v1", "serviceaccounts", "default")
        });
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let path = format!("/api/v1/namespaces/{}", self.name);
        // The name is never used again, so a failure does not matter.
        self.cluster.api.request(Method::DELETE, &path, None, "");
    }
}
