//! Reads, asks, shows; again at every change where that was asked for.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    args::{DnsArgs, ExplainArgs, LookArgs, Output, TargetArgs, Verb, Via},
    ask::{Session, Trouble},
    compare::{Judged, Outcome, Verdict},
    domain::{Domain, How, of_kubernetes, without_asking},
    expected::{Kind, Row, Value, Wish, Zone, reverse_name, rows},
    explain::explain,
    facts::{Facts, Member},
    inside::{self, Inside, Means},
    picture::{self, Asked, Path, Picture},
    report::{self, Lists},
    rules,
    search::ResolvConf,
    wire::Question,
};
use crate::{
    cluster::{
        Cluster, ConnectionArgs, Executed, Failure,
        naming::{self, NameChanges, Reading, Target},
        offline::Bundle,
    },
    output::{
        Error, Exit, Format, Live, Look, Terminal,
        text::{clock, one_line},
    },
    workload::{Finding, Severity, Unread},
};

/// Without a change in the API, servers are asked again this often: a cache
/// says nothing when it lets go.
const LOOK: Duration = Duration::from_secs(5);
/// When a denial is about to run out, this often.
const SOON: Duration = Duration::from_millis(250);
/// Changes come in bursts.
const QUIET: Duration = Duration::from_millis(50);
/// How soon a server that did not answer is asked again.
const RETRY: Duration = Duration::from_secs(2);
/// One command in a container.
const EXEC: Duration = Duration::from_secs(20);
/// What is kept of its output: hundreds of names.
const EXEC_KEPT: usize = 1 << 20;
/// So many names are asked by nslookup, which takes a process for each.
const MOST_LOOKUPS: usize = 40;

/// Runs `dns`.
///
/// # Errors
/// When the target cannot be named or read, or the answer not be written.
pub async fn run(
    args: &DnsArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    match &args.verb {
        Some(Verb::Explain(args)) => explained(args, connection, terminal).await,
        None => look(&args.look, connection, terminal).await,
    }
}

async fn explained(
    args: &ExplainArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let (target, ordinal) = args.target.parse()?;
    let wish = Wish { ordinal, ..Wish::default() };
    let mut picture = if args.target.filename.is_empty() {
        let cluster = Cluster::connect(connection, terminal).await?;
        let reading = naming::facts(&cluster, &target).await?;
        terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
        let mut unasked = Unasked::new(reading.facts, &args.target, wish);
        unasked.facts.unread.append(&mut unasked.facts.servers.unread);
        let paths = unasked.paths(&args.target, Some(&cluster)).await?;
        unasked.picture(paths)
    } else {
        let bundle = Bundle::read(&args.target.filename)?;
        let facts = bundle.naming(&target, connection.namespace.as_deref())?;
        let unasked = Unasked::new(facts, &args.target, wish);
        let paths = unasked.paths(&args.target, None).await?;
        unasked.picture(paths)
    };
    picture.findings.sort_by_key(|finding| finding.severity);
    let heavy = |finding: &Finding| finding.severity != Severity::Note;
    let exit = if picture.findings.iter().any(heavy) {
        Exit::Found
    } else if picture.unread.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    let look = Look::of(terminal, picture.now);
    terminal.conclude(&report::explained(&picture, exit, args.output, look)?)?;
    Ok(exit)
}

async fn look(
    args: &LookArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let (target, ordinal) = args.target.parse()?;
    if !args.output.is_a_list() && (args.replicas.is_some() || args.format.is_some()) {
        return Err(Error::usage("--replicas and --format are for -o name, hosts and srv-list"));
    }
    let wish = Wish { ordinal, kinds: args.kinds.clone(), ..Wish::default() };
    if !args.target.filename.is_empty() {
        let bundle = Bundle::read(&args.target.filename)?;
        let facts = bundle.naming(&target, connection.namespace.as_deref())?;
        let unasked = Unasked::new(as_if(facts, args), &args.target, wish);
        let paths = unasked.paths(&args.target, None).await?;
        return show(&unasked.picture(paths), args, ordinal, terminal);
    }
    let cluster = Cluster::connect(connection, terminal).await?;
    let mut looker = Looker::new(&cluster, args, target, wish, terminal);
    if args.wait.is_some() || args.watch {
        return follow(looker, terminal, ordinal).await;
    }
    let (picture, _) = looker.look().await?;
    terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
    show(&picture, args, ordinal, terminal)
}

