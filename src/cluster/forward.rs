//! A byte stream to a port of a pod, without a port opened on this machine.
//!
//! The kubelet's port-forward over WebSocket: two channels for each port, one
//! for data and one for what went wrong, and the first message on each repeats
//! the port (`k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go`).
//! API servers from 1.30 on also tunnel SPDY through a WebSocket, for a client
//! that asks for that by name; without it they pass ours on, as they always
//! did.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Bytes, protocol::Message};

use super::{Cluster, Failure, channels::Channels, error::Asked, http::innermost, read::encode};

const PROTOCOLS: &[&str] = &["v4.channel.k8s.io"];
const DATA: u8 = 0;
const TROUBLE: u8 = 1;

/// An open stream.
pub struct Forward {
    asked: Asked,
    channels: Channels,
    port: u16,
    /// Whether the first message of a channel was there.
    begun: [bool; 2],
    /// What the node says went wrong, which the closed stream alone would not.
    trouble: Option<String>,
}

impl Cluster {
    /// Opens a stream to a port of a pod.
    ///
    /// # Errors
    /// When the server refuses; that nobody listens there is found out later.
    pub async fn forward(&self, namespace: &str, pod: &str, port: u16) -> Result<Forward, Failure> {
        let (namespace, pod) = (encode(namespace), encode(pod));
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}");
        let (asked, channels) = self.channels(&path, PROTOCOLS).await?;
        Ok(Forward { asked, channels, port, begun: [false; 2], trouble: None })
    }
}

impl Forward {
    /// Sends bytes.
    ///
    /// # Errors
    /// When the stream is broken.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let message = [&[DATA], bytes].concat();
        let sent = self.channels.send(Message::binary(message)).await;
        sent.map_err(|error| self.lost(innermost(&error)))
    }

    /// The next bytes; `None` when the pod has closed the stream. Nothing is
    /// lost when this is cancelled, as in `select!`.
    ///
    /// # Errors
    /// When it broke, with the node's reason where it gave one.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let message = match self.channels.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    let cause = self.trouble.take().unwrap_or_else(|| innermost(&error));
                    return Err(self.lost(cause));
                }
                None => return self.ended(),
            };
            let message = match message {
                Message::Binary(message) => message,
                Message::Close(_) => return self.ended(),
                _ => continue,
            };
            let Some(&channel) = message.first() else { continue };
            let bytes = message.slice(1..);
            match self.begun.get_mut(usize::from(channel)) {
                None => return Err(self.unreadable(format!("there is no channel {channel}"))),
                Some(begun) if !*begun => {
                    *begun = true;
                    if bytes[..] != self.port.to_le_bytes() {
                        return Err(self.unreadable("it is to another port".to_owned()));
                    }
                }
                Some(_) if channel == TROUBLE => {
                    self.trouble = Some(String::from_utf8_lossy(&bytes).into_owned());
                }
                Some(_) if bytes.is_empty() => {}
                Some(_) => return Ok(Some(bytes)),
            }
        }
    }

    fn ended(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.trouble.take() {
            Some(cause) => Err(self.lost(cause)),
            None => Ok(None),
        }
    }

    fn lost(&self, cause: String) -> Failure {
        Failure::Lost { asked: self.asked.clone(), cause }
    }

    fn unreadable(&self, cause: String) -> Failure {
        Failure::Unreadable { asked: self.asked.clone(), cause }
    }
}
