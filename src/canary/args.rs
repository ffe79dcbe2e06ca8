//! The verbs of `canary` and their flags; their comments are its help.

use std::time::Duration;

use clap::{Args, Subcommand, builder::ArgPredicate};

use super::{change::ChangeArgs, gates::GateArgs};
use crate::{
    cluster::{Rehearsal, parse_timeout},
    completion,
    output::{ConsentArgs, Format},
};

/// Bring a StatefulSet to a new version, one ordinal at a time, and back
///
/// The partition of the set holds all ordinals below it on the old revision;
/// each step lowers it by one, after the ordinal before has passed its gates.
/// Killed at any moment, the set is at rest, and the same command goes on.
#[derive(Args, Clone, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct CanaryArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    Plan(PlanArgs),
    Start(StartArgs),
    Stage(StageArgs),
    Status(ShowArgs),
    Promote(PromoteArgs),
    Pause(PauseArgs),
    Abort(AbortArgs),
    Unstick(UnstickArgs),
    History(HistoryArgs),
}

impl Verb {
    /// How the answer was asked for.
    pub fn format(&self) -> Format {
        match self {
            Verb::Plan(args) => args.output,
            Verb::Start(args) => args.common.output,
            Verb::Stage(args) => args.common.output,
            Verb::Status(args) => args.output,
            Verb::Promote(args) => args.common.output,
            Verb::Pause(args) => args.common.output,
            Verb::Abort(args) => args.common.output,
            Verb::Unstick(args) => args.common.output,
            Verb::History(args) => args.output,
        }
    }
}

/// What every verb that changes something takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The set: NAME, sts/NAME, or sts NAME
    #[arg(value_name = "STATEFULSET", required = true, num_args = 1..=2, add = completion::sets())]
    pub set: Vec<String>,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    #[command(flatten)]
    pub rehearsal: Rehearsal,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

/// How far a canary goes.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct ReachArgs {
    /// How many ordinals run the new version in the end, counted from the highest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,

    /// The same in percent of the replicas, rounded up
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub percent: Option<u32>,

    /// The lowest ordinal that is to move
    #[arg(long, value_name = "ORDINAL")]
    pub to_ordinal: Option<u32>,
}

/// Show what start would do, and what speaks against it; change nothing
#[derive(Args, Clone, Debug)]
#[command(after_help = PLAN_EXAMPLES)]
pub struct PlanArgs {
    /// The set: NAME, sts/NAME, or sts NAME
    #[arg(value_name = "STATEFULSET", required = true, num_args = 1..=2, add = completion::sets())]
    pub set: Vec<String>,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    /// Read objects from a file, a folder, or - for stdin, instead of a cluster; may be repeated
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<String>,

    #[command(flatten)]
    pub change: ChangeArgs,

    #[command(flatten)]
    pub reach: ReachArgs,

    #[command(flatten)]
    pub gates: GateArgs,

    /// Override a guard by its id; may be repeated
    #[arg(long, value_name = "ID", help_heading = "Safety options")]
    pub allow: Vec<String>,

    /// Exit 3 when there is something to do, 4 when a guard says no
    #[arg(long)]
    pub exit_code: bool,
}

const PLAN_EXAMPLES: &str = "\
Examples:
  # Which ordinal, which change, which gates, and what is in the way
  kubectl stateful canary plan web --image nginx=nginx:1.22

  # Without a cluster: from a dump that somebody sent
  kubectl stateful canary plan web --image nginx=nginx:1.22 --filename dump.yaml";

/// Change the template and let the highest ordinals have it, behind gates
///
/// Template and partition change in one write, so that no other ordinal moves.
/// When the last ordinal that was asked for has passed its gates, the canary
/// rests there: promote goes on, abort goes back.
#[derive(Args, Clone, Debug)]
#[command(after_help = START_EXAMPLES)]
pub struct StartArgs {
    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    pub change: ChangeArgs,

    #[command(flatten)]
    pub reach: ReachArgs,

    #[command(flatten)]
    pub gates: GateArgs,

    /// Override a guard by its id; may be repeated
    #[arg(long, value_name = "ID", help_heading = "Safety options")]
    pub allow: Vec<String>,
}

const START_EXAMPLES: &str = "\
Examples:
  # Only the highest ordinal gets the new image
  kubectl stateful canary start web --image nginx=nginx:1.22

  # Watch it for five minutes, and ask it something, before it counts as good
  kubectl stateful canary start web --image nginx=nginx:1.22 --bake 5m --gate-http 80/

  # A change that Helm or Argo CD brings: hold first, apply, then take it over
  kubectl stateful canary stage web
  kubectl stateful canary start web --adopt";

/// Hold everything back before Helm or GitOps applies a new template
///
/// Sets the partition above every ordinal, so that a template which is applied
/// afterwards reaches no pod. Then start --adopt, or abort.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  kubectl stateful canary stage web\n  helm upgrade shop ./chart\n  kubectl stateful canary start web --adopt"
)]
pub struct StageArgs {
    #[command(flatten)]
    pub common: Common,

    /// Override a guard by its id; may be repeated
    #[arg(long, value_name = "ID", help_heading = "Safety options")]
    pub allow: Vec<String>,
}

