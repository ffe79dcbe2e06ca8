//! Manifests as documents. They are read without losing their text, and only the
//! documents that were converted are written anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    comments::{self, PointerMap},
    convert::{Class, Outcome},
};
use crate::{
    manifests::{self, Text},
    output::{Error, Exit, text::list},
};

/// All manifests of the input.
#[derive(Debug)]
pub struct Manifests {
    files: Vec<File>,
    /// The objects of all files in order, with lists split into their items.
    pub objects: Vec<Value>,
}

#[derive(Debug)]
struct File {
    name: String,
    path: Option<PathBuf>,
    documents: Vec<Document>,
    /// Whether every line ends with a carriage return too. It is taken away for
    /// the time of the conversion.
    crlf: bool,
}

#[derive(Debug)]
struct Document {
    /// The line before the document: `---`, with what follows on that line.
    marker: Option<String>,
    text: String,
    content: Content,
    is_json: bool,
    /// The line of the file where its text begins, counted from 1.
    line: usize,
}

#[derive(Debug)]
enum Content {
    /// Comments, directives or nothing.
    None,
    /// Something else than an object, such as a kustomization without a kind or
    /// the values of a chart.
    Other,
    /// The object at this position.
    Object(usize),
    /// A list: the object without its items, and the positions of the items.
    List { frame: Map<String, Value>, items: Vec<usize> },
}

/// One object of the output.
#[derive(Debug)]
pub struct Item<'a> {
    pub class: Class,
    /// The file that it is in; absent for stdin.
    pub file: Option<&'a Path>,
    pub body: &'a Value,
}

/// Comments of a document that are not in the output.
#[derive(Debug)]
pub struct LostComments {
    pub file: String,
    /// The position of the first object of the document.
    pub object: usize,
    /// Lines of the file, counted from 1.
    pub lines: Vec<usize>,
}

/// A document of the output that replaces one of the input.
struct Piece {
    body: Value,
    /// The objects of the input that it comes from, and their JSON pointers in it.
    sources: Vec<(usize, String)>,
}

/// Lines with comments that are also in the output, counted from 0, by the
/// position of the first object of their document.
type Carried = BTreeMap<usize, BTreeSet<usize>>;

impl Manifests {
    /// Reads files, folders and `-`.
    ///
    /// # Errors
    /// When one cannot be read or is not a manifest.
    pub fn read(paths: &[String]) -> Result<Manifests, Error> {
        let mut manifests = Manifests { files: Vec::new(), objects: Vec::new() };
        for text in manifests::texts(paths)? {
            // A folder may have other files, too: who named the folder did not
            // say that each of them is a manifest.
            let of_folder = text.path.is_some() && !paths.contains(&text.name);
            manifests.add(text, of_folder)?;
        }
        Ok(manifests)
    }

    /// # Errors
    /// When one is neither YAML nor JSON, or not an object.
    pub fn from_texts(texts: Vec<Text>) -> Result<Manifests, Error> {
        let mut manifests = Manifests { files: Vec::new(), objects: Vec::new() };
        texts.into_iter().try_for_each(|text| manifests.add(text, false))?;
        Ok(manifests)
    }

    fn add(&mut self, text: Text, of_folder: bool) -> Result<(), Error> {
        let Text { name, path, text } = text;
        let crlf = text.contains("\r\n") && text.replace("\r\n", "").find('\n').is_none();
        let text = if crlf { text.replace("\r\n", "\n") } else { text };
        let mut documents = Vec::new();
        for (index, part) in split(&text).into_iter().enumerate() {
            let origin = format!("{name}, document {}", index + 1);
            let value = parse(&part.text, part.is_json, &origin)?;
            let content = if of_folder && !value.is_null() && !is_object(&value) {
                Content::Other
            } else {
                take(value, &origin, &mut self.objects)?
            };
            let Part { marker, text, is_json, line } = part;
            documents.push(Document { marker, text, content, is_json, line });
        }
        self.files.push(File { name, path, documents, crlf });
        Ok(())
    }

