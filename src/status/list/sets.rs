//! What was read about many sets, and the facts about each of them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use jiff::Timestamp;
use serde_json::Value;

use super::compact::{KeptClaim, KeptPod, KeptVolume};
use crate::{
    cluster::{
        Resource,
        read::{MAX_OTHERS, is_multi_attach},
    },
    workload::{
        Attachment, Claim, Class, Event, Facts, Node, Pod, Quota, Revision, Selector, Service,
        StatefulSet, Unread, Volume, canonical_ordinal, pool::Pool,
    },
};

/// Which sets are asked for.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// `None` for all.
    pub namespace: Option<String>,
    /// Empty for all.
    pub names: Vec<String>,
    pub selector: Option<Selector>,
}

impl Question {
    pub fn wants(&self, set: &StatefulSet) -> bool {
        (self.names.is_empty() || self.names.contains(&set.name))
            && self.selector.as_ref().is_none_or(|selector| selector.matches(&set.labels))
    }
}

/// A map from namespace and name.
type Named<T> = HashMap<Box<str>, HashMap<Box<str>, T>>;

/// Everything that was read. Sets come first: of the other objects only what
/// belongs to one of them is kept.
#[derive(Debug, Default)]
pub struct Sets {
    members: Vec<Member>,
    by_uid: HashMap<Box<str>, usize>,
    by_name: Named<usize>,
    /// By what stands before the ordinal in the name of a claim: `www-web`.
    by_claim: Named<Vec<usize>>,
    by_service: Named<Vec<usize>>,
    volumes: Vec<KeptVolume>,
    /// All volumes as the rules take them, once a set has needed them.
    all_volumes: RefCell<Vec<Volume>>,
    classes: Vec<Class>,
    nodes: Vec<Node>,
    attachments: Vec<Attachment>,
    quotas: Named<Quota>,
    /// The namespaces that are going, and since when.
    leaving: HashMap<Box<str>, Timestamp>,
    /// The lists that are not there: nothing is concluded from them.
    missing: Vec<Resource>,
    unread: Vec<Unread>,
    pool: Pool,
    /// The connection flags, for the commands in hints.
    flags: String,
}

/// A set with what belongs to it.
#[derive(Debug)]
struct Member {
    set: StatefulSet,
    pods: Vec<KeptPod>,
    claims: Vec<KeptClaim>,
    /// Indexes of the volumes whose claimRef names one of its claims.
    volumes: Vec<usize>,
    events: Vec<Event>,
    revisions: Vec<Revision>,
    service: Option<Service>,
}

impl Sets {
    pub fn new(flags: String) -> Sets {
        Sets { flags, ..Sets::default() }
    }

    pub fn add_set(&mut self, mut set: StatefulSet) {
        // Of these no rule of status asks.
        set.template.raw = Value::Null;
        set.strategy_raw = Value::Null;
        set.field_managers = Vec::new();
        set.labels = BTreeMap::new();
        let index = self.members.len();
        let namespace = || set.namespace.as_str().into();
        if !set.uid.is_empty() {
            self.by_uid.insert(set.uid.as_str().into(), index);
        }
        self.by_name.entry(namespace()).or_default().insert(set.name.as_str().into(), index);
        for template in &set.claim_templates {
            let base = format!("{}-{}", template.name, set.name);
            let claims = self.by_claim.entry(namespace()).or_default();
            claims.entry(base.into()).or_default().push(index);
        }
        if let Some(service) = &set.service_name {
            let services = self.by_service.entry(namespace()).or_default();
            services.entry(service.as_str().into()).or_default().push(index);
        }
        self.members.push(Member {
            set,
            pods: Vec::new(),
            claims: Vec::new(),
            volumes: Vec::new(),
            events: Vec::new(),
            revisions: Vec::new(),
            service: None,
        });
    }

