//! The beginning: what would happen, whether it may, and the first write.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Session,
    checks::{self, Answer},
    forward,
    hand::Hand,
    refused,
};
use crate::{
    canary::{
        args::{PlanArgs, ReachArgs, StartArgs},
        change::{self, Change, Difference, Refused},
        gates::Gates,
        guards::{self, Beginning},
        plan::{self, Move, Stand, Terms},
        read_file,
        record::{Phase, Record},
        report::{self, PlanView, PlannedClass, PlannedOrdinal},
        rules, writes,
    },
    cluster::{Cluster, ConnectionArgs, DryRun, Failure, Mode, Write, offline::Bundle, read},
    output::{Error, Exit, Look, Terminal},
    steps::{End, Written, again},
    workload::{Facts, Finding, Reference, Severity, StatefulSet, Survey},
};

/// What a start is going to do.
struct Opening {
    beginning: Beginning,
    /// The record as the first write leaves it, without fingerprint.
    record: Record,
    /// The change of the template; none where it is there already.
    patch: Option<Map<String, Value>>,
    /// A canary to this very template is under way: go on with it.
    resumes: bool,
    goal: u32,
    changes: Vec<Difference>,
    findings: Vec<Finding>,
    tried: bool,
}

/// What was asked for, whichever verb asks.
struct Wish<'a> {
    change: &'a Change<'a>,
    reach: &'a ReachArgs,
    gates: &'a Gates,
    allow: &'a [String],
    run: &'a str,
}

/// Runs `plan`.
pub async fn plan(
    args: &PlanArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let gates = args.gates.resolve(read_file)?;
    let reference = Reference::parse(&args.set, "StatefulSet").map_err(Error::usage)?;
    let change = args.change.read(read_file)?;
    let wish =
        Wish { change: &change, reach: &args.reach, gates: &gates, allow: &args.allow, run: "" };
    let now = Timestamp::now();
    let (facts, opening, cluster) = if args.filename.is_empty() {
        let cluster = Cluster::connect(connection, terminal).await?;
        change.is_for(&reference.name, Some(cluster.namespace()))?;
        let (reading, opening) = decide(&cluster, &reference.name, &wish, Some(&cluster)).await?;
        (reading.facts, opening, Some(cluster))
    } else {
        let namespace = connection.namespace.as_deref();
        change.is_for(&reference.name, namespace)?;
        let facts = Bundle::read(&args.filename)?.facts(&reference.name, namespace)?;
        change.is_for(&reference.name, Some(&facts.set.namespace))?;
        let opening = open(&facts, &wish, None, now).await?;
        (facts, opening, None)
    };
    let refuses = guards::refuses(&opening.findings);
    let exit = match (refuses, args.exit_code) {
        (true, true) => Exit::Refused,
        (false, true) => Exit::Found,
        _ if facts.unread.is_empty() => Exit::Done,
        _ => Exit::Incomplete,
    };
    let command = if cluster.is_some() {
        again(std::env::args().skip(1), Some(("plan", "start")), &["--exit-code"])
    } else {
        String::new()
    };
    let mut view = view(&facts, &opening, &gates);
    if !command.is_empty() {
        view.command = format!("{command} --confirm-plan {}", view.hash);
    }
    let look = Look::of(terminal, now);
    let text = report::render_plan(&view, exit, &opening.findings, args.output, look)?;
    terminal.answer(&text)?;
    Ok(exit)
}

