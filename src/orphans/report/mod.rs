//! The report of `orphans`, as text and as a document.

pub mod deletion;
mod findings;
pub mod lacking;

pub use findings::{left_held, line_to_let_go};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    model::Kind,
    row::{Class, Row},
    rules,
    select::Filtered,
    totals::{Sum, Totals},
};
use crate::{
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout, table,
        text::{age, count, one_line, width},
    },
    workload::{Finding, Unread},
};

/// The most sums of a kind that the text shows.
const MAX_SUMS: usize = 10;
/// The most sets that the text warns of; the document has them all.
const MAX_SETS: usize = 10;
/// The columns that are left out where the table is too wide, the first one
/// first. Names are never cut.
const LEAST: [&str; 4] = ["STORAGECLASS", "IDLE", "AGE", "SIZE"];

/// The payload of `orphans -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// The namespace that was read; null for all.
    pub namespace: Option<String>,
    /// The set that was asked for.
    pub set: Option<String>,
    #[cfg_attr(test, schemars(with = "String"))]
    pub time: Timestamp,
    pub items: Vec<Row>,
    pub totals: Totals,
    #[serde(skip)]
    pub findings: Vec<Finding>,
    #[serde(skip)]
    pub unread: Vec<Unread>,
    /// The flags that chose among the rows.
    #[serde(skip)]
    pub filtered: Option<Filtered>,
    /// The connection flags, for the commands in hints.
    #[serde(skip)]
    pub flags: String,
}

impl View {
    /// Whether this list could not be read.
    fn lacks(&self, kind: Kind) -> bool {
        self.unread.iter().any(|unread| unread.resource == kind.resource().name())
    }
}

/// The report in the requested format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render(view: &View, exit: Exit, format: Format, look: Look) -> Result<String, Error> {
    match format {
        Format::Table => Ok(text(view, look)),
        Format::Wide => Ok(text(view, Look { wide: true, ..look })),
        Format::Name => {
            let orphans = view.items.iter().filter(|row| row.orphan);
            let everywhere = view.namespace.is_none();
            Ok(orphans.map(|row| one_line(&named(row, everywhere)) + "\n").collect())
        }
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("orphans", exit, &view.findings, &view.unread, view).render(format)
        }
    }
}

fn text(view: &View, look: Look) -> String {
    if look.only_rows {
        return rows(view, look).into_iter().skip(1).map(|line| line + "\n").collect();
    }
    let mut lines = table_and_sum(view, look);
    lines.extend(sums(view, look));
    let mut notes = Vec::new();
    let mut sets = 0;
    for finding in &view.findings {
        if finding.id == rules::READOPTED.id {
            sets += 1;
            if sets > MAX_SETS {
                continue;
            }
        }
        notes.extend(layout::finding(finding, "found", look));
    }
    if sets > MAX_SETS {
        let text = format!("… and {} more sets; -o json has them all", sets - MAX_SETS);
        notes.extend(layout::hanging(&layout::label("", Paint::Dim, look), &text, look.columns));
    }
    notes.extend(layout::unread(&view.unread, look));
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines.join("\n") + "\n"
}

/// `persistentvolumeclaim/data-web-3`; where all namespaces are listed,
/// `shop/persistentvolumeclaim/data-web-3`, which `orphans delete` reads too.
fn named(row: &Row, everywhere: bool) -> String {
    match &row.namespace {
        Some(namespace) if everywhere && !row.is_volume() => {
            format!("{namespace}/{}", row.reference())
        }
        _ => row.reference(),
    }
}

/// `pvc/data-web-3`, as on the command line.
fn short(row: &Row) -> String {
    let kind = if row.is_volume() { "pv" } else { "pvc" };
    format!("{kind}/{}", row.name)
}

/// The table, and the sum under it.
pub fn table_and_sum(view: &View, look: Look) -> Vec<String> {
    let mut lines = rows(view, look);
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(layout::hung("", &summary(view), look.columns));
    lines
}

