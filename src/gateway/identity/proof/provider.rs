//! An OpenID provider in the same process, which can be told to misbehave.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    extract::{Form, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};
use url::Url;

use crate::{clock::Clock, gateway::identity::sessions::sha256, id, secret::ExposeSecret};

pub(super) const CLIENT: &str = "hoop-gateway";
pub(super) const SECRET: &str = "s3cret/with:colon";

/// A signing key and its published form.
pub(super) struct Key {
    pub(super) kid: String,
    signing: EncodingKey,
    pub(super) jwk: Value,
}

impl Key {
    pub(super) fn new(kid: &str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let point = pair.public_key_raw();
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        });
        Self { kid: kid.to_owned(), signing: EncodingKey::from_ec_der(pair.serialized_der()), jwk }
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
    }
}

impl Key {
    /// A token over a text that no JSON writer would write.
    pub(super) fn sign_text(&self, claims: &str) -> String {
        let header = json!({"alg": "ES256", "kid": self.kid}).to_string();
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.signing, Algorithm::ES256).unwrap();
        format!("{message}.{signature}")
    }
}

type Change = Box<dyn Fn(&mut Value) + Send>;
type Forge = Box<dyn Fn(&Value, &Key) -> String + Send>;

/// What the provider knows and how it misbehaves.
pub(super) struct Inner {
    pub(super) issuer: String,
    pub(super) key: Key,
    /// What `/jwks` says.
    pub(super) published: Vec<Value>,
    pub(super) jwks_reads: usize,
    pub(super) groups: Value,
    /// Changes the ID token's claims before they are signed.
    pub(super) change: Option<Change>,
    /// Signs in place of the provider.
    pub(super) forge: Option<Forge>,
    pub(super) userinfo: Option<Value>,
    /// In place of it, as it stands.
    pub(super) userinfo_text: Option<String>,
    /// What the token endpoint says in place of tokens.
    pub(super) strange: Option<Strange>,
    pub(super) token_reads: usize,
    /// Whether a refresh token is given.
    pub(super) gives_refresh: bool,
    /// The error of the next token requests.
    pub(super) token_error: Option<(StatusCode, &'static str)>,
    pub(super) metadata: Value,
    /// Refresh tokens in force; each use replaces it.
    pub(super) refresh: Vec<String>,
    codes: HashMap<String, (String, String)>,
    clock: Clock,
}

/// Token endpoints that are none.
#[derive(Clone, Copy)]
pub(super) enum Strange {
    Never,
    Huge,
    Page,
}

#[derive(Clone)]
pub(super) struct Idp(Arc<Mutex<Inner>>);

impl Idp {
    pub(super) async fn start(clock: Clock) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = Key::new("k1");
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "scopes_supported": ["openid", "profile", "email", "offline_access", "groups"],
        });
        let idp = Self(Arc::new(Mutex::new(Inner {
            issuer,
            published: vec![json!({"kty": "oct", "k": "AAAA", "kid": "k0"}), key.jwk.clone()],
            key,
            jwks_reads: 0,
            groups: json!(["ml-users"]),
            change: None,
            forge: None,
            userinfo: None,
            userinfo_text: None,
            strange: None,
            token_reads: 0,
            gives_refresh: true,
            token_error: None,
            metadata,
            refresh: Vec::new(),
            codes: HashMap::new(),
            clock,
        })));
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(metadata_of))
            .route("/oauth2/default/.well-known/openid-configuration", get(metadata_of))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(idp.clone());
        tokio::spawn(async { axum::serve(listener, app).await });
        idp
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(super) fn issuer(&self) -> Url {
        Url::parse(&self.lock().issuer).unwrap()
    }

    /// Alice signs in: the code for the authorization request at this address.
    pub(super) fn approve(&self, request: &Url) -> String {
        let query: HashMap<_, _> = request.query_pairs().into_owned().collect();
        assert_eq!(query["client_id"], CLIENT);
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["response_type"], "code");
        let code = id::token().expose_secret().to_owned();
        self.lock().codes.insert(code.clone(), (query["code_challenge"].clone(), query["nonce"].clone()));
        code
    }
}

impl Inner {
    fn id_token(&self, nonce: Option<&str>) -> String {
        let now = self.clock.unix_seconds();
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "u-alice", "iat": now, "exp": now + 300,
            "name": "Alice A", "email": "alice@example.test", "email_verified": true, "groups": self.groups,
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(change) = &self.change {
            change(&mut claims);
        }
        match &self.forge {
            Some(forge) => forge(&claims, &self.key),
            None => self.key.sign(&claims),
        }
    }

    fn tokens(&mut self, nonce: Option<&str>) -> Response {
        let refresh = id::token().expose_secret().to_owned();
        self.refresh = vec![refresh.clone()];
        let id_token = self.id_token(nonce);
        let mut tokens = json!({
            "access_token": "idp-access", "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
        });
        if self.gives_refresh {
            tokens["refresh_token"] = json!(refresh);
        }
        Json(tokens).into_response()
    }
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn metadata_of(State(idp): State<Idp>) -> Json<Value> {
    Json(idp.lock().metadata.clone())
}

async fn jwks(State(idp): State<Idp>) -> Json<Value> {
    let mut inner = idp.lock();
    inner.jwks_reads += 1;
    Json(json!({ "keys": inner.published }))
}

async fn userinfo(State(idp): State<Idp>, headers: HeaderMap) -> Response {
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value != "Bearer idp-access") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if let Some(text) = &idp.lock().userinfo_text {
        return ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response();
    }
    match &idp.lock().userinfo {
        Some(claims) => Json(claims.clone()).into_response(),
        None => Json(json!({"sub": "u-alice"})).into_response(),
    }
}

async fn token(
    State(idp): State<Idp>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let strange = idp.lock().strange;
    match strange {
        Some(Strange::Never) => std::future::pending().await,
        Some(Strange::Huge) => return vec![b' '; 2 << 20].into_response(),
        Some(Strange::Page) => return Html("<h1>Sign in to the hotel's network</h1>").into_response(),
        None => {}
    }
    let mut inner = idp.lock();
    inner.token_reads += 1;
    if let Some((status, error)) = inner.token_error {
        return refused(status, error);
    }
    // RFC 6749 §2.3.1: both halves are form-encoded first.
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:s3cret%2Fwith%3Acolon")));
    let in_body = inner.metadata.get("token_endpoint_auth_methods_supported").is_some();
    let known = if in_body {
        form.get("client_secret").is_some_and(|secret| secret == SECRET)
    } else {
        headers.get(header::AUTHORIZATION).is_some_and(|value| value == basic.as_str())
    };
    if !known {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    match form["grant_type"].as_str() {
        "authorization_code" => {
            let Some((challenge, nonce)) = inner.codes.remove(&form["code"]) else {
                return refused(StatusCode::BAD_REQUEST, "invalid_grant");
            };
            if URL_SAFE_NO_PAD.encode(sha256(form["code_verifier"].as_bytes())) != challenge {
                return refused(StatusCode::BAD_REQUEST, "invalid_grant");
            }
            inner.tokens(Some(&nonce))
        }
        "refresh_token" if inner.refresh.contains(&form["refresh_token"]) => inner.tokens(None),
        _ => {
            // Reuse of a rotated token kills the one in force too, as certified providers do.
            inner.refresh.clear();
            refused(StatusCode::BAD_REQUEST, "invalid_grant")
        }
    }
}
