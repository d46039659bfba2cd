//! `credential` of a `[[model]]`: what the gateway shows to the model's server.

use url::Url;

use crate::{
    config::gateway::{
        file,
        reader::{Report, Table, Value, shown},
        value,
    },
    gateway::upstream::{
        Aws, AwsKeys, AwsPayload, Azure, AzureIdentity, Credential, Gcp, GcpIdentity, Oauth2,
    },
};

/// The longest name, id or scope, in characters.
const MAX_TEXT: usize = 512;

/// The kinds of which one is written.
const KINDS: [&str; 5] = ["header", "oauth2", "aws", "gcp", "azure"];
const KINDS_REMEDY: &str = "write header and value, or oauth2, aws, gcp or azure: see docs/credentials.md";

/// Google's scope for everything that the account may do.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Azure OpenAI and its neighbours.
const COGNITIVE_SERVICES: &str = "https://cognitiveservices.azure.com/.default";
/// What ends the scope of a whole resource.
const DEFAULT_SCOPE: &str = "/.default";

/// Headers that belong to the connection or the message, not to a credential.
const NOT_CREDENTIALS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
];

/// Reads what is joined to every request.
pub(super) fn read(value: &Value<'_>, report: &mut Report) -> Option<Credential> {
    let mut table = value::secret_table(value, report)?;
    let kinds = KINDS.iter().filter(|kind| table.has(&[kind])).count();
    if kinds > 1 {
        value.mistake("`credential` has more than one kind", KINDS_REMEDY, report);
        return None;
    }
    let credential = if table.has(&["oauth2"]) {
        table.read("oauth2", report, oauth2).map(Credential::Oauth2)
    } else if table.has(&["aws"]) {
        table.read("aws", report, aws).map(Credential::Aws)
    } else if table.has(&["gcp"]) {
        table.read("gcp", report, gcp).map(Credential::Gcp)
    } else if table.has(&["azure"]) {
        table.read("azure", report, azure).map(Credential::Azure)
    } else {
        let written = table.has(&["header", "value"]);
        if value.entries(report).is_empty() {
            value.mistake("`credential` is empty", KINDS_REMEDY, report);
        }
        // Known from here on, so that a mistyped kind is told its nearest.
        for kind in KINDS.iter().skip(1) {
            table.take(kind);
        }
        if written {
            header_and_value(&mut table, report)
        } else {
            table.take("header");
            None
        }
    };
    table.finish(report);
    credential
}

fn header_and_value(table: &mut Table<'_>, report: &mut Report) -> Option<Credential> {
    let header = table.need("header", "\"authorization\"", report, header);
    let secret = table.need("value", "{ env = \"NAME\" }", report, |value, report| {
        let mut table = value::secret_table(value, report)?;
        let source = value::source(&mut table, report);
        let prefix = table.read("prefix", report, value::prefix);
        table.finish(report);
        Some((source?, prefix.unwrap_or_default()))
    });
    let (header, (value, prefix)) = (header?, secret?);
    Some(Credential::Header { header, prefix, value })
}

fn oauth2(value: &Value<'_>, report: &mut Report) -> Option<Oauth2> {
    let mut table = value.table(report)?;
    let token_url =
        table.need("token_url", "\"https://login.example.com/oauth2/token\"", report, value::secure_url);
    let client_id = table.need("client_id", "\"hoopctl\"", report, text);
    let client_secret = table.need("client_secret", "{ env = \"NAME\" }", report, value::secret);
    let scope = table.read("scope", report, text);
    let audience = table.read("audience", report, text);
    let post =
        table.read("auth", report, |value, report| value.one_of(&[("basic", false), ("post", true)], report));
    let ca = table.read("ca", report, file::certificates);
    table.finish(report);
    Some(Oauth2 {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope,
        audience,
        post: post.unwrap_or(false),
        ca,
    })
}

fn aws(value: &Value<'_>, report: &mut Report) -> Option<Aws> {
    let mut table = value.table(report)?;
    let region = table.need("region", "\"eu-central-1\"", report, word);
    let service = table.need("service", "\"bedrock\"", report, word);
    let payload = table.read("payload", report, |value, report| {
        let kinds = [
            ("signed", AwsPayload::Signed),
            ("unsigned", AwsPayload::Unsigned),
            ("chunked", AwsPayload::Chunked),
        ];
        value.one_of(&kinds, report)
    });
    let keys = keys(&mut table, report);
    let endpoint = table.read("endpoint", report, endpoint);
    table.finish(report);
    Some(Aws {
        region: region?,
        service: service?,
        keys: keys?,
        payload: payload.unwrap_or(AwsPayload::Signed),
        endpoint,
    })
}

