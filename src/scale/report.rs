//! The plan of a scale operation, and its end, as text and as a document.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    data::line_to_adopt,
    fresh::Names,
    preview::{Disk, Fate, Ordinal, Preview, Way},
    rules,
};
use crate::{
    orphans,
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout,
        table::{self, Give, NAME},
        text::{age, count, one_line},
    },
    workload::{
        Claim, Facts, Finding, PodManagement, Retention, Rule, Severity, StatefulSet, Survey,
        Unread, canonical_ordinal,
    },
};

/// The payload of `-o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// The current replicas.
    pub replicas: u32,
    /// How many of them are available.
    pub available: u32,
    pub pod_management: &'static str,
    /// `whenScaled`: what the set does with claims of ordinals that leave.
    pub when_scaled: &'static str,
    #[serde(flatten)]
    pub preview: Preview,
    /// The hash for --confirm-plan.
    pub hash: String,
    /// What this run wrote, in order.
    pub writes: Vec<String>,
    /// The claims that were set aside, and are there.
    pub aside: Vec<AsideView>,
    /// The command line that continues, or that does what was planned.
    pub next: Option<String>,
    /// The command line that undoes it.
    pub undo: Option<String>,
    /// After a scale-down, the orphans of the set; `null` where they were not
    /// looked for, or could not be read.
    pub orphans: Option<orphans::report::View>,
    #[serde(skip)]
    pub took: Option<SignedDuration>,
    #[serde(skip)]
    unread: Vec<Unread>,
}

/// A claim that was set aside, under its other name.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AsideView {
    pub claim: String,
    /// The claim that it was.
    pub was: String,
    pub volume: Option<String>,
    pub size: Option<String>,
    /// Whether there is a claim with the name that it had.
    #[serde(skip)]
    is_replaced: bool,
}

impl AsideView {
    /// The claim that is there under the other name.
    pub fn of(names: &Names, claims: &[Claim]) -> Option<AsideView> {
        let is_it = |claim: &&Claim| {
            claim.name == names.aside && claim.deleting.is_none() && claim.phase == "Bound"
        };
        let claim = claims.iter().find(is_it)?;
        Some(AsideView {
            claim: claim.name.clone(),
            was: names.claim.clone(),
            volume: claim.volume.clone(),
            size: claim.capacity.clone(),
            is_replaced: claims.iter().any(|claim| claim.name == names.claim),
        })
    }

    /// The ordinal that it belonged to.
    pub fn ordinal(&self) -> Option<u32> {
        canonical_ordinal(self.was.rsplit('-').next()?)
    }

    /// The command lines that give the volume its old name back, once the ordinal
    /// is gone: the disk that it got instead is kept, Released.
    pub fn back(&self, set: &StatefulSet, at: &str) -> Vec<String> {
        let ordinal = self.ordinal().unwrap_or_default();
        let AsideView { claim, was, .. } = self;
        // A claim that is on its way out may be gone by then.
        let delete = format!("kubectl stateful orphans delete {was} --ignore-not-found{at}");
        let adopt = line_to_adopt(set, ordinal, was, &format!("pvc/{claim}"), at);
        Some(delete).filter(|_| self.is_replaced).into_iter().chain([adopt]).collect()
    }

    /// That the data stays under the other name.
    pub fn stays(&self) -> Finding {
        let AsideView { claim, was, volume, .. } = self;
        let volume = volume.as_deref().unwrap_or("<none>");
        let message = format!(
            "the data of claim {was} is on volume {volume} of claim {claim}, where it was set \
             aside: its ordinal does not find it there"
        );
        rules::STILL_ASIDE.found(format!("persistentvolumeclaim/{claim}"), message)
    }
}

