//! What `orphans` has to say: of a report, of a deletion, of an adoption.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    classify::{Class, Row},
    rules,
    totals::{Sum, Totals},
};
use crate::{
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout, table,
        text::{age, count, list, one_line},
    },
    workload::{Finding, Severity, Unread},
};

/// So many sums of a kind are shown to people.
const MOST_SUMS: usize = 10;
/// So many sets are warned of in a table; the document has them all.
const MOST_SETS: usize = 10;

/// The payload of `orphans -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Where was looked; null is everywhere.
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
    /// The connection flags, for the commands that hints name.
    #[serde(skip)]
    pub flags: String,
}

impl View {
    /// `kubectl stateful orphans delete` with names and flags.
    fn delete(&self, rows: &[&Row]) -> Option<String> {
        let namespace = rows.first()?.namespace.clone()?;
        let here: Vec<&&Row> =
            rows.iter().filter(|row| row.namespace.as_ref() == Some(&namespace)).collect();
        let names: Vec<String> = here.iter().take(5).map(|row| short(row)).collect();
        Some(format!(
            "kubectl stateful orphans delete {} -n {namespace}{}",
            names.join(" "),
            self.flags
        ))
    }

    /// What is found, a finding for each class and for each set that a
    /// scale-up would give old claims. `rings` says which classes the caller
    /// was asked to be alarmed by.
    pub fn find(&mut self, by_age: usize, rings: impl Fn(Class) -> bool) {
        let mut by_class: BTreeMap<Class, Vec<&Row>> = BTreeMap::new();
        let mut by_set: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
        for row in &self.items {
            by_class.entry(row.class).or_default().push(row);
            // Of a parked set that is what everybody wants.
            if let (Some(namespace), Some(set), Some(_)) =
                (&row.namespace, &row.set, row.readopted_at)
                && row.class != Class::Parked
            {
                by_set.entry((namespace, set)).or_default().push(row);
            }
        }
        let mut findings = Vec::new();
        for (class, rows) in &by_class {
            let rule = rules::of(*class);
            let severity = if rings(*class) { Severity::Error } else { rule.severity };
            let mut finding =
                rule.found(rows[0].reference(), class_message(*class, rows)).at(severity);
            let deletable = !matches!(class, Class::TerminatingStuck | Class::OwnerGone);
            if class.is_orphan() && deletable && !rows[0].is_volume() {
                finding.hint = self.delete(rows);
            } else if *class == Class::PvReleased {
                finding.hint = rows[0].namespace.as_ref().map(|namespace| {
                    format!(
                        "kubectl stateful orphans adopt pv/{} --to SET/ORDINAL -n {namespace}{}",
                        rows[0].name, self.flags
                    )
                });
            }
            findings.push(finding);
        }
        for ((_, set), rows) in &by_set {
            let first = rows.iter().filter_map(|row| row.readopted_at).min().unwrap_or_default();
            let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            let idle = rows.iter().filter_map(|row| row.idle_since).min();
            let data = match idle {
                Some(since) => {
                    format!("data last used {} ago", age(self.time.duration_since(since)))
                }
                None => "data of unknown age".to_owned(),
            };
            let message = format!(
                "scaling {set} to {first} or more mounts {} again, with {data}",
                list(&names)
            );
            findings.push(rules::READOPTED.found(format!("statefulset/{set}"), message));
        }
        if by_age > 0 {
            let message = format!(
                "since when {} idle is not known; --older-than went by age",
                if by_age == 1 {
                    "1 of them is".to_owned()
                } else {
                    format!("{by_age} of them are")
                }
            );
            findings.push(rules::BY_AGE.found(String::new(), message));
        }
        self.findings = findings;
    }
}

fn class_message(class: Class, rows: &[&Row]) -> String {
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let sum = rows.iter().filter_map(|row| row.bytes).fold(0, u64::saturating_add);
    let noun = if rows[0].is_volume() { "volume" } else { "claim" };
    let because = if rows.len() == 1 {
        rows[0].evidence.join("; ")
    } else {
        match class {
            Class::OrdinalBeyond => "ordinals behind the range of their set",
            Class::OrdinalBelowStart => "ordinals below the start of their set",
            Class::SetGone => "named as by sets that do not exist",
            Class::TemplateRenamed => "named as by templates that their sets do not have",
            Class::OwnerGone => "their owners are gone",
            Class::Unreferenced => "no pod uses them and no template names them",
            Class::Lost => "their volumes are gone",
            Class::PendingNeverBound => "they never had a volume",
            Class::TerminatingStuck => "deleted, and held by finalizers",
            Class::PvReleased => "their claims are gone",
            Class::PvFailed => "they could not be reclaimed",
            Class::Parked => "their sets are at 0 replicas",
            Class::Elastic => "autoscalers may bring them back",
            Class::Managed => "something else looks after them",
            Class::Conflict => "of several sets at once",
            Class::Unknown => "not everything could be read that decides",
        }
        .to_owned()
    };
    format!("{} ({}): {}: {because}", count(rows.len(), noun), size(sum), list(&names))
}

