//! The conversion: objects in, objects and findings out. Pure.
//!
//! Objects are raw JSON throughout. The steps for a set: choose the Deployments
//! ([`convert`]), combine several into one (`fold`), metadata (`metadata`), names
//! (`names`), volumes and claims (`volumes`), the governing Service (`service`),
//! the spec (`fields`), and then what else refers to the old objects
//! (`references`).

mod defaults;
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

pub use self::{
    defaults::{in_order, without_defaults},
    metadata::makers,
};
use super::rules;
use crate::{
    output::Error,
    workload::{
        Allowed, Finding, Severity,
        raw::{self, deployment_mounts, kind_and_name, name, namespace, text},
    },
};

/// What happens to the claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A claim for each ordinal, named after its template
    #[default]
    Rebind,
    /// The claims as they are, shared by all pods
    Keep,
}

/// Kinds of autoscalers that can be pointed at the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Retarget {
    Hpa,
    Vpa,
    Keda,
}

/// The options of a conversion.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these Deployments; empty for all that mount a claim.
    pub deployments: Vec<String>,
    /// Several Deployments that become one set, in the order of the ordinals.
    pub from: Vec<String>,
    pub name: Option<String>,
    pub mode: Mode,
    /// Whether each pod gets a copy of the claim that the pods share.
    pub copies: bool,
    /// Names of claim templates by volume, if they differ from the volume's name.
    pub templates: BTreeMap<String, String>,
    /// Volumes whose claims stay as they are.
    pub keep: BTreeSet<String>,
    pub replicas: Option<u32>,
    pub service: Option<String>,
    pub retarget: Vec<Retarget>,
    /// Guards that are overridden.
    pub allow: Allowed,
    /// The namespace of objects without one.
    pub namespace: Option<String>,
    /// The flags of the connection, for lines to paste.
    pub flags: String,
}

/// Where an object of the output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Produced from an object of the input.
    Converted,
    /// New: it does not come from the input.
    Created,
    /// An autoscaler that names the set now.
    Retargeted,
    /// Unchanged.
    Untouched,
}

/// An object of the output.
#[derive(Clone, Debug, PartialEq)]
pub struct Produced {
    pub class: Class,
    /// The object of the input that it comes from; none if it is new.
    pub source: Option<usize>,
    pub body: Value,
}

/// The result for one object of the input.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Kept,
    /// These objects replace it; none if it is part of another one's result.
    Replaced(Vec<Produced>),
}

/// A summary of a new set.
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

/// A claim of a Deployment, and its new name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClaimView {
    pub volume: String,
    /// Absent if the claim stays as it is.
    pub template: Option<String>,
    pub claim_now: String,
    pub claim_then: String,
    pub size: Option<String>,
    pub class: Option<String>,
}

/// The result of a conversion.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// One for each object of the input, in its order.
    pub outcomes: Vec<Outcome>,
    pub sets: Vec<SetView>,
    pub findings: Vec<Finding>,
    /// What [`convert_what_fits`] left as it was.
    pub refused: Vec<Refused>,
}

/// Deployments that were left as they were, and why. Their reasons are not among
/// the findings of the conversion.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Positions in the input: one, or all of `--from`.
    pub deployments: Vec<usize>,
    pub reasons: Vec<Finding>,
}

impl Conversion {
    /// Whether a guard refused: then the outcomes must not be used.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Whether a person has to look at something.
    pub fn needs_a_person(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity != Severity::Note)
    }
}

/// Converts the Deployments among `objects`.
///
/// # Errors
/// When the options name something that does not exist; everything else is a
/// finding.
pub fn convert(objects: &[Value], options: &Options) -> Result<Conversion, Error> {
    convert_groups(objects, options, false)
}

/// The same, but a Deployment that a guard refuses stays as it is, with its
/// claims, and the others are converted.
///
/// # Errors
/// As for [`convert`].
pub fn convert_what_fits(objects: &[Value], options: &Options) -> Result<Conversion, Error> {
    convert_groups(objects, options, true)
}

fn convert_groups(
    objects: &[Value],
    options: &Options,
    what_fits: bool,
) -> Result<Conversion, Error> {
    let mut converter = Converter::new(objects, options);
    let groups = converter.groups()?;
    known_volumes(objects, &groups, options)?;
    if let Some(flag) = one_set_only(options).filter(|_| groups.len() > 1) {
        let names: Vec<&str> = groups.iter().map(|group| name(&objects[group[0]])).collect();
        return Err(Error::usage(format!(
            "{flag} is for one Deployment, but {} would be converted",
            crate::output::text::list(&names)
        ))
        .hint("name the Deployment that you mean"));
    }
    for group in &groups {
        if what_fits {
            converter.convert_if_it_fits(group);
        } else {
            converter.convert_group(group);
        }
    }
    let stays = |group: &&Vec<usize>| {
        converter.refused.iter().any(|refused| refused.deployments == **group)
    };
    let groups: Vec<Vec<usize>> = groups.iter().filter(|group| !stays(group)).cloned().collect();
    converter.find_references(&groups);
    Ok(converter.finish())
}

/// A given flag that only makes sense for a single set.
fn one_set_only(options: &Options) -> Option<&'static str> {
    let flags = [
        (options.name.is_some(), "--name"),
        (options.service.is_some(), "--service"),
        (options.replicas.is_some(), "--replicas"),
    ];
    flags.into_iter().find_map(|(given, flag)| given.then_some(flag))
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
            let error = Error::usage(format!("{flag}: there is no volume {volume} with a claim"));
            return Err(match known.as_slice() {
                [] => error,
                known => error.hint(format!("volumes with a claim: {}", known.join(", "))),
            });
        }
    }
    Ok(())
}

