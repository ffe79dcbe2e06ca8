//! `orphans delete`: looks, asks, and deletes one after the other.

use jiff::Timestamp;

use super::{
    aftermath,
    context::{RunContext, refused},
    plans::{Plan, doomed, hash, hinted, plan_all},
    rights::Rights,
    targets::{self, Chosen},
};
use crate::{
    cluster::{Cluster, ConnectionArgs, DryRun, Mode, snapshots},
    orphans::{
        args::DeleteArgs,
        delete::{Action, Data, DeleteOptions, Step, Target, plan},
        read::around,
        report::deletion::{Outcome, View},
        rules,
    },
    output::{
        Confirmed, Error, Exit, Question, Terminal,
        text::{count, list},
    },
    steps::{End, Progress, Stop},
    workload::{Finding, Severity, SnapshotClass},
};

/// Runs it.
///
/// # Errors
/// When something cannot be read, or a guard refuses.
pub async fn run(
    args: &DeleteArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let cluster = Cluster::connect(connection, terminal).await?;
    let Chosen { targets, mut findings, mut unread } =
        targets::chosen(args, connection.namespace.as_deref(), &cluster).await?;
    let options = DeleteOptions {
        keep_volume: args.keep_pv,
        snapshot: match &args.snapshot {
            Some(name) => Some(snapshot_class(&cluster, name).await?),
            None => None,
        },
        min_idle: args.min_idle,
    };
    let mut plans =
        plan_all(&cluster, targets, &options, args.ignore_not_found, &mut unread).await?;
    let hash = hash(&plans, &options, args.timeout.longest);
    findings.extend(rights_missing(&cluster, &plans).await?);
    findings.extend(doomed(&plans));
    for finding in &findings {
        terminal.warn(&format!("{}: {}", finding.id, finding.message));
    }
    let open = plans.iter().filter(|one| !one.steps.is_empty()).count();
    let mut end = End::done();
    let mut writes = Vec::new();
    match args.confirmation.dry_run {
        DryRun::None if open == 0 => {}
        DryRun::None => {
            let mut to_go_on = args.given.to_go_on::<DeleteArgs>("orphans delete", &cluster);
            // What is gone by then is no reason to stop.
            if !args.ignore_not_found && !args.names.is_empty() {
                to_go_on.push_str(" --ignore-not-found");
            }
            let confirmed = confirm(args, terminal, &plans, &hash)?;
            let progress =
                Progress { terminal, output: args.output.format, command: "orphans-delete" };
            let timeout = args.timeout.longest;
            let mut context = RunContext::new(&cluster, confirmed, progress, timeout, to_go_on);
            let outcome = carry_out(&mut context, &mut plans, &options).await;
            aftermath::look_at_the_rest(&mut context, &mut plans).await;
            end = context.close(outcome)?;
            writes = context.sender.writes;
        }
        DryRun::Client | DryRun::Server => {
            let server = args.confirmation.dry_run == DryRun::Server;
            let mode = if server { Mode::ServerDryRun } else { Mode::ClientDryRun };
            for one in &plans {
                let actions = one.steps.iter().map(Step::action);
                writes.extend(super::context::rehearse(&cluster, actions, mode).await?);
            }
        }
    }
    let dry_run = args.confirmation.dry_run != DryRun::None;
    if end.exit == Exit::Done && plans.is_empty() && !unread.is_empty() {
        end.exit = Exit::Incomplete;
    }
    findings.append(&mut end.findings);
    end.findings = findings;
    let flags = cluster.flags();
    let view = View {
        dry_run,
        items: plans.into_iter().map(|one| one.view(dry_run, &flags)).collect(),
        writes,
        hash,
    };
    let to_do = args.given.to_do::<DeleteArgs>("orphans delete", &cluster, &view.hash);
    let output = Outcome { view: &view, end: &end, unread: &unread, to_do: &to_do };
    terminal.conclude(&output.render(args.output.format, cluster.namespace())?)?;
    Ok(end.exit)
}

/// Refuses without the rights for every step. Where they cannot be asked for, that is
/// said.
async fn rights_missing(cluster: &Cluster, plans: &[Plan]) -> Result<Vec<Finding>, Error> {
    let mut rights = Rights::default();
    rights.of_writes(plans.iter().flat_map(|one| &one.steps).map(Step::action));
    let open = plans.iter().find(|one| !one.steps.is_empty());
    let Some(first) = open else { return Ok(Vec::new()) };
    let found = rights.missing(cluster, &first.target.reference()).await?;
    if found.iter().all(|finding| finding.severity != Severity::Error) {
        return Ok(found);
    }
    let found: Vec<_> = found.into_iter().map(|one| hinted(one, &first.target, cluster)).collect();
    Err(refused(cluster, &format!("cannot delete {}", first.target.reference()), &found))
}

