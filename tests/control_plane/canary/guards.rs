//! What speaks against a canary, made real: refused before the first write,
//! and overridden by its own id only.

use std::path::Path;

use super::{
    super::support::{Answer, Fault},
    *,
};

/// Refused under this id, and nothing is touched.
#[track_caller]
fn refused(namespace: &Namespace, words: &str, id: &str) -> Output {
    refused_with(namespace, canary(namespace, &format!("{words} -o json")), id)
}

#[track_caller]
fn refused_with(namespace: &Namespace, run: Run, id: &str) -> Output {
    let before = Picture::of(namespace);
    let output = run.output().expect(4);
    let document = document(&output);
    assert_eq!(document["result"], "refused");
    assert!(support::ids(&document).contains(&id), "{id}\n{output}");
    let after = Picture::of(namespace);
    assert_eq!(after.generation(), before.generation(), "{id}");
    assert_eq!(after.annotation(), before.annotation(), "{id}");
    output
}

/// What `plan` says about the usual change: no, yes when this id is allowed,
/// and no again when another one is.
#[track_caller]
fn only_its_own_id_allows(namespace: &Namespace, id: &str) {
    let plan = "plan web --image nginx=nginx:1.22 --exit-code -o json";
    let output = ends(namespace, plan, 4);
    assert_eq!(error_ids(&output), [id], "{output}");
    let allowed = ends(namespace, &format!("{plan} --allow {}", id.to_lowercase()), 3);
    assert_eq!(error_ids(&allowed), Vec::<String>::new(), "{allowed}");
    assert!(
        reason_ids(&allowed).iter().any(|said| said == id),
        "it is said all the same\n{allowed}"
    );
    for other in ["canary-unread", "CANARY-SINGLE-REPLICA", "CANARY-OWNER"] {
        if other != id {
            ends(namespace, &format!("{plan} --allow {other}"), 4);
        }
    }
}

/// It stays, whatever is allowed.
#[track_caller]
fn nothing_allows(namespace: &Namespace, words: &str, id: &str) {
    refused(namespace, words, id);
    let before = Picture::of(namespace);
    let output = ends(namespace, &format!("{words} --allow {id}"), 2);
    assert!(output.stderr.contains("no guard of that id can be overridden"), "{output}");
    assert_eq!(Picture::of(namespace).generation(), before.generation());
}

/// It is said, and is no obstacle.
#[track_caller]
fn is_only_said(namespace: &Namespace, id: &str, severity: &str) {
    let plan = "plan web --image nginx=nginx:1.22 --exit-code -o json";
    let output = ends(namespace, plan, 3);
    let document = document(&output);
    let reasons = document["reasons"].as_array().expect("reasons");
    let reason = reasons.iter().find(|reason| reason["id"] == id);
    let reason = reason.unwrap_or_else(|| panic!("{id} is not said\n{output}"));
    assert_eq!(reason["severity"], severity);
}

#[test]
fn whoever_else_manages_the_set_is_respected() {
    let namespace = made("canary-owner", 2, |_| {});
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "operator"}});
    let owner = namespace.cluster().api().create(&namespace.path("v1", "configmaps", ""), &owner);
    let reference = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "operator",
        "uid": owner["metadata"]["uid"], "controller": true,
    });
    edit(&namespace, &json!({"metadata": {"ownerReferences": [reference]}}));
    refused(&namespace, START, "CANARY-OWNER");
    refused(&namespace, "stage web", "CANARY-OWNER");
    only_its_own_id_allows(&namespace, "CANARY-OWNER");
    edit(&namespace, &json!({"metadata": {"ownerReferences": null}}));

    let hpa = ["autoscale", "sts", "web", "--min=2", "--max=2"];
    namespace.kubectl(hpa).output().success();
    refused(&namespace, START, "CANARY-HPA");
    only_its_own_id_allows(&namespace, "CANARY-HPA");
    namespace.kubectl(["delete", "hpa", "web"]).output().success();

    let marks = [
        json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/StatefulSet:x/web"}}),
        json!({"labels": {"argocd.argoproj.io/instance": "shop"}}),
        json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}),
        json!({"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}),
    ];
    for mark in marks {
        edit(&namespace, &json!({"metadata": mark}));
        refused(&namespace, START, "CANARY-GITOPS");
        only_its_own_id_allows(&namespace, "CANARY-GITOPS");
        let nothing = json!({
            "labels": null,
            "annotations": {"argocd.argoproj.io/tracking-id": null},
        });
        edit(&namespace, &json!({"metadata": nothing}));
    }
    let helm = json!({"annotations": {"meta.helm.sh/release-name": "shop"}});
    edit(&namespace, &json!({"metadata": helm}));
    is_only_said(&namespace, "CANARY-HELM", "warning");
    ends(&namespace, START, 0);
    // Helm has never heard of what is taken back here.
    let output = ends(&namespace, "abort web -o json", 0);
    assert_eq!(reason_ids(&output), Vec::<String>::new());
}

