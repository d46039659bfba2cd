//! A browser of a few lines, which signs in at the gateway the way a person would: it follows redirects, keeps
//! cookies, fills in the form and ends at the laptop's loopback address.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use url::{Url, form_urlencoded};

use super::form;
use crate::{
    client::Talk,
    tls::{self, Trust},
};

/// The most pages that one sign-in may take.
const MOST_PAGES: usize = 16;
/// The longest page.
const LONGEST_PAGE: usize = 1024 * 1024;
/// For one page.
const PAGE_WITHIN: Duration = Duration::from_secs(10);

/// What login tells the person, heard by the browser instead.
pub(super) struct Person {
    visits: mpsc::UnboundedSender<Url>,
}

impl Person {
    /// The person, and the addresses that they are asked to open.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Url>) {
        let (visits, asked) = mpsc::unbounded_channel();
        (Self { visits }, asked)
    }
}

impl Talk for Person {
    fn visit(&self, url: &Url, _opened: bool) {
        // Nobody listens once the sign-in is over.
        let _ = self.visits.send(url.clone());
    }

    fn note(&self, line: &str) {
        tracing::debug!(line, "login says");
    }

    fn trust(&self, _gateway: &Url, _fingerprint: &str) -> bool {
        false
    }
}

/// Signs `user` in, beginning at `start`; ends when the laptop has its answer.
pub(super) async fn sign_in(start: Url, user: &str, trust: &Trust) -> Result<(), String> {
    let mut browser = Browser { trust: trust.clone(), cookies: Vec::new() };
    let mut next = Step::get(start);
    for _ in 0..MOST_PAGES {
        let at = next.url.clone();
        let page = timeout(PAGE_WITHIN, browser.load(next))
            .await
            .map_err(|_| format!("{at} did not answer in time"))?
            .map_err(|error| format!("{at}: {error}"))?;
        next = match page {
            Page::Redirect(to) => Step::get(at.join(&to).map_err(|error| error.to_string())?),
            Page::Html(_) if at.scheme() == "http" => return Ok(()),
            Page::Html(html) => {
                let form = form::first(&html).ok_or_else(|| format!("{at} shows no form to sign in with"))?;
                let fields = form.filled_in_by(user);
                Step { url: at.join(&form.action).map_err(|error| error.to_string())?, post: Some(fields) }
            }
        };
    }
    Err("the sign-in went in circles".to_owned())
}

struct Step {
    url: Url,
    post: Option<Vec<(String, String)>>,
}

impl Step {
    fn get(url: Url) -> Self {
        Self { url, post: None }
    }
}

enum Page {
    Redirect(String),
    Html(String),
}

struct Browser {
    trust: Trust,
    cookies: Vec<(String, String)>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Browser {
    async fn load(&mut self, step: Step) -> Result<Page, Failure> {
        let host = step.url.host_str().ok_or("no host")?.to_owned();
        let port = step.url.port_or_known_default().ok_or("no port")?;
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        let request = self.request(&step, &host, port)?;
        let (head, body) = if step.url.scheme() == "https" {
            let mut config = tls::https_client(&self.trust)?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            ask(connector.connect(ServerName::try_from(host)?, tcp).await?, request).await?
        } else {
            ask(tcp, request).await?
        };
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str()?);
        }
        if head.status.is_redirection() {
            let to = head.headers.get(header::LOCATION).ok_or("a redirect to nowhere")?;
            return Ok(Page::Redirect(to.to_str()?.to_owned()));
        }
        if head.status != StatusCode::OK {
            return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)).into());
        }
        Ok(Page::Html(String::from_utf8_lossy(&body).into_owned()))
    }

    fn request(&self, step: &Step, host: &str, port: u16) -> Result<Request<Full<Bytes>>, http::Error> {
        let path = step
            .url
            .query()
            .map_or_else(|| step.url.path().to_owned(), |query| format!("{}?{query}", step.url.path()));
        let mut request = Request::builder().uri(path).header(header::HOST, format!("{host}:{port}"));
        request =
            request.header(header::ACCEPT, "text/html").header(header::USER_AGENT, "hoopctl-demo-browser");
        if step.url.scheme() == "https" && !self.cookies.is_empty() {
            let cookies: Vec<_> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let Some(fields) = &step.post else {
            return request.method(Method::GET).body(Full::default());
        };
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        request
            .method(Method::POST)
            .header(header::ORIGIN, step.url.origin().ascii_serialization())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(body))
    }

    fn keep(&mut self, cookie: &str) {
        let pair = cookie.split(';').next().unwrap_or_default();
        if let Some((name, value)) = pair.split_once('=') {
            self.cookies.retain(|(known, _)| known != name.trim());
            self.cookies.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

async fn ask<S>(io: S, request: Request<Full<Bytes>>) -> Result<(http::response::Parts, Bytes), Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    let answered = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, LONGEST_PAGE).collect().await?.to_bytes();
        Ok::<_, Failure>((head, body))
    };
    let mut connection = std::pin::pin!(connection);
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        answer = answered.as_mut() => answer,
        ended = connection.as_mut() => {
            ended?;
            answered.await
        }
    }
}
