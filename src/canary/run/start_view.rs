//! The plan of a start as it is shown, and the hash that stands for it.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    forward,
    start_plan::{StartPlan, StartRequest},
};
use crate::{
    canary::{
        diff,
        gates::values::Span,
        guards::StartKind,
        report::{PlanView, PlannedClass, PlannedOrdinal},
        rules,
    },
    cluster::Mode,
    workload::{Facts, Severity, StatefulSet, Survey},
};

/// The plan as a view.
pub fn view(facts: &Facts, start: &StartPlan, request: &StartRequest<'_>) -> PlanView {
    let set = &facts.set;
    let survey = Survey::new(facts, Timestamp::now());
    let stable = Some(start.record.stable.as_str()).filter(|stable| !stable.is_empty());
    let terms = forward::terms(request.gates, &survey, start.goal, request.allow);
    // Pods can have moved only to a template that is there already. Those of a
    // canary before it move once more.
    let is_there = diff::fingerprint(&set.template.raw) == start.record.template;
    let target = set.status.update_revision.as_deref();
    let target = target.filter(|target| is_there && set.is_observed() && stable != Some(target));
    // Nothing moves to a template that would be the same.
    let is_same = start.findings.iter().any(|finding| finding.id == rules::NO_CHANGE.id);
    // What somebody else has begun shows in the pods alone.
    let is_known = survey.pods_known || start.kind == StartKind::Change;
    let items = survey.indexes().rev().filter(|_| is_known).map(|(index, slot)| {
        let revision = slot.pod.and_then(|pod| pod.revision());
        let has_moved = revision.is_some() && revision == target;
        let class = match (index >= start.goal && !is_same, has_moved) {
            (_, true) => PlannedClass::Moved,
            (true, false) => PlannedClass::Moves,
            (false, false) => PlannedClass::Stays,
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
    let write = (!start.resumes && !start.is_hopeless()).then(|| start.write(set));
    PlanView {
        namespace: set.namespace.clone(),
        name: set.name.clone(),
        uid: set.uid.clone(),
        replicas: set.replicas,
        start_ordinal: set.start,
        stable: stable.map(str::to_owned),
        changes: start.changes.clone(),
        items: items.collect(),
        gates: request.gates.summary(Span(Duration::try_from(terms.bake).unwrap_or_default())),
        write: write.as_ref().map(|write| write.done(Mode::ClientDryRun).replace(" (dry run)", "")),
        kubectl: write.as_ref().map(|write| write.as_kubectl(Mode::ClientDryRun, &[])),
        hash: hash(set, start, request),
        tried: start.tried,
        command: String::new(),
        unread: facts.unread.clone(),
    }
}

/// Changes with the state of the set and with the request.
fn hash(set: &StatefulSet, start: &StartPlan, request: &StartRequest<'_>) -> String {
    let StartPlan { record, goal, findings, planned, .. } = start;
    // A start is not asked about what an abort overwrites.
    let asked = rules::ALLOWABLE.iter().filter(|rule| rule.id != rules::OVERWRITES.id);
    let allowed = asked.filter(|rule| request.allow.contains(rule));
    let allowed: Vec<&str> = allowed.map(|rule| rule.id).collect();
    let ids: Vec<(&str, Severity)> =
        findings.iter().map(|finding| (finding.id, finding.severity)).collect();
    let made_from = serde_json::json!([
        set.uid,
        set.generation,
        diff::fingerprint(&set.template.raw),
        planned,
        request.change.flags.restart,
        record.stable,
        record.partition,
        goal,
        request.gates.fingerprint(),
        start.kind == StartKind::Adopt,
        format!("{ids:?}"),
        allowed,
    ]);
    diff::fingerprint(&made_from).chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::{super::start_plan::plan_start, *};
    use crate::{canary::args::PlanArgs, manifests::Bundle, output::Error};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        plan: PlanArgs,
    }

    /// The plan of a manifest, made at a second of the epoch.
    async fn planned(words: &[&str], second: i64) -> PlanView {
        let args = Cli::try_parse_from(["plan", "web"].iter().chain(words)).expect("words").plan;
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
            "spec": {
                "replicas": 3, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "nginx", "image": "nginx:1.21"}]},
                },
            },
        });
        let mut bundle = Bundle::default();
        bundle.add(set).expect("a set");
        let facts = bundle.facts("web", None).expect("facts");
        let change = args.change.read(|_| Err(Error::usage("no file"))).expect("a change");
        let gates = args.gates.resolve(|_| Err(Error::usage("no file"))).expect("gates");
        let allow = args.allow.among(rules::ALLOWABLE).expect("ids");
        let (change, reach, gates, allow) = (&change, &args.reach, &gates, &allow);
        let request = StartRequest { change, reach, gates, allow, run: "" };
        let now = Timestamp::from_second(second).expect("a time");
        let start = plan_start(&facts, &request, None, now).await.expect("a plan");
        view(&facts, &start, &request)
    }

    /// Whoever confirms a restart confirms it a while after it was planned.
    #[tokio::test]
    async fn a_restart_can_be_confirmed_later() {
        let [first, later] = [planned(&["--restart"], 0).await, planned(&["--restart"], 90).await];
        assert_ne!(first.changes, later.changes, "the moment is in the template");
        assert_eq!(first.hash, later.hash);
        let image = planned(&["--restart", "--image", "nginx:1.22"], 0).await;
        assert_ne!(image.hash, first.hash);
        assert_ne!(image.hash, planned(&["--image", "nginx:1.22"], 0).await.hash);
    }

    /// Whatever changes what is done is in the hash.
    #[tokio::test]
    async fn the_hash_covers_every_flag() {
        let image = ["--image", "nginx:1.22"];
        let mut seen = vec![planned(&image, 0).await.hash];
        for more in [
            "--count=2",
            "--bake=1m",
            "--before=drain",
            "--after=check",
            "--gate-exec=true",
            "--no-budgets",
            "--pause-between",
            "--on-failure=abort",
            "--deadline=1m",
            "--allow=CANARY-UNHEALTHY",
        ] {
            let hash = planned(&[&image[..], &[more]].concat(), 0).await.hash;
            assert!(!seen.contains(&hash), "{more}");
            seen.push(hash);
        }
    }

    #[tokio::test]
    async fn a_plan_without_a_change_has_no_write() {
        let plan = planned(&["--image", "nginx:1.21"], 0).await;
        assert_eq!((plan.write, plan.kubectl), (None, None));
        assert!(planned(&["--image", "nginx:1.22"], 0).await.write.is_some());
    }
}
