//! What goes wrong in a tunnel, and in whose words: TLS alerts, closes and resets become sentences with a remedy.

use std::{error::Error, fmt, io};

use quinn::ConnectionError;
use rustls::AlertDescription;

use super::Side;
use crate::wire::stream::reset;

/// Why a tunnel could not be built or has ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TunnelError {
    /// Nobody answers: DNS, refused, timed out. Exit code 6.
    #[error("{0}")]
    Unreachable(String),
    /// The proxy on the way is not there, refuses, or is none; with what to do. Exit code 6.
    #[error("{0}")]
    Proxy(String),
    /// The gateway's certificate is not believed, or TLS failed. Exit code 7.
    #[error("{0}")]
    Trust(String),
    /// The laptop's certificate is not accepted (TLS alerts `certificate_required`, `certificate_expired`, `unknown_ca`,
    /// `bad_certificate` …, RFC 8446 §6.2). Exit code 4.
    #[error("{0}")]
    Credential(String),
    /// The connection ended (with the peer's code and reason where it gave them).
    #[error("the connection ended: {reason}")]
    Closed {
        /// The code the peer closed with.
        code: Option<u32>,
        /// Its words or ours.
        reason: String,
    },
    /// The peer said something that makes no sense.
    #[error("{0}")]
    Protocol(String),
}

impl TunnelError {
    pub(super) fn closed(reason: impl Into<String>) -> Self {
        Self::Closed { code: None, reason: reason.into() }
    }

    pub(super) fn closed_here() -> Self {
        Self::closed("it was given up on this side")
    }

    /// This error as a stream shows it; [`of_io`] finds it again.
    pub(super) fn into_io(self) -> io::Error {
        let kind = match self {
            Self::Closed { .. } => io::ErrorKind::ConnectionAborted,
            Self::Unreachable(_) | Self::Proxy(_) => io::ErrorKind::NotConnected,
            Self::Credential(_) | Self::Trust(_) => io::ErrorKind::PermissionDenied,
            Self::Protocol(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }

    /// How much this error explains when several attempts failed.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::Unreachable(_) => 0,
            Self::Proxy(_) => 1,
            Self::Closed { .. } => 2,
            Self::Protocol(_) => 3,
            Self::Credential(_) => 4,
            Self::Trust(_) => 5,
        }
    }
}

/// The code a peer reset the stream with, when that is what the error says. Found through [`io::Error::get_ref`] and
/// [`Error::source`], so also inside errors that wrap it.
pub fn reset_code(error: &(dyn Error + 'static)) -> Option<u32> {
    find::<PeerReset>(error).map(|reset| reset.0)
}

/// The peer ended a stream with this code.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerReset(pub(super) u32);

impl fmt::Display for PeerReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream was reset: {}", meaning(self.0))
    }
}

impl Error for PeerReset {}

impl PeerReset {
    pub(super) fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionReset, self)
    }
}

/// What a code of [`reset`] says to a person.
pub(super) fn meaning(code: u32) -> String {
    match code {
        reset::LEFT => "the other side has left".to_owned(),
        reset::CUT => "the leg behind it was cut, so what was received is not the whole".to_owned(),
        reset::REVOKED => "the authority for it ended (revoked or expired)".to_owned(),
        reset::PROTOCOL => "the other side did not understand the bytes".to_owned(),
        reset::DRAINING => "the gateway is going away".to_owned(),
        other => format!("code {other}"),
    }
}

/// An error met on a stream or on the socket below, with whatever it wraps.
pub(super) fn of_io(error: &io::Error) -> Option<TunnelError> {
    if let Some(tunnel) = find::<TunnelError>(error) {
        return Some(tunnel.clone());
    }
    find::<PeerReset>(error)
        .map(|reset| TunnelError::Closed { code: Some(reset.0), reason: reset.to_string() })
}

/// An error of a TLS connection over TCP, during the handshake or after it.
pub(super) fn of_tls(side: Side, error: &io::Error) -> TunnelError {
    match find::<rustls::Error>(error) {
        Some(rustls::Error::AlertReceived(alert)) => of_alert(side, Teller::Peer, *alert, ""),
        Some(rustls::Error::InvalidCertificate(cause)) => {
            of_alert(side, Teller::Us, AlertDescription::from(cause.clone()), &cause.to_string())
        }
        Some(rustls::Error::NoCertificatesPresented) => {
            of_alert(side, Teller::Us, AlertDescription::CertificateRequired, "")
        }
        Some(other) => {
            TunnelError::Trust(format!("TLS failed: {other}; is this a hoopctl gateway's address?"))
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            TunnelError::closed("the other side hung up without a word")
        }
        None => TunnelError::closed(error.to_string()),
    }
}

