//! Reads the facts about claims and volumes from files instead of a cluster. A dump of
//! one has tens of thousands of objects, of which a few fields matter.

use std::collections::BTreeSet;

use super::{
    model::{Facts, Kind},
    read::{self as reading, objects::DiskObject},
};
use crate::{
    cluster::Resource,
    manifests::{Bundle, Object, Seen, absent, each},
    output::{Error, Exit},
    workload::pool::Pool,
};

/// The kinds that are looked for.
const KINDS: [Kind; 14] = [
    Kind::Claim,
    Kind::Volume,
    Kind::Pod,
    Kind::StatefulSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::ReplicationController,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::PodTemplate,
    Kind::Autoscaler,
    Kind::ScaledObject,
    Kind::Attachment,
];

/// The facts in files, read object by object. A kind that is not in the input counts
/// as not read, unless the input is `complete`.
///
/// # Errors
/// When an object cannot be decoded, and when nothing in the input is in the
/// namespace.
pub fn read(paths: &[String], namespace: Option<&str>, complete: bool) -> Result<Facts, Error> {
    let mut reader = Reader::new(namespace);
    each(paths, &mut |seen| match seen {
        Seen::Object(object) => reader.add(object),
        Seen::List(list) => {
            reader.kinds.extend(KINDS.into_iter().filter(|kind| list.is(kind.resource())));
            Ok(())
        }
    })?;
    reader.finish(complete)
}

/// The same from objects that are in memory.
///
/// # Errors
/// As for [`read`].
pub fn facts(input: &Bundle, namespace: Option<&str>, complete: bool) -> Result<Facts, Error> {
    let mut reader = Reader::new(namespace);
    input.objects().try_for_each(|object| reader.add(object))?;
    reader.finish(complete)
}

/// What is known after some of the objects.
struct Reader<'a> {
    namespace: Option<&'a str>,
    facts: Facts,
    pool: Pool,
    kinds: BTreeSet<Kind>,
    groups: BTreeSet<String>,
    /// Whether anything is in the namespace, and which ones there are.
    is_found: bool,
    namespaces: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn new(namespace: Option<&'a str>) -> Reader<'a> {
        Reader {
            namespace,
            facts: Facts { namespace: namespace.map(Into::into), ..Facts::default() },
            pool: Pool::default(),
            kinds: BTreeSet::new(),
            groups: BTreeSet::new(),
            is_found: false,
            namespaces: BTreeSet::new(),
        }
    }

    fn add(&mut self, object: &Object) -> Result<(), Error> {
        if !self.groups.contains(object.group()) {
            self.groups.insert(object.group().to_owned());
        }
        let kind = KINDS.into_iter().find(|kind| object.is(kind.resource()));
        self.note_namespace(object, kind);
        let Some(kind) = kind else { return Ok(()) };
        self.kinds.insert(kind);
        let is_here = !kind.resource().namespaced
            || self.namespace.is_none_or(|wanted| object.in_namespace(wanted));
        if is_here {
            let decoded: DiskObject = object.decode()?;
            let namespace = self.namespace.unwrap_or("default");
            decoded.into_item(kind, namespace, &mut self.pool).join(&mut self.facts);
        }
        Ok(())
    }

    fn note_namespace(&mut self, object: &Object, kind: Option<Kind>) {
        if let Some(own) = &object.namespace
            && !self.namespaces.contains(own)
        {
            self.namespaces.insert(own.clone());
        }
        let Some(wanted) = self.namespace.filter(|_| !self.is_found) else { return };
        // One without a namespace would be applied to any.
        let is_any =
            object.namespace.is_none() && kind.is_some_and(|kind| kind.resource().namespaced);
        self.is_found = is_any
            || object.namespace.as_deref() == Some(wanted)
            || (object.is(Resource::NAMESPACE) && object.name() == wanted);
    }

    fn finish(self, complete: bool) -> Result<Facts, Error> {
        self.check_namespace()?;
        let Reader { mut facts, kinds, groups, .. } = self;
        if !complete {
            let absent_kinds = KINDS.into_iter().filter(|kind| !kinds.contains(kind));
            let missed: Vec<Kind> = absent_kinds.filter(|kind| is_missed(*kind, &facts)).collect();
            for kind in missed {
                facts.note_missing(kind, absent(kind.resource()).why);
            }
        }
        let of =
            |which: fn(&str) -> bool| groups.iter().filter(|group| which(group)).cloned().collect();
        (facts.foreign, facts.custom) = (of(reading::is_foreign), of(reading::is_custom));
        Ok(facts)
    }

    /// Refuses a namespace that is not in the input: that there are no orphans in it
    /// would be no answer.
    fn check_namespace(&self) -> Result<(), Error> {
        let Some(namespace) = self.namespace else { return Ok(()) };
        if self.is_found || self.namespaces.is_empty() {
            return Ok(());
        }
        let known: Vec<&str> = self.namespaces.iter().map(String::as_str).collect();
        let known = known.join(", ");
        let headline =
            format!("error: the input has nothing in namespace \"{namespace}\" (it has: {known})");
        Err(Error::with_headline(Exit::Error, headline))
    }
}

/// Whether something cannot be said because the input has none of this kind.
fn is_missed(kind: Kind, facts: &Facts) -> bool {
    match kind {
        // KEDA creates HPAs that say the same.
        Kind::ScaledObject => false,
        Kind::PodTemplate => !facts.claims.is_empty(),
        Kind::Volume => facts.claims.iter().any(|claim| claim.volume.is_some()),
        // They only tell of volumes without a claim whether they are in use.
        Kind::Attachment => {
            facts.volumes.iter().any(|volume| matches!(&*volume.phase, "Released" | "Failed"))
        }
        _ => true,
    }
}
