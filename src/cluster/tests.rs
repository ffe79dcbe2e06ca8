//! The connection as a whole, against a fake API server.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::{
    fake_server::{FakeServer, Pki, Received, Reply, proxy},
    kubeconfig::Identity,
    *,
};
use crate::output::Exit;

const POD: &str = "/api/v1/namespaces/default/pods/web-0";

pub(super) fn args() -> ConnectionArgs {
    ConnectionArgs::default()
}

fn resolve(args: &ConnectionArgs) -> Target {
    kubeconfig::resolve(args, &Environment::default()).unwrap()
}

fn cluster(target: Target, args: &ConnectionArgs) -> Cluster {
    Cluster::to(target, args, Terminal::detect(0)).unwrap()
}

/// To a plain-HTTP server; `--server` needs no kubeconfig.
pub(super) fn connect(server: &FakeServer, args: ConnectionArgs) -> Cluster {
    let args = ConnectionArgs { server: Some(format!("http://{}", server.address)), ..args };
    cluster(resolve(&args), &args)
}

/// A kubeconfig for an HTTPS server.
fn kubeconfig(folder: &Path, server: &FakeServer, pki: &Pki, user: &Value) -> ConnectionArgs {
    fs::write(folder.join("ca.crt"), pki.authority_pem()).unwrap();
    let config = json!({
        "clusters": [{
            "name": "c",
            "cluster": {
                "server": format!("https://{}", server.address),
                "certificate-authority": "ca.crt",
            },
        }],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "db"}}],
        "current-context": "x",
    });
    let path = folder.join("config");
    fs::write(&path, config.to_string()).unwrap();
    ConnectionArgs { kubeconfig: Some(path), ..args() }
}

/// A plugin that counts its runs in `runs` and prints `status`: a line of shell
/// in double quotes, which may use `$n`, the number of the run.
fn plugin(folder: &Path, status: &str) -> Value {
    let script = format!(
        "echo \"$KUBERNETES_EXEC_INFO\" >> \"{folder}/runs\"\n\
         n=$(wc -l < \"{folder}/runs\" | tr -d ' ')\n\
         echo \"{{\\\"kind\\\":\\\"ExecCredential\\\",\\\"apiVersion\\\":\\\"client.authentication.k8s.io/v1\\\",\\\"status\\\":{status}}}\"",
        folder = folder.display()
    );
    fs::write(folder.join("plugin.sh"), script).unwrap();
    json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": [folder.join("plugin.sh")],
        "interactiveMode": "Never",
        "provideClusterInfo": true,
    }})
}

fn runs(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("runs")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn ten_at_once(cluster: &Cluster) -> Vec<Result<Value, Failure>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let cluster = cluster.clone();
        tasks.spawn(async move { cluster.get(POD).await });
    }
    tasks.join_all().await
}

fn ok(_: &Received, _: usize) -> Reply {
    Reply::json("{}")
}

