//! What the kinds of providers have in common: an identity as claimed, groups as bounded, and the ways of failing.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Caller, dev::Dev, oidc::RelyingParty, saml::ServiceProvider, service::Service, workload::Workload,
};
use crate::clock::Clock;

/// Groups a caller may have.
const MAX_GROUPS: usize = 10_000;
/// The longest group name, in bytes.
const MAX_GROUP: usize = 256;
/// The longest subject (OpenID Connect Core §2 says 255), in bytes.
const MAX_SUBJECT: usize = 255;
/// The longest email address (RFC 5321) or display name, in bytes.
pub(super) const MAX_TEXT: usize = 320;
/// How far a provider's clock may be off, in seconds.
const LEEWAY: i64 = 300;

/// One `[[identity]]`, opened.
pub(super) enum Provider {
    Oidc(Box<RelyingParty>),
    Saml(Box<ServiceProvider>),
    Workload(Box<Workload>),
    Service(Service),
    Dev(Dev),
}

impl Provider {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Oidc(party) => party.name(),
            Self::Saml(party) => party.name(),
            Self::Workload(workload) => workload.name(),
            Self::Service(service) => service.name(),
            Self::Dev(dev) => dev.name(),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Oidc(_) => "oidc",
            Self::Saml(_) => "saml",
            Self::Workload(_) => "workload",
            Self::Service(_) => "service",
            Self::Dev(_) => "dev",
        }
    }

    /// Whether people sign in with it in a browser.
    pub(super) fn interactive(&self) -> bool {
        !matches!(self, Self::Workload(_) | Self::Service(_))
    }

    /// What tokens of workloads must be for.
    pub(super) fn audience(&self) -> Option<&str> {
        match self {
            Self::Workload(workload) => Some(workload.audience()),
            _ => None,
        }
    }
}

/// Why a provider established nobody. The texts are for people and hold no secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    /// The provider said no: the person is signed out, locked, gone, or declined.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// The provider cannot be asked now, or is misconfigured.
    #[error("the identity provider cannot be asked: {0}")]
    Unreachable(String),
    /// What came back is not to be believed.
    #[error("the identity provider's answer is not believed: {0}")]
    Invalid(String),
}

impl ProviderError {
    /// The sentence with the provider's name.
    pub(super) fn of(&self, name: &str) -> String {
        match self {
            Self::Refused(why) => format!("the identity provider `{name}` refused: {why}"),
            Self::Unreachable(why) => format!("the identity provider `{name}` cannot be asked: {why}"),
            Self::Invalid(why) => {
                format!("the answer of the identity provider `{name}` is not believed: {why}")
            }
        }
    }
}

/// An identity as a provider claims it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claimed {
    pub(super) subject: String,
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) groups: Vec<String>,
}

impl Claimed {
    /// The caller of a session.
    pub(super) fn caller(self, provider: &str, workload: bool, session: String) -> Caller {
        let Self { subject, email, name, groups } = self;
        Caller { subject, email, name, groups, provider: provider.to_owned(), workload, session }
    }
}

/// The claims of a verified token.
pub(super) type Claims = Map<String, Value>;

/// A claim that is a short text without control characters.
pub(super) fn text<'a>(claims: &'a Claims, name: &str, longest: usize) -> Option<&'a str> {
    let text = claims.get(name)?.as_str()?;
    (!text.is_empty() && text.len() <= longest && !text.chars().any(char::is_control)).then_some(text)
}

/// The claim that names the caller.
pub(super) fn subject(claims: &Claims, name: &str) -> Result<String, ProviderError> {
    text(claims, name, MAX_SUBJECT)
        .map(str::to_owned)
        .ok_or_else(|| ProviderError::Invalid(format!("the claim `{name}` is missing or no plain text")))
}

/// The email address, unless the provider says that nobody proved to own it: names in policies must not be self-chosen.
pub(super) fn email(claims: &Claims) -> Option<String> {
    let unverified = match claims.get("email_verified") {
        Some(Value::Bool(verified)) => !verified,
        Some(Value::String(verified)) => verified == "false",
        _ => false,
    };
    if unverified { None } else { text(claims, "email", MAX_TEXT).map(str::to_owned) }
}

/// The display name.
pub(super) fn display_name(claims: &Claims) -> Option<String> {
    text(claims, "name", MAX_TEXT).map(str::to_owned)
}

/// The groups of a claim; `None` when the claim is absent. A claim of another shape means no groups, and is logged.
pub(super) fn groups(claims: &Claims, name: &str, provider: &str) -> Option<Vec<String>> {
    let value = claim(claims, name)?;
    Some(read_groups(value).unwrap_or_else(|problem| {
        tracing::warn!(
            provider,
            claim = name,
            problem,
            "the groups claim is unusable: the caller has no groups"
        );
        Vec::new()
    }))
}

