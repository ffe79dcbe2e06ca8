//! The facts, from files instead of a cluster.

use super::{
    facts::{Facts, Member, Service, Slice},
    objects::{ConfigMapObject, LabelledObject, MemberObject, NamedService, SliceObject},
    read::{Target, corefiles_in, resolve_target},
};
use crate::{
    cluster::{
        Resource,
        objects::{PodObject, SetObject},
    },
    manifests::{self, Bundle, Object},
    output::{Error, Exit},
    workload::{Pod, StatefulSet, raw},
};

/// The facts about a set's or a Service's names in the input.
///
/// # Errors
/// When the set or the Service is missing, or is in several namespaces.
pub fn facts(input: &Bundle, target: &Target, namespace: Option<&str>) -> Result<Facts, Error> {
    let (namespace, sets) = match target {
        Target::Set(name) => {
            let set = input.set(name, namespace)?;
            (set.namespace.clone(), vec![set])
        }
        Target::Service(name) => {
            let namespace = namespace_of_service(input, name, namespace)?;
            let sets =
                input.scope(&namespace).list::<SetObject, StatefulSet>(Resource::STATEFUL_SET)?;
            (namespace, sets.unwrap_or_default())
        }
    };
    let is_live = sets.iter().any(StatefulSet::is_live);
    let near = input.scope(&namespace);
    let mut facts = Facts {
        services: near.list::<NamedService, Service>(Resource::SERVICE)?,
        slices: near.list::<SliceObject, Slice>(Resource::ENDPOINT_SLICE)?,
        pods: near.list::<MemberObject, Member>(Resource::POD)?,
        namespace: namespace.clone(),
        ..Facts::default()
    };
    let replicas = sets.iter().any(|set| set.replicas > 0);
    for (kind, is_absent) in [
        // A manifest says nothing about names without the Service either.
        (Resource::SERVICE, facts.services.is_none()),
        (Resource::ENDPOINT_SLICE, facts.slices.is_none() && replicas && is_live),
        (Resource::POD, facts.pods.is_none() && replicas && is_live),
    ] {
        if is_absent {
            facts.unread.push(manifests::absent(kind));
        }
    }
    let selector = resolve_target(&mut facts, target, sets);
    let set = facts.set.clone();
    let service = facts.governing().cloned();
    if let Some(set) = &set {
        let pods = near.list::<PodObject, Pod>(Resource::POD)?;
        let others = pods.into_iter().flatten().filter(|pod| !set.owns(pod));
        let names = others.map(|pod| pod.name).filter(|name| set.ordinal_of(name).is_some());
        facts.taken = names.collect();
    }
    // The same pods as would be read from a cluster.
    if let Some(pods) = &mut facts.pods {
        pods.retain(|pod| match (&set, &service) {
            (Some(set), _) => set.selector.matches(&pod.labels),
            (None, Some(service)) => selector.is_some() && service.selects(&pod.labels),
            (None, None) => false,
        });
    }
    facts.set_strangers_apart();
    for map in input.bodies(Resource::CONFIG_MAP) {
        let system = raw::namespace(map).unwrap_or_default().to_owned();
        let Ok(map) = serde_json::from_value::<ConfigMapObject>(map.clone()) else { continue };
        let is_local = map.metadata.name.contains("node-local");
        if !is_local && matches!(&*system, "kube-system" | "openshift-dns") {
            facts.servers.corefiles.extend(corefiles_in(map, &system));
        }
    }
    let namespaces = input.all(Resource::NAMESPACE).into_iter().flatten();
    facts.namespaces = namespaces.map(|one| one.name().to_owned()).collect();
    let mut own = input.all(Resource::NAMESPACE).into_iter().flatten();
    facts.namespace_labels = own
        .find(|one| one.name() == namespace)
        .map(Object::decode::<LabelledObject>)
        .transpose()?
        .map(LabelledObject::labels);
    Ok(facts)
}

/// The namespace of the only Service with this name.
fn namespace_of_service(input: &Bundle, name: &str, wanted: Option<&str>) -> Result<String, Error> {
    let named =
        |one: &&Object| one.name() == name && wanted.is_none_or(|wanted| one.in_namespace(wanted));
    let found: Vec<&Object> =
        input.all(Resource::SERVICE).into_iter().flatten().filter(named).collect();
    match found.as_slice() {
        [] => Err(Error::new(Exit::Error, format!("the input has no Service \"{name}\""))),
        [one] => {
            Ok(one.namespace.clone().or(wanted.map(str::to_owned)).unwrap_or("default".to_owned()))
        }
        several => {
            Err(Error::usage(format!("the input has {} Services named \"{name}\"", several.len()))
                .hint("name the namespace with -n"))
        }
    }
}
