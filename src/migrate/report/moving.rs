//! The report of a migration that was begun: where it stands, and what to run
//! next.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    migrate::{
        fates,
        journal::{Disk, Journal, Mode, StoredJournal},
        standing::{SetState, SourceState, Stage, Standing},
        world::{Reserved, World},
    },
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout,
        table::{self, Give, NAME},
        text::{clock, one_line, verbatim},
    },
    workload::{
        Finding,
        raw::{is_leaving, phase, text},
    },
};

/// The payload of the documents of a migration.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub namespace: String,
    pub stateful_set: String,
    pub deployments: Vec<String>,
    pub mode: Mode,
    pub stage: Stage,
    #[cfg_attr(test, schemars(with = "String"))]
    pub started: Timestamp,
    /// The run that holds the lock.
    pub holder: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub arrived: Option<Timestamp>,
    /// From the scale-down of the Deployment until the set was Ready; after a
    /// rollback, from the scale-down until the Deployment was available.
    pub downtime_ms: Option<u64>,
    /// The set as it is.
    pub set: SetState,
    /// The Deployments as they are.
    pub sources: Vec<SourceState>,
    pub items: Vec<DiskState>,
    /// The writes of this run.
    pub writes: Vec<String>,
    /// The command that continues or finalizes; null if none would go on now.
    pub next: Option<String>,
    /// The command that rolls back; null if that would not succeed now.
    pub way_back: Option<String>,
    #[serde(skip)]
    pub standing: Standing,
}

/// The state of a disk.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DiskState {
    /// `PersistentVolume`.
    pub kind: &'static str,
    pub namespace: Option<String>,
    pub name: String,
    pub old_claim: String,
    pub old_phase: Option<String>,
    pub new_claim: String,
    pub new_phase: Option<String>,
    /// The volume that the new claim really has, if that is a different one.
    pub new_disk: Option<String>,
    /// Whether the new claim has all data; only in mode copy.
    pub filled: Option<bool>,
    /// The claim that has it now; absent if it is neither of these.
    pub held_by: Option<String>,
    pub policy_now: Option<String>,
    /// The original policy, which is restored at the end.
    pub policy: String,
    /// The volume that it replaced, and which is kept.
    pub put_aside: Option<String>,
}

impl DiskState {
    fn of(disk: &Disk, world: &World, journal: &Journal) -> DiskState {
        let word = |claim: Option<&Value>| {
            claim.map(|claim| {
                if is_leaving(claim) { "Terminating" } else { phase(claim) }.to_owned()
            })
        };
        let pv = world.held_volume(&disk.pv);
        DiskState {
            kind: "PersistentVolume",
            namespace: None,
            name: disk.pv.name.clone(),
            old_claim: disk.old.name.clone(),
            old_phase: word(world.old_claim(disk).or_else(|| world.other_claim(disk))),
            new_claim: disk.new.clone(),
            new_phase: word(world.new_claim(disk)),
            new_disk: world
                .new_claim(disk)
                .and_then(|claim| text(claim, "/spec/volumeName"))
                .filter(|volume| *volume != disk.pv.name)
                .map(str::to_owned),
            filled: (journal.mode == Mode::Copy).then(|| fates::is_filled(world, journal, disk)),
            held_by: match world.reserved(disk) {
                Reserved::Old => Some(disk.old.name.clone()),
                Reserved::New => Some(disk.new.clone()),
                Reserved::Stale | Reserved::Elsewhere => None,
            },
            policy_now: pv
                .and_then(|pv| text(pv, "/spec/persistentVolumeReclaimPolicy"))
                .map(str::to_owned),
            policy: disk.policy.clone(),
            put_aside: disk.blank.as_ref().map(|blank| blank.pv.name.clone()),
        }
    }
}

impl View {
    pub fn new(
        stored: &StoredJournal,
        world: &World,
        downtime: Option<Duration>,
        writes: &[String],
        now: Timestamp,
    ) -> View {
        let arrived = stored.arrived.as_ref();
        let own = downtime.and_then(|time| u64::try_from(time.as_millis()).ok());
        View {
            holder: stored.holder.clone(),
            arrived: arrived.map(|arrived| arrived.at),
            downtime_ms: own.or_else(|| arrived.and_then(|arrived| arrived.downtime_ms)),
            ..View::bare(&stored.journal, world, Standing::of(stored, world, now), writes)
        }
    }

