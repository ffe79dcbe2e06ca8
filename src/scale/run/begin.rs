//! What is to be done, and what speaks against it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    cluster::{
        Cluster, Resource,
        moving::{Right, missing_rights},
        scaling,
    },
    output::Error,
    scale::{
        args::ScaleArgs,
        guards,
        plan::Terms,
        preview::{Fate, Preview, Wish},
        record::Record,
        rules,
    },
    steps,
    workload::{Facts, Finding, PodManagement, StatefulSet, Survey},
};

/// What a run is going to do.
pub struct Begun {
    /// The record that is on the set, of whatever scaling.
    pub found: Option<Record>,
    /// The scaling that is there already, to be gone on with.
    pub record: Option<Record>,
    pub wish: Wish,
    pub terms: Terms,
    pub preview: Preview,
    pub findings: Vec<Finding>,
}

/// Reads what the set alone does not say, and decides.
///
/// # Errors
/// When the words do not fit the set, or the server fails.
pub async fn decide(
    args: &ScaleArgs,
    cluster: &Cluster,
    facts: &Facts,
    now: Timestamp,
) -> Result<Begun, Error> {
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
    // Somebody else has scaled since: that one is over, and this begins anew.
    let record = found.clone().filter(|record| record.at == set.replicas);
    let wish = Wish {
        to: goal(args, set, record.as_ref())?,
        retain: args.retain,
        snapshot: args.snapshot.clone(),
        fresh: args.fresh,
    };
    words(args, &wish, set, record.as_ref())?;
    let preview = Preview::new(&survey, &wish);
    let mut findings = guards::check(&survey, &preview, &wish, record.as_ref());
    if let Some(class) = &wish.snapshot {
        let found = scaling::snapshots(cluster).await?;
        guards::snapshots(&survey, &preview, &found, class, &mut findings);
    }
    if set.replicas != wish.to || record.is_some() {
        for right in missing_rights(cluster, &rights(args, &preview)).await? {
            let message = format!("the user may not {right}");
            findings.push(rules::NO_RIGHTS.found(set.reference(), message));
        }
    }
    guards::allow(&mut findings, &survey, &args.allow);
    findings.sort_by_key(|finding| finding.severity);
    let allowed = |id: &str| args.allow.iter().any(|allowed| allowed.eq_ignore_ascii_case(id));
    let terms = Terms {
        timeout: lasting(args.timeout).filter(|timeout| !timeout.is_zero()),
        settle: lasting(args.settle).unwrap_or(SignedDuration::MAX),
        before: args.hooks.has_before(),
        after: args.hooks.has_after(),
        snapshots: wish.snapshot.is_some(),
        fresh: wish.fresh,
        unhealthy: allowed(rules::MEMBER_UNHEALTHY.id)
            && set.pod_management == PodManagement::Parallel,
        clears: allowed(rules::TWO_BROKEN.id),
    };
    Ok(Begun { found, record, wish, terms, preview, findings })
}

fn lasting(duration: Duration) -> Option<SignedDuration> {
    SignedDuration::try_from(duration).ok()
}

/// The replicas in the end. `--by` counts from where an earlier run of the same
/// words began.
fn goal(args: &ScaleArgs, set: &StatefulSet, record: Option<&Record>) -> Result<u32, Error> {
    let from = record.map_or(set.replicas, |record| record.from);
    match (args.replicas, args.by) {
        (Some(replicas), _) => Ok(replicas),
        (None, Some(by)) => u32::try_from(i64::from(from).saturating_add(by)).map_err(|_| {
            Error::usage(format!("{} has {from} replicas: {by} is too many", set.name))
        }),
        // clap does not let it come to this.
        (None, None) => Err(Error::usage("say --replicas or --by")),
    }
}

/// Flags that mean nothing on this way are a mistake, and are not passed over.
fn words(
    args: &ScaleArgs,
    wish: &Wish,
    set: &StatefulSet,
    record: Option<&Record>,
) -> Result<(), Error> {
    let from = record.map_or(set.replicas, |record| record.from);
    let no = |flag: &str, why: &str| Err(Error::usage(format!("{flag} {why}")));
    if wish.to >= from {
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
    if wish.to <= from && args.fresh {
        return no("--fresh", "is for ordinals that come, and none does");
    }
    if args.hooks.on_abort.is_some() && !args.hooks.has_before() {
        return no("--on-abort", "undoes a hook before an ordinal, and there is none");
    }
    let guards = rules::ALLOWABLE.iter().map(|rule| rule.id);
    for id in &args.allow {
        if !guards.clone().any(|known| known.eq_ignore_ascii_case(id)) {
            return Err(Error::usage(format!(
                "--allow {id}: no guard of that id can be overridden"
            ))
            .hint(guards.collect::<Vec<_>>().join(", ")));
        }
    }
    Ok(())
}

/// What will be wanted half way.
fn rights(args: &ScaleArgs, preview: &Preview) -> Vec<Right> {
    let right = |verb, resource| Right { verb, resource, subresource: "" };
    let mut all = vec![right("patch", Resource::STATEFUL_SET)];
    if args.hooks.before_exec.is_some() {
        all.push(Right { verb: "create", resource: Resource::POD, subresource: "exec" });
    }
    if args.hooks.before_http.is_some() {
        all.push(Right { verb: "create", resource: Resource::POD, subresource: "proxy" });
    }
    if args.snapshot.is_some() {
        all.push(right("create", Resource::SNAPSHOT));
        all.push(right("get", Resource::SNAPSHOT));
    }
    if !preview.claims_of(Fate::SetAside).is_empty() {
        all.extend(["create", "patch", "delete"].map(|verb| right(verb, Resource::CLAIM)));
        all.push(right("patch", Resource::VOLUME));
    }
    all
}
