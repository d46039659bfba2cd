//! This machine's clock, against the gateway's or at least its certificate's.

use std::time::{Duration, SystemTime};

use time::{PrimitiveDateTime, macros::format_description};

use super::Finding;
use crate::clock;

/// A clock this far off is wrong. Certificates live minutes, tokens less.
const SKEW: Duration = Duration::from_secs(60);

/// The clock against the gateway's own.
pub(super) fn by_date(there: Option<SystemTime>, here: SystemTime) -> Finding {
    let Some(there) = there else {
        return Finding::skip("clock", "the gateway does not say what time it has");
    };
    let (off, word) = match here.duration_since(there) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if off <= SKEW {
        return Finding::pass("clock", format!("within {} s of the gateway's", off.as_secs().max(1)));
    }
    Finding::fail(
        "clock",
        format!("this machine's clock is {} {word} the gateway's", span(off)),
        "set the clock, for instance with: timedatectl set-ntp true",
    )
}

/// The clock against the certificate's own times: coarse, and all that an unbelieved gateway is asked.
pub(super) fn by_validity(validity: Option<(SystemTime, SystemTime)>, now: SystemTime) -> Finding {
    match validity {
        Some((from, until)) if now < from || now > until => Finding::fail(
            "clock",
            format!(
                "this machine's clock says {}, and the certificate presented is valid from {} until {}",
                clock::rfc3339(now),
                clock::rfc3339(from),
                clock::rfc3339(until)
            ),
            "set the clock, for instance with: timedatectl set-ntp true",
        ),
        Some(_) => Finding::pass(
            "clock",
            "within the time of the certificate presented, which is all that can be told",
        ),
        None => Finding::skip("clock", "there is nothing to compare it with"),
    }
}

/// IMF-fixdate (RFC 9110 §5.6.7), which every server of today writes.
pub(super) fn http_date(text: &str) -> Option<SystemTime> {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    PrimitiveDateTime::parse(text, form).ok().map(|at| at.assume_utc().into())
}

/// Days, or hours and minutes, or minutes and seconds.
pub(super) fn span(left: Duration) -> String {
    let seconds = left.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::doctor::Verdict;

    #[test]
    fn dates_are_read_and_clocks_judged() {
        let there = http_date("Mon, 23 Nov 2026 07:15:46 GMT").unwrap();
        assert_eq!(clock::rfc3339(there), "2026-11-23T07:15:46.000Z");
        assert_eq!(http_date("yesterday"), None);
        let at = |off: i64| {
            let by = Duration::from_secs(off.unsigned_abs());
            by_date(Some(there), if off < 0 { there - by } else { there + by })
        };
        assert_eq!(at(60).status, Verdict::Pass);
        assert_eq!(at(-60).status, Verdict::Pass);
        let (ahead, behind) = (at(61), at(-7200));
        assert!(ahead.status == Verdict::Fail && ahead.detail.contains("1 min ahead of"), "{ahead:?}");
        assert!(behind.status == Verdict::Fail && behind.detail.contains("2 h 0 min behind"), "{behind:?}");
        assert_eq!(by_date(None, there).status, Verdict::Skip);
        let hour = Duration::from_secs(3600);
        assert_eq!(by_validity(Some((there, there + hour)), there - hour).status, Verdict::Fail);
        assert_eq!(by_validity(Some((there - hour, there)), there + hour).status, Verdict::Fail);
        assert_eq!(by_validity(Some((there, there + hour)), there + hour / 2).status, Verdict::Pass);
    }
}
