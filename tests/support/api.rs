//! An HTTP client for the API server: tests read and change objects with it,
//! and the fault proxy forwards requests with it.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::Value;

use super::runtime;

/// A server, the certificates to trust, and the token to send.
#[derive(Clone)]
pub struct Upstream {
    server: String,
    token: Option<String>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Upstream {
    /// A server without TLS and without credentials.
    pub fn plain(server: &str) -> Upstream {
        Upstream::build(server, RootCertStore::empty(), None)
    }

    /// An API server, trusted through the PEM certificates `ca`, as the bearer of `token`.
    pub fn new(server: &str, ca: &[u8], token: &str) -> Upstream {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca) {
            roots.add(certificate.expect("a PEM certificate")).expect("a CA certificate");
        }
        Upstream::build(server, roots, Some(token.to_owned()))
    }

    fn build(server: &str, roots: RootCertStore, token: Option<String>) -> Upstream {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(hyper_util::rt::TokioTimer::new())
            // The API server keeps idle connections for longer than this.
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Upstream { server: server.trim_end_matches('/').to_owned(), token, client }
    }

    /// The same server, with whatever credentials a request carries.
    pub fn without_token(self) -> Upstream {
        Upstream { token: None, ..self }
    }

    /// Sends a request whose URI is a path, with the token if there is one.
    pub async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Error> {
        let uri = format!("{}{}", self.server, request.uri());
        *request.uri_mut() = uri.parse().expect("a server and a path make a URI");
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {token}").parse().expect("a token is a header value");
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        self.client.request(request).await
    }
}

/// A blocking JSON client, for what a test asserts about the cluster.
#[derive(Clone)]
pub struct Api(Upstream);

impl Api {
    pub fn new(upstream: Upstream) -> Api {
        Api(upstream)
    }

    /// The object at `path`, or `None` when there is none.
    ///
    /// # Panics
    /// On every answer but 200 and 404.
    #[track_caller]
    pub fn get(&self, path: &str) -> Option<Value> {
        match self.request(Method::GET, path, None, "") {
            (StatusCode::OK, body) => Some(body),
            (StatusCode::NOT_FOUND, _) => None,
            (status, body) => panic!("GET {path}: {status} {body}"),
        }
    }

    /// A header of the answer from `path`; `None` unless it is 200 and has it.
    pub fn header(&self, path: &str, name: &'static str) -> Option<String> {
        let request = Request::get(path).body(Full::default()).expect("a path is a URI");
        let upstream = self.0.clone();
        runtime::block_on(async move {
            let answer = upstream.send(request).await.ok()?;
            let value = answer.headers().get(name)?.to_str().ok()?.to_owned();
            (answer.status() == StatusCode::OK).then_some(value)
        })
    }

    /// Creates `object` in the collection at `path`.
    #[track_caller]
    pub fn create(&self, path: &str, object: &Value) -> Value {
        self.expect(&Method::POST, path, Some(object), "application/json")
    }

    /// Applies a JSON merge patch.
    #[track_caller]
    pub fn patch(&self, path: &str, patch: &Value) -> Value {
        self.expect(&Method::PATCH, path, Some(patch), "application/merge-patch+json")
    }

    /// Deletes what is at `path`. It may be gone already.
    #[track_caller]
    pub fn delete(&self, path: &str) {
        let (status, body) = self.request(Method::DELETE, path, None, "");
        let gone = status.is_success() || status == StatusCode::NOT_FOUND;
        assert!(gone, "DELETE {path}: {status} {body}");
    }

    #[track_caller]
    fn expect(&self, method: &Method, path: &str, body: Option<&Value>, content: &str) -> Value {
        let (status, answer) = self.request(method.clone(), path, body, content);
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// Sends one request; returns `(599, error)` if there is no answer.
    pub fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        content_type: &str,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = request.body(Full::new(bytes)).expect("a path is a URI");
        let upstream = self.0.clone();
        runtime::block_on(async move {
            match read(&upstream, request).await {
                Ok(answer) => answer,
                Err(error) => {
                    let no_answer = StatusCode::from_u16(599).expect("a status code");
                    (no_answer, Value::String(format!("{error:?}")))
                }
            }
        })
    }
}

async fn read(
    upstream: &Upstream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Value), Box<dyn std::error::Error + Send + Sync>> {
    let response = upstream.send(request).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
}
