//! Machine credentials: what this process's surroundings give it to log in with, and no person does.

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::{
    client::{
        ClientError,
        https::{self, Https},
        oauth::{self, Granted},
        off_thread,
    },
    clock::Clock,
    id,
    secret::{ExposeSecret, SecretString, Source},
    tls::{self, ServerName, Trust},
    tunnel::{Proxies, reach},
    wire::api::Discovery,
};

/// Where Kubernetes projects a token that is meant for gateways.
const PROJECTED: &str = "/var/run/secrets/tokens/hoopctl";
/// The whole of a request for a token.
const ASK: Duration = Duration::from_secs(10);
/// The longest answer to it, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// Audiences that are asked for one after another.
const MAX_AUDIENCES: usize = 8;
/// How audiences begin that can only mean gateways.
const OURS: &str = "hoopctl";
/// Other audiences that tokens may be fetched for, with commas between.
const AUDIENCE_VARIABLE: &str = "HOOPCTL_WORKLOAD_AUDIENCE";
/// Life of a signed assertion, in seconds.
const ASSERTION_LIFE: i64 = 60;
/// The longest key file, in bytes.
const MAX_KEY: u64 = 64 * 1024;

/// What the surroundings give. Tokens are read at each use: they rotate.
#[derive(Clone)]
pub struct Machine {
    means: Means,
    /// The variable, flag or file that it was found by.
    found_by: &'static str,
}

#[derive(Clone)]
enum Means {
    /// A JWT as it is.
    Token(SecretString),
    /// A file that holds a JWT now.
    File(PathBuf),
    /// GitHub Actions with `id-token: write`: a URL that gives a JWT for an audience; `own` are audiences that were named here.
    GitHub { url: String, bearer: SecretString, own: Vec<String> },
    /// An account of the gateway's own.
    Service { account: String, proof: Option<Proof> },
}

#[derive(Clone)]
enum Proof {
    Secret(SecretString),
    KeyFile(PathBuf),
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Machine({self})")
    }
}

/// Where the credentials come from, for people; never what they are.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.means {
            Means::Token(_) => f.write_str("a workload's token in the environment"),
            Means::File(path) => write!(f, "the workload's token in {}", path.display()),
            Means::GitHub { .. } => f.write_str("GitHub Actions"),
            Means::Service { account, .. } => write!(f, "the service account {account}"),
        }
    }
}

