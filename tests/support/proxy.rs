//! A proxy in front of an API server that makes a chosen request go wrong.
//!
//! The client under test speaks plain HTTP to it, and the proxy speaks to the
//! real server as an administrator. Clients send no credentials over plain HTTP:
//! for tests of credentials the proxy speaks TLS and forwards them unchanged.
//!
//! It numbers the requests from 1 as they arrive, records them, and asks its
//! rules about each. A request that no rule names is forwarded unchanged, watches
//! and upgraded connections (exec, port-forward) included.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    body::{Body, Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use super::{Upstream, Victim, runtime};

/// What is done to a request.
#[derive(Clone)]
pub enum Fault {
    /// The client is killed before the server gets the request.
    KillBefore(Victim),
    /// The client is killed after the server has answered, before it gets the answer.
    KillAfter(Victim),
    /// The connection is cut before the server gets the request.
    DropBefore,
    /// The connection is cut after the server has answered.
    DropAfter,
    /// The request is delayed by this much.
    Delay(Duration),
    /// The server gets the request twice, and the client the second answer.
    Repeat,
    /// The proxy answers, and the server never gets the request.
    Answer(Answer),
    /// The request waits at the gate before it is forwarded.
    Hold(Gate),
    /// The answer waits at the gate after the server has sent it.
    HoldAnswer(Gate),
    /// The connection is cut after this many events of a watch.
    CutWatchAfter(usize),
    /// A header is added to the server's answer.
    Header(HeaderName, HeaderValue),
}

/// An answer that the proxy gives instead of the server.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// A `Status` object, as the API server sends it.
    pub fn status(code: u16, reason: &str, message: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(code).expect("a status code"),
            headers: HeaderMap::new(),
            body: json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": message, "reason": reason, "code": code,
            }),
        }
    }

    /// 200 with an object.
    pub fn object(body: Value) -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body }
    }

    /// 409, as when somebody else has changed the object.
    pub fn conflict() -> Answer {
        Answer::status(
            409,
            "Conflict",
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 429, with the seconds after which to try again.
    pub fn too_many_requests(retry_after: u32) -> Answer {
        Answer::status(429, "TooManyRequests", "too many requests, please try again later")
            .header(header::RETRY_AFTER, &retry_after.to_string())
    }

    /// 500, as a failing admission webhook or a broken etcd causes.
    pub fn internal_error() -> Answer {
        Answer::status(500, "InternalError", "Internal error occurred: injected by the test")
    }

    /// 503, as from a server that is starting or stopping.
    pub fn unavailable() -> Answer {
        Answer::status(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        )
    }

    pub fn header(mut self, name: HeaderName, value: &str) -> Answer {
        self.headers.insert(name, value.parse().expect("a header value"));
        self
    }
}

/// Where requests wait until the test releases them.
#[derive(Clone)]
pub struct Gate(Arc<GateState>);

struct GateState {
    arrived: Mutex<usize>,
    arrival: Condvar,
    open: watch::Sender<bool>,
}

impl Gate {
    pub fn closed() -> Gate {
        let (open, _) = watch::channel(false);
        Gate(Arc::new(GateState { arrived: Mutex::new(0), arrival: Condvar::new(), open }))
    }

    /// Waits until a request has reached the gate.
    ///
    /// # Panics
    /// When none has before the deadline.
    #[track_caller]
    pub fn wait_until_reached(&self, deadline: Duration) {
        let arrived = self.0.arrived.lock().expect("nobody panics at a gate");
        let (_arrived, timeout) = self
            .0
            .arrival
            .wait_timeout_while(arrived, deadline, |arrived| *arrived == 0)
            .expect("nobody panics at a gate");
        assert!(!timeout.timed_out(), "no request reached the gate within {deadline:?}");
    }

    /// Whether a request has reached the gate.
    pub fn is_reached(&self) -> bool {
        *self.0.arrived.lock().expect("nobody panics at a gate") > 0
    }

    /// Lets every request through, now and later.
    pub fn release(&self) {
        self.0.open.send_replace(true);
    }

    async fn pass(&self) {
        *self.0.arrived.lock().expect("nobody panics at a gate") += 1;
        self.0.arrival.notify_all();
        let mut open = self.0.open.subscribe();
        open.wait_for(|open| *open).await.expect("the gate outlives the requests that wait");
    }
}

/// A request that reached the proxy.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its place in the order of arrival, from 1.
    pub number: usize,
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub watch: bool,
    pub headers: HeaderMap,
    /// The status that the client got; `None` while it waits, and when it got no answer.
    pub status: Option<u16>,
}

