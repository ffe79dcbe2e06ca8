//! stub
use super::hand::Hand;
use crate::{
    canary::{
        gates::Gates,
        plan::{Move, Stand},
    },
    output::Exit,
    workload::Finding,
};
use std::{future::Future, pin::Pin};
pub enum Answer {
    Yes,
    No { exit: Exit, finding: Finding },
}
pub struct Asked {
    pub what: String,
    pub work: Pin<Box<dyn Future<Output = Answer>>>,
}
pub fn ask(_hand: &Hand<'_>, _gates: &Gates, stand: &Stand, _next: &Move, index: u32) -> Asked {
    Asked {
        what: format!("the checks of {}", stand.name(index)),
        work: Box::pin(async { Answer::Yes }),
    }
}
