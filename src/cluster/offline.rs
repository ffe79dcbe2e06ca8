//! Objects from files instead of a cluster: manifests, or what `kubectl get
//! -o yaml|json` printed. The same planners run on both.

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Resource,
    disks::pool::Pool,
    moving,
    naming::{self, Target},
    objects::{
        AutoscalerObject, BudgetObject, ClaimObject, ClassObject, DiskObject, EventObject,
        LabelledObject, MemberObject, NamedService, NodeObject, PodObject, RevisionObject,
        ServiceObject, SetObject, SliceObject, SnapshotClassObject, TextsObject, VolumeObject,
    },
};
use crate::{
    dns::facts::Facts as Names,
    migrate::{
        begin::Surroundings,
        journal::{ANNOTATION, Book, Journal, LABEL},
        object,
        volumes::Offer,
        world::{World, annotation, uid},
    },
    orphans::model as disks,
    output::{Error, Exit},
    workload::{Facts, ManagerKind, Pod, Read, Snapshots, StatefulSet, Unread},
};

/// Every object of the input, lists taken apart, in the input's order.
#[derive(Debug, Default)]
pub struct Bundle {
    objects: Vec<Object>,
}

#[derive(Debug)]
struct Object {
    api_version: String,
    kind: String,
    namespace: Option<String>,
    /// File and document, for messages.
    origin: String,
    body: Value,
}

/// A file of the input as it stands there.
#[derive(Clone, Debug)]
pub struct Text {
    /// For messages.
    pub name: String,
    /// Absent for standard input.
    pub path: Option<PathBuf>,
    pub text: String,
}

/// Reads files, folders (their `.yaml`, `.yml` and `.json`, not below) and `-`
/// for standard input.
///
/// # Errors
/// When one cannot be read.
pub fn texts(paths: &[String]) -> Result<Vec<Text>, Error> {
    let mut found = Vec::new();
    for path in paths {
        if path == "-" {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| unreadable("standard input", &error))?;
            found.push(Text { name: "standard input".to_owned(), path: None, text });
        } else {
            add_path(Path::new(path), &mut found)?;
        }
    }
    Ok(found)
}

fn add_path(path: &Path, found: &mut Vec<Text>) -> Result<(), Error> {
    let name = path.display().to_string();
    if !path.is_dir() {
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            // kubectl's sentence.
            std::io::ErrorKind::NotFound => {
                Error::new(Exit::Error, format!("the path \"{name}\" does not exist"))
            }
            _ => unreadable(&name, &error),
        })?;
        found.push(Text { name, path: Some(path.to_owned()), text });
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| unreadable(&name, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| unreadable(&name, &error))?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(file);
        }
    }
    files.sort();
    files.iter().try_for_each(|file| add_path(file, found))
}

/// YAML as Kubernetes reads it: `0644` is octal, `yes` is true.
pub fn yaml() -> serde_saphyr::Options {
    serde_saphyr::options! { legacy_octal_numbers: true }
}

impl Bundle {
    /// Reads files, folders and `-`, as [`texts`] does.
    ///
    /// # Errors
    /// When a file cannot be read or is neither YAML nor JSON.
    pub fn read(paths: &[String]) -> Result<Bundle, Error> {
        let mut bundle = Bundle::default();
        for Text { name, text, .. } in texts(paths)? {
            bundle.add_text(&text, &name)?;
        }
        Ok(bundle)
    }

    /// Adds every document of a YAML stream, or a JSON document.
    ///
    /// # Errors
    /// When it is neither.
    pub fn add_text(&mut self, text: &str, origin: &str) -> Result<(), Error> {
        let documents: Vec<Value> = if text.trim_start().starts_with(['{', '[']) {
            vec![serde_json::from_str(text).map_err(|error| malformed(origin, &error))?]
        } else {
            serde_saphyr::from_multiple_with_options(text, yaml())
                .map_err(|error| malformed(origin, &error))?
        };
        for (index, document) in documents.into_iter().enumerate() {
            self.add_object(document, &format!("{origin}, document {}", index + 1))?;
        }
        Ok(())
    }

