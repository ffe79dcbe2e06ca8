//! The way forward, which `start` and `promote` take: ordinal by ordinal, each
//! behind its gates.

use std::{future::Future, pin::Pin};

use jiff::{SignedDuration, Timestamp};

use super::{
    abort::{self, AbortTerms},
    checks::{self, Answer},
    context::RunContext,
};
use crate::{
    canary::{
        allowed,
        args::ReachArgs,
        claims,
        gates::{Gates, spec::OnFailure, values::Span},
        guards,
        plan::{self, Memory, Move, State, Terms},
        record::{Phase, Record},
        rules, writes,
    },
    output::{Error, Exit},
    steps::{End, Stop, WriteOutcome},
    workload::{Allowed, PodTemplate, Rule, Survey},
};

/// The lowest index that is to move; `default` where no flag says.
///
/// # Errors
/// When a flag names an ordinal that the set does not have.
pub fn goal(reach: &ReachArgs, survey: &Survey, default: u32) -> Result<u32, Error> {
    let set = survey.set;
    let replicas = set.replicas;
    if let Some(count) = reach.count {
        return replicas.checked_sub(count).ok_or_else(|| {
            Error::usage(format!(
                "{} has {replicas} replicas: --count {count} is too many",
                set.name
            ))
        });
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
    Ok(default)
}

/// The terms that the gates set.
pub fn terms(gates: &Gates, survey: &Survey, goal: u32, allowed: &Allowed) -> Terms {
    Terms {
        goal,
        deadline: signed(gates.deadline).filter(|deadline| !deadline.is_zero()),
        bake: bake(gates, &survey.set.template),
        checks: gates.has_checks(),
        pause_between: gates.pause_between,
        budgets: gates.budgets && !allowed.contains(&rules::NO_HEADROOM),
        unhealthy: allowed.contains(&rules::UNHEALTHY),
    }
}

/// How long a pod of this template is watched.
fn bake(gates: &Gates, template: &PodTemplate) -> SignedDuration {
    gates.bake.and_then(signed).unwrap_or_else(|| plan::default_bake(template))
}

fn signed(span: Span) -> Option<SignedDuration> {
    SignedDuration::try_from(span.0).ok()
}

/// Checks, hooks or the leader lookup, running beside the watches.
type Work = Pin<Box<dyn Future<Output = Answer>>>;

/// Moves ordinals until the goal is reached. `run` is the run that wrote the
/// record last: this one may take over from it, and no other run may take over
/// from this one. Where something stops it, what has passed by then is written
/// down, unless all of it is taken back.
///
/// # Errors
/// What stopped it.
pub async fn go(
    context: &mut RunContext<'_>,
    gates: &Gates,
    terms: &Terms,
    run: Option<String>,
) -> Result<End, Stop> {
    let mut run = run;
    let outcome = advance(context, gates, terms, &mut run).await;
    let outcome = context.end_of(outcome).map_err(Stop::from);
    let Ok(end) = &outcome else { return outcome };
    let is_taken_back = gates.on_failure == OnFailure::Abort && fails(end);
    let keeps = match end.exit {
        Exit::Failed | Exit::Timeout => !is_taken_back,
        Exit::Waiting | Exit::Error => true,
        // The canary is another one by then, or is over.
        _ => false,
    };
    if keeps && let Some(record) = context.record().filter(|record| record.phase == Phase::Rolling)
    {
        let is_ours = record.run == context.session.run || Some(&record.run) == run.as_ref();
        if is_ours && let Err(Stop::Interrupted(exit)) = write_passed(context, &record).await {
            return Err(Stop::Interrupted(exit));
        }
    }
    outcome
}

/// Whether this end is one that `--on-failure abort` takes back.
fn fails(end: &End) -> bool {
    matches!(end.exit, Exit::Failed | Exit::Timeout)
}

async fn advance(
    context: &mut RunContext<'_>,
    gates: &Gates,
    terms: &Terms,
    run: &mut Option<String>,
) -> Result<End, Stop> {
    let uid = context.set().uid.clone();
    // The first write may have brought or taken a probe.
    let terms = &Terms { bake: bake(gates, &context.set().template), ..*terms };
    context.memory.bake = terms.bake;
    let mut pending = PendingAnswer::default();
    // Whether the last write removes the record, and its answer was lost.
    let mut finishing = false;
    // The watches of set and pods do not keep step with each other.
    let mut doubted = None;
    // The record as it was last seen while it was this run's.
    let mut ours: Option<Record> = None;
    loop {
        let now = Timestamp::now();
        if finishing && context.is_over(&uid) {
            return Ok(complete(context));
        }
        let record = own_record(context, &uid, run.as_deref(), ours.as_ref())?;
        context.has_begun = true;
        context.may_look()?;
        ours = Some(record.clone());
        let state = State::new(context.live.facts(), &record, now);
        context.memory.observe(&state);
        let next = plan::next(&state, terms, &context.memory);
        pending.drop_unless(&next);
        match &next {
            Move::Wait { what, until } => {
                context.report_wait(Some(&record), what, *until)?;
                let tick = now + TICK;
                let soon = until.map_or(tick, |until| until.min(tick));
                context.live.wait(Some(soon)).await?;
            }
            Move::Check { index, .. } | Move::Prepare { index } | Move::Passed { index, .. } => {
                pending.proceed(context, gates, terms, &record, &next, *index).await?;
            }
            Move::Step { index } => {
                let goes = going(&state, *index);
                if !context.claims_stay(&goes).await? {
                    continue;
                }
                let state = State::new(context.live.facts(), &record, now);
                let passed = state.judgements(&context.memory.passed);
                let mut record = record.clone();
                record.partition = *index;
                record.passed = passed;
                allowed::keep(&mut record, &context.allowed, gates);
                record.run.clone_from(&context.session.run);
                if record.gates.is_empty() {
                    // It was staged or adopted, and has had none so far.
                    record.gates = gates.fingerprint();
                }
                let write = writes::step(context.set(), &record);
                if context.live.write(&write).await? == WriteOutcome::Done {
                    *run = Some(record.run);
                }
            }
            Move::Replace { pod } => {
                let why = "it is next, and under OnDelete the controller deletes no pods";
                context.delete_once(pod, "OnDelete", why).await?;
            }
            Move::Finish => {
                let write = writes::finish(context.set(), &record);
                match context.live.write(&write).await? {
                    WriteOutcome::Done => {
                        let set = context.set();
                        let target = set.status.update_revision.as_deref().unwrap_or("<none>");
                        context.live.tell(&format!(
                            "complete: every ordinal of {} runs {target}",
                            set.name
                        ))?;
                        return Ok(complete(context));
                    }
                    WriteOutcome::LookAgain => finishing = true,
                }
            }
            Move::Pause => {
                let written = write_passed(context, &record).await?;
                // A write that did not go through is tried again, unless another
                // run has gone on: the ordinals passed all the same.
                if written == WriteOutcome::Done
                    || own_record(context, &uid, run.as_deref(), ours.as_ref()).is_err()
                {
                    return Ok(paused(&record, terms));
                }
            }
            Move::Stop { finding, .. }
                if [rules::ESCAPED.id, rules::TEMPLATE_CHANGED.id].contains(&finding.id)
                    && doubted != Some(finding.id) =>
            {
                // What somebody else has changed shows beside the revision of the
                // canary, which was not there when this run began.
                doubted = Some(finding.id);
                context.live.look_again().await?;
                context.live.read_revisions().await?;
            }
            Move::Stop { exit, finding } => {
                context.live.tell(&format!("stopped: {}", finding.message))?;
                return Err(Stop::with(*exit, finding.clone()));
            }
        }
    }
}

/// The pods that go when this index is released. Under OnDelete no write of the
/// set makes any go.
fn going(state: &State, index: u32) -> Vec<String> {
    if state.record.on_delete {
        return Vec::new();
    }
    let target = state.survey.set.status.update_revision.as_deref();
    claims::going(&state.survey, index, target)
}

/// The checks, hooks or leader lookup that the next move waits for.
#[derive(Default)]
struct PendingAnswer {
    work: Option<(Move, String, Work)>,
    /// What could not be decided, and when it is asked again.
    retry: Option<(Timestamp, String)>,
}

impl PendingAnswer {
    /// Work for an earlier move is dropped.
    fn drop_unless(&mut self, next: &Move) {
        self.work.take_if(|(asked, ..)| asked != next);
    }

    /// Starts the work, or goes on with it, until there is an answer or the
    /// cluster changes.
    async fn proceed(
        &mut self,
        context: &mut RunContext<'_>,
        gates: &Gates,
        terms: &Terms,
        record: &Record,
        next: &Move,
        index: u32,
    ) -> Result<(), Stop> {
        if !checks::needed(gates, next) {
            return note_passed(context, next, index);
        }
        let now = Timestamp::now();
        if let Some((again, what)) = self.retry.clone().filter(|(again, _)| *again > now) {
            let state = State::new(context.facts(), record, now);
            check_deadline(&state, terms, &context.memory, &what)?;
            context.report_wait(Some(record), &what, None)?;
            return context.live.wait(Some(again)).await;
        }
        if self.work.is_none() {
            let state = State::new(context.facts(), record, now);
            let started = checks::start(context, gates, &state, next, index);
            self.work = Some((next.clone(), started.what, started.work));
        }
        let Some((_, what, work)) = &mut self.work else { return Ok(()) };
        // A live view shows the last answers, so it is drawn again and again.
        context.report_wait(Some(record), what, None)?;
        let Some(answer) = context.live.work_or_wait(work).await? else { return Ok(()) };
        self.work = None;
        match answer {
            Answer::Yes => note_passed(context, next, index),
            Answer::No { exit, finding } => {
                context.live.tell(&format!("stopped: {}", finding.message))?;
                Err(Stop::with(exit, finding))
            }
            Answer::Unknown { what } => {
                self.retry = Some((Timestamp::now() + RETRY_INTERVAL, what));
                Ok(())
            }
        }
    }
}

/// How often to decide again without an event, which asks the server nothing: a
/// pod that no node takes or a volume that does not come counts as broken after
/// some time, and the cluster need not report anything by then.
const TICK: SignedDuration = SignedDuration::from_secs(1);

/// How soon an undecided answer is asked for again.
pub const RETRY_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// Stops once the deadline of the ordinal has passed.
///
/// # Errors
/// [`Stop::Blocked`] then.
pub fn check_deadline(
    state: &State,
    terms: &Terms,
    memory: &Memory,
    what: &str,
) -> Result<(), Stop> {
    match plan::wait(state, terms, memory, what.to_owned(), None) {
        Move::Stop { exit, finding } => Err(Stop::with(exit, finding)),
        _ => Ok(()),
    }
}

/// Remembers that the ordinal at `index` has passed what `asked` asked.
fn note_passed(context: &mut RunContext<'_>, asked: &Move, index: u32) -> Result<(), Stop> {
    context.memory.note(asked);
    if matches!(asked, Move::Passed { .. }) {
        let set = context.set();
        context.live.tell(&format!("{} has passed its gates", set.pod_name(set.start + index)))?;
    }
    Ok(())
}

/// Writes down which pods have passed, so that the next run does not judge them
/// again.
async fn write_passed(context: &mut RunContext<'_>, record: &Record) -> Result<WriteOutcome, Stop> {
    let state = State::new(context.facts(), record, Timestamp::now());
    let passed = state.judgements(&context.memory.passed);
    if passed == record.passed {
        return Ok(WriteOutcome::Done);
    }
    let mut record = record.clone();
    record.passed = passed;
    record.run.clone_from(&context.session.run);
    let write = writes::mark(context.set(), &record, "gates passed");
    context.live.write(&write).await
}

fn paused(record: &Record, terms: &Terms) -> End {
    if terms.goal < record.partition {
        End { exit: Exit::Waiting, findings: Vec::new() }
    } else {
        End::done()
    }
}

/// The canary is over; says what stays.
fn complete(context: &RunContext<'_>) -> End {
    let survey = Survey::new(context.facts(), Timestamp::now());
    End { exit: Exit::Done, findings: guards::partition_stays(&survey).into_iter().collect() }
}

/// The record, as long as the canary is still this one and no other run has
/// taken over.
fn own_record(
    context: &RunContext<'_>,
    uid: &str,
    run: Option<&str>,
    before: Option<&Record>,
) -> Result<Record, Stop> {
    let set = context.set();
    let stop = |rule: &Rule, message: String| {
        let finding = rule.found(set.reference(), message).hint(context.session.command("status"));
        Err(Stop::with(Exit::Conflict, finding))
    };
    if context.live.is_replaced(uid) {
        return Err(context.replaced("during the canary"));
    }
    match Record::of(set) {
        Ok(Some(record)) if record.phase == Phase::Rolling => {
            if record.run == context.session.run || Some(record.run.as_str()) == run {
                return Ok(record);
            }
            stop(&rules::TAKEN_OVER, record.taken_over(before))
        }
        Ok(Some(record)) => stop(&rules::TAKEN_OVER, record.taken_over(before)),
        Ok(None) => stop(&rules::TAKEN_OVER, "somebody else has ended this canary".to_owned()),
        Err(_) => stop(&rules::TAKEN_OVER, "the annotation of the canary was changed".to_owned()),
    }
}

/// With `--on-failure abort`, a failure is taken back.
///
/// # Errors
/// What stopped the run, or the abort.
pub async fn abort_if_asked(
    context: &mut RunContext<'_>,
    gates: &Gates,
    outcome: Result<End, Stop>,
) -> Result<End, Stop> {
    let end = context.end_of(outcome)?;
    // Before the first write there is nothing to take back.
    if !fails(&end) || gates.on_failure != OnFailure::Abort || !context.has_begun {
        return Ok(end);
    }
    context.live.tell("aborting, as --on-failure abort says")?;
    let mut findings = end.findings;
    let back = abort::go_back(context, &AbortTerms::default()).await;
    let back = context.end_of(back)?;
    let exit = if back.exit == Exit::Done { Exit::Reverted } else { back.exit };
    findings.extend(back.findings);
    Ok(End { exit, findings })
}
