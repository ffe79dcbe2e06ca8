//! The names as a table, as lists for other programs, as a document.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::Serialize;

use super::{
    args::Output,
    compare::{Judged, Outcome, Verdict},
    domain::How,
    expected::{Expected, Kind, Row, Value, range_of},
    facts::{Facts, Port},
    picture::{Path, Picture, answer_text, short},
};
use crate::{
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout, table,
        text::{clip, count, one_line, width},
    },
    workload::{Finding, Severity, StatefulSet, Unread},
};

/// So many rows are spelled out below the table.
const MOST_WHYS: usize = 12;
/// Of a row's values so many stand in the table.
const MOST_VALUES: usize = 2;

/// The document of `-o json`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub namespace: String,
    /// The set whose ordinals they are.
    pub set: Option<String>,
    pub service: Option<String>,
    /// `headless`, `ClusterIP` and the other types, `missing`, `unknown`.
    pub service_type: String,
    pub domain: DomainView,
    /// Who was asked; none means that only the API was read.
    pub servers: Vec<ServerView>,
    pub items: Vec<Item>,
    /// What becomes of short forms, for each `--from-ns`.
    pub paths: Vec<PathView>,
    /// What a look from inside a pod found of its resolver.
    pub inside: Option<InsideView>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DomainView {
    pub name: String,
    /// How it was found.
    pub how: String,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerView {
    pub namespace: String,
    pub name: String,
    /// Where it listens in its pod; absent for a look from inside a pod.
    pub port: Option<u16>,
    /// How many streams were opened to it.
    pub streams: usize,
    /// By which means a container was asked.
    pub means: Option<String>,
    pub error: Option<String>,
}

/// One name and type.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Item {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    /// The verdict; absent where nobody was asked or nothing is known.
    pub class: Option<Verdict>,
    #[serde(rename = "type")]
    pub record: Kind,
    pub ordinal: Option<u32>,
    /// What the API says should be served; absent where it was not read.
    pub expected: Option<Vec<String>>,
    /// Why nothing should be.
    pub why: Option<String>,
    pub ttl: Option<u32>,
    pub answers: Vec<AnswerView>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnswerView {
    pub server: String,
    /// `NOERROR`, `NXDOMAIN` and the like.
    pub code: Option<String>,
    pub values: Vec<String>,
    pub ttl: Option<u32>,
    /// For so many seconds more it will say that there is nothing.
    pub denied_for: Option<u32>,
    pub error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PathView {
    pub from: String,
    pub form: String,
    /// Whether it leads here; absent where something else may come first.
    pub reaches: Option<bool>,
    pub tries: Vec<TryView>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TryView {
    pub name: String,
    pub why: String,
    pub result: String,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InsideView {
    pub pod: String,
    pub means: String,
    pub nameservers: Vec<String>,
    pub search: Vec<String>,
    pub ndots: Option<usize>,
    /// Names of its hosts file that are names of the Service.
    pub hosts: BTreeMap<String, Vec<String>>,
}

/// The document of `dns explain`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainView {
    pub namespace: String,
    pub set: Option<String>,
    pub service: Option<String>,
    pub domain: DomainView,
    pub paths: Vec<PathView>,
}

/// The answer in the asked form.
///
/// # Errors
/// When a list cannot be made of it, or the document not be written.
pub fn render(picture: &Picture, exit: Exit, wish: &Lists, look: Look) -> Result<String, Error> {
    match wish.output {
        Output::Table => Ok(text(picture, look)),
        Output::Wide => Ok(text(picture, Look { wide: true, ..look })),
        Output::Json | Output::Yaml | Output::Jsonl => {
            Envelope::new("dns", exit, &picture.findings, &picture.unread, View::new(picture))
                .render(wish.output.format())
        }
        Output::Name => names(picture, wish),
        Output::Hosts => Ok(hosts(picture)),
        Output::Dig => Ok(dig(picture)),
        Output::SrvList => srv_list(picture, wish),
    }
}

/// `dns explain` in the asked form.
///
/// # Errors
/// When the document cannot be written, which is a bug.
pub fn explained(
    picture: &Picture,
    exit: Exit,
    format: Format,
    look: Look,
) -> Result<String, Error> {
    let reference = || match (&picture.facts.set, &picture.facts.service) {
        (Some(set), _) => set.reference(),
        (None, Some(service)) => format!("service/{service}"),
        (None, None) => String::new(),
    };
    match format {
        Format::Name => Ok(format!("{}\n", one_line(&reference()))),
        Format::Json | Format::Yaml | Format::Jsonl => {
            let view = ExplainView {
                namespace: picture.facts.namespace.clone(),
                set: picture.facts.set.as_ref().map(|set| set.name.clone()),
                service: picture.facts.service.clone(),
                domain: DomainView::new(picture),
                paths: picture.paths.iter().map(PathView::new).collect(),
            };
            Envelope::new("dns-explain", exit, &picture.findings, &picture.unread, view)
                .render(format)
        }
        Format::Table | Format::Wide => {
            let mut lines = vec![header(picture, look)];
            lines.extend(path_lines(picture, look));
            lines.push(String::new());
            let heavy = |finding: &Finding| finding.severity != Severity::Note;
            if !picture.findings.iter().any(heavy) {
                let known = if picture.unread.is_empty() { "" } else { ", as far as it was read" };
                lines.push(format!("Nothing is wrong with the names{known}."));
            }
            lines.extend(finding_lines(picture, look));
            Ok(lines.join("\n") + "\n")
        }
    }
}

/// What lists are asked for.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    pub output: Output,
    pub format: Option<String>,
    pub port: Option<String>,
    pub ordinal: Option<u32>,
}

impl DomainView {
    fn new(picture: &Picture) -> DomainView {
        DomainView { name: picture.domain.name.clone(), how: picture.domain.how.text() }
    }
}

impl PathView {
    fn new(path: &Path) -> PathView {
        let tries = path.steps.iter().map(|(one, step)| TryView {
            name: one.name.clone(),
            why: one.why.clone(),
            result: step.text().to_owned(),
        });
        PathView {
            from: path.from.clone(),
            form: path.form.clone(),
            reaches: path.reaches,
            tries: tries.collect(),
        }
    }
}

impl View {
    pub fn new(picture: &Picture) -> View {
        let facts = &picture.facts;
        let asked = picture.asked.iter().map(|asked| ServerView {
            namespace: asked.namespace.clone(),
            name: asked.name.clone(),
            port: asked.port,
            streams: asked.streams,
            means: asked.means.clone(),
            error: asked.error.clone(),
        });
        let service = picture.service();
        let inside = picture.inside.as_ref().map(|inside| InsideView {
            pod: inside.pod.clone(),
            means: inside.means.label().to_owned(),
            nameservers: inside.resolver.iter().flat_map(|r| r.nameservers.clone()).collect(),
            search: inside.resolver.iter().flat_map(|r| r.search.clone()).collect(),
            ndots: inside.resolver.as_ref().map(|resolver| resolver.ndots),
            hosts: inside
                .hosts
                .iter()
                .filter(|(name, _)| name.contains(&service))
                .map(|(name, all)| (name.clone(), all.iter().map(ToString::to_string).collect()))
                .collect(),
        });
        View {
            namespace: facts.namespace.clone(),
            set: facts.set.as_ref().map(|set| set.name.clone()),
            service: facts.service.clone(),
            service_type: service_type(facts),
            domain: DomainView::new(picture),
            servers: asked.collect(),
            items: picture.rows.iter().map(|judged| Item::new(judged, picture)).collect(),
            paths: picture.paths.iter().map(PathView::new).collect(),
            inside,
        }
    }
}

impl Item {
    fn new(judged: &Judged, picture: &Picture) -> Item {
        let answer = |(place, outcome): (usize, &Outcome)| {
            let server = picture.asked.get(place).map(|one| one.name.clone()).unwrap_or_default();
            let mut view = AnswerView {
                server,
                code: None,
                values: Vec::new(),
                ttl: None,
                denied_for: None,
                error: None,
            };
            match outcome {
                Outcome::NotAsked => return None,
                Outcome::Failed(why) => view.error = Some(why.clone()),
                Outcome::Reply(reply) => {
                    view.code = match reply.code {
                        super::wire::Code::Untold => None,
                        code => Some(code.to_string()),
                    };
                    view.values = reply.values.iter().map(ToString::to_string).collect();
                    view.ttl = reply.ttl;
                    view.denied_for = reply.denied_for;
                }
            }
            Some(view)
        };
        let (expected, why) = match &judged.row.expected {
            Expected::Records(wanted) => {
                (Some(wanted.iter().map(|one| one.value.to_string()).collect()), None)
            }
            Expected::Nothing(absent) => (Some(Vec::new()), Some(absent.why().to_owned())),
            Expected::Unknown => (None, None),
        };
        Item {
            kind: "DNSRecord",
            namespace: picture.facts.namespace.clone(),
            name: judged.row.name.clone(),
            class: judged.verdict,
            record: judged.row.kind,
            ordinal: judged.row.ordinal,
            expected,
            why,
            ttl: judged.ttl(),
            answers: judged.outcomes.iter().enumerate().filter_map(answer).collect(),
        }
    }
}

fn service_type(facts: &Facts) -> String {
    match (&facts.services, facts.governing()) {
        (_, Some(service)) if service.headless => "headless".to_owned(),
        (_, Some(service)) => service.kind.clone(),
        (Some(_), None) => "missing".to_owned(),
        (None, None) => "unknown".to_owned(),
    }
}

fn text(picture: &Picture, look: Look) -> String {
    let mut lines = vec![header(picture, look)];
    lines.extend(asked_lines(picture, look));
    if !picture.rows.is_empty() {
        lines.push(String::new());
        lines.extend(rows(picture, look));
    }
    let whys = whys(picture, look);
    if !whys.is_empty() {
        lines.push(String::new());
        lines.extend(whys);
    }
    lines.extend(path_lines(picture, look));
    let findings = finding_lines(picture, look);
    if !findings.is_empty() {
        lines.push(String::new());
        lines.extend(findings);
    }
    lines.join("\n") + "\n"
}

/// One line that says how it stands; what `--watch` and `--wait` print.
pub fn summary(picture: &Picture) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for judged in &picture.rows {
        let label = match judged.verdict {
            Some(verdict) => verdict.label(),
            None if matches!(judged.row.expected, Expected::Records(_)) => "not asked",
            None => "unknown",
        };
        *counts.entry(label).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(label, many)| format!("{many} {label}")).collect();
    let asked = picture.asked.iter().filter(|asked| asked.error.is_none()).count();
    format!("{}: {}", count(asked, "server"), parts.join(", "))
}

fn header(picture: &Picture, look: Look) -> String {
    let facts = &picture.facts;
    let name = facts.service.as_deref().unwrap_or("<none>");
    let name = one_line(&format!("{}/{name}", facts.namespace));
    let mut parts =
        vec![format!("Service {}", look.palette.paint(Paint::Bold, &name)), service_type(facts)];
    if let Some(set) = &facts.set {
        parts.push(format!("StatefulSet {}: {}", one_line(&set.name), range_of(set)));
    }
    let domain = one_line(&picture.domain.name);
    let mut lines = vec![parts.join("   ")];
    let text = format!("{domain}, {}", one_line(&picture.domain.how.text()));
    let paint = if picture.domain.how == How::Assumed { Paint::Yellow } else { Paint::Dim };
    lines.extend(layout::hanging(&layout::label("domain", paint, look), &text, look.columns));
    lines.join("\n")
}

fn asked_lines(picture: &Picture, look: Look) -> Vec<String> {
    let names: Vec<String> = picture
        .asked
        .iter()
        .map(|asked| {
            let how = match (&asked.means, asked.port) {
                (Some(means), _) => format!(" ({means})"),
                (None, Some(port)) => format!(" (port {port})"),
                (None, None) => String::new(),
            };
            format!("{}{how}", one_line(&asked.name))
        })
        .collect();
    let asked = if names.is_empty() {
        "nobody: this is what the API says should be served".to_owned()
    } else {
        names.join(", ")
    };
    let mut lines =
        layout::hanging(&layout::label("asked", Paint::Dim, look), &asked, look.columns);
    if let Some(inside) = &picture.inside
        && let Some(resolver) = &inside.resolver
    {
        let text = format!(
            "{} asks {}, search {}, ndots:{}",
            inside.pod,
            resolver.nameservers.join(" "),
            resolver.search.join(" "),
            resolver.ndots
        );
        let label = layout::label("inside", Paint::Dim, look);
        lines.extend(layout::hanging(&label, &one_line(&text), look.columns));
    }
    let suffix = picture.zone.suffix();
    if !look.wide && !picture.rows.is_empty() {
        let text = format!("all end in {}", one_line(&suffix));
        lines.extend(layout::hanging(
            &layout::label("names", Paint::Dim, look),
            &text,
            look.columns,
        ));
    }
    lines
}

fn rows(picture: &Picture, look: Look) -> Vec<String> {
    let mut headings = vec!["NAME", "TYPE", "EXPECTED"];
    let asked: Vec<String> = picture.asked.iter().map(|asked| asked.name.to_uppercase()).collect();
    if look.wide {
        headings.extend(asked.iter().map(String::as_str));
    } else {
        headings.push("ANSWERED");
    }
    headings.extend(["TTL", "VERDICT"]);
    let mut cells: Vec<Vec<String>> = vec![headings.iter().map(|&one| one.to_owned()).collect()];
    for judged in &picture.rows {
        let row = &judged.row;
        let name = if look.wide { row.name.clone() } else { picture.zone.short(&row.name) };
        let mut line =
            vec![one_line(&name), row.kind.name().to_owned(), expected(row, picture, look)];
        if look.wide {
            line.extend(
                judged.outcomes.iter().map(|one| one_line(&answer_text(one, &picture.zone))),
            );
        } else {
            line.push(answered(judged));
        }
        line.push(judged.ttl().map_or_else(|| "<none>".to_owned(), |ttl| ttl.to_string()));
        line.push(verdict(judged));
        cells.push(line);
    }
    if !look.wide {
        fit(&mut cells);
    }
    let mut lines = table::columns(cells);
    for (line, judged) in lines.iter_mut().skip(1).zip(&picture.rows) {
        let paint = match judged.verdict {
            Some(Verdict::Ok) => Paint::Green,
            Some(Verdict::NotReady | Verdict::NoHostname) | None => Paint::Yellow,
            Some(_) => Paint::Red,
        };
        let word = verdict(judged);
        if let Some(front) = line.strip_suffix(&word) {
            *line = format!("{front}{}", look.palette.paint(paint, &word));
        }
    }
    lines
}

/// Names longer than the room there is are cut in the middle column only:
/// what is expected stands in full in the document.
fn fit(cells: &mut [Vec<String>]) {
    const BETWEEN: usize = 3;
    let columns = cells.first().map_or(0, Vec::len);
    let widest = |cells: &[Vec<String>], at: usize| {
        cells.iter().filter_map(|line| line.get(at)).map(|cell| width(cell)).max().unwrap_or(0)
    };
    let all: usize = (0..columns).map(|at| widest(cells, at) + BETWEEN).sum();
    let over = (all - BETWEEN.min(all)).saturating_sub(layout::NARROW);
    if over > 0 {
        let room = widest(cells, 2).saturating_sub(over).max(16);
        for line in cells.iter_mut() {
            if let Some(cell) = line.get_mut(2) {
                *cell = clip(cell, room).into_owned();
            }
        }
    }
}

fn expected(row: &Row, picture: &Picture, look: Look) -> String {
    match &row.expected {
        Expected::Unknown => "<unknown>".to_owned(),
        Expected::Nothing(_) => "<none>".to_owned(),
        Expected::Records(wanted) => {
            let all: Vec<String> = wanted
                .iter()
                .map(|one| {
                    let value = one.value.to_string();
                    one_line(&if look.wide { value } else { short(&value, &picture.zone) })
                })
                .collect();
            if look.wide || all.len() <= MOST_VALUES + 1 {
                all.join(",")
            } else {
                let shown = all[..MOST_VALUES].join(",");
                format!("{shown} +{} more", all.len() - MOST_VALUES)
            }
        }
    }
}

/// How many of those who could answer say what was expected.
fn answered(judged: &Judged) -> String {
    let asked = judged.outcomes.iter().filter(|one| !matches!(one, Outcome::NotAsked)).count();
    if asked == 0 {
        return "<none>".to_owned();
    }
    let right = judged
        .replies()
        .filter(|reply| match &judged.row.expected {
            Expected::Records(wanted) => {
                wanted.iter().all(|one| reply.values.iter().any(|value| one.is(value)))
            }
            _ => !reply.values.is_empty(),
        })
        .count();
    format!("{right} of {asked}")
}

fn verdict(judged: &Judged) -> String {
    judged.verdict.map_or_else(|| "<none>".to_owned(), |verdict| verdict.label().to_owned())
}

/// The rows that are not as they should be, and what is known of each.
fn whys(picture: &Picture, look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    let wrong: Vec<&Judged> = picture
        .rows
        .iter()
        .filter(|judged| judged.verdict.is_some_and(|verdict| verdict != Verdict::Ok))
        .collect();
    for judged in wrong.iter().take(MOST_WHYS) {
        let mut texts = Vec::new();
        if let Expected::Nothing(absent) = &judged.row.expected {
            texts.push(absent.why().to_owned());
        }
        let told = matches!(
            judged.verdict,
            Some(Verdict::Skew | Verdict::Stale | Verdict::Extra | Verdict::Missing)
        );
        if told {
            for (asked, outcome) in picture.asked.iter().zip(&judged.outcomes) {
                if !matches!(outcome, Outcome::NotAsked) {
                    let answer = answer_text(outcome, &picture.zone);
                    texts.push(format!("{}: {answer}", asked.name));
                }
            }
        }
        let row = &judged.row;
        let label = judged.verdict.map_or("", Verdict::label);
        let text = one_line(&format!(
            "{} {}: {}",
            picture.zone.short(&row.name),
            row.kind.name(),
            texts.join("; ")
        ));
        lines.extend(layout::hanging(
            &layout::label(label, Paint::Yellow, look),
            &text,
            look.columns,
        ));
    }
    if wrong.len() > MOST_WHYS {
        lines.push(format!("… and {} more rows; -o wide has them all", wrong.len() - MOST_WHYS));
    }
    lines
}

fn path_lines(picture: &Picture, look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    for path in &picture.paths {
        let end = match path.reaches {
            Some(true) => look.palette.paint(Paint::Green, "leads here"),
            Some(false) => look.palette.paint(Paint::Red, "does not lead here"),
            None => look.palette.paint(Paint::Yellow, "may lead elsewhere"),
        };
        lines.push(String::new());
        let (form, from) = (one_line(&path.form), one_line(&path.from));
        lines.push(format!("{form}   from namespace {from}   {end}"));
        let cells: Vec<Vec<String>> = path
            .steps
            .iter()
            .enumerate()
            .map(|(number, (one, step))| {
                vec![format!("  {}", number + 1), one_line(&one.name), step.text().to_owned()]
            })
            .collect();
        lines.extend(table::columns(cells));
    }
    lines
}

fn finding_lines(picture: &Picture, look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &picture.findings {
        lines.extend(layout::finding(finding, "error", look));
    }
    for unread in &picture.unread {
        let Unread { resource, why } = unread;
        let text = one_line(&format!("{resource} could not be read: {why}"));
        let label = layout::label("unknown", Paint::Yellow, look);
        lines.extend(layout::hanging(&label, &text, look.columns));
    }
    lines
}

/// The pods' names, of each ordinal that was asked for.
fn names(picture: &Picture, wish: &Lists) -> Result<String, Error> {
    let (set, service) = set_and_service(&picture.facts)?;
    let lines: Vec<String> = ordinals(set, wish)
        .map(|ordinal| picture.zone.host(&set.pod_name(ordinal), service))
        .collect();
    Ok(lines_of(&lines))
}

fn lines_of(lines: &[String]) -> String {
    lines.iter().map(|line| one_line(line) + "\n").collect()
}

fn ordinals(set: &StatefulSet, wish: &Lists) -> Box<dyn Iterator<Item = u32>> {
    match wish.ordinal {
        Some(one) => Box::new(std::iter::once(one)),
        None => Box::new(set.ordinals()),
    }
}

fn set_and_service(facts: &Facts) -> Result<(&StatefulSet, &str), Error> {
    let none = || {
        Error::usage("there are no ordinals to list: this is about a set's pods")
            .hint("name a StatefulSet that has a serviceName")
    };
    let set = facts.set.as_ref().ok_or_else(none)?;
    // A set's names are under the Service that it names, whatever was asked.
    let service = set.service_name.as_deref().filter(|name| !name.is_empty()).ok_or_else(none)?;
    Ok((set, service))
}

/// Lines of a hosts file, for the addresses that there are.
fn hosts(picture: &Picture) -> String {
    let mut lines = Vec::new();
    for judged in &picture.rows {
        let Row { name, kind: Kind::A | Kind::Aaaa, expected, .. } = &judged.row else { continue };
        let Expected::Records(wanted) = expected else { continue };
        let zone = &picture.zone;
        let short = zone.short(name);
        let aliases = format!("{name} {short}.{} {short}", zone.namespace);
        for one in wanted {
            lines.push(format!("{} {aliases}", one.value));
        }
    }
    lines_of(&lines)
}

/// Records as dig prints them.
fn dig(picture: &Picture) -> String {
    let mut lines = Vec::new();
    for (place, asked) in picture.asked.iter().enumerate() {
        lines.push(format!("; {}", asked.name));
        for judged in &picture.rows {
            let Row { name, kind, .. } = &judged.row;
            match judged.outcomes.get(place) {
                None | Some(Outcome::NotAsked) => {}
                Some(Outcome::Reply(reply)) if !reply.values.is_empty() => {
                    for (value, weight) in reply.values.iter().zip(&reply.weights) {
                        let ttl = reply.ttl.map_or_else(String::new, |ttl| ttl.to_string());
                        let data = data(value, *weight);
                        lines.push(format!("{name}.\t{ttl}\tIN\t{}\t{data}", kind.name()));
                    }
                }
                Some(other) => {
                    let text = answer_text(other, &picture.zone);
                    lines.push(format!("; {name}. {}: {text}", kind.name()));
                }
            }
        }
    }
    if picture.asked.is_empty() {
        lines.push("; nobody was asked: this is what the API says should be served".to_owned());
        for judged in &picture.rows {
            let Row { name, kind, expected, .. } = &judged.row;
            let Expected::Records(wanted) = expected else { continue };
            for one in wanted {
                // Priority and weight are the server's to choose.
                let mark = if *kind == Kind::Srv { "; " } else { "" };
                let data = data(&one.value, None);
                lines.push(format!("{mark}{name}.\t\tIN\t{}\t{data}", kind.name()));
            }
        }
    }
    // Tabs are part of the form; what else is odd is not.
    lines.iter().map(|line| crate::output::text::printable(line).into_owned() + "\n").collect()
}

fn data(value: &Value, weight: Option<(u16, u16)>) -> String {
    match (value, weight) {
        (Value::Address(address), _) => address.to_string(),
        (Value::Name(name), _) => format!("{name}."),
        (Value::Srv { port, target }, Some((priority, weight))) => {
            format!("{priority} {weight} {port} {target}.")
        }
        (Value::Srv { port, target }, None) => format!("{port} {target}."),
    }
}

/// One line for a connection string.
fn srv_list(picture: &Picture, wish: &Lists) -> Result<String, Error> {
    let facts = &picture.facts;
    let (set, service) = set_and_service(facts)?;
    let format = wish.format.as_deref().unwrap_or("{host}:{port}");
    let port = if format.contains("{port}") { Some(port_of(facts, service, wish)?) } else { None };
    let mut entries = Vec::new();
    for ordinal in ordinals(set, wish) {
        let pod = set.pod_name(ordinal);
        let host = picture.zone.host(&pod, service);
        let mut entry = format
            .replace("{host}", &host)
            .replace("{pod}", &pod)
            .replace("{ordinal}", &ordinal.to_string());
        if let Some(port) = port {
            entry = entry.replace("{port}", &port.to_string());
        }
        if entry.contains("{ip}") {
            let address = address_of(picture, &host).ok_or_else(|| {
                Error::new(Exit::Incomplete, format!("{pod} has no address yet"))
                    .hint("leave out {ip}, or wait: kubectl stateful dns --wait")
            })?;
            let text = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
            entry = entry.replace("{ip}", &text);
        }
        entries.push(entry);
    }
    Ok(one_line(&entries.join(",")) + "\n")
}

fn address_of(picture: &Picture, host: &str) -> Option<IpAddr> {
    let mut rows = picture.rows.iter().filter(|judged| judged.row.name == host);
    rows.find_map(|judged| match &judged.row.expected {
        Expected::Records(wanted) => wanted.iter().find_map(|one| match one.value {
            Value::Address(address) => Some(address),
            _ => None,
        }),
        _ => None,
    })
}

/// The number of the port that was meant: where clients of the pods connect,
/// which for a headless Service is the pods' own.
fn port_of(facts: &Facts, service: &str, wish: &Lists) -> Result<u16, Error> {
    let governing = facts.services.iter().flatten().find(|one| one.name == service);
    let ports: Vec<&Port> = governing.iter().flat_map(|one| &one.ports).collect();
    if let Some(number) = wish.port.as_deref().and_then(|port| port.parse::<u16>().ok()) {
        return Ok(number);
    }
    let found = match &wish.port {
        Some(name) => ports.iter().find(|port| port.name.as_deref() == Some(name)).copied(),
        None if ports.len() == 1 => ports.first().copied(),
        None => None,
    };
    let known: BTreeSet<&str> = ports.iter().filter_map(|port| port.name.as_deref()).collect();
    let known: Vec<&str> = known.into_iter().collect();
    let port = found.ok_or_else(|| {
        let error = match &wish.port {
            Some(name) => format!("Service {service} has no port named {name}"),
            None if ports.is_empty() => format!("no port of Service {service} is known"),
            None => format!("Service {service} has several ports"),
        };
        let hint = if known.is_empty() {
            "give the number with --port".to_owned()
        } else {
            format!("choose one with --port: {}", known.join(", "))
        };
        Error::usage(error).hint(hint)
    })?;
    // The pods' own port, where slices know it; targetPort may differ.
    let of_slices = facts.slices_of(service).flat_map(|slice| &slice.ports);
    let mut own = of_slices.filter(|one| one.name == port.name && one.protocol == port.protocol);
    let target = || {
        let target = port.target.as_deref()?;
        let of_template = || facts.set.as_ref().and_then(|set| set.template.port(target));
        target.parse().ok().or_else(of_template)
    };
    own.find_map(|port| port.number)
        .or_else(target)
        .or(port.number)
        .ok_or_else(|| Error::usage("that port has no number").hint("give it with --port"))
}
