//! The lines that `canary` prints: the one that helps in this state, and none that
//! would be refused.

use kubectl_stateful::{
    canary::{
        abort, allowed,
        gates::Gates,
        guards, no_canary,
        plan::State,
        record::{Passed, Phase, Record},
        report::{Stage, View},
        rules,
    },
    workload::{Allowed, Survey},
};
use serde_json::{Value, json};

use super::{build::*, canary_words::*};

fn set_of(objects: &mut [Value]) -> &mut Value {
    objects.iter_mut().find(|object| object["kind"] == "StatefulSet").expect("a set")
}

fn on_new(pod: Value) -> Value {
    with(pod, "/metadata/labels/controller-revision-hash", json!("web-2"))
}

fn hints(document: &Value) -> Vec<&str> {
    let reasons = document["reasons"].as_array().expect("reasons").iter();
    reasons.filter_map(|reason| reason["hint"].as_str()).collect()
}

fn commands(document: &Value) -> Vec<&str> {
    let next = document["next"].as_array().expect("lines").iter();
    next.filter_map(|next| next["command"].as_str()).collect()
}

/// What `canary status` shows, at the moment of the cases.
fn view(objects: &[Value]) -> View {
    let facts = facts(objects);
    let record = Record::of(&facts.set).expect("no record or a good one");
    View::new(&facts, record.as_ref(), None, now())
}

/// A canary that goes back, with the stable template on the set.
fn aborting(others: Vec<Value>) -> Vec<Value> {
    let mut objects = recorded(|record| record.phase = Phase::Aborting, others);
    let set = set_of(&mut objects);
    set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.21");
    set["status"]["updateRevision"] = json!("web-1");
    objects
}

/// Whoever looks while nobody goes on reads why, as of a promote.
#[test]
fn why_an_abort_stands_still_is_said() {
    let held = with(on_new(pod(2)), "/metadata/deletionTimestamp", json!(ago(90)));
    let held = with(held, "/metadata/finalizers", json!(["example.com/hold"]));
    let broken = on_new(waiting(2, "ImagePullBackOff", "not found"));
    let stable = waiting(0, "ImagePullBackOff", "not found");
    for (name, other, waits, found) in [
        (
            "a pod that does not go",
            held,
            "web-2 to be recreated; web-2 should have been gone 90s ago: held by finalizers \
             example.com/hold",
            &[][..],
        ),
        ("a pod that is slow", on_new(unready(2, 5)), "web-2 to be Ready", &[]),
        ("a pod in a trap", broken, "web-2 to be deleted: web-2 cannot pull nginx", &[]),
        ("a pod of the stable revision", stable, "", &["CANARY-STABLE-POD-BLOCKS"]),
        ("all that is left to write", pod(2), "the last write of the abort", &[]),
    ] {
        let objects = aborting(vec![other]);
        let view = view(&objects);
        assert_eq!(view.stage, Stage::Aborting, "{name}");
        let waiting = view.waiting.unwrap_or_default();
        assert!(waiting.starts_with(waits) && waiting.is_empty() == waits.is_empty(), "{waiting}");
        let ids: Vec<&str> = view.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, found, "{name}");
        let next: Vec<&str> = view.next.iter().map(|next| next.command.as_str()).collect();
        assert_eq!(next, ["kubectl stateful canary abort web -n default"], "{name}");
    }
    // Somebody holds pods back that are to go.
    let mut objects = aborting(Vec::new());
    set_of(&mut objects)["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(3);
    let (text, _) = shown("status", &[], &objects);
    assert!(text.contains("waiting  for the partition to be lowered to 2"), "{text}");
}

#[test]
fn the_deadline_of_an_abort_says_why() {
    let held = with(on_new(pod(2)), "/metadata/deletionTimestamp", json!(ago(90)));
    let facts = facts(&aborting(vec![held]));
    let record = Record::of(&facts.set).expect("a record").expect("a record");
    let why = abort::why(&State::new(&facts, &record, now()));
    assert!(why.contains("web-2 should have been gone 90s ago: the kubelet"), "{why}");
}