/// What Git brings is staged first; Git itself is no obstacle to that, unless
/// it names the partition as well.
#[test]
fn gitops_may_own_the_template_but_not_the_partition() {
    let namespace = made("canary-git", 2, |set| {
        set["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "shop"});
    });
    ends(&namespace, "stage web", 0);
    edit_image(&namespace, "nginx:1.22");
    namespace.wait_until_observed("web");
    ends(&namespace, "start web --adopt", 0);
    ends(&namespace, "abort web", 0);
    let manifest = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}},
    });
    let apply = [
        "apply",
        "--server-side",
        "--field-manager=kustomize-controller",
        "--force-conflicts",
        "-f",
        "-",
    ];
    namespace.kubectl(apply).stdin(manifest.to_string()).output().success();
    refused(&namespace, "stage web", "CANARY-GITOPS");
}

#[test]
fn the_state_of_the_set_decides() {
    let namespace = made("canary-state", 2, |_| {});
    turn(&namespace, "web-0", "never-ready", true);
    until(&namespace, "web-0 to fail", |picture| !is_ready(&picture.pods["web-0"]));
    refused(&namespace, START, "CANARY-UNHEALTHY");
    refused(&namespace, "stage web", "CANARY-UNHEALTHY");
    only_its_own_id_allows(&namespace, "CANARY-UNHEALTHY");
    turn(&namespace, "web-0", "never-ready", false);
    namespace.wait_until_ready("web");

    nothing_allows(&namespace, "start web --image nginx=nginx:1.21", "CANARY-NO-CHANGE");
    nothing_allows(&namespace, "start web --adopt", "CANARY-NO-CHANGE");
    let patches = [
        ("CANARY-FORBIDDEN-FIELD", json!({"spec": {"replicas": 3}})),
        (
            "CANARY-REJECTED",
            json!({"spec": {"template": {"spec": {"restartPolicy": "Sometimes"}}}}),
        ),
    ];
    for (id, patch) in patches {
        let words = "start web --patch-file - -o json";
        refused_with(&namespace, canary(&namespace, words).stdin(patch.to_string()), id);
    }

    edit(&namespace, &json!({"metadata": {"annotations": {ANNOTATION: "{}"}}}));
    for words in ["stage web", "pause web"] {
        refused(&namespace, words, "CANARY-RECORD-UNUSABLE");
    }
    nothing_allows(&namespace, START, "CANARY-RECORD-UNUSABLE");
    let output = refused(&namespace, "abort web", "CANARY-RECORD-UNUSABLE");
    let hint = support::hint_of(&document(&output), "CANARY-RECORD-UNUSABLE");
    support::follow(&namespace, &hint);
    assert_eq!(Picture::of(&namespace).annotation(), None);

    for (replicas, id) in [(1, "CANARY-SINGLE-REPLICA"), (0, "CANARY-NO-REPLICAS")] {
        edit(&namespace, &json!({"spec": {"replicas": replicas}}));
        until(&namespace, "the scale", |picture| {
            picture.pods.len() == replicas && picture.set["status"]["replicas"] == replicas
        });
        refused(&namespace, START, id);
        if replicas == 1 {
            only_its_own_id_allows(&namespace, id);
        } else {
            nothing_allows(&namespace, START, id);
        }
    }

    edit(&namespace, &json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    namespace
        .kubectl(["delete", "sts", "web", "--wait=false", "--cascade=orphan"])
        .output()
        .success();
    nothing_allows(&namespace, START, "CANARY-BEING-DELETED");
    edit(&namespace, &json!({"metadata": {"finalizers": null}}));
}

#[test]
fn one_canary_at_a_time() {
    let namespace = made("canary-one", 3, |_| {});
    // A rollout under a partition that nobody took back.
    edit(&namespace, &partition(2));
    edit_image(&namespace, "nginx:1.22");
    until(&namespace, "the rollout", |p| p.image("web-2") == Some("nginx:1.22"));
    namespace.wait_until_ready("web");
    let other = "start web --image nginx=nginx:1.23";
    nothing_allows(&namespace, other, "CANARY-ROLLOUT-IN-PROGRESS");
    nothing_allows(&namespace, "promote web", "CANARY-NONE");
    edit(&namespace, &partition(0));
    until(&namespace, "the rest", |p| {
        p.current() == p.update() && p.image("web-0") == Some("nginx:1.22")
    });
    namespace.wait_until_ready("web");

    let before = Picture::of(&namespace);
    ends(&namespace, other, 0);
    nothing_allows(&namespace, "start web --image nginx=nginx:1.24", "CANARY-IN-PROGRESS");
    refused(&namespace, "stage web", "CANARY-IN-PROGRESS");
    // Killed on its way back.
    turn(&namespace, "web-2", "never-ready", true);
    until(&namespace, "web-2 to fail", |picture| !is_ready(&picture.pods["web-2"]));
    let run = canary(&namespace, "abort web --unstick-after 60s").start();
    // Said before it is asked, with a label in front; and once it is done.
    run.wait_for_stderr("the template to be back", |said| {
        said.lines().any(|line| line.starts_with("statefulset.apps/web patched (template of"))
    });
    run.signal("KILL");
    assert_eq!(run.finish().signal(), Some(9));
    for words in [other, "pause web", "stage web"] {
        refused(&namespace, words, "CANARY-ABORT-IN-PROGRESS");
    }
    nothing_allows(&namespace, "promote web", "CANARY-ABORT-IN-PROGRESS");
    ends(&namespace, "abort web --unstick-after 2s", 0);
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &["web-0", "web-1"]);
}

