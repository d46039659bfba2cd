//! One exchange, from its head to the first frame of its answer: the stages in their order.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version, header, request::Parts};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    Arrival, Stages,
    answer::{Answer, Terms},
    asking::{self, Admitted, Asked},
    carried::Signals,
    dialect::{self, Call, Looked},
    door,
    engine::Engine,
    exchange::{Draft, Exchange, Outcome},
    grpc, headers,
    masked::Masked,
    masking::Plan,
    models::Model,
    recorded, request,
    rewritten::{self, Rewritten},
    switch::{self, Veils},
};
use crate::{
    evidence::event::Leg,
    gateway::{
        framing::{Malformed, Requests},
        identity::Caller,
        mask::Form,
        policy::Permit,
        record::Level,
        respond::{Problem, Voice},
        upstream::{Answered, Meter, Outgoing, Source, Watch},
    },
};

/// What the exchanges of one stream share.
pub(super) struct Way {
    pub(super) stages: Arc<Stages>,
    pub(super) arrival: Arrival,
    pub(super) signals: Arc<Signals>,
    /// Cancelled when the caller's authority ends.
    pub(super) ended: CancellationToken,
    /// How the laptop's leg is encrypted.
    pub(super) leg: Leg,
}

/// Passes one exchange. Every refusal becomes an answer here, and an audit event unless an intent already stands for it.
pub(super) async fn pass(way: Arc<Way>, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let under_way = way.signals.begin();
    let (head, body) = request.into_parts();
    let mut draft = Draft::new(&way, &head);
    let model = way.stages.model(&way.arrival.model);
    let (voice, version) = (voice(model.as_deref(), &head), head.version);
    let framed = request::check(&head);
    let response = match walk(&way, model, head, framed, body, &mut draft).await {
        Ok(response) => response,
        Err(problem) => {
            draft.refused(&way.stages.scribe, &problem).await;
            let mut response = problem.answer(voice, draft.id()).map(Answer::made);
            if framed.is_err() && version != Version::HTTP_2 {
                // Whoever sent it may see another beginning of the next request.
                headers::last_on_its_connection(response.headers_mut());
            }
            response
        }
    };
    Ok(response.map(|answer| answer.holding(under_way)))
}

/// The shape in which the sender of a request understands an error.
pub(super) fn voice(model: Option<&Model>, head: &Parts) -> Voice {
    let dialect = model.map_or(super::Dialect::Detect, |model| model.config.dialect);
    Voice::of(dialect, head.uri.path(), &head.headers)
}

