//! Reports what happens while it happens.

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

/// Reports to people on stderr, and to programs that asked for events.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub terminal: Terminal,
    pub output: Format,
    pub command: &'static str,
}

impl Progress {
    /// Reports something that happened.
    ///
    /// # Errors
    /// When the event cannot be written to stdout.
    pub fn tell(&self, what: &str) -> Result<(), Error> {
        self.terminal.say(&format!("{}  {what}", clock(Timestamp::now())));
        self.event("said", what)
    }

    /// Reports what is waited for.
    ///
    /// # Errors
    /// When the event cannot be written to stdout.
    pub fn waiting(&self, what: &str) -> Result<(), Error> {
        self.terminal.say(&format!("{}  waiting for {what}", clock(Timestamp::now())));
        self.event("waiting", what)
    }

    /// Writes an event, with `-o jsonl`.
    ///
    /// # Errors
    /// When it cannot be written to stdout.
    pub fn event(&self, class: &'static str, message: &str) -> Result<(), Error> {
        if self.output != Format::Jsonl {
            return Ok(());
        }
        let schema = format!("kubectl-stateful/{}-event/v1", self.command);
        let event = Event { schema, time: Timestamp::now(), class, message };
        let line = serde_json::to_string(&event)
            .map_err(|error| Error::new(Exit::Error, format!("cannot write: {error}")))?;
        // The reader may leave early. The work goes on, and stderr reports it.
        self.terminal.conclude(&(line + "\n"))
    }
}
