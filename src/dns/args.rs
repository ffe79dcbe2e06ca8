//! The flags of `dns`; their comments are its help.

use std::time::Duration;

use clap::{Args, Command, Subcommand};

use super::{
    expected::{Kind, range_of},
    read::Target,
};
use crate::{
    cluster::parse_timeout,
    flags::{FileArgs, Given, OutputArg, RowsArg, SetArg},
    output::{Error, Format},
    workload::{Reference, StatefulSet, WrongReference, canonical_ordinal},
};

/// Show the names of a set: what should be served, what is, and why they differ
///
/// One row for each name and type: what the API says should be served, what
/// each DNS server of the cluster answers, and a verdict. Reads Services,
/// EndpointSlices and pods, and asks the servers through a port-forward to
/// their pods; no port is opened on this machine. Where that is not allowed,
/// only the API's view is shown, with a note. Nothing is written.
///
/// Exit code 3 when a row is not ok or a finding is an error, 8 when something
/// could not be read or a server gave no answer.
#[derive(Args, Clone, Debug)]
#[command(subcommand_negates_reqs = true, after_help = EXAMPLES)]
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

/// Which names to look at, and where to read them from.
#[derive(Args, Clone, Debug)]
#[command(mut_arg("set", |arg| {
    arg.value_name("STATEFULSET|svc/NAME")
        .help("The set (NAME, sts/NAME), one ordinal (NAME/2, sts/NAME/2) or a Service (svc/NAME)")
}))]
pub struct TargetArgs {
    #[command(flatten)]
    pub set: SetArg,

    #[command(flatten)]
    pub files: FileArgs,

    /// The cluster's domain [default: as found in the cluster]
    #[arg(long, value_name = "DOMAIN")]
    pub cluster_domain: Option<String>,

    /// Try the short forms of the name as a pod of this namespace would; may be repeated
    #[arg(long, value_name = "NAMESPACE")]
    pub from_ns: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub struct LookArgs {
    #[command(flatten)]
    pub given: Given,

    #[command(flatten)]
    pub target: TargetArgs,

    /// What to ask: api, coredns, exec=POD, exec=NAMESPACE/POD; several with commas [default: api, and coredns where allowed]
    #[arg(long, value_name = "VIEW", value_delimiter = ',', value_parser = via, conflicts_with = "filename")]
    pub via: Vec<Via>,

    /// Show only records of these types
    #[arg(
        long = "type",
        value_name = "TYPE",
        value_delimiter = ',',
        value_enum,
        ignore_case = true
    )]
    pub kinds: Vec<Kind>,

    /// Wait up to this long until every server answers what the API says and every ordinal resolves; with -o name, hosts and srv-list the servers are asked as well
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, conflicts_with = "filename")]
    pub wait: Option<Duration>,

    /// Wait until this holds, for as long as --timeout says; --wait DURATION is short for both
    #[arg(long, value_name = "GOAL", value_enum, conflicts_with_all = ["filename", "wait"])]
    pub wait_for: Option<Goal>,

    /// Keep running and show every change: in place on a terminal, one line each elsewhere
    #[arg(short, long, conflicts_with_all = ["filename", "wait", "wait_for"])]
    pub watch: bool,

    /// How to write the answer; also jsonpath=TEMPLATE and custom-columns=HEADING:PATH,…
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,

    #[command(flatten)]
    pub rows: RowsArg,

    /// With -o srv-list: the form of an entry, from {host}, {port}, {pod}, {ordinal} and {ip} [default: {host}:{port}]
    #[arg(long, value_name = "TEXT")]
    pub format: Option<String>,

    /// With -o srv-list: the port, by name or number, if the Service has several
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,

    /// With -o name, hosts, srv-list: as if the set had this many replicas
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,

    /// The longest time each server may take for all its answers
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout, default_value = "5s")]
    pub server_timeout: Duration,

    /// How long to wait at most: for --watch, for --wait, and otherwise for each server's answers
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    pub timeout: Option<Duration>,
}

