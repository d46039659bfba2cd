//! `hoopctl audit`: read the gateway's audit log, take it away, verify it.

use clap::{Args, Subcommand};

use super::{error::Outcome, invocation::Invocation};

mod bundle;
mod export;
mod query;
mod report;
mod verify;

pub(super) use self::{
    bundle::bounded,
    query::{Page, get, instant},
    verify::{Log, named},
};

/// The flags of `audit`.
#[derive(Args, Debug)]
pub(super) struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show events, the newest last
    Query(query::Query),
    /// Write events for other programs, or the whole log for verifying it elsewhere
    Export(export::Export),
    /// Report how everything was encrypted, for an auditor: one page, or JSON
    Report(report::Report),
    /// Prove that nothing in the log was altered, dropped or cut off
    Verify(verify::Verify),
}

/// Does what the arguments say.
pub(super) async fn perform(args: Audit, with: &Invocation) -> Outcome {
    match args.what {
        What::Query(query) => query::perform(query, with).await,
        What::Export(export) => export::perform(export, with).await,
        What::Report(report) => report::perform(report, with).await,
        What::Verify(verify) => verify::perform(verify, with).await,
    }
}
