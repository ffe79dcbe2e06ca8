//! How answers are laid out for people: columns, labels, findings.

use jiff::Timestamp;

use super::{
    Paint, Palette, Terminal,
    text::{one_line, wrap},
};
use crate::workload::{Finding, Severity};

/// How wide a table may be when nobody asked for wide.
pub const NARROW: usize = 100;
/// Labels stand in a column of their own before the text.
const LABEL: usize = 7;

/// How an answer is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub palette: Palette,
    pub wide: bool,
    /// Columns there are; text is wrapped to them.
    pub columns: usize,
    pub now: Timestamp,
}

impl Look {
    /// For a stream that is no terminal.
    pub fn plain(now: Timestamp) -> Look {
        Look { palette: Palette::PLAIN, wide: false, columns: NARROW, now }
    }

    /// As stdout is.
    pub fn of(terminal: Terminal, now: Timestamp) -> Look {
        let columns = terminal.size().map_or(NARROW, |(columns, _)| columns);
        Look { palette: terminal.stdout_palette(), columns, ..Look::plain(now) }
    }
}

/// A finding under its severity; `error` is the word for the worst.
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
        // A command stays on one line: it is there to be copied.
        lines.push(format!("         → {}", one_line(hint)));
    }
    lines
}

/// A word in the column of labels.
pub fn label(word: &str, paint: Paint, look: Look) -> String {
    look.palette.paint(paint, &format!("{word:<LABEL$}"))
}

/// `label`, two blanks, and the text wrapped beside it.
pub fn hanging(label: &str, text: &str, columns: usize) -> Vec<String> {
    let indent = LABEL + 2;
    let room = columns.saturating_sub(indent).max(40);
    let mut lines = wrap(text, room).into_iter();
    let first = format!("{label}  {}", lines.next().unwrap_or_default());
    std::iter::once(first)
        .chain(lines.map(|line| format!("{}{line}", " ".repeat(indent))))
        .collect()
}
