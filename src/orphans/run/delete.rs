//! `orphans delete`: looks, asks, and deletes one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::hand::{End, Hand, Looked};
use crate::{
    cluster::{
        Cluster, ConnectionArgs, DryRun, Mode,
        disks::{self, around},
        offline::texts,
        scaling,
    },
    migrate::object::{items, text},
    orphans::{
        args::DeleteArgs,
        delete::{Next, Target, Todo, Wish, World, plan},
        model::Facts,
        rules,
    },
    output::{
        Confirmed, Envelope, Error, Exit, Format, Question, Terminal,
        text::{count, list},
    },
    steps::{self, Teller},
    workload::{Finding, SnapshotClass, digest},
};

/// The payload of `orphans delete -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub dry_run: bool,
    pub items: Vec<ItemView>,
    /// What was written, in order.
    pub writes: Vec<String>,
    /// The same hash, the same plan.
    pub hash: String,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ItemView {
    pub kind: &'static str,
    pub namespace: Option<String>,
    pub name: String,
    pub uid: Option<String>,
    /// `deleted`, `gone` before this run, `planned`, or `left`.
    pub result: &'static str,
    /// The volume of a claim; it stays under policy Retain unless
    /// `--keep-pv=false`.
    pub volume: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When something cannot be read, or a guard says no.
pub async fn run(
    args: &DeleteArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let cluster = Cluster::connect(connection, terminal).await?;
    let targets = match &args.from {
        Some(path) => from_report(path)?,
        None => named(&args.names, cluster.namespace())?,
    };
    let wish = Wish {
        keep_volume: args.keep_pv,
        snapshot: match &args.snapshot {
            Some(name) => Some(snapshot_class(&cluster, name).await?),
            None => None,
        },
        min_idle: args.min_idle,
    };
    let mut plans = look_at_all(&cluster, targets, &wish).await?;
    let hash = hash(&plans, &wish);
    let open = plans.iter().filter(|one| !one.todo.is_empty()).count();
    let teller = Teller { terminal, output: args.output, command: "orphans-delete" };
    let mut end = (Exit::Done, Vec::new());
    let mut writes = Vec::new();
    match args.rehearsal.dry_run {
        DryRun::None if open == 0 => {}
        DryRun::None => {
            let confirmed = ask(args, terminal, &plans, &hash)?;
            let mut hand = Hand::new(&cluster, confirmed, teller, args.timeout);
            end = carry_out(&mut hand, &mut plans, &wish).await?;
            writes = hand.sender.writes;
        }
        DryRun::Client | DryRun::Server => {
            let server = args.rehearsal.dry_run == DryRun::Server;
            let mode = if server { Mode::ServerDryRun } else { Mode::ClientDryRun };
            for todo in plans.iter().flat_map(|one| &one.todo) {
                if let Next::Write(write) = todo.next() {
                    cluster.write(write, mode).await?;
                    writes.push(write.done(mode));
                }
            }
        }
    }
    let (exit, findings) = end;
    let dry_run = args.rehearsal.dry_run != DryRun::None;
    let view = View {
        dry_run,
        items: plans.into_iter().map(|one| one.view(dry_run)).collect(),
        writes,
        hash,
    };
    answer(&view, exit, &findings, args.output, terminal)?;
    Ok(exit)
}

async fn snapshot_class(
    cluster: &Cluster,
    name: &str,
) -> Result<(String, Option<SnapshotClass>), Error> {
    let offered = scaling::snapshots(cluster).await?;
    match offered.named(name) {
        Ok(class) => Ok((name.to_owned(), class.cloned())),
        Err(why) => {
            let on = format!("volumesnapshotclass/{name}");
            Err(refused("cannot take snapshots", &[rules::NO_SNAPSHOTS.found(on, why)]))
        }
    }
}

/// Something that is to be deleted, and what is left to be done about it.
struct Plan {
    target: Target,
    todo: Vec<Todo>,
    volume: Option<String>,
    result: &'static str,
}

impl Plan {
    fn view(self, dry_run: bool) -> ItemView {
        let Target { is_volume, namespace, name, uid } = self.target;
        let result = if dry_run && self.result == "left" { "planned" } else { self.result };
        ItemView {
            kind: if is_volume { "PersistentVolume" } else { "PersistentVolumeClaim" },
            namespace,
            name,
            uid,
            result,
            volume: self.volume,
        }
    }
}

/// The first look: who is refused ends it before anything was changed.
async fn look_at_all(
    cluster: &Cluster,
    targets: Vec<Target>,
    wish: &Wish,
) -> Result<Vec<Plan>, Error> {
    let mut known: BTreeMap<String, Arc<Facts>> = BTreeMap::new();
    let (mut plans, mut findings) = (Vec::new(), Vec::new());
    for mut target in targets {
        let namespace = target.namespace.clone();
        // For this look once for each namespace will do.
        if let Some(namespace) = namespace.filter(|_| !target.is_volume)
            && !known.contains_key(&namespace)
        {
            let facts = disks::facts(cluster, Some(&namespace)).await?;
            known.insert(namespace, Arc::new(facts));
        }
        let facts = target.namespace.as_ref().and_then(|namespace| known.get(namespace));
        let facts = facts.filter(|_| !target.is_volume);
        let world = around::to_delete(cluster, &target, wish.snapshot.is_some(), facts).await?;
        match plan(&target, &world, wish, Timestamp::now()) {
            Ok(todo) => {
                remember(&mut target, &world);
                let result = if todo.is_empty() { "gone" } else { "left" };
                let volume = world.claim.as_ref().and_then(|claim| text(claim, "/spec/volumeName"));
                let volume = volume.filter(|name| !name.is_empty()).map(str::to_owned);
                plans.push(Plan { target, todo, volume, result });
            }
            Err(finding) => findings.push(*finding),
        }
    }
    match findings.as_slice() {
        [] => Ok(plans),
        [one] => Err(refused(&format!("cannot delete {}", one.object), &findings)),
        several => Err(refused(&format!("cannot delete {} of them", several.len()), &findings)),
    }
}

/// From now on it is this very object.
fn remember(target: &mut Target, world: &World) {
    let found = if target.is_volume { &world.volume } else { &world.claim };
    let uid = found.as_ref().and_then(|found| text(found, "/metadata/uid"));
    if let Some(uid) = uid {
        target.uid.get_or_insert_with(|| uid.to_owned());
    }
}

/// Why something is not an orphan is in the report.
pub fn refused(what: &str, findings: &[Finding]) -> Error {
    let report = "kubectl stateful orphans -o wide says what each is";
    let hinted = findings.iter().map(|finding| match finding.hint {
        Some(_) => finding.clone(),
        None => finding.clone().hint(report),
    });
    steps::refused(what, &hinted.collect::<Vec<_>>(), &[])
}

fn hash(plans: &[Plan], wish: &Wish) -> String {
    let items: Vec<Value> = plans
        .iter()
        .map(|one| {
            let steps: Vec<String> = one.todo.iter().map(|todo| todo.next().line()).collect();
            json!({ "of": one.target.reference(), "in": one.target.namespace,
                    "uid": one.target.uid, "steps": steps })
        })
        .collect();
    let snapshot = wish.snapshot.as_ref().map(|(class, _)| class);
    digest(&json!({ "items": items, "keep": wish.keep_volume, "snapshot": snapshot }), 8)
}

fn ask(
    args: &DeleteArgs,
    terminal: Terminal,
    plans: &[Plan],
    hash: &str,
) -> Result<Confirmed, Error> {
    let open: Vec<&Plan> = plans.iter().filter(|one| !one.todo.is_empty()).collect();
    let names: Vec<&str> = open.iter().map(|one| one.target.name.as_str()).collect();
    for todo in open.iter().flat_map(|one| &one.todo) {
        if let Next::Write(write) = todo.next() {
            terminal.say(&write.done(Mode::ClientDryRun));
        }
    }
    let what = count(open.len(), "object");
    let keeps = if args.keep_pv { "and keep the volumes" } else { "and what is on the volumes" };
    let text = format!("Delete {what} ({}) {keeps}?", list(&names));
    if !args.keep_pv {
        let doomed: BTreeSet<&str> = open.iter().filter_map(|one| one.volume.as_deref()).collect();
        if !doomed.is_empty() {
            let names: Vec<&str> = doomed.into_iter().collect();
            terminal.warn(&format!("{}: volumes {}", rules::DATA_GOES.id, list(&names)));
        }
    }
    Confirmed::ask(
        terminal,
        &args.consent,
        Question {
            text: &text,
            plan: Some(hash),
            type_to_agree: names.first().copied().filter(|_| !args.keep_pv),
            for_a_program: args.output.is_machine(),
        },
    )
}

/// One after the other, each with looks of its own.
async fn carry_out(hand: &mut Hand<'_>, plans: &mut [Plan], wish: &Wish) -> Result<End, Error> {
    for one in plans.iter_mut().filter(|one| !one.todo.is_empty()) {
        if let Some(end) = delete(hand, &one.target, wish).await? {
            return Ok(end);
        }
        one.result = "deleted";
    }
    Ok((Exit::Done, Vec::new()))
}

/// A look before every step; `None` when it is gone.
async fn delete(hand: &mut Hand<'_>, target: &Target, wish: &Wish) -> Result<Option<End>, Error> {
    let on = target.reference();
    hand.begin();
    loop {
        let (cluster, known) = (hand.cluster, hand.known());
        let read = around::to_delete(cluster, target, wish.snapshot.is_some(), known.as_ref());
        let world = match hand.look(read).await? {
            Looked::Found(world) => world,
            Looked::Again => continue,
            Looked::End(end) => return Ok(Some(end)),
        };
        let todo = plan(target, &world, wish, Timestamp::now());
        let next = match &todo {
            Ok(todo) => match todo.first() {
                None => return Ok(None),
                Some(first) => Ok(first.next()),
            },
            // Another one by that name: ours is gone.
            Err(finding) if finding.id == rules::CHANGED.id && was_deleted(hand, target) => {
                return Ok(None);
            }
            Err(finding) => Err(finding),
        };
        if !hand.is_sure_of(next.as_ref().ok(), &world.facts) {
            continue;
        }
        let end = match next {
            Ok(next) => hand.step(&next, &on).await?,
            Err(finding) if hand.sender.writes.is_empty() => {
                return Err(refused(
                    &format!("cannot delete {on}"),
                    std::slice::from_ref(&**finding),
                ));
            }
            Err(finding) => Some(hand.stopped(Exit::Conflict, (**finding).clone())),
        };
        if end.is_some() {
            return Ok(end);
        }
    }
}

fn was_deleted(hand: &Hand<'_>, target: &Target) -> bool {
    let line = format!("{} deleted", target.reference());
    hand.sender.writes.iter().any(|write| write.starts_with(&line))
}

fn answer(
    view: &View,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    terminal: Terminal,
) -> Result<(), Error> {
    let text = match format {
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("orphans-delete", exit, findings, &[], view).render(format)?
        }
        Format::Name => {
            let gone = view.items.iter().filter(|item| item.result != "left");
            let names = gone.map(|item| item.kind.to_ascii_lowercase() + "/" + &item.name + "\n");
            names.collect()
        }
        Format::Table | Format::Wide => said(view),
    };
    terminal.conclude(&text)
}

