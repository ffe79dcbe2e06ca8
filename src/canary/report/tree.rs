//! A canary as text: a tree of revisions with their ordinals, and what comes next.

use super::{
    block,
    status::{Class, GateView, OrdinalView, Stage, Verdict, View},
    unread_lines,
};
use crate::{
    canary::rules,
    output::{
        Envelope, Error, Exit, Format, Look, Paint, Palette, layout, table,
        text::{age, count, one_line, verbatim},
    },
    workload::{Finding, Unread},
};

/// The answer in the asked format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render(
    view: &View,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Table => Ok(tree(view, findings, look)),
        Format::Wide => Ok(tree(view, findings, Look { wide: true, ..look })),
        Format::Name => Ok(format!("statefulset.apps/{}\n", one_line(&view.name))),
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("canary", exit, &all(view, findings), &view.unread, view).render(format)
        }
    }
}

/// What stopped a run, and what is in the way now.
fn all(view: &View, findings: &[Finding]) -> Vec<Finding> {
    let is_new = |finding: &&Finding| {
        let same = |known: &Finding| known.id == finding.id && known.object == finding.object;
        !findings.iter().any(same)
    };
    let mut all: Vec<Finding> =
        findings.iter().chain(view.findings.iter().filter(is_new)).cloned().collect();
    all.sort_by_key(|finding| finding.severity);
    all
}

/// The tree, and below it what is in the way and the commands that may come next.
pub fn tree(view: &View, findings: &[Finding], look: Look) -> String {
    if view.is_dead {
        return block(findings, "stopped", look).join("\n") + "\n";
    }
    let mut lines = vec![header(view, look)];
    lines.extend(branches(view, look));
    let findings = all(view, findings);
    let mut below = block(&findings, "stopped", look);
    // A guard may have said so already.
    let is_said = |unread: &Unread| {
        let said = format!("{} could not be read", unread.resource);
        findings.iter().any(|finding| finding.message.starts_with(&said))
    };
    let unread: Vec<Unread> =
        view.unread.iter().filter(|unread| !is_said(unread)).cloned().collect();
    below.extend(unread_lines(&unread, look));
    if let Some(theirs) = view.foreign_template.as_ref().filter(|_| view.stage == Stage::Staged) {
        let revision = theirs
            .revision
            .as_deref()
            .map_or_else(String::new, |revision| format!("{}, ", one_line(revision)));
        let text = format!("{revision}set by {}: {}", theirs.who(), theirs.what());
        let label = layout::label("waits", Paint::Dim, look);
        below.extend(layout::hanging(&label, &text, look.columns));
    }
    if let Some(waiting) = &view.waiting {
        below.extend(layout::hanging("waiting", &format!("for {waiting}"), look.columns));
    }
    for next in &view.next {
        let label = layout::label(next.what, Paint::Dim, look);
        below.push(format!("{label}  {}", verbatim(&next.command)));
    }
    if !below.is_empty() {
        lines.push(String::new());
        lines.extend(below);
    }
    lines.join("\n") + "\n"
}

fn header(view: &View, look: Look) -> String {
    let name = one_line(&format!("{}/{}", view.namespace, view.name));
    let name = look.palette.paint(Paint::Bold, &name);
    let moved = if view.pods_known { view.moved().to_string() } else { "unknown".to_owned() };
    let moved = format!("{moved} of {}", view.replicas);
    let applies_partition =
        view.findings.iter().any(|finding| finding.id == rules::MANIFEST_PARTITION.id);
    let (paint, stage) = match view.stage {
        Stage::None if view.items.iter().any(|item| item.class == Class::Other) => {
            (Paint::Yellow, "no canary, but not all pods run the template's revision".to_owned())
        }
        Stage::None => (Paint::Green, "no canary".to_owned()),
        Stage::Staged if view.foreign_template.is_some() => {
            (Paint::Yellow, "staged: a new template waits, held back from every pod".to_owned())
        }
        Stage::Staged if applies_partition => {
            (Paint::Yellow, "staged, until its manifest is applied again".to_owned())
        }
        Stage::Staged => {
            (Paint::Yellow, "staged: new templates are held back from every pod".to_owned())
        }
        Stage::Changed if view.is_taken_back && view.pods_known && view.moved() == 0 => {
            (Paint::Red, "canary, taken back by somebody else".to_owned())
        }
        Stage::Changed if view.is_taken_back => {
            let target = format!("canary, {moved} still moved, taken back by somebody else");
            (Paint::Red, target)
        }
        Stage::Changed => (Paint::Red, format!("canary, {moved} moved, changed by somebody else")),
        Stage::Judging | Stage::Paused if view.is_broken() => {
            (Paint::Red, format!("canary, {moved} moved, failing"))
        }
        Stage::Judging if view.all_passed => {
            (Paint::Yellow, format!("canary, {moved} moved, waiting"))
        }
        Stage::Judging => (Paint::Yellow, format!("canary, {moved} moved, judging")),
        Stage::Paused => (Paint::Green, format!("canary, {moved} moved, paused")),
        Stage::Aborting if view.foreign_template.is_some() => {
            (Paint::Red, "aborting, and the template was changed by somebody else".to_owned())
        }
        Stage::Aborting => (Paint::Red, "aborting".to_owned()),
    };
    let stage = look.palette.paint(paint, &stage);
    let mut parts = vec![format!("StatefulSet {name}"), stage];
    match view.strategy.as_str() {
        "RollingUpdate" if view.partition > 0 || view.stage != Stage::None => {
            let was = view.original_partition.filter(|was| *was != view.partition);
            let was = was.map_or_else(String::new, |was| format!(" (was {was})"));
            parts.push(format!("partition {}{was}", view.partition));
        }
        "RollingUpdate" => {}
        other => parts.push(one_line(other)),
    }
    if view.start_ordinal > 0 {
        parts.push(format!("ordinals from {}", view.start_ordinal));
    }
    if let Some(started) = view.started {
        parts.push(format!("since {}", age(look.now.duration_since(started))));
    }
    parts.join("  ")
}

