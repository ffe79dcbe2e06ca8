//! The command line without a cluster: every help, every way to be wrong, and
//! the answers from files, each with its exit code.

use std::{
    fmt::Write as _,
    io::{ErrorKind, Write as _},
    process::{Command, Stdio},
};

pub fn run(words: &[&str], stdin: &str) -> (String, String, Option<i32>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-stateful"))
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .env("HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let mut input = child.stdin.take().expect("a pipe");
    // A command that refuses its arguments exits without reading.
    if let Err(error) = input.write_all(stdin.as_bytes()) {
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    }
    drop(input);
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// What one would see on the screen.
fn transcript(lines: &[&[&str]]) -> String {
    let mut seen = String::new();
    for words in lines {
        let (stdout, stderr, code) = run(words, "");
        let code = code.map_or("signal".to_owned(), |code| code.to_string());
        // Writing to a String cannot fail.
        let _ = write!(seen, "$ kubectl stateful {}\n{stdout}", words.join(" "));
        if !stderr.is_empty() {
            let _ = write!(seen, "--- stderr ---\n{stderr}");
        }
        let _ = write!(seen, "[exit {code}]\n\n");
    }
    seen
}

#[test]
fn helps() {
    insta::assert_snapshot!(transcript(&[
        &["-h"],
        &["--help"],
        &["status", "-h"],
        &["status", "--help"],
        &["canary", "--help"],
        &["canary", "plan", "--help"],
        &["canary", "start", "--help"],
        &["canary", "stage", "--help"],
        &["canary", "status", "--help"],
        &["canary", "promote", "--help"],
        &["canary", "pause", "--help"],
        &["canary", "abort", "--help"],
        &["canary", "unstick", "--help"],
        &["canary", "history", "--help"],
        &["dns", "--help"],
        &["dns", "explain", "--help"],
        &["orphans", "--help"],
        &["orphans", "delete", "--help"],
        &["orphans", "adopt", "--help"],
        &["migrate", "--help"],
        &["migrate", "convert", "--help"],
        &["dump", "-h"],
        &["explain", "-h"],
        &["explain", "scale-destroys-data"],
        &["completion", "-h"],
        &["version", "-h"],
        &["version"],
    ]));
}

#[test]
fn wrong_words() {
    insta::assert_snapshot!(transcript(&[
        &[],
        &["statis", "web"],
        &["status"],
        &["status", "web", "--no-such-flag"],
        &["status", "web", "-o", "xml"],
        &["status", "pod/web-0"],
        &["status", "deploy/web"],
        &["status", "sts/"],
        &["status", "sts", "web", "db"],
        &["status", "web", "--timeout", "soon"],
        &["status", "web", "--watch", "-f", "x.yaml"],
        &["status", "web", "-f", "tests/no-such-file.yaml"],
        &["status", "web", "-f", "Cargo.toml"],
        &["status", "db", "-f", "tests/scenarios/status/image-pull.yaml"],
        &["status", "web", "-n", "elsewhere", "-f", "tests/scenarios/status/image-pull.yaml"],
        &["status", "web", "-o", "json", "-f", "tests/no-such-file.yaml"],
        &["dns"],
        &["dns", "deploy/web"],
        &["dns", "web", "--via", "ssh"],
        &["dns", "web", "--watch", "--wait", "5s"],
        &["orphans", "pod/web-0"],
        &["orphans", "web", "-A"],
        &["orphans", "--complete"],
        &["orphans", "--fail-on", "nonsense"],
        &["orphans", "-A", "delete", "a"],
        &["orphans", "delete"],
        &["orphans", "delete", "a", "--from", "b"],
        &["orphans", "adopt", "pv/a"],
        &["orphans", "adopt", "pv/a", "--to", "web"],
        &["migrate"],
        &["migrate", "convert"],
        &["migrate", "convert", "-f", "tests/no-such-file.yaml"],
        &["migrate", "convert", "-f", "Cargo.toml"],
        &["migrate", "convert", "sts/web", "-f", "tests/apps/mysql-deployment.yaml"],
        &["migrate", "convert", "web", "-f", "tests/apps/mysql-deployment.yaml"],
        &["migrate", "convert", "--claim", "data", "-f", "tests/apps/mysql-deployment.yaml"],
        &["migrate", "convert", "--keep", "data", "-f", "tests/apps/mysql-deployment.yaml"],
        &[
            "migrate",
            "convert",
            "--allow",
            "MIGRATE-PVC-SHARED",
            "-f",
            "tests/apps/mysql-deployment.yaml"
        ],
        &["migrate", "convert", "--yes", "-f", "tests/apps/mysql-deployment.yaml"],
        &["migrate", "convert", "--from", "a", "-f", "tests/apps/mysql-deployment.yaml"],
        &["migrate", "convert", "-o", "json", "-f", "tests/no-such-file.yaml"],
        &["completion", "tcsh"],
    ]));
}

#[test]
fn the_exit_code_judges_only_when_asked() {
    let scenario = ["-f", "tests/scenarios/status/image-pull.yaml"];
    let code = |words: &[&str]| run(&[words, &scenario].concat(), "").2;
    assert_eq!(code(&["status", "web"]), Some(0));
    assert_eq!(code(&["status", "web", "--exit-code"]), Some(3));
}

/// As kubectl has them, over the document of `-o json`.
#[test]
fn templates_pick_from_the_document() {
    let file = "tests/scenarios/status/image-pull.yaml";
    let asked = |format: &str| run(&["status", "web", "-f", file, "-o", format], "");
    let (stdout, stderr, code) = asked("jsonpath={.set.name}: {.reasons[*].id}");
    assert_eq!((stderr.as_str(), code), ("", Some(0)));
    assert!(stdout.starts_with("web: STATUS-"), "{stdout}");
    let (stdout, _, _) = asked("custom-columns=POD:.name,STATE:.state");
    assert!(stdout.starts_with("POD     STATE\nweb-0   "), "{stdout}");
    let (stdout, stderr, code) = asked("jsonpath={range .items[*]}{.name}");
    assert_eq!((stdout.as_str(), code), ("", Some(2)));
    assert!(stderr.contains("a range without an end"), "{stderr}");
    // Of an error there is only the message.
    let words = ["status", "web", "-f", "tests/no-such-file.yaml", "-o", "jsonpath={.error}"];
    let (stdout, stderr, code) = run(&words, "");
    assert_eq!((stdout.as_str(), code), ("", Some(1)));
    assert!(stderr.contains("does not exist"), "{stderr}");
}

/// A program that asked for a document gets one, also for a wrong line.
#[test]
fn a_wrong_line_is_a_document_too() {
    for words in [
        &["scale", "-o", "json"][..],
        &["status", "web", "--no-such-flag", "-ojson"],
        &["scale", "web", "--output=json", "--replicas", "x"],
    ] {
        let (stdout, stderr, code) = run(words, "");
        assert_eq!(code, Some(2), "{stderr}");
        let document: serde_json::Value = serde_json::from_str(&stdout).expect("a document");
        assert_eq!((&document["result"], &document["exitCode"]), (&"usage".into(), &2.into()));
        let error = document["error"].as_str().expect("an error");
        assert!(!error.starts_with("error:") && stderr.contains(error), "{stdout}{stderr}");
        let hint = document["hint"].as_str().expect("a hint");
        assert!(hint.starts_with("kubectl stateful s") && hint.ends_with(" --help"), "{hint}");
    }
}

#[test]
fn what_kubectl_users_type_is_understood() {
    for (words, wanted) in [
        (&["help"][..], "Usage: kubectl stateful"),
        (&["help", "status"], "Usage: kubectl stateful status"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["version", "--client"], env!("CARGO_PKG_VERSION")),
    ] {
        let (stdout, stderr, code) = run(words, "");
        assert_eq!((stderr.as_str(), code), ("", Some(0)), "{words:?}");
        assert!(stdout.contains(wanted), "{words:?}: {stdout}");
    }
    // The last of a repeated flag wins.
    let file = "tests/scenarios/status/image-pull.yaml";
    let (_, stderr, code) =
        run(&["status", "web", "-f", file, "-n", "nowhere", "-n", "default"], "");
    assert_eq!((stderr.as_str(), code), ("", Some(0)));
    let (_, stderr, code) =
        run(&["status", "web", "-f", file, "-n", "default", "-n", "nowhere"], "");
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("no StatefulSet \"web\" in namespace \"nowhere\" (it has: default/web)"),
        "{stderr}"
    );
}

#[test]
fn a_locale_without_utf8_gets_ascii() {
    let shown = |locale: &str, words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-stateful"))
            .args(words)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("LANG", locale)
            .output()
            .expect("an end");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let status = ["status", "web", "-f", "tests/scenarios/status/image-pull.yaml"];
    let fine = shown("de_DE.UTF-8", &status);
    assert!(fine.contains("├─ web-0") || fine.contains("└─ web-"), "{fine}");
    let plain = shown("C", &status);
    assert!(plain.is_ascii(), "{plain}");
    assert!(plain.contains("- web-0") && plain.contains("-> kubectl"), "{plain}");
    // A document is what it is.
    let json = [&status[..], &["-o", "json"]].concat();
    let without_ages = |text: String| text.lines().count();
    assert_eq!(without_ages(shown("C", &json)), without_ages(shown("de_DE.UTF-8", &json)));
}

/// What cannot be written is no success.
#[test]
fn an_answer_that_is_lost_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-stateful"))
        .args(["status", "web", "-f", "tests/scenarios/status/image-pull.yaml"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .stdout(full)
        .output()
        .expect("an end");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("cannot write to stdout"), "{stderr}");
}

#[test]
fn names_are_for_scripts() {
    let file = "tests/scenarios/status/image-pull.yaml";
    let (stdout, stderr, code) = run(&["status", "sts", "web", "-o", "name", "-f", file], "");
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("statefulset.apps/web\n", "", Some(0)));
}

