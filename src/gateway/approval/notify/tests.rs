//! Webhooks and Slack against servers that answer as their specifications say.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Request, Response, StatusCode, Uri},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;
use url::Url;

use super::{Describe, Notifier, NotifyConfig, SlackConfig, Surroundings, WebhookConfig};
use crate::{
    clock::{Clock, Hand, rfc3339},
    gateway::{
        approval::{Approvals, Asking, Decider, State as Became, doubles},
        certs::Authority,
        identity::{self, Caller, Identities, SessionRow},
        policy::{Policies, Terms},
        store::{self, Store},
    },
    secret,
    wire::api::{Approval, ApprovalHistory},
};

const NOW: u64 = 1_795_418_146;
const SIGNING: &str = "signing";
/// Between two tries of a test; the real ones are tested as numbers.
const SOON: Duration = Duration::from_millis(5);

/// What a server was asked.
#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Status, a header's name or nothing, its value: what a server answers next.
type Told = (u16, &'static str, &'static str);

/// A server on loopback that answers as it was told, and 200 `{"ok":true}` with what Slack would add after that.
#[derive(Clone, Default)]
struct Server {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<VecDeque<Told>>>,
    email: Arc<Mutex<Value>>,
    rung: Arc<Notify>,
}

impl Server {
    async fn start() -> (Self, Url) {
        let server = Self::default();
        *server.email.lock().unwrap() = user("bob@example.test");
        let app = Router::new().fallback(Self::answer).with_state(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (server, url.parse().unwrap())
    }

    async fn answer(
        State(server): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        let path = uri.path().to_owned();
        server.asked.lock().unwrap().push(Asked { method, uri, headers, body });
        server.rung.notify_waiters();
        let told = server.answers.lock().unwrap().pop_front();
        let (status, header, body) = told.unwrap_or((200, "", ""));
        let body = match (body, path.as_str()) {
            ("", "/api/chat.postMessage") => {
                json!({ "ok": true, "channel": "C1", "ts": "1795418146.000100" }).to_string()
            }
            ("", "/api/users.info") => {
                json!({ "ok": true, "user": *server.email.lock().unwrap() }).to_string()
            }
            ("", _) => json!({ "ok": true }).to_string(),
            (body, _) => body.to_owned(),
        };
        let mut response = Response::builder().status(status);
        if let Some((name, value)) = header.split_once(": ") {
            response = response.header(name, value);
        }
        response.body(Body::from(body)).unwrap()
    }

    fn will(&self, answers: &[(u16, &'static str, &'static str)]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// The first so many requests, once they have come.
    async fn asked(&self, count: usize) -> Vec<Asked> {
        loop {
            let rung = self.rung.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let asked = self.asked.lock().unwrap().clone();
            if asked.len() >= count {
                return asked;
            }
            tokio::time::timeout(Duration::from_secs(20), rung).await.unwrap_or_else(|_| {
                panic!(
                    "{count} requests did not come, but {:?}",
                    asked.iter().map(|a| &a.uri).collect::<Vec<_>>()
                )
            });
        }
    }
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

struct World {
    dir: tempfile::TempDir,
    hand: Hand,
    clock: Clock,
    store: Store,
    approvals: Approvals,
    identities: Arc<Identities>,
    notifier: Arc<Notifier>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(NOW));
        let state = dir.path().to_owned();
        let config = store::Config { state: state.clone(), database: state.join("gateway.db") };
        let store = Store::open(&config).await.unwrap();
        let config = identity::Config {
            public_url: "https://localhost".parse().unwrap(),
            providers: vec![provider()],
            credential_life: Duration::from_mins(15),
            session_life: Duration::from_hours(12),
            token_life: Duration::from_mins(5),
            state: state.clone(),
            own_roots: true,
        };
        let authority = Arc::new(Authority::open(&state, clock.clone()).unwrap());
        let identities =
            Identities::open(config, store.identity(), authority, clock.clone(), Arc::new(|_| ()))
                .await
                .unwrap();
        let policies = Policies::parse(&[(PathBuf::from("none.cedar"), String::new())], &[]).unwrap();
        let approvals = doubles::office(Arc::new(ArcSwap::from_pointee(policies)), clock.clone()).await;
        approvals.models_are(BTreeMap::from([("fraud".to_owned(), "1".to_owned())]));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let notifier = start(&approvals, &identities, &clock, &stop, &tasks);
        Self { dir, hand, clock, store, approvals, identities, notifier, stop, tasks }
    }

    async fn adopt(&self, config: &NotifyConfig) {
        self.notifier.adopt(self.notifier.prepare(config).await.unwrap()).await;
    }

    fn secret(&self, name: &str, value: &str) -> secret::Source {
        let path = self.dir.path().join(name);
        std::fs::write(&path, value).unwrap();
        secret::Source::File(path)
    }

    fn webhook(&self, url: &Url, keys: &[u8]) -> NotifyConfig {
        let secrets = keys.iter().map(|key| {
            let encoded = STANDARD.encode(vec![*key; 32]);
            self.secret(&format!("key{key}"), &format!("whsec_{encoded}"))
        });
        let webhook = WebhookConfig { url: url.clone(), secrets: secrets.collect() };
        NotifyConfig { webhooks: vec![webhook], slack: None }
    }

    fn slack(&self, url: &Url) -> NotifyConfig {
        let slack = SlackConfig {
            token: self.secret("token", "xoxb-test"),
            signing_secret: self.secret("signing", SIGNING),
            channel: "C1".into(),
            team: Some("T1".into()),
            api: url.join("api").unwrap(),
        };
        NotifyConfig { webhooks: Vec::new(), slack: Some(slack) }
    }

    async fn asks(&self, reason: &str) -> String {
        let terms = Terms {
            policy: "jit".into(),
            digest: String::new(),
            approvers: vec!["risk-leads".into()],
            lasts: Duration::from_hours(1),
            needed: 1,
        };
        let caller = person("alice", &[]);
        let asking = Asking {
            caller: &caller,
            model: "fraud",
            model_identity: "1",
            terms: &[terms],
            reason: Some(reason),
        };
        self.approvals.ask(asking).await.unwrap().id.clone()
    }

    async fn deny(&self, id: &str) {
        let bob = person("bob", &["risk-leads"]);
        self.approvals.deny(id, Decider::from(&bob), None).await.unwrap();
    }

    async fn logs_in(&self, name: &str, groups: &[&str]) {
        let caller = person(name, groups);
        let row = SessionRow {
            id: caller.session.clone(),
            created_at: self.clock.now(),
            expires_at: self.clock.now() + Duration::from_hours(12),
            refresh_sha256: None,
            previous_refresh_sha256: None,
            revoked: false,
            provider_refresh: None,
            people: None,
            caller,
        };
        self.store.identity().insert_session(&row).await.unwrap();
    }

    /// Slack sends that somebody pressed a button.
    async fn press(&self, action: &str, id: &str, response_url: &str) -> StatusCode {
        let payload = json!({
            "type": "block_actions", "user": { "id": "U1", "team_id": "T1" }, "team": { "id": "T1" },
            "container": { "type": "message", "message_ts": "1795418146.000100", "channel_id": "C1" },
            "response_url": response_url,
            "actions": [{ "type": "button", "action_id": action, "block_id": id, "value": id, "action_ts": "1" }],
        });
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &payload.to_string())
            .finish();
        self.signed(&body, SIGNING, NOW).await
    }

