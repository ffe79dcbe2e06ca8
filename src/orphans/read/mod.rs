//! Reads everything that decides about claims and volumes in a fixed number of
//! lists, however many objects there are.
//!
//! The lists come in pages, as Protocol Buffers, and are decoded while their
//! bytes arrive. Of each object only a few fields are kept.
//!
//! **The order makes it safe.** A paged list shows the state at its first page.
//! Claims are read first: the lists of their users begin only when the first page
//! of claims has arrived, so they contain everything that used a claim at that
//! time. In the other order, a claim that was created together with its pod
//! between two lists would look unused. If a page has expired (410), its list is
//! read again from the start; if it was a page of claims, all lists are.

pub mod around;
mod decode;
mod item;
pub(super) mod objects;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::try_join_all;

use self::{item::Item, objects::DiskObject};
use super::model::{Facts, Kind};
use crate::{
    cluster::{Cluster, Failure, Resource, pages::Page, read::api_groups},
    handover::{Tag, is_journal_of, is_of_scaling},
    workload::{Unread, pool::Pool},
};

/// How often a list is started before its expiry is an error.
const MAX_STARTS: usize = 5;
/// How often progress is reported.
const REPORT_AFTER: Duration = Duration::from_secs(3);

/// The other kinds that decide about claims, in the order of the requests.
const OTHERS: [Kind; 12] = [
    Kind::Pod,
    Kind::Volume,
    Kind::StatefulSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::ReplicationController,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::PodTemplate,
    Kind::Autoscaler,
    Kind::Attachment,
];

/// API groups whose objects are known to name claims.
const FOREIGN: [&str; 12] = [
    "apps.kruise.io",
    "apps.openshift.io",
    "apps.pingcap.com",
    "argoproj.io",
    "batch.volcano.sh",
    "kubeflow.org",
    "kubevirt.io",
    "ray.io",
    "serving.knative.dev",
    "sparkoperator.k8s.io",
    "tekton.dev",
    "workload.codeflare.dev",
];

/// Whether nothing is known of the objects of an API group: neither Kubernetes'
/// own, nor read here, nor known to name claims.
pub(super) fn is_custom(group: &str) -> bool {
    let known = group.ends_with(".k8s.io") || group == Resource::SCALED_OBJECT.group;
    group.contains('.') && !known && !FOREIGN.contains(&group)
}

/// Whether objects of an API group are known to name claims.
pub(super) fn is_foreign(group: &str) -> bool {
    FOREIGN.contains(&group)
}

/// Reads everything in one namespace or in all. What the user may not read is in
/// [`Facts::unread`].
///
/// # Errors
/// When the server fails.
pub async fn facts(cluster: &Cluster, namespace: Option<&str>) -> Result<Facts, Failure> {
    let groups = api_groups(cluster).await?;
    let mut starts = 1;
    loop {
        let reading = Reading::new(cluster, namespace, &groups);
        match reading.run_with_progress().await {
            Err(Failure::Gone(_)) if starts < MAX_STARTS => {
                starts += 1;
                cluster.terminal().verbose(1, "the list of claims expired; reading again");
            }
            Err(failure) => return Err(failure),
            Ok(()) => {
                let mut facts = reading.facts.into_inner();
                facts.abandoned = abandoned(cluster, &facts).await?;
                return Ok(facts);
            }
        }
    }
}

