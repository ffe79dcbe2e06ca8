//! `status` of many sets, from files: the rows say what the trees say.

use serde_json::{Value, json};

use super::{
    build::*,
    cli::run,
    findings::{Case, cases},
};

/// What the program says of these objects.
fn list(objects: &[Value], line: &[&str]) -> (String, String, Option<i32>) {
    let dump = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let line = [&["status", "-f", "-"], line].concat();
    run(&line, &dump)
}

fn document(objects: &[Value], line: &[&str]) -> (Value, Option<i32>) {
    let (stdout, stderr, code) = list(objects, &[line, &["-o", "json"]].concat());
    let document = serde_json::from_str(&stdout);
    (document.unwrap_or_else(|error| panic!("{error}\n{stdout}\n{stderr}")), code)
}

/// The objects as those of another set.
fn of(namespace: &str, name: &str, objects: &[Value]) -> Vec<Value> {
    let rename = |object: &Value| {
        let text = object
            .to_string()
            .replace("\"default\"", &format!("{namespace:?}"))
            .replace("web", name)
            .replace("\"set-1\"", &format!("\"set-{name}\""))
            .replace("\"pod-", &format!("\"pod-{name}-"))
            .replace("\"claim-", &format!("\"claim-{name}-"))
            .replace("\"pv-", &format!("\"pv-{name}-"));
        serde_json::from_str(&text).expect("JSON")
    };
    objects.iter().map(rename).collect()
}

/// A set in each state, in two namespaces.
fn cluster() -> Vec<Value> {
    let broken = vec![waiting(2, "ImagePullBackOff", "rpc error: x: not found")];
    let rolling = with(set(), "/status/updateRevision", json!("web-2"));
    let rolling = with(rolling, "/spec/updateStrategy/rollingUpdate/partition", json!(2));
    let moved = with(pod(2), "/metadata/labels/controller-revision-hash", json!("web-2"));
    let canary = vec![rolling, moved, revision("web-2", 2, "nginx:1.22")];
    let parked = with(set(), "/spec/replicas", json!(0));
    [
        of("shop", "db", &healthy()),
        of("shop", "web", &replace(healthy(), broken)),
        of("data", "cache", &replace(healthy(), canary)),
        of("data", "old", &[parked, service()]),
    ]
    .concat()
}

/// The same rules, the same facts: in every case of every rule, the row has the
/// findings of the tree, word for word.
#[test]
fn a_row_has_the_findings_of_the_tree() {
    let mut found = 0;
    for Case { name, objects, .. } in cases() {
        // Both judge at the newest time in the files: an event of now.
        let clock = with(event("nobody", "Clock", ""), "/lastTimestamp", json!(ago(0)));
        let objects = [objects, vec![clock]].concat();
        let (shown, _) = document(&objects, &["web"]);
        let (listed, _) = document(&objects, &[]);
        let row = &listed["items"][0];
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{name}");
        // There is nothing to type again after a dump on stdin.
        assert_eq!(row["findings"], shown["reasons"], "{name}");
        assert_eq!(row["class"], shown["health"], "{name}");
        for field in ["ready", "available", "updated", "partition", "replicas"] {
            assert_eq!(row[field], shown["set"][field], "{name}: {field}");
        }
        assert_eq!((&listed["time"], &shown["time"]), (&json!(ago(0)), &json!(ago(0))), "{name}");
        found += shown["reasons"].as_array().map_or(0, Vec::len);
    }
    assert!(found > 60, "{found}");
}

#[test]
fn the_worst_comes_first_and_what_is_stuck_is_told_below() {
    let (shown, stderr, code) = list(&cluster(), &["--exit-code"]);
    assert_eq!((stderr.as_str(), code), ("", Some(3)));
    insta::assert_snapshot!("status-list", shown);
    let (shown, ..) = list(&cluster(), &["-n", "data", "-o", "wide"]);
    insta::assert_snapshot!("status-list-wide", shown);
}

