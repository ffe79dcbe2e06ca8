//! Saying what happens while it happens.

use jiff::Timestamp;
use serde::Serialize;

use crate::output::{Error, Exit, Format, Terminal, text::clock};

/// Something that happened, or is waited for: a line of `-o jsonl`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event<'a> {
    /// `kubectl-stateful/COMMAND-event/v1`.
    schema: String,
    #[cfg_attr(test, schemars(with = "String"))]
    time: Timestamp,
    /// `waiting`, `done` for a write, or `said`.
    class: &'static str,
    message: &'a str,
}

/// Tells people, on stderr, and programs that asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Teller {
    pub terminal: Terminal,
    pub output: Format,
    pub command: &'static str,
}

impl Teller {
    /// Says something that happened.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub fn tell(&self, what: &str) -> Result<(), Error> {
        self.terminal.say(&format!("{}  {what}", clock(Timestamp::now())));
        self.stream("said", what)
    }

    /// Says what is waited for.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub fn waiting(&self, what: &str) -> Result<(), Error> {
        self.terminal.say(&format!("{}  waiting for {what}", clock(Timestamp::now())));
        self.stream("waiting", what)
    }

    /// With `-o jsonl`, a line of its own for what happens.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn stream(&self, class: &'static str, message: &str) -> Result<(), Error> {
        if self.output != Format::Jsonl {
            return Ok(());
        }
        let schema = format!("kubectl-stateful/{}-event/v1", self.command);
        let event = Event { schema, time: Timestamp::now(), class, message };
        let line = serde_json::to_string(&event)
            .map_err(|error| Error::new(Exit::Error, format!("cannot write: {error}")))?;
        // Who reads may leave; the work goes on, and stderr says how.
        self.terminal.conclude(&(line + "\n"))
    }
}
