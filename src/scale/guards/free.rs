//! Volumes that wait for any claim. The binder prefers one that fits to making a disk, so
//! that a new claim may get an old one. Pure.

use serde_json::Value;

use super::coming::reserved;
use crate::{
    output::text::list,
    scale::{
        preview::{Disk, Fate, Ordinal, Preview},
        rules,
    },
    workload::{ClaimTemplate, Finding, Survey, Volume, node_matches},
};

/// How many volumes a line to type names.
const MAX_NAMED: usize = 3;

/// Whether which volumes fit depends on the nodes.
pub fn depends_on_nodes(survey: &Survey, preview: &Preview) -> bool {
    survey.set.claim_templates.iter().any(|template| {
        !made_from(survey, preview, template).is_empty()
            && waits_for_pod(survey, template)
            && fitting(survey, template).any(|volume| volume.node_terms.is_some())
    })
}

/// A finding for each template whose new claims may be bound to a volume that is there.
/// `nodes` are those of the cluster, where [`depends_on_nodes`].
pub fn free_volumes(survey: &Survey, preview: &Preview, nodes: Option<&[Value]>) -> Vec<Finding> {
    let templates = survey.set.claim_templates.iter();
    templates.filter_map(|template| of_template(survey, preview, template, nodes)).collect()
}

fn of_template(
    survey: &Survey,
    preview: &Preview,
    template: &ClaimTemplate,
    nodes: Option<&[Value]>,
) -> Option<Finding> {
    let claims = made_from(survey, preview, template);
    let first = claims.first()?;
    let waits = waits_for_pod(survey, template);
    let (mut doubtful, mut volumes) = (false, Vec::new());
    for volume in fitting(survey, template) {
        // The controller binds without a look at the nodes, the scheduler with one.
        match (volume.node_terms.as_ref().filter(|_| waits), nodes) {
            (Some(_), None) => doubtful = true,
            (Some(terms), Some(nodes)) => {
                let fits = |node: &Value| terms.iter().any(|term| node_matches(node, term));
                if !nodes.iter().any(fits) {
                    continue;
                }
            }
            (None, _) => {}
        }
        volumes.push(volume.name.as_str());
    }
    let named = volumes.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(" ");
    let (of, which) = match claims.as_slice() {
        [one] => (format!("claim {one}"), "it"),
        several => (format!("claims {}", list(several)), "each of them"),
    };
    let (noun, verb, what) = match volumes.len() {
        0 => return None,
        1 => ("volume", "is", "it"),
        _ => ("volumes", "are", "them"),
    };
    let doubt = if doubtful { ", if a node can use it (nodes could not be read)" } else { "" };
    let message = format!(
        "{of} may not get a new disk: {noun} {} {verb} Available for any claim, and Kubernetes \
         prefers one that fits {which} to making one{doubt}; what is on {what} is not known",
        list(&volumes)
    );
    let hint = format!("kubectl describe pv {named}{}", survey.cluster_wide());
    let on = format!("persistentvolumeclaim/{first}");
    Some(rules::FREE_VOLUME.found(on, message).hint(hint))
}

/// The claims that will be made from this template, and for which no volume is reserved.
fn made_from<'a>(survey: &Survey, preview: &'a Preview, template: &ClaimTemplate) -> Vec<&'a str> {
    let is_made = |(item, disk): &(&Ordinal, &Disk)| {
        matches!(disk.fate, Fate::New | Fate::SetAside)
            && disk.claim == survey.set.claim_name(template, item.ordinal)
            && reserved(survey, item, disk).is_none()
    };
    preview.disks().filter(is_made).map(|(_, disk)| disk.claim.as_str()).collect()
}

/// The volumes without a claim that fit a claim of this template, but for the nodes.
fn fitting<'a>(
    survey: &'a Survey,
    template: &'a ClaimTemplate,
) -> impl Iterator<Item = &'a Volume> {
    let claim = template.claim();
    let class = survey.facts.class_asked_for(template.class.as_deref());
    survey.facts.volumes.iter().flatten().filter(move |volume| {
        // Where the default is not known, it may be any.
        let is_of_class =
            class.is_none_or(|class| class == volume.class.as_deref().unwrap_or_default());
        volume.claim.is_none() && is_of_class && volume.unfit_for(&claim).is_none()
    })
}

/// Whether its claims are bound only once their pod has a node.
fn waits_for_pod(survey: &Survey, template: &ClaimTemplate) -> bool {
    let class = survey.facts.class_asked_for(template.class.as_deref());
    class.and_then(|class| survey.facts.class(class)).is_some_and(|class| class.waits_for_consumer)
}
