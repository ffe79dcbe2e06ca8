//! Reads what the rows need: the sets first, then whole lists of what belongs to
//! them, in pages.
//!
//! The number of lists is fixed, whatever the number of sets. Of the pods only
//! those of sets are asked for, by the label that their controller gives them.
//! Warnings come last, and only if some object is not as it should be.

use std::{cell::RefCell, collections::HashSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::sets::{Question, Sets};
use crate::{
    cluster::{
        Cluster, Failure, Listing, Resource,
        objects::{
            AnyObject, AttachmentObject, ClaimObject, ClassObject, EventObject, Meta, NodeObject,
            PodObject, QuotaObject, RevisionObject, ServiceObject, SetObject, VolumeObject,
        },
        protobuf::{kinds, object::Message},
        read::{MAX_OTHERS, namespace_deleting, pods_named},
    },
    workload::{
        Attachment, Claim, Class, Event, Node, Pod, Quota, Revision, Service, StatefulSet, Volume,
    },
};

/// How often everything is read again because a list has expired.
const MAX_STARTS: usize = 5;
/// The label that the controller gives every pod of a set.
const POD_OF_A_SET: &str = "statefulset.kubernetes.io/pod-name";

/// The answer, and from where a watch of the sets continues.
#[derive(Debug)]
pub struct Reading {
    pub sets: Sets,
    pub version: String,
}

/// The list of the sets.
pub fn listing(question: &Question) -> Listing {
    let listing = Resource::STATEFUL_SET.list(question.namespace.as_deref());
    match &question.selector {
        Some(selector) => listing.labelled(&selector.query()),
        None => listing,
    }
}

/// Reads the sets and what belongs to them. Lists without permission are noted
/// as unread.
///
/// # Errors
/// When the sets cannot be read, or the server fails.
pub async fn sets(cluster: &Cluster, question: &Question) -> Result<Reading, Failure> {
    let mut starts = 1;
    loop {
        let sets = Sets::new(cluster.flags());
        let reader = Reader { cluster, question, sets: RefCell::new(sets) };
        match reader.run().await {
            Err(Failure::Gone(_)) if starts < MAX_STARTS => {
                starts += 1;
                cluster.terminal().verbose(1, "a list expired; reading again");
            }
            Err(failure) => return Err(failure),
            Ok(version) => return Ok(Reading { sets: reader.sets.into_inner(), version }),
        }
    }
}

struct Reader<'a> {
    cluster: &'a Cluster,
    question: &'a Question,
    sets: RefCell<Sets>,
}

