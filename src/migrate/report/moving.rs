//! A migration that was begun: where it stands, and what to type next.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    migrate::{
        fill,
        journal::{Book, Disk, Intent, Journal, Mode, Tag},
        object::{name, text},
        world::{Reserved, World, phase, replicas},
    },
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout, table,
        text::{clock, one_line},
    },
    workload::Finding,
};

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The Deployment runs on its own claims.
    Begun,
    /// The Deployment runs, and the disks are the set's.
    Swapped,
    /// Neither runs.
    Stopped,
    /// The set is starting.
    Starting,
    /// The set runs; everything can be taken back.
    Arrived,
    GoingBack,
    Finishing,
    /// A volume is being put back under the set.
    Recovering,
    /// The set runs on the volume that was put back.
    Recovered,
    /// The Deployment is back, and nothing of the migration is left.
    RolledBack,
    /// The set runs, and nothing of the migration is left.
    Finished,
}

impl Stage {
    fn says(self) -> &'static str {
        match self {
            Stage::Begun => "begun: the Deployment runs on its own claims",
            Stage::Swapped => "begun: the Deployment runs, and the disks are the set's",
            Stage::Stopped => "under way: neither the Deployment nor the set runs",
            Stage::Starting => "under way: the set is starting",
            Stage::Arrived => "moved: the set runs; the way back is open until finalize",
            Stage::GoingBack => "on the way back to the Deployment",
            Stage::Finishing => "being finalized",
            Stage::Recovering => "a volume is being put back under the set",
            Stage::Recovered => "the set runs on the volume that was put back",
            Stage::RolledBack => "rolled back: the Deployment is as it was",
            Stage::Finished => "finished: nothing of the migration is left",
        }
    }
}

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
    /// The run that has it in hand.
    pub holder: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub arrived: Option<Timestamp>,
    /// From the stop of the old pod to the new one Ready.
    pub downtime_ms: Option<u64>,
    pub items: Vec<DiskState>,
    /// What this run has written.
    pub writes: Vec<String>,
    /// What to type to go on, or to finish.
    pub next: Option<String>,
    pub way_back: Option<String>,
}

/// A disk on its way.
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
    /// The volume of the new claim, where that is another one.
    pub new_disk: Option<String>,
    /// Whether the new claim has all data; only where it is copied.
    pub filled: Option<bool>,
    /// The claim that has it now; absent where it is neither of these.
    pub held_by: Option<String>,
    pub policy_now: Option<String>,
    /// The policy that it had, and will have.
    pub policy: String,
    /// The volume in whose place it was put, and which is kept.
    pub put_aside: Option<String>,
}