fn said(view: &View) -> String {
    let mut lines: Vec<String> = view
        .items
        .iter()
        .map(|item| {
            let kept = item.volume.as_ref().map(|volume| format!(", volume {volume}"));
            let kind = item.kind.to_ascii_lowercase();
            format!("{kind}/{} {}{}", item.name, item.result, kept.unwrap_or_default())
        })
        .collect();
    if view.dry_run {
        let again = steps::again(std::env::args().skip(1), None, &["--dry-run"]);
        lines.push(format!(
            "plan {}: nothing was changed; to do it: {} --confirm-plan {}",
            view.hash, again, view.hash
        ));
    }
    lines.join("\n") + "\n"
}

/// `NAME`, `pvc/NAME` or `pv/NAME`.
pub fn parse(word: &str) -> Result<(bool, &str), Error> {
    let wrong = || {
        Error::usage(format!("{word:?} names no claim and no volume"))
            .hint("NAME, pvc/NAME or pv/NAME")
    };
    let (kind, name) = word.split_once('/').unwrap_or(("pvc", word));
    if name.is_empty() || name.contains('/') {
        return Err(wrong());
    }
    match kind.to_ascii_lowercase().as_str() {
        "pvc" | "persistentvolumeclaim" | "persistentvolumeclaims" => Ok((false, name)),
        "pv" | "persistentvolume" | "persistentvolumes" => Ok((true, name)),
        _ => Err(wrong()),
    }
}

