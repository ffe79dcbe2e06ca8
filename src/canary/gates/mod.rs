//! Gates: what must hold at an ordinal before the next one moves.
//!
//! `spec` has the file that lists them, `checks` and `leader` the two kinds of
//! entries that have forms of their own, `args` the flags that do the same, and
//! `values` the types of their fields. `check` makes one attempt at a gate, and
//! `tries` counts attempts. All but `check` are pure.

pub mod args;
pub mod check;
pub mod checks;
pub mod leader;
pub mod spec;
pub mod tries;
pub mod values;

pub use args::GateArgs;
pub use spec::Gates;
