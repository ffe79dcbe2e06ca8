//! All that is known of the names at one moment: rows with their verdicts,
//! servers, findings. Pure.

use jiff::Timestamp;

use super::{
    compare::{Judged, Outcome, Verdict, own_values},
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

/// Someone who was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `coredns-7db6d8ff4d-abcde`, or `pod/web-0` for a look from inside.
    pub name: String,
    pub namespace: String,
    /// Where it listens; absent for a look from inside.
    pub port: Option<u16>,
    /// Why there is no answer at all.
    pub error: Option<String>,
    /// How many streams it took.
    pub streams: usize,
    /// The means of a look from inside.
    pub means: Option<String>,
}

/// A short form of a name and what becomes of it in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub from: String,
    pub form: String,
    pub steps: Vec<(Try, Step)>,
    /// Whether the form leads here; `None` where something else may come first.
    pub reaches: Option<bool>,
}

/// What becomes of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This is the name.
    Here,
    /// Nothing has that name.
    Nothing,
    /// A Service of that name is there: it may answer.
    OtherService,
    /// It is none of the cluster's names.
    Outside,
    Unknown,
}

impl Step {
    pub fn text(self) -> &'static str {
        match self {
            Step::Here => "this one",
            Step::Nothing => "no such name",
            Step::OtherService => "another Service has that name and may answer",
            Step::Outside => "not the cluster's: asked outside",
            Step::Unknown => "not known: it may not be read, or only in a cluster",
        }
    }
}

/// The moment.
#[derive(Clone, Debug)]
pub struct Picture {
    pub facts: Facts,
    pub domain: Domain,
    pub zone: Zone,
    pub rows: Vec<Judged>,
    /// In the order of each row's outcomes.
    pub asked: Vec<Asked>,
    pub inside: Option<Inside>,
    pub paths: Vec<Path>,
    pub findings: Vec<Finding>,
    /// What the answer lacks.
    pub unread: Vec<Unread>,
    pub now: Timestamp,
}

impl Picture {
    /// Whether everything is as it should be, as far as it was looked at.
    pub fn is_well(&self) -> bool {
        let ok = |judged: &Judged| match judged.verdict {
            Some(verdict) => verdict == Verdict::Ok,
            // Nobody was asked: then what should be served is all there is.
            None => matches!(judged.row.expected, Expected::Records(_)),
        };
        self.rows.iter().all(ok) && self.asked.iter().all(|asked| asked.error.is_none())
    }

