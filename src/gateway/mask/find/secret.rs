//! Secrets that their issuers mark: by a prefix, by armour, by their structure.

use std::sync::LazyLock;

use super::{
    super::{
        entity::Entity,
        input::{Input, class},
        labels::Label,
    },
    Body, Found, Site, What,
};

/// A prefix, how many characters follow at least, and what they are.
struct Prefix {
    text: &'static str,
    least: usize,
    body: Body,
    entity: Entity,
}

const fn url(text: &'static str, least: usize, entity: Entity) -> Prefix {
    Prefix { text, least, body: Body::Url, entity }
}

const fn dotted(text: &'static str, least: usize, entity: Entity) -> Prefix {
    Prefix { text, least, body: Body::Dotted, entity }
}

const fn base64(text: &'static str, least: usize, entity: Entity) -> Prefix {
    Prefix { text, least, body: Body::Base64, entity }
}

/// By issuer, the longer prefix before the shorter.
const PREFIXES: &[Prefix] = &[
    url("sk-ant-", 24, Entity::AnthropicKey),
    url("sk-proj-", 24, Entity::OpenAiKey),
    url("sk-svcacct-", 24, Entity::OpenAiKey),
    url("sk-admin-", 24, Entity::OpenAiKey),
    url("sk-or-", 24, Entity::ApiKey),
    url("sk-lf-", 24, Entity::ApiKey),
    url("sk-", 20, Entity::OpenAiKey),
    url("sess-", 32, Entity::OpenAiKey),
    url("sk_live_", 16, Entity::StripeKey),
    url("sk_test_", 16, Entity::StripeKey),
    url("rk_live_", 16, Entity::StripeKey),
    url("rk_test_", 16, Entity::StripeKey),
    url("sk_org_", 16, Entity::StripeKey),
    url("whsec_", 24, Entity::StripeKey),
    url("ghp_", 30, Entity::GitHubToken),
    url("gho_", 30, Entity::GitHubToken),
    url("ghu_", 30, Entity::GitHubToken),
    url("ghs_", 30, Entity::GitHubToken),
    url("ghr_", 30, Entity::GitHubToken),
    url("github_pat_", 30, Entity::GitHubToken),
    dotted("glpat-", 16, Entity::GitLabToken),
    url("gldt-", 16, Entity::GitLabToken),
    url("glrt-", 16, Entity::GitLabToken),
    url("glptt-", 16, Entity::GitLabToken),
    url("glft-", 16, Entity::GitLabToken),
    url("glsoat-", 16, Entity::GitLabToken),
    url("glcbt-", 16, Entity::GitLabToken),
    url("glimt-", 16, Entity::GitLabToken),
    url("glagent-", 16, Entity::GitLabToken),
    url("gloas-", 16, Entity::GitLabToken),
    url("glffct-", 16, Entity::GitLabToken),
    url("GR1348941", 16, Entity::GitLabToken),
    url("xoxb-", 16, Entity::SlackToken),
    url("xoxp-", 16, Entity::SlackToken),
    url("xoxa-", 16, Entity::SlackToken),
    url("xoxr-", 16, Entity::SlackToken),
    url("xoxs-", 16, Entity::SlackToken),
    url("xoxo-", 16, Entity::SlackToken),
    dotted("xoxe.", 16, Entity::SlackToken),
    url("xoxe-", 16, Entity::SlackToken),
    url("xoxc-", 16, Entity::SlackToken),
    url("xoxd-", 16, Entity::SlackToken),
    url("xapp-", 16, Entity::SlackToken),
    url("xwfp-", 16, Entity::SlackToken),
    dotted("SG.", 40, Entity::SendGridKey),
    url("npm_", 30, Entity::NpmToken),
    url("hf_", 28, Entity::HfToken),
    url("api_org_", 28, Entity::HfToken),
    url("AIza", 32, Entity::GoogleApiKey),
    dotted("ya29.", 20, Entity::GcpSecret),
    url("GOCSPX-", 20, Entity::GcpSecret),
    dotted("1//0", 30, Entity::GcpSecret),
    url("pypi-", 40, Entity::ApiKey),
    url("dop_v1_", 40, Entity::ApiKey),
    url("doo_v1_", 40, Entity::ApiKey),
    url("dor_v1_", 40, Entity::ApiKey),
    url("shpat_", 24, Entity::ApiKey),
    url("shpca_", 24, Entity::ApiKey),
    url("shppa_", 24, Entity::ApiKey),
    url("shpss_", 24, Entity::ApiKey),
    url("sq0atp-", 20, Entity::ApiKey),
    url("sq0csp-", 30, Entity::ApiKey),
    url("EAAA", 56, Entity::ApiKey),
    url("key-", 32, Entity::ApiKey),
    url("dapi", 32, Entity::ApiKey),
    dotted("hvs.", 20, Entity::ApiKey),
    dotted("hvb.", 20, Entity::ApiKey),
    base64("ATATT3", 40, Entity::ApiKey),
    base64("ATCTT3", 40, Entity::ApiKey),
    url("lin_api_", 30, Entity::ApiKey),
    url("ntn_", 30, Entity::ApiKey),
    url("figd_", 30, Entity::ApiKey),
    url("sbp_", 30, Entity::ApiKey),
    url("sb_secret_", 16, Entity::ApiKey),
    url("glsa_", 30, Entity::ApiKey),
    base64("glc_", 30, Entity::ApiKey),
    url("NRAK-", 24, Entity::ApiKey),
    dotted("dp.pt.", 30, Entity::ApiKey),
    dotted("dp.st.", 30, Entity::ApiKey),
    url("AGE-SECRET-KEY-1", 40, Entity::PrivateKey),
    url("dckr_pat_", 20, Entity::ApiKey),
    url("rubygems_", 40, Entity::ApiKey),
    url("gsk_", 40, Entity::ApiKey),
    url("xai-", 40, Entity::ApiKey),
    url("r8_", 30, Entity::ApiKey),
    url("pplx-", 32, Entity::ApiKey),
    url("fw_", 20, Entity::ApiKey),
    url("lsv2_", 30, Entity::ApiKey),
    url("nfp_", 30, Entity::ApiKey),
    url("HRKU-", 30, Entity::ApiKey),
    url("PMAK-", 40, Entity::ApiKey),
    base64("sntrys_", 30, Entity::ApiKey),
    url("sntryu_", 30, Entity::ApiKey),
    url("tskey-", 20, Entity::ApiKey),
    base64("ops_ey", 60, Entity::ApiKey),
    url("xkeysib-", 40, Entity::ApiKey),
    dotted("sk.eyJ", 40, Entity::ApiKey),
    url("tvly-", 20, Entity::ApiKey),
    url("co_", 40, Entity::ApiKey),
    url("phc_", 30, Entity::ApiKey),
    url("phx_", 30, Entity::ApiKey),
    url("rpa_", 30, Entity::ApiKey),
    url("nvapi-", 30, Entity::ApiKey),
    url("pat_", 30, Entity::ApiKey),
    base64("ABSK", 80, Entity::ApiKey),
    url("pul-", 40, Entity::ApiKey),
    url("secret_", 40, Entity::ApiKey),
    url("re_", 30, Entity::ApiKey),
    url("vercel_", 24, Entity::ApiKey),
    url("CFPAT-", 40, Entity::ApiKey),
    url("cfut_", 30, Entity::ApiKey),
    url("fo1_", 30, Entity::ApiKey),
    base64("FlyV1", 40, Entity::ApiKey),
    url("SK", 32, Entity::ApiKey),
];

