//! What other people do in between, and what `canary` and `status` say of it:
//! one reading for all of them.

use jiff::SignedDuration;
use kubectl_stateful::{
    canary::{
        abort::{self, AbortMove},
        comeback,
        plan::{self, Memory, Move, State, Terms},
        record::{Passed, Phase, Record},
        writes,
    },
    cluster::Mode,
    output::Exit,
    workload::rollout::Stage,
};
use serde_json::{Value, json};

use super::{build::*, canary_words::*, cli::run};

fn set_of(objects: &mut [Value]) -> &mut Value {
    objects.iter_mut().find(|object| object["kind"] == "StatefulSet").expect("a set")
}

fn on_new(pod: Value) -> Value {
    with(pod, "/metadata/labels/controller-revision-hash", json!("web-2"))
}

fn terms() -> Terms {
    Terms {
        goal: 0,
        deadline: None,
        bake: SignedDuration::ZERO,
        checks: false,
        pause_between: false,
        budgets: true,
        unhealthy: false,
    }
}

/// What is decided of a canary as it lies.
fn decided<T>(objects: &[Value], decide: impl FnOnce(&State) -> T) -> T {
    let facts = facts(objects);
    let record = Record::of(&facts.set).expect("a record").expect("a record");
    decide(&State::new(&facts, &record, now()))
}

fn next(objects: &[Value]) -> Move {
    decided(objects, |state| {
        let mut memory = Memory::default();
        memory.observe(state);
        plan::next(state, &terms(), &memory)
    })
}

/// The reason with this id.
fn reason<'a>(document: &'a Value, id: &str) -> &'a Value {
    let mut reasons = document["reasons"].as_array().expect("reasons").iter();
    reasons.find(|reason| reason["id"] == id).unwrap_or_else(|| panic!("{id}: {document}"))
}

/// The commands that may come next.
fn commands(document: &Value) -> Vec<&str> {
    let next = document["next"].as_array().expect("lines").iter();
    next.filter_map(|next| next["command"].as_str()).collect()
}

