//! Which rows are wanted, and in which order. Pure.

use std::{cmp::Ordering, collections::BTreeSet};

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};

use super::classify::{Class, Row};
use crate::workload::{Expression, Selector};

/// What `--sort-by` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Key {
    /// Namespace, then name; ordinals as numbers
    #[default]
    Name,
    /// The most bytes first
    Size,
    /// The longest idle first, the unknown last
    Idle,
    /// The oldest first
    Age,
    /// By class, then as by name
    Class,
    /// The dearest first
    Cost,
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub set: Option<String>,
    pub classes: BTreeSet<Class>,
    pub older_than: Option<SignedDuration>,
    pub selector: Option<Selector>,
    pub sort: Key,
}

impl Wish {
    /// Keeps and orders. Tells how many rows were kept by their age alone,
    /// because nothing says since when they are idle.
    pub fn apply(&self, rows: &mut Vec<Row>, now: Timestamp) -> usize {
        let mut by_age = 0;
        rows.retain(|row| {
            let set = self.set.as_ref();
            let of_set = set.is_none_or(|set| row.candidates.contains(set));
            let of_class = self.classes.is_empty() || self.classes.contains(&row.class);
            let selector = self.selector.as_ref();
            let selected = selector.is_none_or(|selector| selector.matches(&row.labels));
            if !(of_set && of_class && selected) {
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
        by_age
    }
}

impl Key {
    fn compare(self, one: &Row, other: &Row) -> Ordering {
        let first = match self {
            Key::Name => Ordering::Equal,
            Key::Size => other.bytes.cmp(&one.bytes),
            Key::Idle => absent_last(one.idle_since, other.idle_since),
            Key::Age => absent_last(one.created, other.created),
            Key::Class => one.class.cmp(&other.class),
            Key::Cost => other.cost.unwrap_or(-1.0).total_cmp(&one.cost.unwrap_or(-1.0)),
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

/// Reads a label selector as kubectl does: `app=web,tier!=test,env in (a,b),!old`.
///
/// # Errors
/// What is wrong with it.
pub fn selector(text: &str) -> Result<Selector, String> {
    let mut selector = Selector::default();
    for part in requirements(text) {
        selector.expressions.push(requirement(part.trim()).ok_or_else(|| {
            format!("{part:?} is no part of a selector, such as app=web or env in (a,b)")
        })?);
    }
    Ok(selector)
}

/// Cuts at the commas that stand in no brackets.
fn requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .collect()
}

fn requirement(part: &str) -> Option<Expression> {
    let of = |key: &str, operator: &str, values: Vec<String>| {
        let key = key.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!key.is_empty() && key.chars().all(fits)).then(|| Expression {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values,
        })
    };
    let one = |value: &str| {
        let value = value.trim();
        value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            .then(|| vec![value.to_owned()])
    };
    if let Some((left, list)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values: Vec<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = left.split_whitespace();
        let (key, operator) = (words.next()?, words.next()?);
        return match (operator, words.next()) {
            ("in", None) => of(key, "In", values),
            ("notin", None) => of(key, "NotIn", values),
            _ => None,
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return of(key, "NotIn", one(value)?);
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return of(key, "In", one(value)?);
    }
    match part.strip_prefix('!') {
        Some(key) => of(key, "DoesNotExist", Vec::new()),
        None => of(part, "Exists", Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn selectors_select_as_kubectls_do() {
        let labels: BTreeMap<String, String> = [("app", "web"), ("env", "b"), ("x.io/y", "")]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        for yes in [
            "app=web",
            "app==web",
            "app = web",
            "app",
            "!old",
            "env in (a,b)",
            "env notin (c)",
            "app!=db",
            "app=web,env in (a, b),!old",
            "x.io/y",
            "x.io/y=",
            "none!=x",
            "none notin (a)",
        ] {
            assert!(selector(yes).unwrap().matches(&labels), "{yes}");
        }
        for no in
            ["app=db", "!app", "env in (c)", "env notin (a,b)", "app!=web", "old", "app=web,old"]
        {
            assert!(!selector(no).unwrap().matches(&labels), "{no}");
        }
        for wrong in ["", "app=web,", "=x", "a b", "env in a", "env at (b)", "app=a b", "app=(a)"] {
            assert!(selector(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ordinals_are_sorted_as_numbers() {
        let mut names = ["data-web-10", "data-web-2", "data-web", "a", "data-web-02"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a", "data-web", "data-web-02", "data-web-2", "data-web-10"]);
    }
}
