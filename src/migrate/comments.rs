//! Carries the comments of a document over to the document that replaces it.
//!
//! A comment belongs to a key or a list item: the one below it, beside it, or
//! above it if it ends a block. If the new document has that key or item too, the
//! comment is placed there. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, StructureStyle};

use crate::cluster::pointer_token;

/// JSON pointers of keys and items in an old object, and in the new one.
pub type PointerMap = BTreeMap<String, String>;

/// Adds the keys and items that `old` and `new` have in common. `places` are the
/// pointers of the two.
pub fn pair(old: &Value, new: &Value, places: (&str, &str), pointers: &mut PointerMap) {
    pointers.insert(places.0.to_owned(), places.1.to_owned());
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, old) in old {
                let Some(new) = new.get(key) else { continue };
                pair(old, new, (&below(places.0, &key), &below(places.1, &key)), pointers);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (from, to) in same_items(old, new) {
                let (old_place, new_place) = (below(places.0, &from), below(places.1, &to));
                pair(&old[from], &new[to], (&old_place, &new_place), pointers);
            }
        }
        _ => {}
    }
}

/// Which items of two lists are the same: first those that are equal, then those
/// with the same name.
fn same_items(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let equal = |old: &Value, new: &Value| old == new;
    let same_name =
        |old: &Value, new: &Value| old["name"].is_string() && old["name"] == new["name"];
    for is_same in [equal as fn(&Value, &Value) -> bool, same_name] {
        for (from, item) in old.iter().enumerate() {
            if pairs.iter().any(|(taken, _)| *taken == from) {
                continue;
            }
            let free = |to: &usize| pairs.iter().all(|(_, taken)| taken != to);
            let partner = (0..new.len()).filter(free).find(|to| is_same(item, &new[*to]));
            pairs.extend(partner.map(|to| (from, to)));
        }
    }
    pairs
}

fn below(pointer: &str, step: &dyn ToString) -> String {
    format!("{pointer}/{}", pointer_token(&step.to_string()))
}

/// The lines of `text` with a comment, counted from 0.
pub fn lines(text: &str) -> BTreeSet<usize> {
    Outline::of(text).comments.iter().map(|comment| comment.line).collect()
}

/// Writes the comments of `old`, from line `first` on, into `new`. The lines of
/// those that have a place there are added to `carried`. `is_same` checks that the
/// content of `new` is unchanged.
pub fn carry(
    (old, first): (&str, usize),
    new: &str,
    pointers: &PointerMap,
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
            let pointer = pointers.get(&from.places[place].pointer)?;
            let at = into.places.iter().position(|place| place.pointer == *pointer)?;
            Some(Note { text: &comment.text, line: comment.line, at, side })
        })
        .collect();
    let all = into.with(new, &notes);
    let (text, kept) = if is_same(&all) {
        (all, notes)
    } else {
        // One of the comments would become part of a value: leave it out.
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

/// The keys and items of a document in order, and its comments.
#[derive(Default)]
struct Outline {
    places: Vec<Place>,
    comments: Vec<Comment>,
}

/// A key or a list item. Lines and columns are counted from 0.
struct Place {
    pointer: String,
    line: usize,
    /// For an item in a block: the column of its hyphen.
    column: usize,
    /// Whether its first key may be on the same line.
    is_block_item: bool,
}

struct Comment {
    text: String,
    line: usize,
    column: usize,
    /// Whether there is nothing else on the line.
    is_alone: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Above,
    Beside,
    /// At the end of its content.
    Below,
}

/// A comment and its place in the new document.
struct Note<'a> {
    text: &'a str,
    /// The line in the old document.
    line: usize,
    at: usize,
    side: Side,
}

/// A collection that is open while a document is parsed.
enum Open {
    Map { pointer: String, key: Option<String> },
    List { pointer: String, next: usize, is_block: bool },
}

impl Outline {
    /// The outline of a text, up to where it stops being YAML.
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

    /// Adds a node, which may be a key, and returns its pointer.
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
                // Kubernetes has no keys that are lists or objects.
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

    /// The place that a comment belongs to; none in an empty document.
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

    /// Adds notes to `text`, which this is the outline of.
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
        // From the end, so that the line numbers before stay valid.
        for (line, new) in above.into_iter().rev() {
            lines.splice(line..line, new);
        }
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

/// The position of the header of a block scalar. The parser gives the position of
/// its text instead, or that of the header if the block is empty at the end of the
/// document.
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
