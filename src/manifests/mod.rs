//! Objects from files instead of a cluster: manifests, or the output of
//! `kubectl get -o yaml|json`. The same planners run on both.

mod stream;

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

pub use stream::{Seen, each};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    cluster::{
        self, Resource,
        objects::{
            AnyObject, AttachmentObject, AutoscalerObject, BudgetObject, ClaimObject, ClassObject,
            EventObject, NodeObject, PodObject, QuotaObject, RevisionObject, ServiceObject,
            SetObject, VolumeObject,
        },
        read::AUTOSCALERS,
    },
    output::{Error, Exit},
    workload::{
        Facts, Pod, Read, StatefulSet, Unread,
        raw::{name, newest_time, text},
    },
};

/// All objects of the input in order, with lists expanded.
#[derive(Debug, Default)]
pub struct Bundle {
    objects: Vec<Object>,
    /// The kinds that the input has a list of (`PodList`), even if it is empty: they
    /// were read.
    listed: Vec<Listed>,
}

/// A kind of which the input has a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    api_version: String,
    kind: String,
}

impl Listed {
    /// `None` for a list of anything, which is what kubectl writes.
    fn of(api_version: &str, list_kind: &str) -> Option<Listed> {
        let kind = list_kind.strip_suffix("List").filter(|kind| !kind.is_empty())?;
        Some(Listed { api_version: api_version.to_owned(), kind: kind.to_owned() })
    }

    /// Whether it is a list of this kind, in any version of the API.
    pub fn is(&self, kind: Resource) -> bool {
        kind.is_of(&self.api_version, &self.kind)
    }
}

/// An object and where it comes from.
#[derive(Debug)]
pub struct Object {
    api_version: String,
    kind: String,
    pub namespace: Option<String>,
    /// File and document, for messages.
    origin: String,
    pub body: Value,
}

/// A file of the input, unparsed.
#[derive(Clone, Debug)]
pub struct Text {
    /// For messages.
    pub name: String,
    /// Absent for standard input.
    pub path: Option<PathBuf>,
    pub text: String,
}

