//! References to objects as kubectl accepts them: `web`, `sts/web`,
//! `statefulsets.v1.apps/web`, or `sts web`.

use std::fmt;

/// The kinds that our commands accept as arguments.
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

/// Kinds that people name by mistake, and what each is called. Only for the
/// message: no command takes them where a set is wanted.
const OTHER_KINDS: [(&str, &[&str]); 8] = [
    ("Pod", &["pod", "pods", "po"]),
    ("PersistentVolumeClaim", &["persistentvolumeclaim", "persistentvolumeclaims", "pvc"]),
    ("PersistentVolume", &["persistentvolume", "persistentvolumes", "pv"]),
    ("DaemonSet", &["daemonset", "daemonsets", "ds"]),
    ("ReplicaSet", &["replicaset", "replicasets", "rs"]),
    ("Job", &["job", "jobs"]),
    ("CronJob", &["cronjob", "cronjobs", "cj"]),
    ("Node", &["node", "nodes", "no"]),
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

/// Why the arguments do not name an object that the command accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongReference {
    /// A word that is no resource type that we know.
    UnknownType {
        word: String,
        wanted: &'static str,
    },
    /// A known type, but not the one that this command accepts.
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
                Some((kind, name)) => (known_kind(kind, wanted)?, &name.to_owned()),
            },
            [kind, name] => match known_kind(kind, wanted) {
                // Two names, and not a kind that nobody knows.
                Err(WrongReference::UnknownType { .. }) => {
                    return Err(WrongReference::TooMany(words.to_vec()));
                }
                kind => (kind?, name),
            },
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

impl Reference {
    /// Reads words as any number of objects of kind `wanted`: `web db`,
    /// `sts/web sts/db`, or `sts web db`.
    ///
    /// # Errors
    /// When one names another kind, or nothing.
    pub fn parse_all(
        words: &[String],
        wanted: &'static str,
    ) -> Result<Vec<Reference>, WrongReference> {
        if let [kind, names @ ..] = words
            && !names.is_empty()
            && known_kind(kind, wanted).is_ok()
        {
            let named = |name: &String| Reference::parse(&[kind.clone(), name.clone()], wanted);
            return names.iter().map(named).collect();
        }
        words.iter().map(|word| Reference::parse(std::slice::from_ref(word), wanted)).collect()
    }
}

/// Reads `sts`, `statefulsets.apps` or `statefulsets.v1.apps`.
fn known_kind(word: &str, wanted: &'static str) -> Result<&'static str, WrongReference> {
    let lower = word.to_ascii_lowercase();
    let (name, rest) = lower.split_once('.').unwrap_or((&lower, ""));
    let kind = KINDS.iter().find(|kind| {
        let qualified = format!("{}.{}", kind.version, kind.group);
        kind.names.contains(&name)
            && (rest.is_empty() || rest == kind.group || rest == qualified.trim_end_matches('.'))
    });
    let other = || OTHER_KINDS.iter().find(|(_, names)| names.contains(&name));
    match (kind, other()) {
        (Some(kind), _) => Ok(kind.kind),
        (None, Some((got, _))) => Err(WrongReference::WrongKind { got, wanted }),
        (None, None) => Err(WrongReference::UnknownType { word: word.to_owned(), wanted }),
    }
}

impl fmt::Display for WrongReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // No server was asked, so nothing is said about what one has.
            WrongReference::UnknownType { word, wanted } => {
                write!(f, "this command takes a {wanted}, and \"{word}\" is no name for that kind")
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
                write!(f, "name one object, not several: {}", words.join(" "))
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
    fn several_are_named_as_kubectl_names_them() {
        let parse = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let all = Reference::parse_all(&words, "StatefulSet");
            all.map(|all| all.into_iter().map(|one| one.name).collect::<Vec<_>>())
        };
        for words in
            [&["web", "db"][..], &["sts/web", "statefulset.apps/db"], &["sts", "web", "db"]]
        {
            assert_eq!(parse(words).unwrap(), ["web", "db"], "{words:?}");
        }
        assert_eq!(parse(&["sts", "web"]).unwrap(), ["web"]);
        assert_eq!(parse(&[]).unwrap(), [] as [&str; 0]);
        assert!(parse(&["web", "deploy/db"]).is_err());
    }

    #[test]
    fn what_names_no_set_is_said() {
        let wrong = |words: &[&str]| parse(words).unwrap_err();
        assert_eq!(wrong(&["deploy/web"]), "this command takes a StatefulSet, not a Deployment");
        assert_eq!(wrong(&["pod/web-0"]), "this command takes a StatefulSet, not a Pod");
        assert_eq!(
            wrong(&["pvc", "x"]),
            "this command takes a StatefulSet, not a PersistentVolumeClaim"
        );
        assert_eq!(
            wrong(&["sts.batch/web"]),
            "this command takes a StatefulSet, and \"sts.batch\" is no name for that kind"
        );
        assert!(wrong(&["sts/"]).contains("single resource and name"));
        assert!(wrong(&["sts", "a/b"]).contains("single resource and name"));
        assert_eq!(wrong(&["par", "part"]), "name one object, not several: par part");
        assert_eq!(wrong(&["sts", "web", "db"]), "name one object, not several: sts web db");
    }
}
