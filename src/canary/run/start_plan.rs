//! What a start would do, and what speaks against it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{claims as claims_now, forward, rights, session::refused};
use crate::{
    canary::{
        allowed,
        args::ReachArgs,
        change::{self, Change},
        claims,
        diff::{self, Difference},
        foresight,
        gates::Gates,
        guards::{self, StartKind},
        plan::{self, State},
        record::{Phase, Record},
        refused::Refused,
        rules, writes,
    },
    cluster::{Cluster, Failure, Write, read},
    output::{Error, Exit},
    workload::{Allowed, Facts, Finding, Severity, StatefulSet, Survey, refuses},
};

/// What a start would do.
pub struct StartPlan {
    pub kind: StartKind,
    /// The record as the first write leaves it, without fingerprint.
    pub record: Record,
    /// The change of the template; none where the set has it already.
    pub(super) patch: Option<Map<String, Value>>,
    /// A canary to this template is under way, and this start continues it.
    pub resumes: bool,
    pub goal: u32,
    pub(super) changes: Vec<Difference>,
    pub findings: Vec<Finding>,
    pub(super) tried: bool,
    /// Fingerprint of the template to come, but for the moment of a restart: what
    /// is confirmed is the restart, not the second in which it was planned.
    pub(super) planned: String,
}

/// The arguments that `plan` and `start` share.
pub struct StartRequest<'a> {
    pub change: &'a Change<'a>,
    pub reach: &'a ReachArgs,
    pub gates: &'a Gates,
    pub allow: &'a Allowed,
    pub run: &'a str,
}

