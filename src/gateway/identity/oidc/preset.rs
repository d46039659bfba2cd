//! What differs between the vendors: what is asked for, who is named, and where groups are.

use serde_json::Value;

use super::super::{
    config::Preset,
    provider::{Claims, ProviderError, email, text},
};

/// The longest address or name looked at, in bytes.
const MAX_TEXT: usize = 320;

impl Preset {
    /// The scopes of a login when the configuration names none; what is not advertised is left out.
    pub(super) fn scopes(&self) -> &'static [&'static str] {
        match self {
            Self::Generic | Self::Okta => &["openid", "profile", "email", "groups", "offline_access"],
            Self::Entra { .. } => &["openid", "profile", "email", "offline_access", "User.Read"],
            Self::Google { .. } => &["openid", "profile", "email"],
            // Its refresh tokens need no offline access, and end with the single sign-on session.
            Self::Keycloak => &["openid", "profile", "email", "groups"],
            Self::Auth0 => &["openid", "profile", "email", "offline_access"],
        }
    }

    /// Whether a scope is asked for although the provider does not list it: Entra lists no scope of Graph.
    pub(super) fn unlisted(&self, scope: &str) -> bool {
        matches!(self, Self::Entra { .. }) && scope == "User.Read"
    }

    /// How the vendor spells a scope of ours: Graph's belong to a cloud.
    pub(super) fn spelled(&self, scope: &str) -> String {
        match self {
            Self::Entra { graph } if scope == "User.Read" => {
                format!("{}/{scope}", graph.as_str().trim_end_matches('/'))
            }
            _ => scope.to_owned(),
        }
    }

    /// Parameters of the authorization request beside the protocol's own.
    pub(super) fn parameters(&self, offline: bool) -> Vec<(&'static str, String)> {
        match self {
            // OpenID Connect Core §11: without it the request for offline access is to be ignored.
            Self::Generic if offline => vec![("prompt", "consent".to_owned())],
            // Google gives a refresh token only so, and after the first time only with consent.
            Self::Google { hosted_domains, .. } => {
                let mut parameters =
                    vec![("access_type", "offline".to_owned()), ("prompt", "consent".to_owned())];
                let hint = match hosted_domains.as_slice() {
                    [one] => one.clone(),
                    _ => "*".to_owned(),
                };
                parameters.push(("hd", hint));
                parameters
            }
            _ => Vec::new(),
        }
    }

    /// Whether userinfo may hold groups that the ID token lacks.
    pub(super) fn groups_in_userinfo(&self) -> bool {
        !matches!(self, Self::Entra { .. } | Self::Google { .. })
    }

    /// Other spellings of the issuer in tokens: Google's reference allows one without the scheme.
    pub(super) fn also_issues(&self, issuer: &str, said: &str) -> bool {
        matches!(self, Self::Google { .. }) && issuer.strip_prefix("https://") == Some(said)
    }

    /// Refuses accounts that are none of the company's.
    pub(super) fn admits(&self, claims: &Claims) -> Result<(), ProviderError> {
        let Self::Google { hosted_domains, .. } = self else { return Ok(()) };
        let domain = text(claims, "hd", MAX_TEXT);
        let own = domain.is_some_and(|hd| hosted_domains.iter().any(|own| own.eq_ignore_ascii_case(hd)));
        if own {
            return Ok(());
        }
        Err(ProviderError::Refused("the account is of no domain in `hosted_domain`".to_owned()))
    }

    /// The address that names a person in policies: never one that people may choose themselves.
    pub(super) fn email(&self, claims: &Claims) -> Option<String> {
        match self {
            Self::Entra { .. } => entra_email(claims),
            _ => email(claims),
        }
    }
}

/// Entra's `email` is whatever an administrator of *some* tenant wrote, unless `xms_edov` says that its domain's owner was
/// proven. The sign-in name is of the tenant itself, but for guests, whom `idp` or `acct` betrays.
fn entra_email(claims: &Claims) -> Option<String> {
    let proven = match claims.get("xms_edov") {
        Some(Value::Bool(proven)) => *proven,
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        Some(Value::String(word)) => word == "1" || word.eq_ignore_ascii_case("true"),
        _ => false,
    };
    if proven && let Some(email) = text(claims, "email", MAX_TEXT) {
        return Some(email.to_owned());
    }
    let foreign = claims.get("idp").is_some_and(|idp| Some(idp) != claims.get("iss"));
    let guest = claims.get("acct").is_some_and(|acct| acct != 0 && acct != "0");
    if foreign || guest {
        return None;
    }
    text(claims, "preferred_username", MAX_TEXT).filter(|name| name.contains('@')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entra_names_people_by_what_they_cannot_choose() {
        let mail = Some("alice@example.test");
        for (claims, expected) in [
            (json!({"email": "ceo@example.test"}), None),
            (json!({"email": "ceo@example.test", "email_verified": true}), None),
            (json!({"email": "ceo@example.test", "xms_edov": false}), None),
            (json!({"email": "ceo@example.test", "xms_edov": "0"}), None),
            (json!({"email": "alice@example.test", "xms_edov": true}), mail),
            (json!({"email": "alice@example.test", "xms_edov": 1}), mail),
            (json!({"email": "alice@example.test", "xms_edov": "1"}), mail),
            (json!({"email": "ceo@example.test", "preferred_username": "alice@example.test"}), mail),
            (json!({"preferred_username": "alice@example.test", "acct": 0}), mail),
            (json!({"preferred_username": "alice@example.test", "acct": 1}), None),
            (json!({"preferred_username": "alice@example.test", "idp": "live.com"}), None),
            (json!({"preferred_username": "alice@example.test", "iss": "x", "idp": "x"}), mail),
            (json!({"preferred_username": "+49 30 1234"}), None),
        ] {
            assert_eq!(entra_email(claims.as_object().unwrap()).as_deref(), expected, "{claims}");
        }
    }
}
