//! HTTP to a pod or a Service through the API server.

use std::time::Duration;

use ::http::{Method, StatusCode};
use hyper::body::Bytes;
use tokio::time;

use super::{
    Cluster, Failure, Status,
    error::RequestLine,
    http::{self, read_prefix},
    resource::encode,
};

/// How much of a body is kept: enough for a message.
const MAX_BODY_BYTES: usize = 4 << 10;
/// At least this much of an error is read: a truncated `Status` of the API
/// server would look like an answer of the application.
const MAX_STATUS_BYTES: usize = 64 << 10;

/// The answer of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// From the application.
    Status { code: u16, body: String },
    /// No answer from the application, in time or at all.
    Unreachable { why: String },
}

/// The same, with as much of the body as the caller wants.
pub(super) enum Proxied {
    Status { code: u16, body: Vec<u8> },
    Unreachable { why: String },
}

impl Cluster {
    /// Sends a GET to a pod; see [`Cluster::pod_http`].
    ///
    /// # Errors
    /// As there.
    pub async fn pod_get(
        &self,
        pod: &str,
        port: &str,
        https: bool,
        path: &str,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        self.pod_http(&Method::GET, pod, port, https, path, timeout).await
    }

    /// Sends a request to a pod; the path may have a query. The port is a
    /// number, because the API server does not resolve port names of pods: see
    /// [`crate::workload::PodTemplate::port`]. Never retries, and returns
    /// redirects as answers.
    ///
    /// # Errors
    /// When the API server cannot be reached, or rejects the request.
    pub async fn pod_http(
        &self,
        method: &Method,
        pod: &str,
        port: &str,
        https: bool,
        path: &str,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let path = proxy_path(self.namespace(), "pods", &end(pod, port, https), path);
        Ok(match self.proxied(method, &path, MAX_BODY_BYTES, timeout).await? {
            Proxied::Status { code, mut body } => {
                body.truncate(MAX_BODY_BYTES);
                Answer::Status { code, body: String::from_utf8_lossy(&body).into_owned() }
            }
            Proxied::Unreachable { why } => Answer::Unreachable { why },
        })
    }

    /// Sends one request through a `proxy` subresource, and reads at most `limit`
    /// bytes of a successful answer.
    pub(super) async fn proxied(
        &self,
        method: &Method,
        path: &str,
        limit: usize,
        timeout: Duration,
    ) -> Result<Proxied, Failure> {
        let request = http::build(method.clone(), path, None, Bytes::new())?;
        let request_line = self.http.request_line(&request);
        let asking = async {
            let answer = self.http.send_once(request).await?;
            let code = answer.status();
            let limit = if code.is_success() { limit } else { limit.max(MAX_STATUS_BYTES) };
            let body = read_prefix(&request_line, answer.into_body(), limit).await?;
            classify(&request_line, code, body)
        };
        let late = || Proxied::Unreachable { why: format!("no answer within {timeout:?}") };
        time::timeout(timeout, asking).await.unwrap_or_else(|_| Ok(late()))
    }
}

/// `https:web-0:8443`.
pub(super) fn end(name: &str, port: &str, https: bool) -> String {
    let scheme = if https { "https:" } else { "" };
    format!("{scheme}{}:{}", encode(name), encode(port))
}

pub(super) fn proxy_path(namespace: &str, resource: &str, end: &str, path: &str) -> String {
    let (namespace, path) = (encode(namespace), path.trim_start_matches('/'));
    format!("/api/v1/namespaces/{namespace}/{resource}/{end}/proxy/{path}")
}

