//! kubectl's connection flags, under kubectl's names.
//!
//! kubectl accepts no flags before the name of a plugin, so all of them are
//! `global`: they may follow any subcommand.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::duration;

/// The flags that choose the cluster and the user. As with kubectl, an empty
/// value means the same as no flag.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection options")]
pub struct ConnectionArgs {
    /// Path to the kubeconfig file to use
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Name of the kubeconfig context to use
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub context: Option<String>,

    /// Name of the kubeconfig cluster to use
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub cluster: Option<String>,

    /// Name of the kubeconfig user to use
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub user: Option<String>,

    /// Namespace to use
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAMESPACE",
        help = "Namespace to use; --help lists kubectl's other connection flags",
        long_help = "Namespace to use"
    )]
    pub namespace: Option<String>,

    /// Address and port of the Kubernetes API server
    #[arg(short, long, global = true, hide_short_help = true, value_name = "URL")]
    pub server: Option<String>,

    /// Server name to use for certificate validation, instead of the host in the server's address
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub tls_server_name: Option<String>,

    /// Do not check the server's certificate: anyone on the way can read and change the traffic
    #[arg(
        long,
        global = true, hide_short_help = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub insecure_skip_tls_verify: Option<bool>,

    /// Path to a certificate file for the certificate authority
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub certificate_authority: Option<PathBuf>,

    /// Path to a client certificate file for TLS
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub client_certificate: Option<PathBuf>,

    /// Path to a client key file for TLS
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub client_key: Option<PathBuf>,

    /// Bearer token for authentication to the API server
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,

    /// User or service account to impersonate
    #[arg(long = "as", global = true, hide_short_help = true, value_name = "USER")]
    pub as_user: Option<String>,

    /// Group to impersonate; may be repeated
    #[arg(long, global = true, hide_short_help = true, value_name = "GROUP")]
    pub as_group: Vec<String>,

    /// UID to impersonate
    #[arg(long, global = true, hide_short_help = true, value_name = "UID")]
    pub as_uid: Option<String>,

    /// Extra user attribute to impersonate; may be repeated
    #[arg(long, global = true, hide_short_help = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub as_user_extra: Vec<(String, String)>,

    /// Time to wait for a single server request: 5s, 2m, 1m30s, or seconds; 0 waits forever
    #[arg(long, global = true, hide_short_help = true, value_name = "DURATION", value_parser = duration::timeout)]
    pub request_timeout: Option<Duration>,

    /// Ask the server not to compress its responses
    #[arg(
        long,
        global = true, hide_short_help = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub disable_compression: Option<bool>,
}

impl ConnectionArgs {
    /// The flags that choose the cluster and the user, as kubectl takes them,
    /// without secrets.
    pub fn as_flags(&self) -> Vec<String> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let named = [
            ("kubeconfig", path(&self.kubeconfig)),
            ("context", self.context.clone()),
            ("cluster", self.cluster.clone()),
            ("user", self.user.clone()),
            ("server", self.server.clone()),
            ("tls-server-name", self.tls_server_name.clone()),
            ("insecure-skip-tls-verify", self.insecure_skip_tls_verify.map(|is| is.to_string())),
            ("certificate-authority", path(&self.certificate_authority)),
            ("client-certificate", path(&self.client_certificate)),
            ("client-key", path(&self.client_key)),
            ("as", self.as_user.clone()),
            ("as-uid", self.as_uid.clone()),
        ];
        let groups = self.as_group.iter().map(|group| ("as-group", Some(group.clone())));
        let extra = self.as_user_extra.iter();
        let extra = extra.map(|(key, value)| ("as-user-extra", Some(format!("{key}={value}"))));
        named
            .into_iter()
            .chain(groups)
            .chain(extra)
            .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
            .map(|(name, value)| format!("--{name}={value}"))
            .collect()
    }
}

/// Splits `KEY=VALUE`.
fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        connection: ConnectionArgs,
        #[command(subcommand)]
        _command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        Status { name: String },
    }

    fn parse(words: &[&str]) -> ConnectionArgs {
        let argv = ["kubectl-stateful", "status", "web"].iter().chain(words);
        Cli::try_parse_from(argv).unwrap().connection
    }

    #[test]
    fn every_flag_may_follow_the_subcommand() {
        let args = parse(&[
            "-n",
            "db",
            "-s=https://api:6443",
            "--as=jane",
            "--as-group=a",
            "--as-group=b",
            "--as-user-extra=scopes=view=all",
            "--insecure-skip-tls-verify",
            "--disable-compression=false",
            "--request-timeout=1m30s",
        ]);
        assert_eq!(args.namespace.as_deref(), Some("db"));
        assert_eq!(args.server.as_deref(), Some("https://api:6443"));
        assert_eq!(args.as_group, ["a", "b"]);
        assert_eq!(args.as_user_extra, [("scopes".to_owned(), "view=all".to_owned())]);
        assert_eq!(args.insecure_skip_tls_verify, Some(true));
        assert_eq!(args.disable_compression, Some(false));
        assert_eq!(args.request_timeout, Some(Duration::from_secs(90)));
    }

    #[test]
    fn all_flags_are_global_and_stand_under_one_heading() {
        let mut command = Cli::command();
        command.build();
        for flag in command.get_arguments().filter(|arg| arg.get_id() != "help") {
            assert!(flag.is_global_set(), "{} is not global", flag.get_id());
            assert_eq!(flag.get_help_heading(), Some("Connection options"), "{}", flag.get_id());
        }
    }
}
