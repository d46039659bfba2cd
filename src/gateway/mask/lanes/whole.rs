//! Values that stand whole where they are.

use std::sync::Arc;

use super::{json::Path, lane::Lane, shape::Treatment};
use crate::gateway::mask::Masking;

/// Fewer digits are nothing that a number could hide.
const FEW_DIGITS: usize = 7;

/// What a string becomes, when it does not stay.
pub(super) fn text(masking: &Arc<Masking>, treatment: Treatment, path: &Path, text: &str) -> Option<String> {
    let mut lane = match treatment {
        Treatment::Keep => return None,
        Treatment::Gone => return Some(String::new()),
        Treatment::Field => return Some(masking.field(text)),
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
        Treatment::Text { labelled } if text.bytes().filter(u8::is_ascii_digit).count() >= FEW_DIGITS => {
            let key = path.key().filter(|_| labelled).unwrap_or_default();
            let (mut lane, mut masked) = (Lane::labelled(masking, key), String::new());
            lane.push(text, &mut masked);
            lane.finish(&mut masked);
            (masked != text).then_some(masked)
        }
        _ => None,
    }
}
