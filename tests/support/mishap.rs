//! What goes wrong at a request, in the sweeps over all of them.

use super::{Answer, Fault, FaultProxy, Output, Seen, Victim};

/// What goes wrong. The server never ends a watch by itself, so on a watch a
/// fault that waits for the end of the answer strikes before the request.
#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    KilledBefore,
    KilledAfter,
    DroppedBefore,
    DroppedAfter,
    Conflict,
    /// 429, with the seconds after which to try again.
    TooMany(u32),
    Internal,
}

impl Mishap {
    pub const KILLED: [Mishap; 2] = [Mishap::KilledBefore, Mishap::KilledAfter];
    pub const DROPPED: [Mishap; 2] = [Mishap::DroppedBefore, Mishap::DroppedAfter];
    pub const ERRORS: [Mishap; 4] =
        [Mishap::Conflict, Mishap::TooMany(0), Mishap::TooMany(1), Mishap::Internal];

    /// Has it happen at the requests for which `strikes` holds. Returns the
    /// process to kill, which is still to be named in [`super::Run::victim`].
    pub fn inject(
        self,
        proxy: &FaultProxy,
        mut strikes: impl FnMut(&Seen) -> bool + Send + 'static,
    ) -> Victim {
        let victim = Victim::default();
        let killed = victim.clone();
        proxy.on(move |seen| strikes(seen).then(|| self.fault(seen, &killed)));
        victim
    }

    fn fault(self, request: &Seen, victim: &Victim) -> Fault {
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

    /// Whether a run that met it may end like this. The next run must succeed
    /// all the same.
    pub fn may_end(self, output: &Output) -> bool {
        match self {
            Mishap::KilledBefore | Mishap::KilledAfter => output.signal() == Some(9),
            // All is done, and the last look failed.
            _ if output.code() == Some(8) => output.stdout.contains("could not be read"),
            // 7: refused before anything was written.
            Mishap::Conflict => matches!(output.code(), Some(1 | 7)),
            _ => output.code() == Some(1),
        }
    }
}
