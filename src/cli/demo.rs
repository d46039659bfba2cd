//! `hoopctl demo`.

use std::path::PathBuf;

use clap::Args;

use super::{
    error::{DONE, Failure, Outcome},
    run,
    signals::unless_stopped,
};
use crate::demo::{self, Options};

/// The flags of `demo`.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// End after one answer: exit 0 only if it came through the tunnel
    #[arg(long)]
    once: bool,
    /// Keep the gateway's files here [default: a folder that is removed in the end]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Runs the whole system. Once it stays up it hears Ctrl-C itself and ends in good order.
pub(super) fn perform(args: Demo) -> Outcome {
    let once = args.once;
    let work = play(args);
    if once { run::many(unless_stopped(work)) } else { run::many(work) }
}

async fn play(args: Demo) -> Outcome {
    demo::run(Options { once: args.once, dir: args.dir }).await.map_err(|error| {
        let failure = Failure::failed(error.message);
        match error.remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    })?;
    Ok(DONE)
}
