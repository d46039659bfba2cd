//! `hoopctl sessions`: who did what with which model, and the recordings of it: played, taken away, verified.

mod export;
mod list;
mod replay;
mod show;
mod source;
mod verify;

#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};

pub(super) use self::{export::into_bundle, verify::bundled};

use super::{error::Outcome, invocation::Invocation};

/// The flags of `sessions`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Without a subcommand: the latest sessions, yours, or everybody's where policy lets you read the audit log.

  hoopctl sessions list --since 7d --model llama --masked email
  hoopctl sessions replay ex_0199… --speed 2
  hoopctl sessions export ex_0199… --format har --to exchange.har
  hoopctl sessions verify --file ex_0199….rec --bundle audit-2026-11 --key KEY")]
pub(super) struct Sessions {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List sessions, the newest first
    List(list::List),
    /// Show a session's exchanges, or everything about one exchange
    Show(show::Show),
    /// Play the answers of an exchange or a session as they came
    Replay(replay::Replay),
    /// Write recordings for other programs, or as they are stored
    Export(export::Export),
    /// Prove that a recording is what was recorded, by itself and against the audit log
    Verify(verify::Verify),
}

/// Does what the arguments say.
pub(super) async fn perform(args: Sessions, with: &Invocation) -> Outcome {
    match args.what {
        None => list::perform(list::List::default(), with).await,
        Some(What::List(list)) => list::perform(list, with).await,
        Some(What::Show(show)) => show::perform(show, with).await,
        Some(What::Replay(replay)) => replay::perform(replay, with).await,
        Some(What::Export(export)) => export::perform(export, with).await,
        Some(What::Verify(verify)) => verify::perform(verify, with).await,
    }
}
