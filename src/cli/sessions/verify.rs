//! `hoopctl sessions verify`: a recording by itself, against its audit event, and the event against the verifiable log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{
    super::{
        audit,
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
    },
    list, show,
    source::{self, For},
};
use crate::{
    client::{ClientError, Kind, Link},
    config::laptop::Output,
    evidence::{
        event::{Event, Recording},
        leaf::leaf,
        recording::{self, Checked, End, Fault, sha256_text},
        tlog::{Checkpoint, Hash, VerifyingKey, leaf_hash, verify_inclusion},
    },
    wire::{api::LogProof, code},
};

/// The longest line of a bundle's events, in bytes.
const MAX_LINE: u64 = 1024 * 1024 + 1;
/// The events of a bundle.
const EVENTS: &str = "events.jsonl";
/// The folder of recordings of a bundle, each in a file of its own.
pub(super) const RECORDINGS: &str = "recordings";

/// The flags of `sessions verify`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Needs no key to the recording: what is sealed stays sealed. Without a gateway: --file RECORDING --bundle DIR, where the folder is
one that `hoopctl audit export --bundle` has written.")]
pub(super) struct Verify {
    /// An exchange: ex_…
    #[arg(value_name = "ID", required_unless_present = "file")]
    id: Option<String>,
    /// This sealed recording, without any gateway
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    file: Option<PathBuf>,
    /// Where its audit event must be: a folder that `audit export --bundle` has written
    #[arg(long, value_name = "DIR", requires = "file")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    log: audit::Log,
}

