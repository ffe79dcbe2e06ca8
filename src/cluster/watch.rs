//! Watches: the server sends changes as lines of JSON.

use std::{collections::VecDeque, marker::PhantomData};

use http_body_util::BodyExt as _;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    error::{Failure, RequestLine},
    http::{Body, innermost},
    status::Status,
};

/// A change to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent<T> {
    Added(T),
    Modified(T),
    Deleted(T),
    /// Nothing changed up to this resource version; a watch can continue here.
    Bookmark(String),
}

/// An open watch. The server ends it now and then (`timeoutSeconds`, a rolling
/// restart); the caller then opens another from the last resource version, or
/// lists again after [`Failure::Gone`].
pub struct Watch<T> {
    body: Body,
    request_line: RequestLine,
    /// The start of a line that is not complete yet.
    partial: Vec<u8>,
    lines: VecDeque<Vec<u8>>,
    /// The last resource version seen.
    version: Option<String>,
    ended: bool,
    item: PhantomData<fn() -> T>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// The fields of an object from which a watch continues.
#[derive(Deserialize)]
struct Versioned {
    metadata: VersionedMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionedMetadata {
    resource_version: String,
}

impl<T: DeserializeOwned> Watch<T> {
    pub(super) fn new(request_line: RequestLine, body: Body) -> Watch<T> {
        Watch {
            body,
            request_line,
            partial: Vec::new(),
            lines: VecDeque::new(),
            version: None,
            ended: false,
            item: PhantomData,
        }
    }

    /// The next event; `None` once the server has ended the watch. Safe to
    /// cancel, as in `select!`.
    ///
    /// # Errors
    /// [`Failure::Lost`] when the connection is lost, and the failure in an
    /// `ERROR` event, such as [`Failure::Gone`].
    pub async fn next(&mut self) -> Option<Result<WatchEvent<T>, Failure>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(self.read(&line));
            }
            if self.ended {
                return None;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.take(&data);
                    }
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Err(self.lost(innermost(&*error))));
                }
                None => {
                    self.ended = true;
                    if !self.partial.is_empty() {
                        return Some(Err(
                            self.lost("it ended in the middle of an event".to_owned())
                        ));
                    }
                }
            }
        }
    }

    /// Splits received data into lines.
    fn take(&mut self, data: &[u8]) {
        let mut rest = data;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.partial);
            line.extend_from_slice(&rest[..end]);
            if !line.trim_ascii().is_empty() {
                self.lines.push_back(line);
            }
            rest = &rest[end + 1..];
        }
        self.partial.extend_from_slice(rest);
    }

    /// The last resource version seen, from which a new watch continues.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn read(&mut self, line: &[u8]) -> Result<WatchEvent<T>, Failure> {
        let unreadable = |error: serde_json::Error| Failure::Unreadable {
            request_line: self.request_line.clone(),
            cause: error.to_string(),
        };
        let Line { kind, object } = serde_json::from_slice(line).map_err(unreadable)?;
        let item = || serde_json::from_str(object.get()).map_err(unreadable);
        let version = || -> Result<String, Failure> {
            let object: Versioned = serde_json::from_str(object.get()).map_err(unreadable)?;
            Ok(object.metadata.resource_version)
        };
        let event = match kind {
            "ADDED" => WatchEvent::Added(item()?),
            "MODIFIED" => WatchEvent::Modified(item()?),
            "DELETED" => WatchEvent::Deleted(item()?),
            "BOOKMARK" => WatchEvent::Bookmark(version()?),
            "ERROR" => {
                let status: Status = serde_json::from_str(object.get()).map_err(unreadable)?;
                return Err(Failure::from_status(self.request_line.clone(), status));
            }
            other => {
                let cause = format!("unknown watch event {other:?}");
                return Err(Failure::Unreadable { request_line: self.request_line.clone(), cause });
            }
        };
        if let Ok(version) = version() {
            self.version = Some(version);
        }
        Ok(event)
    }

    fn lost(&self, cause: String) -> Failure {
        Failure::Lost { request_line: self.request_line.clone(), cause }
    }
}
