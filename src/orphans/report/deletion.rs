//! What `orphans delete` answers.

use serde::Serialize;

use crate::{
    orphans::delete::Data,
    output::{Envelope, Error, Format},
    steps::End,
    workload::Unread,
};

/// The payload of `orphans delete -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub dry_run: bool,
    pub items: Vec<ItemView>,
    /// What was written, in order.
    pub writes: Vec<String>,
    /// The same hash, the same plan.
    pub hash: String,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ItemView {
    pub kind: &'static str,
    pub namespace: Option<String>,
    pub name: String,
    pub uid: Option<String>,
    /// `deleted`, `gone` before this run, `planned`, or `left`.
    pub result: &'static str,
    /// The volume of a claim.
    pub volume: Option<String>,
    /// What becomes of the data; after a deletion, what was found of the volume.
    pub data: Data,
    /// The line that gives a volume that was kept back to its ordinal.
    pub undo: Option<String>,
}

/// An answer, and what goes with it.
pub struct Outcome<'a> {
    pub view: &'a View,
    pub end: &'a End,
    pub unread: &'a [Unread],
    /// The line that carries a plan out.
    pub to_do: &'a str,
}

impl Outcome<'_> {
    /// The answer in the requested format.
    ///
    /// # Errors
    /// When the document cannot be serialized, which is a bug.
    pub fn render(&self, format: Format, namespace: &str) -> Result<String, Error> {
        let Outcome { view, end, unread, .. } = self;
        match format {
            Format::Json | Format::Yaml | Format::Jsonl => {
                Envelope::new("orphans-delete", end.exit, &end.findings, unread, view)
                    .render(format)
            }
            Format::Name => {
                let gone = view.items.iter().filter(|item| item.result != "left");
                let names =
                    gone.map(|item| item.kind.to_ascii_lowercase() + "/" + &item.name + "\n");
                Ok(names.collect())
            }
            Format::Table | Format::Wide => Ok(self.text(namespace)),
        }
    }

    fn text(&self, namespace: &str) -> String {
        let Outcome { view, unread, to_do, .. } = self;
        let mut lines: Vec<String> = view.items.iter().map(line).collect();
        lines.extend(
            view.items
                .iter()
                .filter_map(|item| item.undo.as_ref().map(|undo| format!("undo  {undo}"))),
        );
        if lines.is_empty() {
            let unread: Vec<String> = unread.iter().map(|one| one.resource.clone()).collect();
            lines.push(if unread.is_empty() {
                format!("no orphaned claim in {namespace} matches")
            } else {
                format!("cannot tell what matches in {namespace}: unread {}", unread.join(", "))
            });
        } else if view.dry_run {
            lines.push(format!("plan {}: nothing was changed; to do it: {to_do}", view.hash));
        }
        lines.join("\n") + "\n"
    }
}

/// What became of an object, and of its data.
fn line(item: &ItemView) -> String {
    let kind = item.kind.to_ascii_lowercase();
    let first = format!("{kind}/{} {}", item.name, item.result);
    let volume = item.volume.as_deref();
    let to_come = matches!(item.result, "planned" | "left");
    match (item.data, volume) {
        (Data::Kept, Some(volume)) if to_come => format!("{first}, volume {volume} stays"),
        (Data::Kept, Some(volume)) => format!("{first}, volume {volume} kept"),
        (Data::Destroyed, Some(volume)) => {
            format!("{first}, volume {volume} DESTROYED with its data")
        }
        (Data::Destroyed, None) => format!("{first}, DESTROYED with its data"),
        (Data::Doomed, Some(volume)) if to_come => {
            format!("{first}, volume {volume} goes with it: its policy is not Retain")
        }
        (Data::Doomed, Some(volume)) => {
            format!("{first}, volume {volume} goes with its data: its policy is not Retain")
        }
        (Data::Gone, Some(volume)) => format!(
            "{first}, volume {volume} is gone: its data is DESTROYED, unless the storage kept the disk"
        ),
        (Data::Unmanaged, _) => format!("{first}, its disk stays in the storage, without a volume"),
        (Data::Unread, Some(volume)) => {
            format!("{first}, volume {volume} could not be read: it is not known whether it stays")
        }
        (Data::Kept | Data::Doomed | Data::Gone | Data::Unread, None) | (Data::None, _) => first,
    }
}
