//! What `canary` says without a cluster, or before its first write: each
//! sentence held against what was read.

use std::time::{Duration, Instant};

use kubectl_stateful::{
    canary::{
        comeback, diff,
        forget::{self, Dead},
        guards,
        record::{ANNOTATION, Passed, Phase, Record},
    },
    manifests::Bundle,
    workload::{Facts, FieldManager, Operation, Survey},
};
use serde_json::{Value, json};

use super::{build::*, cli::run};

pub const IMAGE: [&str; 2] = ["--image", "nginx=nginx:1.22"];

pub fn list(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

pub fn facts(objects: &[Value]) -> Facts {
    let mut bundle = Bundle::default();
    bundle.add_text(&list(objects), "case").expect("objects");
    bundle.facts("web", None).expect("a set")
}

/// The set as a manifest has it: no server has seen it.
fn manifest() -> Value {
    let mut set = set();
    set.as_object_mut().expect("a set").remove("status");
    let metadata = set["metadata"].as_object_mut().expect("metadata");
    metadata.retain(|key, _| key == "name" || key == "namespace");
    set
}

pub fn rest() -> Vec<Value> {
    let labels = json!({"labels": {"app": "nginx"}});
    let whole = with(revision("web-1", 1, "nginx:1.21"), "/data/spec/template/metadata", labels);
    replace(healthy(), vec![whole])
}

/// `canary WORDS web -f - -o json` of these objects, and its exit code.
#[track_caller]
pub fn asked(verb: &str, more: &[&str], objects: &[Value]) -> (Value, Option<i32>) {
    let words = [&["canary", verb, "web", "-f", "-", "-o", "json"], more].concat();
    let (stdout, stderr, code) = run(&words, &list(objects));
    let document = serde_json::from_str(&stdout);
    (document.unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")), code)
}

/// The same for people.
pub fn shown(verb: &str, more: &[&str], objects: &[Value]) -> (String, Option<i32>) {
    let (stdout, stderr, code) =
        run(&[&["canary", verb, "web", "-f", "-"], more].concat(), &list(objects));
    (stdout + &stderr, code)
}

fn resources(document: &Value) -> Vec<&str> {
    let incomplete = document["incomplete"].as_array().expect("a list");
    incomplete.iter().filter_map(|unread| unread["resource"].as_str()).collect()
}

pub fn ids(document: &Value) -> Vec<&str> {
    let reasons = document["reasons"].as_array().expect("a list");
    reasons.iter().filter_map(|reason| reason["id"].as_str()).collect()
}

#[test]
fn a_plan_of_a_manifest_names_the_change_and_what_would_move() {
    let (plan, code) = asked("plan", &[&IMAGE[..], &["--count=2"]].concat(), &[manifest()]);
    assert_eq!(
        plan["changes"],
        json!([{
            "path": "spec.containers[nginx].image", "before": "nginx:1.21", "after": "nginx:1.22",
        }])
    );
    let items = plan["items"].as_array().expect("ordinals");
    let classes: Vec<_> = items.iter().map(|item| (&item["name"], &item["class"])).collect();
    assert_eq!(json!(classes), json!([["web-2", "moves"], ["web-1", "moves"], ["web-0", "stays"]]));
    assert_eq!(resources(&plan), ["pods", "controllerrevisions.apps"]);
    assert_eq!(code, Some(8), "what the pods run was not read");
    let (text, _) = shown("plan", &IMAGE, &[manifest()]);
    assert!(text.contains("nginx:1.21 → nginx:1.22"), "{text}");
    assert!(text.contains("moves    web-2\n"), "{text}");
    assert!(text.contains("unread   pods: the input has no Pod\n"), "{text}");
    assert!(!text.contains("moved "), "{text}");
    // What somebody else has begun is not to be seen in a manifest.
    let (plan, code) = asked("plan", &["--adopt", "--exit-code"], &[manifest()]);
    assert_eq!((ids(&plan)[0], &plan["items"], code), ("CANARY-BLIND", &json!([]), Some(4)));
    assert!(plan["write"].is_null());
    // A pod that is not there has not moved.
    let (plan, _) = asked("plan", &IMAGE, &without(rest(), &["Pod/web-1"]));
    assert_eq!(plan["items"][1]["class"], "stays");
}

#[test]
fn a_set_alone_says_what_was_not_read() {
    for live in [set(), manifest()] {
        for verb in ["status", "history"] {
            let (document, code) = asked(verb, &[], std::slice::from_ref(&live));
            assert_eq!(code, Some(8), "{verb}");
            let unread = resources(&document);
            for resource in ["pods", "controllerrevisions.apps"] {
                assert_eq!(unread.iter().filter(|one| **one == resource).count(), 1, "{unread:?}");
            }
            let (text, code) = shown(verb, &[], std::slice::from_ref(&live));
            assert_eq!(code, Some(8), "{text}");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains("the input has no ControllerRevision"), "{verb}: {text}");
            assert!(!text.contains("Missing"), "{verb}: {text}");
        }
        let (text, code) = shown("history", &["--revision", "1"], std::slice::from_ref(&live));
        assert_eq!(code, Some(8), "{text}");
        assert!(text.contains("controllerrevisions.apps could not be read"), "{text}");
    }
    // That a pod is there is known without the revisions, and not the other way round.
    let (text, code) =
        shown("history", &[], &without(rest(), &["Pod/web-0", "Pod/web-1", "Pod/web-2"]));
    assert_eq!(code, Some(8));
    assert!(text.contains("<unknown>"), "{text}");
    assert_eq!(shown("history", &[], &rest()).1, Some(0));
}

#[test]
fn more_ordinals_than_there_are_is_a_mistake() {
    let (text, code) = shown("plan", &[&IMAGE[..], &["--count=9"]].concat(), &rest());
    assert_eq!(code, Some(2));
    assert!(text.contains("web has 3 replicas: --count 9 is too many"), "{text}");
    assert_eq!(shown("plan", &[&IMAGE[..], &["--count=3"]].concat(), &rest()).1, Some(0));
}

#[test]
fn a_plan_that_changes_nothing_shows_no_write() {
    let (text, _) = shown("plan", &["--image", "nginx=nginx:1.21"], &rest());
    assert!(text.contains("CANARY-NO-CHANGE"), "{text}");
    assert!(!text.contains("write ") && !text.contains("moves"), "{text}");
}

#[test]
fn the_gates_of_a_plan_are_all_that_is_judged() {
    let (plan, _) = asked("plan", &[&IMAGE[..], &["--bake=1m"]].concat(), &rest());
    let gates = json!(["disruption budgets", "identity", "health", "ready", "bake 1m"]);
    assert_eq!(plan["gates"], gates);
    // Also where nobody has said how long.
    let (plan, _) = asked("plan", &IMAGE, &rest());
    assert_eq!(plan["gates"][4], "bake 30s", "without a readiness probe");
}

/// What a gate can never ask is said before anything is written.
#[test]
fn gates_that_cannot_be_asked_are_refused_before_the_first_write() {
    let ports = json!([{"name": "web", "containerPort": 80}]);
    let set = with(set(), "/spec/template/spec/containers/0/ports", ports);
    let objects = replace(rest(), vec![set]);
    for (words, id, said) in [
        (
            &["--gate-exec=true", "-c", "nope"][..],
            Some("CANARY-GATE-UNUSABLE"),
            "--gate-exec true runs in the container nope, and the new template has nginx",
        ),
        (
            &["--leader-exec=am-i", "-c", "nope"],
            Some("CANARY-GATE-UNUSABLE"),
            "--leader-exec am-i runs in the container nope",
        ),
        (
            &["--gate-http=admin/x"],
            Some("CANARY-GATE-UNUSABLE"),
            "--gate-http admin/x: the new template has no port admin",
        ),
        (
            &["--gate-http=8080/x"],
            Some("CANARY-GATE-PORT"),
            "no container of the new template declares port 8080",
        ),
        (&["--gate-http=80/x"], None, ""),
        (&["--gate-http=web/x"], None, ""),
        (&["--gate-exec=true", "-c", "nginx"], None, ""),
    ] {
        let (plan, _) = asked("plan", &[&IMAGE[..], words].concat(), &objects);
        let found: Vec<&str> =
            ids(&plan).into_iter().filter(|id| id.starts_with("CANARY-GATE-")).collect();
        assert_eq!(found, id.into_iter().collect::<Vec<_>>(), "{words:?}: {plan}");
        assert!(plan["reasons"].to_string().contains(said), "{words:?}: {plan}");
        let refused = id == Some("CANARY-GATE-UNUSABLE");
        let (_, code) = shown("plan", &[&IMAGE[..], words, &["--exit-code"]].concat(), &objects);
        assert_eq!(code, Some(if refused { 4 } else { 3 }), "{words:?}");
        assert_eq!(plan["write"].is_null(), refused, "{words:?}");
    }
    // An empty file is no file of gates.
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let gates = format!("--gates={}", empty.path().display());
    let (text, code) = shown("plan", &[&IMAGE[..], &[&gates]].concat(), &objects);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("is empty: it has no gates"), "{text}");
}

