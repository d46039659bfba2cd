//! Whole messages on a stream of bytes.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{TunnelError, error};
use crate::wire;

/// Reads one wire frame of at most `bound` bytes of JSON; never reads past it. Not cancel safe: after a timeout the stream is of no more use.
///
/// # Errors
/// [`TunnelError::Protocol`] when the message is longer than `bound` or not understood; [`TunnelError::Closed`] when the stream ended or was
/// reset before its end; what the connection ended with, when it did.
pub async fn read_frame<T: DeserializeOwned, R: AsyncRead + Unpin>(
    from: &mut R,
    bound: usize,
) -> Result<T, TunnelError> {
    let mut frame = vec![0; 2];
    from.read_exact(&mut frame).await.map_err(|e| broken(&e, "before a message"))?;
    // The length alone tells a frame that is too long, before anything is reserved for it.
    let decoded = wire::decode(&frame, bound).map_err(not_understood)?;
    if let Some((message, _)) = decoded {
        return Ok(message);
    }
    let length = frame.first_chunk().map_or(0, |prefix| usize::from(u16::from_be_bytes(*prefix)));
    frame.resize(2 + length, 0);
    let text = frame.get_mut(2..).unwrap_or_default();
    from.read_exact(text).await.map_err(|e| broken(&e, "in the middle of a message"))?;
    match wire::decode(&frame, bound).map_err(not_understood)? {
        Some((message, _)) => Ok(message),
        None => Err(TunnelError::Protocol("a message is cut short".to_owned())),
    }
}

/// Writes one wire frame and flushes.
///
/// # Errors
/// [`TunnelError::Protocol`] when the message is longer than a frame; what the stream or connection ended with, when it did.
pub async fn write_frame<T: Serialize, W: AsyncWrite + Unpin>(
    to: &mut W,
    message: &T,
) -> Result<(), TunnelError> {
    let frame = wire::encode(message).map_err(not_understood)?;
    to.write_all(&frame).await.map_err(|e| broken(&e, "while a message was written"))?;
    to.flush().await.map_err(|e| broken(&e, "while a message was written"))
}

fn not_understood(error: wire::FrameError) -> TunnelError {
    TunnelError::Protocol(error.to_string())
}

fn broken(error: &io::Error, when: &str) -> TunnelError {
    match error::of_io(error) {
        Some(known) => known,
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            TunnelError::closed(format!("the other side ended the stream {when}"))
        }
        None => TunnelError::closed(format!("{error} {when}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_is_read_to_its_last_byte_and_no_further() {
        let (mut near, mut far) = tokio::io::duplex(4096);
        write_frame(&mut near, &"hello").await.unwrap();
        near.write_all(b"GET / HTTP/1.1").await.unwrap();
        drop(near);
        assert_eq!(read_frame::<String, _>(&mut far, 100).await.unwrap(), "hello");
        let mut rest = String::new();
        far.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "GET / HTTP/1.1");
    }

    #[tokio::test]
    async fn a_wrong_frame_says_what_is_wrong_with_it() {
        let cases: [(&[u8], &str); 5] = [
            (b"", "before a message"),
            (b"\x00", "before a message"),
            (b"\x00\x05\"he", "in the middle of a message"),
            (b"\x00\x02xy", "not understood"),
            (b"\x10\x01", "4097 bytes is longer than the 4096 allowed"),
        ];
        for (bytes, words) in cases {
            let mut from = bytes;
            let error = read_frame::<String, _>(&mut from, 4096).await.unwrap_err().to_string();
            assert!(error.contains(words), "{bytes:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_message_longer_than_a_frame_is_not_sent() {
        let mut to = Vec::new();
        let error = write_frame(&mut to, &"x".repeat(wire::MAX_FRAME)).await.unwrap_err();
        assert!(matches!(error, TunnelError::Protocol(_)) && to.is_empty());
    }
}
