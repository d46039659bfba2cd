//! Google's service accounts: the JSON key, and the signed assertion that is traded for a token (RFC 7523 §2.1).

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::acceptable;
use crate::secret::{self, ExposeSecret, SecretString};

/// Life of an assertion in seconds; Google takes no more than an hour.
const ASSERTION: i64 = 60 * 60;

/// The fields of a service account's JSON key that are needed.
pub(in crate::gateway) struct ServiceAccount {
    email: String,
    key: EncodingKey,
    key_id: Option<String>,
    token_uri: Url,
}

#[derive(Deserialize)]
struct Json {
    client_email: String,
    #[serde(deserialize_with = "secret::deserialize")]
    private_key: SecretString,
    private_key_id: Option<String>,
    token_uri: Url,
}

impl ServiceAccount {
    /// Reads the JSON key.
    ///
    /// # Errors
    /// When it is none, its key is no RSA key, or its `token_uri` is not https. The error shows nothing of the key.
    pub(in crate::gateway) fn parse(json: &SecretString) -> Result<Self, String> {
        // The parser's error is left out: it may show a piece of the key.
        let account: Json = serde_json::from_str(json.expose_secret())
            .map_err(|_| "`service_account` is not the JSON key of a service account; make one under IAM, Service accounts, Keys")?;
        if !acceptable(&account.token_uri) {
            return Err("the `token_uri` in the service account's key is not https".to_owned());
        }
        let key = EncodingKey::from_rsa_pem(account.private_key.expose_secret().as_bytes())
            .map_err(|_| "the `private_key` in the service account's key is no RSA key in PEM".to_owned())?;
        let Json { client_email: email, private_key_id: key_id, token_uri, .. } = account;
        Ok(Self { email, key, key_id, token_uri })
    }

    /// Where assertions are traded for tokens.
    pub(in crate::gateway) fn token_uri(&self) -> &Url {
        &self.token_uri
    }

    /// Says for an hour from `now` (seconds since 1970) that the account wants `scope` at `audience`, for itself or for `subject`.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub(in crate::gateway) fn assertion(
        &self,
        audience: &Url,
        scope: &str,
        subject: Option<&str>,
        now: i64,
    ) -> Result<String, String> {
        let mut claims = json!({
            "iss": self.email, "scope": scope, "aud": audience,
            "iat": now, "exp": now.saturating_add(ASSERTION),
        });
        if let (Some(subject), Some(claims)) = (subject, claims.as_object_mut()) {
            claims.insert("sub".to_owned(), subject.into());
        }
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&self.key_id);
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|e| format!("the service account's key: {e}"))
    }
}
