//! The gateway's certificate: by whom it must be believed, who stands behind the one presented, and until when.

use std::time::SystemTime;

use rustls::{
    CertificateError,
    pki_types::{ServerName, UnixTime},
};
use time::OffsetDateTime;
use url::Url;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Finding, Patient, clock::span, gateway::TALK, within};
use crate::{
    client::{
        ClientError,
        https::{self, Looked},
        off_thread,
    },
    clock,
    tls::{self, CertificateDer, Trust},
};

/// The key exchange that both ends of ours agree on.
const GROUP: &str = "X25519MLKEM768";

/// What was thought of the gateway's certificate.
pub(super) struct Judged {
    pub(super) finding: Finding,
    pub(super) believed: bool,
    /// From when until when the leaf is valid.
    pub(super) validity: Option<(SystemTime, SystemTime)>,
}

/// Looks at what the gateway presented, by this profile's trust and at this time.
pub(super) async fn judge(patient: &Patient, gateway: &Url, looked: &Looked) -> Judged {
    let now = patient.laptop.settings.clock.now();
    let validity = looked.chain.first().and_then(validity);
    let verdict = verify(patient.trust.clone(), gateway, looked.chain.clone(), now).await;
    let agreed = &looked.handshake;
    let spoken = format!("{}, {}, {}", agreed.tls, agreed.cipher, agreed.group);
    let judged = |finding, believed| Judged { finding, believed, validity };
    match verdict {
        Ok(()) if agreed.group != GROUP => judged(
            Finding::fail(
                "tls",
                format!("{spoken}: not {GROUP}, which every gateway of ours prefers"),
                "something on the way ends TLS and begins its own, or the gateway is behind another server: \
                 ask for this address to be passed through as it is",
            ),
            true,
        ),
        Ok(()) => {
            judged(Finding::pass("tls", format!("{spoken}; {}", believed_by(patient, looked, now))), true)
        }
        Err(error) => judged(unbelieved(patient, gateway, looked, &error), false),
    }
}

/// The words for a chain that is fine.
fn believed_by(patient: &Patient, looked: &Looked, now: SystemTime) -> String {
    let by = match &patient.trust {
        Trust::Roots(roots) => {
            let names: Vec<_> = roots.iter().take(2).map(named).collect();
            format!("the chain is valid by the CA that this profile has pinned ({})", names.join(", "))
        }
        Trust::Platform => "the chain is valid by this machine's roots".to_owned(),
    };
    match looked.chain.first().and_then(validity) {
        Some((_, until)) => {
            let left = until.duration_since(now).unwrap_or_default();
            format!("{by}, its certificate until {} (in {})", clock::rfc3339(until), span(left))
        }
        None => by,
    }
}

/// What is wrong with the chain, who stands at its end, and what to do.
fn unbelieved(patient: &Patient, gateway: &Url, looked: &Looked, error: &Unbelieved) -> Finding {
    let who = https::authority(gateway);
    let address = gateway.as_str().trim_end_matches('/');
    let end = looked.chain.last().map_or_else(|| "no certificate at all".to_owned(), named);
    let spoken = format!("{}, {}", looked.handshake.tls, looked.handshake.group);
    match error {
        Unbelieved::Issuer if patient.pins() => Finding::fail(
            "tls",
            format!(
                "{spoken}; the CA behind the certificate of {who} is {end}, not the one this profile pins: \
                 a proxy or virus scanner on the way opens TLS, or the gateway's CA was replaced"
            ),
            format!(
                "ask for {who} to be exempt from TLS inspection; if its operator says the CA is new: \
                 hoopctl login {address} --ca-fingerprint sha256:…"
            ),
        ),
        Unbelieved::Issuer if patient.profile.is_some() => Finding::fail(
            "tls",
            format!("{spoken}; the CA behind the certificate of {who} is {end}, which this machine does not know"),
            format!(
                "ask for {who} to be exempt from TLS inspection, or have its CA's fingerprint confirmed: \
                 hoopctl login {address} --ca-fingerprint sha256:…"
            ),
        ),
        // Before the first login nobody has said yet by whom a gateway with a CA of its own is believed.
        Unbelieved::Issuer => Finding::skip(
            "tls",
            format!("{spoken}; nobody has said here yet by whom {who} is believed; behind its certificate is {end}"),
        )
        .action(format!(
            "compare that with `hoopctl gateway ca fingerprint` on the gateway, then: hoopctl login {address} \
             --ca-fingerprint sha256:…"
        )),
        Unbelieved::Time(what) => Finding::fail(
            "tls",
            format!("{spoken}; the certificate of {who} {what}"),
            "set this machine's clock; if it is right, tell the gateway's operator",
        ),
        Unbelieved::Other(what) => Finding::fail(
            "tls",
            format!("{spoken}; the certificate of {who} is not believed: {what}; behind it is {end}"),
            "check the address; if it is right, the gateway's certificate has to be repaired",
        ),
    }
}

enum Unbelieved {
    /// From somebody who is not among the roots.
    Issuer,
    /// Over, or not begun.
    Time(String),
    /// Anything else.
    Other(String),
}

/// Whether the chain is the gateway's, by these roots, now.
async fn verify(
    trust: Trust,
    gateway: &Url,
    chain: Vec<CertificateDer<'static>>,
    now: SystemTime,
) -> Result<(), Unbelieved> {
    let (host, _) = https::address(gateway);
    let other = |what: &dyn std::fmt::Display| Unbelieved::Other(what.to_string());
    let name = ServerName::try_from(host).map_err(|e| other(&e))?;
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let work = move || -> Result<Result<(), Unbelieved>, ClientError> {
        let Some((leaf, between)) = chain.split_first() else {
            return Ok(Err(Unbelieved::Other("there is none".to_owned())));
        };
        let verifier = trust.verifier()?;
        let verdict =
            verifier.verify_server_cert(leaf, between, &name, &[], UnixTime::since_unix_epoch(since));
        Ok(verdict.map(drop).map_err(of_rustls))
    };
    // The operating system may ask somebody else.
    match within(TALK, off_thread(work)).await {
        Some(Ok(verdict)) => verdict,
        Some(Err(error)) => Err(other(&error)),
        None => Err(Unbelieved::Other("this machine's roots did not answer in time".to_owned())),
    }
}

fn of_rustls(error: rustls::Error) -> Unbelieved {
    let rustls::Error::InvalidCertificate(reason) = &error else {
        return Unbelieved::Other(error.to_string());
    };
    match reason {
        // A bad signature is another CA of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Unbelieved::Issuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Unbelieved::Time("has expired".to_owned())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Unbelieved::Time("is not valid yet".to_owned())
        }
        other => Unbelieved::Other(other.to_string()),
    }
}

fn validity(certificate: &CertificateDer<'static>) -> Option<(SystemTime, SystemTime)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).ok().map(SystemTime::from);
    let validity = parsed.validity();
    Some((at(validity.not_before.timestamp())?, at(validity.not_after.timestamp())?))
}

/// The CA at a chain's end, as people compare it: its name and its fingerprint; of a bare leaf, its issuer's name.
fn named(certificate: &CertificateDer<'static>) -> String {
    let fingerprint = tls::fingerprint_text(&tls::fingerprint(certificate));
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) if parsed.is_ca() => format!("\"{}\" {fingerprint}", parsed.subject()),
        Ok((_, parsed)) => format!("\"{}\" (its own certificate is not presented)", parsed.issuer()),
        Err(_) => format!("something unreadable, {fingerprint}"),
    }
}
