//! The plain way: forward, and back.

use super::{
    super::support::{Answer, Fault, Seen},
    *,
};

#[test]
fn start_moves_the_highest_ordinal_and_promote_the_rest() {
    let namespace = made("canary-way", 3, |_| {});
    let before = Picture::of(&namespace);

    let output = ends(&namespace, &format!("{START} -o json"), 0);
    let document = document(&output);
    assert_eq!((&document["result"], &document["stage"]), (&json!("done"), &json!("paused")));
    let classes: Vec<(&str, &str)> = document["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| Some((item["name"].as_str()?, item["class"].as_str()?)))
        .collect();
    assert_eq!(classes, [("web-2", "canary"), ("web-1", "stable"), ("web-0", "stable")]);
    let started = Picture::of(&namespace);
    started.keeps(&before, &["web-0", "web-1"]);
    assert_ne!(started.uid("web-2"), before.uid("web-2"));
    assert_eq!(started.image("web-2"), Some("nginx:1.22"));
    assert!(is_ready(&started.pods["web-2"]), "it answers when the pod is well, and not before");
    assert_eq!((started.partition(), started.current()), (Some(2), before.update()));

    // The same again goes on, and there is nothing to go on with.
    ends(&namespace, START, 0);
    let again = Picture::of(&namespace);
    assert_eq!(again.set["metadata"]["annotations"], started.set["metadata"]["annotations"]);
    assert_eq!(again.generation(), started.generation());

    ends(&namespace, "promote web", 0);
    let promoted = Picture::of(&namespace);
    promoted.keeps(&before, &["web-0"]);
    promoted.keeps(&started, &["web-2"]);
    assert_eq!((promoted.partition(), promoted.image("web-1")), (Some(1), Some("nginx:1.22")));

    let output = ends(&namespace, "promote web --full", 0);
    assert!(output.stdout.contains("no canary"), "{output}");
    let through = Picture::of(&namespace);
    through.is_through(&before);
    through.keeps(&promoted, &["web-1", "web-2"]);
    assert_eq!(through.revisions.len(), 2);

    for words in ["promote web --full", "promote web", "abort web", "pause web"] {
        ends(&namespace, words, 0);
        assert_eq!(Picture::of(&namespace).generation(), through.generation(), "{words}");
    }
}

#[test]
fn abort_goes_back_to_the_very_revision_from_before() {
    for moved in [1, 2] {
        let namespace = made("canary-abort", 3, |_| {});
        let before = Picture::of(&namespace);
        ends(&namespace, &format!("{START} --count {moved}"), 0);
        let started = Picture::of(&namespace);
        assert_eq!(started.partition(), Some(3 - moved));
        assert_eq!(started.hash("web-2"), Some(started.update()));

        let output = ends(&namespace, "abort web -o json", 0);
        assert_eq!(document(&output)["stage"], "none");
        let back = Picture::of(&namespace);
        back.is_back_on(&before);
        back.keeps(&before, &["web-0", "web-1"][..3 - usize::try_from(moved).expect("small")]);
        assert_eq!(back.revisions.len(), 2, "no third revision: {:?}", back.revisions);
        ends(&namespace, "abort web", 0);
    }
}

/// The controller needs a moment to see that a canary is over.
#[test]
fn one_canary_follows_the_other_at_once() {
    let namespace = made("canary-follows", 2, |_| {});
    let before = Picture::of(&namespace);
    for _ in 0..4 {
        ends(&namespace, START, 0);
        ends(&namespace, "abort web", 0);
    }
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    // Here it is fast. Elsewhere the set is read before that moment is over.
    let mut unseen = back.set.clone();
    let generation = back.generation().as_i64().expect("a number");
    unseen["status"]["observedGeneration"] = json!(generation - 1);
    let proxy = namespace.cluster().proxy();
    let path = namespace.path("apps/v1", "statefulsets", "web");
    let reads = move |seen: &Seen| seen.method == Method::GET && seen.path == path;
    proxy.once(reads, Fault::Answer(Answer::object(unseen)));
    let run = canary(&namespace, START).kubeconfig(namespace.kubeconfig_through(&proxy));
    run.output().expect(0);
    assert_eq!(Picture::of(&namespace).image("web-1"), Some("nginx:1.22"));
}

/// `kubectl rollout undo` would go to the newest of the edits.
#[test]
fn abort_does_not_care_how_often_the_template_was_edited() {
    let namespace = made("canary-edits", 3, |_| {});
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    for image in ["nginx:1.23", "nginx:1.24"] {
        namespace
            .kubectl(["set", "image", "sts/web", &format!("nginx={image}")])
            .output()
            .success();
        until(&namespace, "the edit to arrive", |picture| picture.image("web-2") == Some(image));
    }
    let output = ends(&namespace, "promote web -o json", 7);
    assert_eq!(reason_ids(&output), ["CANARY-TEMPLATE-CHANGED"]);
    ends(&namespace, "abort web --allow CANARY-OVERWRITES", 0);
    let back = Picture::of(&namespace);
    back.is_back_on(&before);
    back.keeps(&before, &["web-0", "web-1"]);
    assert_eq!(back.revisions.len(), 4);
}

#[test]
fn nothing_is_written_before_somebody_has_agreed() {
    let namespace = made("canary-plan", 3, |_| {});
    let before = Picture::of(&namespace);
    let change = "--image nginx=nginx:1.22";
    let output = ends(&namespace, &format!("plan web {change} -o json"), 0);
    let plan = document(&output);
    let hash = plan["hash"].as_str().expect("a hash").to_owned();
    assert_eq!(plan["tried"], true, "the server has looked at it");
    ends(&namespace, &format!("plan web {change} --exit-code"), 3);
    ends(&namespace, &format!("{START} --dry-run=client"), 0);
    ends(&namespace, &format!("{START} --dry-run=server"), 0);
    // Nobody is there to be asked.
    let run = namespace.stateful(["canary"].into_iter().chain(START.split_whitespace()));
    run.output().expect(2);
    let after = Picture::of(&namespace);
    assert_eq!(after.generation(), before.generation());
    assert_eq!(after.annotation(), None);

    // A plan is about one world.
    namespace.kubectl(["set", "env", "sts/web", "A=1"]).output().success();
    let settled = until(&namespace, "the edit to be everywhere", |picture| {
        picture.current() == picture.update()
            && picture.update() != before.update()
            && picture.pods.values().filter(|pod| is_ready(pod)).count() == 3
    });
    let output = ends(&namespace, &format!("{START} --confirm-plan {hash}"), 7);
    assert!(output.stderr.contains("plan"), "{output}");
    assert_eq!(Picture::of(&namespace).generation(), settled.generation());
    let output = ends(&namespace, &format!("plan web {change}"), 0);
    let (_, line) = output.stdout.split_once("to do it:\n").expect("a line to paste");
    support::follow(&namespace, line.trim());
    assert_eq!(Picture::of(&namespace).image("web-2"), Some("nginx:1.22"));
}

#[test]
fn status_and_history_tell_where_it_is() {
    let namespace = made("canary-look", 3, |_| {});
    let before = Picture::of(&namespace);
    assert_eq!(document(&ends(&namespace, "status web -o json", 0))["stage"], "none");
    ends(&namespace, "status web --exit-code", 0);
    ends(&namespace, START, 0);
    let started = Picture::of(&namespace);

    let shown = document(&ends(&namespace, "status web -o json", 0));
    assert_eq!((&shown["stage"], &shown["partition"]), (&json!("paused"), &json!(2)));
    assert_eq!(
        (&shown["stable"], &shown["target"]),
        (&json!(before.update()), &json!(started.update()))
    );
    ends(&namespace, "status web --exit-code", 9);
    ends(&namespace, "status web --wait-for paused --timeout 30s", 0);
    ends(&namespace, "status web --wait-for complete --timeout 1s", 6);

    let waiting = canary(&namespace, "status web --wait-for complete --timeout 90s").start();
    let history = document(&ends(&namespace, "history web -o json", 0));
    let classes: Vec<(&str, &str)> = history["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| Some((item["name"].as_str()?, item["class"].as_str()?)))
        .collect();
    assert_eq!(classes, [(started.update(), "canary"), (before.update(), "stable")]);
    let newest = started.update();
    let differences = ends(&namespace, &format!("history web --revision {newest}"), 0);
    assert!(differences.stdout.contains("nginx:1.21 → nginx:1.22"), "{differences}");
    ends(&namespace, "promote web --full", 0);
    waiting.finish().expect(0);
}
