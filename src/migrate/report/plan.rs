//! A plan, before anything is done.

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    migrate::{
        begin::Plan,
        convert::SetView,
        fill,
        journal::{Disk, Journal, Mode, Order},
        object::text,
        rules,
    },
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout, table,
        text::{list, one_line},
    },
    workload::Finding,
};

/// The payload of `migrate plan -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    pub namespace: String,
    pub deployments: Vec<String>,
    pub stateful_set: String,
    pub mode: Mode,
    pub order: Order,
    pub replicas: u32,
    pub service: String,
    pub service_is_made: bool,
    /// The disks that change hands.
    pub items: Vec<DiskView>,
    /// Claims that stay as they are.
    pub kept_claims: Vec<String>,
    /// What the set's pods find on their disks, and how long nothing serves.
    pub downtime: &'static str,
    /// What the way back costs, where it costs data.
    pub way_back_loses: Option<String>,
    /// What will be done, in order.
    pub steps: Vec<String>,
    /// The same hash, the same plan.
    pub hash: String,
    pub command: String,
    pub way_back: String,
}

/// A disk, before it changes hands.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DiskView {
    /// `PersistentVolume`.
    pub kind: &'static str,
    /// Volumes are of no namespace.
    pub namespace: Option<String>,
    /// The volume's name.
    pub name: String,
    /// The volume of the pod.
    pub volume: String,
    pub claim_now: String,
    pub claim_then: String,
    pub size: Option<String>,
    pub storage_class: Option<String>,
    /// Those of the new claim, where it gets a volume of its own.
    pub new_size: Option<String>,
    pub new_storage_class: Option<String>,
    pub reclaim_policy: String,
}

impl DiskView {
    fn of(disk: &Disk, fills: bool) -> DiskView {
        let spec = |pointer: &str| text(&disk.claim, pointer).map(str::to_owned);
        let old = |pointer: &str| text(&disk.object, pointer).map(str::to_owned);
        let size = old("/status/capacity/storage");
        let class =
            if fills { old("/spec/storageClassName") } else { spec("/spec/storageClassName") };
        DiskView {
            kind: "PersistentVolume",
            namespace: None,
            name: disk.pv.name.clone(),
            volume: disk.volume.clone(),
            claim_now: disk.old.name.clone(),
            claim_then: disk.new.clone(),
            size: size.or_else(|| spec("/spec/resources/requests/storage")),
            storage_class: class.filter(|class| !class.is_empty()),
            new_size: spec("/spec/resources/requests/storage").filter(|_| fills),
            new_storage_class: spec("/spec/storageClassName").filter(|_| fills),
            reclaim_policy: disk.policy.clone(),
        }
    }
}

impl PlanView {
    pub fn new(plan: &Plan, flags: &str) -> PlanView {
        let journal = &plan.journal;
        let SetView { deployments, .. } = &plan.view;
        let namespace = journal.namespace.clone();
        let set = journal.set_name().to_owned();
        let again: Vec<String> = std::env::args()
            .skip(1)
            .map(|word| crate::cluster::shell_quoted(&word))
            .map(|word| if word == "plan" { "run".to_owned() } else { word })
            .collect();
        PlanView {
            command: format!(
                "kubectl stateful {} --confirm-plan {}",
                again.join(" "),
                journal.plan
            ),
            way_back: format!("kubectl stateful migrate rollback sts/{set} -n {namespace}{flags}"),
            deployments: deployments.clone(),
            stateful_set: set,
            mode: journal.mode,
            order: journal.order,
            replicas: journal.replicas,
            service: journal.service_name().to_owned(),
            service_is_made: journal.service.is_some(),
            items: disks_of(journal),
            kept_claims: journal.kept.clone(),
            downtime: downtime(journal),
            way_back_loses: fill::loses(journal),
            steps: steps(journal),
            hash: journal.plan.clone(),
            namespace,
        }
    }
}

fn disks_of(journal: &Journal) -> Vec<DiskView> {
    journal.disks.iter().map(|disk| DiskView::of(disk, journal.fills())).collect()
}

fn mode_name(mode: Mode) -> String {
    let named = mode.to_possible_value();
    named.map(|one| one.get_name().to_owned()).unwrap_or_default()
}