/// The state of a conversion.
struct Converter<'a> {
    objects: &'a [Value],
    options: &'a Options,
    outcomes: Vec<Outcome>,
    sets: Vec<SetView>,
    findings: Vec<Finding>,
    /// Namespace, old name and new name of each renamed claim.
    renamed: Vec<(Option<String>, String, String)>,
    refused: Vec<Refused>,
}

impl<'a> Converter<'a> {
    fn new(objects: &'a [Value], options: &'a Options) -> Converter<'a> {
        Converter {
            objects,
            options,
            outcomes: vec![Outcome::Kept; objects.len()],
            sets: Vec::new(),
            findings: Vec::new(),
            renamed: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The namespace of an object. All objects without one are in the same one.
    fn namespace_of<'b>(&'b self, object: &'b Value) -> Option<&'b str> {
        namespace(object).or(self.options.namespace.as_deref())
    }

    /// The object of a kind and name in the namespace of `neighbour`.
    fn find(&self, kind: &str, wanted: &str, neighbour: &Value) -> Option<usize> {
        let namespace = self.namespace_of(neighbour);
        self.objects.iter().position(|object| {
            text(object, "/kind") == Some(kind)
                && name(object) == wanted
                && self.namespace_of(object) == namespace
        })
    }

    /// Refuses two objects with the same name: it is not clear which is meant.
    fn refuse_duplicates(&mut self, object: &Value) {
        let twin = |other: &&Value| {
            text(other, "/kind") == text(object, "/kind")
                && name(other) == name(object)
                && self.namespace_of(other) == self.namespace_of(object)
        };
        let number = self.objects.iter().filter(twin).count();
        if number > 1 {
            let on = kind_and_name(object);
            let message = format!("{on} is in the input {number} times");
            self.findings.push(rules::NAME_TAKEN.found(on, message).hint("leave out all but one"));
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
            if !raw::is_deployment(object) {
                continue;
            }
            if deployment_mounts(object).is_empty() {
                let message =
                    format!("Deployment {} mounts no claim: left unchanged", name(object));
                self.findings.push(
                    rules::NO_CLAIM
                        .found(kind_and_name(object), message)
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
            || self.objects.iter().enumerate().filter(|(_, object)| raw::is_deployment(object));
        let found: Vec<usize> = deployments()
            .filter(|(_, object)| {
                let asked = options.namespace.as_deref();
                name(object) == wanted && (asked.is_none() || self.namespace_of(object) == asked)
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
        self.report_template_changes(&source);
        self.check_managers(&source, group);
        let mut here: Vec<Produced> = made.into_iter().collect();
        for &other in &group[1..] {
            self.outcomes[other] = Outcome::Replaced(Vec::new());
        }
        for (index, claim) in storage.claims {
            let claim = Produced { class: Class::Converted, source: Some(index), body: claim };
            if index < first {
                match &mut self.outcomes[index] {
                    Outcome::Replaced(all) => all.push(claim),
                    kept @ Outcome::Kept => *kept = Outcome::Replaced(vec![claim]),
                }
                continue;
            }
            // If the set came first, its controller would create the claim, empty.
            let message =
                format!("claim {} was moved in front of its StatefulSet", name(&claim.body));
            self.findings
                .push(rules::PVC_FIRST.found(kind_and_name(&self.objects[index]), message));
            self.outcomes[index] = Outcome::Replaced(Vec::new());
            here.push(claim);
        }
        here.push(Produced { class: Class::Converted, source: Some(first), body });
        self.outcomes[first] = Outcome::Replaced(here);
        self.sets.push(SetView {
            namespace: self.namespace_of(&source.body).map(str::to_owned),
            name: set,
            deployments: group.iter().map(|&one| name(&self.objects[one]).to_owned()).collect(),
            service,
            mode: self.options.mode,
            claims: storage.views,
        });
    }

    /// Converts a group, unless a guard refuses: then everything is as before.
    fn convert_if_it_fits(&mut self, group: &[usize]) {
        let before = (self.outcomes.clone(), self.sets.len(), self.renamed.len());
        let known = self.findings.len();
        self.convert_group(group);
        let mut found = self.findings.split_off(known);
        self.options.allow.weigh(&mut found);
        if !found.iter().any(|finding| finding.severity == Severity::Error) {
            self.findings.extend(found);
            return;
        }
        let (outcomes, sets, renamed) = before;
        self.outcomes = outcomes;
        self.sets.truncate(sets);
        self.renamed.truncate(renamed);
        found.retain(|finding| finding.severity == Severity::Error);
        let mut reasons: Vec<Finding> = Vec::new();
        for finding in found {
            if !reasons.contains(&finding) {
                reasons.push(finding);
            }
        }
        self.refused.push(Refused { deployments: group.to_vec(), reasons });
    }

    /// The namespace of an object and the flags of the connection, for a line of
    /// kubectl to paste.
    fn typed(&self, object: &Value) -> String {
        let namespace = self.namespace_of(object).map(|namespace| format!(" -n {namespace}"));
        namespace.unwrap_or_default() + &self.options.flags
    }

    fn finish(mut self) -> Conversion {
        self.options.allow.weigh(&mut self.findings);
        let mut findings: Vec<Finding> = Vec::new();
        for finding in std::mem::take(&mut self.findings) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        findings.sort_by_key(|finding| finding.severity);
        let Converter { outcomes, sets, refused, .. } = self;
        Conversion { outcomes, sets, findings, refused }
    }
}
