//! The flags of `dns`; their comments are its help.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::expected::Kind;
use crate::{
    cluster::{naming::Target, parse_timeout},
    completion,
    output::{Error, Format},
    workload::{Reference, canonical_ordinal},
};

/// Show the names of a set: what should be served, what is, and why they differ
///
/// One row for each name and type: what the API says should be served, what
/// each DNS server of the cluster answers, and a verdict. Reads Services,
/// EndpointSlices and pods, and asks the servers through a port-forward to
/// their pods; no port is opened here. Where that is not allowed, what the API
/// says is shown alone, and that it is. Nothing is written.
///
/// Exit code 3 when any row is other than ok, 0 when all are.
#[derive(Args, Clone, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = EXAMPLES
)]
pub struct DnsArgs {
    #[command(subcommand)]
    pub verb: Option<Verb>,

    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    Explain(ExplainArgs),
}

/// Whose names, and where they are read.
#[derive(Args, Clone, Debug)]
pub struct TargetArgs {
    /// The set (NAME, sts/NAME), one ordinal (NAME/2, sts/NAME/2) or a Service (svc/NAME)
    #[arg(value_name = "STATEFULSET|svc/NAME", required = true, num_args = 1..=2, add = completion::sets_and_services())]
    pub set: Vec<String>,

    /// Read objects from a file, a folder, or - for stdin, instead of a cluster; may be repeated
    #[arg(short, long = "filename", value_name = "FILE", value_hint = clap::ValueHint::AnyPath)]
    pub filename: Vec<String>,

    /// The cluster's domain; found out without it
    #[arg(long, value_name = "DOMAIN")]
    pub cluster_domain: Option<String>,

    /// Try the short forms of the name as a pod of this namespace would; may be repeated
    #[arg(long, value_name = "NAMESPACE", add = completion::namespaces())]
    pub from_ns: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub struct LookArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    /// Whom to ask: api, coredns, exec=POD; several with commas (api, and coredns where allowed)
    #[arg(long, value_name = "VIEW", value_delimiter = ',', value_parser = via, conflicts_with = "filename")]
    pub via: Vec<Via>,

    /// Only records of these types
    #[arg(
        long = "type",
        value_name = "TYPE",
        value_delimiter = ',',
        value_enum,
        ignore_case = true
    )]
    pub kinds: Vec<Kind>,

    /// Wait so long until every server answers what the API says and every ordinal resolves
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, conflicts_with = "filename")]
    pub wait: Option<Duration>,

    /// Stay and show every change: in place on a terminal, a line each elsewhere
    #[arg(short, long, conflicts_with_all = ["filename", "wait"])]
    pub watch: bool,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,

    /// With -o srv-list: each entry, of {host}, {port}, {pod}, {ordinal} and {ip} [default: {host}:{port}]
    #[arg(long, value_name = "TEXT")]
    pub format: Option<String>,

    /// With -o srv-list: the port, by name or number, where the Service has several
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,

    /// With -o name, hosts, srv-list: as if the set had so many replicas
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,

    /// How long each server may take for all its answers
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "5s")]
    pub timeout: Duration,
}

/// Say why names of a set are not there, from what the API says alone
///
/// Needs no more than the right to read, and no cluster with -f. Each finding
/// has an id that docs/findings.md explains, its evidence and the command that
/// mends it. With the right to read the DNS servers' Corefile it also says
/// what they keep back and for how long they remember that there is no such
/// name.
///
/// Exit code 3 when there is an error or a warning, 8 when something could not
/// be read.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,
}

/// How the names are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people, at most 100 columns
    #[default]
    Table,
    /// For people, names in full and each server's answer
    Wide,
    /// One JSON document
    Json,
    /// The same as YAML
    Yaml,
    /// A JSON line a change, then the document on one line
    Jsonl,
    /// The pods' names, one a line, also of pods that do not exist yet
    Name,
    /// Lines for a hosts file
    Hosts,
    /// Records as dig prints them, of each server that was asked
    Dig,
    /// HOST:PORT,HOST:PORT for connection strings
    SrvList,
}

impl Output {
    /// How a failure is written beside it.
    pub fn format(self) -> Format {
        match self {
            Output::Json => Format::Json,
            Output::Yaml => Format::Yaml,
            Output::Jsonl => Format::Jsonl,
            Output::Wide => Format::Wide,
            Output::Table | Output::Name | Output::Hosts | Output::Dig | Output::SrvList => {
                Format::Table
            }
        }
    }

    /// Whether it is about what names there are rather than who serves them.
    pub fn is_a_list(self) -> bool {
        matches!(self, Output::Name | Output::Hosts | Output::SrvList)
    }
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    Api,
    CoreDns,
    Exec(String),
}

