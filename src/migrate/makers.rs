//! Who makes the Deployment again after the move, and what that does: the
//! checklist of a plan, and of the end of a run. Pure.
//!
//! Nothing of ours can prevent it. A finalizer on the Deployment would leave a
//! Deployment that never goes; a label in the selector of a Service would change
//! a Service that is not ours and the pods with it, and the same manifest sets
//! it back. What does hold is that a claim has one volume: where the volume is
//! handed over, the old claim is Lost and the Deployment's pods cannot start,
//! until `finalize` deletes that claim.

use std::collections::BTreeSet;

use super::{
    journal::{Disk, Journal, SourceDeployment},
    rules,
    world::World,
};
use crate::{
    output::text::list,
    workload::{Finding, raw::deployment_mounts},
};

/// What was deleted when the Deployment comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing yet: a plan speaks of both moments.
    Planned,
    /// The set runs, and the Deployment rests at 0.
    Moved,
    /// The Deployment is deleted.
    Finished,
}

/// A finding for each Deployment that somebody is known to make again. `world` is
/// what there is now; a plan has not moved anything yet, and needs none.
pub fn checklist(journal: &Journal, world: Option<&World>, moment: Moment) -> Vec<Finding> {
    let made = journal.deployments.iter().filter(|member| !member.makers.is_empty());
    let findings = made.map(|member| {
        let makers: Vec<&str> = member.makers.iter().map(String::as_str).collect();
        let moved = while_moved(journal, world, Some(member));
        let finished = once_finished(journal);
        let then = match moment {
            Moment::Planned => format!("until finalize, {moved}; after finalize, {finished}"),
            Moment::Moved => format!("then {moved}; after finalize, {finished}"),
            Moment::Finished => format!("then {finished}"),
        };
        let message = format!(
            "Deployment {} comes back when its manifest is applied again, by {}: {then}",
            member.name,
            list(&makers)
        );
        rules::MADE_AGAIN.found(format!("deployment/{}", member.name), message).hint(format!(
            "in that manifest, replace Deployment {} and its claims with the StatefulSet",
            member.name
        ))
    });
    findings.collect()
}

/// What becomes of the Deployment when it is started before `finalize`, by a
/// manifest or by hand; none if its pods cannot start.
pub fn caution(journal: &Journal) -> Option<String> {
    let is_fenced = journal.rebinds() && !journal.disks.is_empty() && journal.kept.is_empty();
    let names: Vec<&str> = journal.deployments.iter().map(|one| one.name.as_str()).collect();
    let kinds = if names.len() == 1 { "Deployment" } else { "Deployments" };
    (!is_fenced).then(|| {
        format!(
            "if somebody applies the old manifest or scales {kinds} {} up, {}",
            list(&names),
            while_moved(journal, None, None)
        )
    })
}

