//! Pods, claims and volumes in little memory: shared text is kept once, and of a
//! healthy pod only what the rules can still ask about.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    diagnosis,
    workload::{
        Claim, ClaimRef, Condition, Pod, StatefulSet, Volume,
        pool::{Pool, Text},
    },
};

/// A pod of a set.
#[derive(Debug)]
pub enum KeptPod {
    /// A pod that is Ready, was before, and stays: no rule asks more about it than this.
    Ready(ReadyPod),
    Whole(Box<Pod>),
}

#[derive(Debug)]
pub struct ReadyPod {
    ordinal: u32,
    /// Keys and values, but for the name of the pod and its index.
    labels: Arc<[Text]>,
    created: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl KeptPod {
    /// Keeps a pod of `set`.
    pub fn of(pod: Pod, set: &StatefulSet, pool: &mut Pool) -> KeptPod {
        let plain = set.owns(&pod)
            && pod.is_ready()
            && !pod.is_terminating()
            && pod.phase == "Running"
            && pod.reason.is_none()
            && !diagnosis::has_restarted_often(&pod);
        let Some(ordinal) = set.ordinal_of(&pod.name).filter(|_| plain) else {
            return KeptPod::Whole(Box::new(pod));
        };
        KeptPod::Ready(ReadyPod {
            ordinal,
            labels: shared_labels(&pod, pool),
            created: pod.created,
            since: pod.condition("Ready").and_then(|ready| ready.since),
        })
    }

    /// The ordinal in its name.
    pub fn ordinal(&self, set: &StatefulSet) -> Option<u32> {
        match self {
            KeptPod::Ready(pod) => Some(pod.ordinal),
            KeptPod::Whole(pod) => set.ordinal_of(&pod.name),
        }
    }

    pub fn revision(&self) -> Option<&str> {
        match self {
            KeptPod::Ready(pod) => {
                let mut labels = pairs(&pod.labels);
                labels.find(|(key, _)| *key == REVISION).map(|(_, value)| value)
            }
            KeptPod::Whole(pod) => pod.revision(),
        }
    }

    /// The pod as the rules take it.
    pub fn pod(&self, set: &StatefulSet) -> Pod {
        let ready = match self {
            KeptPod::Whole(pod) => return Pod::clone(pod),
            KeptPod::Ready(ready) => ready,
        };
        let name = set.pod_name(ready.ordinal);
        let own = [(POD_NAME, name.clone()), (POD_INDEX, ready.ordinal.to_string())];
        let own = own.map(|(key, value)| (key.to_owned(), value));
        let shared = pairs(&ready.labels).map(|(key, value)| (key.to_owned(), value.to_owned()));
        Pod {
            name,
            labels: shared.chain(own).collect(),
            created: ready.created,
            controller_uid: Some(set.uid.clone()).filter(|uid| !uid.is_empty()),
            phase: "Running".to_owned(),
            conditions: vec![Condition {
                kind: "Ready".to_owned(),
                holds: true,
                reason: None,
                message: None,
                since: ready.since,
            }],
            ..Pod::default()
        }
    }
}

const REVISION: &str = "controller-revision-hash";
/// The labels in which the pods of one revision differ, both from the ordinal.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The labels that the other pods of its revision have, too.
fn shared_labels(pod: &Pod, pool: &mut Pool) -> Arc<[Text]> {
    let shared =
        pod.labels.iter().filter(|(key, _)| ![POD_NAME, POD_INDEX].contains(&key.as_str()));
    let texts = shared.flat_map(|(key, value)| [key, value]).map(|text| pool.text(text)).collect();
    pool.list(texts)
}

fn pairs(labels: &[Text]) -> impl Iterator<Item = (&str, &str)> {
    labels.chunks_exact(2).filter_map(|pair| match pair {
        [key, value] => Some((&**key, &**value)),
        _ => None,
    })
}

/// A claim of a set.
#[derive(Debug)]
pub enum KeptClaim {
    /// A claim that has nothing but these.
    Plain(PlainClaim),
    Whole(Box<Claim>),
}

#[derive(Debug)]
pub struct PlainClaim {
    name: Box<str>,
    uid: Box<str>,
    created: Option<Timestamp>,
    phase: Text,
    class: Option<Text>,
    volume: Option<Box<str>>,
    capacity: Option<Text>,
    request: Option<Text>,
    access_modes: Arc<[Text]>,
    is_block: bool,
    selected_node: Option<Text>,
    finalizers: Arc<[Text]>,
}

impl KeptClaim {
    pub fn of(mut claim: Claim, pool: &mut Pool) -> KeptClaim {
        // Of these no rule of status asks.
        claim.owners = Vec::new();
        claim.unused_since = None;
        let mut some = |text: &Option<String>| text.as_deref().map(|text| pool.text(text));
        let (class, capacity) = (some(&claim.class), some(&claim.capacity));
        let (request, selected_node) = (some(&claim.request), some(&claim.selected_node));
        let plain = KeptClaim::Plain(PlainClaim {
            name: claim.name.as_str().into(),
            uid: claim.uid.as_str().into(),
            created: claim.created,
            phase: pool.text(&claim.phase),
            class,
            volume: claim.volume.as_deref().map(Into::into),
            capacity,
            request,
            access_modes: shared(&claim.access_modes, pool),
            is_block: claim.is_block,
            selected_node,
            finalizers: shared(&claim.finalizers, pool),
        });
        // What has more to it is kept whole: nothing is lost on the way.
        if plain.claim() == claim { plain } else { KeptClaim::Whole(Box::new(claim)) }
    }

