//! `hoopctl audit export`: events as JSON Lines, OCSF or CSV, or the whole log as a bundle.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        printer::Printer,
        sanitize,
    },
    bundle,
    query::{Filters, Page, get},
};
use crate::evidence::{csv, event::Event, ocsf};

/// Events of one page.
const PAGE: u32 = 1000;

/// The flags of `audit export`.
#[derive(Args, Debug)]
pub(super) struct Export {
    #[command(flatten)]
    filters: Filters,
    /// How to write events
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Write the whole log with its proofs into this new folder instead, for `audit verify --bundle`
    #[arg(long, value_name = "DIR", conflicts_with_all = ["format", "since", "until", "user", "model", "kind", "exchange", "session", "verdict", "masked"])]
    bundle: Option<PathBuf>,
    /// The sealed recordings of its exchanges too; needs the permission replay
    #[arg(long, requires = "bundle")]
    recordings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One event a line, as the log has it
    Jsonl,
    /// One event a line in the Open Cybersecurity Schema Framework
    Ocsf,
    /// A table for spreadsheets
    Csv,
}

/// Takes the events away.
pub(super) async fn perform(args: Export, with: &Invocation) -> Outcome {
    let now = with.clock.now();
    let mut path = args.filters.path(Some(0), PAGE, now)?;
    let (_laptop, link) = with.connected().await?;
    if let Some(folder) = &args.bundle {
        bundle::export(&link, folder, args.recordings, with).await?;
        link.close().await;
        return Ok(DONE);
    }
    if args.format == Format::Csv {
        with.printer.raw(csv::HEADING.as_bytes())?;
    }
    let mut count = 0;
    loop {
        let page: Page<Value> = get(&link, &path).await?;
        count += page.events.len();
        write(&page.events, args.format, &with.printer)?;
        let Some(next) = page.next else { break };
        path = args.filters.path(Some(next), PAGE, now)?;
    }
    link.close().await;
    with.printer.note(&format!("{count} events"));
    Ok(DONE)
}

fn write(events: &[Value], format: Format, printer: &Printer) -> Result<(), Failure> {
    let mut text = String::new();
    for value in events {
        let read = || {
            serde_json::from_value::<Event>(value.clone()).map_err(|e| {
                Failure::failed(format!("the gateway sent an event that is not understood: {e}"))
            })
        };
        match format {
            Format::Jsonl => text.push_str(&sanitize::json(value.to_string())),
            Format::Ocsf => text.push_str(&sanitize::json(ocsf::event(&read()?).to_string())),
            Format::Csv => {
                text.push_str(&csv::row(&read()?));
                continue;
            }
        }
        text.push('\n');
    }
    printer.raw(text.as_bytes())
}