/// What becomes of this Deployment, or of all, when it starts beside the set.
fn while_moved(
    journal: &Journal,
    world: Option<&World>,
    member: Option<&SourceDeployment>,
) -> String {
    let set = journal.set_name();
    // Of several Deployments each has its own claims.
    let mounts: Option<BTreeSet<&str>> =
        member.filter(|_| journal.deployments.len() > 1).map(|member| {
            deployment_mounts(&member.object).into_iter().map(|(_, claim)| claim).collect()
        });
    let is_own = |claim: &str| mounts.as_ref().is_none_or(|mounts| mounts.contains(claim));
    // Pods that shared a claim have one each then, and the old one is the same.
    let mut seen = BTreeSet::new();
    let disks = || journal.disks.iter().filter(|disk| is_own(&disk.old.name));
    let old = disks().map(|disk: &Disk| disk.old.name.as_str());
    let old: Vec<&str> = old.filter(|claim| seen.insert(*claim)).collect();
    let kept: Vec<&str> =
        journal.kept.iter().map(String::as_str).filter(|claim| is_own(claim)).collect();
    if !kept.is_empty() {
        return format!("it starts beside StatefulSet {set}, on the same {}", list(&kept));
    }
    if old.is_empty() {
        return format!("it starts beside StatefulSet {set}, behind the same Services");
    }
    if journal.fills() {
        return format!(
            "it starts beside StatefulSet {set} on {}, behind the same Services: two applications \
             whose data differs",
            list(&old)
        );
    }
    // A claim that is Lost holds the pods back; one that is gone does not.
    let gone = |disk: &&Disk| world.is_some_and(|world| world.old_claim(disk).is_none());
    let gone: BTreeSet<&str> = disks().filter(gone).map(|disk| disk.old.name.as_str()).collect();
    if gone.len() == old.len() {
        let gone: Vec<&str> = gone.into_iter().collect();
        let (are, volumes) =
            if gone.len() == 1 { ("is", "an empty volume") } else { ("are", "empty volumes") };
        return format!(
            "nothing holds its pods back: {} {are} gone; if the manifest makes that again, it runs \
             beside StatefulSet {set} on {volumes}, behind the same Services",
            list(&gone)
        );
    }
    let old: Vec<&str> = old.into_iter().filter(|claim| !gone.contains(claim)).collect();
    let lost = if old.len() == 1 { "has lost its volume" } else { "have lost their volumes" };
    format!("its pods wait for {}, which {lost} to StatefulSet {set}", list(&old))
}

