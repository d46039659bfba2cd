//! Answers that are compressed (RFC 9110 §8.4): what masks them reads them, and they go on as they are.

use std::io::{self, Write};

use super::NotUnderstood;

/// The most bytes that one piece may become: a bomb ends the answer.
const MOST: usize = 64 * 1024 * 1024;

/// One answer's `Content-Encoding`, undone.
pub struct Decoder(Kind);

#[expect(clippy::large_enum_variant, reason = "one per answer, and boxed where it lies")]
enum Kind {
    Gzip(flate2::write::MultiGzDecoder<Bounded>),
    Zlib(flate2::write::ZlibDecoder<Bounded>),
    Deflate(flate2::write::DeflateDecoder<Bounded>),
    /// `deflate` whose first byte says which of the two it is: servers send both.
    Unknown,
    Brotli(brotli_decompressor::DecompressorWriter<Bounded>),
    Zstd(zstd::stream::write::Decoder<'static, Bounded>),
}

/// What has been written and not taken.
#[derive(Debug, Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    /// The decoder of a `Content-Encoding`; `None` of one that is not known, or of several.
    pub fn of(encoding: &str) -> Option<Self> {
        let sink = Bounded::default();
        Some(Self(match encoding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Kind::Gzip(flate2::write::MultiGzDecoder::new(sink)),
            "deflate" => Kind::Unknown,
            "br" => Kind::Brotli(brotli_decompressor::DecompressorWriter::new(sink, 4096)),
            "zstd" => Kind::Zstd(zstd::stream::write::Decoder::new(sink).ok()?),
            _ => return None,
        }))
    }

    /// Takes compressed bytes and gives what they say.
    ///
    /// # Errors
    /// When they are broken, or become more than 64 MiB at once.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, NotUnderstood> {
        if let (Kind::Unknown, Some(first)) = (&self.0, bytes.first()) {
            // RFC 1950: the method is 8. No deflate block of RFC 1951 begins so but by chance in a stored one.
            self.0 = if first & 0x0f == 8 {
                Kind::Zlib(flate2::write::ZlibDecoder::new(Bounded::default()))
            } else {
                Kind::Deflate(flate2::write::DeflateDecoder::new(Bounded::default()))
            };
        }
        let (written, sink) = match &mut self.0 {
            Kind::Gzip(decoder) => (write(decoder, bytes), decoder.get_mut()),
            Kind::Zlib(decoder) => (write(decoder, bytes), decoder.get_mut()),
            Kind::Deflate(decoder) => (write(decoder, bytes), decoder.get_mut()),
            Kind::Brotli(decoder) => (write(decoder, bytes), decoder.get_mut()),
            Kind::Zstd(decoder) => (write(decoder, bytes), decoder.get_mut()),
            Kind::Unknown => return Ok(Vec::new()),
        };
        written.map_err(|_| NotUnderstood::Malformed("its compression is broken, or it becomes too long"))?;
        Ok(std::mem::take(&mut sink.0))
    }

    /// The end: whether nothing is missing.
    ///
    /// # Errors
    /// When the compressed bytes are not complete.
    pub fn finish(&mut self) -> Result<Vec<u8>, NotUnderstood> {
        const CUT: NotUnderstood =
            NotUnderstood::Malformed("its compressed bytes end before they are complete");
        match &mut self.0 {
            Kind::Gzip(decoder) => decoder.try_finish().map_err(|_| CUT)?,
            Kind::Zlib(decoder) => decoder.try_finish().map_err(|_| CUT)?,
            Kind::Deflate(decoder) => decoder.try_finish().map_err(|_| CUT)?,
            Kind::Brotli(decoder) => decoder.close().map_err(|_| CUT)?,
            Kind::Zstd(decoder) => decoder.flush().map_err(|_| CUT)?,
            Kind::Unknown => {}
        }
        self.push(&[])
    }
}

fn write(decoder: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    decoder.write_all(bytes)?;
    decoder.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(encoding: &str, text: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match encoding {
            "gzip" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            _ => zstd::stream::encode_all(text, 3).unwrap(),
        }
    }

    #[test]
    fn every_encoding_is_read_whatever_the_cuts() {
        let text = "data: hello\n\n".repeat(50);
        for encoding in ["gzip", "deflate", "zstd"] {
            let bytes = compressed(encoding, text.as_bytes());
            for cut in 0..bytes.len() {
                let mut decoder = Decoder::of(encoding).unwrap();
                let mut out = decoder.push(&bytes[..cut]).unwrap();
                out.extend(decoder.push(&bytes[cut..]).unwrap());
                out.extend(decoder.finish().unwrap());
                assert_eq!(out, text.as_bytes(), "{encoding} {cut}");
            }
        }
        // RFC 7932's own form of an uncompressed block: `hello`.
        let brotli = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        let mut decoder = Decoder::of("br").unwrap();
        let mut out = decoder.push(&brotli[..4]).unwrap();
        out.extend(decoder.push(&brotli[4..]).unwrap());
        out.extend(decoder.finish().unwrap());
        assert_eq!(out, b"hello");
    }

    #[test]
    fn what_is_broken_or_a_bomb_ends_the_answer() {
        assert!(Decoder::of("compress").is_none() && Decoder::of("gzip, br").is_none());
        for encoding in ["gzip", "deflate", "zstd", "br"] {
            let mut decoder = Decoder::of(encoding).unwrap();
            let broken = [&[0x78][..], &[0xff; 40]].concat();
            assert!(decoder.push(&broken).is_err(), "{encoding}");
        }
        let bytes = compressed("gzip", b"hello");
        let mut decoder = Decoder::of("gzip").unwrap();
        decoder.push(&bytes[..bytes.len() - 3]).unwrap();
        assert!(decoder.finish().is_err());
        let bomb = compressed("zstd", &vec![0; MOST + 1]);
        assert!(Decoder::of("zstd").unwrap().push(&bomb).is_err());
    }
}
