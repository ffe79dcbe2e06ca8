//! Manifests as documents: read without losing their text, written back with
//! only the documents changed that became something else.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::convert::{Class, Made, Outcome};
use crate::{
    cluster::offline::{self, Text},
    output::{Error, Exit, text::list},
};

/// All manifests of the input.
#[derive(Debug)]
pub struct Manifests {
    files: Vec<File>,
    /// The objects of all files in order, lists taken apart.
    pub objects: Vec<Value>,
}

#[derive(Debug)]
struct File {
    name: String,
    path: Option<PathBuf>,
    documents: Vec<Document>,
}

#[derive(Debug)]
struct Document {
    /// The line that parts it from the document before: `---`, with what
    /// stands behind it.
    marker: Option<String>,
    text: String,
    content: Content,
    is_json: bool,
}

#[derive(Debug)]
enum Content {
    /// Comments, directives or nothing.
    None,
    /// The object at this place.
    Object(usize),
    /// A list: what surrounds its items, and where those are.
    List { frame: Map<String, Value>, items: Vec<usize> },
}

/// One object of the output.
#[derive(Debug)]
pub struct Item<'a> {
    pub class: Class,
    /// The file that it stands in; absent for stdin.
    pub file: Option<&'a Path>,
    pub body: &'a Value,
}

/// Comments of converted documents.
#[derive(Debug)]
pub struct LostComments {
    pub file: String,
    /// Place of the first object of the document.
    pub object: usize,
    /// Lines of the file, counted from 1.
    pub lines: Vec<usize>,
}

impl Manifests {
    /// Reads files, folders and `-`.
    ///
    /// # Errors
    /// When one cannot be read or is no manifest.
    pub fn read(paths: &[String]) -> Result<Manifests, Error> {
        Manifests::from_texts(offline::texts(paths)?)
    }

    /// # Errors
    /// When one is neither YAML nor JSON, or no object.
    pub fn from_texts(texts: Vec<Text>) -> Result<Manifests, Error> {
        let mut objects = Vec::new();
        let mut files = Vec::new();
        for Text { name, path, text } in texts {
            let mut documents = Vec::new();
            for (index, part) in split(&text).into_iter().enumerate() {
                let origin = format!("{name}, document {}", index + 1);
                let value = parse(&part.text, part.is_json, &origin)?;
                let content = take(value, &origin, &mut objects)?;
                let Part { marker, text, is_json } = part;
                documents.push(Document { marker, text, content, is_json });
            }
            files.push(File { name, path, documents });
        }
        Ok(Manifests { files, objects })
    }

