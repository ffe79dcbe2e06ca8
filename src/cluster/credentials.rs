//! Who we are, kept fresh: a token that is read again, a plugin that runs
//! again, a client certificate that is replaced.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
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
    error::Failure,
    exec_auth::{Credential, Plugin},
    kubeconfig::{Identity, expose, plain},
};

/// How long a token from a file is used before the file is read again, as in
/// client-go's `NewCachedFileTokenSource`.
const TOKEN_FILE_AGE: SignedDuration = SignedDuration::from_mins(1);

/// A credential is renewed this long before it expires, so that it does not
/// expire on the way.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// The credentials of one run.
pub struct Credentials {
    source: Source,
    stdin_is_tty: bool,
    /// The lock is held while a plugin runs: of many requests that need a new
    /// token, one gets it for all.
    held: tokio::sync::Mutex<Option<Held>>,
    pub certificate: Arc<ClientCertificate>,
}

enum Source {
    Fixed(Option<HeaderValue>),
    File(std::path::PathBuf),
    Exec(Arc<Plugin>),
}

/// What is used now.
#[derive(Clone, Debug)]
pub struct Held {
    pub authorization: Option<HeaderValue>,
    /// Rises with each renewal.
    pub generation: u64,
    stale_at: Option<Timestamp>,
    with_certificate: bool,
}

impl Held {
    /// Which client certificate connections must have been made with.
    pub fn certificate_generation(&self) -> u64 {
        if self.with_certificate { self.generation } else { 0 }
    }

    fn is_fresh(&self) -> bool {
        self.stale_at.is_none_or(|stale_at| Timestamp::now() < stale_at)
    }
}

impl Credentials {
    /// # Errors
    /// When a token cannot stand in a header.
    pub fn new(identity: Identity, stdin_is_tty: bool) -> Result<Credentials, Failure> {
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
            stdin_is_tty,
            held: tokio::sync::Mutex::default(),
            certificate: Arc::default(),
        })
    }

    /// Whether client certificates come from a plugin.
    pub fn may_change_certificate(&self) -> bool {
        matches!(self.source, Source::Exec(_))
    }

    /// What to send now, renewed where it is due.
    ///
    /// # Errors
    /// When the plugin or the file gives nothing.
    pub async fn current(&self) -> Result<Held, Failure> {
        let mut held = self.held.lock().await;
        match &*held {
            Some(current) if current.is_fresh() => Ok(current.clone()),
            _ => self.renew_held(&mut held).await,
        }
    }

    /// After a 401 for what `refused` holds: whether there is something newer
    /// to try with. Many requests refused at once make for one renewal.
    ///
    /// # Errors
    /// When the plugin or the file gives nothing.
    pub async fn renew(&self, refused: &Held) -> Result<bool, Failure> {
        if matches!(self.source, Source::Fixed(_)) {
            return Ok(false);
        }
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|current| current.generation > refused.generation) {
            return Ok(true);
        }
        let renewed = self.renew_held(&mut held).await?;
        Ok(self.may_change_certificate() || renewed.authorization != refused.authorization)
    }

    async fn renew_held(&self, held: &mut Option<Held>) -> Result<Held, Failure> {
        let generation = held.as_ref().map_or(1, |old| old.generation + 1);
        let fresh = match &self.source {
            Source::Fixed(authorization) => Held {
                authorization: authorization.clone(),
                generation,
                stale_at: None,
                with_certificate: false,
            },
            Source::File(path) => {
                let authorization = match (fs::read_to_string(path), &*held) {
                    (Ok(token), _) => Some(header("Bearer", token.trim())?),
                    // Some programs remove the file after its first use; the
                    // token may serve on (kubernetes#68164).
                    (Err(_), Some(old)) => old.authorization.clone(),
                    (Err(error), None) => {
                        return Err(Failure::NoCredentials {
                            cause: format!("open {}: {}", path.display(), plain(&error)),
                            hint: None,
                        });
                    }
                };
                Held {
                    authorization,
                    generation,
                    stale_at: Some(Timestamp::now() + TOKEN_FILE_AGE),
                    with_certificate: false,
                }
            }
            Source::Exec(plugin) => {
                let (plugin, stdin_is_tty) = (Arc::clone(plugin), self.stdin_is_tty);
                let run = tokio::task::spawn_blocking(move || plugin.run(stdin_is_tty));
                let credential = run.await.map_err(|error| Failure::NoCredentials {
                    cause: format!("the exec plugin's run was cut off: {error}"),
                    hint: None,
                })??;
                self.accept(&credential, generation)?
            }
        };
        *held = Some(fresh.clone());
        Ok(fresh)
    }

    fn accept(&self, credential: &Credential, generation: u64) -> Result<Held, Failure> {
        if let Some((chain, key)) = &credential.certificate {
            self.certificate.replace(chain, key)?;
        }
        let authorization =
            credential.token.as_deref().map(|token| header("Bearer", token)).transpose()?;
        Ok(Held {
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
            cause: "the token has characters that no HTTP header can carry".to_owned(),
            hint: None,
        })?;
    header.set_sensitive(true);
    Ok(header)
}

/// The client certificate that a plugin gave last; TLS asks for it at every
/// handshake.
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