/// Say why names of a set do not resolve, from what the API says alone
///
/// Needs only the right to read, or no cluster at all with -f. Each finding has
/// an id, which docs/findings.md explains, its evidence, and usually a command
/// that fixes it. With the right to read the DNS servers' Corefile it also says
/// which names they do not serve, and for how long they cache that a name does
/// not exist.
///
/// Exit code 3 when there is an error or a warning, 8 when something could not
/// be read.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    #[command(flatten)]
    pub output: OutputArg,
}

/// Output format of `dns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people, at most 100 columns
    #[default]
    Table,
    /// For people, with full names and each server's answer
    Wide,
    /// One JSON document
    Json,
    /// The same as YAML
    Yaml,
    /// One JSON line for each change, then the document on one line
    Jsonl,
    /// The pods' names, one per line, including pods that do not exist yet
    Name,
    /// Lines for a hosts file
    Hosts,
    /// Records as dig prints them, of each server that was asked
    Dig,
    /// HOST:PORT,HOST:PORT for a connection string
    SrvList,
}

impl Output {
    /// The format of an error.
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

    /// Whether it lists the names that exist, rather than who serves them.
    pub fn is_list(self) -> bool {
        matches!(self, Output::Name | Output::Hosts | Output::SrvList)
    }

    /// Whether it is for other programs, and has no room for what could not be read.
    pub fn is_bare(self) -> bool {
        self.is_list() || self == Output::Dig
    }
}

/// Where answers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    Api,
    CoreDns,
    Exec(Client),
}

/// A pod that asks as an application would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The one of the set if absent.
    pub namespace: Option<String>,
    pub pod: String,
}

fn via(text: &str) -> Result<Via, String> {
    let client = |text: &str| {
        let (namespace, pod) = match text.split_once('/') {
            Some(("pod" | "pods" | "po", pod)) => (None, pod),
            Some((namespace, pod)) => (Some(namespace), pod),
            None => (None, text),
        };
        let is_name = |name: &str| !name.is_empty() && !name.contains('/');
        (is_name(pod) && namespace.is_none_or(is_name))
            .then(|| Client { namespace: namespace.map(str::to_owned), pod: pod.to_owned() })
    };
    match text {
        "api" => Ok(Via::Api),
        "coredns" => Ok(Via::CoreDns),
        _ => match text.strip_prefix("exec=").and_then(client) {
            Some(client) => Ok(Via::Exec(client)),
            None => Err("must be api, coredns, exec=POD, or exec=NAMESPACE/POD".to_owned()),
        },
    }
}

impl DnsArgs {
    pub fn format(&self) -> Format {
        match &self.verb {
            Some(Verb::Explain(args)) => args.output.format,
            None => self.look.output.format(),
        }
    }

    /// `explain`, if it is to be run. Connection flags may stand before it;
    /// arguments of `dns` itself mean nothing to it.
    ///
    /// # Errors
    /// `Usage` when there are such arguments.
    pub fn explain(&self) -> Result<Option<&ExplainArgs>, Error> {
        let Some(Verb::Explain(args)) = &self.verb else { return Ok(None) };
        let own = LookArgs::augment_args(Command::new("dns"));
        let mut own = own.get_arguments();
        match own.find(|arg| self.look.given.has(arg.get_id().as_str())) {
            None => Ok(Some(args)),
            Some(arg) => {
                let word = match arg.get_long() {
                    Some(long) => format!("--{long}"),
                    None => "the set".to_owned(),
                };
                Err(Error::usage(format!("{word} stands before explain, which does not see it"))
                    .hint("kubectl stateful dns explain STATEFULSET, and then its flags"))
            }
        }
    }
}

/// What `--wait-for` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// Every server answers what the API says, and every ordinal resolves
    Answered,
}

/// How long `--wait-for` waits without `--timeout`, as in the other commands.
const PATIENCE: Duration = Duration::from_secs(300);

impl LookArgs {
    /// Whether it waits for answers.
    pub fn waits(&self) -> bool {
        self.wait.is_some() || self.wait_for.is_some()
    }

