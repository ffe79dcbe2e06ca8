//! The fault proxy itself: a fault test is worth what its fault is worth.
//!
//! Most of this needs no cluster: a few lines of HTTP server stand behind the proxy.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::json;

use crate::support::{
    Answer, Api, ConnectProxy, Fault, FaultProxy, Gate, Run, Seen, TestCluster, Upstream, Victim,
    wait_for,
};

const SOON: Duration = Duration::from_secs(10);

/// A server that notes what it is asked, answers `{"count": N}`, and serves
/// three events to a watch before it falls silent.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("a bound address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || answer(stream.expect("a connection"), &noted));
            }
        });
        Server { address, asked }
    }

    fn proxy(&self) -> FaultProxy {
        FaultProxy::start(Upstream::plain(&self.address))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("the server does not panic").clone()
    }
}

/// Serves one request; the connection ends with it, so nothing is reused or sent again.
fn answer(stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let (mut request, mut length) = (String::new(), 0);
    reader.read_line(&mut request).expect("a request line");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let target = request.trim_end_matches(" HTTP/1.1\r\n");
    let text = String::from_utf8(body).expect("text");
    let count = {
        let mut asked = asked.lock().expect("the server does not panic");
        asked.push(format!("{target} {text}").trim().to_owned());
        asked.len()
    };
    let mut stream = stream;
    if target.contains("watch=true") {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("a head");
        for event in ["{\"event\":1}\n", "{\"event\":2}\n{\"event\":3}\n"] {
            write!(stream, "{:x}\r\n{event}\r\n", event.len()).expect("a chunk");
        }
        // Silent until the other side hangs up.
        let _ = stream.read(&mut [0]);
    } else {
        let body = json!({ "count": count }).to_string();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("an answer");
    }
}

fn get(proxy: &FaultProxy, path: &str) -> (StatusCode, serde_json::Value) {
    Api::new(Upstream::plain(&proxy.server())).request(Method::GET, path, None, "")
}

/// A client that is a process: it prints the answer it gets.
fn client(proxy: &FaultProxy, target: &str) -> Run {
    let script = r#"exec 3<>"/dev/tcp/${1#http://}" && printf '%s HTTP/1.1\r\nHost: test\r\n\r\n' "$2" >&3 && cat <&3"#;
    let address = proxy.server().replace("127.0.0.1:", "127.0.0.1/");
    Run::new("bash").args(["-c", script, "bash", &address, target])
}

const NO_ANSWER: u16 = 599;

