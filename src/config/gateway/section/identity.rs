//! `[[identity]]`: who says who is calling.

mod oidc;

use std::{collections::BTreeMap, time::Duration};

use toml::de::DeValue;
use url::Url;

use crate::{
    config::gateway::{
        file,
        reader::{Report, Table, Value, shown},
        value,
    },
    gateway::identity::{
        DevUser, Jwks, MetadataOrigin, ProviderConfig, ProviderKind, SamlConfig, ServiceAccount,
        ServiceProof, Signed,
    },
};

#[derive(Clone, Copy)]
enum Kind {
    Oidc,
    Workload,
    Service,
    Dev,
    Saml,
}

const KINDS: [(&str, Kind); 5] = [
    ("oidc", Kind::Oidc),
    ("workload", Kind::Workload),
    ("service", Kind::Service),
    ("dev", Kind::Dev),
    ("saml", Kind::Saml),
];

/// Reads every `[[identity]]`.
pub(in crate::config::gateway) fn read(
    root: &mut Table<'_>,
    public_url: Option<&Url>,
    report: &mut Report,
) -> Vec<ProviderConfig> {
    let mut names = BTreeMap::new();
    let mut providers = Vec::new();
    for mut table in root.sections("identity", report) {
        let expected = "\"oidc\", \"saml\", \"workload\", \"service\" or \"dev\"";
        let kind = table.need("kind", expected, report, |value, report| {
            Some((value.one_of(&KINDS, report)?, value.span().clone()))
        });
        // Without a kind nothing else in it can be judged.
        let Some((kind, span)) = kind else { continue };
        let name = name(&mut table, kind, &span, &mut names, report);
        let kind = match kind {
            Kind::Oidc => oidc::read(&mut table, report),
            Kind::Workload => workload(&mut table, report),
            Kind::Service => service(&mut table, report),
            Kind::Dev => dev(&mut table, &span, public_url, report),
            Kind::Saml => saml(&mut table, report),
        };
        table.finish(report);
        if let (Some(name), Some(kind)) = (name, kind) {
            providers.push(ProviderConfig { name, kind });
        }
    }
    providers
}

/// The provider's name, its kind when none is given, and unique.
fn name(
    table: &mut Table<'_>,
    kind: Kind,
    span: &std::ops::Range<usize>,
    names: &mut BTreeMap<String, usize>,
    report: &mut Report,
) -> Option<String> {
    let (name, span) = match table.take("name") {
        Some(value) => (value::name(&value, report)?, value.span().clone()),
        None => {
            let kind = match kind {
                Kind::Oidc => "oidc",
                Kind::Workload => "workload",
                Kind::Service => "service",
                Kind::Dev => "dev",
                Kind::Saml => "saml",
            };
            (kind.to_owned(), span.clone())
        }
    };
    if let Some(first) = names.get(&name) {
        let message = format!("there is already an [[identity]] `{name}` at line {first}");
        report.mistake(
            &span,
            message,
            Some("give each a `name` of its own: sessions are recorded by it".into()),
        );
    } else {
        names.insert(name.clone(), report.line(span.start));
    }
    Some(name)
}

fn saml(table: &mut Table<'_>, report: &mut Report) -> Option<ProviderKind> {
    const REQUIRED: [(&str, Signed); 3] =
        [("assertion", Signed::Assertion), ("response", Signed::Response), ("either", Signed::Either)];
    let metadata =
        table.need("metadata", "\"idp-metadata.xml\", or its https URL", report, |value, report| {
            if value.string(report)?.contains("://") {
                value::secure_url(value, report).map(MetadataOrigin::Url)
            } else {
                file::existing(value, report).map(MetadataOrigin::File)
            }
        });
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let metadata_certificate = table.read("metadata_certificate", report, file::certificates);
    let ca = table.read("ca", report, file::certificates);
    let entity_id = table.read("entity_id", report, value::text);
    let mut attribute = |key, report: &mut Report| table.read(key, report, value::text);
    let groups_attribute = attribute("groups_attribute", report);
    let email_attribute = attribute("email_attribute", report);
    let name_attribute = attribute("name_attribute", report);
    let subject = attribute("subject", report);
    let sign_requests = table.read("sign_requests", report, |value, report| value.truth(report));
    let require_signed =
        table.read("require_signed", report, |value, report| value.one_of(&REQUIRED, report));
    let clock_skew = table.read("clock_skew", report, |value, report| {
        value::duration(value, Duration::ZERO..=minutes(5), report)
    });
    let session = table.read("session", report, |value, report| {
        value::duration(value, minutes(5)..=minutes(30 * 24 * 60), report)
    });
    Some(ProviderKind::Saml(Box::new(SamlConfig {
        metadata: metadata?,
        metadata_certificate,
        ca,
        entity_id,
        groups_attribute: groups_attribute.unwrap_or_else(|| "groups".to_owned()),
        email_attribute: email_attribute.unwrap_or_else(|| "email".to_owned()),
        name_attribute: name_attribute.unwrap_or_else(|| "displayName".to_owned()),
        subject,
        sign_requests,
        require_signed: require_signed.unwrap_or(Signed::Either),
        clock_skew: clock_skew.unwrap_or(minutes(3)),
        session,
    })))
}

