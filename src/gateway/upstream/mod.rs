//! The gateway's leg to a model: pool, TLS profile, backend credentials (they join here and nowhere else).

mod answered;
mod connect;
mod credential;
mod dial;
mod handshake;
mod health;
mod http1;
mod http2;
mod network;
mod outgoing;
mod pool;
mod server;
mod socket;
mod target;
mod unsent;
mod verify;

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{Request, Version};
use hyper::upgrade::OnUpgrade;

pub use answered::{Answered, Body};
pub use credential::{Aws, AwsKeys, AwsPayload, Azure, AzureIdentity, Credential, Gcp, GcpIdentity, Oauth2};
pub use health::{Circuit, HealthConfig};
pub use network::{Network, UNIX};
pub(crate) use outgoing::{Fault, Meter, Outgoing, Rewrite, Source, Watch, broken};
pub use pool::PoolConfig;

use self::{
    connect::Protocol,
    credential::Joined,
    server::{Errand, Server, Way},
    unsent::Unsent,
};
use super::{framing::Malformed, policy::Permit};
use crate::{clock::Clock, tls::TrustError};

/// From the first question for an address to the end of the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The same while another server is well and could be asked instead.
const HURRIED_TIMEOUT: Duration = Duration::from_secs(3);

/// What `gateway.toml` says about one model's server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it is, the preferred server first, the others for when it fails: `https://…`; with `tls = relaxed` also `http://…` and
    /// `unix:/PATH`. The path of an http(s) URL is put before every request's.
    pub urls: Vec<url::Url>,
    /// `tls = "relaxed"`: plaintext or unverified TLS is allowed, inside `relaxed_networks`.
    pub relaxed: bool,
    /// CIDRs in which relaxed upstreams may lie, and [`UNIX`] for this machine's sockets; empty: unix sockets and loopback.
    pub relaxed_networks: Vec<String>,
    /// The only roots the server is believed by; `None`: the operating system's.
    pub ca: Option<PathBuf>,
    /// `sha256:…` of the server's leaf, or of a sent authority that the leaf is verified by, checked in addition to everything else.
    pub pins: Vec<String>,
    /// Certificate chain and key, PEM files, shown to the server.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The name the server's certificate must have, when it is not the URL's host.
    pub server_name: Option<String>,
    /// Joined to every request.
    pub credential: Option<Credential>,
    /// Longest silence of the upstream before the exchange is cut. Default 10 min.
    pub idle: Duration,
    /// Connections kept for the next request.
    pub pool: PoolConfig,
    /// When a server that fails is left alone.
    pub health: HealthConfig,
}

impl Config {
    /// Whether the leg is TLS at all, to every server; `relaxed` may leave it unverified.
    pub fn encrypted(&self) -> bool {
        self.urls.iter().all(|url| url.scheme() == "https")
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
    #[error("plaintext to {place} is refused: it lies outside relaxed_networks")]
    OutsideRelaxed {
        /// The address where the name led, or the socket.
        place: String,
    },
    /// Every server has failed so often that it is left alone for a while.
    #[error("the model's servers have failed too often: the next exchange may try in {} ms", wait.as_millis())]
    Resting {
        /// Until one may be tried.
        wait: Duration,
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
    /// The server's answer is framed in a way that could be read in two ways.
    #[error("the model's server sent a malformed answer: {0}")]
    AnswerMalformed(Malformed),
    /// There is no credential that the model would take, and none can be had. Says nothing about the model's server.
    #[error("there is no usable credential for the model: {cause}")]
    Credential {
        /// For the log.
        cause: String,
    },
    /// The request body is too long to be read ahead for its signature.
    #[error("the request body is longer than the {limit} bytes that can be signed as a whole")]
    Unsignable {
        /// The limit, bytes.
        limit: u64,
    },
    /// The request asks to leave HTTP/1.1, and the server speaks HTTP/2 alone. Says nothing about its health.
    #[error("the model's server speaks HTTP/2 alone, which no request can ask to leave")]
    NoUpgrade,
    /// The gateway holds as many bytes of bodies to be signed as it may.
    #[error("too many request bodies are read ahead for their signatures")]
    Crowded,
    /// A path that is signed holds a segment `.` or `..`, which would be read in two ways.
    #[error("the path holds `.` or `..` as a segment")]
    DotSegment,
    /// The permit is for another model.
    #[error("the permit is for another model")]
    NotPermitted,
    /// The caller's request body ended early.
    #[error("the caller's request body ended before it was complete")]
    RequestCut,
    /// The caller's request body is framed in a way that could be read in two ways.
    #[error("the caller's request body is malformed: {0}")]
    RequestMalformed(Malformed),
    /// While it streamed, the caller's request body showed that servers could read another model's name in it.
    #[error("servers could take another model from the request body")]
    RequestAmbiguous,
    /// The caller's request body cannot be read, and must not pass unread.
    #[error("the request body cannot be masked")]
    RequestUnreadable,
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

/// One model's servers.
pub struct Upstream {
    model: String,
    /// In the order they are asked.
    servers: Vec<Server>,
    credential: Option<Joined>,
    relaxed: bool,
    idle: Duration,
}

/// How one server of a model stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The model.
    pub model: String,
    /// As in `gateway.toml`.
    pub server: String,
    /// Whether the model's TLS is relaxed.
    pub relaxed: bool,
    /// Connections open, and those of them that nobody uses.
    pub connections: (usize, usize),
    /// Exchanges the server failed since the models were read.
    pub failures: u64,
    /// Whether exchanges go there.
    pub circuit: Circuit,
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
        if config.urls.is_empty() {
            return Err(SetupError::Setting(format!("the model `{model}` has no upstream URL")));
        }
        Ok(Self {
            model: model.to_owned(),
            servers: config
                .urls
                .iter()
                .map(|url| Server::new(url, config, clock))
                .collect::<Result<_, _>>()?,
            credential: config.credential.as_ref().map(|c| Joined::new(model, c, clock)).transpose()?,
            relaxed: config.relaxed,
            idle: config.idle,
        })
    }

    /// Has the credential ready before the first exchange, and renewed; after a reload, goes on with what `before` has had already.
    pub fn ready(&self, before: Option<&Self>) {
        let Some(credential) = &self.credential else { return };
        if let Some(before) = before.and_then(|before| before.credential.as_ref()) {
            credential.inherit(before);
        }
        credential.keep();
    }

    /// Whether the leg is TLS at all, to every server (a relaxed one may still be unverified: evidence says so per exchange).
    pub fn encrypted(&self) -> bool {
        self.servers.iter().all(|server| server.connector.encrypted())
    }

    /// Longest silence of the server before an exchange is cut.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// How each server stands now, for the operator.
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |server: &Server| Standing {
            model: self.model.clone(),
            server: server.url.clone(),
            relaxed: self.relaxed,
            connections: (server.connector.open(), server.pool.unused()),
            failures: server.health.failed(),
            circuit: server.health.circuit(),
        };
        self.servers.iter().map(standing).collect()
    }