fn rows(view: &View, look: Look) -> Vec<String> {
    if view.items.is_empty() {
        return Vec::new();
    }
    let priced = view.items.iter().any(|row| row.cost.is_some());
    let mut headings = Vec::new();
    if view.namespace.is_none() {
        headings.push("NAMESPACE");
    }
    headings.extend(["NAME", "CLASS", "SIZE", "STORAGECLASS", "POLICY"]);
    if look.wide {
        headings.extend([
            "SET",
            "ORDINAL",
            "VOLUME",
            "MODES",
            "NODE",
            "CONFIDENCE",
            "READOPTED AT",
        ]);
    }
    if priced {
        headings.push("COST");
    }
    headings.extend(["IDLE", "AGE"]);
    let mut lines = cells(view, &headings);
    for least in LEAST {
        let fits = look.wide || lines.iter().all(|line| width(line) <= look.columns);
        if !fits {
            headings.retain(|heading| *heading != least);
            lines = cells(view, &headings);
        }
    }
    let mut lines = lines.into_iter();
    let heading = lines.next().map(|heading| look.palette.paint(Paint::Dim, &heading));
    let painted = lines.zip(&view.items).map(|(line, row)| {
        let paint = if row.orphan { None } else { Some(Paint::Dim) };
        paint.map_or(line.clone(), |paint| look.palette.paint(paint, &line))
    });
    heading.into_iter().chain(painted).collect()
}

/// The lines of the table with these columns.
fn cells(view: &View, headings: &[&str]) -> Vec<String> {
    let heading = headings.iter().map(|&heading| heading.to_owned()).collect::<Vec<_>>();
    let row = |row: &Row| -> Vec<String> {
        headings.iter().map(|heading| one_line(&cell(row, heading, view))).collect()
    };
    table::columns(std::iter::once(heading).chain(view.items.iter().map(row)).collect())
}

fn cell(row: &Row, heading: &str, view: &View) -> String {
    let or_none = |value: Option<&str>| value.unwrap_or("<none>").to_owned();
    match heading {
        "NAMESPACE" => or_none(row.namespace.as_deref()),
        "NAME" => short(row),
        "CLASS" => row.class.name().to_owned(),
        "SIZE" => or_none(row.size.as_deref()),
        "STORAGECLASS" => or_none(row.storage_class.as_deref()),
        "POLICY" => match (&row.reclaim_policy, &row.volume) {
            (Some(policy), _) => policy.clone(),
            (None, Some(_)) => "<unknown>".to_owned(),
            (None, None) => "<none>".to_owned(),
        },
        "SET" => or_none(row.set.as_deref()),
        "ORDINAL" => row.ordinal.map_or("<none>".to_owned(), |ordinal| ordinal.to_string()),
        "VOLUME" if row.is_volume() => row.name.clone(),
        "VOLUME" => or_none(row.volume.as_deref()),
        "MODES" => modes(&row.access_modes),
        "NODE" => or_none(row.node.as_deref()),
        "CONFIDENCE" => row.confidence.name().to_owned(),
        "READOPTED AT" => row.readopted_at.map_or("<none>".to_owned(), findings::replicas),
        "COST" => row.cost.map_or("<none>".to_owned(), money),
        "IDLE" => match row.idle_for(view.time) {
            Some(idle) => age(idle),
            None => format!("<{}>", row.idle_source),
        },
        _ => row.created.map_or("<unknown>".to_owned(), |made| age(view.time.duration_since(made))),
    }
}

/// kubectl's `RWO,ROX`.
fn modes(modes: &[String]) -> String {
    let short = |mode: &String| match mode.as_str() {
        "ReadWriteOnce" => "RWO".to_owned(),
        "ReadOnlyMany" => "ROX".to_owned(),
        "ReadWriteMany" => "RWX".to_owned(),
        "ReadWriteOncePod" => "RWOP".to_owned(),
        other => other.to_owned(),
    };
    if modes.is_empty() {
        return "<none>".to_owned();
    }
    modes.iter().map(short).collect::<Vec<_>>().join(",")
}

fn money(cost: f64) -> String {
    format!("{cost:.2}")
}

/// A number of bytes as a short quantity, such as `1.5Gi`.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 6] =
        [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    for (unit, bits) in UNITS {
        let whole = bytes >> bits;
        if whole == 0 {
            continue;
        }
        let tenths = (u128::from(bytes) * 10) >> bits;
        return match tenths % 10 {
            0 => format!("{whole}{unit}"),
            tenth => format!("{whole}.{tenth}{unit}"),
        };
    }
    bytes.to_string()
}

