//! TLS profiles: one crypto provider for everything, hot-swapped keys, and evidence of every handshake.

mod identity;
mod profile;
mod roots;
mod trust;

use std::sync::Arc;

use rustls::{
    CommonState, NamedGroup, ProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
};
use serde::{Deserialize, Serialize};

pub use identity::{ChallengeKey, HotKey, Identity, IdentityError};
pub use profile::{
    ACME, acme_server, certified_server, https_client, https_server, laptop, look_at_chain, quic_laptop,
    quic_server, tunnel_server, upstream,
};
pub use roots::HotRoots;
pub use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
pub use trust::{
    Trust, TrustError, fingerprint, fingerprint_text, parse_certificates, parse_fingerprint, to_pem,
};

/// The provider of every TLS configuration in this program: aws-lc-rs, X25519MLKEM768 offered first.
pub fn provider() -> Arc<CryptoProvider> {
    // The feature `prefer-post-quantum` puts the hybrid group first; a test below holds it there.
    Arc::new(aws_lc_rs::default_provider())
}

/// The provider of the QUIC leg, where both ends are ours: exactly one group and one cipher suite, so
/// that the evidence of a QUIC handshake is exact although quinn does not tell what was negotiated.
fn quic_provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
        ..aws_lc_rs::default_provider()
    })
}

/// What a handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// `TLSv1.3` or `TLSv1.2`.
    pub tls: String,
    /// The suite by its IANA name, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The key exchange group, such as `X25519MLKEM768`; empty for a resumed TLS 1.2 session.
    pub group: String,
}

impl Handshake {
    /// Reads what a finished handshake on TCP agreed on.
    pub fn of(state: &CommonState) -> Self {
        Self {
            tls: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
                other => format!("{other:?}"),
            },
            cipher: state.negotiated_cipher_suite().map(|suite| iana_name(suite.suite())).unwrap_or_default(),
            group: state
                .negotiated_key_exchange_group()
                .map(|group| format!("{:?}", group.name()))
                .unwrap_or_default(),
        }
    }

    /// What every QUIC handshake of ours agrees on, because the profile offers nothing else.
    pub fn of_quic() -> Self {
        Self {
            tls: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            group: format!("{:?}", NamedGroup::X25519MLKEM768),
        }
    }
}

/// rustls writes `TLS13_…` where IANA's registry, and every auditor, writes `TLS_…`.
fn iana_name(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_post_quantum_hybrid_is_offered_first() {
        let first = provider().kx_groups.first().map(|group| group.name());
        assert_eq!(first, Some(NamedGroup::X25519MLKEM768));
    }

    #[test]
    fn quic_can_agree_on_nothing_but_what_its_evidence_says() {
        let provider = quic_provider();
        let groups: Vec<_> = provider.kx_groups.iter().map(|g| format!("{:?}", g.name())).collect();
        let suites: Vec<_> = provider.cipher_suites.iter().map(|s| iana_name(s.suite())).collect();
        assert_eq!((groups, suites), (vec![Handshake::of_quic().group], vec![Handshake::of_quic().cipher]));
    }
}
