//! What the verbs of `canary` show: a canary, the plan of one, the revisions of a
//! set; each as text, as names, as a document.

mod history;
mod next;
mod plan;
mod status;
mod tree;

pub use self::{
    history::{Comparison, HistoryView, RevisionView, render_history},
    next::{Next, Onward},
    plan::{PlanView, PlannedClass, PlannedOrdinal, plan_text, render_plan},
    status::{Class, GateView, OrdinalView, Stage, Verdict, View},
    tree::{render, tree},
};
use crate::{
    output::{Look, Paint, layout, text::one_line},
    workload::{Finding, Unread},
};

/// The findings; `word` stands before those of severity error.
fn block(findings: &[Finding], word: &str, look: Look) -> Vec<String> {
    findings.iter().flat_map(|finding| layout::finding(finding, word, look)).collect()
}

/// What could not be read, a line each.
fn unread_lines(unread: &[Unread], look: Look) -> Vec<String> {
    let label = layout::label("unread", Paint::Yellow, look);
    let text = |unread: &Unread| format!("{}: {}", unread.resource, one_line(&unread.why));
    unread.iter().flat_map(|unread| layout::hanging(&label, &text(unread), look.columns)).collect()
}
