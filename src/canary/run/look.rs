//! Looking: `status`.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    claims as claims_now,
    session::{command, read_consistent, refused},
};
use crate::{
    canary::{
        allowed,
        args::{Awaited, ShowArgs},
        claims::{self, Seen},
        guards,
        plan::{Memory, State},
        record::Record,
        report::{self, Class, OrdinalView, Stage, View},
        rules,
    },
    cluster::{
        Cluster, ConnectionArgs, Failure, Resource,
        changes::Changes,
        read::{Reading, Scope},
    },
    manifests::{self, Bundle},
    output::{Error, Exit, Look, Terminal},
    steps::watch_loop::{self, Difference, Idle, LAST_READ, Request, Watched},
    workload::{Facts, Survey, Unread},
};

/// How often ages and minReadySeconds are judged again, without asking the
/// server.
const TICK: Duration = Duration::from_secs(1);

/// Runs `status`.
pub async fn status(
    args: &ShowArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let name = args.set.name()?;
    if !args.files.paths.is_empty() {
        let facts = facts_of_files(&args.files.paths, &name, connection)?;
        return once(&facts, None, args, terminal);
    }
    let cluster = Cluster::connect(connection, terminal).await?;
    if args.until.watch || args.until.wait_for.is_some() {
        return follow(&cluster, args, name, terminal).await;
    }
    let looked = Looked::read(&cluster, &name).await?;
    once(&looked.reading.facts, Some(&looked.claims), args, terminal)
}

/// What was read of a set, and of the claims of its pods, which a canary may make go.
struct Looked {
    reading: Reading,
    claims: Claims,
}

pub type Claims = Result<Seen, Unread>;

impl Looked {
    async fn read(cluster: &Cluster, name: &str) -> Result<Looked, Failure> {
        let reading = read_consistent(cluster, name).await?;
        let record = Record::of(&reading.facts.set).ok().flatten();
        let survey = Survey::new(&reading.facts, Timestamp::now());
        let claims = claims_now::read_for(cluster, &survey, record.as_ref()).await?;
        Ok(Looked { reading, claims })
    }
}

/// The facts from files, with what they lack.
pub fn facts_of_files(
    paths: &[String],
    name: &str,
    connection: &ConnectionArgs,
) -> Result<Facts, Error> {
    let mut facts = Bundle::read(paths)?.facts(name, connection.namespace.as_deref())?;
    let absent = absent(&facts);
    facts.unread.extend(absent);
    Ok(facts)
}

/// What a manifest does not have and a dump should: nothing is known of a canary
/// without the pods and the revisions.
pub fn absent(facts: &Facts) -> Vec<Unread> {
    let pods = facts.pods.is_none() && facts.set.replicas > 0;
    [(pods, Resource::POD), (facts.revisions.is_none(), Resource::REVISION)]
        .into_iter()
        .filter(|(is_absent, _)| *is_absent)
        .map(|(_, kind)| manifests::absent(kind))
        .filter(|absent| !facts.unread.contains(absent))
        .collect()
}

fn once(
    facts: &Facts,
    claims: Option<&Claims>,
    args: &ShowArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let now = Timestamp::now();
    let view = picture(facts, claims, None, now);
    let exit = verdict(&view, args);
    terminal.answer(&report::render(
        &view,
        exit,
        &[],
        args.output.format,
        Look::of(terminal, now),
    )?)?;
    Ok(exit)
}

/// A canary, what is in its way, and the lines that are not refused for that: what
/// `status` shows, and the end of every run. `claims`: what the server says of
/// them; files have them among the facts. `memory`: what a run has seen.
pub fn picture(
    facts: &Facts,
    claims: Option<&Claims>,
    memory: Option<&Memory>,
    now: Timestamp,
) -> View {
    let survey = Survey::new(facts, now);
    let (record, unusable) = match Record::of(&facts.set) {
        Ok(record) => (record, None),
        Err(why) => (None, Some(guards::unusable(&survey, &why))),
    };
    let mut view = View::new(facts, record.as_ref(), memory, now);
    if let Some(unusable) = unusable {
        view.findings.push(unusable);
        view.has_unusable_record();
    }
    let mut findings = guards::for_status(&survey, record.as_ref(), claims.is_some());
    let shown = |seen: &Seen| match &record {
        Some(record) => claims::shown(&State::new(facts, record, now), seen),
        None => claims::shown_at_rest(&survey, seen),
    };
    match claims {
        None => view.add_claims(shown(&Seen::of(facts))),
        Some(Ok(seen)) => view.add_claims(shown(seen)),
        Some(Err(unread)) => {
            if let Some(record) = &record {
                let mut found = vec![claims_now::unread_finding(facts, unread)];
                allowed::before(record).weigh(&mut found);
                findings.extend(found);
            }
            view.unread.push(unread.clone());
        }
    }
    view.add_findings(findings);
    // A dump may lack what the server would tell.
    let is_blind = claims.is_some() && !guards::readable(&survey);
    if is_blind || facts.namespace_deleting.is_some() {
        view.next.clear();
    }
    view
}

