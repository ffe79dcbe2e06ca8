//! The text of a file as documents, and a document as objects.

use serde_json::{Map, Value};

use super::Content;
use crate::{manifests, output::Error};

/// A document and the line before it.
pub(super) struct Part {
    pub marker: Option<String>,
    pub text: String,
    pub is_json: bool,
    /// The line where the text begins, counted from 1.
    pub line: usize,
}

/// Splits a file into documents. A line that begins with three hyphens separates
/// documents wherever it is, because no scalar may contain it.
pub(super) fn split(text: &str) -> Vec<Part> {
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

pub(super) fn parse(text: &str, is_json: bool, origin: &str) -> Result<Value, Error> {
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
pub(super) fn is_object(value: &Value) -> bool {
    value["apiVersion"].is_string() && value["kind"].is_string()
}

pub(super) fn take(value: Value, origin: &str, objects: &mut Vec<Value>) -> Result<Content, Error> {
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
pub(super) fn head(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            return &text[..end];
        }
        end += line.len();
    }
    ""
}
