//! A canary as a tree, as names, as a document; and the plan of one.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    change::Difference,
    plan::{self, Memory, Side, Stand, trouble},
    record::{Phase, Record},
};
use crate::{
    output::{
        Envelope, Error, Exit, Format, Look, Paint, Palette, layout, table,
        text::{age, clock, count, one_line, width},
    },
    workload::{Facts, Finding, Pod, Revision, Severity, Slot, Strategy, Survey, Unread},
};

/// Where a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// No canary is under way.
    None,
    /// The partition holds back what will be applied.
    Staged,
    /// An ordinal has been told to move and has not passed its gates.
    Judging,
    /// Those that moved have passed; the rest waits for a promote.
    Paused,
    /// On the way back.
    Aborting,
}

impl Stage {
    fn of(record: Option<&Record>, memory: Option<&Memory>, replicas: u32) -> Stage {
        let Some(record) = record else { return Stage::None };
        match record.phase {
            Phase::Staged => Stage::Staged,
            Phase::Aborting => Stage::Aborting,
            Phase::Rolling => {
                let lowest = record.partition;
                let here =
                    memory.and_then(|memory| memory.judged).is_some_and(|judged| lowest >= judged);
                let judged = lowest >= replicas || record.has_judged(lowest) || here;
                if judged { Stage::Paused } else { Stage::Judging }
            }
        }
    }
}

/// The canary as it is shown, and the payload of `-o json`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub stage: Stage,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub replicas: u32,
    /// `spec.ordinals.start`: the ordinal of index 0.
    pub start_ordinal: u32,
    pub strategy: String,
    /// How many low ordinals keep the stable revision.
    pub partition: u32,
    /// The partition that comes back at the end; `null` where there is none.
    pub original_partition: Option<u32>,
    /// The revision to go back to.
    pub stable: Option<String>,
    /// The revision that the canary brings.
    pub target: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub started: Option<Timestamp>,
    /// The run that wrote last.
    pub run: Option<String>,
    /// The ordinals, highest first: the order in which they move.
    pub items: Vec<OrdinalView>,
    /// What is waited for at this moment.
    pub waiting: Option<String>,
    /// What this run wrote, in order.
    pub writes: Vec<String>,
    /// The commands that may come next.
    pub next: Vec<Next>,
    #[serde(skip)]
    images: Vec<(String, String)>,
    #[serde(skip)]
    unread: Vec<Unread>,
}

/// A command that may come next, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// `next` or `back`.
    pub what: &'static str,
    pub command: String,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrdinalView {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub class: Class,
    pub ordinal: u32,
    pub index: u32,
    pub uid: Option<String>,
    pub revision: Option<String>,
    pub state: String,
    pub ready: bool,
    pub available: bool,
    pub restarts: u32,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    /// Whether the partition lets it move.
    pub released: bool,
    pub gates: Vec<GateView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Stable,
    Canary,
    Other,
    Absent,
}

/// One gate of one ordinal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GateView {
    pub gate: String,
    pub verdict: Verdict,
    pub message: String,
}

pub use crate::steps::attempt::Verdict;

impl View {
    pub fn new(
        facts: &Facts,
        record: Option<&Record>,
        memory: Option<&Memory>,
        now: Timestamp,
    ) -> View {
        let set = &facts.set;
        let survey = Survey::new(facts, now);
        let stable = match record {
            Some(record) => Some(record.stable.clone()),
            None => plan::stable_of(&survey).map(str::to_owned),
        };
        let stage = Stage::of(record, memory, set.replicas);
        let target = set.status.update_revision.clone().filter(|update| {
            Some(update) != stable.as_ref() && record.is_none_or(|r| r.phase == Phase::Rolling)
        });
        let items: Vec<OrdinalView> = survey
            .indexes()
            .rev()
            .map(|(index, slot)| ordinal(&survey, record, memory, index, slot))
            .collect();
        let images = facts.revisions.iter().flatten().map(|revision| {
            let images: Vec<&str> = revision.images.iter().map(|(_, i)| i.as_str()).collect();
            (revision.name.clone(), images.join(", "))
        });
        View {
            stage,
            namespace: set.namespace.clone(),
            name: set.name.clone(),
            uid: set.uid.clone(),
            replicas: set.replicas,
            start_ordinal: set.start,
            strategy: match &set.strategy {
                Strategy::RollingUpdate { .. } => "RollingUpdate".to_owned(),
                Strategy::OnDelete => "OnDelete".to_owned(),
                Strategy::Other(other) => other.clone(),
            },
            partition: match record {
                Some(record) if record.on_delete => record.partition,
                _ => set.partition(),
            },
            original_partition: record.and_then(|record| record.was),
            stable,
            target,
            started: record.map(|record| record.started),
            run: record.map(|record| record.run.clone()),
            next: next(&survey, stage, &items),
            items,
            waiting: None,
            writes: Vec::new(),
            images: with_template_images(images.collect(), facts),
            unread: facts.unread.clone(),
        }
    }

