//! The server's certificate from files: watched, judged before it is used, swapped under running listeners.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{client::verify_server_name, server::ParsedCertificate};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    CertsError, Happening,
    keeper::{FILE_POLL, Told, every, facts_of},
};
use crate::{
    clock::rfc3339,
    secret::ExposeSecret,
    tls::{HotKey, Identity, ServerName},
};

/// The longest certificate or key file read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// After so many looks a refused pair is tried again although nothing changed: a certificate whose time comes needs no hand.
const AGAIN: u32 = 30;

/// `[tls] certificate` and `key`.
pub(super) struct Imported {
    certificate: PathBuf,
    key: PathBuf,
    /// The host of `public_url`.
    host: Option<String>,
    told: Arc<Told>,
}

/// What changes when somebody replaces a file: its time and length; `None` while it cannot be looked at.
pub(super) type Stamp = [Option<(SystemTime, u64)>; 2];

impl Imported {
    pub(super) fn new(certificate: &Path, key: &Path, names: &[String], told: Arc<Told>) -> Self {
        let host = names.first().cloned();
        Self { certificate: certificate.to_owned(), key: key.to_owned(), host, told }
    }

    pub(super) async fn stamp(&self) -> Stamp {
        [stamp_of(&self.certificate).await, stamp_of(&self.key).await]
    }

    pub(super) async fn read(&self) -> Result<Identity, CertsError> {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        let read = tokio::task::spawn_blocking(move || {
            let chain = read_bounded(&certificate)?;
            let key: secrecy::SecretString = read_bounded(&key)?.into();
            Identity::from_pem(&chain, key.expose_secret()).map_err(|e| e.to_string())
        });
        let identity = match read.await {
            Ok(Ok(identity)) => identity,
            Ok(Err(problem)) => return Err(self.unusable(problem)),
            Err(error) => return Err(self.unusable(error.to_string())),
        };
        judge(&identity, self.host.as_deref(), self.told.clock.now()).map_err(|why| self.unusable(why))?;
        Ok(identity)
    }

    pub(super) async fn follow(self, key: HotKey, mut seen: Stamp) {
        let mut tick = every(FILE_POLL);
        let (mut changed, mut refused, mut looks) = (false, None, 0);
        loop {
            tick.tick().await;
            let stamp = self.stamp().await;
            if stamp != seen {
                // Certificate and key are replaced one after the other: look when both have been still for a moment.
                (seen, changed) = (stamp, true);
                continue;
            }
            looks = if refused.is_some() { looks + 1 } else { 0 };
            if !std::mem::take(&mut changed) && looks < AGAIN {
                continue;
            }
            looks = 0;
            match self.read().await {
                Ok(identity) => {
                    refused = None;
                    if identity.chain() == key.current().chain() {
                        continue;
                    }
                    let (fingerprint, expires_at) = facts_of(&identity);
                    key.swap(identity);
                    tracing::info!(certificate = %self.certificate.display(), "the changed server certificate is in use");
                    self.told.happened(Happening::Imported { fingerprint, expires_at });
                }
                Err(error) => {
                    let why = error.to_string();
                    // The same pair is told once, however often it is looked at.
                    if refused.as_ref() != Some(&why) {
                        self.told.refused(&error);
                    }
                    refused = Some(why);
                }
            }
        }
    }

    fn unusable(&self, problem: String) -> CertsError {
        CertsError::Pair { certificate: self.certificate.clone(), key: self.key.clone(), problem }
    }
}

/// Whether laptops could believe this certificate now: its time, its purpose, its name. The error says what to do.
pub(super) fn judge(identity: &Identity, host: Option<&str>, now: SystemTime) -> Result<(), String> {
    let unreadable = || "its first certificate is unreadable".to_owned();
    let leaf = identity.chain().first().ok_or_else(unreadable)?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| unreadable())?;
    let start = SystemTime::from(parsed.validity().not_before.to_datetime());
    let end = SystemTime::from(parsed.validity().not_after.to_datetime());
    if now < start || now >= end {
        return Err(format!(
            "the certificate is valid from {} to {}, and it is {}; install a current one",
            rfc3339(start),
            rfc3339(end),
            rfc3339(now)
        ));
    }
    let purposes = parsed.extended_key_usage().map_err(|_| unreadable())?;
    if purposes.is_some_and(|purposes| !purposes.value.server_auth && !purposes.value.any) {
        return Err("the certificate is not for servers (extended key usage); install one that is".to_owned());
    }
    let Some(host) = host else { return Ok(()) };
    let bare = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(bare).map_err(|_| format!("`{host}` is no name for a certificate"))?;
    let certificate = ParsedCertificate::try_from(leaf).map_err(|_| unreadable())?;
    verify_server_name(&certificate, &name).map_err(|_| {
        format!("the certificate is not for {host}, the host of `public_url`; install one that names it")
    })
}

async fn stamp_of(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let length = fs::metadata(path).map_err(|e| named(&e))?.len();
    if length > MAX_FILE {
        return Err(named(&format_args!("it is longer than {MAX_FILE} bytes")));
    }
    fs::read_to_string(path).map_err(|e| named(&e))
}

#[cfg(test)]
mod tests;
