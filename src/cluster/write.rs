//! Every write to the cluster goes through here.
//!
//! A write cannot be built without a precondition, cannot be sent for real
//! without somebody's agreement, and is named after it happened.

use std::fmt;

use ::http::Method;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Cluster,
    error::{Asked, Details, Failure, Rejection, Status, shell_quoted},
    http,
};
use crate::{output::Confirmed, workload::SNAPSHOT_GROUP};

/// Our name in `managedFields`.
const FIELD_MANAGER: &str = "kubectl-stateful";

/// A kind of object, as its URL and its name on the screen are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
}

impl Resource {
    pub const STATEFUL_SET: Resource = Resource::of("apps", "statefulsets", "statefulset");
    pub const DEPLOYMENT: Resource = Resource::of("apps", "deployments", "deployment");
    pub const POD: Resource = Resource::of("", "pods", "pod");
    pub const SERVICE: Resource = Resource::of("", "services", "service");
    pub const CLAIM: Resource = Resource::of("", "persistentvolumeclaims", "persistentvolumeclaim");
    pub const VOLUME: Resource = Resource::of("", "persistentvolumes", "persistentvolume");
    pub const CONFIG_MAP: Resource = Resource::of("", "configmaps", "configmap");
    pub const JOB: Resource = Resource::of("batch", "jobs", "job");
    pub const SNAPSHOT: Resource =
        Resource::of(SNAPSHOT_GROUP, "volumesnapshots", "volumesnapshot");
    pub const LEASE: Resource = Resource::of("coordination.k8s.io", "leases", "lease");

    pub const HPA: Resource = Resource {
        version: "v2",
        ..Resource::of("autoscaling", "horizontalpodautoscalers", "horizontalpodautoscaler")
    };
    pub const VPA: Resource =
        Resource::of("autoscaling.k8s.io", "verticalpodautoscalers", "verticalpodautoscaler");
    pub const SCALED_OBJECT: Resource = Resource {
        version: "v1alpha1",
        ..Resource::of("keda.sh", "scaledobjects", "scaledobject")
    };

    const fn of(group: &'static str, plural: &'static str, singular: &'static str) -> Resource {
        Resource { group, version: "v1", plural, singular }
    }
}

/// One object, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub resource: Resource,
    /// `None` for what lives outside namespaces.
    pub namespace: Option<String>,
    pub name: String,
}

/// What must still hold for a patch to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing about the object changed since it was read.
    ResourceVersion(String),
    /// It is still the same object, and not another one by the same name.
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

    /// A JSON patch, applied only if `expected` stands at `path` before.
    #[must_use]
    pub fn json(path: &str, expected: &Value, operations: Vec<Value>) -> Patch {
        let mut body = vec![json!({ "op": "test", "path": path, "value": expected })];
        body.extend(operations);
        Patch { kind: PatchKind::Json, body: Value::Array(body), subresource: None }
    }

    /// The same on a subresource, such as `scale` or `status`.
    #[must_use]
    pub fn on(mut self, subresource: &'static str) -> Patch {
        self.subresource = Some(subresource);
        self
    }

    /// The API server compares `resourceVersion` and `uid` in a patch with
    /// the object's own, and refuses when they differ.
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

/// A key as a part of a JSON pointer (RFC 6901).
pub fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What becomes of the objects that a deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    /// They stay, without an owner.
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
    /// The name is the precondition: 409 when it is taken.
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
    /// What it changes, in brackets behind the line that names it:
    /// `partition 3 -> 2`.
    summary: String,
}

