//! kubectl's commands on our pages are ones that kubectl knows, with flags that
//! it has. Ours are read offline.

use std::{fs, path::Path};

use super::support::TestCluster;

const PAGES: &[&str] = &[
    "README.md",
    "docs/tour.md",
    "docs/canary.md",
    "docs/dns.md",
    "docs/findings.md",
    "docs/migrate.md",
    "docs/orphans.md",
    "docs/scale.md",
];

/// The commands of a page that stand on a line of their own or between backticks,
/// up to where the shell does something with their output.
fn commands(page: &str) -> Vec<String> {
    let (mut found, mut in_block) = (Vec::new(), false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push(line.trim().trim_start_matches("$ ").to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let cut = |line: String| {
        let end = line.find(['|', '>', ';', '\\', '"', '…']).unwrap_or(line.len());
        // The value of the last flag may go on below, or it is only named.
        let line = line[..end].trim();
        match line.rsplit_once(' ') {
            Some((before, flag)) if flag.starts_with('-') => before.to_owned(),
            _ => line.to_owned(),
        }
    };
    let theirs =
        |line: &String| line.starts_with("kubectl ") && !line.starts_with("kubectl stateful");
    found.into_iter().map(cut).filter(theirs).collect()
}

#[test]
fn kubectl_knows_every_command_of_the_pages() {
    let cluster = TestCluster::shared();
    let mut count = 0;
    for page in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{page}: {why}"));
        for line in commands(&text) {
            // What stands after `--` is another program's.
            let own = line.split(" -- ").next().unwrap_or_default();
            let words = own.split_whitespace().skip(1).map(|word| word.trim_matches('\''));
            // Of krew there is only the name here.
            if line.starts_with("kubectl krew") {
                continue;
            }
            let output = cluster.kubectl(words).arg("--help").output().expect(0);
            assert!(!output.stdout.contains("kubectl controls the"), "{page}: {line}");
            count += 1;
        }
    }
    assert!(count >= 15, "only {count} commands were found");
}
