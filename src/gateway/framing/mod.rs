//! Strict HTTP/1 framing: where one message ends and the next begins, decided once, and nothing that could be decided twice let through.
//!
//! A [`Guard`] lies between a connection and hyper and reads the bytes on their way in. What it lets through has one reading by RFC
//! 9112, so that no hop behind it can find another message in it (request smuggling, RFC 9112 §11.2). It copies nothing and allocates
//! nothing when a head comes in one read; bodies are counted, not looked at. HTTP/2 has its framing from h2, and the rest from
//! [`check`].
//!
//! ```text
//! bytes ─▶ Guard ─▶ hyper           guard: holds a head back until it is whole
//!            │                      course: message after message      section: one head, or trailers, line by line
//!            └─ a fault: hyper gets a stand-in request, whose number the server compares: the refusal is an answer like any other
//! ```

mod chunks;
mod course;
mod fields;
mod guard;
mod interim;
mod octets;
mod section;
mod stand_in;
#[cfg(test)]
pub(in crate::gateway) mod tests;

pub(in crate::gateway) use fields::{check, lengths, trailer};
pub(in crate::gateway) use guard::{Answers, Guard, Requests, refused_by};

/// Longest head of a message, and longest trailer section, bytes.
pub(in crate::gateway) const MAX_HEAD: usize = 64 * 1024;
/// Most fields in a head, or in a trailer section. As many as hyper's parser has room for without asking for memory: where it is told
/// any number, it allocates for all of them with each head.
pub(in crate::gateway) const MAX_FIELDS: usize = 100;
/// Longest target of a request, bytes: four times what RFC 9110 §4.1 wants everybody to take.
pub(in crate::gateway) const MAX_TARGET: usize = 32 * 1024;
/// Longest line before a chunk, bytes, its extensions included.
const MAX_CHUNK_LINE: usize = 1024;

/// What is wrong with a message. Its text says so to the sender, and holds none of their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// RFC 9112 §2.2: lines end with CR LF.
    #[error("a line ends otherwise than with CR LF")]
    LineEnd,
    /// RFC 9112 §3: `METHOD SP target SP HTTP/1.x`, in one line. HTTP/0.9 has no version.
    #[error("the request line is not `METHOD TARGET HTTP/1.1`")]
    RequestLine,
    /// RFC 9110 §9.1: a token; servers differ in whether `get` is `GET`.
    #[error("the method is not an upper-case token that a model can be sent")]
    Method,
    /// RFC 9112 §3.2: origin form, absolute form, or `*`, of visible ASCII.
    #[error("the request's target holds a fragment, a byte that no URI has, or no path")]
    Target,
    /// RFC 9110 §15.5.15.
    #[error("the request's target is longer than {MAX_TARGET} bytes")]
    TargetLong,
    /// RFC 9112 §2.3.
    #[error("the HTTP version is none that is spoken here")]
    Version,
    /// RFC 9112 §4.
    #[error("the status line is not `HTTP/1.1 STATUS REASON`")]
    StatusLine,
    /// RFC 9112 §5, §5.1: no colon, no token, or a space before the colon.
    #[error("a header line is not `name: value`")]
    FieldName,
    /// RFC 9110 §5.5.
    #[error("a header's value holds a control byte")]
    FieldValue,
    /// RFC 9112 §5.2.
    #[error("a header is folded over two lines")]
    Folded,
    /// RFC 6585 §5.
    #[error("the headers are longer than {MAX_HEAD} bytes")]
    HeadLong,
    /// RFC 6585 §5.
    #[error("there are more than {MAX_FIELDS} headers")]
    ManyFields,
    /// RFC 9110 §8.6.
    #[error("Content-Length is not one plain decimal number")]
    Length,
    /// RFC 9112 §6.3.
    #[error("there is more than one Content-Length")]
    Lengths,
    /// RFC 9112 §6.3: the usual sign of a smuggled request.
    #[error("there is a Content-Length beside Transfer-Encoding")]
    LengthAndCoding,
    /// RFC 9112 §6.1.
    #[error("Transfer-Encoding is something else than `chunked` once")]
    Coding,
    /// RFC 9112 §6.1: HTTP/1.0 has none.
    #[error("there is a Transfer-Encoding in HTTP/1.0")]
    CodingVersion,
    /// RFC 9110 §10.1.1.
    #[error("nothing is expected here but `100-continue`")]
    Expectation,
    /// RFC 9112 §3.2, RFC 9113 §8.3.1.
    #[error("the request does not name one host, once")]
    Host,
    /// RFC 9113 §8.2.
    #[error("a header that only HTTP/1 has, or blanks around a value, in HTTP/2")]
    Http2Field,
    /// RFC 9112 §7.1.
    #[error("a chunk's size is not a hexadecimal number that a size can be")]
    ChunkSize,
    /// RFC 9112 §7.1.1.
    #[error("a chunk's extensions are malformed or too long")]
    ChunkExtension,
    /// RFC 9112 §7.1.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// RFC 9110 §6.5.1.
    #[error("the trailers hold a field that belongs into the head")]
    Trailer,
    /// RFC 9110 §7.8.
    #[error("bytes follow a request to leave HTTP before its answer")]
    Early,
    /// RFC 9112 §9.2.
    #[error("bytes came that answer no request")]
    Unasked,
}
