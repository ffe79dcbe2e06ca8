//! Exec credential plugins (`aws`, `gke-gcloud-auth-plugin`, `kubelogin` …).
//!
//! kube-client runs the plugin three times per client, which is three seconds
//! for a plugin that takes one. Here it runs once, and again when its
//! credential expires or is rejected. The protocol is `client.authentication.k8s.io`:
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.

use std::{
    io,
    process::{Command, Stdio},
};

use jiff::Timestamp;
use kube::config::{Cluster, ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Failure, os_error};
use crate::output::{Error, Exit};

const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";

/// A plugin, checked and ready to run.
#[derive(Debug)]
pub struct Plugin {
    command: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    api_version: &'static str,
    interactive: ExecInteractiveMode,
    install_hint: Option<String>,
    cluster: Option<ExecAuthCluster>,
}

/// What a plugin may do on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// It shares our stdin and stderr, so that it can ask for a password.
    Interactive,
    /// It shares our stderr.
    Messages,
    /// Nothing: somebody is typing there.
    Silent,
}

/// The credential from a plugin.
#[derive(Debug, Default)]
pub struct Credential {
    pub token: Option<String>,
    /// Certificate chain and key in PEM.
    pub certificate: Option<(String, String)>,
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    status: Option<CredentialStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
}

impl Plugin {
    /// Checks a kubeconfig's `exec` as client-go does before it runs one.
    ///
    /// # Errors
    /// In kubectl's words, when something is missing or unknown.
    pub fn from_config(exec: &ExecConfig, user: &str, cluster: &Cluster) -> Result<Plugin, Error> {
        let required = |field: &str| {
            Error::new(
                Exit::Error,
                format!("{field} must be specified for {user} to use exec authentication plugin"),
            )
        };
        let command = exec.command.clone().filter(|command| !command.is_empty());
        let api_version = match exec.api_version.as_deref() {
            Some(V1) => V1,
            Some(V1BETA1) => V1BETA1,
            None | Some("") => return Err(required("apiVersion")),
            Some(other) => {
                return Err(Error::new(
                    Exit::Error,
                    format!("exec plugin: invalid apiVersion {other:?}"),
                )
                .hint("update the plugin: it must support client.authentication.k8s.io/v1"));
            }
        };
        let interactive = match &exec.interactive_mode {
            Some(mode) => mode.clone(),
            None if api_version == V1BETA1 => ExecInteractiveMode::IfAvailable,
            None => return Err(required("interactiveMode")),
        };
        let mut env = Vec::new();
        for variable in exec.env.iter().flatten() {
            let name = variable.get("name").filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| required("env variable name"))?;
            env.push((name.clone(), variable.get("value").cloned().unwrap_or_default()));
        }
        let cluster = if exec.provide_cluster_info {
            let info = ExecAuthCluster::try_from(cluster).map_err(|error| {
                Error::new(Exit::Error, "cannot gather the cluster information for the exec plugin")
                    .caused_by_chain(&error)
            })?;
            Some(info)
        } else {
            None
        };
        Ok(Plugin {
            command: command.ok_or_else(|| required("command"))?,
            args: exec.args.clone().unwrap_or_default(),
            env,
            api_version,
            interactive,
            install_hint: exec.install_hint.clone().filter(|hint| !hint.is_empty()),
            cluster,
        })
    }

    /// Runs the plugin and waits for it.
    ///
    /// # Errors
    /// [`Failure::NoCredentials`], in kubectl's words.
    pub fn run(&self, voice: Voice) -> Result<Credential, Failure> {
        let stdin_is_tty = voice == Voice::Interactive;
        let interactive = match self.interactive {
            ExecInteractiveMode::Never => false,
            ExecInteractiveMode::IfAvailable => stdin_is_tty,
            ExecInteractiveMode::Always if stdin_is_tty => true,
            ExecInteractiveMode::Always => {
                return Err(self.failed(
                    "exec plugin cannot support interactive mode: standard input is not a terminal"
                        .to_owned(),
                ));
            }
        };
        let output = Command::new(&self.command)
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("KUBERNETES_EXEC_INFO", self.info(interactive)?)
            .stdin(if interactive { Stdio::inherit() } else { Stdio::null() })
            .stderr(if voice == Voice::Silent { Stdio::null() } else { Stdio::inherit() })
            .output()
            .map_err(|error| self.not_started(&error))?;
        if !output.status.success() {
            let how = match output.status.code() {
                Some(code) => format!("failed with exit code {code}"),
                None => format!("was terminated: {}", output.status),
            };
            return Err(self.failed(format!("exec: executable {} {how}", self.command)));
        }
        self.read(&output.stdout)
    }

    fn info(&self, interactive: bool) -> Result<String, Failure> {
        let mut spec = json!({ "interactive": interactive });
        if let Some(cluster) = &self.cluster {
            spec["cluster"] = serde_json::to_value(cluster)
                .map_err(|error| self.failed(format!("encoding the cluster: {error}")))?;
        }
        let info: Value =
            json!({ "kind": "ExecCredential", "apiVersion": self.api_version, "spec": spec });
        Ok(info.to_string())
    }

    fn read(&self, stdout: &[u8]) -> Result<Credential, Failure> {
        let given: ExecCredential = serde_json::from_slice(stdout)
            .map_err(|error| self.failed(format!("decoding stdout: {error}")))?;
        if given.kind != "ExecCredential" || given.api_version != self.api_version {
            return Err(self.failed(format!(
                "exec plugin is configured to use API version {}, plugin returned version {}",
                self.api_version,
                if given.api_version.is_empty() { "<none>" } else { &given.api_version }
            )));
        }
        let status = given
            .status
            .ok_or_else(|| self.failed("exec plugin didn't return a status field".to_owned()))?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let token = filled(status.token);
        let pair = (filled(status.client_certificate_data), filled(status.client_key_data));
        let certificate = match pair {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(self
                    .failed("exec plugin returned only certificate or key, not both".to_owned()));
            }
        };
        if token.is_none() && certificate.is_none() {
            return Err(
                self.failed("exec plugin didn't return a token or cert/key pair".to_owned())
            );
        }
        Ok(Credential { token, certificate, expires: status.expiration_timestamp })
    }

    fn not_started(&self, error: &io::Error) -> Failure {
        let cause = match error.kind() {
            io::ErrorKind::NotFound => format!("exec: executable {} not found", self.command),
            _ => format!("exec: fork/exec {}: {}", self.command, os_error(error)),
        };
        let hint = self.install_hint.clone().unwrap_or_else(|| {
            "install the credential plugin that the kubeconfig names under users[].user.exec"
                .to_owned()
        });
        Failure::NoCredentials { cause, hint: Some(hint) }
    }

    fn failed(&self, cause: String) -> Failure {
        let hint = format!("run it to see why: {} {}", self.command, self.args.join(" "));
        Failure::NoCredentials { cause, hint: Some(hint.trim_end().to_owned()) }
    }
}
