//! The rows as a table, as names, as a document.

use jiff::Timestamp;
use serde::Serialize;

use super::row::{self, Row};
use crate::{
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout,
        table::{self, Give},
        text::{age, clip, count, one_line, wrap},
    },
    status::plan::Health,
    workload::{Finding, Severity, Unread},
};

/// The most sets whose findings the text tells below the table.
const MAX_TOLD: usize = 10;

/// The payload of `status -o json` for several sets.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// The namespace that was read; null for all.
    pub namespace: Option<String>,
    /// The time of judgement: now, or the newest time in the files.
    #[cfg_attr(test, schemars(with = "String"))]
    pub time: Timestamp,
    /// The sets, by trouble.
    pub items: Vec<Row>,
    pub totals: Totals,
    /// What is stuck: the worst finding of each such set.
    #[serde(skip)]
    pub reasons: Vec<Finding>,
    #[serde(skip)]
    pub unread: Vec<Unread>,
    /// What selects the sets, for the words: ` with app=web`.
    #[serde(skip)]
    pub selected: String,
    /// The end of a line that asks for one set in the same place; `None` when
    /// what was read cannot be read again.
    #[serde(skip)]
    pub again: Option<String>,
    /// From files.
    #[serde(skip)]
    pub offline: bool,
    /// Whether the time is the newest in the files.
    #[serde(skip)]
    pub from_the_files: bool,
}

/// How many sets are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// All that were read.
    pub sets: usize,
    pub stuck: usize,
    pub unknown: usize,
    pub progressing: usize,
    pub ready: usize,
    pub parked: usize,
}

impl Totals {
    fn of(rows: &[Row]) -> Totals {
        let of = |health: Health| rows.iter().filter(|row| row.class == health).count();
        Totals {
            sets: rows.len(),
            stuck: of(Health::Stuck),
            unknown: of(Health::Unknown),
            progressing: of(Health::Progressing),
            ready: of(Health::Ready),
            parked: of(Health::Parked),
        }
    }
}

impl View {
    pub fn new(mut items: Vec<Row>, namespace: Option<String>, time: Timestamp) -> View {
        row::sort(&mut items);
        let stuck = items.iter().filter(|row| row.is_stuck());
        let reasons = stuck.filter_map(|row| {
            let worst = row.worst()?.clone();
            Some(Finding { message: format!("{}: {}", row.reference(), worst.message), ..worst })
        });
        View {
            reasons: reasons.collect(),
            totals: Totals::of(&items),
            items,
            namespace,
            time,
            unread: Vec::new(),
            selected: String::new(),
            again: None,
            offline: false,
            from_the_files: false,
        }
    }

    /// The line that shows a set as a tree.
    fn tree_of(&self, row: &Row) -> Option<String> {
        let again = self.again.as_ref()?;
        Some(format!("kubectl stateful status {} -n {}{again}", row.name, row.namespace))
    }

    /// What was read and what there is of it, in one line.
    pub fn summary(&self) -> String {
        let place = match (&self.namespace, self.offline) {
            (Some(namespace), _) => format!(" in {namespace}"),
            (None, true) => " in the files".to_owned(),
            (None, false) => " in all namespaces".to_owned(),
        };
        let selected = &self.selected;
        let Totals { sets, stuck, unknown, progressing, ready, parked } = self.totals;
        if sets == 0 {
            return format!("No StatefulSets{place}{selected}: nothing was judged");
        }
        let states = [
            (stuck, "stuck"),
            (unknown, "unknown"),
            (progressing, "progressing"),
            (ready, "ready"),
            (parked, "parked"),
        ];
        let some = states.iter().filter(|(number, _)| *number > 0);
        let said: Vec<String> = some.map(|(number, state)| format!("{number} {state}")).collect();
        format!("{}{place}{selected}: {}", count(sets, "StatefulSet"), said.join(", "))
    }
}

