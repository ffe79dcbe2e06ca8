//! `recover`: reads, shows, asks, and goes.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Session,
    begin::{operation, refused},
    go::{Manner, go},
    hand::Hand,
    later::{self, patience},
};
use crate::{
    cluster::{
        ConnectionArgs, Resource,
        moving::{self, Right},
    },
    migrate::{
        args::{Finalize, RecoverArgs},
        begin,
        journal::{Intent, Journal},
        recover::{self, Wish},
        report, rules,
    },
    output::{Confirmed, Error, Exit, Question, Terminal, text::list},
    workload::{Finding, Reference},
};

/// Runs `recover`.
pub async fn recover(
    args: &RecoverArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(args.on.output, connection, terminal).await?;
    let reference = Reference::parse(&args.on.target, "StatefulSet").map_err(Error::usage)?;
    if reference.kind != "StatefulSet" {
        let message = format!("{} {} is no StatefulSet", reference.kind, reference.name);
        return Err(Error::usage(message));
    }
    let wish = Wish { volumes: args.pv.clone(), ordinal: args.ordinal };
    let named: Vec<&str> = wish.volumes.iter().map(|(_, volume)| volume.as_str()).collect();
    let before =
        moving::before_recovery(&session.cluster, &reference.name, wish.ordinal, &named).await?;
    let (journal, mut findings) = recover::plan(&before, &wish, &operation(), Timestamp::now())?;
    for right in moving::missing_rights(&session.cluster, &rights(args.on.admin_steps)).await? {
        let message = format!("the user may not {right}");
        findings.push(rules::NO_RIGHTS.found(right, message));
    }
    findings.sort_by_key(|finding| finding.severity);
    if begin::refuses(&findings) {
        let what = format!("cannot put {} under {}", list(&named), reference.name);
        return Err(refused(&what, &findings));
    }
    let shown = report::recovery_text(&journal, &findings, session.look());
    if args.dry_run {
        session.terminal.conclude(&shown)?;
        return Ok(Exit::Done);
    }
    terminal.say(shown.trim_end());
    let confirmed = ask(&session, args, &journal)?;
    let manner = Manner {
        timeout: patience(args.on.timeout),
        verify: None,
        auto_rollback: false,
        admin_steps: args.on.admin_steps,
    };
    let mut hand = Hand::begin(&session, journal, Intent::Recover, confirmed).await?;
    let mut end = go(&mut hand, Intent::Recover, &manner).await?;
    let kept: Vec<Finding> = findings.into_iter().filter(|_| end.exit == Exit::Done).collect();
    end.findings.extend(kept);
    later::close(hand, end, Finalize::Manual, Duration::ZERO, &manner).await
}

/// What will be wanted half way.
fn rights(admin_steps: bool) -> Vec<Right> {
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

fn ask(session: &Session, args: &RecoverArgs, journal: &Journal) -> Result<Confirmed, Error> {
    let text = format!("Stop {} for this?", journal.set_name());
    let question = Question {
        text: &text,
        plan: Some(&journal.plan),
        type_to_agree: None,
        for_a_program: session.output.is_machine(),
    };
    Confirmed::ask(session.terminal, &args.on.consent, question)
}
