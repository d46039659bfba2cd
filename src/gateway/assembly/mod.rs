//! Puts the rooms together: one gateway, started, drained, stopped.

mod audited;
mod error;
mod exposition;
mod face;
mod in_force;
mod operator;
mod reload;
#[cfg(test)]
mod tests;
mod upstreams;
mod witness;
#[cfg(test)]
pub(in crate::gateway) mod world;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    net::TcpListener,
    sync::Mutex,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{audited::Audited, in_force::InForce, operator::Operator, upstreams::Upstreams};
use super::{
    accept::{self, Listeners, Reception},
    api,
    approval::{
        self, Approvals,
        notify::{Notifier, NotifyConfig, Surroundings},
    },
    audit::{
        self, Log, Scribe,
        anomalies::{self, Anomalies},
        sinks::Sinks,
    },
    certs::{self, Certificates},
    identity::{self, Identities},
    mask,
    pipeline::{self, Pipeline, limits::Limits},
    policy::{ModelFacts, Policies},
    record::{self, Recordings},
    session::{Ingress, Phases, Sessions},
    store::{self, Store},
};
use crate::{clock::Clock, secret};

pub use self::{
    error::{ReloadError, StartError},
    reload::Reloaded,
};

/// For streams to end by themselves after the gateway was told to shut down.
pub const GRACE: Duration = Duration::from_secs(30);

/// Without an exchange under way, for laptops to go elsewhere before their connections are closed.
const QUIET: Duration = Duration::from_secs(3);

/// The secret of masked values' hashes, in `state`.
const MASK_KEY: &str = "mask.key";

/// What opens recordings that no recipients are configured for, in `state`.
const RECORDING_KEY: &str = "recording.key";

/// Everything `gateway.toml` says, parsed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gateway listens.
    pub accept: accept::Config,
    /// Its certificates.
    pub certs: certs::Config,
    /// Who may log in, and how.
    pub identity: identity::Config,
    /// The folder of `*.cedar` files, absolute.
    pub policies: PathBuf,
    /// What is served.
    pub models: Vec<pipeline::ModelConfig>,
    /// State folder and database.
    pub store: store::Config,
    /// How long a request for approval waits.
    pub approval_lapse: Duration,
    /// Who is told of them.
    pub notify: NotifyConfig,
    /// How durable the audit log is.
    pub audit: audit::Config,
    /// Where its events are shipped to.
    pub sinks: Vec<audit::sinks::SinkConfig>,
    /// What is unusual, and what follows.
    pub anomalies: anomalies::Config,
    /// Where recordings lie, and who opens them.
    pub recordings: record::Config,
    /// Where Prometheus metrics and health are served; never the public port.
    pub metrics: Option<SocketAddr>,
}

impl Config {
    /// What policies know of the models.
    pub fn facts(&self) -> Vec<ModelFacts> {
        self.models.iter().map(pipeline::ModelConfig::facts).collect()
    }

    fn settle_port(&mut self, port: u16) {
        for url in [&mut self.accept.public_url, &mut self.identity.public_url] {
            if url.port() == Some(0) {
                // Only URLs without a host take no port, and these were dialled by none.
                let _ = url.set_port(Some(port));
            }
        }
    }
}

/// A running gateway. Dropping it cuts everything at once; [`Gateway::shutdown`] is the polite end.
pub struct Gateway {
    address: SocketAddr,
    certified: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    certificates: Certificates,
    rooms: Rooms,
    started_with: Config,
    /// What is in force; held while a change is taken up.
    in_force: Mutex<InForce>,
    listening: JoinHandle<()>,
    background: Background,
}

/// What lies under the state folder, opened.
struct Opened {
    store: Store,
    scribe: Scribe,
    log: Log,
    recordings: Recordings,
}