/// Tells an answer of the application from one of the API server, which is a
/// `Status` about permissions, the object or the connection ("error trying to
/// reach service", `apimachinery/pkg/util/proxy`).
fn classify(
    request_line: &RequestLine,
    code: StatusCode,
    body: Vec<u8>,
) -> Result<Proxied, Failure> {
    let of_application = |body| Ok(Proxied::Status { code: code.as_u16(), body });
    let Some(status) = Status::of_server(&body).filter(|status| status.code == code.as_u16())
    else {
        return of_application(body);
    };
    let kind = status.details.as_ref().map_or("", |details| details.kind.as_str());
    match (code.as_u16(), status.reason.as_str()) {
        (401, "Unauthorized") | (403, "Forbidden") => {
            Err(Failure::from_status(request_line.clone(), status))
        }
        (404, "NotFound") if matches!(kind, "pods" | "services") => {
            Err(Failure::from_status(request_line.clone(), status))
        }
        // 400: the pod has no address yet. 429: the server is busy.
        (400 | 429 | 500 | 502..=504, _) => Ok(Proxied::Unreachable { why: status.message }),
        _ => of_application(body),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            fake_server::{FakeServer, Reply},
            tests::{args, connect},
        },
        *,
    };

    const LONG: Duration = Duration::from_secs(5);

    async fn answered(reply: fn() -> Reply) -> Result<Answer, Failure> {
        let server = FakeServer::http(move |_, _| reply()).await;
        let answer = connect(&server, args()).pod_get("web-0", "80", false, "/ok?a=b", LONG).await;
        let paths: Vec<String> = server.received().into_iter().map(|r| r.path).collect();
        assert_eq!(paths, ["/api/v1/namespaces/default/pods/web-0:80/proxy/ok?a=b"], "asked once");
        answer
    }

    fn own(code: u16, reason: &str, kind: &str) -> Reply {
        let details = json!({"name": "web-0", "kind": kind});
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "code": code, "reason": reason, "message": "why", "details": details,
        });
        Reply::status(code, &status.to_string())
    }

    fn status(code: u16, body: &str) -> Answer {
        Answer::Status { code, body: body.to_owned() }
    }

    #[tokio::test]
    async fn what_the_application_answers_is_an_answer() {
        assert_eq!(answered(|| Reply::json("fine")).await.unwrap(), status(200, "fine"));
        for code in [301, 401, 403, 404, 418, 500, 502, 503] {
            let server = FakeServer::http(move |_, _| {
                Reply::status(code, "mine").header("location", "/else")
            })
            .await;
            let cluster = connect(&server, args());
            let answer = cluster.pod_get("web-0", "80", false, "", LONG).await.unwrap();
            assert_eq!(answer, status(code, "mine"));
            assert_eq!(server.received().len(), 1, "{code} is not asked again");
        }
        let missing = answered(|| own(404, "NotFound", "widgets")).await.unwrap();
        assert!(matches!(missing, Answer::Status { code: 404, .. }), "an API behind the API");
    }

    #[tokio::test]
    async fn what_the_api_server_says_is_told_apart() {
        let why = Answer::Unreachable { why: "why".to_owned() };
        assert_eq!(answered(|| own(503, "ServiceUnavailable", "")).await.unwrap(), why);
        assert_eq!(answered(|| own(400, "BadRequest", "")).await.unwrap(), why);
        let failure = answered(|| own(403, "Forbidden", "pods")).await.unwrap_err();
        assert!(matches!(failure, Failure::Forbidden(_)), "{failure:?}");
        let failure = answered(|| own(401, "Unauthorized", "")).await.unwrap_err();
        assert!(matches!(failure, Failure::Unauthorized(_)), "{failure:?}");
        let long = answered(|| own(403, "Forbidden", &"pods ".repeat(2000))).await.unwrap_err();
        assert!(matches!(long, Failure::Forbidden(_)), "{long:?}");
        let failure = answered(|| own(404, "NotFound", "pods")).await.unwrap_err();
        assert!(matches!(failure, Failure::NotFound(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn no_answer_holds_it_up() {
        let long = "x".repeat(3000);
        let server = FakeServer::http(move |request, _| match request.path.as_str() {
            path if path.ends_with("/long") => Reply::pieces(&[&long, &long, &long]).open(),
            path if path.ends_with("/short") => Reply::pieces(&["half an"]).open(),
            _ => Reply::pieces(&["half an"]).broken(),
        })
        .await;
        let cluster = connect(&server, args());
        let get = async |path| {
            cluster.pod_get("web-0", "443", true, path, Duration::from_millis(300)).await
        };
        assert_eq!(get("/long").await.unwrap(), status(200, &"x".repeat(MAX_BODY_BYTES)));
        let late = Answer::Unreachable { why: "no answer within 300ms".to_owned() };
        assert_eq!(get("/short").await.unwrap(), late);
        let failure = get("/broken").await.unwrap_err();
        assert!(matches!(failure, Failure::Lost { .. }), "{failure:?}");
        let asked = &server.received()[0].path;
        assert_eq!(asked, "/api/v1/namespaces/default/pods/https:web-0:443/proxy/long");
    }
}
