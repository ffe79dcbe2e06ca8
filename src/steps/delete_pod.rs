//! Deleting a pod of a set, exactly as it was judged.

use crate::{
    cluster::{Object, Propagation, Resource, Write},
    workload::{Pod, StatefulSet},
};

/// A pod to delete. The write carries its version: a pod that has become Ready
/// since then stays, and so does a successor of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodToDelete {
    pub name: String,
    pub uid: String,
    resource_version: String,
}

impl PodToDelete {
    pub fn of(pod: &Pod) -> PodToDelete {
        PodToDelete {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            resource_version: pod.resource_version.clone(),
        }
    }

    /// The write. `why` is shown beside it.
    pub fn delete(&self, set: &StatefulSet, why: &str) -> Write {
        let object = Object {
            resource: Resource::POD,
            namespace: Some(set.namespace.clone()),
            name: self.name.clone(),
        };
        let version = Some(self.resource_version.clone());
        Write::delete(object, self.uid.as_str(), version, Propagation::Background, why)
    }
}
