//! What is to change in the pod template, as one strategic merge patch, and
//! how two templates differ. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::strategic::{self, Merge, Place};
use crate::{
    cluster::offline,
    completion,
    output::{Error, Exit},
    workload::{self, same_quantity},
};

/// The annotation that `kubectl rollout restart` sets.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// As much of a value as a line of a diff shows.
const SHOWN: usize = 200;

/// What is to change in the pod template.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Change")]
pub struct ChangeArgs {
    /// Give a container another image; may be repeated. *=IMAGE means all containers, init
    /// containers too; IMAGE alone is enough where there is one container
    #[arg(long, value_name = "CONTAINER=IMAGE", add = completion::containers())]
    pub image: Vec<String>,

    /// Set a variable, or remove it with NAME-; may be repeated. Without CONTAINER: in all
    /// containers but init containers
    #[arg(long, value_name = "[CONTAINER:]NAME=VALUE")]
    pub env: Vec<String>,

    /// Set limits and requests, such as limits.cpu=1,requests.memory=2Gi; may be repeated. Without
    /// CONTAINER: in all containers but init containers
    #[arg(long, value_name = "[CONTAINER:]LIST")]
    pub set_resources: Vec<String>,

    /// Make every pod anew from the same template, as kubectl rollout restart does
    #[arg(long)]
    pub restart: bool,

    /// Take the change from a file, or - for stdin: a strategic merge patch of the StatefulSet,
    /// YAML or JSON, with nothing but spec.template in it
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        conflicts_with_all = ["image", "env", "set_resources", "restart"]
    )]
    pub patch_file: Option<String>,

    /// Take the change that somebody else applied while the partition held it back
    #[arg(
        long,
        conflicts_with_all = ["image", "env", "set_resources", "restart", "patch_file"]
    )]
    pub adopt: bool,
}

/// Why there is no patch.
#[derive(Debug)]
pub enum Refused {
    /// A flag names a container that the template does not have.
    UnknownContainer { flag: &'static str, container: String, known: Vec<String> },
    /// A flag's value, or the file behind it, is not of its form.
    Malformed { flag: &'static str, value: String, why: String },
    /// The patch changes more than the template; these are the paths. A
    /// canary can take back nothing else.
    ForbiddenFields(Vec<String>),
    /// The patch file cannot be read.
    Unreadable(Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::UnknownContainer { flag, container, known } => write!(
                f,
                "{flag} names the container {container:?}, and the template has {}",
                known.join(", ")
            ),
            Refused::Malformed { flag, value, why } => {
                write!(f, "invalid value {value:?} for {flag}: {why}")
            }
            Refused::ForbiddenFields(paths) => {
                write!(f, "the patch changes more than spec.template: {}", paths.join(", "))
            }
            Refused::Unreadable(error) => f.write_str(error.headline()),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::Unreadable(error) => error,
            Refused::ForbiddenFields(_) => Error::new(Exit::Refused, refused),
            _ => Error::usage(refused),
        }
    }
}

impl ChangeArgs {
    /// Whether nothing was asked for: no change, and none to adopt.
    pub fn is_empty(&self) -> bool {
        self.image.is_empty()
            && self.env.is_empty()
            && self.set_resources.is_empty()
            && !self.restart
            && self.patch_file.is_none()
            && !self.adopt
    }

    /// With the patch file, where one is named: read once, because stdin cannot
    /// be read again.
    ///
    /// # Errors
    /// [`Refused`], where it cannot be read or is no patch of a StatefulSet.
    pub fn read(
        &self,
        read_file: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<Change<'_>, Refused> {
        let file = self.patch_file.as_deref().map(|file| PatchFile::read(file, read_file));
        Ok(Change { flags: self, file: file.transpose()? })
    }

    /// What the flags want of the template.
    fn template(&self, template: &Value, now: Timestamp) -> Result<Map<String, Value>, Refused> {
        let containers = Containers::of(template);
        let mut edits: BTreeMap<&str, Edit<'_>> = BTreeMap::new();
        for (name, image) in images(&self.image, &containers)? {
            edits.entry(name).or_default().image = Some(image);
        }
        for flag in &self.env {
            let (container, name, value) = variable(flag)?;
            for container in containers.meant("--env", container)? {
                let env = &mut edits.entry(container).or_default().env;
                env.retain(|(other, _)| *other != name);
                env.push((name, value));
            }
        }
        for flag in &self.set_resources {
            let (container, amounts) = resources(flag)?;
            for container in containers.meant("--set-resources", container)? {
                edits.entry(container).or_default().amounts.extend(amounts.iter().copied());
            }
        }
        let mut changed = Map::new();
        if self.restart {
            let annotations = json!({ RESTARTED_AT: format!("{now:.0}") });
            changed.insert("metadata".to_owned(), json!({ "annotations": annotations }));
        }
        let mut spec = Map::new();
        // A merged list takes the order of the patch, so that is the template's.
        for (field, init) in [("initContainers", true), ("containers", false)] {
            let here = containers.0.iter().filter(|container| container.init == init);
            let edited: Vec<Value> =
                here.filter_map(|container| edits.get(container.name)?.patch(container)).collect();
            if !edited.is_empty() {
                spec.insert(field.to_owned(), Value::Array(edited));
            }
        }
        if !spec.is_empty() {
            changed.insert("spec".to_owned(), Value::Object(spec));
        }
        Ok(changed)
    }
}

/// What is to change, with what stands in the patch file.
#[derive(Debug)]
pub struct Change<'a> {
    pub flags: &'a ChangeArgs,
    file: Option<PatchFile<'a>>,
}

