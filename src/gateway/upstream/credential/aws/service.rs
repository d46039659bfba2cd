//! AWS's own services that give keys: STS, the container's endpoint, the instance's metadata (IMDSv2).

use http::Request;
use serde::Deserialize;
use uppsala::{Document, NodeKind, Parser};
use url::Url;

use super::{
    super::{
        answer,
        renewed::{Fresh, Life},
    },
    AccessKeys,
    keys::Granted,
};
use crate::{
    clock,
    gateway::outbound::Outbound,
    secret::{self, ExposeSecret, SecretString},
};

/// The Instance Metadata Service.
const METADATA: &str = "http://169.254.169.254/";
/// How long a session with it lasts, seconds. Each fetch begins its own.
const SESSION: &str = "60";
const ROLES: &str = "latest/meta-data/iam/security-credentials/";
/// Elements of an STS answer.
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const MAX_DEPTH: u32 = 16;

/// Keys as the metadata services write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    /// `Success`, at the instance's.
    code: Option<String>,
    access_key_id: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    secret_access_key: Option<SecretString>,
    #[serde(default, deserialize_with = "optional")]
    token: Option<SecretString>,
    expiration: Option<String>,
}

/// STS of a region, in its partition.
pub(super) fn sts(region: &str) -> Result<Url, String> {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Url::parse(&format!("https://sts.{region}.{suffix}/")).map_err(|e| e.to_string())
}

/// `AssumeRoleWithWebIdentity`, which is not signed.
pub(super) async fn assume_role(
    outbound: &Outbound,
    url: &Url,
    role: &str,
    session: &str,
    token: &SecretString,
) -> Result<Granted, String> {
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", session),
        ("WebIdentityToken", token.expose_secret()),
    ];
    let body = answer::post(outbound, url, &form, &[("accept", "text/xml")]).await?;
    let wrong = || format!("{url} answered something else than the keys of a role");
    let text = std::str::from_utf8(&body).map_err(|_| wrong())?;
    let parser = Parser::new().with_max_depth(MAX_DEPTH).with_forbid_dtd(true).with_forbid_entities(true);
    let document = parser.parse(text).map_err(|_| wrong())?;
    let field = |name: &str| element(&document, name).ok_or_else(wrong);
    let end = clock::parse_rfc3339(&field("Expiration")?).ok_or_else(wrong)?;
    let keys = AccessKeys {
        id: field("AccessKeyId")?,
        secret: field("SecretAccessKey")?.into(),
        session: Some(field("SessionToken")?.into()),
    };
    Ok(Fresh { value: keys, life: Life::Until(end) })
}

/// The text of the only element of that name.
fn element(document: &Document<'_>, name: &str) -> Option<String> {
    let found = document.get_elements_by_tag_name_ns(STS_NAMESPACE, name);
    let [node] = found.as_slice() else { return None };
    let mut text = String::new();
    for child in document.children(*node) {
        match document.node_kind(child)? {
            NodeKind::Text(piece) => text.push_str(piece),
            _ => return None,
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The endpoint of ECS or of EKS Pod Identity.
pub(super) async fn container(
    outbound: &Outbound,
    url: &Url,
    token: Option<&SecretString>,
) -> Result<Granted, String> {
    let header = token.map(|token| ("authorization", token.expose_secret()));
    let body = answer::get(outbound, url, header.as_slice()).await?;
    keys(&body, "the container's credential endpoint")
}

/// IMDSv2: a session first, then the role's name, then its keys.
pub(super) async fn instance(outbound: &Outbound, endpoint: Option<&Url>) -> Result<Granted, String> {
    let base = match endpoint {
        Some(url) => url.clone(),
        None => Url::parse(METADATA).map_err(|e| e.to_string())?,
    };
    let join = |path: &str| base.join(path).map_err(|e| e.to_string());
    let line = |bytes: Vec<u8>| {
        let text =
            String::from_utf8(bytes).map_err(|_| "the metadata service answered no text".to_owned())?;
        let line = text.lines().next().unwrap_or_default().trim().to_owned();
        if line.is_empty() { Err("the instance has no role".to_owned()) } else { Ok(line) }
    };
    let begin = Request::put(join("latest/api/token")?.as_str());
    let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", SESSION)];
    let session = line(answer::ask(outbound, begin, &ttl, Vec::new()).await?)?;
    let header = [("x-aws-ec2-metadata-token", session.as_str())];
    let role = line(answer::get(outbound, &join(ROLES)?, &header).await?)?;
    if !role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte)) {
        return Err("the metadata service answered something else than a role's name".to_owned());
    }
    let body = answer::get(outbound, &join(ROLES)?.join(&role).map_err(|e| e.to_string())?, &header).await?;
    keys(&body, "the instance's metadata service")
}

fn keys(body: &[u8], place: &str) -> Result<Granted, String> {
    // The parser's error is left out: it may show a piece of a key.
    let document: Answered =
        serde_json::from_slice(body).map_err(|_| format!("{place} answered something else than keys"))?;
    if let Some(code) = document.code.filter(|code| code != "Success") {
        let code = if answer::is_word(&code) { code } else { "no success".to_owned() };
        return Err(format!("{place} answered {code}"));
    }
    let missing = |field: &str| format!("{place} answered keys without {field}");
    let end = document.expiration.ok_or_else(|| missing("Expiration"))?;
    let end = clock::parse_rfc3339(&end).ok_or_else(|| missing("a readable Expiration"))?;
    let keys = AccessKeys {
        id: document.access_key_id.ok_or_else(|| missing("AccessKeyId"))?,
        secret: document.secret_access_key.ok_or_else(|| missing("SecretAccessKey"))?,
        session: document.token,
    };
    Ok(Fresh { value: keys, life: Life::Until(end) })
}

fn optional<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    secret::deserialize(deserializer).map(Some)
}