#[tokio::test]
async fn says_who_it_is_and_as_whom_it_acts() {
    let server = FakeServer::http(ok).await;
    let acting = ConnectionArgs {
        as_user: Some("jane".to_owned()),
        as_group: vec!["a".to_owned(), "b".to_owned()],
        as_uid: Some("7".to_owned()),
        as_user_extra: vec![("acme.com/project".to_owned(), "x".to_owned())],
        token: Some("not over plain HTTP".to_owned()),
        ..args()
    };
    let cluster = connect(&server, acting);
    cluster.get::<Value>(POD).await.unwrap();
    let request = &server.received()[0];
    let agent = request.header("user-agent").unwrap();
    assert!(agent.starts_with(concat!("kubectl-stateful/", env!("CARGO_PKG_VERSION"), " (")));
    assert_eq!(request.header("accept"), Some("application/json"));
    assert_eq!(request.header("accept-encoding"), Some("gzip"));
    assert_eq!(request.header("impersonate-user"), Some("jane"));
    let groups: Vec<_> = request.headers.get_all("impersonate-group").iter().collect();
    assert_eq!(groups, ["a", "b"]);
    assert_eq!(request.header("impersonate-uid"), Some("7"));
    assert_eq!(request.header("impersonate-extra-acme.com%2fproject"), Some("x"));
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn a_path_in_the_servers_address_stays() {
    let server = FakeServer::http(ok).await;
    let args = ConnectionArgs {
        server: Some(format!("http://{}/k8s/clusters/c-1/", server.address)),
        ..args()
    };
    cluster(resolve(&args), &args).get::<Value>(POD).await.unwrap();
    assert_eq!(server.received()[0].path, format!("/k8s/clusters/c-1{POD}"));
}

#[tokio::test]
async fn a_busy_server_is_asked_again_four_times_at_most() {
    let busy = |_: &Received, _: usize| Reply::status(503, "").header("retry-after", "0");
    let server = FakeServer::http(busy).await;
    let cluster = connect(&server, args());
    let failure = cluster.get::<Value>(POD).await.unwrap_err();
    assert!(matches!(failure, Failure::Server(_)), "{failure:?}");
    assert_eq!(server.received().len(), 5);
    assert_eq!(cluster.requests(), 5);

    let recovers = |_: &Received, before: usize| match before {
        0 => Reply::status(429, "").header("retry-after", "0"),
        1 => Reply::status(504, "").header("retry-after", "0"),
        _ => Reply::json(r#"{"kind":"Pod"}"#),
    };
    let server = FakeServer::http(recovers).await;
    let pod: Value = connect(&server, args()).get(POD).await.unwrap();
    assert_eq!(pod, json!({"kind": "Pod"}));
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn a_broken_answer_is_fetched_again() {
    let server = FakeServer::http(|_, before| match before {
        0 => Reply::pieces(&[r#"{"kind":"#]).broken(),
        _ => Reply::json("{}"),
    })
    .await;
    connect(&server, args()).get::<Value>(POD).await.unwrap();
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let server = FakeServer::http(|_, _| Reply::silence()).await;
    let short = ConnectionArgs { request_timeout: Some(Duration::from_millis(50)), ..args() };
    let failure = connect(&server, short).get::<Value>(POD).await.unwrap_err();
    assert!(matches!(failure, Failure::Timeout { .. }), "{failure:?}");
    let error = Error::from(failure);
    assert_eq!(error.exit, Exit::Error);
    assert_eq!(
        error.headline(),
        "Unable to connect to the server: context deadline exceeded (Client.Timeout exceeded \
         while awaiting headers)"
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let server = FakeServer::http(|request, _| match request.path.as_str() {
        "/named" => Reply::status(
            404,
            r#"{"kind":"Status","code":404,"reason":"NotFound","message":"pods \"x\" not found","details":{"name":"x","kind":"pods"}}"#,
        ),
        _ => Reply::status(404, "404 page not found\n"),
    })
    .await;
    let cluster = connect(&server, args());
    let named = cluster.get::<Value>("/named").await.unwrap_err();
    assert!(matches!(named, Failure::NotFound(_)), "{named:?}");
    let api = cluster.get::<Value>("/apis/x.io/v1/things").await.unwrap_err();
    assert!(matches!(api, Failure::NoSuchApi(_)), "{api:?}");
    for path in ["/named", "/apis/x.io/v1/things"] {
        assert_eq!(cluster.get_opt::<Value>(path).await.unwrap(), None);
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let args = ConnectionArgs { server: Some(format!("http://{address}")), ..args() };
    let failures = ten_at_once(&cluster(resolve(&args), &args)).await;
    for failure in failures {
        assert_eq!(
            failure.unwrap_err().to_string(),
            format!(
                "The connection to the server {address} was refused - did you specify the right \
                 host or port?"
            )
        );
    }
}

#[tokio::test]
async fn a_watch_gives_each_line_however_it_is_cut() {
    let server = FakeServer::http(|_, _| {
        Reply::pieces(&[
            "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n{\"type\":\"MODI",
            "FIED\",\"object\":{\"a\":2}}",
            "\n\n{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}\n",
            "{\"type\":\"DELETED\",\"object\":{\"a\":3}}\n",
            "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}}\n",
        ])
    })
    .await;
    let cluster = connect(&server, args());
    let mut watch = cluster.watch::<Value>(&super::Resource::POD.everywhere(), "").await.unwrap();
    let mut next = async || watch.next().await.map(Result::unwrap);
    assert_eq!(next().await, Some(WatchEvent::Added(json!({"a": 1}))));
    assert_eq!(next().await, Some(WatchEvent::Modified(json!({"a": 2}))));
    assert_eq!(next().await, Some(WatchEvent::Bookmark("9".to_owned())));
    assert_eq!(next().await, Some(WatchEvent::Deleted(json!({"a": 3}))));
    let failure = watch.next().await.unwrap().unwrap_err();
    assert!(matches!(failure, Failure::Gone(_)), "{failure:?}");
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_watch_that_breaks_says_so_and_is_not_timed() {
    let server = FakeServer::http(|_, _| {
        Reply::pieces(&["{\"type\":\"ADDED\",\"object\":1}\n{\"type\":"]).broken()
    })
    .await;
    let short = ConnectionArgs { request_timeout: Some(Duration::from_millis(200)), ..args() };
    let cluster = connect(&server, short);
    let mut watch = cluster.watch::<Value>(&super::Resource::POD.everywhere(), "").await.unwrap();
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(watch.next().await.unwrap().unwrap(), WatchEvent::Added(json!(1)));
    let failure = watch.next().await.unwrap().unwrap_err();
    assert!(matches!(failure, Failure::Lost { .. }), "{failure:?}");
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn requests_that_start_together_share_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, ok).await;
    let args = kubeconfig(folder.path(), &server, &pki, &json!({"token": "t"}));
    let cluster = cluster(resolve(&args), &args);
    assert_eq!(cluster.namespace(), "db");
    assert_eq!(cluster.context(), Some("x"));
    for answer in ten_at_once(&cluster).await {
        answer.unwrap();
    }
    assert_eq!(server.received().len(), 10);
    assert_eq!(server.connections(), 1);
    assert_eq!(server.received()[9].version, ::http::Version::HTTP_2);
    assert_eq!(server.received()[9].header("authorization"), Some("Bearer t"));
}

#[tokio::test]
async fn a_stranger_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, other) = (Pki::new(), Pki::new());
    let server = FakeServer::https(&pki, ok).await;
    let args = kubeconfig(folder.path(), &server, &other, &json!({}));
    let failure = cluster(resolve(&args), &args).get::<Value>(POD).await.unwrap_err();
    let words = failure.to_string();
    assert!(
        words.starts_with(
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate \
             signed by unknown authority"
        ),
        "{words}"
    );
    assert!(server.received().is_empty());

    let blind = ConnectionArgs { insecure_skip_tls_verify: Some(true), ..args };
    cluster(resolve(&blind), &blind).get::<Value>(POD).await.unwrap();
}

#[tokio::test]
async fn a_plugin_runs_once_for_many_requests() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, ok).await;
    let user = plugin(folder.path(), r#"{\"token\":\"t$n\"}"#);
    let args = kubeconfig(folder.path(), &server, &pki, &user);
    for answer in ten_at_once(&cluster(resolve(&args), &args)).await {
        answer.unwrap();
    }
    let runs = runs(folder.path());
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["kind"], "ExecCredential");
    assert_eq!(runs[0]["spec"]["interactive"], false);
    let address = format!("https://{}", server.address);
    assert_eq!(runs[0]["spec"]["cluster"]["server"], address.as_str());
    assert!(runs[0]["spec"]["cluster"]["certificate-authority-data"].is_string());
    assert_eq!(server.received()[0].header("authorization"), Some("Bearer t1"));
}

#[tokio::test]
async fn refused_credentials_are_renewed_once_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, |request, _| match request.header("authorization") {
        Some("Bearer t2") => Reply::json("{}"),
        _ => Reply::status(401, r#"{"kind":"Status","code":401,"message":"Unauthorized"}"#),
    })
    .await;
    let user = plugin(folder.path(), r#"{\"token\":\"t$n\"}"#);
    let args = kubeconfig(folder.path(), &server, &pki, &user);
    for answer in ten_at_once(&cluster(resolve(&args), &args)).await {
        answer.unwrap();
    }
    assert_eq!(runs(folder.path()).len(), 2);

    let never = FakeServer::https(&pki, |_, _| {
        Reply::status(401, r#"{"kind":"Status","code":401,"message":"Unauthorized"}"#)
    })
    .await;
    let args = kubeconfig(folder.path(), &never, &pki, &user);
    let failure = cluster(resolve(&args), &args).get::<Value>(POD).await.unwrap_err();
    assert_eq!(failure.to_string(), "error: You must be logged in to the server (Unauthorized)");
    assert_eq!(never.received().len(), 2);
}

/// Each run may ask a person to log in: one is enough to learn that it fails.
#[tokio::test]
async fn a_plugin_that_fails_or_is_refused_is_not_run_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, ok).await;
    let user = plugin(folder.path(), "{}");
    let script = format!("echo '{{}}' >> {}/runs; exit 1\n", folder.path().display());
    fs::write(folder.path().join("plugin.sh"), script).unwrap();
    let args = kubeconfig(folder.path(), &server, &pki, &user);
    let failing = cluster(resolve(&args), &args);
    for answer in ten_at_once(&failing).await {
        let failure = answer.unwrap_err().to_string();
        assert!(failure.contains("failed with exit code 1"), "{failure}");
    }
    failing.get::<Value>(POD).await.unwrap_err();
    assert_eq!(runs(folder.path()).len(), 1);

    // Refused: once more, as kubectl does, and no more.
    let folder = tempfile::tempdir().unwrap();
    let refusing = FakeServer::https(&pki, |_, _| {
        Reply::status(401, r#"{"kind":"Status","code":401,"message":"Unauthorized"}"#)
    })
    .await;
    let user = plugin(folder.path(), r#"{\"token\":\"t$n\"}"#);
    let args = kubeconfig(folder.path(), &refusing, &pki, &user);
    let refused = cluster(resolve(&args), &args);
    for answer in ten_at_once(&refused).await {
        assert!(answer.unwrap_err().to_string().contains("must be logged in"));
    }
    refused.get::<Value>(POD).await.unwrap_err();
    assert_eq!(runs(folder.path()).len(), 2);
}

#[tokio::test]
async fn expired_credentials_are_renewed_before_they_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, ok).await;
    let expired = r#"{\"token\":\"t$n\",\"expirationTimestamp\":\"2020-01-01T00:00:00Z\"}"#;
    let user = plugin(folder.path(), expired);
    let args = kubeconfig(folder.path(), &server, &pki, &user);
    let cluster = cluster(resolve(&args), &args);
    for _ in 0..2 {
        cluster.get::<Value>(POD).await.unwrap();
    }
    let tokens: Vec<_> =
        server.received().iter().map(|r| r.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(tokens, ["Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn a_new_client_certificate_means_a_new_connection() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    for run in ["1", "2"] {
        let (certificate, key) = pki.issue(&[run]);
        let status = json!({"clientCertificateData": certificate, "clientKeyData": key});
        fs::write(folder.path().join(format!("status{run}")), status.to_string()).unwrap();
    }
    let server = FakeServer::https(&pki, |_, before| match before {
        1 => Reply::status(401, "{}"),
        _ => Reply::json("{}"),
    })
    .await;
    // The JSON's own escapes must survive the shell's echo: print the file.
    let user = plugin(folder.path(), "");
    let script = format!(
        "echo '{{}}' >> {folder}/runs; n=$(wc -l < {folder}/runs | tr -d ' ')\n\
         printf '%s' '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":'\n\
         cat {folder}/status$n; printf '}}'",
        folder = folder.path().display()
    );
    fs::write(folder.path().join("plugin.sh"), script).unwrap();
    let args = kubeconfig(folder.path(), &server, &pki, &user);
    let cluster = cluster(resolve(&args), &args);
    cluster.get::<Value>(POD).await.unwrap();
    cluster.get::<Value>(POD).await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), 3);
    assert_eq!(server.connections(), 2);
    assert!(received[0].certificate.is_some());
    assert_eq!(received[0].certificate, received[1].certificate);
    assert_ne!(received[1].certificate, received[2].certificate);
}

