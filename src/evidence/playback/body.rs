//! Bodies as they were before they were compressed.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use super::words::header;

/// Bytes that are unpacked at once: what they become is bounded by how far they can be stretched.
const SLICE: usize = 512;

/// Undoes the compression of one body (`Content-Encoding`), piece by piece.
pub struct Unpacked {
    /// `None`: the bytes are as they are.
    way: Option<Way>,
}

struct Way {
    decoder: Box<dyn Write + Send>,
    out: Out,
    broken: bool,
}

impl Unpacked {
    /// For a body with these headers.
    pub fn new(headers: &[(String, String)]) -> Self {
        let coding = header(headers, "content-encoding").unwrap_or_default().trim().to_ascii_lowercase();
        let out = Out::default();
        let decoder: Option<Box<dyn Write + Send>> = match coding.as_str() {
            "gzip" | "x-gzip" => Some(Box::new(flate2::write::MultiGzDecoder::new(out.clone()))),
            "deflate" => Some(Box::new(flate2::write::ZlibDecoder::new(out.clone()))),
            "zstd" => {
                zstd::stream::write::Decoder::new(out.clone()).ok().map(|decoder| Box::new(decoder) as _)
            }
            _ => None,
        };
        Self { way: decoder.map(|decoder| Way { decoder, out, broken: false }) }
    }

    /// Whether the body is compressed in a way that is not understood, and which.
    pub fn unknown(headers: &[(String, String)]) -> Option<&str> {
        let coding = header(headers, "content-encoding")?.trim();
        let known = ["", "identity", "gzip", "x-gzip", "deflate", "zstd"];
        (!known.iter().any(|one| coding.eq_ignore_ascii_case(one))).then_some(coding)
    }

    /// The next bytes, and what they were; in pieces.
    pub fn feed(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8])) {
        let Some(way) = &mut self.way else { return take(bytes) };
        for slice in bytes.chunks(SLICE) {
            // What is behind the point where it stopped making sense is passed over: it was no text either.
            way.broken = way.broken || way.decoder.write_all(slice).is_err() || way.decoder.flush().is_err();
            let unpacked = way.out.drain();
            if !unpacked.is_empty() {
                take(&unpacked);
            }
        }
    }

    /// Whether the body was not what its headers say.
    pub fn is_broken(&self) -> bool {
        self.way.as_ref().is_some_and(|way| way.broken)
    }
}

/// Where a decoder writes.
#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Out {
    fn drain(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
