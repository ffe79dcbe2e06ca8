//! What was expected, compared with what each server answered.

use serde::Serialize;

use super::{
    expected::{Absent, Expected, Kind, Row, Value},
    wire::Reply,
};

/// The result for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every server that answered returns what the API says.
    Ok,
    /// Something that should be served is not.
    Missing,
    /// Something else is served in its place, or although nothing should be.
    Stale,
    /// All that should be served is served, and something more.
    Extra,
    /// The servers do not agree with each other.
    Skew,
    /// Absent as expected: the pod does not exist or is not Ready.
    NotReady,
    /// Absent as expected: the pod has no such name.
    NoHostname,
}

impl Verdict {
    pub fn label(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Missing => "missing",
            Verdict::Stale => "stale",
            Verdict::Extra => "extra",
            Verdict::Skew => "skew",
            Verdict::NotReady => "not-ready",
            Verdict::NoHostname => "no-hostname",
        }
    }
}

/// The outcome of a question to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Reply(Reply),
    /// No answer, and why.
    Failed(String),
    /// Not asked, for example because getent has no such question.
    NotAsked,
}

/// A row with the outcome of each server, in the servers' order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedRow {
    pub row: Row,
    pub outcomes: Vec<Outcome>,
    /// `None` when no server answered, or it is not known what should be
    /// served.
    pub verdict: Option<Verdict>,
}

impl JudgedRow {
    pub fn new(row: Row, outcomes: Vec<Outcome>, service: &str) -> JudgedRow {
        let verdict = verdict(&row, &outcomes, service);
        JudgedRow { row, outcomes, verdict }
    }

    pub fn replies(&self) -> impl Iterator<Item = &Reply> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Reply(reply) => Some(reply),
            Outcome::Failed(_) | Outcome::NotAsked => None,
        })
    }

    /// The longest time for which a server keeps denying the name.
    pub fn denied_for(&self) -> Option<u32> {
        self.replies().filter_map(|reply| reply.denied_for).max()
    }

    /// The shortest time after which an answer expires.
    pub fn ttl(&self) -> Option<u32> {
        self.replies().filter_map(|reply| reply.ttl.or(reply.denied_for)).min()
    }
}

/// The values that count. An address may have names under several Services;
/// those of other Services are ignored.
pub fn own_values<'a>(row: &'a Row, reply: &'a Reply, service: &'a str) -> Vec<&'a Value> {
    let inside = |value: &&Value| match value {
        Value::Name(name) if row.kind == Kind::Ptr => {
            name == service || name.strip_suffix(service).is_some_and(|host| host.ends_with('.'))
        }
        _ => true,
    };
    reply.values.iter().filter(inside).collect()
}

/// Whether a reply is what the API says; `service` is the Service's full name.
pub fn agrees(row: &Row, reply: &Reply, service: &str) -> bool {
    let values = own_values(row, reply, service);
    match &row.expected {
        Expected::Records(wanted) => {
            wanted.iter().all(|one| values.iter().any(|value| one.matches(value)))
                && values.iter().all(|value| wanted.iter().any(|one| one.matches(value)))
        }
        Expected::Nothing(_) => values.is_empty(),
        // Nobody can agree with what was not read, nor differ from it.
        Expected::Unknown => true,
    }
}

/// `service` is the Service's full name.
fn verdict(row: &Row, outcomes: &[Outcome], service: &str) -> Option<Verdict> {
    let replies: Vec<Vec<&Value>> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Reply(reply) => Some(own_values(row, reply, service)),
            Outcome::Failed(_) | Outcome::NotAsked => None,
        })
        .collect();
    let agreed = replies.windows(2).all(|pair| same(row, &pair[0], &pair[1]));
    if !agreed {
        return Some(Verdict::Skew);
    }
    let values = replies.first();
    match &row.expected {
        Expected::Unknown => None,
        Expected::Nothing(absent) => Some(match (values, absent) {
            (Some(values), _) if !values.is_empty() => Verdict::Stale,
            (_, Absent::NotReady(_)) => Verdict::NotReady,
            (_, Absent::NoHostname(_)) => Verdict::NoHostname,
            (_, Absent::Missing(_)) => Verdict::Missing,
        }),
        Expected::Records(wanted) => {
            let values = values?;
            let is_missing_some =
                wanted.iter().any(|one| !values.iter().any(|value| one.matches(value)));
            let extra = values.iter().any(|value| !wanted.iter().any(|one| one.matches(value)));
            Some(match (is_missing_some, extra) {
                (false, false) => Verdict::Ok,
                (true, false) => Verdict::Missing,
                (false, true) => Verdict::Extra,
                (true, true) => Verdict::Stale,
            })
        }
    }
}

