//! Model servers on loopback: scripted byte for byte, or HTTP over plaintext and TLS.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::world::TestBody;
use crate::tls::{self, CertificateDer};

/// Accepted connections, in order.
pub(super) struct Scripted {
    pub(super) url: String,
    connections: mpsc::UnboundedReceiver<TcpStream>,
}

impl Scripted {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, connections) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                if sender.send(socket).is_err() {
                    return;
                }
            }
        });
        Self { url, connections }
    }

    pub(super) async fn accept(&mut self) -> Line {
        Line(super::world::soon(self.connections.recv()).await.unwrap())
    }

    /// How many connections wait to be accepted.
    pub(super) fn waiting(&self) -> usize {
        self.connections.len()
    }
}

/// Lets the runtime hear of everything that has happened on sockets: what it learns of is in order, and this comes last.
pub(super) async fn reactor_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) =
        tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (mut client, (mut server, _)) = (client.unwrap(), server.unwrap());
    client.write_all(b"x").await.unwrap();
    server.read_u8().await.unwrap();
}

/// One connection of a scripted server.
pub(super) struct Line(pub(super) TcpStream);

impl Line {
    /// The request's head, with its empty line.
    pub(super) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(super::world::soon(self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    pub(super) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        super::world::soon(self.0.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    pub(super) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Waits for the gateway to end the connection.
    pub(super) async fn ended(mut self) {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = super::world::soon(self.0.read_to_end(&mut rest)).await;
    }

    /// Ends the connection with a TCP reset.
    pub(super) fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}

/// An authority for servers' certificates.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn leaf(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Leaf { der: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

/// A certificate with its key.
pub(super) struct Leaf {
    pub(super) der: CertificateDer<'static>,
    pub(super) pem: String,
    pub(super) key: KeyPair,
}

impl Leaf {
    pub(super) fn fingerprint(&self) -> String {
        tls::fingerprint_text(&tls::fingerprint(&self.der))
    }

    pub(super) fn server(&self, alpn: &[&str]) -> ServerConfig {
        self.server_for(alpn, None)
    }

    /// `clients`: a client certificate of this authority is required.
    pub(super) fn server_for(&self, alpn: &[&str], clients: Option<&Authority>) -> ServerConfig {
        self.server_of(&[&rustls::version::TLS13, &rustls::version::TLS12], alpn, clients)
    }

    /// The same for other versions of TLS.
    pub(super) fn server_of(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        alpn: &[&str],
        clients: Option<&Authority>,
    ) -> ServerConfig {
        let builder =
            ServerConfig::builder_with_provider(tls::provider()).with_protocol_versions(versions).unwrap();
        let builder = match clients {
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    tls::provider(),
                );
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(vec![self.der.clone()], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}

/// An HTTP server on loopback; with `tls` the URL is `https://localhost:…`.
pub(super) async fn http<F, R>(tls: Option<ServerConfig>, handler: F) -> String
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<TestBody>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, handler) = (acceptor.clone(), handler.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = handler(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let server = auto::Builder::new(TokioExecutor::new());
                // A client that leaves is no failure of the server's.
                let _ = match acceptor {
                    Some(acceptor) => match acceptor.accept(socket).await {
                        Ok(stream) => {
                            server.serve_connection_with_upgrades(TokioIo::new(stream), service).await
                        }
                        Err(_) => return,
                    },
                    None => server.serve_connection_with_upgrades(TokioIo::new(socket), service).await,
                };
            });
        }
    });
    format!("{scheme}:{port}")
}

/// Answers with what it was asked: request line and headers, one a line, in alphabetical order.
pub(super) async fn mirror(request: Request<Incoming>) -> Response<TestBody> {
    let mut lines: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    let version = request.version();
    let line = format!("{} {} {version:?}", request.method(), request.uri());
    Response::new(super::world::full(format!("{line}\n{}", lines.join("\n"))))
}