#[test]
fn a_budget_that_never_has_room_is_said_at_once() {
    let budget = |desired: i64| {
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": "default", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "nginx"}}},
            "status": {
                "observedGeneration": 1, "disruptionsAllowed": 0, "expectedPods": 3,
                "desiredHealthy": desired, "currentHealthy": 2,
            },
        })
    };
    let found = |desired, more: &[&str]| {
        let objects = replace(rest(), vec![budget(desired)]);
        let (plan, _) = asked("plan", &[&IMAGE[..], more].concat(), &objects);
        let reasons = plan["reasons"].as_array().expect("reasons").clone();
        let found = reasons.iter().find(|reason| reason["id"] == "CANARY-NO-HEADROOM");
        found.map(|reason| {
            (reason["severity"].clone(), reason["message"].as_str().unwrap_or("").to_owned())
        })
    };
    let (severity, message) = found(3, &[]).expect("a finding");
    assert_eq!(severity, "error");
    assert!(message.contains("never allows web-2 to go (2 of 3 healthy, 3 needed)"), "{message}");
    let (severity, message) = found(2, &[]).expect("a finding");
    assert_eq!(severity, "warning");
    assert!(message.contains("the canary waits for it"), "{message}");
    assert_eq!(found(3, &["--no-budgets"]), None);
    let allowed = found(3, &["--allow=CANARY-NO-HEADROOM"]).expect("a finding");
    assert_eq!(allowed.0, "warning");
}

