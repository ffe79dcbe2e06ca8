//! The verbs of `migrate` and their flags; their comments are its help.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::{
    begin::Wish,
    convert::{Mode, Options, Retarget},
    journal::{self, Copying, Journal, Order},
    volumes::Filling,
};
use crate::{
    cluster::{Rehearsal, parse_timeout},
    completion,
    output::{ConsentArgs, Error, Format},
    workload::{Reference, bytes},
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
    /// How the answer was asked for, so that a failure is written likewise.
    pub fn format(&self) -> Format {
        match self {
            Verb::Plan(args) => args.output,
            Verb::Run(args) => args.output,
            Verb::Status(args) => args.output,
            Verb::Resume(args) => args.on.output,
            Verb::Rollback(args) => args.on.output,
            Verb::Finalize(args) => args.on.output,
            Verb::Recover(args) => args.on.output,
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

    #[command(flatten)]
    pub shape: ShapeArgs,

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
        let keeps = self.mode == Mode::Keep;
        let options = self.shape.options(&self.deployments, keeps)?;
        Ok(Options { mode: self.mode, namespace: namespace.map(str::to_owned), ..options })
    }
}

/// What the set is to be like.
#[derive(Args, Clone, Debug, Default)]
pub struct ShapeArgs {
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
}

impl ShapeArgs {
    /// The same, without mode and namespace. `keeps`: the claims stay as they
    /// are.
    fn options(&self, deployments: &[String], keeps: bool) -> Result<Options, Error> {
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
        if !from.is_empty() && keeps {
            return Err(Error::usage("--from gives each ordinal a claim of its own")
                .hint("leave out --mode keep"));
        }
        Ok(Options {
            deployments: named(deployments)?,
            from,
            name: self.name.clone(),
            templates,
            keep: self.keep.iter().cloned().collect(),
            replicas: self.replicas,
            service: self.service.clone(),
            retarget: self.retarget.clone(),
            allow: self.allow.clone(),
            ..Options::default()
        })
    }
}

/// What is to be moved, and how.
#[derive(Args, Clone, Debug)]
pub struct WishArgs {
    /// The Deployment: NAME, deploy/NAME, or deploy NAME
    #[arg(
        value_name = "DEPLOYMENT",
        required_unless_present = "from",
        num_args = 1..=2,
        add = completion::deployments()
    )]
    pub deployments: Vec<String>,

    /// How the data comes to the set
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub mode: journal::Mode,

    #[command(flatten)]
    pub shape: ShapeArgs,

    /// Stop the Deployment before anything else, not only when all is ready
    #[arg(long)]
    pub stop_first: bool,

    #[command(flatten)]
    pub filling: FillingArgs,

    /// Print what has to be written to volumes, for an administrator, instead of writing it
    #[arg(long = "print-admin-steps")]
    pub admin_steps: bool,
}

/// What new volumes are to be like, in the modes that make some.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "New volumes (modes copy, clone, snapshot)")]
pub struct FillingArgs {
    /// Storage class of the new claims [default: that of the old ones]
    #[arg(long, value_name = "CLASS")]
    pub storage_class: Option<String>,

    /// Size of the new claim for a volume of the pod, or of all; may be repeated [default: the old]
    #[arg(long, value_name = "[VOLUME=]SIZE", value_parser = volume_size)]
    pub size: Vec<(Option<String>, String)>,

    /// Access mode of the new claims, such as ReadWriteOnce [default: those of the old ones]
    #[arg(long, value_name = "MODE")]
    pub access_mode: Option<String>,

    /// Image with sh and rsync that the Jobs of mode copy run
    #[arg(long, value_name = "IMAGE")]
    pub copy_image: Option<String>,

    /// What the Jobs of mode copy request, such as cpu=500m,memory=256Mi
    #[arg(
        long, value_name = "RESOURCE=AMOUNT,…", value_parser = resource, value_delimiter = ',',
        requires = "copy_image"
    )]
    pub copy_request: Vec<(String, String)>,

    /// VolumeSnapshotClass of mode snapshot [default: the one of the volume's driver]
    #[arg(long, value_name = "CLASS")]
    pub snapshot_class: Option<String>,
}

