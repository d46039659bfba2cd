//! Values that stand whole where they are.

use std::sync::Arc;

use super::{
    json::Path,
    lane::Lane,
    shape::{self, Treatment},
};
use crate::gateway::mask::Masking;

/// Fewer digits are nothing that a number could hide.
const FEW_DIGITS: usize = 7;

/// What a string becomes, when it does not stay.
pub(super) fn text(masking: &Arc<Masking>, treatment: Treatment, path: &Path, text: &str) -> Option<String> {
    let mut lane = match treatment {
        Treatment::Keep => return None,
        Treatment::Gone => return Some(String::new()),
        Treatment::Field => return (!text.is_empty()).then(|| masking.field(text)),
        Treatment::Nested => Lane::nested(masking, 1),
        Treatment::Text { labelled: true } => Lane::labelled(masking, path.key().unwrap_or_default()),
        Treatment::Text { labelled: false } => Lane::text(masking),
    };
    let mut masked = String::new();
    lane.push(text, &mut masked);
    lane.finish(&mut masked);
    (masked != text).then_some(masked)
}

/// The text that a number or literal becomes, when it does not stay.
pub(super) fn scalar(
    masking: &Arc<Masking>,
    treatment: Treatment,
    path: &Path,
    text: &str,
) -> Option<String> {
    match treatment {
        Treatment::Field if text != "null" => Some(masking.field(text)),
        Treatment::Text { labelled } if may_hide(text) => {
            let key = path.key().filter(|_| labelled).unwrap_or_default();
            let (mut lane, mut masked) = (Lane::labelled(masking, key), String::new());
            lane.push(text, &mut masked);
            lane.finish(&mut masked);
            (masked != text).then_some(masked)
        }
        _ => None,
    }
}

/// Whether a number may be a value written as one. Fractions are measurements, but for those of no worth, as tables write whole numbers.
fn may_hide(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count() >= FEW_DIGITS;
    let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let whole = match text.split_once('.') {
        Some((_, fraction)) => fraction.bytes().all(|b| b == b'0'),
        None => !text.contains(['e', 'E']),
    };
    digits && (whole || !is_number)
}

/// What a key becomes, when it does not stay: maps are keyed by addresses, too.
pub(super) fn key(masking: &Arc<Masking>, key: &str) -> Option<String> {
    if shape::is_plain_key(key) {
        return None;
    }
    let (mut lane, mut masked) = (Lane::text(masking), String::new());
    lane.push(key, &mut masked);
    lane.finish(&mut masked);
    (masked != key).then_some(masked)
}
