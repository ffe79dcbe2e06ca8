//! The picture as a tree, as names, as a document.

use super::plan::{
    ClaimView, Clock, Health, OrdinalClass, OrdinalView, Picture, RevisionView, SetView,
};
use crate::{
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout,
        table::{self, Give},
        text::{age, one_line, printable, width},
    },
    workload::{PodManagement, Severity},
};

/// From this number on, consecutive ordinals that look the same share a line.
const GROUP_FROM: usize = 40;

/// The output in the requested format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render(picture: &Picture, exit: Exit, format: Format, look: Look) -> Result<String, Error> {
    match format {
        Format::Table => Ok(tree(picture, look)),
        Format::Wide => Ok(tree(picture, Look { wide: true, ..look })),
        Format::Name => Ok(format!("statefulset.apps/{}\n", one_line(&picture.set.name))),
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("status", exit, &picture.findings, &picture.unread, picture)
                .render(format)
        }
    }
}

/// The state of the set in one line, for the end of `--watch` and `--wait-for`.
pub fn summary(picture: &Picture) -> String {
    let set = &picture.set;
    let mut parts = vec![picture.health.label().to_owned(), set.ready_text()];
    if let Some(updated) = set.updated.filter(|_| set.current_revision != set.update_revision) {
        parts.push(format!("{updated} updated"));
    }
    if let Some(worst) = picture.findings.iter().find(|f| f.severity == Severity::Error) {
        parts.push(format!("{} {}", worst.id, one_line(&worst.message)));
    }
    parts.join(", ")
}

fn tree(picture: &Picture, look: Look) -> String {
    let mut lines = vec![header(picture, look)];
    lines.extend(branches(picture, look));
    let findings = finding_lines(picture, look);
    if !findings.is_empty() {
        lines.push(String::new());
        lines.extend(findings);
    }
    lines.join("\n") + "\n"
}

fn header(picture: &Picture, look: Look) -> String {
    let set = &picture.set;
    let paint = match picture.health {
        Health::Ready | Health::Parked => Paint::Green,
        Health::Progressing | Health::Unknown => Paint::Yellow,
        Health::Stuck => Paint::Red,
    };
    let name =
        look.palette.paint(Paint::Bold, &one_line(&format!("{}/{}", set.namespace, set.name)));
    let health = look.palette.paint(paint, picture.health.label());
    let plain = [set.namespace.len() + 1 + set.name.len(), picture.health.label().len()];
    // Escape sequences have no width on the screen.
    let painted = (width(&name) + width(&health)).saturating_sub(plain.iter().sum());
    let ready = match picture.health {
        Health::Unknown if set.uid.is_none() => format!("{} replicas, a manifest", set.replicas),
        _ => set.ready_text(),
    };
    let mut parts = vec![format!("StatefulSet {name}"), health, ready, order(set)];
    if let Some(service) = &set.service {
        parts.push(format!("Service {} ({})", one_line(&service.name), service.class));
    }
    let mut lines = vec![parts.join("  ")];
    if width(&lines[0]) > look.columns.min(layout::NARROW) + painted {
        let rest = parts.split_off(3);
        lines = vec![parts.join("  "), rest.join("  ")];
    }
    if !picture.managers.is_empty() {
        let managers: Vec<String> = picture
            .managers
            .iter()
            .map(|manager| format!("{} {}", manager.kind.label(), one_line(&manager.name)))
            .collect();
        lines.push(format!("managed by {}", managers.join(", ")));
    }
    lines.join("\n")
}

/// Pod management, strategy and order, without the defaults.
fn order(set: &SetView) -> String {
    let mut words = vec![match set.pod_management {
        PodManagement::OrderedReady => "OrderedReady".to_owned(),
        PodManagement::Parallel => "Parallel".to_owned(),
    }];
    if set.strategy != "RollingUpdate" {
        words.push(set.strategy.clone());
    }
    if let Some(partition) = set.partition.filter(|&partition| partition > 0) {
        words.push(format!("partition {partition}"));
    }
    if set.ordinals_start > 0 {
        words.push(format!("ordinals from {}", set.ordinals_start));
    }
    if set.min_ready_seconds > 0 {
        words.push(format!("minReadySeconds {}", set.min_ready_seconds));
    }
    words.join(", ")
}

/// One line of the tree: a revision, or cells under the shared columns.
enum Row {
    Revision(String),
    Ordinal { cells: Vec<String>, state: RowState },
}

#[derive(Clone, Copy)]
enum RowState {
    Ready,
    Waiting,
    Broken,
}

