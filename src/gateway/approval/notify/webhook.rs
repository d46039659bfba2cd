//! One webhook by the Standard Webhooks specification: signed, at least once, with an id that stays the same however often it is sent.

use http::{Request, StatusCode, header};
use serde::Serialize;
use url::Url;

use super::{Delivered, Kind, Notice};
use crate::{
    clock::{Clock, rfc3339},
    gateway::outbound::{Outbound, SigningKeys, acceptable, retry_after},
    secret,
    wire::api::Approval,
};

/// One of `[approvals] webhooks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// https, or http on loopback.
    pub url: Url,
    /// `whsec_` and 24 to 64 bytes in base64. A message is signed with each, so that a receiver may know either while one
    /// replaces the other.
    pub secrets: Vec<secret::Source>,
}

/// A webhook, opened.
pub(super) struct Webhook {
    url: Url,
    keys: SigningKeys,
    outbound: Outbound,
    clock: Clock,
}

/// What is posted.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    data: &'a Approval,
}

impl Webhook {
    /// Reads the secrets; blocks on files and commands.
    pub(super) fn open(config: &WebhookConfig, clock: Clock) -> Result<Self, String> {
        if !acceptable(&config.url) {
            return Err("its url must be https, or http on loopback".to_owned());
        }
        let keys = SigningKeys::read(&config.secrets)?;
        Ok(Self { url: config.url.clone(), keys, outbound: Outbound::new(None)?, clock })
    }

    /// Sends a notice once.
    pub(super) async fn deliver(&self, notice: &Notice) -> Delivered {
        if notice.kind == Kind::Progress {
            return Delivered::Done;
        }
        let id = notice.id();
        let kind = format!("approval.{}", notice.kind.word());
        let payload = Payload { kind: &kind, timestamp: rfc3339(notice.at), data: &notice.approval };
        let Ok(body) = serde_json::to_vec(&payload) else {
            return Delivered::Never("the payload cannot be written as JSON".to_owned());
        };
        let mut request = Request::post(self.url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("hoopctl/", env!("CARGO_PKG_VERSION")));
        for (name, value) in self.keys.headers(&id, self.clock.unix_seconds(), &body) {
            request = request.header(name, value);
        }
        let request = request.body(body);
        let request = match request {
            Ok(request) => request,
            Err(error) => return Delivered::Never(error.to_string()),
        };
        match self.outbound.send(request).await {
            Ok(answer) if answer.status().is_success() => Delivered::Done,
            Ok(answer) if answer.status() == StatusCode::GONE => {
                Delivered::Off("it answered 410 Gone".to_owned())
            }
            Ok(answer) => Delivered::Again {
                why: format!("it answered {}", answer.status()),
                after: retry_after(answer.headers()),
            },
            Err(error) => Delivered::Again { why: error.to_string(), after: None },
        }
    }
}