#[tokio::test]
async fn a_token_file_is_read_again_when_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "old\n").unwrap();
    let path = token.clone();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, move |request, _| {
        fs::write(&path, "new\n").unwrap();
        match request.header("authorization") {
            Some("Bearer new") => Reply::json("{}"),
            _ => Reply::status(401, "{}"),
        }
    })
    .await;
    let args = kubeconfig(folder.path(), &server, &pki, &json!({"tokenFile": token}));
    cluster(resolve(&args), &args).get::<Value>(POD).await.unwrap();
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn the_proxy_of_the_kubeconfig_is_used_with_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, ok).await;
    let (address, heads) = proxy().await;
    let args = kubeconfig(folder.path(), &server, &pki, &json!({}));
    let path = args.kubeconfig.clone().unwrap();
    let text = fs::read_to_string(&path).unwrap().replace(
        "\"certificate-authority\"",
        &format!("\"proxy-url\":\"http://user:p%40ss@{address}\",\"certificate-authority\""),
    );
    fs::write(&path, text).unwrap();
    for answer in ten_at_once(&cluster(resolve(&args), &args)).await {
        answer.unwrap();
    }
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 1, "one tunnel for all");
    assert!(heads[0].starts_with(&format!("CONNECT {} HTTP/1.1", server.address)), "{}", heads[0]);
    // base64 of `user:p@ss`
    assert!(heads[0].to_lowercase().contains("proxy-authorization: basic dxnlcjpwqhnz"));
}

