//! The names as a table and as a document.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    args::Output,
    compare::{JudgedRow, Outcome, Verdict, agrees},
    domain::DomainSource,
    expected::{Expected, Kind, Row, range_of},
    facts::Facts,
    lists::{self, ListOptions},
    picture::{Picture, SearchPath, answer_text, short},
};
use crate::{
    output::{
        Envelope, Error, Exit, Format, Look, Paint, layout,
        table::{self, Give},
        text::{count, list, one_line, wrap},
    },
    workload::{Finding, Severity, Unread},
};

/// The most rows that are explained below the table.
const MAX_REASONS: usize = 12;
/// The most values of a row in the table.
const MAX_VALUES: usize = 2;

/// The columns that give way on a narrow terminal; the document has all in full.
const GIVES: [Give<'_>; 5] = [
    Give::Cut("EXPECTED", 16),
    Give::Drop("TTL"),
    Give::Drop("AGREE"),
    Give::Cut("EXPECTED", 8),
    Give::Cut("NAME", 16),
];

/// The document of `-o json`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub namespace: String,
    /// The set whose ordinals are shown.
    pub set: Option<String>,
    pub service: Option<String>,
    /// `headless`, `ClusterIP` and the other types, `missing`, `unknown`.
    pub service_type: String,
    pub domain: DomainView,
    /// The servers that were asked; empty means that only the API was read.
    pub servers: Vec<ServerView>,
    pub items: Vec<Item>,
    /// How short forms resolve, for each `--from-ns`.
    pub paths: Vec<PathView>,
    /// The resolver of the pod of `--via exec=POD`.
    pub inside: Option<InsideView>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DomainView {
    pub name: String,
    /// Where it is from.
    pub how: String,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerView {
    pub namespace: String,
    pub name: String,
    /// Where it listens in its pod; absent for a pod's resolver.
    pub port: Option<u16>,
    /// How many streams were opened to it.
    pub streams: usize,
    /// The tool with which a container was asked.
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
    /// The verdict; absent if no server was asked or the records are not known.
    pub class: Option<Verdict>,
    #[serde(rename = "type")]
    pub record: Kind,
    pub ordinal: Option<u32>,
    /// What the API says should be served; absent if it was not read.
    pub expected: Option<Vec<String>>,
    /// Why nothing should be served.
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
    /// For how many seconds the server keeps denying the name.
    pub denied_for: Option<u32>,
    pub error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PathView {
    pub from: String,
    pub form: String,
    /// Whether it leads here; absent if another name may answer first.
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

/// The output in the requested format.
///
/// # Errors
/// When a list cannot be made, or the document cannot be written.
pub fn render(
    picture: &Picture,
    exit: Exit,
    options: &ListOptions,
    look: Look,
) -> Result<String, Error> {
    match options.output {
        Output::Table => Ok(text(picture, look)),
        Output::Wide => Ok(text(picture, Look { wide: true, ..look })),
        Output::Json | Output::Yaml | Output::Jsonl => {
            Envelope::new("dns", exit, &picture.findings, &picture.unread, View::new(picture))
                .render(options.output.format())
        }
        Output::Name => lists::names(picture, options),
        Output::Hosts => Ok(lists::hosts(picture)),
        Output::Dig => Ok(lists::dig(picture)),
        Output::SrvList => lists::srv_list(picture, options),
    }
}

/// The output of `dns explain` in the requested format.
///
/// # Errors
/// When the document cannot be written, which is a bug.
pub fn render_explanation(
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
                lines.extend(wrap(&nothing_found(picture), look.columns));
            }
            lines.extend(finding_lines(picture, look));
            Ok(lines.join("\n") + "\n")
        }
    }
}

/// That nothing was found, and in what.
fn nothing_found(picture: &Picture) -> String {
    let facts = &picture.facts;
    let known = if picture.unread.is_empty() { "" } else { ", as far as they could be read" };
    let mut read = Vec::new();
    let mut things = 0;
    if let (Some(name), Some(_)) = (&facts.service, facts.governing()) {
        read.push(format!("Service {}", one_line(name)));
        things += 1;
        if facts.slices.is_some() {
            let slices = facts.slices_of(name).count();
            read.push(count(slices, "EndpointSlice"));
            things += slices;
        }
    }
    if let Some(pods) = &facts.pods {
        read.push(count(pods.len(), "pod"));
        things += pods.len();
    }
    let verb = if read.len() == 1 && things == 1 { "was" } else { "were" };
    let read = match read.as_slice() {
        [] => String::new(),
        read => format!(": {} {verb} read, and no DNS server was asked", list(read)),
    };
    format!("No problem was found with the names{known}{read}.")
}

