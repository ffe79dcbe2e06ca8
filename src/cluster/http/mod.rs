//! Requests: credentials, tracing, warnings and retries.
//!
//! kube's client sends no User-Agent, drops `Warning:` headers, silently
//! retries fifteen times and opens an HTTP/1.1 connection for each concurrent
//! request. This one uses kube's parts where they fit (base URI, impersonation
//! headers, `OpenID` Connect) and its own code for the rest.

mod reason;
mod retry;
mod trace;
mod warning;
mod wire;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, UPGRADE, USER_AGENT},
};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Bytes;
use kube::client::ConfigExt as _;
use tower::{BoxError, Service as _, ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};
use tower_http::decompression::DecompressionLayer;

pub use self::reason::innermost;
use self::wire::{CertificateGeneration, Wire};
use super::{
    credentials::{ActiveCredential, Credentials},
    error::{Failure, RequestLine},
    exec_auth::Voice,
    kubeconfig::Target,
};
use crate::output::{Error, Exit, Terminal};

/// The body of an answer, decompressed.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A request to send. Its body is in memory, so that it can be sent again.
pub type Outgoing = Request<Full<Bytes>>;

/// An HTTP client for one API server.
pub struct Http {
    service: BoxCloneSyncService<Outgoing, Response<Body>, BoxError>,
    base: String,
    flags: Arc<[String]>,
    credentials: Credentials,
    terminal: Terminal,
    user_agent: HeaderValue,
    timeout: Option<Duration>,
    sent: AtomicUsize,
    answered: AtomicBool,
    warned: Mutex<HashSet<String>>,
}

impl Http {
    /// Prepares the client; sends nothing yet.
    ///
    /// # Errors
    /// When certificates, keys or header values cannot be used.
    pub fn new(
        target: Target,
        timeout: Option<Duration>,
        flags: Arc<[String]>,
        terminal: Terminal,
    ) -> Result<Http, Error> {
        let Target { config, identity, configured, .. } = target;
        let voice = match (terminal.is_silent(), terminal.stdin_is_tty) {
            (true, _) => Voice::Silent,
            (false, true) => Voice::Interactive,
            (false, false) => Voice::Messages,
        };
        let credentials = Credentials::new(identity, voice)?;
        let unusable = |error: &(dyn std::error::Error + 'static)| {
            Error::new(Exit::Error, "the connection settings cannot be used").caused_by_chain(error)
        };
        let wire = Arc::new(Wire::new(&config, configured, &credentials)?);
        let service = ServiceBuilder::new()
            .map_response(|response: Response<_>| {
                response.map(|body| BodyExt::map_err(body, BoxError::from).boxed_unsync())
            })
            .layer(config.base_uri_layer())
            .layer(DecompressionLayer::new().gzip(!config.disable_compression))
            .option_layer(config.auth_layer().map_err(|error| unusable(&error))?)
            .layer(config.extra_headers_layer().map_err(|error| unusable(&error))?)
            .service_fn(move |request: Outgoing| {
                let wire = Arc::clone(&wire);
                async move { wire.send(request).await.map_err(BoxError::from) }
            });
        let user_agent = format!(
            "kubectl-stateful/{} ({}/{})",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH
        );
        Ok(Http {
            service: BoxCloneSyncService::new(service),
            base: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
            flags,
            credentials,
            terminal,
            user_agent: HeaderValue::try_from(user_agent).map_err(|error| unusable(&error))?,
            timeout: timeout.filter(|timeout| !timeout.is_zero()),
            sent: AtomicUsize::new(0),
            answered: AtomicBool::new(false),
            warned: Mutex::default(),
        })
    }

    /// What error messages show of a request.
    pub fn request_line<B>(&self, request: &Request<B>) -> RequestLine {
        RequestLine {
            method: request.method().clone(),
            path: path_of(request).to_owned(),
            flags: Arc::clone(&self.flags),
        }
    }

    /// Whether a plugin has to be run before the first request.
    pub fn logs_in(&self) -> bool {
        self.credentials.come_from_a_plugin()
    }

    /// The number of HTTP requests sent, including retries.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// The address of the server, without a trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request and reads the whole answer, within `--request-timeout`.
    ///
    /// # Errors
    /// Any [`Failure`]; an answer with an error status is one.
    pub async fn exchange(&self, request: Outgoing) -> Result<Bytes, Failure> {
        let request_line = self.request_line(&request);
        self.timed(&request_line, async {
            let mut retries = 0;
            loop {
                let answer = self.send(request.clone()).await?;
                let outcome = self.body_of(&request_line, answer).await;
                let Err(Failure::Lost { .. }) = outcome else { return outcome };
                let Some(retry) = retry::after_loss(&request_line.method, retries) else {
                    return outcome;
                };
                retries += 1;
                retry.log(self.terminal, &request_line, retries);
                tokio::time::sleep(retry.wait).await;
            }
        })
        .await
    }

