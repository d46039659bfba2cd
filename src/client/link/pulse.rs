//! Judges from what is seen of a connection whether the network changed and whether the gateway still answers. No IO, no clock.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::tunnel::Transport;

/// With streams open the gateway is asked for a sign of life after this much quiet.
const QUIET: Duration = Duration::from_secs(1);
/// Unanswered for this long, the question goes out of another socket: a middle box may have forgotten the old one.
const ELSEWHERE: Duration = Duration::from_millis(750);
/// Unanswered for this long, the connection is dead as far as new streams are concerned. TCP has more, for its answers wait behind bulk
/// in the sockets' queues; but not after a change of the network, which it seldom survives.
const UNANSWERED_QUIC: Duration = Duration::from_secs(2);
const UNANSWERED_TCP: Duration = Duration::from_secs(4);
/// While TCP takes more of what we send, its peer most likely lives behind a slow link, and so it has this long: more than the gateway's
/// own pings are apart. Not longer, for the system takes bytes for the dead too until its buffer is full.
const UPLOADING: Duration = Duration::from_secs(15);
/// So many bytes taken are progress; our own questions are less.
const PROGRESS: u64 = 16 * 1024;
/// The wall clock runs ahead of the monotonic one by what the machine slept.
const SLEPT: Duration = Duration::from_secs(2);

/// One look at a connection and its surroundings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
    /// The connection's count of the signs of life.
    pub(super) heard: u64,
    /// The bytes that its socket took so far; 0 over QUIC.
    pub(super) sent: u64,
    /// Streams are open on it.
    pub(super) busy: bool,
    /// This machine's address towards the gateway; `None` without a route.
    pub(super) address: Option<IpAddr>,
}

/// What became of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This machine is now at this address.
    Address(IpAddr),
    /// No route leads to the gateway any more.
    Offline,
    /// The machine was suspended, or its clock was set.
    Woke,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    /// Ask for a sign of life.
    Ask,
    /// Go on from another socket.
    MoveOn,
    /// The gateway does not answer.
    GiveUp,
}

/// What was seen of one connection so far.
#[derive(Debug)]
pub(super) struct Pulse {
    last: Seen,
    /// The last address there was.
    address: Option<IpAddr>,
    heard_at: Instant,
    asked_at: Option<Instant>,
    /// When [`PROGRESS`] was made last, and what had been sent then.
    sent_at: (Instant, u64),
    moved: bool,
    /// The network changed since anything was heard.
    changed: bool,
    transport: Transport,
}

impl Pulse {
    pub(super) fn new(first: Seen, transport: Transport) -> Self {
        Self {
            last: first,
            address: first.address,
            heard_at: first.at,
            asked_at: None,
            sent_at: (first.at, first.sent),
            moved: false,
            changed: false,
            transport,
        }
    }

    /// Takes the next look.
    pub(super) fn judge(&mut self, seen: Seen) -> (Option<Change>, Act) {
        if seen.heard != self.last.heard {
            (self.heard_at, self.asked_at) = (seen.at, None);
            (self.moved, self.changed) = (false, false);
        }
        if seen.sent.saturating_sub(self.sent_at.1) >= PROGRESS {
            self.sent_at = (seen.at, seen.sent);
        }
        let change = self.change(&seen);
        self.last = seen;
        let act = match (change, self.asked_at) {
            (Some(Change::Address(_) | Change::Woke), _) => {
                self.asked_at = Some(seen.at);
                (self.moved, self.changed) = (true, true);
                Act::MoveOn
            }
            (_, Some(asked)) if self.is_over(asked, seen.at) => {
                // Whoever goes on asking tries yet another socket.
                (self.heard_at, self.asked_at, self.moved) = (seen.at, None, false);
                Act::GiveUp
            }
            (_, Some(asked)) if !self.moved && seen.at - asked >= ELSEWHERE => {
                self.moved = true;
                Act::MoveOn
            }
            (_, None) if seen.busy && seen.at - self.heard_at >= QUIET => {
                self.asked_at = Some(seen.at);
                Act::Ask
            }
            _ => Act::Nothing,
        };
        (change, act)
    }

    /// Whether what was asked then has gone unanswered for too long.
    fn is_over(&self, asked: Instant, now: Instant) -> bool {
        match self.transport {
            Transport::Tcp if !self.changed => {
                now - asked.max(self.sent_at.0) >= UNANSWERED_TCP || now - asked >= UPLOADING
            }
            _ => now - asked >= UNANSWERED_QUIC,
        }
    }

    fn change(&mut self, seen: &Seen) -> Option<Change> {
        let before = std::mem::replace(&mut self.last.address, seen.address);
        match (before, seen.address) {
            (Some(_), None) => return Some(Change::Offline),
            // Also when the old address is back: what stands between has forgotten us.
            (None, Some(now)) => return Some(self.arrive(now)),
            (Some(_), Some(now)) if self.address != Some(now) => return Some(self.arrive(now)),
            _ => {}
        }
        let wall = seen.wall.duration_since(self.last.wall).unwrap_or_default();
        (wall > (seen.at - self.last.at) + SLEPT).then_some(Change::Woke)
    }