fn via(text: &str) -> Result<Via, String> {
    match text {
        "api" => Ok(Via::Api),
        "coredns" => Ok(Via::CoreDns),
        _ => match text.strip_prefix("exec=").map(|pod| pod.trim_start_matches("pod/")) {
            Some(pod) if !pod.is_empty() => Ok(Via::Exec(pod.to_owned())),
            _ => Err("it is api, coredns, or exec=POD".to_owned()),
        },
    }
}

impl DnsArgs {
    pub fn format(&self) -> Format {
        match &self.verb {
            Some(Verb::Explain(args)) => args.output,
            None => self.look.output.format(),
        }
    }
}

impl TargetArgs {
    /// What the words name, and which ordinal of it.
    ///
    /// # Errors
    /// When they name nothing of the kind.
    pub fn parse(&self) -> Result<(Target, Option<u32>), Error> {
        let (words, ordinal) = self.without_ordinal();
        let service = Reference::parse(&words, "Service");
        let names_kind = words.len() > 1 || words.first().is_some_and(|word| word.contains('/'));
        if names_kind && let Ok(service) = service {
            if ordinal.is_some() {
                return Err(Error::usage("a Service has no ordinals: name the set"));
            }
            return Ok((Target::Service(service.name), None));
        }
        let set = Reference::parse(&words, "StatefulSet").map_err(Error::usage)?;
        Ok((Target::Set(set.name), ordinal))
    }

    /// `web/2`, `sts/web/2` and `sts web/2` name an ordinal; `sts/2` is a set
    /// that is called 2.
    fn without_ordinal(&self) -> (Vec<String>, Option<u32>) {
        let mut words = self.set.clone();
        let last = words.last().and_then(|word| {
            let (front, last) = word.rsplit_once('/')?;
            let ordinal = canonical_ordinal(last)?;
            let is_kind = words.len() == 1
                && !front.contains('/')
                && Reference::parse(&[front.to_owned(), last.to_owned()], "StatefulSet").is_ok();
            (!is_kind && !front.is_empty()).then(|| (front.to_owned(), ordinal))
        });
        match last {
            Some((front, ordinal)) => {
                words.pop();
                words.push(front);
                (words, Some(ordinal))
            }
            None => (words, None),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  # Every name of the set, as the API, and each DNS server, has it
  kubectl stateful dns web

  # One ordinal; a Service, also one without a set
  kubectl stateful dns web/2
  kubectl stateful dns svc/nginx --type a,srv

  # As an application in that pod sees it
  kubectl stateful dns web --via api,exec=client-0

  # In a script: go on when all members can find each other
  kubectl stateful dns web --wait 60s

  # A seed list for five members, two of which do not exist yet
  kubectl stateful dns web -o srv-list --replicas 5

  # Which names a pod of another namespace tries for it
  kubectl stateful dns web --from-ns shop";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  # Why a name is not there
  kubectl stateful dns explain web

  # Without a cluster: from manifests, or from a dump that somebody sent
  kubectl get sts,po,svc,endpointslices -o yaml > dump.yaml
  kubectl stateful dns explain web -f dump.yaml";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<(Target, Option<u32>), String> {
        let args = TargetArgs {
            set: words.iter().map(|&word| word.to_owned()).collect(),
            filename: Vec::new(),
            cluster_domain: None,
            from_ns: Vec::new(),
        };
        args.parse().map_err(|error| error.to_string())
    }

    #[test]
    fn sets_ordinals_and_services_are_told_apart() {
        let set = |name: &str| Target::Set(name.to_owned());
        assert_eq!(parse(&["web"]), Ok((set("web"), None)));
        assert_eq!(parse(&["sts/web"]), Ok((set("web"), None)));
        assert_eq!(parse(&["web/2"]), Ok((set("web"), Some(2))));
        assert_eq!(parse(&["sts/web/2"]), Ok((set("web"), Some(2))));
        assert_eq!(parse(&["sts", "web/2"]), Ok((set("web"), Some(2))));
        assert_eq!(parse(&["sts/2"]), Ok((set("2"), None)));
        assert_eq!(parse(&["svc/nginx"]), Ok((Target::Service("nginx".to_owned()), None)));
        assert_eq!(parse(&["service", "nginx"]), Ok((Target::Service("nginx".to_owned()), None)));
        assert!(parse(&["svc/nginx/2"]).unwrap_err().contains("no ordinals"));
        assert!(parse(&["deploy/web"]).unwrap_err().contains("takes a StatefulSet"));
        assert!(parse(&["web/x"]).unwrap_err().contains("resource type"));
    }

    #[test]
    fn views_are_named() {
        assert_eq!(via("api"), Ok(Via::Api));
        assert_eq!(via("coredns"), Ok(Via::CoreDns));
        assert_eq!(via("exec=pod/web-0"), Ok(Via::Exec("web-0".to_owned())));
        for wrong in ["", "exec", "exec=", "dns"] {
            assert!(via(wrong).is_err(), "{wrong}");
        }
    }
}
