//! Resolves kubeconfig files, flags and the service account of a pod to one
//! [`Target`].
//!
//! The files are read with kube's types, but precedence is decided here, with
//! the rules of client-go's `tools/clientcmd`: kube-client fails on a missing
//! file in `$KUBECONFIG`, has no overriding flags and its own error messages.

use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::Uri;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, KubeconfigError};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::SecretString;

use super::{
    args::ConnectionArgs, error::os_error, exec_auth::Plugin, proxy, proxy::ProxyEnvironment,
};
use crate::output::{Error, Exit};

/// Where a run connects to, and as which user.
pub struct Target {
    /// Name of the context in use, where there is one.
    pub context: Option<String>,
    pub namespace: String,
    /// Whether any configuration was found. Without it, `localhost:8080` is only
    /// kubectl's default.
    pub configured: bool,
    /// Server, CA, client certificate, impersonation and proxy, for kube's
    /// layers.
    pub config: kube::Config,
    pub identity: Identity,
}

/// How the user authenticates, besides a client certificate.
pub enum Identity {
    /// Nothing, or a client certificate alone.
    Anonymous,
    Basic {
        username: String,
        password: SecretString,
    },
    Token(SecretString),
    /// Read repeatedly: the token of a service account is rotated.
    TokenFile(PathBuf),
    Exec(Box<Plugin>),
    /// The `auth-provider` in `config`, which kube's layer handles.
    Provider,
}

/// Environment variables and well-known paths, in one place so that tests need
/// not change the environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub kubeconfig: Option<OsString>,
    pub home: Option<PathBuf>,
    pub service_host: Option<String>,
    pub service_port: Option<String>,
    pub pod_namespace: Option<String>,
    pub service_account: PathBuf,
    pub proxies: ProxyEnvironment,
}

impl Environment {
    pub fn read() -> Environment {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        Environment {
            kubeconfig: env::var_os("KUBECONFIG").filter(|value| !value.is_empty()),
            home: env::home_dir(),
            service_host: text("KUBERNETES_SERVICE_HOST"),
            service_port: text("KUBERNETES_SERVICE_PORT"),
            pod_namespace: text("POD_NAMESPACE"),
            service_account: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
            proxies: ProxyEnvironment::read(),
        }
    }

    /// The API server as seen from a pod, if we run in one.
    fn in_cluster(&self) -> Option<String> {
        let (host, port) = (self.service_host.as_ref()?, self.service_port.as_ref()?);
        if !self.service_account.join("token").is_file() {
            return None;
        }
        let bracketed = host.contains(':');
        Some(if bracketed {
            format!("https://[{host}]:{port}")
        } else {
            format!("https://{host}:{port}")
        })
    }

    fn pod_namespace(&self) -> Option<String> {
        self.in_cluster()?;
        self.pod_namespace.clone().or_else(|| {
            let text = fs::read_to_string(self.service_account.join("namespace")).ok()?;
            Some(text.trim().to_owned()).filter(|namespace| !namespace.is_empty())
        })
    }
}

/// Decides where to connect.
///
/// # Errors
/// In kubectl's words, when a file, a name or a credential is wrong.
pub fn resolve(args: &ConnectionArgs, environment: &Environment) -> Result<Target, Error> {
    let loaded = load(args.kubeconfig.as_deref(), environment)?;
    let mut chosen = Chosen::from(&loaded, args)?;
    let mut in_cluster = false;
    let empty = loaded.clusters.is_empty() && loaded.contexts.is_empty();
    // The token of the service account is only for the server of the pod.
    if empty
        && given(args.server.as_deref()).is_none()
        && let Some(server) = environment.in_cluster()
    {
        in_cluster = true;
        chosen.use_service_account(server, &environment.service_account);
    }
    chosen.override_with(args);

    let configured = chosen.cluster.server.is_some();
    let server = chosen.server()?;
    let secure = server.scheme_str() == Some("https");
    let mut config = kube::Config::new(server);
    config.default_retry = false;
    config.disable_compression = chosen.cluster.disable_compression.unwrap_or(false);
    config.tls_server_name = given(chosen.cluster.tls_server_name.as_deref());
    config.proxy_url = proxy::choose(
        given(chosen.cluster.proxy_url.as_deref()).as_deref(),
        &chosen.cluster_name,
        &config.cluster_url,
        &environment.proxies,
    )?;
    chosen.impersonate(&mut config)?;
    let mut identity = Identity::Anonymous;
    if secure {
        chosen.trust(&mut config)?;
        if in_cluster && args.certificate_authority.is_none() && !config.accept_invalid_certs {
            config.root_cert_file = Some(environment.service_account.join("ca.crt"));
        }
        chosen.client_certificate(&mut config)?;
        // Like kubectl, send credentials only over TLS (clientcmd: "only try
        // to read the auth information if we are secure").
        identity = chosen.identity(&mut config)?;
    }
    let namespace = chosen
        .namespace
        .or_else(|| environment.pod_namespace())
        .unwrap_or_else(|| "default".to_owned());
    config.default_namespace.clone_from(&namespace);
    Ok(Target { context: chosen.context, namespace, configured, config, identity })
}

