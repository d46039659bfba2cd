//! Frames: a 16-bit length and that much JSON.

use serde::{Serialize, de::DeserializeOwned};

/// The longest JSON text in one frame, in bytes. A renewal's certificate chain is the largest honest message.
pub const MAX_FRAME: usize = 16 * 1024;

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length prefix is above the bound of the place it came in.
    #[error("a message of {length} bytes is longer than the {bound} allowed here")]
    TooLong {
        /// Announced length, bytes.
        length: usize,
        /// The bound, bytes.
        bound: usize,
    },
    /// Not JSON, or not the expected message.
    #[error("a message is not understood: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Encodes one message.
///
/// # Errors
/// When its JSON is longer than [`MAX_FRAME`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0, 0];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 2;
    let prefix = u16::try_from(length)
        .ok()
        .filter(|_| length <= MAX_FRAME)
        .ok_or(FrameError::TooLong { length, bound: MAX_FRAME })?;
    if let Some(head) = bytes.get_mut(..2) {
        head.copy_from_slice(&prefix.to_be_bytes());
    }
    Ok(bytes)
}

/// Decodes the message at the start of `bytes`: the message and how many bytes it took, or `None` when more are needed.
///
/// # Errors
/// When the announced length is above `bound`, which is known from the first two bytes, or the text is not the expected message.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], bound: usize) -> Result<Option<(T, usize)>, FrameError> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<2>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*prefix));
    if length > bound {
        return Err(FrameError::TooLong { length, bound });
    }
    match rest.get(..length) {
        Some(text) => Ok(Some((serde_json::from_slice(text)?, 2 + length))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_cut_anywhere_asks_for_more_and_then_arrives_whole() {
        let frame = encode(&"hello").unwrap();
        for cut in 0..frame.len() {
            assert!(decode::<String>(&frame[..cut], MAX_FRAME).unwrap().is_none());
        }
        assert_eq!(decode::<String>(&frame, MAX_FRAME).unwrap(), Some(("hello".to_owned(), frame.len())));
    }

    #[test]
    fn a_length_above_the_bound_is_refused_before_its_bytes_arrive() {
        assert!(matches!(
            decode::<String>(&[0xff, 0xff], 4096),
            Err(FrameError::TooLong { length: 65_535, bound: 4096 })
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode::<serde_json::Value>(&bytes, MAX_FRAME);
        }
    }
}
