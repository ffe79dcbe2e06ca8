//! The verbs of `canary` and their flags; their comments are its help.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{change::ChangeArgs, gates::GateArgs};
use crate::{
    cluster::parse_timeout,
    flags::{
        AllowArgs, ConfirmationArgs, FileArgs, Given, OutputArg, SetArg, TimeoutArg, WatchArgs,
    },
    output::Format,
};

/// Roll a StatefulSet to a new version one ordinal at a time, or back
///
/// The partition of the set keeps all ordinals below it on the old revision;
/// each step lowers it by one, after the previous ordinal has passed its gates.
/// If it is killed, no further pod moves, and the same command continues.
#[derive(Args, Clone, Debug)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  # What would move, then the first ordinal, then the rest\n  kubectl stateful canary plan web --image nginx:1.22\n  kubectl stateful canary start web --image nginx:1.22\n  kubectl stateful canary promote web\n\n  # Back to the stable revision\n  kubectl stateful canary abort web"
)]
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
    Forget(ForgetArgs),
    History(HistoryArgs),
}

impl Verb {
    /// How the answer was asked for.
    pub fn format(&self) -> Format {
        match self {
            Verb::Plan(args) => args.output.format,
            Verb::Start(args) => args.common.output.format,
            Verb::Stage(args) => args.common.output.format,
            Verb::Status(args) => args.output.format,
            Verb::Promote(args) => args.common.output.format,
            Verb::Pause(args) => args.common.output.format,
            Verb::Abort(args) => args.common.output.format,
            Verb::Unstick(args) => args.common.output.format,
            Verb::Forget(args) => args.common.output.format,
            Verb::History(args) => args.output.format,
        }
    }
}

/// What every verb that changes something takes. Only `start` has a plan that
/// can be confirmed by its hash; the other verbs hide that flag, and say so
/// where it is given.
#[derive(Args, Clone, Debug)]
pub struct Common {
    #[command(flatten)]
    pub given: Given,

    #[command(flatten)]
    pub set: SetArg,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,
}

/// How far a canary goes.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct ReachArgs {
    /// How many ordinals run the new version in the end, counting from the highest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,

    /// The same as a percentage of the replicas, rounded up
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub percent: Option<u32>,

    /// The lowest ordinal to move
    #[arg(long, value_name = "ORDINAL")]
    pub to_ordinal: Option<u32>,
}

/// Show what start would do and any reason not to; changes nothing
#[derive(Args, Clone, Debug)]
#[command(
    // -f are files of objects here; elsewhere it was once the file of gates.
    mut_arg("gates", |arg| arg.short_alias(None)),
    after_help = PLAN_EXAMPLES
)]
pub struct PlanArgs {
    #[command(flatten)]
    pub given: Given,

    #[command(flatten)]
    pub set: SetArg,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub change: ChangeArgs,

    #[command(flatten)]
    pub reach: ReachArgs,

    #[command(flatten)]
    pub gates: GateArgs,

    #[command(flatten)]
    pub allow: AllowArgs,

    /// Exit 3 when there is something to do, 4 when a guard refuses
    #[arg(long)]
    pub exit_code: bool,
}

const PLAN_EXAMPLES: &str = "\
Examples:
  # Which ordinal, which change, which gates, and what is in the way
  kubectl stateful canary plan web --image nginx=nginx:1.22

  # Without a cluster: from a dump that somebody sent
  kubectl stateful canary plan web --image nginx=nginx:1.22 -f dump.yaml";

/// Roll a new template out to the highest ordinals, behind gates
///
/// Template and partition change in one write, so that no other ordinal moves.
/// When the last requested ordinal has passed its gates, the canary pauses:
/// promote continues, abort goes back.
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

    #[command(flatten)]
    pub allow: AllowArgs,
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

/// Hold back every pod before Helm or GitOps applies a new template
///
/// Sets the partition above every ordinal, so that a template applied
/// afterwards reaches no pod. Then start --adopt, or abort.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("confirm_plan", |arg| arg.hide(true)),
    after_help = "Examples:\n  kubectl stateful canary stage web\n  helm upgrade shop ./chart\n  kubectl stateful canary start web --adopt"
)]
pub struct StageArgs {
    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    pub allow: AllowArgs,
}

/// Show where a canary is: which ordinal runs what, and its gates
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("wait_for", |arg| arg.help("Wait until the canary reaches this state, then exit")),
    after_help = SHOW_EXAMPLES
)]
pub struct ShowArgs {
    #[command(flatten)]
    pub set: SetArg,

    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub until: WatchArgs<Awaited>,