/// Runs `start`.
pub async fn start(
    args: &StartArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let gates = args.gates.resolve(read_file)?;
    let change = args.change.read(read_file)?;
    let session = Session::open(&args.common, connection, terminal).await?;
    change.is_for(&session.name, Some(session.cluster.namespace()))?;
    let wish = Wish {
        change: &change,
        reach: &args.reach,
        gates: &gates,
        allow: &args.allow,
        run: &session.run,
    };
    let cluster = Some(&session.cluster).filter(|_| session.dry_run != DryRun::Client);
    let (reading, opening) = decide(&session.cluster, &session.name, &wish, cluster).await?;
    let now = Timestamp::now();
    if guards::refuses(&opening.findings) {
        return Err(refused(
            &format!("cannot start a canary of {}", session.name),
            opening.findings,
        ));
    }
    let shown = view(&reading.facts, &opening, &gates);
    if session.dry_run != DryRun::None {
        session.rehearse(&opening.write(&reading.facts.set)).await?;
        let look = Look::of(terminal, now);
        let text =
            report::render_plan(&shown, Exit::Done, &opening.findings, session.output, look)?;
        terminal.answer(&text)?;
        return Ok(Exit::Done);
    }
    terminal.say(
        report::plan_text(&shown, &opening.findings, Look { columns: 100, ..Look::plain(now) })
            .trim_end(),
    );
    let question = question(&shown, &opening);
    let confirmed = session.ask(&args.common, &question, Some(&shown.hash))?;
    let terms = {
        let survey = Survey::new(&reading.facts, now);
        forward::terms(&gates, &survey, opening.goal, &args.allow)
    };
    let mut hand = Hand::new(&session, reading, confirmed);
    let begun =
        if opening.resumes { None } else { begin(&mut hand, &gates, &terms, &opening).await? };
    let end = if let Some(end) = begun {
        end
    } else {
        let run = Record::of(&hand.set.mirror.facts().set).ok().flatten().map(|record| record.run);
        forward::go(&mut hand, &gates, &terms, run).await?
    };
    let end = forward::back_if_asked(&mut hand, &gates, end).await?;
    session.close(&mut hand, &end)
}