/// Only `start` has a plan whose hash can be confirmed.
#[test]
fn a_hash_is_confirmed_only_where_there_is_a_plan() {
    for (verb, has) in [
        ("start", true),
        ("promote", false),
        ("stage", false),
        ("pause", false),
        ("abort", false),
        ("unstick", false),
        ("forget", false),
    ] {
        let (help, _, _) = run(&["canary", verb, "--help"], "");
        assert_eq!(help.contains("--confirm-plan"), has, "{verb}");
    }
}

pub fn recorded(change: impl FnOnce(&mut Record), others: Vec<Value>) -> Vec<Value> {
    let set = with(set(), "/spec/template/spec/containers/0/image", json!("nginx:1.22"));
    let set = with(set, "/spec/updateStrategy/rollingUpdate/partition", json!(2));
    let set = with(set, "/status/updateRevision", json!("web-2"));
    let labels = json!({"labels": {"app": "nginx"}});
    let second = with(revision("web-2", 2, "nginx:1.22"), "/data/spec/template/metadata", labels);
    let moved = with(pod(2), "/metadata/labels/controller-revision-hash", json!("web-2"));
    let mut objects = replace(replace(rest(), vec![set, second, moved]), others);
    let began = facts(&objects);
    let mut record = Record::begin(&began.set, "web-1", "me", now()).rolling(&began.set, 2, "me");
    record.was = Some(0);
    record.template = diff::fingerprint(&began.set.template.raw);
    change(&mut record);
    annotate(&mut objects, &record.text());
    objects
}

pub fn annotate(objects: &mut [Value], text: &str) {
    let set = objects.iter_mut().find(|object| object["kind"] == "StatefulSet").expect("a set");
    set["metadata"]["annotations"] = json!({ ANNOTATION: text });
}

