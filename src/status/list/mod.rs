//! `status` of many sets: one row each, sorted by trouble.
//!
//! Every set is judged by [`super::plan::judge`], as its tree is, so that a row
//! and the tree never disagree. What differs is how the facts are read: in whole
//! lists, a fixed number of them however many sets there are, instead of lists
//! for each set. `read` asks the server for them page by page, `offline` takes
//! them from files. `sets` keeps what they say, as little of it as the rules
//! need, and hands it out set by set. `row` is what is left of a set once it is
//! judged, `report` the table and the document.

mod compact;
mod offline;
mod read;
pub mod report;
mod row;
mod run;
mod sets;

pub use row::Row;
pub use run::run;
