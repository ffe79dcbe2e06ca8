//! The same from files.

use serde::de::DeserializeOwned;

use super::sets::{Question, Sets};
use crate::{
    cluster::{
        Resource,
        objects::{
            AnyObject, AttachmentObject, ClaimObject, ClassObject, EventObject, NodeObject,
            PodObject, QuotaObject, RevisionObject, ServiceObject, SetObject, VolumeObject,
        },
    },
    manifests::{Bundle, absent},
    output::Error,
    workload::{
        Attachment, Claim, Class, Event, Node, Pod, Quota, Revision, Service, StatefulSet, Volume,
    },
};

/// The sets in the input, and what belongs to them. A kind that is needed and
/// not in the input is unread, not empty.
///
/// # Errors
/// When an object cannot be decoded.
pub fn sets(input: &Bundle, question: &Question) -> Result<Sets, Error> {
    let mut sets = Sets::default();
    // Manifests need no namespace.
    let fallback = question.namespace.as_deref().unwrap_or("default");
    let files = Files { input, question, fallback };
    files.each(Resource::STATEFUL_SET, |namespace, object: SetObject| {
        let mut set = StatefulSet::from(object);
        if question.wants(&set) {
            namespace.clone_into(&mut set.namespace);
            sets.add_set(set);
        }
    })?;
    let pods = files.each(Resource::POD, |namespace, object: PodObject| {
        sets.add_pod(namespace, Pod::from(object));
    })?;
    let services = files.each(Resource::SERVICE, |namespace, object: ServiceObject| {
        sets.add_service(namespace, &Service::from(object));
    })?;
    let claims = files.each(Resource::CLAIM, |namespace, object: ClaimObject| {
        sets.add_claim(namespace, &Claim::from(object));
    })?;
    let volumes = files.each(Resource::VOLUME, |_, object: VolumeObject| {
        sets.add_volume(&Volume::from(object));
    })?;
    let classes = files.each(Resource::STORAGE_CLASS, |_, object: ClassObject| {
        sets.add_class(Class::from(object));
    })?;
    let suspects = sets.suspects();
    let events = files.each(Resource::EVENT, |_, object: EventObject| {
        sets.add_event(&suspects, Event::from(object));
    })?;
    let nodes = files.each(Resource::NODE, |_, object: NodeObject| {
        sets.add_node(Node::from(object));
    })?;
    let revisions = files.each(Resource::REVISION, |namespace, object: RevisionObject| {
        let owner = object.owner_uid().map(str::to_owned);
        sets.add_revision(namespace, owner.as_deref(), &Revision::from(object));
    })?;
    let attachments = files.each(Resource::ATTACHMENT, |_, object: AttachmentObject| {
        let attachment: Option<Attachment> = object.into();
        if let Some(attachment) = attachment {
            sets.add_attachment(attachment);
        }
    })?;
    let quotas = files.each(Resource::QUOTA, |namespace, object: QuotaObject| {
        sets.add_quota(namespace, Quota::from(object));
    })?;
    files.each(Resource::NAMESPACE, |_, object: AnyObject| {
        let since = object.metadata.deletion_timestamp.into_iter();
        since.for_each(|since| sets.add_leaving(&object.metadata.name, since));
    })?;
    let runs = |set: &StatefulSet| set.is_live() && set.replicas > 0;
    let lacks = [
        (Resource::POD, pods, sets.is_any(runs)),
        (
            Resource::SERVICE,
            services,
            sets.is_any(|set| set.is_live() && set.service_name.is_some()),
        ),
        (Resource::CLAIM, claims, sets.is_any(|set| runs(set) && !set.claim_templates.is_empty())),
        (Resource::VOLUME, volumes, sets.have_volumes()),
        // Without these less is found, and nothing is said that may be wrong.
        (Resource::STORAGE_CLASS, classes, false),
        (Resource::EVENT, events, false),
        (Resource::NODE, nodes, false),
        (Resource::ATTACHMENT, attachments, false),
        (Resource::QUOTA, quotas, false),
        (Resource::REVISION, revisions, sets.need_revisions()),
    ];
    for (resource, found, decides) in lacks {
        if !found {
            sets.note_missing(resource, decides.then(|| absent(resource).why));
        }
    }
    Ok(sets)
}

struct Files<'a> {
    input: &'a Bundle,
    question: &'a Question,
    fallback: &'a str,
}

impl Files<'_> {
    /// Calls `add` with each object of a kind and its namespace; says whether
    /// there is any in the input, in whatever namespace.
    fn each<T: DeserializeOwned>(
        &self,
        kind: Resource,
        mut add: impl FnMut(&str, T),
    ) -> Result<bool, Error> {
        let Some(all) = self.input.all(kind) else { return Ok(false) };
        let wanted = self.question.namespace.as_deref().filter(|_| kind.namespaced);
        for object in all.filter(|object| wanted.is_none_or(|wanted| object.in_namespace(wanted))) {
            let namespace = object.namespace.as_deref().unwrap_or(self.fallback);
            add(namespace, object.decode()?);
        }
        Ok(true)
    }
}