/// Whether a write is for real.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// For real: somebody agreed.
    Real(&'a Confirmed),
    /// The server does everything but to store it.
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

/// How a verb that changes something is tried first.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Rehearsal {
    /// Only show what would be written, or let the server check it without storing it
    #[arg(
        long,
        value_name = "WHERE",
        value_enum,
        default_value_t,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        help_heading = "Safety options"
    )]
    pub dry_run: DryRun,
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

    /// Deletes this very object: another one by the same name has another uid.
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

    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The line that names what happened: `statefulset.apps/web patched
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

    /// The kubectl line that does the same. kubectl cannot say a delete's
    /// precondition, so that stands in a comment.
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
                trailer = format!(" # only while its uid is {uid}");
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

    /// The API server answers 422 where a patch's `uid` or `test` does not
    /// hold. For us that is what a stale `resourceVersion` is: a conflict.
    fn judge(&self, failure: Failure) -> Failure {
        let (Verb::Patch(patch), Failure::Invalid(rejection)) = (&self.verb, &failure) else {
            return failure;
        };
        let causes = rejection.status.details.as_ref().map(|details| details.causes.as_slice());
        let causes = causes.unwrap_or_default();
        let why = match patch.kind {
            PatchKind::Json if causes.is_empty() => "it is not any more as it was read",
            PatchKind::Merge | PatchKind::Strategic
                if causes.iter().any(|cause| cause.field == "metadata.uid") =>
            {
                "it is another object now, by the same name"
            }
            _ => return failure,
        };
        let Resource { group, plural, .. } = self.object.resource;
        let name = &self.object.name;
        let dot = if group.is_empty() { "" } else { "." };
        let status = Status {
            code: 409,
            reason: "Conflict".to_owned(),
            message: format!(
                "Operation cannot be fulfilled on {plural}{dot}{group} {name:?}: {why}"
            ),
            details: Some(Details {
                name: name.clone(),
                group: group.to_owned(),
                kind: plural.to_owned(),
                ..Details::default()
            }),
        };
        Failure::Conflict(Box::new(Rejection { asked: rejection.asked.clone(), status }))
    }

    fn request(&self, server_dry_run: bool) -> Result<http::Outgoing, Failure> {
        let mut query = Vec::new();
        let (method, content_type, body, named) = match &self.verb {
            Verb::Patch(patch) => {
                query.push(format!("fieldManager={FIELD_MANAGER}"));
                (Method::PATCH, patch.kind.content_type(), patch.body.clone(), true)
            }
            Verb::Create(body) => {
                query.push(format!("fieldManager={FIELD_MANAGER}"));
                // A field that the server does not know would be lost.
                query.push("fieldValidation=Strict".to_owned());
                (Method::POST, "application/json", body.clone(), false)
            }
            Verb::Delete { uid, resource_version, propagation } => {
                let mut preconditions = json!({ "uid": uid });
                if let Some(version) = resource_version {
                    preconditions["resourceVersion"] = json!(version);
                }
                let mut options = json!({
                    "kind": "DeleteOptions",
                    "apiVersion": "v1",
                    "propagationPolicy": propagation.api_name(),
                    "preconditions": preconditions,
                });
                // Where a DELETE has a body, the server takes its options from
                // there alone: in the query a dry run would delete.
                if server_dry_run {
                    options["dryRun"] = json!(["All"]);
                }
                (Method::DELETE, "application/json", options, true)
            }
        };
        if server_dry_run && !matches!(self.verb, Verb::Delete { .. }) {
            query.push("dryRun=All".to_owned());
        }
        let mut path = self.object.path(named)?;
        if let Verb::Patch(Patch { subresource: Some(subresource), .. }) = &self.verb {
            path = format!("{path}/{subresource}");
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        http::build(method, &path, Some(content_type), Bytes::from(body.to_string()))
    }
}

impl Object {
    /// The object's URL, or its collection's.
    pub(super) fn path(&self, named: bool) -> Result<String, Failure> {
        let Resource { group, version, plural, .. } = self.resource;
        let mut path = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        if let Some(namespace) = &self.namespace {
            path = format!("{path}/namespaces/{}", segment(namespace)?);
        }
        path = format!("{path}/{plural}");
        if named {
            path = format!("{path}/{}", segment(&self.name)?);
        }
        Ok(path)
    }
}

impl fmt::Display for Object {
    /// As kubectl names it: `statefulset.apps/web`, `pod/web-0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resource { group, singular, .. } = self.resource;
        if group.is_empty() {
            write!(f, "{singular}/{}", self.name)
        } else {
            write!(f, "{singular}.{group}/{}", self.name)
        }
    }
}

/// A name that stays within its part of a URL.
fn segment(name: &str) -> Result<&str, Failure> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if !name.is_empty() && name != "." && name != ".." && name.bytes().all(fits) {
        return Ok(name);
    }
    Err(Failure::Unreadable {
        asked: Asked::unknown(),
        cause: format!("{name:?} is no name that an object can have"),
    })
}

