//! `migrate convert` from files to words: scenarios with snapshots, a case for
//! every rule, and what holds for all manifests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use kubectl_stateful::{
    manifests::Text,
    migrate::{
        convert::{Class, Conversion, Mode, Options, Outcome, convert},
        files::Manifests,
        rules,
    },
    workload::Allowed,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{cli::run, scenarios::yaml_files};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Both streams and the code of one run.
fn seen(words: &[&str], stdin: &str) -> String {
    let (stdout, stderr, code) = run(&[&["migrate", "convert"], words].concat(), stdin);
    let code = code.map_or("signal".to_owned(), |code| code.to_string());
    format!("{stdout}=== stderr ===\n{stderr}[exit {code}]\n")
}

fn snapshot(name: String, seen: &str) {
    insta::with_settings!({
        snapshot_path => "../scenarios/convert",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, seen);
    });
}

/// The first line of each scenario is the command.
#[test]
fn every_scenario_converts_to_its_snapshot() {
    for file in yaml_files(&root().join("tests/scenarios/convert")) {
        let text = fs::read_to_string(&file).expect("a scenario");
        let words = text.lines().next().and_then(|line| line.strip_prefix("# convert "));
        let words: Vec<&str> = words.expect("a header").split(' ').collect();
        snapshot(stem(&file), &seen(&words, &text));
    }
}

/// The seeds as they are, and the way the issue wants ZooKeeper's.
#[test]
fn seeds_convert_to_their_snapshots() {
    let mut files = yaml_files(&root().join("tests/apps/seeds"));
    files.push(root().join("tests/apps/mysql-deployment.yaml"));
    files.push(root().join("tests/apps/zookeeper-deployment.yaml"));
    for file in files {
        let folder = if file.starts_with(root().join("tests/apps/seeds")) { "seed" } else { "app" };
        let shown = file.strip_prefix(root()).expect("inside").display().to_string();
        let mut words = vec!["-f", &shown];
        if shown.contains("zookeeper-deployment") {
            words.extend(["--claim", "zookeeper-data=zookeeper-vol"]);
        }
        let text = fs::read_to_string(&file).expect("a seed");
        let out = seen(&words, "");
        if !text.contains("kind: Deployment") {
            assert_eq!(
                out,
                format!("{text}=== stderr ===\n[exit 0]\n"),
                "{shown} is passed through"
            );
            continue;
        }
        snapshot(format!("{folder}-{}", stem(&file)), &out);
    }
}

fn manifests(text: &str) -> Manifests {
    let text = Text { name: "test".to_owned(), path: None, text: text.to_owned() };
    Manifests::from_texts(vec![text]).expect("manifests")
}

/// A Deployment `db` on claim `data`, and that claim; `---` between the parts.
const APP: &str = "\
{apiVersion: apps/v1, kind: Deployment, metadata: {name: db}, spec: {selector: {matchLabels: {app: db}},
 template: {metadata: {labels: {app: db}}, spec: {
  containers: [{name: db, image: x, volumeMounts: [{name: data, mountPath: /d}]}],
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]}}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data},
 spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {clusterIP: None, selector: {app: db}}}
";

fn object(kind: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    for (key, value) in rest.as_object().expect("fields") {
        object[key] = value.clone();
    }
    object
}

/// The application with values set at (object, pointer), and more objects.
fn app(changes: &[(usize, &str, Value)], more: &[Value]) -> Vec<Value> {
    let mut objects = manifests(APP).objects;
    for (index, pointer, value) in changes {
        objects[*index] = super::build::with(objects[*index].clone(), pointer, value.clone());
    }
    objects.extend(more.iter().cloned());
    objects
}

struct Case {
    name: &'static str,
    objects: Vec<Value>,
    options: Options,
    /// Exactly these beside those of every claim that moves.
    ids: &'static [&'static str],
}

fn case(
    name: &'static str,
    objects: Vec<Value>,
    options: Options,
    ids: &'static [&'static str],
) -> Case {
    Case { name, objects, options, ids }
}

