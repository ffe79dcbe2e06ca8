//! The flags of `scale`; their comments are its help.

use std::time::Duration;

use clap::{ArgGroup, Args};

use crate::{
    cluster::{Rehearsal, parse_timeout},
    completion,
    output::{ConsentArgs, Format},
    steps::pod_command::Command,
};

/// Take ordinals of a StatefulSet away, or add some, one at a time
///
/// Before anything is written it says which ordinals leave, what becomes of
/// their disks, and what speaks against it. Then the replicas go down one by
/// one: the hooks, the pod really gone, the others well, and on. Killed at any
/// moment the set is at rest, and the same command goes on. docs/scale.md has
/// recipes for etcd, Cassandra, Redis, ZooKeeper and others.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = EXAMPLES,
    group = ArgGroup::new("goal").args(["replicas", "by"]).required(true)
)]
pub struct ScaleArgs {
    /// The set: NAME, sts/NAME, or sts NAME
    #[arg(value_name = "STATEFULSET", required = true, num_args = 1..=2, add = completion::sets())]
    pub set: Vec<String>,

    /// How many replicas there are to be
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,

    /// How many more, or, with a minus, how many fewer
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    pub by: Option<i64>,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    #[command(flatten)]
    pub hooks: HookArgs,

    /// How long all must have been well before the next step
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        value_parser = parse_timeout,
        help_heading = "Pace"
    )]
    pub settle: Duration,

    /// How long one wait may take; 0s waits for ever
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10m",
        value_parser = parse_timeout,
        help_heading = "Pace"
    )]
    pub timeout: Duration,

    /// Keep the claims of what leaves: sets whenScaled to Retain first, and verifies it
    #[arg(long, help_heading = "Data")]
    pub retain: bool,

    /// Take a VolumeSnapshot of every claim once its pod is gone, and wait until it is ready
    #[arg(long, value_name = "CLASS", help_heading = "Data")]
    pub snapshot: Option<String>,

    /// Scaling up, set claims that are left from before aside: new disks, nothing deleted
    #[arg(long, help_heading = "Data")]
    pub fresh: bool,

    /// Override a guard by its id; may be repeated
    #[arg(long, value_name = "ID", help_heading = "Safety options")]
    pub allow: Vec<String>,

    #[command(flatten)]
    pub rehearsal: Rehearsal,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

/// What runs around each ordinal.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Hooks")]
pub struct HookArgs {
    /// Run this here before each ordinal leaves or comes; it must succeed
    #[arg(long, value_name = "COMMAND")]
    pub before: Option<String>,

    /// Run this in the pod that is to leave; it must succeed: 'nodetool decommission'
    #[arg(long, value_name = "COMMAND")]
    pub before_exec: Option<Command>,

    /// The container for --before-exec [default: the pod's default container]
    #[arg(short, long, value_name = "CONTAINER", requires = "before_exec", add = completion::containers())]
    pub container: Option<String>,

    /// Ask this of the pod that is to leave; it must answer 2xx: POST:8080/drain
    #[arg(long, value_name = "METHOD:PORT/PATH", value_parser = super::http::Request::parse)]
    pub before_http: Option<super::http::Request>,

    /// Run this here once the ordinal is gone, or has come, and all others are well
    #[arg(long, value_name = "COMMAND")]
    pub after: Option<String>,

    /// Run this here before the next step; it must succeed
    #[arg(long, value_name = "COMMAND")]
    pub check: Option<String>,

    /// Run this here when it stops after a hook before an ordinal that then stays: undo the drain
    #[arg(long, value_name = "COMMAND")]
    pub on_abort: Option<String>,

    /// How long a hook may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_timeout)]
    pub hook_timeout: Duration,
}

impl HookArgs {
    /// Whether anything runs before an ordinal leaves or comes.
    pub fn has_before(&self) -> bool {
        self.before.is_some() || self.before_exec.is_some() || self.before_http.is_some()
    }

    /// Whether anything runs or is asked after it.
    pub fn has_after(&self) -> bool {
        self.after.is_some() || self.check.is_some()
    }
}

const EXAMPLES: &str = "\
Examples:
  # What would happen, and what speaks against it
  kubectl stateful scale web --replicas 3 --dry-run

  # Two members fewer, each out of the cluster before its pod goes
  kubectl stateful scale cassandra --by -2 --before-exec 'nodetool decommission' --hook-timeout 2h

  # Keep the disks of a set that deletes them, and take a snapshot of each
  kubectl stateful scale db --replicas 1 --retain --snapshot csi-snapclass --yes

  # Back up, with new disks beside the old ones
  kubectl stateful scale web --replicas 5 --fresh";
