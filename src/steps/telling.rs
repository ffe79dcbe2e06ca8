//! Saying what happens while it happens, and sending writes in a way that an
//! interruption finds out how the last one went.

use std::{future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    cluster::{Cluster, Failure, Mode, Write},
    output::{Error, Exit, Format, Terminal, text::clock},
};

/// So often in a row a write may find the world changed, or get no answer.
pub const MOST_TRIES: u32 = 8;
/// Between such tries; a server that is being restarted needs some.
pub const PAUSE: Duration = Duration::from_millis(500);
/// After Ctrl-C, the answer to a write under way is worth this much.
pub const LAST_WORD: Duration = Duration::from_secs(3);

/// Ctrl-C, or the request to end.
pub type Signal = Pin<Box<dyn Future<Output = Exit>>>;

/// How a write went, for whoever decides what comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// The world is another one, or nobody knows whether it was written: look
    /// and decide again.
    LookAgain,
    Interrupted(Exit),
}

/// How a write was answered.
#[derive(Debug)]
pub enum Sent {
    /// The object as it is now.
    Done(Option<Value>),
    Failed(Failure),
    /// Somebody does not want to go on; whether the write came through.
    Interrupted {
        exit: Exit,
        done: bool,
    },
}

/// Sends a write. A signal meanwhile ends the wait for the answer soon.
pub async fn send(cluster: &Cluster, write: &Write, mode: Mode<'_>, signal: &mut Signal) -> Sent {
    let sent = cluster.write(write, mode);
    tokio::pin!(sent);
    tokio::select! {
        outcome = &mut sent => match outcome {
            Ok(object) => Sent::Done(object),
            Err(failure) => Sent::Failed(failure),
        },
        exit = signal => {
            let done = matches!(tokio::time::timeout(LAST_WORD, sent).await, Ok(Ok(_)));
            Sent::Interrupted { exit, done }
        }
    }
}

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
        match self.terminal.answer(&(line + "\n")) {
            // Who reads may leave; the work goes on, and stderr says how.
            Err(error) if error.reader_left => Ok(()),
            other => other,
        }
    }
}
