//! Who may bring a change back that an abort has reverted. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, json};

use super::{
    change,
    diff::{self, Difference},
    plan::State,
    rules,
};
use crate::{
    output::text::one_line,
    workload::{Facts, Finding, Manager, ManagerKind, Operation, managers, same_quantity},
};

/// A finding for everyone who may bring the change back, of a set whose template
/// is the stable one again. `adopted`: somebody else had applied the change.
/// `reverted`: what the abort took back, as it was before.
pub fn appliers(facts: &Facts, adopted: bool, reverted: &[Difference]) -> Vec<Finding> {
    let set = &facts.set;
    let found = |message: String| rules::COMES_BACK.found(set.reference(), message);
    let mut findings = Vec::new();
    if adopted {
        use ManagerKind::{ArgoCD, Flux, Helm, Owner};
        let who = managers(set, &facts.autoscalers);
        let who: Vec<&Manager> =
            who.iter().filter(|one| matches!(one.kind, ArgoCD | Flux | Helm | Owner)).collect();
        findings.extend(who.iter().map(|Manager { kind, name, .. }| {
            let who = format!("{} {name}", kind.label());
            found(format!("{who} may bring the new version back: revert it there, too"))
        }));
        // What the manifest of a server-side apply says is not to be seen. Under
        // the same names others update, which never comes again by itself.
        // Argo CD and Flux are named already.
        let appliers = set.field_managers.iter().filter(|manager| {
            manager.operation == Operation::Apply
                && manager.template
                && !manager.is_ours()
                && manager.gitops().is_none()
        });
        findings.extend(appliers.map(|manager| {
            let who = match manager.name.as_str() {
                "kubectl" => "kubectl apply --server-side".to_owned(),
                other => one_line(other),
            };
            found(format!(
                "{who} has applied this template: if its manifest has the new version, the next \
                 apply brings it back"
            ))
        }));
    }
    findings.extend(brought_by_manifest(facts, reverted).map(found));
    findings
}

/// What an abort takes back: in what the template is another than the stable
/// one, what the canary had brought, and the pods that are not of the stable
/// one. An abort that goes on finds what the first one has taken back already
/// among the revisions.
pub fn reverted(state: &State) -> Vec<Difference> {
    let (facts, stable) = (state.survey.facts, &state.record.stable);
    let Some(before) = facts.revision(stable) else { return Vec::new() };
    let run: BTreeSet<&str> = state.survey.pods().filter_map(|(_, pod)| pod.revision()).collect();
    let others = run.into_iter().filter(|name| name != stable);
    let others = others.filter_map(|name| facts.revision(name)).map(|other| &other.template);
    let brought = facts.revisions.iter().flatten().map(|revision| &revision.template);
    let brought = brought.filter(|one| diff::fingerprint(one) == state.record.template);
    let others = others.chain(brought);
    std::iter::once(&facts.set.template.raw)
        .chain(others)
        .flat_map(|other| diff::differences(&before.template, other))
        .collect()
}

/// The first reverted field that the manifest of the last `kubectl apply` would
/// change again. What `kubectl set env` and the like have brought is in no
/// manifest.
fn brought_by_manifest(facts: &Facts, reverted: &[Difference]) -> Option<String> {
    let set = &facts.set;
    let manifest = set.last_applied()?;
    let template = manifest.pointer("/spec/template")?;
    let patch = Map::from_iter([("spec".to_owned(), json!({ "template": template }))]);
    let now = &set.template.raw;
    // The server normalizes quantities: 1000m becomes 1.
    let same = |one: &Option<String>, other: &Option<String>| {
        one == other || one.as_ref().zip(other.as_ref()).is_some_and(|(a, b)| same_quantity(a, b))
    };
    let brought = diff::differences(now, &change::apply(now, &patch));
    let returns = |one: &Difference| {
        let had = reverted.iter().filter(|other| other.path == one.path);
        had.into_iter().any(|other| same(&other.after, &one.after))
    };
    let one = brought.into_iter().find(|one| !same(&one.before, &one.after) && returns(one))?;
    let value = one.after.map_or_else(|| "<none>".to_owned(), |after| one_line(&after));
    Some(format!(
        "the manifest that kubectl apply has applied last brings {} back: {value}; revert it \
         there, too",
        one.path
    ))
}