fn once_finished(journal: &Journal) -> String {
    let set = journal.set_name();
    let disks = if !journal.kept.is_empty() {
        "on the same claims"
    } else if journal.disks.is_empty() {
        "again"
    } else if journal.fills() {
        "on its old claims, as long as they are kept"
    } else {
        "on new, empty volumes"
    };
    format!("it runs beside StatefulSet {set} {disks}, behind the same Services")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::migrate::{
        convert::makers,
        journal::{Held, Mode},
    };

    fn deployment(metadata: &Value) -> Value {
        let mut object = json!({"kind": "Deployment", "metadata": {"name": "db"}});
        for (key, value) in metadata.as_object().expect("an object") {
            object["metadata"][key] = value.clone();
        }
        object
    }

    #[test]
    fn who_makes_it_again_is_read_from_the_object() {
        let applied = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
        let fields = |manager: &str, operation: &str| json!({"managedFields": [{"manager": manager, "operation": operation}]});
        for (metadata, wanted) in [
            (json!({}), &[][..]),
            (fields("kubectl-create", "Update"), &[]),
            (fields("kubectl-stateful", "Apply"), &[]),
            (json!({"annotations": applied}), &["kubectl apply"]),
            (fields("kubectl", "Apply"), &["kubectl apply"]),
            (fields("terraform", "Apply"), &["terraform (server-side apply)"]),
            (json!({"annotations": {"meta.helm.sh/release-name": "x"}}), &["Helm"]),
            (json!({"labels": {"argocd.argoproj.io/instance": "x"}}), &["Argo CD"]),
            (
                json!({
                    "ownerReferences": [{"kind": "Database", "name": "db"}],
                    "annotations": {"kustomize.toolkit.fluxcd.io/ssa": "x"},
                }),
                &["Database db", "Flux"],
            ),
        ] {
            assert_eq!(makers(&deployment(&metadata)), wanted, "{metadata}");
        }
    }

    fn journal(mode: Mode, old: &[&str], kept: &[&str]) -> Journal {
        let set = json!({"metadata": {"name": "db"}});
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut journal = Journal::begin("op".to_owned(), "shop".to_owned(), set, now);
        journal.mode = mode;
        journal.kept = kept.iter().map(|name| (*name).to_owned()).collect();
        journal.deployments.push(SourceDeployment {
            name: "app".to_owned(),
            uid: String::new(),
            generation: 1,
            replicas: 1,
            object: json!({}),
            makers: vec!["kubectl apply".to_owned()],
        });
        let held = |name: &str| Held { name: name.to_owned(), uid: String::new() };
        journal.disks.extend(old.iter().map(|name| Disk {
            volume: "data".to_owned(),
            template: "data".to_owned(),
            old: held(name),
            new: "data-db-0".to_owned(),
            claim: json!({}),
            pv: held("pv"),
            policy: "Delete".to_owned(),
            bound_by_controller: false,
            object: json!({}),
            waits_for_pod: false,
            snapshot: None,
            blank: None,
        }));
        journal
    }

    #[test]
    fn a_claim_that_is_gone_holds_no_pod_back() {
        let said = |journal: &Journal, claims: &[&str]| {
            let claim = |name: &&str| ((*name).to_owned(), json!({"metadata": {"name": name}}));
            let world = World { claims: claims.iter().map(claim).collect(), ..World::default() };
            // The uid of a claim in the journal of these tests is empty.
            checklist(journal, Some(&world), Moment::Moved)[0].message.clone()
        };
        let one = journal(Mode::Rebind, &["old"], &[]);
        let waits = said(&one, &["old"]);
        assert!(waits.contains("its pods wait for old, which has lost its volume"), "{waits}");
        let runs = said(&one, &[]);
        assert!(runs.contains("old is gone; if the manifest makes that again, it runs"), "{runs}");
        assert!(runs.contains("on an empty volume") && !runs.contains("wait for"), "{runs}");
        let two = journal(Mode::Rebind, &["old", "logs"], &[]);
        let waits = said(&two, &["logs"]);
        assert!(waits.contains("its pods wait for logs, which has lost its volume"), "{waits}");
    }

    /// It named the claims of the others, too.
    #[test]
    fn each_of_several_deployments_waits_for_its_own_claim() {
        let mut several = journal(Mode::Rebind, &["a-disk", "b-disk"], &[]);
        several.deployments.push(several.deployments[0].clone());
        for (member, claim) in several.deployments.iter_mut().zip(["a-disk", "b-disk"]) {
            member.object = json!({"spec": {"template": {"spec": {"volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": claim}},
            ]}}}});
        }
        let found = checklist(&several, None, Moment::Moved);
        for (finding, (own, other)) in
            found.iter().zip([("a-disk", "b-disk"), ("b-disk", "a-disk")])
        {
            let said = &finding.message;
            assert!(said.contains(&format!("wait for {own}, which has lost")), "{said}");
            assert!(!said.contains(other), "{said}");
        }
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn the_checklist_says_what_would_run_on_which_disk() {
        let said = |journal: &Journal, moment| {
            let found = checklist(journal, None, moment);
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].message.clone()
        };
        let rebind = journal(Mode::Rebind, &["old"], &[]);
        let planned = said(&rebind, Moment::Planned);
        assert!(planned.contains("by kubectl apply: until finalize, its pods wait for old"));
        assert!(
            planned.contains("after finalize, it runs beside StatefulSet db on new, empty volumes"),
            "{planned}"
        );
        let copy = journal(Mode::Copy, &["old"], &[]);
        for moment in [Moment::Planned, Moment::Moved] {
            let said = said(&copy, moment);
            assert!(said.contains("it starts beside StatefulSet db on old, behind"), "{said}");
        }
        // One claim for each of three pods.
        let shared = said(&journal(Mode::Copy, &["old", "old", "old"], &[]), Moment::Moved);
        assert!(shared.contains("beside StatefulSet db on old, behind"), "{shared}");
        let finished = said(&copy, Moment::Finished);
        assert!(finished.contains("on its old claims, as long as they are kept"), "{finished}");
        let keep = journal(Mode::Keep, &[], &["shared"]);
        assert!(said(&keep, Moment::Moved).contains("on the same shared"));
        assert!(said(&journal(Mode::Rebind, &[], &[]), Moment::Moved).contains("starts beside"));
        let mut unknown = rebind;
        unknown.deployments[0].makers.clear();
        assert_eq!(checklist(&unknown, None, Moment::Planned), Vec::new());
        // Whoever it may be: in these modes nothing holds it.
        let said = caution(&copy).expect("it is said");
        assert!(said.contains("scales Deployment app up, it starts beside"), "{said}");
        assert!(caution(&keep).is_some() && caution(&unknown).is_none());
    }
}
