//! The rights that a scaling needs later. Whether they are there is asked before the
//! first write, and those to set claims aside before their volumes are read: without
//! them a run would stop half-way.

use std::collections::BTreeMap;

use crate::{
    cluster::{
        Cluster, Failure, Resource, read,
        rights::{Right, missing_rights},
    },
    orphans::report::lacking::{ADOPT, DELETE},
    output::Error,
    scale::{args::ScaleArgs, rules},
    steps::rights::{self, Needed},
    workload::{Finding, Severity, StatefulSet},
};

const fn right(verb: &'static str, resource: Resource) -> Right {
    Right { verb, resource, subresource: "" }
}

const TO_SET_ASIDE: [Right; 6] = [
    right("get", Resource::CLAIM),
    right("create", Resource::CLAIM),
    right("patch", Resource::CLAIM),
    right("delete", Resource::CLAIM),
    right("get", Resource::VOLUME),
    right("patch", Resource::VOLUME),
];

/// What lines to type contain, and the rights without which they are refused.
const LINES: [(&str, &[Right]); 6] = [
    ("kubectl stateful scale ", &[right("patch", Resource::STATEFUL_SET)]),
    (" --fresh", &TO_SET_ASIDE),
    ("kubectl stateful orphans adopt ", &ADOPT),
    ("kubectl stateful orphans delete ", &DELETE),
    ("kubectl patch pv ", &[right("patch", Resource::VOLUME)]),
    ("kubectl delete pvc ", &[right("delete", Resource::CLAIM)]),
];

/// The rights that a line to type takes.
fn needed_by(line: &str) -> impl Iterator<Item = Right> {
    let parts = LINES.iter().filter(move |(part, _)| line.contains(part));
    parts.flat_map(|(_, rights)| rights.iter().copied())
}

/// The rights that lines to type take and that this user lacks.
pub struct Withheld<'a> {
    cluster: &'a Cluster,
    missing: Vec<String>,
}

impl<'a> Withheld<'a> {
    /// Asks for each right once. Where that cannot be asked, nothing is withheld.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn ask(
        cluster: &'a Cluster,
        lines: impl Iterator<Item = &str>,
    ) -> Result<Withheld<'a>, Failure> {
        let all = lines.flat_map(needed_by);
        let once: BTreeMap<(&str, &str), Right> =
            all.map(|right| ((right.verb, right.resource.plural), right)).collect();
        let once: Vec<Right> = once.into_values().collect();
        let missing = match missing_rights(cluster, &once).await {
            Err(Failure::Forbidden(_) | Failure::NoSuchApi(_)) => Vec::new(),
            missing => missing?,
        };
        Ok(Withheld { cluster, missing })
    }

    /// Nothing is withheld.
    pub fn none(cluster: &'a Cluster) -> Withheld<'a> {
        Withheld { cluster, missing: Vec::new() }
    }

    /// What to say instead of this line, where it would be refused.
    pub fn instead_of(&self, line: &str) -> Option<String> {
        let name = |right: &Right| format!("{} {}", right.verb, right.resource.name());
        let missing = needed_by(line).filter(|right| self.missing.contains(&name(right)));
        let missing: Vec<Right> = missing.collect();
        let ask = rights::ask_for(self.cluster, self.cluster.namespace(), *missing.first()?);
        let names: Vec<String> = missing.iter().map(name).collect();
        Some(format!("the way out takes what you may not: {}; {ask}", names.join(", ")))
    }

    /// Takes the lines away that this user would be refused, and says what is missing.
    pub fn from(&self, findings: &mut [Finding]) {
        for hint in findings.iter_mut().filter_map(|finding| finding.hint.as_mut()) {
            if let Some(instead) = self.instead_of(hint) {
                *hint = instead;
            }
        }
    }
}

/// The lines to type that findings have.
pub fn lines(findings: &[Finding]) -> impl Iterator<Item = &str> {
    findings.iter().filter_map(|finding| finding.hint.as_deref())
}

/// What the user may not do of that which the flags ask for, a finding each.
///
/// # Errors
/// When the server does not answer.
pub async fn missing(
    cluster: &Cluster,
    set: &StatefulSet,
    args: &ScaleArgs,
) -> Result<Vec<Finding>, Error> {
    let here = |verb, resource, what_for| Needed {
        right: Right { verb, resource, subresource: "" },
        namespace: set.namespace.clone(),
        what_for,
    };
    let mut all = vec![here("patch", Resource::STATEFUL_SET, "to change the replicas")];
    if args.hooks.before_exec.is_some() {
        let version = read::server_version(cluster).await;
        all.extend(rights::to_exec(version.as_deref(), &set.namespace, "for --before-exec"));
    }
    if let Some(request) = &args.hooks.before_http {
        all.push(rights::to_ask_pod(&request.method, &set.namespace, "for --before-http"));
    }
    if args.snapshot.is_some() {
        for verb in ["create", "get"] {
            all.push(here(verb, Resource::SNAPSHOT, "for --snapshot"));
        }
    }
    rights::missing(cluster, all, &rules::NO_RIGHTS, &set.reference()).await
}

/// The same of what it takes to set claims aside, or to finish that.
///
/// # Errors
/// When the server does not answer.
pub async fn missing_to_set_aside(
    cluster: &Cluster,
    set: &StatefulSet,
) -> Result<Vec<Finding>, Error> {
    let needed = TO_SET_ASIDE.into_iter().map(|right| Needed {
        right,
        namespace: set.namespace.clone(),
        what_for: "to set claims aside",
    });
    rights::missing(cluster, needed.collect(), &rules::NO_RIGHTS, &set.reference()).await
}

/// Where a claim is mounted again, a volume that is still attached elsewhere stops the
/// run. Who may not see that is told.
///
/// # Errors
/// When the server does not answer.
pub async fn unseen_attachments(
    cluster: &Cluster,
    set: &StatefulSet,
) -> Result<Vec<Finding>, Error> {
    let needed = Needed {
        right: Right { verb: "list", resource: Resource::ATTACHMENT, subresource: "" },
        namespace: set.namespace.clone(),
        what_for: "to see whether a volume that is mounted again is still attached to another node",
    };
    let found = rights::missing(cluster, vec![needed], &rules::UNREAD, &set.reference()).await?;
    Ok(found.into_iter().map(|finding| finding.at(Severity::Warning)).collect())
}
