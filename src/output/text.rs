//! Text on its way to a person: control characters out, plurals, widths.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// Text from a cluster or a file, made safe to print.
///
/// Names, annotations, messages and logs may carry escape sequences that move
/// the cursor, retitle the window or hide a line. Every control character but
/// newline and tab is shown as U+FFFD, and so are the bidirectional overrides
/// that can make a line read as something it is not.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_printable(c) { c } else { '\u{fffd}' }).collect())
}

fn is_printable(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        c => !c.is_control(),
    }
}

/// The same for a table cell or a one-line message: runs of white space,
/// newlines among them, become one blank.
pub fn one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `1 pod`, `3 pods`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// How many columns a terminal gives this text.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Cuts to at most `columns`, ending in `…` where something was cut.
pub fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut room = columns.saturating_sub(1);
    let mut kept = String::new();
    for c in text.chars() {
        let cells = c.width().unwrap_or(0);
        if cells > room {
            break;
        }
        room -= cells;
        kept.push(c);
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// Breaks text at blanks into lines of at most `columns`; a word longer than
/// that keeps a line of its own, because commands and names must stay whole.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_overrides_do_not_reach_a_terminal() {
        assert_eq!(printable("web-0"), "web-0");
        assert_eq!(printable("a\u{1b}[2Jb\r\u{9b}c"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c");
        assert_eq!(printable("gnp\u{202e}exe"), "gnp\u{fffd}exe");
        assert_eq!(printable("two\nlines\tok"), "two\nlines\tok");
    }

    #[test]
    fn messages_of_many_lines_become_one() {
        assert_eq!(one_line("  a\n\tb   c "), "a b c");
    }

    #[test]
    fn clipping_counts_columns_not_bytes() {
        assert_eq!(clip("データベース", 5), "デー…");
        assert_eq!(clip("short", 5), "short");
    }

    #[test]
    fn wrapping_keeps_long_words_whole() {
        assert_eq!(
            wrap("run kubectl-stateful-very-long now", 10),
            ["run", "kubectl-stateful-very-long", "now"]
        );
    }
}
