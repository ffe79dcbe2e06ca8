//! Reads objects one after the other. Of a list, which is what `kubectl get` writes
//! of a whole cluster, there is never more than one in memory.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{Bundle, Listed, Object, Text, malformed, no_object, texts, yaml};
use crate::output::Error;

/// What is met in the input.
pub enum Seen<'a> {
    Object(&'a Object),
    /// A list of one kind. Its objects follow, if it has any.
    List(&'a Listed),
}

/// What is done with it.
pub type Visit<'a> = &'a mut dyn FnMut(Seen<'_>) -> Result<(), Error>;

/// Visits every object of these files, folders and `-`, in the order of the input.
///
/// # Errors
/// When a file cannot be read, is neither YAML nor JSON, or a visit fails.
pub fn each(paths: &[String], visit: Visit<'_>) -> Result<(), Error> {
    for Text { name, text, .. } in texts(paths)? {
        in_text(&text, &name, visit)?;
    }
    Ok(())
}

fn in_text(text: &str, origin: &str, visit: Visit<'_>) -> Result<(), Error> {
    if text.trim_start().starts_with('{') {
        let head: Option<JsonHead> = serde_json::from_str(text).ok();
        if let Some(JsonHead { head, .. }) = head.filter(|head| head.head.is_list()) {
            return in_json(text, &head, origin, visit);
        }
    } else if let Some((head, bounds)) = split(text) {
        return in_yaml(text, &head, &bounds, origin, visit);
    }
    let mut bundle = Bundle::default();
    bundle.add_text(text, origin)?;
    visit_all(&bundle, visit)
}

fn visit_all(bundle: &Bundle, visit: Visit<'_>) -> Result<(), Error> {
    bundle.listed.iter().map(Seen::List).try_for_each(&mut *visit)?;
    bundle.objects.iter().map(Seen::Object).try_for_each(visit)
}

/// `bounds` are where the items begin, and where the last one ends.
fn in_yaml(
    text: &str,
    head: &Head,
    bounds: &[usize],
    origin: &str,
    visit: Visit<'_>,
) -> Result<(), Error> {
    visit_head(head, visit)?;
    let last = bounds.len() - 1;
    for first in (0..last).step_by(AT_ONCE) {
        let part = &text[bounds[first]..bounds[(first + AT_ONCE).min(last)]];
        let Ok(items) = serde_saphyr::from_str_with_options::<Vec<Value>>(part, yaml()) else {
            // As a whole it has an error in the right line.
            Bundle::default().add_text(text, origin)?;
            return Err(no_object(origin));
        };
        for (place, item) in items.into_iter().enumerate() {
            visit_item(item, head, &of_item(origin, first + place), visit)?;
        }
    }
    Ok(())
}

/// How many items of a YAML list are read at a time.
const AT_ONCE: usize = 128;

/// What tells whether a document is a list, and of what.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

impl Head {
    fn is_list(&self) -> bool {
        self.kind.ends_with("List")
    }
}

#[derive(Deserialize)]
struct JsonHead {
    #[serde(flatten)]
    head: Head,
    /// Only that they are there: none is kept.
    #[expect(dead_code, reason = "a document without them is no list")]
    items: Vec<IgnoredAny>,
}

/// `dump.json, document 1, item 3`.
fn of_item(origin: &str, place: usize) -> String {
    format!("{origin}, document 1, item {}", place + 1)
}

fn visit_item(item: Value, head: &Head, origin: &str, visit: Visit<'_>) -> Result<(), Error> {
    let mut one = Bundle::default();
    one.add_item(item, &head.api_version, &head.kind, origin)?;
    visit_all(&one, visit)
}

fn visit_head(head: &Head, visit: Visit<'_>) -> Result<(), Error> {
    Listed::of(&head.api_version, &head.kind).iter().map(Seen::List).try_for_each(visit)
}

/// Splits a list as kubectl writes it in YAML: its items begin with a dash at the edge,
/// and all of their other lines are indented. The parser would keep all of them.
/// `None` for anything else, and where one item may refer to another.
fn split(text: &str) -> Option<(Head, Vec<usize>)> {
    let (mut head, mut starts, mut end) = (String::new(), Vec::new(), text.len());
    let (mut at, mut is_inside) = (0, false);
    for line in text.split_inclusive('\n') {
        let is_key = line.starts_with(|first: char| first.is_ascii_alphabetic());
        let is_deeper = line == "\n" || line.starts_with(' ');
        if line.contains(": &") || line.contains("- &") || line.contains('\r') {
            return None;
        }
        match line {
            "items:\n" if starts.is_empty() && !is_inside => is_inside = true,
            _ if is_inside && line.starts_with("- ") => starts.push(at),
            _ if is_inside && is_deeper && !starts.is_empty() => {}
            _ if is_key && is_inside => {
                (is_inside, end) = (false, at);
                head.push_str(line);
            }
            _ if is_key || (is_deeper && !head.is_empty() && !is_inside) => head.push_str(line),
            _ => return None,
        }
        at += line.len();
    }
    let head: Head = serde_saphyr::from_str_with_options(&head, yaml()).ok()?;
    starts.push(end);
    (head.is_list() && starts.len() > 1).then_some((head, starts))
}

fn in_json(text: &str, head: &Head, origin: &str, visit: Visit<'_>) -> Result<(), Error> {
    visit_head(head, visit)?;
    let mut failed = None;
    let list = List { head, origin, visit, failed: &mut failed };
    let read = list.deserialize(&mut serde_json::Deserializer::from_str(text));
    match failed {
        Some(error) => Err(error),
        None => read.map_err(|error| malformed(origin, &error)),
    }
}

/// A list, each of whose items is visited as it is read.
struct List<'a, 'v> {
    head: &'a Head,
    origin: &'a str,
    visit: Visit<'v>,
    /// Why a visit has failed: a parser has no place for that.
    failed: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" {
                map.next_value_seed(Items(&mut self))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Items<'l, 'a, 'v>(&'l mut List<'a, 'v>);

impl<'de> DeserializeSeed<'de> for Items<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let List { head, origin, visit, failed } = self.0;
        let mut place = 0;
        while let Some(item) = items.next_element::<Value>()? {
            if let Err(error) = visit_item(item, head, &of_item(origin, place), &mut **visit) {
                **failed = Some(error);
                return Err(A::Error::custom("an object cannot be read"));
            }
            place += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let mut note = |what: Seen<'_>| {
            seen.push(match what {
                Seen::Object(object) => format!("{} {}", object.kind, object.name()),
                Seen::List(list) => format!("all {}", list.kind),
            });
            Ok(())
        };
        in_text(text, "dump", &mut note).expect("objects");
        seen
    }

    /// Whatever form it has: the same objects as when all of it is read at once.
    #[test]
    fn a_list_is_read_as_a_whole_document_is() {
        let item = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}"#;
        let nested = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{item}]}}"#);
        let typed = r#"{"items":[{"metadata":{"name":"b"}}],"kind":"PodList","apiVersion":"v1"}"#;
        let yaml = "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n\
                    kind: List\nmetadata:\n  resourceVersion: \"\"\n";
        let odd = r#"{"apiVersion":"x/v1","kind":"Odd","metadata":{"name":"o"},"items":{"a":1}}"#;
        for text in [
            item.to_owned(),
            nested.clone(),
            format!(r#"{{"apiVersion":"v1","kind":"List","items":[{nested},{item}]}}"#),
            typed.to_owned(),
            yaml.to_owned(),
            format!("{yaml}---\n{yaml}"),
            yaml.replace("    name: a\n", "    name: &a a\n    uid: *a\n"),
            yaml.replace("kind: List\n", "- kind: Pod\n  apiVersion: v1\n  metadata:\n    name: |\n\n      - b\n\nkind: List\n"),
            yaml.replace("- apiVersion", "# a comment\n- apiVersion"),
            yaml.replace("kind: List", "kind: Odd"),
            odd.to_owned(),
            r#"{"apiVersion":"v1","kind":"List","items":[]}"#.to_owned(),
            r#"{"apiVersion":"v1","kind":"PodList","items":[]}"#.to_owned(),
            format!(r#"{{"apiVersion":"v1","kind":"List","items":[{item},{typed}]}}"#),
            yaml.replace("- apiVersion", "- apiVersion: v1\n  kind: EventList\n  items: []\n- apiVersion"),
        ] {
            let mut whole = Bundle::default();
            whole.add_text(&text, "dump").expect("objects");
            let lists = whole.listed.iter().map(|list| format!("all {}", list.kind));
            let objects = whole.objects().map(|one| format!("{} {}", one.kind, one.name()));
            let mut wanted: Vec<String> = lists.chain(objects).collect();
            let mut seen = seen(&text);
            wanted.sort();
            seen.sort();
            assert_eq!(seen, wanted, "{text}");
        }
    }

    #[test]
    fn what_fails_is_named() {
        let text = r#"{"apiVersion":"v1","kind":"List","items":[{"kind":"Pod"}]}"#;
        let error = in_text(text, "dump", &mut |_| Ok(())).expect_err("no apiVersion");
        assert!(error.to_string().contains("dump, document 1, item 1"), "{error}");
        let text = r#"{"apiVersion":"v1","kind":"List","items":[{"#;
        assert!(in_text(text, "dump", &mut |_| Ok(())).is_err());
        // The line is that of the file.
        let item = "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n";
        let many = item.repeat(AT_ONCE + 1);
        let text = format!("apiVersion: v1\nitems:\n{many}- [\nkind: List\n");
        let error = in_text(&text, "dump", &mut |_| Ok(())).expect_err("a bracket").to_string();
        let mut whole = Bundle::default();
        let wanted = whole.add_text(&text, "dump").expect_err("a bracket").to_string();
        assert_eq!(error, wanted);
    }
}
