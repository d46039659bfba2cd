//! Login in the browser: authorization code with PKCE (RFC 7636) over a loopback redirect (RFC 8252).

use std::{thread, time::Duration};

use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    basic::BasicClient,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use url::Url;

use super::{
    Talk, Visit,
    answer::{Code, Expected},
    callback::{Callback, Serving},
    page::Page,
};
use crate::{
    client::{ClientError, oauth},
    id,
    secret::{ExposeSecret, SecretString},
    wire::api::{CLIENT_ID, Discovery},
};

/// How long a person may take: as long as the gateway remembers a sign-in.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long starting the browser may take before the address is printed; it may go on behind that.
const OPENING: Duration = Duration::from_secs(2);

/// A trip through a browser.
pub(super) struct Trip<'t> {
    /// The loopback port, 1–65535; `None`: any free one.
    pub(super) callback_port: Option<u16>,
    /// Whether to open this machine's browser; the address is told in any case.
    pub(super) open: bool,
    /// Whether the person may paste what the browser ended on.
    pub(super) paste: bool,
    /// Whom to sign in with.
    pub(super) provider: Option<&'t str>,
    /// How the person's own machine calls this one, for a tunnel to the port.
    pub(super) remote: Option<&'t str>,
}

/// Sends the person to the gateway's sign-in and completes `visit` with what comes back.
pub(super) async fn login(visit: Visit<'_>, trip: Trip<'_>, talk: &dyn Talk) -> Result<(), ClientError> {
    // Bound before the browser opens: nobody else can catch the answer.
    let callback = Callback::bind(trip.callback_port).await?;
    let port = callback.port();
    let errand = Errand::prepare(visit.discovery, callback.redirect_uri(), trip.provider)?;
    let expected = Expected { state: errand.state.clone(), issuer: visit.discovery.issuer.clone() };
    let mut serving = callback.serve(expected.clone());
    let opened = trip.open && open_browser(errand.url.clone()).await;
    talk.visit(&errand.url, opened);
    if let Some(host) = trip.remote.filter(|_| !opened) {
        talk.note(&format!(
            "to have the browser of your own machine come back here, run there: ssh -L {port}:127.0.0.1:{port} {host}"
        ));
    }
    let pasted = if trip.paste && !opened { talk.pasted() } else { None };
    // A spinner would overwrite what is being pasted.
    let waiting = pasted.is_none().then(|| talk.waiting("waiting for the browser …"));

    let returned = timeout(PATIENCE, first(&mut serving, pasted, &expected, port, talk)).await;
    drop(waiting);
    let Ok(Some((code, page))) = returned else {
        return Err(ClientError::login_needed(format!(
            "nobody came back from the browser within {} minutes",
            PATIENCE.as_secs() / 60
        )));
    };
    let done = match code {
        Ok(code) => redeem(visit, errand, code).await,
        Err(error) => Err(error),
    };
    if let Some(shown) = page {
        // A browser that has closed the page does not need it.
        let _ = shown.send(done.as_ref().map_or_else(Page::failed, |user| Page::done(user)));
        serving.close().await;
    }
    done.map(drop)
}