/// Finds machine credentials in the environment, explicit ones first.
pub fn detect(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Machine> {
    detect_in(env, std::path::Path::new(PROJECTED))
}

fn detect_in(env: &dyn Fn(&str) -> Option<OsString>, projected: &std::path::Path) -> Option<Machine> {
    let said = |name: &str| env(name).filter(|value| !value.is_empty());
    let text = |name: &str| said(name).and_then(|value| value.into_string().ok());
    let secret = |name: &str| text(name).map(SecretString::from);
    let (means, found_by) = if let Some(token) = secret("HOOPCTL_WORKLOAD_TOKEN") {
        (Means::Token(token), "HOOPCTL_WORKLOAD_TOKEN")
    } else if let Some(file) = said("HOOPCTL_WORKLOAD_TOKEN_FILE") {
        (Means::File(file.into()), "HOOPCTL_WORKLOAD_TOKEN_FILE")
    } else if let Some(account) = text("HOOPCTL_SERVICE_ACCOUNT") {
        let key = said("HOOPCTL_SERVICE_KEY_FILE").map(|file| Proof::KeyFile(file.into()));
        let proof = secret("HOOPCTL_SERVICE_SECRET").map(Proof::Secret).or(key);
        (Means::Service { account, proof }, "HOOPCTL_SERVICE_ACCOUNT")
    } else if let (Some(url), Some(bearer)) =
        (text("ACTIONS_ID_TOKEN_REQUEST_URL"), secret("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
    {
        let own = text(AUDIENCE_VARIABLE).unwrap_or_default();
        let own = own.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
        (Means::GitHub { url, bearer, own }, "ACTIONS_ID_TOKEN_REQUEST_URL")
    } else if let Some(token) = secret("HOOPCTL_ID_TOKEN") {
        (Means::Token(token), "HOOPCTL_ID_TOKEN")
    } else if projected.is_file() {
        (Means::File(projected.to_path_buf()), PROJECTED)
    } else {
        return None;
    };
    Some(Machine { means, found_by })
}

impl Machine {
    /// The token in a file that somebody named.
    pub fn file(path: PathBuf) -> Self {
        Self { means: Means::File(path), found_by: "--workload-token-file" }
    }

    /// A token itself.
    pub fn token(token: SecretString) -> Self {
        Self { means: Means::Token(token), found_by: "HOOPCTL_WORKLOAD_TOKEN" }
    }

    /// The variable, flag or file that it was found by.
    pub fn found_by(&self) -> &'static str {
        self.found_by
    }

    /// Trades what the surroundings give for the gateway's tokens.
    pub(in crate::client) async fn grant(
        &self,
        https: &Https,
        discovery: &Discovery,
        clock: &Clock,
    ) -> Result<Granted, ClientError> {
        match &self.means {
            Means::Token(token) => oauth::exchange(https, discovery, token).await,
            Means::File(path) => {
                let source = Source::File(path.clone());
                let token = off_thread(move || {
                    source.read().map_err(|error| {
                        ClientError::usage(error.to_string()).remedy(
                            "write the workload's token into that file, or set HOOPCTL_WORKLOAD_TOKEN",
                        )
                    })
                })
                .await?;
                oauth::exchange(https, discovery, &token).await
            }
            Means::GitHub { url, bearer, own } => by_audience(https, discovery, url, bearer, own).await,
            Means::Service { account, proof } => {
                let proof = proof.clone().ok_or_else(|| {
                    ClientError::usage(format!(
                        "the service account {account} has neither secret nor key here"
                    ))
                    .remedy("set HOOPCTL_SERVICE_SECRET or HOOPCTL_SERVICE_KEY_FILE")
                })?;
                service(https, discovery, account, proof, clock).await
            }
        }
    }
}

/// A gateway may believe one platform for several audiences: each is tried until one is accepted.
async fn by_audience(
    https: &Https,
    discovery: &Discovery,
    url: &str,
    bearer: &SecretString,
    own: &[String],
) -> Result<Granted, ClientError> {
    let mut refused = None;
    for audience in meant(audiences(discovery), https.gateway(), own)? {
        let token = id_token(url, bearer, &audience, https.proxies()).await?;
        match oauth::exchange(https, discovery, &token).await {
            Err(error) if error.code == "invalid_grant" => refused = Some(error),
            other => return other,
        }
    }
    Err(refused.unwrap_or_else(|| ClientError::login_needed("this gateway believes no platform's tokens")))
}

/// What tokens have to be for; gateways that do not say are asked with their own address.
fn audiences(discovery: &Discovery) -> Vec<String> {
    let mut audiences: Vec<String> = Vec::new();
    for audience in discovery.providers.iter().filter_map(|provider| provider.audience.as_ref()) {
        if !audiences.contains(audience) && audiences.len() < MAX_AUDIENCES {
            audiences.push(audience.clone());
        }
    }
    if audiences.is_empty() {
        audiences.push(discovery.issuer.clone());
    }
    audiences
}

/// Those of the audiences that tokens may be fetched for: a gateway that is not what it seems could name another
/// service's, and log in there with what it is sent.
fn meant(named: Vec<String>, gateway: &Url, own: &[String]) -> Result<Vec<String>, ClientError> {
    let origin = gateway.origin().ascii_serialization();
    let ours = |audience: &String| {
        audience.starts_with(OURS)
            || audience.trim_end_matches('/') == origin
            || gateway.host_str() == Some(audience)
            || own.contains(audience)
    };
    let (ours, others): (Vec<_>, Vec<_>) = named.into_iter().partition(ours);
    if ours.is_empty() {
        let others = others.join(",");
        let message = format!(
            "the gateway wants a token of GitHub Actions for {others:?}, which may be another service's name"
        );
        return Err(ClientError::usage(message)
            .remedy(format!("if it is this gateway's, set {AUDIENCE_VARIABLE} to it")));
    }
    Ok(ours)
}

/// Asks GitHub for a token for this audience.
async fn id_token(
    url: &str,
    bearer: &SecretString,
    audience: &str,
    proxies: &Proxies,
) -> Result<SecretString, ClientError> {
    #[derive(Deserialize)]
    struct Answer {
        value: String,
    }
    let failed = |why: String| {
        ClientError::failed("id_token", format!("GitHub Actions gave no token: {why}"))
            .remedy("give the job `permissions: id-token: write`")
    };
    let mut url = Url::parse(url).map_err(|_| failed("ACTIONS_ID_TOKEN_REQUEST_URL is no URL".to_owned()))?;
    url.query_pairs_mut().append_pair("audience", audience);
    let asked = timeout(ASK, ask(&url, bearer, proxies)).await;
    let body =
        asked.unwrap_or_else(|_| Err(format!("no answer within {} s", ASK.as_secs()))).map_err(failed)?;
    // The parser's message could quote the token.
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| failed("the answer is not understood".to_owned()))?;
    Ok(answer.value.into())
}

/// One GET over https, or over http on this machine.
async fn ask(url: &Url, bearer: &SecretString, proxies: &Proxies) -> Result<Bytes, String> {
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && local) {
        return Err("its address is not https".to_owned());
    }
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", bearer.expose_secret()))
        .map_err(|_| "the token to ask with cannot be sent".to_owned())?;
    authorization.set_sensitive(true);
    let request = Request::get(target)
        .header(header::HOST, https::authority(url))
        .header(header::AUTHORIZATION, authorization)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, crate::client::PROGRAM)
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let (host, port) = https::address(url);
    let port = if url.scheme() == "http" { url.port().unwrap_or(80) } else { port };
    let tcp = reach(&host, port, proxies).await.map_err(|e| format!("{host}: {e}"))?;
    if url.scheme() == "http" {
        return converse(tcp, request).await;
    }
    let config = tls::https_client(&Trust::Platform).map_err(|e| e.to_string())?;
    let name = ServerName::try_from(host).map_err(|e| e.to_string())?;
    let tls = TlsConnector::from(std::sync::Arc::new(config)).connect(name, tcp).await;
    converse(tls.map_err(|e| e.to_string())?, request).await
}