    /// Sends one request and returns when the head of its answer is there. The future drives the connection: dropping it, or
    /// the answer's body, ends the request at the server at once.
    ///
    /// A request is sent again, to the same server or to the next, only when none of them can have acted on any of it.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub(crate) async fn send(
        &self,
        permit: &Permit,
        request: Request<Outgoing>,
    ) -> Result<Answered, UpstreamError> {
        let protocol = self.protocol(request.version(), request.headers());
        self.pass(permit, request, Way::Http(protocol)).await.map(|(answered, _)| answered)
    }

    /// Sends a request that asks to leave HTTP (`Connection: upgrade`), on an HTTP/1.1 connection of its own. With status 101 comes
    /// the promise of the server's side of what follows.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub(crate) async fn upgrade(
        &self,
        permit: &Permit,
        request: Request<Outgoing>,
    ) -> Result<(Answered, Option<OnUpgrade>), UpstreamError> {
        self.pass(permit, request, Way::Leaving).await
    }

    /// Asks the servers in their order, those whose circuit is open left out, until one has taken the request.
    async fn pass(
        &self,
        permit: &Permit,
        mut request: Request<Outgoing>,
        way: Way,
    ) -> Result<(Answered, Option<OnUpgrade>), UpstreamError> {
        if permit.model() != self.model {
            return Err(UpstreamError::NotPermitted);
        }
        if let Some(credential) = &self.credential {
            credential.gather(&mut request).await?;
        }
        let errand = Errand {
            way,
            uri: request.uri().clone(),
            credential: self.credential.as_ref(),
            idle: self.idle,
            meter: Arc::clone(request.body().meter()),
        };
        let mut failure = None;
        let mut others = self.servers.iter();
        while let Some(server) = others.next() {
            let Some(mut trial) = server.health.admit() else { continue };
            let another = others.as_slice().iter().any(|other| other.health.circuit() == Circuit::Closed);
            let patience = if another { HURRIED_TIMEOUT } else { CONNECT_TIMEOUT };
            match server.pass(&errand, request, patience, &mut trial).await {
                Ok(answered) => {
                    trial.well();
                    return Ok(answered);
                }
                Err(Unsent::Never(back, error)) => {
                    trial.failed();
                    tracing::warn!(model = self.model, server = server.url, %error, "a model's server took no request");
                    request = *back;
                    failure = Some(error);
                }
                Err(Unsent::Failed(error)) => {
                    if error.is_of_the_server() {
                        trial.failed();
                    }
                    return Err(error);
                }
            }
        }
        Err(failure.unwrap_or_else(|| self.resting()))
    }

    fn resting(&self) -> UpstreamError {
        let wait = self.servers.iter().map(|server| server.health.wait()).min();
        UpstreamError::Resting { wait: wait.unwrap_or_default() }
    }

    /// The protocol the request should travel in: HTTP/1.1 for callers who speak it, which has no shared flow control and
    /// no stream limits; HTTP/2 for those who speak it, and always for gRPC, which needs its trailers.
    fn protocol(&self, version: Version, headers: &http::HeaderMap) -> Protocol {
        let grpc = headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes().get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
        });
        let personal = http1::personal(headers, http::header::AUTHORIZATION);
        match (version == Version::HTTP_2, grpc) {
            (true, true) => Protocol::Http2,
            // What proves itself to a connection gets one of its own, which only HTTP/1.1 has.
            (true, false) if !personal => Protocol::Either,
            (true | false, _) => Protocol::Http1,
        }
    }
}

impl UpstreamError {
    /// Whether it tells something of the server's health.
    fn is_of_the_server(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Untrusted { .. }
                | Self::OutsideRelaxed { .. }
                | Self::Timeout { .. }
                | Self::Broke { .. }
        )
    }
}
