//! What every command shares on its way out: streams, colours, tables, trees,
//! the JSON envelope, errors, exit codes, progress and prompts.
//!
//! Nothing here knows Kubernetes, and nothing else writes to the streams.

mod confirm;
mod envelope;
mod error;
mod exit;
pub mod follow;
pub mod layout;
mod live;
pub mod table;
mod terminal;
pub mod text;

pub use confirm::{Confirmed, ConsentArgs, Question};
pub use envelope::{Envelope, Failure, Format};
pub use error::Error;
pub use exit::Exit;
pub use layout::Look;
pub use live::Live;
pub use terminal::{Paint, Palette, Terminal};