    fn add_object(&mut self, mut body: Value, origin: &str) -> Result<(), Error> {
        if body.is_null() {
            return Ok(());
        }
        let word = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(api_version), Some(kind)) = (word("apiVersion"), word("kind")) else {
            return Err(no_object(origin));
        };
        if kind.ends_with("List") && body.get("items").is_some_and(Value::is_array) {
            let Some(Value::Array(items)) = body.get_mut("items").map(Value::take) else {
                return Ok(());
            };
            // Items of a typed list (`PodList`) may leave out what the list
            // says for all of them.
            let item_kind = kind.trim_end_matches("List");
            for (index, mut item) in items.into_iter().enumerate() {
                if let Value::Object(fields) = &mut item
                    && !item_kind.is_empty()
                {
                    fields.entry("apiVersion").or_insert_with(|| api_version.clone().into());
                    fields.entry("kind").or_insert_with(|| item_kind.into());
                }
                self.add_object(item, &format!("{origin}, item {}", index + 1))?;
            }
            return Ok(());
        }
        let namespace = body.pointer("/metadata/namespace").and_then(Value::as_str);
        let namespace = namespace.filter(|namespace| !namespace.is_empty()).map(str::to_owned);
        self.objects.push(Object { api_version, kind, namespace, origin: origin.to_owned(), body });
        Ok(())
    }

    /// What the input says about one set. `namespace` is what the user asked
    /// for; without it, the only set of that name is meant.
    ///
    /// # Errors
    /// When the set is not there, or there are several of that name.
    pub fn facts(&self, name: &str, namespace: Option<&str>) -> Result<Facts, Error> {
        let set = self.set(name, namespace)?;
        let near = self.scope(&set.namespace);
        let mut unread = Vec::new();
        let mut note_absent = |kind: &str, resource: &str, expected: bool| {
            if expected && set.is_live() {
                let why = format!("the input has no {kind}");
                unread.push(Unread { resource: resource.to_owned(), why });
            }
        };
        let pods = near.list::<PodObject, _>("Pod", "v1")?;
        note_absent("Pod", "pods", pods.is_none() && set.replicas > 0);
        let revisions =
            near.list_raw::<RevisionObject>("ControllerRevision", "apps/")?.map(|all| {
                let own = all.into_iter().filter(|revision| revision.belongs_to(&set.uid));
                own.map(Into::into).collect()
            });
        note_absent("ControllerRevision", "controllerrevisions.apps", revisions.is_none());
        let claims = near.list::<ClaimObject, _>("PersistentVolumeClaim", "v1")?;
        let wants_claims = !set.claim_templates.is_empty();
        note_absent(
            "PersistentVolumeClaim",
            "persistentvolumeclaims",
            claims.is_none() && wants_claims && set.replicas > 0,
        );
        let volumes = near.list::<VolumeObject, _>("PersistentVolume", "v1")?;
        let bound =
            claims.iter().flatten().any(|claim: &crate::workload::Claim| claim.volume.is_some());
        note_absent("PersistentVolume", "persistentvolumes", volumes.is_none() && bound);
        let classes = near.list::<ClassObject, _>("StorageClass", "storage.k8s.io/")?;
        let services = near.list::<ServiceObject, _>("Service", "v1")?;
        note_absent("Service", "services", services.is_none() && set.service_name.is_some());
        let events = near.list::<EventObject, _>("Event", "")?;
        let nodes = near.list::<NodeObject, _>("Node", "v1")?;
        let autoscalers = near.autoscalers()?;
        let budgets = near.list::<BudgetObject, _>("PodDisruptionBudget", "policy/")?;
        Ok(Facts {
            set,
            pods,
            revisions,
            claims,
            volumes,
            classes,
            services,
            autoscalers,
            budgets,
            events,
            nodes,
            server_version: None,
            unread,
            flags: String::new(),
        })
    }

    /// What the input says about the names of a set or a Service.
    ///
    /// # Errors
    /// When the set or the Service is not there, or in several namespaces.
    pub fn naming(&self, target: &Target, namespace: Option<&str>) -> Result<Names, Error> {
        let (namespace, sets) = match target {
            Target::Set(name) => {
                let set = self.set(name, namespace)?;
                (set.namespace.clone(), vec![set])
            }
            Target::Service(name) => {
                let namespace = self.namespace_of_service(name, namespace)?;
                let sets = self.scope(&namespace).list::<SetObject, _>("StatefulSet", "apps/")?;
                (namespace, sets.unwrap_or_default())
            }
        };
        let is_live = sets.iter().any(StatefulSet::is_live);
        let near = self.scope(&namespace);
        let mut facts = Names {
            services: near.list::<NamedService, _>("Service", "v1")?,
            slices: near.list::<SliceObject, _>("EndpointSlice", "discovery.k8s.io/")?,
            pods: near.list::<MemberObject, _>("Pod", "v1")?,
            namespace: namespace.clone(),
            ..Names::default()
        };
        let replicas = sets.iter().any(|set| set.replicas > 0);
        for (kind, resource, absent) in [
            ("Service", "services", facts.services.is_none()),
            (
                "EndpointSlice",
                "endpointslices.discovery.k8s.io",
                facts.slices.is_none() && replicas,
            ),
            ("Pod", "pods", facts.pods.is_none() && replicas),
        ] {
            if absent && is_live {
                let why = format!("the input has no {kind}");
                facts.unread.push(Unread { resource: resource.to_owned(), why });
            }
        }
        let selector = naming::aim(&mut facts, target, sets);
        let set = facts.set.clone();
        let service = facts.governing().cloned();
        // The same pods that a cluster would be asked for.
        if let Some(pods) = &mut facts.pods {
            pods.retain(|pod| match (&set, &service) {
                (Some(set), _) => set.selector.matches(&pod.labels),
                (None, Some(service)) => selector.is_some() && service.selects(&pod.labels),
                (None, None) => false,
            });
        }
        for map in self.raw("ConfigMap", "v1").into_iter().flatten() {
            let system = own_namespace(map);
            let Ok(map) = serde_json::from_value::<TextsObject>(map.clone()) else { continue };
            let is_local = map.metadata.name.contains("node-local");
            if !is_local && matches!(&*system, "kube-system" | "openshift-dns") {
                facts.servers.corefiles.extend(naming::texts(map, &system));
            }
        }
        let own = self.objects.iter().filter(|one| one.is("Namespace", "v1"));
        let mut own =
            own.filter(|one| one.body.pointer("/metadata/name").is_some_and(|n| n == &*namespace));
        facts.namespace_labels = own
            .next()
            .map(Object::decode::<LabelledObject>)
            .transpose()?
            .map(LabelledObject::labels);
        Ok(facts)
    }

    /// Where the only Service of this name is.
    fn namespace_of_service(&self, name: &str, wanted: Option<&str>) -> Result<String, Error> {
        let named = |one: &&Object| {
            one.is("Service", "v1")
                && one.body.pointer("/metadata/name").is_some_and(|found| found == name)
                && wanted.is_none_or(|wanted| one.in_namespace(wanted))
        };
        let found: Vec<&Object> = self.objects.iter().filter(named).collect();
        match found.as_slice() {
            [] => Err(Error::new(Exit::Error, format!("the input has no Service \"{name}\""))),
            [one] => Ok(one
                .namespace
                .clone()
                .or(wanted.map(str::to_owned))
                .unwrap_or("default".to_owned())),
            several => Err(Error::usage(format!(
                "the input has {} Services named \"{name}\"",
                several.len()
            ))
            .hint("name the namespace with -n")),
        }
    }

    /// Adds an object as a server gives it.
    ///
    /// # Errors
    /// When it has no apiVersion and kind.
    pub fn add(&mut self, body: Value) -> Result<(), Error> {
        self.add_object(body, "the input")
    }

    /// What the input says around the Deployments that are to be moved. Of a
    /// dump, what a plan cannot do without and is not there is in
    /// [`Surroundings::unread`].
    ///
    /// # Errors
    /// When they are in several namespaces and none was named, or an object
    /// is none of its kind.
    pub fn surroundings(
        &self,
        members: &[String],
        namespace: Option<&str>,
        volumes: bool,
    ) -> Result<Surroundings, Error> {
        let namespace = match namespace {
            Some(namespace) => namespace,
            None => self.namespace_of(members)?,
        };
        let near = self.scope(namespace);
        let around = |object: &&Object| {
            object.in_namespace(namespace) && moving::is_around(&object.api_version, &object.kind)
        };
        let objects: Vec<Value> =
            self.objects.iter().filter(around).map(|object| object.body.clone()).collect();
        let live = |wanted: &str| {
            let mut all = objects.iter();
            all.any(|one| object::kind(one) == wanted && !uid(one).is_empty())
        };
        let is_dump = live("Deployment");
        let mut unread = Vec::new();
        let mut note_absent = |kind: &str, resource: &str| {
            let why = format!("the input has no {kind}");
            unread.push(Unread { resource: resource.to_owned(), why });
        };
        let pods = near.list::<PodObject, _>("Pod", "v1")?;
        if is_dump && pods.is_none() {
            note_absent("Pod", "pods");
        }
        // Without them nobody knows whose a pod is.
        let owners = live("ReplicaSet");
        if is_dump && !owners {
            note_absent("ReplicaSet", "replicasets.apps");
        }
        let found = self.raw("PersistentVolume", "v1");
        if volumes && live("PersistentVolumeClaim") && found.is_none() {
            note_absent("PersistentVolume", "persistentvolumes");
        }
        let found = found.into_iter().flatten().cloned();
        Ok(Surroundings {
            namespace: namespace.to_owned(),
            pods: pods.filter(|_| owners).unwrap_or_default(),
            volumes: found.map(|volume| (object::name(&volume).to_owned(), volume)).collect(),
            nodes: self.raw("Node", "v1").into_iter().flatten().cloned().collect(),
            offer: self.offer()?,
            objects,
            unread,
        })
    }

    /// What the storage of the dump can do, as far as it says so.
    fn offer(&self) -> Result<Offer, Error> {
        let all = |kind: &str, api: &str| -> Option<Vec<Value>> {
            self.raw(kind, api).map(|found| found.cloned().collect())
        };
        Ok(Offer {
            classes: all("StorageClass", "storage.k8s.io/"),
            snapshots: self
                .scope("")
                .list::<SnapshotClassObject, _>("VolumeSnapshotClass", "snapshot.storage.k8s.io/")?
                .map_or(Snapshots::Absent, Snapshots::Classes),
        })
    }

    /// The one namespace in which these Deployments are.
    fn namespace_of(&self, members: &[String]) -> Result<&str, Error> {
        let named = |object: &&Object| {
            object::is_deployment(&object.body)
                && members.iter().any(|member| member == object::name(&object.body))
        };
        let all: BTreeSet<&str> =
            self.objects.iter().filter(named).filter_map(|one| one.namespace.as_deref()).collect();
        if all.len() > 1 {
            let names: Vec<&str> = all.into_iter().collect();
            let message =
                format!("the input has such Deployments in the namespaces {}", names.join(", "));
            return Err(Error::usage(message).hint("name the namespace with -n"));
        }
        Ok(all.first().copied().unwrap_or("default"))
    }

    /// What the input says about claims and volumes. A kind that it has nothing
    /// of is as good as not read, unless it is known to be `complete`.
    ///
    /// # Errors
    /// When an object is none of its kind.
    pub fn disks(&self, namespace: Option<&str>, complete: bool) -> Result<disks::Facts, Error> {
        let kinds = [
            (disks::Kind::Claim, "v1", true),
            (disks::Kind::Volume, "v1", true),
            (disks::Kind::Pod, "v1", true),
            (disks::Kind::StatefulSet, "apps/", true),
            (disks::Kind::Deployment, "apps/", true),
            (disks::Kind::ReplicaSet, "apps/", true),
            (disks::Kind::ReplicationController, "v1", true),
            (disks::Kind::DaemonSet, "apps/", true),
            (disks::Kind::Job, "batch/", true),
            (disks::Kind::CronJob, "batch/", true),
            (disks::Kind::Autoscaler, "autoscaling/", true),
            // Where there is KEDA, its HPAs say the same; and attachments only
            // ever say that something is in use.
            (disks::Kind::ScaledObject, "keda.sh/", false),
            (disks::Kind::Attachment, "storage.k8s.io/", false),
        ];
        let mut facts =
            disks::Facts { namespace: namespace.map(Into::into), ..disks::Facts::default() };
        let mut pool = Pool::default();
        for (kind, api, decides) in kinds {
            let mut found = self.objects.iter().filter(|one| one.is(kind.name(), api)).peekable();
            if found.peek().is_none() && decides && !complete {
                facts.note_missing(kind, format!("the input has no {}", kind.name()));
            }
            let here = |object: &&Object| {
                let cluster_wide = matches!(kind, disks::Kind::Volume | disks::Kind::Attachment);
                cluster_wide || namespace.is_none_or(|wanted| object.in_namespace(wanted))
            };
            for object in found.filter(here) {
                let decoded: DiskObject = object.decode()?;
                let item = decoded.into_item(kind, namespace.unwrap_or("default"), &mut pool);
                item.join(&mut facts);
            }
        }
        Ok(facts)
    }

    /// The journals of migrations, of one namespace or of all.
    pub fn journals(&self, namespace: Option<&str>) -> Vec<Value> {
        let is_journal = |body: &&Value| {
            let labels = body.pointer("/metadata/labels");
            labels.and_then(|labels| labels.get(LABEL)).is_some()
        };
        let here = |object: &&Object| namespace.is_none_or(|wanted| object.in_namespace(wanted));
        let all = self.objects.iter().filter(here).filter(|object| object.is("ConfigMap", "v1"));
        all.map(|object| &object.body).filter(is_journal).cloned().collect()
    }

    /// Volumes that bear the mark of a migration.
    pub fn marked_volumes(&self) -> Vec<Value> {
        let volumes = self.raw("PersistentVolume", "v1").into_iter().flatten();
        volumes.filter(|volume| annotation(volume, ANNOTATION).is_some()).cloned().collect()
    }

    /// The objects of one migration, and what of them the input cannot say
    /// because it has nothing of their kind.
    ///
    /// # Errors
    /// When an object is none of its kind.
    pub fn world(&self, journal: &Journal) -> Result<(World, Vec<Unread>), Error> {
        let near = self.scope(&journal.namespace);
        let mut unread = Vec::new();
        let mut of_kind = |kind: &str, resource: Resource, api: &str, wanted: bool| {
            let found = near.bodies(kind, api);
            if found.is_none() && wanted {
                let dot = if resource.group.is_empty() { "" } else { "." };
                unread.push(Unread {
                    resource: format!("{}{dot}{}", resource.plural, resource.group),
                    why: format!("the input has no {kind}"),
                });
            }
            found.into_iter().flatten().map(|body| (object::name(body).to_owned(), body.clone()))
        };
        let disks = !journal.disks.is_empty();
        let mut world = World {
            deployments: of_kind("Deployment", Resource::DEPLOYMENT, "apps/", true).collect(),
            claims: of_kind("PersistentVolumeClaim", Resource::CLAIM, "v1", disks).collect(),
            volumes: of_kind("PersistentVolume", Resource::VOLUME, "v1", disks).collect(),
            ..World::default()
        };
        let mut one = |kind: &str, resource: Resource, api: &str, name: &str, wanted: bool| {
            of_kind(kind, resource, api, wanted).find(|found| found.0 == name).map(|found| found.1)
        };
        let set = journal.set_name();
        world.set = one("StatefulSet", Resource::STATEFUL_SET, "apps/", set, false);
        world.service = one("Service", Resource::SERVICE, "v1", journal.service_name(), false);
        let book = one("ConfigMap", Resource::CONFIG_MAP, "v1", &journal.book_name(), false);
        world.book = book.and_then(|book| Book::of(&book).ok());
        for scaler in &journal.scalers {
            let resource = scaler.kind.resource();
            let name = &scaler.target.name;
            let api = format!("{}/", resource.group);
            if let Some(found) = one(scaler.kind.api_name(), resource, &api, name, true) {
                world.scalers.insert((resource.plural, name.clone()), found);
            }
        }
        let pods = near.list::<PodObject, Pod>("Pod", "v1")?;
        world.pods = pods.unwrap_or_default();
        let attachments =
            near.list_raw::<moving::Attachment>("VolumeAttachment", "storage.k8s.io/")?;
        world.attachments = attachments.map(moving::by_volume);
        Ok((world, unread))
    }

    /// The objects of a kind in all namespaces; `None` when there are none.
    fn raw(&self, kind: &str, api: &str) -> Option<impl Iterator<Item = &Value>> {
        let mut found = self.objects.iter().filter(move |one| one.is(kind, api)).peekable();
        found.peek()?;
        Some(found.map(|object| &object.body))
    }

    fn set(&self, name: &str, namespace: Option<&str>) -> Result<StatefulSet, Error> {
        let mut found: Vec<StatefulSet> = Vec::new();
        for object in self.objects.iter().filter(|object| object.is("StatefulSet", "apps/")) {
            let named = object.body.pointer("/metadata/name").and_then(Value::as_str) == Some(name);
            let here = namespace.is_none_or(|wanted| object.in_namespace(wanted));
            if named && here {
                let mut set = StatefulSet::from(object.decode::<SetObject>()?);
                if set.namespace.is_empty() {
                    namespace.unwrap_or("default").clone_into(&mut set.namespace);
                }
                found.push(set);
            }
        }
        match (found.len(), found.pop()) {
            (1, Some(set)) => Ok(set),
            (0, _) => Err(Error::with_headline(
                Exit::Error,
                format!("error: the input has no StatefulSet \"{name}\"{}", self.known_sets()),
            )),
            (several, _) => {
                Err(Error::usage(format!("the input has {several} StatefulSets named \"{name}\""))
                    .hint("name the namespace with -n"))
            }
        }
    }

    fn known_sets(&self) -> String {
        let names: Vec<&str> = self
            .objects
            .iter()
            .filter(|object| object.is("StatefulSet", "apps/"))
            .filter_map(|object| object.body.pointer("/metadata/name").and_then(Value::as_str))
            .collect();
        if names.is_empty() { String::new() } else { format!(" (it has: {})", names.join(", ")) }
    }

    fn scope<'a>(&'a self, namespace: &'a str) -> Scope<'a> {
        Scope { bundle: self, namespace }
    }
}

