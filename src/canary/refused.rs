//! Why a change cannot be made.

use std::fmt;

use crate::output::{Error, Exit};

/// Why there is no patch for a change.
#[derive(Debug)]
pub enum Refused {
    /// A flag names a container that the template does not have.
    UnknownContainer { flag: &'static str, container: String, known: Vec<String> },
    /// The value of a flag, or the file behind it, is malformed.
    Malformed { flag: &'static str, value: String, why: String },
    /// The patch changes more than the template; these are the paths. A canary
    /// could not revert them.
    ForbiddenFields(Vec<String>),
    /// The patch file cannot be read.
    Unreadable(Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::UnknownContainer { flag, container, known } => write!(
                f,
                "{flag} names the container {container:?}, and the template has {}",
                known.join(", ")
            ),
            Refused::Malformed { flag, value, why } => {
                write!(f, "invalid value {value:?} for {flag}: {why}")
            }
            Refused::ForbiddenFields(paths) => {
                write!(f, "the patch changes more than spec.template: {}", paths.join(", "))
            }
            Refused::Unreadable(error) => f.write_str(error.headline()),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::Unreadable(error) => error,
            Refused::ForbiddenFields(_) => Error::new(Exit::Refused, refused),
            _ => Error::usage(refused),
        }
    }
}