/// The rooms that a reload or an end has to reach.
struct Rooms {
    clock: Clock,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "it holds the state folder's lock while anything is served")
    )]
    store: Store,
    scribe: Scribe,
    log: Log,
    identities: Arc<Identities>,
    policies: Arc<ArcSwap<Policies>>,
    approvals: Approvals,
    pipeline: Pipeline,
    recordings: Recordings,
    notifier: Arc<Notifier>,
    sinks: Sinks,
    anomalies: Anomalies,
}

/// Tasks beside the listeners: key rotation, metrics, the audit indexer. Ended at the latest when dropped.
struct Background {
    tasks: TaskTracker,
    phases: Phases,
    rotation: CancellationToken,
    limits: CancellationToken,
    notices: CancellationToken,
    anomalies: CancellationToken,
    scribe: CancellationToken,
}

impl Background {
    fn new() -> Self {
        Self {
            tasks: TaskTracker::new(),
            phases: Phases::default(),
            rotation: CancellationToken::new(),
            limits: CancellationToken::new(),
            notices: CancellationToken::new(),
            anomalies: CancellationToken::new(),
            scribe: CancellationToken::new(),
        }
    }

    /// Ends every task, the scribe's and the log's last: when this resolves, the state folder is free for another gateway.
    async fn end(self, recordings: Option<&Recordings>, scribe: &Scribe, log: &Log) {
        self.phases.stop();
        self.rotation.cancel();
        self.limits.cancel();
        self.notices.cancel();
        self.anomalies.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        // The ends of exchanges are written once their recordings are.
        if let Some(recordings) = recordings {
            recordings.closed().await;
        }
        self.scribe.cancel();
        scribe.closed().await;
        log.closed().await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.phases.stop();
        self.rotation.cancel();
        self.notices.cancel();
        self.anomalies.cancel();
        self.scribe.cancel();
    }
}

impl Gateway {
    /// Opens the rooms in the order they need each other, and then the doors: nobody is served by half a gateway. A port 0
    /// in `public_url` becomes the one that `listen` got.
    ///
    /// # Errors
    /// When anything is missing, taken or wrong: another gateway on the state folder, a port in use, a mistake in a policy.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let background = Background::new();
        let opened = open_store(&config, &clock, &background).await?;
        let (scribe, log) = (opened.scribe.clone(), opened.log.clone());
        match Self::open(config, clock, opened, background).await {
            Ok(gateway) => Ok(gateway),
            Err((error, background)) => {
                background.end(None, &scribe, &log).await;
                Err(error)
            }
        }
    }

    async fn open(
        mut config: Config,
        clock: Clock,
        opened: Opened,
        background: Background,
    ) -> Result<Self, (StartError, Background)> {
        let starting = async {
            let certificates = certificates(&config, &clock, &opened.scribe, &background).await?;
            let listeners =
                Listeners::bind(&config.accept, &certificates).await.map_err(|e| StartError::bind(&e))?;
            config.settle_port(listeners.address().port());
            let rooms = Rooms::open(&config, &clock, opened, certificates.authority(), &background).await?;
            let reception = rooms.reception();
            let metrics =
                serve_operator(config.metrics, &reception.meters, &rooms, &certificates, &background).await?;
            Ok((certificates, listeners, rooms, reception, metrics))
        };
        let (certificates, listeners, rooms, reception, metrics) = match starting.await {
            Ok(started) => started,
            Err(error) => return Err((error, background)),
        };
        let (address, certified) = (listeners.address(), listeners.certified_address());
        let started = format!("hoopctl {} listens on {address}", env!("CARGO_PKG_VERSION"));
        let in_force = InForce::of(&config, &rooms.policies.load());
        let configuration = in_force.configuration(None);
        witness::tell_configuration(&rooms.scribe, &clock, "gateway_start", started, configuration);
        let listening = tokio::spawn(listeners.serve(reception, background.phases.clone()));
        tracing::info!(%address, url = %config.accept.public_url, "the gateway serves");
        Ok(Self {
            address,
            certified,
            metrics,
            certificates,
            rooms,
            started_with: config,
            in_force: Mutex::new(in_force),
            listening,
            background,
        })
    }

    /// The address of both legs, the port chosen by the system when `listen` said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where direct ingress asks for a client certificate.
    pub fn certified_address(&self) -> Option<SocketAddr> {
        self.certified
    }

    /// Where metrics and health are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// `sha256:…` of the gateway's own CA, for `hoopctl login --ca-fingerprint`.
    pub fn ca_fingerprint(&self) -> String {
        self.certificates.authority().fingerprint()
    }

    /// Drains and stops; resolves when every stream has ended or [`GRACE`] is over, and the audit log is complete.
    pub async fn shutdown(self) {
        self.shutdown_within(GRACE).await;
    }

    /// [`Self::shutdown`] with another grace period.
    pub async fn shutdown_within(mut self, grace: Duration) {
        let phases = self.background.phases.clone();
        phases.drain();
        self.rooms.approvals.close();
        tracing::info!(grace = ?grace, "the gateway drains");
        tokio::select! {
            _ = &mut self.listening => {}
            () = quiet(&self.rooms.scribe) => tracing::debug!("no exchange is under way: idle connections are closed"),
            () = sleep(grace) => tracing::warn!("exchanges were under way when the grace period ended: they are cut"),
        }
        phases.stop();
        if !self.listening.is_finished() {
            // The listeners bound their own end; a task of theirs that failed was reported when it did.
            let _ = (&mut self.listening).await;
        }
        witness::tell(&self.rooms.scribe, &self.rooms.clock, "gateway_stop", "the gateway has stopped");
        let Rooms { recordings, scribe, log, .. } = &self.rooms;
        self.background.end(Some(recordings), scribe, log).await;
        tracing::info!("the gateway has stopped");
    }

    /// Serves until `stop`, then [`Self::shutdown`].
    pub async fn run_until(self, stop: CancellationToken) {
        stop.cancelled().await;
        self.shutdown().await;
    }
}

