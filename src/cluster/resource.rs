//! The kinds of objects that this program reads and writes: one table, for URLs
//! and for the names in messages.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::{Failure, RequestLine};
use crate::workload::SNAPSHOT_GROUP;

/// Everything except the unreserved characters of RFC 3986, so that names stay
/// readable.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    /// `StatefulSet`, as in manifests.
    pub kind: &'static str,
    pub namespaced: bool,
}

impl Resource {
    pub const POD: Resource = Resource::v1("", "pods", "pod", "Pod");
    pub const SERVICE: Resource = Resource::v1("", "services", "service", "Service");
    pub const CONFIG_MAP: Resource = Resource::v1("", "configmaps", "configmap", "ConfigMap");
    pub const EVENT: Resource = Resource::v1("", "events", "event", "Event");
    pub const QUOTA: Resource =
        Resource::v1("", "resourcequotas", "resourcequota", "ResourceQuota");
    pub const CLAIM: Resource = Resource::v1(
        "",
        "persistentvolumeclaims",
        "persistentvolumeclaim",
        "PersistentVolumeClaim",
    );
    pub const REPLICATION_CONTROLLER: Resource = Resource::v1(
        "",
        "replicationcontrollers",
        "replicationcontroller",
        "ReplicationController",
    );
    pub const POD_TEMPLATE: Resource =
        Resource::v1("", "podtemplates", "podtemplate", "PodTemplate");
    pub const VOLUME: Resource =
        Resource::v1("", "persistentvolumes", "persistentvolume", "PersistentVolume")
            .cluster_wide();
    pub const NODE: Resource = Resource::v1("", "nodes", "node", "Node").cluster_wide();
    pub const NAMESPACE: Resource =
        Resource::v1("", "namespaces", "namespace", "Namespace").cluster_wide();

    pub const STATEFUL_SET: Resource =
        Resource::v1("apps", "statefulsets", "statefulset", "StatefulSet");
    pub const DEPLOYMENT: Resource =
        Resource::v1("apps", "deployments", "deployment", "Deployment");
    pub const REPLICA_SET: Resource =
        Resource::v1("apps", "replicasets", "replicaset", "ReplicaSet");
    pub const DAEMON_SET: Resource = Resource::v1("apps", "daemonsets", "daemonset", "DaemonSet");
    pub const REVISION: Resource =
        Resource::v1("apps", "controllerrevisions", "controllerrevision", "ControllerRevision");
    pub const JOB: Resource = Resource::v1("batch", "jobs", "job", "Job");
    pub const CRON_JOB: Resource = Resource::v1("batch", "cronjobs", "cronjob", "CronJob");

    pub const BUDGET: Resource = Resource::v1(
        "policy",
        "poddisruptionbudgets",
        "poddisruptionbudget",
        "PodDisruptionBudget",
    );
    pub const LEASE: Resource = Resource::v1("coordination.k8s.io", "leases", "lease", "Lease");
    pub const ENDPOINT_SLICE: Resource =
        Resource::v1("discovery.k8s.io", "endpointslices", "endpointslice", "EndpointSlice");
    pub const NETWORK_POLICY: Resource =
        Resource::v1("networking.k8s.io", "networkpolicies", "networkpolicy", "NetworkPolicy");
    pub const STORAGE_CLASS: Resource =
        Resource::v1("storage.k8s.io", "storageclasses", "storageclass", "StorageClass")
            .cluster_wide();
    pub const ATTACHMENT: Resource =
        Resource::v1("storage.k8s.io", "volumeattachments", "volumeattachment", "VolumeAttachment")
            .cluster_wide();
    pub const SNAPSHOT: Resource =
        Resource::v1(SNAPSHOT_GROUP, "volumesnapshots", "volumesnapshot", "VolumeSnapshot");
    pub const SNAPSHOT_CLASS: Resource = Resource::v1(
        SNAPSHOT_GROUP,
        "volumesnapshotclasses",
        "volumesnapshotclass",
        "VolumeSnapshotClass",
    )
    .cluster_wide();

    pub const HPA: Resource = Resource::v1(
        "autoscaling",
        "horizontalpodautoscalers",
        "horizontalpodautoscaler",
        "HorizontalPodAutoscaler",
    )
    .version("v2");
    pub const VPA: Resource = Resource::v1(
        "autoscaling.k8s.io",
        "verticalpodautoscalers",
        "verticalpodautoscaler",
        "VerticalPodAutoscaler",
    );
    pub const SCALED_OBJECT: Resource =
        Resource::v1("keda.sh", "scaledobjects", "scaledobject", "ScaledObject")
            .version("v1alpha1");
    pub const REPLICATION_SOURCE: Resource = Resource::v1(
        "volsync.backube",
        "replicationsources",
        "replicationsource",
        "ReplicationSource",
    )
    .version("v1alpha1");

    const fn v1(
        group: &'static str,
        plural: &'static str,
        singular: &'static str,
        kind: &'static str,
    ) -> Resource {
        Resource { group, version: "v1", plural, singular, kind, namespaced: true }
    }

    const fn version(self, version: &'static str) -> Resource {
        Resource { version, ..self }
    }

    const fn cluster_wide(self) -> Resource {
        Resource { namespaced: false, ..self }
    }

    /// `statefulsets.apps`, as in RBAC and error messages.
    pub fn name(self) -> String {
        self.with_group(self.plural)
    }