fn plain() -> Options {
    Options::default()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let owner = json!([{"apiVersion": "x/v1", "kind": "Database", "name": "db", "uid": "1"}]);
    let volumes = "/spec/template/spec/volumes";
    let two = json!([
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "more", "persistentVolumeClaim": {"claimName": "data", "readOnly": true}},
    ]);
    let other = |kind: &str| {
        let template =
            json!({"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}});
        object(kind, "other", &json!({"apiVersion": "apps/v1", "spec": {"template": template}}))
    };
    let hpa = |kind: &str, api: &str, field: &str| {
        let target = json!({"kind": "Deployment", "name": "db"});
        object(kind, "auto", &json!({"apiVersion": api, "spec": {field: target}}))
    };
    let hpa = hpa("HorizontalPodAutoscaler", "autoscaling/v2", "scaleTargetRef");
    let long = "a".repeat(53);
    let from = Options { from: vec!["db".into(), "db2".into()], ..plain() };
    let second = |claim: &str, image: &str| {
        let mut second = app(&[], &[])[0].clone();
        second = super::build::with(second, "/metadata/name", json!("db2"));
        second = super::build::with(second, "/spec/template/spec/containers/0/image", json!(image));
        super::build::with(
            second,
            "/spec/template/spec/volumes/0/persistentVolumeClaim/claimName",
            json!(claim),
        )
    };
    let claim2 = super::build::with(app(&[], &[])[1].clone(), "/metadata/name", json!("data2"));
    vec![
        case("plain", app(&[], &[]), plain(), &[]),
        case(
            "owner",
            app(&[(0, "/metadata/ownerReferences", owner.clone())], &[]),
            plain(),
            &["MIGRATE-OWNER", "MIGRATE-SERVER-SET"],
        ),
        case(
            "paused",
            app(&[(0, "/spec/paused", json!(true))], &[]),
            plain(),
            &["MIGRATE-PAUSED", "MIGRATE-FIELD-DROPPED"],
        ),
        case(
            "paused, allowed",
            app(&[(0, "/spec/paused", json!(true))], &[]),
            Options { allow: Allowed::of([&rules::PAUSED]), ..plain() },
            &["MIGRATE-PAUSED", "MIGRATE-FIELD-DROPPED"],
        ),
        case(
            "rollout",
            app(&[(0, "/status", json!({"observedGeneration": 1, "updatedReplicas": 0}))], &[]),
            plain(),
            &["MIGRATE-ROLLOUT-IN-PROGRESS", "MIGRATE-SERVER-SET"],
        ),
        case(
            "deleted",
            app(&[(1, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"))], &[]),
            plain(),
            &["MIGRATE-BEING-DELETED", "MIGRATE-SERVER-SET"],
        ),
        case("no claim given", app(&[], &[])[..1].to_vec(), plain(), &["MIGRATE-PVC-MISSING"]),
        case(
            "no claim given, kept",
            app(&[], &[])[..1].to_vec(),
            Options { mode: Mode::Keep, ..plain() },
            &["MIGRATE-SERVICE-CREATED"],
        ),
        case(
            "shared",
            app(&[(0, "/spec/replicas", json!(2))], &[]),
            plain(),
            &["MIGRATE-PVC-SHARED"],
        ),
        case(
            "shared, one stays",
            app(&[(0, "/spec/replicas", json!(2))], &[]),
            Options { replicas: Some(1), ..plain() },
            &["MIGRATE-FIELD-DROPPED"],
        ),
        case(
            "other user",
            app(&[], &[other("DaemonSet")]),
            plain(),
            &["MIGRATE-PVC-OTHER-USER", "MIGRATE-REFERENCE"],
        ),
        case(
            "lost claim",
            app(&[(1, "/status/phase", json!("Lost"))], &[]),
            plain(),
            &["MIGRATE-PVC-UNUSABLE", "MIGRATE-SERVER-SET"],
        ),
        case(
            "owned claim",
            app(&[(1, "/metadata/ownerReferences", owner)], &[]),
            plain(),
            &["MIGRATE-PVC-UNUSABLE", "MIGRATE-SERVER-SET"],
        ),
        case(
            "held claim",
            app(
                &[(
                    1,
                    "/metadata/finalizers",
                    json!(["snapshot.storage.kubernetes.io/pvc-as-source-protection"]),
                )],
                &[],
            ),
            plain(),
            &["MIGRATE-PVC-UNUSABLE", "MIGRATE-SERVER-SET"],
        ),
        case(
            "empty ordinals",
            app(&[], &[]),
            Options { replicas: Some(3), ..plain() },
            &["MIGRATE-EMPTY-ORDINALS"],
        ),
        case(
            "long",
            app(&[], &[]),
            Options { name: Some(long), ..plain() },
            &["MIGRATE-NAME-TOO-LONG"],
        ),
        case(
            "dots",
            app(&[], &[]),
            Options { name: Some("db.prod".into()), ..plain() },
            &["MIGRATE-NAME-UNUSABLE"],
        ),
        case(
            "set taken",
            app(&[], &[object("StatefulSet", "db", &json!({"apiVersion": "apps/v1"}))]),
            plain(),
            &["MIGRATE-NAME-TAKEN"],
        ),
        case(
            "claim taken",
            app(&[], &[object("PersistentVolumeClaim", "data-db-0", &json!({}))]),
            plain(),
            &["MIGRATE-NAME-TAKEN"],
        ),
        case("claim twice", app(&[], &app(&[], &[])[1..2]), plain(), &["MIGRATE-NAME-TAKEN"]),
        case(
            "service unfit",
            app(&[(2, "/spec/clusterIP", json!(""))], &[]),
            Options { service: Some("db".into()), ..plain() },
            &["MIGRATE-SERVICE-UNFIT"],
        ),
        case(
            "service unseen",
            app(&[], &[]),
            Options { service: Some("peers".into()), ..plain() },
            &["MIGRATE-SERVICE-UNSEEN"],
        ),
        case(
            "service created",
            app(&[(2, "/spec/clusterIP", json!(""))], &[]),
            plain(),
            &["MIGRATE-SERVICE-CREATED"],
        ),
        case(
            "folded",
            app(&[], &[second("data2", "x"), claim2.clone()]),
            from.clone(),
            &["MIGRATE-FIELD-DROPPED"],
        ),
        case(
            "unlike",
            app(&[], &[second("data2", "y"), claim2]),
            from.clone(),
            &["MIGRATE-TEMPLATES-DIFFER"],
        ),
        case(
            "not own",
            app(&[], &[second("data", "x")]),
            from,
            &["MIGRATE-FIELD-DROPPED", "MIGRATE-PVC-NOT-OWN"],
        ),
        case(
            "argo",
            app(&[(0, "/metadata/labels", json!({"argocd.argoproj.io/instance": "db"}))], &[]),
            plain(),
            &["MIGRATE-GITOPS", "MIGRATE-KEY-DROPPED"],
        ),
        case(
            "flux",
            app(&[(0, "/metadata/labels", json!({"kustomize.toolkit.fluxcd.io/name": "db"}))], &[]),
            plain(),
            &["MIGRATE-GITOPS", "MIGRATE-KEY-DROPPED"],
        ),
        case(
            "helm",
            app(&[(0, "/metadata/annotations", json!({"meta.helm.sh/release-name": "db"}))], &[]),
            plain(),
            &["MIGRATE-HELM"],
        ),
        case(
            "named in a command",
            app(
                &[],
                &[object(
                    "Job",
                    "j",
                    &json!({"spec": {"args": ["rollout restart deployment/db"]}}),
                )],
            ),
            plain(),
            &["MIGRATE-REFERENCE"],
        ),
        case(
            "another is named",
            app(
                &[],
                &[object(
                    "Job",
                    "j",
                    &json!({"spec": {"args": ["rollout restart deployment/db-2 sdeploy/db"]}}),
                )],
            ),
            plain(),
            &[],
        ),
        case(
            "claim named",
            app(&[], &[object("ReplicationSource", "r", &json!({"spec": {"sourcePVC": "data"}}))]),
            plain(),
            &["MIGRATE-REFERENCE"],
        ),
        case("autoscaler", app(&[], std::slice::from_ref(&hpa)), plain(), &["MIGRATE-AUTOSCALER"]),
        case(
            "autoscaler, asked",
            app(&[], &[hpa]),
            Options {
                retarget: vec![kubectl_stateful::migrate::convert::Retarget::Hpa],
                ..plain()
            },
            &["MIGRATE-RETARGETED"],
        ),
        case(
            "selector lost",
            app(
                &[],
                &[object(
                    "Service",
                    "s",
                    &json!({"spec": {"selector": {"pod-template-hash": "1"}}}),
                )],
            ),
            plain(),
            &["MIGRATE-SELECTOR-LOST"],
        ),
        case(
            "pod name",
            app(&[(0, "/spec/template/spec/hostname", json!("db"))], &[]),
            plain(),
            &["MIGRATE-POD-NAME"],
        ),
        case(
            "class unset",
            app(&[(1, "/spec", json!({"accessModes": ["ReadWriteOnce"]}))], &[]),
            plain(),
            &["MIGRATE-CLASS-UNSET"],
        ),
        case(
            "unknown field",
            app(&[(0, "/spec/future", json!(1))], &[]),
            plain(),
            &["MIGRATE-UNKNOWN-FIELD"],
        ),
        case("no claim", app(&[(0, volumes, json!([]))], &[]), plain(), &["MIGRATE-NO-CLAIM"]),
        case(
            "no claim, named",
            app(&[(0, volumes, json!([]))], &[]),
            Options { deployments: vec!["db".into()], ..plain() },
            &[],
        ),
        case(
            "twice",
            app(&[(0, volumes, two)], &[]),
            plain(),
            &["MIGRATE-PVC-TWICE", "MIGRATE-READ-ONLY"],
        ),
        case(
            "scratch",
            app(
                &[(0, "/spec/template/spec/volumes/0", json!({"name": "data", "emptyDir": {}}))],
                &[],
            ),
            Options { deployments: vec!["db".into()], ..plain() },
            &["MIGRATE-SCRATCH"],
        ),
        case(
            "host port",
            app(
                &[(
                    0,
                    "/spec/template/spec/containers/0/ports",
                    json!([{"containerPort": 1, "hostPort": 1}]),
                )],
                &[],
            ),
            plain(),
            &["MIGRATE-HOST-PORT"],
        ),
        case(
            "old API",
            app(&[(0, "/apiVersion", json!("extensions/v1beta1"))], &[]),
            plain(),
            &["MIGRATE-OLD-API"],
        ),
        case(
            "instance",
            app(
                &[(
                    0,
                    "/spec/selector/matchLabels",
                    json!({"app": "db", "app.kubernetes.io/instance": "db"}),
                )],
                &[],
            ),
            plain(),
            &["MIGRATE-INSTANCE-LABEL"],
        ),
    ]
}

fn converted(case: &Case) -> Conversion {
    convert(&case.objects, &case.options).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

#[test]
fn every_case_has_its_findings_and_every_rule_a_case() {
    let mut said = BTreeSet::new();
    for case in cases() {
        let conversion = converted(&case);
        let ids: BTreeSet<&str> = conversion.findings.iter().map(|finding| finding.id).collect();
        said.extend(&ids);
        let expected: BTreeSet<&str> = case.ids.iter().copied().collect();
        let usual = ["MIGRATE-BINDING", "MIGRATE-PVC-FIRST"];
        let ids: BTreeSet<&str> = ids.into_iter().filter(|id| !usual.contains(id)).collect();
        assert_eq!(ids, expected, "{}: {:#?}", case.name, conversion.findings);
    }
    // Said where text is: in the snapshots.
    said.extend(["MIGRATE-COMMENTS-LOST", "MIGRATE-LABEL-CHANGED", "MIGRATE-NOT-AN-OBJECT"]);
    let all = [rules::REFUSALS, rules::WARNINGS, rules::NOTES].concat();
    let all: BTreeSet<&str> = all.iter().map(|rule| rule.id).collect();
    assert_eq!(said, all, "every rule has a case");
}

fn bodies(conversion: &Conversion, kind: &str) -> Vec<Value> {
    let made = conversion.outcomes.iter().flat_map(|outcome| match outcome {
        Outcome::Replaced(made) => made.clone(),
        Outcome::Kept => Vec::new(),
    });
    made.map(|made| made.body).filter(|body| body["kind"] == kind).collect()
}

#[test]
fn a_read_only_volume_is_read_only_in_each_mount() {
    let case = cases().into_iter().find(|case| case.name == "twice").expect("the case");
    let mounts = json!([{"name": "data", "mountPath": "/d"}, {"name": "more", "mountPath": "/m"}]);
    let objects = super::build::with(
        case.objects[0].clone(),
        "/spec/template/spec/containers/0/volumeMounts",
        mounts,
    );
    let case = Case { objects: [&[objects], &case.objects[1..]].concat(), ..case };
    let set = &bodies(&converted(&case), "StatefulSet")[0];
    assert_eq!(
        set["spec"]["template"]["spec"]["containers"][0]["volumeMounts"],
        json!([
            {"name": "data", "mountPath": "/d"},
            {"name": "data", "mountPath": "/m", "readOnly": true},
        ])
    );
    assert_eq!(set["spec"]["volumeClaimTemplates"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_claim_that_has_the_name_already_is_not_touched() {
    let objects = app(
        &[
            (
                0,
                "/spec/template/spec/volumes/0/persistentVolumeClaim/claimName",
                json!("data-db-0"),
            ),
            (1, "/metadata/name", json!("data-db-0")),
        ],
        &[],
    );
    let conversion = convert(&objects, &plain()).expect("a conversion");
    assert_eq!(conversion.outcomes[1], Outcome::Kept);
    assert!(!conversion.is_refused(), "{:?}", conversion.findings);
}

#[test]
fn files_are_written_all_or_none_and_never_over_something_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&input).expect("a folder");
    fs::write(input.join("app.yaml"), APP).expect("a file");
    let other = "# kept\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: c}   # too\n";
    fs::write(input.join("other.yml"), other).expect("a file");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}]});
    fs::write(input.join("list.json"), list.to_string()).expect("a file");
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let (input, shown) = (path(&input), path(&out));
    let words = ["migrate", "convert", "-f", &input, "--out", &shown];
    let (stdout, stderr, code) = run(&words, "");
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout, format!("{shown}/app.yaml\n{shown}/list.json\n{shown}/other.yml\n"));
    let read = |name: &str| fs::read_to_string(out.join(name)).expect("a file");
    assert_eq!(read("other.yml"), other);
    assert_eq!(serde_json::from_str::<Value>(&read("list.json")).expect("JSON"), list);
    assert!(read("app.yaml").contains("kind: StatefulSet"));
    assert_eq!(run(&words, "").2, Some(0), "the same again changes nothing");
    fs::write(out.join("other.yml"), "mine").expect("a file");
    fs::remove_file(out.join("app.yaml")).expect("it was there");
    let (stdout, stderr, code) = run(&words, "");
    assert_eq!((stdout.as_str(), code), ("", Some(4)), "{stderr}");
    assert!(stderr.contains("other.yml") && !out.join("app.yaml").exists(), "{stderr}");
    assert_eq!(run(&[&words[..], &["--yes"]].concat(), "").2, Some(0));
    assert_eq!(read("other.yml"), other);
    let twins = [format!("{input}/other.yml"), format!("{shown}/other.yml")];
    let words = ["migrate", "convert", "-f", &twins[0], "-f", &twins[1], "--out", &shown];
    let (_, stderr, code) = run(&words, "");
    assert_eq!(code, Some(2), "two files of one name: {stderr}");
}

/// The application under another name, whose claim three pods share.
fn shared() -> String {
    let text = APP.replace("name: db", "name: web").replace("app: db", "app: web");
    let text = text.replace("claimName: data", "claimName: files");
    let text = text.replace("metadata: {name: data}", "metadata: {name: files}");
    text.replace("{selector:", "{replicas: 3, selector:")
}

#[test]
fn one_that_is_refused_stops_no_other_and_is_named_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let (good, bad) = (folder.path().join("db.yaml"), folder.path().join("web.yaml"));
    fs::write(&good, APP).expect("a file");
    let comment = "# the web\n# with one folder for all\n";
    fs::write(&bad, format!("{comment}{}", shared())).expect("a file");
    let folder = folder.path().to_string_lossy().into_owned();
    let (stdout, stderr, code) = run(&["migrate", "convert", "-f", &folder], "");
    assert_eq!(code, Some(4), "{stderr}");
    let place = format!("Deployment web ({folder}/web.yaml line 3) is not converted: 3 replicas");
    let seen = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(seen.contains(&place), "{stderr}");
    let kinds: Vec<(String, String)> = manifests(&stdout)
        .objects
        .iter()
        .map(|one| {
            (
                one["kind"].as_str().unwrap_or_default(),
                one["metadata"]["name"].as_str().unwrap_or_default(),
            )
        })
        .map(|(kind, name)| (kind.to_owned(), name.to_owned()))
        .collect();
    let has = |kind: &str, name: &str| kinds.contains(&(kind.to_owned(), name.to_owned()));
    assert!(has("StatefulSet", "db") && !has("Deployment", "db"), "{kinds:?}");
    assert!(has("Deployment", "web") && has("PersistentVolumeClaim", "files"), "{kinds:?}");
    // What is refused stands there as it was.
    assert!(stdout.contains(&shared().split("---").next().expect("it")[..60]), "{stdout}");
    let (stdout, _, code) = run(&["migrate", "convert", "-f", &folder, "-o", "json"], "");
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, &document["result"]), (Some(4), &json!("refused")));
    assert_eq!(document["sets"].as_array().map(Vec::len), Some(1), "{document}");
    assert_eq!(document["reasons"][0]["id"], "MIGRATE-PVC-SHARED");
    // Alone, it leaves nothing to write.
    let bad = bad.to_string_lossy().into_owned();
    let (stdout, stderr, code) = run(&["migrate", "convert", "-f", &bad], "");
    assert_eq!((stdout.as_str(), code), ("", Some(4)), "{stderr}");
    assert!(stderr.contains("web.yaml line 3"), "{stderr}");
}