    async fn signed(&self, body: &str, secret: &str, at: u64) -> StatusCode {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, format!("v0:{at}:{body}").as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = Request::post("/approvals/slack")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-request-timestamp", at.to_string())
            .header("x-slack-signature", format!("v0={hex}"))
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.notifier.router().call(request).await.unwrap().status()
    }

    async fn state(&self, id: &str) -> Became {
        self.approvals.get(id).await.unwrap().unwrap().state.clone()
    }
}

fn start(
    approvals: &Approvals,
    identities: &Arc<Identities>,
    clock: &Clock,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Arc<Notifier> {
    let now = clock.clone();
    let describe: Describe = Arc::new(move |request| {
        let now = now.now();
        Box::pin(async move {
            Approval {
                schema: 1,
                id: request.id.clone(),
                state: request.word(now).into(),
                model: request.model.clone(),
                requester: request.requester.user.clone(),
                reason: request.reason.clone(),
                approvals: 0,
                needed: 1,
                expires_at: rfc3339(request.ends_at()),
                created_at: rfc3339(request.created_at),
                lasts: 3600,
                approvers: request.approvers(),
                approved_by: request.votes.iter().filter(|v| v.yes).map(|v| v.person.user.clone()).collect(),
                denied_by: request.votes.iter().find(|v| !v.yes).map(|v| v.person.user.clone()),
                comment: None,
                url: format!("https://gateway.example.test/console/approvals/{}", request.id),
                decidable: false,
                history: Some(ApprovalHistory { exchanges: 41, ..ApprovalHistory::default() }),
            }
        })
    });
    let surroundings = Surroundings {
        approvals: approvals.clone(),
        identities: Arc::clone(identities),
        describe,
        clock: clock.clone(),
        stop: stop.clone(),
    };
    Notifier::start_with(surroundings, tasks, SOON)
}

/// A provider of the name `corp`, which is asked nothing.
/// Where everybody signed in, and what it says of their groups at a renewal.
fn provider() -> identity::ProviderConfig {
    let leads = vec!["risk-leads".to_owned()];
    let user = |name: &str, groups| identity::DevUser { name: name.to_owned(), groups };
    let users = vec![user("alice", leads.clone()), user("bob", leads), user("dave", Vec::new())];
    identity::ProviderConfig { name: "corp".into(), kind: identity::ProviderKind::Dev { users } }
}

fn person(name: &str, groups: &[&str]) -> Caller {
    Caller {
        subject: name.into(),
        email: Some(format!("{name}@example.test")),
        name: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        provider: "corp".into(),
        workload: false,
        session: format!("ses_{name}"),
    }
}

/// As `users.info` shows a person.
fn user(email: &str) -> Value {
    json!({ "id": "U1", "team_id": "T1", "deleted": false, "is_bot": false, "is_email_confirmed": true,
            "profile": { "email": email } })
}

/// The receiver's procedure of the Standard Webhooks specification, by the key of 32 times `key`.
fn verify(asked: &Asked, key: u8) -> bool {
    let (id, at) = (asked.header("webhook-id"), asked.header("webhook-timestamp"));
    assert_eq!(at, NOW.to_string());
    assert!(!id.contains('.'));
    let mut signed = format!("{id}.{at}.").into_bytes();
    signed.extend_from_slice(&asked.body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]);
    let expected = format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)));
    asked.header("webhook-signature").split(' ').any(|one| one == expected)
}

