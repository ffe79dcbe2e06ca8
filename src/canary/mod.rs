//! `canary`: a StatefulSet to a new version, ordinal by ordinal, and back.
//!
//! How a canary goes:
//!
//! 1. `start` reads the set ([`guards`] says what speaks against it), has the
//!    server try the new template ([`change`]), and changes template and
//!    partition in one write. A [`record`] in one annotation keeps what the
//!    pods cannot tell: the revision to go back to.
//! 2. Only the highest ordinal lies above the partition, so the controller
//!    replaces that one. It is watched until the [`gates`] have judged it.
//! 3. [`plan::next`] names the next move: wait, check, prepare the ordinal
//!    below, step, finish. It is pure, and looks at pods, never at what the
//!    status says of them. Every step moves the partition by one and carries
//!    what it was decided on as its precondition.
//! 4. When the goal is reached the set rests, and so it does whenever this
//!    program is killed: the partition is the pause. The same verb goes on.
//! 5. After the last ordinal the strategy from before comes back.
//!
//! `abort` is the same the other way ([`back`]): the template of the saved
//! ControllerRevision, byte for byte, and pods that the controller would wait
//! for without end (kubernetes #67250) are deleted, lowest first.
//!
//! `run/` carries out what these modules decide, `report` shows it.

pub mod args;
pub mod back;
pub mod change;
pub mod gates;
pub mod guards;
pub mod plan;
pub mod record;
pub mod report;
pub mod rules;
pub mod run;
mod strategic;
pub mod writes;

use crate::output::{Error, Exit};

/// Reads what a flag names: a file, or `-` for stdin.
fn read_file(name: &str) -> Result<String, Error> {
    let text = if name == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(name)
    };
    text.map_err(|error| Error::new(Exit::Usage, format!("cannot read {name}: {error}")))
}
