//! The only place that knows how to speak to a cluster.

mod args;
pub mod changes;
mod channels;
mod credentials;
pub mod disks;
mod duration;
mod error;
mod exec;
mod exec_auth;
#[cfg(test)]
mod fake_server;
mod follow;
mod forward;
mod http;
mod kubeconfig;
pub mod mirror;
pub mod moving;
pub mod naming;
mod objects;
pub mod offline;
mod pod_http;
mod prometheus;
mod protobuf;
mod proxy;
pub mod read;
pub mod scaling;
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
pub use duration::timeout as parse_timeout;
pub use error::{Failure, Rejection, Status, shell_quoted};
pub use exec::Executed;
pub use forward::Forward;
pub use mirror::Mirror;
pub use pod_http::Answer;
pub use prometheus::{PrometheusAt, PrometheusFailure, Sample};
pub use watch::{Watch, WatchEvent};
pub use write::{
    DryRun, Mode, Object, Patch, Precondition, Propagation, Rehearsal, Resource, Write,
    pointer_token,
};

/// A connection to one API server, as one user, with one namespace to look
/// in first.
#[derive(Clone)]
pub struct Cluster {
    http: Arc<Http>,
    context: Option<String>,
    namespace: String,
    terminal: Terminal,
    /// The connection flags that were given, for kubectl lines that do the
    /// same as we do.
    flags: Arc<[String]>,
}

impl Cluster {
    /// Reads the configuration and prepares the connection. Nothing is sent
    /// before the first request.
    ///
    /// # Errors
    /// In kubectl's words, when the configuration is off.
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

    /// The connection flags that were given, as a shell wants them, each with
    /// a blank in front, for the commands that hints name.
    pub fn flags(&self) -> String {
        let mut words = String::new();
        for flag in self.flags.iter() {
            words.push(' ');
            words.push_str(&error::shell_quoted(flag));
        }
        words
    }

    /// The namespace to look in: the flag's, else the context's, else the
    /// pod's own, else `default`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of the kubeconfig context in use.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
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

    /// How many HTTP requests were sent.
    pub fn requests(&self) -> usize {
        self.http.sent()
    }

    /// Reads an object or a list.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn get<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<T, Failure> {
        let request = http::get(path_and_query)?;
        let asked = self.http.asked(&request);
        let body = self.http.exchange(request).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Unreadable { asked, cause: error.to_string() })
    }

    /// Reads an object or a list that may not be there: `None` for 404,
    /// whether the object or its whole API is missing.
    ///
    /// # Errors
    /// Any [`Failure`] but those two.
    pub async fn get_opt<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
    ) -> Result<Option<T>, Failure> {
        match self.get(path_and_query).await {
            Ok(found) => Ok(Some(found)),
            Err(Failure::NotFound(_) | Failure::NoSuchApi(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Follows changes. The query must say `watch=true`, and should say
    /// `resourceVersion` and `allowWatchBookmarks=true`.
    ///
    /// # Errors
    /// Any [`Failure`], when the watch does not begin.
    pub async fn watch<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
    ) -> Result<Watch<T>, Failure> {
        let request = http::get(path_and_query)?;
        let asked = self.http.asked(&request);
        Ok(Watch::new(asked, self.http.stream(request).await?))
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