#[test]
fn with_three_revisions_there_is_no_stable_one() {
    let namespace = made("canary-three", 3, |set| {
        set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    });
    is_only_said(&namespace, "CANARY-ON-DELETE-DRIFT", "warning");
    for (image, pod) in [("nginx:1.22", "web-2"), ("nginx:1.23", "web-1")] {
        edit_image(&namespace, image);
        namespace.wait_until_observed("web");
        namespace.cluster().api().delete(&namespace.path("v1", "pods", pod));
        until(&namespace, "the new pod", |p| {
            p.image(pod) == Some(image) && p.pods.get(pod).is_some_and(is_ready)
        });
    }
    nothing_allows(&namespace, "start web --adopt", "CANARY-NO-STABLE-REVISION");
}

#[test]
fn without_the_stable_revision_abort_is_refused() {
    let namespace = made("canary-gone", 2, |_| {});
    ends(&namespace, START, 0);
    let stable = Picture::of(&namespace).current().to_owned();
    let path = namespace.path("apps/v1", "controllerrevisions", &stable);
    namespace.cluster().api().delete(&path);
    let output = refused(&namespace, "abort web", "CANARY-NO-WAY-BACK");
    assert!(output.stderr.contains(&stable), "{output}");
}

/// What goes with its namespace is not merely "not available".
#[test]
fn a_namespace_that_is_going_is_named() {
    let namespace = made("canary-going", 2, |set| {
        set["metadata"]["finalizers"] = json!(["example.com/hold"]);
    });
    ends(&namespace, START, 0);
    namespace.cluster().api().delete(&format!("/api/v1/namespaces/{}", namespace.name()));
    until(&namespace, "the set to be deleted", |picture| {
        picture.set["metadata"]["deletionTimestamp"].is_string()
    });
    let id = "CANARY-NAMESPACE-DELETING";
    for words in ["plan web --restart", "status web", "start web --restart", "abort web"] {
        let output = canary(&namespace, &format!("{words} -o json")).output();
        assert!(error_ids(&output).contains(&id.to_owned()), "{words}\n{output}");
        let hint = support::hint_of(&document(&output), id);
        assert!(hint.starts_with("kubectl get namespace"), "{hint}");
    }
    edit(&namespace, &json!({"metadata": {"finalizers": null}}));
}

