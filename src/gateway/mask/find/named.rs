//! Secrets without a form: what is called a password, a key, a token.

use super::{
    super::{
        entity::Entity,
        input::{Input, class},
        labels::{Label, Labels},
    },
    Body, Found, Site, secret,
};

/// Longer values are masked as they come.
const LONGEST: usize = 256;

/// What a label calls a secret.
pub(super) fn read(site: &Site<'_>) -> Option<Found> {
    if site.near_key
        && let Some(found) = aws_secret(site)
    {
        return Some(found);
    }
    // A value does not begin inside a word.
    if site.input.glued(site.at) || matches!(site.input.before(site.at), b'{' | b'<' | b'$' | b'%') {
        return None;
    }
    let labels = site.labels();
    let kind = secret_kind(labels);
    if !labels.direct || (kind.is_none() && !labels.has(Label::Password)) {
        return None;
    }
    match kind {
        Some(entity) => key(site, labels, entity).or_else(|| secret::entra(site.input, site.at)),
        None => password(site, labels),
    }
}

fn secret_kind(labels: Labels) -> Option<Entity> {
    [
        (Label::AwsSecret, Entity::AwsSecretKey),
        (Label::AzureSecret, Entity::AzureSecret),
        (Label::GcpSecret, Entity::GcpSecret),
        (Label::Secret, Entity::Secret),
    ]
    .into_iter()
    .find(|(label, _)| labels.has(*label))
    .map(|(_, entity)| entity)
}

/// Forty characters of base 64 with all its kinds, near an access key.
fn aws_secret(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let end = input.run(at, 41, base64);
    let text = input.slice(at, end);
    let kinds = text.iter().any(u8::is_ascii_lowercase)
        && text.iter().any(u8::is_ascii_uppercase)
        && text.iter().any(u8::is_ascii_digit);
    (text.len() == 40 && kinds && !input.glued(at)).then(|| Found::mask(at, end, Entity::AwsSecretKey))
}

fn base64(b: u8) -> bool {
    class::of(b) & class::ALNUM != 0 || matches!(b, b'+' | b'/')
}

/// A key or token: long, drawn, of the characters that keys are made of.
fn key(site: &Site<'_>, labels: Labels, entity: Entity) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let mut end =
        input.run(at, LONGEST, |b| base64(b) || matches!(b, b'_' | b'-' | b'.' | b'~' | b'%' | b':'));
    if end - at < LONGEST {
        // Padding stands at the end.
        end = input.run(end, 3, |b| b == b'=');
    }
    if end - at >= LONGEST {
        return Some(Found::open(at, end, entity, Body::Word));
    }
    while end > at && matches!(input.before(end), b'.' | b':' | b'-') {
        end -= 1;
    }
    let text = input.slice(at, end);
    let least = if entity == Entity::Secret && !labels.assigned { 20 } else { 16 };
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    let good = text.len() >= least
        && digits > 1
        && secret::drawn(text)
        && !placeholder(text)
        && !uuid(text)
        && !(text.contains(&b'.') && text.iter().filter(|b| b.is_ascii_alphabetic()).count() > digits * 6)
        && !matches!(input.byte(end), b'(' | b'[' | b'*' | b'@');
    (good && !dated(text)).then(|| Found::mask(at, end, entity))
}

/// A point in time is no key.
fn dated(text: &[u8]) -> bool {
    text.get(..3).is_some_and(|t| matches!(t, [b'1' | b'2', b'9' | b'0', _])) && text.get(4) == Some(&b'-')
}

/// RFC 9562.
fn uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text
            .iter()
            .enumerate()
            .all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

/// A password, as far as its quotes, its cell or its word goes.
fn password(site: &Site<'_>, labels: Labels) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let before = input.before(at);
    let quoted = matches!(before, b'"' | b'\'' | b'`');
    let end = if quoted { within(input, at, before)? } else { word(input, at, labels.cells) };
    if end - at >= LONGEST {
        return Some(Found::open(at, end, Entity::Password, Body::Word));
    }
    let text = input.slice(at, end);
    // What stands behind a separator is a value; within a sentence it must look like one.
    let good = if labels.assigned { assigned(input, text, quoted, end) } else { spoken(text) };
    (good && !placeholder(text)).then(|| Found::mask(at, end, Entity::Password))
}