impl Seen {
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether its method is one that changes something.
    pub fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Whether it changes stored objects: neither a dry run nor an access review.
    pub fn changes(&self) -> bool {
        self.writes() && !self.path.contains("dryRun") && !self.path.contains("accessreviews")
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { number, method, path, status, .. } = self;
        match status {
            Some(status) => write!(f, "{number}: {method} {path} {status}"),
            None => write!(f, "{number}: {method} {path} (no answer)"),
        }
    }
}

type Rule = Box<dyn FnMut(&Seen) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    rules: Vec<Rule>,
}

/// The proxy. It stops when it goes out of scope, and cuts open connections.
pub struct FaultProxy {
    server: String,
    state: Arc<Mutex<State>>,
    accepting: AbortHandle,
}

impl FaultProxy {
    pub fn start(upstream: Upstream) -> FaultProxy {
        FaultProxy::listen(upstream, None)
    }

    /// A proxy that shows clients this PEM certificate.
    pub fn start_tls(upstream: Upstream, certificate: &[u8], key: &[u8]) -> FaultProxy {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .map(|certificate| certificate.expect("a PEM certificate"))
            .collect();
        let key = PrivateKeyDer::from_pem_slice(key).expect("a PEM key");
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring speaks the default TLS versions")
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .expect("the key belongs to the certificate");
        FaultProxy::listen(upstream, Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn listen(upstream: Upstream, tls: Option<TlsAcceptor>) -> FaultProxy {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(Mutex::new(State::default()));
        let (listener, address) = runtime::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("a bound address");
            (listener, address)
        });
        let accepting =
            runtime::handle().spawn(accept(listener, tls, upstream, Arc::clone(&state)));
        let server = format!("{scheme}://{address}");
        FaultProxy { server, state, accepting: accepting.abort_handle() }
    }

    /// Its URL, for a kubeconfig.
    pub fn server(&self) -> String {
        self.server.clone()
    }

    /// Asks `rule` about every request from now on. The first rule that returns a fault wins.
    pub fn on(&self, rule: impl FnMut(&Seen) -> Option<Fault> + Send + 'static) {
        self.lock().rules.push(Box::new(rule));
    }

    /// Makes the request with this number go wrong.
    pub fn at(&self, number: usize, fault: Fault) {
        self.on(move |request| (request.number == number).then(|| fault.clone()));
    }

    /// Makes every request go wrong for which `matches` is true.
    pub fn when(&self, mut matches: impl FnMut(&Seen) -> bool + Send + 'static, fault: Fault) {
        self.on(move |request| matches(request).then(|| fault.clone()));
    }

    /// Makes the first request go wrong for which `matches` is true.
    pub fn once(&self, mut matches: impl FnMut(&Seen) -> bool + Send + 'static, fault: Fault) {
        let mut fault = Some(fault);
        self.on(move |request| if matches(request) { fault.take() } else { None });
    }

