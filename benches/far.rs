//! A gateway that is not next door: first bytes at 40 ms round trip, and a gibibyte each way while one datagram in twenty is lost. The
//! network is the tests' relay.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hoopctl::{
    client::{ClientError, Link},
    tunnel::Transport,
};
use http_body_util::{BodyExt, Empty};
use hyper::Request;

use crate::{
    callers::{connected, laptop_on},
    load,
    relay::{Relay, Weather},
    report::median,
    shapes::World,
};

/// From one end to the other and back.
const ROUND_TRIP: Duration = Duration::from_millis(40);
const TIMES: usize = 15;

/// First bytes, in round trips.
pub fn round_trips(runtime: &tokio::runtime::Runtime) {
    let (world, relay) = far();
    relay.weather(Weather { delay: ROUND_TRIP / 2, ..Weather::default() });
    println!("round trips of {} ms to the first byte, p50 of {TIMES}", ROUND_TRIP.as_millis());
    for (name, transport) in [("quic", Transport::Quic), ("tls", Transport::Tcp)] {
        let (fresh, warm) = runtime.block_on(first_bytes(&world, name, transport));
        println!("{name:<6}fresh connection {fresh:.2}, warm connection {warm:.2}");
    }
}

async fn first_bytes(world: &World, name: &str, transport: Transport) -> (f64, f64) {
    let (laptop, machine) = laptop_on(world, name, Some(transport));
    connected(&laptop, machine, world.ca()).await.close().await;
    let (mut fresh, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let start = Instant::now();
        let link = laptop.link().await.unwrap_or_else(|error: ClientError| panic!("{error}"));
        first_byte(&link).await;
        fresh.push(start.elapsed());
        let start = Instant::now();
        first_byte(&link).await;
        warm.push(start.elapsed());
        link.close().await;
    }
    let trips = |times: &[Duration]| {
        median(&times.iter().map(|time| time.as_secs_f64() / ROUND_TRIP.as_secs_f64()).collect::<Vec<_>>())
    };
    (trips(&fresh), trips(&warm))
}

async fn first_byte(link: &Link) {
    let request = Request::get("/small").body(Empty::<Bytes>::new()).unwrap();
    link.request("m", request).await.unwrap().into_body().frame().await.unwrap().unwrap();
}

/// So many MiB each way over QUIC at 5 % loss, compared byte for byte at the other end.
pub fn loss(runtime: &tokio::runtime::Runtime, mebibytes: u64) {
    let (world, relay) = far();
    let (_laptop, target) = world.connect("quic", "lossy");
    relay.weather(Weather { loss: 50, ..Weather::default() });
    let bytes = mebibytes << 20;
    for (name, upload) in [("down", false), ("up", true)] {
        let before = relay.datagrams();
        let took = runtime.block_on(async {
            if upload {
                load::upload_pattern(&target, bytes).await
            } else {
                load::pattern(&target, bytes).await
            }
        });
        println!(
            "{mebibytes} MiB {name} over QUIC, 5 % of {} datagrams lost: every byte as it was, {:.1} MB/s",
            relay.datagrams() - before,
            bytes as f64 / 1e6 / took.as_secs_f64()
        );
    }
}

fn far() -> (World, Relay) {
    World::behind(|gateway| Relay::start(gateway, 0x5eed))
}