impl DiskState {
    fn of(disk: &Disk, world: &World, journal: &Journal) -> DiskState {
        let word = |claim: Option<&Value>| claim.map(|claim| phase(claim).to_owned());
        let pv = world.held_volume(&disk.pv);
        DiskState {
            kind: "PersistentVolume",
            namespace: None,
            name: disk.pv.name.clone(),
            old_claim: disk.old.name.clone(),
            old_phase: word(world.held_claim(&disk.old)),
            new_claim: disk.new.clone(),
            new_phase: word(world.new_claim(disk)),
            new_disk: world
                .new_claim(disk)
                .filter(|_| journal.fills())
                .and_then(|claim| text(claim, "/spec/volumeName"))
                .map(str::to_owned),
            filled: (journal.mode == Mode::Copy).then(|| fill::is_filled(world, journal, disk)),
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
    pub fn new(book: &Book, world: &World, downtime: Option<Duration>, writes: &[String]) -> View {
        let journal = &book.journal;
        let arrived = book.arrived.as_ref();
        let own = downtime.and_then(|time| u64::try_from(time.as_millis()).ok());
        View {
            holder: book.holder.clone(),
            arrived: arrived.map(|arrived| arrived.at),
            downtime_ms: own.or_else(|| arrived.and_then(|arrived| arrived.downtime_ms)),
            ..View::bare(journal, world, stage(book, world), writes)
        }
    }

    /// Of a migration that has come to its end: its journal is gone.
    pub fn over(
        journal: &Journal,
        world: &World,
        downtime: Option<Duration>,
        writes: &[String],
    ) -> View {
        let back = journal
            .deployments
            .iter()
            .any(|member| world.deployment(&member.name, &member.uid).is_some());
        let stage = match (journal.deployments.is_empty(), back) {
            (true, _) => Stage::Recovered,
            (false, true) => Stage::RolledBack,
            (false, false) => Stage::Finished,
        };
        View {
            downtime_ms: downtime.and_then(|time| u64::try_from(time.as_millis()).ok()),
            ..View::bare(journal, world, stage, writes)
        }
    }

    fn bare(journal: &Journal, world: &World, stage: Stage, writes: &[String]) -> View {
        View {
            namespace: journal.namespace.clone(),
            stateful_set: journal.set_name().to_owned(),
            deployments: journal.deployments.iter().map(|member| member.name.clone()).collect(),
            mode: journal.mode,
            stage,
            started: journal.started,
            holder: None,
            arrived: None,
            downtime_ms: None,
            items: journal.disks.iter().map(|disk| DiskState::of(disk, world, journal)).collect(),
            writes: writes.to_vec(),
            next: None,
            way_back: None,
        }
    }

    /// What to type next.
    pub fn commands(&mut self, flags: &str) {
        let line = |verb: &str| {
            Some(format!(
                "kubectl stateful migrate {verb} sts/{} -n {}{flags}",
                self.stateful_set, self.namespace
            ))
        };
        (self.next, self.way_back) = match self.stage {
            Stage::RolledBack | Stage::Finished | Stage::Recovered => (None, None),
            Stage::Arrived => (line("finalize"), line("rollback")),
            Stage::GoingBack | Stage::Finishing | Stage::Recovering => (line("resume"), None),
            _ => (line("resume"), line("rollback")),
        };
    }
}

fn stage(book: &Book, world: &World) -> Stage {
    let journal = &book.journal;
    match book.intent {
        Intent::Back => return Stage::GoingBack,
        Intent::Finish => return Stage::Finishing,
        Intent::Recover => return Stage::Recovering,
        Intent::Forward => {}
    }
    if book.arrived.is_some() {
        return Stage::Arrived;
    }
    if world.own_set(journal).is_some_and(|set| replicas(set) > 0) {
        return Stage::Starting;
    }
    let runs = journal.deployments.iter().any(|member| {
        world.deployment(&member.name, &member.uid).is_some_and(|found| replicas(found) > 0)
    });
    let swapped = journal.disks.iter().any(|disk| world.reserved(disk) == Reserved::New);
    match (runs, swapped) {
        (false, _) => Stage::Stopped,
        (true, true) => Stage::Swapped,
        (true, false) => Stage::Begun,
    }
}

/// A migration as it was asked for.
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
        Format::Table | Format::Wide => Ok(text_of(view, findings, look)),
        _ => Envelope::new("migrate", exit, findings, &[], view).render(format),
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
        let recovery = matches!(view.stage, Stage::Recovering | Stage::Recovered);
        lines.extend(if recovery { put_back(&view.items) } else { disks(&view.items) });
    }
    lines.push(String::new());
    let mut say = |word: &str, paint: Paint, text: &str| {
        lines.extend(layout::hanging(&layout::label(word, paint, look), text, look.columns));
    };
    say("state", Paint::Dim, view.stage.says());
    if let Some(holder) = &view.holder {
        say("lock", Paint::Dim, &format!("{holder}, since {}", clock(view.started)));
    }
    if let Some(downtime) = view.downtime_ms {
        let seconds = Duration::from_millis(downtime).as_secs_f64();
        say("down", Paint::Dim, &format!("{seconds:.1} s from the stop of the old pod to Ready"));
    }
    for finding in findings {
        lines.extend(layout::finding(finding, "stopped", look));
    }
    for (word, command) in [("back", &view.way_back), ("next", &view.next)] {
        if let Some(command) = command {
            lines.push(format!("{}  {}", layout::label(word, Paint::Dim, look), one_line(command)));
        }
    }
    lines.join("\n") + "\n"
}

fn disks(items: &[DiskState]) -> Vec<String> {
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
    table::columns(rows)
}