/// Reads and merges the kubeconfig files: for each cluster, user, context and
/// for the current context, the first file wins.
fn load(explicit: Option<&Path>, environment: &Environment) -> Result<Kubeconfig, Error> {
    if let Some(path) = explicit.filter(|path| !path.as_os_str().is_empty()) {
        return match read(path)? {
            Some(config) => Ok(config),
            None => Err(Error::new(
                Exit::Error,
                format!("stat {}: no such file or directory", path.display()),
            )
            .hint("--kubeconfig must name an existing file")),
        };
    }
    let paths: Vec<PathBuf> = match &environment.kubeconfig {
        Some(list) => env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => environment.home.iter().map(|home| home.join(".kube").join("config")).collect(),
    };
    let mut merged = Kubeconfig::default();
    for path in paths {
        if let Some(next) = read(&path)? {
            merged = merged.merge(next).map_err(|error| unloadable(&path, &error))?;
        }
    }
    Ok(merged)
}

/// Reads a file and makes its relative paths absolute; `None` if it is missing.
fn read(path: &Path) -> Result<Option<Kubeconfig>, Error> {
    match Kubeconfig::read_from(path) {
        Ok(mut config) => {
            // An empty `current-context` must not hide that of a later file.
            config.current_context = given(config.current_context.as_deref());
            Ok(Some(config))
        }
        Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(KubeconfigError::ReadConfig(error, _)) => Err(unloadable(
            path,
            &format!("{} {}: {}", verb_for(&error), path.display(), os_error(&error)),
        )),
        Err(KubeconfigError::Parse(error)) => {
            // The lines after the first quote the file, including secrets.
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default();
            let said = said.strip_prefix("error: ").unwrap_or(said);
            Err(unloadable(path, &format!("yaml: {said}")))
        }
        Err(error) => Err(unloadable(path, &error)),
    }
}

/// Go names which step failed: opening or reading.
fn verb_for(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" }
}

fn unloadable(path: &Path, why: &dyn fmt::Display) -> Error {
    let headline = format!("error loading config file \"{}\": {why}", path.display());
    Error::new(Exit::Error, headline)
        .hint(format!("kubectl config view --kubeconfig={}", path.display()))
}