#[test]
fn a_folder_may_have_files_that_are_no_objects() {
    let folder = tempfile::tempdir().expect("a folder");
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&input).expect("a folder");
    let kustomization = "resources:\n- app.yaml   # the database\n";
    let values = "{\"replicas\": 1}\n";
    for (name, text) in
        [("app.yaml", APP), ("kustomization.yaml", kustomization), ("values.json", values)]
    {
        fs::write(input.join(name), text).expect("a file");
    }
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let (shown, into) = (path(&input), path(&out));
    let (_, stderr, code) = run(&["migrate", "convert", "-f", &shown, "--out", &into], "");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("MIGRATE-NOT-AN-OBJECT"), "{stderr}");
    let read = |name: &str| fs::read_to_string(out.join(name)).expect("a file");
    assert_eq!(read("kustomization.yaml"), kustomization);
    assert_eq!(read("values.json"), values);
    assert!(read("app.yaml").contains("kind: StatefulSet"));
    let (stdout, ..) = run(&["migrate", "convert", "-f", &shown], "");
    assert!(
        !stdout.contains("resources:\n- app.yaml") && !stdout.contains("replicas\""),
        "{stdout}"
    );
    // Who names it means it as a manifest.
    let named = path(&input.join("kustomization.yaml"));
    assert_eq!(run(&["migrate", "convert", "-f", &named], "").2, Some(1));
}

