//! Gates: what must hold at an ordinal before the next one moves.
//!
//! `spec` has the file that lists them, `args` the flags that do the same, and
//! `values` the types of their fields. `check` makes one attempt at a gate, and
//! `tries` counts attempts. All but `check` are pure.

pub mod args;
pub mod check;
pub mod spec;
pub mod tries;
pub mod values;

pub use args::GateArgs;
pub use spec::Gates;