fn workload(table: &mut Table<'_>, report: &mut Report) -> Option<ProviderKind> {
    let issuer = table.take("issuer");
    if issuer.is_none() {
        let message = format!("{} has no `issuer`", table.name());
        let remedy = "add issuer = \"https://…\", exactly as the tokens say `iss`".to_owned();
        report.mistake(&table.span().clone(), message, Some(remedy));
    }
    let audience = table.need("audience", "\"…\", which tokens must have as `aud`", report, value::text);
    let jwks = table.take("jwks");
    let known = jwks.is_some();
    let jwks = jwks.map(|value| keys(&value, report));
    let subject_claim = table.read("subject_claim", report, value::text);
    let groups_claim = table.read("groups_claim", report, value::text);
    let ca = table.read("ca", report, file::certificates);
    // Some issuers are no URL; then the keys cannot be discovered and must be named.
    let issuer = issuer.and_then(|value| {
        if known {
            value::text(&value, report)
        } else {
            value::secure_url(&value, report).and(value::text(&value, report))
        }
    });
    Some(ProviderKind::Workload {
        issuer: issuer?,
        audience: audience?,
        jwks: match jwks {
            Some(keys) => Some(keys?),
            None => None,
        },
        subject_claim: subject_claim.unwrap_or_else(|| "sub".to_owned()),
        groups_claim,
        ca,
    })
}

fn keys(value: &Value<'_>, report: &mut Report) -> Option<Jwks> {
    if value.string(report)?.contains("://") {
        value::secure_url(value, report).map(Jwks::Url)
    } else {
        file::existing(value, report).map(Jwks::File)
    }
}

fn service(table: &mut Table<'_>, report: &mut Report) -> Option<ProviderKind> {
    const REMEDY: &str = "[{ name = \"nightly\", groups = [\"ml\"], secret = { env = \"NIGHTLY_SECRET\" } }]";
    let accounts = table.need("accounts", REMEDY, report, |value, report| {
        let items = value.list(report);
        if matches!(value.raw(), DeValue::Array(_)) && items.is_empty() {
            value.wrong("an empty list", &format!("add accounts = {REMEDY}"), report);
        }
        let accounts: Vec<ServiceAccount> = items.iter().filter_map(|item| account(item, report)).collect();
        let mut seen = Vec::new();
        for account in &accounts {
            if seen.contains(&&account.name) {
                let what = format!("a list with two accounts `{}`", shown(&account.name));
                value.wrong(&what, "name each account once", report);
            }
            seen.push(&account.name);
        }
        Some(accounts)
    })?;
    Some(ProviderKind::Service { accounts })
}

fn account(value: &Value<'_>, report: &mut Report) -> Option<ServiceAccount> {
    let mut table = value.table(report)?;
    let name = table.need("name", "\"nightly\"", report, value::name);
    let groups = table.read("groups", report, value::texts).unwrap_or_default();
    let secret = table.take("secret");
    let key = table.take("public_key");
    let one = secret.is_some() != key.is_some();
    if !one {
        let message = "an account needs exactly one of `secret` and `public_key`".to_owned();
        let remedy = "add secret = { env = \"NAME\" } with 32 characters or more (openssl rand -hex 32), or public_key = \"FILE.pem\"".to_owned();
        report.mistake(&table.span().clone(), message, Some(remedy));
    }
    let secret = secret.and_then(|value| value::secret(&value, report)).map(ServiceProof::Secret);
    let key = key.and_then(|value| file::existing(&value, report)).map(ServiceProof::PublicKey);
    table.finish(report);
    Some(ServiceAccount { name: name?, groups, proof: if one { secret.or(key)? } else { return None } })
}

fn dev(
    table: &mut Table<'_>,
    span: &std::ops::Range<usize>,
    public_url: Option<&Url>,
    report: &mut Report,
) -> Option<ProviderKind> {
    if public_url.is_some_and(|url| !value::is_loopback(url)) {
        let message = "the dev provider asks for no password, so `public_url` must be loopback".to_owned();
        let remedy = "write public_url = \"https://localhost:8443\", or use kind = \"oidc\"".to_owned();
        report.mistake(span, message, Some(remedy));
    }
    let users = table.need(
        "users",
        "[{ name = \"alice\", groups = [\"ml-engineers\"] }]",
        report,
        |value, report| {
            let items = value.list(report);
            if matches!(value.raw(), DeValue::Array(_)) && items.is_empty() {
                value.wrong(
                    "an empty list",
                    "add users = [{ name = \"alice\", groups = [\"ml-engineers\"] }]",
                    report,
                );
            }
            let users: Vec<DevUser> = items.iter().filter_map(|item| user(item, report)).collect();
            let mut seen = Vec::new();
            for user in &users {
                if seen.contains(&&user.name) {
                    let what = format!("a list with two users `{}`", shown(&user.name));
                    value.wrong(&what, "name each user once", report);
                }
                seen.push(&user.name);
            }
            Some(users)
        },
    )?;
    Some(ProviderKind::Dev { users })
}

fn user(value: &Value<'_>, report: &mut Report) -> Option<DevUser> {
    let mut table = value.table(report)?;
    let name = table.need("name", "\"alice\"", report, value::text);
    let groups = table.read("groups", report, value::texts).unwrap_or_default();
    table.finish(report);
    Some(DevUser { name: name?, groups })
}
