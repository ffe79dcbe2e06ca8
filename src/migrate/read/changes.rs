//! Wakes a run when something of its migration changes.

use std::sync::Arc;

use serde::{Deserialize, de::IgnoredAny};
use tokio::{sync::Notify, task::JoinSet};

use super::AttachmentSource;
use crate::{
    cluster::{Cluster, Resource, changes::wake, retry_watch::RetryWatcher},
    migrate::journal::{Disk, Journal, Mode},
};

/// Tells that an object of a migration changed, without saying which. Other
/// changes in the namespace do not wake it.
#[derive(Debug)]
pub struct MigrationChanges {
    woken: Arc<Notify>,
    _watches: JoinSet<()>,
}

/// The fields of a changed object that say whether it belongs to a migration.
#[derive(Deserialize)]
struct ChangedObject {
    metadata: ChangedMetadata,
    spec: Option<ChangedSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangedMetadata {
    name: String,
    #[serde(default)]
    owner_references: Vec<ChangedOwner>,
}

#[derive(Deserialize)]
struct ChangedOwner {
    name: String,
}

#[derive(Deserialize)]
struct ChangedSpec {
    /// In an attachment.
    source: Option<AttachmentSource>,
    /// In a pod.
    volumes: Option<Vec<ChangedVolume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangedVolume {
    persistent_volume_claim: Option<ChangedClaim>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangedClaim {
    claim_name: String,
}

/// The names of the objects of a migration.
struct WatchedNames {
    /// The set, and the Deployments.
    workloads: Vec<String>,
    claims: Vec<String>,
    volumes: Vec<String>,
}

impl WatchedNames {
    fn of(journal: &Journal) -> WatchedNames {
        let members = journal.deployments.iter().map(|member| member.name.clone());
        let disks = journal.disks.iter();
        let blank = |disk: &Disk| disk.blank.as_ref().map(|blank| blank.pv.name.clone());
        WatchedNames {
            workloads: members.chain([journal.set_name().to_owned()]).collect(),
            claims: disks
                .clone()
                .flat_map(|disk| [disk.old.name.clone(), disk.new.clone()])
                .collect(),
            volumes: disks
                .flat_map(|disk| std::iter::once(disk.pv.name.clone()).chain(blank(disk)))
                .collect(),
        }
    }

    /// Whether an object belongs to a workload: the names of its ReplicaSets, Jobs
    /// and pods begin with its own. An unrelated object with such a name costs one
    /// read.
    fn is_of_workload(&self, name: &str) -> bool {
        self.workloads.iter().any(|workload| {
            name.strip_prefix(workload.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }

    fn includes(&self, what: &ChangedObject) -> bool {
        let name = &what.metadata.name;
        let owners = &what.metadata.owner_references;
        if self.is_of_workload(name)
            || self.claims.contains(name)
            || owners.iter().any(|owner| self.is_of_workload(&owner.name))
        {
            return true;
        }
        let Some(spec) = &what.spec else { return false };
        let attached =
            spec.source.as_ref().and_then(|source| source.persistent_volume_name.as_ref());
        let mut mounted = spec
            .volumes
            .iter()
            .flatten()
            .filter_map(|volume| Some(&volume.persistent_volume_claim.as_ref()?.claim_name));
        attached.is_some_and(|volume| self.volumes.contains(volume))
            || mounted.any(|claim| self.claims.contains(claim))
    }
}

impl MigrationChanges {
    /// Watches the pods, claims and workloads of a migration.
    pub fn of(cluster: &Cluster, journal: &Journal) -> MigrationChanges {
        let namespace = &journal.namespace;
        // One object each, or a kind of which there are few.
        let mut own = vec![
            Resource::CONFIG_MAP.within(namespace).named(&journal.config_map_name()),
            Resource::STATEFUL_SET.within(namespace).named(journal.set_name()),
        ];
        for member in &journal.deployments {
            own.push(Resource::DEPLOYMENT.within(namespace).named(&member.name));
        }
        if journal.mode == Mode::Snapshot {
            own.push(Resource::SNAPSHOT.within(namespace));
        }
        let mut shared = vec![Resource::POD.within(namespace)];
        if journal.mode == Mode::Copy {
            shared.push(Resource::JOB.within(namespace));
        }
        if !journal.disks.is_empty() {
            shared.push(Resource::CLAIM.within(namespace));
            shared.push(Resource::ATTACHMENT.everywhere());
        }
        let woken = Arc::new(Notify::new());
        let mut watches = JoinSet::new();
        for listing in own {
            let watcher = RetryWatcher::new(cluster.clone(), listing, String::new());
            watches.spawn(wake(watcher, |_: &IgnoredAny| true, Arc::clone(&woken)));
        }
        let names = Arc::new(WatchedNames::of(journal));
        for listing in shared {
            let watcher = RetryWatcher::new(cluster.clone(), listing, String::new());
            let names = Arc::clone(&names);
            let matters = move |what: &ChangedObject| names.includes(what);
            watches.spawn(wake(watcher, matters, Arc::clone(&woken)));
        }
        MigrationChanges { woken, _watches: watches }
    }

    /// Waits for the next change; one since the last call counts.
    pub async fn next(&mut self) {
        self.woken.notified().await;
    }
}
