//! What 1,500 requests of 150 kB at once take, and what the processes give back; and what they hold while nothing happens.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    load,
    process::Process,
    shapes::{Shape, World},
};

const REQUESTS: usize = 1_500;
const BYTES: usize = 150_000;
const SETTLE: Duration = Duration::from_secs(20);

/// Measures and prints.
pub fn measure(runtime: &tokio::runtime::Runtime) {
    let world = World::start();
    let body = Bytes::from(vec![b'x'; BYTES]);
    println!(
        "{REQUESTS} requests of {BYTES} bytes at once, resident MiB: before, at the peak, {} s after",
        SETTLE.as_secs()
    );
    for shape in world.ours() {
        let before = residents(&shape);
        let target = runtime.block_on(shape.target());
        let answered = runtime.block_on(load::uploads(&target, REQUESTS, &body));
        let peak: Vec<f64> = shape.processes().iter().map(Process::peak_kib).collect();
        std::thread::sleep(SETTLE);
        let after = residents(&shape);
        // A laptop stands before its gateway; direct ingress has the gateway alone.
        let names = ["laptop", "gateway"];
        for (at, name) in names[names.len() - before.len()..].iter().enumerate() {
            println!(
                "{:<14}{name:<9}{:>8.1}{:>8.1}{:>8.1}   {answered} answered",
                shape.name,
                before[at] / 1024.0,
                peak[at] / 1024.0,
                after[at] / 1024.0
            );
        }
    }
}

fn residents(shape: &Shape) -> Vec<f64> {
    shape.processes().iter().map(Process::resident_kib).collect()
}
