//! Which proxy to use.

use std::{env, net::IpAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::output::{Error, Exit};

/// The proxy variables that Go's `net/http` reads, upper case first.
#[derive(Clone, Debug, Default)]
pub struct ProxyEnvironment {
    pub http: Option<String>,
    pub https: Option<String>,
    pub no: Option<String>,
}

impl ProxyEnvironment {
    pub fn read() -> ProxyEnvironment {
        let either = |upper: &str, lower: &str| {
            let value = env::var(upper).ok().filter(|value| !value.is_empty());
            value.or_else(|| env::var(lower).ok().filter(|value| !value.is_empty()))
        };
        ProxyEnvironment {
            http: either("HTTP_PROXY", "http_proxy"),
            https: either("HTTPS_PROXY", "https_proxy"),
            no: either("NO_PROXY", "no_proxy"),
        }
    }
}

/// The proxy for `server`: the `proxy-url` of the kubeconfig, which has no
/// exceptions, or else that of the environment. As in Go, the environment's
/// proxy is never used for the local host.
///
/// # Errors
/// When the proxy's address cannot be used.
pub fn choose(
    proxy_url: Option<&str>,
    cluster: &str,
    server: &Uri,
    environment: &ProxyEnvironment,
) -> Result<Option<Uri>, Error> {
    if let Some(text) = proxy_url {
        let invalid = |why: String| {
            let headline = format!("invalid 'proxy-url' {text:?} for cluster {cluster:?}: {why}");
            Error::new(Exit::Error, headline)
        };
        let uri: Uri = text.parse().map_err(|error| invalid(format!("{error}")))?;
        return match uri.scheme_str() {
            Some("http" | "https" | "socks5") => Ok(Some(uri)),
            scheme => Err(invalid(format!(
                "unsupported scheme {:?}, must be http, https, or socks5",
                scheme.unwrap_or_default()
            ))),
        };
    }
    let variable = if server.scheme_str() == Some("https") {
        environment.https.as_deref()
    } else {
        environment.http.as_deref()
    };
    let Some(variable) = variable else { return Ok(None) };
    if server.host().is_none_or(is_local) {
        return Ok(None);
    }
    let exceptions = Matcher::builder()
        .all("http://unused.invalid")
        .no(environment.no.as_deref().unwrap_or_default())
        .build();
    if exceptions.intercept(server).is_none() {
        return Ok(None);
    }
    let complete =
        if variable.contains("://") { variable.to_owned() } else { format!("http://{variable}") };
    match complete.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https" | "socks5" | "socks5h")) => {
            Ok(Some(uri))
        }
        _ => Err(Error::new(Exit::Error, format!("invalid proxy address {variable:?}"))
            .hint("HTTPS_PROXY takes http://, https:// and socks5:// addresses")),
    }
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(server: &str, environment: &ProxyEnvironment) -> Option<String> {
        let server = server.parse().unwrap();
        choose(None, "c", &server, environment).unwrap().map(|uri| uri.to_string())
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme_with_exceptions() {
        let environment = ProxyEnvironment {
            http: None,
            https: Some("proxy.corp:3128".to_owned()),
            no: Some("10.0.0.0/8,.internal".to_owned()),
        };
        let proxied = Some("http://proxy.corp:3128/".to_owned());
        assert_eq!(chosen("https://api.example.com", &environment), proxied);
        assert_eq!(chosen("http://api.example.com", &environment), None);
        assert_eq!(chosen("https://10.1.2.3:6443", &environment), None);
        assert_eq!(chosen("https://k8s.internal", &environment), None);
        assert_eq!(chosen("https://127.0.0.1:6443", &environment), None);
        assert_eq!(chosen("https://[::1]:6443", &environment), None);
        assert_eq!(chosen("https://LocalHost:6443", &environment), None);
    }

    #[test]
    fn the_kubeconfigs_proxy_wins_and_must_be_one_we_speak() {
        let environment =
            ProxyEnvironment { no: Some("*".to_owned()), ..ProxyEnvironment::default() };
        let server = "https://127.0.0.1:6443".parse().unwrap();
        let socks = choose(Some("socks5://127.0.0.1:1080"), "c", &server, &environment).unwrap();
        assert_eq!(socks.unwrap().scheme_str(), Some("socks5"));
        let error = choose(Some("ftp://a"), "p", &server, &environment).unwrap_err();
        assert_eq!(
            error.headline(),
            "error: invalid 'proxy-url' \"ftp://a\" for cluster \"p\": unsupported scheme \
             \"ftp\", must be http, https, or socks5"
        );
    }
}
