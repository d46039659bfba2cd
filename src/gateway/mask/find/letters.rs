//! Identity numbers that mix letters and digits, by the form their issuer gives them.

use super::{
    super::{
        check,
        entity::Entity,
        input::{Input, class},
        labels::Label,
    },
    Found, Site, national,
};

/// Everything that has a fixed form of letters and digits.
pub(super) fn read(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    if plain(input, at) {
        return None;
    }
    FORMS
        .iter()
        .filter_map(|form| {
            let end = form.written.iter().find_map(|w| matches(input, at, w.as_bytes()))?;
            let good = input.closes_number(end) && {
                let text = compact(input, at, end);
                let named = site.labels().any(form.labels);
                (form.check)(&text, named) && (named || form.free)
            };
            let inside = input.glued(at) && !site.labels().direct;
            (good && !inside).then(|| Found::mask(at, end, form.entity))
        })
        .reduce(|best, next| if next.end > best.end { next } else { best })
}

/// Whether a word of letters begins at `at` that no form begins with: no digit follows it.
fn plain(input: &Input<'_>, at: usize) -> bool {
    let end = input.run(at, 12, |b| class::of(b) & class::LETTER != 0);
    let length = end - at;
    let coded = matches!(length, 0 | 8 | 11 | 12);
    let goes_on =
        input.byte(end).is_ascii_digit() || (length <= 3 && matches!(input.byte(end), b' ' | b'-' | b'.'));
    !(coded || goes_on)
}

/// A form: `A` an upper-case letter, `a` any letter, `9` a digit, `X` an upper-case letter or digit,
/// `?` perhaps a space, dash or dot, `-` perhaps a dash; anything else is itself.
struct Form {
    entity: Entity,
    written: &'static [&'static str],
    labels: &'static [Label],
    /// Whether it needs no label.
    free: bool,
    /// Judges the value without its separators, in upper case, and whether it is named.
    check: fn(&[u8], bool) -> bool,
}

const fn form(
    entity: Entity,
    written: &'static [&'static str],
    labels: &'static [Label],
    free: bool,
    check: fn(&[u8], bool) -> bool,
) -> Form {
    Form { entity, written, labels, free, check }
}

const FORMS: &[Form] = &[
    form(Entity::Mrn, &["MRN-99999999", "MRN-9999999", "MRN-999999"], &[Label::Mrn], true, any),
    form(Entity::Nino, &["aa?99?99?99?a"], &[Label::Nino], true, nino),
    form(Entity::InPan, &["aaaaa9999a"], &[Label::InPan], true, in_pan),
    form(
        Entity::FiscalCode,
        &["aaaaaaXXaXXaXXXa", "aaa aaa XXaXX aXXXa"],
        &[Label::FiscalCode, Label::TaxId],
        true,
        fiscal_code,
    ),
    form(Entity::Dni, &["99999999?a", "99.999.999?a"], &[Label::Dni, Label::NationalId], true, dni),
    form(Entity::Nie, &["a?9999999?a"], &[Label::Nie, Label::Dni, Label::NationalId], true, nie),
    form(Entity::Nric, &["a9999999a"], &[Label::Nric, Label::NationalId], true, nric),
    form(
        Entity::Hetu,
        &["999999-999a", "999999-9999", "999999+999X", "999999a999X"],
        &[Label::Hetu, Label::NationalId],
        true,
        hetu,
    ),
    form(Entity::Personnummer, &["999999+9999"], &[Label::Personnummer], false, any),
    form(Entity::CnId, &["99999999999999999a"], &[Label::CnId, Label::NationalId], true, cn_id),
    form(Entity::Mbi, &["9aX9-aX9-aa99"], &[Label::Mbi, Label::AuMedicare, Label::HealthId], true, mbi),
    form(Entity::Gstin, &["99aaaaa9999aXaX"], &[Label::Gstin, Label::TaxId], true, gstin),
    form(Entity::VoterId, &["aaa9999999"], &[Label::VoterId], false, any),
    form(Entity::Nir, &["9 99 99 9a 999 999 99", "999999a99999999"], &[Label::Nir], true, corsican),
    form(Entity::NationalId, &["aaaa999999aaaaaaXX"], &[Label::NationalId], true, curp),
    form(Entity::NationalId, &["a999999999"], &[Label::NationalId], false, any),
    form(
        Entity::NationalId,
        &["99.999.999-X", "9.999.999-X", "99999999-X"],
        &[Label::NationalId, Label::TaxId],
        true,
        rut,
    ),
    form(Entity::TaxId, &["aaaa999999XXX", "aaa999999XXX"], &[Label::TaxId], false, any),
    form(Entity::DriverLicense, &["XXXXX999999XX9aa"], &[Label::License], true, dvla),
    form(Entity::DriverLicense, &["a999-999-99-999-9"], &[Label::License], true, any),
    form(Entity::Vin, &["XXXXXXXXXXXXXXXXX"], &[Label::Vin], true, vin),
    form(Entity::Bic, &["aaaaaaXXXXX", "aaaaaaXX"], &[Label::Bic], false, bic),
    form(Entity::AbaRouting, &["aaaa0XXXXXX"], &[Label::Routing], false, any),
];

