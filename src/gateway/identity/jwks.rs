//! JSON Web Key Sets (RFC 7517) of providers, and the signatures checked with them.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::{sync::Mutex, time::Instant};

use super::{config::Jwks, strict::Unique};
use crate::gateway::outbound::{Outbound, acceptable};

/// Reads of the set that tokens with unknown keys may cause at once: one for the forged token, and still some for a real
/// rotation behind it.
const BURST: u32 = 4;
/// One more such read is allowed after each of these: a flood of forged tokens costs four reads a minute, and what the
/// provider rotates meanwhile is found by one of them.
const REFILL: Duration = Duration::from_secs(15);
/// A key that was just looked for in vain is not looked for again before this.
const PATIENCE: Duration = Duration::from_secs(5);
/// The shortest RSA modulus believed, in bits (RFC 7518 §3.3).
const MIN_RSA_BITS: usize = 2048;
/// While no set was ever read, the next attempt is not made before this: a provider that was away for a moment must not lock everybody out for half a minute.
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
    set: Set,
    read_at: Option<Instant>,
    tried_at: Option<Instant>,
    budget: Budget,
    missed: Vec<(Option<String>, Instant)>,
}

/// The keys of one reading.
#[derive(Clone, Default)]
struct Set {
    keys: Arc<Vec<Jwk>>,
    /// Grows with each reading.
    reading: u64,
}

/// Reads that unknown keys may cause.
struct Budget {
    left: u32,
    counted_at: Instant,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: BURST, counted_at: Instant::now() }
    }
}

impl Budget {
    fn take(&mut self) -> bool {
        while self.left < BURST && self.counted_at.elapsed() >= REFILL {
            self.left = self.left.saturating_add(1);
            self.counted_at += REFILL;
        }
        if self.left == BURST {
            self.counted_at = Instant::now();
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
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
        let set = self.set(outbound, origin).await?;
        let why = match verify_with(&set, &header, token) {
            Ok(claims) => return Ok(claims),
            Err(why) => why,
        };
        match self.newer(outbound, origin, &header, &set).await {
            Some(newer) => verify_with(&newer, &header, token).map_err(invalid),
            None => Err(invalid(why)),
        }
    }

    /// The set as it is known, read when it never was or long ago.
    async fn set(&self, outbound: &Outbound, origin: &Jwks) -> Result<Set, KeysError> {
        // Held while the set is read: of many callers one asks and the others wait for its answer.
        let mut known = self.0.lock().await;
        if known.origin.as_ref() != Some(origin) {
            *known = Remembered { origin: Some(origin.clone()), ..Remembered::default() };
        }
        let age = known.read_at.map(|at| at.elapsed());
        if age.is_some_and(|age| age <= FRESH) {
            return Ok(known.set.clone());
        }
        let pause = if age.is_some() { REFILL } else { FIRST_COOL_DOWN };
        if known.tried_at.is_none_or(|at| at.elapsed() >= pause) {
            match known.read(outbound, origin).await {
                Ok(()) => return Ok(known.set.clone()),
                Err(error) if age.is_none_or(|age| age > STALE) => return Err(KeysError::Unreachable(error)),
                Err(error) => {
                    tracing::warn!(%error, "signing keys could not be read again; the known ones are used")
                }
            }
        } else if age.is_none_or(|age| age > STALE) {
            return Err(KeysError::Unreachable("the last attempt failed moments ago".to_owned()));
        }
        Ok(known.set.clone())
    }

    /// A set newer than `seen`, for a token that no key of that one fits: the provider may have rotated its keys since.
    async fn newer(&self, outbound: &Outbound, origin: &Jwks, header: &Header, seen: &Set) -> Option<Set> {
        let mut known = self.0.lock().await;
        if known.set.reading != seen.reading {
            return Some(known.set.clone());
        }
        known.missed.retain(|(_, at)| at.elapsed() < PATIENCE);
        let looked_for = known.missed.iter().any(|(kid, _)| *kid == header.kid);
        if looked_for || !known.budget.take() {
            return None;
        }
        let read = known.read(outbound, origin).await;
        if !known.set.keys.iter().any(|key| fits(key, header)) {
            known.missed.push((header.kid.clone(), Instant::now()));
        }
        match read {
            Ok(()) => Some(known.set.clone()),
            Err(error) => {
                tracing::warn!(%error, "signing keys could not be read again; the known ones are used");
                None
            }
        }
    }
}

impl Remembered {
    async fn read(&mut self, outbound: &Outbound, origin: &Jwks) -> Result<(), String> {
        self.tried_at = Some(Instant::now());
        let keys = Arc::new(read(outbound, origin).await?);
        self.set = Set { keys, reading: self.set.reading.wrapping_add(1) };
        self.read_at = Some(Instant::now());
        Ok(())
    }
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

async fn read(outbound: &Outbound, origin: &Jwks) -> Result<Vec<Jwk>, String> {
    let set: Published = match origin {
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

/// The claims, if a key of the set signed them; else why not.
fn verify_with(set: &Set, header: &Header, token: &str) -> Result<Map<String, Value>, &'static str> {
    let candidates: Vec<&Jwk> = set.keys.iter().filter(|key| fits(key, header)).collect();
    if candidates.is_empty() {
        return Err("the token is signed with a key that the issuer does not publish for it");
    }
    if candidates.iter().all(|key| weak(key)) {
        return Err("the issuer's RSA key is shorter than 2048 bits; have it replaced there");
    }
    for key in candidates.iter().filter(|key| !weak(key)) {
        match claims(key, header, token) {
            Ok(claims) => return Ok(claims.0),
            Err(error) if matches!(error.kind(), ErrorKind::Json(_)) => {
                return Err("the token's claims are no JSON object, or one of them stands there twice");
            }
            Err(_) => {}
        }
    }
    Err("the token's signature is wrong")
}

/// Whether a key is for this token: its identifier, its kind and its use fit the header. A key without an identifier may
/// be the one: the signature decides.
fn fits(key: &Jwk, header: &Header) -> bool {
    let common = &key.common;
    let named = header.kid.is_none() || common.key_id.is_none() || header.kid == common.key_id;
    let for_signing = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
        && common.key_operations.as_ref().is_none_or(|uses| uses.contains(&KeyOperations::Verify));
    let own_algorithm = common.key_algorithm.is_none_or(|own| own.to_string() == format!("{:?}", header.alg));
    named && for_signing && own_algorithm && kind_fits(&key.algorithm, header.alg)
}

/// Whether the key can be broken.
fn weak(key: &Jwk) -> bool {
    let AlgorithmParameters::RSA(rsa) = &key.algorithm else { return false };
    let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).unwrap_or_default();
    let first = modulus.iter().position(|byte| *byte != 0).unwrap_or(modulus.len());
    let leading = modulus.get(first).map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len().saturating_sub(first).saturating_mul(8).saturating_sub(leading);
    bits < MIN_RSA_BITS
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

/// The claims, if this key signed them. They are read after the signature was checked.
fn claims(key: &Jwk, header: &Header, token: &str) -> Result<Unique, jsonwebtoken::errors::Error> {
    let key = DecodingKey::from_jwk(key)?;
    let mut validation = Validation::new(header.alg);
    // Claims are the caller's to check, against the clock that was handed in.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    jsonwebtoken::decode(token, &key, &validation).map(|data| data.claims)
}
