//! How a scaling ended: what has become of the disks, as they are now, and the
//! command lines that continue or undo it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::context::RunContext;
use crate::{
    cluster::{Failure, read},
    orphans,
    output::{Error, Exit, Look, text::list},
    scale::{
        args::ScaleArgs,
        data::{self, Now},
        preview::{Disk, Fate, Ordinal, Preview},
        record::Record,
        report::{self, AsideView, View},
        rules,
    },
    steps::{End, Stop},
    workload::{Claim, Finding, Retention},
};

/// Reports how the scaling ended.
///
/// # Errors
/// When the report cannot be written.
pub async fn close(
    context: &mut RunContext<'_>,
    outcome: Result<End, Stop>,
    before: &[Finding],
    hash: &str,
) -> Result<Exit, Error> {
    let mut end = End::of(outcome)?;
    let now = Timestamp::now();
    let terminal = context.live.sender.progress.terminal;
    let record = Record::of(context.set()).ok().flatten();
    let mut view = View::new(context.facts(), context.preview.clone(), hash.to_owned(), now);
    view.writes.clone_from(&context.live.sender.writes);
    view.took = Some(now.duration_since(context.began)).filter(|took| *took > SignedDuration::ZERO);
    look_at_disks(context, &mut view, &mut end).await;
    let Preview { from, to, .. } = view.preview;
    // What another run is about is not for this one to continue or take back, and a
    // set that is gone cannot be scaled.
    let is_gone = end.findings.iter().any(|finding| finding.id == rules::REPLACED.id);
    let is_not_ours = is_gone || record.as_ref().is_some_and(|record| record.to != to);
    view.undo = undo(context, &view, record.as_ref()).filter(|_| !is_not_ours);
    if end.exit == Exit::Done && to < from && view.preview.disks().next().is_some() {
        // The scaling is done, whether the orphans can be read or not.
        match orphans::run::of_set(context.cluster, &view.name).await {
            Ok(orphans) => view.orphans = Some(orphans),
            Err(error) => terminal.say(&format!("no report of orphans: {}", error.headline())),
        }
    }
    if end.exit != Exit::Done && record.is_some() && !is_not_ours {
        let given = super::goal_as_number(context.args, to);
        view.next = Some(given.to_go_on::<ScaleArgs>("scale", context.cluster));
    }
    let mut findings = end.findings.clone();
    if end.exit == Exit::Done {
        let told = before.iter().filter(|finding| finding.id == rules::BUDGET_LATER.id);
        findings.extend(told.cloned());
    }
    let look = Look::of(terminal, now);
    let text = report::render(&view, end.exit, &findings, context.args.output.format, look, true)?;
    if !context.live.draw_last(&text)? {
        terminal.conclude(&text)?;
    }
    if end.is_interrupted() {
        terminal.say("interrupted; the set keeps the replicas that it has now");
    }
    Ok(end.exit)
}