/// The namespace that an object is in.
fn own_namespace(object: &Value) -> String {
    object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The objects that one namespace sees: its own and the cluster's.
struct Scope<'a> {
    bundle: &'a Bundle,
    namespace: &'a str,
}

impl Scope<'_> {
    /// The objects of a kind; `None` when the input holds none at all, from
    /// which nothing may be concluded.
    fn list<W, T>(&self, kind: &str, api: &str) -> Result<Read<T>, Error>
    where
        W: DeserializeOwned + Into<T>,
    {
        Ok(self.list_raw::<W>(kind, api)?.map(|all| all.into_iter().map(Into::into).collect()))
    }

    fn list_raw<W: DeserializeOwned>(&self, kind: &str, api: &str) -> Result<Read<W>, Error> {
        let mut of_kind =
            self.bundle.objects.iter().filter(|object| object.is(kind, api)).peekable();
        if of_kind.peek().is_none() {
            return Ok(None);
        }
        of_kind
            .filter(|object| object.in_namespace(self.namespace))
            .map(Object::decode)
            .collect::<Result<Vec<W>, Error>>()
            .map(Some)
    }

    /// The same, as they stand there.
    fn bodies(&self, kind: &str, api: &str) -> Option<Vec<&Value>> {
        let mut of_kind =
            self.bundle.objects.iter().filter(|object| object.is(kind, api)).peekable();
        of_kind.peek()?;
        let here = of_kind.filter(|object| object.in_namespace(self.namespace));
        Some(here.map(|object| &object.body).collect())
    }

    fn autoscalers(&self) -> Result<Read<crate::workload::Autoscaler>, Error> {
        let kinds = [
            ("HorizontalPodAutoscaler", "autoscaling/", ManagerKind::HorizontalPodAutoscaler),
            ("VerticalPodAutoscaler", "autoscaling.k8s.io/", ManagerKind::VerticalPodAutoscaler),
            ("ScaledObject", "keda.sh/", ManagerKind::ScaledObject),
        ];
        let mut all = None;
        for (kind, api, manager) in kinds {
            if let Some(objects) = self.list_raw::<AutoscalerObject>(kind, api)? {
                let objects = objects.into_iter().map(|object| object.into_autoscaler(manager));
                all.get_or_insert_with(Vec::new).extend(objects);
            }
        }
        Ok(all)
    }
}

