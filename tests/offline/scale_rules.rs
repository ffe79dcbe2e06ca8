//! Every rule of `scale` that can be shown without a cluster, in a case of its
//! own.

use std::collections::BTreeSet;

use clap::Parser;
use jiff::SignedDuration;
use kubectl_stateful::{
    cli::{Cli, Command},
    cluster::claims::Claims,
    manifests::Bundle,
    scale::{
        data::{self, Now, Verdict},
        fresh, guards,
        plan::{self, Memory, Move, State, Terms},
        preview::{Fate, Ordinal, Preview, ScaleRequest},
        record::{ANNOTATION, Record},
        report::AsideView,
        rules,
    },
    workload::{Facts, Finding, SnapshotClass, Snapshots, Survey},
};
use serde_json::{Value, json};

use super::{build::*, words};

/// The rules whose case is with those that run a cluster, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("SCALE-NO-RIGHTS", "the answer of a server"),
    ("SCALE-REPLICAS-CHANGED", "told between two pictures, by whoever runs"),
    ("SCALE-REPLACED", "told by what the watch says, not by one picture"),
    ("SCALE-TAKEN-OVER", "told between two pictures, by whoever runs"),
    ("SCALE-HOOK-FAILED", "a command has to be run"),
    ("SCALE-CHECK-FAILED", "a command has to be run"),
    ("SCALE-SNAPSHOT-FAILED", "the storage has to be asked"),
];

fn facts(objects: &[Value]) -> Facts {
    let mut bundle = Bundle::default();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    bundle.add_text(&list.to_string(), "case").expect("objects");
    bundle.facts("web", None).expect("a set")
}

fn to(to: u32) -> ScaleRequest {
    ScaleRequest { to, ..ScaleRequest::default() }
}

fn preview(facts: &Facts, request: &ScaleRequest) -> Preview {
    Preview::new(&Survey::new(facts, now()), request)
}

fn record(facts: &Facts) -> Option<Record> {
    Record::of(&facts.set).expect("no record or a good one")
}

/// What speaks against this request.
fn refused(objects: &[Value], request: &ScaleRequest) -> Vec<Finding> {
    let facts = facts(objects);
    let survey = Survey::new(&facts, now());
    let pods = facts.pods.clone().unwrap_or_default();
    guards::check(&survey, &preview(&facts, request), request, record(&facts).as_ref(), &pods)
}

fn healthy_with(others: Vec<Value>) -> Vec<Value> {
    replace(healthy(), others)
}

fn deletes(set: Value) -> Value {
    let policy = json!({"whenScaled": "Delete", "whenDeleted": "Retain"});
    with(set, "/spec/persistentVolumeClaimRetentionPolicy", policy)
}

fn keeps(volume: Value) -> Value {
    with(volume, "/spec/persistentVolumeReclaimPolicy", json!("Retain"))
}

fn leaving(object: Value) -> Value {
    with(object, "/metadata/deletionTimestamp", json!(ago(5)))
}

fn owned_by(kind: &str) -> Value {
    let owner = json!([{"apiVersion": "x/v1", "kind": kind, "name": "web", "uid": "o", "controller": true}]);
    with(set(), "/metadata/ownerReferences", owner)
}

fn replicas(count: u32) -> Value {
    with(set(), "/spec/replicas", json!(count))
}

/// A set at two, with the claim of a third from before.
fn at_two() -> Vec<Value> {
    replace(without(healthy(), &["Pod/web-2"]), vec![replicas(2)])
}

/// The same, whose claim was deleted, and whose volume was kept.
fn released() -> Vec<Value> {
    let volume = with(keeps(volume(2)), "/status/phase", json!("Released"));
    replace(without(at_two(), &["PersistentVolumeClaim/www-web-2"]), vec![volume])
}

/// What is said of a claim that the scaling of a record has set aside.
fn still_aside() -> Vec<Finding> {
    let record = Record::begin(&facts(&at_two()).set, 3, "me", now());
    let name = json!(fresh::aside("www-web-2", &record));
    let aside = with(claim(2), "/metadata/name", name);
    let facts = facts(&replace(at_two(), vec![aside]));
    let claims = facts.claims.as_deref().expect("claims");
    let names = fresh::of_record(&facts, &record.abort());
    names.iter().filter_map(|names| AsideView::of(names, claims)).map(|one| one.stays()).collect()
}

/// A pod that is not of the set.
fn reader(claim: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "reader", "namespace": "default", "uid": "reader"},
        "spec": {"nodeName": "node-b", "volumes": [
            {"name": "v", "persistentVolumeClaim": {"claimName": claim}},
        ]},
        "status": {"phase": "Running"},
    })
}

