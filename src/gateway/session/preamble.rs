//! The first frame of a stream, and the gateway's answer to it.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::{
    tunnel::{self, Stream, TunnelError},
    wire::{
        Refusal, VERSION, code,
        stream::{Answer, MAX_PREAMBLE, Preamble, Target, reset},
    },
};

/// For the whole preamble.
pub(super) const PREAMBLE_WITHIN: Duration = Duration::from_secs(10);
/// For the peer to read a refusal before the stream is reset.
const REFUSAL_WITHIN: Duration = Duration::from_secs(2);
/// The most that is read and forgotten meanwhile.
const DISCARD_AT_MOST: u64 = 64 * 1024;

/// What a stream's first frame asks for.
#[derive(Debug)]
pub(super) enum Entry {
    /// A target that this version knows.
    Welcome(Target),
    /// Nothing that can be served.
    Refused(Refusal),
    /// The peer left before it said anything whole.
    Gone,
}

/// Reads the preamble and nothing beyond it.
pub(super) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Entry {
    let read = tunnel::read_frame::<Preamble, _>(stream, MAX_PREAMBLE);
    match timeout(PREAMBLE_WITHIN, read).await {
        Ok(Ok(preamble)) if preamble.version == VERSION => Entry::Welcome(preamble.target),
        Ok(Ok(preamble)) => Entry::Refused(unknown_version(preamble.version)),
        Ok(Err(TunnelError::Protocol(cause))) => Entry::Refused(Refusal::new(
            code::BAD_REQUEST,
            format!("the stream's preamble makes no sense: {cause}"),
        )),
        Ok(Err(_)) => Entry::Gone,
        Err(_) => Entry::Refused(Refusal::new(
            code::BAD_REQUEST,
            "the stream's preamble did not arrive within ten seconds",
        )),
    }
}

/// The refusal of a version that this gateway does not speak.
pub(super) fn unknown_version(version: u32) -> Refusal {
    Refusal::new(
        code::VERSION,
        format!("the laptop speaks version {version} of the tunnel protocol, this gateway version {VERSION}"),
    )
    .remedy("install the hoopctl release that your gateway's operator recommends")
}

/// Says yes; false when nobody listens any more.
pub(super) async fn accept<W: AsyncWrite + Unpin>(stream: &mut W) -> bool {
    tunnel::write_frame(stream, &Answer::Ok).await.is_ok()
}

/// Says no, lets the peer read it, and resets the stream.
pub(super) async fn refuse(mut stream: Stream, refusal: Refusal) {
    // The peer that leaves early, or reads nothing, is only denied the explanation.
    let _ = timeout(REFUSAL_WITHIN, explain(&mut stream, refusal)).await;
    stream.reset(reset::PROTOCOL);
}

async fn explain<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    refusal: Refusal,
) -> Result<(), TunnelError> {
    let gone = |error: std::io::Error| TunnelError::Protocol(error.to_string());
    tunnel::write_frame(stream, &Answer::Refused(refusal)).await?;
    stream.shutdown().await.map_err(gone)?;
    let mut rest = stream.take(DISCARD_AT_MOST);
    let mut forgotten = [0; 1024];
    while rest.read(&mut forgotten).await.map_err(gone)? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::{io::duplex, time::Instant};

    use super::*;
    use crate::wire;

    async fn reading(words: &[u8]) -> Entry {
        let (mut peer, mut ours) = duplex(8 * 1024);
        peer.write_all(words).await.unwrap();
        peer.shutdown().await.unwrap();
        read(&mut ours).await
    }

    fn refused(entry: Entry) -> String {
        match entry {
            Entry::Refused(refusal) => refusal.code,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_preamble_is_read_to_its_last_byte_and_no_further() {
        let mut words = wire::encode(&Preamble::to(Target::Api)).unwrap();
        words.extend_from_slice(b"GET / HTTP/1.1\r\n");
        let (mut peer, mut ours) = duplex(8 * 1024);
        peer.write_all(&words).await.unwrap();
        assert!(matches!(read(&mut ours).await, Entry::Welcome(Target::Api)));
        let mut next = [0; 5];
        ours.read_exact(&mut next).await.unwrap();
        assert_eq!(&next, b"GET /");
    }

    #[tokio::test]
    async fn too_long_garbage_and_a_foreign_version_are_refused_with_their_code() {
        assert_eq!(refused(reading(&[0xff; 64]).await), code::BAD_REQUEST);
        assert_eq!(refused(reading(b"\x00\x05hello").await), code::BAD_REQUEST);
        assert_eq!(refused(reading(b"\x00\x02{}").await), code::BAD_REQUEST);
        let newer = wire::encode(&Preamble { version: 99, target: Target::Api }).unwrap();
        assert_eq!(refused(reading(&newer).await), code::VERSION);
    }

    #[tokio::test]
    async fn a_peer_that_leaves_early_is_gone_not_garbage() {
        assert!(matches!(reading(b"").await, Entry::Gone));
        assert!(matches!(reading(b"\x00").await, Entry::Gone));
    }

    #[tokio::test(start_paused = true)]
    async fn a_preamble_that_drips_is_refused_after_ten_seconds() {
        let (mut peer, mut ours) = duplex(8 * 1024);
        peer.write_all(b"\x00\x40{").await.unwrap();
        let begun = Instant::now();
        assert_eq!(refused(read(&mut ours).await), code::BAD_REQUEST);
        assert_eq!(begun.elapsed(), PREAMBLE_WITHIN);
    }
}
