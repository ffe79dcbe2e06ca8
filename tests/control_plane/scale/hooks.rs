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
