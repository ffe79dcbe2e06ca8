//! Which server, as whom, and how: what kubectl users take for granted.

use std::{fs, path::PathBuf, time::Duration};

use http::{HeaderValue, header};
use serde_json::{Value, json};

use crate::support::{
    Answer, ConnectProxy, Fault, FaultProxy, Kubeconfig, Namespace, Run, TestCluster, stateful,
    wait_for,
};

/// A StatefulSet without pods: enough to ask for, and nothing to wait for.
fn namespace_with_set(hint: &str) -> Namespace<'static> {
    let namespace = TestCluster::shared().namespace(hint);
    create_set(&namespace);
    namespace
}

fn create_set(namespace: &Namespace) {
    let labels = json!({ "app": "web" });
    namespace.cluster().api().create(
        &namespace.path("apps/v1", "statefulsets", ""),
        &json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": { "name": "web" },
            "spec": {
                "replicas": 0,
                "serviceName": "web",
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{ "name": "web", "image": "nginx:1.21" }] },
                },
            },
        }),
    );
}

/// Our binary with a kubeconfig that knows its namespace.
fn status(kubeconfig: impl AsRef<std::path::Path>) -> Run {
    stateful(["status", "web"]).kubeconfig(kubeconfig)
}

/// A kubeconfig for the real server whose credentials the test adds.
fn direct(namespace: &Namespace) -> Kubeconfig {
    for_server(namespace, namespace.cluster().server())
}

/// The same through a proxy that adds no credentials of its own.
fn through(namespace: &Namespace, proxy: &FaultProxy) -> Kubeconfig {
    for_server(namespace, &proxy.server())
}

fn for_server(namespace: &Namespace, server: &str) -> Kubeconfig {
    Kubeconfig::new(server)
        .cluster("certificate-authority-data", namespace.cluster().authority_data())
        .namespace(namespace.name())
}

// --- files and contexts ---

#[test]
fn missing_files_in_the_list_are_skipped() {
    let namespace = namespace_with_set("list");
    let real = direct(&namespace)
        .user("token", namespace.cluster().token())
        .write(namespace.directory(), "real.json");
    let list = format!("missing:{}:also-missing", real.display());
    status(list).output().success();
}

#[test]
fn the_first_file_of_the_list_wins() {
    let namespace = namespace_with_set("merge");
    let token = namespace.cluster().token();
    let right = direct(&namespace).user("token", token).write(namespace.directory(), "right.json");
    let wrong = Kubeconfig::new("https://wrong.invalid").write(namespace.directory(), "wrong.json");
    status(format!("{}:{}", right.display(), wrong.display())).output().success();
    status(format!("{}:{}", wrong.display(), right.display())).output().expect(1);
}

#[test]
fn without_kubeconfig_the_one_in_the_home_directory_is_used() {
    let namespace = namespace_with_set("home");
    let directory = namespace.directory().join(".kube");
    fs::create_dir(&directory).expect("a new directory");
    direct(&namespace).user("token", namespace.cluster().token()).write(&directory, "config");
    stateful(["status", "web"]).home(namespace.directory()).output().success();
}

#[test]
fn flags_win_over_the_kubeconfig() {
    let namespace = namespace_with_set("flags");
    let cluster = namespace.cluster();
    let authority = namespace.directory().join("ca.pem");
    fs::write(&authority, cluster.authority()).expect("a file in a directory of the test");
    let wrong = Kubeconfig::new("https://wrong.invalid")
        .cluster("certificate-authority-data", "bm90IGEgY2VydGlmaWNhdGU=")
        .user("token", "wrong")
        .namespace("wrong")
        .write(namespace.directory(), "wrong.json");
    status(wrong)
        .args(["--server", cluster.server(), "--token", cluster.token()])
        .arg("--certificate-authority")
        .arg(&authority)
        .args(["-n", namespace.name()])
        .output()
        .success();
}

