//! Serves HTTP/1.1 and HTTP/2 to browsers, API clients and direct ingress: every header, body and silence bounded.

#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use axum::{Router, body::Body, extract::ConnectInfo};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::attempts::Attempts;
use crate::{
    clock::Clock,
    gateway::{
        framing::{Guard, MAX_HEAD, Malformed, Requests},
        pipeline::Answer,
        respond::{Problem, Voice},
        session::{Ingress, Passed, Phases, Visit},
    },
    id,
    tls::Handshake,
};

/// For the first request of a connection. The heads of later ones must be complete before the connection counts as idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The longest silence inside a request's body.
const BODY_SILENCE: Duration = Duration::from_secs(30);
/// The longest life of a connection on which nothing happens.
const IDLE: Duration = Duration::from_secs(90);
/// For the peer to take its leave after it was asked to.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// What HTTP/1.1 may hold of a body on its way through, bytes.
const MOST_HELD: usize = 128 * 1024;
/// HTTP/2: exchanges at once on one connection, and what of their bodies may be in flight, bytes.
const MOST_STREAMS: u32 = 128;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Who is at the other end of an HTTP connection.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Peer {
    pub(in crate::gateway) address: SocketAddr,
    /// Absent on the plaintext port for metrics and health.
    pub(in crate::gateway) handshake: Option<Handshake>,
    /// HTTP/2 was agreed on by ALPN.
    pub(in crate::gateway) http2: bool,
}

/// What a connection is served.
pub(in crate::gateway) struct Faces {
    /// Pages and the API.
    pub(in crate::gateway) router: Router,
    /// Models; absent on the plaintext port.
    pub(in crate::gateway) direct: Option<Direct>,
    /// Dates what is refused before either.
    pub(in crate::gateway) clock: Clock,
}

/// The direct ingress of one connection. Cheap to clone.
#[derive(Clone)]
pub(in crate::gateway) struct Direct {
    pub(super) ingress: Ingress,
    pub(super) visit: Arc<Visit>,
    /// Requests without a caller are written down here, and counted.
    pub(super) strangers: Attempts,
    pub(super) unknown: Counter,
}

/// Serves one connection until it ends, is idle too long, or the gateway stops. Requests carry the extensions
/// [`ConnectInfo`] with the peer's address and, over TLS, [`Handshake`]. Models' answers have the pipeline's own bounds.
pub(in crate::gateway) async fn serve<S>(io: S, peer: Peer, faces: Faces, phases: Phases)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Faces { router, direct, clock } = faces;
    let activity = Arc::new(Activity::new());
    let requests = Arc::<Requests>::default();
    let service = service_fn({
        let requests = Arc::clone(&requests);
        let (activity, peer, direct) = (Arc::clone(&activity), peer.clone(), direct.clone());
        move |mut request| {
            let busy = activity.begin();
            let (router, peer, direct) = (router.clone(), peer.clone(), direct.clone());
            let (requests, now) = (Arc::clone(&requests), clock.now());
            async move {
                let number = requests.arrived(&mut request);
                let response = match malformed(&mut request, direct.as_ref(), now) {
                    Some(refused) => refused,
                    None => answer(request, router, peer, direct).await?,
                };
                requests.answered(number, response.status());
                Ok::<_, Infallible>(response.map(|body| Held { body, _busy: busy }))
            }
        }
    });
    let course = Course { peer, phases, activity, direct };
    if course.peer.http2 {
        let streams = TaskTracker::new();
        let executor = Tracked {
            streams: streams.clone(),
            phases: course.phases.clone(),
            direct: course.direct.clone(),
        };
        let connection = http2_builder(executor).serve_connection(TokioIo::new(io), service);
        course.run(connection, |h2| h2.graceful_shutdown()).await;
        streams.close();
    } else {
        let guard = TokioIo::new(Guard::requests(io, &requests));
        let connection = http1_builder().serve_connection(guard, service).with_upgrades();
        course.run(connection, |h1| h1.graceful_shutdown()).await;
        course.switched().await;
    }
}

/// One connection on its way from its first request to its end.
struct Course {
    peer: Peer,
    phases: Phases,
    activity: Arc<Activity>,
    direct: Option<Direct>,
}

impl Course {
    /// Runs a connection of either version; `leave` asks it to end when what is under way has.
    async fn run<C>(&self, connection: C, leave: impl FnOnce(Pin<&mut C>))
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return self.note(ended),
            () = self.cut() => return,
            () = self.phases.draining() => {}
            () = self.activity.idle() => {}
        }
        leave(connection.as_mut());
        tokio::select! {
            ended = connection.as_mut() => self.note(ended),
            () = self.cut() => {}
            () = self.activity.left() => {}
        }
    }

    /// Goes on with a connection that has left HTTP.
    async fn switched(&self) {
        let Some(mut switched) = self.direct.as_ref().and_then(|direct| direct.visit.line.take_switched())
        else {
            return;
        };
        tokio::select! {
            () = &mut switched => {}
            () = self.cut() => {}
        }
    }

    /// Resolves when the connection must be dropped with all that is under way on it.
    async fn cut(&self) {
        match &self.direct {
            Some(direct) => tokio::select! {
                () = self.phases.stopping() => direct.visit.line.abandon(),
                () = direct.visit.line.overdue() => {}
            },
            None => self.phases.stopping().await,
        }
    }

    fn note(&self, ended: hyper::Result<()>) {
        if let Err(error) = ended {
            tracing::debug!(peer = %self.peer.address, %error, "an HTTP connection ended early");
        }
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // Hyper's deadline would also end connections that rest between requests; `Activity` has one of its own.
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MOST_HELD);
    builder
}