impl Cluster {
    /// Has the server do everything about a write but store it, and says
    /// nothing: gives the object as it would be.
    ///
    /// # Errors
    /// Whatever the server has against it.
    pub async fn try_write(&self, write: &Write) -> Result<Value, Failure> {
        self.exchange(write, write.request(true)?).await
    }

    /// Sends a write for real without a word: for what says only that we are
    /// there.
    ///
    /// # Errors
    /// As for [`Cluster::write`].
    pub async fn write_quietly(&self, write: &Write, _: &Confirmed) -> Result<(), Failure> {
        self.exchange(write, write.request(false)?).await.map(drop)
    }

    /// The kubectl line that does the same, with our connection's flags.
    pub fn as_kubectl(&self, write: &Write, mode: Mode<'_>) -> String {
        write.as_kubectl(mode, &self.flags)
    }

    async fn exchange(&self, write: &Write, request: http::Outgoing) -> Result<Value, Failure> {
        let asked = self.http.asked(&request);
        let body = self.http.exchange(request).await.map_err(|no| write.judge(no))?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Unreadable { asked, cause: error.to_string() })
    }

    /// Sends a write and names it on stderr: stdout belongs to the report.
    /// Gives the object as the server has it now, and nothing for a client
    /// dry run.
    ///
    /// # Errors
    /// [`Failure::Conflict`] when the precondition does not hold any more,
    /// and any other [`Failure`].
    pub async fn write(&self, write: &Write, mode: Mode<'_>) -> Result<Option<Value>, Failure> {
        let terminal = self.terminal;
        terminal.verbose(4, &write.as_kubectl(mode, &self.flags));
        let answer = match mode {
            Mode::ClientDryRun => {
                // What cannot be sent must not look as if it could.
                write.request(false)?;
                None
            }
            Mode::ServerDryRun => Some(write.request(true)?),
            Mode::Real(_) => Some(write.request(false)?),
        };
        let object = match answer {
            None => None,
            Some(request) => Some(self.exchange(write, request).await?),
        };
        terminal.say(&write.done(mode));
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Object {
        Object {
            resource: Resource::STATEFUL_SET,
            namespace: Some("db".to_owned()),
            name: "web".to_owned(),
        }
    }

    fn fields(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} is no object"),
        }
    }

    fn partition() -> Write {
        let version = Precondition::ResourceVersion("42".to_owned());
        let spec = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}});
        Write::patch(web(), Patch::merge(&version, fields(spec)), "partition 3 -> 2")
    }

    async fn sent(write: &Write, dry_run: bool) -> (String, String, Value) {
        use http_body_util::BodyExt as _;
        let request = write.request(dry_run).unwrap();
        let line = format!("{} {}", request.method(), request.uri());
        let content_type = request.headers()["content-type"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        (line, content_type, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_merge_patch_carries_the_version_it_was_decided_on() {
        let (line, content_type, body) = sent(&partition(), false).await;
        assert_eq!(
            line,
            "PATCH /apis/apps/v1/namespaces/db/statefulsets/web?fieldManager=kubectl-stateful"
        );
        assert_eq!(content_type, "application/merge-patch+json");
        assert_eq!(
            body,
            json!({
                "spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}},
                "metadata": {"resourceVersion": "42"},
            })
        );
    }

    #[tokio::test]
    async fn a_precondition_joins_the_metadata_that_is_there() {
        let uid = Precondition::Uid("u-1".to_owned());
        let labels = fields(json!({"metadata": {"labels": {"a": "b"}}}));
        let write = Write::patch(web(), Patch::strategic(&uid, labels).on("status"), "");
        let (line, content_type, body) = sent(&write, true).await;
        assert_eq!(
            line,
            "PATCH /apis/apps/v1/namespaces/db/statefulsets/web/status\
             ?fieldManager=kubectl-stateful&dryRun=All"
        );
        assert_eq!(content_type, "application/strategic-merge-patch+json");
        assert_eq!(body, json!({"metadata": {"labels": {"a": "b"}, "uid": "u-1"}}));
    }

    #[tokio::test]
    async fn a_json_patch_begins_with_a_test() {
        let replace = json!({"op": "replace", "path": "/spec/replicas", "value": 3});
        let patch = Patch::json("/spec/replicas", &json!(5), vec![replace.clone()]);
        let (_, content_type, body) = sent(&Write::patch(web(), patch, ""), false).await;
        assert_eq!(content_type, "application/json-patch+json");
        let test = json!({"op": "test", "path": "/spec/replicas", "value": 5});
        assert_eq!(body, json!([test, replace]));
    }

    #[tokio::test]
    async fn a_delete_names_the_uid() {
        let claim = Object {
            resource: Resource::CLAIM,
            namespace: Some("db".to_owned()),
            name: "data-web-4".to_owned(),
        };
        let write = Write::delete(claim, "u-1", None, Propagation::Orphan, "20Gi on pv-7");
        let (line, _, body) = sent(&write, true).await;
        assert_eq!(line, "DELETE /api/v1/namespaces/db/persistentvolumeclaims/data-web-4");
        assert_eq!(body["dryRun"], json!(["All"]));
        assert_eq!(body["preconditions"], json!({"uid": "u-1"}));
        assert_eq!(body["propagationPolicy"], json!("Orphan"));
        assert_eq!(
            write.done(Mode::ClientDryRun),
            "persistentvolumeclaim/data-web-4 deleted (20Gi on pv-7) (dry run)"
        );
        assert_eq!(
            write.as_kubectl(Mode::ClientDryRun, &["--context=prod eu".to_owned()]),
            "kubectl delete persistentvolumeclaim/data-web-4 --cascade=orphan --wait=false \
             --namespace=db --dry-run=client '--context=prod eu' # only while its uid is u-1"
        );
    }

    #[tokio::test]
    async fn a_create_is_validated_strictly() {
        let body = json!({"kind": "StatefulSet", "metadata": {"name": "web"}});
        let write = Write::create(web(), body.clone(), "");
        let (line, _, sent_body) = sent(&write, false).await;
        assert_eq!(
            line,
            "POST /apis/apps/v1/namespaces/db/statefulsets\
             ?fieldManager=kubectl-stateful&fieldValidation=Strict"
        );
        assert_eq!(sent_body, body);
        assert_eq!(write.done(Mode::ServerDryRun), "statefulset.apps/web created (server dry run)");
    }

    #[test]
    fn a_precondition_that_does_not_hold_is_a_conflict() {
        let invalid = |causes: Value| {
            let status: Status = serde_json::from_value(json!({
                "code": 422, "reason": "Invalid", "details": {"causes": causes},
            }))
            .unwrap();
            Failure::from_status(Asked::unknown(), status)
        };
        let immutable = json!([{"field": "metadata.uid", "message": "field is immutable"}]);
        let judged = partition().judge(invalid(immutable));
        assert_eq!(
            judged.to_string(),
            "Error from server (Conflict): Operation cannot be fulfilled on statefulsets.apps \
             \"web\": it is another object now, by the same name"
        );
        let test = Write::patch(web(), Patch::json("/spec", &json!(1), Vec::new()), "");
        assert!(matches!(test.judge(invalid(json!([]))), Failure::Conflict(_)));
        let field = json!([{"field": "spec.replicas", "message": "must be positive"}]);
        assert!(matches!(test.judge(invalid(field.clone())), Failure::Invalid(_)));
        assert!(matches!(partition().judge(invalid(field)), Failure::Invalid(_)));
    }

    #[test]
    fn the_kubectl_line_can_be_pasted() {
        let patch = Patch::json("/metadata/annotations/a", &json!("it's"), Vec::new());
        let line = Write::patch(web(), patch, "").as_kubectl(Mode::ServerDryRun, &[]);
        assert_eq!(
            line,
            r#"kubectl patch statefulset.apps/web --type=json --field-manager=kubectl-stateful -p '[{"op":"test","path":"/metadata/annotations/a","value":"it'\''s"}]' --namespace=db --dry-run=server"#
        );
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_the_url() {
        for name in ["", ".", "..", "a/b", "a?b", "a%2fb", "a b", "a#b"] {
            let object = Object { name: name.to_owned(), ..web() };
            let precondition = Precondition::Uid("u".to_owned());
            let patch = Patch::merge(&precondition, Map::new());
            assert!(Write::patch(object, patch, "").request(false).is_err(), "{name:?}");
        }
    }
}