    /// The view of a migration that this run has carried to its end: the journal
    /// is gone. `standing` is that of [`Standing::after`].
    pub fn over(
        journal: &Journal,
        world: &World,
        standing: Standing,
        downtime: Option<Duration>,
        writes: &[String],
    ) -> View {
        View {
            downtime_ms: downtime.and_then(|time| u64::try_from(time.as_millis()).ok()),
            ..View::bare(journal, world, standing, writes)
        }
    }

    fn bare(journal: &Journal, world: &World, standing: Standing, writes: &[String]) -> View {
        View {
            namespace: journal.namespace.clone(),
            stateful_set: journal.set_name().to_owned(),
            deployments: journal.deployments.iter().map(|member| member.name.clone()).collect(),
            mode: journal.mode,
            stage: standing.stage,
            started: journal.started,
            holder: None,
            arrived: None,
            downtime_ms: None,
            set: standing.set.clone(),
            sources: standing.sources.clone(),
            items: journal.disks.iter().map(|disk| DiskState::of(disk, world, journal)).collect(),
            writes: writes.to_vec(),
            next: None,
            way_back: None,
            standing,
        }
    }

    /// Fills in the commands to run next.
    pub fn commands(&mut self, flags: &str) {
        let line = |verb: &str| {
            format!(
                "kubectl stateful migrate {verb} sts/{} -n {}{flags}",
                self.stateful_set, self.namespace
            )
        };
        self.next = self.standing.next.map(|next| line(next.word()));
        self.way_back = self.standing.is_way_back_open.then(|| line("rollback"));
    }

    /// What is wrong, as it was looked at, without what `said` has already.
    pub fn wrong(&self, said: &[Finding]) -> Vec<Finding> {
        let is_new = |finding: &&Finding| {
            !said.iter().any(|one| one.id == finding.id && one.object == finding.object)
        };
        self.standing.findings.iter().filter(is_new).cloned().collect()
    }
}

/// A migration in the output format that was asked for. `findings` are those of
/// this run; what is wrong besides is said as well.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn render(
    view: &View,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Name => Ok(format!("statefulset.apps/{}\n", view.stateful_set)),
        Format::Table => Ok(text_of(view, findings, look)),
        Format::Wide => Ok(text_of(view, findings, Look { wide: true, ..look })),
        _ => {
            let all = [findings, &view.wrong(findings)].concat();
            Envelope::new("migrate", exit, &all, &[], view).render(format)
        }
    }
}

fn text_of(view: &View, findings: &[Finding], look: Look) -> String {
    let set = format!("{}/{}", view.namespace, view.stateful_set);
    let set = look.palette.paint(Paint::Bold, &one_line(&set));
    let from = match one_line(&view.deployments.join(", ")) {
        none if none.is_empty() => none,
        some => format!("    from Deployment {some}"),
    };
    let mut lines = vec![format!("StatefulSet {set}{from}")];
    if !view.items.is_empty() {
        lines.push(String::new());
        let recovery = matches!(view.stage, Stage::Recovering | Stage::Recovered | Stage::PutBack);
        lines.extend(if recovery { put_back(&view.items, look) } else { disks(&view.items, look) });
    }
    lines.push(String::new());
    let mut say = |word: &str, paint: Paint, text: &str| {
        lines.extend(layout::hanging(&layout::label(word, paint, look), text, look.columns));
    };
    say("state", Paint::Dim, &view.standing.sentence());
    say("set", Paint::Dim, &one_line(&view.set.words()));
    for source in &view.sources {
        say("deploy", Paint::Dim, &one_line(&format!("{}: {}", source.name, source.words())));
    }
    if let Some(holder) = &view.holder {
        say(
            "lock",
            Paint::Dim,
            &format!("{holder}; the migration was started at {}", clock(view.started)),
        );
    }
    if let Some(downtime) = view.downtime_ms {
        let seconds = Duration::from_millis(downtime).as_secs_f64();
        say(
            "down",
            Paint::Dim,
            &if view.stage == Stage::RolledBack {
                format!("{seconds:.1} s from the scale-down until the Deployment was available")
            } else {
                format!(
                    "{seconds:.1} s from the scale-down of the Deployment until the set was Ready"
                )
            },
        );
    }
    for finding in findings {
        lines.extend(layout::finding(finding, "stopped", look));
    }
    for finding in &view.wrong(findings) {
        lines.extend(layout::finding(finding, "wrong", look));
    }
    for (word, command) in [("back", &view.way_back), ("next", &view.next)] {
        if let Some(command) = command {
            lines.push(format!("{}  {}", layout::label(word, Paint::Dim, look), verbatim(command)));
        }
    }
    lines.join("\n") + "\n"
}

