//! One look: the API, and everybody who was to be asked.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Unasked, as_if, within};
use crate::{
    cluster::{
        Cluster,
        naming::{self, Reading, Target},
    },
    dns::{
        args::{LookArgs, Via},
        ask::{Session, Trouble},
        compare::{Judged, Outcome},
        domain::{Domain, How, of_kubernetes},
        expected::{Expected, Kind, Row, Value, Wish, reverse_name},
        picture::{Asked, Picture},
        rules,
        wire::Question,
    },
    output::{Error, Terminal, text::one_line},
    workload::{Finding, Unread},
};

/// How soon a server that did not answer is asked again.
const RETRY: Duration = Duration::from_secs(2);

/// Reads and asks, once and again.
pub struct Looker<'a> {
    pub cluster: &'a Cluster,
    pub args: &'a LookArgs,
    target: Target,
    wish: Wish,
    terminal: Terminal,
    /// Whether an API server that is away is waited for.
    pub patient: bool,
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
    pub fn new(
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

    pub async fn look(&mut self) -> Result<(Picture, Reading), Error> {
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
            notes.extend(within::other_domain(&found, &unasked));
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
                apart: !matches!(row.expected, Expected::Records(_)),
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
}

fn not_forwarded(why: &str, cluster: &Cluster) -> Finding {
    let message = format!("the DNS servers were not asked: {}", one_line(why));
    rules::NOT_FORWARDED.found("pods/portforward", message).hint(format!(
        "kubectl auth can-i get pods --subresource=portforward -n kube-system{}",
        cluster.flags()
    ))
}
