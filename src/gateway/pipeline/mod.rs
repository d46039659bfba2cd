//! THE LIST of stages an exchange passes, from the caller's bytes on a tunnel stream to the model's answer.
//!
//! ```text
//! serve ── HTTP/1.1 or 2 on one stream ──▶ path ── one exchange through the stages ──▶ answer ── frames back as they come
//! direct ── one request of an HTTPS client ──▶
//!   carried (the stream)                    door, request, dialect, limits, headers    exchange (the audit event, once)
//!                                           rewritten ──▶ engine ◀── masking, masked, veiled (what is masked on its way)
//!                                           recorded (what of it is kept)
//! ```

mod answer;
mod asking;
mod carried;
mod dialect;
mod direct;
mod door;
mod engine;
mod exchange;
mod grpc;
mod headers;
pub mod limits;
mod masked;
mod masking;
mod meters;
mod models;
mod notices;
mod path;
mod recorded;
mod request;
mod rewritten;
mod serve;
mod switch;
mod veiled;
mod websocket;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
use http::{Request, Response, request::Parts};
use hyper::body::Incoming;

pub use self::{
    answer::Answer,
    direct::{Switched, Visit},
    meters::Meters,
    notices::Notices,
};
use self::{limits::Limits, models::Model};
pub use super::respond::Dialect;
use super::{
    analyse::AnalyserError,
    approval::{self, Approvals},
    audit::{Scribe, anomalies::Answers},
    identity::{Caller, Lease},
    mask,
    policy::{ModelFacts, Policies},
    record::{self, Recordings},
    respond::Problem,
    upstream,
};
use crate::{
    clock::Clock,
    tls::Handshake,
    tunnel::{Stream, Transport},
    wire::{
        api,
        stream::{Asking, Door, Fin},
    },
};

/// What `gateway.toml` says about one model.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Its name.
    pub name: String,
    /// The API it speaks.
    pub dialect: Dialect,
    /// Its server.
    pub upstream: upstream::Config,
    /// Labels, which policies see as tags.
    pub labels: BTreeMap<String, String>,
    /// What a client's FIN means on the TCP port and socket: false (default) it has left; true `on_client_fin = "finish"`.
    pub finish_on_fin: bool,
    /// Longest request body, bytes; `None`: unlimited (bodies are streamed).
    pub body_limit: Option<u64>,
    /// How much of it may be used, and by whom.
    pub limits: limits::Config,
    /// How its answers are masked; `None`: they pass as they are.
    pub mask: Option<mask::Config>,
    /// Whether its exchanges are recorded.
    pub record: record::Terms,
}

impl ModelConfig {
    /// What policies know of the model.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts::new(&self.name, self.dialect.name(), self.upstream.relaxed, self.labels.clone())
    }
}

/// How an exchange's stream came in.
#[derive(Clone)]
pub struct Arrival {
    /// The connection's authority, asked anew for every exchange.
    pub lease: Arc<Lease>,
    /// The carrier.
    pub transport: Transport,
    /// What the carrier's handshake agreed on.
    pub handshake: Handshake,
    /// The laptop's address.
    pub source: IpAddr,
    /// The laptop's program and version.
    pub client: Option<String>,
    /// The model asked for; it need not exist.
    pub model: String,
    /// One `connect`.
    pub session: String,
    /// The door the application came in by.
    pub door: Door,
    /// What a FIN from the application means.
    pub fin: Fin,
    /// What the caller wants where policy asks for an approval.
    pub asking: Asking,
    /// Tells the person that their exchange waits; `None` where nobody would hear it.
    pub notices: Option<Arc<Notices>>,
}

/// The stages and what they need. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline(Arc<Stages>);

/// What the stages work with.
pub struct Means {
    /// What decides.
    pub policies: Arc<ArcSwap<Policies>>,
    /// Who asks people.
    pub approvals: Approvals,
    /// Who writes the audit log.
    pub scribe: Scribe,
    /// What was used up.
    pub limits: Limits,
    /// What hashes in masked answers are keyed by.
    pub mask_keys: mask::Keys,
    /// Where exchanges are recorded.
    pub recordings: Recordings,
    /// The time.
    pub clock: Clock,
}

/// What the stages share.
struct Stages {
    models: ArcSwap<BTreeMap<String, Arc<Model>>>,
    policies: Arc<ArcSwap<Policies>>,
    approvals: Approvals,
    scribe: Scribe,
    limits: Limits,
    mask_keys: mask::Keys,
    recordings: Recordings,
    waiting: asking::Waiters,
    meters: Meters,
    /// What alarms about unusual use were answered with.
    answers: OnceLock<Answers>,
    clock: Clock,
}

