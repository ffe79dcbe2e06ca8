//! Every file under tests/scenarios is a set in some state, and a snapshot
//! beside it is what `status`, or `canary`, says of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use kubectl_stateful::{
    canary::{
        record::Record,
        report::{self as canary, HistoryView},
    },
    manifests::Bundle,
    output::{Exit, Format, Look},
    status::{
        plan::{self, Picture},
        report,
    },
};

use super::cli::run;

/// The header line `# status NAME at TIME` says which set and when.
fn header(text: &str) -> (String, Timestamp) {
    let line = text.lines().find_map(|line| line.strip_prefix("# status ")).expect("a header");
    let (name, time) = line.split_once(" at ").expect("`# status NAME at TIME`");
    (name.to_owned(), time.trim().parse().expect("a time"))
}

fn judge(text: &str) -> (Picture, Timestamp) {
    let (name, now) = header(text);
    let mut bundle = Bundle::default();
    bundle.add_text(text, "scenario").expect("YAML");
    (plan::judge(&bundle.facts(&name, None).expect("facts"), now), now)
}

#[test]
fn every_scenario_reads_as_its_snapshot() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/status");
    for file in yaml_files(&folder) {
        let text = fs::read_to_string(&file).expect("a readable scenario");
        let (picture, now) = judge(&text);
        let shown = report::render(&picture, Exit::Done, Format::Table, Look::plain(now));
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        insta::with_settings!({
            snapshot_path => "../scenarios/status",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, shown.expect("text"));
        });
    }
}

/// What `canary` says of a file, command after command. What `plan` would
/// write carries the moment at which it was asked; that is taken out.
fn canary(file: &Path, text: &str) -> String {
    let after = |mark: &str| text.lines().find_map(|line| line.strip_prefix(mark));
    let (name, time) = after("# canary ").expect("a header").split_once(" at ").expect("a time");
    let now: Timestamp = time.trim().parse().expect("a time");
    let words: Vec<&str> = after("# plan ").expect("what is planned").split(' ').collect();
    let mut bundle = Bundle::default();
    bundle.add_text(text, "scenario").expect("YAML");
    let facts = bundle.facts(name, None).expect("facts");
    let record = Record::of(&facts.set).expect("no record or a good one");
    let look = Look::plain(now);
    let view = canary::View::new(&facts, record.as_ref(), None, now);
    let status = canary::render(&view, Exit::Done, &[], Format::Table, look).expect("text");
    let mut view = HistoryView::new(&facts, record.as_ref(), now);
    view.differences = None;
    let history = canary::render_history(&view, Exit::Done, Format::Table, look).expect("text");
    let file = file.to_str().expect("a name");
    let mut line = vec!["canary", "plan", name, "--exit-code", "--filename", file];
    line.extend(&words);
    let (plan, stderr, code) = run(&line, "");
    let mut plan = plan + &stderr;
    let began = r#"\"started\":\""#;
    if let Some((before, rest)) = plan.split_once(began) {
        let (_, rest) = rest.split_once('\\').expect("the end of a time");
        plan = format!("{before}{began}NOW\\{rest}");
    }
    let words = words.join(" ");
    format!(
        "$ canary status {name} -f\n{status}\n$ canary history {name} -f\n{history}\n\
         $ canary plan {name} --exit-code --filename {words}\n{plan}[exit {}]\n",
        code.unwrap_or_default(),
    )
}

#[test]
fn every_canary_reads_as_its_snapshot() {
    let folder = Path::new("tests/scenarios/canary");
    for file in yaml_files(folder) {
        let text = fs::read_to_string(&file).expect("a readable scenario");
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        insta::with_settings!({
            snapshot_path => "../scenarios/canary",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, canary(&file, &text));
        });
    }
}

/// The YAML files of a folder, in the order of their names.
pub fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}