/// What was proven.
#[derive(Debug, Default, Serialize)]
struct Proven {
    schema: u32,
    verified: bool,
    recording: String,
    exchange: String,
    segments: u32,
    bytes: u64,
    sha256: String,
    /// Whether the recording goes to the end of its exchange.
    whole: bool,
    /// The audit event that names the digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    /// Where in the log the event is.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    /// The size of the log that it was found in.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// The key that signed its head.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// Verifies.
pub(super) async fn perform(args: Verify, with: &Invocation) -> Outcome {
    let proven = match &args.file {
        Some(file) => offline(file, &args, with).await,
        None => online(&args, with).await,
    };
    match proven {
        Ok(proven) => report(&proven, with),
        Err(failure) => {
            if with.printer.manner().output != Output::Human
                && let Failure::Told(told) = &failure
                && told.kind == Kind::Verification
            {
                with.printer.document(&json!({ "schema": 1, "verified": false, "message": told.message }))?;
            }
            Err(failure)
        }
    }
}

/// Something does not fit: exit code 8.
fn tampered(what: impl Into<String>) -> Failure {
    Failure::new(Kind::Verification, "tampered", what)
}

fn report(proven: &Proven, with: &Invocation) -> Outcome {
    let printer = &with.printer;
    if printer.manner().output != Output::Human {
        printer.document(proven)?;
        return Ok(DONE);
    }
    let end = if proven.whole { "whole" } else { "whole up to where the gateway was killed" };
    printer.line(&format!(
        "recording  {} of {}: {} in {}, {end}\nsha256     {}",
        proven.recording,
        proven.exchange,
        list::bytes(proven.bytes),
        if proven.segments == 1 { "one segment".to_owned() } else { format!("{} segments", proven.segments) },
        proven.sha256
    ))?;
    match (&proven.event, proven.index, proven.size) {
        (Some(event), Some(index), Some(size)) => {
            printer.line(&format!("event      {event}, which names it, is event {index} of {size} in the log"))?;
            printer.line(&format!("key        {}", proven.key.as_deref().unwrap_or_default()))?;
        }
        _ => printer.warn(
            "only the recording itself was verified, not that it is the one of the audit log: give the log with --bundle",
        ),
    }
    printer.line("verified")?;
    Ok(DONE)
}

/// Segments, chain and digest of a recording, away from the threads that may not block.
async fn checked(source: impl Read + Send + 'static, name: &str) -> Result<Checked, Failure> {
    let checked = tokio::task::spawn_blocking(move || recording::check(source)).await;
    let checked = checked.map_err(|error| Failure::failed(format!("the check did not end well: {error}")))?;
    checked.map_err(|fault| match fault {
        Fault::Io(error) => match error.downcast::<ClientError>() {
            Ok(error) => error.into(),
            Err(error) => Failure::failed(format!("{name}: the recording cannot be read: {error}")),
        },
        damaged @ Fault::Damaged { .. } => tampered(format!("{name}: {damaged}")),
    })
}

fn of(checked: &Checked) -> Proven {
    Proven {
        schema: 1,
        verified: true,
        recording: checked.header.recording.clone(),
        exchange: checked.header.exchange.clone(),
        segments: checked.segments,
        bytes: checked.bytes,
        sha256: sha256_text(&checked.sha256),
        whole: checked.end == End::Whole,
        ..Proven::default()
    }
}

/// A file, by itself or against a bundle.
async fn offline(file: &Path, args: &Verify, with: &Invocation) -> Result<Proven, Failure> {
    let name = file.display().to_string();
    let mut proven = of(&checked(source::open(file)?, &name).await?);
    let Some(bundle) = &args.bundle else { return Ok(proven) };
    let log = args.log.bundle(bundle, with).await?;
    let (index, event) = find(bundle, &proven)?.ok_or_else(|| {
        tampered(format!("{name}: the audit log has no event of the exchange {}", proven.exchange))
    })?;
    names(&event, &proven, &name, with)?;
    proven.event = Some(event.id);
    proven.index = Some(index);
    proven.size = Some(log.head.size);
    proven.key = Some(log.key.to_string());
    Ok(proven)
}

/// The event of an exchange in a bundle whose lines were verified, and its place.
fn find(bundle: &Path, proven: &Proven) -> Result<Option<(u64, Event)>, Failure> {
    let mut found = None;
    each(bundle, |index, event| {
        if event.kind == "exchange" && event.exchange.as_deref() == Some(proven.exchange.as_str()) {
            found = Some((index, event));
        }
        found.is_none()
    })?;
    Ok(found)
}

/// The recordings of a bundle whose events were verified, each against its event; how many. None, where the bundle has no folder of them.
pub(in crate::cli) async fn bundled(bundle: &Path, with: &Invocation) -> Result<Option<u64>, Failure> {
    let folder = bundle.join(RECORDINGS);
    if !folder.is_dir() {
        return Ok(None);
    }
    let (mut named, deleted) = recorded(bundle)?;
    let mut count = 0;
    for file in fs::read_dir(&folder)? {
        let path = file?.path();
        let name = path.display().to_string();
        let proven = of(&checked(source::open(&path)?, &name).await?);
        let event = named.remove(&proven.exchange).ok_or_else(|| {
            tampered(format!("{name}: the audit log has no event of the exchange {}", proven.exchange))
        })?;
        names(&event, &proven, &name, with)?;
        count += 1;
    }
    let digest =
        |event: &&Event| event.recording.as_ref().is_some_and(|recording| recording.sha256.is_some());
    let gone =
        |event: &&Event| event.recording.as_ref().is_none_or(|recording| !deleted.contains(&recording.id));
    match named.values().filter(digest).find(gone) {
        None => Ok(Some(count)),
        Some(event) => Err(tampered(format!(
            "the audit log names a recording of {}, the bundle has none, and no event says that it was deleted",
            event.exchange.as_deref().unwrap_or_default()
        ))),
    }
}

/// The events that name a recording, by exchange, and the recordings that were deleted.
fn recorded(bundle: &Path) -> Result<(BTreeMap<String, Event>, BTreeSet<String>), Failure> {
    let (mut named, mut deleted) = (BTreeMap::new(), BTreeSet::new());
    each(bundle, |_, event| {
        if event.kind == "recording_deleted" {
            deleted
                .extend(event.detail.iter().flat_map(|detail| detail.split_whitespace()).map(str::to_owned));
        } else if event.kind == "exchange"
            && event.recording.is_some()
            && let Some(exchange) = event.exchange.clone()
        {
            named.insert(exchange, event);
        }
        true
    })?;
    Ok((named, deleted))
}

/// Looks at each event of a bundle, as long as `look` says true.
fn each(bundle: &Path, mut look: impl FnMut(u64, Event) -> bool) -> Result<(), Failure> {
    let file = match fs::File::open(bundle.join(EVENTS)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::failed(format!("the bundle {} has no {EVENTS}", bundle.display()))
                .remedy("name a folder that `hoopctl audit export --bundle` has written"));
        }
        Err(error) => return Err(Failure::failed(format!("{EVENTS} cannot be read: {error}"))),
    };
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    for index in 0_u64.. {
        line.clear();
        (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        // What stands for an event that is too long has none of what is looked for.
        if let Ok(event) = serde_json::from_slice(&line)
            && !look(index, event)
        {
            break;
        }
    }
    Ok(())
}

/// What the gateway has, against what its log says.
async fn online(args: &Verify, with: &Invocation) -> Result<Proven, Failure> {
    let id = show::plain(args.id.as_deref().unwrap_or_default())?;
    if !show::is_exchange(id) {
        return Err(Failure::usage(format!("{id} is no exchange: recordings are verified one by one"))
            .remedy(format!("hoopctl sessions show {id} lists the exchanges of a session: ex_…")));
    }
    let key = args.log.key.as_deref().map(audit::named).transpose()?;
    let (_laptop, link) = with.connected().await?;
    let proven = against_log(&link, id, key, with).await;
    link.close().await;
    proven
}

