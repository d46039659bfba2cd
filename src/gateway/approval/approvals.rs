//! Requests for approval: asked for, decided, waited for, ended.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::{
    sync::{Mutex, Notify, broadcast},
    task::AbortHandle,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    ApprovalError, Asking, Bounds, Change, Decider, Decision, Filed, Filter, Grant, Kind, Person, Request,
    State, Store, Vote, Witness, book::Book, keeper, rules,
};
use crate::{
    clock::Clock,
    gateway::{
        identity::{Caller, StoreError},
        policy::Policies,
    },
    id,
};

/// How long a request waits for its yeses where `[approvals]` does not say.
pub const DEFAULT_LAPSE: Duration = Duration::from_hours(1);
/// The most requests of one requester that wait.
pub const MAX_PENDING_OWN: usize = 100;
/// The most requests of all that wait.
pub const MAX_PENDING: usize = 10_000;

/// Changes that a slow listener may be behind before it misses some.
const CHANGES: usize = 1024;
/// Tries of a compare-and-swap; each lost one means that somebody else's was taken.
const TRIES: usize = 32;

/// What `[approvals]` of `gateway.toml` says, and where the gateway is.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a request waits for its yeses.
    pub lapse: Duration,
    /// The gateway's public URL: pages of approvals lie below it.
    pub public_url: Url,
}

/// Requests for approval and the approvals they become. Cheap to clone.
#[derive(Clone)]
pub struct Approvals(pub(super) Arc<Office>);

/// What all clones share.
pub(super) struct Office {
    config: Config,
    store: Arc<dyn Store>,
    policies: Arc<ArcSwap<Policies>>,
    pub(super) clock: Clock,
    witness: Witness,
    pub(super) book: Book,
    changes: broadcast::Sender<Change>,
    /// What the models are now, by name; `None` until the gateway has said so.
    models: ArcSwapOption<BTreeMap<String, String>>,
    /// One request is filed at a time, so that a hundred waiting exchanges make one.
    filing: Mutex<()>,
    /// Rung when something live has another end than before.
    pub(super) bell: Arc<Notify>,
    closing: CancellationToken,
    keeper: AbortHandle,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl std::fmt::Debug for Approvals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Approvals")
    }
}