/// Reads files, folders (their `.yaml`, `.yml` and `.json` files, without
/// subfolders) and `-` for standard input.
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
            // kubectl's message.
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

    /// Adds an item of a list of this kind. Those of a typed list (`PodList`) may omit
    /// apiVersion and kind.
    fn add_item(
        &mut self,
        mut item: Value,
        api_version: &str,
        list_kind: &str,
        origin: &str,
    ) -> Result<(), Error> {
        let item_kind = list_kind.trim_end_matches("List");
        if let Value::Object(fields) = &mut item
            && !item_kind.is_empty()
        {
            fields.entry("apiVersion").or_insert_with(|| api_version.into());
            fields.entry("kind").or_insert_with(|| item_kind.into());
        }
        self.add_object(item, origin)
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
            self.listed.extend(Listed::of(&api_version, &kind));
            for (index, item) in items.into_iter().enumerate() {
                let origin = format!("{origin}, item {}", index + 1);
                self.add_item(item, &api_version, &kind, &origin)?;
            }
            return Ok(());
        }
        let namespace = text(&body, "/metadata/namespace");
        let namespace = namespace.filter(|namespace| !namespace.is_empty()).map(str::to_owned);
        self.objects.push(Object { api_version, kind, namespace, origin: origin.to_owned(), body });
        Ok(())
    }

    /// The facts about one set. Without a namespace from the user, the name must
    /// be unique in the input.
    ///
    /// # Errors
    /// When the set is missing, or there are several with that name.
    pub fn facts(&self, name: &str, namespace: Option<&str>) -> Result<Facts, Error> {
        let set = self.set(name, namespace)?;
        let near = self.scope(&set.namespace);
        let mut unread = Vec::new();
        let mut note_absent = |kind: Resource, expected: bool| {
            if expected && set.is_live() {
                unread.push(absent(kind));
            }
        };
        let pods = near.list::<PodObject, Pod>(Resource::POD)?;
        note_absent(Resource::POD, pods.is_none() && set.replicas > 0);
        let revisions = near.list_raw::<RevisionObject>(Resource::REVISION)?;
        let revisions = revisions.map(|all| RevisionObject::of_set(all, &set.uid));
        note_absent(Resource::REVISION, revisions.is_none());
        let claims = near.list::<ClaimObject, _>(Resource::CLAIM)?;
        let wants_claims = !set.claim_templates.is_empty();
        note_absent(Resource::CLAIM, claims.is_none() && wants_claims && set.replicas > 0);
        let volumes = near.list::<VolumeObject, _>(Resource::VOLUME)?;
        let bound =
            claims.iter().flatten().any(|claim: &crate::workload::Claim| claim.volume.is_some());
        note_absent(Resource::VOLUME, volumes.is_none() && bound);
        let classes = near.list::<ClassObject, _>(Resource::STORAGE_CLASS)?;
        let services = near.list::<ServiceObject, _>(Resource::SERVICE)?;
        note_absent(Resource::SERVICE, services.is_none() && set.service_name.is_some());
        let events = near.list::<EventObject, _>(Resource::EVENT)?;
        let nodes = near.list::<NodeObject, _>(Resource::NODE)?;
        let attachments = near.list_raw::<AttachmentObject>(Resource::ATTACHMENT)?;
        let attachments = attachments.map(|all| all.into_iter().filter_map(Into::into).collect());
        let quotas = near.list::<QuotaObject, _>(Resource::QUOTA)?;
        let autoscalers = near.autoscalers()?;
        let budgets = near.list::<BudgetObject, _>(Resource::BUDGET)?;
        let namespace_deleting = self.namespace_deleting(&set.namespace)?;
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
            attachments,
            quotas,
            namespace_deleting,
            server_version: None,
            unread,
            flags: String::new(),
        })
    }

    /// When this namespace was deleted, if the input has it and it is going.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn namespace_deleting(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let mut all = self.all(Resource::NAMESPACE).into_iter().flatten();
        let Some(object) = all.find(|one| one.name() == name) else { return Ok(None) };
        Ok(object.decode::<AnyObject>()?.metadata.deletion_timestamp)
    }

    /// Adds an object as a server sends it.
    ///
    /// # Errors
    /// When it has no apiVersion and kind.
    pub fn add(&mut self, body: Value) -> Result<(), Error> {
        self.add_object(body, "the input")
    }

    /// All objects, in the order of the input.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter()
    }

    /// The objects of a kind in all namespaces; `None` if the input has none and no
    /// list of them.
    pub fn all(&self, kind: Resource) -> Option<impl Iterator<Item = &Object>> {
        let mut found = self.objects.iter().filter(move |one| one.is(kind)).peekable();
        let was_read = found.peek().is_some() || self.listed.iter().any(|list| list.is(kind));
        was_read.then_some(found)
    }

    /// The same, as raw objects.
    pub fn bodies(&self, kind: Resource) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |one| one.is(kind)).map(|object| &object.body)
    }

    /// All objects in a namespace, and those that are cluster-scoped.
    pub fn seen_from<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(move |object| object.in_namespace(namespace))
    }

    /// The only set with this name.
    ///
    /// # Errors
    /// When it is missing, or there are several with that name.
    pub fn set(&self, name: &str, namespace: Option<&str>) -> Result<StatefulSet, Error> {
        let mut found: Vec<StatefulSet> = Vec::new();
        for object in self.objects.iter().filter(|object| object.is(Resource::STATEFUL_SET)) {
            let named = object.name() == name;
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
                format!(
                    "error: the input has no StatefulSet \"{name}\"{}{}",
                    namespace.map(|here| format!(" in namespace \"{here}\"")).unwrap_or_default(),
                    self.known_sets()
                ),
            )),
            (several, _) => {
                Err(Error::usage(format!("the input has {several} StatefulSets named \"{name}\""))
                    .hint("name the namespace with -n"))
            }
        }
    }

    fn known_sets(&self) -> String {
        let sets = self.objects.iter().filter(|object| object.is(Resource::STATEFUL_SET));
        let names: Vec<String> = sets
            .filter(|object| !object.name().is_empty())
            .map(|object| match &object.namespace {
                Some(namespace) => format!("{namespace}/{}", object.name()),
                None => object.name().to_owned(),
            })
            .collect();
        if names.is_empty() { String::new() } else { format!(" (it has: {})", names.join(", ")) }
    }

    /// The newest time at which the objects say that something happened: about
    /// when they were read from a cluster. Manifests have none.
    pub fn newest_time(&self) -> Option<Timestamp> {
        self.objects.iter().filter_map(|object| newest_time(&object.body)).max()
    }

    /// The view from one namespace.
    pub fn scope<'a>(&'a self, namespace: &'a str) -> Scope<'a> {
        Scope { bundle: self, namespace }
    }
}

