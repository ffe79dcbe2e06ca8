//! The flags of `status`; their comments are its help.

use std::time::Duration;

use clap::{Args, builder::ArgPredicate};

use super::plan::Goal;
use crate::{cluster::parse_timeout, completion, output::Format};

/// Show a StatefulSet as a tree, and why it is stuck
///
/// Reads the set, its revisions, pods, claims, volumes, governing Service and
/// autoscalers, and writes nothing. What keeps it from being ready stands
/// below the tree, each finding under an id that docs/findings.md explains,
/// with the command to type next.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
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

    /// Wait until the set is so, then end
    #[arg(long, value_name = "GOAL", value_enum, conflicts_with = "filename")]
    pub wait_for: Option<Goal>,

    /// How long to wait: 5s, 2m, 1m30s, or seconds; 0 waits forever
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_timeout,
        default_value_if("wait_for", ArgPredicate::IsPresent, "5m")
    )]
    pub timeout: Option<Duration>,

    /// Exit 3 when the set is stuck
    #[arg(long)]
    pub exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  # The tree, and what is in the way
  kubectl stateful status web

  # Follow a rollout; end when it is through, or after ten minutes
  kubectl stateful status web --watch --wait-for updated --timeout 10m

  # In a script: exit 3 when stuck, reasons[] says why
  kubectl stateful status web --exit-code -o json

  # Without a cluster: from a manifest, or from a dump that somebody sent
  kubectl get sts,po,pvc,pv,svc,controllerrevisions,events -o yaml > dump.yaml
  kubectl stateful status web -f dump.yaml";
