//! The server's certificate by ACME (RFC 8555), proven on the TLS port itself (tls-alpn-01, RFC 8737).

#[cfg(test)]
pub(in crate::gateway) mod directory;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, Error,
    ExternalAccountKey, HttpClient, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use url::Url;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

use super::{
    Authority, CertsError, Config as Room, Happening,
    imported::judge,
    keeper::{Told, every, facts_of},
    own::LEAF_LIFE,
    signing,
};
use crate::{
    gateway::outbound::Outbound,
    id,
    secret::{self, ExposeSecret},
    tls::{ChallengeKey, HotKey, Identity},
};

/// How often it is asked whether an attempt is due.
const POLL: Duration = Duration::from_millis(500);
/// The whole of one attempt.
const ATTEMPT: Duration = Duration::from_secs(5 * 60);
/// For the directory to check the name, and to sign.
const PATIENCE: Duration = Duration::from_secs(90);
/// After a first failure; twice that after the next, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);
/// The longest account or certificate file read, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// So much of what a directory says is repeated, in characters.
const MOST_SAID: usize = 400;
/// The directory's word for an account it does not have (any more).
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// `[tls] acme`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory's URL.
    pub directory: Url,
    /// `mailto:` addresses the directory may write to.
    pub contact: Vec<String>,
    /// A PEM file of roots the directory is believed by, in place of the operating system's.
    pub ca: Option<PathBuf>,
    /// The account at the directory's operator that this one belongs to (RFC 8555 §7.3.4).
    pub external: Option<External>,
}

/// External account binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The key's identifier.
    pub kid: String,
    /// The MAC key, base64url.
    pub key: secret::Source,
}

/// Orders and renews.
pub(super) struct Acme {
    config: Config,
    /// The host of `public_url`.
    names: Vec<String>,
    account_file: PathBuf,
    certificate_file: PathBuf,
    web: Arc<Outbound>,
    authority: Arc<Authority>,
    challenges: ChallengeKey,
    told: Arc<Told>,
    /// What an earlier run got, while it is good.
    kept: Option<Identity>,
}

/// `acme-account.json`.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    account: AccountCredentials,
}

impl Acme {
    pub(super) async fn open(
        config: &Config,
        room: &Room,
        authority: Arc<Authority>,
        challenges: ChallengeKey,
        told: Arc<Told>,
    ) -> Result<Self, CertsError> {
        let web = Outbound::new(config.ca.as_deref())
            .map_err(|problem| CertsError::Acme { directory: config.directory.to_string(), problem })?;
        let certificate_file = room.state.join("acme.pem");
        let kept = read_text(certificate_file.clone()).await?.and_then(|pem| {
            let identity = Identity::from_pem(&pem, &pem).ok()?;
            let good = judge(&identity, room.names.first().map(String::as_str), told.clock.now());
            good.is_ok().then_some(identity)
        });
        Ok(Self {
            config: config.clone(),
            names: room.names.iter().take(1).cloned().collect(),
            account_file: room.state.join("acme-account.json"),
            certificate_file,
            web: Arc::new(web),
            authority,
            challenges,
            told,
            kept,
        })
    }

    /// What listeners show before the directory has answered: the certificate of an earlier run, or one that shows no CA.
    pub(super) fn first(&self) -> Result<Identity, CertsError> {
        match &self.kept {
            Some(identity) => Ok(identity.clone()),
            None => {
                tracing::warn!(
                    directory = %self.config.directory,
                    "there is no certificate from the ACME directory yet: until there is, laptops refuse this gateway unless they pin its own CA"
                );
                self.authority.issue_stopgap(&self.names, LEAF_LIFE)
            }
        }
    }

