//! How a scaling ended: what has become of the disks, as they are now, and the
//! command lines that continue or undo it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    begin,
    context::RunContext,
    rights::{self, Withheld},
};
use crate::{
    cluster::{Failure, read},
    orphans,
    output::{Error, Exit, Look, text::list},
    scale::{
        args::ScaleArgs,
        data::{self, Now},
        preview::{Disk, Fate, Ordinal, Preview, Way},
        record::Record,
        report::{self, AsideView, View},
        rules,
    },
    steps::{End, Stop},
    workload::{Claim, Finding, Retention, Severity, StatefulSet},
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
    if let Some(line) = view.undo.as_deref().filter(|_| !end.is_interrupted())
        && withheld(context, std::iter::once(line)).await.instead_of(line).is_some()
    {
        view.undo = None;
    }
    if view.undo.is_none() {
        end.findings.extend(still_aside(context, &view));
    }
    if end.exit == Exit::Done && to < from && view.preview.disks().next().is_some() {
        // The scaling is done, whether the orphans can be read or not.
        match orphans::run::of_set(context.cluster, &view.name).await {
            Ok(orphans) => view.orphans = Some(orphans),
            Err(error) => terminal.say(&format!("no report of orphans: {}", error.headline())),
        }
    }
    if end.exit != Exit::Done && record.is_some() && !is_not_ours {
        let refused = if end.is_interrupted() { None } else { refusal(context).await };
        match refused {
            None => {
                let given = super::goal_as_number(context.args, to);
                view.next = Some(given.to_go_on::<ScaleArgs>("scale", context.cluster));
            }
            Some(refused) => {
                let open = end.findings.iter_mut().find(|finding| finding.hint.is_none());
                if let Some(open) = open {
                    open.hint = refused.hint;
                }
            }
        }
    }
    if !end.is_interrupted() {
        withheld(context, rights::lines(&end.findings)).await.from(&mut end.findings);
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

/// Which of these lines this user would be refused for want of a right. What the scaling
/// itself has taken is there, and where nothing can be asked, the lines stand.
async fn withheld<'a>(context: &RunContext<'a>, lines: impl Iterator<Item = &str>) -> Withheld<'a> {
    let takes_more =
        |line: &&str| !line.starts_with("kubectl stateful scale ") || line.contains(" && ");
    Withheld::ask(context.cluster, lines.filter(takes_more))
        .await
        .unwrap_or_else(|_| Withheld::none(context.cluster))
}

/// Why the same command would be refused now. `None` where it would go on, as far as
/// can be read.
async fn refusal(context: &RunContext<'_>) -> Option<Finding> {
    let terminal = context.live.sender.progress.terminal;
    let plan = async {
        let (args, cluster) = (context.args, context.cluster);
        let allowed = args.allow.among(rules::ALLOWABLE)?;
        let reading = read::facts(cluster, &context.set().name, read::Scope::Scale).await?;
        begin::decide(args, allowed, cluster, &reading.facts, Timestamp::now()).await
    };
    match plan.await {
        Ok(plan) => plan.findings.into_iter().find(|one| one.severity == Severity::Error),
        Err(error) => {
            let why = error.headline();
            terminal.say(&format!("whether the same command goes on is not known: {why}"));
            None
        }
    }
}

