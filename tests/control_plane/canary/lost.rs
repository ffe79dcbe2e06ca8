//! The revision to go back to was deleted: what is lost with it is said, and each
//! line that is printed goes further, none to where one was.

use super::{super::support::follow, *};

const NO_WAY_BACK: &str = "CANARY-NO-WAY-BACK";

/// A canary of which somebody has deleted the stable revision.
fn lost(hint: &str) -> (Namespace<'static>, Picture) {
    let namespace = made(hint, 3, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    let path = namespace.path("apps/v1", "controllerrevisions", before.update());
    namespace.cluster().api().delete(&path);
    (namespace, before)
}

#[track_caller]
fn next(output: &Output) -> Vec<String> {
    let document = document(output);
    let next = document["next"].as_array().expect("lines").iter();
    next.map(|next| next["command"].as_str().expect("a line").to_owned()).collect()
}

/// The line, without the ten seconds for which a pod is watched by default.
fn go_on(namespace: &Namespace, line: &str) {
    follow(namespace, &line.replace(" -n ", " --bake 0 -n "));
}

#[test]
fn a_canary_without_a_way_back_goes_forward() {
    let (namespace, before) = lost("canary-lost");
    let output = ends(&namespace, "abort web -o json", 4);
    assert_eq!(error_ids(&output), [NO_WAY_BACK], "{output}");
    let said = document(&output)["reasons"][0]["message"].to_string();
    assert!(said.contains(before.update()) && said.contains("manifest from before"), "{output}");
    let promote = format!("kubectl stateful canary promote web -n {}", namespace.name());
    assert_eq!(support::hint_of(&document(&output), NO_WAY_BACK), promote);
    let status = ends(&namespace, "status web -o json", 0);
    assert_eq!(next(&status), std::slice::from_ref(&promote), "{status}");
    assert!(!status.stdout.contains("canary forget"), "{status}");
    go_on(&namespace, &promote);
    assert_eq!(Picture::of(&namespace).partition(), Some(1));
    ends(&namespace, "promote web --full", 0);
    Picture::of(&namespace).is_through(&before);
}

/// Somebody else has applied another template since, or the record was dropped.
#[test]
fn without_a_way_back_what_is_there_can_be_adopted() {
    for forgotten in [false, true] {
        let (namespace, before) = lost("canary-lost-adopt");
        edit_image(&namespace, "nginx:1.30");
        until(&namespace, "the change to arrive", |picture| {
            picture.image("web-2") == Some("nginx:1.30") && picture.pods.values().all(is_ready)
        });
        namespace.wait_until_ready("web");
        if forgotten {
            ends(&namespace, "forget web", 0);
            // The line of `status` leads there, too.
            let status = support::status_document(&namespace, "web");
            let hint = support::hint_of(&status, "STATUS-PARTITION-HELD");
            assert!(hint.starts_with("kubectl stateful canary status web"), "{hint}");
        }
        let adopt = format!(
            "kubectl stateful canary start web --adopt --allow {NO_WAY_BACK} -n {}",
            namespace.name()
        );
        let status = ends(&namespace, "status web -o json", 0);
        assert_eq!(next(&status), std::slice::from_ref(&adopt), "{status}");
        let output = ends(&namespace, "start web --adopt -o json", 4);
        assert_eq!(error_ids(&output), [NO_WAY_BACK], "{output}");
        assert_eq!(support::hint_of(&document(&output), NO_WAY_BACK), adopt);
        go_on(&namespace, &adopt);
        let status = ends(&namespace, "status web -o json", 0);
        let [promote] = next(&status).try_into().expect("one line");
        assert!(promote.starts_with("kubectl stateful canary promote web"), "{status}");
        Picture::of(&namespace).keeps(&before, &["web-0", "web-1"]);
        go_on(&namespace, &promote);
        ends(&namespace, "promote web --full", 0);
        let through = Picture::of(&namespace);
        for pod in ["web-0", "web-1", "web-2"] {
            assert_eq!(through.image(pod), Some("nginx:1.30"));
        }
        assert_eq!(through.annotation(), None);
    }
}

/// Of the same template the controller makes the same revision, and abort works.
#[test]
fn the_template_from_before_brings_the_way_back_again() {
    let (namespace, before) = lost("canary-lost-again");
    ends(&namespace, "abort web", 4);
    edit_image(&namespace, "nginx:1.21");
    until(&namespace, "the revision to be made again", |picture| {
        picture.update() == before.update()
            && picture.set["status"]["observedGeneration"] == *picture.generation()
    });
    let status = ends(&namespace, "status web -o json", 0);
    let [abort] = next(&status).try_into().expect("one line");
    assert!(abort.starts_with("kubectl stateful canary abort web"), "{status}");
    follow(&namespace, &abort);
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &["web-0", "web-1"]);
}
