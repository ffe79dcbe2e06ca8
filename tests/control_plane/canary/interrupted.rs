//! A run that is told to end: what it shows is what the cluster has by then, and the
//! line that it prints goes on.

use super::{
    super::support::{Fault, Gate, Seen, follow},
    *,
};

fn patches(seen: &Seen) -> bool {
    seen.method == Method::PATCH && seen.changes()
}

fn deletes(seen: &Seen) -> bool {
    seen.method == Method::DELETE && seen.path.contains("/pods/")
}

#[track_caller]
fn line_that_goes_on(output: &Output) -> String {
    let line = output.stderr.lines().find_map(|line| line.split_once("to continue: "));
    line.unwrap_or_else(|| panic!("{output}")).1.to_owned()
}

/// The set goes back by then, and `start` would be refused.
#[test]
fn a_start_that_was_aborting_is_continued_by_abort() {
    let namespace = made("canary-term-abort", 3, |_| {});
    let before = Picture::of(&namespace);
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    proxy.when(deletes, Fault::Hold(gate.clone()));
    let run = canary(&namespace, "start web --patch-file - --on-failure abort");
    let run = run.stdin(broken_by("image-pull")).kubeconfig(namespace.kubeconfig_through(&proxy));
    let run = run.start();
    gate.wait_until_reached(SOON);
    run.signal("TERM");
    let output = run.finish().expect(143);
    let line = line_that_goes_on(&output);
    assert!(line.starts_with("kubectl stateful canary abort web"), "{output}");
    assert!(output.stdout.contains("aborting"), "{output}");
    follow(&namespace, &line);
    Picture::of(&namespace).is_back_on(&before);
    drop(proxy);
}

/// Before that it is `start`, which aborts if it fails, as it was told to.
#[test]
fn a_start_that_moves_forward_is_continued_by_itself() {
    let namespace = made("canary-term-start", 2, |_| {});
    let run = canary(&namespace, &format!("{START} --bake 60s --on-failure abort")).start();
    run.wait_for_stderr("the bake", |said| said.contains("web-1 to stay Ready"));
    run.signal("TERM");
    let output = run.finish().expect(143);
    let line = line_that_goes_on(&output);
    assert!(line.starts_with("kubectl stateful canary start web"), "{output}");
    assert!(line.contains("--on-failure abort"), "{output}");
}

/// A write that was sent is seen in the picture, whether its answer came or not, and
/// where the server takes its time.
#[test]
fn what_is_shown_at_the_end_is_not_older_than_the_last_write() {
    std::thread::scope(|scope| {
        for (answered, slow) in [(false, false), (true, false), (false, true)] {
            scope.spawn(move || shows_the_last_write(answered, slow));
        }
    });
}

fn shows_the_last_write(answered: bool, slow: bool) {
    let namespace = made("canary-int-picture", 3, |_| {});
    ends(&namespace, START, 0);
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    proxy.once(patches, Fault::HoldAnswer(gate.clone()));
    let reached = gate.clone();
    let reads = move |seen: &Seen| slow && reached.is_reached() && seen.method == Method::GET;
    proxy.when(reads, Fault::Delay(Duration::from_millis(1500)));
    let run = canary(&namespace, "promote web -o json");
    let run = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    gate.wait_until_reached(SOON);
    run.signal("INT");
    if answered {
        gate.release();
    }
    let output = run.finish().expect(130);
    let shown = document(&output);
    let picture = Picture::of(&namespace);
    let record = picture.annotation().expect("a record");
    assert_eq!((picture.partition(), &record["partition"]), (Some(1), &json!(1)));
    assert_eq!(shown["partition"], 1, "{output}");
    assert_eq!(shown["run"], record["run"], "{output}");
    assert_eq!(shown["items"][1]["released"], true, "{output}");
}

/// Where it could not be read again, that is said.
#[test]
fn a_picture_that_may_be_older_is_said_to_be() {
    let namespace = made("canary-int-away", 2, |_| {});
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    let run = canary(&namespace, &format!("{START} --bake 60s"));
    let run = run.kubeconfig(namespace.kubeconfig_through(&proxy)).start();
    run.wait_for_stderr("the bake", |said| said.contains("web-1 to stay Ready"));
    proxy.when(|seen| seen.method == Method::GET, Fault::Hold(gate.clone()));
    run.signal("INT");
    let output = run.finish().expect(130);
    assert!(output.stderr.contains("what is shown may be older than the last write"), "{output}");
    gate.release();
}
