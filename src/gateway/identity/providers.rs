//! The providers in force, exchanged as a whole when `gateway.toml` changes; what did not change keeps what it has learnt.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{
    Identities, IdentityError,
    config::{Jwks, MetadataOrigin, Preset, ProviderConfig, ProviderKind, ServiceProof},
    identities::open_provider,
    provider::Provider,
    sessions::sha256,
};
use crate::{
    clock::Clock,
    secret::{self, ExposeSecret},
};

/// The providers in force.
pub(super) struct Providers(ArcSwap<Vec<Entry>>);

/// Providers that were opened and wait to come into force: see [`Identities::adopt`].
pub struct Prepared(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    config: ProviderConfig,
    /// Of the files and secrets it read when it was opened.
    files: Vec<[u8; 32]>,
    people: People,
    provider: Arc<Provider>,
}

/// Whom the subjects of a provider mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct People {
    pub(super) hash: [u8; 32],
    /// Whether anything beside the kind tells them from others.
    told_apart: bool,
}

impl People {
    /// Whether a session begun with the people of that hash is one of these; without a hash only where nothing could
    /// have been compared.
    pub(super) fn had(&self, hash: Option<&[u8; 32]>) -> bool {
        hash.map_or(!self.told_apart, |hash| *hash == self.hash)
    }

    fn of(kind: &ProviderKind) -> Self {
        let (told_apart, said) = match kind {
            ProviderKind::Oidc { issuer, client_id, .. } => (true, format!("oidc\n{issuer}\n{client_id}")),
            ProviderKind::Saml(saml) => (true, format!("saml\n{}\n{:?}", saml.metadata, saml.subject)),
            ProviderKind::Workload { issuer, subject_claim, .. } => {
                (true, format!("workload\n{issuer}\n{subject_claim}"))
            }
            ProviderKind::Service { .. } => (false, "service".to_owned()),
            ProviderKind::Dev { .. } => (false, "dev".to_owned()),
        };
        Self { hash: sha256(said.as_bytes()), told_apart }
    }
}

/// What opening a provider needs beside its own configuration.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) public_url: url::Url,
    pub(super) issuer: String,
    /// Where SAML's own key is.
    pub(super) state: PathBuf,
    pub(super) clock: Clock,
}

impl Providers {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self(ArcSwap::from_pointee(prepared.0))
    }

    /// Every provider, in the order of the file.
    pub(super) fn all(&self) -> Vec<Arc<Provider>> {
        self.0.load().iter().map(|entry| Arc::clone(&entry.provider)).collect()
    }

    /// The people of the provider of that name.
    pub(super) fn people(&self, name: &str) -> Option<People> {
        self.0.load().iter().find(|entry| entry.config.name == name).map(|entry| entry.people)
    }
}

impl Prepared {
    /// Opens what is new or changed. Blocks on files and on secrets that are commands.
    pub(super) fn open(
        configs: Vec<ProviderConfig>,
        known: Option<&Providers>,
        around: &Surroundings,
    ) -> Result<Self, IdentityError> {
        let known = known.map(|known| known.0.load_full()).unwrap_or_default();
        let mut entries: Vec<Entry> = Vec::new();
        for config in configs {
            let name = config.name.clone();
            let problem = |problem: String| IdentityError::Provider { name: name.clone(), problem };
            if entries.iter().any(|other| other.config.name == name) {
                return Err(problem("two providers have this name; rename one".to_owned()));
            }
            let files = digests(&config.kind);
            let same = known.iter().find(|entry| entry.config == config && entry.files == files);
            let provider = match same {
                Some(same) => Arc::clone(&same.provider),
                None => Arc::new(open_provider(config.clone(), around).map_err(problem)?),
            };
            let people = People::of(&config.kind);
            entries.push(Entry { config, files, people, provider });
        }
        Ok(Self(entries))
    }
}

impl Identities {
    /// Opens the providers of a changed configuration, without putting them into force. Asks no provider anything.
    ///
    /// # Errors
    /// As [`Self::open`]: then nothing has changed.
    pub async fn prepare(
        self: &Arc<Self>,
        providers: Vec<ProviderConfig>,
    ) -> Result<Prepared, IdentityError> {
        let own = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || {
            Prepared::open(providers, Some(&own.sessions.providers), &own.surroundings)
        });
        opened.await.map_err(|e| IdentityError::Keys(e.to_string()))?
    }

    /// Puts prepared providers into force. What hangs on a provider that is no more, or that is now another issuer's,
    /// ends at once: connections now, sessions when they are next used. A provider that comes back brings its sessions
    /// back, so that a half-saved file logs nobody out.
    pub fn adopt(&self, prepared: Prepared) {
        let sessions = &self.sessions;
        let before = sessions.providers.0.swap(Arc::new(prepared.0));
        let after = sessions.providers.0.load();
        let gone: HashSet<&str> = before
            .iter()
            .filter(|old| {
                !after.iter().any(|new| old.config.name == new.config.name && old.people == new.people)
            })
            .map(|old| old.config.name.as_str())
            .collect();
        // Callers remembered by their tokens are checked against the new list.
        sessions.recent.forget();
        if gone.is_empty() {
            return;
        }
        tracing::warn!(providers = ?gone, "identity providers were removed or replaced: their connections end");
        let reason = sessions.login("its identity provider is no more in the gateway's configuration");
        sessions.leases.end_of(&gone, &reason);
    }
}

/// The files and secrets whose contents a provider remembers: with another content it is another provider.
fn digests(kind: &ProviderKind) -> Vec<[u8; 32]> {
    let digest = |path: &Path| fs::read(path).map(|content| sha256(&content)).unwrap_or_default();
    let mut digests = Vec::new();
    match kind {
        ProviderKind::Oidc { ca, preset, .. } => {
            digests.extend(ca.as_deref().map(digest));
            if let Preset::Google { directory: Some(directory), .. } = preset
                && let secret::Source::File(path) = &directory.service_account
            {
                digests.push(digest(path));
            }
        }
        ProviderKind::Saml(saml) => {
            digests.extend(saml.ca.as_deref().map(digest));
            digests.extend(saml.metadata_certificate.as_deref().map(digest));
            if let MetadataOrigin::File(path) = &saml.metadata {
                digests.push(digest(path));
            }
        }
        ProviderKind::Workload { ca, jwks, .. } => {
            digests.extend(ca.as_deref().map(digest));
            if let Some(Jwks::File(path)) = jwks {
                digests.push(digest(path));
            }
        }
        ProviderKind::Service { accounts } => {
            digests.extend(accounts.iter().map(|account| match &account.proof {
                ServiceProof::Secret(source) => {
                    source.read().map(|secret| sha256(secret.expose_secret().as_bytes())).unwrap_or_default()
                }
                ServiceProof::PublicKey(path) => digest(path),
            }))
        }
        ProviderKind::Dev { .. } => {}
    }
    digests
}
