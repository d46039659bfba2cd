//! What a connection does when the network under it changes.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::tunnel::{
    Connection, Transport,
    world::{BOTH, Pair},
};

/// Nothing in a test takes this long.
const LONG: Duration = Duration::from_secs(30);

async fn heard_more_than(connection: &Connection, before: u64) {
    timeout(LONG, async {
        while connection.heard() <= before {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn whoever_is_asked_gives_a_sign_of_life() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        // More often than anything left of the handshake could answer for.
        for _ in 0..30 {
            let before = pair.laptop.heard();
            pair.laptop.ping();
            heard_more_than(&pair.laptop, before).await;
        }
    }
}

#[tokio::test]
async fn streams_go_on_from_another_socket() {
    let pair = Pair::over(Transport::Quic).await;
    let (mut near, mut far) = pair.stream().await;
    for _ in 0..5 {
        let before = pair.gateway.remote_address();
        pair.laptop.move_on();
        near.write_all(b"question").await.unwrap();
        let mut heard = [0; 8];
        timeout(LONG, far.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard, b"question");
        assert_ne!(pair.gateway.remote_address(), before, "the gateway sees it elsewhere");
        far.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        timeout(LONG, near.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"answer");
    }
}
