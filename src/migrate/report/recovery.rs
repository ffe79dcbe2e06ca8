//! A recovery before anything is done: its plan, and the volumes to choose from.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    migrate::{
        journal::{Disk, Journal},
        recover::{Before, Candidate},
    },
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout,
        table::{self, Give, NAME},
        text::{age, count, list, one_line},
    },
    workload::{
        Finding,
        raw::{items, phase, text},
    },
};

/// The payload of `migrate recover --dry-run -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecoveryView {
    pub namespace: String,
    pub stateful_set: String,
    pub ordinal: u32,
    /// The volumes that are put back.
    pub items: Vec<VolumeBack>,
    /// What will be done, in order; empty if each claim has its volume already.
    pub steps: Vec<String>,
    /// The same hash means the same plan.
    pub hash: String,
    /// The command that does it; absent if there is nothing to do.
    pub command: Option<String>,
}

/// A volume that is put back, as it is now.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VolumeBack {
    /// `PersistentVolume`.
    pub kind: &'static str,
    pub namespace: Option<String>,
    pub name: String,
    /// The claim of the set that gets it.
    pub claim: String,
    /// The volume that this claim has now, which is kept.
    pub instead_of: Option<String>,
    /// `NAMESPACE/NAME` of the claim that the volume was reserved for last.
    pub last_claim: Option<String>,
    pub phase: Option<String>,
    pub size: Option<String>,
    pub access_modes: Vec<String>,
    pub storage_class: Option<String>,
    pub reclaim_policy: String,
    /// When the volume was created.
    pub created: Option<String>,
}

impl VolumeBack {
    fn of(disk: &Disk, before: &Before) -> VolumeBack {
        let volume = before.volumes.get(&disk.pv.name).unwrap_or(&Value::Null);
        let word = |pointer: &str| text(volume, pointer).map(str::to_owned);
        let last = word("/spec/claimRef/namespace").zip(word("/spec/claimRef/name"));
        let modes = items(volume, "/spec/accessModes").filter_map(Value::as_str);
        VolumeBack {
            kind: "PersistentVolume",
            namespace: None,
            name: disk.pv.name.clone(),
            claim: disk.new.clone(),
            instead_of: disk.blank.as_ref().map(|blank| blank.pv.name.clone()),
            last_claim: last.map(|(namespace, name)| format!("{namespace}/{name}")),
            phase: Some(phase(volume).to_owned()).filter(|phase| !phase.is_empty()),
            size: word("/spec/capacity/storage"),
            access_modes: modes.map(str::to_owned).collect(),
            storage_class: word("/spec/storageClassName").filter(|class| !class.is_empty()),
            reclaim_policy: disk.policy.clone(),
            created: word("/metadata/creationTimestamp"),
        }
    }
}

impl RecoveryView {
    /// `command` does it; without one, there is nothing to do.
    pub fn new(
        journal: &Journal,
        before: &Before,
        ordinal: u32,
        command: Option<String>,
    ) -> RecoveryView {
        RecoveryView {
            namespace: journal.namespace.clone(),
            stateful_set: journal.set_name().to_owned(),
            ordinal,
            items: journal.disks.iter().map(|disk| VolumeBack::of(disk, before)).collect(),
            steps: if command.is_some() { steps(journal) } else { Vec::new() },
            hash: journal.plan.clone(),
            command,
        }
    }

    /// The volumes as a table.
    pub fn table(&self, look: Look) -> String {
        self.head(look).join("\n") + "\n"
    }

