//! One check: reads the API and asks the servers.

use std::time::Instant;

use futures_util::future::join_all;

use super::api_view::{ApiView, with_replicas, wrong_search_domain};
use crate::{
    cluster::{Cluster, Failure, rights::can_i_of},
    dns::{
        args::{Client, LookArgs, Via},
        ask::{AskError, Session},
        compare::{JudgedRow, Outcome},
        domain::{Domain, DomainSource, zone_of_kubernetes},
        expected::{Expected, Kind, Row, RowOptions, Value, reverse_name},
        picture::{Picture, Responder},
        read::{self, Reading, Target},
        rules,
        wire::Question,
    },
    output::{Error, Terminal, text::one_line},
    workload::{Finding, Unread},
};

/// Reads the API and asks the servers, as often as needed.
pub struct Checker<'a> {
    pub cluster: &'a Cluster,
    pub args: &'a LookArgs,
    pub target: Target,
    options: RowOptions,
    pub terminal: Terminal,
    /// Kept between checks: one stream for each server.
    sessions: Vec<Session<'a>>,
}

/// What is asked besides the API.
struct Views<'a> {
    /// Whether `--via` names them, so that it matters if they cannot be asked.
    coredns: Option<bool>,
    exec: Option<&'a Client>,
}

impl<'a> Checker<'a> {
    pub fn new(
        cluster: &'a Cluster,
        args: &'a LookArgs,
        target: Target,
        options: RowOptions,
        terminal: Terminal,
    ) -> Checker<'a> {
        Checker { cluster, args, target, options, terminal, sessions: Vec::new() }
    }

    fn views(&self) -> Views<'a> {
        let args = self.args;
        let exec = args.via.iter().find_map(|via| match via {
            Via::Exec(client) => Some(client),
            Via::Api | Via::CoreDns => None,
        });
        let coredns = if args.via.is_empty() {
            // A list shows names without looking them up, unless they are
            // waited for; and whoever waits for answers needs somebody to ask.
            if args.waits() { Some(true) } else { (!args.output.is_list()).then_some(false) }
        } else {
            args.via.contains(&Via::CoreDns).then_some(true)
        };
        Views { coredns, exec }
    }

    /// Reads what the API says.
    ///
    /// # Errors
    /// When the target cannot be read.
    pub async fn read(&self) -> Result<Reading, Failure> {
        read::facts(self.cluster, &self.target).await
    }

    /// Asks the servers about what was read.
    ///
    /// # Errors
    /// When the pod of `--via exec=POD` cannot be asked.
    pub async fn check(&mut self, reading: &Reading) -> Result<Picture, Error> {
        let views = self.views();
        let facts = with_replicas(reading.facts.clone(), self.args);
        let mut api_view = ApiView::new(facts, &self.args.target, self.options.clone());
        let mut notes = Vec::new();
        let mut asked = Vec::new();
        if let Some(explicit) = views.coredns {
            self.connect_servers(&mut api_view, explicit, &mut asked, &mut notes).await;
        }
        let inquirer = match views.exec {
            Some(client) => Some(self.read_resolver(client, &mut api_view, &asked).await?),
            None => None,
        };
        let rows = api_view.rows();
        let mut outcomes: Vec<Vec<Outcome>> = rows.iter().map(|_| Vec::new()).collect();
        self.ask_servers(&rows, &mut asked, &mut outcomes).await;
        let mut inside = None;
        if let Some(inquirer) = inquirer {
            let namespace = inquirer.namespace.clone();
            let found = self.ask_inside(inquirer, &rows, &api_view.domain.name).await?;
            for (row, outcome) in outcomes.iter_mut().zip(&found.outcomes) {
                row.push(outcome.clone());
            }
            asked.push(Responder {
                name: format!("pod/{}", found.pod),
                namespace,
                port: None,
                error: found.error.clone(),
                streams: 0,
                means: Some(found.means.label().to_owned()),
            });
            notes.extend(wrong_search_domain(&found, &api_view));
            inside = Some(found);
        }
        let service = api_view.zone.service(api_view.facts.service.as_deref().unwrap_or_default());
        let judged: Vec<JudgedRow> = rows
            .into_iter()
            .zip(outcomes)
            .map(|(row, outcomes)| JudgedRow::new(row, outcomes, &service))
            .collect();
        let paths = api_view.paths(&self.args.target, Some(self.cluster)).await?;
        Ok(api_view.with_answers(judged, asked, inside, paths, notes))
    }

    /// Opens a stream to each server, and takes the domain from the first that
    /// reports it.
    async fn connect_servers(
        &mut self,
        api_view: &mut ApiView,
        explicit: bool,
        asked: &mut Vec<Responder>,
        notes: &mut Vec<Finding>,
    ) {
        let servers = api_view.facts.servers.pods.clone();
        self.sessions.retain(|session| servers.contains(&session.server));
        for server in &servers {
            if !self.sessions.iter().any(|session| session.server == *server) {
                self.sessions.push(Session::new(
                    self.cluster,
                    server.clone(),
                    self.args.for_a_server(),
                ));
            }
        }
        self.sessions.sort_by(|one, other| one.server.pod.cmp(&other.server.pod));
        let address = api_view.facts.servers.kubernetes;
        let question: Vec<Question> = address
            .map(|address| Question {
                name: reverse_name(address),
                kind: Kind::Ptr,
                dnssec_ok: false,
            })
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
            let mut one = Responder {
                name: session.server.pod.clone(),
                namespace: session.server.namespace.clone(),
                port: session.server.port,
                error: None,
                streams: session.opened,
                means: None,
            };
            match outcome {
                Err(AskError::NotAllowed(failure)) => {
                    refused = Some(failure);
                    continue;
                }
                Err(AskError::Failed(why)) => one.error = Some(one_line(&why)),
                Ok(outcomes) => match (outcomes.first(), address) {
                    (Some(Outcome::Reply(reply)), Some(address)) => {
                        let zone = reply.values.iter().find_map(|value| match value {
                            Value::Name(name) => zone_of_kubernetes(name),
                            _ => None,
                        });
                        if let (None, Some(name)) = (&domain, zone) {
                            let source = DomainSource::Ptr {
                                address: address.to_string(),
                                server: one.name.clone(),
                            };
                            domain = Some(Domain { name, source });
                        }
                    }
                    (Some(Outcome::Failed(why)), _) => one.error = Some(one_line(why)),
                    _ => {}
                },
            }
            asked.push(one);
        }
        if let Some(domain) = domain.filter(|_| api_view.domain.source != DomainSource::Flag) {
            api_view.set_domain(domain);
        }
        if let Some(failure) = refused {
            let why = failure.to_string();
            self.sessions.clear();
            asked.clear();
            notes.push(not_asked(&why, self.cluster));
            if explicit {
                api_view.cannot_ask = true;
                let resource = "pods/portforward".to_owned();
                api_view.facts.unread.push(Unread { resource, why });
            }
        } else if servers.is_empty() && explicit {
            let known = &api_view.facts.servers;
            // A Service may get pods; where there is none, and where it may not
            // be read, waiting changes nothing.
            api_view.cannot_ask = known.service.is_none() || !known.endpoints_read;
            let why = match (&known.service, known.unread.first()) {
                (_, Some(unread)) => unread.why.clone(),
                (Some(service), None) => format!("Service {service} has no pods"),
                (None, None) => "the cluster has no DNS server pods".to_owned(),
            };
            api_view.facts.unread.push(Unread { resource: "DNS servers".to_owned(), why });
        } else if servers.is_empty()
            && let Some(unread) = api_view.facts.servers.unread.first()
        {
            let why = unread.why.clone();
            notes.push(not_asked(&why, self.cluster));
        }
    }

    /// Asks every server for every row. A name that should not be served is
    /// asked for with the DO flag, so that no denial stays in the cache.
    async fn ask_servers(
        &mut self,
        rows: &[Row],
        asked: &mut [Responder],
        outcomes: &mut [Vec<Outcome>],
    ) {
        let questions: Vec<Question> = rows
            .iter()
            .map(|row| Question {
                name: row.name.clone(),
                kind: row.kind,
                dnssec_ok: !matches!(row.expected, Expected::Records(_)),
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
                Err(AskError::Failed(why)) => {
                    one.error = Some(one_line(&why));
                    Vec::new()
                }
                Err(AskError::NotAllowed(failure)) => {
                    one.error = Some(one_line(&failure.to_string()));
                    Vec::new()
                }
            };
            let mut answers = answers.into_iter();
            for row in outcomes.iter_mut() {
                row.push(answers.next().unwrap_or(Outcome::NotAsked));
            }
        }
        // A server that answered nothing at all is reported once, not for each
        // row.
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
}

/// The note that the servers were not asked, with the line that shows which
/// right is missing.
fn not_asked(why: &str, cluster: &Cluster) -> Finding {
    let message = format!("the DNS servers were not asked: {}", one_line(why));
    let mut finding = rules::NOT_FORWARDED.found("pods/portforward", message);
    finding.hint = can_i_of(why, &cluster.flags());
    finding
}
