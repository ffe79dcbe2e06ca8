//! The verbs of `orphans` and their flags; their comments are its help.

use std::{collections::BTreeSet, time::Duration};

use clap::{
    Args, Subcommand, ValueEnum as _,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::SignedDuration;

use super::{
    row::Class,
    select::{Filter, SortKey},
    totals::Price,
};
use crate::{
    cluster::parse_timeout,
    flags::{
        ConfirmationArgs, FileArgs, Given, OutputArg, RowsArg, SelectorArg, SetArg, TimeoutArg,
    },
    output::{Error, Format},
    workload::{Reference, canonical_ordinal},
};

/// List claims and volumes that nothing uses any more, and why we believe it
///
/// Reads claims, volumes, pods, and everything with a pod template, and writes
/// nothing. A claim whose users could not be read is unknown, never unused.
/// Claims that are parked, elastic, managed or of two sets are listed, but are
/// not orphans.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct OrphansArgs {
    #[command(subcommand)]
    pub verb: Option<Verb>,

    #[command(flatten)]
    pub report: ReportArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    Delete(DeleteArgs),
    Adopt(AdoptArgs),
}

impl OrphansArgs {
    /// Refuses flags of the report before a verb, which would ignore them.
    /// Connection flags are allowed there.
    ///
    /// # Errors
    /// When there are any.
    pub fn check(&self) -> Result<(), Error> {
        let report = &self.report;
        let has_none = report.set.words.is_empty()
            && report.files.is_empty()
            && report.class.is_empty()
            && report.price.is_empty()
            && report.fail_on.is_empty()
            && report.selector.labels.is_none()
            && report.older_than.is_none()
            && report.sort_by == SortKey::default()
            && report.output.format == Format::default()
            && !report.all_namespaces;
        if self.verb.is_none() || has_none {
            return Ok(());
        }
        Err(Error::usage("delete and adopt do not take flags of the report")
            .hint("put the flags after delete or adopt"))
    }

    /// The requested format, in which an error is written as well.
    pub fn format(&self) -> Format {
        match &self.verb {
            None => self.report.output.format,
            Some(Verb::Delete(args)) => args.output.format,
            Some(Verb::Adopt(args)) => args.output.format,
        }
    }
}

/// The report.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("set", |arg| {
        arg.required(false)
            .num_args(0..=2)
            .help("Only what belongs or belonged to this set: NAME, sts/NAME, or sts NAME")
    }),
    mut_arg("output", |arg| arg.help("Output format; name lists only orphans")),
    mut_arg("selector", |arg| {
        arg.help("Only claims and volumes with these labels, such as app=db,tier!=test")
    })
)]
pub struct ReportArgs {
    #[command(flatten)]
    pub set: SetArg,

    /// Read all namespaces
    #[arg(short = 'A', long, conflicts_with = "set")]
    pub all_namespaces: bool,

    #[command(flatten)]
    pub files: FileArgs,

    /// The files hold everything: a kind that is not in them does not exist
    #[arg(long, requires = "filename")]
    pub complete: bool,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub rows: RowsArg,

    /// Only these classes
    #[arg(
        long,
        value_name = "CLASS,…",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub class: Vec<Class>,

    #[command(flatten)]
    pub selector: SelectorArg,

    /// Only what has been idle for this long (12h, 30d), or is this old where that is not known
    #[arg(long, value_name = "DURATION", value_parser = period)]
    pub older_than: Option<SignedDuration>,

    /// How to sort the rows
    #[arg(long, value_name = "KEY", value_enum, default_value_t)]
    pub sort_by: SortKey,

    /// The price of a GiB of a storage class per month, such as gp3=0.08; may be repeated
    #[arg(long, value_name = "CLASS=PRICE")]
    pub price: Vec<Price>,

    /// Exit 3 when one of these classes is found; any stands for every orphan
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',', value_parser = fail_on(), hide_possible_values = true)]
    pub fail_on: Vec<FailOn>,
}

/// What `--fail-on` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// Any class that is an orphan.
    Any,
    One(Class),
}

impl FailOn {
    pub fn matches(self, class: Class) -> bool {
        match self {
            FailOn::Any => class.is_orphan(),
            FailOn::One(one) => one == class,
        }
    }
}