/// Why a QUIC connection is no more.
pub(super) fn of_quic(side: Side, error: &ConnectionError) -> TunnelError {
    match error {
        ConnectionError::TransportError(ours) => match tls_alert(ours.code) {
            Some(alert) => of_alert(side, Teller::Us, alert, &ours.reason),
            None => TunnelError::Protocol(format!("QUIC failed: {ours}")),
        },
        ConnectionError::ConnectionClosed(theirs) => match tls_alert(theirs.error_code) {
            Some(alert) => of_alert(side, Teller::Peer, alert, ""),
            None if theirs.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED => {
                TunnelError::Unreachable("the gateway takes no new connections now; try again".to_owned())
            }
            None => TunnelError::closed(said(&theirs.to_string())),
        },
        ConnectionError::ApplicationClosed(theirs) => {
            let code = u32::try_from(u64::from(theirs.error_code)).ok();
            let reason = match (String::from_utf8_lossy(&theirs.reason), code) {
                (text, _) if !text.trim().is_empty() => said(&text),
                (_, Some(code)) if code != 0 => meaning(code),
                _ => "the other side closed it".to_owned(),
            };
            TunnelError::Closed { code, reason }
        }
        ConnectionError::VersionMismatch => {
            TunnelError::Protocol("the gateway speaks no version of QUIC that this program knows".to_owned())
        }
        ConnectionError::Reset => TunnelError::closed("the other side has restarted"),
        ConnectionError::TimedOut => TunnelError::closed("the other side has not been heard of for too long"),
        ConnectionError::LocallyClosed => TunnelError::closed_here(),
        ConnectionError::CidsExhausted => TunnelError::Protocol("QUIC has no connection ids left".to_owned()),
    }
}

/// Who found fault with a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Teller {
    Us,
    Peer,
}

/// QUIC carries TLS alerts as error codes 0x100 to 0x1ff (RFC 9001 §4.8).
fn tls_alert(code: quinn::TransportErrorCode) -> Option<AlertDescription> {
    let code = u64::from(code).checked_sub(0x100)?;
    u8::try_from(code).ok().map(AlertDescription::from)
}

fn of_alert(side: Side, teller: Teller, alert: AlertDescription, detail: &str) -> TunnelError {
    let detail = detail.trim_start_matches("invalid peer certificate: ");
    let detail = if detail.is_empty() { format!("{alert:?}") } else { said(detail) };
    match (side, teller) {
        (_, _) if alert == AlertDescription::NoApplicationProtocol => TunnelError::Trust(
            "the other side does not speak hoop/1: check that the address is a hoopctl gateway's".to_owned(),
        ),
        (Side::Laptop, Teller::Peer) | (Side::Gateway, Teller::Us) if about_certificate(alert) => {
            TunnelError::Credential(format!("{}; run `hoopctl login`", credential(alert)))
        }
        (Side::Laptop, Teller::Us) if about_certificate(alert) => {
            TunnelError::Trust(distrust(alert, &detail))
        }
        (Side::Gateway, Teller::Peer) if about_certificate(alert) => {
            TunnelError::Trust(format!("the laptop does not believe the gateway's certificate ({detail})"))
        }
        _ => TunnelError::Trust(format!("TLS failed: {detail}")),
    }
}

fn about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            // A stranger's authority of the same name: its signature does not fit.
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
    )
}

fn credential(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the gateway wants a credential and got none".to_owned()
        }
        AlertDescription::CertificateExpired => "the credential has expired".to_owned(),
        AlertDescription::CertificateRevoked => "the credential has been revoked".to_owned(),
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "the credential was not issued by this gateway".to_owned()
        }
        other => format!("the gateway does not accept the credential ({other:?})"),
    }
}

fn distrust(alert: AlertDescription, detail: &str) -> String {
    match alert {
        AlertDescription::CertificateExpired => {
            format!(
                "the gateway's certificate is out of date ({detail}); check this machine's clock, then tell the gateway's operator"
            )
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => format!(
            "the gateway's certificate is not from an authority that is trusted here ({detail}); if the gateway has a new one, \
             run `hoopctl login` with --ca-fingerprint or --ca-file"
        ),
        AlertDescription::BadCertificate if detail.contains("not valid for name") => {
            format!("the gateway's certificate is for another name ({detail}); check the gateway's URL")
        }
        _ => format!("the gateway's certificate is not believed ({detail}); tell the gateway's operator"),
    }
}

/// Foreign words, short and on one line.
fn said(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // `source` of an io::Error skips the very error it wraps.
        next = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_found_inside_what_wraps_it() {
        let reset = PeerReset(reset::REVOKED).into_io();
        assert_eq!(reset_code(&reset), Some(reset::REVOKED));
        let wrapped = io::Error::other(io::Error::other(reset));
        assert_eq!(reset_code(&wrapped), Some(reset::REVOKED));
        assert_eq!(reset_code(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }

    #[test]
    fn an_alert_about_the_laptops_certificate_is_the_credentials_fault_and_the_gateways_is_trusts() {
        for number in [42, 43, 44, 45, 46, 48, 49, 51, 116] {
            let alert = AlertDescription::from(number);
            assert!(matches!(of_alert(Side::Laptop, Teller::Peer, alert, ""), TunnelError::Credential(_)));
            assert!(matches!(of_alert(Side::Laptop, Teller::Us, alert, ""), TunnelError::Trust(_)));
            assert!(matches!(of_alert(Side::Gateway, Teller::Us, alert, ""), TunnelError::Credential(_)));
            assert!(matches!(of_alert(Side::Gateway, Teller::Peer, alert, ""), TunnelError::Trust(_)));
        }
    }

    #[test]
    fn words_of_the_peer_stay_short_and_on_one_line() {
        let text = said(&format!("a\r\n\u{1b}[31m{}", "x".repeat(1000)));
        assert!(text.chars().count() == 200 && !text.contains(char::is_control), "{text:?}");
    }
}
