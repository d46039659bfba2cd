//! The pages' HTML: templates, their one style, and the words on them.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::FIRST;
use crate::{
    clock::rfc3339,
    gateway::{
        approval::{Request, State, Vote, length, shown},
        identity::{Visitor, render_styled},
        policy::Terms,
    },
    wire::api::{ApprovalHistory, Model},
};

/// The sign-in pages' style, and what these pages have beyond it.
static STYLE: LazyLock<String> = LazyLock::new(|| {
    [include_str!("../identity/pages/style.css"), include_str!("pages/console.css")].concat()
});

/// Characters of a name.
const NAME: usize = 120;
/// Characters of a reason or comment: all that one can have.
const TEXT: usize = 1000;
/// Characters of a list of groups.
const GROUPS: usize = 400;

/// What every page of somebody signed in begins with.
pub(super) struct Frame<'a> {
    form_token: &'a str,
    user: String,
}

impl<'a> Frame<'a> {
    pub(super) fn of(visitor: &'a Visitor) -> Self {
        Self { form_token: &visitor.form_token, user: shown(visitor.caller.user(), NAME) }
    }
}

/// One request in a list.
pub(super) struct Line {
    id: String,
    model: String,
    requester: String,
    state: &'static str,
    said: String,
}

/// The list.
#[derive(Template)]
#[template(path = "approvals.html", config = "src/gateway/console/pages/askama.toml")]
pub(super) struct All<'a> {
    pub(super) style: &'static str,
    pub(super) frame: Frame<'a>,
    pub(super) waiting: Vec<Line>,
    pub(super) own: Vec<Line>,
    pub(super) recent: Vec<Line>,
}

/// One request, and what the visitor can do about it.
#[derive(Template)]
#[template(path = "approval.html", config = "src/gateway/console/pages/askama.toml")]
pub(super) struct One<'a> {
    pub(super) style: &'static str,
    pub(super) frame: Frame<'a>,
    pub(super) about: About,
    pub(super) notice: Option<String>,
    pub(super) form: Option<Choice>,
}

/// What there is to know of a request.
pub(super) struct About {
    id: String,
    model: String,
    requester: String,
    provider: String,
    groups: String,
    state: &'static str,
    said: String,
    reason: Option<String>,
    asked: String,
    facts: Option<String>,
    history: String,
    terms: Vec<String>,
    votes: Vec<String>,
}

/// What can be chosen.
pub(super) struct Choice {
    /// Whether a yes is still possible; a no is.
    approve: bool,
    /// Seconds, and the same in words; the first is the full time.
    times: Vec<(u64, String)>,
    longest: usize,
}

#[derive(Template)]
#[template(path = "plain.html", config = "src/gateway/console/pages/askama.toml")]
struct Plain<'a> {
    style: &'static str,
    heading: &'a str,
    why: &'a str,
    href: &'a str,
    next: &'a str,
}

/// The style of every page here.
pub(super) fn style() -> &'static str {
    &STYLE
}

/// A page; its forms lead to this gateway alone.
pub(super) fn page(status: StatusCode, page: &impl Template) -> Response {
    render_styled(status, page, &STYLE, "'self'")
}

/// A page that says one thing and where to go next.
pub(super) fn plain(status: StatusCode, heading: &str, why: &str, href: &str, next: &str) -> Response {
    page(status, &Plain { style: style(), heading, why, href, next })
}

/// The gateway itself cannot do it now.
pub(super) fn failed(why: &str) -> Response {
    plain(StatusCode::INTERNAL_SERVER_ERROR, "Not now", why, FIRST, "Try again")
}

impl Line {
    pub(super) fn of(request: &Request, now: SystemTime) -> Self {
        Self {
            id: request.id.clone(),
            model: shown(&request.model, NAME),
            requester: shown(&request.requester.user, NAME),
            state: request.word(now),
            said: said(request, now),
        }
    }
}

impl About {
    pub(super) fn of(
        request: &Request,
        groups: &[String],
        model: Option<&Model>,
        history: Option<&ApprovalHistory>,
        now: SystemTime,
    ) -> Self {
        Self {
            id: request.id.clone(),
            model: shown(&request.model, NAME),
            requester: shown(&request.requester.user, NAME),
            provider: shown(&request.requester.provider, NAME),
            groups: shown(&groups.join(", "), GROUPS),
            state: request.word(now),
            said: said(request, now),
            reason: request.reason.as_deref().map(|reason| shown(reason, TEXT)),
            asked: ago(request.created_at, now),
            facts: model.map(facts),
            history: lately(history),
            terms: request.terms.iter().map(|terms| term(request, terms)).collect(),
            votes: request.votes.iter().map(|vote| voted(vote, now)).collect(),
        }
    }
}