/// Reads what has become of the disks of the ordinals that have left or come, and
/// of the claims that were set aside. Whatever was to be kept and is not makes
/// the end a conflict.
async fn look_at_disks(context: &RunContext<'_>, view: &mut View, end: &mut End) {
    let start = context.set().start;
    let (low, high) = (view.preview.from.min(view.replicas), view.preview.from.max(view.replicas));
    let moved = |item: &Ordinal| (low..high).contains(&(item.ordinal.saturating_sub(start)));
    let promised = |disk: &Disk| {
        matches!(disk.fate, Fate::Kept | Fate::ClaimGoes | Fate::Mounted | Fate::SetAside)
    };
    let items = view.preview.items.iter();
    let asked = items.clone().any(|item| moved(item) && item.claims.iter().any(promised));
    let asides = context.terms.fresh || !context.begun.is_empty();
    if context.live.is_replaced(&view.uid) || !(asked || asides) {
        return;
    }
    let moved_items: Vec<&Ordinal> = items.filter(|item| moved(item)).collect();
    let (now, claims) = match look(context, &moved_items).await {
        Ok(found) => found,
        Err(failure) => {
            let names: Vec<&str> = moved_items.iter().map(|item| item.name.as_str()).collect();
            let message = format!(
                "what has become of the claims of {} could not be read: {failure}",
                list(&names)
            );
            end.findings.push(rules::UNREAD.found(context.set().reference(), message));
            for disk in view.preview.items.iter_mut().flat_map(|item| &mut item.claims) {
                disk.fate = Fate::NotRead;
            }
            if end.exit == Exit::Done {
                end.exit = Exit::Incomplete;
            }
            return;
        }
    };
    view.aside = context
        .aside_names()
        .into_iter()
        .filter_map(|names| AsideView::of(&names, &claims))
        .collect();
    let mut broken = Vec::new();
    for names in context.aside_names() {
        let is_there = view.aside.iter().any(|aside| aside.claim == names.aside);
        let mut disks = view.preview.items.iter_mut().filter(|item| moved(item));
        let disk = disks.find_map(|item| {
            let is_it = |disk: &&mut Disk| disk.claim == names.claim && disk.fate == Fate::SetAside;
            item.claims.iter_mut().find(is_it)
        });
        if let Some(disk) = disk.filter(|_| !is_there) {
            broken.push(data::aside_is_gone(disk, &names.aside, &now));
        }
    }
    let set = context.set();
    let pods = context.facts().pods.iter().flatten();
    for item in view.preview.items.iter_mut().filter(|item| moved(item)) {
        let is_gone = !pods.clone().any(|pod| pod.name == item.name);
        let keeps = is_gone || set.when_scaled == Retention::Retain;
        broken.extend(data::outcome(item, &now, keeps));
    }
    if !broken.is_empty() {
        end.findings.extend(broken);
        if end.exit == Exit::Done {
            end.exit = Exit::Conflict;
        }
    }
}

async fn look(context: &RunContext<'_>, items: &[&Ordinal]) -> Result<(Now, Vec<Claim>), Failure> {
    let claims = read::claims(context.cluster).await?;
    let mut doubtful = data::volumes_in_doubt(items, &claims);
    let disks = items.iter().flat_map(|item| &item.claims);
    let aside = disks.filter(|disk| disk.fate == Fate::SetAside);
    doubtful.extend(aside.filter_map(|disk| disk.volume.clone()));
    let volumes = read::volumes_named(context.cluster, &doubtful).await?;
    Ok((Now { claims: claims.clone(), volumes, ..Now::default() }, claims))
}

/// The command line that takes it back; `None` where that would not bring the
/// same disks back.
fn undo(context: &RunContext<'_>, view: &View, record: Option<&Record>) -> Option<String> {
    let set = context.set();
    let at = format!(" -n {}{}", view.namespace, context.cluster.flags());
    let replicas = context.undo_to.filter(|replicas| view.replicas != *replicas)?;
    let comes_back = view.replicas < replicas;
    // Nor does a number of replicas bring back what was set aside, and is gone.
    if !view.preview.can_be_undone() {
        return None;
    }
    let mut words = vec![format!("kubectl stateful scale {}", view.name)];
    words.push(match record {
        Some(_) => "--abort".to_owned(),
        None => format!("--replicas {replicas}"),
    });
    if !comes_back && set.when_scaled == Retention::Delete && set.has_claims() {
        words.push("--retain".to_owned());
    }
    // What spoke against this scaling speaks against that one.
    let mut allowed: BTreeSet<&str> = context.args.allow.ids.iter().map(String::as_str).collect();
    if comes_back && record.is_none() && !set.claim_templates.is_empty() {
        allowed.insert(rules::READOPTS_DATA.id);
    }
    words.extend(allowed.into_iter().map(|id| format!("--allow {id}")));
    let mut lines = vec![words.join(" ") + &at];
    if record.is_none() && context.terms.fresh {
        let first = set.start.saturating_add(replicas);
        let back =
            view.aside.iter().filter(|aside| aside.ordinal().is_some_and(|one| one >= first));
        lines.extend(back.flat_map(|aside| aside.back(&view.name, &at)));
    }
    Some(lines.join(" && "))
}
