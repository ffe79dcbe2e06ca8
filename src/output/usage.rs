//! What clap refuses, in the form of our other errors.

use std::ffi::OsString;

use clap::{
    Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Error, Format, text::one_line};

/// A wrong command line as an error, with the line that shows the right one.
pub fn error(wrong: &clap::Error, tree: &Command, argv: &[OsString]) -> Error {
    let rendered = wrong.render().to_string();
    let mut paragraphs = rendered.split("\n\n");
    let first = one_line(paragraphs.next().unwrap_or_default());
    let text = |kind: ContextKind| match wrong.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let command = command_of(&rendered).unwrap_or_else(|| typed_command(tree, argv).0);
    let message = match (wrong.kind(), text(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(flag)) if flag.starts_with("--") => {
            format!("unknown flag: {flag}")
        }
        (ErrorKind::UnknownArgument, Some(flag)) if flag.starts_with('-') => {
            format!("unknown shorthand flag: {flag}")
        }
        (ErrorKind::InvalidSubcommand, _) => {
            let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("unknown command {word:?} for {command:?}")
        }
        _ => first.strip_prefix("error: ").unwrap_or(&first).to_owned(),
    };
    let similar = match wrong.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(verbs)) => near_verbs(verbs, typed_command(tree, argv).1),
        _ => text(ContextKind::SuggestedArg).unwrap_or_default().to_owned(),
    };
    let help = format!("{command} --help");
    Error::usage(message).hint(match similar.as_str() {
        "" => help,
        similar => format!("did you mean {similar}? See: {help}"),
    })
}

/// All verbs that a misspelt one may have been, which clap gives with the nearest last.
/// First come those that only read: nobody is led to a change by a slip.
fn near_verbs(verbs: &[String], of: &Command) -> String {
    let writes = |verb: &&String| {
        let verb = of.find_subcommand(verb.as_str());
        verb.is_some_and(|verb| verb.get_arguments().any(|flag| flag.get_id() == "yes"))
    };
    let mut verbs: Vec<&String> = verbs.iter().rev().collect();
    verbs.sort_by_key(writes);
    let verbs: Vec<&str> = verbs.into_iter().map(String::as_str).collect();
    match verbs.as_slice() {
        [several @ .., last] if !several.is_empty() => format!("{} or {last}", several.join(", ")),
        _ => verbs.concat(),
    }
}

/// The command that the usage line is of: `kubectl stateful status`.
fn command_of(rendered: &str) -> Option<String> {
    let usage = rendered.lines().find_map(|line| line.strip_prefix("Usage: "))?;
    let is_command = |word: &&str| !word.starts_with(['[', '<', '-', '.']);
    let words: Vec<&str> = usage.split_whitespace().take_while(is_command).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The same where clap says nothing about the usage: the words of the line that
/// name commands.
fn typed_command<'a>(tree: &'a Command, argv: &[OsString]) -> (String, &'a Command) {
    let mut path = vec!["kubectl stateful".to_owned()];
    let mut command = tree;
    for word in argv.iter().skip(1).take_while(|word| *word != "--") {
        if let Some(inner) = command.find_subcommand(word) {
            path.push(inner.get_name().to_owned());
            command = inner;
        }
    }
    (path.join(" "), command)
}

/// The format that a command line asks for, which may be wrong in other ways.
pub fn format_of(argv: &[OsString]) -> Format {
    let words = argv.iter().map(|word| word.to_string_lossy());
    let mut asked = None;
    let mut is_value = false;
    for word in words.take_while(|word| word != "--") {
        if is_value {
            asked = Some(word.into_owned());
            is_value = false;
        } else if word == "-o" || word == "--output" {
            is_value = true;
        } else if let Some(value) =
            word.strip_prefix("--output=").or(word.strip_prefix("-o=")).or(word.strip_prefix("-o"))
        {
            asked = Some(value.to_owned());
        }
    }
    match asked.as_deref() {
        Some("json") => Format::Json,
        Some("yaml") => Format::Yaml,
        Some("jsonl") => Format::Jsonl,
        _ => Format::Table,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_read_from_a_line_that_clap_refuses() {
        let format = |words: &[&str]| {
            format_of(&words.iter().map(|&word| OsString::from(word)).collect::<Vec<_>>())
        };
        assert_eq!(format(&["status", "-o", "json", "--nope"]), Format::Json);
        assert_eq!(format(&["status", "-ojson"]), Format::Json);
        assert_eq!(format(&["status", "--output=yaml"]), Format::Yaml);
        assert_eq!(format(&["status", "-o", "json", "-o", "table"]), Format::Table);
        assert_eq!(format(&["status", "--", "-o", "json"]), Format::Table);
    }
}
