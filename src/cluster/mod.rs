//! The only place that names kube.

mod objects;
pub mod offline;
