//! The conversion: objects in, objects and findings out. Pure.
//!
//! Objects are raw JSON all the way. A set is made in this order: which
//! Deployments ([`convert`]), one out of several (`fold`), what of its metadata
//! travels (`metadata`), names that Kubernetes takes (`names`), volumes and
//! claims (`volumes`), the governing Service (`service`), the spec (`fields`),
//! and then who else speaks of what is gone (`references`).

mod fields;
mod fold;
mod metadata;
mod names;
mod references;
mod service;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    object::{self, deployment_mounts, label, name, namespace, text},
    rules,
};
use crate::{
    output::Error,
    workload::{Finding, Severity},
};

/// What becomes of the claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A claim per ordinal, under the names that templates give
    #[default]
    Rebind,
    /// The claims as they are, shared by all pods
    Keep,
}

/// Autoscalers that may be pointed at the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Retarget {
    Hpa,
    Vpa,
    Keda,
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these Deployments; empty for all that mount a claim.
    pub deployments: Vec<String>,
    /// Several Deployments that become one set, in the order of its ordinals.
    pub from: Vec<String>,
    pub name: Option<String>,
    pub mode: Mode,
    /// Whether each pod gets a copy of the claim that they share.
    pub copies: bool,
    /// Templates by volume, where they are not to be called alike.
    pub templates: BTreeMap<String, String>,
    /// Volumes whose claims stay as they are.
    pub keep: BTreeSet<String>,
    pub replicas: Option<u32>,
    pub service: Option<String>,
    pub retarget: Vec<Retarget>,
    /// Ids of guards that do not hold.
    pub allow: Vec<String>,
    /// The namespace of objects that name none.
    pub namespace: Option<String>,
}

/// Where an object of the output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Made from one of the input.
    Converted,
    /// Nothing of the input was it.
    Created,
    /// An autoscaler that names the set now.
    Retargeted,
    /// As it was.
    Untouched,
}

/// An object of the output.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    pub class: Class,
    /// The object of the input that it was; none where it is new.
    pub source: Option<usize>,
    pub body: Value,
}

/// What became of one object of the input.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Kept,
    /// These stand in its place; none where it is part of another's.
    Became(Vec<Made>),
}

/// A set that was made, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SetView {
    pub namespace: Option<String>,
    pub name: String,
    pub deployments: Vec<String>,
    pub service: String,
    pub mode: Mode,
    pub claims: Vec<ClaimView>,
}

/// A claim of a Deployment, and what it is called then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClaimView {
    pub volume: String,
    /// Absent where the claim stays as it is.
    pub template: Option<String>,
    pub claim_now: String,
    pub claim_then: String,
    pub size: Option<String>,
    pub class: Option<String>,
}

/// All that a conversion has to say.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// One for each object of the input, in its order.
    pub outcomes: Vec<Outcome>,
    pub sets: Vec<SetView>,
    pub findings: Vec<Finding>,
}

impl Conversion {
    /// Whether a guard said no: then the outcomes are not to be used.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Whether somebody has to look at something.
    pub fn needs_a_person(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity != Severity::Note)
    }
}

/// Converts the Deployments among `objects`.
///
/// # Errors
/// When the options name what is not there; everything else is a finding.
pub fn convert(objects: &[Value], options: &Options) -> Result<Conversion, Error> {
    known_guards(options)?;
    let mut work = Work::new(objects, options);
    let groups = work.groups()?;
    known_volumes(objects, &groups, options)?;
    if let Some(flag) = one_set_only(options).filter(|_| groups.len() > 1) {
        let names: Vec<&str> = groups.iter().map(|group| name(&objects[group[0]])).collect();
        return Err(Error::usage(format!(
            "{flag} is for one Deployment, and {} would be converted",
            crate::output::text::list(&names)
        ))
        .hint("name the one that is meant"));
    }
    for group in &groups {
        work.convert_group(group);
    }
    work.find_references(&groups);
    Ok(work.finish())
}