    /// `apps/v1`, as in manifests.
    pub fn api_version(self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether apiVersion and kind are of this resource, in any version of the
    /// API.
    pub fn is_of(self, api_version: &str, kind: &str) -> bool {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.kind == kind && self.group == group
    }

    /// The object with this name. Cluster-scoped kinds ignore `namespace`.
    pub fn object(self, namespace: &str, name: &str) -> Object {
        let namespace = self.namespaced.then(|| namespace.to_owned());
        Object { resource: self, namespace, name: name.to_owned() }
    }

    /// All objects of this kind in a namespace, or in the cluster for
    /// cluster-scoped kinds.
    pub fn within(self, namespace: &str) -> Listing {
        self.list(Some(namespace))
    }

    /// All objects of this kind.
    pub fn everywhere(self) -> Listing {
        self.list(None)
    }

    /// All objects of this kind in a namespace, or in all of them.
    pub fn list(self, namespace: Option<&str>) -> Listing {
        let namespace = namespace.filter(|_| self.namespaced).map(str::to_owned);
        Listing { resource: self, namespace, query: Vec::new() }
    }

    /// A name of the kind with its group: `statefulset.apps`, as kubectl names it.
    pub fn with_group(self, name: &str) -> String {
        if self.group.is_empty() { name.to_owned() } else { format!("{name}.{}", self.group) }
    }

    fn collection(self, namespace: Option<&str>) -> String {
        let api = if self.group.is_empty() { "/api" } else { "/apis" };
        let place = namespace.map(|namespace| format!("/namespaces/{}", encode(namespace)));
        format!("{api}/{}{}/{}", self.api_version(), place.unwrap_or_default(), self.plural)
    }
}

/// One object, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub resource: Resource,
    /// `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    pub name: String,
}

impl Object {
    /// The path to read it.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.collection(), encode(&self.name))
    }

    /// The path to write it: the same, but rejects invalid names.
    pub(super) fn checked_path(&self) -> Result<String, Failure> {
        segment(&self.name)?;
        Ok(self.path())
    }

    /// The path to create it.
    pub(super) fn checked_collection(&self) -> Result<String, Failure> {
        self.namespace.as_deref().map(segment).transpose()?;
        Ok(self.collection())
    }

    fn collection(&self) -> String {
        self.resource.collection(self.namespace.as_deref())
    }
}

impl fmt::Display for Object {
    /// As kubectl names it: `statefulset.apps/web`, `pod/web-0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource.with_group(self.resource.singular), self.name)
    }
}

/// A list of objects: the kind, the namespace, and selectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    resource: Resource,
    namespace: Option<String>,
    query: Vec<String>,
}

impl Listing {
    pub fn resource(&self) -> Resource {
        self.resource
    }

    /// Only objects that match a label selector.
    #[must_use]
    pub fn labelled(self, selector: &str) -> Listing {
        self.with("labelSelector", selector)
    }

    /// Only objects that match a field selector: `type=Warning`.
    #[must_use]
    pub fn whose(self, fields: &str) -> Listing {
        self.with("fieldSelector", fields)
    }

    /// Only the object with this name, as a list that can be watched.
    #[must_use]
    pub fn named(self, name: &str) -> Listing {
        self.whose(&format!("metadata.name={name}"))
    }

    /// At most this many per page.
    #[must_use]
    pub fn limit(self, limit: usize) -> Listing {
        self.with("limit", &limit.to_string())
    }

    /// The page with this continue token; the first page for an empty one.
    #[must_use]
    pub fn page(self, token: &str) -> Listing {
        if token.is_empty() { self } else { self.with("continue", token) }
    }

    #[must_use]
    pub(super) fn with(mut self, key: &str, value: &str) -> Listing {
        self.query.push(format!("{key}={}", encode(value)));
        self
    }

    pub(super) fn path(&self) -> String {
        let path = self.resource.collection(self.namespace.as_deref());
        if self.query.is_empty() { path } else { format!("{path}?{}", self.query.join("&")) }
    }
}

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Checks that a name is a single segment of a URL path.
fn segment(name: &str) -> Result<&str, Failure> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if !name.is_empty() && name != "." && name != ".." && name.bytes().all(fits) {
        return Ok(name);
    }
    Err(Failure::Unreadable {
        request_line: RequestLine::unknown(),
        cause: format!("{name:?} is not a valid object name"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_asked_for_where_it_is() {
        let claims = Resource::CLAIM.within("db").limit(500).page("to/ken");
        assert_eq!(
            claims.path(),
            "/api/v1/namespaces/db/persistentvolumeclaims?limit=500&continue=to%2Fken"
        );
        let sets = Resource::STATEFUL_SET.within("db").named("web");
        assert_eq!(
            sets.path(),
            "/apis/apps/v1/namespaces/db/statefulsets?fieldSelector=metadata.name%3Dweb"
        );
        assert_eq!(Resource::VOLUME.within("db").path(), "/api/v1/persistentvolumes");
        assert_eq!(
            Resource::SCALED_OBJECT.everywhere().path(),
            "/apis/keda.sh/v1alpha1/scaledobjects"
        );
    }

    #[test]
    fn an_object_is_named_as_kubectl_names_it() {
        let web = Resource::STATEFUL_SET.object("db", "web");
        assert_eq!(web.to_string(), "statefulset.apps/web");
        assert_eq!(web.path(), "/apis/apps/v1/namespaces/db/statefulsets/web");
        assert_eq!(Resource::VOLUME.object("db", "pv-1").to_string(), "persistentvolume/pv-1");
        assert_eq!(Resource::VOLUME.object("db", "pv-1").path(), "/api/v1/persistentvolumes/pv-1");
    }

    #[test]
    fn a_kind_is_known_in_whatever_version() {
        assert!(Resource::HPA.is_of("autoscaling/v1", "HorizontalPodAutoscaler"));
        assert!(Resource::POD.is_of("v1", "Pod"));
        assert!(!Resource::STATEFUL_SET.is_of("apps.kruise.io/v1beta1", "StatefulSet"));
    }
}
