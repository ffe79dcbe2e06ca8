//! The revisions of a set, and how two of them differ.

use jiff::Timestamp;
use serde::Serialize;

use super::unread_lines;
use crate::{
    canary::{diff::Difference, record::Record},
    output::{
        Envelope, Error, Exit, Format, Look,
        table::{self, Give},
        text::{age, one_line, width},
    },
    workload::{Facts, Revision, Survey, Unread, rollout::Template},
};

/// The revisions of a set.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    pub namespace: String,
    pub name: String,
    pub items: Vec<RevisionView>,
    /// How the two that were asked for differ.
    pub differences: Option<Comparison>,
    #[serde(skip)]
    pub unread: Vec<Unread>,
    #[serde(skip)]
    pods_known: bool,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub from: String,
    pub to: String,
    pub changes: Vec<Difference>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RevisionView {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub number: i64,
    /// `stable`, `canary`, `template` (what the template names), `undone` (made
    /// after the template's, and still run), or `old`.
    pub class: &'static str,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    pub images: Vec<String>,
    /// The pods that run it.
    pub pods: Vec<String>,
}

impl HistoryView {
    pub fn new(facts: &Facts, record: Option<&Record>, now: Timestamp) -> HistoryView {
        let set = &facts.set;
        let survey = Survey::new(facts, now);
        let update = set.status.update_revision.as_deref();
        let template = Template::of(&survey);
        let stable = match (record, &template) {
            (Some(record), _) => Some(record.stable.as_str()),
            (None, Template::Everywhere { .. }) => None,
            (None, template) => template.stable(),
        };
        let undone = match &template {
            Template::Older { undone, .. } => undone.as_slice(),
            _ => &[],
        };
        let mut revisions: Vec<&Revision> = facts.revisions.iter().flatten().collect();
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
        let items = revisions.iter().map(|revision| {
            let name = revision.name.as_str();
            let class = match record {
                _ if Some(name) == stable => "stable",
                _ if undone.contains(&name) => "undone",
                Some(_) if Some(name) == update => "canary",
                None if Some(name) == update => "template",
                _ => "old",
            };
            let pods = survey.pods().filter(|(_, pod)| pod.revision() == Some(name));
            RevisionView {
                kind: "ControllerRevision",
                namespace: set.namespace.clone(),
                name: name.to_owned(),
                number: revision.number,
                class,
                created: revision.created,
                images: revision.images.iter().map(|(_, image)| image.clone()).collect(),
                pods: pods.map(|(slot, _)| slot.name.clone()).collect(),
            }
        });
        HistoryView {
            namespace: set.namespace.clone(),
            name: set.name.clone(),
            items: items.collect(),
            differences: None,
            unread: facts.unread.clone(),
            pods_known: survey.pods_known,
        }
    }
}

/// The revisions in the asked format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render_history(
    view: &HistoryView,
    exit: Exit,
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Name => {
            let names = view.items.iter();
            let names =
                names.map(|item| format!("controllerrevision.apps/{}", one_line(&item.name)));
            Ok(names.map(|name| name + "\n").collect())
        }
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("canary-history", exit, &[], &view.unread, view).render(format)
        }
        Format::Table | Format::Wide => Ok(history_text(view, look)),
    }
}

/// What the columns give where lines are too long.
const GIVES: [Give<'_>; 3] =
    [Give::Cut("IMAGES", 24), Give::Cut("PODS", 12), Give::Cut("IMAGES", 12)];

fn history_text(view: &HistoryView, look: Look) -> String {
    if let Some(comparison) = &view.differences {
        return comparison_text(comparison);
    }
    let unread: String =
        unread_lines(&view.unread, look).into_iter().map(|line| line + "\n").collect();
    if view.items.is_empty() {
        let name = one_line(&format!("{}/{}", view.namespace, view.name));
        // An empty list that was read is another thing than one that was not.
        let none = if view.unread.is_empty() {
            format!("{name} has no revisions yet\n")
        } else {
            format!("the revisions of {name} are unknown\n")
        };
        return none + &unread;
    }
    let headings = ["NAME", "REVISION", "ROLE", "PODS", "IMAGES", "AGE"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    for item in &view.items {
        let pods = match item.pods.as_slice() {
            [] if !view.pods_known => "<unknown>".to_owned(),
            [] => "<none>".to_owned(),
            pods if look.wide || pods.len() <= 3 => pods.join(","),
            pods => format!("{},… ({})", pods[0], pods.len()),
        };
        let since = item.created.map(|created| age(look.now.duration_since(created)));
        rows.push(vec![
            one_line(&item.name),
            item.number.to_string(),
            item.class.to_owned(),
            pods,
            one_line(&item.images.join(",")),
            since.unwrap_or_else(|| "<unknown>".to_owned()),
        ]);
    }
    table::fitted(rows, &GIVES, look.room()).join("\n") + "\n" + &unread
}

fn comparison_text(comparison: &Comparison) -> String {
    let value =
        |value: &Option<String>| value.as_deref().map_or_else(|| "<none>".to_owned(), one_line);
    let mut lines = vec![format!("{} → {}", comparison.from, comparison.to)];
    if comparison.changes.is_empty() {
        lines.push("no difference".to_owned());
    }
    let widest = comparison.changes.iter().map(|change| width(&change.path)).max().unwrap_or(0);
    for change in &comparison.changes {
        let gap = " ".repeat(widest.saturating_sub(width(&change.path)));
        lines.push(format!(
            "{}{gap}   {} → {}",
            one_line(&change.path),
            value(&change.before),
            value(&change.after)
        ));
    }
    lines.join("\n") + "\n"
}
