//! Sending writes: requests, dry runs, and which rejections are conflicts.

use ::http::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{
    super::{
        Cluster,
        error::{Failure, Rejection},
        http,
        status::{Details, Status},
    },
    FIELD_MANAGER, Mode, Patch, PatchKind, Verb, Write,
};
use crate::output::Confirmed;

impl Write {
    /// Makes a conflict of the 422 that the API server answers when the `uid` or
    /// the `test` of a patch does not match. A stale `resourceVersion` gets a
    /// 409, and callers treat all three alike.
    fn as_conflict(&self, failure: Failure) -> Failure {
        let (Verb::Patch(patch), Failure::Invalid(rejection)) = (&self.verb, &failure) else {
            return failure;
        };
        let causes = rejection.status.details.as_ref().map(|details| details.causes.as_slice());
        let causes = causes.unwrap_or_default();
        let why = match patch.kind {
            PatchKind::Json if causes.is_empty() => "it has changed since it was read",
            PatchKind::Merge | PatchKind::Strategic
                if causes.iter().any(|cause| cause.field == "metadata.uid") =>
            {
                "it was deleted, and another object has its name now"
            }
            _ => return failure,
        };
        let resource = self.object.resource;
        let name = &self.object.name;
        let status = Status {
            code: 409,
            reason: "Conflict".to_owned(),
            message: format!(
                "Operation cannot be fulfilled on {} {name:?}: {why}",
                resource.name()
            ),
            details: Some(Details {
                name: name.clone(),
                group: resource.group.to_owned(),
                kind: resource.plural.to_owned(),
                ..Details::default()
            }),
        };
        Failure::Conflict(Box::new(Rejection {
            request_line: rejection.request_line.clone(),
            status,
        }))
    }

    /// The request that sends it.
    ///
    /// # Errors
    /// When a name has no place in a URL.
    pub fn request(&self, server_dry_run: bool) -> Result<http::Outgoing, Failure> {
        let mut query = Vec::new();
        let (method, content_type, body, named) = match &self.verb {
            Verb::Patch(patch) => {
                query.push(format!("fieldManager={FIELD_MANAGER}"));
                (Method::PATCH, patch.kind.content_type(), patch.body.clone(), true)
            }
            Verb::Create(body) => {
                query.push(format!("fieldManager={FIELD_MANAGER}"));
                // Without this the server drops fields that it does not know.
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
                // The server ignores the query of a DELETE that has a body: a
                // `dryRun` there would really delete.
                if server_dry_run {
                    options["dryRun"] = json!(["All"]);
                }
                (Method::DELETE, "application/json", options, true)
            }
        };
        if server_dry_run && !matches!(self.verb, Verb::Delete { .. }) {
            query.push("dryRun=All".to_owned());
        }
        let mut path =
            if named { self.object.checked_path()? } else { self.object.checked_collection()? };
        if let Verb::Patch(Patch { subresource: Some(subresource), .. }) = &self.verb {
            path = format!("{path}/{subresource}");
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        http::build(method, &path, Some(content_type), Bytes::from(body.to_string()))
    }
}

impl Cluster {
    /// Sends a write as a server dry run without reporting it, and returns the
    /// object as it would be.
    ///
    /// # Errors
    /// When the server rejects the write.
    pub async fn try_write(&self, write: &Write) -> Result<Value, Failure> {
        self.exchange(write, write.request(true)?).await
    }

    /// Sends a real write without reporting it, such as the heartbeat of a lock.
    ///
    /// # Errors
    /// As for [`Cluster::write`].
    pub async fn write_quietly(&self, write: &Write, _: &Confirmed) -> Result<(), Failure> {
        self.exchange(write, write.request(false)?).await.map(drop)
    }

    /// The kubectl command that does the same, with our connection flags.
    pub fn as_kubectl(&self, write: &Write, mode: Mode<'_>) -> String {
        write.as_kubectl(mode, &self.flags)
    }

    async fn exchange(&self, write: &Write, request: http::Outgoing) -> Result<Value, Failure> {
        let request_line = self.http.request_line(&request);
        let body =
            self.http.exchange(request).await.map_err(|failure| write.as_conflict(failure))?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Unreadable { request_line, cause: error.to_string() })
    }

    /// Sends a write and reports it on stderr (stdout is for the answer).
    /// Returns the object as the server has it now, or `None` for a client dry
    /// run.
    ///
    /// # Errors
    /// [`Failure::Conflict`] when the precondition no longer holds, and any
    /// other [`Failure`].
    pub async fn write(&self, write: &Write, mode: Mode<'_>) -> Result<Option<Value>, Failure> {
        let terminal = self.terminal;
        terminal.verbose(4, &write.as_kubectl(mode, &self.flags));
        let answer = match mode {
            Mode::ClientDryRun => {
                // A dry run must fail for a write that cannot be sent.
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
    use serde_json::Map;

    use super::*;
    use crate::cluster::{Object, Precondition, Propagation, Resource, error::RequestLine};

    fn web() -> Object {
        Resource::STATEFUL_SET.object("db", "web")
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
        let claim = Resource::CLAIM.object("db", "data-web-4");
        let write = Write::delete(claim, "u-1", None, Propagation::Orphan, "20Gi on pv-7");
        let (line, _, body) = sent(&write, true).await;
        assert_eq!(line, "DELETE /api/v1/namespaces/db/persistentvolumeclaims/data-web-4");
        assert_eq!(body["dryRun"], json!(["All"]));
        assert_eq!(body["preconditions"], json!({"uid": "u-1"}));
        assert_eq!(body["propagationPolicy"], json!("Orphan"));
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
    }

    #[test]
    fn a_precondition_that_does_not_hold_is_a_conflict() {
        let invalid = |causes: Value| {
            let status: Status = serde_json::from_value(json!({
                "code": 422, "reason": "Invalid", "details": {"causes": causes},
            }))
            .unwrap();
            Failure::from_status(RequestLine::unknown(), status)
        };
        let immutable = json!([{"field": "metadata.uid", "message": "field is immutable"}]);
        let judged = partition().as_conflict(invalid(immutable));
        assert_eq!(
            judged.to_string(),
            "Error from server (Conflict): Operation cannot be fulfilled on statefulsets.apps \
             \"web\": it was deleted, and another object has its name now"
        );
        let test = Write::patch(web(), Patch::json("/spec", &json!(1), Vec::new()), "");
        assert!(matches!(test.as_conflict(invalid(json!([]))), Failure::Conflict(_)));
        let field = json!([{"field": "spec.replicas", "message": "must be positive"}]);
        assert!(matches!(test.as_conflict(invalid(field.clone())), Failure::Invalid(_)));
        assert!(matches!(partition().as_conflict(invalid(field)), Failure::Invalid(_)));
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
