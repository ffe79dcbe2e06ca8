//! Credentials and their renewal: tokens are read again, plugins run again,
//! and client certificates are replaced.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::{
    error::{Failure, os_error},
    exec_auth::{Credential, Plugin, Voice},
    kubeconfig::{Identity, expose},
};

/// How long a token from a file is used before the file is read again, as in
/// client-go's `NewCachedFileTokenSource`.
const TOKEN_FILE_AGE: SignedDuration = SignedDuration::from_mins(1);

/// A credential is renewed this long before it expires, so that it is still
/// valid when the request arrives.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// A plugin that has failed, or whose new credential is refused as well, is not
/// run again so soon: the other requests of the same moment would fail in the
/// same way, and each run may ask a person to log in. Long waits try again.
const PLUGIN_PAUSE: Duration = Duration::from_secs(10);

/// The credentials of one run.
pub struct Credentials {
    source: Source,
    /// Whether a plugin may ask on the terminal, and what it may print there.
    voice: Voice,
    /// Locked while a plugin runs, so that one renewal serves all requests that
    /// need a new token.
    held: tokio::sync::Mutex<Held>,
    pub certificate: Arc<ClientCertificate>,
}

/// What is held, and how the plugin fared last.
#[derive(Default)]
struct Held {
    current: Option<ActiveCredential>,
    /// When the plugin failed, and how.
    failed: Option<(Instant, Failure)>,
    /// When it was run because the server had refused what it gave.
    replaced: Option<Instant>,
}

fn is_recent(then: Instant) -> bool {
    then.elapsed() < PLUGIN_PAUSE
}

enum Source {
    Fixed(Option<HeaderValue>),
    File(std::path::PathBuf),
    Exec(Arc<Plugin>),
}

/// The credential in use.
#[derive(Clone, Debug)]
pub struct ActiveCredential {
    pub authorization: Option<HeaderValue>,
    /// Increases with each renewal.
    pub generation: u64,
    stale_at: Option<Timestamp>,
    with_certificate: bool,
}

impl ActiveCredential {
    /// The client certificate that a connection must have been opened with.
    pub fn certificate_generation(&self) -> u64 {
        if self.with_certificate { self.generation } else { 0 }
    }

    fn is_fresh(&self) -> bool {
        self.stale_at.is_none_or(|stale_at| Timestamp::now() < stale_at)
    }
}

impl Credentials {
    /// # Errors
    /// When a token is not allowed in a header.
    pub fn new(identity: Identity, voice: Voice) -> Result<Credentials, Failure> {
        let source = match identity {
            Identity::Anonymous | Identity::Provider => Source::Fixed(None),
            Identity::Basic { username, password } => {
                let pair = BASE64.encode(format!("{username}:{}", expose(&password)));
                Source::Fixed(Some(header("Basic", &pair)?))
            }
            Identity::Token(token) => Source::Fixed(Some(header("Bearer", expose(&token))?)),
            Identity::TokenFile(path) => Source::File(path),
            Identity::Exec(plugin) => Source::Exec(Arc::from(plugin)),
        };
        Ok(Credentials {
            source,
            voice,
            held: tokio::sync::Mutex::default(),
            certificate: Arc::default(),
        })
    }

    /// Whether a plugin provides them, which may take as long as a login.
    pub fn come_from_a_plugin(&self) -> bool {
        matches!(self.source, Source::Exec(_))
    }

    /// The credential to send, renewed if it has expired.
    ///
    /// # Errors
    /// When the plugin or the file gives no credential.
    pub async fn current(&self) -> Result<ActiveCredential, Failure> {
        let mut held = self.held.lock().await;
        match &*held {
            Held { current: Some(current), .. } if current.is_fresh() => Ok(current.clone()),
            Held { failed: Some((then, failure)), .. } if is_recent(*then) => Err(failure.clone()),
            _ => self.renew_held(&mut held).await,
        }
    }

