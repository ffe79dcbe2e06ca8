//! `-o jsonpath=…` and `-o custom-columns=…`, as kubectl has them, over the
//! document of `-o json`.
//!
//! kubectl's templates are not quite JSONPath: text and paths in braces, `range`
//! and `end`, names with dashes and escaped dots. The braces are read here; the
//! paths are rewritten to RFC 9535 and evaluated by a library. What cannot be
//! rewritten is refused before anything is read.

use std::ffi::OsString;

use jsonpath_rust::JsonPath as _;
use serde_json::Value;

use super::{Error, Exit, table};

/// What becomes of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    JsonPath(Vec<Piece>),
    Columns { columns: Vec<Column>, headings: bool },
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// The values of a path, with blanks between them.
    Values(Path),
    /// For each value of a path, what is between `range` and `end`.
    Range(Path, Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    heading: String,
    path: Path,
}

/// A path in the form of RFC 9535, from the current value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

/// Takes a template out of a command line, which then asks for JSON.
///
/// # Errors
/// `Usage` when the template cannot be used, or there is something that only goes
/// with a template.
pub fn taken_from(argv: Vec<OsString>) -> Result<(Vec<OsString>, Option<Template>), Error> {
    let mut line: Vec<OsString> = Vec::new();
    let (mut given, mut no_headings) = (None, None);
    let mut words = argv.into_iter().peekable();
    // kubectl asks what could come next: nothing of it is a template yet.
    if words.peek().is_some() {
        line.extend(words.next());
    }
    if words.peek().is_some_and(|word| word == "__complete") {
        line.extend(words);
        return Ok((line, None));
    }
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            line.push(word);
            line.extend(words.by_ref());
            break;
        }
        if text == "--no-headers" {
            no_headings = Some(line.len());
        }
        let value = match text.as_str() {
            "-o" | "--output" => words.peek().map(|next| next.to_string_lossy().into_owned()),
            _ => ["--output=", "-o=", "-o"]
                .iter()
                .find_map(|prefix| text.strip_prefix(prefix))
                .map(str::to_owned),
        };
        let named = value.as_deref().and_then(|value| value.split_once('='));
        match named {
            Some((kind, template)) if is_template(kind) => {
                if matches!(text.as_str(), "-o" | "--output") {
                    words.next();
                }
                if template.is_empty() {
                    return Err(Error::usage(format!("-o {kind}= has no template after it"))
                        .hint("-o jsonpath='{.items[*].name}'"));
                }
                given = Some((kind.to_owned(), template.to_owned()));
                line.extend(["-o", "json"].map(OsString::from));
            }
            _ => line.push(word),
        }
    }
    let template = match given {
        None => None,
        Some((kind, template)) => Some(match kind.as_str() {
            "jsonpath" => Template::JsonPath(pieces(&template)?),
            "custom-columns" => {
                // The other tables have the flag themselves.
                if let Some(at) = no_headings {
                    line.remove(at);
                }
                Template::Columns { columns: columns(&template)?, headings: no_headings.is_none() }
            }
            other => {
                return Err(Error::usage(format!("-o {other} is not supported"))
                    .hint("-o jsonpath=TEMPLATE and -o custom-columns=HEADING:PATH,… are"));
            }
        }),
    };
    Ok((line, template))
}

/// kubectl's formats that take a value.
fn is_template(kind: &str) -> bool {
    [
        "jsonpath",
        "jsonpath-as-json",
        "jsonpath-file",
        "custom-columns",
        "custom-columns-file",
        "go-template",
        "go-template-file",
        "template",
        "templatefile",
    ]
    .contains(&kind)
}

