//! Exchanges that leave HTTP (`101 Switching Protocols`, WebSocket above all): bytes both ways until either side ends.

use std::sync::Arc;

use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::{
    answer::Answer,
    exchange::{Exchange, Outcome, ended},
    headers,
    models::Model,
    path::{Way, failed},
};
use crate::{
    gateway::{policy::Permit, respond::Problem, upstream::Outgoing},
    tunnel,
};

/// Sends a request that asks to leave HTTP. The model's server may say no, which is an answer like any other.
pub(super) async fn send(
    way: &Arc<Way>,
    model: &Model,
    permit: &Permit,
    request: Request<Outgoing>,
    caller: OnUpgrade,
    mut exchange: Exchange,
) -> Result<Response<Answer>, Problem> {
    let (mut answered, server) = match exchange.unless_ended(model.upstream.upgrade(permit, request)).await? {
        Ok(asked) => asked,
        Err(error) => return Err(failed(&error, exchange)),
    };
    exchange.answered(answered.head.status, &answered.leg);
    let Some(server) = server else {
        headers::towards_caller(&mut answered.head.headers);
        let answer = Answer::streaming(answered.body, exchange, model.upstream.idle());
        return Ok(Response::from_parts(answered.head, answer));
    };
    headers::towards_caller_switching(&mut answered.head.headers);
    let failure = Arc::clone(&way.caller_failed);
    way.signals.switch(Box::pin(carry(caller, server, exchange, failure)));
    Ok(Response::from_parts(answered.head, Answer::made(bytes::Bytes::new())))
}

/// Carries the bytes of both sides until both have ended.
async fn carry(
    caller: OnUpgrade,
    server: OnUpgrade,
    mut exchange: Exchange,
    caller_failed: Arc<dyn Fn() -> bool + Send + Sync>,
) {
    let (caller, server) = match tokio::try_join!(caller, server) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(exchange = exchange.id(), %error, "an exchange did not leave HTTP after all");
            exchange.signals().answer_cut();
            exchange.finish(Outcome::Aborted);
            return;
        }
    };
    let (mut caller, mut server) = (TokioIo::new(caller), TokioIo::new(server));
    let grant = exchange.grant().cloned();
    let spliced = tokio::select! {
        biased;
        () = ended(grant.as_ref()) => {
            exchange.signals().answer_cut();
            return exchange.finish_switched(Outcome::ApprovalEnded, 0);
        }
        spliced = tunnel::splice(&mut caller, &mut server) => spliced,
    };
    match spliced {
        Ok(spliced) => {
            exchange.passed(spliced.to_a);
            exchange.finish_switched(Outcome::Complete, spliced.to_b);
        }
        Err(error) => {
            tracing::debug!(exchange = exchange.id(), %error, "a switched exchange was cut");
            let outcome = if caller_failed() { Outcome::CallerLeft } else { Outcome::UpstreamCut };
            exchange.signals().answer_cut();
            exchange.finish_switched(outcome, 0);
        }
    }
}
