//! What speaks against a move, made real: refused before the first write, and
//! overridden by its own id where a person may know better.

use std::path::Path;

use super::{
    super::support::{Answer, Fault, FaultProxy},
    *,
};

fn plan(place: &Place, more: &str) -> Run {
    place.migrate(&format!("plan {} {more} --exit-code -o json", place.story.words))
}

/// The words that are tried, by whom and through what.
type Through<'a> = &'a dyn Fn(Run) -> Run;

/// Refused under exactly this id, planned with it, and nothing is touched.
#[track_caller]
fn refused_through(place: &Place, through: Through<'_>, id: &str) {
    let before = place.picture();
    let output = through(place.run("-o json")).output().expect(4);
    assert_eq!(document(&output)["result"], "refused");
    assert_eq!(error_ids(&output), [id], "{output}");
    let output = through(plan(place, "")).output().expect(4);
    assert_eq!(error_ids(&output), [id], "{output}");
    assert_eq!(before.differences(&place.picture()), Vec::<String>::new());
}

#[track_caller]
fn refused(place: &Place, id: &str) {
    refused_through(place, &|run| run, id);
}

/// The same, and nobody can say that it does not matter.
#[track_caller]
fn nothing_allows(place: &Place, id: &str) {
    refused(place, id);
    let output = place.run(&format!("--allow {id}")).output().expect(2);
    assert!(output.stderr.contains("no guard of that id can be overridden"), "{output}");
}

/// The same, unless this id is allowed; another one is not enough.
#[track_caller]
fn only_its_own_id_allows_through(place: &Place, through: Through<'_>, id: &str) {
    refused_through(place, through, id);
    let allowed = through(plan(place, &format!("--allow {id}"))).output().expect(3);
    assert_eq!(error_ids(&allowed), Vec::<String>::new(), "{allowed}");
    assert!(
        reason_ids(&allowed).iter().any(|said| said == id),
        "it is said all the same\n{allowed}"
    );
    let other = "MIGRATE-EMPTY-ORDINALS";
    through(plan(place, &format!("--allow {other}"))).output().expect(4);
}

#[track_caller]
fn only_its_own_id_allows(place: &Place, id: &str) {
    only_its_own_id_allows_through(place, &|run| run, id);
}

/// Through a proxy that answers some requests itself.
fn through<'a>(place: &'a Place, proxy: &'a FaultProxy) -> impl Fn(Run) -> Run + 'a {
    let kubeconfig = place.namespace.kubeconfig_through(proxy);
    move |run: Run| run.kubeconfig(&kubeconfig)
}

#[test]
fn whoever_else_manages_the_deployment_is_respected() {
    let place = Place::make(Story { name: "owner", ..STATIC });
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "operator"}});
    let owner = create(&place.namespace, &owner);
    let reference = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "operator",
        "uid": owner["metadata"]["uid"], "controller": true,
    });
    place.edit_deployment(&json!({"metadata": {"ownerReferences": [reference]}}));
    only_its_own_id_allows(&place, "MIGRATE-OWNER");
    place.edit_deployment(&json!({"metadata": {"ownerReferences": null}}));

    place.edit_deployment(&json!({"metadata": {"labels": {"argocd.argoproj.io/instance": "x"}}}));
    only_its_own_id_allows(&place, "MIGRATE-GITOPS");
    place.edit_deployment(&json!({"metadata": {"labels": null}}));

    create(&place.namespace, &way::autoscaler());
    only_its_own_id_allows(&place, "MIGRATE-AUTOSCALER");
    plan(&place, "--retarget hpa").output().expect(3);
}

