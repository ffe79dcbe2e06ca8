//! The records that the API says should be served, and why a name has none.
//!
//! It follows the DNS specification of Kubernetes, schema 1.1.0, and CoreDNS
//! where the specification leaves a choice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use serde::Serialize;

use super::facts::{Endpoint, Facts, Family, Member, Port, Service, Slice};
use crate::workload::StatefulSet;

/// A type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    A,
    Aaaa,
    Srv,
    Ptr,
    Cname,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::A, Kind::Aaaa, Kind::Srv, Kind::Ptr, Kind::Cname];

    pub fn name(self) -> &'static str {
        match self {
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
            Kind::Srv => "SRV",
            Kind::Ptr => "PTR",
            Kind::Cname => "CNAME",
        }
    }

    fn of(family: Family) -> Kind {
        match family {
            Family::V4 => Kind::A,
            Family::V6 => Kind::Aaaa,
        }
    }
}

/// One record's data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Address(IpAddr),
    Srv {
        port: u16,
        target: String,
    },
    /// Of a PTR or CNAME.
    Name(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Address(address) => write!(f, "{address}"),
            Value::Srv { port, target } => write!(f, "{target}:{port}"),
            Value::Name(name) => f.write_str(name),
        }
    }
}

/// A record that should be served. The server chooses the name of an endpoint
/// without a hostname, so there may be alternatives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub value: Value,
    pub alternatives: Vec<Value>,
}

impl Wanted {
    fn only(value: Value) -> Wanted {
        Wanted { value, alternatives: Vec::new() }
    }

    pub fn matches(&self, value: &Value) -> bool {
        self.value == *value || self.alternatives.contains(value)
    }
}

/// Why a name that someone may look for should not be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It does not exist yet, or is not Ready.
    NotReady(String),
    /// The pod has no such name.
    NoHostname(String),
    /// Something is wrong with the Service.
    Missing(String),
}

impl Absent {
    pub fn why(&self) -> &str {
        match self {
            Absent::NotReady(why) | Absent::NoHostname(why) | Absent::Missing(why) => why,
        }
    }
}

/// What should be served under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Records(Vec<Wanted>),
    Nothing(Absent),
    /// It could not be read; `unread` says why.
    Unknown,
}

/// A name and a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The full name, without the dot at its end.
    pub name: String,
    pub kind: Kind,
    /// The ordinal whose name it is, if any.
    pub ordinal: Option<u32>,
    pub expected: Expected,
}

/// The zone of a namespace's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub namespace: String,
    pub domain: String,
}

impl Zone {
    /// The suffix of all names of the namespace's Services.
    pub fn suffix(&self) -> String {
        format!(".{}.svc.{}", self.namespace, self.domain)
    }

    pub fn service(&self, service: &str) -> String {
        format!("{service}{}", self.suffix())
    }

    pub fn host(&self, host: &str, service: &str) -> String {
        format!("{host}.{}", self.service(service))
    }

    /// The name without the suffix, or the address of a reverse name.
    pub fn short(&self, name: &str) -> String {
        if let Some(address) = reversed(name) {
            return address.to_string();
        }
        name.strip_suffix(&self.suffix()).unwrap_or(name).to_owned()
    }
}

/// Which rows to make.
#[derive(Clone, Debug, Default)]
pub struct RowOptions {
    /// Only this ordinal.
    pub ordinal: Option<u32>,
    /// Only these types; empty means all.
    pub kinds: Vec<Kind>,
    /// The servers have no reverse zones.
    pub no_reverse: bool,
    /// Endpoints without a hostname get their pod's name.
    pub endpoint_pod_names: bool,
}

/// One row per name and type: the Service, its ports, the ordinals, the
/// addresses.
pub fn rows(facts: &Facts, zone: &Zone, options: &RowOptions) -> Vec<Row> {
    let Some(name) = facts.service.as_deref() else { return Vec::new() };
    let mut view = View { facts, zone, options, name, rows: Vec::new() };
    view.all();
    let mut rows = view.rows;
    rows.retain(|row| options.kinds.is_empty() || options.kinds.contains(&row.kind));
    if options.no_reverse {
        rows.retain(|row| row.kind != Kind::Ptr);
    }
    rows
}

