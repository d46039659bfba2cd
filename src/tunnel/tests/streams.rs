//! What streams and connections promise once they stand.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

use crate::{
    tls::Handshake,
    tunnel::{
        MAX_STREAMS, Side, Spliced, Stream, TunnelError, read_frame, reset_code, splice,
        world::{BOTH, Pair},
        write_frame,
    },
    wire::stream::reset,
};

#[tokio::test]
async fn a_peer_that_leaves_after_its_fin_is_noticed_and_one_that_listens_is_not() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let (mut near, mut far) = pair.stream().await;
        near.shutdown().await.unwrap();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        let left = async |far: &mut Stream| std::future::poll_fn(|cx| far.poll_left(cx)).await;
        far.write_all(b"half").await.unwrap();
        near.read_exact(&mut [0; 4]).await.unwrap();
        assert!(timeout(Duration::from_millis(50), left(&mut far)).await.is_err(), "{carrier}: it listens");
        drop(near);
        timeout(Duration::from_secs(30), left(&mut far)).await.unwrap();
    }
}

async fn read_all(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    all
}

/// The code that reading ends with.
async fn read_reset(stream: &mut Stream) -> Option<u32> {
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    reset_code(&error)
}

/// The code that writing ends with.
async fn write_reset(stream: &mut Stream) -> Option<u32> {
    loop {
        if let Err(error) = stream.write_all(&[0; 4096]).await {
            return reset_code(&error);
        }
        tokio::task::yield_now().await;
    }
}

/// Bytes that tell their place; `length` is at most 128 KiB.
fn pattern(from: usize, length: usize) -> &'static [u8] {
    // A prime, so that no power of two in the carriers hides a shift.
    const PERIOD: usize = 65_521;
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0..PERIOD + 128 * 1024).map(|at| ((at % PERIOD).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    });
    &BYTES[from % PERIOD..][..length]
}

async fn send_pattern(stream: &mut (impl tokio::io::AsyncWrite + Unpin), total: usize) {
    for at in (0..total).step_by(50_000) {
        stream.write_all(pattern(at, 50_000.min(total - at))).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

async fn check_pattern(stream: &mut (impl tokio::io::AsyncRead + Unpin), total: usize) {
    let (mut at, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        if read == 0 {
            assert_eq!(at, total);
            return;
        }
        assert!(buffer[..read] == *pattern(at, read), "bytes from {at} differ");
        at += read;
    }
}

#[tokio::test]
async fn a_connection_knows_its_peer_and_how_it_was_encrypted() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        for end in [&pair.laptop, &pair.gateway] {
            assert_eq!(end.transport(), carrier);
            assert_eq!(end.handshake().group, Handshake::of_quic().group);
            assert_eq!(end.handshake().tls, "TLSv1.3");
            assert_eq!(end.peer_chain().len(), 1);
            assert!(end.remote_address().ip().is_loopback());
        }
        assert_ne!(pair.laptop.peer_chain(), pair.gateway.peer_chain());
    }
}

#[tokio::test]
async fn frames_and_bytes_are_echoed() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let mut near = pair.laptop.open().await.unwrap();
        write_frame(&mut near, &"ping").await.unwrap();
        let mut far = pair.gateway.accept().await.unwrap();
        assert_eq!(read_frame::<String, _>(&mut far, 64).await.unwrap(), "ping");
        write_frame(&mut far, &"pong").await.unwrap();
        assert_eq!(read_frame::<String, _>(&mut near, 64).await.unwrap(), "pong");
        write_frame(&mut near, &"a message longer than the bound").await.unwrap();
        let error = read_frame::<String, _>(&mut far, 8).await.unwrap_err();
        assert!(matches!(error, TunnelError::Protocol(_)), "{carrier}: {error}");
    }
}

#[tokio::test]
async fn either_direction_ends_alone() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let (mut near, mut far) = pair.stream().await;
        near.write_all(b"question").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(read_all(&mut far).await, b"question");
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(read_all(&mut near).await, b"answer");

        let (mut near, mut far) = pair.stream().await;
        far.shutdown().await.unwrap();
        assert_eq!(read_all(&mut near).await, b"");
        near.write_all(b"still sending").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(read_all(&mut far).await, b"still sending");
        assert_eq!(
            near.write(b"x").await.unwrap_err().kind(),
            std::io::ErrorKind::BrokenPipe,
            "{carrier}: after FIN"
        );
    }
}