impl FillingArgs {
    /// # Errors
    /// When words are for another mode, or a mode lacks its own.
    fn filling(&self, mode: journal::Mode) -> Result<Filling, Error> {
        use journal::Mode as Way;
        let modes: &[(bool, &str, &[Way])] = &[
            (
                self.storage_class.is_some(),
                "--storage-class",
                &[Way::Copy, Way::Clone, Way::Snapshot],
            ),
            (!self.size.is_empty(), "--size", &[Way::Copy, Way::Clone, Way::Snapshot]),
            (self.access_mode.is_some(), "--access-mode", &[Way::Copy, Way::Clone, Way::Snapshot]),
            (self.copy_image.is_some(), "--copy-image", &[Way::Copy]),
            (self.snapshot_class.is_some(), "--snapshot-class", &[Way::Snapshot]),
        ];
        for (given, flag, of) in modes {
            if *given && !of.contains(&mode) {
                let named = of.iter().filter_map(ValueEnum::to_possible_value);
                let names: Vec<String> = named.map(|one| one.get_name().to_owned()).collect();
                return Err(Error::usage(format!("{flag} is for --mode {}", names.join(", ")))
                    .hint("without such a mode the volumes are those that the Deployment has"));
            }
        }
        if mode == Way::Copy && self.copy_image.is_none() {
            return Err(Error::usage("--mode copy runs Jobs, and needs an image for them").hint(
                "--copy-image IMAGE: one that has sh and rsync, and that the cluster can pull",
            ));
        }
        let mut filling = Filling {
            class: self.storage_class.clone(),
            access_mode: self.access_mode.clone(),
            snapshot_class: self.snapshot_class.clone(),
            copying: self.copy_image.clone().map(|image| Copying {
                image,
                requests: self.copy_request.iter().cloned().collect(),
            }),
            ..Filling::default()
        };
        for (volume, size) in &self.size {
            let twice = match volume {
                None => filling.size.replace(size.clone()).is_some(),
                Some(volume) => filling.sizes.insert(volume.clone(), size.clone()).is_some(),
            };
            if twice {
                let of = volume.as_deref().unwrap_or("all volumes");
                return Err(Error::usage(format!("--size names a size of {of} twice")));
            }
        }
        Ok(filling)
    }
}

impl WishArgs {
    /// When the Deployment stops.
    fn order(&self) -> Order {
        let always = matches!(self.mode, journal::Mode::Clone | journal::Mode::Snapshot);
        if self.stop_first || always { Order::StopFirst } else { Order::SwapFirst }
    }

    /// What was asked for.
    ///
    /// # Errors
    /// When the words name no single Deployment.
    pub fn wish(&self) -> Result<Wish, Error> {
        let keeps = self.mode == journal::Mode::Keep;
        let deployments = match self.deployments.as_slice() {
            [] => Vec::new(),
            words => vec![Reference::parse(words, "Deployment").map_err(Error::usage)?],
        };
        if let Some(other) = deployments.iter().find(|named| named.kind != "Deployment") {
            let message = format!("{} {} is no Deployment", other.kind, other.name);
            return Err(Error::usage(message));
        }
        let names: Vec<String> = deployments.into_iter().map(|named| named.name).collect();
        let options = self.shape.options(&names, keeps)?;
        let filling = self.filling.filling(self.mode)?;
        Ok(Wish { options, mode: self.mode, order: self.order(), filling })
    }

    /// Whether a journal is of what these words ask for. What was left to be
    /// found out is as the journal has it.
    pub fn describes(&self, journal: &Journal) -> bool {
        let Ok(wish) = self.wish() else { return false };
        let members =
            if wish.options.from.is_empty() { wish.options.deployments } else { wish.options.from };
        let theirs: Vec<&String> = journal.deployments.iter().map(|member| &member.name).collect();
        members.iter().eq(theirs)
            && journal.mode == self.mode
            && journal.order == self.order()
            && journal.copying == wish.filling.copying
            && journal.disks.iter().all(|disk| {
                let mut asked = disk.claim["spec"].clone();
                wish.filling.shape(&mut asked, &disk.volume);
                asked == disk.claim["spec"]
            })
            && self.shape.name.as_deref().is_none_or(|name| name == journal.set_name())
            && self.shape.replicas.is_none_or(|replicas| replicas == journal.replicas)
            && self.shape.service.as_deref().is_none_or(|name| name == journal.service_name())
            && self.shape.claim.iter().all(|(volume, template)| {
                journal
                    .disks
                    .iter()
                    .any(|disk| disk.volume == *volume && disk.template == *template)
            })
    }
}