/// Whoever is told that a pod is broken is not told to move the next one, and
/// a program is told why the code is 3.
#[test]
fn a_broken_pod_is_named_and_nothing_goes_further() {
    let broken = with(
        waiting(2, "ImagePullBackOff", "not found"),
        "/metadata/labels/controller-revision-hash",
        json!("web-2"),
    );
    for passed in [true, false] {
        let change = |record: &mut Record| {
            if passed {
                record.passed.push(Passed::new(2, "pod-2", 0));
            }
        };
        let objects = recorded(change, vec![broken.clone()]);
        let (status, code) = asked("status", &["--exit-code"], &objects);
        assert_eq!((ids(&status), code), (vec!["CANARY-POD-BROKEN"], Some(3)));
        let next: Vec<_> = status["next"].as_array().expect("lines").iter().collect();
        assert_eq!(next.len(), 1, "{next:?}");
        assert_eq!(next[0]["command"], "kubectl stateful canary abort web -n default");
        let (text, _) = shown("status", &[], &objects);
        assert!(text.contains("✗ health") && text.contains("cannot pull nginx"), "{text}");
    }
}

/// What a newer version wrote is no rubbish: that version can go on from it.
#[test]
fn a_record_of_a_newer_version_asks_for_an_upgrade() {
    let mut objects = recorded(|_| (), Vec::new());
    for format in [2_u32, 300] {
        annotate(&mut objects, &json!({"format": format, "set": "set-1", "new": {}}).to_string());
        let facts = facts(&objects);
        let survey = Survey::new(&facts, now());
        let why = Record::of(survey.set).expect_err("a newer record");
        let found = guards::unusable(&survey, &why);
        assert!(found.message.contains(&format!("has format {format}")), "{}", found.message);
        let hint = found.hint.expect("a hint");
        assert!(hint.contains("upgrade") && !hint.contains("kubectl annotate"), "{hint}");
        let refused = forget::dead(&survey).expect_err("it is not dropped");
        assert_eq!(refused[0].id, "CANARY-RECORD-UNUSABLE");
    }
    for text in ["{}", "no json", r#"{"format": 1, "set": "another", "phase": "rolling"}"#] {
        annotate(&mut objects, text);
        let facts = facts(&objects);
        let survey = Survey::new(&facts, now());
        let why = Record::of(survey.set).expect_err("rubbish");
        let hint = guards::unusable(&survey, &why).hint.expect("a hint");
        assert_eq!(hint, "kubectl stateful canary forget web -n default");
    }
}

