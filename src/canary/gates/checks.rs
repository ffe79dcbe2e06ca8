//! What is asked of a new pod: a command, a URL, a query. Pure.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::values::{At, On, Op, Port, Scheme};
use crate::steps::pod_command::Command;

/// A command that must succeed in a pod: exit code 0 passes, and where it
/// could not run nothing is concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExecGate {
    /// Words for `sh -c`, or a JSON list of arguments.
    pub command: Command,
    /// Left out: the pod's default container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(default)]
    pub on: On,
}

/// A URL of a pod, asked through the API server: 2xx and 3xx pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpGate {
    /// Its number, or its name in the template.
    pub port: Port,
    /// With its query, if it has one.
    #[serde(default = "root")]
    pub path: String,
    #[serde(default)]
    pub scheme: Scheme,
    #[serde(default)]
    pub on: On,
}

fn root() -> String {
    "/".to_owned()
}

impl FromStr for HttpGate {
    type Err = String;

    /// `[SCHEME:]PORT/PATH`.
    fn from_str(text: &str) -> Result<HttpGate, String> {
        let (scheme, rest) = match text.split_once(':') {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            // A colon of the path.
            Some((before, _)) if before.contains('/') => (Scheme::Http, text),
            Some((other, _)) => return Err(format!("{other:?} is neither http nor https")),
            None => (Scheme::Http, text),
        };
        let slash = rest.find('/').unwrap_or(rest.len());
        let (port, path) = rest.split_at(slash);
        let port = match port.parse() {
            Ok(number) => Port::Number(number),
            Err(_) => Port::Name(port.to_owned()),
        };
        if let Some(why) = port.fault() {
            return Err(format!("{why}; expected PORT/PATH, such as 8080/healthz"));
        }
        let path = if path.is_empty() { root() } else { path.to_owned() };
        Ok(HttpGate { port, path, scheme, on: On::Canary })
    }
}

/// A query to Prometheus. Every sample of the answer must compare; where
/// there is none, nothing is concluded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PrometheusGate {
    pub at: At,
    /// PromQL, in which $(POD), $(NAMESPACE), $(SET) and $(ORDINAL) are
    /// replaced.
    pub query: String,
    pub op: Op,
    pub value: f64,
}

impl FromStr for PrometheusGate {
    type Err = String;

    /// `URL,EXPR,OP,VALUE`; the expression may contain commas.
    fn from_str(text: &str) -> Result<PrometheusGate, String> {
        let form =
            || "expected URL,EXPR,OP,VALUE, such as http://prometheus:9090,up,==,1".to_owned();
        let (at, rest) = text.split_once(',').ok_or_else(form)?;
        let mut parts = rest.rsplitn(3, ',').map(str::trim);
        let (Some(value), Some(op), Some(query)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(form());
        };
        let op = Op::ALL
            .into_iter()
            .find(|known| known.sign() == op)
            .ok_or_else(|| format!("{op:?} is none of <, <=, >, >=, ==, !="))?;
        let value = value.parse().map_err(|_| format!("{value:?} is no number"))?;
        let gate = PrometheusGate { at: at.trim().parse()?, query: query.to_owned(), op, value };
        gate.fault().map_or(Ok(gate), Err)
    }
}

impl PrometheusGate {
    pub(super) fn fault(&self) -> Option<String> {
        if self.query.trim().is_empty() {
            Some("the query is empty".to_owned())
        } else if !self.value.is_finite() {
            Some(format!("{} is no number to compare with", self.value))
        } else {
            None
        }
    }
}
