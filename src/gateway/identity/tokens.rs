//! Access tokens: short-lived JWTs (RFC 9068) of the gateway, for the gateway.

use std::{path::Path, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};

use super::Caller;
use crate::{
    clock::{Clock, unix_millis},
    id, secret,
    wire::api,
};

/// The longest token looked at, in bytes.
const MAX_TOKEN: usize = 4 * 1024;
const TYPE: &str = "at+jwt";

/// Signs and checks access tokens with the key of `<state>/token.key`.
pub(super) struct Tokens {
    issuer: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Access {
    iss: String,
    /// The issuer, or for a token of one model that model's address (RFC 8707).
    aud: String,
    sub: String,
    /// The login session.
    pub(super) sid: String,
    client_id: String,
    iat: i64,
    /// Seconds since 1970.
    pub(super) exp: i64,
    jti: String,
}

/// Below the issuer, the addresses of models at the direct ingress.
const MODELS: &str = "/models/";

impl Tokens {
    /// Reads `<state>/token.key` (P-256, PKCS #8 PEM, 0600), or makes it at first start. Blocks on files.
    pub(super) fn open(state: &Path, issuer: String) -> Result<Self, String> {
        let path = state.join("token.key");
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        if !path.try_exists().map_err(|e| named(&e))? {
            let key = KeyPair::generate().map_err(|e| named(&e))?;
            secret::create_private_dir(state)
                .and_then(|()| secret::write_private(&path, key.serialize_pem().as_bytes()))
                .map_err(|e| named(&e))?;
        }
        let pem = secret::read_private(&path, 4096).map_err(|e| named(&e))?;
        let key = std::str::from_utf8(&pem)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .filter(|key| key.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256)
            .ok_or_else(|| {
                named(&"it is no P-256 key; remove it, and a new one is made at the next start")
            })?;
        Ok(Self {
            issuer,
            signing: EncodingKey::from_ec_der(key.serialized_der()),
            verifying: DecodingKey::from_ec_der(key.public_key_raw()),
        })
    }

