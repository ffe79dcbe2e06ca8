//! What `migrate` has to say: of a conversion, of a plan, of a move.

mod convert;
mod emit;
mod moving;
mod plan;

pub use self::{
    convert::{Document, document, notes},
    emit::emit,
    moving::{ListView, View, render, render_list},
    plan::{PlanView, plan_text, recovery_text, render_plan},
};
