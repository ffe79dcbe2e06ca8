//! Looks at the claims of the pods that a write makes go.

use crate::{
    canary::{
        claims::{self, Seen},
        plan::State,
        record::Record,
        rules,
    },
    cluster::{Cluster, Failure, Resource, read},
    workload::{Claim, Facts, Finding, Survey, Unread},
};

/// More claims than this are listed rather than read one by one.
const MAX_SINGLE: usize = 2;

/// The claims that would go with these pods, a finding each; or why that is not
/// known. Pods without claims cost no request.
///
/// # Errors
/// When the server fails.
pub async fn look(
    cluster: &Cluster,
    survey: &Survey<'_>,
    pods: &[String],
) -> Result<Result<Vec<Finding>, Unread>, Failure> {
    let seen = read_of(cluster, survey, pods).await?;
    Ok(seen.map(|seen| claims::leaving(survey, pods, &seen)))
}

/// What there is of the claims of a set that is looked at: of all pods or, where
/// claims may not be listed, of those that go next with the canary on it.
///
/// # Errors
/// When the server fails.
pub async fn read_for(
    cluster: &Cluster,
    survey: &Survey<'_>,
    record: Option<&Record>,
) -> Result<Result<Seen, Unread>, Failure> {
    let all: Vec<String> = survey.pods().map(|(_, pod)| pod.name.clone()).collect();
    match (read_of(cluster, survey, &all).await?, record) {
        (Err(_), Some(record)) => {
            let state = State::new(survey.facts, record, survey.now);
            read_of(cluster, survey, &claims::ahead(&state)).await
        }
        (read, _) => Ok(read),
    }
}

async fn read_of(
    cluster: &Cluster,
    survey: &Survey<'_>,
    pods: &[String],
) -> Result<Result<Seen, Unread>, Failure> {
    let wanted = claims::wanted(survey, pods);
    if wanted.is_empty() {
        return Ok(Ok(Seen::default()));
    }
    let read = if wanted.len() > MAX_SINGLE {
        read::claims(cluster).await
    } else {
        read::claims_named(cluster, &wanted).await
    };
    let claims = match read {
        Ok(claims) => claims,
        Err(Failure::Forbidden(rejection)) => {
            let why = rejection.status.message.clone();
            return Ok(Err(Unread { resource: Resource::CLAIM.name(), why }));
        }
        Err(failure) => return Err(failure),
    };
    let of_pods = |claim: &Claim| wanted.contains(&claim.name);
    let claims: Vec<Claim> = claims.into_iter().filter(of_pods).collect();
    let volumes = read::volumes_named(cluster, &claims::volumes_in_doubt(&claims)).await?;
    Ok(Ok(Seen { claims, volumes }))
}

/// The same before the first write: what could not be read is a finding, and is
/// kept among what is unread.
///
/// # Errors
/// When the server fails.
pub async fn guard(
    cluster: &Cluster,
    survey: &Survey<'_>,
    pods: &[String],
) -> Result<(Vec<Finding>, Option<Unread>), Failure> {
    Ok(match look(cluster, survey, pods).await? {
        Ok(findings) => (findings, None),
        Err(unread) => (vec![unread_finding(survey.facts, &unread)], Some(unread)),
    })
}

pub fn unread_finding(facts: &Facts, unread: &Unread) -> Finding {
    let message = format!("{} could not be read: {}", unread.resource, unread.why);
    rules::UNREAD.found(facts.set.reference(), message)
}
