//! A gateway's identity room with everything around it, and a browser and a laptop to use it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair};
use tower_service::Service;
use url::Url;

use super::{
    memory::Memory,
    provider::{CLIENT, Idp, SECRET},
};
use crate::{
    clock::{Clock, Hand},
    gateway::{
        certs::Authority,
        identity::{
            Config, DevUser, Happening, Identities, IdentityError, Preset, ProviderConfig, ProviderKind,
            sessions::sha256,
        },
    },
    secret,
    wire::api::{CLIENT_ID, OAuthError, Tokens},
};

pub(super) const ISSUER: &str = "https://localhost:8443";
pub(super) const REDIRECT: &str = "http://127.0.0.1:51234/callback";
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const LIFE: Duration = Duration::from_secs(15 * 60);
pub(super) const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) clock: Clock,
    pub(super) hand: Hand,
    pub(super) store: Arc<Memory>,
    pub(super) identities: Arc<Identities>,
    pub(super) happenings: Arc<Mutex<Vec<Happening>>>,
    router: Router,
}

/// An answer, read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// A browser: its cookies and where it connects from.
pub(super) struct Browser {
    cookies: HashMap<String, String>,
    pub(super) peer: Option<SocketAddr>,
}

impl Browser {
    pub(super) fn new() -> Self {
        Self { cookies: HashMap::new(), peer: Some(SocketAddr::from(([127, 0, 0, 1], 50_000))) }
    }

    pub(super) fn cookies(&self) -> usize {
        self.cookies.len()
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for set in headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

pub(super) fn manual() -> (Clock, Hand) {
    Clock::manual(UNIX_EPOCH + Duration::from_secs(1_795_418_146))
}

pub(super) fn dev() -> ProviderConfig {
    let user = |name: &str, groups: &[&str]| DevUser {
        name: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let users = vec![user("alice", &["ml-users", "fraud-readers"]), user("bob", &[])];
    ProviderConfig { name: "dev".to_owned(), kind: ProviderKind::Dev { users } }
}

/// The fake provider as `gateway.toml` would have it; the secret lies in a file of `dir`.
pub(super) fn oidc(idp: &Idp, dir: &std::path::Path) -> ProviderConfig {
    let path = dir.join("client-secret");
    std::fs::write(&path, SECRET).unwrap();
    let kind = ProviderKind::Oidc {
        issuer: idp.issuer(),
        client_id: CLIENT.to_owned(),
        client_secret: Some(secret::Source::File(path)),
        scopes: Vec::new(),
        groups_claim: "groups".to_owned(),
        ca: None,
        preset: Preset::Generic,
    };
    ProviderConfig { name: "company".to_owned(), kind }
}

impl World {
    pub(super) async fn dev() -> Self {
        let (clock, hand) = manual();
        Self::open(tempfile::tempdir().unwrap(), clock, hand, vec![dev()]).await
    }

    pub(super) async fn company() -> (Self, Idp) {
        let (clock, hand) = manual();
        let dir = tempfile::tempdir().unwrap();
        let idp = Idp::start(clock.clone()).await;
        let providers = vec![oidc(&idp, dir.path())];
        (Self::open(dir, clock, hand, providers).await, idp)
    }

    /// A company at a vendor.
    pub(super) async fn of(
        preset: impl FnOnce(&std::path::Path) -> Preset,
        groups_claim: &str,
    ) -> (Self, Idp) {
        let (clock, hand) = manual();
        let dir = tempfile::tempdir().unwrap();
        let idp = Idp::start(clock.clone()).await;
        let mut provider = oidc(&idp, dir.path());
        if let ProviderKind::Oidc { preset: own, groups_claim: claim, .. } = &mut provider.kind {
            (*own, *claim) = (preset(dir.path()), groups_claim.to_owned());
        }
        (Self::open(dir, clock, hand, vec![provider]).await, idp)
    }

    pub(super) async fn open(
        dir: tempfile::TempDir,
        clock: Clock,
        hand: Hand,
        providers: Vec<ProviderConfig>,
    ) -> Self {
        let store = Arc::new(Memory::default());
        let happenings = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&happenings);
        let state = dir.path().join("state");
        let authority = Arc::new(Authority::open(&state, clock.clone()).unwrap());
        let config = config(&dir, ISSUER, providers);
        let identities = Identities::open(
            config,
            Arc::<Memory>::clone(&store),
            authority,
            clock.clone(),
            Arc::new(move |happening| told.lock().unwrap().push(happening)),
        )
        .await
        .unwrap();
        let router = identities.router();
        Self { _dir: dir, clock, hand, store, identities, happenings, router }
    }

    pub(super) async fn send(&self, browser: &mut Browser, mut request: Request<Body>) -> Answer {
        let cookies: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        if let Some(peer) = browser.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let response = self.router.clone().call(request).await.unwrap();
        let (head, body) = response.into_parts();
        browser.keep(&head.headers);
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(super) async fn get(&self, browser: &mut Browser, path: &str) -> Answer {
        self.send(browser, Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, browser: &mut Browser, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        self.send(browser, request).await
    }

    /// The laptop opens the browser; `extra` parameters are added.
    pub(super) async fn authorize(&self, browser: &mut Browser, extra: &[(&str, &str)]) -> Answer {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(VERIFIER.as_bytes()));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", CLIENT_ID)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", REDIRECT)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", "laptop-state")
            .extend_pairs(extra)
            .finish();
        self.get(browser, &format!("/oauth2/authorize?{query}")).await
    }

    /// The laptop trades a code.
    pub(super) async fn redeem(&self, code: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT_ID),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.post(&mut Browser::new(), "/oauth2/token", &form).await
    }

    pub(super) async fn refresh(&self, token: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("client_id", CLIENT_ID), ("refresh_token", token)];
        self.post(&mut Browser::new(), "/oauth2/token", &form).await
    }