    pub fn add_pod(&mut self, namespace: &str, pod: Pod) {
        let of_uid = pod.controller_uid.as_deref().and_then(|uid| self.by_uid.get(uid));
        let of_name = || {
            let (name, ordinal) = pod.name.rsplit_once('-')?;
            canonical_ordinal(ordinal)?;
            self.by_name.get(namespace)?.get(name)
        };
        let Some(&index) = of_uid.or_else(of_name) else { return };
        let Some(member) = self.members.get_mut(index) else { return };
        let kept = KeptPod::of(pod, &member.set, &mut self.pool);
        member.pods.push(kept);
    }

    pub fn add_claim(&mut self, namespace: &str, claim: &Claim) {
        for owner in self.of_claim(namespace, &claim.name) {
            if let Some(member) = self.members.get_mut(owner) {
                member.claims.push(KeptClaim::of(claim.clone(), &mut self.pool));
            }
        }
    }

    pub fn add_volume(&mut self, volume: &Volume) {
        let index = self.volumes.len();
        let kept = KeptVolume::of(volume, &mut self.pool);
        if let Some((namespace, name)) = kept.holder() {
            for owner in self.of_claim(namespace, name) {
                self.members.get_mut(owner).into_iter().for_each(|one| one.volumes.push(index));
            }
        }
        self.volumes.push(kept);
    }

    /// The sets whose claim this is, by its name: usually one.
    fn of_claim(&self, namespace: &str, name: &str) -> Vec<usize> {
        let owners = || {
            let (base, ordinal) = name.rsplit_once('-')?;
            canonical_ordinal(ordinal)?;
            self.by_claim.get(namespace)?.get(base)
        };
        owners().cloned().unwrap_or_default()
    }

    pub fn add_class(&mut self, class: Class) {
        self.classes.push(class);
    }

    pub fn add_service(&mut self, namespace: &str, service: &Service) {
        let owners = self.by_service.get(namespace).and_then(|known| known.get(&*service.name));
        for &owner in owners.into_iter().flatten() {
            if let Some(member) = self.members.get_mut(owner) {
                member.service = Some(service.clone());
            }
        }
    }

    /// Adds a warning, if it is about one of `suspects`.
    pub fn add_event(&mut self, suspects: &Suspects, event: Event) {
        let Some(&index) = suspects.0.get(&*event.object_uid) else { return };
        let Some(member) = self.members.get_mut(index) else { return };
        let about_the_set = event.object_uid == member.set.uid;
        // Of a pod or claim only the newest of a kind counts. Those of the set are
        // about several pods.
        let same = |old: &&mut Event| {
            !about_the_set && (&old.object_uid, &old.reason) == (&event.object_uid, &event.reason)
        };
        match member.events.iter_mut().find(same) {
            Some(old) if old.last <= event.last => *old = event,
            Some(_) => {}
            None => member.events.push(event),
        }
    }

    /// Adds a revision of the set with this uid, or of any in the namespace.
    pub fn add_revision(&mut self, namespace: &str, owner: Option<&str>, revision: &Revision) {
        let here = |member: &&mut Member| match owner {
            Some(uid) if member.set.is_live() => member.set.uid == uid,
            _ => member.set.namespace == namespace,
        };
        let known = owner.and_then(|uid| self.by_uid.get(uid)).copied();
        let members = match known {
            Some(index) => self.members.get_mut(index..=index).unwrap_or_default(),
            None => &mut self.members,
        };
        for member in members.iter_mut().filter(here) {
            // What is in it no rule of status asks.
            let template = Value::Null;
            member.revisions.push(Revision { template, images: Vec::new(), ..revision.clone() });
        }
    }

    pub fn add_attachment(&mut self, attachment: Attachment) {
        self.attachments.push(attachment);
    }

    pub fn add_quota(&mut self, namespace: &str, quota: Quota) {
        let here = self.quotas.entry(namespace.into()).or_default();
        here.insert(quota.name.as_str().into(), quota);
    }