/// The flag that can only mean a single set, if one was given.
fn one_set_only(options: &Options) -> Option<&'static str> {
    let flags = [
        (options.name.is_some(), "--name"),
        (options.service.is_some(), "--service"),
        (options.replicas.is_some(), "--replicas"),
    ];
    flags.into_iter().find_map(|(given, flag)| given.then_some(flag))
}

fn known_guards(options: &Options) -> Result<(), Error> {
    let allowable = |id: &&String| rules::BY_CONVERSION.iter().any(|rule| rule.id == id.as_str());
    match options.allow.iter().find(|id| !allowable(id)) {
        None => Ok(()),
        Some(id) => {
            let ids: Vec<&str> = rules::BY_CONVERSION.iter().map(|rule| rule.id).collect();
            Err(Error::usage(format!("{id} is no guard that can be overridden"))
                .hint(format!("these can: {}", ids.join(", "))))
        }
    }
}

fn known_volumes(objects: &[Value], groups: &[Vec<usize>], options: &Options) -> Result<(), Error> {
    let mounted: BTreeSet<&str> = groups
        .iter()
        .flatten()
        .flat_map(|&index| deployment_mounts(&objects[index]))
        .map(|(volume, _)| volume)
        .collect();
    let asked = options.templates.keys().map(|volume| ("--claim", volume));
    let kept = options.keep.iter().map(|volume| ("--keep", volume));
    for (flag, volume) in asked.chain(kept) {
        if !mounted.contains(volume.as_str()) {
            let known: Vec<&str> = mounted.iter().copied().collect();
            let error = Error::usage(format!("{flag}: no volume {volume} mounts a claim"));
            return Err(match known.as_slice() {
                [] => error,
                known => error.hint(format!("these do: {}", known.join(", "))),
            });
        }
    }
    Ok(())
}

/// A conversion under way.
struct Work<'a> {
    objects: &'a [Value],
    options: &'a Options,
    outcomes: Vec<Outcome>,
    sets: Vec<SetView>,
    findings: Vec<Finding>,
    /// Old claim names and what they are called then, by namespace.
    renamed: Vec<(Option<String>, String, String)>,
}

