//! Durations the way kubectl's flags take them.

use std::time::Duration;

use jiff::SignedDuration;

/// kubectl's sentence for a `--request-timeout` that it cannot read.
const INVALID: &str = "Invalid timeout value. Timeout must be a single integer in seconds, or an \
                       integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)";

/// A timeout: whole seconds or a Go duration (`1m30s`). Zero, nothing and
/// negative values mean "wait forever" and come back as [`Duration::ZERO`].
///
/// # Errors
/// kubectl's own sentence, when it is neither.
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

/// A Go duration. jiff reads more than Go does (days, words, blanks), and
/// what kubectl would refuse is refused here too.
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
}
