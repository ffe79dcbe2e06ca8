//! `plan` and `start`: what would happen, what speaks against it, and the first
//! write.

use jiff::Timestamp;

use super::{
    checks::{self, Answer},
    context::RunContext,
    forward, look,
    session::{Session, refused},
    start_plan::{StartPlan, StartRequest, decide, plan_start},
    start_view::view,
};
use crate::{
    canary::{
        args::{PlanArgs, StartArgs},
        claims, diff,
        gates::Gates,
        plan::{self, Move, State, Terms},
        read_file,
        record::Record,
        report::{self, PlanView, PlannedClass},
        rules, writes,
    },
    cluster::{Cluster, ConnectionArgs, DryRun, shell_quoted},
    manifests::Bundle,
    output::{Error, Exit, Look, Terminal},
    steps::{End, Stop, WriteOutcome},
    workload::{StatefulSet, Survey, refuses},
};

/// Runs `plan`.
pub async fn plan(
    args: &PlanArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let allowed = args.allow.among(rules::ALLOWABLE)?;
    let gates = args.gates.resolve(read_file)?;
    let name = args.set.name()?;
    let change = args.change.read(read_file)?;
    let request = StartRequest {
        change: &change,
        reach: &args.reach,
        gates: &gates,
        allow: &allowed,
        run: "",
    };
    let now = Timestamp::now();
    let (facts, start, cluster) = if args.files.is_empty() {
        let cluster = Cluster::connect(connection, terminal).await?;
        change.is_for(&name, Some(cluster.namespace()))?;
        let (reading, start) = decide(&cluster, &name, &request, Some(&cluster)).await?;
        (reading.facts, start, Some(cluster))
    } else {
        let namespace = connection.namespace.as_deref();
        change.is_for(&name, namespace)?;
        let bundle = Bundle::read(&args.files.paths);
        let facts =
            bundle.map_err(|error| or_gates(&args.files.paths, error))?.facts(&name, namespace)?;
        change.is_for(&name, Some(&facts.set.namespace))?;
        let mut start = plan_start(&facts, &request, None, now).await?;
        let goes = start.going(&facts, start.goal);
        let survey = Survey::new(&facts, now);
        start.add(claims::leaving(&survey, &goes, &claims::Seen::of(&facts)), &allowed);
        (facts, start, None)
    };
    let mut view = view(&facts, &start, &request);
    match &cluster {
        Some(cluster) => {
            let given = args.given.without("allow", &[rules::OVERWRITES.id]);
            view.command = given.to_do::<StartArgs>("canary start", cluster, &view.hash);
        }
        None => view.unread.extend(look::absent(&facts)),
    }
    let exit = match (refuses(&start.findings), args.exit_code) {
        (true, true) => Exit::Refused,
        (false, true) => Exit::Found,
        _ if view.unread.is_empty() => Exit::Done,
        _ => Exit::Incomplete,
    };
    let look = Look::of(terminal, now);
    let text = report::render_plan(&view, exit, &start.findings, args.output.format, look)?;
    terminal.answer(&text)?;
    Ok(exit)
}

/// Elsewhere `-f` was once the file of gates.
fn or_gates(paths: &[String], error: Error) -> Error {
    let is_of_gates = |path: &&String| {
        // Standard input is read already.
        let text = std::fs::read_to_string(path).ok().filter(|_| *path != "-");
        text.is_some_and(|text| Gates::read(&text, path).is_ok())
    };
    match paths.iter().find(is_of_gates) {
        Some(path) => error.hint(format!(
            "{path} is a file of gates: --gates {}; -f reads objects",
            shell_quoted(path)
        )),
        None => error,
    }
}

/// Runs `start`.
pub async fn start(
    args: &StartArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let allowed = args.allow.among(rules::ALLOWABLE)?;
    let gates = args.gates.resolve(read_file)?;
    let change = args.change.read(read_file)?;
    let session = Session::open::<StartArgs>("start", &args.common, connection, terminal).await?;
    change.is_for(&session.name, Some(session.cluster.namespace()))?;
    let request = StartRequest {
        change: &change,
        reach: &args.reach,
        gates: &gates,
        allow: &allowed,
        run: &session.run,
    };
    let cluster = Some(&session.cluster).filter(|_| session.dry_run != DryRun::Client);
    let (reading, start) = decide(&session.cluster, &session.name, &request, cluster).await?;
    let now = Timestamp::now();
    if refuses(&start.findings) {
        return Err(refused(&format!("cannot start a canary of {}", session.name), start.findings));
    }
    let shown = view(&reading.facts, &start, &request);
    if session.dry_run != DryRun::None {
        session.rehearse(&start.write(&reading.facts.set)).await?;
        let survey = Survey::new(&reading.facts, now);
        for index in (start.goal..start.record.replicas).rev() {
            session.rehearse_deletion(&survey, &start.record, index).await?;
        }
        let look = Look::of(terminal, now);
        let text = report::render_plan(&shown, Exit::Done, &start.findings, session.output, look)?;
        terminal.answer(&text)?;
        return Ok(Exit::Done);
    }
    terminal
        .say(report::plan_text(&shown, &start.findings, Look::of_stderr(terminal, now)).trim_end());
    let question = question(&shown, &start);
    let confirmed = session.ask(&args.common, &question, Some(&shown.hash))?;
    let terms = {
        let survey = Survey::new(&reading.facts, now);
        forward::terms(&gates, &survey, start.goal, &allowed)
    };
    let mut context = RunContext::new(&session, reading, confirmed);
    context.without_claims = allowed.contains(&rules::UNREAD);
    context.allowed = allowed;
    let end = roll_out(&mut context, &gates, &terms, &start).await;
    let end = forward::abort_if_asked(&mut context, &gates, end).await;
    context.close(end).await
}

