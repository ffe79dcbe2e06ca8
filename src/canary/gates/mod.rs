//! Gates: what must hold at an ordinal before the next one moves.
//!
//! `spec` is the file that says which there are, `args` the flags that say the
//! same; both are pure, and so is `tries`, which counts attempts. `check` makes
//! one attempt.

pub mod args;
pub mod check;
pub mod spec;
pub mod tries;

pub use args::GateArgs;
pub use spec::Gates;
