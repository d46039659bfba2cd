//! Check digits and checksums, each by its standard.

use aws_lc_rs::digest;

/// The weighted sum of `digits`.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| u32::from(*d) * w).sum()
}

/// ISO/IEC 7812-1 annex B (Luhn).
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(*d);
            if i % 2 == 0 { d } else { d * 2 / 10 + d * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|d| *d != 0)
}

/// ISO/IEC 7064 MOD 97-10 over the characters of an IBAN, country first.
pub(super) fn iban(characters: &[u8]) -> bool {
    let (head, tail) = characters.split_at(4.min(characters.len()));
    let rest = tail.iter().chain(head).try_fold(0_u32, |rest, c| match c {
        b'0'..=b'9' => Some((rest * 10 + u32::from(c - b'0')) % 97),
        b'A'..=b'Z' => Some((rest * 100 + u32::from(c - b'A') + 10) % 97),
        _ => None,
    });
    rest == Some(1)
}

/// The number of `digits` modulo `by`.
pub(super) fn modulo(digits: &[u8], by: u64) -> u64 {
    digits.iter().fold(0, |rest, d| (rest * 10 + u64::from(*d)) % by)
}

/// ISO/IEC 7064 MOD 11,10, as the German tax number uses it.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10_u32, |product, d| {
        let sum = (u32::from(*d) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// Verhoeff's check digit, as Aadhaar uses it.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    const TURNS: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let state = digits.iter().rev().enumerate().fold(0_u8, |state, (i, d)| {
        let turned = TURNS.get(i % 8).and_then(|row| row.get(usize::from(*d))).copied().unwrap_or_default();
        dihedral(state, turned)
    });
    state == 0
}

/// The multiplication of the dihedral group of the pentagon.
const fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// A date: 1–31, 1–12.
pub(super) const fn day_month(day: u32, month: u32) -> bool {
    matches!(day, 1..=31) && matches!(month, 1..=12)
}

/// Two digits as a number.
pub(super) fn two(digits: &[u8], at: usize) -> u32 {
    let digit = |i: usize| digits.get(i).map_or(0, |d| u32::from(*d));
    digit(at) * 10 + digit(at + 1)
}

/// Base58Check with a 21-byte payload: an address of Bitcoin and its kin.
pub(super) fn base58(text: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0_u8; 25];
    for c in text {
        let Some(digit) = ALPHABET.iter().position(|a| a == c) else { return false };
        let mut carry = u32::try_from(digit).unwrap_or(u32::MAX);
        for byte in bytes.iter_mut().rev() {
            let value = u32::from(*byte) * 58 + carry;
            carry = value >> 8;
            *byte = value.to_le_bytes()[0];
        }
        if carry != 0 {
            return false;
        }
    }
    let Some((body, check)) = bytes.split_at_checked(21) else { return false };
    let once = digest::digest(&digest::SHA256, body);
    let twice = digest::digest(&digest::SHA256, once.as_ref());
    twice.as_ref().get(..4) == Some(check)
}

/// Bech32 and bech32m (BIP 173, BIP 350): `prefix` before the `1`, `data` after it, lower case.
pub(super) fn bech32(prefix: &[u8], data: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let step = |state: u32, value: u32| {
        let top = state >> 25;
        let mut next = (state & 0x01ff_ffff) << 5 ^ value;
        for (bit, factor) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                next ^= factor;
            }
        }
        next
    };
    let mut state = prefix.iter().fold(1, |s, c| step(s, u32::from(c >> 5)));
    state = step(state, 0);
    state = prefix.iter().fold(state, |s, c| step(s, u32::from(c & 31)));
    for c in data {
        let Some(value) = ALPHABET.iter().position(|a| a == c) else { return false };
        state = step(state, u32::try_from(value).unwrap_or(0));
    }
    state == 1 || state == 0x2bc8_30a3
}