/// Where `form` ends if it begins at `at`.
fn matches(input: &Input<'_>, at: usize, form: &[u8]) -> Option<usize> {
    let mut end = at;
    for wanted in form {
        let byte = input.byte(end);
        let fits = match wanted {
            b'a' => byte.is_ascii_alphabetic(),
            b'A' => byte.is_ascii_uppercase(),
            b'9' => byte.is_ascii_digit(),
            b'X' => byte.is_ascii_alphanumeric(),
            b'?' => {
                if matches!(byte, b' ' | b'-' | b'.') {
                    end += 1;
                }
                continue;
            }
            b'-' => {
                if byte == b'-' {
                    end += 1;
                }
                continue;
            }
            literal => byte == *literal,
        };
        if !fits {
            return None;
        }
        end += 1;
    }
    Some(end)
}

/// The letters and digits between, in upper case.
fn compact(input: &Input<'_>, from: usize, to: usize) -> Vec<u8> {
    input.slice(from, to).iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect()
}

fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

fn digits(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect()
}

fn number(text: &[u8]) -> u32 {
    text.iter().fold(0, |n: u32, b| n.wrapping_mul(10).wrapping_add(u32::from(b.wrapping_sub(b'0'))))
}

const fn any(_: &[u8], _: bool) -> bool {
    true
}

/// Prefix and suffix letters as HMRC gives them.
fn nino(text: &[u8], _: bool) -> bool {
    let (a, b) = (byte(text, 0), byte(text, 1));
    !b"DFIQUV".contains(&a)
        && !b"DFIOQUV".contains(&b)
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[a, b])
        && matches!(byte(text, 8), b'A'..=b'D')
}

/// The fourth letter is the kind of holder (Income Tax Department).
fn in_pan(text: &[u8], named: bool) -> bool {
    named || b"ABCEFGHJKLPT".contains(&byte(text, 3))
}

/// The check character of D.M. 23/12/1976, digits perhaps replaced by letters.
fn fiscal_code(text: &[u8], named: bool) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let numeric = [6, 7, 9, 10, 12, 13, 14]
        .iter()
        .all(|i| byte(text, *i).is_ascii_digit() || b"LMNPQRSTUV".contains(&byte(text, *i)));
    if !numeric || text.len() != 16 || !b"ABCDEHLMPRST".contains(&byte(text, 8)) {
        return false;
    }
    let sum: u32 = text
        .iter()
        .take(15)
        .enumerate()
        .map(|(i, b)| {
            let value = if b.is_ascii_digit() { b - b'0' } else { b.wrapping_sub(b'A') };
            if i % 2 == 0 { ODD.get(usize::from(value)).copied().unwrap_or(0) } else { u32::from(value) }
        })
        .sum();
    named || u32::from(byte(text, 15).wrapping_sub(b'A')) == sum % 26
}

/// The letter is the number modulo 23.
fn dni(text: &[u8], named: bool) -> bool {
    let (number, letter) = (number(text.get(..8).unwrap_or_default()), byte(text, 8));
    named || letter == dni_letter(number)
}

fn dni_letter(number: u32) -> u8 {
    byte(b"TRWAGMYFPDXBNJZSQVHLCKE", usize::try_from(number % 23).unwrap_or(0))
}

/// As [`dni`], X, Y and Z standing for 0, 1 and 2.
fn nie(text: &[u8], named: bool) -> bool {
    let first = match byte(text, 0) {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        _ => return false,
    };
    let number = first * 10_000_000 + number(text.get(1..8).unwrap_or_default());
    named || byte(text, 8) == dni_letter(number)
}

/// S, T, F, G or M, seven digits, a letter by weight (ICA).
fn nric(text: &[u8], named: bool) -> bool {
    let first = byte(text, 0);
    let sum = check::weighted(&digits(text), &[2, 7, 6, 5, 4, 3, 2]);
    let (offset, letters): (u32, &[u8; 11]) = match first {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"KLJNPQRTUWX"),
        _ => return false,
    };
    let rest = usize::try_from((sum + offset) % 11).unwrap_or(0);
    let wanted = if first == b'M' { byte(letters, 10 - rest) } else { byte(letters, rest) };
    named || byte(text, 8) == wanted
}

/// A date, a sign of the century, the number modulo 31 (DVV).
fn hetu(text: &[u8], named: bool) -> bool {
    let all = digits(text);
    let date = check::day_month(check::two(&all, 0), check::two(&all, 2));
    // Without its dash a sign has become a letter of the text.
    let body: Vec<u8> = match byte(text, 6) {
        b'A'..=b'F' | b'U'..=b'Y' if text.len() == 11 => {
            [text.get(..6), text.get(7..10)].into_iter().flatten().flatten().copied().collect()
        }
        b'0'..=b'9' if text.len() == 10 => text.get(..9).unwrap_or_default().to_vec(),
        _ => return false,
    };
    let rest = usize::try_from(number(&body) % 31).unwrap_or(0);
    date && (byte(b"0123456789ABCDEFHJKLMNPRSTUVWXY", rest) == text.last().copied().unwrap_or(0) || named)
}