/// The rows in the requested format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render(view: &View, exit: Exit, format: Format, look: Look) -> Result<String, Error> {
    match format {
        Format::Table => Ok(text(view, look)),
        Format::Wide => Ok(text(view, Look { wide: true, ..look })),
        Format::Name => {
            let name = |row: &Row| match view.namespace {
                Some(_) => format!("statefulset.apps/{}\n", one_line(&row.name)),
                // A name alone would not say which set it is.
                None => format!("{}\n", one_line(&format!("{}/{}", row.namespace, row.name))),
            };
            Ok(view.items.iter().map(name).collect())
        }
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("status-list", exit, &view.reasons, &view.unread, view).render(format)
        }
    }
}

fn text(view: &View, look: Look) -> String {
    let mut lines = rows(view, look);
    if look.only_rows {
        return lines.into_iter().skip(1).map(|line| line + "\n").collect();
    }
    let told = told(view, look);
    if !told.is_empty() {
        lines.push(String::new());
        lines.extend(told);
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(wrap(&view.summary(), look.columns));
    if view.from_the_files {
        lines.push(format!("as of {}, the newest time in the files", view.time));
    }
    lines.extend(layout::unread(&view.unread, look));
    lines.join("\n") + "\n"
}

/// The columns in their order.
const COLUMNS: [&str; 8] =
    ["NAMESPACE", "NAME", "STATUS", "READY", "UPDATED", "PARTITION", "FINDING", "AGE"];
const WIDE: [&str; 12] = [
    "NAMESPACE",
    "NAME",
    "STATUS",
    "READY",
    "UPDATED",
    "PARTITION",
    "FINDING",
    "AVAILABLE",
    "STRATEGY",
    "REVISION",
    "IMAGES",
    "AGE",
];
/// What gives where the terminal is narrow. A name is the last to be cut, and before
/// what is said of its set.
const GIVES: [Give<'_>; 6] = [
    Give::Drop("PARTITION"),
    Give::Drop("UPDATED"),
    Give::Cut("NAME", 24),
    Give::Cut("NAMESPACE", 12),
    Give::Cut("NAME", 12),
    Give::Cut("FINDING", 12),
];

fn rows(view: &View, look: Look) -> Vec<String> {
    if view.items.is_empty() {
        return Vec::new();
    }
    let mut headings = if look.wide { WIDE.to_vec() } else { COLUMNS.to_vec() };
    headings.retain(|heading| *heading != "NAMESPACE" || view.namespace.is_none());
    let room = look.columns.min(layout::NARROW);
    let cells = cells(view, &headings, look);
    let lines = if look.wide { table::columns(cells) } else { table::fitted(cells, &GIVES, room) };
    let clipped = |line: String| {
        if look.wide { line } else { clip(&line, room).into_owned() }
    };
    let mut lines = lines.into_iter().map(clipped);
    let heading = lines.next().map(|heading| look.palette.paint(Paint::Dim, &heading));
    let painted = lines.zip(&view.items).map(|(line, row)| match row.class {
        Health::Stuck => look.palette.paint(Paint::Red, &line),
        Health::Unknown | Health::Progressing => look.palette.paint(Paint::Yellow, &line),
        Health::Ready => line,
        Health::Parked => look.palette.paint(Paint::Dim, &line),
    });
    heading.into_iter().chain(painted).collect()
}

fn cells(view: &View, headings: &[&str], look: Look) -> Vec<Vec<String>> {
    let mut cells = vec![headings.iter().map(|&heading| heading.to_owned()).collect::<Vec<_>>()];
    for row in &view.items {
        cells.push(headings.iter().map(|heading| one_line(&cell(row, heading, look))).collect());
    }
    cells
}

fn cell(row: &Row, heading: &str, look: Look) -> String {
    let of_all = |number: Option<u32>| match number {
        Some(number) => format!("{number}/{}", row.replicas),
        None => format!("?/{}", row.replicas),
    };
    match heading {
        "NAMESPACE" => row.namespace.clone(),
        "NAME" => row.name.clone(),
        "STATUS" => row.class.label().to_owned(),
        "READY" => of_all(row.ready),
        "UPDATED" => of_all(row.updated),
        "AVAILABLE" => of_all(row.available),
        "PARTITION" => match (row.partition.filter(|&partition| partition > 0), row.held) {
            (None, _) => "<none>".to_owned(),
            (Some(partition), 0) => partition.to_string(),
            (Some(partition), held) => format!("{partition} (holds {held})"),
        },
        "FINDING" => row.worst().map_or("<none>", |worst| worst.id).to_owned(),
        "STRATEGY" => row.strategy.clone(),
        "REVISION" => row.update_revision.clone().unwrap_or_else(|| "<none>".to_owned()),
        "IMAGES" => row.images.join(","),
        _ => row.created.map_or("<unknown>".to_owned(), |made| age(look.now.duration_since(made))),
    }
}

/// A set in words, without its name: what `--watch` tells the changes of.
pub fn state(row: &Row) -> String {
    let mut parts = vec![row.class.label().to_owned()];
    parts.push(match row.ready {
        Some(ready) => format!("{ready} of {} ready", row.replicas),
        None => format!("{} replicas, unknown how many are ready", row.replicas),
    });
    if let Some(updated) = row.updated.filter(|_| row.current_revision != row.update_revision) {
        parts.push(format!("{updated} updated"));
    }
    parts.extend(row.partition.filter(|&at| at > 0).map(|at| format!("partition {at}")));
    let worst = row.worst().filter(|worst| worst.severity != Severity::Note);
    parts.extend(worst.map(|worst| format!("{} {}", worst.id, one_line(&worst.message))));
    parts.join(", ")
}

/// What is wrong with the sets that are stuck, and the line that shows each.
fn told(view: &View, look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    let stuck: Vec<&Row> = view.items.iter().filter(|row| row.is_stuck()).collect();
    for row in stuck.iter().take(MAX_TOLD) {
        let Some(worst) = row.worst() else { continue };
        let more = row.findings.iter().filter(|found| found.severity == Severity::Error).count();
        let more = match more {
            0 | 1 => String::new(),
            more => format!(" (and {} more)", more - 1),
        };
        let finding = Finding {
            message: format!("{}: {}{more}", row.reference(), worst.message),
            hint: view.tree_of(row),
            ..worst.clone()
        };
        lines.extend(layout::finding(&finding, "stuck", look));
    }
    if stuck.len() > MAX_TOLD {
        let label = layout::label("", Paint::Dim, look);
        let text = format!("… and {} more; -o json has them all", stuck.len() - MAX_TOLD);
        lines.extend(layout::hanging(&label, &text, look.columns));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(namespace: &str, name: &str) -> Row {
        Row {
            kind: "StatefulSet",
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            class: Health::Ready,
            uid: None,
            replicas: 3,
            ready: Some(3),
            available: Some(3),
            updated: Some(3),
            current_revision: None,
            update_revision: None,
            images: Vec::new(),
            strategy: "RollingUpdate".to_owned(),
            partition: None,
            held: 0,
            created: None,
            findings: Vec::new(),
            goals: [true; 2],
            goes: None,
        }
    }

    #[test]
    fn a_long_name_is_cut_before_what_is_said_of_its_set() {
        let now = Timestamp::UNIX_EPOCH;
        let long = "a".repeat(60);
        for (namespace, columns) in [(Some("shop"), 60), (Some("shop"), 80), (None, 60)] {
            let view = View::new(
                vec![row("shop", &long), row("shop", "web")],
                namespace.map(str::to_owned),
                now,
            );
            let shown = text(&view, Look { columns, ..Look::plain(now) });
            let lines: Vec<&str> = shown.lines().take(3).collect();
            let [heading, first, second] = lines.as_slice() else { panic!("{shown}") };
            assert!(heading.contains("STATUS   READY"), "{shown}");
            assert!(first.contains("aaa…") && first.contains("Ready    3/3"), "{shown}");
            assert!(second.contains("Ready    3/3"), "{shown}");
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{shown}");
        }
    }
}