impl Template {
    /// What the template makes of a document.
    ///
    /// # Errors
    /// When a path cannot be evaluated.
    pub fn render(&self, document: &str) -> Result<String, Error> {
        let document: Value = serde_json::from_str(document)
            .map_err(|error| Error::usage(format!("the answer is no JSON document: {error}")))?;
        match self {
            Template::JsonPath(pieces) => {
                let mut text = String::new();
                write(pieces, &document, &mut text)?;
                Ok(text)
            }
            Template::Columns { columns, headings } => {
                let items = match &document["items"] {
                    Value::Array(items) => items.as_slice(),
                    _ => std::slice::from_ref(&document),
                };
                let mut rows: Vec<Vec<String>> = Vec::new();
                if *headings {
                    rows.push(columns.iter().map(|column| column.heading.clone()).collect());
                }
                for item in items {
                    let cell = |column: &Column| column.path.cell(item);
                    rows.push(columns.iter().map(cell).collect::<Result<_, _>>()?);
                }
                Ok(table::columns(rows).into_iter().map(|line| line + "\n").collect())
            }
        }
    }
}

fn write(pieces: &[Piece], current: &Value, text: &mut String) -> Result<(), Error> {
    for piece in pieces {
        match piece {
            Piece::Text(literal) => text.push_str(literal),
            Piece::Values(path) => {
                let values: Vec<String> = path.of(current)?.into_iter().map(shown).collect();
                text.push_str(&values.join(" "));
            }
            Piece::Range(path, inner) => {
                for value in path.of(current)? {
                    write(inner, value, text)?;
                }
            }
        }
    }
    Ok(())
}

