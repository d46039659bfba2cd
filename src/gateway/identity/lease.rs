//! Leases: the authority of live connections, extended in place, ended by revocation or time.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::Caller;
use crate::{
    clock::Clock,
    wire::{Refusal, code},
};

/// The longest a timer sleeps before it looks at the clock again: clocks are corrected, machines sleep.
const LOOK: Duration = Duration::from_secs(30);

/// A connection's authority: extended in place by renewals, ended by revocation or time.
pub struct Lease {
    session: String,
    held: ArcSwap<Held>,
    ended: CancellationToken,
    /// What runs under it, until it is interrupted.
    streams: ArcSwap<CancellationToken>,
    reason: OnceLock<Refusal>,
    timer: OnceLock<AbortHandle>,
    registry: Weak<Leases>,
}

struct Held {
    caller: Arc<Caller>,
    expires_at: SystemTime,
}

impl Lease {
    /// The caller now, if the lease still holds at `now`; checked for every exchange.
    ///
    /// # Errors
    /// When the session was revoked or the certificate's time is over and no renewal came.
    pub fn check(&self, now: SystemTime) -> Result<Arc<Caller>, Refusal> {
        if self.ended.is_cancelled() {
            return Err(self.reason.get().cloned().unwrap_or_else(over));
        }
        let held = self.held.load();
        if now >= held.expires_at {
            return Err(over());
        }
        Ok(Arc::clone(&held.caller))
    }

    /// Cancelled when the session is revoked or its time is over: live streams end then.
    pub fn ended(&self) -> CancellationToken {
        // A child: whoever cancels what is handed out ends nothing but its own.
        self.ended.child_token()
    }

    /// Cancelled when what runs now has to end: with the lease, or when the caller is interrupted. The lease may go on then, and what is
    /// begun later with it.
    pub fn streams(&self) -> CancellationToken {
        self.streams.load().child_token()
    }

    /// When the lease ends unless it is renewed.
    pub fn expires_at(&self) -> SystemTime {
        self.held.load().expires_at
    }

    /// The login session.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// A new certificate: the lease lasts until its end.
    pub(super) fn extend(&self, caller: Arc<Caller>, expires_at: SystemTime) {
        self.held.store(Arc::new(Held { caller, expires_at }));
    }

    /// Groups just read: the lease lasts as long as before, also when it is extended at this moment.
    fn regroup(&self, caller: &Arc<Caller>) {
        self.held.rcu(|held| Held { caller: Arc::clone(caller), expires_at: held.expires_at });
    }

    /// A lease that no gateway keeps, for other rooms' tests.
    #[cfg(test)]
    pub(crate) fn detached(caller: Caller, expires_at: SystemTime) -> Arc<Self> {
        Arc::new(Self::new(caller, expires_at, Weak::new()))
    }

    fn new(caller: Caller, expires_at: SystemTime, registry: Weak<Leases>) -> Self {
        let ended = CancellationToken::new();
        Self {
            session: caller.session.clone(),
            held: ArcSwap::from_pointee(Held { caller: Arc::new(caller), expires_at }),
            streams: ArcSwap::from_pointee(ended.child_token()),
            ended,
            reason: OnceLock::new(),
            timer: OnceLock::new(),
            registry,
        }
    }

    /// Ends what runs under it now.
    pub(in crate::gateway) fn interrupt(&self) {
        self.streams.swap(Arc::new(self.ended.child_token())).cancel();
    }

    fn end(&self, reason: Refusal) {
        // The first reason stands.
        let _ = self.reason.set(reason);
        self.ended.cancel();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.get() {
            timer.abort();
        }
        if let Some(registry) = self.registry.upgrade() {
            registry.forget(&self.session);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.session)
    }
}

/// The live leases, by session.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<String, Vec<Weak<Lease>>>>);

impl Leases {
    /// A lease for a connection that was just admitted. Needs a runtime: a timer ends it at its time.
    pub(super) fn grant(
        self: &Arc<Self>,
        caller: Caller,
        expires_at: SystemTime,
        clock: Clock,
    ) -> Arc<Lease> {
        let lease = Arc::new(Lease::new(caller, expires_at, Arc::downgrade(self)));
        let timer = tokio::spawn(end_in_time(Arc::downgrade(&lease), clock)).abort_handle();
        let _ = lease.timer.set(timer);
        self.map().entry(lease.session.clone()).or_default().push(Arc::downgrade(&lease));
        lease
    }

    /// Ends every lease of a session.
    pub(super) fn end(&self, session: &str, reason: &Refusal) {
        // Collected first: the last owner of a lease may drop it here, which locks the map again.
        for lease in self.of(session) {
            lease.end(reason.clone());
        }
    }

    /// Ends every lease of callers of these providers.
    pub(super) fn end_of(&self, providers: &HashSet<&str>, reason: &Refusal) {
        let live: Vec<Arc<Lease>> = self.map().values().flatten().filter_map(Weak::upgrade).collect();
        for lease in live {
            if providers.contains(lease.held.load().caller.provider.as_str()) {
                lease.end(reason.clone());
            }
        }
    }

