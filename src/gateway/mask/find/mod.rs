//! The detectors: each looks at one place, decides by what it reads from there on, and reads no more than it must.

mod contact;
mod date;
mod digits;
mod iban;
mod letters;
mod named;
mod national;
mod net;
mod number;
mod phone;
mod secret;
mod shapes;

use std::cell::OnceCell;

use super::{
    entity::Entity,
    input::{Input, class},
    labels::{self, Columns, Label, Labels},
    rules::Rules,
};

/// A place where a value may begin, and what is known about its surroundings.
pub(super) struct Site<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) at: usize,
    pub(super) rules: &'a Rules,
    pub(super) columns: &'a Columns,
    /// A card stands not far before.
    pub(super) near_card: bool,
    /// A card stands right before.
    pub(super) beside_card: bool,
    /// An AWS access key stands not far before.
    pub(super) near_key: bool,
    /// The end of the value before: what stands inside a value names nothing.
    pub(super) fence: usize,
    labels: OnceCell<Labels>,
}

impl<'a> Site<'a> {
    pub(super) fn new(input: &'a Input<'a>, at: usize, rules: &'a Rules, columns: &'a Columns) -> Self {
        Self {
            input,
            at,
            rules,
            columns,
            near_card: false,
            beside_card: false,
            near_key: false,
            fence: 0,
            labels: OnceCell::new(),
        }
    }

    /// What the words before call the value, or the head of its column.
    pub(super) fn labels(&self) -> Labels {
        *self.labels.get_or_init(|| {
            let before = self.input.slice(self.at.saturating_sub(labels::WINDOW).max(self.fence), self.at);
            // In a table a cell is named by the head of its column, if not within itself.
            match self.columns.cell() {
                Some((head, length)) => {
                    let own = before.get(before.len().saturating_sub(length)..).unwrap_or_default();
                    let near = labels::before(own);
                    if near.some() { near } else { head }
                }
                None => labels::before(before),
            }
        })
    }

    /// Whether a group of four stands before, after which a space: the middle of a longer number in fours.
    pub(super) fn in_groups(&self) -> bool {
        let before = self.input.slice(self.at.saturating_sub(6), self.at);
        let Some((b' ', rest)) = before.split_last() else { return false };
        let length = rest.iter().rev().take_while(|b| b.is_ascii_alphanumeric()).count();
        length == 4 && (rest.last().is_some_and(u8::is_ascii_digit) || self.behind_iban_head())
    }

    /// `GB29 NWBK ` stands before.
    fn behind_iban_head(&self) -> bool {
        let head = self.input.slice(self.at.saturating_sub(10), self.at.saturating_sub(6));
        head.len() == 4
            && head.iter().take(2).all(u8::is_ascii_uppercase)
            && head.iter().skip(2).all(u8::is_ascii_digit)
            && self.input.before(self.at.saturating_sub(5)) == b' '
    }

    /// Whether a digit and a space stand right before: the rest of a longer number.
    pub(super) fn follows(&self) -> bool {
        self.input.before(self.at) == b' '
            && self.at > 1
            && class::of(self.input.before(self.at - 1)) & class::DIGIT != 0
    }
}

/// What a detector found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) what: What,
    /// The value goes on as long as its characters do.
    pub(super) goes_on: Option<Body>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Entity(Entity),
    /// A custom entity, by its place in the rules.
    Custom(usize),
    /// Known to be nothing: a picture in base 64.
    Nothing,
}

/// The characters an open-ended value is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Letters, digits, `_` and `-`.
    Url,
    /// The same, and dots between them.
    Dotted,
    /// Base 64 in both alphabets.
    Base64,
    /// Everything but white space and quotes.
    Word,
    /// The lines of a PEM block.
    Pem,
}

impl Found {
    pub(super) const fn mask(start: usize, end: usize, entity: Entity) -> Self {
        Self { start, end, what: What::Entity(entity), goes_on: None }
    }

    pub(super) const fn open(start: usize, end: usize, entity: Entity, body: Body) -> Self {
        Self { start, end, what: What::Entity(entity), goes_on: Some(body) }
    }

    /// How far it reaches, open ends beyond everything.
    const fn reach(&self) -> usize {
        if self.goes_on.is_some() { usize::MAX } else { self.end }
    }
}

/// The longer of two; the first where they are equal.
pub(super) fn longest(a: Option<Found>, b: Option<Found>) -> Option<Found> {
    match (a, b) {
        (Some(a), Some(b)) if b.reach() > a.reach() => Some(b),
        (None, b) => b,
        (a, _) => a,
    }
}