#[test]
fn lines_end_as_they_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.yaml");
    let text = fs::read_to_string(root().join("tests/apps/seeds/mysql-deployment.yaml"));
    let text = text.expect("a seed");
    fs::write(&file, text.replace('\n', "\r\n")).expect("a file");
    let (file, out) = (file.to_string_lossy().into_owned(), folder.path().join("out"));
    let (stdout, _, code) = run(&["migrate", "convert", "-f", &file], "");
    assert_eq!(code, Some(0));
    let bare = |text: &str| text.replace("\r\n", "").contains(['\r', '\n']);
    assert!(stdout.contains("kind: StatefulSet\r\n") && !bare(&stdout), "{stdout:?}");
    let (plain, ..) = run(&["migrate", "convert", "-f", "-"], &text);
    assert_eq!(stdout.replace("\r\n", "\n"), plain);
    let shown = out.to_string_lossy().into_owned();
    run(&["migrate", "convert", "-f", &file, "--out", &shown], "");
    let written = fs::read_to_string(out.join("app.yaml")).expect("the file");
    assert!(written.contains("StatefulSet") && !bare(&written), "{written:?}");
}

#[test]
fn json_stays_json_in_files_and_is_yaml_in_the_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.json");
    let objects = manifests(APP).objects;
    fs::write(&file, objects.iter().map(Value::to_string).collect::<String>()).expect("a file");
    let (file, out) = (file.to_string_lossy().into_owned(), folder.path().join("out"));
    let shown = out.to_string_lossy().into_owned();
    let (stdout, stderr, code) = run(&["migrate", "convert", "-f", &file], "");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("apiVersion: v1\nkind: PersistentVolumeClaim\n"), "{stdout}");
    assert_eq!(manifests(&stdout).objects.len(), 3);
    run(&["migrate", "convert", "-f", &file, "--out", &shown], "");
    let text = fs::read_to_string(out.join("app.json")).expect("the file");
    let written: Vec<Value> = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("JSON");
    // Where one object became several, a list stands in its place.
    let written: Vec<Value> = written
        .into_iter()
        .flat_map(|object| object["items"].as_array().cloned().unwrap_or_else(|| vec![object]))
        .collect();
    assert_eq!(written, manifests(&stdout).objects);
}

