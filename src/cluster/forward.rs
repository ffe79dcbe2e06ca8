//! A byte stream to a port of a pod, without a listening port on this machine.
//!
//! This is the kubelet's port-forward over WebSocket: two channels per port,
//! one for data and one for errors, and the first message on each repeats the
//! port (`k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go`). API
//! servers from 1.30 on can also tunnel SPDY through a WebSocket, but only if
//! the client asks for that protocol.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Bytes, protocol::Message};

use super::{
    Cluster, Failure, channels::Channels, error::RequestLine, http::innermost, resource::encode,
};

const PROTOCOLS: &[&str] = &["v4.channel.k8s.io"];
const DATA: u8 = 0;
const ERROR: u8 = 1;

/// An open stream.
pub struct Forward {
    request_line: RequestLine,
    channels: Channels,
    port: u16,
    /// Whether the first message of each channel has arrived.
    begun: [bool; 2],
    /// The error from the node; the closed stream alone does not show it.
    error: Option<String>,
}

impl Cluster {
    /// Opens a stream to a port of a pod.
    ///
    /// # Errors
    /// When the server rejects it. A port without a listener shows only later.
    pub async fn forward(&self, namespace: &str, pod: &str, port: u16) -> Result<Forward, Failure> {
        let (namespace, pod) = (encode(namespace), encode(pod));
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}");
        let (request_line, channels) = self.channels(&path, PROTOCOLS).await?;
        Ok(Forward { request_line, channels, port, begun: [false; 2], error: None })
    }
}

impl Forward {
    /// Sends bytes.
    ///
    /// # Errors
    /// When the stream is lost.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let message = [&[DATA], bytes].concat();
        let sent = self.channels.send(Message::binary(message)).await;
        sent.map_err(|error| self.lost(innermost(&error)))
    }

    /// The next bytes; `None` when the pod has closed the stream. Safe to cancel,
    /// as in `select!`.
    ///
    /// # Errors
    /// When the stream is lost, with the reason of the node if it gave one.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let message = match self.channels.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    let cause = self.error.take().unwrap_or_else(|| innermost(&error));
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
                None => return Err(self.unreadable(format!("unknown channel {channel}"))),
                Some(begun) if !*begun => {
                    *begun = true;
                    if bytes[..] != self.port.to_le_bytes() {
                        return Err(self.unreadable("the stream is to another port".to_owned()));
                    }
                }
                Some(_) if channel == ERROR => {
                    self.error = Some(String::from_utf8_lossy(&bytes).into_owned());
                }
                Some(_) if bytes.is_empty() => {}
                Some(_) => return Ok(Some(bytes)),
            }
        }
    }

    fn ended(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.error.take() {
            Some(cause) => Err(self.lost(cause)),
            None => Ok(None),
        }
    }

    fn lost(&self, cause: String) -> Failure {
        Failure::Lost { request_line: self.request_line.clone(), cause }
    }

    fn unreadable(&self, cause: String) -> Failure {
        Failure::Unreadable { request_line: self.request_line.clone(), cause }
    }
}
