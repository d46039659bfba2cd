//! One gateway as a whole: start, refusals to start, reload, health, end.

mod certificates;

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
    gateway::{
        pipeline::{Dialect, ModelConfig},
        upstream,
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
async fn metrics_show_each_server_of_each_model_and_follow_a_reload() {
    let model = |urls: &[&str]| ModelConfig {
        name: "m".to_owned(),
        dialect: Dialect::Detect,
        upstream: upstream::Config {
            urls: urls.iter().map(|url| url.parse().unwrap()).collect(),
            relaxed: true,
            relaxed_networks: Vec::new(),
            ca: None,
            pins: Vec::new(),
            client_certificate: None,
            server_name: None,
            credential: None,
            idle: Duration::from_secs(600),
            pool: Default::default(),
            health: Default::default(),
        },
        labels: Default::default(),
        finish_on_fin: false,
        body_limit: None,
        limits: Default::default(),
        mask: None,
        record: Default::default(),
    };
    let world = World::start_with(vec![model(&["https://localhost:9", "unix:/m.sock"])]).await;
    let metrics = get(&world, "/metrics").await;
    for server in ["https://localhost:9/", "unix:/m.sock"] {
        for (name, value) in [
            ("upstream_relaxed", 1),
            ("upstream_circuit", 0),
            ("upstream_connections_open", 0),
            ("upstream_connections_idle", 0),
            ("upstream_failures_total", 0),
        ] {
            let line = format!("\nhoopctl_{name}{{model=\"m\",server=\"{server}\"}} {value}\n");
            assert!(metrics.contains(&line), "{line} in {metrics}");
        }
    }
    let mut new = config(world.folder.path());
    new.models = vec![model(&["https://localhost:9"])];
    world.gateway.reload(new).await.unwrap();
    assert!(!get(&world, "/metrics").await.contains("m.sock"), "what is gone is shown no more");
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
