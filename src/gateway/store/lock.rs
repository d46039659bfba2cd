//! The lock of a state folder: one gateway at a time, and the process id of the one that has it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use super::OpenError;

/// Held until dropped; the operating system lets go of it when the process dies, however it dies.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock or says who has it.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(OpenError::file(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(OpenError::file(path)(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(OpenError::file(path))?;
        Ok(Self { _file: file })
    }
}

/// The process id in the file; bounded, because anyone may have written there.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // An unreadable file leaves the text empty, which is said below.
    let _ = file.take(20).read_to_string(&mut text);
    let pid = text.trim();
    if !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) {
        pid.to_owned()
    } else {
        "unknown".to_owned()
    }
}