    /// Adds what checks have said in this run.
    pub fn add(&mut self, said: &[(u32, GateView)]) {
        for item in self.items.iter_mut().filter(|item| item.released) {
            let said = said.iter().filter(|(index, _)| *index == item.index);
            let place = item.gates.iter().position(|gate| gate.gate == "judged");
            let place = place.unwrap_or(item.gates.len());
            item.gates.splice(place..place, said.map(|(_, view)| view.clone()));
        }
    }

    /// Whether a gate has failed.
    pub fn is_broken(&self) -> bool {
        self.items.iter().flat_map(|item| &item.gates).any(|gate| gate.verdict == Verdict::Fail)
    }

    /// How many ordinals run the new revision.
    fn moved(&self) -> usize {
        self.items.iter().filter(|item| item.class == Class::Canary).count()
    }
}

/// The controller's newest revision may be younger than our list of them; its
/// images are the template's.
fn with_template_images(mut images: Vec<(String, String)>, facts: &Facts) -> Vec<(String, String)> {
    if let Some(update) = &facts.set.status.update_revision
        && !images.iter().any(|(name, _)| name == update)
    {
        let containers = facts.set.template.containers.iter().filter(|c| !c.init);
        let all: Vec<&str> = containers.map(|container| container.image.as_str()).collect();
        images.push((update.clone(), all.join(", ")));
    }
    images
}

fn next(survey: &Survey, stage: Stage, items: &[OrdinalView]) -> Vec<Next> {
    let command = |verb: &str, more: &str| {
        format!("kubectl stateful canary {verb} {} {}{more}", survey.set.name, survey.at())
    };
    let go = |command| Next { what: "next", command };
    let back = |command| Next { what: "back", command };
    let broken = items.iter().flat_map(|item| &item.gates).any(|g| g.verdict == Verdict::Fail);
    match stage {
        Stage::None => Vec::new(),
        Stage::Staged => vec![go(command("start", " --adopt")), back(command("abort", ""))],
        Stage::Judging if broken => vec![go(command("abort", ""))],
        Stage::Judging | Stage::Paused => {
            vec![go(command("promote", "")), back(command("abort", ""))]
        }
        Stage::Aborting => vec![go(command("abort", ""))],
    }
}

fn ordinal(
    survey: &Survey,
    record: Option<&Record>,
    memory: Option<&Memory>,
    index: u32,
    slot: &Slot,
) -> OrdinalView {
    let (set, now) = (survey.set, survey.now);
    let stand = record.map(|record| Stand::new(survey.facts, record, now));
    let pod = slot.pod;
    let side = match (&stand, pod) {
        (Some(stand), _) => stand.side(slot),
        (None, Some(pod)) if pod.revision() == set.status.update_revision.as_deref() => {
            Side::Stable
        }
        (None, Some(_)) => Side::Other,
        (None, None) => Side::Absent,
    };
    OrdinalView {
        kind: "Pod",
        namespace: set.namespace.clone(),
        name: slot.name.clone(),
        class: match side {
            Side::Stable => Class::Stable,
            Side::Target => Class::Canary,
            Side::Other => Class::Other,
            Side::Absent => Class::Absent,
        },
        ordinal: slot.ordinal,
        index,
        uid: pod.map(|pod| pod.uid.clone()),
        revision: pod.and_then(Pod::revision).map(str::to_owned),
        state: pod.map_or_else(|| "Missing".to_owned(), Pod::state),
        ready: pod.is_some_and(Pod::is_ready),
        available: pod.is_some_and(|pod| {
            !pod.is_terminating() && pod.is_available(set.min_ready_seconds, now)
        }),
        restarts: pod.map_or(0, Pod::restarts),
        created: pod.and_then(|pod| pod.created),
        released: record.is_some_and(|r| r.phase == Phase::Rolling && r.has_released(index)),
        gates: stand.map_or_else(Vec::new, |stand| gates(&stand, memory, index)),
    }
}

