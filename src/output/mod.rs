//! What every command shares on its way out: streams, colours, tables, trees,
//! the JSON envelope, errors, exit codes, progress and prompts.
//!
//! Nothing here knows Kubernetes, and nothing else writes to the streams.

mod confirm;
mod error;
mod exit;
mod terminal;
pub mod text;

pub use confirm::{Confirmed, ConsentArgs, Question};
pub use error::Error;
pub use exit::Exit;
pub use terminal::{Paint, Palette, Terminal};
