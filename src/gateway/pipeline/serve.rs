//! One stream: which HTTP it speaks, its server, and its end.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    Arrival, Stages,
    answer::Answer,
    carried::{Carried, Carrier, Signals, Watched},
    path::{self, Way},
    switch,
};
use crate::{
    evidence::event::Leg,
    gateway::framing::{Guard, MAX_HEAD, Requests},
    wire::stream::{Fin, reset},
};

/// What HTTP/1.1 may hold of a body on its way through, bytes.
const MAX_BUFFER: usize = 128 * 1024;

/// HTTP/2: exchanges at once on one stream, and what of their bodies may be in flight, bytes.
const MAX_STREAMS: u32 = 128;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Serves a stream until it ends or `ended` is cancelled, and ends it.
pub(super) async fn serve<IO: Carrier>(
    stages: Arc<Stages>,
    mut io: IO,
    arrival: Arrival,
    ended: CancellationToken,
) {
    if ended.is_cancelled() {
        io.reset(reset::REVOKED);
        return;
    }
    let carried = Carried::new(io);
    let mut revoked = pin!(ended.cancelled());
    let h2 = tokio::select! {
        biased;
        () = &mut revoked => None,
        h2 = carried.is_h2() => h2,
    };
    let signals = Signals::new(h2 == Some(true));
    let Some(h2) = h2 else {
        if ended.is_cancelled() {
            signals.revoke();
        }
        return carried.close(&signals).await;
    };
    let finish = !h2 && finishes(&stages, &arrival);
    let way = Arc::new(Way::new(stages, arrival, Arc::clone(&signals), ended.clone()));
    let over = if h2 {
        let service = service_fn(move |request| path::pass(Arc::clone(&way), request));
        let connection = http2_builder().serve_connection(TokioIo::new(carried.wire(&signals)), service);
        run(Box::pin(connection), revoked.as_mut(), &carried, &signals, false).await
    } else {
        let requests = Arc::default();
        let guard = Guard::requests(carried.wire(&signals), &requests);
        let service = service_fn(move |request| guarded(Arc::clone(&way), Arc::clone(&requests), request));
        let connection = http1_builder().half_close(finish).serve_connection(TokioIo::new(guard), service);
        run(Box::pin(connection.with_upgrades()), revoked.as_mut(), &carried, &signals, finish).await
    };
    // Taken in any case: what it holds knows the signals, which must not hold it for ever.
    if let Some(mut switched) = signals.take_switched().filter(|_| over) {
        let abandoned = Abandoned::unless_disarmed(&signals);
        tokio::select! {
            biased;
            () = revoked => if timeout(switch::LAST_WORD, &mut switched).await.is_err() {
                signals.revoke();
            },
            () = &mut switched => (),
        }
        abandoned.disarm();
    }
    carried.close(&signals).await;
}

/// Runs a connection to its end; false when the caller's authority ended first. Everything under way on it has been dropped then.
async fn run<IO: Carrier, C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<Box<C>>,
    mut revoked: Pin<&mut impl Future<Output = ()>>,
    carried: &Carried<IO>,
    signals: &Arc<Signals>,
    watch: bool,
) -> bool {
    // Dropped before the connection is, so that its exchanges see it.
    let abandoned = Abandoned::unless_disarmed(signals);
    let over = std::future::poll_fn(|cx| {
        if revoked.as_mut().poll(cx).is_ready() {
            return Poll::Ready(false);
        }
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a stream's HTTP ended");
                }
                return Poll::Ready(true);
            }
            if !signals.is_under_way() {
                return Poll::Pending;
            }
            // A caller who half-closes may do so while it waits; any other leaves by it.
            let watched = match watch {
                true => carried.watch(cx),
                false if signals.is_waiting() => carried.watch_waiting(cx),
                false => Watched::Quiet,
            };
            match watched {
                Watched::Quiet => return Poll::Pending,
                Watched::News => (),
                Watched::Gone => return Poll::Ready(true),
            }
        }
    })
    .await;
    abandoned.disarm();
    if !over {
        signals.revoke();
    }
    over
}

/// One exchange on a connection whose framing is watched.
async fn guarded(
    way: Arc<Way>,
    requests: Arc<Requests>,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let number = requests.arrived(&mut request);
    let answer = path::pass(way, request).await?;
    requests.answered(number, answer.status());
    Ok(answer)
}

/// Whether the caller's FIN is only the end of its input. HTTP/2 ends its inputs one by one, so a FIN there always means leaving.
fn finishes(stages: &Stages, arrival: &Arrival) -> bool {
    arrival.fin == Fin::Finish || stages.model(&arrival.model).is_some_and(|model| model.config.finish_on_fin)
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The head's deadline is the carried stream's: hyper's would also end connections that rest between requests.
    builder.header_read_timeout(None).max_header_size(MAX_HEAD).max_buf_size(MAX_BUFFER);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    builder
}

/// Tells the exchanges under way that it was the gateway who dropped them.
struct Abandoned(Option<Arc<Signals>>);

impl Abandoned {
    fn unless_disarmed(signals: &Arc<Signals>) -> Self {
        Self(Some(Arc::clone(signals)))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(signals) = self.0.take() {
            signals.abandon();
            // What a stream that has left HTTP would go on with knows the signals too.
            drop(signals.take_switched());
        }
    }
}

impl Way {
    pub(super) fn new(
        stages: Arc<Stages>,
        arrival: Arrival,
        signals: Arc<Signals>,
        ended: CancellationToken,
    ) -> Self {
        let leg = Leg {
            transport: arrival.transport.to_string(),
            tls: arrival.handshake.tls.clone(),
            cipher: arrival.handshake.cipher.clone(),
            group: arrival.handshake.group.clone(),
            ..Leg::default()
        };
        Self { stages, arrival, signals, ended, leg }
    }
}