    /// Where an object of the input is: `app.yaml line 12`.
    pub fn origin(&self, place: usize) -> String {
        for file in &self.files {
            for document in &file.documents {
                let places = document.content.places();
                let Some(at) = places.iter().position(|one| *one == place) else { continue };
                let line = document.line + head(&document.text).lines().count();
                let item = if document.content.is_list() {
                    format!(", item {}", at + 1)
                } else {
                    String::new()
                };
                return format!("{} line {line}{item}", file.name);
            }
        }
        "the input".to_owned()
    }

    /// Files with something in them that is no object.
    pub fn other_files(&self) -> impl Iterator<Item = &str> {
        let has_other = |file: &&File| {
            file.documents.iter().any(|document| matches!(document.content, Content::Other))
        };
        self.files.iter().filter(has_other).map(|file| file.name.as_str())
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
                    Outcome::Replaced(made) => items.extend(made.iter().map(|made| Item {
                        class: made.class,
                        file: path,
                        body: &made.body,
                    })),
                }
            }
        }
        items
    }

    /// Comments of converted documents that have no place in the output.
    ///
    /// # Errors
    /// When an object cannot be written, which is a bug.
    pub fn lost_comments(&self, outcomes: &[Outcome]) -> Result<Vec<LostComments>, Error> {
        let mut carried = Carried::new();
        for file in &self.files {
            self.file_text(file, outcomes, false, &mut carried)?;
        }
        let mut lost = Vec::new();
        for file in &self.files {
            let mut line = 1;
            for document in &file.documents {
                line += document.marker.as_ref().map_or(0, |_| 1);
                let places = document.content.places();
                let changed = places.iter().find(|place| outcomes[**place] != Outcome::Kept);
                if let Some(&object) = changed.filter(|_| !document.is_json) {
                    let kept = carried.remove(&places[0]).unwrap_or_default();
                    let lines = comments::lines(&document.text);
                    let lines: Vec<usize> = lines.difference(&kept).map(|at| at + line).collect();
                    if !lines.is_empty() {
                        lost.push(LostComments { file: file.name.clone(), object, lines });
                    }
                }
                line += document.text.lines().count();
            }
        }
        Ok(lost)
    }

    /// All files as one YAML stream.
    ///
    /// # Errors
    /// When an object cannot be written, which is a bug.
    pub fn stream(&self, outcomes: &[Outcome]) -> Result<String, Error> {
        let mut text = String::new();
        for file in &self.files {
            // JSON is written as YAML here, because it may have tabs, which YAML does
            // not allow.
            add(&mut text, &self.file_text(file, outcomes, false, &mut Carried::new())?);
        }
        // One stream has one kind of line.
        let crlf = !self.files.is_empty() && self.files.iter().all(|file| file.crlf);
        Ok(if crlf { text.replace('\n', "\r\n") } else { text })
    }

    /// Writes a file into `folder` for each file of the input, and returns their
    /// paths. If one of them already has different content, none is written.
    ///
    /// # Errors
    /// `Usage` when two files have the same name, `Refused` when a file already has
    /// different content and `overwrite` is false, otherwise the I/O error.
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
                return Err(Error::usage(format!("two input files are named {shown}"))
                    .hint("convert each into its own folder"));
            }
            let path = folder.join(name);
            let text = self.file_text(file, outcomes, true, &mut Carried::new())?;
            let text = if file.crlf { text.replace('\n', "\r\n") } else { text };
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
            let message = format!("{} already has a different {}", folder.display(), list(&names));
            return Err(Error::new(Exit::Refused, message)
                .caused_by("nothing was written")
                .hint("give another --out, or --yes to overwrite"));
        }
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        for (path, text) in &planned {
            // First under another name, so that no reader finds half a file.
            let mut aside = path.clone().into_os_string();
            aside.push(".part");
            fs::write(&aside, text)
                .and_then(|()| fs::rename(&aside, path))
                .map_err(|error| unwritable(path, &error))?;
        }
        Ok(planned.into_iter().map(|(path, _)| path).collect())
    }

    fn file_text(
        &self,
        file: &File,
        outcomes: &[Outcome],
        as_json: bool,
        carried: &mut Carried,
    ) -> Result<String, Error> {
        let mut text = String::new();
        for document in &file.documents {
            // What is no object cannot be applied, and so is not in a stream.
            if matches!(document.content, Content::Other) && !as_json {
                continue;
            }
            let json = document.is_json && as_json;
            let places = document.content.places();
            let kept = places.iter().all(|&place| outcomes[place] == Outcome::Kept);
            if kept && (!document.is_json || json) {
                end_line(&mut text);
                text.push_str(document.marker.as_deref().unwrap_or_default());
                text.push_str(&document.text);
                continue;
            }
            let pieces = self.pieces(document, outcomes);
            if json {
                let bodies: Vec<&Value> = pieces.iter().map(|piece| &piece.body).collect();
                text.push_str(&json_text(&bodies)?);
                continue;
            }
            for (index, piece) in pieces.iter().enumerate() {
                end_line(&mut text);
                match &document.marker {
                    Some(marker) if index == 0 => text.push_str(marker),
                    None if text.is_empty() => {}
                    _ => text.push_str("---\n"),
                }
                text.push_str(&self.piece_text(piece, document, carried)?);
            }
        }
        end_line(&mut text);
        Ok(text)
    }

    /// A piece as YAML, with the comments of the documents that it comes from.
    fn piece_text(
        &self,
        piece: &Piece,
        place: &Document,
        carried: &mut Carried,
    ) -> Result<String, Error> {
        let mut text = yaml(&piece.body, indents_lists(&place.text))?;
        let mut heads = String::new();
        let mut seen = BTreeSet::new();
        for (source, _) in &piece.sources {
            let Some(old) = self.document_of(*source).filter(|old| !old.is_json) else { continue };
            let first_place = old.content.places()[0];
            if !seen.insert(first_place) {
                continue;
            }
            let carried = carried.entry(first_place).or_default();
            let head = head(&old.text);
            let first = head.lines().count();
            // Comments at the top of a document are about the whole document.
            if !old.content.is_list() || std::ptr::eq(old, place) {
                heads.push_str(head);
                carried.extend(0..first);
            }
            let pointers = self.pointer_map(old, piece, std::ptr::eq(old, place));
            let is_same = |text: &str| is_yaml_of(text, &piece.body);
            text = comments::carry((&old.text, first), &text, &pointers, is_same, carried);
        }
        Ok(heads + &text)
    }

    fn document_of(&self, place: usize) -> Option<&Document> {
        let mut documents = self.files.iter().flat_map(|file| &file.documents);
        documents.find(|document| document.content.places().contains(&place))
    }

    /// Where the keys and items of a document are in a piece. For a list that
    /// replaces itself, also the fields around its items.
    fn pointer_map(&self, old: &Document, piece: &Piece, is_own: bool) -> PointerMap {
        let mut pointers = PointerMap::new();
        if let (Content::List { frame, .. }, true) = (&old.content, is_own) {
            for key in frame.keys().map(String::as_str).chain(["items"]) {
                let pointer = format!("/{key}");
                pointers.insert(pointer.clone(), pointer);
            }
        }
        for (source, pointer) in &piece.sources {
            let Some(at) = old.content.places().iter().position(|place| place == source) else {
                continue;
            };
            let Some(new) = piece.body.pointer(pointer) else { continue };
            let from = if old.content.is_list() { format!("/items/{at}") } else { String::new() };
            comments::pair(&self.objects[*source], new, (&from, pointer), &mut pointers);
        }
        pointers
    }

    /// The documents that replace a document: its objects, or one list of them.
    fn pieces(&self, document: &Document, outcomes: &[Outcome]) -> Vec<Piece> {
        let of = |place: usize| -> Vec<(Option<usize>, Value)> {
            match &outcomes[place] {
                Outcome::Kept => vec![(Some(place), self.objects[place].clone())],
                Outcome::Replaced(made) => {
                    made.iter().map(|made| (made.source, made.body.clone())).collect()
                }
            }
        };
        match &document.content {
            Content::None | Content::Other => Vec::new(),
            Content::Object(place) => {
                let piece = |(source, body): (Option<usize>, Value)| Piece {
                    body,
                    sources: source.into_iter().map(|source| (source, String::new())).collect(),
                };
                of(*place).into_iter().map(piece).collect()
            }
            Content::List { frame, items } => {
                let mut frame = frame.clone();
                let all = items.iter().flat_map(|&place| of(place));
                let (sources, all): (Vec<Option<usize>>, Vec<Value>) = all.unzip();
                // A DeploymentList may only have Deployments in it.
                frame.insert("apiVersion".to_owned(), "v1".into());
                frame.insert("kind".to_owned(), "List".into());
                frame.insert("items".to_owned(), Value::Array(all));
                let sources = sources.into_iter().enumerate();
                let sources =
                    sources.filter_map(|(at, source)| Some((source?, format!("/items/{at}"))));
                vec![Piece { body: Value::Object(frame), sources: sources.collect() }]
            }
        }
    }
}

