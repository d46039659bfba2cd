//! A small ACME directory on loopback for tests, written from RFC 8555 and RFC 8737: it verifies every signature and nonce, and
//! checks names by connecting to them.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use aws_lc_rs::{
    digest, hmac,
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, head, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType, IsCa,
    KeyPair,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateSigningRequestDer, ServerName, UnixTime},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;
use url::Url;
use x509_parser::{extensions::GeneralName, prelude::FromDer};

use crate::{clock::Clock, tls::CertificateDer};

/// The OID of `acmeIdentifier` (RFC 8737 §3).
const ACME_IDENTIFIER: &str = "1.3.6.1.5.5.7.1.31";

/// The directory and its authority.
pub(in crate::gateway) struct Directory {
    shared: Arc<Shared>,
    url: Url,
    server: JoinHandle<()>,
}

struct Shared {
    base: String,
    clock: Clock,
    issuer: CertifiedIssuer<'static, KeyPair>,
    life: Duration,
    /// Where the port 443 of every name is.
    port: watch::Sender<Option<SocketAddr>>,
    books: Mutex<Books>,
}

/// What the directory remembers, and how it is asked to behave.
#[derive(Default)]
pub(in crate::gateway) struct Books {
    nonces: HashSet<String>,
    accounts: Vec<Value>,
    orders: HashMap<usize, Order>,
    /// Key id and MAC key without which there is no account.
    pub(in crate::gateway) external: Option<(String, Vec<u8>)>,
    /// Every order is refused with these words.
    pub(in crate::gateway) out_of_order: Option<String>,
    /// Attempts to order.
    pub(in crate::gateway) ordered: usize,
}

#[derive(Clone)]
struct Order {
    name: String,
    token: String,
    status: &'static str,
    chain: Option<String>,
}

impl Directory {
    /// Certificates live so long from the clock's now on.
    pub(in crate::gateway) async fn start(clock: Clock, life: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test directory");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let (port, books) = (watch::Sender::new(None), Mutex::default());
        let shared = Arc::new(Shared { base: base.clone(), clock, issuer, life, port, books });
        let router = Router::new()
            .route("/directory", get(directory))
            .route("/nonce", head(nonce))
            .fallback(post(signed))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { shared, url: format!("{base}/directory").parse().unwrap(), server }
    }

    pub(in crate::gateway) fn url(&self) -> Url {
        self.url.clone()
    }

    pub(in crate::gateway) fn root(&self) -> CertificateDer<'static> {
        self.shared.issuer.der().clone()
    }

    /// Names lead there; until this is said, checks wait.
    pub(in crate::gateway) fn point_at(&self, port: SocketAddr) {
        self.shared.port.send_replace(Some(port));
    }

    pub(in crate::gateway) fn books(&self) -> MutexGuard<'_, Books> {
        self.shared.books.lock().unwrap()
    }

    pub(in crate::gateway) fn accounts(&self) -> usize {
        self.books().accounts.len()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn directory(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let at = |path: &str| format!("{}{path}", shared.base);
    axum::Json(json!({
        "newNonce": at("/nonce"), "newAccount": at("/account"), "newOrder": at("/order"),
        "revokeCert": at("/revoke"), "keyChange": at("/key"), "meta": {},
    }))
}

async fn nonce(State(shared): State<Arc<Shared>>) -> Response {
    shared.answer(StatusCode::OK, None, Value::Null)
}

async fn signed(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    match shared.hear(&uri, &headers, &body).await {
        Ok((status, location, answer)) => shared.answer(status, location, answer),
        Err((kind, detail)) => {
            let problem = json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail });
            shared.answer(StatusCode::BAD_REQUEST, None, problem)
        }
    }
}