    /// Every object of the output, in the order in which it is written.
    pub fn items<'a>(&'a self, outcomes: &'a [Outcome]) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        for file in &self.files {
            let path = file.path.as_deref();
            let places = file.documents.iter().flat_map(|document| document.content.places());
            for &place in places {
                match &outcomes[place] {
                    Outcome::Kept => {
                        let body = &self.objects[place];
                        items.push(Item { class: Class::Untouched, file: path, body });
                    }
                    Outcome::Became(made) => items.extend(made.iter().map(|made| Item {
                        class: made.class,
                        file: path,
                        body: &made.body,
                    })),
                }
            }
        }
        items
    }

    /// Comments that are inside documents which are written anew.
    pub fn lost_comments(&self, outcomes: &[Outcome]) -> Vec<LostComments> {
        let mut lost = Vec::new();
        for file in &self.files {
            let mut line = 1;
            for document in &file.documents {
                line += document.marker.as_ref().map_or(0, |_| 1);
                let changed = |place: &usize| outcomes[*place] != Outcome::Kept;
                let places = document.content.places();
                if let Some(&object) = places.iter().find(|place| changed(place)) {
                    let gone = |place: &usize| outcomes[*place] == Outcome::Became(Vec::new());
                    let lines = comments(document, places.iter().all(gone));
                    if !lines.is_empty() {
                        let lines = lines.into_iter().map(|at| at + line).collect();
                        lost.push(LostComments { file: file.name.clone(), object, lines });
                    }
                }
                line += document.text.lines().count();
            }
        }
        lost
    }

    /// All files as one YAML stream.
    ///
    /// # Errors
    /// When an object cannot be written, which is a bug.
    pub fn stream(&self, outcomes: &[Outcome]) -> Result<String, Error> {
        let mut text = String::new();
        for file in &self.files {
            // JSON has no comments to keep, and tabs that YAML does not take.
            add(&mut text, &self.file_text(file, outcomes, false)?);
        }
        Ok(text)
    }

    /// Writes a file for each of the input into `folder`, all or none that
    /// would overwrite something else; returns what was written.
    ///
    /// # Errors
    /// `Usage` when two files have one name, `Refused` when something else is
    /// there and `overwrite` was not said, else what the disk says.
    pub fn write(
        &self,
        outcomes: &[Outcome],
        folder: &Path,
        overwrite: bool,
    ) -> Result<Vec<PathBuf>, Error> {
        let mut names = BTreeSet::new();
        let mut planned = Vec::new();
        let mut differing = Vec::new();
        for file in &self.files {
            let name = match &file.path {
                Some(path) => path.file_name().map_or_else(OsString::new, OsString::from),
                None => "stdin.yaml".into(),
            };
            let shown = name.to_string_lossy().into_owned();
            if !names.insert(name.clone()) {
                return Err(Error::usage(format!("two files of the input are called {shown}"))
                    .hint("convert them into a folder each"));
            }
            let path = folder.join(name);
            let text = self.file_text(file, outcomes, true)?;
            match fs::read_to_string(&path) {
                Ok(there) if there == text => {}
                Ok(_) => differing.push(shown),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unwritable(&path, &error)),
            }
            planned.push((path, text));
        }
        if !differing.is_empty() && !overwrite {
            let names: Vec<&str> = differing.iter().map(String::as_str).collect();
            let message = format!("{} has another {} already", folder.display(), list(&names));
            return Err(Error::new(Exit::Refused, message)
                .caused_by("nothing was written")
                .hint("another --out, or --yes to overwrite"));
        }
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        for (path, text) in &planned {
            // Under another name first: whoever reads it finds a whole file.
            let mut aside = path.clone().into_os_string();
            aside.push(".part");
            fs::write(&aside, text)
                .and_then(|()| fs::rename(&aside, path))
                .map_err(|error| unwritable(path, &error))?;
        }
        Ok(planned.into_iter().map(|(path, _)| path).collect())
    }

    fn file_text(&self, file: &File, outcomes: &[Outcome], as_json: bool) -> Result<String, Error> {
        let mut text = String::new();
        for document in &file.documents {
            let json = document.is_json && as_json;
            let places = document.content.places();
            let kept = places.iter().all(|&place| outcomes[place] == Outcome::Kept);
            if kept && (!document.is_json || json) {
                end_line(&mut text);
                text.push_str(document.marker.as_deref().unwrap_or_default());
                text.push_str(&document.text);
                continue;
            }
            let made = self.made(document, outcomes);
            if json {
                let bodies: Vec<&Value> = made.iter().map(|made| &made.body).collect();
                text.push_str(&json_text(&bodies)?);
                continue;
            }
            // Comments before a document speak of what it became.
            let heir = made.iter().rposition(|made| made.class != Class::Created);
            for (index, made) in made.iter().enumerate() {
                end_line(&mut text);
                match &document.marker {
                    Some(marker) if index == 0 => text.push_str(marker),
                    None if text.is_empty() => {}
                    _ => text.push_str("---\n"),
                }
                if heir == Some(index) && !document.is_json {
                    text.push_str(head(&document.text));
                }
                text.push_str(&yaml(&made.body, indents_lists(&document.text))?);
            }
        }
        end_line(&mut text);
        Ok(text)
    }

    /// What stands where a document stood: its objects, or one list of them.
    fn made(&self, document: &Document, outcomes: &[Outcome]) -> Vec<Made> {
        let of = |place: usize| match &outcomes[place] {
            Outcome::Kept => {
                vec![Made { class: Class::Untouched, body: self.objects[place].clone() }]
            }
            Outcome::Became(made) => made.clone(),
        };
        match &document.content {
            Content::None => Vec::new(),
            Content::Object(place) => of(*place),
            Content::List { frame, items } => {
                let mut frame = frame.clone();
                let all = items.iter().flat_map(|&place| of(place)).map(|made| made.body);
                let all = Value::Array(all.collect());
                // A DeploymentList may hold Deployments only.
                frame.insert("apiVersion".to_owned(), "v1".into());
                frame.insert("kind".to_owned(), "List".into());
                frame.insert("items".to_owned(), all);
                vec![Made { class: Class::Converted, body: Value::Object(frame) }]
            }
        }
    }
}