async fn snapshot_class(
    cluster: &Cluster,
    name: &str,
) -> Result<(String, Option<SnapshotClass>), Error> {
    let offered = snapshots::snapshots(cluster).await?;
    match offered.named(name) {
        Ok(class) => Ok((name.to_owned(), class.cloned())),
        Err(why) => {
            let on = format!("volumesnapshotclass/{name}");
            Err(refused(cluster, "cannot take snapshots", &[rules::NO_SNAPSHOTS.found(on, why)]))
        }
    }
}

fn confirm(
    args: &DeleteArgs,
    terminal: Terminal,
    plans: &[Plan],
    hash: &str,
) -> Result<Confirmed, Error> {
    let open: Vec<&Plan> = plans.iter().filter(|one| !one.steps.is_empty()).collect();
    let names: Vec<&str> = open.iter().map(|one| one.target.name.as_str()).collect();
    // Who agreed beforehand sees each write when it is done.
    let consent = &args.confirmation.consent;
    if !consent.yes && consent.confirm_plan.is_none() {
        for step in open.iter().flat_map(|one| &one.steps) {
            if let Action::Write(write) = step.action() {
                terminal.say(&write.done(Mode::ClientDryRun));
            }
        }
    }
    let doomed: Vec<&str> = open
        .iter()
        .filter(|one| one.data == Data::Destroyed)
        .map(|one| one.volume.as_deref().unwrap_or(&one.target.name))
        .collect();
    let what = count(open.len(), "object");
    let fate = match doomed.as_slice() {
        [] if args.keep_pv => " and keep the volumes".to_owned(),
        [] => String::new(),
        doomed => format!(" and DESTROY the data of {}", list(doomed)),
    };
    let text = format!("Delete {what} ({}){fate}?", list(&names));
    Confirmed::ask(
        terminal,
        &args.confirmation.consent,
        Question {
            text: &text,
            plan: Some(hash),
            type_to_agree: doomed.first().copied(),
            for_a_program: args.output.format.is_machine(),
        },
    )
}

/// Deletes one object after the other.
async fn carry_out(
    context: &mut RunContext<'_>,
    plans: &mut [Plan],
    options: &DeleteOptions,
) -> Result<End, Stop> {
    let mut end = End::done();
    for one in plans.iter_mut().filter(|one| !one.steps.is_empty()) {
        if let Err(stop) = delete(context, &one.target, options).await {
            let mut left: Vec<_> =
                aftermath::spare(context, &one.target).await.into_iter().collect();
            if let Some(held) = &one.held {
                left.extend(aftermath::left_retained(context, &held.name).await);
            }
            return Err(left.into_iter().fold(stop, Stop::and));
        }
        one.result = "deleted";
        if let Err(stop) = aftermath::look(context, one, options.keep_volume, &mut end).await {
            return Err(end.findings.into_iter().fold(stop, Stop::and));
        }
        // What has become of this one may become of the next.
        if end.findings.iter().any(|finding| finding.id == rules::CHANGED.id) {
            break;
        }
    }
    Ok(end)
}

/// Looks again before every step, until the object is gone.
async fn delete(
    context: &mut RunContext<'_>,
    target: &Target,
    options: &DeleteOptions,
) -> Result<(), Stop> {
    let on = target.reference();
    context.begin();
    loop {
        let (cluster, known) = (context.cluster, context.known());
        let read = around::to_delete(cluster, target, options.snapshot.is_some(), known.as_ref());
        let Some(world) = context.read(read).await? else { continue };
        let steps = plan(target, &world, options, Timestamp::now());
        let action = match &steps {
            Ok(steps) => match steps.first() {
                None => return Ok(()),
                Some(first) => Ok(first.action()),
            },
            // Another object has the name now: ours is gone.
            Err(finding) if finding.id == rules::CHANGED.id && was_deleted(context, target) => {
                return Ok(());
            }
            Err(finding) => Err(finding),
        };
        let depends =
            steps.as_ref().map_or(true, |steps| steps.first().is_none_or(Step::depends_on_users));
        if !context.is_fresh(depends, &world.facts) {
            continue;
        }
        match action {
            Ok(action) => context.act(&action, &on).await?,
            Err(finding) => {
                let finding = hinted((**finding).clone(), target, context.cluster);
                return Err(context.blocked(&format!("cannot delete {on}"), &finding));
            }
        }
    }
}

fn was_deleted(context: &RunContext<'_>, target: &Target) -> bool {
    let line = format!("{} deleted", target.reference());
    context.sender.writes.iter().any(|write| write.starts_with(&line))
}
