//! The one document that `-o json` and `-o yaml` print, for every command.

use serde::Serialize;

use super::{Error, Exit};
use crate::workload::{Finding, Unread};

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, at most 100 columns
    #[default]
    Table,
    /// For people, all columns
    Wide,
    /// One JSON document
    Json,
    /// The same as YAML
    Yaml,
    /// TYPE/NAME only
    Name,
    /// A JSON line an event, then the document on one line
    Jsonl,
}

impl Format {
    /// Whether a program reads it, so that no prompt may appear.
    pub fn is_machine(self) -> bool {
        matches!(self, Format::Json | Format::Yaml | Format::Jsonl)
    }
}

/// `schema`, `result`, `exitCode`, `reasons[]`, `incomplete[]`, then the
/// payload of the command.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Envelope<'a, P> {
    /// `kubectl-stateful/KIND/v1`: what this document is.
    schema: String,
    /// The name of the exit code.
    result: &'static str,
    exit_code: u8,
    reasons: &'a [Finding],
    /// What could not be read: the answer is a lower bound.
    incomplete: &'a [Unread],
    #[serde(flatten)]
    payload: P,
}

impl<'a, P: Serialize> Envelope<'a, P> {
    pub fn new(
        kind: &str,
        exit: Exit,
        reasons: &'a [Finding],
        incomplete: &'a [Unread],
        payload: P,
    ) -> Self {
        Envelope {
            schema: format!("kubectl-stateful/{kind}/v1"),
            result: exit.name(),
            exit_code: exit.code(),
            reasons,
            incomplete,
            payload,
        }
    }

    /// The document in a machine format, with a newline at its end.
    ///
    /// # Errors
    /// When the payload cannot be serialized, which is a bug.
    pub fn render(&self, format: Format) -> Result<String, Error> {
        let text = match format {
            Format::Yaml => {
                serde_saphyr::to_string(self).map_err(|error| unserializable(&error))?
            }
            Format::Jsonl => serde_json::to_string(self).map_err(|error| unserializable(&error))?,
            _ => serde_json::to_string_pretty(self).map_err(|error| unserializable(&error))?,
        };
        Ok(if text.ends_with('\n') { text } else { text + "\n" })
    }
}

/// The payload of a failure.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// The first line of the error, as it stands on stderr.
    error: String,
}

impl Failure {
    pub fn new(error: &Error) -> Failure {
        Failure { error: error.headline().to_owned() }
    }
}

fn unserializable(error: &dyn std::error::Error) -> Error {
    Error::new(Exit::Error, format!("cannot write the answer: {error}"))
}
