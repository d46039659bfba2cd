//! What begins with a digit: cards, national numbers, accounts, codes beside a card.

use super::{
    super::{
        check,
        entity::Entity,
        labels::{Label, Labels},
    },
    Found, Site, date,
    digits::{Groups, Reading},
    national,
};

/// Everything that is made of digits and separators alone.
pub(super) fn read(site: &Site<'_>) -> Option<Found> {
    let groups = Groups::read(site.input, site.at);
    let labels = site.labels();
    let glued = site.input.glued(site.at) && !labels.direct;
    let mut best: Option<Found> = None;
    for reading in groups.readings(site.input) {
        let found = kind_of(&reading, site, labels, groups.follows, glued);
        if let Some(entity) = found {
            best = Some(Found::mask(site.at, reading.end, entity));
            break;
        }
    }
    let born = labels.has(Label::Dob).then(|| date::read(site.input, site.at)).flatten();
    let dated = born.map(|end| Found::mask(site.at, end, Entity::Dob));
    super::longest(dated, best)
}

fn kind_of(
    reading: &Reading<'_>,
    site: &Site<'_>,
    labels: Labels,
    follows: bool,
    glued: bool,
) -> Option<Entity> {
    let named_else = labels.has(Label::Other) || labels.has(Label::Version);
    let apart = reading.plain() || labels.has(Label::Card) || !site.in_groups();
    if !glued && apart && card(reading, labels) {
        return Some(Entity::CreditCard);
    }
    if glued {
        return None;
    }
    national::read(reading, labels, follows || !apart || reading.goes_on, named_else)
        .or_else(|| beside_card(reading, site, labels))
        .or_else(|| labelled(reading, labels))
}

/// A card number by ISO/IEC 7812: an issuer's range, its length, Luhn.
fn card(reading: &Reading<'_>, labels: Labels) -> bool {
    let digits = reading.digits;
    if !(12..=19).contains(&digits.len()) || !check::luhn(digits) {
        return false;
    }
    if labels.has(Label::Card) {
        return true;
    }
    let lengths: Vec<u8> = reading.groups.iter().map(|g| g.length).collect();
    let written = matches!(
        lengths.as_slice(),
        [13..=19]
            | [4, 4, 4, 1..=4]
            | [4, 4, 4, 4, 1..=3]
            | [4, 6, 4 | 5]
            | [6, 10 | 13]
            | [8, 8]
            | [4, 5, 6]
            | [4, 4, 5]
    );
    let dotted = reading.separator() == Some(b'/');
    written && reading.uniform() && !dotted && issued(digits)
}

/// Whether an issuer numbers its cards so.
fn issued(digits: &[u8]) -> bool {
    let head = |n: usize| digits.iter().take(n).fold(0_u32, |v, d| v * 10 + u32::from(*d));
    let (two, three, four) = (head(2), head(3), head(4));
    let length = digits.len();
    match two {
        40..=49 => matches!(length, 16 | 19),
        51..=55 => length == 16,
        34 | 37 => length == 15,
        30 | 36 | 38 | 39 => matches!(length, 14..=19) && (two != 30 || matches!(three, 300..=305 | 309)),
        35 => (3528..=3589).contains(&four) && (16..=19).contains(&length),
        22..=27 => {
            (2200..=2204).contains(&four) && length >= 16 || (2221..=2720).contains(&four) && length == 16
        }
        50 | 56..=58 | 60..=69 => (14..=19).contains(&length),
        81 | 82 | 97 => length == 16,
        _ => false,
    }
}

/// The codes that stand beside a card.
fn beside_card(reading: &Reading<'_>, site: &Site<'_>, labels: Labels) -> Option<Entity> {
    let digits = reading.digits.len();
    let plain = reading.plain();
    if labels.has(Label::Cvv) && plain && matches!(digits, 3 | 4) {
        return Some(Entity::Cvv);
    }
    if labels.has(Label::Pin) && labels.direct && plain && (4..=6).contains(&digits) {
        return Some(Entity::Pin);
    }
    let month = check::two(reading.digits, 0);
    let expiry = matches!((reading.length(0), reading.length(1), reading.groups.len()), (2, 2 | 4, 2))
        && matches!(reading.separator(), Some(b'/' | b'-'))
        && (1..=12).contains(&month);
    let named = labels.has(Label::Expiry) && (site.near_card || labels.has(Label::Card));
    // `4111 1111 1111 1111 12/27`: no label, but right behind the number.
    (expiry && (named || (site.beside_card && !labels.some()))).then_some(Entity::CardExpiry)
}

/// Numbers without a form of their own: their label says what they are.
fn labelled(reading: &Reading<'_>, labels: Labels) -> Option<Entity> {
    let count = reading.digits.len();
    let dashed = reading.separator().is_none_or(|s| s == b'-' || s == b' ');
    let by = |label: Label, entity: Entity, least: usize, most: usize| {
        (labels.has(label) && (least..=most).contains(&count)).then_some(entity)
    };
    let dated = matches!(
        reading.groups.iter().map(|g| g.length).collect::<Vec<_>>().as_slice(),
        [4, 2, 2] | [1 | 2, 1 | 2, 4]
    );
    if dated {
        return None;
    }
    None.or_else(|| by(Label::Mrn, Entity::Mrn, 5, 14))
        .or_else(|| by(Label::Passport, Entity::Passport, 6, 10).filter(|_| dashed))
        .or_else(|| by(Label::License, Entity::DriverLicense, 5, 14).filter(|_| dashed))
        .or_else(|| by(Label::Routing, Entity::AbaRouting, 6, 9).filter(|_| dashed))
        .or_else(|| {
            by(Label::Account, Entity::BankAccount, if labels.direct { 5 } else { 8 }, 20).filter(|_| dashed)
        })
        .or_else(|| {
            let least = if labels.assigned { 5 } else { 8 };
            by(Label::AccountWord, Entity::BankAccount, least, 20).filter(|_| dashed && labels.direct)
        })
        .or_else(|| by(Label::NationalId, Entity::NationalId, 6, 16))
        .or_else(|| by(Label::TaxId, Entity::TaxId, 6, 15))
        .or_else(|| by(Label::Itin, Entity::TaxId, 9, 10))
        .or_else(|| by(Label::HealthId, Entity::HealthId, 6, 16))
        .or_else(|| by(Label::Nric, Entity::NationalId, 12, 12))
        .or_else(|| by(Label::CnId, Entity::CnId, 15, 18))
        .or_else(|| by(Label::Dni, Entity::Dni, 7, 8))
        .or_else(|| by(Label::Plate, Entity::Plate, 4, 8).filter(|_| dashed))
}