/// What the gates say of one ordinal, as far as can be told without asking it
/// anything.
fn gates(stand: &Stand, memory: Option<&Memory>, index: u32) -> Vec<GateView> {
    let record = stand.record;
    if record.phase != Phase::Rolling || !record.has_released(index) {
        return Vec::new();
    }
    let gate =
        |gate: &str, verdict, message: String| GateView { gate: gate.to_owned(), verdict, message };
    let Some(slot) = stand.slot(index) else { return Vec::new() };
    let pod = slot.pod.filter(|_| stand.side(slot) == Side::Target);
    let Some(pod) = pod else {
        return vec![gate(
            "identity",
            Verdict::Pending,
            "no pod of the new revision yet".to_owned(),
        )];
    };
    let mut gates = vec![gate("identity", Verdict::Pass, format!("uid {}", pod.uid))];
    gates.push(match trouble(stand, pod) {
        Some(trouble) => gate("health", Verdict::Fail, trouble),
        None => gate("health", Verdict::Pass, "nothing is plainly wrong".to_owned()),
    });
    let set = stand.survey.set;
    gates.push(if pod.is_available(set.min_ready_seconds, stand.survey.now) {
        gate("ready", Verdict::Pass, "Ready and available".to_owned())
    } else if pod.is_ready() {
        gate("ready", Verdict::Pending, "Ready, not yet for minReadySeconds".to_owned())
    } else {
        gate("ready", Verdict::Pending, "not Ready".to_owned())
    });
    if let Some(memory) = memory {
        gates.extend(steady(stand, memory, pod, index));
    }
    if memory.map_or_else(|| record.has_judged(index), |memory| stand.has_judged(memory, index)) {
        gates.push(gate("judged", Verdict::Pass, "it has passed its gates".to_owned()));
    } else if gates.iter().all(|gate| gate.verdict == Verdict::Pass) {
        gates.push(gate("judged", Verdict::Pending, "promote judges it".to_owned()));
    }
    gates
}

/// The pod was Ready and stays so, for as long as this run watches it.
fn steady(stand: &Stand, memory: &Memory, pod: &Pod, index: u32) -> Option<GateView> {
    let gate =
        |verdict, message: String| Some(GateView { gate: "bake".to_owned(), verdict, message });
    if let Some(what) = memory.broken_at(index) {
        return gate(Verdict::Fail, what.to_owned());
    }
    if memory.bake.is_zero() {
        return None;
    }
    let ready = pod.condition("Ready").filter(|ready| ready.holds)?.since? + memory.bake;
    if ready > stand.survey.now {
        return gate(Verdict::Pending, format!("until {}", clock(ready)));
    }
    gate(Verdict::Pass, format!("Ready for {} without a restart", age(memory.bake)))
}

/// The answer in the asked format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render(
    view: &View,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Table => Ok(tree(view, findings, look)),
        Format::Wide => Ok(tree(view, findings, Look { wide: true, ..look })),
        Format::Name => Ok(format!("statefulset.apps/{}\n", one_line(&view.name))),
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("canary", exit, findings, &view.unread, view).render(format)
        }
    }
}

/// The tree, and below it what is in the way and what to type next.
pub fn tree(view: &View, findings: &[Finding], look: Look) -> String {
    let mut lines = vec![header(view, look)];
    lines.extend(branches(view, look));
    let mut below = block(findings, "stopped", look);
    if let Some(waiting) = &view.waiting {
        below.extend(layout::hanging("waiting", &format!("for {waiting}"), look.columns));
    }
    for next in &view.next {
        let label = layout::label(next.what, Paint::Dim, look);
        below.push(format!("{label}  {}", one_line(&next.command)));
    }
    if !below.is_empty() {
        lines.push(String::new());
        lines.extend(below);
    }
    lines.join("\n") + "\n"
}

/// The findings, the worst under `word`.
fn block(findings: &[Finding], word: &str, look: Look) -> Vec<String> {
    findings.iter().flat_map(|finding| layout::finding(finding, word, look)).collect()
}