#[tokio::test]
async fn a_reset_carries_its_code_to_reader_and_writer() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        for code in [reset::LEFT, reset::CUT, reset::REVOKED, reset::PROTOCOL, reset::DRAINING] {
            let (mut near, mut far) = pair.stream().await;
            near.reset(code);
            assert_eq!(read_reset(&mut far).await, Some(code), "{carrier}: laptop resets, gateway reads");
            let (mut near, mut far) = pair.stream().await;
            far.reset(code);
            assert_eq!(read_reset(&mut near).await, Some(code), "{carrier}: gateway resets, laptop reads");
            let (mut near, mut far) = pair.stream().await;
            near.reset(code);
            assert_eq!(write_reset(&mut far).await, Some(code), "{carrier}: laptop resets, gateway writes");
            let (mut near, mut far) = pair.stream().await;
            far.reset(code);
            assert_eq!(write_reset(&mut near).await, Some(code), "{carrier}: gateway resets, laptop writes");
        }
    }
}

#[tokio::test]
async fn a_dropped_stream_says_left_and_never_looks_whole() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let (mut near, mut far) = pair.stream().await;
        near.write_all(b"half a message").await.unwrap();
        drop(near);
        assert_eq!(read_reset(&mut far).await, Some(reset::LEFT), "{carrier}");
        let (mut near, far) = pair.stream().await;
        drop(far);
        assert_eq!(read_reset(&mut near).await, Some(reset::LEFT), "{carrier}");
    }
}

#[tokio::test]
async fn a_finished_answer_arrives_whole_although_its_writer_leaves_before_the_question_ends() {
    const ANSWER: usize = 1 << 20;
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let (mut near, mut far) = pair.stream().await;
        let answering = tokio::spawn(async move { send_pattern(&mut far, ANSWER).await });
        check_pattern(&mut near, ANSWER).await;
        answering.await.unwrap();
        assert_eq!(write_reset(&mut near).await, Some(reset::LEFT), "{carrier}");

        let (mut near, mut far) = pair.stream().await;
        near.write_all(b"all of it").await.unwrap();
        near.shutdown().await.unwrap();
        drop(near);
        assert_eq!(read_all(&mut far).await, b"all of it", "{carrier}");
        assert_eq!(write_reset(&mut far).await, Some(reset::LEFT), "{carrier}");
    }
}

/// Writes the pattern and counts what was taken.
async fn send_counted(mut stream: Stream, total: usize, taken: Arc<AtomicUsize>) {
    for at in (0..total).step_by(32 * 1024) {
        stream.write_all(pattern(at, 32 * 1024)).await.unwrap();
        taken.fetch_add(32 * 1024, Ordering::SeqCst);
    }
    stream.shutdown().await.unwrap();
}

/// The count, once it no longer grows.
async fn settled(count: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    loop {
        let now = count.load(Ordering::SeqCst);
        if now == before && now > 0 {
            return now;
        }
        before = now;
        sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn readers_that_do_not_read_stop_their_writers_and_nobody_else() {
    const TOTAL: usize = 4 << 20;
    const STALLED: usize = 16;
    let window = Side::Gateway.stream_window() as usize;
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let taken = Arc::new(AtomicUsize::new(0));
        let mut stalled = Vec::new();
        for _ in 0..STALLED {
            let (near, far) = pair.stream().await;
            stalled.push((tokio::spawn(send_counted(near, TOTAL, Arc::clone(&taken))), far));
        }
        let each = settled(&taken).await / STALLED;
        assert!(each > window / 2 && each <= window + (512 << 10), "{carrier}: {each} bytes were taken");
        let (mut other, mut end) = pair.stream().await;
        other.write_all(b"passes").await.unwrap();
        end.read_exact(&mut [0; 6]).await.unwrap();
        for (writing, mut far) in stalled {
            check_pattern(&mut far, TOTAL).await;
            writing.await.unwrap();
        }
    }
}

#[tokio::test]
async fn many_megabytes_arrive_byte_for_byte_both_ways_at_once() {
    const TOTAL: usize = 64 << 20;
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let (near, far) = pair.stream().await;
        let ends = [near, far].map(|end| {
            tokio::spawn(async move {
                let (mut reader, mut writer) = tokio::io::split(end);
                tokio::join!(send_pattern(&mut writer, TOTAL), check_pattern(&mut reader, TOTAL));
            })
        });
        for end in ends {
            end.await.unwrap();
        }
    }
}