impl Change<'_> {
    /// Whether a patch file is about this set; its namespace counts where it
    /// is known.
    ///
    /// # Errors
    /// [`Refused::Malformed`], where it names another object.
    pub fn is_for(&self, set: &str, namespace: Option<&str>) -> Result<(), Refused> {
        let Some(file) = &self.file else { return Ok(()) };
        file.says("/metadata/name", set)?;
        namespace.map_or(Ok(()), |namespace| file.says("/metadata/namespace", namespace))
    }

    /// The body of the patch, `{"spec":{"template":{…}}}`, without metadata.
    /// `template` is the set's `spec.template` as it is now; a template that
    /// has what is asked for already stays as it is, but for `--restart`.
    ///
    /// # Errors
    /// [`Refused`]; also where the server would refuse to merge it.
    pub fn patch(&self, template: &Value, now: Timestamp) -> Result<Map<String, Value>, Refused> {
        let changed = match &self.file {
            Some(file) => file.template(template)?,
            None => self.flags.template(template, now)?,
        };
        let spec = Map::from_iter([("template".to_owned(), Value::Object(changed))]);
        Ok(Map::from_iter([("spec".to_owned(), Value::Object(spec))]))
    }
}

/// What stands in a patch file.
#[derive(Debug)]
struct PatchFile<'a> {
    file: &'a str,
    patch: Value,
}

impl<'a> PatchFile<'a> {
    fn read(
        file: &'a str,
        read_file: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<PatchFile<'a>, Refused> {
        let text = read_file(file).map_err(Refused::Unreadable)?;
        let documents: Vec<Value> = match serde_json::from_str(&text) {
            Ok(document) => vec![document],
            Err(_) => serde_saphyr::from_multiple_with_options(&text, offline::yaml())
                .map_err(|error| malformed(file, error.to_string()))?,
        };
        let mut documents = documents.into_iter().filter(|document| !document.is_null());
        let (Some(patch @ Value::Object(_)), None) = (documents.next(), documents.next()) else {
            return Err(malformed(file, "it is not one mapping"));
        };
        let read = PatchFile { file, patch };
        read.says("/apiVersion", "apps/v1")?;
        read.says("/kind", "StatefulSet")?;
        Ok(read)
    }

    /// A field that names the object says this, where it is there.
    fn says(&self, field: &str, expected: &str) -> Result<(), Refused> {
        if self.patch.pointer(field).is_none_or(|value| value == expected) {
            return Ok(());
        }
        let path = field.trim_start_matches('/').replace('/', ".");
        Err(malformed(self.file, format!("its {path} is not {expected}")))
    }

    /// What it wants of the template.
    fn template(&self, template: &Value) -> Result<Map<String, Value>, Refused> {
        let forbidden = forbidden_fields(&self.patch);
        if !forbidden.is_empty() {
            return Err(Refused::ForbiddenFields(forbidden));
        }
        let Some(Value::Object(changed)) = self.patch.pointer("/spec/template") else {
            return Err(malformed(self.file, "it has no mapping spec.template"));
        };
        strategic::merge(template, changed)
            .map_err(|why| malformed(self.file, format!("it {why}")))?;
        Ok(changed.clone())
    }
}

fn malformed(file: &str, why: impl Into<String>) -> Refused {
    Refused::Malformed { flag: "--patch-file", value: file.to_owned(), why: why.into() }
}

/// The containers of a template, init containers first.
struct Containers<'a>(Vec<Container<'a>>);

struct Container<'a> {
    name: &'a str,
    init: bool,
    body: &'a Value,
}

impl<'a> Containers<'a> {
    fn of(template: &'a Value) -> Containers<'a> {
        let list = |field: &str, init: bool| {
            let list = template.pointer(field).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(move |body| {
                Some(Container { name: body.get("name")?.as_str()?, init, body })
            })
        };
        Containers(
            list("/spec/initContainers", true).chain(list("/spec/containers", false)).collect(),
        )
    }

    fn named(&self, flag: &'static str, name: &str) -> Result<&'a str, Refused> {
        let found = self.0.iter().find(|container| container.name == name);
        found.map(|container| container.name).ok_or_else(|| Refused::UnknownContainer {
            flag,
            container: name.to_owned(),
            known: self.0.iter().map(|container| container.name.to_owned()).collect(),
        })
    }

    /// The named container, or all that are not init containers.
    fn meant(&self, flag: &'static str, name: Option<&str>) -> Result<Vec<&'a str>, Refused> {
        match name {
            Some(name) => Ok(vec![self.named(flag, name)?]),
            None => Ok(self.main().collect()),
        }
    }

    fn main(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|container| !container.init).map(|container| container.name)
    }
}

/// What the flags change in one container.
#[derive(Debug, Default)]
struct Edit<'a> {
    image: Option<&'a str>,
    env: Vec<(&'a str, Option<&'a str>)>,
    amounts: Vec<Amount<'a>>,
}

/// `limits.cpu=1`.
#[derive(Clone, Copy, Debug)]
struct Amount<'a> {
    section: &'a str,
    resource: &'a str,
    quantity: &'a str,
}

