//! What a scaling would do, and what speaks against it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::rights::{self, Withheld};
use crate::{
    cluster::{Cluster, Resource, claims::Claims, read, snapshots},
    output::Error,
    scale::{
        args::ScaleArgs,
        fresh::{self, Names},
        guards,
        plan::Terms,
        preview::{Fate, Preview, ScaleRequest},
        record::Record,
        report::AsideView,
        rest, rules,
    },
    steps,
    workload::{Allowed, Facts, Finding, Pod, PodManagement, StatefulSet, Survey, refuses},
};

/// What a scaling would do.
pub struct ScalePlan {
    /// The record on the set, of any scaling.
    pub found: Option<Record>,
    /// The record with which this scaling goes on, where it continues that one
    /// or takes it back.
    pub record: Option<Record>,
    pub request: ScaleRequest,
    pub terms: Terms,
    pub preview: Preview,
    /// The claims with which an earlier run has begun, and that are finished
    /// first.
    pub begun: Vec<Names>,
    /// The claims that earlier runs of the scaling have set aside.
    pub set_aside: Vec<Names>,
    pub findings: Vec<Finding>,
}

/// Reads snapshots and rights, and plans the scaling.
///
/// # Errors
/// When the flags do not fit the set, or the server fails.
pub async fn decide(
    args: &ScaleArgs,
    allowed: Allowed,
    cluster: &Cluster,
    facts: &Facts,
    now: Timestamp,
) -> Result<ScalePlan, Error> {
    let survey = Survey::new(facts, now);
    let set = &facts.set;
    let found = match Record::of(set) {
        Ok(record) => record,
        Err(why) => {
            let finding = guards::unusable(&survey, &why);
            let what = format!("cannot scale {}", set.name);
            return Err(steps::refused(&what, &[finding], rules::ALLOWABLE));
        }
    };
    // Where somebody else has scaled since, that scaling is over.
    let record = found.clone().filter(|record| record.at == set.replicas);
    let record = record.map(|record| if args.abort { record.abort() } else { record });
    let request = requested(args, set, record.as_ref())?;
    let mut preview = Preview::new(&survey, &request);
    let mut findings = Vec::new();
    let (begun, pods) =
        around(cluster, &survey, &request, record.as_ref(), &mut preview, &mut findings).await?;
    findings.extend(guards::check(&survey, &preview, &request, record.as_ref(), &pods));
    findings.extend(guards::hooks(&survey, &preview, &args.hooks));
    let nodes = if guards::depends_on_nodes(&survey, &preview) {
        let nodes = cluster.list_if_allowed::<Value>(&Resource::NODE.everywhere()).await?;
        nodes.keep(&mut Vec::new())
    } else {
        Some(Vec::new())
    };
    findings.extend(guards::free_volumes(&survey, &preview, nodes.as_deref()));
    if let Some(class) = &request.snapshot {
        let found = snapshots::snapshots(cluster).await?;
        guards::snapshots(&survey, &preview, &found, class, &mut findings);
    }
    let set_aside = found.as_ref().map(|record| fresh::of_record(facts, record));
    let set_aside = set_aside.unwrap_or_default();
    if args.abort {
        let claims = facts.claims.as_deref().unwrap_or_default();
        let views = set_aside.iter().filter_map(|names| AsideView::of(names, claims));
        findings.extend(views.map(|view| view.stays()));
    }
    let terms = terms(args, &request, &allowed);
    preview.rest.extend(rest::of_record(set, found.as_ref(), record.as_ref(), &terms));
    if !preview.is_empty() {
        // First: without them nothing else that is said to do helps.
        findings.splice(0..0, rights::missing(cluster, set, args).await?);
    }
    if !preview.claims_of(Fate::Mounted).is_empty() {
        findings.extend(rights::unseen_attachments(cluster, set).await?);
    }
    // Allowing this has no effect under OrderedReady: the controller waits.
    let allowed = match set.pod_management {
        PodManagement::OrderedReady => allowed.without(&rules::MEMBER_UNHEALTHY),
        PodManagement::Parallel => allowed,
    };
    allowed.weigh(&mut findings);
    findings.sort_by_key(|finding| finding.severity);
    Withheld::ask(cluster, rights::lines(&findings)).await?.from(&mut findings);
    let terms = Terms { unhealthy: allowed.contains(&rules::MEMBER_UNHEALTHY), ..terms };
    Ok(ScalePlan { found, record, request, terms, preview, begun, set_aside, findings })
}

/// What is asked for, as far as it concerns the ordinals that leave or come.
fn requested(
    args: &ScaleArgs,
    set: &StatefulSet,
    record: Option<&Record>,
) -> Result<ScaleRequest, Error> {
    let to = goal(args, set, record)?;
    let from = record.map_or(set.replicas, |record| record.from);
    check_flags(args, from, to)?;
    Ok(ScaleRequest {
        to,
        retain: args.retain && to < from,
        snapshot: args.snapshot.clone().filter(|_| to < from),
        fresh: args.fresh,
        aborts: args.abort,
    })
}

