//! Where a recording comes from: a file, or the gateway; its entries are read on a thread of their own.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::{Buf, Bytes};
use clap::Args;
use tokio::sync::mpsc;
use url::form_urlencoded;

use super::{
    super::{audit, error::Failure, invocation::Invocation},
    show,
};
use crate::{
    client::{ClientError, Kind, Link},
    evidence::{
        playback::{Playback, PlaybackError},
        recording::{Entry, Fault, Identities},
    },
};

/// Files of age identities, where no flag names any.
const VARIABLE: &str = "HOOPCTL_IDENTITY";
/// The file of identities in the user's folder of settings.
const USUAL: &str = "identities";
/// The longest file of identities, in bytes.
const MAX_IDENTITIES: u64 = 64 * 1024;
/// Entries that are read ahead.
const AHEAD: usize = 64;
/// Pieces of the gateway's answer that are read ahead.
const PIECES: usize = 16;

/// Which recordings, and with which keys.
#[derive(Args, Debug, Default)]
pub(super) struct Wanted {
    /// An exchange, ex_…, or a session, ses_…: all of its recordings in turn
    #[arg(value_name = "ID", required_unless_present = "file")]
    pub(super) id: Option<String>,
    /// This recording, without any gateway: as it is stored, or as `export --format jsonl` writes it
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    pub(super) file: Option<PathBuf>,
    /// A file of age identities that open what is sealed to them. May be given more than once [env: HOOPCTL_IDENTITY]
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
}

/// What a recording is read for, as the gateway's audit log has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum For {
    Replay,
    Export,
    Verify,
}

impl For {
    fn word(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Export => "export",
            Self::Verify => "verify",
        }
    }
}

/// The keys to open recordings with.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    found: Option<Identities>,
    /// Somebody named them: then the gateway is not asked to open anything.
    named: bool,
}

impl Wanted {
    /// The keys of the flags, else of the variable, else of the user's folder.
    pub(super) fn keys(&self, with: &Invocation) -> Result<Keys, Failure> {
        let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let mut files = self.identity.clone();
        if files.is_empty() {
            files.extend(variable.iter().flat_map(|value| std::env::split_paths(value)));
        }
        let named = !files.is_empty();
        if !named && let Some(places) = &with.config.places {
            files.extend(Some(places.config_dir.join(USUAL)).filter(|file| file.is_file()));
        }
        let mut text = String::new();
        for file in &files {
            text.push_str(&identities(file)?);
            text.push('\n');
        }
        let text = zeroize::Zeroizing::new(text);
        let found = (!files.is_empty()).then(|| Identities::parse(&text)).transpose().map_err(|error| {
            Failure::usage(format!("the age identities of {} cannot be used: {error}", files_text(&files)))
                .remedy("give a file as `age-keygen` writes it")
        })?;
        Ok(Keys { found, named })
    }

    /// The recorded exchanges that are meant: of a session all, in their order.
    pub(super) async fn exchanges(&self, link: &Link) -> Result<Vec<String>, Failure> {
        let id = show::plain(self.id.as_deref().unwrap_or_default())?;
        if show::is_exchange(id) {
            return Ok(vec![id.to_owned()]);
        }
        let events = show::session(link, id).await?.exchanges;
        let recorded = events.into_iter().filter(|event| event.recording.is_some());
        let exchanges: Vec<String> = recorded.filter_map(|event| event.exchange).collect();
        if exchanges.is_empty() {
            return Err(Failure::failed(format!("the session {id} has no recording"))
                .remedy("models are recorded that have `record` in gateway.toml; `hoopctl sessions list` tells which sessions are"));
        }
        Ok(exchanges)
    }
}

fn files_text(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn identities(file: &Path) -> Result<String, Failure> {
    let unread = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("the age identities in {} cannot be read: {error}", file.display()))
            .remedy("name a file as `age-keygen` writes it")
    };
    let bytes = audit::bounded(file, MAX_IDENTITIES)?.ok_or_else(|| unread(&"there is no such file"))?;
    String::from_utf8(bytes).map_err(|_| unread(&"it is no text"))
}

