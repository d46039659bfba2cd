//! Secrets: where they come from, how they are compared and kept, and that they are never printed.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

pub use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// Whether two secrets are equal, in time that depends only on their lengths.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Reads a field of a document into a secret: `#[serde(deserialize_with = "secret::deserialize")]`.
///
/// # Errors
/// When it is no text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(Into::into)
}

/// Where a secret in a configuration comes from; literals do not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An environment variable of the gateway's process.
    Env(String),
    /// A file; trailing newlines are not part of the secret.
    File(PathBuf),
    /// The standard output of a command, run without a shell; trailing newlines are not part of the secret.
    Command(Vec<String>),
}

/// Why a secret could not be read. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The variable is not set or empty.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// The file cannot be read, is empty, or is not text.
    #[error("the secret file {} cannot be used: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The command failed or printed nothing.
    #[error("the secret command {program} cannot be used: {cause}")]
    Command {
        /// Its first word.
        program: String,
        /// What went wrong.
        cause: String,
    },
}

/// The longest secret that is read from a file or a command.
const MAX_SECRET: u64 = 64 * 1024;

/// How long a command may take; then it is killed.
const COMMAND_TIME: Duration = Duration::from_secs(10);

impl Source {
    /// Reads the secret now. Blocks for files and commands.
    ///
    /// # Errors
    /// When it is missing, empty, longer than 64 KiB or not UTF-8; when a command fails or takes longer than 10 s.
    pub fn read(&self) -> Result<SecretString, SourceError> {
        match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(value.into()),
                _ => Err(SourceError::Env(name.clone())),
            },
            Self::File(path) => {
                read_file(path).map_err(|cause| SourceError::File { path: path.clone(), cause })
            }
            Self::Command(argv) => read_command(argv, COMMAND_TIME).map_err(|cause| SourceError::Command {
                program: argv.first().cloned().unwrap_or_default(),
                cause,
            }),
        }
    }
}

fn read_file(path: &Path) -> Result<SecretString, String> {
    let length = fs::metadata(path).map_err(|e| e.to_string())?.len();
    if length > MAX_SECRET {
        return Err(format!("it is longer than {MAX_SECRET} bytes"));
    }
    trimmed(fs::read(path).map_err(|e| e.to_string())?)
}

fn read_command(argv: &[String], within: Duration) -> Result<SecretString, String> {
    let (program, args) = argv.split_first().ok_or("it is empty")?;
    let end = Instant::now() + within;
    let mut command = Command::new(program);
    // What it complains about may hold the secret: that is for who runs it by hand.
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let printed = child.stdout.take().ok_or_else(|| "it has no output".to_owned()).and_then(|stdout| {
        let (sender, answer) = mpsc::channel();
        // Ends with the output, whoever of the command's children holds it open; nobody waits for it longer than `within`.
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.take(MAX_SECRET + 1).read_to_end(&mut bytes).map(|_| bytes);
            // Nobody listens any more after the time is up.
            let _ = sender.send(read);
        });
        let read = answer
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .map_err(|_| format!("it did not end within {} s", within.as_secs()))?;
        let bytes = read.map_err(|e| e.to_string())?;
        if bytes.len() as u64 > MAX_SECRET {
            return Err(format!("it printed more than {MAX_SECRET} bytes"));
        }
        Ok(bytes)
    });
    let ended = printed.and_then(|bytes| ended(&mut child, end, within).map(|status| (bytes, status)));
    if ended.is_err() {
        stop(&mut child);
    }
    let (bytes, status) = ended?;
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    trimmed(bytes)
}

/// Waits until the command has ended, which it does soon after its output has.
fn ended(child: &mut Child, end: Instant, within: Duration) -> Result<ExitStatus, String> {
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        if Instant::now() >= end {
            return Err(format!("it did not end within {} s", within.as_secs()));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Kills the command and what it has started.
fn stop(child: &mut Child) {
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    );
    // It may have ended by itself meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}

fn trimmed(bytes: Vec<u8>) -> Result<SecretString, String> {
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text.to_owned().into())
}

/// Writes a file that only its owner can read (0600), replacing an older one in one step: a reader
/// sees the old content or the new, never a part.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    write_whole(path, content, |_| Ok(()))
}

/// The same for a file that belongs to its folder's owner, whoever writes it: the new file is given away before it has its name.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_private_for_owner(path: &Path, content: &[u8]) -> io::Result<()> {
    write_whole(path, content, |file| give_to_owner(path.parent().unwrap_or(Path::new(".")), file))
}