    /// Notes that a namespace is going.
    pub fn add_leaving(&mut self, namespace: &str, since: Timestamp) {
        self.leaving.insert(namespace.into(), since);
    }

    /// The namespaces of sets that may go with them.
    pub fn doubtful_namespaces(&self) -> BTreeSet<String> {
        let goes = |pod: &KeptPod| matches!(pod, KeptPod::Whole(pod) if pod.is_terminating());
        let doubtful = |member: &&Member| {
            let wanted = usize::try_from(member.set.replicas).unwrap_or(usize::MAX);
            member.set.deleting.is_some()
                || member.pods.len() < wanted
                || member.pods.iter().any(goes)
        };
        let members = self.members.iter().filter(doubtful);
        members.map(|member| member.set.namespace.clone()).collect()
    }

    pub fn add_node(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Notes a list that is not there, and why if something depends on it.
    pub fn note_missing(&mut self, resource: Resource, why: Option<String>) {
        self.missing.push(resource);
        self.unread.extend(why.map(|why| Unread { resource: resource.name(), why }));
    }

    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.set.name.as_str())
    }

    /// Whether any set has claims of its own.
    pub fn have_claims(&self) -> bool {
        self.members.iter().any(|member| !member.set.claim_templates.is_empty())
    }

    /// Whether this holds for any set.
    pub fn is_any(&self, test: impl Fn(&StatefulSet) -> bool) -> bool {
        self.members.iter().any(|member| test(&member.set))
    }

    /// Whether any claim has a volume.
    pub fn have_volumes(&self) -> bool {
        let mut claims = self.members.iter().flat_map(|member| &member.claims);
        claims.any(|claim| claim.volume().is_some())
    }

    /// The objects about which warnings matter: with none of them, no warning is
    /// needed.
    pub fn suspects(&self) -> Suspects {
        let mut suspects = HashMap::new();
        let mut suspect = |uid: &str, index| {
            if !uid.is_empty() {
                suspects.insert(uid.into(), index);
            }
        };
        for (index, member) in self.members.iter().enumerate() {
            let wanted = usize::try_from(member.set.replicas).unwrap_or(usize::MAX);
            if member.pods.len() < wanted {
                suspect(&member.set.uid, index);
            }
            for pod in &member.pods {
                if let KeptPod::Whole(pod) = pod {
                    suspect(&pod.uid, index);
                }
            }
            for claim in member.claims.iter().filter(|claim| claim.is_odd()) {
                suspect(claim.uid(), index);
            }
        }
        Suspects(suspects)
    }

    /// Namespace and name of pods that should be there and are not: of each set as many
    /// as its tree looks at.
    pub fn absent_pods(&self) -> Vec<(String, String)> {
        let mut absent = Vec::new();
        for Member { set, pods, .. } in &self.members {
            let there: HashSet<u32> = pods.iter().filter_map(|pod| pod.ordinal(set)).collect();
            let gone = set.ordinals().filter(|ordinal| !there.contains(ordinal));
            let names = gone.take(MAX_OTHERS).map(|ordinal| set.pod_name(ordinal));
            absent.extend(names.map(|name| (set.namespace.clone(), name)));
        }
        absent
    }

    /// Whether the age of a revision decides: some pod runs another one than that
    /// of the template.
    pub fn need_revisions(&self) -> bool {
        self.members.iter().any(|Member { set, pods, .. }| {
            let update = set.status.update_revision.as_deref();
            pods.iter().any(|pod| pod.revision() != update)
        })
    }

    /// Whether a volume is said to be attached to another node.
    pub fn need_attachments(&self) -> bool {
        self.members.iter().flat_map(|member| &member.events).any(is_multi_attach)
    }

    /// Whether a quota is said to have no room.
    pub fn need_quotas(&self) -> bool {
        self.members.iter().flat_map(|member| &member.events).any(Event::exceeds_quota)
    }

    /// The nodes of pods that should be gone by now.
    pub fn nodes_of_overdue(&self, now: Timestamp) -> Vec<String> {
        let pods = self.members.iter().flat_map(|member| &member.pods);
        let overdue = pods.filter_map(|pod| match pod {
            KeptPod::Whole(pod) if pod.gone_by.is_some_and(|by| by < now) => pod.node.clone(),
            _ => None,
        });
        let mut names: Vec<String> = overdue.collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Calls `judge` with the facts about each set.
    pub fn each(&self, mut judge: impl FnMut(&Facts)) {
        let is_known = |resource: Resource| !self.missing.contains(&resource);
        let known = Known {
            pods: is_known(Resource::POD),
            claims: is_known(Resource::CLAIM),
            volumes: is_known(Resource::VOLUME),
            classes: is_known(Resource::STORAGE_CLASS),
            services: is_known(Resource::SERVICE),
            events: is_known(Resource::EVENT),
            nodes: is_known(Resource::NODE),
            revisions: is_known(Resource::REVISION),
            attachments: is_known(Resource::ATTACHMENT),
            quotas: is_known(Resource::QUOTA),
        };
        for member in &self.members {
            let mut facts = self.facts(member, &known);
            // A claim that waits is compared with every volume there is.
            let waits = member.claims.iter().any(|claim| !claim.is_bound());
            if waits && known.volumes {
                let mut all = self.all_volumes.take();
                if all.is_empty() {
                    all = self.volumes.iter().map(KeptVolume::volume).collect();
                }
                facts.volumes = Some(all);
                judge(&facts);
                self.all_volumes.replace(facts.volumes.unwrap_or_default());
            } else {
                judge(&facts);
            }
        }
    }

    fn facts(&self, member: &Member, known: &Known) -> Facts {
        let set = &member.set;
        let volume = |index: &usize| self.volumes.get(*index).map(KeptVolume::volume);
        let mut volumes: Vec<Volume> = member.volumes.iter().filter_map(volume).collect();
        // A claim may name a volume that has gone over to another one.
        for name in member.claims.iter().filter_map(KeptClaim::volume) {
            if !volumes.iter().any(|volume| volume.name == name) {
                let named = self.volumes.iter().find(|volume| &*volume.name == name);
                volumes.extend(named.map(KeptVolume::volume));
            }
        }
        Facts {
            set: set.clone(),
            pods: known.pods.then(|| member.pods.iter().map(|pod| pod.pod(set)).collect()),
            revisions: known.revisions.then(|| member.revisions.clone()),
            claims: known.claims.then(|| member.claims.iter().map(KeptClaim::claim).collect()),
            volumes: known.volumes.then_some(volumes),
            classes: known.classes.then(|| self.classes.clone()),
            services: known.services.then(|| member.service.iter().cloned().collect()),
            autoscalers: None,
            budgets: None,
            events: known.events.then(|| member.events.clone()),
            nodes: known.nodes.then(|| self.nodes.clone()),
            attachments: known.attachments.then(|| self.attachments.clone()),
            quotas: known.quotas.then(|| {
                let here = self.quotas.get(set.namespace.as_str());
                here.into_iter().flat_map(HashMap::values).cloned().collect()
            }),
            namespace_deleting: self.leaving.get(set.namespace.as_str()).copied(),
            server_version: None,
            unread: Vec::new(),
            flags: self.flags.clone(),
        }
    }
}

/// The uids about which warnings matter, and of which set they are.
#[derive(Debug)]
pub struct Suspects(HashMap<Box<str>, usize>);

impl Suspects {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Which lists could be read.
#[expect(clippy::struct_excessive_bools, reason = "one for each list")]
struct Known {
    pods: bool,
    claims: bool,
    volumes: bool,
    classes: bool,
    services: bool,
    events: bool,
    nodes: bool,
    revisions: bool,
    attachments: bool,
    quotas: bool,
}