/// A pod of nobody's with the name of an ordinal.
fn stranger() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-2", "namespace": "default", "uid": "stranger"},
        "spec": {"containers": [{"name": "main"}]}, "status": {"phase": "Running"},
    })
}

/// An earlier run has removed ordinal 2, whose pod somebody has taken from the set.
fn still_there() -> Vec<Finding> {
    let mut record = Record::begin(&facts(&healthy()).set, 1, "them", now());
    record.at = 2;
    let note = json!({ANNOTATION: record.text()});
    let set = with(replicas(2), "/metadata/annotations", note);
    refused(&replace(at_two(), vec![set, stranger()]), &to(1))
}

/// A volume that waits for any claim.
fn free() -> Value {
    let free = with(volume(7), "/status/phase", json!("Available"));
    with(free, "/spec/claimRef", Value::Null)
}

/// What is said of volumes that a new claim of ordinal 2 may get, on these nodes.
fn found_free(objects: &[Value], request: &ScaleRequest, nodes: Option<&[Value]>) -> Vec<Finding> {
    let facts = facts(objects);
    let survey = Survey::new(&facts, now());
    guards::free_volumes(&survey, &preview(&facts, request), nodes)
}

/// A set at two that never had a third ordinal, with a template that asks for more than
/// its name.
fn never_three() -> Vec<Value> {
    let gone = ["PersistentVolumeClaim/www-web-2", "PersistentVolume/pv-2"];
    replace(without(at_two(), &gone), vec![asks(replicas(2))])
}

fn asks(set: Value) -> Value {
    let wanted = claim(0)["spec"].clone();
    let wanted = with(wanted, "/volumeName", Value::Null);
    with(set, "/spec/volumeClaimTemplates/0/spec", wanted)
}

/// What is said in the end of a new claim of ordinal 2, and its fate.
fn came(then: &[Value], now_there: &[Value], request: &ScaleRequest) -> (Fate, Vec<Finding>) {
    let before = facts(then).volumes.expect("volumes");
    let (_, mut item, there) = turn(then, now_there, request);
    let told = data::what_came(&mut item, &there, &before, now(), "");
    (item.claims[0].fate, told)
}

fn hooked(container: &str, port: &str) -> Vec<Finding> {
    let line = format!(
        "kubectl-stateful scale web --replicas 2 --before-exec true -c {container} --before-http {port}"
    );
    let cli = Cli::try_parse_from(line.split(' ')).expect("a line");
    let Command::Scale(args) = cli.command else { panic!("it is scale") };
    let facts = facts(&healthy());
    guards::hooks(&Survey::new(&facts, now()), &preview(&facts, &to(2)), &args.hooks)
}

fn autoscaler(kind: &str, api: &str) -> Value {
    json!({
        "apiVersion": api, "kind": kind, "metadata": {"name": "h", "namespace": "default"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}},
    })
}

fn budget(least: u32, allowed: u32) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "default", "generation": 1},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "nginx"}}},
        "status": {
            "observedGeneration": 1, "expectedPods": 3, "currentHealthy": 3,
            "desiredHealthy": least, "disruptionsAllowed": allowed,
        },
    })
}

fn snapshots(class: SnapshotClass, wanted: &str) -> Vec<Finding> {
    let with_driver = with(volume(2), "/spec/csi", json!({"driver": "a", "volumeHandle": "h"}));
    let facts = facts(&healthy_with(vec![with_driver]));
    let mut found = Vec::new();
    let offered = Snapshots::Classes(vec![class]);
    let survey = Survey::new(&facts, now());
    guards::snapshots(&survey, &preview(&facts, &to(2)), &offered, wanted, &mut found);
    found
}

fn class_a(deletes: bool) -> SnapshotClass {
    SnapshotClass { name: "a".to_owned(), driver: "a".to_owned(), deletes, is_default: false }
}

const TERMS: Terms = Terms {
    timeout: Some(SignedDuration::from_mins(10)),
    settle: SignedDuration::ZERO,
    before: false,
    after: false,
    snapshots: false,
    fresh: false,
    unhealthy: false,
    clears: false,
    shares: false,
};