    /// Exit 3 when something keeps the canary from going on, such as a pod that is broken or that
    /// the server refuses, 9 when it waits to be promoted
    #[arg(long)]
    pub exit_code: bool,
}

/// What `canary status --wait-for` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Awaited {
    /// All ordinals that were moved have passed their gates
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

/// Move the next ordinals to the new version, each behind the gates
///
/// Without --count, --percent, --to-ordinal or --full: one more. An ordinal
/// that has moved but not yet passed its gates is judged first, and counts as
/// that one.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("confirm_plan", |arg| arg.hide(true)),
    after_help = PROMOTE_EXAMPLES
)]
pub struct PromoteArgs {
    #[command(flatten)]
    pub common: Common,

    /// All of them, still one at a time; then the original partition is restored
    #[arg(long, conflicts_with_all = ["count", "percent", "to_ordinal"])]
    pub full: bool,

    #[command(flatten)]
    pub reach: ReachArgs,

    #[command(flatten)]
    pub gates: GateArgs,

    #[command(flatten)]
    pub allow: AllowArgs,
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

/// Stop a rollout where it is
///
/// Sets the partition to the lowest ordinal that has moved or is being
/// replaced. A promote that runs elsewhere stops. Also works for a rollout that
/// kubectl or Helm started.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("confirm_plan", |arg| arg.hide(true)),
    after_help = "Examples:\n  kubectl stateful canary pause web\n  kubectl stateful canary promote web --full"
)]
pub struct PauseArgs {
    #[command(flatten)]
    pub common: Common,
}

/// Go back to the revision from before the canary
///
/// Restores the template of the saved ControllerRevision exactly. What somebody
/// else has edited since is overwritten only with --allow CANARY-OVERWRITES. The
/// controller then replaces the new pods. A new pod that never
/// becomes Ready is deleted, because the controller would wait for it forever
/// (kubernetes #67250).
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("confirm_plan", |arg| arg.hide(true)),
    mut_arg("timeout", |arg| arg.help("How long to wait for the set to be back; 0 waits forever")),
    after_help = "Examples:\n  kubectl stateful canary abort web"
)]
pub struct AbortArgs {
    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    pub patience: PatienceArgs,

    #[command(flatten)]
    pub timeout: TimeoutArg,

    #[command(flatten)]
    pub allow: AllowArgs,
}

/// When a pod is given up.
#[derive(Args, Clone, Copy, Debug)]
pub struct PatienceArgs {
    /// How long a pod may be unready without a known cause before it is deleted
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "30s")]
    pub unstick_after: Duration,
}

/// Unblock a set that waits for a pod left over from a reverted rollout
///
/// Outside a canary: the template was reverted, and under OrderedReady the
/// controller still waits for the broken pod (kubernetes #67250). Prints the
/// evidence, then deletes such pods only, lowest first, until the set moves.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("confirm_plan", |arg| arg.hide(true)),
    mut_arg("timeout", |arg| {
        arg.default_value("5m")
            .help("How long to wait for the set to move again; 0 waits forever")
    }),
    after_help = "Examples:\n  kubectl stateful canary unstick web"
)]
pub struct UnstickArgs {
    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    pub patience: PatienceArgs,

    #[command(flatten)]
    pub timeout: TimeoutArg,
}

/// Drop the record of a canary from which no verb can go on
///
/// Such as one that cannot be read, or whose stable revision is gone. Says what
/// is lost with it, and leaves template, partition and pods as they are. A record
/// that abort or promote can go on from is not dropped.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("confirm_plan", |arg| arg.hide(true)),
    after_help = "Examples:\n  # What would be lost\n  kubectl stateful canary forget web --dry-run\n\n  kubectl stateful canary forget web"
)]
pub struct ForgetArgs {
    #[command(flatten)]
    pub common: Common,
}

/// List the revisions of a set, which pods run them, and how two of them differ
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  kubectl stateful canary history web\n\n  # What the newest revision changed, or how two differ\n  kubectl stateful canary history web --revision 4\n  kubectl stateful canary history web --revision 4 --against 2"
)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub set: SetArg,

    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub output: OutputArg,

    /// Show how this revision, by number or name, differs from the one before it
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,

    /// The other revision to compare with
    #[arg(long, value_name = "REVISION", requires = "revision")]
    pub against: Option<String>,
}