#[test]
fn only_a_record_from_which_no_verb_can_go_on_is_dropped() {
    let judged = |objects: &[Value]| {
        let facts = facts(objects);
        forget::dead(&Survey::new(&facts, now()))
            .map_err(|found| found.iter().map(|finding| finding.id).collect::<Vec<_>>())
    };
    let dead = |objects: &[Value]| -> Dead { judged(objects).expect("dead").expect("a record") };
    assert_eq!(judged(&rest()), Ok(None));
    // Alive: somebody can go back, or forward.
    for phase in [Phase::Rolling, Phase::Staged, Phase::Aborting] {
        let alive = recorded(|record| record.phase = phase, Vec::new());
        assert_eq!(judged(&alive), Err(vec!["CANARY-CAN-GO-ON"]), "{phase:?}");
    }
    let gone = ["ControllerRevision/web-1"];
    let forward = without(recorded(|_| (), Vec::new()), &gone);
    assert!(matches!(judged(&forward), Ok(Some(_))), "there is no way back that it could keep");
    // The way back is gone.
    for change in [
        (|_| ()) as fn(&mut Record),
        |record: &mut Record| record.phase = Phase::Staged,
        |record| record.phase = Phase::Aborting,
        |record| record.replicas = 5,
    ] {
        let Dead { why, lost, stays } = dead(&without(recorded(change, Vec::new()), &gone));
        assert!(why.contains("web-1 that it goes back to does not exist any more"), "{why}");
        assert_eq!(
            lost,
            ["that the pods ran web-1 before the canary", "the partition from before: 0"]
        );
        assert_eq!(
            stays,
            [
                "partition 2, which holds web-0 and web-1 back",
                "web-0 and web-1, not of the present template",
            ]
        );
    }
    // An abort that ends in a third revision, again and again.
    let third = with(set(), "/status/updateRevision", json!("web-3"));
    let third = recorded(|record| record.phase = Phase::Aborting, vec![third]);
    assert!(dead(&third).why.contains("has made web-3 of it"));
    // What cannot be read, or is of another set.
    let mut objects = recorded(|_| (), Vec::new());
    annotate(&mut objects, r#"{"format": 1, "set": "other", "stable": "web-1"}"#);
    assert!(dead(&objects).why.starts_with("it cannot be read"));
    assert_eq!(dead(&objects).lost, ["the way back: the pods ran web-1 before the canary"]);
    annotate(&mut objects, "rubbish");
    assert_eq!(dead(&objects).lost, ["the text of the annotation: rubbish"]);
    // Nothing is concluded from what was not read.
    let blind = without(recorded(|_| (), Vec::new()), &["Pod/web-0", "Pod/web-1", "Pod/web-2"]);
    assert!(judged(&blind).expect_err("unread").contains(&"CANARY-BLIND"));
}

/// Who is named has the change, and who has it is named.
#[test]
fn a_change_comes_back_from_where_it_is() {
    let last = |image: &str, memory: &str| {
        let container = json!({
            "name": "nginx", "image": image, "resources": {"limits": {"memory": memory}},
        });
        json!({"spec": {"template": {"spec": {"containers": [container]}}}}).to_string()
    };
    let back = |annotation: Option<String>, manager: &str, adopted: bool| {
        let (manager, applies) =
            manager.strip_prefix("apply:").map_or((manager, false), |name| (name, true));
        let limits = json!({"limits": {"memory": "1Gi"}});
        let set = with(set(), "/spec/template/spec/containers/0/resources", limits);
        let labels = json!({"labels": {"app": "nginx"}});
        let second =
            with(revision("web-2", 2, "nginx:1.22"), "/data/spec/template/metadata", labels);
        let mut objects = replace(rest(), vec![set, second]);
        if let Some(text) = annotation {
            let key = "kubectl.kubernetes.io/last-applied-configuration";
            objects[0]["metadata"]["annotations"] = json!({ key: text });
        }
        let mut facts = facts(&objects);
        facts.set.field_managers.push(FieldManager {
            name: manager.to_owned(),
            operation: if applies { Operation::Apply } else { Operation::Update },
            time: None,
            replicas: false,
            partition: false,
            template: true,
        });
        let web_2 = &facts.revision("web-2").expect("the canary's").template;
        let reverted = diff::differences(&facts.set.template.raw, web_2);
        let found = comeback::appliers(&facts, adopted, &reverted);
        found.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
    };
    // `kubectl set env` brought it: the manifest is the one from before.
    let old = Some(last("nginx:1.21", "1024Mi"));
    for manager in ["kubectl-set", "kubectl-edit", "kubectl-client-side-apply"] {
        for adopted in [true, false] {
            assert_eq!(back(old.clone(), manager, adopted), [] as [&str; 0], "{manager}");
        }
        assert_eq!(back(None, manager, true), [] as [&str; 0], "{manager}");
    }
    // `kubectl apply` brought it, whoever wrote something else since.
    let said = back(Some(last("nginx:1.22", "1Gi")), "kubectl-set", true);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("spec.containers[nginx].image back: nginx:1.22"), "{said:?}");
    let said = back(None, "apply:kubectl", true);
    assert!(said[0].starts_with("kubectl apply --server-side has applied"), "{said:?}");
    assert_eq!(back(None, "apply:kubectl", false), [] as [&str; 0]);
    let said = back(None, "apply:terraform", true);
    assert!(said[0].starts_with("terraform has applied this template"), "{said:?}");
    // `kubectl rollout undo` writes under the same name, and applies nothing.
    assert_eq!(back(None, "kubectl", true), [] as [&str; 0]);
    assert_eq!(back(None, "apply:kubectl-stateful", true), [] as [&str; 0]);
}

