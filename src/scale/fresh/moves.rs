//! The next move of setting claims aside, or of leaving them after all. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{Aside, Disk, not_aside, volume_of};
use crate::{
    cluster::{Resource, Write, claims::Claims},
    handover::{
        self, Held, Reserved, Tag, is_bound, is_marked, is_protected, is_tagged, needs_hold,
        reserved,
    },
    output::{Exit, text::list},
    workload::{
        Finding, MIGRATION_MARK, Pod,
        raw::{is_leaving, name, phase, text, uid},
    },
};

/// What is next.
#[derive(Clone, Debug)]
pub enum Move {
    /// Only the first write is essential: the others speed up the binding.
    Write {
        writes: Vec<Write>,
        /// The disk whose claims are touched.
        touches: Option<usize>,
    },
    /// There is nothing to do before the cluster changes.
    Wait {
        what: String,
    },
    Done,
    /// Something is in the way.
    Stop {
        exit: Exit,
        finding: Finding,
    },
}

/// The next move. `touched` are the disks whose claims this run has touched
/// since the volume was handed over.
pub fn next(world: &Claims, aside: &Aside, touched: &BTreeSet<usize>, now: Timestamp) -> Move {
    let stands = || aside.disks.iter().map(|disk| Stand::of(world, disk));
    if let Some(write) = stands().find_map(|stand| stand.let_go()) {
        return one(write);
    }
    for (index, stand) in stands().enumerate() {
        let next = if stand.disk.back {
            stand.give_back()
        } else {
            stand.next(&stand.disk.op, index, touched, now)
        };
        if let Some(next) = next {
            return next;
        }
    }
    Move::Done
}

fn one(write: Write) -> Move {
    Move::Write { writes: vec![write], touches: None }
}

/// A disk as it is now.
pub(super) struct Stand<'a> {
    world: &'a Claims,
    disk: &'a Disk,
    new_name: &'a str,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    volume: Option<&'a Value>,
}

