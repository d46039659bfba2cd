//! Dates, in figures and words; they are masked only where they are somebody's birth.

use super::{
    super::{check, input::Input},
    digits::Groups,
};

/// Where the date at `at` ends.
pub(super) fn read(input: &Input<'_>, at: usize) -> Option<usize> {
    if !input.byte(at).is_ascii_digit() {
        return month_first(input, at);
    }
    in_figures(input, at).or_else(|| day_first(input, at)).or_else(|| ideographic(input, at))
}

fn in_figures(input: &Input<'_>, at: usize) -> Option<usize> {
    let groups = Groups::read(input, at);
    groups
        .readings(input)
        .find_map(|reading| {
            let digits = reading.digits;
            let parts: Vec<u32> = parts(&reading);
            let good = match (
                reading.groups.iter().map(|g| g.length).collect::<Vec<_>>().as_slice(),
                parts.as_slice(),
            ) {
                ([4, 1..=2, 1..=2], [year, month, day]) => year_of(*year) && check::day_month(*day, *month),
                ([1..=2, 1..=2, 4], [a, b, year]) => year_of(*year) && either(*a, *b),
                ([1..=2, 1..=2, 2], [a, b, c]) => either(*a, *b) || check::day_month(*c, *b),
                ([8], _) => compact(digits),
                _ => false,
            };
            (good && reading.uniform()).then_some(reading.end)
        })
        .or_else(|| stamped(input, &groups))
}

/// A date with a time behind it: `1990-05-12T00:00:00Z`.
fn stamped(input: &Input<'_>, groups: &Groups) -> Option<usize> {
    let [year, month, day] = groups.all().get(..3)? else { return None };
    let dated = year.length == 4 && month.length == 2 && day.length == 2 && month.separator == b'-';
    (dated && matches!(input.byte(day.end), b'T' | b't')).then(|| {
        input.run(day.end, 26, |b| {
            b.is_ascii_digit() || matches!(b, b'T' | b't' | b':' | b'.' | b'Z' | b'+' | b'-')
        })
    })
}

fn parts(reading: &super::digits::Reading<'_>) -> Vec<u32> {
    let mut rest = reading.digits;
    reading
        .groups
        .iter()
        .map(|g| {
            let (group, tail) = rest.split_at(usize::from(g.length).min(rest.len()));
            rest = tail;
            group.iter().fold(0, |n: u32, d| n.saturating_mul(10).saturating_add(u32::from(*d)))
        })
        .collect()
}

fn either(a: u32, b: u32) -> bool {
    check::day_month(a, b) || check::day_month(b, a)
}

const fn year_of(year: u32) -> bool {
    // The Buddhist calendar is 543 years ahead.
    matches!(year, 1880..=2100 | 2423..=2643)
}

fn compact(digits: &[u8]) -> bool {
    let two = |at| check::two(digits, at);
    (year_of(two(0) * 100 + two(2)) && check::day_month(two(6), two(4)))
        || (year_of(two(4) * 100 + two(6)) && either(two(0), two(2)))
}

/// `12 March 2004`, `12-Jul-1957`, `3rd of May, 1990`, `12. März 2004`, `12 de marzo de 2004`.
fn day_first(input: &Input<'_>, at: usize) -> Option<usize> {
    let end = input.run(at, 3, |b| b.is_ascii_digit());
    if end - at > 2 {
        return None;
    }
    let mut next = end;
    for suffix in [&b"st"[..], b"nd", b"rd", b"th", b"er", b"."] {
        if input.starts_folded(next, suffix) {
            next += suffix.len();
            break;
        }
    }
    let next = month(input, filler(input, separator(input, next)?))?;
    year(input, next)
}

