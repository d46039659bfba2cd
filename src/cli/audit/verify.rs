//! `hoopctl audit verify`: the whole log, at the gateway or in a bundle, against its checkpoint and those that somebody kept.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
    },
    bundle::{CHECKPOINT, Lines, Source, bounded, tampered},
    query::{Filters, Page, get},
};
use crate::{
    client::Link,
    config::laptop::Output,
    evidence::{
        event::Event,
        leaf::Stub,
        tlog::{self, Check, Checkpoint, HASHES, Kept, Kind, Tampering, VerifyingKey, entries},
    },
    secret,
};

/// The longest checkpoint or key file that is read, in bytes.
const MAX_NOTE: u64 = 64 * 1024;

/// The flags of `audit verify`.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Verify this folder, which `audit export --bundle` has written, without any gateway
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// The log's public key, or a file with it; without it the log's own word is taken for it
    #[arg(long, value_name = "KEY|FILE")]
    key: Option<String>,
    /// A checkpoint kept from earlier: the log must go on from it. May be given more than once
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Keep the verified checkpoint in this file, for a later --checkpoint
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

/// Verifies.
pub(super) async fn perform(args: Verify, with: &Invocation) -> Outcome {
    let verified = match &args.bundle {
        Some(folder) => verify(&args, &Source::Folder(folder), with).await,
        None => {
            let (_laptop, link) = with.connected().await?;
            let verified = verify(&args, &Source::Gateway(&link), with).await;
            link.close().await;
            verified
        }
    };
    match verified {
        Ok(verified) => report(&verified, with),
        Err(failure) => {
            if with.printer.manner().output != Output::Human
                && let Failure::Told(told) = &failure
                && told.kind == crate::client::Kind::Verification
            {
                with.printer.document(&json!({ "schema": 1, "verified": false, "message": told.message }))?;
            }
            Err(failure)
        }
    }
}

/// What was proven.
struct Verified {
    head: Checkpoint,
    key: VerifyingKey,
    kept: usize,
}

fn report(verified: &Verified, with: &Invocation) -> Outcome {
    let Verified { head, key, kept } = verified;
    if with.printer.manner().output != Output::Human {
        with.printer.document(&json!({
            "schema": 1, "verified": true, "origin": head.origin, "size": head.size,
            "root": head.root.to_string(), "key": key.to_string(), "kept": kept,
        }))?;
        return Ok(DONE);
    }
    with.printer.line(&format!("verified: {} events, each in its place", head.size))?;
    if *kept > 0 {
        with.printer.line(&format!(
            "the log goes on from {kept} kept checkpoint{}",
            if *kept == 1 { "" } else { "s" }
        ))?;
    }
    with.printer.line(&format!("root {}\nkey  {key}", head.root))?;
    Ok(DONE)
}

async fn verify(args: &Verify, source: &Source<'_>, with: &Invocation) -> Result<Verified, Failure> {
    let key = match &args.key {
        Some(key) => named(key)?,
        None => {
            let key = source.key().await?;
            with.printer.warn(&format!(
                "the key is the log's own word: whoever forged the log would have brought another; keep {key} and pass it with --key"
            ));
            key
        }
    };
    let note = source.must(CHECKPOINT).await?;
    let head =
        Checkpoint::open(&note, &key).map_err(|e| tampered(format_args!("the log's checkpoint: {e}")))?;
    let kept: Vec<Kept> = args.checkpoint.iter().map(|path| kept(path, &key)).collect::<Result<_, _>>()?;
    let count = kept.len();
    let mut check = Check::new(head.clone(), kept).map_err(tampered)?;
    let mut shown = match source {
        Source::Folder(folder) => Shown::Lines(Lines::open(folder)?),
        Source::Gateway(link) => Shown::Queries(link),
    };
    let _progress = with.printer.progress(&format!("verifying {} events …", head.size));
    let mut bundle = None;
    while let Some(tile) = check.wants() {
        let bytes = source.read(&tile.to_string()).await?;
        check.feed(bytes.as_deref()).map_err(tampered)?;
        match tile.kind {
            Kind::Entries => bundle = bytes.map(|bytes| (tile.first_leaf(), bytes)),
            // Its entries are those of the log: now what people see of them.
            Kind::Hashes(_) => {
                if let Some((first, bundle)) = bundle.take() {
                    shown.compare(first, &bundle, with).await?;
                }
            }
        }
    }
    check.finish().map_err(tampered)?;
    if let Shown::Lines(lines) = shown {
        lines.finish()?;
    }
    if let Some(file) = &args.keep {
        secret::write_private(file, &note).map_err(|e| {
            Failure::failed(format!("the checkpoint cannot be kept in {}: {e}", file.display()))
        })?;
    }
    Ok(Verified { head, key, kept: count })
}

/// What people see of the events, beside the log itself.
enum Shown<'a> {
    /// The bundle's lines.
    Lines(Lines),
    /// What the gateway answers to queries.
    Queries(&'a Link),
}

impl Shown<'_> {
    /// Must be what the log has from the leaf `first` on.
    async fn compare(&mut self, first: u64, bundle: &[u8], with: &Invocation) -> Result<(), Failure> {
        let link = match self {
            Self::Lines(lines) => return lines.compare(bundle),
            Self::Queries(link) => link,
        };
        let limit = u32::try_from(HASHES).unwrap_or(u32::MAX);
        let path = Filters::default().path(Some(first), limit, with.clock.now())?;
        let page: Page<Event> = get(link, &path).await?;
        let mut events = page.events.iter();
        for (index, entry) in (first..).zip(entries(bundle).flatten()) {
            if !events.next().is_some_and(|event| same(event, entry)) {
                let what =
                    "queries do not show the log's event in this place: the database was altered".to_owned();
                return Err(tampered(Tampering { index, before: None, what }));
            }
        }
        Ok(())
    }
}

/// Whether an event as queries show it is the log's.
fn same(event: &Event, entry: &[u8]) -> bool {
    if let Ok(stub) = serde_json::from_slice::<Stub>(entry) {
        let text = serde_json::to_string(event).unwrap_or_default();
        return stub.oversize.sha256 == tlog::sha256(text.as_bytes()).to_string();
    }
    serde_json::from_slice::<Event>(entry).is_ok_and(|logged| logged == *event)
}

/// The key that the flag is, or the file it names has.
pub(super) fn named(flag: &str) -> Result<VerifyingKey, Failure> {
    let wrong = |e: tlog::KeyError| {
        Failure::usage(format!("--key: {e}")).remedy("give the vkey of `<state>/log.vkey`, or a file with it")
    };
    if let Ok(key) = flag.parse() {
        return Ok(key);
    }
    match bounded(Path::new(flag), MAX_NOTE)? {
        Some(bytes) => String::from_utf8_lossy(&bytes).parse().map_err(wrong),
        None => Err(wrong(tlog::KeyError::Malformed)),
    }
}

/// A kept checkpoint.
fn kept(path: &Path, key: &VerifyingKey) -> Result<Kept, Failure> {
    let name = path.display().to_string();
    let note = bounded(path, MAX_NOTE)?
        .ok_or_else(|| Failure::usage(format!("--checkpoint {name}: there is no such file")))?;
    let checkpoint = Checkpoint::open(&note, key)
        .map_err(|e| tampered(format_args!("the kept checkpoint {name}: {e}")))?;
    Ok(Kept { checkpoint, name })
}