/// The migrations with a note on a volume whose journal is gone, in the namespace that
/// is read or in all. Without such notes, nothing is read; what may not be read is not
/// here.
async fn abandoned(cluster: &Cluster, facts: &Facts) -> Result<BTreeSet<String>, Failure> {
    let notes = facts.volumes.iter().filter_map(|volume| Tag::read(volume.mark.as_deref()?));
    // Volumes are of no namespace: all of the cluster are among them.
    let within = facts.namespace.as_deref();
    let migrations = notes.filter(|tag| {
        !is_of_scaling(&tag.op) && within.is_none_or(|namespace| namespace == tag.namespace)
    });
    // Each has a note on many volumes.
    let by_op: BTreeMap<String, Tag> = migrations.map(|tag| (tag.op.clone(), tag)).collect();
    let asks = by_op.into_iter().map(|(op, tag)| async move {
        let journal = Resource::CONFIG_MAP.object(&tag.namespace, &tag.journal);
        match cluster.find::<serde_json::Value>(&journal).await {
            Ok(Some(found)) if is_journal_of(&found, &op, Some(&tag)) => Ok(None),
            Ok(_) => Ok(Some(op)),
            Err(Failure::Forbidden(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    });
    Ok(try_join_all(asks).await?.into_iter().flatten().collect())
}

/// Where nothing was found in a namespace: whether that exists at all.
///
/// # Errors
/// When it does not, or the server fails.
pub async fn check_namespace(cluster: &Cluster, facts: &mut Facts) -> Result<(), Failure> {
    let is_empty = facts.claims.is_empty() && facts.live.is_empty() && facts.scalers.is_empty();
    let Some(namespace) = facts.namespace.as_deref().filter(|_| is_empty) else { return Ok(()) };
    // Who may not read it may not list there either, unless by rights to the whole
    // cluster.
    match cluster.read::<serde_json::Value>(&Resource::NAMESPACE.object("", namespace)).await {
        Ok(_) => Ok(()),
        Err(Failure::Forbidden(no)) => {
            let why = no.status.message.clone();
            facts.unread.push(Unread { resource: Resource::NAMESPACE.name(), why });
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

struct Reading<'a> {
    cluster: &'a Cluster,
    namespace: Option<&'a str>,
    keda: bool,
    facts: RefCell<Facts>,
    pool: RefCell<Pool>,
    seen: Cell<usize>,
}

impl<'a> Reading<'a> {
    fn new(cluster: &'a Cluster, namespace: Option<&'a str>, groups: &[String]) -> Reading<'a> {
        let foreign = FOREIGN.iter().filter(|known| groups.iter().any(|group| group == *known));
        let custom = groups.iter().filter(|group| is_custom(group));
        let facts = Facts {
            namespace: namespace.map(Into::into),
            foreign: foreign.map(|&group| group.to_owned()).collect(),
            custom: custom.cloned().collect(),
            flags: cluster.flags(),
            ..Facts::default()
        };
        Reading {
            cluster,
            namespace,
            keda: groups.iter().any(|group| group == Resource::SCALED_OBJECT.group),
            facts: RefCell::new(facts),
            pool: RefCell::default(),
            seen: Cell::new(0),
        }
    }

    /// Reads, and reports the progress.
    async fn run_with_progress(&self) -> Result<(), Failure> {
        let work = self.run();
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                () = tokio::time::sleep(REPORT_AFTER) => {
                    let claims = self.facts.borrow().claims.len();
                    let text = format!("reading: {} objects, {claims} of them claims", self.seen.get());
                    self.cluster.terminal().say(&text);
                }
            }
        }
    }

    async fn run(&self) -> Result<(), Failure> {
        let Some(next) = self.first(Kind::Claim).await? else {
            return self.others().await;
        };
        tokio::try_join!(self.rest(Kind::Claim, next), self.others())?;
        Ok(())
    }

    async fn others(&self) -> Result<(), Failure> {
        let kinds = OTHERS.into_iter().chain(self.keda.then_some(Kind::ScaledObject));
        try_join_all(kinds.map(|kind| self.whole(kind))).await?;
        Ok(())
    }

    /// Reads a whole list.
    async fn whole(&self, kind: Kind) -> Result<(), Failure> {
        let mut starts = 1;
        loop {
            let Some(next) = self.first(kind).await? else { return Ok(()) };
            match self.rest(kind, next).await {
                Err(Failure::Gone(_)) if starts < MAX_STARTS => {
                    starts += 1;
                    let what =
                        format!("the list of {} expired; reading it again", kind.resource().name());
                    self.cluster.terminal().verbose(1, &what);
                    item::forget(&mut self.facts.borrow_mut(), kind);
                }
                other => return other,
            }
        }
    }

    /// Reads the first page and returns where the next one begins. `None` for a
    /// list that cannot be read, which is noted.
    async fn first(&self, kind: Kind) -> Result<Option<String>, Failure> {
        match self.page(kind, "").await {
            Ok(page) => Ok(Some(self.keep(page))),
            Err(Failure::Forbidden(no)) => {
                self.facts.borrow_mut().note_missing(kind, no.status.message.clone());
                Ok(None)
            }
            // Not served in the version that this program knows. There may still be
            // objects of that kind.
            Err(Failure::NoSuchApi(no)) => {
                self.facts.borrow_mut().note_missing(kind, no.unserved());
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Reads all pages from this one on.
    async fn rest(&self, kind: Kind, mut next: String) -> Result<(), Failure> {
        while !next.is_empty() {
            let page = self.page(kind, &next).await?;
            next = self.keep(page);
        }
        Ok(())
    }

    /// Keeps what is on a page and returns where the next one begins.
    fn keep(&self, page: Page<Item>) -> String {
        self.seen.set(self.seen.get() + page.items.len());
        let mut facts = self.facts.borrow_mut();
        page.items.into_iter().for_each(|item| item.join(&mut facts));
        page.next
    }

    async fn page(&self, kind: Kind, next: &str) -> Result<Page<Item>, Failure> {
        let namespace = self.namespace.unwrap_or_default();
        let listing = kind.resource().list(self.namespace);
        let json =
            |object: DiskObject| object.into_item(kind, namespace, &mut self.pool.borrow_mut());
        let protobuf = |bytes: &[u8]| decode::item(kind, bytes, &mut self.pool.borrow_mut());
        self.cluster.page(listing, next, json, protobuf).await
    }
}
