//! The TCP leg: the first byte decides between TLS and a closed door, the ClientHello's ALPN between tunnel and HTTPS.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{
    Hall,
    https::{self, Direct, Faces},
    plaintext,
    ration::{Handshaker, Place},
};
use crate::{
    gateway::{
        pipeline,
        session::{Proof, Visit},
    },
    id,
    tls::{self, Handshake},
    tunnel, wire,
};

/// For the first byte, and for everything from there to the end of the handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// TLS's record type `handshake` (RFC 8446 §5.1): the first byte of every TLS connection.
const TLS: u8 = 0x16;
/// After the system refused a connection for want of memory or file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// The TLS configurations of a port.
#[derive(Clone)]
pub(super) enum Profiles {
    /// The public port.
    Public {
        /// For laptops.
        tunnel: Arc<ServerConfig>,
        /// For everybody else.
        https: Arc<ServerConfig>,
        /// For an ACME directory that checks the name, where there is one.
        challenge: Option<Arc<ServerConfig>>,
    },
    /// The port that asks for client certificates.
    Certified(Arc<ServerConfig>),
}

/// Accepts until the gateway drains; the socket is closed then, so that new connections go elsewhere at once.
pub(super) async fn accept(listener: TcpListener, profiles: Profiles, hall: Hall) {
    loop {
        let accepted = tokio::select! {
            () = hall.phases.draining() => return,
            accepted = next(&listener, &hall) => accepted,
        };
        match accepted {
            Some(Ok((stream, peer, place))) => {
                let Some(handshaker) = hall.ration.handshaker(peer.ip()) else {
                    hall.meters.turned_away.inc();
                    continue;
                };
                let visit = visit(stream, peer, place, handshaker, profiles.clone(), hall.clone());
                hall.spawn(visit);
            }
            Some(Err(error)) => {
                // A peer that left while it was queued is no reason to wait.
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
                {
                    tracing::warn!(%error, "a TCP connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                }
            }
            None => return,
        }
    }
}

/// A connection that no thread hears of yet.
type Caller = (std::net::TcpStream, SocketAddr, Place);

async fn next(listener: &TcpListener, hall: &Hall) -> Option<io::Result<Caller>> {
    let place = hall.ration.place().await?;
    let accepted = listener.accept().await;
    Some(accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer, place))))
}

async fn visit(
    stream: std::net::TcpStream,
    peer: SocketAddr,
    place: Place,
    handshaker: Handshaker,
    profiles: Profiles,
    hall: Hall,
) {
    let _place = place;
    // Here, on the connection's own thread, which is to hear of its bytes.
    let stream = match stream.set_nodelay(true).and_then(|()| TcpStream::from_std(stream)) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection was gone before it began");
            return;
        }
    };
    let mut first = [0];
    match timeout(HANDSHAKE_WITHIN, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first == [TLS] => {}
        Ok(Ok(1)) => return refuse_plaintext(stream, peer, handshaker, &hall).await,
        // Nothing was said: a port scan, a load balancer's check, or a peer that waits for us to speak first.
        _ => return,
    }
    match timeout(HANDSHAKE_WITHIN, shake_hands(stream, peer, &profiles)).await {
        Ok(Ok(Entrance::Https(stream))) => {
            drop(handshaker);
            serve_https(*stream, peer, matches!(profiles, Profiles::Certified(_)), &hall).await;
        }
        // The certificate was the answer; the directory has seen it (RFC 8737 §3).
        Ok(Ok(Entrance::Challenge)) => {}
        Ok(Ok(Entrance::Tunnel(connection))) => {
            drop(handshaker);
            hall.serve_tunnel(connection).await;
        }
        Ok(Err(failed)) => {
            hall.meters.handshakes_failed.inc();
            tracing::debug!(%peer, error = failed.why, "a TLS handshake failed");
            if let Some(stream) = failed.stream {
                tunnel::let_alert_arrive(stream).await;
            }
        }
        Err(_) => {
            hall.meters.handshakes_failed.inc();
            tracing::debug!(%peer, "a TLS handshake took longer than ten seconds");
        }
    }
}

enum Entrance {
    Https(Box<TlsStream<TcpStream>>),
    Tunnel(tunnel::Connection),
    Challenge,
}

/// A handshake that failed, with the stream on which the alert about it may still be under way.
struct Failed {
    why: String,
    stream: Option<TcpStream>,
}

impl Failed {
    fn new(why: impl ToString, stream: impl Into<Option<TcpStream>>) -> Self {
        Self { why: why.to_string(), stream: stream.into() }
    }
}

async fn shake_hands(stream: TcpStream, peer: SocketAddr, profiles: &Profiles) -> Result<Entrance, Failed> {
    let mut acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let start = match (&mut acceptor).await {
        Ok(start) => start,
        Err(error) => return Err(Failed::new(error, acceptor.take_io())),
    };
    let offers = |wanted: &[u8]| {
        start.client_hello().alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == wanted))
    };
    if let Profiles::Public { challenge: Some(challenge), .. } = profiles
        && offers(tls::ACME)
    {
        let accepting = start.into_stream(Arc::clone(challenge)).into_fallible();
        accepting.await.map_err(|(error, stream)| Failed::new(error, stream))?;
        return Ok(Entrance::Challenge);
    }
    let (profile, tunnelled) = match profiles {
        Profiles::Public { tunnel, .. } if offers(wire::ALPN) => (tunnel, true),
        Profiles::Public { https, .. } | Profiles::Certified(https) => (https, false),
    };
    let accepting = start.into_stream(Arc::clone(profile)).into_fallible();
    let stream = accepting.await.map_err(|(error, stream)| Failed::new(error, stream))?;
    if !tunnelled {
        return Ok(Entrance::Https(Box::new(stream)));
    }
    let connection = tunnel::accept_tcp(stream, peer).await.map_err(|error| Failed::new(error, None))?;
    Ok(Entrance::Tunnel(connection))
}

async fn serve_https(stream: TlsStream<TcpStream>, address: SocketAddr, certified: bool, hall: &Hall) {
    let Some(_visitor) = hall.ration.visitor(address.ip()) else {
        hall.meters.turned_away.inc();
        return;
    };
    let _connected = hall.meters.connected("https");
    let (_, session) = stream.get_ref();
    let handshake = Handshake::of(session);
    let proof = if certified {
        let chain = session.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
        hall.ingress.certified(&chain).await
    } else {
        Proof::Bearer
    };
    let visit =
        Visit { proof, handshake: handshake.clone(), source: address.ip(), line: pipeline::Visit::default() };
    let peer =
        https::Peer { address, handshake: Some(handshake), http2: session.alpn_protocol() == Some(b"h2") };
    let router = if certified { hall.signpost.clone() } else { hall.router.clone() };
    let direct = Direct {
        ingress: hall.ingress.clone(),
        visit: Arc::new(visit),
        strangers: hall.strangers.clone(),
        unknown: hall.meters.unknown_callers.clone(),
    };
    https::serve(
        stream,
        peer,
        Faces { router, direct: Some(direct), clock: hall.clock.clone() },
        hall.phases.clone(),
    )
    .await;
}

async fn refuse_plaintext(stream: TcpStream, peer: SocketAddr, handshaker: Handshaker, hall: &Hall) {
    let _handshaker = handshaker;
    hall.meters.plaintext.inc();
    hall.attempts.note(peer.ip()).await;
    let request_id = id::new("req", hall.clock.now());
    let language = plaintext::answer(stream, &request_id).await;
    tracing::debug!(%peer, ?language, request_id, "an unencrypted connection was refused");
}