/// With `--replicas` the set counts as so large.
fn as_if(mut facts: Facts, args: &LookArgs) -> Facts {
    if let (Some(set), Some(replicas)) = (&mut facts.set, args.replicas) {
        set.replicas = replicas;
    }
    facts
}

fn show(
    picture: &Picture,
    args: &LookArgs,
    ordinal: Option<u32>,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let exit = verdict(picture, args);
    if args.output.is_a_list() && picture.domain.how == How::Assumed {
        let domain = &picture.domain.name;
        terminal.warn(&format!(
            "{domain} is assumed to be the cluster's domain; --cluster-domain says it"
        ));
    }
    let lists = Lists {
        output: args.output,
        format: args.format.clone(),
        port: args.port.clone(),
        ordinal,
    };
    let look = Look::of(terminal, picture.now);
    terminal.conclude(&report::render(picture, exit, &lists, look)?)?;
    Ok(exit)
}

/// What a picture means for the exit code. Lists are about names, not about
/// who serves them.
fn verdict(picture: &Picture, args: &LookArgs) -> Exit {
    if args.output.is_a_list() {
        return if picture.unread.is_empty() { Exit::Done } else { Exit::Incomplete };
    }
    let silent = picture.asked.iter().any(|asked| asked.error.is_some());
    let failed = || {
        let mut outcomes = picture.rows.iter().flat_map(|judged| &judged.outcomes);
        outcomes.any(|outcome| matches!(outcome, Outcome::Failed(_)))
    };
    if picture.is_found() {
        Exit::Found
    } else if picture.unread.is_empty() && !silent && !failed() {
        Exit::Done
    } else {
        Exit::Incomplete
    }
}

/// What is known before anybody is asked.
struct Unasked {
    facts: Facts,
    domain: Domain,
    zone: Zone,
    wish: Wish,
}

impl Unasked {
    fn new(facts: Facts, args: &TargetArgs, wish: Wish) -> Unasked {
        let domain = without_asking(args.cluster_domain.as_deref(), &facts.servers, None);
        let zone = Zone { namespace: facts.namespace.clone(), domain: domain.name.clone() };
        let mut unasked = Unasked { facts, domain, zone, wish };
        unasked.heed_corefile();
        unasked
    }

    /// In this domain after all.
    fn set_domain(&mut self, domain: Domain) {
        self.zone.domain.clone_from(&domain.name);
        self.domain = domain;
        self.heed_corefile();
    }

    fn heed_corefile(&mut self) {
        let files = self.facts.servers.corefiles.iter();
        let read = files.map(|config| super::corefile::Corefile::read(&config.text));
        for corefile in read {
            self.wish.no_reverse = corefile.serves_addresses(&self.domain.name) == Some(false);
            self.wish.endpoint_pod_names = corefile
                .kubernetes(&self.domain.name)
                .is_some_and(|found| found.endpoint_pod_names);
        }
    }

    fn rows(&self) -> Vec<Row> {
        rows(&self.facts, &self.zone, &self.wish)
    }

    /// The full name whose short forms are tried, and its front.
    fn host(&self) -> Option<String> {
        let service = self.facts.service.as_deref()?;
        let set = self.facts.set.as_ref();
        let ordinal = self.wish.ordinal.or_else(|| set.and_then(|set| set.ordinals().next()));
        Some(match (set, ordinal) {
            (Some(set), Some(ordinal)) => format!("{}.{service}", set.pod_name(ordinal)),
            _ => service.to_owned(),
        })
    }

