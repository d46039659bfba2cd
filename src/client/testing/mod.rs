//! For tests alone: a gateway's HTTPS face with an authorization server in it, a CA, and a person without a terminal.

pub(super) mod tunnel;

use std::{
    collections::HashMap,
    convert::Infallible,
    io::{Read, Write},
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use url::Url;

use super::{
    ClientError, DeviceCode, FirstTrust, Here, Laptop, Method, Person, Settings, Status, StoreChoice, Talk,
    Way, vault::Secrets,
};
use crate::{
    clock::{self, Clock, Hand},
    id,
    secret::ExposeSecret,
    tls::{self, CertificateDer, HotKey, Identity, Trust},
    wire::api::{Credential, CredentialRequest, Discovery, Provider},
};

/// Life of the fake gateway's certificates and sessions.
pub(super) const LIFE: Duration = Duration::from_mins(15);
pub(super) const SESSION: Duration = Duration::from_hours(12);

pub(super) fn now() -> SystemTime {
    clock::parse_rfc3339("2026-11-23T07:15:46Z").unwrap()
}

pub(super) fn settings(home: &Path) -> Settings {
    Settings {
        gateway: None,
        profile: "default".to_owned(),
        credential_store: None,
        transport: None,
        proxies: crate::tunnel::Proxies::default(),
        config_dir: home.join("config"),
        state_dir: home.join("state"),
        clock: Clock::manual(now()).0,
        machine: None,
    }
}

pub(super) fn secrets() -> Secrets {
    Secrets {
        schema: 1,
        gateway: "https://gateway.example.test/".into(),
        refresh_token: Some("a-refresh-token".into()),
        key: "-----BEGIN PRIVATE KEY-----".into(),
        certificate: "-----BEGIN CERTIFICATE-----".into(),
        expires_at: clock::rfc3339(now() + LIFE),
        session_expires_at: clock::rfc3339(now() + SESSION),
        tokens: Vec::new(),
    }
}

/// A person whose browser is elsewhere.
pub(super) fn browser() -> Method {
    person(Some(Way::Paste))
}

/// A person at a terminal with a display.
pub(super) fn person(asked: Option<Way>) -> Method {
    let here = Here { terminal: true, display: true, ..Here::default() };
    Method::Person(Person { asked, callback_port: None, provider: None, here, name: "a test".to_owned() })
}

/// How the fake gateway answers a device that polls.
pub(super) struct Device {
    pending: usize,
    word: Option<&'static str>,
}

impl Device {
    /// Pending so many times, then confirmed.
    pub(super) fn confirmed_after(pending: usize) -> Self {
        Self { pending, word: None }
    }

    /// Refused with this word at once.
    pub(super) fn refused(word: &'static str) -> Self {
        Self { pending: 0, word: Some(word) }
    }
}

/// A certificate authority.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A leaf for 127.0.0.1 with its key, PEM.
    pub(super) fn leaf(&self) -> (CertificateDer<'static>, String) {
        let key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (leaf.der().clone(), key.serialize_pem())
    }

    /// A certificate for the key of a request.
    pub(super) fn certify(&self, csr: &str, from: SystemTime, until: SystemTime) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.params.not_before = from.into();
        request.params.not_after = until.into();
        request.signed_by(&self.0).unwrap().pem()
    }
}

/// What the fake gateway knows and has seen.
pub(super) struct State {
    ca: Arc<Ca>,
    clock: Clock,
    url: Url,
    session_end: SystemTime,
    pub(super) token_endpoint: Option<String>,
    pub(super) refresh_token: String,
    pub(super) refuse_credentials: bool,
    pub(super) refreshes: usize,
    pub(super) revoked: usize,
    pub(super) requests: usize,
    pub(super) device: Device,
}

impl State {
    pub(super) fn certify(&self, csr: &str) -> Credential {
        let from = self.clock.now() - Duration::from_secs(1);
        let until = self.clock.now() + LIFE;
        Credential {
            certificate: self.ca.certify(csr, from, until),
            expires_at: clock::rfc3339(until),
            session_expires_at: clock::rfc3339(self.session_end),
            session: "ls_1".into(),
            user: "alice@example.test".into(),
            groups: vec!["ml-engineers".into()],
            provider: "dev".into(),
            roots: tls::to_pem(&[self.ca.certificate()]),
            roots_version: None,
        }
    }

