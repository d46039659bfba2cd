//! The pages as a browser meets them: signing in, deciding, and everything a hostile page or text would try.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use axum::{Router, body::Body, extract::ConnectInfo};
use http::{HeaderMap, Request, StatusCode, header};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::{Console, router};
use crate::{
    clock::{Clock, Hand},
    gateway::{
        approval::{Approvals, Asking, State, doubles},
        audit::{self, Scribe},
        certs::Authority,
        identity::{self, Caller, DevUser, Identities, ProviderConfig, ProviderKind},
        mask,
        pipeline::{Means, Pipeline, limits::Limits},
        policy::{Policies, Terms},
        store::{self, Store},
    },
    wire::api::{Approval, ApprovalHistory},
};

const ORIGIN: &str = "https://localhost:8443";
const HOUR: Duration = Duration::from_hours(1);

struct World {
    _dir: tempfile::TempDir,
    hand: Hand,
    identities: Arc<Identities>,
    approvals: Approvals,
    router: Router,
}

#[derive(Default)]
struct Browser(HashMap<String, String>);

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_795_418_146));
        let state = dir.path().to_owned();
        let config = store::Config { state: state.clone(), database: state.join("gateway.db") };
        let store = Store::open(&config).await.unwrap();
        let stop = CancellationToken::new();
        let audit = audit::Config::default();
        let scribe = Scribe::open(audit, store.journal(), store.ledger(), clock.clone(), stop).await.unwrap();
        let user = |name: &str, groups: &[&str]| DevUser {
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        let users = vec![
            user("alice@example.test", &["ml-engineers"]),
            user("bob@example.test", &["risk-leads"]),
            user("carol@example.test", &["risk-leads"]),
            user("dave@example.test", &["ml-engineers"]),
        ];
        let config = identity::Config {
            public_url: ORIGIN.parse().unwrap(),
            providers: vec![ProviderConfig { name: "dev".into(), kind: ProviderKind::Dev { users } }],
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
        let policies = Arc::new(ArcSwap::from_pointee(policies));
        let approvals = doubles::office(Arc::clone(&policies), clock.clone()).await;
        let limits = Limits::open(store.limits(), clock.clone()).await.unwrap();
        let means = Means {
            policies,
            approvals: approvals.clone(),
            scribe,
            limits,
            mask_keys: mask::Keys::new(&[0; 32]),
            recordings: crate::gateway::record::doubles::unused(),
            clock: clock.clone(),
        };
        let pipeline = Pipeline::new(Vec::new(), means).unwrap();
        // After the pipeline, which has none and says so.
        approvals.models_are(BTreeMap::from([("fraud".to_owned(), "1".to_owned())]));
        let describe: crate::gateway::approval::notify::Describe = Arc::new(|request| {
            Box::pin(async move {
                let history = ApprovalHistory { exchanges: 41, refused: 2, approved: 1, last: None };
                Approval { history: Some(history), ..blank(&request.id) }
            })
        });
        let console = Console {
            identities: Arc::clone(&identities),
            approvals: approvals.clone(),
            describe,
            pipeline,
            clock,
        };
        let router = identities.router().merge(router(console));
        Self { _dir: dir, hand, identities, approvals, router }
    }

    /// Alice asks; two of the risk leads must say yes when `needed` is 2.
    async fn asks(&self, reason: &str, needed: u32) -> String {
        self.asks_as("alice@example.test", reason, needed).await
    }

    async fn asks_as(&self, who: &str, reason: &str, needed: u32) -> String {
        let terms = Terms {
            policy: "jit".into(),
            digest: String::new(),
            approvers: vec!["risk-leads".into()],
            lasts: HOUR,
            needed,
        };
        let caller = Caller {
            subject: who.into(),
            email: Some(who.into()),
            name: None,
            groups: vec!["ml-engineers".into()],
            provider: "dev".into(),
            workload: false,
            session: "ses_0".into(),
        };
        let asking = Asking {
            caller: &caller,
            model: "fraud",
            model_identity: "1",
            terms: &[terms],
            reason: Some(reason),
        };
        self.approvals.ask(asking).await.unwrap().id.clone()
    }

    async fn send(&self, browser: &mut Browser, mut request: Request<Body>) -> Answer {
        let cookies: Vec<_> = browser.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5))));
        let (head, body) = self.router.clone().call(request).await.unwrap().into_parts();
        for set in head.headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                browser.0.remove(name);
            } else {
                browser.0.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Answer { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, browser: &mut Browser, path: &str) -> Answer {
        self.send(browser, Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, browser: &mut Browser, path: &str, form: &[(&str, &str)]) -> Answer {
        self.post_from(browser, path, form, &[("origin", ORIGIN), ("sec-fetch-site", "same-origin")]).await
    }

    async fn post_from(
        &self,
        browser: &mut Browser,
        path: &str,
        form: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(browser, request.body(Body::from(body)).unwrap()).await
    }

    /// Opens a page as a stranger, signs in as `user`; where the browser ends.
    async fn sign_in(&self, browser: &mut Browser, page: &str, user: &str) -> String {
        let to = self.get(browser, page).await.location();
        assert!(to.starts_with(&format!("{ORIGIN}/oauth2/authorize?client_id=hoopctl-console&")), "{to}");
        let chooser = self.get(browser, to.strip_prefix(ORIGIN).unwrap()).await;
        let login = chooser.hidden("login");
        let back = self.post(browser, "/login/dev", &[("login", &login), ("user", user)]).await.location();
        assert!(back.starts_with(&format!("{ORIGIN}/console/callback?code=")), "{back}");
        self.get(browser, back.strip_prefix(ORIGIN).unwrap()).await.location()
    }

    async fn signed_in(&self, user: &str) -> Browser {
        let mut browser = Browser::default();
        assert_eq!(self.sign_in(&mut browser, "/console/approvals", user).await, "/console/approvals");
        browser
    }

    async fn state(&self, id: &str) -> State {
        self.approvals.get(id).await.unwrap().unwrap().state.clone()
    }
}

impl Answer {
    fn location(&self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.headers[header::LOCATION].to_str().unwrap().to_owned()
    }

    fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest = self.body.split(&start).nth(1).unwrap_or_else(|| panic!("no {name}: {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }

    fn says(&self, text: &str) {
        assert!(self.body.contains(text), "{text} is not in {}", self.body);
    }
}

fn blank(id: &str) -> Approval {
    Approval {
        schema: 1,
        id: id.to_owned(),
        state: String::new(),
        model: String::new(),
        requester: String::new(),
        reason: None,
        approvals: 0,
        needed: 1,
        expires_at: String::new(),
        created_at: String::new(),
        lasts: 0,
        approvers: Vec::new(),
        approved_by: Vec::new(),
        denied_by: None,
        comment: None,
        url: String::new(),
        decidable: false,
        history: None,
    }
}

#[tokio::test]
async fn a_link_leads_through_signing_in_to_the_page_and_a_yes() {
    let world = World::new().await;
    let id = world.asks("quarter's end", 1).await;
    let page = format!("/console/approvals/{id}");
    let mut bob = Browser::default();
    assert_eq!(world.sign_in(&mut bob, &page, "bob@example.test").await, page);
    assert_eq!(bob.0.len(), 1, "the sign-in's own cookie is gone: {:?}", bob.0.keys());
    let shown = world.get(&mut bob, &page).await;
    for text in [
        "alice@example.test asks to use fraud",
        "quarter&#39;s end",
        "41 exchanges",
        "0 of 1 yeses by a member of risk-leads",
        "waits 1 h more",
        "1 h (all of it)",
        "15 min",
        "30 min",
    ] {
        shown.says(text);
    }
    assert!(!shown.body.contains("2 h"), "never longer than the terms: {}", shown.body);
    let form = shown.hidden("form");
    let fields =
        [("form", form.as_str()), ("decision", "approve"), ("lasts", "900"), ("comment", "be quick")];
    assert_eq!(world.post(&mut bob, &page, &fields).await.location(), page);
    let State::Approved { until, .. } = world.state(&id).await else { panic!("not approved") };
    assert_eq!(until, UNIX_EPOCH + Duration::from_secs(1_795_418_146 + 900));
    let after = world.get(&mut bob, &page).await;
    after.says("approved by bob@example.test, 15 min left");
    after.says("be quick");
    // The same form once more decides nothing and says so.
    let again = world.post(&mut bob, &page, &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    again.says("You came too late: approved by bob@example.test");
}

#[tokio::test]
async fn nobody_decides_their_own_and_strangers_see_nothing() {
    let world = World::new().await;
    let id = world.asks("please", 1).await;
    let page = format!("/console/approvals/{id}");
    let mut alice = world.signed_in("alice@example.test").await;
    let own = world.get(&mut alice, &page).await;
    own.says("You asked for this yourself");
    assert!(!own.body.contains("decision"), "{}", own.body);
    let form = own.hidden("form");
    let tried = world.post(&mut alice, &page, &[("form", &form), ("decision", "approve")]).await;
    assert_eq!(tried.status, StatusCode::FORBIDDEN);
    tried.says("You asked for this yourself");
    let mut dave = world.signed_in("dave@example.test").await;
    let all = world.get(&mut dave, "/console/approvals").await;
    assert!(!all.body.contains(&id), "{}", all.body);
    let form = all.hidden("form");
    for answer in [
        world.get(&mut dave, &page).await,
        world.get(&mut dave, "/console/approvals/apr_none").await,
        world.post(&mut dave, &page, &[("form", &form), ("decision", "deny")]).await,
    ] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        answer.says("No such request");
    }
    assert_eq!(world.state(&id).await, State::Pending);
}

#[tokio::test]
async fn two_yeses_are_two_people_and_a_lapsed_request_says_so() {
    let world = World::new().await;
    let id = world.asks("please", 2).await;
    let page = format!("/console/approvals/{id}");
    let mut bob = world.signed_in("bob@example.test").await;
    world.get(&mut bob, "/console/approvals").await.says(&id);
    let form = world.get(&mut bob, &page).await.hidden("form");
    let yes = [("form", form.as_str()), ("decision", "approve")];
    world.post(&mut bob, &page, &yes).await.location();
    assert_eq!(world.state(&id).await, State::Pending);
    let after = world.get(&mut bob, &page).await;
    after.says("1 of 2 yeses");
    assert!(!after.body.contains("name=\"decision\""), "{}", after.body);
    let twice = world.post(&mut bob, &page, &yes).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    twice.says("it takes another person");
    world.hand.advance(HOUR);
    let mut carol = world.signed_in("carol@example.test").await;
    let form = world.get(&mut carol, "/console/approvals").await.hidden("form");
    let late = world.post(&mut carol, &page, &[("form", &form), ("decision", "approve")]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    late.says("nobody answered by");
}

#[tokio::test]
async fn forms_of_other_pages_change_nothing() {
    let world = World::new().await;
    let id = world.asks("please", 1).await;
    let page = format!("/console/approvals/{id}");
    let mut bob = world.signed_in("bob@example.test").await;
    let mut carol = world.signed_in("carol@example.test").await;
    let form = world.get(&mut bob, &page).await.hidden("form");
    let foreign = world.get(&mut carol, &page).await.hidden("form");
    assert_ne!(form, foreign);
    let good = [("origin", ORIGIN), ("sec-fetch-site", "same-origin")];
    for (token, headers) in [
        (form.as_str(), &[("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")][..]),
        (&form, &[("origin", "null")]),
        (&form, &[("origin", ORIGIN), ("sec-fetch-site", "same-site")]),
        (&form, &[("sec-fetch-site", "cross-site")]),
        (&foreign, &good),
        ("", &good),
    ] {
        for path in [page.as_str(), "/console/sign-out"] {
            let fields = [("form", token), ("decision", "approve")];
            let answer = world.post_from(&mut bob, path, &fields, headers).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
    }
    let doubled = [("form", form.as_str()), ("form", &form), ("decision", "approve")];
    assert_eq!(world.post(&mut bob, &page, &doubled).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.state(&id).await, State::Pending);
    assert_eq!(world.get(&mut bob, &page).await.status, StatusCode::OK, "nobody was signed out");
    // Old browsers send neither header; the token is enough.
    let fields = [("form", form.as_str()), ("decision", "approve")];
    world.post_from(&mut bob, &page, &fields, &[]).await.location();
}

#[tokio::test]
async fn hostile_text_is_shown_and_not_obeyed() {
    let world = World::new().await;
    let reason = format!("<script>alert(1)</script>\"'><img src=x>\u{202e}evil {}", "x".repeat(900));
    let id = world.asks_as("\u{202e}<b>eve</b>@example.test", &reason, 1).await;
    let mut bob = world.signed_in("bob@example.test").await;
    for page in ["/console/approvals".to_owned(), format!("/console/approvals/{id}")] {
        let answer = world.get(&mut bob, &page).await;
        for active in ["<script", "<img", "<b>eve", "\u{202e}"] {
            assert!(!answer.body.contains(active), "{active} in {}", answer.body);
        }
        answer.says("\\u{202e}");
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(
            policy.contains("form-action 'self';") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[header::X_FRAME_OPTIONS], "DENY");
        answer.says("name=\"viewport\"");
    }
}

#[tokio::test]
async fn revocation_expiry_and_signing_out_end_the_browsers_session() {
    let world = World::new().await;
    let page = "/console/approvals";
    let mut bob = world.signed_in("bob@example.test").await;
    let kept = Browser(bob.0.clone());
    let form = world.get(&mut bob, page).await.hidden("form");
    let out = world.post(&mut bob, "/console/sign-out", &[("form", &form)]).await;
    assert_eq!(out.location(), "/console/signed-out");
    assert!(bob.0.is_empty());
    // Also a copy of the cookie is nothing any more.
    let mut copy = kept;
    assert!(world.get(&mut copy, page).await.location().contains("/oauth2/authorize"));

    let mut bob = world.signed_in("bob@example.test").await;
    assert_eq!(world.identities.revoke("bob@example.test", "test").await.unwrap().len(), 1);
    assert!(world.get(&mut bob, page).await.location().contains("/oauth2/authorize"));

    let mut carol = world.signed_in("carol@example.test").await;
    world.hand.advance(HOUR * 12);
    assert!(world.get(&mut carol, page).await.location().contains("/oauth2/authorize"));
}

#[tokio::test]
async fn a_code_is_for_the_browser_that_asked_and_for_one_use() {
    let world = World::new().await;
    let mut bob = Browser::default();
    let to = world.get(&mut bob, "/console/approvals").await.location();
    let login = world.get(&mut bob, to.strip_prefix(ORIGIN).unwrap()).await.hidden("login");
    let form = [("login", login.as_str()), ("user", "bob@example.test")];
    let back = world.post(&mut bob, "/login/dev", &form).await.location();
    let back = back.strip_prefix(ORIGIN).unwrap().to_owned();
    // Signing somebody else in as bob: they have no cookie of this sign-in.
    let mut victim = Browser::default();
    assert_eq!(world.get(&mut victim, &back).await.status, StatusCode::BAD_REQUEST);
    assert!(victim.0.is_empty());
    for (from, to) in
        [("iss=https%3A%2F%2Flocalhost", "iss=https%3A%2F%2Fevil"), ("state=", "state=A"), ("code=", "cod=")]
    {
        let wrong = world.get(&mut bob, &back.replace(from, to)).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{from}");
    }
    let failed = back.replace("code=", "error=access_denied&error_description=%3Cb%3Eno&x=");
    let failed = world.get(&mut bob, &failed).await;
    failed.says("&#60;b&#62;no");
    assert_eq!(world.get(&mut bob, &back).await.location(), "/console/approvals");
    let signed_in = bob.0.get("__Host-hoopctl-console").unwrap().clone();
    assert!(!signed_in.contains("ses_"));
    let mut forged =
        Browser(HashMap::from([("__Host-hoopctl-console".to_owned(), signed_in.replace('A', "B") + "A")]));
    assert!(world.get(&mut forged, "/console/approvals").await.location().contains("/oauth2/authorize"));
    assert_eq!(world.get(&mut bob, &back).await.status, StatusCode::BAD_REQUEST);
}
