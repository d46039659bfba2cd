//! The list of requests, and the page of one.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use axum::{
    extract::{ConnectInfo, Path, State},
    http::{Extensions, HeaderMap, StatusCode},
    response::Response,
};

use super::{
    Console, FIRST,
    shape::{self, About, All, Choice, Frame, Line, One},
    visit,
};
use crate::gateway::{
    approval::{Decider, Filter, MAX_PAGE, Person, Request},
    identity::{Caller, StoreError, Visitor},
};

/// Requests of the visitor's own that are listed, and decided ones.
const LATELY: usize = 20;

/// `GET /console/approvals`.
pub(super) async fn all(
    State(console): State<Console>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let visitor = match visit::visitor(&console, &headers, FIRST).await {
        Ok(visitor) => visitor,
        Err(answer) => return answer,
    };
    let decider = decider(&visitor.caller, &extensions);
    match lists(&console, decider).await {
        Ok([waiting, own, recent]) => {
            let frame = Frame::of(&visitor);
            shape::page(StatusCode::OK, &All { style: shape::style(), frame, waiting, own, recent })
        }
        Err(error) => unreadable(&error),
    }
}

/// `GET /console/approvals/{id}`.
pub(super) async fn one(
    State(console): State<Console>,
    Path(id): Path<String>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let visitor = match visit::visitor(&console, &headers, &format!("{FIRST}/{id}")).await {
        Ok(visitor) => visitor,
        Err(answer) => return answer,
    };
    show(&console, &visitor, &extensions, &id, StatusCode::OK, None).await
}

/// The page of a request, with a word about what was just tried.
pub(super) async fn show(
    console: &Console,
    visitor: &Visitor,
    extensions: &Extensions,
    id: &str,
    status: StatusCode,
    notice: Option<String>,
) -> Response {
    let decider = decider(&visitor.caller, extensions);
    let request = match visible(console, decider, id).await {
        Ok(Some(request)) => request,
        Ok(None) => return nothing(),
        Err(error) => return unreadable(&error),
    };
    let now = console.clock.now();
    let own = request.requester.is(&Person::from(&visitor.caller));
    let decidable = console.approvals.may_decide(&request, decider);
    let form =
        decidable.then(|| Choice::of(&request, now)).flatten().filter(|_| !voted(&request, decider, now));
    let requester = &request.requester;
    let groups = console.identities.groups_of(&requester.provider, &requester.subject).await;
    let described = (console.describe)(Arc::clone(&request)).await;
    let model = console.pipeline.described(&request.model);
    let about = About::of(&request, &groups, model.as_ref(), described.history.as_ref(), now);
    let notice = notice.or_else(|| {
        (own && request.word(now) == "pending")
            .then(|| "You asked for this yourself: somebody else decides it.".to_owned())
    });
    let page = One { style: shape::style(), frame: Frame::of(visitor), about, notice, form };
    shape::page(status, &page)
}

/// A request that the visitor may see: their own, or one that they may decide or have decided.
pub(super) async fn visible(
    console: &Console,
    decider: Decider<'_>,
    id: &str,
) -> Result<Option<Arc<Request>>, StoreError> {
    let request = console.approvals.get(id).await?;
    Ok(request.filter(|request| concerns(console, request, decider)))
}

/// Who decides, and from where.
pub(super) fn decider<'a>(caller: &'a Caller, extensions: &Extensions) -> Decider<'a> {
    let source = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    Decider { caller, source, transport: None }
}

/// There is no such request, or not for this visitor: the answer is the same.
pub(super) fn nothing() -> Response {
    let why =
        "There is no such request, or it is not yours to see. Perhaps you are signed in as somebody else.";
    shape::plain(StatusCode::NOT_FOUND, "No such request", why, FIRST, "All approvals")
}

pub(super) fn unreadable(error: &StoreError) -> Response {
    tracing::error!(%error, "approvals could not be read for a page");
    shape::failed("The gateway cannot read its requests now.")
}

fn concerns(console: &Console, request: &Request, decider: Decider<'_>) -> bool {
    let visitor = Person::from(decider.caller);
    request.requester.is(&visitor)
        || request.votes.iter().any(|vote| vote.person.is(&visitor))
        || console.approvals.may_decide(request, decider)
}

/// Whether the visitor has said their yes and waits for others'.
fn voted(request: &Request, decider: Decider<'_>, now: SystemTime) -> bool {
    let visitor = Person::from(decider.caller);
    request.word(now) == "pending" && request.votes.iter().any(|vote| vote.person.is(&visitor))
}

/// What waits for the visitor, what they asked for, and what was decided lately.
async fn lists(console: &Console, decider: Decider<'_>) -> Result<[Vec<Line>; 3], StoreError> {
    let (approvals, now) = (&console.approvals, console.clock.now());
    let line = |request: &Request| Line::of(request, now);
    let page = Filter { limit: MAX_PAGE, ..Filter::default() };
    let pending = approvals.list(&Filter { state: Some("pending"), ..page.clone() }).await?;
    let mine = |request: &&Request| approvals.may_decide(request, decider) && !voted(request, decider, now);
    let waiting = pending.iter().filter(mine).map(line).collect();
    let Caller { provider, subject, .. } = decider.caller;
    let requester = Some((provider.clone(), subject.clone()));
    let own = approvals.list(&Filter { requester, limit: LATELY, ..Filter::default() }).await?;
    let lately = approvals.list(&page).await?;
    let visitor = Person::from(decider.caller);
    let theirs = |request: &&Request| {
        request.word(now) != "pending"
            && !request.requester.is(&visitor)
            && concerns(console, request, decider)
    };
    let recent = lately.iter().filter(theirs).take(LATELY).map(line).collect();
    Ok([waiting, own.iter().map(line).collect(), recent])
}
