//! `orphans delete`: looks, asks, and deletes one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::hand::{Hand, Went};
use crate::{
    cluster::{
        Cluster, ConnectionArgs, DryRun, Failure, Mode, Write,
        disks::{self, around},
        offline::texts,
    },
    migrate::object::{items, text},
    orphans::{
        args::DeleteArgs,
        delete::{Target, Todo, Wish, World, plan},
        model::Facts,
        rules,
    },
    output::{
        Confirmed, Envelope, Error, Exit, Format, Question, Terminal,
        text::{count, list},
    },
    steps::Teller,
    workload::{Finding, digest},
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
        snapshot: args.snapshot.clone(),
        min_idle: args.min_idle,
    };
    if let Some(class) = &args.snapshot
        && !around::has_snapshot_class(&cluster, class).await?
    {
        let message = format!("the server has no VolumeSnapshotClass {class}");
        let finding = rules::NO_SNAPSHOTS.found(format!("volumesnapshotclass/{class}"), message);
        return Err(refused(&[finding]));
    }
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
            for write in plans.iter().flat_map(|one| &one.todo).filter_map(write_of) {
                cluster.write(write, mode).await?;
                writes.push(write.done(mode));
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

fn write_of(todo: &Todo) -> Option<&Write> {
    match todo {
        Todo::Snapshot(write) | Todo::Protect(write) | Todo::Delete(write) => Some(write),
        Todo::AwaitSnapshot(_) | Todo::AwaitGone(_) => None,
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
    if findings.is_empty() { Ok(plans) } else { Err(refused(&findings)) }
}

/// From now on it is this very object.
fn remember(target: &mut Target, world: &World) {
    let found = if target.is_volume { &world.volume } else { &world.claim };
    let uid = found.as_ref().and_then(|found| text(found, "/metadata/uid"));
    if let Some(uid) = uid {
        target.uid.get_or_insert_with(|| uid.to_owned());
    }
}

fn refused(findings: &[Finding]) -> Error {
    let what = match findings {
        [one] => format!("{}: {}", one.id, one.message),
        many => format!("{} of them are refused", many.len()),
    };
    let mut error = Error::new(Exit::Refused, format!("{what}; nothing was changed"));
    if findings.len() > 1 {
        for finding in findings {
            error = error.caused_by(format!("{}: {}", finding.id, finding.message));
        }
    }
    let hint = findings.iter().find_map(|finding| finding.hint.clone());
    error
        .hint(
            hint.unwrap_or_else(|| "kubectl stateful orphans -o wide says what each is".to_owned()),
        )
        .because(findings.to_vec())
}

fn hash(plans: &[Plan], wish: &Wish) -> String {
    let items: Vec<Value> = plans
        .iter()
        .map(|one| {
            let steps: Vec<String> = one.todo.iter().map(step).collect();
            json!({ "of": one.target.reference(), "in": one.target.namespace,
                    "uid": one.target.uid, "steps": steps })
        })
        .collect();
    digest(&json!({ "items": items, "keep": wish.keep_volume, "snapshot": wish.snapshot }), 8)
}

fn step(todo: &Todo) -> String {
    match todo {
        Todo::Snapshot(write) | Todo::Protect(write) | Todo::Delete(write) => {
            write.done(Mode::ClientDryRun)
        }
        Todo::AwaitSnapshot(name) => format!("snapshot {name} ready"),
        Todo::AwaitGone(_) => "gone".to_owned(),
    }
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
        if let Some(write) = write_of(todo) {
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

/// One after the other, each with a look of its own before every step.
async fn carry_out(
    hand: &mut Hand<'_>,
    plans: &mut [Plan],
    wish: &Wish,
) -> Result<(Exit, Vec<Finding>), Error> {
    for one in plans.iter_mut() {
        if one.todo.is_empty() {
            continue;
        }
        loop {
            let cluster = hand.cluster;
            let read = around::to_delete(cluster, &one.target, wish.snapshot.is_some(), None);
            let world = match hand.look(read).await {
                Err(exit) => return Ok(interrupted(hand, exit)),
                Ok(Ok(world)) => world,
                Ok(Err(failure)) => match missed(hand, failure).await? {
                    None => continue,
                    Some(end) => return Ok(end),
                },
            };
            let todo = match plan(&one.target, &world, wish, Timestamp::now()) {
                Ok(todo) => todo,
                // Another one by that name: ours is gone.
                Err(finding) if finding.id == rules::CHANGED.id && was_deleted(hand, one) => {
                    one.result = "deleted";
                    break;
                }
                Err(finding) if hand.sender.writes.is_empty() => return Err(refused(&[*finding])),
                Err(finding) => {
                    hand.sender
                        .teller
                        .terminal
                        .say(&format!("{}: {}", finding.id, finding.message));
                    return Ok((Exit::Conflict, vec![*finding]));
                }
            };
            let Some(first) = todo.first() else {
                one.result = "deleted";
                break;
            };
            let went = match first {
                Todo::Snapshot(write) | Todo::Protect(write) | Todo::Delete(write) => {
                    hand.write(write).await?
                }
                Todo::AwaitSnapshot(name) => {
                    hand.wait(&format!("snapshot {name} to be ready to use")).await?
                }
                Todo::AwaitGone(what) => hand.wait(what).await?,
            };
            match went {
                Went::On => {}
                Went::Interrupted(exit) => return Ok(interrupted(hand, exit)),
                Went::Timeout => {
                    let message = format!("{} is still there", one.target.name);
                    let finding = rules::NOT_YET
                        .found(one.target.reference(), message)
                        .hint(crate::steps::repeat());
                    hand.sender
                        .teller
                        .terminal
                        .say(&format!("{}: {}", finding.id, finding.message));
                    return Ok((Exit::Timeout, vec![finding]));
                }
            }
        }
    }
    Ok((Exit::Done, Vec::new()))
}

fn was_deleted(hand: &Hand<'_>, one: &Plan) -> bool {
    let line = format!("{} deleted", one.target.reference());
    hand.sender.writes.iter().any(|write| write.starts_with(&line))
}

async fn missed(
    hand: &mut Hand<'_>,
    failure: Failure,
) -> Result<Option<(Exit, Vec<Finding>)>, Error> {
    match hand.missed(failure).await? {
        Went::Interrupted(exit) => Ok(Some(interrupted(hand, exit))),
        Went::On | Went::Timeout => Ok(None),
    }
}

fn interrupted(hand: &Hand<'_>, exit: Exit) -> (Exit, Vec<Finding>) {
    hand.sender.teller.terminal.say(&format!("hint: to go on: {}", crate::steps::repeat()));
    (exit, Vec::new())
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
        let again = crate::steps::again(std::env::args().skip(1), None, &["--dry-run"]);
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