/// What begins at the site. Among several the longest, among equals the first of this list.
pub(super) fn at(site: &Site<'_>) -> Option<Found> {
    let first = site.input.byte(site.at);
    let kind = class::of(first);
    let mut best = Best { site, found: None };
    if kind & class::HEX != 0
        && site.input.byte(site.at + 8) == b'-'
        && let Some(uuid) = uuid(site)
    {
        return Some(uuid);
    }
    if site.input.opens(site.at) {
        if kind & class::DIGIT != 0 {
            from_digit(&mut best);
        } else if kind & class::LETTER != 0 {
            from_letter(&mut best);
        } else if kind & class::HIGH != 0 {
            best.mask(Entity::Email, contact::email);
        }
    }
    if kind & (class::ALNUM | class::HIGH) == 0 {
        from_sign(&mut best, first);
    }
    if site.rules.custom_begins(first) {
        customs(&mut best);
    }
    best.found
}

/// What begins at the site, where only a label can make it a value.
pub(super) fn named(site: &Site<'_>) -> Option<Found> {
    let mut best = Best { site, found: None };
    best.take(named::read(site));
    best.found
}

/// The best of what was found, among what is asked for.
struct Best<'s, 'a> {
    site: &'s Site<'a>,
    found: Option<Found>,
}

impl<'a> Best<'_, 'a> {
    fn take(&mut self, found: Option<Found>) {
        let wanted = found.filter(|f| match f.what {
            What::Entity(entity) => self.site.rules.masks(entity),
            What::Custom(_) | What::Nothing => true,
        });
        self.found = longest(self.found.take(), wanted);
    }

    fn mask(&mut self, entity: Entity, detector: impl Fn(&Site<'a>) -> Option<usize>) {
        if self.site.rules.masks(entity) {
            let at = self.site.at;
            self.take(detector(self.site).map(|end| Found::mask(at, end, entity)));
        }
    }
}

/// A universally unique identifier (RFC 9562) is nothing, and nothing begins inside it.
fn uuid(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let shaped = (0..36).all(|i| {
        let byte = input.byte(at + i);
        if matches!(i, 8 | 13 | 18 | 23) { byte == b'-' } else { class::of(byte) & class::HEX != 0 }
    });
    let lettered = input.slice(at, at + 36).iter().any(u8::is_ascii_alphabetic);
    (shaped && lettered && input.closes(at + 36)).then_some(Found {
        start: at,
        end: at + 36,
        what: What::Nothing,
        goes_on: None,
    })
}

fn from_sign(best: &mut Best<'_, '_>, first: u8) {
    let site = best.site;
    match first {
        b'-' if site.input.starts(site.at, b"-----BEGIN ") => best.take(secret::pem(site)),
        b'+' | b'(' => best.mask(Entity::Phone, phone::read),
        b':' => best.mask(Entity::IpAddress, |site| {
            (site.input.byte(site.at + 1) == b':').then(|| net::ipv6(site)).flatten()
        }),
        _ => {}
    }
    best.take(named::read(site));
}

fn from_digit(best: &mut Best<'_, '_>) {
    let site = best.site;
    best.take(number::read(site));
    best.take(letters::read(site));
    best.mask(Entity::IpAddress, net::ipv4);
    best.mask(Entity::MacAddress, net::mac);
    best.mask(Entity::IpAddress, net::ipv6);
    best.mask(Entity::Phone, phone::read);
    best.mask(Entity::Crypto, contact::wallet);
    best.mask(Entity::Email, contact::email);
    best.take(secret::telegram(site));
    best.take(shapes::read(site));
    best.take(named::read(site));
}

fn from_letter(best: &mut Best<'_, '_>) {
    let site = best.site;
    best.take(secret::prefixed(site));
    if best.found.is_some() {
        return;
    }
    best.mask(Entity::Email, contact::email);
    best.take(contact::url(site));
    best.mask(Entity::Iban, iban::read);
    best.take(letters::read(site));
    best.mask(Entity::MacAddress, net::mac);
    best.mask(Entity::IpAddress, net::ipv6);
    best.mask(Entity::Crypto, contact::wallet);
    best.mask(Entity::Dob, |site| {
        site.labels().has(Label::Dob).then(|| date::read(site.input, site.at)).flatten()
    });
    best.take(shapes::read(site));
    best.take(named::read(site));
}

fn customs(best: &mut Best<'_, '_>) {
    let Site { input, at, rules, .. } = *best.site;
    let before = input.slice(at.saturating_sub(labels::WINDOW), at);
    let within = !input.opens(at) && class::of(input.byte(at)) & (class::ALNUM | class::HIGH) != 0;
    if within {
        return;
    }
    for (index, custom) in rules.customs().iter().enumerate() {
        let end = custom.read(input, at, before);
        best.take(end.map(|end| Found { start: at, end, what: What::Custom(index), goes_on: None }));
    }
}
