//! Runs the verbs of `canary`: reads, asks, writes, watches, reports.

mod abort;
mod begin;
mod checks;
mod claims;
mod context;
mod forget;
mod forward;
mod history;
mod look;
mod pause;
mod promote;
mod rights;
mod session;
mod start_plan;
mod start_view;

use super::args::{CanaryArgs, Verb};
use crate::{
    cluster::ConnectionArgs,
    output::{Error, Exit, Terminal},
};

/// Runs a verb of `canary`.
///
/// # Errors
/// When the command line is wrong, the set cannot be read, or a guard refuses.
pub async fn run(
    args: &CanaryArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    match &args.verb {
        Verb::Plan(args) => begin::plan(args, connection, terminal).await,
        Verb::Start(args) => begin::start(args, connection, terminal).await,
        Verb::Stage(args) => pause::stage(args, connection, terminal).await,
        Verb::Status(args) => look::status(args, connection, terminal).await,
        Verb::Promote(args) => promote::promote(args, connection, terminal).await,
        Verb::Pause(args) => pause::pause(args, connection, terminal).await,
        Verb::Abort(args) => abort::abort(args, connection, terminal).await,
        Verb::Unstick(args) => abort::unstick(args, connection, terminal).await,
        Verb::Forget(args) => forget::forget(args, connection, terminal).await,
        Verb::History(args) => history::history(args, connection, terminal).await,
    }
}
