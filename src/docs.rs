//! What is generated from the code: docs/exit-codes.md, docs/findings.md,
//! docs/schemas/ and the scripts in completions/.
//!
//! `cargo test` fails when a file is stale. `UPDATE_DOCS=1 cargo test --lib
//! docs` writes them again.

#![expect(clippy::format_push_string, reason = "pages, once")]

use std::{collections::BTreeSet, fs, path::Path};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{
    canary::gates::spec::Gates,
    canary::report::{HistoryView, PlanView, View},
    cli::Shell,
    completion::registration,
    dns, explain, migrate, orphans,
    output::{Envelope, Exit, Failure, watch_printer::Change},
    scale,
    status::{list::report::View as StatusList, plan::Picture},
    steps::Event,
    version::Version,
};

const GENERATED: &str = "<!-- Generated from the code by UPDATE_DOCS=1 cargo test --lib docs -->";

fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        fs::write(&path, text).expect("it can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{name} is stale: run UPDATE_DOCS=1 cargo test --lib docs");
}

#[test]
fn exit_codes() {
    let mut page = format!(
        "{GENERATED}\n# Exit codes\n\nAll commands share one table. In JSON, `result` is the name. \
         Terms are in the\n[glossary](glossary.md).\n\n| code | name | meaning | a script does |\n| --- | --- | --- | --- |\n"
    );
    for exit in Exit::ALL {
        let (code, name) = (exit.code(), exit.name());
        page += &format!("| {code} | {name} | {} | {} |\n", exit.meaning(), exit.advice());
    }
    check("docs/exit-codes.md", &page);
}

#[test]
fn findings() {
    let mut page = format!(
        "{GENERATED}\n# Findings\n\nEvery finding has an id that never changes. Severity `error` \
         (printed as `stuck` by\n`status`) means that nothing moves until it is fixed, `warning` \
         that it works today and will surprise\nsomeone, `note` that it is normal. Terms are in the \
         [glossary](glossary.md).\n"
    );
    let mut command = "";
    for finding in explain::pages() {
        if finding.command() != command {
            command = finding.command();
            page += &format!("\n## {command}\n");
        }
        page += &finding.markdown();
    }
    check("docs/findings.md", &page);
}

fn schema<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n"
}

#[test]
fn completion_scripts() {
    for (shell, name) in [
        (Shell::Bash, "kubectl-stateful.bash"),
        (Shell::Zsh, "_kubectl-stateful"),
        (Shell::Fish, "kubectl-stateful.fish"),
    ] {
        let script = registration(shell).expect("a script");
        check(&format!("completions/{name}"), &script);
    }
}

#[test]
fn schemas() {
    check("docs/schemas/status-v1.json", &schema::<Envelope<'static, Picture>>());
    check("docs/schemas/status-list-v1.json", &schema::<Envelope<'static, StatusList>>());
    check("docs/schemas/canary-v1.json", &schema::<Envelope<'static, View>>());
    check("docs/schemas/canary-change-v1.json", &schema::<Change>());
    check("docs/schemas/canary-event-v1.json", &schema::<Event<'static>>());
    check("docs/schemas/canary-plan-v1.json", &schema::<Envelope<'static, PlanView>>());
    check("docs/schemas/canary-history-v1.json", &schema::<Envelope<'static, HistoryView>>());
    check("docs/schemas/status-change-v1.json", &schema::<Change>());
    check(
        "docs/schemas/migrate-convert-v1.json",
        &schema::<Envelope<'static, migrate::report::Document<'static>>>(),
    );
    check("docs/schemas/migrate-v1.json", &schema::<Envelope<'static, migrate::report::View>>());
    check(
        "docs/schemas/migrate-plan-v1.json",
        &schema::<Envelope<'static, migrate::report::PlanView>>(),
    );
    check(
        "docs/schemas/migrate-list-v1.json",
        &schema::<Envelope<'static, migrate::report::ListView>>(),
    );
    check(
        "docs/schemas/migrate-recovery-v1.json",
        &schema::<Envelope<'static, migrate::report::RecoveryView>>(),
    );
    check(
        "docs/schemas/migrate-candidates-v1.json",
        &schema::<Envelope<'static, migrate::report::CandidatesView>>(),
    );
    check("docs/schemas/migrate-event-v1.json", &schema::<Event<'static>>());
    check("docs/schemas/dns-v1.json", &schema::<Envelope<'static, dns::report::View>>());
    check(
        "docs/schemas/dns-explain-v1.json",
        &schema::<Envelope<'static, dns::report::ExplainView>>(),
    );
    check("docs/schemas/dns-change-v1.json", &schema::<Change>());
    check("docs/schemas/scale-v1.json", &schema::<Envelope<'static, scale::report::View>>());
    check("docs/schemas/scale-event-v1.json", &schema::<Event<'static>>());
    check("docs/schemas/orphans-v1.json", &schema::<Envelope<'static, orphans::report::View>>());
    check(
        "docs/schemas/orphans-delete-v1.json",
        &schema::<Envelope<'static, orphans::report::deletion::View>>(),
    );
    check(
        "docs/schemas/orphans-adopt-v1.json",
        &schema::<Envelope<'static, orphans::run::adopt::View>>(),
    );
    check("docs/schemas/orphans-delete-event-v1.json", &schema::<Event<'static>>());
    check("docs/schemas/orphans-adopt-event-v1.json", &schema::<Event<'static>>());
    check("docs/schemas/explain-v1.json", &schema::<Envelope<'static, explain::Pages>>());
    check("docs/schemas/version-v1.json", &schema::<Envelope<'static, Version>>());
    check("docs/schemas/error-v1.json", &schema::<Envelope<'static, Failure>>());
    check("docs/schemas/gates-v1.json", &schema::<Gates>());
}

#[test]
fn the_example_has_one_of_each_gate() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/gates.yaml");
    let text = fs::read_to_string(path).expect("the example");
    let gates = Gates::read(&text, "gates.yaml").expect("it is a file of gates");
    assert_eq!(gates.fault(), None);
    let schema: Value = serde_json::from_str(&schema::<Gates>()).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let example: Value = serde_saphyr::from_str(&text).expect("YAML");
    let written = serde_json::to_value(&gates).expect("gates are JSON");
    for document in [&example, &written] {
        let errors: Vec<String> =
            validator.iter_errors(document).map(|error| error.to_string()).collect();
        assert_eq!(errors, [] as [&str; 0]);
    }
    let names = |object: &Value| {
        let fields = object.as_object().expect("an object");
        fields.keys().cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&example), names(&schema["properties"]));
    for (document, is_valid) in [
        (json!({"bake": "1.5s", "deadline": "1h30m"}), true),
        (json!({"bake": "5 minutes"}), false),
        (json!({"bakes": "5m"}), false),
        (json!({"tries": {"passes": 0}}), false),
    ] {
        assert_eq!(validator.is_valid(&document), is_valid, "{document}");
        let read = Gates::read(&document.to_string(), "gates.yaml");
        assert_eq!(read.is_ok_and(|gates| gates.fault().is_none()), is_valid, "{document}");
    }
}
