//! The domain without kube: sets, ordinals, revisions, pods, claims, volumes,
//! and who manages what.
//!
//! `cluster/` converts objects from a cluster or from files to these types, and
//! planners work only on them.

pub mod canary;
mod digest;
mod facts;
mod finding;
mod manager;
mod pod;
mod pod_view;
pub mod pool;
pub mod raw;
mod record;
mod reference;
pub mod rollout;
mod selector;
mod set;
mod snapshot;
mod storage;
mod survey;

pub use digest::{digest, fingerprint};
pub use facts::{Attachment, Autoscaler, Budget, Event, Facts, Node, Read, Revision, Unread};
pub(crate) use finding::rule;
pub use finding::{Allowed, Finding, Rule, Severity, refuses};
pub use manager::{Manager, ManagerKind, managers};
pub use pod::{
    Condition, ContainerRole, ContainerState, ContainerStatus, Ended, InitStep, Pod, Trouble,
};
pub use pod_view::PodView;
pub use record::{Unusable, record_of, remove_annotation};
pub use reference::{Reference, WrongReference};
pub use selector::{Expression, Selector, contains_all};
pub use set::{
    CANARY_ANNOTATION, ClaimTemplate, Container, FieldManager, MIGRATION_MARK, Operation,
    PodManagement, PodTemplate, Probe, ProbeKind, Retention, SCALE_ANNOTATION, SetStatus,
    StatefulSet, Strategy, canonical_ordinal,
};
pub use snapshot::{SNAPSHOT_GROUP, SnapshotClass, Snapshots, snapshot_of, snapshot_state};
pub use storage::{
    Claim, ClaimRef, Class, Owner, Service, Volume, VolumeSeen, bytes, has_volume, same_quantity,
};
pub use survey::{Slot, SlotClaim, Survey};