/// `October 13, 1968`.
fn month_first(input: &Input<'_>, at: usize) -> Option<usize> {
    let day = separator(input, month(input, at)?)?;
    let end = input.run(day, 3, |b| b.is_ascii_digit());
    if end == day || end - day > 2 {
        return None;
    }
    let end = [&b"st"[..], b"nd", b"rd", b"th"]
        .iter()
        .find(|s| input.starts_folded(end, s))
        .map_or(end, |s| end + s.len());
    year(input, end)
}

/// The four or two digits of a year, after a separator.
fn year(input: &Input<'_>, at: usize) -> Option<usize> {
    let from = filler(input, separator(input, at)?);
    let from = if input.byte(from) == b'\'' { from + 1 } else { from };
    let end = input.run(from, 5, |b| b.is_ascii_digit());
    (matches!(end - from, 2 | 4) && input.closes(end)).then_some(end)
}

/// Past one separator, with a space after it.
fn separator(input: &Input<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    while end - at < 2 && matches!(input.byte(end), b' ' | b',' | b'-' | b'.' | b'/') {
        end += 1;
    }
    (end > at).then_some(end)
}

/// Past "of", "de", "of the year".
fn filler(input: &Input<'_>, at: usize) -> usize {
    [&b"of "[..], b"de ", b"del ", b"do "]
        .iter()
        .find(|f| input.starts_folded(at, f))
        .map_or(at, |f| at + f.len())
}

/// Past the name of a month, or its first three letters.
fn month(input: &Input<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    let mut word = String::new();
    while word.chars().count() < 12 {
        let (char, length) = input.char(end);
        if !char.is_alphabetic() {
            break;
        }
        word.extend(char.to_lowercase());
        end += length;
    }
    let known = MONTHS.iter().any(|m| *m == word)
        || (matches!(word.chars().count(), 3..=5) && MONTHS.iter().any(|m| m.starts_with(word.as_str())));
    known.then_some(end)
}

/// `1990年5月12日`, `1990년 5월 12일`.
fn ideographic(input: &Input<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    for marks in [['年', '년'], ['月', '월'], ['日', '일']] {
        let digits = input.run(end, 5, |b| b.is_ascii_digit());
        let (char, length) = input.char(digits);
        if digits == end || !marks.contains(&char) {
            return None;
        }
        end = digits + length;
        if input.byte(end) == b' ' && input.byte(end + 1).is_ascii_digit() {
            end += 1;
        }
    }
    Some(end)
}

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "sept",
    "october",
    "november",
    "december",
    "januar",
    "jänner",
    "februar",
    "märz",
    "mai",
    "juni",
    "juli",
    "oktober",
    "dezember",
    "okt",
    "dez",
    "janvier",
    "février",
    "mars",
    "avril",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "setiembre",
    "octubre",
    "noviembre",
    "diciembre",
    "gennaio",
    "febbraio",
    "aprile",
    "maggio",
    "giugno",
    "luglio",
    "settembre",
    "ottobre",
    "dicembre",
    "janeiro",
    "fevereiro",
    "março",
    "maio",
    "junho",
    "julho",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "augustus",
    "oktober",
    "december",
    "augusti",
    "stycznia",
    "lutego",
    "marca",
    "kwietnia",
    "maja",
    "czerwca",
    "lipca",
    "sierpnia",
    "września",
    "października",
    "listopada",
    "grudnia",
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
    "ledna",
    "února",
    "března",
    "dubna",
    "května",
    "června",
    "července",
    "srpna",
    "října",
    "listopadu",
    "prosince",
    "ocak",
    "şubat",
    "mart",
    "nisan",
    "mayıs",
    "haziran",
    "temmuz",
    "ağustos",
    "eylül",
    "ekim",
    "kasım",
    "aralık",
    "tammikuuta",
    "helmikuuta",
    "maaliskuuta",
    "huhtikuuta",
    "toukokuuta",
    "kesäkuuta",
    "heinäkuuta",
    "elokuuta",
    "syyskuuta",
    "lokakuuta",
    "marraskuuta",
    "joulukuuta",
    "maj",
    "juni",
    "juli",
    "oktober",
];
