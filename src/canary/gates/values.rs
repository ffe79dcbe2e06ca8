//! The values in a file of gates and in the flags: durations, ports, comparisons,
//! addresses. Pure.

use std::{fmt, num::NonZeroU16, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::cluster::parse_timeout;

/// A duration: 30s, 5m, 1h30m, or seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = r"^([0-9]+|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$"))
)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl Span {
    pub const fn minutes(minutes: u64) -> Span {
        Span(Duration::from_secs(minutes * 60))
    }

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        if text.starts_with('-') || text.is_empty() {
            return Err(format!("{text:?} is no duration: use 30s, 5m or 1h30m"));
        }
        parse_timeout(text).map(Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        match self.0.subsec_nanos() {
            0 if rest == 0 && seconds > 0 => Ok(()),
            0 => write!(f, "{rest}s"),
            nanos => write!(f, "{rest}.{}s", format!("{nanos:09}").trim_end_matches('0')),
        }
    }
}

/// In which pods a gate is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// The pod that has just moved
    #[default]
    Canary,
    /// Every pod of the set
    All,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

/// A port of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "a port is a number from 1 to 65535, or a name")]
pub enum Port {
    Number(NonZeroU16),
    Name(#[cfg_attr(test, schemars(regex(pattern = "^[a-z0-9-]*[a-z][a-z0-9-]*$")))] String),
}

impl Port {
    /// Why this is not a port.
    pub fn fault(&self) -> Option<String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match self {
            Port::Name(name)
                if !name.chars().all(fits) || !name.contains(|c: char| c.is_ascii_lowercase()) =>
            {
                Some(format!("{name:?} is neither the number nor the name of a port"))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Port::Number(number) => write!(f, "{number}"),
            Port::Name(name) => f.write_str(name),
        }
    }
}

/// How a sample must compare with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Op {
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
}

impl Op {
    pub const ALL: [Op; 6] =
        [Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual, Op::Equal, Op::NotEqual];

    /// Whether the comparison holds.
    #[expect(
        clippy::float_cmp,
        reason = "Prometheus compares so, and a user who writes == means it"
    )]
    pub fn holds(self, sample: f64, value: f64) -> bool {
        match self {
            Op::Less => sample < value,
            Op::LessOrEqual => sample <= value,
            Op::Greater => sample > value,
            Op::GreaterOrEqual => sample >= value,
            Op::Equal => sample == value,
            Op::NotEqual => sample != value,
        }
    }

    pub fn sign(self) -> &'static str {
        match self {
            Op::Less => "<",
            Op::LessOrEqual => "<=",
            Op::Greater => ">",
            Op::GreaterOrEqual => ">=",
            Op::Equal => "==",
            Op::NotEqual => "!=",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sign())
    }
}

/// Where Prometheus is: a URL, or svc/NAMESPACE/NAME:PORT, with https: before
/// NAME where it speaks that, for a Service that is asked through the API
/// server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub enum At {
    Url(String),
    Service { namespace: String, name: String, port: String, https: bool },
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<At, String> {
        let wrong = || format!("{text:?} is neither a URL nor svc/NAMESPACE/NAME:PORT");
        if let Some(rest) = text.strip_prefix("http://").or(text.strip_prefix("https://")) {
            let fits = |c: char| !c.is_whitespace() && !c.is_control();
            let host = !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']);
            if !host || !rest.chars().all(fits) || rest.contains(['?', '#']) {
                return Err(wrong());
            }
            return Ok(At::Url(text.trim_end_matches('/').to_owned()));
        }
        let mut https = false;
        let parts = text.strip_prefix("svc/").and_then(|rest| {
            let (namespace, mut rest) = rest.split_once('/')?;
            if let Some(secure) = rest.strip_prefix("https:") {
                (https, rest) = (true, secure);
            }
            let (name, port) = rest.split_once(':')?;
            Some([namespace, name, port])
        });
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = |part: &&str| !part.is_empty() && part.chars().all(fits);
        match parts.filter(|parts| parts.iter().all(is_name)) {
            Some([namespace, name, port]) => Ok(At::Service {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                port: port.to_owned(),
                https,
            }),
            None => Err(wrong()),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Url(url) => f.write_str(url),
            At::Service { namespace, name, port, https } => {
                let scheme = if *https { "https:" } else { "" };
                write!(f, "svc/{namespace}/{scheme}{name}:{port}")
            }
        }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<$type, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    )*};
}

as_text!(Span, At);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["0s", "5s", "1.5s", "1m", "1m30s", "2h", "2h0.25s", "1h1m1s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("90".parse::<Span>().unwrap().to_string(), "1m30s");
        assert!("".parse::<Span>().is_err());
    }

    #[test]
    fn places_of_prometheus() {
        for good in [
            "http://p:9090",
            "https://p.example.com/prom",
            "svc/a/b:9090",
            "svc/a/b:web",
            "svc/a/https:b:9090",
        ] {
            assert_eq!(good.parse::<At>().unwrap().to_string(), good);
        }
        assert_eq!("http://p/".parse::<At>().unwrap().to_string(), "http://p");
        for bad in [
            "p:9090",
            "http://",
            "http:///x",
            "http://a b",
            "http://p?x=1",
            "svc/a",
            "svc/a/b",
            "svc//b:1",
            "svc/a/b:",
            "svc/a/../b:1",
            "svc/a/B:1",
        ] {
            assert!(bad.parse::<At>().is_err(), "{bad}");
        }
    }
}