fn fail_on() -> impl TypedValueParser<Value = FailOn> {
    let names = Class::value_variants().iter().map(|class| class.name());
    PossibleValuesParser::new(std::iter::once("any").chain(names))
        .map(|word| Class::from_str(&word, false).map_or(FailOn::Any, FailOn::One))
}

impl ReportArgs {
    /// The set that was named.
    ///
    /// # Errors
    /// When another kind is named.
    pub fn set(&self) -> Result<Option<String>, Error> {
        if self.set.words.is_empty() {
            return Ok(None);
        }
        self.set.name().map(Some)
    }

    /// The rows to show.
    ///
    /// # Errors
    /// As for [`ReportArgs::set`].
    pub fn filter(&self) -> Result<Filter, Error> {
        Ok(Filter {
            set: self.set()?,
            classes: self.class.iter().copied().collect::<BTreeSet<_>>(),
            older_than: self.older_than,
            selector: self.selector.labels.clone(),
            sort: self.sort_by,
        })
    }
}

/// Delete orphans, one at a time, and keep their volumes
///
/// Each claim is read again right before it is deleted, with everything that
/// may use it, and judged as in the report. If one of them is not an orphan,
/// the command refuses and deletes nothing. The policy of the volume is set to
/// Retain before its claim is deleted: the data stays on a Released volume,
/// which orphans adopt can give to an ordinal.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("timeout", |arg| {
        arg.default_value("2m").help(
            "How long to wait for a claim to be gone or a snapshot to be ready; 0 waits forever",
        )
    }),
    mut_arg("selector", |arg| {
        arg.conflicts_with("from").help(
            "All orphaned claims in the namespace with these labels, such as app=db,tier!=test",
        )
    }),
    after_help = DELETE_EXAMPLES
)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub given: Given,

    /// Claims, and volumes with --keep-pv=false: NAME, pvc/NAME, pv/NAME, NAMESPACE/pvc/NAME
    #[arg(
        value_name = "NAME",
        required_unless_present_any = ["from", "class", "selector"],
        conflicts_with_all = ["from", "class", "selector"]
    )]
    pub names: Vec<String>,

    /// A report written by -o json or -o yaml, whose orphaned claims are deleted; - for stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub from: Option<String>,

    /// All claims of these classes in the namespace
    #[arg(
        long,
        value_name = "CLASS,…",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true,
        conflicts_with = "from"
    )]
    pub class: Vec<Class>,

    #[command(flatten)]
    pub selector: SelectorArg,

    /// Go on with the others where a name does not exist
    #[arg(long)]
    pub ignore_not_found: bool,

    /// Keep the volumes, under policy Retain
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set,
        help_heading = "Safety options"
    )]
    pub keep_pv: bool,

    /// First take a snapshot of each volume with this VolumeSnapshotClass, and wait until it is ready
    #[arg(long, value_name = "CLASS", help_heading = "Safety options")]
    pub snapshot: Option<String>,

    /// Refuse what is not known to have been idle for this long: 12h, 30d
    #[arg(long, value_name = "DURATION", value_parser = period, help_heading = "Safety options")]
    pub min_idle: Option<SignedDuration>,

    #[command(flatten)]
    pub timeout: TimeoutArg,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,
}

/// Give a Released volume, or the volume of an orphan, to an ordinal of a StatefulSet
///
/// Creates the claim that the ordinal will look for, for exactly this volume.
/// The claim must not exist yet: where the set already runs on another volume,
/// use migrate recover, which swaps them. The volume has the policy Retain until
/// the claim is bound.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("timeout", |arg| {
        arg.default_value("2m")
            .help("How long to wait for a claim to be gone or bound; 0 waits forever")
    }),
    after_help = ADOPT_EXAMPLES
)]
pub struct AdoptArgs {
    #[command(flatten)]
    pub given: Given,

    /// The volume: NAME or pv/NAME; or the orphaned claim that has it: pvc/NAME
    #[arg(value_name = "VOLUME")]
    pub volume: String,

    /// The set and the ordinal: NAME/ORDINAL
    #[arg(long, value_name = "STATEFULSET/ORDINAL", value_parser = ordinal)]
    pub to: (String, u32),

    /// The volumeClaimTemplate, if the set has several
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,