impl View {
    pub fn new(facts: &Facts, preview: Preview, hash: String, now: Timestamp) -> View {
        let (set, survey) = (&facts.set, Survey::new(facts, now));
        let available = survey.slots.iter().filter(|slot| slot.is_available(set, now)).count();
        View {
            namespace: set.namespace.clone(),
            name: set.name.clone(),
            uid: set.uid.clone(),
            replicas: set.replicas,
            available: u32::try_from(available).unwrap_or(u32::MAX),
            pod_management: match set.pod_management {
                PodManagement::OrderedReady => "OrderedReady",
                PodManagement::Parallel => "Parallel",
            },
            when_scaled: match set.when_scaled {
                Retention::Retain => "Retain",
                Retention::Delete => "Delete",
            },
            preview,
            hash,
            writes: Vec::new(),
            aside: Vec::new(),
            next: None,
            undo: None,
            orphans: None,
            took: None,
            unread: facts.unread.clone(),
        }
    }
}

/// Renders the end of a scale operation (`over`), or the plan of one.
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

/// The plan of a scale operation.
pub fn plan(view: &View, findings: &[Finding], look: Look) -> String {
    let mut lines = header(view, look);
    lines.push(String::new());
    lines.extend(ordinals(&view.preview, look));
    lines.extend(found(findings, "refused", look));
    lines.push(String::new());
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    let label = layout::label("plan", Paint::Dim, look);
    lines.push(match &view.next {
        _ if refused => format!("{label}  refused: nothing was changed"),
        Some(next) => {
            format!("{label}  {}: nothing was changed; to do it:\n         {next}", view.hash)
        }
        None => format!("{label}  {}", view.hash),
    });
    lines.join("\n") + "\n"
}

/// The live view: a line for each ordinal, and what the run waits for.
pub fn live(view: &View, survey: &Survey, waiting: &str, look: Look) -> String {
    let mut lines = header(view, look);
    lines.push(String::new());
    let mut rows = vec![["POD", "STATE", "NODE"].map(str::to_owned).to_vec()];
    for slot in survey.slots.iter().chain(&survey.leaving) {
        let state = slot.pod.map_or_else(|| "Missing".to_owned(), crate::workload::Pod::state);
        let node = slot.pod.and_then(|pod| pod.node.as_deref());
        rows.push(vec![one_line(&slot.name), state, cell(node)]);
    }
    lines.extend(table::fitted(rows, &[Give::Drop("NODE")], look.room()));
    lines.push(String::new());
    let label = layout::label("waits", Paint::Dim, look);
    lines.extend(layout::hanging(&label, waiting, look.columns));
    lines.join("\n") + "\n"
}

/// The end of a scale operation.
fn end(view: &View, exit: Exit, findings: &[Finding], look: Look) -> String {
    let name =
        look.palette.paint(Paint::Bold, &one_line(&format!("{}/{}", view.namespace, view.name)));
    let data = match () {
        () if has(findings, &[&rules::NOT_KEPT]) => ", data NOT KEPT",
        () if has(findings, &[&rules::UNREAD]) => ", data not read",
        () => "",
    };
    let (paint, what) = match exit {
        Exit::Done if view.preview.from == view.replicas => {
            (Paint::Green, format!("{} already", count_replicas(view.replicas)))
        }
        Exit::Done => (Paint::Green, format!("scaled {} → {}", view.preview.from, view.replicas)),
        // The set is as it was to be, and the disks are not.
        Exit::Conflict | Exit::Incomplete
            if view.replicas == view.preview.to && !data.is_empty() =>
        {
            (Paint::Yellow, format!("scaled {} → {}{data}", view.preview.from, view.replicas))
        }
        _ => (
            Paint::Yellow,
            format!(
                "stopped at {}, scaling {} → {}{data}",
                view.replicas, view.preview.from, view.preview.to
            ),
        ),
    };
    let mut parts = vec![
        format!("StatefulSet {name}"),
        look.palette.paint(paint, &what),
        format!("{} of {} available", view.available, view.replicas),
    ];
    parts.extend(view.took.map(|took| format!("in {}", age(took))));
    let mut lines = layout::title(&parts, look.columns);
    // Claims that are kept are in the report of orphans, if there is one.
    let reported = |fate: Fate| fate == Fate::Kept && view.orphans.is_some();
    let tables = [
        set_aside(&view.aside, look),
        left_behind(view, look, |disk| !reported(disk.fate)),
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
            let label = layout::label(label, Paint::Dim, look);
            lines.extend(layout::hanging(&label, text, look.columns));
        }
    };
    say("next", &view.next);
    say("undo", &view.undo);
    lines.join("\n") + "\n"
}