impl Reader<'_> {
    /// Reads everything; returns the version of the list of sets.
    async fn run(&self) -> Result<String, Failure> {
        let version = self.read_sets().await?;
        if self.sets.borrow().len() == 0 {
            return Ok(version);
        }
        let storage = self.sets.borrow().have_claims();
        let named = |meta: &Meta| meta.namespace.clone().unwrap_or_default();
        let pods = self.rest(
            self.list(Resource::POD).labelled(POD_OF_A_SET),
            &kinds::POD,
            |object: PodObject| (named(&object.metadata), Pod::from(object)),
            |sets, (namespace, pod)| sets.add_pod(&namespace, pod),
        );
        let services = self.rest(
            self.list(Resource::SERVICE),
            &kinds::SERVICE,
            |object: ServiceObject| (named(&object.metadata), Service::from(object)),
            |sets, (namespace, service)| sets.add_service(&namespace, &service),
        );
        let claims = self.rest(
            self.list(Resource::CLAIM),
            &kinds::CLAIM,
            |object: ClaimObject| (named(&object.metadata), Claim::from(object)),
            |sets, (namespace, claim)| sets.add_claim(&namespace, &claim),
        );
        let volumes = self.rest(
            Resource::VOLUME.everywhere(),
            &kinds::VOLUME,
            |object: VolumeObject| Volume::from(object),
            |sets, volume| sets.add_volume(&volume),
        );
        let classes = self.rest(
            Resource::STORAGE_CLASS.everywhere(),
            &kinds::STORAGE_CLASS,
            |object: ClassObject| Class::from(object),
            Sets::add_class,
        );
        // Without claim templates, no right to read volumes is needed.
        tokio::try_join!(
            pods,
            services,
            only_if(storage, claims),
            only_if(storage, volumes),
            only_if(storage, classes),
        )?;
        self.read_others().await?;
        self.read_namespaces().await?;
        if self.sets.borrow().need_revisions() {
            self.read_revisions().await?;
        }
        let suspects = self.sets.borrow().suspects();
        if !suspects.is_empty() {
            self.rest(
                self.list(Resource::EVENT).whose("type=Warning"),
                &kinds::EVENT,
                |object: EventObject| Event::from(object),
                |sets, event| sets.add_event(&suspects, event),
            )
            .await?;
        }
        if self.sets.borrow().need_attachments() {
            self.rest(
                Resource::ATTACHMENT.everywhere(),
                &kinds::ATTACHMENT,
                |object: AttachmentObject| Option::from(object),
                |sets, attachment: Option<Attachment>| {
                    if let Some(attachment) = attachment {
                        sets.add_attachment(attachment);
                    }
                },
            )
            .await?;
        }
        if self.sets.borrow().need_quotas() {
            self.rest(
                self.list(Resource::QUOTA),
                &kinds::QUOTA,
                |object: QuotaObject| (named(&object.metadata), Quota::from(object)),
                |sets, (namespace, quota)| sets.add_quota(&namespace, quota),
            )
            .await?;
        }
        let nodes = self.sets.borrow().nodes_of_overdue(Timestamp::now());
        if !nodes.is_empty() {
            self.read_nodes(nodes).await?;
        }
        Ok(version)
    }

    fn list(&self, resource: Resource) -> Listing {
        resource.list(self.question.namespace.as_deref())
    }

    async fn read_sets(&self) -> Result<String, Failure> {
        let (mut next, mut version) = (String::new(), String::new());
        loop {
            let keep = |object: SetObject| StatefulSet::from(object);
            let listing = listing(self.question);
            let page = self.cluster.page_of(listing, &next, &kinds::STATEFUL_SET, keep).await?;
            let mut sets = self.sets.borrow_mut();
            let wanted = page.items.into_iter().filter(|set| self.question.wants(set));
            wanted.for_each(|set| sets.add_set(set));
            if version.is_empty() {
                version = page.resource_version;
            }
            next = page.next;
            if next.is_empty() {
                return Ok(version);
            }
        }
    }

    /// Reads the pods with the names of ordinals that have none of their set: a few by
    /// name, more of them as one list of the pods that are of no set.
    async fn read_others(&self) -> Result<(), Failure> {
        let absent = self.sets.borrow().absent_pods();
        if absent.len() > MAX_OTHERS {
            let wanted: HashSet<(String, String)> = absent.into_iter().collect();
            return self
                .rest(
                    self.list(Resource::POD).labelled(&format!("!{POD_OF_A_SET}")),
                    &kinds::POD,
                    |object: PodObject| {
                        let namespace = object.metadata.namespace.clone().unwrap_or_default();
                        ((namespace, object.metadata.name.clone()), object)
                    },
                    |sets, (place, object)| {
                        if wanted.contains(&place) {
                            sets.add_pod(&place.0, Pod::from(object));
                        }
                    },
                )
                .await;
        }
        for (namespace, name) in &absent {
            let named = std::iter::once((namespace.as_str(), name.as_str()));
            for pod in pods_named(self.cluster, named).await? {
                self.sets.borrow_mut().add_pod(namespace, pod);
            }
        }
        Ok(())
    }

    /// Looks whether sets go with their namespaces: one is read by name, more of them
    /// as a list.
    async fn read_namespaces(&self) -> Result<(), Failure> {
        let doubtful = self.sets.borrow().doubtful_namespaces();
        if let Some(name) = doubtful.first().filter(|_| doubtful.len() == 1)
            && let Some(since) = namespace_deleting(self.cluster, name).await?
        {
            self.sets.borrow_mut().add_leaving(name, since);
        }
        if doubtful.len() < 2 {
            return Ok(());
        }
        let all = Resource::NAMESPACE.everywhere();
        // Who may not list them is told less.
        let all = self.cluster.list_if_allowed::<AnyObject>(&all).await?.keep(&mut Vec::new());
        for AnyObject { metadata } in all.into_iter().flatten() {
            let since = metadata.deletion_timestamp.into_iter();
            since.for_each(|since| self.sets.borrow_mut().add_leaving(&metadata.name, since));
        }
        Ok(())
    }

    async fn read_revisions(&self) -> Result<(), Failure> {
        self.rest(
            self.list(Resource::REVISION),
            &kinds::REVISION,
            |object: RevisionObject| {
                let namespace = object.metadata.namespace.clone().unwrap_or_default();
                let owner = object.owner_uid().map(str::to_owned);
                (namespace, owner, Revision::from(object))
            },
            |sets, (namespace, owner, revision)| {
                sets.add_revision(&namespace, owner.as_deref(), &revision);
            },
        )
        .await
    }

    async fn read_nodes(&self, wanted: Vec<String>) -> Result<(), Failure> {
        let seen = RefCell::new(Vec::new());
        self.rest(
            Resource::NODE.everywhere(),
            &kinds::NODE,
            |object: NodeObject| Node::from(object),
            |sets, node| {
                if wanted.contains(&node.name) {
                    seen.borrow_mut().push(node.name.clone());
                    sets.add_node(node);
                }
            },
        )
        .await?;
        let mut sets = self.sets.borrow_mut();
        let seen = seen.into_inner();
        let gone = wanted.iter().filter(|name| !seen.contains(name));
        gone.for_each(|name| sets.add_node(Node::gone(name)));
        Ok(())
    }

    /// Reads a whole list, or notes that it may not be read.
    async fn rest<T: DeserializeOwned, I>(
        &self,
        listing: Listing,
        message: &'static Message,
        convert: impl Fn(T) -> I,
        add: impl Fn(&mut Sets, I),
    ) -> Result<(), Failure> {
        let mut next = String::new();
        loop {
            let page = self.cluster.page_of(listing.clone(), &next, message, &convert).await;
            let page = match page {
                Err(Failure::Forbidden(no)) => {
                    let why = no.status.message.clone();
                    self.sets.borrow_mut().note_missing(listing.resource(), Some(why));
                    return Ok(());
                }
                other => other?,
            };
            let mut sets = self.sets.borrow_mut();
            page.items.into_iter().for_each(|item| add(&mut sets, item));
            next = page.next;
            if next.is_empty() {
                return Ok(());
            }
        }
    }
}

async fn only_if(
    needed: bool,
    read: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    if needed { read.await } else { Ok(()) }
}
