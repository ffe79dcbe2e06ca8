//! Somebody has deleted the claim of a pod that runs: whoever ends that pod
//! destroys the disk. What was refused is held to the disk itself, with a
//! provisioner that really deletes.

use super::{
    super::support::{Disk, Fault, Gate, Seen, claims, follow, hint_of},
    *,
};

const LEAVING: &str = "CANARY-CLAIM-LEAVING";

/// A set with a disk for each pod.
fn with_disks(hint: &str, change: impl FnOnce(&mut Value)) -> Namespace<'static> {
    made(hint, 3, |set| {
        claims(set, "standard");
        change(set);
    })
}

fn delete_claim(namespace: &Namespace, claim: &str) {
    namespace.kubectl(["delete", "pvc", claim, "--wait=false"]).output().success();
}

/// It ended for that reason with this code, and the pod and its disk are there.
#[track_caller]
fn spares(namespace: &Namespace, words: &str, code: i32, pod: &str, disk: &Disk) -> Output {
    let before = Picture::of(namespace);
    let output = ends(namespace, &format!("{words} -o json"), code);
    is_spared(namespace, &before, &output, pod, disk);
    output
}

#[track_caller]
fn is_spared(namespace: &Namespace, before: &Picture, output: &Output, pod: &str, disk: &Disk) {
    assert!(error_ids(output).contains(&LEAVING.to_owned()), "{output}");
    let after = Picture::of(namespace);
    after.keeps(before, &[pod]);
    let is_leaving = |object: &Value| object["metadata"]["deletionTimestamp"].is_string();
    assert!(!is_leaving(&after.pods[pod]), "{pod} goes\n{output}");
    assert!(disk.volume(namespace).is_some() && disk.is_whole(), "{output}");
}

/// What `start` says in each of its ways, and what its line to paste does.
#[test]
fn start_ends_no_pod_whose_claim_is_being_deleted() {
    let namespace = with_disks("canary-claim-start", |_| {});
    let disk = Disk::of_claim(&namespace, "www-web-2");
    delete_claim(&namespace, "www-web-2");
    let before = Picture::of(&namespace);
    let plan = "plan web --image nginx=nginx:1.22 --exit-code";
    for words in [plan, START, &format!("{START} --dry-run=client"), "start web --restart"] {
        spares(&namespace, words, 4, "web-2", &disk);
    }
    assert_eq!(Picture::of(&namespace).generation(), before.generation(), "nothing was written");
    let output = ends(&namespace, &format!("{START} --allow {LEAVING}"), 2);
    assert!(output.stderr.contains("no guard of that id can be overridden"), "{output}");
    let output = spares(&namespace, START, 4, "web-2", &disk);
    follow(&namespace, &hint_of(&document(&output), LEAVING));
    let volume = disk.volume(&namespace).expect("the volume");
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    let output = spares(&namespace, START, 4, "web-2", &disk);
    assert!(output.stdout.contains("is kept (policy Retain)"), "{output}");
    // The next line ends the pod, and what is said gives the volume back after that.
    let name = volume["metadata"]["name"].as_str().expect("a name");
    let recover = format!(
        "kubectl stateful migrate recover sts/web --ordinal 2 --pv {name} -n {}",
        namespace.name()
    );
    assert!(document(&output)["reasons"][0]["message"].to_string().contains(&recover), "{output}");
    let was = Picture::of(&namespace);
    follow(&namespace, &hint_of(&document(&output), LEAVING));
    until(&namespace, "another web-2", |picture| {
        picture.uid("web-2").is_some_and(|uid| Some(uid) != was.uid("web-2"))
            && is_ready(&picture.pods["web-2"])
    });
    follow(&namespace, &recover);
    namespace.wait_until_ready("web");
    let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-2").expect("a claim");
    assert_eq!(claim["spec"]["volumeName"], name);
    ends(&namespace, START, 0);
    assert!(disk.is_whole());
}