/// `None` for an empty string: kubectl treats the two alike.
fn given(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn given_path(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// The cluster, user and namespace that the context and the flags select.
struct Chosen {
    context: Option<String>,
    cluster_name: String,
    cluster: Cluster,
    user_name: String,
    user: AuthInfo,
    namespace: Option<String>,
}

impl Chosen {
    fn from(config: &Kubeconfig, args: &ConnectionArgs) -> Result<Chosen, Error> {
        let (name, context) = context(config, given(args.context.as_deref()))?;
        let cluster_flag = given(args.cluster.as_deref());
        let cluster_name = cluster_flag.clone().or_else(|| given(Some(&context.cluster)));
        let cluster = cluster_name.as_ref().and_then(|name| {
            let named = config.clusters.iter().find(|cluster| &cluster.name == name)?;
            Some(named.cluster.clone().unwrap_or_default())
        });
        if let (Some(name), None) = (&cluster_flag, &cluster) {
            let sentence = format!("no server found for cluster {name:?}");
            return Err(Error::new(Exit::Error, sentence).hint("kubectl config get-clusters"));
        }
        let user_flag = given(args.user.as_deref());
        let user_name = user_flag.clone().or_else(|| given(context.user.as_deref()));
        let user = user_name.as_ref().and_then(|name| {
            let named = config.auth_infos.iter().find(|user| &user.name == name)?;
            Some(named.auth_info.clone().unwrap_or_default())
        });
        if let (Some(name), None) = (&user_flag, &user) {
            return Err(absent("auth info", name, "get-users"));
        }
        let mut cluster = cluster.unwrap_or_default();
        cluster.server = given(cluster.server.as_deref());
        Ok(Chosen {
            context: name,
            cluster_name: cluster_name.unwrap_or_default(),
            cluster,
            user_name: user_name.unwrap_or_default(),
            user: user.unwrap_or_default(),
            namespace: given(args.namespace.as_deref())
                .or_else(|| given(context.namespace.as_deref())),
        })
    }

    /// In a pod: uses its service account, as client-go's `InClusterConfig`.
    fn use_service_account(&mut self, server: String, files: &Path) {
        self.cluster.server = Some(server);
        self.cluster.certificate_authority = Some(files.join("ca.crt").display().to_string());
        self.user.token_file = Some(files.join("token").display().to_string());
    }

    /// Flags override the files, and remove settings that contradict them.
    fn override_with(&mut self, args: &ConnectionArgs) {
        let cluster = &mut self.cluster;
        if let Some(server) = given(args.server.as_deref()) {
            cluster.server = Some(server);
        }
        if let Some(name) = given(args.tls_server_name.as_deref()) {
            cluster.tls_server_name = Some(name);
        }
        if let Some(disabled) = args.disable_compression {
            cluster.disable_compression = Some(disabled);
        }
        if let Some(insecure) = args.insecure_skip_tls_verify {
            cluster.insecure_skip_tls_verify = Some(insecure);
            if insecure {
                cluster.certificate_authority = None;
                cluster.certificate_authority_data = None;
            }
        }
        if let Some(path) = given_path(args.certificate_authority.as_deref()) {
            cluster.certificate_authority = Some(path.display().to_string());
            cluster.certificate_authority_data = None;
            if args.insecure_skip_tls_verify.is_none() {
                cluster.insecure_skip_tls_verify = None;
            }
        }
        let user = &mut self.user;
        if let Some(token) = given(args.token.as_deref()) {
            user.token = Some(token.into());
            user.token_file = None;
            user.username = None;
            user.password = None;
            user.exec = None;
            user.auth_provider = None;
        }
        if let Some(path) = given_path(args.client_certificate.as_deref()) {
            user.client_certificate = Some(path.display().to_string());
            user.client_certificate_data = None;
        }
        if let Some(path) = given_path(args.client_key.as_deref()) {
            user.client_key = Some(path.display().to_string());
            user.client_key_data = None;
        }
        if let Some(name) = given(args.as_user.as_deref()) {
            user.impersonate = Some(name);
        }
        if let Some(uid) = given(args.as_uid.as_deref()) {
            user.impersonate_uid = Some(uid);
        }
        if !args.as_group.is_empty() {
            user.impersonate_groups = Some(args.as_group.clone());
        }
        if !args.as_user_extra.is_empty() {
            let extra = user.impersonate_user_extra.insert(std::collections::HashMap::new());
            for (key, value) in &args.as_user_extra {
                extra.entry(key.clone()).or_default().push(value.clone());
            }
        }
    }

    /// The address of the server. The default scheme is `http`, or `https` if
    /// there are TLS settings; the default address is kubectl's
    /// `localhost:8080` (client-go: `rest.DefaultServerURL`).
    fn server(&self) -> Result<Uri, Error> {
        let text = self.cluster.server.as_deref().unwrap_or("http://localhost:8080");
        let wants_tls = self.cluster.insecure_skip_tls_verify.unwrap_or(false)
            || self.cluster.certificate_authority.is_some()
            || self.cluster.certificate_authority_data.is_some()
            || self.user.client_certificate.is_some()
            || self.user.client_certificate_data.is_some();
        let complete = if text.contains("://") {
            text.to_owned()
        } else {
            format!("{}://{text}", if wants_tls { "https" } else { "http" })
        };
        let malformed =
            || Error::new(Exit::Error, format!("host must be a URL or a host:port pair: {text:?}"));
        let uri: Uri = complete.parse().map_err(|_| malformed())?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(malformed());
        }
        match uri.scheme_str() {
            Some("http" | "https") => Ok(uri),
            scheme => Err(Error::with_headline(
                Exit::Error,
                format!(
                    "Unable to connect to the server: unsupported protocol scheme {:?}",
                    scheme.unwrap_or_default()
                ),
            )),
        }
    }

    fn impersonate(&self, config: &mut kube::Config) -> Result<(), Error> {
        let user = &self.user;
        let name = given(user.impersonate.as_deref());
        let groups = user.impersonate_groups.clone().unwrap_or_default();
        let extra = user.impersonate_user_extra.clone().unwrap_or_default();
        let uid = given(user.impersonate_uid.as_deref());
        if name.is_none() && (uid.is_some() || !groups.is_empty() || !extra.is_empty()) {
            return Err(Error::new(
                Exit::Error,
                format!(
                    "requesting uid, groups or user-extra for {} without impersonating a user",
                    self.user_name
                ),
            )
            .hint("add --as USER"));
        }
        config.auth_info.impersonate = name;
        config.auth_info.impersonate_uid = uid;
        config.auth_info.impersonate_groups = Some(groups);
        config.auth_info.impersonate_user_extra = Some(extra);
        Ok(())
    }

    /// Which certificates to trust: the configured CA, any certificate
    /// (insecure), or by default those of the system.
    fn trust(&self, config: &mut kube::Config) -> Result<(), Error> {
        config.accept_invalid_certs = self.cluster.insecure_skip_tls_verify.unwrap_or(false);
        let owner = &self.cluster_name;
        let pem = data_or_file(
            ("certificate-authority", self.cluster.certificate_authority.as_deref()),
            ("certificate-authority-data", self.cluster.certificate_authority_data.as_deref()),
            owner,
        )?;
        let Some(pem) = pem else { return Ok(()) };
        if config.accept_invalid_certs {
            return Err(Error::new(
                Exit::Error,
                "specifying a root certificates file with the insecure flag is not allowed",
            ));
        }
        let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&pem)
            .map(|found| found.map(|der| der.to_vec()))
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        if certificates.is_empty() {
            return Err(Error::new(
                Exit::Error,
                "unable to load root certificates: unable to parse bytes as PEM block",
            ));
        }
        config.root_cert = Some(certificates);
        Ok(())
    }

    fn client_certificate(&self, config: &mut kube::Config) -> Result<(), Error> {
        let owner = &self.user_name;
        let user = &self.user;
        let has_certificate =
            user.client_certificate.is_some() || user.client_certificate_data.is_some();
        let has_key = user.client_key.is_some() || user.client_key_data.is_some();
        if !has_certificate {
            return Ok(());
        }
        if !has_key {
            return Err(Error::new(
                Exit::Error,
                format!(
                    "client-key-data or client-key must be specified for {owner} to use the \
                     clientCert authentication method."
                ),
            ));
        }
        let certificate = data_or_file(
            ("client-cert", user.client_certificate.as_deref()),
            ("client-certificate-data", user.client_certificate_data.as_deref()),
            owner,
        )?;
        let key = data_or_file(
            ("client-key", user.client_key.as_deref()),
            ("client-key-data", user.client_key_data.as_ref().map(expose)),
            owner,
        )?;
        config.auth_info.client_certificate_data = certificate.map(|pem| BASE64.encode(pem));
        config.auth_info.client_key_data = key.map(|pem| BASE64.encode(pem).into());
        Ok(())
    }

    fn identity(&self, config: &mut kube::Config) -> Result<Identity, Error> {
        let user = &self.user;
        let token = user.token.as_ref().filter(|token| !expose(token).is_empty());
        let username = given(user.username.as_deref());
        if token.is_some() && username.is_some() {
            return Err(Error::new(
                Exit::Error,
                format!(
                    "more than one authentication method found for {}; found [token basicAuth], \
                     only one is allowed",
                    self.user_name
                ),
            ));
        }
        if let Some(provider) = &user.auth_provider {
            return self.provider(provider, config);
        }
        if let Some(username) = username {
            let password = user.password.clone().unwrap_or_else(|| String::new().into());
            return Ok(Identity::Basic { username, password });
        }
        if let Some(token) = token {
            return Ok(Identity::Token(token.clone()));
        }
        if let Some(path) = given(user.token_file.as_deref()) {
            return Ok(Identity::TokenFile(PathBuf::from(path)));
        }
        if let Some(exec) = &user.exec {
            let plugin = Plugin::from_config(exec, &self.user_name, &self.cluster)?;
            return Ok(Identity::Exec(Box::new(plugin)));
        }
        Ok(Identity::Anonymous)
    }

    /// kubectl has removed its built-in providers except `OpenID` Connect, which
    /// kube's layer supports.
    fn provider(
        &self,
        provider: &kube::config::AuthProviderConfig,
        config: &mut kube::Config,
    ) -> Result<Identity, Error> {
        if provider.name == "oidc" {
            config.auth_info.auth_provider = Some(provider.clone());
            return Ok(Identity::Provider);
        }
        let message = format!("The {} auth plugin has been removed.", provider.name);
        let successor = match provider.name.as_str() {
            "gcp" => "use the exec plugin gke-gcloud-auth-plugin instead",
            "azure" => "use the exec plugin kubelogin instead",
            _ => "use an exec credential plugin instead (users[].user.exec)",
        };
        Err(Error::new(Exit::Error, message)
            .caused_by(format!("users[{:?}] names it as its auth-provider", self.user_name))
            .hint(successor))
    }
}

