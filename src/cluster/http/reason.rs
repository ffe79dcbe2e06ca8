//! Why there is no connection, in the words that kubectl prints: Go's.

use std::{error::Error as StdError, io};

use http::Uri;
use jiff::Timestamp;
use rustls::{CertificateError, pki_types::ServerName};

use super::super::error::{Failure, os_error};

/// The failure for an error of the connector.
pub fn unreachable(
    error: &(dyn StdError + 'static),
    server: &Uri,
    proxy: Option<&str>,
    configured: bool,
) -> Failure {
    let host = server.host().unwrap_or_default();
    let authority = server.authority().map_or(host, |authority| authority.as_str());
    if let Some(tls) = find::<rustls::Error>(error) {
        let (cause, hint) = tls_words(tls);
        return Failure::Unreachable { cause, hint: Some(hint.to_owned()) };
    }
    let kind = links(error).filter_map(|link| link.downcast_ref::<io::Error>()).last();
    let looked_up = links(error).any(|link| link.to_string().starts_with("dns error"));
    let through = if proxy.is_some() { "proxyconnect tcp: " } else { "" };
    let dialed = match server.port_u16() {
        Some(_) => authority.to_owned(),
        None if server.scheme_str() == Some("https") => format!("{authority}:443"),
        None => format!("{authority}:80"),
    };
    let cause = match kind {
        _ if looked_up => match proxy {
            Some(proxy) => format!("{through}dial tcp: lookup {proxy}: no such host"),
            None => format!("dial tcp: lookup {host}: no such host"),
        },
        Some(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                return Failure::Refused {
                    server: authority.to_owned(),
                    proxy: proxy.map(str::to_owned),
                    configured,
                };
            }
            io::ErrorKind::TimedOut => format!("{through}dial tcp {dialed}: i/o timeout"),
            io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
            _ => format!("{through}dial tcp {dialed}: connect: {}", os_error(error)),
        },
        None => format!("{through}{}", innermost(error)),
    };
    let hint = if looked_up {
        "check the server's name: kubectl config view --minify".to_owned()
    } else {
        "check the network, VPN and proxy on the way to the server: kubectl cluster-info".to_owned()
    };
    Failure::Unreachable { cause, hint: Some(hint) }
}

/// The message of the last error in the chain.
pub fn innermost(error: &(dyn StdError + 'static)) -> String {
    let last = links(error).last();
    match last.and_then(|link| link.downcast_ref::<io::Error>()) {
        Some(error) => os_error(error),
        None => last.map(ToString::to_string).unwrap_or_default(),
    }
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    links(error).find_map(|link| link.downcast_ref::<T>())
}

/// An error and its sources. The error that an `io::Error` wraps is included:
/// `source()` skips it, and TLS errors are there.
fn links<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |link| {
        let link: &'a (dyn StdError + 'static) = *link;
        let wrapped = link.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => link.source(),
        }
    })
}

const DISTRUST: &str = "the certificate-authority of the kubeconfig did not sign this server's \
                        certificate: get the kubeconfig again, and make sure that nobody \
                        intercepts the connection before you use --insecure-skip-tls-verify";
const OTHER_NAME: &str = "the server's certificate is for another name: correct `server` in the \
                          kubeconfig, or pass --tls-server-name if you know the right name";
const CLOCK: &str = "check this machine's clock, then renew the server's certificates";
const NOT_TLS: &str = "check that this is the right port, and that it serves HTTPS";

/// A TLS failure in the words of Go's crypto/tls and crypto/x509, and a hint.
fn tls_words(error: &rustls::Error) -> (String, &'static str) {
    match error {
        rustls::Error::InvalidCertificate(why) => {
            let (words, hint) = x509_words(why);
            (format!("tls: failed to verify certificate: x509: {words}"), hint)
        }
        rustls::Error::InvalidMessage(_) => {
            ("tls: first record does not look like a TLS handshake".to_owned(), NOT_TLS)
        }
        rustls::Error::AlertReceived(alert) => {
            (format!("remote error: tls: {}", spaced(&format!("{alert:?}"))), NOT_TLS)
        }
        other => (format!("tls: {other}"), NOT_TLS),
    }
}