#[tokio::test]
async fn hundreds_of_streams_run_at_once() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let gateway = pair.gateway.clone();
        let echoing = tokio::spawn(async move {
            while let Ok(mut stream) = gateway.accept().await {
                tokio::spawn(async move {
                    let asked = read_all(&mut stream).await;
                    stream.write_all(&asked).await.unwrap();
                    stream.shutdown().await.unwrap();
                });
            }
        });
        let asks = (0..400_usize).map(|n| {
            let laptop = pair.laptop.clone();
            async move {
                let mut stream = laptop.open().await.unwrap();
                let question = pattern(n, 3000);
                stream.write_all(question).await.unwrap();
                stream.shutdown().await.unwrap();
                assert_eq!(read_all(&mut stream).await, question);
            }
        });
        join_all(asks).await;
        drop(pair);
        echoing.await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_too_many_waits_for_its_turn() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let mut open = Vec::new();
        for _ in 0..MAX_STREAMS {
            open.push(pair.stream().await);
        }
        let mut next = Box::pin(pair.laptop.open());
        assert!(futures_util::poll!(&mut next).is_pending(), "{carrier}");
        // QUIC gives slots back by the eighth.
        open.truncate(MAX_STREAMS as usize / 2);
        next.await.unwrap();
    }
}

#[tokio::test]
async fn a_splice_carries_each_end_and_every_byte_through_the_tunnel() {
    const TOTAL: usize = 8 << 20;
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let (mut near, mut far) = pair.stream().await;
        let (mut app, mut port) = tokio::io::duplex(32 * 1024);
        let (mut leg, mut model) = tokio::io::duplex(32 * 1024);
        let laptop = tokio::spawn(async move { splice(&mut port, &mut near).await.unwrap() });
        let gateway = tokio::spawn(async move { splice(&mut far, &mut leg).await.unwrap() });
        tokio::join!(send_pattern(&mut app, TOTAL), check_pattern(&mut model, TOTAL));
        tokio::join!(send_pattern(&mut model, TOTAL / 2), check_pattern(&mut app, TOTAL / 2));
        let moved = Spliced { to_b: TOTAL as u64, to_a: TOTAL as u64 / 2 };
        assert_eq!((laptop.await.unwrap(), gateway.await.unwrap()), (moved, moved), "{carrier}");
    }
}

#[tokio::test]
async fn a_splice_ends_with_the_code_its_tunnel_was_reset_with() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let (mut near, mut far) = pair.stream().await;
        let (_app, mut port) = tokio::io::duplex(64);
        far.reset(reset::REVOKED);
        let error = splice(&mut port, &mut near).await.unwrap_err();
        assert_eq!(reset_code(&error), Some(reset::REVOKED), "{carrier}");
    }
}

#[tokio::test]
async fn closing_tells_the_peer_and_every_stream() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        let (mut near, _far) = pair.stream().await;
        pair.gateway.close(reset::REVOKED, "revoked by an administrator");
        for error in [
            pair.laptop.closed().await,
            pair.laptop.open().await.unwrap_err(),
            read_frame::<String, _>(&mut near, 64).await.unwrap_err(),
        ] {
            let TunnelError::Closed { code, reason } = error else { panic!("{carrier}: {error}") };
            assert_eq!(code, Some(reset::REVOKED), "{carrier}: {reason}");
        }
        assert!(matches!(pair.gateway.closed().await, TunnelError::Closed { .. }));
        assert!(matches!(pair.gateway.accept().await, Err(TunnelError::Closed { .. })));
    }
}

#[tokio::test]
async fn the_last_clone_dropped_closes_the_connection_under_its_streams() {
    for carrier in BOTH {
        let Pair { laptop, gateway, listening: _listening } = Pair::over(carrier).await;
        let mut stream = laptop.open().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        let clone = laptop.clone();
        drop(laptop);
        let mut far = gateway.accept().await.unwrap();
        drop(clone);
        assert!(matches!(gateway.closed().await, TunnelError::Closed { .. }), "{carrier}");
        assert!(far.read_to_end(&mut Vec::new()).await.is_err(), "{carrier}: a cut stream never looks whole");
        assert!(stream.read_u8().await.is_err(), "{carrier}");
    }
}

#[tokio::test]
async fn only_the_laptop_opens_streams() {
    for carrier in BOTH {
        let pair = Pair::over(carrier).await;
        assert!(matches!(pair.gateway.open().await, Err(TunnelError::Protocol(_))), "{carrier}");
    }
}
