//! `version`: which program this is.

use clap::Args;
use serde::Serialize;

use crate::output::{Envelope, Error, Exit, Format, Terminal};

/// The version of this program.
pub const NUMBER: &str = env!("CARGO_PKG_VERSION");

/// Print the version of this plugin
///
/// Asks no server.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  kubectl stateful version\n  kubectl stateful version -o json")]
pub struct VersionArgs {
    /// How to write the answer
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Format,
}

/// The payload of `version -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Version {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

/// Prints it.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(args: &VersionArgs, terminal: Terminal) -> Result<Exit, Error> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let text = match args.output {
        Format::Json | Format::Yaml | Format::Jsonl => {
            let payload = Version { version: NUMBER, os, arch };
            Envelope::new("version", Exit::Done, &[], &[], payload).render(args.output)?
        }
        Format::Table | Format::Wide | Format::Name => {
            format!("kubectl-stateful v{NUMBER} ({os}/{arch})\n")
        }
    };
    terminal.answer(&text)?;
    Ok(Exit::Done)
}
