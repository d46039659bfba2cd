//! The TLS/TCP carrier: HTTP/2 (RFC 9113) over one TLS connection, a CONNECT stream for each stream.

mod driver;
mod line;
mod stream;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use h2::{Reason, client::SendRequest};
use http::{Method, Request};
use rustls::CommonState;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{Mutex, Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{client, server};

pub(super) use stream::Stream;

use self::{
    line::{Line, Watched},
    stream::Payload,
};
use super::{Connection, HANDSHAKE, MAX_STREAMS, Side, TunnelError};
use crate::{
    tls::{CertificateDer, Handshake},
    wire,
};

/// The longest DATA frame, bytes; as much as one read of a splice.
const MAX_DATA: u32 = 64 * 1024;
/// Bytes a stream may have written that the socket has not taken yet.
const SEND_BUFFER: usize = 256 * 1024;
/// Bytes of headers; a CONNECT has none of its own.
const MAX_HEADERS: u32 = 8 * 1024;
/// What unread small DATA frames may cost the receiver beyond their bytes: a paused reader of many small events must not end the
/// connection, a hostile sender must not fill the memory.
const SMALL_FRAMES: usize = 64 << 20;
/// Streams that were reset are remembered this long, for what was under way to them; more than any round trip.
const REMEMBER_RESETS: Duration = Duration::from_secs(5);
const REMEMBERED_RESETS: usize = MAX_STREAMS as usize;
/// Late frames for forgotten streams that a connection bears in its life.
const MAX_STRAY: usize = 1 << 16;
/// How long a goodbye may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);
/// The authority of every CONNECT request; the preamble says where a stream goes.
const AUTHORITY: &str = "hoop";
/// Our codes travel as HTTP/2 error codes from here ("hoop" in ASCII), apart from HTTP/2's own.
const CODES: u32 = 0x686f_6f70;

/// An HTTP/2 connection whose TLS handshake is done. A task drives it.
pub(super) struct Carrier {
    line: Arc<Line>,
    remote: SocketAddr,
    end: End,
}

enum End {
    Laptop { requests: SendRequest<Payload>, slots: Arc<Semaphore> },
    Gateway { incoming: Mutex<mpsc::Receiver<Stream>> },
}

impl Carrier {
    pub(super) async fn open(&self) -> Result<Stream, TunnelError> {
        let End::Laptop { requests, slots } = &self.end else {
            return Err(TunnelError::Protocol("only the laptop opens streams".to_owned()));
        };
        let opening = async {
            let slot = Arc::clone(slots).acquire_owned().await.ok()?;
            let mut requests = requests.clone().ready().await.ok()?;
            let mut request = Request::new(());
            *request.method_mut() = Method::CONNECT;
            *request.uri_mut() = http::Uri::from_static(AUTHORITY);
            let (answer, send) = requests.send_request(request, false).ok()?;
            Some(Stream::asked(answer, send, Arc::clone(&self.line), slot))
        };
        tokio::select! {
            biased;
            why = self.line.ended() => Err(why),
            opened = opening => match opened {
                Some(stream) => Ok(stream),
                None => Err(self.line.why()),
            },
        }
    }

    pub(super) async fn accept(&self) -> Result<Stream, TunnelError> {
        if let End::Gateway { incoming } = &self.end
            && let Some(stream) = incoming.lock().await.recv().await
        {
            return Ok(stream);
        }
        Err(self.closed().await)
    }

    pub(super) fn close(&self, code: u32) {
        self.line.close(code);
    }

    pub(super) async fn closed(&self) -> TunnelError {
        self.line.ended().await
    }

    pub(super) fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    pub(super) fn heard(&self) -> u64 {
        self.line.heard()
    }

    pub(super) fn sent(&self) -> u64 {
        self.line.sent()
    }

    pub(super) fn ping(&self) {
        self.line.want_ping();
    }
}

/// Takes over an accepted TLS connection with ALPN `hoop/1` (HTTP/2, CONNECT streams).
///
/// # Errors
/// [`TunnelError::Trust`] when another protocol was negotiated; [`TunnelError::Protocol`] or [`TunnelError::Closed`] when the laptop does not
/// begin HTTP/2 within 10 s.
pub async fn accept_tcp(
    tls: server::TlsStream<TcpStream>,
    remote: SocketAddr,
) -> Result<Connection, TunnelError> {
    // Only speed is lost without it.
    let _ = tls.get_ref().0.set_nodelay(true);
    let (handshake, chain) = agreed(tls.get_ref().1)?;
    let carrier = gateway(tls, remote).await?;
    Ok(Connection::over_tcp(carrier, handshake, chain))
}

/// Laptop: takes over a TLS connection whose handshake is done.
pub(super) async fn dialled(
    tls: client::TlsStream<TcpStream>,
    remote: SocketAddr,
) -> Result<Connection, TunnelError> {
    let (handshake, chain) = agreed(tls.get_ref().1)?;
    let carrier = laptop(tls, remote).await?;
    Ok(Connection::over_tcp(carrier, handshake, chain))
}

/// Closes a TCP connection whose TLS handshake failed here, so that the alert which says why arrives: the operating system would answer
/// bytes that nobody has read with a reset, and the peer would lose the alert with it. Takes at most a second.
pub async fn let_alert_arrive(mut tcp: TcpStream) {
    let _ = timeout(Duration::from_secs(1), async {
        tcp.shutdown().await.ok();
        let mut nowhere = [0; 4096];
        while let Ok(1..) = tcp.read(&mut nowhere).await {}
    })
    .await;
}

fn agreed(tls: &CommonState) -> Result<(Handshake, Vec<CertificateDer<'static>>), TunnelError> {
    if tls.alpn_protocol() != Some(wire::ALPN) {
        return Err(TunnelError::Trust(
            "the other side does not speak hoop/1: check that the address is a hoopctl gateway's".to_owned(),
        ));
    }
    let chain = tls.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
    Ok((Handshake::of(tls), chain.into_iter().map(CertificateDer::into_owned).collect()))
}

async fn laptop<T>(io: T, remote: SocketAddr) -> Result<Carrier, TunnelError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let line = Arc::new(Line::new(Side::Laptop));
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(Side::Laptop.stream_window())
        .initial_connection_window_size(Side::Laptop.window())
        .initial_max_send_streams(MAX_STREAMS as usize)
        .max_concurrent_streams(0)
        .max_frame_size(MAX_DATA)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        .reset_stream_duration(REMEMBER_RESETS)
        .max_local_error_reset_streams(Some(MAX_STRAY));
    let io = Watched::new(io, Arc::clone(&line));
    let (requests, connection) = builder.handshake(io).await.map_err(|e| line.why_of(&e))?;
    tokio::spawn(driver::laptop(connection, Arc::clone(&line)));
    let slots = Arc::new(Semaphore::new(MAX_STREAMS as usize));
    Ok(Carrier { line, remote, end: End::Laptop { requests, slots } })
}

