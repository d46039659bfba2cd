//! Login in the browser: authorization code with PKCE (RFC 7636) over a loopback redirect (RFC 8252).

use std::{thread, time::Duration};

use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    basic::BasicClient,
};
use tokio::{sync::oneshot, time::timeout};
use url::Url;

use super::{
    Talk, Visit,
    callback::{Callback, Expected},
    page::Page,
};
use crate::{
    client::{ClientError, oauth},
    id,
    secret::{ExposeSecret, SecretString},
    wire::api::{CLIENT_ID, Discovery},
};

/// How long a person may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long starting the browser may take before the address is printed; it may go on behind that.
const OPENING: Duration = Duration::from_secs(2);

/// Sends the person to the gateway's sign-in and completes `visit` with what comes back.
pub(super) async fn login(
    visit: Visit<'_>,
    callback_port: Option<u16>,
    open: bool,
    talk: &dyn Talk,
) -> Result<(), ClientError> {
    // Bound before the browser opens: nobody else can catch the answer.
    let callback = Callback::bind(callback_port).await?;
    let errand = Errand::prepare(visit.discovery, callback.redirect_uri())?;
    let expected = Expected { state: errand.state.clone(), issuer: visit.discovery.issuer.clone() };
    let mut serving = callback.serve(expected);
    let opened = open && open_browser(errand.url.clone()).await;
    talk.visit(&errand.url, opened);

    let returned = match timeout(PATIENCE, serving.next()).await {
        Ok(Some(returned)) => returned,
        _ => {
            return Err(ClientError::login_needed(format!(
                "nobody came back from the browser within {} minutes",
                PATIENCE.as_secs() / 60
            )));
        }
    };
    let done = match returned.code {
        Ok(code) => redeem(visit, errand, code).await,
        Err(error) => Err(error),
    };
    let page = done.as_ref().map_or_else(Page::failed, |user| Page::done(user));
    // A browser that has closed the page does not need it.
    let _ = returned.page.send(page);
    serving.close().await;
    done.map(drop)
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
    fn prepare(discovery: &Discovery, redirect: String) -> Result<Self, ClientError> {
        let wrong = |e| ClientError::failed("protocol", format!("the gateway's addresses are unusable: {e}"));
        let authorize = AuthUrl::new(discovery.authorization_endpoint.clone()).map_err(wrong)?;
        let redirect = RedirectUrl::new(redirect).map_err(wrong)?;
        let state = id::token();
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, _) = BasicClient::new(ClientId::new(CLIENT_ID.to_owned()))
            .set_auth_uri(authorize)
            .set_redirect_uri(redirect.clone())
            .authorize_url(|| CsrfToken::new(state.expose_secret().to_owned()))
            .set_pkce_challenge(challenge)
            .url();
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
    use crate::client::{FirstTrust, Kind, StoreChoice, testing};

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