    /// Whether something was found that a script should look at.
    pub fn is_found(&self) -> bool {
        let wrong = |judged: &Judged| judged.verdict.is_some_and(|verdict| verdict != Verdict::Ok);
        self.rows.iter().any(wrong)
            || self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The Service's name in full.
    pub fn service(&self) -> String {
        self.zone.service(self.facts.service.as_deref().unwrap_or_default())
    }

    /// For how long the servers will go on denying what is there by now.
    pub fn denied_for(&self) -> Option<u32> {
        let rows = self.rows.iter().filter(|row| row.verdict != Some(Verdict::Ok));
        let there = rows.filter(|row| matches!(row.row.expected, Expected::Records(_)));
        there.filter_map(Judged::denied_for).max()
    }
}

/// `A 10.0.0.1, 10.0.0.2`, `NXDOMAIN, for 27 s more`.
pub fn answer_text(outcome: &Outcome, zone: &Zone) -> String {
    match outcome {
        Outcome::NotAsked => "not asked".to_owned(),
        Outcome::Failed(why) => why.clone(),
        Outcome::Reply(reply) if reply.values.is_empty() => {
            let word = match reply.code {
                super::wire::Code::Fine => "no such record".to_owned(),
                other => other.to_string(),
            };
            match reply.denied_for {
                Some(seconds) => format!("{word}, for {seconds} s more"),
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

/// A value without what all names end in.
pub fn short(value: &str, zone: &Zone) -> String {
    value.replace(&zone.suffix(), "")
}

fn row_text(row: &Row, zone: &Zone) -> String {
    format!("{} {}", zone.short(&row.name), row.kind.name())
}

/// What the answers say, as findings.
pub fn of_answers(
    rows: &[Judged],
    asked: &[Asked],
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
                rules::SERVER_SILENT.found(format!("pod/{}", bare(&one.name)), message);
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
            let message = format!(
                "{} did not answer {} usefully, {} among them: {why}",
                one.name,
                count(failed.len(), "question"),
                row_text(&judged.row, zone)
            );
            found.push(rules::SERVER_SILENT.found(format!("pod/{}", bare(&one.name)), message));
        }
        let skew: Vec<String> = rows
            .iter()
            .filter(|judged| judged.verdict == Some(Verdict::Skew))
            .filter(|judged| deviates(judged, place, service))
            .map(|judged| {
                let text = answer_text(&judged.outcomes[place], zone);
                format!("{} is {text}", row_text(&judged.row, zone))
            })
            .collect();
        if !skew.is_empty() {
            let message = format!("{} differs from the API: {}", one.name, some(&skew));
            let object = format!("pod/{}", bare(&one.name));
            found.push(rules::SKEW.found(object, message).hint(again));
        }
    }
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
    let served = |judged: &Judged| matches!(judged.row.expected, Expected::Records(_));
    let denied: Vec<String> =
        of(Verdict::Missing).filter(|(row, _)| served(row)).map(|(_, text)| text).collect();
    if !denied.is_empty() {
        let message =
            format!("every server that was asked lacks what the API has: {}", some(&denied));
        found.push(rules::DENIED.found(&object, message).hint(again));
    }
    let stale: Vec<String> = of(Verdict::Stale)
        .map(|(judged, text)| match &judged.row.expected {
            Expected::Records(wanted) => {
                let wanted: Vec<String> =
                    wanted.iter().map(|one| short(&one.value.to_string(), zone)).collect();
                format!("{text}, and the API has {}", wanted.join(", "))
            }
            Expected::Nothing(absent) => format!("{text}, although {}", absent.why()),
            Expected::Unknown => text,
        })
        .collect();
    if !stale.is_empty() {
        let message = format!("servers answer what is not so any more: {}", some(&stale));
        found.push(rules::OLD_ADDRESS.found(&object, message).hint(again));
    }
    let extra: Vec<String> = of(Verdict::Extra).map(|(_, text)| text).collect();
    if !extra.is_empty() {
        let message = format!("servers answer more than the API has: {}", some(&extra));
        found.push(rules::UNEXPECTED.found(&object, message).hint(again));
    }
    found
}

fn bare(name: &str) -> &str {
    name.strip_prefix("pod/").unwrap_or(name)
}

/// Whether this server is the one that is wrong.
fn deviates(judged: &Judged, place: usize, service: &str) -> bool {
    let Some(Outcome::Reply(reply)) = judged.outcomes.get(place) else { return false };
    let values = own_values(&judged.row, reply, service);
    match &judged.row.expected {
        Expected::Records(wanted) => {
            wanted.iter().any(|one| !values.iter().any(|value| one.is(value)))
                || values.iter().any(|value| !wanted.iter().any(|one| one.is(value)))
        }
        Expected::Nothing(_) => !values.is_empty(),
        Expected::Unknown => true,
    }
}

/// The first few, and how many more there are.
fn some(texts: &[String]) -> String {
    const SHOWN: usize = 2;
    let shown = texts.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match texts.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// The short forms of a name, the shortest first.
pub fn forms(host: &str, namespace: &str, domain: &str) -> Vec<String> {
    vec![
        host.to_owned(),
        format!("{host}.{namespace}"),
        format!("{host}.{namespace}.svc"),
        format!("{host}.{namespace}.svc.{domain}"),
    ]
}

/// The namespace and the Service that a name in the zone is about, whether it
/// is a Service's own or one of a host under it.
pub fn parts<'a>(name: &'a str, domain: &str) -> Option<(&'a str, &'a str)> {
    let front = name.strip_suffix(domain)?.strip_suffix(".svc.")?;
    let mut labels = front.rsplit('.');
    let (namespace, service) = (labels.next()?, labels.next()?);
    labels.nth(1).is_none().then_some((namespace, service))
}

/// Follows a form along a search path; `known` says whether a Service is there.
pub fn path(
    from: &str,
    form: &str,
    target: &str,
    domain: &str,
    resolver: &ResolvConf,
    known: &dyn Fn(&str, &str) -> Option<bool>,
) -> Path {
    let mut steps = Vec::new();
    let mut reaches = Some(false);
    for one in resolver.tries(form) {
        let own = parts(target, domain);
        let step = if one.name == target {
            Step::Here
        } else if !super::corefile::is_within(&one.name, domain) {
            Step::Outside
        } else {
            match parts(&one.name, domain) {
                None => Step::Nothing,
                // The names of this very Service are known.
                Some(found) if Some(found) == own => Step::Nothing,
                Some((namespace, service)) => match known(namespace, service) {
                    Some(false) => Step::Nothing,
                    Some(true) => Step::OtherService,
                    None => Step::Unknown,
                },
            }
        };
        steps.push((one, step));
        match step {
            Step::Here => {
                reaches = reaches.map(|_| true);
                break;
            }
            Step::OtherService | Step::Unknown => reaches = None,
            Step::Nothing | Step::Outside => {}
        }
    }
    // What may come first matters only if the name itself comes at all.
    let comes = steps.iter().any(|(_, step)| *step == Step::Here);
    Path {
        from: from.to_owned(),
        form: form.to_owned(),
        steps,
        reaches: if comes { reaches } else { Some(false) },
    }
}

/// What the paths say, as findings.
pub fn of_paths(paths: &[Path], object: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut namespaces: Vec<&str> = paths.iter().map(|path| path.from.as_str()).collect();
    namespaces.dedup();
    for from in namespaces {
        let here: Vec<&Path> = paths.iter().filter(|path| path.from == from).collect();
        let best = here.iter().find(|path| path.reaches == Some(true));
        let shortest = here.first().copied();
        let Some(short) = shortest.filter(|path| path.reaches != Some(true)) else { continue };
        let perhaps =
            here.iter().any(|path| path.steps.iter().any(|(_, step)| *step == Step::OtherService));
        let why = if perhaps {
            "may lead to another Service of that name"
        } else if short.reaches.is_none() {
            "may lead elsewhere: not all that it is tried as could be read"
        } else {
            "does not lead here"
        };
        let better = best.map_or_else(String::new, |best| format!("; {} does", best.form));
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

    fn from(namespace: &str, form: &str, known: &dyn Fn(&str, &str) -> Option<bool>) -> Path {
        let resolver = ResolvConf::of_pod(namespace, "cluster.local");
        path(namespace, form, TARGET, "cluster.local", &resolver, known)
    }

    #[test]
    fn short_names_lead_where_the_search_path_leads() {
        let none = |_: &str, _: &str| Some(false);
        assert_eq!(from("default", "web-0.nginx", &none).reaches, Some(true));
        assert_eq!(from("default", "web-0.nginx", &none).steps.len(), 1);
        assert_eq!(from("shop", "web-0.nginx", &none).reaches, Some(false));
        let second = from("shop", "web-0.nginx.default", &none);
        assert_eq!(second.reaches, Some(true));
        let steps: Vec<Step> = second.steps.iter().map(|(_, step)| *step).collect();
        assert_eq!(steps, [Step::Nothing, Step::Here]);
        // Its own Service of that name comes first.
        let own = |namespace: &str, service: &str| Some((namespace, service) == ("shop", "nginx"));
        assert_eq!(from("shop", "web-0.nginx", &own).reaches, Some(false));
        let found = of_paths(&[from("shop", "web-0.nginx", &own)], "service/nginx");
        assert_eq!(found[0].severity, Severity::Warning);
        let unknown = |_: &str, _: &str| None;
        assert_eq!(from("shop", "web-0.nginx.default", &unknown).reaches, Some(true));
        assert_eq!(from("shop", TARGET, &unknown).steps.len(), 1);
    }

    #[test]
    fn names_of_the_zone_are_taken_apart() {
        let domain = "cluster.local";
        assert_eq!(parts(TARGET, domain), Some(("default", "nginx")));
        assert_eq!(parts("nginx.default.svc.cluster.local", domain), Some(("default", "nginx")));
        assert_eq!(parts("default.svc.cluster.local", domain), None);
        assert_eq!(parts("a.b.c.d.svc.cluster.local", domain), None);
        assert_eq!(parts("nginx.example.org", domain), None);
    }
}
