//! The notes of a conversion: text for people on stderr, or one document for
//! programs.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::migrate::{
    convert::{Class, Conversion, Mode, SetView},
    files::Item,
};
use crate::{
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout, table,
        text::{count, one_line},
    },
    workload::Finding,
};

/// The payload of `migrate convert -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document<'a> {
    sets: &'a [SetView],
    items: Vec<ItemView<'a>>,
}

/// An object of the output.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ItemView<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
    class: Class,
    /// The file of the input that it comes from; absent for stdin.
    file: Option<String>,
    object: &'a Value,
}

/// The one document of `-o json`.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn document(
    sets: &[SetView],
    items: &[Item<'_>],
    findings: &[Finding],
    exit: Exit,
) -> Result<String, Error> {
    let items = items
        .iter()
        .map(|item| {
            let word = |pointer: &str| item.body.pointer(pointer).and_then(Value::as_str);
            ItemView {
                kind: word("/kind").unwrap_or_default(),
                namespace: word("/metadata/namespace"),
                name: word("/metadata/name").unwrap_or_default(),
                class: item.class,
                file: item.file.map(|file: &Path| file.display().to_string()),
                object: item.body,
            }
        })
        .collect();
    Envelope::new("migrate-convert", exit, findings, &[], Document { sets, items })
        .render(Format::Json)
}

/// The notes for people.
pub fn notes(conversion: &Conversion, look: Look) -> String {
    let mut lines = Vec::new();
    for set in &conversion.sets {
        lines.extend(set_lines(set, look));
        lines.push(String::new());
    }
    for finding in &conversion.findings {
        lines.extend(layout::finding(finding, "refused", look));
    }
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

fn set_lines(set: &SetView, look: Look) -> Vec<String> {
    let whose = set.namespace.as_ref().map_or_else(String::new, |space| format!("{space}/"));
    let from: Vec<String> = set.deployments.iter().map(|name| format!("{whose}{name}")).collect();
    let kinds = if from.len() == 1 { "Deployment" } else { "Deployments" };
    let name = look.palette.paint(Paint::Bold, &one_line(&format!("{whose}{}", set.name)));
    let mode = match set.mode {
        _ if set.claims.is_empty() => "no claims".to_owned(),
        Mode::Rebind => format!("{}, by ordinal", count(set.claims.len(), "claim")),
        Mode::Keep => "claims unchanged".to_owned(),
    };
    let mut lines = vec![format!(
        "{kinds} {} -> StatefulSet {name}  {mode}  Service {}",
        one_line(&from.join(", ")),
        one_line(&set.service)
    )];
    if set.claims.is_empty() {
        return lines;
    }
    let mut rows =
        vec![["VOLUME", "CLAIM NOW", "CLAIM THEN", "SIZE", "CLASS"].map(str::to_owned).to_vec()];
    for claim in &set.claims {
        let or_none = |cell: &Option<String>| {
            cell.as_deref().filter(|cell| !cell.is_empty()).map_or("<none>".to_owned(), one_line)
        };
        let then = if claim.claim_then == claim.claim_now && claim.template.is_none() {
            "unchanged".to_owned()
        } else {
            one_line(&claim.claim_then)
        };
        rows.push(vec![
            one_line(&claim.volume),
            one_line(&claim.claim_now),
            then,
            or_none(&claim.size),
            or_none(&claim.class),
        ]);
    }
    lines.extend(table::columns(rows));
    lines
}
