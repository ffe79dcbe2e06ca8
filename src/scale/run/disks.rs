//! What a scaling does with disks between its steps: snapshots of what has left, and old
//! claims that are set aside.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    context::RunContext,
    go::{POLL_INTERVAL, TICK, hooks, stop},
};
use crate::{
    cluster::{claims::Claims, snapshots},
    output::{Exit, text::one_line},
    scale::{
        fresh::{self, Names},
        record::Record,
        rules, writes,
    },
    steps::{Stop, WriteOutcome},
    workload::snapshot_state,
};

/// How soon to look again at a claim that changes hands.
const FIRST_POLL: Duration = Duration::from_millis(100);

/// Takes a snapshot of every claim of the ordinals that have just left.
pub async fn take_snapshots(
    context: &mut RunContext<'_>,
    record: &Record,
    replicas: u32,
) -> Result<(), Stop> {
    let Some(class) = context.args.snapshot.clone() else { return Ok(()) };
    let claims: Vec<String> = hooks(context, record, replicas, record.concluded)
        .ordinals
        .into_iter()
        .flat_map(|ordinal| ordinal.claims)
        .collect();
    for claim in claims {
        if context.facts().claim(&claim).is_some() {
            take_snapshot(context, record, &claim, &class).await?;
        }
    }
    Ok(())
}

/// Takes one snapshot and waits until it is ready to use.
async fn take_snapshot(
    context: &mut RunContext<'_>,
    record: &Record,
    claim: &str,
    class: &str,
) -> Result<(), Stop> {
    let name = writes::snapshot_name(record, claim);
    let end = context.terms.timeout.and_then(|timeout| Timestamp::now().checked_add(timeout).ok());
    loop {
        let found = match snapshots::snapshot(context.cluster, &name).await {
            Ok(found) => found,
            Err(failure) => {
                context.live.sender.look_again_after(failure)?;
                context.live.sender.sleep(POLL_INTERVAL).await?;
                continue;
            }
        };
        let Some(found) = found else {
            let write = writes::snapshot(context.set(), record, claim, class);
            context.live.write(&write).await?;
            continue;
        };
        let ready = snapshot_state(&found);
        if ready == Ok(true) {
            context.live.tell(&format!("snapshot {name} of {claim} is ready to use"))?;
            return Ok(());
        }
        let what = format!("snapshot {name} of {claim} to be ready to use");
        if end.is_some_and(|end| Timestamp::now() >= end) {
            let why = ready.err().map_or_else(|| "no answer".to_owned(), one_line);
            let finding = rules::SNAPSHOT_FAILED.found(
                format!("volumesnapshot/{name}"),
                format!("timed out waiting for {what}: {why}"),
            );
            return Err(stop(context, Exit::Timeout, finding));
        }
        context.report_wait(&what, end)?;
        context.live.sender.sleep(POLL_INTERVAL).await?;
    }
}

/// Moves the volumes of these claims to claims of another name, so that their
/// ordinals get new ones.
pub async fn set_aside(context: &mut RunContext<'_>, names: &[Names]) -> Result<(), Stop> {
    if names.is_empty() {
        return Ok(());
    }
    let set = context.set().clone();
    let fresh = context.terms.fresh;
    let (claims, mut volumes) = fresh::wanted(names.iter());
    let mut planned: Option<fresh::Aside> = None;
    let mut touched = BTreeSet::new();
    let mut waiting: Option<(String, Instant)> = None;
    loop {
        let world = match Claims::read(context.cluster, &set.namespace, &claims, &volumes).await {
            Ok(world) => world,
            Err(failure) => {
                context.live.sender.look_again_after(failure)?;
                context.live.sender.pause().await?;
                continue;
            }
        };
        // The plan is made from the first look, before anything is changed.
        let plan = match planned.take() {
            Some(plan) => plan,
            None => match fresh::plan(&set, names, &world, fresh) {
                Ok(Some(plan)) => plan,
                Ok(None) => return Ok(()),
                Err(finding) => return Err(stop(context, Exit::Manual, finding)),
            },
        };
        // Someone may delete the claims that name them.
        volumes = plan.disks.iter().map(|disk| disk.volume.name.clone()).collect();
        let next = fresh::next(&world, &plan, &touched, Timestamp::now());
        planned = Some(plan);
        match next {
            fresh::Move::Stop { exit, finding } => return Err(stop(context, exit, finding)),
            fresh::Move::Write { writes, touches } => {
                waiting = None;
                for (place, write) in writes.iter().enumerate() {
                    match context.live.write(write).await? {
                        WriteOutcome::Done if place == 0 => touched.extend(touches),
                        WriteOutcome::Done => {}
                        WriteOutcome::LookAgain => break,
                    }
                }
            }
            fresh::Move::Wait { what } => {
                let since = match waiting.take() {
                    Some((last, since)) if last == what => since,
                    _ => Instant::now(),
                };
                let waited = since.elapsed();
                let longest = context.args.timeout.longest;
                if !longest.is_zero() && waited > longest {
                    let message = format!("waited {}s for {what}", waited.as_secs());
                    let finding = rules::DEADLINE.found(set.reference(), message);
                    return Err(stop(context, Exit::Timeout, finding));
                }
                context.report_wait(&what, None)?;
                waiting = Some((what, since));
                // The longer it takes, the less often to look.
                let pause = (waited / 4).clamp(FIRST_POLL, TICK);
                context.live.sender.sleep(pause).await?;
            }
            fresh::Move::Done => return Ok(()),
        }
    }
}
