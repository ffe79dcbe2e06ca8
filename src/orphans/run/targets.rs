//! What `orphans delete` is to delete: by name, from a report, or by class and
//! label.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    cluster::Cluster,
    manifests::texts,
    orphans::{args::DeleteArgs, classify::judge, delete::Target, read, row::Row, rules},
    output::{
        Error, Exit,
        text::{count, list},
    },
    workload::{
        Finding, Unread,
        raw::{items, text},
    },
};

/// The objects to delete, and what is worth knowing of how they were chosen.
#[derive(Default)]
pub struct Chosen {
    pub targets: Vec<Target>,
    pub findings: Vec<Finding>,
    /// What could not be read while they were looked for.
    pub unread: Vec<Unread>,
}

/// The objects that the flags name. `only` is the namespace of `-n`.
///
/// # Errors
/// When a name or the report cannot be read, or the server fails.
pub async fn chosen(
    args: &DeleteArgs,
    only: Option<&str>,
    cluster: &Cluster,
) -> Result<Chosen, Error> {
    match &args.from {
        Some(path) => from_report(path, only),
        None if args.names.is_empty() => matching(args, cluster).await,
        None => {
            let targets = named(&args.names, cluster.namespace())?;
            Ok(Chosen { targets, ..Chosen::default() })
        }
    }
}

/// A claim or volume, as it is named on a command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Named<'a> {
    pub is_volume: bool,
    pub namespace: Option<&'a str>,
    pub name: &'a str,
}

/// Whether a word is kubectl's for claims, or for volumes.
fn is_volume_kind(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "pvc" | "persistentvolumeclaim" | "persistentvolumeclaims" => Some(false),
        "pv" | "persistentvolume" | "persistentvolumes" => Some(true),
        _ => None,
    }
}

/// Whether the server could have an object of this name.
fn is_name(word: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = word.as_bytes();
    bytes.len() <= 253
        && bytes.iter().copied().all(fits)
        && edge(bytes.first())
        && edge(bytes.last())
}

/// `NAME`, `pvc/NAME`, `pv/NAME`, or `NAMESPACE/pvc/NAME` as `-o name` writes it
/// for all namespaces.
///
/// # Errors
/// When it is none of them.
pub fn parse(word: &str) -> Result<Named<'_>, Error> {
    let wrong = |hint: &str| {
        Error::usage(format!("{word:?} is not the name of a claim or a volume")).hint(hint)
    };
    let forms = "write NAME, pvc/NAME, pv/NAME, or NAMESPACE/pvc/NAME";
    let parts: Vec<&str> = word.split('/').collect();
    let (namespace, kind, name) = match parts.as_slice() {
        [name] => (None, "pvc", *name),
        [kind, name] => (None, *kind, *name),
        [namespace, kind, name] => (Some(*namespace), *kind, *name),
        _ => return Err(wrong(forms)),
    };
    let is_volume = is_volume_kind(kind).ok_or_else(|| wrong(forms))?;
    if name.contains(['*', '?', '[']) {
        return Err(wrong("names have no patterns; --selector and --class choose several"));
    }
    let namespaced = namespace.is_none_or(|namespace| is_name(namespace) && !is_volume);
    if !is_name(name) || !namespaced {
        return Err(wrong(forms));
    }
    Ok(Named { is_volume, namespace, name })
}

