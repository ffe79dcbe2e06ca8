//! Carries a scaling out: reads, shows, asks, steps, reports.

mod begin;
mod go;
mod hooks;

use jiff::{SignedDuration, Timestamp};

use super::{
    args::ScaleArgs,
    guards,
    preview::{Preview, Wish},
    record::Record,
    report::{self, View},
    rules, writes,
};
use crate::{
    cluster::{Cluster, ConnectionArgs, DryRun, Mode, read},
    orphans,
    output::{Confirmed, Error, Exit, Look, Question, Terminal},
    steps::{self, End, HeldSet, Teller, Written},
    workload::{Finding, Reference, Retention, StatefulSet, Survey},
};

/// Runs `scale`.
///
/// # Errors
/// When the words are off, the set cannot be read, or a guard says no.
pub async fn run(
    args: &ScaleArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let reference = Reference::parse(&args.set, "StatefulSet").map_err(Error::usage)?;
    let cluster = Cluster::connect(connection, terminal).await?;
    let reading = read::facts(&cluster, &reference.name, read::Scope::Scale).await?;
    let now = Timestamp::now();
    let begun = begin::decide(args, &cluster, &reading.facts, now).await?;
    let begin::Begun { found, record, preview, findings, .. } = &begun;
    let set = &reading.facts.set;
    if guards::refuses(findings) {
        let what = format!("cannot scale {} {} → {}", set.name, preview.from, preview.to);
        return Err(steps::refused(&what, findings, rules::ALLOWABLE));
    }
    let survey = Survey::new(&reading.facts, now);
    let hash = preview.hash(&survey, findings);
    let mut view = View::new(&reading.facts, preview.clone(), hash.clone(), now);
    let look = Look::of(terminal, now);
    if found.is_none() && preview.items.is_empty() {
        let text = report::render(&view, Exit::Done, findings, args.output, look, true)?;
        terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    if args.rehearsal.dry_run != DryRun::None {
        rehearse(args, &cluster, set, preview).await?;
        let line = steps::again(std::env::args().skip(1), None, &["--dry-run"]);
        view.next = Some(format!("{line} --confirm-plan {hash}"));
        let text = report::render(&view, Exit::Done, findings, args.output, look, false)?;
        terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    let shown = report::plan(&view, findings, Look { columns: 100, ..Look::plain(now) });
    terminal.say(shown.trim_end());
    let question = Question {
        text: &format!("Scale {} {} → {}?", set.name, preview.from, preview.to),
        plan: Some(&hash),
        type_to_agree: None,
        for_a_program: args.output.is_machine(),
    };
    let confirmed = Confirmed::ask(terminal, &args.consent, question)?;
    let teller = Teller { terminal, output: args.output, command: "scale" };
    let home = home(record.as_ref(), set, preview);
    let mut hand = Hand {
        cluster: &cluster,
        args,
        terms: begun.terms,
        preview: preview.clone(),
        run: steps::run_name(),
        set: HeldSet::new(&cluster, reading, confirmed, teller),
        began: now,
        home,
    };
    let end = match open(&mut hand, found.as_ref(), record.as_ref(), &begun.wish).await? {
        Ok(()) => go::go(&mut hand).await?,
        Err(end) => end,
    };
    close(&mut hand, &end, findings, &hash).await
}

/// What a scaling has in its hand.
struct Hand<'a> {
    cluster: &'a Cluster,
    args: &'a ScaleArgs,
    terms: super::plan::Terms,
    preview: Preview,
    /// The name under which this run writes.
    run: String,
    set: HeldSet,
    began: Timestamp,
    /// The replicas to which all of it can be undone.
    home: Option<u32>,
}

/// What was before, also before an earlier run of the same scaling. What is
/// lost, no number of replicas brings back.
fn home(record: Option<&Record>, set: &StatefulSet, preview: &Preview) -> Option<u32> {
    if !preview.can_be_undone() {
        return None;
    }
    match record {
        Some(record) if set.when_scaled != Retention::Retain && record.is_down() => None,
        Some(record) => Some(record.from),
        None => Some(preview.from),
    }
}

impl Hand<'_> {
    fn facts_set(&self) -> &StatefulSet {
        &self.set.mirror.facts().set
    }

    /// Says what is waited for: in the live view, or a line when it changes.
    fn say(&mut self, what: &str, until: Option<Timestamp>) -> Result<(), Error> {
        if !self.set.draws() {
            return self.set.waits_for(what, until);
        }
        let now = Timestamp::now();
        let view = View::new(self.set.mirror.facts(), self.preview.clone(), String::new(), now);
        let look = Look::of(self.set.sender.teller.terminal, now);
        let survey = Survey::new(self.set.mirror.facts(), now);
        let picture = report::live(&view, &survey, &steps::waiting(what, until), look);
        self.set.draw(&picture)
    }
}