fn summary(view: &View) -> String {
    let Totals { read, orphans, .. } = &view.totals;
    let place = view.namespace.as_ref().map(|namespace| format!(" in {namespace}"));
    if orphans.count == 0 && view.lacks(Kind::Claim) {
        let place = place.unwrap_or_default();
        let claims = Kind::Claim.resource().name();
        return format!("cannot tell whether there are orphans{place}: {claims} could not be read");
    }
    let certain = view.unread.is_empty();
    let mut said = vec![match (&view.filtered, orphans.count) {
        (Some(Filtered { of, .. }), 0) if *of > 0 => format!("none of {}", count(*of, "orphan")),
        (_, 0) => "No orphans".to_owned(),
        (Some(Filtered { of, .. }), shown) => {
            format!("{shown} of {}, {}", count(*of, "orphan"), size(orphans.bytes))
        }
        (None, shown) => {
            let least = if certain { "" } else { "at least " };
            format!("{least}{}, {}", count(shown, "orphan"), size(orphans.bytes))
        }
    }];
    said.extend(orphans.cost.map(|cost| format!(", {} per month", money(cost))));
    said.extend(view.set.as_ref().map(|set| format!(" of {set}")));
    said.extend(place);
    match &view.filtered {
        Some(Filtered { words, of }) if *of > 0 => {
            let verb = if orphans.count > 1 { "match" } else { "matches" };
            said.push(format!(" {verb} {words}"));
        }
        _ => {}
    }
    if !certain && (orphans.count == 0 || view.filtered.is_some()) {
        said.push(", as far as could be read".to_owned());
    }
    let said = said.concat();
    let mut rest = vec![format!("{} in use", read.used)];
    if read.referenced > 0 {
        rest.push(format!("{} named by templates", read.referenced));
    }
    if read.expected > 0 {
        rest.push(format!("{} of ordinals whose pod does not exist", read.expected));
    }
    let unknown = view.items.iter().filter(|row| row.class == Class::Unknown).count();
    if unknown > 0 {
        rest.push(format!("{unknown} unknown"));
    }
    if read.leaving > 0 {
        rest.push(format!("{} deleted a moment ago", read.leaving));
    }
    format!("{said}; {} read: {}", count(read.claims, "claim"), rest.join(", "))
}

/// The sums, where there is more than one of a kind.
fn sums(view: &View, look: Look) -> Vec<String> {
    let Totals { by_class, by_namespace, by_storage_class, orphans, .. } = &view.totals;
    let groups =
        [("class", by_class), ("namespace", by_namespace), ("storage class", by_storage_class)];
    let mut cells = Vec::new();
    for (group, sums) in groups {
        let fewest = if look.wide { 1 } else { 2 };
        if sums.len() < fewest {
            continue;
        }
        let mut largest: Vec<&Sum> = sums.iter().collect();
        largest.sort_by_key(|sum| std::cmp::Reverse(sum.bytes));
        for sum in largest.iter().take(MAX_SUMS) {
            let name = if sum.name.is_empty() { "<none>" } else { &sum.name };
            let mut row =
                vec![group.to_owned(), one_line(name), sum.count.to_string(), size(sum.bytes)];
            if orphans.cost.is_some() {
                row.push(sum.cost.map_or("<none>".to_owned(), money));
            }
            cells.push(row);
        }
        if largest.len() > MAX_SUMS {
            let more = format!("… and {} more", largest.len() - MAX_SUMS);
            cells.push(vec![group.to_owned(), more]);
        }
    }
    if cells.is_empty() {
        return Vec::new();
    }
    let mut headings = vec!["TOTAL BY", "NAME", "COUNT", "SIZE"];
    if orphans.cost.is_some() {
        headings.push("COST");
    }
    let width = headings.len();
    for row in &mut cells {
        row.resize(width, String::new());
    }
    cells.insert(0, headings.into_iter().map(str::to_owned).collect());
    let mut lines = table::columns(cells);
    lines[0] = look.palette.paint(Paint::Dim, &lines[0]);
    lines.insert(0, String::new());
    lines
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0");
        assert_eq!(size(1023), "1023");
        assert_eq!(size(10 << 30), "10Gi");
        assert_eq!(size(3 << 29), "1.5Gi");
        assert_eq!(size(1 << 40), "1Ti");
        assert_eq!(size(u64::MAX), "15.9Ei");
    }
}