impl<'a> Work<'a> {
    fn new(objects: &'a [Value], options: &'a Options) -> Work<'a> {
        Work {
            objects,
            options,
            outcomes: vec![Outcome::Kept; objects.len()],
            sets: Vec::new(),
            findings: Vec::new(),
            renamed: Vec::new(),
        }
    }

    /// Two objects without a namespace are in the same one.
    fn place<'b>(&'b self, object: &'b Value) -> Option<&'b str> {
        namespace(object).or(self.options.namespace.as_deref())
    }

    /// The objects of a kind and name beside `neighbour`.
    fn find(&self, kind: &str, wanted: &str, neighbour: &Value) -> Option<usize> {
        let place = self.place(neighbour);
        self.objects.iter().position(|object| {
            text(object, "/kind") == Some(kind)
                && name(object) == wanted
                && self.place(object) == place
        })
    }

    /// Of two objects of one name nobody can say which is meant.
    fn refuse_twins(&mut self, object: &Value) {
        let twin = |other: &&Value| {
            text(other, "/kind") == text(object, "/kind")
                && name(other) == name(object)
                && self.place(other) == self.place(object)
        };
        let number = self.objects.iter().filter(twin).count();
        if number > 1 {
            let on = label(object);
            let message = format!("the input has {on} {number} times");
            self.findings.push(rules::NAME_TAKEN.found(on, message).hint("leave one of them out"));
        }
    }

    /// Which Deployments become which set.
    fn groups(&mut self) -> Result<Vec<Vec<usize>>, Error> {
        let options = self.options;
        if !options.from.is_empty() {
            let members: Result<Vec<usize>, Error> =
                options.from.iter().map(|name| self.deployment(name)).collect();
            let members = members?;
            let distinct: BTreeSet<&usize> = members.iter().collect();
            if distinct.len() != members.len() {
                return Err(Error::usage("--from names a Deployment twice"));
            }
            return Ok(vec![members]);
        }
        if !options.deployments.is_empty() {
            let chosen: Result<BTreeSet<usize>, Error> =
                options.deployments.iter().map(|name| self.deployment(name)).collect();
            return Ok(chosen?.into_iter().map(|index| vec![index]).collect());
        }
        let mut groups = Vec::new();
        for (index, object) in self.objects.iter().enumerate() {
            if !object::is_deployment(object) {
                continue;
            }
            if deployment_mounts(object).is_empty() {
                let message = format!("Deployment {} mounts no claim: left as it is", name(object));
                self.findings.push(
                    rules::NO_CLAIM
                        .found(label(object), message)
                        .hint(format!("to convert it too, name it: deploy/{}", name(object))),
                );
            } else {
                groups.push(vec![index]);
            }
        }
        Ok(groups)
    }

    fn deployment(&self, wanted: &str) -> Result<usize, Error> {
        let options = self.options;
        let deployments =
            || self.objects.iter().enumerate().filter(|(_, object)| object::is_deployment(object));
        let found: Vec<usize> = deployments()
            .filter(|(_, object)| {
                let asked = options.namespace.as_deref();
                name(object) == wanted && (asked.is_none() || self.place(object) == asked)
            })
            .map(|(index, _)| index)
            .collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => {
                let known: Vec<&str> = deployments().map(|(_, object)| name(object)).collect();
                let has = match known.as_slice() {
                    [] => String::new(),
                    known => format!(" (it has: {})", known.join(", ")),
                };
                Err(Error::usage(format!("the input has no Deployment \"{wanted}\"{has}")))
            }
            several => Err(Error::usage(format!(
                "the input has {} Deployments named \"{wanted}\"",
                several.len()
            ))
            .hint("name the namespace with -n")),
        }
    }

    fn convert_group(&mut self, group: &[usize]) {
        let first = group[0];
        let Some(source) = self.source(group) else { return };
        let set = self.options.name.clone().unwrap_or_else(|| name(&source.body).to_owned());
        self.guard(group);
        let Some(storage) = self.storage(&source, &set) else { return };
        let (service, made) = self.governing_service(&source, &set);
        self.check_names(&source, &set, &service, &storage);
        let body = self.stateful_set(&source, &set, &service, &storage);
        self.say_about_template(&source);
        self.check_managers(&source, group);
        let mut here: Vec<Made> = made.into_iter().collect();
        for &other in &group[1..] {
            self.outcomes[other] = Outcome::Became(Vec::new());
        }
        for (index, claim) in storage.claims {
            let claim = Made { class: Class::Converted, source: Some(index), body: claim };
            if index < first {
                match &mut self.outcomes[index] {
                    Outcome::Became(all) => all.push(claim),
                    kept @ Outcome::Kept => *kept = Outcome::Became(vec![claim]),
                }
                continue;
            }
            // A set that comes first has its controller make the claim, empty.
            let message = format!("claim {} stands before its StatefulSet now", name(&claim.body));
            self.findings.push(rules::PVC_FIRST.found(label(&self.objects[index]), message));
            self.outcomes[index] = Outcome::Became(Vec::new());
            here.push(claim);
        }
        here.push(Made { class: Class::Converted, source: Some(first), body });
        self.outcomes[first] = Outcome::Became(here);
        self.sets.push(SetView {
            namespace: self.place(&source.body).map(str::to_owned),
            name: set,
            deployments: group.iter().map(|&one| name(&self.objects[one]).to_owned()).collect(),
            service,
            mode: self.options.mode,
            claims: storage.views,
        });
    }

    fn finish(mut self) -> Conversion {
        for finding in &mut self.findings {
            let allowed = self.options.allow.iter().any(|id| id == finding.id);
            if finding.severity == Severity::Error && allowed {
                finding.severity = Severity::Warning;
            }
        }
        let mut findings: Vec<Finding> = Vec::new();
        for finding in self.findings {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        findings.sort_by_key(|finding| finding.severity);
        Conversion { outcomes: self.outcomes, sets: self.sets, findings }
    }
}
