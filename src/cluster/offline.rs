//! Objects from files instead of a cluster: manifests, or what `kubectl get
//! -o yaml|json` printed. The same planners run on both.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::objects::{
    AutoscalerObject, BudgetObject, ClaimObject, ClassObject, EventObject, NodeObject, PodObject,
    RevisionObject, ServiceObject, SetObject, VolumeObject,
};
use crate::{
    output::{Error, Exit},
    workload::{Facts, ManagerKind, Read, StatefulSet, Unread},
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
            serde_saphyr::from_multiple(text).map_err(|error| malformed(origin, &error))?
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
