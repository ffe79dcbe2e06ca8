//! Where words go: the answer to stdout, everything else to stderr.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};

use super::{Error, Exit, live, text::printable};

/// What the two output streams can do. Made once, at the start.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "streams can do things or not")]
pub struct Terminal {
    pub stdin_is_tty: bool,
    pub stdout_is_tty: bool,
    pub stderr_is_tty: bool,
    stdout_color: bool,
    stderr_color: bool,
    quiet: bool,
    /// `-v`: 4 prints the equivalent kubectl lines, 6 requests, 8 bodies.
    pub verbosity: u8,
}

/// The few styles there are; every one must also read without colour.
#[derive(Clone, Copy, Debug)]
pub enum Paint {
    Bold,
    Dim,
    Red,
    Yellow,
    Green,
    Cyan,
}

impl Paint {
    fn style(self) -> Style {
        match self {
            Paint::Bold => Style::new().bold(),
            Paint::Dim => Style::new().dimmed(),
            Paint::Red => AnsiColor::Red.on_default().bold(),
            Paint::Yellow => AnsiColor::Yellow.on_default(),
            Paint::Green => AnsiColor::Green.on_default(),
            Paint::Cyan => AnsiColor::Cyan.on_default(),
        }
    }
}

/// Paints text, or does not: decided once for a stream.
#[derive(Clone, Copy, Debug)]
pub struct Palette(bool);

impl Palette {
    pub const PLAIN: Palette = Palette(false);

    pub fn paint(self, paint: Paint, text: &str) -> String {
        if !self.0 || text.is_empty() {
            return text.to_owned();
        }
        let style = paint.style();
        format!("{style}{text}{style:#}")
    }
}

impl Terminal {
    /// Reads the streams and the environment (`NO_COLOR`, `CLICOLOR_FORCE`,
    /// `TERM`).
    pub fn detect(verbosity: u8) -> Terminal {
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0");
        let forbidden = set("NO_COLOR") || env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = |tty: bool| if set("NO_COLOR") { false } else { forced || (tty && !forbidden) };
        let stdout_is_tty = io::stdout().is_terminal();
        let stderr_is_tty = io::stderr().is_terminal();
        Terminal {
            stdin_is_tty: io::stdin().is_terminal(),
            stdout_is_tty,
            stderr_is_tty,
            stdout_color: color(stdout_is_tty),
            stderr_color: color(stderr_is_tty),
            quiet: false,
            verbosity,
        }
    }

    /// For completion, where a stray word would land in somebody's prompt:
    /// nothing is said at any level.
    pub fn silent() -> Terminal {
        Terminal {
            stdin_is_tty: false,
            stdout_is_tty: false,
            stderr_is_tty: false,
            stdout_color: false,
            stderr_color: false,
            quiet: true,
            verbosity: 0,
        }
    }

    pub fn stdout_palette(&self) -> Palette {
        Palette(self.stdout_color)
    }

    pub fn stderr_palette(&self) -> Palette {
        Palette(self.stderr_color)
    }

    /// Columns and rows of the terminal that stdout is, where it is one.
    pub fn size(&self) -> Option<(usize, usize)> {
        if !self.stdout_is_tty {
            return None;
        }
        let (rows, columns) = dialoguer::console::Term::stdout().size_checked()?;
        Some((usize::from(columns), usize::from(rows)))
    }

    /// Columns of the terminal that stderr is, where it is one.
    pub fn stderr_columns(&self) -> Option<usize> {
        if !self.stderr_is_tty {
            return None;
        }
        let (_, columns) = dialoguer::console::Term::stderr().size_checked()?;
        Some(usize::from(columns))
    }

    /// Writes the answer. Who reads it may stop early (`| head`): that is
    /// their choice, and ends the run in silence.
    ///
    /// # Errors
    /// [`Error::reader_left`] then; and when stdout cannot be written for
    /// another reason, such as a full disk.
    pub fn answer(&self, text: &str) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Error::reader_left()),
            Err(error) => Err(Error::new(Exit::Error, format!("cannot write the answer: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    /// The same where the work is done, or goes on, whoever listens: the exit
    /// code is what it is.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn conclude(&self, text: &str) -> Result<(), Error> {
        match self.answer(text) {
            Err(error) if error.reader_left => Ok(()),
            other => other,
        }
    }

    /// Says something beside the answer: progress, notes.
    pub fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        self.make_way();
        // Nowhere is left to report that stderr is gone.
        let _ = writeln!(io::stderr().lock(), "{}", printable(text));
    }

    /// `Warning: …`, as kubectl prints the server's warnings.
    pub fn warn(&self, text: &str) {
        let label = self.stderr_palette().paint(Paint::Yellow, "Warning:");
        if !self.quiet {
            self.make_way();
            let _ = writeln!(io::stderr().lock(), "{label} {}", printable(text));
        }
    }

    /// What is drawn in place stands where a line of stderr would go.
    fn make_way(self) {
        if self.stderr_is_tty {
            live::make_way();
        }
    }

    /// Says something only from this verbosity on.
    pub fn verbose(&self, level: u8, text: &str) {
        if self.verbosity >= level {
            self.say(text);
        }
    }
}