impl<'a> Stand<'a> {
    pub(super) fn of(world: &'a Claims, disk: &'a Disk) -> Stand<'a> {
        let is_it = |held: &'a Held| move |found: &&Value| uid(found) == held.uid;
        let new_name = name(&disk.new);
        Stand {
            world,
            disk,
            new_name,
            old: world.claims.get(&disk.old.name).filter(is_it(&disk.old)),
            new: world.claims.get(new_name),
            volume: world.volumes.get(&disk.volume.name).filter(is_it(&disk.volume)),
        }
    }

    /// Releases a claim that was deleted while it is held; this comes before all
    /// checks.
    fn let_go(&self) -> Option<Write> {
        [self.old, self.new].into_iter().flatten().find_map(|claim| {
            let volume = volume_of(self.world, claim);
            handover::finish_deletion(claim, volume, Some(&self.disk.original))
        })
    }

    fn next(
        &self,
        op: &str,
        index: usize,
        touched: &BTreeSet<usize>,
        now: Timestamp,
    ) -> Option<Move> {
        let Stand { disk, old, new, .. } = *self;
        let tagged = self.volume.is_some_and(|volume| is_tagged(volume, op));
        if old.is_none() && !tagged && new.is_none_or(|new| !is_marked(new)) {
            return None;
        }
        if let Some(users) = self.users() {
            return Some(self.blocked(format!("claim {} is in use by {users}", disk.old.name)));
        }
        let Some(volume) = self.volume else {
            return Some(self.blocked(format!("volume {} is gone", disk.volume.name)));
        };
        if let Some(other) = Tag::of(volume).filter(|tag| tag.op != op) {
            let message = format!("volume {} is part of operation {}", name(volume), other.op);
            return Some(self.blocked(message));
        }
        if old.is_some() && !is_protected(volume, op) {
            return Some(one(handover::protect(volume, &disk.original)));
        }
        let Some(new) = new else {
            let summary = format!("for volume {}", disk.volume.name);
            return Some(one(handover::make(disk.new.clone(), summary)));
        };
        if !handover::is_of(new, op) || is_leaving(new) {
            return Some(self.blocked(format!("claim {} already exists", self.new_name)));
        }
        let touches = || {
            let claims = [old, Some(new)].into_iter().flatten();
            claims.map(|claim| handover::touch(claim, now))
        };
        let whose = (text(&disk.new, "/metadata/namespace").unwrap_or_default(), self.new_name);
        match reserved(volume, &disk.old, Some(new), whose) {
            // Someone has set the policy back, and no claim holds the volume any more.
            Reserved::Old | Reserved::Stale if !is_protected(volume, op) => {
                return Some(one(handover::protect(volume, &disk.original)));
            }
            // The old claim may be gone: nothing else names the volume then. If
            // someone deleted the new claim, it has just been created again.
            Reserved::Old | Reserved::Stale => {
                let Some(swap) = handover::swap(volume, new) else {
                    let message =
                        format!("claim {} does not name volume {}", self.new_name, name(volume));
                    return Some(self.blocked(message));
                };
                let writes = std::iter::once(swap).chain(touches()).collect();
                return Some(Move::Write { writes, touches: Some(index) });
            }
            Reserved::New => {}
            Reserved::Elsewhere => {
                return Some(
                    self.blocked(format!("volume {} now belongs to another claim", name(volume))),
                );
            }
        }
        if !is_bound(volume, new) {
            return Some(if touched.contains(&index) {
                let what = format!("claim {} to be bound to {}", self.new_name, name(volume));
                Move::Wait { what }
            } else {
                Move::Write { writes: touches().collect(), touches: Some(index) }
            });
        }
        if let Some(old) = old {
            return Some(if is_leaving(old) {
                Move::Wait { what: format!("claim {} to be gone", disk.old.name) }
            } else {
                let why = format!("Lost: volume {} belongs to {}", name(volume), self.new_name);
                one(handover::delete(Resource::CLAIM, old, why))
            });
        }
        let write = if !tagged {
            handover::clean(Resource::CLAIM, new, &[], Some(volume))
        } else if needs_hold(&disk.original, new) {
            handover::hold(new)
        } else {
            handover::release(volume, new, &disk.original)
        };
        match write {
            Some(write) => Some(one(write)),
            None => {
                Some(self.blocked(format!("claim {} is not in the expected state", self.new_name)))
            }
        }
    }

    /// Takes our marks away while the volume is still with its claim.
    fn give_back(&self) -> Option<Move> {
        let Stand { disk, .. } = *self;
        let gone = |what: &str| self.blocked(format!("{what} has changed hands meanwhile"));
        let Some((old, volume)) = self.old.zip(self.volume).filter(|(old, pv)| is_bound(pv, old))
        else {
            return Some(gone(&format!("volume {}", disk.volume.name)));
        };
        let is_ours = |new: &&Value| handover::is_of(new, &disk.op);
        if let Some(new) = self.new.filter(is_ours) {
            return Some(if is_leaving(new) {
                Move::Wait { what: format!("claim {} to be gone", self.new_name) }
            } else {
                let why = format!("volume {} stays with {}", disk.volume.name, disk.old.name);
                one(handover::delete(Resource::CLAIM, new, why))
            });
        }
        if is_tagged(volume, &disk.op) && !handover::is_of(old, &disk.op) {
            // Once the volume has no tag, this is what leads to the claim.
            let mark = handover::annotate(old, MIGRATION_MARK, Some(&disk.op));
            let why = "until the policy of its volume is restored";
            return Some(one(handover::patch(Resource::CLAIM, old, mark, why)));
        }
        if !is_tagged(volume, &disk.op) {
            return handover::clean(Resource::CLAIM, old, &[], Some(volume)).map(one);
        }
        let write = if needs_hold(&disk.original, old) {
            handover::hold(old)
        } else {
            handover::release(volume, old, &disk.original)
        };
        Some(write.map_or_else(|| gone(&format!("claim {}", disk.old.name)), one))
    }

    /// The pods that use the claim, under either name. A pod without a node does
    /// not use a claim that has lost its volume, and cannot get a node with it. One that
    /// has finished keeps the claim from being deleted until it is deleted itself.
    pub(super) fn users(&self) -> Option<String> {
        let uses = |pod: &&Pod, claim: &String| {
            let counts = |old: &Value| phase(old) != "Lost" || pod.node.is_some();
            claim == self.new_name || (*claim == self.disk.old.name && self.old.is_some_and(counts))
        };
        let pods = self.world.pods.iter();
        let keeps = |pod: &&Pod| !pod.is_finished() || pod.node.is_some();
        let users: Vec<String> = pods
            .filter(keeps)
            .filter(|pod| pod.claims.iter().any(|claim| uses(pod, claim)))
            .map(|pod| {
                let what =
                    if pod.is_finished() { " (finished, and to be deleted first)" } else { "" };
                format!("{}{what}", pod.name)
            })
            .collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        (!users.is_empty()).then(|| list(&users))
    }

    fn blocked(&self, message: String) -> Move {
        Move::Stop { exit: Exit::Conflict, finding: not_aside(&self.disk.old.name, message) }
    }
}
