//! The documents of the output as text: what was converted is written anew, with the
//! comments that have a place in it, and everything else is copied.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Carried, Content, Document, File, Manifests,
    parts::{head, parse},
};
use crate::{
    migrate::{
        comments::{self, PointerMap},
        convert::Outcome,
    },
    output::{Error, Exit, text::list},
};

/// A document of the output that replaces one of the input.
struct Piece {
    body: Value,
    /// The objects of the input that it comes from, and their JSON pointers in it.
    sources: Vec<(usize, String)>,
}

impl Manifests {
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

    pub(super) fn file_text(
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
