//! Errors: kubectl's message, then the causes, then a hint.

use std::fmt;

use super::{Exit, text::printable};
use crate::workload::Finding;

/// An error for the user.
///
/// `headline` is the complete first line (`Error from server (NotFound): …` or
/// `error: …`), so that tests can compare it with kubectl's.
#[derive(Debug)]
pub struct Error {
    pub exit: Exit,
    headline: String,
    causes: Vec<String>,
    hint: Option<String>,
    /// The findings behind a refusal, for `reasons[]` in JSON.
    pub reasons: Vec<Finding>,
    /// Whether the reader of stdout has gone; then nothing is reported.
    pub broken_pipe: bool,
    /// Whether the user is not allowed to do it.
    pub is_forbidden: bool,
}

impl Error {
    /// An error with kubectl's prefix `error:`.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Error {
        Error::with_headline(exit, format!("error: {message}"))
    }

    /// An error whose first line is complete.
    pub fn with_headline(exit: Exit, headline: impl Into<String>) -> Error {
        Error {
            exit,
            headline: headline.into(),
            causes: Vec::new(),
            hint: None,
            reasons: Vec::new(),
            broken_pipe: false,
            is_forbidden: false,
        }
    }

    /// Ends the run without a message, as for `| head`.
    pub fn broken_pipe() -> Error {
        Error { broken_pipe: true, ..Error::with_headline(Exit::Done, "") }
    }

    /// The command line is wrong.
    pub fn usage(message: impl fmt::Display) -> Error {
        Error::new(Exit::Usage, message)
    }

    /// Adds a cause; call it for the outermost first.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Error {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds `error` and its sources, outermost first, without those that only
    /// repeat the line before.
    #[must_use]
    pub fn caused_by_chain(mut self, error: &(dyn std::error::Error + 'static)) -> Error {
        let mut next = Some(error);
        while let Some(link) = next {
            let text = link.to_string();
            let repeats = |said: &String| said.contains(&text);
            if !self.headline.contains(&text) && !self.causes.last().is_some_and(repeats) {
                self.causes.push(text);
            }
            next = link.source();
        }
        self
    }

    /// Sets the line that says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the findings of the guards that refused.
    #[must_use]
    pub fn because(mut self, reasons: Vec<Finding>) -> Error {
        self.reasons = reasons;
        self
    }

    pub fn headline(&self) -> &str {
        &self.headline
    }

    /// Why, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// The line that says what to do next.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.headline))?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {}", printable(cause))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {}", printable(hint))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_headline_causes_and_hint_on_lines_of_their_own() {
        let error = Error::new(Exit::Error, "cannot read the file")
            .caused_by("permission denied")
            .hint("run it as the owner");
        assert_eq!(
            error.to_string(),
            "error: cannot read the file\n  caused by: permission denied\nhint: run it as the owner"
        );
    }

    #[test]
    fn a_cause_that_repeats_the_headline_is_said_once() {
        let io = std::io::Error::other("disk full");
        let error = Error::new(Exit::Error, "cannot write: disk full").caused_by_chain(&io);
        assert_eq!(error.to_string(), "error: cannot write: disk full");
    }

    #[test]
    fn a_servers_message_cannot_drive_the_terminal() {
        let error = Error::new(Exit::Error, "bad \u{1b}[31mname\u{7}");
        assert_eq!(error.to_string(), "error: bad \u{fffd}[31mname\u{fffd}");
    }
}