#[test]
fn the_state_of_the_deployment_decides() {
    let place = Place::make(Story { name: "state", ..STATIC });
    let pods = place.namespace.path("v1", "pods", "");
    let pod = |knob: &str, on: bool| {
        let list = place.namespace.cluster().api().get(&pods).expect("pods");
        let name = list["items"][0]["metadata"]["name"].as_str().expect("a pod").to_owned();
        let value = if on { json!("true") } else { Value::Null };
        let patch = json!({"metadata": {"annotations": {format!("stateful.test/{knob}"): value}}});
        place.edit("v1", "pods", &name, &patch);
    };
    let status = |what: &str, path: &str, wanted: u64| {
        wait_for(SOON, what, || {
            let now = place.namespace.get("apps/v1", "deployments", "mysql")?;
            let seen = now["status"]["observedGeneration"] == now["metadata"]["generation"];
            let is = now["status"][path].as_u64().unwrap_or(0);
            (seen && is == wanted).then_some(())
        });
    };
    pod("never-ready", true);
    status("the pod to fail", "availableReplicas", 0);
    only_its_own_id_allows(&place, "MIGRATE-UNHEALTHY");
    pod("never-ready", false);
    status("the pod to be well again", "availableReplicas", 1);

    place.edit_deployment(&json!({"spec": {"paused": true}}));
    status("the pause", "availableReplicas", 1);
    only_its_own_id_allows(&place, "MIGRATE-PAUSED");
    place.edit_deployment(&json!({"spec": {"paused": null}}));

    // The old pod does not go, so that the new one does not come.
    pod("stuck-terminating", true);
    let annotations = json!({"rolled": "once"});
    place.edit_deployment(
        &json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}),
    );
    status("the old pod to be leaving", "updatedReplicas", 0);
    let found = error_ids(&plan(&place, "").output().expect(4));
    assert!(found.iter().any(|id| id == "MIGRATE-ROLLOUT-IN-PROGRESS"), "{found:?}");
    place.run("").output().expect(4);
    let both = "--allow MIGRATE-ROLLOUT-IN-PROGRESS --allow MIGRATE-UNHEALTHY";
    let left = error_ids(&plan(&place, both).output());
    assert_eq!(left, Vec::<String>::new(), "both can be overridden");
    pod("stuck-terminating", false);
}

#[test]
fn the_state_of_the_claim_decides() {
    let place = Place::make(Story { name: "claim", ..STATIC });
    let condition = json!({
        "type": "Resizing", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let name = "mysql-pv-claim/status";
    let resizing = json!({"status": {"conditions": [condition]}});
    place.edit("v1", "persistentvolumeclaims", name, &resizing);
    nothing_allows(&place, "MIGRATE-PVC-RESIZING");
    let done = json!({"status": {"conditions": null}});
    place.edit("v1", "persistentvolumeclaims", name, &done);

    create(&place.namespace, &pod_on("mysql-pv-claim"));
    nothing_allows(&place, "MIGRATE-PVC-IN-USE");
    place.namespace.cluster().api().delete(&place.namespace.path("v1", "pods", "backup"));
    wait_for(SOON, "the pod to be gone", || {
        place.namespace.get("v1", "pods", "backup").is_none().then_some(())
    });

    // Somebody has the volume reserved for another one by now.
    let disk = format!("/api/v1/persistentvolumes/mysql-pv-{}", place.namespace.name());
    let mut other = place.namespace.cluster().api().get(&disk).expect("the volume");
    other["spec"]["claimRef"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    let proxy = place.namespace.cluster().proxy();
    proxy.when(move |seen| seen.path == disk, Fault::Answer(Answer::object(other)));
    refused_through(&place, &through(&place, &proxy), "MIGRATE-VOLUME-UNFIT");

    plan(&place, "").output().expect(3);
    let disk = format!("/api/v1/persistentvolumes/mysql-pv-{}", place.namespace.name());
    place.namespace.cluster().api().delete(&disk);
    nothing_allows(&place, "MIGRATE-VOLUME-UNFIT");
}

/// A pod that is nobody's, on a claim.
fn pod_on(claim: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "backup"},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "backup", "image": "busybox"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
        },
    })
}

#[test]
fn a_claim_without_a_volume_has_nothing_to_move() {
    let namespace = TestCluster::shared().namespace("migrate-unbound");
    create(&namespace, &claim("mysql-data", "standard-wait", "ReadWriteOnce"));
    create(&namespace, &deployment("mysql", 0, &[("data", "mysql-data")]));
    let run = namespace.stateful(["migrate", "run", "deploy/mysql", "--yes", "-o", "json"]);
    assert_eq!(
        error_ids(&run.output().expect(4)),
        ["MIGRATE-PVC-UNUSABLE", "MIGRATE-VOLUME-UNFIT"]
    );
}

