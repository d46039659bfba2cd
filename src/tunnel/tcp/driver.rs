//! The task behind each TCP connection: moves its frames, hands out its streams, notices a vanished peer, says goodbye.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use h2::{Ping, PingPong, Reason, RecvStream, server::SendResponse};
use http::{Method, Request, Response, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{GOODBYE, Stream, line::Line, stream::Payload, to_reason};
use crate::tunnel::{KEEP_ALIVE, SILENCE};

/// Drives the laptop's end.
pub(super) async fn laptop<T>(mut connection: h2::client::Connection<T, Payload>, line: Arc<Line>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    let pings = connection.ping_pong();
    let mut silence = pin!(silence(pings, &line, false));
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = &mut silence => {
            line.give_up();
            Ok(())
        }
        _ = line.close_wanted() => {
            line.stop_listening();
            timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
        }
    };
    line.end(outcome);
}

/// Drives the gateway's end.
pub(super) async fn gateway<T>(
    mut connection: h2::server::Connection<T, Payload>,
    line: Arc<Line>,
    offer: mpsc::Sender<Stream>,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin,
{
    let pings = connection.ping_pong();
    let mut silence = pin!(silence(pings, &line, true));
    let mut close_wanted = pin!(line.close_wanted());
    let outcome = loop {
        tokio::select! {
            request = connection.accept() => match request {
                Some(Ok((request, respond))) => answer(request, respond, &line, &offer),
                Some(Err(e)) => break Err(e),
                None => break Ok(()),
            },
            () = &mut silence => {
                line.give_up();
                break Ok(());
            }
            code = &mut close_wanted => {
                connection.abrupt_shutdown(if code == 0 { Reason::NO_ERROR } else { to_reason(code) });
                let goodbye = async { while let Some(Ok(_)) = connection.accept().await {} };
                let _ = timeout(GOODBYE, goodbye).await;
                break Ok(());
            }
        }
    };
    line.end(outcome);
}

fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Payload>,
    line: &Arc<Line>,
    offer: &mpsc::Sender<Stream>,
) {
    let connect = request.method() == Method::CONNECT;
    let status = if connect { StatusCode::OK } else { StatusCode::METHOD_NOT_ALLOWED };
    let mut head = Response::new(());
    *head.status_mut() = status;
    // Fails only when the stream has been reset meanwhile, which its reader will see.
    if let Ok(send) = respond.send_response(head, !connect)
        && connect
    {
        // No more streams are open than the channel holds; one too many is reset by its drop.
        let _ = offer.try_send(Stream::accepted(request.into_body(), send, Arc::clone(line)));
    }
}

/// Ends when the peer has not been heard of for [`SILENCE`]. Anything it sends counts: an answer to a ping can be late behind a full
/// socket, where window updates still tell that it lives. With `always` the peer is pinged although it is heard: a laptop whose questions
/// wait behind a long upload hears by it that the gateway lives.
async fn silence(pings: Option<PingPong>, line: &Line, always: bool) {
    let Some(mut pings) = pings else { return };
    let (mut heard, mut silent) = (line.heard(), Duration::ZERO);
    let mut due = Instant::now() + KEEP_ALIVE;
    while silent < SILENCE {
        tokio::select! {
            () = sleep_until(due) => {
                due += KEEP_ALIVE;
                if line.heard() != heard {
                    (heard, silent) = (line.heard(), Duration::ZERO);
                    if !always {
                        continue;
                    }
                } else {
                    silent += KEEP_ALIVE;
                }
            }
            () = line.ping_wanted() => {}
        }
        // The answer to the last ping has done its work by being heard; it is only taken away to make room for the next.
        poll_fn(|cx| Poll::Ready(pings.poll_pong(cx).is_ready())).await;
        let _ = pings.send_ping(Ping::opaque());
    }
}
