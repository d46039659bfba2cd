//! Numbers of people and firms that are made of digits: how each is written, and its check digit.

use super::{
    super::{
        check,
        entity::Entity,
        labels::{Label, Labels},
    },
    digits::Reading,
};

/// One kind of number.
struct Kind {
    entity: Entity,
    /// What names it.
    labels: &'static [Label],
    /// How many digits it has.
    totals: &'static [usize],
    /// How it is written: the lengths of its groups, and the separators that may part them.
    written: &'static [Written],
    check: fn(&[u8]) -> bool,
    /// Its check is needed even with a label, where the label says too little.
    strict: bool,
}

struct Written {
    lengths: &'static [u8],
    /// One of these, the same throughout; or, if `parted`, exactly these.
    separators: &'static [u8],
    parted: bool,
    /// Whether the form and the check digit are enough without a label.
    free: bool,
}

const fn same(lengths: &'static [u8], separators: &'static [u8]) -> Written {
    Written { lengths, separators, parted: false, free: true }
}

const fn weak(lengths: &'static [u8], separators: &'static [u8]) -> Written {
    Written { lengths, separators, parted: false, free: false }
}

const fn parted(lengths: &'static [u8], separators: &'static [u8]) -> Written {
    Written { lengths, separators, parted: true, free: true }
}

const fn kind(
    entity: Entity,
    labels: &'static [Label],
    totals: &'static [usize],
    written: &'static [Written],
    check: fn(&[u8]) -> bool,
) -> Kind {
    Kind { entity, labels, totals, written, check, strict: false }
}

/// By priority: what is read first wins among numbers of one length.
const KINDS: &[Kind] = &[
    kind(Entity::Ssn, &[Label::Ssn], &[9], &[same(&[3, 2, 4], b"-"), same(&[3, 2, 4], b" ")], ssn),
    kind(Entity::Itin, &[Label::Itin, Label::Ssn, Label::TaxId], &[9], &[same(&[3, 2, 4], b"- ")], itin),
    kind(Entity::Rrn, &[Label::Rrn, Label::NationalId], &[13], &[same(&[6, 7], b"-")], rrn),
    kind(
        Entity::CnId,
        &[Label::CnId, Label::NationalId],
        &[18],
        &[same(&[18], b""), same(&[6, 8, 4], b" -")],
        cn_id,
    ),
    kind(
        Entity::Nir,
        &[Label::Nir, Label::NationalId, Label::HealthId],
        &[15, 13],
        &[same(&[15], b""), same(&[1, 2, 2, 2, 3, 3, 2], b" -."), same(&[13, 2], b" -")],
        nir,
    ),
    kind(
        Entity::Personnummer,
        &[Label::Personnummer, Label::NationalId],
        &[10, 12],
        &[same(&[6, 4], b"-"), same(&[8, 4], b"-")],
        personnummer,
    ),
    kind(
        Entity::Cpf,
        &[Label::Cpf, Label::NationalId, Label::TaxId],
        &[11],
        &[parted(&[3, 3, 3, 2], b"..-"), same(&[11], b""), weak(&[9, 2], b"-")],
        cpf,
    ),
    kind(
        Entity::Cnpj,
        &[Label::Cnpj, Label::TaxId],
        &[14],
        &[parted(&[2, 3, 3, 4, 2], b"../-"), same(&[14], b""), parted(&[8, 4, 2], b"/-")],
        cnpj,
    ),
    kind(
        Entity::DeTaxId,
        &[Label::DeTaxId, Label::TaxId],
        &[11, 10],
        &[same(&[2, 3, 3, 3], b" "), weak(&[11], b"")],
        de_tax_id,
    ),
    kind(Entity::Abn, &[Label::Abn], &[11], &[same(&[2, 3, 3, 3], b" ")], abn),
    kind(Entity::Pesel, &[Label::Pesel, Label::NationalId], &[11], &[weak(&[11], b"")], pesel),
    kind(Entity::Cnh, &[Label::Cnh, Label::License], &[11], &[], none),
    kind(Entity::Pis, &[Label::Pis], &[11], &[parted(&[3, 5, 2, 1], b"..-")], pis),
    kind(
        Entity::Aadhaar,
        &[Label::Aadhaar, Label::NationalId],
        &[12],
        &[same(&[4, 4, 4], b" -"), weak(&[12], b"")],
        aadhaar,
    ),
    kind(
        Entity::ThaiId,
        &[Label::ThaiId, Label::NationalId],
        &[13],
        &[same(&[1, 4, 5, 2, 1], b"- "), weak(&[13], b"")],
        thai,
    ),
    kind(
        Entity::AuMedicare,
        &[Label::AuMedicare, Label::HealthId],
        &[10, 11],
        &[same(&[4, 5, 1], b" -"), same(&[4, 5, 1, 1], b" -")],
        au_medicare,
    ),
    kind(
        Entity::Nhs,
        &[Label::Nhs, Label::HealthId],
        &[10],
        &[same(&[3, 3, 4], b" -"), weak(&[10], b"")],
        nhs,
    ),
    kind(Entity::Tfn, &[Label::Tfn, Label::TaxId], &[9, 8], &[same(&[3, 3, 3], b" ")], tfn),
    kind(Entity::Sin, &[Label::Sin], &[9], &[same(&[3, 3, 3], b"- ")], sin),
    kind(Entity::Acn, &[Label::Acn], &[9], &[same(&[3, 3, 3], b" ")], acn),
    kind(Entity::Bsn, &[Label::Bsn, Label::NationalId], &[9, 8], &[], bsn),
    kind(Entity::AbaRouting, &[Label::Routing], &[9], &[], aba),
    Kind { strict: true, ..kind(Entity::AbaRouting, &[Label::Account], &[9], &[], aba) },
    kind(Entity::NationalId, &[Label::NationalId], &[13], &[parted(&[3, 4, 4, 2], b"...")], ahv),
    kind(Entity::NationalId, &[Label::NationalId], &[11], &[parted(&[2, 2, 2, 3, 2], b"..-.")], belgian),
    kind(Entity::TaxId, &[Label::TaxId], &[11], &[parted(&[2, 8, 1], b"--")], cuit),
    kind(Entity::NationalId, &[Label::NationalId], &[13], &[weak(&[13], b"")], south_african),
];