fn http2_builder(executor: Tracked) -> http2::Builder<Tracked> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_concurrent_streams(MOST_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Refuses a malformed request, unless that is the pipeline's to do: it alone knows who sent it, and in whose terms they hear.
fn malformed(
    request: &mut Request<Incoming>,
    direct: Option<&Direct>,
    now: SystemTime,
) -> Option<Response<Sent>> {
    if head_size(request) > MAX_HEAD {
        request.extensions_mut().insert(Malformed::HeadLong);
    }
    let malformed = request.extensions().get::<Malformed>()?;
    if direct.is_some() && Ingress::takes(request.uri()) {
        return None;
    }
    let answer = Problem::from(*malformed).answer(Voice::Plain, &id::new("req", now));
    Some(answer.map(|body| Sent::Page(body.into())))
}

async fn answer(
    request: Request<Incoming>,
    mut router: Router,
    peer: Peer,
    direct: Option<Direct>,
) -> Result<Response<Sent>, Infallible> {
    if let Some(direct) = direct.filter(|_| Ingress::takes(request.uri())) {
        return Ok(direct.pass(request, peer.address).await.map(Sent::Model));
    }
    let mut request = request.map(|body| Body::new(Patient { body, silence: None }));
    request.extensions_mut().insert(ConnectInfo(peer.address));
    if let Some(handshake) = peer.handshake {
        request.extensions_mut().insert(handshake);
    }
    Ok(router.call(request).await?.map(Sent::Page))
}

impl Direct {
    async fn pass(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Answer> {
        match self.ingress.pass(request, &self.visit).await {
            Passed::Known(response) => response,
            Passed::Stranger(response) => {
                self.unknown.inc();
                self.strangers.note(peer.ip()).await;
                response
            }
        }
    }
}

/// An answer's body.
enum Sent {
    Page(Body),
    Model(Answer),
}

/// The connection is busy until the answer's body has gone out, or was given up.
struct Held {
    body: Sent,
    _busy: Busy,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Boxed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Boxed>>> {
        match &mut self.body {
            Sent::Page(page) => Pin::new(page).poll_frame(cx).map_err(Into::into),
            Sent::Model(answer) => Pin::new(answer).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Sent::Page(page) => page.is_end_stream(),
            Sent::Model(answer) => answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Sent::Page(page) => page.size_hint(),
            Sent::Model(answer) => answer.size_hint(),
        }
    }
}

/// The parsers' own bounds are rounded up to their buffers; this one is exact.
fn head_size<B>(request: &Request<B>) -> usize {
    request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// When a connection was last busy.
struct Activity {
    begun: Instant,
    busy: AtomicUsize,
    last: Mutex<Option<Instant>>,
}

impl Activity {
    fn new() -> Self {
        Self { begun: Instant::now(), busy: AtomicUsize::new(0), last: Mutex::new(None) }
    }

    fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::SeqCst);
        self.touch();
        Busy(Arc::clone(self))
    }

    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Resolves when nothing has happened for too long: [`HEAD_WITHIN`] before the first request, then [`IDLE`].
    async fn idle(&self) {
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let until = match last {
                None => self.begun + HEAD_WITHIN,
                Some(_) if self.busy.load(Ordering::SeqCst) > 0 => Instant::now() + IDLE,
                Some(last) => last + IDLE,
            };
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Resolves when nothing has been under way for [`LEAVE_WITHIN`].
    async fn left(&self) {
        let mut quiet_since = Instant::now();
        loop {
            if self.busy.load(Ordering::SeqCst) > 0 {
                quiet_since = Instant::now();
            } else if quiet_since.elapsed() >= LEAVE_WITHIN {
                return;
            }
            tokio::time::sleep(LEAVE_WITHIN / 5).await;
        }
    }
}

struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
        self.0.touch();
    }
}

/// Runs the streams of an HTTP/2 connection, none of them longer than the gateway.
#[derive(Clone)]
struct Tracked {
    streams: TaskTracker,
    phases: Phases,
    direct: Option<Direct>,
}

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let (phases, direct) = (self.phases.clone(), self.direct.clone());
        self.streams.spawn(async move {
            let mut stream = pin!(stream);
            tokio::select! {
                _ = stream.as_mut() => {}
                () = phases.stopping() => {
                    if let Some(direct) = direct {
                        direct.visit.line.abandon();
                    }
                }
            }
        });
    }
}

/// A request's body whose sender may not fall silent.
struct Patient {
    body: Incoming,
    silence: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Patient {
    type Data = Bytes;
    type Error = Boxed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Boxed>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.silence = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_SILENCE)));
        match silence.as_mut().poll(cx) {
            Poll::Ready(()) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "the request's body stopped coming");
                Poll::Ready(Some(Err(late.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