    /// The short forms from each namespace that was asked for.
    async fn paths(
        &self,
        args: &TargetArgs,
        cluster: Option<&Cluster>,
    ) -> Result<Vec<Path>, Error> {
        let (Some(host), namespace) = (self.host(), &self.facts.namespace) else {
            return Ok(Vec::new());
        };
        let domain = &self.domain.name;
        let target = format!("{host}{}", self.zone.suffix());
        let mut known: BTreeMap<(String, String), Option<bool>> = BTreeMap::new();
        for service in self.facts.services.iter().flatten() {
            known.insert((namespace.clone(), service.name.clone()), Some(true));
        }
        let mut paths = Vec::new();
        for from in &args.from_ns {
            let resolver = ResolvConf::of_pod(from, domain);
            for form in picture::forms(&host, namespace, domain) {
                for one in resolver.tries(&form) {
                    let Some((ns, service)) = picture::parts(&one.name, domain) else { continue };
                    let place = (ns.to_owned(), service.to_owned());
                    if let std::collections::btree_map::Entry::Vacant(entry) = known.entry(place) {
                        let there = match cluster {
                            Some(cluster) => naming::has_service(cluster, ns, service).await?,
                            None => None,
                        };
                        entry.insert(there);
                    }
                }
                let is_there = |ns: &str, service: &str| {
                    known.get(&(ns.to_owned(), service.to_owned())).copied().flatten()
                };
                paths.push(picture::path(from, &form, &target, domain, &resolver, &is_there));
            }
        }
        Ok(paths)
    }

    /// What the API alone says.
    fn picture(self, paths: Vec<Path>) -> Picture {
        let rows = self.rows();
        let service = self.zone.service(self.facts.service.as_deref().unwrap_or_default());
        let rows = rows.into_iter().map(|row| Judged::new(row, Vec::new(), &service)).collect();
        self.with(rows, Vec::new(), None, paths, Vec::new())
    }

    fn with(
        self,
        rows: Vec<Judged>,
        asked: Vec<Asked>,
        inside: Option<Inside>,
        paths: Vec<Path>,
        mut notes: Vec<Finding>,
    ) -> Picture {
        let mut findings = explain(&self.facts, &self.zone, &self.domain, &self.wish);
        let object = format!("service/{}", self.facts.service.as_deref().unwrap_or_default());
        findings.extend(picture::of_paths(&paths, &object));
        let service = self.zone.service(self.facts.service.as_deref().unwrap_or_default());
        let again = match (&self.facts.set, &self.facts.service) {
            (Some(set), _) => {
                format!("kubectl stateful dns {} --wait 60s {}", set.name, self.facts.at())
            }
            (None, Some(service)) => {
                format!("kubectl stateful dns svc/{service} --wait 60s {}", self.facts.at())
            }
            (None, None) => String::new(),
        };
        findings.extend(picture::of_answers(&rows, &asked, &self.zone, &service, &again));
        findings.append(&mut notes);
        // Where every answer is right, a cache has done no harm.
        let is_ok = |row: &Judged| row.verdict == Some(Verdict::Ok);
        if !rows.is_empty() && rows.iter().all(is_ok) {
            findings.retain(|finding| finding.id != rules::DENIALS_CACHED.id);
        }
        findings.sort_by_key(|finding| finding.severity);
        Picture {
            unread: self.facts.unread.clone(),
            facts: self.facts,
            domain: self.domain,
            zone: self.zone,
            rows,
            asked,
            inside,
            paths,
            findings,
            now: Timestamp::now(),
        }
    }
}

/// Reads and asks, once and again.
struct Looker<'a> {
    cluster: &'a Cluster,
    args: &'a LookArgs,
    target: Target,
    wish: Wish,
    terminal: Terminal,
    /// Whether an API server that is away is waited for.
    patient: bool,
    /// Kept between looks: one stream for each server.
    sessions: Vec<Session<'a>>,
}

/// Who is asked besides the API.
struct Views<'a> {
    /// Whether they were asked for by name, so that their absence matters.
    coredns: Option<bool>,
    exec: Option<&'a str>,
}

