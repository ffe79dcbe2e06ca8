//! A refusal that is no dead end, and a cause that is named: what `canary` says from
//! files of a set that does not go on.

use serde_json::{Value, json};

use super::{
    build::*,
    canary_words::{IMAGE, asked, ids, recorded, rest, shown},
    cli::run,
};

fn reason<'a>(document: &'a Value, id: &str) -> &'a Value {
    let reasons = document["reasons"].as_array().expect("reasons");
    let found = reasons.iter().find(|reason| reason["id"] == id);
    found.unwrap_or_else(|| panic!("{id} is not said: {document:#}"))
}

#[track_caller]
fn hint(document: &Value, id: &str) -> String {
    reason(document, id)["hint"].as_str().unwrap_or_else(|| panic!("{document:#}")).to_owned()
}

#[test]
fn a_refusal_says_what_to_do_instead() {
    let (plan, _) = asked("plan", &["--image", "nginx=nginx:1.21"], &rest());
    let said = hint(&plan, "CANARY-NO-CHANGE");
    assert!(said.contains("--restart"), "{said}");
    let (plan, _) = asked("plan", &["--adopt"], &rest());
    let said = hint(&plan, "CANARY-NO-CHANGE");
    assert!(said.contains("kubectl stateful canary stage web -n default"), "{said}");

    let empty = with(set(), "/spec/replicas", json!(0));
    let gone = ["Pod/web-0", "Pod/web-1", "Pod/web-2"];
    let (plan, _) = asked("plan", &IMAGE, &without(replace(rest(), vec![empty]), &gone));
    let said = hint(&plan, "CANARY-NO-REPLICAS");
    assert!(said.contains("kubectl stateful scale web --replicas "), "{said}");

    let gate = |flags: &[&str]| {
        let ports = json!([{"name": "http", "containerPort": 80}]);
        let set = with(set(), "/spec/template/spec/containers/0/ports", ports);
        let (plan, _) =
            asked("plan", &[&["--restart"], flags].concat(), &replace(rest(), vec![set]));
        hint(&plan, "CANARY-GATE-UNUSABLE")
    };
    let said = gate(&["--gate-exec=true", "--container=nope"]);
    assert!(said.contains("--container nginx"), "{said}");
    let said = gate(&["--gate-http=nope/health"]);
    assert!(said.contains("--gate-http http/health"), "{said}");
}

/// One that the server refuses to create has no status of its own.
#[test]
fn a_pod_that_is_refused_is_named_with_the_servers_words() {
    let refused = |message: &str| {
        let text = format!("create Pod web-2 in StatefulSet web failed error: {message}");
        let event =
            with(event("set-1", "FailedCreate", &text), "/lastTimestamp", json!(now().to_string()));
        without(recorded(|_| (), vec![event]), &["Pod/web-2"])
    };
    let quota = refused("pods \"web-2\" is forbidden: exceeded quota: few");
    let (status, code) = asked("status", &["--exit-code"], &quota);
    assert_eq!((ids(&status), code), (vec!["CANARY-POD-REFUSED"], Some(3)));
    assert!(
        reason(&status, "CANARY-POD-REFUSED")["message"]
            .to_string()
            .contains("exceeded quota: few")
    );
    assert_eq!(hint(&status, "CANARY-POD-REFUSED"), "kubectl describe resourcequota -n default");
    let (text, _) = shown("status", &[], &quota);
    assert!(text.contains("canary promote web") && text.contains("canary abort web"), "{text}");
    let webhook = refused("admission webhook \"images.example.com\" denied the request: no");
    let (status, _) = asked("status", &[], &webhook);
    assert_eq!(hint(&status, "CANARY-POD-REFUSED"), "kubectl describe sts web -n default");
    // From before the canary: the pod was made since.
    let old = replace(
        quota,
        vec![with(
            event(
                "set-1",
                "FailedCreate",
                "create Pod web-2 in StatefulSet web failed error: exceeded quota: few",
            ),
            "/lastTimestamp",
            json!(ago(900)),
        )],
    );
    let (status, _) = asked("status", &[], &old);
    assert_eq!(ids(&status), Vec::<&str>::new());
}

#[test]
fn a_namespace_that_is_going_is_said_of_a_canary_too() {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "default", "deletionTimestamp": ago(30)},
    });
    let id = "CANARY-NAMESPACE-DELETING";
    for objects in [rest(), recorded(|_| (), Vec::new())] {
        let objects = without(replace(objects, vec![namespace.clone()]), &["Pod/web-1"]);
        let (status, code) = asked("status", &["--exit-code"], &objects);
        assert!(ids(&status).contains(&id), "{status:#}");
        assert_eq!(code, Some(3));
        assert!(hint(&status, id).starts_with("kubectl get namespace default"), "{status:#}");
        assert_eq!(status["next"], json!([]), "nothing goes further there: {status:#}");
    }
    let objects = without(replace(rest(), vec![namespace]), &["Pod/web-1"]);
    let (plan, code) = asked("plan", &[&IMAGE[..], &["--exit-code"]].concat(), &objects);
    assert_eq!((ids(&plan)[0], code), (id, Some(4)));
}

#[test]
fn a_claim_that_is_being_deleted_is_shown_without_a_canary() {
    let leaving = with(claim(1), "/metadata/deletionTimestamp", json!(ago(30)));
    let volumes = json!([{"name": "www", "persistentVolumeClaim": {"claimName": "www-web-1"}}]);
    let objects = replace(rest(), vec![leaving, with(pod(1), "/spec/volumes", volumes)]);
    let (status, code) = asked("status", &["--exit-code"], &objects);
    assert_eq!((ids(&status), code), (vec!["CANARY-CLAIM-LEAVING"], Some(0)));
    assert!(hint(&status, "CANARY-CLAIM-LEAVING").starts_with("kubectl patch pv"), "{status:#}");
}

/// A slip of whoever types at three in the morning is not answered with a verb that
/// writes where one that reads is as near.
#[test]
fn a_verb_that_is_misspelt_is_answered_with_all_that_are_near() {
    let answer = |words: &[&str]| {
        let (_, stderr, code) = run(words, "");
        assert_eq!(code, Some(2), "{stderr}");
        stderr
    };
    let said = answer(&["canary", "strat", "web"]);
    assert!(said.contains("did you mean status, start or stage?"), "{said}");
    let said = answer(&["canary", "statsu", "web"]);
    assert!(said.contains("did you mean status"), "{said}");
    let said = answer(&["canary", "promot", "web"]);
    assert!(said.contains("did you mean promote?"), "{said}");
    let said = answer(&["canary", "xyzzy", "web"]);
    assert!(!said.contains("did you mean"), "{said}");
}
