//! The `version` command.

use clap::Args;
use serde::Serialize;

use crate::{
    flags::OutputArg,
    output::{Envelope, Error, Exit, Format, Terminal},
};

/// The version of this program.
pub const NUMBER: &str = env!("CARGO_PKG_VERSION");

/// Print the version of this plugin
///
/// Does not contact a server.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  kubectl stateful version\n  kubectl stateful version -o json")]
pub struct VersionArgs {
    #[command(flatten)]
    pub output: OutputArg,

    /// Only the version of this program: what is printed anyway
    #[arg(long, hide = true)]
    pub client: bool,
}

/// The payload of `version -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Version {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

/// Prints the version.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(args: &VersionArgs, terminal: Terminal) -> Result<Exit, Error> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let text = match args.output.format {
        Format::Json | Format::Yaml | Format::Jsonl => {
            let payload = Version { version: NUMBER, os, arch };
            Envelope::new("version", Exit::Done, &[], &[], payload).render(args.output.format)?
        }
        Format::Table | Format::Wide | Format::Name => {
            format!("kubectl-stateful v{NUMBER} ({os}/{arch})\n")
        }
    };
    terminal.answer(&text)?;
    Ok(Exit::Done)
}
