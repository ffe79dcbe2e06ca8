//! Every rule of `canary` that can be shown without a cluster, in a case of its
//! own.

use std::{collections::BTreeSet, io::ErrorKind, net::TcpListener};

use jiff::SignedDuration;
use kubectl_stateful::{
    canary::{
        abort::{self, AbortMove},
        diff,
        foreign::ForeignTemplate,
        gates::Gates,
        guards::{self, StartKind},
        plan::{self, Memory, Move, State, Terms},
        record::{ANNOTATION, Passed, Phase, Record},
        report::View,
        rules,
    },
    manifests::Bundle,
    workload::{Allowed, Facts, Finding, Severity, Survey, refuses},
};
use serde_json::{Value, json};

use super::{build::*, cli::run};

/// The rules whose case is with those that run a cluster, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("CANARY-REJECTED", "the answer of a server to a dry run"),
    ("CANARY-SET-REPLACED", "told by what the watch says, not by one picture"),
    ("CANARY-TAKEN-OVER", "told between two pictures, by whoever runs"),
    ("CANARY-CHECK-FAILED", "somebody has to be asked"),
    ("CANARY-CHECK-INCONCLUSIVE", "somebody has to be asked"),
    ("CANARY-HOOK-FAILED", "a command has to be run"),
    ("CANARY-LEADER-AHEAD", "somebody has to be asked"),
    ("CANARY-NOT-KEPT", "see canary_words"),
    ("CANARY-MANIFEST-PARTITION", "see canary_words"),
    ("CANARY-PARTITION-STAYS", "said after the last write; see canary_lines"),
    ("CANARY-COMES-BACK", "said after the last write of an abort; see canary_words"),
    ("CANARY-NO-RIGHTS", "the answer of a server"),
    (
        "CANARY-CLAIM-LEAVING",
        "claims are read for the pods that go; see control_plane/canary/claims",
    ),
    ("CANARY-CAN-GO-ON", "of a verb of its own; see canary_words"),
];

/// A revision with all of a template, as the controller keeps it.
fn whole(name: &str, number: i64, image: &str) -> Value {
    let labels = json!({"labels": {"app": "nginx"}});
    with(revision(name, number, image), "/data/spec/template/metadata", labels)
}

fn at_rest() -> Vec<Value> {
    replace(healthy(), vec![whole("web-1", 1, "nginx:1.21")])
}

fn facts(objects: &[Value]) -> Facts {
    let mut bundle = Bundle::default();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    bundle.add_text(&list.to_string(), "case").expect("objects");
    bundle.facts("web", None).expect("a set")
}

fn healthy_with(others: Vec<Value>) -> Facts {
    facts(&replace(at_rest(), others))
}

/// What speaks against a beginning.
fn checked(facts: &Facts, beginning: StartKind) -> Vec<Finding> {
    let record = Record::of(&facts.set).expect("no record or a good one");
    guards::check(&Survey::new(facts, now()), record.as_ref(), beginning)
}

fn on_revision(pod: Value, revision: &str) -> Value {
    with(pod, "/metadata/labels/controller-revision-hash", json!(revision))
}

/// A set whose `web-2` runs the new revision, as a canary leaves it; `change`
/// is what happened to the record.
fn canary(change: impl FnOnce(&mut Record), others: Vec<Value>) -> Facts {
    let set = with(set(), "/spec/template/spec/containers/0/image", json!("nginx:1.22"));
    let set = with(set, "/spec/updateStrategy/rollingUpdate/partition", json!(2));
    let set = with(set, "/status/updateRevision", json!("web-2"));
    let objects = replace(
        at_rest(),
        vec![set, whole("web-2", 2, "nginx:1.22"), on_revision(pod(2), "web-2")],
    );
    let objects = replace(objects, others);
    let at = objects.iter().position(|object| object["kind"] == "StatefulSet").expect("a set");
    let began = facts(&objects);
    let mut record = Record::begin(&began.set, "web-1", "me", now()).rolling(&began.set, 2, "me");
    record.was = Some(0);
    record.gates = Gates::default().fingerprint();
    record.template = diff::fingerprint(&json!({
        "metadata": {"labels": {"app": "nginx"}},
        "spec": {"containers": [{"name": "nginx", "image": "nginx:1.22"}]},
    }));
    record.replicas = 3;
    record.on_delete = false;
    change(&mut record);
    let mut objects = objects;
    objects[at]["metadata"]["annotations"] = json!({ ANNOTATION: record.text() });
    facts(&objects)
}

