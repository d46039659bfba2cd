//! JSON Web Key Sets (RFC 7517) of providers, and the signatures checked with them.

use std::time::Duration;

use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::{sync::Mutex, time::Instant};

use super::config::Jwks;
use crate::gateway::outbound::{Outbound, acceptable};

/// A token names a key nobody knows: the set is read again, but not more often than this.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// The same while no set was ever read: a provider that was away for a moment must not lock everybody out for half a minute.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
/// The set is read again after this, so that withdrawn keys are forgotten.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// A set that cannot be read again is believed no longer than this.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// Keys looked at in a set.
const MAX_KEYS: usize = 100;
/// The longest token looked at, in bytes; ten thousand groups of a hundred bytes do not fit a header anyway.
const MAX_TOKEN: usize = 512 * 1024;
/// The longest key set file read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Why a token's signature is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// The token is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The keys cannot be read now.
    #[error("the signing keys cannot be read: {0}")]
    Unreachable(String),
}

/// A key set, remembered.
#[derive(Default)]
pub(super) struct Keys(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    origin: Option<Jwks>,
    keys: Vec<Jwk>,
    read_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Keys {
    /// The claims of a JWT whose signature is by a key of the set at `origin`. Nothing of the claims is checked.
    pub(super) async fn verify(
        &self,
        outbound: &Outbound,
        origin: &Jwks,
        token: &str,
    ) -> Result<Map<String, Value>, KeysError> {
        let invalid = |why: &str| KeysError::Invalid(why.to_owned());
        if token.len() > MAX_TOKEN {
            return Err(invalid("the token is too long"));
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| invalid("the token is no JWT signed with an algorithm that is accepted"))?;
        // `crit` (RFC 7515 §4.1.11) names what must be understood; we know no extension.
        if header.crit.is_some() {
            return Err(invalid("the token demands extensions that are unknown"));
        }
        let candidates = self.candidates(outbound, origin, &header).await?;
        for key in &candidates {
            if let Ok(claims) = verify_with(key, &header, token) {
                return Ok(claims);
            }
        }
        Err(invalid(if candidates.is_empty() {
            "the token is signed with a key that the issuer does not publish"
        } else {
            "the token's signature is wrong"
        }))
    }

    async fn candidates(
        &self,
        outbound: &Outbound,
        origin: &Jwks,
        header: &Header,
    ) -> Result<Vec<Jwk>, KeysError> {
        // Held while the set is read: of many callers with a new key, one asks and the others wait for its answer.
        let mut known = self.0.lock().await;
        if known.origin.as_ref() != Some(origin) {
            *known = Remembered { origin: Some(origin.clone()), ..Remembered::default() };
        }
        let fitting = |known: &Remembered| -> Vec<Jwk> {
            known.keys.iter().filter(|key| fits(key, header)).cloned().collect()
        };
        let age = known.read_at.map(|at| at.elapsed());
        let found = fitting(&known);
        let wanted = found.is_empty() || age.is_none_or(|age| age > FRESH);
        let pause = if known.read_at.is_some() { COOL_DOWN } else { FIRST_COOL_DOWN };
        let cool = known.tried_at.is_none_or(|at| at.elapsed() >= pause);
        if wanted && cool {
            known.tried_at = Some(Instant::now());
            match read(outbound, origin).await {
                Ok(keys) => (known.keys, known.read_at) = (keys, Some(Instant::now())),
                Err(error) if age.is_none_or(|age| age > STALE) => {
                    return Err(KeysError::Unreachable(error));
                }
                Err(error) => {
                    tracing::warn!(%error, "signing keys could not be read again; the known ones are used")
                }
            }
            return Ok(fitting(&known));
        }
        if age.is_none_or(|age| age > STALE) {
            return Err(KeysError::Unreachable("the last attempt failed moments ago".to_owned()));
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

async fn read(outbound: &Outbound, origin: &Jwks) -> Result<Vec<Jwk>, String> {
    let set: Set = match origin {
        Jwks::Url(url) if !acceptable(url) => {
            return Err(format!("{url}: plain http is for loopback alone: use an https URL"));
        }
        Jwks::Url(url) => outbound.json(url, None).await.map_err(|e| e.to_string())?,
        Jwks::File(path) => {
            let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
            let length = tokio::fs::metadata(path).await.map_err(|e| named(&e))?.len();
            if length > MAX_FILE {
                return Err(named(&format_args!("it is longer than {MAX_FILE} bytes")));
            }
            let text = tokio::fs::read(path).await.map_err(|e| named(&e))?;
            serde_json::from_slice(&text).map_err(|e| named(&e))?
        }
    };
    // One key of a kind unknown here must not hide the others.
    Ok(set.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok()).collect())
}

/// Whether a key is for this token: its identifier, its kind and its use fit the header.
fn fits(key: &Jwk, header: &Header) -> bool {
    let common = &key.common;
    let named = header.kid.is_none() || header.kid == common.key_id;
    let for_signing = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let own_algorithm = common.key_algorithm.is_none_or(|own| own.to_string() == format!("{:?}", header.alg));
    named && for_signing && own_algorithm && kind_fits(&key.algorithm, header.alg)
}

/// Which algorithms a kind of key is for. Symmetric ones appear nowhere: a public key must never be taken for a secret.
fn kind_fits(key: &AlgorithmParameters, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match key {
        AlgorithmParameters::RSA(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
        AlgorithmParameters::EllipticCurve(key) => {
            matches!((&key.curve, algorithm), (EllipticCurve::P256, ES256) | (EllipticCurve::P384, ES384))
        }
        AlgorithmParameters::OctetKeyPair(key) => {
            matches!((&key.curve, algorithm), (EllipticCurve::Ed25519, EdDSA))
        }
        _ => false,
    }
}

fn verify_with(
    key: &Jwk,
    header: &Header,
    token: &str,
) -> Result<Map<String, Value>, jsonwebtoken::errors::Error> {
    let key = DecodingKey::from_jwk(key)?;
    let mut validation = Validation::new(header.alg);
    // Claims are the caller's to check, against the clock that was handed in.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    jsonwebtoken::decode(token, &key, &validation).map(|data| data.claims)
}