fn x509_words(why: &CertificateError) -> (String, &'static str) {
    let time = |time: &rustls::pki_types::UnixTime| {
        i64::try_from(time.as_secs())
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
    };
    let expired = "certificate has expired or is not yet valid: current time";
    match why {
        CertificateError::UnknownIssuer => {
            ("certificate signed by unknown authority".to_owned(), DISTRUST)
        }
        CertificateError::ExpiredContext { time: now, not_after } => {
            (format!("{expired} {} is after {}", time(now), time(not_after)), CLOCK)
        }
        CertificateError::NotValidYetContext { time: now, not_before } => {
            (format!("{expired} {} is before {}", time(now), time(not_before)), CLOCK)
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            (name_words(expected, presented), OTHER_NAME)
        }
        CertificateError::BadSignature => {
            ("certificate signed by unknown authority (bad signature)".to_owned(), DISTRUST)
        }
        // Go accepts a server certificate that is itself among the trusted
        // ones; rustls wants one that a CA has signed.
        other if other.to_string().contains("CaUsedAsEndEntity") => (
            "the certificate is a CA certificate and cannot be used by a server".to_owned(),
            "give the server a certificate that its CA has signed (CA:FALSE)",
        ),
        other => (other.to_string(), DISTRUST),
    }
}

/// Like Go, lists only names of the same kind as the expected one.
fn name_words(expected: &ServerName<'_>, presented: &[String]) -> String {
    let of_kind = |kind: &str| -> Vec<&str> {
        presented
            .iter()
            .filter_map(|name| name.strip_prefix(kind)?.strip_suffix(')'))
            .map(|name| name.trim_matches('"'))
            .collect()
    };
    match expected {
        ServerName::IpAddress(address) => {
            let address = std::net::IpAddr::from(*address);
            let names = of_kind("IpAddress(");
            if names.is_empty() {
                format!(
                    "cannot validate certificate for {address} because it doesn't contain any IP \
                     SANs"
                )
            } else {
                format!("certificate is valid for {}, not {address}", names.join(", "))
            }
        }
        other => {
            let name = other.to_str();
            let names = of_kind("DnsName(");
            if names.is_empty() {
                format!("certificate is not valid for any names, but wanted to match {name}")
            } else {
                format!("certificate is valid for {}, not {name}", names.join(", "))
            }
        }
    }
}

/// `CertificateRequired` as `certificate required`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable_words(error: rustls::Error) -> String {
        let error = io::Error::other(io::Error::other(error));
        let server = Uri::from_static("https://10.0.0.1:6443");
        unreachable(&error, &server, None, true).to_string()
    }

    #[test]
    fn tls_failures_read_like_gos() {
        let name = |expected: &str| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from(expected.to_owned()).unwrap(),
            presented: vec!["DnsName(\"example.test\")".into(), "IpAddress(127.0.0.9)".into()],
        };
        for (why, words) in [
            (CertificateError::UnknownIssuer, "x509: certificate signed by unknown authority"),
            (name("127.0.0.1"), "x509: certificate is valid for 127.0.0.9, not 127.0.0.1"),
            (name("other.test"), "x509: certificate is valid for example.test, not other.test"),
            (
                CertificateError::ExpiredContext {
                    time: rustls::pki_types::UnixTime::since_unix_epoch(
                        std::time::Duration::from_secs(86_400),
                    ),
                    not_after: rustls::pki_types::UnixTime::since_unix_epoch(
                        std::time::Duration::from_secs(0),
                    ),
                },
                "x509: certificate has expired or is not yet valid: current time \
                 1970-01-02T00:00:00Z is after 1970-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(
                unreachable_words(rustls::Error::InvalidCertificate(why)),
                format!(
                    "Unable to connect to the server: tls: failed to verify certificate: {words}"
                )
            );
        }
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        assert_eq!(
            unreachable_words(alert),
            "Unable to connect to the server: remote error: tls: certificate required"
        );
    }
}
