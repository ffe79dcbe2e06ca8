//! What happens at a request, in the sweeps over all of them.

use super::{Answer, Fault, Output, Seen, Victim};

/// The server never ends a watch by itself, so what would wait for the end of
/// its answer happens before it.
#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    KilledBefore,
    KilledAfter,
    DroppedBefore,
    DroppedAfter,
    Conflict,
    /// To come again in so many seconds.
    TooMany(u32),
    Internal,
}

impl Mishap {
    pub const KILLED: [Mishap; 2] = [Mishap::KilledBefore, Mishap::KilledAfter];
    pub const DROPPED: [Mishap; 2] = [Mishap::DroppedBefore, Mishap::DroppedAfter];
    pub const ERRORS: [Mishap; 4] =
        [Mishap::Conflict, Mishap::TooMany(0), Mishap::TooMany(1), Mishap::Internal];

    pub fn fault(self, request: &Seen, victim: &Victim) -> Fault {
        match self {
            Mishap::KilledAfter if !request.watch => Fault::KillAfter(victim.clone()),
            Mishap::KilledBefore | Mishap::KilledAfter => Fault::KillBefore(victim.clone()),
            Mishap::DroppedAfter if !request.watch => Fault::DropAfter,
            Mishap::DroppedAfter => Fault::CutWatchAfter(1),
            Mishap::DroppedBefore => Fault::DropBefore,
            Mishap::Conflict => Fault::Answer(Answer::conflict()),
            Mishap::TooMany(seconds) => Fault::Answer(Answer::too_many_requests(seconds)),
            Mishap::Internal => Fault::Answer(Answer::internal_error()),
        }
    }

    /// Whether a run that met it may end so; whoever comes next then ends as
    /// always.
    pub fn may_end(self, output: &Output) -> bool {
        match self {
            Mishap::KilledBefore | Mishap::KilledAfter => output.signal() == Some(9),
            // Refused before anything was written: look, and plan again.
            Mishap::Conflict => matches!(output.code(), Some(1 | 7)),
            _ => output.code() == Some(1),
        }
    }
}