/// THE LIST. A stage that says no ends the walk; nothing is sent before every stage has said yes.
async fn walk(
    way: &Arc<Way>,
    model: Option<Arc<Model>>,
    mut head: Parts,
    framed: Result<(), Malformed>,
    mut body: Incoming,
    draft: &mut Draft,
) -> Result<Response<Answer>, Problem> {
    // Who calls, and whether that still holds: identity and revocation are looked at for every exchange.
    let caller = way.arrival.lease.check(way.stages.clock.now())?;
    draft.caller(&caller, way);
    // What no honest client sends, and what could be read in two ways.
    framed?;
    // No browser page, no foreign Host, and the local key where the laptop asked for one.
    door::check(&way.arrival.door, &mut head)?;
    // The model, or the name that was meant.
    let model = known(way, model, &caller)?;
    // Whatever is shown of the exchange to anybody is masked.
    masked_by(way, &model, draft);
    // A body announced as too long is not read at all.
    let announced = body.size_hint().lower();
    body_limit(&model, announced)?;
    // Whoever waits for `100 Continue` is told no before it: looking at the body would ask for it.
    let decided = before_the_body(way, &model, &caller, &head, draft).await?;
    // The model that the request itself names: read from its path or its first bytes, which are handed on as they came.
    let looked = understood(&model, &mut head, &mut body, draft, way.stages.scribe.keeps_input()).await?;
    // Policy: a permit, or what is missing; a person's yes is waited for in place.
    let asked = Asked { head: &head, requested_model: looked.model.as_deref() };
    let Admitted { caller, model, permit, grant } = match decided {
        Some(admitted) => admitted,
        None => asking::admit(way, model, caller, &asked, draft).await?,
    };
    draft.permitted(&permit, grant.as_ref());
    // The model may be masked otherwise after a wait.
    masked_by(way, &model, draft);
    // What the caller may see of the answer: all of it, where a policy says so in so many words.
    let plan = plan(way, &model, &caller, &asked, grant.is_some(), draft);
    // The model may be configured otherwise after a wait.
    let limit = body_limit(&model, announced)?;
    // Limits: room under all that hold for this caller, held until the exchange ends. What was refused so far has cost nothing.
    if let Some(counts) = &model.counts {
        draft.admitted(counts.admit(&model.config.limits, &caller, way.stages.limits.now())?);
    }
    // The recording, where the model has one: on its way to the store before anything is on its way to the model.
    let unmasked = model.config.mask.is_some() && plan.is_none();
    draft.recorded(recorded::begin(way, &model, &caller, &head, draft, unmasked).await?);
    let informed =
        head.extensions.get::<Arc<Requests>>().filter(|_| head.version == Version::HTTP_11).cloned();
    // From here on the request is the model's: hop-by-hop headers end at this hop (RFC 9110 §7.6.1).
    if let Some(plan) = &plan {
        plan.request(&mut head.headers);
    }
    let asked_masked = model.config.mask.as_ref().filter(|mask| mask.request).and(draft.masking().cloned());
    if draft.records_bodies() {
        // What is compressed tells nobody anything.
        head.headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    }
    if asked_masked.is_some() {
        headers::uncompressed(&mut head.headers);
    }
    let leaving = headers::towards_model(&mut head);
    let leaving = head.extensions.remove::<OnUpgrade>().filter(|_| leaving);
    let (version, patience) = (head.version, grpc::patience(&head.headers));
    let mut outgoing = outgoing(&model, &mut head, looked.early, body, looked.watch, (limit, draft))?;
    if outgoing.is_rewritten() {
        outgoing.settle(model.upstream.idle()).await.map_err(|error| Problem::from(&error))?;
    }
    let mut request = Request::from_parts(head, outgoing);
    if let Some(caller) = informed {
        // 103 and its like are the caller's (RFC 9110 §15.2); hyper drops them unless they are asked for.
        hyper::ext::on_informational(&mut request, move |answer| {
            inform(&caller, answer.status(), answer.headers())
        });
    }
    let meter = Arc::clone(request.body().meter());
    // Durable before the first byte goes out. If it cannot be written, nothing is forwarded.
    let exchange = draft.intend(way, Arc::clone(&meter), grant).await?;
    // The model's own leg: TLS, the backend's credential, and only with a permit.
    match leaving {
        Some(caller) => {
            let veils = Veils {
                answer: plan,
                asked: asked_masked.map(|masking| Engine::new(Form::WebSocketAsked, true, &masking)),
            };
            switch::send(way, &model, &permit, request, caller, exchange, veils).await
        }
        None => send(&model, &permit, request, exchange, plan, (version, patience)).await,
    }
}

/// What of the exchange is masked, and shown to anybody, is masked as the model is configured now.
fn masked_by(way: &Way, model: &Model, draft: &mut Draft) {
    let shown = way.stages.scribe.keeps_input() || model.config.record.level != Level::Off;
    if model.config.mask.is_some() || shown {
        draft.masked_by(&model.masking(way.stages.mask_keys.of(&way.arrival.session)));
    }
}

