//! `hoopctl audit report`: how everything was encrypted, from the gateway's log or from a bundle without any gateway.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::{Args, ValueEnum};
use url::form_urlencoded;

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        sanitize,
    },
    bundle::{CHECKPOINT, Source, tampered},
    query::instant,
    verify::named,
};
use crate::{
    clock::rfc3339,
    config::laptop::Output,
    evidence::{
        report::{self, Folding, Head, Made},
        tlog::{Check, Checkpoint, Kind, entries, sha256},
    },
    secret,
};

/// A gateway reads every event of the time for a report.
const PATIENCE: Duration = Duration::from_mins(15);

/// The flags of `audit report`.
#[derive(Args, Debug)]
pub(super) struct Report {
    /// Not before: RFC 3339, or how long ago, such as 90d
    #[arg(long, value_name = "WHEN", default_value = "90d")]
    since: String,
    /// Not after: RFC 3339, or how long ago; now when it is not given
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// A page for people, or the figures for programs; html unless -o json is given
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write it to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Of this folder, which `audit export --bundle` has written: verified first, without any gateway
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// The log's public key, or a file with it, for --bundle; without it the bundle's own word is taken for it
    #[arg(long, value_name = "KEY|FILE", requires = "bundle")]
    key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One self-contained page, to be read on a screen or printed
    Html,
    /// Every figure, `schema` 1
    Json,
}

/// Makes the report.
pub(super) async fn perform(args: Report, with: &Invocation) -> Outcome {
    let now = with.clock.now();
    let since = instant("since", &args.since, now)?;
    let until = args.until.as_deref().map(|until| instant("until", until, now)).transpose()?;
    if since >= until.unwrap_or(now) {
        return Err(Failure::usage("--since must lie before --until"));
    }
    let report = match &args.bundle {
        Some(folder) => of_bundle(folder, args.key.as_deref(), (since, until.unwrap_or(now)), with).await?,
        None => of_gateway(since, until, with).await?,
    };
    let json = with.printer.manner().output != Output::Human;
    let format = args.format.unwrap_or(if json { Format::Json } else { Format::Html });
    match (format, &args.file) {
        (Format::Json, None) => with.printer.document(&report)?,
        (Format::Html, None) => with.printer.raw(report::page(&report).as_bytes())?,
        (format, Some(file)) => {
            write(&report, format, file)?;
            with.printer.note(&format!("the report is in {}", file.display()));
        }
    }
    Ok(DONE)
}

fn write(report: &report::Report, format: Format, file: &Path) -> Result<(), Failure> {
    let text = match format {
        Format::Html => report::page(report),
        Format::Json => {
            let json = serde_json::to_string_pretty(report).map_err(|e| Failure::failed(e.to_string()))?;
            sanitize::json(json) + "\n"
        }
    };
    // For its owner alone: it names people and models.
    secret::write_private(file, text.as_bytes()).map_err(|error| {
        Failure::failed(format!("the report cannot be written to {}: {error}", file.display()))
    })
}

async fn of_gateway(
    since: SystemTime,
    until: Option<SystemTime>,
    with: &Invocation,
) -> Result<report::Report, Failure> {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("since", &rfc3339(since));
    if let Some(until) = until {
        pairs.append_pair("until", &rfc3339(until));
    }
    let path = format!("/api/v1/audit/report?{}", pairs.finish());
    let (_laptop, link) = with.connected().await?;
    let _progress = with.printer.progress("the gateway reads its audit log …");
    let report = link.api_within::<(), report::Report>(PATIENCE, "GET", &path, None).await;
    link.close().await;
    let report = report?;
    if report.schema != report::SCHEMA {
        return Err(Failure::failed(format!(
            "the gateway's report is of schema {}, and this program knows {}",
            report.schema,
            report::SCHEMA
        ))
        .remedy("use the gateway's version of hoopctl"));
    }
    Ok(report)
}

/// The report of a bundle, each of whose events is checked against the signed head on the way.
async fn of_bundle(
    folder: &Path,
    key: Option<&str>,
    (since, until): (SystemTime, SystemTime),
    with: &Invocation,
) -> Result<report::Report, Failure> {
    let source = Source::Folder(folder);
    let key = match key {
        Some(key) => named(key)?,
        None => {
            let key = source.key().await?;
            with.printer.warn(&format!(
                "the key is the bundle's own word: whoever forged the log would have brought another; compare {key} with the one you were given, or pass that with --key"
            ));
            key
        }
    };
    let note = source.must(CHECKPOINT).await?;
    let head =
        Checkpoint::open(&note, &key).map_err(|e| tampered(format_args!("the log's checkpoint: {e}")))?;
    let mut check = Check::new(head.clone(), Vec::new()).map_err(tampered)?;
    let mut folding = Folding::new(Some(since), until);
    let _progress = with.printer.progress(&format!("verifying {} events …", head.size));
    while let Some(tile) = check.wants() {
        let bytes = source.read(&tile.to_string()).await?;
        check.feed(bytes.as_deref()).map_err(tampered)?;
        if let (Kind::Entries, Some(bytes)) = (tile.kind, bytes) {
            for (index, entry) in (tile.first_leaf()..).zip(entries(&bytes).flatten()) {
                folding.entry(index, entry);
            }
        }
    }
    // Only now is anything of it believed.
    check.finish().map_err(tampered)?;
    let key = key.to_string();
    Ok(folding.finish(Made {
        at: rfc3339(with.clock.now()),
        by: format!("hoopctl {} from a bundle of the log, verified", env!("CARGO_PKG_VERSION")),
        head: Some(Head {
            origin: head.origin.clone(),
            size: head.size,
            root: head.root.to_string(),
            key_sha256: sha256(key.as_bytes()).to_string(),
            key,
            note: String::from_utf8_lossy(&note).into_owned(),
            covers: true,
            verified: true,
        }),
    }))
}