impl Edit<'_> {
    /// The element of the container's list; none where nothing changes.
    fn patch(&self, container: &Container<'_>) -> Option<Value> {
        let mut changed = json!({ "name": container.name });
        if let Some(image) = self.image {
            changed["image"] = json!(image);
        }
        let env = self.env_patch(container.body);
        if !env.is_empty() {
            changed["env"] = Value::Array(env);
        }
        for &Amount { section, resource, quantity } in &self.amounts {
            let old =
                container.body.get("resources").and_then(|all| all.get(section)?.get(resource));
            let same = match old {
                Some(Value::String(old)) => same_quantity(old, quantity),
                Some(Value::Number(old)) => same_quantity(&old.to_string(), quantity),
                _ => false,
            };
            // The server writes quantities in a form of its own: 1000m is 1.
            let quantity = if same { old.cloned() } else { Some(json!(quantity)) };
            changed["resources"][section][resource] = json!(quantity);
        }
        (changed.as_object()?.len() > 1).then_some(changed)
    }

    /// Elements for `env`: what is there in the order it has, because a later
    /// variable can refer to an earlier one, then what is new.
    fn env_patch(&self, container: &Value) -> Vec<Value> {
        let old: Vec<&Value> =
            container.get("env").and_then(Value::as_array).into_iter().flatten().collect();
        let is = |variable: &Value, name: &str| variable["name"] == name;
        let place = |name: &str| old.iter().position(|variable| is(variable, name));
        let mut wanted: Vec<&(&str, Option<&str>)> = self.env.iter().collect();
        wanted.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
        let mut elements = Vec::new();
        for &&(name, value) in &wanted {
            let there = old.iter().filter(|variable| is(variable, name)).count();
            // Of several with one name the last counts in a container, and
            // the first would be patched.
            if there > 1 || (there == 1 && value.is_none()) {
                elements.push(json!({ "name": name, "$patch": "delete" }));
            }
            let Some(value) = value else { continue };
            let mut variable = json!({ "name": name });
            if !value.is_empty() {
                variable["value"] = json!(value);
            } else if there == 1 {
                // The server stores no empty value.
                variable["value"] = Value::Null;
            }
            let from = old
                .iter()
                .find(|variable| is(variable, name) && variable.get("valueFrom").is_some());
            if there == 1 && from.is_some() {
                variable["valueFrom"] = Value::Null;
            }
            elements.push(variable);
        }
        elements
    }
}

/// Which container gets which image; a name weighs more than `*`.
fn images<'a, 'c>(
    flags: &'a [String],
    containers: &Containers<'c>,
) -> Result<BTreeMap<&'c str, &'a str>, Refused> {
    let (mut all, mut named) = (BTreeMap::new(), BTreeMap::new());
    for flag in flags {
        let malformed =
            |why: String| Err(Refused::Malformed { flag: "--image", value: flag.clone(), why });
        let (container, image) = match flag.split_once('=') {
            Some((container, image)) => (Some(container), image),
            None => (None, flag.as_str()),
        };
        if let Some(why) = image_fault(image) {
            return malformed(why.to_owned());
        }
        let name = match container {
            Some("*") => {
                all.extend(containers.0.iter().map(|container| (container.name, image)));
                continue;
            }
            Some(name) => containers.named("--image", name)?,
            None => {
                let main: Vec<&str> = containers.main().collect();
                let [only] = main[..] else {
                    let names = main.join(", ");
                    return malformed(format!("say for which container: {names}, or * for all"));
                };
                only
            }
        };
        if named.insert(name, image).is_some_and(|before| before != image) {
            return malformed(format!("{name} has been given another image already"));
        }
    }
    all.extend(named);
    Ok(all)
}

/// What keeps this from being an image, as registries and runtimes read it:
/// `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
fn image_fault(image: &str) -> Option<&'static str> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Some("what follows @ is no digest");
    }
    let last_part = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match rest[last_part..].rfind(':') {
        Some(colon) => (&rest[..last_part + colon], Some(&rest[last_part + colon + 1..])),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Some("what follows : is no tag");
    }
    let is_host = |part: &str| {
        part == "localhost"
            || part.contains(['.', ':'])
            || part.contains(|c: char| c.is_ascii_uppercase())
    };
    let path = match path.split_once('/') {
        Some((host, path)) if is_host(host) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
            if !host.chars().all(fits) {
                return Some("what stands before the first / is no host");
            }
            path
        }
        _ => path,
    };
    if path.split('/').all(is_path_part) { None } else { Some("that is no name of an image") }
}

/// Small letters and digits, with single separators between them.
fn is_path_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(alphanumeric).filter(|separator| !separator.is_empty());
    part.starts_with(alphanumeric)
        && part.ends_with(alphanumeric)
        && separators.into_iter().all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let letters = |c: char| c.is_ascii_alphanumeric() || "+._-".contains(c);
        algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
            && algorithm.chars().all(letters)
            && hex.len() >= 32
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// `[CONTAINER:]NAME=VALUE`, or `[CONTAINER:]NAME-` without a value.
fn variable(flag: &str) -> Result<(Option<&str>, &str, Option<&str>), Refused> {
    let malformed = |why: &str| Refused::Malformed {
        flag: "--env",
        value: flag.to_owned(),
        why: why.to_owned(),
    };
    let (words, value) = match flag.split_once('=') {
        Some((words, value)) => (words, Some(value)),
        None => match flag.strip_suffix('-') {
            Some(words) => (words, None),
            None => return Err(malformed("expected NAME=VALUE, or NAME- to remove it")),
        },
    };
    let (container, name) = match words.split_once(':') {
        Some((container, name)) => (Some(container), name),
        None => (None, words),
    };
    let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(inner)
    {
        return Err(malformed("a variable's name has letters, digits, _, - and ., no digit first"));
    }
    Ok((container, name, value))
}

