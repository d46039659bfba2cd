//! The lease: renewed in-band at 2/3 of its certificate's life, with a fresh key each time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{io::AsyncWrite, time::Instant};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Core, LinkEvent};
use crate::{
    client::{
        ClientError,
        credential::{self, FreshKey},
    },
    clock::{self, Clock},
    tls::{CertificateDer, Identity},
    tunnel::{TunnelError, write_frame},
    wire::{Refusal, api::Credential, code, control::FromLaptop},
};

/// No renewal follows another sooner, whatever the certificate says.
const AT_LEAST: Duration = Duration::from_secs(10);
/// When a renewal was refused or not answered, the next try.
pub(super) const AGAIN: Duration = Duration::from_secs(30);
/// The gateway's answer must be here by then.
const ANSWER: Duration = Duration::from_secs(30);
/// A laptop that slept finds its wall clock ahead of its timers; it looks this often.
const LOOK: Duration = Duration::from_secs(15);

/// When to renew, and the renewal under way.
pub(super) struct Lease {
    due: SystemTime,
    /// The key that waits for its certificate, and until when.
    pending: Option<(FreshKey, Instant)>,
}

impl Lease {
    /// The lease of a connection that was just welcomed.
    pub(super) fn of(core: &Core, lease_end: SystemTime) -> Self {
        let now = core.laptop.settings.clock.now();
        let by_certificate = core.key.current().chain().first().and_then(renewal_of).unwrap_or(now);
        Self { due: by_certificate.min(two_thirds(now, lease_end)), pending: None }
    }

    /// Resolves when something has to be done: a renewal is due, or its answer overdue. Cancel safe.
    pub(super) async fn wait(&self, clock: &Clock) {
        match &self.pending {
            Some((_, until)) => tokio::time::sleep_until(*until).await,
            None => until(clock, self.due).await,
        }
    }

    /// Asks for a certificate for a fresh key; gives up one that was not answered.
    pub(super) async fn ask(
        &mut self,
        clock: &Clock,
        say: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), TunnelError> {
        if self.pending.take().is_some() {
            self.due = clock.now() + AGAIN;
            return Ok(());
        }
        match FreshKey::make() {
            Ok(fresh) => {
                write_frame(say, &FromLaptop::Renew { csr: fresh.csr.clone() }).await?;
                self.pending = Some((fresh, Instant::now() + ANSWER));
            }
            Err(error) => {
                tracing::warn!(%error, "the lease could not be renewed");
                self.due = clock.now() + AGAIN;
            }
        }
        Ok(())
    }

    /// Takes the renewed credential up: new handshakes use it at once, the vault keeps it as soon as the profile is free.
    pub(super) fn renewed(&mut self, core: &Arc<Core>, credential: Credential) {
        let now = core.laptop.settings.clock.now();
        // An answer to nothing is nothing.
        let Some((fresh, _)) = self.pending.take() else {
            return;
        };
        self.due = now + AGAIN;
        match take_up(core, &fresh, &credential) {
            Ok((identity_due, until)) => {
                self.due = identity_due.max(now + AT_LEAST);
                keep(core, fresh, credential, until);
            }
            Err(error) => tracing::warn!(%error, "a renewed credential is of no use"),
        }
    }

    /// The gateway said no.
    pub(super) fn refused(&mut self, core: &Core, refusal: Refusal) {
        self.pending = None;
        self.due = core.laptop.settings.clock.now() + AGAIN;
        if refusal.code == code::LOGIN_REQUIRED {
            core.tell(LinkEvent::LoginNeeded(refusal.message));
        } else {
            tracing::warn!(code = refusal.code, message = refusal.message, "the lease was not renewed");
        }
    }
}

fn take_up(
    core: &Core,
    fresh: &FreshKey,
    credential: &Credential,
) -> Result<(SystemTime, SystemTime), ClientError> {
    let wrong = |what: String| ClientError::failed("protocol", what);
    let identity =
        Identity::from_pem(&credential.certificate, &fresh.key).map_err(|e| wrong(e.to_string()))?;
    let due = identity.chain().first().and_then(renewal_of).ok_or_else(|| wrong("no validity".to_owned()))?;
    let until = clock::parse_rfc3339(&credential.expires_at).ok_or_else(|| wrong("no end".to_owned()))?;
    core.key.swap(identity);
    Ok((due, until))
}

/// Keeps and tells it, on a task of its own: the profile may be another process's for a while.
fn keep(core: &Arc<Core>, fresh: FreshKey, credential: Credential, until: SystemTime) {
    let core = Arc::clone(core);
    tokio::spawn(async move {
        if let Err(error) = credential::keep_renewed(&core.laptop, &fresh, &credential).await {
            // This process goes on with it; the next one refreshes for itself.
            tracing::warn!(%error, "the renewed credential could not be kept");
        }
        core.tell(LinkEvent::Renewed { until });
    });
}

/// When a certificate is to be renewed.
fn renewal_of(certificate: &CertificateDer<'static>) -> Option<SystemTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let at =
        |time: x509_parser::time::ASN1Time| clock::from_unix_millis(time.timestamp().saturating_mul(1000));
    Some(two_thirds(at(parsed.validity().not_before), at(parsed.validity().not_after)))
}

/// The instant at which 2/3 of a life are over.
fn two_thirds(from: SystemTime, to: SystemTime) -> SystemTime {
    from + to.duration_since(from).unwrap_or_default() * 2 / 3
}

pub(super) async fn until(clock: &Clock, at: SystemTime) {
    while let Ok(rest) = at.duration_since(clock.now())
        && !rest.is_zero()
    {
        tokio::time::sleep(rest.min(LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing;

    #[test]
    fn renewal_is_due_at_two_thirds_of_the_certificates_life() {
        let ca = testing::Ca::new();
        let (from, to) = (testing::now(), testing::now() + testing::LIFE);
        let from = clock::from_unix_millis(clock::unix_millis(from) / 1000 * 1000);
        let fresh = FreshKey::make().unwrap();
        let pem = ca.certify(&fresh.csr, from, to);
        let leaf = crate::tls::parse_certificates(&pem, "test").unwrap().remove(0);
        assert_eq!(renewal_of(&leaf), Some(from + Duration::from_mins(10)));
        assert_eq!(two_thirds(to, from), to, "a life that runs backwards is over");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_follows_the_wall_clock_even_when_it_jumps() {
        let (clock, hand) = Clock::manual(testing::now());
        let lease = Lease { due: testing::now() + Duration::from_hours(1), pending: None };
        let waiting = {
            let clock = clock.clone();
            tokio::spawn(async move { lease.wait(&clock).await })
        };
        tokio::time::sleep(LOOK * 2).await;
        assert!(!waiting.is_finished());
        // The lid was shut for two hours: timers stood still, the wall clock did not.
        hand.advance(Duration::from_hours(2));
        tokio::time::timeout(LOOK * 2, waiting).await.unwrap().unwrap();
    }
}
