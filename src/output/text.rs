//! Text on its way to a person: control characters out, plurals, widths.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp, Unit};
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

/// `web-2`, `web-1 and web-2`, `web-1, web-2 and 7 more`.
pub fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

/// An age the way kubectl writes it: two units at most, coarser with time.
pub fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |major: i64, unit: &str, minor: i64, minor_unit: &str| {
        if minor == 0 {
            format!("{major}{unit}")
        } else {
            format!("{major}{unit}{minor}{minor_unit}")
        }
    };
    match seconds {
        // A clock that is a little behind the server's.
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// Time of day in UTC: logs of several machines are read side by side.
pub fn clock(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).strftime("%H:%M:%SZ").to_string()
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
    fn ages_read_like_kubectls() {
        let said = |seconds| age(SignedDuration::from_secs(seconds));
        let hour = 3600;
        assert_eq!(
            [said(-3), said(0), said(119), said(120), said(125)],
            ["0s", "0s", "119s", "2m", "2m5s"]
        );
        assert_eq!([said(600), said(3 * hour + 60), said(8 * hour)], ["10m", "3h1m", "8h"]);
        assert_eq!(
            [said(50 * hour), said(8 * 24 * hour), said(400 * 24 * hour)],
            ["2d2h", "8d", "400d"]
        );
        assert_eq!([said(800 * 24 * hour), said(9 * 365 * 24 * hour)], ["2y70d", "9y"]);
    }

    #[test]
    fn wrapping_keeps_long_words_whole() {
        assert_eq!(
            wrap("run kubectl-stateful-very-long now", 10),
            ["run", "kubectl-stateful-very-long", "now"]
        );
    }

    #[test]
    fn names_are_listed_as_a_person_would() {
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b"]), "a and b");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(list(&["a", "b", "c", "d"]), "a, b and 2 more");
    }
}
