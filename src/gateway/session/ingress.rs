//! Direct ingress: a request of an application without a laptop's tunnel, `/models/{model}/…` on an HTTPS port → caller → exchange.

mod key;
mod target;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header, request::Parts};
use hyper::body::Incoming;

use self::target::Target;
use crate::{
    clock::{Clock, unix_millis},
    gateway::{
        identity::{Caller, Identities, Lease},
        pipeline::{self, Answer, Arrival, Pipeline},
        respond::Problem,
    },
    id,
    secret::ExposeSecret,
    tls::Handshake,
    tunnel::Transport,
    wire::{
        Refusal, code,
        stream::{Asking, Door, Fin},
    },
};

/// Exchanges of one caller with one model within the same such time, counted from 1970, are one session.
const WINDOW: Duration = Duration::from_secs(60 * 60);

/// The longest `User-Agent` kept, bytes.
const MAX_AGENT: usize = 200;

/// Serves `/models/{model}/…`. Cheap to clone.
#[derive(Clone)]
pub struct Ingress {
    identities: Arc<Identities>,
    pipeline: Pipeline,
    clock: Clock,
}

/// How the callers of a connection are known.
pub enum Proof {
    /// Each request brings its own token.
    Bearer,
    /// The handshake showed a credential of the gateway; the reason when it is none that holds.
    Certificate(Result<Arc<Lease>, Refusal>),
}

/// One HTTPS connection.
pub struct Visit {
    /// How its callers are known.
    pub proof: Proof,
    /// What its handshake agreed on.
    pub handshake: Handshake,
    /// The client's address.
    pub source: IpAddr,
    /// What its exchanges share.
    pub line: pipeline::Visit,
}

/// What became of a request.
pub enum Passed {
    /// Its caller is known, and the audit log has what was made of it.
    Known(Response<Answer>),
    /// Nobody was established: the refusal is in no exchange.
    Stranger(Response<Answer>),
}

impl Ingress {
    /// Callers are known by `identities`; their requests go to `pipeline`.
    pub fn new(identities: Arc<Identities>, pipeline: Pipeline, clock: Clock) -> Self {
        Self { identities, pipeline, clock }
    }

    /// Whether the request is for a model at all.
    pub fn takes(uri: &Uri) -> bool {
        uri.path().starts_with(target::PREFIX)
    }

    /// How the callers of a connection are known whose handshake showed this chain of a root of the gateway.
    pub async fn certified(&self, chain: &[crate::tls::CertificateDer<'static>]) -> Proof {
        Proof::Certificate(self.identities.admit(chain).await)
    }

    /// Passes one request, which [`Self::takes`] has said yes to. Every way it can end is an answer.
    pub async fn pass(&self, request: Request<Incoming>, visit: &Visit) -> Passed {
        let (mut head, body) = request.into_parts();
        let target = match Target::of(&head.uri) {
            Ok(target) => target,
            Err(problem) => return Passed::Stranger(self.pipeline.refuse(&head, &problem)),
        };
        head.uri = target.uri;
        match self.admit(&target.model, &mut head, visit).await {
            Ok(lease) => {
                let arrival = self.arrival(lease, target.model, &head, visit);
                let request = Request::from_parts(head, body);
                Passed::Known(self.pipeline.pass(request, arrival, &visit.line).await)
            }
            Err(problem) => Passed::Stranger(self.pipeline.refuse(&head, &problem)),
        }
    }

    /// Who is calling. What proves it ends here: the model never sees it.
    async fn admit(&self, model: &str, head: &mut Parts, visit: &Visit) -> Result<Arc<Lease>, Problem> {
        no_foreign_page(head)?;
        match &visit.proof {
            Proof::Certificate(Ok(lease)) => Ok(Arc::clone(lease)),
            Proof::Certificate(Err(refusal)) => Err(refusal.clone().into()),
            Proof::Bearer => {
                let token = key::take(head, model)?;
                let admitted = self.identities.admit_bearer(token.expose_secret(), model).await;
                admitted.map_err(|refusal| key::refused(refusal, model))
            }
        }
    }

    fn arrival(&self, lease: Arc<Lease>, model: String, head: &Parts, visit: &Visit) -> Arrival {
        let now = self.clock.now();
        // A lease that is over has no caller; the pipeline's first look at it refuses.
        let session = lease.check(now).map(|caller| session(&caller, &model, unix_millis(now)));
        Arrival {
            lease,
            transport: Transport::Tcp,
            handshake: visit.handshake.clone(),
            source: visit.source,
            client: agent(&head.headers),
            model,
            session: session.unwrap_or_else(|_| id::new("ses", now)),
            door: Door::Private,
            // The end of an HTTPS connection's input is the end of the connection.
            fin: Fin::Leave,
            // An application without the CLI is told the approval's id at once, and asks again when it is granted.
            asking: Asking { wait: false, reason: None },
            notices: None,
        }
    }
}

/// The session of a caller's exchanges with a model around `millis`: the same on every gateway and after every restart.
fn session(caller: &Caller, model: &str, millis: i64) -> String {
    let window =
        millis.checked_div_euclid(i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX)).unwrap_or(0);
    let mut hash = digest::Context::new(&digest::SHA256);
    // None of these can hold a zero byte's neighbour's end: each is followed by its own.
    for part in [caller.provider.as_str(), &caller.subject, model, &window.to_string()] {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    let hash = hash.finish();
    let mut text = String::with_capacity(36);
    text.push_str("ses_");
    for byte in hash.as_ref().iter().take(16) {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}

/// What the application says it is.
fn agent(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(header::USER_AGENT)?.to_str().ok()?;
    said.get(..said.floor_char_boundary(MAX_AGENT)).map(str::to_owned)
}

/// No page of another site may make a browser speak to a model: CORS is not offered. Programs that name the gateway itself as
/// their origin, as some WebSocket libraries do, are no such page.
fn no_foreign_page(head: &Parts) -> Result<(), Problem> {
    let own = head
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| head.headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    let is_own = |origin: &HeaderValue| {
        let host = origin.to_str().ok().and_then(|origin| origin.strip_prefix("https://"));
        host.zip(own).is_some_and(|(host, own)| host.eq_ignore_ascii_case(own))
    };
    let site = head.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if head.headers.get_all(header::ORIGIN).iter().all(is_own)
        && matches!(site, None | Some(b"none" | b"same-origin"))
    {
        return Ok(());
    }
    Err(Problem::new(code::LOCAL_REFUSED, "the request was made by a browser page of another site")
        .remedy("use the model from a program: the gateway offers no CORS"))
}