/// Nobody is sent into a start that is refused: it is said before there is a canary.
#[test]
fn a_claim_that_is_being_deleted_is_shown_without_a_canary() {
    let namespace = with_disks("canary-claim-at-rest", |_| {});
    let shown = |code: i32| ends(&namespace, "status web --exit-code -o json", code);
    assert_eq!(reason_ids(&shown(0)), Vec::<String>::new());
    delete_claim(&namespace, "www-web-1");
    let output = shown(0);
    assert_eq!(reason_ids(&output), [LEAVING], "{output}");
    assert!(error_ids(&output).is_empty(), "{output}");
    assert!(ends(&namespace, "status web", 0).stdout.contains("www-web-1 of web-1"), "{output}");
    // Where a rollout could be taken over, and that would end the pod.
    delete_claim(&namespace, "www-web-2");
    edit(&namespace, &partition(3));
    edit_image(&namespace, "nginx:1.30");
    namespace.wait_until_observed("web");
    let output = shown(3);
    assert!(error_ids(&output).contains(&LEAVING.to_owned()), "{output}");
    assert_eq!(document(&output)["next"], json!([]), "{output}");
    ends(&namespace, "start web --adopt", 4);
}

/// Between the plan and the write there is a hook, and somebody else.
#[test]
fn a_claim_that_is_deleted_during_a_hook_stops_the_step() {
    let namespace = with_disks("canary-claim-hook", |_| {});
    let disks = ["www-web-1", "www-web-2"].map(|claim| Disk::of_claim(&namespace, claim));
    let hook = |claim: &str| {
        let flag = namespace.directory().join(format!("{claim}.deleted"));
        let begun = namespace.directory().join(format!("{claim}.begun"));
        let line = format!(
            "touch {}; while [ ! -e {} ]; do sleep 0.1; done",
            begun.display(),
            flag.display()
        );
        (line, begun, flag)
    };
    let stops = |words: &str, pod: &str, disk: &Disk| {
        let before = Picture::of(&namespace);
        let claim = format!("www-{pod}");
        let (line, begun, flag) = hook(&claim);
        let run = canary(&namespace, &format!("{words} -o json")).args(["--before", &line]);
        let running = run.start();
        wait_for(SOON, "the hook to run", || begun.exists().then_some(()));
        delete_claim(&namespace, &claim);
        std::fs::write(&flag, "").expect("the hook is let go");
        let output = running.finish().expect(7);
        is_spared(&namespace, &before, &output, pod, disk);
        let after = Picture::of(&namespace);
        assert_eq!(after.generation(), before.generation(), "{output}");
    };
    // Under --full the ordinal above goes, and the next one is spared.
    let before = Picture::of(&namespace);
    ends(&namespace, START, 0);
    stops("promote web --full", "web-1", &disks[0]);
    let after = Picture::of(&namespace);
    assert_ne!(after.uid("web-2"), before.uid("web-2"));
    assert_eq!(after.partition(), Some(2));
    // The claim of web-1 keeps nobody from going back with web-2.
    ends(&namespace, "abort web", 0);
    stops(START, "web-2", &disks[1]);
}

#[test]
fn promote_and_on_delete_end_no_pod_whose_claim_is_being_deleted() {
    let on_delete = |set: &mut Value| set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    let rolling = with_disks("canary-claim-roll", |_| {});
    let deleting = with_disks("canary-claim-ondelete", on_delete);
    for namespace in [rolling, deleting] {
        let disks = ["www-web-1", "www-web-2"].map(|claim| Disk::of_claim(&namespace, claim));
        ends(&namespace, START, 0);
        delete_claim(&namespace, "www-web-1");
        spares(&namespace, "promote web", 4, "web-1", &disks[0]);
        spares(&namespace, "promote web --full --dry-run=client", 4, "web-1", &disks[0]);
        delete_claim(&namespace, "www-web-2");
        // It has moved already, so nothing but the way back would end it.
        spares(&namespace, "abort web", 4, "web-2", &disks[1]);
        spares(&namespace, "abort web --dry-run=client", 4, "web-2", &disks[1]);
    }
}

