//! A block of lines on a terminal that is drawn anew in place.

use std::fmt::Write as _;

use super::{Error, Terminal};

/// The block. Nothing else may write to stdout while it lives; what goes to
/// stderr pushes it up and stays readable.
#[derive(Debug)]
pub struct Live {
    terminal: Terminal,
    drawn: usize,
}

impl Live {
    pub fn new(terminal: Terminal) -> Live {
        Live { terminal, drawn: 0 }
    }

    /// Replaces what was drawn before. All goes out in one write, lines are
    /// overwritten one by one, and nothing wraps: so nothing
    /// flickers and the count of lines stays true.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn draw(&mut self, text: &str) -> Result<(), Error> {
        let rows = self.terminal.size().map_or(24, |(_, rows)| rows);
        let lines: Vec<&str> = text.lines().collect();
        // The last row belongs to the cursor.
        let room = rows.saturating_sub(1).max(2);
        let (shown, hidden) = if lines.len() > room {
            (&lines[..room - 1], lines.len() - room + 1)
        } else {
            (&lines[..], 0)
        };
        let mut frame = String::from("\u{1b}[?7l");
        if self.drawn > 0 {
            // Writing to a String cannot fail.
            let _ = write!(frame, "\u{1b}[{}A\r", self.drawn);
        }
        for line in shown {
            // Cleared first: behind a line that fills the row, the cursor still
            // stands on its last character and would clear that.
            frame.push_str("\u{1b}[K");
            frame.push_str(line);
            frame.push('\n');
        }
        if hidden > 0 {
            let _ = writeln!(frame, "\u{1b}[K… {hidden} more lines than this terminal has rows");
        }
        frame.push_str("\u{1b}[J\u{1b}[?7h");
        self.drawn = shown.len() + usize::from(hidden > 0);
        self.terminal.answer(&frame)
    }
}
