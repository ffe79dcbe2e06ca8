//! Manifests as documents. They are read without losing their text, and only the
//! documents that were converted are written anew.

mod parts;
mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use self::parts::{Part, head, is_object, parse, split, take};
use super::{
    comments,
    convert::{Class, Outcome},
};
use crate::{
    manifests::{self, Text},
    output::Error,
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
