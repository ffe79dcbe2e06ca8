//! Forward: ordinal by ordinal, each behind its gates.

use std::{future::Future, pin::Pin};

use jiff::{SignedDuration, Timestamp};

use super::{
    Session, back,
    checks::{self, Answer},
    hand::Hand,
    refused,
};
use crate::{
    canary::{
        args::{PromoteArgs, ReachArgs},
        gates::{
            Gates,
            spec::{OnFailure, Span},
        },
        guards,
        plan::{self, Memory, Move, Stand, Terms},
        record::{Phase, Record},
        rules, writes,
    },
    cluster::{ConnectionArgs, DryRun},
    output::{Error, Exit, Terminal, text::list},
    steps::{End, Written},
    workload::Survey,
};

/// Without a readiness probe a pod counts as Ready between two crashes; so
/// long it is watched where nothing else was asked for. The kubelet restarts a
/// container at once the first time, and after ten seconds the second.
const UNPROBED_BAKE: SignedDuration = SignedDuration::from_secs(30);

/// Runs `promote`.
pub async fn promote(
    args: &PromoteArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let gates = args.gates.resolve(crate::canary::read_file)?;
    let session = Session::open(&args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let survey = Survey::new(&reading.facts, Timestamp::now());
    let record = match Record::of(survey.set) {
        Err(why) => return Err(refused("cannot promote", vec![guards::unusable(&survey, &why)])),
        Ok(None) => return nothing_under_way(&session, &survey),
        Ok(Some(record)) => record,
    };
    let mut findings = guards::for_promote(&survey, &record, &gates);
    guards::allow(&mut findings, &args.allow);
    if guards::refuses(&findings) {
        return Err(refused(&format!("cannot promote {}", session.name), findings));
    }
    for finding in &findings {
        terminal.warn(&format!("{} {}", finding.id, finding.message));
    }
    let goal = if args.full {
        0
    } else {
        goal(&args.reach, &survey, one_more(survey.set.replicas, &record))?
    };
    let terms = terms(&gates, &survey, goal, &args.allow);
    if session.dry_run != DryRun::None {
        return rehearse(&session, &survey, &record, goal).await;
    }
    if record.has_judged(record.partition) && record.partition <= goal && record.partition > 0 {
        return session.close_unwatched(&reading.facts, &End::done());
    }
    let confirmed = session.ask(&args.common, &question(&survey, &record, goal), None)?;
    let mut hand = Hand::new(&session, reading, confirmed);
    let end = go(&mut hand, &gates, &terms, Some(record.run)).await?;
    let end = back_if_asked(&mut hand, &gates, end).await?;
    session.close(&mut hand, &end)
}

/// No canary: done when everything runs what the template names, for then a
/// promote that was interrupted at its very end has nothing left to do.
fn nothing_under_way(session: &Session, survey: &Survey) -> Result<Exit, Error> {
    let set = survey.set;
    let update = set.status.update_revision.as_deref();
    let behind: Vec<&str> = survey
        .slots
        .iter()
        .filter(|slot| slot.pod.is_none_or(|pod| pod.revision() != update))
        .map(|slot| slot.name.as_str())
        .collect();
    if survey.pods_known && set.is_observed() && behind.is_empty() && set.partition() == 0 {
        session
            .terminal
            .say(&format!("no canary is under way on {}: nothing to promote", set.name));
        return session.close_unwatched(survey.facts, &End::done());
    }
    let message = if behind.is_empty() {
        format!("no canary is under way on {}", set.name)
    } else {
        format!(
            "no canary is under way, and {} do not run {}",
            list(&behind),
            update.unwrap_or("<none>")
        )
    };
    let finding =
        rules::NONE.found(set.reference(), message).hint(session.command("start") + " --adopt");
    Err(refused(&format!("cannot promote {}", set.name), vec![finding]))
}

fn question(survey: &Survey, record: &Record, goal: u32) -> String {
    let set = survey.set;
    let names: Vec<String> = (goal..record.partition)
        .rev()
        .map(|index| set.pod_name(set.start.saturating_add(index)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => format!("Judge the ordinals of {} that have moved, and go no further?", set.name),
        names => format!("Promote {} to the new version?", list(names)),
    }
}

/// Shows the writes that would follow one another.
async fn rehearse(
    session: &Session,
    survey: &Survey<'_>,
    record: &Record,
    goal: u32,
) -> Result<Exit, Error> {
    let mut set = survey.set.clone();
    let mut record = record.clone();
    while record.partition > goal {
        record.partition -= 1;
        session.rehearse(&writes::step(&set, &record)).await?;
        // On the server only the first step can be tried: the second one is
        // about a set that is not there yet.
        if session.dry_run == DryRun::Server {
            break;
        }
        if let crate::workload::Strategy::RollingUpdate { partition } = &mut set.strategy {
            *partition = Some(record.partition);
        }
    }
    session.close_unwatched(survey.facts, &End::done())
}

/// The lowest index that is to move; `unnamed` where the words name none.
///
/// # Errors
/// When the words name an ordinal that the set does not have.
pub fn goal(reach: &ReachArgs, survey: &Survey, unnamed: u32) -> Result<u32, Error> {
    let set = survey.set;
    let replicas = set.replicas;
    if let Some(count) = reach.count {
        return Ok(replicas.saturating_sub(count));
    }
    if let Some(percent) = reach.percent {
        let count = (u64::from(replicas) * u64::from(percent)).div_ceil(100);
        return Ok(replicas.saturating_sub(u32::try_from(count).unwrap_or(replicas)));
    }
    if let Some(ordinal) = reach.to_ordinal {
        if !set.ordinals().contains(&ordinal) {
            let (first, end) = (set.start, set.ordinals().end);
            return Err(Error::usage(format!(
                "{} has no ordinal {ordinal}: they go from {first} to {}",
                set.name,
                end.saturating_sub(1)
            )));
        }
        return Ok(ordinal - set.start);
    }
    Ok(unnamed)
}

/// What `promote` does where nothing is named: one more; one that has moved
/// and not passed yet is that one.
pub fn one_more(replicas: u32, record: &Record) -> u32 {
    let lowest = record.partition.min(replicas);
    let in_hand = lowest < replicas && !record.has_judged(lowest);
    if in_hand { lowest } else { lowest.saturating_sub(1) }
}

/// The terms that the gates set.
pub fn terms(gates: &Gates, survey: &Survey, goal: u32, allowed: &[String]) -> Terms {
    let unprobed = !guards::unprobed(&survey.set.template).is_empty() && !gates.has_checks();
    let default_bake = if unprobed { UNPROBED_BAKE } else { SignedDuration::ZERO };
    let allowed = |id: &str| allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(id));
    Terms {
        goal,
        deadline: lasting(gates.deadline).filter(|deadline| !deadline.is_zero()),
        bake: gates.bake.and_then(lasting).unwrap_or(default_bake),
        checks: gates.has_checks(),
        pause_between: gates.pause_between,
        budgets: gates.budgets && !allowed(rules::NO_HEADROOM.id),
        unhealthy: allowed(rules::UNHEALTHY.id),
    }
}

fn lasting(span: Span) -> Option<SignedDuration> {
    SignedDuration::try_from(span.0).ok()
}

/// What runs beside the watches: checks, hooks, questions for the leader.
type Work = Pin<Box<dyn Future<Output = Answer>>>;

/// Goes on until the goal is reached or something is in the way. `run` is the
/// run that wrote the record last: this one may take over from it, and nobody
/// may take over from this one.
pub async fn go(
    hand: &mut Hand<'_>,
    gates: &Gates,
    terms: &Terms,
    mut run: Option<String>,
) -> Result<End, Error> {
    let uid = hand.set.mirror.facts().set.uid.clone();
    hand.memory.bake = terms.bake;
    let mut asking = Asking::default();
    let mut finishing = false;
    loop {
        let now = Timestamp::now();
        if finishing && hand.is_over(&uid) {
            return Ok(End::done());
        }
        let record = match ours(hand, &uid, run.as_deref()) {
            Ok(record) => record,
            Err(end) => return Ok(end),
        };
        let stand = Stand::new(hand.set.mirror.facts(), &record, now);
        hand.memory.observe(&stand);
        let next = plan::next(&stand, terms, &hand.memory);
        asking.keep_only(&next);
        match &next {
            Move::Wait { what, until } => {
                hand.say(Some(&record), what, *until)?;
                let look = now + LOOK;
                let soon = until.map_or(look, |until| until.min(look));
                if let Some(exit) = hand.set.wait(Some(soon)).await {
                    return Ok(End::interrupted(exit));
                }
            }
            Move::Check { index } | Move::Prepare { index } | Move::Passed { index } => {
                let asked = asking.go_on(hand, gates, terms, &record, &next, *index).await?;
                if let Some(end) = asked {
                    return Ok(end);
                }
            }
            Move::Step { index } => {
                let mut record = record.clone();
                record.partition = *index;
                record.judged = hand.memory.judged.or(record.judged);
                record.run.clone_from(&hand.session.run);
                record.gates = gates.fingerprint();
                let write = writes::step(&hand.set.mirror.facts().set, &record);
                match hand.set.write(&write).await? {
                    Written::Done => run = Some(record.run),
                    Written::LookAgain => {}
                    Written::Interrupted(exit) => return Ok(End::interrupted(exit)),
                }
            }
            Move::Replace { pod } => {
                let write = writes::replace(&hand.set.mirror.facts().set, pod, "OnDelete");
                let why = "it is next, and under OnDelete nobody else does";
                if let Some(exit) = hand.replace(&write, &pod.uid, why).await? {
                    return Ok(End::interrupted(exit));
                }
            }
            Move::Finish => {
                let write = writes::finish(&hand.set.mirror.facts().set, &record);
                match hand.set.write(&write).await? {
                    Written::Done => {
                        let set = &hand.set.mirror.facts().set;
                        let target = set.status.update_revision.as_deref().unwrap_or("<none>");
                        hand.set.tell(&format!(
                            "complete: every ordinal of {} runs {target}",
                            set.name
                        ))?;
                        return Ok(End::done());
                    }
                    // The answer may have been lost, and not the write.
                    Written::LookAgain => finishing = true,
                    Written::Interrupted(exit) => return Ok(End::interrupted(exit)),
                }
            }
            Move::Rest => {
                let end = rest(hand, &record, terms).await?;
                // Where the write was for nothing, it is tried again; unless
                // somebody else moved on: that it was good holds all the same.
                if let Some(end) = end.or_else(|| {
                    let others = ours(hand, &uid, run.as_deref()).is_err();
                    others.then(|| rested(&record, terms))
                }) {
                    return Ok(end);
                }
            }
            Move::Stop { exit, finding } => {
                hand.set.tell(&format!("stopped: {}", finding.message))?;
                return Ok(End::with(*exit, finding.clone()));
            }
        }
    }
}

/// What is being asked: of checks, of hooks, about the leader.
#[derive(Default)]
struct Asking {
    work: Option<(Move, Work)>,
    /// What could not be concluded, and when it is asked again.
    later: Option<(Timestamp, String)>,
}

impl Asking {
    /// What is asked about an ordinal is moot once the next move is another.
    fn keep_only(&mut self, next: &Move) {
        self.work.take_if(|(asked, _)| asked != next);
    }

    /// Asks, or goes on asking, until there is an answer or something else
    /// happens first.
    async fn go_on(
        &mut self,
        hand: &mut Hand<'_>,
        gates: &Gates,
        terms: &Terms,
        record: &Record,
        next: &Move,
        index: u32,
    ) -> Result<Option<End>, Error> {
        if !checks::needed(gates, next) {
            return settle(hand, next, index, Answer::Yes);
        }
        let now = Timestamp::now();
        if let Some((again, what)) = self.later.clone().filter(|(again, _)| *again > now) {
            let stand = Stand::new(hand.set.mirror.facts(), record, now);
            if let Some(end) = overdue(&stand, terms, &hand.memory, &what) {
                return Ok(Some(end));
            }
            hand.say(Some(record), &what, None)?;
            return Ok(hand.set.wait(Some(again)).await.map(End::interrupted));
        }
        if self.work.is_none() {
            let stand = Stand::new(hand.set.mirror.facts(), record, now);
            let asked = checks::ask(hand, gates, &stand, next, index);
            self.work = Some((next.clone(), asked.work));
            hand.say(Some(record), &asked.what, None)?;
        }
        let Some((_, answer)) = &mut self.work else { return Ok(None) };
        let answer = match hand.set.work_or_wait(answer).await {
            Err(exit) => return Ok(Some(End::interrupted(exit))),
            Ok(None) => return Ok(None),
            Ok(Some(answer)) => answer,
        };
        self.work = None;
        if let Answer::Unknown { what } = answer {
            self.later = Some((Timestamp::now() + AGAIN, what));
            return Ok(None);
        }
        settle(hand, next, index, answer)
    }
}

/// How often the clock alone is looked at, which asks the server nothing: that
/// no node takes a pod, or no volume comes, counts after some time, and there
/// may be no event by then.
const LOOK: SignedDuration = SignedDuration::from_secs(1);

/// How soon what gave no answer is asked again.
pub const AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// The end, where even asking again would come too late.
pub fn overdue(stand: &Stand, terms: &Terms, memory: &Memory, what: &str) -> Option<End> {
    match plan::wait(stand, terms, memory, what.to_owned(), None) {
        Move::Stop { exit, finding } => Some(End::with(exit, finding)),
        _ => None,
    }
}

/// What the answer of checks, hooks and the like means.
fn settle(
    hand: &mut Hand<'_>,
    asked: &Move,
    index: u32,
    answer: Answer,
) -> Result<Option<End>, Error> {
    match answer {
        Answer::Yes => {
            let memory: &mut Memory = &mut hand.memory;
            match asked {
                Move::Check { .. } => memory.checked = Some(index),
                Move::Prepare { .. } => memory.prepared = Some(index),
                _ => memory.judged = Some(index),
            }
            if matches!(asked, Move::Passed { .. }) {
                let name =
                    hand.set.mirror.facts().set.pod_name(hand.set.mirror.facts().set.start + index);
                hand.set.tell(&format!("{name} has passed its gates"))?;
            }
            Ok(None)
        }
        Answer::No { exit, finding } => {
            hand.set.tell(&format!("stopped: {}", finding.message))?;
            Ok(Some(End::with(exit, finding)))
        }
        Answer::Unknown { .. } => Ok(None),
    }
}

/// The goal is reached; what was judged is written down, so that another run
/// need not judge it again. `None`: it could not be.
async fn rest(hand: &mut Hand<'_>, record: &Record, terms: &Terms) -> Result<Option<End>, Error> {
    let judged = hand.memory.judged.or(record.judged);
    let end = rested(record, terms);
    if judged == record.judged {
        return Ok(Some(end));
    }
    let mut record = record.clone();
    record.judged = judged;
    record.run.clone_from(&hand.session.run);
    let write = writes::mark(&hand.set.mirror.facts().set, &record, "canary judged");
    match hand.set.write(&write).await? {
        Written::Interrupted(exit) => Ok(Some(End::interrupted(exit))),
        Written::Done => Ok(Some(end)),
        Written::LookAgain => Ok(None),
    }
}

fn rested(record: &Record, terms: &Terms) -> End {
    if terms.goal < record.partition {
        End { exit: Exit::Waiting, findings: Vec::new() }
    } else {
        End::done()
    }
}

/// The record, as long as the canary is still this one and nobody took over.
fn ours(hand: &Hand<'_>, uid: &str, run: Option<&str>) -> Result<Record, End> {
    let set = &hand.set.mirror.facts().set;
    let stop = |rule: &crate::workload::Rule, message: String| {
        let finding = rule.found(set.reference(), message).hint(hand.session.command("status"));
        Err(End::with(Exit::Conflict, finding))
    };
    if hand.set.mirror.set_is_gone() || set.uid != uid {
        return stop(
            &rules::REPLACED,
            format!("{} was deleted in the middle of the canary", set.name),
        );
    }
    match Record::of(set) {
        Ok(Some(record)) if record.phase == Phase::Rolling => {
            if record.run == hand.session.run || Some(record.run.as_str()) == run {
                return Ok(record);
            }
            stop(&rules::TAKEN_OVER, format!("{} has gone on with this canary", record.run))
        }
        Ok(Some(record)) => {
            stop(&rules::TAKEN_OVER, format!("{} has held or aborted this canary", record.run))
        }
        Ok(None) => stop(&rules::TAKEN_OVER, "somebody else has ended this canary".to_owned()),
        Err(_) => stop(&rules::TAKEN_OVER, "the annotation of the canary was changed".to_owned()),
    }
}

/// With `--on-failure abort`, what failed is taken back.
pub async fn back_if_asked(hand: &mut Hand<'_>, gates: &Gates, end: End) -> Result<End, Error> {
    let failed = matches!(end.exit, Exit::Failed | Exit::Timeout);
    if !failed || gates.on_failure != OnFailure::Abort {
        return Ok(end);
    }
    hand.set.tell("going back, as --on-failure abort says")?;
    let mut findings = end.findings;
    let back = back::go(hand, back::PATIENCE, back::LONGEST).await?;
    let exit = if back.exit == Exit::Done { Exit::Reverted } else { back.exit };
    findings.extend(back.findings);
    Ok(End { exit, findings })
}
