//! What to migrate and how: the flags that describe a set and its volumes.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::WishArgs;
use crate::{
    flags::AllowArgs,
    migrate::{
        convert::{Options, Retarget},
        journal::{self, Copying, Journal, Order, Wishes},
        plan::Request,
        rules,
        volumes::NewVolumes,
    },
    output::Error,
    workload::{Reference, Rule, bytes},
};

/// What the set is like.
#[derive(Args, Clone, Debug, Default)]
pub struct SetArgs {
    /// Name of the claim template for a volume; its mounts are renamed too. May be repeated
    #[arg(long, value_name = "VOLUME=TEMPLATE", value_parser = volume_template)]
    pub claim: Vec<(String, String)>,

    /// Leave the claim of this volume as it is, shared by all pods; may be repeated
    #[arg(long, value_name = "VOLUME")]
    pub keep: Vec<String>,

    /// Make one set from several Deployments: ordinal 0 gets the claim of the first, and so on
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', conflicts_with = "deployments")]
    pub from: Vec<String>,

    /// Name of the StatefulSet [default: the Deployment's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Number of pods of the StatefulSet [default: as many as the Deployment]
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,

    /// Name of the governing Service [default: a headless one that selects the pods, otherwise
    /// NAME-headless]
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,

    /// Point these autoscalers at the StatefulSet
    #[arg(long, value_name = "KIND,…", value_enum, value_delimiter = ',')]
    pub retarget: Vec<Retarget>,

    #[command(flatten)]
    pub allow: AllowArgs,
}

impl SetArgs {
    /// The options of the conversion, without mode and namespace. `keeps`: the
    /// claims stay as they are. `guards` are those that can be overridden.
    pub(super) fn options(
        &self,
        deployments: &[String],
        keeps: bool,
        guards: &[&'static Rule],
    ) -> Result<Options, Error> {
        let names_of = |words: &[String]| -> Result<Vec<String>, Error> {
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
        let from = names_of(&self.from)?;
        if from.len() == 1 {
            return Err(Error::usage("--from needs at least two Deployments")
                .hint("for a single Deployment, leave out --from"));
        }
        if !from.is_empty() && keeps {
            return Err(Error::usage("--from gives each ordinal its own claim")
                .hint("leave out --mode keep"));
        }
        Ok(Options {
            deployments: names_of(deployments)?,
            from,
            name: self.name.clone(),
            templates,
            keep: self.keep.iter().cloned().collect(),
            replicas: self.replicas,
            service: self.service.clone(),
            retarget: self.retarget.clone(),
            allow: self.allow.among(guards)?,
            ..Options::default()
        })
    }
}

/// What to migrate, and how.
#[derive(Args, Clone, Debug)]
pub struct RequestArgs {
    /// The Deployment: NAME, deploy/NAME, or deploy NAME
    #[arg(
        value_name = "DEPLOYMENT",
        required_unless_present = "from",
        num_args = 1..=2
    )]
    pub deployments: Vec<String>,

    /// Which volumes the set runs on
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub mode: journal::Mode,

    #[command(flatten)]
    pub set: SetArgs,

    /// Stop the Deployment first, instead of when everything else is ready
    #[arg(long)]
    pub stop_first: bool,

    #[command(flatten)]
    pub new_volumes: NewVolumeArgs,

    /// Instead of writing to volumes, print the commands for an administrator
    #[arg(long = "print-admin-steps")]
    pub admin_steps: bool,
}

/// What new volumes are like, in the modes that create them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "New volumes (modes copy, clone, snapshot)")]
pub struct NewVolumeArgs {
    /// Storage class of the new claims [default: same as the old]
    #[arg(long, value_name = "CLASS")]
    pub storage_class: Option<String>,

    /// Size of the new claims, or of the one for VOLUME; may be repeated [default: same as the old]
    #[arg(long, value_name = "[VOLUME=]SIZE", value_parser = volume_size)]
    pub size: Vec<(Option<String>, String)>,

    /// Access mode of the new claims, such as ReadWriteOnce [default: same as the old]
    #[arg(long, value_name = "MODE")]
    pub access_mode: Option<String>,

    /// Image with sh and rsync, for the Jobs of mode copy
    #[arg(long, value_name = "IMAGE")]
    pub copy_image: Option<String>,

    /// Resource requests of the Jobs of mode copy, such as cpu=500m,memory=256Mi
    #[arg(
        long, value_name = "RESOURCE=AMOUNT,…", value_parser = resource, value_delimiter = ',',
        requires = "copy_image"
    )]
    pub copy_request: Vec<(String, String)>,

    /// VolumeSnapshotClass for mode snapshot [default: the class of the volume's driver]
    #[arg(long, value_name = "CLASS")]
    pub snapshot_class: Option<String>,
}

