//! A receiver, opened: its secrets read, its certificates loaded; and what came of sending it a batch.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request};

use super::{
    batch::Parcel,
    config::{Bearing, Header, ReceiverConfig, SinkConfig},
    otlp::Otlp,
    syslog::Syslog,
    webhook::Webhook,
};
use crate::{
    clock::Clock,
    gateway::outbound::{Outbound, OutboundError, acceptable, retry_after},
    secret::ExposeSecret,
};

/// Who takes events.
pub(super) enum Receiver {
    Webhook(Box<Webhook>),
    Syslog(Box<Syslog>),
    Otlp(Box<Otlp>),
}

impl Receiver {
    /// Reads secrets and certificates; blocks on files and commands.
    pub(super) fn open(config: &SinkConfig, host: &str, clock: &Clock) -> Result<Self, String> {
        Ok(match &config.receiver {
            ReceiverConfig::Webhook(to) => {
                Self::Webhook(Box::new(Webhook::open(&config.name, to, clock.clone())?))
            }
            ReceiverConfig::Syslog(to) => Self::Syslog(Box::new(Syslog::open(to, host)?)),
            ReceiverConfig::Otlp(to) => Self::Otlp(Box::new(Otlp::open(to, host, clock.clone())?)),
        })
    }

    /// Sends a batch once.
    pub(super) async fn deliver(&self, parcels: &[Parcel]) -> Delivered {
        match self {
            Self::Webhook(to) => to.deliver(parcels).await,
            Self::Syslog(to) => to.deliver(parcels).await,
            Self::Otlp(to) => to.deliver(parcels).await,
        }
    }
}

/// What came of sending a batch.
#[derive(Debug)]
pub(super) enum Delivered {
    /// All of it was taken.
    Done,
    /// It was taken but for some of it, which must not be sent again.
    Partly { refused: u64, why: String },
    /// Not now.
    Again {
        why: String,
        /// At the earliest.
        after: Option<Duration>,
    },
    /// Not this.
    Refused(String),
}

/// An HTTPS receiver.
pub(super) struct Https {
    outbound: Outbound,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Https {
    /// Reads the headers' secrets; blocks on files and commands.
    pub(super) fn open(to: &Bearing) -> Result<Self, String> {
        if !acceptable(&to.url) {
            return Err("its url must be https, or http on loopback".to_owned());
        }
        let headers = to.headers.iter().map(header).collect::<Result<_, String>>()?;
        Ok(Self { outbound: Outbound::new(to.ca.as_deref())?, headers })
    }

    /// Sends a request with the headers that say who sends; any answer but 2xx is what it means for the batch.
    pub(super) async fn post(
        &self,
        mut request: request::Builder,
        body: Vec<u8>,
    ) -> Result<Response<Vec<u8>>, Delivered> {
        request = request.header(http::header::USER_AGENT, concat!("hoopctl/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let again = |why: String| Delivered::Again { why, after: None };
        let request = request.body(body).map_err(|e| again(e.to_string()))?;
        let answer = self.outbound.send(request).await.map_err(|e: OutboundError| again(e.to_string()))?;
        if answer.status().is_success() { Ok(answer) } else { Err(judge(answer.status(), answer.headers())) }
    }
}

/// What a status says: 400, 413 and 422 are said of what was sent, everything else of the receiver, the way to it, or who sends.
fn judge(status: StatusCode, headers: &HeaderMap) -> Delivered {
    let why = format!("it answered {status}");
    match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Delivered::Refused(why)
        }
        _ if status.is_redirection() => {
            Delivered::Again { why: format!("{why}, and redirects are not followed"), after: None }
        }
        _ => Delivered::Again { why, after: retry_after(headers) },
    }
}

fn header(config: &Header) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(config.name.as_bytes())
        .map_err(|_| format!("`{}` is no name of a header", config.name))?;
    let secret = config.value.read().map_err(|e| e.to_string())?;
    let mut value = HeaderValue::from_str(&format!("{}{}", config.prefix, secret.expose_secret()))
        .map_err(|_| format!("the secret of the header `{name}` has characters that no header may have"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_said_of_the_batch_or_of_the_receiver() {
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("7"))]);
        for (status, refused) in [
            (400, true),
            (413, true),
            (422, true),
            (301, false),
            (401, false),
            (403, false),
            (404, false),
            (408, false),
            (410, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let judged = judge(StatusCode::from_u16(status).unwrap(), &headers);
            match judged {
                Delivered::Refused(_) => assert!(refused, "{status}"),
                Delivered::Again { after, .. } => {
                    assert!(!refused, "{status}");
                    assert_eq!(after.is_some(), status != 301, "{status}");
                }
                other => panic!("{status}: {other:?}"),
            }
        }
    }
}
