//! `hoopctl logout`.

use serde_json::json;

use super::{
    error::{DONE, Outcome},
    invocation::Invocation,
};
use crate::{client::LoggedOut, config::laptop::Output};

/// Ends the login.
pub(super) async fn perform(with: &Invocation) -> Outcome {
    let laptop = with.laptop()?;
    let done = laptop.logout().await?;
    if let LoggedOut::OnlyHere(reason) = &done {
        with.printer.warn(&format!(
            "the gateway could not be told ({reason}): nothing is left here, and there the session ends at its time"
        ));
    }
    if with.printer.manner().output == Output::Human {
        let nobody = done == LoggedOut::NotLoggedIn;
        with.printer.note(if nobody { "nobody was logged in" } else { "logged out" });
    } else {
        let (was, told) = (done != LoggedOut::NotLoggedIn, done == LoggedOut::Ended);
        with.printer.document(&json!({ "schema": 1, "was_logged_in": was, "gateway_told": told }))?;
    }
    Ok(DONE)
}
