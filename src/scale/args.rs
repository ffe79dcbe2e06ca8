//! The flags of `scale`; their comments are its help.

use std::time::Duration;

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use crate::{
    cluster::parse_timeout,
    flags::{AllowArgs, ConfirmationArgs, Given, OutputArg, SetArg, TimeoutArg},
    steps::pod_command::Command,
};

/// Remove ordinals from a StatefulSet or add some, one at a time
///
/// Before anything is written, the plan shows which ordinals leave, what happens
/// to their disks, and what is in the way. Then the replicas change one at a
/// time: the hooks run, the pod is gone, the others are available, and then the
/// next ordinal. If the command is killed at any point, the set is at rest, and
/// the same command continues. docs/scale.md has recipes for etcd, Cassandra,
/// Redis, ZooKeeper and others.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("timeout", |arg| {
        arg.value_name("TIME")
            .help("How long one wait may take; 0s waits forever")
            .help_heading("Pace")
    }),
    after_help = EXAMPLES,
    group = ArgGroup::new("goal").args(["replicas", "by", "abort"]).required(true)
)]
pub struct ScaleArgs {
    #[command(flatten)]
    pub given: Given,

    #[command(flatten)]
    pub set: SetArg,

    /// The new number of replicas
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,

    /// How many replicas to add, or with a minus sign, to remove
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    pub by: Option<i64>,

    /// Go back to the number of replicas before a scale operation that has not finished
    #[arg(long)]
    pub abort: bool,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub hooks: HookArgs,

    /// How long all pods must have been available before the next step
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        value_parser = parse_timeout,
        help_heading = "Pace"
    )]
    pub settle: Duration,

    #[command(flatten)]
    pub timeout: TimeoutArg,

    /// Keep the claims of ordinals that leave: set whenScaled to Retain first, and verify it
    #[arg(long, help_heading = "Data")]
    pub retain: bool,

    /// Take a VolumeSnapshot of every claim once its pod is gone, and wait until it is ready
    #[arg(long, value_name = "CLASS", help_heading = "Data")]
    pub snapshot: Option<String>,

    /// When scaling up, set old claims aside: new disks, and nothing is deleted
    #[arg(long, help_heading = "Data")]
    pub fresh: bool,

    #[command(flatten)]
    pub allow: AllowArgs,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,
}

/// The hooks around each step.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Hooks")]
pub struct HookArgs {
    /// Run this command on this machine before each step; it must succeed
    #[arg(long, value_name = "COMMAND")]
    pub before: Option<String>,

    /// Run this in the pod that leaves, before the step; it must succeed: 'nodetool decommission'
    #[arg(long, value_name = "COMMAND")]
    pub before_exec: Option<Command>,

    /// The container for --before-exec [default: the pod's default container]
    #[arg(short, long, value_name = "CONTAINER", requires = "before_exec")]
    pub container: Option<String>,

    /// Send this request to the pod that leaves, before the step; it must answer 2xx: POST:8080/drain
    #[arg(long, value_name = "METHOD:PORT/PATH", value_parser = super::http::Request::parse)]
    pub before_http: Option<super::http::Request>,

    /// Run this command on this machine after each step, once all other pods are available
    #[arg(long, value_name = "COMMAND")]
    pub after: Option<String>,

    /// Run this command on this machine before the next step; it must succeed
    #[arg(long, value_name = "COMMAND")]
    pub check: Option<String>,

    /// Run this command on this machine if the run stops after a hook and before its step: undo the drain
    #[arg(long, value_name = "COMMAND")]
    pub on_abort: Option<String>,

    /// How long a hook may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_timeout)]
    pub hook_timeout: Duration,
}

impl ScaleArgs {
    /// The flags that change what is done, for the hash of the plan. What they
    /// make of the set and its disks is in the plan itself.
    pub fn as_json(&self) -> Value {
        let timeout = self.timeout.longest;
        json!([self.hooks.as_json(), self.settle, timeout, self.retain, self.snapshot, self.fresh])
    }
}

impl HookArgs {
    /// Whether a hook runs before a step.
    pub fn has_before(&self) -> bool {
        self.before.is_some() || self.before_exec.is_some() || self.before_http.is_some()
    }

    /// Everything about them that changes what is done.
    pub fn as_json(&self) -> Value {
        json!([
            self.before,
            self.before_exec,
            self.container,
            self.before_http.as_ref().map(ToString::to_string),
            self.after,
            self.check,
            self.on_abort,
            self.hook_timeout,
        ])
    }

    /// Whether a hook or check runs after a step.
    pub fn has_after(&self) -> bool {
        self.after.is_some() || self.check.is_some()
    }
}

const EXAMPLES: &str = "\
Examples:
  # What would happen, and what is in the way
  kubectl stateful scale web --replicas 3 --dry-run

  # Remove two members, each of which leaves its cluster before its pod goes
  kubectl stateful scale cassandra --by -2 --before-exec 'nodetool decommission' --hook-timeout 2h

  # Keep the disks of a set that would delete them, and take a snapshot of each
  kubectl stateful scale db --replicas 1 --retain --snapshot csi-snapclass --yes

  # Scale up again, with new disks; the old ones are set aside
  kubectl stateful scale web --replicas 5 --fresh

  # Go back to where an interrupted operation began
  kubectl stateful scale web --abort";