/// Why the models of a configuration cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A model's server cannot be set up.
    #[error("model `{model}`: {cause}")]
    Upstream {
        /// The model.
        model: String,
        /// Why.
        #[source]
        cause: upstream::SetupError,
    },
    /// A model's analyser cannot be set up.
    #[error("model `{model}`: {cause}")]
    Analyser {
        /// The model.
        model: String,
        /// Why.
        #[source]
        cause: AnalyserError,
    },
    /// Two models have one name.
    #[error("two models are called `{0}`")]
    Twice(String),
}

impl Pipeline {
    /// Prepares every model's upstream; dials nothing.
    ///
    /// # Errors
    /// When a model cannot be served as configured: its CA, pins, client certificate or credential is unusable, or it would be
    /// plaintext though `required`.
    pub fn new(models: Vec<ModelConfig>, means: Means) -> Result<Self, PipelineError> {
        let Means { policies, approvals, scribe, limits, mask_keys, recordings, clock } = means;
        let models = models::open(models, &BTreeMap::new(), &limits, &clock)?;
        approvals.models_are(models::identities(&models));
        recordings.keep_for(models::keeps(&models));
        let models = ArcSwap::from_pointee(models);
        let waiting = asking::Waiters::default();
        let meters = Meters::default();
        Ok(Self(Arc::new(Stages {
            models,
            policies,
            approvals,
            scribe,
            limits,
            mask_keys,
            recordings,
            waiting,
            meters,
            answers: OnceLock::new(),
            clock,
        })))
    }

    /// Says once who is suspended, and who needs a person's yes. Before that, nobody is.
    pub fn heed(&self, answers: Answers) {
        if self.0.answers.set(answers).is_err() {
            tracing::error!("what alarms are answered with is decided by one alone");
        }
    }

    /// What is measured of the exchanges.
    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// New exchanges use these models from now on; those under way keep what they have.
    ///
    /// # Errors
    /// As [`Self::new`]; the last good models stay in force then.
    pub fn reload(&self, models: Vec<ModelConfig>) -> Result<(), PipelineError> {
        let models = models::open(models, &self.0.models.load(), &self.0.limits, &self.0.clock)?;
        let identities = models::identities(&models);
        self.0.recordings.keep_for(models::keeps(&models));
        self.0.models.store(Arc::new(models));
        self.0.approvals.models_are(identities);
        Ok(())
    }

    /// Models the caller may list and, now or with an approval, use; with access `permit` or `ask`.
    pub fn models_for(
        &self,
        caller: &Caller,
        source: Option<IpAddr>,
        transport: Option<Transport>,
    ) -> Vec<api::Model> {
        self.0.listable(caller, source, transport)
    }

    /// How the servers of every model stand, for the operator.
    pub fn standings(&self) -> Vec<upstream::Standing> {
        self.0.models.load().values().flat_map(|model| model.upstream.standings()).collect()
    }

    /// A model as an approver sees it, whatever they may do with it themselves.
    pub fn described(&self, model: &str) -> Option<api::Model> {
        self.0.model(model).map(|model| model.described("ask"))
    }

    /// The recordings of its exchanges.
    pub fn recordings(&self) -> &Recordings {
        &self.0.recordings
    }

    /// Files a request for approval, as an exchange of the caller's would; their valid approval where there is one.
    ///
    /// # Errors
    /// When there is no such model, policy permits or denies it anyway, or approvals say no.
    pub async fn request_approval(
        &self,
        caller: &Caller,
        source: Option<IpAddr>,
        transport: Option<Transport>,
        model: &str,
        reason: Option<&str>,
    ) -> Result<Arc<approval::Request>, Problem> {
        self.0.request_approval(caller, source, transport, model, reason).await
    }

    /// Whether such a model exists (a stream to an unknown one is refused in the caller's HTTP, with the nearest name the caller may list).
    pub fn knows(&self, model: &str) -> bool {
        self.0.models.load().contains_key(model)
    }

    /// Serves HTTP/1.1 or HTTP/2 on one stream until it ends, and then ends the stream: with FIN when all is said, with a reset of
    /// [`crate::wire::stream::reset`] when the answer under way is not the whole. Dropping the future aborts what is under way.
    pub async fn serve(&self, stream: Stream, arrival: Arrival) {
        let ended = arrival.lease.streams();
        serve::serve(Arc::clone(&self.0), stream, arrival, ended).await;
    }

    /// Passes one request whose caller is known, from a connection that another room serves. The answer's body ends with an error
    /// when the answer is not the whole, or the caller's authority ended; dropping the future or the body aborts the exchange.
    pub async fn pass(
        &self,
        request: Request<Incoming>,
        arrival: Arrival,
        visit: &Visit,
    ) -> Response<Answer> {
        direct::pass(Arc::clone(&self.0), request, arrival, visit).await
    }

    /// A "no" in the words of a caller who is not known: nothing of it is an exchange.
    pub fn refuse(&self, head: &Parts, problem: &Problem) -> Response<Answer> {
        direct::refuse(&self.0, head, problem)
    }
}
