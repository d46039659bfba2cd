//! Who is believed, who is there, and which carrier wins.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use crate::{
    tls::Trust,
    tunnel::{
        Connection, Dialer, HEAD_START, Proxies, Transport, TunnelError, quic, read_frame, tcp,
        world::{Authority, BOTH, Gateway},
    },
    wire,
};

/// Every way a laptop can notice that its certificate was refused says so.
async fn assert_refused(laptop: Connection, words: &str) {
    let early = laptop.open().await;
    for error in [laptop.closed().await, laptop.open().await.unwrap_err()] {
        let TunnelError::Credential(text) = &error else { panic!("{laptop:?}: {error:?}") };
        assert!(text.contains(words) && text.contains("hoopctl login"), "{text}");
    }
    if let Ok(mut stream) = early {
        let error = read_frame::<String, _>(&mut stream, 64).await.unwrap_err();
        assert!(matches!(error, TunnelError::Credential(_)), "{laptop:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_certificate_the_gateway_refuses_is_the_credentials_fault() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let key = authority.gateway("127.0.0.1");
    for carrier in BOTH {
        let mut gateway = Gateway::start(&key, &authority, &[carrier]).await;
        for (laptop, words) in
            [(stranger.laptop(1), "not issued by this gateway"), (authority.laptop(-1), "expired")]
        {
            let dialer = gateway.dialer(authority.trust(), laptop);
            let laptop = dialer.dial(Some(carrier)).await.unwrap();
            let seen = gateway.accept().await.unwrap_err();
            assert!(matches!(seen, TunnelError::Credential(_)), "{carrier}: {seen:?}");
            assert_refused(laptop, words).await;
        }
    }
}

#[tokio::test]
async fn no_certificate_is_the_credentials_fault_too() {
    let authority = Authority::new();
    let key = authority.gateway("127.0.0.1");
    for carrier in BOTH {
        let gateway = Gateway::start(&key, &authority, &[carrier]).await;
        let mut config = rustls::ClientConfig::builder_with_provider(crate::tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(authority.trust().verifier().unwrap())
            .with_no_client_auth();
        config.alpn_protocols = vec![wire::ALPN.to_vec()];
        let laptop = match carrier {
            Transport::Quic => {
                let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
                quic::connect(Arc::new(config), "127.0.0.1", gateway.address).await.unwrap()
            }
            Transport::Tcp => {
                let socket = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
                let name = "127.0.0.1".try_into().unwrap();
                let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
                let tls = connector.connect(name, socket).await.unwrap();
                tcp::dialled(tls, gateway.address).await.unwrap()
            }
        };
        assert_refused(laptop, "got none").await;
    }
}

async fn trust_failure(gateway: &Gateway, trust: Trust, carrier: Transport, laptop: &Authority) -> String {
    let dialer = gateway.dialer(trust, laptop.laptop(1));
    match dialer.dial(Some(carrier)).await {
        Err(TunnelError::Trust(words)) => words,
        other => panic!("{carrier}: {other:?}"),
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_believed_is_told_apart_from_one_that_is_not_there() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for carrier in BOTH {
        let gateway = Gateway::start(&authority.gateway("127.0.0.1"), &authority, &[carrier]).await;
        let words = trust_failure(&gateway, stranger.trust(), carrier, &authority).await;
        assert!(words.contains("--ca-fingerprint"), "{carrier}: {words}");
        let gateway = Gateway::start(&authority.gateway("other.example.test"), &authority, &[carrier]).await;
        let words = trust_failure(&gateway, authority.trust(), carrier, &authority).await;
        assert!(words.contains("another name"), "{carrier}: {words}");
        let gateway = Gateway::start(&authority.expired_gateway(), &authority, &[carrier]).await;
        let words = trust_failure(&gateway, authority.trust(), carrier, &authority).await;
        assert!(words.contains("out of date"), "{carrier}: {words}");
    }
}

#[tokio::test]
async fn something_else_on_the_port_is_not_a_gateway() {
    let authority = Authority::new();
    for protocol in [None, Some(b"h2".to_vec())] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = crate::tls::https_server(&authority.gateway("127.0.0.1")).unwrap();
        let speaks_tls = protocol.is_some();
        config.alpn_protocols = protocol.into_iter().collect();
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            if speaks_tls {
                let _ = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(tcp).await;
            } else {
                tcp.write_all(b"220 mail.example.test ESMTP\r\n").await.unwrap();
                let _ = tcp.read_to_end(&mut Vec::new()).await;
            }
        });
        let dialer = Dialer {
            host: "127.0.0.1".into(),
            port: address.port(),
            trust: authority.trust(),
            key: authority.laptop(1),
            proxies: Proxies::default(),
        };
        let error = dialer.dial(Some(Transport::Tcp)).await.unwrap_err();
        let TunnelError::Trust(words) = error else { panic!("{error:?}") };
        assert!(words.contains("hoopctl gateway"), "{words}");
    }
}

#[tokio::test]
async fn with_udp_blocked_tcp_wins_after_the_head_start_and_with_tcp_blocked_quic_does() {
    let authority = Authority::new();
    let key = authority.gateway("127.0.0.1");
    for (open, prefer, at_least) in [
        (Transport::Tcp, None, HEAD_START),
        (Transport::Tcp, Some(Transport::Tcp), Duration::ZERO),
        (Transport::Quic, None, Duration::ZERO),
        (Transport::Quic, Some(Transport::Tcp), Duration::ZERO),
    ] {
        let gateway = Gateway::start(&key, &authority, &[open]).await;
        let dialer = gateway.dialer(authority.trust(), authority.laptop(1));
        let start = Instant::now();
        let connection = dialer.dial(prefer).await.unwrap();
        let took = start.elapsed();
        assert_eq!(connection.transport(), open);
        assert!(took >= at_least && took < Duration::from_secs(3), "{open} {prefer:?}: {took:?}");
    }
}

#[tokio::test]
async fn with_both_carriers_open_the_preferred_one_wins() {
    let authority = Authority::new();
    let gateway = Gateway::start(&authority.gateway("127.0.0.1"), &authority, &BOTH).await;
    let dialer = gateway.dialer(authority.trust(), authority.laptop(1));
    for (prefer, wins) in [
        (None, Transport::Quic),
        (Some(Transport::Quic), Transport::Quic),
        (Some(Transport::Tcp), Transport::Tcp),
    ] {
        assert_eq!(dialer.dial(prefer).await.unwrap().transport(), wins);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_not_there_is_unreachable() {
    let authority = Authority::new();
    let gateway = Gateway::start(&authority.gateway("127.0.0.1"), &authority, &[]).await;
    let mut dialer = gateway.dialer(authority.trust(), authority.laptop(1));
    let error = dialer.dial(None).await.unwrap_err();
    let TunnelError::Unreachable(words) = error else { panic!("{error:?}") };
    assert!(words.starts_with("the gateway 127.0.0.1:") && words.contains("cannot be reached"), "{words}");
    dialer.host = "no such host".into();
    assert!(matches!(dialer.dial(None).await, Err(TunnelError::Unreachable(_))));
}
