//! What has become of a claim and its volume once the claim was to be deleted:
//! looked at, and never taken from the plan.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    context::RunContext,
    plans::{Again, Place, Plan},
};
use crate::{
    cluster::{Mode, Resource},
    handover::{self, Held, KEEPS, Original},
    orphans::{
        adopt,
        delete::{Data, Target, found_of},
        report::line_to_let_go,
        rules,
    },
    output::Exit,
    steps::{End, Stop},
    workload::{
        Finding,
        raw::{is_leaving, items, policy, text, uid},
    },
};

/// How long to ask, or to try to let go of a claim, after the end of a run.
const GRACE: Duration = Duration::from_secs(3);
/// How long a provisioner gets to delete a volume before the result is told.
const SOON_GONE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(200);

/// Looks at the volume of a claim that is gone, and at whoever may have made the
/// claim again. Whatever is not as it was promised is added to `end`.
///
/// # Errors
/// After a signal.
pub async fn look(
    context: &mut RunContext<'_>,
    one: &mut Plan,
    keep: bool,
    end: &mut End,
) -> Result<(), Stop> {
    // What is said if nothing more can be learned.
    if one.held.is_some() {
        one.data = Data::Unread;
    }
    let again = match made_again(context, one).await {
        Ok(again) => again,
        Err(Stop::Failed(error)) => {
            one.again = Again::Elsewhere;
            let name = &one.target.name;
            let message = format!(
                "it is not known whether somebody has made {name} again: {}",
                error.headline()
            );
            not_read(end, rules::NOT_READ.found(one.target.reference(), message));
            None
        }
        Err(stop) => return Err(stop),
    };
    // Last, so that what is said of the disk is of now.
    if let Some(volume) = one.held.clone() {
        let claim = one.target.uid.clone();
        match fate(context, &volume, claim.as_deref(), one.is_retained || keep).await {
            Ok(data) => one.data = data,
            Err(Stop::Failed(error)) => {
                let name = &volume.name;
                let message =
                    format!("it is not known whether volume {name} stays: {}", error.headline());
                not_read(end, rules::NOT_READ.found(on(&volume), message));
            }
            Err(stop) => return Err(stop),
        }
        if keep && let Some(why) = not_kept(&volume, one.data) {
            end.findings.push(rules::CHANGED.found(on(&volume), why));
            end.exit = Exit::Conflict;
        }
    }
    if let Some(message) = again {
        if one.again == Again::No {
            one.again = Again::Elsewhere;
        }
        let finding = rules::MADE_AGAIN.found(one.target.reference(), message);
        end.findings.push(match line_to_recover(context, one) {
            Some(line) => finding.hint(line),
            None => finding,
        });
        end.exit = Exit::Conflict;
    }
    Ok(())
}

fn not_read(end: &mut End, finding: Finding) {
    end.findings.push(finding);
    if end.exit == Exit::Done {
        end.exit = Exit::Incomplete;
    }
}

/// The line that gives the member the disk that was kept.
fn line_to_recover(context: &RunContext<'_>, one: &Plan) -> Option<String> {
    let Place { set, template, ordinal } = one.place.as_ref()?;
    let kept = one.data == Data::Kept && one.again != Again::OnItsVolume;
    let volume = one.volume.as_ref().filter(|_| kept)?;
    let (namespace, flags) = (one.target.namespace.as_ref()?, context.cluster.flags());
    Some(format!(
        "kubectl stateful migrate recover sts/{set} --ordinal {ordinal} --pv {template}={volume} \
         -n {namespace}{flags}"
    ))
}

fn on(volume: &Held) -> String {
    Resource::VOLUME.object("", &volume.name).to_string()
}

/// What has become of the volume. One that goes is given some time to be gone.
async fn fate(
    context: &mut RunContext<'_>,
    volume: &Held,
    claim: Option<&str>,
    mut retained: bool,
) -> Result<Data, Stop> {
    let since = Instant::now();
    loop {
        let found = context.look(&Resource::VOLUME.object("", &volume.name)).await?;
        let data = found_of(volume, claim, found.as_ref(), retained);
        if data != Data::Doomed || since.elapsed() > SOON_GONE {
            return Ok(data);
        }
        retained = false;
        context.sender.sleep(POLL).await?;
    }
}

/// Why a volume that was to be kept is not.
fn not_kept(volume: &Held, data: Data) -> Option<String> {
    let name = &volume.name;
    match data {
        Data::Kept | Data::Unread | Data::None => None,
        Data::Unmanaged => Some(format!(
            "volume {name} was to be kept, and is being deleted: its disk stays in the storage"
        )),
        Data::Destroyed => Some(format!(
            "volume {name} was to be kept, and is DESTROYED with its data: somebody took its \
             policy Retain away"
        )),
        Data::Doomed => Some(format!(
            "volume {name} was to be kept, and goes with its data: somebody took its policy \
             Retain away; set it to Retain at once"
        )),
        Data::Gone => Some(format!(
            "volume {name} was to be kept, and is gone: its data is DESTROYED, unless its storage \
             kept the disk"
        )),
    }
}

/// What is said of those that were not reached is of now, and not of the plan.
pub async fn look_at_the_rest(context: &mut RunContext<'_>, plans: &mut [Plan]) {
    for one in plans.iter_mut().filter(|one| one.result == "left") {
        let Some(held) = &one.held else { continue };
        let object = Resource::VOLUME.object("", &held.name);
        let found = tokio::time::timeout(GRACE, context.look(&object)).await;
        one.data = match found {
            Ok(Ok(found)) => {
                found_of(held, one.target.uid.as_deref(), found.as_ref(), one.is_retained)
            }
            _ => Data::Unread,
        };
    }
}

