//! The verbs of `migrate` and their flags; the doc comments are the help text.

mod request;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

pub use self::request::{NewVolumeArgs, RequestArgs, SetArgs};
use super::{
    convert::{Mode, Options},
    journal::Wishes,
    rules,
};
use crate::{
    cluster::parse_timeout,
    flags::{AllowArgs, ConfirmationArgs, FileArgs, Given, OutputArg, TimeoutArg},
    output::{Error, Format},
};

/// Turn a Deployment and its claims into a StatefulSet that keeps the data
#[derive(Args, Clone, Debug)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  # What would happen, then do it, then look\n  kubectl stateful migrate plan deploy/mysql\n  kubectl stateful migrate run deploy/mysql\n  kubectl stateful migrate status mysql\n\n  # Back, or on for good\n  kubectl stateful migrate rollback sts/mysql\n  kubectl stateful migrate finalize sts/mysql"
)]
pub struct MigrateArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    Plan(Box<PlanArgs>),
    Run(Box<RunArgs>),
    Status(StatusArgs),
    Resume(ResumeArgs),
    Rollback(RollbackArgs),
    Finalize(FinalizeArgs),
    Recover(RecoverArgs),
    Convert(Box<ConvertArgs>),
}

impl Verb {
    /// The output format that was asked for, so that a failure is written in it
    /// too.
    pub fn format(&self) -> Format {
        match self {
            Verb::Plan(args) => args.output.format,
            Verb::Run(args) => args.output.format,
            Verb::Status(args) => args.output.format,
            Verb::Resume(args) => args.on.output.format,
            Verb::Rollback(args) => args.on.output.format,
            Verb::Finalize(args) => args.on.output.format,
            Verb::Recover(args) => args.on.output.format,
            Verb::Convert(args) if args.output == ConvertFormat::Json => Format::Json,
            Verb::Convert(_) => Format::Table,
        }
    }
}

/// What goes to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ConvertFormat {
    /// The manifests
    #[default]
    Yaml,
    /// One JSON document: items[] with every object, and reasons[]
    Json,
}

/// Convert manifests: Deployment and claims in, StatefulSet and claims out
///
/// Contacts no cluster and moves no data. Each Deployment in the input that mounts a claim becomes
/// a StatefulSet. Its claims become volumeClaimTemplates, and claims under the names that the set
/// will look for. A headless Service is created if the input has none. All other documents are
/// copied unchanged, with their comments. The manifests go to stdout. Notes on what was left out,
/// what was changed and what needs a person go to stderr. docs/migrate.md describes each field.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("filename", |arg| {
        arg.required(true)
            .help("Read manifests from a file, a folder, or - for stdin; may be repeated")
    }),
    after_help = EXAMPLES
)]
pub struct ConvertArgs {
    /// Convert only these: NAME or deploy/NAME [default: all that mount a claim]
    #[arg(value_name = "DEPLOYMENT")]
    pub deployments: Vec<String>,

    #[command(flatten)]
    pub files: FileArgs,

    /// Write each input file, converted, to this folder under the same name
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub out: Option<PathBuf>,

    /// Output format
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: ConvertFormat,

    /// What happens to the claims
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub mode: Mode,

    #[command(flatten)]
    pub set: SetArgs,

    /// Overwrite files in the --out folder that have different content
    #[arg(short, long, requires = "out", help_heading = "Safety options")]
    pub yes: bool,

    /// Exit 3 when something needs a person
    #[arg(long)]
    pub exit_code: bool,
}

impl ConvertArgs {
    /// The options of the conversion.
    ///
    /// # Errors
    /// When an argument names no Deployment, or a volume has two templates.
    pub fn options(&self, namespace: Option<&str>) -> Result<Options, Error> {
        let keeps = self.mode == Mode::Keep;
        let options = self.set.options(&self.deployments, keeps, rules::BY_CONVERSION)?;
        Ok(Options { mode: self.mode, namespace: namespace.map(str::to_owned), ..options })
    }
}

/// Show what run would do and what is in the way; change nothing
///
/// Reads the Deployment and what is around it, converts it as convert does, and has the server try
/// each object that would be created in a dry run, with quotas and webhooks.
#[derive(Args, Clone, Debug)]
#[command(after_help = PLAN_EXAMPLES)]
pub struct PlanArgs {
    #[command(flatten)]
    pub given: Given,

    #[command(flatten)]
    pub request: RequestArgs,

    #[command(flatten)]
    pub wishes: WishArgs,

    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub output: OutputArg,

    /// Write the manifests of the set to this folder, for Git
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub emit: Option<PathBuf>,