fn terms() -> Terms {
    Terms {
        goal: 0,
        deadline: Some(SignedDuration::from_mins(10)),
        bake: SignedDuration::ZERO,
        checks: false,
        pause_between: false,
        budgets: true,
        unhealthy: false,
    }
}

/// What stops a canary that goes forward, at the first look or one that came
/// so many seconds after it.
fn forward_after(first: &Facts, then: &Facts, seconds: i64) -> Vec<Finding> {
    let mut memory = Memory::default();
    let mut last = None;
    for (facts, moment) in [(first, now() - SignedDuration::from_secs(seconds)), (then, now())] {
        let record = Record::of(&facts.set).expect("a record").expect("a record");
        let state = State::new(facts, &record, moment);
        memory.observe(&state);
        last = Some(plan::next(&state, &terms(), &memory));
    }
    match last {
        Some(Move::Stop { finding, .. }) => vec![finding],
        other => panic!("{other:?}"),
    }
}

fn forward(facts: &Facts) -> Vec<Finding> {
    forward_after(facts, facts, 0)
}

/// What stops the way back.
fn backward(facts: &Facts) -> Vec<Finding> {
    let record = Record::of(&facts.set).expect("a record").expect("a record");
    let state = State::new(facts, &record, now());
    match abort::next(&state, SignedDuration::from_secs(30), true) {
        AbortMove::Stop { finding, .. } => vec![finding],
        other => panic!("{other:?}"),
    }
}

fn promoted(facts: &Facts, gates: &Gates) -> Vec<Finding> {
    let record = Record::of(&facts.set).expect("a record").expect("a record");
    guards::for_promote(&Survey::new(facts, now()), &record, Some(gates))
}

/// `canary plan` of these objects, with these words.
fn planned(objects: &[Value], words: &[&str]) -> Vec<Finding> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let all = [&["canary", "plan", "web", "--filename", "-", "-o", "json"], words].concat();
    let (stdout, stderr, _) = run(&all, &list);
    let found: Vec<Finding> = rules::all()
        .iter()
        .filter(|rule| stdout.contains(&format!("\"{}\"", rule.id)))
        .map(|rule| rule.found("", ""))
        .collect();
    assert!(!found.is_empty(), "{stdout}{stderr}");
    found
}

/// What `status` shows of a canary.
fn viewed(facts: &Facts) -> Vec<Finding> {
    let record = Record::of(&facts.set).expect("a record");
    View::new(facts, record.as_ref(), None, now()).findings
}

fn without_pod(mut facts: Facts, name: &str) -> Facts {
    facts.pods.iter_mut().for_each(|pods| pods.retain(|pod| pod.name != name));
    facts
}

/// A canary of a set whose first ordinal has another number by now.
fn with_other_ordinals() -> Facts {
    let mut facts = canary(|_| (), vec![]);
    facts.set.start = 1;
    facts
}

fn labelled(key: &str, value: &str) -> Value {
    with(set(), "/metadata/labels", json!({ key: value }))
}

fn scaler(api: &str, kind: &str, field: &str) -> Value {
    json!({
        "apiVersion": api, "kind": kind, "metadata": {"name": "scaler", "namespace": "default"},
        "spec": {field: {"kind": "StatefulSet", "name": "web"}},
    })
}

fn rolling_back(others: Vec<Value>) -> Facts {
    let set = with(set(), "/spec/updateStrategy/rollingUpdate/partition", json!(2));
    canary(|record| record.phase = Phase::Aborting, [vec![set, unready(2, 5)], others].concat())
}

struct Case {
    id: &'static str,
    found: Vec<Finding>,
}

