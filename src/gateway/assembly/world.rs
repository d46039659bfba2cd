//! A gateway of real rooms on loopback, without models, for tests of the rooms that only work together.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use url::Url;

use super::{Config, Gateway};
use crate::{
    clock::Clock,
    evidence::event::Event,
    gateway::{
        accept, approval, audit,
        certs::{self, Authority},
        identity::{self, Caller, DevUser, ProviderConfig, ProviderKind, SessionRow},
        pipeline::ModelConfig,
        record,
        store,
    },
    tls::{CertificateDer, HotKey, Identity, Trust},
    tunnel::{Connection, Dialer, Proxies, Transport, TunnelError},
};

/// A running gateway and its state folder.
pub(in crate::gateway) struct World {
    pub(in crate::gateway) gateway: Gateway,
    pub(in crate::gateway) clock: Clock,
    pub(in crate::gateway) folder: TempDir,
}

impl World {
    pub(in crate::gateway) async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    pub(in crate::gateway) async fn start_with(models: Vec<ModelConfig>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let config = Config { models, ..config(folder.path()) };
        let gateway = Gateway::start(config, clock.clone()).await.unwrap();
        Self { gateway, clock, folder }
    }

    /// A key that `user`'s laptop holds after a login.
    pub(in crate::gateway) async fn log_in(&self, user: &str) -> HotKey {
        self.log_in_for(user, Duration::from_secs(3600)).await
    }

    /// A login session that lasts so long, and its key.
    pub(in crate::gateway) async fn log_in_for(&self, user: &str, life: Duration) -> HotKey {
        let caller = self.begin(user, life).await;
        let (csr, key) = request();
        let credential = self.gateway.rooms.identities.issue(&caller, &csr).await.unwrap();
        HotKey::new(Identity::from_pem(&credential.certificate, &key).unwrap())
    }

    async fn begin(&self, user: &str, life: Duration) -> Caller {
        let now = self.clock.now();
        let caller = Caller {
            subject: user.to_owned(),
            email: None,
            name: None,
            groups: Vec::new(),
            provider: "dev".to_owned(),
            workload: false,
            session: crate::id::new("ls", now),
        };
        let row = SessionRow {
            id: caller.session.clone(),
            caller: caller.clone(),
            created_at: now,
            expires_at: now + life,
            refresh_sha256: None,
            previous_refresh_sha256: None,
            revoked: false,
            provider_refresh: None,
            people: None,
        };
        self.gateway.rooms.store.identity().insert_session(&row).await.unwrap();
        caller
    }

    /// A bearer token of a new login session of `user`, for one model or all.
    pub(in crate::gateway) async fn token(&self, user: &str, model: Option<&str>) -> String {
        let session = self.begin(user, Duration::from_secs(3600)).await.session;
        self.gateway.rooms.identities.token_of(&session, model).await
    }

    /// A connection that has not yet said hello.
    pub(in crate::gateway) async fn dial(
        &self,
        key: HotKey,
        over: Transport,
    ) -> Result<Connection, TunnelError> {
        let dialer = Dialer {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: self.gateway.address().port(),
            trust: Trust::Roots(self.roots()),
            key,
            proxies: Proxies::default(),
        };
        dialer.dial(Some(over)).await
    }

    /// Draining begins, and goes on for as long as the test likes.
    pub(in crate::gateway) fn drain(&self) {
        self.gateway.background.phases.drain();
    }

    pub(in crate::gateway) fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.authority().roots()
    }

    /// Makes and believes the gateway's own certificates.
    pub(in crate::gateway) fn authority(&self) -> &Authority {
        self.gateway.certificates.authority()
    }

    pub(in crate::gateway) async fn events(&self, kind: &str) -> Vec<Event> {
        let filter = audit::Filter { kind: Some(kind.to_owned()), limit: 100, ..audit::Filter::default() };
        self.gateway.rooms.scribe.query(&filter).await.unwrap().events
    }

    pub(in crate::gateway) async fn revoke(&self, user: &str) {
        assert_eq!(self.gateway.rooms.identities.revoke(user, "test").await.unwrap().len(), 1);
    }
}

/// A certificate request and its key, PEM.
pub(in crate::gateway) fn request() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    (csr, key.serialize_pem())
}

/// A gateway without models whose state lies in `folder`.
pub(in crate::gateway) fn config(folder: &Path) -> Config {
    let public_url = Url::parse("https://127.0.0.1:0").unwrap();
    let state = folder.join("state");
    let policies = folder.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("all.cedar"), "@id(\"all\") permit(principal, action, resource);\n")
        .unwrap();
    let users = vec![DevUser { name: "alice".to_owned(), groups: Vec::new() }];
    Config {
        accept: accept::Config {
            public_url: public_url.clone(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            client_certificates: Some((Ipv4Addr::LOCALHOST, 0).into()),
        },
        certs: certs::Config {
            state: state.clone(),
            names: vec!["127.0.0.1".to_owned()],
            source: certs::Source::Own,
            overlap: certs::OVERLAP,
            client_life: Duration::from_secs(900),
        },
        identity: identity::Config {
            public_url,
            providers: vec![ProviderConfig { name: "dev".to_owned(), kind: ProviderKind::Dev { users } }],
            credential_life: Duration::from_secs(900),
            session_life: Duration::from_secs(3600),
            token_life: Duration::from_mins(5),
            state: state.clone(),
            own_roots: true,
        },
        policies,
        models: Vec::new(),
        store: store::Config { database: state.join("gateway.db"), state },
        approval_lapse: approval::DEFAULT_LAPSE,
        notify: approval::notify::NotifyConfig::default(),
        audit: audit::Config::default(),
        anomalies: audit::anomalies::Config::default(),
        recordings: record::Config { folder: folder.join("recordings"), recipients: Default::default() },
        metrics: Some((Ipv4Addr::LOCALHOST, 0).into()),
    }
}
