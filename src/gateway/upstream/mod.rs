//! The gateway's leg to a model: pool, TLS profile, backend credentials (they join here and nowhere else).

mod answered;
mod connect;
mod credential;
mod network;
mod outgoing;
mod pool;
mod socket;
mod target;
mod verify;

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{Request, Version};
use hyper::upgrade::OnUpgrade;

pub use answered::{Answered, Body};
pub use credential::Credential;
pub use network::Network;
pub(crate) use outgoing::{Fault, Meter, Outgoing, Watch};

use self::{
    connect::{Connector, Protocol},
    credential::Joined,
    pool::{Line, Pool},
    target::Target,
};
use super::policy::Permit;
use crate::{clock::Clock, tls::TrustError};

/// What `gateway.toml` says about one model's server.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://…`, or `http://…` with `tls = relaxed`. Its path is put before every request's.
    pub url: url::Url,
    /// `tls = "relaxed"`: plaintext or unverified TLS is allowed, inside `relaxed_networks`.
    pub relaxed: bool,
    /// CIDRs in which relaxed upstreams may lie; default loopback.
    pub relaxed_networks: Vec<String>,
    /// The only roots the server is believed by; `None`: the operating system's.
    pub ca: Option<PathBuf>,
    /// `sha256:…` of the server's leaf or one of its chain, checked in addition to everything else.
    pub pins: Vec<String>,
    /// Certificate chain and key, PEM files, shown to the server.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The name the server's certificate must have, when it is not the URL's host.
    pub server_name: Option<String>,
    /// Joined to every request.
    pub credential: Option<Credential>,
    /// Longest silence of the upstream before the exchange is cut. Default 10 min.
    pub idle: Duration,
}

impl Config {
    /// Whether the leg is TLS at all; `relaxed` may leave it unverified.
    pub fn encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// Why a model's server cannot be set up as `gateway.toml` says.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A setting is wrong.
    #[error("{0}")]
    Setting(String),
    /// Roots, pins or the client certificate are unusable.
    #[error("{0}")]
    Trust(#[from] TrustError),
    /// The client certificate and its key are unusable.
    #[error("the client certificate for the model's server is unusable: {0}")]
    Identity(#[from] crate::tls::IdentityError),
    /// The credential cannot be read.
    #[error("{0}")]
    Secret(#[from] crate::secret::SourceError),
}

/// Why an exchange got no answer. Causes are for the gateway's log, never for the caller.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: DNS, refused, timed out.
    #[error("the model's server cannot be reached: {cause}")]
    Unreachable {
        /// For the log.
        cause: String,
    },
    /// TLS failed or the certificate is not believed.
    #[error("the model's server is not trusted: {cause}")]
    Untrusted {
        /// For the caller: the kind of failure, without names and addresses.
        reason: String,
        /// For the log.
        cause: String,
    },
    /// Plaintext to an address outside `relaxed_networks`.
    #[error("plaintext to {address} is refused: it lies outside relaxed_networks")]
    OutsideRelaxed {
        /// Where the name led.
        address: IpAddr,
    },
    /// The server was silent for too long.
    #[error("the model's server was silent for {} s", after.as_secs())]
    Timeout {
        /// How long.
        after: Duration,
    },
    /// The connection ended after the request went out and before an answer came.
    #[error("the model's server ended the connection before it answered: {cause}")]
    Broke {
        /// For the log.
        cause: String,
    },
    /// There is no credential that the model would take, and none can be had. Says nothing about the model's server.
    #[error("there is no usable credential for the model: {cause}")]
    Credential {
        /// For the log.
        cause: String,
    },
    /// The permit is for another model.
    #[error("the permit is for another model")]
    NotPermitted,
    /// The caller's request body ended early.
    #[error("the caller's request body ended before it was complete")]
    RequestCut,
    /// While it streamed, the caller's request body showed that servers could read another model's name in it.
    #[error("servers could take another model from the request body")]
    RequestAmbiguous,
    /// The caller's request body passed the model's limit while it streamed.
    #[error("the request body is longer than {limit} bytes")]
    RequestTooLong {
        /// The limit, bytes.
        limit: u64,
    },
}

/// How the body of an answer failed after its head had come.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The server cut its answer short.
    #[error("the model's server cut its answer: {0}")]
    Cut(#[source] hyper::Error),
    /// The server ended its answer before the length it had announced.
    #[error("the model's server ended its answer {missing} bytes early")]
    Short {
        /// Bytes that never came.
        missing: u64,
    },
}

/// One model's server.
pub struct Upstream {
    model: String,
    target: Target,
    credential: Option<Joined>,
    connector: Connector,
    pool: Arc<Pool>,
    idle: Duration,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upstream({})", self.model)
    }
}

impl Upstream {
    /// Prepares the leg; dials nothing. Reads the CA, the client certificate and the credential.
    ///
    /// # Errors
    /// When a setting is unusable: among them a plaintext URL for a model whose TLS is `required`.
    pub fn new(model: &str, config: &Config, clock: &Clock) -> Result<Self, SetupError> {
        Ok(Self {
            model: model.to_owned(),
            target: Target::new(&config.url)?,
            credential: config.credential.as_ref().map(|c| Joined::new(model, c, clock)).transpose()?,
            connector: Connector::new(config)?,
            pool: Arc::new(Pool::default()),
            idle: config.idle,
        })
    }