    pub fn claim(&self) -> Claim {
        let plain = match self {
            KeptClaim::Whole(claim) => return Claim::clone(claim),
            KeptClaim::Plain(plain) => plain,
        };
        Claim {
            name: plain.name.to_string(),
            uid: plain.uid.to_string(),
            created: plain.created,
            phase: plain.phase.to_string(),
            class: owned(plain.class.as_ref()),
            volume: plain.volume.as_ref().map(ToString::to_string),
            capacity: owned(plain.capacity.as_ref()),
            request: owned(plain.request.as_ref()),
            access_modes: owned_list(&plain.access_modes),
            is_block: plain.is_block,
            selected_node: owned(plain.selected_node.as_ref()),
            finalizers: owned_list(&plain.finalizers),
            ..Claim::default()
        }
    }

    pub fn is_bound(&self) -> bool {
        match self {
            KeptClaim::Plain(claim) => &*claim.phase == "Bound",
            KeptClaim::Whole(claim) => claim.phase == "Bound",
        }
    }

    pub fn uid(&self) -> &str {
        match self {
            KeptClaim::Plain(claim) => &claim.uid,
            KeptClaim::Whole(claim) => &claim.uid,
        }
    }

    /// Whether warnings about it can matter.
    pub fn is_odd(&self) -> bool {
        match self {
            KeptClaim::Plain(claim) => !self.is_bound() || claim.capacity != claim.request,
            KeptClaim::Whole(_) => true,
        }
    }

    pub fn volume(&self) -> Option<&str> {
        match self {
            KeptClaim::Plain(claim) => claim.volume.as_deref(),
            KeptClaim::Whole(claim) => claim.volume.as_deref(),
        }
    }
}

/// The labels and the node terms of a volume.
type Free = (BTreeMap<String, String>, Option<Vec<Value>>);

/// A volume.
#[derive(Debug)]
pub struct KeptVolume {
    pub name: Box<str>,
    phase: Text,
    class: Option<Text>,
    reclaim_policy: Text,
    capacity: Option<Text>,
    access_modes: Arc<[Text]>,
    is_block: bool,
    /// Its labels and node terms, where a claim may still be bound to it.
    free: Option<Box<Free>>,
    /// Namespace, name and uid.
    claim: Option<(Text, Box<str>, Option<Box<str>>)>,
    driver: Option<Text>,
    created: Option<Timestamp>,
    deleting: Option<Timestamp>,
    mark: Option<Text>,
}

impl KeptVolume {
    pub fn of(volume: &Volume, pool: &mut Pool) -> KeptVolume {
        KeptVolume {
            name: volume.name.as_str().into(),
            phase: pool.text(&volume.phase),
            class: volume.class.as_deref().map(|class| pool.text(class)),
            reclaim_policy: pool.text(&volume.reclaim_policy),
            capacity: volume.capacity.as_deref().map(|size| pool.text(size)),
            access_modes: shared(&volume.access_modes, pool),
            is_block: volume.is_block,
            free: (volume.phase == "Available")
                .then(|| Box::new((volume.labels.clone(), volume.node_terms.clone()))),
            claim: volume.claim.as_ref().map(|claim| {
                let uid = claim.uid.as_deref().map(Into::into);
                (pool.text(&claim.namespace), claim.name.as_str().into(), uid)
            }),
            driver: volume.driver.as_deref().map(|driver| pool.text(driver)),
            created: volume.created,
            deleting: volume.deleting,
            mark: volume.mark.as_deref().map(|mark| pool.text(mark)),
        }
    }

    pub fn volume(&self) -> Volume {
        let (labels, node_terms) = self.free.as_deref().cloned().unwrap_or_default();
        Volume {
            name: self.name.to_string(),
            phase: self.phase.to_string(),
            class: owned(self.class.as_ref()),
            reclaim_policy: self.reclaim_policy.to_string(),
            capacity: owned(self.capacity.as_ref()),
            access_modes: owned_list(&self.access_modes),
            is_block: self.is_block,
            labels,
            node_terms,
            claim: self.claim.as_ref().map(|(namespace, name, uid)| ClaimRef {
                namespace: namespace.to_string(),
                name: name.to_string(),
                uid: uid.as_ref().map(ToString::to_string),
            }),
            driver: owned(self.driver.as_ref()),
            created: self.created,
            deleting: self.deleting,
            mark: owned(self.mark.as_ref()),
        }
    }

    /// Namespace and name of the claim that it is bound to or reserved for.
    pub fn holder(&self) -> Option<(&str, &str)> {
        self.claim.as_ref().map(|(namespace, name, _)| (&**namespace, &**name))
    }
}

fn shared(list: &[String], pool: &mut Pool) -> Arc<[Text]> {
    let texts = list.iter().map(|text| pool.text(text)).collect();
    pool.list(texts)
}

fn owned(text: Option<&Text>) -> Option<String> {
    text.map(ToString::to_string)
}

fn owned_list(list: &[Text]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