/// What stops a run from `from` to `to`, which looks now and an hour later.
fn stopped(objects: &[Value], from: u32, to: u32) -> Vec<Finding> {
    let facts = facts(objects);
    let mut record = Record::begin(&facts.set, to, "me", now());
    record.from = from;
    let mut memory = Memory::default();
    for later in [0, 3600] {
        let state = State::new(&facts, &record, now() + SignedDuration::from_secs(later));
        memory.observe(&state);
        if let Move::Stop { finding, .. } = plan::next(&state, &TERMS, &mut memory) {
            return vec![finding];
        }
    }
    Vec::new()
}

/// The ordinal 2 of a plan to two, and what is there when its turn comes.
fn turn(then: &[Value], now_there: &[Value], request: &ScaleRequest) -> (Facts, Ordinal, Now) {
    let (before, after) = (facts(then), facts(now_there));
    let item = preview(&before, request).items.remove(0);
    let claims = after.claims.clone().unwrap_or_default();
    let mut volumes = data::volumes_wanted(&[&item]);
    volumes.extend(data::volumes_in_the_end(&[&item]));
    let volumes =
        volumes.into_iter().map(|name| (name.clone(), after.volume(&name).cloned())).collect();
    let pods = after.pods.clone().unwrap_or_default();
    (after, item, Now { claims, volumes, pods, ..Now::default() })
}

fn judged(then: &[Value], now_there: &[Value], request: &ScaleRequest) -> Vec<Finding> {
    let (facts, item, now) = turn(then, now_there, request);
    match data::judge(&facts.set, &[&item], &now, false) {
        Verdict::Go => Vec::new(),
        Verdict::Wait(finding) | Verdict::Stop(finding) => vec![finding],
    }
}

fn ended(then: &[Value], now_there: &[Value], request: &ScaleRequest) -> (Fate, Vec<Finding>) {
    let (_, mut item, now) = turn(then, now_there, request);
    let found = data::outcome(&mut item, &now, true);
    (item.claims[0].fate, found)
}

/// What is in the way of setting the claim of ordinal 2 aside.
fn not_aside() -> Vec<Finding> {
    let facts = facts(&at_two());
    let record = Record::begin(&facts.set, 3, "me", now());
    let names = fresh::names(&facts.set, &record, 2);
    let world =
        Claims { claims: [("www-web-2".to_owned(), pending_claim(2))].into(), ..Claims::default() };
    fresh::plan(&facts.set, &names, &world, true).expect_err("it has no volume").into_list()
}

trait IntoList {
    fn into_list(self) -> Vec<Finding>;
}

impl IntoList for Finding {
    fn into_list(self) -> Vec<Finding> {
        vec![self]
    }
}

struct Case {
    id: &'static str,
    found: Vec<Finding>,
}

fn case(id: &'static str, found: Vec<Finding>) -> Case {
    Case { id, found }
}

fn cases() -> Vec<Case> {
    let mut all = guard_cases();
    let two = to(2);
    let owned = json!([{"apiVersion": "v1", "kind": "Pod", "name": "web-2", "uid": "pod-2"}]);
    let owned = with(claim(2), "/metadata/ownerReferences", owned);
    let blind = without(healthy(), &["Pod/web-0", "Pod/web-1", "Pod/web-2"]);
    let broken = waiting(2, "CrashLoopBackOff", "back-off");
    all.extend([
        case("SCALE-BLIND", stopped(&blind, 3, 2)),
        case("SCALE-DEADLINE", stopped(&healthy_with(vec![unready(0, 30)]), 4, 2)),
        case("SCALE-DOES-NOT-COME-UP", stopped(&healthy_with(vec![broken]), 1, 3)),
        case("SCALE-NOT-RETAINED", judged(&healthy(), &healthy_with(vec![owned]), &two)),
        case(
            "SCALE-DATA-CHANGED",
            judged(&healthy(), &healthy_with(vec![leaving(claim(2))]), &two),
        ),
        case("SCALE-NOT-KEPT", ended(&healthy(), &healthy_with(vec![leaving(claim(2))]), &two).1),
        case("SCALE-FREE-VOLUME", found_free(&replace(never_three(), vec![free()]), &to(3), None)),
        case(
            "SCALE-OLD-VOLUME",
            came(
                &replace(never_three(), vec![free()]),
                &replace(never_three(), vec![with(claim(2), "/spec/volumeName", json!("pv-7"))]),
                &to(3),
            )
            .1,
        ),
        case("SCALE-HOOK-UNUSABLE", hooked("nope", "80/x")),
        case("SCALE-NOT-ASIDE", not_aside()),
        case("SCALE-NO-SNAPSHOTS", snapshots(class_a(false), "b")),
        case("SCALE-SNAPSHOT-DELETES", snapshots(class_a(true), "a")),
    ]);
    all
}

