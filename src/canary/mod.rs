//! `canary`: moves a StatefulSet to a new version, ordinal by ordinal, and back.
//!
//! How a canary goes:
//!
//! 1. `start` reads the set and checks the [`guards`]. The server validates the
//!    [`change`] of the template, and one write changes template and partition. A
//!    [`record`] in an annotation keeps what the pods do not show: the revision to
//!    go back to.
//! 2. Only the highest ordinal is above the partition, so the controller replaces
//!    that one. It is watched until it has passed the [`gates`].
//! 3. [`plan::next`] decides the next move: wait, check, prepare the next lower
//!    ordinal, step, finish. It is pure, and looks at pods, never at the counts in
//!    the status. Every step lowers the partition by one, and its preconditions
//!    are what it was decided on.
//! 4. The partition is the pause: no pod moves after the goal is reached, nor
//!    after this program was killed. The same command continues.
//! 5. After the last ordinal, the update strategy is restored.
//!
//! [`abort`] goes the other way. It puts the template of the saved
//! ControllerRevision back, byte for byte, and deletes pods that the controller
//! would wait for forever (kubernetes #67250), the lowest first.
//!
//! `run/` carries out what these modules decide, [`report`] shows it.

pub mod abort;
pub mod allowed;
pub mod args;
pub mod change;
pub mod claims;
pub mod comeback;
mod container_edits;
pub mod diff;
pub mod foreign;
pub mod foresight;
pub mod forget;
pub mod gates;
pub mod guards;
mod image;
pub mod lines;
pub mod missing;
pub mod no_canary;
pub mod outlook;
mod patch_file;
pub mod plan;
pub mod refused;
pub mod report;
pub mod rules;
pub mod run;
mod strategic;
pub mod way_back;
pub mod writes;

use crate::output::{Error, Exit};
pub use crate::workload::canary as record;

/// Reads the file that a flag names, or stdin for `-`.
fn read_file(name: &str) -> Result<String, Error> {
    let text = if name == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(name)
    };
    text.map_err(|error| Error::new(Exit::Usage, format!("cannot read {name}: {error}")))
}
