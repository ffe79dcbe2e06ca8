//! What commands that are followed with `--watch`, or wait for something, have
//! in common.

use std::{future::pending, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    Error, Exit,
    text::{clock, one_line},
};

/// One change, as `--watch` prints it off a terminal, and a line of `-o jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// `kubectl-stateful/COMMAND-change/v1`.
    pub schema: &'static str,
    #[cfg_attr(test, schemars(with = "String"))]
    pub time: Timestamp,
    pub object: String,
    pub message: String,
}

impl Change {
    /// A line for people.
    pub fn line(&self) -> String {
        format!("{}  {}", clock(self.time), one_line(&self.message))
    }

    /// A line of `-o jsonl`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(&self) -> Result<String, Error> {
        serde_json::to_string(self)
            .map(|line| line + "\n")
            .map_err(|error| Error::new(Exit::Error, format!("cannot write: {error}")))
    }
}

/// What following ended with.
#[derive(Debug)]
pub enum End {
    Reached,
    Deadline,
    Signal(Exit),
}

/// Ends when the time is up; without a limit, or with none of 0, never.
pub async fn time_is_up(limit: Option<Duration>) {
    match limit.filter(|limit| !limit.is_zero()) {
        Some(limit) => tokio::time::sleep(limit).await,
        None => pending().await,
    }
}

/// `until 14:30:05`, for those who wait since then.
pub fn until(since: Timestamp, limit: Option<Duration>) -> String {
    let limit = limit.filter(|limit| !limit.is_zero());
    limit.and_then(|limit| SignedDuration::try_from(limit).ok()).map_or_else(
        || "without a limit".to_owned(),
        |limit| format!("until {}", clock(since + limit)),
    )
}