/// Show where a canary is: which ordinal runs what, and its gates
#[derive(Args, Clone, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// The set: NAME, sts/NAME, or sts NAME
    #[arg(value_name = "STATEFULSET", required = true, num_args = 1..=2, add = completion::sets())]
    pub set: Vec<String>,

    /// Read objects from a file, a folder, or - for stdin, instead of a cluster; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<String>,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    /// Stay and show every change: in place on a terminal, a line each elsewhere
    #[arg(short, long, conflicts_with = "filename")]
    pub watch: bool,

    /// Wait until the canary is so, then end
    #[arg(long, value_name = "GOAL", value_enum, conflicts_with = "filename")]
    pub wait_for: Option<Awaited>,

    /// How long to wait: 5s, 2m, 1m30s, or seconds; 0 waits forever
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_timeout,
        default_value_if("wait_for", ArgPredicate::IsPresent, "5m")
    )]
    pub timeout: Option<Duration>,

    /// Exit 3 when a new pod is broken, 9 when the canary waits for somebody to promote it
    #[arg(long)]
    pub exit_code: bool,
}

/// What `canary status --wait-for` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Awaited {
    /// The ordinals that were told to move have passed their gates
    Paused,
    /// No canary is under way and every ordinal runs the template's revision
    Complete,
}

const SHOW_EXAMPLES: &str = "\
Examples:
  kubectl stateful canary status web

  # Follow it from another terminal
  kubectl stateful canary status web --watch

  # Without a cluster: from a dump that somebody sent
  kubectl stateful canary status web -f dump.yaml";

/// Let the next ordinals have the new version, each behind the gates
///
/// Without --count, --percent, --to-ordinal or --full: one more. An ordinal
/// that has moved and not yet passed its gates comes first, and then counts as
/// that one.
#[derive(Args, Clone, Debug)]
#[command(after_help = PROMOTE_EXAMPLES)]
pub struct PromoteArgs {
    #[command(flatten)]
    pub common: Common,

    /// All of them, still one at a time; then the partition from before comes back
    #[arg(long, conflicts_with_all = ["count", "percent", "to_ordinal"])]
    pub full: bool,

    #[command(flatten)]
    pub reach: ReachArgs,

    #[command(flatten)]
    pub gates: GateArgs,

    /// Override a guard by its id; may be repeated
    #[arg(long, value_name = "ID", help_heading = "Safety options")]
    pub allow: Vec<String>,
}

const PROMOTE_EXAMPLES: &str = "\
Examples:
  # One more ordinal
  kubectl stateful canary promote web

  # All the rest, five minutes of quiet after each; back if one fails
  kubectl stateful canary promote web --full --bake 5m --on-failure abort

  # The primary last, and only after it has handed over
  kubectl stateful canary promote mysql --full --leader-label role=primary \\
      --switchover-exec '/scripts/switchover'";

/// Hold a rollout where it is
///
/// Sets the partition to the lowest ordinal that has moved or is being
/// replaced at this moment. A promote that runs elsewhere stops. Also for a
/// rollout that kubectl or Helm began.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  kubectl stateful canary pause web\n  kubectl stateful canary promote web --full"
)]
pub struct PauseArgs {
    #[command(flatten)]
    pub common: Common,
}

/// Go back to the revision from before the canary
///
/// The template of the saved ControllerRevision is put back exactly, whatever
/// was edited since; the controller takes the new pods back. A new pod that
/// never becomes Ready is deleted, because the controller would wait for it for
/// ever (kubernetes #67250).
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  kubectl stateful canary abort web")]
pub struct AbortArgs {
    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    pub patience: PatienceArgs,

    /// How long to wait for the set to be back; 0 waits forever
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "10m")]
    pub timeout: Duration,
}

/// When a pod is given up.
#[derive(Args, Clone, Copy, Debug)]
pub struct PatienceArgs {
    /// How long a pod may be unready, with nothing plainly wrong, before it is deleted
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "30s")]
    pub unstick_after: Duration,
}

/// Free a set that waits for a pod which nobody wants any more
///
/// Outside a canary: the template was taken back, and under OrderedReady the
/// controller still waits for the broken pod (kubernetes #67250). Prints the
/// proof, then deletes that pod and no other, lowest first, until the set moves.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  kubectl stateful canary unstick web")]
pub struct UnstickArgs {
    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    pub patience: PatienceArgs,

    /// How long to wait for the set to move again; 0 waits forever
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "5m")]
    pub timeout: Duration,
}

/// List the revisions of a set, who runs them, and how two of them differ
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  kubectl stateful canary history web\n\n  # What the newest revision changed, or how two differ\n  kubectl stateful canary history web --revision 4\n  kubectl stateful canary history web --revision 4 --against 2"
)]
pub struct HistoryArgs {
    /// The set: NAME, sts/NAME, or sts NAME
    #[arg(value_name = "STATEFULSET", required = true, num_args = 1..=2, add = completion::sets())]
    pub set: Vec<String>,

    /// Read objects from a file, a folder, or - for stdin, instead of a cluster; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<String>,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    /// Show how this revision, by number or name, differs from the one before it
    #[arg(long, value_name = "REVISION", add = completion::revisions())]
    pub revision: Option<String>,

    /// The other revision to compare with
    #[arg(long, value_name = "REVISION", requires = "revision", add = completion::revisions())]
    pub against: Option<String>,
}
