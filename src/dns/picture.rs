//! The names at one moment: rows with their verdicts, servers, findings. Pure.

use jiff::Timestamp;

use super::{
    compare::{JudgedRow, Outcome, Verdict, agrees},
    domain::Domain,
    expected::{Expected, Row, Zone},
    facts::Facts,
    inside::Inside,
    rules,
    search::{ResolvConf, Try},
    wire::Reply,
};
use crate::{
    output::text::count,
    workload::{Finding, Severity, Unread},
};

/// A DNS server, or the resolver of a pod, that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responder {
    /// `coredns-7db6d8ff4d-abcde`, or `pod/web-0` for a pod's resolver.
    pub name: String,
    pub namespace: String,
    /// Where it listens; absent for a pod's resolver.
    pub port: Option<u16>,
    /// Why it gave no answer at all.
    pub error: Option<String>,
    /// How many streams were opened to it.
    pub streams: usize,
    /// The tool with which a pod's resolver was asked.
    pub means: Option<String>,
}

/// A short form of a name, and how it resolves in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPath {
    pub from: String,
    pub form: String,
    pub steps: Vec<(Try, TryResult)>,
    /// Whether the form leads here; `None` if another name may answer first.
    pub reaches: Option<bool>,
}

/// The result of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryResult {
    /// This is the intended name.
    Intended,
    /// No such name exists.
    NoName,
    /// Another Service has this name and may answer.
    OtherService,
    /// It is not in the cluster's domain.
    Outside,
    Unknown,
}

impl TryResult {
    pub fn text(self) -> &'static str {
        match self {
            TryResult::Intended => "the intended name",
            TryResult::NoName => "no such name",
            TryResult::OtherService => "another Service has this name and may answer",
            TryResult::Outside => "not a name of the cluster: resolved outside",
            TryResult::Unknown => "unknown: the Service could not be read",
        }
    }
}

/// Rows, servers and findings, as they are shown.
#[derive(Clone, Debug)]
pub struct Picture {
    pub facts: Facts,
    pub domain: Domain,
    pub zone: Zone,
    pub rows: Vec<JudgedRow>,
    /// In the same order as each row's outcomes.
    pub asked: Vec<Responder>,
    pub inside: Option<Inside>,
    pub paths: Vec<SearchPath>,
    pub findings: Vec<Finding>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// Whether servers were to be asked, and none can be: waiting for their
    /// answers has no end.
    pub cannot_ask: bool,
    pub now: Timestamp,
}

impl Picture {
    /// Whether there are rows, all are ok, and every server that was asked
    /// answered every question.
    pub fn is_all_ok(&self) -> bool {
        let ok = |judged: &JudgedRow| match judged.verdict {
            Some(verdict) => verdict == Verdict::Ok,
            // No server was asked: it is enough to know the records.
            None => matches!(judged.row.expected, Expected::Records(_)),
        };
        let answered = |judged: &JudgedRow| {
            !judged.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_)))
        };
        !self.rows.is_empty()
            && !self.cannot_ask
            && self.rows.iter().all(|judged| ok(judged) && answered(judged))
            && self.asked.iter().all(|asked| asked.error.is_none())
    }

    /// Whether waiting cannot end well, because something can be neither read
    /// nor asked, or because there will be no names.
    pub fn is_hopeless(&self) -> bool {
        let unknown = |judged: &JudgedRow| judged.row.expected == Expected::Unknown;
        // A set's serviceName cannot be changed.
        let nameless = self.facts.service.is_none();
        nameless || self.cannot_ask || (!self.unread.is_empty() && self.rows.iter().any(unknown))
    }

    /// Whether a row is not ok or a finding is an error.
    pub fn has_problem(&self) -> bool {
        let wrong =
            |judged: &JudgedRow| judged.verdict.is_some_and(|verdict| verdict != Verdict::Ok);
        self.rows.iter().any(wrong)
            || self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The Service's full name.
    pub fn service(&self) -> String {
        self.zone.service(self.facts.service.as_deref().unwrap_or_default())
    }

    /// For how long the servers keep denying a name that exists.
    pub fn denied_for(&self) -> Option<u32> {
        let rows = self.rows.iter().filter(|row| row.verdict != Some(Verdict::Ok));
        let there = rows.filter(|row| matches!(row.row.expected, Expected::Records(_)));
        there.filter_map(JudgedRow::denied_for).max()
    }
}