#[test]
fn one_claim_is_not_for_three_pods() {
    let place = Place::make(Story {
        name: "three",
        manifests: |namespace| {
            let mut all = by_hand(namespace, "Delete");
            all.pop();
            all.push(deployment("mysql", 3, &[("data", "mysql-pv-claim")]));
            all
        },
        ..STATIC
    });
    nothing_allows(&place, "MIGRATE-PVC-SHARED");
}

#[test]
fn names_must_be_free_and_short() {
    let long = "m".repeat(53);
    let place = Place::make(Story { name: "names", ..STATIC });
    let output = plan(&place, &format!("--name {long}")).output().expect(4);
    assert!(error_ids(&output).iter().any(|id| id == "MIGRATE-NAME-TOO-LONG"), "{output}");
    place.run(&format!("--name {long}")).output().expect(4);
    plan(&place, &format!("--name {}", &long[1..])).output().expect(3);

    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "mysql"},
        "spec": {
            "replicas": 0, "serviceName": "mysql", "selector": {"matchLabels": {"app": "other"}},
            "template": {
                "metadata": {"labels": {"app": "other"}},
                "spec": {"containers": [{"name": "other", "image": "busybox"}]},
            },
        },
    });
    create(&place.namespace, &set);
    wait_for(SOON, "its controller to have seen the set", || {
        let set = place.namespace.get("apps/v1", "statefulsets", "mysql")?;
        set["status"]["currentRevision"].is_string().then_some(())
    });
    nothing_allows(&place, "MIGRATE-NAME-TAKEN");
    let path = place.namespace.path("apps/v1", "statefulsets", "mysql");
    place.namespace.cluster().api().delete(&path);
    wait_for(SOON, "the set to be gone", || {
        place.namespace.cluster().api().get(&path).is_none().then_some(())
    });

    create(&place.namespace, &claim("data-mysql-0", "standard-wait", "ReadWriteOnce"));
    nothing_allows(&place, "MIGRATE-NAME-TAKEN");
    plan(&place, "--claim data=other").output().expect(3);
}

#[test]
fn the_server_is_asked_before_anything_is_written() {
    let place = Place::make(Story { name: "server", ..STATIC });
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "claims"},
        "spec": {"hard": {"persistentvolumeclaims": "1"}},
    });
    let api = place.namespace.cluster().api();
    let quotas = place.namespace.path("v1", "resourcequotas", "");
    api.create(&quotas, &quota);
    let quota = format!("{quotas}/claims");
    wait_for(SOON, "the quota to be counted", || {
        let now = api.get(&quota)?;
        (now["status"]["used"]["persistentvolumeclaims"] == "1").then_some(())
    });
    nothing_allows(&place, "MIGRATE-SERVER-REFUSES");
    api.delete(&quota);
    wait_for(SOON, "the quota to be gone", || {
        (plan(&place, "").output().code() == Some(3)).then_some(())
    });

    let name = format!("no-sets-{}", place.namespace.name());
    let base = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic";
    let version = "admissionregistration.k8s.io/v1";
    let rule = json!({
        "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"],
        "operations": ["CREATE"],
    });
    api.create(
        &format!("{base}ies"),
        &json!({
            "apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": "false", "message": "no sets here"}],
            },
        }),
    );
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": place.namespace.name()}});
    api.create(
        &format!("{base}ybindings"),
        &json!({
            "apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": here},
            },
        }),
    );
    wait_for(SOON, "the policy to hold", || {
        (plan(&place, "").output().code() == Some(4)).then_some(())
    });
    nothing_allows(&place, "MIGRATE-SERVER-REFUSES");
    let said = place.run("").output().expect(4).stderr;
    assert!(said.contains("no sets here"), "{said}");
    api.delete(&format!("{base}ybindings/{name}"));
    api.delete(&format!("{base}ies/{name}"));
}

