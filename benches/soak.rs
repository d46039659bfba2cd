//! Hours in short: everything at once for some minutes, and whether the processes grow.

use std::time::{Duration, Instant};

use crate::{
    load::{self, Target},
    report::median,
    shapes::World,
};

/// A laptop stands before its gateway; direct ingress has the gateway alone.
const PARTS: [&str; 2] = ["laptop", "gateway"];

/// Times the memory is looked at.
const LOOKS: u32 = 20;

/// A mix of requests, streams, downloads and new connections through every way of ours for so many minutes.
pub fn measure(runtime: &tokio::runtime::Runtime, minutes: f64) {
    let world = World::start();
    let shapes = world.ours();
    let every = Duration::from_secs_f64(minutes * 60.0 / f64::from(LOOKS));
    let end = Instant::now() + every * LOOKS;
    let ways: Vec<_> = shapes
        .iter()
        .map(|shape| {
            // Tokens of direct ingress are shorter than a soak: each round takes a new one.
            let shape = shape.ticket();
            runtime.spawn(async move {
                let mut rounds = 0_u64;
                while Instant::now() < end {
                    round(&shape.target().await).await;
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    let parts: Vec<_> = shapes
        .iter()
        .flat_map(|shape| {
            let processes = shape.processes();
            let names = PARTS[PARTS.len() - processes.len()..].iter();
            names.zip(processes).map(move |(name, process)| (format!("{} {name}", shape.name), process))
        })
        .collect();
    let mut seen: Vec<Vec<f64>> = vec![Vec::new(); parts.len()];
    println!(
        "resident MiB every {:.0} s: {}",
        every.as_secs_f64(),
        parts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    );
    for _ in 0..LOOKS {
        std::thread::sleep(every);
        for (seen, (_, process)) in seen.iter_mut().zip(&parts) {
            seen.push(process.resident_kib() / 1024.0);
            print!("{:>8.1}", seen[seen.len() - 1]);
        }
        println!();
    }
    for ((name, _), seen) in parts.iter().zip(&seen) {
        let quarter = seen.len() / 4;
        // The first quarter fills caches and pools.
        let (early, late) = (median(&seen[quarter..2 * quarter]), median(&seen[3 * quarter..]));
        println!(
            "{name:<24}{early:>8.1} in the second quarter, {late:>8.1} in the last: {:+.1} %",
            (late / early - 1.0) * 100.0
        );
    }
    let rounds: Vec<u64> = ways.into_iter().map(|way| runtime.block_on(way).unwrap()).collect();
    println!("rounds of 800 requests, 50 streams, 64 MiB and 50 new connections on each way: {rounds:?}");
}

async fn round(target: &Target) {
    load::requests(target, 16, 800).await;
    load::sse(target, 50, 50).await;
    load::bulk(target, 64 << 20).await;
    load::new_connections(target, 50).await;
}