#[test]
fn unstick_and_abort_delete_no_pod_whose_claim_is_being_deleted() {
    let namespace = with_disks("canary-claim-unstick", |_| {});
    let disk = Disk::of_claim(&namespace, "www-web-2");
    let before = Picture::of(&namespace);
    let never = |value: Value| {
        let patch = json!({"stateful.test/never-ready": value});
        json!({"spec": {"template": {"metadata": {"annotations": patch}}}})
    };
    edit(&namespace, &never(json!("true")));
    until(&namespace, "the broken pod", |picture| {
        let pod = picture.pods.get("web-2");
        picture.uid("web-2") != before.uid("web-2") && pod.is_some_and(|pod| !is_ready(pod))
    });
    edit(&namespace, &never(Value::Null));
    until(&namespace, "the controller", |picture| picture.update() == before.update());
    delete_claim(&namespace, "www-web-2");
    wait_for(SOON, "the patience to run out", || {
        let output = canary(&namespace, "unstick web --unstick-after 2s --dry-run=client").output();
        output.stderr.contains(LEAVING).then_some(())
    });
    spares(&namespace, "unstick web --unstick-after 2s", 4, "web-2", &disk);

    let namespace = with_disks("canary-claim-broken", |_| {});
    let disk = Disk::of_claim(&namespace, "www-web-2");
    let words = "start web --patch-file - -o json --deadline 2s";
    canary(&namespace, words).stdin(broken_by("never-ready")).output().expect(6);
    delete_claim(&namespace, "www-web-2");
    spares(&namespace, "abort web --unstick-after 2s", 4, "web-2", &disk);
}

/// Claims that may not be read are said, and allowed by that id alone.
#[test]
fn claims_that_may_not_be_read_are_said() {
    let namespace = with_disks("canary-claim-unread", |_| {});
    let read = |resources: &[&str], groups: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": ["get", "list", "watch", "patch", "delete"]});
    let rules = json!([
        read(&["pods", "events"], &[""]),
        read(&["statefulsets", "controllerrevisions"], &["apps"]),
        read(&["horizontalpodautoscalers"], &["autoscaling"]),
        read(&["poddisruptionbudgets"], &["policy"]),
    ]);
    let user = namespace.user("blind", &rules, &json!([]));
    let output =
        canary(&namespace, &format!("{START} -o json")).kubeconfig(&user).output().expect(4);
    assert_eq!(error_ids(&output), ["CANARY-UNREAD"], "{output}");
    assert!(output.stdout.contains("persistentvolumeclaims"), "{output}");
    let allowed = format!("{START} --allow CANARY-UNREAD");
    canary(&namespace, &allowed).kubeconfig(&user).output().expect(0);
    let output = canary(&namespace, "abort web").kubeconfig(&user).output().expect(0);
    assert!(output.stderr.contains("CANARY-UNREAD persistentvolumeclaims"), "{output}");
}

/// `canary WORDS`, held at its second read of claims, which comes right before the
/// first write, until the claim of `pod` is deleted.
#[track_caller]
fn stops_before_the_write(namespace: &Namespace, words: &str, pod: &str, disk: &Disk) {
    let before = Picture::of(namespace);
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    let mut reads = 0;
    let second = move |seen: &Seen| {
        let is_read = seen.method == Method::GET && seen.path.contains("/persistentvolumeclaims");
        reads += usize::from(is_read);
        is_read && reads == 2
    };
    proxy.when(second, Fault::Hold(gate.clone()));
    let run = canary(namespace, &format!("{words} -o json"));
    let run = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    gate.wait_until_reached(SOON);
    delete_claim(namespace, &format!("www-{pod}"));
    gate.release();
    let output = run.finish().expect(7);
    is_spared(namespace, &before, &output, pod, disk);
    let after = Picture::of(namespace);
    assert_eq!(after.generation(), before.generation(), "{output}");
    assert!(proxy.count(|seen| seen.changes()) == 0, "{}", proxy.log());
}