#[test]
fn what_may_not_be_read_is_not_assumed_absent() {
    let namespace = made("canary-rights", 2, |_| {});
    let apps = json!({
        "apiGroups": ["apps"], "resources": ["statefulsets", "controllerrevisions"],
        "verbs": ["get", "list", "watch", "patch"],
    });
    let core = json!({
        "apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch", "delete"],
    });
    let budgets = json!({
        "apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": ["get", "list", "watch"],
    });
    let scalers = json!({
        "apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"],
    });
    let events =
        json!({"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]});
    let run = |kubeconfig: &Path, words: &str| {
        canary(&namespace, &format!("{words} -o json")).kubeconfig(kubeconfig)
    };
    // Without the pods nothing helps.
    let blind = namespace.user("blind", &json!([apps, events, budgets, scalers]), &json!([]));
    for words in [START, "stage web", "pause web"] {
        refused_with(&namespace, run(&blind, words), "CANARY-BLIND");
    }
    let allowed = format!("{START} --allow CANARY-UNREAD");
    refused_with(&namespace, run(&blind, &allowed), "CANARY-BLIND");
    // Without the budgets somebody may say that there are none.
    let half = namespace.user("half", &json!([apps, core, scalers]), &json!([]));
    refused_with(&namespace, run(&half, START), "CANARY-UNREAD");
    run(&half, &allowed).output().expect(0);
    refused_with(&namespace, run(&half, "promote web --full"), "CANARY-UNREAD");
    run(&half, "promote web --full --allow CANARY-UNREAD").output().expect(0);
    // Whoever may only look can still plan, and is told.
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["statefulsets", "controllerrevisions"], "verbs": ["get", "list"]},
        core, budgets, scalers,
    ]);
    let viewer = namespace.user("viewer", &rules, &json!([]));
    let other = "start web --image nginx=nginx:1.25";
    refused_with(&namespace, run(&viewer, other), "CANARY-REJECTED");
}

#[test]
fn a_missing_probe_and_an_old_server_are_reported() {
    let namespace = made("canary-probe", 2, |set| {
        container(set)["readinessProbe"] = Value::Null;
    });
    is_only_said(&namespace, "CANARY-NO-READINESS-PROBE", "warning");
    // A server that would promote the canary's revision too early.
    let proxy = namespace.cluster().proxy();
    let version = json!({"major": "1", "minor": "28", "gitVersion": "v1.28.3"});
    proxy.when(|seen| seen.path == "/version", Fault::Answer(Answer::object(version)));
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let words = format!("{START} --bake 0s -o json");
    let run = canary(&namespace, &words).kubeconfig(&kubeconfig);
    refused_with(&namespace, run, "CANARY-PROMOTION-BUG");
    let run = canary(&namespace, &format!("{words} --allow CANARY-PROMOTION-BUG"));
    run.kubeconfig(&kubeconfig).output().expect(0);
}

/// KEDA and VPA bring their own resources: not where other tests count requests.
#[test]
fn custom_autoscalers_are_found() {
    let cluster = TestCluster::fresh();
    let namespace = cluster.namespace("canary-keda");
    make(&namespace, 2, |_| {});
    let create = |kind: &CustomKind, spec: Value| {
        kind.define(&cluster);
        let path = namespace.path(&format!("{}/{}", kind.group, kind.version), kind.plural, "");
        cluster.api().create(&path, &kind.object("web", &spec));
    };
    let target = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"});
    create(&VERTICAL, json!({"targetRef": target}));
    is_only_said(&namespace, "CANARY-VPA", "warning");
    create(&SCALED_OBJECT, json!({"scaleTargetRef": target}));
    refused(&namespace, START, "CANARY-KEDA");
    only_its_own_id_allows(&namespace, "CANARY-KEDA");
}