/// No canary, and the pods differ: what helps depends on why they do.
#[test]
fn a_set_without_a_canary_names_the_line_that_helps() {
    let labels = json!({"labels": {"app": "nginx"}});
    let rolling = |partition: u32, others: Vec<Value>| {
        let set = with(set(), "/spec/template/spec/containers/0/image", json!("nginx:1.22"));
        let set = with(set, "/status/updateRevision", json!("web-2"));
        let set = with(set, "/spec/updateStrategy/rollingUpdate/partition", json!(partition));
        let new = revision("web-2", 2, "nginx:1.22");
        let new = with(new, "/data/spec/template/metadata", labels.clone());
        replace(rest(), [vec![set, new, on_new(pod(2))], others].concat())
    };
    let status = "kubectl stateful status web -n default";
    let adopt = "kubectl stateful canary start web --adopt -n default";
    let unstick = "kubectl stateful canary unstick web -n default";
    let mut on_delete = rolling(0, Vec::new());
    set_of(&mut on_delete)["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    let trapped = rolling(0, vec![waiting(0, "ImagePullBackOff", "not found")]);
    // The template is that of web-1 again, and web-2 is of the revision in between.
    let mut undone = rolling(0, vec![on_new(waiting(2, "ImagePullBackOff", "not found"))]);
    let taken_back = set_of(&mut undone);
    taken_back["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.21");
    taken_back["status"]["updateRevision"] = json!("web-1");
    for (name, objects, line) in [
        ("somebody holds it", rolling(2, Vec::new()), adopt),
        ("the controller is at it", rolling(0, Vec::new()), status),
        ("pods are to be deleted", on_delete, adopt),
        ("a stable pod is not well", rolling(2, vec![unready(0, 90)]), status),
        ("the controller waits for a broken pod", trapped, unstick),
        ("the change was taken back, and a pod is broken", undone, unstick),
    ] {
        let (shown, _) = asked("status", &[], &objects);
        assert_eq!(commands(&shown), [line], "{name}");
    }
    // Where all run the same, nothing is to be done.
    assert!(commands(&asked("status", &[], &rest()).0).is_empty());
}

/// A set that was deleted and made again while its abort was under way, with the
/// annotation and with the broken pod of the abort.
#[test]
fn a_set_that_was_made_again_is_offered_unstick() {
    let broken = on_new(waiting(0, "ImagePullBackOff", "not found"));
    let mut objects = aborting(vec![broken]);
    set_of(&mut objects)["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(0);
    let unstick = "kubectl stateful canary unstick web -n default";
    let facts_now = facts(&objects);
    assert_eq!(no_canary::look_or_unstick(&Survey::new(&facts_now, now())), unstick);
    let annotation = set_of(&mut objects)["metadata"]["annotations"]["kubectl-stateful.dev/canary"]
        .as_str()
        .expect("a record")
        .replace("set-1", "set-0");
    annotate(&mut objects, &annotation);
    let (text, _) = shown("status", &[], &objects);
    assert!(text.contains("CANARY-RECORD-UNUSABLE"), "{text}");
    assert!(text.contains(unstick), "{text}");
    assert!(!text.contains("--adopt"), "refused as long as the record is there: {text}");
}

/// Two things that others have changed are one judgement, with one line.
#[test]
fn all_that_was_changed_has_one_line() {
    let changed = |others: &dyn Fn(&mut Value)| {
        let mut objects = recorded(|_| {}, vec![pod(3)]);
        let set = set_of(&mut objects);
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.30");
        others(set);
        asked("status", &[], &objects).0
    };
    let both = changed(&|set| set["spec"]["replicas"] = json!(4));
    assert_eq!(ids(&both), ["CANARY-REPLICAS-CHANGED", "CANARY-TEMPLATE-CHANGED"]);
    let adopt = "kubectl stateful canary start web --adopt -n default";
    let back = "kubectl stateful canary abort web --allow CANARY-OVERWRITES -n default";
    assert_eq!(hints(&both), [adopt]);
    assert_eq!(commands(&both), [adopt, back]);
    let strategy = changed(&|set| set["spec"]["updateStrategy"] = json!({"type": "OnDelete"}));
    assert_eq!((hints(&strategy), commands(&strategy)), (vec![back], vec![back]));
    // Of a set that is being deleted nothing can be said.
    let gone = changed(&|set| set["metadata"]["deletionTimestamp"] = json!(ago(5)));
    assert_eq!((hints(&gone).len(), commands(&gone).len()), (0, 0), "{gone}");
}

/// What was allowed is in the lines of the commands that ask for it, and nothing else
/// that stands in the annotation.
#[test]
fn lines_allow_what_they_need_and_no_more() {
    let allowed = |change: &dyn Fn(&mut Record)| {
        let mut objects = recorded(
            |record| {
                for id in ["CANARY-HPA", "CANARY-SINGLE-REPLICA", "SCALE-HPA", "x; reboot #"] {
                    record.allowed.push(id.to_owned());
                }
                change(record);
            },
            Vec::new(),
        );
        set_of(&mut objects)["spec"]["template"]["spec"]["hostname"] = json!("a");
        objects
    };
    let changed = asked("status", &[], &allowed(&|_| {})).0;
    let adopt = "kubectl stateful canary start web --adopt --allow CANARY-HPA --allow \
                 CANARY-SINGLE-REPLICA -n default";
    assert_eq!(commands(&changed)[0], adopt);
    assert_eq!(hints(&changed), [adopt]);
    let mut rests = allowed(&|_| {});
    set_of(&mut rests)["spec"]["template"]["spec"]
        .as_object_mut()
        .expect("a spec")
        .remove("hostname");
    let promote = "kubectl stateful canary promote web --allow CANARY-HPA -n default";
    assert_eq!(commands(&asked("status", &[], &rests).0)[0], promote);
}

/// `--no-budgets` is known to whoever goes on: without it a promote would be refused.
#[test]
fn a_canary_without_budgets_goes_on_without_them() {
    let facts = facts(&recorded(|_| {}, Vec::new()));
    let mut record = Record::of(&facts.set).expect("a record").expect("a record");
    let without = Gates { budgets: false, ..Gates::default() };
    allowed::keep(&mut record, &Allowed::default(), &without);
    assert_eq!(record.allowed, ["CANARY-NO-HEADROOM"]);
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "all", "namespace": "default", "generation": 1},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "nginx"}}},
        "status": {
            "observedGeneration": 1, "disruptionsAllowed": 0, "expectedPods": 3,
            "desiredHealthy": 3, "currentHealthy": 3,
        },
    });
    let passed = Passed::new(2, "pod-2", 0);
    let with_budget = |allowed: Vec<String>| {
        let objects = recorded(
            |record| {
                record.passed.push(passed.clone());
                record.allowed.clone_from(&allowed);
            },
            vec![budget.clone()],
        );
        asked("status", &[], &objects).0
    };
    let refused = with_budget(Vec::new());
    assert_eq!(commands(&refused), ["kubectl stateful canary abort web -n default"]);
    let goes_on = with_budget(record.allowed);
    let line = "kubectl stateful canary promote web --allow CANARY-NO-HEADROOM -n default";
    assert_eq!(commands(&goes_on)[0], line, "{goes_on}");
}

/// A canary that was adopted anew after its record was lost puts its own partition
/// "back": that is said, with the line.
#[test]
fn a_partition_that_stays_is_said() {
    let facts = |partition: u32| {
        let set = with(set(), "/spec/updateStrategy/rollingUpdate/partition", json!(partition));
        facts(&replace(rest(), vec![set]))
    };
    let said = |partition: u32| guards::partition_stays(&Survey::new(&facts(partition), now()));
    assert_eq!(said(0), None);
    let found = said(2).expect("a finding");
    assert_eq!(found.id, rules::PARTITION_STAYS.id);
    assert!(found.message.contains("will reach only web-2"), "{}", found.message);
    assert_eq!(
        found.hint.as_deref(),
        Some(
            "kubectl patch sts web -n default -p \
             '{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"partition\":0}}}}'"
        )
    );
}
