//! What belongs to some sets, of everything that was read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::read::Kind;
use crate::{
    cluster::{Resource, read::set_of},
    output::{Error, Exit},
    workload::{StatefulSet, Unread, raw},
};

/// The names of what is kept of a kind.
type Names = BTreeSet<String>;

/// Drops what has nothing to do with the sets of these names. What nobody can tell
/// apart by set, such as classes, quotas and policies, stays.
/// `at` are the flags that say where.
pub fn keep_only(
    kinds: &mut [Kind],
    unread: &[Unread],
    names: &[String],
    at: &str,
) -> Result<(), Error> {
    let sets = sets(kinds, unread, names, at)?;
    let is_claim = |name: &str| sets.iter().any(|set| is_claim_of(set, name));
    let found = all(kinds, Resource::CLAIM).map(raw::name).filter(|name| is_claim(name));
    let mut claims: Names = found.map(str::to_owned).collect();
    let own = |pod: &Value| sets.iter().any(|set| is_pod_of(set, pod));
    for pod in all(kinds, Resource::POD).filter(|pod| own(pod)) {
        claims.extend(claims_of(pod).map(str::to_owned));
    }
    // Also pods of others that use one of the claims.
    let pods: Vec<&Value> = all(kinds, Resource::POD)
        .filter(|pod| own(pod) || claims_of(pod).any(|claim| claims.contains(claim)))
        .collect();
    let nodes = texts(&pods, "/spec/nodeName");
    let pods = texts(&pods, "/metadata/name");
    let held = |volume: &Value| {
        let holder = raw::text(volume, "/spec/claimRef/name");
        holder.is_some_and(|holder| claims.contains(holder) || is_claim(holder))
    };
    let named: Names = all(kinds, Resource::CLAIM)
        .filter(|claim| claims.contains(raw::name(claim)))
        .filter_map(|claim| raw::text(claim, "/spec/volumeName"))
        .map(str::to_owned)
        .collect();
    let volumes: Names = all(kinds, Resource::VOLUME)
        .filter(|volume| held(volume) || named.contains(raw::name(volume)))
        .map(|volume| raw::name(volume).to_owned())
        .collect();
    let services: Names = all(kinds, Resource::SERVICE)
        .filter(|service| sets.iter().any(|set| serves(service, set)))
        .map(|service| raw::name(service).to_owned())
        .collect();
    let known: Vec<(&str, &Names)> = vec![
        ("Pod", &pods),
        ("PersistentVolumeClaim", &claims),
        ("PersistentVolume", &volumes),
        ("Service", &services),
        ("Node", &nodes),
    ];
    let is_kept = |kind: Resource, object: &Value| match kind {
        Resource::STATEFUL_SET => names.iter().any(|name| name == raw::name(object)),
        Resource::REVISION => sets.iter().any(|set| is_owned_by(object, set)),
        Resource::POD => pods.contains(raw::name(object)),
        Resource::CLAIM => claims.contains(raw::name(object)),
        Resource::VOLUME => volumes.contains(raw::name(object)),
        Resource::NODE => nodes.contains(raw::name(object)),
        Resource::SERVICE => services.contains(raw::name(object)),
        Resource::ATTACHMENT => raw::text(object, "/spec/source/persistentVolumeName")
            .is_some_and(|volume| volumes.contains(volume)),
        Resource::ENDPOINT_SLICE => {
            raw::text(object, "/metadata/labels/kubernetes.io~1service-name")
                .is_some_and(|service| services.contains(service))
        }
        Resource::EVENT => {
            let kind = raw::text(object, "/involvedObject/kind").unwrap_or_default();
            let name = raw::text(object, "/involvedObject/name").unwrap_or_default();
            let is_known =
                known.iter().any(|(known, names)| *known == kind && names.contains(name));
            // Also of pods and claims that are gone.
            is_known
                || sets.iter().any(|set| {
                    name == set.name || set.ordinal_of(name).is_some() || is_claim_of(set, name)
                })
        }
        Resource::SNAPSHOT => raw::text(object, "/spec/source/persistentVolumeClaimName")
            .is_some_and(|claim| claims.contains(claim)),
        _ if WORKLOADS.contains(&kind) => names_a_claim(object, &claims),
        _ => true,
    };
    for Kind { resource, objects } in kinds.iter_mut() {
        objects.retain(|object| is_kept(*resource, object));
    }
    Ok(())
}

