//! What went wrong, said the way kubectl says it, then why, then what to type.

use std::fmt;

use super::{Exit, text::printable};
use crate::workload::Finding;

/// A failure on its way to the user.
///
/// `headline` is the whole first line (`Error from server (NotFound): …` or
/// `error: …`), so that it can be compared with kubectl's word for word.
#[derive(Debug)]
pub struct Error {
    pub exit: Exit,
    headline: String,
    causes: Vec<String>,
    hint: Option<String>,
    /// The findings behind a refusal, for `reasons[]` in JSON.
    pub reasons: Vec<Finding>,
    /// Whoever read the answer has left: there is nobody to be told.
    pub reader_left: bool,
}

impl Error {
    /// A failure with kubectl's lowercase `error:` in front.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Error {
        Error::with_headline(exit, format!("error: {message}"))
    }

    /// A failure whose first line is already complete.
    pub fn with_headline(exit: Exit, headline: impl Into<String>) -> Error {
        Error {
            exit,
            headline: headline.into(),
            causes: Vec::new(),
            hint: None,
            reasons: Vec::new(),
            reader_left: false,
        }
    }

    /// Ends the run in silence: `| head` has what it wanted.
    pub fn reader_left() -> Error {
        Error { reader_left: true, ..Error::with_headline(Exit::Done, "") }
    }

    /// The words were off.
    pub fn usage(message: impl fmt::Display) -> Error {
        Error::new(Exit::Usage, message)
    }

    /// Adds one link to the cause chain, outermost first.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Error {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds every source of `error`, outermost first, leaving out a link that
    /// only repeats the one before it.
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

    /// The one line that says what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// The findings that made a guard say no.
    #[must_use]
    pub fn because(mut self, reasons: Vec<Finding>) -> Error {
        self.reasons = reasons;
        self
    }

    pub fn headline(&self) -> &str {
        &self.headline
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