#[test]
fn a_document_for_programs_keeps_to_its_schema() {
    let schema = fs::read_to_string(root().join("docs/schemas/migrate-convert-v1.json"));
    let schema: Value = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for file in ["dump.yaml", "helm.yaml", "fold.yaml"] {
        let file = format!("tests/scenarios/convert/{file}");
        let mut words = vec!["migrate", "convert", "-f", &file, "-o", "json", "--exit-code"];
        if file.contains("fold") {
            words.extend(["--from", "shard-a,shard-b"]);
        }
        let (stdout, stderr, code) = run(&words, "");
        assert_eq!((stderr.as_str(), code), ("", Some(3)), "{file}");
        let document: Value = serde_json::from_str(&stdout).expect("JSON");
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, [] as [&str; 0]);
        assert_eq!(document["exitCode"], 3);
    }
    let refused = "tests/scenarios/convert/shared-refused.yaml";
    let (stdout, _, code) = run(&["migrate", "convert", "-f", refused, "-o", "json"], "");
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, &document["result"]), (Some(4), &json!("refused")));
    assert_eq!(document["reasons"][0]["id"], "MIGRATE-PVC-SHARED");
}

/// Every scalar of a value by its path; lists of things with names by those.
fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    let join = |key: &str| {
        if key.contains(['.', '/']) {
            format!("{path}[{key}]")
        } else if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| leaves(value, &join(key), found));
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str).map(str::to_owned);
                let place = name.unwrap_or_else(|| index.to_string());
                leaves(item, &format!("{path}[{place}]"), found);
            }
        }
        leaf => {
            found.insert(path.to_owned(), leaf.clone());
        }
    }
}