/// The request's body as the model gets it: as it came, or masked.
fn outgoing(
    model: &Model,
    head: &mut Parts,
    early: Vec<Frame<Bytes>>,
    body: Incoming,
    watch: Option<Box<dyn Watch>>,
    (limit, draft): (u64, &Draft),
) -> Result<Outgoing, Problem> {
    let mask = model.config.mask.as_ref().filter(|mask| mask.request);
    let masked = match (mask, draft.masking()) {
        (Some(mask), Some(masking)) if !early.is_empty() || !body.is_end_stream() => {
            rewritten::form(model, masking, head, mask.unknown)?
        }
        _ => None,
    };
    let recorded = draft.recording();
    Ok(match masked {
        None => {
            let watch = match recorded {
                Some(recorded) => Some(recorded.watch(&early, watch)),
                None => watch,
            };
            Outgoing::new(early, Source::Caller(body), watch, limit)
        }
        Some(form) => {
            let rewritten = Rewritten::new(early, body, watch, form);
            let watch = recorded.map(|recorded| {
                recorded.asked_masked(head);
                recorded.watch(&[], None)
            });
            Outgoing::new(Vec::new(), Source::Rewritten(Box::new(rewritten)), watch, limit)
        }
    })
}

/// How the answer is masked; `None` where it passes as it is.
fn plan(
    way: &Way,
    model: &Model,
    caller: &Caller,
    asked: &Asked<'_>,
    approved: bool,
    draft: &mut Draft,
) -> Option<Plan> {
    let plan = Plan::of(model, draft.masking()?, asked.head)?;
    match asking::unmasked(way, model, caller, asked, approved) {
        Some(policies) => {
            draft.unmasked(policies);
            None
        }
        None => Some(plan),
    }
}

pub(super) fn known(way: &Way, model: Option<Arc<Model>>, caller: &Caller) -> Result<Arc<Model>, Problem> {
    let wanted = &way.arrival.model;
    model.ok_or_else(|| Problem::model_unknown(wanted, way.stages.nearest(wanted, caller).as_deref()))
}

/// How long a request's body may be, bytes, when one of at least `announced` is.
fn body_limit(model: &Model, announced: u64) -> Result<u64, Problem> {
    let limit = model.config.body_limit.unwrap_or(u64::MAX);
    if announced > limit { Err(Problem::body_too_long(limit)) } else { Ok(limit) }
}

/// Decides what can be decided of a request whose body is only sent once it is asked for (RFC 9110 §10.1.1): limits always, and policy
/// unless it reads the model that the body names.
async fn before_the_body(
    way: &Arc<Way>,
    model: &Arc<Model>,
    caller: &Arc<Caller>,
    head: &Parts,
    draft: &mut Draft,
) -> Result<Option<Admitted>, Problem> {
    if !head.headers.contains_key(header::EXPECT) {
        return Ok(None);
    }
    if let Some(counts) = &model.counts {
        counts.room(&model.config.limits, caller, way.stages.limits.now())?;
    }
    if way.stages.policies.load().read_requested_model() {
        return Ok(None);
    }
    let asked = Asked { head, requested_model: None };
    asking::admit(way, Arc::clone(model), Arc::clone(caller), &asked, draft).await.map(Some)
}

/// Reads what the request shows of itself, where its dialect is understood.
async fn understood(
    model: &Model,
    head: &mut Parts,
    body: &mut Incoming,
    draft: &mut Draft,
    keeps_input: bool,
) -> Result<Looked, Problem> {
    let Some(call) = Call::of(model.config.dialect, head) else { return Ok(Looked::default()) };
    if model.config.limits.counts_tokens() && call.counted {
        headers::uncompressed(&mut head.headers);
    }
    let looked = dialect::look(&call, body, &head.headers, keeps_input).await?;
    draft.understood(&call, &looked);
    Ok(looked)
}

/// Passes an interim answer on, but for those that are this hop's own.
fn inform(caller: &Requests, status: StatusCode, told: &HeaderMap) {
    if status == StatusCode::CONTINUE || status == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let mut told = told.clone();
    headers::towards_caller(&mut told);
    // It has no body (RFC 9110 §8.6).
    told.remove(header::CONTENT_LENGTH);
    caller.interim(status, &told);
}