/// Gives an open file to the owner of a folder; whoever may not give it away has made it for itself. It is the open file that changes
/// hands, never what its name has come to lead to.
///
/// # Errors
/// When the folder or the file cannot be looked at, or the file is none that stands in one place alone.
pub fn give_to_owner(folder: &Path, file: &fs::File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let (folder, it) = (fs::metadata(folder)?, file.metadata()?);
        if !it.is_file() || it.nlink() != 1 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file with one name; remove it",
            ));
        }
        if folder.uid() == it.uid() {
            return Ok(());
        }
        match fchown(file, Some(folder.uid()), Some(folder.gid())) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (folder, file);
        Ok(())
    }
}

fn write_whole(
    path: &Path,
    content: &[u8],
    prepare: impl FnOnce(&fs::File) -> io::Result<()>,
) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.{:016x}", u64::from_ne_bytes(crate::id::random())));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&partial).and_then(|mut file| {
        prepare(&file)?;
        file.write_all(content)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&partial, path));
    if moved.is_err() {
        // The partial file holds a secret; that it could not be moved is the error worth telling.
        let _ = fs::remove_file(&partial);
    }
    moved
}

/// Reads a file that only its owner may read: the counterpart of [`write_private`].
///
/// # Errors
/// When it cannot be read, is longer than `longest` bytes, or others than its owner can open it.
pub fn read_private(path: &Path, longest: u64) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("others than its owner can open it; run `chmod 600 {}`", path.display()),
        ));
    }
    // One allocation of the final size: a growing buffer would leave copies of the secret behind.
    let length = metadata.len();
    if length > longest {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {longest} bytes")));
    }
    let mut content = zeroize::Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0)));
    file.take(length).read_to_end(&mut content)?;
    Ok(content)
}

/// The key of `N` random bytes that lies in `folder` as `name` (0600), made at the first time. Blocks on files.
///
/// # Errors
/// When it cannot be read or made, has another length, or others than its owner can open it.
pub fn kept_key<const N: usize>(folder: &Path, name: &str) -> io::Result<zeroize::Zeroizing<[u8; N]>> {
    let path = folder.join(name);
    if !path.try_exists()? {
        create_private_dir(folder)?;
        write_private(&path, zeroize::Zeroizing::new(crate::id::random::<N>()).as_slice())?;
    }
    let written = read_private(&path, N as u64)?;
    let mut key = zeroize::Zeroizing::new([0; N]);
    if written.len() != N {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is not {N} bytes long")));
    }
    key.copy_from_slice(&written);
    Ok(key)
}

/// Makes a folder, and those above it, that only its owner can enter (0700).
///
/// # Errors
/// When it cannot be made, or something else has its name.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Keeps this process's memory out of core files and away from other processes of the same user.
pub fn forbid_core_files() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "core files could not be switched off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_readable_by_its_owner_alone_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no partial file stays");
    }

    #[test]
    fn a_private_file_that_others_can_open_or_that_is_too_long_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, b"secret").unwrap();
        assert_eq!(*read_private(&path, 6).unwrap(), b"secret");
        assert!(read_private(&path, 5).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(read_private(&path, 6).unwrap_err().to_string().contains("chmod 600"));
        }
    }

    #[test]
    fn a_key_is_made_once_and_refused_when_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        let first = kept_key::<32>(&folder, "a.key").unwrap();
        assert_ne!(*first, [0; 32]);
        assert_eq!(*kept_key::<32>(&folder, "a.key").unwrap(), *first);
        assert_ne!(*kept_key::<32>(&folder, "b.key").unwrap(), *first);
        for damaged in [&b""[..], b"short", &[7; 33]] {
            write_private(&folder.join("a.key"), damaged).unwrap();
            assert!(kept_key::<32>(&folder, "a.key").is_err());
        }
    }

    #[test]
    fn a_secret_from_a_file_loses_its_newline_and_hides_in_debug() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "hunter2\n").unwrap();
        let secret = Source::File(path).read().unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn an_empty_secret_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "\n").unwrap();
        assert!(Source::File(path).read().is_err());
        assert!(Source::Command(vec!["true".into()]).read().is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_command_is_bounded_in_time_and_output_and_shows_nothing_of_what_it_printed() {
        let sh = |script: &str| ["sh", "-c", script].map(str::to_owned);
        let read = |script: &str, within| read_command(&sh(script), within);
        let long = Duration::from_mins(1);
        let secret = read("echo hunter2", long).unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
        let began = Instant::now();
        // The second one's child holds the output open after it has ended.
        for script in ["exec sleep 100", "sleep 100 & echo hunter2"] {
            let error = read(script, Duration::from_millis(200)).unwrap_err();
            assert!(error.contains("did not end"), "{error}");
        }
        let error = read("while :; do echo hunter2; done", long).unwrap_err();
        assert!(error.contains("more than 65536") && !error.contains("hunter2"), "{error}");
        assert!(began.elapsed() < long);
        let error = read("echo hunter2; exit 3", long).unwrap_err();
        assert!(error.contains("exit status: 3") && !error.contains("hunter2"), "{error}");
    }
}
