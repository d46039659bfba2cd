//! The limit: the same tunnel and the same TLS to the model, and nothing else — no identity, no policy, no HTTP, no audit.

use std::{sync::Arc, time::Duration};

use hoopctl::{
    tls::{self, HotKey, HotRoots, Identity, Trust},
    tunnel::{Dialer, Proxies, QuicListener, Transport, accept_tcp, splice},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn identity(folder: &str) -> (HotKey, Vec<tls::CertificateDer<'static>>) {
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    let identity = Identity::from_pem(&read("model.pem"), &read("model.key")).unwrap();
    (HotKey::new(identity), tls::parse_certificates(&read("ca.pem"), "ca.pem").unwrap())
}

/// `folder quic|tcp gateway-port`: a local port whose every connection is one stream.
pub async fn laptop(args: &[String]) {
    let (key, roots) = identity(&args[0]);
    let prefer = if args[1] == "tcp" { Transport::Tcp } else { Transport::Quic };
    let dialer = Dialer {
        host: "localhost".into(),
        port: args[2].parse().unwrap(),
        trust: Trust::Roots(roots),
        key,
        proxies: Proxies::default(),
    };
    let connection = dialer.dial_only(prefer).await.unwrap();
    assert_eq!(connection.transport(), prefer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("port {}", listener.local_addr().unwrap().port());
    while let Ok((mut app, _)) = listener.accept().await {
        app.set_nodelay(true).unwrap();
        let connection = connection.clone();
        tokio::spawn(async move {
            let mut stream = connection.open().await.unwrap();
            let _ = splice(&mut app, &mut stream).await;
        });
    }
}

/// `folder quic|tcp model-port`: ends the tunnel, one TLS connection to the model for each stream.
pub async fn gateway(args: &[String]) {
    let (key, roots) = identity(&args[0]);
    let model: u16 = args[2].parse().unwrap();
    let client = Arc::new(tls::https_client(&Trust::Roots(roots.clone())).unwrap());
    let believed = HotRoots::new(&roots).unwrap();
    if args[1] == "quic" {
        let config = tls::quic_server(&key, &believed).unwrap();
        let listener = QuicListener::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
        println!("port {}", listener.local_address().unwrap().port());
        while let Some(handshaking) = listener.accept().await {
            let client = Arc::clone(&client);
            tokio::spawn(async move { serve(handshaking.finish().await.unwrap(), client, model).await });
        }
    } else {
        let acceptor = TlsAcceptor::from(Arc::new(tls::tunnel_server(&key, &believed).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("port {}", listener.local_addr().unwrap().port());
        while let Ok((stream, remote)) = listener.accept().await {
            let (client, acceptor) = (Arc::clone(&client), acceptor.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true).unwrap();
                let stream = acceptor.accept(stream).await.unwrap();
                serve(accept_tcp(stream, remote).await.unwrap(), client, model).await;
            });
        }
    }
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

async fn serve(connection: hoopctl::tunnel::Connection, client: Arc<rustls::ClientConfig>, model: u16) {
    while let Ok(mut stream) = connection.accept().await {
        let client = Arc::clone(&client);
        tokio::spawn(async move {
            let upstream = TcpStream::connect(("127.0.0.1", model)).await.unwrap();
            upstream.set_nodelay(true).unwrap();
            let name = "localhost".try_into().unwrap();
            let mut upstream = TlsConnector::from(client).connect(name, upstream).await.unwrap();
            let _ = splice(&mut stream, &mut upstream).await;
        });
    }
}
