//! The API on a tunnel stream: HTTP/1.1 or HTTP/2, for as long as the caller's authority lasts.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::{ApiState, router};
use crate::gateway::session::{ApiArrival, ApiHandler};

/// For the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Headers of a request, all together, in bytes.
const MOST_HEADERS: usize = 64 * 1024;
/// Requests at once on one HTTP/2 stream of the tunnel.
const MOST_REQUESTS: u32 = 32;

/// What [`crate::gateway::session::Sessions`] gives streams of the API to.
pub fn tunnel_handler(state: ApiState) -> ApiHandler {
    let router = router(state);
    Arc::new(move |stream, arrival| Box::pin(serve_stream(router.clone(), stream, arrival)))
}

/// Serves one stream until it ends or its lease does. The lease is checked for every request.
pub async fn serve_stream<S>(router: Router, stream: S, arrival: ApiArrival)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ended = arrival.lease.ended();
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(arrival.clone());
        router.clone().call(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEADERS)
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MOST_HEADERS as u32)
        .max_concurrent_streams(MOST_REQUESTS);
    tokio::select! {
        served = builder.serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = served {
                tracing::debug!(error, "a stream of the API ended badly");
            }
        }
        () = ended.cancelled() => {}
    }
}
