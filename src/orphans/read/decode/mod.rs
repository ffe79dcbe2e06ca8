//! Objects in Protocol Buffers. The numbers are those of the `generated.proto`
//! files in k8s.io/api and k8s.io/apimachinery, which never change.

mod disks;
mod fields;
mod users;

use self::{
    disks::{attachment, claim, volume},
    fields::{Parts, meta},
    users::{named, of_template, pod, scaler, set, workload},
};
use super::item::Item;
use crate::{
    cluster::protobuf::wire::{Fields, Malformed},
    orphans::model::{Kind, Uid},
    workload::pool::Pool,
};

/// Reads one object of a list of this kind.
pub fn item(kind: Kind, bytes: &[u8], pool: &mut Pool) -> Result<Item, Malformed> {
    let mut parts = Parts::default();
    for field in Fields(bytes) {
        match field? {
            (1, value) => parts.meta = value.bytes()?,
            (2, value) => parts.spec = value.bytes()?,
            (3, value) => parts.status = value.bytes()?,
            _ => {}
        }
    }
    match kind {
        Kind::Claim => claim(&parts, pool).map(Item::Claim),
        Kind::Volume => volume(&parts, pool).map(Item::Volume),
        Kind::Pod => pod(&parts, pool),
        Kind::StatefulSet => set(&parts, pool),
        Kind::Autoscaler => scaler(&parts, pool).map(Item::Scaler),
        Kind::Attachment => attachment(&parts, pool).map(Item::Attachment),
        // Custom resources are not served in this format.
        Kind::ScaledObject => Err(Malformed("a custom resource")),
        // Its template stands where others have a spec.
        Kind::PodTemplate => {
            let meta = meta(parts.meta, false, pool)?;
            let found = of_template(Fields(parts.spec), pool)?;
            Ok(Item::Workload(Uid::of(meta.uid), named(kind, &meta, found, pool)))
        }
        plain => workload(plain, &parts, pool),
    }
}