impl Approvals {
    /// Takes up what the store has. A task that lets requests lapse and ends approvals on their second runs until the last clone is gone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        config: Config,
        store: Arc<dyn Store>,
        policies: Arc<ArcSwap<Policies>>,
        clock: Clock,
        witness: Witness,
    ) -> Result<Self, StoreError> {
        let live = store.live_approvals().await?;
        let bell = Arc::new(Notify::new());
        let office = Arc::new_cyclic(|office: &Weak<Office>| Office {
            config,
            store,
            policies,
            clock,
            witness,
            book: Book::default(),
            changes: broadcast::Sender::new(CHANGES),
            models: ArcSwapOption::empty(),
            filing: Mutex::new(()),
            bell: Arc::clone(&bell),
            closing: CancellationToken::new(),
            keeper: tokio::spawn(keeper::run(office.clone(), bell)).abort_handle(),
        });
        for request in live {
            office.book.adopt(Arc::new(request));
        }
        office.bell.notify_one();
        Ok(Self(office))
    }

    /// What the models are from now on, name → identity. An approval for one that is no longer there, or is another one, can be neither
    /// given nor used.
    pub fn models_are(&self, models: BTreeMap<String, String>) {
        self.0.models.store(Some(Arc::new(models)));
        self.0.bell.notify_one();
    }

    /// The caller's valid approvals for a model, the longest first. From memory.
    pub fn grants(&self, caller: &Caller, model: &str, model_identity: &str) -> Vec<Grant> {
        self.0.book.grants(&Person::from(caller), model, model_identity, self.0.clock.now())
    }

    /// The caller's valid approval for a model that lasts longest. From memory.
    pub fn grant(&self, caller: &Caller, model: &str, model_identity: &str) -> Option<Grant> {
        self.grants(caller, model, model_identity).into_iter().next()
    }

    /// Files a request, or joins the pending one of the same caller for the same model under the same terms.
    ///
    /// # Errors
    /// When the reason cannot be shown, too many wait, or the store fails.
    pub async fn ask(&self, asking: Asking<'_>) -> Result<Arc<Request>, ApprovalError> {
        rules::presentable("a reason", asking.reason)?;
        let office = &self.0;
        let now = office.clock.now();
        let request = Request {
            id: id::new("apr", now),
            revision: 1,
            requester: Person::from(asking.caller),
            model: asking.model.to_owned(),
            model_identity: asking.model_identity.to_owned(),
            reason: asking.reason.map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned),
            terms: asking.terms.to_vec(),
            created_at: now,
            lapses_at: now + office.config.lapse,
            state: State::Pending,
            votes: Vec::new(),
        };
        let sameness = request.sameness();
        if let Some(pending) = office.book.pending(&request, &sameness, now) {
            return Ok(pending);
        }
        let _one_at_a_time = office.filing.lock().await;
        if let Some(pending) = office.book.pending(&request, &sameness, now) {
            return Ok(pending);
        }
        office.file(request, asking.caller).await
    }

    /// Waits until the request is decided. It is followed from the call on, not from the first poll: a decision cannot slip through.
    pub fn decision(&self, id: &str) -> impl Future<Output = Decision> + Send + use<> {
        let (office, id) = (Arc::clone(&self.0), id.to_owned());
        let followed = office.book.follow(&id);
        async move {
            let Some(mut followed) = followed else { return office.decided(&id).await };
            let closing = office.closing.clone();
            // A wait must not keep the office alive, whose end would end it.
            drop(office);
            tokio::select! {
                biased;
                decided = followed.wait_for(|request| request.decision().is_some()) => {
                    decided.ok().and_then(|request| request.decision()).unwrap_or(Decision::Closing)
                }
                () = closing.cancelled() => Decision::Closing,
            }
        }
    }

    /// Says yes. `lasts` shortens the approval.
    ///
    /// # Errors
    /// When the decider may not, the request is decided, or is for a model that has changed; see [`ApprovalError`].
    pub async fn approve(
        &self,
        id: &str,
        decider: Decider<'_>,
        lasts: Option<Duration>,
        comment: Option<&str>,
    ) -> Result<Arc<Request>, ApprovalError> {
        rules::presentable("a comment", comment)?;
        if let Some(short) = lasts.filter(|lasts| *lasts < rules::SHORTEST) {
            return Err(ApprovalError::TooShort(short));
        }
        let next = self.0.decide(id, decider, |office, request, standing, now| {
            if request.word(now) != "pending" {
                return Err(ApprovalError::Decided(request.word(now)));
            }
            if !office.is_same_model(request) {
                return Err(ApprovalError::ModelChanged);
            }
            let vote = Vote { lasts, ..vote(request, decider, standing, true, comment, now) };
            rules::with_yes(request, vote, now)
        });
        let (request, _) = next.await?;
        self.0.tell(Kind::Approved, &request, Some(decider.caller));
        if matches!(request.state, State::Approved { .. }) {
            self.0.tell(Kind::Granted, &request, Some(decider.caller));
        }
        Ok(request)
    }

    /// Says no: to a request that waits, or to an approval, which ends at once with its streams.
    ///
    /// # Errors
    /// When the decider may not, or there is nothing to say no to any more; see [`ApprovalError`].
    pub async fn deny(
        &self,
        id: &str,
        decider: Decider<'_>,
        comment: Option<&str>,
    ) -> Result<Arc<Request>, ApprovalError> {
        rules::presentable("a comment", comment)?;
        let next = self.0.decide(id, decider, |_, request, standing, now| {
            if !matches!(request.word(now), "pending" | "approved") {
                return Err(ApprovalError::Decided(request.word(now)));
            }
            Ok(rules::with_no(request, vote(request, decider, standing, false, comment, now)))
        });
        let (request, before) = next.await?;
        self.0.tell(Kind::Denied, &request, Some(decider.caller));
        if matches!(before, State::Approved { .. }) {
            self.0.tell(Kind::Ended, &request, Some(decider.caller));
        }
        Ok(request)
    }

    /// Whether the caller may decide a request, now or had it not been decided.
    pub fn may_decide(&self, request: &Request, decider: Decider<'_>) -> bool {
        rules::standing(request, decider, &self.0.policies.load(), self.0.clock.now()).is_ok()
    }

    /// The request of that id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<Arc<Request>>, StoreError> {
        Ok(self.0.store.approval(id).await?.map(Arc::new))
    }

    /// Requests, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Request>, StoreError> {
        self.0.store.approvals(filter, self.0.clock.now()).await
    }

    /// Everything that happens from now on. A listener that falls behind by more than 1,024 changes is told how many it missed.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// The page where a request is decided.
    pub fn page(&self, id: &str) -> String {
        let base = self.0.config.public_url.as_str().trim_end_matches('/');
        format!("{base}/console/approvals/{id}")
    }

    /// Ends every wait with [`Decision::Closing`]: the gateway goes away. Approvals go on to end in time.
    pub fn close(&self) {
        self.0.closing.cancel();
    }
}

