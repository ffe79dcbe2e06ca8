//! `run`: begins a migration, or continues the one that the same command began.

use super::{
    Session,
    context::{RunContext, locked},
    end::report_and_finalize,
    execute::{RunOptions, execute},
    plan::{make_plan, refused, under_way},
    resume::rehearse,
};
use crate::{
    cluster::{ConnectionArgs, DryRun},
    migrate::{
        args::RunArgs,
        journal::{Intent, StoredJournal, Wishes},
        plan::Plan,
        report::{self, PlanView},
        rules,
    },
    output::{Confirmed, Error, Exit, Question, Terminal},
    workload::refuses,
};

/// Runs `run`.
pub async fn run(
    args: &RunArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let request = args.request.request(&args.wishes)?;
    let session = Session::open(args.output.format, connection, terminal).await?;
    if let Some(stored) = under_way(&session, &request).await? {
        return continue_run(&session, stored, args).await;
    }
    let tries = args.confirmation.dry_run != DryRun::Client;
    let plan = make_plan(&session, &request, tries, args.request.admin_steps).await?;
    if refuses(&plan.findings) {
        // A run that began meanwhile is the reason, if there is one.
        if let Some(stored) = under_way(&session, &request).await? {
            return Err(locked(&stored, &stored.journal));
        }
        let what = format!("cannot move to StatefulSet {}", plan.journal.set_name());
        return Err(refused(&what, &plan.findings));
    }
    let cluster = &session.cluster;
    let command = args.given.to_do::<RunArgs>("migrate run", cluster, &plan.journal.plan);
    let view = PlanView::new(&plan, Some(&cluster.flags()), Some(command));
    if args.confirmation.dry_run != DryRun::None {
        let Plan { findings, unread, .. } = &plan;
        let look = session.look();
        let text =
            report::render_plan(&view, Exit::Done, findings, unread, args.output.format, look)?;
        session.terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    terminal.say(report::plan_text(&view, &plan.findings, session.look_of_stderr()).trim_end());
    let text = format!(
        "Move Deployment {} to StatefulSet {}?",
        view.deployments.join(", "),
        plan.journal.set_name()
    );
    let question = Question {
        text: &text,
        plan: Some(&plan.journal.plan),
        type_to_agree: None,
        for_a_program: args.output.format.is_machine(),
    };
    let confirmed = Confirmed::ask(terminal, &args.confirmation.consent, question)?;
    let options = RunOptions::of_run(args, &plan.journal.wishes);
    let mut context = RunContext::begin(&session, plan.journal, Intent::Forward, confirmed).await?;
    let outcome = execute(&mut context, Intent::Forward, &options).await;
    report_and_finalize(context, outcome, &options).await
}

/// Continues a migration that `run` finds begun, if it is the one asked for.
async fn continue_run(
    session: &Session,
    stored: StoredJournal,
    args: &RunArgs,
) -> Result<Exit, Error> {
    let journal = &stored.journal;
    let same = args.request.describes(journal);
    if stored.intent != Intent::Forward || !same {
        let message = format!(
            "a migration to StatefulSet {} is under way{}",
            journal.set_name(),
            if same { ", but it is not going forward" } else { ", with other options" }
        );
        let on = format!("configmap/{}", journal.config_map_name());
        let finding = rules::UNDER_WAY.found(on, message.clone());
        return Err(Error::new(rules::stopped_for(&finding), message)
            .hint(session.command("status", journal))
            .because(vec![finding]));
    }
    let wishes = args.wishes.over(&journal.wishes);
    let dry_run = args.confirmation.dry_run;
    if dry_run != DryRun::None {
        return rehearse(session, &stored, &wishes, args.request.admin_steps, dry_run).await;
    }
    let text = forward_question(journal.set_name(), &wishes);
    let question = Question {
        text: &text,
        plan: Some(&journal.plan),
        type_to_agree: None,
        for_a_program: session.output.is_machine(),
    };
    let confirmed = Confirmed::ask(session.terminal, &args.confirmation.consent, question)?;
    let options = RunOptions::of_run(args, &wishes);
    let mut context =
        RunContext::take_lock(session, stored, Intent::Forward, args.takeover, confirmed).await?;
    let outcome = execute(&mut context, Intent::Forward, &options).await;
    report_and_finalize(context, outcome, &options).await
}

/// Asks before a migration goes on, and says what cannot be undone.
pub fn forward_question(set: &str, wishes: &Wishes) -> String {
    match wishes.finalize_after {
        None => format!("Continue the migration to StatefulSet {set}?"),
        Some(_) => format!(
            "Continue the migration to StatefulSet {set}, and then finalize it, which cannot be \
             undone?"
        ),
    }
}
