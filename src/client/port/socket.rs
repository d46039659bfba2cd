//! A socket in a file that only its owner can open.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use crate::{client::ClientError, id, secret};

/// The longest path that fits into a socket's address everywhere (`sun_path`: 108 bytes on Linux, 104 elsewhere).
const MAX_PATH: usize = 103;

/// A listening socket; its file goes with it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that only our own file is removed.
    file: (u64, u64),
}

impl Socket {
    /// Binds `path`, replacing a file that an ended process of ours left there.
    pub(super) fn bind(path: &Path) -> Result<Self, ClientError> {
        let unusable = |what: &str| {
            ClientError::usage(format!("{} cannot be a socket: {what}", path.display()))
                .remedy("choose another path with --socket PATH")
        };
        let path = std::path::absolute(path).map_err(|e| unusable(&e.to_string()))?;
        // It is moved into place, so the system would not object, and then no client could name it.
        if path.as_os_str().len() > MAX_PATH {
            return Err(unusable(&format!("its path is longer than {MAX_PATH} bytes")));
        }
        let parent = path.parent().unwrap_or(Path::new("/"));
        if !parent.is_dir() {
            return Err(unusable(&format!("there is no folder {}", parent.display())));
        }
        if replaceable_by_anybody(parent) {
            return Err(unusable(&format!(
                "anybody may replace files in {}, and so listen there instead",
                parent.display()
            )));
        }
        match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(unusable(&e.to_string())),
            Ok(facts) if !facts.file_type().is_socket() => {
                return Err(unusable("something else has that name"));
            }
            Ok(facts) if facts.uid() != rustix::process::geteuid().as_raw() => {
                return Err(unusable("it belongs to somebody else"));
            }
            Ok(_) => match std::os::unix::net::UnixStream::connect(&path) {
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                _ => return Err(unusable("another program listens there")),
            },
        }
        Self::place(&path).map_err(|e| unusable(&e.to_string()))
    }

    /// Made in a folder that nobody else can enter and moved into place, so that it is 0600 from its first moment.
    fn place(path: &Path) -> io::Result<Self> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let private = parent.join(format!(".h{:08x}", u32::from_ne_bytes(id::random())));
        secret::create_private_dir(&private)?;
        let first = private.join("s");
        let bound = UnixListener::bind(&first).and_then(|listener| {
            fs::set_permissions(&first, fs::Permissions::from_mode(0o600))?;
            let facts = fs::symlink_metadata(&first)?;
            fs::rename(&first, path)?;
            Ok(Self { listener, path: path.to_owned(), file: (facts.dev(), facts.ino()) })
        });
        // Whether it worked or not, the folder has served its purpose; removing a file that was moved fails.
        let _ = fs::remove_file(&first);
        let _ = fs::remove_dir(&private);
        bound
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether everybody may write to the folder, and nothing keeps them from other people's files there.
fn replaceable_by_anybody(folder: &Path) -> bool {
    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o002;
    fs::metadata(folder).is_ok_and(|facts| facts.mode() & (STICKY | OTHERS_WRITE) == OTHERS_WRITE)
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|facts| (facts.dev(), facts.ino()) == self.file);
        if ours {
            // Nobody is left to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Kind;

    #[tokio::test]
    async fn a_socket_is_its_owners_alone_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("m.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        let busy = Socket::bind(&path).unwrap_err();
        assert_eq!(busy.kind, Kind::Usage);
        drop(socket);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_path_that_nobody_could_connect_to_is_refused_and_no_folder_is_made() {
        let home = tempfile::tempdir().unwrap();
        for path in [home.path().join("a".repeat(MAX_PATH)), home.path().join("missing/m.sock")] {
            let error = Socket::bind(&path).unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            assert!(error.remedy.unwrap().contains("--socket"));
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_stale_file_is_replaced_and_anything_else_is_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("m.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        drop(Socket::bind(&path).unwrap());
        let elsewhere = home.path().join("elsewhere");
        let _other = std::os::unix::net::UnixListener::bind(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert_eq!(Socket::bind(&path).unwrap_err().kind, Kind::Usage, "a link is not followed");
        assert!(elsewhere.exists());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a letter").unwrap();
        assert_eq!(Socket::bind(&path).unwrap_err().kind, Kind::Usage);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a letter");
    }

    #[tokio::test]
    async fn a_folder_where_anybody_replaces_files_is_refused_unless_it_is_sticky() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("m.sock");
        for (mode, fine) in [(0o777, false), (0o1777, true), (0o755, true)] {
            fs::set_permissions(home.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Socket::bind(&path).is_ok(), fine, "{mode:o}");
        }
    }

    #[tokio::test]
    async fn a_successors_file_is_not_removed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("m.sock");
        let first = Socket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = Socket::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }
}