/// Resolves when no exchange has been under way for [`QUIET`]: applications keep idle connections open for minutes, and
/// nothing is lost with them.
async fn quiet(scribe: &Scribe) {
    let mut since = Instant::now();
    while since.elapsed() < QUIET {
        sleep(QUIET / 10).await;
        if scribe.stats().open > 0 {
            since = Instant::now();
        }
    }
}

impl Rooms {
    async fn open(
        config: &Config,
        clock: &Clock,
        Opened { store, scribe, log, recordings }: Opened,
        authority: &Arc<certs::Authority>,
        background: &Background,
    ) -> Result<Self, StartError> {
        let identities = Identities::open(
            config.identity.clone(),
            store.identity(),
            Arc::clone(authority),
            clock.clone(),
            witness::witness(scribe.clone(), clock.clone()),
        )
        .await
        .map_err(|e| StartError::identity(&e))?;
        let policies = Arc::new(ArcSwap::from_pointee(reload::policies(config)?));
        let approvals = Approvals::open(
            approval::Config { lapse: config.approval_lapse, public_url: config.accept.public_url.clone() },
            store.approvals(),
            Arc::clone(&policies),
            clock.clone(),
            witness::of_approvals(scribe.clone(), clock.clone()),
        )
        .await
        .map_err(|e| StartError::approvals(&e))?;
        let limits = Limits::open(store.limits(), clock.clone()).await.map_err(|e| StartError::limits(&e))?;
        let means = pipeline::Means {
            policies: Arc::clone(&policies),
            approvals: approvals.clone(),
            scribe: scribe.clone(),
            limits: limits.clone(),
            mask_keys: mask_keys(&config.store.state)?,
            recordings: recordings.clone(),
            clock: clock.clone(),
        };
        let pipeline = Pipeline::new(config.models.clone(), means).map_err(|e| StartError::pipeline(&e))?;
        background.tasks.spawn(limits.keep(background.limits.clone()));
        let removed = witness::of_recordings(scribe.clone(), clock.clone());
        background.tasks.spawn(recordings.clone().keep(background.limits.clone(), removed));
        let models = pipeline.clone();
        identities.judge_models(Box::new(move |caller, name| {
            models.models_for(caller, None, None).iter().any(|model| model.name == name)
        }));
        let anomalies = look_out(config, clock, (&store, &scribe), &identities, background).await?;
        pipeline.heed(anomalies.answers().clone());
        let (answers, clock) = (anomalies.answers().clone(), clock.clone());
        let state = api::ApiState { identities, pipeline, approvals, policies, answers, scribe, log, clock };
        let notifier = notifier(&config.notify, &state, background).await?;
        let sinks = sinks(config, &state, &store, background).await?;
        let api::ApiState { identities, pipeline, approvals, policies, scribe, log, clock, .. } = state;
        Ok(Self {
            clock,
            store,
            scribe,
            log,
            identities,
            policies,
            approvals,
            pipeline,
            recordings,
            notifier,
            sinks,
            anomalies,
        })
    }

