//! A gateway's rooms without its doors, for the tests of this room.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{body::to_bytes, response::Response};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::ApiState;
use crate::{
    clock::Clock,
    gateway::{
        approval,
        audit::{self, Scribe},
        certs::Authority,
        identity::{self, Caller, Identities},
        mask,
        pipeline::{Means, Pipeline, limits::Limits},
        policy::Policies,
        record::{Recordings, doubles},
        store::{self, Store},
    },
};

/// Admins administer, auditors read the log and recordings.
const POLICIES: &str = r#"
@id("admins") permit(principal in Group::"admins", action == Action::"administer", resource);
@id("auditors") permit(principal in Group::"auditors", action in [Action::"read_audit", Action::"replay"], resource);
"#;

/// What the API answers from, and what lies below it.
pub(super) struct World {
    pub(super) state: ApiState,
    pub(super) store: Store,
    _dir: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::recording(doubles::unused()).await
    }

    /// A world with these recordings.
    pub(super) async fn recording(recordings: Recordings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_owned();
        let clock = Clock::system();
        let database = folder.join("gateway.db");
        let store = Store::open(&store::Config { state: folder.clone(), database }).await.unwrap();
        let (journal, ledger) = (store.journal(), store.ledger());
        let stop = CancellationToken::new();
        let (log, sequencer) = audit::Log::open(store.log(), Arc::clone(&ledger), "test").await.unwrap();
        let scribe =
            Scribe::open(audit::Config::default(), journal, ledger, clock.clone(), stop).await.unwrap();
        log.follow(sequencer, &scribe);
        let config = identity::Config {
            public_url: "https://gateway.example.test".parse().unwrap(),
            providers: Vec::new(),
            credential_life: Duration::from_mins(15),
            session_life: Duration::from_hours(12),
            token_life: Duration::from_mins(5),
            state: folder.clone(),
            own_roots: true,
        };
        let authority = Arc::new(Authority::open(&folder, clock.clone()).unwrap());
        let witness = Arc::new(|_| ());
        let identities =
            Identities::open(config, store.identity(), authority, clock.clone(), witness).await.unwrap();
        let policies = Policies::parse(&[(PathBuf::from("test.cedar"), POLICIES.into())], &[]).unwrap();
        let policies = Arc::new(ArcSwap::from_pointee(policies));
        let limits = Limits::open(store.limits(), clock.clone()).await.unwrap();
        let approvals = approval::doubles::office(Arc::clone(&policies), clock.clone()).await;
        let means = Means {
            policies: Arc::clone(&policies),
            approvals: approvals.clone(),
            scribe: scribe.clone(),
            limits,
            mask_keys: mask::Keys::new(&[0; 32]),
            recordings,
            clock: clock.clone(),
        };
        let pipeline = Pipeline::new(Vec::new(), means).unwrap();
        let answers = audit::anomalies::Answers::open(store.anomalies(), clock.now()).await.unwrap();
        let state = ApiState { identities, pipeline, approvals, policies, answers, scribe, log, clock };
        Self { state, store, _dir: dir }
    }
}

/// Somebody of the provider `corp`.
pub(super) fn caller(subject: &str, groups: &[&str]) -> Caller {
    Caller {
        subject: subject.into(),
        email: Some(format!("{subject}@example.test")),
        name: None,
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        provider: "corp".into(),
        workload: false,
        session: format!("ses_{subject}"),
    }
}

/// The body of an answer.
pub(super) async fn json<T: DeserializeOwned>(response: Response) -> T {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}