    /// Renews the credential after a 401 for `refused`; returns whether a retry
    /// has something new to send. Many rejected requests share one renewal.
    ///
    /// # Errors
    /// When the plugin or the file gives no credential.
    pub async fn renew(&self, refused: &ActiveCredential) -> Result<bool, Failure> {
        if matches!(self.source, Source::Fixed(_)) {
            return Ok(false);
        }
        let mut held = self.held.lock().await;
        if held.current.as_ref().is_some_and(|current| current.generation > refused.generation) {
            return Ok(true);
        }
        if self.come_from_a_plugin() {
            if held.replaced.is_some_and(is_recent) {
                // The new one is refused as well.
                return Ok(false);
            }
            held.replaced = Some(Instant::now());
        }
        let renewed = self.renew_held(&mut held).await?;
        Ok(self.come_from_a_plugin() || renewed.authorization != refused.authorization)
    }

    async fn renew_held(&self, held: &mut Held) -> Result<ActiveCredential, Failure> {
        let generation = held.current.as_ref().map_or(1, |old| old.generation + 1);
        let fresh = match &self.source {
            Source::Fixed(authorization) => ActiveCredential {
                authorization: authorization.clone(),
                generation,
                stale_at: None,
                with_certificate: false,
            },
            Source::File(path) => {
                let authorization = match (fs::read_to_string(path), &held.current) {
                    (Ok(token), _) => Some(header("Bearer", token.trim())?),
                    // Some programs remove the file after its first use, but
                    // the token may still be valid (kubernetes#68164).
                    (Err(_), Some(old)) => old.authorization.clone(),
                    (Err(error), None) => {
                        return Err(Failure::NoCredentials {
                            cause: format!("open {}: {}", path.display(), os_error(&error)),
                            hint: None,
                        });
                    }
                };
                ActiveCredential {
                    authorization,
                    generation,
                    stale_at: Some(Timestamp::now() + TOKEN_FILE_AGE),
                    with_certificate: false,
                }
            }
            Source::Exec(plugin) => {
                let (plugin, voice) = (Arc::clone(plugin), self.voice);
                let run = tokio::task::spawn_blocking(move || plugin.run(voice));
                let ran = run.await.map_err(|error| Failure::NoCredentials {
                    cause: format!("the exec plugin was interrupted: {error}"),
                    hint: None,
                });
                let given = ran.flatten();
                match given.and_then(|credential| self.accept(&credential, generation)) {
                    Ok(fresh) => fresh,
                    Err(failure) => {
                        held.failed = Some((Instant::now(), failure.clone()));
                        return Err(failure);
                    }
                }
            }
        };
        held.failed = None;
        held.current = Some(fresh.clone());
        Ok(fresh)
    }

    fn accept(
        &self,
        credential: &Credential,
        generation: u64,
    ) -> Result<ActiveCredential, Failure> {
        if let Some((chain, key)) = &credential.certificate {
            self.certificate.replace(chain, key)?;
        }
        let authorization =
            credential.token.as_deref().map(|token| header("Bearer", token)).transpose()?;
        Ok(ActiveCredential {
            authorization,
            generation,
            stale_at: credential.expires.map(|expires| expires - EXPIRY_MARGIN),
            with_certificate: credential.certificate.is_some(),
        })
    }
}

fn header(scheme: &str, value: &str) -> Result<HeaderValue, Failure> {
    let mut header =
        HeaderValue::try_from(format!("{scheme} {value}")).map_err(|_| Failure::NoCredentials {
            cause: "the token has characters that are not allowed in an HTTP header".to_owned(),
            hint: None,
        })?;
    header.set_sensitive(true);
    Ok(header)
}

/// The last client certificate from a plugin. TLS reads it at every handshake.
#[derive(Debug, Default)]
pub struct ClientCertificate(Mutex<Option<Arc<CertifiedKey>>>);

impl ClientCertificate {
    fn replace(&self, chain: &str, key: &str) -> Result<(), Failure> {
        let unusable = |why: String| Failure::NoCredentials {
            cause: format!("the exec plugin's client certificate cannot be used: {why}"),
            hint: None,
        };
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| unusable(error.to_string()))?;
        let provider = rustls::crypto::ring::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider)
            .map_err(|error| unusable(error.to_string()))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certified));
        Ok(())
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_certs(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}
