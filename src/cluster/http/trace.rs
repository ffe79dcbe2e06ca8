//! `-v`: requests and answers as kubectl logs them, without secrets. From 6 on
//! a line per request, from 7 on headers, from 8 on bodies.

use std::time::Duration;

use http::{HeaderMap, HeaderName, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use serde_json::Value;

use super::{
    super::error::{Failure, RequestLine},
    Body, Outgoing,
};
use crate::output::Terminal;

const LINES: u8 = 6;
const HEADERS: u8 = 7;
const BODIES: u8 = 8;
/// From here on bodies are not truncated.
const WHOLE_BODIES: u8 = 9;

/// kubectl's limit for a body at `-v=8`.
const BODY_LIMIT: usize = 1024;

const REDACTED: &str = "<redacted>";

pub fn request(terminal: Terminal, base: &str, request: &Outgoing) {
    if terminal.verbosity < HEADERS {
        return;
    }
    if terminal.verbosity >= BODIES
        && let Some(body) = whole(request.body())
        && !body.is_empty()
    {
        terminal.say(&format!("Request Body: {}", shown(&body, terminal.verbosity)));
    }
    terminal.say(&format!("{} {base}{}", request.method(), super::path_of(request)));
    terminal.say("Request Headers:");
    headers(terminal, request.headers());
}

pub fn response(
    terminal: Terminal,
    base: &str,
    request_line: &RequestLine,
    outcome: &Result<Response<Body>, Failure>,
    took: Duration,
) {
    if terminal.verbosity < LINES {
        return;
    }
    let how = match outcome {
        Ok(answer) => answer.status().to_string(),
        Err(failure) => format!("failed: {failure}"),
    };
    let took = format!("in {} milliseconds", took.as_millis());
    if terminal.verbosity < HEADERS {
        terminal.say(&format!("{} {base}{} {how} {took}", request_line.method, request_line.path));
        return;
    }
    terminal.say(&format!("Response Status: {how} {took}"));
    if let Ok(answer) = outcome {
        terminal.say("Response Headers:");
        headers(terminal, answer.headers());
    }
}

pub fn response_body(terminal: Terminal, body: &[u8]) {
    if terminal.verbosity >= BODIES {
        terminal.say(&format!("Response Body: {}", shown(body, terminal.verbosity)));
    }
}

fn headers(terminal: Terminal, headers: &HeaderMap) {
    for (name, value) in headers {
        let value = if is_secret(name) {
            REDACTED.into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        terminal.say(&format!("    {name}: {value}"));
    }
}

fn is_secret(name: &HeaderName) -> bool {
    [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE]
        .contains(name)
}

/// The bytes of a body that is in memory.
fn whole(body: &http_body_util::Full<Bytes>) -> Option<Bytes> {
    let mut body = body.clone();
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(body.frame()).poll(context) {
        std::task::Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        _ => None,
    }
}

fn shown(body: &[u8], verbosity: u8) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(mut json) => {
            redact(&mut json, false);
            json.to_string()
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    if verbosity >= WHOLE_BODIES || text.len() <= BODY_LIMIT {
        return text;
    }
    let end = (0..=BODY_LIMIT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{} [truncated {} chars]", &text[..end], text[end..].chars().count())
}

/// Redacts the data of Secrets, also in lists, in watch events and in the
/// annotation of `kubectl apply`, and fields such as `token` and `password`.
fn redact(json: &mut Value, within_secret: bool) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, within_secret)),
        Value::Object(fields) => {
            let kind = fields.get("kind").and_then(Value::as_str);
            let secret = within_secret || matches!(kind, Some("Secret" | "SecretList"));
            for (name, value) in fields.iter_mut() {
                match (name.as_str(), &mut *value) {
                    (
                        "token" | "password" | "client-key-data" | "clientKeyData",
                        Value::String(text),
                    ) => {
                        REDACTED.clone_into(text);
                    }
                    ("data" | "stringData", Value::Object(entries)) if secret => {
                        for entry in entries.values_mut() {
                            *entry = Value::from(REDACTED);
                        }
                    }
                    ("kubectl.kubernetes.io/last-applied-configuration", Value::String(text))
                        if secret =>
                    {
                        REDACTED.clone_into(text);
                    }
                    _ => redact(value, secret),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(body: &Value) -> Value {
        serde_json::from_str(&shown(body.to_string().as_bytes(), WHOLE_BODIES)).unwrap()
    }

    #[test]
    fn hides_what_secrets_hold_wherever_they_are() {
        let secret = |value: &str| {
            json!({
                "kind": "Secret",
                "metadata": {
                    "name": "db",
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": value},
                },
                "data": {"password": value},
                "stringData": {"user": value},
            })
        };
        assert_eq!(redacted(&secret("c2VjcmV0")), secret(REDACTED));
        let event = |value| json!({"type": "ADDED", "object": secret(value)});
        assert_eq!(redacted(&event("x")), event(REDACTED));
        // Items of a list carry no kind of their own.
        let list =
            |value| json!({"kind": "SecretList", "items": [{"data": {"a": value, "b": value}}]});
        assert_eq!(redacted(&list("x")), list(REDACTED));
        let token = |value| json!({"kind": "TokenRequest", "status": {"token": value}});
        assert_eq!(redacted(&token("x")), token(REDACTED));
        let map = json!({"kind": "ConfigMap", "data": {"a": "kept"}});
        assert_eq!(redacted(&map), map);
    }

    #[test]
    fn long_bodies_are_cut_at_a_letter() {
        let text = "é".repeat(1000);
        let cut = shown(text.as_bytes(), BODIES);
        assert!(cut.ends_with("é [truncated 488 chars]"), "{}", &cut[1000..]);
        assert_eq!(shown(text.as_bytes(), WHOLE_BODIES), text);
    }
}