/// The kind of number a reading is, if any. `weak` says that something else is named, so that form alone is not enough.
pub(super) fn read(reading: &Reading<'_>, labels: Labels, follows: bool, weak: bool) -> Option<Entity> {
    let digits = reading.digits;
    if digits.iter().all(|d| Some(d) == digits.first()) {
        return None;
    }
    let labelled = KINDS.iter().find(|k| {
        k.totals.contains(&digits.len())
            && labels.any(k.labels)
            && (valid(k, digits) || (!k.strict && first(k, labels)))
    });
    let free = || {
        KINDS.iter().find(|k| {
            !weak
                && !follows
                && k.written.iter().any(|w| w.free && is_written(reading, w))
                && (k.check)(digits)
        })
    };
    labelled.or_else(free).map(|k| k.entity)
}

/// Named by its own name: a slip in its check digit does not make it public.
fn first(kind: &Kind, labels: Labels) -> bool {
    kind.labels.first().is_some_and(|l| labels.has(*l)) && kind.entity != Entity::Ssn
}

fn valid(kind: &Kind, digits: &[u8]) -> bool {
    (kind.check)(digits)
}

fn is_written(reading: &Reading<'_>, written: &Written) -> bool {
    if written.parted {
        reading.is_parted(written.lengths, written.separators)
    } else {
        reading.is(written.lengths, written.separators)
    }
}

const fn none(_: &[u8]) -> bool {
    false
}

/// No area 000, 666 or 9xx, no group 00, no serial 0000 (SSA, since 2011).
fn ssn(digits: &[u8]) -> bool {
    let area = check::two(digits, 0) * 10 + u32::from(digits.get(2).copied().unwrap_or(0));
    let serial = check::two(digits, 5) * 100 + check::two(digits, 7);
    digits.len() == 9 && area != 0 && area != 666 && area < 900 && check::two(digits, 3) != 0 && serial != 0
}