/// GB 11643 with the check character X.
fn cn_id(text: &[u8], _: bool) -> bool {
    let digits = digits(text);
    text.last() == Some(&b'X')
        && national::cn_birth(&digits)
        && national::cn_rest(&digits).is_some_and(|r| r % 11 == 10)
}

/// The alphabet and positions of CMS's specification.
fn mbi(text: &[u8], _: bool) -> bool {
    let letter = |i: usize| !b"SLOIBZ".contains(&byte(text, i));
    byte(text, 0) != b'0' && [1, 2, 4, 5, 7, 8].iter().all(|i| letter(*i)) && byte(text, 6).is_ascii_digit()
}

/// State, PAN, entity, Z, and a check character in base 36.
fn gstin(text: &[u8], named: bool) -> bool {
    let value = |b: u8| u32::from(if b.is_ascii_digit() { b - b'0' } else { b - b'A' + 10 });
    let sum: u32 = text
        .iter()
        .take(14)
        .enumerate()
        .map(|(i, b)| {
            let product = value(*b) * if i % 2 == 0 { 1 } else { 2 };
            product / 36 + product % 36
        })
        .sum();
    let good = value(byte(text, 14)) == (36 - sum % 36) % 36;
    matches!(number(text.get(..2).unwrap_or_default()), 1..=38 | 97 | 99) && (good || named)
}

/// A Corsican number: 2A counts as 19, 2B as 18 (INSEE).
fn corsican(text: &[u8], _: bool) -> bool {
    let department: &[u8; 2] = match text.get(5..7) {
        Some(b"2A") => b"19",
        Some(b"2B") => b"18",
        _ => return false,
    };
    let whole: Vec<u8> = [text.get(..5), Some(&department[..]), text.get(7..)]
        .into_iter()
        .flatten()
        .flatten()
        .copied()
        .collect();
    let digits = digits(&whole);
    let key = 97 - check::modulo(digits.get(..13).unwrap_or_default(), 97);
    digits.len() == 15 && key == u64::from(check::two(&digits, 13))
}

/// Name, date of birth, H or M, state: the Mexican population registry.
fn curp(text: &[u8], _: bool) -> bool {
    let date = digits(text.get(4..10).unwrap_or_default());
    check::day_month(check::two(&date, 4), check::two(&date, 2))
        && matches!(byte(text, 10), b'H' | b'M' | b'X')
}

/// The Chilean number: modulo 11, K for 10.
fn rut(text: &[u8], named: bool) -> bool {
    let Some((check, body)) = text.split_last() else { return false };
    let sum: u32 = digits(body)
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7].iter().cycle())
        .map(|(d, w)| u32::from(*d) * w)
        .sum();
    let wanted = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        rest => u8::try_from(rest).map_or(0, |r| b'0' + r),
    };
    let _ = named;
    *check == wanted
}

/// Surname, decade, month (and 50 for women), day, year, initials, check (DVLA).
fn dvla(text: &[u8], _: bool) -> bool {
    let figures = digits(text.get(5..11).unwrap_or_default());
    let month = check::two(&figures, 1);
    let surname = text.get(..5).unwrap_or_default();
    let padded = surname.iter().skip_while(|b| b.is_ascii_alphabetic()).all(|b| *b == b'9');
    padded && byte(text, 0) != b'9' && check::day_month(check::two(&figures, 3), month % 50)
}

/// ISO 3779 without I, O and Q; named, or with the check digit of 49 CFR 565.
fn vin(text: &[u8], named: bool) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let letters = text.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    if text.iter().any(|b| b"IOQ".contains(b)) || digits < 2 || letters == 0 {
        return false;
    }
    let value = |b: u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        b'A'..=b'H' => u32::from(b - b'A' + 1),
        b'J'..=b'R' => u32::from(b - b'J' + 1),
        _ => u32::from(b.wrapping_sub(b'S') + 2),
    };
    let rest = text.iter().zip(WEIGHTS).map(|(b, w)| value(*b) * w).sum::<u32>() % 11;
    let good = byte(text, 8) == if rest == 10 { b'X' } else { u8::try_from(rest).map_or(0, |r| b'0' + r) };
    let serial = text.get(13..).unwrap_or_default().iter().all(u8::is_ascii_digit);
    named || (good && serial && letters >= 4 && digits >= 6)
}

/// ISO 9362: the fifth and sixth letters are a country.
fn bic(text: &[u8], _: bool) -> bool {
    let country = [byte(text, 4), byte(text, 5)];
    super::iban::is_country(country) || COUNTRIES.contains(&&country)
}

/// Countries with banks but without an IBAN.
const COUNTRIES: &[&[u8; 2]] = &[
    b"US", b"CA", b"AU", b"NZ", b"JP", b"CN", b"HK", b"SG", b"IN", b"KR", b"TW", b"TH", b"MY", b"ID", b"PH",
    b"VN", b"ZA", b"NG", b"KE", b"MX", b"AR", b"CL", b"CO", b"PE", b"UY", b"PA", b"MA", b"RU", b"BD", b"LK",
    b"GH", b"OM",
];
