//! One spelling of path and query: what goes out and what is signed cannot be read in two ways.

use std::fmt::Write;

use http::{Uri, uri::PathAndQuery};

use crate::gateway::upstream::UpstreamError;

/// Writes the target the way AWS's reference encodes it, so that servers that sign what they received and servers that
/// sign what they decoded agree: everything but letters, digits, `-._~` and the separators as `%XX`, and `+` in a query as the
/// space that forms mean by it.
///
/// # Errors
/// For a segment that is `.` or `..`, however it is spelt: written plainly it would lead elsewhere than policy was asked for.
pub(super) fn respell(uri: &Uri) -> Result<Uri, UpstreamError> {
    // `OPTIONS *` has nothing to spell.
    if uri.path() == "*" {
        return Ok(uri.clone());
    }
    let mut segments = Vec::new();
    for segment in uri.path().split('/') {
        let segment = decode(segment, false);
        if matches!(segment.as_slice(), b"." | b"..") {
            return Err(UpstreamError::DotSegment);
        }
        segments.push(encode(&segment));
    }
    let path = segments.join("/");
    let target = match uri.query() {
        Some(query) => {
            let query = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, value)) => {
                    format!("{}={}", encode(&decode(name, true)), encode(&decode(value, true)))
                }
                None => encode(&decode(pair, true)),
            });
            format!("{path}?{}", query.collect::<Vec<_>>().join("&"))
        }
        None => path,
    };
    let unwritable = || UpstreamError::Credential {
        cause: "the request's path cannot be written for a signature".to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| unwritable())?);
    Uri::from_parts(parts).map_err(|_| unwritable())
}

/// The canonical path. For all services but S3 without empty and dot segments, and each segment encoded once more.
pub(super) fn canonical_path(path: &str, service: &str) -> String {
    if service == "s3" {
        return if path.is_empty() { "/".to_owned() } else { path.to_owned() };
    }
    let mut kept: Vec<String> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(encode(segment.as_bytes())),
        }
    }
    let folder = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end)) && !kept.is_empty();
    format!("/{}{}", kept.join("/"), if folder { "/" } else { "" })
}

/// The canonical query: sorted by name, then by value. It is in the one spelling already.
pub(super) fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What `%XX` stands for; a `%` without two digits stands for itself.
fn decode(text: &str, plus_is_space: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (first, after) {
            (b'%', [high, low, left @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = left;
                    high << 4 | low
                }
                _ => b'%',
            },
            (b'+', _) if plus_is_space => b' ',
            (byte, _) => *byte,
        });
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