const HEADINGS: [&str; 10] =
    ["ORDINAL", "STATUS", "RESTARTS", "AGE", "NODE", "CLAIM", "SIZE", "CLASS", "RECLAIM", "VOLUME"];
const FIRST_CLAIM: usize = 5;

fn branches(picture: &Picture, look: Look) -> Vec<String> {
    if picture.items.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    let shown: Vec<(&RevisionView, Vec<&OrdinalView>)> = picture
        .revisions
        .iter()
        .map(|revision| (revision, of_revision(picture, revision)))
        .filter(|(_, ordinals)| !ordinals.is_empty())
        .collect();
    let last_branch = shown.len().saturating_sub(1);
    for (index, (revision, ordinals)) in shown.iter().enumerate() {
        let (fork, trunk) =
            if index == last_branch { ("└─", "   ") } else { ("├─", "│  ") };
        rows.push(Row::Revision(format!("{fork} {}", revision_text(revision, picture, look))));
        let groups = groups(ordinals, look);
        let last_group = groups.len().saturating_sub(1);
        for (index, group) in groups.iter().enumerate() {
            let (fork, under) =
                if index == last_group { ("└─", "   ") } else { ("├─", "│  ") };
            rows.extend(ordinal_rows(group, trunk, fork, under, look));
        }
    }
    layout(rows, picture, look)
}

fn of_revision<'a>(picture: &'a Picture, revision: &RevisionView) -> Vec<&'a OrdinalView> {
    let name =
        |item: &OrdinalView| item.pod.revision.clone().unwrap_or_else(|| "<unknown>".to_owned());
    picture.items.iter().filter(|item| name(item) == revision.name).collect()
}

fn revision_text(revision: &RevisionView, picture: &Picture, look: Look) -> String {
    let images = one_line(&revision.images.join(", "));
    if picture.set.update_revision.is_none() && revision.name == "<unknown>" {
        return format!("template   {images}").trim_end().to_owned();
    }
    let name = look.palette.paint(Paint::Cyan, &one_line(&revision.name));
    format!("{name}   {}   {images}", revision.role.label()).trim_end().to_owned()
}

/// Groups consecutive ordinals that look the same, if there are many.
fn groups<'a>(ordinals: &[&'a OrdinalView], look: Look) -> Vec<Vec<&'a OrdinalView>> {
    if look.wide || ordinals.len() < GROUP_FROM {
        return ordinals.iter().map(|&ordinal| vec![ordinal]).collect();
    }
    let mut groups: Vec<Vec<&OrdinalView>> = Vec::new();
    for &ordinal in ordinals {
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(|last| looks_alike(last, ordinal)) => {
                group.push(ordinal);
            }
            _ => groups.push(vec![ordinal]),
        }
    }
    // A pair on one line saves nothing and hides two names.
    groups
        .into_iter()
        .flat_map(|group| {
            if group.len() < 3 {
                group.into_iter().map(|one| vec![one]).collect()
            } else {
                vec![group]
            }
        })
        .collect()
}

fn looks_alike(one: &OrdinalView, next: &OrdinalView) -> bool {
    let claims = |ordinal: &OrdinalView| -> Vec<_> {
        let key = |c: &ClaimView| {
            (c.phase.clone(), c.size.clone(), c.storage_class.clone(), c.reclaim_policy.clone())
        };
        ordinal.claims.iter().map(key).collect()
    };
    next.pod.ordinal == one.pod.ordinal + 1
        && one.pod.state == next.pod.state
        && one.class == next.class
        && one.pod.ready == next.pod.ready
        && one.pod.restarts == next.pod.restarts
        && claims(one) == claims(next)
}

