//! What speaks against a scaling before anything is written. Pure.

use super::{
    plan::broken,
    preview::{self, Fate, Preview, Way, Wish},
    record::{Record, Unusable},
    rules,
};
use crate::{
    output::text::{age, list},
    workload::{
        Budget, Finding, MIGRATION_MARK, Manager, ManagerKind, PodManagement, Retention, Severity,
        Snapshots, Survey, managers,
    },
};

/// Sets the severity that remains after `--allow`: what was allowed is still
/// said, as a warning.
pub fn allow(findings: &mut [Finding], survey: &Survey, allowed: &[String]) {
    let ordered = survey.set.pod_management == PodManagement::OrderedReady;
    for finding in findings.iter_mut().filter(|finding| finding.severity == Severity::Error) {
        let may = rules::ALLOWABLE.iter().any(|rule| rule.id == finding.id);
        // What the controller does not do, nobody can allow.
        let in_vain = ordered && finding.id == rules::MEMBER_UNHEALTHY.id;
        if may && !in_vain && allowed.iter().any(|id| id.eq_ignore_ascii_case(finding.id)) {
            finding.severity = Severity::Warning;
        }
    }
}

/// Whether something says no.
pub fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Everything that speaks against it, the weightiest first. `record` is the
/// scaling that is there already.
pub fn check(
    survey: &Survey,
    preview: &Preview,
    wish: &Wish,
    record: Option<&Record>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    unread(survey, &mut found);
    under_way(survey, wish, record, &mut found);
    if wish.to < survey.set.replicas {
        data(survey, preview, wish, &mut found);
        leaving(survey, wish, &mut found);
        numbers(survey, wish, &mut found);
    } else if wish.to > survey.set.replicas {
        coming(survey, preview, wish, record, &mut found);
    }
    if wish.to != survey.set.replicas {
        state(survey, wish, &mut found);
        others(survey, &mut found);
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// An annotation that cannot be used.
pub fn unusable(survey: &Survey, why: &Unusable) -> Finding {
    let set = survey.set;
    let message = match why {
        Unusable::Unreadable(why) => format!("the annotation of a scaling cannot be read: {why}"),
        Unusable::OfAnotherSet => {
            "the annotation of a scaling belongs to a set of this name that was deleted".to_owned()
        }
    };
    rules::RECORD_UNUSABLE.found(set.reference(), message).hint(take_off(survey))
}

fn take_off(survey: &Survey) -> String {
    let key = super::record::ANNOTATION;
    format!("kubectl annotate sts {} {key}- {}", survey.set.name, survey.at())
}

fn unread(survey: &Survey, found: &mut Vec<Finding>) {
    for unread in &survey.facts.unread {
        let message = format!("{} could not be read: {}", unread.resource, unread.why);
        let vital = ["pods", "persistentvolumeclaims"].contains(&unread.resource.as_str());
        let rule = match unread.resource.as_str() {
            _ if vital => &rules::BLIND,
            // Without the volumes their fate is unknown, which has its own id;
            // events and classes only say more than would be said without.
            "persistentvolumes" | "events" | "storageclasses.storage.k8s.io" => continue,
            _ => &rules::UNREAD,
        };
        found.push(rule.found(survey.set.reference(), message));
    }
}

/// What is under way on the set.
fn under_way(survey: &Survey, wish: &Wish, record: Option<&Record>, found: &mut Vec<Finding>) {
    let set = survey.set;
    if set.deleting.is_some() {
        let message = format!("{} is being deleted", set.name);
        found.push(rules::BEING_DELETED.found(set.reference(), message));
    }
    if set.has_canary() {
        let hint = format!("kubectl stateful canary status {} {}", set.name, survey.at());
        let message = format!("a canary is under way on {}", set.name);
        found.push(rules::CANARY.found(set.reference(), message).hint(hint));
    }
    if set.labels.contains_key(MIGRATION_MARK) {
        let hint = format!("kubectl stateful migrate status sts/{} {}", set.name, survey.at());
        let message = format!("{} belongs to a migration that is under way", set.name);
        found.push(rules::MIGRATION.found(set.reference(), message).hint(hint));
    }
    if let Some(record) = record.filter(|record| record.to != wish.to) {
        let message = format!(
            "{} has begun to scale {} from {} to {}, and it is at {}",
            record.run, set.name, record.from, record.to, set.replicas
        );
        let hint = format!(
            "kubectl stateful scale {} --replicas {} {}; or, when nobody is at it any more: {}",
            set.name,
            record.to,
            survey.at(),
            take_off(survey)
        );
        found.push(rules::OTHER_GOAL.found(set.reference(), message).hint(hint));
    }
}

/// What is lost.
fn data(survey: &Survey, preview: &Preview, wish: &Wish, found: &mut Vec<Finding>) {
    let set = survey.set;
    let keep = || {
        format!(
            "kubectl stateful scale {} --replicas {} --retain {}",
            set.name,
            wish.to,
            survey.at()
        )
    };
    for (item, disk) in preview.disks() {
        let volume = disk.volume.as_deref().unwrap_or("<none>");
        let on = format!("persistentvolumeclaim/{}", disk.claim);
        match disk.fate {
            Fate::Destroyed => {
                let message = format!(
                    "claim {} is deleted with {} by the garbage collector, and volume {volume} \
                     with all data on it by {}",
                    disk.claim,
                    item.name,
                    preview::destroyer(survey, disk)
                );
                found.push(rules::DESTROYS_DATA.found(on, message).hint(keep()));
            }
            Fate::Unknown => {
                let message = format!(
                    "claim {} is deleted with {}, and what becomes of volume {volume} is not known",
                    disk.claim, item.name
                );
                found.push(rules::DESTROYS_DATA.found(on, message).hint(keep()));
            }
            Fate::ClaimGoes => {
                let message = format!(
                    "claim {} is deleted with {}; volume {volume} is kept, Released",
                    disk.claim, item.name
                );
                found.push(rules::CLAIM_GOES.found(on, message).hint(keep()));
            }
            _ => {}
        }
    }
    if wish.snapshot.is_some() && set.when_scaled == Retention::Delete && !wish.retain {
        let message =
            "whenScaled is Delete: the claim goes with the pod, before its snapshot".to_owned();
        found.push(rules::SNAPSHOT_NEEDS_CLAIM.found(set.reference(), message).hint(keep()));
    }
}

/// Whether snapshots of what leaves can be taken by this class.
pub fn snapshots(
    survey: &Survey,
    preview: &Preview,
    offered: &Snapshots,
    class: &str,
    found: &mut Vec<Finding>,
) {
    let on = survey.set.reference();
    let class = match offered.named(class) {
        Ok(Some(class)) => class,
        // Nothing of it can be known before, and a wait for one shows it.
        Ok(None) => return,
        Err(why) => return found.push(rules::NO_SNAPSHOTS.found(on, why)),
    };
    if class.deletes {
        let message = format!(
            "class {} deletes what a snapshot holds when its VolumeSnapshot is deleted",
            class.name
        );
        found.push(rules::SNAPSHOT_DELETES.found(on, message));
    }
    let leave = preview.disks().filter(|(item, _)| item.class == Way::Leaves);
    for volume in leave.filter_map(|(_, disk)| survey.facts.volume(disk.volume.as_deref()?)) {
        if let Err(why) = class.takes(&volume.name, volume.driver.as_deref()) {
            let on = format!("persistentvolume/{}", volume.name);
            found.push(rules::NO_SNAPSHOTS.found(on, why));
        }
    }
}

/// The ordinals that leave, where one of them is broken.
fn leaving(survey: &Survey, wish: &Wish, found: &mut Vec<Finding>) {
    let set = survey.set;
    if set.pod_management != PodManagement::OrderedReady {
        return;
    }
    let broken = broken(survey, wish.to);
    let names: Vec<&str> = broken.iter().map(|(_, slot)| slot.name.as_str()).collect();
    match broken.as_slice() {
        [(index, slot)] if index + 1 < set.replicas => {
            let above = set.replicas - index - 1;
            let message = format!(
                "{} is broken ({}): replicas go from {} to {index} in one step, and the {above} \
                 above it still leave one by one",
                slot.name,
                slot.pod.map_or_else(|| "Missing".to_owned(), crate::workload::Pod::state),
                set.replicas
            );
            found.push(rules::PASSES_BROKEN.found(format!("pod/{}", slot.name), message));
        }
        [] | [_] => {}
        several => {
            let highest = several.last().map_or("", |(_, slot)| slot.name.as_str());
            let message = format!(
                "{} are broken: the controller would wait at {highest} without end",
                list(&names)
            );
            found.push(rules::TWO_BROKEN.found(set.reference(), message).hint(format!(
                "--allow {} deletes the higher ones once they are to leave",
                rules::TWO_BROKEN.id
            )));
        }
    }
}

/// The ordinals that come, where something is there already.
fn coming(
    survey: &Survey,
    preview: &Preview,
    wish: &Wish,
    record: Option<&Record>,
    found: &mut Vec<Finding>,
) {
    let set = survey.set;
    // Then it may be ourselves who deleted it, and its end is waited for.
    let is_set_aside = wish.fresh && record.is_some();
    for (item, disk) in preview.disks() {
        let on = format!("persistentvolumeclaim/{}", disk.claim);
        let Some(claim) = survey.facts.claim(&disk.claim) else { continue };
        if claim.deleting.is_some() {
            if is_set_aside {
                continue;
            }
            let message = format!("claim {} that {} needs is being deleted", disk.claim, item.name);
            found.push(rules::CLAIM_LEAVING.found(on, message));
            continue;
        }
        if disk.fate != Fate::Mounted {
            continue;
        }
        let old = disk.created.map_or_else(String::new, |created| {
            format!(", made {} ago", age(survey.now.duration_since(created)))
        });
        let idle = match disk.unused_since {
            Some(since) => format!("unused for {}", age(survey.now.duration_since(since))),
            None => "not known when it was last used".to_owned(),
        };
        let message = format!(
            "{} would mount claim {} again with the data on it (volume {}{old}, {idle})",
            item.name,
            disk.claim,
            disk.volume.as_deref().unwrap_or("<none>")
        );
        let hint = format!(
            "wanted: --allow {}; not wanted: kubectl stateful scale {} --replicas {} --fresh {}",
            rules::READOPTS_DATA.id,
            set.name,
            preview.to,
            survey.at()
        );
        found.push(rules::READOPTS_DATA.found(on, message).hint(hint));
    }
}

/// Whether the set is at rest and well.
fn state(survey: &Survey, wish: &Wish, found: &mut Vec<Finding>) {
    let set = survey.set;
    let stays = wish.to.min(set.replicas);
    let status = format!("kubectl stateful status {} {}", set.name, survey.at());
    if survey.pods_known {
        let unwell: Vec<&str> = survey
            .indexes()
            .filter(|(index, slot)| *index < stays && !slot.is_available(set, survey.now))
            .map(|(_, slot)| slot.name.as_str())
            .collect();
        if !unwell.is_empty() {
            let (verb, what) = if unwell.len() == 1 { ("is", "stays") } else { ("are", "stay") };
            let message = format!("{} {verb} not available, and {what}", list(&unwell));
            found
                .push(rules::MEMBER_UNHEALTHY.found(set.reference(), message).hint(status.clone()));
        }
    }
    let update = set.status.update_revision.as_deref();
    let behind: Vec<&str> = survey
        .pods()
        .filter(|(_, pod)| pod.revision().is_some() && pod.revision() != update)
        .map(|(slot, _)| slot.name.as_str())
        .collect();
    let held = set.partition() > 0;
    if (!behind.is_empty() || held) && !set.has_canary() {
        let message = if held {
            format!("partition {} holds ordinals on the old revision", set.partition())
        } else {
            format!("{} do not run what the template names", list(&behind))
        };
        found.push(rules::ROLLOUT.found(set.reference(), message).hint(status));
    }
}

/// Budgets and majorities.
fn numbers(survey: &Survey, wish: &Wish, found: &mut Vec<Finding>) {
    let set = survey.set;
    let covers = |budget: &&Budget| budget.covers(&set.template.labels);
    for budget in survey.facts.budgets.iter().flatten().filter(covers) {
        let on = format!("poddisruptionbudget/{}", budget.name);
        if budget.observed && budget.expected_pods > 0 && budget.disruptions_allowed < 1 {
            let message = format!(
                "{} allows no pod to be down: {} of {} healthy, {} wanted",
                budget.name, budget.current_healthy, budget.expected_pods, budget.desired_healthy
            );
            found.push(rules::NO_HEADROOM.found(on, message));
        } else if budget.min_available.is_some_and(|least| least >= wish.to) && wish.to > 0 {
            let least = budget.min_available.unwrap_or_default();
            let message = format!(
                "{} wants {least} available, and there will be {}: no node with such a pod can be \
                 drained then",
                budget.name, wish.to
            );
            found.push(rules::BUDGET_LATER.found(on, message));
        }
    }
    match wish.to {
        0 => {
            let message = format!("{} is scaled to zero", set.name);
            found.push(rules::TO_ZERO.found(set.reference(), message));
        }
        to if set.replicas >= 3 && (to < 3 || to.is_multiple_of(2)) => {
            let bears = |members: u32| (members - 1) / 2;
            let message = match to {
                1 => "a single member bears no loss".to_owned(),
                2 => "of two voting members a majority is both: losing either one stops them"
                    .to_owned(),
                to => {
                    format!("{to} voting members bear the loss of {}, as {} do", bears(to), to - 1)
                }
            };
            found.push(rules::QUORUM.found(set.reference(), message));
        }
        _ => {}
    }
}

/// Who else writes the replicas.
fn others(survey: &Survey, found: &mut Vec<Finding>) {
    for manager in managers(survey.set, &survey.facts.autoscalers) {
        let Manager { kind, name, evidence } = &manager;
        let rule = match kind {
            ManagerKind::Owner => &rules::OWNER,
            ManagerKind::HorizontalPodAutoscaler => &rules::HPA,
            ManagerKind::ScaledObject => &rules::KEDA,
            ManagerKind::Helm => &rules::HELM,
            ManagerKind::ArgoCD | ManagerKind::Flux => &rules::GITOPS,
            // It sizes pods, and counts none.
            ManagerKind::VerticalPodAutoscaler => continue,
        };
        let message = format!("{} {name} manages this set ({evidence})", kind.label());
        found.push(rule.found(survey.set.reference(), message));
    }
}
