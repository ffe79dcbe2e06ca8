//! A plan, before anything is done.

use clap::ValueEnum;
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::Value;

use crate::{
    migrate::{
        convert::SetView,
        fates,
        journal::{Disk, Journal, Mode, Order, Wishes},
        makers,
        plan::Plan,
        rules,
    },
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout,
        table::{self, Give, NAME},
        text::{age, list, one_line, verbatim},
    },
    workload::{
        Finding, Unread,
        raw::{name, text},
    },
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
    /// The Services that select the new pods; none of them is changed.
    pub services: Vec<ServiceView>,
    /// The disks that are handed over or copied.
    pub items: Vec<DiskView>,
    /// Claims that stay as they are.
    pub kept_claims: Vec<String>,
    /// Which disks the set runs on, and the downtime.
    pub downtime: &'static str,
    /// The data that a rollback deletes, if any.
    pub way_back_loses: Option<String>,
    /// What becomes of the Deployment if somebody starts it after the move; absent
    /// if its pods cannot start.
    pub if_started_again: Option<String>,
    /// What will be done, in order.
    pub steps: Vec<String>,
    /// The same hash means the same plan.
    pub hash: String,
    /// The command that does it; absent if no cluster was asked, or a guard refuses.
    pub command: Option<String>,
    pub way_back: Option<String>,
}

/// A Service that selects the new pods.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServiceView {
    pub name: String,
    /// `None` for a headless Service; absent if it has no address yet.
    pub cluster_ip: Option<String>,
}

impl ServiceView {
    fn of(service: &Value) -> ServiceView {
        ServiceView {
            name: name(service).to_owned(),
            cluster_ip: text(service, "/spec/clusterIP").map(str::to_owned),
        }
    }

    fn text(&self) -> String {
        let keeps = match self.cluster_ip.as_deref() {
            None | Some("") => "is not changed".to_owned(),
            Some("None") => "stays headless".to_owned(),
            Some(address) => format!("keeps its address {address}"),
        };
        format!("Service {}: {keeps}, and selects the new pods", self.name)
    }
}

