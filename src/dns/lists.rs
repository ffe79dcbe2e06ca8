//! The lists for other programs: names, hosts, records as dig prints them, and
//! connection strings.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    args::Output,
    compare::Outcome,
    expected::{Expected, Kind, Row, Value},
    facts::{Facts, Port},
    picture::{Picture, answer_text},
};
use crate::{
    cluster::Resource,
    output::{
        Error, Exit,
        text::{one_line, printable},
    },
    workload::{StatefulSet, Unread},
};

/// The options of a list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub output: Output,
    pub format: Option<String>,
    pub port: Option<String>,
    pub ordinal: Option<u32>,
}

/// The pods' names, one for each ordinal.
pub(super) fn names(picture: &Picture, options: &ListOptions) -> Result<String, Error> {
    let (set, service) = set_and_service(&picture.facts)?;
    let lines: Vec<String> = ordinals(set, options)
        .map(|ordinal| picture.zone.host(&set.pod_name(ordinal), service))
        .collect();
    Ok(lines_of(&lines))
}

fn lines_of(lines: &[String]) -> String {
    lines.iter().map(|line| one_line(line) + "\n").collect()
}

fn ordinals(set: &StatefulSet, options: &ListOptions) -> Box<dyn Iterator<Item = u32>> {
    match options.ordinal {
        Some(one) => Box::new(std::iter::once(one)),
        None => Box::new(set.ordinals()),
    }
}

fn set_and_service(facts: &Facts) -> Result<(&StatefulSet, &str), Error> {
    let none = || {
        Error::usage(
            "there are no ordinals to list: these lists need a StatefulSet with a serviceName",
        )
        .hint("name a StatefulSet that has a serviceName")
    };
    let set = facts.set.as_ref().ok_or_else(none)?;
    // A set's names are under its governing Service, whichever was asked for.
    let service = set.service_name.as_deref().filter(|name| !name.is_empty()).ok_or_else(none)?;
    Ok((set, service))
}

/// Lines of a hosts file, for the addresses that exist.
pub(super) fn hosts(picture: &Picture) -> String {
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
pub(super) fn dig(picture: &Picture) -> String {
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
        lines.push("; no server was asked: this is what the API says should be served".to_owned());
        for judged in &picture.rows {
            let Row { name, kind, expected, .. } = &judged.row;
            let Expected::Records(wanted) = expected else { continue };
            for one in wanted {
                // The server chooses priority and weight.
                let mark = if *kind == Kind::Srv { "; " } else { "" };
                let data = data(&one.value, None);
                lines.push(format!("{mark}{name}.\t\tIN\t{}\t{data}", kind.name()));
            }
        }
    }
    // Tabs belong to the format; other control characters are escaped.
    lines.iter().map(|line| printable(line).into_owned() + "\n").collect()
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

/// What `--format` may name.
const PLACEHOLDERS: [&str; 5] = ["host", "port", "pod", "ordinal", "ip"];

/// Whether the form of an entry names only what there is. Other braces stand for
/// themselves.
///
/// # Errors
/// `Usage` when it names something else.
pub(super) fn check_format(format: &str) -> Result<(), Error> {
    let named = format.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    let is_word = |name: &&str| !name.is_empty() && name.chars().all(char::is_alphanumeric);
    match named.filter(is_word).find(|name| !PLACEHOLDERS.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!("--format: {{{name}}} is not known"))
            .hint("an entry is made of {host}, {port}, {pod}, {ordinal} and {ip}")),
    }
}

/// One line for a connection string.
pub(super) fn srv_list(picture: &Picture, options: &ListOptions) -> Result<String, Error> {
    let facts = &picture.facts;
    let (set, service) = set_and_service(facts)?;
    let format = options.format.as_deref().unwrap_or("{host}:{port}");
    let port =
        format.contains("{port}").then(|| wanted_port(facts, service, options)).transpose()?;
    let mut entries = Vec::new();
    for ordinal in ordinals(set, options) {
        let pod = set.pod_name(ordinal);
        let host = picture.zone.host(&pod, service);
        let mut entry = format
            .replace("{host}", &host)
            .replace("{pod}", &pod)
            .replace("{ordinal}", &ordinal.to_string());
        if let Some(port) = &port {
            let number = port.of_pod(facts, service, &pod)?;
            entry = entry.replace("{port}", &number.to_string());
        }
        if entry.contains("{ip}") {
            let address = address_of(picture, &host).ok_or_else(|| {
                Error::new(Exit::Incomplete, format!("{pod} has no address yet"))
                    .hint("omit {ip}, or wait: kubectl stateful dns --wait")
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

/// The port of the entries.
enum WantedPort<'a> {
    /// As it was given.
    Number(u16),
    /// Of the Service.
    Named(&'a Port),
}

impl WantedPort<'_> {
    /// The port to which clients of a pod connect, which is the pod's own: the number in
    /// its SRV record. A named targetPort may differ from pod to pod.
    fn of_pod(&self, facts: &Facts, service: &str, pod: &str) -> Result<u16, Error> {
        let port = match self {
            WantedPort::Number(number) => return Ok(*number),
            WantedPort::Named(port) => port,
        };
        let of_containers = port.number_in(facts.ports_of(pod));
        let number = match facts.endpoint_ports(service, pod) {
            Some(own) => {
                let is_it = |one: &&&Port| one.name == port.name && one.protocol == port.protocol;
                own.iter().find(is_it).and_then(|one| one.number)
            }
            None => of_containers,
        };
        number.ok_or_else(|| {
            let lacks = match port.target_name().filter(|_| of_containers.is_none()) {
                Some(target) => {
                    format!("its containers have no {} port named {target}", port.protocol)
                }
                None => "its endpoint has no such port".to_owned(),
            };
            let name = port.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
            let message =
                format!("the port{name} of Service {service} does not lead to {pod}: {lacks}");
            let again = facts.set.as_ref().map_or("", |set| &set.name);
            Error::new(Exit::Found, one_line(&message))
                .hint(format!("kubectl stateful dns explain {again} {}", facts.at()))
        })
    }
}

/// The port that the entries are to have.
fn wanted_port<'a>(
    facts: &'a Facts,
    service: &str,
    options: &ListOptions,
) -> Result<WantedPort<'a>, Error> {
    let governing = facts.services.iter().flatten().find(|one| one.name == service);
    let ports: Vec<&Port> = governing.iter().flat_map(|one| &one.ports).collect();
    if let Some(number) = options.port.as_deref().and_then(|port| port.parse::<u16>().ok()) {
        return Ok(WantedPort::Number(number));
    }
    let found = match &options.port {
        Some(name) => ports.iter().find(|port| port.name.as_deref() == Some(name)).copied(),
        None if ports.len() == 1 => ports.first().copied(),
        None => None,
    };
    // Without the Services, nothing can be said of their ports.
    let unread =
        |one: &&Unread| facts.services.is_none() && one.resource == Resource::SERVICE.name();
    if let Some(unread) = facts.unread.iter().find(unread) {
        let message = format!("the ports of Service {service} could not be read: {}", unread.why);
        let error = Error::new(Exit::Incomplete, one_line(&message));
        return Err(error.hint("give the number with --port, or leave {port} out of --format"));
    }
    let known: BTreeSet<&str> = ports.iter().filter_map(|port| port.name.as_deref()).collect();
    let known: Vec<&str> = known.into_iter().collect();
    found.map(WantedPort::Named).ok_or_else(|| {
        let error = match &options.port {
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
    })
}
