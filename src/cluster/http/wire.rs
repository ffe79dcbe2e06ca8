//! Connections, as few as possible.
//!
//! Over TLS we offer HTTP/2, and then one connection carries all requests of
//! a run. hyper's pool learns the protocol only from an open connection, so
//! concurrent first requests would each open one. So the first connection is
//! opened here, under a lock, and given to a pool that knows its protocol.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Request, Response, Uri, header::UPGRADE};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    rt::{Read, ReadBufCursor, Write},
};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::{
            self,
            connect::{
                Connected, Connection, HttpConnector,
                proxy::{SocksV5, Tunnel},
            },
        },
        proxy::matcher::Matcher,
    },
    rt::{TokioExecutor, TokioTimer},
};
use kube::client::ConfigExt as _;
use rustls::client::Resumption;
use tower::{BoxError, Service, ServiceExt as _, util::BoxCloneSyncService};

use super::{
    super::{
        credentials::Credentials,
        error::{Failure, RequestLine},
    },
    reason,
};
use crate::output::{Error, Exit};

/// As client-go: `net.Dialer{Timeout: 30s}` in `transport/cache.go`, here
/// including the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// client-go's `HTTP2_READ_IDLE_TIMEOUT_SECONDS` and
/// `HTTP2_PING_TIMEOUT_SECONDS`: a dead server under a quiet watch is noticed
/// after 45 s.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Without HTTP/2 there are no pings; three unanswered TCP keepalive probes
/// end a connection.
const KEEPALIVE_PROBES: u32 = 3;

/// How long an HTTP/1.1 connection is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// The client certificate that the connection of a request must have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateGeneration(pub u64);

type Dial = BoxCloneSyncService<Uri, Io, BoxError>;
type Secured = HttpsConnector<Dial>;
type Stream = <Secured as Service<Uri>>::Response;
type Client = legacy::Client<Connector, Full<Bytes>>;

pub struct Wire {
    server: Uri,
    configured: bool,
    proxy: Option<String>,
    multiplexed: Secured,
    /// For exec and port-forward: Kubernetes upgrades only HTTP/1.1 connections
    /// to `WebSocket`.
    upgradable: Secured,
    upgrades: OnceLock<Client>,
    pool: tokio::sync::Mutex<Pool>,
    stale: Mutex<bool>,
}

#[derive(Default)]
struct Pool {
    client: Option<(Client, CertificateGeneration)>,
    /// The last failed attempt to connect, for requests that waited for it.
    failed: Option<(Instant, Failure)>,
}

impl Wire {
    pub fn new(
        config: &kube::Config,
        configured: bool,
        credentials: &Credentials,
    ) -> Result<Wire, Error> {
        let unusable = |error: &(dyn std::error::Error + 'static)| {
            Error::new(Exit::Error, "the TLS settings cannot be used").caused_by_chain(error)
        };
        let dial = dial(config)?;
        let secure = config.cluster_url.scheme_str() == Some("https");
        let tls = if secure {
            let mut tls = config.rustls_client_config().map_err(|error| unusable(&error))?;
            if credentials.come_from_a_plugin() {
                if !tls.client_auth_cert_resolver.has_certs() {
                    tls.client_auth_cert_resolver = Arc::clone(&credentials.certificate) as Arc<_>;
                }
                // A resumed session would keep the old certificate.
                tls.resumption = Resumption::disabled();
            }
            tls
        } else {
            unused_tls()
        };
        let secured = |protocols: Protocols| -> Result<Secured, Error> {
            let mut builder =
                HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
            if let Some(name) = &config.tls_server_name {
                let name = name.clone().try_into().map_err(|_| {
                    Error::new(Exit::Error, format!("{name:?} is not a valid --tls-server-name"))
                })?;
                builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
            }
            Ok(match protocols {
                Protocols::All => builder.enable_all_versions().wrap_connector(dial.clone()),
                Protocols::Http1 => builder.enable_http1().wrap_connector(dial.clone()),
            })
        };
        Ok(Wire {
            server: config.cluster_url.clone(),
            configured,
            proxy: config.proxy_url.as_ref().map(without_password),
            multiplexed: secured(Protocols::All)?,
            upgradable: secured(Protocols::Http1)?,
            upgrades: OnceLock::new(),
            pool: tokio::sync::Mutex::default(),
            stale: Mutex::new(false),
        })
    }