/// Whether two servers give the same answer. They may use different names for
/// endpoints without a hostname.
fn same(row: &Row, one: &[&Value], other: &[&Value]) -> bool {
    if one == other {
        return true;
    }
    let Expected::Records(wanted) = &row.expected else { return false };
    let positions = |all: &[&Value]| -> Option<Vec<usize>> {
        let place = |value: &&Value| wanted.iter().position(|wanted| wanted.matches(value));
        let mut found: Vec<usize> = all.iter().map(place).collect::<Option<_>>()?;
        found.sort_unstable();
        found.dedup();
        Some(found)
    };
    positions(one).is_some_and(|found| Some(found) == positions(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{expected::Wanted, wire::Code};

    const SERVICE: &str = "nginx.default.svc.cluster.local";

    fn address(text: &str) -> Value {
        Value::Address(text.parse().unwrap())
    }

    fn served(values: &[Value]) -> Outcome {
        let code = if values.is_empty() { Code::NxDomain } else { Code::NoError };
        let (values, weights) = (values.to_vec(), vec![None; values.len()]);
        Outcome::Reply(Reply { code, values, weights, ttl: Some(5), denied_for: None })
    }

    fn row(kind: Kind, wanted: &[Value]) -> Row {
        let one = |value: &Value| Wanted { value: value.clone(), alternatives: Vec::new() };
        let expected = Expected::Records(wanted.iter().map(one).collect());
        Row { name: format!("web-0.{SERVICE}"), kind, ordinal: Some(0), expected }
    }

    fn judge(row: Row, outcomes: Vec<Outcome>) -> Option<Verdict> {
        JudgedRow::new(row, outcomes, SERVICE).verdict
    }

    #[test]
    fn each_verdict() {
        let (a, b, c) = (address("10.0.0.1"), address("10.0.0.2"), address("10.0.0.3"));
        let of = |wanted: &[Value], got: &[Value]| judge(row(Kind::A, wanted), vec![served(got)]);
        let (a, b, c) = (&a, &b, &c);
        let list =
            |values: &[&Value]| values.iter().map(|&value| value.clone()).collect::<Vec<_>>();
        assert_eq!(of(&list(&[a, b]), &list(&[a, b])), Some(Verdict::Ok));
        assert_eq!(of(&list(&[a, b]), &list(&[a])), Some(Verdict::Missing));
        assert_eq!(of(&list(&[a]), &[]), Some(Verdict::Missing));
        assert_eq!(of(&list(&[a]), &list(&[a, b])), Some(Verdict::Extra));
        assert_eq!(of(&list(&[a]), &list(&[b])), Some(Verdict::Stale));
        assert_eq!(of(&list(&[a, b]), &list(&[b, c])), Some(Verdict::Stale));
        let two = |one: Outcome, other: Outcome| judge(row(Kind::A, &list(&[a])), vec![one, other]);
        assert_eq!(two(served(&list(&[a])), served(&[])), Some(Verdict::Skew));
        assert_eq!(two(served(&[]), served(&[])), Some(Verdict::Missing));
        let failed = Outcome::Failed("no answer".to_owned());
        assert_eq!(two(served(&list(&[a])), failed.clone()), Some(Verdict::Ok));
        assert_eq!(two(failed.clone(), failed), None);
        let absent = |absent: Absent, got: &[Value]| {
            let row = Row { expected: Expected::Nothing(absent), ..row(Kind::A, &[]) };
            judge(row, vec![served(got)])
        };
        let why = String::new;
        assert_eq!(absent(Absent::NotReady(why()), &[]), Some(Verdict::NotReady));
        assert_eq!(absent(Absent::NoHostname(why()), &[]), Some(Verdict::NoHostname));
        assert_eq!(absent(Absent::Missing(why()), &[]), Some(Verdict::Missing));
        assert_eq!(absent(Absent::NotReady(why()), &list(&[a])), Some(Verdict::Stale));
        let unknown = Row { expected: Expected::Unknown, ..row(Kind::A, &[]) };
        assert_eq!(judge(unknown, vec![served(&list(&[a]))]), None);
    }

    #[test]
    fn names_of_other_services_are_ignored() {
        let name = |text: &str| Value::Name(text.to_owned());
        let own = name("web-0.nginx.default.svc.cluster.local");
        let other = name("web-0.other.default.svc.cluster.local");
        let lookalike = name("x.my-nginx.default.svc.cluster.local");
        let former = name("web-1.nginx.default.svc.cluster.local");
        let of =
            |got: &[Value]| judge(row(Kind::Ptr, std::slice::from_ref(&own)), vec![served(got)]);
        assert_eq!(of(&[own.clone(), other.clone(), lookalike]), Some(Verdict::Ok));
        assert_eq!(of(&[own.clone(), former]), Some(Verdict::Extra));
        assert_eq!(of(&[other]), Some(Verdict::Missing));
    }

    #[test]
    fn servers_may_choose_names_without_a_hostname() {
        let name = |text: &str| Value::Name(format!("{text}.{SERVICE}"));
        let wanted = Wanted { value: name("10-0-0-1"), alternatives: vec![name("ext-x7k2p")] };
        let row = Row { expected: Expected::Records(vec![wanted]), ..row(Kind::Ptr, &[]) };
        let servers = vec![served(&[name("10-0-0-1")]), served(&[name("ext-x7k2p")])];
        assert_eq!(judge(row, servers), Some(Verdict::Ok));
    }
}
