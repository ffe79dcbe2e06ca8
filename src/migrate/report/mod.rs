//! The reports of `migrate`: of a conversion, a plan, and a migration.

mod convert;
mod emit;
mod list;
mod moving;
mod plan;
mod recovery;

pub use self::{
    convert::{Document, document, notes},
    emit::emit,
    list::{ListView, Lists, Looked, render_list, render_nothing},
    moving::{View, render},
    plan::{PlanView, plan_text, render_plan},
    recovery::{CandidatesView, RecoveryView},
};