struct View<'a> {
    facts: &'a Facts,
    zone: &'a Zone,
    options: &'a RowOptions,
    /// The Service's name.
    name: &'a str,
    rows: Vec<Row>,
}

impl View<'_> {
    fn all(&mut self) {
        let facts = self.facts;
        let of_service = self.options.ordinal.is_none();
        let known = facts.services.is_some();
        let Some(service) = facts.governing() else {
            let why = format!("Service {} does not exist", self.name);
            let nothing =
                if known { Expected::Nothing(Absent::Missing(why)) } else { Expected::Unknown };
            if of_service {
                self.add(self.zone.service(self.name), Kind::A, None, nothing.clone());
            }
            self.ordinals(None, &nothing);
            return;
        };
        if service.is_external_name() {
            if of_service {
                self.external(service);
            }
            let why = format!("Service {} is an ExternalName, which has no endpoints", self.name);
            self.ordinals(None, &Expected::Nothing(Absent::Missing(why)));
            return;
        }
        let slices: Option<Vec<&Slice>> =
            facts.slices.as_ref().map(|_| facts.slices_of(self.name).collect());
        if of_service {
            self.addresses_of(service, slices.as_deref());
            self.ports_of(service, slices.as_deref());
        }
        let unknown = Expected::Unknown;
        match &slices {
            None => self.ordinals(None, &unknown),
            Some(slices) => self.ordinals(Some((service, slices)), &unknown),
        }
        self.reverse(service, slices.as_deref().unwrap_or_default());
    }

    fn add(&mut self, name: String, kind: Kind, ordinal: Option<u32>, expected: Expected) {
        self.rows.push(Row { name, kind, ordinal, expected });
    }

    fn external(&mut self, service: &Service) {
        let target = service.external_name.as_deref().unwrap_or_default();
        let name = target.trim_end_matches('.').to_ascii_lowercase();
        let expected = if target.parse::<IpAddr>().is_ok() || target.is_empty() {
            Expected::Nothing(Absent::Missing(format!(
                "externalName {target:?} is not a name, so there is no CNAME record"
            )))
        } else {
            Expected::Records(vec![Wanted::only(Value::Name(name))])
        };
        self.add(self.zone.service(self.name), Kind::Cname, None, expected);
    }

    /// The rows of the Service's own name.
    fn addresses_of(&mut self, service: &Service, slices: Option<&[&Slice]>) {
        for family in [Family::V4, Family::V6] {
            let has = service.has_family(family);
            let expected = if !service.headless {
                let here = |address: &&IpAddr| Family::of(**address) == family;
                let own: Vec<Wanted> = service
                    .cluster_ips
                    .iter()
                    .filter(here)
                    .map(|address| Wanted::only(Value::Address(*address)))
                    .collect();
                match (own.is_empty(), service.cluster_ips.is_empty()) {
                    (false, _) => Expected::Records(own),
                    // No server has given it an address yet.
                    (true, true) if has => Expected::Unknown,
                    (true, _) => continue,
                }
            } else if let Some(slices) = slices {
                let ready = ready(slices).filter(|(_, endpoint)| has_family(endpoint, family));
                let all: BTreeSet<IpAddr> = ready
                    .flat_map(|(_, endpoint)| &endpoint.addresses)
                    .filter(|address| Family::of(**address) == family)
                    .copied()
                    .collect();
                let other = all.is_empty() && ready_any(slices);
                if (all.is_empty() && !has) || (other && service.families.len() > 1) {
                    continue;
                }
                if all.is_empty() {
                    Expected::Nothing(self.no_endpoint(service, slices))
                } else {
                    let values = all.into_iter().map(Value::Address).map(Wanted::only);
                    Expected::Records(values.collect())
                }
            } else if has {
                Expected::Unknown
            } else {
                continue;
            };
            self.add(self.zone.service(self.name), Kind::of(family), None, expected);
        }
    }

    /// Why a headless Service has no address at all.
    fn no_endpoint(&self, service: &Service, slices: &[&Slice]) -> Absent {
        let listed: usize = slices.iter().map(|slice| slice.endpoints.len()).sum();
        if listed > 0 {
            return Absent::NotReady(format!("none of its {listed} endpoints is ready"));
        }
        if service.selector.is_empty() {
            return Absent::Missing(format!(
                "Service {} has neither a selector nor endpoints",
                self.name
            ));
        }
        let Some(pods) = &self.facts.pods else {
            return Absent::NotReady("it has no endpoints; the pods were not read".to_owned());
        };
        let there: Vec<&Member> = pods.iter().filter(|pod| !pod.ended).collect();
        if there.is_empty() {
            return Absent::NotReady("there are no pods".to_owned());
        }
        if !there.iter().any(|pod| service.selects(&pod.labels)) {
            return Absent::Missing(format!("Service {} selects none of the pods", self.name));
        }
        if there.iter().all(|pod| pod.ips.is_empty()) {
            return Absent::NotReady("no pod has an address yet".to_owned());
        }
        Absent::Missing("the pods are in no EndpointSlice".to_owned())
    }

    /// The SRV records. Only named ports have them.
    fn ports_of(&mut self, service: &Service, slices: Option<&[&Slice]>) {
        let of_slices = slices.into_iter().flatten().flat_map(|slice| &slice.ports);
        let mut ports: Vec<(String, String)> = Vec::new();
        let declared: Box<dyn Iterator<Item = &Port>> = if service.headless {
            Box::new(service.ports.iter().chain(of_slices))
        } else {
            Box::new(service.ports.iter())
        };
        for port in declared {
            let Some(name) = &port.name else { continue };
            let named = (name.to_lowercase(), port.protocol.to_lowercase());
            if !ports.contains(&named) {
                ports.push(named);
            }
        }
        for (port, protocol) in ports {
            let name = format!("_{port}._{protocol}.{}", self.zone.service(self.name));
            let expected = match slices {
                _ if !service.headless => {
                    let number = service.ports.iter().find(|one| is_port(one, &port, &protocol));
                    let target = self.zone.service(self.name);
                    number.and_then(|port| port.number).map_or(Expected::Unknown, |port| {
                        Expected::Records(vec![Wanted::only(Value::Srv { port, target })])
                    })
                }
                None => Expected::Unknown,
                Some(slices) => self.srv(service, slices, &port, &protocol),
            };
            self.add(name, Kind::Srv, None, expected);
        }
    }

    fn srv(&self, service: &Service, slices: &[&Slice], port: &str, protocol: &str) -> Expected {
        let mut all = BTreeSet::new();
        for (slice, endpoint) in ready(slices) {
            let numbers = slice.ports.iter().filter(|one| is_port(one, port, protocol));
            for number in numbers.filter_map(|port| port.number) {
                for address in &endpoint.addresses {
                    let srv = |target: String| Value::Srv { port: number, target };
                    let mut names = self.names_of(endpoint, *address).into_iter();
                    let Some(value) = names.next().map(srv) else { continue };
                    let alternatives = names.map(srv).collect();
                    all.insert(Wanted { value, alternatives });
                }
            }
        }
        if all.is_empty() {
            let why = if ready_any(slices) {
                Absent::Missing(format!("no ready endpoint has a port named {port}"))
            } else {
                self.no_endpoint(service, slices)
            };
            return Expected::Nothing(why);
        }
        Expected::Records(all.into_iter().collect())
    }

    /// The full name of an endpoint, then other names that a server may use.
    fn names_of(&self, endpoint: &Endpoint, address: IpAddr) -> Vec<String> {
        let full = |host: &str| self.zone.host(&host.to_lowercase(), self.name);
        if let Some(hostname) = &endpoint.hostname {
            return vec![full(hostname)];
        }
        let dashed = full(&dashed(address));
        match &endpoint.pod {
            Some(pod) if self.options.endpoint_pod_names => vec![full(pod), dashed],
            Some(pod) => vec![dashed, full(pod)],
            None => vec![dashed],
        }
    }

    /// Each ordinal's name, then every other hostname. `known` is the Service
    /// with its slices; without them, `otherwise` is expected of all.
    fn ordinals(&mut self, known: Option<(&Service, &[&Slice])>, otherwise: &Expected) {
        let mut named: BTreeSet<String> = BTreeSet::new();
        let facts = self.facts;
        if let Some(set) = facts.governed_set() {
            let range = set.ordinals();
            let ordinals: Vec<u32> = match self.options.ordinal {
                Some(one) => vec![one],
                None => range.clone().collect(),
            };
            for ordinal in ordinals {
                let pod = set.pod_name(ordinal);
                let name = self.zone.host(&pod, self.name);
                match known {
                    None => self.add(name, Kind::A, Some(ordinal), otherwise.clone()),
                    Some((service, slices)) => self.host(service, slices, &pod, Some(ordinal)),
                }
                named.insert(pod);
            }
        }
        let Some((service, slices)) = known.filter(|_| self.options.ordinal.is_none()) else {
            return;
        };
        let others: BTreeSet<String> = slices
            .iter()
            .flat_map(|slice| &slice.endpoints)
            .filter_map(|endpoint| endpoint.hostname.clone())
            .filter(|hostname| !named.contains(hostname))
            .collect();
        for host in others {
            self.host(service, slices, &host, None);
        }
    }

    /// The addresses of one hostname.
    fn host(&mut self, service: &Service, slices: &[&Slice], host: &str, ordinal: Option<u32>) {
        let name = self.zone.host(host, self.name);
        let addresses: BTreeSet<IpAddr> = ready(slices)
            .filter(|(_, endpoint)| {
                endpoint.hostname.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(host))
            })
            .flat_map(|(_, endpoint)| endpoint.addresses.iter().copied())
            .collect();
        if addresses.is_empty() {
            let first = [Family::V4, Family::V6].into_iter().find(|one| service.has_family(*one));
            let kind = Kind::of(first.unwrap_or(Family::V4));
            let why = self.no_host(service, slices, host, ordinal);
            self.add(name, kind, ordinal, Expected::Nothing(why));
            return;
        }
        for family in [Family::V4, Family::V6] {
            let own: Vec<Wanted> = addresses
                .iter()
                .filter(|address| Family::of(**address) == family)
                .map(|address| Wanted::only(Value::Address(*address)))
                .collect();
            if !own.is_empty() {
                self.add(name.clone(), Kind::of(family), ordinal, Expected::Records(own));
            }
        }
    }

    /// Why a hostname has no address.
    fn no_host(
        &self,
        service: &Service,
        slices: &[&Slice],
        host: &str,
        ordinal: Option<u32>,
    ) -> Absent {
        let facts = self.facts;
        if let (Some(set), Some(ordinal)) = (&facts.set, ordinal)
            && !set.ordinals().contains(&ordinal)
        {
            return Absent::NotReady(format!("{} has {}", set.name, range_of(set)));
        }
        let endpoints = || slices.iter().flat_map(|slice| &slice.endpoints);
        if endpoints().any(|endpoint| endpoint.hostname.as_deref() == Some(host)) {
            let state = facts.member(host).map(|pod| pod.state.clone());
            let state = state.unwrap_or_else(|| "not ready".to_owned());
            return Absent::NotReady(format!("{host} is {state}"));
        }
        let Some(pods) = &facts.pods else {
            return Absent::NotReady(
                "no ready endpoint has this hostname; the pods were not read".to_owned(),
            );
        };
        let Some(pod) = pods.iter().find(|pod| pod.name == host) else {
            return Absent::NotReady(facts.no_pod(host));
        };
        if pod.subdomain.as_deref() != Some(self.name) {
            return Absent::NoHostname(match &pod.subdomain {
                Some(other) => format!("the subdomain of {host} is {other}, not {}", self.name),
                None => format!("{host} has no subdomain"),
            });
        }
        if pod.hostname.as_deref() != Some(host) {
            return Absent::NoHostname(format!(
                "the hostname of {host} is {}",
                pod.hostname.as_deref().unwrap_or("not set")
            ));
        }
        if endpoints().any(|endpoint| endpoint.pod.as_deref() == Some(host)) {
            return Absent::NoHostname(format!("the endpoint of {host} has no hostname"));
        }
        if pod.ended || pod.ips.is_empty() {
            return Absent::NotReady(format!("{host} is {}", pod.state));
        }
        if service.selector.is_empty() {
            return Absent::Missing(format!("Service {} has no selector", self.name));
        }
        if !service.selects(&pod.labels) {
            return Absent::Missing(format!("Service {} does not select {host}", self.name));
        }
        if !pod.ips.iter().any(|address| service.has_family(Family::of(*address))) {
            let wanted: Vec<&str> = service.families.iter().map(|family| family.name()).collect();
            return Absent::Missing(format!("{host} has no {} address", wanted.join(" or ")));
        }
        if !pod.ready {
            return Absent::NotReady(format!("{host} is {}", pod.state));
        }
        Absent::Missing(format!("{host} is in no EndpointSlice"))
    }

    /// The PTR records. The specification has them for a Service's address and
    /// for the endpoints of a headless Service.
    fn reverse(&mut self, service: &Service, slices: &[&Slice]) {
        if !service.headless {
            if self.options.ordinal.is_some() {
                return;
            }
            for address in service.cluster_ips.clone() {
                let name = Value::Name(self.zone.service(self.name));
                let expected = Expected::Records(vec![Wanted::only(name)]);
                self.add(reverse_name(address), Kind::Ptr, None, expected);
            }
            return;
        }
        // The name of a Service's own address is that Service's.
        let taken: BTreeSet<IpAddr> =
            self.facts.services.iter().flatten().flat_map(|one| one.cluster_ips.clone()).collect();
        let mut all: BTreeMap<IpAddr, (Option<u32>, BTreeSet<Wanted>)> = BTreeMap::new();
        for (_, endpoint) in ready(slices) {
            let set = self.facts.set.as_ref();
            let ordinal =
                endpoint.hostname.as_deref().and_then(|host| set.and_then(|s| s.ordinal_of(host)));
            if self.options.ordinal.is_some() && self.options.ordinal != ordinal {
                continue;
            }
            for address in endpoint.addresses.iter().filter(|address| !taken.contains(address)) {
                let mut names = self.names_of(endpoint, *address).into_iter().map(Value::Name);
                let Some(value) = names.next() else { continue };
                let entry = all.entry(*address).or_insert((ordinal, BTreeSet::new()));
                entry.1.insert(Wanted { value, alternatives: names.collect() });
            }
        }
        for (address, (ordinal, names)) in all {
            let expected = Expected::Records(names.into_iter().collect());
            self.add(reverse_name(address), Kind::Ptr, ordinal, expected);
        }
    }
}

