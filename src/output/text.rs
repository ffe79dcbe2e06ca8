//! Text for people: control characters, plurals, ages, widths.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp, Unit};
use unicode_width::UnicodeWidthChar;

/// Makes text from a cluster or a file safe to print.
///
/// Names, annotations, messages and logs may contain escape sequences that move
/// the cursor, change the title or hide a line. Control characters except
/// newline and tab become U+FFFD, and so do bidirectional overrides, which can
/// make a line look like another.
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

/// The same for a table cell or a one-line message: all white space, including
/// newlines, becomes single blanks.
pub fn one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A command to paste, on one line: what stands between its words is part of it.
pub fn verbatim(command: &str) -> String {
    printable(command).replace(['\n', '\t'], "\u{fffd}")
}

/// `1 pod`, `3 pods`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `web-2`, `web-1 and web-2`, `web-1, web-2 and 7 more`.
pub fn list(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

/// An age in kubectl's format: at most two units, coarser with time.
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
        // Our clock is behind the server's.
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

/// The time of day in UTC, so that logs of several machines can be compared.
pub fn clock(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).strftime("%H:%M:%SZ").to_string()
}

/// The width of text in terminal columns.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Truncates text to `columns`, with `…` at the end.
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

/// The pieces of a line, each with the style that begins or ends after it.
fn styled(line: &str) -> Vec<(&str, &str)> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        let (text, style) = rest.split_at(at);
        let end = style.find('m').map_or(style.len(), |end| end + 1);
        pieces.push((text, &style[..end]));
        rest = &style[end..];
    }
    pieces.push((rest, ""));
    pieces
}

/// The columns that a line with styles takes: they take none.
pub fn width_styled(line: &str) -> usize {
    styled(line).iter().map(|(text, _)| width(text)).sum()
}

/// As [`clip`], for a line with styles, which take no columns.
pub fn clip_styled(line: &str, columns: usize) -> Cow<'_, str> {
    let pieces = styled(line);
    if width_styled(line) <= columns {
        return Cow::Borrowed(line);
    }
    let mut room = columns;
    let mut kept = String::new();
    for (place, (text, style)) in pieces.iter().enumerate() {
        let more: usize = pieces[place + 1..].iter().map(|(text, _)| width(text)).sum();
        if room > 0 {
            // The mark needs a column, if this is where the line is cut.
            let cuts = width(text) > room || (width(text) == room && more > 0);
            if cuts {
                kept.push_str(&clip(&format!("{text} "), room));
            } else {
                kept.push_str(text);
            }
            room = if cuts { 0 } else { room - width(text) };
        }
        // A style that began must end.
        kept.push_str(style);
    }
    Cow::Owned(kept)
}

/// The same text where a terminal shows only ASCII: our own signs are replaced.
/// What stands in columns keeps its place if there are blanks to take.
pub fn in_ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let sign = match letter {
            '→' => "->",
            '…' => "...",
            '├' | '│' => "|",
            '└' => "`",
            '─' => "-",
            '✓' => "+",
            '✗' => "x",
            other => {
                plain.push(other);
                continue;
            }
        };
        plain.push_str(sign);
        for _ in 1..sign.len() {
            let mut ahead = letters.clone();
            if (ahead.next(), ahead.next()) == (Some(' '), Some(' ')) {
                letters.next();
            }
        }
    }
    plain
}

/// Wraps text at blanks to `columns`. A longer word gets a line of its own,
/// because commands and names must not be broken. No line but the first begins with
/// `kubectl`: it would look like one to type.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) if word == "kubectl" => {
                let before = line.rfind(' ').map(|at| line.split_off(at).trim_start().to_owned());
                lines.push(
                    before.map_or_else(|| word.to_owned(), |before| format!("{before} {word}")),
                );
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
    fn prose_about_kubectl_does_not_look_like_a_line_to_type() {
        let text = "its manifest is applied again, by kubectl apply: then it starts beside the set";
        assert_eq!(
            wrap(text, 34),
            [
                "its manifest is applied again,",
                "by kubectl apply: then it starts",
                "beside the set"
            ]
        );
        assert_eq!(wrap("kubectl get pods", 8), ["kubectl", "get pods"]);
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
    fn a_styled_line_is_cut_by_what_is_seen() {
        let red = |text: &str| format!("\u{1b}[31m{text}\u{1b}[0m");
        assert_eq!(clip_styled("short", 5), "short");
        assert_eq!(clip_styled(&red("short"), 5), red("short"));
        assert_eq!(
            clip_styled(&format!("web-0 {}", red("Broken")), 9),
            format!("web-0 {}", red("Br…"))
        );
        assert_eq!(
            clip_styled(&format!("{} and more", red("web-0")), 7),
            format!("{} …", red("web-0"))
        );
        assert_eq!(
            clip_styled(&format!("{}{}", red("web-0"), red("web-1")), 5),
            format!("{}{}", red("web-…"), red(""))
        );
        assert_eq!(clip_styled("データベース", 5), "デー…");
    }

    #[test]
    fn signs_have_a_form_in_ascii() {
        assert_eq!(in_ascii("├─ web-0  ✓ passed"), "|- web-0  + passed");
        assert_eq!(in_ascii("│  └─ web-…    x"), "|  `- web-...  x");
        assert_eq!(in_ascii("3 → 2"), "3 -> 2");
        assert_eq!(in_ascii("größer"), "größer", "what is not ours stays");
    }

    #[test]
    fn a_command_keeps_its_blanks_and_is_one_line() {
        assert_eq!(verbatim("sed 's/^  a/  b/'"), "sed 's/^  a/  b/'");
        assert_eq!(verbatim("a\nkubectl delete\u{1b}[2J"), "a\u{fffd}kubectl delete\u{fffd}[2J");
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
