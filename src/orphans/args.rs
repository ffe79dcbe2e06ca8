//! The verbs of `orphans` and their flags; their comments are its help.

use std::{collections::BTreeSet, time::Duration};

use clap::{
    Args, Subcommand, ValueEnum as _,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::SignedDuration;

use super::{
    classify::Class,
    select::{self, Key, Wish},
    totals::Price,
};
use crate::{
    cluster::{Rehearsal, parse_timeout},
    completion,
    output::{ConsentArgs, Error, Format},
    workload::{Reference, Selector, canonical_ordinal},
};

/// List claims and volumes that nothing uses any more, and why we believe it
///
/// Reads claims, volumes, pods, and everything with a pod template, and writes
/// nothing. What could not be read makes a row unknown, never unused. Claims
/// that are parked, elastic, managed or of two sets are named, and are no
/// orphans.
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
    /// Connection flags may stand before a verb, as everywhere; those of the
    /// report would be ignored there.
    ///
    /// # Errors
    /// When there are some.
    pub fn check(&self) -> Result<(), Error> {
        let report = &self.report;
        let is_plain = report.set.is_empty()
            && report.filename.is_empty()
            && report.class.is_empty()
            && report.price.is_empty()
            && report.fail_on.is_empty()
            && report.selector.is_none()
            && report.older_than.is_none()
            && report.sort_by == Key::default()
            && report.output == Format::default()
            && !report.all_namespaces;
        if self.verb.is_none() || is_plain {
            return Ok(());
        }
        Err(Error::usage("delete and adopt do not take the flags of the report")
            .hint("flags of a verb stand behind it"))
    }

    /// How the answer was asked for, so that a failure is written likewise.
    pub fn format(&self) -> Format {
        match &self.verb {
            None => self.report.output,
            Some(Verb::Delete(args)) => args.output,
            Some(Verb::Adopt(args)) => args.output,
        }
    }
}

/// The report.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// Only what is or was of this set: NAME, sts/NAME, or sts NAME
    #[arg(value_name = "STATEFULSET", num_args = 0..=2, add = completion::sets())]
    pub set: Vec<String>,

    /// Look in all namespaces
    #[arg(short = 'A', long, conflicts_with = "set")]
    pub all_namespaces: bool,

    /// Read objects from a file, a folder, or - for stdin, instead of a cluster; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<String>,

    /// The files hold everything: of a kind that is not in them there is none
    #[arg(long, requires = "filename")]
    pub complete: bool,

    /// How to write the answer; name has orphans alone
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    /// Only these classes
    #[arg(
        long,
        value_name = "CLASS,…",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub class: Vec<Class>,

    /// Only claims and volumes with these labels, such as app=db,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = select::selector)]
    pub selector: Option<Selector>,

    /// Only what is idle for so long: 12h, 30d; where that is not known, what is that old
    #[arg(long, value_name = "DURATION", value_parser = period)]
    pub older_than: Option<SignedDuration>,

    /// What comes first
    #[arg(long, value_name = "KEY", value_enum, default_value_t)]
    pub sort_by: Key,

    /// What a GiB of a storage class costs a month, such as gp3=0.08; may be repeated
    #[arg(long, value_name = "CLASS=PRICE")]
    pub price: Vec<Price>,

    /// Exit 3 when there is one of these classes; any stands for all orphans
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',', value_parser = alarm(), hide_possible_values = true)]
    pub fail_on: Vec<Alarm>,
}

/// What `--fail-on` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Any class that is an orphan.
    Any,
    One(Class),
}

impl Alarm {
    pub fn rings(self, class: Class) -> bool {
        match self {
            Alarm::Any => class.is_orphan(),
            Alarm::One(one) => one == class,
        }
    }
}

fn alarm() -> impl TypedValueParser<Value = Alarm> {
    let names = Class::value_variants().iter().map(|class| class.name());
    PossibleValuesParser::new(std::iter::once("any").chain(names))
        .map(|word| Class::from_str(&word, false).map_or(Alarm::Any, Alarm::One))
}

impl ReportArgs {
    /// The set that was named.
    ///
    /// # Errors
    /// When the words name something else.
    pub fn set(&self) -> Result<Option<String>, Error> {
        if self.set.is_empty() {
            return Ok(None);
        }
        let reference = Reference::parse(&self.set, "StatefulSet").map_err(Error::usage)?;
        Ok(Some(reference.name))
    }

    /// What is wanted of all rows.
    ///
    /// # Errors
    /// As for [`ReportArgs::set`].
    pub fn wish(&self) -> Result<Wish, Error> {
        Ok(Wish {
            set: self.set()?,
            classes: self.class.iter().copied().collect::<BTreeSet<_>>(),
            older_than: self.older_than,
            selector: self.selector.clone(),
            sort: self.sort_by,
        })
    }
}

