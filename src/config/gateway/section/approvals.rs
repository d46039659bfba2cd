//! `[approvals]`: how long a request for approval waits, and who is told.

use std::time::Duration;

use crate::{
    config::gateway::{
        reader::{Report, Table, Value},
        value,
    },
    gateway::approval::{
        DEFAULT_LAPSE,
        notify::{NotifyConfig, SlackConfig, WebhookConfig},
    },
};

/// Slack's Web API.
const SLACK: &str = "https://slack.com/api";
/// Webhooks of one gateway.
const MAX_WEBHOOKS: usize = 16;

/// What `[approvals]` says.
pub(in crate::config::gateway) struct Section {
    /// How long a request waits for its yeses.
    pub(in crate::config::gateway) lapse: Duration,
    pub(in crate::config::gateway) notify: NotifyConfig,
}

/// Reads `[approvals]`.
pub(in crate::config::gateway) fn read(root: &mut Table<'_>, report: &mut Report) -> Section {
    let mut table = root.section("approvals", report);
    let lapse = table.read("lapse", report, |value, report| {
        value::duration(value, Duration::from_mins(1)..=Duration::from_hours(24 * 7), report)
    });
    let webhooks = table.take("webhooks").map(|value| webhooks(&value, report)).unwrap_or_default();
    let slack = table.read("slack", report, slack);
    table.finish(report);
    Section { lapse: lapse.unwrap_or(DEFAULT_LAPSE), notify: NotifyConfig { webhooks, slack } }
}

fn webhooks(value: &Value<'_>, report: &mut Report) -> Vec<WebhookConfig> {
    let items = value.list(report);
    if items.len() > MAX_WEBHOOKS {
        value.wrong("a long list", &format!("name at most {MAX_WEBHOOKS} webhooks"), report);
    }
    let mut webhooks: Vec<WebhookConfig> = Vec::new();
    for item in &items {
        let Some(webhook) = webhook(item, report) else { continue };
        if webhooks.iter().any(|other| other.url == webhook.url) {
            item.mistake("two webhooks have this url", "name each once; `secrets` can hold several", report);
        }
        webhooks.push(webhook);
    }
    webhooks
}

fn webhook(value: &Value<'_>, report: &mut Report) -> Option<WebhookConfig> {
    let mut table = value.table(report)?;
    let url = table.need("url", "\"https://example.com/hooks/approvals\"", report, value::secure_url);
    let one = table.take("secret");
    let several = table.take("secrets");
    let secrets = match (one, several) {
        (Some(one), None) => value::secret(&one, report).map(|secret| vec![secret]),
        (None, Some(several)) => secrets(&several, report),
        _ => {
            let message = format!("{} needs either `secret` or `secrets`", table.name());
            report.mistake(&table.span().clone(), message, Some(value::SECRET_REMEDY.to_owned()));
            None
        }
    };
    table.finish(report);
    Some(WebhookConfig { url: url?, secrets: secrets? })
}

fn secrets(value: &Value<'_>, report: &mut Report) -> Option<Vec<crate::secret::Source>> {
    let items = value.list(report);
    if items.is_empty() || items.len() > 4 {
        value.wrong("not a list of 1 to 4 secrets", value::SECRET_REMEDY, report);
        return None;
    }
    items.iter().map(|item| value::secret(item, report)).collect()
}

fn slack(value: &Value<'_>, report: &mut Report) -> Option<SlackConfig> {
    let mut table = value.table(report)?;
    let token = table.need("token", "{ env = \"SLACK_BOT_TOKEN\" }", report, value::secret);
    let signing_secret =
        table.need("signing_secret", "{ env = \"SLACK_SIGNING_SECRET\" }", report, value::secret);
    let channel = table.need("channel", "\"C0123456789\"", report, id);
    let team = table.take("team").map(|value| id(&value, report));
    let api = table.take("api").map(|value| value::secure_url(&value, report));
    table.finish(report);
    Some(SlackConfig {
        token: token?,
        signing_secret: signing_secret?,
        channel: channel?,
        team: match team {
            Some(team) => Some(team?),
            None => None,
        },
        api: match api {
            Some(api) => api?,
            None => url::Url::parse(SLACK).ok()?,
        },
    })
}

/// An id of Slack's.
fn id(value: &Value<'_>, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    let good = (2..=32).contains(&written.len())
        && written.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if !good {
        value.wrong(
            "not an id of Slack's",
            "copy it from Slack: capitals and digits, such as C0123456789",
            report,
        );
        return None;
    }
    Some(written.to_owned())
}
