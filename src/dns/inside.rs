//! What an application sees: the resolver of a container, asked with the tools
//! that the container has.
//!
//! `getent` uses the C library, with its hosts file and search path. Without
//! it, `nslookup` at least asks the same servers. A container without either
//! may still have `cat`: then only its resolv.conf and hosts are shown.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    compare::Outcome,
    expected::{Kind, Value},
    search::ResolvConf,
    wire::{Code, Question, Reply},
};

/// The tool with which a container was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    Getent,
    Nslookup,
    /// Only its files were read.
    Files,
}

impl Means {
    pub fn label(self) -> &'static str {
        match self {
            Means::Getent => "getent",
            Means::Nslookup => "nslookup",
            Means::Files => "resolv.conf and hosts only",
        }
    }
}

/// What was found in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    pub pod: String,
    pub means: Means,
    /// Why nothing was learned about the names.
    pub error: Option<String>,
    pub resolver: Option<ResolvConf>,
    /// Names of its hosts file, with their addresses.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// An outcome for each question, in their order.
    pub outcomes: Vec<Outcome>,
}

/// The database of getent for a type, if it has one.
pub fn database(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::A => Some("ahostsv4"),
        Kind::Aaaa => Some("ahostsv6"),
        Kind::Srv | Kind::Ptr | Kind::Cname => None,
    }
}

/// The addresses by name in the output of `getent ahostsv4 NAME…`: one line for
/// each socket type, with the name on the first.
pub fn getent(stdout: &str) -> BTreeMap<String, Vec<IpAddr>> {
    let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    let mut current = String::new();
    for line in stdout.lines() {
        let mut words = line.split_whitespace();
        let (Some(address), Some("STREAM")) = (words.next(), words.next()) else { continue };
        let Ok(address) = address.parse::<IpAddr>() else { continue };
        if let Some(name) = words.next() {
            name.trim_end_matches('.').to_ascii_lowercase().clone_into(&mut current);
        }
        // An IPv4-mapped address is an IPv4 record in the IPv6 database.
        let mapped = matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
        if !current.is_empty() && !mapped {
            let addresses = found.entry(current.clone()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    found
}

/// The addresses of a name in the output of nslookup, busybox's or BIND's.
/// `None` if there was no answer: a server that fails has not denied the name.
pub fn nslookup(stdout: &str, name: &str) -> Option<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    let mut named = false;
    for line in stdout.lines().map(str::trim) {
        if let Some(owner) = line.strip_prefix("Name:") {
            named = owner.trim().trim_end_matches('.').eq_ignore_ascii_case(name);
        } else if let Some(address) = line.strip_prefix("Address") {
            // `Address: 10.0.0.1`, and in older ones `Address 1: 10.0.0.1 name`.
            let address = address.split_once(':').map_or("", |(_, rest)| rest);
            let address = address.split_whitespace().next().unwrap_or_default();
            if let (true, Ok(address)) = (named, address.parse()) {
                addresses.push(address);
            }
        }
    }
    // musl's words for a name that does not exist stand last; for a server that
    // does not answer it has others.
    let denied = ["NXDOMAIN", "No answer", "Name does not resolve", "Name or service not known"];
    let answered = !addresses.is_empty() || denied.iter().any(|word| stdout.contains(word));
    answered.then_some(addresses)
}

/// A hosts file.
pub fn hosts(text: &str) -> BTreeMap<String, Vec<IpAddr>> {
    let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
            continue;
        };
        for name in words {
            found.entry(name.to_ascii_lowercase()).or_default().push(address);
        }
    }
    found
}

/// The outcome of a question to a resolver that returns only addresses.
pub fn outcome(asked: &Question, addresses: &[IpAddr]) -> Outcome {
    let wanted = |address: &&IpAddr| address.is_ipv4() == (asked.kind == Kind::A);
    let mut values: Vec<Value> =
        addresses.iter().filter(wanted).copied().map(Value::Address).collect();
    values.sort();
    values.dedup();
    let code = if values.is_empty() { Code::Unknown } else { Code::NoError };
    let weights = vec![None; values.len()];
    Outcome::Reply(Reply { code, values, weights, ttl: None, denied_for: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn getent_tells_names_apart() {
        let stdout = "10.244.0.7      STREAM web-0.nginx.default.svc.cluster.local\n\
                      10.244.0.7      DGRAM\n10.244.0.7      RAW\n\
                      10.244.0.8      STREAM nginx.default.svc.cluster.local\n\
                      10.244.0.8      DGRAM\n10.244.0.9      STREAM\n10.244.0.9      DGRAM\n";
        let found = getent(stdout);
        assert_eq!(found["web-0.nginx.default.svc.cluster.local"], addresses(&["10.244.0.7"]));
        assert_eq!(
            found["nginx.default.svc.cluster.local"],
            addresses(&["10.244.0.8", "10.244.0.9"])
        );
        assert_eq!(getent("::ffff:10.0.0.1 STREAM a\n").len(), 0);
        assert_eq!(getent("nonsense\n\n1 2\n").len(), 0);
    }

    #[test]
    fn nslookup_of_either_kind_is_read() {
        let busybox = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n\
                       Name:\tweb-0.nginx.default.svc.cluster.local\nAddress: 10.244.0.7\n\n";
        let name = "web-0.nginx.default.svc.cluster.local";
        assert_eq!(nslookup(busybox, name), Some(addresses(&["10.244.0.7"])));
        let old = "Server:    10.96.0.10\nAddress 1: 10.96.0.10 kube-dns\n\nName:      web-0\n\
                   Address 1: 10.244.0.7 web-0\nAddress 2: fd00::7\n";
        assert_eq!(nslookup(old, "web-0"), Some(addresses(&["10.244.0.7", "fd00::7"])));
        let denied =
            "Server: 10.96.0.10\nAddress: 10.96.0.10#53\n\n** server can't find x: NXDOMAIN\n";
        assert_eq!(nslookup(denied, "x"), Some(Vec::new()));
        let musl = "nslookup: can't resolve 'x': Name does not resolve\n";
        assert_eq!(nslookup(musl, "x"), Some(Vec::new()));
        for silent in [
            ";; connection timed out; no servers could be reached",
            "** server can't find x: SERVFAIL",
            "** server can't find x: REFUSED",
            "nslookup: can't resolve 'x': Try again",
        ] {
            assert_eq!(nslookup(silent, "x"), None, "{silent}");
        }
    }

    #[test]
    fn hosts_files_have_several_names_a_line() {
        let found =
            hosts("127.0.0.1 localhost # x\n10.0.0.1 web-0.nginx.default web-0\nbad line\n");
        assert_eq!(found["web-0"], addresses(&["10.0.0.1"]));
        assert_eq!(found.len(), 3);
    }
}