impl<'a> Looker<'a> {
    fn new(
        cluster: &'a Cluster,
        args: &'a LookArgs,
        target: Target,
        wish: Wish,
        terminal: Terminal,
    ) -> Looker<'a> {
        Looker { cluster, args, target, wish, terminal, patient: false, sessions: Vec::new() }
    }

    fn views(&self) -> Views<'a> {
        let args = self.args;
        let exec = args.via.iter().find_map(|via| match via {
            Via::Exec(pod) => Some(pod.as_str()),
            Via::Api | Via::CoreDns => None,
        });
        let coredns = if args.via.is_empty() {
            // Names are listed, not looked up.
            (!args.output.is_a_list()).then_some(false)
        } else {
            args.via.contains(&Via::CoreDns).then_some(true)
        };
        Views { coredns, exec }
    }

    /// Reads again, for as long as the server is only away: each failed try is
    /// said, and the caller's deadline bounds them.
    async fn read(&self) -> Result<Reading, Error> {
        loop {
            match naming::facts(self.cluster, &self.target).await {
                Err(failure) if self.patient && failure.is_transient() => {
                    let error = Error::from(failure);
                    let seconds = RETRY.as_secs();
                    self.terminal
                        .say(&format!("{}; asking again in {seconds} s", error.headline()));
                    tokio::time::sleep(RETRY).await;
                }
                read => return Ok(read?),
            }
        }
    }

    async fn look(&mut self) -> Result<(Picture, Reading), Error> {
        let reading = self.read().await?;
        let views = self.views();
        let facts = as_if(reading.facts.clone(), self.args);
        let mut unasked = Unasked::new(facts, &self.args.target, self.wish.clone());
        let mut notes = Vec::new();
        let mut asked = Vec::new();
        if let Some(explicit) = views.coredns {
            self.reach(&mut unasked, explicit, &mut asked, &mut notes).await;
        }
        let member = match views.exec {
            Some(pod) => Some(self.enter(pod, &mut unasked, &asked).await?),
            None => None,
        };
        let rows = unasked.rows();
        let mut outcomes: Vec<Vec<Outcome>> = rows.iter().map(|_| Vec::new()).collect();
        self.ask(&rows, &mut asked, &mut outcomes).await;
        let mut inside = None;
        if let Some((member, resolver)) = member {
            let found = self.inside(&member, resolver, &rows).await?;
            for (row, outcome) in outcomes.iter_mut().zip(&found.outcomes) {
                row.push(outcome.clone());
            }
            asked.push(Asked {
                name: format!("pod/{}", member.name),
                namespace: self.cluster.namespace().to_owned(),
                port: None,
                error: None,
                streams: 0,
                means: Some(found.means.label().to_owned()),
            });
            notes.extend(other_domain(&found, &unasked));
            inside = Some(found);
        }
        let service = unasked.zone.service(unasked.facts.service.as_deref().unwrap_or_default());
        let judged: Vec<Judged> = rows
            .into_iter()
            .zip(outcomes)
            .map(|(row, outcomes)| Judged::new(row, outcomes, &service))
            .collect();
        let paths = unasked.paths(&self.args.target, Some(self.cluster)).await?;
        Ok((unasked.with(judged, asked, inside, paths, notes), reading))
    }

    /// Opens a stream to each server, and learns the domain from the first
    /// that tells it.
    async fn reach(
        &mut self,
        unasked: &mut Unasked,
        explicit: bool,
        asked: &mut Vec<Asked>,
        notes: &mut Vec<Finding>,
    ) {
        let servers = unasked.facts.servers.pods.clone();
        self.sessions.retain(|session| servers.contains(&session.server));
        for server in &servers {
            if !self.sessions.iter().any(|session| session.server == *server) {
                self.sessions.push(Session::new(self.cluster, server.clone(), self.args.timeout));
            }
        }
        self.sessions.sort_by(|one, other| one.server.pod.cmp(&other.server.pod));
        let address = unasked.facts.servers.kubernetes;
        let question: Vec<Question> = address
            .map(|address| Question { name: reverse_name(address), kind: Kind::Ptr, apart: false })
            .into_iter()
            .collect();
        let tries = self.sessions.iter_mut().map(|session| async {
            if question.is_empty() {
                session.open().await.map(|()| Vec::new())
            } else {
                session.ask(&question).await
            }
        });
        let tries = join_all(tries).await;
        let mut domain = None;
        let mut refused = None;
        for (session, outcome) in self.sessions.iter().zip(tries) {
            let mut one = Asked {
                name: session.server.pod.clone(),
                namespace: session.server.namespace.clone(),
                port: session.server.port,
                error: None,
                streams: session.opened,
                means: None,
            };
            match outcome {
                Err(Trouble::NotAllowed(failure)) => {
                    refused = Some(failure);
                    continue;
                }
                Err(Trouble::Failed(why)) => one.error = Some(one_line(&why)),
                Ok(outcomes) => match (outcomes.first(), address) {
                    (Some(Outcome::Reply(reply)), Some(address)) => {
                        let zone = reply.values.iter().find_map(|value| match value {
                            Value::Name(name) => of_kubernetes(name),
                            _ => None,
                        });
                        if let (None, Some(name)) = (&domain, zone) {
                            let how =
                                How::Ptr { address: address.to_string(), server: one.name.clone() };
                            domain = Some(Domain { name, how });
                        }
                    }
                    (Some(Outcome::Failed(why)), _) => one.error = Some(one_line(why)),
                    _ => {}
                },
            }
            asked.push(one);
        }
        if let Some(domain) = domain.filter(|_| unasked.domain.how != How::Flag) {
            unasked.set_domain(domain);
        }
        if let Some(failure) = refused {
            let why = failure.to_string();
            self.sessions.clear();
            asked.clear();
            notes.push(not_forwarded(&why, self.cluster));
            if explicit {
                let resource = "pods/portforward".to_owned();
                unasked.facts.unread.push(Unread { resource, why });
            }
        } else if servers.is_empty() && explicit {
            let known = &unasked.facts.servers;
            let why = match (&known.service, known.unread.first()) {
                (_, Some(unread)) => unread.why.clone(),
                (Some(service), None) => format!("no pod is behind the Service {service}"),
                (None, None) => "the cluster has no DNS server pods".to_owned(),
            };
            unasked.facts.unread.push(Unread { resource: "DNS servers".to_owned(), why });
        } else if servers.is_empty()
            && let Some(unread) = unasked.facts.servers.unread.first()
        {
            notes.push(not_forwarded(&unread.why.clone(), self.cluster));
        }
    }

    /// Asks every server for every row. What should not be served is asked
    /// apart from what others ask, so that no denial of ours stays behind.
    async fn ask(&mut self, rows: &[Row], asked: &mut [Asked], outcomes: &mut [Vec<Outcome>]) {
        let questions: Vec<Question> = rows
            .iter()
            .map(|row| Question {
                name: row.name.clone(),
                kind: row.kind,
                apart: !matches!(row.expected, super::expected::Expected::Records(_)),
            })
            .collect();
        let begun = Instant::now();
        let answers =
            join_all(self.sessions.iter_mut().zip(asked.iter()).map(|(session, one)| async {
                if one.error.is_some() { Ok(Vec::new()) } else { session.ask(&questions).await }
            }))
            .await;
        let took = begun.elapsed();
        for ((session, one), answers) in self.sessions.iter().zip(asked.iter_mut()).zip(answers) {
            one.streams = session.opened;
            self.terminal.verbose(
                4,
                &format!(
                    "{}: {} questions, {} streams opened, all servers answered after {:.1} ms",
                    one.name,
                    questions.len(),
                    one.streams,
                    took.as_secs_f64() * 1000.0,
                ),
            );
            let answers = match answers {
                Ok(answers) => answers,
                Err(Trouble::Failed(why)) => {
                    one.error = Some(one_line(&why));
                    Vec::new()
                }
                Err(Trouble::NotAllowed(failure)) => {
                    one.error = Some(one_line(&failure.to_string()));
                    Vec::new()
                }
            };
            let mut answers = answers.into_iter();
            for row in outcomes.iter_mut() {
                row.push(answers.next().unwrap_or(Outcome::NotAsked));
            }
        }
        // One that answered nothing at all is said once, not for each row.
        for (place, one) in asked.iter_mut().enumerate() {
            let mut all = outcomes.iter().filter_map(|row| row.get(place));
            let first = all.next().cloned();
            if let Some(Outcome::Failed(why)) = first
                && all.all(|outcome| matches!(outcome, Outcome::Failed(_)))
            {
                one.error = Some(why);
                for row in outcomes.iter_mut() {
                    if let Some(outcome) = row.get_mut(place) {
                        *outcome = Outcome::NotAsked;
                    }
                }
            }
        }
    }

    /// Reads the resolver of a pod, which also tells the domain where nobody
    /// else did.
    async fn enter(
        &self,
        pod: &str,
        unasked: &mut Unasked,
        asked: &[Asked],
    ) -> Result<(Member, Option<ResolvConf>), Error> {
        let member = naming::member(self.cluster, pod).await?;
        let text = self.read_file(&member, "/etc/resolv.conf").await?;
        let resolver = text.as_deref().map(ResolvConf::read);
        let is_weak = matches!(unasked.domain.how, How::Assumed | How::Config(_));
        if asked.is_empty()
            && is_weak
            && let Some(domain) = resolver.as_ref().and_then(ResolvConf::cluster_domain)
        {
            let how = How::Search(format!("pod {pod}"));
            unasked.set_domain(Domain { name: domain, how });
        }
        Ok((member, resolver))
    }

    async fn read_file(&self, member: &Member, path: &str) -> Result<Option<String>, Error> {
        Ok(match self.execute(member, &["cat", path]).await? {
            Some((0, stdout)) => Some(stdout),
            _ => None,
        })
    }

    /// Runs a command in the pod; `None` where the container has no such
    /// program.
    async fn execute(
        &self,
        member: &Member,
        command: &[&str],
    ) -> Result<Option<(i32, String)>, Error> {
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        let ran = self.cluster.exec_keeping(EXEC_KEPT, &member.name, None, &command, EXEC).await;
        match ran {
            Ok(Executed::Ended { code, stdout, .. }) => Ok(Some((code, stdout))),
            Ok(Executed::TimedOut) => Ok(Some((124, String::new()))),
            // The runtime says it in many ways; that it is not ours to ask, or
            // that the pod does not run, is said as such.
            Err(failure @ (Failure::Forbidden(_) | Failure::NotFound(_))) => Err(failure.into()),
            Err(Failure::Server(rejection)) if rejection.status.code == 400 => {
                Err(Failure::Server(rejection).into())
            }
            Err(_) => Ok(None),
        }
    }

    /// What the container's own resolver says to each row.
    async fn inside(
        &self,
        member: &Member,
        resolver: Option<ResolvConf>,
        rows: &[Row],
    ) -> Result<Inside, Error> {
        let text = self.read_file(member, "/etc/hosts").await?;
        let hosts = text.as_deref().map(inside::hosts).unwrap_or_default();
        let questions: Vec<Question> = rows
            .iter()
            .map(|row| Question { name: row.name.clone(), kind: row.kind, apart: false })
            .collect();
        let mut found = Inside {
            pod: member.name.clone(),
            means: Means::Files,
            resolver,
            hosts,
            outcomes: vec![Outcome::NotAsked; rows.len()],
        };
        for kind in [Kind::A, Kind::Aaaa] {
            let wanted = || questions.iter().filter(|question| question.kind == kind);
            let Some(database) = inside::database(kind).filter(|_| wanted().next().is_some())
            else {
                continue;
            };
            // With the dot the search path is left out, which a name in full
            // does not need; short forms are --from-ns's.
            let names: Vec<String> =
                wanted().map(|question| format!("{}.", question.name)).collect();
            let mut command = vec!["getent", database];
            command.extend(names.iter().map(String::as_str));
            match self.execute(member, &command).await? {
                // 2: some of the names were not found.
                Some((0 | 2, stdout)) => {
                    found.means = Means::Getent;
                    let addresses = inside::getent(&stdout);
                    for (place, question) in questions.iter().enumerate() {
                        if question.kind == kind {
                            let own: &[IpAddr] =
                                addresses.get(&question.name).map_or(&[], Vec::as_slice);
                            found.outcomes[place] = inside::outcome(question, own);
                        }
                    }
                }
                _ => break,
            }
        }
        if found.means == Means::Files {
            self.lookups(member, &questions, &mut found).await?;
        }
        Ok(found)
    }

    async fn lookups(
        &self,
        member: &Member,
        questions: &[Question],
        found: &mut Inside,
    ) -> Result<(), Error> {
        let wanted = questions
            .iter()
            .enumerate()
            .filter(|(_, question)| inside::database(question.kind).is_some())
            .take(MOST_LOOKUPS);
        for (place, question) in wanted {
            let name = format!("{}.", question.name);
            let kind = format!("-type={}", question.kind.name());
            let Some((_, stdout)) = self.execute(member, &["nslookup", &kind, &name]).await? else {
                return Ok(());
            };
            if let Some(addresses) = inside::nslookup(&stdout, &question.name) {
                found.means = Means::Nslookup;
                found.outcomes[place] = inside::outcome(question, &addresses);
            }
        }
        Ok(())
    }
}

