//! Microsoft Graph: the groups of a person who has too many for a token (the *overage* answer).

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    super::provider::{Claims, ProviderError, elsewhere, fetched, too_many},
    api::{Ask, ask, under},
};
use crate::gateway::outbound::Outbound;

/// Pages read at most; a page of Graph holds up to 999 entries.
const MAX_PAGES: usize = 32;

#[derive(Deserialize)]
struct Page {
    value: Vec<String>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<Url>,
}

/// Whether a token says that the groups did not fit into it.
pub(super) fn overage(claims: &Claims, claim: &str) -> bool {
    let hinted = claims.get("hasgroups").is_some_and(|has| has == true || has == "true");
    elsewhere(claims, claim) || (hinted && claim == "groups" && !claims.contains_key("groups"))
}

/// The object ids of the security groups the signed-in person is in, through other groups too. The address in the token's
/// `_claim_sources` is not asked: it is often one of the Azure AD Graph, which is gone.
pub(super) async fn groups(
    outbound: &Outbound,
    graph: &Url,
    access_token: &str,
) -> Result<Vec<String>, ProviderError> {
    let mut url = under(graph, "v1.0/me/getMemberObjects")?;
    let wanted = json!({ "securityEnabledOnly": true });
    let mut groups = Vec::new();
    for page in 0..MAX_PAGES {
        // What a page leads to is fetched, not invoked again.
        let (method, body) = if page == 0 { (Method::POST, Some(&wanted)) } else { (Method::GET, None) };
        let told = ask(outbound, &Ask { method, url: &url, bearer: access_token, body }).await?;
        let Page { value, next } = match (told.status, told.word().as_str()) {
            (StatusCode::OK, _) => told.read(&url)?,
            (StatusCode::BAD_REQUEST, "Directory_ResultSizeLimitExceeded") => return Err(beyond()),
            (StatusCode::NOT_FOUND, "Request_ResourceNotFound") => {
                return Err(ProviderError::Refused("Microsoft Graph does not know the person".to_owned()));
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                return Err(told.failure(&url, "; grant the application the delegated permission User.Read"));
            }
            _ => return Err(told.failure(&url, "")),
        };
        groups.extend(value);
        if too_many(groups.len()) {
            return Err(beyond());
        }
        let Some(next) = next else { return fetched(groups) };
        if next.origin() != graph.origin() {
            let why = "Microsoft Graph's next page is on another host".to_owned();
            return Err(ProviderError::Invalid(why));
        }
        url = next;
    }
    Err(beyond())
}

fn beyond() -> ProviderError {
    ProviderError::Invalid("the person is in more than 10000 groups".to_owned())
}
