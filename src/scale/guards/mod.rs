//! The guards of `scale`: what is checked before anything is written. Pure.

mod coming;
mod free;
mod hooks;

pub use self::{
    coming::{names_left, names_wanted},
    free::{depends_on_nodes, free_volumes},
    hooks::hooks,
};
use super::{
    data,
    plan::broken,
    preview::{self, Disk, Fate, Preview, ScaleRequest, Way},
    record::{ANNOTATION, Record},
    rules,
};
use crate::{
    output::text::list,
    workload::{
        Budget, Finding, MIGRATION_MARK, Manager, ManagerKind, Pod, PodManagement, Snapshots,
        Survey, Unusable, managers, remove_annotation,
    },
};

/// All findings, the most severe first. `record` is the scale operation that is
/// already under way; `pods` are those with [`names_wanted`] and [`names_left`], and all of the namespace
/// where an ordinal would mount a claim of before.
pub fn check(
    survey: &Survey,
    preview: &Preview,
    request: &ScaleRequest,
    record: Option<&Record>,
    pods: &[Pod],
) -> Vec<Finding> {
    let mut found = Vec::new();
    unread(survey, &mut found);
    under_way(survey, request, record, &mut found);
    if request.to < survey.set.replicas {
        data(survey, preview, request, &mut found);
        leaving(survey, request, &mut found);
        numbers(survey, request, &mut found);
    } else if request.to > survey.set.replicas {
        coming::coming(survey, preview, request, record, pods, &mut found);
    }
    let names = names_wanted(survey, preview, record);
    found.extend(coming::names_taken(survey, &names, pods));
    found.extend(coming::pods_stay(survey, &names_left(survey, record), pods));
    if request.to != survey.set.replicas {
        state(survey, request, record, &mut found);
        others(survey, &mut found);
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// The finding for an annotation that cannot be used.
pub fn unusable(survey: &Survey, why: &Unusable) -> Finding {
    let drop = remove_annotation(survey, ANNOTATION);
    why.found(&rules::RECORD_UNUSABLE, survey, "a scaling", drop)
}

fn unread(survey: &Survey, found: &mut Vec<Finding>) {
    for unread in &survey.facts.unread {
        let message = format!("{} could not be read: {}", unread.resource, unread.why);
        let vital = ["pods", "persistentvolumeclaims"].contains(&unread.resource.as_str());
        let rule = match unread.resource.as_str() {
            _ if vital => &rules::BLIND,
            // Unread volumes have their own finding; events and classes only add
            // detail.
            "persistentvolumes" | "events" | "storageclasses.storage.k8s.io" => continue,
            _ => &rules::UNREAD,
        };
        found.push(rule.found(survey.set.reference(), message));
    }
}

/// Whether another operation is under way on the set.
fn under_way(
    survey: &Survey,
    request: &ScaleRequest,
    record: Option<&Record>,
    found: &mut Vec<Finding>,
) {
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
    if let Some(record) = record.filter(|record| record.to != request.to && !request.aborts) {
        let message = format!(
            "{} began to scale {} {}, and it is at {} now; --replicas {} finishes that, and --abort \
             goes back",
            record.run,
            set.name,
            record.words(),
            set.replicas,
            record.to
        );
        let hint = format!("kubectl stateful scale {} --abort {}", set.name, survey.at());
        found.push(rules::OTHER_GOAL.found(set.reference(), message).hint(hint));
    }
}

/// Whether data would be lost.
fn data(survey: &Survey, preview: &Preview, request: &ScaleRequest, found: &mut Vec<Finding>) {
    let set = survey.set;
    for (item, disk) in preview.disks() {
        let volume = disk.volume.as_deref().unwrap_or("<none>");
        let on = format!("persistentvolumeclaim/{}", disk.claim);
        let claim = survey.facts.claim(&disk.claim);
        let leaving = claim.is_some_and(|claim| claim.deleting.is_some());
        let goes = if leaving {
            format!("claim {} is being deleted already, and goes with {}", disk.claim, item.name)
        } else {
            format!("claim {} is deleted with {} by the garbage collector", disk.claim, item.name)
        };
        let keep = if leaving {
            survey.keep_volume(volume)
        } else {
            let (name, at) = (&set.name, survey.at());
            format!("kubectl stateful scale {name} --replicas {} --retain {at}", request.to)
        };
        match disk.fate {
            Fate::Destroyed => {
                let by = preview::deleter(survey, disk);
                let message = format!("{goes}, and volume {volume} with all data on it by {by}");
                found.push(rules::DESTROYS_DATA.found(on, message).hint(keep));
            }
            Fate::VolumeGoes => {
                let message = format!(
                    "{goes}, and so does volume {volume}, which is being deleted too: nothing in the \
                     cluster names its disk then"
                );
                let look = format!("kubectl get pv {volume} -o yaml{}", survey.cluster_wide());
                found.push(rules::DESTROYS_DATA.found(on, message).hint(look));
            }
            Fate::Unknown => {
                let message =
                    format!("{goes}, and it is not known what happens to volume {volume}");
                found.push(rules::DESTROYS_DATA.found(on, message).hint(keep));
            }
            Fate::ClaimGoes => {
                let message = format!("{goes}; volume {volume} is kept, Released");
                let finding = rules::CLAIM_GOES.found(on, message);
                found.push(if leaving { finding } else { finding.hint(keep) });
            }
            Fate::UntilClaimGoes => found.push(data::volume_leaving(disk, &disk.claim)),
            _ => {}
        }
    }
    let goes = |disk: &Disk| disk.fate.loss() > 0;
    if let Some((_, disk)) = preview.disks().find(|(_, disk)| goes(disk))
        && request.snapshot.is_some()
    {
        let message = format!(
            "claim {} is deleted with its pod, before its snapshot is taken (whenScaled {:?})",
            disk.claim, set.when_scaled
        );
        found.push(rules::SNAPSHOT_NEEDS_CLAIM.found(set.reference(), message));
    }
}

/// Whether this class can take snapshots of the leaving claims.
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
        // The classes cannot be read, so only the wait for a snapshot shows it.
        Ok(None) => return,
        Err(why) => return found.push(rules::NO_SNAPSHOTS.found(on, why)),
    };
    if class.deletes {
        let message = format!(
            "class {} deletes the data of a snapshot when its VolumeSnapshot is deleted",
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

/// Whether ordinals that leave are broken.
fn leaving(survey: &Survey, request: &ScaleRequest, found: &mut Vec<Finding>) {
    let set = survey.set;
    if set.pod_management != PodManagement::OrderedReady {
        return;
    }
    let broken = broken(survey, request.to);
    let names: Vec<&str> = broken.iter().map(|(_, slot)| slot.name.as_str()).collect();
    match broken.as_slice() {
        [(index, slot)] if index + 1 < set.replicas => {
            let above = set.replicas - index - 1;
            let message = format!(
                "{} is broken ({}): replicas go from {} to {index} in one step, and the {above} \
                 above it still leave one by one",
                slot.name,
                slot.pod.map_or_else(|| "Missing".to_owned(), Pod::state),
                set.replicas
            );
            found.push(rules::PASSES_BROKEN.found(format!("pod/{}", slot.name), message));
        }
        [] | [_] => {}
        several => {
            let highest = several.last().map_or("", |(_, slot)| slot.name.as_str());
            let message = format!(
                "{} are broken: the controller would wait at {highest} forever",
                list(&names)
            );
            found.push(rules::TWO_BROKEN.found(set.reference(), message).hint(format!(
                "--allow {} deletes the higher pods when their turn comes",
                rules::TWO_BROKEN.id
            )));
        }
    }
}

/// Whether the set is healthy and no rollout is under way.
fn state(
    survey: &Survey,
    request: &ScaleRequest,
    record: Option<&Record>,
    found: &mut Vec<Finding>,
) {
    let set = survey.set;
    // An earlier run of the same has added ordinals, and this one waits for them.
    let added = record.filter(|record| !record.is_down()).map(|record| record.from);
    let stays = request.to.min(set.replicas).min(added.unwrap_or(u32::MAX));
    let status = format!("kubectl stateful status {} {}", set.name, survey.at());
    if survey.pods_known {
        let unavailable: Vec<&str> = survey
            .indexes()
            .filter(|(index, slot)| *index < stays && !slot.is_available(set, survey.now))
            .map(|(_, slot)| slot.name.as_str())
            .collect();
        if !unavailable.is_empty() {
            let (verb, what) =
                if unavailable.len() == 1 { ("is", "stays") } else { ("are", "stay") };
            let message = format!("{} {what}, and {verb} not available", list(&unavailable));
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
            format!("{} do not run the current template", list(&behind))
        };
        found.push(rules::ROLLOUT.found(set.reference(), message).hint(status));
    }
}

/// Disruption budgets and quorums.
fn numbers(survey: &Survey, request: &ScaleRequest, found: &mut Vec<Finding>) {
    let set = survey.set;
    let covers = |budget: &&Budget| budget.covers(&set.template.labels);
    for budget in survey.facts.budgets.iter().flatten().filter(covers) {
        let on = format!("poddisruptionbudget/{}", budget.name);
        if budget.observed && budget.expected_pods > 0 && budget.disruptions_allowed < 1 {
            let message = format!(
                "{} allows no pod to be down: {} of {} healthy, {} required",
                budget.name, budget.current_healthy, budget.expected_pods, budget.desired_healthy
            );
            found.push(rules::NO_HEADROOM.found(on, message));
        } else if budget.min_available.is_some_and(|least| least >= request.to) && request.to > 0 {
            let least = budget.min_available.unwrap_or_default();
            let message = format!(
                "{} requires {least} available pods, and there will be {}: no node with such a pod can \
                 be drained then",
                budget.name, request.to
            );
            found.push(rules::BUDGET_LATER.found(on, message));
        }
    }
    match request.to {
        0 => {
            let message = format!("{} is scaled to zero", set.name);
            found.push(rules::TO_ZERO.found(set.reference(), message));
        }
        to if set.replicas >= 3 && (to < 3 || to.is_multiple_of(2)) => {
            let tolerates = |members: u32| (members - 1) / 2;
            let message = match to {
                1 => "a single member tolerates no loss".to_owned(),
                2 => "two voting members are both needed for a majority: losing either one stops them"
                    .to_owned(),
                to => {
                    format!(
                        "{to} voting members tolerate the loss of {}, no more than {} do",
                        tolerates(to),
                        to - 1
                    )
                }
            };
            found.push(rules::QUORUM.found(set.reference(), message));
        }
        _ => {}
    }
}

/// Whether something else manages the replicas.
fn others(survey: &Survey, found: &mut Vec<Finding>) {
    for manager in managers(survey.set, &survey.facts.autoscalers) {
        let Manager { kind, name, evidence } = &manager;
        let rule = match kind {
            ManagerKind::Owner => &rules::OWNER,
            ManagerKind::HorizontalPodAutoscaler => &rules::HPA,
            ManagerKind::ScaledObject => &rules::KEDA,
            ManagerKind::Helm => &rules::HELM,
            ManagerKind::ArgoCD | ManagerKind::Flux => &rules::GITOPS,
            // It resizes pods and does not change the replicas.
            ManagerKind::VerticalPodAutoscaler => continue,
        };
        let message = format!("{} {name} manages this set ({evidence})", kind.label());
        found.push(rule.found(survey.set.reference(), message));
    }
}