impl Content {
    fn places(&self) -> &[usize] {
        match self {
            Content::None | Content::Other => &[],
            Content::Object(place) => std::slice::from_ref(place),
            Content::List { items, .. } => items,
        }
    }

    fn is_list(&self) -> bool {
        matches!(self, Content::List { .. })
    }
}

/// A document and the line before it.
struct Part {
    marker: Option<String>,
    text: String,
    is_json: bool,
    /// The line where the text begins, counted from 1.
    line: usize,
}

/// Splits a file into documents. A line that begins with three hyphens separates
/// documents wherever it is, because no scalar may contain it.
fn split(text: &str) -> Vec<Part> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        let rest = text.trim_start();
        let mut values =
            serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
        let mut parts = Vec::new();
        let before = text.len() - rest.len();
        let mut from = 0;
        while let Some(Ok(_)) = values.next() {
            let upto = values.byte_offset();
            let part = rest[from..upto].trim_start();
            let line = 1 + text[..before + upto - part.len()].matches('\n').count();
            parts.push(Part { marker: None, text: part.to_owned() + "\n", is_json: true, line });
            from = upto;
        }
        if rest[from..].trim().is_empty() {
            return parts;
        }
    }
    let mut parts = vec![Part { marker: None, text: String::new(), is_json: false, line: 1 }];
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])) {
            let marker = if line.ends_with('\n') { line.to_owned() } else { format!("{line}\n") };
            let text = String::new();
            parts.push(Part { marker: Some(marker), text, is_json: false, line: number + 2 });
        } else if let Some(part) = parts.last_mut() {
            part.text.push_str(line);
        }
    }
    // An empty text before the first marker is not a document.
    if parts.len() > 1 && parts[0].text.is_empty() {
        parts.remove(0);
    }
    parts
}