type Heard = Result<(StatusCode, Option<String>, Value), (&'static str, String)>;

impl Shared {
    fn answer(&self, status: StatusCode, location: Option<String>, body: Value) -> Response {
        let nonce = B64.encode(crate::id::random::<16>());
        self.books.lock().unwrap().nonces.insert(nonce.clone());
        let mut response = match body {
            Value::String(pem) => (status, pem).into_response(),
            body => (status, axum::Json(body)).into_response(),
        };
        response.headers_mut().insert("replay-nonce", HeaderValue::from_str(&nonce).unwrap());
        if let Some(location) = location {
            response.headers_mut().insert("location", HeaderValue::from_str(&location).unwrap());
        }
        response
    }

    async fn hear(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Heard {
        let malformed = |what: &str| ("malformed", what.to_owned());
        if headers.get("content-type").is_none_or(|kind| kind != "application/jose+json") {
            return Err(malformed("the content type"));
        }
        let jws: Value = serde_json::from_slice(body).map_err(|_| malformed("no JSON"))?;
        let text = |field: &str| jws[field].as_str().unwrap_or_default().to_owned();
        let header: Value = decode(&text("protected")).ok_or_else(|| malformed("protected"))?;
        if !self.books.lock().unwrap().nonces.remove(header["nonce"].as_str().unwrap_or_default()) {
            return Err(("badNonce", "not a nonce of mine, or used before".to_owned()));
        }
        if header["alg"] != "ES256" || header["url"] != format!("{}{}", self.base, uri.path()) {
            return Err(("unauthorized", "another algorithm or URL".to_owned()));
        }
        let account = self
            .account_of(&header)
            .ok_or_else(|| ("accountDoesNotExist", "there is no such account".to_owned()))?;
        let said = format!("{}.{}", text("protected"), text("payload"));
        let signature = B64.decode(text("signature")).map_err(|_| malformed("signature"))?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(&account))
            .verify(said.as_bytes(), &signature)
            .map_err(|_| malformed("the signature does not hold"))?;
        let payload: Value = decode(&text("payload")).unwrap_or(Value::Null);
        self.act(uri.path(), &header, account, &payload).await
    }

    /// The key that must have signed: of a known account, or for a new one its own.
    fn account_of(&self, header: &Value) -> Option<Value> {
        let Some(kid) = header["kid"].as_str() else { return Some(header["jwk"].clone()) };
        let at: usize = kid.strip_prefix(&format!("{}/account/", self.base))?.parse().ok()?;
        self.books.lock().unwrap().accounts.get(at).cloned()
    }

    async fn act(&self, path: &str, header: &Value, account: Value, payload: &Value) -> Heard {
        let (kind, number) = path.trim_start_matches('/').split_once('/').unwrap_or((&path[1..], ""));
        let number: usize = number.parse().unwrap_or_default();
        let at = |kind: &str, number: usize| format!("{}/{kind}/{number}", self.base);
        match kind {
            "account" => {
                self.check_binding(header, payload)?;
                if payload["termsOfServiceAgreed"] != true {
                    return Err(("userActionRequired", "the terms".to_owned()));
                }
                let mut books = self.books.lock().unwrap();
                books.accounts.push(account);
                let location = at("account", books.accounts.len() - 1);
                Ok((StatusCode::CREATED, Some(location), json!({ "status": "valid" })))
            }
            "order" if path == "/order" => {
                let mut books = self.books.lock().unwrap();
                books.ordered += 1;
                if let Some(why) = &books.out_of_order {
                    return Err(("rateLimited", why.clone()));
                }
                let name = payload["identifiers"][0]["value"].as_str().unwrap_or_default().to_owned();
                let token = B64.encode(crate::id::random::<32>());
                let number = books.orders.len();
                books.orders.insert(number, Order { name, token, status: "pending", chain: None });
                drop(books);
                Ok((StatusCode::CREATED, Some(at("order", number)), self.told(number)))
            }
            "order" => Ok((StatusCode::OK, None, self.told(number))),
            "authz" => {
                let order = self.order(number);
                let status = match order.status {
                    "ready" | "valid" => "valid",
                    other => other,
                };
                Ok((
                    StatusCode::OK,
                    None,
                    json!({
                        "status": status, "identifier": { "type": "dns", "value": order.name },
                        "challenges": [
                            { "type": "http-01", "url": at("never", number), "token": "x", "status": "pending" },
                            { "type": "tls-alpn-01", "url": at("challenge", number), "token": order.token, "status": status },
                        ],
                    }),
                ))
            }
            "challenge" => {
                let order = self.order(number);
                let proven = self.check(&order, &thumbprint(&account)).await;
                self.set(number, |order| order.status = if proven { "ready" } else { "invalid" });
                let answer = json!({ "type": "tls-alpn-01", "url": at("challenge", number), "token": order.token, "status": "processing" });
                Ok((StatusCode::OK, None, answer))
            }
            "finalize" => {
                let chain = self.sign(&self.order(number), payload)?;
                self.set(number, |order| (order.status, order.chain) = ("valid", Some(chain)));
                Ok((StatusCode::OK, None, self.told(number)))
            }
            "certificate" => {
                Ok((StatusCode::OK, None, Value::String(self.order(number).chain.unwrap_or_default())))
            }
            _ => Err(("malformed", format!("{path} is nothing of mine"))),
        }
    }

    fn order(&self, number: usize) -> Order {
        self.books.lock().unwrap().orders[&number].clone()
    }

    fn set(&self, number: usize, change: impl FnOnce(&mut Order)) {
        change(self.books.lock().unwrap().orders.get_mut(&number).unwrap());
    }

    fn told(&self, number: usize) -> Value {
        let order = self.order(number);
        let at = |kind: &str| format!("{}/{kind}/{number}", self.base);
        let mut told = json!({
            "status": order.status, "identifiers": [{ "type": "dns", "value": order.name }],
            "authorizations": [at("authz")], "finalize": at("finalize"),
        });
        if order.chain.is_some() {
            told["certificate"] = at("certificate").into();
        }
        told
    }

    /// RFC 8555 §7.3.4.
    fn check_binding(&self, header: &Value, payload: &Value) -> Result<(), (&'static str, String)> {
        let Some((kid, key)) = self.books.lock().unwrap().external.clone() else { return Ok(()) };
        let required = || ("externalAccountRequired", "the binding does not hold".to_owned());
        let binding = &payload["externalAccountBinding"];
        let text = |field: &str| binding[field].as_str().unwrap_or_default();
        let inner: Value = decode(text("protected")).ok_or_else(required)?;
        let bound: Value = decode(text("payload")).ok_or_else(required)?;
        let said = format!("{}.{}", text("protected"), text("payload"));
        let signature = B64.decode(text("signature")).map_err(|_| required())?;
        let holds =
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), said.as_bytes(), &signature).is_ok();
        let same = inner["kid"] == kid && inner["alg"] == "HS256" && bound == header["jwk"];
        if holds && same { Ok(()) } else { Err(required()) }
    }

    /// RFC 8737 §3: who answers for the name shows the right certificate.
    async fn check(&self, order: &Order, thumbprint: &str) -> bool {
        let port = *self.port.subscribe().wait_for(Option::is_some).await.unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Look))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        let name = ServerName::try_from(order.name.clone()).unwrap();
        let tcp = TcpStream::connect(port.unwrap()).await.unwrap();
        let Ok(stream) = TlsConnector::from(Arc::new(config)).connect(name, tcp).await else { return false };
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(b"acme-tls/1") {
            return false;
        }
        let shown = &session.peer_certificates().unwrap()[0];
        let (_, parsed) = x509_parser::parse_x509_certificate(shown).unwrap();
        let names = parsed.subject_alternative_name().unwrap().unwrap().value;
        let digest = digest::digest(&digest::SHA256, format!("{}.{thumbprint}", order.token).as_bytes());
        let proof = [&[0x04, 0x20], digest.as_ref()].concat();
        let extension = parsed.extensions().iter().find(|e| e.oid.to_id_string() == ACME_IDENTIFIER).unwrap();
        names.general_names == [GeneralName::DNSName(&order.name)]
            && extension.critical
            && extension.value == proof
    }

    fn sign(&self, order: &Order, payload: &Value) -> Result<String, (&'static str, String)> {
        if order.status != "ready" {
            return Err(("orderNotReady", order.status.to_owned()));
        }
        let bad = |why: &str| ("badCSR", why.to_owned());
        let der = B64.decode(payload["csr"].as_str().unwrap_or_default()).map_err(|_| bad("base64"))?;
        let (_, request) = x509_parser::certification_request::X509CertificationRequest::from_der(&der)
            .map_err(|_| bad("DER"))?;
        request.verify_signature().map_err(|_| bad("signature"))?;
        let mut asked =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der.clone()))
                .map_err(|_| bad("request"))?;
        let wanted = CertificateParams::new(vec![order.name.clone()]).unwrap().subject_alt_names;
        if asked.params.subject_alt_names != wanted {
            return Err(bad("names"));
        }
        let now = self.clock.now();
        asked.params.not_before = now.into();
        asked.params.not_after = (now + self.life).into();
        let leaf = asked.signed_by(&self.issuer).map_err(|_| bad("signing"))?;
        Ok(format!("{}{}", leaf.pem(), self.issuer.pem()))
    }
}

/// Takes any certificate: what it shows is looked at afterwards. The verifiers of rustls take none whose critical extensions they
/// do not know, and RFC 8737 wants one.
#[derive(Debug)]
struct Look;

impl ServerCertVerifier for Look {
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn decode(text: &str) -> Option<Value> {
    serde_json::from_slice(&B64.decode(text).ok()?).ok()
}

/// The public key of a JWK.
fn point(jwk: &Value) -> Vec<u8> {
    let part = |name: &str| B64.decode(jwk[name].as_str().unwrap_or_default()).unwrap_or_default();
    [vec![4], part("x"), part("y")].concat()
}

/// RFC 7638.
fn thumbprint(jwk: &Value) -> String {
    let text = format!(r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#, jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]);
    B64.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}
