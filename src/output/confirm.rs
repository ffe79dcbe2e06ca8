//! Confirmation before a change.
//!
//! A [`Confirmed`] proves that the user has confirmed. Only this module can make
//! one, and no write to a cluster is possible without one.

use dialoguer::{Confirm, Input};

use super::{Error, Exit, Terminal};

/// Proof that the user has confirmed the change.
#[derive(Debug)]
pub struct Confirmed(());

/// Flags that confirm in advance.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Safety options")]
pub struct ConsentArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    /// Do not ask for confirmation, but go ahead only if the plan still has this hash
    #[arg(long, value_name = "HASH")]
    pub confirm_plan: Option<String>,
}

/// What the user has to confirm.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// One line that ends in a question mark: `Scale web from 5 to 3?`
    pub text: &'a str,
    /// The current hash of the plan, for commands that print one.
    pub plan: Option<&'a str>,
    /// The name that has to be typed before a change that cannot be undone.
    pub type_to_agree: Option<&'a str>,
    /// Whether the output is for a program (`-o json`, `yaml`, `jsonl`): then
    /// there is no prompt.
    pub for_a_program: bool,
}

impl Confirmed {
    /// Accepts the flags as confirmation, or asks on the terminal.
    ///
    /// # Errors
    /// `Conflict` when the plan has changed, `Refused` when the answer is no,
    /// `Usage` when a prompt is not possible.
    pub fn ask(
        terminal: Terminal,
        consent: &ConsentArgs,
        question: Question<'_>,
    ) -> Result<Confirmed, Error> {
        let asked = by_flags(terminal, consent, question)?;
        match (asked, question.type_to_agree) {
            (Asked::Agreed, _) => Ok(Confirmed(())),
            (Asked::Open, Some(name)) => type_name(question.text, name),
            (Asked::Open, None) => yes_or_no(question.text),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Agreed,
    Open,
}

/// Everything except the prompt itself.
fn by_flags(
    terminal: Terminal,
    consent: &ConsentArgs,
    question: Question<'_>,
) -> Result<Asked, Error> {
    if let Some(hash) = &consent.confirm_plan {
        return match question.plan {
            Some(plan) if plan == hash => Ok(Asked::Agreed),
            Some(plan) => Err(Error::new(
                Exit::Conflict,
                format!("the plan has changed: its hash is {plan} now, and {hash} was confirmed"),
            )
            .caused_by("the cluster or the flags have changed since then")
            .hint(format!("review the plan again, then pass --confirm-plan {plan}"))),
            None => Err(Error::usage("this command has no plan to confirm").hint("use --yes")),
        };
    }
    if consent.yes {
        return Ok(Asked::Agreed);
    }
    let why = if question.for_a_program {
        "the output format is for programs"
    } else if !terminal.stdin_is_tty {
        "stdin is not a terminal"
    } else if !terminal.stderr_is_tty {
        "stderr is not a terminal"
    } else {
        return Ok(Asked::Open);
    };
    let error = Error::usage(format!("confirmation is needed, but {why}; run it again with --yes"));
    Err(match question.plan {
        Some(plan) => error
            .hint(format!("--confirm-plan {plan} goes ahead only if the plan is still the same")),
        None => error,
    })
}

fn yes_or_no(text: &str) -> Result<Confirmed, Error> {
    match Confirm::new().with_prompt(text).default(false).interact_opt() {
        Ok(Some(true)) => Ok(Confirmed(())),
        Ok(Some(false) | None) => Err(declined()),
        Err(error) => Err(unanswered(&error)),
    }
}

fn type_name(text: &str, name: &str) -> Result<Confirmed, Error> {
    let prompt = format!("{text} This cannot be undone. Type {name} to continue");
    let typed: String = Input::new()
        .with_prompt(prompt)
        .allow_empty(true)
        .interact_text()
        .map_err(|error| unanswered(&error))?;
    if typed.trim() == name { Ok(Confirmed(())) } else { Err(declined()) }
}

fn declined() -> Error {
    Error::new(Exit::Refused, "not confirmed; nothing was changed")
}

fn unanswered(error: &dialoguer::Error) -> Error {
    Error::new(Exit::Refused, "no answer; nothing was changed").caused_by_chain(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question<'_> = Question {
        text: "Scale web from 5 to 3?",
        plan: Some("3f9a1c0b"),
        type_to_agree: None,
        for_a_program: false,
    };

    fn terminal(tty: bool) -> Terminal {
        let mut terminal = Terminal::detect(0);
        terminal.stdin_is_tty = tty;
        terminal.stderr_is_tty = tty;
        terminal
    }

    fn consent(yes: bool, plan: Option<&str>) -> ConsentArgs {
        ConsentArgs { yes, confirm_plan: plan.map(str::to_owned) }
    }

    #[test]
    fn off_a_terminal_a_flag_is_needed() {
        let error = by_flags(terminal(false), &consent(false, None), QUESTION).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert_eq!(
            error.to_string(),
            "error: confirmation is needed, but stdin is not a terminal; run it again with --yes\n\
             hint: --confirm-plan 3f9a1c0b goes ahead only if the plan is still the same"
        );
        let agreed = by_flags(terminal(false), &consent(true, None), QUESTION).unwrap();
        assert_eq!(agreed, Asked::Agreed);
    }

    #[test]
    fn a_program_is_not_asked_even_on_a_terminal() {
        let question = Question { for_a_program: true, ..QUESTION };
        let error = by_flags(terminal(true), &consent(false, None), question).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        let open = by_flags(terminal(true), &consent(false, None), QUESTION).unwrap();
        assert_eq!(open, Asked::Open);
    }

    #[test]
    fn a_confirmed_plan_must_still_be_the_plan() {
        let same = consent(false, Some("3f9a1c0b"));
        assert_eq!(by_flags(terminal(false), &same, QUESTION).unwrap(), Asked::Agreed);
        // `--yes` does not override it.
        let other = consent(true, Some("00000000"));
        let error = by_flags(terminal(false), &other, QUESTION).unwrap_err();
        assert_eq!(error.exit, Exit::Conflict);
        assert_eq!(
            error.headline(),
            "error: the plan has changed: its hash is 3f9a1c0b now, and 00000000 was confirmed"
        );
        let without = Question { plan: None, ..QUESTION };
        let error = by_flags(terminal(false), &same, without).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
    }
}
