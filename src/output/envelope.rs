//! The document that every command prints with `-o json` and `-o yaml`.

use serde::Serialize;

use super::{Error, Exit};
use crate::workload::{Finding, Unread};

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, at most 100 columns
    #[default]
    Table,
    /// For people, all columns
    Wide,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
    /// TYPE/NAME only
    Name,
    /// One JSON line per event, then the document on one line
    Jsonl,
}

impl Format {
    /// Whether the output is for a program, so that there must be no prompt.
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
    /// `kubectl-stateful/KIND/v1`: the type of this document.
    schema: String,
    /// The name of the exit code.
    result: &'static str,
    exit_code: u8,
    reasons: &'a [Finding],
    /// What could not be read; the answer is a lower bound.
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

    /// The document in a machine format, with a newline at the end.
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
    /// The first line of the error, as printed on stderr, without `error: `.
    error: String,
    /// Why, outermost first.
    causes: Vec<String>,
    /// What to run or do.
    hint: Option<String>,
}

impl Failure {
    pub fn new(error: &Error) -> Failure {
        let headline = error.headline();
        Failure {
            error: headline.strip_prefix("error: ").unwrap_or(headline).to_owned(),
            causes: error.causes().to_vec(),
            hint: error.advice().map(str::to_owned),
        }
    }
}

fn unserializable(error: &dyn std::error::Error) -> Error {
    Error::new(Exit::Error, format!("cannot serialize the answer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_error_once_and_has_the_causes_and_the_hint() {
        let error = Error::new(Exit::Refused, "no").caused_by("why").hint("kubectl get sts");
        let failure = serde_json::to_value(Failure::new(&error)).expect("JSON");
        let wanted =
            serde_json::json!({"error": "no", "causes": ["why"], "hint": "kubectl get sts"});
        assert_eq!(failure, wanted);
        let kubectls = Error::with_headline(Exit::Error, "Error from server (NotFound): x");
        let failure = serde_json::to_value(Failure::new(&kubectls)).expect("JSON");
        assert_eq!(failure["error"], "Error from server (NotFound): x");
    }
}
