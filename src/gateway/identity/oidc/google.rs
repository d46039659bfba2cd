//! Google's directory: the groups of a person, asked with a service account, because Google puts none into tokens.

use http::{Method, Request, StatusCode, header};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::{
    super::{
        config::{Directory, DirectoryApi},
        provider::{ProviderError, fetched, too_many},
    },
    api::{Ask, Told, ask, under},
};
use crate::{
    clock::Clock,
    gateway::outbound::{Outbound, ServiceAccount},
    secret::{self, ExposeSecret, SecretString},
};

/// Pages read at most; a page holds up to 1,000 groups (Cloud Identity) or 200 (Directory).
const MAX_PAGES: usize = 64;
/// A token is not used in the last seconds of its life.
const MARGIN: i64 = 60;
/// The longest a token is believed to live, whatever its answer says, in seconds.
const MAX_LIFE: i64 = 60 * 60;

/// The directory, and the service account's token for it.
pub(super) struct People {
    directory: Directory,
    token: Mutex<Option<(SecretString, i64)>>,
}

/// Whose groups: the immutable id and the verified address.
pub(super) struct Person<'a> {
    pub(super) subject: &'a str,
    pub(super) email: &'a str,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret::deserialize")]
    access_token: SecretString,
    expires_in: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    /// Cloud Identity.
    memberships: Vec<Membership>,
    /// Directory.
    groups: Vec<Group>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Membership {
    group_key: GroupKey,
}

#[derive(Deserialize)]
struct GroupKey {
    id: String,
}

#[derive(Deserialize)]
struct Group {
    email: String,
}

impl People {
    /// Blocks to read the key once: a wrong one shall be found at start, not at the first login.
    pub(super) fn new(directory: Directory) -> Result<Self, String> {
        ServiceAccount::parse(&directory.service_account.read().map_err(|e| e.to_string())?)?;
        Ok(Self { directory, token: Mutex::default() })
    }