fn guard_cases() -> Vec<Case> {
    let two = to(2);
    let retained = || vec![deletes(set()), keeps(volume(2))];
    let annotated = |key: &str, value: &str| {
        healthy_with(vec![with(set(), "/metadata/annotations", json!({key: value}))])
    };
    let labelled = |key: &str, value: &str| {
        healthy_with(vec![with(set(), "/metadata/labels", json!({key: value}))])
    };
    let begun = Record::begin(&facts(&healthy()).set, 1, "them", now()).text();
    let snapshot = ScaleRequest { snapshot: Some("a".to_owned()), ..to(2) };
    let unusable = facts(&annotated(ANNOTATION, "{}"));
    let why = Record::of(&unusable.set).expect_err("no record");
    let mut unread = facts(&healthy());
    unread.unread.push(kubectl_stateful::workload::Unread {
        resource: "horizontalpodautoscalers.autoscaling".to_owned(),
        why: "forbidden".to_owned(),
    });
    let of_unread =
        guards::check(&Survey::new(&unread, now()), &preview(&unread, &two), &two, None, &[]);
    let (first, second) = (unready(1, 90), unready(2, 90));
    vec![
        case("SCALE-DESTROYS-DATA", refused(&healthy_with(vec![deletes(set())]), &two)),
        case("SCALE-CLAIM-GOES", refused(&healthy_with(retained()), &two)),
        case("SCALE-VOLUME-LEAVING", refused(&healthy_with(vec![leaving(volume(2))]), &two)),
        case("SCALE-SNAPSHOT-NEEDS-CLAIM", refused(&healthy_with(retained()), &snapshot)),
        case("SCALE-READOPTS-DATA", refused(&at_two(), &to(3))),
        case("SCALE-STARTS-EMPTY", refused(&released(), &to(3))),
        case("SCALE-STILL-ASIDE", still_aside()),
        case("SCALE-POD-STAYS", still_there()),
        case("SCALE-NAME-TAKEN", refused(&replace(never_three(), vec![stranger()]), &to(3))),
        case("SCALE-CLAIM-IN-USE", refused(&replace(at_two(), vec![reader("www-web-2")]), &to(3))),
        case("SCALE-CLAIM-LEAVING", refused(&replace(at_two(), vec![leaving(claim(2))]), &to(3))),
        case("SCALE-MEMBER-UNHEALTHY", refused(&healthy_with(vec![unready(0, 5)]), &two)),
        case("SCALE-TWO-BROKEN", refused(&healthy_with(vec![first.clone(), second]), &to(1))),
        case("SCALE-PASSES-BROKEN", refused(&healthy_with(vec![first]), &to(1))),
        case(
            "SCALE-ROLLOUT-IN-PROGRESS",
            refused(
                &healthy_with(vec![with(
                    set(),
                    "/spec/updateStrategy/rollingUpdate/partition",
                    json!(1),
                )]),
                &two,
            ),
        ),
        case("SCALE-CANARY", refused(&annotated("kubectl-stateful.dev/canary", "{}"), &two)),
        case("SCALE-MIGRATION", refused(&labelled("kubectl-stateful.dev/migration", "1"), &two)),
        case("SCALE-OTHER-GOAL", refused(&annotated(ANNOTATION, &begun), &two)),
        case("SCALE-OWNER", refused(&healthy_with(vec![owned_by("Db")]), &two)),
        case(
            "SCALE-HPA",
            refused(
                &healthy_with(vec![autoscaler("HorizontalPodAutoscaler", "autoscaling/v2")]),
                &two,
            ),
        ),
        case(
            "SCALE-KEDA",
            refused(&healthy_with(vec![autoscaler("ScaledObject", "keda.sh/v1alpha1")]), &two),
        ),
        case("SCALE-GITOPS", refused(&labelled("kustomize.toolkit.fluxcd.io/name", "x"), &two)),
        case("SCALE-HELM", refused(&annotated("meta.helm.sh/release-name", "shop"), &two)),
        case("SCALE-NO-HEADROOM", refused(&healthy_with(vec![budget(3, 0)]), &two)),
        case("SCALE-BUDGET-TOO-TIGHT", refused(&healthy_with(vec![budget(2, 1)]), &two)),
        case("SCALE-QUORUM", refused(&healthy(), &two)),
        case("SCALE-TO-ZERO", refused(&healthy(), &to(0))),
        case("SCALE-BEING-DELETED", refused(&healthy_with(vec![leaving(set())]), &two)),
        case("SCALE-RECORD-UNUSABLE", vec![guards::unusable(&Survey::new(&unusable, now()), &why)]),
        case("SCALE-UNREAD", of_unread),
    ]
}