fn parse(text: &str, is_json: bool, origin: &str) -> Result<Value, Error> {
    let failed = |error: &dyn std::error::Error| manifests::malformed(origin, error);
    if is_json {
        return serde_json::from_str(text).map_err(|error| failed(&error));
    }
    if text.lines().all(|line| line.trim().is_empty() || line.starts_with(['#', '%'])) {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str_with_options(text, manifests::yaml()).map_err(|error| {
        let error = failed(&error);
        if text.contains("{{") {
            error.hint("render the chart first: helm template")
        } else {
            error
        }
    })
}

/// Whether it has what every object of Kubernetes has.
fn is_object(value: &Value) -> bool {
    value["apiVersion"].is_string() && value["kind"].is_string()
}

fn take(value: Value, origin: &str, objects: &mut Vec<Value>) -> Result<Content, Error> {
    let Value::Object(mut fields) = value else {
        return if value.is_null() { Ok(Content::None) } else { Err(manifests::no_object(origin)) };
    };
    let word = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let (Some(api), Some(kind)) = (word("apiVersion"), word("kind")) else {
        return Err(manifests::no_object(origin));
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
            return Err(manifests::no_object(&format!("{origin}, item {}", index + 1)));
        };
        // The items of a typed list may leave out their kind.
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

/// The comments and empty lines before the first line of content.
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

/// Whether lists are indented below their key.
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
    // The serializer indents the empty lines of a block.
    let trimmed: String = text
        .lines()
        .map(|line| if line.trim().is_empty() { "" } else { line })
        .fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        });
    Ok(if is_yaml_of(&trimmed, body) { trimmed } else { text })
}

fn is_yaml_of(text: &str, body: &Value) -> bool {
    parse(text, false, "").is_ok_and(|value| value == *body)
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