impl Content {
    fn places(&self) -> &[usize] {
        match self {
            Content::None => &[],
            Content::Object(place) => std::slice::from_ref(place),
            Content::List { items, .. } => items,
        }
    }
}

/// A document and the line before it.
struct Part {
    marker: Option<String>,
    text: String,
    is_json: bool,
}

/// Takes a file apart. A line that begins with three hyphens parts documents
/// wherever it stands: no scalar may contain it.
fn split(text: &str) -> Vec<Part> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        let rest = text.trim_start();
        let mut values =
            serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
        let mut parts = Vec::new();
        let mut from = 0;
        while let Some(Ok(_)) = values.next() {
            let upto = values.byte_offset();
            let text = rest[from..upto].trim_start().to_owned() + "\n";
            parts.push(Part { marker: None, text, is_json: true });
            from = upto;
        }
        if rest[from..].trim().is_empty() {
            return parts;
        }
    }
    let mut parts = vec![Part { marker: None, text: String::new(), is_json: false }];
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])) {
            let marker = if line.ends_with('\n') { line.to_owned() } else { format!("{line}\n") };
            parts.push(Part { marker: Some(marker), text: String::new(), is_json: false });
        } else if let Some(part) = parts.last_mut() {
            part.text.push_str(line);
        }
    }
    // Nothing before the first marker is no document.
    if parts.len() > 1 && parts[0].text.is_empty() {
        parts.remove(0);
    }
    parts
}

/// YAML as Kubernetes reads it: `0644` is octal, `yes` is true.
fn parse(text: &str, is_json: bool, origin: &str) -> Result<Value, Error> {
    let failed = |error: &dyn std::error::Error| offline::malformed(origin, error);
    if is_json {
        return serde_json::from_str(text).map_err(|error| failed(&error));
    }
    if text.lines().all(|line| line.trim().is_empty() || line.starts_with(['#', '%'])) {
        return Ok(Value::Null);
    }
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = failed(&error);
        if text.contains("{{") {
            error.hint("render the chart first: helm template")
        } else {
            error
        }
    })
}

fn take(value: Value, origin: &str, objects: &mut Vec<Value>) -> Result<Content, Error> {
    let Value::Object(mut fields) = value else {
        return if value.is_null() { Ok(Content::None) } else { Err(offline::no_object(origin)) };
    };
    let word = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let (Some(api), Some(kind)) = (word("apiVersion"), word("kind")) else {
        return Err(offline::no_object(origin));
    };
    let is_list = kind.ends_with("List") && fields.get("items").is_some_and(Value::is_array);
    if !is_list {
        objects.push(Value::Object(fields));
        return Ok(Content::Object(objects.len() - 1));
    }
    let mut items = Vec::new();
    let of_list = kind.trim_end_matches("List");
    let Some(Value::Array(all)) = fields.get_mut("items").map(Value::take) else {
        return Ok(Content::None);
    };
    for (index, item) in all.into_iter().enumerate() {
        let Value::Object(mut item) = item else {
            return Err(offline::no_object(&format!("{origin}, item {}", index + 1)));
        };
        // Items of a typed list may leave out what the list says for all.
        if !of_list.is_empty() && !item.contains_key("kind") {
            let mut whole = Map::new();
            whole.insert("apiVersion".to_owned(), api.clone().into());
            whole.insert("kind".to_owned(), of_list.into());
            whole.extend(item);
            item = whole;
        }
        items.push(objects.len());
        objects.push(Value::Object(item));
    }
    Ok(Content::List { frame: fields, items })
}