fn keys(table: &mut Table<'_>, report: &mut Report) -> Option<AwsKeys> {
    if table.has(&["access_key_id", "secret_access_key", "session_token"]) {
        let from = table.take("keys");
        if let Some(from) = from {
            from.mistake("`keys` and named keys exclude each other", "keep one of them", report);
        }
        let id = table.need("access_key_id", "{ env = \"AWS_ACCESS_KEY_ID\" }", report, value::secret);
        let secret =
            table.need("secret_access_key", "{ env = \"AWS_SECRET_ACCESS_KEY\" }", report, value::secret);
        let session = table.take("session_token");
        let session = match session {
            Some(value) => Some(value::secret(&value, report)?),
            None => None,
        };
        return Some(AwsKeys::Named { id: id?, secret: secret?, session });
    }
    let kinds = [
        ("chain", AwsSource::Chain),
        ("environment", AwsSource::Environment),
        ("web_identity", AwsSource::WebIdentity),
        ("container", AwsSource::Container),
        ("instance", AwsSource::Instance),
    ];
    // A mistyped name of a key of its own is told its nearest, too.
    for key in ["access_key_id", "secret_access_key", "session_token"] {
        table.take(key);
    }
    let source = match table.take("keys") {
        Some(value) => value.one_of(&kinds, report)?,
        None => AwsSource::Chain,
    };
    if source != AwsSource::WebIdentity {
        for key in ["role_arn", "web_identity_token_file"] {
            if let Some(value) = table.take(key) {
                let message = format!("`{key}` belongs to keys = \"web_identity\"");
                value.mistake(&message, "write keys = \"web_identity\", or remove it", report);
            }
        }
    }
    Some(match source {
        AwsSource::Chain => AwsKeys::Chain,
        AwsSource::Environment => AwsKeys::Environment,
        AwsSource::WebIdentity => AwsKeys::WebIdentity {
            role: table.read("role_arn", report, text),
            token_file: table.read("web_identity_token_file", report, file::existing),
        },
        AwsSource::Container => AwsKeys::Container,
        AwsSource::Instance => AwsKeys::Instance,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AwsSource {
    Chain,
    Environment,
    WebIdentity,
    Container,
    Instance,
}

fn gcp(value: &Value<'_>, report: &mut Report) -> Option<Gcp> {
    let mut table = value.table(report)?;
    let account = table.take("service_account");
    let metadata = table.read("metadata", report, |value, report| value.truth(report)).unwrap_or(false);
    let identity = match (account, metadata) {
        (Some(value), false) => value::secret(&value, report).map(GcpIdentity::ServiceAccount),
        (None, true) => Some(GcpIdentity::Metadata),
        _ => {
            let remedy = "write service_account = { file = \"key.json\" } or metadata = true";
            value.mistake("`gcp` needs exactly one of `service_account` and `metadata`", remedy, report);
            None
        }
    };
    let scopes = table.read("scopes", report, |value, report| {
        let scopes: Vec<String> = value.list(report).iter().filter_map(|item| text(item, report)).collect();
        if scopes.is_empty() {
            value.wrong("no scope", "write one, or leave `scopes` out for cloud-platform", report);
            return None;
        }
        Some(scopes)
    });
    let endpoint = table.read("endpoint", report, endpoint);
    table.finish(report);
    Some(Gcp {
        identity: identity?,
        scopes: scopes.unwrap_or_else(|| vec![CLOUD_PLATFORM.to_owned()]),
        endpoint,
    })
}

fn azure(value: &Value<'_>, report: &mut Report) -> Option<Azure> {
    let mut table = value.table(report)?;
    let managed =
        table.read("managed_identity", report, |value, report| value.truth(report)).unwrap_or(false);
    let identity = if managed {
        for key in ["tenant", "client_secret"] {
            if let Some(value) = table.take(key) {
                let message = format!("`{key}` and managed_identity = true exclude each other");
                value.mistake(&message, "keep one of them", report);
            }
        }
        Some(AzureIdentity::Managed { client_id: table.read("client_id", report, text) })
    } else {
        let tenant = table.need("tenant", "\"00000000-0000-0000-0000-000000000000\"", report, word);
        let client_id = table.need("client_id", "\"00000000-0000-0000-0000-000000000000\"", report, text);
        let secret = table.need("client_secret", "{ env = \"NAME\" }", report, value::secret);
        match (tenant, client_id, secret) {
            (Some(tenant), Some(client_id), Some(client_secret)) => {
                Some(AzureIdentity::Client { tenant, client_id, client_secret })
            }
            _ => None,
        }
    };
    let scope = table.read("scope", report, |value, report| {
        let written = text(value, report)?;
        if !written.ends_with(DEFAULT_SCOPE) || written.len() == DEFAULT_SCOPE.len() {
            let remedy = format!("write the resource and {DEFAULT_SCOPE}, such as \"{COGNITIVE_SERVICES}\"");
            value.wrong(
                &format!("\"{}\", which is no scope of a whole resource", shown(&written)),
                &remedy,
                report,
            );
            return None;
        }
        Some(written)
    });
    let endpoint = table.read("endpoint", report, endpoint);
    table.finish(report);
    let scope = scope.unwrap_or_else(|| COGNITIVE_SERVICES.to_owned());
    Some(Azure { identity: identity?, scope, endpoint })
}

/// Where tokens or keys are asked for: https, or http on loopback and at the metadata services' own addresses.
fn endpoint(value: &Value<'_>, report: &mut Report) -> Option<Url> {
    let url = value::any_url(value, report)?;
    if Credential::may_come_from(&url) {
        return Some(url);
    }
    let remedy =
        "write https://…; http:// is taken to this machine itself and to the clouds' metadata addresses";
    value.wrong("plaintext", remedy, report);
    None
}

/// Text for a header or a form.
fn text(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    if written.is_empty() || written.chars().count() > MAX_TEXT || written.chars().any(char::is_control) {
        let remedy = format!("write 1 to {MAX_TEXT} characters, no control characters");
        value.wrong("empty, too long or with control characters", &remedy, report);
        return None;
    }
    Some(written.to_owned())
}

/// A name that becomes part of a path or a signature.
fn word(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = text(value, report)?;
    if written.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Some(written);
    }
    let what = format!("\"{}\", which is no such name", shown(&written));
    value.wrong(&what, "write letters, digits, `-`, `.` and `_` only", report);
    None
}

fn header(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    match http::HeaderName::from_bytes(written.as_bytes()) {
        Ok(name) if !NOT_CREDENTIALS.contains(&name.as_str()) => Some(name.as_str().to_owned()),
        _ => {
            let what = format!("\"{}\", which cannot carry a credential", shown(written));
            value.wrong(&what, "write a header such as \"authorization\" or \"x-api-key\"", report);
            None
        }
    }
}
