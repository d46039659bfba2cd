//! Local doors: a loopback port or a 0600 socket in front of a model, open whatever the network does.

mod bind;
mod holder;
mod mark;
mod serve;
#[cfg(unix)]
mod socket;

use std::{net::Ipv4Addr, path::PathBuf};

use aws_lc_rs::digest;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    client::{ClientError, Laptop, Link},
    id,
    secret::{ExposeSecret, SecretString},
    wire::stream::Door,
};
pub(super) use holder::of_port as holder_of;
use mark::Marked;
pub(super) use mark::is_ours;
use serve::Doorway;

/// Where a door is opened.
#[derive(Clone, Debug)]
pub enum Opening {
    /// A loopback TCP port; 0 is any free one. `None`: the stable port, the next free one when it is taken by something else.
    Port(Option<u16>),
    /// A Unix socket, 0600.
    Socket(PathBuf),
}

/// A local door to a model, serving until dropped.
#[derive(Debug)]
pub struct Port {
    /// The model behind it.
    pub model: String,
    /// The session of all that comes in by it.
    pub session: String,
    /// The base URL, without a slash at its end: `http://127.0.0.1:PORT`, or `unix:PATH` for a socket.
    pub url: String,
    /// `127.0.0.1`, or `localhost` for a socket.
    pub host: String,
    /// The port; none for a socket.
    pub port: Option<u16>,
    /// The socket; none for a port.
    pub socket: Option<PathBuf>,
    /// Why the port is not the one that the model has every time; none when it is.
    pub stand_in: Option<String>,
    _serving: DropGuard,
}

/// Binds the door and serves it until `stop`; the door stays open whatever the network does. With `local_key`, every request must
/// present that key: the gateway checks it by its SHA-256.
///
/// # Errors
/// [`Kind::Usage`](crate::client::Kind::Usage) when the wanted port or socket is taken, and by whom where that can be told.
pub async fn open_port(
    link: &Link,
    laptop: &Laptop,
    model: &str,
    opening: Opening,
    local_key: Option<&SecretString>,
    stop: CancellationToken,
) -> Result<Port, ClientError> {
    let stop = stop.child_token();
    let session = id::new("ses", laptop.settings.clock.now());
    let doorway = |door| Doorway {
        link: link.clone(),
        model: model.to_owned(),
        session: session.clone(),
        door,
        stop: stop.clone(),
    };
    match opening {
        Opening::Port(wanted) => {
            let (listener, stand_in) = bind::port(laptop, model, wanted).await?;
            let number = listener
                .local_addr()
                .map_err(|e| ClientError::failed("port", format!("the port has no address: {e}")))?
                .port();
            let door = Door::Port { port: number, key_sha256: local_key.map(key_digest) };
            tokio::spawn(serve::serve(Marked::new(listener, &laptop.places, number), doorway(door)));
            Ok(Port {
                model: model.to_owned(),
                session,
                url: format!("http://{}:{number}", Ipv4Addr::LOCALHOST),
                host: Ipv4Addr::LOCALHOST.to_string(),
                port: Some(number),
                socket: None,
                stand_in,
                _serving: stop.drop_guard(),
            })
        }
        Opening::Socket(path) => {
            let (listener, path) = bind_socket(&path)?;
            tokio::spawn(serve::serve(listener, doorway(Door::Private)));
            Ok(Port {
                model: model.to_owned(),
                session,
                url: format!("unix:{}", path.display()),
                host: "localhost".to_owned(),
                port: None,
                socket: Some(path),
                stand_in: None,
                _serving: stop.drop_guard(),
            })
        }
    }
}

#[cfg(unix)]
fn bind_socket(path: &std::path::Path) -> Result<(socket::Socket, PathBuf), ClientError> {
    let socket = socket::Socket::bind(path)?;
    let path = socket.path().to_owned();
    Ok((socket, path))
}

#[cfg(not(unix))]
fn bind_socket(_: &std::path::Path) -> Result<(tokio::net::TcpListener, PathBuf), ClientError> {
    Err(ClientError::usage("this operating system has no sockets in files").remedy("use a port: --port N"))
}

fn key_digest(key: &SecretString) -> String {
    let digest = digest::digest(&digest::SHA256, key.expose_secret().as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        use std::fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_key_travels_as_its_digest() {
        let digest = key_digest(&"abc".into());
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