fn not_forwarded(why: &str, cluster: &Cluster) -> Finding {
    let message = format!("the DNS servers were not asked: {}", one_line(why));
    rules::NOT_FORWARDED.found("pods/portforward", message).hint(format!(
        "kubectl auth can-i get pods --subresource=portforward -n kube-system{}",
        cluster.flags()
    ))
}

/// A pod whose search path is in another domain than the servers'.
fn other_domain(inside: &Inside, unasked: &Unasked) -> Option<Finding> {
    let own = inside.resolver.as_ref()?.cluster_domain()?;
    let served = &unasked.domain.name;
    if own == *served {
        return None;
    }
    let message = format!(
        "{} searches in {own}, and the cluster's domain is {served}: its short names do not resolve",
        inside.pod
    );
    Some(rules::WRONG_DOMAIN.found(format!("pod/{}", inside.pod), message))
}

/// One change, as `--watch` prints it off a terminal, and a line of `-o jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// `kubectl-stateful/dns-change/v1`.
    schema: &'static str,
    #[cfg_attr(test, schemars(with = "String"))]
    time: Timestamp,
    object: String,
    message: String,
}

/// What a wait ended with.
enum End {
    Reached,
    Deadline,
    Signal(Exit),
}

/// `--wait` and `--watch`: looks again whenever the API changes, and when an
/// answer of a server runs out.
async fn follow(
    mut looker: Looker<'_>,
    terminal: Terminal,
    ordinal: Option<u32>,
) -> Result<Exit, Error> {
    let args = looker.args;
    let draws =
        args.watch && terminal.stdout_is_tty && matches!(args.output, Output::Table | Output::Wide);
    let mut live = draws.then(|| Live::new(terminal));
    let since = Timestamp::now();
    let (mut picture, reading) = looker.look().await?;
    looker.patient = true;
    if let Some(wait) = args.wait {
        announce(terminal, &picture, wait, since);
    }
    let mut changes = NameChanges::of(looker.cluster, &reading);
    let expired = async {
        match args.wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    };
    let signal = crate::steps::interruption();
    tokio::pin!(expired, signal);
    if args.watch && !args.output.format().is_machine() && live.is_none() {
        show(&picture, args, ordinal, terminal)?;
    }
    let end = loop {
        if let Some(live) = &mut live {
            let lists = Lists { output: args.output, ..Lists::default() };
            let look = Look::of(terminal, picture.now);
            live.draw(&report::render(&picture, verdict(&picture, args), &lists, look)?)?;
        }
        if args.wait.is_some() && picture.is_well() {
            break End::Reached;
        }
        let pause = pause(&picture, args.wait.is_some());
        let next = async {
            changes.next(pause).await;
            tokio::time::sleep(QUIET).await;
            looker.look().await
        };
        let next = tokio::select! {
            () = &mut expired => break End::Deadline,
            exit = &mut signal => break End::Signal(exit),
            next = next => next?.0,
        };
        for change in changes_between(&picture, &next) {
            print(&change, args, terminal, live.is_some())?;
        }
        picture = next;
    };
    finish(&picture, &end, args, ordinal, terminal)
}

