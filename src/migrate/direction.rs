//! The next move of a migration in whatever direction it goes. Pure.

use jiff::Timestamp;

use super::{
    finalize,
    forward::{self, Checks, Memory, Move},
    journal::{Intent, Journal},
    recover, rollback,
    world::World,
};

/// The next move in this direction.
pub fn next(
    intent: Intent,
    world: &World,
    journal: &Journal,
    checks: Checks,
    memory: &Memory,
    now: Timestamp,
) -> Move {
    match intent {
        Intent::Forward => forward::next(world, journal, checks, memory, now),
        Intent::Back => rollback::next(world, journal, memory),
        Intent::Finish => finalize::next(world, journal, memory, now),
        Intent::Recover => recover::next(world, journal, memory, now),
    }
}