/// Whether the ordinal comes up on another disk: somebody has made the claim
/// again, or wants the ordinal now.
async fn made_again(context: &mut RunContext<'_>, one: &mut Plan) -> Result<Option<String>, Stop> {
    let Target { is_volume: false, namespace: Some(namespace), name, uid: old } = &one.target
    else {
        return Ok(None);
    };
    let claim = context.look(&Resource::CLAIM.object(namespace, name)).await?;
    let again = claim.filter(|claim| Some(uid(claim)) != old.as_deref());
    let message = match (&again, &one.place) {
        (Some(again), _) => {
            let has = text(again, "/spec/volumeName").filter(|name| !name.is_empty());
            let has = match has {
                None => "no volume yet".to_owned(),
                Some(has) if one.volume.as_deref() == Some(has) => {
                    one.again = Again::OnItsVolume;
                    format!("volume {has}, the one that it had")
                }
                Some(has) => format!("volume {has}"),
            };
            format!("somebody has made claim {name} again, with {has}")
        }
        (None, Some(Place { set, ordinal, .. })) => {
            let found = context.look(&Resource::STATEFUL_SET.object(namespace, set)).await?;
            let wanted = found.is_some_and(|found| adopt::wants(&found, *ordinal));
            if !wanted {
                return Ok(None);
            }
            format!("{set} wants ordinal {ordinal} now, and makes claim {name} again")
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(message))
}

/// A run that stops before it has deleted a claim takes its hold back. Where that
/// cannot be done, or the claim is deleted and waits for us, that is said with the
/// line that ends it.
pub async fn spare(context: &mut RunContext<'_>, target: &Target) -> Option<Finding> {
    let namespace = target.namespace.as_deref().filter(|_| !target.is_volume)?;
    let object = Resource::CLAIM.object(namespace, &target.name);
    let tries = async {
        loop {
            let found = match context.cluster.find(&object).await {
                Ok(found) => found?,
                Err(error) => return Some(Err(error.to_string())),
            };
            let is_same = target.uid.as_deref().is_none_or(|wanted| wanted == uid(&found));
            if !is_same || !handover::is_held_to_go(&found) {
                return None;
            }
            let Some(write) = handover::spare(&found) else {
                return Some(Ok(Held::of(&found)));
            };
            let mode = Mode::Real(&context.sender.confirmed);
            match context.cluster.write(&write, mode).await {
                Ok(_) => {
                    context.sender.writes.push(write.done(mode));
                    return None;
                }
                Err(failure) if failure.is_conflict() => {}
                Err(failure) => return Some(Err(failure.to_string())),
            }
        }
    };
    let left = tokio::time::timeout(GRACE, tries).await;
    let message = match left.unwrap_or_else(|_| Some(Err("no answer".to_owned()))) {
        None => return None,
        Some(Ok(_)) => format!(
            "claim {} is deleted, and stays until its volume is seen to stay (finalizer {KEEPS}): \
             the same command lets it go",
            target.name
        ),
        Some(Err(why)) => format!(
            "claim {} may still have the finalizer {KEEPS}: {why}; the same command goes on, and \
             lets it go",
            target.name
        ),
    };
    let finding = rules::LEFT_HELD.found(target.reference(), message);
    Some(finding.hint(context.to_continue.clone()))
}

/// A run that has set a volume to Retain, and stops, leaves it so: that is said.
pub async fn left_retained(context: &RunContext<'_>, volume: &str) -> Option<Finding> {
    let object = Resource::VOLUME.object("", volume);
    let ours = format!("{object} patched");
    if !context.sender.writes.iter().any(|write| write.starts_with(&ours)) {
        return None;
    }
    let found = tokio::time::timeout(GRACE, context.cluster.find(&object)).await;
    let message = match found {
        Ok(Ok(Some(found))) if policy(&found) == "Retain" => {
            let before = Original::kept_on(&found)
                .map_or_else(String::new, |before| format!(" (it was {} before)", before.policy()));
            format!("volume {volume} is left under the policy Retain{before}: its disk stays")
        }
        Ok(Ok(_)) => return None,
        _ => format!(
            "volume {volume} was set to the policy Retain, and could not be looked at again"
        ),
    };
    let finding = rules::LEFT_RETAINED.found(object.to_string(), message);
    Some(finding.hint(context.to_continue.clone()))
}

/// A claim that is held while its policy returns, and stays so where the run stops:
/// that is said, with the line that lets go.
pub async fn left_held(context: &RunContext<'_>, namespace: &str, claim: &str) -> Option<Finding> {
    let object = Resource::CLAIM.object(namespace, claim);
    let found = tokio::time::timeout(GRACE, context.cluster.find(&object)).await;
    let found: Value = found.ok()?.ok()??;
    if is_leaving(&found) || !handover::is_held(&found) {
        return None;
    }
    let message = format!("claim {claim} is held until the policy of its volume is restored");
    let finalizers = items(&found, "/metadata/finalizers").filter_map(Value::as_str);
    let flags = context.cluster.flags();
    let line = line_to_let_go(namespace, claim, finalizers, &flags);
    Some(rules::LEFT_HELD.found(format!("persistentvolumeclaim/{claim}"), message).hint(line))
}