/// The answer that arrives first: at the port, with a page to show, or pasted.
async fn first(
    serving: &mut Serving,
    pasted: Option<mpsc::UnboundedReceiver<String>>,
    expected: &Expected,
    port: u16,
    talk: &dyn Talk,
) -> Option<(Code, Option<oneshot::Sender<Page>>)> {
    let mut pasted = pasted;
    loop {
        let line = async {
            match &mut pasted {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            returned = serving.next() => return returned.map(|one| (one.code, Some(one.page))),
            line = line => match line.map(|line| expected.judge_pasted(&line, port)) {
                Some(Ok(code)) => return Some((code, None)),
                Some(Err(why)) => talk.note(&why),
                // No more will be pasted; the port is still there.
                None => pasted = None,
            },
        }
    }
}

async fn redeem(visit: Visit<'_>, errand: Errand, code: SecretString) -> Result<String, ClientError> {
    let code = AuthorizationCode::new(code.expose_secret().to_owned());
    let granted = oauth::redeem(visit.https, visit.discovery, code, errand.verifier, errand.redirect).await?;
    visit.complete(granted).await
}

/// One trip of the browser.
struct Errand {
    /// Where it is sent.
    url: Url,
    /// What must come back unchanged.
    state: SecretString,
    /// Proves that the code is ours.
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
}

impl Errand {
    fn prepare(discovery: &Discovery, redirect: String, provider: Option<&str>) -> Result<Self, ClientError> {
        let wrong = |e| ClientError::failed("protocol", format!("the gateway's addresses are unusable: {e}"));
        let authorize = AuthUrl::new(discovery.authorization_endpoint.clone()).map_err(wrong)?;
        let redirect = RedirectUrl::new(redirect).map_err(wrong)?;
        let state = id::token();
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = BasicClient::new(ClientId::new(CLIENT_ID.to_owned()))
            .set_auth_uri(authorize)
            .set_redirect_uri(redirect.clone());
        let mut asked = client
            .authorize_url(|| CsrfToken::new(state.expose_secret().to_owned()))
            .set_pkce_challenge(challenge);
        if let Some(provider) = provider {
            asked = asked.add_extra_param("provider", provider.to_owned());
        }
        let (url, _) = asked.url();
        Ok(Self { url, state, verifier, redirect })
    }
}

/// Opens the browser (`$BROWSER` is honoured) on a thread that nobody waits for: some browsers stay in the foreground.
async fn open_browser(url: Url) -> bool {
    let (told, started) = oneshot::channel();
    let thread = thread::Builder::new().name("browser".to_owned()).spawn(move || {
        let opened = webbrowser::open(url.as_str());
        if let Err(error) = &opened {
            tracing::debug!(%error, "no browser could be opened");
        }
        // Whoever asked may have gone on without the answer.
        let _ = told.send(opened.is_ok());
    });
    if thread.is_err() {
        return false;
    }
    match timeout(OPENING, started).await {
        Ok(answer) => answer.unwrap_or(false),
        // Still in the foreground: it is there.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::client::{FirstTrust, Here, Kind, Method, Person, StoreChoice, Way, testing};

    #[tokio::test]
    async fn a_login_in_the_browser_proves_itself_and_is_kept() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        let talk = testing::Silent::default();
        let status = laptop.login(fake.fingerprint(), testing::browser(), &talk).await.unwrap();
        assert_eq!(status.user, "alice@example.test");
        assert_eq!(status.groups, ["ml-engineers"]);
        assert!(!status.session_expires_at.is_empty());
        let visited = talk.visited();
        let query: HashMap<_, _> = visited[0].query_pairs().into_owned().collect();
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], CLIENT_ID);
        assert!(query["redirect_uri"].starts_with("http://127.0.0.1:"));
        assert!(query["state"].len() >= 43);
        let page = talk.page();
        assert!(page.contains("You are logged in") && page.contains("as alice@example.test"), "{page}");
    }

    #[tokio::test]
    async fn what_is_pasted_logs_in_and_mistakes_do_not_end_it() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        let talk = testing::Silent::pasting(&["", "nonsense", "http://127.0.0.1:1/callback?state=x&code=y"]);
        let person = testing::person(Some(Way::Paste));
        let status = laptop.login(fake.fingerprint(), person, &talk).await.unwrap();
        assert_eq!(status.method.as_deref(), Some("paste"));
        assert_eq!(talk.noted("that is not the address"), 3);
    }

    #[tokio::test]
    async fn without_more_to_paste_the_port_still_counts() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        let talk = testing::Silent::default();
        laptop.login(fake.fingerprint(), testing::person(Some(Way::Paste)), &talk).await.unwrap();
        assert_eq!(talk.noted("ssh -L"), 0);
    }

    #[tokio::test]
    async fn over_ssh_the_tunnel_is_named_exactly() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        let talk = testing::Silent::default();
        let Method::Person(person) = testing::person(None) else { panic!("a person") };
        let here = Here { remote: Some("alice@192.0.2.7".into()), ..person.here };
        let asked = Some(Way::Paste);
        let person = Method::Person(Person { here, asked, provider: Some("dev".into()), ..person });
        laptop.login(fake.fingerprint(), person, &talk).await.unwrap();
        let query: HashMap<_, _> = talk.visited()[0].query_pairs().into_owned().collect();
        let port = Url::parse(&query["redirect_uri"]).unwrap().port().unwrap();
        assert_eq!(talk.noted(&format!("ssh -L {port}:127.0.0.1:{port} alice@192.0.2.7")), 1);
        assert_eq!(query["provider"], "dev");
    }

    #[tokio::test]
    async fn an_unknown_provider_is_refused_with_the_names_there_are() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        let talk = testing::Silent::default();
        let Method::Person(person) = testing::person(None) else { panic!("a person") };
        let person = Method::Person(Person { provider: Some("nobody".into()), ..person });
        let error = laptop.login(fake.fingerprint(), person, &talk).await.unwrap_err();
        assert!(error.kind == Kind::Usage && error.message.contains("it has: dev"), "{error}");
        assert!(talk.visited().is_empty());
    }

    #[tokio::test]
    async fn an_injected_code_fails_by_its_verifier() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::Memory);
        // The attacker's code, brought back with the right state: the gateway knows that its challenge was another's.
        let talk = testing::Silent::bringing("somebody-elses-code");
        let error = laptop.login(fake.fingerprint(), testing::browser(), &talk).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (Kind::LoginNeeded, "invalid_grant"));
        assert!(talk.page().contains("The login did not work"));
        assert_eq!(laptop.status().unwrap_err().kind, Kind::LoginNeeded);
    }

    #[tokio::test]
    async fn no_place_for_the_login_is_found_before_the_browser_opens() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("state"), "not a folder").unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        let talk = testing::Silent::default();
        let error = laptop.login(FirstTrust::Known, testing::browser(), &talk).await.unwrap_err();
        assert_eq!(error.code, "no_credential_store");
        assert!(talk.visited().is_empty());
        assert_eq!(fake.state.lock().unwrap().requests, 0);
    }
}