fn named(words: &[String], namespace: &str) -> Result<Vec<Target>, Error> {
    let mut targets: Vec<Target> = Vec::new();
    for word in words {
        let (is_volume, name) = parse(word)?;
        let namespace = (!is_volume).then(|| namespace.to_owned());
        let target = Target { is_volume, namespace, name: name.to_owned(), uid: None };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// The orphans of a report, each with its uid.
fn from_report(path: &str) -> Result<Vec<Target>, Error> {
    let texts = texts(&[path.to_owned()])?;
    let text_of = texts.into_iter().next().map(|file| file.text).unwrap_or_default();
    let report: Value = if text_of.trim_start().starts_with('{') {
        serde_json::from_str(&text_of)
            .map_err(|error| Error::usage(format!("{path} is no report: {error}")))?
    } else {
        serde_saphyr::from_str(&text_of)
            .map_err(|error| Error::usage(format!("{path} is no report: {error}")))?
    };
    if text(&report, "/schema") != Some("kubectl-stateful/orphans/v1") {
        return Err(Error::usage(format!("{path} is no report of kubectl stateful orphans"))
            .hint("kubectl stateful orphans -o json makes one"));
    }
    let orphans = items(&report, "/items").filter(|item| item["orphan"] == true);
    orphans
        .map(|item| {
            let word = |key: &str| item[key].as_str().filter(|word| !word.is_empty());
            let (Some(kind), Some(name), Some(uid)) = (word("kind"), word("name"), word("uid"))
            else {
                return Err(Error::usage(format!("{path} has an item without kind, name or uid")));
            };
            let is_volume = match kind {
                "PersistentVolume" => true,
                "PersistentVolumeClaim" => false,
                other => return Err(Error::usage(format!("{path} has an item of kind {other}"))),
            };
            let namespace = word("namespace").map(str::to_owned);
            if namespace.is_none() && !is_volume {
                return Err(Error::usage(format!("{path} has a claim without namespace: {name}")));
            }
            Ok(Target { is_volume, namespace, name: name.to_owned(), uid: Some(uid.to_owned()) })
        })
        .collect()
}