impl DomainView {
    fn new(picture: &Picture) -> DomainView {
        DomainView { name: picture.domain.name.clone(), how: picture.domain.source.text() }
    }
}

impl PathView {
    fn new(path: &SearchPath) -> PathView {
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
            set: facts.governed_set().map(|set| set.name.clone()),
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
    fn new(judged: &JudgedRow, picture: &Picture) -> Item {
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
                        super::wire::Code::Unknown => None,
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
    if look.only_rows {
        return rows(picture, look).into_iter().skip(1).map(|line| line + "\n").collect();
    }
    let mut lines = vec![header(picture, look)];
    lines.extend(asked_lines(picture, look));
    if !picture.rows.is_empty() {
        lines.push(String::new());
        lines.extend(rows(picture, look));
    }
    let reasons = reasons(picture, look);
    if !reasons.is_empty() {
        lines.push(String::new());
        lines.extend(reasons);
    }
    lines.extend(path_lines(picture, look));
    let findings = finding_lines(picture, look);
    if !findings.is_empty() {
        lines.push(String::new());
        lines.extend(findings);
    }
    lines.join("\n") + "\n"
}

/// The state in one line, for the end of `--watch` and `--wait`.
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
    if let Some(set) = facts.governed_set() {
        parts.push(format!("StatefulSet {}: {}", one_line(&set.name), range_of(set)));
    }
    let domain = one_line(&picture.domain.name);
    let mut lines = vec![parts.join("   ")];
    let text = format!("{domain}, {}", one_line(&picture.domain.source.text()));
    let paint =
        if picture.domain.source == DomainSource::Assumed { Paint::Yellow } else { Paint::Dim };
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
            let place = match asked.port {
                None if asked.namespace != picture.facts.namespace => {
                    format!(" in {}", one_line(&asked.namespace))
                }
                _ => String::new(),
            };
            format!("{}{place}{how}", one_line(&asked.name))
        })
        .collect();
    let asked = if names.is_empty() {
        "no server: this is what the API says should be served".to_owned()
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
        headings.push("AGREE");
    }
    headings.extend(["TTL", "VERDICT"]);
    let mut cells: Vec<Vec<String>> = vec![headings.iter().map(|&one| one.to_owned()).collect()];
    let service = picture.service();
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
            line.push(agreeing(judged, &service));
        }
        line.push(judged.ttl().map_or_else(|| "<none>".to_owned(), |ttl| ttl.to_string()));
        line.push(verdict(judged));
        cells.push(line);
    }
    let mut lines = table::fitted(cells, &GIVES, look.room());
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
            if look.wide || all.len() <= MAX_VALUES + 1 {
                all.join(",")
            } else {
                let shown = all[..MAX_VALUES].join(",");
                format!("{shown} +{} more", all.len() - MAX_VALUES)
            }
        }
    }
}

/// How many of the servers that were asked agree with the API.
fn agreeing(judged: &JudgedRow, service: &str) -> String {
    let asked = judged.outcomes.iter().filter(|one| !matches!(one, Outcome::NotAsked)).count();
    if asked == 0 {
        return "<none>".to_owned();
    }
    if judged.row.expected == Expected::Unknown {
        return "<unknown>".to_owned();
    }
    let agreeing = judged.replies().filter(|reply| agrees(&judged.row, reply, service)).count();
    format!("{agreeing} of {asked}")
}

fn verdict(judged: &JudgedRow) -> String {
    judged.verdict.map_or_else(|| "<none>".to_owned(), |verdict| verdict.label().to_owned())
}

/// The rows that are not ok, and what is known about each.
fn reasons(picture: &Picture, look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    let wrong: Vec<&JudgedRow> = picture
        .rows
        .iter()
        .filter(|judged| judged.verdict.is_some_and(|verdict| verdict != Verdict::Ok))
        .collect();
    for judged in wrong.iter().take(MAX_REASONS) {
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
    if wrong.len() > MAX_REASONS {
        lines.push(format!(
            "… and {} more rows; -o json has all of them",
            wrong.len() - MAX_REASONS
        ));
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
        let label = layout::label("unread", Paint::Yellow, look);
        lines.extend(layout::hanging(&label, &text, look.columns));
    }
    lines
}