    /// Sends a request over the shared connection.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let request_line = RequestLine {
            method: request.method().clone(),
            path: super::path_of(&request).to_owned(),
            ..RequestLine::unknown()
        };
        let client = if request.headers().contains_key(UPGRADE) {
            self.upgrades
                .get_or_init(|| {
                    client(Connector { secured: self.upgradable.clone(), first: None }, false)
                })
                .clone()
        } else {
            let generation = request.extensions().get().copied().unwrap_or_default();
            self.client(generation).await?
        };
        client.request(request).await.map_err(|error| {
            if error.is_connect() {
                // The server may speak another protocol next time.
                self.disconnect();
                return self.unreachable(&error);
            }
            Failure::Lost { request_line, cause: reason::innermost(&error) }
        })
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        reason::unreachable(error, &self.server, self.proxy.as_deref(), self.configured)
    }

    /// Drops the pool; connections in use stay open until they are done.
    fn disconnect(&self) {
        *self.stale.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    async fn client(&self, generation: CertificateGeneration) -> Result<Client, Failure> {
        let arrived = Instant::now();
        let mut pool = self.pool.lock().await;
        let stale = std::mem::take(&mut *self.stale.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((client, made_with)) = &pool.client
            && *made_with == generation
            && !stale
        {
            return Ok(client.clone());
        }
        // Requests that waited for one connection fail together with it,
        // instead of each trying again.
        if let Some((when, failure)) = &pool.failed
            && *when >= arrived
        {
            return Err(failure.clone());
        }
        let secured = self.multiplexed.clone();
        match connect(secured.clone(), self.server.clone()).await {
            Ok(first) => {
                let http2 = first.connected().is_negotiated_h2();
                let first = FirstConnection { http2, stream: Mutex::new(Some(first)) };
                let connector = Connector { secured, first: Some(Arc::new(first)) };
                let client = client(connector, http2);
                pool.client = Some((client.clone(), generation));
                Ok(client)
            }
            Err(error) => {
                let failure = self.unreachable(&*error);
                pool.client = None;
                pool.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Protocols {
    All,
    Http1,
}

/// A plain HTTP server needs no TLS, but the type of the connector requires a
/// configuration, and loading the system's root certificates takes time.
fn unused_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

fn client(connector: Connector, http2: bool) -> Client {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
    if http2 {
        builder
            .http2_only(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            // Pings detect a dead connection; a run keeps its one connection.
            .pool_idle_timeout(None);
    } else {
        builder.pool_idle_timeout(IDLE_TIMEOUT);
    }
    builder.build(connector)
}

/// The address of a proxy, without user and password.
fn without_password(proxy: &Uri) -> String {
    let authority = proxy.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{}://{host}", proxy.scheme_str().unwrap_or("http"))
}

/// TCP, directly or through a proxy.
fn dial(config: &kube::Config) -> Result<Dial, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(PING_INTERVAL));
    tcp.set_keepalive_interval(Some(PING_TIMEOUT));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let Some(proxy) = &config.proxy_url else { return Ok(boxed(tcp)) };
    // Extracts user and password from the address and decodes them.
    let intercepted = Matcher::builder().all(proxy.to_string()).build();
    let intercepted = intercepted.intercept(&config.cluster_url).ok_or_else(|| {
        Error::new(Exit::Error, format!("the proxy address {:?} cannot be used", proxy.host()))
    })?;
    let address = intercepted.uri().clone();
    if matches!(proxy.scheme_str(), Some("socks5" | "socks5h")) {
        let socks = SocksV5::new(address, tcp);
        return Ok(boxed(match intercepted.raw_auth() {
            Some((user, password)) => socks.with_auth(user.to_owned(), password.to_owned()),
            None => socks,
        }));
    }
    let authorization = intercepted.basic_auth().cloned();
    if proxy.scheme_str() == Some("https") {
        let tls = config.rustls_client_config().map_err(|error| {
            Error::new(Exit::Error, "cannot set up TLS to the proxy").caused_by_chain(&error)
        })?;
        let secured = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let tunnel = Tunnel::new(address, secured);
        return Ok(boxed(match authorization {
            Some(header) => tunnel.with_auth(header),
            None => tunnel,
        }));
    }
    let tunnel = Tunnel::new(address, tcp);
    Ok(boxed(match authorization {
        Some(header) => tunnel.with_auth(header),
        None => tunnel,
    }))
}

/// Boxes every kind of dialer as one type.
fn boxed<S>(service: S) -> Dial
where
    S: Service<Uri> + Clone + Send + Sync + 'static,
    S::Response: Read + Write + Connection + Send + Unpin + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    let service = service.map_response(|stream| Io(Box::new(stream))).map_err(Into::into);
    BoxCloneSyncService::new(service)
}

/// Opens connections for a pool, which gets its first one ready-made.
#[derive(Clone)]
struct Connector {
    secured: Secured,
    first: Option<Arc<FirstConnection>>,
}

struct FirstConnection {
    http2: bool,
    stream: Mutex<Option<Stream>>,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let (secured, first) = (self.secured.clone(), self.first.clone());
        Box::pin(async move {
            let Some(first) = first else { return connect(secured, server).await };
            let stream = first.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(stream) = stream {
                return Ok(stream);
            }
            let stream = connect(secured, server).await?;
            if first.http2 && !stream.connected().is_negotiated_h2() {
                return Err("the server no longer speaks HTTP/2".into());
            }
            Ok(stream)
        })
    }
}

async fn connect(mut secured: Secured, server: Uri) -> Result<Stream, BoxError> {
    let connecting = async { secured.ready().await?.call(server).await };
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

/// A byte stream: TCP, or a tunnel through a proxy.
struct Io(Box<dyn Bytestream>);

trait Bytestream: Read + Write + Connection + Send + Unpin {}

impl<T: Read + Write + Connection + Send + Unpin> Bytestream for T {}

impl Connection for Io {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(context, slices)
    }
}