async fn against_log(
    link: &Link,
    id: &str,
    key: Option<VerifyingKey>,
    with: &Invocation,
) -> Result<Proven, Failure> {
    let events = show::events_of(link, id).await?;
    let event = events.iter().find(|event| event.kind == "exchange");
    let stored = match source::stored(link, id, For::Verify, "sealed").await {
        Ok(stored) => stored,
        Err(failure) => return Err(absent(failure, id, event)),
    };
    let mut proven = of(&checked(stored, id).await?);
    if proven.exchange != id {
        return Err(tampered(format!(
            "the gateway gave the recording of {} for the one of {id}",
            proven.exchange
        )));
    }
    let event = event.ok_or_else(|| unknown(id, &proven))?;
    let proof: LogProof =
        link.api("GET", &format!("/api/v1/audit/log/proof/{}", event.id), None::<&()>).await?;
    let key = match key {
        Some(key) => key,
        None => word_of_the_log(link, with).await?,
    };
    let (logged, size) = included(&proof, &key)?;
    if logged.id != event.id || logged.exchange.as_deref() != Some(id) {
        return Err(tampered(format!("the log's event {} is not the one of {id}", proof.index)));
    }
    names(&logged, &proven, id, with)?;
    proven.event = Some(logged.id);
    proven.index = Some(proof.index);
    proven.size = Some(size);
    proven.key = Some(key.to_string());
    Ok(proven)
}

/// The recording is not there. One that was deleted as configured has another code.
fn absent(failure: Failure, id: &str, event: Option<&Event>) -> Failure {
    let Failure::Told(told) = &failure else { return failure };
    if told.code != code::RECORDING_ABSENT || event.is_none_or(|event| event.recording.is_none()) {
        return failure;
    }
    tampered(format!(
        "the audit log names a recording of {id}, the gateway has none, and no event says that it was deleted"
    ))
}

/// A recording of an exchange that has no event.
fn unknown(id: &str, proven: &Proven) -> Failure {
    if proven.whole {
        return tampered(format!("there is a whole recording of {id}, and no audit event of it"));
    }
    Failure::failed(format!("the exchange {id} has no audit event yet: it is still under way"))
        .remedy("try again when it is over")
}

async fn word_of_the_log(link: &Link, with: &Invocation) -> Result<VerifyingKey, Failure> {
    let bytes = link.api_bytes("/api/v1/audit/log/key").await?;
    let key: VerifyingKey = String::from_utf8_lossy(&bytes)
        .parse()
        .map_err(|error| Failure::failed(format!("the log's key cannot be used: {error}")))?;
    with.printer.warn(&format!(
        "the key is the log's own word: whoever forged the log would have brought another; keep {key} and pass it with --key"
    ));
    Ok(key)
}

/// The event of a proof and the size of its log, if the key signed for both.
fn included(proof: &LogProof, key: &VerifyingKey) -> Result<(Event, u64), Failure> {
    let head = Checkpoint::open(proof.checkpoint.as_bytes(), key)
        .map_err(|error| tampered(format!("the log's checkpoint: {error}")))?;
    let steps: Result<Vec<Hash>, _> = proof.proof.iter().map(|hash| hash.parse()).collect();
    let steps = steps.map_err(|error| tampered(format!("the log's proof: {error}")))?;
    let hash = leaf_hash(&leaf(&proof.event));
    if !verify_inclusion(&hash, proof.index, head.size, &steps, &head.root) {
        return Err(tampered(format!(
            "first bad index: {}: the event is not in the log that the checkpoint is signed for",
            proof.index
        )));
    }
    let event = serde_json::from_str(&proof.event)
        .map_err(|error| Failure::failed(format!("the log's event is not understood: {error}")))?;
    Ok((event, head.size))
}

/// The event must name the recording and its digest.
fn names(event: &Event, proven: &Proven, name: &str, with: &Invocation) -> Result<(), Failure> {
    let Some(Recording { id, sha256, .. }) = &event.recording else {
        return Err(tampered(format!("{name}: the audit event {} knows of no recording", event.id)));
    };
    if *id != proven.recording {
        return Err(tampered(format!(
            "{name}: the audit event {} names the recording {id}, not {}",
            event.id, proven.recording
        )));
    }
    match sha256 {
        Some(digest) if *digest == proven.sha256 => Ok(()),
        Some(digest) => Err(tampered(format!(
            "{name}: its SHA-256 is {}, and the audit event {} says {digest}: {}",
            proven.sha256,
            event.id,
            if proven.whole { "it was altered" } else { "its end was cut off" }
        ))),
        None if event.response.as_ref().is_some_and(|response| response.outcome == "interrupted") => {
            with.printer.warn(&format!(
                "the audit event {} has no digest, because the gateway was killed while it recorded: that the end is not cut off further is not proven",
                event.id
            ));
            Ok(())
        }
        None => Err(tampered(format!("{name}: the audit event {} has no digest of it", event.id))),
    }
}