/// Reads what has become of the disks of the ordinals that have left or come, and
/// of the claims that were set aside. Whatever was to be kept and is not makes
/// the end a conflict.
async fn look_at_disks(context: &RunContext<'_>, view: &mut View, end: &mut End) {
    let start = context.start;
    let (low, high) = (view.preview.from.min(view.replicas), view.preview.from.max(view.replicas));
    let has_moved = |item: &Ordinal| (low..high).contains(&(item.ordinal.saturating_sub(start)));
    let promised = |disk: &Disk| {
        let stays = matches!(disk.fate, Fate::Kept | Fate::UntilClaimGoes | Fate::Mounted);
        stays || matches!(disk.fate, Fate::ClaimGoes | Fate::SetAside | Fate::New)
    };
    let items = view.preview.items.iter();
    let asked = items.clone().any(|item| has_moved(item) && item.claims.iter().any(promised));
    let asides = context.terms.fresh || !context.aside_names().is_empty();
    if context.live.is_replaced(&view.uid) || !(asked || asides) {
        return;
    }
    let moved_items: Vec<&Ordinal> = items.filter(|item| has_moved(item)).collect();
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
        let mut disks = view.preview.items.iter_mut().filter(|item| has_moved(item));
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
    for item in view.preview.items.iter_mut().filter(|item| has_moved(item)) {
        let is_gone = !pods.clone().any(|pod| pod.name == item.name);
        let keeps = is_gone || set.when_scaled == Retention::Retain;
        broken.extend(data::outcome(item, &now, keeps));
    }
    let at = at(context, view);
    let moved = view.preview.items.iter().filter(|item| has_moved(item));
    let told: Vec<Finding> = moved
        .flat_map(|item| item.claims.iter().map(move |disk| (item, disk)))
        .filter_map(|(item, disk)| {
            if disk.fate == Fate::UntilClaimGoes || data::is_volume_leaving(disk, &now) {
                let aside = view.aside.iter().find(|aside| aside.was == disk.claim);
                let claim = aside.map_or(&disk.claim, |aside| &aside.claim);
                return Some(data::volume_leaving(disk, claim));
            }
            let line = line_to_adopt(set, item, disk, &at)?;
            match broken.iter_mut().find(|one| one.object == data::on(disk)) {
                Some(broken) => broken.hint = Some(line),
                None => return Some(data::claim_went(item, disk).hint(line)),
            }
            None
        })
        .collect();
    end.findings.extend(told);
    // Volumes are read once, before the first write.
    let before = context.facts().volumes.as_deref().unwrap_or_default();
    let come = view.preview.items.iter_mut().filter(|item| item.class == Way::Comes);
    for item in come.filter(|item| has_moved(item)) {
        let flags = context.cluster.flags();
        end.findings.extend(data::what_came(item, &now, before, Timestamp::now(), &flags));
    }
    if !broken.is_empty() {
        end.findings.extend(broken);
        if end.exit == Exit::Done {
            end.exit = Exit::Conflict;
        }
    }
}

/// The line that gives the ordinal that has left its volume again, where only its claim
/// goes.
fn line_to_adopt(set: &StatefulSet, item: &Ordinal, disk: &Disk, at: &str) -> Option<String> {
    let volume = disk.volume.as_ref().filter(|_| disk.fate == Fate::ClaimGoes)?;
    let is_gone = item.class == Way::Leaves && !set.ordinals().contains(&item.ordinal);
    is_gone
        .then(|| data::line_to_adopt(set, item.ordinal, &disk.claim, &format!("pv/{volume}"), at))
}

async fn look(context: &RunContext<'_>, items: &[&Ordinal]) -> Result<(Now, Vec<Claim>), Failure> {
    let claims = read::claims(context.cluster).await?;
    let volumes = data::volumes_in_the_end(items);
    let volumes = read::volumes_named(context.cluster, &volumes).await?;
    Ok((Now { claims: claims.clone(), volumes, ..Now::default() }, claims))
}

/// The command line that takes it back; `None` where that would not bring the
/// same disks back.
fn undo(context: &RunContext<'_>, view: &View, record: Option<&Record>) -> Option<String> {
    let set = context.set();
    let at = at(context, view);
    let replicas = context.undo_to?;
    // Nor does a number of replicas bring back what was set aside, and is gone.
    if !view.preview.can_be_undone() {
        return None;
    }
    let first = set.start.saturating_add(replicas);
    let aside = view.aside.iter().filter(|aside| aside.ordinal().is_some_and(|one| one >= first));
    let back: Vec<String> = aside.flat_map(|aside| aside.back(context.set(), &at)).collect();
    if view.replicas == replicas && (record.is_none() || back.is_empty()) {
        return None;
    }
    let comes_back = view.replicas < replicas;
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
    // An ordinal that comes back without its claim would begin on an empty disk.
    let gone = view.preview.disks().filter(|_| comes_back);
    let adopts = gone.filter_map(|(item, disk)| line_to_adopt(set, item, disk, &at));
    let lines: Vec<String> = adopts.chain([words.join(" ") + &at]).chain(back).collect();
    Some(lines.join(" && "))
}

/// Where the data is that was set aside, and, once no ordinal of the set is in the
/// way, the lines that give it its old name back.
fn still_aside(context: &RunContext<'_>, view: &View) -> Vec<Finding> {
    let at = at(context, view);
    let end = context.set().start.saturating_add(view.replicas);
    let told = view.aside.iter().map(|aside| {
        let is_free = aside.ordinal().is_some_and(|ordinal| ordinal >= end);
        let finding = aside.stays();
        if is_free { finding.hint(aside.back(context.set(), &at).join(" && ")) } else { finding }
    });
    told.collect()
}

/// The flags that say which cluster and namespace.
fn at(context: &RunContext<'_>, view: &View) -> String {
    format!(" -n {}{}", view.namespace, context.cluster.flags())
}