    /// A dev user signs in; the code.
    pub(super) async fn dev_code(&self, user: &str) -> String {
        let mut browser = Browser::new();
        let page = self.authorize(&mut browser, &[]).await;
        let login = page.hidden("login");
        self.post(&mut browser, "/login/dev", &[("login", &login), ("user", user)]).await.sent("code")
    }

    pub(super) async fn dev_login(&self, user: &str) -> Tokens {
        let code = self.dev_code(user).await;
        self.redeem(&code).await.tokens()
    }

    /// Alice signs in at the fake provider; the answer to the browser.
    pub(super) async fn company_callback(&self, idp: &Idp) -> Answer {
        let mut browser = Browser::new();
        let at_idp = self.authorize(&mut browser, &[]).await.location();
        let code = idp.approve(&at_idp);
        let state = at_idp.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        self.get(&mut browser, &format!("/login/callback?code={code}&state={state}")).await
    }

    pub(super) async fn company_login(&self, idp: &Idp) -> Tokens {
        let code = self.company_callback(idp).await.sent("code");
        self.redeem(&code).await.tokens()
    }

    pub(super) fn happenings(&self) -> Vec<Happening> {
        self.happenings.lock().unwrap().clone()
    }
}

impl Answer {
    pub(super) fn location(&self) -> Url {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        Url::parse(self.headers[header::LOCATION].to_str().unwrap()).unwrap()
    }

    /// A parameter that the browser is sent to the laptop with.
    pub(super) fn sent(&self, name: &str) -> String {
        let to = self.location();
        assert!(to.as_str().starts_with(REDIRECT), "{to}");
        let query: HashMap<_, _> = to.query_pairs().into_owned().collect();
        let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        assert!(query.get("error_description").is_none_or(|text| text.chars().all(plain)), "{to}");
        assert_eq!(query.get("state").map(String::as_str), Some("laptop-state"), "{to}");
        assert_eq!(query.get("iss").map(String::as_str), Some(ISSUER), "{to}");
        query.get(name).unwrap_or_else(|| panic!("no {name} in {to}")).clone()
    }

    pub(super) fn hidden(&self, name: &str) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let start = format!("name=\"{name}\" value=\"");
        self.body.split(&start).nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    pub(super) fn tokens(&self) -> Tokens {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn error(&self) -> String {
        assert!(self.status.is_client_error() || self.status.is_server_error(), "{}", self.body);
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        serde_json::from_str::<OAuthError>(&self.body).unwrap().error
    }
}

pub(super) fn config(dir: &tempfile::TempDir, public_url: &str, providers: Vec<ProviderConfig>) -> Config {
    Config {
        public_url: Url::parse(public_url).unwrap(),
        providers,
        credential_life: LIFE,
        session_life: SESSION,
        token_life: Duration::from_mins(5),
        state: dir.path().join("state"),
        own_roots: true,
    }
}

/// Opens a room that is expected to refuse.
pub(super) async fn open_error(public_url: &str, providers: Vec<ProviderConfig>) -> IdentityError {
    let dir = tempfile::tempdir().unwrap();
    let (clock, _) = manual();
    let authority = Arc::new(Authority::open(&dir.path().join("state"), clock.clone()).unwrap());
    let config = config(&dir, public_url, providers);
    let opened = Identities::open(config, Arc::new(Memory::default()), authority, clock, Arc::new(|_| {}));
    opened.await.unwrap_err()
}

pub(super) fn csr() -> String {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
}
