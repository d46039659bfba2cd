//! `kind = "oidc"`: people, by the company's provider, as its vendor's preset has it unless a key says otherwise.

use toml::de::DeValue;
use url::Url;

use crate::{
    config::gateway::{
        file,
        reader::{Report, Table, Value, shown},
        value,
    },
    gateway::identity::{Directory, DirectoryApi, Preset, ProviderKind},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Generic,
    Okta,
    Entra,
    Google,
    Keycloak,
    Auth0,
}

const VENDORS: [(&str, Vendor); 6] = [
    ("generic", Vendor::Generic),
    ("okta", Vendor::Okta),
    ("entra", Vendor::Entra),
    ("google", Vendor::Google),
    ("keycloak", Vendor::Keycloak),
    ("auth0", Vendor::Auth0),
];

const APIS: [(&str, DirectoryApi); 2] =
    [("cloud-identity", DirectoryApi::CloudIdentity), ("directory", DirectoryApi::AdminSdk)];

/// Reads the keys of one.
pub(super) fn read(table: &mut Table<'_>, report: &mut Report) -> Option<ProviderKind> {
    // A preset that was mistyped is a mistake already: the rest is judged as if it were none.
    let vendor = table.take("preset").map(|value| value.one_of(&VENDORS, report));
    let known = !matches!(vendor, Some(None));
    let vendor = vendor.flatten().unwrap_or(Vendor::Generic);
    let issuer = issuer(table, vendor, report);
    let client_id = table.need("client_id", "\"…\"", report, value::text);
    let client_secret = table.read("client_secret", report, value::secret);
    // Nothing said: the identity room asks for what people need, as far as the provider offers it.
    let scopes = table.take("scopes").map_or_else(|| Some(Vec::new()), |value| scopes(&value, report));
    let groups_claim = table.read("groups_claim", report, value::text);
    let ca = table.read("ca", report, file::certificates);
    let preset = preset(table, vendor, known, report);
    let (issuer, preset) = (issuer?, preset?);
    let (span, issuer) = issuer;
    if let Some((what, remedy)) = preset.unusable(&issuer) {
        report.mistake(&span, format!("`issuer` is {what}"), Some(remedy.to_owned()));
        return None;
    }
    Some(ProviderKind::Oidc {
        issuer,
        client_id: client_id?,
        client_secret,
        scopes: scopes?,
        groups_claim: groups_claim.unwrap_or_else(|| "groups".to_owned()),
        ca,
        preset,
    })
}

/// Its issuer and place; Google has one for everybody.
fn issuer(
    table: &mut Table<'_>,
    vendor: Vendor,
    report: &mut Report,
) -> Option<(std::ops::Range<usize>, Url)> {
    if vendor == Vendor::Google && !table.has(&["issuer"]) {
        let span = table.span().clone();
        // Known from now on, so that a misspelled one is recognised.
        table.take("issuer");
        return Url::parse("https://accounts.google.com").ok().map(|url| (span, url));
    }
    table.need("issuer", "\"https://login.example.com\"", report, |value, report| {
        value::secure_url(value, report).map(|url| (value.span().clone(), url))
    })
}