fn named<'a>(words: &'a [String], namespace: &str) -> Result<Vec<Target>, Error> {
    // As with kubectl: `pvc a b`.
    let kind = words.first().and_then(|word| is_volume_kind(word));
    let names: Vec<Named<'_>> = match kind {
        Some(_) if words.len() == 1 => {
            return Err(Error::usage(format!("{:?} is a kind, and no name follows", words[0]))
                .hint(format!("a claim of that name: pvc/{}", words[0])));
        }
        Some(is_volume) => {
            let of_kind = |word: &'a String| match parse(word)? {
                named if !word.contains('/') => Ok(Named { is_volume, ..named }),
                _ => Err(Error::usage(format!("{word:?} has a kind, and {:?} is one", words[0]))),
            };
            words[1..].iter().map(of_kind).collect::<Result<_, Error>>()?
        }
        None => words.iter().map(|word| parse(word)).collect::<Result<_, _>>()?,
    };
    let mut targets: Vec<Target> = Vec::new();
    for Named { is_volume, namespace: own, name } in names {
        let namespace = (!is_volume).then(|| own.unwrap_or(namespace).to_owned());
        let target = Target { is_volume, namespace, name: name.to_owned(), uid: None };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// The claims that the report would list with these classes and labels.
async fn matching(args: &DeleteArgs, cluster: &Cluster) -> Result<Chosen, Error> {
    let mut facts = read::facts(cluster, Some(cluster.namespace())).await?;
    read::check_namespace(cluster, &mut facts).await?;
    let verdict = judge(&facts, Timestamp::now());
    let is_wanted = |row: &&Row| {
        let of_class = match args.class.as_slice() {
            [] => row.orphan,
            classes => classes.contains(&row.class),
        };
        of_class
            && args.selector.labels.as_ref().is_none_or(|selector| selector.matches(&row.labels))
    };
    let (volumes, claims): (Vec<_>, Vec<_>) =
        verdict.rows.iter().filter(is_wanted).partition(|row| row.is_volume());
    let target = |row: &&Row| Target {
        is_volume: false,
        namespace: row.namespace.clone(),
        name: row.name.clone(),
        uid: Some(row.uid.clone()),
    };
    let names: Vec<&str> = volumes.iter().map(|row| row.name.as_str()).collect();
    Ok(Chosen {
        targets: claims.iter().map(target).collect(),
        findings: volumes_stay(&names).into_iter().collect(),
        unread: facts.unread,
    })
}

/// Volumes are deleted by name only.
fn volumes_stay(names: &[&str]) -> Option<Finding> {
    let first = names.first()?;
    let message = format!(
        "{} ({}) not deleted: volumes are deleted by name only",
        count(names.len(), "volume"),
        list(names)
    );
    Some(rules::SKIPPED.found(format!("persistentvolume/{first}"), message))
}

/// The orphans of a report, each with its uid; of one namespace `only`, if one is
/// named.
fn from_report(path: &str, only: Option<&str>) -> Result<Chosen, Error> {
    let report = read_report(path)?;
    let (mut chosen, mut volumes, mut elsewhere) = (Chosen::default(), Vec::new(), Vec::new());
    for item in items(&report, "/items").filter(|item| item["orphan"] == true) {
        let word = |key: &str| item[key].as_str().filter(|word| !word.is_empty());
        let (Some(kind), Some(name), Some(uid)) = (word("kind"), word("name"), word("uid")) else {
            return Err(Error::usage(format!("an item in {path} has no kind, name or uid")));
        };
        match (is_volume_kind(kind), word("namespace")) {
            (Some(true), _) => volumes.push(name),
            (Some(false), None) => {
                return Err(Error::usage(format!("claim {name} in {path} has no namespace")));
            }
            (Some(false), Some(namespace)) if only.is_some_and(|only| only != namespace) => {
                elsewhere.push(format!("{namespace}/{name}"));
            }
            (Some(false), Some(namespace)) => chosen.targets.push(Target {
                is_volume: false,
                namespace: Some(namespace.to_owned()),
                name: name.to_owned(),
                uid: Some(uid.to_owned()),
            }),
            (None, _) => {
                return Err(Error::usage(format!("{path} contains an item of kind {kind}")));
            }
        }
    }
    chosen.findings.extend(volumes_stay(&volumes));
    if let Some(first) = elsewhere.first() {
        let message = format!(
            "{} ({}) not deleted: in another namespace than -n names",
            count(elsewhere.len(), "claim"),
            list(&elsewhere)
        );
        chosen
            .findings
            .push(rules::SKIPPED.found(format!("persistentvolumeclaim/{first}"), message));
    }
    Ok(chosen)
}

fn read_report(path: &str) -> Result<Value, Error> {
    let texts = texts(&[path.to_owned()])?;
    let text_of = texts.into_iter().next().map(|file| file.text).unwrap_or_default();
    let wrong =
        |error: &dyn std::error::Error| Error::usage(format!("{path} is not a report: {error}"));
    let report: Value = if text_of.trim_start().starts_with('{') {
        serde_json::from_str(&text_of).map_err(|error| wrong(&error))?
    } else {
        serde_saphyr::from_str(&text_of).map_err(|error| wrong(&error))?
    };
    if text(&report, "/schema") != Some("kubectl-stateful/orphans/v1") {
        return Err(Error::usage(format!("{path} is not a report of kubectl stateful orphans"))
            .hint("kubectl stateful orphans -o json writes one"));
    }
    Ok(report)
}

/// The error for a name that nothing has, and that no volume remembers.
pub fn not_found(target: &Target, cluster: &Cluster) -> Error {
    let Target { is_volume, namespace, name, .. } = target;
    let kind = if *is_volume { "persistentvolumes" } else { "persistentvolumeclaims" };
    let headline = format!("Error from server (NotFound): {kind} \"{name}\" not found");
    let error = Error::with_headline(Exit::Error, headline);
    match namespace {
        Some(namespace) => error
            .caused_by(format!("it is not in namespace {namespace}, and no volume was its"))
            .caused_by("nothing was changed; --ignore-not-found goes on with the others")
            .hint(format!(
                "kubectl get pvc -A --field-selector metadata.name={name}{}",
                cluster.flags()
            )),
        None => error.caused_by("nothing was changed; --ignore-not-found goes on with the others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_its_kind_and_its_namespace() {
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let targets = named(&words, "here").map_err(|error| error.to_string())?;
            let one = |target: Target| (target.is_volume, target.namespace, target.name);
            Ok::<_, String>(targets.into_iter().map(one).collect::<Vec<_>>())
        };
        let claim =
            |namespace: &str, name: &str| (false, Some(namespace.to_owned()), name.to_owned());
        let volume = |name: &str| (true, None, name.to_owned());
        assert_eq!(of(&["a"]), Ok(vec![claim("here", "a")]));
        assert_eq!(of(&["pvc/a", "pv/b"]), Ok(vec![claim("here", "a"), volume("b")]));
        assert_eq!(of(&["shop/persistentvolumeclaim/a"]), Ok(vec![claim("shop", "a")]));
        // As one types it for kubectl.
        assert_eq!(of(&["pvc", "a", "b"]), Ok(vec![claim("here", "a"), claim("here", "b")]));
        assert_eq!(of(&["pv", "b"]), Ok(vec![volume("b")]));
        for wrong in [
            &["pvc"][..],
            &["data-*"],
            &["a b"],
            &["A"],
            &["/a"],
            &["a/"],
            &["pod/a"],
            &["x/pv/a"],
            &["pvc", "pvc/a"],
            &["-a"],
            &[""],
            &["a/pvc/b/c"],
        ] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