#[tokio::test]
async fn a_webhook_is_signed_tried_again_in_order_and_the_same_after_a_restart() {
    let (world, (server, url)) = (World::new().await, Server::start().await);
    world.adopt(&world.webhook(&url, &[7, 8])).await;
    server.will(&[(500, "", "no"), (302, "location: /elsewhere", ""), (404, "", "")]);
    let id = world.asks("quarter's end").await;
    world.deny(&id).await;
    let asked = server.asked(5).await;
    for asked in &asked[..4] {
        assert_eq!((asked.method.as_str(), asked.uri.path()), ("POST", "/"), "no redirect is followed");
        assert_eq!(asked.header("webhook-id"), format!("{id}_requested"));
        assert_eq!(asked.header("content-type"), "application/json");
        assert!(verify(asked, 7) && verify(asked, 8) && !verify(asked, 9));
    }
    let told = asked[0].json();
    assert_eq!(
        (told["type"].as_str(), told["timestamp"].as_str()),
        (Some("approval.requested"), Some("2026-11-23T07:15:46.000Z"))
    );
    assert_eq!((&told["data"]["id"], &told["data"]["reason"]), (&json!(id), &json!("quarter's end")));
    assert!(verify(&asked[4], 7));
    assert_eq!(
        (asked[4].header("webhook-id"), &asked[4].json()["type"]),
        (format!("{id}_denied").as_str(), &json!("approval.denied"))
    );

    let waits = world.asks("again").await;
    server.asked(6).await;
    world.stop.cancel();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let restarted = start(&world.approvals, &world.identities, &world.clock, &stop, &tasks);
    restarted.adopt(restarted.prepare(&world.webhook(&url, &[7])).await.unwrap()).await;
    let asked = server.asked(7).await;
    assert_eq!(asked[6].header("webhook-id"), format!("{waits}_requested"), "told again under the same id");
    assert_eq!(asked[5].body, asked[6].body);
}