/// Does the first write, unless the canary is under way, and goes forward.
async fn roll_out(
    context: &mut RunContext<'_>,
    gates: &Gates,
    terms: &Terms,
    start: &StartPlan,
) -> Result<End, Stop> {
    if !start.resumes {
        write_first(context, gates, terms, start).await?;
        record_server_template(context).await?;
    }
    let run = Record::of(context.set()).ok().flatten().map(|record| record.run);
    forward::go(context, gates, terms, run).await
}

/// Asks budgets, leader and hooks about the first ordinal, and does the first
/// write.
async fn write_first(
    context: &mut RunContext<'_>,
    gates: &Gates,
    terms: &Terms,
    start: &StartPlan,
) -> Result<(), Stop> {
    let before = context.set().clone();
    let (generation, uid) = (before.generation, before.uid.clone());
    let lowest = start.record.partition;
    let first = start.first_to_go(context.facts()).filter(|first| *first < start.record.replicas);
    loop {
        let set = context.set();
        if context.live.is_replaced(&uid) {
            return Err(context.replaced("before the canary began"));
        }
        context.may_look()?;
        match Record::of(set) {
            // The write went through, and its answer was lost.
            Ok(Some(record)) if record.run == context.session.run => return Ok(()),
            _ if set.generation != generation => return Err(changed(context, &before)),
            _ => {}
        }
        if let Some(first) = first.filter(|first| context.memory.prepared != Some(*first)) {
            prepare(context, gates, terms, start, first).await?;
            continue;
        }
        let goes = start.going(context.facts(), lowest);
        if !context.claims_stay(&goes).await? {
            continue;
        }
        let write = start.write(context.set());
        if context.live.write(&write).await? == WriteOutcome::Done {
            return Ok(());
        }
    }
}

/// Somebody else has changed the set since it was read: what, and the line that
/// begins anew with it.
fn changed(context: &RunContext<'_>, before: &StatefulSet) -> Stop {
    let set = context.set();
    let (was, is) = (before.replicas, set.replicas);
    let (rule, what) = if set.template.raw != before.template.raw {
        (&rules::TEMPLATE_CHANGED, "the pod template".to_owned())
    } else if was != is {
        (&rules::REPLICAS_CHANGED, format!("spec.replicas from {was} to {is}"))
    } else if set.takes_partition() != before.takes_partition() {
        (&rules::STRATEGY_CHANGED, "the type of the update strategy".to_owned())
    } else if set.partition() != before.partition() {
        let (was, is) = (before.partition(), set.partition());
        (&rules::PARTITION_CHANGED, format!("the partition from {was} to {is}"))
    } else {
        (&rules::TAKEN_OVER, "the spec of the set".to_owned())
    };
    let message = format!("somebody else changed {what} before the canary began");
    let finding = rule.found(set.reference(), message).hint(&context.session.to_continue);
    Stop::with(Exit::Conflict, finding)
}

/// Asks budgets, leader and hooks about the first ordinal, once. The memory has
/// it when they agree.
async fn prepare(
    context: &mut RunContext<'_>,
    gates: &Gates,
    terms: &Terms,
    start: &StartPlan,
    first: u32,
) -> Result<(), Stop> {
    let now = Timestamp::now();
    let state = State::new(context.live.facts(), &start.record, now);
    context.memory.observe(&state);
    let next = plan::first(&state, terms, &context.memory, first);
    match &next {
        Move::Wait { what, until } => {
            context.report_wait(None, what, *until)?;
            return context.live.wait(*until).await;
        }
        Move::Stop { exit, finding } => return Err(Stop::with(*exit, finding.clone())),
        _ if !checks::needed(gates, &next) => {
            context.memory.prepared = Some(first);
            return Ok(());
        }
        _ => {}
    }
    let mut started = checks::start(context, gates, &state, &next, first);
    context.report_wait(None, &started.what, None)?;
    let answer = loop {
        if let Some(answer) = context.live.work_or_wait(&mut started.work).await? {
            break answer;
        }
    };
    match answer {
        Answer::Yes => {
            context.memory.prepared = Some(first);
            Ok(())
        }
        // Nothing has begun, so nothing has failed in the middle. What the hook itself has
        // changed, nobody knows.
        Answer::No { exit: Exit::Failed, mut finding } => {
            finding.message += "; nothing else was changed";
            Err(Stop::with(Exit::Refused, finding))
        }
        Answer::No { exit, finding } => Err(Stop::with(exit, finding)),
        Answer::Unknown { what } => {
            let state = State::new(context.facts(), &start.record, now);
            forward::check_deadline(&state, terms, &context.memory, &what)?;
            context.report_wait(None, &what, None)?;
            context.live.wait(Some(Timestamp::now() + forward::RETRY_INTERVAL)).await
        }
    }
}

/// A webhook may write something else into the template on every write, so the
/// template as the server stored it is the one that counts from now on.
async fn record_server_template(context: &mut RunContext<'_>) -> Result<(), Stop> {
    let set = context.set();
    let Ok(Some(mut record)) = Record::of(set) else { return Ok(()) };
    let stored = diff::fingerprint(&set.template.raw);
    if record.run != context.session.run || record.template == stored {
        return Ok(());
    }
    record.template = stored;
    let write = writes::mark(set, &record, "canary, template as the server has it");
    context.live.write(&write).await?;
    Ok(())
}

fn question(view: &PlanView, start: &StartPlan) -> String {
    let moves = view.items.iter().filter(|item| item.class == PlannedClass::Moves).count();
    match (start.resumes, moves) {
        (true, _) => format!("Continue the canary of {}?", view.name),
        (false, 0) => format!("Take the rollout of {} over as a canary?", view.name),
        (false, _) => format!("Start the canary of {}?", view.name),
    }
}
