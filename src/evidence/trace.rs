//! Where an exchange stands in a distributed trace: the caller's `traceparent` (W3C Trace Context), or ids of the exchange's own.

use super::{event::Event, tlog};

/// A `traceparent` of version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace, never zero.
    pub trace: u128,
    /// The caller's span, never zero.
    pub span: u64,
    /// The flags; the lowest bit says that the caller samples.
    pub flags: u8,
}

impl TraceParent {
    /// Reads the header. Later versions are read as 00, as far as they begin like it (§3.2.2, §4.3).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(5, '-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let span = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        let more = parts.next().is_some();
        if version == 0xff || (version == 0 && more) || trace == 0 || span == 0 {
            return None;
        }
        Some(Self { trace, span: u64::try_from(span).ok()?, flags: u8::try_from(flags).ok()? })
    }
}

impl std::fmt::Display for TraceParent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// The place of an exchange in a trace; the same however often it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The caller's trace, or one made of the exchange's id: the id's own hex digits.
    pub trace: u128,
    /// Made of the event's id: its last 16 hex digits.
    pub span: u64,
    /// The caller's span.
    pub parent: Option<u64>,
    /// The caller's flags; sampled where there are none.
    pub flags: u8,
}

impl Place {
    /// The place of an event's exchange.
    pub fn of(event: &Event) -> Self {
        let request = event.request.as_ref();
        let caller = request.and_then(|r| r.traceparent.as_deref()).and_then(TraceParent::parse);
        let exchange = event.exchange.as_deref().unwrap_or(&event.id);
        let low = u64::try_from(number(&event.id) & u128::from(u64::MAX)).unwrap_or_default();
        Self {
            trace: caller.map_or_else(|| number(exchange), |caller| caller.trace).max(1),
            span: low.max(1),
            parent: caller.map(|caller| caller.span),
            flags: caller.map_or(1, |caller| caller.flags),
        }
    }
}

/// The digits of an id such as `ex_0193590c5a7b7c3e8f0d1b2a3c4d5e6f`; of any other, what its digest begins with.
fn number(id: &str) -> u128 {
    let digits = id.rsplit('_').next().unwrap_or_default();
    hex(digits, 32).unwrap_or_else(|| {
        let digest = tlog::sha256(id.as_bytes()).to_string();
        digest.get(..32).and_then(|digits| hex(digits, 32)).unwrap_or_default()
    })
}

/// So many lowercase hex digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let good = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    good.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::Request;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_strictly() {
        let parsed = TraceParent::parse(PARENT).unwrap();
        assert_eq!(parsed.to_string(), PARENT);
        assert_eq!((parsed.span, parsed.flags), (0x00f0_67aa_0ba9_02b7, 1));
        assert_eq!(TraceParent::parse(&format!("{}-more", PARENT.replacen("00", "01", 1))), Some(parsed));
        for wrong in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &PARENT.replacen("00", "ff", 1),
            &format!("{PARENT}-more"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_exchange_stands_in_its_callers_trace_or_in_one_of_its_own() {
        let mut event = Event {
            id: "ev_0193590c5a7b7c3e8f0d1b2a3c4d5e6f".to_owned(),
            exchange: Some("ex_0193590c5a7b7c3e8f0d1b2a3c4d5e60".to_owned()),
            ..Event::default()
        };
        let own = Place::of(&event);
        assert_eq!(format!("{:032x}", own.trace), "0193590c5a7b7c3e8f0d1b2a3c4d5e60");
        assert_eq!(format!("{:016x}", own.span), "8f0d1b2a3c4d5e6f");
        assert_eq!((own.parent, own.flags), (None, 1));
        event.request = Some(Request { traceparent: Some(PARENT.to_owned()), ..Request::default() });
        let joined = Place::of(&event);
        assert_eq!(format!("{:032x}", joined.trace), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((joined.span, joined.parent), (own.span, Some(0x00f0_67aa_0ba9_02b7)));
        let foreign = Event { id: "something".to_owned(), ..Event::default() };
        assert_eq!(Place::of(&foreign), Place::of(&foreign));
        assert_ne!(Place::of(&foreign).trace, 1);
    }
}