    /// Ends what runs under every lease of a caller.
    pub(super) fn interrupt(&self, provider: &str, subject: &str) {
        let live: Vec<Arc<Lease>> = self.map().values().flatten().filter_map(Weak::upgrade).collect();
        for lease in live {
            let is_theirs = {
                let held = lease.held.load();
                held.caller.provider == provider && held.caller.subject == subject
            };
            if is_theirs {
                lease.interrupt();
            }
        }
    }

    /// Gives every lease of a session the groups just read.
    pub(super) fn update(&self, caller: &Arc<Caller>) {
        for lease in self.of(&caller.session) {
            lease.regroup(caller);
        }
    }

    fn of(&self, session: &str) -> Vec<Arc<Lease>> {
        self.map()
            .get(session)
            .map(|leases| leases.iter().filter_map(Weak::upgrade).collect())
            .unwrap_or_default()
    }

    fn forget(&self, session: &str) {
        let mut map = self.map();
        if let Some(leases) = map.get_mut(session) {
            leases.retain(|lease| lease.strong_count() > 0);
            if leases.is_empty() {
                map.remove(session);
            }
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Vec<Weak<Lease>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn end_in_time(lease: Weak<Lease>, clock: Clock) {
    loop {
        let left = {
            let Some(lease) = lease.upgrade() else { return };
            let Ok(left) = lease.expires_at().duration_since(clock.now()) else {
                return lease.end(over());
            };
            if left.is_zero() {
                return lease.end(over());
            }
            left
        };
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

/// The refusal of a lease whose time is over.
fn over() -> Refusal {
    Refusal::new(code::LOGIN_REQUIRED, "the credential's time is over and it was not renewed")
        .remedy("run `hoopctl login`")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const START: SystemTime = UNIX_EPOCH;
    const LIFE: Duration = Duration::from_secs(900);

    fn caller() -> Caller {
        Caller {
            subject: "alice".to_owned(),
            email: None,
            name: None,
            groups: vec!["one".to_owned()],
            provider: "dev".to_owned(),
            workload: false,
            session: "ses_1".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_when_its_time_is_over_and_not_when_it_was_extended() {
        let (clock, hand) = Clock::manual(START);
        let leases = Arc::new(Leases::default());
        let lease = leases.grant(caller(), START + LIFE, clock.clone());
        let ended = lease.ended();
        hand.advance(Duration::from_secs(600));
        lease.extend(Arc::new(caller()), START + LIFE * 2);
        hand.advance(Duration::from_secs(600));
        tokio::time::sleep(LOOK * 2).await;
        assert!(lease.check(clock.now()).is_ok() && !ended.is_cancelled());
        hand.advance(Duration::from_secs(600));
        assert_eq!(lease.check(clock.now()).unwrap_err().code, code::LOGIN_REQUIRED);
        ended.cancelled().await;
    }

    #[tokio::test]
    async fn ending_a_session_ends_its_leases_alone_with_the_reason() {
        let clock = Clock::manual(START).0;
        let leases = Arc::new(Leases::default());
        let ends = leases.grant(caller(), START + LIFE, clock.clone());
        let stays = leases.grant(Caller { session: "ses_2".to_owned(), ..caller() }, START + LIFE, clock);
        leases.end("ses_1", &Refusal::new(code::LOGIN_REQUIRED, "revoked by bob"));
        ends.ended().cancelled().await;
        assert_eq!(ends.check(START).unwrap_err().message, "revoked by bob");
        assert!(stays.check(START).is_ok());
    }

    #[tokio::test]
    async fn an_interruption_ends_what_runs_and_not_the_lease() {
        let clock = Clock::manual(START).0;
        let leases = Arc::new(Leases::default());
        let theirs = leases.grant(caller(), START + LIFE, clock.clone());
        let other = leases.grant(Caller { subject: "bob".to_owned(), ..caller() }, START + LIFE, clock);
        let (running, others) = (theirs.streams(), other.streams());
        leases.interrupt("dev", "alice");
        assert!(running.is_cancelled() && !others.is_cancelled());
        assert!(theirs.check(START).is_ok() && !theirs.ended().is_cancelled());
        let later = theirs.streams();
        assert!(!later.is_cancelled());
        leases.end("ses_1", &over());
        assert!(later.is_cancelled(), "what ends the lease ends what was begun later");
    }

    #[tokio::test]
    async fn dropped_leases_leave_nothing_behind() {
        let leases = Arc::new(Leases::default());
        let lease = leases.grant(caller(), START + LIFE, Clock::manual(START).0);
        let timer = lease.timer.get().unwrap().clone();
        drop(lease);
        assert!(leases.map().is_empty());
        while !timer.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn new_groups_reach_every_connection_of_the_session() {
        let leases = Arc::new(Leases::default());
        let lease = leases.grant(caller(), START + LIFE, Clock::manual(START).0);
        leases.update(&Arc::new(Caller { groups: vec![], ..caller() }));
        assert!(lease.check(START).unwrap().groups.is_empty());
        assert_eq!(lease.expires_at(), START + LIFE);
    }

    #[tokio::test]
    async fn what_is_handed_out_cannot_end_the_lease() {
        let lease = Lease::detached(caller(), START + LIFE);
        lease.ended().cancel();
        assert!(lease.check(START).is_ok());
    }
}