/// The prefixes by their first letter.
static BY_FIRST: LazyLock<Vec<Vec<&Prefix>>> = LazyLock::new(|| {
    (0..=u8::MAX)
        .map(|b| PREFIXES.iter().filter(|p| p.text.as_bytes().first() == Some(&b)).collect())
        .collect()
});

/// What is known by its first letters.
pub(super) fn prefixed(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let first = input.byte(at);
    if first == b'e' && input.starts(at, b"eyJ") {
        return jwt(site);
    }
    if first == b'h' && input.starts(at, b"https://") {
        return webhook(site);
    }
    if first == b'A'
        && let Some(found) = aws_id(site).or_else(|| azure_connection(site))
    {
        return Some(found);
    }
    if first == b'd' && input.starts(at, b"data:") {
        return picture(site);
    }
    BY_FIRST
        .get(usize::from(first))?
        .iter()
        .find(|p| input.starts(at, p.text.as_bytes()) && random(input, at + p.text.len(), p))
        .map(|p| Found::open(at, at + p.text.len() + p.least, p.entity, p.body))
        .or_else(|| azure_secret(site))
}

/// Whether what follows a prefix looks drawn, not written: `sk-learn`, `your-key-here` and `xxxx` do not.
fn random(input: &Input<'_>, from: usize, prefix: &Prefix) -> bool {
    let dots = prefix.body == Body::Dotted;
    let base64 = prefix.body == Body::Base64;
    let end = input.run(from, prefix.least, |b| {
        class::of(b) & class::ALNUM != 0
            || matches!(b, b'_' | b'-')
            || (dots && b == b'.')
            || (base64 && matches!(b, b'+' | b'/' | b'='))
    });
    end - from == prefix.least
        && drawn(input.slice(from, end))
        && (prefix.text != "SK"
            || (input.slice(from, end).iter().all(u8::is_ascii_hexdigit) && input.closes(end)))
}