/// The comments and empty lines before the first line that says something.
fn head(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            return &text[..end];
        }
        end += line.len();
    }
    ""
}

/// Lines, counted from 0, that hold a comment: without it the document says
/// the same. Its head counts where the whole document has moved away.
fn comments(document: &Document, with_head: bool) -> Vec<usize> {
    if document.is_json || !document.text.contains('#') {
        return Vec::new();
    }
    let lines: Vec<&str> = document.text.split_inclusive('\n').collect();
    let first = if with_head { 0 } else { head(&document.text).lines().count() };
    let whole = parse(&document.text, false, "").ok();
    let mut comments = Vec::new();
    for (at, line) in lines.iter().enumerate().skip(first) {
        let Some(hash) = comment_start(line) else { continue };
        let mut without: String = lines[..at].concat();
        let _ = writeln!(without, "{}", &line[..hash]);
        without.push_str(&lines[at + 1..].concat());
        if whole.is_some() && parse(&without, false, "").ok() == whole {
            comments.push(at);
        }
    }
    comments
}

/// Where a comment of this line would begin.
fn comment_start(line: &str) -> Option<usize> {
    line.char_indices().find_map(|(at, c)| {
        let free = line[..at].chars().next_back().is_none_or(char::is_whitespace);
        (c == '#' && free).then_some(at)
    })
}

/// Whether lists stand deeper than the key that they belong to.
fn indents_lists(text: &str) -> bool {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
        .collect();
    lines.windows(2).find_map(|pair| {
        let is_key = pair[0].trim_end().ends_with(':') && !pair[0].trim_start().starts_with('-');
        let is_item = pair[1].trim_start().starts_with("- ");
        (is_key && is_item).then(|| depth(pair[1]) > depth(pair[0]))
    }) == Some(true)
}

/// An object as a person would write it.
fn yaml(body: &Value, indented: bool) -> Result<String, Error> {
    let options = serde_saphyr::ser_options! {
        compact_list_indent: !indented,
        folded_wrap_chars: usize::MAX,
    };
    let text = serde_saphyr::to_string_with_options(body, options)
        .map_err(|error| Error::new(Exit::Error, format!("cannot write an object: {error}")))?;
    // Empty lines of a block are written with their indentation.
    let trimmed: String = text
        .lines()
        .map(|line| if line.trim().is_empty() { "" } else { line })
        .fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        });
    let same = |text: &str| parse(text, false, "").is_ok_and(|value| value == *body);
    Ok(if same(&trimmed) { trimmed } else { text })
}

fn json_text(bodies: &[&Value]) -> Result<String, Error> {
    let text = match bodies {
        [] => return Ok(String::new()),
        [one] => serde_json::to_string_pretty(one),
        several => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": several});
            serde_json::to_string_pretty(&list)
        }
    };
    text.map(|text| text + "\n")
        .map_err(|error| Error::new(Exit::Error, format!("cannot write an object: {error}")))
}

/// Adds a file to a stream.
fn add(stream: &mut String, text: &str) {
    if !stream.is_empty() && !text.is_empty() && !text.starts_with("---") {
        stream.push_str("---\n");
    }
    stream.push_str(text);
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Exit::Error, format!("cannot write {}: {error}", path.display()))
}