/// The text without its line breaks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A canary under OnDelete at index 2, whose ordinal has passed.
fn on_delete(passed: &[u32], others: Vec<Value>) -> Vec<Value> {
    let passed = passed.to_vec();
    let change = move |record: &mut Record| {
        (record.on_delete, record.was) = (true, None);
        let pods = passed.into_iter().map(|index| Passed::new(index, &format!("pod-{index}"), 0));
        record.passed.extend(pods);
    };
    let mut objects = recorded(change, others);
    set_of(&mut objects)["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    objects
}

/// Under OnDelete a pod that somebody deletes comes back on the new version. It
/// has to pass before another one moves, and nothing rests until then.
#[test]
fn an_ordinal_that_moved_unasked_is_judged_before_another_one_moves() {
    let drifted = on_delete(&[2], vec![on_new(pod(0))]);
    assert_eq!(decided(&drifted, |state| state.stage(&[])), Stage::Judging);
    assert_eq!(decided(&drifted, plan::one_more), 2, "that one counts as the one more");
    assert_eq!(next(&drifted), Move::Passed { index: 0, uid: "pod-0".to_owned() });
    let (status, code) = asked("status", &["--exit-code"], &drifted);
    assert_eq!((&status["stage"], code), (&json!("judging"), Some(9)));
    let gates = status["items"][2]["gates"].to_string();
    assert!(gates.contains("promote will judge it"), "{gates}");
    let (text, _) = shown("status", &[], &drifted);
    assert!(text.contains("2 of 3 moved, judging"), "{text}");
    // It has passed: now it rests.
    let passed = on_delete(&[0, 2], vec![on_new(pod(0))]);
    assert_eq!(decided(&passed, |state| state.stage(&[])), Stage::Paused);
    // web-0 need not go any more, and nobody is asked about it.
    assert_eq!(decided(&passed, plan::one_more), 0);
    assert_eq!(next(&passed), Move::Prepare { index: 1 });
    let mut last = on_delete(&[0, 1, 2], vec![on_new(pod(0)), on_new(pod(1))]);
    let key = "kubectl-stateful.dev/canary";
    let annotations = &mut set_of(&mut last)["metadata"]["annotations"];
    let text = annotations[key].as_str().expect("a record");
    annotations[key] = json!(text.replace("\"partition\":2", "\"partition\":1"));
    assert_eq!(next(&last), Move::Step { index: 0 });
    let (text, _) = shown("status", &[], &passed);
    assert!(text.contains("2 of 3 moved, paused"), "{text}");
}

/// A promote would wait for it, so it is not said to rest.
#[test]
fn a_canary_does_not_rest_while_a_pod_is_not_available() {
    let passed = |record: &mut Record| record.passed.push(Passed::new(2, "pod-2", 0));
    let rests = recorded(passed, Vec::new());
    assert_eq!(decided(&rests, |state| state.stage(&[])), Stage::Paused);
    let waits = recorded(passed, vec![unready(0, 5)]);
    assert_eq!(decided(&waits, |state| state.stage(&[])), Stage::Judging);
    assert!(matches!(next(&waits), Move::Wait { .. }));
    let (status, _) = asked("status", &[], &waits);
    assert_eq!(
        (&status["stage"], &status["waiting"]),
        (&json!("judging"), &json!("web-0 to be available"))
    );
    let (text, _) = shown("status", &[], &waits);
    assert!(text.contains("1 of 3 moved, waiting"), "{text}");
    assert!(text.contains("waiting  for web-0 to be available"), "{text}");
}

/// The managedFields of a set that we have written at 12:00, and somebody later.
fn managed(by: &str, at: &str) -> Value {
    let template = json!({"f:spec": {"f:template": {}}});
    json!([
        {
            "manager": "kubectl-stateful", "operation": "Update", "time": "2026-01-01T12:00:00Z",
            "fieldsV1": template,
        },
        {"manager": by, "operation": "Update", "time": at, "fieldsV1": template},
    ])
}

/// A canary whose template somebody has changed.
fn changed(phase: Phase, image: &str, managers: Value) -> Vec<Value> {
    let mut objects = recorded(
        |record| {
            record.phase = phase;
            if phase == Phase::Staged {
                record.partition = 2;
            }
        },
        Vec::new(),
    );
    let set = set_of(&mut objects);
    set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    set["metadata"]["managedFields"] = managers;
    objects
}

#[test]
fn whose_template_an_abort_would_overwrite_is_said() {
    let later = managed("kubectl-set", "2026-01-01T12:05:00Z");
    let (status, code) =
        asked("status", &["--exit-code"], &changed(Phase::Rolling, "nginx:1.30", later.clone()));
    let found = reason(&status, "CANARY-TEMPLATE-CHANGED");
    let message = found["message"].as_str().expect("a message");
    assert!(message.contains("kubectl-set (at 2026-01-01T12:05:00Z) changed"), "{message}");
    assert!(message.contains("spec.containers[nginx].image nginx:1.22 → nginx:1.30"), "{message}");
    assert_eq!(
        commands(&status),
        [
            "kubectl stateful canary start web --adopt -n default",
            "kubectl stateful canary abort web --allow CANARY-OVERWRITES -n default",
        ]
    );
    assert_eq!((&status["foreignTemplate"]["manager"], code), (&json!("kubectl-set"), Some(3)));
    // Who wrote last before us is not who changed it since.
    let earlier = managed("helm", "2026-01-01T11:00:00Z");
    let (status, _) = asked("status", &[], &changed(Phase::Rolling, "nginx:1.30", earlier));
    let message = reason(&status, "CANARY-TEMPLATE-CHANGED")["message"].to_string();
    assert!(message.contains("somebody else changed") && !message.contains("helm"), "{message}");
    // During an abort, too: plain "aborting" would be half of it.
    let back = changed(Phase::Aborting, "nginx:1.30", later.clone());
    let (status, code) = asked("status", &["--exit-code"], &back);
    let message = reason(&status, "CANARY-TEMPLATE-CHANGED")["message"].to_string();
    assert!(
        message.contains("kubectl-set") && message.contains("after it was put back"),
        "{message}"
    );
    assert_eq!(code, Some(3));
    let line = "kubectl stateful canary abort web --allow CANARY-OVERWRITES -n default";
    assert_eq!(commands(&status), [line]);
    let (text, _) = shown("status", &[], &back);
    assert!(text.contains("aborting, and the template was changed by somebody else"), "{text}");
    let (text, _, _) = run(&["status", "web", "-f", "-"], &list(&back));
    assert!(
        flat(&text).contains("STATUS-CANARY-CHANGED") && text.contains("kubectl-set"),
        "{text}"
    );
    // The run that put it back stops for it.
    let stopped = decided(&back, |state| abort::next(state, SignedDuration::ZERO, true));
    let AbortMove::Stop { exit: Exit::Conflict, finding } = stopped else { panic!("{stopped:?}") };
    assert_eq!(finding.hint.as_deref(), Some(line));
    // Put back by somebody: nothing is overwritten.
    let (status, _) = asked("status", &[], &changed(Phase::Rolling, "nginx:1.21", later));
    assert_eq!(commands(&status), ["kubectl stateful canary abort web -n default"]);
}

#[test]
fn a_template_that_waits_is_shown() {
    let later = managed("helm", "2026-01-01T12:05:00Z");
    let staged = changed(Phase::Staged, "nginx:1.30", later);
    let (text, _) = shown("status", &[], &staged);
    assert!(text.contains("staged: a new template waits"), "{text}");
    let said = "waits web-2, set by field manager helm (at 2026-01-01T12:05:00Z): spec.containers[nginx].image \
                nginx:1.21 → nginx:1.30";
    assert!(flat(&text).contains(said), "{text}");
    let (status, _) = asked("status", &[], &staged);
    assert_eq!(
        commands(&status),
        [
            "kubectl stateful canary start web --adopt -n default",
            "kubectl stateful canary abort web -n default",
        ]
    );
    let (text, _, _) = run(&["status", "web", "-f", "-"], &list(&staged));
    let text = flat(&text);
    assert!(text.contains("a new template waits, and moves no pod before canary start --adopt"));
    assert!(!text.contains("canary promote"), "{text}");
}

/// An apply that sets the partition lets pods go that a canary held.
#[test]
fn a_partition_that_was_reset_is_said_by_all() {
    for phase in [Phase::Staged, Phase::Rolling] {
        let mut objects = recorded(|record| record.phase = phase, Vec::new());
        set_of(&mut objects)["spec"]["updateStrategy"]["rollingUpdate"] = json!({"partition": 0});
        let said = "the canary set the partition to 2, and somebody else set it to 0";
        let (status, _) = asked("status", &[], &objects);
        let message = reason(&status, "CANARY-PARTITION-CHANGED")["message"].to_string();
        assert!(message.contains(said), "{message}");
        for words in [&["status", "web", "-f", "-"][..], &["status", "-f", "-", "-o", "json"]] {
            let (text, stderr, _) = run(words, &list(&objects));
            let text = flat(&text);
            assert!(text.contains("STATUS-CANARY-CHANGED"), "{words:?}: {text}{stderr}");
            assert!(text.contains(said), "{words:?}: {text}");
        }
    }
}

/// It is not our canary, and its pods are there to be seen.
#[test]
fn a_record_of_another_set_does_not_hide_the_tree() {
    let mut objects = recorded(|_| (), Vec::new());
    set_of(&mut objects)["metadata"]["uid"] = json!("set-2");
    for pod in objects.iter_mut().filter(|object| object["kind"] == "Pod") {
        pod["metadata"]["ownerReferences"][0]["uid"] = json!("set-2");
    }
    let (status, code) = asked("status", &[], &objects);
    assert_eq!((&status["stage"], code), (&json!("none"), Some(0)));
    assert_eq!(ids(&status), ["CANARY-RECORD-UNUSABLE"]);
    assert_eq!(asked("status", &["--exit-code"], &objects).1, Some(3));
    let (text, _) = shown("status", &[], &objects);
    assert!(text.contains("web-0") && text.contains("web-2"), "{text}");
    assert!(text.contains("canary forget web -n default"), "{text}");
}

/// A pod that is back is not said to be missing.
#[test]
fn what_was_taken_back_is_not_waited_for() {
    let mut objects = recorded(|_| (), vec![pod(2)]);
    let set = set_of(&mut objects);
    set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.21");
    set["status"]["updateRevision"] = json!("web-1");
    let (status, _) = asked("status", &[], &objects);
    assert_eq!((&status["stage"], &status["items"][0]["gates"]), (&json!("changed"), &json!([])));
    let (text, _) = shown("status", &[], &objects);
    assert!(text.contains("canary, taken back by somebody else"), "{text}");
    assert!(!text.contains("no pod of the new revision yet"), "{text}");
    // Nothing is left to be reverted: the record goes, and the partition.
    let move_ = |objects: &[Value]| {
        decided(objects, |state| abort::next(state, SignedDuration::ZERO, false))
    };
    assert_eq!(move_(&objects), AbortMove::Finish);
    // Staged, and nobody has applied anything.
    let mut staged =
        recorded(|record| (record.phase, record.partition) = (Phase::Staged, 2), vec![pod(2)]);
    set_of(&mut staged)["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.21");
    set_of(&mut staged)["status"]["updateRevision"] = json!("web-1");
    assert_eq!(move_(&staged), AbortMove::Finish);
    // The template is back, and a pod is not: the write says no more than it does.
    let mut stays = objects.clone();
    let moved = stays
        .iter_mut()
        .find(|object| object["metadata"]["name"] == "web-2" && object["kind"] == "Pod");
    moved.expect("a pod")["metadata"]["labels"]["controller-revision-hash"] = json!("web-2");
    let AbortMove::Revert { partition } = move_(&stays) else { panic!("web-2 is to go back") };
    let text = decided(&stays, |state| {
        let record = abort::reverted(state, partition, "me");
        let stable = &state.survey.facts.revision("web-1").expect("stable").template;
        writes::revert(state.survey.set, &record, stable).done(Mode::ClientDryRun)
    });
    assert!(text.contains("(canary aborting)"), "{text}");
    assert!(!text.contains("template of"), "{text}");
}

/// Whoever goes on with an abort knows what the first one has taken back.
#[test]
fn a_second_abort_knows_what_the_first_one_took_back() {
    let mut objects = recorded(|record| record.phase = Phase::Aborting, vec![pod(2)]);
    let set = set_of(&mut objects);
    set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.21");
    set["status"]["updateRevision"] = json!("web-1");
    let taken = decided(&objects, comeback::reverted);
    assert!(taken.iter().any(|one| one.after.as_deref() == Some("nginx:1.22")), "{taken:?}");
}

/// A claim that somebody has deleted stops the lines that would end its pod.
#[test]
fn a_claim_that_is_being_deleted_is_shown() {
    let leaving = |ordinal| {
        let finalizers = json!(["kubernetes.io/pvc-protection"]);
        let claim = with(claim(ordinal), "/metadata/finalizers", finalizers);
        with(claim, "/metadata/deletionTimestamp", json!(ago(5)))
    };
    let using = |pod: Value, ordinal: u32| {
        let volumes = json!([{
            "name": "www", "persistentVolumeClaim": {"claimName": format!("www-web-{ordinal}")},
        }]);
        with(pod, "/spec/volumes", volumes)
    };
    let pods = || vec![using(pod(0), 0), using(pod(1), 1), using(on_new(pod(2)), 2)];
    let passed = |record: &mut Record| record.passed.push(Passed::new(2, "pod-2", 0));
    let of = |ordinal| recorded(passed, [pods(), vec![leaving(ordinal)]].concat());
    let promote = "kubectl stateful canary promote web -n default";
    let abort = "kubectl stateful canary abort web -n default";
    for (ordinal, severity, lines) in [
        (1, "error", vec![abort]),
        (2, "warning", vec![promote]),
        (0, "warning", vec![promote, abort]),
    ] {
        let (status, code) = asked("status", &["--exit-code"], &of(ordinal));
        let found = reason(&status, "CANARY-CLAIM-LEAVING");
        assert_eq!(found["severity"], severity, "{ordinal}");
        assert_eq!(found["object"], format!("persistentvolumeclaim/www-web-{ordinal}"));
        assert_eq!(commands(&status), lines, "{ordinal}");
        assert_eq!(code, Some(if severity == "error" { 3 } else { 9 }), "{ordinal}");
    }
    let back =
        recorded(|record| record.phase = Phase::Aborting, [pods(), vec![leaving(2)]].concat());
    let (status, _) = asked("status", &[], &back);
    assert_eq!(reason(&status, "CANARY-CLAIM-LEAVING")["severity"], "error");
    assert_eq!(commands(&status), [] as [&str; 0]);
}

/// What others have moved ends a run as all that others do: with 7, and
/// `--on-failure abort` does not take it back.
#[test]
fn a_pod_that_escaped_is_a_conflict() {
    let Move::Stop { exit, finding } = next(&recorded(|_| (), vec![on_new(pod(0))])) else {
        panic!("it stops");
    };
    assert_eq!((exit, finding.id), (Exit::Conflict, "CANARY-ESCAPED"));
}

/// What was overridden is in the line that goes on, and needed there.
#[test]
fn what_was_overridden_is_in_the_line_that_goes_on() {
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"scaleTargetRef": {"kind": "StatefulSet", "name": "web"}},
    });
    let change = |allowed: &[&str]| {
        let allowed: Vec<String> = allowed.iter().map(|&id| id.to_owned()).collect();
        move |record: &mut Record| {
            record.passed.push(Passed::new(2, "pod-2", 0));
            record.allowed = allowed;
        }
    };
    let (status, _) = asked("status", &[], &recorded(change(&["CANARY-HPA"]), vec![hpa.clone()]));
    assert_eq!(reason(&status, "CANARY-HPA")["severity"], "warning");
    assert_eq!(
        commands(&status)[0],
        "kubectl stateful canary promote web --allow CANARY-HPA -n default"
    );
    let (status, _) = asked("status", &[], &recorded(change(&[]), vec![hpa]));
    assert_eq!(reason(&status, "CANARY-HPA")["severity"], "error");
    assert!(!commands(&status)[0].contains("promote"), "{status}");
}