    /// Whether the leg is TLS at all (a relaxed one may still be unverified: evidence says so per exchange).
    pub fn encrypted(&self) -> bool {
        self.connector.encrypted()
    }

    /// Longest silence of the server before an exchange is cut.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// Sends one request and returns when the head of its answer is there. The future drives the connection: dropping it, or
    /// the answer's body, ends the request at the server at once.
    ///
    /// A request is sent again only when the connection it was given to had died before any of its bytes were written.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub(crate) async fn send(
        &self,
        permit: &Permit,
        request: Request<Outgoing>,
    ) -> Result<Answered, UpstreamError> {
        if permit.model() != self.model {
            return Err(UpstreamError::NotPermitted);
        }
        let mut request = request;
        let protocol = self.protocol(request.version(), request.headers());
        let meter = Arc::clone(request.body().meter());
        let path = self.target.path(request.uri());
        loop {
            let line = self.pool.line(&self.connector, protocol).await?;
            let fresh = line.fresh();
            self.target.address(&mut request, path.clone(), line.is_h2());
            self.join_credential(&mut request).await?;
            match within(self.idle, &meter, line.exchange(request, &self.pool, Arc::clone(&meter))).await {
                Ok(answered) if answered.head.status.is_informational() => {
                    // A switch that nobody asked for: what follows on that connection belongs to no exchange.
                    return Err(UpstreamError::Broke {
                        cause: format!("it answered {} unasked", answered.head.status),
                    });
                }
                Ok(answered) => {
                    if let Some(credential) = &self.credential {
                        credential.answered(answered.head.status);
                    }
                    return Ok(answered);
                }
                Err(Unsent::Never(unsent)) if !fresh => request = *unsent,
                Err(Unsent::Never(_)) => {
                    return Err(UpstreamError::Unreachable {
                        cause: "the connection ended as it began".to_owned(),
                    });
                }
                Err(Unsent::Failed(error)) => return Err(error),
            }
        }
    }

    /// Sends a request that asks to leave HTTP (`Connection: upgrade`), on an HTTP/1.1 connection of its own. With status 101 comes
    /// the promise of the server's side of what follows.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub(crate) async fn upgrade(
        &self,
        permit: &Permit,
        mut request: Request<Outgoing>,
    ) -> Result<(Answered, Option<OnUpgrade>), UpstreamError> {
        if permit.model() != self.model {
            return Err(UpstreamError::NotPermitted);
        }
        let path = self.target.path(request.uri());
        self.target.address(&mut request, path, false);
        self.join_credential(&mut request).await?;
        let meter = Arc::clone(request.body().meter());
        let asked = async {
            let dialled = self.connector.dial(Protocol::Http1).await.map_err(Unsent::Failed)?;
            pool::ask_to_leave(dialled, request).await.map_err(Unsent::Failed)
        };
        within(self.idle, &meter, asked).await.map_err(|unsent| match unsent {
            Unsent::Failed(error) => error,
            Unsent::Never(_) => {
                UpstreamError::Unreachable { cause: "the connection ended as it began".to_owned() }
            }
        })
    }

    /// The protocol the request should travel in: HTTP/1.1 for callers who speak it, which has no shared flow control and
    /// no stream limits; HTTP/2 for those who speak it, and always for gRPC, which needs its trailers.
    fn protocol(&self, version: Version, headers: &http::HeaderMap) -> Protocol {
        let grpc = headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes().get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
        });
        match (version == Version::HTTP_2, grpc) {
            (true, true) => Protocol::Http2,
            (true, false) => Protocol::Either,
            (false, _) => Protocol::Http1,
        }
    }

    /// For every attempt anew, on the complete request: signatures cover where it goes.
    async fn join_credential(&self, request: &mut Request<Outgoing>) -> Result<(), UpstreamError> {
        match &self.credential {
            Some(credential) => credential.join(request).await,
            None => Ok(()),
        }
    }
}

/// What became of a request that got no answer.
pub(crate) enum Unsent {
    /// None of its bytes were written: here it is back.
    Never(Box<Request<Outgoing>>),
    /// Some may have been.
    Failed(UpstreamError),
}

/// Waits for an answer's head for as long as the server is not silent for `idle`; request bytes going out count as life.
async fn within<T>(
    idle: Duration,
    meter: &Meter,
    answer: impl Future<Output = Result<T, Unsent>>,
) -> Result<T, Unsent> {
    let mut answer = std::pin::pin!(answer);
    let mut seen = meter.bytes();
    loop {
        if let Ok(done) = tokio::time::timeout(idle, answer.as_mut()).await {
            return done;
        }
        let now = meter.bytes();
        if now == seen {
            return Err(Unsent::Failed(UpstreamError::Timeout { after: idle }));
        }
        seen = now;
    }
}

impl Line {
    /// One request and the head of its answer on this connection.
    async fn exchange(
        self,
        request: Request<Outgoing>,
        pool: &Arc<Pool>,
        meter: Arc<Meter>,
    ) -> Result<Answered, Unsent> {
        match self {
            Self::Http1(connection) => connection.exchange(request, pool, meter).await,
            Self::Http2(shared) => shared.exchange(request, &meter).await,
        }
    }
}
