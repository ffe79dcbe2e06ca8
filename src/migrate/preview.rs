//! What a verb would write from here on, for a dry run. Pure.
//!
//! Each write is applied to a copy of the objects, and the verb is asked again
//! what comes next: so it is the verb itself that is shown, and not a second
//! account of it. Where the verb would wait, [`settled`] says what controllers make
//! of the objects when nothing is in their way. What that does not foresee, such as
//! a copy, ends the preview.

use jiff::Timestamp;
use serde_json::json;

use super::{
    direction,
    forward::{Checks, Memory, Move},
    journal::{Intent, Journal},
    settled::settle,
    world::World,
    writes,
};
use crate::{cluster::Write, workload::Finding};

/// More moves than any verb has: one that goes in a circle must not hang.
const MOST_MOVES: usize = 1_000;

/// What a verb would do, and how that ends.
#[derive(Debug)]
pub struct Preview {
    pub steps: Vec<Step>,
    pub end: PreviewEnd,
}

/// One step of a verb.
#[derive(Debug)]
pub enum Step {
    Write(Box<Write>),
    /// The verb waits for this, which is expected to come.
    Wait(String),
}

/// Why a preview goes no further.
#[derive(Clone, Debug, PartialEq)]
pub enum PreviewEnd {
    /// The verb has reached its end.
    Done,
    /// The verb would wait for this, and then look again.
    Waits(String),
    /// The verb would stop for this.
    Stops(Finding),
}

/// What a verb that goes in this direction would do.
pub fn preview(
    intent: Intent,
    world: &World,
    journal: &Journal,
    checks: Checks,
    now: Timestamp,
) -> Preview {
    let (mut world, mut memory) = (world.clone(), Memory::default());
    let mut steps = Vec::new();
    for _ in 0..MOST_MOVES {
        let end = match direction::next(intent, &world, journal, checks, &memory, now) {
            Move::Act(act) => {
                let of_act = writes::of(act, journal, &world, now).unwrap_or_default();
                if of_act.is_empty() {
                    break;
                }
                for write in of_act {
                    let target = write.object().clone();
                    let is_new = world.object(&target).is_none();
                    let mut object = write.applied_to(world.object(&target));
                    if let Some(object) = object.as_mut().filter(|_| is_new) {
                        // Only the server knows which.
                        object["metadata"]["uid"] = json!(format!("<uid of {target}>"));
                        object["metadata"]["generation"] = json!(1);
                    }
                    world.put(&target, object);
                    steps.push(Step::Write(Box::new(write)));
                }
                memory.did(act);
                continue;
            }
            Move::Wait { what } if settle(&mut world, journal) => {
                steps.push(Step::Wait(what));
                continue;
            }
            Move::Verify => {
                steps.push(Step::Wait("the command of --verify-exec to succeed".to_owned()));
                memory.verified = true;
                continue;
            }
            Move::Done => PreviewEnd::Done,
            Move::Wait { what } | Move::Watch { what, .. } => PreviewEnd::Waits(what),
            Move::Stop { finding, .. } => PreviewEnd::Stops(finding),
        };
        return Preview { steps, end };
    }
    Preview { steps, end: PreviewEnd::Waits("the objects to change".to_owned()) }
}