/// Whoever gives gates where objects are read is told the flag.
#[test]
fn a_file_of_gates_is_no_file_of_objects() {
    let gates = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/gates.yaml");
    let words = [&["canary", "plan", "web", "-f", gates][..], &IMAGE].concat();
    let (_, stderr, code) = run(&words, "");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("is a file of gates: --gates "), "{stderr}");
}

/// Four ordinals, of which web-2 has moved and web-3 has come back on the stable
/// revision, because somebody has set the partition to 4; `moved` run the new one.
fn with_gap(moved: &[u32]) -> Vec<Value> {
    let change = |record: &mut Record| (record.replicas, record.partition) = (4, 2);
    let pods = (0..4)
        .map(|ordinal| if moved.contains(&ordinal) { on_new(pod(ordinal)) } else { pod(ordinal) });
    let mut objects = recorded(change, pods.collect());
    let set = set_of(&mut objects);
    set["spec"]["replicas"] = json!(4);
    set["spec"]["updateStrategy"]["rollingUpdate"] = json!({"partition": 4});
    objects
}

/// No pod that runs the new revision is left below the partition.
#[test]
fn what_is_adopted_is_at_or_above_the_partition() {
    let objects = with_gap(&[2]);
    let (plan, _) = asked("plan", &["--adopt"], &objects);
    let write = plan["write"].as_str().unwrap_or_else(|| panic!("{plan}"));
    assert!(write.contains("partition 4 -> 2"), "{write}");
    let items = plan["items"].as_array().expect("ordinals").iter();
    let goes: Vec<&Value> =
        items.filter(|item| item["class"] == "moves").map(|item| &item["name"]).collect();
    assert_eq!(goes, ["web-3"]);
    // Its own next look finds nobody else.
    let mut after = objects;
    let set = set_of(&mut after);
    set["spec"]["updateStrategy"]["rollingUpdate"] = json!({"partition": 2});
    let said = decided(&after, plan::changed_by_others);
    assert_eq!(said, None);
    // More than one pod would go in one write, behind no gate.
    let objects = with_gap(&[1]);
    let (plan, _) = asked("plan", &["--adopt"], &objects);
    let found = reason(&plan, "CANARY-ESCAPED");
    let message = found["message"].as_str().expect("a message");
    assert!(message.contains("lets web-3 and web-2 go in the same write"), "{message}");
    assert_eq!(plan["write"], Value::Null);
    let (status, _) = asked("status", &[], &objects);
    assert_eq!(commands(&status), ["kubectl stateful canary abort web -n default"]);
}