/// Where a leaf of the input is in the output, or which note speaks of it.
fn is_accounted_for(
    path: &str,
    leaf: &Value,
    output: &BTreeMap<String, Value>,
    notes: &[String],
) -> bool {
    if output.get(path) == Some(leaf) {
        return true;
    }
    let said = |path: &str| {
        notes.iter().any(|note| {
            note.match_indices(path).any(|(at, _)| {
                let after = note[at + path.len()..].chars().next();
                !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.' || c == '[')
                    || note[at + path.len()..].starts_with(". ")
            })
        })
    };
    let mut upto = path;
    loop {
        if said(upto) {
            return true;
        }
        match upto.rfind(['.', '[']) {
            // The kind of everything is no account of anything.
            Some(at) if !matches!(&upto[..at], "" | "spec" | "metadata") => upto = &upto[..at],
            _ => return false,
        }
    }
}

/// What an object became, wherever that stands.
fn heir<'a>(object: &Value, conversion: &'a Conversion) -> &'a Value {
    let claims = conversion.sets.iter().flat_map(|set| &set.claims);
    let wanted = match object["kind"].as_str() {
        Some("Deployment") => "db".to_owned(),
        _ => claims
            .filter(|claim| object["metadata"]["name"] == claim.claim_now)
            .map(|claim| claim.claim_then.clone())
            .next()
            .expect("its claim"),
    };
    conversion
        .outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Replaced(made) => Some(made),
            Outcome::Kept => None,
        })
        .flatten()
        .filter(|made| made.class == Class::Converted)
        .map(|made| &made.body)
        .find(|body| body["metadata"]["name"] == wanted.as_str())
        .expect("an heir")
}

fn check_nothing_is_lost(objects: &[Value], options: &Options) {
    let conversion = convert(objects, options).expect("a conversion");
    assert!(!conversion.is_refused(), "{:?}", conversion.findings);
    let renamed: BTreeSet<&str> = ["apiVersion", "kind", "metadata.name"].into();
    for (object, outcome) in objects.iter().zip(&conversion.outcomes) {
        if *outcome == Outcome::Kept {
            continue;
        }
        let made = heir(object, &conversion);
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        leaves(object, "", &mut before);
        leaves(made, "", &mut after);
        let on = format!(
            "{}/{}",
            object["kind"].as_str().expect("a kind"),
            object["metadata"]["name"].as_str().expect("a name")
        );
        let notes: Vec<String> = conversion
            .findings
            .iter()
            .filter(|finding| finding.object == on)
            .map(|finding| finding.message.clone())
            .collect();
        let claims = conversion.sets.iter().flat_map(|set| &set.claims);
        let volumes: Vec<String> = claims
            .filter(|claim| claim.template.is_some())
            .map(|claim| format!("spec.template.spec.volumes[{}]", claim.volume))
            .collect();
        for (path, leaf) in before {
            // Nothing inside, nothing lost; something may have come in.
            if leaf == json!({}) || leaf == json!([]) {
                continue;
            }
            let template = volumes.iter().any(|volume| {
                path == format!("{volume}.name")
                    || path == format!("{volume}.persistentVolumeClaim.claimName")
            });
            assert!(
                renamed.contains(path.as_str())
                    || template
                    || is_accounted_for(&path, &leaf, &after, &notes),
                "{on}: {path} = {leaf} is neither in the output nor in the notes: {notes:#?}\n{made:#}"
            );
        }
    }
}