/// On which disks the set runs, and how long nothing does.
fn downtime(journal: &Journal) -> &'static str {
    match (journal.mode, journal.order) {
        (Mode::Rebind, _) => "the same disk, the downtime of one restart",
        (Mode::Keep, _) => "the claims as they are, the downtime of one restart",
        (Mode::Copy, Order::SwapFirst) => {
            "a new disk, the downtime of the second pass, its comparison and one restart"
        }
        (Mode::Copy, Order::StopFirst) => {
            "a new disk, the downtime of the whole copy, its comparison and one restart"
        }
        (Mode::Clone, _) => "a new disk, the downtime of the clone and one restart",
        (Mode::Snapshot, _) => "a new disk, the downtime of the snapshot and one restart",
    }
}

/// The steps to volumes of the set's own.
fn steps_to_new(journal: &Journal, make: String, stop: String) -> Vec<String> {
    let each =
        |say: &dyn Fn(&Disk) -> String| -> Vec<String> { journal.disks.iter().map(say).collect() };
    let online = journal.order == Order::SwapFirst;
    match journal.mode {
        Mode::Copy => {
            let image = journal.copying.as_ref().map_or("", |copying| copying.image.as_str());
            let first = each(&|disk: &Disk| {
                let Disk { old, new, .. } = disk;
                if disk.is_for_one_pod() {
                    format!("{}: no first pass, it is for one pod at a time", old.name)
                } else {
                    format!("{} -> {new}: a Job copies, while it serves ({image})", old.name)
                }
            });
            let last = each(&|disk: &Disk| {
                format!("{} -> {}: a Job copies the rest, and compares", disk.old.name, disk.new)
            });
            let before = if online {
                [vec![make], first, vec![stop]]
            } else {
                [vec![stop], vec![make], vec![]]
            };
            let jobs = "remove the Jobs; wait until the disks are detached".to_owned();
            before.into_iter().flatten().chain(last).chain([jobs]).collect()
        }
        Mode::Snapshot => {
            let mut taken: Vec<String> = each(&|disk: &Disk| {
                format!("snapshot of {}; wait until it is ready to use", disk.old.name)
            });
            taken.dedup();
            [vec![stop], taken, vec![make]].concat()
        }
        _ => vec![stop, make],
    }
}

/// What will be done, in the order in which it is done.
fn steps(journal: &Journal) -> Vec<String> {
    let set = journal.set_name();
    let names: Vec<&str> = journal.deployments.iter().map(|member| member.name.as_str()).collect();
    let stop =
        format!("scale {} to 0; wait until its pods are gone and the disks detached", list(&names));
    let mut steps = Vec::new();
    let held = journal.disks.iter().filter(|disk| disk.policy != "Retain" && journal.rebinds());
    for disk in held {
        steps.push(format!("{}: policy {} -> Retain, until finalize", disk.pv.name, disk.policy));
    }
    let mut make: Vec<String> = journal.disks.iter().map(|disk| new_claim(journal, disk)).collect();
    if journal.service.is_some() {
        make.push(format!("headless Service {}", journal.service_name()));
    }
    make.push(format!("StatefulSet {set} without pods"));
    let make: Vec<&str> = make.iter().map(String::as_str).collect();
    let make = format!("create {}", list(&make));
    let swap: Vec<String> = journal
        .disks
        .iter()
        .map(|disk| format!("{}: from claim {} to {}", disk.pv.name, disk.old.name, disk.new))
        .collect();
    if journal.fills() {
        steps.extend(steps_to_new(journal, make, stop));
    } else {
        let (before, after) = match journal.order {
            Order::StopFirst => (Some(stop), None),
            Order::SwapFirst => (None, Some(stop)),
        };
        steps.extend(before);
        steps.push(make);
        steps.extend(swap);
        steps.extend(after);
    }
    steps.push(format!("scale {set} to {}; wait until it is Ready", journal.replicas));
    for scaler in &journal.scalers {
        steps.push(format!(
            "{} {}: scales {set}",
            scaler.kind.resource().singular,
            scaler.target.name
        ));
    }
    steps
}

