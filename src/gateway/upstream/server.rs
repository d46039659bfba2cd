//! One of a model's servers: where it is, the connections to it, and whether it is well.

use std::{sync::Arc, time::Duration};

use http::{Request, Uri};
use hyper::upgrade::OnUpgrade;

use super::{
    Answered, Config, Meter, Outgoing, SetupError, UpstreamError,
    connect::{Connector, Protocol},
    credential::Joined,
    health::{Health, Trial},
    http1::ask_to_leave,
    pool::{Line, Pool},
    target::Target,
    unsent::Unsent,
};
use crate::clock::Clock;

/// Sendings to one server, when each before was given back unsent: a kept connection that died, a stream that was refused.
const MAX_SENDINGS: u32 = 3;

/// How a request travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As HTTP, on a connection of the pool.
    Http(Protocol),
    /// It asks to leave HTTP, on a connection of its own.
    Leaving,
}

/// What is the same of a request wherever it is sent.
pub(super) struct Errand<'a> {
    pub(super) way: Way,
    /// As the caller wrote it.
    pub(super) uri: Uri,
    pub(super) credential: Option<&'a Joined>,
    /// Longest silence of the server.
    pub(super) idle: Duration,
    pub(super) meter: Arc<Meter>,
}

/// One of a model's servers.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) connector: Connector,
    pub(super) health: Arc<Health>,
    pub(super) pool: Arc<Pool>,
    target: Target,
}

impl Server {
    pub(super) fn new(url: &url::Url, config: &Config, clock: &Clock) -> Result<Self, SetupError> {
        Ok(Self {
            url: url.to_string(),
            connector: Connector::new(url, config)?,
            health: Health::new(config.health, clock.clone()),
            pool: Pool::new(config.pool),
            target: Target::new(url)?,
        })
    }

    /// Sends the request and waits for the head of its answer. A connection is made within `patience`.
    ///
    /// It is sent again only when no server can have acted on any of it: its connection had died before a byte was written, or the
    /// server itself said over HTTP/2 that it did nothing.
    pub(super) async fn pass(
        &self,
        errand: &Errand<'_>,
        mut request: Request<Outgoing>,
        patience: Duration,
        trial: &mut Trial,
    ) -> Result<(Answered, Option<OnUpgrade>), Unsent> {
        let mut sendings = 0;
        loop {
            let line = match self.line(errand.way, sendings > 0, patience).await {
                Ok(line) => line,
                Err(error) => return Err(Unsent::Never(request.into(), error)),
            };
            trial.reached();
            sendings += 1;
            // A new HTTP/1.1 connection that ends before its first request will not do better the next time.
            let last = sendings >= MAX_SENDINGS || (line.fresh() && !line.is_h2());
            self.target.address(&mut request, self.target.path(&errand.uri), line.is_h2());
            if let Some(credential) = errand.credential {
                // For every sending anew, on the complete request: signatures cover where it goes.
                credential.join(&mut request).await.map_err(Unsent::Failed)?;
            }
            match within(errand, self.exchange(line, request, errand)).await {
                Ok(answered) => return self.fitting(errand, answered),
                Err(Unsent::Never(back, _)) if !last => request = *back,
                Err(unsent) => return Err(unsent),
            }
        }
    }

    /// A connection: from the first question for an address to the end of the TLS handshake, and the wait for others who make one.
    async fn line(&self, way: Way, again: bool, patience: Duration) -> Result<Line, UpstreamError> {
        let connecting = async {
            match way {
                Way::Http(protocol) => self.pool.line(&self.connector, protocol, again).await,
                Way::Leaving => {
                    let dialled = self.connector.dial(Protocol::Http1).await?;
                    Ok(Line::Leaving(Box::new(dialled)))
                }
            }
        };
        tokio::time::timeout(patience, connecting).await.unwrap_or_else(|_| {
            Err(UpstreamError::Unreachable {
                cause: format!("no connection within {} s", patience.as_secs()),
            })
        })
    }

    async fn exchange(
        &self,
        line: Line,
        request: Request<Outgoing>,
        errand: &Errand<'_>,
    ) -> Result<(Answered, Option<OnUpgrade>), Unsent> {
        let meter = &errand.meter;
        match line {
            Line::Http1(connection) => {
                connection.exchange(request, &self.pool, Arc::clone(meter)).await.map(|it| (it, None))
            }
            Line::Http2(ticket) => ticket.exchange(request, meter).await.map(|it| (it, None)),
            Line::Leaving(dialled) => ask_to_leave(*dialled, request).await,
        }
    }

    fn fitting(
        &self,
        errand: &Errand<'_>,
        (answered, server): (Answered, Option<OnUpgrade>),
    ) -> Result<(Answered, Option<OnUpgrade>), Unsent> {
        let status = answered.head.status;
        if errand.way != Way::Leaving && status.is_informational() {
            // A switch that nobody asked for: what follows on that connection belongs to no exchange.
            return Err(Unsent::Failed(UpstreamError::Broke {
                cause: format!("it answered {status} unasked"),
            }));
        }
        if let Some(credential) = errand.credential {
            credential.answered(status);
        }
        Ok((answered, server))
    }
}

/// Waits for an answer's head for as long as the server is not silent for `idle`; request bytes going out count as life.
async fn within<T>(
    errand: &Errand<'_>,
    answer: impl Future<Output = Result<T, Unsent>>,
) -> Result<T, Unsent> {
    let mut answer = std::pin::pin!(answer);
    let mut seen = errand.meter.bytes();
    loop {
        if let Ok(done) = tokio::time::timeout(errand.idle, answer.as_mut()).await {
            return done;
        }
        let now = errand.meter.bytes();
        if now == seen {
            return Err(Unsent::Failed(UpstreamError::Timeout { after: errand.idle }));
        }
        seen = now;
    }
}
