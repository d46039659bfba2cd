//! The TLS handshake with a model's server: its profile, and the evidence of what was agreed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{AlertDescription, ClientConfig, client::danger::ServerCertVerifier};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Config, SetupError, UpstreamError,
    connect::Protocol,
    verify::{Lenient, Strict, reason},
};
use crate::{
    evidence::event::Leg,
    tls::{self, Handshake, HotKey, Identity, ServerName, Trust},
};

/// How one server must prove who it is, and what it is shown.
pub(super) struct Tls {
    name: ServerName<'static>,
    strict: Option<Configs>,
    /// `None` for `required`.
    lenient: Option<LenientParts>,
}

/// A connection after its handshake.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) h2: bool,
    pub(super) leg: Leg,
}

struct Configs {
    http1: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Configs {
    fn new(base: ClientConfig) -> Self {
        let with = |protocol: Protocol| {
            let mut config = base.clone();
            config.alpn_protocols = protocol.alpn();
            Arc::new(config)
        };
        Self { http1: with(Protocol::Http1), either: with(Protocol::Either), http2: with(Protocol::Http2) }
    }

    fn of(&self, protocol: Protocol) -> &Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Either => &self.either,
            Protocol::Http2 => &self.http2,
        }
    }
}

struct LenientParts {
    roots: Option<Arc<dyn ServerCertVerifier>>,
    pins: Vec<[u8; 32]>,
    key: Option<HotKey>,
}

impl Tls {
    pub(super) fn new(url: &url::Url, config: &Config, host: &str) -> Result<Self, SetupError> {
        let wanted = config.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(wanted.to_owned())
            .map_err(|_| SetupError::Setting(format!("`{wanted}` is no name a certificate can have")))?;
        let trust = match &config.ca {
            Some(path) => Trust::from_file(path)?,
            None => Trust::Platform,
        };
        let pins =
            config.pins.iter().map(|pin| tls::parse_fingerprint(pin)).collect::<Result<Vec<_>, _>>()?;
        let key = config.client_certificate.as_ref().map(client_key).transpose()?;
        let roots = match trust.verifier() {
            Ok(roots) => Some(roots),
            Err(error) if config.relaxed => {
                tracing::warn!(%error, %url, "a relaxed upstream cannot be verified");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let strict = match &roots {
            Some(roots) => {
                let verifier = Arc::new(Strict { roots: Arc::clone(roots), pins: pins.clone() });
                Some(Configs::new(tls::upstream(verifier, key.as_ref())?))
            }
            None => None,
        };
        let lenient = config.relaxed.then_some(LenientParts { roots, pins, key });
        Ok(Self { name, strict, lenient })
    }

    /// `inside`: the address dialled lies in the relaxed networks. `leg`: what the evidence begins with.
    pub(super) async fn handshake(
        &self,
        socket: TcpStream,
        protocol: Protocol,
        inside: bool,
        leg: &Leg,
    ) -> Result<Secured, Failure> {
        let (config, lenient) = match (&self.lenient, &self.strict) {
            (Some(parts), _) if inside => {
                let verifier = Arc::new(Lenient {
                    roots: parts.roots.clone(),
                    pins: parts.pins.clone(),
                    verified: AtomicBool::new(false),
                });
                let mut config = tls::upstream(Arc::clone(&verifier) as _, parts.key.as_ref())
                    .map_err(|e| untrusted("the TLS handshake failed", &e))?;
                config.alpn_protocols = protocol.alpn();
                (Arc::new(config), Some(verifier))
            }
            (_, Some(strict)) => (Arc::clone(strict.of(protocol)), None),
            (_, None) => {
                return Err(untrusted(
                    "the gateway has no certificates to verify it by",
                    &"no usable roots on this machine",
                )
                .into());
            }
        };
        let stream =
            TlsConnector::from(config).connect(self.name.clone(), socket).await.map_err(Failure::of)?;
        let state = stream.get_ref().1;
        let Handshake { tls, cipher, group } = Handshake::of(state);
        let peer = state.peer_certificates().and_then(<[_]>::first).map(|leaf| {
            tls::fingerprint_text(&tls::fingerprint(leaf)).trim_start_matches("sha256:").to_owned()
        });
        let verified = lenient.is_none_or(|lenient| lenient.verified.load(Ordering::Acquire));
        let h2 = match state.alpn_protocol() {
            Some(chosen) => chosen == b"h2",
            None => protocol == Protocol::Http2,
        };
        let leg = Leg { tls, cipher, group, verified: Some(verified), peer_sha256: peer, ..leg.clone() };
        Ok(Secured { stream, h2, leg })
    }
}

fn client_key((chain, key): &(PathBuf, PathBuf)) -> Result<HotKey, SetupError> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|e| SetupError::Setting(format!("{} cannot be read: {e}", path.display())))
    };
    let key = zeroize::Zeroizing::new(read(key)?);
    Ok(HotKey::new(Identity::from_pem(&read(chain)?, &key)?))
}

fn untrusted(reason: &str, cause: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::Untrusted { reason: reason.to_owned(), cause: cause.to_string() }
}

/// Why a connection was not made.
pub(super) enum Failure {
    /// TLS alert no_application_protocol (RFC 7301 §3.2).
    NoSuchProtocol(UpstreamError),
    Other(UpstreamError),
}

impl Failure {
    fn of(error: io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return Self::Other(UpstreamError::Unreachable {
                cause: format!("the connection ended during the TLS handshake: {error}"),
            });
        };
        let failure = UpstreamError::Untrusted { reason: reason(tls), cause: tls.to_string() };
        match tls {
            rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::NoSuchProtocol(failure)
            }
            _ => Self::Other(failure),
        }
    }
}

impl From<UpstreamError> for Failure {
    fn from(error: UpstreamError) -> Self {
        Self::Other(error)
    }
}
