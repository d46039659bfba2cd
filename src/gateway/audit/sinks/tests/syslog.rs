//! Syslog over TLS, parsed back as RFC 5425 and RFC 5424 say.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::{io::AsyncReadExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;
use url::Host;

use super::*;
use crate::{
    gateway::audit::sinks::{Facility, SyslogConfig},
    tls::{self, HotKey, HotRoots, Identity},
};

/// A CA, and files of it in a world's folder.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A chain and its key, PEM.
    fn issue(&self, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A receiver that asks for a certificate of the CA; it cuts the first so many connections in the middle.
async fn receiver(ca: &Ca, cuts: usize) -> (u16, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let (chain, key) = ca.issue(ExtendedKeyUsagePurpose::ServerAuth);
    let key = HotKey::new(Identity::from_pem(&chain, &key).unwrap());
    let roots = HotRoots::new(&[ca.0.der().clone()]).unwrap();
    let mut config = tls::certified_server(&key, &roots).unwrap();
    config.alpn_protocols.clear();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            if connection < cuts {
                let mut some = [0; 64];
                stream.read_exact(&mut some).await.unwrap();
                // With data unread, the system resets the connection.
                drop(stream);
                continue;
            }
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            sender.send(all).unwrap();
        }
    });
    (port, received)
}

/// Takes octet-counted messages apart (RFC 5425 §4.3).
fn messages(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|b| *b == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        let (message, rest) = bytes[space + 1..].split_at(length);
        messages.push(String::from_utf8(message.to_vec()).unwrap());
        bytes = rest;
    }
    messages
}

fn config(world: &World, ca: &Ca, port: u16) -> SinkConfig {
    let (chain, key) = ca.issue(ExtendedKeyUsagePurpose::ClientAuth);
    let receiver = SyslogConfig {
        host: Host::parse("localhost").unwrap(),
        port,
        tls: true,
        ca: Some(kept(world, "ca.pem", &ca.0.pem())),
        client: Some((kept(world, "client.pem", &chain), kept(world, "client.key", &key))),
        facility: Facility(13),
        enterprise: 32473,
        most: 8192,
    };
    SinkConfig {
        name: "logs".to_owned(),
        kinds: Vec::new(),
        from_start: true,
        receiver: ReceiverConfig::Syslog(receiver),
    }
}

#[tokio::test]
async fn events_come_over_tls_with_a_certificate_of_ours_and_are_the_logs_own() {
    let (world, ca) = (World::start().await, Ca::new());
    let (port, mut received) = receiver(&ca, 0).await;
    world.adopt(&[config(&world, &ca, port)]).await;
    world.tell(Event { id: "ev_1".to_owned(), kind: "login".to_owned(), ..Event::default() });
    world.at("logs", 1).await;
    let messages = messages(&received.recv().await.unwrap());
    let row = world.store.ledger().rows(0, 1).await.unwrap().remove(0);
    let wanted = format!(
        "<110>1 2026-11-23T07:15:46.123Z gateway.example.test hoopctl - login [hoopctl@32473 id=\"ev_1\"] \u{feff}{}",
        row.json
    );
    assert_eq!(messages, [wanted]);
}

#[tokio::test]
async fn a_batch_whose_connection_broke_is_sent_again_whole_and_in_order() {
    let (world, ca) = (World::start().await, Ca::new());
    world.note("login", 1..=300);
    let (port, mut received) = receiver(&ca, 2).await;
    world.adopt(&[config(&world, &ca, port)]).await;
    world.at("logs", 300).await;
    let mut ids_seen = Vec::new();
    while ids_seen.len() < 300 {
        for message in messages(&received.recv().await.unwrap()) {
            let (_, json) = message.split_once('\u{feff}').unwrap();
            ids_seen.push(serde_json::from_str::<Event>(json).unwrap().id);
        }
    }
    assert_eq!(ids_seen, ids(1..=300));
    assert!(world.standing().failed >= 2);
}

#[tokio::test]
async fn a_receiver_of_another_ca_gets_nothing() {
    let (world, ca) = (World::start().await, Ca::new());
    let (port, mut received) = receiver(&Ca::new(), 0).await;
    world.adopt(&[config(&world, &ca, port)]).await;
    world.note("login", 1..=1);
    world.until("it is refused", async |world| world.standing().failed > 1).await;
    assert_eq!(world.store.cursor("logs").await.unwrap(), Some(0));
    assert!(received.try_recv().is_err());
}
