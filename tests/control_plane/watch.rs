//! `--watch`, `--wait-for` and `--wait`: what is the same for every command
//! that has them, and what `canary status` shows while a canary is under way.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::support::{Namespace, Output, Run, Running, TestCluster, container, wait_for, web};

const SOON: Duration = Duration::from_secs(60);

/// Each command that watches, without its set.
const COMMANDS: [&str; 3] = ["status", "canary status", "dns --via api"];

/// `COMMAND web WORDS`.
fn watch(namespace: &Namespace, command: &str, words: &str) -> Run {
    let words = command.split_whitespace().chain(["web"]).chain(words.split_whitespace());
    namespace.stateful(words).deadline(SOON)
}

fn never_ready(set: &mut Value) {
    set["spec"]["template"]["metadata"]["annotations"] =
        json!({"stateful.test/never-ready": "true"});
}

/// A set that is ready, whose probe spares a canary of it the half minute.
fn ready(hint: &str, replicas: u32) -> Namespace<'static> {
    let namespace = TestCluster::shared().namespace(hint);
    namespace.apply(&web(replicas, |set| {
        container(set)["readinessProbe"] = json!({"tcpSocket": {"port": 80}});
    }));
    namespace.wait_until_ready("web");
    namespace
}

fn scale(namespace: &Namespace, replicas: u32) {
    let replicas = format!("--replicas={replicas}");
    namespace.kubectl(["scale", "sts", "web", &replicas]).output().success();
}

/// It is judged for long enough to be seen.
fn start_canary(namespace: &Namespace) {
    let words = "canary start web --image nginx=nginx:1.22 --bake 2s --yes";
    namespace.stateful(words.split_whitespace()).deadline(SOON).output().expect(0);
}

#[track_caller]
fn holds(schema: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{schema}.json"));
    let schema = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{schema}: {why}"));
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    jsonschema::validate(&schema, value).unwrap_or_else(|why| panic!("{why}: {value}"));
}

/// The changes of `-o jsonl`, held against their schema, and the document at
/// its end.
#[track_caller]
fn streamed(output: &Output, kind: &str) -> (Vec<Value>, Value) {
    let lines = output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let mut lines: Vec<Value> = lines.collect();
    let document = lines.pop().expect("a document");
    assert_eq!(document["schema"], format!("kubectl-stateful/{kind}/v1"), "{output}");
    assert_eq!(document["exitCode"].as_i64(), output.code().map(i64::from), "{output}");
    holds(&format!("{kind}-v1"), &document);
    for line in &lines {
        assert_eq!(line["schema"], format!("kubectl-stateful/{kind}-change/v1"), "{output}");
        holds(&format!("{kind}-change-v1"), line);
    }
    (lines, document)
}

#[test]
fn every_command_says_the_same_when_the_time_is_up_and_when_it_is_interrupted() {
    let namespace = TestCluster::shared().namespace("watch-words");
    namespace.apply(&web(1, never_ready));
    wait_for(SOON, "the pod", || namespace.get("v1", "pods", "web-0"));
    let of_canary = ready("watch-words-canary", 2);
    start_canary(&of_canary);
    let set = format!("{}/web", namespace.name());
    let waits = [
        ("status", "--wait-for ready --timeout", format!("{set} to be ready")),
        (
            "canary status",
            "--wait-for complete --timeout",
            format!("the canary of {}/web to be complete", of_canary.name()),
        ),
        ("dns --via api", "--wait", format!("the names of {set} to be known to the API")),
    ];
    for (command, flags, goal) in &waits {
        let namespace = if command.starts_with("canary") { &of_canary } else { &namespace };
        let output = watch(namespace, command, &format!("{flags} 1s")).output().expect(6);
        let said: Vec<&str> = output.stderr.lines().collect();
        // A pod that changes meanwhile is a line in between.
        let [begin, .., error, hint] = said[..] else { panic!("{output}") };
        assert!(begin.starts_with(&format!("waiting for {goal}, since ")), "{output}");
        assert!(error.starts_with(&format!("error: timed out waiting for {goal}: ")), "{output}");
        let words: Vec<&str> = command.split_whitespace().collect();
        assert!(hint.starts_with(&format!("hint: kubectl stateful {}", words[0])), "{output}");
        assert_ne!(output.stdout, "", "the answer stands on stdout\n{output}");

        let waiting = watch(namespace, command, &format!("{flags} 60s")).start();
        waiting.wait_for_stderr("the wait to begin", |said| said.contains("waiting for "));
        waiting.signal("INT");
        let output = waiting.finish().expect(130);
        assert!(output.stderr.contains("\ninterrupted; nothing was changed\nhint: "), "{output}");
    }
    for (command, subject) in
        [("status", set.clone()), ("canary status", format!("the canary of {set}"))]
    {
        let output = watch(&namespace, command, "--watch --timeout 1s").output().expect(6);
        let ended = format!("timed out watching {subject}: ");
        assert!(output.stderr.starts_with(&ended), "{output}");
        assert!(output.stderr.contains("\nhint: kubectl stateful "), "{output}");
    }
}