#[test]
fn every_rule_has_a_case_or_a_reason() {
    let mut shown = BTreeSet::new();
    for Case { id, found } in cases() {
        let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
        assert!(ids.contains(&id), "{id}: {found:?}");
        assert!(shown.insert(id), "{id} twice");
        for hint in found.iter().filter_map(|finding| finding.hint.as_deref()) {
            assert!(hint.starts_with("kubectl ") || hint.starts_with("--allow "), "{id}: {hint}");
            words::read_if_ours(hint);
        }
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
    let found = refused(&healthy(), &to(2));
    let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["SCALE-QUORUM"]);
}

/// What becomes of the disk of ordinal 2, before a step and in the end: over
/// every mix of what the set, the claim and the volume say.
#[test]
fn a_disk_has_one_fate() {
    let terminating = || leaving(claim(2));
    let lost = || with(claim(2), "/status/phase", json!("Lost"));
    let elsewhere = || with(volume(2), "/spec/claimRef/uid", json!("another"));
    let no_volume = without(healthy(), &["PersistentVolume/pv-2"]);
    let no_volumes = without(
        healthy(),
        &["PersistentVolume/pv-0", "PersistentVolume/pv-1", "PersistentVolume/pv-2"],
    );
    for (objects, retain, fate) in [
        (healthy(), false, Fate::Kept),
        (healthy_with(vec![deletes(set())]), false, Fate::Destroyed),
        (healthy_with(vec![deletes(set())]), true, Fate::Kept),
        (healthy_with(vec![deletes(set()), keeps(volume(2))]), false, Fate::ClaimGoes),
        (healthy_with(vec![deletes(set()), leaving(keeps(volume(2)))]), false, Fate::VolumeGoes),
        // Someone has deleted the claim: only its pod keeps it, and no flag helps.
        (healthy_with(vec![terminating()]), false, Fate::Destroyed),
        (healthy_with(vec![terminating()]), true, Fate::Destroyed),
        (healthy_with(vec![terminating(), keeps(volume(2))]), true, Fate::ClaimGoes),
        (replace(no_volumes.clone(), vec![terminating()]), true, Fate::Unknown),
        (healthy_with(vec![lost()]), false, Fate::NoVolume),
        (healthy_with(vec![elsewhere()]), false, Fate::NoVolume),
        (healthy_with(vec![pending_claim(2)]), false, Fate::NoVolume),
        (no_volume, false, Fate::NoVolume),
        (no_volumes, false, Fate::Kept),
        (without(healthy(), &["PersistentVolumeClaim/www-web-2"]), false, Fate::Absent),
    ] {
        let request = ScaleRequest { retain, ..to(2) };
        let facts = facts(&objects);
        let found = preview(&facts, &request).items[0].claims[0].fate;
        assert_eq!(found, fate, "{objects:#?}");
    }
}

