//! Durations as kubectl's flags take them.

use std::time::Duration;

use jiff::SignedDuration;

/// kubectl's message for an invalid `--request-timeout`.
const INVALID: &str = "Invalid timeout value. Timeout must be a single integer in seconds, or an \
                       integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)";

/// A timeout: whole seconds or a Go duration (`1m30s`). Zero, an empty value
/// and negative values mean "wait forever" and return [`Duration::ZERO`].
///
/// # Errors
/// kubectl's message, when it is neither.
pub fn timeout(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Ok(Duration::ZERO);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Duration::from_secs).map_err(|_| INVALID.to_owned());
    }
    go(text)
        .map(|given| given.try_into().unwrap_or(Duration::ZERO))
        .ok_or_else(|| INVALID.to_owned())
}

/// The message for an invalid duration in a flag of ours; clap names flag and
/// value.
const WRONG: &str = "write a number of seconds, or numbers with units: 90, 30s, 5m, 1h30m";

/// A time to wait or to hold: whole seconds or a Go duration. Zero means what the
/// flag says; nothing at all, or less than nothing, means nothing to anybody.
///
/// # Errors
/// How to write one, when it is neither.
pub fn wait(text: &str) -> Result<Duration, String> {
    let is_wrong = text.is_empty() || text.starts_with('-');
    if is_wrong { Err(WRONG.to_owned()) } else { timeout(text).map_err(|_| WRONG.to_owned()) }
}

/// A Go duration. jiff accepts more than Go does (days, words, blanks); what
/// kubectl rejects is rejected here too.
fn go(text: &str) -> Option<SignedDuration> {
    const UNITS: [&str; 7] = ["ns", "us", "µs", "ms", "s", "m", "h"];
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut units =
        unsigned.split(|c: char| c.is_ascii_digit() || c == '.').filter(|unit| !unit.is_empty());
    let starts_with_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !starts_with_number || !units.all(|unit| UNITS.contains(&unit)) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubectl_reads() {
        for (text, millis) in [
            ("", 0),
            ("0", 0),
            ("0s", 0),
            ("-5s", 0),
            ("30", 30_000),
            ("5s", 5_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("1h0m0s", 3_600_000),
        ] {
            assert_eq!(timeout(text), Ok(Duration::from_millis(millis)), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_kubectl_refuses() {
        for text in ["x", "1d", "1.5", "-1", "5 s", "1 minute", "s", "5sec"] {
            assert_eq!(timeout(text), Err(INVALID.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn no_time_at_all_is_not_forever() {
        assert_eq!(wait("0s"), Ok(Duration::ZERO));
        assert_eq!(wait("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["", "-5s", "-1", "soon", "1d"] {
            assert_eq!(wait(text), Err(WRONG.to_owned()), "{text:?}");
        }
    }
}