/// Any JSON, with words that YAML readers take for something else.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        "([a-z #:]{0,8}\n){1,3}".prop_map(Value::from),
        Just(Value::Null),
        prop_oneof![
            Just("yes"),
            Just("0644"),
            Just("1e3"),
            Just("~"),
            Just("12:30:45"),
            Just("# x"),
            Just("null"),
            Just("2024-01-01"),
            Just("---"),
            Just("- a"),
            Just("a: b"),
            Just("é\u{7}"),
            Just("  x\ny"),
            Just("\n\n"),
            Just("   \nx\n"),
            Just("0x1F"),
            Just("\t"),
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_keys() -> impl Strategy<Value = BTreeMap<String, String>> {
    let key = prop_oneof![
        "[a-z]{1,6}",
        Just("argocd.argoproj.io/tracking-id".to_owned()),
        Just("argocd.argoproj.io/instance".to_owned()),
        Just("kustomize.toolkit.fluxcd.io/name".to_owned()),
        Just("meta.helm.sh/release-name".to_owned()),
        Just("app.kubernetes.io/instance".to_owned()),
        Just("pv.kubernetes.io/bind-completed".to_owned()),
        Just("deployment.kubernetes.io/revision".to_owned()),
        Just("kubectl.kubernetes.io/last-applied-configuration".to_owned()),
        Just("pod-template-hash".to_owned()),
    ];
    let value = prop_oneof!["[a-z]{0,5}", Just("Helm".to_owned())];
    proptest::collection::btree_map(key, value, 0..4)
}

prop_compose! {
    fn any_claim()(
        name in Just(String::new()),
        labels in any_keys(),
        annotations in any_keys(),
        extra in proptest::option::of(any_value()),
        dump in any::<bool>(),
        source in any::<bool>(),
    ) -> Value {
        let mut claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "x", "resources": {"requests": {"storage": "1Gi"}}},
        });
        if dump {
            claim["metadata"]["uid"] = json!("1");
            claim["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
            claim["spec"]["volumeName"] = json!("pv-1");
            claim["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
        }
        if source {
            claim["spec"]["dataSource"] = json!({"kind": "VolumeSnapshot", "name": "s"});
            claim["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
        }
        if let Some(extra) = extra {
            claim["spec"]["future"] = extra;
        }
        claim
    }
}

prop_compose! {
    fn any_app()(
        claims in proptest::collection::vec(any_claim(), 1..4),
        labels in any_keys(),
        annotations in any_keys(),
        template_labels in any_keys(),
        extras in proptest::collection::vec((0_usize..5, any_value()), 0..4),
        (dump, dropped, hostname, init, read_only) in any::<(bool, bool, bool, bool, bool)>(),
        rename in any::<bool>(),
    ) -> (Vec<Value>, Options) {
        let mut pod_labels = template_labels;
        pod_labels.insert("app".into(), "db".into());
        let mount = |index: usize| json!({"name": format!("v{index}"), "mountPath": format!("/{index}")});
        let mounts: Vec<Value> = (0..claims.len()).map(mount).collect();
        let volumes: Vec<Value> = (0..claims.len())
            .map(|index| json!({"name": format!("v{index}"), "persistentVolumeClaim": {"claimName": format!("c{index}")}}))
            .chain([json!({"name": "conf", "configMap": {"name": "c", "defaultMode": 420}})])
            .collect();
        let mut deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "db", "labels": labels, "annotations": annotations},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": "db"}},
                "template": {"metadata": {"labels": pod_labels}, "spec": {
                    "containers": [{"name": "db", "image": "x", "volumeMounts": mounts}], "volumes": volumes,
                }},
            },
        });
        let pod = "/spec/template/spec";
        if dump {
            deployment["metadata"]["uid"] = json!("1");
            deployment["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
            deployment["spec"]["template"]["metadata"]["creationTimestamp"] = Value::Null;
            deployment["status"] = json!({"observedGeneration": 1, "updatedReplicas": 1, "conditions": [{"type": "Available"}]});
        }
        if dropped {
            deployment["spec"]["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}});
            deployment["spec"]["progressDeadlineSeconds"] = json!(600);
            deployment["spec"]["paused"] = json!(false);
        }
        if hostname {
            deployment.pointer_mut(pod).expect("a pod")["hostname"] = json!("h");
            deployment.pointer_mut(pod).expect("a pod")["subdomain"] = json!("s");
        }
        if init {
            deployment.pointer_mut(pod).expect("a pod")["initContainers"] = json!([{"name": "i", "volumeMounts": [mount(0)]}]);
        }
        if read_only {
            deployment.pointer_mut(pod).expect("a pod")["volumes"][0]["persistentVolumeClaim"]["readOnly"] = json!(true);
        }
        for (place, extra) in extras {
            let pointer = ["", "/metadata", "/spec", pod, "/spec/template/spec/containers/0"][place];
            deployment.pointer_mut(pointer).expect("a place")["future"] = extra;
        }
        let mut objects = vec![deployment];
        for (index, mut claim) in claims.into_iter().enumerate() {
            claim["metadata"]["name"] = json!(format!("c{index}"));
            objects.push(claim);
        }
        let templates = if rename { [("v0".to_owned(), "data".to_owned())].into() } else { BTreeMap::new() };
        (objects, Options { templates, ..Options::default() })
    }
}