    fn reception(&self) -> Reception {
        let state = api::ApiState {
            identities: Arc::clone(&self.identities),
            pipeline: self.pipeline.clone(),
            approvals: self.approvals.clone(),
            policies: Arc::clone(&self.policies),
            answers: self.anomalies.answers().clone(),
            scribe: self.scribe.clone(),
            log: self.log.clone(),
            clock: self.clock.clone(),
        };
        let sessions = Sessions::new(
            Arc::clone(&self.identities),
            self.pipeline.clone(),
            api::tunnel_handler(state.clone()),
            self.clock.clone(),
        );
        Reception {
            sessions,
            ingress: Ingress::new(Arc::clone(&self.identities), self.pipeline.clone(), self.clock.clone()),
            signpost: face::signpost(&self.clock),
            router: face::router(state, &self.notifier),
            scribe: self.scribe.clone(),
            clock: self.clock.clone(),
            meters: accept::Meters::default(),
        }
    }
}

/// Tells of requests for approval from here on.
async fn notifier(
    config: &NotifyConfig,
    state: &api::ApiState,
    background: &Background,
) -> Result<Arc<Notifier>, StartError> {
    let surroundings = Surroundings {
        approvals: state.approvals.clone(),
        identities: Arc::clone(&state.identities),
        describe: api::describe(state.clone()),
        clock: state.clock.clone(),
        stop: background.notices.clone(),
    };
    let notifier = Notifier::start(surroundings, &background.tasks);
    let prepared = notifier.prepare(config).await.map_err(|e| StartError::notify(&e))?;
    notifier.adopt(prepared).await;
    Ok(notifier)
}

/// Ships audit events from here on.
async fn sinks(
    config: &Config,
    state: &api::ApiState,
    store: &Store,
    background: &Background,
) -> Result<Sinks, StartError> {
    let surroundings = audit::sinks::Surroundings {
        ledger: store.ledger(),
        cursors: store.sinks(),
        scribe: state.scribe.clone(),
        clock: state.clock.clone(),
        host: config.accept.public_url.host_str().unwrap_or("gateway").to_owned(),
        stop: background.notices.clone(),
    };
    let sinks = Sinks::start(surroundings, &background.tasks);
    let prepared = sinks.prepare(&config.sinks).await.map_err(|e| StartError::sinks(&e))?;
    sinks.adopt(prepared).await;
    Ok(sinks)
}