async fn converse<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Bytes, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| https::deepest(&e))?;
    let driven = tokio::spawn(async move {
        // Its errors reach whoever awaits the answer.
        let _ = connection.await;
    });
    let answer = sender.send_request(request).await.map_err(|e| https::deepest(&e))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    driven.abort();
    if !status.is_success() {
        return Err(format!("it answered {status}"));
    }
    body.map(|body| body.to_bytes()).map_err(|_| "the answer is too long or was cut".to_owned())
}

async fn service(
    https: &Https,
    discovery: &Discovery,
    account: &str,
    proof: Proof,
    clock: &Clock,
) -> Result<Granted, ClientError> {
    match proof {
        Proof::Secret(secret) => {
            let secret = secret.expose_secret();
            let form = [("client_id", account), ("client_secret", secret.trim_end_matches(['\r', '\n']))];
            oauth::client_credentials(https, discovery, &form).await
        }
        Proof::KeyFile(path) => {
            let (account, audience) = (account.to_owned(), discovery.token_endpoint.clone());
            let now = clock.unix_seconds();
            let jwt = off_thread(move || sign(&path, &account, &audience, now)).await?;
            let form = [
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", jwt.expose_secret()),
            ];
            oauth::client_credentials(https, discovery, &form).await
        }
    }
}

/// An assertion (RFC 7523 §3), signed with the key of a PKCS #8 PEM file: P-256, Ed25519 or RSA.
fn sign(
    path: &std::path::Path,
    account: &str,
    audience: &str,
    now: i64,
) -> Result<SecretString, ClientError> {
    #[derive(Serialize)]
    struct Claims<'a> {
        iss: &'a str,
        sub: &'a str,
        aud: &'a str,
        iat: i64,
        exp: i64,
        jti: &'a str,
    }
    let wrong = |why: &dyn fmt::Display| {
        ClientError::usage(format!("the service account's key in {} cannot be used: {why}", path.display()))
            .remedy("give a private key in PEM (PKCS #8) that others cannot read: openssl genpkey -algorithm ed25519 -out KEY.pem")
    };
    let text = crate::secret::read_private(path, MAX_KEY).map_err(|e| wrong(&e))?;
    let text = std::str::from_utf8(&text).map_err(|e| wrong(&e))?;
    let key = Signer::read(text).ok_or_else(|| wrong(&"it holds no P-256, Ed25519 or RSA key"))?;
    let jti = id::token();
    let claims = Claims {
        iss: account,
        sub: account,
        aud: audience,
        iat: now,
        exp: now.saturating_add(ASSERTION_LIFE),
        jti: jti.expose_secret(),
    };
    let claims = serde_json::to_vec(&claims).map_err(|e| wrong(&e))?;
    let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, key.algorithm());
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(signed.as_bytes()).ok_or_else(|| wrong(&"signing failed"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}

enum Signer {
    P256(aws_lc_rs::signature::EcdsaKeyPair),
    Ed25519(aws_lc_rs::signature::Ed25519KeyPair),
    Rsa(aws_lc_rs::signature::RsaKeyPair),
}

impl Signer {
    fn read(pem: &str) -> Option<Self> {
        use aws_lc_rs::signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
        };
        use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
        let der = der.secret_pkcs8_der();
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Some(Self::P256(key));
        }
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Some(Self::Ed25519(key));
        }
        RsaKeyPair::from_pkcs8(der).ok().map(Self::Rsa)
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        match self {
            Self::P256(key) => key.sign(&random, message).ok().map(|signature| signature.as_ref().to_vec()),
            Self::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&aws_lc_rs::signature::RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests;
