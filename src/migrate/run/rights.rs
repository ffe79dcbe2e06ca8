//! The rights that a verb on a migration needs from here on: those of the writes that it
//! would send. Half way without one, nothing runs, or the way back is gone.

use jiff::Timestamp;

use super::Session;
use crate::{
    cluster::{
        Resource,
        rights::{Right, missing_rights},
    },
    migrate::{
        forward::Checks,
        journal::{Intent, StoredJournal},
        preview::{Step, preview},
        rules,
        world::World,
    },
    output::Error,
    steps::End,
};

/// Why a verb in this direction may not begin, if rights are missing. An administrator
/// changes the volumes where that was asked for.
pub async fn refusal(
    session: &Session,
    stored: &StoredJournal,
    world: &World,
    intent: Intent,
    admin_steps: bool,
) -> Result<Option<End>, Error> {
    let preview = preview(intent, world, &stored.journal, Checks::default(), Timestamp::now());
    let journal = |verb| Right { verb, resource: Resource::CONFIG_MAP, subresource: "" };
    let mut needed = vec![journal("patch"), journal("delete")];
    for step in &preview.steps {
        let Step::Write(write) = step else { continue };
        let right = write.right();
        let is_theirs = admin_steps && right.resource == Resource::VOLUME;
        if !is_theirs && !needed.contains(&right) {
            needed.push(right);
        }
    }
    let missing = missing_rights(&session.cluster, &needed).await?;
    let findings: Vec<_> = missing.iter().map(|right| rules::no_right(right)).collect();
    Ok(findings.first().map(rules::refused_for).map(|exit| End { exit, findings }))
}
