//! The request that hyper is given in place of a malformed one, so that its refusal is an answer like any other: in its turn, in the
//! caller's own terms, in the audit log.

use super::section;

/// What the refusal is made by: who calls, for which program, in whose terms. Nothing else of the head is taken over.
const KEPT: [&[u8]; 9] = [
    b"anthropic-version",
    b"api-key",
    b"authorization",
    b"content-type",
    b"origin",
    b"sec-fetch-site",
    b"user-agent",
    b"x-api-key",
    b"x-goog-api-key",
];

/// Longest target and value taken over, bytes.
const MAX_KEPT: usize = 8 * 1024;
/// Most lines looked at.
const MAX_LINES: usize = 64;

/// A well-formed request without a body, after which the connection closes. `malformed` is what came of the other one.
pub(super) fn of(malformed: &[u8]) -> Vec<u8> {
    let mut lines =
        malformed.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let (method, target) = match section::request_line(first) {
        Ok((method, target, _)) if target.len() <= MAX_KEPT => (method, target),
        _ => (&b"GET"[..], path_of(first).unwrap_or(b"/")),
    };
    let mut request = [method, b" ", target, b" HTTP/1.1\r\nconnection: close\r\n"].concat();
    for line in lines.take_while(|line| !line.is_empty()).take(MAX_LINES) {
        if let Ok((name, value)) = section::field(line)
            && KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept))
            && value.len() <= MAX_KEPT
            && request.len() <= 4 * MAX_KEPT
        {
            request.extend([name, b": ", value, b"\r\n"].concat());
        }
    }
    request.extend(b"\r\n");
    request
}

/// The path in a request line that is wrong, as far as it is none of the wrong.
fn path_of(line: &[u8]) -> Option<&[u8]> {
    // A whole URI has its path behind its authority.
    let scheme = line.windows(3).position(|window| window == b"://").map_or(0, |at| at + 3);
    let rest = line.get(scheme..)?;
    let target = rest.get(rest.iter().position(|byte| *byte == b'/')?..)?;
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(byte);
    let end = target.iter().take(MAX_KEPT).position(|byte| !good(byte)).unwrap_or(target.len().min(MAX_KEPT));
    target.get(..end)
}