/// 9xx with a group of 50–65, 70–88, 90–92 or 94–99 (IRS).
fn itin(digits: &[u8]) -> bool {
    digits.first() == Some(&9) && matches!(check::two(digits, 3), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// YYMMDD and a digit for century and sex; since 2020 the rest is random.
fn rrn(digits: &[u8]) -> bool {
    digits.len() == 13
        && check::day_month(check::two(digits, 4), check::two(digits, 2))
        && digits.get(6).is_some_and(|d| *d <= 9)
}

/// GB 11643: region, date of birth, ISO 7064 MOD 11-2.
fn cn_id(digits: &[u8]) -> bool {
    digits.len() == 18
        && cn_birth(digits)
        && cn_rest(digits.get(..17).unwrap_or_default()) == digits.last().copied()
}

pub(super) fn cn_birth(digits: &[u8]) -> bool {
    matches!(check::two(digits, 6), 18..=20)
        && check::day_month(check::two(digits, 12), check::two(digits, 10))
}

/// The check character of 17 digits; 10 stands for X.
pub(super) fn cn_rest(body: &[u8]) -> Option<u8> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    u8::try_from((12 - check::weighted(body, &WEIGHTS) % 11) % 11).ok()
}

/// Sex, year, month, place, order, key 97 (INSEE).
fn nir(digits: &[u8]) -> bool {
    let month = check::two(digits, 3);
    let key = 97 - check::modulo(digits.get(..13).unwrap_or_default(), 97);
    digits.len() == 15
        && matches!(digits.first(), Some(1..=4 | 7 | 8))
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && key == u64::from(check::two(digits, 13))
}

/// A date and a serial with Luhn over ten digits; days from 61 for coordination numbers.
fn personnummer(digits: &[u8]) -> bool {
    let ten = digits.get(digits.len().saturating_sub(10)..).unwrap_or_default();
    let day = check::two(ten, 4);
    let century = digits.len() == 10 || matches!(check::two(digits, 0), 18..=20);
    century && check::day_month(if day > 60 { day - 60 } else { day }, check::two(ten, 2)) && check::luhn(ten)
}

/// Two digits modulo 11 (Receita Federal).
fn cpf(digits: &[u8]) -> bool {
    let digit = |length: usize, first: u32| {
        let weights: Vec<u32> = (2..=first).rev().collect();
        let rest = check::weighted(digits.get(..length).unwrap_or_default(), &weights) % 11;
        if rest < 2 { 0 } else { 11 - rest }
    };
    let (Some(a), Some(b)) = (digits.get(9), digits.get(10)) else { return false };
    digits.len() == 11 && digit(9, 10) == u32::from(*a) && digit(10, 11) == u32::from(*b)
}

/// Two digits modulo 11 (Receita Federal).
fn cnpj(digits: &[u8]) -> bool {
    const WEIGHTS: [u32; 13] = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    let digit = |length: usize, weights: &[u32]| {
        let rest = check::weighted(digits.get(..length).unwrap_or_default(), weights) % 11;
        if rest < 2 { 0 } else { 11 - rest }
    };
    let (Some(a), Some(b)) = (digits.get(12), digits.get(13)) else { return false };
    digits.len() == 14
        && digit(12, WEIGHTS.get(1..).unwrap_or_default()) == u32::from(*a)
        && digit(13, &WEIGHTS) == u32::from(*b)
}

/// Eleven digits, the first not 0, of the first ten one twice or thrice; MOD 11,10 (BZSt).
fn de_tax_id(digits: &[u8]) -> bool {
    let mut counts = [0_u8; 10];
    for digit in digits.get(..10).unwrap_or_default() {
        if let Some(count) = counts.get_mut(usize::from(*digit)) {
            *count += 1;
        }
    }
    let repeated = counts.iter().filter(|c| **c > 1).count();
    digits.len() == 11
        && digits.first() != Some(&0)
        && repeated == 1
        && counts.iter().all(|c| *c <= 3)
        && check::mod_11_10(digits)
}

/// Modulo 89 with the first digit less one (ABR).
fn abn(digits: &[u8]) -> bool {
    const WEIGHTS: [u32; 11] = [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19];
    digits.len() == 11
        && digits.first() != Some(&0)
        && (check::weighted(digits, &WEIGHTS) + 89 - 10).is_multiple_of(89)
}

/// Modulo 10, complement (ASIC).
fn acn(digits: &[u8]) -> bool {
    let rest = check::weighted(digits, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10;
    digits.last().is_some_and(|d| u32::from(*d) == (10 - rest) % 10)
}

/// A date with the century in its month, weights 1-3-7-9.
fn pesel(digits: &[u8]) -> bool {
    let sum = check::weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    digits.len() == 11
        && sum.is_multiple_of(10)
        && check::day_month(check::two(digits, 4), check::two(digits, 2) % 20)
}

/// Modulo 11 (Caixa).
fn pis(digits: &[u8]) -> bool {
    let rest = 11 - check::weighted(digits, &[3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    digits.last().is_some_and(|d| u32::from(*d) == if rest > 9 { 0 } else { rest })
}

/// First digit from 2, Verhoeff (UIDAI).
fn aadhaar(digits: &[u8]) -> bool {
    digits.len() == 12 && digits.first().is_some_and(|d| *d >= 2) && check::verhoeff(digits)
}

/// Modulo 11 (Department of Provincial Administration).
fn thai(digits: &[u8]) -> bool {
    let sum = check::weighted(digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    digits.len() == 13 && digits.last().is_some_and(|d| u32::from(*d) == (11 - sum % 11) % 10)
}

/// First digit 2–6, weights 1-3-7-9 (Services Australia).
fn au_medicare(digits: &[u8]) -> bool {
    let sum = check::weighted(digits.get(..8).unwrap_or_default(), &[1, 3, 7, 9, 1, 3, 7, 9]);
    matches!(digits.first(), Some(2..=6)) && digits.get(8).is_some_and(|d| u32::from(*d) == sum % 10)
}

/// Modulo 11 (NHS Data Dictionary).
fn nhs(digits: &[u8]) -> bool {
    let rest = 11 - check::weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    digits.len() == 10 && digits.last().is_some_and(|d| u32::from(*d) == rest % 11)
}

/// Modulo 11 (ATO).
fn tfn(digits: &[u8]) -> bool {
    digits.len() == 9 && check::weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// Luhn; no number begins with 8.
fn sin(digits: &[u8]) -> bool {
    digits.len() == 9 && check::luhn(digits)
}

/// The eleven test with a last weight of -1 (RvIG).
fn bsn(digits: &[u8]) -> bool {
    let (Some(last), body) =
        (digits.last(), digits.get(..digits.len().saturating_sub(1)).unwrap_or_default())
    else {
        return false;
    };
    let from = 9 - digits.len().min(9);
    let weights = [9, 8, 7, 6, 5, 4, 3, 2];
    let sum = check::weighted(body, weights.get(from..).unwrap_or_default());
    (sum + 11 - u32::from(*last)).is_multiple_of(11)
}

/// Weights 3-7-1 and a Federal Reserve prefix (ABA).
fn aba(digits: &[u8]) -> bool {
    digits.len() == 9
        && matches!(check::two(digits, 0), 0..=12 | 21..=32 | 61..=72 | 80)
        && check::weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// EAN-13 with the prefix of Switzerland.
fn ahv(digits: &[u8]) -> bool {
    let sum = check::weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]);
    digits.starts_with(&[7, 5, 6]) && sum.is_multiple_of(10)
}

/// A date and a key of 97, with a 2 before it for those born since 2000.
fn belgian(digits: &[u8]) -> bool {
    let body = check::modulo(digits.get(..9).unwrap_or_default(), 97);
    let since_2000 = (body + 2 * (1_000_000_000 % 97)) % 97;
    let key = u64::from(check::two(digits, 9));
    key == 97 - body || key == 97 - since_2000
}

/// Modulo 11 (AFIP).
fn cuit(digits: &[u8]) -> bool {
    let rest = 11 - check::weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    digits.last().is_some_and(|d| {
        u32::from(*d)
            == match rest {
                11 => 0,
                10 => 9,
                rest => rest,
            }
    })
}

/// A date, a serial, Luhn.
fn south_african(digits: &[u8]) -> bool {
    check::day_month(check::two(digits, 4), check::two(digits, 2)) && check::luhn(digits)
}