#[tokio::test]
async fn kubes_client_goes_the_same_way() {
    let server = FakeServer::http(|_, _| {
        Reply::status(
            403,
            r#"{"kind":"Status","code":403,"reason":"Forbidden","message":"no","status":"Failure"}"#,
        )
    })
    .await;
    let cluster = connect(&server, args());
    let request = ::http::Request::get(POD).body(Vec::new()).unwrap();
    let error = cluster.client().request::<Value>(request).await.unwrap_err();
    let failure = Failure::from(error);
    assert!(matches!(failure, Failure::Forbidden(_)), "{failure:?}");
    assert!(server.received()[0].header("user-agent").unwrap().starts_with("kubectl-stateful/"));
    assert_eq!(cluster.requests(), 1);
}

/// exec and port-forward turn a connection into a `WebSocket`, which HTTP/2
/// cannot do.
#[tokio::test]
async fn an_upgrade_gets_an_http1_connection_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, ok).await;
    let args = kubeconfig(folder.path(), &server, &pki, &json!({}));
    let cluster = cluster(resolve(&args), &args);
    cluster.get::<Value>(POD).await.unwrap();
    let upgrade = ::http::Request::get(POD)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .body(kube::client::Body::empty())
        .unwrap();
    cluster.client().send(upgrade).await.unwrap();
    cluster.get::<Value>(POD).await.unwrap();
    let versions: Vec<_> = server.received().iter().map(|request| request.version).collect();
    assert_eq!(
        versions,
        [::http::Version::HTTP_2, ::http::Version::HTTP_11, ::http::Version::HTTP_2]
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_broke_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let server = FakeServer::https(&pki, |_, before| match before {
        1 => Reply::pieces(&["{"]).broken(),
        _ => Reply::json("{}"),
    })
    .await;
    let args = kubeconfig(folder.path(), &server, &pki, &json!({}));
    let cluster = cluster(resolve(&args), &args);
    for _ in 0..3 {
        cluster.get::<Value>(POD).await.unwrap();
    }
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn a_write_is_sent_once_even_when_the_server_is_down() {
    let server = FakeServer::http(|_, _| Reply::status(503, "").header("retry-after", "0")).await;
    let cluster = connect(&server, args());
    let object = Object {
        resource: Resource::POD,
        namespace: Some("default".to_owned()),
        name: "web-0".to_owned(),
    };
    let write = Write::delete(object, "u-1", None, Propagation::Background, "");
    let failure = cluster.write(&write, Mode::ServerDryRun).await.unwrap_err();
    assert!(matches!(failure, Failure::Server(_)), "{failure:?}");
    assert_eq!(server.received().len(), 1);
    assert_eq!(server.received()[0].path, POD);
    assert!(server.received()[0].body.contains(r#""dryRun":["All"]"#));
    assert!(server.received()[0].body.contains("u-1"));

    assert_eq!(cluster.write(&write, Mode::ClientDryRun).await.unwrap(), None);
    assert_eq!(server.received().len(), 1, "a client dry run sends nothing");
}

#[test]
fn identities_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let user = |user: Value| {
        let config = json!({
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        });
        fs::write(&path, config.to_string()).unwrap();
        let args = ConnectionArgs { kubeconfig: Some(path.clone()), ..args() };
        kubeconfig::resolve(&args, &Environment::default()).map(|target| target.identity)
    };
    assert!(matches!(user(json!({})).unwrap(), Identity::Anonymous));
    assert!(matches!(user(json!({"token": "t", "tokenFile": "/f"})).unwrap(), Identity::Token(_)));
    assert!(matches!(user(json!({"tokenFile": "/f"})).unwrap(), Identity::TokenFile(_)));
    let basic = json!({"username": "a", "password": "b"});
    assert!(matches!(user(basic).unwrap(), Identity::Basic { .. }));
    let refusal = |value| user(value).map(|_| ()).unwrap_err().headline().to_owned();
    assert_eq!(
        refusal(json!({"token": "t", "username": "a", "password": "b"})),
        "error: more than one authentication method found for u; found [token basicAuth], only \
         one is allowed"
    );
    assert_eq!(
        refusal(json!({"client-certificate-data": "YQ=="})),
        "error: client-key-data or client-key must be specified for u to use the clientCert \
         authentication method."
    );
    assert_eq!(
        refusal(
            json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}})
        ),
        "error: exec plugin: invalid apiVersion \"client.authentication.k8s.io/v1alpha1\""
    );
    assert_eq!(
        refusal(json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "x"}})),
        "error: interactiveMode must be specified for u to use exec authentication plugin"
    );
    assert_eq!(
        refusal(json!({"auth-provider": {"name": "gcp"}})),
        "error: The gcp auth plugin has been removed."
    );
}

