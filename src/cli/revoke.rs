//! `hoopctl revoke`: ends sessions, or lifts a suspension.

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
    wire::api::{Lifted, Revocation, Revoked},
};

/// The flags of `revoke`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Ends the sessions' credentials and live streams, within two seconds. It needs the permission `administer`. Who may log
in still may: take that away at the identity provider or in gateway.toml.

With --lift it is the other way round: a user who is suspended, or needs approvals, because of unusual use may use
models again. Nobody lifts their own.")]
pub(super) struct Revoke {
    /// A user (email address, subject or name) or a session (ses_…)
    #[arg(value_name = "USER|SESSION")]
    who: String,
    /// Lift what unusual use of this user was answered with
    #[arg(long)]
    lift: bool,
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
    if args.lift {
        return lift(args.who, with).await;
    }
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

/// Lifts what a user is held by.
async fn lift(who: String, with: &Invocation) -> Outcome {
    let (_laptop, link) = with.connected().await?;
    let asked = Revocation { who };
    let answer = link.api::<_, Lifted>("POST", "/api/v1/suspensions/lift", Some(&asked)).await;
    link.close().await;
    let answer = answer?;
    if with.printer.manner().output != Output::Human {
        with.printer.document(&answer)?;
    }
    if answer.lifted == 0 {
        let message = format!("{} is held by nothing", asked.who);
        return Err(Failure::new(Kind::Failed, "not_suspended", message)
            .remedy("hoopctl audit query --kind anomaly says who is, and until when"));
    }
    if with.printer.manner().output == Output::Human {
        with.printer.line(&sanitize::text(&format!("{} may use models again", asked.who)))?;
    }
    Ok(DONE)
}