    fn head(&self, look: Look) -> Vec<String> {
        let set = format!("{}/{}", self.namespace, self.stateful_set);
        let set = look.palette.paint(Paint::Bold, &one_line(&set));
        let volumes = count(self.items.len(), "volume");
        let mut lines =
            vec![format!("StatefulSet {set}    recover: {volumes} of ordinal {}", self.ordinal)];
        lines.push(String::new());
        let head = [
            "CLAIM",
            "DISK NOW",
            "DISK THEN",
            "LAST CLAIM",
            "SIZE",
            "MODES",
            "CLASS",
            "POLICY",
            "AGE",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for item in &self.items {
            let or_none =
                |cell: &Option<String>| cell.as_deref().map_or("<none>".to_owned(), one_line);
            rows.push(vec![
                one_line(&item.claim),
                or_none(&item.instead_of),
                one_line(&item.name),
                last_claim(item.last_claim.as_deref(), &self.namespace),
                or_none(&item.size),
                short_modes(&item.access_modes),
                or_none(&item.storage_class),
                one_line(&item.reclaim_policy),
                since(item.created.as_deref(), look.now),
            ]);
        }
        let gives = [
            Give::Drop("AGE"),
            Give::Drop("CLASS"),
            Give::Drop("MODES"),
            Give::Drop("SIZE"),
            Give::Cut("LAST CLAIM", NAME),
            Give::Cut("DISK NOW", NAME),
            Give::Cut("DISK THEN", NAME),
            Give::Cut("CLAIM", NAME),
            Give::Cut("LAST CLAIM", 12),
        ];
        lines.extend(table::fitted(rows, &gives, look.room()));
        lines
    }

    /// The plan for people.
    pub fn text(&self, findings: &[Finding], look: Look) -> String {
        let mut lines = self.head(look);
        lines.push(String::new());
        for (number, step) in self.steps.iter().enumerate() {
            let word = if number == 0 { "steps" } else { "" };
            let step = format!("{}. {step}", number + 1);
            lines.extend(layout::hanging(
                &layout::label(word, Paint::Dim, look),
                &step,
                look.columns,
            ));
        }
        for finding in findings {
            lines.extend(layout::finding(finding, "refused", look));
        }
        let (word, line) = match &self.command {
            Some(command) => ("do it", one_line(command)),
            None => ("done", "each claim has this volume already: nothing to do".to_owned()),
        };
        lines.push(format!("{}  {line}", layout::label(word, Paint::Dim, look)));
        lines.join("\n") + "\n"
    }

    /// The plan in the output format that was asked for.
    ///
    /// # Errors
    /// When it cannot be serialized, which is a bug.
    pub fn render(
        &self,
        findings: &[Finding],
        format: Format,
        look: Look,
    ) -> Result<String, Error> {
        match format {
            Format::Name => Ok(names(self.items.iter().map(|item| item.name.as_str()))),
            Format::Table => Ok(self.text(findings, look)),
            Format::Wide => Ok(self.text(findings, Look { wide: true, ..look })),
            _ => Envelope::new("migrate-recovery", Exit::Done, findings, &[], self).render(format),
        }
    }
}

/// What will be done, in order.
fn steps(journal: &Journal) -> Vec<String> {
    let set = journal.set_name();
    let stops = journal.replicas > journal.down_to;
    let mut steps = Vec::new();
    for disk in &journal.disks {
        let blank = disk.blank.as_ref().map(|blank| &blank.pv.name);
        let volumes: Vec<&str> =
            blank.into_iter().chain([&disk.pv.name]).map(String::as_str).collect();
        steps.push(format!("set the policy of {} to Retain", list(&volumes)));
    }
    if stops {
        steps.push(format!(
            "scale StatefulSet {set} from {} to {}; wait until the pods are gone and the disks \
             detached",
            journal.replicas, journal.down_to
        ));
    }
    for disk in &journal.disks {
        steps.push(format!("reserve {} for claim {}", disk.pv.name, disk.new));
        steps.push(match &disk.blank {
            Some(blank) => {
                format!("delete claim {}; {} is kept, under Retain", disk.new, blank.pv.name)
            }
            None => format!("delete claim {}, if it exists", disk.new),
        });
        steps.push(format!("create claim {} for {}", disk.new, disk.pv.name));
    }
    if stops {
        steps.push(format!(
            "scale StatefulSet {set} to {}; wait until it is Ready",
            journal.replicas
        ));
    }
    for disk in journal.disks.iter().filter(|disk| disk.policy != "Retain") {
        steps.push(format!("{}: policy {} again", disk.pv.name, disk.policy));
    }
    steps
}

/// The payload of `migrate recover -o json` without `--pv`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CandidatesView {
    pub namespace: String,
    pub stateful_set: String,
    pub ordinal: u32,
    /// The claims of this ordinal.
    pub claims: Vec<String>,
    /// How many volumes were read.
    pub volumes_read: usize,
    /// Those that no claim is bound to.
    pub items: Vec<Candidate>,
    /// The command that puts the first one back, if that one belonged to a claim
    /// of this ordinal or no other is of this namespace. It shows the plan, and asks.
    pub next: Option<String>,
}

