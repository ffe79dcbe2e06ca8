//! Every file under tests/scenarios/status is a set in some state, and a
//! snapshot beside it is what `status` says of it.

use std::{fs, path::Path};

use jiff::Timestamp;
use kubectl_stateful::{
    cluster::offline::Bundle,
    output::{Exit, Format, Look},
    status::{
        plan::{self, Picture},
        report,
    },
};

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
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
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
