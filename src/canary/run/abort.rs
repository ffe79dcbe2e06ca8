//! `abort` and `unstick`: back to the stable revision, and out of the trap of
//! kubernetes #67250.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    claims as claims_now,
    context::RunContext,
    rights,
    session::{Session, refused},
};
use crate::{
    canary::{
        abort::{self, AbortMove, PATIENCE},
        args::{AbortArgs, UnstickArgs},
        claims, comeback,
        diff::Difference,
        foreign::ForeignTemplate,
        guards,
        outlook::{self, Outlook},
        plan::State,
        record::{Phase, Record},
        rules, writes,
    },
    cluster::{ConnectionArgs, DryRun, Mode, Write},
    diagnosis,
    output::{
        Error, Exit, Terminal, layout,
        text::{age, clock},
    },
    steps::{End, PodToDelete, Stop, WriteOutcome},
    workload::{Pod, Survey, refuses},
};

/// How long an abort may take, where no flag says.
const DEADLINE: SignedDuration = SignedDuration::from_mins(10);
/// How often to decide again without an event: a pod's patience runs out
/// silently. That asks the server nothing.
const TICK: SignedDuration = SignedDuration::from_secs(1);

/// Runs `abort`.
pub async fn abort(
    args: &AbortArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let allowed = args.allow.among(rules::ALLOWABLE)?;
    let session = Session::open::<AbortArgs>("abort", &args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let now = Timestamp::now();
    let survey = Survey::new(&reading.facts, now);
    let record = match Record::of(survey.set) {
        Err(why) => return Err(refused("cannot abort", vec![guards::unusable(&survey, &why)])),
        Ok(None) => {
            terminal.say(&format!("no canary is under way on {}: nothing to abort", session.name));
            return session.close_unchanged(&reading.facts).await;
        }
        Ok(Some(record)) => record,
    };
    let lacks = guards::stable_revision(&survey, Some(&record)).is_none();
    if !guards::readable(&survey) || lacks || guards::namespace_deleting(&survey).is_some() {
        let findings = guards::for_abort(&survey, &record);
        return Err(refused(&format!("cannot abort the canary of {}", session.name), findings));
    }
    let patience = signed(args.patience.unstick_after);
    let (first, theirs) = {
        let state = State::new(&reading.facts, &record, now);
        let theirs = ForeignTemplate::of(&state);
        if let Some(theirs) = &theirs
            && record.phase != Phase::Staged
            && !allowed.contains(&rules::OVERWRITES)
        {
            let what = format!("cannot abort the canary of {}", session.name);
            let all = session.with::<AbortArgs>("allow", rules::OVERWRITES.id);
            return Err(refused(&what, vec![theirs.overwritten(&state).hint(all)]));
        }
        (abort::next(&state, patience, false), theirs)
    };
    // What only a person can do is known before anybody is asked.
    if let AbortMove::Stop { exit, finding } = first {
        return session.close_stopped(&reading.facts, &End::with(exit, finding)).await;
    }
    let mut missing = rights::missing_to_go_back(&session.cluster, &reading.facts, &first).await?;
    allowed.weigh(&mut missing);
    if refuses(&missing) {
        let what = format!("cannot abort the canary of {}", session.name);
        return Err(refused(&what, missing));
    }
    for finding in &missing {
        terminal.warn(&format!("{} {}", finding.id, finding.message));
    }
    if let Some(theirs) = &theirs {
        terminal.say(&lost(theirs).join("\n"));
    }
    let goes = going(&State::new(&reading.facts, &record, now), &first);
    look_at_claims(&session, &survey, &goes, "abort the canary of").await?;
    let outlook = outlook::of(&State::new(&reading.facts, &record, now), patience, &session.run);
    if session.dry_run != DryRun::None {
        rehearse(&session, &outlook).await?;
        return session.close_unchanged(&reading.facts).await;
    }
    for line in said(&outlook) {
        terminal.say(&line);
    }
    let text = format!("Bring {} back to {}?", session.name, record.stable);
    let confirmed = session.ask(&args.common, &text, None)?;
    let mut context = RunContext::new(&session, reading, confirmed);
    context.without_claims = true;
    let terms = AbortTerms {
        patience,
        deadline: deadline(args.timeout.longest),
        overwrites: theirs.map(|theirs| theirs.fingerprint),
    };
    let end = go_back(&mut context, &terms).await;
    context.close(end).await
}

/// How an abort goes back.
pub struct AbortTerms {
    /// How long a pod may be unready before it counts as hopeless.
    pub patience: SignedDuration,
    /// How long all of it may take.
    pub deadline: SignedDuration,
    /// Fingerprint of the template by others that was shown and agreed to: no
    /// other one is overwritten.
    pub overwrites: Option<String>,
}

impl Default for AbortTerms {
    fn default() -> AbortTerms {
        AbortTerms { patience: PATIENCE, deadline: DEADLINE, overwrites: None }
    }
}

/// Goes back until every pod runs the stable revision, or only a person can
/// help.
///
/// # Errors
/// What stopped it.
pub async fn go_back(context: &mut RunContext<'_>, terms: &AbortTerms) -> Result<End, Stop> {
    let (patience, limit) = (terms.patience, terms.deadline);
    let uid = context.set().uid.clone();
    let deadline = Timestamp::now().checked_add(limit).unwrap_or(Timestamp::MAX);
    let mut reverted = false;
    // What this run has taken back, as it was before.
    let mut taken: Option<Vec<Difference>> = None;
    // Whether the last write removes the record, and its answer was lost.
    let mut finishing = None;
    loop {
        let now = Timestamp::now();
        if let Some(adopted) = finishing.filter(|_| context.is_over(&uid)) {
            return reached_stable(context, adopted, &taken.unwrap_or_default());
        }
        let set = context.set();
        if context.live.is_replaced(&uid) {
            return Err(context.replaced("during the abort"));
        }
        let Ok(Some(record)) = Record::of(set) else {
            let message = "somebody else has ended this canary";
            let finding = rules::TAKEN_OVER.found(set.reference(), message);
            return Err(Stop::with(Exit::Conflict, finding));
        };
        context.has_begun = true;
        context.may_look()?;
        let set = context.set();
        let state = State::new(context.facts(), &record, now);
        let taken = taken.get_or_insert_with(|| comeback::reverted(&state));
        match abort::next(&state, patience, reverted) {
            AbortMove::Revert { partition } => {
                let goes = going(&state, &AbortMove::Revert { partition });
                if !context.claims_stay(&goes).await? {
                    continue;
                }
                let state = State::new(context.live.facts(), &record, now);
                if let Some(theirs) = ForeignTemplate::of(&state)
                    && terms.overwrites.as_ref() != Some(&theirs.fingerprint)
                {
                    let finding = theirs.changed(&state);
                    context.live.tell(&format!("stopped: {}", finding.message))?;
                    return Err(Stop::with(Exit::Conflict, finding));
                }
                // Somebody may have changed it once more.
                let more = comeback::reverted(&state);
                taken.extend(more);
                let Some(write) = outlook::revert(&state, partition, &context.session.run) else {
                    let findings = guards::for_abort(&state.survey, &record);
                    return Err(Stop::Blocked(End { exit: Exit::Manual, findings }));
                };
                reverted |= context.live.write(&write).await? == WriteOutcome::Done;
            }
            AbortMove::Replace { pod, why } => {
                context.delete_once(&pod, outlook::reason(&record), &why).await?;
            }
            AbortMove::Wait { what } if now >= deadline => {
                let message = format!("waited {} for {what}{}", age(limit), abort::why(&state));
                let finding = rules::DEADLINE
                    .found(set.reference(), message)
                    .hint(context.session.command("abort"));
                context.live.tell(&format!("stopped: {}", finding.message))?;
                return Err(Stop::with(Exit::Timeout, finding));
            }
            AbortMove::Wait { what } => {
                let shown = Some(deadline).filter(|_| limit != SignedDuration::MAX);
                context.report_wait(Some(&record), &what, shown)?;
                let soon = now.checked_add(TICK).unwrap_or(deadline).min(deadline);
                context.live.wait(Some(soon)).await?;
            }
            AbortMove::Finish => {
                let write = writes::finish(set, &record);
                match context.live.write(&write).await? {
                    WriteOutcome::Done => return reached_stable(context, record.adopted, taken),
                    WriteOutcome::LookAgain => finishing = Some(record.adopted),
                }
            }
            AbortMove::Stop { exit, finding } => {
                context.live.tell(&format!("stopped: {}", finding.message))?;
                return Err(Stop::with(exit, finding));
            }
        }
    }
}

/// The pods that this move makes go. Under OnDelete the tool deletes them later,
/// all the same.
fn going(state: &State, next: &AbortMove) -> Vec<String> {
    match next {
        AbortMove::Revert { partition } => {
            let from = if state.survey.set.takes_partition() { *partition } else { 0 };
            claims::going(&state.survey, from, Some(state.record.stable.as_str()))
        }
        AbortMove::Replace { pod, .. } => vec![pod.name.clone()],
        AbortMove::Wait { .. } | AbortMove::Finish | AbortMove::Stop { .. } => Vec::new(),
    }
}

/// Refuses where a claim would go with one of these pods. Claims that may not be
/// read keep nobody from going back; that is said.
async fn look_at_claims(
    session: &Session,
    survey: &Survey<'_>,
    goes: &[String],
    what: &str,
) -> Result<(), Error> {
    match claims_now::look(&session.cluster, survey, goes).await? {
        Ok(findings) if findings.is_empty() => Ok(()),
        Ok(findings) => Err(refused(&format!("cannot {what} {}", session.name), findings)),
        Err(unread) => {
            let finding = claims_now::unread_finding(survey.facts, &unread);
            session.terminal.warn(&format!("{} {}", finding.id, finding.message));
            Ok(())
        }
    }
}

/// What is written on the way back, before anybody is asked.
fn said(outlook: &Outlook) -> Vec<String> {
    let written = |write: &Write| write.done(Mode::ClientDryRun).replace(" (dry run)", "");
    let revert = outlook.revert.iter().map(|write| ("write", written(write)));
    let deletions = outlook.deletions.iter().map(|write| ("delete", written(write)));
    let back = outlook.back.iter().map(|text| ("back", text.clone()));
    let last = [("last", written(&outlook.last))];
    let all = revert.chain(deletions).chain(back).chain(last);
    all.flat_map(|(word, text)| line(word, &text)).collect()
}

fn line(word: &str, text: &str) -> Vec<String> {
    layout::hanging(&format!("{word:<7}"), text, layout::NARROW)
}

/// The same as a dry run. The server can try what is done to what is there by now: not
/// the last write, which comes once the pods are back.
async fn rehearse(session: &Session, outlook: &Outlook) -> Result<(), Error> {
    for write in outlook.revert.iter().chain(&outlook.deletions) {
        session.rehearse(write).await?;
    }
    for line in outlook.back.iter().flat_map(|text| line("back", text)) {
        session.terminal.say(&line);
    }
    session.cluster.write(&outlook.last, Mode::ClientDryRun).await?;
    Ok(())
}

/// What is lost: the template of somebody else.
fn lost(theirs: &ForeignTemplate) -> Vec<String> {
    let whose = match &theirs.revision {
        Some(revision) => format!("the template of {revision}"),
        None => "the template".to_owned(),
    };
    line("lost", &format!("{whose}, which {} has set: {}", theirs.who(), theirs.what()))
}

/// The abort is done. Warns of whoever applied the new template and may reapply
/// it.
fn reached_stable(
    context: &RunContext<'_>,
    adopted: bool,
    taken: &[Difference],
) -> Result<End, Stop> {
    let set = context.set();
    let stable = set.status.update_revision.as_deref().unwrap_or("<none>");
    context.live.tell(&format!("reverted: every ordinal of {} runs {stable}", set.name))?;
    let mut findings = comeback::appliers(context.facts(), adopted, taken);
    findings.extend(guards::partition_stays(&Survey::new(context.facts(), Timestamp::now())));
    Ok(End { exit: Exit::Done, findings })
}

/// Runs `unstick`.
pub async fn unstick(
    args: &UnstickArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session =
        Session::open::<UnstickArgs>("unstick", &args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let patience = signed(args.patience.unstick_after);
    let now = Timestamp::now();
    let survey = Survey::new(&reading.facts, now);
    if !survey.pods_known {
        let unread = reading.facts.unread.iter().find(|unread| unread.resource == "pods");
        let why = unread.map_or("they were not read", |unread| unread.why.as_str());
        return Err(Error::new(
            Exit::Incomplete,
            format!("which pod {} waits for is unknown: its pods could not be read", session.name),
        )
        .caused_by(why));
    }
    if let Some(going) = guards::namespace_deleting(&survey) {
        return Err(refused(&format!("cannot unstick {}", session.name), vec![going]));
    }
    if survey.first_blocker().is_none() {
        terminal.say(&format!("every ordinal of {} is available: nothing is stuck", session.name));
        return session.close_unchanged(&reading.facts).await;
    }
    let pod = abort::unstick(&survey, patience)
        .map_err(|finding| refused(&format!("cannot unstick {}", session.name), vec![finding]))?;
    look_at_claims(&session, &survey, std::slice::from_ref(&pod.name), "unstick").await?;
    for line in explanation(&survey, pod, now) {
        terminal.say(&line);
    }
    if session.dry_run != DryRun::None {
        session.rehearse(&PodToDelete::of(pod).delete(survey.set, "kubernetes #67250")).await?;
        return session.close_unchanged(&reading.facts).await;
    }
    let text = format!(
        "Delete pod {}? The controller makes it again from the current template.",
        pod.name
    );
    let confirmed = session.ask(&args.common, &text, None)?;
    let mut context = RunContext::new(&session, reading, confirmed);
    context.without_claims = true;
    let end = delete_trapped(&mut context, patience, deadline(args.timeout.longest)).await;
    context.close(end).await
}

/// Deletes trapped pods one by one, until every ordinal is available.
async fn delete_trapped(
    context: &mut RunContext<'_>,
    patience: SignedDuration,
    limit: SignedDuration,
) -> Result<End, Stop> {
    let uid = context.set().uid.clone();
    let deadline = Timestamp::now().checked_add(limit).unwrap_or(Timestamp::MAX);
    loop {
        let now = Timestamp::now();
        let survey = Survey::new(context.facts(), now);
        let set = survey.set;
        if context.live.is_replaced(&uid) {
            return Err(context.replaced("meanwhile"));
        }
        context.may_look()?;
        let Some(blocker) = survey.first_blocker() else { return Ok(End::done()) };
        let name = blocker.name.clone();
        if let Some((_, pod)) = survey.trapped(patience) {
            let pod = PodToDelete::of(pod);
            let why = "the controller waits for it, and it does not run the current template";
            context.delete_once(&pod, "kubernetes #67250", why).await?;
            continue;
        }
        if now >= deadline {
            let why = diagnosis::refused(&survey, blocker);
            let why = why.map_or_else(String::new, |refusal| format!("; {}", refusal.cause));
            let message = format!("waited {} for {name} to be available{why}", age(limit));
            let finding = rules::DEADLINE.found(set.reference(), message).hint(format!(
                "kubectl stateful status {} {}",
                set.name,
                survey.at()
            ));
            return Err(Stop::with(Exit::Timeout, finding));
        }
        context.report_wait(None, &format!("{name} to be available"), Some(deadline))?;
        let soon = now.checked_add(TICK).unwrap_or(deadline);
        context.live.wait(Some(soon)).await?;
    }
}

/// Why deleting this pod, and no other, helps.
fn explanation(survey: &Survey, pod: &Pod, now: Timestamp) -> Vec<String> {
    let set = survey.set;
    let update = set.status.update_revision.as_deref().unwrap_or("<none>");
    let since = pod.unready_since();
    let unready = since.map_or_else(String::new, |since| {
        format!(" since {} ({})", clock(since), age(now.duration_since(since)))
    });
    vec![
        format!("{} is the lowest ordinal of {} that is not available,", pod.name, set.name),
        format!("  it has not been Ready{unready},"),
        format!(
            "  it runs {}, and the current template is {update},",
            pod.revision().unwrap_or("<none>")
        ),
        format!("  its ordinal is not below partition {}, and", set.partition()),
        "  under OrderedReady the controller waits for it before it replaces any pod.".to_owned(),
    ]
}

/// A timeout of zero waits forever.
fn deadline(timeout: Duration) -> SignedDuration {
    if timeout.is_zero() { SignedDuration::MAX } else { signed(timeout) }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