    /// Sends a request and returns the body of its answer as a stream. Only the
    /// start of the answer has a timeout: a watch may be silent for any time.
    ///
    /// # Errors
    /// Any [`Failure`]; an answer with an error status is one.
    pub async fn stream(&self, request: Outgoing) -> Result<Body, Failure> {
        let request_line = self.request_line(&request);
        let answer = self.timed(&request_line, self.send(request)).await?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        Err(self.refusal(&request_line, answer).await)
    }

    /// Sends a request and passes its answer to `sink` as it arrives, all within
    /// `--request-timeout`. If the connection is lost, the request is sent again
    /// and `sink` starts over.
    ///
    /// # Errors
    /// Any [`Failure`]; an answer with an error status is one.
    pub async fn stream_to(&self, request: Outgoing, sink: &mut impl Sink) -> Result<(), Failure> {
        let request_line = self.request_line(&request);
        self.timed(&request_line, async {
            let mut retries = 0;
            loop {
                let answer = self.send(request.clone()).await?;
                if !answer.status().is_success() {
                    return Err(self.refusal(&request_line, answer).await);
                }
                let outcome = stream_into(&request_line, answer, sink).await;
                let Err(Failure::Lost { .. }) = outcome else { return outcome };
                let Some(retry) = retry::after_loss(&request_line.method, retries) else {
                    return outcome;
                };
                retries += 1;
                retry.log(self.terminal, &request_line, retries);
                tokio::time::sleep(retry.wait).await;
            }
        })
        .await
    }

