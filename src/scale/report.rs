//! A scaling for people and for programs: what would happen, and what did.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::preview::{Disk, Fate, Ordinal, Preview, Way};
use crate::{
    orphans,
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout, table,
        text::{age, count, one_line},
    },
    workload::{Facts, Finding, PodManagement, Retention, Severity, Survey, Unread},
};

/// The payload of `-o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// The replicas at this moment.
    pub replicas: u32,
    /// How many of them are available.
    pub available: u32,
    pub pod_management: &'static str,
    /// `whenScaled`: what the set does with claims of ordinals that leave.
    pub when_scaled: &'static str,
    #[serde(flatten)]
    pub preview: Preview,
    /// The hash for --confirm-plan.
    pub plan: String,
    /// What this run wrote, in order.
    pub writes: Vec<String>,
    /// The line that goes on, or does it.
    pub next: Option<String>,
    /// The line that takes it back.
    pub undo: Option<String>,
    /// After a scale-down, what nothing needs any more of the set; `null`
    /// where that was not looked for, or could not be read.
    pub orphans: Option<orphans::report::View>,
    #[serde(skip)]
    pub took: Option<SignedDuration>,
    #[serde(skip)]
    unread: Vec<Unread>,
}

impl View {
    pub fn new(facts: &Facts, preview: Preview, plan: String, now: Timestamp) -> View {
        let (set, survey) = (&facts.set, Survey::new(facts, now));
        let well = survey.slots.iter().filter(|slot| slot.is_available(set, now)).count();
        View {
            namespace: set.namespace.clone(),
            name: set.name.clone(),
            uid: set.uid.clone(),
            replicas: set.replicas,
            available: u32::try_from(well).unwrap_or(u32::MAX),
            pod_management: match set.pod_management {
                PodManagement::OrderedReady => "OrderedReady",
                PodManagement::Parallel => "Parallel",
            },
            when_scaled: match set.when_scaled {
                Retention::Retain => "Retain",
                Retention::Delete => "Delete",
            },
            preview,
            plan,
            writes: Vec::new(),
            next: None,
            undo: None,
            orphans: None,
            took: None,
            unread: facts.unread.clone(),
        }
    }
}

/// The answer in the asked format; `over` tells an end from a plan.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render(
    view: &View,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    look: Look,
    over: bool,
) -> Result<String, Error> {
    match format {
        Format::Name => Ok(format!("statefulset.apps/{}\n", one_line(&view.name))),
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("scale", exit, findings, &view.unread, view).render(format)
        }
        Format::Table | Format::Wide => {
            let look = Look { wide: format == Format::Wide, ..look };
            Ok(if over { end(view, exit, findings, look) } else { plan(view, findings, look) })
        }
    }
}

/// What would happen.
pub fn plan(view: &View, findings: &[Finding], look: Look) -> String {
    let mut lines = vec![header(view, look), String::new()];
    lines.extend(ordinals(&view.preview, look));
    lines.extend(found(findings, "refused", look));
    lines.push(String::new());
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    let label = layout::label("plan", Paint::Dim, look);
    lines.push(match &view.next {
        _ if refused => format!("{label}  refused: nothing was changed"),
        Some(next) => {
            format!("{label}  {}: nothing was changed; to do it:\n         {next}", view.plan)
        }
        None => format!("{label}  {}", view.plan),
    });
    lines.join("\n") + "\n"
}

/// The set while it is scaled: a line for each ordinal, and what is waited for.
pub fn live(view: &View, survey: &Survey, waiting: &str, look: Look) -> String {
    let mut lines = vec![header(view, look), String::new()];
    let mut rows = vec![["POD", "STATE", "NODE"].map(str::to_owned).to_vec()];
    for slot in survey.slots.iter().chain(&survey.leaving) {
        let state = slot.pod.map_or_else(|| "Missing".to_owned(), crate::workload::Pod::state);
        let node = slot.pod.and_then(|pod| pod.node.as_deref());
        rows.push(vec![one_line(&slot.name), state, word(node)]);
    }
    lines.extend(table::columns(rows));
    lines.push(String::new());
    let label = layout::label("waits", Paint::Dim, look);
    lines.extend(layout::hanging(&label, waiting, look.columns));
    lines.join("\n") + "\n"
}

