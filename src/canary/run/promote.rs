//! `promote`: what it refuses, what it asks, and what it would write.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    claims as claims_now,
    context::RunContext,
    forward::{abort_if_asked, go, goal, terms},
    rights,
    session::{Session, refused},
};
use crate::{
    canary::{
        args::PromoteArgs,
        claims, foresight, guards, lines, no_canary,
        plan::{self, State},
        record::{Phase, Record},
        rules, writes,
    },
    cluster::{ConnectionArgs, DryRun, read::Reading},
    output::{Error, Exit, Terminal, text::list},
    steps::End,
    workload::{Strategy, Survey, refuses, rollout::Template},
};

/// Runs `promote`.
pub async fn promote(
    args: &PromoteArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let gates = args.gates.resolve(crate::canary::read_file)?;
    let allowed = args.allow.among(rules::ALLOWABLE)?;
    let session =
        Session::open::<PromoteArgs>("promote", &args.common, connection, terminal).await?;
    let reading = read_settled(&session).await?;
    let survey = Survey::new(&reading.facts, Timestamp::now());
    let record = match Record::of(survey.set) {
        Err(why) => return Err(refused("cannot promote", vec![guards::unusable(&survey, &why)])),
        Ok(None) => return nothing_under_way(&session, &survey).await,
        Ok(Some(record)) => record,
    };
    let state = State::new(&reading.facts, &record, survey.now);
    // Known before anything is asked or tried: nobody has to agree to it.
    if record.phase != Phase::Aborting
        && let Some(finding) = plan::changed_by_others(&state)
    {
        return session.close_stopped(&reading.facts, &End::with(Exit::Conflict, finding)).await;
    }
    let goal = if args.full { 0 } else { goal(&args.reach, &survey, plan::one_more(&state))? };
    let mut findings = guards::for_promote(&survey, &record, Some(&gates));
    if record.phase == Phase::Rolling {
        let template = &survey.set.template.raw;
        let stable = reading.facts.revision(&record.stable).map(|stable| &stable.template);
        let stable = stable.unwrap_or(template);
        findings.extend(foresight::gates(&survey, &gates, stable, template));
        findings.extend(foresight::blocking_budget(&state, &gates, goal));
        findings.extend(rights::missing(&session.cluster, &reading.facts, &gates, false).await?);
        let target = survey.set.status.update_revision.as_deref();
        let goes = claims::going(&survey, goal, target);
        findings.extend(claims_now::guard(&session.cluster, &survey, &goes).await?.0);
    }
    allowed.weigh(&mut findings);
    if refuses(&findings) {
        return Err(refused(&format!("cannot promote {}", session.name), findings));
    }
    for finding in &findings {
        terminal.warn(&format!("{} {}", finding.id, finding.message));
    }
    let terms = terms(&gates, &survey, goal, &allowed);
    if session.dry_run != DryRun::None {
        return rehearse(&session, &survey, &record, goal).await;
    }
    if state.unjudged(&[]).is_none() && record.partition <= goal && record.partition > 0 {
        return session.close_unchanged(&reading.facts).await;
    }
    let confirmed = session.ask(&args.common, &question(&state, goal), None)?;
    let mut context = RunContext::new(&session, reading, confirmed);
    context.without_claims = allowed.contains(&rules::UNREAD);
    context.allowed = allowed;
    let end = go(&mut context, &gates, &terms, Some(record.run)).await;
    let end = abort_if_asked(&mut context, &gates, end).await;
    context.close(end).await
}

/// Reads the set. A canary may have ended a moment ago, and the controller not
/// have seen that yet.
async fn read_settled(session: &Session) -> Result<Reading, Error> {
    for _ in 0..SETTLING {
        let reading = session.read().await?;
        let set = &reading.facts.set;
        if set.is_observed() || set.has_canary() {
            return Ok(reading);
        }
        tokio::time::sleep(PAUSE).await;
    }
    session.read().await
}

/// How often that is looked at, and how long apart.
const SETTLING: u32 = 4;
const PAUSE: Duration = Duration::from_millis(300);

/// No canary: done when every pod runs the current template, because then a
/// promote that was interrupted at its very end has nothing left to do.
async fn nothing_under_way(session: &Session, survey: &Survey<'_>) -> Result<Exit, Error> {
    let set = survey.set;
    let what = format!("cannot promote {}", set.name);
    if !survey.pods_known {
        return Err(refused(&what, guards::for_status(survey, None, true)));
    }
    let update = set.status.update_revision.as_deref();
    let behind: Vec<&str> = survey
        .slots
        .iter()
        .filter(|slot| slot.pod.is_none_or(|pod| pod.revision() != update))
        .map(|slot| slot.name.as_str())
        .collect();
    if set.is_observed() && behind.is_empty() && set.partition() == 0 {
        session
            .terminal
            .say(&format!("no canary is under way on {}: nothing to promote", set.name));
        return session.close_unchanged(survey.facts).await;
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
    let finding = guards::undone(survey).unwrap_or_else(|| {
        let finding = rules::NONE.found(set.reference(), message);
        match Template::of(survey) {
            Template::Newer { .. } if no_canary::is_adoptable(survey) => {
                finding.hint(lines::adopt(survey, None))
            }
            _ => finding.hint(format!("kubectl stateful status {} {}", set.name, survey.at())),
        }
    });
    Err(refused(&what, vec![finding]))
}

fn question(state: &State, goal: u32) -> String {
    let set = state.survey.set;
    let names: Vec<String> = (goal..state.record.partition)
        .rev()
        .filter(|index| !plan::has_moved_unasked(state, *index))
        .map(|index| set.pod_name(set.start.saturating_add(index)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => format!("Judge the ordinals of {} that have moved, and go no further?", set.name),
        names => format!("Promote {} to the new version?", list(names)),
    }
}

/// Shows the writes, one after another.
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
        session.rehearse_deletion(survey, &record, record.partition).await?;
        // A server can validate only the first step: the second one starts from
        // a set that does not exist yet.
        if session.dry_run == DryRun::Server {
            break;
        }
        if let Strategy::RollingUpdate { partition } = &mut set.strategy {
            *partition = Some(record.partition);
        }
    }
    session.close_unchanged(survey.facts).await
}