#[test]
fn a_manifest_that_no_server_has_seen_is_judged_for_what_it_says() {
    let manifest = "\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: mysql
        image: mysql:8.0
        readinessProbe: {exec: {command: [mysql, '-p${PW}', -e, SELECT 1]}}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: mysql}}
";
    let (stdout, stderr, code) = run(&["status", "db", "-f", "-"], manifest);
    assert_eq!((stderr.as_str(), code), ("", Some(0)), "nothing is missing from a manifest");
    insta::assert_snapshot!(stdout);
}

#[test]
fn a_dump_without_pods_is_incomplete() {
    let dump = r#"{"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "prod", "uid": "1", "generation": 1},
        "spec": {"selector": {}, "template": {}, "replicas": 1},
        "status": {"observedGeneration": 1}}"#;
    let (stdout, _, code) = run(&["status", "db", "-f", "-"], dump);
    assert_eq!(code, Some(8), "{stdout}");
    assert!(stdout.contains("unread   pods: the input has no Pod"), "{stdout}");
    assert!(stdout.contains("Unknown"), "not read is not missing: {stdout}");
}

#[test]
fn control_characters_of_a_cluster_do_not_reach_a_terminal() {
    let evil = "x\\u001b[2Jy\\u0007\\u009b31m\\u202ez";
    let dump = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "StatefulSet",
         "metadata": {"name": "EVIL", "namespace": "EVIL", "uid": "1", "labels": {"kustomize.toolkit.fluxcd.io/name": "EVIL"}},
         "spec": {"selector": {}, "serviceName": "EVIL", "volumeClaimTemplates": [{"metadata": {"name": "EVIL"}}],
           "template": {"spec": {"containers": [{"name": "EVIL", "image": "EVIL"}]}}},
         "status": {"updateRevision": "EVIL"}},
        {"apiVersion": "v1", "kind": "Pod",
         "metadata": {"name": "EVIL-0", "namespace": "EVIL", "labels": {"controller-revision-hash": "EVIL"}},
         "spec": {"nodeName": "EVIL", "containers": [{"name": "EVIL", "image": "EVIL"}]},
         "status": {"containerStatuses": [{"name": "EVIL", "state": {"waiting": {"reason": "ErrImagePull", "message": "EVIL"}}}]}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
         "metadata": {"name": "EVIL-EVIL-0", "namespace": "EVIL"},
         "spec": {"storageClassName": "EVIL", "volumeName": "EVIL"}, "status": {"phase": "Lost"}}]}"#;
    let dump = dump.replace("EVIL", evil);
    let name: String = serde_json::from_str(&format!("\"{evil}\"")).expect("a string");
    for format in ["table", "wide", "name"] {
        let (stdout, stderr, _) = run(&["status", &name, "-o", format, "-f", "-"], &dump);
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!stdout.contains(bad) && !stderr.contains(bad), "{stdout:?} {stderr:?}");
        assert!(stdout.contains("x\u{fffd}[2Jy\u{fffd}"), "{stdout:?}");
    }
    let (stdout, _, _) = run(&["status", &name, "-o", "json", "-f", "-"], &dump);
    let document: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(document["set"]["name"], name, "a program gets what stands there");
    assert!(!stdout.contains('\u{1b}'), "{stdout:?}");
}

