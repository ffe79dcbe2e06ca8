//! The only place that talks to a cluster.

mod args;
pub mod changes;
mod channels;
pub mod claims;
mod credentials;
mod duration;
mod error;
mod exec;
mod exec_auth;
#[cfg(test)]
mod fake_server;
pub mod fetch;
mod forward;
mod http;
mod kubeconfig;
pub mod logs;
pub mod mirror;
pub mod names;
pub mod objects;
pub mod pages;
mod pod_http;
mod prometheus;
pub mod protobuf;
mod proxy;
pub mod read;
mod resource;
pub mod retry_watch;
pub mod rights;
pub mod snapshots;
mod status;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;

use self::{
    http::Http,
    kubeconfig::{Environment, Target},
};
use crate::output::{Error, Terminal};

pub use args::ConnectionArgs;
pub use duration::wait as parse_timeout;
pub use error::{Failure, Rejection, shell_quoted};
pub use exec::ExecOutcome;
pub use fetch::Listed;
pub use forward::Forward;
pub use mirror::Mirror;
pub use pod_http::Answer;
pub use prometheus::{PrometheusAt, PrometheusFailure, Sample};
pub use resource::{Listing, Object, Resource};
pub use status::Status;
pub use watch::{Watch, WatchEvent};
pub use write::{
    DryRun, FIELD_MANAGER, Mode, Patch, Precondition, Propagation, Write, pointer_token,
};

/// A connection to one API server, as one user, with a default namespace.
#[derive(Clone)]
pub struct Cluster {
    http: Arc<Http>,
    context: Option<String>,
    namespace: String,
    terminal: Terminal,
    /// The connection flags of this run, for kubectl commands that we print.
    flags: Arc<[String]>,
}

impl Cluster {
    /// Reads the configuration and prepares the connection. Sends nothing yet.
    ///
    /// # Errors
    /// In kubectl's words, when the configuration is wrong.
    #[expect(clippy::unused_async, reason = "callers need not change when loading becomes async")]
    pub async fn connect(args: &ConnectionArgs, terminal: Terminal) -> Result<Cluster, Error> {
        let target = kubeconfig::resolve(args, &Environment::read())?;
        Cluster::to(target, args, terminal)
    }

    fn to(target: Target, args: &ConnectionArgs, terminal: Terminal) -> Result<Cluster, Error> {
        let context = target.context.clone();
        let namespace = target.namespace.clone();
        let flags: Arc<[String]> = args.as_flags().into();
        let http = Http::new(target, args.request_timeout, Arc::clone(&flags), terminal)?;
        let http = Arc::new(http);
        Ok(Cluster { http, context, namespace, terminal, flags })
    }

    /// The connection flags of this run, quoted for a shell, each with a blank
    /// in front, for the commands in hints.
    pub fn flags(&self) -> String {
        let mut words = String::new();
        for flag in self.flags.iter() {
            words.push(' ');
            words.push_str(&error::shell_quoted(flag));
        }
        words
    }

    /// The default namespace: from the flag, else the context, else the pod,
    /// else `default`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of the kubeconfig context in use.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Whether a credential plugin is run before the first request.
    pub fn logs_in(&self) -> bool {
        self.http.logs_in()
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        self.http.base()
    }

    /// kube's client over the same connection, for exec, logs and
    /// port-forward.
    pub fn client(&self) -> kube::Client {
        self.http.client(&self.namespace)
    }

    /// Where progress is reported.
    pub fn terminal(&self) -> Terminal {
        self.terminal
    }

    /// The number of HTTP requests sent so far.
    pub fn requests(&self) -> usize {
        self.http.sent()
    }

    /// Reads the object at a path.
    ///
    /// # Errors
    /// Any [`Failure`].
    async fn get<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<T, Failure> {
        let request = http::get(path_and_query)?;
        let request_line = self.http.request_line(&request);
        let body = self.http.exchange(request).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Unreadable { request_line, cause: error.to_string() })
    }

    /// Reads an object that may be missing: `None` for any 404, whether the
    /// object or its whole API is missing.
    ///
    /// # Errors
    /// Any [`Failure`] except a 404.
    async fn get_opt<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
    ) -> Result<Option<T>, Failure> {
        match self.get(path_and_query).await {
            Ok(found) => Ok(Some(found)),
            Err(Failure::NotFound(_) | Failure::NoSuchApi(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Watches a list from a resource version on.
    ///
    /// # Errors
    /// Any [`Failure`] when the watch cannot be opened.
    pub async fn watch<T: DeserializeOwned>(
        &self,
        listing: &Listing,
        since: &str,
    ) -> Result<Watch<T>, Failure> {
        let listing = listing
            .clone()
            .with("watch", "true")
            .with("allowWatchBookmarks", "true")
            .with("resourceVersion", since);
        let request = http::get(&listing.path())?;
        let request_line = self.http.request_line(&request);
        Ok(Watch::new(request_line, self.http.stream(request).await?))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("server", &self.server())
            .field("context", &self.context)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