/// Reads the set and plans the start. Does both again where the controller has
/// not seen the last change yet, such as the end of a canary a moment ago, and
/// where the set changed before the server validated the write, if only its
/// status.
pub async fn decide(
    cluster: &Cluster,
    name: &str,
    request: &StartRequest<'_>,
    validator: Option<&Cluster>,
) -> Result<(read::Reading, StartPlan), Error> {
    let mut left = MAX_READS;
    loop {
        left -= 1;
        let mut reading = read::facts(cluster, name, read::Scope::Rollout).await?;
        if !reading.facts.set.is_observed() && left > 0 {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        match plan_start(&reading.facts, request, validator, Timestamp::now()).await {
            Err(error) if error.exit == Exit::Conflict && left > 0 => {}
            start => {
                let mut start = start?;
                let (facts, gates) = (&reading.facts, request.gates);
                let missing = rights::missing(cluster, facts, gates, start.tried).await?;
                start.add(missing, request.allow);
                let goes = start.going(&reading.facts, start.goal);
                let survey = Survey::new(&reading.facts, Timestamp::now());
                let (findings, unread) = claims_now::guard(cluster, &survey, &goes).await?;
                start.add(findings, request.allow);
                reading.facts.unread.extend(unread);
                return Ok((reading, start));
            }
        }
    }
}

/// A set that changes more often than this is not at rest.
const MAX_READS: u32 = 5;
/// More than a healthy controller needs to observe a change.
const PAUSE: Duration = Duration::from_millis(300);

/// Works out what a start would do, and what speaks against it. With a cluster,
/// the server validates the change.
pub async fn plan_start(
    facts: &Facts,
    request: &StartRequest<'_>,
    cluster: Option<&Cluster>,
    now: Timestamp,
) -> Result<StartPlan, Error> {
    let survey = Survey::new(facts, now);
    let set = survey.set;
    if request.change.flags.is_empty() {
        return Err(Error::usage("no change was named").hint(
            "name one: --image CONTAINER=IMAGE, --env, --set-resources, --restart, --patch-file; \
             or --adopt what somebody else applied",
        ));
    }
    let existing = match Record::of(set) {
        Ok(record) => record,
        Err(why) => {
            let findings = vec![guards::unusable(&survey, &why)];
            return Err(refused(&format!("cannot start a canary of {}", set.name), findings));
        }
    };
    let kind = if request.change.flags.adopt { StartKind::Adopt } else { StartKind::Change };
    let mut findings = Vec::new();
    let patch = match kind {
        StartKind::Change => change_of(request, &survey, existing.as_ref(), now, &mut findings)?,
        _ => None,
    };
    let after = patch
        .as_ref()
        .map_or_else(|| set.template.raw.clone(), |patch| change::apply(&set.template.raw, patch));
    let resumes = existing.as_ref().is_some_and(|record| resumes(record, set, kind, &after));
    findings.extend(in_the_way(&survey, request, existing.as_ref(), kind, resumes));
    let is_first = existing.is_none();
    let mut record = existing.unwrap_or_else(|| {
        Record::begin(set, plan::stable_of(&survey).unwrap_or_default(), request.run, now)
    });
    if !resumes {
        let reached = match kind {
            StartKind::Adopt => plan::reached(&survey, &record.stable),
            _ => set.replicas,
        };
        record = record.rolling(set, reached, request.run);
        record.gates = request.gates.fingerprint();
        record.adopted |= kind == StartKind::Adopt;
        allowed::keep(&mut record, request.allow, request.gates);
    }
    // The same command again moves nothing further.
    let first = record.partition.min(set.replicas.saturating_sub(1));
    let goal = forward::goal(request.reach, &survey, first)?;
    if !resumes && record.partition == set.replicas {
        // One write changes the template and releases the first ordinal.
        record.partition = set.replicas.saturating_sub(1).max(goal.min(set.replicas));
    }
    let mut start = StartPlan {
        kind,
        record,
        patch,
        resumes,
        goal,
        changes: Vec::new(),
        findings,
        tried: false,
        planned: String::new(),
    };
    let mut after = after;
    if !resumes
        && !refuses(&start.findings_after(request.allow))
        && let Some(tried) = validate(&mut start, set, cluster).await?
    {
        after = tried.template.raw.clone();
    }
    start.record.template = diff::fingerprint(&after);
    start.planned = diff::fingerprint(&if request.change.flags.restart {
        change::without_restart(&after)
    } else {
        after.clone()
    });
    // A manifest has no revisions: what changes is then its own template.
    let own = (kind == StartKind::Change && is_first).then_some(&set.template.raw);
    let before = facts.revision(&start.record.stable).map(|stable| &stable.template).or(own);
    start.changes = before.map_or_else(Vec::new, |before| diff::differences(before, &after));
    let is_undone = start.findings.iter().any(|finding| finding.id == rules::UNDONE.id);
    if before.is_some() && start.changes.is_empty() && !start.resumes && !is_undone {
        start.findings.push(no_change(&survey, kind));
    }
    let stable = before.unwrap_or(&set.template.raw);
    let foreseen = foreseen(&survey, request, &start, stable, &after);
    start.add(foreseen, request.allow);
    Ok(start)
}

/// Nothing would move, and what to do instead.
fn no_change(survey: &Survey, kind: StartKind) -> Finding {
    let (set, at) = (survey.set, survey.at());
    let (message, hint) = match kind {
        StartKind::Adopt => (
            "the template is that of the stable revision: nobody has applied another one",
            format!(
                "apply the new template first; to hold the pods back until then: kubectl stateful \
                 canary stage {} {at}",
                set.name
            ),
        ),
        _ => (
            "the template would not change",
            format!(
                "name a change that the template does not have yet, or --restart for new pods of \
                 the same template; to see what it has: kubectl stateful canary history {} {at}",
                set.name
            ),
        ),
    };
    rules::NO_CHANGE.found(set.reference(), message).hint(hint)
}

/// The guards.
fn in_the_way(
    survey: &Survey,
    request: &StartRequest<'_>,
    existing: Option<&Record>,
    kind: StartKind,
    resumes: bool,
) -> Vec<Finding> {
    let set = survey.set;
    let mut found = match existing {
        // During a canary an ordinal may be unavailable.
        Some(record) if resumes => guards::for_promote(survey, record, Some(request.gates)),
        existing => guards::check(survey, existing, kind),
    };
    if kind == StartKind::Adopt && !survey.pods_known && survey.facts.unread.is_empty() {
        // A manifest: how far the rollout has come is seen in the pods alone.
        let message = "what --adopt takes over shows in the pods, and there are none in the input";
        found.push(rules::BLIND.found(set.reference(), message));
    }
    let is_rolling = existing.is_some_and(|record| record.phase == Phase::Rolling);
    if is_rolling && kind == StartKind::Change && !resumes {
        let message = "a canary to another template is under way".to_owned();
        let line = format!("kubectl stateful canary status {} {}", set.name, survey.at());
        found.push(rules::IN_PROGRESS.found(set.reference(), message).hint(line));
    }
    found
}

/// What can be known of the gates, from `stable` to the template `after`.
fn foreseen(
    survey: &Survey,
    request: &StartRequest<'_>,
    start: &StartPlan,
    stable: &Value,
    after: &Value,
) -> Vec<Finding> {
    let gates = request.gates;
    let watched = gates.bake.is_some_and(|bake| !bake.is_zero());
    let checks = gates.has_checks() || watched;
    let probes = guards::probes(survey, &survey.set.template, checks);
    let first = first_to_go(survey, &start.record).unwrap_or(start.record.partition);
    let budget = || foresight::budget(survey, first, gates);
    let blocking = || {
        let state = State::new(survey.facts, &start.record, survey.now);
        foresight::blocking_budget(&state, gates, start.goal)
    };
    let budget = if start.resumes { blocking() } else { budget() };
    probes.into_iter().chain(foresight::gates(survey, gates, stable, after)).chain(budget).collect()
}

/// The change as a patch, or a finding that says why there is none.
fn change_of(
    request: &StartRequest<'_>,
    survey: &Survey,
    existing: Option<&Record>,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) -> Result<Option<Map<String, Value>>, Error> {
    let set = survey.set;
    // A canary that was started with --restart is continued with its timestamp.
    let restarted = set
        .template
        .raw
        .pointer("/metadata/annotations/kubectl.kubernetes.io~1restartedAt")
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<Timestamp>().ok());
    let began =
        existing.filter(|record| record.phase == Phase::Rolling).map(|record| record.started);
    let moment = match (began, restarted) {
        (Some(began), Some(restarted)) if restarted.as_second() >= began.as_second() - 1 => {
            restarted
        }
        _ => now,
    };
    match request.change.patch(&set.template.raw, moment) {
        Ok(patch) => Ok(Some(patch)),
        Err(Refused::ForbiddenFields(paths)) => {
            let message = format!("the patch changes {}", paths.join(", "));
            findings.push(rules::FORBIDDEN_FIELD.found(set.reference(), message));
            Ok(None)
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Whether the request is for the canary that is under way.
fn resumes(record: &Record, set: &StatefulSet, kind: StartKind, after: &Value) -> bool {
    let same = diff::fingerprint(&set.template.raw) == record.template;
    if record.phase != Phase::Rolling {
        return false;
    }
    if kind == StartKind::Change {
        return same && diff::differences(&set.template.raw, after).is_empty();
    }
    // What somebody else has changed meanwhile is adopted, too.
    let untouched = record.on_delete || set.partition() == record.partition;
    let same_ordinals = record.first.is_none_or(|first| first == set.start);
    same && untouched && same_ordinals && set.replicas == record.replicas
}

/// Has the server validate the change: webhooks and defaults show what becomes
/// of it before anything is written.
async fn validate(
    start: &mut StartPlan,
    set: &StatefulSet,
    cluster: Option<&Cluster>,
) -> Result<Option<StatefulSet>, Error> {
    let (Some(cluster), true) = (cluster, start.patch.is_some()) else { return Ok(None) };
    match cluster.try_write(&start.write(set)).await {
        Ok(answer) => {
            start.tried = true;
            Ok(Some(read::set_of(answer)?))
        }
        Err(Failure::Invalid(rejection)) => {
            let message = rejection.status.message.clone();
            start.findings.push(rules::REJECTED.found(set.reference(), message));
            Ok(None)
        }
        // Users who may only read can still plan.
        Err(Failure::Forbidden(rejection)) => {
            let message = format!("the server would reject it: {}", rejection.status.message);
            start.findings.push(rules::REJECTED.found(set.reference(), message));
            Ok(None)
        }
        Err(failure) => Err(failure.into()),
    }
}

impl StartPlan {
    pub fn write(&self, set: &StatefulSet) -> Write {
        match &self.patch {
            Some(patch) => writes::begin(set, patch, &self.record),
            None => writes::step(set, &self.record),
        }
    }

    /// The pods from this index up that are replaced.
    pub fn going(&self, facts: &Facts, from: u32) -> Vec<String> {
        let survey = Survey::new(facts, Timestamp::now());
        // With a change of the template, all of them run an older revision.
        let is_there = self.resumes || self.kind == StartKind::Adopt;
        let target = survey.set.status.update_revision.as_deref().filter(|_| is_there);
        claims::going(&survey, from, target)
    }

    /// The index of the pod that the first write lets go; none where it takes over
    /// a rollout whose ordinals have moved already.
    pub fn first_to_go(&self, facts: &Facts) -> Option<u32> {
        first_to_go(&Survey::new(facts, Timestamp::now()), &self.record)
    }

    pub fn add(&mut self, findings: Vec<Finding>, allow: &Allowed) {
        self.findings.extend(findings);
        allow.weigh(&mut self.findings);
        self.findings.sort_by_key(|finding| finding.severity);
    }

    /// Whether nothing can make this start write: no guard that refuses it can be
    /// overridden.
    pub(super) fn is_hopeless(&self) -> bool {
        let allowable = |id: &str| rules::ALLOWABLE.iter().any(|rule| rule.id == id);
        let errors = self.findings.iter().filter(|found| found.severity == Severity::Error);
        errors.into_iter().any(|found| !allowable(found.id))
    }

    fn findings_after(&self, allowed: &Allowed) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        allowed.weigh(&mut findings);
        findings
    }
}

/// The index of the pod that the first write with this record lets go. With a gap
/// above a new pod, that is the gap.
fn first_to_go(survey: &Survey, record: &Record) -> Option<u32> {
    let stable = record.stable.as_str();
    let gap = plan::gaps(survey, stable).first().map(|(index, _)| *index);
    let gap = gap.filter(|index| record.has_released(*index));
    let index = gap.unwrap_or(record.partition);
    let pod = survey.slots.get(usize::try_from(index).ok()?)?.pod?;
    (!pod.is_terminating() && pod.revision() == Some(stable)).then_some(index)
}