#[tokio::test]
async fn what_is_gone_is_left_alone_until_the_configuration_is_read_again() {
    let (world, (server, url)) = (World::new().await, Server::start().await);
    let config = world.webhook(&url, &[7]);
    world.adopt(&config).await;
    server.will(&[(410, "", "")]);
    let first = world.asks("one").await;
    server.asked(1).await;
    world.deny(&first).await;
    let line = loop {
        let line = world.notifier.lines.lock().unwrap().values().next().unwrap().clone();
        if line.is_closed() {
            break line;
        }
        tokio::task::yield_now().await;
    };
    drop(line);
    assert_eq!(server.asked.lock().unwrap().len(), 1);
    let second = world.asks("two").await;
    world.adopt(&config).await;
    let asked = server.asked(2).await;
    assert_eq!(asked[1].header("webhook-id"), format!("{second}_requested"));
}

#[tokio::test]
async fn nothing_is_told_after_a_request_has_lapsed() {
    let (world, (server, url)) = (World::new().await, Server::start().await);
    server.will(&[(429, "retry-after: 1", "")]);
    world.adopt(&world.webhook(&url, &[7])).await;
    let id = world.asks("one").await;
    server.asked(1).await;
    world.hand.advance(Duration::from_hours(1));
    let asked = server.asked(2).await;
    assert_eq!(
        asked[1].headers["webhook-id"],
        format!("{id}_expired"),
        "the request itself is not told again"
    );
    assert_eq!(asked[1].json()["type"], "approval.expired");
}

