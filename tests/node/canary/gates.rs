//! The gates of `canary` in containers that answer, and hooks beside them.

use std::fs;

use serde_json::{Value, json};

use super::{Set, stopped, verdict};

/// An answer of the new version, and no other, about itself.
const NEW: &str = "curl -fsS http://localhost/ | grep -q nginx:1.22";
const IMAGE: [&str; 2] = ["--image", "nginx=nginx:1.22"];
const QUICK: [&str; 2] = ["--gate-interval", "500ms"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&IMAGE[..], &QUICK[..], more].concat()
}

#[test]
fn gates_that_pass_are_told_one_by_one() {
    let set = Set::probed("gates-pass");
    let begun = set.says("start", &with(&["--gate-exec", NEW, "--gate-http", "80/"]), 0);
    for gate in ["identity", "health", "ready", "exec: curl", "http: 80/", "judged"] {
        assert_eq!(verdict(&begun, 2, gate), "pass", "{gate}");
    }
    // In all pods, of which two are not new: they fail.
    let all = ["--gate-exec", NEW, "--gate-on", "all", "--gate-interval=500ms"];
    let failed = set.says("promote", &all, 5);
    let said = stopped(&failed, "CANARY-CHECK-FAILED", "pod/web-1");
    assert!(said.contains("in web-0"), "{said}");
    set.serves(["1.21", "1.22", "1.22"]);
    // The same gates from a file, for the rest.
    let file = set.file(
        "gates.yaml",
        &format!(
            "schema: kubectl-stateful/gates/v1\n\
             exec: [{{command: '{NEW}'}}]\n\
             http: [{{port: 80, path: /}}]\n\
             tries: {{interval: 500ms}}\n"
        ),
    );
    let file = file.to_string_lossy().into_owned();
    let full = set.canary("promote", &["--full", "-f", &file]).output().expect(0);
    assert!(full.stderr.contains("web-0 has passed its gates"), "{full}");
    set.serves(["1.22", "1.22", "1.22"]);
    set.rests_on(&set.revisions()[0]);
}

/// Ready, and yet not good: the gate fails at one ordinal and stops there.
#[track_caller]
fn fails_at(set: &Set, ordinal: usize, gate: &[&str], name: &str) -> Value {
    let (stable, uids) = (set.revisions().remove(0), set.uids());
    let failed = set.says("start", &with(&[gate, &["--count", "3"]].concat()), 5);
    let said = stopped(&failed, "CANARY-CHECK-FAILED", &format!("pod/web-{ordinal}"));
    assert!(said.contains(name), "{said}");
    let at = u64::try_from(ordinal).expect("small");
    assert_eq!(verdict(&failed, at, "ready"), "pass");
    assert_eq!(verdict(&failed, at, name), "fail");
    let after = set.uids();
    for other in 0..3 {
        assert_eq!(after[other] == uids[other], other < ordinal, "web-{other}");
    }
    let version = |other| if other < ordinal { "1.21" } else { "1.22" };
    set.serves([version(0), version(1), version(2)]);
    set.says("abort", &[], 0);
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[..ordinal], uids[..ordinal]);
    set.rests_on(&stable);
    failed
}

#[test]
fn a_command_that_fails_in_the_first_new_pod() {
    let command = "curl -fsS http://localhost/ | grep -q nginx:1.23";
    fails_at(&Set::probed("gates-first"), 2, &["--gate-exec", command], "exec: curl");
}

#[test]
fn a_command_that_fails_in_the_second_new_pod() {
    let command = "echo asked $STATEFUL_POD; test $STATEFUL_ORDINAL != 1";
    let set = Set::probed("gates-second");
    let failed = fails_at(&set, 1, &["--gate-exec", command], "exec: echo");
    let said = failed["reasons"][0]["message"].as_str().expect("a message");
    assert!(said.contains("asked web-1"), "what it printed is quoted: {said}");
    assert_eq!(verdict(&failed, 2, "judged"), "pass");
}

#[test]
fn a_page_that_is_not_there() {
    let set = Set::probed("gates-page");
    let gates = ["--gate-http", "80/", "--gate-http", "80/nope"];
    fails_at(&set, 2, &gates, "http: 80/nope");

    // The same with one command, where that was asked for.
    let (stable, uids) = (set.revisions().remove(0), set.uids());
    let back = [&gates[..], &["--on-failure", "abort"]].concat();
    let reverted = set.says("start", &with(&back), 10);
    stopped(&reverted, "CANARY-CHECK-FAILED", "pod/web-2");
    set.serves(["1.21", "1.21", "1.21"]);
    assert_eq!(set.uids()[..2], uids[..2]);
    set.rests_on(&stable);
}

/// A command that cannot run says nothing about the pod.
#[test]
fn a_command_that_cannot_run_proves_nothing() {
    let set = Set::probed("gates-unknown");
    let gate = [&QUICK[..], &["--gate-exec", "no-such-command"]].concat();
    // Interrupted, so that the time of the pod does not count for the gate.
    let running = set.canary("start", &[&IMAGE[..], &gate].concat()).start();
    running.wait_for_stderr("the checks", |said| said.contains("the checks of web-2"));
    running.signal("INT");
    running.finish().expect(130);
    let failed = set.says("promote", &[&gate[..], &["--deadline", "4s"]].concat(), 6);
    stopped(&failed, "CANARY-CHECK-INCONCLUSIVE", "pod/web-2");
    set.serves(["1.21", "1.21", "1.22"]);
    // The pod is good: asked properly, the canary goes on.
    let passed = set.says("promote", &[&QUICK[..], &["--gate-exec", NEW]].concat(), 0);
    assert_eq!(passed["stage"], "paused");
    assert_eq!(passed["partition"], 2, "the one in hand comes first");
}

#[test]
fn hooks_know_the_step_and_a_failing_one_stops_before_the_write() {
    let set = Set::probed("gates-hooks");
    let (stable, uids, untouched) = (set.revisions().remove(0), set.uids(), set.object());
    let failed = set.says("start", &with(&["--before", "echo not now; exit 4"]), 4);
    let said = stopped(&failed, "CANARY-HOOK-FAILED", "pod/web-2");
    assert!(said.contains("--before"), "{said}");
    set.is_still(&untouched, &uids);

    let notes = set.file("notes", "");
    let note = |what: &str| {
        format!(
            "echo {what} $STATEFUL_STEP $STATEFUL_NAMESPACE/$STATEFUL_SET $STATEFUL_POD \
             $STATEFUL_ORDINAL $STATEFUL_INDEX $STATEFUL_STABLE >> {}",
            notes.display()
        )
    };
    let (before, after) = (note("b"), note("a"));
    let hooks = ["--before", &before, "--after", &after];
    set.says("start", &with(&hooks), 0);
    // A pause after each, although all were asked for.
    let paused = set.says("promote", &[&hooks[..], &["--full", "--pause-between"]].concat(), 9);
    assert_eq!((&paused["stage"], &paused["partition"]), (&json!("paused"), &json!(1)));
    set.serves(["1.21", "1.22", "1.22"]);
    set.says("promote", &[&hooks[..], &["--full"]].concat(), 0);
    set.serves(["1.22", "1.22", "1.22"]);
    let notes = fs::read_to_string(notes).expect("the notes");
    let at = format!("{}/web", set.namespace.name());
    let wanted = [2, 1, 0].map(|ordinal| {
        let step = format!("{at} web-{ordinal} {ordinal} {ordinal} {stable}");
        [format!("b before {step}"), format!("a after {step}")]
    });
    let wanted = wanted.concat();
    assert_eq!(notes.lines().collect::<Vec<_>>(), wanted);
}
