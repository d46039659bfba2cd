//! A workload's token issuer with a key of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::PublicKeyData;
use serde_json::json;

pub struct Issuer(rcgen::KeyPair);

impl Issuer {
    pub fn new() -> Self {
        Self(rcgen::KeyPair::generate().unwrap())
    }

    pub fn jwks(&self) -> String {
        let point = self.0.der_bytes();
        let (x, y) = point[1..].split_at(32);
        let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig", "x": encode(x), "y": encode(y)}]})
            .to_string()
    }

    pub fn token(&self, subject: &str, groups: &[&str], life: Duration) -> String {
        #[expect(clippy::disallowed_methods, reason = "a foreign issuer has a clock of its own")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"iss": "https://ci.example.test", "aud": "hoopctl", "sub": subject, "groups": groups,
            "iat": now, "exp": now + life.as_secs()});
        let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_der(&self.0.serialize_der())).unwrap()
    }
}
