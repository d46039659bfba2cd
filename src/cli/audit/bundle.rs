//! The log as a folder: checkpoint, key, tiles as tlog-tiles names them, and the events as lines.

use std::{
    fs,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use super::super::{error::Failure, invocation::Invocation, sessions};
use crate::{
    client::{Kind, Link},
    evidence::{
        event::Event,
        leaf::leaf,
        tlog::{self, Check, Checkpoint, Tampering, Tile, VerifyingKey, entries},
    },
    secret,
};

/// The signed head.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The public key.
pub(super) const KEY: &str = "key";
/// The events, one a line.
const EVENTS: &str = "events.jsonl";
/// Where the gateway serves the log.
const PREFIX: &str = "/api/v1/audit/log";

/// The longest tile, in bytes: 256 entries of the greatest length.
const MAX_TILE: u64 = 17 * 1024 * 1024;
/// The longest line: an event of the greatest length that a gateway records, and its newline.
const MAX_LINE: u64 = 1024 * 1024 + 1;

/// Where a log is read.
pub(super) enum Source<'a> {
    /// A gateway.
    Gateway(&'a Link),
    /// A bundle.
    Folder(&'a Path),
}

impl Source<'_> {
    /// A file of the log; `None` when it is not there.
    pub(super) async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Gateway(link) => Ok(Some(link.api_bytes(&format!("{PREFIX}/{path}")).await?.into())),
            Self::Folder(folder) => bounded(&folder.join(path), MAX_TILE),
        }
    }

    /// What must be there.
    pub(super) async fn must(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.read(path).await?.ok_or_else(|| {
            Failure::failed(format!("the bundle has no file {path}"))
                .remedy("name a folder that `hoopctl audit export --bundle` has written")
        })
    }

    /// The public key that the source itself names.
    pub(super) async fn key(&self) -> Result<VerifyingKey, Failure> {
        let text = String::from_utf8(self.must(KEY).await?).unwrap_or_default();
        text.parse().map_err(|e| Failure::failed(format!("the log's key cannot be used: {e}")))
    }
}

/// A file of at most so many bytes; `None` when it is not there.
pub(in crate::cli) fn bounded(path: &Path, longest: u64) -> Result<Option<Vec<u8>>, Failure> {
    let unread = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("{} cannot be read: {error}", path.display()))
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(&error)),
    };
    let mut bytes = Vec::new();
    file.take(longest + 1).read_to_end(&mut bytes).map_err(|e| unread(&e))?;
    if bytes.len() as u64 > longest {
        return Err(unread(&format_args!("it is longer than {longest} bytes")));
    }
    Ok(Some(bytes))
}

/// Something does not fit: exit code 8.
pub(super) fn tampered(what: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Verification, "tampered", what.to_string())
}

/// Fetches the whole log into a new folder, checking it on the way.
pub(super) async fn export(
    link: &Link,
    folder: &Path,
    recordings: bool,
    with: &Invocation,
) -> Result<(), Failure> {
    let wrong = |error: io::Error| {
        Failure::failed(format!("the bundle {} cannot be written: {error}", folder.display()))
    };
    if fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()) {
        return Err(Failure::usage(format!("the folder {} is not empty", folder.display()))
            .remedy("name a folder that does not exist yet"));
    }
    let source = Source::Gateway(link);
    let key = source.key().await?;
    let note = source.must(CHECKPOINT).await?;
    let head =
        Checkpoint::open(&note, &key).map_err(|e| tampered(format_args!("the gateway's checkpoint: {e}")))?;
    secret::create_private_dir(folder).map_err(wrong)?;
    secret::write_private(&folder.join(EVENTS), &[]).map_err(wrong)?;
    let lines = fs::OpenOptions::new().append(true).open(folder.join(EVENTS)).map_err(wrong)?;
    let mut lines = BufWriter::new(lines);
    let size = head.size;
    let mut check = Check::new(head, Vec::new()).map_err(tampered)?;
    let mut recorded = Vec::new();
    let _progress = with.printer.progress(&format!("fetching {size} events …"));
    while let Some(tile) = check.wants() {
        let bytes = source.must(&tile.to_string()).await?;
        check.feed(Some(&bytes)).map_err(tampered)?;
        store(folder, &tile, &bytes).map_err(wrong)?;
        if tile.kind == tlog::Kind::Entries {
            for entry in entries(&bytes).flatten() {
                lines.write_all(entry).and_then(|()| lines.write_all(b"\n")).map_err(wrong)?;
                recorded.extend(exchange_of(entry).filter(|_| recordings));
            }
        }
    }
    check.finish().map_err(tampered)?;
    lines.flush().map_err(wrong)?;
    secret::write_private(&folder.join(KEY), format!("{key}\n").as_bytes()).map_err(wrong)?;
    if recordings {
        sessions::into_bundle(link, &recorded, folder, with).await?;
    }
    // Last: a folder without it is no whole bundle.
    secret::write_private(&folder.join(CHECKPOINT), &note).map_err(wrong)?;
    with.printer.note(&format!("{size} events, signed by {key}"));
    Ok(())
}

/// The exchange of an entry that names a recording.
fn exchange_of(entry: &[u8]) -> Option<String> {
    let event: Event = serde_json::from_slice(entry).ok()?;
    event.exchange.filter(|_| event.kind == "exchange" && event.recording.is_some())
}

fn store(folder: &Path, tile: &Tile, bytes: &[u8]) -> io::Result<()> {
    let path: PathBuf = folder.join(tile.to_string());
    secret::create_private_dir(path.parent().unwrap_or(folder))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

/// The lines of `events.jsonl`, compared with the entries they must be.
pub(super) struct Lines {
    /// `None` when the bundle has none: then there is nothing that could mislead.
    reader: Option<BufReader<fs::File>>,
    next: u64,
}

impl Lines {
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        match fs::File::open(folder.join(EVENTS)) {
            Ok(file) => Ok(Self { reader: Some(BufReader::new(file)), next: 0 }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { reader: None, next: 0 }),
            Err(error) => Err(Failure::failed(format!("{EVENTS} cannot be read: {error}"))),
        }
    }

    /// The next lines must be these entries.
    pub(super) fn compare(&mut self, bundle: &[u8]) -> Result<(), Failure> {
        if self.reader.is_none() {
            return Ok(());
        }
        for entry in entries(bundle).flatten() {
            let line = self.line()?.ok_or_else(|| self.bad("ends before this event"))?;
            if std::str::from_utf8(&line).map_or(true, |line| *leaf(line) != *entry) {
                return Err(self.bad("does not have the log's event in this place"));
            }
            self.next += 1;
        }
        Ok(())
    }

    /// No line may be left.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        match self.line()? {
            Some(_) => Err(self.bad("has more events than the log")),
            None => Ok(()),
        }
    }

    fn bad(&self, what: &str) -> Failure {
        let what = format!("{EVENTS} {what} (line {})", self.next + 1);
        tampered(Tampering { index: self.next, before: None, what })
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let mut line = Vec::new();
        reader.take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.pop_if(|last| *last == b'\n').is_none() && line.is_empty() {
            return Ok(None);
        }
        Ok(Some(line))
    }
}