/// The claims of generic ephemeral volumes go with their pods: that is said, and
/// nothing is refused for it.
#[test]
fn ephemeral_claims_are_named() {
    let mut pod = pod(2);
    pod["spec"]["volumes"] = json!([{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]);
    let mut scratch = with(claim(7), "/metadata/name", json!("web-2-scratch"));
    scratch["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "web-2", "uid": "pod-2"}]);
    let objects = healthy_with(vec![pod, scratch]);
    let facts = facts(&objects);
    let claims = preview(&facts, &to(2)).items.remove(0).claims;
    let fates: Vec<_> = claims.iter().map(|disk| (disk.claim.as_str(), disk.fate)).collect();
    assert_eq!(fates, [("www-web-2", Fate::Kept), ("web-2-scratch", Fate::Ephemeral)]);
    let ids: Vec<_> = refused(&objects, &to(2)).iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["SCALE-QUORUM"]);
}

/// What others do between the plan and the step.
#[test]
fn what_was_agreed_to_is_looked_at_again_before_the_step() {
    let again = with(claim(2), "/metadata/uid", json!("another"));
    let gone = || without(healthy(), &["PersistentVolumeClaim/www-web-2"]);
    let two = to(2);
    for now_there in [
        healthy_with(vec![deletes(set())]),
        healthy_with(vec![leaving(claim(2))]),
        healthy_with(vec![again.clone()]),
        gone(),
    ] {
        let found = judged(&healthy(), &now_there, &two);
        assert_eq!(found.first().map(|one| one.id), Some("SCALE-DATA-CHANGED"), "{now_there:#?}");
        // Its volume can be read, and what becomes of it is known.
        assert!(!found[0].message.contains("volume unknown"), "{found:?}");
    }
    let found = judged(&healthy(), &healthy_with(vec![leaving(claim(2))]), &two);
    assert!(found[0].message.contains("www-web-2 would be: DESTROYED"), "{found:?}");
    // A volume that somebody has taken away is no claim that never had one.
    let no_volume = without(healthy(), &["PersistentVolume/pv-2"]);
    let found = judged(&healthy(), &no_volume, &two);
    assert_eq!(found.first().map(|one| one.id), Some("SCALE-DATA-CHANGED"), "{found:?}");
    // What was said may go, may go; and less is lost than was said.
    let said = healthy_with(vec![deletes(set())]);
    for now_there in [said.clone(), healthy(), healthy_with(vec![deletes(set()), keeps(volume(2))])]
    {
        assert_eq!(judged(&said, &now_there, &two), Vec::new());
    }
    let kept = healthy_with(vec![deletes(set()), keeps(volume(2))]);
    let found = judged(&kept, &said, &two);
    assert_eq!(found.first().map(|one| one.id), Some("SCALE-DATA-CHANGED"));

    // Up: the claim of before, another one, none, one that is in use.
    let three = to(3);
    let gone = without(at_two(), &["PersistentVolumeClaim/www-web-2"]);
    assert_eq!(judged(&at_two(), &at_two(), &three), Vec::new());
    assert_eq!(judged(&gone, &gone, &three), Vec::new());
    for (then, now_there, id) in [
        (at_two(), gone.clone(), "SCALE-DATA-CHANGED"),
        (at_two(), replace(at_two(), vec![again]), "SCALE-DATA-CHANGED"),
        (at_two(), replace(at_two(), vec![leaving(claim(2))]), "SCALE-DATA-CHANGED"),
        (gone, at_two(), "SCALE-DATA-CHANGED"),
        (at_two(), replace(at_two(), vec![reader("www-web-2")]), "SCALE-CLAIM-IN-USE"),
    ] {
        let found = judged(&then, &now_there, &three);
        assert_eq!(found.first().map(|one| one.id), Some(id), "{now_there:#?}");
    }
}

/// The end is told as it is.
#[test]
fn what_was_to_be_kept_is_looked_at_in_the_end() {
    let two = to(2);
    assert_eq!(ended(&healthy(), &healthy(), &two), (Fate::Kept, Vec::new()));
    let released = with(keeps(volume(2)), "/status/phase", json!("Released"));
    let gone = ["PersistentVolumeClaim/www-web-2", "PersistentVolume/pv-2"];
    for (now_there, fate) in [
        (healthy_with(vec![leaving(claim(2))]), Fate::Destroyed),
        (without(healthy(), &gone), Fate::Destroyed),
        (replace(without(healthy(), &gone[..1]), vec![released]), Fate::ClaimGoes),
    ] {
        let (found, reasons) = ended(&healthy(), &now_there, &two);
        assert_eq!(found, fate);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].message.contains("the plan said: kept"), "{reasons:?}");
    }
}

/// A volume that is being deleted is not called kept, and a claim that has lost its
/// volume is no claim that never had one.
#[test]
fn a_volume_that_goes_is_told_from_one_that_stays() {
    let two = to(2);
    let (fate, found) = ended(&healthy(), &healthy_with(vec![leaving(volume(2))]), &two);
    assert_eq!((fate, found), (Fate::UntilClaimGoes, Vec::new()));
    let lost = with(claim(2), "/status/phase", json!("Lost"));
    let lost = replace(without(healthy(), &["PersistentVolume/pv-2"]), vec![lost]);
    let (fate, found) = ended(&healthy(), &lost, &two);
    assert_eq!((fate, found.len()), (Fate::Destroyed, 1), "{found:?}");
    assert!(found[0].message.contains("has lost its volume"), "{found:?}");
}

