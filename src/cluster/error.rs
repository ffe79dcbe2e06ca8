//! What can go wrong between us and the server, told apart first and put
//! into kubectl's words last.
//!
//! [`Failure`] is what callers match on: a `Forbidden` list makes an answer
//! incomplete, a `NotFound` claim is a fact, a `Conflict` means that somebody
//! was faster. Only what nobody handled becomes an [`Error`] with the
//! sentence that kubectl has for it (`k8s.io/kubectl/pkg/cmd/util/helpers.go`).

use std::{fmt, sync::Arc, time::Duration};

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::output::{Error, Exit};

/// A request that did not give what it was sent for.
#[derive(Clone, Debug)]
pub enum Failure {
    /// 401: the server does not know who we are.
    Unauthorized(Box<Rejection>),
    /// 403: it knows, and says no.
    Forbidden(Box<Rejection>),
    /// 404 for a named object.
    NotFound(Box<Rejection>),
    /// 404 for the whole resource: its API is not served here.
    NoSuchApi(Box<Rejection>),
    /// 409: the object changed since it was read.
    Conflict(Box<Rejection>),
    /// 409 for a create: the name is taken.
    AlreadyExists(Box<Rejection>),
    /// 410: the resource version is too old to list or watch from.
    Gone(Box<Rejection>),
    /// 422: fields are off.
    Invalid(Box<Rejection>),
    /// Any other refusal, such as 429, 500 or 503.
    Server(Box<Rejection>),
    /// No answer in time.
    Timeout { asked: Asked, after: Duration },
    /// Nobody listens there.
    Refused { server: String, proxy: Option<String>, configured: bool },
    /// No connection for another reason, said in words like Go's.
    Unreachable { cause: String, hint: Option<String> },
    /// The connection broke before the answer was complete.
    Lost { asked: Asked, cause: String },
    /// The answer is not what was asked for.
    Unreadable { asked: Asked, cause: String },
    /// The credential plugin or file did not give any.
    NoCredentials { cause: String, hint: Option<String> },
}

/// A request, as far as errors speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The connection flags of this run: without them, a kubectl line in a
    /// hint would ask another cluster, or as another user.
    pub flags: Arc<[String]>,
}

/// The server's no.
#[derive(Clone, Debug)]
pub struct Rejection {
    pub asked: Asked,
    pub status: Status,
}

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

impl Rejection {
    /// What a 404 says of a kind whose group the server has.
    pub(super) fn unserved(&self) -> String {
        format!("{} ({} was answered with 404)", self.status.message, self.asked)
    }
}

impl Failure {
    /// The failure that an answer with an error status stands for.
    pub(super) fn from_answer(asked: &Asked, code: StatusCode, body: &[u8]) -> Failure {
        Failure::from_status(asked.clone(), Status::read(&asked.method, code, body))
    }

    /// The failure that a `Status` stands for, from an answer or a watch.
    pub(super) fn from_status(asked: Asked, status: Status) -> Failure {
        let names_an_object =
            status.details.as_ref().is_some_and(|details| !details.name.is_empty());
        let (code, exists) = (status.code, status.reason == "AlreadyExists");
        let rejection = Box::new(Rejection { asked, status });
        match code {
            401 => Failure::Unauthorized(rejection),
            403 => Failure::Forbidden(rejection),
            404 if names_an_object => Failure::NotFound(rejection),
            404 => Failure::NoSuchApi(rejection),
            409 if exists => Failure::AlreadyExists(rejection),
            409 => Failure::Conflict(rejection),
            410 => Failure::Gone(rejection),
            422 => Failure::Invalid(rejection),
            _ => Failure::Server(rejection),
        }
    }

    /// The server's no, where it said one.
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Failure::Unauthorized(rejection)
            | Failure::Forbidden(rejection)
            | Failure::NotFound(rejection)
            | Failure::NoSuchApi(rejection)
            | Failure::Conflict(rejection)
            | Failure::AlreadyExists(rejection)
            | Failure::Gone(rejection)
            | Failure::Invalid(rejection)
            | Failure::Server(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Whether somebody else was first: the object, or the name, is not any
    /// more as it was when this was decided.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Failure::Conflict(_) | Failure::AlreadyExists(_))
    }

    /// Whether trying again soon may help: the server was busy, slow or gone.
    pub fn is_transient(&self) -> bool {
        match self {
            Failure::Server(rejection) => {
                matches!(rejection.status.code, 429 | 500 | 502 | 503 | 504)
            }
            Failure::Timeout { .. }
            | Failure::Refused { .. }
            | Failure::Unreachable { .. }
            | Failure::Lost { .. } => true,
            _ => false,
        }
    }
}