/// Two of upper case, lower case and digits, and not one character again and again.
pub(super) fn drawn(text: &[u8]) -> bool {
    let classes = [
        text.iter().any(u8::is_ascii_uppercase),
        text.iter().any(u8::is_ascii_lowercase),
        text.iter().any(u8::is_ascii_digit),
    ];
    let mut seen = [false; 256];
    for b in text {
        if let Some(s) = seen.get_mut(usize::from(*b)) {
            *s = true;
        }
    }
    let distinct = seen.iter().filter(|s| **s).count();
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    (classes.iter().filter(|c| **c).count() > 1 && distinct > 6) || (digits >= 8 && distinct > 4)
}

/// A JSON Web Token: a header that begins `{"`, a dot, and something more.
fn jwt(site: &Site<'_>) -> Option<Found> {
    /// No header is longer.
    const HEADER: usize = 2048;
    let (input, at) = (site.input, site.at);
    let end = input.run(at, HEADER, |b| class::of(b) & class::ALNUM != 0 || matches!(b, b'_' | b'-'));
    if end - at == HEADER {
        return Some(Found::open(at, end, Entity::Jwt, Body::Dotted));
    }
    if end - at < 12 || input.byte(end) != b'.' {
        return None;
    }
    let more = input.run(end + 1, 4, |b| class::of(b) & class::ALNUM != 0 || matches!(b, b'_' | b'-' | b'.'));
    (more - end == 5).then(|| Found::open(at, more, Entity::Jwt, Body::Dotted))
}

/// `https://hooks.slack.com/services/T…` and its kin: who has the address may write.
fn webhook(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let hooks: [(&[u8], Entity); 6] = [
        (b"hooks.slack.com/services/", Entity::SlackToken),
        (b"hooks.slack.com/workflows/", Entity::SlackToken),
        (b"hooks.slack.com/triggers/", Entity::SlackToken),
        (b"discord.com/api/webhooks/", Entity::ApiKey),
        (b"discordapp.com/api/webhooks/", Entity::ApiKey),
        (b"hooks.zapier.com/hooks/catch/", Entity::ApiKey),
    ];
    let (host, entity) = hooks.into_iter().find(|(host, _)| input.starts(at + 8, host))?;
    let end = at + 8 + host.len();
    (input.byte(end).is_ascii_alphanumeric()).then(|| Found::open(at, end + 1, entity, Body::Base64))
}

