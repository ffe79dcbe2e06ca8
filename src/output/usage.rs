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
    let command = command_of(&rendered).unwrap_or_else(|| typed_command(tree, argv));
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
    let similar = text(ContextKind::SuggestedArg).or(text(ContextKind::SuggestedSubcommand));
    let help = format!("{command} --help");
    Error::usage(message).hint(match similar {
        Some(similar) => format!("did you mean {similar}? See: {help}"),
        None => help,
    })
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
fn typed_command(tree: &Command, argv: &[OsString]) -> String {
    let mut path = vec!["kubectl stateful".to_owned()];
    let mut command = tree;
    for word in argv.iter().skip(1).take_while(|word| *word != "--") {
        if let Some(inner) = command.find_subcommand(word) {
            path.push(inner.get_name().to_owned());
            command = inner;
        }
    }
    path.join(" ")
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
