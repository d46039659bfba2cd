//! Takes up a changed configuration without a restart; a bad one changes nothing.

use std::sync::Arc;

use super::{Config, Gateway, error::ReloadError, witness};
use crate::gateway::policy::Policies;

/// What a reload has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Parts of `gateway.toml` that differ from what the gateway was started with and are taken up at the next start only.
    pub needs_restart: Vec<&'static str>,
}

impl Gateway {
    /// Takes up models and policies of `config`: all of it, or on any mistake nothing. New exchanges are decided by the new
    /// policies from here on, also on streams that are open.
    ///
    /// # Errors
    /// When a policy or a model is wrong; the last good configuration stays in force.
    pub async fn reload(&self, mut config: Config) -> Result<Reloaded, ReloadError> {
        let _one_at_a_time = self.reloading.lock().await;
        config.settle_port(self.address.port());
        let rooms = &self.rooms;
        let policies = policies(&config)?;
        rooms.pipeline.reload(config.models.clone()).map_err(|e| ReloadError::pipeline(&e))?;
        rooms.policies.store(Arc::new(policies));
        let needs_restart = needs_restart(&self.started_with, &config);
        witness::tell(&rooms.scribe, &rooms.clock, "gateway_reload", "a changed configuration was taken up");
        Ok(Reloaded { needs_restart })
    }
}

pub(super) fn policies(config: &Config) -> Result<Policies, ReloadError> {
    let policies = Policies::load(&config.policies, &config.facts())
        .map_err(|mistakes| ReloadError::policies(&mistakes))?;
    for warning in policies.warnings() {
        tracing::warn!(%warning, "a policy is worth a look");
    }
    Ok(policies)
}

fn needs_restart(running: &Config, new: &Config) -> Vec<&'static str> {
    let differ = [
        ("gateway.public_url", running.accept.public_url != new.accept.public_url),
        ("gateway.listen", running.accept.listen != new.accept.listen),
        ("gateway.client_certificates", running.accept.client_certificates != new.accept.client_certificates),
        ("gateway.state", running.store.state != new.store.state),
        ("gateway.metrics", running.metrics != new.metrics),
        // Compared as they are printed: secrets are named there by where they come from.
        ("identity", identity(running) != identity(new)),
        ("tls", running.certs.files != new.certs.files),
        ("storage.database", running.store.database != new.store.database),
        ("audit", running.audit.power_loss != new.audit.power_loss),
    ];
    differ.into_iter().filter_map(|(part, differs)| differs.then_some(part)).collect()
}

fn identity(config: &Config) -> String {
    let identity = &config.identity;
    format!(
        "{:?} {:?} {:?} {:?}",
        identity.providers, identity.credential_life, identity.session_life, identity.token_life
    )
}
