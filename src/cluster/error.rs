//! Failed requests: what went wrong, and how kubectl reports it.
//!
//! Callers match on [`Failure`]: a `Forbidden` list makes an answer
//! incomplete, a `NotFound` claim is a fact, a `Conflict` means that someone
//! else was faster. A failure that nobody handles becomes an [`Error`] with
//! kubectl's message (`k8s.io/kubectl/pkg/cmd/util/helpers.go`).

use std::{fmt, sync::Arc, time::Duration};

use http::{Method, StatusCode};

use super::status::{Details, Status};
use crate::output::{Error, Exit};

/// A request that failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// 401: not authenticated.
    Unauthorized(Box<Rejection>),
    /// 403: not authorized.
    Forbidden(Box<Rejection>),
    /// 404 for a named object.
    NotFound(Box<Rejection>),
    /// 404 for the whole resource: the server does not serve its API.
    NoSuchApi(Box<Rejection>),
    /// 409: the object changed since it was read.
    Conflict(Box<Rejection>),
    /// 409 for a create: the name is in use.
    AlreadyExists(Box<Rejection>),
    /// 410: the resource version is too old to list or watch from.
    Gone(Box<Rejection>),
    /// 422: a field is invalid.
    Invalid(Box<Rejection>),
    /// Any other error status, such as 429, 500 or 503.
    Server(Box<Rejection>),
    /// No answer in time.
    Timeout { request_line: RequestLine, after: Duration },
    /// The connection was refused.
    Refused { server: String, proxy: Option<String>, configured: bool },
    /// No connection for another reason, in Go's words where they are known.
    Unreachable { cause: String, hint: Option<String> },
    /// The connection was lost before the answer was complete.
    Lost { request_line: RequestLine, cause: String },
    /// The answer cannot be decoded.
    Unreadable { request_line: RequestLine, cause: String },
    /// The credential plugin or token file gave no credential.
    NoCredentials { cause: String, hint: Option<String> },
}

/// Method and path of a request, for error messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The connection flags of this run: without them, a kubectl command in a
    /// hint would reach another cluster, or run as another user.
    pub flags: Arc<[String]>,
}

/// An error answer of the server.
#[derive(Clone, Debug)]
pub struct Rejection {
    pub request_line: RequestLine,
    pub status: Status,
}

impl Rejection {
    /// Describes a 404 for a kind whose API group the server does have.
    pub fn unserved(&self) -> String {
        format!("{} ({} returned 404)", self.status.message, self.request_line)
    }
}

impl Failure {
    /// The failure for an answer with an error status.
    pub(super) fn from_answer(
        request_line: &RequestLine,
        code: StatusCode,
        body: &[u8],
    ) -> Failure {
        Failure::from_status(request_line.clone(), Status::read(&request_line.method, code, body))
    }

    /// The failure for a `Status`, from an answer or a watch.
    pub(super) fn from_status(request_line: RequestLine, status: Status) -> Failure {
        let names_an_object =
            status.details.as_ref().is_some_and(|details| !details.name.is_empty());
        let (code, exists) = (status.code, status.reason == "AlreadyExists");
        let rejection = Box::new(Rejection { request_line, status });
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

    /// The error answer, if the server sent one.
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

    /// Whether someone else was faster: the object has changed, or the name is
    /// in use.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Failure::Conflict(_) | Failure::AlreadyExists(_))
    }

    /// Whether a retry may help: the server was busy, slow or unreachable.
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

impl Rejection {
    /// The command that lists all objects of this kind: a name that was not
    /// found is misspelt, or is in another namespace, where there are namespaces.
    fn list_command(&self) -> String {
        let details = self.status.details.as_ref();
        let (kind, group) = details.map_or(("all", ""), |d| (d.kind.as_str(), d.group.as_str()));
        let dot = if group.is_empty() { "" } else { "." };
        let everywhere = if self.request_line.is_namespaced() { " --all-namespaces" } else { "" };
        self.request_line.with_flags(format!("kubectl get {kind}{dot}{group}{everywhere}"))
    }
}

impl RequestLine {
    /// For failures without a request.
    pub(super) fn unknown() -> RequestLine {
        RequestLine { method: Method::GET, path: "/".to_owned(), flags: Arc::default() }
    }

    /// Whether it is about something in a namespace, and not about that itself.
    fn is_namespaced(&self) -> bool {
        let path = self.path.split(['?']).next().unwrap_or_default();
        let mut parts = path.split('/').skip_while(|part| *part != "namespaces");
        parts.nth(2).is_some_and(|kind| !kind.is_empty())
    }

