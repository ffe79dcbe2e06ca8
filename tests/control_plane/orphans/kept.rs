//! "Kept" is held to the disk itself, with a provisioner that really deletes:
//! whatever others do, at whichever request, what a command says of a disk is so.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::{
    super::support::{Disk, Fault, FaultProxy, Gate, Meddled, Meddling, Run, Seen, sweep},
    *,
};

/// How many points of each sweep are tried, unless all are asked for.
const SAMPLE: usize = 10;

const CLAIM: &str = "data-web-1";

fn patch_claim(namespace: &Namespace, patch: &Value) {
    let path = namespace.path("v1", "persistentvolumeclaims", CLAIM);
    let kind = "application/merge-patch+json";
    namespace.cluster().api().request(http::Method::PATCH, &path, Some(patch), kind);
}

/// A claim of an ordinal beyond the range of its set, or the volume of such a claim.
#[derive(Clone, Copy, Debug)]
struct Shape {
    class: &'static str,
    does: Does,
    /// Whether the claim has another finalizer as well.
    held: bool,
    /// Whether somebody has deleted the claim, and a pod still uses it.
    terminating: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Delete,
    DeleteAll,
    /// Gives the volume of a claim that was deleted back to its ordinal.
    Adopt,
}

impl Shape {
    fn prepare(self, namespace: &Namespace) -> Disk {
        let class = json!(self.class);
        let pointer = "/spec/volumeClaimTemplates/0/spec/storageClassName";
        make(namespace, &with(set("web", "data", 2), pointer, class));
        pods_are(namespace, "web", &[0, 1]);
        let disk = Disk::of_claim(namespace, CLAIM);
        scale(namespace, "web", &json!({"replicas": 1}));
        pods_are(namespace, "web", &[0]);
        if self.does == Does::Adopt {
            namespace.stateful(["orphans", "delete", CLAIM, "--yes"]).output().expect(0);
        }
        if self.held {
            let finalizers = json!(["kubernetes.io/pvc-protection", "stateful.test/hold"]);
            patch_claim(namespace, &json!({"metadata": {"finalizers": finalizers}}));
        }
        if self.terminating {
            truth::user_of(namespace, "reader", CLAIM);
            namespace.kubectl(["delete", "pvc", CLAIM, "--wait=false"]).output().expect(0);
        }
        disk
    }

    fn run(self, namespace: &Namespace, proxy: &FaultProxy, disk: &Disk) -> Run {
        let volume = format!("pv/{}", disk.volume);
        let words: Vec<&str> = match self.does {
            Does::Delete => vec!["delete", CLAIM],
            Does::DeleteAll => vec!["delete", CLAIM, "--keep-pv=false"],
            Does::Adopt => vec!["adopt", &volume, "--to", "web/1"],
        };
        let run = namespace.stateful(["orphans"]).args(words);
        run.args(["--yes", "-o", "json", "--timeout", "8s"])
            .kubeconfig(namespace.kubeconfig_through(proxy))
    }

    /// The requests at which somebody may come in between: all but the lists of
    /// whatever may use the claim, of which the first stands for the others.
    fn requests(self) -> Vec<usize> {
        let namespace = TestCluster::for_sweeps().namespace("orphans-kept");
        let disk = self.prepare(&namespace);
        let proxy = namespace.cluster().proxy();
        let output = self.run(&namespace, &proxy, &disk).output();
        settles(&namespace, &disk);
        self.holds(&namespace, &disk, &output);
        let of_ours = |seen: &Seen| {
            let names = [CLAIM, &disk.volume, "web"];
            let is_object = names.iter().any(|name| seen.path.ends_with(name));
            seen.writes() || is_object || seen.path.contains("/pods")
        };
        let seen = proxy.requests();
        seen.iter().filter(|seen| of_ours(seen)).map(|seen| seen.number).collect()
    }

    /// What was said of the disk is so, at rest.
    #[track_caller]
    fn holds(self, namespace: &Namespace, disk: &Disk, output: &Output) {
        let claim = namespace.get("v1", "persistentvolumeclaims", CLAIM);
        let stays = claim.filter(|claim| claim["metadata"]["deletionTimestamp"].is_null());
        if let Some(claim) = &stays {
            let ours = claim["metadata"]["finalizers"].to_string().contains("kubectl-stateful");
            let is_told = format!("{output}").contains("ORPHANS-LEFT-HELD");
            assert!(!ours || is_told, "it is left held without a word: {output}");
        }
        // A refusal says nothing of it.
        let Ok(end) = serde_json::from_str::<Value>(&output.stdout) else { return };
        if self.does == Does::Adopt {
            if output.code() == Some(0) {
                let has = stays.map(|claim| claim["spec"]["volumeName"].clone());
                assert_eq!(has, Some(json!(disk.volume)), "{output}");
                assert!(disk.is_whole(), "it was adopted: {output}");
            }
            return;
        }
        let item = &end["items"][0];
        match item["data"].as_str() {
            Some("kept") => {
                assert!(disk.is_whole(), "it was said to be kept: {output}");
                assert!(disk.volume(namespace).is_some(), "it was said to be kept: {output}");
            }
            Some("unmanaged") => assert!(disk.is_whole(), "the disk was to stay: {output}"),
            Some("destroyed") => {
                assert!(disk.volume(namespace).is_none(), "it was said to be destroyed: {output}");
                assert!(!disk.is_whole(), "it was said to be destroyed: {output}");
            }
            Some("gone") => assert!(disk.volume(namespace).is_none(), "{output}"),
            _ => {}
        }
        let is_kept = item["data"] == "kept";
        if self.does == Does::Delete && item["result"] == "deleted" && !is_kept {
            assert_ne!(output.code(), Some(0), "it was to be kept: {output}");
            assert_eq!(item["undo"], Value::Null, "nothing brings it back: {output}");
        }
    }
}