/// The same at the end of a run, which has read no claims but those of its own
/// writes. A server that is away leaves them unknown, and that is said.
pub async fn last_picture(cluster: &Cluster, facts: &Facts, memory: Option<&Memory>) -> View {
    let now = Timestamp::now();
    let claims = match Record::of(&facts.set) {
        Ok(Some(record)) => {
            let survey = Survey::new(facts, now);
            let read = claims_now::read_for(cluster, &survey, Some(&record));
            let unread = |why: String| Err(Unread { resource: Resource::CLAIM.name(), why });
            match tokio::time::timeout(LAST_READ, read).await {
                Ok(Ok(claims)) => claims,
                Ok(Err(failure)) => unread(Error::from(failure).headline().to_owned()),
                Err(_) => unread("the server did not answer in time".to_owned()),
            }
        }
        _ => Ok(Seen::default()),
    };
    picture(facts, Some(&claims), memory, now)
}

fn verdict(view: &View, args: &ShowArgs) -> Exit {
    let waits = matches!(view.stage, Stage::Paused | Stage::Judging | Stage::Staged);
    match (args.exit_code, view.is_held_up(), waits) {
        (true, true, _) => Exit::Found,
        // Whether it waits for a person, or for a pod that is broken, is unknown.
        _ if !view.unread.is_empty() => Exit::Incomplete,
        (true, false, true) => Exit::Waiting,
        _ => Exit::Done,
    }
}

async fn follow(
    cluster: &Cluster,
    args: &ShowArgs,
    name: String,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let hint = command("status", &name, cluster);
    let request = Request {
        terminal,
        form: args.output.format.into(),
        watch: args.until.watch,
        subject: format!("the canary of {}/{name}", cluster.namespace()),
        goal: args.until.wait_for.map(goal_word),
        timeout: args.until.timeout,
        schema: "kubectl-stateful/canary-change/v1",
        hint: hint.clone(),
    };
    let mut watched =
        WatchedCanary { cluster, args, name, uid: None, seen: None, ended: None, terminal, hint };
    watch_loop::follow(&mut watched, &request).await
}

fn goal_word(goal: Awaited) -> &'static str {
    match goal {
        Awaited::Paused => "paused",
        Awaited::Complete => "complete",
    }
}

/// The canary under `--watch` and `--wait-for`.
struct WatchedCanary<'a> {
    cluster: &'a Cluster,
    args: &'a ShowArgs,
    name: String,
    /// Of the set that was read first.
    uid: Option<String>,
    /// The stable revision of the canary that was seen last.
    seen: Option<String>,
    /// What the wait ends with.
    ended: Option<Exit>,
    terminal: Terminal,
    hint: String,
}

impl WatchedCanary<'_> {
    /// Whether the goal is reached, or cannot be reached any more; and in that
    /// case, why.
    fn end(&self, view: &View, goal: Awaited) -> Option<(Exit, Option<String>)> {
        let name = &view.name;
        if !view.pods_known {
            let why = "the pods cannot be read: nobody can tell when it is".to_owned();
            return Some((Exit::Incomplete, Some(why)));
        }
        // Also one that is on its way back.
        let ends = [rules::BEING_DELETED.id, rules::NAMESPACE_DELETING.id];
        if view.findings.iter().any(|finding| ends.contains(&finding.id)) {
            let why = format!("{name} is being deleted: it goes no further");
            return Some((Exit::Conflict, Some(why)));
        }
        let well = || view.items.iter().all(|item| item.pod.available);
        match (view.stage, &self.seen) {
            (Stage::Changed, _) => {
                let why = "somebody else has changed the set: it goes no further as it is";
                Some((Exit::Conflict, Some(why.to_owned())))
            }
            (Stage::Paused, _) if goal == Awaited::Paused => Some((Exit::Done, None)),
            // The canary that was under way is over.
            (Stage::None, Some(stable)) if view.template_revision.as_ref() == Some(stable) => {
                let why = format!("the canary was aborted: {name} goes back to {stable}");
                Some((Exit::Reverted, Some(why)))
            }
            (Stage::None, Some(_)) => {
                let all = view.items.iter().all(|item| item.class == Class::Stable);
                match (all, well()) {
                    (true, true) => Some((Exit::Done, None)),
                    (true, false) => None,
                    (false, _) => {
                        let why = "the canary was ended before every pod had moved".to_owned();
                        Some((Exit::Conflict, Some(why)))
                    }
                }
            }
            _ => None,
        }
    }
}