/// The report in the asked format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render(view: &View, exit: Exit, format: Format, look: Look) -> Result<String, Error> {
    match format {
        Format::Table => Ok(text(view, look)),
        Format::Wide => Ok(text(view, Look { wide: true, ..look })),
        Format::Name => {
            let orphans = view.items.iter().filter(|row| row.orphan);
            Ok(orphans.map(|row| one_line(&row.reference()) + "\n").collect())
        }
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("orphans", exit, &view.findings, &view.unread, view).render(format)
        }
    }
}

fn text(view: &View, look: Look) -> String {
    let mut lines = table_and_sum(view, look);
    lines.extend(sums(view, look));
    let mut notes = Vec::new();
    let mut sets = 0;
    for finding in &view.findings {
        if finding.id == rules::READOPTED.id {
            sets += 1;
            if sets > MOST_SETS {
                continue;
            }
        }
        notes.extend(layout::finding(finding, "found", look));
    }
    if sets > MOST_SETS {
        let text = format!("… and {} more sets; -o json has them all", sets - MOST_SETS);
        notes.extend(layout::hanging(&layout::label("", Paint::Dim, look), &text, look.columns));
    }
    notes.extend(unread(&view.unread, look));
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines.join("\n") + "\n"
}

/// What could not be read, for people.
pub fn unread(unread: &[Unread], look: Look) -> Vec<String> {
    let label = look.palette.paint(Paint::Yellow, "unread ");
    let line = |unread: &Unread| {
        let text = format!("{}: {}", unread.resource, one_line(&unread.why));
        layout::hanging(&label, &text, look.columns)
    };
    unread.iter().flat_map(line).collect()
}

/// `pvc/data-web-3`, as it is typed.
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
    lines.push(summary(view));
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
    let mut cells = vec![headings.iter().map(|&heading| heading.to_owned()).collect::<Vec<_>>()];
    for row in &view.items {
        cells.push(headings.iter().map(|heading| one_line(&cell(row, heading, view))).collect());
    }
    let mut lines = table::columns(cells).into_iter();
    let heading = lines.next().map(|heading| look.palette.paint(Paint::Dim, &heading));
    let painted = lines.zip(&view.items).map(|(line, row)| {
        let paint = if row.orphan { None } else { Some(Paint::Dim) };
        paint.map_or(line.clone(), |paint| look.palette.paint(paint, &line))
    });
    heading.into_iter().chain(painted).collect()
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
        "READOPTED AT" => {
            row.readopted_at.map_or("<none>".to_owned(), |replicas| format!("{replicas} replicas"))
        }
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

/// A number of bytes as a quantity of three digits or so.
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
    let mut said = vec![if orphans.count == 0 {
        "No orphans".to_owned()
    } else {
        format!("{}, {}", count(orphans.count, "orphan"), size(orphans.bytes))
    }];
    said.extend(orphans.cost.map(|cost| format!(", {} a month", money(cost))));
    said.extend(view.set.as_ref().map(|set| format!(" of {set}")));
    said.extend(view.namespace.as_ref().map(|namespace| format!(" in {namespace}")));
    let said = said.concat();
    let mut rest = vec![format!("{} in use", read.used)];
    if read.referenced > 0 {
        rest.push(format!("{} named by templates", read.referenced));
    }
    if read.expected > 0 {
        rest.push(format!("{} of ordinals without a pod", read.expected));
    }
    if read.leaving > 0 {
        rest.push(format!("{} being deleted", read.leaving));
    }
    let certain = if view.unread.is_empty() { "" } else { " at least" };
    format!("{said}{certain}; of {} read, {}", count(read.claims, "claim"), rest.join(", "))
}

/// Sums, where there is more than one of a kind.
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
        for sum in largest.iter().take(MOST_SUMS) {
            let name = if sum.name.is_empty() { "<none>" } else { &sum.name };
            let mut row =
                vec![group.to_owned(), one_line(name), sum.count.to_string(), size(sum.bytes)];
            if orphans.cost.is_some() {
                row.push(sum.cost.map_or("<none>".to_owned(), money));
            }
            cells.push(row);
        }
        if largest.len() > MOST_SUMS {
            let more = format!("… and {} more", largest.len() - MOST_SUMS);
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
