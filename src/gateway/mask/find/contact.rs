//! Mail addresses (RFC 5321), passwords in URLs (RFC 3986), wallet addresses.

use super::{
    super::{
        check,
        entity::Entity,
        input::{Input, class},
        labels::Label,
    },
    Body, Found, Site,
};

/// RFC 5321: a local part of at most 64 octets, a domain of at most 255.
const LOCAL: usize = 64;
const DOMAIN: usize = 255;

/// Where the mail address at the site ends.
pub(super) fn email(site: &Site<'_>) -> Option<usize> {
    let (input, at) = (site.input, site.at);
    let end = local(input, at)?;
    let domain = match input.byte(end) {
        b'@' => end + 1,
        b'%' if input.starts(end, b"%40") => end + 3,
        _ => return None,
    };
    let last = domain_end(input, domain)?;
    // `git@github.com:acme/api.git` is a place, not a person.
    let repository = input.byte(last) == b':' && class::of(input.byte(last + 1)) & class::LETTER != 0;
    let shell = repository && input.slice(at, end) == b"git";
    (!shell).then_some(last)
}

fn local(input: &Input<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    while end - at <= LOCAL {
        let byte = input.byte(end);
        if class::of(byte) & class::ALNUM != 0
            || matches!(byte, b'.' | b'_' | b'+' | b'-' | b'\'' | b'!' | b'#' | b'&' | b'~')
        {
            end += 1;
        } else if byte >= 0x80 {
            let (char, length) = input.char(end);
            if !char.is_alphanumeric() || u32::from(char) >= 0x2E80 {
                return None;
            }
            end += length;
        } else if byte == b'%' && !input.starts(end, b"%40") {
            end += 1;
        } else {
            return (end > at).then_some(end);
        }
    }
    None
}

/// Where a domain with a top level of letters ends.
fn domain_end(input: &Input<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    let mut best = None;
    let mut dots = 0;
    loop {
        let from = end;
        while end - at < DOMAIN {
            let byte = input.byte(end);
            if class::of(byte) & class::ALNUM != 0 || byte == b'-' {
                end += 1;
            } else if byte >= 0x80 {
                let (char, length) = input.char(end);
                if !char.is_alphanumeric() || u32::from(char) >= 0x2E80 {
                    break;
                }
                end += length;
            } else {
                break;
            }
        }
        let label = input.slice(from, end);
        if label.is_empty() || label.first() == Some(&b'-') {
            break;
        }
        let top = label.len() >= 2
            && (label.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80) || label.starts_with(b"xn--"));
        if dots > 0 && top {
            best = Some(end);
        } else if dots > 0 && !top {
            best = None;
        }
        if input.byte(end) != b'.' || end - at >= DOMAIN {
            break;
        }
        let next = input.byte(end + 1);
        if class::of(next) & class::ALNUM == 0 && next < 0x80 {
            break;
        }
        end += 1;
        dots += 1;
    }
    best.or_else(|| literal(input, at))
}

/// `[192.0.2.1]`.
fn literal(input: &Input<'_>, at: usize) -> Option<usize> {
    if input.byte(at) != b'[' {
        return None;
    }
    let end = input.run(at + 1, 46, |b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':'));
    (end > at + 4 && input.byte(end) == b']').then_some(end + 1)
}

/// The longest user and the longest password in a URL.
const USER: usize = 128;
const PASS: usize = 512;

