//! The TLS configurations of every leg. Session resumption and 0-RTT are off on the laptop's leg: no
//! ticket may outlive a revocation.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs::cipher_suite,
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};

use super::{ChallengeKey, HotKey, HotRoots, Trust, TrustError, provider, quic_provider};
use crate::wire;

/// What an ACME directory offers to check a name on the TLS port (RFC 8737 §4).
pub const ACME: &[u8] = b"acme-tls/1";

fn unusable(error: impl std::fmt::Display) -> TrustError {
    TrustError::Unusable(error.to_string())
}

/// Laptop → gateway over TCP: TLS 1.3 and the caller's certificate.
///
/// # Errors
/// When the trust's roots are unusable.
pub fn laptop(trust: &Trust, key: &HotKey) -> Result<ClientConfig, TrustError> {
    laptop_with(provider(), trust, key)
}

/// Laptop → gateway over QUIC.
///
/// # Errors
/// When the trust's roots are unusable.
pub fn quic_laptop(trust: &Trust, key: &HotKey) -> Result<QuicClientConfig, TrustError> {
    let config = laptop_with(quic_provider(), trust, key)?;
    QuicClientConfig::with_initial(Arc::new(config), initial_suite()?).map_err(unusable)
}

fn laptop_with(
    provider: Arc<rustls::crypto::CryptoProvider>,
    trust: &Trust,
    key: &HotKey,
) -> Result<ClientConfig, TrustError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier()?)
        .with_client_cert_resolver(Arc::new(key.clone()));
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Laptop → the gateway's HTTPS face (discovery, login), or any HTTPS server the gateway itself calls: TLS 1.3 and 1.2, no client certificate.
///
/// # Errors
/// When the trust's roots are unusable.
pub fn https_client(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier()?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Gateway → model, with a verifier of the model's own making.
///
/// # Errors
/// When the versions do not fit the provider, which a test rules out.
pub fn upstream(
    verifier: Arc<dyn ServerCertVerifier>,
    key: Option<&HotKey>,
) -> Result<ClientConfig, TrustError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match key {
        Some(key) => builder.with_client_cert_resolver(Arc::new(key.clone())),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The gateway's HTTPS face: TLS 1.3, no client certificate is ever asked of a browser.
///
/// # Errors
/// When the versions do not fit the provider, which a test rules out.
pub fn https_server(key: &HotKey) -> Result<ServerConfig, TrustError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(key.clone()));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The answer to an ACME directory that checks a name: a handshake and nothing after it.
///
/// # Errors
/// When the versions do not fit the provider, which a test rules out.
pub fn acme_server(key: &ChallengeKey) -> Result<ServerConfig, TrustError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(key.clone()));
    config.alpn_protocols = vec![ACME.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The gateway's tunnel leg over TCP: TLS 1.3, a client certificate of one of `roots` required.
///
/// # Errors
/// When the version does not fit the provider, which a test rules out.
pub fn tunnel_server(key: &HotKey, roots: &HotRoots) -> Result<ServerConfig, TrustError> {
    tunnel_with(provider(), key, roots)
}

/// The gateway's HTTPS face for applications: TLS 1.3, a client certificate of one of `roots` required, and no ticket that could
/// outlive its revocation.
///
/// # Errors
/// When the version does not fit the provider, which a test rules out.
pub fn certified_server(key: &HotKey, roots: &HotRoots) -> Result<ServerConfig, TrustError> {
    let mut config = tunnel_with(provider(), key, roots)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The gateway's tunnel leg over QUIC.
///
/// # Errors
/// When the version does not fit the provider, which a test rules out.
pub fn quic_server(key: &HotKey, roots: &HotRoots) -> Result<QuicServerConfig, TrustError> {
    let config = tunnel_with(quic_provider(), key, roots)?;
    QuicServerConfig::with_initial(Arc::new(config), initial_suite()?).map_err(unusable)
}

fn tunnel_with(
    provider: Arc<rustls::crypto::CryptoProvider>,
    key: &HotKey,
    roots: &HotRoots,
) -> Result<ServerConfig, TrustError> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(Arc::new(roots.clone()))
        .with_cert_resolver(Arc::new(key.clone()));
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// QUIC's Initial packets are always protected with AES-128-GCM (RFC 9001 §5.2), whatever suite the connection then uses.
fn initial_suite() -> Result<rustls::quic::Suite, TrustError> {
    cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(|suite| suite.quic_suite())
        .ok_or_else(|| TrustError::Unusable("the crypto provider knows no QUIC".to_owned()))
}

/// A configuration that believes anybody, to *look at* a gateway's chain and show its fingerprint before
/// anything is sent. The connection must be closed after the handshake.
///
/// # Errors
/// When the versions do not fit the provider, which a test rules out.
pub fn look_at_chain() -> Result<ClientConfig, TrustError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Looking))
        .with_no_client_auth())
}

#[derive(Debug)]
struct Looking;

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