/// In the middle of a run under OnDelete: one pod has gone, and the next is spared.
#[test]
fn under_on_delete_a_claim_that_is_deleted_in_the_middle_stops_each_way() {
    let namespace = with_disks("canary-claim-middle", |set| {
        set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    });
    let disk = Disk::of_claim(&namespace, "www-web-1");
    let deletes = |seen: &Seen| seen.method == Method::DELETE && seen.path.contains("/pods/");
    // The first pod goes; while the answer is held, the claim of another is deleted.
    let disturbed = |namespace: &Namespace, words: &str, claim: &str| {
        let proxy = namespace.cluster().proxy();
        let gate = Gate::closed();
        proxy.once(deletes, Fault::HoldAnswer(gate.clone()));
        let run = canary(namespace, &format!("{words} -o json"));
        let run = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
        gate.wait_until_reached(SOON);
        delete_claim(namespace, claim);
        gate.release();
        run.finish().expect(7)
    };
    // Both are to go back, and web-1 is the second one.
    ends(&namespace, &format!("{START} --count 2"), 0);
    let before = Picture::of(&namespace);
    let output = disturbed(&namespace, "abort web", "www-web-1");
    is_spared(&namespace, &before, &output, "web-1", &disk);
    assert_ne!(Picture::of(&namespace).uid("web-2"), before.uid("web-2"), "{output}");
    let status = ends(&namespace, "status web -o json", 0);
    assert!(error_ids(&status).contains(&LEAVING.to_owned()), "{status}");
    assert_eq!(document(&status)["next"], json!([]), "{status}");

    let namespace = with_disks("canary-claim-middle-forward", |set| {
        set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    });
    let disk = Disk::of_claim(&namespace, "www-web-0");
    ends(&namespace, START, 0);
    let before = Picture::of(&namespace);
    let output = disturbed(&namespace, "promote web --full", "www-web-0");
    is_spared(&namespace, &before, &output, "web-0", &disk);
    assert_ne!(Picture::of(&namespace).uid("web-1"), before.uid("web-1"), "{output}");
}

/// Right before the write that makes pods go back, and before the delete of a pod
/// in the trap.
#[test]
fn a_claim_that_is_deleted_in_the_middle_stops_abort_and_unstick() {
    let namespace = with_disks("canary-claim-late-back", |_| {});
    let disk = Disk::of_claim(&namespace, "www-web-2");
    ends(&namespace, START, 0);
    stops_before_the_write(&namespace, "abort web", "web-2", &disk);
    // Nobody is told to type what would be refused.
    let status = ends(&namespace, "status web -o json", 0);
    let document = document(&status);
    assert!(status.stdout.contains(LEAVING), "{status}");
    let next = document["next"].to_string();
    assert!(next.contains("canary promote") && !next.contains("canary abort"), "{status}");

    let namespace = with_disks("canary-claim-late-unstick", |_| {});
    let disk = Disk::of_claim(&namespace, "www-web-2");
    let before = Picture::of(&namespace);
    let never = |value: Value| {
        let patch = json!({"stateful.test/never-ready": value});
        json!({"spec": {"template": {"metadata": {"annotations": patch}}}})
    };
    edit(&namespace, &never(json!("true")));
    until(&namespace, "the broken pod", |picture| {
        let pod = picture.pods.get("web-2");
        picture.uid("web-2") != before.uid("web-2") && pod.is_some_and(|pod| !is_ready(pod))
    });
    edit(&namespace, &never(Value::Null));
    until(&namespace, "the controller", |picture| picture.update() == before.update());
    wait_for(SOON, "the patience to run out", || {
        let output = canary(&namespace, "unstick web --unstick-after 2s --dry-run=client").output();
        (output.code() == Some(0)).then_some(())
    });
    stops_before_the_write(&namespace, "unstick web --unstick-after 2s", "web-2", &disk);

    // In an abort that has put the template back, and waits for its patience.
    let namespace = with_disks("canary-claim-late-trap", |_| {});
    let disk = Disk::of_claim(&namespace, "www-web-2");
    let words = "start web --patch-file - -o json --deadline 2s";
    canary(&namespace, words).stdin(broken_by("never-ready")).output().expect(6);
    let before = Picture::of(&namespace);
    let run = canary(&namespace, "abort web --unstick-after 15s -o json").start();
    run.wait_for_stderr("the wait", |said| said.contains("waiting for web-2 to be Ready"));
    delete_claim(&namespace, "www-web-2");
    let output = run.finish().expect(7);
    is_spared(&namespace, &before, &output, "web-2", &disk);
}

/// A run does not end with a line that the next claim refuses.
#[test]
fn the_end_of_a_run_looks_at_the_claims_of_the_next_ordinal() {
    let namespace = with_disks("canary-claim-next", |_| {});
    delete_claim(&namespace, "www-web-1");
    for words in [START, "promote web"] {
        let words = format!("{words} -o json");
        let code = if words.starts_with("promote") { 4 } else { 0 };
        let output = ends(&namespace, &words, code);
        assert!(error_ids(&output).contains(&LEAVING.to_owned()), "{output}");
        assert!(!output.stdout.contains("canary promote"), "{output}");
    }
}
