//! `hoopctl token`.

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::{
    connect::find,
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    remembered,
};
use crate::{
    client::{ForModel, Kind},
    config::laptop::Output,
    wire::code,
};

/// The flags of `token`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
The token is good for this model alone, at GATEWAY/models/MODEL/, for a few minutes; ask again for each use,
as tools with a key helper do: it is kept until a minute before its end.

  curl -H \"authorization: Bearer $(hoopctl token llama)\" https://gateway.example.com/models/llama/v1/models")]
pub(super) struct Token {
    /// The model
    #[arg(value_name = "MODEL", add = ArgValueCandidates::new(remembered::candidates))]
    model: String,
}

/// Prints a bearer token for one model.
pub(super) async fn perform(args: Token, with: &Invocation) -> Outcome {
    let laptop = with.laptop()?;
    let token = {
        let _progress = with.printer.progress("asking the gateway …");
        match laptop.model_token(&args.model).await? {
            ForModel::Token(token) => token,
            ForModel::NoSuchModel(models) => {
                if let Ok(status) = laptop.status() {
                    remembered::remember(&status.gateway, &models, with);
                }
                // A name that is nearly one of the caller's is a slip of the hand, not policy's no.
                if let Some(near) = find::nearest(&args.model, &models) {
                    let message = format!("there is no model {:?}; did you mean {near:?}?", args.model);
                    return Err(Failure::new(Kind::Failed, code::MODEL_UNKNOWN, message)
                        .remedy(format!("hoopctl token {near}")));
                }
                find::find(&args.model, &models, laptop.status().ok().as_ref())?;
                return Err(Failure::failed(
                    "the gateway lists this model and gives no token for it; try again",
                ));
            }
        }
    };
    let manner = with.printer.manner();
    if manner.output == Output::Human {
        with.printer.line(&token.token)?;
        if manner.err_terminal {
            with.printer.note(&format!("for {} until {}", token.url, token.expires_at));
        }
    } else {
        with.printer.document(&token)?;
    }
    Ok(DONE)
}