/// Answers for a namespace with the set `web` and these budgets.
fn rollout(request: &Received, budgets: Reply) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    match path {
        "/apis" => Reply::json(r#"{"groups":[{"name":"apps"},{"name":"autoscaling"}]}"#),
        "/version" => Reply::json(r#"{"major":"1","gitVersion":"v1.34.4"}"#),
        "/apis/apps/v1/namespaces/default/statefulsets/web" => Reply::json(
            &json!({
                "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7"},
                "spec": {
                    "selector": {"matchLabels": {"app": "web"}}, "template": {},
                    "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                },
            })
            .to_string(),
        ),
        "/apis/policy/v1/namespaces/default/poddisruptionbudgets" => budgets,
        _ => Reply::json(r#"{"metadata":{"resourceVersion":"8"},"items":[]}"#),
    }
}

#[tokio::test]
async fn a_rollout_reads_what_it_needs_and_no_disks() {
    let budget = r#"{"metadata":{},"items":[{"metadata":{"name":"b"},"spec":{"selector":{}}}]}"#;
    let server = FakeServer::http(|request, _| rollout(request, Reply::json(budget))).await;
    let cluster = connect(&server, args());
    let facts = read::facts(&cluster, "web", read::Scope::Rollout).await.unwrap().facts;
    assert_eq!(facts.server_version.as_deref(), Some("v1.34.4"));
    assert_eq!(facts.budgets.unwrap()[0].name, "b");
    assert!(facts.claims.unwrap().is_empty() && facts.unread.is_empty());
    let mut asked: Vec<String> = server.received().into_iter().map(|r| r.path).collect();
    asked.sort();
    assert_eq!(
        asked,
        [
            // Its only pod is missing.
            "/api/v1/namespaces/default",
            "/api/v1/namespaces/default/events?fieldSelector=type%3DWarning",
            "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb",
            "/apis",
            "/apis/apps/v1/namespaces/default/controllerrevisions?labelSelector=app%3Dweb",
            "/apis/apps/v1/namespaces/default/statefulsets/web",
            "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
            "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
            "/version",
        ]
    );

    let status = read::facts(&cluster, "web", read::Scope::Status).await.unwrap().facts;
    assert_eq!((status.server_version, status.budgets.unwrap().len()), (None, 0));
}

#[tokio::test]
async fn a_budget_that_may_not_be_read_is_unread() {
    let no = r#"{"kind":"Status","code":403,"reason":"Forbidden","message":"no"}"#;
    let server = FakeServer::http(|request, _| rollout(request, Reply::status(403, no))).await;
    let cluster = connect(&server, args());
    let facts = read::facts(&cluster, "web", read::Scope::Rollout).await.unwrap().facts;
    assert!(facts.budgets.is_none());
    assert_eq!(facts.unread[0].resource, "poddisruptionbudgets.policy");
}

#[test]
fn a_set_is_read_from_a_writes_answer() {
    let answer = json!({
        "metadata": {"name": "web", "uid": "u", "resourceVersion": "9"}, "spec": {"template": {}},
    });
    assert_eq!(read::set_of(answer).unwrap().resource_version, "9");
    let failure = read::set_of(json!({"kind": "Status"})).unwrap_err();
    assert!(matches!(failure, Failure::Unreadable { .. }), "{failure:?}");
}