/// Reads what is around the names and claims of ordinals that come, and what earlier
/// runs have left: the claims to finish first, and the pods that have such a name, or all
/// of the namespace where a claim of before is in the way.
async fn around(
    cluster: &Cluster,
    survey: &Survey<'_>,
    request: &ScaleRequest,
    record: Option<&Record>,
    preview: &mut Preview,
    findings: &mut Vec<Finding>,
) -> Result<(Vec<Names>, Vec<Pod>), Error> {
    let (facts, set) = (survey.facts, survey.set);
    let begun = fresh::begun(facts);
    if begun.is_empty() && preview.claims_of(Fate::SetAside).is_empty() {
        let mut names = guards::names_wanted(survey, preview, record);
        names.extend(guards::names_left(survey, record));
        let pods = if !survey.pods_known {
            // Refused for that already.
            Vec::new()
        } else if preview.claims_of(Fate::Mounted).is_empty() {
            read::pods_called(cluster, &names).await?
        } else {
            read::pods(cluster).await?
        };
        return Ok((begun, pods));
    }
    let lacking = rights::missing_to_set_aside(cluster, set).await?;
    let is_refused = refuses(&lacking);
    findings.extend(lacking);
    if is_refused {
        return Ok((begun, Vec::new()));
    }
    let begin = || Record::begin(set, request.to, "", survey.now);
    let record = record.cloned().unwrap_or_else(begin);
    let coming = preview.items.iter().flat_map(|item| fresh::names(set, &record, item.ordinal));
    let coming: Vec<Names> = coming.filter(|_| request.fresh).collect();
    let (claims, volumes) = fresh::wanted(begun.iter().chain(&coming));
    let world = Claims::read(cluster, &set.namespace, &claims, &volumes).await?;
    let pods = world.pods.clone();
    let (begun, more) = fresh::judge(set, world, begun, &coming, request.fresh, preview);
    findings.extend(more);
    Ok((begun, pods))
}

fn terms(args: &ScaleArgs, request: &ScaleRequest, allowed: &Allowed) -> Terms {
    Terms {
        timeout: signed(args.timeout.longest).filter(|timeout| !timeout.is_zero()),
        settle: signed(args.settle).unwrap_or(SignedDuration::MAX),
        before: args.hooks.has_before(),
        after: args.hooks.has_after(),
        snapshots: request.snapshot.is_some(),
        fresh: request.fresh,
        unhealthy: false,
        clears: allowed.contains(&rules::TWO_BROKEN),
        shares: allowed.contains(&rules::CLAIM_IN_USE),
    }
}

fn signed(duration: Duration) -> Option<SignedDuration> {
    SignedDuration::try_from(duration).ok()
}

/// The replicas in the end. `--by` counts from where an earlier run of the same
/// command began; `--abort` of nothing changes nothing.
fn goal(args: &ScaleArgs, set: &StatefulSet, record: Option<&Record>) -> Result<u32, Error> {
    let from = record.map_or(set.replicas, |record| record.from);
    let to = match (args.replicas, args.by) {
        (Some(replicas), _) => replicas,
        (None, Some(by)) => u32::try_from(i64::from(from).saturating_add(by)).map_err(|_| {
            Error::usage(format!("{} has {from} replicas: {by} is too many", set.name))
        })?,
        (None, None) => record.map_or(set.replicas, |record| record.to),
    };
    let steps = to.abs_diff(set.replicas);
    if steps > MOST_STEPS {
        return Err(Error::usage(format!(
            "scaling from {} to {to} replicas changes {steps} ordinals; the limit is {MOST_STEPS} in \
             one run",
            set.replicas
        )));
    }
    Ok(to)
}

/// How many ordinals one run may change. The plan has a line for each, so a number that
/// was mistyped must not fill the memory.
const MOST_STEPS: u32 = 10_000;

/// Refuses flags that have no effect in this direction. Where nothing is left to
/// do, they are those of a command that has done its work.
fn check_flags(args: &ScaleArgs, from: u32, to: u32) -> Result<(), Error> {
    let no = |flag: &str, why: &str| Err(Error::usage(format!("{flag} {why}")));
    if to > from {
        let only_down = "is for ordinals that leave, and none does";
        if args.retain {
            return no("--retain", only_down);
        }
        if args.snapshot.is_some() {
            return no("--snapshot", only_down);
        }
        if args.hooks.before_exec.is_some() {
            return no("--before-exec", only_down);
        }
        if args.hooks.before_http.is_some() {
            return no("--before-http", only_down);
        }
    }
    if to < from && args.fresh {
        return no("--fresh", "is for ordinals that come, and none does");
    }
    if args.hooks.on_abort.is_some() && !args.hooks.has_before() {
        return no("--on-abort", "undoes a hook before an ordinal, and there is none");
    }
    Ok(())
}
