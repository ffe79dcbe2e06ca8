//! A WebSocket to a pod on which every message begins with a channel number,
//! as exec and port-forward use it.
//!
//! kube's implementation drops the body of a rejection, so that a missing
//! permission looks like a missing container. So the handshake is ours, and
//! only the framing comes from a library.

use ::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{
        ACCEPT, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use super::{
    Cluster, Failure,
    error::RequestLine,
    http::{self, innermost},
};

/// From RFC 6455, 1.3.
const WEBSOCKET_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Servers send at most 32 KiB per message.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The open channels.
pub(super) type Channels = WebSocketStream<TokioIo<Upgraded>>;

impl Cluster {
    /// Opens the channels of a pod's subresource. Never retries.
    ///
    /// # Errors
    /// When the server rejects the request, with its message, or supports none
    /// of the protocols.
    pub(super) async fn channels(
        &self,
        path: &str,
        protocols: &'static [&'static str],
    ) -> Result<(RequestLine, Channels), Failure> {
        let mut request = http::get(path)?;
        let request_line = self.http.request_line(&request);
        let lost = |cause: String| Failure::Lost { request_line: request_line.clone(), cause };
        let mut nonce = [0; 16];
        let drawn = SystemRandom::new().fill(&mut nonce);
        drawn.map_err(|_| lost("this machine cannot generate random numbers".to_owned()))?;
        let key = BASE64_STANDARD.encode(nonce);
        let value = |text: &str| HeaderValue::try_from(text).map_err(|e| lost(e.to_string()));
        let headers = request.headers_mut();
        // The kubelet gets this header too, and does not stream as JSON.
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value(&protocols.join(", "))?);
        headers.insert(SEC_WEBSOCKET_KEY, value(&key)?);

        let answer = self.http.send_once(request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.http.refusal(&request_line, answer).await);
        }
        if !speaks(protocols, answer.headers(), &key) {
            let cause = "the server did not accept our WebSocket protocol".to_owned();
            return Err(Failure::Unreadable { request_line, cause });
        }
        let stream = hyper::upgrade::on(answer).await.map_err(|error| lost(innermost(&error)))?;
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES));
        let stream = TokioIo::new(stream);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
        Ok((request_line, socket))
    }
}

fn speaks(protocols: &[&str], headers: &HeaderMap, key: &str) -> bool {
    let accept = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{WEBSOCKET_GUID}").as_bytes(),
    );
    let accepted = headers
        .get(SEC_WEBSOCKET_ACCEPT)
        .is_some_and(|value| value.as_bytes() == BASE64_STANDARD.encode(accept).as_bytes());
    let protocol = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    accepted && protocol.is_some_and(|protocol| protocols.contains(&protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_must_be_to_our_handshake() {
        let headers = |accept: &'static str, protocol: &'static str| {
            HeaderMap::from_iter([
                (SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(accept)),
                (SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol)),
            ])
        };
        let ours = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
        // The example of RFC 6455, 1.3.
        let (key, accept) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(speaks(&ours, &headers(accept, "v5.channel.k8s.io"), key));
        assert!(!speaks(&ours, &headers(accept, "chat"), key));
        assert!(!speaks(&ours, &headers("x", "v5.channel.k8s.io"), key));
    }
}
