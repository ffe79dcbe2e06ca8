//! The findings of `migrate`, each with the text of its section in
//! docs/findings.md.

mod convert;
mod exits;
mod moving;

pub use self::{
    convert::*,
    exits::{exit_codes, refused_for, stopped_for},
    moving::*,
};
use crate::workload::Rule;

/// Every rule of `migrate`, in the order of docs/findings.md.
pub fn all() -> Vec<&'static Rule> {
    [convert::REFUSALS, moving::GUARDS, convert::WARNINGS, convert::NOTES, moving::STOPS].concat()
}

/// Refusals that `--allow ID` overrides for a live application.
pub fn allowable() -> Vec<&'static Rule> {
    [BY_CONVERSION, BY_MOVE].concat()
}