    fn tokens(&mut self, refreshable: bool) -> (StatusCode, serde_json::Value) {
        let mut tokens =
            serde_json::json!({"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 60});
        if refreshable {
            self.refresh_token = id::token().expose_secret().to_owned();
            tokens["refresh_token"] = self.refresh_token.clone().into();
        }
        (StatusCode::OK, tokens)
    }

    fn token(&mut self, form: &HashMap<String, String>) -> (StatusCode, serde_json::Value) {
        let refused = (
            StatusCode::BAD_REQUEST,
            serde_json::json!({"error": "invalid_grant", "error_description": "it is void"}),
        );
        match form["grant_type"].as_str() {
            "authorization_code" => {
                let digest = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
                // The fake's codes name their challenge.
                if form["code"] == format!("code-{}", URL_SAFE_NO_PAD.encode(digest)) {
                    self.tokens(true)
                } else {
                    refused
                }
            }
            "refresh_token" => {
                self.refreshes += 1;
                if form["refresh_token"] == self.refresh_token { self.tokens(true) } else { refused }
            }
            "urn:ietf:params:oauth:grant-type:device_code" => {
                assert_eq!(form["device_code"], "a-device-code");
                let error = |word| (StatusCode::BAD_REQUEST, serde_json::json!({ "error": word }));
                match (self.device.pending.checked_sub(1), self.device.word) {
                    (Some(left), _) => {
                        self.device.pending = left;
                        error("authorization_pending")
                    }
                    (None, Some(word)) => error(word),
                    (None, None) => self.tokens(true),
                }
            }
            _ if form["subject_token"] == "a.workload.jwt" => self.tokens(false),
            _ => refused,
        }
    }

    fn discovery(&self) -> Discovery {
        let at = |path: &str| self.url.join(path).unwrap().to_string();
        Discovery {
            schema: 1,
            issuer: self.url.as_str().trim_end_matches('/').to_owned(),
            gateway: "hoopctl/0.1.0".into(),
            versions: vec![crate::wire::VERSION],
            authorization_endpoint: at("/oauth2/authorize"),
            token_endpoint: self.token_endpoint.clone().unwrap_or_else(|| at("/oauth2/token")),
            revocation_endpoint: at("/oauth2/revoke"),
            device_authorization_endpoint: Some(at("/oauth2/device_authorization")),
            credential_endpoint: at("/api/v1/credentials"),
            roots: String::new(),
            providers: vec![Provider { name: "dev".into(), kind: "dev".into(), audience: None }],
        }
    }

    fn answer(&mut self, path: &str, bearer: bool, body: &[u8]) -> (StatusCode, serde_json::Value) {
        self.requests += 1;
        let form = || url::form_urlencoded::parse(body).into_owned().collect::<HashMap<_, _>>();
        match path {
            "/.well-known/hoopctl" => (StatusCode::OK, serde_json::to_value(self.discovery()).unwrap()),
            "/oauth2/token" => self.token(&form()),
            "/oauth2/device_authorization" => {
                let page = self.url.join("/device").unwrap();
                let body = serde_json::json!({"device_code": "a-device-code", "user_code": "WDJB-MJHT",
                    "verification_uri": page, "expires_in": 600, "interval": 0});
                (StatusCode::OK, body)
            }
            "/oauth2/revoke" => {
                self.revoked += usize::from(form()["token"] == self.refresh_token);
                (StatusCode::OK, serde_json::Value::Null)
            }
            "/api/v1/credentials" if bearer && !self.refuse_credentials => {
                let request: CredentialRequest = serde_json::from_slice(body).unwrap();
                (StatusCode::OK, serde_json::to_value(self.certify(&request.csr)).unwrap())
            }
            _ => (
                StatusCode::SERVICE_UNAVAILABLE,
                serde_json::json!({"error": {"code": "audit_unavailable", "message": "not now"}}),
            ),
        }
    }
}

/// A gateway's HTTPS face on a loopback port; gone when dropped.
pub(super) struct Fake {
    pub(super) url: Url,
    pub(super) ca: Arc<Ca>,
    pub(super) leaf: CertificateDer<'static>,
    pub(super) state: Arc<Mutex<State>>,
    key: HotKey,
    clock: Clock,
    hand: Hand,
    _tasks: JoinSet<()>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        Self::start_presenting(None).await
    }

    /// Presents another CA beside its own leaf, as somebody in between would.
    pub(super) async fn start_presenting(other: Option<CertificateDer<'static>>) -> Self {
        Self::start_at(Clock::manual(now()), other).await
    }

    /// Lives in real time, as the certificates of a tunnel are judged by it.
    pub(super) async fn start_live() -> Self {
        Self::start_at((Clock::system(), Clock::manual(now()).1), None).await
    }

    async fn start_at((clock, hand): (Clock, Hand), other: Option<CertificateDer<'static>>) -> Self {
        let ca = Arc::new(Ca::new());
        let (leaf, key) = ca.leaf();
        let chain = tls::to_pem(&[leaf.clone(), other.unwrap_or_else(|| ca.certificate())]);
        let key = HotKey::new(Identity::from_pem(&chain, &key).unwrap());
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls::https_server(&key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
        let session_end = clock.now() + SESSION;
        let state = Arc::new(Mutex::new(State {
            ca: Arc::clone(&ca),
            clock: clock.clone(),
            url: url.clone(),
            session_end,
            token_endpoint: None,
            refresh_token: String::new(),
            refuse_credentials: false,
            refreshes: 0,
            revoked: 0,
            requests: 0,
            device: Device::confirmed_after(0),
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, Arc::clone(&state)));
        Self { url, ca, leaf, key, state, clock, hand, _tasks: tasks }
    }

    pub(super) fn trust(&self) -> Trust {
        Trust::Roots(vec![self.ca.certificate()])
    }

    pub(super) fn fingerprint(&self) -> FirstTrust {
        FirstTrust::Fingerprint(tls::fingerprint_text(&tls::fingerprint(&self.ca.certificate())))
    }

    pub(super) fn laptop(&self, home: &Path, store: StoreChoice) -> Arc<Laptop> {
        let settings = Settings {
            gateway: Some(self.url.clone()),
            credential_store: Some(store),
            transport: None,
            clock: self.clock.clone(),
            ..settings(home)
        };
        Laptop::open(settings).unwrap()
    }
}

async fn accept(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        connections.spawn(async move {
            let Ok(tls) = acceptor.accept(socket).await else { return };
            let service = service_fn(move |request| serve(request, Arc::clone(&state)));
            let _ =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let bearer = request.headers().get(header::AUTHORIZATION).is_some_and(|v| v == "Bearer an-access-token");
    let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let (status, body) = state.lock().unwrap().answer(&path, bearer, &body);
    let answer = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    Ok(answer.body(Full::new(body.to_string().into())).unwrap())
}

/// Logs in through the fake browser.
pub(super) async fn log_in(
    fake: &Fake,
    laptop: &Arc<Laptop>,
    trust: FirstTrust,
) -> Result<Status, ClientError> {
    assert!(laptop.settings.gateway.as_ref().is_none_or(|url| *url == fake.url));
    laptop.login(trust, browser(), &Silent::default()).await
}

/// A laptop that is logged in, its secrets in a file, and the hand of its clock.
pub(super) async fn logged_in(fake: &Fake, home: &Path) -> (Arc<Laptop>, Hand) {
    let laptop = fake.laptop(home, StoreChoice::File);
    log_in(fake, &laptop, fake.fingerprint()).await.unwrap();
    (laptop, fake.hand.clone())
}

/// A person who says nothing; whose browser comes straight back.
#[derive(Default)]
pub(super) struct Silent {
    /// Whether an unknown CA is believed.
    believes: bool,
    /// The code that the browser brings, when it is not the right one.
    bring: Option<String>,
    /// Lines that are pasted before the right one; then the browser itself does not come back.
    paste: Option<Vec<String>>,
    visited: Mutex<Vec<Url>>,
    codes: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
    page: Mutex<Option<JoinHandle<String>>>,
}

impl Silent {
    /// A person who says yes to an unknown CA.
    pub(super) fn believing() -> Self {
        Self { believes: true, ..Self::default() }
    }

    /// A person whose browser brings back somebody else's code.
    pub(super) fn bringing(code: &str) -> Self {
        Self { bring: Some(code.to_owned()), ..Self::default() }
    }

    /// A person who pastes these lines, and then the right one.
    pub(super) fn pasting(wrong: &[&str]) -> Self {
        Self { paste: Some(wrong.iter().map(|line| (*line).to_owned()).collect()), ..Self::default() }
    }

    /// The codes that were shown.
    pub(super) fn codes(&self) -> Vec<String> {
        self.codes.lock().unwrap().clone()
    }

    /// How many notes hold `text`.
    pub(super) fn noted(&self, text: &str) -> usize {
        self.notes.lock().unwrap().iter().filter(|note| note.contains(text)).count()
    }

    /// Where the browser is sent by the last address visited.
    fn back(&self) -> Url {
        let visited = self.visited();
        let url = visited.last().unwrap();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let code = self.bring.clone().unwrap_or_else(|| format!("code-{}", query["code_challenge"]));
        let mut back = Url::parse(&query["redirect_uri"]).unwrap();
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &query["state"])
            .append_pair("iss", &url.origin().ascii_serialization());
        back
    }

    pub(super) fn visited(&self) -> Vec<Url> {
        self.visited.lock().unwrap().clone()
    }

    /// What the browser showed in the end.
    pub(super) fn page(&self) -> String {
        self.page.lock().unwrap().take().unwrap().join().unwrap()
    }
}

impl Talk for Silent {
    fn visit(&self, url: &Url, _: bool) {
        self.visited.lock().unwrap().push(url.clone());
        if self.paste.is_none() {
            let back = self.back();
            *self.page.lock().unwrap() = Some(std::thread::spawn(move || fetch(&back)));
        }
    }

    fn code(&self, shown: &DeviceCode) {
        self.codes.lock().unwrap().push(shown.code.clone());
    }

    fn pasted(&self) -> Option<mpsc::UnboundedReceiver<String>> {
        let (type_in, lines) = mpsc::unbounded_channel();
        for line in self.paste.iter().flatten() {
            type_in.send(line.clone()).unwrap();
        }
        if self.paste.is_some() {
            type_in.send(self.back().into()).unwrap();
        }
        Some(lines)
    }

    fn note(&self, line: &str) {
        self.notes.lock().unwrap().push(line.to_owned());
    }

    fn trust(&self, _: &Url, _: &str) -> bool {
        self.believes
    }
}

fn fetch(url: &Url) -> String {
    let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let mut socket = std::net::TcpStream::connect(&address).unwrap();
    let head = format!("GET {}?{} HTTP/1.1\r\nHost: {address}\r\n\r\n", url.path(), url.query().unwrap());
    socket.write_all(head.as_bytes()).unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    page
}
