//! The output of `--watch`: a view that is redrawn in place on a terminal, a
//! line per change elsewhere, and the final state.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Error, Exit, Format, Live, Terminal,
    text::{clock, one_line},
};

/// A change, as `--watch` prints it without a terminal and with `-o jsonl`.
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
    fn line(&self) -> String {
        format!("{}  {}", clock(self.time), one_line(&self.message))
    }

    /// A line of `-o jsonl`.
    fn json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map(|line| line + "\n").map_err(|error| {
            Error::new(Exit::Error, format!("cannot serialize the change: {error}"))
        })
    }
}

/// The output format of a watch, from `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFormat {
    /// Redrawn in place on a terminal; elsewhere the view once, then a line per
    /// change.
    Text,
    /// All names, then the name of each object that changes.
    Names,
    /// Another kind of list, printed again in full after each change.
    List,
    /// A JSON line per change, then the document.
    Jsonl,
    /// Only the document, at the end.
    Document,
}

impl From<Format> for WatchFormat {
    fn from(format: Format) -> WatchFormat {
        match format {
            Format::Table | Format::Wide => WatchFormat::Text,
            Format::Name => WatchFormat::Names,
            Format::Jsonl => WatchFormat::Jsonl,
            Format::Json | Format::Yaml => WatchFormat::Document,
        }
    }
}

/// Prints views and changes. With `--watch` they are the answer; with
/// `--wait-for` alone, changes are progress and go to stderr.
#[derive(Debug)]
pub struct WatchPrinter {
    terminal: Terminal,
    form: WatchFormat,
    watch: bool,
    live: Option<Live>,
}

impl WatchPrinter {
    pub fn new(terminal: Terminal, form: WatchFormat, watch: bool) -> WatchPrinter {
        let draws = watch && terminal.stdout_is_tty && form == WatchFormat::Text;
        WatchPrinter { terminal, form, watch, live: draws.then(|| Live::new(terminal)) }
    }

    /// Prints the first view.
    ///
    /// # Errors
    /// When it cannot be written; the same for the other methods.
    pub fn begin(&mut self, view: impl Fn() -> Result<String, Error>) -> Result<(), Error> {
        match (&mut self.live, self.form) {
            (Some(live), _) => live.draw(&view()?),
            (None, WatchFormat::Text | WatchFormat::Names | WatchFormat::List) if self.watch => {
                self.terminal.answer(&view()?)
            }
            (None, _) => Ok(()),
        }
    }

    /// Prints the next view, or the changes in it.
    pub fn next(
        &mut self,
        view: impl Fn() -> Result<String, Error>,
        changes: &[Change],
    ) -> Result<(), Error> {
        if let Some(live) = &mut self.live {
            return live.draw(&view()?);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let text: String = match (self.form, self.watch) {
            (WatchFormat::Jsonl, _) => {
                changes.iter().map(Change::json).collect::<Result<_, _>>()?
            }
            (WatchFormat::Text, true) => {
                changes.iter().map(|change| change.line() + "\n").collect()
            }
            (WatchFormat::Names, true) => {
                let mut seen = BTreeSet::new();
                let objects = changes.iter().map(|change| &change.object);
                let once = objects.filter(|&object| seen.insert(object));
                once.map(|object| one_line(object) + "\n").collect()
            }
            (WatchFormat::List, true) => view()?,
            (WatchFormat::Document, _) | (_, false) => {
                for change in changes {
                    self.terminal.say(&change.line());
                }
                return Ok(());
            }
        };
        self.terminal.answer(&text)
    }

    /// Prints the last view in full. Without a live view, that is needed only
    /// after `--wait-for` alone, and where the output ends with a document.
    pub fn end(self, view: impl Fn() -> Result<String, Error>) -> Result<(), Error> {
        match self.live {
            Some(live) => live.finish(&view()?),
            None if !self.watch
                || matches!(self.form, WatchFormat::Jsonl | WatchFormat::Document) =>
            {
                self.terminal.conclude(&view()?)
            }
            None => Ok(()),
        }
    }
}