/// Nothing holds anything any more, and everybody has done what there was to do.
fn settles(namespace: &Namespace, disk: &Disk) {
    scale(namespace, "web", &json!({"replicas": 1}));
    namespace.cluster().api().delete(&namespace.path("v1", "pods", "reader"));
    let claim = || namespace.get("v1", "persistentvolumeclaims", CLAIM);
    wait_for(SOON, "no finalizer of ours or of another", || {
        let Some(found) = claim() else { return Some(()) };
        let finalizers = found["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let is_test = |one: &&Value| one.to_string().contains("stateful.test");
        if !finalizers.iter().any(|one| is_test(&one)) {
            return Some(());
        }
        let rest: Vec<_> = finalizers.iter().filter(|one| !is_test(one)).collect();
        patch_claim(namespace, &json!({"metadata": {"finalizers": rest}}));
        None
    });
    wait_for(SOON, "the pods to be gone", || {
        let is_there = |pod: &str| namespace.get("v1", "pods", pod).is_some();
        (!is_there("web-1") && !is_there("reader")).then_some(())
    });
    // What was interrupted holds the claim until the same command comes again.
    let waits_for_us = |found: &Value| {
        !found["metadata"]["deletionTimestamp"].is_null()
            && found["metadata"]["finalizers"].to_string().contains("kubectl-stateful")
    };
    if claim().is_some_and(|found| waits_for_us(&found)) {
        namespace.stateful(["orphans", "delete", CLAIM, "--yes"]).output();
    }
    disk.settles(namespace);
}

struct Moment {
    shape: Shape,
    request: usize,
    meddling: Meddling,
    /// Whether the request waits until the others are done.
    waits: bool,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { shape, request, meddling, waits } = self;
        write!(f, "{shape:?}, request {request}, {meddling:?}, waits {waits}")
    }
}

fn try_moment(moment: &Moment) {
    let Moment { shape, request, meddling, waits } = moment;
    let namespace = TestCluster::for_sweeps().namespace("orphans-kept");
    let disk = shape.prepare(&namespace);
    let (proxy, gate) = (namespace.cluster().proxy(), Gate::closed());
    proxy.at(*request, Fault::Hold(gate.clone()));
    let running = shape.run(&namespace, &proxy, &disk).start();
    let is_over = AtomicBool::new(false);
    let (done_at, output) = thread::scope(|scope| {
        let end = scope.spawn(|| {
            let output = running.finish();
            is_over.store(true, Ordering::Relaxed);
            output
        });
        // How often it looks while it waits, nobody knows: it may be over before.
        let has_come = || proxy.requests().len() >= *request;
        wait_for(SOON, "the request", || {
            (has_come() || is_over.load(Ordering::Relaxed)).then_some(())
        });
        if !waits {
            gate.release();
        }
        if has_come() {
            meddling.to(&Meddled {
                namespace: &namespace,
                set: "web",
                claim: CLAIM,
                pod: "web-1",
                disk: &disk,
            });
        }
        let done_at = proxy.requests().len();
        gate.release();
        (done_at, end.join().expect("it ends"))
    });
    let of_volume = format!("/persistentvolumes/{}", disk.volume);
    let looked = proxy.requests();
    let looked = looked.iter().rfind(|seen| seen.path.contains(&of_volume));
    settles(&namespace, &disk);
    // Who meddles after the last look makes another truth.
    let is_later = |last: usize| last > done_at || (*waits && last >= *request);
    if looked.is_some_and(|seen| is_later(seen.number)) {
        shape.holds(&namespace, &disk, &output);
    }
}

/// Over every mix of policies and finalizers, with somebody else at every request.
#[test]
fn what_is_said_to_be_kept_is_kept() {
    let mut points = Vec::new();
    for class in ["standard", "standard-retain"] {
        for (does, terminating) in [
            (Does::Delete, false),
            (Does::Delete, true),
            (Does::DeleteAll, false),
            (Does::Adopt, false),
        ] {
            let shape = |held: bool| Shape { class, does, held, terminating };
            for request in shape(false).requests() {
                for meddling in Meddling::OF_CLAIMS {
                    for held in
                        [false, true].into_iter().filter(|held| !held || does != Does::Adopt)
                    {
                        for waits in [false, true] {
                            let shape = shape(held);
                            points.push(Moment { shape, request, meddling, waits });
                        }
                    }
                }
            }
        }
    }
    sweep("orphans kept", "whatever others do", points, SAMPLE, try_moment);
}