#[test]
fn the_document_has_every_finding_and_sums() {
    let (document, code) = document(&cluster(), &["--exit-code"]);
    assert_eq!(code, Some(3));
    assert_eq!(document["schema"], "kubectl-stateful/status-list/v1");
    let names: Vec<&str> = document["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|i| i["name"].as_str())
        .collect();
    assert_eq!(names, ["web", "cache", "db", "old"]);
    assert_eq!(document["reasons"][0]["id"], "STATUS-IMAGE-PULL");
    assert!(document["reasons"][0]["message"].to_string().contains("shop/web: web-2 cannot pull"));
    assert_eq!(
        document["totals"],
        json!({"sets": 4, "stuck": 1, "unknown": 0, "progressing": 0, "ready": 2, "parked": 1})
    );
    let cache = &document["items"][1];
    assert_eq!((&cache["updated"], &cache["held"]), (&json!(1), &json!(2)));
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/status-list-v1.json");
    let schema = std::fs::read_to_string(path).expect("the schema");
    let schema = serde_json::from_str(&schema).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
    assert_eq!(errors, [] as [&str; 0]);
}

#[test]
fn sets_are_chosen_by_name_by_label_and_by_namespace() {
    let names = |line: &[&str]| {
        let (document, _) = document(&cluster(), line);
        let items = document["items"].as_array().expect("items").clone();
        items.iter().filter_map(|i| i["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names(&["web", "db"]), ["web", "db"]);
    assert_eq!(names(&["sts/web", "sts/cache"]), ["web", "cache"]);
    assert_eq!(names(&["sts", "web", "cache"]), ["web", "cache"]);
    assert_eq!(names(&["-n", "data"]), ["cache", "old"]);
    assert_eq!(names(&["-n", "data", "-A"]), ["web", "cache", "db", "old"]);
    assert_eq!(names(&["-l", "app=web"]), [] as [&str; 0]);
    assert_eq!(names(&["-l", "!app"]), ["web", "cache", "db", "old"]);
    let (stdout, ..) = list(&cluster(), &["-o", "name"]);
    assert_eq!(stdout, "shop/web\ndata/cache\nshop/db\ndata/old\n");
    let (stdout, ..) = list(&cluster(), &["-o", "name", "-n", "shop"]);
    assert_eq!(stdout, "statefulset.apps/web\nstatefulset.apps/db\n");
    let (stdout, stderr, code) = list(&cluster(), &["web", "gone", "lost"]);
    assert_eq!((stdout.as_str(), code), ("", Some(1)));
    let not_found = "Error from server (NotFound): statefulsets.apps \"gone\" not found\n  caused \
        by: Error from server (NotFound): statefulsets.apps \"lost\" not found\n";
    assert_eq!(stderr, not_found);
    for wrong in [&["-A", "web"][..], &["-l", "app=web", "web"]] {
        assert_eq!(list(&cluster(), wrong).2, Some(2), "{wrong:?}");
    }
}

/// "Nothing is wrong" needs something that was judged, and a list that was read.
#[test]
fn of_nothing_nothing_is_said() {
    let (shown, _, code) = list(&[service()], &[]);
    assert_eq!(code, Some(8), "{shown}");
    assert!(shown.starts_with("No StatefulSets in the files: nothing was judged\n"), "{shown}");
    assert!(shown.contains("unread   statefulsets.apps: the input has no StatefulSet"), "{shown}");
    let (shown, _, code) = list(&cluster(), &["-l", "app=typo"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.starts_with("No StatefulSets in the files with app=typo: nothing was"));
    let (document, code) = document(&cluster(), &["-l", "app=typo", "--exit-code"]);
    assert_eq!((code, &document["result"]), (Some(8), &json!("incomplete")));
    assert_eq!(document["incomplete"][0]["resource"], "statefulsets.apps");
}

#[test]
fn what_was_not_read_is_unknown() {
    let pods = ["Pod/db-0", "Pod/db-1", "Pod/db-2", "Pod/web-0", "Pod/web-1", "Pod/web-2"];
    let others = ["Pod/cache-0", "Pod/cache-1", "Pod/cache-2"];
    let objects = without(cluster(), &[&pods[..], &others].concat());
    let (shown, _, code) = list(&objects, &["--exit-code"]);
    assert_eq!(code, Some(8), "{shown}");
    assert!(shown.contains("shop        web     Unknown   ?/3"), "{shown}");
    assert!(shown.contains("4 StatefulSets in the files: 4 unknown"), "{shown}");
    assert!(shown.contains("unread   pods: the input has no Pod"), "{shown}");
}

/// A dump is judged at its own time: a pod that was ending then has not been
/// stuck for the days since.
#[test]
fn a_dump_is_judged_at_its_newest_time() {
    let ending = with(pod(2), "/metadata/deletionTimestamp", json!(ago(-25)));
    let ending = with(ending, "/metadata/deletionGracePeriodSeconds", json!(30));
    let objects = replace(healthy(), vec![ending]);
    let (shown, _, code) = list(&objects, &["web", "--exit-code"]);
    assert_eq!(code, Some(0), "{shown}");
    // It was asked to end five seconds before.
    let says = format!("as of    {}, the newest time in the files", ago(5));
    assert!(shown.contains("Progressing") && shown.contains(&says), "{shown}");
    let (document, _) = document(&objects, &["web"]);
    assert_eq!((&document["time"], &document["clock"]), (&json!(ago(5)), &json!("files")));
    let (shown, ..) = list(&objects, &[]);
    assert!(shown.contains(&format!("as of {}, the newest time in the files", ago(5))), "{shown}");
    // A manifest has no time.
    let manifest = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {}},
    });
    let (shown, ..) = list(&[manifest], &["web"]);
    assert!(!shown.contains("as of"), "{shown}");
}

/// What the rows cannot say in a line, the tree does: the line is one that runs.
#[test]
fn the_line_below_the_table_opens_the_tree() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("it's a dump.json");
    let dump = json!({"apiVersion": "v1", "kind": "List", "items": cluster()}).to_string();
    std::fs::write(&file, dump).expect("a file");
    let (shown, ..) = run(&["status", "-f", file.to_str().expect("a path")], "");
    let line = shown.lines().find_map(|line| line.trim().strip_prefix("→ ")).expect("a line");
    assert!(line.starts_with("kubectl stateful status web -n shop -f '"), "{line}");
    super::words::read_if_ours(line);
    let script = line.replacen("kubectl stateful", env!("CARGO_BIN_EXE_kubectl-stateful"), 1);
    let tree = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let tree = String::from_utf8(tree.stdout).expect("UTF-8");
    assert!(tree.starts_with("StatefulSet shop/web  Stuck  2 of 3 ready"), "{tree}");
}

/// Rows for scripts: those of the table, and what was not read on stderr.
#[test]
fn rows_alone_are_those_of_the_table() {
    let mut objects = without(cluster(), &["Pod/db-0", "Pod/web-0", "Pod/cache-0", "Pod/web-1"]);
    objects.extend(of("shop", "db", &[claim(7), volume(7)]));
    let dump = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    for line in [
        &["status"][..],
        &["status", "-o", "wide"],
        &["orphans", "-A"],
        &["dns", "web", "-n", "shop"],
    ] {
        let line = [line, &["-f", "-"]].concat();
        let (table, _, code) = run(&line, &dump);
        let (rows, warned, same) = run(&[&line[..], &["--no-headers"]].concat(), &dump);
        assert_eq!(code, same, "{line:?}");
        let of_table: Vec<&str> = table
            .split("\n\n")
            .find(|part| part.starts_with("NAME"))
            .map(|part| part.lines().skip(1).collect())
            .unwrap_or_default();
        assert!(!of_table.is_empty(), "{table}");
        assert_eq!(rows.lines().collect::<Vec<_>>(), of_table, "{line:?}");
        let unread = table.lines().filter(|line| line.starts_with("unread ")).count();
        assert_eq!(warned.matches(" could not be read: ").count(), unread, "{warned}\n{table}");
    }
    for line in [
        &["status", "web"][..],
        &["status", "-o", "json"],
        &["orphans", "-o", "name"],
        &["dns", "web", "-o", "hosts"],
    ] {
        let (shown, error, code) = run(&[line, &["-f", "-", "--no-headers"]].concat(), &dump);
        assert_eq!(code, Some(2), "{line:?}");
        let said = shown + &error;
        assert!(said.contains("--no-headers goes with a table of several rows"), "{said}");
    }
}