/// `[CONTAINER:]limits.cpu=1,requests.memory=2Gi`.
fn resources(flag: &str) -> Result<(Option<&str>, Vec<Amount<'_>>), Refused> {
    let malformed =
        |why: String| Refused::Malformed { flag: "--set-resources", value: flag.to_owned(), why };
    let first_value = flag.find('=').unwrap_or(flag.len());
    let (container, list) = match flag[..first_value].find(':') {
        Some(colon) => (Some(&flag[..colon]), &flag[colon + 1..]),
        None => (None, flag),
    };
    let mut amounts = Vec::new();
    for item in list.split(',') {
        let parts = item.split_once('=').and_then(|(name, quantity)| {
            let (section, resource) = name.split_once('.')?;
            Some(Amount { section, resource, quantity })
        });
        let amount = parts
            .filter(|amount| {
                matches!(amount.section, "limits" | "requests") && !amount.resource.is_empty()
            })
            .ok_or_else(|| {
                malformed(format!("{item:?} is not like limits.cpu=1 or requests.memory=2Gi"))
            })?;
        if !same_quantity(amount.quantity, amount.quantity) {
            return Err(malformed(format!("{:?} is no quantity", amount.quantity)));
        }
        amounts.push(amount);
    }
    Ok((container, amounts))
}

/// Everything in a patch of a StatefulSet beside the template and what only
/// names the set.
fn forbidden_fields(patch: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    for (field, value) in patch.as_object().into_iter().flatten() {
        let allowed: &[&str] = match field.as_str() {
            "apiVersion" | "kind" => continue,
            "metadata" => &["name", "namespace"],
            "spec" => &["template"],
            _ => {
                paths.push(field.clone());
                continue;
            }
        };
        match value {
            Value::Object(fields) => {
                let others = fields.keys().filter(|inner| !allowed.contains(&inner.as_str()));
                paths.extend(others.map(|inner| format!("{field}.{inner}")));
            }
            _ => paths.push(field.clone()),
        }
    }
    paths
}

/// The template after a patch of its set, as the server would merge it. A
/// patch that the server would not take changes nothing, as there.
pub fn apply(template: &Value, patch: &Map<String, Value>) -> Value {
    match patch.get("spec").and_then(|spec| spec.get("template")) {
        Some(Value::Object(changed)) => {
            strategic::merge(template, changed).unwrap_or_else(|_| template.clone())
        }
        _ => template.clone(),
    }
}

/// One leaf in which two templates differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// From the template on: `spec.containers[nginx].image`.
    pub path: String,
    /// `null` where there was nothing. Strings as they are, the rest as JSON.
    pub before: Option<String>,
    /// `null` where there is nothing any more.
    pub after: Option<String>,
}

/// Every leaf in which two templates differ, in an order of their paths that
/// is always the same. Lists are taken apart where the server merges them by
/// a key; elsewhere a list is one leaf.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(Place::Template, "", Some(before), Some(after), &mut found);
    found
}

fn compare(
    place: Place,
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let is_said = |value: &&Value| !value.is_null() && !strategic::is_empty_list(value);
    let (before, after) = (before.filter(is_said), after.filter(is_said));
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            compare_fields(place, path, old, new, found);
        }
        (Some(Value::Object(old)), None) if !old.is_empty() => {
            compare_fields(place, path, old, &Map::new(), found);
        }
        (None, Some(Value::Object(new))) if !new.is_empty() => {
            compare_fields(place, path, &Map::new(), new, found);
        }
        _ => found.push(leaf(path, before, after)),
    }
}

fn compare_fields(
    place: Place,
    path: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for field in fields {
        let path = below(path, field);
        let (before, after) = (old.get(field), new.get(field));
        match place.list(field) {
            Merge::By(key, inner) => compare_lists(key, inner, &path, before, after, found),
            Merge::Scalars | Merge::Whole => {
                compare(place.mapping(field), &path, before, after, found);
            }
        }
    }
}

fn compare_lists(
    key: &str,
    inner: Place,
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    // Elements without names of their own (two ports of one number, a list
    // that is none) are compared as a whole.
    let (Some(old), Some(new)) = (by_name(before, key), by_name(after, key)) else {
        compare(Place::Elsewhere, path, before, after, found);
        return;
    };
    let of = |items: &Named<'_>, name: &str| {
        items.iter().find(|(other, _)| other == name).map(|(_, item)| (*item).clone())
    };
    let common = |items: &Named<'_>, others: &Named<'_>| {
        let names = items.iter().map(|(name, _)| name);
        json!(names.filter(|name| of(others, name).is_some()).collect::<Vec<_>>())
    };
    let (old_order, new_order) = (common(&old, &new), common(&new, &old));
    if old_order != new_order {
        found.push(leaf(path, Some(&old_order), Some(&new_order)));
    }
    let added = new.iter().filter(|(name, _)| of(&old, name).is_none());
    for (name, _) in old.iter().chain(added) {
        let path = format!("{path}[{name}]");
        let (before, after) = (of(&old, name), of(&new, name));
        match (&before, &after) {
            (Some(_), Some(_)) => compare(inner, &path, before.as_ref(), after.as_ref(), found),
            // The name stands in the path; it is said again only where it is
            // all that there is.
            (Some(element), None) => match beside(element, key) {
                Some(rest) => compare(inner, &path, Some(&rest), None, found),
                None => found.push(leaf(&path, Some(element), None)),
            },
            (None, Some(element)) => match beside(element, key) {
                Some(rest) => compare(inner, &path, None, Some(&rest), found),
                None => found.push(leaf(&path, None, Some(element))),
            },
            (None, None) => {}
        }
    }
}

/// Elements of a list under the names that the merge key gives them.
type Named<'a> = Vec<(String, &'a Value)>;