/// Sends the request and hands the answer on as it comes; `exchange` finishes with its last frame.
async fn send(
    model: &Model,
    permit: &Permit,
    request: Request<Outgoing>,
    mut exchange: Exchange,
    plan: Option<Plan>,
    (version, patience): (Version, Option<Duration>),
) -> Result<Response<Answer>, Problem> {
    let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
    let sending = exchange.unless_ended(model.upstream.send(permit, request));
    let sent = match deadline {
        Some(at) => timeout_at(at, sending).await.ok(),
        None => Some(sending.await),
    };
    let Some(sent) = sent else {
        let problem = Problem::deadline_passed();
        exchange.status(problem.http_status());
        exchange.finish(Outcome::Aborted);
        return Err(problem);
    };
    match sent? {
        Ok(mut answered) => {
            headers::towards_caller(&mut answered.head.headers);
            let masked = masked(plan.as_ref(), &mut answered, &mut exchange, model.upstream.idle()).await?;
            exchange.replied(&answered.head, answered.body.is_end_stream());
            let in_trailers = grpc::ends_in_trailers(version, &answered.head.headers);
            let terms = Terms { idle: model.upstream.idle(), deadline, in_trailers };
            let answer = Answer::streaming(answered.body, masked, exchange, terms);
            Ok(Response::from_parts(answered.head, answer))
        }
        Err(error) => Err(failed(&error, exchange)),
    }
}

/// What masks the answer, if anything does. One that cannot be masked is refused while that can still be said.
pub(super) async fn masked(
    plan: Option<&Plan>,
    answered: &mut Answered,
    exchange: &mut Exchange,
    idle: Duration,
) -> Result<Option<Masked>, Problem> {
    let empty = answered.body.is_end_stream();
    let begun = plan.map_or(Ok(None), |plan| plan.answer(&mut answered.head, empty));
    exchange.answered(answered.head.status, &answered.head.headers, &answered.leg);
    let refused = match begun {
        Ok(None) => return Ok(None),
        Ok(Some(masked)) if !masked.is_document() => return Ok(Some(masked)),
        Ok(Some(mut masked)) => {
            let first = exchange.unless_ended(timeout(idle, answered.body.frame())).await?;
            // One that is slow to begin is waited for further on, like any other.
            let Ok(frame) = first else { return Ok(Some(masked)) };
            match masked.begin(frame, answered.body.is_end_stream(), exchange).await {
                Ok(()) => return Ok(Some(masked)),
                Err(error) => Problem::answer_unreadable(&error),
            }
        }
        Err(problem) => problem,
    };
    Err(unmaskable(refused, exchange))
}

/// An answer is not passed on: says so in the audit log and to the caller.
pub(super) fn unmaskable(problem: Problem, exchange: &mut Exchange) -> Problem {
    tracing::warn!(exchange = exchange.id(), problem = problem.message(), "an answer was not passed on");
    exchange.status(problem.http_status());
    exchange.finish(Outcome::MaskingFailed);
    problem
}

/// No answer came: says so in the audit log and to the caller.
pub(super) fn failed(error: &crate::gateway::upstream::UpstreamError, mut exchange: Exchange) -> Problem {
    use crate::gateway::upstream::UpstreamError::{
        Crowded, DotSegment, NoUpgrade, RequestAmbiguous, RequestCut, RequestMalformed, RequestTooLong,
        RequestUnreadable, Unsignable,
    };
    let problem = Problem::from(error);
    tracing::warn!(exchange = exchange.id(), %error, "an exchange got no answer from its model");
    exchange.status(problem.http_status());
    exchange.finish(match error {
        RequestCut => Outcome::CallerLeft,
        RequestUnreadable => Outcome::MaskingFailed,
        RequestTooLong { .. }
        | RequestAmbiguous
        | RequestMalformed(_)
        | Unsignable { .. }
        | NoUpgrade
        | Crowded
        | DotSegment => Outcome::Aborted,
        _ => Outcome::UpstreamFailed,
    });
    problem
}

/// Where a request body's figures are kept once it is on its way.
pub(super) type Figures = Arc<Meter>;
