//! The JSON documents that our commands print.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Output, ids};

/// The one document on stdout: it has the exit code, and is what its schema
/// says.
#[track_caller]
pub fn document(output: &Output) -> Value {
    let document: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"));
    assert_eq!(document["exitCode"].as_i64(), output.code().map(i64::from), "{output}");
    let schema = document["schema"].as_str().expect("a schema");
    let (_, kind) = schema.split_once('/').expect("kubectl-stateful/KIND/v1");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("docs/schemas/{}.json", kind.replace('/', "-")));
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}\n{output}", path.display()));
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{kind}: {errors:?}\n{document:#}");
    ends_as_its_page_says(&document);
    document
}

/// What ends for a finding has an exit code that the page of the finding names, if
/// that names any.
#[track_caller]
fn ends_as_its_page_says(document: &Value) {
    // With these a run has refused, or has stopped on its way.
    let stopped = document["exitCode"].as_u64().filter(|code| [4, 5, 6, 7, 9, 11].contains(code));
    let (Some(code), Some(id)) = (stopped, document["reasons"][0]["id"].as_str()) else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    let text = fs::read_to_string(path).expect("the pages");
    let heading = format!("\n### {id}\n");
    let (_, page) = text.split_once(&heading).unwrap_or_else(|| panic!("{id} has no page"));
    let page = page.split("\n### ").next().unwrap_or_default();
    let Some((_, named)) = page.split_once("**Exit code.** ") else { return };
    let named = named.lines().next().unwrap_or_default();
    let mut codes = named.split(|c: char| !c.is_ascii_digit());
    assert!(codes.any(|one| one == code.to_string()), "{id} ends with {named}\n{document:#}");
}

/// The ids of everything in its reasons, in their order.
#[track_caller]
pub fn reason_ids(output: &Output) -> Vec<String> {
    ids(&document(output)).into_iter().map(str::to_owned).collect()
}

/// The ids of the reasons that are errors.
#[track_caller]
pub fn error_ids(output: &Output) -> Vec<String> {
    let document = document(output);
    let reasons = document["reasons"].as_array().expect("reasons");
    let errors = reasons.iter().filter(|reason| reason["severity"] == "error");
    errors.filter_map(|reason| reason["id"].as_str().map(str::to_owned)).collect()
}