    /// The requests so far, as they arrived.
    pub fn requests(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// How many of the requests so far satisfy `which`.
    pub fn count(&self, which: impl FnMut(&&Seen) -> bool) -> usize {
        self.lock().seen.iter().filter(which).count()
    }

    /// The requests so far, one per line, for the messages of assertions.
    pub fn log(&self) -> String {
        self.lock().seen.iter().fold(String::new(), |log, seen| log + &seen.to_string() + "\n")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A rule that panicked has failed its test already; a second panic would hide that.
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Why a connection ends without an answer. On any error hyper closes it.
#[derive(Debug)]
struct Cut(String);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cut {}

impl Cut {
    fn on_purpose() -> Cut {
        Cut("cut by the test".into())
    }

    fn because(error: impl fmt::Debug) -> Cut {
        Cut(format!("{error:?}"))
    }
}

type Outgoing = BoxBody<Bytes, Cut>;

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    upstream: Upstream,
    state: Arc<Mutex<State>>,
) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, upstream, state) = (tls.clone(), upstream.clone(), Arc::clone(&state));
        connections.spawn(async move {
            match tls {
                None => serve(stream, upstream, state).await,
                Some(tls) => {
                    // A client that does not trust us tells its user.
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, upstream, state).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    upstream: Upstream,
    state: Arc<Mutex<State>>,
) {
    let service = service_fn(move |request| {
        let (upstream, state) = (upstream.clone(), Arc::clone(&state));
        async move { handle(request, &upstream, &state).await }
    });
    // An error here is an injected fault, or a client that has closed the connection.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn handle(
    mut request: Request<Incoming>,
    upstream: &Upstream,
    state: &Mutex<State>,
) -> Result<Response<Outgoing>, Cut> {
    let (index, fault) = note(&request, state);
    let upgrade =
        request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(Cut::because)?.to_bytes();
    let send = async || {
        let mut onward = Request::new(Full::new(body.clone()));
        *onward.method_mut() = parts.method.clone();
        *onward.uri_mut() = path_and_query(&parts).parse().map_err(Cut::because)?;
        *onward.headers_mut() = parts.headers.clone();
        strip_connection_headers(onward.headers_mut(), upgrade.is_some());
        onward.headers_mut().remove(header::HOST);
        let mut answer = upstream.send(onward).await.map_err(Cut::because)?;
        strip_connection_headers(answer.headers_mut(), upgrade.is_some());
        Ok(answer)
    };

    let answer = match fault {
        Some(Fault::KillBefore(victim)) => {
            victim.kill();
            return Err(Cut::on_purpose());
        }
        Some(Fault::KillAfter(victim)) => {
            send().await?.into_body().collect().await.map_err(Cut::because)?;
            victim.kill();
            return Err(Cut::on_purpose());
        }
        Some(Fault::DropBefore) => return Err(Cut::on_purpose()),
        Some(Fault::DropAfter) => {
            send().await?.into_body().collect().await.map_err(Cut::because)?;
            return Err(Cut::on_purpose());
        }
        Some(Fault::Delay(late)) => {
            tokio::time::sleep(late).await;
            send().await?.map(forward)
        }
        Some(Fault::Repeat) => {
            send().await?.into_body().collect().await.map_err(Cut::because)?;
            send().await?.map(forward)
        }
        Some(Fault::Answer(answer)) => {
            let bytes = Bytes::from(answer.body.to_string());
            let mut response = Response::new(Full::new(bytes).map_err(|e| match e {}).boxed());
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Some(Fault::Hold(gate)) => {
            gate.pass().await;
            send().await?.map(forward)
        }
        Some(Fault::HoldAnswer(gate)) => {
            // Only the headers have come so far. For a write that is after the commit.
            let answer = send().await?;
            gate.pass().await;
            answer.map(forward)
        }
        Some(Fault::CutWatchAfter(events)) => {
            send().await?.map(|body| CutAfter { body, left: events, flushed: false }.boxed())
        }
        Some(Fault::Header(name, value)) => {
            let mut answer = send().await?.map(forward);
            answer.headers_mut().append(name, value);
            answer
        }
        None => {
            let mut answer = send().await?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS
                && let Some(client) = upgrade
            {
                let server = hyper::upgrade::on(&mut answer);
                tokio::spawn(async move {
                    let (Ok(client), Ok(server)) = (client.await, server.await) else { return };
                    // Either side may close at any time.
                    let _ = tokio::io::copy_bidirectional(
                        &mut TokioIo::new(client),
                        &mut TokioIo::new(server),
                    )
                    .await;
                });
            }
            answer.map(forward)
        }
    };
    lock(state).seen[index].status = Some(answer.status().as_u16());
    Ok(answer)
}

/// Records a request, and returns what is to go wrong with it.
fn note(request: &Request<Incoming>, state: &Mutex<State>) -> (usize, Option<Fault>) {
    let mut state = lock(state);
    let index = state.seen.len();
    let query = request.uri().query().unwrap_or_default();
    let seen = Seen {
        number: index + 1,
        method: request.method().clone(),
        path: request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        watch: query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch")),
        headers: request.headers().clone(),
        status: None,
    };
    let fault = state.rules.iter_mut().find_map(|rule| rule(&seen));
    state.seen.push(seen);
    (index, fault)
}

fn path_and_query(parts: &http::request::Parts) -> &str {
    parts.uri.path_and_query().map_or("/", |path| path.as_str())
}

/// Removes headers that belong to one connection; hyper writes those of the next.
fn strip_connection_headers(headers: &mut HeaderMap, upgrade: bool) {
    headers.remove(header::TRANSFER_ENCODING);
    if !upgrade {
        headers.remove(header::CONNECTION);
    }
}

fn forward(body: Incoming) -> Outgoing {
    body.map_err(Cut::because).boxed()
}

/// A watch that is cut after some events, in the middle of the answer.
struct CutAfter {
    body: Incoming,
    left: usize,
    flushed: bool,
}

impl Body for CutAfter {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.left == 0 {
            // When a body fails, hyper drops what it has not written yet. It writes when
            // a body is pending: be that once before the error.
            if !std::mem::replace(&mut self.flushed, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(Cut::on_purpose())));
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(Cut::because)?;
        let Ok(mut data) = frame.into_data() else { return Poll::Ready(None) };
        // An event of a watch is a line.
        let ends = data.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        match ends.clone().nth(self.left - 1) {
            Some(end) => {
                data.truncate(end + 1);
                self.left = 0;
            }
            None => self.left -= ends.count(),
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}
