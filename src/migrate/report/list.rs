//! The list of migrations that are under way.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    migrate::{
        journal::{Intent, StoredJournal},
        remains::{Remains, Remnant},
        rules,
        standing::{Stage, Standing},
    },
    output::{
        Envelope, Error, Exit, Format, Look, layout,
        table::{self, Give, NAME},
        text::one_line,
    },
    workload::{Finding, Severity, Unread, raw::text},
};

/// The payload of `migrate status -o json` without a name.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListView {
    items: Vec<Listed>,
}

/// A migration in a list, or an object whose journal does not exist.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// `StatefulSet`, or the kind of an object whose journal does not exist.
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
    /// For an object whose journal does not exist: what it is.
    left: Option<String>,
    /// The line that clears it.
    command: Option<String>,
    /// Where it stands; absent if its objects could not be read.
    stage: Option<Stage>,
    /// Its findings that are no notes.
    wrong: Vec<&'static str>,
    #[serde(skip)]
    ready: Option<String>,
    /// `statefulset.apps`, as kubectl names it.
    #[serde(skip)]
    group: String,
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
                group: "statefulset.apps".to_owned(),
                namespace,
                name: stored.journal.set_name().to_owned(),
                deployments: stored.journal.deployments.into_iter().map(|one| one.name).collect(),
                intent: Some(stored.intent),
                holder: stored.holder,
                arrived: stored.arrived.map(|arrived| arrived.at),
                unreadable: None,
                left: None,
                command: None,
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
                group: "statefulset.apps".to_owned(),
                namespace,
                name: word("/metadata/name"),
                deployments: Vec::new(),
                intent: None,
                holder: None,
                arrived: None,
                unreadable: Some(why.0),
                left: None,
                command: None,
                stage: None,
                wrong: Vec::new(),
                ready: None,
            },
        }
    }

    /// An object whose journal does not exist.
    fn left(remnant: &Remnant, flags: &str) -> Listed {
        Listed {
            kind: remnant.resource.kind,
            group: remnant.resource.with_group(remnant.resource.singular),
            namespace: remnant.namespace.clone(),
            name: remnant.name.clone(),
            deployments: Vec::new(),
            intent: None,
            holder: None,
            arrived: None,
            unreadable: None,
            left: Some(remnant.what.clone()),
            command: Some(format!("{}{flags}", remnant.line)),
            stage: None,
            wrong: vec![rules::REMAINS.id],
            ready: None,
        }
    }

    /// Its name in a table: what is no migration has its kind with it.
    fn called(&self) -> String {
        if self.left.is_none() {
            self.name.clone()
        } else {
            format!("{}/{}", self.group, self.name)
        }
    }

    fn state(&self) -> &'static str {
        if self.left.is_some() {
            return "without a journal";
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

/// What a list is made of.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    pub journals: &'a [Looked],
    /// What is left of migrations whose journal does not exist.
    pub left: &'a [Remains],
    /// The kinds that could not be read.
    pub unread: &'a [Unread],
    /// The flags of the connection, for the lines to paste.
    pub flags: &'a str,
}

/// All migrations of a namespace, or of all, and what is left of those without a
/// journal.
///
/// # Errors
/// When it cannot be serialized, which is a bug.
pub fn render_list(
    lists: Lists<'_>,
    exit: Exit,
    format: Format,
    look: Look,
) -> Result<String, Error> {
    let Lists { journals, left, unread, flags } = lists;
    let remnants: Vec<Remnant> = left.iter().flat_map(Remains::remnants).collect();
    let findings: Vec<Finding> = remnants.iter().map(|one| one.finding(flags)).collect();
    let left = remnants.iter().map(|remnant| Listed::left(remnant, flags));
    let items: Vec<Listed> = journals.iter().map(Listed::of).chain(left).collect();
    match format {
        Format::Name => {
            let name = |item: &Listed| format!("{}/{}\n", item.group, item.name);
            Ok(items.iter().map(name).collect())
        }
        Format::Table | Format::Wide if items.is_empty() => {
            Ok("no migration is under way\n".to_owned())
        }
        Format::Table | Format::Wide => {
            let look = Look { wide: format == Format::Wide, ..look };
            let mut lines = rows(&items, look);
            if !findings.is_empty() {
                lines.push(String::new());
            }
            lines.extend(findings.iter().flat_map(|one| layout::finding(one, "wrong", look)));
            Ok(lines.join("\n") + "\n")
        }
        _ => {
            let payload = ListView { items };
            Envelope::new("migrate-list", exit, &findings, unread, payload).render(format)
        }
    }
}

fn rows(items: &[Listed], look: Look) -> Vec<String> {
    let head = ["NAME", "NAMESPACE", "FROM", "STATE", "READY", "WRONG", "LOCK"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    for item in items {
        rows.push(vec![
            one_line(&item.called()),
            one_line(&item.namespace),
            one_line(&item.deployments.join(",")),
            item.state().to_owned(),
            item.ready.as_deref().map_or_else(|| "<none>".to_owned(), one_line),
            item.wrong.first().map_or("<none>", |id| id).to_owned(),
            item.holder.as_deref().map_or_else(|| "<none>".to_owned(), one_line),
        ]);
    }
    let gives =
        [Give::Cut("LOCK", NAME), Give::Cut("FROM", NAME), Give::Drop("LOCK"), Give::Drop("FROM")];
    table::fitted(rows, &gives, look.room())
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
