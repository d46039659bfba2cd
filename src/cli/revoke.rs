//! `hoopctl revoke`.

use clap::Args;
use serde::Serialize;

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    sanitize,
};
use crate::{
    client::Kind,
    config::laptop::Output,
    wire::api::{Revocation, Revoked},
};

/// The flags of `revoke`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Ends the sessions' credentials and live streams, within two seconds. It needs the permission `administer`. Who may log
in still may: take that away at the identity provider or in gateway.toml.")]
pub(super) struct Revoke {
    /// A user (email address, subject or name) or a session (ses_…)
    #[arg(value_name = "USER|SESSION")]
    who: String,
}

/// What `-o json` prints.
#[derive(Serialize)]
struct Ended {
    schema: u32,
    revoked: usize,
    sessions: Vec<String>,
}

/// Ends sessions and says how many.
pub(super) async fn perform(args: Revoke, with: &Invocation) -> Outcome {
    let (_laptop, link) = with.connected().await?;
    let asked = Revocation { who: args.who };
    let answer = link.api::<_, Revoked>("POST", "/api/v1/revocations", Some(&asked)).await;
    link.close().await;
    let Revoked { sessions: revoked, ids, .. } = answer?;
    if with.printer.manner().output != Output::Human {
        with.printer.document(&Ended { schema: 1, revoked, sessions: ids })?;
    }
    if revoked == 0 {
        return Err(Failure::new(Kind::Failed, "no_session", format!("no live session of {}", asked.who))
            .remedy("name a user as `hoopctl audit query` shows them, or a session's id"));
    }
    if with.printer.manner().output == Output::Human {
        let plural = if revoked == 1 { "session" } else { "sessions" };
        with.printer.line(&sanitize::text(&format!("{revoked} {plural} of {} ended", asked.who)))?;
    }
    Ok(DONE)
}
