//! A block of lines that is redrawn in place on a terminal.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{Error, Terminal, text::clip_styled};

/// The number of lines of the block above the cursor. There is one terminal, so
/// there is one count, and other output can remove the block first.
static DRAWN: AtomicUsize = AtomicUsize::new(0);

/// The block. Nothing else may write to stdout while it exists. Lines on stderr
/// replace it and stay, and the next frame is drawn below them.
#[derive(Debug)]
pub struct Live {
    terminal: Terminal,
}

/// Removes the block from the terminal, so that other lines can be written.
pub(super) fn make_way(terminal: Terminal) {
    let erased = erase();
    if !erased.is_empty() {
        // A closed stdout is reported by the next frame.
        let _ = terminal.answer(&erased);
    }
}

/// The control sequence that removes the block, if there is one.
fn erase() -> String {
    match DRAWN.swap(0, Ordering::Relaxed) {
        0 => String::new(),
        drawn => format!("\u{1b}[{drawn}A\r\u{1b}[J"),
    }
}

impl Drop for Live {
    /// The last frame stays on the terminal.
    fn drop(&mut self) {
        DRAWN.store(0, Ordering::Relaxed);
    }
}

impl Live {
    pub fn new(terminal: Terminal) -> Live {
        Live { terminal }
    }

    /// Replaces the last frame. It is one write, lines are overwritten one by
    /// one, and wrapping is off: so nothing flickers, and the line count is
    /// right. Lines are cut to the terminal, because without wrapping the rest of
    /// a line is printed over its last column.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn draw(&mut self, text: &str) -> Result<(), Error> {
        let (columns, rows) = self.terminal.size().unwrap_or((80, 24));
        let lines: Vec<&str> = text.lines().collect();
        // The last row is for the cursor.
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
            // Clear first: after a line that fills the row, the cursor is still
            // on its last character, which would be cleared.
            frame.push_str("\u{1b}[K");
            frame.push_str(&clip_styled(line, columns));
            frame.push('\n');
        }
        if hidden > 0 {
            let _ = writeln!(frame, "\u{1b}[K… {hidden} more lines do not fit on this terminal");
        }
        frame.push_str("\u{1b}[J\u{1b}[?7h");
        DRAWN.store(shown.len() + usize::from(hidden > 0), Ordering::Relaxed);
        self.terminal.answer(&frame)
    }

    /// Replaces the block with the final text: all lines, and long ones wrap,
    /// because a truncated command cannot be copied.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn finish(self, text: &str) -> Result<(), Error> {
        self.terminal.conclude(&(erase() + text))
    }
}
