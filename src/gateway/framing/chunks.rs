//! A chunked body (RFC 9112 §7.1): sizes are read, data is only counted.

use super::{MAX_CHUNK_LINE, Malformed};

/// Where in the chunks the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a size of so many digits.
    Size(u8),
    /// In the extensions behind it.
    Extension,
    /// Behind the CR of a chunk's first line.
    LineEnd,
    /// In the data, so many bytes of which are to come.
    Data,
    /// Behind the data: its CR, then its LF.
    DataCr,
    DataLf,
}

/// A chunked body while it comes.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    size: u64,
    /// Length of the line under way.
    line: usize,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self { at: At::Size(0), size: 0, line: 0 }
    }

    /// Reads on: how many of the bytes belong to the chunks, and whether the last chunk's line was among them; trailers follow it.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), (usize, Malformed)> {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            if self.at == At::Data {
                let there = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(self.size);
                self.size -= there;
                // As many as there are, which a usize counted.
                used += usize::try_from(there).unwrap_or(rest.len());
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            let Some(byte) = rest.first() else { break };
            let ended = self.step(*byte).map_err(|malformed| (used, malformed))?;
            used += 1;
            if ended {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// Takes one byte that is not data; true behind the line of the last chunk.
    fn step(&mut self, byte: u8) -> Result<bool, Malformed> {
        self.line += 1;
        if self.line > MAX_CHUNK_LINE {
            return Err(Malformed::ChunkExtension);
        }
        self.at = match (self.at, byte) {
            (At::Size(digits), byte) if byte.is_ascii_hexdigit() => {
                // Sixteen digits are 64 bits; of these one stays free, as with a length.
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                if digits == 16 || self.size >> 59 != 0 {
                    return Err(Malformed::ChunkSize);
                }
                self.size = self.size << 4 | u64::from(digit);
                At::Size(digits + 1)
            }
            (At::Size(0), _) => return Err(Malformed::ChunkSize),
            (At::Size(_), b'\r') => At::LineEnd,
            (At::Size(_), b';') => At::Extension,
            (At::Size(_), _) => return Err(Malformed::ChunkSize),
            (At::Extension, b'\r') => At::LineEnd,
            (At::Extension, b'\t' | b' '..=b'~' | 0x80..) => At::Extension,
            (At::Extension, _) => return Err(Malformed::ChunkExtension),
            (At::LineEnd, b'\n') => {
                self.line = 0;
                if self.size == 0 {
                    return Ok(true);
                }
                At::Data
            }
            (At::LineEnd, _) => return Err(Malformed::LineEnd),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => {
                self.line = 0;
                At::Size(0)
            }
            (At::DataCr | At::DataLf | At::Data, _) => return Err(Malformed::ChunkEnd),
        };
        Ok(false)
    }
}