/// The objects in one namespace, and those that are cluster-scoped.
pub struct Scope<'a> {
    bundle: &'a Bundle,
    namespace: &'a str,
}

impl<'a> Scope<'a> {
    /// The objects of a kind; `None` if the input has none in any namespace:
    /// then nothing is concluded from their absence.
    ///
    /// # Errors
    /// When an object cannot be decoded.
    pub fn list<W, T>(&self, kind: Resource) -> Result<Read<T>, Error>
    where
        W: DeserializeOwned + Into<T>,
    {
        Ok(self.list_raw::<W>(kind)?.map(|all| all.into_iter().map(Into::into).collect()))
    }

    /// The same, before conversion to `workload` types.
    ///
    /// # Errors
    /// When an object cannot be decoded.
    pub fn list_raw<W: DeserializeOwned>(&self, kind: Resource) -> Result<Read<W>, Error> {
        let decoded = |all: Vec<&Object>| all.into_iter().map(Object::decode).collect();
        self.objects(kind).map(decoded).transpose()
    }

    /// The same, as raw objects.
    pub fn bodies(&self, kind: Resource) -> Option<Vec<&'a Value>> {
        self.objects(kind).map(|all| all.into_iter().map(|object| &object.body).collect())
    }

    /// One raw object.
    pub fn find(&self, wanted: &cluster::Object) -> Option<&'a Value> {
        let all = self.objects(wanted.resource)?;
        all.into_iter().find(|object| object.name() == wanted.name).map(|object| &object.body)
    }

    fn objects(&self, kind: Resource) -> Option<Vec<&'a Object>> {
        let here = |object: &&Object| object.in_namespace(self.namespace);
        self.bundle.all(kind).map(|all| all.filter(here).collect())
    }

    fn autoscalers(&self) -> Result<Read<crate::workload::Autoscaler>, Error> {
        let mut all = None;
        for (manager, kind) in AUTOSCALERS {
            if let Some(objects) = self.list_raw::<AutoscalerObject>(kind)? {
                let objects = objects.into_iter().map(|object| object.into_autoscaler(manager));
                all.get_or_insert_with(Vec::new).extend(objects);
            }
        }
        Ok(all)
    }
}

impl Object {
    /// Whether it is of this kind, in any version of the API. Events are in two
    /// API groups.
    pub fn is(&self, kind: Resource) -> bool {
        kind.is_of(&self.api_version, &self.kind)
            || (kind == Resource::EVENT && self.kind == kind.kind)
    }

    pub fn name(&self) -> &str {
        name(&self.body)
    }

    /// Its API group; empty for the first one.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether it is of one of these kinds.
    pub fn is_one_of(&self, known: impl Fn(&str, &str) -> bool) -> bool {
        known(&self.api_version, &self.kind)
    }

    /// Whether it is in a namespace. Objects without one are cluster-scoped, or
    /// would be applied to any namespace.
    pub fn in_namespace(&self, wanted: &str) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| namespace == wanted)
    }

    /// Decodes the object.
    ///
    /// # Errors
    /// When it does not have the form of its kind.
    pub fn decode<W: DeserializeOwned>(&self) -> Result<W, Error> {
        serde_json::from_value(self.body.clone())
            .map_err(|error| malformed(&format!("{} ({})", self.origin, self.kind), &error))
    }
}

/// Reports a kind that the input lacks: it is unread, not empty.
pub fn absent(kind: Resource) -> Unread {
    Unread { resource: kind.name(), why: format!("the input has no {}", kind.kind) }
}

/// The error for a document without apiVersion and kind.
pub fn no_object(origin: &str) -> Error {
    Error::new(
        Exit::Error,
        format!("{origin} is not a Kubernetes object: it has no apiVersion and kind"),
    )
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    Error::new(Exit::Error, format!("cannot read {name}: {error}"))
}

/// The error for a document that cannot be parsed.
pub fn malformed(origin: &str, error: &dyn std::error::Error) -> Error {
    Error::new(Exit::Error, format!("cannot parse {origin}: {error}"))
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