/// `10.0.0.1, 10.0.0.2`, `NXDOMAIN, valid for 27 s more`.
pub fn answer_text(outcome: &Outcome, zone: &Zone) -> String {
    match outcome {
        Outcome::NotAsked => "not asked".to_owned(),
        Outcome::Failed(why) => why.clone(),
        Outcome::Reply(reply) if reply.values.is_empty() => {
            let word = match reply.code {
                super::wire::Code::NoError => "no such record".to_owned(),
                other => other.to_string(),
            };
            match reply.denied_for {
                Some(seconds) => format!("{word}, valid for {seconds} s more"),
                None => word,
            }
        }
        Outcome::Reply(reply) => values_text(reply, zone),
    }
}

fn values_text(reply: &Reply, zone: &Zone) -> String {
    let values: Vec<String> =
        reply.values.iter().map(|value| short(&value.to_string(), zone)).collect();
    values.join(", ")
}

/// A value without the suffix of all names.
pub fn short(value: &str, zone: &Zone) -> String {
    value.replace(&zone.suffix(), "")
}

fn row_text(row: &Row, zone: &Zone) -> String {
    format!("{} {}", zone.short(&row.name), row.kind.name())
}

/// The findings from the answers.
pub fn answer_findings(
    rows: &[JudgedRow],
    asked: &[Responder],
    zone: &Zone,
    service: &str,
    again: &str,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in asked {
        if let Some(error) = &one.error {
            let message = format!("{} gave no answer: {error}", one.name);
            let hint = one.port.map(|_| format!("kubectl logs {} -n {}", one.name, one.namespace));
            let mut finding =
                rules::SERVER_SILENT.found(format!("pod/{}", pod_name(&one.name)), message);
            finding.hint = hint;
            found.push(finding);
        }
    }
    for (place, one) in asked.iter().enumerate() {
        let failed = rows.iter().filter_map(|judged| match judged.outcomes.get(place) {
            Some(Outcome::Failed(why)) if one.error.is_none() => Some((judged, why)),
            _ => None,
        });
        let failed: Vec<_> = failed.collect();
        if let Some((judged, why)) = failed.first() {
            let others = match failed.len() - 1 {
                0 => String::new(),
                others => format!(" and {}", count(others, "other question")),
            };
            let message = format!(
                "{} gave no usable answer to {}{others}: {why}",
                one.name,
                row_text(&judged.row, zone)
            );
            found.push(rules::SERVER_SILENT.found(format!("pod/{}", pod_name(&one.name)), message));
        }
        let skew: Vec<String> = rows
            .iter()
            .filter(|judged| judged.verdict == Some(Verdict::Skew))
            .filter(|judged| match judged.outcomes.get(place) {
                Some(Outcome::Reply(reply)) => !agrees(&judged.row, reply, service),
                _ => false,
            })
            .map(|judged| {
                let text = answer_text(&judged.outcomes[place], zone);
                format!("{} is {text}", row_text(&judged.row, zone))
            })
            .collect();
        if !skew.is_empty() {
            let message = format!("{} differs from the API: {}", one.name, first_few(&skew));
            let object = format!("pod/{}", pod_name(&one.name));
            found.push(rules::SKEW.found(object, message).hint(again));
        }
    }
    found.extend(disagreements(rows, asked, zone, service));
    let of = |verdict: Verdict| {
        rows.iter().filter(move |judged| judged.verdict == Some(verdict)).map(|judged| {
            let text = judged
                .outcomes
                .iter()
                .find(|outcome| matches!(outcome, Outcome::Reply(_)))
                .map(|outcome| answer_text(outcome, zone))
                .unwrap_or_default();
            (judged, format!("{} is {text}", row_text(&judged.row, zone)))
        })
    };
    let object = format!("service/{}", zone.short(service));
    let served = |judged: &JudgedRow| matches!(judged.row.expected, Expected::Records(_));
    let denied: Vec<String> =
        of(Verdict::Missing).filter(|(row, _)| served(row)).map(|(_, text)| text).collect();
    if !denied.is_empty() {
        let message = format!(
            "every server that answered lacks records that the API has: {}",
            first_few(&denied)
        );
        found.push(rules::DENIED.found(&object, message).hint(again));
    }
    let stale: Vec<String> = of(Verdict::Stale)
        .map(|(judged, text)| match &judged.row.expected {
            Expected::Records(wanted) => {
                let wanted: Vec<String> =
                    wanted.iter().map(|one| short(&one.value.to_string(), zone)).collect();
                format!("{text}, but the API has {}", wanted.join(", "))
            }
            Expected::Nothing(absent) => format!("{text}, although {}", absent.why()),
            Expected::Unknown => text,
        })
        .collect();
    if !stale.is_empty() {
        let message =
            format!("the servers return records that the API does not have: {}", first_few(&stale));
        found.push(rules::OLD_ADDRESS.found(&object, message).hint(again));
    }
    let extra: Vec<String> = of(Verdict::Extra).map(|(_, text)| text).collect();
    if !extra.is_empty() {
        let message = format!("the servers return more than the API has: {}", first_few(&extra));
        found.push(rules::UNEXPECTED.found(&object, message).hint(again));
    }
    found
}