fn starts(id: &'static str, others: Vec<Value>) -> Case {
    Case { id, found: checked(&healthy_with(others), StartKind::Change) }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let owner = json!([{"kind": "Db", "name": "shop", "uid": "o", "controller": true}]);
    let partition = "/spec/updateStrategy/rollingUpdate/partition";
    let old = Facts { server_version: Some("v1.28.3".to_owned()), ..healthy_with(Vec::new()) };
    let unusable = with(set(), "/metadata/annotations", json!({ ANNOTATION: "{}" }));
    let unusable = healthy_with(vec![unusable]);
    let why = Record::of(&unusable.set).expect_err("no record");
    let plain = healthy_with(Vec::new());
    let third = with(set(), "/status/updateRevision", json!("web-3"));
    let third = with(third, partition, json!(2));
    let on_delete = json!({"type": "OnDelete"});
    let broken = on_revision(waiting(2, "CrashLoopBackOff", ""), "web-2");
    let restarted =
        with(on_revision(pod(2), "web-2"), "/status/containerStatuses/0/restartCount", json!(1));
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "nginx"}}},
        "status": {
            "observedGeneration": 1, "disruptionsAllowed": 0, "expectedPods": 3,
            "desiredHealthy": 3, "currentHealthy": 3,
        },
    });
    let full = canary(|record| record.passed = vec![Passed::new(2, "pod-2", 0)], vec![budget]);
    let late = canary(|_| (), vec![on_revision(unready(2, 700), "web-2")]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "spec: {replicas: 4}").expect("a patch");
    let patch = file.path().to_str().expect("a name");
    let under_way = |found: Facts| {
        let annotations = json!(found.set.annotations);
        let set = with(set(), "/spec/template/spec/containers/0/image", json!("nginx:1.22"));
        let set = with(set, "/metadata/annotations", annotations);
        let set = with(with(set, partition, json!(2)), "/status/updateRevision", json!("web-2"));
        let pod = on_revision(pod(2), "web-2");
        replace(at_rest(), vec![set, whole("web-2", 2, "nginx:1.22"), pod])
    };
    let case = |id, found| Case { id, found };
    vec![
        starts("CANARY-OWNER", vec![with(set(), "/metadata/ownerReferences", owner)]),
        starts(
            "CANARY-HPA",
            vec![scaler("autoscaling/v2", "HorizontalPodAutoscaler", "scaleTargetRef")],
        ),
        starts("CANARY-KEDA", vec![scaler("keda.sh/v1alpha1", "ScaledObject", "scaleTargetRef")]),
        starts(
            "CANARY-VPA",
            vec![scaler("autoscaling.k8s.io/v1", "VerticalPodAutoscaler", "targetRef")],
        ),
        starts("CANARY-GITOPS", vec![labelled("argocd.argoproj.io/instance", "shop")]),
        starts("CANARY-HELM", vec![labelled("app.kubernetes.io/managed-by", "Helm")]),
        starts("CANARY-UNHEALTHY", vec![unready(1, 5)]),
        starts("CANARY-NO-REPLICAS", vec![with(set(), "/spec/replicas", json!(0))]),
        starts("CANARY-SINGLE-REPLICA", vec![with(set(), "/spec/replicas", json!(1))]),
        starts("CANARY-LEFTOVER-PARTITION", vec![with(set(), partition, json!(1))]),
        starts("CANARY-ROLLOUT-IN-PROGRESS", vec![on_revision(pod(2), "web-0")]),
        starts(
            "CANARY-UNDONE",
            vec![
                whole("web-2", 2, "nginx:1.22"),
                with(
                    whole("web-1", 3, "nginx:1.21"),
                    "/metadata/creationTimestamp",
                    json!(ago(900)),
                ),
                on_revision(pod(2), "web-2"),
            ],
        ),
        starts(
            "CANARY-UNKNOWN-STRATEGY",
            vec![with(set(), "/spec/updateStrategy", json!({"type": "Recreate"}))],
        ),
        starts(
            "CANARY-NO-STABLE-REVISION",
            vec![on_revision(pod(1), "web-3"), on_revision(pod(2), "web-2")],
        ),
        starts(
            "CANARY-BEING-DELETED",
            vec![with(set(), "/metadata/deletionTimestamp", json!(ago(5)))],
        ),
        starts(
            "CANARY-MAX-UNAVAILABLE",
            vec![with(set(), "/spec/updateStrategy/rollingUpdate/maxUnavailable", json!(2))],
        ),
        starts(
            "CANARY-ON-DELETE-DRIFT",
            vec![with(set(), "/spec/updateStrategy", on_delete.clone())],
        ),
        case(
            "CANARY-UNREAD",
            checked(&facts(&without(at_rest(), &["Service/nginx"])), StartKind::Change),
        ),
        case(
            "CANARY-BLIND",
            checked(&facts(&without(at_rest(), &["ControllerRevision/web-1"])), StartKind::Change),
        ),
        case("CANARY-PROMOTION-BUG", checked(&old, StartKind::Change)),
        case(
            "CANARY-ABORT-IN-PROGRESS",
            checked(&canary(|record| record.phase = Phase::Aborting, vec![]), StartKind::Change),
        ),
        case(
            "CANARY-NONE",
            promoted(&canary(|record| record.phase = Phase::Staged, vec![]), &Gates::default()),
        ),
        case(
            "CANARY-GATES-DIFFER",
            promoted(
                &canary(|record| "other".clone_into(&mut record.gates), vec![]),
                &Gates::default(),
            ),
        ),
        case(
            "CANARY-RECORD-UNUSABLE",
            vec![guards::unusable(&Survey::new(&unusable, now()), &why)],
        ),
        case(
            "CANARY-NO-READINESS-PROBE",
            guards::probes(&Survey::new(&plain, now()), &plain.set.template, false)
                .into_iter()
                .collect(),
        ),
        case(
            "CANARY-NOTHING-TRAPPED",
            abort::unstick(&Survey::new(&plain, now()), SignedDuration::ZERO)
                .err()
                .into_iter()
                .collect(),
        ),
        case(
            "CANARY-IN-PROGRESS",
            planned(&under_way(canary(|_| (), vec![])), &["--image", "nginx=nginx:1.23"]),
        ),
        case(
            "CANARY-GATE-UNUSABLE",
            planned(&at_rest(), &["--restart", "--gate-exec=true", "--container=nope"]),
        ),
        case("CANARY-GATE-PORT", planned(&at_rest(), &["--restart", "--gate-http=8080/"])),
        case("CANARY-NO-CHANGE", planned(&at_rest(), &["--image", "nginx=nginx:1.21"])),
        case("CANARY-FORBIDDEN-FIELD", planned(&at_rest(), &["--patch-file", patch])),
        case(
            "CANARY-TEMPLATE-CHANGED",
            forward(&canary(|record| "0".clone_into(&mut record.template), vec![])),
        ),
        case("CANARY-OVERWRITES", {
            let facts = canary(|record| "0".clone_into(&mut record.template), vec![]);
            let record = Record::of(&facts.set).expect("a record").expect("a record");
            let state = State::new(&facts, &record, now());
            let theirs = ForeignTemplate::of(&state).expect("a template by somebody else");
            vec![theirs.overwritten(&state)]
        }),
        case("CANARY-ORDINALS-CHANGED", forward(&with_other_ordinals())),
        case("CANARY-POD-REFUSED", {
            let text = "create Pod web-2 in StatefulSet web failed error: exceeded quota: few";
            let event = event("set-1", "FailedCreate", text);
            let event = with(event, "/lastTimestamp", json!(now().to_string()));
            viewed(&without_pod(canary(|_| (), vec![event]), "web-2"))
        }),
        case("CANARY-NO-WAY-BACK", {
            let mut facts = canary(|_| (), vec![]);
            facts.revisions.iter_mut().flatten().for_each(|revision| {
                revision.name = format!("{}-of-another", revision.name);
            });
            viewed(&facts)
        }),
        case("CANARY-NAMESPACE-DELETING", {
            let facts = healthy_with(Vec::new());
            checked(&Facts { namespace_deleting: Some(now()), ..facts }, StartKind::Change)
        }),
        case("CANARY-PARTITION-CHANGED", forward(&canary(|record| record.partition = 1, vec![]))),
        case("CANARY-REPLICAS-CHANGED", forward(&canary(|record| record.replicas = 5, vec![]))),
        case("CANARY-STRATEGY-CHANGED", forward(&canary(|record| record.on_delete = true, vec![]))),
        case("CANARY-POD-BROKEN", forward(&canary(|_| (), vec![broken]))),
        case(
            "CANARY-NOT-STEADY",
            forward_after(&canary(|_| (), vec![]), &canary(|_| (), vec![restarted]), 10),
        ),
        case("CANARY-ESCAPED", forward(&canary(|_| (), vec![on_revision(pod(0), "web-2")]))),
        case("CANARY-DEADLINE", forward_after(&late, &late, 601)),
        case("CANARY-NO-HEADROOM", forward_after(&full, &full, 601)),
        case("CANARY-STABLE-POD-BLOCKS", backward(&rolling_back(vec![pod(2), unready(0, 400)]))),
        case("CANARY-THIRD-REVISION", backward(&rolling_back(vec![third]))),
    ]
}

