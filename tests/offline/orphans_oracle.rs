//! Clusters thrown together, judged twice: by the program, and by brute force
//! from the rules of docs/orphans.md, without an index and without sharing a
//! line of code with it.

use kubectl_stateful::{
    manifests::Bundle,
    orphans::{classify::judge, model::Kind, row::Class},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const NAMES: [&str; 6] = ["a", "b", "c", "a-b", "b-c", "web"];
const KINDS: [(&str, &str); 6] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("v1", "ReplicationController"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
];

#[derive(Clone, Debug)]
struct ClaimCase {
    name: String,
    labels: u8,
    phase: &'static str,
    owners: Vec<u8>,
    deleted: u8,
    migrates: bool,
}

#[derive(Clone, Debug)]
struct SetCase {
    name: &'static str,
    templates: Vec<&'static str>,
    replicas: u32,
    start: u32,
    labels: u8,
}

#[derive(Clone, Debug)]
struct Case {
    claims: Vec<ClaimCase>,
    sets: Vec<SetCase>,
    /// Name, phase, claim it names, and whether as an ephemeral volume.
    pods: Vec<(String, &'static str, String, bool)>,
    /// Kind and claim.
    templates: Vec<(usize, String)>,
    /// Target and maximum.
    scalers: Vec<(&'static str, u32)>,
    missing: Vec<usize>,
}

fn any_name() -> impl Strategy<Value = String> {
    let word = proptest::sample::select(&NAMES[..]);
    let tail = prop_oneof![
        8 => (0_u32..5).prop_map(|ordinal| ordinal.to_string()),
        1 => Just("01".to_owned()),
        1 => Just(String::new()),
        1 => Just("x".to_owned()),
        1 => Just("99999999999".to_owned()),
    ];
    prop_oneof![
        9 => (word.clone(), word.clone(), tail).prop_map(|(t, s, tail)| format!("{t}-{s}-{tail}")),
        1 => word.prop_map(str::to_owned),
    ]
}

prop_compose! {
    fn any_claim()(
        name in any_name(),
        labels in 0_u8..3,
        phase in prop_oneof![4 => Just("Bound"), 1 => Just("Pending"), 1 => Just("Lost")],
        owners in prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec(0_u8..5, 1..3)],
        deleted in prop_oneof![8 => Just(0_u8), 1 => 1_u8..3],
        migrates in proptest::bool::weighted(0.05),
    ) -> ClaimCase {
        ClaimCase { name, labels, phase, owners, deleted, migrates }
    }
}

prop_compose! {
    fn any_set()(
        name in proptest::sample::select(&NAMES[..]),
        templates in proptest::sample::subsequence(&NAMES[..], 0..3),
        replicas in 0_u32..4,
        start in 0_u32..3,
        labels in 0_u8..3,
    ) -> SetCase {
        SetCase { name, templates, replicas, start, labels }
    }
}

prop_compose! {
    fn any_case()(
        claims in proptest::collection::vec(any_claim(), 1..8),
        sets in proptest::collection::vec(any_set(), 0..4),
        pods in proptest::collection::vec((
            prop_oneof![Just("p".to_owned()), any_name()],
            proptest::sample::select(&["Pending", "Running", "Succeeded", "Failed", "Unknown"][..]),
            any_name(),
            any::<bool>(),
        ), 0..3),
        templates in proptest::collection::vec((0..KINDS.len(), any_name()), 0..3),
        scalers in proptest::collection::vec((proptest::sample::select(&NAMES[..]), 0_u32..6), 0..3),
        missing in prop_oneof![5 => Just(Vec::new()), 1 => proptest::collection::vec(0_usize..10, 1..3)],
    ) -> Case {
        let mut case = Case { claims, sets, pods, templates, scalers, missing };
        // Names are unique in a namespace.
        case.claims.sort_by(|one, other| one.name.cmp(&other.name));
        case.claims.dedup_by(|one, other| one.name == other.name);
        case.sets.sort_by(|one, other| one.name.cmp(other.name));
        case.sets.dedup_by(|one, other| one.name == other.name);
        case
    }
}

fn labels(which: u8) -> Value {
    match which {
        0 => json!({}),
        1 => json!({"app": "x"}),
        _ => json!({"app": "y", "tier": "z"}),
    }
}

fn owner(which: u8) -> Value {
    match which {
        0 => json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "pod-0"}),
        1 => json!({"apiVersion": "v1", "kind": "Pod", "name": "gone", "uid": "pod-gone"}),
        2 => json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": "set-0"}),
        3 => {
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "gone", "uid": "set-gone"})
        }
        _ => json!({"apiVersion": "db.example/v1", "kind": "Cluster", "name": "db", "uid": "c-1"}),
    }
}