/// Servers that differ in rows of which it is not known what is right.
fn disagreements(
    rows: &[JudgedRow],
    asked: &[Responder],
    zone: &Zone,
    service: &str,
) -> Option<Finding> {
    let unknown = |judged: &&JudgedRow| {
        judged.verdict == Some(Verdict::Skew) && judged.row.expected == Expected::Unknown
    };
    let differing: Vec<String> = rows
        .iter()
        .filter(unknown)
        .map(|judged| {
            let answers = asked.iter().zip(&judged.outcomes);
            let answers = answers.filter(|(_, outcome)| matches!(outcome, Outcome::Reply(_)));
            let answers: Vec<String> = answers
                .map(|(one, outcome)| format!("{} from {}", answer_text(outcome, zone), one.name))
                .collect();
            format!("{} is {}", row_text(&judged.row, zone), answers.join(", "))
        })
        .collect();
    if differing.is_empty() {
        return None;
    }
    let message = format!(
        "the servers do not agree, and what is right could not be read: {}",
        first_few(&differing)
    );
    Some(rules::SKEW.found(format!("service/{}", zone.short(service)), message))
}

fn pod_name(name: &str) -> &str {
    name.strip_prefix("pod/").unwrap_or(name)
}

/// The first two, and how many more there are.
fn first_few(texts: &[String]) -> String {
    const SHOWN: usize = 2;
    let shown = texts.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match texts.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// The short forms of a name, the shortest first.
pub fn short_forms(host: &str, namespace: &str, domain: &str) -> Vec<String> {
    vec![
        host.to_owned(),
        format!("{host}.{namespace}"),
        format!("{host}.{namespace}.svc"),
        format!("{host}.{namespace}.svc.{domain}"),
    ]
}

/// The namespace and the Service of a name in the zone, either a Service's own
/// name or a hostname under it.
pub fn namespace_and_service<'a>(name: &'a str, domain: &str) -> Option<(&'a str, &'a str)> {
    let front = name.strip_suffix(domain)?.strip_suffix(".svc.")?;
    let mut labels = front.rsplit('.');
    let (namespace, service) = (labels.next()?, labels.next()?);
    labels.nth(1).is_none().then_some((namespace, service))
}

