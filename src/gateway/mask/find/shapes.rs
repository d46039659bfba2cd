//! Values whose form varies so much that only their label says what they are: passports, licences, records, plates.

use super::{
    super::{
        entity::Entity,
        input::{Input, class},
        labels::{Label, Labels},
    },
    Found, Site,
};

/// What its label says the word is.
pub(super) fn read(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let end = input.run(at, 26, |b| class::of(b) & class::ALNUM != 0 || b == b'-');
    let figures = input.slice(at, end).iter().any(u8::is_ascii_digit);
    let capitals = end - at == 9 && input.byte(at).is_ascii_uppercase();
    let goes_on = end - at < 5 && input.byte(end) == b' ';
    if !(figures || capitals || goes_on) {
        return None;
    }
    let labels = site.labels();
    let kind = named_kind(labels)?;
    let spaced = if kind.spaces { spaced(input, end) } else { end };
    [spaced, end].into_iter().find_map(|end| {
        let text = input.slice(at, end);
        let plain: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
        let digits = plain.iter().filter(|b| b.is_ascii_digit()).count();
        let long = (kind.least..=kind.most).contains(&plain.len());
        let numeric = digits >= kind.digits || (kind.entity == Entity::Passport && icao(&plain, labels));
        let upper = !plain.iter().any(u8::is_ascii_lowercase) || (digits >= 3 && labels.direct);
        (long && numeric && upper && text.last() != Some(&b'-') && input.closes_number(end))
            .then(|| Found::mask(at, end, kind.entity))
    })
}

struct Named {
    entity: Entity,
    least: usize,
    most: usize,
    digits: usize,
    spaces: bool,
}

const fn shape(entity: Entity, least: usize, most: usize, digits: usize, spaces: bool) -> Named {
    Named { entity, least, most, digits, spaces }
}

fn named_kind(labels: Labels) -> Option<Named> {
    let kinds = [
        (Label::Passport, shape(Entity::Passport, 6, 12, 2, true)),
        (Label::License, shape(Entity::DriverLicense, 5, 18, 3, true)),
        (Label::Mrn, shape(Entity::Mrn, 4, 16, 3, false)),
        (Label::Plate, shape(Entity::Plate, 4, 9, 1, true)),
        (Label::HealthId, shape(Entity::HealthId, 6, 16, 3, true)),
        (Label::Account, shape(Entity::BankAccount, 6, 24, 5, true)),
        (Label::NationalId, shape(Entity::NationalId, 6, 18, 4, true)),
        (Label::TaxId, shape(Entity::TaxId, 7, 16, 4, true)),
        (Label::DeTaxId, shape(Entity::DeTaxId, 10, 13, 8, false)),
        (Label::VoterId, shape(Entity::VoterId, 8, 16, 5, false)),
        (Label::Vin, shape(Entity::Vin, 11, 17, 3, false)),
        (Label::Hetu, shape(Entity::Hetu, 10, 11, 6, false)),
    ];
    kinds.into_iter().find(|(label, _)| labels.has(*label)).map(|(_, kind)| kind)
}

/// Letters only, of the alphabet in which German and Dutch passports are numbered: without vowels.
fn icao(text: &[u8], labels: Labels) -> bool {
    labels.direct && text.len() == 9 && text.iter().all(|b| b"CFGHJKLMNPRTVWXYZ0123456789".contains(b))
}

/// Past further groups that hold a digit, each after one space.
fn spaced(input: &Input<'_>, end: usize) -> usize {
    let mut end = end;
    for _ in 0..4 {
        if input.byte(end) != b' ' {
            break;
        }
        let next = input.run(end + 1, 10, |b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'-');
        let group = input.slice(end + 1, next);
        let belongs = !group.is_empty()
            && group.len() < 10
            && group.iter().any(u8::is_ascii_digit)
            && input.closes(next);
        if !belongs {
            break;
        }
        end = next;
    }
    end
}
