//! `recover`: reads, shows, asks, and puts the volumes back.

use jiff::Timestamp;

use super::{
    Session,
    context::RunContext,
    end::report,
    execute::{RunOptions, execute},
    find,
    plan::new_operation_id,
    tries::try_all,
};
use crate::{
    cluster::{
        ConnectionArgs, DryRun, Resource,
        rights::{Right, missing_rights},
    },
    migrate::{
        args::RecoverArgs,
        forward::Act,
        journal::{Disk, Intent, Journal, StoredJournal},
        read,
        recover::{self, Before, Candidate, Request},
        report::{CandidatesView, RecoveryView},
        rules, writes,
    },
    output::{Confirmed, Error, Exit, Question, Terminal, text::list},
    steps,
    workload::{
        Finding, Reference, Severity,
        raw::{items, name, text},
        refuses,
    },
};

/// Runs `recover`.
pub async fn recover(
    args: &RecoverArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let allow = args.allow.among(rules::BY_RECOVERY)?;
    let session = Session::open(args.on.output.format, connection, terminal).await?;
    let reference = Reference::parse(&args.on.target, "StatefulSet").map_err(Error::usage)?;
    if reference.kind != "StatefulSet" {
        let message = format!("{} {} is not a StatefulSet", reference.kind, reference.name);
        return Err(Error::usage(message));
    }
    let request = Request { volumes: args.pv.clone(), ordinal: args.ordinal, allow };
    let journals = read::journals(&session.cluster, false).await?;
    if let Some(stored) = find::of_set(&journals, &reference.name)? {
        return continue_recovery(&session, stored, args).await;
    }
    let named: Vec<&str> = request.volumes.iter().map(|(_, volume)| volume.as_str()).collect();
    let before =
        read::before_recovery(&session.cluster, &reference.name, request.ordinal, &named).await?;
    if named.is_empty() {
        return list_candidates(&session, &before, args);
    }
    let (journal, mut findings) =
        recover::plan(&before, &request, &new_operation_id(), Timestamp::now())?;
    if recover::is_done(&before, &journal) {
        let view = RecoveryView::new(&journal, &before, request.ordinal, None);
        let text = view.render(&[], session.output, session.look())?;
        session.terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    for right in missing_rights(&session.cluster, &required_rights(args.on.admin_steps)).await? {
        findings.push(rules::no_right(&right));
    }
    if args.confirmation.dry_run == DryRun::Server && !refuses(&findings) {
        findings.extend(try_first_writes(&session, &journal).await?);
    }
    findings.sort_by_key(|finding| finding.severity);
    let command =
        args.given.to_do::<RecoverArgs>("migrate recover", &session.cluster, &journal.plan);
    let view = RecoveryView::new(&journal, &before, request.ordinal, Some(command));
    if refuses(&findings) {
        return refuse(&session, &view, &findings, &list(&named));
    }
    if args.confirmation.dry_run != DryRun::None {
        session.terminal.conclude(&view.render(&findings, session.output, session.look())?)?;
        return Ok(Exit::Done);
    }
    terminal.say(view.text(&findings, session.look_of_stderr()).trim_end());
    let confirmed = ask(&session, args, &journal, "Stop {} and put the volume back?")?;
    let options = RunOptions::of(&args.on);
    let mut context = RunContext::begin(&session, journal, Intent::Recover, confirmed).await?;
    let mut outcome = execute(&mut context, Intent::Recover, &options).await;
    if let Ok(end) = &mut outcome {
        // The report adds the flags of the connection by itself.
        let bare = |finding: Finding| Finding {
            hint: finding.hint.map(|hint| hint.replace(&before.flags, "")),
            ..finding
        };
        end.findings.extend(findings.into_iter().map(bare));
    }
    report(context, outcome).await
}

/// Has the server try the journal and the protection of the volumes; what comes
/// after that builds on them.
async fn try_first_writes(session: &Session, journal: &Journal) -> Result<Vec<Finding>, Error> {
    let (cluster, now) = (&session.cluster, Timestamp::now());
    let world = read::world(cluster, journal).await?;
    let both = |index: usize| [Act::ProtectBlank(index), Act::Protect(index)];
    let acts = (0..journal.disks.len()).flat_map(both);
    let protect = acts.filter_map(|act| writes::of(act, journal, &world, now)).flatten();
    let open = writes::create_journal(journal, "", Intent::Recover, now);
    let findings = try_all(cluster, [open].into_iter().chain(protect)).await?;
    // Nothing has to be allowed: a volume that is refused then stops it before anything stops.
    let weighed = findings.into_iter().map(|finding| match finding.id {
        id if id == rules::NOT_TRIED.id => finding.at(Severity::Warning),
        _ => finding,
    });
    Ok(weighed.collect())
}

/// Shows the volume that was named, and why it is not put back.
fn refuse(
    session: &Session,
    view: &RecoveryView,
    findings: &[Finding],
    named: &str,
) -> Result<Exit, Error> {
    if !session.output.is_machine() {
        session.terminal.say(view.table(session.look_of_stderr()).trim_end());
    }
    let what = format!("cannot put {named} under {}", view.stateful_set);
    Err(steps::refused(&what, findings, rules::BY_RECOVERY))
}

/// Lists the volumes that may have the data.
fn list_candidates(session: &Session, before: &Before, args: &RecoverArgs) -> Result<Exit, Error> {
    let set = &before.set;
    let templates: Vec<&str> = items(set, "/spec/volumeClaimTemplates").map(name).collect();
    if templates.is_empty() {
        return Err(Error::usage(format!("{} has no volumeClaimTemplates", name(set))));
    }
    let of_ordinal = |template: &&str| format!("{template}-{}-{}", name(set), args.ordinal);
    let claims: Vec<String> = templates.iter().map(of_ordinal).collect();
    let found = recover::candidates(before, &claims);
    let here = found.iter().filter(|one| one.of_this_namespace).count();
    let first = found.first().filter(|one| one.of_this_ordinal || here == 1);
    // A newer one is rather a disk that was blank in between than the one with the data.
    let first = first.filter(|one| !is_newer(one, before, &claims));
    // With several templates, only the last claim tells which one it is for.
    let next = first.and_then(|first| {
        let place = recover::place_of(first, &templates, name(set));
        let ordinal = place.map_or(args.ordinal, |(_, ordinal)| ordinal);
        match templates.as_slice() {
            [_] => Some((first, None, ordinal)),
            all => Some((first, Some(all.get(place?.0)?), ordinal)),
        }
    });
    let next = next.map(|(first, template, ordinal)| {
        let volume = match template {
            Some(template) => format!("{template}={}", first.name),
            None => first.name.clone(),
        };
        format!(
            "kubectl stateful migrate recover sts/{} --pv {volume} --ordinal {ordinal} -n {}{}",
            name(set),
            session.cluster.namespace(),
            session.cluster.flags()
        )
    });
    let view = CandidatesView {
        namespace: session.cluster.namespace().to_owned(),
        stateful_set: name(set).to_owned(),
        ordinal: args.ordinal,
        claims,
        volumes_read: before.volumes.len(),
        items: found,
        next,
    };
    session.terminal.conclude(&view.render(session.output, session.look())?)?;
    Ok(Exit::Done)
}

/// Whether a volume was made after one that the claims of the ordinal are on now.
fn is_newer(candidate: &Candidate, before: &Before, claims: &[String]) -> bool {
    let used =
        claims.iter().filter_map(|claim| text(before.claims.get(claim)?, "/spec/volumeName"));
    let mut made = used.filter_map(|used| {
        text(before.volumes.get(used)?, "/metadata/creationTimestamp").map(str::to_owned)
    });
    made.any(|made| candidate.created > Some(made))
}

/// Goes on with the recovery that a run of the same command has begun.
async fn continue_recovery(
    session: &Session,
    stored: StoredJournal,
    args: &RecoverArgs,
) -> Result<Exit, Error> {
    let journal = &stored.journal;
    let set = journal.set_name();
    if stored.intent != Intent::Recover || !describes(args, journal) {
        let message = if stored.intent == Intent::Recover {
            let volumes: Vec<&str> =
                journal.disks.iter().map(|disk| disk.pv.name.as_str()).collect();
            let claims: Vec<&str> = journal.disks.iter().map(|disk| disk.new.as_str()).collect();
            format!("a recovery of {set} has begun, of {} for {}", list(&volumes), list(&claims))
        } else {
            format!("a migration to StatefulSet {set} has begun")
        };
        let verb = if stored.intent == Intent::Recover { "resume" } else { "status" };
        let on = format!("configmap/{}", journal.config_map_name());
        let finding = rules::UNDER_WAY.found(on, message.clone());
        return Err(Error::new(rules::stopped_for(&finding), message)
            .hint(session.command(verb, journal))
            .because(vec![finding]));
    }
    if args.confirmation.dry_run != DryRun::None {
        let before = Before {
            volumes: read::volumes_of(&session.cluster, journal).await?,
            ..Before::default()
        };
        let command =
            args.given.to_do::<RecoverArgs>("migrate recover", &session.cluster, &journal.plan);
        let view = RecoveryView::new(journal, &before, args.ordinal, Some(command));
        session.terminal.conclude(&view.render(&[], session.output, session.look())?)?;
        return Ok(Exit::Done);
    }
    let confirmed = ask(session, args, journal, "Continue putting the volume back under {}?")?;
    let options = RunOptions::of(&args.on);
    let takeover = args.on.takeover;
    let mut context =
        RunContext::take_lock(session, stored, Intent::Recover, takeover, confirmed).await?;
    let outcome = execute(&mut context, Intent::Recover, &options).await;
    report(context, outcome).await
}

/// Whether the journal is of the recovery that these flags ask for.
fn describes(args: &RecoverArgs, journal: &Journal) -> bool {
    let of_ordinal = |disk: &Disk| {
        disk.new == format!("{}-{}-{}", disk.template, journal.set_name(), args.ordinal)
    };
    args.pv.len() == journal.disks.len()
        && journal.disks.iter().all(of_ordinal)
        && args.pv.iter().all(|(template, volume)| {
            journal.disks.iter().any(|disk| {
                disk.pv.name == *volume
                    && template.as_ref().is_none_or(|template| *template == disk.template)
            })
        })
}

/// The rights that the recovery will need.
fn required_rights(admin_steps: bool) -> Vec<Right> {
    let right = |verb, resource| Right { verb, resource, subresource: "" };
    let mut all = vec![
        right("create", Resource::CONFIG_MAP),
        right("patch", Resource::CONFIG_MAP),
        right("delete", Resource::CONFIG_MAP),
        right("patch", Resource::STATEFUL_SET),
        right("create", Resource::CLAIM),
        right("patch", Resource::CLAIM),
        right("delete", Resource::CLAIM),
    ];
    if !admin_steps {
        all.push(right("patch", Resource::VOLUME));
    }
    all
}

fn ask(
    session: &Session,
    args: &RecoverArgs,
    journal: &Journal,
    text: &str,
) -> Result<Confirmed, Error> {
    let text = text.replace("{}", journal.set_name());
    let question = Question {
        text: &text,
        plan: Some(&journal.plan),
        type_to_agree: None,
        for_a_program: session.output.is_machine(),
    };
    Confirmed::ask(session.terminal, &args.confirmation.consent, question)
}
