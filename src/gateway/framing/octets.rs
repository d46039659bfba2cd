//! Classes of bytes, as the grammars of RFC 9110 and RFC 9112 have them.

/// RFC 9110 §5.6.2 `tchar`, as bits of two words: the bytes 0–63 and 64–127.
const TCHAR: [u64; 2] =
    words(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

const fn words(mut members: &[u8]) -> [u64; 2] {
    let (mut low, mut high) = (0, 0);
    while let [byte, rest @ ..] = members {
        if *byte < 64 {
            low |= 1 << *byte;
        } else {
            high |= 1 << (*byte - 64);
        }
        members = rest;
    }
    [low, high]
}

/// A whole token (RFC 9110 §5.6.2) of at least one byte.
pub(super) fn token(text: &[u8]) -> bool {
    let [low, high] = TCHAR;
    let is_tchar = |byte: &u8| match byte {
        0..=63 => low >> byte & 1 == 1,
        64..=127 => high >> (byte - 64) & 1 == 1,
        _ => false,
    };
    !text.is_empty() && text.iter().all(is_tchar)
}

/// RFC 9110 §5.5 `field-vchar`, blanks among them: no control byte but the tab. Written to be vectorised.
pub(super) fn field_value(value: &[u8]) -> bool {
    value.iter().fold(true, |good, byte| good & (((*byte >= b' ') & (*byte != 0x7f)) | (*byte == b'\t')))
}

/// The bytes of a path and query that a [`http::Uri`] carries as they are. More than RFC 3986 has, since applications send more; no
/// `#`, whose rest every reader drops, and nothing beyond ASCII.
pub(super) fn path_and_query(target: &[u8]) -> bool {
    let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at_checked(end).unwrap_or((target, &[]));
    let visible = |byte: &u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'#' | b'<' | b'>');
    path.iter().all(|byte| visible(byte) && *byte != b'`')
        && query.iter().all(|byte| visible(byte) && *byte != b'"')
}

/// Without blanks (SP, HTAB) at its ends.
pub(super) fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
