//! Takes up a changed configuration without a restart; a bad one changes nothing.

use std::{sync::Arc, time::Duration};

use super::{
    Config, Gateway,
    error::ReloadError,
    in_force::{InForce, sentence},
    witness,
};
use crate::gateway::{certs, policy::Policies};

/// The most characters of a mistake in an event.
const MOST_SAID: usize = 2000;

/// What a reload has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Parts of `gateway.toml` that differ from what the gateway was started with and are taken up at the next start only.
    pub needs_restart: Vec<&'static str>,
}

impl Gateway {
    /// Takes up identity providers, models, policies, sinks and who is told of approvals of `config`: all of it, or on any mistake nothing. New exchanges are decided by the new
    /// policies from here on, also on streams that are open.
    ///
    /// # Errors
    /// When a provider, a policy or a model is wrong; the last good configuration stays in force.
    pub async fn reload(&self, config: Config) -> Result<Reloaded, ReloadError> {
        let reloaded = self.take_up(config).await;
        if let Err(error) = &reloaded {
            self.refused(&error.to_string());
        }
        reloaded
    }

    /// A changed configuration cannot be taken up, as whoever read it found: the audit log is told.
    pub fn refused(&self, why: &str) {
        let why: String = why.chars().take(MOST_SAID).collect();
        let detail =
            format!("a changed configuration was not taken up, the last good one stays in force: {why}");
        witness::tell(&self.rooms.scribe, &self.rooms.clock, "gateway_reload_refused", detail);
    }

    async fn take_up(&self, mut config: Config) -> Result<Reloaded, ReloadError> {
        let mut in_force = self.in_force.lock().await;
        config.settle_port(self.address.port());
        let rooms = &self.rooms;
        let policies = policies(&config)?;
        let told = rooms.notifier.prepare(&config.notify).await.map_err(|e| ReloadError::notify(&e))?;
        let sinks = rooms.sinks.prepare(&config.sinks).await.map_err(|e| ReloadError::sinks(&e))?;
        let providers = rooms
            .identities
            .prepare(config.identity.providers.clone())
            .await
            .map_err(|e| ReloadError::identity(&e))?;
        rooms.pipeline.reload(config.models.clone()).map_err(|e| ReloadError::pipeline(&e))?;
        let new = InForce::of(&config, &policies);
        rooms.policies.store(Arc::new(policies));
        rooms.identities.adopt(providers);
        rooms.notifier.adopt(told).await;
        rooms.sinks.adopt(sinks).await;
        rooms.anomalies.configure(config.anomalies.clone());
        let needs_restart = needs_restart(&self.started_with, &config);
        let change = new.configuration(Some(&in_force));
        *in_force = new;
        let mut detail = format!("a changed configuration was taken up: {}", sentence(&change));
        if !needs_restart.is_empty() {
            detail.push_str(&format!("; at the next start only: {}", needs_restart.join(", ")));
        }
        witness::tell_configuration(&rooms.scribe, &rooms.clock, "gateway_reload", detail, change);
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
        ("sessions", sessions(running) != sessions(new)),
        ("tls", tls(running) != tls(new)),
        ("storage.database", running.store.database != new.store.database),
        ("storage.recordings", running.recordings.folder != new.recordings.folder),
        ("storage.recipients", running.recordings.recipients != new.recordings.recipients),
        ("approvals", running.approval_lapse != new.approval_lapse),
        ("audit", running.audit != new.audit),
    ];
    differ.into_iter().filter_map(|(part, differs)| differs.then_some(part)).collect()
}

fn tls(config: &Config) -> (&certs::Source, Duration) {
    (&config.certs.source, config.certs.overlap)
}

fn sessions(config: &Config) -> [Duration; 3] {
    let identity = &config.identity;
    [identity.credential_life, identity.session_life, identity.token_life]
}
