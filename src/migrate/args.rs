//! The verbs of `migrate` and their flags; their comments are its help.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::convert::{Mode, Options, Retarget};
use crate::{
    output::{Error, Format},
    workload::Reference,
};

/// Turn a Deployment and its claims into a StatefulSet that keeps the data
#[derive(Args, Clone, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct MigrateArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    Convert(Box<ConvertArgs>),
}

impl Verb {
    /// How the answer was asked for, so that a failure is written likewise.
    pub fn format(&self) -> Format {
        match self {
            Verb::Convert(args) if args.output == Written::Json => Format::Json,
            Verb::Convert(_) => Format::Table,
        }
    }
}

/// What stdout gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Written {
    /// The manifests
    #[default]
    Yaml,
    /// One JSON document: items[] with every object, and reasons[]
    Json,
}

/// Convert manifests: Deployment and claims in, StatefulSet and claims out
///
/// Asks no cluster and moves no data. Every Deployment of the input that mounts a claim becomes a
/// StatefulSet, its claims become volumeClaimTemplates and the claims that
/// these will look for, and a headless Service is made where the input has
/// none. All other documents pass as they are, comments and all. The manifests
/// go to stdout, and what was left out, changed, or needs a person to stderr;
/// docs/migrate.md says what becomes of each field.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConvertArgs {
    /// Convert only these: NAME or deploy/NAME [default: all that mount a claim]
    #[arg(value_name = "DEPLOYMENT")]
    pub deployments: Vec<String>,

    /// Read manifests from a file, a folder, or - for stdin; may be repeated
    #[arg(
        short,
        long = "filename",
        value_name = "FILE",
        required = true,
        value_hint = clap::ValueHint::AnyPath
    )]
    pub filename: Vec<String>,

    /// Write a file of the same name into this folder for each file of the input
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub out: Option<PathBuf>,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Written,

    /// What becomes of the claims
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub mode: Mode,

    /// Name the template of a volume; its mounts follow. May be repeated
    #[arg(long, value_name = "VOLUME=TEMPLATE", value_parser = volume_template)]
    pub claim: Vec<(String, String)>,

    /// Leave the claim of this volume as it is, shared by all pods; may be repeated
    #[arg(long, value_name = "VOLUME")]
    pub keep: Vec<String>,

    /// Make one set of several Deployments: the claim of the first for ordinal 0, and so on
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', conflicts_with = "deployments")]
    pub from: Vec<String>,

    /// Name of the StatefulSet [default: the Deployment's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// How many pods the StatefulSet has [default: as many as the Deployment]
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,

    /// Name of the governing Service [default: a headless one of the input, else NAME-headless]
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,

    /// Point these at the StatefulSet too
    #[arg(long, value_name = "KIND,…", value_enum, value_delimiter = ',')]
    pub retarget: Vec<Retarget>,

    /// Override a guard by its id; may be repeated
    #[arg(long, value_name = "ID", help_heading = "Safety options")]
    pub allow: Vec<String>,

    /// Overwrite files in the folder of --out that say something else
    #[arg(short, long, requires = "out", help_heading = "Safety options")]
    pub yes: bool,

    /// Exit 3 when something of it needs a person
    #[arg(long)]
    pub exit_code: bool,
}

impl ConvertArgs {
    /// What the conversion is to do.
    ///
    /// # Errors
    /// When a word names no Deployment, or a volume has two templates.
    pub fn options(&self, namespace: Option<&str>) -> Result<Options, Error> {
        let named = |words: &[String]| -> Result<Vec<String>, Error> {
            let parse = |word: &String| {
                Reference::parse(std::slice::from_ref(word), "Deployment")
                    .map(|reference| reference.name)
                    .map_err(Error::usage)
            };
            words.iter().map(parse).collect()
        };
        let mut templates = BTreeMap::new();
        for (volume, template) in &self.claim {
            if templates.insert(volume.clone(), template.clone()).is_some() {
                return Err(Error::usage(format!("--claim names volume {volume} twice")));
            }
            if self.keep.contains(volume) {
                return Err(Error::usage(format!("--claim and --keep both name volume {volume}")));
            }
        }
        let from = named(&self.from)?;
        if from.len() == 1 {
            return Err(Error::usage("--from makes one set of several Deployments")
                .hint("name a single one without --from"));
        }
        if !from.is_empty() && self.mode == Mode::Keep {
            return Err(Error::usage("--from gives each ordinal a claim of its own")
                .hint("leave out --mode keep"));
        }
        Ok(Options {
            deployments: named(&self.deployments)?,
            from,
            name: self.name.clone(),
            mode: self.mode,
            templates,
            keep: self.keep.iter().cloned().collect(),
            replicas: self.replicas,
            service: self.service.clone(),
            retarget: self.retarget.clone(),
            allow: self.allow.clone(),
            namespace: namespace.map(str::to_owned),
        })
    }
}

fn volume_template(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((volume, template)) if !volume.is_empty() && !template.is_empty() => {
            Ok((volume.to_owned(), template.to_owned()))
        }
        _ => Err("VOLUME=TEMPLATE is wanted".to_owned()),
    }
}

const EXAMPLES: &str = "\
Examples:
  # What would come out, and what needs a person
  kubectl stateful migrate convert -f app.yaml

  # A folder of manifests into another, file by file
  kubectl stateful migrate convert -f deploy/ --out converted/

  # A rendered chart; the template is to be called data
  helm template db ./chart | kubectl stateful migrate convert -f - --claim storage=data

  # Three Deployments become db-0, db-1 and db-2
  kubectl stateful migrate convert -f shards.yaml --from db-a,db-b,db-c --name db";