fn branches(view: &View, look: Look) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for item in &view.items {
        let name = item.pod.revision.as_deref().unwrap_or("<none>");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut revisions: Vec<(usize, String)> = Vec::new();
    let last_branch = names.len().saturating_sub(1);
    for (branch, name) in names.iter().enumerate() {
        let (fork, trunk) =
            if branch == last_branch { ("└─", "   ") } else { ("├─", "│  ") };
        revisions.push((rows.len(), format!("{fork} {}", revision_line(view, name, look))));
        let ordinals: Vec<&OrdinalView> = view
            .items
            .iter()
            .filter(|item| item.pod.revision.as_deref().unwrap_or("<none>") == *name)
            .collect();
        let last = ordinals.len().saturating_sub(1);
        for (place, item) in ordinals.iter().enumerate() {
            let fork = if place == last { "└─" } else { "├─" };
            rows.push(cells(item, &format!("{trunk}{fork} "), look));
        }
    }
    let aligned = table::columns(rows);
    let mut lines = Vec::new();
    let mut revisions = revisions.into_iter().peekable();
    for (place, line) in aligned.into_iter().enumerate() {
        while let Some((_, revision)) = revisions.next_if(|(before, _)| *before == place) {
            lines.push(revision);
        }
        lines.push(line);
    }
    lines
}

fn revision_line(view: &View, name: &str, look: Look) -> String {
    let role = if Some(name) == view.stable.as_deref() {
        "stable"
    } else if Some(name) == view.target.as_deref() {
        "canary"
    } else if name == "<none>" {
        return if view.pods_known { "no pod" } else { "unknown pods" }.to_owned();
    } else {
        "other"
    };
    let images = view.images.iter().find(|(known, _)| known == name);
    let images = images.map_or_else(String::new, |(_, images)| one_line(images));
    let name = look.palette.paint(Paint::Cyan, &one_line(name));
    format!("{name}   {role}   {images}").trim_end().to_owned()
}

fn cells(item: &OrdinalView, trunk: &str, look: Look) -> Vec<String> {
    let since = item
        .pod
        .created
        .map_or_else(|| "<none>".to_owned(), |created| age(look.now.duration_since(created)));
    let restarts =
        if item.pod.restarts > 0 { count(restarts(item), "restart") } else { String::new() };
    let mut cells = vec![
        format!("{trunk}{}", one_line(&item.pod.name)),
        one_line(&item.pod.state),
        since,
        restarts,
        gate_summary(item, look.palette),
    ];
    if look.wide {
        cells.push(item.pod.uid.clone().unwrap_or_else(|| "<none>".to_owned()));
    }
    cells
}

fn restarts(item: &OrdinalView) -> usize {
    usize::try_from(item.pod.restarts).unwrap_or(usize::MAX)
}

/// The gates of an ordinal in one cell: those that are open, or that all passed.
fn gate_summary(item: &OrdinalView, palette: Palette) -> String {
    if let Some(failed) = item.gates.iter().find(|gate| gate.verdict == Verdict::Fail) {
        return palette.paint(Paint::Red, &format!("✗ {}", failed.gate));
    }
    let is_open = |gate: &&GateView| gate.verdict != Verdict::Pass;
    let passed = item.gates.iter().any(|gate| gate.gate == "judged" && !is_open(&gate));
    // One that has passed may be unready again, for as long as another restarts.
    if passed && !item.gates.iter().any(|gate| is_open(&gate)) {
        return palette.paint(Paint::Green, "✓ passed");
    }
    let open: Vec<String> = item
        .gates
        .iter()
        .filter(is_open)
        .map(|gate| format!("{}: {}", gate.gate, one_line(&gate.message)))
        .collect();
    open.join(", ")
}
