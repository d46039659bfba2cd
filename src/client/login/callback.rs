//! The loopback port that the browser comes back to (RFC 8252 §7.3).

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{
    answer::{Code, Expected, PATH},
    page::Page,
};
use crate::client::ClientError;

/// Browsers open a few connections ahead; more than this wait.
const MAX_CONNECTIONS: usize = 16;
/// The head of one request must be here by then.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// One connection, from accept to the page: as long as a token exchange may take.
const CONNECTION_TIME: Duration = Duration::from_secs(120);
/// How long the last page may take to reach the browser.
const LAST_PAGE: Duration = Duration::from_secs(2);

/// A bound callback port.
pub(super) struct Callback {
    listener: TcpListener,
    address: SocketAddr,
}

/// What the browser brought back, with the right state.
pub(super) struct Returned {
    /// The authorization code, or why there is none.
    pub(super) code: Code,
    /// The page to show goes here.
    pub(super) page: oneshot::Sender<Page>,
}

impl Callback {
    /// Binds the port, so that nobody else can have it when the browser comes.
    pub(super) async fn bind(port: Option<u16>) -> Result<Self, ClientError> {
        let wanted = port.unwrap_or(0);
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await;
        let listener = bound.map_err(|e| match (e.kind(), port) {
            (io::ErrorKind::AddrInUse, Some(port)) => {
                ClientError::usage(format!("the callback port {port} is in use"))
                    .remedy("choose another --callback-port, or none to take any free one")
            }
            _ => ClientError::failed("callback_port", format!("no loopback port could be opened: {e}")),
        })?;
        let address = listener
            .local_addr()
            .map_err(|e| ClientError::failed("callback_port", format!("no loopback port: {e}")))?;
        Ok(Self { listener, address })
    }

    /// The port's number.
    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where the browser is to be sent back to.
    pub(super) fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves until dropped; what comes back with the right state is handed on, everything else is turned away.
    pub(super) fn serve(self, expected: Expected) -> Serving {
        let (found, returned) = mpsc::channel(1);
        let desk = Arc::new(Desk { expected, host: self.address.port(), found });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(self.listener, desk));
        Serving { returned, tasks }
    }
}

/// A callback port in service.
pub(super) struct Serving {
    returned: mpsc::Receiver<Returned>,
    tasks: JoinSet<()>,
}

impl Serving {
    /// What the browser brings back.
    pub(super) async fn next(&mut self) -> Option<Returned> {
        self.returned.recv().await
    }

    /// Closes the port after the page that was just handed out has reached the browser.
    pub(super) async fn close(mut self) {
        self.returned.close();
        let _ = timeout(LAST_PAGE, self.tasks.join_next()).await;
    }
}

/// Accepts until the login no longer listens, then lets the open connections finish.
async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = desk.found.closed() => break,
            accepted = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (listener.accept().await, permit)
            } => accepted,
        };
        if let (Ok((socket, _)), Ok(permit)) = accepted {
            let desk = Arc::clone(&desk);
            connections.spawn(async move {
                // A browser that is slow or leaves is its own affair.
                let _ = timeout(CONNECTION_TIME, converse(socket, desk)).await;
                drop(permit);
            });
        } else {
            // Out of descriptors: others are closing some.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse(socket: TcpStream, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, std::convert::Infallible>(desk.answer(&request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the callback port ended");
    }
}

struct Desk {
    expected: Expected,
    host: u16,
    found: mpsc::Sender<Returned>,
}