/// Tries a form along a search path; `known` says whether a Service exists.
pub fn follow_form(
    from: &str,
    form: &str,
    target: &str,
    domain: &str,
    resolver: &ResolvConf,
    known: &dyn Fn(&str, &str) -> Option<bool>,
) -> SearchPath {
    let mut steps = Vec::new();
    let mut reaches = Some(false);
    for one in resolver.tries(form) {
        let own = namespace_and_service(target, domain);
        let step = if one.name == target {
            TryResult::Intended
        } else if !super::corefile::is_within(&one.name, domain) {
            TryResult::Outside
        } else {
            match namespace_and_service(&one.name, domain) {
                None => TryResult::NoName,
                // The names of the intended Service are known.
                Some(found) if Some(found) == own => TryResult::NoName,
                Some((namespace, service)) => match known(namespace, service) {
                    Some(false) => TryResult::NoName,
                    Some(true) => TryResult::OtherService,
                    None => TryResult::Unknown,
                },
            }
        };
        steps.push((one, step));
        match step {
            TryResult::Intended => {
                reaches = reaches.map(|_| true);
                break;
            }
            TryResult::OtherService | TryResult::Unknown => reaches = None,
            TryResult::NoName | TryResult::Outside => {}
        }
    }
    // Other names matter only if the intended name is reached at all.
    let comes = steps.iter().any(|(_, step)| *step == TryResult::Intended);
    SearchPath {
        from: from.to_owned(),
        form: form.to_owned(),
        steps,
        reaches: if comes { reaches } else { Some(false) },
    }
}

/// The findings from the search paths.
pub fn path_findings(paths: &[SearchPath], object: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut namespaces: Vec<&str> = paths.iter().map(|path| path.from.as_str()).collect();
    namespaces.dedup();
    for from in namespaces {
        let here: Vec<&SearchPath> = paths.iter().filter(|path| path.from == from).collect();
        let best = here.iter().find(|path| path.reaches == Some(true));
        let shortest = here.first().copied();
        let Some(short) = shortest.filter(|path| path.reaches != Some(true)) else { continue };
        let perhaps = here
            .iter()
            .any(|path| path.steps.iter().any(|(_, step)| *step == TryResult::OtherService));
        let why = if perhaps {
            "may lead to another Service of that name"
        } else if short.reaches.is_none() {
            "may lead elsewhere: not every name that is tried could be checked"
        } else {
            "does not lead here"
        };
        let better = best.map_or_else(String::new, |best| format!("; use {}", best.form));
        let message = format!("from namespace {from}, {} {why}{better}", short.form);
        let finding = rules::SHORT_NAME.found(object, message);
        found.push(if perhaps { finding } else { finding.at(Severity::Note) });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "web-0.nginx.default.svc.cluster.local";

    fn from(namespace: &str, form: &str, known: &dyn Fn(&str, &str) -> Option<bool>) -> SearchPath {
        let resolver = ResolvConf::of_pod(namespace, "cluster.local");
        follow_form(namespace, form, TARGET, "cluster.local", &resolver, known)
    }

    #[test]
    fn short_names_lead_where_the_search_path_leads() {
        let none = |_: &str, _: &str| Some(false);
        assert_eq!(from("default", "web-0.nginx", &none).reaches, Some(true));
        assert_eq!(from("default", "web-0.nginx", &none).steps.len(), 1);
        assert_eq!(from("shop", "web-0.nginx", &none).reaches, Some(false));
        let second = from("shop", "web-0.nginx.default", &none);
        assert_eq!(second.reaches, Some(true));
        let steps: Vec<TryResult> = second.steps.iter().map(|(_, step)| *step).collect();
        assert_eq!(steps, [TryResult::NoName, TryResult::Intended]);
        // The namespace's own Service of that name comes first.
        let own = |namespace: &str, service: &str| Some((namespace, service) == ("shop", "nginx"));
        assert_eq!(from("shop", "web-0.nginx", &own).reaches, Some(false));
        let found = path_findings(&[from("shop", "web-0.nginx", &own)], "service/nginx");
        assert_eq!(found[0].severity, Severity::Warning);
        let unknown = |_: &str, _: &str| None;
        assert_eq!(from("shop", "web-0.nginx.default", &unknown).reaches, Some(true));
        assert_eq!(from("shop", TARGET, &unknown).steps.len(), 1);
    }

    #[test]
    fn names_of_the_zone_are_taken_apart() {
        let domain = "cluster.local";
        assert_eq!(namespace_and_service(TARGET, domain), Some(("default", "nginx")));
        assert_eq!(
            namespace_and_service("nginx.default.svc.cluster.local", domain),
            Some(("default", "nginx"))
        );
        assert_eq!(namespace_and_service("default.svc.cluster.local", domain), None);
        assert_eq!(namespace_and_service("a.b.c.d.svc.cluster.local", domain), None);
        assert_eq!(namespace_and_service("nginx.example.org", domain), None);
    }
}