    /// Overwrite files in the --emit folder that have different content
    #[arg(short, long, requires = "emit", help_heading = "Safety options")]
    pub yes: bool,

    /// Exit 3 when there is something to do, 4 when a guard refuses
    #[arg(long)]
    pub exit_code: bool,
}

const PLAN_EXAMPLES: &str = "\
Examples:
  # What would happen, and what is in the way
  kubectl stateful migrate plan deploy/mysql

  # Three Deployments become db-0, db-1 and db-2
  kubectl stateful migrate plan --from db-a,db-b,db-c --name db

  # The same, and the manifests for Git
  kubectl stateful migrate plan deploy/mysql --emit manifests/

  # Without a cluster: from manifests or a dump
  kubectl stateful migrate plan deploy/mysql -f dump.yaml";

/// Move a Deployment and its claims to a StatefulSet that keeps the data
///
/// The volumes are handed over to the claims of the set while the old pod keeps serving. Then the
/// Deployment stops and the set starts, so the downtime is that of one restart. Nothing that was
/// there before is deleted until finalize; until then, rollback brings the Deployment back. If the
/// run is killed, the same command continues it. With --mode copy, clone or snapshot the set gets
/// its own volumes, and the old ones stay as they are.
#[derive(Args, Clone, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    #[command(flatten)]
    pub given: Given,

    #[command(flatten)]
    pub request: RequestArgs,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub wishes: WishArgs,

    #[command(flatten)]
    pub timeout: TimeoutArg,

    /// Take the lock from a run that is known to be dead
    #[arg(long, help_heading = "Safety options")]
    pub takeover: bool,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,
}

const RUN_EXAMPLES: &str = "\
Examples:
  # Show the plan, ask, and do it
  kubectl stateful migrate run deploy/mysql

  # Only if nothing has changed since that plan was shown
  kubectl stateful migrate run deploy/mysql --confirm-plan 3f9a1c0b

  # To another class and size: copy while it serves, and again when it has stopped
  kubectl stateful migrate run deploy/mysql --mode copy --copy-image registry.example/rsync:3 \
    --storage-class fast --size 50Gi

  # In a runbook: check the database, and roll back if the check fails
  kubectl stateful migrate run deploy/mysql --yes --verify-exec 'mysqladmin ping' --auto-rollback";

/// What is done besides the move. The journal keeps it, so that `resume` does it
/// too.
#[derive(Args, Clone, Debug, Default)]
pub struct WishArgs {
    /// Shell command that must succeed in every new pod. The journal keeps it as it is typed: take
    /// passwords from the environment of the pod
    #[arg(long, value_name = "CMD")]
    pub verify_exec: Option<String>,

    /// Roll back automatically when the set does not start or --verify-exec fails
    #[arg(long)]
    pub auto_rollback: bool,

    /// When to finalize [default: manual]
    #[arg(long, value_name = "WHEN", value_enum)]
    pub finalize: Option<Finalize>,

    /// How long the set must run before it is finalized
    #[arg(
        long, value_name = "DURATION", value_parser = parse_timeout, default_value = "0s",
        requires = "finalize"
    )]
    pub soak: Duration,
}

impl WishArgs {
    /// What was asked for when the migration was begun, unless these flags ask
    /// for something else.
    pub fn over(&self, begun: &Wishes) -> Wishes {
        Wishes {
            verify: self.verify_exec.clone().or_else(|| begun.verify.clone()),
            auto_rollback: self.auto_rollback || begun.auto_rollback,
            finalize_after: match self.finalize {
                None => begun.finalize_after,
                Some(Finalize::Manual) => None,
                Some(Finalize::Auto) => Some(self.soak.as_secs()),
            },
        }
    }
}

/// When finalize runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Finalize {
    /// Only when you run finalize
    #[default]
    Manual,
    /// After --soak
    Auto,
}

/// The flags of every verb on a migration that was begun.
#[derive(Args, Clone, Debug)]
pub struct OnArgs {
    /// The set or the Deployment: NAME, sts/NAME, deploy/NAME
    #[arg(value_name = "NAME", required = true, num_args = 1..=2)]
    pub target: Vec<String>,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub timeout: TimeoutArg,

    /// Instead of writing to volumes, print the commands for an administrator
    #[arg(long = "print-admin-steps")]
    pub admin_steps: bool,

    /// Take the lock from a run that is known to be dead
    #[arg(long, help_heading = "Safety options")]
    pub takeover: bool,
}

/// Continue a migration that was interrupted, in the direction it was going
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  # What would be written from here on\n  kubectl stateful migrate resume sts/mysql --dry-run\n\n  kubectl stateful migrate resume sts/mysql"
)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub on: OnArgs,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,

    #[command(flatten)]
    pub wishes: WishArgs,
}