impl Desk {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        match self.judge(request.method(), request.headers(), request.uri()) {
            Ok(code) => self.hand_over(code).await,
            Err(page) => page,
        }
        .render()
    }

    async fn hand_over(&self, code: Code) -> Page {
        let late = || Page::stray(StatusCode::GONE, "This login is over. Start again with `hoopctl login`.");
        let (page, shown) = oneshot::channel();
        if self.found.send(Returned { code, page }).await.is_err() {
            return late();
        }
        shown.await.unwrap_or_else(|_| late())
    }

    /// The code, or the provider's no; or the page for a request that has nothing to do with this login.
    fn judge(&self, method: &Method, headers: &http::HeaderMap, uri: &http::Uri) -> Result<Code, Page> {
        if uri.path() != PATH {
            return Err(Page::stray(StatusCode::NOT_FOUND, "hoopctl waits here for a login to come back."));
        }
        if method != Method::GET {
            return Err(Page::stray(
                StatusCode::METHOD_NOT_ALLOWED,
                "Only a browser's redirect belongs here.",
            ));
        }
        // A foreign name that resolves to this machine is somebody else's page.
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        if !host.is_some_and(|h| {
            h == format!("127.0.0.1:{}", self.host) || h == format!("localhost:{}", self.host)
        }) {
            return Err(Page::stray(StatusCode::FORBIDDEN, "This address belongs to another page."));
        }
        self.expected
            .judge(uri.query().unwrap_or_default())
            .map_err(|why| Page::stray(StatusCode::BAD_REQUEST, why))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{client::Kind, secret::ExposeSecret};

    async fn serving() -> (SocketAddr, Serving) {
        let callback = Callback::bind(None).await.unwrap();
        let address = callback.address;
        let expected = Expected { state: "the-state".into(), issuer: "https://gateway.example.test".into() };
        (address, callback.serve(expected))
    }

    async fn ask(address: SocketAddr, head: String) -> String {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        ask(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await
    }

    #[tokio::test]
    async fn stray_requests_are_turned_away_and_the_login_goes_on() {
        let (address, mut serving) = serving().await;
        for (path, status) in [
            ("/favicon.ico", "404"),
            ("/", "404"),
            ("/callback", "400"),
            ("/callback?code=stolen&state=guessed", "400"),
            ("/callback?code=stolen", "400"),
            ("/callback?code=a&code=b&state=the-state", "400"),
        ] {
            let answer = get(address, path).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        }
        let post = format!(
            "POST /callback?code=a&state=the-state HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n"
        );
        assert!(ask(address, post).await.starts_with("HTTP/1.1 405"));
        let foreign =
            "GET /callback?code=a&state=the-state HTTP/1.1\r\nHost: evil.example.test\r\n\r\n".to_owned();
        assert!(ask(address, foreign).await.starts_with("HTTP/1.1 403"));
        assert!(ask(address, "nonsense\r\n\r\n".to_owned()).await.starts_with("HTTP/1.1 400"));
        assert!(serving.returned.try_recv().is_err(), "none of these was taken for the login");

        let browser =
            tokio::spawn(async move { get(address, "/callback?code=the-code&state=the-state").await });
        let returned = serving.next().await.unwrap();
        assert_eq!(returned.code.unwrap().expose_secret(), "the-code");
        returned.page.send(Page::done("alice")).unwrap();
        serving.close().await;
        assert!(browser.await.unwrap().contains("You are logged in"));
        assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
    }

    #[tokio::test]
    async fn another_issuers_answer_and_a_no_end_the_login() {
        for (query, kind) in [
            ("iss=https%3A%2F%2Fevil.example.test&code=c", Kind::Trust),
            ("error=access_denied&error_description=%3Cb%3E", Kind::LoginNeeded),
            ("iss=https%3A%2F%2Fgateway.example.test", Kind::Failed),
        ] {
            let (address, mut serving) = serving().await;
            let path = format!("/callback?{query}&state=the-state");
            let browser = tokio::spawn(async move { get(address, &path).await });
            let returned = serving.next().await.unwrap();
            let error = returned.code.unwrap_err();
            assert_eq!(error.kind, kind, "{query}");
            returned.page.send(Page::failed(&error)).unwrap();
            serving.close().await;
            assert!(!browser.await.unwrap().contains("<b>"));
        }
    }

    #[tokio::test]
    async fn a_taken_port_says_what_to_do() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = Callback::bind(Some(other.local_addr().unwrap().port())).await.err().unwrap();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.remedy.unwrap().contains("--callback-port"));
    }
}