#[test]
fn inside_a_pod_the_service_account_is_used() {
    let namespace = namespace_with_set("in-cluster");
    let cluster = namespace.cluster();
    let group = "rbac.authorization.k8s.io";
    cluster.api().create(
        &format!("/apis/{group}/v1/clusterrolebindings"),
        &json!({
            "metadata": { "name": namespace.name() },
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [
                { "kind": "ServiceAccount", "name": "default", "namespace": namespace.name() },
            ],
        }),
    );
    let token = namespace.kubectl(["create", "token", "default"]).output().success();
    let account = namespace.directory().join("serviceaccount");
    fs::create_dir(&account).expect("a new directory");
    for (name, content) in [
        ("token", token.trim().as_bytes()),
        ("ca.crt", cluster.authority()),
        ("namespace", namespace.name().as_bytes()),
    ] {
        fs::write(account.join(name), content).expect("a file in a directory of the test");
    }
    // Mounts of its own, so that the well-known path can be laid out for one process.
    let script = r#"
        mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io &&
        cp -r "$1" /run/secrets/kubernetes.io/serviceaccount && shift && exec "$@""#;
    let (host, port) = cluster
        .server()
        .trim_start_matches("https://")
        .rsplit_once(':')
        .expect("the server has a port");
    let in_pod = |program: PathBuf| {
        Run::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(&account)
            .arg(program)
            .home(namespace.directory())
            .env("KUBERNETES_SERVICE_HOST", host)
            .env("KUBERNETES_SERVICE_PORT", port)
    };
    // kubectl first: should it fail too, then the pod is not laid out right.
    in_pod(cluster.kubectl_path().to_owned()).args(["get", "sts", "web"]).output().success();
    in_pod(env!("CARGO_BIN_EXE_kubectl-stateful").into())
        .args(["status", "web"])
        .output()
        .success();
}

// --- credentials ---

#[test]
fn a_token_flag_is_all_that_is_needed() {
    let namespace = namespace_with_set("token");
    let kubeconfig = direct(&namespace).write(namespace.directory(), "anonymous.json");
    status(&kubeconfig).output().expect(1);
    status(&kubeconfig).args(["--token", namespace.cluster().token()]).output().success();
}

#[test]
fn a_token_file_is_read() {
    let namespace = namespace_with_set("token-file");
    fs::write(namespace.directory().join("token"), namespace.cluster().token()).expect("a file");
    // Relative to the kubeconfig.
    let kubeconfig =
        direct(&namespace).user("tokenFile", "token").write(namespace.directory(), "config.json");
    status(&kubeconfig).output().success();
}

#[test]
fn client_certificates_work_from_the_kubeconfig_and_from_flags() {
    let namespace = namespace_with_set("certificates");
    let everything =
        json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"] }]);
    let kubeconfig = namespace.user("reader", &everything, &everything);
    status(&kubeconfig).args(["-n", namespace.name()]).output().success();

    let view = ["config", "view", "--raw", "--flatten", "-o", "json"];
    let text = namespace.kubectl(view).kubeconfig(&kubeconfig).output().success();
    let config: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
    let user = &config["users"][0]["user"];
    let save = |field: &str| {
        let path = namespace.directory().join(field);
        let data = user[format!("{field}-data")].as_str().expect("the user has a certificate");
        fs::write(&path, crate::support::decode_base64(data).expect("base64")).expect("a file");
        path
    };
    let (certificate, key) = (save("client-certificate"), save("client-key"));
    let anonymous = direct(&namespace).write(namespace.directory(), "anonymous.json");
    status(anonymous)
        .arg("--client-certificate")
        .arg(certificate)
        .arg("--client-key")
        .arg(key)
        .output()
        .success();
}

/// A credential plugin that notes each call and gives the administrator's token.
struct CredentialPlugin {
    calls: PathBuf,
    exec: Value,
}

impl CredentialPlugin {
    /// `lifetime`: for how many seconds a credential holds.
    fn new(namespace: &Namespace, lifetime: u32) -> CredentialPlugin {
        let calls = namespace.directory().join("calls");
        let script = r#"
            echo call >>"$CALLS"
            until=$(date -u -d "+$LIFETIME seconds" +%Y-%m-%dT%H:%M:%SZ)
            printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
            printf '"status":{"token":"%s","expirationTimestamp":"%s"}}' "$TOKEN" "$until""#;
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh",
            "args": ["-c", script],
            "env": [
                { "name": "CALLS", "value": calls },
                { "name": "LIFETIME", "value": lifetime.to_string() },
                { "name": "TOKEN", "value": namespace.cluster().token() },
            ],
            "interactiveMode": "Never",
        });
        CredentialPlugin { calls, exec }
    }

    fn calls(&self) -> usize {
        fs::read_to_string(&self.calls).map_or(0, |calls| calls.lines().count())
    }
}

#[test]
fn a_credential_plugin_runs_once() {
    let namespace = namespace_with_set("exec-once");
    let plugin = CredentialPlugin::new(&namespace, 3600);
    let kubeconfig =
        direct(&namespace).user("exec", plugin.exec.clone()).write(namespace.directory(), "c.json");
    status(&kubeconfig).output().success();
    assert_eq!(plugin.calls(), 1);
}