/// What an earlier revision had is no change of the canary that was aborted.
#[test]
fn only_what_the_abort_reverted_comes_back() {
    let container = json!({"name": "nginx", "image": "nginx:1.20"});
    let last = json!({"spec": {"template": {"spec": {"containers": [container]}}}}).to_string();
    let labels = json!({"labels": {"app": "nginx"}});
    let other = |name, number, image| {
        with(revision(name, number, image), "/data/spec/template/metadata", labels.clone())
    };
    let mut objects = replace(
        rest(),
        vec![set(), other("web-0", 0, "nginx:1.20"), other("web-2", 2, "nginx:1.21")],
    );
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    objects[0]["metadata"]["annotations"] = json!({ key: last });
    let facts = facts(&objects);
    assert_eq!(comeback::appliers(&facts, true, &[]), []);
    // A third value is none that comes back.
    let mut newer = facts.set.template.raw.clone();
    newer["spec"]["containers"][0]["image"] = json!("nginx:1.22");
    let reverted = diff::differences(&facts.set.template.raw, &newer);
    assert_eq!(comeback::appliers(&facts, true, &reverted), []);
}

/// Nobody is sent to a way back that is gone.
#[test]
fn without_the_stable_revision_nobody_is_told_to_abort() {
    let gone = ["ControllerRevision/web-1"];
    for passed in [true, false] {
        let change = |record: &mut Record| {
            if passed {
                record.passed.push(Passed::new(2, "pod-2", 0));
            }
        };
        let objects = without(recorded(change, Vec::new()), &gone);
        let (status, _) = asked("status", &[], &objects);
        assert!(!status["next"].to_string().contains("canary abort"), "{status}");
        assert!(ids(&status).contains(&"CANARY-NO-WAY-BACK"), "{status}");
        let (text, _) = shown("status", &[], &objects);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("the ControllerRevision web-1 was deleted"), "{text}");
        assert!(text.contains("kubectl stateful canary promote web -n default"), "{text}");
        assert!(!text.contains("canary forget"), "{text}");
    }
}

/// Below the partition the controller makes pods of the current revision, and
/// that can be the new one: of a set that was deleted and applied again over
/// its pods.
#[test]
fn a_pod_that_would_come_back_on_the_new_revision_is_not_called_kept() {
    let unkept = |record: bool| {
        let mut objects = recorded(|_| (), Vec::new());
        for object in &mut objects {
            match object["kind"].as_str() {
                Some("StatefulSet") => {
                    object["status"]["currentRevision"] = json!("web-2");
                    if !record {
                        object["metadata"]["annotations"] = json!({});
                    }
                }
                // Made in the same second.
                Some("ControllerRevision") => {
                    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
                }
                _ => {}
            }
        }
        objects
    };
    let says = "web-0 and web-1 come back on web-2 if they are recreated, because the controller \
                takes web-2 for the current revision";
    let message = |document: &Value, id: &str| {
        let reasons = document["reasons"].as_array().expect("reasons");
        let found = reasons.iter().find(|reason| reason["id"] == id);
        found.map(|reason| {
            (reason["severity"].clone(), reason["message"].as_str().unwrap_or("").to_owned())
        })
    };
    for record in [true, false] {
        let (status, _) = asked("status", &[], &unkept(record));
        let (severity, said) = message(&status, "CANARY-NOT-KEPT").expect("a finding");
        assert_eq!((severity, said.as_str()), (json!("warning"), says));
        assert_eq!(status["stable"], "web-1", "{status}");
        let (text, _) = shown("status", &[], &unkept(record));
        assert!(text.contains("web-1   stable") && text.contains("web-2   canary"), "{text}");
    }
    let (plan, _) = asked("plan", &["--adopt"], &unkept(false));
    assert_eq!(message(&plan, "CANARY-NOT-KEPT").expect("a finding").1, says, "{plan}");
    let (text, _) = shown("plan", &["--adopt"], &unkept(false));
    assert!(text.contains("web-1, web-0 on web-1, unless one is recreated"), "{text}");
    let words = ["status", "web", "-f", "-", "-o", "json"];
    let (stdout, stderr, _) = run(&words, &list(&unkept(false)));
    let status: Value = serde_json::from_str(&stdout).expect(&stderr);
    let (severity, said) = message(&status, "STATUS-PARTITION-HELD").expect("a finding");
    assert_eq!(severity, "warning");
    assert!(said.ends_with(says) && !said.contains("keeps"), "{said}");
    // Kept, as usual.
    let (status, _) = asked("status", &[], &recorded(|_| (), Vec::new()));
    assert_eq!(message(&status, "CANARY-NOT-KEPT"), None);
}

