//! An API server for tests, on loopback: it gives the answers of the test and
//! records the requests.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub version: Version,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    /// The client's certificate, in DER.
    pub certificate: Option<Vec<u8>>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What to answer.
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<String>,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Broken,
    Never,
}

impl Reply {
    pub fn json(text: &str) -> Reply {
        Reply::status(200, text)
    }

    pub fn status(status: u16, text: &str) -> Reply {
        Reply { status, headers: Vec::new(), pieces: vec![text.to_owned()], end: End::Clean }
    }

    pub fn pieces(pieces: &[&str]) -> Reply {
        let pieces = pieces.iter().map(|&piece| piece.to_owned()).collect();
        Reply { status: 200, headers: Vec::new(), pieces, end: End::Clean }
    }

    /// The status and then nothing.
    pub fn silence() -> Reply {
        Reply::pieces(&[]).open()
    }

    /// More is to come, and never does.
    pub fn open(mut self) -> Reply {
        self.end = End::Never;
        self
    }

    /// The connection breaks instead of a proper end.
    pub fn broken(mut self) -> Reply {
        self.end = End::Broken;
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Reply {
        self.headers.push((name, value.to_owned()));
        self
    }
}

struct Script {
    pieces: VecDeque<String>,
    end: End,
    /// Lets what was written arrive before the connection breaks.
    pause: Pin<Box<tokio::time::Sleep>>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(piece) = self.pieces.pop_front() {
            // One piece, one write: the client sees the seams.
            context.waker().wake_by_ref();
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece)))));
        }
        match self.end {
            End::Clean => Poll::Ready(None),
            End::Broken => {
                std::task::ready!(self.pause.as_mut().poll(context));
                Poll::Ready(Some(Err(io::Error::other("broken on purpose"))))
            }
            End::Never => Poll::Pending,
        }
    }
}

type Answer = dyn Fn(&Received, usize) -> Reply + Send + Sync;

pub struct FakeServer {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
}

impl FakeServer {
    /// Plain HTTP. `answer` gets the request and how many came before it.
    pub async fn http(
        answer: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
    ) -> FakeServer {
        FakeServer::start(None, Arc::new(answer)).await
    }

    /// HTTPS with HTTP/2, under an authority of its own.
    pub async fn https(
        pki: &Pki,
        answer: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
    ) -> FakeServer {
        FakeServer::start(Some(pki.acceptor()), Arc::new(answer)).await
    }

    async fn start(tls: Option<TlsAcceptor>, answer: Arc<Answer>) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = FakeServer {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            connections: Arc::default(),
        };
        let (received, connections) =
            (Arc::clone(&server.received), Arc::clone(&server.connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, received) = (Arc::clone(&answer), Arc::clone(&received));
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, None, answer, received).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let peer = stream.get_ref().1.peer_certificates();
                            let certificate = peer.and_then(|chain| Some(chain.first()?.to_vec()));
                            serve(stream, certificate, answer, received).await;
                        }
                    }
                });
            }
        });
        server
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    certificate: Option<Vec<u8>>,
    answer: Arc<Answer>,
    received: Arc<Mutex<Vec<Received>>>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (answer, received, certificate) =
            (Arc::clone(&answer), Arc::clone(&received), certificate.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = Received {
                version: parts.version,
                path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                headers: parts.headers,
                body: String::from_utf8_lossy(&body).into_owned(),
                certificate,
            };
            let before = {
                let mut received = received.lock().unwrap();
                received.push(request.clone());
                received.len() - 1
            };
            let Reply { status, headers, pieces, end } = answer(&request, before);
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let pause = Box::pin(tokio::time::sleep(Duration::from_millis(20)));
            let script = Script { pieces: pieces.into(), end, pause };
            Ok::<_, hyper::Error>(response.body(script).unwrap())
        }
    });
    let connection = auto::Builder::new(TokioExecutor::new());
    // How a connection ends is what the tests are about.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

/// A certificate authority, and what it signs.
pub struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub fn new() -> Pki {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "fake authority");
        let key = KeyPair::generate().unwrap();
        Pki { authority: CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    pub fn authority_pem(&self) -> String {
        self.authority.pem()
    }

    /// Certificate and key in PEM, for a server's names or for a client.
    pub fn issue(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.signed(names);
        (certificate.pem(), key.serialize_pem())
    }

    fn signed(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let (certificate, key) = self.signed(&["127.0.0.1"]);
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let clients =
            WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(clients.unwrap())
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// An HTTP proxy that knows CONNECT; remembers the requests' heads.
pub async fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = client.read_u8().await else { return };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap().to_owned();
            seen.lock().unwrap().push(head);
            let mut server = TcpStream::connect(target).await.unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move {
                // Ends when either side hangs up.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, heads)
}