fn header(view: &View, look: Look) -> String {
    let name = one_line(&format!("{}/{}", view.namespace, view.name));
    let name = look.palette.paint(Paint::Bold, &name);
    let moved = format!("{} of {}", view.moved(), view.replicas);
    let (paint, stage) = match view.stage {
        Stage::None if view.items.iter().any(|item| item.class == Class::Other) => {
            (Paint::Yellow, "no canary, but not all pods run the template's revision".to_owned())
        }
        Stage::None => (Paint::Green, "no canary".to_owned()),
        Stage::Staged => (Paint::Yellow, "staged: nothing that is applied moves a pod".to_owned()),
        Stage::Judging if view.is_broken() => {
            (Paint::Red, format!("canary, {moved} moved, failing"))
        }
        Stage::Judging => (Paint::Yellow, format!("canary, {moved} moved, judging")),
        Stage::Paused => (Paint::Green, format!("canary, {moved} moved, paused")),
        Stage::Aborting => (Paint::Red, "aborting".to_owned()),
    };
    let stage = look.palette.paint(paint, &stage);
    let mut parts = vec![format!("StatefulSet {name}"), stage];
    match view.strategy.as_str() {
        "RollingUpdate" if view.partition > 0 || view.stage != Stage::None => {
            let was = view.original_partition.filter(|was| *was != view.partition);
            let was = was.map_or_else(String::new, |was| format!(" (was {was})"));
            parts.push(format!("partition {}{was}", view.partition));
        }
        "RollingUpdate" => {}
        other => parts.push(one_line(other)),
    }
    if view.start_ordinal > 0 {
        parts.push(format!("ordinals from {}", view.start_ordinal));
    }
    if let Some(started) = view.started {
        parts.push(format!("since {}", age(look.now.duration_since(started))));
    }
    parts.join("  ")
}

fn branches(view: &View, look: Look) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for item in &view.items {
        let name = item.revision.as_deref().unwrap_or("<none>");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut revisions: Vec<(usize, String)> = Vec::new();
    let last_branch = names.len().saturating_sub(1);
    for (branch, name) in names.iter().enumerate() {
        let (fork, trunk) =
            if branch == last_branch { ("└─", "   ") } else { ("├─", "│  ") };
        revisions.push((rows.len(), format!("{fork} {}", revision_line(view, name, look))));
        let ordinals: Vec<&OrdinalView> = view
            .items
            .iter()
            .filter(|item| item.revision.as_deref().unwrap_or("<none>") == *name)
            .collect();
        let last = ordinals.len().saturating_sub(1);
        for (place, item) in ordinals.iter().enumerate() {
            let fork = if place == last { "└─" } else { "├─" };
            rows.push(cells(item, &format!("{trunk}{fork} "), look));
        }
    }
    let aligned = table::columns(rows);
    let mut lines = Vec::new();
    let mut revisions = revisions.into_iter().peekable();
    for (place, line) in aligned.into_iter().enumerate() {
        while let Some((_, revision)) = revisions.next_if(|(before, _)| *before == place) {
            lines.push(revision);
        }
        lines.push(line);
    }
    lines
}

fn revision_line(view: &View, name: &str, look: Look) -> String {
    let role = if Some(name) == view.stable.as_deref() {
        "stable"
    } else if Some(name) == view.target.as_deref() {
        "canary"
    } else if name == "<none>" {
        return "no pod".to_owned();
    } else {
        "other"
    };
    let images = view.images.iter().find(|(known, _)| known == name);
    let images = images.map_or_else(String::new, |(_, images)| one_line(images));
    let name = look.palette.paint(Paint::Cyan, &one_line(name));
    format!("{name}   {role}   {images}").trim_end().to_owned()
}

fn cells(item: &OrdinalView, trunk: &str, look: Look) -> Vec<String> {
    let since = item
        .created
        .map_or_else(|| "<none>".to_owned(), |created| age(look.now.duration_since(created)));
    let restarts = if item.restarts > 0 { count(restarts(item), "restart") } else { String::new() };
    let mut cells = vec![
        format!("{trunk}{}", one_line(&item.name)),
        one_line(&item.state),
        since,
        restarts,
        gate_words(item, look.palette),
    ];
    if look.wide {
        cells.push(item.uid.clone().unwrap_or_else(|| "<none>".to_owned()));
    }
    cells
}

fn restarts(item: &OrdinalView) -> usize {
    usize::try_from(item.restarts).unwrap_or(usize::MAX)
}

