//! The floors of docs/architecture.md, held: an import goes down, never up and
//! never sideways, and no files import each other in a ring.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// From the ground up. What stands on a floor may import what stands below it,
/// and nothing that stands beside it.
const FLOORS: [&[&str]; 10] = [
    &["workload"],
    &["output"],
    &["cluster"],
    &["manifests", "steps", "diagnosis"],
    &["flags", "handover"],
    &["status", "canary", "dns", "migrate", "orphans", "scale", "dump", "version"],
    &["explain"],
    &["cli"],
    &["completion"],
    &["program", "docs"],
];

/// Imports that the floors forbid, each with the reason why it is there all
/// the same.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "scale",
    "orphans",
    "a scale-down ends with the report of orphans of its set: that report, not one like it",
)];

/// Two files may be one subject in two parts; three may not.
const MAX_RING: usize = 2;

struct File {
    /// `cluster::http::retry`.
    module: Vec<String>,
    text: String,
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files() -> Vec<File> {
    fn collect(folder: &Path, module: &[String], found: &mut Vec<File>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let mut module = module.to_vec();
            if path.is_dir() {
                module.push(stem);
                collect(&path, &module, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                if stem == "tests" || stem == "fake_server" {
                    continue;
                }
                if !matches!(stem.as_str(), "mod" | "lib" | "main") {
                    module.push(stem);
                }
                let text = fs::read_to_string(&path).expect("a file");
                found.push(File { module, text: without_tests(&text) });
            }
        }
    }
    let mut found = Vec::new();
    collect(&source(), &[], &mut found);
    found
}

/// Tests may look at whatever they like.
fn without_tests(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let lines = text[..end].lines();
    lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The paths that a file names: those of `use`, and those that begin with
/// `crate::` or `super::` in the code.
fn paths(file: &File) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut rest = file.text.as_str();
    while let Some(at) = rest.find("use ") {
        let starts = rest[..at].chars().next_back().is_none_or(char::is_whitespace);
        rest = &rest[at + 4..];
        let begins = ["crate::", "super::", "self::"].iter().any(|start| rest.starts_with(start));
        if starts && begins {
            let tree = &rest[..rest.find(';').unwrap_or(rest.len())];
            flatten(tree, &[], &mut found);
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in file.text.match_indices(start) {
            let path: String = file.text[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                .collect();
            let path = path.trim_end_matches(':');
            if !file.text[..at].ends_with("::") {
                found.insert(path.split("::").map(str::to_owned).collect());
            }
        }
    }
    found.into_iter().filter_map(|path| absolute(&path, &file.module)).collect()
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn flatten(tree: &str, before: &[String], found: &mut BTreeSet<Vec<String>>) {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split("::").map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| part.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    let Some(open) = tree.find('{') else {
        found.insert([before.to_vec(), words(tree)].concat());
        return;
    };
    let before = [before.to_vec(), words(&tree[..open])].concat();
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                flatten(&inner[start..at], &before, found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        flatten(&inner[start..], &before, found);
    }
}

/// From the root of the crate.
fn absolute(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let mut place = module.to_vec();
    for (index, part) in path.iter().enumerate() {
        match part.as_str() {
            "crate" => place.clear(),
            "self" if index == 0 => {}
            "self" => return Some(place),
            "super" => {
                place.pop()?;
            }
            _ => place.push(part.clone()),
        }
    }
    Some(place)
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn every_room_has_a_floor() {
    let rooms: BTreeSet<String> =
        files().iter().filter_map(|file| file.module.first().cloned()).collect();
    let homeless: Vec<&String> = rooms.iter().filter(|room| floor_of(room).is_none()).collect();
    assert!(homeless.is_empty(), "which floor are these on? {homeless:?}");
}

#[test]
fn imports_go_down() {
    let mut wrong = BTreeSet::new();
    let mut needed = BTreeSet::new();
    for file in files() {
        let Some(room) = file.module.first() else { continue };
        for path in paths(&file) {
            let Some(other) = path.first().filter(|other| *other != room) else { continue };
            let (Some(here), Some(there)) = (floor_of(room), floor_of(other)) else { continue };
            if here > there {
                continue;
            }
            if EXCEPTIONS.iter().any(|known| known.0 == room && known.1 == other) {
                needed.insert((room.clone(), other.clone()));
            } else {
                wrong.insert(format!("{} imports {}", file.module.join("::"), path.join("::")));
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "these imports go up or sideways:\n{}", wrong.join("\n"));
    assert_eq!(needed.len(), EXCEPTIONS.len(), "an exception that nothing needs any more");
}

/// The file that defines what a path names: a module's own file, and where the
/// module hands on what another one defines, that one.
fn defined_in(path: &[String], all: &BTreeMap<Vec<String>, &File>) -> Option<Vec<String>> {
    let (module, item) = (1..=path.len())
        .rev()
        .find(|length| all.contains_key(&path[..*length]))
        .map(|length| (path[..length].to_vec(), path.get(length)))?;
    let (Some(item), Some(file)) = (item, all.get(&module)) else { return Some(module) };
    for handed_on in file.text.split("pub use ").skip(1) {
        let tree = &handed_on[..handed_on.find(';').unwrap_or(handed_on.len())];
        let mut found = BTreeSet::new();
        flatten(tree, &[], &mut found);
        for one in found {
            let one = if one
                .first()
                .is_some_and(|first| matches!(first.as_str(), "crate" | "self" | "super"))
            {
                absolute(&one, &module)
            } else {
                Some([module.clone(), one.clone()].concat())
            };
            let Some(one) = one.filter(|one| *one != path) else { continue };
            if one.last() == Some(item) {
                return defined_in(&one, all);
            }
        }
    }
    Some(module)
}

#[test]
fn no_files_import_each_other_in_a_ring() {
    let files = files();
    let all: BTreeMap<Vec<String>, &File> =
        files.iter().map(|file| (file.module.clone(), file)).collect();
    let mut reached: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for file in &files {
        let own = |to: &Vec<String>| *to != file.module;
        // What a module hands on is no import of its own.
        let handed_on: BTreeSet<Vec<String>> = file
            .text
            .split("pub use ")
            .skip(1)
            .flat_map(|rest| {
                let mut found = BTreeSet::new();
                flatten(&rest[..rest.find(';').unwrap_or(rest.len())], &[], &mut found);
                found.into_iter().filter_map(|path| absolute(&path, &file.module))
            })
            .collect();
        let paths = paths(file).into_iter().filter(|path| !handed_on.contains(path));
        let to = paths.filter_map(|path| defined_in(&path, &all)).filter(own).collect();
        reached.insert(file.module.clone(), to);
    }
    // Whoever can be reached, by however many steps.
    let direct = reached.clone();
    loop {
        let mut grew = false;
        for module in direct.keys() {
            let further: BTreeSet<Vec<String>> = reached[module]
                .iter()
                .filter_map(|to| reached.get(to))
                .flatten()
                .cloned()
                .collect();
            let own = reached.entry(module.clone()).or_default();
            let before = own.len();
            own.extend(further);
            grew |= own.len() > before;
        }
        if !grew {
            break;
        }
    }
    let mut rings = BTreeSet::new();
    for (module, to) in &reached {
        let ring: Vec<String> = to
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(module)))
            .map(|other| other.join("::"))
            .collect();
        if to.contains(module) && ring.len() > MAX_RING {
            rings.insert(ring);
        }
    }
    let rings: Vec<String> = rings.into_iter().map(|ring| ring.join(", ")).collect();
    assert!(rings.is_empty(), "these files import each other in a ring:\n{}", rings.join("\n"));
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let text = "use super::{a::{B, c::self}, d as e};\nfn f() { crate::g::h(); }".to_owned();
    let file = File { module: vec!["x".to_owned(), "y".to_owned()], text };
    let found: Vec<String> = paths(&file).iter().map(|path| path.join("::")).collect();
    for wanted in ["x::a::B", "x::a::c", "x::d", "g::h"] {
        assert!(found.iter().any(|path| path == wanted), "{wanted} is not in {found:?}");
    }
}

/// A newcomer opens what these documents name.
#[test]
fn the_files_that_documents_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = BTreeSet::new();
    for document in ["docs/architecture.md", "CONTRIBUTING.md", "README.md", "docs/glossary.md"] {
        let text = fs::read_to_string(root.join(document)).expect("a document");
        let named = text.split('`').skip(1).step_by(2);
        for path in named.filter(|path| {
            ["src/", "tests/", "docs/", ".ci/"].iter().any(|start| path.starts_with(start))
        }) {
            let path = path.split([' ', '#', ':']).next().unwrap_or_default();
            let is_pattern = path.contains(['*', '{', '<']) || path.contains("NAME");
            if !is_pattern && !root.join(path).exists() {
                missing.insert(format!("{document} names {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