#[tokio::test]
async fn slack_shows_the_request_escaped_and_takes_the_buttons_away_after_the_decision() {
    let (world, (server, url)) = (World::new().await, Server::start().await);
    server.will(&[(200, "", r#"{"ok":false,"error":"not_in_channel"}"#)]);
    world.adopt(&world.slack(&url)).await;
    let reason = "<!channel> & <https://evil.test|click> \u{202e}*bold* <script>";
    let id = world.asks(reason).await;
    let posted = server.asked(2).await;
    let post = &posted[1];
    assert_eq!((post.method.as_str(), post.uri.path()), ("POST", "/api/chat.postMessage"));
    assert_eq!(post.header("authorization"), "Bearer xoxb-test");
    let message = post.json();
    assert_eq!((&message["channel"], &message["unfurl_links"]), (&json!("C1"), &json!(false)));
    let blocks = message["blocks"].as_array().unwrap();
    assert_eq!(blocks[2]["text"]["type"], "plain_text");
    assert_eq!(
        blocks[2]["text"]["text"],
        "&lt;!channel&gt; &amp; &lt;https://evil.test|click&gt; \\u{202e}*bold* &lt;script&gt;"
    );
    let fields = blocks[1]["fields"].to_string();
    for text in ["alice@example.test", "fraud", "41 exchanges", "risk-leads", "\"verbatim\":true"] {
        assert!(fields.contains(text), "{fields}");
    }
    let buttons = blocks[3]["elements"].as_array().unwrap();
    assert_eq!(
        buttons.iter().map(|b| b["value"].as_str()).collect::<Vec<_>>(),
        [Some(id.as_str()), Some(&id), None]
    );
    assert_eq!(buttons[2]["url"], format!("https://gateway.example.test/console/approvals/{id}"));
    world.deny(&id).await;
    let updated = &server.asked(3).await[2];
    assert_eq!(updated.uri.path(), "/api/chat.update");
    let message = updated.json();
    assert_eq!((&message["channel"], &message["ts"]), (&json!("C1"), &json!("1795418146.000100")));
    let text = message.to_string();
    assert!(text.contains("Denied by bob@example.test") && !text.contains("actions"), "{text}");
}

#[tokio::test]
async fn a_button_decides_for_the_person_behind_it_once() {
    let (world, (server, url)) = (World::new().await, Server::start().await);
    world.adopt(&world.slack(&url)).await;
    world.logs_in("bob", &["risk-leads"]).await;
    let id = world.asks("please").await;
    server.asked(1).await;
    let hook = url.join("actions/T1/1/x").unwrap();
    assert_eq!(world.press("hoopctl_approve", &id, hook.as_str()).await, StatusCode::OK);
    let asked = server.asked(4).await;
    assert_eq!(asked[1].uri.to_string(), "/api/users.info?user=U1");
    let paths: Vec<_> = asked[2..].iter().map(|asked| asked.uri.path().to_owned()).collect();
    assert!(
        paths.contains(&"/api/chat.update".to_owned()) && paths.contains(&hook.path().to_owned()),
        "{paths:?}"
    );
    let whisper = asked.iter().find(|asked| asked.uri.path() == hook.path()).unwrap();
    assert!(!whisper.headers.contains_key("authorization"));
    assert_eq!(whisper.json()["response_type"], "ephemeral");
    assert!(whisper.json()["text"].as_str().unwrap().contains("approved"));
    assert!(matches!(world.state(&id).await, Became::Approved { .. }));
    let before = world.state(&id).await;
    // The same press again, as a replay would be.
    assert_eq!(world.press("hoopctl_approve", &id, hook.as_str()).await, StatusCode::OK);
    server.asked(7).await;
    assert_eq!(world.state(&id).await, before);
}

#[tokio::test]
async fn only_people_who_are_known_and_may_decide() {
    let (world, (server, url)) = (World::new().await, Server::start().await);
    world.adopt(&world.slack(&url)).await;
    for name in ["alice", "dave"] {
        world.logs_in(name, if name == "dave" { &[] } else { &["risk-leads"] }).await;
    }
    let id = world.asks("please").await;
    let mut count = server.asked(1).await.len();
    let hook = url.join("hook").unwrap();
    let with = |change: Value| {
        let mut user = user("bob@example.test");
        user.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        user
    };
    for (who, said) in [
        (user("bob@example.test"), "not signed in"),
        (user("alice@example.test"), "own request"),
        (user("dave@example.test"), "may not decide"),
        (with(json!({ "is_email_confirmed": false })), "confirmed an email"),
        (with(json!({ "is_bot": true })), "confirmed an email"),
        (with(json!({ "deleted": true })), "confirmed an email"),
        (with(json!({ "team_id": "T2" })), "other workspaces"),
        (with(json!({ "profile": {} })), "confirmed an email"),
    ] {
        *server.email.lock().unwrap() = who;
        assert_eq!(world.press("hoopctl_approve", &id, hook.as_str()).await, StatusCode::OK);
        count += 2;
        let asked = server.asked(count).await;
        let text = asked.last().unwrap().json()["text"].as_str().unwrap().to_owned();
        assert!(text.contains(said), "{text}");
    }
    // An address for answers that is not Slack's is not asked.
    assert_eq!(world.press("hoopctl_approve", &id, "http://127.0.0.1:9/hook").await, StatusCode::OK);
    server.asked(count + 1).await;
    assert_eq!(world.state(&id).await, Became::Pending);
}

#[tokio::test]
async fn what_slack_has_not_signed_is_refused() {
    let world = World::new().await;
    let (_, url) = Server::start().await;
    assert_eq!(
        world.signed("payload={}", SIGNING, NOW).await,
        StatusCode::NOT_FOUND,
        "no Slack is configured"
    );
    world.adopt(&world.slack(&url)).await;
    for (body, secret, at, status) in [
        ("payload={}", "other", NOW, StatusCode::UNAUTHORIZED),
        ("payload={}", SIGNING, NOW - 301, StatusCode::UNAUTHORIZED),
        ("payload={}", SIGNING, NOW, StatusCode::BAD_REQUEST),
        (r#"payload={"type":"shortcut","user":{"id":"U1"}}"#, SIGNING, NOW, StatusCode::OK),
        (&"x".repeat(64 * 1024 + 1), SIGNING, NOW, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(world.signed(body, secret, at).await, status);
    }
}

#[tokio::test]
async fn a_target_that_never_answers_holds_nobody_up() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    world.adopt(&world.webhook(&url, &[7])).await;
    for n in 0..super::INBOX * 3 {
        let id = world.asks(&format!("{n}")).await;
        world.deny(&id).await;
    }
    world.stop.cancel();
    world.tasks.close();
    tokio::time::timeout(Duration::from_secs(20), world.tasks.wait()).await.unwrap();
}