/// An ordinal without a claim starts empty only where nobody has the data, or where
/// that was said.
#[test]
fn a_volume_that_a_claim_has_left_is_asked_about() {
    let ids = |objects: &[Value], request: &ScaleRequest| {
        let found = refused(objects, request);
        found.iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    let fresh = ScaleRequest { fresh: true, ..to(3) };
    assert_eq!(ids(&released(), &fresh), Vec::<&str>::new());
    let abort = ScaleRequest { aborts: true, ..to(3) };
    assert_eq!(ids(&released(), &abort), ["SCALE-STARTS-EMPTY"]);
    for other in [
        leaving(with(keeps(volume(2)), "/status/phase", json!("Released"))),
        with(volume(2), "/status/phase", json!("Released")),
    ] {
        assert_eq!(ids(&replace(released(), vec![other]), &to(3)), Vec::<&str>::new());
    }
    // The binder gives a volume that is reserved by name to the new claim.
    let reserved = with(keeps(volume(2)), "/status/phase", json!("Available"));
    let reserved = replace(released(), vec![reserved]);
    assert_eq!(ids(&reserved, &to(3)), ["SCALE-READOPTS-DATA"]);
    assert_eq!(ids(&reserved, &fresh), ["SCALE-READOPTS-DATA"]);
    // An earlier scaling has set the claim aside; this one of ours has its own finding.
    let record = Record::begin(&facts(&at_two()).set, 3, "me", now());
    let aside = with(claim(2), "/metadata/name", json!(fresh::aside("www-web-2", &record)));
    let aside = replace(without(at_two(), &["PersistentVolumeClaim/www-web-2"]), vec![aside]);
    let line = "kubectl stateful orphans adopt pvc/www-web-2-aside-";
    let found = refused(&aside, &to(3)).remove(0);
    assert_eq!(found.id, "SCALE-STARTS-EMPTY");
    assert!(found.hint.as_deref().is_some_and(|hint| hint.starts_with(line)), "{found:?}");
    assert_eq!(ids(&aside, &fresh), Vec::<&str>::new());
    let note = json!({ANNOTATION: record.text()});
    let own = replace(aside, vec![with(at_two().remove(0), "/metadata/annotations", note)]);
    assert_eq!(ids(&own, &to(3)), Vec::<&str>::new());
    let one = refused(&released(), &to(3)).remove(0);
    let line = "kubectl stateful orphans adopt pv/pv-2 --to web/2 --template www -n default";
    assert_eq!(one.hint.as_deref(), Some(line));
    let other = with(volume(2), "/metadata/name", json!("pv-9"));
    let other = with(keeps(other), "/status/phase", json!("Released"));
    let several = refused(&replace(released(), vec![other]), &to(3)).remove(0);
    assert!(several.message.contains("pv-2") && several.message.contains("pv-9"), "{several:?}");
    assert_eq!(several.hint.as_deref(), Some("kubectl stateful orphans web -n default -o wide"));
}

/// A volume that waits for any claim is told where a new claim may get it, and no other.
#[test]
fn a_volume_that_waits_for_any_claim_is_told() {
    let names = |change: &dyn Fn(Value) -> Value, set: Value, nodes: Option<&[Value]>| {
        let objects = replace(never_three(), vec![change(free()), set]);
        found_free(&objects, &to(3), nodes)
    };
    let plain = || asks(replicas(2));
    let said = |found: Vec<Finding>| found.into_iter().map(|one| one.message).collect::<String>();
    let fits = said(names(&|volume| volume, plain(), None));
    assert!(fits.starts_with("claim www-web-2 may not get a new disk: volume pv-7 is"), "{fits}");
    let unfit: [fn(Value) -> Value; 7] = [
        leaving,
        |volume| with(volume, "/spec/capacity/storage", json!("1Mi")),
        |volume| with(volume, "/spec/accessModes", json!(["ReadOnlyMany"])),
        |volume| with(volume, "/spec/volumeMode", json!("Block")),
        |volume| with(volume, "/spec/storageClassName", json!("other")),
        |volume| with(volume, "/status/phase", json!("Released")),
        |volume| with(volume, "/spec/claimRef", json!({"namespace": "x", "name": "y"})),
    ];
    for change in unfit {
        assert_eq!(said(names(&change, plain(), None)), "", "{:#}", change(free()));
    }
    // The labels that a claim selects.
    let selects = |set: Value| {
        let wanted = json!({"matchLabels": {"tier": "fast"}});
        with(set, "/spec/volumeClaimTemplates/0/spec/selector", wanted)
    };
    let fast = |volume: Value| with(volume, "/metadata/labels", json!({"tier": "fast"}));
    assert_eq!(said(names(&|volume| volume, selects(plain()), None)), "");
    assert_ne!(said(names(&fast, selects(plain()), None)), "");
    // The nodes matter where the class waits for a pod.
    let term = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]});
    let local = |volume: Value| {
        let required = json!({"required": {"nodeSelectorTerms": [term]}});
        with(volume, "/spec/nodeAffinity", required)
    };
    let node = |zone: &str| json!({"metadata": {"name": "n", "labels": {"zone": zone}}});
    assert_ne!(said(names(&local, plain(), Some(&[node("b")]))), "", "it is bound without a look");
    let waits = class("standard", "example.com/disk", "WaitForFirstConsumer");
    let local = |nodes: Option<&[Value]>| {
        let objects = replace(never_three(), vec![local(free()), waits.clone()]);
        said(found_free(&objects, &to(3), nodes))
    };
    assert_eq!(local(Some(&[node("b")])), "");
    assert!(!local(Some(&[node("b"), node("a")])).contains("nodes could not be read"));
    assert!(local(None).contains("nodes could not be read"));
    // An old claim keeps its volume, unless it is set aside.
    let old = replace(at_two(), vec![free(), plain()]);
    assert_eq!(said(found_free(&old, &to(3), None)), "");
    assert_ne!(said(found_free(&old, &ScaleRequest { fresh: true, ..to(3) }, None)), "");
}