/// Show what run would do, and what speaks against it; change nothing
///
/// Reads what is around the Deployment, converts it as convert does, and has the server try what
/// would be made, quotas and webhooks included.
#[derive(Args, Clone, Debug)]
#[command(after_help = PLAN_EXAMPLES)]
pub struct PlanArgs {
    #[command(flatten)]
    pub wish: WishArgs,

    /// Read objects from a file, a folder, or - for stdin, instead of a cluster; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<String>,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    /// Write the manifests of the set into this folder, for Git
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub emit: Option<PathBuf>,

    /// Overwrite files in the folder of --emit that say something else
    #[arg(short, long, requires = "emit", help_heading = "Safety options")]
    pub yes: bool,

    /// Exit 3 when there is something to do, 4 when a guard says no
    #[arg(long)]
    pub exit_code: bool,
}

const PLAN_EXAMPLES: &str = "\
Examples:
  # What would become of it, and what is in the way
  kubectl stateful migrate plan deploy/mysql

  # Three Deployments become db-0, db-1 and db-2
  kubectl stateful migrate plan --from db-a,db-b,db-c --name db

  # The manifests for Git beside it
  kubectl stateful migrate plan deploy/mysql --emit manifests/

  # Without a cluster: from manifests, or a dump that somebody sent
  kubectl stateful migrate plan deploy/mysql -f dump.yaml";

/// Move a Deployment and its claims to a StatefulSet that keeps the data
///
/// The volumes go over to the set's claims while the old pod still serves; then the Deployment
/// stops and the set starts: the downtime is that of one restart. Nothing is deleted before
/// finalize, and until then rollback brings the Deployment back. Killed at any moment, the same
/// command goes on. With --mode copy, clone or snapshot the set gets volumes of its own, and the
/// old ones stay as they are.
#[derive(Args, Clone, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    #[command(flatten)]
    pub wish: WishArgs,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    /// A command that must succeed in every new pod, by its shell
    #[arg(long, value_name = "CMD")]
    pub verify_exec: Option<String>,

    /// Go back by itself when the set does not come up, or --verify-exec fails
    #[arg(long)]
    pub auto_rollback: bool,

    /// Whether finalize follows by itself
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub finalize: Finalize,

    /// How long the set has to run before finalize follows
    #[arg(
        long, value_name = "DURATION", value_parser = parse_timeout, default_value = "0s",
        requires = "finalize"
    )]
    pub soak: Duration,

    /// How long one wait may take; 0s waits forever
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "10m")]
    pub timeout: Duration,

    /// Take the lock from a run that is known to be dead
    #[arg(long, help_heading = "Safety options")]
    pub takeover: bool,

    #[command(flatten)]
    pub rehearsal: Rehearsal,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

const RUN_EXAMPLES: &str = "\
Examples:
  # Look at the plan, agree, and watch
  kubectl stateful migrate run deploy/mysql

  # Only if nothing has changed since the plan was looked at
  kubectl stateful migrate run deploy/mysql --confirm-plan 3f9a1c0b

  # To another class and size: copied while it serves, and once more when it has stopped
  kubectl stateful migrate run deploy/mysql --mode copy --copy-image registry.example/rsync:3 \
    --storage-class fast --size 50Gi

  # From a runbook: asks the database, goes back by itself when it says no
  kubectl stateful migrate run deploy/mysql --yes --verify-exec 'mysqladmin ping' --auto-rollback";

/// Whether finalize follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Finalize {
    /// When somebody types it
    #[default]
    Manual,
    /// After --soak
    Auto,
}

/// What every verb on a migration that was begun takes.
#[derive(Args, Clone, Debug)]
pub struct OnArgs {
    /// The set or the Deployment: NAME, sts/NAME, deploy/NAME
    #[arg(value_name = "NAME", required = true, num_args = 1..=2, add = completion::sets())]
    pub target: Vec<String>,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    /// How long one wait may take; 0s waits forever
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "10m")]
    pub timeout: Duration,

    /// Print what has to be written to volumes, for an administrator, instead of writing it
    #[arg(long = "print-admin-steps")]
    pub admin_steps: bool,

    /// Take the lock from a run that is known to be dead
    #[arg(long, help_heading = "Safety options")]
    pub takeover: bool,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