impl NewVolumeArgs {
    /// # Errors
    /// When a flag is for another mode, or one that the mode needs is missing.
    fn new_volumes(&self, mode: journal::Mode) -> Result<NewVolumes, Error> {
        use journal::Mode::{self, Clone, Copy, Snapshot};
        let modes: &[(bool, &str, &[Mode])] = &[
            (self.storage_class.is_some(), "--storage-class", &[Copy, Clone, Snapshot]),
            (!self.size.is_empty(), "--size", &[Copy, Clone, Snapshot]),
            (self.access_mode.is_some(), "--access-mode", &[Copy, Clone, Snapshot]),
            (self.copy_image.is_some(), "--copy-image", &[Copy]),
            (self.snapshot_class.is_some(), "--snapshot-class", &[Snapshot]),
        ];
        for (given, flag, of) in modes {
            if *given && !of.contains(&mode) {
                let named = of.iter().filter_map(ValueEnum::to_possible_value);
                let names: Vec<String> = named.map(|one| one.get_name().to_owned()).collect();
                return Err(Error::usage(format!("{flag} is for --mode {}", names.join(", ")))
                    .hint("in other modes the set uses the volumes that the Deployment has"));
            }
        }
        if mode == Copy && self.copy_image.is_none() {
            return Err(Error::usage("--mode copy needs an image for its Jobs")
                .hint("--copy-image IMAGE: an image with sh and rsync that the cluster can pull"));
        }
        let mut volumes = NewVolumes {
            class: self.storage_class.clone(),
            access_mode: self.access_mode.clone(),
            snapshot_class: self.snapshot_class.clone(),
            copying: self.copy_image.clone().map(|image| Copying {
                image,
                requests: self.copy_request.iter().cloned().collect(),
            }),
            ..NewVolumes::default()
        };
        for (volume, size) in &self.size {
            let twice = match volume {
                None => volumes.size.replace(size.clone()).is_some(),
                Some(volume) => volumes.sizes.insert(volume.clone(), size.clone()).is_some(),
            };
            if twice {
                let of = volume.as_deref().unwrap_or("all volumes");
                return Err(Error::usage(format!("--size sets the size of {of} twice")));
            }
        }
        Ok(volumes)
    }
}

impl RequestArgs {
    /// When to stop the Deployment.
    fn order(&self) -> Order {
        let always_first = matches!(self.mode, journal::Mode::Clone | journal::Mode::Snapshot);
        if self.stop_first || always_first { Order::StopFirst } else { Order::SwapFirst }
    }

    /// The migration that was asked for.
    ///
    /// # Errors
    /// When the arguments do not name a single Deployment.
    pub fn request(&self, wishes: &WishArgs) -> Result<Request, Error> {
        let keeps = self.mode == journal::Mode::Keep;
        let deployments = match self.deployments.as_slice() {
            [] => Vec::new(),
            words => vec![Reference::parse(words, "Deployment").map_err(Error::usage)?],
        };
        if let Some(other) = deployments.iter().find(|named| named.kind != "Deployment") {
            let message = format!("{} {} is not a Deployment", other.kind, other.name);
            return Err(Error::usage(message));
        }
        let names: Vec<String> = deployments.into_iter().map(|named| named.name).collect();
        let options = self.set.options(&names, keeps, &rules::allowable())?;
        let new_volumes = self.new_volumes.new_volumes(self.mode)?;
        let wishes = wishes.over(&Wishes::default());
        Ok(Request { options, mode: self.mode, order: self.order(), new_volumes, wishes })
    }

    /// Whether a journal is of the migration that these flags ask for. A flag
    /// that was not given matches whatever the journal has.
    pub fn describes(&self, journal: &Journal) -> bool {
        let Ok(request) = self.request(&WishArgs::default()) else { return false };
        let theirs = journal.deployments.iter().map(|one| &one.name);
        request.deployments().iter().eq(theirs)
            && journal.mode == self.mode
            && journal.order == self.order()
            && journal.copying == request.new_volumes.copying
            && journal.disks.iter().all(|disk| {
                let mut asked = disk.claim["spec"].clone();
                request.new_volumes.apply_to(&mut asked, &disk.volume);
                asked == disk.claim["spec"]
            })
            && self.set.name.as_deref().is_none_or(|name| name == journal.set_name())
            && self.set.replicas.is_none_or(|replicas| replicas == journal.replicas)
            && self.set.service.as_deref().is_none_or(|name| name == journal.service_name())
            && self.set.claim.iter().all(|(volume, template)| {
                journal
                    .disks
                    .iter()
                    .any(|disk| disk.volume == *volume && disk.template == *template)
            })
    }
}

fn volume_size(text: &str) -> Result<(Option<String>, String), String> {
    let (volume, size) = match text.split_once('=') {
        Some((volume, size)) if !volume.is_empty() => (Some(volume.to_owned()), size),
        Some(_) => return Err("expected [VOLUME=]SIZE".to_owned()),
        None => (None, text),
    };
    match bytes(size) {
        Some(amount) if amount > 0 => Ok((volume, size.to_owned())),
        _ => Err(format!("{size:?} is not a size, such as 20Gi")),
    }
}

fn resource(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, amount)) if !name.is_empty() && !amount.is_empty() => {
            Ok((name.to_owned(), amount.to_owned()))
        }
        _ => Err("expected RESOURCE=AMOUNT, such as cpu=500m".to_owned()),
    }
}

fn volume_template(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((volume, template)) if !volume.is_empty() && !template.is_empty() => {
            Ok((volume.to_owned(), template.to_owned()))
        }
        _ => Err("expected VOLUME=TEMPLATE".to_owned()),
    }
}