fn has(findings: &[Finding], rules: &[&Rule]) -> bool {
    findings.iter().any(|finding| rules.iter().any(|rule| rule.id == finding.id))
}

fn count_replicas(replicas: u32) -> String {
    count(usize::try_from(replicas).unwrap_or(usize::MAX), "replica")
}

/// The claims that were set aside.
fn set_aside(aside: &[AsideView], look: Look) -> Vec<String> {
    if aside.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![["SET ASIDE", "AS", "VOLUME", "SIZE"].map(str::to_owned).to_vec()];
    rows.extend(aside.iter().map(|one| {
        let names = [one_line(&one.was), one_line(&one.claim)];
        let disk = [cell(one.volume.as_deref()), cell(one.size.as_deref())];
        names.into_iter().chain(disk).collect()
    }));
    // The name under which a claim is there now is for the next command: it is whole.
    // The name that the claim has now ends in what tells it from others: it is whole.
    let gives = [
        Give::Drop("SIZE"),
        Give::Cut("VOLUME", NAME),
        Give::Cut("SET ASIDE", NAME),
        Give::Drop("VOLUME"),
    ];
    table::fitted(rows, &gives, look.room())
}

/// The claims of ordinals that are gone, and what happened to them.
fn left_behind(view: &View, look: Look, shown: impl Fn(&Disk) -> bool) -> Vec<String> {
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
                cell(disk.volume.as_deref()),
                cell(disk.size.as_deref()),
                cell(disk.storage_class.as_deref()),
                cell(disk.reclaim_policy.as_deref()),
                disk.fate.label().to_owned(),
            ]);
        }
    }
    let gives = [
        Give::Drop("CLASS"),
        Give::Drop("SIZE"),
        Give::Cut("VOLUME", NAME),
        Give::Cut("LEFT BEHIND", NAME),
    ];
    if rows.len() == 1 { Vec::new() } else { table::fitted(rows, &gives, look.room()) }
}

fn header(view: &View, look: Look) -> Vec<String> {
    let name = one_line(&format!("{}/{}", view.namespace, view.name));
    let name = look.palette.paint(Paint::Bold, &name);
    let Preview { from, to, .. } = view.preview;
    let parts = [
        format!("StatefulSet {name}"),
        format!("{from} → {to}"),
        format!("{} of {} available", view.available, view.replicas),
        format!("{}, whenScaled {}", view.pod_management, view.when_scaled),
    ];
    layout::title(&parts, look.columns)
}

fn ordinals(preview: &Preview, look: Look) -> Vec<String> {
    let rest = preview.rest.iter().map(|one| format!("to finish: {}", one_line(one)));
    if preview.items.is_empty() {
        let nothing = ["nothing to do: the set has this number of replicas".to_owned()];
        let nothing = nothing.into_iter().filter(|_| preview.rest.is_empty());
        return nothing.chain(rest).collect();
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
            let show = |text: Option<&str>| if first { cell(text) } else { String::new() };
            vec![show(Some(&item.name)), show(item.state.as_deref()), show(item.node.as_deref())]
        };
        if item.claims.is_empty() {
            let mut row = pod(true);
            row.extend(
                ["<none>", "<none>", "<none>", "<none>", "none of its own"].map(str::to_owned),
            );
            rows.push(row);
        }
        for (place, disk) in item.claims.iter().enumerate() {
            let mut row = pod(place == 0);
            row.extend(cells(disk, look));
            rows.push(row);
        }
    }
    let gives = [
        Give::Drop("NODE"),
        Give::Drop("SIZE"),
        Give::Cut("VOLUME", NAME),
        Give::Cut("CLAIM", NAME),
        Give::Cut(verb, NAME),
        Give::Drop("STATE"),
        Give::Drop("VOLUME"),
    ];
    rest.chain(table::fitted(rows, &gives, look.room())).collect()
}

