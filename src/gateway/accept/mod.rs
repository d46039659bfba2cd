//! UDP and TCP legs, first bytes; plaintext gets "TLS is mandatory".

mod attempts;
mod bind;
pub(in crate::gateway) mod https;
mod lanes;
mod meters;
mod plaintext;
mod quic;
mod ration;
mod tcp;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    attempts::Attempts,
    lanes::{Lanes, Threads},
    ration::Ration,
    tcp::Profiles,
};
use crate::{
    clock::Clock,
    gateway::{
        audit::Scribe,
        certs::Certificates,
        session::{Ingress, Phases, Sessions},
    },
    tls::{ChallengeKey, HotKey, HotRoots, TrustError},
    tunnel::{Connection, QuicListener, Transport},
};

pub use self::{bind::BindError, meters::Meters};

/// Where the gateway listens, and the name it is dialled by.
#[derive(Clone, Debug)]
pub struct Config {
    /// What laptops dial; the certificate's name.
    pub public_url: url::Url,
    /// UDP (QUIC) and TCP (TLS) on the same number; port 0 picks one.
    pub listen: SocketAddr,
    /// Where direct ingress asks for a client certificate, if anywhere; TCP alone, port 0 picks one.
    pub client_certificates: Option<SocketAddr>,
}

/// What accepted connections are handed to.
#[derive(Clone)]
pub struct Reception {
    /// Tunnel connections.
    pub sessions: Sessions,
    /// The HTTPS face. Requests carry the extensions [`axum::extract::ConnectInfo`] with the peer's address and [`crate::tls::Handshake`].
    pub router: Router,
    /// `/models/{model}/…` on the HTTPS face.
    pub ingress: Ingress,
    /// All that is said beside it where client certificates are asked for.
    pub signpost: Router,
    /// Attempts in plaintext or without a token are written down here.
    pub scribe: Scribe,
    /// For request identifiers and event times.
    pub clock: Clock,
    /// Counts.
    pub meters: Meters,
}

/// Both legs, bound to the same port number and not yet accepting.
pub struct Listeners {
    tcp: TcpListener,
    quic: QuicListener,
    profiles: Profiles,
    address: SocketAddr,
    certified: Option<Certified>,
    lanes: (Lanes, Threads),
}

impl Listeners {
    /// Binds TCP and UDP to the same port. Handshakes show the certificate that the gateway has at that moment; laptops'
    /// certificates must come from a root of its own CA that it believes at that moment.
    ///
    /// # Errors
    /// When either port is taken or not ours to take, a root is unusable, or no thread can be had.
    pub async fn bind(config: &Config, certificates: &Certificates) -> Result<Self, BindError> {
        let (key, roots) = (certificates.key(), &certificates.authority().client_roots());
        let profiles = Profiles::new(key, roots, certificates.challenges()).map_err(BindError::Tls)?;
        let (tcp, quic, address) = bind::both(config.listen, key, roots).await?;
        let certified = match config.client_certificates {
            Some(listen) => Some(bind::certified(listen, key, roots)?),
            None => None,
        };
        let lanes = Lanes::start().map_err(BindError::Threads)?;
        Ok(Self { tcp, quic, profiles, address, certified, lanes })
    }

    /// The address where client certificates are asked for.
    pub fn certified_address(&self) -> Option<SocketAddr> {
        self.certified.as_ref().map(|certified| certified.address)
    }

    /// The address both legs are bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and serves until `phases` drain, then only serves; resolves when the last connection has ended,
    /// which stopping forces within [`GOODBYE`].
    pub async fn serve(self, reception: Reception, phases: Phases) {
        let (lanes, _threads) = self.lanes;
        let hall = Hall::new(reception, phases, lanes);
        let over = CancellationToken::new();
        tokio::join!(
            quic::accept(self.quic, hall.clone(), over.clone()),
            hall.tell_attempts(over.clone()),
            async {
                let certified = async {
                    if let Some(certified) = self.certified {
                        tcp::accept(certified.tcp, certified.profiles, hall.clone()).await;
                    }
                };
                tokio::join!(tcp::accept(self.tcp, self.profiles, hall.clone()), certified);
                hall.visits.close();
                hall.visits.wait().await;
                over.cancel();
            }
        );
        hall.attempts.tell().await;
        hall.strangers.tell().await;
    }
}

/// The port that asks for client certificates, bound and not yet accepting.
struct Certified {
    tcp: TcpListener,
    profiles: Profiles,
    address: SocketAddr,
}

/// For a connection to end by itself after the gateway was told to stop.
pub const GOODBYE: Duration = Duration::from_secs(2);

impl Profiles {
    fn new(key: &HotKey, roots: &HotRoots, challenges: Option<&ChallengeKey>) -> Result<Self, TrustError> {
        Ok(Self::Public {
            challenge: challenges.map(crate::tls::acme_server).transpose()?.map(Into::into),
            tunnel: crate::tls::tunnel_server(key, roots)?.into(),
            https: crate::tls::https_server(key)?.into(),
        })
    }
}

/// What every accepted connection can reach. Cheap to clone.
#[derive(Clone)]
struct Hall {
    sessions: Sessions,
    router: Router,
    ingress: Ingress,
    signpost: Router,
    attempts: Attempts,
    strangers: Attempts,
    clock: Clock,
    meters: Meters,
    ration: Ration,
    phases: Phases,
    visits: TaskTracker,
    lanes: Lanes,
}

impl Hall {
    fn new(reception: Reception, phases: Phases, lanes: Lanes) -> Self {
        Self {
            sessions: reception.sessions,
            router: reception.router,
            ingress: reception.ingress,
            signpost: reception.signpost,
            attempts: Attempts::new(attempts::PLAINTEXT, reception.scribe.clone(), reception.clock.clone()),
            strangers: Attempts::new(attempts::STRANGERS, reception.scribe, reception.clock.clone()),
            clock: reception.clock,
            meters: reception.meters,
            ration: Ration::new(),
            phases,
            visits: TaskTracker::new(),
            lanes,
        }
    }

    /// Runs one connection on a lane, no longer than [`GOODBYE`] after the gateway was told to stop.
    fn spawn(&self, visit: impl Future<Output = ()> + Send + 'static) {
        // There is always one: a machine has a core.
        let Some((lane, share)) = self.lanes.next() else { return };
        let phases = self.phases.clone();
        let visit = async move {
            let _share = share;
            tokio::select! {
                () = visit => {}
                () = async { phases.stopping().await; tokio::time::sleep(GOODBYE).await } => {}
            }
        };
        self.visits.spawn_on(visit, lane);
    }

    async fn serve_tunnel(&self, connection: Connection) {
        let _connected = self.meters.connected(match connection.transport() {
            Transport::Quic => "quic",
            Transport::Tcp => "tcp",
        });
        self.sessions.serve(connection, &self.phases).await;
    }

    async fn tell_attempts(&self, over: CancellationToken) {
        let mut ticks = tokio::time::interval(attempts::WINDOW);
        while over.run_until_cancelled(ticks.tick()).await.is_some() {
            self.attempts.tell().await;
            self.strangers.tell().await;
        }
    }
}
