//! What holds for every set, however it came to be.

use kubectl_stateful::{
    output::{Exit, Format, Look, text::width},
    status::{
        plan::{Goal, Health, Picture},
        report,
    },
    workload::{Severity, canonical_ordinal},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::build::*;

/// This many cases, unless the environment asks for another number.
pub fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    }
}

#[derive(Clone, Debug)]
struct PodCase {
    ordinal: u32,
    revision: &'static str,
    kind: u8,
}

fn make(case: &PodCase) -> Value {
    let pod = match case.kind {
        0 => pod(case.ordinal),
        1 => unready(case.ordinal, 5),
        2 => unready(case.ordinal, 500),
        3 => waiting(case.ordinal, "ImagePullBackOff", "not found"),
        4 => waiting(case.ordinal, "CrashLoopBackOff", ""),
        _ => with(pod(case.ordinal), "/metadata/deletionTimestamp", json!(ago(100))),
    };
    with(pod, "/metadata/labels/controller-revision-hash", json!(case.revision))
}

prop_compose! {
    fn any_pod()(
        ordinal in 0_u32..9,
        revision in prop_oneof![Just("web-1"), Just("web-2"), Just("web-x")],
        kind in 0_u8..6,
    ) -> PodCase {
        PodCase { ordinal, revision, kind }
    }
}

prop_compose! {
    fn any_set()(
        replicas in 0_u32..7,
        start in 0_u32..3,
        partition in proptest::option::of(0_u32..9),
        parallel in any::<bool>(),
        on_delete in any::<bool>(),
        rolling in any::<bool>(),
        pods in proptest::collection::vec(any_pod(), 0..9),
    ) -> (u32, u32, Vec<PodCase>, Picture) {
        let set = with(set(), "/spec/replicas", json!(replicas));
        let set = with(set, "/spec/ordinals", json!({"start": start}));
        let policy = if parallel { "Parallel" } else { "OrderedReady" };
        let set = with(set, "/spec/podManagementPolicy", json!(policy));
        let strategy = match (on_delete, partition) {
            (true, _) => json!({"type": "OnDelete"}),
            (false, None) => json!({"type": "RollingUpdate"}),
            (false, Some(partition)) => json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}),
        };
        let set = with(set, "/spec/updateStrategy", strategy);
        let update = if rolling { "web-2" } else { "web-1" };
        let set = with(set, "/status/updateRevision", json!(update));
        let mut objects = vec![set, service()];
        objects = replace(objects, pods.iter().map(make).collect());
        // Without any pod in the input nothing is known about pods.
        objects.push(with(pod(999), "/metadata/labels/app", json!("other")));
        (replicas, start, pods, judged(&objects))
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn the_picture_has_each_ordinal_once_and_no_other((replicas, start, pods, picture) in any_set()) {
        let shown: Vec<u32> = picture.items.iter().map(|item| item.pod.ordinal).collect();
        let range: Vec<u32> = (start..start + replicas).collect();
        prop_assert_eq!(&shown[..range.len()], &range[..]);
        let mut beyond: Vec<u32> = pods.iter().map(|pod| pod.ordinal).filter(|o| !range.contains(o)).collect();
        beyond.sort_unstable();
        beyond.dedup();
        prop_assert_eq!(&shown[range.len()..], &beyond[..]);
    }

    #[test]
    fn health_is_what_the_findings_and_the_goal_say((_, _, _, picture) in any_set()) {
        let stuck = picture.findings.iter().any(|finding| finding.severity == Severity::Error);
        prop_assert_eq!(picture.health == Health::Stuck, stuck);
        if picture.health == Health::Ready {
            prop_assert!(picture.meets(Goal::Ready));
            prop_assert!(picture.meets(Goal::Updated) || picture.set.strategy == "OnDelete");
        }
        if picture.meets(Goal::Ready) {
            prop_assert!(picture.items.iter().all(|item| item.pod.available));
        }
    }

    /// The only pod that a finding tells to delete is one that is not Ready,
    /// or one that OnDelete keeps on an old revision.
    #[test]
    fn no_healthy_pod_is_told_to_be_deleted((_, _, _, picture) in any_set()) {
        for finding in &picture.findings {
            let Some(hint) = &finding.hint else { continue };
            prop_assert!(!hint.contains("--force") && !hint.contains("--grace-period"));
            let name = match hint.strip_prefix("kubectl delete pod ") {
                Some(rest) => rest.split(' ').next().unwrap_or_default(),
                // The pod that unstick would delete.
                None if finding.id == "STATUS-REVERT-TRAP" => {
                    finding.object.strip_prefix("pod/").expect("a pod")
                }
                None => continue,
            };
            let item = picture.items.iter().find(|item| item.pod.name == name).expect("a pod of ours");
            prop_assert!(item.pod.revision != picture.set.update_revision, "{} is up to date", name);
            if finding.id == "STATUS-REVERT-TRAP" {
                prop_assert!(!item.pod.ready);
                let first = picture.set.ordinals_start + picture.set.partition.unwrap_or(0);
                prop_assert!(item.pod.ordinal >= first, "{} lies below the partition", name);
                let lower = picture.items.iter().filter(|other| other.pod.ordinal < item.pod.ordinal
                    && other.pod.ordinal >= picture.set.ordinals_start);
                prop_assert!(lower.into_iter().all(|other| other.pod.available), "a lower one blocks");
            }
        }
    }

    #[test]
    fn the_tree_names_every_ordinal_and_keeps_to_its_columns((_, _, _, picture) in any_set()) {
        let text = report::render(&picture, Exit::Done, Format::Table, Look::plain(now())).expect("text");
        for item in &picture.items {
            prop_assert!(text.contains(&item.pod.name));
        }
        for line in text.lines().filter(|line| !line.contains('→')) {
            prop_assert!(width(line) <= 100, "{} columns: {}", width(line), line);
        }
    }

    #[test]
    fn ordinals_are_read_back_as_they_are_written(ordinal in any::<u32>()) {
        prop_assert_eq!(canonical_ordinal(&ordinal.to_string()), Some(ordinal));
        prop_assert_eq!(canonical_ordinal(&format!("0{ordinal}")), None);
    }
}
