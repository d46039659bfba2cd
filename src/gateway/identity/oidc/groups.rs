//! Where a person's groups are: in the ID token, in userinfo, or in the vendor's own directory.

use super::{
    super::{
        config::Preset,
        provider::{Claims, ProviderError, elsewhere, groups, text},
    },
    discovery::Metadata,
    google::Person,
    graph,
    party::{Answer, RelyingParty},
};
use crate::secret::ExposeSecret;

impl RelyingParty {
    /// The groups as they are now. Missing where the provider would put them means none; said to be elsewhere means that
    /// they are fetched there, and if that fails, nobody has been established.
    pub(super) async fn groups(
        &self,
        metadata: &Metadata,
        answer: &Answer,
        claims: &Claims,
        subject: &str,
    ) -> Result<Vec<String>, ProviderError> {
        let (name, claim) = (self.name(), self.settings.groups_claim.as_str());
        if let Some(people) = &self.people {
            // Only what Google itself verified leads to somebody's groups.
            let email = self.settings.preset.email(claims).ok_or_else(|| {
                ProviderError::Invalid(
                    "it gives no verified address, without which groups cannot be asked for".to_owned(),
                )
            })?;
            return people.groups(&self.outbound, &self.clock, &Person { subject, email: &email }).await;
        }
        if let Some(groups) = groups(claims, claim, name) {
            return Ok(groups);
        }
        match &self.settings.preset {
            Preset::Entra { graph } if graph::overage(claims, claim) => {
                return graph::groups(&self.outbound, graph, answer.access_token.expose_secret()).await;
            }
            _ if elsewhere(claims, claim) => return Err(not_here()),
            _ => {}
        }
        if self.settings.preset.groups_in_userinfo()
            && let Some(info) = self.userinfo(metadata, answer).await?
        {
            // OpenID Connect Core §5.3.2: without this, another person's answer could be slipped in.
            if text(&info, "sub", 512) != Some(subject) {
                return Err(ProviderError::Invalid("userinfo is about another person".to_owned()));
            }
            if let Some(groups) = groups(&info, claim, name) {
                return Ok(groups);
            }
            if elsewhere(&info, claim) {
                return Err(not_here());
            }
        }
        tracing::warn!(provider = name, claim, "the groups claim is missing: the caller has no groups");
        Ok(Vec::new())
    }
}

fn not_here() -> ProviderError {
    ProviderError::Unreachable(
        "it keeps the person's groups elsewhere (`_claim_names`); if it is Microsoft Entra ID, write preset = 'entra'".to_owned(),
    )
}
