//! Syslog: RFC 5424 messages, each behind its length (RFC 5425 §4.3), a connection for each batch.

use std::fmt::Write;

use super::{batch::Parcel, config::SyslogConfig, receiver::Delivered, severity::Severity};
use crate::{
    clock::parse_rfc3339,
    evidence::{event::Event, leaf},
    gateway::outbound::OneWay,
    tls::Identity,
};

/// Bytes of a parameter's value at most; what is longer is in the message.
const MAX_VALUE: usize = 256;

/// A syslog receiver, opened.
pub(super) struct Syslog {
    way: OneWay,
    form: Form,
}

/// How messages are written.
#[derive(Clone, Debug)]
struct Form {
    host: String,
    facility: u8,
    enterprise: u32,
    most: usize,
}

impl Syslog {
    /// Reads the certificates; blocks on files.
    pub(super) fn open(config: &SyslogConfig, host: &str) -> Result<Self, String> {
        let identity = match &config.client {
            Some((chain, key)) => {
                let read = |path: &std::path::Path| {
                    std::fs::read_to_string(path)
                        .map_err(|e| format!("{} cannot be read: {e}", path.display()))
                };
                Some(Identity::from_pem(&read(chain)?, &read(key)?).map_err(|e| e.to_string())?)
            }
            None => None,
        };
        let way = if config.tls {
            OneWay::encrypted(&config.host, config.port, config.ca.as_deref(), identity)?
        } else {
            OneWay::on_loopback(&config.host, config.port)?
        };
        let form = Form {
            host: word(host, 255),
            facility: config.facility.0,
            enterprise: config.enterprise,
            most: config.most,
        };
        Ok(Self { way, form })
    }

    /// Sends a batch once. Syslog acknowledges nothing: it is taken when the receiver has ended the connection after our own end.
    pub(super) async fn deliver(&self, parcels: &[Parcel]) -> Delivered {
        let mut frames = Vec::new();
        for parcel in parcels {
            let message = self.form.message(&parcel.event, &parcel.json);
            frames.extend_from_slice(format!("{} ", message.len()).as_bytes());
            frames.extend_from_slice(&message);
        }
        match self.way.send(&frames).await {
            Ok(()) => Delivered::Done,
            Err(error) => Delivered::Again { why: error.to_string(), after: None },
        }
    }
}

impl Form {
    /// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [SD] BOM MSG`
    fn message(&self, event: &Event, json: &str) -> Vec<u8> {
        let priority = u16::from(self.facility) * 8 + u16::from(Severity::of(event).syslog());
        let time = if parse_rfc3339(&event.time).is_some() { event.time.as_str() } else { "-" };
        let mut head = format!(
            "<{priority}>1 {time} {} hoopctl - {} [hoopctl@{}",
            self.host,
            word(&event.kind, 32),
            self.enterprise
        );
        for (name, value) in parameters(event) {
            let _ = write!(head, " {name}=\"{}\"", escaped(&value));
        }
        // The byte order mark says that the message is UTF-8 (§6.4).
        head.push_str("] \u{feff}");
        let mut message = head.into_bytes();
        message.extend_from_slice(&leaf::within(json, self.most));
        message
    }
}

/// What receivers sort by, without reading the JSON.
fn parameters(event: &Event) -> Vec<(&'static str, String)> {
    let caller = event.caller.as_ref();
    let response = event.response.as_ref();
    let known = [
        ("id", Some(event.id.clone())),
        ("user", caller.map(|caller| caller.email.clone().unwrap_or_else(|| caller.subject.clone()))),
        ("provider", caller.map(|caller| caller.provider.clone())),
        ("model", event.model.clone()),
        ("session", event.session.clone()),
        ("exchange", event.exchange.clone()),
        ("verdict", event.decision.as_ref().map(|decision| decision.verdict.clone())),
        ("outcome", response.map(|response| response.outcome.clone())),
        ("status", response.map(|response| response.status.to_string())),
        ("source", event.source.clone()),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?))).collect()
}

/// A parameter's value: `"`, `\` and `]` behind a backslash (§6.3.3); control characters, which receivers disagree on, replaced.
fn escaped(value: &str) -> String {
    let end = value.floor_char_boundary(MAX_VALUE);
    let mut text = String::new();
    for c in value.get(..end).unwrap_or_default().chars() {
        match c {
            '"' | '\\' | ']' => text.extend(['\\', c]),
            c if c.is_control() => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
    text
}

/// A field of the header: printable ASCII without spaces, bounded; `-` for none (§6).
fn word(text: &str, most: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::Caller;

    fn form() -> Form {
        Form { host: "gateway.example.test".to_owned(), facility: 13, enterprise: 32473, most: 8192 }
    }

    fn event(subject: &str) -> Event {
        Event {
            schema: "hoopctl.audit/1".to_owned(),
            id: "ev_1".to_owned(),
            time: "2026-11-23T07:15:46.123Z".to_owned(),
            kind: "login_failed".to_owned(),
            caller: Some(Caller {
                subject: subject.to_owned(),
                provider: "corp".to_owned(),
                ..Caller::default()
            }),
            ..Event::default()
        }
    }

    fn text(event: &Event) -> String {
        let json = serde_json::to_string(event).unwrap();
        String::from_utf8(form().message(event, &json)).unwrap()
    }

    #[test]
    fn a_message_is_as_the_rfc_writes_it() {
        let event = event("alice");
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            text(&event),
            format!(
                "<108>1 2026-11-23T07:15:46.123Z gateway.example.test hoopctl - login_failed \
                 [hoopctl@32473 id=\"ev_1\" user=\"alice\" provider=\"corp\"] \u{feff}{json}"
            )
        );
    }

    #[test]
    fn nothing_a_caller_is_called_ends_the_structured_data() {
        let text = text(&event("a\"] <34>1 - \\ evil]\n\0é"));
        assert!(text.contains(r#"user="a\"\] <34>1 - \\ evil\]"#), "{text}");
        assert!(!text.contains(['\n', '\0']), "{text}");
        assert!(text.contains('é'), "{text}");
    }

    #[test]
    fn header_fields_are_words() {
        let mut event = event("alice");
        event.kind = format!("two words\n{}", "x".repeat(50));
        event.time = "yesterday".to_owned();
        let text = text(&event);
        assert!(text.starts_with("<109>1 - gateway.example.test hoopctl - twowordsxxx"), "{text}");
        assert_eq!(text.split(' ').nth(5).unwrap().len(), 32);
    }

    #[test]
    fn an_event_beyond_the_bound_is_sent_as_its_digest() {
        let mut event = event("alice");
        event.detail = Some("x".repeat(10_000));
        let text = text(&event);
        assert!(text.len() < 2_000, "{text}");
        let (_, json) = text.split_once('\u{feff}').unwrap();
        let stub: leaf::Stub = serde_json::from_str(json).unwrap();
        assert_eq!((stub.id.as_str(), stub.kind.as_str()), ("ev_1", "login_failed"));
        assert!(stub.oversize.bytes > 10_000);
    }
}