impl CandidatesView {
    /// The volumes in the output format that was asked for.
    ///
    /// # Errors
    /// When it cannot be serialized, which is a bug.
    pub fn render(&self, format: Format, look: Look) -> Result<String, Error> {
        match format {
            Format::Name => Ok(names(self.items.iter().map(|item| item.name.as_str()))),
            Format::Table => Ok(self.text(look)),
            Format::Wide => Ok(self.text(Look { wide: true, ..look })),
            _ => Envelope::new("migrate-candidates", Exit::Done, &[], &[], self).render(format),
        }
    }

    fn text(&self, look: Look) -> String {
        let set = format!("{}/{}", self.namespace, self.stateful_set);
        let set = look.palette.paint(Paint::Bold, &one_line(&set));
        let read = count(self.volumes_read, "volume");
        let mut lines = vec![format!(
            "StatefulSet {set}    recover: which volume has the data of ordinal {}?",
            self.ordinal
        )];
        lines.push(String::new());
        if self.items.is_empty() {
            lines.push(format!("none of {read} is Released, Available or Failed"));
            return lines.join("\n") + "\n";
        }
        let head = [
            "VOLUME",
            "PHASE",
            "LAST CLAIM",
            "SIZE",
            "MODES",
            "CLASS",
            "POLICY",
            "RELEASED",
            "AGE",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for item in &self.items {
            let or_none =
                |cell: &Option<String>| cell.as_deref().map_or("<none>".to_owned(), one_line);
            let released = item.since.as_deref().filter(|_| item.phase != "Available");
            rows.push(vec![
                one_line(&item.name),
                one_line(&item.phase),
                last_claim(item.last_claim.as_deref(), &self.namespace),
                or_none(&item.size),
                short_modes(&item.access_modes),
                or_none(&item.storage_class),
                one_line(&item.reclaim_policy),
                since(released, look.now),
                since(item.created.as_deref(), look.now),
            ]);
        }
        let gives = [
            Give::Drop("AGE"),
            Give::Drop("CLASS"),
            Give::Drop("MODES"),
            Give::Drop("RELEASED"),
            Give::Drop("SIZE"),
            Give::Cut("LAST CLAIM", NAME),
        ];
        lines.extend(table::fitted(rows, &gives, look.room()));
        lines.push(String::new());
        let claims = self.claims.join(", ");
        let what = format!("{} of {read}, for {claims}", self.items.len());
        lines.push(format!("{}  {what}", layout::label("found", Paint::Dim, look)));
        let next = match &self.next {
            Some(line) => one_line(line),
            None => "name the volume with --pv".to_owned(),
        };
        lines.push(format!("{}  {next}", layout::label("next", Paint::Dim, look)));
        lines.join("\n") + "\n"
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.flat_map(|name| ["persistentvolume/", name, "\n"]).collect()
}

/// `mysql-pv-claim`, or `other/mysql-pv-claim` if it is in another namespace.
fn last_claim(claim: Option<&str>, here: &str) -> String {
    let claim = claim.unwrap_or("<none>");
    let own = claim.split_once('/').filter(|(namespace, _)| *namespace == here);
    one_line(own.map_or(claim, |(_, name)| name))
}

/// The modes as `kubectl get pv` has them: `RWO,ROX`.
fn short_modes(modes: &[String]) -> String {
    let short = modes.iter().map(|mode| match mode.as_str() {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    });
    let all = short.collect::<Vec<_>>().join(",");
    if all.is_empty() { "<none>".to_owned() } else { one_line(&all) }
}

fn since(time: Option<&str>, now: Timestamp) -> String {
    let time = time.and_then(|time| time.parse::<Timestamp>().ok());
    time.map_or_else(|| "<unknown>".to_owned(), |time| age(now.duration_since(time)))
}
