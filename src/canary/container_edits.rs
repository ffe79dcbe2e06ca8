//! What `--image`, `--env` and `--set-resources` change in the containers of a
//! template, as elements of a strategic merge patch. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{image, refused::Refused};
use crate::workload::same_quantity;

/// The `spec` of the template patch, with the containers that change.
///
/// # Errors
/// [`Refused`], where a flag is malformed or names an unknown container.
pub fn spec(
    template: &Value,
    image: &[String],
    env: &[String],
    set_resources: &[String],
) -> Result<Map<String, Value>, Refused> {
    let containers = Containers::of(template);
    let mut edits: BTreeMap<&str, Edit<'_>> = BTreeMap::new();
    for (name, image) in images(image, &containers)? {
        edits.entry(name).or_default().image = Some(image);
    }
    for flag in env {
        let (container, name, value) = variable(flag)?;
        for container in containers.selected("--env", container)? {
            let env = &mut edits.entry(container).or_default().env;
            env.retain(|(other, _)| *other != name);
            env.push((name, value));
        }
    }
    for flag in set_resources {
        let (container, amounts) = resources(flag)?;
        for container in containers.selected("--set-resources", container)? {
            edits.entry(container).or_default().amounts.extend(amounts.iter().copied());
        }
    }
    let mut spec = Map::new();
    // The server merges a list in the order of the patch, so keep the template's.
    for (field, init) in [("initContainers", true), ("containers", false)] {
        let here = containers.0.iter().filter(|container| container.init == init);
        let edited: Vec<Value> =
            here.filter_map(|container| edits.get(container.name)?.patch(container)).collect();
        if !edited.is_empty() {
            spec.insert(field.to_owned(), Value::Array(edited));
        }
    }
    Ok(spec)
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
    fn selected(&self, flag: &'static str, name: Option<&str>) -> Result<Vec<&'a str>, Refused> {
        match name {
            Some(name) => Ok(vec![self.named(flag, name)?]),
            None => Ok(self.main().collect()),
        }
    }

    fn main(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|container| !container.init).map(|container| container.name)
    }
}

/// The changes to one container.
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
    /// The element of the container list; `None` where nothing changes.
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
            // The server normalizes quantities: 1000m becomes 1.
            let quantity = if same { old.cloned() } else { Some(json!(quantity)) };
            changed["resources"][section][resource] = json!(quantity);
        }
        (changed.as_object()?.len() > 1).then_some(changed)
    }

    /// Elements for `env`: existing variables in their order, because a later one
    /// can refer to an earlier one, then new ones.
    fn env_patch(&self, container: &Value) -> Vec<Value> {
        let old: Vec<&Value> =
            container.get("env").and_then(Value::as_array).into_iter().flatten().collect();
        let is = |variable: &Value, name: &str| variable["name"] == name;
        let place = |name: &str| old.iter().position(|variable| is(variable, name));
        let mut wanted: Vec<&(&str, Option<&str>)> = self.env.iter().collect();
        wanted.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
        let mut elements = Vec::new();
        for &&(name, value) in &wanted {
            let present = old.iter().filter(|variable| is(variable, name)).count();
            // Of duplicates a container uses the last one, and a patch would
            // change the first one.
            if present > 1 || (present == 1 && value.is_none()) {
                elements.push(json!({ "name": name, "$patch": "delete" }));
            }
            let Some(value) = value else { continue };
            let mut variable = json!({ "name": name });
            if !value.is_empty() {
                variable["value"] = json!(value);
            } else if present == 1 {
                // The server stores no empty value.
                variable["value"] = Value::Null;
            }
            let from = old
                .iter()
                .find(|variable| is(variable, name) && variable.get("valueFrom").is_some());
            if present == 1 && from.is_some() {
                variable["valueFrom"] = Value::Null;
            }
            elements.push(variable);
        }
        elements
    }
}

/// Which container gets which image; a named container overrides `*`.
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
        if let Some(why) = image::fault(image) {
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

/// `[CONTAINER:]NAME=VALUE`, or `[CONTAINER:]NAME-` without a value.
fn variable(flag: &str) -> Result<(Option<&str>, &str, Option<&str>), Refused> {
    let malformed = |why: &str| Refused::Malformed {
        flag: "--env",
        value: flag.to_owned(),
        why: why.to_owned(),
    };
    let (target, value) = match flag.split_once('=') {
        Some((target, value)) => (target, Some(value)),
        None => match flag.strip_suffix('-') {
            Some(target) => (target, None),
            None => return Err(malformed("expected NAME=VALUE, or NAME- to remove it")),
        },
    };
    let (container, name) = match target.split_once(':') {
        Some((container, name)) => (Some(container), name),
        None => (None, target),
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
            return Err(malformed(format!("{:?} is not a valid quantity", amount.quantity)));
        }
        amounts.push(amount);
    }
    Ok((container, amounts))
}
