//! Client certificates, leases and revocation.

use std::{sync::Arc, time::Duration};

use super::world::{LIFE, SESSION, World, csr};
use crate::{
    clock::parse_rfc3339,
    gateway::identity::{Happening, Lease},
    tls::{self, CertificateDer},
    wire::{api::Credential, code},
};

async fn credential(world: &World, user: &str) -> Credential {
    let tokens = world.dev_login(user).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    world.identities.issue(&caller, &csr()).await.unwrap()
}

fn chain(credential: &Credential) -> Vec<CertificateDer<'static>> {
    tls::parse_certificates(&credential.certificate, "credential").unwrap()
}

async fn lease(world: &World, user: &str) -> Arc<Lease> {
    let credential = credential(world, user).await;
    world.identities.admit(&chain(&credential)).await.unwrap()
}

#[tokio::test]
async fn a_credential_admits_its_caller_until_its_end() {
    let world = World::dev().await;
    let credential = credential(&world, "alice").await;
    let end = world.clock.now() + LIFE;
    assert!(
        end.duration_since(parse_rfc3339(&credential.expires_at).unwrap()).unwrap() < Duration::from_secs(1)
    );
    assert!(credential.roots.contains("BEGIN CERTIFICATE"));
    let lease = world.identities.admit(&chain(&credential)).await.unwrap();
    let caller = lease.check(world.clock.now()).unwrap();
    assert_eq!((caller.user(), caller.groups.len()), ("alice", 2));
    world.hand.advance(LIFE);
    assert_eq!(lease.check(world.clock.now()).unwrap_err().code, code::LOGIN_REQUIRED);
    assert_eq!(world.identities.admit(&chain(&credential)).await.unwrap_err().code, code::LOGIN_REQUIRED);
}

#[tokio::test]
async fn a_renewal_extends_the_lease_in_place_but_never_past_the_session() {
    let world = World::dev().await;
    let lease = lease(&world, "alice").await;
    let ended = lease.ended();
    let mut passed = Duration::ZERO;
    while passed + LIFE < SESSION {
        world.hand.advance(LIFE * 2 / 3);
        passed += LIFE * 2 / 3;
        world.identities.renew(&lease, &csr()).await.unwrap();
    }
    assert!(!ended.is_cancelled());
    assert!(lease.expires_at() <= world.store.rows()[0].expires_at);
    world.hand.advance(SESSION - passed);
    assert_eq!(world.identities.renew(&lease, &csr()).await.unwrap_err().code, code::LOGIN_REQUIRED);
}

#[tokio::test]
async fn a_revocation_ends_live_leases_and_nobody_elses() {
    let world = World::dev().await;
    let (alice, bob) = (lease(&world, "alice").await, lease(&world, "bob").await);
    let also_alice = lease(&world, "alice").await;
    assert_eq!(world.identities.revoke("alice", "root@example.test").await.unwrap().len(), 2);
    for ended in [&alice, &also_alice] {
        ended.ended().cancelled().await;
        let refusal = ended.check(world.clock.now()).unwrap_err();
        assert!(refusal.message.contains("root@example.test"), "{refusal}");
        assert!(refusal.remedy.unwrap().contains("hoopctl login"));
        assert!(world.identities.renew(ended, &csr()).await.is_err());
    }
    assert!(bob.check(world.clock.now()).is_ok());
    let told = world.happenings();
    assert!(
        matches!(told.last(), Some(Happening::Revocation { by, sessions }) if by == "root@example.test" && sessions.len() == 2)
    );
    assert_eq!(world.identities.revoke("alice", "root@example.test").await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_revoked_session_admits_and_issues_nothing() {
    let world = World::dev().await;
    let tokens = world.dev_login("alice").await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    let credential = world.identities.issue(&caller, &csr()).await.unwrap();
    world.identities.revoke(&caller.session, "test").await.unwrap();
    assert!(world.identities.admit(&chain(&credential)).await.is_err());
    assert!(world.identities.issue(&caller, &csr()).await.is_err());
    assert!(world.identities.bearer(&tokens.access_token).await.is_err());
}

#[tokio::test]
async fn foreign_certificates_are_not_admitted() {
    let (world, other) = (World::dev().await, World::dev().await);
    let foreign = credential(&other, "alice").await;
    // Chain verification is TLS's; the session of another gateway is unknown here all the same.
    assert!(world.identities.admit(&chain(&foreign)).await.is_err());
    assert!(world.identities.admit(&[]).await.is_err());
    let ca = tls::parse_certificates(&foreign.roots, "ca").unwrap();
    assert!(world.identities.admit(&ca).await.is_err());
}

#[tokio::test]
async fn a_bad_request_for_a_certificate_is_the_callers_fault() {
    let world = World::dev().await;
    let tokens = world.dev_login("alice").await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    for bad in ["", "garbage", &"x".repeat(10_000)] {
        assert_eq!(world.identities.issue(&caller, bad).await.unwrap_err().code, code::BAD_REQUEST);
    }
}

#[tokio::test]
async fn groups_read_at_a_renewal_reach_the_other_connections_too() {
    let (world, idp) = World::company().await;
    let tokens = world.company_login(&idp).await;
    let caller = world.identities.bearer(&tokens.access_token).await.unwrap();
    let one = world.identities.issue(&caller, &csr()).await.unwrap();
    let two = world.identities.issue(&caller, &csr()).await.unwrap();
    let one = world.identities.admit(&chain(&one)).await.unwrap();
    let two = world.identities.admit(&chain(&two)).await.unwrap();
    idp.lock().groups = serde_json::json!(["hoop-admins"]);
    let credential = world.identities.renew(&one, &csr()).await.unwrap();
    assert_eq!(credential.groups, ["hoop-admins"]);
    for lease in [one, two] {
        assert_eq!(lease.check(world.clock.now()).unwrap().groups, ["hoop-admins"]);
    }
}