impl Watched for WatchedCanary<'_> {
    type Reading = Looked;
    type Picture = View;

    async fn read(&mut self) -> Result<Looked, Failure> {
        Looked::read(self.cluster, &self.name).await
    }

    fn changes(&self, looked: &Looked) -> Changes {
        Changes::of_set(self.cluster, &looked.reading, Scope::Rollout)
    }

    async fn judge(&mut self, looked: &Looked, now: Timestamp) -> Result<View, Error> {
        let Looked { reading, claims } = looked;
        watch_loop::same_set(&mut self.uid, &reading.facts.set, &self.hint)?;
        let view = picture(&reading.facts, Some(claims), None, now);
        let Some(goal) = self.args.until.wait_for else { return Ok(view) };
        if let Err(why) = Record::of(&reading.facts.set) {
            let finding = guards::unusable(&Survey::new(&reading.facts, now), &why);
            return Err(refused(&format!("cannot wait for {}", goal_word(goal)), vec![finding]));
        }
        if view.stage != Stage::None {
            self.seen.clone_from(&view.stable);
        } else if self.seen.is_none() && view.pods_known {
            // Whether the last one went through or was taken back is kept nowhere.
            let message = "no canary is under way: there is nothing to wait for";
            let finding = rules::NONE.found(reading.facts.set.reference(), message);
            return Err(refused(&format!("cannot wait for {}", goal_word(goal)), vec![finding])
                .hint(&self.hint));
        }
        let end = self.end(&view, goal);
        if let Some((_, Some(why))) = &end
            && self.ended.is_none()
        {
            self.terminal.say(why);
        }
        self.ended = end.map(|(exit, _)| exit);
        Ok(view)
    }

    fn idle(&self, _: &View) -> Idle {
        Idle::JudgeAfter(TICK)
    }

    fn is_reached(&self, _: &View) -> bool {
        self.ended.is_some()
    }

    fn verdict(&self, view: &View) -> Exit {
        self.ended.filter(|exit| *exit != Exit::Done).unwrap_or_else(|| verdict(view, self.args))
    }

    fn differences(&self, before: &View, after: &View) -> Vec<Difference> {
        differences(before, after)
    }

    fn render(&self, view: &View, exit: Exit, look: Look) -> Result<String, Error> {
        report::render(view, exit, &[], self.args.output.format, look)
    }

    fn summary(&self, view: &View) -> String {
        let on_target = view.moved();
        let available = view.items.iter().filter(|item| item.pod.available).count();
        let replicas = view.replicas;
        format!(
            "{}, {on_target} of {replicas} moved, {available} of {replicas} available",
            stage(view)
        )
    }

    fn lost(&self, failure: Failure) -> Error {
        match failure {
            Failure::NotFound(_) => {
                let name = &self.name;
                let message = format!("statefulset \"{name}\" was deleted while it was watched");
                Error::new(Exit::Conflict, message).hint(&self.hint)
            }
            failure => failure.into(),
        }
    }
}

/// What is new in `next`, in words. Ages do not count.
fn differences(last: &View, next: &View) -> Vec<Difference> {
    let pod = |item: &OrdinalView, message: String| Difference {
        object: format!("pod/{}", item.pod.name),
        message,
    };
    let words = |item: &OrdinalView| {
        let revision = item.pod.revision.as_deref().unwrap_or("<none>");
        format!("{} is {} on {revision}", item.pod.name, item.pod.state)
    };
    let mut differences = Vec::new();
    for item in &next.items {
        let before = last.items.iter().find(|before| before.pod.name == item.pod.name);
        let is_another = before.is_some_and(|before| item.pod.is_another_than(&before.pod));
        if is_another {
            let revision = item.pod.revision.as_deref().unwrap_or("<none>");
            let (name, state) = (&item.pod.name, &item.pod.state);
            let message = format!("{name} was replaced: the new one is {state} on {revision}");
            differences.push(pod(item, message));
        } else if before.map(words) != Some(words(item)) {
            differences.push(pod(item, words(item)));
        }
    }
    for item in &last.items {
        if next.items.iter().all(|after| after.pod.name != item.pod.name) {
            differences.push(pod(item, format!("{} is gone", item.pod.name)));
        }
    }
    if stage(last) != stage(next) {
        let object = format!("statefulset.apps/{}", next.name);
        differences.push(Difference { object, message: format!("{}: {}", next.name, stage(next)) });
    }
    differences
}

fn stage(view: &View) -> String {
    match view.stage {
        Stage::None => "no canary is under way".to_owned(),
        Stage::Staged => "staged".to_owned(),
        Stage::Judging => format!("judging at partition {}", view.partition),
        Stage::Paused => format!("paused at partition {}", view.partition),
        Stage::Changed => "changed by somebody else".to_owned(),
        Stage::Aborting => "aborting".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `web` with one pod, of this uid.
    fn view(uid: &str) -> View {
        let text = format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: web}}\n\
             spec: {{replicas: 1, selector: {{matchLabels: {{app: web}}}}, template: {{}}}}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: web-0, uid: {uid}, labels: {{app: web}}}}\n\
             status: {{phase: Running, conditions: [{{type: Ready, status: 'True'}}]}}\n"
        );
        let mut bundle = Bundle::default();
        bundle.add_text(&text, "test").expect("objects");
        View::new(&bundle.facts("web", None).expect("a set"), None, None, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_pod_that_was_replaced_between_two_looks_is_told() {
        assert_eq!(differences(&view("a"), &view("a")), []);
        let told = differences(&view("a"), &view("b"));
        let said: Vec<&str> = told.iter().map(|told| told.message.as_str()).collect();
        assert_eq!(said, ["web-0 was replaced: the new one is Ready on <none>"]);
    }
}