/// The gates of an ordinal in one cell: what is not passed yet, or that all is.
fn gate_words(item: &OrdinalView, palette: Palette) -> String {
    if let Some(failed) = item.gates.iter().find(|gate| gate.verdict == Verdict::Fail) {
        return palette.paint(Paint::Red, &format!("✗ {}", failed.gate));
    }
    if item.gates.iter().any(|gate| gate.gate == "judged" && gate.verdict == Verdict::Pass) {
        return palette.paint(Paint::Green, "✓ passed");
    }
    let open: Vec<String> = item
        .gates
        .iter()
        .filter(|gate| gate.verdict != Verdict::Pass)
        .map(|gate| format!("{}: {}", gate.gate, one_line(&gate.message)))
        .collect();
    open.join(", ")
}

/// What `canary plan` says, and what `canary start` shows before it asks.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub replicas: u32,
    pub start_ordinal: u32,
    pub stable: Option<String>,
    /// What changes in the pod template.
    pub changes: Vec<Difference>,
    /// The ordinals that move, in that order, with their fate.
    pub items: Vec<PlannedOrdinal>,
    pub gates: Vec<String>,
    /// The first write, as it will be named.
    pub write: Option<String>,
    /// The same as kubectl would say it.
    pub kubectl: Option<String>,
    /// Changes with everything that the plan was made from.
    pub hash: String,
    /// Whether the server has tried it, without storing it.
    pub tried: bool,
    #[serde(skip)]
    pub command: String,
    #[serde(skip)]
    pub unread: Vec<Unread>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlannedOrdinal {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub class: PlannedClass,
    pub ordinal: u32,
    pub index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PlannedClass {
    /// Gets the new version in this run.
    Moves,
    /// Has moved already.
    Moved,
    /// Keeps the stable revision.
    Stays,
}

/// The plan in the asked format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render_plan(
    view: &PlanView,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Name => Ok(format!("statefulset.apps/{}\n", one_line(&view.name))),
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("canary-plan", exit, findings, &view.unread, view).render(format)
        }
        Format::Table | Format::Wide => {
            let mut text = plan_text(view, findings, look);
            let refused = findings.iter().any(|f| f.severity == Severity::Error);
            let hash = &view.hash;
            text.push_str(&layout::label("plan", Paint::Dim, look));
            text.push_str("  ");
            if refused {
                text.push_str("refused: nothing was changed");
            } else {
                text.push_str(hash);
                text.push_str(": nothing was changed");
            }
            if !refused && !view.command.is_empty() {
                text.push_str("; to do it:\n         ");
                text.push_str(&view.command);
            }
            text.push('\n');
            Ok(text)
        }
    }
}