impl Choice {
    /// Of a request that the visitor may decide; `None` when there is nothing to decide any more.
    pub(super) fn of(request: &Request, now: SystemTime) -> Option<Self> {
        const SHORTER: [u64; 8] = [900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 604_800];
        let approve = match request.word(now) {
            "pending" => true,
            "approved" => false,
            _ => return None,
        };
        let full = longest(request).as_secs();
        let shorter = SHORTER.into_iter().filter(|seconds| *seconds < full);
        let mut times = vec![(full, format!("{} (all of it)", length(Duration::from_secs(full))))];
        times.extend(shorter.map(|seconds| (seconds, length(Duration::from_secs(seconds)))));
        Some(Self { approve, times, longest: TEXT })
    }
}

/// The longest time that any of the terms gives.
pub(super) fn longest(request: &Request) -> Duration {
    request.terms.iter().map(|terms| terms.lasts).max().unwrap_or_default()
}

/// What has become of a request, in words.
pub(super) fn said(request: &Request, now: SystemTime) -> String {
    let last = request.votes.last();
    let who = last.map_or_else(|| "somebody".to_owned(), |vote| shown(&vote.person.user, NAME));
    match (&request.state, request.word(now)) {
        (_, "pending") => {
            let (got, needed) = request.progress();
            let yeses = if needed > 1 { format!("{got} of {needed} yeses, ") } else { String::new() };
            format!("{yeses}waits {} more", left(request.lapses_at, now))
        }
        (State::Approved { until, .. }, "approved") => {
            format!("approved by {who}, {} left", left(*until, now))
        }
        (State::Denied, _) => format!("denied by {who} at {}", clock_time(request.ends_at())),
        (State::Approved { until, .. } | State::Ended { until }, _) => {
            format!("approved by {who}, over since {}", clock_time(*until))
        }
        _ => format!("nobody answered by {}", clock_time(request.lapses_at)),
    }
}

fn facts(model: &Model) -> String {
    let mut facts = vec![format!("dialect {}", model.dialect), format!("TLS to the model {}", model.tls)];
    facts.extend(model.labels.iter().map(|(name, value)| format!("{name} = {value}")));
    shown(&facts.join(", "), GROUPS)
}

fn lately(history: Option<&ApprovalHistory>) -> String {
    let Some(history) = history else { return "not known now".to_owned() };
    let many = |count: u64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let mut text = format!(
        "{}, {} refused, {}",
        many(history.exchanges, "exchange"),
        history.refused,
        many(history.approved, "approval")
    );
    if let Some(last) = history.last.as_deref().and_then(crate::clock::parse_rfc3339) {
        text.push_str(&format!("; the last at {}", clock_time(last)));
    }
    text
}

fn term(request: &Request, terms: &Terms) -> String {
    let who = match terms.approvers.as_slice() {
        [] => "anybody whom policy permits to approve it".to_owned(),
        groups => format!("a member of {}", shown(&groups.join(" or "), GROUPS)),
    };
    let (got, needed) = (request.yeses(&terms.policy), terms.needed);
    let policy = shown(&terms.policy, NAME);
    format!("{got} of {needed} yeses by {who}, for at most {} (policy {policy})", length(terms.lasts))
}

fn voted(vote: &Vote, now: SystemTime) -> String {
    let word = if vote.yes { "said yes" } else { "said no" };
    let mut text = format!("{} {word} {}", shown(&vote.person.user, NAME), ago(vote.at, now));
    if let Some(lasts) = vote.lasts {
        text.push_str(&format!(", for {}", length(lasts)));
    }
    if let Some(comment) = &vote.comment {
        text.push_str(&format!(": {}", shown(comment, TEXT)));
    }
    text
}

fn left(until: SystemTime, now: SystemTime) -> String {
    rough(until.duration_since(now).unwrap_or_default())
}

fn ago(at: SystemTime, now: SystemTime) -> String {
    format!("{} ago, at {}", rough(now.duration_since(at).unwrap_or_default()), clock_time(at))
}

/// To the minute, once there is one.
fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    let exact = if seconds < 60 { seconds } else { seconds - seconds % 60 };
    length(Duration::from_secs(exact))
}

/// `2026-11-23 11:05 UTC`.
pub(super) fn clock_time(at: SystemTime) -> String {
    let text = rfc3339(at);
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", time.get(..5).unwrap_or_default())
}