async fn gateway<T>(io: T, remote: SocketAddr) -> Result<Carrier, TunnelError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let line = Arc::new(Line::new(Side::Gateway));
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(Side::Gateway.stream_window())
        .initial_connection_window_size(Side::Gateway.window())
        .max_concurrent_streams(MAX_STREAMS)
        .max_frame_size(MAX_DATA)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        .reset_stream_duration(REMEMBER_RESETS)
        .max_local_error_reset_streams(Some(MAX_STRAY))
        // Many streams opened and left in one packet are an application's closing, not an attack.
        .max_pending_accept_reset_streams(MAX_STREAMS as usize);
    let io = Watched::new(io, Arc::clone(&line));
    let connection = match timeout(HANDSHAKE, builder.handshake(io)).await {
        Ok(begun) => begun.map_err(|e| line.why_of(&e))?,
        Err(_) => return Err(TunnelError::closed("the laptop did not begin HTTP/2 within 10 s")),
    };
    let (offer, incoming) = mpsc::channel(MAX_STREAMS as usize);
    tokio::spawn(driver::gateway(connection, Arc::clone(&line), offer));
    Ok(Carrier { line, remote, end: End::Gateway { incoming: Mutex::new(incoming) } })
}

fn to_reason(code: u32) -> Reason {
    CODES.saturating_add(code).into()
}

