//! Carries streams between laptop and gateway: QUIC carrier, TLS/TCP carrier, race, splice with half-close.
//!
//! Both carriers keep the same promises: `shutdown` is a half-close, a reset carries a code of
//! [`crate::wire::stream::reset`], a reader that does not read stops its writer, and a stream dropped
//! before its end is reset with [`reset::LEFT`](crate::wire::stream::reset::LEFT).

mod connection;
mod dial;
mod error;
mod frame;
mod proxy;
mod quic;
mod race;
mod reach;
mod splice;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod world;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub use connection::Connection;
pub use dial::{Dialer, HEAD_START};
pub use error::{TunnelError, reset_code};
pub use frame::{read_frame, write_frame};
pub use proxy::Proxies;
pub use quic::{Handshaking, QuicListener};
pub use reach::reach;
pub use splice::{Spliced, splice};
pub use stream::Stream;
pub use tcp::{accept_tcp, let_alert_arrive};

/// The carrier of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// QUIC (RFC 9000): one UDP flow that survives an address change.
    Quic,
    /// HTTP/2 CONNECT streams (RFC 9113 §8.5) over one TLS connection.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        })
    }
}

/// Which end of the tunnel this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Laptop,
    Gateway,
}

/// Streams a connection carries at once. Whoever accepts them must serve as many: the bytes of one that nobody reads keep the others'
/// waiting, as all share one window.
pub const MAX_STREAMS: u32 = 4096;
/// An idle connection is kept alive in the middle boxes this often.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A peer not heard of for this long is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// A handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

impl Side {
    /// Bytes of one stream this side lets come in unread: a round trip of bulk, at 40 ms 800 Mbit/s down and 200 Mbit/s up.
    fn stream_window(self) -> u32 {
        match self {
            Self::Laptop => 4 << 20,
            Self::Gateway => 1 << 20,
        }
    }

    /// Bytes of all streams together. Many times one stream's, so that those nobody reads (a paused application, a request that waits for
    /// its approval) do not stop the others and the control stream.
    fn window(self) -> u32 {
        match self {
            Self::Laptop => 64 << 20,
            Self::Gateway => 32 << 20,
        }
    }
}