impl Status {
    /// The `Status` in a body or, where a proxy or a plain handler answered,
    /// the one that client-go makes up (`apimachinery/pkg/api/errors`,
    /// `NewGenericServerResponse`).
    fn read(method: &Method, code: StatusCode, body: &[u8]) -> Status {
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
    pub(super) fn of_server(body: &[u8]) -> Option<Status> {
        #[derive(Deserialize)]
        struct Tagged {
            kind: String,
            #[serde(flatten)]
            status: Status,
        }
        if let Some(status) = super::protobuf::status(body) {
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

    /// kubectl's first line, and for several causes the lines after it.
    fn headline(&self) -> String {
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

impl Rejection {
    /// How to see the objects of the kind that was asked for, everywhere: a
    /// name that is not found is misspelt, or lives in another namespace.
    fn what_there_is(&self) -> String {
        let details = self.status.details.as_ref();
        let (kind, group) = details.map_or(("all", ""), |d| (d.kind.as_str(), d.group.as_str()));
        let dot = if group.is_empty() { "" } else { "." };
        self.asked.with_flags(format!("kubectl get {kind}{dot}{group} --all-namespaces"))
    }
}

impl Asked {
    /// Where there is no request to speak of.
    pub(super) fn unknown() -> Asked {
        Asked { method: Method::GET, path: "/".to_owned(), flags: Arc::default() }
    }

    /// What `kubectl auth can-i` has to be asked to see whether this request
    /// is allowed.
    fn can_i(&self) -> String {
        self.with_flags(self.can_i_words())
    }

    fn with_flags(&self, mut line: String) -> String {
        for flag in self.flags.iter() {
            line.push(' ');
            line.push_str(&shell_quoted(flag));
        }
        line
    }

    fn can_i_words(&self) -> String {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let group = match (parts.next(), parts.next()) {
            (Some("api"), Some(_version)) => "",
            (Some("apis"), Some(group)) if parts.next().is_some() => group,
            _ => return format!("kubectl auth can-i get {path}"),
        };
        let mut rest: Vec<&str> = parts.collect();
        // `namespaces/db` is the object, `namespaces/db/pods` is where to look.
        let namespace = (rest.len() > 2 && rest.first() == Some(&"namespaces")).then(|| {
            let mut prefix = rest.drain(..2);
            prefix.next_back().unwrap_or_default()
        });
        let watches = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
        let (resource, name, subresource) = match rest.as_slice() {
            [resource] => (*resource, None, None),
            [resource, name] => (*resource, Some(*name), None),
            [resource, name, subresource, ..] => (*resource, Some(*name), Some(*subresource)),
            [] => return format!("kubectl auth can-i get {path}"),
        };
        let verb = match (&self.method, name) {
            (&Method::GET, _) if watches => "watch",
            (&Method::GET, None) => "list",
            (&Method::POST, _) => "create",
            (&Method::PATCH, _) => "patch",
            (&Method::PUT, _) => "update",
            (&Method::DELETE, None) => "deletecollection",
            (&Method::DELETE, Some(_)) => "delete",
            _ => "get",
        };
        let mut words = format!("kubectl auth can-i {verb} {resource}");
        if !group.is_empty() {
            words = format!("{words}.{group}");
        }
        if let Some(name) = name.filter(|_| verb != "create" || subresource.is_some()) {
            words = format!("{words}/{name}");
        }
        if let Some(subresource) = subresource {
            words = format!("{words} --subresource={subresource}");
        }
        match namespace {
            Some(namespace) => format!("{words} -n {namespace}"),
            None if verb == "list" || verb == "watch" => format!("{words} --all-namespaces"),
            None => words,
        }
    }
}

/// A word as a POSIX shell wants it.
pub fn shell_quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:=,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl fmt::Display for Failure {
    /// The first line, without chain and hint: for logs and for causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rejection) = self.rejection() {
            return f.write_str(&rejection.status.headline());
        }
        match self {
            Failure::Timeout { .. } => f.write_str(
                "Unable to connect to the server: context deadline exceeded (Client.Timeout \
                 exceeded while awaiting headers)",
            ),
            Failure::Refused { server, .. } => write!(
                f,
                "The connection to the server {server} was refused - did you specify the right \
                 host or port?"
            ),
            Failure::Unreachable { cause, .. } => {
                write!(f, "Unable to connect to the server: {cause}")
            }
            Failure::NoCredentials { cause, .. } => {
                write!(f, "Unable to connect to the server: getting credentials: {cause}")
            }
            Failure::Lost { cause, .. } => {
                write!(f, "error: the connection to the server was lost: {cause}")
            }
            Failure::Unreadable { cause, .. } => {
                write!(f, "error: the server's answer cannot be read: {cause}")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let exit = match failure {
            Failure::Conflict(_) => Exit::Conflict,
            _ => Exit::Error,
        };
        let error = Error::with_headline(exit, failure.to_string());
        match failure {
            Failure::Unauthorized(_) => error.hint("log in again, then try: kubectl auth whoami"),
            Failure::Forbidden(rejection) => error.hint(rejection.asked.can_i()),
            Failure::NotFound(rejection) | Failure::AlreadyExists(rejection) => {
                error.hint(rejection.what_there_is())
            }
            Failure::NoSuchApi(rejection) => error
                .caused_by(format!("{} was answered with 404", rejection.asked))
                .hint("kubectl api-resources lists what this server serves"),
            Failure::Conflict(_) => {
                error.hint("run the command again: it reads the object anew and decides again")
            }
            Failure::Timeout { asked, after } => error
                .caused_by(format!("{asked} had no answer within {after:?}"))
                .hint("raise --request-timeout, or set it to 0 to wait"),
            Failure::Refused { configured: false, .. } => error
                .caused_by("no kubeconfig names a server, and this is not a pod")
                .hint("set KUBECONFIG or pass --kubeconfig or --context"),
            Failure::Refused { proxy: Some(proxy), .. } => error
                .caused_by(format!("the way there leads through the proxy {proxy}"))
                .hint("check proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY"),
            Failure::Refused { .. } => error.hint("kubectl cluster-info"),
            Failure::Unreachable { hint, .. } => {
                error.hint(hint.unwrap_or_else(|| "kubectl cluster-info".to_owned()))
            }
            Failure::NoCredentials { hint, .. } => error
                .hint(hint.unwrap_or_else(|| "kubectl config view --minify".to_owned())),
            Failure::Lost { asked, .. } | Failure::Unreadable { asked, .. } => error
                .caused_by(format!("while reading the answer to {asked}"))
                .hint("run the command again: that is safe"),
            Failure::Gone(_) => error.hint("run the command again: it reads anew"),
            Failure::Invalid(_) => error.hint("kubectl explain says what a field may hold"),
            Failure::Server(_) => error.hint(
                "run the command again: that is safe; if it stays so: kubectl get --raw '/readyz?verbose'",
            ),
        }
    }
}

impl From<kube::Error> for Failure {
    /// For callers that go through kube's client: our own failures come out
    /// as they went in.
    fn from(error: kube::Error) -> Failure {
        let asked = Asked::unknown();
        match error {
            kube::Error::Api(status) => {
                let status = Status {
                    code: status.code,
                    reason: status.reason.clone(),
                    message: status.message.clone(),
                    details: status.details.as_ref().map(|details| Details {
                        name: details.name.clone(),
                        group: details.group.clone(),
                        kind: details.kind.clone(),
                        causes: Vec::new(),
                        retry_after_seconds: u64::from(details.retry_after_seconds),
                    }),
                };
                Failure::from_status(asked, status)
            }
            kube::Error::Service(error) => match error.downcast::<Failure>() {
                Ok(failure) => *failure,
                Err(error) => Failure::Unreachable { cause: error.to_string(), hint: None },
            },
            error => Failure::Unreadable { asked, cause: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, path: &str) -> Asked {
        Asked { method, path: path.to_owned(), flags: Arc::default() }
    }

    fn said(code: u16, body: &str) -> String {
        let asked = asked(Method::GET, "/apis/apps/v1/namespaces/db/statefulsets/web");
        let code = StatusCode::from_u16(code).unwrap();
        Error::from(Failure::from_answer(&asked, code, body.as_bytes())).to_string()
    }

    /// What kubectl says too: all but the last line, which is our hint.
    fn sentence(said: &str) -> &str {
        said.rsplit_once("\nhint: ").expect("every failure says what to type next").0
    }

    /// Expected lines are kubectl 1.32's for the same answers.
    #[test]
    fn answers_read_as_in_kubectl() {
        let status = |code: u16, reason: &str, message: &str, details: &str| {
            let json = format!(
                r#"{{"kind":"Status","code":{code},"reason":"{reason}","message":"{message}","details":{details}}}"#
            );
            said(code, &json)
        };
        let web = r#"{"name":"web","group":"apps","kind":"statefulsets"}"#;
        assert_eq!(
            status(404, "NotFound", r#"statefulsets.apps \"web\" not found"#, web),
            "Error from server (NotFound): statefulsets.apps \"web\" not found\n\
             hint: kubectl get statefulsets.apps --all-namespaces"
        );
        assert_eq!(
            status(401, "Unauthorized", "Unauthorized", "{}"),
            "error: You must be logged in to the server (Unauthorized)\n\
             hint: log in again, then try: kubectl auth whoami"
        );
        assert_eq!(
            status(403, "Forbidden", "no", web),
            "Error from server (Forbidden): no\n\
             hint: kubectl auth can-i get statefulsets.apps/web -n db"
        );
        assert_eq!(
            sentence(&status(409, "AlreadyExists", "taken", web)),
            "Error from server (AlreadyExists): taken"
        );
        assert_eq!(sentence(&status(500, "", "boom", "{}")), "Error from server: boom");
        assert_eq!(
            sentence(&status(
                422,
                "Invalid",
                "m",
                r#"{"name":"web","kind":"StatefulSet","causes":[{"field":"spec","message":"Forbidden: x"}]}"#
            )),
            "The StatefulSet \"web\" is invalid: spec: Forbidden: x"
        );
        assert_eq!(
            sentence(&status(
                422,
                "Invalid",
                "m",
                r#"{"name":"web","kind":"StatefulSet","causes":[{"field":"spec","message":"x"},{"field":"spec","message":"x"},{"field":"a.b","message":"y"}]}"#
            )),
            "The StatefulSet \"web\" is invalid:\n* spec: x\n* a.b: y"
        );
        assert_eq!(sentence(&status(422, "Invalid", "m", "{}")), "The request is invalid: m");
    }

    #[test]
    fn answers_of_others_than_the_api_server_read_as_in_kubectl() {
        assert!(said(404, "404 page not found\n").starts_with(
            "Error from server (NotFound): the server could not find the requested resource\n"
        ));
        assert_eq!(
            sentence(&said(502, "<html>bad gateway</html>")),
            "Error from server (InternalError): an error on the server (\"<html>bad \
             gateway</html>\") has prevented the request from succeeding"
        );
        assert!(said(401, "").starts_with(
            "error: You must be logged in to the server (the server has asked for the client to \
             provide credentials)"
        ));
    }

    #[test]
    fn a_conflict_has_an_exit_code_of_its_own() {
        let exit = |code: u16| {
            let asked = asked(Method::PATCH, "/");
            Error::from(Failure::from_answer(&asked, StatusCode::from_u16(code).unwrap(), b"")).exit
        };
        assert_eq!(exit(409), Exit::Conflict);
        assert_eq!(exit(403), Exit::Error);
    }

    #[test]
    fn a_forbidden_request_is_named_in_can_is_words() {
        for (method, path, words) in [
            (Method::GET, "/api/v1/namespaces/db/pods?limit=5", "list pods -n db"),
            (Method::GET, "/api/v1/pods?watch=true", "watch pods --all-namespaces"),
            (Method::GET, "/api/v1/namespaces/db", "get namespaces/db"),
            (Method::GET, "/api/v1/persistentvolumes/pv-1", "get persistentvolumes/pv-1"),
            (Method::GET, "/metrics", "get /metrics"),
            (
                Method::GET,
                "/api/v1/namespaces/db/pods/web-0/log?follow=true",
                "get pods/web-0 --subresource=log -n db",
            ),
            (
                Method::PATCH,
                "/apis/apps/v1/namespaces/db/statefulsets/web/scale",
                "patch statefulsets.apps/web --subresource=scale -n db",
            ),
            (Method::POST, "/api/v1/namespaces/db/configmaps", "create configmaps -n db"),
            (
                Method::DELETE,
                "/api/v1/namespaces/db/persistentvolumeclaims/a",
                "delete persistentvolumeclaims/a -n db",
            ),
        ] {
            assert_eq!(asked(method, path).can_i(), format!("kubectl auth can-i {words}"));
        }
        let flags = ["--context=prod eu".to_owned(), "--as=jane".to_owned()];
        let asked = Asked { flags: flags.into(), ..asked(Method::GET, "/api/v1/nodes/n") };
        assert_eq!(asked.can_i(), "kubectl auth can-i get nodes/n '--context=prod eu' --as=jane");
    }
}
