//! The plan of a canary: what would change, and which ordinals move.

use serde::Serialize;

use super::{block, unread_lines};
use crate::{
    canary::{diff::Difference, rules},
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout, table,
        text::{count, one_line},
    },
    workload::{Finding, Severity, Unread},
};

/// The plan that `canary plan` shows, and `canary start` before it asks.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub replicas: u32,
    pub start_ordinal: u32,
    pub stable: Option<String>,
    /// What changes in the pod template.
    pub changes: Vec<Difference>,
    /// The ordinals that move, in that order, with their fate.
    pub items: Vec<PlannedOrdinal>,
    pub gates: Vec<String>,
    /// The first write, as it will be named.
    pub write: Option<String>,
    /// The same as kubectl would say it.
    pub kubectl: Option<String>,
    /// Changes with everything that the plan was made from.
    pub hash: String,
    /// Whether the server has tried it, without storing it.
    pub tried: bool,
    #[serde(skip)]
    pub command: String,
    #[serde(skip)]
    pub unread: Vec<Unread>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlannedOrdinal {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub class: PlannedClass,
    pub ordinal: u32,
    pub index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PlannedClass {
    /// Gets the new version in this run.
    Moves,
    /// Has moved already.
    Moved,
    /// Keeps the stable revision.
    Stays,
}

/// The plan in the asked format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render_plan(
    view: &PlanView,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Name => Ok(format!("statefulset.apps/{}\n", one_line(&view.name))),
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("canary-plan", exit, findings, &view.unread, view).render(format)
        }
        Format::Table | Format::Wide => {
            let mut text = plan_text(view, findings, look);
            let refused = findings.iter().any(|f| f.severity == Severity::Error);
            let hash = &view.hash;
            text.push_str(&layout::label("plan", Paint::Dim, look));
            text.push_str("  ");
            if refused {
                text.push_str("refused: nothing was changed");
            } else {
                text.push_str(hash);
                text.push_str(": nothing was changed");
            }
            if !refused && !view.command.is_empty() {
                text.push_str("; to do it:\n         ");
                text.push_str(&view.command);
            }
            text.push('\n');
            Ok(text)
        }
    }
}

/// How many changes are shown to people. A patch can have thousands.
const MAX_CHANGES: usize = 20;

/// What will happen, for people.
pub fn plan_text(view: &PlanView, findings: &[Finding], look: Look) -> String {
    let name = one_line(&format!("{}/{}", view.namespace, view.name));
    let name = look.palette.paint(Paint::Bold, &name);
    let mut lines = vec![format!(
        "StatefulSet {name}  canary  {}",
        count(usize::try_from(view.replicas).unwrap_or(usize::MAX), "replica")
    )];
    lines.push(String::new());
    let value =
        |value: &Option<String>| value.as_deref().map_or_else(|| "<none>".to_owned(), one_line);
    let changes: Vec<Vec<String>> = view
        .changes
        .iter()
        .take(MAX_CHANGES)
        .map(|change| {
            let arrow = format!("{} → {}", value(&change.before), value(&change.after));
            vec![one_line(&change.path), arrow]
        })
        .collect();
    for (place, line) in table::columns(changes).into_iter().enumerate() {
        let label = if place == 0 { "change" } else { "" };
        lines.push(format!("{label:<7}  {line}"));
    }
    let hidden = view.changes.len().saturating_sub(MAX_CHANGES);
    if hidden > 0 {
        lines.push(format!(
            "         … and {}: canary plan -o json lists them",
            count(hidden, "more change")
        ));
    }
    let named = |class: PlannedClass| -> Vec<&str> {
        let items = view.items.iter().filter(|item| item.class == class);
        items.map(|item| item.name.as_str()).collect()
    };
    let mut say = |label: &str, text: String| {
        lines.extend(layout::hanging(&format!("{label:<7}"), &text, look.columns));
    };
    let (moves, moved, stays) =
        (named(PlannedClass::Moves), named(PlannedClass::Moved), named(PlannedClass::Stays));
    if !moved.is_empty() {
        say("moved", moved.join(", "));
    }
    if !moves.is_empty() {
        say("moves", moves.join(", then "));
    }
    if !stays.is_empty() {
        let stable = view.stable.as_deref().unwrap_or("the stable revision");
        // The finding says which revision one would come back on.
        let kept = findings.iter().all(|finding| finding.id != rules::NOT_KEPT.id);
        let unless = if kept { "" } else { ", unless one is recreated" };
        say("stays", format!("{} on {stable}{unless}", stays.join(", ")));
    }
    say("gates", view.gates.join(", "));
    if let Some(write) = &view.write {
        say("write", write.clone());
    }
    let mut found = block(findings, "refused", look);
    found.extend(unread_lines(&view.unread, look));
    if !found.is_empty() {
        lines.push(String::new());
        lines.extend(found);
    }
    lines.push(String::new());
    lines.join("\n")
}
