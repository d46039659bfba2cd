//! A webhook: batches as one JSON document or as lines, signed as the Standard Webhooks specification says.

use http::{Request, header};
use serde_json::json;

use super::{
    batch::{self, Parcel},
    config::WebhookConfig,
    receiver::{Delivered, Https},
};
use crate::{clock::Clock, gateway::outbound::SigningKeys};

/// A webhook, opened.
pub(super) struct Webhook {
    sink: String,
    url: String,
    to: Https,
    keys: Option<SigningKeys>,
    lines: bool,
    clock: Clock,
}

impl Webhook {
    /// Reads the secrets; blocks on files and commands.
    pub(super) fn open(sink: &str, config: &WebhookConfig, clock: Clock) -> Result<Self, String> {
        let keys = (!config.secrets.is_empty()).then(|| SigningKeys::read(&config.secrets)).transpose()?;
        Ok(Self {
            sink: sink.to_owned(),
            url: config.to.url.to_string(),
            to: Https::open(&config.to)?,
            keys,
            lines: config.lines,
            clock,
        })
    }

    /// Posts a batch once.
    pub(super) async fn deliver(&self, parcels: &[Parcel]) -> Delivered {
        let id = batch::id(&self.sink, parcels);
        let (kind, body) = if self.lines {
            ("application/x-ndjson", lines(parcels))
        } else {
            ("application/json", document(&self.sink, parcels))
        };
        let mut request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, kind)
            .header("idempotency-key", format!("\"{id}\""));
        if let Some(keys) = &self.keys {
            for (name, value) in keys.headers(&id, self.clock.unix_seconds(), &body) {
                request = request.header(name, value);
            }
        }
        match self.to.post(request, body).await {
            Ok(_) => Delivered::Done,
            Err(other) => other,
        }
    }
}

/// `{"type":"audit.events","timestamp":…,"data":{"sink":…,"events":[…]}}`, each event to the byte as the log has it.
fn document(sink: &str, parcels: &[Parcel]) -> Vec<u8> {
    // The time of the newest event, not of the sending: the same batch is the same document.
    let timestamp = parcels.last().map_or("", |parcel| parcel.event.time.as_str());
    let mut body = format!(
        "{{\"type\":\"audit.events\",\"timestamp\":{},\"data\":{{\"sink\":{},\"events\":[",
        json!(timestamp),
        json!(sink)
    );
    for (at, parcel) in parcels.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(&parcel.json);
    }
    body.push_str("]}}");
    body.into_bytes()
}

/// One event a line.
fn lines(parcels: &[Parcel]) -> Vec<u8> {
    let mut body = String::new();
    for parcel in parcels {
        // JSON text of the log has no newline in it.
        body.push_str(&parcel.json);
        body.push('\n');
    }
    body.into_bytes()
}
