//! Running a command in a container.

use std::time::Duration;

use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::{Cluster, Failure, Status, error::RequestLine, http::innermost, resource::encode};

/// All streams of a command share one WebSocket; each message begins with the
/// number of its stream. v5 can close streams one by one
/// (`k8s.io/apimachinery/pkg/util/remotecommand`).
const PROTOCOLS: &[&str] = &["v5.channel.k8s.io", "v4.channel.k8s.io"];
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// How the command ended, as a `Status`; the last message.
const ENDING: u8 = 3;

/// How much of each stream is kept: enough to explain a failure.
const MAX_OUTPUT_BYTES: usize = 4 << 10;

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecOutcome {
    Ended {
        code: i32,
        stdout: String,
        stderr: String,
    },
    /// We stopped waiting; the command itself may still be running.
    TimedOut,
}

impl Cluster {
    /// Runs a command in a container of a pod, in the default container if
    /// none is named. Never retries: a command may not be safe to run twice.
    ///
    /// # Errors
    /// When the command cannot be started, with the server's reason, or the
    /// connection is lost before it ends. A failed command is not an error.
    pub async fn exec(
        &self,
        pod: &str,
        container: Option<&str>,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecOutcome, Failure> {
        let place = (self.namespace(), pod);
        self.exec_keeping(MAX_OUTPUT_BYTES, place, container, command, timeout).await
    }

    /// As [`Cluster::exec`], in a pod of any namespace, and keeps up to `kept`
    /// bytes of each stream.
    ///
    /// # Errors
    /// As [`Cluster::exec`].
    pub async fn exec_keeping(
        &self,
        kept: usize,
        (namespace, pod): (&str, &str),
        container: Option<&str>,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecOutcome, Failure> {
        let (namespace, pod) = (encode(namespace), encode(pod));
        let mut path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/exec");
        path.push_str("?stdout=true&stderr=true");
        let container = container.map(|name| format!("&container={}", encode(name)));
        path.push_str(container.as_deref().unwrap_or_default());
        for word in command {
            path.push_str("&command=");
            path.push_str(&encode(word));
        }
        time::timeout(timeout, self.run(kept, &path)).await.unwrap_or(Ok(ExecOutcome::TimedOut))
    }

    async fn run(&self, kept: usize, path: &str) -> Result<ExecOutcome, Failure> {
        let (request_line, mut socket) = self.channels(path, PROTOCOLS).await?;
        let lost = |cause: String| Failure::Lost { request_line: request_line.clone(), cause };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(message) = socket.next().await {
            let Message::Binary(message) = message.map_err(|error| lost(innermost(&error)))? else {
                continue;
            };
            match message.split_first() {
                Some((&STDOUT, output)) => keep(&mut stdout, output, kept),
                Some((&STDERR, output)) => keep(&mut stderr, output, kept),
                Some((&ENDING, status)) => {
                    let [stdout, stderr] =
                        [stdout, stderr].map(|kept| String::from_utf8_lossy(&kept).into_owned());
                    let code = exit_code(request_line.clone(), status)?;
                    return Ok(ExecOutcome::Ended { code, stdout, stderr });
                }
                _ => {}
            }
        }
        Err(lost("it closed before the command ended".to_owned()))
    }
}

fn keep(kept: &mut Vec<u8>, output: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(&output[..output.len().min(room)]);
}

#[derive(Deserialize)]
struct Ending {
    /// `Success` or `Failure`.
    status: String,
    #[serde(flatten)]
    about: Status,
}

/// The exit code in the last `Status`. A command that could not be started has
/// none; then the `Status` is the failure.
fn exit_code(request_line: RequestLine, status: &[u8]) -> Result<i32, Failure> {
    let Ending { status: word, about: status } =
        serde_json::from_slice(status).map_err(|error| Failure::Unreadable {
            request_line: request_line.clone(),
            cause: error.to_string(),
        })?;
    if word == "Success" {
        return Ok(0);
    }
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut codes = causes.filter(|cause| cause.reason == "ExitCode");
    match codes.next().and_then(|cause| cause.message.parse().ok()) {
        Some(code) => Ok(code),
        None => Err(Failure::from_status(request_line, status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: &str) -> Result<i32, Failure> {
        exit_code(RequestLine::unknown(), status.as_bytes())
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
            keep(&mut kept, &[b'x'; 3000], MAX_OUTPUT_BYTES);
        }
        assert_eq!(kept.len(), MAX_OUTPUT_BYTES);
    }
}
