//! A command in a container.
//!
//! kube's own exec drops what the server says when it refuses, and with it
//! the difference between no right and no such container. So the handshake is
//! ours, and only the frames are a library's.

use std::time::Duration;

use ::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::StreamExt as _;
use hyper_util::rt::TokioIo;
use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use serde::Deserialize;
use tokio::time;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Message, Role, WebSocketConfig},
};

use super::{
    Cluster, Failure, Status,
    error::Asked,
    http::{self, innermost},
    read::encode,
};

/// The streams of one command over one WebSocket, each message with the number
/// of its stream in front; v5 can close streams one by one
/// (`k8s.io/apimachinery/pkg/util/remotecommand`).
const PROTOCOLS: HeaderValue = HeaderValue::from_static("v5.channel.k8s.io, v4.channel.k8s.io");
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// How it ended, as a `Status`; nothing comes after it.
const ENDING: u8 = 3;

/// From RFC 6455, 1.3.
const ACCEPTED: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Servers send 32 KiB at a time.
const LONGEST_MESSAGE: usize = 1 << 20;

/// What is kept of each stream: enough to say why it failed.
const KEPT: usize = 4 << 10;

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executed {
    Ended {
        code: i32,
        stdout: String,
        stderr: String,
    },
    /// Nobody waits for it any more; the command itself may go on.
    TimedOut,
}

impl Cluster {
    /// Runs a command in a container of a pod of the cluster's namespace; in
    /// the pod's default one without a name. It is sent once, whatever happens:
    /// a command may not bear to be run twice.
    ///
    /// # Errors
    /// When it cannot be started, with the server's reason, or the connection
    /// broke before its end. How it ended is an answer, not an error.
    pub async fn exec(
        &self,
        pod: &str,
        container: Option<&str>,
        command: &[String],
        timeout: Duration,
    ) -> Result<Executed, Failure> {
        let (namespace, pod) = (encode(self.namespace()), encode(pod));
        let mut path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/exec");
        path.push_str("?stdout=true&stderr=true");
        let container = container.map(|name| format!("&container={}", encode(name)));
        path.push_str(container.as_deref().unwrap_or_default());
        for word in command {
            path.push_str("&command=");
            path.push_str(&encode(word));
        }
        time::timeout(timeout, self.run(&path)).await.unwrap_or(Ok(Executed::TimedOut))
    }

    async fn run(&self, path: &str) -> Result<Executed, Failure> {
        let mut request = http::get(path)?;
        let asked = self.http.asked(&request);
        let lost = |cause: String| Failure::Lost { asked: asked.clone(), cause };
        let mut nonce = [0; 16];
        let drawn = SystemRandom::new().fill(&mut nonce);
        drawn.map_err(|_| lost("this machine has no random numbers".to_owned()))?;
        let key = BASE64_STANDARD.encode(nonce);
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, PROTOCOLS);
        headers.insert(
            SEC_WEBSOCKET_KEY,
            HeaderValue::try_from(&key).map_err(|e| lost(e.to_string()))?,
        );

        let answer = self.http.send_once(request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.http.refusal(&asked, answer).await);
        }
        if !speaks_our_protocol(answer.headers(), &key) {
            let cause = "it is no WebSocket of the kind that was asked for".to_owned();
            return Err(Failure::Unreadable { asked, cause });
        }
        let stream = hyper::upgrade::on(answer).await.map_err(|error| lost(innermost(&error)))?;
        let config = WebSocketConfig::default().max_message_size(Some(LONGEST_MESSAGE));
        let stream = TokioIo::new(stream);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(message) = socket.next().await {
            let Message::Binary(message) = message.map_err(|error| lost(innermost(&error)))? else {
                continue;
            };
            match message.split_first() {
                Some((&STDOUT, output)) => keep(&mut stdout, output),
                Some((&STDERR, output)) => keep(&mut stderr, output),
                Some((&ENDING, status)) => {
                    let [stdout, stderr] =
                        [stdout, stderr].map(|kept| String::from_utf8_lossy(&kept).into_owned());
                    let code = exit_code(asked, status)?;
                    return Ok(Executed::Ended { code, stdout, stderr });
                }
                _ => {}
            }
        }
        Err(lost("it ended before the command did".to_owned()))
    }
}

fn speaks_our_protocol(headers: &HeaderMap, key: &str) -> bool {
    let accept =
        digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPTED}").as_bytes());
    let accepted = headers
        .get(SEC_WEBSOCKET_ACCEPT)
        .is_some_and(|value| value.as_bytes() == BASE64_STANDARD.encode(accept).as_bytes());
    let protocol = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    accepted && matches!(protocol, Some("v5.channel.k8s.io" | "v4.channel.k8s.io"))
}

fn keep(kept: &mut Vec<u8>, output: &[u8]) {
    let room = KEPT.saturating_sub(kept.len());
    kept.extend_from_slice(&output[..output.len().min(room)]);
}

#[derive(Deserialize)]
struct Ending {
    /// `Success` or `Failure`.
    status: String,
    #[serde(flatten)]
    about: Status,
}

/// What the last `Status` says of the command; one that could not be started
/// has no code, and the `Status` is about that.
fn exit_code(asked: Asked, status: &[u8]) -> Result<i32, Failure> {
    let Ending { status: word, about: status } = serde_json::from_slice(status)
        .map_err(|error| Failure::Unreadable { asked: asked.clone(), cause: error.to_string() })?;
    if word == "Success" {
        return Ok(0);
    }
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut codes = causes.filter(|cause| cause.reason == "ExitCode");
    match codes.next().and_then(|cause| cause.message.parse().ok()) {
        Some(code) => Ok(code),
        None => Err(Failure::from_status(asked, status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: &str) -> Result<i32, Failure> {
        exit_code(Asked::unknown(), status.as_bytes())
    }

    #[test]
    fn a_commands_end_is_told_from_one_that_never_began() {
        assert_eq!(said(r#"{"metadata":{},"status":"Success"}"#).unwrap(), 0);
        let failed = r#"{"status":"Failure","message":"command terminated with non-zero exit code",
            "reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;
        assert_eq!(said(failed).unwrap(), 7);
        let never = r#"{"status":"Failure","reason":"InternalError","code":500,
            "message":"no such file","details":{"causes":[{"message":"no such file"}]}}"#;
        let failure = said(never).unwrap_err();
        assert_eq!(failure.to_string(), "Error from server (InternalError): no such file");
        for odd in [
            "",
            "{}",
            "null",
            "[",
            r#"{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"x"}]}}"#,
        ] {
            said(odd).unwrap_err();
        }
    }

    #[test]
    fn output_is_kept_up_to_a_length() {
        let mut kept = Vec::new();
        for _ in 0..3 {
            keep(&mut kept, &[b'x'; 3000]);
        }
        assert_eq!(kept.len(), KEPT);
    }

    #[test]
    fn the_answer_must_be_to_our_handshake() {
        let headers = |accept: &'static str, protocol: &'static str| {
            HeaderMap::from_iter([
                (SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(accept)),
                (SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol)),
            ])
        };
        // The example of RFC 6455, 1.3.
        let (key, accept) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(speaks_our_protocol(&headers(accept, "v5.channel.k8s.io"), key));
        assert!(!speaks_our_protocol(&headers(accept, "chat"), key));
        assert!(!speaks_our_protocol(&headers("x", "v5.channel.k8s.io"), key));
    }
}
