//! The profile's lock, which the processes of one person share.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    time::Duration,
};

use crate::{
    client::{ClientError, Kind},
    id,
};

/// How long another process may hold the lock before waiting is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Held until dropped; the operating system releases it when the process dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock, at most [`PATIENCE`].
    pub(super) async fn acquire(path: &Path) -> Result<Self, ClientError> {
        let file = open(path).map_err(|e| ClientError::file(path, &e))?;
        let wait = async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    // Asking again, not blocking: a blocked thread could not be called back.
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(pause()).await,
                    Err(TryLockError::Error(e)) => return Err(ClientError::file(path, &e)),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(Ok(())) => Ok(Self { _file: file }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ClientError::new(
                Kind::Failed,
                "profile_busy",
                format!("another hoopctl has been holding {} for {} s", path.display(), PATIENCE.as_secs()),
            )
            .remedy("end that process, or use another profile: --profile NAME")),
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// 5–20 ms, so that many waiters do not knock at once.
fn pause() -> Duration {
    Duration::from_millis(5 + u64::from(id::random::<1>()[0] % 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holder_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let held = Lock::acquire(&path).await.unwrap();
        let waiting = {
            let path = path.clone();
            tokio::spawn(async move { Lock::acquire(&path).await })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_has_an_end() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let _held = Lock::acquire(&path).await.unwrap();
        assert_eq!(Lock::acquire(&path).await.unwrap_err().code, "profile_busy");
    }
}
