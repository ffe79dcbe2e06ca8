//! What can be known before the first write is said before it, and what is known
//! while a gate is waited for is said then. And records from which nothing goes on.

use std::path::Path;

use super::*;

/// Everything that a canary reads and writes, with these rights to pods.
fn rights(pods: &[&str], exec: &[&str]) -> Value {
    let mut rules = json!([
        {
            "apiGroups": ["apps"], "resources": ["statefulsets", "controllerrevisions"],
            "verbs": ["get", "list", "watch", "patch"],
        },
        {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": pods},
        {
            "apiGroups": ["policy"], "resources": ["poddisruptionbudgets"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"]},
    ]);
    if !exec.is_empty() {
        let rule = json!({"apiGroups": [""], "resources": ["pods/exec"], "verbs": exec});
        rules.as_array_mut().expect("a list").push(rule);
    }
    rules
}

#[test]
fn what_is_known_beforehand_is_said_before_the_first_write() {
    let namespace = made("canary-known", 2, |_| {});
    let before = Picture::of(&namespace);
    let all = ["get", "list", "watch", "delete"];
    let user = |name: &str, pods: &[&str], exec: &[&str]| {
        namespace.user(name, &rights(pods, exec), &json!([]))
    };
    let (keeper, silent) = (user("keeper", &all[..3], &[]), user("silent", &all, &[]));
    let said = |kubeconfig: Option<&Path>, words: &str, id: &str, message: &str| {
        let run = canary(&namespace, &format!("{START} {words} -o json"));
        let run = match kubeconfig {
            Some(path) => run.kubeconfig(path),
            None => run,
        };
        let output = run.output().expect(4);
        assert_eq!(reason_ids(&output), [id], "{output}");
        assert!(output.stderr.contains(message), "{output}");
        let after = Picture::of(&namespace);
        assert_eq!(after.generation(), before.generation(), "{words}");
        after.keeps(&before, &["web-0", "web-1"]);
    };
    let command = "--gate-exec true";
    said(None, &format!("{command} -c nope"), "CANARY-GATE-UNUSABLE", "the container nope");
    said(None, "--gate-http nope/", "CANARY-GATE-UNUSABLE", "no port nope");
    let delete = "you may not delete pods";
    said(Some(&keeper), "", "CANARY-NO-RIGHTS", delete);
    let exec = "you may not get pods/exec";
    said(Some(&silent), command, "CANARY-NO-RIGHTS", exec);
    // A WebSocket begins with a GET: the right to create alone does not run a command.
    let poster = user("poster", &all, &["create"]);
    said(Some(&poster), command, "CANARY-NO-RIGHTS", "you may not get pods/exec");
    let forbidden = format!("{START} {command} --allow CANARY-NO-RIGHTS --dry-run=server");
    canary(&namespace, &forbidden).kubeconfig(&poster).output().expect(0);
    // Without a command nobody needs that right.
    canary(&namespace, &format!("{START} --dry-run=client")).kubeconfig(&silent).output().expect(0);
    // Somebody else may be there to delete a pod.
    let allowed = format!("{START} --allow CANARY-NO-RIGHTS");
    canary(&namespace, &allowed).kubeconfig(&keeper).output().expect(0);
}

/// The moment of a restart is not what is confirmed.
#[test]
fn a_restart_is_confirmed_by_its_hash() {
    let namespace = made("canary-restart", 2, |_| {});
    let plan = ends(&namespace, "plan web --restart --bake=0 -o json", 0);
    let hash = document(&plan)["hash"].as_str().expect("a hash").to_owned();
    let planned = Picture::of(&namespace);
    // The annotation has whole seconds.
    let began = std::time::Instant::now();
    wait_for(SOON, "the next second", || (began.elapsed() > Duration::from_secs(1)).then_some(()));
    ends(&namespace, "start web --restart --confirm-plan 00000000", 7);
    ends(&namespace, &format!("start web --restart --confirm-plan {hash}"), 0);
    let moved = Picture::of(&namespace);
    moved.keeps(&planned, &["web-0"]);
    assert_ne!(moved.uid("web-1"), planned.uid("web-1"));
}

#[test]
fn the_last_answer_of_a_gate_is_told_while_it_is_waited_for() {
    let namespace = made("canary-answers", 2, |_| {});
    // A simulated pod gives no answer, or somebody on the way says no for it.
    let words = format!("{START} --gate-http 80/ --deadline 15s --gate-interval 100ms");
    let output = canary(&namespace, &words).output();
    let output = if output.code() == Some(5) { output.expect(5) } else { output.expect(6) };
    let told = output.stderr.lines().filter(|line| line.contains("http: 80/: 0 of 2 passed: "));
    let times = told.count();
    assert!(times >= 1, "{output}");
    assert!(times < 10, "the same answer is told once: {output}");
}

#[test]
fn abort_shows_what_it_writes_before_it_asks() {
    let namespace = made("canary-outlook", 2, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    let started = Picture::of(&namespace);
    let output = namespace.stateful(["canary", "abort", "web"]).output().expect(2);
    let stable = before.update();
    for line in [
        format!("write    statefulset.apps/web patched (template of {stable}"),
        format!("back     web-1 to {stable}, by the controller"),
        "last     statefulset.apps/web patched (canary finished, partition 1 -> 0)".to_owned(),
    ] {
        assert!(output.stderr.contains(&line), "{line}\n{output}");
    }
    assert_eq!(Picture::of(&namespace).generation(), started.generation());
    for (mode, suffix) in [("client", " (dry run)"), ("server", " (server dry run)")] {
        let output = ends(&namespace, &format!("abort web --dry-run={mode}"), 0);
        for line in [
            format!("statefulset.apps/web patched (template of {stable}){suffix}"),
            format!("back     web-1 to {stable}, by the controller"),
            // The server cannot try what is written on what is not there yet.
            "statefulset.apps/web patched (canary finished, partition 1 -> 0) (dry run)".to_owned(),
        ] {
            assert!(output.stderr.contains(&line), "{line}\n{output}");
        }
    }
    assert_eq!(Picture::of(&namespace).generation(), started.generation());
    ends(&namespace, "abort web", 0);
    Picture::of(&namespace).is_back_on(&before);
}

/// Under OnDelete the program deletes pods, so it shows each of these deletions.
#[test]
fn under_on_delete_the_deletions_are_shown_before_they_are_done() {
    let namespace = made("canary-outlook-delete", 3, |set| {
        set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    });
    let before = Picture::of(&namespace);
    let deleted = |pod: &str, suffix: &str| format!("pod/{pod} deleted (OnDelete){suffix}");
    ends(&namespace, START, 0);
    let output = ends(&namespace, "promote web --full --dry-run=client", 0);
    for pod in ["web-1", "web-0"] {
        assert!(output.stderr.contains(&deleted(pod, " (dry run)")), "{output}");
    }
    assert!(!output.stderr.contains(&deleted("web-2", "")), "{output}");
    ends(&namespace, "promote web", 0);
    let promoted = Picture::of(&namespace);
    let asked = namespace.stateful(["canary", "abort", "web"]).output().expect(2);
    let dry = ends(&namespace, "abort web --dry-run=client", 0);
    let tried = ends(&namespace, "abort web --dry-run=server", 0);
    for (output, suffix) in [(&asked, ""), (&dry, " (dry run)"), (&tried, " (server dry run)")] {
        let places = [
            output.stderr.find(&format!("patched (template of {})", before.update())),
            output.stderr.find(&deleted("web-2", suffix)),
            output.stderr.find(&deleted("web-1", suffix)),
            output.stderr.find("statefulset.apps/web patched (canary finished)"),
        ];
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{output}");
        assert!(!output.stderr.contains(&deleted("web-0", "")), "{output}");
    }
    let after = Picture::of(&namespace);
    assert_eq!(after.generation(), promoted.generation());
    after.keeps(&promoted, &["web-0", "web-1", "web-2"]);
    ends(&namespace, "abort web", 0);
    Picture::of(&namespace).is_back_on(&before);
}

/// What fails before the first write has changed nothing, and there is nothing to
/// abort; in the middle of a canary a hook that fails is a failure.
#[test]
fn a_hook_that_fails_before_the_first_write_refuses() {
    let namespace = made("canary-hook-first", 3, |_| {});
    let before = Picture::of(&namespace);
    let hooked =
        |words: &str| canary(&namespace, &format!("{words} -o json")).arg("--before=exit 3");
    for words in [START.to_owned(), format!("{START} --on-failure abort")] {
        let output = hooked(&words).output().expect(4);
        assert_eq!(reason_ids(&output), ["CANARY-HOOK-FAILED"], "{output}");
        assert_eq!(document(&output)["result"], "refused");
        assert!(output.stdout.contains("nothing else was changed"), "{output}");
        let after = Picture::of(&namespace);
        assert_eq!((after.generation(), after.annotation()), (before.generation(), None));
        after.keeps(&before, &["web-0", "web-1", "web-2"]);
    }
    ends(&namespace, START, 0);
    let output = hooked("promote web").output().expect(5);
    assert_eq!(reason_ids(&output), ["CANARY-HOOK-FAILED"], "{output}");
    let output = hooked("promote web --on-failure abort").output().expect(10);
    assert_eq!(reason_ids(&output)[0], "CANARY-HOOK-FAILED", "{output}");
    Picture::of(&namespace).is_back_on(&before);
}

/// The same for a wait that ends before the first write: there is nothing to abort.
#[test]
fn a_deadline_before_the_first_write_aborts_nothing() {
    let namespace = made("canary-deadline-first", 2, |_| {});
    let before = Picture::of(&namespace);
    let words = format!("{START} --leader-label role=primary --deadline 2s --on-failure abort");
    let output = ends(&namespace, &format!("{words} -o json"), 6);
    assert_eq!(reason_ids(&output), ["CANARY-DEADLINE"], "{output}");
    let after = Picture::of(&namespace);
    assert_eq!((after.generation(), after.annotation()), (before.generation(), None));
}

/// `kubectl set env` is in no manifest, so no `kubectl apply` brings it back.
#[test]
fn nobody_is_blamed_for_what_set_env_brought() {
    let namespace = made("canary-env", 2, |_| {});
    let mut manifest = set(2, |_| {});
    manifest["metadata"]["namespace"] = json!(namespace.name());
    namespace.apply(&manifest.to_string());
    namespace.wait_until_ready("web");
    let before = Picture::of(&namespace);
    ends(&namespace, "stage web", 0);
    namespace.kubectl(["set", "env", "sts/web", "BAD=1"]).output().success();
    until(&namespace, "the edit to arrive", |picture| picture.update() != before.update());
    ends(&namespace, "start web --adopt", 0);
    let output = ends(&namespace, "abort web -o json", 0);
    assert_eq!(reason_ids(&output), Vec::<String>::new(), "{output}");
    Picture::of(&namespace).is_back_on(&before);
}

/// Nothing is known of a set whose pods may not be read, and that is what is said.
#[test]
fn without_rights_nothing_is_said_to_be_well_or_missing() {
    let namespace = made("canary-blind", 2, |_| {});
    let apps = json!({
        "apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list", "watch", "patch"],
    });
    let blind = namespace.user("blind", &json!([apps]), &json!([]));
    let asked =
        |words: &str, code: i32| canary(&namespace, words).kubeconfig(&blind).output().expect(code);
    ends(&namespace, START, 0);
    for words in ["status web", "status web --exit-code", "history web"] {
        let output = asked(words, 8);
        assert!(!output.stdout.contains("Missing"), "{output}");
        assert!(output.stdout.contains("could not be read") || output.stdout.contains("unread"));
        let output = asked(&format!("{words} -o json"), 8);
        let incomplete = document(&output)["incomplete"].to_string();
        assert!(incomplete.contains("\"pods\""), "{output}");
        assert!(incomplete.contains("controllerrevisions.apps"), "{output}");
    }
    let output = asked("unstick web", 8);
    assert!(output.stderr.contains("its pods could not be read"), "{output}");
    assert!(!output.stderr.contains("available"), "{output}");
}

/// The line that a guard prints drops the record, after it has said what is lost;
/// one that is alive stays.
#[test]
fn a_dead_record_is_forgotten_and_a_living_one_is_not() {
    let namespace = made("canary-forget", 2, |_| {});
    ends(&namespace, "forget web", 0);
    ends(&namespace, START, 0);
    let started = Picture::of(&namespace);
    let output = ends(&namespace, "forget web -o json", 4);
    assert_eq!(reason_ids(&output), ["CANARY-CAN-GO-ON"]);
    // Staged by somebody whose set was then made again by somebody else.
    let mut record = started.annotation().expect("a record");
    record["set"] = json!("another");
    edit(&namespace, &json!({"metadata": {"annotations": {ANNOTATION: record.to_string()}}}));
    let output = ends(&namespace, "abort web -o json", 4);
    let hint = support::hint_of(&document(&output), "CANARY-RECORD-UNUSABLE");
    let line = format!("kubectl stateful canary forget web -n {}", namespace.name());
    assert!(hint.starts_with(&line), "{hint}");
    let output = ends(&namespace, "forget web --dry-run=server", 0);
    for said in
        ["that was deleted since", "the way back: the pods ran ", "partition 1, which holds web-0"]
    {
        assert!(output.stderr.contains(said), "{said}\n{output}");
    }
    assert!(Picture::of(&namespace).annotation().is_some());
    support::follow(&namespace, &hint);
    let forgotten = Picture::of(&namespace);
    assert_eq!(forgotten.annotation(), None);
    // Nothing else has changed, and nobody has moved.
    assert_eq!(forgotten.partition(), started.partition());
    assert_eq!(forgotten.generation(), started.generation());
    forgotten.keeps(&started, &["web-0", "web-1"]);
    // A newer version goes on from its own record.
    record["format"] = json!(2);
    edit(&namespace, &json!({"metadata": {"annotations": {ANNOTATION: record.to_string()}}}));
    for words in ["forget web -o json", "abort web -o json", "promote web -o json"] {
        let output = ends(&namespace, words, 4);
        let hint = support::hint_of(&document(&output), "CANARY-RECORD-UNUSABLE");
        assert!(hint.contains("upgrade"), "{hint}");
    }
}

/// What somebody else has changed before the first write is named, with the line
/// that begins anew.
#[test]
fn a_change_before_the_first_write_is_named() {
    let namespace = made("canary-early", 3, |_| {});
    let begun = namespace.directory().join("begun");
    let done = namespace.directory().join("done");
    let (first, last) = (begun.display(), done.display());
    let hook = format!("touch {first}; while [ ! -e {last} ]; do sleep 0.1; done");
    let mut words: Vec<String> = START.split_whitespace().map(str::to_owned).collect();
    words.extend(["--before".to_owned(), hook, "-o".to_owned(), "json".to_owned()]);
    let all = ["canary".to_owned()].into_iter().chain(words).chain(["--yes".to_owned()]);
    let run = namespace.stateful(all).deadline(SOON).start();
    wait_for(SOON, "the hook", || begun.exists().then_some(()));
    edit(&namespace, &json!({"spec": {"replicas": 4}}));
    std::fs::write(&done, "").expect("a file");
    let output = run.finish().expect(7);
    assert_eq!(reason_ids(&output), ["CANARY-REPLICAS-CHANGED"], "{output}");
    assert!(
        output.stdout.contains("changed spec.replicas from 3 to 4 before the canary"),
        "{output}"
    );
    let hint = support::hint_of(&document(&output), "CANARY-REPLICAS-CHANGED");
    assert!(hint.starts_with("kubectl stateful canary start web"), "{hint}");
    assert_eq!(Picture::of(&namespace).annotation(), None);
}

/// An override goes into no line of a verb that does not ask for it.
#[test]
fn an_override_stays_with_its_verb() {
    let namespace = made("canary-leak", 3, |_| {});
    ends(&namespace, START, 0);
    edit_image(&namespace, "nginx:1.30");
    namespace.wait_until_observed("web");
    let twice = "--allow CANARY-OVERWRITES --allow CANARY-HPA --allow CANARY-HPA";
    let output = ends(&namespace, &format!("abort web {twice} --dry-run=client -o json"), 0);
    let next = document(&output)["next"][0]["command"].as_str().expect("a line").to_owned();
    assert!(next.contains("start web --adopt") && !next.contains("OVERWRITES"), "{next}");
    assert_eq!(next.matches("--allow CANARY-HPA").count(), 1, "{next}");
}
