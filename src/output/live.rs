//! A block of lines on a terminal that is drawn anew in place.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{Error, Terminal};

/// How many lines of a block stand on the terminal, above the cursor. There is
/// one terminal, so there is one count, and whoever says something beside the
/// block can make way for it first.
static DRAWN: AtomicUsize = AtomicUsize::new(0);

/// The block. Nothing else may write to stdout while it lives. What is said on
/// stderr takes its place, stays readable, and the next drawing stands below.
#[derive(Debug)]
pub struct Live {
    terminal: Terminal,
}

/// Takes the block off the terminal, so that something can be said there.
pub(super) fn make_way() {
    let drawn = DRAWN.swap(0, Ordering::Relaxed);
    if drawn > 0 {
        let mut stdout = io::stdout().lock();
        // Who left cannot be told; the next drawing finds out.
        let _ = write!(stdout, "\u{1b}[{drawn}A\r\u{1b}[J").and_then(|()| stdout.flush());
    }
}

impl Drop for Live {
    /// The last drawing stays where it is.
    fn drop(&mut self) {
        DRAWN.store(0, Ordering::Relaxed);
    }
}

impl Live {
    pub fn new(terminal: Terminal) -> Live {
        Live { terminal }
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
        let drawn = DRAWN.load(Ordering::Relaxed);
        if drawn > 0 {
            // Writing to a String cannot fail.
            let _ = write!(frame, "\u{1b}[{drawn}A\r");
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
        DRAWN.store(shown.len() + usize::from(hidden > 0), Ordering::Relaxed);
        self.terminal.answer(&frame)
    }
}