/// The elements under their names; `None` where one has none, or two have the
/// same.
fn by_name<'a>(list: Option<&'a Value>, key: &str) -> Option<Named<'a>> {
    let items = match list {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(list) => list.as_array()?,
    };
    let mut seen = BTreeSet::new();
    let named = items.iter().map(|item| {
        let name = shown(item.get(key)?);
        seen.insert(name.clone()).then_some((name, item))
    });
    named.collect()
}

/// An element without its name, if anything is left.
fn beside(element: &Value, key: &str) -> Option<Value> {
    let mut fields = element.as_object()?.clone();
    fields.shift_remove(key);
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn below(path: &str, field: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !field.chars().all(plain) {
        format!("{path}[{field}]")
    } else if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn leaf(path: &str, before: Option<&Value>, after: Option<&Value>) -> Difference {
    let (before, after) = (before.map(shown), after.map(shown));
    // What is cut away must not be all that differs.
    let from = match (&before, &after) {
        (Some(before), Some(after)) => {
            let same = before.chars().zip(after.chars()).take_while(|(old, new)| old == new);
            let same = same.count();
            if same + 40 > SHOWN { same - 40 } else { 0 }
        }
        _ => 0,
    };
    let cut = |text: String| clipped(&text, from);
    Difference { path: path.to_owned(), before: before.map(cut), after: after.map(cut) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// At most [`SHOWN`] characters, from that one on.
fn clipped(text: &str, from: usize) -> String {
    let left: String = text.chars().skip(from).collect();
    let start = if from > 0 { "…" } else { "" };
    let room = SHOWN - start.chars().count();
    if left.chars().count() <= room {
        return format!("{start}{left}");
    }
    let kept: String = left.chars().take(room - 1).collect();
    format!("{start}{kept}…")
}

/// What tells two templates apart: 16 hexadecimal digits. The server's
/// `creationTimestamp: null` does not count.
pub fn fingerprint(template: &Value) -> String {
    let mut template = template.clone();
    if let Some(Value::Object(metadata)) = template.get_mut("metadata")
        && metadata.get("creationTimestamp").is_some_and(Value::is_null)
    {
        metadata.shift_remove("creationTimestamp");
    }
    workload::digest(&template, 16)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        change: ChangeArgs,
    }

    fn args(words: &[&str]) -> ChangeArgs {
        Cli::try_parse_from(["start"].iter().chain(words)).unwrap().change
    }

    fn template() -> Value {
        json!({
            "metadata": {"labels": {"app": "db"}, "creationTimestamp": null},
            "spec": {
                "initContainers": [{"name": "init", "image": "busybox:1"}],
                "containers": [
                    {
                        "name": "mysql", "image": "mysql:5.7",
                        "env": [
                            {"name": "A", "value": "1"},
                            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                        ],
                        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
                        "ports": [{"containerPort": 3306, "name": "mysql"}],
                        "args": ["--one"],
                    },
                    {"name": "backup", "image": "backup:1"},
                ],
                "volumes": [{"name": "conf", "emptyDir": {}}],
            },
        })
    }

    fn no_file(name: &str) -> Result<String, Error> {
        Err(Error::new(Exit::Error, format!("{name} was not to be read")))
    }

    fn patch_of(template: &Value, words: &[&str]) -> Result<Map<String, Value>, Refused> {
        args(words).read(no_file)?.patch(template, Timestamp::UNIX_EPOCH)
    }

    fn patch(words: &[&str]) -> Result<Map<String, Value>, Refused> {
        patch_of(&template(), words)
    }

    fn of_file(text: &str) -> Result<Map<String, Value>, Refused> {
        let args = args(&["--patch-file", "p.yaml"]);
        let change = args.read(|name| {
            assert_eq!(name, "p.yaml");
            Ok(text.to_owned())
        })?;
        change.is_for("db", Some("shop"))?;
        change.patch(&template(), Timestamp::UNIX_EPOCH)
    }

    /// What changes, a line each.
    fn changes(words: &[&str]) -> Vec<String> {
        let patch = patch(words).unwrap();
        let after = apply(&template(), &patch);
        assert_eq!(apply(&after, &patch), after, "{words:?} once more changes nothing");
        let said = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        differences(&template(), &after)
            .into_iter()
            .map(|found| format!("{} {} {}", found.path, said(found.before), said(found.after)))
            .collect()
    }

    fn refused(words: &[&str]) -> String {
        patch(words).unwrap_err().to_string()
    }

    #[test]
    fn an_image_goes_to_the_container_that_is_named() {
        assert_eq!(
            changes(&["--image", "mysql=mysql:8.0", "--image", "init=busybox:2"]),
            [
                "spec.containers[mysql].image mysql:5.7 mysql:8.0",
                "spec.initContainers[init].image busybox:1 busybox:2",
            ]
        );
        assert_eq!(
            changes(&["--image", "backup=b:2", "--image", "*=all:1"]),
            [
                "spec.containers[mysql].image mysql:5.7 all:1",
                "spec.containers[backup].image backup:1 b:2",
                "spec.initContainers[init].image busybox:1 all:1",
            ]
        );
        assert_eq!(changes(&["--image", "mysql=mysql:5.7"]), [] as [&str; 0]);
        let one = json!({"spec": {"containers": [{"name": "web", "image": "nginx:1"}]}});
        let plain = patch_of(&one, &["--image", "nginx:2"]);
        assert_eq!(apply(&one, &plain.unwrap())["spec"]["containers"][0]["image"], "nginx:2");
    }

    #[test]
    fn an_image_that_cannot_be_meant_is_refused() {
        assert_eq!(
            refused(&["--image", "mysqld=mysql:8"]),
            r#"--image names the container "mysqld", and the template has init, mysql, backup"#
        );
        assert_eq!(
            refused(&["--image", "mysql:8"]),
            r#"invalid value "mysql:8" for --image: say for which container: mysql, backup, or * for all"#
        );
        assert_eq!(
            refused(&["--image", "mysql=a:1", "--image", "mysql=a:2"]),
            r#"invalid value "mysql=a:2" for --image: mysql has been given another image already"#
        );
        let hex = "a".repeat(64);
        for good in [
            "nginx",
            "nginx:1.22",
            "library/nginx",
            "r.example.com:5000/a/b-c_d:v1",
            "localhost/x",
            "[::1]:5000/x:1",
            "a__b:_x",
            "a---b",
            &format!("nginx@sha256:{hex}"),
            &format!("r.io/nginx:1@sha256:{hex}"),
        ] {
            assert_eq!(image_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "Nginx",
            "nginx:",
            "nginx:1 ",
            " nginx",
            "nginx:1:2",
            "a//b",
            "a/",
            "/a",
            "a..b",
            "nginx@sha256:12",
            "nginx@",
            "-a",
            "a:-b",
            "ho st.x/a",
            "a___b",
        ] {
            assert!(image_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn variables_are_set_and_removed() {
        assert_eq!(
            changes(&["--env", "mysql:B=x=y:z", "--env", "A-", "--env", "backup:URL=http://a:1"]),
            [
                "spec.containers[mysql].env[A].value 1 -",
                "spec.containers[mysql].env[B].value - x=y:z",
                "spec.containers[backup].env[URL].value - http://a:1",
            ]
        );
        assert_eq!(
            changes(&["--env", "mysql:SECRET=plain", "--env", "mysql:A="]),
            [
                "spec.containers[mysql].env[A].value 1 -",
                "spec.containers[mysql].env[SECRET].value - plain",
                r"spec.containers[mysql].env[SECRET].valueFrom.secretKeyRef.key k -",
                r"spec.containers[mysql].env[SECRET].valueFrom.secretKeyRef.name s -",
            ]
        );
        assert_eq!(
            changes(&["--env", "init:A=1", "--env", "NONE-", "--env", "mysql:A=1"]),
            ["spec.initContainers[init].env[A].value - 1"]
        );
        for bad in ["A", "=x", "mysql:=x", "1A=x", "A B=x", "-"] {
            assert!(refused(&["--env", bad]).contains("for --env"), "{bad}");
        }
        assert!(refused(&["--env", "x:A=1"]).contains("names the container \"x\""));
    }

    #[test]
    fn of_two_variables_with_one_name_none_is_left_behind() {
        let twice = json!({"spec": {"containers": [{
            "name": "a", "env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "A", "value": "2"}],
        }]}});
        let patch = patch_of(&twice, &["--env", "A=3"]).unwrap();
        let env = &apply(&twice, &patch)["spec"]["containers"][0]["env"];
        assert_eq!(env, &json!([{"name": "A", "value": "3"}, {"name": "B"}]));
    }

    #[test]
    fn resources_are_compared_by_amount() {
        assert_eq!(
            changes(&[
                "--set-resources",
                "mysql:limits.cpu=1,requests.cpu=0.5,requests.memory=2Gi"
            ]),
            [
                "spec.containers[mysql].resources.limits.cpu - 1",
                "spec.containers[mysql].resources.requests.memory 1Gi 2Gi",
            ]
        );
        assert_eq!(
            changes(&["--set-resources", "limits.nvidia.com/gpu=1"]),
            [
                "spec.containers[mysql].resources.limits[nvidia.com/gpu] - 1",
                "spec.containers[backup].resources.limits[nvidia.com/gpu] - 1",
            ]
        );
        for bad in
            ["cpu=1", "limits.cpu", "limits.=1", "limits.cpu=much", "limits.cpu=1,", "x.cpu=1"]
        {
            assert!(refused(&["--set-resources", bad]).contains("for --set-resources"), "{bad}");
        }
    }

    #[test]
    fn a_restart_is_kubectls_annotation() {
        assert_eq!(
            changes(&["--restart"]),
            ["metadata.annotations[kubectl.kubernetes.io/restartedAt] - 1970-01-01T00:00:00Z"]
        );
    }

    #[test]
    fn what_cannot_be_combined_is_refused_by_the_command_line() {
        for words in [
            ["--adopt", "--restart", ""],
            ["--patch-file=f", "--image=a", ""],
            ["--patch-file=f", "--adopt", ""],
        ] {
            let words = words.iter().filter(|word| !word.is_empty());
            assert!(Cli::try_parse_from(["start"].iter().chain(words)).is_err());
        }
        assert!(args(&[]).is_empty());
        assert!(!args(&["--adopt"]).is_empty());
        assert_eq!(Value::Object(patch(&["--adopt"]).unwrap()), json!({"spec": {"template": {}}}));
    }

    #[test]
    fn a_patch_file_changes_the_template_alone() {
        let text = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: shop}\nspec:\n  template:\n    \
                    spec:\n      containers:\n      - {name: mysql, image: 'mysql:8'}\n";
        let expected = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "mysql", "image": "mysql:8"},
        ]}}}});
        assert_eq!(Value::Object(of_file(text).unwrap()), expected);
        assert_eq!(Value::Object(of_file(&expected.to_string()).unwrap()), expected);
        let more = r#"{"metadata": {"name": "db", "labels": {}}, "status": {},
                       "spec": {"replicas": 3, "template": {}, "volumeClaimTemplates": []}}"#;
        let Err(Refused::ForbiddenFields(paths)) = of_file(more) else { panic!("it is refused") };
        assert_eq!(
            paths,
            ["metadata.labels", "status", "spec.replicas", "spec.volumeClaimTemplates"]
        );
        for (bad, why) in [
            ("", "it is not one mapping"),
            ("- a", "it is not one mapping"),
            ("{}\n---\n{}", "it is not one mapping"),
            ("kind: StatefulSet", "it has no mapping spec.template"),
            ("spec: {template: null}", "it has no mapping spec.template"),
            ("kind: Deployment", "its kind is not StatefulSet"),
            ("apiVersion: v1", "its apiVersion is not apps/v1"),
            ("metadata: {name: cache}", "its metadata.name is not db"),
            ("metadata: {name: null}", "its metadata.name is not db"),
            ("metadata: {name: db, namespace: test}", "its metadata.namespace is not shop"),
            (
                "spec: {template: {spec: {containers: [{image: x}]}}}",
                "it has a list element without name, by which its list is merged",
            ),
        ] {
            let said = of_file(bad).unwrap_err().to_string();
            assert_eq!(said, format!("invalid value \"p.yaml\" for --patch-file: {why}"));
        }
        assert!(matches!(of_file("a: ["), Err(Refused::Malformed { .. })));
        assert!(matches!(patch(&["--patch-file", "x"]), Err(Refused::Unreadable(_))));
    }

    #[test]
    fn a_patch_file_is_read_as_kubernetes_reads_it() {
        let text =
            "spec: {template: {spec: {volumes: [{name: conf, configMap: {defaultMode: 0644}}]}}}";
        let patch = Value::Object(of_file(text).unwrap());
        let mode = patch.pointer("/spec/template/spec/volumes/0/configMap/defaultMode");
        assert_eq!(mode, Some(&json!(0o644)));
    }

    #[test]
    fn a_whole_revision_can_be_applied() {
        let revision = json!({"spec": {"template": {"spec": {"restartPolicy": "Always"}, "$patch": "replace"}}});
        assert_eq!(
            apply(&template(), revision.as_object().unwrap()),
            json!({"spec": {"restartPolicy": "Always"}})
        );
    }

    #[test]
    fn differences_name_what_is_added_removed_and_moved() {
        let mut after = template();
        let spec = &mut after["spec"];
        spec["containers"].as_array_mut().unwrap().swap(0, 1);
        spec["containers"][1]["args"] = json!(["--one", "--two"]);
        spec["containers"][1]["ports"] = json!([{"containerPort": 3306}, {"containerPort": 33060}]);
        spec["volumes"] = json!([]);
        spec["imagePullSecrets"] = json!([{"name": "pull"}]);
        spec["hostNetwork"] = json!(true);
        after["metadata"].as_object_mut().unwrap().shift_remove("creationTimestamp");
        let found = differences(&template(), &after);
        let lines: Vec<String> = found
            .iter()
            .map(|Difference { path, before, after }| {
                let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                format!("{path} {} {}", said(before), said(after))
            })
            .collect();
        assert_eq!(
            lines,
            [
                r#"spec.containers ["mysql","backup"] ["backup","mysql"]"#,
                r#"spec.containers[mysql].args ["--one"] ["--one","--two"]"#,
                "spec.containers[mysql].ports[3306].name mysql -",
                r#"spec.containers[mysql].ports[33060] - {"containerPort":33060}"#,
                "spec.hostNetwork - true",
                r#"spec.imagePullSecrets[pull] - {"name":"pull"}"#,
                "spec.volumes[conf].emptyDir {} -",
            ]
        );
    }

    #[test]
    fn a_long_value_is_cut_where_it_does_not_differ() {
        let long = |end: &str| json!({"spec": {"text": "x".repeat(300) + end}});
        let found = differences(&long("one"), &long("two"));
        let text = format!("…{}", "x".repeat(40));
        assert_eq!(found[0].before, Some(format!("{text}one")));
        assert_eq!(found[0].after, Some(format!("{text}two")));
        let found = differences(&json!({}), &long(""));
        assert_eq!(found[0].after.as_ref().unwrap().chars().count(), SHOWN);
    }

    #[test]
    fn the_fingerprint_is_of_what_the_template_says() {
        let one = json!({"metadata": {"creationTimestamp": null}, "spec": {"a": 1, "b": {"c": 2, "d": 3}}});
        let same = json!({"spec": {"b": {"d": 3, "c": 2}, "a": 1}, "metadata": {}});
        assert_eq!(fingerprint(&one), fingerprint(&same));
        assert_eq!(fingerprint(&one).len(), 16);
        assert_ne!(fingerprint(&one), fingerprint(&json!({"spec": {}})));
    }

    fn merged(template: &Value, patch: &Value) -> Result<Value, String> {
        strategic::merge(template, patch.as_object().unwrap())
    }

    #[test]
    fn lists_are_merged_and_ordered_as_on_the_server() {
        let names =
            |list: &[&str]| list.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        let template = json!({"spec": {"containers": names(&["a", "b", "c"])}});
        let result = |patch: Value| {
            let after = merged(&template, &json!({"spec": patch}))?;
            let list = after["spec"]["containers"].as_array().unwrap().clone();
            Ok::<_, String>(
                list.iter().map(|item| item["name"].as_str().unwrap()).collect::<String>(),
            )
        };
        let containers = |list: Value| json!({ "containers": list });
        assert_eq!(result(containers(json!([{"name": "b"}]))).unwrap(), "abc");
        assert_eq!(result(containers(json!([{"name": "c"}, {"name": "a"}]))).unwrap(), "bca");
        assert_eq!(result(containers(json!([{"name": "n"}]))).unwrap(), "nabc");
        assert_eq!(result(containers(json!([{"name": "c"}, {"name": "n"}]))).unwrap(), "abcn");
        assert_eq!(
            result(containers(json!([{"name": "b", "$patch": "delete"}, {"name": "n"}]))).unwrap(),
            "nac"
        );
        assert_eq!(result(containers(json!([{"$patch": "replace"}, {"name": "n"}]))).unwrap(), "n");
        let ordered = json!({
            "$setElementOrder/containers": names(&["c", "n", "a"]),
            "containers": [{"name": "n"}],
        });
        assert_eq!(result(ordered).unwrap(), "bcna");
        let unordered = json!({
            "$setElementOrder/containers": names(&["a", "n"]),
            "containers": names(&["n", "a"]),
        });
        assert!(result(unordered).unwrap_err().contains("$setElementOrder/containers"));
        let odd = containers(json!([{"name": "a", "$patch": "merge"}]));
        assert!(result(odd).unwrap_err().contains("$patch"));
    }

    #[test]
    fn directives_do_what_they_do_on_the_server() {
        let template = json!({
            "metadata": {"finalizers": ["a", "b"], "labels": {"x": "1"}},
            "spec": {
                "securityContext": {"runAsUser": 1},
                "nodeSelector": {"a": "b", "c": "d"},
                "volumes": [{"name": "v", "emptyDir": {}}],
                "tolerations": [{"key": "a"}],
            },
        });
        let patch = json!({
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "labels": null},
            "spec": {
                "securityContext": {"$patch": "delete"},
                "nodeSelector": {"$patch": "replace", "e": "f"},
                "volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}],
                "tolerations": [{"key": "b", "value": null}],
                "affinity": {"$patch": "delete"},
                "dnsConfig": {"searches": null, "nameservers": ["1.1.1.1"]},
            },
        });
        assert_eq!(
            merged(&template, &patch).unwrap(),
            json!({
                "metadata": {"finalizers": ["b"]},
                "spec": {
                    "securityContext": {},
                    "nodeSelector": {"e": "f"},
                    "volumes": [{"name": "v", "configMap": {"name": "c"}}],
                    "tolerations": [{"key": "b"}],
                    "dnsConfig": {"nameservers": ["1.1.1.1"]},
                },
            })
        );
        let forgets =
            json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name"], "nfs": {}}]}});
        assert!(merged(&template, &forgets).unwrap_err().contains("nfs"));
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![Just(json!("x")), Just(json!("y")), Just(json!(1)), Just(json!(true))]
    }

    fn element(key: &'static str, fields: &'static [&'static str]) -> BoxedStrategy<Value> {
        let names = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")];
        let fields =
            proptest::collection::btree_map(proptest::sample::select(fields), scalar(), 0..3);
        (names, fields)
            .prop_map(move |(name, fields)| {
                let mut element = json!(fields);
                element[key] = json!(name);
                element
            })
            .boxed()
    }

    /// A list whose elements have names of their own.
    fn list(key: &'static str, element: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
        proptest::collection::vec(element, 0..4).prop_map(move |mut items| {
            let mut seen = BTreeSet::new();
            items.retain(|item| seen.insert(item[key].to_string()));
            Value::Array(items)
        })
    }

    /// Some template, or, as there are no nulls and directives in it, what a
    /// patch adds to one.
    fn any_template() -> impl Strategy<Value = Value> {
        let container = (element("name", &["image"]), list("name", element("name", &["value"])))
            .prop_map(|(mut container, env)| {
                container["env"] = env;
                container
            });
        let lists = (list("name", container.boxed()), list("name", element("name", &["emptyDir"])));
        (lists, proptest::collection::vec(element("key", &["operator"]), 0..3), scalar()).prop_map(
            |((containers, volumes), tolerations, scalar)| {
                json!({
                    "metadata": {"labels": {"app": scalar}},
                    "spec": {"containers": containers, "volumes": volumes, "tolerations": tolerations},
                })
            },
        )
    }

    /// A patch with deletions: of mappings, of fields, of elements.
    fn any_patch() -> impl Strategy<Value = Value> {
        (any_template(), proptest::collection::vec(0_u8..6, 8)).prop_map(|(mut patch, dice)| {
            if dice[0] == 0 {
                patch["metadata"]["labels"] = Value::Null;
            }
            if dice[1] == 0 {
                patch["spec"]["tolerations"] = Value::Null;
            }
            if dice[2] == 0 {
                patch["spec"]["nodeSelector"] = json!({"$patch": "replace", "a": "b"});
            }
            for (list, dice) in ["containers", "volumes"].iter().zip(&dice[3..]) {
                let items = patch["spec"][list].as_array_mut().unwrap();
                if let Some(item) = items.get_mut(usize::from(*dice)) {
                    item["$patch"] = json!("delete");
                }
            }
            patch
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_changes_nothing(template in any_template()) {
            prop_assert_eq!(&merged(&template, &json!({})).unwrap(), &template);
            prop_assert_eq!(differences(&template, &template), []);
        }

        #[test]
        fn a_patch_holds_after_it_was_applied(template in any_template(), patch in any_patch()) {
            let once = merged(&template, &patch).unwrap();
            prop_assert_eq!(&merged(&once, &patch).unwrap(), &once);
            prop_assert!(!once.to_string().contains('$'));
        }

        #[test]
        fn templates_are_the_same_when_nothing_differs(one in any_template(), other in any_template()) {
            prop_assert_eq!(differences(&one, &other).is_empty(), one == other);
            prop_assert_eq!(fingerprint(&one) == fingerprint(&other), one == other);
        }
    }
}