/// Reads the set and works out what a start would do; once more where its
/// controller has not seen the last change yet, such as the end of a canary a
/// moment ago, and where the set was another one by the time the server tried
/// it, if only by a report of its controller.
async fn decide(
    cluster: &Cluster,
    name: &str,
    wish: &Wish<'_>,
    tries: Option<&Cluster>,
) -> Result<(read::Reading, Opening), Error> {
    let mut left = MOST_READINGS;
    loop {
        left -= 1;
        let reading = read::facts(cluster, name, read::Scope::Rollout).await?;
        if !reading.facts.set.is_observed() && left > 0 {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        match open(&reading.facts, wish, tries, Timestamp::now()).await {
            Err(error) if error.exit == Exit::Conflict && left > 0 => {}
            opening => return Ok((reading, opening?)),
        }
    }
}

/// A set that changes more often than this is not at rest.
const MOST_READINGS: u32 = 5;
/// A controller that works needs less.
const PAUSE: Duration = Duration::from_millis(300);

/// Works out what a start would do, and what speaks against it. With a
/// cluster the server tries the change first.
async fn open(
    facts: &Facts,
    wish: &Wish<'_>,
    cluster: Option<&Cluster>,
    now: Timestamp,
) -> Result<Opening, Error> {
    let survey = Survey::new(facts, now);
    let set = survey.set;
    if wish.change.flags.is_empty() {
        return Err(Error::usage("no change was named").hint(
            "name one: --image CONTAINER=IMAGE, --env, --set-resources, --restart, --patch-file; \
             or --adopt what somebody else applied",
        ));
    }
    let there = match Record::of(set) {
        Ok(record) => record,
        Err(why) => {
            let findings = vec![guards::unusable(&survey, &why)];
            return Err(refused(&format!("cannot start a canary of {}", set.name), findings));
        }
    };
    let beginning = if wish.change.flags.adopt { Beginning::Adopt } else { Beginning::Change };
    let mut findings = Vec::new();
    let patch = match beginning {
        Beginning::Change => change_of(wish, &survey, there.as_ref(), now, &mut findings)?,
        _ => None,
    };
    let after = patch
        .as_ref()
        .map_or_else(|| set.template.raw.clone(), |patch| change::apply(&set.template.raw, patch));
    let resumes = there.as_ref().is_some_and(|record| resumes(record, set, beginning, &after));
    findings.extend(match &there {
        // In the middle of it an ordinal is away: that is how it goes.
        Some(record) if resumes => guards::for_promote(&survey, record, wish.gates),
        there => guards::check(&survey, there.as_ref(), beginning),
    });
    if let Some(record) = &there
        && record.phase == Phase::Rolling
        && beginning == Beginning::Change
        && !resumes
    {
        let message = "a canary to another template is under way".to_owned();
        let at = survey.at();
        findings.push(
            rules::IN_PROGRESS
                .found(set.reference(), message)
                .hint(format!("kubectl stateful canary status {} {at}", set.name)),
        );
    }
    let mut record = there.unwrap_or_else(|| {
        Record::begin(set, plan::stable_of(&survey).unwrap_or_default(), wish.run, now)
    });
    if !resumes {
        let reached = match beginning {
            Beginning::Adopt => plan::reached(&survey, &record.stable),
            _ => set.replicas,
        };
        record = record.opened(set, reached, wish.run);
        record.gates = wish.gates.fingerprint();
        record.adopted |= beginning == Beginning::Adopt;
    }
    // Typed again it goes no further than it went.
    let first = record.partition.min(set.replicas.saturating_sub(1));
    let goal = forward::goal(wish.reach, &survey, first)?;
    if !resumes && record.partition == set.replicas {
        // The write that brings the template also tells the first one to move.
        record.partition = set.replicas.saturating_sub(1).max(goal.min(set.replicas));
    }
    let mut opening = Opening {
        beginning,
        record,
        patch,
        resumes,
        goal,
        changes: Vec::new(),
        findings,
        tried: false,
    };
    let mut after = after;
    if !resumes
        && !guards::refuses(&opening.findings_after(wish.allow))
        && let Some(tried) = try_out(&mut opening, set, cluster).await?
    {
        after = tried.template.raw.clone();
    }
    opening.record.template = change::fingerprint(&after);
    let stable = facts.revision(&opening.record.stable);
    opening.changes =
        stable.map_or_else(Vec::new, |stable| change::differences(&stable.template, &after));
    if stable.is_some() && opening.changes.is_empty() && !opening.resumes {
        let message = match beginning {
            Beginning::Adopt => {
                "the template is that of the stable revision: nobody has applied another one"
            }
            _ => "the template would be what it is already",
        };
        opening.findings.push(rules::NO_CHANGE.found(set.reference(), message));
    }
    let checks = wish.gates.has_checks() || wish.gates.bake.is_some();
    opening.findings.extend(guards::probes(&survey, &set.template, checks));
    guards::allow(&mut opening.findings, wish.allow);
    opening.findings.sort_by_key(|finding| finding.severity);
    Ok(opening)
}

/// The change as a patch, or a finding that says why there is none.
fn change_of(
    wish: &Wish<'_>,
    survey: &Survey,
    there: Option<&Record>,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) -> Result<Option<Map<String, Value>>, Error> {
    let set = survey.set;
    // The restart that a canary under way was started with is that one.
    let restarted = set
        .template
        .raw
        .pointer("/metadata/annotations/kubectl.kubernetes.io~1restartedAt")
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<Timestamp>().ok());
    let began = there.filter(|record| record.phase == Phase::Rolling).map(|record| record.started);
    let moment = match (began, restarted) {
        (Some(began), Some(restarted)) if restarted.as_second() >= began.as_second() - 1 => {
            restarted
        }
        _ => now,
    };
    match wish.change.patch(&set.template.raw, moment) {
        Ok(patch) => Ok(Some(patch)),
        Err(Refused::ForbiddenFields(paths)) => {
            let message = format!("the patch changes {}", paths.join(", "));
            findings.push(rules::FORBIDDEN_FIELD.found(set.reference(), message));
            Ok(None)
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Whether what is asked for is the canary that is under way.
fn resumes(record: &Record, set: &StatefulSet, beginning: Beginning, after: &Value) -> bool {
    let same = change::fingerprint(&set.template.raw) == record.template;
    if record.phase != Phase::Rolling {
        return false;
    }
    if beginning == Beginning::Change {
        return same && change::differences(&set.template.raw, after).is_empty();
    }
    // Whatever somebody else changed meanwhile is adopted, too.
    let untouched = record.on_delete || set.partition() == record.partition;
    same && untouched && set.replicas == record.replicas
}

/// Has the server try the change: validation, webhooks and defaults say what
/// becomes of it before anything is written.
async fn try_out(
    opening: &mut Opening,
    set: &StatefulSet,
    cluster: Option<&Cluster>,
) -> Result<Option<StatefulSet>, Error> {
    let (Some(cluster), true) = (cluster, opening.patch.is_some()) else { return Ok(None) };
    match cluster.try_write(&opening.write(set)).await {
        Ok(answer) => {
            opening.tried = true;
            Ok(Some(read::set_of(answer)?))
        }
        Err(Failure::Invalid(rejection)) => {
            let message = rejection.status.message.clone();
            opening.findings.push(rules::REJECTED.found(set.reference(), message));
            Ok(None)
        }
        // Who may only read may still plan.
        Err(Failure::Forbidden(rejection)) => {
            let message = format!("the server would not take it: {}", rejection.status.message);
            opening.findings.push(rules::REJECTED.found(set.reference(), message));
            Ok(None)
        }
        Err(failure) => Err(failure.into()),
    }
}

impl Opening {
    fn write(&self, set: &StatefulSet) -> Write {
        match &self.patch {
            Some(patch) => writes::begin(set, patch, &self.record),
            None => writes::step(set, &self.record),
        }
    }

    fn findings_after(&self, allowed: &[String]) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        guards::allow(&mut findings, allowed);
        findings
    }
}

/// Asks budgets, leader and hooks about the first ordinal, and does the first
/// write. `None`: begun, go on.
async fn begin(
    hand: &mut Hand<'_>,
    gates: &Gates,
    terms: &Terms,
    opening: &Opening,
) -> Result<Option<End>, Error> {
    let (generation, uid) = {
        let set = &hand.set.mirror.facts().set;
        (set.generation, set.uid.clone())
    };
    let first = opening.record.partition;
    let moves = first < opening.record.replicas && opening.is_first_step(hand.set.mirror.facts());
    loop {
        let facts = hand.set.mirror.facts();
        let set = &facts.set;
        if hand.set.mirror.set_is_gone() || set.uid != uid {
            let message = format!("{} was deleted before the canary began", set.name);
            return Ok(Some(End::with(
                Exit::Conflict,
                rules::REPLACED.found(set.reference(), message),
            )));
        }
        match Record::of(set) {
            // The answer was lost, and not the write.
            Ok(Some(record)) if record.run == hand.session.run => return Ok(None),
            _ if set.generation != generation => {
                let message = "somebody else changed the set before the canary began".to_owned();
                let finding = rules::TEMPLATE_CHANGED.found(set.reference(), message);
                return Ok(Some(End::with(Exit::Conflict, finding)));
            }
            _ => {}
        }
        let now = Timestamp::now();
        let stand = Stand::new(facts, &opening.record, now);
        if moves && hand.memory.prepared != Some(first) {
            hand.memory.observe(&stand);
            match plan::first(&stand, terms, &hand.memory, first) {
                Move::Wait { what, until } => {
                    hand.say(None, &what, until)?;
                    if let Some(exit) = hand.set.wait(until).await {
                        return Ok(Some(End::interrupted(exit)));
                    }
                }
                Move::Stop { exit, finding } => return Ok(Some(End::with(exit, finding))),
                next if !checks::needed(gates, &next) => hand.memory.prepared = Some(first),
                next => {
                    let mut asked = checks::ask(hand, gates, &stand, &next, first);
                    hand.say(None, &asked.what, None)?;
                    let answer = loop {
                        match hand.set.work_or_wait(&mut asked.work).await {
                            Err(exit) => return Ok(Some(End::interrupted(exit))),
                            Ok(None) => {}
                            Ok(Some(answer)) => break answer,
                        }
                    };
                    match answer {
                        Answer::Yes => hand.memory.prepared = Some(first),
                        Answer::No { exit, finding } => return Ok(Some(End::with(exit, finding))),
                        Answer::Unknown { what } => {
                            let stand = Stand::new(hand.set.mirror.facts(), &opening.record, now);
                            if let Some(end) = forward::overdue(&stand, terms, &hand.memory, &what)
                            {
                                return Ok(Some(end));
                            }
                            hand.say(None, &what, None)?;
                            let again = Timestamp::now() + forward::AGAIN;
                            if let Some(exit) = hand.set.wait(Some(again)).await {
                                return Ok(Some(End::interrupted(exit)));
                            }
                        }
                    }
                }
            }
            continue;
        }
        let write = opening.write(set);
        match hand.set.write(&write).await? {
            Written::Done => break,
            Written::LookAgain => {}
            Written::Interrupted(exit) => return Ok(Some(End::interrupted(exit))),
        }
    }
    settle_fingerprint(hand).await
}

/// What the server made of the template is what counts from now on: a webhook
/// may write something else into it each time.
async fn settle_fingerprint(hand: &mut Hand<'_>) -> Result<Option<End>, Error> {
    let set = &hand.set.mirror.facts().set;
    let Ok(Some(mut record)) = Record::of(set) else { return Ok(None) };
    let made = change::fingerprint(&set.template.raw);
    if record.run != hand.session.run || record.template == made {
        return Ok(None);
    }
    record.template = made;
    let write = writes::mark(set, &record, "canary, template as the server has it");
    Ok(match hand.set.write(&write).await? {
        Written::Interrupted(exit) => Some(End::interrupted(exit)),
        Written::Done | Written::LookAgain => None,
    })
}

impl Opening {
    /// Whether the first write makes an ordinal move, rather than taking over
    /// where others have moved already.
    fn is_first_step(&self, facts: &Facts) -> bool {
        let survey = Survey::new(facts, Timestamp::now());
        let stable = self.record.stable.as_str();
        let index = usize::try_from(self.record.partition).unwrap_or(usize::MAX);
        let pod = survey.slots.get(index).and_then(|slot| slot.pod);
        pod.is_some_and(|pod| !pod.is_terminating() && pod.revision() == Some(stable))
    }
}

fn question(view: &PlanView, opening: &Opening) -> String {
    let moves = view.items.iter().filter(|item| item.class == PlannedClass::Moves).count();
    match (opening.resumes, moves) {
        (true, _) => format!("Go on with the canary of {}?", view.name),
        (false, 0) => format!("Take the rollout of {} over as a canary?", view.name),
        (false, _) => format!("Start the canary of {}?", view.name),
    }
}

/// The plan as it is shown.
fn view(facts: &Facts, opening: &Opening, gates: &Gates) -> PlanView {
    let set = &facts.set;
    let survey = Survey::new(facts, Timestamp::now());
    let stable = opening.record.stable.as_str();
    let items = survey.indexes().rev().map(|(index, slot)| {
        let on_stable = slot.pod.is_some_and(|pod| pod.revision() == Some(stable));
        let class = match (index >= opening.goal, on_stable) {
            (true, true) => PlannedClass::Moves,
            (_, false) => PlannedClass::Moved,
            (false, true) => PlannedClass::Stays,
        };
        PlannedOrdinal {
            kind: "Pod",
            namespace: set.namespace.clone(),
            name: slot.name.clone(),
            class,
            ordinal: slot.ordinal,
            index,
        }
    });
    let write = (!opening.resumes).then(|| opening.write(set));
    PlanView {
        namespace: set.namespace.clone(),
        name: set.name.clone(),
        uid: set.uid.clone(),
        replicas: set.replicas,
        start_ordinal: set.start,
        stable: Some(stable.to_owned()).filter(|stable| !stable.is_empty()),
        changes: opening.changes.clone(),
        items: items.collect(),
        gates: gates.summary(),
        write: write.as_ref().map(|write| write.done(Mode::ClientDryRun).replace(" (dry run)", "")),
        kubectl: write.as_ref().map(|write| write.as_kubectl(Mode::ClientDryRun, &[])),
        hash: hash(set, opening, gates),
        tried: opening.tried,
        command: String::new(),
        unread: facts.unread.clone(),
    }
}

/// Another world or another wish gives another hash.
fn hash(set: &StatefulSet, opening: &Opening, gates: &Gates) -> String {
    let Opening { record, goal, findings, .. } = opening;
    let ids: Vec<(&str, Severity)> =
        findings.iter().map(|finding| (finding.id, finding.severity)).collect();
    let made_from = serde_json::json!([
        set.uid,
        set.generation,
        change::fingerprint(&set.template.raw),
        record.template,
        record.stable,
        record.partition,
        goal,
        gates.fingerprint(),
        opening.beginning == Beginning::Adopt,
        format!("{ids:?}"),
    ]);
    change::fingerprint(&made_from).chars().take(8).collect()
}
