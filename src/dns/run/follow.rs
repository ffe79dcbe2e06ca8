//! `--wait` and `--watch`.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    check::Checker,
    show::{list_options, verdict, warn_of_assumed_domain},
};
use crate::{
    cluster::{Failure, changes::Changes},
    dns::{
        args::{DnsArgs, Output, Via},
        compare::Verdict,
        expected::{Expected, Kind},
        picture::Picture,
        read::{Reading, Target},
        report,
    },
    output::{Error, Exit, Look, watch_printer::WatchFormat},
    steps::watch_loop::{self, Difference, Idle, Request, Watched},
    workload::Unread,
};

/// How often servers are asked again without a change in the API: a cache does
/// not report that an entry has expired.
const RECHECK: Duration = Duration::from_secs(5);
/// How often when a denial is about to expire.
const RECHECK_SOON: Duration = Duration::from_millis(250);

/// Checks again whenever the API changes, and when a server's answer expires.
pub async fn follow(checker: Checker<'_>, ordinal: Option<u32>) -> Result<Exit, Error> {
    let args = checker.args;
    let (Target::Set(name) | Target::Service(name)) = &checker.target;
    let request = Request {
        terminal: checker.terminal,
        form: form(args.output),
        watch: args.watch,
        subject: format!("the names of {}/{name}", checker.cluster.namespace()),
        goal: args.waits().then_some(match args.via.as_slice() {
            [Via::Api] => "known to the API",
            _ => "answered by every server",
        }),
        timeout: args.limit(),
        schema: "kubectl-stateful/dns-change/v1",
        hint: args.given.to_ask_again::<DnsArgs>("dns", checker.cluster),
    };
    let mut watched = WatchedNames { checker, ordinal, warned_of: None };
    watch_loop::follow(&mut watched, &request).await
}

fn form(output: Output) -> WatchFormat {
    match output {
        Output::Name => WatchFormat::Names,
        Output::Hosts | Output::Dig | Output::SrvList => WatchFormat::List,
        Output::Table | Output::Wide | Output::Json | Output::Yaml | Output::Jsonl => {
            output.format().into()
        }
    }
}

/// The names under `--wait` and `--watch`.
struct WatchedNames<'a> {
    checker: Checker<'a>,
    ordinal: Option<u32>,
    /// What could not be read when it was last said on stderr.
    warned_of: Option<Vec<Unread>>,
}

impl Watched for WatchedNames<'_> {
    type Reading = Reading;
    type Picture = Picture;

    async fn read(&mut self) -> Result<Reading, Failure> {
        self.checker.read().await
    }

    fn changes(&self, reading: &Reading) -> Changes {
        reading.changes(self.checker.cluster)
    }

    async fn judge(&mut self, reading: &Reading, _: Timestamp) -> Result<Picture, Error> {
        let picture = self.checker.check(reading).await?;
        let Checker { args, terminal, .. } = &self.checker;
        if self.warned_of.is_none() {
            warn_of_assumed_domain(&picture, args, *terminal);
        }
        if args.output.is_bare() && self.warned_of.as_ref() != Some(&picture.unread) {
            terminal.warn_of_unread(&picture.unread);
        }
        self.warned_of = Some(picture.unread.clone());
        Ok(picture)
    }

    fn idle(&self, picture: &Picture) -> Idle {
        Idle::ReadAfter(pause(picture, self.checker.args.waits()))
    }

    /// Also where nothing can be reached: the exit code says so at once.
    fn is_reached(&self, picture: &Picture) -> bool {
        picture.is_all_ok() || picture.is_hopeless()
    }

    fn verdict(&self, picture: &Picture) -> Exit {
        verdict(picture, self.checker.args)
    }

    fn differences(&self, before: &Picture, after: &Picture) -> Vec<Difference> {
        differences(before, after)
    }

    fn render(&self, picture: &Picture, exit: Exit, look: Look) -> Result<String, Error> {
        let look = self.checker.args.rows.applied(Look { now: picture.now, ..look });
        report::render(picture, exit, &list_options(self.checker.args, self.ordinal), look)
    }

    fn summary(&self, picture: &Picture) -> String {
        report::summary(picture)
    }
}

/// The time until the next check, unless the API changes before. It is
/// pointless to ask while a denial is valid; when it is about to expire,
/// servers are asked often.
fn pause(picture: &Picture, waits: bool) -> Duration {
    match picture.denied_for().filter(|_| waits) {
        Some(seconds @ 2..) => Duration::from_secs(u64::from(seconds) - 1).min(RECHECK),
        Some(_) => RECHECK_SOON,
        None if waits && !picture.is_all_ok() => Duration::from_secs(1),
        None => RECHECK,
    }
}

/// What is new in `next`, in words. A TTL that counts down is not a change.
fn differences(last: &Picture, next: &Picture) -> Vec<Difference> {
    let state = |picture: &Picture| -> BTreeMap<(String, Kind), (Option<Verdict>, String)> {
        let rows = picture.rows.iter().map(|judged| {
            let row = &judged.row;
            let expected = match &row.expected {
                Expected::Records(wanted) => {
                    let values: Vec<String> =
                        wanted.iter().map(|one| one.value.to_string()).collect();
                    values.join(", ")
                }
                Expected::Nothing(absent) => absent.why().to_owned(),
                Expected::Unknown => "unknown".to_owned(),
            };
            ((row.name.clone(), row.kind), (judged.verdict, expected))
        });
        rows.collect()
    };
    let (before, after) = (state(last), state(next));
    let mut differences = Vec::new();
    let mut add = |object: &str, message: String| {
        differences.push(Difference { object: object.to_owned(), message });
    };
    let word = |verdict: Option<Verdict>| verdict.map_or("expected", Verdict::label);
    for ((name, kind), (verdict, expected)) in &after {
        let short = next.zone.short(name);
        match before.get(&(name.clone(), *kind)) {
            Some(same) if *same == (*verdict, expected.clone()) => {}
            _ => add(name, format!("{short} {} is {}: {expected}", kind.name(), word(*verdict))),
        }
    }
    for (name, kind) in before.keys() {
        if !after.contains_key(&(name.clone(), *kind)) {
            add(name, format!("{} {} is gone", next.zone.short(name), kind.name()));
        }
    }
    differences
}
