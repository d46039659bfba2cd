//! One gateway as a whole: start, refusals to start, reload, health, end.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    Gateway,
    world::{World, config},
};
use crate::{
    clock::Clock,
    gateway::certs::{self, acme::directory::Directory},
    tls::{self, Trust},
    tunnel::{self, Transport},
    wire::{
        control::{FromGateway, FromLaptop, Notice},
        stream::{Answer, Preamble, Target},
    },
};

async fn get(world: &World, path: &str) -> String {
    let mut io = TcpStream::connect(world.gateway.metrics_address().unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    io.read_to_string(&mut heard).await.unwrap();
    heard
}

#[tokio::test]
async fn start_and_stop_are_in_the_audit_log_and_the_folder_is_free_again() {
    let world = World::start().await;
    assert_eq!(world.events("gateway_start").await.len(), 1);
    let World { gateway, folder, clock } = world;
    gateway.shutdown().await;
    let gateway = Gateway::start(config(folder.path()), clock.clone()).await.unwrap();
    let world = World { gateway, folder, clock };
    assert_eq!(world.events("gateway_start").await.len(), 2);
    assert_eq!(world.events("gateway_stop").await.len(), 1);
}

#[tokio::test]
async fn a_second_gateway_on_the_folder_is_refused_with_a_remedy() {
    let world = World::start().await;
    let error = Gateway::start(config(world.folder.path()), Clock::system()).await.err().unwrap();
    assert!(error.message.contains("another gateway"), "{error}");
    assert!(error.remedy.is_some_and(|remedy| remedy.contains("state")));
}

#[tokio::test]
async fn a_port_in_use_is_refused_and_nothing_stays_behind() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut taken = config(folder.path());
    taken.accept.listen = world.gateway.address();
    let error = Gateway::start(taken, Clock::system()).await.err().unwrap();
    assert!(error.message.contains(&world.gateway.address().to_string()), "{error}");
    let again = Gateway::start(config(folder.path()), Clock::system()).await;
    assert!(again.is_ok(), "the folder was let go: {:?}", again.err());
}

#[tokio::test]
async fn metrics_and_health_are_served_on_their_own_port() {
    let world = World::start().await;
    assert!(get(&world, "/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(get(&world, "/readyz").await.ends_with("ready\n"));
    let metrics = get(&world, "/metrics").await;
    for name in [
        "hoopctl_build_info",
        "hoopctl_certificate_expiry_timestamp_seconds{certificate=\"server\"}",
        "hoopctl_certificate_expiry_timestamp_seconds{certificate=\"ca\"}",
        "hoopctl_certificates_refused 0",
        "hoopctl_plaintext_attempts_total 0",
    ] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
    world.gateway.background.phases.drain();
    assert!(get(&world, "/readyz").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn a_bad_policy_is_refused_at_a_reload_and_what_needs_a_restart_is_said() {
    let world = World::start().await;
    let reloaded = world.gateway.reload(config(world.folder.path())).await.unwrap();
    assert!(reloaded.needs_restart.is_empty(), "{reloaded:?}");
    let mut new = config(world.folder.path());
    new.accept.public_url = "https://127.0.0.1:1".parse().unwrap();
    new.identity.session_life += Duration::from_secs(60);
    let reloaded = world.gateway.reload(new).await.unwrap();
    assert_eq!(reloaded.needs_restart, ["gateway.public_url", "sessions"]);

    std::fs::write(world.folder.path().join("policies/bad.cedar"), "permit(principal, action").unwrap();
    let error = world.gateway.reload(config(world.folder.path())).await.err().unwrap();
    assert!(error.message.contains("bad.cedar"), "{error}");
    assert_eq!(world.events("gateway_reload").await.len(), 2, "only what was taken up is told");
}

#[tokio::test]
async fn a_gateway_without_exchanges_does_not_wait_for_its_grace_period() {
    let world = World::start().await;
    let _idle = TcpStream::connect(world.gateway.address()).await.unwrap();
    timeout(Duration::from_secs(20), world.gateway.shutdown()).await.unwrap();
}

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
    for (_, control) in &mut lines {
        assert_eq!(told_of_roots(control).await, (1, 2), "announced before it is used");
    }
    for (_, control) in &mut lines {
        assert_eq!(told_of_roots(control).await, (2, 2), "the next root signs");
        assert_eq!(told_of_roots(control).await, (3, 1), "the old one has retired");
    }
    assert!(!old.contains(&world.roots()[0]), "another root signs");
    for (connection, control) in &mut lines {
        // The same connections carry new streams, and the old ones still speak.
        let csr = super::world::request().0;
        tunnel::write_frame(control, &FromLaptop::Renew { csr }).await.unwrap();
        let renewed = tunnel::read_frame::<FromGateway, _>(control, 65_536).await.unwrap();
        let FromGateway::Renewed(credential) = renewed else { panic!("{renewed:?}") };
        assert_eq!(credential.roots_version, Some(3));
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
    assert_eq!(told_of_roots(&mut control).await, (1, 2));
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
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, io).await.unwrap();
}