    pub(super) async fn keep_fresh(self, key: HotKey) {
        let mut due = self.kept.as_ref().map_or(SystemTime::UNIX_EPOCH, renewal);
        let mut failures = 0;
        let (mut last, mut had) = (None, self.kept.is_some());
        let mut tick = every(POLL);
        loop {
            tick.tick().await;
            if self.told.clock.now() < due {
                continue;
            }
            match self.renew().await {
                Ok((identity, unwritten)) => {
                    if let Some(error) = unwritten {
                        // Good all the same; the next start orders another one.
                        self.told.refused(&error);
                    }
                    let (fingerprint, expires_at) = facts_of(&identity);
                    due = renewal(&identity);
                    key.swap(identity);
                    (failures, last, had) = (0, None, true);
                    let by = format!("the ACME directory {}", self.config.directory);
                    tracing::info!(%by, "the gateway's server certificate was renewed");
                    self.told.happened(Happening::Renewed { by, fingerprint, expires_at });
                }
                Err(error) => {
                    let rest = pause(failures);
                    failures += 1;
                    due = self.told.clock.now() + rest;
                    let why = error.to_string();
                    if last.as_ref() == Some(&why) {
                        tracing::error!(%error, again_in = ?rest, "still no certificate; the old one stays in use");
                    } else {
                        self.told.refused(&error);
                        tracing::warn!(again_in = ?rest, "the ACME directory is asked again");
                    }
                    last = Some(why);
                    if !had && let Ok(stopgap) = self.first() {
                        // What is shown meanwhile must not end, nor outlive a rotation.
                        key.swap(stopgap);
                    }
                }
            }
        }
    }

    /// The new certificate, and why it could not be kept if so: a directory gives only so many of them.
    async fn renew(&self) -> Result<(Identity, Option<CertsError>), CertsError> {
        let ordered = match timeout(ATTEMPT, self.order()).await {
            Ok(ordered) => ordered,
            Err(_) => Err(format!("it took longer than {} s", ATTEMPT.as_secs())),
        };
        self.challenges.hide();
        let (chain, key) = ordered.map_err(|problem| self.failed(problem))?;
        let identity = Identity::from_pem(&chain, &key).map_err(|e| self.failed(e.to_string()))?;
        judge(&identity, self.names.first().map(String::as_str), self.told.clock.now())
            .map_err(|why| self.failed(why))?;
        let both = Zeroizing::new(format!("{}{chain}", key.as_str()));
        let file = self.certificate_file.clone();
        let written =
            tokio::task::spawn_blocking(move || secret::write_private(&file, both.as_bytes())).await;
        let unwritten = match written {
            Ok(written) => written.err().map(|e| CertsError::file(&self.certificate_file, e)),
            Err(error) => Some(signing(error)),
        };
        Ok((identity, unwritten))
    }

    /// The chain and its key, PEM.
    async fn order(&self) -> Result<(String, Zeroizing<String>), String> {
        let account = self.account().await?;
        let names: Vec<_> = self.names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(|error| {
            if matches!(&error, Error::Api(problem) if problem.r#type.as_deref() == Some(NO_ACCOUNT)) {
                // The next attempt makes another account.
                let _ = std::fs::remove_file(&self.account_file);
            }
            said(&error)
        })?;
        self.prove(&mut order).await?;
        let patience = RetryPolicy::new().timeout(PATIENCE);
        match order.poll_ready(&patience).await.map_err(|e| said(&e))? {
            OrderStatus::Ready => {}
            _ => return Err("the directory could not verify the name over tls-alpn-01: port 443 of its address must lead to this gateway".to_owned()),
        }
        let (csr, key) = self.request().map_err(|e| e.to_string())?;
        order.finalize_csr(&csr).await.map_err(|e| said(&e))?;
        let chain = order.poll_certificate(&patience).await.map_err(|e| said(&e))?;
        Ok((chain, key))
    }