fn is_port(port: &Port, name: &str, protocol: &str) -> bool {
    port.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
        && port.protocol.eq_ignore_ascii_case(protocol)
}

fn ready<'a>(slices: &'a [&'a Slice]) -> impl Iterator<Item = (&'a Slice, &'a Endpoint)> {
    let all = slices.iter().flat_map(|slice| slice.endpoints.iter().map(|one| (*slice, one)));
    all.filter(|(_, endpoint)| endpoint.ready)
}

fn ready_any(slices: &[&Slice]) -> bool {
    ready(slices).next().is_some()
}

fn has_family(endpoint: &Endpoint, family: Family) -> bool {
    endpoint.addresses.iter().any(|address| Family::of(*address) == family)
}

/// `ordinals 0 to 2`, `no ordinals`.
pub fn range_of(set: &StatefulSet) -> String {
    let range = set.ordinals();
    match range.len() {
        0 => "no ordinals".to_owned(),
        1 => format!("ordinal {} only", range.start),
        _ => format!("ordinals {} to {}", range.start, range.end - 1),
    }
}

/// The label that CoreDNS gives an endpoint without a hostname.
fn dashed(address: IpAddr) -> String {
    let text = address.to_string().replace(['.', ':'], "-");
    // A label may not end in a dash.
    if text.ends_with('-') { text + "0" } else { text }
}

/// `4.0.244.10.in-addr.arpa`, or a name under `ip6.arpa`.
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles: Vec<String> = address
                .octets()
                .iter()
                .rev()
                .flat_map(|byte| [byte & 0xf, byte >> 4])
                .map(|nibble| format!("{nibble:x}"))
                .collect();
            format!("{}.ip6.arpa", nibbles.join("."))
        }
    }
}

/// The address of a reverse name.
pub fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let mut parts: Vec<&str> = labels.split('.').collect();
        parts.reverse();
        return (parts.len() == 4).then(|| parts.join(".").parse().ok()).flatten();
    }
    let labels = name.strip_suffix(".ip6.arpa")?;
    let mut nibbles: Vec<&str> = labels.split('.').collect();
    nibbles.reverse();
    let groups: Vec<String> = nibbles.chunks(4).map(<[&str]>::concat).collect();
    (nibbles.len() == 32).then(|| groups.join(":").parse().ok()).flatten()
}