/// A disk in a plan.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DiskView {
    /// `PersistentVolume`.
    pub kind: &'static str,
    /// Volumes have no namespace.
    pub namespace: Option<String>,
    /// The name of the volume; empty if manifests do not name it.
    pub name: String,
    /// The volume of the pod.
    pub volume: String,
    pub claim_now: String,
    pub claim_then: String,
    pub size: Option<String>,
    pub storage_class: Option<String>,
    /// The size and class of the new claim, if it gets a new volume.
    pub new_size: Option<String>,
    pub new_storage_class: Option<String>,
    /// Empty if the volume is not known.
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
    /// If a cluster was asked, `flags` are those of the connection, and `command`
    /// carries out the plan.
    pub fn new(plan: &Plan, flags: Option<&str>, command: Option<String>) -> PlanView {
        let journal = &plan.journal;
        let SetView { deployments, .. } = &plan.view;
        let namespace = journal.namespace.clone();
        let set = journal.set_name().to_owned();
        PlanView {
            command,
            way_back: flags.map(|flags| {
                format!("kubectl stateful migrate rollback sts/{set} -n {namespace}{flags}")
            }),
            deployments: deployments.clone(),
            stateful_set: set,
            mode: journal.mode,
            order: journal.order,
            replicas: journal.replicas,
            service: journal.service_name().to_owned(),
            service_is_made: journal.service.is_some(),
            services: plan.services.iter().map(ServiceView::of).collect(),
            items: disks_of(journal),
            kept_claims: journal.kept.clone(),
            downtime: downtime(journal),
            way_back_loses: fates::rollback_will_delete(journal),
            if_started_again: makers::caution(journal),
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

/// Which disks the set runs on, and the downtime.
fn downtime(journal: &Journal) -> &'static str {
    if journal.deployments.iter().all(|member| member.replicas == 0) {
        return "no downtime, because no pod runs";
    }
    if journal.disks.is_empty() && journal.kept.is_empty() {
        return "the downtime of one restart";
    }
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

/// The steps in the modes with new volumes.
fn steps_to_new(journal: &Journal, make: String, stop: String) -> Vec<String> {
    let each =
        |say: &dyn Fn(&Disk) -> String| -> Vec<String> { journal.disks.iter().map(say).collect() };
    let online = journal.order == Order::SwapFirst;
    match journal.mode {
        Mode::Copy => {
            let image = journal.copying.as_ref().map_or("", |copying| copying.image.as_str());
            let first = each(&|disk: &Disk| {
                let (old, new) = (&disk.old.name, &disk.new);
                if disk.is_for_one_pod() {
                    return format!("{old}: no first pass, because only one pod can use it");
                }
                format!("{old} -> {new}: a Job copies while the Deployment serves ({image})")
            });
            let last = each(&|disk: &Disk| {
                format!("{} -> {}: a Job copies the rest and compares", disk.old.name, disk.new)
            });
            let before = if online {
                [vec![make], first, vec![stop]]
            } else {
                [vec![stop], vec![make], vec![]]
            };
            let jobs = "delete the Jobs; wait until the disks are detached".to_owned();
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
    let kind = if names.len() == 1 { "Deployment" } else { "Deployments" };
    let detached = if journal.disks.is_empty() { "" } else { " and the disks detached" };
    let stop =
        format!("scale {kind} {} to 0; wait until the pods are gone{detached}", list(&names));
    let mut steps = Vec::new();
    let held = journal.disks.iter().filter(|disk| disk.policy != "Retain" && journal.rebinds());
    for disk in held {
        let is = if disk.policy.is_empty() { "" } else { " " };
        steps.push(format!(
            "{}: policy{is}{} -> Retain, until finalize",
            called(disk),
            disk.policy
        ));
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
        .map(|disk| format!("{}: from claim {} to {}", called(disk), disk.old.name, disk.new))
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
    steps.push(match journal.replicas {
        0 => format!("StatefulSet {set} stays at 0, like the Deployment"),
        replicas => format!("scale StatefulSet {set} to {replicas}; wait until it is Ready"),
    });
    let Wishes { verify, auto_rollback, finalize_after } = &journal.wishes;
    if let Some(command) = verify.as_ref().filter(|_| journal.replicas > 0) {
        steps.push(format!("run in each pod: {command}"));
    }
    for scaler in &journal.scalers {
        steps.push(format!(
            "{} {}: point it at {set}",
            scaler.kind.resource().singular,
            scaler.target.name
        ));
    }
    if *auto_rollback {
        steps.push("if the set does not start, or the check fails: roll back".to_owned());
    }
    if let Some(seconds) = finalize_after {
        let soak = match SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or(i64::MAX)) {
            SignedDuration::ZERO => String::new(),
            soak => format!("when it has run for {}, ", age(soak)),
        };
        steps.push(format!("{soak}finalize: what a rollback needs is deleted"));
    }
    steps
}

/// A new claim and where its data comes from.
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

/// The volume's name, if it is known.
fn called(disk: &Disk) -> String {
    match disk.pv.name.as_str() {
        "" => format!("the volume of {}", disk.old.name),
        name => name.to_owned(),
    }
}

/// The plan in the output format that was asked for.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn render_plan(
    view: &PlanView,
    exit: Exit,
    findings: &[Finding],
    unread: &[Unread],
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Name => {
            let named = view.items.iter().filter(|item| !item.name.is_empty());
            let lines = named.map(|item| format!("persistentvolume/{}\n", item.name));
            Ok(lines.collect())
        }
        Format::Table => Ok(plan_text(view, findings, look)),
        Format::Wide => Ok(plan_text(view, findings, Look { wide: true, ..look })),
        _ => Envelope::new("migrate-plan", exit, findings, unread, view).render(format),
    }
}

/// The plan for people.
pub fn plan_text(view: &PlanView, findings: &[Finding], look: Look) -> String {
    let bold = |text: &str| look.palette.paint(Paint::Bold, &one_line(text));
    let from: Vec<String> =
        view.deployments.iter().map(|name| format!("{}/{name}", view.namespace)).collect();
    let without_disks = view.items.is_empty() && view.kept_claims.is_empty();
    let how = if without_disks { "no claims".to_owned() } else { mode_name(view.mode) };
    let how = format!("{how}: {}", view.downtime);
    let kinds = if from.len() == 1 { "Deployment" } else { "Deployments" };
    let to = bold(&format!("{}/{}", view.namespace, view.stateful_set));
    let mut lines =
        vec![format!("{kinds} {} -> StatefulSet {to}    {how}", one_line(&from.join(", ")))];
    if !view.items.is_empty() {
        lines.push(String::new());
        lines.extend(disks(&view.items, look));
    }
    lines.push(String::new());
    let mut say = |word: &str, text: &str| {
        lines.extend(layout::hanging(&layout::label(word, Paint::Dim, look), text, look.columns));
    };
    if !view.kept_claims.is_empty() {
        say("kept", &format!("{}: mounted as it is", view.kept_claims.join(", ")));
    }
    let made = if view.service_is_made { ", which is created" } else { "" };
    say("service", &format!("{}{made}; replicas {}", view.service, view.replicas));
    for service in &view.services {
        say("kept", &service.text());
    }
    for (number, step) in view.steps.iter().enumerate() {
        say(if number == 0 { "steps" } else { "" }, &format!("{}. {step}", number + 1));
    }
    for what in [&view.way_back_loses, &view.if_started_again].into_iter().flatten() {
        say("caution", what);
    }
    // Labels of tools are only listed with -o wide.
    let hidden = |finding: &&Finding| finding.id == rules::KEY_DROPPED.id && !look.wide;
    for finding in findings.iter().filter(|finding| !hidden(finding)) {
        lines.extend(layout::finding(finding, "refused", look));
    }
    let mut command = |word: &str, line: &str| {
        lines.push(format!("{}  {}", layout::label(word, Paint::Dim, look), verbatim(line)));
    };
    if let Some(line) = &view.way_back {
        command("back", line);
    }
    let refused = findings.iter().any(|f| f.severity == crate::workload::Severity::Error);
    if refused {
        command("plan", &format!("{}: a guard refuses; nothing was changed", view.hash));
    } else if let Some(line) = &view.command {
        command("do it", line);
    }
    lines.join("\n") + "\n"
}

fn disks(items: &[DiskView], look: Look) -> Vec<String> {
    let head = ["VOLUME", "CLAIM NOW", "CLAIM THEN", "DISK", "SIZE", "CLASS", "POLICY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let or_none =
        |cell: &Option<String>| cell.as_deref().map_or_else(|| "<none>".to_owned(), one_line);
    let becomes = |was: &Option<String>, is: &Option<String>| match is {
        Some(_) if was != is => format!("{} -> {}", or_none(was), or_none(is)),
        _ => or_none(was),
    };
    let or_unknown =
        |cell: &str| if cell.is_empty() { "<unknown>".to_owned() } else { one_line(cell) };
    for item in items {
        rows.push(vec![
            one_line(&item.volume),
            one_line(&item.claim_now),
            one_line(&item.claim_then),
            or_unknown(&item.name),
            becomes(&item.size, &item.new_size),
            becomes(&item.storage_class, &item.new_storage_class),
            or_unknown(&item.reclaim_policy),
        ]);
    }
    let gives = [
        Give::Drop("CLASS"),
        Give::Drop("SIZE"),
        Give::Cut("VOLUME", 12),
        Give::Cut("DISK", NAME),
        Give::Cut("CLAIM NOW", NAME),
        Give::Cut("CLAIM THEN", NAME),
    ];
    table::fitted(rows, &gives, look.room())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::output::text::width;

    /// On a terminal of 80 columns as well; the policy is never cut.
    #[test]
    fn the_table_of_disks_fits() {
        let item = DiskView {
            kind: "PersistentVolume",
            namespace: None,
            name: "pvc-3f9a1c0b-7d1e-4c43-9a4e-5b0b6f6d0a01".to_owned(),
            volume: "elasticsearch-data".to_owned(),
            claim_now: "elasticsearch-master-data".to_owned(),
            claim_then: "elasticsearch-data-elasticsearch-master-0".to_owned(),
            size: Some("100Gi".to_owned()),
            storage_class: Some("standard".to_owned()),
            new_size: Some("200Gi".to_owned()),
            new_storage_class: Some("managed-csi-premium".to_owned()),
            reclaim_policy: "Delete".to_owned(),
        };
        let plain = Look::plain(Timestamp::UNIX_EPOCH);
        for columns in [100, 80] {
            let lines = disks(std::slice::from_ref(&item), Look { columns, ..plain });
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:?}");
            assert!(lines[1].ends_with("Delete"), "{lines:?}");
        }
        let lines = disks(&[item], Look { wide: true, columns: 80, ..plain });
        assert!(lines[1].contains("standard -> managed-csi-premium"), "{lines:?}");
    }
}
