//! Hands a volume over from one claim to another without data loss. Pure: each
//! function looks at objects as they were read and gives the next write,
//! together with its preconditions on the server.
//!
//! `migrate`, `migrate recover`, `scale --fresh`, `orphans delete` and `orphans
//! adopt` all hand volumes over, or delete a claim and keep its volume. A claim
//! cannot be renamed or pointed at another volume, but the `spec.claimRef` of a
//! volume can change. The steps, in this order; no user needs all of them:
//!
//! | step | preconditions | purpose |
//! | --- | --- | --- |
//! | [`protect`] | the volume is the one that was read | Its policy becomes `Retain`, and the same write notes the policy that it had. From here on a claim can be deleted without the volume. A run that continues after a kill finds the note, and never takes our `Retain` for the original policy. |
//! | [`reserve`] | `Retain`; the volume is unchanged since it was read | For a volume whose claim is gone: it is reserved for a claim name. It is never left unreserved, because any claim could bind it then. |
//! | [`swap`] | `Retain`; the volume still belongs to the claim that was read; the new claim names this volume and is not being deleted | For a volume whose claim exists: one write gives it to the other claim. If that claim named another volume, the binder would undo this, or worse. |
//! | [`touch`] | the claim is the one that was read | The binder looks at a claim when the claim changes, and otherwise every 15 seconds. |
//! | create the claim | the name is free | [`claim_for`] gives a claim for exactly this volume. With `spec.volumeName` set, no provisioner creates a blank disk for it. |
//! | [`hold_to_go`] | the claim is unchanged since it was read, and so not being deleted | For a claim that has its volume when it is deleted: the claim gets our finalizer, [`KEEPS`]. |
//! | delete the claim | the claim is the one that was read | Only while it has [`KEEPS`] and its volume is `Retain`, or while its volume belongs to another claim. |
//! | [`let_go`] | the claim is unchanged since it was read; its volume is `Retain` still | The finalizer is removed, and the claim goes. |
//! | [`hold`] | the claim is unchanged since it was read, and so not being deleted | The claim gets our finalizer, [`HOLD`]. |
//! | [`release`] | volume and claim are bound to each other; the claim has our finalizer and is not being deleted | One write restores the policy of the volume and removes the note. |
//! | [`let_go`] | the claim is unchanged since it was read; if it is being deleted, the volume is not its own or is [withheld](withhold) | Our finalizer is removed. |
//!
//! **Why the claim is held.** The policy is on the volume, the deletion is on the
//! claim, and no write can test both. Without the finalizer, someone could delete
//! the claim between our read of it and our write to the volume, and the volume
//! would be deleted with it. With the finalizer, such a claim stays until we look
//! again ([`is_waiting_for_us`]). Then its volume is [withheld](withhold) from it:
//! `Retain` again, with the claim's uid noted. This changes the volume, so a
//! [`release`] that was decided on before, by us or by another process, fails
//! from then on, and no new one is decided on. Only then is the finalizer removed.
//!
//! **Why a claim is held to be deleted.** For the same reason, the other way round.
//! Somebody may give the volume its policy back between our look at it and the
//! deletion of the claim. With [`KEEPS`] the claim stays, deleted, until we have
//! looked at the volume once more: if it is not `Retain`, it is withheld first.
//! Whoever changes the policy after that does so under a claim that is seen to be
//! deleted. A claim that is not deleted after all is [spared](spare).
//!
//! **Killed at any point.** Before `release`, the volume is `Retain` and has its
//! note: the same command continues from there. Between `hold` and `let_go`, the
//! finalizer stays on the claim. The same command removes it, and so does any of
//! our commands that deletes the claim. The same goes for [`KEEPS`], which `orphans
//! adopt` of the same volume and ordinal removes too: it takes the deletion back.
//!
//! **Other people.** If someone deletes a claim, the volume is kept, at any point
//! up to the last write; after that its own policy applies again. A claim that is
//! created again with the same name is another claim: all steps go by uid. Two
//! things cannot be prevented: someone who removes our finalizer by force and
//! deletes the claim before our next look, and someone who resets the policy of a
//! protected volume by hand.

pub mod disk;
mod look;
mod marks;
mod patch;
mod writes;

pub use look::{
    Reserved, holds, is_bound, is_held, is_held_to_go, is_marked, is_of, is_protected, is_tagged,
    is_waiting_for_us, may_go, needs_hold, reserved,
};
pub use marks::{
    ASIDE, BOUND_BY_CONTROLLER, CLAIM_DELETED, HOLD, Held, KEEPS, KEPT_POLICY, Original, SCALING,
    TOUCHED, Tag, book_name, is_journal_of, is_of_scaling,
};
pub use patch::{annotate, delete, label_gone, object, patch, test};
pub use writes::{
    claim_for, clean, finish_deletion, hold, hold_for, hold_to_go, leave, let_go,
    let_go_with_volume, make, protect, release, reserve, spare, swap, touch, withhold,
};
