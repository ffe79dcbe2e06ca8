//! Prints a picture, and decides the exit code.

use crate::{
    dns::{
        args::{LookArgs, Output},
        compare::Outcome,
        domain::DomainSource,
        lists::ListOptions,
        picture::Picture,
        report,
    },
    output::{Error, Exit, Look, Terminal},
};

/// Prints a picture.
///
/// # Errors
/// When it cannot be written.
pub fn show(
    picture: &Picture,
    args: &LookArgs,
    ordinal: Option<u32>,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let exit = verdict(picture, args);
    warn_of_assumed_domain(picture, args, terminal);
    let look = args.rows.applied(Look::of(terminal, picture.now));
    if look.only_rows || args.output.is_bare() {
        terminal.warn_of_unread(&picture.unread);
    }
    terminal.conclude(&report::render(picture, exit, &list_options(args, ordinal), look)?)?;
    Ok(exit)
}

/// Warns of an assumed domain in a list, which does not show the source.
pub fn warn_of_assumed_domain(picture: &Picture, args: &LookArgs, terminal: Terminal) {
    if args.output.is_list() && picture.domain.source == DomainSource::Assumed {
        let domain = &picture.domain.name;
        terminal.warn(&format!(
            "the cluster's domain is assumed to be {domain}; --cluster-domain sets it"
        ));
    }
}

/// The options of a list.
pub fn list_options(args: &LookArgs, ordinal: Option<u32>) -> ListOptions {
    ListOptions {
        output: args.output,
        format: args.format.clone(),
        port: args.port.clone(),
        ordinal,
    }
}

/// The exit code for a picture. A list is about names, not about who serves
/// them.
pub fn verdict(picture: &Picture, args: &LookArgs) -> Exit {
    if args.output.is_list() {
        // The names follow from the set alone.
        let is_known = args.output == Output::Name && !args.waits();
        let is_known = is_known || (picture.unread.is_empty() && !picture.cannot_ask);
        return if is_known { Exit::Done } else { Exit::Incomplete };
    }
    let silent = picture.asked.iter().any(|asked| asked.error.is_some());
    let failed = || {
        let mut outcomes = picture.rows.iter().flat_map(|judged| &judged.outcomes);
        outcomes.any(|outcome| matches!(outcome, Outcome::Failed(_)))
    };
    if picture.has_problem() {
        Exit::Found
    } else if picture.unread.is_empty() && !silent && !failed() {
        Exit::Done
    } else {
        Exit::Incomplete
    }
}