/// The next apply of a manifest with a partition undoes ours.
#[test]
fn a_manifest_that_sets_the_partition_is_told_of() {
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    let last = |partition: Value| {
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}});
        json!({"spec": {"updateStrategy": strategy}}).to_string()
    };
    let applied = |mut objects: Vec<Value>, text: &str| {
        objects[0]["metadata"]["annotations"][key] = json!(text);
        objects
    };
    let id = "CANARY-MANIFEST-PARTITION";
    for (text, says) in [
        (last(json!(0)), Some("sets the partition to 0: the next apply of it")),
        (last(Value::Null), None),
        ("{}".to_owned(), None),
    ] {
        let (plan, _) = asked("plan", &IMAGE, &applied(rest(), &text));
        let reasons = plan["reasons"].as_array().expect("reasons");
        let found = reasons.iter().find(|reason| reason["id"] == id);
        let said = found.and_then(|reason| reason["message"].as_str());
        assert_eq!(said.is_some(), says.is_some(), "{plan}");
        assert!(said.unwrap_or("").contains(says.unwrap_or("")), "{said:?}");
        let held = facts(&applied(rest(), &text));
        let found = guards::check(&Survey::new(&held, now()), None, guards::StartKind::Stage);
        assert_eq!(found.iter().any(|finding| finding.id == id), says.is_some());
        // Staged: what holds the pods is gone with the next apply.
        let mut staged = rest();
        let began = facts(&staged);
        let mut record = Record::begin(&began.set, "web-1", "me", now());
        (record.phase, record.partition) = (Phase::Staged, 32767);
        record.template = diff::fingerprint(&began.set.template.raw);
        annotate(&mut staged, &record.text());
        staged[0]["spec"]["updateStrategy"]["rollingUpdate"] = json!({"partition": 32767});
        let staged = applied(staged, &text);
        let (text, _) = shown("status", &[], &staged);
        assert_eq!(text.contains("new templates are held back from every pod"), says.is_none());
        assert_eq!(text.contains(id), says.is_some(), "{text}");
        let (text, _, _) = run(&["status", "web", "-f", "-"], &list(&staged));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(text.contains("applied now moves no pod"), says.is_none(), "{text}");
        assert_eq!(text.contains("sets the partition to 0"), says.is_some(), "{text}");
    }
}

/// As many variables as are left of 0.9 MB.
fn large_patch(bytes: usize) -> String {
    let value = "x".repeat(60);
    let env: Vec<Value> = (0..bytes / 100)
        .map(|number| json!({"name": format!("VARIABLE_{number}"), "value": value}))
        .collect();
    json!({"spec": {"template": {"spec": {"containers": [{"name": "nginx", "env": env}]}}}})
        .to_string()
}

#[test]
fn a_large_patch_is_judged_in_time_and_by_what_can_be_stored() {
    let objects = rest();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let patch = format!("--patch-file={}", file.path().display());
    for (bytes, code) in [(900_000, 0), (2_000_000, 2)] {
        let json = large_patch(bytes);
        let parsed: Value = serde_json::from_str(&json).expect("JSON");
        for text in [json, serde_saphyr::to_string(&parsed).expect("YAML")] {
            std::fs::write(file.path(), text).expect("a patch");
            let began = Instant::now();
            let (shown, ended) = shown("plan", &[&patch], &objects);
            assert_eq!(ended, Some(code), "{}", &shown[..shown.len().min(2000)]);
            // Half a minute before, on a machine that does nothing else; this is a
            // test of the order, so it leaves room for a busy one.
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
            assert!(shown.lines().count() < 60, "{}", shown.lines().count());
            if code == 0 {
                assert!(shown.contains("more changes: canary plan -o json lists them"), "{shown}");
            } else {
                assert!(shown.contains("etcd stores no revision of more than"), "{shown}");
            }
        }
    }
}