/// The API takes no such webhook any more; those of older days are still there.
#[test]
fn a_webhook_that_takes_no_dry_run_leaves_it_open() {
    let place = Place::make(Story { name: "webhook", ..STATIC });
    let proxy = place.namespace.cluster().proxy();
    let message = "admission webhook \"old.example.com\" does not support dry run";
    let answer = Answer::status(400, "BadRequest", message);
    proxy.when(
        |seen| seen.path.contains("/statefulsets?") && seen.path.contains("dryRun=All"),
        Fault::Answer(answer),
    );
    let through = through(&place, &proxy);
    only_its_own_id_allows_through(&place, &through, "MIGRATE-NOT-TRIED");
    through(place.run("--allow MIGRATE-NOT-TRIED")).output().expect(0);
    place.is_moved();
    // A dry run of what follows says so as well, and shows the write all the same.
    let answer = Answer::status(400, "BadRequest", message);
    proxy.when(
        |seen| seen.path.contains("/statefulsets/") && seen.path.contains("dryRun=All"),
        Fault::Answer(answer),
    );
    let shown = through(place.on("rollback", "--dry-run=server -o json")).output().expect(0);
    assert!(reason_ids(&shown).contains(&"MIGRATE-NOT-TRIED".to_owned()), "{shown}");
    let document = document(&shown);
    let writes = document["writes"].as_array().expect("a list").iter();
    let writes: Vec<&str> = writes.map(|line| line.as_str().expect("a line")).collect();
    assert!(writes.iter().any(|line| line.starts_with("statefulset.apps/mysql patched")));
    assert!(writes.iter().any(|line| line.ends_with(" (server dry run)")), "{writes:?}");
    place.on("rollback", "").output().expect(0);
    place.is_home();
}

#[test]
fn a_volume_needs_a_node_that_takes_pods() {
    let place = Place::make(Story { name: "node", ..WAIT });
    let mut nodes = place.namespace.cluster().api().get("/api/v1/nodes").expect("nodes");
    for node in nodes["items"].as_array_mut().expect("a list") {
        node["spec"]["unschedulable"] = json!(true);
    }
    // Cordoned for this one only: others have pods to place.
    let proxy = place.namespace.cluster().proxy();
    proxy.when(
        |seen| seen.path.split('?').next() == Some("/api/v1/nodes"),
        Fault::Answer(Answer::object(nodes)),
    );
    refused_through(&place, &through(&place, &proxy), "MIGRATE-NODE-UNFIT");
    place.run("--allow MIGRATE-NODE-UNFIT").output().expect(2);
}

/// What a migration needs, but for these resources.
fn rights_without(left_out: &[&str]) -> Value {
    let all = ["get", "list", "watch", "create", "patch", "delete"];
    let looks = ["get", "list", "watch"];
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| {
        let resources: Vec<&&str> =
            resources.iter().filter(|one| !left_out.contains(one)).collect();
        json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
    };
    json!([
        rule("apps", &["deployments", "statefulsets"], &all),
        rule("apps", &["replicasets", "daemonsets"], &looks),
        rule("", &["persistentvolumeclaims", "services", "configmaps"], &all),
        rule("", &["pods"], &looks),
        rule("batch", &["jobs", "cronjobs"], &looks),
        rule("autoscaling", &["horizontalpodautoscalers"], &looks),
        rule("networking.k8s.io", &["networkpolicies"], &looks),
        rule("policy", &["poddisruptionbudgets", "none"], &looks),
    ])
}

fn volumes(verbs: &[&str]) -> Value {
    json!([
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["volumeattachments"], "verbs": ["list", "watch"]},
    ])
}

#[test]
fn what_may_not_be_read_is_not_assumed_absent() {
    let place = Place::make(Story { name: "unread", ..STATIC });
    let rights = rights_without(&["poddisruptionbudgets"]);
    let half = place.namespace.user("half", &rights, &volumes(&["get", "patch"]));
    only_its_own_id_allows_through(&place, &|run| run.kubeconfig(&half), "MIGRATE-UNREAD");
}

/// Without the list of journals nobody can tell whether one has begun.
#[test]
fn a_plan_without_the_list_of_journals_says_so() {
    let place = Place::make(Story { name: "nojournals", ..STATIC });
    let rights = rights_without(&["configmaps"]);
    let user = place.namespace.user("blind", &rights, &volumes(&["get", "list", "patch"]));
    let output = plan(&place, "").kubeconfig(&user).output().expect(4);
    assert!(error_ids(&output).iter().all(|id| id == "MIGRATE-NO-RIGHTS"), "{output}");
    assert!(output.stdout.contains("the user may not list configmaps"), "{output}");
    let output = place.run("-o json").kubeconfig(&user).output().expect(1);
    assert!(output.stdout.contains("cannot list resource \\\"configmaps\\\""), "{output}");
}

