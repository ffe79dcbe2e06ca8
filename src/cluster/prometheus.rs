//! Instant queries to a Prometheus, in the cluster or outside.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use ::http::{
    HeaderValue, Method, StatusCode, Uri,
    header::AUTHORIZATION,
    uri::{Authority, PathAndQuery},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use tokio::time;

use super::{
    Cluster, Failure,
    http::{self, Http, read_prefix},
    kubeconfig::{Identity, Target},
    pod_http::{Proxied, end, proxy_path},
    proxy::{self, ProxyEnvironment},
    resource::encode,
};
use crate::output::{Error, text::one_line};

/// Longer answers are rejected.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How much of a malformed answer is shown.
const MAX_SHOWN_BYTES: usize = 200;

/// The address of a Prometheus, or of anything with its API.
#[derive(Clone, PartialEq, Eq)]
pub enum PrometheusAt {
    /// `https://user:password@host/prefix`.
    Url(String),
    /// A Service in the cluster, reached through the API server; the port is a
    /// number or a name.
    Service { namespace: String, name: String, port: String, https: bool },
}

/// One value of a series; a scalar has no labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    /// May be NaN, which compares as false with everything.
    pub value: f64,
}

/// A query that returned no samples.
#[derive(Clone, Debug)]
pub enum PrometheusFailure {
    /// The address cannot be used.
    Address(String),
    /// A failure of the API server, on the way to a Service.
    Cluster(Failure),
    /// No answer, in time or at all.
    Unreachable(String),
    /// Prometheus answered with an error: a wrong query, too much load.
    Refused { code: u16, error: String },
    /// The answer has no samples that can be read.
    Unreadable(String),
}

impl Cluster {
    /// Evaluates `query` now. Never retries, and does not follow redirects,
    /// which would send the password elsewhere.
    ///
    /// # Errors
    /// See [`PrometheusFailure`].
    pub async fn prometheus(
        &self,
        at: &PrometheusAt,
        query: &str,
        timeout: Duration,
    ) -> Result<Vec<Sample>, PrometheusFailure> {
        let path = format!("api/v1/query?query={}", encode(query));
        // One byte more, to detect answers that are too long.
        let limit = MAX_ANSWER_BYTES + 1;
        let (code, body) = match at {
            PrometheusAt::Service { namespace, name, port, https } => {
                let path = proxy_path(namespace, "services", &end(name, port, *https), &path);
                let proxied = self.proxied(&Method::GET, &path, limit, timeout).await;
                match proxied.map_err(PrometheusFailure::Cluster)? {
                    Proxied::Status { code, body } => (code, body),
                    Proxied::Unreachable { why } => {
                        return Err(PrometheusFailure::Unreachable(why));
                    }
                }
            }
            PrometheusAt::Url(url) => {
                let (http, authorization) = self.direct(url)?;
                let unreachable =
                    |failure: Failure| PrometheusFailure::Unreachable(failure.to_string());
                let mut request = http::get(&format!("/{path}")).map_err(unreachable)?;
                if let Some(authorization) = authorization {
                    request.headers_mut().insert(AUTHORIZATION, authorization);
                }
                let request_line = http.request_line(&request);
                let asking = async {
                    let answer = http.send_once(request).await?;
                    let code = answer.status().as_u16();
                    Ok((code, read_prefix(&request_line, answer.into_body(), limit).await?))
                };
                let late =
                    || PrometheusFailure::Unreachable(format!("no answer within {timeout:?}"));
                let answer = time::timeout(timeout, asking).await.map_err(|_| late())?;
                answer.map_err(unreachable)?
            }
        };
        samples(code, &body)
    }

    /// A separate client for a server outside the cluster: with the proxy of the
    /// environment and the system's CAs, without the cluster's credentials.
    fn direct(&self, url: &str) -> Result<(Http, Option<HeaderValue>), PrometheusFailure> {
        let (server, authorization) = parsed(url)?;
        let unusable = |error: Error| PrometheusFailure::Address(error.headline().to_owned());
        let proxy = proxy::choose(None, "", &server, &ProxyEnvironment::read());
        let mut config = kube::Config::new(server);
        config.proxy_url = proxy.map_err(unusable)?;
        let target = Target {
            context: None,
            namespace: String::new(),
            configured: true,
            config,
            identity: Identity::Anonymous,
        };
        let http = Http::new(target, None, Arc::default(), self.terminal).map_err(unusable)?;
        Ok((http, authorization))
    }
}

