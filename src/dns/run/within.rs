//! What a pod's own resolver says, asked by commands in its container.

use std::{net::IpAddr, time::Duration};

use super::{Unasked, look::Looker};
use crate::{
    cluster::{Executed, Failure, naming},
    dns::{
        compare::Outcome,
        domain::{Domain, How},
        expected::{Kind, Row},
        facts::Member,
        inside::{self, Inside, Means},
        picture::Asked,
        rules,
        search::ResolvConf,
        wire::Question,
    },
    output::Error,
    workload::Finding,
};

/// One command in a container.
const EXEC: Duration = Duration::from_secs(20);
/// What is kept of its output: hundreds of names.
const EXEC_KEPT: usize = 1 << 20;
/// So many names are asked by nslookup, which takes a process for each.
const MOST_LOOKUPS: usize = 40;

impl Looker<'_> {
    /// Reads the resolver of a pod, which also tells the domain where nobody
    /// else did.
    pub async fn enter(
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
    pub async fn inside(
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

/// A pod whose search path is in another domain than the servers'.
pub fn other_domain(inside: &Inside, unasked: &Unasked) -> Option<Finding> {
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