fn ordinal_rows(
    group: &[&OrdinalView],
    trunk: &str,
    fork: &str,
    under: &str,
    look: Look,
) -> Vec<Row> {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return Vec::new() };
    let several = group.len() > 1;
    let state = match first.class {
        OrdinalClass::Leaving if first.pod.state != "Terminating" => {
            format!("{} (leaving)", one_line(&first.pod.state))
        }
        _ => one_line(&first.pod.state),
    };
    let created = group.iter().filter_map(|ordinal| ordinal.pod.created).max();
    let exists = first.pod.uid.is_some() || first.pod.created.is_some();
    let name = if several {
        format!("{} … {}", first.pod.name, last.pod.name)
    } else {
        first.pod.name.clone()
    };
    let own = [
        format!("{trunk}{fork} {name}"),
        if several { format!("{} {state}", group.len()) } else { state },
        if exists { first.pod.restarts.to_string() } else { String::new() },
        created.map_or_else(String::new, |created| age(look.now.duration_since(created))),
        match &first.node {
            _ if several => String::new(),
            Some(node) => one_line(node),
            None if exists => "<none>".to_owned(),
            None => String::new(),
        },
    ];
    let state = match (first.class, first.pod.available) {
        (OrdinalClass::Present, true) => RowState::Ready,
        (OrdinalClass::Missing | OrdinalClass::Unknown | OrdinalClass::Leaving, _) => {
            RowState::Waiting
        }
        _ if first.pod.state.contains("BackOff") || first.pod.state.contains("Err") => {
            RowState::Broken
        }
        _ => RowState::Waiting,
    };
    let mut claims = first.claims.iter();
    let mut rows = Vec::new();
    let cells = own.into_iter().chain(claim_cells(claims.next(), several)).collect();
    rows.push(Row::Ordinal { cells, state });
    for claim in claims {
        let mut cells = vec![format!("{trunk}{under}")];
        cells.resize(FIRST_CLAIM, String::new());
        cells.extend(claim_cells(Some(claim), several));
        rows.push(Row::Ordinal { cells, state });
    }
    rows
}

fn claim_cells(claim: Option<&ClaimView>, several: bool) -> [String; 5] {
    let Some(claim) = claim else { return Default::default() };
    let phase = if claim.phase == "Bound" { String::new() } else { format!(" ({})", claim.phase) };
    // A line for many ordinals does not list the claims' names.
    let name = if several { "…".to_owned() } else { claim.name.clone() };
    let absent = matches!(claim.phase.as_str(), "missing" | "unknown");
    let or_none = |value: &Option<String>| match value {
        Some(value) => one_line(value),
        None if absent => String::new(),
        None => "<none>".to_owned(),
    };
    let policy = match (&claim.reclaim_policy, &claim.volume) {
        (Some(policy), _) => policy.clone(),
        // Bound, but the volume could not be read.
        (None, Some(_)) => "<unknown>".to_owned(),
        (None, None) => String::new(),
    };
    let volume = match &claim.volume {
        Some(volume) if !several => volume.clone(),
        _ => String::new(),
    };
    [format!("{name}{phase}"), or_none(&claim.size), or_none(&claim.storage_class), policy, volume]
}

/// What the columns of the tree give while its lines are too long.
const GIVES: [Give<'_>; 4] =
    [Give::Drop("NODE"), Give::Drop("CLASS"), Give::Drop("SIZE"), Give::Cut("CLAIM", 16)];

/// Aligns the ordinals' cells over all revisions, in lines that fit. Columns that
/// are empty everywhere are left out.
fn layout(rows: Vec<Row>, picture: &Picture, look: Look) -> Vec<String> {
    let mut table = vec![HEADINGS.map(str::to_owned).to_vec()];
    for row in &rows {
        if let Row::Ordinal { cells, .. } = row {
            // A name from a file may contain anything. The tree's spaces stay.
            let cell = |text: &String| printable(text).replace(['\n', '\t'], " ");
            table.push(cells.iter().map(cell).collect());
        }
    }
    if picture.items.iter().all(|item| item.claims.is_empty()) {
        drop_columns(&mut table, |column| column < FIRST_CLAIM);
    }
    if !look.wide {
        drop_columns(&mut table, |column| HEADINGS.get(column) != Some(&"VOLUME"));
    }
    let room = if look.wide { usize::MAX } else { look.columns.min(layout::NARROW) };
    let mut lines = table::fitted(table, &GIVES, room).into_iter();
    let mut out = Vec::new();
    out.extend(lines.next().map(|heading| look.palette.paint(Paint::Dim, &heading)));
    for row in rows {
        match row {
            Row::Revision(text) => out.push(text),
            Row::Ordinal { state, .. } => out.extend(lines.next().map(|line| match state {
                RowState::Ready => line,
                RowState::Waiting => look.palette.paint(Paint::Yellow, &line),
                RowState::Broken => look.palette.paint(Paint::Red, &line),
            })),
        }
    }
    out
}

fn drop_columns(table: &mut [Vec<String>], keep: impl Fn(usize) -> bool) {
    for row in table {
        let mut column = 0..;
        row.retain(|_| column.next().is_some_and(&keep));
    }
}

fn finding_lines(picture: &Picture, look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &picture.findings {
        lines.extend(layout::finding(finding, "stuck", look));
    }
    lines.extend(layout::unread(&picture.unread, look));
    if picture.clock == Clock::Files {
        let label = layout::label("as of", Paint::Dim, look);
        let text = format!("{}, the newest time in the files", picture.time);
        lines.extend(layout::hanging(&label, &text, look.columns));
    }
    lines
}
