//! The domain, without kube: sets, ordinals, revisions, pods, claims,
//! volumes, and who manages what.
//!
//! Objects are parsed at the edge (`cluster/`) into these types, from a
//! cluster or from files, and every planner works on them alone.

mod digest;
mod facts;
mod finding;
mod manager;
mod pod;
mod reference;
mod selector;
mod set;
mod snapshot;
mod storage;
mod survey;

pub use digest::digest;
pub use facts::{Autoscaler, Budget, Event, Facts, Node, Read, Revision, Unread};
pub use finding::{Finding, Rule, Severity};
pub use manager::{Manager, ManagerKind, managers};
pub use pod::{Condition, ContainerState, ContainerStatus, Ended, Pod, Trouble};
pub use reference::{Reference, WrongReference};
pub use selector::{Expression, Selector, contains_all};
pub use set::{
    CANARY_ANNOTATION, ClaimTemplate, Container, FieldManager, MIGRATION_MARK, PodManagement,
    PodTemplate, Probe, ProbeKind, Retention, SetStatus, StatefulSet, Strategy, canonical_ordinal,
};
pub use snapshot::{SNAPSHOT_GROUP, SnapshotClass, Snapshots, snapshot_of, snapshot_state};
pub use storage::{Claim, ClaimRef, Class, Owner, Service, Volume, bytes, same_quantity};
pub use survey::{Slot, SlotClaim, Survey};