    #[command(flatten)]
    pub timeout: TimeoutArg,

    #[command(flatten)]
    pub output: OutputArg,

    #[command(flatten)]
    pub confirmation: ConfirmationArgs,
}

fn ordinal(text: &str) -> Result<(String, u32), String> {
    let wrong = || format!("{text:?} is not STATEFULSET/ORDINAL, such as web/3");
    let (set, ordinal) = text.rsplit_once('/').ok_or_else(wrong)?;
    let set = Reference::parse(&[set.to_owned()], "StatefulSet").map_err(|why| why.to_string())?;
    let ordinal = canonical_ordinal(ordinal).ok_or_else(wrong)?;
    Ok((set.name, ordinal))
}

/// A duration that may begin with days: `30d`, `1d12h`, `90m`, `45` (seconds).
fn period(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is not a duration, such as 12h or 30d");
    if text.is_empty() || text.starts_with('-') {
        return Err(wrong());
    }
    let (days, rest) = match text.split_once('d') {
        Some((days, rest)) => (days.parse::<u32>().map_err(|_| wrong())?, rest),
        None => (0, text),
    };
    let rest = match rest {
        "" if text.contains('d') => Duration::ZERO,
        rest => parse_timeout(rest).map_err(|_| wrong())?,
    };
    let rest = SignedDuration::try_from(rest).map_err(|_| wrong())?;
    rest.checked_add(SignedDuration::from_hours(i64::from(days) * 24)).ok_or_else(wrong)
}

const EXAMPLES: &str = "\
Examples:
  # The orphans of this namespace, and why they are orphans
  kubectl stateful orphans

  # One set: what a scale-up would mount again
  kubectl stateful orphans web -o wide

  # In all namespaces, the most expensive first
  kubectl stateful orphans -A --price gp3=0.08 --price io2=0.125 --sort-by cost

  # In a script: exit 3 if there are orphans, 8 if not everything could be read
  kubectl stateful orphans -A --fail-on any --older-than 30d -o json > report.json

  # Without a cluster, from a dump
  kubectl get pvc,pv,po,sts,deploy,rs,rc,ds,job,cronjob,podtemplates,hpa,volumeattachments -o yaml > dump.yaml
  kubectl stateful orphans -f dump.yaml --complete";

const DELETE_EXAMPLES: &str = "\
Examples:
  # Look first, then delete; the volumes stay
  kubectl stateful orphans delete data-web-3 data-web-4 --dry-run
  kubectl stateful orphans delete data-web-3 data-web-4

  # All orphaned claims of a report that you have read and edited
  kubectl stateful orphans delete --from report.json --min-idle 30d --yes

  # All claims of a class, or with a label
  kubectl stateful orphans delete --class ordinal-beyond -l app=web --dry-run

  # Delete the data as well, after taking a snapshot
  kubectl stateful orphans delete data-web-3 --keep-pv=false --snapshot csi-snapshots";

const ADOPT_EXAMPLES: &str = "\
Examples:
  # Restore the data of web-3, whose claim was deleted and whose volume was kept
  kubectl stateful orphans adopt pv/pvc-3f9a1c0b --to web/3

  # A claim from before its template was renamed
  kubectl stateful orphans adopt pvc/data-web-0 --to web/0 --template www";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_may_have_days() {
        let hours = |text: &str| period(text).unwrap().as_hours();
        assert_eq!(hours("30d"), 720);
        assert_eq!(hours("1d12h"), 36);
        assert_eq!(hours("12h"), 12);
        assert_eq!(period("45").unwrap().as_secs(), 45);
        for wrong in ["", "d", "1w", "-1d", "x", "1d2"] {
            // A number without a unit is seconds, after days too.
            assert_eq!(period(wrong).is_err(), wrong != "1d2", "{wrong}");
        }
    }

    #[test]
    fn an_ordinal_is_named_with_its_set() {
        assert_eq!(ordinal("web/3"), Ok(("web".to_owned(), 3)));
        assert_eq!(ordinal("sts/web/0"), Ok(("web".to_owned(), 0)));
        for wrong in ["web", "web/", "web/03", "web/-1", "deploy/web/0", "/3"] {
            assert!(ordinal(wrong).is_err(), "{wrong}");
        }
    }
}