/// Nobody with rights on volumes sits at this keyboard; somebody else types
/// the lines.
#[test]
fn without_rights_on_volumes_an_administrator_runs_the_lines() {
    let place = Place::make(Story { name: "admin", ..STATIC });
    let user = place.namespace.user("dev", &rights_without(&[]), &volumes(&["get"]));
    refused_through(&place, &|run| run.kubeconfig(&user), "MIGRATE-NO-RIGHTS");
    place.run("--allow MIGRATE-NO-RIGHTS").kubeconfig(&user).output().expect(2);

    let typed = |first: Run| types_every_line(&place, first.kubeconfig(&user), &user);
    assert_eq!(typed(place.run("--print-admin-steps -o json")), 2);
    place.is_moved();
    assert_eq!(typed(place.on("rollback", "--print-admin-steps -o json")), 2);
    place.is_home();
    assert_eq!(typed(place.run("--print-admin-steps -o json")), 2);
    assert_eq!(typed(place.on("finalize", "--print-admin-steps -o json")), 1);
    place.is_finished();
}

/// How many lines it took until it was through.
#[track_caller]
fn types_every_line(place: &Place, first: Run, user: &Path) -> usize {
    let mut output = first.output();
    for lines in 0..10 {
        if output.code() == Some(0) {
            return lines;
        }
        let document = document(&output.expect(9));
        let line = support::hint_of(&document, "MIGRATE-ADMIN-STEP");
        assert!(line.starts_with("kubectl patch persistentvolume"), "{line}");
        // The administrator has a kubeconfig of their own, and is nobody else.
        assert!(!line.contains("--as") && !line.contains("--context"), "{line}");
        support::follow(&place.namespace, &line);
        let next = document["next"].as_str().expect("a line");
        assert!(next.contains(" --print-admin-steps"), "{next}");
        let resume = place.on("resume", "--print-admin-steps -o json");
        output = resume.kubeconfig(user).output();
    }
    panic!("it never ends\n{output}");
}

/// A right that is missing in the middle: where it stands is said, and the line goes on.
#[test]
fn a_no_in_the_middle_of_a_run_says_where_it_stands() {
    let place = Place::make(Story { name: "denied", ..STATIC });
    let proxy = place.namespace.cluster().proxy();
    let no = Answer::status(403, "Forbidden", "deployments.apps \"mysql\" is forbidden");
    proxy.when(|seen| seen.changes() && seen.path.contains("/deployments/"), Fault::Answer(no));
    let output = through(&place, &proxy)(place.run("-o json")).output().expect(1);
    let stands = "it stands: begun: the Deployment runs, and its disks are handed over";
    assert!(output.stderr.contains(stands), "{output}");
    let line = document(&output)["hint"].as_str().expect("a line").to_owned();
    assert!(line.starts_with("kubectl auth can-i patch deployments"), "{line}");
    assert!(line.contains(" && kubectl stateful migrate resume sts/mysql"), "{line}");
    support::follow(&place.namespace, &line);
    place.is_moved();
}

/// Half way back without a right nothing would run, and half way to the end the way back
/// would be gone.
#[test]
fn without_a_right_neither_rollback_nor_finalize_begins() {
    let place = Place::make(Story { name: "half-way", ..STATIC });
    place.moves();
    let before = place.picture();
    let user = place.namespace.user("half-way", &rights_without(&[]), &volumes(&["get", "list"]));
    for verb in ["rollback", "finalize"] {
        for flags in ["-o json", "-o json --dry-run=client"] {
            let output = place.on(verb, flags).kubeconfig(&user).output().expect(4);
            assert_eq!(error_ids(&output), ["MIGRATE-NO-RIGHTS"], "{output}");
            assert!(output.stdout.contains("patch persistentvolumes"), "{output}");
            assert_eq!(place.picture().differences(&before), [""; 0], "{output}");
        }
    }
    place.on("rollback", "").output().expect(0);
    place.is_home();
}