/// The first write: what is begun, by whom. `found` is the record that is on the
/// set, and `record` the same where it is gone on with: whoever began it has left
/// it, or is told by this that we do.
async fn open(
    hand: &mut Hand<'_>,
    found: Option<&Record>,
    record: Option<&Record>,
    wish: &Wish,
) -> Result<Result<(), End>, Error> {
    let uid = hand.facts_set().uid.clone();
    loop {
        let set = hand.facts_set();
        let now = Record::of(set);
        let is_other = !matches!(&now, Ok(now) if now.as_ref() == found);
        if set.uid != uid || hand.set.mirror.set_is_gone() || is_other {
            // Our own answer may have been lost, and not the write.
            if let Ok(Some(now)) = &now
                && now.run == hand.run
            {
                return Ok(Ok(()));
            }
            let message = "somebody else has begun to scale the set".to_owned();
            let finding = rules::TAKEN_OVER.found(set.reference(), message);
            return Ok(Err(End::with(Exit::Conflict, finding)));
        }
        let first = record.map_or(hand.preview.from, |record| record.at);
        if set.replicas != first {
            let message = format!("somebody scaled {} to {}", set.name, set.replicas);
            let finding = rules::REPLICAS_CHANGED.found(set.reference(), message);
            return Ok(Err(End::with(Exit::Conflict, finding)));
        }
        let mut begun = match record {
            Some(record) => record.clone(),
            None => Record::begin(set, wish.to, &hand.run, hand.began),
        };
        begun.run.clone_from(&hand.run);
        let write = writes::begin(set, &begun, wish.retain);
        match hand.set.write(&write).await? {
            Written::Done => return Ok(Ok(())),
            Written::LookAgain => {}
            Written::Interrupted(exit) => return Ok(Err(End::interrupted(exit))),
        }
    }
}

/// Shows the writes that would follow one another; on the server only the first
/// can be tried, for the second is about a set that is not there yet.
async fn rehearse(
    args: &ScaleArgs,
    cluster: &Cluster,
    set: &StatefulSet,
    preview: &Preview,
) -> Result<(), Error> {
    let mut set = set.clone();
    let mut record = Record::begin(&set, preview.to, "rehearsal", Timestamp::now());
    if args.rehearsal.dry_run == DryRun::Server {
        let mode = Mode::ServerDryRun;
        cluster.write(&writes::begin(&set, &record, args.retain), mode).await?;
        if !preview.items.is_empty() {
            record.at = if preview.to < preview.from { preview.from - 1 } else { preview.from + 1 };
            cluster.write(&writes::step(&set, &record), mode).await?;
        }
        return Ok(());
    }
    cluster.write(&writes::begin(&set, &record, args.retain), Mode::ClientDryRun).await?;
    while set.replicas != preview.to {
        record.at = if preview.to < set.replicas { set.replicas - 1 } else { set.replicas + 1 };
        cluster.write(&writes::step(&set, &record), Mode::ClientDryRun).await?;
        set.replicas = record.at;
    }
    cluster.write(&writes::finish(&set), Mode::ClientDryRun).await?;
    Ok(())
}

/// Reports how it ended: what is left behind and what to type next are part of
/// the answer.
async fn close(
    hand: &mut Hand<'_>,
    end: &End,
    before: &[Finding],
    hash: &str,
) -> Result<Exit, Error> {
    let now = Timestamp::now();
    let terminal = hand.set.sender.teller.terminal;
    let mut view = View::new(hand.set.mirror.facts(), hand.preview.clone(), hash.to_owned(), now);
    view.writes.clone_from(&hand.set.sender.writes);
    view.took = Some(now.duration_since(hand.began)).filter(|took| *took > SignedDuration::ZERO);
    let line = |replicas: u32, more: &str| {
        format!(
            "kubectl stateful scale {} --replicas {replicas}{more} -n {}{}",
            view.name,
            view.namespace,
            hand.cluster.flags()
        )
    };
    let Preview { from, to, .. } = view.preview;
    if let Some(home) = hand.home.filter(|home| view.replicas != *home) {
        let allow = format!(" --allow {}", rules::READOPTS_DATA.id);
        let keeps_claims = !hand.facts_set().claim_templates.is_empty();
        let back_up = view.replicas < home && keeps_claims;
        view.undo = Some(line(home, if back_up { &allow } else { "" }));
    }
    if end.exit == Exit::Done && to < from && view.preview.disks().next().is_some() {
        // The work is done, whether that can be read or not.
        match orphans::run::of_set(hand.cluster, &view.name).await {
            Ok(orphans) => view.orphans = Some(orphans),
            Err(error) => terminal.say(&format!("no report of orphans: {}", error.headline())),
        }
    }
    let interrupted = matches!(end.exit, Exit::Interrupted | Exit::Terminated);
    if end.exit != Exit::Done {
        view.next = Some(steps::repeat());
    }
    let mut findings = end.findings.clone();
    if end.exit == Exit::Done {
        let told = before.iter().filter(|finding| finding.id == rules::BUDGET_LATER.id);
        findings.extend(told.cloned());
    }
    let look = Look::of(terminal, now);
    let text = report::render(&view, end.exit, &findings, hand.args.output, look, true)?;
    if !hand.set.draw_last(&text)? {
        terminal.conclude(&text)?;
    }
    if interrupted {
        terminal.say("interrupted; the set is at rest on the replicas that it has");
    }
    Ok(end.exit)
}