    /// The addresses of the groups a person is in.
    pub(super) async fn groups(
        &self,
        outbound: &Outbound,
        clock: &Clock,
        person: &Person<'_>,
    ) -> Result<Vec<String>, ProviderError> {
        let mut groups = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let url = self.page_url(person, after.as_deref())?;
            let told = self.ask(outbound, clock, &url).await?;
            let page: Page = match told.status {
                StatusCode::OK => told.read(&url)?,
                StatusCode::NOT_FOUND => {
                    return Err(ProviderError::Refused(
                        "Google's directory does not know the person".to_owned(),
                    ));
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(told.failure(&url, self.hint()));
                }
                _ => return Err(told.failure(&url, "")),
            };
            groups.extend(page.memberships.into_iter().map(|membership| membership.group_key.id));
            groups.extend(page.groups.into_iter().map(|group| group.email));
            if too_many(groups.len()) {
                return Err(beyond());
            }
            match page.next_page_token.filter(|token| !token.is_empty()) {
                Some(token) => after = Some(token),
                None => return fetched(groups),
            }
        }
        Err(beyond())
    }

    fn page_url(&self, person: &Person<'_>, after: Option<&str>) -> Result<Url, ProviderError> {
        let base = &self.directory.url;
        let mut url = match self.directory.api {
            DirectoryApi::CloudIdentity => under(base, "v1/groups/-/memberships:searchTransitiveGroups")?,
            DirectoryApi::AdminSdk => under(base, "admin/directory/v1/groups")?,
        };
        {
            let mut query = url.query_pairs_mut();
            match self.directory.api {
                DirectoryApi::CloudIdentity => {
                    // Addresses may hold an apostrophe, which would end the string of the expression.
                    let member = person.email.replace('\\', "\\\\").replace('\'', "\\'");
                    let wanted = format!(
                        "member_key_id == '{member}' && 'cloudidentity.googleapis.com/groups.discussion_forum' in labels"
                    );
                    query.append_pair("query", &wanted).append_pair("pageSize", "1000")
                }
                // The immutable id: an address may pass to another person.
                DirectoryApi::AdminSdk => {
                    query.append_pair("userKey", person.subject).append_pair("maxResults", "200")
                }
            };
            if let Some(token) = after {
                query.append_pair("pageToken", token);
            }
        }
        Ok(url)
    }

    /// Asks with the remembered token; once more with a fresh one when Google does not take it any longer.
    async fn ask(&self, outbound: &Outbound, clock: &Clock, url: &Url) -> Result<Told, ProviderError> {
        let (token, fresh) = self.token(outbound, clock).await?;
        let request = |token| Ask { method: Method::GET, url, bearer: token, body: None };
        let told = ask(outbound, &request(token.expose_secret())).await?;
        if told.status != StatusCode::UNAUTHORIZED || fresh {
            return Ok(told);
        }
        *self.token.lock().await = None;
        let (token, _) = self.token(outbound, clock).await?;
        ask(outbound, &request(token.expose_secret())).await
    }

    /// The service account's access token, and whether it was made just now.
    async fn token(&self, outbound: &Outbound, clock: &Clock) -> Result<(SecretString, bool), ProviderError> {
        let mut known = self.token.lock().await;
        let now = clock.unix_seconds();
        if let Some((token, end)) = &*known
            && now < end.saturating_sub(MARGIN)
        {
            return Ok((token.clone(), false));
        }
        let directory = self.directory.clone();
        let assertion = tokio::task::spawn_blocking(move || assertion(&directory, now)).await;
        let (token_uri, assertion) =
            assertion.map_err(|e| e.to_string()).and_then(|made| made).map_err(ProviderError::Unreachable)?;
        let granted = grant(outbound, &token_uri, &assertion).await?;
        let end = now.saturating_add(granted.expires_in.clamp(0, MAX_LIFE));
        *known = Some((granted.access_token.clone(), end));
        Ok((granted.access_token, true))
    }

    fn hint(&self) -> &'static str {
        match self.directory.api {
            DirectoryApi::CloudIdentity => {
                "; the service account needs the role Groups Reader, and the edition must have searchTransitiveGroups: \
                 else write groups_api = 'directory'"
            }
            DirectoryApi::AdminSdk => {
                "; delegate admin.directory.group.readonly to the service account, and set `admin_email` to an administrator"
            }
        }
    }
}

/// The signed assertion, and where it is traded. Blocks on the key's source.
fn assertion(directory: &Directory, now: i64) -> Result<(Url, String), String> {
    let account = ServiceAccount::parse(&directory.service_account.read().map_err(|e| e.to_string())?)?;
    let scope = match directory.api {
        DirectoryApi::CloudIdentity => "https://www.googleapis.com/auth/cloud-identity.groups.readonly",
        DirectoryApi::AdminSdk => "https://www.googleapis.com/auth/admin.directory.group.readonly",
    };
    let signed = account.assertion(account.token_uri(), scope, directory.admin_email.as_deref(), now)?;
    Ok((account.token_uri().clone(), signed))
}

async fn grant(outbound: &Outbound, token_uri: &Url, assertion: &str) -> Result<Granted, ProviderError> {
    let unreachable = |e: String| ProviderError::Unreachable(e);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        .append_pair("assertion", assertion)
        .finish();
    let request = Request::post(token_uri.as_str())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(form.into_bytes())
        .map_err(|e| unreachable(e.to_string()))?;
    let answer = outbound.send(request).await.map_err(|e| unreachable(e.to_string()))?;
    let told = Told::from(answer);
    if told.status == StatusCode::OK {
        return told.read(token_uri);
    }
    Err(told
        .failure(token_uri, "; check the service account's key, its delegation, `admin_email` and the clock"))
}

fn beyond() -> ProviderError {
    ProviderError::Invalid("the person is in more than 10000 groups".to_owned())
}
