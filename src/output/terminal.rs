//! Output streams: the answer goes to stdout, everything else to stderr.

use std::{
    borrow::Cow,
    env,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};

use super::{
    Error, Exit, live,
    template::Template,
    text::{in_ascii, printable},
};
use crate::workload::Unread;

/// The properties of stdin, stdout and stderr, detected once at the start.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "properties of streams")]
pub struct Terminal {
    pub stdin_is_tty: bool,
    pub stdout_is_tty: bool,
    pub stderr_is_tty: bool,
    stdout_color: bool,
    stderr_color: bool,
    quiet: bool,
    /// Whether the locale has no signs but those of ASCII.
    ascii: bool,
    /// Whether the answer is text of ours for people. A document, and what is
    /// copied from a file, stays as it is.
    for_people: bool,
    /// What becomes of a document.
    template: Option<&'static Template>,
    /// `-v`: 4 prints the equivalent kubectl commands, 6 requests, 8 bodies.
    pub verbosity: u8,
    /// Tests read what was written: [`captured`].
    #[cfg(test)]
    captured: bool,
}

/// The text styles. The output must be readable without them.
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

/// Applies styles, or not: decided once per stream.
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
            ascii: !is_utf8(["LC_ALL", "LC_CTYPE", "LANG"].map(|name| env::var(name).ok())),
            for_people: false,
            template: None,
            verbosity,
            #[cfg(test)]
            captured: false,
        }
    }

    /// Whether nothing may be printed beside the answer.
    pub fn is_silent(&self) -> bool {
        self.quiet
    }

    /// Says whether the answer is text for people.
    #[must_use]
    pub fn for_people(self, for_people: bool) -> Terminal {
        Terminal { for_people, ..self }
    }

    /// For completion, where any message would end up in the user's prompt:
    /// prints nothing to stderr at any level.
    pub fn silent() -> Terminal {
        Terminal {
            stdin_is_tty: false,
            stdout_is_tty: false,
            stderr_is_tty: false,
            stdout_color: false,
            stderr_color: false,
            quiet: true,
            ascii: false,
            for_people: false,
            template: None,
            verbosity: 0,
            #[cfg(test)]
            captured: false,
        }
    }

    /// Puts every answer, which is a document then, through a template.
    #[must_use]
    pub fn through(self, template: Template) -> Terminal {
        // There is one for the whole run.
        Terminal { template: Some(Box::leak(Box::new(template))), ..self }
    }

    pub fn stdout_palette(&self) -> Palette {
        Palette(self.stdout_color)
    }

    pub fn stderr_palette(&self) -> Palette {
        Palette(self.stderr_color)
    }

    /// The columns and rows of stdout, if it is a terminal.
    pub fn size(&self) -> Option<(usize, usize)> {
        if !self.stdout_is_tty {
            return None;
        }
        #[cfg(test)]
        if self.captured {
            return Some((40, 6));
        }
        let size = dialoguer::console::Term::stdout().size_checked();
        // A terminal has this size until it says otherwise.
        let (rows, columns) = size.filter(|(_, columns)| *columns > 0).unwrap_or((24, 80));
        Some((usize::from(columns), usize::from(rows)))
    }

    /// The columns of stderr, if it is a terminal.
    pub fn stderr_columns(&self) -> Option<usize> {
        if !self.stderr_is_tty {
            return None;
        }
        let size = dialoguer::console::Term::stderr().size_checked();
        Some(size.map_or(80, |(_, columns)| usize::from(columns)))
    }

    /// Writes the answer to stdout.
    ///
    /// # Errors
    /// [`Error::broken_pipe`] when the reader has gone (`| head`), which ends
    /// the run without a message; another error when stdout cannot be written,
    /// such as on a full disk.
    pub fn answer(&self, text: &str) -> Result<(), Error> {
        #[cfg(test)]
        if self.captured {
            captured::STDOUT.with_borrow_mut(|written| written.push_str(text));
            return Ok(());
        }
        let rendered = self.template.map(|template| template.render(text)).transpose()?;
        let text = rendered.as_deref().unwrap_or(text);
        let text =
            if self.ascii && self.for_people { Cow::Owned(in_ascii(text)) } else { text.into() };
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Error::broken_pipe()),
            Err(error) => Err(Error::new(Exit::Error, format!("cannot write to stdout: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    /// The same, but ignores a broken pipe: for answers whose exit code must not
    /// depend on it.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn conclude(&self, text: &str) -> Result<(), Error> {
        match self.answer(text) {
            Err(error) if error.broken_pipe => Ok(()),
            other => other,
        }
    }

    /// Writes a line to stderr: progress, notes.
    pub fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        self.make_way();
        #[cfg(test)]
        if self.captured {
            captured::STDERR.with_borrow_mut(|said| said.push(printable(text).into_owned()));
            return;
        }
        // An error of stderr cannot be reported anywhere.
        let _ = writeln!(io::stderr().lock(), "{}", self.worded(text));
    }

    /// Text for stderr, which is always for people.
    fn worded<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match printable(text) {
            text if self.ascii => Cow::Owned(in_ascii(&text)),
            text => text,
        }
    }

    /// Writes `Warning: …`, as kubectl prints warnings of the server.
    pub fn warn(&self, text: &str) {
        let label = self.stderr_palette().paint(Paint::Yellow, "Warning:");
        if !self.quiet {
            self.make_way();
            let _ = writeln!(io::stderr().lock(), "{label} {}", self.worded(text));
        }
    }

    /// A line for each kind that could not be read, where stdout has no room for it.
    pub fn warn_of_unread(&self, unread: &[Unread]) {
        for one in unread {
            self.warn(&format!("{} could not be read: {}", one.resource, one.why));
        }
    }

    /// Removes a live block, which is where the line on stderr has to go.
    fn make_way(self) {
        if self.stderr_is_tty {
            live::make_way(self);
        }
    }

    /// Writes a line to stderr from this verbosity on.
    pub fn verbose(&self, level: u8, text: &str) {
        if self.verbosity >= level {
            self.say(text);
        }
    }
}