    async fn body_of(
        &self,
        request_line: &RequestLine,
        answer: Response<Body>,
    ) -> Result<Bytes, Failure> {
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| Failure::Lost {
            request_line: request_line.clone(),
            cause: reason::innermost(&*error),
        })?;
        let body = body.to_bytes();
        trace::response_body(self.terminal, &body);
        if status.is_success() {
            Ok(body)
        } else {
            Err(Failure::from_answer(request_line, status, &body))
        }
    }

    /// Runs `work` with `--request-timeout`.
    ///
    /// # Errors
    /// The failure of `work`, or [`Failure::Timeout`].
    pub async fn timed<T>(
        &self,
        request_line: &RequestLine,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(after) = self.timeout else { return work.await };
        tokio::time::timeout(after, work)
            .await
            .unwrap_or_else(|_| Err(Failure::Timeout { request_line: request_line.clone(), after }))
    }

    /// Sends a request, and retries where that is safe and may help: after a 401
    /// with renewed credentials, when the server is busy, after a lost
    /// connection. An error status is returned as an answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: Outgoing) -> Result<Response<Body>, Failure> {
        let request_line = self.request_line(&request);
        let mut renewed = false;
        let mut retries = 0;
        loop {
            let held = self.credentials.current().await?;
            let outcome = self.once(request.clone(), &held).await;
            if let Ok(answer) = &outcome
                && answer.status() == StatusCode::UNAUTHORIZED
                && !renewed
            {
                renewed = true;
                if self.credentials.renew(&held).await? {
                    continue;
                }
            }
            let answered_before = self.answered.load(Ordering::Relaxed);
            let Some(retry) =
                retry::decide(&request_line.method, &outcome, retries, answered_before)
            else {
                if outcome.is_ok() {
                    self.answered.store(true, Ordering::Relaxed);
                }
                return outcome;
            };
            retries += 1;
            retry.log(self.terminal, &request_line, retries);
            tokio::time::sleep(retry.wait).await;
        }
    }

    /// Sends a request once, without retries and without `--request-timeout`:
    /// for requests that must not be repeated, or whose caller has its own
    /// timeout.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send_once(&self, request: Outgoing) -> Result<Response<Body>, Failure> {
        let held = self.credentials.current().await?;
        self.once(request, &held).await
    }

    /// The failure for an answer with an error status.
    pub async fn refusal(&self, request_line: &RequestLine, answer: Response<Body>) -> Failure {
        match self.timed(request_line, self.body_of(request_line, answer)).await {
            Ok(_) => Failure::Lost {
                request_line: request_line.clone(),
                cause: "the answer ended early".to_owned(),
            },
            Err(failure) => failure,
        }
    }

    async fn once(
        &self,
        mut request: Outgoing,
        held: &ActiveCredential,
    ) -> Result<Response<Body>, Failure> {
        let generation = CertificateGeneration(held.certificate_generation());
        request.extensions_mut().insert(generation);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        if !headers.contains_key(ACCEPT) {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        }
        if let Some(authorization) = &held.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let request_line = self.request_line(&request);
        trace::request(self.terminal, &self.base, &request);
        let started = Instant::now();
        self.sent.fetch_add(1, Ordering::Relaxed);
        let mut service = self.service.clone();
        let outcome = async { service.ready().await?.call(request).await }.await;
        let outcome = outcome.map_err(|error: BoxError| match error.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(error) => Failure::NoCredentials {
                cause: reason::innermost(&*error),
                hint: Some("log in again".to_owned()),
            },
        });
        trace::response(self.terminal, &self.base, &request_line, &outcome, started.elapsed());
        if let Ok(answer) = &outcome {
            self.pass_on_warnings(answer);
        }
        outcome
    }

    /// Prints each warning of the server once.
    fn pass_on_warnings(&self, answer: &Response<Body>) {
        for header in answer.headers().get_all(http::header::WARNING) {
            for text in warning::texts(header.as_bytes()) {
                let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
                if warned.insert(text.clone()) {
                    self.terminal.warn(&text);
                }
            }
        }
    }

    /// A [`kube::Client`] that sends through this client.
    pub fn client(self: &Arc<Self>, namespace: &str) -> kube::Client {
        let http = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let http = Arc::clone(&http);
            async move { http.send_for_kube(request).await }
        });
        kube::Client::new(service, namespace)
    }

    async fn send_for_kube(
        &self,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let request = Request::from_parts(parts, Full::new(bytes));
        let request_line = self.request_line(&request);
        let answer = if request_line.stays_open() || request.headers().contains_key(UPGRADE) {
            self.send(request).await
        } else {
            self.timed(&request_line, self.send(request)).await
        };
        answer.map_err(BoxError::from)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

impl RequestLine {
    /// Whether the answer is an endless stream.
    fn stays_open(&self) -> bool {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        query
            .split('&')
            .any(|pair| matches!(pair, "watch=true" | "watch=1" | "follow=true" | "follow=1"))
    }
}

/// Receives an answer in pieces.
pub trait Sink {
    /// An answer of this content type begins; everything before it is void.
    fn begin(&mut self, content_type: &str);

    /// # Errors
    /// When the data is malformed.
    fn take(&mut self, data: &[u8]) -> Result<(), String>;
}

async fn stream_into(
    request_line: &RequestLine,
    answer: Response<Body>,
    sink: &mut impl Sink,
) -> Result<(), Failure> {
    let content_type = answer.headers().get(CONTENT_TYPE);
    sink.begin(content_type.and_then(|value| value.to_str().ok()).unwrap_or_default());
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Lost {
            request_line: request_line.clone(),
            cause: reason::innermost(&*error),
        })?;
        if let Some(data) = frame.data_ref() {
            sink.take(data).map_err(|cause| Failure::Unreadable {
                request_line: request_line.clone(),
                cause,
            })?;
        }
    }
    Ok(())
}

/// The first `limit` bytes of a body, or all of it if it is shorter.
///
/// # Errors
/// When the connection is lost before that.
pub async fn read_prefix(
    request_line: &RequestLine,
    mut body: Body,
    limit: usize,
) -> Result<Vec<u8>, Failure> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Lost {
            request_line: request_line.clone(),
            cause: reason::innermost(&*error),
        })?;
        let Some(data) = frame.data_ref() else { continue };
        let room = limit - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if kept.len() == limit {
            break;
        }
    }
    Ok(kept)
}

fn path_of<B>(request: &Request<B>) -> &str {
    request.uri().path_and_query().map_or("/", |path| path.as_str())
}

/// A GET for `path_and_query`.
///
/// # Errors
/// When the path is not valid; it may contain names from the command line.
pub fn get(path_and_query: &str) -> Result<Outgoing, Failure> {
    build(Method::GET, path_and_query, None, Bytes::new())
}

/// A request with a body of this content type.
///
/// # Errors
/// When the path is not valid.
pub fn build(
    method: Method,
    path_and_query: &str,
    content_type: Option<&'static str>,
    body: Bytes,
) -> Result<Outgoing, Failure> {
    let mut request = Request::builder().method(method.clone()).uri(path_and_query);
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    request.body(Full::new(body)).map_err(|error| Failure::Unreadable {
        request_line: RequestLine {
            method,
            path: path_and_query.to_owned(),
            ..RequestLine::unknown()
        },
        cause: format!("not a valid request: {error}"),
    })
}