/// Started, and past its first look: what changes now is told. (-v 6 prints the
/// requests.)
#[track_caller]
fn begun(run: Run) -> Running {
    let watching = run.args(["-v", "6"]).start();
    watching.wait_for_stderr("the watch to begin", |said| said.contains("watch=true"));
    watching
}

#[test]
fn json_lines_stream_and_end_with_the_document() {
    let namespace = ready("watch-jsonl", 1);
    let start = |command| begun(watch(&namespace, command, "--watch -o jsonl"));
    let watching = COMMANDS.map(start);
    scale(&namespace, 2);
    for (watching, kind) in watching.into_iter().zip(["status", "canary", "dns"]) {
        // As it happens, and not at the end.
        watching.wait_for_stdout("the new ordinal", |shown| shown.contains("web-1"));
        watching.signal("INT");
        let output = watching.finish().expect(130);
        let (changes, document) = streamed(&output, kind);
        assert_eq!(document["result"], "interrupted");
        let object = if kind == "dns" { "web-1.nginx." } else { "pod/web-1" };
        let is_of_pod = |change: &&Value| {
            change["object"].as_str().is_some_and(|name| name.starts_with(object))
        };
        let change = changes.iter().find(is_of_pod).unwrap_or_else(|| panic!("{output}"));
        let message = change["message"].as_str().expect("a message");
        assert!(message.starts_with("web-1"), "{change}");
        assert!(!output.stderr.contains(message), "said once, on stdout\n{output}");
    }
}

#[test]
fn names_stream_as_they_change() {
    let namespace = ready("watch-names", 1);
    let start = |command| begun(watch(&namespace, command, "--watch -o name"));
    let watching = COMMANDS.map(start);
    scale(&namespace, 2);
    for (watching, command) in watching.into_iter().zip(COMMANDS) {
        let is_dns = command.starts_with("dns");
        let host = |ordinal| format!("web-{ordinal}.nginx.{}.svc.cluster.local", namespace.name());
        let (first, new) = if is_dns {
            (host(0), host(1))
        } else {
            ("statefulset.apps/web".to_owned(), "pod/web-1".to_owned())
        };
        let has = |shown: &str| shown.lines().any(|line| line == new);
        let shown = watching.wait_for_stdout("the new name", has);
        assert_eq!(shown.lines().next(), Some(first.as_str()), "{shown}");
        let is_name = |line: &str| {
            !line.contains(' ') && (is_dns || line.starts_with("pod/") || line == first)
        };
        assert!(shown.lines().all(is_name), "names and nothing else\n{shown}");
        watching.signal("INT");
        let output = watching.finish().expect(130);
        assert!(output.stdout.lines().all(is_name), "no document at the end\n{output}");
    }
    // Who only waits gets the name, once.
    start_canary(&namespace);
    let waits = [("status", "ready"), ("canary status", "paused")];
    for (command, goal) in waits {
        let words = format!("--wait-for {goal} --timeout 60s -o name");
        let output = watch(&namespace, command, &words).output().expect(0);
        assert_eq!(output.stdout, "statefulset.apps/web\n", "{output}");
    }
}