/// Our code, when the reason is one.
fn of_reason(reason: Reason) -> Option<u32> {
    u32::from(reason).checked_sub(CODES).filter(|code| *code <= 0xffff)
}

#[cfg(test)]
mod tests {
    use tokio::{io::duplex, time::Instant};

    use super::*;
    use crate::{tunnel::SILENCE, wire::stream::reset};

    const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    async fn pair() -> (Carrier, Carrier) {
        let (near, far) = duplex(64 * 1024);
        let (laptop, gateway) = tokio::join!(laptop(near, NOWHERE), gateway(far, NOWHERE));
        (laptop.unwrap(), gateway.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_vanished_without_a_word_is_noticed() {
        let (near, _far) = duplex(64 * 1024);
        let laptop = laptop(near, NOWHERE).await.unwrap();
        let start = Instant::now();
        let why = laptop.closed().await.to_string();
        assert!(why.contains("not been heard of"), "{why}");
        assert!(start.elapsed() >= SILENCE && start.elapsed() < SILENCE + Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_lives_on() {
        let (laptop, gateway) = pair().await;
        for end in [&laptop, &gateway] {
            assert!(timeout(Duration::from_secs(3600), end.closed()).await.is_err());
        }
        let _stream = laptop.open().await.unwrap();
        gateway.accept().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_laptop_that_never_begins_is_let_go() {
        let (_near, far) = duplex(64 * 1024);
        let Err(error) = gateway(far, NOWHERE).await else { panic!("nobody spoke") };
        assert!(matches!(error, TunnelError::Closed { .. }), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_pings_a_laptop_that_it_hears_all_the_time() {
        let (near, far) = duplex(64 * 1024);
        let heard = Arc::new(Line::new(Side::Laptop));
        let near = Watched::new(near, Arc::clone(&heard));
        let accepted = tokio::spawn(async move {
            let carrier = gateway(far, NOWHERE).await.unwrap();
            let stream = carrier.accept().await.unwrap();
            (carrier, stream)
        });
        let (mut requests, connection) = h2::client::handshake(near).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = http::Uri::from_static(AUTHORITY);
        let (_answer, mut upload) = requests.send_request(request, false).unwrap();
        let _stream = accepted.await.unwrap();
        let mut before = 0;
        for second in 0..30 {
            upload.send_data("x".into(), false).unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            if second == 5 {
                before = heard.heard();
            }
        }
        assert!(heard.heard() > before, "nothing reads the upload, so only pings can be heard");
        assert!(heard.sent() > 30);
    }

    #[tokio::test]
    async fn requests_other_than_connect_are_refused() {
        let (near, far) = duplex(64 * 1024);
        let _gateway =
            tokio::spawn(async move { gateway(far, NOWHERE).await.unwrap().accept().await.is_ok() });
        let (mut requests, connection) = h2::client::handshake(near).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("https://hoop/").body(()).unwrap();
        let (answer, _) = requests.send_request(request, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 405);
    }

    #[tokio::test]
    async fn hundreds_of_streams_left_at_once_end_no_connection() {
        let (laptop, gateway) = pair().await;
        let mut streams = Vec::new();
        for _ in 0..MAX_STREAMS {
            streams.push((laptop.open().await.unwrap(), gateway.accept().await.unwrap()));
        }
        let (near, far): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
        drop(near);
        let _last = laptop.open().await.unwrap();
        gateway.accept().await.unwrap();
        drop(far);
    }

    #[test]
    fn our_codes_are_kept_apart_from_http2s_own() {
        for code in [0, reset::LEFT, reset::CUT, reset::REVOKED, reset::PROTOCOL, reset::DRAINING, 0xffff] {
            assert_eq!(of_reason(to_reason(code)), Some(code));
        }
        for own in 0..=0xd {
            assert_eq!(of_reason(own.into()), None);
        }
    }
}