/// Until the next look, unless the API changes before. While a denial lasts,
/// asking is of no use; when it is about to end, every moment counts.
fn pause(picture: &Picture, waits: bool) -> Duration {
    match picture.denied_for().filter(|_| waits) {
        Some(seconds @ 2..) => Duration::from_secs(u64::from(seconds) - 1).min(LOOK),
        Some(_) => SOON,
        None if waits && !picture.is_well() => Duration::from_secs(1),
        None => LOOK,
    }
}

fn announce(terminal: Terminal, picture: &Picture, wait: Duration, since: Timestamp) {
    let until = SignedDuration::try_from(wait).ok().filter(|wait| !wait.is_zero()).map_or_else(
        || "without a limit".to_owned(),
        |wait| format!("until {}", clock(since + wait)),
    );
    let name = picture.facts.service.as_deref().unwrap_or_default();
    terminal.say(&format!(
        "waiting for the names of {}/{name} to be answered by every server, since {}, {until}",
        picture.facts.namespace,
        clock(since),
    ));
}

fn print(
    change: &Change,
    args: &LookArgs,
    terminal: Terminal,
    is_drawn: bool,
) -> Result<(), Error> {
    if args.output == Output::Jsonl {
        let line = serde_json::to_string(change)
            .map_err(|error| Error::new(Exit::Error, format!("cannot write: {error}")))?;
        return terminal.answer(&(line + "\n"));
    }
    if is_drawn {
        return Ok(());
    }
    let line = format!("{}  {}", clock(change.time), one_line(&change.message));
    if args.watch && args.output.format() != Format::Json && args.output.format() != Format::Yaml {
        return terminal.answer(&(line + "\n"));
    }
    terminal.say(&line);
    Ok(())
}