/// The context from the flag, or the current one. It must exist.
fn context(config: &Kubeconfig, flag: Option<String>) -> Result<(Option<String>, Context), Error> {
    let find = |name: &str| {
        let named = config.contexts.iter().find(|context| context.name == name)?;
        Some(named.context.clone().unwrap_or_default())
    };
    match (flag, &config.current_context) {
        (Some(name), _) => match find(&name) {
            Some(context) => Ok((Some(name), context)),
            None => Err(no_such_context(&name)),
        },
        (None, Some(name)) => match find(name) {
            Some(context) => Ok((Some(name.clone()), context)),
            None => Err(no_such_context(name)),
        },
        (None, None) => Ok((None, Context::default())),
    }
}

fn no_such_context(name: &str) -> Error {
    let sentence = "Error in configuration: context was not found for specified context";
    Error::with_headline(Exit::Error, format!("{sentence}: {name}"))
        .hint("kubectl config get-contexts")
}

fn absent(what: &str, name: &str, list: &str) -> Error {
    Error::new(Exit::Error, format!("{what} {name:?} does not exist"))
        .hint(format!("kubectl config {list}"))
}

pub fn expose(secret: &SecretString) -> &str {
    secrecy::ExposeSecret::expose_secret(secret)
}

/// The value of a pair of kubeconfig fields: inline base64, or else a file.
fn data_or_file(
    (file_name, file): (&str, Option<&str>),
    (data_name, data): (&str, Option<&str>),
    owner: &str,
) -> Result<Option<Vec<u8>>, Error> {
    if let Some(text) = data.filter(|text| !text.is_empty()) {
        let stripped: String = text.split_whitespace().collect();
        return BASE64.decode(stripped).map(Some).map_err(|error| {
            Error::new(Exit::Error, format!("unable to decode {data_name} for {owner}: {error}"))
        });
    }
    let Some(path) = file.filter(|path| !path.is_empty()) else { return Ok(None) };
    fs::read(path).map(Some).map_err(|error| {
        Error::new(
            Exit::Error,
            format!(
                "unable to read {file_name} {path} for {owner} due to {} {path}: {}",
                verb_for(&error),
                os_error(&error)
            ),
        )
        .hint("the flag or the kubeconfig must name a readable file")
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const BASE: &str = "
clusters:
- {name: a, cluster: {server: 'https://a:6443', certificate-authority: pki/ca.crt}}
- {name: b, cluster: {server: 'https://b:6443', insecure-skip-tls-verify: true}}
users:
- {name: jane, user: {token: t-jane}}
contexts:
- {name: one, context: {cluster: a, user: jane, namespace: db}}
- {name: two, context: {cluster: b, user: nobody}}
current-context: two
";

    /// Certificates are only parsed here; TLS validates them.
    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    struct Files(TempDir);

    impl Files {
        fn new() -> Files {
            let files = Files(tempfile::tempdir().unwrap());
            fs::create_dir(files.0.path().join("pki")).unwrap();
            files.with("pki/ca.crt", PEM)
        }

        fn with(self, name: &str, text: &str) -> Files {
            fs::write(self.path(name), text).unwrap();
            self
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn list(&self, names: &[&str]) -> Environment {
            let paths = names.iter().map(|name| self.path(name));
            let kubeconfig = Some(env::join_paths(paths).unwrap());
            Environment { kubeconfig, ..Environment::default() }
        }
    }

    fn flags(change: impl FnOnce(&mut ConnectionArgs)) -> ConnectionArgs {
        let mut args = ConnectionArgs::default();
        change(&mut args);
        args
    }

    fn resolved(environment: &Environment, args: &ConnectionArgs) -> Target {
        resolve(args, environment).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(environment: &Environment, args: &ConnectionArgs) -> String {
        match resolve(args, environment) {
            Ok(_) => panic!("was accepted"),
            Err(error) => error.headline().to_owned(),
        }
    }

    fn token(target: &Target) -> Option<&str> {
        match &target.identity {
            Identity::Token(token) => Some(expose(token)),
            _ => None,
        }
    }

    #[test]
    fn the_first_file_to_say_something_wins_and_missing_files_are_skipped() {
        let files = Files::new()
            .with("empty", "")
            .with("first", "current-context: ''\nusers:\n- {name: jane, user: {token: first}}\n")
            .with("base", BASE);
        let environment = files.list(&["nowhere", "empty", "first", "base"]);
        let target = resolved(&environment, &flags(|_| {}));
        assert_eq!(target.context.as_deref(), Some("two"));
        assert_eq!(target.config.cluster_url, "https://b:6443/");
        assert!(target.config.accept_invalid_certs);
        assert_eq!(target.namespace, "default");

        let one = resolved(&environment, &flags(|args| args.context = Some("one".into())));
        assert_eq!(token(&one), Some("first"));
        assert_eq!(one.namespace, "db");
        assert_eq!(one.config.root_cert.map(|certificates| certificates.len()), Some(1));
    }

    #[test]
    fn a_file_named_by_flag_stands_alone_and_must_exist() {
        let files = Files::new().with("base", BASE).with("other", "current-context: gone");
        let environment = files.list(&["base"]);
        let named = |name: &str| flags(|args| args.kubeconfig = Some(files.path(name)));
        assert_eq!(
            refused(&environment, &named("nowhere")),
            format!("error: stat {}: no such file or directory", files.path("nowhere").display())
        );
        assert_eq!(
            refused(&environment, &named("other")),
            "Error in configuration: context was not found for specified context: gone"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_without_its_contents() {
        let files = Files::new().with("bad", "users:\n- token: s3cret\n  name: [\n");
        let said = refused(&files.list(&["bad"]), &flags(|_| {}));
        let path = files.path("bad");
        let start = format!("error: error loading config file \"{}\": yaml: line ", path.display());
        assert!(said.starts_with(&start), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }

    #[test]
    fn names_that_flags_give_must_exist() {
        let files = Files::new().with("base", BASE);
        let environment = files.list(&["base"]);
        let refused = |change: fn(&mut ConnectionArgs)| refused(&environment, &flags(change));
        assert_eq!(
            refused(|args| args.context = Some("x".into())),
            "Error in configuration: context was not found for specified context: x"
        );
        assert_eq!(
            refused(|args| args.cluster = Some("x".into())),
            "error: no server found for cluster \"x\""
        );
        assert_eq!(
            refused(|args| args.user = Some("x".into())),
            "error: auth info \"x\" does not exist"
        );
        // Like kubectl, accept a context that names a missing user.
        let target = resolved(&environment, &flags(|args| args.context = Some("two".into())));
        assert!(matches!(target.identity, Identity::Anonymous));
    }

    #[test]
    fn flags_win_over_files_and_push_out_what_contradicts_them() {
        let files = Files::new().with("base", BASE).with("mine.crt", PEM);
        let environment = files.list(&["base"]);
        let target = resolved(
            &environment,
            &flags(|args| {
                args.context = Some("one".into());
                args.server = Some("https://c:1".into());
                args.namespace = Some("other".into());
                args.token = Some("mine".into());
                args.tls_server_name = Some("kube".into());
                args.insecure_skip_tls_verify = Some(true);
                args.disable_compression = Some(true);
            }),
        );
        assert_eq!(target.config.cluster_url, "https://c:1/");
        assert_eq!(target.namespace, "other");
        assert_eq!(token(&target), Some("mine"));
        assert_eq!(target.config.tls_server_name.as_deref(), Some("kube"));
        assert_eq!(target.config.root_cert, None, "no CA is needed");
        assert!(target.config.disable_compression);

        let trusting = resolved(
            &environment,
            &flags(|args| args.certificate_authority = Some(files.path("mine.crt"))),
        );
        assert!(!trusting.config.accept_invalid_certs);
        assert!(trusting.config.root_cert.is_some());
    }

    #[test]
    fn empty_flags_say_nothing() {
        let files = Files::new().with("base", BASE);
        let empty = flags(|args| {
            args.kubeconfig = Some(PathBuf::new());
            args.context = Some(String::new());
            args.namespace = Some(String::new());
            args.token = Some(String::new());
        });
        assert_eq!(resolved(&files.list(&["base"]), &empty).context.as_deref(), Some("two"));
    }

    #[test]
    fn acting_as_a_group_needs_a_user() {
        let files = Files::new().with("base", BASE);
        let environment = files.list(&["base"]);
        let group = flags(|args| {
            args.context = Some("one".into());
            args.as_group = vec!["admins".into()];
        });
        assert_eq!(
            refused(&environment, &group),
            "error: requesting uid, groups or user-extra for jane without impersonating a user"
        );
        let user = flags(|args| {
            args.as_user = Some("bob".into());
            args.as_user_extra = vec![("k".into(), "1".into()), ("k".into(), "2".into())];
        });
        let acting = resolved(&environment, &user).config.auth_info;
        assert_eq!(acting.impersonate.as_deref(), Some("bob"));
        let extra = acting.impersonate_user_extra.unwrap_or_default();
        assert_eq!(extra["k"], ["1", "2"]);
    }

    #[test]
    fn without_any_file_it_is_the_pods_own_server_or_localhost() {
        let files = Files::new().with("token", "t").with("namespace", "mine\n").with("ca.crt", PEM);
        let nowhere = Environment {
            home: Some(files.path("nowhere")),
            service_account: files.0.path().to_owned(),
            ..Environment::default()
        };
        let target = resolved(&nowhere, &flags(|_| {}));
        assert_eq!(target.config.cluster_url, "http://localhost:8080/");
        assert!(!target.configured);

        let pod = Environment {
            service_host: Some("fd00::1".into()),
            service_port: Some("443".into()),
            ..nowhere.clone()
        };
        let target = resolved(&pod, &flags(|_| {}));
        assert_eq!(target.config.cluster_url, "https://[fd00::1]:443/");
        assert_eq!(target.namespace, "mine");
        assert!(matches!(&target.identity, Identity::TokenFile(path) if path.ends_with("token")));
        assert_eq!(target.config.root_cert_file, Some(files.path("ca.crt")));

        let elsewhere = flags(|args| args.server = Some("https://x".into()));
        let target = resolved(&pod, &elsewhere);
        assert!(matches!(target.identity, Identity::Anonymous), "the pod's token stays here");
    }

    #[test]
    fn an_address_without_a_scheme_is_http_unless_tls_is_spoken_of() {
        let environment = Environment::default();
        let server = |text: &str, insecure: bool| {
            let args = flags(|args| {
                args.server = Some(text.into());
                args.insecure_skip_tls_verify = insecure.then_some(true);
            });
            resolve(&args, &environment)
                .map(|target| target.config.cluster_url.to_string())
                .map_err(|error| error.headline().to_owned())
        };
        assert_eq!(server("127.0.0.1:8080", false).unwrap(), "http://127.0.0.1:8080/");
        assert_eq!(server("127.0.0.1:6443", true).unwrap(), "https://127.0.0.1:6443/");
        assert_eq!(
            server("https://a b", false).unwrap_err(),
            "error: host must be a URL or a host:port pair: \"https://a b\""
        );
        assert_eq!(
            server("ftp://x", false).unwrap_err(),
            "Unable to connect to the server: unsupported protocol scheme \"ftp\""
        );
    }

    #[test]
    fn credentials_are_not_sent_in_the_clear() {
        let files = Files::new().with("base", BASE);
        let clear = flags(|args| {
            args.context = Some("one".into());
            args.server = Some("http://a:8080".into());
        });
        let target = resolved(&files.list(&["base"]), &clear);
        assert!(matches!(target.identity, Identity::Anonymous));
    }
}
