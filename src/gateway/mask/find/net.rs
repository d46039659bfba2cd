//! Addresses of machines: IPv4, IPv6, hardware addresses.

use super::{
    super::{
        input::{Input, class},
        labels::Label,
    },
    Site,
};

/// Where the IPv4 address at the site ends.
pub(super) fn ipv4(site: &Site<'_>) -> Option<usize> {
    let input = site.input;
    let mut at = site.at;
    let mut octets = [0_u32; 4];
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            if input.byte(at) != b'.' {
                return None;
            }
            at += 1;
        }
        let end = input.run(at, 4, |b| b.is_ascii_digit());
        let digits = input.slice(at, end);
        if !matches!(digits.len(), 1..=3) || (digits.len() > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        *octet = digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
        if *octet > 255 {
            return None;
        }
        at = end;
    }
    // A name may go on after a colon or a slash; a longer dotted number is none.
    let ends = input.closes(at)
        && !(input.byte(at) == b'.' && input.byte(at + 1).is_ascii_digit())
        && !dashed(input, at);
    let versioned =
        site.labels().has(Label::Version) || matches!(input.before(site.at), b'v' | b'V' | b'-' | b'.');
    (ends && !versioned && names_a_machine(octets)).then_some(at)
}

fn dashed(input: &Input<'_>, at: usize) -> bool {
    input.byte(at) == b'-' && class::of(input.byte(at + 1)) & class::LETTER != 0
}

/// Loopback, netmasks, "any" and multicast name no machine (RFC 6890).
fn names_a_machine(octets: [u32; 4]) -> bool {
    let [a, b, c, d] = octets;
    let mask = a << 24 | b << 16 | c << 8 | d;
    let netmask = a == 255 && mask.leading_ones() + mask.trailing_zeros() == 32;
    a != 0 && a != 127 && !netmask && !(a > 223 && d == 255) && !(a == 1 && b == 2 && c == 3)
}

/// Where the IPv6 address at the site ends (RFC 4291).
pub(super) fn ipv6(site: &Site<'_>) -> Option<usize> {
    let input = site.input;
    let (mut at, mut groups, mut gap, mut digits) = (site.at, 0, false, false);
    loop {
        let end = input.run(at, 5, |b| class::of(b) & class::HEX != 0);
        let length = end - at;
        if length > 4 {
            return None;
        }
        if length > 0 {
            groups += 1;
            digits |= input.slice(at, end).iter().any(u8::is_ascii_digit);
            at = end;
        } else if !(gap && input.byte(at) != b':') {
            return None;
        }
        if groups > 8 || input.byte(at) != b':' {
            break;
        }
        if input.byte(at + 1) == b':' {
            if gap {
                return None;
            }
            gap = true;
            at += 2;
            if class::of(input.byte(at)) & class::HEX == 0 {
                break;
            }
        } else if class::of(input.byte(at + 1)) & class::HEX != 0 {
            at += 1;
        } else {
            break;
        }
    }
    // An IPv4 address may stand for the last two groups.
    if input.byte(at) == b'.' && groups > 1 && input.byte(at + 1).is_ascii_digit() {
        at = input.run(at, 12, |b| b.is_ascii_digit() || b == b'.');
        groups += 1;
    }
    if input.byte(at) == b'%' {
        at = input.run(at + 1, 16, |b| class::of(b) & class::ALNUM != 0);
    }
    let whole = if gap { groups <= 7 && (groups > 2 || long_start(input, site.at)) } else { groups == 8 };
    (whole && digits && input.closes(at) && input.byte(at) != b':').then_some(at)
}

/// `fe80::1`, `2001::1`: four hex digits first, which no name of a programming language begins with.
fn long_start(input: &Input<'_>, at: usize) -> bool {
    let end = input.run(at, 5, |b| class::of(b) & class::HEX != 0);
    end - at == 4 && input.slice(at, end).iter().any(u8::is_ascii_digit)
}

/// Where the hardware address at the site ends (IEEE 802).
pub(super) fn mac(site: &Site<'_>) -> Option<usize> {
    let input = site.input;
    let hex = |b: u8| class::of(b) & class::HEX != 0;
    let first = input.run(site.at, 13, hex) - site.at;
    match first {
        2 => {
            let separator = input.byte(site.at + 2);
            if separator != b':' && separator != b'-' {
                return None;
            }
            let mut at = site.at + 2;
            let mut pairs = 1;
            while pairs < 9 && input.byte(at) == separator && input.run(at + 1, 3, hex) == at + 3 {
                at += 3;
                pairs += 1;
            }
            let goes_on = input.byte(at) == separator && hex(input.byte(at + 1));
            ((pairs == 6 || pairs == 8) && !goes_on && input.closes(at)).then_some(at)
        }
        4 => {
            let third = site.at + 14;
            let grouped = [4, 9].iter().all(|o| {
                input.byte(site.at + o) == b'.' && input.run(site.at + o + 1, 5, hex) == site.at + o + 5
            });
            let lettered = grouped && input.slice(site.at, third).iter().any(u8::is_ascii_alphabetic);
            let named = || site.labels().has(Label::Mac);
            (grouped && (lettered || named()) && input.closes_number(third)).then_some(third)
        }
        12 => (site.labels().has(Label::Mac) && input.closes(site.at + 12)).then_some(site.at + 12),
        _ => None,
    }
}