/// Looks for unusual use from here on.
async fn look_out(
    config: &Config,
    clock: &Clock,
    (store, scribe): (&Store, &Scribe),
    identities: &Arc<Identities>,
    background: &Background,
) -> Result<Anomalies, StartError> {
    let (settings, now) = (config.anomalies.clone(), clock.now());
    let (anomalies, follower) = Anomalies::open(settings, store.anomalies(), store.ledger(), now)
        .await
        .map_err(|e| StartError::audit(&e))?;
    let identities = Arc::clone(identities);
    let interrupt: anomalies::Interrupt =
        Arc::new(move |provider, subject| identities.interrupt(provider, subject));
    let stop = background.anomalies.clone();
    background.tasks.spawn(follower.run(scribe.clone(), clock.clone(), interrupt, stop));
    Ok(anomalies)
}

/// What the hashes of masked values are made with, kept over restarts so that a session's stay what they were.
fn mask_keys(state: &Path) -> Result<mask::Keys, StartError> {
    let secret =
        secret::kept_key(state, MASK_KEY).map_err(|e| StartError::mask_key(&state.join(MASK_KEY), &e))?;
    Ok(mask::Keys::new(&secret))
}

/// Recordings, sealed to those who are configured, or to a key of the gateway's own. What was sealed to that can be opened here also
/// once there are others.
fn recordings(config: &Config, store: &Store, clock: &Clock) -> Result<Recordings, StartError> {
    let record::Config { folder, recipients } = &config.recordings;
    let key = config.store.state.join(RECORDING_KEY);
    let own =
        record::own_key(&key, recipients.is_empty()).map_err(|e| StartError::recording_key(&key, &e))?;
    let recipients = match &own {
        Some(own) if recipients.is_empty() => own.recipients(),
        _ => recipients.clone(),
    };
    let keys = record::Keys { recipients, identities: own };
    Ok(Recordings::new(keys, store.recordings(folder), clock.clone()))
}

async fn open_store(config: &Config, clock: &Clock, background: &Background) -> Result<Opened, StartError> {
    let store = Store::open(&config.store).await.map_err(|e| StartError::store(&config.store.state, &e))?;
    let origin = format!("{}/audit", config.accept.public_url.host_str().unwrap_or("gateway"));
    // Before the scribe: what only the log still has must be in the database when the journal is read.
    let (log, sequencer) =
        Log::open(store.log(), store.ledger(), &origin).await.map_err(|e| StartError::audit(&e))?;
    let recordings = recordings(config, &store, clock)?;
    // Exchanges that were under way when the process died: their events name what is left of their recordings.
    let left = witness::of_recordings_left(recordings.clone());
    let (journal, stop) = (store.journal(), background.scribe.clone());
    let scribe = Scribe::open_after(config.audit, journal, store.ledger(), clock.clone(), left, stop)
        .await
        .map_err(|e| StartError::audit(&e))?;
    log.follow(sequencer, &scribe);
    Ok(Opened { store, scribe, log, recordings })
}

async fn certificates(
    config: &Config,
    clock: &Clock,
    scribe: &Scribe,
    background: &Background,
) -> Result<Certificates, StartError> {
    let witness = witness::of_certificates(scribe.clone(), clock.clone());
    Certificates::open(&config.certs, clock.clone(), witness, &background.rotation)
        .await
        .map_err(|e| StartError::certs(&e))
}

async fn serve_operator(
    address: Option<SocketAddr>,
    meters: &accept::Meters,
    rooms: &Rooms,
    certificates: &Certificates,
    background: &Background,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let unusable = |error| StartError::metrics(address, &error);
    let listener = TcpListener::bind(address).await.map_err(unusable)?;
    let bound = listener.local_addr().map_err(unusable)?;
    let phases = background.phases.clone();
    let upstreams = Upstreams::new(rooms.pipeline.clone());
    let measured = rooms.pipeline.meters();
    let recording = rooms.recordings.meters();
    let audited = Audited::new(rooms.scribe.clone(), rooms.sinks.clone());
    let measured = (meters, measured, recording, rooms.anomalies.meters());
    let operator = Operator::new(measured, upstreams, audited, certificates.clone(), phases.clone());
    background.tasks.spawn(operator.serve(listener, phases, rooms.clock.clone()));
    Ok(Some(bound))
}