/// Whoever would wait for a budget in vain is told so before.
#[test]
fn a_budget_without_room_ever_stops_a_promote() {
    let budget = |desired: u32| {
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": "default", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "nginx"}}},
            "status": {
                "observedGeneration": 1, "disruptionsAllowed": 0, "expectedPods": 3,
                "desiredHealthy": desired, "currentHealthy": 3,
            },
        })
    };
    let passed = |record: &mut Record| record.passed.push(Passed::new(2, "pod-2", 0));
    let promote = "kubectl stateful canary promote web -n default";
    let (status, code) = asked("status", &["--exit-code"], &recorded(passed, vec![budget(3)]));
    let found = reason(&status, "CANARY-NO-HEADROOM");
    assert!(found["message"].as_str().is_some_and(|text| text.contains("never allows web-1")));
    assert!(!commands(&status).contains(&promote), "{status}");
    assert_eq!(code, Some(3));
    // One that has no room now is waited for, and what moves nothing needs none.
    for objects in [recorded(passed, vec![budget(2)]), recorded(|_| (), vec![budget(3)])] {
        let (status, _) = asked("status", &[], &objects);
        assert_eq!(commands(&status)[0], promote, "{status}");
    }
}

/// The canary's own change is not what somebody else has done.
#[test]
fn nobody_is_blamed_for_the_change_of_the_canary() {
    let later = managed("kubectl-set", "2026-01-01T12:05:00Z");
    let mut objects = changed(Phase::Rolling, "nginx:1.22", later);
    let container = &mut set_of(&mut objects)["spec"]["template"]["spec"]["containers"][0];
    container["env"] = json!([{"name": "A", "value": "1"}]);
    // revisionHistoryLimit 0: the revision of the canary is gone.
    for (objects, said) in [
        (objects.clone(), "env[A]"),
        (without(objects, &["ControllerRevision/web-2"]), "what it changes is not known"),
    ] {
        let (status, _) = asked("status", &[], &objects);
        let message = reason(&status, "CANARY-TEMPLATE-CHANGED")["message"].to_string();
        assert!(message.contains(said) && !message.contains("nginx:1.22"), "{message}");
    }
}

/// What another run has done is said as it is.
#[test]
fn a_pause_is_no_promote() {
    let objects = recorded(|_| (), Vec::new());
    let before = Record::of(&facts(&objects).set).expect("a record").expect("a record");
    let other = |change: &dyn Fn(&mut Record)| {
        let mut record = before.clone();
        record.run = "other".to_owned();
        change(&mut record);
        record.taken_over(Some(&before))
    };
    assert_eq!(other(&|_| ()), "other has paused this canary");
    assert_eq!(other(&|record| record.partition = 3), "other has paused this canary");
    assert_eq!(other(&|record| record.partition = 1), "other has continued this canary");
    let passed = |record: &mut Record| record.passed.push(Passed::new(2, "pod-2", 0));
    assert_eq!(other(&passed), "other has continued this canary");
    assert_eq!(other(&|record| record.phase = Phase::Aborting), "other is aborting this canary");
    let staged = other(&|record| record.phase = Phase::Staged);
    assert_eq!(staged, "other has held this set for another template");
}
