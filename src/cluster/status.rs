//! Error answers: the `Status` of the API, in JSON or Protocol Buffers, or the
//! one that client-go generates if there is none.

use http::{Method, StatusCode};
use serde::Deserialize;

use super::protobuf::{
    list::MAGIC,
    wire::{Fields, Malformed},
};

/// `metav1.Status`, as far as it is used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    pub code: u16,
    pub reason: String,
    pub message: String,
    pub details: Option<Details>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Details {
    pub name: String,
    pub group: String,
    pub kind: String,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cause {
    pub reason: String,
    pub field: String,
    pub message: String,
}

impl Status {
    /// The `Status` in a body or, when something other than the API answered,
    /// the one that client-go generates (`apimachinery/pkg/api/errors`,
    /// `NewGenericServerResponse`).
    pub fn read(method: &Method, code: StatusCode, body: &[u8]) -> Status {
        match Status::of_server(body) {
            Some(mut status) => {
                if status.code == 0 {
                    status.code = code.as_u16();
                }
                status
            }
            None => Status::generic(method, code, body),
        }
    }

    /// The `Status` in a body, if it is one.
    pub fn of_server(body: &[u8]) -> Option<Status> {
        #[derive(Deserialize)]
        struct Tagged {
            kind: String,
            #[serde(flatten)]
            status: Status,
        }
        if let Some(status) = in_protobuf(body) {
            return Some(status);
        }
        let tagged = serde_json::from_slice::<Tagged>(body).ok()?;
        (tagged.kind == "Status").then_some(tagged.status)
    }

    fn generic(method: &Method, code: StatusCode, body: &[u8]) -> Status {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let (reason, message) = match code.as_u16() {
            400 if text.is_empty() => {
                ("BadRequest", "the server rejected our request for an unknown reason".to_owned())
            }
            400 => ("BadRequest", text.to_owned()),
            401 => (
                "Unauthorized",
                "the server has asked for the client to provide credentials".to_owned(),
            ),
            403 => ("Forbidden", text.to_owned()),
            404 => ("NotFound", "the server could not find the requested resource".to_owned()),
            405 => (
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource".to_owned(),
            ),
            409 if method == Method::POST => {
                ("AlreadyExists", "the server reported a conflict".to_owned())
            }
            409 => ("Conflict", "the server reported a conflict".to_owned()),
            410 => (
                "Gone",
                "the server indicated the requested resource is no longer available".to_owned(),
            ),
            429 => (
                "TooManyRequests",
                "the server has received too many requests and has asked us to try again later"
                    .to_owned(),
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request".to_owned(),
            ),
            504 => (
                "Timeout",
                "the server was unable to return a response in the time allotted, but may still \
                 be processing the request"
                    .to_owned(),
            ),
            500.. => (
                "InternalError",
                format!(
                    "an error on the server ({text:?}) has prevented the request from succeeding"
                ),
            ),
            _ => ("", format!("the server responded with the status code {}", code.as_u16())),
        };
        Status { code: code.as_u16(), reason: reason.to_owned(), message, details: None }
    }

    /// kubectl's message: one line, or more for several causes.
    pub fn headline(&self) -> String {
        if self.code == 401 {
            return format!("error: You must be logged in to the server ({})", self.message);
        }
        if self.code == 422 {
            return self.invalid();
        }
        if self.reason.is_empty() {
            format!("Error from server: {}", self.message)
        } else {
            format!("Error from server ({}): {}", self.reason, self.message)
        }
    }

    fn invalid(&self) -> String {
        let details = self.details.clone().unwrap_or_default();
        let mut said = if details.kind.is_empty() && details.name.is_empty() {
            "The request is invalid".to_owned()
        } else {
            format!("The {} {:?} is invalid", details.kind, details.name)
        };
        let mut causes: Vec<String> = Vec::new();
        for cause in &details.causes {
            let line = format!("{}: {}", cause.field, cause.message);
            if !causes.contains(&line) {
                causes.push(line);
            }
        }
        match causes.as_slice() {
            [] if details.kind.is_empty() && !self.message.is_empty() => {
                said.push_str(": ");
                said.push_str(&self.message);
            }
            [] => {}
            [only] => {
                said.push_str(": ");
                said.push_str(only);
            }
            many => {
                said.push(':');
                for line in many {
                    said.push_str("\n* ");
                    said.push_str(line);
                }
            }
        }
        said
    }
}

/// A `Status` in Protocol Buffers, if the body is one: servers encode errors in
/// the requested encoding.
fn in_protobuf(bytes: &[u8]) -> Option<Status> {
    let envelope = bytes.strip_prefix(MAGIC)?;
    read_status(envelope).ok().flatten()
}

fn read_status(envelope: &[u8]) -> Result<Option<Status>, Malformed> {
    let (mut kind, mut raw) = ("", None);
    for field in Fields(envelope) {
        match field? {
            (1, of) => {
                for field in of.fields()? {
                    if let (2, name) = field? {
                        kind = name.text()?;
                    }
                }
            }
            (2, value) => raw = Some(value.fields()?),
            _ => {}
        }
    }
    let Some(fields) = raw.filter(|_| kind == "Status") else { return Ok(None) };
    let mut status = Status::default();
    for field in fields {
        match field? {
            (3, value) => value.text()?.clone_into(&mut status.message),
            (4, value) => value.text()?.clone_into(&mut status.reason),
            (5, value) => status.details = Some(details(value.fields()?)?),
            (6, value) => status.code = u16::try_from(value.number()?).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(Some(status))
}

fn details(fields: Fields<'_>) -> Result<Details, Malformed> {
    let mut details = Details::default();
    for field in fields {
        match field? {
            (1, value) => value.text()?.clone_into(&mut details.name),
            (2, value) => value.text()?.clone_into(&mut details.group),
            (3, value) => value.text()?.clone_into(&mut details.kind),
            (4, value) => {
                let mut cause = Cause::default();
                for field in value.fields()? {
                    match field? {
                        (1, value) => value.text()?.clone_into(&mut cause.reason),
                        (2, value) => value.text()?.clone_into(&mut cause.message),
                        (3, value) => value.text()?.clone_into(&mut cause.field),
                        _ => {}
                    }
                }
                details.causes.push(cause);
            }
            (5, value) => details.retry_after_seconds = value.number()?,
            _ => {}
        }
    }
    Ok(details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::protobuf::wire::write::*;

    #[test]
    fn an_error_is_read_in_this_form_too() {
        let details = message(
            5,
            &[
                text(1, "web"),
                text(2, "apps"),
                text(3, "statefulsets"),
                message(4, &[text(1, "r"), text(2, "m"), text(3, "f")]),
                number(5, 3),
            ],
        );
        let raw = [text(2, "Failure"), text(3, "no"), text(4, "Expired"), details, number(6, 410)];
        let types = message(1, &[text(1, "v1"), text(2, "Status")]);
        let answer = [MAGIC.to_vec(), types, message(2, &raw)].concat();
        let status = Status::of_server(&answer).expect("a status");
        assert_eq!(
            (status.code, status.reason.as_str(), status.message.as_str()),
            (410, "Expired", "no")
        );
        let details = status.details.expect("details");
        assert_eq!((details.name.as_str(), details.retry_after_seconds), ("web", 3));
        assert_eq!(details.causes[0].field, "f");
        let list = [MAGIC.to_vec(), message(1, &[text(2, "PodList")]), message(2, &[])].concat();
        assert!(Status::of_server(&list).is_none());
    }
}