/// A login takes its time, and what it prints is not for somebody who is typing.
#[test]
fn completion_waits_for_a_login_and_not_for_ever() {
    let namespace = namespace_with_set("exec-complete");
    let complete = |seconds: &str| {
        let plugin = CredentialPlugin::new(&namespace, 3600);
        let mut exec = plugin.exec.clone();
        let script = exec["args"][1].as_str().expect("a script").to_owned();
        exec["args"][1] = json!(format!("echo 'log in, please' >&2; sleep {seconds}; {script}"));
        let kubeconfig =
            direct(&namespace).user("exec", exec).write(namespace.directory(), "c.json");
        let output = stateful(["__complete", "status", "we"]).kubeconfig(kubeconfig).output();
        assert_eq!(output.stderr, "", "{output}");
        output
    };
    wait_for(Duration::from_secs(60), "a login in time", || {
        let output = complete("1.2");
        (output.stdout == "web\n:4\n").then_some(())
    });
    let output = complete("30").expect(0);
    assert_eq!(output.stdout, ":4\n", "{output}");
    assert!(output.took < Duration::from_secs(10), "{output}");
}

#[test]
fn a_credential_is_renewed_during_a_long_watch() {
    let namespace = namespace_with_set("exec-watch");
    let plugin = CredentialPlugin::new(&namespace, 2);
    let proxy = namespace.cluster().transparent_proxy();
    // Every event ends its watch, so that watches are opened again and again.
    proxy.when(|seen| seen.watch, Fault::CutWatchAfter(1));
    let kubeconfig = through(&namespace, &proxy)
        .user("exec", plugin.exec.clone())
        .write(namespace.directory(), "c.json");
    let running = status(&kubeconfig).arg("--watch").start();
    let mut change = 0;
    wait_for(Duration::from_secs(30), "the plugin to run again", || {
        change += 1;
        namespace.cluster().api().patch(
            &namespace.path("apps/v1", "statefulsets", "web"),
            &json!({ "metadata": { "annotations": { "change": change.to_string() } } }),
        );
        (plugin.calls() >= 2).then_some(())
    });
    drop(running);
    assert_eq!(proxy.count(|seen| seen.status == Some(401)), 0, "{}", proxy.log());
}

