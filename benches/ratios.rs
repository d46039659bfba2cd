//! One command, one table: hoopctl against direct TLS, a bare tunnel, haproxy and nginx in the same two-leg shape
//! (local port → TLS → gateway → TLS → model), interleaved in one run. `cargo bench`, or `cargo bench -- --quick`;
//! Words behind `--` measure one thing: `anomalies`, `policy`, `audit`, `callers`, `masking`, `requests`, `recording`, `memory`, `streams`, `soak`,
//! `round-trips`, `loss` (see docs/benchmarks.md).
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

mod anomalies;
mod audit;
mod bare;
mod callers;
mod far;
#[path = "../tests/world/issuer.rs"]
mod issuer;
mod load;
mod masking;
mod memory;
mod model;
mod policy;
mod process;
#[path = "../tests/world/relay.rs"]
#[allow(dead_code, reason = "the tests' weather has more of it")]
mod relay;
mod report;
mod shapes;
mod soak;
mod streams;
#[path = "../tests/world/usage.rs"]
mod usage;

use std::time::Duration;

use report::{Report, median};
use shapes::Shape;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    process::raise_limits();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match args.first().map(String::as_str) {
        // The benchmark starts itself in these parts, so that the processor time of each is its own.
        Some("part-model") => runtime.block_on(model::run(&args[1])),
        Some("part-bare-laptop") => runtime.block_on(bare::laptop(&args[1..])),
        Some("part-bare-gateway") => runtime.block_on(bare::gateway(&args[1..])),
        // What callers cost, likewise.
        Some("callers") => runtime.block_on(callers::measure()),
        // The rules alone, over simulated companies.
        Some("anomalies") => anomalies::measure(),
        // The decision alone, in seconds rather than minutes.
        Some("policy") => {
            for policies in [1, 100, 1_000] {
                let [first, again] = [false, true].map(|again| policy::decision_micros(policies, again));
                println!(
                    "{policies:>5} policies: {first:.1} µs for a new caller, {again:.2} µs for the same again"
                );
            }
        }
        // The scribe, the ledger and the verifiable log alone.
        Some("audit") => audit::measure(&runtime, number(&args, 1, 10_000_000)),
        // The engine and the lanes alone.
        Some("masking") => masking::measure(),
        // Small requests alone: what a change of the path costs or saves.
        Some("requests") => requests(&runtime, number(&args, 1, 10_000), number(&args, 2, 5)),
        // What recording costs, over the same and not recorded.
        Some("recording") => recording(&runtime, number(&args, 1, 3)),
        Some("memory") => memory::measure(&runtime),
        Some("streams") => streams::measure(&runtime, number(&args, 1, 2_000), number(&args, 2, 60)),
        Some("soak") => soak::measure(&runtime, number(&args, 1, 20.0)),
        Some("round-trips") => far::round_trips(&runtime),
        Some("loss") => far::loss(&runtime, number(&args, 1, 1024)),
        _ => measure(&runtime, args.iter().any(|a| a == "--quick")),
    }
}

/// A number among the words, or what is usual.
fn number<T: std::str::FromStr>(args: &[String], at: usize, usual: T) -> T {
    match args.get(at) {
        None => usual,
        Some(word) => word.parse().unwrap_or_else(|_| panic!("`{word}` is no number")),
    }
}

/// Small requests, 32 at once: processor time of each process, per 10,000.
fn requests(runtime: &tokio::runtime::Runtime, total: usize, rounds: usize) {
    let world = shapes::World::start();
    let shapes = world.shapes();
    let mut spent = vec![Vec::new(); shapes.len()];
    for round in 0..rounds {
        for at in (0..shapes.len()).map(|n| (n + round) % shapes.len()) {
            let shape = &shapes[at];
            let target = runtime.block_on(shape.target());
            runtime.block_on(load::requests(&target, 32, total / 10));
            let cpu = |shape: &Shape| shape.processes().iter().map(process::Process::cpu).collect::<Vec<_>>();
            let before = cpu(shape);
            runtime.block_on(load::requests(&target, 32, total));
            let per = |(after, before): (f64, f64)| (after - before) * 10_000.0 / total as f64;
            spent[at].push(cpu(shape).into_iter().zip(before).map(per).collect::<Vec<_>>());
        }
    }
    println!(
        "small requests, 32 at once, CPU s per 10 k, median of {rounds} rounds: near process, far process"
    );
    for (shape, rounds) in shapes.iter().zip(&spent) {
        let parts = (0..shape.processes().len())
            .map(|part| median(&rounds.iter().map(|round| round[part]).collect::<Vec<_>>()));
        println!("{:<14}{}", shape.name, parts.map(|part| format!("{part:>8.2}")).collect::<String>());
    }
}

/// The table's rows with and without recordings.
fn recording(runtime: &tokio::runtime::Runtime, rounds: usize) {
    let world = shapes::World::start();
    let shapes = world.recorded();
    let size = Size {
        rounds,
        requests: 5_000,
        one_by_one: 1_000,
        bulk: 256 << 20,
        chunks: 200,
        connections: 500,
        idle: 0,
    };
    let mut report = Report::new(&shapes, &process::machine());
    for round in 0..size.rounds {
        for at in (0..shapes.len()).map(|n| (n + round) % shapes.len()) {
            runtime.block_on(one_round(&shapes[at], &size, &mut report));
        }
    }
    report.load_after(&process::load());
    println!("{}", report.over("recorded", "not recorded"));
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
    for (row, policies, again) in [
        ("policy decision, 1 policy, µs", 1, false),
        ("policy decision, 1,000 policies, µs", 1_000, false),
        ("policy decision of a caller who comes again, µs", 1_000, true),
    ] {
        let rounds: Vec<f64> =
            (0..size.rounds.max(3)).map(|_| policy::decision_micros(policies, again)).collect();
        report.add_single(row, median(&rounds));
    }
    let ingress = report.median("small requests, 32 at once, pair CPU s per 10 k", "ingress").unwrap();
    report.add_single("direct ingress: CPU µs per request", ingress * 100.0);
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
