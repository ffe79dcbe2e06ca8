//! The rights that a deletion or an adoption needs. Whether they are there is
//! asked before the first write: a run without them would leave a volume under
//! another policy, or a claim that is held.

use std::collections::BTreeMap;

use crate::{
    cluster::{
        Cluster, Failure, Resource,
        rights::{Right, missing_rights_in},
    },
    orphans::{
        delete::Action,
        report::lacking::{self, Lacking},
        rules,
    },
    output::{Error, Terminal},
    steps::rights::{self, Needed},
    workload::Finding,
};

/// What the user may not do of what the lines of a report do, in the namespace that was
/// read or in all. Where that cannot be asked, nothing is withheld, and that is said:
/// the commands themselves ask again.
///
/// # Errors
/// When the server does not answer.
pub async fn lacking(
    cluster: &Cluster,
    namespace: Option<&str>,
    terminal: Terminal,
) -> Result<Lacking, Error> {
    match missing_rights_in(cluster, namespace.unwrap_or_default(), &lacking::ALL).await {
        Err(failure @ (Failure::Forbidden(_) | Failure::NoSuchApi(_))) => {
            let why = Error::from(failure);
            terminal.warn(&format!(
                "your rights to run the lines of this report could not be checked: {}",
                why.headline()
            ));
            Ok(Lacking::default())
        }
        missing => Ok(Lacking(missing?)),
    }
}

/// The rights that are needed, each once: by what it is for.
#[derive(Default)]
pub struct Rights(BTreeMap<(String, &'static str, &'static str), Needed>);

impl Rights {
    /// Adds what the writes of a plan need.
    pub fn of_writes<'a>(&mut self, actions: impl Iterator<Item = Action<'a>>) {
        for action in actions {
            let Action::Write(write) = action else { continue };
            let namespace = write.object().namespace.clone().unwrap_or_default();
            self.add(write.right(), namespace);
        }
    }

    pub fn add(&mut self, right: Right, namespace: String) {
        let Right { verb, resource, .. } = right;
        let what_for = match (verb, resource) {
            ("patch", Resource::VOLUME) => "to keep the volume",
            ("patch", _) => "to hold the claim until its volume is seen to stay, and to let it go",
            ("delete", _) => "to delete it",
            (_, Resource::SNAPSHOT) => "to take a snapshot first",
            _ => "to give the volume to the ordinal",
        };
        let key = (namespace.clone(), verb, resource.plural);
        self.0.entry(key).or_insert(Needed { right, namespace, what_for });
    }

    /// What of it the user lacks, a finding each.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn missing(self, cluster: &Cluster, on: &str) -> Result<Vec<Finding>, Error> {
        let needed = self.0.into_values().collect();
        rights::missing(cluster, needed, &rules::NO_RIGHTS, on).await
    }
}