/// Go on with a migration that was interrupted, whichever way it went
#[derive(Args, Clone, Debug)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub on: OnArgs,

    /// A command that must succeed in every new pod, by its shell
    #[arg(long, value_name = "CMD")]
    pub verify_exec: Option<String>,

    /// Go back by itself when the set does not come up, or --verify-exec fails
    #[arg(long)]
    pub auto_rollback: bool,
}

/// Bring the Deployment back, from wherever the migration stands
///
/// The volumes return to their old claims and the Deployment starts as it was; then goes what the
/// migration had made. What the set has written meanwhile stays on the volumes: this is no way
/// back in time. Where the set had volumes of its own, it goes with them.
#[derive(Args, Clone, Debug)]
pub struct RollbackArgs {
    #[command(flatten)]
    pub on: OnArgs,
}

/// Delete what was kept for the way back; this cannot be undone
///
/// The Deployment and the old claims, which have lost their volumes, are deleted; then the
/// volumes get the reclaim policy that they had, and every mark of the migration goes. Where the
/// set has volumes of its own, the old claims stay.
#[derive(Args, Clone, Debug)]
pub struct FinalizeArgs {
    #[command(flatten)]
    pub on: OnArgs,

    /// How long the set must have run
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "0s")]
    pub soak: Duration,
}

/// Put an old volume back under a StatefulSet that runs on a blank one
///
/// For sets that were moved by hand: the set came up before its volume and got a new, empty one,
/// while the data sits on a volume that is Released. The ordinals from this one up stop, the claim
/// is made again for the old volume, and they start. The blank volume stays, under policy Retain.
#[derive(Args, Clone, Debug)]
#[command(after_help = RECOVER_EXAMPLES)]
pub struct RecoverArgs {
    #[command(flatten)]
    pub on: OnArgs,

    /// The volume with the data; of a set with several templates, TEMPLATE=VOLUME. May be repeated
    #[arg(long, value_name = "VOLUME", required = true, value_parser = template_volume)]
    pub pv: Vec<(Option<String>, String)>,

    /// The ordinal that it belongs to
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub ordinal: u32,

    /// Only show what would be done
    #[arg(long, help_heading = "Safety options")]
    pub dry_run: bool,
}

const RECOVER_EXAMPLES: &str = "\
Examples:
  # mysql-0 came up empty; its data is on this volume
  kubectl stateful migrate recover sts/mysql --pv pvc-3f9a1c0b

  # Two volumes of ordinal 2
  kubectl stateful migrate recover sts/db --ordinal 2 --pv data=pv-7 --pv logs=pv-8";

/// Show where a migration stands; without a name, which are under way
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The set or the Deployment: NAME, sts/NAME, deploy/NAME
    #[arg(value_name = "NAME", num_args = 0..=2, add = completion::sets())]
    pub target: Vec<String>,

    /// Read objects from a file, a folder, or - for stdin, instead of a cluster; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<String>,

    /// Those of all namespaces
    #[arg(short = 'A', long, conflicts_with = "target")]
    pub all_namespaces: bool,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a Result")]
fn template_volume(text: &str) -> Result<(Option<String>, String), String> {
    Ok(match text.split_once('=') {
        Some((template, volume)) => (Some(template.to_owned()), volume.to_owned()),
        None => (None, text.to_owned()),
    })
}

fn volume_size(text: &str) -> Result<(Option<String>, String), String> {
    let (volume, size) = match text.split_once('=') {
        Some((volume, size)) if !volume.is_empty() => (Some(volume.to_owned()), size),
        Some(_) => return Err("[VOLUME=]SIZE is wanted".to_owned()),
        None => (None, text),
    };
    match bytes(size) {
        Some(amount) if amount > 0 => Ok((volume, size.to_owned())),
        _ => Err(format!("{size:?} is no size: 20Gi, for example, is")),
    }
}

fn resource(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, amount)) if !name.is_empty() && !amount.is_empty() => {
            Ok((name.to_owned(), amount.to_owned()))
        }
        _ => Err("RESOURCE=AMOUNT is wanted: cpu=500m, for example".to_owned()),
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
