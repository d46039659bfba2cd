//! The UDP leg: QUIC handshakes, each in a task of its own, then sessions.

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{GOODBYE, Hall};
use crate::tunnel::{Handshaking, QuicListener};

/// Accepts until the gateway drains. From then on new attempts are refused, so that laptops go elsewhere at once; the
/// endpoint itself is closed when all is `over`, because live connections end with it.
pub(super) async fn accept(listener: QuicListener, hall: Hall, over: CancellationToken) {
    loop {
        let attempt = tokio::select! {
            () = hall.phases.draining() => break,
            attempt = listener.accept() => attempt,
        };
        match attempt {
            Some(attempt) => welcome(attempt, &hall),
            None => break,
        }
    }
    listener.refuse_new();
    over.cancelled().await;
    listener.close();
    // Peers that do not confirm the end in time learn of it by silence.
    let _ = timeout(GOODBYE, listener.idle()).await;
}

fn welcome(attempt: Handshaking, hall: &Hall) {
    let peer = attempt.remote_address();
    let Some(handshaker) = hall.ration.handshaker(peer.ip()) else {
        hall.meters.turned_away.inc();
        return;
    };
    let visited = hall.clone();
    hall.spawn(async move {
        let Some(_place) = visited.ration.place().await else { return };
        match attempt.finish().await {
            Ok(connection) => {
                drop(handshaker);
                visited.serve_tunnel(connection).await;
            }
            Err(error) => {
                visited.meters.handshakes_failed.inc();
                tracing::debug!(%peer, %error, "a QUIC handshake failed");
            }
        }
    });
}
