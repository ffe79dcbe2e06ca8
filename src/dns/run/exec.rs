//! The answers of a pod's resolver, asked by commands in its container.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use super::{api_view::ApiView, check::Checker};
use crate::{
    cluster::{ExecOutcome, Failure},
    dns::{
        args::Client,
        compare::Outcome,
        domain::{Domain, DomainSource},
        expected::{Kind, Row},
        facts::Member,
        inside::{self, Inside, Means},
        picture::Responder,
        read,
        search::ResolvConf,
        wire::Question,
    },
    output::Error,
};

/// A pod whose resolver is asked.
pub struct Inquirer {
    pub namespace: String,
    pub member: Member,
    resolver: Option<ResolvConf>,
}

/// What became of a command in a container.
enum Ran {
    /// Its exit code and its output.
    Ended(i32, String),
    TimedOut,
    /// The container cannot run it.
    Not,
}

/// How long one command in a container may take.
const EXEC_TIMEOUT: Duration = Duration::from_secs(20);
/// How much of its output is kept: hundreds of names.
const MAX_EXEC_OUTPUT: usize = 1 << 20;
/// The most names that nslookup is asked for: each takes a process.
const MAX_LOOKUPS: usize = 40;
/// After so many questions without an answer nslookup is not run again: each
/// try takes as long as its resolver is patient.
const MAX_UNANSWERED: usize = 2;

