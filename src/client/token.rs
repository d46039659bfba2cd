//! Tokens of single models, for tools that speak to the gateway without this program: asked for once, then kept until they end.

use std::{sync::Arc, time::Duration};

use super::{
    ClientError, Laptop,
    credential::{self, Held},
    lock::Lock,
};
use crate::{
    clock,
    wire::api::{Model, ModelToken, ModelTokenRequest},
};

/// A token with less life than this is replaced.
const MARGIN: Duration = Duration::from_mins(1);
/// Tokens kept at once; a keyring's entry is small.
const MAX_KEPT: usize = 8;

/// What asking for a token gave.
pub enum ForModel {
    /// The token.
    Token(ModelToken),
    /// The gateway lists no such model for this caller; these are theirs.
    NoSuchModel(Vec<Model>),
}

impl Laptop {
    /// A token for one model at the gateway's direct ingress, with at least a minute to live. Of many processes that ask
    /// at once one asks the gateway.
    ///
    /// # Errors
    /// As [`Self::link`]; what the gateway refuses with.
    pub async fn model_token(self: &Arc<Self>, model: &str) -> Result<ForModel, ClientError> {
        let held = credential::valid(self, None).await?;
        if let Some(token) = self.kept(&held, model) {
            return Ok(ForModel::Token(token));
        }
        // Not the profile's own lock: asking the gateway may take that one to refresh the login.
        let _turn = match self.is_own() {
            true => None,
            false => Some(Lock::acquire(&self.places.state("token.lock")).await?),
        };
        let held = credential::valid(self, None).await?;
        if let Some(token) = self.kept(&held, model) {
            return Ok(ForModel::Token(token));
        }
        let link = self.link().await?;
        let asked = ModelTokenRequest { model: model.to_owned() };
        let answer = link.api::<_, ModelToken>("POST", "/api/v1/tokens", Some(&asked)).await;
        let answer = match answer {
            Err(error) if error.code == crate::wire::code::MODEL_UNKNOWN => {
                link.models().await.map(ForModel::NoSuchModel)
            }
            other => other.map(ForModel::Token),
        };
        link.close().await;
        let answer = answer?;
        if let ForModel::Token(token) = &answer {
            credential::keep_token(self, token, MAX_KEPT).await?;
        }
        Ok(answer)
    }

    fn kept(&self, held: &Held, model: &str) -> Option<ModelToken> {
        let least = self.settings.clock.now() + MARGIN;
        let lasts =
            |token: &&ModelToken| clock::parse_rfc3339(&token.expires_at).is_some_and(|end| end > least);
        held.secrets.tokens.iter().filter(|token| token.model == model).find(lasts).cloned()
    }
}