    /// Shows the directory, at our own port, that the name is ours.
    async fn prove(&self, order: &mut Order) -> Result<(), String> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|e| said(&e))?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                other => return Err(format!("the directory says {other:?} of the name's authorization")),
            }
            let mut challenge = authorization
                .challenge(ChallengeType::TlsAlpn01)
                .ok_or("the directory does not offer tls-alpn-01")?;
            let digest = challenge.key_authorization().digest().as_ref().to_vec();
            self.answer(&digest).map_err(|e| e.to_string())?;
            challenge.set_ready().await.map_err(|e| said(&e))?;
        }
        Ok(())
    }

    /// Shows the self-signed certificate of RFC 8737 §3.
    fn answer(&self, digest: &[u8]) -> Result<(), CertsError> {
        let key = KeyPair::generate().map_err(signing)?;
        let mut params = CertificateParams::new(self.names.clone()).map_err(signing)?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key).map_err(signing)?;
        let name = self.names.first().map(String::as_str).unwrap_or_default();
        self.challenges.show(name, certificate.into(), PrivateKeyDer::from(key)).map_err(signing)
    }

    fn request(&self) -> Result<(Vec<u8>, Zeroizing<String>), CertsError> {
        let key = KeyPair::generate().map_err(signing)?;
        let mut params = CertificateParams::new(self.names.clone()).map_err(signing)?;
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(&key).map_err(signing)?;
        Ok((csr.der().to_vec(), Zeroizing::new(key.serialize_pem())))
    }

    /// The account of an earlier attempt at this directory, or a new one, kept before it is used.
    async fn account(&self) -> Result<Account, String> {
        let builder = Account::builder_with_http(Box::new(Web(Arc::clone(&self.web))));
        let text = read_text(self.account_file.clone()).await.map_err(|e| e.to_string())?;
        let kept = text.and_then(|text| serde_json::from_str::<Kept>(&text).ok());
        if let Some(kept) = kept.filter(|kept| kept.directory == self.config.directory.as_str()) {
            return builder.from_credentials(kept.account).await.map_err(|e| said(&e));
        }
        let external = self.external().await?;
        let contact: Vec<_> = self.config.contact.iter().map(String::as_str).collect();
        let asked =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let directory = self.config.directory.to_string();
        let (account, credentials) =
            builder.create(&asked, directory.clone(), external.as_ref()).await.map_err(|e| said(&e))?;
        let kept = Kept { directory, account: credentials };
        let text = Zeroizing::new(serde_json::to_vec(&kept).map_err(|e| e.to_string())?);
        let file = self.account_file.clone();
        let written = tokio::task::spawn_blocking(move || secret::write_private(&file, &text)).await;
        let written = written.map_err(|e| e.to_string())?;
        written.map_err(|e| format!("{}: {e}", self.account_file.display()))?;
        Ok(account)
    }

    async fn external(&self) -> Result<Option<ExternalAccountKey>, String> {
        let Some(external) = self.config.external.clone() else { return Ok(None) };
        let source = external.key.clone();
        let key = tokio::task::spawn_blocking(move || source.read()).await.map_err(|e| e.to_string())?;
        let key = key.map_err(|e| e.to_string())?;
        let text = key.expose_secret().trim_end_matches('=').replace('+', "-").replace('/', "_");
        let raw = URL_SAFE_NO_PAD
            .decode(text)
            .map(Zeroizing::new)
            .map_err(|_| "the key of `external` is not base64url".to_owned())?;
        Ok(Some(ExternalAccountKey::new(external.kid, &raw)))
    }

    fn failed(&self, problem: String) -> CertsError {
        CertsError::Acme { directory: self.config.directory.to_string(), problem }
    }
}

/// When a certificate is to be renewed: at two thirds of its life.
fn renewal(identity: &Identity) -> SystemTime {
    let validity = identity.chain().first().and_then(|leaf| {
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        let validity = parsed.validity();
        Some((validity.not_before.to_datetime().into(), validity.not_after.to_datetime().into()))
    });
    let (start, end): (SystemTime, SystemTime) =
        validity.unwrap_or((SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH));
    start + end.duration_since(start).unwrap_or_default() * 2 / 3
}

/// Twice as long after each failure, and a little different everywhere.
fn pause(failures: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    whole.mul_f64(0.8 + 0.2 * f64::from(u8::from_ne_bytes(id::random())) / 255.0)
}

/// What went wrong, in words that fit a log line.
fn said(error: &Error) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).take(MOST_SAID).collect()
}

/// A private file's text; `None` when there is no such file.
async fn read_text(path: PathBuf) -> Result<Option<Zeroizing<String>>, CertsError> {
    let read = move || -> Result<Option<Zeroizing<String>>, CertsError> {
        let content = match secret::read_private(&path, MAX_FILE) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CertsError::file(&path, error)),
        };
        let text = std::str::from_utf8(&content).map_err(|e| CertsError::file(&path, e))?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    };
    tokio::task::spawn_blocking(read).await.map_err(signing)?
}

/// The gateway's own way to other services.
struct Web(Arc<Outbound>);

impl HttpClient for Web {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let web = Arc::clone(&self.0);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
            let answer =
                web.send(Request::from_parts(head, body)).await.map_err(|e| Error::Other(Box::new(e)))?;
            Ok(BytesResponse::from(answer.map(|body| Full::new(Bytes::from(body)))))
        })
    }
}