/// The volume of a new claim is one that was made for it, or is told.
#[test]
fn a_new_claim_on_an_older_volume_is_told_in_the_end() {
    let before = replace(never_three(), vec![free()]);
    let bound = |volume: &str| {
        replace(before.clone(), vec![with(claim(2), "/spec/volumeName", json!(volume))])
    };
    assert_eq!(came(&before, &bound("pv-new"), &to(3)), (Fate::New, Vec::new()));
    assert_eq!(came(&before, &before, &to(3)), (Fate::Absent, Vec::new()));
    let (fate, told) = came(&before, &bound("pv-7"), &to(3));
    assert_eq!(fate, Fate::Found);
    assert!(told[0].message.contains("claim www-web-2 is bound to volume pv-7"), "{told:?}");
    assert_eq!(told[0].hint.as_deref(), Some("kubectl describe pv pv-7"));
}

/// What a hook names is looked for where it would run.
#[test]
fn hooks_are_held_against_the_pods_that_leave() {
    assert_eq!(hooked("nginx", "80/x"), Vec::new());
    let both = hooked("nope", "nope/x");
    let said: Vec<&str> = both.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        said,
        [
            "pod web-2 has no container nope; it has nginx",
            "--before-http POST:nope/x: the template has no port nope",
        ]
    );
}

/// An earlier run of the same has added an ordinal that is not ready yet: the
/// same command waits for it, and does not refuse.
#[test]
fn an_ordinal_that_was_just_added_is_waited_for() {
    let coming = healthy_with(vec![unready(2, 5)]);
    let mut record = Record::begin(&facts(&coming).set, 4, "them", now());
    record.from = 2;
    let note = json!({ANNOTATION: record.text()});
    let begun = replace(coming.clone(), vec![with(set(), "/metadata/annotations", note)]);
    let ids = |objects: &[Value], request: &ScaleRequest| {
        let found = refused(objects, request);
        found.iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&coming, &to(4)), ["SCALE-MEMBER-UNHEALTHY"]);
    assert_eq!(ids(&begun, &to(4)), Vec::<&str>::new());
    // Back to where it began is refused, unless it is said to be that.
    assert!(ids(&begun, &to(2)).contains(&"SCALE-OTHER-GOAL"));
    let abort = ScaleRequest { aborts: true, ..to(2) };
    assert!(!ids(&begun, &abort).contains(&"SCALE-OTHER-GOAL"));
    // Typed again, it does not turn round.
    let back = record.abort();
    assert_eq!((back.from, back.to, back.at), (3, 2, 3));
    assert_eq!(back.abort(), back);
}

/// Its last pod is gone, and its node may still write to it.
#[test]
fn a_volume_that_is_still_attached_is_waited_for() {
    let (facts, item, mut now) = turn(&at_two(), &at_two(), &to(3));
    assert_eq!(data::judge(&facts.set, &[&item], &now, false), Verdict::Go);
    let volume = item.claims[0].volume.clone().expect("a volume");
    now.attached.insert(volume, "node-a".to_owned());
    let Verdict::Wait(finding) = data::judge(&facts.set, &[&item], &now, false) else {
        panic!("it does not wait");
    };
    assert_eq!(finding.id, rules::CLAIM_IN_USE.id);
    assert!(finding.message.contains("still attached to node-a"), "{finding:?}");
    assert_eq!(data::judge(&facts.set, &[&item], &now, true), Verdict::Go);
}
