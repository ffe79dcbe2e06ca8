//! What a verb would write from here on, for a dry run. Pure.
//!
//! Each write is applied to a copy of the objects, and the verb is asked again
//! what comes next: so it is the verb itself that is shown, and not a second
//! account of it. What controllers would do is not guessed: where the verb would
//! wait for them, the preview ends.

use jiff::Timestamp;

use super::{
    forward::{Memory, Move},
    journal::Journal,
    world::World,
    writes,
};
use crate::{cluster::Write, workload::Finding};

/// More moves than any verb has: one that goes in a circle must not hang.
const MOST_MOVES: usize = 1_000;

/// The writes of a verb, and how they end.
#[derive(Debug)]
pub struct Preview {
    pub writes: Vec<Write>,
    pub end: PreviewEnd,
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

/// What a verb would do, whose next move is `next`.
pub fn preview(
    world: &World,
    journal: &Journal,
    now: Timestamp,
    next: impl Fn(&World, &Memory) -> Move,
) -> Preview {
    let (mut world, mut memory) = (world.clone(), Memory::default());
    let mut preview = Preview { writes: Vec::new(), end: PreviewEnd::Done };
    for _ in 0..MOST_MOVES {
        let act = match next(&world, &memory) {
            Move::Act(act) => act,
            Move::Done => return preview,
            Move::Wait { what } | Move::Watch { what, .. } => {
                preview.end = PreviewEnd::Waits(what);
                return preview;
            }
            Move::Verify => {
                preview.end = PreviewEnd::Waits("the command of --verify-exec".to_owned());
                return preview;
            }
            Move::Stop { finding, .. } => {
                preview.end = PreviewEnd::Stops(finding);
                return preview;
            }
        };
        let of_act = writes::of(act, journal, &world, now).unwrap_or_default();
        if of_act.is_empty() {
            break;
        }
        for write in of_act {
            let target = write.object().clone();
            let object = write.applied_to(world.object(&target));
            world.put(&target, object);
            preview.writes.push(write);
        }
        memory.did(act);
    }
    preview.end = PreviewEnd::Waits("the objects to change".to_owned());
    preview
}