    /// The model that a resource (RFC 8707 §2) is the address of: `{issuer}/models/NAME`, with or without a slash behind it.
    pub(super) fn model_of<'a>(&self, resource: &'a str) -> Option<&'a str> {
        let name = resource.strip_prefix(&self.issuer)?.strip_prefix(MODELS)?;
        let name = name.strip_suffix('/').unwrap_or(name);
        (!name.is_empty() && !name.contains(['/', '?', '#', '%'])).then_some(name)
    }

    /// A token for the caller's session, and its life: at most `life`, never longer than `session_left`. With a
    /// `model` it is good for that one at the direct ingress and for nothing else.
    pub(super) fn mint(
        &self,
        caller: &Caller,
        model: Option<&str>,
        life: Duration,
        session_left: Duration,
        clock: &Clock,
    ) -> Result<(String, Duration), String> {
        let life = life.min(session_left);
        let iat = clock.unix_seconds();
        let claims = Access {
            iss: self.issuer.clone(),
            aud: model.map_or_else(|| self.issuer.clone(), |model| format!("{}{MODELS}{model}", self.issuer)),
            sub: caller.subject.clone(),
            sid: caller.session.clone(),
            client_id: api::CLIENT_ID.to_owned(),
            iat,
            exp: iat.saturating_add(i64::try_from(life.as_secs()).unwrap_or(0)),
            jti: id::new("tok", clock.now()),
        };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(TYPE.to_owned());
        let token = jsonwebtoken::encode(&header, &claims, &self.signing).map_err(|e| e.to_string())?;
        Ok((token, life))
    }

    /// The model that a verified token is bound to.
    pub(super) fn bound<'a>(&self, access: &'a Access) -> Option<&'a str> {
        self.model_of(&access.aud)
    }

    /// What a token says, if this gateway signed it as an access token and its time is not over.
    pub(super) fn verify(&self, token: &str, clock: &Clock) -> Result<Access, &'static str> {
        const INVALID: &str = "the access token is not one of this gateway";
        if token.len() > MAX_TOKEN {
            return Err(INVALID);
        }
        let mut validation = Validation::new(Algorithm::ES256);
        // Checked below, against the clock that was handed in.
        (validation.validate_exp, validation.validate_aud) = (false, false);
        validation.required_spec_claims.clear();
        let data =
            jsonwebtoken::decode::<Access>(token, &self.verifying, &validation).map_err(|_| INVALID)?;
        let claims = data.claims;
        let ours = claims.aud == self.issuer || self.model_of(&claims.aud).is_some();
        if data.header.typ.as_deref() != Some(TYPE) || claims.iss != self.issuer || !ours {
            return Err(INVALID);
        }
        if unix_millis(clock.now()) >= claims.exp.saturating_mul(1000) {
            return Err("the access token's time is over");
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    const LIFE: Duration = Duration::from_secs(5 * 60);

    fn caller() -> Caller {
        Caller {
            subject: "alice".to_owned(),
            email: None,
            name: None,
            groups: vec![],
            provider: "dev".to_owned(),
            workload: false,
            session: "ses_1".to_owned(),
        }
    }

    fn part(token: &str, index: usize) -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_is_believed_until_its_end_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_795_418_146));
        let issuer = "https://gateway.example.test".to_owned();
        let tokens = Tokens::open(dir.path(), issuer.clone()).unwrap();
        let (token, life) = tokens.mint(&caller(), None, LIFE, Duration::from_secs(3600), &clock).unwrap();
        assert_eq!(life, LIFE);
        let again = Tokens::open(dir.path(), issuer).unwrap();
        assert_eq!(again.verify(&token, &clock).unwrap().sid, "ses_1");
        hand.advance(LIFE - Duration::from_secs(1));
        assert!(again.verify(&token, &clock).is_ok());
        hand.advance(Duration::from_secs(1));
        assert!(again.verify(&token, &clock).is_err());
    }

    #[test]
    fn foreign_and_altered_tokens_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_795_418_146)).0;
        let tokens = Tokens::open(dir.path(), "https://a.test".to_owned()).unwrap();
        let (token, _) = tokens.mint(&caller(), None, LIFE, LIFE, &clock).unwrap();
        let (header, claims) = (part(&token, 0), part(&token, 1));
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let with = |header: &Value, claims: &Value, key: &EncodingKey| {
            let header: Header = serde_json::from_value(header.clone()).unwrap();
            jsonwebtoken::encode(&header, claims, key).unwrap()
        };
        let alter = |name: &str, value: &str| {
            let mut claims = claims.clone();
            claims[name] = json!(value);
            claims
        };
        let stranger = EncodingKey::from_ec_der(KeyPair::generate().unwrap().serialized_der());
        let public = tokens.verifying.try_get_as_bytes().unwrap();
        let cases = [
            format!("{}.{}.", encode(&json!({"alg": "none", "typ": TYPE})), encode(&claims)),
            with(&json!({"alg": "HS256", "typ": TYPE}), &claims, &EncodingKey::from_secret(public)),
            with(&header, &claims, &stranger),
            with(&json!({"alg": "ES256", "typ": "JWT"}), &claims, &tokens.signing),
            with(&header, &alter("aud", "https://b.test"), &tokens.signing),
            with(&header, &alter("iss", "https://b.test"), &tokens.signing),
            with(&header, &alter("aud", "https://b.test/models/m"), &tokens.signing),
            with(&header, &alter("aud", "https://a.test/models/"), &tokens.signing),
            with(&header, &alter("aud", "https://a.test/models/m/v1"), &tokens.signing),
            "a".repeat(MAX_TOKEN + 1),
            String::new(),
        ];
        for case in cases {
            assert!(tokens.verify(&case, &clock).is_err(), "{case}");
        }
    }
}