/// What differs between two pictures, in words. TTLs that run down do not count.
fn changes_between(last: &Picture, next: &Picture) -> Vec<Change> {
    let state = |picture: &Picture| -> BTreeMap<(String, Kind), (Option<Verdict>, String)> {
        let rows = picture.rows.iter().map(|judged| {
            let row = &judged.row;
            let expected = match &row.expected {
                super::expected::Expected::Records(wanted) => {
                    let values: Vec<String> =
                        wanted.iter().map(|one| one.value.to_string()).collect();
                    values.join(", ")
                }
                super::expected::Expected::Nothing(absent) => absent.why().to_owned(),
                super::expected::Expected::Unknown => "not known".to_owned(),
            };
            ((row.name.clone(), row.kind), (judged.verdict, expected))
        });
        rows.collect()
    };
    let (before, after) = (state(last), state(next));
    let mut changes = Vec::new();
    let mut add = |object: &str, message: String| {
        changes.push(Change {
            schema: "kubectl-stateful/dns-change/v1",
            time: next.now,
            object: object.to_owned(),
            message,
        });
    };
    let word = |verdict: Option<Verdict>| verdict.map_or("expected", Verdict::label);
    for ((name, kind), (verdict, expected)) in &after {
        let short = next.zone.short(name);
        match before.get(&(name.clone(), *kind)) {
            Some(same) if *same == (*verdict, expected.clone()) => {}
            _ => add(name, format!("{short} {} is {}: {expected}", kind.name(), word(*verdict))),
        }
    }
    for (name, kind) in before.keys() {
        if !after.contains_key(&(name.clone(), *kind)) {
            add(name, format!("{} {} is no name any more", next.zone.short(name), kind.name()));
        }
    }
    changes
}

fn finish(
    picture: &Picture,
    end: &End,
    args: &LookArgs,
    ordinal: Option<u32>,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let exit = match end {
        End::Reached => verdict(picture, args),
        End::Deadline => Exit::Timeout,
        End::Signal(exit) => *exit,
    };
    if args.wait.is_some() || args.output.format().is_machine() {
        let lists = Lists {
            output: args.output,
            format: args.format.clone(),
            port: args.port.clone(),
            ordinal,
        };
        let look = Look::of(terminal, picture.now);
        terminal.answer(&report::render(picture, exit, &lists, look)?)?;
    }
    match end {
        End::Deadline => {
            let hint = crate::steps::repeat();
            let summary = report::summary(picture);
            terminal
                .say(&format!("error: timed out waiting for the names: {summary}\nhint: {hint}"));
        }
        End::Signal(_) if args.wait.is_some() => {
            let hint = crate::steps::repeat();
            terminal.say(&format!("interrupted; nothing was changed\nhint: {hint}"));
        }
        End::Reached | End::Signal(_) => {}
    }
    Ok(exit)
}