impl Office {
    async fn file(&self, request: Request, caller: &Caller) -> Result<Arc<Request>, ApprovalError> {
        let bounds = Bounds { own: MAX_PENDING_OWN, all: MAX_PENDING };
        for _ in 0..TRIES {
            let now = self.clock.now();
            match self.store.file(&request, bounds, now).await? {
                Filed::New => {
                    let request = Arc::new(request);
                    self.adopt(&request);
                    self.tell(Kind::Requested, &request, Some(caller));
                    return Ok(request);
                }
                Filed::Joined(pending) => {
                    let pending = Arc::new(*pending);
                    self.adopt(&pending);
                    if pending.word(now) == "pending" {
                        return Ok(pending);
                    }
                    // It has lapsed and nobody has noted it yet.
                    self.lapse(&pending).await?;
                }
                Filed::TooManyOwn => return Err(ApprovalError::TooManyOwn(bounds.own)),
                Filed::TooMany => return Err(ApprovalError::TooMany(bounds.all)),
            }
        }
        Err(ApprovalError::Busy)
    }

    /// Changes a request by compare-and-swap: whoever is second judges what the first has made of it. Returns it with its former state.
    async fn decide(
        &self,
        id: &str,
        decider: Decider<'_>,
        change: impl Fn(&Self, &Request, Vec<String>, SystemTime) -> Result<Request, ApprovalError>,
    ) -> Result<(Arc<Request>, State), ApprovalError> {
        for _ in 0..TRIES {
            let request = self.store.approval(id).await?.ok_or(ApprovalError::Unknown)?;
            let now = self.clock.now();
            let standing = rules::standing(&request, decider, &self.policies.load(), now)?;
            let next = change(self, &request, standing, now)?;
            if self.store.replace(&next, request.revision).await? {
                let next = Arc::new(next);
                self.adopt(&next);
                return Ok((next, request.state));
            }
        }
        Err(ApprovalError::Busy)
    }

    /// Notes what time or a changed model has done to a request: it expires, or its approval ends.
    pub(super) async fn lapse(&self, request: &Arc<Request>) -> Result<(), StoreError> {
        let (state, kind) = match &request.state {
            State::Approved { until, .. } => (State::Ended { until: *until }, Kind::Ended),
            _ => (State::Expired, Kind::Expired),
        };
        let next = Arc::new(rules::in_state(request, state));
        match self.store.replace(&next, request.revision).await {
            Ok(true) => {
                self.adopt(&next);
                self.tell(kind, &next, None);
                Ok(())
            }
            Ok(false) => {
                // Somebody decided it at the last moment: theirs holds.
                if let Some(theirs) = self.store.approval(&request.id).await? {
                    self.adopt(&Arc::new(theirs));
                }
                Ok(())
            }
            Err(error) => {
                // Time is over whatever the database says. The row is taken up again at the next start.
                self.adopt(&next);
                Err(error)
            }
        }
    }

    /// Whether a request's model is the one it was made for. Before the gateway has said what there is, nothing is.
    pub(super) fn is_same_model(&self, request: &Request) -> bool {
        let models = self.models.load();
        models.as_ref().is_some_and(|models| models.get(&request.model) == Some(&request.model_identity))
    }

    /// Whether the gateway has said what models there are.
    pub(super) fn knows_models(&self) -> bool {
        self.models.load().is_some()
    }

    fn adopt(&self, request: &Arc<Request>) {
        self.book.adopt(Arc::clone(request));
        self.bell.notify_one();
    }

    /// How a request that is not in the book was decided.
    async fn decided(&self, id: &str) -> Decision {
        match self.store.approval(id).await {
            Ok(Some(request)) => request.decision().unwrap_or(Decision::Expired),
            Ok(None) => Decision::Unknown,
            Err(error) => {
                tracing::error!(%error, approval = id, "an approval could not be read");
                Decision::Unknown
            }
        }
    }

    fn tell(&self, kind: Kind, request: &Arc<Request>, by: Option<&Caller>) {
        let change = Change { kind, request: Arc::clone(request), by: by.cloned() };
        (self.witness)(&change);
        // Without a listener there is nobody to tell.
        let _ = self.changes.send(change);
    }
}

fn vote(
    request: &Request,
    decider: Decider<'_>,
    policies: Vec<String>,
    yes: bool,
    comment: Option<&str>,
    at: SystemTime,
) -> Vote {
    Vote {
        person: Person::from(decider.caller),
        groups: rules::named_groups(request, decider),
        policies,
        yes,
        lasts: None,
        comment: comment.map(str::trim).filter(|comment| !comment.is_empty()).map(str::to_owned),
        at,
    }
}