    /// How long `--wait`, `--wait-for` or `--watch` may take.
    pub fn limit(&self) -> Option<Duration> {
        match (self.wait, self.timeout) {
            (Some(wait), Some(timeout)) => Some(shorter(wait, timeout)),
            (None, None) => self.wait_for.map(|_| PATIENCE),
            (one, other) => one.or(other),
        }
    }

    /// How long a server may take for its answers.
    pub fn for_a_server(&self) -> Duration {
        let follows = self.watch || self.waits();
        match self.timeout.filter(|_| !follows) {
            Some(timeout) => shorter(self.server_timeout, timeout),
            None => self.server_timeout,
        }
    }
}

/// The shorter of two limits; 0 is none.
fn shorter(one: Duration, other: Duration) -> Duration {
    match (one.is_zero(), other.is_zero()) {
        (false, false) => one.min(other),
        _ => one.max(other),
    }
}

impl TargetArgs {
    /// What the arguments name, and which ordinal of it.
    ///
    /// # Errors
    /// When they name neither a StatefulSet nor a Service.
    pub fn parse(&self) -> Result<(Target, Option<u32>), Error> {
        let (words, ordinal) = self.without_ordinal();
        let service = Reference::parse(&words, "Service");
        let names_kind = words.len() > 1 || words.first().is_some_and(|word| word.contains('/'));
        let no_ordinals = || Error::usage("a Service has no ordinals: name the set instead");
        if names_kind && let Ok(service) = service {
            return if ordinal.is_some() {
                Err(no_ordinals())
            } else {
                Ok((Target::Service(service.name), None))
            };
        }
        let set = Reference::parse(&words, "StatefulSet").map_err(|wrong| match wrong {
            // `svc/nginx/x`: a Service alone was taken above.
            WrongReference::WrongKind { got: "Service", .. } => no_ordinals(),
            wrong => {
                let ordinal = self.wrong_ordinal();
                ordinal.map_or_else(|| Error::usage(wrong), |ordinal| ordinal.error(None))
            }
        })?;
        Ok((Target::Set(set.name), ordinal))
    }

    /// `db/x`, `sts/db/-1`, `sts db/007`: a set, and behind it what is no ordinal.
    pub fn wrong_ordinal(&self) -> Option<WrongOrdinal> {
        let mut words = self.set.words.clone();
        let (front, last) = words.last()?.rsplit_once('/')?;
        let (front, word) = (front.to_owned(), last.to_owned());
        // What names an object, or an object of another kind, is meant so.
        let meant = Reference::parse(&words, "StatefulSet");
        if matches!(meant, Ok(_) | Err(WrongReference::WrongKind { .. })) {
            return None;
        }
        *words.last_mut()? = front;
        let set = Reference::parse(&words, "StatefulSet").ok()?.name;
        let is_wrong = !word.is_empty() && canonical_ordinal(&word).is_none();
        is_wrong.then_some(WrongOrdinal { set, word })
    }

    /// `web/2`, `sts/web/2` and `sts web/2` name an ordinal; `sts/2` is a set
    /// that is called 2.
    fn without_ordinal(&self) -> (Vec<String>, Option<u32>) {
        let mut words = self.set.words.clone();
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

/// A word behind a set that is no ordinal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongOrdinal {
    pub set: String,
    word: String,
}

impl WrongOrdinal {
    /// The error, with the ordinals of the set if it could be read.
    pub fn error(&self, found: Option<&StatefulSet>) -> Error {
        let WrongOrdinal { set, word } = self;
        let (message, first) = match found {
            Some(found) => {
                let range = range_of(found);
                (format!("\"{word}\" is not an ordinal of {set}, which has {range}"), found.start)
            }
            None => (
                format!(
                    "\"{set}/{word}\" names no object: \"{word}\" is not an ordinal, and \"{set}\" is \
                     not a kind"
                ),
                0,
            ),
        };
        Error::usage(message).hint(format!(
            "an ordinal is the number at the end of a pod's name, without a leading zero: {set}/{first}"
        ))
    }
}

const EXAMPLES: &str = "\
Examples:
  # Every name of the set, as the API and each DNS server have it
  kubectl stateful dns web