#[test]
fn the_krew_manifest_keeps_to_krews_rules() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/krew-manifest.yaml");
    let text = std::fs::read_to_string(path).expect("the manifest");
    let manifest: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(manifest["kind"], "Plugin");
    assert_eq!(manifest["metadata"]["name"], "stateful");
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest["spec"]["version"], version);
    let short = manifest["spec"]["shortDescription"].as_str().expect("a description");
    assert!(short.len() <= 80 && !short.contains('\n'), "{short}");
    let platforms = manifest["spec"]["platforms"].as_array().expect("platforms");
    let mut selectors = std::collections::BTreeSet::new();
    for platform in platforms {
        let labels = &platform["selector"]["matchLabels"];
        assert!(selectors.insert(labels.to_string()), "selectors overlap: {labels}");
        let sum = platform["sha256"].as_str().expect("a sum");
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        assert!(sum.len() == 64 && sum.chars().all(hex), "{sum}");
        let uri = platform["uri"].as_str().expect("a uri");
        let archive = [".tar.gz", ".zip"].iter().any(|&ending| uri.ends_with(ending));
        assert!(archive, "{uri}");
        assert!(uri.contains(version), "{uri}");
        let bin = platform["bin"].as_str().expect("a binary");
        let wanted =
            if labels["os"] == "windows" { "kubectl-stateful.exe" } else { "kubectl-stateful" };
        assert_eq!(bin, wanted);
    }
}

