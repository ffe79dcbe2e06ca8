//! The output of all commands: streams, colours, tables, the JSON envelope,
//! errors, exit codes, watch output and prompts.
//!
//! Nothing here knows Kubernetes, and nothing else writes to stdout or stderr.

mod confirm;
mod envelope;
mod error;
mod exit;
pub mod layout;
mod live;
pub mod switches;
pub mod table;
pub mod template;
mod terminal;
pub mod text;
pub mod usage;
pub mod watch_printer;

pub use confirm::{Confirmed, ConsentArgs, Question};
pub use envelope::{Envelope, Failure, Format};
pub use error::Error;
pub use exit::Exit;
pub use layout::Look;
pub use live::Live;
#[cfg(test)]
pub use terminal::captured;
pub use terminal::{Paint, Palette, Terminal};
