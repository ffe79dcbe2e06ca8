//! Comments of a document, carried over into the one that stands in its place.
//!
//! A comment speaks of a key or of an item of a list: of the one below it,
//! beside it, or above it where it ends a block. Where the new document has
//! that key or item too, the comment stands there again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, StructureStyle};

use crate::cluster::pointer_token;

/// Where the keys and items of an old object are in a new one: JSON pointers.
pub type Heirs = BTreeMap<String, String>;

/// Adds the keys and items of `old`, which stands at the first of `places`, that
/// are in `new` too, which stands at the second.
pub fn pair(old: &Value, new: &Value, places: (&str, &str), heirs: &mut Heirs) {
    heirs.insert(places.0.to_owned(), places.1.to_owned());
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, old) in old {
                let Some(new) = new.get(key) else { continue };
                pair(old, new, (&below(places.0, &key), &below(places.1, &key)), heirs);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (from, to) in same_items(old, new) {
                let pointers = (below(places.0, &from), below(places.1, &to));
                pair(&old[from], &new[to], (&pointers.0, &pointers.1), heirs);
            }
        }
        _ => {}
    }
}

/// Which items are the same ones: those that are alike, then those of one name.
fn same_items(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let alike = |old: &Value, new: &Value| old == new;
    let of_one_name =
        |old: &Value, new: &Value| old["name"].is_string() && old["name"] == new["name"];
    for is_same in [alike as fn(&Value, &Value) -> bool, of_one_name] {
        for (from, item) in old.iter().enumerate() {
            if pairs.iter().any(|(taken, _)| *taken == from) {
                continue;
            }
            let free = |to: &usize| pairs.iter().all(|(_, taken)| taken != to);
            let heir = (0..new.len()).filter(free).find(|to| is_same(item, &new[*to]));
            pairs.extend(heir.map(|to| (from, to)));
        }
    }
    pairs
}

fn below(pointer: &str, step: &dyn ToString) -> String {
    format!("{pointer}/{}", pointer_token(&step.to_string()))
}

/// Lines of `text`, counted from 0, that hold a comment.
pub fn lines(text: &str) -> BTreeSet<usize> {
    Outline::of(text).comments.iter().map(|comment| comment.line).collect()
}

/// Writes the comments of `old`, from line `first` on, into `new`, and adds the
/// lines of those that found a place to `carried`. What `new` says stays as it
/// is, which `is_same` confirms.
pub fn carry(
    (old, first): (&str, usize),
    new: &str,
    heirs: &Heirs,
    is_same: impl Fn(&str) -> bool,
    carried: &mut BTreeSet<usize>,
) -> String {
    let from = Outline::of(old);
    let into = Outline::of(new);
    let notes: Vec<Note> = from
        .comments
        .iter()
        .filter(|comment| comment.line >= first)
        .filter_map(|comment| {
            let (place, side) = from.belongs_to(comment)?;
            let heir = heirs.get(&from.places[place].pointer)?;
            let at = into.places.iter().position(|place| place.pointer == *heir)?;
            Some(Note { text: &comment.text, line: comment.line, at, side })
        })
        .collect();
    let all = into.with(new, &notes);
    let (text, kept) = if is_same(&all) {
        (all, notes)
    } else {
        // One of them stands where it would be part of a value.
        let mut kept: Vec<Note> = Vec::new();
        for note in notes {
            kept.push(note);
            if !is_same(&into.with(new, &kept)) {
                kept.pop();
            }
        }
        (into.with(new, &kept), kept)
    };
    carried.extend(kept.iter().map(|note| note.line));
    text
}

/// The keys and items of a document in their order, and its comments.
#[derive(Default)]
struct Outline {
    places: Vec<Place>,
    comments: Vec<Comment>,
}

/// A key, or an item of a list. Lines and columns are counted from 0.
struct Place {
    pointer: String,
    line: usize,
    /// Of an item in a block: the column of its hyphen.
    column: usize,
    /// Whether its first key may stand on the same line.
    is_block_item: bool,
}

struct Comment {
    text: String,
    line: usize,
    column: usize,
    /// Whether the line holds nothing else.
    is_alone: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Above,
    Beside,
    /// At the end of what it holds.
    Below,
}

/// A comment, and its place in the new document.
struct Note<'a> {
    text: &'a str,
    /// In the old document.
    line: usize,
    at: usize,
    side: Side,
}

/// What is open while a document is read.
enum Open {
    Map { pointer: String, key: Option<String> },
    List { pointer: String, next: usize, is_block: bool },
}

