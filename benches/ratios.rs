//! One command, one table: hoopctl against direct TLS, a bare tunnel, haproxy and nginx in the same two-leg shape
//! (local port → TLS → gateway → TLS → model), interleaved in one run. `cargo bench`, or `cargo bench -- --quick`;
//! `cargo bench -- policy` measures the policy decision alone, `cargo bench -- callers` logins, renewals and revocations,
//! `cargo bench -- masking` what masking costs.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot measure must stop"
)]

mod bare;
mod callers;
#[path = "../tests/world/issuer.rs"]
mod issuer;
mod load;
mod masking;
mod model;
mod policy;
mod process;
mod report;
mod shapes;

use std::time::Duration;

use report::{Report, median};
use shapes::Shape;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match args.first().map(String::as_str) {
        // The benchmark starts itself in these parts, so that the processor time of each is its own.
        Some("part-model") => runtime.block_on(model::run(&args[1])),
        Some("part-bare-laptop") => runtime.block_on(bare::laptop(&args[1..])),
        Some("part-bare-gateway") => runtime.block_on(bare::gateway(&args[1..])),
        // What callers cost, likewise.
        Some("callers") => runtime.block_on(callers::measure()),
        // The decision alone, in seconds rather than minutes.
        Some("policy") => {
            for policies in [1, 100, 1_000] {
                println!("{policies:>5} policies: {:.1} µs a decision", policy::decision_micros(policies));
            }
        }
        // The engine and the lanes alone.
        Some("masking") => masking::measure(),
        _ => measure(&runtime, args.iter().any(|a| a == "--quick")),
    }
}

/// How much is measured.
struct Size {
    rounds: usize,
    requests: usize,
    one_by_one: usize,
    bulk: u64,
    chunks: usize,
    connections: usize,
    idle: usize,
}

fn measure(runtime: &tokio::runtime::Runtime, quick: bool) {
    let size = if quick {
        Size {
            rounds: 1,
            requests: 2_000,
            one_by_one: 300,
            bulk: 128 << 20,
            chunks: 100,
            connections: 300,
            idle: 200,
        }
    } else {
        Size {
            rounds: 5,
            requests: 10_000,
            one_by_one: 2_000,
            bulk: 512 << 20,
            chunks: 300,
            connections: 2_000,
            idle: 1_000,
        }
    };
    let world = shapes::World::start();
    let shapes = world.shapes();
    let mut report = Report::new(&shapes, &process::machine());
    // First, while nobody has memory left over from a load that idle streams could hide in.
    for shape in shapes.iter().filter(|s| s.is_pair()) {
        let target = runtime.block_on(shape.target());
        runtime.block_on(load::requests(&target, 1, 50));
        let before = (shape.laptop_kib(), shape.resident_kib());
        let held = runtime.block_on(load::idle(&target, size.idle));
        let after = shape.resident_kib();
        drop(held);
        report.add(shape, "memory per idle stream, both ends, KiB", (after - before.1) / size.idle as f64);
        report.add(shape, "resident before load, laptop, MiB", before.0 / 1024.0);
        report.add(shape, "resident before load, gateway, MiB", (before.1 - before.0) / 1024.0);
    }
    for round in 1..=size.rounds {
        eprintln!("round {round} of {}", size.rounds);
        // A machine that gets busier or calmer during a round favours nobody for long.
        let first = round % shapes.len();
        for shape in shapes.iter().cycle().skip(first).take(shapes.len()) {
            runtime.block_on(one_round(shape, &size, &mut report));
        }
    }
    let cold: Vec<f64> = (0..size.rounds.max(3)).map(|_| world.cold_start_cpu_ms()).collect();
    report.add_single("connect: cold start to first byte, CPU ms", median(&cold));
    for (row, policies) in
        [("policy decision, 1 policy, µs", 1), ("policy decision, 1,000 policies, µs", 1_000)]
    {
        let rounds: Vec<f64> = (0..size.rounds.max(3)).map(|_| policy::decision_micros(policies)).collect();
        report.add_single(row, median(&rounds));
    }
    report.load_after(&process::load());
    println!("{report}");
}

async fn one_round(shape: &Shape, size: &Size, report: &mut Report) {
    let target = &shape.target().await;
    load::requests(target, 32, size.requests / 10).await;

    let cpu = shape.cpu();
    load::requests(target, 32, size.requests).await;
    report.add(
        shape,
        "small requests, 32 at once, pair CPU s per 10 k",
        (shape.cpu() - cpu) * 10_000.0 / size.requests as f64,
    );

    let mut times = load::one_by_one(target, size.one_by_one).await;
    times.sort_unstable();
    report.add(shape, "one at a time, p50 µs", micros(times[times.len() / 2]));
    report.add(shape, "one at a time, p99 µs", micros(times[times.len() * 99 / 100]));

    let cpu = shape.cpu();
    let took = load::bulk(target, size.bulk).await;
    let gb = size.bulk as f64 / 1e9;
    report.add(shape, "bulk, MB/s", gb * 1_000.0 / took.as_secs_f64());
    report.add(shape, "bulk, pair CPU s per GB", (shape.cpu() - cpu) / gb);

    let cpu = shape.cpu();
    let mut delays = load::sse(target, 10, size.chunks).await;
    let chunks = delays.len();
    delays.sort_unstable();
    report.add(shape, "SSE every 10 ms, delay p50 µs", micros(delays[chunks / 2]));
    report.add(shape, "SSE every 10 ms, delay p99 µs", micros(delays[chunks * 99 / 100]));
    report.add(
        shape,
        "SSE, pair CPU ms per 1 k chunks",
        (shape.cpu() - cpu) * 1_000.0 * 1_000.0 / chunks as f64,
    );

    let cpu = shape.cpu();
    load::new_connections(target, size.connections).await;
    report.add(
        shape,
        "new connections, pair CPU s per 10 k",
        (shape.cpu() - cpu) * 10_000.0 / size.connections as f64,
    );
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
