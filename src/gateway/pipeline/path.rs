//! One exchange, from its head to the first frame of its answer: the stages in their order.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response, request::Parts};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};

use super::{
    Arrival, Stages,
    answer::Answer,
    carried::Signals,
    door,
    exchange::{Draft, Exchange, Outcome},
    headers,
    models::Model,
    request, switch,
};
use crate::{
    evidence::event::Leg,
    gateway::{
        identity::Caller,
        policy::{Action, Context, Permit, Question, Resource, Verdict},
        respond::{Problem, Voice},
        upstream::{Meter, Outgoing},
    },
};

/// What the exchanges of one stream share.
pub(super) struct Way {
    pub(super) stages: Arc<Stages>,
    pub(super) arrival: Arrival,
    pub(super) signals: Arc<Signals>,
    /// How the laptop's leg is encrypted.
    pub(super) leg: Leg,
}

/// Passes one exchange. Every refusal becomes an answer here, and an audit event unless an intent already stands for it.
pub(super) async fn pass(way: Arc<Way>, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let under_way = way.signals.begin();
    let (head, body) = request.into_parts();
    let mut draft = Draft::new(&way, &head);
    let model = way.stages.model(&way.arrival.model);
    let voice = voice(model.as_deref(), &head);
    let response = match walk(&way, model, head, body, &mut draft).await {
        Ok(response) => response,
        Err(problem) => {
            draft.refused(&way.stages.scribe, &problem).await;
            problem.answer(voice, draft.id()).map(Answer::made)
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
    body: Incoming,
    draft: &mut Draft,
) -> Result<Response<Answer>, Problem> {
    // Who calls, and whether that still holds: identity and revocation are looked at for every exchange.
    let caller = way.arrival.lease.check(way.stages.clock.now())?;
    draft.caller(&caller, way);
    // No browser page, no foreign Host, and the local key where the laptop asked for one.
    door::check(&way.arrival.door, &mut head)?;
    // What no honest client sends, and what could be read in two ways.
    request::check(&head)?;
    // The model, or the name that was meant.
    let model = known(way, model, &caller)?;
    // A body announced as too long is not read at all.
    let limit = model.config.body_limit.unwrap_or(u64::MAX);
    announced(&body, limit)?;
    // Policy: a permit, or the verdict that tells what is missing.
    let permit =
        permitted(way, &model, &caller, &head).map_err(|verdict| draft.verdict(&verdict, &model, &caller))?;
    draft.permitted(&permit);
    // From here on the request is the model's: hop-by-hop headers end at this hop (RFC 9110 §7.6.1).
    let leaving = headers::towards_model(&mut head);
    let leaving = head.extensions.remove::<OnUpgrade>().filter(|_| leaving);
    let request = Request::from_parts(head, Outgoing::new(body, limit));
    let meter = Arc::clone(request.body().meter());
    // Durable before the first byte goes out. If it cannot be written, nothing is forwarded.
    let exchange = draft.intend(way, Arc::clone(&meter)).await?;
    // The model's own leg: TLS, the backend's credential, and only with a permit.
    match leaving {
        Some(caller) => switch::send(way, &model, &permit, request, caller, exchange).await,
        None => send(&model, &permit, request, exchange).await,
    }
}

fn known(way: &Way, model: Option<Arc<Model>>, caller: &Caller) -> Result<Arc<Model>, Problem> {
    let wanted = &way.arrival.model;
    model.ok_or_else(|| Problem::model_unknown(wanted, way.stages.nearest(wanted, caller).as_deref()))
}

fn announced(body: &Incoming, limit: u64) -> Result<(), Problem> {
    if body.size_hint().lower() > limit { Err(Problem::body_too_long(limit)) } else { Ok(()) }
}

fn permitted(way: &Way, model: &Model, caller: &Caller, head: &Parts) -> Result<Permit, Verdict> {
    let question = Question {
        caller,
        action: Action::Invoke,
        resource: Resource::Model(&model.config.name),
        context: Context {
            transport: Some(way.arrival.transport),
            upstream_encrypted: model.upstream.encrypted(),
            source_ip: Some(way.arrival.source),
            now: way.stages.clock.now(),
            method: head.method.as_str(),
            path: head.uri.path(),
            requested_model: None,
        },
    };
    way.stages.policies.load().authorize(&question, false)
}

/// Sends the request and hands the answer on as it comes; `exchange` finishes with its last frame.
async fn send(
    model: &Model,
    permit: &Permit,
    request: Request<Outgoing>,
    mut exchange: Exchange,
) -> Result<Response<Answer>, Problem> {
    match model.upstream.send(permit, request).await {
        Ok(mut answered) => {
            headers::towards_caller(&mut answered.head.headers);
            exchange.answered(answered.head.status, &answered.leg);
            Ok(Response::from_parts(
                answered.head,
                Answer::streaming(answered.body, exchange, model.upstream.idle()),
            ))
        }
        Err(error) => Err(failed(&error, exchange)),
    }
}

/// No answer came: says so in the audit log and to the caller.
pub(super) fn failed(error: &crate::gateway::upstream::UpstreamError, mut exchange: Exchange) -> Problem {
    use crate::gateway::upstream::UpstreamError::{RequestCut, RequestTooLong};
    let problem = Problem::from(error);
    tracing::warn!(exchange = exchange.id(), %error, "an exchange got no answer from its model");
    exchange.status(problem.http_status());
    exchange.finish(match error {
        RequestCut => Outcome::CallerLeft,
        RequestTooLong { .. } => Outcome::Aborted,
        _ => Outcome::UpstreamFailed,
    });
    problem
}

/// Where a request body's figures are kept once it is on its way.
pub(super) type Figures = Arc<Meter>;