    fn arrive(&mut self, address: IpAddr) -> Change {
        self.address = Some(address);
        Change::Address(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 9, 9));

    struct Case {
        pulse: Pulse,
        seen: Seen,
    }

    impl Case {
        async fn new(busy: bool) -> Self {
            Self::over(Transport::Quic, busy).await
        }

        async fn over(transport: Transport, busy: bool) -> Self {
            let (at, wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
            let seen = Seen { at, wall, heard: 7, sent: 0, busy, address: HERE };
            Self { pulse: Pulse::new(seen, transport), seen }
        }

        /// How many milliseconds after the question it is given up, with so many bytes sent every quarter of a second.
        fn given_up(&mut self, sent: u64, most: u64) -> u64 {
            assert_eq!(self.after(1000, |_| {}), (None, Act::Ask));
            let mut passed = 0;
            loop {
                passed += 250;
                let act = self.after(250, |seen| seen.sent += if passed <= most { sent } else { 0 }).1;
                if act == Act::GiveUp {
                    return passed;
                }
            }
        }

        /// So much later; what changed meanwhile.
        fn after(&mut self, millis: u64, change: impl FnOnce(&mut Seen)) -> (Option<Change>, Act) {
            let passed = Duration::from_millis(millis);
            (self.seen.at, self.seen.wall) = (self.seen.at + passed, self.seen.wall + passed);
            change(&mut self.seen);
            self.pulse.judge(self.seen)
        }
    }

    #[tokio::test]
    async fn a_busy_connection_that_falls_silent_is_asked_moved_and_given_up_within_three_seconds() {
        let mut case = Case::new(true).await;
        assert_eq!(case.after(900, |_| {}), (None, Act::Nothing));
        assert_eq!(case.after(200, |_| {}), (None, Act::Ask));
        assert_eq!(case.after(250, |_| {}), (None, Act::Nothing));
        assert_eq!(case.after(600, |_| {}), (None, Act::MoveOn));
        assert_eq!(case.after(1000, |_| {}), (None, Act::Nothing));
        assert_eq!(case.after(200, |_| {}), (None, Act::GiveUp));
    }

    #[tokio::test]
    async fn a_slow_upload_over_tcp_is_not_silence_but_not_for_ever() {
        let tcp = || Case::over(Transport::Tcp, true);
        assert_eq!(tcp().await.given_up(0, 0), 4000);
        assert_eq!(tcp().await.given_up(20, u64::MAX), 4000, "questions are no progress");
        assert_eq!(tcp().await.given_up(PROGRESS, 5000), 9000, "the buffer of a dead peer is full some time");
        assert_eq!(tcp().await.given_up(PROGRESS, u64::MAX), 15_000);
        assert_eq!(Case::new(true).await.given_up(PROGRESS, u64::MAX), 2000, "QUIC is asked beside the bulk");
    }

    #[tokio::test]
    async fn whoever_answers_is_left_in_peace_and_an_idle_connection_is_not_asked() {
        let mut case = Case::new(true).await;
        for _ in 0..100 {
            assert_eq!(case.after(1000, |_| {}), (None, Act::Ask));
            assert_eq!(case.after(250, |seen| seen.heard += 1), (None, Act::Nothing));
        }
        let mut idle = Case::new(false).await;
        assert_eq!(idle.after(60_000, |_| {}), (None, Act::Nothing));
    }

    #[tokio::test]
    async fn another_address_a_lost_route_and_a_sleep_are_changes() {
        let mut case = Case::new(false).await;
        let moved = case.after(250, |seen| seen.address = Some(THERE));
        assert_eq!(moved, (Some(Change::Address(THERE)), Act::MoveOn));
        assert_eq!(case.after(250, |seen| seen.heard += 1), (None, Act::Nothing));
        assert_eq!(case.after(250, |seen| seen.address = None), (Some(Change::Offline), Act::Nothing));
        assert_eq!(case.after(250, |_| {}), (None, Act::Nothing), "said once");
        let back = case.after(250, |seen| seen.address = Some(THERE));
        assert_eq!(back, (Some(Change::Address(THERE)), Act::MoveOn));
        let woke = case.after(250, |seen| seen.wall += Duration::from_secs(3600));
        assert_eq!(woke, (Some(Change::Woke), Act::MoveOn));
        assert_eq!(case.after(250, |seen| seen.wall -= Duration::from_secs(9)), (None, Act::Nothing));
        assert_eq!(case.after(2000, |_| {}), (None, Act::GiveUp), "nobody answered since");
    }
}