/// `script` gives the program a terminal, and writes down what it draws.
#[test]
fn on_a_terminal_the_last_tree_stays() {
    let namespace = TestCluster::shared().namespace("watch-terminal");
    namespace.apply(&web(1, never_ready));
    wait_for(SOON, "the pod", || namespace.get("v1", "pods", "web-0"));
    let binary = env!("CARGO_BIN_EXE_kubectl-stateful");
    for (command, ends_by) in [
        ("status web --watch --timeout 2s", "timed out watching "),
        ("canary status web --watch --timeout 2s", "timed out watching "),
        ("canary status web --watch", ""),
        ("dns web --via api --watch", ""),
    ] {
        let limit = "timeout --foreground --preserve-status --signal=INT 4";
        let line =
            format!("stty rows 5 cols 60; {limit} {binary} {command} -n {}", namespace.name());
        let output = Run::new("/usr/bin/script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TERM", "xterm")
            .kubeconfig(namespace.cluster().kubeconfig())
            .deadline(SOON)
            .output()
            .expect(if command.contains("--timeout") { 6 } else { 130 });
        // What stands below the last erasure is what a person sees.
        let (_, left) = output.stdout.rsplit_once("\u{1b}[J").expect("drawings");
        let left = left.replace('\r', "");
        let (header, rest) = left.split_once('\n').expect("lines");
        assert!(header.contains(&format!("{}/", namespace.name())), "{command}: {left:?}");
        assert!(rest.contains("web-0"), "{command}: {left:?}");
        assert!(!left.contains("more lines do not fit on this terminal"), "{command}: {left:?}");
        assert!(left.contains(ends_by), "{command}: {left:?}");
    }
}

#[test]
fn canary_status_shows_a_canary_as_it_goes() {
    let namespace = ready("watch-canary", 2);
    let watching = watch(&namespace, "canary status", "--watch").start();
    watching.wait_for_stdout("the tree", |shown| shown.contains("no canary"));
    let programs = begun(watch(&namespace, "canary status", "--watch -o jsonl"));
    start_canary(&namespace);
    let shown =
        watching.wait_for_stdout("the pause", |shown| shown.contains("web: paused at partition 1"));
    let update =
        namespace.get("apps/v1", "statefulsets", "web").expect("web")["status"]["updateRevision"]
            .clone();
    let update = update.as_str().expect("a revision");
    let (tree, changes) = shown.split_once("no canary").expect("the tree");
    assert!(tree.contains(&format!("{}/web", namespace.name())), "{shown}");
    let changes: Vec<&str> = changes.lines().filter(|line| line.contains("Z  ")).collect();
    let place = |what: &str| {
        let place = changes.iter().position(|line| line.ends_with(what));
        place.unwrap_or_else(|| panic!("{what} is not told:\n{shown}"))
    };
    let judging = place("Z  web: judging at partition 1");
    let ready = place(&format!(" is Ready on {update}"));
    let paused = place("Z  web: paused at partition 1");
    assert!(judging < paused && ready < paused, "{shown}");
    assert!(!shown.contains('\u{1b}'), "no escape sequence off a terminal:\n{shown}");
    assert!(!shown.contains("web-0 is"), "it did not change:\n{shown}");
    watching.signal("INT");
    let output = watching.finish().expect(130);
    let goes_on = "interrupted; nothing was changed\nhint: kubectl stateful canary status web ";
    assert!(output.stderr.starts_with(goes_on), "{output}");

    programs.wait_for_stdout("the pause", |shown| shown.contains("web: paused at partition 1"));
    programs.signal("TERM");
    let (changes, document) = streamed(&programs.finish().expect(143), "canary");
    let stage = |change: &&Value| change["object"] == "statefulset.apps/web";
    let stages: Vec<&Value> = changes.iter().filter(stage).map(|c| &c["message"]).collect();
    assert_eq!(
        stages,
        [&json!("web: judging at partition 1"), &json!("web: paused at partition 1")]
    );
    assert_eq!(document["stage"], "paused", "the document shows what was told last");

    let waiting = begun(watch(&namespace, "canary status", "--watch --wait-for complete"));
    let words = "canary promote web --full --yes";
    namespace.stateful(words.split_whitespace()).deadline(SOON).output().expect(0);
    let output = waiting.finish().expect(0);
    assert!(output.stdout.ends_with("Z  web: no canary is under way\n"), "{output}");
}

#[test]
fn a_set_that_goes_under_a_watch_of_its_canary_is_a_conflict() {
    let namespace = ready("watch-gone", 1);
    let watching = watch(&namespace, "canary status", "--watch").start();
    watching.wait_for_stdout("the tree", |shown| shown.contains("no canary"));
    namespace.kubectl(["delete", "sts", "web"]).deadline(SOON).output().success();
    let output = watching.finish().expect(7);
    let words = "error: statefulset \"web\" was deleted while it was watched\nhint: kubectl";
    assert!(output.stderr.contains(words), "{output}");
}
