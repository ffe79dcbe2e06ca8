//! The facts about a set by ordinal, and rules of the StatefulSet controller that
//! several commands need.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::{Claim, Facts, Pod, PodManagement, StatefulSet, Strategy, Volume};

/// The facts by ordinal, as rules use them.
pub struct Survey<'a> {
    pub facts: &'a Facts,
    pub set: &'a StatefulSet,
    pub now: Timestamp,
    /// One slot per ordinal that should exist, ascending.
    pub slots: Vec<Slot<'a>>,
    /// Slots of pods outside the range, ascending: the controller removes them.
    pub leaving: Vec<Slot<'a>>,
    /// Whether pods could be read. If not, a slot without a pod means nothing.
    pub pods_known: bool,
}

/// One ordinal.
pub struct Slot<'a> {
    pub ordinal: u32,
    pub name: String,
    pub pod: Option<&'a Pod>,
    pub claims: Vec<SlotClaim<'a>>,
}

/// The claim of one template for one ordinal.
pub struct SlotClaim<'a> {
    pub name: String,
    pub claim: Option<&'a Claim>,
    pub volume: Option<&'a Volume>,
}

impl<'a> Survey<'a> {
    pub fn new(facts: &'a Facts, now: Timestamp) -> Survey<'a> {
        let set = &facts.set;
        let claims: HashMap<&str, &Claim> =
            facts.claims.iter().flatten().map(|claim| (claim.name.as_str(), claim)).collect();
        let volumes: HashMap<&str, &Volume> =
            facts.volumes.iter().flatten().map(|volume| (volume.name.as_str(), volume)).collect();
        let mut pods: HashMap<u32, &Pod> = facts
            .pods
            .iter()
            .flatten()
            .filter(|pod| set.owns(pod))
            .filter_map(|pod| Some((set.ordinal_of(&pod.name)?, pod)))
            .collect();
        let slot = |ordinal: u32, pod| Slot {
            ordinal,
            name: set.pod_name(ordinal),
            pod,
            claims: set
                .claim_templates
                .iter()
                .map(|template| {
                    let name = set.claim_name(template, ordinal);
                    let claim = claims.get(name.as_str()).copied();
                    let volume = claim
                        .and_then(|claim| claim.volume.as_deref())
                        .and_then(|volume| volumes.get(volume).copied());
                    SlotClaim { name, claim, volume }
                })
                .collect(),
        };
        let slots = set.ordinals().map(|ordinal| slot(ordinal, pods.remove(&ordinal))).collect();
        let mut leaving: Vec<Slot<'a>> =
            pods.into_iter().map(|(ordinal, pod)| slot(ordinal, Some(pod))).collect();
        leaving.sort_by_key(|slot| slot.ordinal);
        Survey { facts, set, now, slots, leaving, pods_known: facts.pods.is_some() }
    }

    /// The slots with their indexes, which the partition is compared with.
    pub fn indexes(&self) -> impl DoubleEndedIterator<Item = (u32, &Slot<'a>)> {
        let end = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        (0..end).zip(&self.slots)
    }

    /// The existing pods in the range.
    pub fn pods(&self) -> impl Iterator<Item = (&Slot<'a>, &'a Pod)> {
        self.slots.iter().filter_map(|slot| Some((slot, slot.pod?)))
    }

    /// The first ordinal that OrderedReady waits for: missing, terminating, or
    /// not available. The controller does nothing else until it recovers.
    pub fn first_blocker(&self) -> Option<&Slot<'a>> {
        if !self.pods_known {
            return None;
        }
        self.slots.iter().find(|slot| !slot.is_available(self.set, self.now))
    }

    /// The revision that an ordinal would get if its pod were created now.
    pub fn revision_for(&self, ordinal: u32) -> Option<&str> {
        let status = &self.set.status;
        let update = status.update_revision.as_deref();
        let stable = status.current_revision.as_deref();
        let keeps = matches!(self.set.strategy, Strategy::RollingUpdate { .. })
            && !self.set.released().contains(&ordinal);
        if keeps { stable.or(update) } else { update.or(stable) }
    }

    /// The pod that blocks a reverted rollout (kubernetes #67250), under exactly
    /// the conditions where deleting it helps: the controller has observed the
    /// template, waits under OrderedReady for this lowest ordinal to become
    /// Ready, and would replace it then. The pod must be clearly broken, or
    /// unready for longer than `max_unready`.
    pub fn trapped(&self, max_unready: SignedDuration) -> Option<(&Slot<'a>, &'a Pod)> {
        let set = self.set;
        let rolling = matches!(set.strategy, Strategy::RollingUpdate { .. });
        if !rolling || set.pod_management != PodManagement::OrderedReady || !set.is_observed() {
            return None;
        }
        let slot = self.first_blocker()?;
        let pod = slot.pod.filter(|pod| !pod.is_terminating() && !pod.is_ready())?;
        let outdated =
            pod.revision().is_some() && pod.revision() != set.status.update_revision.as_deref();
        if !outdated || !set.released().contains(&slot.ordinal) {
            return None;
        }
        self.is_hopeless(pod, max_unready).then_some((slot, pod))
    }

    /// Whether an unready pod is not worth waiting for: it is clearly broken, or
    /// it has been unready for longer than `max_unready`.
    pub fn is_hopeless(&self, pod: &Pod, max_unready: SignedDuration) -> bool {
        let lasts = pod.unready_since().map(|since| self.now.duration_since(since));
        pod.trouble().is_some() || lasts.is_some_and(|lasts| lasts > max_unready)
    }

    /// The flags that commands in hints need to reach the set: `-n NAMESPACE` and
    /// the connection flags of this run.
    pub fn at(&self) -> String {
        format!("-n {}{}", self.set.namespace, self.facts.flags)
    }

    /// The same for cluster-scoped objects; begins with a blank, or is empty.
    pub fn cluster_wide(&self) -> &str {
        &self.facts.flags
    }

    /// The command that shows whose pod this is.
    pub fn whose_pod(&self, name: &str) -> String {
        format!("kubectl get pod {name} {} -o wide --show-labels", self.at())
    }

    /// The command that moves the partition by hand.
    pub fn move_partition(&self, to: u32) -> String {
        format!(
            "kubectl patch sts {} {} -p \
             '{{\"spec\":{{\"updateStrategy\":{{\"rollingUpdate\":{{\"partition\":{to}}}}}}}}}'",
            self.set.name,
            self.at()
        )
    }

    /// The command that keeps a volume whatever becomes of its claim.
    pub fn keep_volume(&self, volume: &str) -> String {
        format!(
            "kubectl patch pv {volume} --type merge -p \
             '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'{}",
            self.cluster_wide()
        )
    }
}

impl<'a> SlotClaim<'a> {
    /// The volume, if the claim is bound to it and does not only name it.
    pub fn bound_volume(&self) -> Option<&'a Volume> {
        self.volume.filter(|_| self.claim.is_some_and(|claim| claim.phase == "Bound"))
    }
}

impl Slot<'_> {
    pub fn is_available(&self, set: &StatefulSet, now: Timestamp) -> bool {
        self.pod.is_some_and(|pod| {
            !pod.is_terminating() && pod.is_available(set.min_ready_seconds, now)
        })
    }
}
