//! Serves a door: each local connection gets a stream of its own.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{ClientError, Kind, Link, ModelStream, stream::of_stream},
    tunnel,
    wire::stream::{Door, Fin, reset},
};

/// Local connections at once; more wait in the kernel's queue.
const MAX_SOCKETS: usize = 4096;
/// Waits after a failed accept (out of descriptors, mostly), doubling from the first to the second.
const ACCEPT_WAIT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How often a connection that waits for the gateway looks whether its application has left.
const LOOK: Duration = Duration::from_millis(500);
/// What an application may still send, and how long, after it was answered with an error.
const LINGER: (u64, Duration) = (1024 * 1024, Duration::from_secs(2));

/// What every connection of a door needs.
#[derive(Clone)]
pub(super) struct Doorway {
    pub(super) link: Link,
    pub(super) model: String,
    pub(super) session: String,
    pub(super) door: Door,
    pub(super) stop: CancellationToken,
}

/// A listener of either kind.
pub(super) trait Listen: Send + 'static {
    type Socket: Local;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Socket>> + Send;
}

/// An application's connection of either kind.
pub(super) trait Local: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {
    /// Whether the application will say nothing more.
    fn has_left(&self) -> impl Future<Output = bool> + Send;
    /// Ends it so that the application sees a reset, never a clean end.
    fn cut(self);
}

impl Listen for TcpListener {
    type Socket = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (socket, _) = Self::accept(self).await?;
        // A socket that cannot be told is only slower.
        let _ = socket.set_nodelay(true);
        Ok(socket)
    }
}

impl Local for TcpStream {
    async fn has_left(&self) -> bool {
        left(self.ready(Interest::READABLE)).await
    }

    fn cut(self) {
        // Closing with unsent data thrown away sends RST; without it the drop below is a plain close.
        let _ = socket2::SockRef::from(&self).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(unix)]
impl Listen for super::socket::Socket {
    type Socket = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<tokio::net::UnixStream> {
        self.listener.accept().await.map(|(socket, _)| socket)
    }
}

#[cfg(unix)]
impl Local for tokio::net::UnixStream {
    async fn has_left(&self) -> bool {
        left(self.ready(Interest::READABLE)).await
    }

    /// These sockets know no reset; HTTP's own framing tells a cut answer.
    fn cut(self) {}
}

async fn left(ready: impl Future<Output = io::Result<tokio::io::Ready>>) -> bool {
    match timeout(Duration::ZERO, ready).await {
        Ok(Ok(state)) => state.is_read_closed(),
        Ok(Err(_)) => true,
        // Nothing new at all.
        Err(_) => false,
    }
}

/// Accepts until `stop`; no error ends it.
pub(super) async fn serve<L: Listen>(listener: L, doorway: Doorway) {
    let room = Arc::new(Semaphore::new(MAX_SOCKETS));
    let stop = doorway.stop.clone();
    let mut wait = ACCEPT_WAIT.0;
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (socket, permit) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accepted => accepted,
        };
        match socket {
            Ok(socket) => {
                wait = ACCEPT_WAIT.0;
                let doorway = doorway.clone();
                tokio::spawn(async move {
                    carry(socket, &doorway).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a local connection could not be accepted");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(wait) => {}
                }
                wait = (wait * 2).min(ACCEPT_WAIT.1);
            }
        }
    }
}

/// One application's connection, from its first byte to its last.
async fn carry<S: Local>(mut socket: S, doorway: &Doorway) {
    let opened = tokio::select! {
        () = doorway.stop.cancelled() => return socket.cut(),
        opened = open(&socket, doorway) => opened,
    };
    let mut stream = match opened {
        Opened::Stream(stream) => stream,
        Opened::Error(error) => return answer(socket, &error).await,
        Opened::Left => return,
    };
    let ended = tokio::select! {
        () = doorway.stop.cancelled() => Err(io::Error::other("the door was closed")),
        ended = tunnel::splice(&mut socket, &mut stream) => ended,
    };
    let Err(error) = ended else {
        return;
    };
    stream.reset(reset::LEFT);
    if stream.is_joined() || doorway.stop.is_cancelled() {
        tracing::debug!(%error, "a stream was cut");
        socket.cut();
    } else {
        answer(socket, &of_stream(&error)).await;
    }
}

enum Opened {
    Stream(ModelStream),
    Error(ClientError),
    /// The application did not wait.
    Left,
}

/// Held while the link reconnects, as long as the application is there.
async fn open<S: Local>(socket: &S, doorway: &Doorway) -> Opened {
    let opening = doorway.link.open_model(&doorway.model, &doorway.session, doorway.door.clone(), Fin::Leave);
    tokio::pin!(opening);
    loop {
        tokio::select! {
            biased;
            opened = &mut opening => return opened.map_or_else(Opened::Error, Opened::Stream),
            () = sleep(LOOK) => {
                if socket.has_left().await {
                    return Opened::Left;
                }
            }
        }
    }
}

/// The one place where the laptop itself speaks HTTP to an application: the gateway could not.
async fn answer<S: Local>(mut socket: S, error: &ClientError) {
    let body = serde_json::to_string(&error.to_body()).unwrap_or_default();
    // Reconnecting goes on: what cannot be reached now may be in a moment.
    let again = if error.kind == Kind::Unreachable { "retry-after: 2\r\n" } else { "" };
    let text = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\n{again}connection: close\r\n\r\n{body}",
        body.len()
    );
    let said = async {
        socket.write_all(text.as_bytes()).await?;
        socket.shutdown().await?;
        // Closing while the application still sends would reset what it has not read yet.
        let (mut left, until) = (LINGER.0, Instant::now() + LINGER.1);
        let mut scrap = [0; 4096];
        while left > 0 {
            match tokio::time::timeout_at(until, socket.read(&mut scrap)).await {
                Ok(Ok(read @ 1..)) => left = left.saturating_sub(read as u64),
                _ => break,
            }
        }
        io::Result::Ok(())
    };
    // An application that has left does not need an answer.
    let _ = said.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_application_that_left_is_noticed_though_its_request_is_unread() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut app = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = Listen::accept(&listener).await.unwrap();
        assert!(socket.nodelay().unwrap());
        app.write_all(b"a request that waits").await.unwrap();
        socket.readable().await.unwrap();
        assert!(!socket.has_left().await);
        drop(app);
        timeout(Duration::from_secs(30), async {
            while !socket.has_left().await {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
