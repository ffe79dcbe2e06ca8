//! The ways kubectl lets people name an object: `web`, `sts/web`,
//! `statefulsets.v1.apps/web`, or `sts web`.

use std::fmt;

/// The kinds that our commands take as arguments.
const KINDS: [Kind; 3] = [
    Kind {
        kind: "StatefulSet",
        group: "apps",
        version: "v1",
        names: &["statefulset", "statefulsets", "sts"],
    },
    Kind {
        kind: "Deployment",
        group: "apps",
        version: "v1",
        names: &["deployment", "deployments", "deploy"],
    },
    Kind { kind: "Service", group: "", version: "v1", names: &["service", "services", "svc"] },
];

struct Kind {
    kind: &'static str,
    group: &'static str,
    version: &'static str,
    names: &'static [&'static str],
}

/// An object that a user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub kind: &'static str,
    pub name: String,
}

/// Why the words name no object that the command takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongReference {
    /// The resource type is none of ours.
    UnknownType(String),
    /// A known type, but not one that this command takes.
    WrongKind {
        got: &'static str,
        wanted: &'static str,
    },
    /// `sts/` or `sts/a/b`.
    Malformed(String),
    TooMany(Vec<String>),
}

impl Reference {
    /// Reads one or two words as an object of kind `wanted`.
    ///
    /// # Errors
    /// When they name another kind, or nothing.
    pub fn parse(words: &[String], wanted: &'static str) -> Result<Reference, WrongReference> {
        let (kind, name) = match words {
            [word] => match word.split_once('/') {
                None => (wanted, word),
                Some((kind, name)) => (known_kind(kind)?, &name.to_owned()),
            },
            [kind, name] => (known_kind(kind)?, name),
            _ => return Err(WrongReference::TooMany(words.to_vec())),
        };
        if kind != wanted {
            return Err(WrongReference::WrongKind { got: kind, wanted });
        }
        if name.is_empty() || name.contains('/') {
            return Err(WrongReference::Malformed(words.join(" ")));
        }
        Ok(Reference { kind, name: name.clone() })
    }
}

/// Reads `sts`, `statefulsets.apps` or `statefulsets.v1.apps`.
fn known_kind(word: &str) -> Result<&'static str, WrongReference> {
    let lower = word.to_ascii_lowercase();
    let (name, rest) = lower.split_once('.').unwrap_or((&lower, ""));
    let kind = KINDS.iter().find(|kind| {
        let qualified = format!("{}.{}", kind.version, kind.group);
        kind.names.contains(&name)
            && (rest.is_empty() || rest == kind.group || rest == qualified.trim_end_matches('.'))
    });
    kind.map(|kind| kind.kind).ok_or_else(|| WrongReference::UnknownType(word.to_owned()))
}

impl fmt::Display for WrongReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // kubectl's sentence for the same mistake.
            WrongReference::UnknownType(word) => {
                write!(f, "the server doesn't have a resource type \"{word}\"")
            }
            WrongReference::WrongKind { got, wanted } => {
                write!(f, "this command takes a {wanted}, not a {got}")
            }
            WrongReference::Malformed(words) => {
                write!(
                    f,
                    "arguments in resource/name form must have a single resource and name: {words}"
                )
            }
            WrongReference::TooMany(words) => {
                write!(f, "one object at a time, got: {}", words.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Reference::parse(&words, "StatefulSet")
            .map(|reference| reference.name)
            .map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn every_spelling_of_kubectl_names_the_set() {
        for words in [
            &["web"][..],
            &["sts/web"],
            &["statefulset/web"],
            &["statefulsets/web"],
            &["StatefulSet/web"],
            &["statefulset.apps/web"],
            &["statefulsets.v1.apps/web"],
            &["sts", "web"],
            &["statefulsets.apps", "web"],
        ] {
            assert_eq!(parse(words).as_deref(), Ok("web"), "{words:?}");
        }
    }

    #[test]
    fn what_names_no_set_is_said() {
        let wrong = |words: &[&str]| parse(words).unwrap_err();
        assert_eq!(wrong(&["deploy/web"]), "this command takes a StatefulSet, not a Deployment");
        assert_eq!(wrong(&["pod/web-0"]), "the server doesn't have a resource type \"pod\"");
        assert_eq!(
            wrong(&["sts.batch/web"]),
            "the server doesn't have a resource type \"sts.batch\""
        );
        assert!(wrong(&["sts/"]).contains("single resource and name"));
        assert!(wrong(&["sts", "a/b"]).contains("single resource and name"));
        assert_eq!(wrong(&["sts", "web", "db"]), "one object at a time, got: sts web db");
    }
}
