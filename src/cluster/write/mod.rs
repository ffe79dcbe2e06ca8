//! Every write to the cluster is described here and sent by [`send`].
//!
//! A write cannot be built without a precondition and cannot be sent for real
//! without confirmation. The line that reports it and the kubectl command that
//! does the same come from the same description.

mod apply;
mod send;

use serde_json::{Map, Value, json};

use super::{Object, error::shell_quoted, rights::Right};
use crate::output::Confirmed;

/// Our field manager in `managedFields`.
pub const FIELD_MANAGER: &str = "kubectl-stateful";

/// What must still hold for a patch to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The object has not changed since it was read.
    ResourceVersion(String),
    /// It is still the same object, not another one with the same name.
    Uid(String),
}

/// A change to an object, with its precondition inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    kind: PatchKind,
    body: Value,
    subresource: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PatchKind {
    Merge,
    Json,
    Strategic,
}

impl PatchKind {
    fn content_type(self) -> &'static str {
        match self {
            PatchKind::Merge => "application/merge-patch+json",
            PatchKind::Json => "application/json-patch+json",
            PatchKind::Strategic => "application/strategic-merge-patch+json",
        }
    }

    /// kubectl's `--type`.
    fn flag(self) -> &'static str {
        match self {
            PatchKind::Merge => "merge",
            PatchKind::Json => "json",
            PatchKind::Strategic => "strategic",
        }
    }
}

impl Patch {
    /// A JSON merge patch: lists are replaced whole, `null` removes.
    #[must_use]
    pub fn merge(precondition: &Precondition, fields: Map<String, Value>) -> Patch {
        Patch::with_metadata(PatchKind::Merge, precondition, fields)
    }

    /// A strategic merge patch: lists with a merge key are merged by it.
    #[must_use]
    pub fn strategic(precondition: &Precondition, fields: Map<String, Value>) -> Patch {
        Patch::with_metadata(PatchKind::Strategic, precondition, fields)
    }

    /// A JSON patch that applies only while the value at `path` is `expected`.
    #[must_use]
    pub fn json(path: &str, expected: &Value, operations: Vec<Value>) -> Patch {
        let mut body = vec![json!({ "op": "test", "path": path, "value": expected })];
        body.extend(operations);
        Patch { kind: PatchKind::Json, body: Value::Array(body), subresource: None }
    }

    /// Sends the patch to a subresource, such as `scale` or `status`.
    #[must_use]
    pub fn on(mut self, subresource: &'static str) -> Patch {
        self.subresource = Some(subresource);
        self
    }

    /// The API server compares `resourceVersion` and `uid` of a patch with those
    /// of the object, and rejects the patch when they differ.
    fn with_metadata(
        kind: PatchKind,
        precondition: &Precondition,
        mut fields: Map<String, Value>,
    ) -> Patch {
        let (field, value) = match precondition {
            Precondition::ResourceVersion(version) => ("resourceVersion", version),
            Precondition::Uid(uid) => ("uid", uid),
        };
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if !metadata.is_object() {
            *metadata = json!({});
        }
        metadata[field] = json!(value);
        Patch { kind, body: Value::Object(fields), subresource: None }
    }
}

/// Escapes a key for use in a JSON pointer (RFC 6901).
pub fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What happens to the objects that a deleted object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    /// They stay and lose their owner.
    Orphan,
}

impl Propagation {
    fn api_name(self) -> &'static str {
        match self {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        }
    }

    /// kubectl's `--cascade`.
    fn flag(self) -> &'static str {
        match self {
            Propagation::Background => "background",
            Propagation::Foreground => "foreground",
            Propagation::Orphan => "orphan",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Verb {
    Patch(Patch),
    /// The name is the precondition: the server answers 409 when it is taken.
    Create(Value),
    Delete {
        uid: String,
        resource_version: Option<String>,
        propagation: Propagation,
    },
}

/// A write, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    object: Object,
    verb: Verb,
    /// What changes, shown in brackets after the object: `partition 3 -> 2`.
    summary: String,
}

/// Whether a write is real or a dry run.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Real: somebody confirmed it.
    Real(&'a Confirmed),
    /// The server does everything except store it.
    ServerDryRun,
    /// Nothing is sent.
    ClientDryRun,
}

impl Mode<'_> {
    fn suffix(self) -> &'static str {
        match self {
            Mode::Real(_) => "",
            Mode::ServerDryRun => " (server dry run)",
            Mode::ClientDryRun => " (dry run)",
        }
    }
}

/// `--dry-run`, with kubectl's values; without a value it is `client`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DryRun {
    #[default]
    None,
    /// Show what would be sent
    Client,
    /// Let the server check it without storing it
    Server,
}

impl Write {
    #[must_use]
    pub fn patch(object: Object, patch: Patch, summary: impl Into<String>) -> Write {
        Write { object, verb: Verb::Patch(patch), summary: summary.into() }
    }

    /// `body` is the whole object.
    #[must_use]
    pub fn create(object: Object, body: Value, summary: impl Into<String>) -> Write {
        Write { object, verb: Verb::Create(body), summary: summary.into() }
    }