/// To the closing quote on the same line.
fn within(input: &Input<'_>, at: usize, quote: u8) -> Option<usize> {
    let mut end = at;
    while end - at < LONGEST {
        match input.byte(end) {
            0 | b'\n' => return None,
            b'\\' => end += 2,
            // What a colon follows is a key, not a value.
            b if b == quote => return (input.byte(end + 1) != b':').then_some(end),
            _ => end += 1,
        }
    }
    Some(end)
}

/// To the end of the word; punctuation that ends a sentence or closes a bracket is not part of it.
fn word(input: &Input<'_>, at: usize, cells: Option<u8>) -> usize {
    let wrapped = input.before(at) == b'*';
    let mut end = input.run(at, LONGEST, |b| {
        class::of(b) & class::SPACE == 0
            && Some(b) != cells
            && !matches!(b, 0 | b'"' | b'`' | b'<')
            && !(wrapped && b == b'*')
    });
    if end - at == LONGEST {
        return end;
    }
    while end > at && matches!(input.before(end), b'.' | b',' | b';' | b':' | b')' | b'\'' | b'|') {
        end -= 1;
    }
    end
}

fn assigned(input: &Input<'_>, text: &[u8], quoted: bool, end: usize) -> bool {
    let call = sentence(text) || input.byte(end) == b'(' || text.contains(&b'(') || text.contains(&b'[');
    let least = if quoted { 4 } else { 5 };
    let varied = text.iter().any(|b| !b.is_ascii_lowercase())
        && !text.iter().all(|b| b.is_ascii_alphabetic() || *b == b'.');
    let capitals = text.iter().skip(1).any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase);
    let environment = text.iter().all(|b| b.is_ascii_uppercase() || *b == b'_');
    text.len() >= least
        && !call
        && !environment
        && (quoted && !described(text) || varied && !path(text) || capitals && text.len() > 7)
}

/// `self.password`, `config.db.password`: a name in a program.
fn path(text: &[u8]) -> bool {
    text.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'_')) || text.contains(&b'(')
}

/// Words that say something about a password: "This field is required."
fn sentence(text: &[u8]) -> bool {
    let words = text.split(|b| *b == b' ').count();
    words > 1
        && (words > 6
            || text.first().is_some_and(u8::is_ascii_uppercase) && words > 2
            || matches!(text.last(), Some(b'.' | b'!' | b'?')))
}

fn described(text: &[u8]) -> bool {
    sentence(text)
        || [
            &b"password"[..],
            b"string",
            b"text",
            b"hidden",
            b"required",
            b"optional",
            b"input",
            b"true",
            b"false",
            b"null",
            b"none",
            b"changeme",
        ]
        .contains(&text)
}

/// Letters with digits or signs: no word of a sentence.
fn spoken(text: &[u8]) -> bool {
    let letters = text.iter().any(u8::is_ascii_alphabetic);
    let digits = text.iter().any(u8::is_ascii_digit);
    let signs = text
        .iter()
        .any(|b| b.is_ascii_punctuation() && !matches!(b, b'\'' | b'-' | b'/' | b'.' | b',' | b'_' | b':'));
    text.len() >= 6 && letters && (digits || signs || text.iter().filter(|b| **b == b'-').count() > 1)
}

/// What stands for a secret without being one.
pub(super) fn placeholder(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let has = |needle: &[u8]| lower.windows(needle.len()).any(|w| w == needle);
    let variable = text.first() == Some(&b'$')
        && (text.get(1) == Some(&b'{')
            || text.get(1) == Some(&b'(')
            || text.iter().skip(1).all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_'));
    let template = text.contains(&b'<') && text.contains(&b'>')
        || text.first() == Some(&b'<')
        || text.starts_with(b"{{")
        || text.starts_with(b"${")
        || (text.first() == Some(&b'%') && text.last() == Some(&b'%'));
    let hidden = text.iter().filter(|b| matches!(b, b'*' | b'x' | b'X' | b'.')).count() * 5 >= text.len() * 4;
    variable
        || template
        || hidden
        || [
            &b"your-"[..],
            b"your_",
            b"yourpass",
            b"example",
            b"placeholder",
            b"changeme",
            b"process.env",
            b"os.environ",
            b"getenv",
            b"secrets.",
            b"redacted",
        ]
        .iter()
        .any(|n| has(n))
}