fn disks(items: &[DiskState], look: Look) -> Vec<String> {
    let mut head = ["DISK", "OLD CLAIM", "", "NEW CLAIM", "", "POLICY"].map(str::to_owned).to_vec();
    let own = items.iter().any(|item| item.new_disk.is_some());
    if own {
        head.push("NEW DISK".to_owned());
    }
    let mut rows = vec![head];
    let word = |phase: &Option<String>| phase.clone().unwrap_or_else(|| "<none>".to_owned());
    for item in items {
        let now = word(&item.policy_now);
        let policy = if now == item.policy { now } else { format!("{now}, was {}", item.policy) };
        let mut row = vec![
            one_line(&item.name),
            one_line(&item.old_claim),
            word(&item.old_phase),
            one_line(&item.new_claim),
            word(&item.new_phase),
            one_line(&policy),
        ];
        row.extend(own.then(|| one_line(&word(&item.new_disk))));
        rows.push(row);
    }
    let gives = [
        Give::Cut("NEW DISK", NAME),
        Give::Cut("DISK", NAME),
        Give::Cut("OLD CLAIM", NAME),
        Give::Cut("NEW CLAIM", NAME),
        Give::Drop("DISK"),
        // The finding about it names it.
        Give::Drop("NEW DISK"),
        Give::Cut("OLD CLAIM", NAME / 2),
    ];
    table::fitted(rows, &gives, look.room())
}

fn put_back(items: &[DiskState], look: Look) -> Vec<String> {
    let head = ["DISK", "CLAIM", "", "POLICY", "KEPT"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    let word = |phase: &Option<String>| phase.clone().unwrap_or_else(|| "<none>".to_owned());
    for item in items {
        rows.push(vec![
            one_line(&item.name),
            one_line(&item.new_claim),
            word(&item.new_phase),
            one_line(&word(&item.policy_now)),
            one_line(&word(&item.put_aside)),
        ]);
    }
    let gives = [Give::Cut("KEPT", NAME), Give::Cut("DISK", NAME), Give::Cut("CLAIM", NAME)];
    table::fitted(rows, &gives, look.room())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::text::width;

    #[test]
    fn the_table_of_disks_fits() {
        let long = "elasticsearch-data-elasticsearch-master-0".to_owned();
        let mut item = DiskState {
            kind: "PersistentVolume",
            namespace: None,
            name: "pvc-3f9a1c0b-7d1e-4c43-9a4e-5b0b6f6d0a01".to_owned(),
            old_claim: long.clone(),
            old_phase: Some("Terminating".to_owned()),
            new_claim: long.clone(),
            new_phase: Some("Terminating".to_owned()),
            new_disk: None,
            filled: None,
            held_by: None,
            policy_now: Some("Retain".to_owned()),
            policy: "Recycle".to_owned(),
            put_aside: Some(long.clone()),
        };
        let plain = Look::plain(Timestamp::UNIX_EPOCH);
        for new_disk in [None, Some(long)] {
            item.new_disk = new_disk;
            let look = Look { columns: 80, ..plain };
            let both = [disks, put_back].map(|table| table(std::slice::from_ref(&item), look));
            for lines in both {
                assert!(lines.iter().all(|line| width(line) <= 80), "{lines:#?}");
            }
        }
    }
}