impl Object {
    /// Whether it is of this kind and API; an API that ends in a slash stands
    /// for all its versions.
    fn is(&self, kind: &str, api: &str) -> bool {
        self.kind == kind
            && (self.api_version == api
                || (api.ends_with('/') && self.api_version.starts_with(api))
                || api.is_empty())
    }

    /// Objects without namespace belong to whichever namespace they would be
    /// applied to, or to the cluster.
    fn in_namespace(&self, wanted: &str) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| namespace == wanted)
    }

    fn decode<W: DeserializeOwned>(&self) -> Result<W, Error> {
        serde_json::from_value(self.body.clone())
            .map_err(|error| malformed(&format!("{} ({})", self.origin, self.kind), &error))
    }
}

/// A document without apiVersion and kind.
pub fn no_object(origin: &str) -> Error {
    Error::new(
        Exit::Error,
        format!("{origin} is no Kubernetes object: it has no apiVersion and kind"),
    )
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    Error::new(Exit::Error, format!("cannot read {name}: {error}"))
}

/// A document that cannot be read as an object.
pub fn malformed(origin: &str, error: &dyn std::error::Error) -> Error {
    Error::new(Exit::Error, format!("cannot understand {origin}: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mode_that_begins_with_a_zero_is_octal() {
        let mut bundle = Bundle::default();
        let text =
            "apiVersion: v1\nkind: Pod\nmode: 0644\nworks: yes\n---\n{apiVersion: v1, kind: Pod}";
        bundle.add_text(text, "test").expect("two objects");
        assert_eq!(bundle.objects[0].body["mode"], json!(0o644));
        assert_eq!(bundle.objects[0].body["works"], json!(true));
        assert_eq!(bundle.objects.len(), 2);
    }
}
