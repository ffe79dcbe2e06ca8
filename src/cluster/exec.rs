//! A command in a container.

use std::time::Duration;

use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::{Cluster, Failure, Status, error::Asked, http::innermost, read::encode};

/// The streams of one command over one WebSocket, each message with the number
/// of its stream in front; v5 can close streams one by one
/// (`k8s.io/apimachinery/pkg/util/remotecommand`).
const PROTOCOLS: &[&str] = &["v5.channel.k8s.io", "v4.channel.k8s.io"];
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// How it ended, as a `Status`; nothing comes after it.
const ENDING: u8 = 3;

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
        self.exec_keeping(KEPT, pod, container, command, timeout).await
    }

    /// The same, and keeps so much of each stream.
    ///
    /// # Errors
    /// As [`Cluster::exec`].
    pub async fn exec_keeping(
        &self,
        kept: usize,
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
        time::timeout(timeout, self.run(kept, &path)).await.unwrap_or(Ok(Executed::TimedOut))
    }

    async fn run(&self, kept: usize, path: &str) -> Result<Executed, Failure> {
        let (asked, mut socket) = self.channels(path, PROTOCOLS).await?;
        let lost = |cause: String| Failure::Lost { asked: asked.clone(), cause };
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
                    let code = exit_code(asked.clone(), status)?;
                    return Ok(Executed::Ended { code, stdout, stderr });
                }
                _ => {}
            }
        }
        Err(lost("it ended before the command did".to_owned()))
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
            keep(&mut kept, &[b'x'; 3000], KEPT);
        }
        assert_eq!(kept.len(), KEPT);
    }
}