/// Text as it is, everything else as JSON; nothing for null.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Path {
    /// Reads a path of kubectl's: `.items[*].name`, `@`, `$`, `..name`, or
    /// without the dot in front.
    fn read(text: &str) -> Result<Path, Error> {
        let refused = |why: &str| {
            Err(Error::usage(format!("the path {{{text}}} cannot be used: {why}")).hint(
                "kubectl's paths are like {.items[*].name}, {..name}, {.items[?(@.class==\"ok\")].name}",
            ))
        };
        let trimmed = text.trim();
        let mut rest = trimmed.strip_prefix(['$', '@']).unwrap_or(trimmed);
        let mut path = "$".to_owned();
        if !rest.is_empty() && !rest.starts_with(['.', '[']) {
            if rest.contains(char::is_whitespace) {
                return refused("it is no path, and functions are not supported");
            }
            path.push_str(&segment(&mut rest));
        }
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("..") {
                rest = after;
                path.push_str("..");
                if !rest.starts_with('[') {
                    path.push_str(&segment(&mut rest));
                }
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = after;
                // A dot at the end, or before a bracket, stands for what is there.
                if !rest.is_empty() && !rest.starts_with('[') {
                    path.push_str(&segment(&mut rest));
                }
            } else if rest.starts_with('[') {
                let Some(end) = bracket_end(rest) else { return refused("a bracket is open") };
                path.push_str(&rest[..end]);
                rest = &rest[end..];
            } else {
                return refused("a dot or a bracket is missing");
            }
        }
        match Value::Null.query(&path) {
            Ok(_) => Ok(Path(path)),
            Err(_) => refused("it is no JSONPath"),
        }
    }

    fn of<'a>(&self, value: &'a Value) -> Result<Vec<&'a Value>, Error> {
        self.check_indexes(value)?;
        query(value, &self.0)
    }

    /// Beyond the end of a list there is nothing, to RFC 9535; kubectl fails.
    fn check_indexes(&self, value: &Value) -> Result<(), Error> {
        let path = self.0.as_str();
        for (at, _) in outside_quotes(path).filter(|(_, letter)| *letter == '[') {
            let (before, after) = path.split_at(at);
            let inner = after[1..].split(']').next().unwrap_or_default();
            let Ok(index) = inner.trim().parse::<i64>() else { continue };
            // In a filter, or of whatever is below: there is no one list.
            if before.contains('?') || before.ends_with("..") {
                continue;
            }
            for list in query(value, before)?.into_iter().filter_map(Value::as_array) {
                let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
                if index >= length || index < -length {
                    return Err(Error::new(
                        Exit::Error,
                        format!(
                            "array index out of bounds: index {index}, length {length}, in {path}"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    /// The values as kubectl shows them in a column.
    fn cell(&self, item: &Value) -> Result<String, Error> {
        let values = self.of(item)?;
        if values.is_empty() || values.iter().all(|value| value.is_null()) {
            return Ok("<none>".to_owned());
        }
        Ok(values.into_iter().map(shown).collect::<Vec<_>>().join(","))
    }
}

fn query<'a>(value: &'a Value, path: &str) -> Result<Vec<&'a Value>, Error> {
    value.query(path).map_err(|error| Error::usage(format!("{path}: {error}")))
}

/// Takes a name, in which dots may be escaped, and returns its segment.
fn segment(rest: &mut &str) -> String {
    let mut name = String::new();
    let mut letters = rest.char_indices().peekable();
    let mut end = rest.len();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => {
                end = at;
                break;
            }
            other => name.push(other),
        }
    }
    *rest = &rest[end..];
    if name == "*" {
        return "[*]".to_owned();
    }
    format!("['{}']", name.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Where the bracket that opens a text is closed.
fn bracket_end(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in outside_quotes(text) {
        match letter {
            '[' => depth += 1,
            ']' if depth == 1 => return Some(at + 1),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where the brace that opens a text is closed.
fn brace_end(text: &str) -> Option<usize> {
    outside_quotes(text).find(|(_, letter)| *letter == '}').map(|(at, _)| at)
}

/// The letters of a text that stand in no quotes, and where.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    text.char_indices().filter(move |(_, letter)| {
        match quote {
            Some(open) if open == *letter => quote = None,
            Some(_) => {}
            None if matches!(letter, '\'' | '"') => quote = Some(*letter),
            None => return true,
        }
        false
    })
}

/// The pieces of a template. Like kubectl, it may be a path without braces.
fn pieces(template: &str) -> Result<Vec<Piece>, Error> {
    if !template.contains('{') {
        return Ok(vec![Piece::Values(Path::read(template)?)]);
    }
    let mut open: Vec<(Path, Vec<Piece>)> = Vec::new();
    let mut all = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let at = rest.find('{').unwrap_or(rest.len());
        if at > 0 {
            all.push(Piece::Text(unescaped(&rest[..at])));
            rest = &rest[at..];
            continue;
        }
        let end = brace_end(rest)
            .ok_or_else(|| Error::usage(format!("the template has an open brace: {rest}")))?;
        let inner = rest[1..end].trim();
        rest = &rest[end + 1..];
        let quoted = ['"', '\''].iter().find_map(|quote| {
            inner.strip_prefix(*quote).and_then(|inner| inner.strip_suffix(*quote))
        });
        if let Some(text) = quoted {
            all.push(Piece::Text(unescaped(text)));
        } else if inner == "end" {
            let (path, outer) = open
                .pop()
                .ok_or_else(|| Error::usage("the template has an end without a range"))?;
            let inner = std::mem::replace(&mut all, outer);
            all.push(Piece::Range(path, inner));
        } else if let Some(path) = inner.strip_prefix("range ") {
            open.push((Path::read(path)?, std::mem::take(&mut all)));
        } else {
            all.push(Piece::Values(Path::read(inner)?));
        }
    }
    if open.is_empty() {
        Ok(all)
    } else {
        Err(Error::usage("the template has a range without an end"))
    }
}

/// Text with `\n`, `\t` and the like.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n') => plain.push('\n'),
                Some('t') => plain.push('\t'),
                Some('r') => plain.push('\r'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            (letter, false) => plain.push(letter),
        }
    }
    plain
}

/// `NAME:.name,CLASS:.class`.
fn columns(text: &str) -> Result<Vec<Column>, Error> {
    let one = |part: &str| {
        let (heading, path) =
            part.split_once(':').filter(|(_, path)| !path.is_empty()).ok_or_else(|| {
                Error::usage(format!("custom-columns: expected HEADING:PATH, and got {part:?}"))
                    .hint("-o custom-columns=NAME:.name,CLASS:.class")
            })?;
        let path = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
        Ok(Column { heading: heading.to_owned(), path: Path::read(path)? })
    };
    text.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"schema": "x/v1", "exitCode": 0, "items": [
        {"name": "data-0", "class": "ok", "size": 1, "labels": {"app.io/name": "web"}, "not-ready": true},
        {"name": "data-1", "class": null, "size": 2}]}"#;

    fn line(words: &[&str]) -> Result<(Vec<String>, Option<Template>), Error> {
        let (line, template) = taken_from(words.iter().map(OsString::from).collect())?;
        Ok((line.iter().map(|word| word.to_string_lossy().into_owned()).collect(), template))
    }

    fn shows(template: &str) -> String {
        let option = format!("jsonpath={template}");
        let (_, template) = line(&["orphans", "-o", &option]).expect("a template");
        template.expect("a template").render(DOCUMENT).expect("an answer")
    }

    #[test]
    fn paths_are_kubectls() {
        assert_eq!(shows("{.items[*].name}"), "data-0 data-1");
        assert_eq!(shows("{$.items[0].name}{'\\n'}"), "data-0\n");
        assert_eq!(shows(".exitCode"), "0");
        assert_eq!(shows("exitCode"), "0");
        assert_eq!(shows("{..size}"), "1 2");
        assert_eq!(shows("{.items[-1].name}"), "data-1");
        assert_eq!(shows("{.items[?(@.class==\"ok\")].name}"), "data-0");
        assert_eq!(shows("{.items[0].labels.app\\.io/name}"), "web");
        assert_eq!(shows("{.items[0].not-ready}"), "true");
        assert_eq!(shows("{.items[0].labels}"), r#"{"app.io/name":"web"}"#);
        assert_eq!(shows("{.nothing}{.items[1].class}"), "");
    }

    #[test]
    fn ranges_repeat_what_is_in_them() {
        assert_eq!(
            shows(r#"{range .items[*]}{.name}{"\t"}{.size}{"\n"}{end}"#),
            "data-0\t1\ndata-1\t2\n"
        );
        assert_eq!(shows("all: {range .items[*]}[{@.name}]{end}."), "all: [data-0][data-1].");
    }

    #[test]
    fn columns_are_of_the_items() {
        let columns = |words: &[&str]| {
            let (line, template) = line(words).expect("a template");
            assert_eq!(line, ["orphans", "-o", "json"]);
            template.expect("a template").render(DOCUMENT).expect("an answer")
        };
        assert_eq!(
            columns(&["orphans", "-o", "custom-columns=NAME:.name,CLASS:.class"]),
            "NAME     CLASS\ndata-0   ok\ndata-1   <none>\n"
        );
        assert_eq!(
            columns(&["orphans", "--no-headers", "-ocustom-columns=NAME:name"]),
            "data-0\ndata-1\n"
        );
    }

    #[test]
    fn what_is_not_supported_is_refused_beforehand() {
        for words in [
            &["x", "-o", "jsonpath={.a"][..],
            &["x", "-o", "jsonpath={range .items[*]}{.a}"],
            &["x", "-o", "jsonpath={end}"],
            &["x", "-o", "jsonpath={if .a}"],
            &["x", "-o", "jsonpath={.items[}"],
            &["x", "--output=go-template={{.a}}"],
            &["x", "-o", "jsonpath-file=x"],
            &["x", "-o", "custom-columns=NAME"],
        ] {
            let error = line(words).expect_err("a refusal");
            assert_eq!(error.exit, super::super::Exit::Usage, "{words:?}");
        }
        let rows = ["status", "--no-headers"];
        assert_eq!(line(&rows).expect("a line"), (rows.map(str::to_owned).to_vec(), None));
        let untouched = ["scale", "web", "-o", "yaml", "--", "-o", "jsonpath={.a}"];
        assert_eq!(line(&untouched).expect("a line").0, untouched);
    }
}
