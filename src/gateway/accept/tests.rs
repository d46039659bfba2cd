//! The port as strangers see it: what is not TLS, who is TLS, and who says nothing.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use crate::{
    gateway::world::World,
    tls::{self, Trust},
};

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.gateway.address()).await.unwrap()
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, words: &[u8]) -> Vec<u8> {
    io.write_all(words).await.unwrap();
    let mut heard = Vec::new();
    // A closed door may look like a reset.
    let _ = timeout(Duration::from_secs(15), io.read_to_end(&mut heard)).await.unwrap();
    heard
}

async fn tls(
    world: &World,
    protocols: &[&[u8]],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut config = tls::https_client(&Trust::Roots(world.roots())).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, connect(world).await).await
}

const DISCOVERY: &[u8] = b"GET /.well-known/hoopctl HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn plaintext_is_told_that_tls_is_mandatory_and_only_source_and_time_are_kept() {
    let world = World::start().await;
    let heard = say(connect(&world).await, b"POST /secret?token=abc HTTP/1.1\r\nhost: x\r\n\r\nhello").await;
    let text = String::from_utf8(heard).unwrap();
    assert!(text.starts_with("HTTP/1.1 426 ") && text.contains("TLS is mandatory"), "{text}");

    let events = world.events("plaintext_attempt").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].source.as_deref(), Some("127.0.0.1"));
    let told = serde_json::to_string(&events[0]).unwrap();
    assert!(!told.contains("secret") && !told.contains("abc") && !told.contains("hello"), "{told}");
}

#[tokio::test]
async fn other_bytes_get_a_closed_door() {
    let world = World::start().await;
    assert!(say(connect(&world).await, b"SSH-2.0-OpenSSH_9.2\r\n").await.is_empty());
}

#[tokio::test]
async fn alpn_decides_between_the_https_face_and_the_tunnel() {
    let world = World::start().await;
    let http1: &[u8] = b"http/1.1";
    for protocols in [&[][..], &[http1]] {
        let heard = say(tls(&world, protocols).await.unwrap(), DISCOVERY).await;
        assert!(heard.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&heard));
    }
    let elsewhere = b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let heard = String::from_utf8(say(tls(&world, &[]).await.unwrap(), elsewhere).await).unwrap();
    assert!(heard.starts_with("HTTP/1.1 404 ") && heard.contains("hoopctl connect"), "{heard}");

    let http2 = tls(&world, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(http2.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert!(tls(&world, &[b"spdy/3"]).await.is_err());

    // In TLS 1.3 the client hears only after its own last word that its certificate was missing.
    let tunnel = tls(&world, &[b"hoop/1"]).await;
    let refused = match tunnel {
        Ok(mut tunnel) => tunnel.read_u8().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(refused.to_string().contains("CertificateRequired"), "{refused}");
}

#[tokio::test]
async fn whoever_says_nothing_is_let_go_after_ten_seconds() {
    let world = World::start().await;
    let hello_begun: &[u8] = &[0x16, 3, 1, 0x02, 0x00, 1];
    tokio::time::pause();
    for words in [&[][..], hello_begun] {
        let begun = Instant::now();
        assert!(say(connect(&world).await, words).await.is_empty());
        let waited = begun.elapsed();
        assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&waited), "{waited:?}");
    }
}
