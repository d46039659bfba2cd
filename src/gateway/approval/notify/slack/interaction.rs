//! `POST /approvals/slack`: somebody pressed a button. Slack is answered at once; who it was and whether they may is found out after.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    routing::post,
};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::{
    Place, Slack,
    api::{SlackError, User},
    message::{self, APPROVE, DENY, plain},
    signature,
};
use crate::gateway::{
    approval::{
        ApprovalError, Decider,
        notify::{Kind, Notice, Notifier},
    },
    identity::Caller,
};

/// The longest body, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// For the body to come; Slack itself waits three seconds for an answer.
const WITHIN: Duration = Duration::from_secs(2);
/// Buttons worked on at once.
const MOST: usize = 16;
/// The longest id of Slack's, or of a request.
const MAX_ID: usize = 64;

/// What the endpoint works with.
pub(in crate::gateway::approval::notify) struct Interactions {
    notifier: Arc<Notifier>,
    working: Arc<Semaphore>,
}

/// A payload of the kind `block_actions`, as far as it is read.
#[derive(Debug, Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    user: Who,
    team: Option<Team>,
    container: Option<Container>,
    #[serde(default)]
    actions: Vec<Action>,
    response_url: Option<Url>,
}

#[derive(Debug, Deserialize)]
struct Who {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Team {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Container {
    message_ts: Option<String>,
    channel_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Action {
    action_id: String,
    value: Option<String>,
}

/// A button, pressed.
struct Pressed {
    request: String,
    yes: bool,
    user: String,
    team: Option<String>,
    place: Option<Place>,
    answer_to: Option<Url>,
}

impl Interactions {
    pub(in crate::gateway::approval::notify) fn router(notifier: Arc<Notifier>) -> Router {
        let working = Arc::new(Semaphore::new(MOST));
        Router::new()
            .route("/approvals/slack", post(Self::pressed))
            .with_state(Arc::new(Self { notifier, working }))
    }