/// What comes of a recording, in order.
pub(super) enum Piece {
    /// An entry.
    Entry(Entry),
    /// It is over.
    Over {
        /// Whether it goes to the end of its exchange.
        whole: bool,
        /// Lines that were passed over because no kind of theirs is known.
        unknown: u64,
    },
    /// It cannot be read further.
    Broken(PlaybackError),
}

/// The entries of a file.
pub(super) fn of_file(file: &Path, keys: &Keys) -> Result<mpsc::Receiver<Piece>, Failure> {
    Ok(read(open(file)?, keys.found.clone()))
}

/// A file to be read.
pub(super) fn open(file: &Path) -> Result<File, Failure> {
    File::open(file).map_err(|error| Failure::failed(format!("{} cannot be read: {error}", file.display())))
}

/// The entries of a recording that the gateway has. It opens what it has the key of, unless other keys were named.
pub(super) async fn of_gateway(
    link: &Link,
    exchange: &str,
    what_for: For,
    keys: &Keys,
) -> Result<mpsc::Receiver<Piece>, Failure> {
    let form = if keys.named { "sealed" } else { "either" };
    let bytes = stored(link, exchange, what_for, form).await?;
    Ok(read(bytes, keys.found.clone()))
}

/// A recording's bytes as the gateway gives them: `sealed`, or `either`, opened where it can.
pub(super) async fn stored(
    link: &Link,
    exchange: &str,
    what_for: For,
    form: &str,
) -> Result<Stored, Failure> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("for", what_for.word())
        .append_pair("form", form)
        .finish();
    let mut pieces = link.api_stream(&format!("/api/v1/recordings/{exchange}?{query}")).await?;
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        loop {
            let next = pieces.next().await;
            let over = !matches!(next, Ok(Some(_)));
            let Some(sent) = next.transpose() else { return };
            if sender.send(sent).await.is_err() || over {
                return;
            }
        }
    });
    Ok(Stored { receiver, rest: Bytes::new() })
}

/// The gateway's bytes, for a thread that may wait for them.
pub(super) struct Stored {
    receiver: mpsc::Receiver<Result<Bytes, ClientError>>,
    rest: Bytes,
}

impl Stored {
    /// The next bytes, for a task.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(self.receiver.recv().await.transpose()?)
    }
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        if let Some(room) = buffer.get_mut(..length) {
            self.rest.copy_to_slice(room);
        }
        Ok(length)
    }
}

/// Reads the entries on a thread that may block.
fn read(source: impl Read + Send + 'static, identities: Option<Identities>) -> mpsc::Receiver<Piece> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut playback = match Playback::open(source, identities.as_ref()) {
            Ok(playback) => playback,
            Err(error) => return drop(sender.blocking_send(Piece::Broken(error))),
        };
        loop {
            let (piece, over) = match playback.entry() {
                Ok(Some(entry)) => (Piece::Entry(entry), false),
                Ok(None) => (Piece::Over { whole: playback.is_whole(), unknown: playback.unknown() }, true),
                Err(error) => (Piece::Broken(error), true),
            };
            // Nobody listens any more, or there is nothing more to say.
            if sender.blocking_send(piece).is_err() || over {
                return;
            }
        }
    });
    receiver
}

/// Why a recording cannot be read, for people.
pub(super) fn failure(error: PlaybackError, name: &str) -> Failure {
    let text = format!("{name}: {error}");
    match error {
        PlaybackError::NotARecording => Failure::failed(text)
            .remedy("name a file that `hoopctl sessions export --sealed` or `--format jsonl` has written"),
        PlaybackError::Sealed | PlaybackError::NotForYou => {
            Failure::new(Kind::Failed, crate::wire::code::RECORDING_SEALED, text).remedy(
                "give the file with an auditor's age identity: --identity FILE; `recipients` in the gateway's gateway.toml name their public halves",
            )
        }
        PlaybackError::Fault(Fault::Io(error)) => match error.downcast::<ClientError>() {
            Ok(error) => error.into(),
            Err(_) => Failure::failed(text),
        },
        PlaybackError::Altered { .. } | PlaybackError::Fault(_) | PlaybackError::TooLong(_) => {
            Failure::new(Kind::Verification, "tampered", text)
        }
    }
}
