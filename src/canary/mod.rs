//! `canary`: a StatefulSet to a new version, ordinal by ordinal, and back.

pub mod change;
pub mod gates;
mod strategic;