fn preset(table: &mut Table<'_>, vendor: Vendor, known: bool, report: &mut Report) -> Option<Preset> {
    let preset = match vendor {
        Vendor::Generic => Some(Preset::Generic),
        Vendor::Okta => Some(Preset::Okta),
        Vendor::Keycloak => Some(Preset::Keycloak),
        Vendor::Auth0 => Some(Preset::Auth0),
        Vendor::Entra => entra(table, report),
        Vendor::Google => google(table, report),
    };
    let others: [(&'static str, Vendor); 6] = [
        ("graph", Vendor::Entra),
        ("hosted_domain", Vendor::Google),
        ("service_account", Vendor::Google),
        ("admin_email", Vendor::Google),
        ("groups_api", Vendor::Google),
        ("groups_url", Vendor::Google),
    ];
    for (key, of) in others.into_iter().filter(|(_, of)| *of != vendor) {
        if !table.has(&[key]) {
            continue;
        }
        // Without a preset that is understood, nobody knows whose key it is.
        if let Some(value) = table.take(key)
            && known
        {
            let name = VENDORS.iter().find(|(_, vendor)| *vendor == of).map_or("", |(name, _)| *name);
            let message = format!("`{key}` belongs to preset = \"{name}\"");
            value.mistake(&message, &format!("write preset = \"{name}\", or remove it"), report);
        }
    }
    preset
}

fn entra(table: &mut Table<'_>, report: &mut Report) -> Option<Preset> {
    let graph = match table.take("graph") {
        Some(value) => value::secure_url(&value, report)?,
        None => Url::parse("https://graph.microsoft.com").ok()?,
    };
    Some(Preset::Entra { graph })
}

fn google(table: &mut Table<'_>, report: &mut Report) -> Option<Preset> {
    let hosted_domains = table.need(
        "hosted_domain",
        "\"example.com\": without it everybody who has a Google account could log in",
        report,
        domains,
    );
    let account = table.take("service_account");
    let asked = account.is_some();
    let service_account = account.and_then(|value| value::secret(&value, report));
    let admin_email = table.take("admin_email");
    let api = table.take("groups_api");
    let url = table.take("groups_url");
    if !asked {
        for value in [&admin_email, &api, &url].into_iter().flatten() {
            let remedy = "add service_account = { file = \"PATH\" }, the JSON key of a service account";
            value.mistake("groups are asked for with `service_account` alone", remedy, report);
        }
        return Some(Preset::Google { hosted_domains: hosted_domains?, directory: None });
    }
    let admin = admin_email.map(|value| value::text(&value, report));
    let api = match api {
        Some(value) => value.one_of(&APIS, report)?,
        None => DirectoryApi::CloudIdentity,
    };
    if api == DirectoryApi::AdminSdk && admin.is_none() {
        let message = "groups_api = \"directory\" needs `admin_email`".to_owned();
        let remedy = "add admin_email = \"admin@example.com\", an administrator the service account acts for";
        report.mistake(&table.span().clone(), message, Some(remedy.to_owned()));
        return None;
    }
    let url = match url {
        Some(value) => value::secure_url(&value, report)?,
        None => Url::parse(match api {
            DirectoryApi::CloudIdentity => "https://cloudidentity.googleapis.com",
            DirectoryApi::AdminSdk => "https://admin.googleapis.com",
        })
        .ok()?,
    };
    let admin_email = match admin {
        Some(admin) => Some(admin?),
        None => None,
    };
    let directory = Directory { service_account: service_account?, admin_email, api, url };
    Some(Preset::Google { hosted_domains: hosted_domains?, directory: Some(directory) })
}

/// One domain or a list of them.
fn domains(value: &Value<'_>, report: &mut Report) -> Option<Vec<String>> {
    if !matches!(value.raw(), DeValue::Array(_)) {
        return value::text(value, report).map(|one| vec![one]);
    }
    let domains = value::texts(value, report)?;
    if domains.is_empty() {
        value.wrong("an empty list", "write hosted_domain = \"example.com\"", report);
        return None;
    }
    Some(domains)
}

fn scopes(value: &Value<'_>, report: &mut Report) -> Option<Vec<String>> {
    let scopes = value::texts(value, report)?;
    if !scopes.iter().any(|scope| scope == "openid") {
        value.wrong("without `openid`, which makes it OpenID Connect", "add \"openid\"", report);
        return None;
    }
    if let Some(wrong) = scopes.iter().find(|scope| scope.contains(char::is_whitespace)) {
        let what = format!("a list with \"{}\", which is not one scope", shown(wrong));
        value.wrong(&what, "write each scope as a string of its own", report);
        return None;
    }
    Some(scopes)
}
