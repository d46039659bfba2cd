//! A file whose lock says that hoopctl serves a port: processes that hold keys let nobody look at what they have open.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::PathBuf,
};

use tokio::net::{TcpListener, TcpStream};

use super::serve::Listen;
use crate::client::{profile::Places, state::Ports};

/// Locked until dropped; the operating system unlocks it when the process dies.
#[derive(Debug)]
struct Mark {
    /// Dropped, and with it unlocked, after the file is gone.
    _file: File,
    path: PathBuf,
}

impl Mark {
    /// None where it cannot be had: then nobody can tell whose the port is.
    fn set(places: &Places, port: u16) -> Option<Self> {
        // Others are nobody's every time, and nobody asks for them.
        if !Ports::load(places).all().any(|(_, known)| known == port) {
            return None;
        }
        let path = path(places, port);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let locked =
            options.open(&path).and_then(|file| file.try_lock().map(|()| file).map_err(io::Error::from));
        match locked {
            Ok(file) => Some(Self { _file: file, path }),
            Err(error) => {
                tracing::debug!(%error, port, "the port could not be marked as ours");
                None
            }
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // One that stays is unlocked, and says nothing.
        let _ = fs::remove_file(&self.path);
    }
}

/// A listening port and its mark, which goes first: whoever binds the port next makes one of its own.
#[derive(Debug)]
pub(super) struct Marked {
    _mark: Option<Mark>,
    listener: TcpListener,
}

impl Marked {
    pub(super) fn new(listener: TcpListener, places: &Places, port: u16) -> Self {
        Self { _mark: Mark::set(places, port), listener }
    }
}

impl Listen for Marked {
    type Socket = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        Listen::accept(&self.listener).await
    }
}

/// Whether a hoopctl of this profile serves the port, in whatever process.
pub(in crate::client) fn is_ours(places: &Places, port: u16) -> bool {
    let file = File::open(path(places, port));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn path(places: &Places, port: u16) -> PathBuf {
    places.state(&format!("port-{port}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing;

    #[tokio::test]
    async fn a_remembered_port_is_ours_as_long_as_it_is_served_and_leaves_no_file() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::of(&testing::settings(home.path())).unwrap();
        places.create().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = Marked::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), &places, port);
        assert!(!is_ours(&places, port), "nobody asks for it");
        drop(other);
        Ports::remember(&places, "llama", port).unwrap();
        let marked = Marked::new(listener, &places, port);
        assert!(is_ours(&places, port) && !is_ours(&places, port.wrapping_add(1)));
        drop(marked);
        assert!(!is_ours(&places, port) && !path(&places, port).exists());
        // What a killed process left is nobody's.
        fs::write(path(&places, port), "").unwrap();
        assert!(!is_ours(&places, port));
    }
}