/// Delete orphans, one by one, and keep their volumes
///
/// Each one is read again right before, with everything that could use it, and
/// judged as the report does; what is not an orphan is refused, and nothing is
/// deleted then. The volume's policy becomes Retain before its claim goes, so
/// that the data stays on a Released volume, which orphans adopt gives back.
#[derive(Args, Clone, Debug)]
#[command(after_help = DELETE_EXAMPLES)]
pub struct DeleteArgs {
    /// Claims, and volumes with --keep-pv=false: NAME, pvc/NAME, pv/NAME
    #[arg(
        value_name = "NAME",
        required_unless_present = "from",
        conflicts_with = "from",
        add = completion::claims()
    )]
    pub names: Vec<String>,

    /// The orphans of a report that -o json or yaml wrote; - for stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub from: Option<String>,

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

    /// Take a snapshot by this VolumeSnapshotClass of each volume first, and wait until it is ready
    #[arg(long, value_name = "CLASS", help_heading = "Safety options")]
    pub snapshot: Option<String>,

    /// Only what is known to be idle for so long: 12h, 30d
    #[arg(long, value_name = "DURATION", value_parser = period, help_heading = "Safety options")]
    pub min_idle: Option<SignedDuration>,

    /// How long to wait for a claim to be gone, or a snapshot to be ready; 0 waits forever
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "2m")]
    pub timeout: Duration,

    #[command(flatten)]
    pub rehearsal: Rehearsal,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

/// Give a Released volume, or that of an orphan, to an ordinal of a StatefulSet
///
/// The claim that the ordinal will look for is made for exactly this volume. It
/// must not exist yet: where the set runs on another volume already, migrate
/// recover swaps them. The volume is under policy Retain all the while.
#[derive(Args, Clone, Debug)]
#[command(after_help = ADOPT_EXAMPLES)]
pub struct AdoptArgs {
    /// The volume: NAME or pv/NAME; or the orphan that has it: pvc/NAME
    #[arg(value_name = "VOLUME")]
    pub volume: String,

    /// The set and the ordinal: NAME/ORDINAL
    #[arg(long, value_name = "STATEFULSET/ORDINAL", value_parser = ordinal)]
    pub to: (String, u32),

    /// The volumeClaimTemplate, where the set has several
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,

    /// How long to wait for a claim to be gone or bound; 0 waits forever
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "2m")]
    pub timeout: Duration,

    #[command(flatten)]
    pub rehearsal: Rehearsal,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

fn ordinal(text: &str) -> Result<(String, u32), String> {
    let wrong = || format!("{text:?} is no STATEFULSET/ORDINAL, such as web/3");
    let (set, ordinal) = text.rsplit_once('/').ok_or_else(wrong)?;
    let set = Reference::parse(&[set.to_owned()], "StatefulSet").map_err(|why| why.to_string())?;
    let ordinal = canonical_ordinal(ordinal).ok_or_else(wrong)?;
    Ok((set.name, ordinal))
}

/// A duration of days too: `30d`, `1d12h`, `90m`, `45` seconds.
fn period(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is no duration, such as 12h or 30d");
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
  # What is left of this namespace, and why
  kubectl stateful orphans

  # One set: what a scale-up would bring back
  kubectl stateful orphans web -o wide

  # Everywhere, the dearest first
  kubectl stateful orphans -A --price gp3=0.08 --price io2=0.125 --sort-by cost

  # In a script: exit 3 when there is one, 8 when not everything could be read
  kubectl stateful orphans -A --fail-on any --older-than 30d -o json > report.json

  # Without a cluster, from a dump
  kubectl get pvc,pv,po,sts,deploy,rs,rc,ds,job,cronjob,hpa -o yaml > dump.yaml
  kubectl stateful orphans -f dump.yaml --complete";

const DELETE_EXAMPLES: &str = "\
Examples:
  # Look first, then delete; the volumes stay
  kubectl stateful orphans delete data-web-3 data-web-4 --dry-run
  kubectl stateful orphans delete data-web-3 data-web-4

  # All orphans of a report that somebody has read and shortened
  kubectl stateful orphans delete --from report.json --min-idle 30d --yes

  # Not even the data is wanted, but a snapshot
  kubectl stateful orphans delete data-web-3 --keep-pv=false --snapshot csi-snapshots";

const ADOPT_EXAMPLES: &str = "\
Examples:
  # The data of web-3 back, after its claim was deleted and its volume kept
  kubectl stateful orphans adopt pv/pvc-3f9a1c0b --to web/3

  # A claim of before the template was renamed
  kubectl stateful orphans adopt pvc/data-web-0 --to web/0 --template www";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_know_days() {
        let hours = |text: &str| period(text).unwrap().as_hours();
        assert_eq!(hours("30d"), 720);
        assert_eq!(hours("1d12h"), 36);
        assert_eq!(hours("12h"), 12);
        assert_eq!(period("45").unwrap().as_secs(), 45);
        for wrong in ["", "d", "1w", "-1d", "x", "1d2"] {
            // A number alone is seconds, behind days too.
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