/// Splits an address into a URL without user and password, and a header with
/// them. Errors do not repeat the address: it may contain a password.
fn parsed(url: &str) -> Result<(Uri, Option<HeaderValue>), PrometheusFailure> {
    let wrong = |why: &str| PrometheusFailure::Address(why.to_owned());
    let uri: Uri = url.parse().map_err(|_| wrong("the address is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("the address must begin with http:// or https://"));
    }
    let mut parts = uri.into_parts();
    if parts.path_and_query.as_ref().is_some_and(|path| path.query().is_some()) {
        return Err(wrong("the address must not have a query"));
    }
    let prefix = parts.path_and_query.as_ref().map_or("/", PathAndQuery::path);
    let prefix = format!("/{}", prefix.trim_matches('/'));
    parts.path_and_query = prefix.parse().ok();
    let authority = parts.authority.as_ref().map_or("", Authority::as_str).to_owned();
    let mut authorization = None;
    if let Some((user, host)) = authority.rsplit_once('@') {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let [name, password] = [name, password].map(|word| percent_decode_str(word).collect());
        let (mut user, password): (Vec<u8>, Vec<u8>) = (name, password);
        user.push(b':');
        user.extend(password);
        let basic = format!("Basic {}", BASE64_STANDARD.encode(user));
        let mut header = HeaderValue::try_from(basic).map_err(|_| {
            wrong("the password has characters that are not allowed in an HTTP header")
        })?;
        header.set_sensitive(true);
        authorization = Some(header);
        parts.authority = Some(host.parse().map_err(|_| wrong("the address is not a URL"))?);
    }
    let uri = Uri::from_parts(parts).map_err(|_| wrong("the address is not a URL"))?;
    Ok((uri, authorization))
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Absent for a histogram.
    value: Option<Point>,
}

/// A time and a value as text.
#[derive(Deserialize)]
struct Point(#[expect(dead_code, reason = "part of the array")] f64, String);

fn samples(code: u16, body: &[u8]) -> Result<Vec<Sample>, PrometheusFailure> {
    let unreadable = |why: String| PrometheusFailure::Unreadable(why);
    let success = StatusCode::from_u16(code).is_ok_and(|code| code.is_success());
    if body.len() > MAX_ANSWER_BYTES {
        return Err(unreadable(format!("the answer is longer than {MAX_ANSWER_BYTES} bytes")));
    }
    let reply = match serde_json::from_slice::<Reply>(body) {
        Ok(reply) => reply,
        Err(error) if success => return Err(unreadable(error.to_string())),
        Err(_) => {
            let shown = String::from_utf8_lossy(&body[..body.len().min(MAX_SHOWN_BYTES)]);
            return Err(PrometheusFailure::Refused { code, error: one_line(&shown) });
        }
    };
    if !success || reply.status != "success" {
        return Err(PrometheusFailure::Refused { code, error: one_line(&reply.error) });
    }
    let Some(Data { result_type, result }) = reply.data else {
        return Err(unreadable("it has no data".to_owned()));
    };
    let misshapen = |error: serde_json::Error| unreadable(error.to_string());
    match result_type.as_str() {
        "vector" => {
            let series: Vec<Series> = serde_json::from_value(result).map_err(misshapen)?;
            let sample =
                |series: Series| Ok(Sample { value: number(series.value)?, labels: series.metric });
            series.into_iter().map(sample).collect()
        }
        "scalar" => {
            let point: Point = serde_json::from_value(result).map_err(misshapen)?;
            Ok(vec![Sample { labels: BTreeMap::new(), value: number(Some(point))? }])
        }
        other => Err(unreadable(format!(
            "the query returns a {}, not an instant vector or a scalar",
            one_line(other)
        ))),
    }
}

fn number(point: Option<Point>) -> Result<f64, PrometheusFailure> {
    let Some(Point(_, text)) = point else {
        return Err(PrometheusFailure::Unreadable("a histogram is not a number".to_owned()));
    };
    // Rust parses `NaN`, `+Inf` and `-Inf` too.
    text.parse().map_err(|_| {
        PrometheusFailure::Unreadable(format!("{:?} is not a number", one_line(&text)))
    })
}

impl fmt::Debug for PrometheusAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PrometheusAt {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrometheusAt::Url(url) => match parsed(url) {
                Ok((uri, _)) => write!(f, "{uri}"),
                Err(_) => f.write_str("<not a URL>"),
            },
            PrometheusAt::Service { namespace, name, port, https } => {
                let scheme = if *https { "https" } else { "http" };
                write!(f, "service {namespace}/{name}:{port} ({scheme})")
            }
        }
    }
}

