//! `--fresh` that is interrupted: the old data has a way back under its old name,
//! whichever way the scaling is ended, and that is the line that is printed.

use super::{super::support, kept::follow, *};

/// A set at two whose third ordinal has left; its old volume.
fn at_two(hint: &str) -> (Namespace<'static>, String) {
    let namespace = made(hint, 3, |_| {});
    let disk = Picture::of(&namespace).claims["www-web-2"].1.clone();
    ends(&namespace, "--replicas 2", 0);
    (namespace, disk)
}

/// At two, with the old volume under its old name, and nothing of ours left.
#[track_caller]
fn is_as_before(namespace: &Namespace, disk: &str) {
    let now = Picture::of(namespace);
    assert_eq!((now.replicas, now.annotated), (2, false));
    let there = now.claims.get("www-web-2");
    let there = there.unwrap_or_else(|| panic!("nothing has the old name: {:?}", now.claims));
    assert_eq!(there.1, disk, "{:?}", now.claims);
    assert!(!now.claims.keys().any(|name| name.contains("-aside-")), "{:?}", now.claims);
    ends(namespace, "--replicas 3 --allow SCALE-READOPTS-DATA", 0);
}

/// The point at which a run is interrupted.
struct Point {
    name: &'static str,
    /// A hook that stops there; none for the claim that is on its way out.
    hook: Option<&'static str>,
    shows: &'static str,
}

const POINTS: [Point; 3] = [
    Point { name: "going", hook: None, shows: "www-web-2 to be gone" },
    Point { name: "aside", hook: Some("--before"), shows: "before web-2: here" },
    Point { name: "up", hook: Some("--after"), shows: "after web-2: here" },
];

impl Point {
    /// Runs `--replicas 3 --fresh` up to here, and ends it with this signal.
    fn interrupted(&self, namespace: &Namespace, signal: &str) -> Output {
        let path = namespace.path("v1", "persistentvolumeclaims", "www-web-2");
        let held = |by: Value| {
            namespace.cluster().api().patch(&path, &json!({"metadata": {"finalizers": by}}));
        };
        if self.hook.is_none() {
            held(json!(["stateful.test/hold"]));
        }
        let mut run = scale(namespace, "--replicas 3 --fresh -o json");
        if let Some(hook) = self.hook {
            run = run.args([hook, "echo here; sleep 60"]);
        }
        let running = run.start();
        running.wait_for_stderr("the point", |said| said.contains(self.shows));
        running.signal(signal);
        let output = running.finish();
        if self.hook.is_none() {
            held(Value::Null);
        }
        output
    }
}

/// Ctrl-C, and then the `undo` of that very report.
#[test]
fn the_undo_of_an_interrupted_fresh_scaling_brings_the_data_back() {
    for point in POINTS {
        let (namespace, disk) = at_two(&format!("scale-fresh-int-{}", point.name));
        let output = point.interrupted(&namespace, "INT").expect(130);
        let end = support::document(&output);
        let undo =
            end["undo"].as_str().unwrap_or_else(|| panic!("no undo: {}: {end:#}", point.name));
        assert!(undo.contains("--abort"), "{}: {undo}", point.name);
        follow(&namespace, undo);
        is_as_before(&namespace, &disk);
    }
}

/// Killed, so that nothing was printed, and `--abort` typed by hand: it says where
/// the data is, before anything is written and in the end, and how it comes back.
#[test]
fn an_abort_tells_where_the_data_is_that_was_set_aside() {
    for point in POINTS {
        let (namespace, disk) = at_two(&format!("scale-fresh-kill-{}", point.name));
        point.interrupted(&namespace, "KILL");
        let output = ends(&namespace, "--abort -o json", 0);
        let end = support::document(&output);
        let told: Vec<&Value> = end["reasons"]
            .as_array()
            .expect("reasons")
            .iter()
            .filter(|one| one["id"] == "SCALE-STILL-ASIDE")
            .collect();
        assert_eq!(told.len(), 1, "{}: {end:#}", point.name);
        let message = told[0]["message"].as_str().expect("a message");
        assert!(message.contains(&disk) && message.contains("www-web-2-aside-"), "{message}");
        follow(&namespace, told[0]["hint"].as_str().expect("a line"));
        is_as_before(&namespace, &disk);
    }
}

/// Begun with `--fresh`, finished with another flag: what was set aside by the
/// first run is in the report and in the `undo` of the second.
#[test]
fn a_fresh_scaling_that_is_finished_otherwise_has_a_whole_undo() {
    let (namespace, disk) = at_two("scale-fresh-allow");
    POINTS[2].interrupted(&namespace, "KILL");
    let output = ends(&namespace, "--replicas 3 --allow SCALE-READOPTS-DATA -o json", 0);
    let end = support::document(&output);
    assert_eq!(end["aside"][0]["volume"], disk, "{end:#}");
    follow(&namespace, end["undo"].as_str().expect("a line"));
    is_as_before(&namespace, &disk);
}