#[test]
fn every_rule_has_a_case_or_a_reason() {
    let mut shown = BTreeSet::new();
    for Case { id, found } in cases() {
        let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
        assert!(ids.contains(&id), "{id}: {found:?}");
        assert!(shown.insert(id), "{id} twice");
    }
    for (id, why) in ELSEWHERE {
        assert!(shown.insert(id), "{id} has a case here, too");
        assert!(!why.is_empty());
    }
    let all: BTreeSet<&str> = rules::all().iter().map(|rule| rule.id).collect();
    assert_eq!(shown, all);
}

#[test]
fn nothing_speaks_against_a_healthy_set() {
    let found = checked(&healthy_with(Vec::new()), StartKind::Change);
    assert_eq!(found, Vec::new());
}

/// A case of a guard is made of that guard, and of nothing that is allowed
/// along with it.
#[test]
fn what_is_allowed_becomes_a_warning_and_no_other() {
    let owner = json!([{"kind": "Db", "name": "shop", "uid": "o", "controller": true}]);
    let set = with(set(), "/metadata/ownerReferences", owner);
    let facts = healthy_with(vec![with(set, "/metadata/deletionTimestamp", json!(ago(5)))]);
    let mut found = checked(&facts, StartKind::Change);
    Allowed::of([&rules::OWNER]).weigh(&mut found);
    let severity = |id: &str| found.iter().find(|finding| finding.id == id).map(|f| f.severity);
    assert_eq!(severity("CANARY-OWNER"), Some(Severity::Warning));
    assert_eq!(severity("CANARY-BEING-DELETED"), Some(Severity::Error));
    assert!(refuses(&found));
}

