//! `Warning:` headers, which API servers send for deprecated APIs and from
//! admission webhooks (RFC 7234, section 5.5).

/// The texts in a header value. As in client-go, only code 299 counts
/// ("miscellaneous persistent warning"), and malformed warnings are skipped.
pub fn texts(value: &[u8]) -> Vec<String> {
    let value = String::from_utf8_lossy(value);
    let mut rest = value.trim_start();
    let mut texts = Vec::new();
    while let Some((code, text, after)) = one(rest) {
        if code == "299" && !text.is_empty() {
            texts.push(text);
        }
        rest = after;
    }
    texts
}

/// Reads `code agent "text" ["date"]`; returns also the rest after the comma.
fn one(value: &str) -> Option<(&str, String, &str)> {
    let (code, rest) = value.split_once(' ')?;
    let (_agent, rest) = rest.trim_start().split_once(' ')?;
    let (text, rest) = quoted(rest.trim_start())?;
    let mut rest = rest.trim_start();
    if rest.starts_with('"') {
        rest = quoted(rest)?.1.trim_start();
    }
    let rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    Some((code, text, rest))
}

/// An unescaped quoted string, and the rest.
fn quoted(value: &str) -> Option<(String, &str)> {
    let mut letters = value.strip_prefix('"')?.char_indices();
    let mut text = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, &value[at + 2..])),
            '\\' => text.push(letters.next()?.1),
            letter => text.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::texts;

    #[test]
    fn reads_quoted_texts() {
        assert_eq!(texts(br#"299 - "old API""#), ["old API"]);
        assert_eq!(texts(br#"299 - "say \"x\" \\ y""#), [r#"say "x" \ y"#]);
        assert_eq!(
            texts(br#"299 - "one, two" "Sat, 25 Aug 2012 23:34:45 GMT", 299 a:1 "three""#),
            ["one, two", "three"]
        );
        assert_eq!(texts("299 - \"größer\"".as_bytes()), ["größer"]);
    }

    #[test]
    fn leaves_out_other_codes_and_what_cannot_be_read() {
        assert_eq!(texts(br#"199 - "other", 299 - "ours""#), ["ours"]);
        for bad in ["", "299", "299 -", "299 - text", "299 - \"open", "299 - \"\"", "\""] {
            assert!(texts(bad.as_bytes()).is_empty(), "{bad:?}");
        }
    }
}