/// Claims that the set owns would go with it: nobody can tell, and the Deployment comes
/// back all the same.
#[test]
fn a_rollback_that_may_not_list_claims_brings_the_deployment_back() {
    let place = Place::make(Story { name: "unlisted", ..STATIC });
    place.moves();
    let mut rights = rights_without(&["persistentvolumeclaims"]);
    let verbs = ["get", "watch", "create", "patch", "delete"];
    let claims =
        json!({"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": verbs});
    rights.as_array_mut().expect("a list").push(claims);
    let user = place.namespace.user("unlisted", &rights, &volumes(&["get", "patch"]));
    let output = place.on("rollback", "-o json").kubeconfig(&user).output().expect(11);
    assert_eq!(error_ids(&output), ["MIGRATE-NO-RIGHTS"], "{output}");
    let deployment = place.namespace.get("apps/v1", "deployments", "mysql").expect("it");
    assert_eq!(deployment["spec"]["replicas"], 1, "{deployment:#}");
    assert!(place.picture().has("statefulsets", "mysql"), "{output}");
    place.on("resume", "").output().expect(0);
    place.is_home();
}

/// Who may only look is told every right that is missing, at once.
#[test]
fn a_viewer_is_told_the_rights_that_are_missing() {
    let place = Place::make(Story { name: "viewer", ..STATIC });
    let looks = json!(["get", "list", "watch"]);
    let rights = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": looks}]);
    for (volumes, missing) in [
        (json!([]), &["get persistentvolumes", "patch persistentvolumes"][..]),
        (volumes(&["get"]), &["patch persistentvolumes"]),
    ] {
        let name = format!("viewer-{}", missing.len());
        let user = place.namespace.user(&name, &rights, &volumes);
        let output = plan(&place, "").kubeconfig(&user).output().expect(4);
        let ids = error_ids(&output);
        assert!(ids.iter().all(|id| id == "MIGRATE-NO-RIGHTS"), "{output}");
        let all = ["create configmaps", "patch deployments.apps", "create persistentvolumeclaims"];
        for right in missing.iter().chain(&all) {
            assert!(
                output.stdout.contains(&format!("the user may not {right}")),
                "{right}\n{output}"
            );
        }
    }
}

/// Whoever applies the old manifest again starts the Deployment: that is said
/// before, when it is moved, and when it is finished.
#[test]
fn who_makes_the_deployment_again_is_named() {
    let place = Place::make(Story { name: "again", ..STATIC });
    let applied = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    place.edit_deployment(&json!({"metadata": {"annotations": applied}}));
    let said = |output: &Output, wanted: &str| {
        let document = document(output);
        let reasons = document["reasons"].as_array().expect("reasons");
        let found = reasons.iter().find(|reason| reason["id"] == "MIGRATE-MADE-AGAIN");
        let message = found.expect("it is said")["message"].as_str().expect("a message");
        assert!(message.contains("by kubectl apply") && message.contains(wanted), "{message}");
    };
    let waits = "its pods wait for mysql-pv-claim, which has lost its volume to StatefulSet mysql";
    said(&plan(&place, "").output().expect(3), waits);
    said(&place.run("-o json").output().expect(0), waits);
    said(&place.on("finalize", "-o json").output().expect(0), "on new, empty volumes");
    // Nothing is left, and a program reads that.
    let again = place.on("finalize", "-o json").output().expect(0);
    assert_eq!(document(&again)["items"], json!([]), "{again}");
}

/// The journal of one that was begun is the guard of the next.
#[test]
fn one_migration_at_a_time() {
    let place = Place::make(Story { name: "one", ..STATIC });
    let nothing = place.migrate("rollback deploy/mysql -o json").output().expect(0);
    assert_eq!(document(&nothing)["items"], json!([]), "{nothing}");
    place.moves();
    // A plan of what is moved says that, and not that names are taken.
    let planned = plan(&place, "").output().expect(4);
    assert_eq!(reason_ids(&planned), ["MIGRATE-UNDER-WAY"], "{planned}");
    assert!(!planned.stdout.contains("\\\"op\\\""), "no JSON in a message\n{planned}");
    let hint = document(&planned)["hint"].as_str().expect("a line").to_owned();
    support::follow(&place.namespace, &hint);
    let output = place.run("--stop-first -o json").output().expect(7);
    assert!(reason_ids(&output).iter().any(|id| id == "MIGRATE-UNDER-WAY"), "{output}");
    // The same words again find it done.
    place.run("").output().expect(0);
    place.is_moved();
    place.on("rollback", "").output().expect(0);
    place.is_home();
}
