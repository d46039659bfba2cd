//! The first words on a stream: where it goes, and the gateway's answer.

use serde::{Deserialize, Serialize};

use super::{Refusal, VERSION};

/// The longest preamble, in bytes of JSON.
pub const MAX_PREAMBLE: usize = 4096;

/// Sent by the laptop as the first frame of every stream; the stream's bytes follow at once, without waiting for the [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preamble {
    /// The sender's [`VERSION`].
    pub version: u32,
    /// Where the stream goes.
    pub target: Target,
}

impl Preamble {
    /// A preamble of this version.
    pub fn to(target: Target) -> Self {
        Self { version: VERSION, target }
    }
}

/// Where a stream goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// The connection's control stream; the first one opened. [`super::control`] messages follow.
    Control,
    /// The gateway's own API, HTTP/1.1 or HTTP/2.
    Api,
    /// A model: HTTP/1.1 or HTTP/2 as the application wrote it.
    Model {
        /// The model's name.
        model: String,
        /// The session (one `connect`) this stream belongs to; made by the laptop, an [`crate::id`] of prefix `ses`.
        session: String,
        /// The door the application came in by.
        door: Door,
        /// What a FIN from the application means.
        #[serde(default)]
        fin: Fin,
        /// What to do where policy wants a person's yes first.
        #[serde(default)]
        asking: Asking,
    },
}

/// The door on the laptop that an application came in by. The gateway checks it: it alone reads the HTTP inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Door {
    /// A loopback TCP port: only `Host: 127.0.0.1:port`, `localhost:port` or `[::1]:port`, never a browser's `Origin`.
    Port {
        /// The port, 1–65535.
        port: u16,
        /// SHA-256, in hex, of the key every request must present, when `--local-key` is on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_sha256: Option<String>,
    },
    /// A 0600 socket, `--stdio` or `call`: no browser can reach these.
    Private,
}

/// What the end of the laptop's bytes means (DESIGN §4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fin {
    /// The application has left: its upstream is cancelled.
    #[default]
    Leave,
    /// Only the input has ended: the whole answer is delivered.
    Finish,
}

/// What a caller wants where policy asks for an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// Whether requests wait for the yes (the default), or are refused with the approval's id at once.
    #[serde(default = "yes")]
    pub wait: bool,
    /// Why, for the person who decides; at most [`MAX_REASON`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Default for Asking {
    fn default() -> Self {
        Self { wait: true, reason: None }
    }
}

/// The longest reason for an approval, in bytes of UTF-8.
pub const MAX_REASON: usize = 1000;

fn yes() -> bool {
    true
}

/// The gateway's first frame on every stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The stream is joined to its target.
    Ok,
    /// It is not; the gateway ends the stream after this.
    Refused(Refusal),
}

/// Codes with which either side resets a stream, the same on both carriers.
pub mod reset {
    /// The sender has left and wants nothing more.
    pub const LEFT: u32 = 0x1;
    /// The other leg was cut: what was received is not the whole.
    pub const CUT: u32 = 0x2;
    /// Authority ended: revoked or expired.
    pub const REVOKED: u32 = 0x3;
    /// The bytes made no sense.
    pub const PROTOCOL: u32 = 0x4;
    /// The gateway is draining.
    pub const DRAINING: u32 = 0x5;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_newer_client_are_ignored() {
        let newer = r#"{"version":7,"target":{"kind":"model","model":"m","session":"s","door":{"kind":"private","colour":"green"},"x":1},"y":2}"#;
        let preamble: Preamble = serde_json::from_str(newer).unwrap();
        assert_eq!(
            preamble.target,
            Target::Model {
                model: "m".into(),
                session: "s".into(),
                door: Door::Private,
                fin: Fin::Leave,
                asking: Asking::default()
            }
        );
    }
}