/// A patch of another object is a slip of whoever typed it, and no set is
/// looked at for it.
#[test]
fn a_patch_file_about_another_object_is_refused_before_anything_is_read() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    nobody.set_nonblocking(true).expect("a socket");
    let server = format!("--server=http://{}", nobody.local_addr().expect("an address"));
    let patch = |fields: Value| {
        let mut patch = json!({"spec": {"template": {"metadata": {"labels": {"tier": "a"}}}}});
        patch.as_object_mut().expect("a patch").extend(fields.as_object().expect("fields").clone());
        patch.to_string()
    };
    let at = ["--patch-file=-", "-n=shop", &server, "--request-timeout=2s"];
    let start = [["canary", "start", "web", "--yes"].as_slice(), &at].concat();
    let plan = [["canary", "plan", "web"].as_slice(), &at].concat();
    for (fields, said) in [
        (json!({"metadata": {"name": "cache"}}), "its metadata.name is not web"),
        (json!({"metadata": {"namespace": "test"}}), "its metadata.namespace is not shop"),
        (json!({"kind": "Deployment"}), "its kind is not StatefulSet"),
        (json!({"apiVersion": "v1"}), "its apiVersion is not apps/v1"),
    ] {
        for words in [&start, &plan] {
            let (stdout, stderr, code) = run(words, &patch(fields.clone()));
            assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
            let line = format!("invalid value \"-\" for --patch-file: {said}");
            assert!(stderr.contains(&line), "{stderr}");
        }
    }
    let asked = nobody.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(asked, Err(ErrorKind::WouldBlock), "the server was not asked");

    // Of a dump nobody has said the namespace; the set is in `default`.
    let file = tempfile::NamedTempFile::new().expect("a file");
    let named = format!("--patch-file={}", file.path().display());
    let dump = json!({"apiVersion": "v1", "kind": "List", "items": at_rest()}).to_string();
    let words = ["canary", "plan", "web", "--filename=-", &named];
    for (namespace, code) in [("test", 2), ("default", 0)] {
        let metadata = json!({"metadata": {"name": "web", "namespace": namespace}});
        std::fs::write(file.path(), patch(metadata)).expect("a patch");
        let (_, stderr, ended) = run(&words, &dump);
        assert_eq!(ended, Some(code), "{namespace}: {stderr}");
    }
}