/// Whether the locale in these variables, the most important first, shows more
/// than ASCII. Where nothing says so, as in many containers, terminals do.
fn is_utf8(locale: [Option<String>; 3]) -> bool {
    let mut named = locale.into_iter().flatten().filter(|name| !name.is_empty());
    named.next().is_none_or(|name| {
        let name = name.to_ascii_lowercase();
        name.contains("utf-8") || name.contains("utf8")
    })
}

/// A terminal that records its output, for tests on one thread.
#[cfg(test)]
pub mod captured {
    use std::cell::RefCell;

    use super::Terminal;

    thread_local! {
        pub(super) static STDOUT: RefCell<String> = const { RefCell::new(String::new()) };
        pub(super) static STDERR: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Either both streams are a terminal of 40 columns and 6 rows, or neither.
    pub fn terminal(is_tty: bool) -> Terminal {
        let silent = Terminal::silent();
        Terminal {
            stdout_is_tty: is_tty,
            stderr_is_tty: is_tty,
            quiet: false,
            captured: true,
            ..silent
        }
    }

    /// What was written to stdout since the last call.
    pub fn stdout() -> String {
        STDOUT.take()
    }

    /// What was written to stderr since the last call.
    pub fn stderr() -> Vec<String> {
        STDERR.take()
    }
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn the_first_variable_that_is_set_names_the_locale() {
        let locale = |all: &str, kind: &str, lang: &str| {
            is_utf8([all, kind, lang].map(|name| (!name.is_empty()).then(|| name.to_owned())))
        };
        assert!(locale("", "", "") && locale("", "", "de_DE.UTF-8") && locale("", "C.utf8", "C"));
        assert!(
            !locale("", "", "C") && !locale("C", "", "de_DE.UTF-8") && !locale("", "", "POSIX")
        );
    }
}