/// AWS unique ids of keys: four letters, sixteen of base 32.
fn aws_id(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    [&b"AKIA"[..], b"ASIA", b"ABIA", b"ACCA"].into_iter().find(|p| input.starts(at, p))?;
    let end = input.run(at + 4, 17, |b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let good = end - at == 20 && input.closes(end) && drawn_upper(input.slice(at + 4, end));
    good.then(|| Found::mask(at, end, Entity::AwsAccessKey))
}

fn drawn_upper(text: &[u8]) -> bool {
    let first = text.first();
    text.iter().any(|b| Some(b) != first)
}

/// `AccountKey=`, `SharedAccessKey=`: inside an Azure connection string.
fn azure_connection(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let from = at + b"AccountKey=".len();
    if !input.starts(at, b"AccountKey=") {
        return None;
    }
    let end = input.run(from, 20, |b| class::of(b) & class::ALNUM != 0 || matches!(b, b'+' | b'/'));
    (end - from == 20).then(|| Found::open(from, end, Entity::AzureSecret, Body::Base64))
}

/// `SharedAccessKey=`, and the secret of an Entra application: three characters, a digit, `Q~`, 31 to 34 more.
fn azure_secret(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    if input.starts(at, b"SharedAccessKey=") {
        let from = at + b"SharedAccessKey=".len();
        let end = input.run(from, 20, |b| class::of(b) & class::ALNUM != 0 || matches!(b, b'+' | b'/'));
        return (end - from == 20).then(|| Found::open(from, end, Entity::AzureSecret, Body::Base64));
    }
    entra(input, at)
}

pub(super) fn entra(input: &Input<'_>, at: usize) -> Option<Found> {
    let marked = input
        .run(at, 4, |b| class::of(b) & class::ALNUM != 0 || matches!(b, b'_' | b'~' | b'.' | b'-'))
        == at + 4
        && input.starts(at + 4, b"Q~");
    if !marked {
        return None;
    }
    let end =
        input.run(at + 6, 40, |b| class::of(b) & class::ALNUM != 0 || matches!(b, b'_' | b'~' | b'.' | b'-'));
    ((31..=36).contains(&(end - at - 6))).then(|| Found::mask(at, end, Entity::AzureSecret))
}

/// A picture or font in base 64: nothing to mask, and long.
fn picture(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let kind = input.run(at + 5, 64, |b| {
        class::of(b) & class::ALNUM != 0 || matches!(b, b'/' | b'-' | b'+' | b'.' | b';' | b'=')
    });
    let media = [&b"image/"[..], b"font/", b"audio/", b"video/", b"application/"];
    let known = media.iter().any(|m| input.slice(at + 5, kind).starts_with(m));
    let from = kind.checked_sub(b";base64".len())?;
    (known && input.slice(from, kind) == b";base64" && input.byte(kind) == b',').then_some(Found {
        start: at,
        end: kind + 1,
        what: What::Nothing,
        goes_on: Some(Body::Base64),
    })
}

/// `123456789:AA…`: the token of a Telegram bot.
pub(super) fn telegram(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let colon = input.run(at, 11, |b| b.is_ascii_digit());
    if !(8..=10).contains(&(colon - at)) || input.byte(colon) != b':' || input.byte(colon + 1) != b'A' {
        return None;
    }
    let end = input.run(colon + 1, 36, |b| class::of(b) & class::ALNUM != 0 || matches!(b, b'_' | b'-'));
    (end - colon - 1 == 35 && input.closes(end)).then(|| Found::mask(at, end, Entity::ApiKey))
}

/// The armour of a private key: RFC 7468, RFC 4880, PuTTY's and OpenSSH's own.
pub(super) fn pem(site: &Site<'_>) -> Option<Found> {
    let (input, at) = (site.input, site.at);
    let from = at + b"-----BEGIN ".len();
    let end = input.run(from, 64, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
    let name = input.slice(from, end);
    let private = name.ends_with(b"PRIVATE KEY")
        || name == b"PGP PRIVATE KEY BLOCK"
        || name.ends_with(b"PRIVATE KEY BLOCK");
    let labelled = site.labels().has(Label::Password) && name.is_empty();
    ((private || labelled) && input.starts(end, b"-----"))
        .then(|| Found::open(at, end + 5, Entity::PrivateKey, Body::Pem))
}
