//! Many streams at once: each event of the model arrives, in its order, as the frame it was written as.

use bytes::Bytes;
use http_body_util::BodyExt;

use crate::{
    load::{self, Target},
    model,
    shapes::World,
};

/// What one stream saw.
#[derive(Default)]
struct Seen {
    events: u64,
    lost: u64,
    merged: u64,
    split: u64,
    delays: Vec<u64>,
}

/// `streams` of them over two laptops, one on each carrier, for so many seconds.
pub fn measure(runtime: &tokio::runtime::Runtime, streams: usize, seconds: u64) {
    let world = World::start();
    let shapes: Vec<_> = world.ours().into_iter().filter(|shape| shape.is_pair()).collect();
    let targets: Vec<Target> = shapes.iter().map(|shape| runtime.block_on(shape.target())).collect();
    let seen = runtime.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for at in 0..streams {
            all.spawn(one(targets[at % targets.len()].clone(), seconds));
        }
        all.join_all().await
    });
    let sum = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>();
    let events = sum(|seen| seen.events);
    let mut delays: Vec<u64> = seen.iter().flat_map(|seen| seen.delays.iter().copied()).collect();
    delays.sort_unstable();
    println!(
        "{streams} streams, an event every 10 ms each where the machine keeps up, for {seconds} s: {events} events, one every {:.1} ms of a stream",
        seconds as f64 * 1e3 * streams as f64 / events as f64
    );
    println!(
        "lost or out of order {}, merged with another {}, in more than one frame {}",
        sum(|seen| seen.lost),
        sum(|seen| seen.merged),
        sum(|seen| seen.split)
    );
    println!(
        "delay from the model's write, ms: p50 {:.2}, p99 {:.2}",
        delays[delays.len() / 2] as f64 / 1e6,
        delays[delays.len() * 99 / 100] as f64 / 1e6
    );
    assert_eq!(sum(|seen| seen.lost), 0, "events were lost");
    assert_eq!(sum(|seen| seen.merged), 0, "events were merged");
}

async fn one(target: Target, seconds: u64) -> Seen {
    let mut sender = load::connect(&target).await;
    let mut body = load::get(&mut sender, &target, &format!("/ticks/{seconds}")).await;
    let (mut seen, mut part) = (Seen::default(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.unwrap().into_data() else { continue };
        let now = model::now();
        seen.merged += u64::from(data.windows(2).filter(|pair| pair == b"\n\n").count() > 1);
        let whole = part.is_empty() && data.ends_with(b"\n\n");
        part.extend_from_slice(&data);
        if !part.ends_with(b"\n\n") {
            continue;
        }
        seen.split += u64::from(!whole);
        for event in events(&Bytes::from(std::mem::take(&mut part))) {
            let (number, said) = event;
            seen.lost += u64::from(number != seen.events);
            seen.events = number + 1;
            // A hundredth of them is enough for a median.
            if number % 100 == 0 {
                seen.delays.push(now.saturating_sub(said));
            }
        }
    }
    seen
}

/// Number and time of each event.
fn events(text: &Bytes) -> Vec<(u64, u64)> {
    let text = std::str::from_utf8(text).unwrap();
    let numbers = |event: &str| {
        let (number, said) = event.strip_prefix("data: ").unwrap().split_once(' ').unwrap();
        (number.parse().unwrap(), said.parse().unwrap())
    };
    text.split_terminator("\n\n").map(numbers).collect()
}