/// Kinds that concern a set only where they name one of its claims.
const WORKLOADS: [Resource; 7] = [
    Resource::DEPLOYMENT,
    Resource::REPLICA_SET,
    Resource::DAEMON_SET,
    Resource::REPLICATION_CONTROLLER,
    Resource::JOB,
    Resource::CRON_JOB,
    Resource::POD_TEMPLATE,
];

fn sets(
    kinds: &[Kind],
    unread: &[Unread],
    names: &[String],
    at: &str,
) -> Result<Vec<StatefulSet>, Error> {
    // What was not read may be there all the same.
    if let Some(unread) = unread.iter().find(|one| one.resource == Resource::STATEFUL_SET.name()) {
        return Err(Error::new(Exit::Incomplete, "the StatefulSets could not be read")
            .caused_by(&unread.why)
            .hint(format!("kubectl auth can-i list statefulsets.apps {at}")));
    }
    let mut sets = Vec::new();
    for name in names {
        let found = all(kinds, Resource::STATEFUL_SET).find(|set| raw::name(set) == name);
        let Some(found) = found else {
            return Err(Error::with_headline(
                Exit::Error,
                format!("Error from server (NotFound): statefulsets.apps \"{name}\" not found"),
            )
            .hint(format!("kubectl get sts {at}")));
        };
        sets.push(set_of(found.clone())?);
    }
    Ok(sets)
}

fn all(kinds: &[Kind], wanted: Resource) -> impl Iterator<Item = &Value> {
    kinds.iter().filter(move |kind| kind.resource == wanted).flat_map(|kind| &kind.objects)
}

fn texts(objects: &[&Value], pointer: &str) -> Names {
    objects.iter().filter_map(|object| raw::text(object, pointer)).map(str::to_owned).collect()
}

/// `data-db-0`, and what has that name with an end of its own.
fn is_claim_of(set: &StatefulSet, name: &str) -> bool {
    set.claim_templates.iter().any(|template| {
        let rest = name.strip_prefix(&*template.name).and_then(|rest| rest.strip_prefix('-'));
        let rest = rest.and_then(|rest| rest.strip_prefix(&*set.name)?.strip_prefix('-'));
        rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    })
}

fn is_owned_by(object: &Value, set: &StatefulSet) -> bool {
    raw::items(object, "/metadata/ownerReferences")
        .any(|owner| raw::text(owner, "/uid") == Some(&set.uid))
}

/// One of the set, one with a name of the set's, or one that its selector matches.
fn is_pod_of(set: &StatefulSet, pod: &Value) -> bool {
    set.ordinal_of(raw::name(pod)).is_some()
        || is_owned_by(pod, set)
        || set.selector.matches(&labels(pod, "/metadata/labels"))
}

fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    raw::items(pod, "/spec/volumes")
        .filter_map(|volume| raw::text(volume, "/persistentVolumeClaim/claimName"))
}

fn serves(service: &Value, set: &StatefulSet) -> bool {
    let selector = labels(service, "/spec/selector");
    let own = labels(&set.template.raw, "/metadata/labels");
    set.service_name.as_deref() == Some(raw::name(service))
        || (!selector.is_empty() && selector.iter().all(|(key, value)| own.get(key) == Some(value)))
}

fn labels(object: &Value, pointer: &str) -> BTreeMap<String, String> {
    let found = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    found.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether a workload mounts one of the claims, wherever its template is.
fn names_a_claim(object: &Value, claims: &Names) -> bool {
    match object {
        Value::Object(fields) => fields.iter().any(|(key, field)| {
            let is_it =
                key == "claimName" && field.as_str().is_some_and(|name| claims.contains(name));
            is_it || names_a_claim(field, claims)
        }),
        Value::Array(items) => items.iter().any(|item| names_a_claim(item, claims)),
        _ => false,
    }
}
