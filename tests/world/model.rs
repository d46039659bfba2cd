//! A model's server behind TLS, with a path for each behaviour a test needs.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{Request, Response, body::Frame, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc};
use tokio_rustls::TlsAcceptor;

type Body = BoxBody<Bytes, std::io::Error>;

/// Behaviours by path:
/// `/echo` the body back · `/headers` what arrived, as JSON · `/sse` one event for each call of [`Model::say`], broken UTF-8 in it ·
/// `/bytes/N` N bytes · `/sink` counts the body · `/cut` a chunked answer that breaks off · `/short` a declared length that is not kept.
pub struct Model {
    pub address: SocketAddr,
    ca: String,
    pub seen: Arc<Seen>,
    _runtime: Runtime,
}

#[derive(Default)]
pub struct Seen {
    pub requests: AtomicUsize,
    pub bytes: AtomicU64,
    /// Streams of `/sse` whose reader has gone.
    pub left: AtomicUsize,
    open: std::sync::Mutex<Vec<mpsc::UnboundedSender<Bytes>>>,
}

impl Model {
    pub fn start() -> Self {
        Self::named(&["localhost", "127.0.0.1"])
    }

    /// A model whose certificate is for these names.
    pub fn named(names: &[&str]) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), names)
    }

    pub fn on(address: SocketAddr, names: &[&str]) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(hoopctl::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];

        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&seen)));
        Self { address, ca: authority.pem(), seen, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub fn ca_file(&self, dir: &Path) -> PathBuf {
        let path = dir.join(format!("model-{}.pem", self.address.port()));
        std::fs::write(&path, &self.ca).unwrap();
        path
    }

    /// Writes to every open `/sse` answer; how many there are.
    pub fn say(&self, text: &[u8]) -> usize {
        let mut open = self.seen.open.lock().unwrap();
        open.retain(|sink| sink.send(Bytes::copy_from_slice(text)).is_ok());
        open.len()
    }

    /// Ends every open `/sse` answer.
    pub fn hush(&self) {
        self.seen.open.lock().unwrap().clear();
    }

    pub fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Result<Response<Body>, Infallible> {
    seen.requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    let response = match path.as_str() {
        "/echo" => Response::new(request.into_body().map_err(std::io::Error::other).boxed()),
        "/headers" => {
            let headers: Vec<(String, String)> = request
                .headers()
                .iter()
                .map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
                .collect();
            let told = serde_json::json!({"method": request.method().as_str(), "uri": request.uri().to_string(), "headers": headers});
            Response::builder()
                .header("content-type", "application/json")
                .body(full(told.to_string()))
                .unwrap()
        }
        "/sse" => sse(&seen),
        "/v1/chat/completions" => Response::builder()
            .header("content-type", "application/json")
            .body(full(
                r#"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":6,"total_tokens":10}}"#,
            ))
            .unwrap(),
        "/sink" => {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                seen.bytes.fetch_add(frame.data_ref().map_or(0, Bytes::len) as u64, Ordering::SeqCst);
            }
            Response::new(full(seen.bytes.load(Ordering::SeqCst).to_string()))
        }
        "/cut" => Response::new(broken()),
        "/short" => Response::builder().header("content-length", "1000").body(broken()).unwrap(),
        _ => match path.strip_prefix("/bytes/").and_then(|n| n.parse().ok()) {
            Some(count) => Response::new(many(count)),
            None => Response::builder().status(404).body(full("no such path")).unwrap(),
        },
    };
    Ok(response)
}

fn sse(seen: &Arc<Seen>) -> Response<Body> {
    struct Left(Arc<Seen>);
    impl Drop for Left {
        fn drop(&mut self) {
            self.0.left.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (sink, mut source) = mpsc::unbounded_channel();
    seen.open.lock().unwrap().push(sink);
    let left = Left(Arc::clone(seen));
    let stream = futures_util::stream::poll_fn(move |context| {
        let _ = &left;
        source.poll_recv(context).map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
    });
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(BodyExt::boxed(StreamBody::new(stream)))
        .unwrap()
}

/// Four bytes, which the server writes out because nothing follows at once, and then the break.
fn broken() -> Body {
    let mut step = 0;
    let stream = futures_util::stream::poll_fn(move |context| {
        step += 1;
        match step {
            1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"some"))))),
            2 => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(Some(Err(std::io::Error::other("cut")))),
        }
    });
    BodyExt::boxed(StreamBody::new(stream))
}

fn many(count: u64) -> Body {
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut left = count;
    let stream = futures_util::stream::poll_fn(move |_| {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        left -= size as u64;
        Poll::Ready((size > 0).then(|| Ok(Frame::data(piece.slice(..size)))))
    });
    BodyExt::boxed(StreamBody::new(stream))
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}