/// A new claim, and where its data comes from.
fn new_claim(journal: &Journal, disk: &Disk) -> String {
    let of = |pointer: &str| text(&disk.claim, pointer).unwrap_or("<none>");
    let (class, size) = (of("/spec/storageClassName"), of("/spec/resources/requests/storage"));
    let from = match journal.mode {
        Mode::Rebind | Mode::Keep => return format!("claim {}", disk.new),
        Mode::Copy => String::new(),
        Mode::Clone => format!(", a clone of {}", disk.old.name),
        Mode::Snapshot => format!(", from the snapshot of {}", disk.old.name),
    };
    format!("claim {} ({size} of {class}{from})", disk.new)
}

/// The plan as it was asked for.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn render_plan(
    view: &PlanView,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Name => {
            let lines = view.items.iter().map(|item| format!("persistentvolume/{}\n", item.name));
            Ok(lines.collect())
        }
        Format::Table => Ok(plan_text(view, findings, look)),
        Format::Wide => Ok(plan_text(view, findings, Look { wide: true, ..look })),
        _ => Envelope::new("migrate-plan", exit, findings, &[], view).render(format),
    }
}

/// The plan for people.
pub fn plan_text(view: &PlanView, findings: &[Finding], look: Look) -> String {
    let bold = |text: &str| look.palette.paint(Paint::Bold, &one_line(text));
    let from: Vec<String> =
        view.deployments.iter().map(|name| format!("{}/{name}", view.namespace)).collect();
    let how = format!("{}: {}", mode_name(view.mode), view.downtime);
    let kinds = if from.len() == 1 { "Deployment" } else { "Deployments" };
    let to = bold(&format!("{}/{}", view.namespace, view.stateful_set));
    let mut lines =
        vec![format!("{kinds} {} -> StatefulSet {to}    {how}", one_line(&from.join(", ")))];
    if !view.items.is_empty() {
        lines.push(String::new());
        lines.extend(disks(&view.items));
    }
    lines.push(String::new());
    let mut say = |word: &str, text: &str| {
        lines.extend(layout::hanging(&layout::label(word, Paint::Dim, look), text, look.columns));
    };
    if !view.kept_claims.is_empty() {
        say("kept", &format!("{}: mounted as it is", view.kept_claims.join(", ")));
    }
    let made = if view.service_is_made { ", which is made" } else { "" };
    say("service", &format!("{}{made}; replicas {}", view.service, view.replicas));
    for (number, step) in view.steps.iter().enumerate() {
        say(if number == 0 { "steps" } else { "" }, &format!("{}. {step}", number + 1));
    }
    if let Some(what) = &view.way_back_loses {
        say("mind", &format!("on the way back {what}"));
    }
    // What tools write for themselves is left behind without a word.
    let quiet = |finding: &&Finding| finding.id == rules::KEY_DROPPED.id && !look.wide;
    for finding in findings.iter().filter(|finding| !quiet(finding)) {
        lines.extend(layout::finding(finding, "refused", look));
    }
    let mut command = |word: &str, line: &str| {
        lines.push(format!("{}  {}", layout::label(word, Paint::Dim, look), one_line(line)));
    };
    command("back", &view.way_back);
    let refused = findings.iter().any(|f| f.severity == crate::workload::Severity::Error);
    if refused {
        command("plan", &format!("{}: a guard says no; nothing was changed", view.hash));
    } else {
        command("do it", &view.command);
    }
    lines.join("\n") + "\n"
}

fn disks(items: &[DiskView]) -> Vec<String> {
    let head = ["VOLUME", "CLAIM NOW", "CLAIM THEN", "DISK", "SIZE", "CLASS", "POLICY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let or_none =
        |cell: &Option<String>| cell.as_deref().map_or_else(|| "<none>".to_owned(), one_line);
    let becomes = |was: &Option<String>, is: &Option<String>| match is {
        Some(_) if was != is => format!("{} -> {}", or_none(was), or_none(is)),
        _ => or_none(was),
    };
    for item in items {
        rows.push(vec![
            one_line(&item.volume),
            one_line(&item.claim_now),
            one_line(&item.claim_then),
            one_line(&item.name),
            becomes(&item.size, &item.new_size),
            becomes(&item.storage_class, &item.new_storage_class),
            one_line(&item.reclaim_policy),
        ]);
    }
    table::columns(rows)
}