/// How it ended.
fn end(view: &View, exit: Exit, findings: &[Finding], look: Look) -> String {
    let name =
        look.palette.paint(Paint::Bold, &one_line(&format!("{}/{}", view.namespace, view.name)));
    let (paint, what) = match exit {
        Exit::Done if view.preview.items.is_empty() => {
            (Paint::Green, format!("{} already", count_replicas(view.replicas)))
        }
        Exit::Done => (Paint::Green, format!("scaled {} → {}", view.preview.from, view.replicas)),
        _ => (
            Paint::Yellow,
            format!(
                "stopped at {} on the way {} → {}",
                view.replicas, view.preview.from, view.preview.to
            ),
        ),
    };
    let took = view.took.map_or_else(String::new, |took| format!("    in {}", age(took)));
    let well = format!("{} of {} available", view.available, view.replicas);
    let mut lines =
        vec![format!("StatefulSet {name}    {}    {well}{took}", look.palette.paint(paint, &what))];
    // What stays is in the report of orphans, where there is one.
    let reported = |fate: Fate| fate == Fate::Kept && view.orphans.is_some();
    let tables = [
        left_behind(view, |disk| !reported(disk.fate)),
        view.orphans.as_ref().map_or_else(Vec::new, |of| orphans::report::table_and_sum(of, look)),
    ];
    for table in tables.into_iter().filter(|table| !table.is_empty()) {
        lines.push(String::new());
        lines.extend(table);
    }
    lines.extend(found(findings, "stopped", look));
    lines.push(String::new());
    let mut say = |label: &str, text: &Option<String>| {
        if let Some(text) = text {
            lines.push(format!("{}  {text}", layout::label(label, Paint::Dim, look)));
        }
    };
    say("next", &view.next);
    say("undo", &view.undo);
    lines.join("\n") + "\n"
}

fn count_replicas(replicas: u32) -> String {
    count(usize::try_from(replicas).unwrap_or(usize::MAX), "replica")
}

/// The claims of ordinals that are gone, and what became of them.
fn left_behind(view: &View, shown: impl Fn(&Disk) -> bool) -> Vec<String> {
    let start = view.preview.items.iter().map(|item| item.ordinal).min().unwrap_or_default();
    // Ordinals count from the set's start, replicas from zero.
    let lowest = view.preview.from.min(view.preview.to);
    let gone = |item: &&Ordinal| {
        item.class == Way::Leaves && item.ordinal - start + lowest >= view.replicas
    };
    let mut rows = vec![
        ["LEFT BEHIND", "VOLUME", "SIZE", "CLASS", "POLICY", "DATA"].map(str::to_owned).to_vec(),
    ];
    for item in view.preview.items.iter().filter(gone) {
        for disk in item.claims.iter().filter(|disk| disk.fate != Fate::Absent && shown(disk)) {
            rows.push(vec![
                one_line(&disk.claim),
                word(disk.volume.as_deref()),
                word(disk.size.as_deref()),
                word(disk.storage_class.as_deref()),
                word(disk.reclaim_policy.as_deref()),
                disk.fate.word().to_owned(),
            ]);
        }
    }
    if rows.len() == 1 { Vec::new() } else { table::columns(rows) }
}

fn header(view: &View, look: Look) -> String {
    let name = one_line(&format!("{}/{}", view.namespace, view.name));
    let name = look.palette.paint(Paint::Bold, &name);
    let Preview { from, to, .. } = view.preview;
    let well = format!("{} of {} available", view.available, view.replicas);
    format!(
        "StatefulSet {name}    {from} → {to}    {well}    {}, whenScaled {}",
        view.pod_management, view.when_scaled
    )
}

fn ordinals(preview: &Preview, look: Look) -> Vec<String> {
    if preview.items.is_empty() {
        return vec!["nothing to do: that many there are".to_owned()];
    }
    let verb = if preview.to < preview.from { "LEAVES" } else { "COMES" };
    let mut heading = vec![verb, "STATE", "NODE", "CLAIM", "VOLUME", "SIZE", "POLICY", "DATA"];
    if look.wide {
        heading.push("CLASS");
        heading.push("UNUSED");
    }
    let mut rows = vec![heading.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for item in &preview.items {
        let pod = |first: bool| {
            let show = |text: Option<&str>| if first { word(text) } else { String::new() };
            vec![show(Some(&item.name)), show(item.state.as_deref()), show(item.node.as_deref())]
        };
        if item.claims.is_empty() {
            let mut row = pod(true);
            row.extend(["<none>", "<none>", "<none>", "<none>", "no claim"].map(str::to_owned));
            rows.push(row);
        }
        for (place, disk) in item.claims.iter().enumerate() {
            let mut row = pod(place == 0);
            row.extend(cells(disk, look));
            rows.push(row);
        }
    }
    table::columns(rows)
}

fn cells(disk: &Disk, look: Look) -> Vec<String> {
    let mut cells = vec![
        one_line(&disk.claim),
        word(disk.volume.as_deref()),
        word(disk.size.as_deref()),
        word(disk.reclaim_policy.as_deref()),
        disk.fate.word().to_owned(),
    ];
    if look.wide {
        cells.push(word(disk.storage_class.as_deref()));
        let since = disk.unused_since.map(|since| age(look.now.duration_since(since)));
        cells.push(word(since.as_deref()));
    }
    cells
}

fn word(text: Option<&str>) -> String {
    text.map_or_else(|| "<none>".to_owned(), one_line)
}

fn found(findings: &[Finding], worst: &str, look: Look) -> Vec<String> {
    let lines = findings.iter().flat_map(|finding| layout::finding(finding, worst, look));
    let mut lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}