/// What will happen, for people.
pub fn plan_text(view: &PlanView, findings: &[Finding], look: Look) -> String {
    let name = one_line(&format!("{}/{}", view.namespace, view.name));
    let name = look.palette.paint(Paint::Bold, &name);
    let mut lines = vec![format!(
        "StatefulSet {name}  canary  {}",
        count(usize::try_from(view.replicas).unwrap_or(usize::MAX), "replica")
    )];
    lines.push(String::new());
    let value =
        |value: &Option<String>| value.as_deref().map_or_else(|| "<none>".to_owned(), one_line);
    let changes: Vec<Vec<String>> = view
        .changes
        .iter()
        .map(|change| {
            let arrow = format!("{} → {}", value(&change.before), value(&change.after));
            vec![one_line(&change.path), arrow]
        })
        .collect();
    for (place, line) in table::columns(changes).into_iter().enumerate() {
        let label = if place == 0 { "change" } else { "" };
        lines.push(format!("{label:<7}  {line}"));
    }
    let named = |class: PlannedClass| -> Vec<&str> {
        let items = view.items.iter().filter(|item| item.class == class);
        items.map(|item| item.name.as_str()).collect()
    };
    let mut say = |label: &str, text: String| {
        lines.extend(layout::hanging(&format!("{label:<7}"), &text, look.columns));
    };
    let (moves, moved, stays) =
        (named(PlannedClass::Moves), named(PlannedClass::Moved), named(PlannedClass::Stays));
    if !moved.is_empty() {
        say("moved", moved.join(", "));
    }
    if !moves.is_empty() {
        say("moves", moves.join(", then "));
    }
    if !stays.is_empty() {
        let stable = view.stable.as_deref().unwrap_or("the stable revision");
        say("stays", format!("{} on {stable}", stays.join(", ")));
    }
    say("gates", view.gates.join(", "));
    if let Some(write) = &view.write {
        say("write", write.clone());
    }
    let found = block(findings, "refused", look);
    if !found.is_empty() {
        lines.push(String::new());
        lines.extend(found);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The revisions of a set.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    pub namespace: String,
    pub name: String,
    pub items: Vec<RevisionView>,
    /// How the two that were asked for differ.
    pub differences: Option<Comparison>,
    #[serde(skip)]
    pub unread: Vec<Unread>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub from: String,
    pub to: String,
    pub changes: Vec<Difference>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RevisionView {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub number: i64,
    /// `stable`, `canary`, `template` (what the template names), or `old`.
    pub class: &'static str,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    pub images: Vec<String>,
    /// The pods that run it.
    pub pods: Vec<String>,
}

impl HistoryView {
    pub fn new(facts: &Facts, record: Option<&Record>, now: Timestamp) -> HistoryView {
        let set = &facts.set;
        let survey = Survey::new(facts, now);
        let update = set.status.update_revision.as_deref();
        let mut revisions: Vec<&Revision> = facts.revisions.iter().flatten().collect();
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
        let items = revisions.iter().map(|revision| {
            let name = revision.name.as_str();
            let class = match record {
                Some(record) if record.stable == name => "stable",
                Some(_) if Some(name) == update => "canary",
                None if Some(name) == update => "template",
                _ => "old",
            };
            let pods = survey.pods().filter(|(_, pod)| pod.revision() == Some(name));
            RevisionView {
                kind: "ControllerRevision",
                namespace: set.namespace.clone(),
                name: name.to_owned(),
                number: revision.number,
                class,
                created: revision.created,
                images: revision.images.iter().map(|(_, image)| image.clone()).collect(),
                pods: pods.map(|(slot, _)| slot.name.clone()).collect(),
            }
        });
        HistoryView {
            namespace: set.namespace.clone(),
            name: set.name.clone(),
            items: items.collect(),
            differences: None,
            unread: facts.unread.clone(),
        }
    }
}

/// The revisions in the asked format.
///
/// # Errors
/// When the document cannot be serialized, which is a bug.
pub fn render_history(
    view: &HistoryView,
    exit: Exit,
    format: Format,
    look: Look,
) -> Result<String, Error> {
    match format {
        Format::Name => {
            let names = view.items.iter();
            let names =
                names.map(|item| format!("controllerrevision.apps/{}", one_line(&item.name)));
            Ok(names.collect::<Vec<_>>().join("\n") + "\n")
        }
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("canary-history", exit, &[], &view.unread, view).render(format)
        }
        Format::Table | Format::Wide => Ok(history_text(view, look)),
    }
}

fn history_text(view: &HistoryView, look: Look) -> String {
    if let Some(comparison) = &view.differences {
        return comparison_text(comparison);
    }
    let headings = ["NAME", "REVISION", "ROLE", "PODS", "IMAGES", "AGE"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    for item in &view.items {
        let pods = match item.pods.as_slice() {
            [] => "<none>".to_owned(),
            pods if look.wide || pods.len() <= 3 => pods.join(","),
            pods => format!("{},… ({})", pods[0], pods.len()),
        };
        let since = item.created.map(|created| age(look.now.duration_since(created)));
        rows.push(vec![
            one_line(&item.name),
            item.number.to_string(),
            item.class.to_owned(),
            pods,
            one_line(&item.images.join(",")),
            since.unwrap_or_else(|| "<unknown>".to_owned()),
        ]);
    }
    table::columns(rows).join("\n") + "\n"
}

fn comparison_text(comparison: &Comparison) -> String {
    let value =
        |value: &Option<String>| value.as_deref().map_or_else(|| "<none>".to_owned(), one_line);
    let mut lines = vec![format!("{} → {}", comparison.from, comparison.to)];
    if comparison.changes.is_empty() {
        lines.push("no difference".to_owned());
    }
    let widest = comparison.changes.iter().map(|change| width(&change.path)).max().unwrap_or(0);
    for change in &comparison.changes {
        let gap = " ".repeat(widest.saturating_sub(width(&change.path)));
        lines.push(format!(
            "{}{gap}   {} → {}",
            one_line(&change.path),
            value(&change.before),
            value(&change.after)
        ));
    }
    lines.join("\n") + "\n"
}
