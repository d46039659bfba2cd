//! Where an open door is.

use std::path::PathBuf;

use crate::client::Port;

/// A door's address, apart from the door that serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The model behind it.
    pub(super) model: String,
    /// The session of all that comes in by it.
    pub(super) session: String,
    /// The base URL.
    pub(super) url: String,
    /// The host, without the port.
    pub(super) host: String,
    /// The port, if it is one.
    pub(super) port: Option<u16>,
    /// The socket, if it is one.
    pub(super) socket: Option<PathBuf>,
}

impl From<&Port> for Address {
    fn from(door: &Port) -> Self {
        Self {
            model: door.model.clone(),
            session: door.session.clone(),
            url: door.url.clone(),
            host: door.host.clone(),
            port: door.port,
            socket: door.socket.clone(),
        }
    }
}
