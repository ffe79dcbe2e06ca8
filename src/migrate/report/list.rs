//! The list of migrations that are under way.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    migrate::{
        journal::{Intent, StoredJournal, tag_without_journal},
        standing::{Stage, Standing},
    },
    output::{
        Envelope, Error, Exit, Format, Look,
        table::{self, Give, NAME},
        text::one_line,
    },
    workload::{
        Severity,
        raw::{name, text},
    },
};

/// The payload of `migrate status -o json` without a name.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListView {
    items: Vec<Listed>,
}

/// A migration in a list, or a volume whose journal is gone.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// `StatefulSet`, or `PersistentVolume` if the journal is gone.
    kind: &'static str,
    namespace: String,
    name: String,
    deployments: Vec<String>,
    intent: Option<Intent>,
    holder: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    arrived: Option<Timestamp>,
    /// Why its journal cannot be read.
    unreadable: Option<String>,
    /// For a volume whose journal is gone: its original policy.
    policy: Option<String>,
    /// Where it stands; absent if its objects could not be read.
    stage: Option<Stage>,
    /// Its findings that are no notes.
    wrong: Vec<&'static str>,
    #[serde(skip)]
    ready: Option<String>,
}

/// A journal, and where its migration stands if its objects could be read.
#[derive(Debug)]
pub struct Looked {
    pub config_map: Value,
    pub standing: Option<Standing>,
}

impl Listed {
    fn of(looked: &Looked) -> Listed {
        let config_map = &looked.config_map;
        let standing = looked.standing.as_ref();
        let word = |pointer: &str| text(config_map, pointer).unwrap_or_default().to_owned();
        let namespace = word("/metadata/namespace");
        match StoredJournal::read(config_map) {
            Ok(stored) => Listed {
                kind: "StatefulSet",
                namespace,
                name: stored.journal.set_name().to_owned(),
                deployments: stored.journal.deployments.into_iter().map(|one| one.name).collect(),
                intent: Some(stored.intent),
                holder: stored.holder,
                arrived: stored.arrived.map(|arrived| arrived.at),
                unreadable: None,
                policy: None,
                stage: standing.map(|standing| standing.stage),
                wrong: standing.map_or_else(Vec::new, |standing| {
                    let all = standing.findings.iter();
                    let wrong = all.filter(|finding| finding.severity != Severity::Note);
                    wrong.map(|finding| finding.id).collect()
                }),
                ready: standing.map(|standing| standing.set.short()),
            },
            Err(why) => Listed {
                kind: "StatefulSet",
                namespace,
                name: word("/metadata/name"),
                deployments: Vec::new(),
                intent: None,
                holder: None,
                arrived: None,
                unreadable: Some(why.0),
                policy: None,
                stage: None,
                wrong: Vec::new(),
                ready: None,
            },
        }
    }

    /// A volume with a mark, if its journal is not among these.
    fn without_journal(
        volume: &Value,
        journals: &[&Value],
        within: Option<&str>,
    ) -> Option<Listed> {
        let tag = tag_without_journal(volume, journals.iter().copied())?;
        if within.is_some_and(|namespace| namespace != tag.namespace) {
            return None;
        }
        Some(Listed {
            kind: "PersistentVolume",
            namespace: tag.namespace,
            name: name(volume).to_owned(),
            deployments: Vec::new(),
            intent: None,
            holder: None,
            arrived: None,
            unreadable: None,
            policy: Some(tag.policy),
            stage: None,
            wrong: Vec::new(),
            ready: None,
        })
    }

    fn state(&self) -> &'static str {
        if self.policy.is_some() {
            return "volume without a journal";
        }
        match (self.intent, self.stage) {
            (None, _) => "unreadable",
            (Some(_), None) => "not looked at",
            (Some(_), Some(stage)) => match stage {
                Stage::Begun | Stage::Swapped | Stage::Stopped | Stage::Starting => "under way",
                Stage::Arrived => "moved",
                Stage::Degraded => "moved, not well",
                Stage::GoingBack => "rolling back",
                Stage::Finishing => "finalizing",
                Stage::Recovering => "recovering",
                Stage::Recovered | Stage::PutBack | Stage::RolledBack | Stage::Finished => "over",
            },
        }
    }
}

/// All migrations of a namespace, or of all, and the volumes whose journal is
/// gone.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn render_list(
    journals: &[Looked],
    volumes: &[Value],
    within: Option<&str>,
    exit: Exit,
    format: Format,
    look: Look,
) -> Result<String, Error> {
    let config_maps: Vec<&Value> = journals.iter().map(|one| &one.config_map).collect();
    let marked =
        volumes.iter().filter_map(|volume| Listed::without_journal(volume, &config_maps, within));
    let items: Vec<Listed> = journals.iter().map(Listed::of).chain(marked).collect();
    match format {
        Format::Name => {
            let name = |item: &Listed| match item.kind {
                "StatefulSet" => format!("statefulset.apps/{}\n", item.name),
                _ => format!("persistentvolume/{}\n", item.name),
            };
            Ok(items.iter().map(name).collect())
        }
        Format::Table | Format::Wide if items.is_empty() => {
            Ok("no migration is under way\n".to_owned())
        }
        Format::Table | Format::Wide => {
            let head =
                ["NAME", "NAMESPACE", "FROM", "STATE", "READY", "WRONG", "LOCK"].map(str::to_owned);
            let mut rows = vec![head.to_vec()];
            for item in &items {
                rows.push(vec![
                    one_line(&item.name),
                    one_line(&item.namespace),
                    one_line(&item.deployments.join(",")),
                    item.state().to_owned(),
                    item.ready.as_deref().map_or_else(|| "<none>".to_owned(), one_line),
                    item.wrong.first().map_or("<none>", |id| id).to_owned(),
                    item.holder.as_deref().map_or_else(|| "<none>".to_owned(), one_line),
                ]);
            }
            let gives = [
                Give::Cut("LOCK", NAME),
                Give::Cut("FROM", NAME),
                Give::Drop("LOCK"),
                Give::Drop("FROM"),
            ];
            let look = Look { wide: format == Format::Wide, ..look };
            Ok(table::fitted(rows, &gives, look.room()).join("\n") + "\n")
        }
        _ => Envelope::new("migrate-list", exit, &[], &[], ListView { items }).render(format),
    }
}

/// The answer when no migration is under way that could be rolled back or
/// finalized: an empty list, for programs; nothing for people, who were told.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn render_nothing(format: Format) -> Result<String, Error> {
    match format {
        Format::Name | Format::Table | Format::Wide => Ok(String::new()),
        _ => {
            let payload = ListView { items: Vec::new() };
            Envelope::new("migrate-list", Exit::Done, &[], &[], payload).render(format)
        }
    }
}
