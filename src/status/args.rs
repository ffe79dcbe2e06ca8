//! The flags of `status`; their comments are its help.

use clap::Args;

use super::plan::Goal;
use crate::{
    flags::{FileArgs, OutputArg, RowsArg, SelectorArg, WatchArgs},
    output::Error,
    workload::Reference,
};

/// Show which StatefulSets are stuck, or one as a tree, and why
///
/// With a name: reads the set, its revisions, pods, claims, volumes, governing
/// Service and autoscalers. What keeps it from being ready is listed below the
/// tree. Each finding has an id, which docs/findings.md explains, and the command
/// to run next.
///
/// Without a name, or with several: one row for each set, the worst first, with
/// the same findings, from a fixed number of lists however many sets there are.
///
/// It writes nothing.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("selector", |arg| {
        arg.conflicts_with("set").help("Only sets with these labels, such as app=db,tier!=test")
    }),
    after_help = EXAMPLES
)]
pub struct StatusArgs {
    /// The sets: one for its tree, several or none for a table; NAME, sts/NAME, or sts NAME
    #[arg(id = "set", value_name = "STATEFULSET", num_args = 0..)]
    pub words: Vec<String>,

    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "set")]
    pub all_namespaces: bool,

    #[command(flatten)]
    pub selector: SelectorArg,

    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub rows: RowsArg,

    #[command(flatten)]
    pub until: WatchArgs<Goal>,

    /// Exit 3 when a set is stuck, 8 when there was none to judge
    #[arg(long)]
    pub exit_code: bool,
}

impl StatusArgs {
    /// The names of the sets; none for all.
    ///
    /// # Errors
    /// When the words name something else.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let all = Reference::parse_all(&self.words, "StatefulSet").map_err(Error::usage)?;
        Ok(all.into_iter().map(|reference| reference.name).collect())
    }
}

const EXAMPLES: &str = "\
Examples:
  # Which sets are stuck?
  kubectl stateful status -A

  # The tree of one, and what is in the way
  kubectl stateful status web

  # Follow a rollout until it is complete, for ten minutes at most
  kubectl stateful status web --watch --wait-for updated --timeout 10m

  # In a script: exit 3 when stuck; reasons[] says why
  kubectl stateful status web --exit-code -o json

  # Without a cluster: from a manifest, or from a dump that someone sent
  kubectl get sts,po,pvc,pv,svc,controllerrevisions,events -o yaml > dump.yaml
  kubectl stateful status web -f dump.yaml";