impl Outline {
    /// Of a text that is no YAML: as far as it could be read.
    fn of(text: &str) -> Outline {
        let lines: Vec<&str> = text.lines().collect();
        let mut outline = Outline::default();
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            match event {
                Event::Comment(said, _) => {
                    let (line, column) = position(&span.start);
                    let before = lines.get(line).map(|line| line.chars().take(column));
                    let is_alone = before.is_none_or(|mut before| before.all(char::is_whitespace));
                    let text = format!("#{}", said.trim_end());
                    outline.comments.push(Comment { text, line, column, is_alone });
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    open.pop();
                }
                Event::Scalar(text, style, ..) => {
                    let at = position(&span.start);
                    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    let at = if is_block { header(&lines, at) } else { at };
                    outline.enter(&mut open, &text, true, at, &lines);
                }
                Event::Alias(_) => {
                    outline.enter(&mut open, "", true, position(&span.start), &lines);
                }
                Event::MappingStart(..) => {
                    let at = position(&span.start);
                    let pointer = outline.enter(&mut open, "", false, at, &lines);
                    open.push(Open::Map { pointer, key: None });
                }
                Event::SequenceStart(style, ..) => {
                    let at = position(&span.start);
                    let pointer = outline.enter(&mut open, "", false, at, &lines);
                    let is_block = style == StructureStyle::Block;
                    open.push(Open::List { pointer, next: 0, is_block });
                }
                _ => {}
            }
        }
        outline
    }

    /// Takes in a node, a key included; its pointer.
    fn enter(
        &mut self,
        open: &mut [Open],
        scalar: &str,
        is_scalar: bool,
        (line, column): (usize, usize),
        lines: &[&str],
    ) -> String {
        match open.last_mut() {
            None => String::new(),
            Some(Open::Map { pointer, key }) => {
                if let Some(key) = key.take() {
                    return below(pointer, &key);
                }
                // A key that is a list or an object is none of Kubernetes.
                let named = if is_scalar { scalar } else { "?" };
                let pointer = below(pointer, &named);
                *key = Some(named.to_owned());
                self.places.push(Place { pointer, line, column, is_block_item: false });
                String::new()
            }
            Some(Open::List { pointer, next, is_block }) => {
                let pointer = below(pointer, next);
                *next += 1;
                let before = lines.get(line).map(|line| line.chars().take(column));
                let before: String = before.into_iter().flatten().collect();
                let hyphen = before.rfind('-').filter(|_| *is_block);
                self.places.push(Place {
                    pointer: pointer.clone(),
                    line,
                    column: hyphen.map_or(column, |at| before[..at].chars().count()),
                    is_block_item: *is_block,
                });
                pointer
            }
        }
    }

    /// The place that a comment speaks of; none in a document that says nothing.
    fn belongs_to(&self, comment: &Comment) -> Option<(usize, Side)> {
        let next = self.places.iter().position(|place| place.line > comment.line);
        let before = next.unwrap_or(self.places.len());
        if !comment.is_alone {
            let of_line = self.places.iter().position(|place| place.line == comment.line);
            let Some(mut at) = of_line else { return Some((before.checked_sub(1)?, Side::Beside)) };
            // `- name: db  # ...` is about the name.
            while self.places[at].is_block_item && self.is_first_in(at + 1, at) {
                at += 1;
            }
            return Some((at, Side::Beside));
        }
        let least = next.map(|next| self.places[next].column);
        let ended = (0..before)
            .rev()
            .filter(|at| before == at + 1 || self.is_in(before - 1, *at))
            .filter(|at| least.is_none_or(|least| self.places[*at].column > least));
        let ended = ended.filter(|at| self.places[*at].column <= comment.column);
        match (ended.max_by_key(|at| self.places[*at].column), next) {
            (Some(at), _) => Some((at, Side::Below)),
            (None, Some(next)) => Some((next, Side::Above)),
            (None, None) => Some((before.checked_sub(1)?, Side::Below)),
        }
    }

    fn is_in(&self, at: usize, holder: usize) -> bool {
        let (Some(place), holder) = (self.places.get(at), &self.places[holder].pointer) else {
            return false;
        };
        place.pointer.strip_prefix(holder.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    fn is_first_in(&self, at: usize, holder: usize) -> bool {
        self.is_in(at, holder) && self.places[at].line == self.places[holder].line
    }

    /// `text`, which this is the outline of, with notes in it.
    fn with(&self, text: &str, notes: &[Note]) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut above: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for note in notes {
            let place = &self.places[note.at];
            let own_line = " ".repeat(place.column) + note.text;
            match note.side {
                Side::Beside => {
                    lines[place.line].push_str("  ");
                    lines[place.line].push_str(note.text);
                }
                Side::Above => above.entry(place.line).or_default().push(own_line),
                Side::Below => {
                    let beyond =
                        (note.at + 1..self.places.len()).find(|at| !self.is_in(*at, note.at));
                    let line = beyond.map_or(lines.len(), |at| self.places[at].line);
                    above.entry(line).or_default().push(own_line);
                }
            }
        }
        // From below, so that lines above stay where they are.
        for (line, new) in above.into_iter().rev() {
            lines.splice(line..line, new);
        }
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

/// Where the block begins whose text begins, or would begin, at a position: a
/// parser says the latter, and only where the document ends the former.
fn header(lines: &[&str], (line, column): (usize, usize)) -> (usize, usize) {
    let before: String =
        lines.get(line).into_iter().flat_map(|it| it.chars().take(column)).collect();
    if !before.trim().is_empty() {
        return (line, column);
    }
    let above = (0..line).rev().find(|at| lines.get(*at).is_some_and(|it| !it.trim().is_empty()));
    let above = above.unwrap_or(line);
    let hyphens = lines.get(above).map(|it| it.chars().take_while(|c| matches!(c, ' ' | '-')));
    (above, hyphens.map_or(0, Iterator::count))
}

fn position(marker: &Marker) -> (usize, usize) {
    (marker.line().saturating_sub(1), marker.col())
}