#[test]
fn impersonation_is_sent_and_obeyed() {
    let namespace = namespace_with_set("impersonate");
    let proxy = namespace.cluster().proxy();
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let output = status(&kubeconfig)
        .args(["--as=jane", "--as-group=devs", "--as-group=ops", "--as-uid=7"])
        .arg("--as-user-extra=scopes=view")
        .output()
        .expect(1);
    assert!(output.stderr.contains(r#"User "jane" cannot get resource"#), "{output}");
    let requests = proxy.requests();
    let [first, ..] = &requests[..] else { panic!("a request was made") };
    assert_eq!(first.header("impersonate-user"), Some("jane"));
    assert_eq!(first.header("impersonate-uid"), Some("7"));
    assert_eq!(first.header("impersonate-extra-scopes"), Some("view"));
    let groups: Vec<_> = first.headers.get_all("impersonate-group").iter().collect();
    assert_eq!(groups, ["devs", "ops"]);
}

// --- the way to the server ---

#[test]
fn a_proxy_url_is_used() {
    let namespace = namespace_with_set("proxy-url");
    let proxy = ConnectProxy::start();
    let kubeconfig = direct(&namespace)
        .cluster("proxy-url", proxy.url())
        .user("token", namespace.cluster().token())
        .write(namespace.directory(), "c.json");
    status(&kubeconfig).output().success();
    let server = namespace.cluster().server().trim_start_matches("https://").to_owned();
    assert!(!proxy.targets().is_empty(), "the proxy was asked for a tunnel");
    assert!(proxy.targets().iter().all(|target| *target == server), "{:?}", proxy.targets());
}

#[test]
fn the_proxy_of_the_environment_is_used_as_kubectl_uses_it() {
    let namespace = namespace_with_set("https-proxy");
    // Go never sends what is meant for this machine through a proxy of the environment.
    for program in ["kubectl", "ours"] {
        let proxy = ConnectProxy::start();
        let run = match program {
            "kubectl" => namespace.kubectl(["get", "sts", "web"]),
            _ => namespace.stateful(["status", "web"]),
        };
        run.env("HTTPS_PROXY", proxy.url()).output().success();
        assert_eq!(proxy.targets(), [""; 0], "{program}");
    }
    // A name that only the proxy could resolve goes there.
    for program in ["kubectl", "ours"] {
        let proxy = ConnectProxy::start();
        let run = match program {
            "kubectl" => namespace.kubectl(["get", "sts", "web"]),
            _ => namespace.stateful(["status", "web"]),
        };
        let elsewhere = ["--server", "https://api.invalid:6443"];
        run.args(elsewhere).env("HTTPS_PROXY", proxy.url()).output().expect(1);
        assert_eq!(
            proxy.targets().first().map(String::as_str),
            Some("api.invalid:6443"),
            "{program}"
        );
        let proxy = ConnectProxy::start();
        let run = match program {
            "kubectl" => namespace.kubectl(["get", "sts", "web"]),
            _ => namespace.stateful(["status", "web"]),
        };
        let run = run.args(elsewhere).env("HTTPS_PROXY", proxy.url()).env("NO_PROXY", ".invalid");
        run.output().expect(1);
        assert_eq!(proxy.targets(), [""; 0], "{program}");
    }
}

#[test]
fn requests_carry_our_name() {
    let namespace = namespace_with_set("user-agent");
    let proxy = namespace.cluster().proxy();
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    status(&kubeconfig).output().success();
    for seen in proxy.requests() {
        let agent = seen.header(header::USER_AGENT).unwrap_or_default().to_owned();
        let version = concat!("kubectl-stateful/", env!("CARGO_PKG_VERSION"), " (");
        assert!(agent.starts_with(version), "{seen}: {agent:?}");
    }
}

#[test]
fn a_warning_of_the_server_is_printed_once() {
    let namespace = namespace_with_set("warning");
    let proxy = namespace.cluster().proxy();
    let warning = HeaderValue::from_static("299 - \"this API is old\"");
    proxy.when(|_| true, Fault::Header(header::WARNING, warning));
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let theirs =
        namespace.kubectl(["get", "sts", "web"]).kubeconfig(&kubeconfig).output().expect(0);
    let ours = status(&kubeconfig).output().expect(0);
    for output in [theirs, ours] {
        let warnings = output.stderr.lines().filter(|line| *line == "Warning: this API is old");
        assert_eq!(warnings.count(), 1, "{output}");
        assert!(!output.stdout.contains("Warning"), "{output}");
    }
}

#[test]
fn retries_are_few_and_told() {
    for answer in [Answer::unavailable(), Answer::too_many_requests(1)] {
        let namespace = namespace_with_set("retries");
        let proxy = namespace.cluster().proxy();
        let is_set = |path: &str| path.contains("/statefulsets/web");
        proxy.when(move |seen| is_set(&seen.path), Fault::Answer(answer));
        let kubeconfig = namespace.kubeconfig_through(&proxy);
        let output = status(&kubeconfig).arg("-v=1").output().expect(1);
        let tries = proxy.count(|seen| is_set(&seen.path));
        assert!((1..=5).contains(&tries), "four retries at most\n{}", proxy.log());
        let told = output.stderr.lines().filter(|line| line.contains("retrying in")).count();
        assert_eq!(told, tries - 1, "each try after the first is told\n{output}");
        // Without -v at least the waits that a user would notice.
        let output = status(&kubeconfig).output().expect(1);
        assert!(output.stderr.contains("retrying in"), "{output}");
    }
}

#[test]
fn a_server_that_is_ill_for_a_moment_is_asked_again() {
    let namespace = namespace_with_set("retried");
    let proxy = namespace.cluster().proxy();
    proxy.once(
        |seen| seen.path.contains("/statefulsets/web"),
        Fault::Answer(Answer::too_many_requests(1)),
    );
    status(namespace.kubeconfig_through(&proxy)).output().success();
}

// --- -v ---

#[test]
fn verbosity_6_shows_every_request_and_no_secret() {
    let namespace = namespace_with_set("verbose");
    let proxy = namespace.cluster().transparent_proxy();
    let token = namespace.cluster().token();
    let kubeconfig =
        through(&namespace, &proxy).user("token", token).write(namespace.directory(), "c.json");
    let output = status(&kubeconfig).arg("-v=6").output().expect(0);
    for seen in proxy.requests() {
        assert!(output.stderr.contains(&seen.path), "{seen} is not told\n{output}");
    }
    // tests/bench counts requests this way.
    let told = output.stderr.lines().filter(|line| line.contains(&proxy.server())).count();
    assert_eq!(told, proxy.requests().len(), "{output}\n{}", proxy.log());
    assert!(!output.stderr.contains(token), "{output}");
    assert_eq!(status(&kubeconfig).output().expect(0).stderr, "", "quiet unless asked");
}

#[test]
fn verbosity_8_shows_bodies_and_no_secret() {
    let namespace = namespace_with_set("verbose-bodies");
    let plugin = CredentialPlugin::new(&namespace, 3600);
    let proxy = namespace.cluster().transparent_proxy();
    let kubeconfig = through(&namespace, &proxy)
        .user("exec", plugin.exec.clone())
        .write(namespace.directory(), "c.json");
    let output = status(&kubeconfig).arg("-v=8").output().expect(0);
    assert!(output.stderr.contains("\"kind\":\"StatefulSet\""), "{output}");
    assert!(!output.stderr.contains(namespace.cluster().token()), "{output}");
    assert_eq!(
        output.stdout,
        status(&kubeconfig).output().success(),
        "verbosity does not change the answer"
    );
}
