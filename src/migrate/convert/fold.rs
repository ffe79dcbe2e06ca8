//! The Deployment that a set is made from: one, or several combined into one.

use serde_json::Value;

use super::Converter;
use crate::{
    migrate::rules,
    output::text::count,
    workload::raw::{deployment_mounts, join, kind_and_name, name, text},
};

/// The Deployment that a set is made from.
#[derive(Debug)]
pub struct Source {
    /// The Deployment; if there are several, the first, with labels that fit all.
    pub body: Value,
    /// How many ordinals have their own claims.
    pub ordinals: usize,
    /// Volumes with a claim, and the claim for each ordinal.
    pub mounts: Vec<(String, Vec<String>)>,
    /// Labels with the names of the Deployments: key, old values.
    pub relabelled: Vec<(String, Vec<String>)>,
}

/// Fields of spec in which the Deployments may differ.
const MAY_DIFFER: [&str; 4] = ["replicas", "strategy", "progressDeadlineSeconds", "paused"];
const LABELS: [&str; 3] =
    ["/spec/template/metadata/labels", "/spec/selector/matchLabels", "/metadata/labels"];

impl Converter<'_> {
    pub(super) fn source(&mut self, group: &[usize]) -> Option<Source> {
        let [first, others @ ..] = group else { return None };
        let body = self.objects[*first].clone();
        let own = |index: usize| deployment_mounts(&self.objects[index]);
        if others.is_empty() {
            let ordinals = if self.options.copies { self.copies(&body) } else { 1 };
            let mounts = own(*first)
                .into_iter()
                .map(|(volume, claim)| (volume.to_owned(), vec![claim.to_owned(); ordinals]))
                .collect();
            return Some(Source { body, ordinals, mounts, relabelled: Vec::new() });
        }
        let set = self.options.name.clone().unwrap_or_else(|| name(&body).to_owned());
        let model = self.comparable_spec(*first, &set);
        let mut differences = Vec::new();
        for &other in others {
            let mut paths = Vec::new();
            find_differences(&model, &self.comparable_spec(other, &set), "spec", &mut paths);
            if self.namespace_of(&self.objects[other]) != self.namespace_of(&body) {
                paths.push("metadata.namespace".to_owned());
            }
            if !paths.is_empty() {
                differences.push((other, paths));
            }
        }
        for (other, paths) in &differences {
            let message = format!(
                "{} differs from {} in {}",
                kind_and_name(&self.objects[*other]),
                kind_and_name(&body),
                paths.join(", ")
            );
            self.findings
                .push(rules::TEMPLATES_DIFFER.found(kind_and_name(&self.objects[*other]), message));
        }
        if !differences.is_empty() {
            return None;
        }
        let mut mounts = Vec::new();
        for (volume, _) in own(*first) {
            let claims: Vec<String> = group
                .iter()
                .filter_map(|&index| own(index).into_iter().find(|(name, _)| *name == volume))
                .map(|(_, claim)| claim.to_owned())
                .collect();
            mounts.push((volume.to_owned(), claims));
        }
        let relabelled = relabelled(group.iter().map(|&index| &self.objects[index]));
        let mut body = body;
        rename_labels(&mut body, &set);
        self.report_dropped_metadata(group);
        Some(Source { body, ordinals: group.len(), mounts, relabelled })
    }

    /// How many pods get a copy of the claim.
    fn copies(&self, body: &Value) -> usize {
        let own = body.pointer("/spec/replicas").and_then(Value::as_u64);
        let pods = self.options.replicas.map(u64::from).or(own).unwrap_or(1);
        usize::try_from(pods.max(1)).unwrap_or(usize::MAX)
    }

    /// The part of a Deployment that must be the same in all of them: its spec,
    /// without names, claims and the fields that may differ.
    fn comparable_spec(&self, index: usize, set: &str) -> Value {
        let mut body = self.objects[index].clone();
        rename_labels(&mut body, set);
        if let Some(volumes) =
            body.pointer_mut("/spec/template/spec/volumes").and_then(Value::as_array_mut)
        {
            for volume in volumes {
                let kept =
                    text(volume, "/name").is_some_and(|name| self.options.keep.contains(name));
                if let Some(claim) = volume.pointer_mut("/persistentVolumeClaim/claimName")
                    && !kept
                {
                    *claim = Value::Null;
                }
            }
        }
        let mut spec = body.get_mut("spec").map(Value::take).unwrap_or_default();
        if let Some(fields) = spec.as_object_mut() {
            for field in MAY_DIFFER {
                fields.shift_remove(field);
            }
        }
        spec
    }

    /// Notes the metadata of the other Deployments, which is left out.
    fn report_dropped_metadata(&mut self, group: &[usize]) {
        for &other in &group[1..] {
            let body = &self.objects[other];
            let mut gone: Vec<String> = Vec::new();
            let metadata = body.get("metadata").and_then(Value::as_object).into_iter().flatten();
            gone.extend(metadata.map(|(key, _)| join("metadata", key)));
            let own =
                MAY_DIFFER.iter().filter(|field| body.pointer(&format!("/spec/{field}")).is_some());
            gone.extend(own.map(|field| join("spec", field)));
            if body.get("status").is_some() {
                gone.push("status".to_owned());
            }
            let message = format!(
                "{} becomes an ordinal of the set; left out of its own fields: {}",
                kind_and_name(body),
                gone.join(", ")
            );
            self.findings.push(rules::FIELD_DROPPED.found(kind_and_name(body), message));
        }
    }

    /// Notes labels that changed, with their old values.
    pub(super) fn report_changed_labels(&mut self, source: &Source, set: &str) {
        for (key, values) in &source.relabelled {
            let changed = values.iter().filter(|value| value.as_str() != set).count();
            if changed == 0 {
                continue;
            }
            let message = format!(
                "label {key} is now {set} for all pods; it had {}: {}",
                count(values.len(), "value"),
                values.join(", ")
            );
            self.findings.push(rules::LABEL_CHANGED.found(kind_and_name(&source.body), message));
        }
    }
}

/// Replaces the name of the Deployment in its labels with that of the set.
fn rename_labels(body: &mut Value, set: &str) {
    let own = name(body).to_owned();
    for pointer in LABELS {
        let labels = body.pointer_mut(pointer).and_then(Value::as_object_mut);
        for (_, value) in labels.into_iter().flatten() {
            if value.as_str() == Some(own.as_str()) {
                *value = set.into();
            }
        }
    }
}

fn relabelled<'a>(deployments: impl Iterator<Item = &'a Value>) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for deployment in deployments {
        for (key, value) in crate::workload::raw::entries(deployment, LABELS[0]) {
            if value.as_str() != Some(name(deployment)) {
                continue;
            }
            let value = name(deployment).to_owned();
            match found.iter_mut().find(|(known, _)| known == key) {
                Some((_, values)) => values.push(value),
                None => found.push((key.clone(), vec![value])),
            }
        }
    }
    found
}

/// Collects the paths at which two values differ.
fn find_differences(one: &Value, other: &Value, path: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                match right.get(key) {
                    Some(against) => find_differences(value, against, &join(path, key), found),
                    None => found.push(join(path, key)),
                }
            }
            let more = right.keys().filter(|key| !left.contains_key(*key));
            found.extend(more.map(|key| join(path, key)));
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (value, against)) in left.iter().zip(right).enumerate() {
                find_differences(value, against, &format!("{path}[{index}]"), found);
            }
        }
        _ if one == other => {}
        _ => found.push(path.to_owned()),
    }
}
