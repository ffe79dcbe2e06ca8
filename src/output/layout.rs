//! Layout of answers for people: columns, labels, findings.

use jiff::Timestamp;

use super::{
    Error, Paint, Palette, Terminal,
    text::{one_line, verbatim, width, width_styled, wrap},
};
use crate::workload::{Finding, Severity, Unread};

/// The maximum width of a table without `-o wide`.
pub const NARROW: usize = 100;
/// The width of the label column in front of the text.
const LABEL: usize = 7;

/// What is between the parts of a title.
const GAP: &str = "    ";

/// How to lay out an answer.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub palette: Palette,
    pub wide: bool,
    /// The number of columns that text is wrapped to.
    pub columns: usize,
    pub now: Timestamp,
    /// A list is its rows alone: no headings, and nothing below.
    pub only_rows: bool,
}

impl Look {
    /// For output that is not a terminal.
    pub fn plain(now: Timestamp) -> Look {
        Look { palette: Palette::PLAIN, wide: false, columns: NARROW, now, only_rows: false }
    }

    /// For stdout.
    pub fn of(terminal: Terminal, now: Timestamp) -> Look {
        let columns = terminal.size().map_or(NARROW, |(columns, _)| columns);
        Look { palette: terminal.stdout_palette(), columns, ..Look::plain(now) }
    }

    /// How long the lines of a table may be: with -o wide as long as they are.
    pub fn room(self) -> usize {
        if self.wide { usize::MAX } else { self.columns }
    }

    /// For what is shown on stderr before somebody is asked.
    pub fn of_stderr(terminal: Terminal, now: Timestamp) -> Look {
        Look { columns: terminal.stderr_columns().unwrap_or(NARROW), ..Look::plain(now) }
    }
}

/// The lines of a finding; `error` is the label for severity error.
pub fn finding(finding: &Finding, error: &str, look: Look) -> Vec<String> {
    let (word, paint) = match finding.severity {
        Severity::Error => (error, Paint::Red),
        Severity::Warning => ("warning", Paint::Yellow),
        Severity::Note => ("note", Paint::Dim),
    };
    let label = label(word, paint, look);
    let text = format!("{}  {}", finding.id, one_line(&finding.message));
    let mut lines = hanging(&label, &text, look.columns);
    if let Some(hint) = &finding.hint {
        lines.extend(hung("         → ", hint, look.columns));
    }
    lines
}

/// An error as on the command line, with its causes in lines of these columns.
pub fn error(error: &Error, columns: usize) -> String {
    let mut lines = vec![error.headline().to_owned()];
    lines.extend(error.causes().iter().flat_map(|cause| hung("  caused by: ", cause, columns)));
    lines.extend(error.advice().iter().flat_map(|hint| hung("hint: ", hint, columns)));
    lines.join("\n")
}

/// What could not be read.
pub fn unread(unread: &[Unread], look: Look) -> Vec<String> {
    let label = label("unread", Paint::Yellow, look);
    let line = |unread: &Unread| {
        let text = format!("{}: {}", unread.resource, one_line(&unread.why));
        hanging(&label, &text, look.columns)
    };
    unread.iter().flat_map(line).collect()
}

/// The parts of a title, which may have styles, apart from each other, on as many lines as
/// they take.
pub fn title(parts: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(last) if width_styled(last) + GAP.len() + width_styled(part) <= columns => {
                last.push_str(GAP);
                last.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}

/// A label, padded to its column.
pub fn label(word: &str, paint: Paint, look: Look) -> String {
    look.palette.paint(paint, &format!("{word:<LABEL$}"))
}

/// The label, two blanks, and the wrapped text beside it. A command at its end
/// is never wrapped, so that it can be copied.
pub fn hanging(label: &str, text: &str, columns: usize) -> Vec<String> {
    beside(&format!("{label}  "), LABEL + 2, text, columns)
}

/// The same beside a beginning without colours.
pub fn hung(first: &str, text: &str, columns: usize) -> Vec<String> {
    beside(first, width(first), text, columns)
}

fn beside(first: &str, indent: usize, text: &str, columns: usize) -> Vec<String> {
    let room = columns.saturating_sub(indent).max(40);
    let (prose, command) = text.split_at(command_at(text).unwrap_or(text.len()));
    let mut lines = wrap(prose, room);
    if !command.is_empty() {
        let command = verbatim(command);
        match lines.last_mut() {
            Some(last) if width(last) + 1 + width(&command) <= room => {
                last.push(' ');
                last.push_str(&command);
            }
            _ => lines.push(command),
        }
    }
    let mut lines = lines.into_iter();
    let first = format!("{first}{}", lines.next().unwrap_or_default());
    std::iter::once(first)
        .chain(lines.map(|line| format!("{}{line}", " ".repeat(indent))))
        .collect()
}

/// Where a text becomes a command to paste, which then goes on to its end: at
/// its beginning, or after a colon.
fn command_at(text: &str) -> Option<usize> {
    const COMMAND: &str = "kubectl ";
    if text.starts_with(COMMAND) {
        return Some(0);
    }
    text.find(": kubectl ").map(|colon| colon + ": ".len())
}

#[cfg(test)]
mod tests {
    use super::{super::Exit, *};

    #[test]
    fn a_command_is_never_wrapped_nor_changed() {
        let command = "kubectl stateful scale web --replicas 2 --before-exec 'a  b' -n default";
        let lines = |text: &str| hanging("next   ", text, 60);
        assert_eq!(lines(command), [format!("next     {command}")]);
        assert_eq!(
            lines(&format!("nothing was changed; to do it: {command}")),
            ["next     nothing was changed; to do it:".to_owned(), format!("         {command}")]
        );
        assert_eq!(
            lines("to see why: kubectl get pods"),
            ["next     to see why: kubectl get pods"]
        );
        // Prose about a command is prose.
        assert_eq!(lines(&"as kubectl does ".repeat(6)).len(), 2);
    }

    #[test]
    fn a_title_takes_the_lines_that_it_needs() {
        let bold = format!("set {}", Palette::PLAIN.paint(Paint::Bold, "\u{1b}[1mweb\u{1b}[0m"));
        let parts = [bold.clone(), "3 → 2".to_owned(), "Parallel, whenScaled Retain".to_owned()];
        assert_eq!(title(&parts, 80), [parts.join("    ")]);
        assert_eq!(title(&parts, 40), [parts[..2].join("    "), parts[2].clone()]);
        assert_eq!(title(&parts, 16), [parts[..2].join("    "), parts[2].clone()], "styles");
        assert_eq!(title(&parts, 5), parts, "a part is never cut");
    }

    #[test]
    fn on_a_terminal_causes_are_wrapped_and_commands_are_not() {
        let error = Error::new(Exit::Refused, "cannot")
            .caused_by("one claim would be mounted again with the data on it")
            .hint("kubectl stateful scale web --replicas 3 --fresh -n a-long-namespace");
        assert_eq!(
            super::error(&error, 60),
            "error: cannot\n  caused by: one claim would be mounted again with the data\n             \
             on it\nhint: kubectl stateful scale web --replicas 3 --fresh -n a-long-namespace"
        );
    }
}