/// Where the password of the URL at the site stands.
pub(super) fn url(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let scheme = input.run(at, 24, |b| class::of(b) & class::ALNUM != 0 || matches!(b, b'+' | b'-' | b'.'));
    if scheme == at || !input.starts(scheme, b"://") {
        return None;
    }
    let web = matches!(input.slice(at, scheme), b"http" | b"https" | b"HTTP" | b"HTTPS" | b"ws" | b"wss");
    let from = scheme + 3;
    let ends = |b: u8| {
        class::of(b) & class::SPACE != 0 || matches!(b, 0 | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\')
    };
    let slash = |b: u8| matches!(b, b'/' | b'?' | b'#');
    let user = input.run(from, USER, |b| !ends(b) && !slash(b) && b != b':' && b != b'@');
    if input.byte(user) == b'@' && user > from {
        return token_user(input, from, user);
    }
    if input.byte(user) != b':' {
        return None;
    }
    let pass = user + 1;
    let end = input.run(pass, PASS, |b| !(ends(b) || (web && slash(b))));
    if end - pass == PASS {
        // Too long for what it claims to be: masked rather than let go.
        return Some(Found::open(pass, end, Entity::UrlCredentials, Body::Word));
    }
    // An `@` may be part of the password: the last one before the host counts, but none of a query.
    let whole = input.slice(pass, end);
    let query =
        whole.iter().position(|b| *b == b'?').filter(|q| whole.get(..*q).is_some_and(|w| w.contains(&b'@')));
    let at_sign = whole.get(..query.unwrap_or(whole.len()))?.iter().rposition(|b| *b == b'@')?;
    let end = pass + at_sign;
    if end == pass {
        return None;
    }
    let text = input.slice(pass, end);
    let placeholder = super::named::placeholder(text);
    // Before the path, digits alone are a port.
    let port = text
        .iter()
        .position(|b| slash(*b))
        .is_some_and(|p| p > 0 && text.get(..p).is_some_and(|t| t.iter().all(u8::is_ascii_digit)));
    (!placeholder && !port).then(|| Found::mask(pass, end, Entity::UrlCredentials))
}

/// `https://TOKEN@github.com`: a user that is a secret.
fn token_user(input: &Input<'_>, from: usize, to: usize) -> Option<Found> {
    let text = input.slice(from, to);
    let secret = text.len() >= 20
        && text.iter().any(u8::is_ascii_digit)
        && text.iter().any(u8::is_ascii_alphabetic)
        && !text.contains(&b'.');
    secret.then(|| Found::mask(from, to, Entity::UrlCredentials))
}

/// Where the wallet address at the site ends.
pub(super) fn wallet(site: &Site<'_>) -> Option<usize> {
    let (input, at) = (site.input, site.at);
    match input.byte(at) {
        b'0' if matches!(input.byte(at + 1), b'x' | b'X') => {
            let end = input.run(at + 2, 65, |b| class::of(b) & class::HEX != 0);
            let key = end - at == 66 && site.labels().any(&[Label::Secret, Label::GcpSecret]);
            (end - at == 42 && input.closes(end) && !key).then_some(end)
        }
        b'b' | b'B' | b't' | b'T' | b'l' if segwit(input, at).is_some() => segwit(input, at),
        b'1' | b'3' | b'm' | b'n' | b'2' | b'L' | b'M' | b'D' | b'X' | b'T' | b't' | b'A' | b'9' => {
            let end = input.run(at, 36, |b| class::of(b) & class::ALNUM != 0);
            let text = input.slice(at, end);
            (matches!(text.len(), 25..=35) && input.closes(end) && check::base58(text)).then_some(end)
        }
        _ => labelled_wallet(site),
    }
    .or_else(|| labelled_wallet(site))
}

/// Bech32 addresses (BIP 173, BIP 350).
fn segwit(input: &Input<'_>, at: usize) -> Option<usize> {
    let prefix = [&b"bc1"[..], b"tb1", b"ltc1"].into_iter().find(|p| input.starts_folded(at, p))?;
    let end = input.run(at, 91, |b| class::of(b) & class::ALNUM != 0);
    let text = input.slice(at, end).to_ascii_lowercase();
    let (head, data) = text.split_at_checked(prefix.len())?;
    let name = head.get(..head.len().saturating_sub(1))?;
    ((14..=90).contains(&text.len()) && input.closes(end) && check::bech32(name, data)).then_some(end)
}

/// Addresses without a checksum we know: named, in base 58 or base 32, long.
fn labelled_wallet(site: &Site<'_>) -> Option<usize> {
    let (input, at) = (site.input, site.at);
    if !site.labels().has(Label::Wallet) {
        return None;
    }
    let end = input.run(at, 110, |b| class::of(b) & class::ALNUM != 0);
    let text = input.slice(at, end);
    let mixed = text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic);
    (matches!(text.len(), 25..=106) && mixed && input.closes(end)).then_some(end)
}
