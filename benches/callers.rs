//! What callers cost: a login to its first byte, a thousand clients that log in and renew at once, and a revocation to the last byte.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hoopctl::{
    client::{
        ClientError, FirstTrust, Laptop, Link, LinkEvent, Machine, Method, Settings, StoreChoice, Talk,
    },
    clock::Clock,
    tunnel::Transport,
};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use serde_json::{Value, json};
use url::Url;

use crate::{report::median, shapes::World};

const CLIENTS: usize = 1_000;
const LOGINS: usize = 50;
const REVOCATIONS: usize = 10;

/// Measures and prints.
pub async fn measure() {
    let world = World::with_credentials_of("2m");
    let mut first = Vec::with_capacity(LOGINS);
    for n in 0..LOGINS {
        let before = Instant::now();
        let link = link(&world, &format!("first-{n}")).await;
        small(&link).await;
        first.push(before.elapsed().as_secs_f64() * 1e3);
        link.close().await;
    }
    println!("login (workload) to first byte, p50 of {LOGINS}: {:.1} ms", median(&first));
    storm(&world).await;
    let mut lasted = Vec::with_capacity(REVOCATIONS);
    for n in 0..REVOCATIONS {
        lasted.push(revocation(&world, n).await);
    }
    println!("revocation to the last byte of a live stream, p50 of {REVOCATIONS}: {:.1} ms", median(&lasted));
}

/// Everybody logs in and connects at once; two minutes' certificates are renewed eighty seconds later, again at once.
async fn storm(world: &World) {
    let (before, cpu) = (Instant::now(), world.gateway_cpu());
    let mut joining = tokio::task::JoinSet::new();
    for n in 0..CLIENTS {
        let laptop = laptop(world, &format!("storm-{n}"));
        let ca = world.ca();
        joining.spawn(async move {
            let link = connect(laptop, ca).await;
            let events = link.events();
            (link, events)
        });
    }
    let joined = joining.join_all().await;
    println!(
        "{CLIENTS} clients log in and connect at once: {:.2} s, gateway {:.2} CPU s",
        before.elapsed().as_secs_f64(),
        world.gateway_cpu() - cpu
    );
    let (mut first, mut last, cpu) = (None, Instant::now(), world.gateway_cpu());
    let mut links = Vec::with_capacity(CLIENTS);
    for (link, mut events) in joined {
        loop {
            if let LinkEvent::Renewed { .. } = events.recv().await.unwrap() {
                break;
            }
        }
        first.get_or_insert_with(Instant::now);
        last = Instant::now();
        links.push(link);
    }
    println!(
        "{CLIENTS} clients renew at once: {:.2} s from the first to the last, gateway {:.2} CPU s",
        (last - first.unwrap()).as_secs_f64(),
        world.gateway_cpu() - cpu
    );
    for link in links {
        link.close().await;
    }
}

/// Milliseconds from the request that revokes to the end of the stream.
async fn revocation(world: &World, n: usize) -> f64 {
    let who = format!("revoked-{n}");
    let (admin, link) = (link(world, &format!("admin-{n}")).await, link(world, &who).await);
    let request = Request::get("/sse/3000").body(Empty::<Bytes>::new()).unwrap();
    let mut body = link.request("m", request).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    let before = Instant::now();
    let _: Value = admin.api("POST", "/api/v1/revocations", Some(&json!({ "who": who }))).await.unwrap();
    while let Some(Ok(_)) = body.frame().await {}
    let took = before.elapsed();
    admin.close().await;
    took.as_secs_f64() * 1e3
}

async fn small(link: &Link) {
    let request = Request::get("/small").body(Empty::<Bytes>::new()).unwrap();
    link.request("m", request).await.unwrap().into_body().frame().await.unwrap().unwrap();
}

async fn link(world: &World, who: &str) -> Link {
    connect(laptop(world, who), world.ca()).await
}

async fn connect((laptop, machine): (Arc<Laptop>, Machine), ca: PathBuf) -> Link {
    connected(&laptop, machine, ca).await
}

/// A laptop's connection, after its login.
pub async fn connected(laptop: &Arc<Laptop>, machine: Machine, ca: PathBuf) -> Link {
    laptop.login(FirstTrust::File(ca), Method::Machine(machine), &Nobody).await.unwrap();
    laptop.link().await.unwrap_or_else(|error: ClientError| panic!("{error}"))
}

fn laptop(world: &World, who: &str) -> (Arc<Laptop>, Machine) {
    laptop_on(world, who, None)
}

/// A laptop that is not logged in, and that uses just this carrier, if one is named.
pub fn laptop_on(world: &World, who: &str, transport: Option<Transport>) -> (Arc<Laptop>, Machine) {
    let home = world.home(who);
    let machine = Machine::token(world.token_of(who, Duration::from_secs(3600)).into());
    let settings = Settings {
        gateway: Some(world.url()),
        profile: "default".to_owned(),
        credential_store: Some(StoreChoice::Memory),
        transport,
        config_dir: home.join("config"),
        state_dir: home.join("state"),
        clock: Clock::system(),
        machine: Some(machine.clone()),
        proxies: hoopctl::tunnel::Proxies::default(),
    };
    (Laptop::open(settings).unwrap(), machine)
}

/// Nobody is at a terminal.
struct Nobody;

impl Talk for Nobody {
    fn visit(&self, _: &Url, _: bool) {}
    fn note(&self, _: &str) {}
    fn trust(&self, _: &Url, _: &str) -> bool {
        false
    }
}
