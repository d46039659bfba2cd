//! Certificates change under a whole gateway: connections on both carriers go on, and new handshakes see the new ones.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use crate::{
    clock::Clock,
    gateway::{
        assembly::{
            Gateway,
            world::{World, config, request},
        },
        certs::{self, acme::directory::Directory},
    },
    tls::{self, Trust},
    tunnel::{self, Transport},
    wire::{
        control::{FromGateway, FromLaptop, Notice},
        stream::{Answer, Preamble, Target},
    },
};

/// Says hello; the control stream after the welcome.
async fn hello(connection: &tunnel::Connection) -> tunnel::Stream {
    let mut control = connection.open().await.unwrap();
    tunnel::write_frame(&mut control, &Preamble::to(Target::Control)).await.unwrap();
    let hello = FromLaptop::Hello { version: 1, client: "test".to_owned(), capabilities: Vec::new() };
    tunnel::write_frame(&mut control, &hello).await.unwrap();
    assert_eq!(tunnel::read_frame::<Answer, _>(&mut control, 65_536).await.unwrap(), Answer::Ok);
    let welcome = tunnel::read_frame::<FromGateway, _>(&mut control, 65_536).await.unwrap();
    assert!(matches!(welcome, FromGateway::Welcome { .. }), "{welcome:?}");
    control
}

async fn told_of_roots(control: &mut tunnel::Stream) -> (u64, usize) {
    let heard = timeout(Duration::from_secs(60), tunnel::read_frame::<FromGateway, _>(control, 65_536)).await;
    match heard.unwrap().unwrap() {
        FromGateway::Notice(Notice::Roots { version, roots }) => {
            (version, tls::parse_certificates(&roots, "notice").unwrap().len())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rotation_is_told_in_band_on_both_carriers_and_cuts_no_stream() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut with = config(folder.path());
    with.certs.client_life = Duration::from_secs(2);
    let gateway = Gateway::start(with, clock.clone()).await.unwrap();
    let world = World { gateway, clock, folder };
    let (old, key) = (world.roots(), world.log_in("alice").await);
    let mut lines = Vec::new();
    for over in [Transport::Quic, Transport::Tcp] {
        let connection = world.dial(key.clone(), over).await.unwrap();
        let control = hello(&connection).await;
        lines.push((connection, control));
    }
    let state = world.folder.path().join("state");
    certs::begin(&state, Some(Duration::from_secs(2)), &world.clock).unwrap();
    let mut announced = 0;
    for (_, control) in &mut lines {
        let (version, roots) = told_of_roots(control).await;
        assert_eq!(roots, 2, "announced before it is used");
        announced = version;
    }
    let mut last = 0;
    for (_, control) in &mut lines {
        let (switched, roots) = told_of_roots(control).await;
        assert!(switched > announced && roots == 2, "the next root signs");
        let (retired, roots) = told_of_roots(control).await;
        assert!(retired > switched && roots == 1, "the old one has retired");
        last = retired;
    }
    assert!(!old.contains(&world.roots()[0]), "another root signs");
    for (connection, control) in &mut lines {
        // The same connections carry new streams, and the old ones still speak.
        let csr = request().0;
        tunnel::write_frame(control, &FromLaptop::Renew { csr }).await.unwrap();
        let renewed = tunnel::read_frame::<FromGateway, _>(control, 65_536).await.unwrap();
        let FromGateway::Renewed(credential) = renewed else { panic!("{renewed:?}") };
        assert_eq!(credential.roots_version, Some(last));
        connection.open().await.unwrap();
    }
    // New handshakes on both carriers: a certificate of the new root is shown and believed, the retired one is not.
    let fresh = world.log_in("alice").await;
    for over in [Transport::Quic, Transport::Tcp] {
        let connection = world.dial(fresh.clone(), over).await.unwrap();
        hello(&connection).await;
    }
    let retired = tunnel::Dialer {
        host: "127.0.0.1".to_owned(),
        port: world.gateway.address().port(),
        trust: Trust::Roots(old),
        key: fresh,
        proxies: tunnel::Proxies::default(),
    };
    assert!(matches!(retired.dial(Some(Transport::Tcp)).await, Err(tunnel::TunnelError::Trust(_))));
    let rotation = world.events("certificate_rotation").await;
    assert_eq!(rotation.len(), 3, "{rotation:?}");
}

#[tokio::test]
async fn whoever_connects_during_a_rotation_is_told_at_once() {
    let world = World::start().await;
    let key = world.log_in("alice").await;
    let state = world.folder.path().join("state");
    let mut news = world.authority().announcements();
    certs::begin(&state, None, &world.clock).unwrap();
    timeout(Duration::from_secs(60), news.changed()).await.unwrap().unwrap();
    let connection = world.dial(key, Transport::Tcp).await.unwrap();
    let mut control = hello(&connection).await;
    assert_eq!(told_of_roots(&mut control).await.1, 2);
}

#[tokio::test]
async fn the_tcp_port_answers_an_acme_directory_and_serves_what_it_signs() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let directory = Directory::start(clock.clone(), Duration::from_secs(90 * 24 * 60 * 60)).await;
    let mut with = config(folder.path());
    with.certs.names = vec!["gateway.example.test".to_owned()];
    with.certs.source = certs::Source::Acme(certs::acme::Config {
        directory: directory.url(),
        contact: Vec::new(),
        ca: None,
        external: None,
    });
    let gateway = Gateway::start(with, clock.clone()).await.unwrap();
    let world = World { gateway, clock, folder };
    directory.point_at(world.gateway.address());
    let served = async {
        while world.events("certificate_renewed").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), served).await.unwrap();
    let config = tls::https_client(&Trust::Roots(vec![directory.root()])).unwrap();
    let io = TcpStream::connect(world.gateway.address()).await.unwrap();
    let name = tls::ServerName::try_from("gateway.example.test").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, io).await.unwrap();
}
