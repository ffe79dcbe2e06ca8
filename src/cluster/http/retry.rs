//! When a request is retried: never silently, and at most four times.

use std::time::Duration;

use http::{Method, Response, StatusCode, header::RETRY_AFTER};

use super::{
    super::error::{Failure, RequestLine},
    Body,
};
use crate::output::Terminal;

/// Enough for a rolling restart of an API server, and few enough that nobody
/// wonders what the program is doing.
const MAX_RETRIES: u32 = 4;

/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// If the server asks for a longer wait, its answer is returned and the user
/// decides.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Waits from this long on are always reported.
const NOTICEABLE: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, Eq)]
pub struct Retry {
    pub wait: Duration,
    why: String,
}

impl Retry {
    pub fn log(&self, terminal: Terminal, request_line: &RequestLine, number: u32) {
        let Retry { wait, why } = self;
        let level = u8::from(*wait < NOTICEABLE);
        terminal.verbose(
            level,
            &format!("{request_line}: {why}; retrying in {wait:?} ({number} of {MAX_RETRIES})"),
        );
    }
}

/// Whether to retry a request, and after what wait.
///
/// Reads are always safe to repeat. A write is repeated only after a 429 with
/// `Retry-After`: then the server did not process it. A failed connection is
/// retried only if an earlier one worked: a wrong address stays wrong.
pub fn decide(
    method: &Method,
    outcome: &Result<Response<Body>, Failure>,
    retries: u32,
    answered_before: bool,
) -> Option<Retry> {
    if retries >= MAX_RETRIES {
        return None;
    }
    let reads = is_read(method);
    let backoff = FIRST_WAIT * 2_u32.pow(retries);
    match outcome {
        Ok(answer) => {
            let status = answer.status();
            let asked_for = wanted_wait(answer);
            let wait = match status {
                StatusCode::TOO_MANY_REQUESTS if reads => asked_for.unwrap_or(backoff),
                StatusCode::TOO_MANY_REQUESTS => asked_for?,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT if reads => {
                    asked_for.unwrap_or(backoff)
                }
                _ => return None,
            };
            (wait <= MAX_WAIT).then(|| Retry { wait, why: format!("the server returned {status}") })
        }
        Err(failure) => {
            let broken = match failure {
                Failure::Lost { .. } => true,
                Failure::Refused { .. } | Failure::Unreachable { .. } => answered_before,
                _ => false,
            };
            (reads && broken).then(|| Retry { wait: backoff, why: failure.to_string() })
        }
    }
}

/// The same for a connection lost within the body of an answer.
pub fn after_loss(method: &Method, retries: u32) -> Option<Retry> {
    (is_read(method) && retries < MAX_RETRIES).then(|| Retry {
        wait: FIRST_WAIT * 2_u32.pow(retries),
        why: "the connection was lost in the middle of the answer".to_owned(),
    })
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// `Retry-After` in seconds; the API server sends no dates there.
fn wanted_wait(answer: &Response<Body>) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Empty};

    use super::*;

    type Outcome = Result<Response<Body>, Failure>;

    fn answer(status: u16, retry_after: Option<&str>) -> Outcome {
        let mut response = Response::builder().status(status);
        if let Some(value) = retry_after {
            response = response.header(RETRY_AFTER, value);
        }
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        response
            .body(body)
            .map_err(|error| Failure::Unreachable { cause: error.to_string(), hint: None })
    }

    fn wait(method: &Method, outcome: &Outcome, n: u32) -> Option<u128> {
        decide(method, outcome, n, true).map(|retry| retry.wait.as_millis())
    }

    #[test]
    fn reads_wait_as_asked_or_longer_each_time() {
        let (get, busy) = (Method::GET, answer(503, None));
        let waits: Vec<_> = (0..6).map(|n| wait(&get, &busy, n)).collect();
        assert_eq!(waits, [Some(200), Some(400), Some(800), Some(1600), None, None]);
        assert_eq!(wait(&get, &answer(429, Some("3")), 0), Some(3_000));
        assert_eq!(wait(&get, &answer(504, None), 0), Some(200));
        assert_eq!(wait(&get, &answer(500, None), 0), None);
        assert_eq!(wait(&get, &answer(429, Some("3600")), 0), None);
    }

    #[test]
    fn writes_are_repeated_only_when_the_server_did_not_take_them_up() {
        for method in [Method::PATCH, Method::POST, Method::DELETE] {
            assert_eq!(wait(&method, &answer(429, Some("1")), 0), Some(1_000));
            assert_eq!(wait(&method, &answer(429, None), 0), None);
            assert_eq!(wait(&method, &answer(503, Some("1")), 0), None);
            let request_line = RequestLine::unknown();
            assert_eq!(
                wait(&method, &Err(Failure::Lost { request_line, cause: String::new() }), 0),
                None
            );
        }
    }

    #[test]
    fn a_server_that_never_answered_is_not_tried_again() {
        let refused =
            Err(Failure::Refused { server: "a:1".to_owned(), proxy: None, configured: true });
        assert_eq!(decide(&Method::GET, &refused, 0, false), None);
        assert!(decide(&Method::GET, &refused, 0, true).is_some());
    }
}