/// Bring the Deployment back, from any point before finalize
///
/// The volumes return to their old claims and the Deployment starts. Then everything that the
/// migration created is deleted. A Deployment or claims that someone has deleted meanwhile are made
/// again as they were. If something is in the way, nothing is changed. What the set has written
/// stays on the volumes: a rollback does not turn back time. If the set has its own volumes, their
/// claims are deleted, and with them what it has written.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  # What would be written, and what would be waited for\n  kubectl stateful migrate rollback sts/mysql --dry-run\n\n  kubectl stateful migrate rollback sts/mysql"
)]
pub struct RollbackArgs {
    #[command(flatten)]
    pub on: OnArgs,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,
}

/// Delete what a rollback would need; this cannot be undone
///
/// Also gives up a way back that is closed: if a rollback is stuck and the set still has the data,
/// the migration first goes forward again.
///
/// The Deployment and the old claims, which have lost their volumes, are deleted. Then the volumes
/// get their previous reclaim policy, and every mark of the migration is removed. If the set has
/// its own volumes, the old claims stay.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  # What would be deleted\n  kubectl stateful migrate finalize sts/mysql --dry-run\n\n  kubectl stateful migrate finalize sts/mysql"
)]
pub struct FinalizeArgs {
    #[command(flatten)]
    pub on: OnArgs,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,

    /// How long the set must have run
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "0s")]
    pub soak: Duration,
}

/// Put an old volume back under a StatefulSet that runs on an empty one
///
/// For sets that were moved by hand: the set came up before its volume was handed over and got a
/// new, empty one, while the data is on a volume that is Released. The ordinals from --ordinal up
/// are stopped, the claim is recreated for the old volume, and they start again. The empty volume
/// is kept, under policy Retain.
#[derive(Args, Clone, Debug)]
#[command(after_help = RECOVER_EXAMPLES)]
pub struct RecoverArgs {
    #[command(flatten)]
    pub given: Given,

    #[command(flatten)]
    pub on: OnArgs,

    /// The volume with the data; TEMPLATE=VOLUME if the set has several templates. May be repeated
    /// [default: list the volumes to choose from, and change nothing]
    #[arg(long, value_name = "VOLUME", value_parser = template_volume)]
    pub pv: Vec<(Option<String>, String)>,

    /// The ordinal that it belongs to
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub ordinal: u32,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,

    #[command(flatten)]
    pub allow: AllowArgs,
}

const RECOVER_EXAMPLES: &str = "\
Examples:
  # Which volumes may have the data of mysql-0
  kubectl stateful migrate recover sts/mysql

  # mysql-0 came up empty; its data is on this volume
  kubectl stateful migrate recover sts/mysql --pv pvc-3f9a1c0b

  # Two volumes of ordinal 2
  kubectl stateful migrate recover sts/db --ordinal 2 --pv data=pv-7 --pv logs=pv-8";

/// Show where a migration stands; without a name, list those under way
///
/// Everything is looked at: which pods are Ready, which volume each claim really has, and whether
/// the way back is open. The commands that are offered are those that would succeed now.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  kubectl stateful migrate status\n  kubectl stateful migrate status sts/mysql"
)]
pub struct StatusArgs {
    /// The set or the Deployment: NAME, sts/NAME, deploy/NAME
    #[arg(value_name = "NAME", num_args = 0..=2)]
    pub target: Vec<String>,

    #[command(flatten)]
    pub files: FileArgs,

    /// In all namespaces
    #[arg(short = 'A', long, conflicts_with = "target")]
    pub all_namespaces: bool,

    /// Exit 3 when something is wrong with a migration
    #[arg(long)]
    pub exit_code: bool,

    #[command(flatten)]
    pub output: OutputArg,
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a Result")]
fn template_volume(text: &str) -> Result<(Option<String>, String), String> {
    Ok(match text.split_once('=') {
        Some((template, volume)) => (Some(template.to_owned()), volume.to_owned()),
        None => (None, text.to_owned()),
    })
}

const EXAMPLES: &str = "\
Examples:
  # What comes out, and what needs a person
  kubectl stateful migrate convert -f app.yaml

  # Convert a folder of manifests into another, file by file
  kubectl stateful migrate convert -f deploy/ --out converted/

  # A rendered chart; call the claim template data
  helm template db ./chart | kubectl stateful migrate convert -f - --claim storage=data

  # Three Deployments become db-0, db-1 and db-2
  kubectl stateful migrate convert -f shards.yaml --from db-a,db-b,db-c --name db";