  # One ordinal; a Service, with or without a set
  kubectl stateful dns web/2
  kubectl stateful dns svc/nginx --type a,srv

  # As an application in that pod sees them; the second is in another namespace
  kubectl stateful dns web --via api,exec=client-0
  kubectl stateful dns web --via exec=shop/client-0

  # In a script: continue when all members can find each other
  kubectl stateful dns web --wait 60s

  # A seed list for five members, two of which do not exist yet
  kubectl stateful dns web -o srv-list --replicas 5

  # Which names a pod in another namespace tries
  kubectl stateful dns web --from-ns shop";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  # Why a name does not resolve
  kubectl stateful dns explain web

  # Without a cluster: from manifests, or from a dump that someone sent
  kubectl get sts,po,svc,endpointslices -o yaml > dump.yaml
  kubectl stateful dns explain web -f dump.yaml";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<(Target, Option<u32>), String> {
        let args = TargetArgs {
            set: SetArg { words: words.iter().map(|&word| word.to_owned()).collect() },
            files: FileArgs::default(),
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
        for wrong in ["x", "-1", "007", "99999999999"] {
            let name = format!("web/{wrong}");
            for words in [&[&*name][..], &["sts", &name], &[&format!("sts/{name}")]] {
                let said = parse(words).unwrap_err();
                assert!(said.contains(&format!("\"{wrong}\" is not an ordinal")), "{said}");
            }
        }
        assert!(parse(&["svc/nginx/x"]).unwrap_err().contains("no ordinals"));
    }

    #[test]
    fn views_are_named() {
        assert_eq!(via("api"), Ok(Via::Api));
        assert_eq!(via("coredns"), Ok(Via::CoreDns));
        let client = |namespace: Option<&str>, pod: &str| {
            Ok(Via::Exec(Client { namespace: namespace.map(str::to_owned), pod: pod.to_owned() }))
        };
        assert_eq!(via("exec=web-0"), client(None, "web-0"));
        assert_eq!(via("exec=pod/web-0"), client(None, "web-0"));
        assert_eq!(via("exec=shop/client-0"), client(Some("shop"), "client-0"));
        for wrong in ["", "exec", "exec=", "dns", "exec=shop/", "exec=/x", "exec=a/b/c"] {
            assert!(via(wrong).is_err(), "{wrong}");
        }
    }

    fn look(words: &[&str]) -> LookArgs {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            look: LookArgs,
        }
        let words = ["dns", "web"].iter().chain(words);
        <Line as clap::Parser>::parse_from(words).look
    }

    #[test]
    fn a_time_limit_is_until_when_this_call_waits() {
        let seconds = Duration::from_secs;
        assert_eq!(look(&["--wait", "60s"]).limit(), Some(seconds(60)));
        assert_eq!(look(&["--wait", "60s", "--timeout", "9s"]).limit(), Some(seconds(9)));
        assert_eq!(look(&["--wait", "0", "--timeout", "9s"]).limit(), Some(seconds(9)));
        assert_eq!(look(&["--watch", "--timeout", "9s"]).limit(), Some(seconds(9)));
        assert_eq!(look(&["--watch"]).limit(), None);
        assert_eq!(look(&["--wait-for", "answered"]).limit(), Some(PATIENCE));
        assert_eq!(look(&["--wait-for=answered", "--timeout", "9s"]).limit(), Some(seconds(9)));
        // Without one of them, what is waited for is the servers.
        assert_eq!(look(&[]).for_a_server(), seconds(5));
        assert_eq!(look(&["--timeout", "2s"]).for_a_server(), seconds(2));
        assert_eq!(look(&["--timeout", "2s", "--watch"]).for_a_server(), seconds(5));
        assert_eq!(look(&["--server-timeout", "2s"]).for_a_server(), seconds(2));
    }
}