fn cells(disk: &Disk, look: Look) -> Vec<String> {
    let mut cells = vec![
        one_line(&disk.claim),
        cell(disk.volume.as_deref()),
        cell(disk.size.as_deref()),
        // A volume that could not be read has a policy all the same.
        match (&disk.reclaim_policy, &disk.volume) {
            (None, Some(_)) => "<unknown>".to_owned(),
            (policy, _) => cell(policy.as_deref()),
        },
        disk.fate.label().to_owned(),
    ];
    if look.wide {
        cells.push(cell(disk.storage_class.as_deref()));
        let since = disk.unused_since.map(|since| age(look.now.duration_since(since)));
        cells.push(cell(since.as_deref()));
    }
    cells
}

fn cell(text: Option<&str>) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::text::width;

    fn preview(to: u32, fate: Fate) -> Preview {
        let disk = Disk {
            claim: "data-elasticsearch-master-production-2".to_owned(),
            uid: None,
            volume: Some("pvc-3f9a1c0b-7d1e-4c43-9a4e-5b0b6f6d0a01".to_owned()),
            size: Some("100Gi".to_owned()),
            storage_class: Some("managed-csi-premium".to_owned()),
            reclaim_policy: Some("Delete".to_owned()),
            created: None,
            volume_created: None,
            unused_since: None,
            fate,
        };
        let item = Ordinal {
            kind: "Pod",
            namespace: "shop".to_owned(),
            name: "elasticsearch-2".to_owned(),
            class: Way::Leaves,
            ordinal: 2,
            state: Some("CrashLoopBackOff".to_owned()),
            node: Some("ip-10-0-1-17.eu-central-1.compute.internal".to_owned()),
            claims: vec![disk],
        };
        Preview { from: 3, to, items: vec![item], rest: Vec::new() }
    }

    /// What becomes of the data is never cut, nor is the policy that decides it.
    #[test]
    fn tables_fit_and_what_becomes_of_the_data_stays() {
        let plain = Look::plain(Timestamp::UNIX_EPOCH);
        let fates = [
            Fate::Kept,
            Fate::UntilClaimGoes,
            Fate::ClaimGoes,
            Fate::Destroyed,
            Fate::VolumeGoes,
            Fate::Gone,
            Fate::Mounted,
            Fate::SetAside,
        ];
        for (columns, fate) in [100, 80].into_iter().flat_map(|at| fates.map(|fate| (at, fate))) {
            let lines = ordinals(&preview(2, fate), Look { columns, ..plain });
            for line in &lines {
                assert!(width(line) <= columns, "{columns}: {line}");
            }
            assert!(lines[0].contains("POLICY") && lines[0].ends_with("DATA"), "{lines:?}");
            assert!(lines[1].contains("Delete") && lines[1].ends_with(fate.label()), "{lines:?}");
        }
        let wide = ordinals(&preview(2, Fate::Kept), Look { wide: true, columns: 80, ..plain });
        assert!(wide[1].contains("pvc-3f9a1c0b-7d1e-4c43-9a4e-5b0b6f6d0a01"), "{wide:?}");
        assert!(wide[1].contains("ip-10-0-1-17.eu-central-1.compute.internal"), "{wide:?}");
        let aside = AsideView {
            claim: "data-elasticsearch-master-production-2-aside-1a2b3c".to_owned(),
            was: "data-elasticsearch-master-production-2".to_owned(),
            volume: Some("pvc-3f9a1c0b-7d1e-4c43-9a4e-5b0b6f6d0a01".to_owned()),
            size: Some("100Gi".to_owned()),
            is_replaced: false,
        };
        for line in set_aside(&[aside], Look { columns: 80, ..plain }) {
            assert!(width(&line) <= 80, "{line}");
        }
    }
}
