//! The arguments of `dump`.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{
    output::{Error, Exit},
    workload::Reference,
};

/// Write what -f reads: one file to judge elsewhere, or to send to a colleague
///
/// Without a name, everything in the namespace that a command looks at; with names,
/// what belongs to these sets. Secrets are not read. Values of environment variables
/// are replaced, so that equal ones are still equal. What else there is stays: read
/// commands, annotations and messages before you send them.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  kubectl stateful dump web > web.yaml\n  kubectl stateful status web -f web.yaml\n\n  # All namespaces\n  kubectl stateful dump -A > cluster.yaml"
)]
pub struct DumpArgs {
    /// The sets: NAME, sts/NAME, or sts NAME; all objects without one
    #[arg(id = "set", value_name = "STATEFULSET", conflicts_with = "all_namespaces")]
    pub sets: Vec<String>,

    /// Read all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,

    /// How to write it
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub form: Form,
}

/// What -f can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    #[default]
    Yaml,
    Json,
}

impl DumpArgs {
    /// The names of the sets.
    ///
    /// # Errors
    /// `Usage` when something else is named.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let all = Reference::parse_all(&self.sets, "StatefulSet").map_err(Error::usage)?;
        Ok(all.into_iter().map(|reference| reference.name).collect())
    }
}

impl Form {
    pub(super) fn render(self, document: &Value) -> Result<String, Error> {
        let text = match self {
            Form::Yaml => serde_saphyr::to_string(document).map_err(|error| error.to_string()),
            Form::Json => serde_json::to_string_pretty(document).map_err(|error| error.to_string()),
        };
        let text =
            text.map_err(|error| Error::new(Exit::Error, format!("cannot write: {error}")))?;
        Ok(if text.ends_with('\n') { text } else { text + "\n" })
    }
}
