//! What is wrong with a pod, or will be, for every command that has to know:
//! `status` makes findings of it, and `canary` stops for it. Pure.

mod creation;
mod leftover;
mod not_kept;
mod pod;

pub use creation::{Refusal, namespace_deleting, refused};
pub use leftover::next_change_reaches;
pub use not_kept::not_kept;
pub use pod::{
    Killer, Problem, UNBOUND_CLAIMS, broken, has_restarted_often, is_being_scheduled, overdue,
    problem, restarting, unready,
};