impl fmt::Display for PrometheusFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrometheusFailure::Address(why) | PrometheusFailure::Unreachable(why) => {
                f.write_str(why)
            }
            PrometheusFailure::Cluster(failure) => write!(f, "{failure}"),
            PrometheusFailure::Refused { code, error } if error.is_empty() => {
                write!(f, "Prometheus answered {code}")
            }
            PrometheusFailure::Refused { code, error } => {
                write!(f, "Prometheus answered {code}: {error}")
            }
            PrometheusFailure::Unreadable(why) => {
                write!(f, "cannot read the answer: {why}")
            }
        }
    }
}

impl std::error::Error for PrometheusFailure {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            fake_server::{FakeServer, Pki, Received, Reply},
            tests::{args, connect},
        },
        *,
    };

    const LONG: Duration = Duration::from_secs(5);
    const UP: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"__name__":"up","pod":"web-0"},"value":[1700000000.1,"1"]},
        {"metric":{},"value":[1700000000.1,"+Inf"]}]}}"#;

    async fn asked(
        at: impl Fn(&FakeServer) -> PrometheusAt,
        timeout: Duration,
        reply: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
    ) -> (Result<Vec<Sample>, PrometheusFailure>, Vec<Received>) {
        let server = FakeServer::http(reply).await;
        let cluster = connect(&server, args());
        let samples = cluster.prometheus(&at(&server), "up{a=\"b c\"} > 1", timeout).await;
        (samples, server.received())
    }

    fn url(server: &FakeServer) -> PrometheusAt {
        PrometheusAt::Url(format!("http://me:p%40ss@{}/prefix/", server.address))
    }

    fn service(_: &FakeServer) -> PrometheusAt {
        PrometheusAt::Service {
            namespace: "monitoring".to_owned(),
            name: "prometheus".to_owned(),
            port: "web".to_owned(),
            https: true,
        }
    }

    fn said(code: u16, body: &str) -> String {
        match samples(code, body.as_bytes()) {
            Ok(samples) => format!("{samples:?}"),
            Err(failure) => failure.to_string(),
        }
    }

    #[tokio::test]
    async fn both_ways_lead_to_the_query() {
        let query = "api/v1/query?query=up%7Ba%3D%22b%20c%22%7D%20%3E%201";
        let (samples, received) = asked(url, LONG, |_, _| Reply::json(UP)).await;
        let samples = samples.unwrap();
        assert_eq!(samples[0].labels["pod"], "web-0");
        assert_eq!([samples[0].value, samples[1].value].to_vec(), [1.0, f64::INFINITY]);
        assert_eq!(received[0].path, format!("/prefix/{query}"));
        let basic = format!("Basic {}", BASE64_STANDARD.encode("me:p@ss"));
        assert_eq!(received[0].header("authorization"), Some(basic.as_str()));

        let (samples, received) = asked(service, LONG, |_, _| Reply::json(UP)).await;
        assert_eq!(samples.unwrap().len(), 2);
        let service = "/api/v1/namespaces/monitoring/services/https:prometheus:web/proxy";
        assert_eq!(received[0].path, format!("{service}/{query}"));
    }

    #[test]
    fn answers_are_read_or_said() {
        let data = |kind: &str, result: Value| {
            json!({"status": "success", "data": {"resultType": kind, "result": result}}).to_string()
        };
        let scalar = samples(200, data("scalar", json!([1.5, "2.5e3"])).as_bytes()).unwrap();
        assert_eq!(scalar, [Sample { labels: BTreeMap::new(), value: 2500.0 }]);
        assert!(samples(200, data("vector", json!([])).as_bytes()).unwrap().is_empty());
        let nan = samples(200, data("scalar", json!([1, "NaN"])).as_bytes()).unwrap();
        assert!(nan[0].value.is_nan());
        let negative = samples(200, data("scalar", json!([1, "-Inf"])).as_bytes()).unwrap();
        assert!(negative[0].value < f64::MIN);

        let bad = r#"{"status":"error","errorType":"bad_data","error":"parse error: x"}"#;
        assert_eq!(said(400, bad), "Prometheus answered 400: parse error: x");
        assert_eq!(said(200, bad), "Prometheus answered 200: parse error: x");
        assert_eq!(said(302, ""), "Prometheus answered 302");
        assert_eq!(
            said(401, "no\nentry"),
            format!("Prometheus answered 401: {}", one_line("no\nentry"))
        );
        for (body, why) in [
            ("<html>".to_owned(), "expected value"),
            (data("matrix", json!([])), "returns a matrix"),
            (data("vector", json!([{"metric": {}, "histogram": [1, {}]}])), "histogram"),
            (data("vector", json!([{"metric": {}, "value": [1, "one"]}])), "is not a number"),
            (data("vector", json!({})), "expected a sequence"),
            (r#"{"status":"success"}"#.to_owned(), "no data"),
            ("[".repeat(100_000), "cannot read"),
            ("x".repeat(MAX_ANSWER_BYTES + 1), "longer than"),
        ] {
            let said = said(200, &body);
            assert!(said.contains("cannot read") && said.contains(why), "{said}");
        }
    }

    #[tokio::test]
    async fn a_hostile_answer_costs_neither_time_nor_memory() {
        let short = Duration::from_millis(200);
        for at in [url, service] {
            let (late, _) = asked(at, short, |_, _| Reply::pieces(&["{"]).open()).await;
            assert!(matches!(late, Err(PrometheusFailure::Unreachable(_))), "{late:?}");
            let (endless, _) = asked(at, LONG, |_, _| {
                let piece = " ".repeat(MAX_ANSWER_BYTES / 2);
                Reply::pieces(&[&piece, &piece, &piece]).open()
            })
            .await;
            assert!(matches!(endless, Err(PrometheusFailure::Unreadable(_))), "{endless:?}");
            let (elsewhere, received) = asked(at, LONG, |request, _| {
                let host = request.header("host").unwrap_or_default();
                Reply::status(302, "").header("location", &format!("http://{host}/else"))
            })
            .await;
            assert!(matches!(elsewhere, Err(PrometheusFailure::Refused { code: 302, .. })));
            assert_eq!(received.len(), 1, "redirects are not followed");
            let (busy, received) = asked(at, LONG, |_, _| Reply::status(503, "busy")).await;
            assert!(matches!(busy, Err(PrometheusFailure::Refused { code: 503, .. })), "{busy:?}");
            assert_eq!(received.len(), 1, "it is asked once");
        }
        let no = r#"{"kind":"Status","code":403,"reason":"Forbidden","message":"no"}"#;
        let (forbidden, _) = asked(service, LONG, |_, _| Reply::status(403, no)).await;
        assert!(matches!(forbidden, Err(PrometheusFailure::Cluster(Failure::Forbidden(_)))));
    }

    #[tokio::test]
    async fn an_address_is_checked_and_its_password_kept() {
        let server = FakeServer::http(|_, _| Reply::json(UP)).await;
        let cluster = connect(&server, args());
        for address in
            ["", "host", "ftp://u:secret@h", "http://u:secret@h/?x=1", "http://u:secret@[/"]
        {
            let at = PrometheusAt::Url(address.to_owned());
            let failure = cluster.prometheus(&at, "up", LONG).await.unwrap_err();
            assert!(matches!(failure, PrometheusFailure::Address(_)), "{address}: {failure:?}");
            assert!(
                !format!("{failure} {failure:?} {at} {at:?}").contains("secret"),
                "{failure:?}"
            );
        }
        assert_eq!(url(&server).to_string(), format!("http://{}/prefix", server.address));

        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let at = PrometheusAt::Url(format!("http://u:secret@{address}"));
        let failure = cluster.prometheus(&at, "up", LONG).await.unwrap_err();
        assert!(matches!(failure, PrometheusFailure::Unreachable(_)), "{failure:?}");
        assert!(!format!("{failure} {failure:?}").contains("secret"), "{failure:?}");

        let stranger = FakeServer::https(&Pki::new(), |_, _| Reply::json(UP)).await;
        let at = PrometheusAt::Url(format!("https://{}", stranger.address));
        let failure = cluster.prometheus(&at, "up", LONG).await.unwrap_err();
        assert!(failure.to_string().contains("certificate"), "{failure}");
        assert!(stranger.received().is_empty());
    }
}