/// The key that a comment of this line speaks of.
fn subject(lines: &[impl AsRef<str>], comment: usize) -> Option<&str> {
    let said = lines[comment..].iter().map(|line| line.as_ref().trim_start_matches([' ', '-']));
    let mut said = said.filter(|line| !line.starts_with('#') && !line.is_empty());
    said.next()?.split([':', '#']).next().map(str::trim_end)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_field_is_lost_in_silence((objects, options) in any_app()) {
        // A mount that follows its template has another name: without.
        let options = Options { templates: BTreeMap::new(), ..options };
        check_nothing_is_lost(&objects, &options);
    }

    #[test]
    fn what_is_written_reads_back_as_what_was_made((objects, options) in any_app()) {
        let text: Vec<String> = objects.iter().map(Value::to_string).collect();
        let text = text.join("\n---\n") + "\n";
        let manifests = manifests(&text);
        prop_assert_eq!(&manifests.objects, &objects);
        let conversion = convert(&manifests.objects, &options).expect("a conversion");
        let stream = manifests.stream(&conversion.outcomes).expect("text");
        let items = manifests.items(&conversion.outcomes);
        let read = self::manifests(&stream).objects;
        prop_assert_eq!(items.len(), read.len());
        for (item, read) in items.iter().zip(&read) {
            prop_assert_eq!(item.body, read, "{}", stream);
        }
        let sets: Vec<&Value> = read.iter().filter(|body| body["kind"] == "StatefulSet").collect();
        prop_assert_eq!(sets.len(), 1);
        // A set that is applied first makes its claims itself, empty.
        let set_at = read.iter().position(|body| body["kind"] == "StatefulSet");
        let claim_at = read.iter().rposition(|body| body["kind"] == "PersistentVolumeClaim");
        prop_assert!(claim_at < set_at, "{}", stream);
        let claims: BTreeSet<String> = read
            .iter()
            .filter(|body| body["kind"] == "PersistentVolumeClaim")
            .filter_map(|body| body["metadata"]["name"].as_str().map(str::to_owned))
            .collect();
        let wanted: BTreeSet<String> = sets[0]["spec"]["volumeClaimTemplates"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|template| template["metadata"]["name"].as_str().map(|name| format!("{name}-db-0")))
            .collect();
        prop_assert_eq!(claims, wanted, "the pod finds the claims that were made");
        let again = convert(&read, &Options::default()).expect("a conversion");
        prop_assert!(again.outcomes.iter().all(|outcome| *outcome == Outcome::Kept));
    }

    /// Each comment is in the output once, at its key, or it is said to be lost.
    #[test]
    fn no_comment_is_lost_in_silence(
        (objects, options) in any_app(),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..6),
    ) {
        let documents = objects.iter().map(|object| serde_saphyr::to_string(object).expect("YAML"));
        let plain = documents.collect::<Vec<String>>().join("---\n");
        let mut lines: Vec<String> = plain.lines().map(str::to_owned).collect();
        let mut said = Vec::new();
        for (number, (place, beside)) in places.iter().enumerate() {
            let at = place.index(lines.len());
            // What stands on a marker is of no document.
            if lines[at] == "---" {
                continue;
            }
            let (before, comment) = (lines.clone(), format!("# c{number};"));
            let depth = lines[at].len() - lines[at].trim_start().len();
            if *beside {
                lines[at].push(' ');
                lines[at].push_str(&comment);
            } else {
                lines.insert(at, " ".repeat(depth) + &comment);
            }
            // It may have become a part of a value.
            let with = Text { name: "x".into(), path: None, text: lines.join("\n") + "\n" };
            let same = Manifests::from_texts(vec![with]).is_ok_and(|with| with.objects == objects);
            if same {
                said.push(comment);
            } else {
                lines = before;
            }
        }
        let text = lines.join("\n") + "\n";
        let manifests = manifests(&text);
        let conversion = convert(&manifests.objects, &options).expect("a conversion");
        let stream = manifests.stream(&conversion.outcomes).expect("text");
        let items = manifests.items(&conversion.outcomes);
        let read = self::manifests(&stream).objects;
        for (item, read) in items.iter().zip(&read) {
            prop_assert_eq!(item.body, read, "{}", stream);
        }
        let lost = manifests.lost_comments(&conversion.outcomes).expect("lines");
        let lost: BTreeSet<usize> = lost.into_iter().flat_map(|lost| lost.lines).collect();
        let output: Vec<&str> = stream.lines().collect();
        for comment in said {
            let line = lines.iter().position(|line| line.contains(&comment)).expect("it");
            let is_lost = lost.contains(&(line + 1));
            let found: Vec<usize> =
                (0..output.len()).filter(|at| output[*at].contains(&comment)).collect();
            prop_assert_eq!(found.len(), usize::from(!is_lost), "{}\n{}\n{}", comment, text, stream);
            for at in found {
                let old = subject(&lines, line);
                prop_assert_eq!(subject(&output, at), old, "{}\n{}\n{}", comment, text, stream);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused_and_passes_unchanged(text in "([a-z#: \\-\n{}\\[\\]\"'|>]|---\n|kind: A\n|apiVersion: v1\n){0,20}") {
        let input = Text { name: "x".into(), path: None, text: text.clone() };
        if let Ok(manifests) = Manifests::from_texts(vec![input]) {
            let outcomes = vec![Outcome::Kept; manifests.objects.len()];
            let stream = manifests.stream(&outcomes).expect("text");
            let is_json = text.trim_start().starts_with(['{', '[']);
            prop_assert!(is_json || stream.trim_end_matches('\n') == text.trim_end_matches('\n'), "{text:?} {stream:?}");
        }
    }
}