    /// The `kubectl auth can-i` command for this request.
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
        // `namespaces/db` is an object, `namespaces/db/pods` a list in it.
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

/// Quotes a word for a POSIX shell where that is needed. A line to paste has no
/// line breaks and no tabs, to which a shell would answer at once.
pub fn shell_quoted(word: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:=,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(safe) {
        return word.to_owned();
    }
    if word.contains(|letter: char| letter.is_ascii_control()) {
        let escaped = |letter: char| match letter {
            '\\' => r"\\".to_owned(),
            '\'' => r"'\''".to_owned(),
            '\n' => r"\n".to_owned(),
            '\t' => r"\t".to_owned(),
            control if control.is_ascii_control() => format!(r"\0{:03o}", u32::from(control)),
            other => other.to_string(),
        };
        let escaped: String = word.chars().map(escaped).collect();
        return format!("\"$(printf %b '{escaped}')\"");
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl fmt::Display for Failure {
    /// The first line, without causes and hint.
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
                write!(f, "error: cannot read the server's answer: {cause}")
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
        let mut error = Error::with_headline(exit, failure.to_string());
        error.is_forbidden = matches!(failure, Failure::Forbidden(_));
        match failure {
            Failure::Unauthorized(_) => error.hint("log in again, then try: kubectl auth whoami"),
            Failure::Forbidden(rejection) => error.hint(rejection.request_line.can_i()),
            Failure::NotFound(rejection) | Failure::AlreadyExists(rejection) => {
                error.hint(rejection.list_command())
            }
            Failure::NoSuchApi(rejection) => error
                .caused_by(format!("{} returned 404", rejection.request_line))
                .hint("kubectl api-resources lists what this server serves"),
            Failure::Conflict(_) => {
                error.hint("run the command again: it starts from the current state of the object")
            }
            Failure::Timeout { request_line, after } => error
                .caused_by(format!("no answer to {request_line} within {after:?}"))
                .hint("raise --request-timeout, or set it to 0 to wait without limit"),
            Failure::Refused { configured: false, .. } => error
                .caused_by("no kubeconfig names a server, and this is not running in a pod")
                .hint("set KUBECONFIG or pass --kubeconfig or --context"),
            Failure::Refused { proxy: Some(proxy), .. } => error
                .caused_by(format!("the connection goes through the proxy {proxy}"))
                .hint("check proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY"),
            Failure::Refused { .. } => error.hint("kubectl cluster-info"),
            Failure::Unreachable { hint, .. } => {
                error.hint(hint.unwrap_or_else(|| "kubectl cluster-info".to_owned()))
            }
            Failure::NoCredentials { hint, .. } => error
                .hint(hint.unwrap_or_else(|| "kubectl config view --minify".to_owned())),
            Failure::Lost { request_line, .. } | Failure::Unreadable { request_line, .. } => error
                .caused_by(format!("while reading the answer to {request_line}"))
                .hint("run the command again; this is safe"),
            Failure::Gone(_) => error.hint("run the command again: it reads everything again"),
            Failure::Invalid(_) => error.hint("kubectl explain shows what a field may contain"),
            Failure::Server(_) => error.hint(
                "run the command again; this is safe. If it keeps failing: kubectl get --raw '/readyz?verbose'",
            ),
        }
    }
}

impl From<kube::Error> for Failure {
    /// For callers of kube's client: our own failures come back unchanged.
    fn from(error: kube::Error) -> Failure {
        let request_line = RequestLine::unknown();
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
                Failure::from_status(request_line, status)
            }
            kube::Error::Service(error) => match error.downcast::<Failure>() {
                Ok(failure) => *failure,
                Err(error) => Failure::Unreachable { cause: error.to_string(), hint: None },
            },
            error => Failure::Unreadable { request_line, cause: error.to_string() },
        }
    }
}

/// The operating system's message without the error number that Rust adds, as
/// Go prints it.
pub fn os_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, path: &str) -> RequestLine {
        RequestLine { method, path: path.to_owned(), flags: Arc::default() }
    }

    fn said(code: u16, body: &str) -> String {
        let request_line = request(Method::GET, "/apis/apps/v1/namespaces/db/statefulsets/web");
        let code = StatusCode::from_u16(code).unwrap();
        Error::from(Failure::from_answer(&request_line, code, body.as_bytes())).to_string()
    }

    /// The part that kubectl prints too: all but the last line, our hint.
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
    fn what_is_in_no_namespace_is_looked_for_in_none() {
        let listed = |path: &str| request(Method::GET, path).is_namespaced();
        assert!(
            listed("/api/v1/namespaces/db/pods/web-0") && listed("/api/v1/namespaces/db/pods?a=b")
        );
        for path in ["/api/v1/namespaces/db", "/api/v1/namespaces", "/api/v1/persistentvolumes/a"] {
            assert!(!listed(path), "{path}");
        }
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
            let request_line = request(Method::PATCH, "/");
            Error::from(Failure::from_answer(
                &request_line,
                StatusCode::from_u16(code).unwrap(),
                b"",
            ))
            .exit
        };
        assert_eq!(exit(409), Exit::Conflict);
        assert_eq!(exit(403), Exit::Error);
    }

    #[test]
    fn a_forbidden_request_becomes_a_can_i_command() {
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
            assert_eq!(request(method, path).can_i(), format!("kubectl auth can-i {words}"));
        }
        let flags = ["--context=prod eu".to_owned(), "--as=jane".to_owned()];
        let request_line =
            RequestLine { flags: flags.into(), ..request(Method::GET, "/api/v1/nodes/n") };
        assert_eq!(
            request_line.can_i(),
            "kubectl auth can-i get nodes/n '--context=prod eu' --as=jane"
        );
    }
}