    /// Deletes the object with this uid, not another one with the same name.
    #[must_use]
    pub fn delete(
        object: Object,
        uid: impl Into<String>,
        resource_version: Option<String>,
        propagation: Propagation,
        summary: impl Into<String>,
    ) -> Write {
        let verb = Verb::Delete { uid: uid.into(), resource_version, propagation };
        Write { object, verb, summary: summary.into() }
    }

    pub fn is_deletion(&self) -> bool {
        matches!(self.verb, Verb::Delete { .. })
    }

    /// The right that it needs.
    pub fn right(&self) -> Right {
        let (verb, subresource) = match &self.verb {
            Verb::Patch(patch) => ("patch", patch.subresource.unwrap_or_default()),
            Verb::Create(_) => ("create", ""),
            Verb::Delete { .. } => ("delete", ""),
        };
        Right { verb, resource: self.object.resource, subresource }
    }

    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The line that reports the write: `statefulset.apps/web patched
    /// (partition 3 -> 2)`.
    #[must_use]
    pub fn done(&self, mode: Mode<'_>) -> String {
        let verb = match self.verb {
            Verb::Patch(_) => "patched",
            Verb::Create(_) => "created",
            Verb::Delete { .. } => "deleted",
        };
        let mut line = format!("{} {verb}", self.object);
        if !self.summary.is_empty() {
            line.push_str(" (");
            line.push_str(&self.summary);
            line.push(')');
        }
        line.push_str(mode.suffix());
        line
    }

    /// The kubectl command that does the same. kubectl has no flag for the
    /// precondition of a delete, so a comment names it.
    #[must_use]
    pub fn as_kubectl(&self, mode: Mode<'_>, connection_flags: &[String]) -> String {
        let Object { namespace, .. } = &self.object;
        let mut words = vec!["kubectl".to_owned()];
        let target = self.object.to_string();
        let mut trailer = String::new();
        match &self.verb {
            Verb::Patch(patch) => {
                words.extend(["patch".to_owned(), target]);
                if let Some(subresource) = patch.subresource {
                    words.push(format!("--subresource={subresource}"));
                }
                words.push(format!("--type={}", patch.kind.flag()));
                words.push(format!("--field-manager={FIELD_MANAGER}"));
                words.extend(["-p".to_owned(), patch.body.to_string()]);
            }
            Verb::Create(body) => {
                words.extend(["create".to_owned(), "-f".to_owned(), "-".to_owned()]);
                words.push(format!("--field-manager={FIELD_MANAGER}"));
                trailer = format!(" <<< {}", shell_quoted(&body.to_string()));
            }
            Verb::Delete { uid, resource_version, propagation } => {
                words.extend(["delete".to_owned(), target]);
                words.push(format!("--cascade={}", propagation.flag()));
                words.push("--wait=false".to_owned());
                trailer = format!(" # only if its uid is still {uid}");
                if let Some(version) = resource_version {
                    trailer = format!("{trailer} and its resourceVersion {version}");
                }
            }
        }
        if let Some(namespace) = namespace {
            words.push(format!("--namespace={namespace}"));
        }
        match mode {
            Mode::Real(_) => {}
            Mode::ServerDryRun => words.push("--dry-run=server".to_owned()),
            Mode::ClientDryRun => words.push("--dry-run=client".to_owned()),
        }
        words.extend_from_slice(connection_flags);
        let line: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
        line.join(" ") + &trailer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Resource;

    fn web() -> Object {
        Resource::STATEFUL_SET.object("db", "web")
    }

    #[test]
    fn a_write_is_reported_as_kubectl_does() {
        let claim = Resource::CLAIM.object("db", "data-web-4");
        let write = Write::delete(claim, "u-1", None, Propagation::Orphan, "20Gi on pv-7");
        assert_eq!(
            write.done(Mode::ClientDryRun),
            "persistentvolumeclaim/data-web-4 deleted (20Gi on pv-7) (dry run)"
        );
        assert_eq!(
            write.as_kubectl(Mode::ClientDryRun, &["--context=prod eu".to_owned()]),
            "kubectl delete persistentvolumeclaim/data-web-4 --cascade=orphan --wait=false \
             --namespace=db --dry-run=client '--context=prod eu' # only if its uid is still u-1"
        );
        let write = Write::create(web(), json!({}), "");
        assert_eq!(write.done(Mode::ServerDryRun), "statefulset.apps/web created (server dry run)");
    }

    #[test]
    fn the_kubectl_command_can_be_pasted() {
        let patch = Patch::json("/metadata/annotations/a", &json!("it's"), Vec::new());
        let line = Write::patch(web(), patch, "").as_kubectl(Mode::ServerDryRun, &[]);
        assert_eq!(
            line,
            r#"kubectl patch statefulset.apps/web --type=json --field-manager=kubectl-stateful -p '[{"op":"test","path":"/metadata/annotations/a","value":"it'\''s"}]' --namespace=db --dry-run=server"#
        );
    }
}