/// The transcripts of the README are typed in tests/node/readme.rs; tests/run
/// runs each line of its other blocks, and these are all of them.
#[test]
fn every_block_of_the_readme_is_run_somewhere() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).expect("the README");
    let mut lines = Vec::new();
    let mut block = None;
    for line in readme.lines() {
        match (block, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                assert!(["sh", "console"].contains(&kind), "nobody runs a block of {kind:?}");
                block = Some(kind);
            }
            (Some(_), Some(_)) => block = None,
            (Some("sh"), None) => lines.push(line),
            _ => {}
        }
    }
    assert_eq!(lines, ["cargo install --locked --path ."]);
}

/// As kubectl takes them, also where they say no.
#[test]
fn a_flag_may_say_that_it_is_on_or_off() {
    let manifest = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web}\n\
                    spec: {replicas: 0, serviceName: nginx, template: {}}\n";
    let status = |flags: &[&str]| run(&[&["status", "-f", "-"], flags].concat(), manifest);
    let (plain, _, code) = status(&["--watch=false", "--exit-code=0", "--no-headers=false"]);
    assert!(plain.starts_with("NAMESPACE"), "{plain}");
    assert_eq!(status(&[]), (plain, String::new(), code));
    assert_eq!(status(&["--no-headers=true"]), status(&["--no-headers"]));
    let (_, stderr, code) = status(&["--no-headers=perhaps"]);
    assert_eq!(code, Some(2), "{stderr}");
}

#[test]
fn a_template_that_is_empty_or_asks_beyond_the_end_is_refused() {
    let manifest = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web}\n\
                    spec: {replicas: 0, serviceName: nginx, template: {}}\n";
    let status = |form: &str| run(&["status", "-f", "-", "-o", form], manifest);
    for form in ["jsonpath=", "custom-columns="] {
        let (stdout, stderr, code) = status(form);
        assert_eq!((stdout.as_str(), code), ("", Some(2)), "{stderr}");
        assert!(stderr.contains(&format!("-o {form} has no template after it")), "{stderr}");
    }
    for form in ["jsonpath={.items[9].name}", "jsonpath={.items[-2].name}"] {
        let (stdout, stderr, code) = status(form);
        assert_eq!((stdout.as_str(), code), ("", Some(1)), "{stderr}");
        assert!(stderr.contains("array index out of bounds: index "), "{stderr}");
    }
    for form in ["jsonpath={.items[0].name}", "jsonpath={.items[-1].name}"] {
        assert_eq!(status(form).0, "web");
    }
}

#[test]
fn a_help_that_cannot_be_written_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let help = Command::new(env!("CARGO_BIN_EXE_kubectl-stateful"))
        .args(["status", "--help"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("the binary");
    assert_eq!(help.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&help.stderr).contains("cannot write: "));
}