/// A claim by its name, or by a path of names with dots between them; the longest name that is there wins, so that a
/// literal `https://example.com/groups` is never taken for a path.
fn claim<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.rmatch_indices('.').find_map(|(dot, _)| {
            let (name, rest) = path.split_at_checked(dot)?;
            claim(claims.get(name)?.as_object()?, rest.strip_prefix('.')?)
        })
    })
}

/// Whether a claim is said to be elsewhere (OpenID Connect Core §5.6.2): it is not missing, it must be fetched.
pub(super) fn elsewhere(claims: &Claims, name: &str) -> bool {
    claims.get("_claim_names").and_then(Value::as_object).is_some_and(|names| names.contains_key(name))
}

/// Groups that were fetched, within the same bounds as those of a claim.
pub(super) fn fetched(groups: Vec<String>) -> Result<Vec<String>, ProviderError> {
    let groups = Value::Array(groups.into_iter().map(Value::String).collect());
    read_groups(&groups).map_err(|problem| ProviderError::Invalid(format!("its list of groups: {problem}")))
}

/// Whether another page may be asked for.
pub(super) fn too_many(groups: usize) -> bool {
    groups > MAX_GROUPS
}

fn read_groups(value: &Value) -> Result<Vec<String>, &'static str> {
    let entries = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(entries) => entries.as_slice(),
        _ => return Err("it is neither text nor a list of texts"),
    };
    if entries.len() > MAX_GROUPS {
        return Err("it has more than 10000 entries");
    }
    let mut seen = HashSet::new();
    let mut groups = Vec::new();
    for entry in entries {
        let group = entry.as_str().ok_or("an entry is no text")?;
        if group.len() > MAX_GROUP || group.chars().any(char::is_control) {
            return Err("an entry is longer than 256 bytes or has control characters");
        }
        if !group.is_empty() && seen.insert(group) {
            groups.push(group.to_owned());
        }
    }
    Ok(groups)
}

/// Checks `iss` exactly, `aud` to hold `audience`, and the times with five minutes' leeway; returns `exp`.
pub(super) fn check_registered(
    claims: &Claims,
    issuer: &str,
    audience: &str,
    clock: &Clock,
) -> Result<i64, ProviderError> {
    let invalid = |why: &str| ProviderError::Invalid(why.to_owned());
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(invalid("the token is of another issuer"));
    }
    if !audiences(claims).any(|one| one == audience) {
        return Err(invalid("the token is for another audience"));
    }
    let now = clock.unix_seconds();
    let exp = seconds(claims, "exp").ok_or_else(|| invalid("the token has no end"))?;
    if now >= exp.saturating_add(LEEWAY) {
        let over = now.saturating_sub(exp);
        return Err(ProviderError::Invalid(format!(
            "the token's time is over since {over} s; if it was made just now, compare the clocks"
        )));
    }
    for start in ["nbf", "iat"] {
        match (claims.contains_key(start), seconds(claims, start)) {
            (false, _) => {}
            (true, Some(at)) if at <= now.saturating_add(LEEWAY) => {}
            _ => return Err(invalid("the token's time has not come; compare the clocks")),
        }
    }
    Ok(exp)
}

/// `aud`: a text or a list of texts.
pub(super) fn audiences(claims: &Claims) -> impl Iterator<Item = &str> {
    let entries = match claims.get("aud") {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    entries.iter().filter_map(Value::as_str)
}

/// A NumericDate (RFC 7519 §2), whose fraction does not matter.
fn seconds(claims: &Claims, name: &str) -> Option<i64> {
    const FAR: f64 = 1e15;
    let value = claims.get(name)?;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    value.as_i64().or_else(|| value.as_f64().filter(|at| at.abs() < FAR).map(|at| at as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn groups_are_texts_or_nothing() {
        let long = "g".repeat(MAX_GROUP + 1);
        let many: Vec<_> = (0..=MAX_GROUPS).map(|n| n.to_string()).collect();
        for (value, expected) in [
            (json!("one"), vec!["one"]),
            (json!(["one", "two", "one", ""]), vec!["one", "two"]),
            (json!([]), vec![]),
            (json!(7), vec![]),
            (json!({"one": true}), vec![]),
            (json!(["one", 7]), vec![]),
            (json!(["one", long]), vec![]),
            (json!(["one\n"]), vec![]),
            (json!(many), vec![]),
            (json!(null), vec![]),
        ] {
            let read = groups(&claims(json!({ "g": value })), "g", "test").unwrap();
            assert_eq!(read, expected);
        }
        assert_eq!(groups(&claims(json!({})), "g", "test"), None);
    }

    #[test]
    fn an_address_that_nobody_proved_is_no_name() {
        for (verified, expected) in
            [(json!(true), true), (json!("true"), true), (json!(false), false), (json!("false"), false)]
        {
            let claims = claims(json!({"email": "alice@example.test", "email_verified": verified}));
            assert_eq!(email(&claims).is_some(), expected);
        }
    }
}
