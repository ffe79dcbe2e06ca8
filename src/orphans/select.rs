//! Selects and sorts the rows of the report. Pure.

use std::{cmp::Ordering, collections::BTreeSet};

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};

use super::row::{Class, Row};
use crate::{output::text::age, workload::Selector};

/// What `--sort-by` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SortKey {
    /// Namespace, then name; ordinals as numbers
    #[default]
    Name,
    /// The largest first
    Size,
    /// The longest idle first, unknown last
    Idle,
    /// The oldest first
    Age,
    /// By class, then by name
    Class,
    /// The most expensive first
    Cost,
}

/// The rows to show, and their order.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub set: Option<String>,
    pub classes: BTreeSet<Class>,
    pub older_than: Option<SignedDuration>,
    pub selector: Option<Selector>,
    pub sort: SortKey,
}

impl Filter {
    /// Filters and sorts. A set is a place to look in, and no filter of what is there.
    pub fn apply(&self, rows: &mut Vec<Row>, now: Timestamp) -> Applied {
        if let Some(set) = &self.set {
            rows.retain(|row| row.candidates.contains(set));
        }
        let of = rows.iter().filter(|row| row.orphan).count();
        let mut by_age = 0;
        rows.retain(|row| {
            let of_class = self.classes.is_empty() || self.classes.contains(&row.class);
            let selector = self.selector.as_ref();
            let selected = selector.is_none_or(|selector| selector.matches(&row.labels));
            if !(of_class && selected) {
                return false;
            }
            let Some(limit) = self.older_than else { return true };
            if let Some(idle) = row.idle_for(now) {
                return idle >= limit;
            }
            let old = row.created.is_some_and(|made| now.duration_since(made) >= limit);
            by_age += usize::from(old);
            old
        });
        rows.sort_by(|one, other| self.sort.compare(one, other));
        Applied { by_age, filtered: self.words().map(|words| Filtered { words, of }) }
    }

    /// The flags that choose among the rows; `None` without any.
    fn words(&self) -> Option<String> {
        let mut words = Vec::new();
        if !self.classes.is_empty() {
            let names: Vec<&str> = self.classes.iter().map(|class| class.name()).collect();
            words.push(format!("--class {}", names.join(",")));
        }
        words.extend(self.older_than.map(|limit| format!("--older-than {}", age(limit))));
        words.extend(self.selector.as_ref().map(|selector| format!("-l {}", selector.query())));
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// What a filter has done.
#[derive(Clone, Debug)]
pub struct Applied {
    /// How many rows were kept for their age, because it is not known since when
    /// they are idle.
    pub by_age: usize,
    pub filtered: Option<Filtered>,
}

/// The flags of a filter, and how many orphans there are without it.
#[derive(Clone, Debug)]
pub struct Filtered {
    pub words: String,
    pub of: usize,
}

impl SortKey {
    fn compare(self, one: &Row, other: &Row) -> Ordering {
        let first = match self {
            SortKey::Name => Ordering::Equal,
            SortKey::Size => other.bytes.cmp(&one.bytes),
            SortKey::Idle => absent_last(one.idle_since, other.idle_since),
            SortKey::Age => absent_last(one.created, other.created),
            SortKey::Class => one.class.cmp(&other.class),
            SortKey::Cost => other.cost.unwrap_or(-1.0).total_cmp(&one.cost.unwrap_or(-1.0)),
        };
        first
            .then_with(|| one.namespace.cmp(&other.namespace))
            .then_with(|| one.kind.cmp(other.kind))
            .then_with(|| natural(&one.name, &other.name))
    }
}

fn absent_last<T: Ord>(one: Option<T>, other: Option<T>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.cmp(&other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

/// `data-2` before `data-10`.
fn natural(one: &str, other: &str) -> Ordering {
    let parts = |name: &str| -> (String, u128) {
        let digits = name.rsplit_once('-').and_then(|(_, digits)| digits.parse().ok());
        match (name.rsplit_once('-'), digits) {
            (Some((head, _)), Some(number)) => (head.to_owned(), number),
            _ => (name.to_owned(), 0),
        }
    };
    parts(one).cmp(&parts(other)).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_sorted_as_numbers() {
        let mut names = ["data-web-10", "data-web-2", "data-web", "a", "data-web-02"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a", "data-web", "data-web-02", "data-web-2", "data-web-10"]);
    }
}
