//! Everything that decides over claims and volumes, read in a fixed number of
//! lists, however many objects there are.
//!
//! The lists come in pages, as Protocol Buffers, and are taken apart while
//! their bytes arrive; of each object only a few fields are kept.
//!
//! **The order is what makes it safe.** A list in pages is of the moment of its
//! first page. Claims come first: the lists of whoever may use them begin only
//! when the first page of claims is there, so that whatever used a claim at
//! that moment is in them. The other way round, a claim that was made together
//! with its pod between two lists would be taken for unused. A page that
//! expires (410) makes its list begin anew, and where it was the claims', all
//! of them.

pub mod around;
mod decode;
pub(super) mod item;
pub(super) mod pool;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use ::http::{HeaderValue, header::ACCEPT};
use futures_util::future::try_join_all;
use serde::Deserialize;

use self::{item::Item, pool::Pool};
use super::{
    Cluster, Failure, http,
    http::Sink,
    objects::{DiskObject, ListMeta},
    protobuf::{self, list::Cutter, wire::Malformed},
    read::{api_groups, encode},
};
use crate::orphans::model::{Facts, Kind};

/// kubectl's and client-go's page.
const PAGE: usize = 500;
/// So often a list that expires is begun anew.
const MOST_STARTS: usize = 5;
/// Whoever waits longer than this is told what for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whoever decides over claims, in the order in which they are asked for.
const OTHERS: [Kind; 11] = [
    Kind::Pod,
    Kind::Volume,
    Kind::StatefulSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::ReplicationController,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::Autoscaler,
    Kind::Attachment,
];

/// API groups of which it is known that their objects name claims.
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

/// KEDA's group.
const KEDA: &str = "keda.sh";