#[test]
fn without_a_rule_it_only_passes_on_and_remembers() {
    let server = Server::start();
    let proxy = server.proxy();
    let api = Api::new(Upstream::plain(&proxy.server()));
    assert_eq!(api.create("/things?dry=1", &json!({"a": 1})), json!({"count": 1}));
    assert_eq!(api.get("/things/a"), Some(json!({"count": 2})));
    assert_eq!(server.asked(), [r#"POST /things?dry=1 {"a":1}"#, "GET /things/a"]);
    assert_eq!(proxy.log(), "1: POST /things?dry=1 200\n2: GET /things/a 200\n");
    let [create, read] = &proxy.requests()[..] else { panic!("two requests") };
    assert_eq!(create.header("content-type"), Some("application/json"));
    assert!(create.writes() && !read.writes());
}

#[test]
fn a_dropped_request_either_never_arrives_or_is_done_without_an_answer() {
    let server = Server::start();
    let proxy = server.proxy();
    proxy.at(1, Fault::DropBefore);
    proxy.at(2, Fault::DropAfter);
    assert_eq!(get(&proxy, "/first").0, NO_ANSWER);
    assert_eq!(server.asked(), [""; 0]);
    assert_eq!(get(&proxy, "/second").0, NO_ANSWER);
    assert_eq!(server.asked(), ["GET /second"]);
    assert_eq!(get(&proxy, "/third").0, StatusCode::OK);
    assert_eq!(
        proxy.log(),
        "1: GET /first (no answer)\n2: GET /second (no answer)\n3: GET /third 200\n"
    );
}

#[test]
fn a_killed_client_dies_before_or_after_the_server_has_done_it() {
    for (fault, done) in [(Fault::KillBefore as fn(Victim) -> Fault, 1), (Fault::KillAfter, 2)] {
        let server = Server::start();
        let proxy = server.proxy();
        let victim = Victim::default();
        proxy.at(2, fault(victim.clone()));
        assert_eq!(get(&proxy, "/first").0, StatusCode::OK);
        let output = client(&proxy, "PUT /second").victim(&victim).output();
        assert_eq!((output.signal(), output.stdout.as_str()), (Some(9), ""), "{output}");
        assert_eq!(server.asked().len(), done);
    }
}

#[test]
fn a_repeated_request_arrives_twice() {
    let server = Server::start();
    let proxy = server.proxy();
    proxy.at(1, Fault::Repeat);
    let api = Api::new(Upstream::plain(&proxy.server()));
    assert_eq!(api.create("/things", &json!({"a": 1})), json!({"count": 2}));
    assert_eq!(server.asked(), [r#"POST /things {"a":1}"#; 2]);
    assert_eq!(proxy.log(), "1: POST /things 200\n");
}

#[test]
fn a_late_request_is_late() {
    let server = Server::start();
    let proxy = server.proxy();
    let late = Duration::from_millis(300);
    proxy.at(1, Fault::Delay(late));
    let start = Instant::now();
    assert_eq!(get(&proxy, "/").0, StatusCode::OK);
    assert!(start.elapsed() >= late);
}

#[test]
fn an_answer_of_the_proxy_reads_like_the_servers() {
    let server = Server::start();
    let proxy = server.proxy();
    proxy.at(1, Fault::Answer(Answer::conflict()));
    proxy.at(2, Fault::Answer(Answer::too_many_requests(7)));
    proxy.at(3, Fault::Answer(Answer::internal_error()));
    proxy.at(4, Fault::Answer(Answer::unavailable()));
    let answers = [1, 2, 3, 4].map(|_| {
        let (status, body) = get(&proxy, "/");
        assert_eq!(body["kind"], "Status");
        assert_eq!(body["code"], status.as_u16());
        (status.as_u16(), body["reason"].as_str().map(str::to_owned))
    });
    let expected = [
        (409, "Conflict"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ];
    assert_eq!(answers, expected.map(|(status, reason)| (status, Some(reason.to_owned()))));
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn a_retry_after_header_goes_with_429() {
    let proxy = Server::start().proxy();
    proxy.at(1, Fault::Answer(Answer::too_many_requests(7)));
    let running = client(&proxy, "GET /").start();
    running.wait_for_stdout("the header", |text| text.contains("retry-after: 7\r\n"));
}

#[test]
fn a_header_is_added_to_the_servers_answer() {
    let proxy = Server::start().proxy();
    let name = HeaderName::from_static("warning");
    proxy.at(1, Fault::Header(name, HeaderValue::from_static("299 - \"old\"")));
    let running = client(&proxy, "GET /").start();
    running.wait_for_stdout("the header", |text| {
        text.contains("warning: 299 - \"old\"\r\n") && text.contains("{\"count\":1}")
    });
}

#[test]
fn a_held_request_waits_for_the_test() {
    let server = Server::start();
    let proxy = server.proxy();
    let (before, after) = (Gate::closed(), Gate::closed());
    proxy.at(1, Fault::Hold(before.clone()));
    proxy.at(2, Fault::HoldAnswer(after.clone()));
    for (gate, path, done_when_held) in [(before, "GET /before", 0), (after, "GET /after", 2)] {
        let running = client(&proxy, path).start();
        gate.wait_until_reached(SOON);
        assert_eq!(server.asked().len(), done_when_held);
        gate.release();
        running.wait_for_stdout("the answer", |text| text.contains("{\"count\":"));
    }
}

#[test]
fn a_watch_is_marked_and_passed_on_as_it_comes() {
    let proxy = Server::start().proxy();
    let running = client(&proxy, "GET /things?limit=1&watch=true").start();
    // The server keeps the watch open: these events came before its end.
    running.wait_for_stdout("three events", |text| text.contains("{\"event\":3}"));
    assert_eq!(proxy.count(|seen| seen.watch), 1);
}

#[test]
fn a_watch_is_cut_after_the_chosen_event() {
    for (events, last) in [(1, "{\"event\":1}"), (2, "{\"event\":2}")] {
        let proxy = Server::start().proxy();
        proxy.when(|seen| seen.watch, Fault::CutWatchAfter(events));
        let output = client(&proxy, "GET /things?watch=true").output();
        let next = last.replace(|c: char| c.is_ascii_digit(), &(events + 1).to_string());
        assert!(output.stdout.contains(last) && !output.stdout.contains(&next), "{output}");
        // A watch that ends in peace ends with an empty chunk.
        assert!(!output.stdout.ends_with("0\r\n\r\n"), "{output}");
    }
}

#[test]
fn a_rule_can_be_meant_for_the_first_request_of_a_kind() {
    let proxy = Server::start().proxy();
    proxy.once(|seen| seen.path == "/a", Fault::DropBefore);
    let answers = ["/b", "/a", "/a"].map(|path| get(&proxy, path).0.as_u16());
    assert_eq!(answers, [200, NO_ANSWER, 200]);
}

#[test]
fn the_connect_proxy_tunnels_and_remembers_where_to() {
    let server = Server::start();
    let proxy = ConnectProxy::start();
    let target = server.address.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(proxy.url().trim_start_matches("http://")).expect("it");
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut head = String::new();
    while reader.read_line(&mut head).expect("the proxy's answer") > 2 {}
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream.write_all(b"GET /through HTTP/1.1\r\nHost: test\r\n\r\n").expect("a request");
    reader.read_line(&mut head).expect("the server's answer");
    assert_eq!(proxy.targets(), [target]);
    assert_eq!(server.asked(), ["GET /through"]);
}

#[test]
fn kubectl_works_through_it_against_the_real_server() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("proxy");
    let proxy = cluster.proxy();
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let kubectl = |args: &[&str]| namespace.kubectl(args).kubeconfig(&kubeconfig);

    kubectl(&["create", "configmap", "real", "--from-literal=a=1"]).output().success();
    assert_eq!(namespace.get("v1", "configmaps", "real").expect("it was made")["data"]["a"], "1");

    // The server did it, the client was never told: the state that fault tests are about.
    proxy.once(Seen::writes, Fault::DropAfter);
    kubectl(&["delete", "configmap", "real"]).output().expect(1);
    assert_eq!(namespace.get("v1", "configmaps", "real"), None);

    proxy.once(Seen::writes, Fault::Answer(Answer::conflict()));
    let output = kubectl(&["create", "configmap", "other"]).output().expect(1);
    assert!(output.stderr.contains("the object has been modified"), "{output}");
    assert_eq!(namespace.get("v1", "configmaps", "other"), None);
}

#[test]
fn a_real_watch_passes_through_and_can_be_cut() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("proxy-watch");
    let proxy = cluster.proxy();
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let watch = ["get", "configmaps", "--watch-only", "-o", "name"];
    let running = namespace.kubectl(watch).kubeconfig(&kubeconfig).start();
    wait_for(SOON, "the watch to be open", || {
        (proxy.count(|seen| seen.watch && seen.status.is_some()) == 1).then_some(())
    });
    namespace.kubectl(["create", "configmap", "seen"]).output().success();
    running.wait_for_stdout("the event", |text| text.contains("configmap/seen"));
}