/// Kinds that may be missing, by number; the others always are there.
const MISSABLE: [Kind; 10] = [
    Kind::Pod,
    Kind::StatefulSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::ReplicationController,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::Autoscaler,
    Kind::ScaledObject,
];

impl Case {
    fn lacks(&self, kind: &str) -> bool {
        self.missing.iter().any(|&number| MISSABLE[number].name() == kind)
    }

    fn objects(&self) -> Vec<Value> {
        let mut objects = Vec::new();
        for claim in &self.claims {
            let mut metadata = json!({
                "name": claim.name, "namespace": "n", "uid": format!("claim-{}", claim.name),
                "labels": labels(claim.labels),
                "ownerReferences": claim.owners.iter().map(|which| owner(*which)).collect::<Vec<_>>(),
            });
            if claim.deleted > 0 {
                let at = if claim.deleted == 1 {
                    "2020-01-01T00:00:00Z"
                } else {
                    "2099-01-01T00:00:00Z"
                };
                metadata["deletionTimestamp"] = json!(at);
            }
            if claim.migrates {
                metadata["annotations"] = json!({"kubectl-stateful.dev/migration": "m"});
            }
            objects.push(json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
                "spec": {}, "status": {"phase": claim.phase},
            }));
        }
        if !self.lacks("StatefulSet") {
            for (number, set) in self.sets.iter().enumerate() {
                let templates: Vec<Value> =
                    set.templates.iter().map(|name| json!({"metadata": {"name": name}})).collect();
                objects.push(json!({
                    "apiVersion": "apps/v1", "kind": "StatefulSet",
                    "metadata": {"name": set.name, "namespace": "n", "uid": format!("set-{number}")},
                    "spec": {
                        "replicas": set.replicas, "ordinals": {"start": set.start},
                        "selector": {"matchLabels": labels(set.labels)},
                        "volumeClaimTemplates": templates, "template": {"spec": {}},
                    },
                }));
            }
        }
        if !self.lacks("Pod") {
            for (number, (name, phase, claim, ephemeral)) in self.pods.iter().enumerate() {
                let volume = if *ephemeral {
                    json!({"name": "b-1", "ephemeral": {}})
                } else {
                    json!({"name": "v", "persistentVolumeClaim": {"claimName": claim}})
                };
                objects.push(json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": name, "namespace": "n", "uid": format!("pod-{number}")},
                    "spec": {"volumes": [volume]}, "status": {"phase": phase},
                }));
            }
        }
        for (kind, claim) in &self.templates {
            let (api, kind) = KINDS[*kind];
            if self.lacks(kind) {
                continue;
            }
            let pod = json!({"spec": {"volumes": [
                {"name": "v", "persistentVolumeClaim": {"claimName": claim}},
            ]}});
            let spec = if kind == "CronJob" {
                json!({"suspend": true, "jobTemplate": {"spec": {"template": pod}}})
            } else {
                json!({"replicas": 0, "template": pod})
            };
            objects.push(json!({
                "apiVersion": api, "kind": kind, "metadata": {"name": "w", "namespace": "n"},
                "spec": spec,
            }));
        }
        for (number, (target, most)) in self.scalers.iter().enumerate() {
            let target = json!({"kind": "StatefulSet", "name": target});
            let metadata = json!({"name": "s", "namespace": "n"});
            let keda = number % 2 == 1;
            if self.lacks(if keda { "ScaledObject" } else { "HorizontalPodAutoscaler" }) {
                continue;
            }
            objects.push(if keda {
                json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata,
                       "spec": {"maxReplicaCount": most, "scaleTargetRef": target}})
            } else {
                json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                       "metadata": metadata, "spec": {"maxReplicas": most, "scaleTargetRef": target}})
            });
        }
        // The same name in another namespace is another thing.
        for claim in &self.claims {
            objects.push(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "other"},
                "spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim.name}}]},
                "status": {"phase": "Running"},
            }));
        }
        objects
    }

    fn sees_sets(&self) -> Vec<(usize, &SetCase)> {
        if self.lacks("StatefulSet") {
            return Vec::new();
        }
        self.sets.iter().enumerate().collect()
    }

    fn in_use(&self, name: &str) -> bool {
        !self.lacks("Pod")
            && self.pods.iter().any(|(pod, phase, claim, ephemeral)| {
                let names = if *ephemeral { format!("{pod}-b-1") == name } else { claim == name };
                names && *phase != "Succeeded" && *phase != "Failed"
            })
    }

    fn owned_by(&self, which: u8) -> &'static str {
        match which {
            0 if !self.lacks("Pod") && !self.pods.is_empty() => "alive",
            2 if !self.sees_sets().is_empty() => "set",
            4 => "alive",
            _ => "dead",
        }
    }

    /// The class by the book; none for what needs no row.
    fn class(&self, claim: &ClaimCase) -> Option<&'static str> {
        let name = claim.name.as_str();
        match claim.deleted {
            1 | 2 if self.in_use(name) => return Some("terminating-in-use"),
            1 if self.lacks("Pod") => return Some("unknown"),
            1 => return Some("terminating-stuck"),
            2 => return None,
            _ => {}
        }
        let named =
            self.templates.iter().any(|(kind, named)| named == name && !self.lacks(KINDS[*kind].1));
        if self.in_use(name) || named {
            return None;
        }
        let mut mine = Vec::new();
        for (_, set) in self.sees_sets() {
            for template in &set.templates {
                // Every ordinal that a name of these tests can have.
                for ordinal in 0..12_u32 {
                    if format!("{template}-{}-{ordinal}", set.name) == name {
                        mine.push((set, ordinal));
                    }
                }
            }
        }
        if let [(set, ordinal)] = mine[..]
            && ordinal >= set.start
            && ordinal < set.start + set.replicas
        {
            return None;
        }
        if self.missing.iter().any(|&number| number < 8) {
            return Some("unknown");
        }
        if claim.migrates {
            return Some("managed");
        }
        let owners: Vec<&str> = claim.owners.iter().map(|which| self.owned_by(*which)).collect();
        if owners.contains(&"alive") {
            return Some("managed");
        }
        let of_a_set = owners.contains(&"set");
        if !of_a_set && owners.contains(&"dead") {
            return Some("owner-gone");
        }
        let class = match mine[..] {
            [] => self.of_no_set(claim, of_a_set),
            [(set, ordinal)] => {
                let reach = self.scalers.iter().enumerate().any(|(number, (target, most))| {
                    let kind =
                        if number % 2 == 1 { "ScaledObject" } else { "HorizontalPodAutoscaler" };
                    *target == set.name
                        && ordinal >= set.start
                        && ordinal - set.start < *most
                        && !self.lacks(kind)
                });
                if ordinal < set.start {
                    "ordinal-below-start"
                } else if set.replicas == 0 {
                    "parked"
                } else if reach {
                    "elastic"
                } else if self.missing.is_empty() {
                    "ordinal-beyond"
                } else {
                    "unknown"
                }
            }
            _ => "conflict",
        };
        let gives_way = [
            "ordinal-beyond",
            "ordinal-below-start",
            "set-gone",
            "template-renamed",
            "unreferenced",
        ];
        Some(match claim.phase {
            "Lost" if gives_way.contains(&class) => "lost",
            "Pending" if gives_way.contains(&class) => "pending-never-bound",
            _ => class,
        })
    }

    fn of_no_set(&self, claim: &ClaimCase, of_a_set: bool) -> &'static str {
        // HEAD-ORDINAL, the ordinal as a controller writes it.
        let head = (0..5_u32).find_map(|ordinal| claim.name.strip_suffix(&format!("-{ordinal}")));
        let carries = |has: u8, wants: u8| wants != 0 && has == wants;
        let renamed = head.is_some_and(|head| {
            self.sees_sets().iter().any(|(_, set)| {
                carries(claim.labels, set.labels)
                    && head
                        .strip_suffix(&format!("-{}", set.name))
                        .is_some_and(|rest| !rest.is_empty())
            })
        });
        if renamed {
            return "template-renamed";
        }
        if of_a_set {
            return "managed";
        }
        let Some(head) = head else { return "unreferenced" };
        if claim.labels == 0 || !head.contains('-') {
            return "unreferenced";
        }
        let sibling_in_use = self.claims.iter().any(|other| {
            let of_head = (0..5_u32).any(|ordinal| other.name == format!("{head}-{ordinal}"));
            of_head
                && other.name != claim.name
                && other.labels == claim.labels
                && self.in_use(&other.name)
        });
        if sibling_in_use { "unreferenced" } else { "set-gone" }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_claim_is_what_brute_force_says(case in any_case()) {
        let mut bundle = Bundle::default();
        for object in case.objects() {
            bundle.add(object).expect("an object");
        }
        let mut facts = kubectl_stateful::orphans::offline::facts(&bundle, Some("n"), true).expect("objects");
        for &number in &case.missing {
            facts.note_missing(MISSABLE[number], "not asked".to_owned());
        }
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        let verdict = judge(&facts, now);
        for claim in &case.claims {
            let row = verdict.rows.iter().find(|row| row.name == claim.name);
            let found = row.map(|row| row.class.name());
            prop_assert_eq!(found, case.class(claim), "{}: {:?}", claim.name, row);
        }
        let counts = verdict.counts;
        let counted = counts.used + counts.referenced + counts.expected + counts.leaving;
        // A claim in use that is being deleted is counted, and has a row.
        let both = verdict.rows.iter().filter(|row| row.class == Class::TerminatingInUse).count();
        prop_assert_eq!(counted + verdict.rows.len() - both, case.claims.len());
    }
}