/// Reads everything in a namespace, or everywhere. What there is no right to
/// read is in [`Facts::unread`].
///
/// # Errors
/// When the server fails.
pub async fn facts(cluster: &Cluster, namespace: Option<&str>) -> Result<Facts, Failure> {
    let groups = api_groups(cluster).await?;
    let mut starts = 1;
    loop {
        let reading = Reading::new(cluster, namespace, &groups);
        match reading.run_aloud().await {
            Err(Failure::Gone(_)) if starts < MOST_STARTS => {
                starts += 1;
                cluster.terminal.verbose(1, "the list of claims expired; reading again");
            }
            Err(failure) => return Err(failure),
            Ok(()) => return Ok(reading.facts.into_inner()),
        }
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

/// A page, and where the next one begins.
struct Page {
    items: Vec<Item>,
    next: String,
}

impl<'a> Reading<'a> {
    fn new(cluster: &'a Cluster, namespace: Option<&'a str>, groups: &[String]) -> Reading<'a> {
        let foreign = FOREIGN.iter().filter(|known| groups.iter().any(|group| group == *known));
        let facts = Facts {
            namespace: namespace.map(Into::into),
            foreign: foreign.map(|&group| group.to_owned()).collect(),
            flags: cluster.flags(),
            ..Facts::default()
        };
        Reading {
            cluster,
            namespace,
            keda: groups.iter().any(|group| group == KEDA),
            facts: RefCell::new(facts),
            pool: RefCell::default(),
            seen: Cell::new(0),
        }
    }

    /// Reads, and says now and then how far it is.
    async fn run_aloud(&self) -> Result<(), Failure> {
        let work = self.run();
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                () = tokio::time::sleep(PATIENCE) => {
                    let claims = self.facts.borrow().claims.len();
                    let said = format!("reading: {} objects, {claims} of them claims", self.seen.get());
                    self.cluster.terminal.say(&said);
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

    /// A list from its first page to its last.
    async fn whole(&self, kind: Kind) -> Result<(), Failure> {
        let mut starts = 1;
        loop {
            let Some(next) = self.first(kind).await? else { return Ok(()) };
            match self.rest(kind, next).await {
                Err(Failure::Gone(_)) if starts < MOST_STARTS => {
                    starts += 1;
                    let what = format!("the list of {} expired; reading it again", kind.resource());
                    self.cluster.terminal.verbose(1, &what);
                    item::forget(&mut self.facts.borrow_mut(), kind);
                }
                other => return other,
            }
        }
    }

    /// The first page; where the next one begins, if there is one. A list that
    /// cannot be read is noted as such.
    async fn first(&self, kind: Kind) -> Result<Option<String>, Failure> {
        match self.page(kind, "").await {
            Ok(page) => Ok(Some(self.keep(page))),
            Err(Failure::Forbidden(no)) => {
                self.facts.borrow_mut().note_missing(kind, no.status.message.clone());
                Ok(None)
            }
            // Not served in the version that this program knows: that is no
            // reason to take it for empty.
            Err(Failure::NoSuchApi(no)) => {
                self.facts.borrow_mut().note_missing(kind, no.unserved());
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// All pages from this one on.
    async fn rest(&self, kind: Kind, mut next: String) -> Result<(), Failure> {
        while !next.is_empty() {
            let page = self.page(kind, &next).await?;
            next = self.keep(page);
        }
        Ok(())
    }

    /// Keeps what is on a page; where the next one begins.
    fn keep(&self, page: Page) -> String {
        self.seen.set(self.seen.get() + page.items.len());
        let mut facts = self.facts.borrow_mut();
        page.items.into_iter().for_each(|item| item.join(&mut facts));
        page.next
    }

    async fn page(&self, kind: Kind, next: &str) -> Result<Page, Failure> {
        let path = path(kind, self.namespace, next);
        let mut request = http::get(&path)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(protobuf::ACCEPT));
        let asked = self.cluster.http.asked(&request);
        let mut reader = Reader::new(kind, self.namespace.unwrap_or_default(), &self.pool);
        self.cluster.http.feed(request, &mut reader).await?;
        reader.end().map_err(|cause| Failure::Unreadable { asked, cause })
    }
}

/// Where a list is.
fn path(kind: Kind, namespace: Option<&str>, next: &str) -> String {
    let (base, plural, namespaced) = match kind {
        Kind::Claim => ("/api/v1", "persistentvolumeclaims", true),
        Kind::Volume => ("/api/v1", "persistentvolumes", false),
        Kind::Pod => ("/api/v1", "pods", true),
        Kind::ReplicationController => ("/api/v1", "replicationcontrollers", true),
        Kind::StatefulSet => ("/apis/apps/v1", "statefulsets", true),
        Kind::Deployment => ("/apis/apps/v1", "deployments", true),
        Kind::ReplicaSet => ("/apis/apps/v1", "replicasets", true),
        Kind::DaemonSet => ("/apis/apps/v1", "daemonsets", true),
        Kind::Job => ("/apis/batch/v1", "jobs", true),
        Kind::CronJob => ("/apis/batch/v1", "cronjobs", true),
        Kind::Autoscaler => ("/apis/autoscaling/v2", "horizontalpodautoscalers", true),
        Kind::ScaledObject => ("/apis/keda.sh/v1alpha1", "scaledobjects", true),
        Kind::Attachment => ("/apis/storage.k8s.io/v1", "volumeattachments", false),
    };
    let place = match namespace.filter(|_| namespaced) {
        Some(namespace) => format!("/namespaces/{}", encode(namespace)),
        None => String::new(),
    };
    let next = if next.is_empty() { String::new() } else { format!("&continue={}", encode(next)) };
    format!("{base}{place}/{plural}?limit={PAGE}{next}")
}

/// Reads a page in whatever form it comes.
struct Reader<'a> {
    kind: Kind,
    namespace: &'a str,
    pool: &'a RefCell<Pool>,
    items: Vec<Item>,
    form: Form,
}

enum Form {
    Protobuf(Cutter),
    /// All of it, because JSON does not say where an item ends.
    Json(Vec<u8>),
}

impl<'a> Reader<'a> {
    fn new(kind: Kind, namespace: &'a str, pool: &'a RefCell<Pool>) -> Reader<'a> {
        Reader { kind, namespace, pool, items: Vec::new(), form: Form::Json(Vec::new()) }
    }

    fn end(self) -> Result<Page, String> {
        match self.form {
            Form::Protobuf(cutter) => {
                let (kind, meta) = cutter.end().map_err(|Malformed(why)| why.to_owned())?;
                is_list_of(&kind, self.kind)?;
                Ok(Page { items: self.items, next: meta.next })
            }
            Form::Json(bytes) => {
                let list: Typed =
                    serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
                is_list_of(&list.kind, self.kind)?;
                let mut pool = self.pool.borrow_mut();
                let objects = list.items.unwrap_or_default().into_iter();
                let items = objects
                    .map(|object| object.into_item(self.kind, self.namespace, &mut pool))
                    .collect();
                Ok(Page { items, next: list.metadata.next })
            }
        }
    }
}

/// A list that says what it is a list of.
#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<DiskObject>>,
}

/// An answer that is something else must not pass for an empty list.
fn is_list_of(kind: &str, wanted: Kind) -> Result<(), String> {
    let wanted = format!("{}List", wanted.name());
    if kind == wanted { Ok(()) } else { Err(format!("it is a {kind:?}, not a {wanted}")) }
}

impl Sink for Reader<'_> {
    fn begin(&mut self, content_type: &str) {
        self.items.clear();
        self.form = if content_type.starts_with(protobuf::CONTENT_TYPE) {
            Form::Protobuf(Cutter::default())
        } else {
            Form::Json(Vec::new())
        };
    }

    fn take(&mut self, data: &[u8]) -> Result<(), String> {
        match &mut self.form {
            Form::Json(bytes) => bytes.extend_from_slice(data),
            Form::Protobuf(cutter) => {
                let (kind, items) = (self.kind, &mut self.items);
                let mut pool = self.pool.borrow_mut();
                let mut keep = |bytes: &[u8]| {
                    items.push(decode::item(kind, bytes, &mut pool)?);
                    Ok(())
                };
                cutter.take(data, &mut keep).map_err(|Malformed(why)| why.to_owned())?;
            }
        }
        Ok(())
    }
}