impl Checker<'_> {
    /// Reads the resolv.conf of a pod, which also gives the domain if no server
    /// did.
    pub async fn read_resolver(
        &self,
        client: &Client,
        api_view: &mut ApiView,
        asked: &[Responder],
    ) -> Result<Inquirer, Error> {
        let namespace = client.namespace.as_deref().unwrap_or(self.cluster.namespace()).to_owned();
        let member = read::member(self.cluster, &namespace, &client.pod).await?;
        let mut inquirer = Inquirer { namespace, member, resolver: None };
        if inquirer.member.ended {
            return Ok(inquirer);
        }
        let text = self.read_file(&inquirer, "/etc/resolv.conf").await?;
        inquirer.resolver = text.as_deref().map(ResolvConf::read);
        let is_weak =
            matches!(api_view.domain.source, DomainSource::Assumed | DomainSource::Config(_));
        if asked.is_empty()
            && is_weak
            && let Some(domain) = inquirer.resolver.as_ref().and_then(ResolvConf::cluster_domain)
        {
            let source = DomainSource::Search(format!("pod {}", client.pod));
            api_view.set_domain(Domain { name: domain, source });
        }
        Ok(inquirer)
    }

    async fn read_file(&self, inquirer: &Inquirer, path: &str) -> Result<Option<String>, Error> {
        Ok(match self.execute(inquirer, &["cat", path]).await? {
            Ran::Ended(0, stdout) => Some(stdout),
            _ => None,
        })
    }

    /// Runs a command in the pod.
    async fn execute(&self, inquirer: &Inquirer, command: &[&str]) -> Result<Ran, Error> {
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        let place = (inquirer.namespace.as_str(), inquirer.member.name.as_str());
        let ran =
            self.cluster.exec_keeping(MAX_EXEC_OUTPUT, place, None, &command, EXEC_TIMEOUT).await;
        match ran {
            Ok(ExecOutcome::Ended { code, stdout, .. }) => Ok(Ran::Ended(code, stdout)),
            Ok(ExecOutcome::TimedOut) => Ok(Ran::TimedOut),
            // A missing program has many error messages. A missing right, or a
            // pod that does not run, is reported as it is.
            Err(failure @ (Failure::Forbidden(_) | Failure::NotFound(_))) => Err(failure.into()),
            Err(Failure::Server(rejection)) if rejection.status.code == 400 => {
                Err(Failure::Server(rejection).into())
            }
            Err(_) => Ok(Ran::Not),
        }
    }

    /// Asks the container's resolver for each row.
    pub async fn ask_inside(
        &self,
        inquirer: Inquirer,
        rows: &[Row],
        domain: &str,
    ) -> Result<Inside, Error> {
        let questions: Vec<Question> = rows
            .iter()
            .map(|row| Question { name: row.name.clone(), kind: row.kind, dnssec_ok: false })
            .collect();
        let member = &inquirer.member;
        let mut found = Inside {
            pod: member.name.clone(),
            means: Means::Files,
            error: None,
            resolver: inquirer.resolver.clone(),
            hosts: BTreeMap::new(),
            outcomes: vec![Outcome::NotAsked; rows.len()],
        };
        if member.ended {
            found.error = Some(format!("it has ended ({}), so nothing runs in it", member.state));
            return Ok(found);
        }
        let text = self.read_file(&inquirer, "/etc/hosts").await?;
        found.hosts = text.as_deref().map(inside::hosts).unwrap_or_default();
        if !questions.iter().any(|question| inside::database(question.kind).is_some()) {
            found.error = Some("a pod's resolver is asked only for A and AAAA records".to_owned());
            return Ok(found);
        }
        if self.getent(&inquirer, &questions, &mut found, domain).await? {
            return Ok(found);
        }
        self.lookups(&inquirer, &questions, &mut found).await?;
        if !found.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Reply(_))) {
            found.error = Some(match found.means {
                Means::Files => "its container has neither getent nor nslookup".to_owned(),
                means => format!("its resolver gave no answer to {}", means.label()),
            });
            found.outcomes.fill(Outcome::NotAsked);
        }
        Ok(found)
    }

    /// Asks with getent; false if the container does not have it.
    async fn getent(
        &self,
        inquirer: &Inquirer,
        questions: &[Question],
        found: &mut Inside,
        domain: &str,
    ) -> Result<bool, Error> {
        let mut has_address = false;
        for kind in [Kind::A, Kind::Aaaa] {
            let wanted = || questions.iter().filter(|question| question.kind == kind);
            let Some(database) = inside::database(kind).filter(|_| wanted().next().is_some())
            else {
                continue;
            };
            // With the dot the search path is not used. Short forms are tried
            // with --from-ns.
            let names: Vec<String> =
                wanted().map(|question| format!("{}.", question.name)).collect();
            let mut command = vec!["getent", database];
            command.extend(names.iter().map(String::as_str));
            let stdout = match self.execute(inquirer, &command).await? {
                // 2: some of the names were not found.
                Ran::Ended(0 | 2, stdout) => stdout,
                Ran::TimedOut => {
                    found.means = Means::Getent;
                    found.silent(format!(
                        "getent did not end within {} s: its resolver does not answer",
                        EXEC_TIMEOUT.as_secs()
                    ));
                    return Ok(true);
                }
                Ran::Ended(..) | Ran::Not => return Ok(found.means == Means::Getent),
            };
            found.means = Means::Getent;
            let addresses = inside::getent(&stdout);
            has_address |= !addresses.is_empty();
            for (place, question) in questions.iter().enumerate() {
                if question.kind == kind {
                    let own: &[IpAddr] = addresses.get(&question.name).map_or(&[], Vec::as_slice);
                    found.outcomes[place] = inside::outcome(question, own);
                }
            }
        }
        // getent says the same of a name that does not exist and of a resolver
        // that does not answer. A name that every cluster has tells them apart.
        if !has_address {
            let known = format!("kubernetes.default.svc.{domain}.");
            let known_is_found = match self.execute(inquirer, &["getent", "ahosts", &known]).await?
            {
                Ran::Ended(0, stdout) => !inside::getent(&stdout).is_empty(),
                _ => false,
            };
            if !known_is_found {
                found.silent(format!(
                    "its resolver does not find {known} either: it does not answer, or it does \
                     not ask the cluster's servers"
                ));
            }
        }
        Ok(true)
    }

    async fn lookups(
        &self,
        inquirer: &Inquirer,
        questions: &[Question],
        found: &mut Inside,
    ) -> Result<(), Error> {
        let wanted = questions
            .iter()
            .enumerate()
            .filter(|(_, question)| inside::database(question.kind).is_some())
            .take(MAX_LOOKUPS);
        let mut unanswered = 0;
        for (place, question) in wanted {
            if unanswered == MAX_UNANSWERED {
                found.outcomes[place] =
                    Outcome::Failed("not asked: its resolver gave no answer before".to_owned());
                continue;
            }
            let name = format!("{}.", question.name);
            let kind = format!("-type={}", question.kind.name());
            let stdout = match self.execute(inquirer, &["nslookup", &kind, &name]).await? {
                // From 126 on a shell or the runtime says that there is no such program.
                Ran::Not | Ran::Ended(126.., _) => return Ok(()),
                Ran::Ended(_, stdout) => stdout,
                Ran::TimedOut => String::new(),
            };
            found.means = Means::Nslookup;
            let answer = inside::nslookup(&stdout, &question.name);
            found.outcomes[place] = if let Some(addresses) = answer {
                unanswered = 0;
                inside::outcome(question, &addresses)
            } else {
                unanswered += 1;
                Outcome::Failed("no answer to nslookup".to_owned())
            };
        }
        Ok(())
    }
}

impl Inside {
    /// Nothing was learned about the names.
    fn silent(&mut self, why: String) {
        self.error = Some(why);
        self.outcomes.fill(Outcome::NotAsked);
    }
}