    async fn pressed(State(this): State<Arc<Self>>, request: Request) -> StatusCode {
        let Some(slack) = this.notifier.slack.load_full() else { return StatusCode::NOT_FOUND };
        let (head, body) = request.into_parts();
        let body = match read(body).await {
            Ok(body) => body,
            Err(status) => return status,
        };
        if !signature::is_slacks(&slack.signing_secret, &head.headers, &body, &slack.clock) {
            tracing::warn!(
                "a request to /approvals/slack is not signed by Slack, or is older than five minutes"
            );
            return StatusCode::UNAUTHORIZED;
        }
        let Some(payload) = payload(&body) else { return StatusCode::BAD_REQUEST };
        // Other kinds, and the button that only opens a page, want nothing but an answer.
        let Some(pressed) = Pressed::of(payload) else { return StatusCode::OK };
        let Ok(turn) = Arc::clone(&this.working).try_acquire_owned() else {
            return StatusCode::SERVICE_UNAVAILABLE;
        };
        let notifier = Arc::clone(&this.notifier);
        let stop = notifier.surroundings.stop.clone();
        let tasks = notifier.tasks.clone();
        tasks.spawn(async move { stop.run_until_cancelled(work(notifier, slack, pressed, turn)).await });
        StatusCode::OK
    }
}

async fn read(body: Body) -> Result<Vec<u8>, StatusCode> {
    match tokio::time::timeout(WITHIN, axum::body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// The JSON in the form's one field.
fn payload(body: &[u8]) -> Option<Payload> {
    let mut fields = url::form_urlencoded::parse(body).filter(|(name, _)| name == "payload");
    let (_, json) = fields.next()?;
    fields.next().is_none().then(|| serde_json::from_str(&json).ok()).flatten()
}

impl Pressed {
    fn of(payload: Payload) -> Option<Self> {
        let Payload { kind, user, team, container, actions, response_url } = payload;
        if kind != "block_actions" || !is_id(&user.id) {
            return None;
        }
        let action =
            actions.into_iter().find(|action| action.action_id == APPROVE || action.action_id == DENY)?;
        let place = container.and_then(|container| {
            let (channel, ts) = (container.channel_id?, container.message_ts?);
            (is_id(&channel) && ts.len() <= MAX_ID).then_some(Place { channel, ts })
        });
        Some(Self {
            request: action.value.filter(|id| is_id(id))?,
            yes: action.action_id == APPROVE,
            user: user.id,
            team: team.map(|team| team.id),
            place,
            answer_to: response_url,
        })
    }
}

fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(plain)
}

/// Decides for the person, and says what came of it to them alone; the message itself follows the request.
async fn work(notifier: Arc<Notifier>, slack: Arc<Slack>, pressed: Pressed, turn: OwnedSemaphorePermit) {
    // A message of before a restart is brought up to date from now on too.
    if let Some(place) = &pressed.place
        && slack.messages.of(&pressed.request).is_none()
    {
        slack.messages.stands(&pressed.request, place.clone());
    }
    let said = match decide(&notifier, &slack, &pressed).await {
        Ok(said) => said,
        Err(NoOne::Unknown(said)) => said,
        Err(NoOne::Failed) => "This could not be done now; try again, or open the request.".to_owned(),
    };
    if let Some(url) = &pressed.answer_to
        && let Err(error) = slack.api.whisper(url, &said).await
    {
        tracing::warn!(?error, "the person who pressed a button in Slack could not be answered");
    }
    drop(turn);
}

/// Why nobody is known to have pressed.
enum NoOne {
    /// What to tell them.
    Unknown(String),
    Failed,
}

async fn decide(notifier: &Notifier, slack: &Slack, pressed: &Pressed) -> Result<String, NoOne> {
    let approvals = &notifier.surroundings.approvals;
    let caller = person(notifier, slack, pressed).await?;
    let decider = Decider::from(&caller);
    let decided = if pressed.yes {
        approvals.approve(&pressed.request, decider, None, None).await
    } else {
        approvals.deny(&pressed.request, decider, None).await
    };
    match decided {
        Ok(_) if pressed.yes => Ok("You have approved this request.".to_owned()),
        Ok(_) => Ok("You have denied this request.".to_owned()),
        Err(ApprovalError::Decided(_)) => {
            refresh(notifier, slack, &pressed.request).await;
            Ok("Somebody has decided this request before.".to_owned())
        }
        Err(ApprovalError::Store(error)) => {
            tracing::error!(%error, "a button in Slack could not be obeyed");
            Err(NoOne::Failed)
        }
        Err(error) => Ok(format!("Nothing was decided: {}.", plain(&error.to_string()))),
    }
}

/// The person behind a Slack user: by the address that they have proven to Slack and to the company's identity provider.
async fn person(notifier: &Notifier, slack: &Slack, pressed: &Pressed) -> Result<Caller, NoOne> {
    let unknown = |why: &str| NoOne::Unknown(why.to_owned());
    let user = match slack.api.user(&pressed.user).await {
        Ok(user) => user,
        Err(SlackError::Refused(word)) => {
            tracing::error!(
                word,
                "Slack does not say who pressed a button (scopes users:read and users:read.email)"
            );
            return Err(NoOne::Failed);
        }
        Err(SlackError::Later { why, .. }) => {
            tracing::warn!(why, "Slack does not say now who pressed a button");
            return Err(NoOne::Failed);
        }
    };
    if !is_of_team(slack, pressed, &user) {
        return Err(unknown("People of other workspaces do not decide here."));
    }
    let email = user.email().ok_or_else(|| {
        unknown("Slack does not say that you have confirmed an email address, so nobody knows who you are. Open the request and decide there.")
    })?;
    match notifier.surroundings.identities.logged_in(email).await {
        Ok(Some(caller)) => Ok(caller),
        Ok(None) => {
            let url = link(notifier, &pressed.request).await;
            Err(NoOne::Unknown(format!(
                "You are not signed in to the gateway: sign in and decide there. {url}"
            )))
        }
        Err(refusal) => {
            tracing::error!(
                why = refusal.message,
                "the person who pressed a button in Slack could not be looked up"
            );
            Err(NoOne::Failed)
        }
    }
}

fn is_of_team(slack: &Slack, pressed: &Pressed, user: &User) -> bool {
    slack.team.as_ref().is_none_or(|team| *team == user.team_id && pressed.team.as_ref() == Some(team))
}

async fn link(notifier: &Notifier, request: &str) -> String {
    match notifier.surroundings.approvals.get(request).await {
        Ok(Some(request)) => (notifier.surroundings.describe)(request).await.url,
        _ => String::new(),
    }
}

/// Takes the buttons from a message whose request was decided while nobody could bring it up to date.
async fn refresh(notifier: &Notifier, slack: &Slack, request: &str) {
    let Ok(Some(request)) = notifier.surroundings.approvals.get(request).await else { return };
    let now = slack.clock.now();
    let kind = match request.word(now) {
        "approved" => Kind::Approved,
        "denied" => Kind::Denied,
        "expired" => Kind::Expired,
        _ => Kind::Progress,
    };
    let Some(place) = slack.messages.of(&request.id) else { return };
    let notice: Notice = notifier.notice(kind, &request).await;
    if let Err(error) = slack.api.update(&place.channel, &place.ts, &message::of(&notice)).await {
        tracing::warn!(?error, "a message in Slack could not be brought up to date");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(json: &str) -> Vec<u8> {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", json)
            .finish()
            .into_bytes()
    }

    #[test]
    fn only_our_two_buttons_are_presses() {
        let of = |kind: &str, user: &str, action: &str, value: &str| {
            let json = serde_json::json!({ "type": kind, "user": { "id": user }, "actions": [
                { "action_id": action, "value": value, "type": "button", "action_ts": "1" } ] });
            payload(&form(&json.to_string())).and_then(Pressed::of)
        };
        assert!(of("block_actions", "U1", APPROVE, "apr_1").is_some_and(|pressed| pressed.yes));
        assert!(of("block_actions", "U1", DENY, "apr_1").is_some_and(|pressed| !pressed.yes));
        for (kind, user, action, value) in [
            ("view_submission", "U1", APPROVE, "apr_1"),
            ("block_actions", "U1", "hoopctl_open", "apr_1"),
            ("block_actions", "U1&user=U2", APPROVE, "apr_1"),
            ("block_actions", "", APPROVE, "apr_1"),
            ("block_actions", "U1", APPROVE, "../apr_1"),
            ("block_actions", "U1", APPROVE, ""),
        ] {
            assert!(of(kind, user, action, value).is_none(), "{kind} {user} {action} {value}");
        }
        for broken in [&b"payload="[..], b"", b"payload={", b"payload={}&payload={}"] {
            assert!(payload(broken).is_none());
        }
    }
}