fn put_back(items: &[DiskState]) -> Vec<String> {
    let head = ["DISK", "CLAIM", "", "POLICY", "PUT ASIDE"].map(str::to_owned);
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
    table::columns(rows)
}

/// The payload of `migrate status -o json` without a name.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListView {
    items: Vec<Listed>,
}

/// A migration in a list, or a volume that lost its own.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// `StatefulSet`, or `PersistentVolume` where the journal is gone.
    kind: &'static str,
    namespace: String,
    name: String,
    deployments: Vec<String>,
    intent: Option<Intent>,
    holder: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    arrived: Option<Timestamp>,
    /// Why its journal cannot be read.
    unreadable: Option<String>,
    /// Of a volume whose journal is gone: the policy that it had.
    policy: Option<String>,
}

impl Listed {
    fn of(config_map: &Value) -> Listed {
        let word = |pointer: &str| text(config_map, pointer).unwrap_or_default().to_owned();
        let namespace = word("/metadata/namespace");
        match Book::of(config_map) {
            Ok(book) => Listed {
                kind: "StatefulSet",
                namespace,
                name: book.journal.set_name().to_owned(),
                deployments: book.journal.deployments.into_iter().map(|one| one.name).collect(),
                intent: Some(book.intent),
                holder: book.holder,
                arrived: book.arrived.map(|arrived| arrived.at),
                unreadable: None,
                policy: None,
            },
            Err(why) => Listed {
                kind: "StatefulSet",
                namespace,
                name: word("/metadata/name"),
                deployments: Vec::new(),
                intent: None,
                holder: None,
                arrived: None,
                unreadable: Some(why.0),
                policy: None,
            },
        }
    }

    /// A volume whose journal is none of these.
    fn left_behind(volume: &Value, books: &[Value], within: Option<&str>) -> Option<Listed> {
        let tag = Tag::without_journal(volume, books)?;
        if within.is_some_and(|namespace| namespace != tag.namespace) {
            return None;
        }
        Some(Listed {
            kind: "PersistentVolume",
            namespace: tag.namespace,
            name: name(volume).to_owned(),
            deployments: Vec::new(),
            intent: None,
            holder: None,
            arrived: None,
            unreadable: None,
            policy: Some(tag.policy),
        })
    }

    fn state(&self) -> &'static str {
        if self.policy.is_some() {
            return "volume without a journal";
        }
        match (self.intent, self.arrived) {
            (None, _) => "unreadable",
            (Some(Intent::Back), _) => "going back",
            (Some(Intent::Finish), _) => "finishing",
            (Some(Intent::Recover), _) => "recovering",
            (Some(Intent::Forward), Some(_)) => "moved",
            (Some(Intent::Forward), None) => "under way",
        }
    }
}

/// All migrations of a namespace, or of all, and what migrations whose journal
/// is gone have left on volumes.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn render_list(
    books: &[Value],
    volumes: &[Value],
    within: Option<&str>,
    format: Format,
) -> Result<String, Error> {
    let left = volumes.iter().filter_map(|volume| Listed::left_behind(volume, books, within));
    let items: Vec<Listed> = books.iter().map(Listed::of).chain(left).collect();
    match format {
        Format::Name => {
            let name = |item: &Listed| match item.kind {
                "StatefulSet" => format!("statefulset.apps/{}\n", item.name),
                _ => format!("persistentvolume/{}\n", item.name),
            };
            Ok(items.iter().map(name).collect())
        }
        Format::Table | Format::Wide if items.is_empty() => {
            Ok("no migration is under way\n".to_owned())
        }
        Format::Table | Format::Wide => {
            let head = ["NAME", "NAMESPACE", "FROM", "STATE", "LOCK"].map(str::to_owned);
            let mut rows = vec![head.to_vec()];
            for item in &items {
                rows.push(vec![
                    one_line(&item.name),
                    one_line(&item.namespace),
                    one_line(&item.deployments.join(",")),
                    item.state().to_owned(),
                    item.holder.as_deref().map_or_else(|| "<none>".to_owned(), one_line),
                ]);
            }
            Ok(table::columns(rows).join("\n") + "\n")
        }
        _ => Envelope::new("migrate-list", Exit::Done, &[], &[], ListView { items }).render(format),
    }
}
