//! Finds the journal of the migration that a name means.

use serde_json::Value;

use super::Session;
use crate::{
    cluster::{Resource, names as object_names},
    migrate::{
        journal::{StoredJournal, Unusable, config_map_name},
        read,
        remains::Remains,
        report, rules,
    },
    output::{Error, Exit},
    workload::{Finding, Reference, WrongReference, raw::name},
};

/// The journal of a migration of one of these Deployments.
pub fn of_deployments(journals: &[Value], deployments: &[String]) -> Option<StoredJournal> {
    // A journal that cannot be read refuses later, when its name is taken.
    let mut all = journals.iter().filter_map(|found| StoredJournal::read(found).ok());
    all.find(|stored| {
        let mut theirs = stored.journal.deployments.iter();
        theirs.any(|one| deployments.contains(&one.name))
    })
}

/// The journal of a migration or a recovery of this set.
///
/// # Errors
/// When there is one that cannot be read.
pub fn of_set(journals: &[Value], set: &str) -> Result<Option<StoredJournal>, Error> {
    let called = config_map_name(set);
    let Some(found) = journals.iter().find(|found| name(found) == called) else { return Ok(None) };
    StoredJournal::read(found).map(Some).map_err(|why| unusable(&called, &why))
}

fn unusable(called: &str, why: &Unusable) -> Error {
    let message = format!("cannot use the journal {called}: {}", why.0);
    let finding = rules::JOURNAL_UNUSABLE.found(format!("configmap/{called}"), message.clone());
    Error::new(rules::refused_for(&finding), message).because(vec![finding])
}

/// What the name of a migration means.
pub enum Found {
    Journal(Box<StoredJournal>),
    /// The journal is gone, and this is left.
    Remains(Vec<Remains>),
    /// There is no migration because it is over.
    Over,
}

/// What these arguments mean. The migration is over when `workload` has an object of
/// this name, and nothing is left.
pub async fn journal_unless_over(
    session: &Session,
    words: &[String],
    workload: Resource,
) -> Result<Found, Error> {
    let missing = match journal(session, words).await {
        Ok(stored) => return Ok(Found::Journal(Box::new(stored))),
        Err(error) if error.exit != Exit::Refused => return Err(error),
        Err(missing) => missing,
    };
    let remains = remains_of(session, words).await?;
    if !remains.is_empty() {
        return Ok(Found::Remains(remains));
    }
    let reference = set_or_deployment(words)?;
    let names = object_names::workload_names(&session.cluster, workload).await?;
    if names.contains(&reference.name) { Ok(Found::Over) } else { Err(missing) }
}

/// What is left of a migration to the set of this name, without a journal. A Deployment
/// is in no mark: its name stands for the set of the same name.
pub async fn remains_of(session: &Session, words: &[String]) -> Result<Vec<Remains>, Error> {
    let reference = set_or_deployment(words)?;
    let (mut remains, _) = read::remains(&session.cluster, false).await?;
    remains.retain(|one| one.is_of(&reference.name));
    Ok(remains)
}

/// The journal that these arguments mean.
///
/// # Errors
/// When there is none; what is left of a migration without one is named.
pub async fn journal_or_remains(
    session: &Session,
    words: &[String],
) -> Result<StoredJournal, Error> {
    let missing = match journal(session, words).await {
        Err(error) if error.exit == Exit::Refused && error.reasons.is_empty() => error,
        other => return other,
    };
    let remains = remains_of(session, words).await?;
    if remains.is_empty() { Err(missing) } else { Err(without_journal(session, &remains)) }
}

/// The refusal of a verb that needs the journal, where only marks are left.
pub fn without_journal(session: &Session, remains: &[Remains]) -> Error {
    let remnants = remains.iter().flat_map(Remains::remnants);
    let flags = session.cluster.flags();
    let findings: Vec<Finding> = remnants.map(|one| one.finding(&flags)).collect();
    let mut error = Error::new(Exit::Refused, "the journal of this migration does not exist");
    for finding in &findings {
        error = error.caused_by(format!("{} {}", finding.id, finding.message));
    }
    if let Some(hint) = findings.iter().find_map(|finding| finding.hint.clone()) {
        error = error.hint(hint);
    }
    error.because(findings)
}

/// Says that there is nothing to do; a program gets its document, too.
pub fn nothing_to_do(session: &Session, why: &str) -> Result<Exit, Error> {
    session.terminal.say(why);
    let text = report::render_nothing(session.output)?;
    session.terminal.conclude(&text)?;
    Ok(Exit::Done)
}

/// The journal that these arguments mean: by the name of the set, or of a
/// Deployment.
pub async fn journal(session: &Session, words: &[String]) -> Result<StoredJournal, Error> {
    let journals = read::journals(&session.cluster, false).await?;
    choose(&journals, words, &format!("in namespace {}", session.cluster.namespace()))
}

/// The one of these journals that the arguments mean.
pub fn choose(journals: &[Value], words: &[String], place: &str) -> Result<StoredJournal, Error> {
    let reference = set_or_deployment(words)?;
    let bare = words.len() == 1 && !words[0].contains('/');
    let mut known = Vec::new();
    for config_map in journals {
        let called = name(config_map);
        let stored = match StoredJournal::read(config_map) {
            Ok(stored) => stored,
            Err(why) if called == config_map_name(&reference.name) => {
                return Err(unusable(called, &why));
            }
            Err(_) => continue,
        };
        let journal = &stored.journal;
        let of_set = reference.kind == "StatefulSet" && journal.set_name() == reference.name;
        let of_deployment = (bare || reference.kind == "Deployment")
            && journal.deployments.iter().any(|one| one.name == reference.name);
        if of_set || of_deployment {
            return Ok(stored);
        }
        known.push(format!("sts/{}", journal.set_name()));
    }
    let message = format!("no migration of {} is under way {place}", reference.name);
    let error = Error::new(Exit::Refused, message);
    Err(match known.as_slice() {
        [] => error
            .hint("none was started, or it has finished; kubectl get sts shows the StatefulSets"),
        known => error.hint(format!("under way: {}", known.join(", "))),
    })
}

/// A migration can be named by its set or by one of its Deployments.
fn set_or_deployment(words: &[String]) -> Result<Reference, Error> {
    let parsed = Reference::parse(words, "StatefulSet").or_else(|wrong| match wrong {
        WrongReference::WrongKind { got: "Deployment", .. } => {
            Reference::parse(words, "Deployment")
        }
        other => Err(other),
    });
    parsed.map_err(Error::usage)
}
