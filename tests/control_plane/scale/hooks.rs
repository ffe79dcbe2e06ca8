//! What hooks need of the pods in which they run, seen before the first write.

use super::{super::support::document, *};

/// A container or a port that a leaving pod does not have could only fail once the
/// scaling has begun.
#[test]
fn a_hook_that_could_never_run_is_refused() {
    let namespace = made("scale-hook-unfit", 2, |_| {});
    let before = Picture::of(&namespace);
    let exec = ["--before-exec", "true", "-c", "nope"];
    let http = ["--before-http", "nope/drain"];
    for (hook, says) in [
        (&exec[..], "pod web-1 has no container nope; it has nginx"),
        (&http[..], "the template has no port nope"),
    ] {
        for how in ["--dry-run", "--dry-run=server", "--yes"] {
            let run = namespace.stateful(["scale", "web", "--replicas", "1", "-o", "json", how]);
            let output = run.args(hook).deadline(SOON).output().expect(4);
            assert_eq!(reason_ids(&output), ["SCALE-HOOK-UNUSABLE"], "{output}");
            let message = document(&output)["reasons"][0]["message"].clone();
            assert!(message.as_str().is_some_and(|said| said.contains(says)), "{message}");
        }
    }
    assert_eq!(Picture::of(&namespace), before);
    let known = ["--before-exec", "true", "-c", "nginx", "--dry-run"];
    scale(&namespace, "--replicas 1 --dry-run").args(&known[..4]).output().expect(0);
}

/// The pod for which the hook has run is another one when its turn comes: that one has
/// left no cluster.
#[test]
fn a_pod_that_is_replaced_while_its_hook_runs_is_prepared_again() {
    let namespace = made("scale-hook-replaced", 2, |_| {});
    let (runs, ready) = (namespace.directory().join("runs"), namespace.directory().join("ready"));
    let wait = until_there(&ready);
    let hook = format!("echo here; echo $STATEFUL_POD >> {}; {wait}", runs.display());
    let running = scale(&namespace, "--replicas 1").args(["--before", &hook]).start();
    running.wait_for_stderr("the hook", |said| said.contains("before web-1: here"));
    namespace.delete_pod("web-1");
    wait_for(SOON, "another pod", || namespace.get("v1", "pods", "web-1").map(drop));
    namespace.wait("pod/web-1", "condition=Ready");
    std::fs::write(&ready, "").expect("a file");
    let output = running.finish().expect(0);
    assert_eq!(std::fs::read_to_string(&runs).expect("it ran"), "web-1\nweb-1\n", "{output}");
    assert!(output.stderr.contains("web-1 is another pod now"), "{output}");
}
